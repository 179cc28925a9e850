/*
 * check.h
 *		vecidx_check(): what the access methods share of it.
 *
 * The front part finds and locks the index, asks whether the user may, and
 * gathers the rows; an access method walks its own pages.  TIDs are handed
 * back to the front part, which finds those that stand twice and compares
 * them with the table.
 */
#ifndef VECIDX_CHECK_H
#define VECIDX_CHECK_H

#include "postgres.h"

#include "access/amapi.h"
#include "index/filter.h"
#include "storage/bufpage.h"
#include "storage/itemptr.h"
#include "utils/rel.h"

/* Rows that one call reports at most: damage tends to be reported many times. */
#define VECIDX_CHECK_MAX_ROWS 10000

typedef struct VecidxCheck
{
	Relation	index;
	Relation	heap;
	BlockNumber nblocks;		/* of the index; it does not grow meanwhile */
	bool		full;			/* enough has been reported: give up */
	bool		doubles;		/* set by the access method: a row may stand twice, as scans know */

	/*
	 * Set by the access method where it hands the TIDs over by
	 * vecidx_check_row(): rows of the table are then to have the filter
	 * values that the index says.
	 */
	const VecidxFilterLayout *filters;

	/* the front part's own */
	struct ReturnSetInfo *result;
	uint64		nproblems;
	struct Tuplesortstate *tids;
	BufferAccessStrategy strategy;
} VecidxCheck;

typedef struct VecidxChecker
{
	ambuild_function build;		/* whose indexes it checks */
	void		(*check) (VecidxCheck *check);
} VecidxChecker;

/* Called as the module is loaded; checker is kept. */
extern void vecidx_checker_register(const VecidxChecker *checker);

/*
 * Report a problem.  block: InvalidBlockNumber where it has no place; slot:
 * -1 where it concerns the whole page.
 */
extern void vecidx_check_report(VecidxCheck *check, BlockNumber block, int slot,
								const char *format,...) pg_attribute_printf(4, 5);

/*
 * Copy a block to page (BLCKSZ bytes, aligned).  False, and reported, if it
 * cannot be read.  Checks for interrupts.
 */
extern bool vecidx_check_read(VecidxCheck *check, BlockNumber block, char *page);

/*
 * The items of a page with line pointers: inside the page, apart from each other,
 * without gaps, none shorter than `least`.  False if they cannot be looked at.
 */
extern bool vecidx_check_items(VecidxCheck *check, BlockNumber block, Page page, Size least);

/* A heap TID that the index holds; false, and not taken, if it is none. */
extern bool vecidx_check_tid(VecidxCheck *check, const ItemPointerData *tid);

/* The same with the packed filter values that the index has for it (check->filters is set). */
extern bool vecidx_check_row(VecidxCheck *check, const ItemPointerData *tid, const uint8 *values);

#endif							/* VECIDX_CHECK_H */
