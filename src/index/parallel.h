/*
 * parallel.h
 *		What every access method needs to build an index in several processes:
 *		shared memory that may not be there, workers, a shared scan of the table.
 *
 * Leader:
 *		vecidx_parallel_workers()	how many may take part
 *		vecidx_segment_create()		a large piece of shared memory, or NULL
 *		vecidx_parallel_prepare()	a parallel context and the scan, or false
 *		(fill in parallel.shared)
 *		vecidx_parallel_launch()
 *		vecidx_parallel_scan()		the leader's own part
 *		vecidx_parallel_wait()
 *		(use what the workers left behind)
 *		vecidx_parallel_end()
 * Worker:
 *		vecidx_parallel_attach(), then vecidx_parallel_scan(),
 *		vecidx_parallel_detach()
 *
 * An error in any process ends the statement: workers hand theirs to the
 * leader, and what the leader began is undone by its transaction's end.
 */
#ifndef VECIDX_PARALLEL_H
#define VECIDX_PARALLEL_H

#include "postgres.h"

#include "access/parallel.h"
#include "access/tableam.h"
#include "nodes/execnodes.h"
#include "storage/condition_variable.h"
#include "storage/dsm.h"
#include "storage/spin.h"

/* Shared by all processes of a build; the access method's own part follows. */
typedef struct VecidxParallelShared
{
	/* fixed */
	Oid			heap;
	Oid			index;
	bool		concurrent;
	Size		scan;			/* offset of the table scan's description */
	Size		own;			/* offset of the access method's part */

	/* changing, under the mutex */
	slock_t		mutex;
	int			finished;		/* processes whose scan has ended */
	double		heap_tuples;
	bool		broken_hot_chain;
	ConditionVariable some_finished;
} VecidxParallelShared;

typedef struct VecidxParallel
{
	ParallelContext *context;	/* leader only */
	VecidxParallelShared *shared;
	Snapshot	snapshot;		/* leader only */
	Relation	heap;
	Relation	index;
	LOCKMODE	heap_lock;		/* worker only */
	LOCKMODE	index_lock;
	bool		leader;
} VecidxParallel;

/*
 * Workers that a build over so many rows may have beside the leader: the
 * table's parallel_workers or max_parallel_maintenance_workers, one for every
 * rows_per_worker rows, none where a process of its own could not do the work
 * (temporary tables; expressions that are not parallel safe).
 */
extern int	vecidx_parallel_workers(Relation heap, Relation index, double rows, double rows_per_worker);

/*
 * A segment of shared memory, or NULL with the reason in *why (palloc'd) when
 * the system has no room for it.
 */
extern dsm_segment *vecidx_segment_create(Size size, char **why);

/*
 * Prepare for at most `workers` workers that run the library's function
 * `entry`, with own_size zeroed bytes for the access method.  False, with the
 * reason in *why and nothing left behind, when there is no shared memory for it.
 */
extern bool vecidx_parallel_prepare(VecidxParallel *parallel, Relation heap, Relation index, bool concurrent,
									int workers, const char *entry, Size own_size, char **why);

#define VecidxParallelOwn(parallel) ((void *) ((char *) (parallel)->shared + (parallel)->shared->own))

/* Start the workers; returns how many there are. */
extern int	vecidx_parallel_launch(VecidxParallel *parallel);

/* One process's part of the scan; a worker passes no info. */
extern void vecidx_parallel_scan(VecidxParallel *parallel, IndexInfo *info,
								 IndexBuildCallback callback, void *state);

/*
 * Wait until all scans have ended, calling tick(state) about once a second.
 * info learns what workers found out about HOT chains.  Returns the rows that
 * the scans saw.
 */
extern double vecidx_parallel_wait(VecidxParallel *parallel, IndexInfo *info,
								   void (*tick) (void *state), void *state);

extern void vecidx_parallel_end(VecidxParallel *parallel);

extern void vecidx_parallel_attach(VecidxParallel *parallel, shm_toc *toc);
extern void vecidx_parallel_detach(VecidxParallel *parallel);

#endif							/* VECIDX_PARALLEL_H */
