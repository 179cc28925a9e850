/*
 * tidset.c
 *		The parts of tidset.h that are not worth inlining.
 */
#include "postgres.h"

#include "index/tidset.h"
#include "utils/memutils.h"

#define TIDSET_FIRST_RUNS 256

/* A cleared set is no larger than this. */
#define TIDSET_KEEP_RUNS 8192

#define ST_SORT sort_runs
#define ST_ELEMENT_TYPE TidRun
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static void
tidset_alloc(TidSet *set, uint32 nruns)
{
	set->runs = MemoryContextAllocExtended(set->context, (Size) nruns * sizeof(TidRun),
										   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set->mask = nruns - 1;
}

void
tidset_init(TidSet *set, MemoryContext context)
{
	set->context = context;
	set->nruns = 0;
	set->n = 0;
	tidset_alloc(set, TIDSET_FIRST_RUNS);
}

void
tidset_clear(TidSet *set)
{
	if (set->n == 0)
		return;
	set->nruns = 0;
	set->n = 0;
	if (set->mask >= TIDSET_KEEP_RUNS)
	{
		pfree(set->runs);
		tidset_alloc(set, TIDSET_FIRST_RUNS);
	}
	else
		memset(set->runs, 0, tidset_memory(set));
}

void
tidset_grow(TidSet *set)
{
	TidRun	   *old = set->runs;
	uint32		nold = set->mask + 1;

	if (nold > (uint32) 1 << 30)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many rows returned by one index scan")));
	tidset_alloc(set, nold * 2);
	for (uint32 i = 0; i < nold; i++)
		if (old[i].key != 0)
			*tidset_find(set, old[i].key) = old[i];
	pfree(old);
}

uint32
tidset_sort(TidSet *set)
{
	uint32		n = 0;

	for (uint32 i = 0; i <= set->mask; i++)
		if (set->runs[i].key != 0)
		{
			TidRun		run = set->runs[i];

			set->runs[i].key = 0;
			set->runs[n++] = run;
		}
	sort_runs(set->runs, n);
	return n;
}
