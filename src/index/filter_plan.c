/*
 * filter_plan.c
 *		Conditions on filter columns that the planner leaves out of ordered
 *		paths (filter.h).
 *
 * Before version 17, `column = ANY (array)` on a column behind an index's first
 * is an index condition only where the order of the index's rows does not
 * count: a btree that looks its elements up one after the other loses it.  And
 * version 15 knows that `column` and `NOT column` are comparisons of a boolean
 * column for the operator families of btree and hash only.  Such conditions are added to
 * the path when the cost is asked for, as a bound of the distance is (radius.c).
 * What it takes to be one is what the planner asks for elsewhere (indxpath.c).
 */
#include "vecidx.h"

#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "index/cost.h"
#include "index/filter.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

/* Whether an operand is a filter column, and which (from 1 on); else -1. */
static int
filter_column(IndexOptInfo *index, Node *operand)
{
	for (int i = 1; i < index->nkeycolumns; i++)
		if (match_index_to_operand(operand, i, index))
			return i;
	return -1;
}

/* A condition `column = ANY (array)` that can be tested in the index. */
static bool
is_array_condition(IndexOptInfo *index, RestrictInfo *rinfo, int *column)
{
	ScalarArrayOpExpr *clause = (ScalarArrayOpExpr *) rinfo->clause;

	if (!IsA(clause, ScalarArrayOpExpr) || !clause->useOr ||
		bms_is_member(index->rel->relid, pull_varnos(NULL, lsecond(clause->args))) ||
		contain_volatile_functions(lsecond(clause->args)))
		return false;
	for (int i = 1; i < index->nkeycolumns; i++)
	{
		*column = i;
		if (op_in_opfamily(clause->opno, index->opfamily[i]) &&
			(!OidIsValid(index->indexcollations[i]) || index->indexcollations[i] == clause->inputcollid) &&
			match_index_to_operand(linitial(clause->args), i, index))
			return true;
	}
	return false;
}

/* A condition that is a boolean column itself, or says that it is false; as an operator to compare it. */
static Expr *
boolean_comparison(IndexOptInfo *index, RestrictInfo *rinfo, int *column)
{
	Node	   *operand = (Node *) rinfo->clause;
	bool		value = true;

	if (is_notclause(operand))
	{
		operand = (Node *) get_notclausearg((Expr *) operand);
		value = false;
	}
	else if (IsA(operand, BooleanTest))
	{
		BoolTestType test = castNode(BooleanTest, operand)->booltesttype;

		if (test != IS_TRUE && test != IS_FALSE)
			return NULL;
		operand = (Node *) castNode(BooleanTest, operand)->arg;
		value = test == IS_TRUE;
	}
	*column = exprType(operand) == BOOLOID ? filter_column(index, operand) : -1;
	if (*column < 0 || !op_in_opfamily(BooleanEqualOperator, index->opfamily[*column]))
		return NULL;
	return make_opclause(BooleanEqualOperator, BOOLOID, false, (Expr *) operand,
						 (Expr *) makeBoolConst(value, false), InvalidOid, InvalidOid);
}

/* In the order of columns, as the planner has them. */
static void
insert_condition(IndexPath *path, IndexClause *condition)
{
	int			place = 0;

	while (place < list_length(path->indexclauses) &&
		   list_nth_node(IndexClause, path->indexclauses, place)->indexcol <= condition->indexcol)
		place++;
	/* the list may be another path's too */
	path->indexclauses = list_insert_nth(list_copy(path->indexclauses), place, condition);
}

void
vecidx_filter_conditions(PlannerInfo *root, IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *candidates = index->indrestrictinfo;
	ListCell   *cell;

	if (path->indexorderbys == NIL || index->nkeycolumns < 2)
		return;
	if (path->path.param_info != NULL)
		candidates = list_concat_copy(candidates, path->path.param_info->ppi_clauses);

	foreach(cell, candidates)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		int			column;
		Expr	   *comparison = NULL;
		IndexClause *condition;

		if (rinfo->pseudoconstant || vecidx_has_condition(path, rinfo) ||
			!restriction_is_securely_promotable(rinfo, index->rel))
			continue;
		if (!is_array_condition(index, rinfo, &column))
		{
			comparison = boolean_comparison(index, rinfo, &column);
			if (comparison == NULL)
				continue;
		}
		condition = makeNode(IndexClause);
		condition->rinfo = rinfo;
		condition->indexquals = list_make1(comparison != NULL ? make_simple_restrictinfo(root, comparison) : rinfo);
		condition->lossy = false;
		condition->indexcol = column;
		condition->indexcols = NIL;
		insert_condition(path, condition);
	}
}
