/*
 * row_queue.c
 *		The parts of row_queue.h that are not worth inlining.
 */
#include "postgres.h"

#include "index/row_queue.h"
#include "utils/memutils.h"

#define FIRST_CAPACITY 64

void
row_queue_grow(RowQueue *queue)
{
	size_t		capacity = Max((size_t) FIRST_CAPACITY, queue->capacity * 2);

	if (queue->rows == NULL)
		queue->rows = MemoryContextAllocHuge(queue->context, sizeof(QueuedRow) * capacity);
	else
		queue->rows = repalloc_huge(queue->rows, sizeof(QueuedRow) * capacity);
	queue->capacity = capacity;
}

static void
sift_down(RowQueue *queue, size_t i, QueuedRow row)
{
	for (;;)
	{
		size_t		child = 2 * i + 1;

		if (child >= queue->n)
			break;
		if (child + 1 < queue->n && queued_before(&queue->rows[child + 1], &queue->rows[child]))
			child++;
		if (!queued_before(&queue->rows[child], &row))
			break;
		queue->rows[i] = queue->rows[child];
		i = child;
	}
	queue->rows[i] = row;
}

void
row_queue_heapify(RowQueue *queue)
{
	for (size_t i = queue->n / 2; i-- > 0;)
		sift_down(queue, i, queue->rows[i]);
}

void
row_queue_push(RowQueue *queue, double dist, const ItemPointerData *tid)
{
	size_t		i = queue->n;
	QueuedRow	row;

	row_queue_append(queue, dist, tid);
	row = queue->rows[i];
	while (i > 0 && queued_before(&row, &queue->rows[(i - 1) / 2]))
	{
		queue->rows[i] = queue->rows[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	queue->rows[i] = row;
}

QueuedRow
row_queue_pop(RowQueue *queue)
{
	QueuedRow	top = queue->rows[0];

	queue->n--;
	if (queue->n > 0)
		sift_down(queue, 0, queue->rows[queue->n]);
	return top;
}

/* Hoare's FIND, with the middle one of three as the pivot. */
double
row_queue_select(RowQueue *queue, size_t keep)
{
	QueuedRow  *rows = queue->rows;
	size_t		k = keep - 1;
	size_t		low = 0;
	size_t		high = queue->n - 1;

	while (low < high)
	{
		QueuedRow	pivot = rows[low + (high - low) / 2];
		size_t		i = low;
		size_t		j = high;

		if (queued_before(&rows[high], &rows[low]) != queued_before(&rows[high], &pivot))
			pivot = rows[high];
		else if (queued_before(&rows[low], &rows[high]) != queued_before(&rows[low], &pivot))
			pivot = rows[low];
		for (;;)
		{
			while (queued_before(&rows[i], &pivot))
				i++;
			while (queued_before(&pivot, &rows[j]))
				j--;
			if (i >= j)
				break;
			{
				QueuedRow	swap = rows[i];

				rows[i++] = rows[j];
				rows[j--] = swap;
			}
		}
		/* rows up to j are not behind the pivot, those from j + 1 on not before it */
		if (queued_before(&pivot, &rows[j]))
			j--;
		if (k <= j)
			high = j;
		else
			low = j + 1;
	}
	return rows[k].dist;
}
