/*
 * row_tests.c
 *		Tells scans what the query does with their rows.
 *
 * When a query starts, this hook looks through its plan for scans of our
 * indexes whose rows may be discarded: by conditions of the scan node that are
 * not the index's, or by what stands above it, up to a LIMIT.  The scan
 * of such a node begins with a test at hand (index/row_test.h).  The plan stays what
 * it is, and the executor still tests each row that it gets.  See README.md.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "executor/executor.h"
#include "index/am.h"
#include "index/radius.h"
#include "index/row_test.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "plan/row_tests.h"

/* Nanoseconds of a test, whatever its conditions are, and of a unit of the planner's costs. */
#define TEST_NS 40
#define NS_PER_COST 1000

/*
 * A row that passes is tested once more by the executor, and a scan looks at
 * some that are not asked for.  Conditions that take longer than this lose more
 * by that than they save where a vector need not be read.
 */
#define MOST_TEST_NS 10000

/* A scan that has not begun yet. */
typedef struct Waiting
{
	struct Waiting *next;
	IndexScanState *node;
	ExecProcNodeMtd exec;		/* the node's own function */
	const LimitState *limit;
	MemoryContextCallback forget;
} Waiting;

/* What is known of the rows of a node from what stands above it. */
typedef struct Above
{
	const LimitState *limit;	/* the nearest one, or NULL */
	bool		discards;		/* something below it may discard rows */
} Above;

static ExecutorStart_hook_type next_start;
static Waiting *all_waiting;

/* The query has ended, or failed. */
static void
forget_waiting(void *arg)
{
	for (Waiting **link = &all_waiting; *link != NULL; link = &(*link)->next)
		if (*link == arg)
		{
			*link = (*link)->next;
			return;
		}
}

/*
 * Whether conditions have a subquery that runs for each row.  It may call
 * volatile functions, which contain_volatile_functions() does not see in a plan.
 */
static bool
has_subquery(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SubPlan) && !castNode(SubPlan, node)->useHashTable)
		return true;
	return expression_tree_walker(node, has_subquery, context);
}

/*
 * The conditions that a scan can test: all in their order up to the first that
 * may not be called twice for a row, or is too dear for that.  Cheap ones come
 * first, as far as row security lets them.
 */
static List *
testable(List *qual, double *ns)
{
	List	   *result = NIL;
	ListCell   *cell;

	*ns = TEST_NS;
	foreach(cell, qual)
	{
		Node	   *condition = lfirst(cell);
		QualCost	cost;

		if (contain_volatile_functions(condition) || has_subquery(condition, NULL))
			break;
		cost_qual_eval_node(&cost, condition, NULL);
		if (*ns + NS_PER_COST * cost.per_tuple > MOST_TEST_NS)
			break;
		*ns += NS_PER_COST * cost.per_tuple;
		result = lappend(result, condition);
	}
	return result;
}

/* In the query's memory context. */
static VecidxRowTest *
make_test(IndexScanState *node, const LimitState *limit)
{
	VecidxRowTest *test = palloc0(sizeof(VecidxRowTest));
	List	   *qual = node->ss.ps.plan->qual;
	List	   *tested;
	double		ns;

	test->node = &node->ss.ps;
	test->limit = limit;
	tested = testable(qual, &ns);
	/* a subquery's result is computed once, for the node's own conditions */
	if (tested == NIL || (list_length(tested) < list_length(qual) && contain_subplans((Node *) tested)))
		return test;
	test->test_ns = ns;
	test->qual = list_length(tested) == list_length(qual) ? node->ss.ps.qual : ExecInitQual(tested, &node->ss.ps);
	test->index_qual = node->indexqualorig;
	test->econtext = CreateExprContext(node->ss.ps.state);
	return test;
}

/* Begin the scan of a node, as the node itself would, but for the test. */
static void
begin_scan(IndexScanState *node, const LimitState *limit)
{
	MemoryContext old = MemoryContextSwitchTo(node->ss.ps.state->es_query_cxt);
	VecidxRowTest *test = make_test(node, limit);

	vecidx_row_test_offer(test, node->iss_RelationDesc);
	PG_TRY();
	{
		node->iss_ScanDesc = vecidx_index_beginscan(node->ss.ss_currentRelation, node->iss_RelationDesc, node->ss.ps.state->es_snapshot,
													&node->iss_Instrument, node->iss_NumScanKeys, node->iss_NumOrderByKeys);
	}
	PG_FINALLY();
	{
		vecidx_row_test_offer(NULL, node->iss_RelationDesc);
	}
	PG_END_TRY();
	if (node->iss_NumRuntimeKeys == 0 || node->iss_RuntimeKeysReady)
		index_rescan(node->iss_ScanDesc, node->iss_ScanKeys, node->iss_NumScanKeys,
					 node->iss_OrderByKeys, node->iss_NumOrderByKeys);
	MemoryContextSwitchTo(old);
}

/* Stands in for the node's function until its first call. */
static TupleTableSlot *
begin_and_exec(PlanState *ps)
{
	IndexScanState *node = castNode(IndexScanState, ps);
	Waiting    *waiting = all_waiting;

	while (waiting != NULL && waiting->node != node)
		waiting = waiting->next;
	if (waiting == NULL)
		elog(ERROR, "index scan is not among those that wait for their first row");
	ExecSetExecProcNode(ps, waiting->exec);
	if (node->iss_ScanDesc == NULL && ps->state->es_epq_active == NULL)
		begin_scan(node, waiting->limit);
	return waiting->exec(ps);
}

static void
wait_for(IndexScanState *node, const LimitState *limit)
{
	MemoryContext context = node->ss.ps.state->es_query_cxt;
	Waiting    *waiting = MemoryContextAlloc(context, sizeof(Waiting));

	waiting->node = node;
	waiting->exec = node->ss.ps.ExecProcNodeReal;
	waiting->limit = limit;
	waiting->forget.func = forget_waiting;
	waiting->forget.arg = waiting;
	waiting->next = all_waiting;
	all_waiting = waiting;
	MemoryContextRegisterResetCallback(context, &waiting->forget);
	ExecSetExecProcNode(&node->ss.ps, begin_and_exec);
}

/*
 * Whether the executor may reject rows of a scan that the index gives.  A bound of
 * the distance, which the scan keeps to (index/radius.h), rejects none.
 */
static bool
has_filter(const IndexScanState *node)
{
	return list_length(node->ss.ps.plan->qual) > vecidx_radius_keys(node->iss_ScanKeys, node->iss_NumScanKeys);
}

/* Whether a node hands on each row that it gets, sooner or later. */
static bool
hands_on(const PlanState *ps)
{
	switch (nodeTag(ps))
	{
		case T_ResultState:
			return ps->qual == NULL && castNode(ResultState, ps)->resconstantqual == NULL;
		case T_SubqueryScanState:
			return ps->qual == NULL;
		case T_LockRowsState:
		case T_AppendState:
		case T_MergeAppendState:
		case T_SortState:
		case T_IncrementalSortState:
		case T_ProjectSetState:
		case T_GatherState:
		case T_GatherMergeState:
		case T_MaterialState:
			return true;
		default:
			return false;
	}
}

static bool
find_scans(PlanState *ps, void *arg)
{
	const Above *above = arg;
	Above		here = *above;

	if (ps == NULL)
		return false;
	check_stack_depth();
	if (IsA(ps, IndexScanState))
	{
		IndexScanState *node = castNode(IndexScanState, ps);

		if (node->iss_RelationDesc != NULL && node->iss_NumOrderByKeys > 0 &&
			(above->discards || has_filter(node)) && vecidx_is_our_index(node->iss_RelationDesc))
			wait_for(node, above->limit);
	}
	if (IsA(ps, LimitState))
	{
		here.limit = castNode(LimitState, ps);
		here.discards = false;
	}
	else if (!hands_on(ps))
		here.discards = true;
	return planstate_tree_walker(ps, find_scans, &here);
}

static void
start_hook(QueryDesc *query, int eflags)
{
	Above		above = {0};

	if (next_start != NULL)
		next_start(query, eflags);
	else
		standard_ExecutorStart(query, eflags);
	if ((eflags & EXEC_FLAG_EXPLAIN_ONLY) == 0)
		find_scans(query->planstate, &above);
}

void
vecidx_row_tests_init(void)
{
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start_hook;
}
