/*
 * sample.c
 *		What builds learn from a sample of the table.
 */
#include "vecidx.h"

#include <math.h>

#include "access/tableam.h"
#include "common/hashfn.h"
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
	const Quantizer *quantizer;
	int			dim;
	int			ngroups;
	double	   *sums;			/* ngroups times dim; NULL: no mean is wanted */
	void	   *buffer;
	uint8	   *record;			/* where records differ in size */
	int64		n;
	int64		seen;			/* rows met, also past the last that counts */
	double		bytes;			/* of the records of n rows */
	MemoryContext row;
} SampleState;

static void
add_to_mean(SampleState *state, const float *floats)
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
}

static void
sample_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	SampleState *state = arg;
	MemoryContext old;
	const void *elements;

	(void) index;
	(void) tid;
	(void) alive;
	if (isnull[0])
		return;
	state->seen++;
	if (state->n >= SAMPLE_ROWS || (state->sums == NULL && state->record == NULL))
		return;
	old = MemoryContextSwitchTo(state->row);
	elements = vecidx_elements(state->opclass, values[0], state->dim, state->buffer);
	if (elements != NULL)
	{
		if (state->sums != NULL)
			add_to_mean(state, elements);
		if (state->record != NULL)
		{
			/* such kinds want no working memory */
			quant_encode(state->quantizer, elements, state->record, NULL);
			state->bytes += quant_record_size(state->quantizer, state->record);
		}
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

void
vecidx_sample(Relation heap, Relation index, IndexInfo *info, const VecidxOpclass *opclass,
			  const Quantizer *quantizer, MemoryContext context, VecidxSample *sample)
{
	SampleState state = {0};
	BlockSamplerData sampler;
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	BlockNumber nread = 0;
	MemoryContext work;
	MemoryContext old;

	memset(sample, 0, sizeof(*sample));
	sample->record_bytes = quantizer->code_size;
	if (nblocks == 0)
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "vecidx sample", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	state.opclass = opclass;
	state.quantizer = quantizer;
	state.dim = quantizer->dim;
	/* under cosine all vectors weigh the same */
	state.ngroups = opclass->metric == METRIC_COSINE ? 1 : MEAN_GROUPS;
	if (quant_wants_centre(quantizer->kind, quantizer->metric))
		state.sums = palloc0(sizeof(double) * state.dim * state.ngroups);
	if (quant_sized(quantizer->kind))
		state.record = palloc(quantizer->code_size + SIMD_SLACK);
	state.buffer = vecidx_elements_buffer(opclass, state.dim, work);
	state.row = AllocSetContextCreate(work, "vecidx sample row", ALLOCSET_DEFAULT_SIZES);

	BlockSampler_Init(&sampler, nblocks, SAMPLE_BLOCKS, SAMPLE_SEED);
	while (BlockSampler_HasMore(&sampler) && state.n < SAMPLE_ROWS)
	{
		CHECK_FOR_INTERRUPTS();
		nread++;
		table_index_build_range_scan(heap, index, info, false, true, false,
									 BlockSampler_Next(&sampler), 1, sample_callback, &state, NULL);
	}
	sample->rows = (double) state.seen / nread * nblocks;
	if (state.n > 0 && state.record != NULL)
		sample->record_bytes = state.bytes / state.n;
	if (state.n > 0 && state.sums != NULL)
	{
		sample->mean = MemoryContextAlloc(context, sizeof(float) * state.dim);
		for (int i = 0; i < state.dim; i++)
		{
			double		value = median_of_means(&state, i);

			/* any centre is right; one that is not finite is not one */
			sample->mean[i] = isfinite((float) value) ? (float) value : 0.0f;
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

/* ---- Rows ---- */

/*
 * Blocks that are read for each that the rows wanted would fill, and at least:
 * rows of one block were often inserted together and are alike.
 */
#define SPREAD 4
#define MIN_BLOCKS 1000

typedef struct RowSampleState
{
	const VecidxOpclass *opclass;
	int			dim;
	uint64		seed;
	uint64		accepted;		/* of the 2^32 hashes of a TID, those that are taken */
	void	   *buffer;
	MemoryContext row;
	void		(*take) (const void *elements, void *arg);
	void	   *arg;
} RowSampleState;

static void
row_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	RowSampleState *state = arg;
	MemoryContext old;
	const void *elements;

	(void) index;
	(void) alive;
	if (isnull[0])
		return;
	/* a row that is not taken is not detoasted either */
	if ((hash_bytes_extended((unsigned char *) tid, sizeof(ItemPointerData), state->seed) & PG_UINT32_MAX) >=
		state->accepted)
		return;
	old = MemoryContextSwitchTo(state->row);
	elements = vecidx_elements(state->opclass, values[0], state->dim, state->buffer);
	if (elements != NULL)
		state->take(elements, state->arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

void
vecidx_sample_rows(Relation heap, Relation index, IndexInfo *info, const VecidxOpclass *opclass, int dim,
				   double rows, double wanted, uint64 seed,
				   void (*take) (const void *elements, void *arg), void *arg)
{
	RowSampleState state = {.opclass = opclass, .dim = dim, .seed = seed, .take = take, .arg = arg};
	BlockNumber nblocks = RelationGetNumberOfBlocks(heap);
	double		rows_per_block;
	double		blocks;
	MemoryContext work;
	MemoryContext old;

	if (nblocks == 0)
		return;
	work = AllocSetContextCreate(CurrentMemoryContext, "vecidx sample of rows", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	state.buffer = vecidx_elements_buffer(opclass, dim, work);
	state.row = AllocSetContextCreate(work, "vecidx sample row", ALLOCSET_DEFAULT_SIZES);
	rows_per_block = Max(rows / nblocks, 1e-6);
	blocks = Max(wanted / rows_per_block * SPREAD, MIN_BLOCKS);
	if (blocks >= nblocks)
	{
		state.accepted = (uint64) (Min(wanted / Max(rows, 1), 1) * ((double) PG_UINT32_MAX + 1));
		table_index_build_scan(heap, index, info, false, false, row_callback, &state, NULL);
	}
	else
	{
		BlockSamplerData sampler;

		state.accepted = (uint64) (Min(wanted / (rows_per_block * blocks), 1) * ((double) PG_UINT32_MAX + 1));
		BlockSampler_Init(&sampler, nblocks, (int) blocks, (uint32) seed);
		while (BlockSampler_HasMore(&sampler))
		{
			CHECK_FOR_INTERRUPTS();
			table_index_build_range_scan(heap, index, info, false, true, false,
										 BlockSampler_Next(&sampler), 1, row_callback, &state, NULL);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}
