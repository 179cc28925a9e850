/*
 * table_pass.h
 *		A pass over all rows of an index in the order of the table.
 *
 * Where a query discards nearly all that comes in the order of distance, a
 * scan had better see first which rows are wanted.  It collects the TIDs that the
 * index has, and each page of the table is visited once; only rows that pass
 * the query's conditions (row_test.h) have their distances computed.
 *
 * Memory is bounded: TIDs come in portions, and a pass keeps the nearest rows
 * alone.  Who wants rows beyond those makes another pass.
 */
#ifndef VECIDX_TABLE_PASS_H
#define VECIDX_TABLE_PASS_H

#include "postgres.h"

#include "index/row_queue.h"
#include "index/row_test.h"
#include "index/tidset.h"

/* About how many nanoseconds a row takes that does not pass, its conditions apart. */
#define TABLE_PASS_ROW_NS 110

/* A portion of TIDs has so many runs at least. */
#define TABLE_PASS_LEAST_RUNS 256

typedef struct TablePass
{
	TidSet		tids;			/* to be visited */
	RowQueue	kept;
	Size		memory;			/* bytes, for either */
	bool		dropped;		/* not all rows could be kept */
	bool		again;			/* former passes had what is not beyond `last` */
	QueuedRow	last;
} TablePass;

/* The distance of the row at tid; false if it is not wanted.  Called with no page locked. */
typedef bool (*TablePassDistance) (void *arg, ItemPointer tid, double *dist);

extern void table_pass_init(TablePass *pass, MemoryContext context);

/* Forget all passes. */
extern void table_pass_reset(TablePass *pass);

/* Rows that a pass keeps with so many bytes. */
extern size_t table_pass_most(Size memory);

/* Begin the first pass, or the next. */
extern void table_pass_begin(TablePass *pass, Size memory);

/* Whether it is time to visit those that were added. */
static inline bool
table_pass_full(const TablePass *pass)
{
	/* the set is a quarter full or more */
	return pass->tids.nruns >= TABLE_PASS_LEAST_RUNS && pass->tids.nruns >= pass->memory / (4 * sizeof(TidRun));
}

/* Add a row's TID (one that is there already does no harm); true if the pass is full. */
static inline bool
table_pass_add(TablePass *pass, const ItemPointerData *tid)
{
	(void) tidset_add(&pass->tids, tid);
	return table_pass_full(pass);
}

/* Visit the rows that were added, in the order of the table. */
extern void table_pass_visit(TablePass *pass, TablePassDistance distance, void *arg);

/*
 * Whether a pass with so much memory over so many rows of the index is quicker than other_ns
 * nanoseconds and to look at `need` rows in the order of distance; vector_ns:
 * what a row takes that passes the test.
 */
extern bool table_pass_pays(const VecidxRowTest *test, Size memory, double rows, double need, double other_ns, double vector_ns);

/* What it takes to read a vector of so many bytes, and to compute its distance. */
extern double table_pass_vector_ns(Size size);

/*
 * End a pass, with the rest visited.  The rows are in pass->kept, in any order.
 * False if there are more, all of them beyond pass->last.
 */
extern bool table_pass_end(TablePass *pass);

#endif							/* VECIDX_TABLE_PASS_H */
