/*
 * parallel.c
 *		Building an index in several processes.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_proc.h"
#include "index/parallel.h"
#include "miscadmin.h"
#include "optimizer/clauses.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/wait_event.h"

#define KEY_SHARED UINT64CONST(0x7665636964780001)
#define KEY_QUERY_TEXT UINT64CONST(0x7665636964780002)

#define TICK_MS 1000

/* ---- Shared memory that may not be there ---- */

/*
 * Run something that asks for shared memory.  The allocation of a segment
 * raises an error where the system has no room for it (a small /dev/shm, say),
 * and there is no way to ask before.  A subtransaction would be the usual way
 * to survive an error, but a parallel context cannot outlive one.  It is not
 * needed: nothing has been locked or written when a segment cannot be had, and
 * what was registered goes with a resource owner of its own.
 *
 * Returns false with the error's text in *why.  Whatever is not about
 * resources is raised again.
 */
static bool
survive_shortage(void (*function) (void *arg), void *arg, char **why)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner outer = CurrentResourceOwner;
	ResourceOwner owner = ResourceOwnerCreate(outer, "vecidx shared memory");
	volatile bool done = false;

	CurrentResourceOwner = owner;
	PG_TRY();
	{
		function(arg);
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		/* what dsm_create() makes of ENOMEM, EFBIG, ENOSPC, EMFILE, EACCES and the like */
		if (category != ERRCODE_INSUFFICIENT_RESOURCES && category != ERRCODE_SYSTEM_ERROR &&
			error->sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE &&
			error->sqlerrcode != ERRCODE_UNDEFINED_FILE)
		{
			CurrentResourceOwner = outer;
			PG_RE_THROW();
		}
		FlushErrorState();
		*why = error->message;
	}
	PG_END_TRY();
	CurrentResourceOwner = outer;
	if (!done)
	{
		ResourceOwnerRelease(owner, RESOURCE_RELEASE_BEFORE_LOCKS, false, false);
		ResourceOwnerRelease(owner, RESOURCE_RELEASE_LOCKS, false, false);
		ResourceOwnerRelease(owner, RESOURCE_RELEASE_AFTER_LOCKS, false, false);
		ResourceOwnerDelete(owner);
	}
	/* else the owner stays, as a child that goes with its parent */
	return done;
}

typedef struct SegmentRequest
{
	Size		size;
	dsm_segment *segment;
} SegmentRequest;

static void
create_segment(void *arg)
{
	SegmentRequest *request = arg;

	request->segment = dsm_create(request->size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
}

dsm_segment *
vecidx_segment_create(Size size, char **why)
{
	SegmentRequest request = {size, NULL};

	*why = NULL;
	if (survive_shortage(create_segment, &request, why) && request.segment == NULL)
		*why = pstrdup("too many dynamic shared memory segments");
	return request.segment;
}

static void
initialize_dsm(void *arg)
{
	InitializeParallelDSM((ParallelContext *) arg);
}

/* ---- Leader ---- */

int
vecidx_parallel_workers(Relation heap, Relation index, double rows, double rows_per_worker)
{
	int			workers = RelationGetParallelWorkers(heap, -1);
	List	   *expressions;

	if (max_parallel_maintenance_workers == 0 || !IsUnderPostmaster || RelationUsesLocalBuffers(heap))
		return 0;
	/* the walker takes any tree */
	expressions = list_concat(RelationGetIndexExpressions(index), RelationGetIndexPredicate(index));
	if (expressions != NIL && max_parallel_hazard((Query *) expressions) != PROPARALLEL_SAFE)
		return 0;
	if (workers >= 0)
		return Min(workers, max_parallel_maintenance_workers);

	/*
	 * Not by the table's size on disk, as for a btree: placing a row in a
	 * graph takes a hundred times as long as reading it, and long vectors lie
	 * in the TOAST table.
	 */
	return (int) Min((double) max_parallel_maintenance_workers, rows / rows_per_worker);
}

bool
vecidx_parallel_prepare(VecidxParallel *parallel, Relation heap, Relation index, bool concurrent,
						int workers, const char *entry, Size own_size, char **why)
{
	ParallelContext *context;
	VecidxParallelShared *shared;
	Size		scan_size;
	Size		size;
	Size		query_size = debug_query_string == NULL ? 0 : strlen(debug_query_string) + 1;

	memset(parallel, 0, sizeof(*parallel));
	*why = NULL;
	EnterParallelMode();
	context = CreateParallelContext("vecidx", entry, workers);
	/* as core's index builds: see table_index_build_scan() */
	parallel->snapshot = concurrent ? RegisterSnapshot(GetTransactionSnapshot()) : SnapshotAny;
	scan_size = table_parallelscan_estimate(heap, parallel->snapshot);
	size = add_size(add_size(BUFFERALIGN(sizeof(VecidxParallelShared)), BUFFERALIGN(scan_size)), own_size);
	shm_toc_estimate_chunk(&context->estimator, size);
	shm_toc_estimate_keys(&context->estimator, 1);
	if (query_size > 0)
	{
		shm_toc_estimate_chunk(&context->estimator, query_size);
		shm_toc_estimate_keys(&context->estimator, 1);
	}

	parallel->context = context;
	parallel->heap = heap;
	parallel->index = index;
	parallel->leader = true;
	if (!survive_shortage(initialize_dsm, context, why) || context->seg == NULL || context->nworkers == 0)
	{
		if (*why == NULL)
			*why = pstrdup("too many dynamic shared memory segments");
		vecidx_parallel_end(parallel);
		return false;
	}

	shared = shm_toc_allocate(context->toc, size);
	memset(shared, 0, size);
	shared->heap = RelationGetRelid(heap);
	shared->index = RelationGetRelid(index);
	shared->concurrent = concurrent;
	shared->scan = BUFFERALIGN(sizeof(VecidxParallelShared));
	shared->own = shared->scan + BUFFERALIGN(scan_size);
	SpinLockInit(&shared->mutex);
	ConditionVariableInit(&shared->some_finished);
	table_parallelscan_initialize(heap, (ParallelTableScanDesc) ((char *) shared + shared->scan),
								  parallel->snapshot);
	shm_toc_insert(context->toc, KEY_SHARED, shared);
	if (query_size > 0)
	{
		char	   *text = shm_toc_allocate(context->toc, query_size);

		memcpy(text, debug_query_string, query_size);
		shm_toc_insert(context->toc, KEY_QUERY_TEXT, text);
	}
	parallel->shared = shared;
	return true;
}

int
vecidx_parallel_launch(VecidxParallel *parallel)
{
	LaunchParallelWorkers(parallel->context);
	ereport(DEBUG1,
			(errmsg_internal("using %d parallel workers of %d that were asked for",
							 parallel->context->nworkers_launched, parallel->context->nworkers)));
	return parallel->context->nworkers_launched;
}

void
vecidx_parallel_scan(VecidxParallel *parallel, IndexInfo *info, IndexBuildCallback callback, void *state)
{
	VecidxParallelShared *shared = parallel->shared;
	TableScanDesc scan;
	double		heap_tuples;

	if (info == NULL)
	{
		info = BuildIndexInfo(parallel->index);
		info->ii_Concurrent = shared->concurrent;
	}
	scan = table_beginscan_parallel(parallel->heap, (ParallelTableScanDesc) ((char *) shared + shared->scan));
	heap_tuples = table_index_build_scan(parallel->heap, parallel->index, info, true, parallel->leader,
										 callback, state, scan);
	ereport(DEBUG1,
			(errmsg_internal("index build: this process read %.0f rows", heap_tuples)));

	SpinLockAcquire(&shared->mutex);
	shared->finished++;
	shared->heap_tuples += heap_tuples;
	if (info->ii_BrokenHotChain)
		shared->broken_hot_chain = true;
	SpinLockRelease(&shared->mutex);
	ConditionVariableSignal(&shared->some_finished);
}

double
vecidx_parallel_wait(VecidxParallel *parallel, IndexInfo *info, void (*tick) (void *state), void *state)
{
	VecidxParallelShared *shared = parallel->shared;
	int			participants = parallel->context->nworkers_launched + 1;

	/* a worker that never came up is an error, not something to wait for */
	WaitForParallelWorkersToAttach(parallel->context);
	ConditionVariablePrepareToSleep(&shared->some_finished);
	for (;;)
	{
		int			finished;

		SpinLockAcquire(&shared->mutex);
		finished = shared->finished;
		SpinLockRelease(&shared->mutex);
		if (finished >= participants)
			break;
		tick(state);
		(void) ConditionVariableTimedSleep(&shared->some_finished, TICK_MS, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	ConditionVariableCancelSleep();
	WaitForParallelWorkersToFinish(parallel->context);
	if (shared->broken_hot_chain)
		info->ii_BrokenHotChain = true;
	return shared->heap_tuples;
}

void
vecidx_parallel_end(VecidxParallel *parallel)
{
	if (parallel->context->nworkers_launched > 0)
		WaitForParallelWorkersToFinish(parallel->context);
	if (IsMVCCSnapshot(parallel->snapshot))
		UnregisterSnapshot(parallel->snapshot);
	DestroyParallelContext(parallel->context);
	ExitParallelMode();
}

/* ---- Worker ---- */

void
vecidx_parallel_attach(VecidxParallel *parallel, shm_toc *toc)
{
	VecidxParallelShared *shared = shm_toc_lookup(toc, KEY_SHARED, false);

	debug_query_string = shm_toc_lookup(toc, KEY_QUERY_TEXT, true);
	pgstat_report_activity(STATE_RUNNING, debug_query_string);

	memset(parallel, 0, sizeof(*parallel));
	parallel->shared = shared;
	/* the locks that the leader holds */
	parallel->heap_lock = shared->concurrent ? ShareUpdateExclusiveLock : ShareLock;
	parallel->index_lock = shared->concurrent ? RowExclusiveLock : AccessExclusiveLock;
	parallel->heap = table_open(shared->heap, parallel->heap_lock);
	parallel->index = index_open(shared->index, parallel->index_lock);
}

void
vecidx_parallel_detach(VecidxParallel *parallel)
{
	index_close(parallel->index, parallel->index_lock);
	table_close(parallel->heap, parallel->heap_lock);
}
