/*
 * row_test.h
 *		What a query does with the rows of a scan: conditions that the index
 *		does not have, so that the scan can test them itself.
 *
 * The executor tests such conditions on each row that a scan returns.  A scan
 * by distance has to look at a row before it can return it, and can as well see
 * then whether it is wanted: before it reads the vector, and in time to find
 * another way through the index if few are.  src/plan makes these tests and
 * offers them to scans.  See README.md.
 */
#ifndef VECIDX_ROW_TEST_H
#define VECIDX_ROW_TEST_H

#include "postgres.h"

#include "nodes/execnodes.h"
#include "utils/rel.h"

typedef struct VecidxRowTest
{
	PlanState  *node;			/* of the scan */
	ExprState  *qual;			/* its first conditions; NULL: rows are discarded, but the scan cannot tell which */
	ExprState  *index_qual;		/* the index's own conditions; NULL: none */
	ExprContext *econtext;		/* to test them in */
	const LimitState *limit;	/* above the scan, or NULL */
	double		test_ns;		/* about what a test takes */

	/*
	 * Whether the scan comes to rows that do not meet the index's own
	 * conditions.  Those are tested first then, as the executor does: a function
	 * in `qual` may be one that must not see rows kept from the user by them.
	 * For the access method to say after vecidx_row_test_begin(), which takes it for so.
	 */
	bool		recheck;

	/* since the scan began */
	uint64		ntested;
	uint64		npassed;
} VecidxRowTest;

/*
 * Called with a test before a scan of the index begins, with NULL after.  The
 * test has to live as long as the scan.
 */
extern void vecidx_row_test_offer(VecidxRowTest *test, Relation index);

/* For ambeginscan: what was offered, or NULL. */
extern VecidxRowTest *vecidx_row_test_take(Relation index);

/* At the beginning of a scan, and again at a rescan. */
extern void vecidx_row_test_begin(VecidxRowTest *test);

/* Whether a row of the table meets the conditions that the scan can test. */
extern bool vecidx_row_test_passes(VecidxRowTest *test, TupleTableSlot *slot);

/* The share of rows that have passed, or a half as long as none was tested. */
static inline double
vecidx_row_test_rate(const VecidxRowTest *test)
{
	return ((double) test->npassed + 0.5) / ((double) test->ntested + 1);
}

/* How many rows the query wants in all. */
extern double vecidx_row_test_limit(const VecidxRowTest *test);

/*
 * How many further rows, in their order, have to be looked at until the query
 * is likely to have what it wants; it has got nreturned.
 */
extern double vecidx_row_test_need(const VecidxRowTest *test, double nreturned);

#endif							/* VECIDX_ROW_TEST_H */
