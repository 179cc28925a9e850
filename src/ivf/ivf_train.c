/*
 * ivf_train.c
 *		Centroids for an inverted-list build.
 *
 * A sample of the table goes into one piece of memory, k-means (quant/kmeans.h)
 * works beside it in the same piece, and all of it is gone when ivf_train()
 * returns but for the centroids and a small part of the sample.  Where workers
 * take part the piece is a segment of shared memory.
 */
#include "vecidx.h"

#include <math.h>

#include "commands/progress.h"
#include "index/parallel.h"
#include "index/sample.h"
#include "ivf/ivf.h"
#include "ivf/ivf_train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "port/atomics.h"
#include "quant/kmeans.h"
#include "simd/half.h"
#include "storage/barrier.h"
#include "utils/wait_event.h"

/* Samples that a list is given, if there is memory for so many; and below which it is not found at all. */
#define SAMPLES_PER_LIST 64
#define MIN_SAMPLES_PER_LIST 4

/* Few lists are no reason for a small sample: codes learn from it too. */
#define MIN_SAMPLE 20000

/* Of the sample that stays: rows at most, and share of the memory. */
#define KEPT_ROWS 65536
#define KEPT_SHARE 8

/* Samples times lists for which a worker more is worth its start. */
#define WORK_PER_WORKER 4e6

/* Largest magnitude of a float16 sample; what rounding is to leave unharmed. */
#define HALF_LARGEST 32768.0f

/* ---- Memory ---- */

/*
 * Processes that memory is set aside for, whether there are so many or fewer:
 * the sample, and what comes of it, must not depend on that.  No more take
 * part, and fewer where their own memory would be more than such a share.
 */
#define PROCESSES 9
#define SCRATCH_SHARE 4

/* What goes where, in bytes. */
typedef struct TrainPlan
{
	KMeansSpec	spec;			/* n is the room for samples */
	Size		kept;			/* rows of the sample that stay */
	Size		block;			/* of k-means, in the piece of memory; the sample comes behind it */
	Size		piece;
} TrainPlan;

static void
plan_sizes(TrainPlan *plan, Size memory)
{
	Size		sample = kmeans_sample_size(&plan->spec);

	plan->kept = Min(Min(plan->spec.n, KEPT_ROWS), memory / KEPT_SHARE / (sample + sizeof(uint32)));
	plan->block = CACHELINEALIGN(kmeans_block_size(&plan->spec));
	plan->piece = plan->block + plan->spec.n * sample;
}

static Size
scratch_size(const TrainPlan *plan)
{
	return kmeans_scratch_size(&plan->spec) + PG_CACHE_LINE_SIZE;
}

static int
most_processes(const TrainPlan *plan, Size memory)
{
	return (int) Max(Min(memory / SCRATCH_SHARE / scratch_size(plan), PROCESSES), 1);
}

/* All that training takes at a time. */
static Size
plan_total(const TrainPlan *plan, Size memory)
{
	return plan->piece + kmeans_centroid_size(&plan->spec) * plan->spec.k +
		plan->kept * (kmeans_sample_size(&plan->spec) + sizeof(uint32)) +
		scratch_size(plan) * most_processes(plan, memory);
}

/* Room for as many samples as the memory has, at most `wanted`. */
static void
plan_samples(TrainPlan *plan, Size memory, Size wanted)
{
	Size		low = 0;
	Size		high = wanted;

	while (low < high)
	{
		plan->spec.n = low + (high - low + 1) / 2;
		plan_sizes(plan, memory);
		if (plan_total(plan, memory) <= memory)
			low = plan->spec.n;
		else
			high = plan->spec.n - 1;
	}
	plan->spec.n = low;
	plan_sizes(plan, memory);
}

/* Decide on lists, the size of the sample and its form.  rows: of the index. */
static void
make_plan(TrainPlan *plan, const IvfTrainParams *params, double rows)
{
	const VecidxType *type = params->opclass->type;
	int			k = params->lists > 0 ? params->lists : (int) ivf_default_lists(params->kind, params->dim, rows);
	/* the estimate may be low */
	double		most = Min(rows * 1.1 + 1000, (double) PG_INT32_MAX / 2);

	memset(plan, 0, sizeof(*plan));
	plan->spec.metric = params->opclass->metric;
	plan->spec.dim = params->dim;
	plan->spec.seed = params->seed;
	plan->spec.share = params->share;
	for (k = Max(Min(k, IVF_MAX_LISTS), 1);; k /= 2)
	{
		Size		wanted = (Size) Min(most, Max((double) k * SAMPLES_PER_LIST, MIN_SAMPLE));
		Size		enough = (Size) Min(rows, (double) k * MIN_SAMPLES_PER_LIST);

		plan->spec.k = k;
		plan->spec.elements = type->elements == QUANT_BIT_STRING ? KMEANS_BITS : type->half ? KMEANS_F16 : KMEANS_F32;
		plan_samples(plan, params->memory, wanted);
		if (plan->spec.n < wanted && plan->spec.elements == KMEANS_F32)
		{
			plan->spec.elements = KMEANS_F16;
			plan_samples(plan, params->memory, wanted);
		}
		if (plan->spec.n >= enough)
			return;
		if (params->lists > 0 || k == 1)
		{
			plan->spec.n = Max(enough, 1);
			plan_sizes(plan, params->memory);
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("memory required is %zu MB, maintenance_work_mem is %zu MB",
							plan_total(plan, params->memory) / (1024 * 1024) + 1, params->memory / (1024 * 1024)),
					 errhint("Increase maintenance_work_mem, or reduce the number of lists.")));
		}
	}
}

/* ---- The sample ---- */

typedef struct SampleTaker
{
	const TrainPlan *plan;
	char	   *samples;
	Size		size;			/* of a sample */
	Size		n;
	uint64		seen;
	uint64		random;
	float		scale;			/* float16 samples are the rows' values times this, a power of two */
	float	   *row;
} SampleTaker;

static uint64
next_random(uint64 *state)
{
	/* splitmix64: the same on every version and machine */
	uint64		z = (*state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static float
largest_magnitude(const float *v, int dim)
{
	float		largest = 0;

	for (int i = 0; i < dim; i++)
		largest = Max(largest, fabsf(v[i]));
	return largest;
}

/* Make room for larger values: those that are there become smaller. */
static void
reduce_scale(SampleTaker *taker, float largest)
{
	float		factor = 1;
	Size		values = taker->n * (Size) taker->plan->spec.dim;
	uint16	   *halves = (uint16 *) taker->samples;

	while (largest * taker->scale * factor > HALF_LARGEST / 64)
		factor /= 2;
	taker->scale *= factor;
	for (Size i = 0; i < values; i++)
	{
		if (i % 65536 == 0)
			CHECK_FOR_INTERRUPTS();
		halves[i] = half_from_float(half_to_float(halves[i]) * factor);
	}
}

static void
take_row(const void *elements, void *arg)
{
	SampleTaker *taker = arg;
	const KMeansSpec *spec = &taker->plan->spec;
	Size		place = taker->n;
	const float *v = elements;
	void	   *to;

	taker->seen++;
	/* more rows than were expected: every one with the same chance */
	if (taker->n == spec->n)
	{
		place = next_random(&taker->random) % taker->seen;
		if (place >= spec->n)
			return;
	}
	if (spec->elements == KMEANS_BITS)
	{
		memcpy(taker->samples + place * taker->size, elements, taker->size);
		taker->n = Max(taker->n, place + 1);
		return;
	}
	if (spec->metric == METRIC_COSINE)
	{
		double		norm = simd_get()->sumsq_f32(v, spec->dim);
		double		factor = norm > 0 ? 1 / sqrt(norm) : 0;

		for (int i = 0; i < spec->dim; i++)
			taker->row[i] = (float) (v[i] * factor);
		v = taker->row;
	}
	if (spec->elements == KMEANS_F16)
	{
		float		largest = largest_magnitude(v, spec->dim);

		if (largest * taker->scale > HALF_LARGEST)
			reduce_scale(taker, largest);
		if (taker->scale != 1)
		{
			for (int i = 0; i < spec->dim; i++)
				taker->row[i] = v[i] * taker->scale;
			v = taker->row;
		}
	}
	to = taker->samples + place * taker->size;
	if (spec->elements == KMEANS_F16)
		(void) simd_get()->f32_to_f16(v, to, spec->dim);
	else
		memcpy(to, v, taker->size);
	taker->n = Max(taker->n, place + 1);
}

/* ---- Several processes ---- */

/*
 * A phase's tasks go to whoever asks next.  The barrier's even phases are for
 * tasks, in odd ones one process advances and the others wait.
 */
typedef struct TrainShared
{
	dsm_handle	piece;
	Size		samples;		/* offset in it */
	Barrier		barrier;
	pg_atomic_uint32 next;		/* task */
} TrainShared;

static void
tick(void *arg)
{
	(void) arg;
	CHECK_FOR_INTERRUPTS();
}

/* This process's view; scratch goes with the context. */
static void
open_kmeans(KMeans *km, char *piece, Size samples)
{
	const KMeansSpec *spec;

	kmeans_open(km, piece, piece + samples, NULL);
	spec = &km->spec;
	km->scratch = (void *) CACHELINEALIGN(MemoryContextAllocHuge(CurrentMemoryContext,
																  kmeans_scratch_size(spec) + PG_CACHE_LINE_SIZE));
	km->tick = tick;
}

static void
work_together(KMeans *km, TrainShared *shared)
{
	int			ntasks;

	if (BarrierAttach(&shared->barrier) % 2 == 1)
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	while ((ntasks = kmeans_tasks(km)) > 0)
	{
		for (;;)
		{
			uint32		task = pg_atomic_fetch_add_u32(&shared->next, 1);

			if (task >= (uint32) ntasks)
				break;
			CHECK_FOR_INTERRUPTS();
			kmeans_task(km, (int) task);
		}
		if (BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN))
		{
			kmeans_advance(km);
			pg_atomic_write_u32(&shared->next, 0);
		}
		BarrierArriveAndWait(&shared->barrier, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	}
	BarrierDetach(&shared->barrier);
}

extern PGDLLEXPORT void ivf_train_worker(dsm_segment *segment, shm_toc *toc);

void
ivf_train_worker(dsm_segment *segment, shm_toc *toc)
{
	VecidxParallel parallel;
	TrainShared *shared;
	dsm_segment *piece;
	KMeans		km;

	(void) segment;
	vecidx_parallel_attach(&parallel, toc);
	shared = VecidxParallelOwn(&parallel);
	piece = dsm_attach(shared->piece);
	if (piece == NULL)
		elog(ERROR, "could not map the sample of index \"%s\"", RelationGetRelationName(parallel.index));
	open_kmeans(&km, dsm_segment_address(piece), shared->samples);
	work_together(&km, shared);
	dsm_detach(piece);
	vecidx_parallel_detach(&parallel);
}

static void
report_shortage(Relation index, const char *why)
{
	ereport(NOTICE,
			(errmsg("could not get enough shared memory for parallel training of index \"%s\"",
					RelationGetRelationName(index)),
			 errdetail("It is trained by one process: %s.", why),
			 errhint("Enlarge /dev/shm (in a container, by --shm-size).")));
}

/* Work with workers; false, with nothing done, where there is no shared memory for that. */
static bool
work_in_parallel(KMeans *km, Relation heap, Relation index, IndexInfo *info, dsm_segment *piece, Size samples, int workers)
{
	VecidxParallel parallel;
	TrainShared *shared;
	char	   *why;

	while (!vecidx_parallel_prepare(&parallel, heap, index, info->ii_Concurrent, workers,
									"ivf_train_worker", sizeof(TrainShared), &why))
	{
		workers /= 2;
		if (workers == 0)
		{
			report_shortage(index, why);
			return false;
		}
	}
	shared = VecidxParallelOwn(&parallel);
	shared->piece = dsm_segment_handle(piece);
	shared->samples = samples;
	BarrierInit(&shared->barrier, 0);
	pg_atomic_init_u32(&shared->next, 0);
	(void) vecidx_parallel_launch(&parallel);
	work_together(km, shared);
	/* who comes late finds nothing to do, but looks into the segment for that */
	vecidx_parallel_end(&parallel);
	return true;
}

/* ---- Training ---- */

static void
work_alone(KMeans *km)
{
	int			ntasks;

	while ((ntasks = kmeans_tasks(km)) > 0)
	{
		for (int task = 0; task < ntasks; task++)
		{
			CHECK_FOR_INTERRUPTS();
			kmeans_task(km, task);
		}
		kmeans_advance(km);
	}
}

/* What comes out of a sample. */
static void
keep_results(const KMeans *km, const TrainPlan *plan, const SampleTaker *taker, MemoryContext context, IvfTraining *training)
{
	Size		n = km->spec.n;
	int			count = kmeans_count(km);
	bool		half = plan->spec.elements == KMEANS_F16;

	training->lists = Max(count, 1);
	training->centroid_size = kmeans_centroid_size(&plan->spec);
	training->centroids = MemoryContextAllocExtended(context, training->centroid_size * training->lists,
													 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	if (count > 0)
		memcpy(training->centroids, kmeans_centroids(km), training->centroid_size * count);
	training->sample_half = half;
	training->sample_scale = 1 / taker->scale;
	if (half && taker->scale != 1)
	{
		float	   *values = training->centroids;

		for (Size i = 0; i < (Size) count * training->dim; i++)
			values[i] *= training->sample_scale;
	}

	training->nsample = Min(n, plan->kept);
	if (training->nsample == 0)
		return;
	training->sample = MemoryContextAllocHuge(context, training->nsample * taker->size);
	training->sample_list = MemoryContextAllocHuge(context, training->nsample * sizeof(uint32));
	for (Size i = 0; i < training->nsample; i++)
	{
		/* spread evenly */
		Size		from = (Size) ((double) i / training->nsample * n);

		memcpy((char *) training->sample + i * taker->size, taker->samples + from * taker->size, taker->size);
		training->sample_list[i] = kmeans_assigned(km)[from];
	}
}

/* The rows that the index will have, and their mean. */
static void
estimate(Relation heap, Relation index, IndexInfo *info, const IvfTrainParams *params, MemoryContext context,
		 IvfTraining *training)
{
	QuantElements elements = params->opclass->type->elements;
	Quantizer	quantizer;
	VecidxSample sample;

	/* any kind that wants a centre where there is one */
	quant_init(&quantizer, elements == QUANT_BIT_STRING ? QUANT_BITS : QUANT_RABITQ4, params->opclass->metric,
			   params->dim, NULL, params->seed);
	vecidx_sample(heap, index, info, params->opclass, &quantizer, context, &sample);
	training->rows = sample.rows;
	training->mean = sample.mean;
	if (training->mean == NULL && elements != QUANT_BIT_STRING)
		training->mean = MemoryContextAllocZero(context, sizeof(float) * params->dim);
}

void
ivf_train(Relation heap, Relation index, IndexInfo *info, const IvfTrainParams *params,
		  MemoryContext context, IvfTraining *training)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "ivf train", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old;
	TrainPlan		plan;
	SampleTaker taker = {0};
	dsm_segment *segment = NULL;
	char	   *piece;
	KMeans		km;
	int			workers;

	memset(training, 0, sizeof(*training));
	training->dim = params->dim;
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_SAMPLE);
	old = MemoryContextSwitchTo(work);
	estimate(heap, index, info, params, context, training);
	make_plan(&plan, params, training->rows);

	workers = vecidx_parallel_workers(heap, index, (double) plan.spec.n * plan.spec.k, WORK_PER_WORKER);
	workers = Min(workers, most_processes(&plan, params->memory) - 1);
	if (workers > 0)
	{
		char	   *why;

		segment = vecidx_segment_create(plan.piece, &why);
		if (segment == NULL)
			report_shortage(index, why);
	}
	piece = segment != NULL ? dsm_segment_address(segment) :
		(char *) CACHELINEALIGN(MemoryContextAllocHuge(work, plan.piece + PG_CACHE_LINE_SIZE));

	taker.plan = &plan;
	taker.samples = piece + plan.block;
	taker.size = kmeans_sample_size(&plan.spec);
	taker.random = params->seed;
	taker.scale = 1;
	taker.row = palloc(sizeof(float) * params->dim);
	vecidx_sample_rows(heap, index, info, params->opclass, params->dim, training->rows, (double) plan.spec.n,
					   params->seed, take_row, &taker);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_TRAIN);
	{
		KMeansSpec	spec = plan.spec;

		spec.n = taker.n;
		kmeans_init(piece, &spec);
	}
	open_kmeans(&km, piece, plan.block);
	if (segment == NULL || !work_in_parallel(&km, heap, index, info, segment, plan.block, workers))
		work_alone(&km);
	keep_results(&km, &plan, &taker, context, training);
	ereport(DEBUG1,
			(errmsg_internal("ivf training: %d lists of %d from %zu samples of about %.0f rows",
							 training->lists, plan.spec.k, (size_t) taker.n, training->rows)));
	if (segment != NULL)
		dsm_detach(segment);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
}

Size
ivf_training_residuals(const IvfTraining *training, float *out, Size max)
{
	Size		n = Min(max, training->nsample);
	Size		dim = training->dim;

	if (training->mean == NULL)
		return 0;
	for (Size i = 0; i < n; i++)
	{
		Size		from = (Size) ((double) i / n * training->nsample);
		const float *centroid = (const float *) training->centroids + training->sample_list[from] * dim;
		float	   *to = out + i * dim;

		if (training->sample_half)
		{
			simd_get()->f16_to_f32((const uint16 *) training->sample + from * dim, to, (int) dim);
			for (Size j = 0; j < dim; j++)
				to[j] = to[j] * training->sample_scale - centroid[j];
		}
		else
		{
			const float *v = (const float *) training->sample + from * dim;

			for (Size j = 0; j < dim; j++)
				to[j] = v[j] - centroid[j];
		}
	}
	return n;
}

void
ivf_training_forget(IvfTraining *training)
{
	if (training->sample != NULL)
		pfree(training->sample);
	if (training->sample_list != NULL)
		pfree(training->sample_list);
	training->sample = NULL;
	training->sample_list = NULL;
	training->nsample = 0;
}
