/*
 * rerank.h
 *		Exact values from the table, for indexes that hold codes.
 */
#ifndef VECIDX_RERANK_H
#define VECIDX_RERANK_H

#include "postgres.h"

#include "index/row_test.h"
#include "nodes/execnodes.h"
#include "storage/itemptr.h"
#include "utils/rel.h"
#include "utils/snapshot.h"

typedef struct RowFetch RowFetch;

/* Fetches values of the index's first column (or expression) from its table. */
extern RowFetch *row_fetch_begin(Relation heap, Relation index, MemoryContext context);

/*
 * A backend's memory of which buffers held which pages of a table, of bounded
 * size; for as long as the context.
 */
typedef struct RowPages RowPages;

extern RowPages *row_pages_create(Relation heap, MemoryContext context);

/* Find rows by that memory, and add to it.  Without effect on temporary tables, and on those that are no heaps. */
extern void row_fetch_remember(RowFetch *fetch, RowPages *pages);

/*
 * Have values out of line, which are looked for while filling, found by that memory
 * as well; until row_fetch_end(), or until `detoasted` is left.
 */
struct Detoasted;
extern void row_fetch_detoast(RowFetch *fetch, struct Detoasted *detoasted);

/* Bring the beginning of a row's page nearer, if the page is remembered. */
extern void row_fetch_prefetch(RowFetch *fetch, ItemPointer tid);

/* Rows that do not pass a test are as good as none: see below.  The test stays its owner's. */
extern void row_fetch_test(RowFetch *fetch, VecidxRowTest *test);

/*
 * The indexed value of the row at tid that the snapshot sees; false if it
 * sees none, or one that does not pass the test.  The value is good until the next call; what it allocates goes
 * to CurrentMemoryContext.
 */
extern bool row_fetch_value(RowFetch *fetch, ItemPointer tid, Snapshot snapshot, Datum *value, bool *isnull);

/* Whether the snapshot sees a row at tid, and it passes the test if there is one. */
extern bool row_fetch_passes(RowFetch *fetch, ItemPointer tid, Snapshot snapshot);

/* Let go of the table's pages, between scans. */
extern void row_fetch_reset(RowFetch *fetch);
extern void row_fetch_end(RowFetch *fetch);

#endif							/* VECIDX_RERANK_H */
