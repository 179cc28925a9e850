/*
 * ivf_train.c
 *		Centroids from a sample of the table (ivf_train.h).
 */
#include "vecidx.h"

#include <math.h>

#include "access/tableam.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "common/pg_prng.h"
#include "ivf/ivf.h"
#include "ivf/ivf_train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quant/kmeans.h"

/* Sample rows of a list that are wanted, and of the whole index at least. */
#define SAMPLES_A_LIST 50
#define MIN_SAMPLES 10000

/* A sample of rows, each with the same chance: Vitter's algorithm R. */
typedef struct Sampler
{
	const IvfTrainParams *params;
	Size		size;			/* of a sample row */
	char	   *rows;
	Size		n;
	Size		most;
	double		seen;
	void	   *buffer;
	MemoryContext row;
	pg_prng_state random;
} Sampler;

static void
sample_row(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	Sampler    *sampler = arg;
	MemoryContext old;
	const void *elements;

	(void) index;
	(void) tid;
	(void) alive;
	CHECK_FOR_INTERRUPTS();
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(sampler->row);
	elements = vecidx_elements(sampler->params->opclass, values[0], sampler->params->dim, sampler->buffer);
	if (elements != NULL)
	{
		Size		place = sampler->n;

		sampler->seen++;
		if (sampler->n < sampler->most)
			sampler->n++;
		else
			place = (Size) (pg_prng_double(&sampler->random) * sampler->seen);
		if (place < sampler->most)
		{
			char	   *to = sampler->rows + place * sampler->size;

			if (sampler->params->opclass->metric == METRIC_COSINE)
				ivf_normalise(elements, (float *) to, sampler->params->dim);
			else
				memcpy(to, elements, sampler->size);
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(sampler->row);
}

static void
tick(void *arg)
{
	(void) arg;
	CHECK_FOR_INTERRUPTS();
}

static void
sample_mean(IvfTraining *training, MemoryContext context)
{
	double	   *sums = palloc0(sizeof(double) * training->dim);

	training->mean = MemoryContextAllocZero(context, sizeof(float) * training->dim);
	for (Size i = 0; i < training->nsample; i++)
		for (int j = 0; j < training->dim; j++)
			sums[j] += ((const float *) training->sample)[i * training->dim + j];
	for (int j = 0; j < training->dim; j++)
		training->mean[j] = (float) (sums[j] / Max(training->nsample, 1));
	pfree(sums);
}

void
ivf_train(Relation heap, Relation index, IndexInfo *info, const IvfTrainParams *params,
		  MemoryContext context, IvfTraining *training)
{
	bool		bits = params->opclass->type->elements == QUANT_BIT_STRING;
	Sampler		sampler = {.params = params};
	KMeansSpec	spec = {0};
	KMeans		km;
	void	   *block;
	uint32	   *assigned;

	memset(training, 0, sizeof(*training));
	training->dim = params->dim;
	training->centroid_size = ivf_centroid_size(params->opclass->type->elements, params->dim);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_SAMPLE);
	sampler.size = training->centroid_size;
	sampler.most = Max(params->memory / 2 / sampler.size, 100);
	sampler.most = Min(sampler.most, Max((Size) SAMPLES_A_LIST * Max(params->lists, 4000), MIN_SAMPLES));
	sampler.rows = MemoryContextAllocHuge(context, sampler.most * sampler.size);
	sampler.buffer = vecidx_elements_buffer(params->opclass, params->dim, context);
	sampler.row = AllocSetContextCreate(context, "ivf sample row", ALLOCSET_DEFAULT_SIZES);
	pg_prng_seed(&sampler.random, params->seed);
	(void) table_index_build_scan(heap, index, info, false, false, sample_row, &sampler, NULL);
	training->rows = sampler.seen;
	training->sample = sampler.rows;
	training->nsample = sampler.n;
	training->sample_scale = 1;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_TRAIN);
	spec.metric = params->opclass->metric;
	spec.elements = bits ? KMEANS_BITS : KMEANS_F32;
	spec.dim = params->dim;
	spec.n = sampler.n;
	spec.k = params->lists > 0 ? params->lists : (int) Min(ivf_default_lists(sampler.seen), IVF_MAX_LISTS);
	spec.seed = params->seed;
	block = vecidx_alloc_aligned(context, kmeans_block_size(&spec));
	kmeans_init(block, &spec);
	kmeans_open(&km, block, sampler.rows, vecidx_alloc_aligned(context, kmeans_scratch_size(&spec) + 1));
	km.tick = tick;
	kmeans_run(&km);
	training->lists = Max(kmeans_count(&km), 1);
	training->centroids = MemoryContextAllocExtended(context, training->centroid_size * training->lists,
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (kmeans_count(&km) > 0)
		memcpy(training->centroids, kmeans_centroids(&km), training->centroid_size * training->lists);
	assigned = MemoryContextAllocHuge(context, sizeof(uint32) * Max(sampler.n, 1));
	memcpy(assigned, kmeans_assigned(&km), sizeof(uint32) * sampler.n);
	training->sample_list = assigned;
	if (!bits)
		sample_mean(training, context);
}

Size
ivf_training_residuals(const IvfTraining *training, float *out, Size max)
{
	Size		n = Min(max, training->nsample);
	int			dim = training->dim;

	for (Size i = 0; i < n; i++)
	{
		Size		row = (Size) ((double) i * training->nsample / n);
		const float *v = (const float *) training->sample + row * dim;
		const float *centroid = (const float *) training->centroids + (Size) training->sample_list[row] * dim;

		for (int j = 0; j < dim; j++)
			out[i * dim + j] = v[j] - centroid[j];
	}
	return n;
}

void
ivf_training_forget(IvfTraining *training)
{
	if (training->sample != NULL)
		pfree(training->sample);
	training->sample = NULL;
}
