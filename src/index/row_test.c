/*
 * row_test.c
 *		Conditions that a scan tests on its rows (row_test.h).
 */
#include "vecidx.h"

#include "executor/executor.h"
#include "executor/instrument.h"
#include "index/row_test.h"

/* Rows that are wanted of a scan without LIMIT: so many, and as many again each time it goes on. */
#define USUAL_WANTED 10

static VecidxRowTest *offered;
static Oid	offered_index;

void
vecidx_row_test_offer(VecidxRowTest *test, Relation index)
{
	offered = test;
	offered_index = RelationGetRelid(index);
}

VecidxRowTest *
vecidx_row_test_take(Relation index)
{
	VecidxRowTest *test = offered;

	if (test == NULL || offered_index != RelationGetRelid(index))
		return NULL;
	offered = NULL;
	return test;
}

void
vecidx_row_test_begin(VecidxRowTest *test)
{
	test->ntested = test->npassed = 0;
	test->recheck = true;
}

bool
vecidx_row_test_passes(VecidxRowTest *test, TupleTableSlot *slot)
{
	test->ntested++;
	if (test->qual != NULL)
	{
		bool		indexed;
		bool		passes;

		ResetExprContext(test->econtext);
		test->econtext->ecxt_scantuple = slot;
		indexed = !test->recheck || test->index_qual == NULL || ExecQual(test->index_qual, test->econtext);
		passes = indexed && ExecQual(test->qual, test->econtext);
		test->econtext->ecxt_scantuple = NULL;
		if (!passes)
		{
			/* as if the executor had seen it */
			if (indexed)
				InstrCountFiltered1(test->node, 1);
			else
				InstrCountFiltered2(test->node, 1);
			return false;
		}
	}
	test->npassed++;
	return true;
}

double
vecidx_row_test_limit(const VecidxRowTest *test)
{
	const LimitState *limit = test->limit;

	if (limit == NULL || limit->lstate == LIMIT_INITIAL || limit->noCount)
		return USUAL_WANTED;
	return (double) limit->offset + (double) limit->count;
}

double
vecidx_row_test_need(const VecidxRowTest *test, double nreturned)
{
	const LimitState *limit = test->limit;
	double		wanted = Max(USUAL_WANTED, nreturned);
	double		rate = vecidx_row_test_rate(test);

	if (limit != NULL && limit->lstate != LIMIT_INITIAL)
	{
		/* what stands between the scan and LIMIT may discard rows, or have others besides */
		rate *= Min(1, ((double) limit->position + 0.5) / (nreturned + 0.5));
		if (!limit->noCount)
			wanted = Max(1, (double) limit->offset + (double) limit->count - (double) limit->position);
	}
	return wanted / rate;
}
