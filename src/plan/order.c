/*
 * order.c
 *		Index scans for orders that the planner does not see an index has.
 *
 * The planner matches ORDER BY to an index as it is written: an operator of
 * the operator class, ascending, and (before 17) nothing behind it.  Once all
 * paths of a table are there, this hook looks for what comes to the same order:
 * an expression that rises or falls with the distance (monotone.h), and the
 * first of several keys.  See README.md.
 */
#include "vecidx.h"

#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "index/am.h"
#include "index/monotone.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "plan/order.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

static set_rel_pathlist_hook_type next_hook;

/* ---- Rows that the index does not hold ---- */

static bool
is_not_null_column(Oid table, const RelOptInfo *rel, AttrNumber attribute)
{
#if VECIDX_HAS_NOTNULLATTNUMS
	(void) table;
	return bms_is_member(attribute, rel->notnullattnums);
#else
	Relation	relation;
	bool		result;

	(void) rel;
	if (attribute <= 0)
		return false;
	/* the planner holds a lock on it */
	relation = table_open(table, NoLock);
	result = TupleDescAttr(RelationGetDescr(relation), attribute - 1)->attnotnull;
	table_close(relation, NoLock);
	return result;
#endif
}

/* Whether no row that the query asks for has NULL as the value of an expression. */
static bool
is_never_null(Oid table, RelOptInfo *rel, const IndexOptInfo *index, Expr *expr)
{
	NullTest   *not_null;
	ListCell   *cell;

	if (IsA(expr, Const))
		return !castNode(Const, expr)->constisnull;
	if (IsA(expr, Var) && is_not_null_column(table, rel, castNode(Var, expr)->varattno))
		return true;

	/* a condition, or the index's own */
	not_null = makeNode(NullTest);
	not_null->arg = expr;
	not_null->nulltesttype = IS_NOT_NULL;
	not_null->argisrow = false;
	not_null->location = -1;
	if (predicate_implied_by(list_make1(not_null), list_concat_copy(rel->baserestrictinfo, index->indpred), false))
		return true;

	/* a cast of what is never NULL */
	if (!IsA(expr, FuncExpr) || !vecidx_never_null(castNode(FuncExpr, expr)->funcid))
		return false;
	foreach(cell, castNode(FuncExpr, expr)->args)
		if (!is_never_null(table, rel, index, lfirst(cell)))
			return false;
	return true;
}

/* ---- Orders ---- */

/*
 * Whether the rows of an index scan by m's distance come in the order that a
 * pathkey asks for, of which m is an expression.
 */
static bool
is_order_of(PathKey *pathkey, const Monotone *m, Oid table, RelOptInfo *rel, const IndexOptInfo *index, int column)
{
	if (vecidx_direction(pathkey) != (m->falling ? VECIDX_DESCENDING : VECIDX_ASCENDING))
		return false;

	/*
	 * Rows without a vector are not in the index.  Where they come last they
	 * are left out, as by any scan of these indexes; elsewhere there must be
	 * none.
	 */
	if (m->strict && !pathkey->pk_nulls_first)
		return true;
	return is_never_null(table, rel, index, ((TargetEntry *) list_nth(index->indextlist, column))->expr);
}

/* The pathkey that the planner would make of ORDER BY distance. */
static PathKey *
distance_pathkey(OpExpr *distance, const RelOptInfo *rel)
{
	EquivalenceMember *member = makeNode(EquivalenceMember);
	EquivalenceClass *class = makeNode(EquivalenceClass);
	PathKey    *pathkey = makeNode(PathKey);
	Oid			opfamily = lookup_type_cache(FLOAT8OID, TYPECACHE_BTREE_OPFAMILY)->btree_opf;

	member->em_expr = (Expr *) distance;
	member->em_relids = rel->relids;
	member->em_datatype = FLOAT8OID;

	/* it is not among the query's: nothing else is to be derived from it */
	class->ec_opfamilies = list_make1_oid(opfamily);
	class->ec_members = list_make1(member);
	class->ec_relids = rel->relids;

	pathkey->pk_eclass = class;
	pathkey->pk_opfamily = opfamily;
	vecidx_direction(pathkey) = VECIDX_ASCENDING;
	pathkey->pk_nulls_first = false;
	return pathkey;
}

/*
 * Let the planner make its paths for one index and a query whose order is by
 * distance, and give them the order that the query asks for, by values of a
 * type that may be another one.
 */
static void
add_ordered_paths(PlannerInfo *root, RelOptInfo *rel, IndexOptInfo *index, OpExpr *distance,
				  List *pathkeys, Oid type)
{
	List	   *query_pathkeys = root->query_pathkeys;
	List	   *indexlist = rel->indexlist;
	List	   *pathlist = rel->pathlist;
	List	   *partial_pathlist = rel->partial_pathlist;
	List	   *made;
	ListCell   *cell;

	root->query_pathkeys = list_make1(distance_pathkey(distance, rel));
	rel->indexlist = list_make1(index);
	rel->pathlist = NIL;
	rel->partial_pathlist = NIL;
	create_index_paths(root, rel);
	made = rel->pathlist;
	rel->partial_pathlist = partial_pathlist;
	rel->pathlist = pathlist;
	rel->indexlist = indexlist;
	root->query_pathkeys = query_pathkeys;

	foreach(cell, made)
	{
		IndexPath  *path = lfirst(cell);

		/* the planner makes nothing of the order of a path with parameters */
		if (!IsA(path, IndexPath) || path->indexorderbys == NIL || path->path.param_info != NULL)
			continue;
		path->path.pathkeys = pathkeys;

		/*
		 * The plan names an operator that compares what the order is by, in
		 * case the executor has to sort rows that the index gives only about
		 * in order.  It never has to for these indexes.  But the planner looks
		 * for it in the pathkey's operator family, by the type that is
		 * claimed here.
		 */
		if (type != FLOAT8OID)
		{
			OpExpr	   *order = copyObject(linitial_node(OpExpr, path->indexorderbys));

			order->opresulttype = type;
			path->indexorderbys = list_make1(order);
		}
		add_path(rel, &path->path);
	}
}

/* Whether a table's index gives the order of the query's first key; if so, add its paths. */
static bool
use_index(PlannerInfo *root, RelOptInfo *rel, Oid table, IndexOptInfo *index, PathKey *pathkey, Expr *expr)
{
	for (int column = 0; column < index->nkeycolumns; column++)
	{
		Monotone	m;
		bool		single = list_length(root->query_pathkeys) == 1;

		if (!monotone_in_distance((Node *) expr, index, column, &m) ||
			!is_order_of(pathkey, &m, table, rel, index, column))
			continue;
		/* what the planner has found by itself */
		if (m.distance == (OpExpr *) expr && !pathkey->pk_nulls_first && (single || VECIDX_PLANS_PREFIX))
			continue;
		add_ordered_paths(root, rel, index, m.distance,
						  single ? root->query_pathkeys : list_make1(pathkey), exprType((Node *) expr));
		return true;
	}
	return false;
}

/*
 * Whether the query wants its rows in some order, and nothing that relies on
 * it.  An index gives its nearest rows in order, approximately all of them,
 * and without NULLs: enough for ORDER BY.  Grouping, DISTINCT, UNION and merge
 * joins take equal rows to be side by side.
 */
static bool
wants_order(const PlannerInfo *root)
{
	const Query *query = root->parse;

	return root->query_pathkeys != NIL &&
		(root->query_pathkeys == root->sort_pathkeys || root->query_pathkeys == root->window_pathkeys) &&
		!query->hasAggs && query->groupClause == NIL && query->groupingSets == NIL && query->distinctClause == NIL &&
		((PathKey *) linitial(root->query_pathkeys))->pk_eclass->ec_sources == NIL;
}

/* Whether the planner has found an index that gives the query's order: most queries end here. */
static bool
has_ordered_path(const PlannerInfo *root, const RelOptInfo *rel)
{
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		IndexPath  *path = lfirst(cell);

		if (IsA(path, IndexPath) && path->indexorderbys != NIL && path->path.pathkeys == root->query_pathkeys)
			return true;
	}
	return false;
}

static void
order_hook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	PathKey    *pathkey;
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);

	/*
	 * Tables of which the planner itself considers index scans.  Paths with
	 * parameters have no order.
	 */
	if (!wants_order(root) || rel->indexlist == NIL || !IS_SIMPLE_REL(rel) || IS_DUMMY_REL(rel) ||
		rte->rtekind != RTE_RELATION || rte->inh || rte->tablesample != NULL || rel->lateral_relids != NULL)
		return;
	pathkey = linitial(root->query_pathkeys);
	if (pathkey->pk_eclass->ec_has_volatile || has_ordered_path(root, rel))
		return;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);
		VecidxMemberIterator members;
		EquivalenceMember *member;

		if (!index->amcanorderbyop || (index->indpred != NIL && !index->predOK))
			continue;
		vecidx_members_begin(&members, pathkey->pk_eclass, rel->relids);
		while ((member = vecidx_members_next(&members)) != NULL)
		{
			Expr	   *expr = member->em_expr;

			/* of this table alone, more than a column, and by the order that its type has */
			if (IsA(expr, Var) || !bms_equal(member->em_relids, rel->relids) ||
				pathkey->pk_opfamily != lookup_type_cache(exprType((Node *) expr), TYPECACHE_BTREE_OPFAMILY)->btree_opf ||
				!vecidx_is_our_am(index->relam))
				continue;
			if (use_index(root, rel, rte->relid, index, pathkey, expr))
				break;
		}
	}
}

void
vecidx_order_init(void)
{
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = order_hook;
}
