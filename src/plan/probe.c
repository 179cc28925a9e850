/*
 * probe.c
 *		A look at the rows nearest to a query while it is planned.
 *
 * A scan by distance looks at rows until so many have met the conditions
 * outside its index.  How many rows that takes depends on whether the
 * conditions go with the distance: rows of the query's own topic are found
 * at once, those of a topic far from it only when most of the index has been
 * gone through.  No statistics tell.  So where it matters to the choice of
 * the plan, and takes little beside that plan, the nearest rows are looked at,
 * and the scan's cost becomes what is to be expected after that.  README.md
 * tells what is believed before and after.
 *
 * Nothing happens for queries without conditions.
 */
#include "vecidx.h"

#include <math.h>

#include "access/amapi.h"
#include "access/genam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/nodeIndexscan.h"
#include "guc.h"
#include "index/am.h"
#include "index/cost.h"
#include "index/opclass.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "plan/probe.h"
#include "utils/float.h"
#include "utils/snapmgr.h"
#include "utils/spccache.h"

/* What a look takes, and each row of it, in microseconds. */
#define LOOK_US 25
#define LOOK_ROW_US 1.2

/* It may take this part of what the query is expected to take. */
#define LOOK_SHARE 0.1
#define LOOK_MORE_SHARE 0.08	/* to look further */

/*
 * Rows to look at before the first thought, and at most; when they have been
 * looked at, so many times more are.
 */
#define LOOK_FIRST 20
#define LOOK_GROWTH 3
#define LOOK_MOST (LOOK_FIRST * LOOK_GROWTH * LOOK_GROWTH)

/* Lists of an ivf index that hold the first ones: no need to be sure. */
#define LOOK_PROBES 4

/* A path that is so many times cheaper than the others is taken without looking further. */
#define CLEARLY 3

/*
 * A unit of cost is a microsecond of a search, and of plans that read a whole
 * table.  Plans that fetch what another index names pay for pages as if few
 * were in memory.  Where most are, they take this for each row, beside its
 * distance, and for a unit of the cost of that index.
 */
#define FETCHED_ROW_US 0.45
#define CACHED_PAGE_US 0.5		/* the page of a row that a scan by distance looks at */
#define INDEX_UNIT_US 5.0
#define DISTANCE_UNIT_US 0.005	/* a cpu_operator_cost of a distance: types/vectype_cost.c */

/*
 * A search in the index that takes longer than this, though hardly a row
 * meets the conditions, is worth a plan for the values given.
 */
#define DEAR_SEARCH_US 250

/*
 * What is thought of the share of rows near the query that meet the
 * conditions: RATES values, each a multiple of the last, the middle one being
 * the share of all rows.  Each step from there is half as likely.
 */
#define RATES 13
#define RATE_FACTOR 4.0

typedef struct Odds
{
	double		rate[RATES];
	double		weight[RATES];	/* sum 1, once something is known */
} Odds;

/* A path by distance, and what it costs as a function of what is near. */
typedef struct Ordered
{
	IndexPath  *path;
	List	   *tested;			/* conditions that a look can evaluate, of RestrictInfo */
	double		tested_share;	/* of the rows that meet them, as the planner knows it */
	double		other_share;	/* the same for the other conditions outside the index */
	double		row_cost;		/* of a row that is looked at */
	double		most;			/* cost of finding all there is, but for the start */
	double		limit;			/* rows that the query wants */
} Ordered;

/* What else there is: its cost with a sort, and about how long it takes. */
typedef struct Other
{
	Cost		cost;
	double		us;
} Other;

static set_rel_pathlist_hook_type next_hook;

/* ---- What is believed ---- */

static void
odds_begin(Odds *odds, double share)
{
	int			middle = RATES / 2;

	for (int i = 0; i < RATES; i++)
	{
		odds->rate[i] = Min(1.0, share * pow(RATE_FACTOR, i - middle));
		odds->weight[i] = pow(0.5, abs(i - middle));
	}
}

/* After so many rows more, of which so many met the conditions. */
static void
odds_learn(Odds *odds, int rows, int met)
{
	double		likelihood[RATES];
	double		largest = -HUGE_VAL;
	double		sum = 0;

	for (int i = 0; i < RATES; i++)
	{
		/* some rows may always be otherwise */
		double		rate = Min(odds->rate[i], 0.98);

		likelihood[i] = met * log(rate) + (rows - met) * log(1 - rate);
		largest = Max(largest, likelihood[i]);
	}
	for (int i = 0; i < RATES; i++)
	{
		/* nothing becomes impossible */
		odds->weight[i] = Max(odds->weight[i], 1e-12) * exp(likelihood[i] - largest);
		sum += odds->weight[i];
	}
	for (int i = 0; i < RATES; i++)
		odds->weight[i] /= sum;
}

/* What a path takes until the query has its rows, in microseconds, if such a share of the rows near it meets the tested conditions. */
static double
time_at(const Ordered *ordered, double rate)
{
	double		rows = ordered->limit / Max(rate * ordered->other_share, 1e-10);

	return ordered->path->path.startup_cost + Min(rows * ordered->row_cost, ordered->most);
}

static double
expected_time(const Ordered *ordered, const Odds *odds)
{
	double		us = 0;

	for (int i = 0; i < RATES; i++)
		us += odds->weight[i] * time_at(ordered, odds->rate[i]);
	return us;
}

/* ---- Whether to look ---- */

/*
 * Whether a condition can be evaluated while planning: by functions that are
 * leakproof, which raise no errors and tell nothing of rows that the user may
 * not see, and over columns alone.
 */
static bool
unknown_walker(Node *node, void *context)
{
	Index		relid = *(Index *) context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
			return castNode(Var, node)->varlevelsup > 0 || (Index) castNode(Var, node)->varno != relid;
		case T_Param:
		case T_SubLink:
		case T_SubPlan:
		case T_AlternativeSubPlan:
		case T_PlaceHolderVar:
		case T_CurrentOfExpr:
			return true;
		default:
			return expression_tree_walker(node, unknown_walker, context);
	}
}

static bool
can_evaluate(Node *clause, Index relid)
{
	return !contain_volatile_functions(clause) && !contain_leaked_vars(clause) && !unknown_walker(clause, &relid);
}

/* Share of a table that is likely to be in memory. */
static double
cached_share(const RelOptInfo *rel)
{
	return Min(1.0, (double) effective_cache_size / Max((double) rel->pages, 1.0));
}

/* If a path is cheaper than what there is, take it; row_cost and row_us are of a row's distance, and of sorting it. */
static void
add_other(Other *other, const RelOptInfo *rel, const Path *path, Cost extra, Cost row_cost, double row_us)
{
	Cost		cost = path->total_cost + extra + path->rows * row_cost;
	double		cached = cached_share(rel);
	Cost		index_cost;
	Selectivity fetched;

	if (vecidx_path_disabled(path) || cost >= other->cost)
		return;
	other->cost = other->us = cost;
	if (IsA(path, BitmapHeapPath))
		cost_bitmap_tree_node(((const BitmapHeapPath *) path)->bitmapqual, &index_cost, &fetched);
	else if (IsA(path, IndexPath))
	{
		index_cost = ((const IndexPath *) path)->indextotalcost;
		fetched = ((const IndexPath *) path)->indexselectivity;
	}
	else
		return;
	other->us = (1 - cached) * cost +
		cached * (index_cost * INDEX_UNIT_US + fetched * rel->tuples * (FETCHED_ROW_US + row_us));
}

/* The cheapest way to the query's rows that is not ordered by an index; infinity if there is none. */
static void
cheapest_other(Other *other, PlannerInfo *root, const RelOptInfo *rel, const IndexPath *ordered)
{
	QualCost	distance;
	Cost		row_cost;
	double		row_us;
	ListCell   *cell;

	/* the planner adds the distance of each row to be sorted later */
	cost_qual_eval(&distance, ordered->indexorderbys, root);
	row_cost = distance.per_tuple + 2 * cpu_operator_cost * log2(2 * Max(root->limit_tuples, 1.0));
	row_us = cpu_operator_cost > 0 ? distance.per_tuple / cpu_operator_cost * DISTANCE_UNIT_US : 0;

	other->cost = other->us = get_float8_infinity();
	foreach(cell, rel->pathlist)
	{
		Path	   *path = lfirst(cell);

		if (path->pathkeys == NIL && path->param_info == NULL)
			add_other(other, rel, path, 0, row_cost, row_us);
	}
	foreach(cell, rel->partial_pathlist)
		add_other(other, rel, lfirst(cell), parallel_setup_cost, row_cost, row_us);
}

/* Fill in what is known of a path; false where it has no conditions outside its index. */
static bool
describe(PlannerInfo *root, RelOptInfo *rel, IndexPath *path, Ordered *ordered)
{
	List	   *others = NIL;
	double		rows = Max(path->indexselectivity * rel->tuples, 1.0);
	double		page_cost;
	ListCell   *cell;

	ordered->path = path;
	ordered->tested = NIL;
	foreach(cell, path->indexinfo->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (rinfo->pseudoconstant || vecidx_has_condition(path, rinfo))
			continue;
		if (can_evaluate((Node *) rinfo->clause, rel->relid))
			ordered->tested = lappend(ordered->tested, rinfo);
		else
			others = lappend(others, rinfo);
	}
	if (ordered->tested == NIL && others == NIL)
		return false;
	ordered->tested_share = Max(clauselist_selectivity(root, ordered->tested, rel->relid, JOIN_INNER, NULL), 1 / rows);
	ordered->other_share = Max(clauselist_selectivity(root, others, rel->relid, JOIN_INNER, NULL), 1 / rows);
	/* costs have each row on a page that is read at random */
	get_tablespace_page_costs(rel->reltablespace, &page_cost, NULL);
	ordered->row_cost = (path->path.total_cost - path->path.startup_cost) / rows;
	ordered->row_cost = Max(ordered->row_cost / 4, ordered->row_cost - Max(0.0, page_cost - CACHED_PAGE_US) * cached_share(rel));
	ordered->limit = root->limit_tuples;
	ordered->most = Min(path->path.total_cost - path->path.startup_cost,
						vecidx_table_pass_cost(rel) + Min(ordered->limit, path->path.rows) * ordered->row_cost);
	return true;
}

/*
 * Whether the choice between a path by distance and the cheapest other one
 * can depend on what is near.
 */
static bool
matters(const Ordered *ordered, const Other *other)
{
	if (ordered->tested == NIL)
		return false;
	if (time_at(ordered, ordered->tested_share) < other->us)
		return time_at(ordered, 0) >= other->us;
	return time_at(ordered, 1) < other->us;
}

/* The vector that a path's distances are to. */
static Node *
query_vector(const IndexPath *path)
{
	OpExpr	   *order = linitial(path->indexorderbys);

	return IsA(order, OpExpr) ? lsecond(order->args) : NULL;
}

/* ---- Looking ---- */

/*
 * A scan of these indexes counts as one of all their rows where transactions
 * are serialized: that is for the executor to decide.
 */
static bool
can_look(void)
{
	return vecidx_plan_probe && ActiveSnapshotSet() && IsMVCCSnapshot(GetActiveSnapshot()) && !IsolationIsSerializable();
}

/*
 * Index conditions, or the order, as the executor has them: the column of the
 * index on the left, a constant on the right.  False where that is not known.
 */
static bool
append_index_qual(PlannerInfo *root, Expr *clause, int column, List **quals)
{
	Node	   *left;
	Var		   *var;

	clause = copyObject(clause);
	if (IsA(clause, NullTest))
		left = (Node *) castNode(NullTest, clause)->arg;
	else if (IsA(clause, OpExpr) || IsA(clause, ScalarArrayOpExpr))
	{
		List	   *args = IsA(clause, OpExpr) ? castNode(OpExpr, clause)->args : castNode(ScalarArrayOpExpr, clause)->args;

		left = linitial(args);
		lsecond(args) = estimate_expression_value(root, lsecond(args));
		if (!IsA(lsecond(args), Const))
			return false;
	}
	else
		return false;
	var = makeVar(INDEX_VAR, column + 1, exprType(left), -1, exprCollation(left), 0);
	if (IsA(clause, NullTest))
		castNode(NullTest, clause)->arg = (Expr *) var;
	else if (IsA(clause, OpExpr))
		linitial(castNode(OpExpr, clause)->args) = var;
	else
		linitial(castNode(ScalarArrayOpExpr, clause)->args) = var;
	*quals = lappend(*quals, clause);
	return true;
}

static bool
index_quals(PlannerInfo *root, const IndexPath *path, List **quals, List **orders)
{
	ListCell   *cell;
	ListCell   *qual;

	*quals = *orders = NIL;
	foreach(cell, path->indexclauses)
	{
		IndexClause *condition = lfirst_node(IndexClause, cell);

		/* a bound of the distance ends a scan, and hides no rows before */
		if (condition->indexcol == 0)
			continue;
		foreach(qual, condition->indexquals)
			if (!append_index_qual(root, lfirst_node(RestrictInfo, qual)->clause, condition->indexcol, quals))
				return false;
	}
	return append_index_qual(root, linitial(path->indexorderbys), linitial_int(path->indexorderbycols), orders);
}

/* Whether so many rows may be looked at, for a query that is expected to take as long. */
static bool
has_time(int rows, double us, double share)
{
	return rows <= LOOK_MOST && LOOK_US + rows * LOOK_ROW_US <= share * us;
}

/* Settings of a search that is over after about so many rows. */
static void
shorten_searches(int rows)
{
	hnsw_ef_search = rows;
	hnsw_iterative_scan = ivfflat_settings.iterative_scan = ivfpq_settings.iterative_scan = ITERATIVE_SCAN_OFF;
	ivfflat_settings.probes = ivfpq_settings.probes = LOOK_PROBES * rows / LOOK_FIRST;
	ivfpq_settings.rerank = false;
}

/* Scan, and learn from it.  Returns how many rows there were. */
static int
scan_nearest(PlannerInfo *root, const Ordered *ordered, Relation table, Relation index, Odds *odds, const Other *other)
{
	EState	   *estate = CreateExecutorState();
	MemoryContext former = MemoryContextSwitchTo(estate->es_query_cxt);
	ExprContext *econtext = GetPerTupleExprContext(estate);
	TupleTableSlot *slot = table_slot_create(table, &estate->es_tupleTable);
	ScanKey		keys;
	ScanKey		orderbys;
	IndexRuntimeKeyInfo *runtime = NULL;
	int			nkeys;
	int			norderbys;
	int			nruntime = 0;
	List	   *quals;
	List	   *orders;
	List	   *conditions = NIL;
	int			rows = 0;
	ListCell   *cell;

	if (index_quals(root, ordered->path, &quals, &orders))
	{
		ExprState  *test;
		IndexScanDesc scan;
		int			met = 0;

		ExecIndexBuildScanKeys(NULL, index, quals, false, &keys, &nkeys, &runtime, &nruntime, NULL, NULL);
		ExecIndexBuildScanKeys(NULL, index, orders, true, &orderbys, &norderbys, &runtime, &nruntime, NULL, NULL);
		foreach(cell, ordered->tested)
			conditions = lappend(conditions, estimate_expression_value(root, copyObject((Node *) lfirst_node(RestrictInfo, cell)->clause)));
		test = ExecPrepareQual(conditions, estate);
		econtext->ecxt_scantuple = slot;

		scan = vecidx_index_beginscan(table, index, GetActiveSnapshot(), NULL, nkeys, norderbys);
		for (int goal = LOOK_FIRST; rows < goal; goal *= LOOK_GROWTH)
		{
			int			seen = rows;
			double		expected;

			/* the first rows come again */
			shorten_searches(goal);
			index_rescan(scan, keys, nkeys, orderbys, norderbys);
			for (int i = 0; i < goal && index_getnext_slot(scan, ForwardScanDirection, slot); i++)
			{
				CHECK_FOR_INTERRUPTS();
				if (i < seen)
					continue;
				rows++;
				met += ExecQualAndReset(test, econtext);
			}
			odds_learn(odds, rows - seen, met);
			met = 0;
			expected = expected_time(ordered, odds);
			if (rows < goal || expected * CLEARLY < other->us ||
				!has_time(goal * LOOK_GROWTH, Min(expected, other->us), LOOK_MORE_SHARE))
				break;
		}
		index_endscan(scan);
	}
	MemoryContextSwitchTo(former);
	ExecResetTupleTable(estate->es_tupleTable, false);
	FreeExecutorState(estate);
	return rows;
}

/* The settings that shorten_searches() sets. */
typedef struct SearchSettings
{
	int			ef_search;
	int			iterative_scan;
	IvfSettings ivfflat;
	IvfSettings ivfpq;
} SearchSettings;

/* A vector with other dimensions is an error of the query if that comes to compare it, not of planning. */
static bool
is_comparable(Relation index, const Const *vector)
{
	const VecidxOpclass *opclass = vecidx_opclass(index);

	return opclass->type->dim(opclass->type->detoast(vector->constvalue)) == vecidx_index_dim(index, opclass);
}

/* False where there was nothing to be seen. */
static bool
look(PlannerInfo *root, const Ordered *ordered, Oid table_oid, Odds *odds, const Other *other)
{
	/* the planner holds locks on both */
	Relation	table = table_open(table_oid, NoLock);
	Relation	index = index_open(ordered->path->indexinfo->indexoid, NoLock);
	int			rows = 0;
	SearchSettings former = {hnsw_ef_search, hnsw_iterative_scan, ivfflat_settings, ivfpq_settings};

	PG_TRY();
	{
		if (is_comparable(index, castNode(Const, query_vector(ordered->path))))
			rows = scan_nearest(root, ordered, table, index, odds, other);
	}
	PG_FINALLY();
	{
		hnsw_ef_search = former.ef_search;
		hnsw_iterative_scan = former.iterative_scan;
		ivfflat_settings = former.ivfflat;
		ivfpq_settings = former.ivfpq;
	}
	PG_END_TRY();
	index_close(index, NoLock);
	table_close(table, NoLock);
	return rows > 0;
}

/*
 * Have the planner find a cost when it interpolates between those of the
 * first row and of all.
 */
static void
set_cost(Path *path, Cost expected, double limit)
{
	double		part = Min(1.0, limit / Max(path->rows, 1.0));

	if (expected - path->startup_cost <= (path->total_cost - path->startup_cost) * part)
		path->total_cost = path->startup_cost + (expected - path->startup_cost) / part;
	else if (part < 1 && expected < path->total_cost)
		path->startup_cost = (expected - path->total_cost * part) / (1 - part);
	else
		path->startup_cost = path->total_cost = expected;
}

/* ---- Plans for any values ---- */

/* Whether an expression has a parameter of the statement: in a plan for given values those are constants. */
static bool
parameter_walker(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Param))
		return castNode(Param, node)->paramkind == PARAM_EXTERN;
	return expression_tree_walker(node, parameter_walker, context);
}

/* Whether an index of another kind finds the rows that meet a comparison. */
static bool
has_other_index(const RelOptInfo *rel, Node *clause)
{
	List	   *operands = IsA(clause, OpExpr) ? castNode(OpExpr, clause)->args :
		IsA(clause, ScalarArrayOpExpr) ? castNode(ScalarArrayOpExpr, clause)->args : NIL;
	ListCell   *cell;
	ListCell   *operand;

	foreach(cell, rel->indexlist)
	{
		IndexOptInfo *index = lfirst(cell);

		if (vecidx_is_our_am(index->relam) || (index->indpred != NIL && !index->predOK))
			continue;
		foreach(operand, operands)
			if (match_index_to_operand(lfirst(operand), 0, index))
				return true;
	}
	return false;
}

/* Whether the values of a statement's parameters decide how many rows meet a condition that another index finds. */
static bool
is_open(const RelOptInfo *rel, const RestrictInfo *rinfo)
{
	return parameter_walker((Node *) rinfo->clause, NULL) && has_other_index(rel, (Node *) rinfo->clause);
}

/* What a search takes if hardly a row meets the conditions in the index, in microseconds. */
static double
time_if_rare(PlannerInfo *root, const IndexPath *path)
{
	amcostestimate_function estimate = (amcostestimate_function) path->indexinfo->amcostestimate;
	IndexPath  *rare = makeNode(IndexPath);
	Cost		startup;
	Cost		total;
	Selectivity selectivity;
	double		correlation;
	double		pages;
	ListCell   *cell;

	*rare = *path;
	rare->indexclauses = NIL;
	foreach(cell, path->indexclauses)
	{
		IndexClause *condition = makeNode(IndexClause);

		*condition = *lfirst_node(IndexClause, cell);
		condition->rinfo = makeNode(RestrictInfo);
		*condition->rinfo = *lfirst_node(IndexClause, cell)->rinfo;
		/* as if it had been computed before */
		condition->rinfo->norm_selec = 1 / Max(path->indexinfo->tuples, 1.0);
		rare->indexclauses = lappend(rare->indexclauses, condition);
	}
	estimate(root, rare, 1, &startup, &total, &selectivity, &correlation, &pages);
	return startup;
}

/*
 * Whether a plan for any values has to choose without knowing what decides
 * between a path by distance and others: what share of the rows meets a
 * condition, and, of one outside its index, whether these rows are near.
 */
static bool
chooses_blindly(PlannerInfo *root, RelOptInfo *rel, IndexPath *path, const Other *other)
{
	Ordered		ordered;
	bool		open_inside = false;
	ListCell   *cell;

	foreach(cell, path->indexinfo->indrestrictinfo)
	{
		RestrictInfo *rinfo = lfirst_node(RestrictInfo, cell);

		if (!is_open(rel, rinfo))
			continue;
		if (!vecidx_has_condition(path, rinfo))
			return true;
		open_inside = true;
	}
	return (open_inside && time_if_rare(root, path) > DEAR_SEARCH_US) ||
		(parameter_walker(query_vector(path), NULL) && describe(root, rel, path, &ordered) && matters(&ordered, other));
}

/*
 * PostgreSQL goes over to a plan for any values when that costs no more than
 * the plans for the values so far.  Have it cost more than any of those, by
 * the same amount whatever it will be.
 */
static void
charge_all(RelOptInfo *rel, Cost charge)
{
	ListCell   *cell;

	foreach(cell, rel->pathlist)
	{
		((Path *) lfirst(cell))->startup_cost += charge;
		((Path *) lfirst(cell))->total_cost += charge;
	}
	foreach(cell, rel->partial_pathlist)
	{
		((Path *) lfirst(cell))->startup_cost += charge;
		((Path *) lfirst(cell))->total_cost += charge;
	}
}

/* ---- The hook ---- */

static void
consider_path(PlannerInfo *root, RelOptInfo *rel, Oid table, IndexPath *path, const Other *other)
{
	Node	   *vector = query_vector(path);
	Ordered		ordered;
	double		us;

	if (!describe(root, rel, path, &ordered))
		return;
	us = time_at(&ordered, ordered.tested_share);
	if (vector != NULL && IsA(vector, Const) && !castNode(Const, vector)->constisnull && can_look() &&
		matters(&ordered, other) && has_time(LOOK_FIRST, Min(us, other->us), LOOK_SHARE))
	{
		Odds		odds;

		odds_begin(&odds, ordered.tested_share);
		if (look(root, &ordered, table, &odds, other))
			us = expected_time(&ordered, &odds);
	}
	set_cost(&path->path, us * other->cost / other->us, ordered.limit);
	rel->pathlist = list_delete_ptr(rel->pathlist, path);
	add_path(rel, &path->path);
}

static bool
is_ordered_path(const Path *path)
{
	const IndexPath *index_path = (const IndexPath *) path;

	return IsA(path, IndexPath) && path->pathkeys != NIL && path->param_info == NULL && !vecidx_path_disabled(path) &&
		index_path->indexorderbys != NIL && vecidx_is_our_am(index_path->indexinfo->relam);
}

static void
probe_hook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{
	List	   *ordered = NIL;
	Other		other;
	ListCell   *cell;

	if (next_hook != NULL)
		next_hook(root, rel, rti, rte);

	if (rel->baserestrictinfo == NIL || rel->indexlist == NIL || root->limit_tuples <= 0 ||
		rte->rtekind != RTE_RELATION || IS_DUMMY_REL(rel) || !enable_sort)
		return;
	foreach(cell, rel->pathlist)
		if (is_ordered_path(lfirst(cell)))
			ordered = lappend(ordered, lfirst(cell));
	if (ordered == NIL)
		return;
	cheapest_other(&other, root, rel, linitial(ordered));
	if (isinf(other.cost) || other.us <= 0)
		return;

	/* where tables are joined, such a charge would count again and again */
	if (root->glob->boundParams == NULL && bms_membership(root->all_baserels) == BMS_SINGLETON)
		foreach(cell, ordered)
			if (chooses_blindly(root, rel, lfirst(cell), &other))
			{
				charge_all(rel, other.cost + vecidx_table_pass_cost(rel));
				return;
			}
	foreach(cell, ordered)
		consider_path(root, rel, rte->relid, lfirst(cell), &other);
}

void
vecidx_probe_init(void)
{
	next_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = probe_hook;
}
