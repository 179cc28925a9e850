/*
 * filter_plan.c
 *		Conditions on filter columns that the planner leaves out of ordered
 *		paths (filter.h).
 *
 * Before version 17, `column = ANY (array)` on a column behind an index's first
 * is an index condition only where the order of the index's rows does not
 * count: a btree that looks its elements up one after the other loses it.  Such
 * a condition is added to the path when the cost is asked for, as a bound of
 * the distance is (radius.c).  What it takes to be one is what
 * the planner asks for in match_saopclause_to_indexcol().
 */
#include "vecidx.h"

#include "index/filter.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/restrictinfo.h"
#include "utils/lsyscache.h"

/* The filter column (from 1 on) that a condition can be tested on in the index, or -1. */
static int
matching_column(IndexOptInfo *index, RestrictInfo *rinfo)
{
	ScalarArrayOpExpr *clause = (ScalarArrayOpExpr *) rinfo->clause;
	Relids		array_relids;

	if (rinfo->pseudoconstant || !IsA(clause, ScalarArrayOpExpr) || !clause->useOr ||
		!restriction_is_securely_promotable(rinfo, index->rel))
		return -1;
	for (int i = 1; i < index->nkeycolumns; i++)
	{
		if (!op_in_opfamily(clause->opno, index->opfamily[i]) ||
			(OidIsValid(index->indexcollations[i]) && index->indexcollations[i] != clause->inputcollid) ||
			!match_index_to_operand(linitial(clause->args), i, index))
			continue;
		array_relids = pull_varnos(NULL, lsecond(clause->args));
		if (!bms_is_member(index->rel->relid, array_relids) &&
			!contain_volatile_functions(lsecond(clause->args)))
			return i;
	}
	return -1;
}

static bool
has_condition_of(IndexPath *path, RestrictInfo *rinfo)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
		if (lfirst_node(IndexClause, cell)->rinfo == rinfo)
			return true;
	return false;
}

void
vecidx_filter_conditions(PlannerInfo *root, IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *candidates = index->indrestrictinfo;
	ListCell   *cell;

	(void) root;
	if (path->indexorderbys == NIL || index->nkeycolumns < 2)
		return;
	if (path->path.param_info != NULL)
		candidates = list_concat_copy(candidates, path->path.param_info->ppi_clauses);

	foreach(cell, candidates)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		int			column = matching_column(index, rinfo);
		IndexClause *condition;

		if (column < 0 || has_condition_of(path, rinfo))
			continue;
		condition = makeNode(IndexClause);
		condition->rinfo = rinfo;
		condition->indexquals = list_make1(rinfo);
		condition->lossy = false;
		condition->indexcol = column;
		condition->indexcols = NIL;
		/* the list may be another path's too */
		path->indexclauses = lappend(list_copy(path->indexclauses), condition);
	}
}
