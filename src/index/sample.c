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

typedef struct SampleState
{
	const VecidxOpclass *opclass;
	int			dim;
	double	   *sum;
	float	   *buffer;
	int64		n;
	MemoryContext row;
} SampleState;

static void
sample_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	SampleState *state = arg;
	MemoryContext old;
	const float *floats;
	void	   *detoasted;

	(void) index;
	(void) tid;
	(void) alive;
	if (isnull[0] || state->n >= SAMPLE_ROWS)
		return;
	old = MemoryContextSwitchTo(state->row);
	floats = vecidx_floats(state->opclass, values[0], state->dim, state->buffer, &detoasted);
	if (floats != NULL)
	{
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
			state->sum[i] += floats[i] * scale;
		state->n++;
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

float *
vecidx_sample_mean(Relation heap, Relation index, IndexInfo *info,
				   const VecidxOpclass *opclass, int dim, MemoryContext context)
{
	SampleState state = {0};
	BlockSamplerData sampler;
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	float	   *mean = NULL;

	if (nblocks == 0)
		return NULL;
	state.opclass = opclass;
	state.dim = dim;
	state.sum = palloc0(sizeof(double) * dim);
	state.buffer = palloc(sizeof(float) * dim);
	state.row = AllocSetContextCreate(CurrentMemoryContext, "vecidx sample", ALLOCSET_DEFAULT_SIZES);

	BlockSampler_Init(&sampler, nblocks, SAMPLE_BLOCKS, SAMPLE_SEED);
	while (BlockSampler_HasMore(&sampler) && state.n < SAMPLE_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		table_index_build_range_scan(heap, index, info, false, true, false,
									 BlockSampler_Next(&sampler), 1, sample_callback, &state, NULL);
	}
	if (state.n > 0)
	{
		mean = MemoryContextAlloc(context, sizeof(float) * dim);
		for (int i = 0; i < dim; i++)
		{
			double		value = state.sum[i] / state.n;

			/* any centre is right; one that is not finite is not one */
			mean[i] = isfinite((float) value) ? (float) value : 0.0f;
		}
	}
	MemoryContextDelete(state.row);
	pfree(state.sum);
	pfree(state.buffer);
	return mean;
}
