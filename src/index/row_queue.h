/*
 * row_queue.h
 *		Rows with a distance, as a heap with the nearest first: what a scan has
 *		yet to fetch or to return.
 *
 * Equal distances come in the order of the TIDs.  Arrays grow by doubling and
 * keep their memory.
 */
#ifndef VECIDX_ROW_QUEUE_H
#define VECIDX_ROW_QUEUE_H

#include "postgres.h"

#include "storage/itemptr.h"

typedef struct QueuedRow
{
	double		dist;			/* or a bound of it: rank distance (metric.h), not NaN */
	ItemPointerData tid;
} QueuedRow;

typedef struct RowQueue
{
	QueuedRow  *rows;
	size_t		n;
	size_t		capacity;
	MemoryContext context;
} RowQueue;

static inline void
row_queue_init(RowQueue *queue, MemoryContext context)
{
	queue->rows = NULL;
	queue->n = queue->capacity = 0;
	queue->context = context;
}

static inline bool
queued_before(const QueuedRow *a, const QueuedRow *b)
{
	if (a->dist != b->dist)
		return a->dist < b->dist;
	return ItemPointerCompare((ItemPointer) &a->tid, (ItemPointer) &b->tid) < 0;
}

extern void row_queue_grow(RowQueue *queue);

/* Add a row behind the others, which are no heap then. */
static inline void
row_queue_append(RowQueue *queue, double dist, const ItemPointerData *tid)
{
	if (unlikely(queue->n == queue->capacity))
		row_queue_grow(queue);
	queue->rows[queue->n].dist = dist;
	queue->rows[queue->n++].tid = *tid;
}

/* Make a heap of rows in any order. */
extern void row_queue_heapify(RowQueue *queue);

extern void row_queue_push(RowQueue *queue, double dist, const ItemPointerData *tid);

/* Remove and return the nearest; there is one. */
extern QueuedRow row_queue_pop(RowQueue *queue);

/*
 * Bring the keep nearest rows (1 .. n) to the front, in any order; returns
 * the distance of the farthest of them.  It is no heap then.
 */
extern double row_queue_select(RowQueue *queue, size_t keep);

#endif							/* VECIDX_ROW_QUEUE_H */
