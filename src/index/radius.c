/*
 * radius.c
 *		Conditions on the distance that a scan is ordered by.
 *
 * The planner matches conditions to an index by their operator and its left
 * operand.  The operator of `embedding <-> q < r` is that of two doubles and
 * belongs to no access method; there is no place where an extension could say
 * what an index makes of it.  But when the cost of a path is asked for, the
 * path can be completed: its index conditions become part of the plan later.
 * What the executor then does with them is what it does with any: r may be a
 * constant, a parameter, or change from one rescan to the next.
 *
 * The operators @< and @<= exist for this only.  They are true of every row,
 * since by themselves they do not know the distance; the planner sees nothing
 * of them where a query uses them (vecidx_within_support).
 */
#include "vecidx.h"

#include <float.h>
#include <math.h>

#include "access/relscan.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "index/cost.h"
#include "index/monotone.h"
#include "index/radius.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/restrictinfo.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

/*
 * Cosine distances may come from norms that another machine computed when it
 * built the index, in another order of summation.
 */
#define COSINE_SLACK 1e-5

/* ---- The operators ---- */

/* v @< r, v @<= r */
PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_within);
Datum
vecidx_within(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(true);
}

PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_within_support);
Datum
vecidx_within_support(PG_FUNCTION_ARGS)
{
	Node	   *request = (Node *) PG_GETARG_POINTER(0);

	/* in a query, that is before index conditions are made */
	if (IsA(request, SupportRequestSimplify))
		PG_RETURN_POINTER(makeBoolConst(true, false));
	PG_RETURN_POINTER(NULL);
}

/* ---- Planning ---- */

/* Whether a distance is the one that a path is ordered by. */
static bool
is_same_distance(OpExpr *distance, OpExpr *order)
{
	if (distance->opno != order->opno)
		return false;
	if (equal(distance->args, order->args))
		return true;
	/* the planner put the column on the left side of the order */
	return get_commutator(order->opno) == order->opno &&
		equal(linitial(distance->args), lsecond(order->args)) && equal(lsecond(distance->args), linitial(order->args));
}

/* A bound as a double; NULL where a cast might fail that the query does not have. */
static Expr *
double_of(PlannerInfo *root, Node *bound)
{
	double		value;

	if (number_of_const(bound, &value))
		return (Expr *) makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(value), false, FLOAT8PASSBYVAL);
	bound = copyObject(bound);
	if (exprType(bound) == FLOAT4OID)
		bound = (Node *) makeFuncExpr(F_FLOAT8_FLOAT4, FLOAT8OID, list_make1(bound),
									  InvalidOid, InvalidOid, COERCE_EXPLICIT_CAST);
	if (exprType(bound) != FLOAT8OID)
		return NULL;
	return (Expr *) eval_const_expressions(root, bound);
}

/*
 * What bounds the distance in a condition, as a double, and by which of our
 * strategies; NULL if nothing does.
 */
static Expr *
distance_bound(PlannerInfo *root, RestrictInfo *rinfo, const IndexPath *path, OpExpr *order, int *strategy)
{
	const IndexOptInfo *index = path->indexinfo;
	int			column = linitial_int(path->indexorderbycols);
	Index		relid = index->rel->relid;
	OpExpr	   *clause = (OpExpr *) rinfo->clause;
	Oid			comparison;
	Node	   *distance;
	Node	   *bound;
	Relids		bound_relids;
	Monotone	m;
	int			btree_strategy;
	Expr	   *result;

	if (!is_opclause(clause) || list_length(clause->args) != 2)
		return NULL;

	/* the distance to the left side */
	comparison = clause->opno;
	distance = linitial(clause->args);
	bound = lsecond(clause->args);
	bound_relids = rinfo->right_relids;
	if (bms_is_member(relid, bound_relids))
	{
		comparison = get_commutator(comparison);
		distance = lsecond(clause->args);
		bound = linitial(clause->args);
		bound_relids = rinfo->left_relids;
	}
	if (!OidIsValid(comparison) || IsA(distance, Var) ||
		!monotone_in_distance(distance, index, column, &m) || !is_same_distance(m.distance, order))
		return NULL;

	/* what falls as the distance rises is bounded from below */
	btree_strategy = get_op_opfamily_strategy(comparison,
											  lookup_type_cache(exprType(distance), TYPECACHE_BTREE_OPFAMILY)->btree_opf);
	if (btree_strategy == (m.falling ? BTGreaterStrategyNumber : BTLessStrategyNumber))
		*strategy = VECIDX_LESS_STRATEGY;
	else if (btree_strategy == (m.falling ? BTGreaterEqualStrategyNumber : BTLessEqualStrategyNumber))
		*strategy = VECIDX_LESS_EQUAL_STRATEGY;
	else
		return NULL;

	/*
	 * It is computed once a scan, so it must not depend on the row.  A subplan
	 * would be run by two parts of the same plan node; those that do not depend
	 * on rows are parameters here.
	 *
	 * Conditions of views that hide rows and of row security need not come
	 * first: nothing of a row is looked at, as rows are ordered by distance
	 * before any condition anyway.
	 */
	if (bms_is_member(relid, bound_relids) ||
		contain_volatile_functions(bound) || contain_subplans(bound))
		return NULL;

	result = double_of(root, bound);
	return result != NULL ? monotone_bound(distance, index, column, result) : NULL;
}

List *
vecidx_radius_conditions(PlannerInfo *root, IndexPath *path)
{
	IndexOptInfo *index = path->indexinfo;
	List	   *candidates = index->indrestrictinfo;
	List	   *conditions = NIL;
	OpExpr	   *order;
	ListCell   *cell;

	if (path->indexorderbys == NIL || !IsA(linitial(path->indexorderbys), OpExpr))
		return NIL;
	order = linitial(path->indexorderbys);
	if (path->path.param_info != NULL)
		candidates = list_concat_copy(candidates, path->path.param_info->ppi_clauses);

	foreach(cell, candidates)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);
		IndexClause *condition;
		int			strategy;
		Expr	   *bound = distance_bound(root, rinfo, path, order, &strategy);
		Oid			operator;

		if (bound == NULL)
			continue;
		/* operator classes can do without */
		operator = get_opfamily_member(index->opfamily[0], index->opcintype[0], FLOAT8OID, strategy);
		if (!OidIsValid(operator))
			continue;
		conditions = lappend(conditions, rinfo);
		if (vecidx_has_condition(path, rinfo))
			continue;

		condition = makeNode(IndexClause);
		condition->rinfo = rinfo;
		condition->indexquals =
			list_make1(make_simple_restrictinfo(root,
												make_opclause(operator, BOOLOID, false,
															  copyObject(linitial(order->args)), bound,
															  InvalidOid, InvalidOid)));
		condition->lossy = true;	/* so the condition itself remains */
		condition->indexcol = 0;
		condition->indexcols = NIL;
		/* the list may be another path's too */
		path->indexclauses = lappend(list_copy(path->indexclauses), condition);
	}
	return conditions;
}

/* ---- Scanning ---- */

static inline bool
meets(Metric metric, double rank, double bound, bool or_equal)
{
	double		distance = metric_shown(metric, rank);

	return or_equal ? distance <= bound : distance < bound;
}

bool
vecidx_radius(IndexScanDesc scan, Metric metric, double *radius)
{
	*radius = get_float8_infinity();
	for (int i = 0; i < scan->numberOfKeys; i++)
	{
		const ScanKeyData *key = &scan->keyData[i];
		bool		or_equal = key->sk_strategy == VECIDX_LESS_EQUAL_STRATEGY;
		double		bound;
		double		rank;

		if (key->sk_attno != 1 || (key->sk_flags & SK_SEARCHNOTNULL))
			continue;
		/* rows without a vector are not in the index */
		if (key->sk_flags & SK_ISNULL)
			return false;
		bound = DatumGetFloat8(key->sk_argument);

		/* NaN comes after all numbers */
		if (isnan(bound) || bound == get_float8_infinity())
			continue;
		/* all distances but this are from zero up */
		if (metric != METRIC_IP && !meets(metric, 0, bound, or_equal))
			return false;

		/* the largest whose distance, as it is rounded, meets the condition */
		rank = metric == METRIC_L2 ? bound * bound : bound;
		if (isinf(rank) && rank > 0)
			continue;
		while (meets(metric, nextafter(rank, DBL_MAX), bound, or_equal))
			rank = nextafter(rank, DBL_MAX);
		while (rank > -DBL_MAX && !meets(metric, rank, bound, or_equal))
			rank = nextafter(rank, -DBL_MAX);

		if (metric == METRIC_COSINE)
			rank += COSINE_SLACK;
		/* estimates do not overflow: they end here */
		rank = Max(rank, -FLT_MAX);
		*radius = Min(*radius, rank);
	}
	return true;
}

int
vecidx_radius_keys(const ScanKeyData *keys, int nkeys)
{
	int			n = 0;

	for (int i = 0; i < nkeys; i++)
		n += keys[i].sk_attno == 1 && (keys[i].sk_flags & (SK_SEARCHNULL | SK_SEARCHNOTNULL)) == 0 &&
			(keys[i].sk_strategy == VECIDX_LESS_STRATEGY || keys[i].sk_strategy == VECIDX_LESS_EQUAL_STRATEGY);
	return n;
}
