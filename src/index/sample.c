/*
 * sample.c
 *		What builds learn from a sample of the table.
 */
#include "vecidx.h"

#include <math.h>

#include "access/tableam.h"
#include "index/sample.h"
#include "miscadmin.h"
#include "utils/sampling.h"

/* A mean needs no more: its error is a hundredth of the spread at 10,000 rows. */
#define SAMPLE_BLOCKS 256
#define SAMPLE_ROWS 10000
#define SAMPLE_SEED 42			/* the same table gives the same index */

/*
 * One row may be so far out that it takes the mean along, and codes relative
 * to that mean would tell the other rows apart no more.  So rows are dealt to
 * groups, and each coordinate is the median of the groups' means.
 */
#define MEAN_GROUPS 15

typedef struct SampleState
{
	const VecidxOpclass *opclass;
	int			dim;
	int			ngroups;
	double	   *sums;			/* ngroups times dim */
	void	   *buffer;
	int64		n;
	int64		seen;			/* rows met, also past the last that counts */
	MemoryContext row;
} SampleState;

static void
sample_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	SampleState *state = arg;
	MemoryContext old;
	const float *floats;

	(void) index;
	(void) tid;
	(void) alive;
	if (isnull[0])
		return;
	state->seen++;
	if (state->n >= SAMPLE_ROWS)
		return;
	old = MemoryContextSwitchTo(state->row);
	floats = vecidx_elements(state->opclass, values[0], state->dim, state->buffer);
	if (floats != NULL)
	{
		double	   *sum = state->sums + (Size) (state->n % state->ngroups) * state->dim;
		double		scale = 1.0;

		if (state->opclass->metric == METRIC_COSINE)
		{
			double		norm = 0;

			for (int i = 0; i < state->dim; i++)
				norm += (double) floats[i] * floats[i];
			/* a vector too small to square is left out, as is one too large */
			scale = norm > 0 && !isinf(norm) ? 1.0 / sqrt(norm) : 0.0;
		}
		for (int i = 0; i < state->dim; i++)
			sum[i] += floats[i] * scale;
		state->n++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* Coordinate i of the centre; there is a row at least. */
static double
median_of_means(const SampleState *state, int i)
{
	double		means[MEAN_GROUPS];
	int			n = Min(state->n, state->ngroups);

	for (int g = 0; g < n; g++)
	{
		/* rows are dealt in turn, so the first groups may have one more */
		int64		rows = state->n / state->ngroups + (g < state->n % state->ngroups);

		means[g] = state->sums[(Size) g * state->dim + i] / rows;
	}
	qsort(means, n, sizeof(double), compare_doubles);
	return (means[(n - 1) / 2] + means[n / 2]) / 2;
}

float *
vecidx_sample_mean(Relation heap, Relation index, IndexInfo *info,
				   const VecidxOpclass *opclass, int dim, MemoryContext context,
				   double *rows)
{
	SampleState state = {0};
	BlockSamplerData sampler;
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	BlockNumber nread = 0;
	float	   *mean = NULL;

	*rows = 0;
	if (nblocks == 0)
		return NULL;
	state.opclass = opclass;
	state.dim = dim;
	/* under cosine all vectors weigh the same */
	state.ngroups = opclass->metric == METRIC_COSINE ? 1 : MEAN_GROUPS;
	state.sums = palloc0(sizeof(double) * dim * state.ngroups);
	state.buffer = vecidx_elements_buffer(opclass, dim, CurrentMemoryContext);
	state.row = AllocSetContextCreate(CurrentMemoryContext, "vecidx sample", ALLOCSET_DEFAULT_SIZES);

	BlockSampler_Init(&sampler, nblocks, SAMPLE_BLOCKS, SAMPLE_SEED);
	while (BlockSampler_HasMore(&sampler) && state.n < SAMPLE_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		nread++;
		table_index_build_range_scan(heap, index, info, false, true, false,
									 BlockSampler_Next(&sampler), 1, sample_callback, &state, NULL);
	}
	*rows = (double) state.seen / nread * nblocks;
	if (state.n > 0)
	{
		mean = MemoryContextAlloc(context, sizeof(float) * dim);
		for (int i = 0; i < dim; i++)
		{
			double		value = median_of_means(&state, i);

			/* any centre is right; one that is not finite is not one */
			mean[i] = isfinite((float) value) ? (float) value : 0.0f;
		}
	}
	MemoryContextDelete(state.row);
	pfree(state.sums);
	pfree(state.buffer);
	return mean;
}
