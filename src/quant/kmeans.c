/*
 * kmeans.c
 *		Centroids of inverted lists, from a sample.
 *
 * Lloyd's iterations, seeded by k-means++ (Arthur and Vassilvitskii, 2007).
 * Many centroids are found in two steps: about sqrt(k) parts first, from a
 * part of the sample; then centroids within each part, as many as its share of
 * the sample asks for.  Both are small problems.  Then a few iterations over
 * all samples and all centroids, with the nearest found by a router (route.h).
 *
 * What makes the result independent of who does what: a sample's nearest
 * centroid depends on nothing but the centroids, and a centroid's new place is
 * the mean of its samples added in their order, by one process.  No partial
 * sums are exchanged.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/kmeans.h"
#include "quant/kmeans_small.h"
#include "quant/route.h"

/* Fewer centroids than this are found in one step (README). */
#define TWO_STEP_MIN_K 48

/* A part with fewer samples than this for each of its centroids gets fewer centroids than others. */
#define SAMPLES_PER_CENTROID 8

/* Samples for each of the parts. */
#define SAMPLES_PER_PART 256

/* Iterations within one part, and over all: fewer where they take long. */
#define SMALL_PASSES 8
#define PASSES(k) ((k) <= 256 ? 16 : (k) <= 4096 ? 6 : 3)

/*
 * Under inner product a centroid is as long as its samples' projections on it
 * are, at so many standard deviations above the mean (README).
 */
#define LENGTH_DEVIATIONS 1.5

/* Samples of one task, and centroids of one. */
#define TASK_SAMPLES 1024
#define TASK_CENTROIDS 64

typedef enum Phase
{
	PHASE_PARTS = 0,			/* centroids of the parts; one task */
	PHASE_DEAL,					/* samples to parts */
	PHASE_SPLIT,				/* centroids within parts */
	PHASE_ASSIGN,				/* samples to centroids */
	PHASE_UPDATE,				/* centroids to where their samples are */
	PHASE_LENGTH,				/* inner product: how long centroids are to be */
	PHASE_DONE
} Phase;

/* At the head of the block.  Offsets are from there. */
typedef struct State
{
	KMeansSpec	spec;
	Phase		phase;
	int			ntasks;
	int			pass;			/* updates that have been done */
	int			done;			/* phases */
	int			parts;			/* 1: centroids are found in one step */
	int			count;			/* centroids there are */

	size_t		centroids;		/* k of them */
	size_t		tops;			/* of the parts */
	size_t		labels;			/* n uint32: what each sample belongs to */
	size_t		order;			/* n uint32: samples by what they belong to */
	size_t		near;			/* n floats: working memory */
	size_t		start;			/* k + 1 uint32: where a part's, or a centroid's, samples stand in order */
	size_t		first;			/* parts + 1 uint32: where a part's centroids stand */
	size_t		found;			/* parts uint32: how many there are */
	size_t		router;
	size_t		size;
} State;

static inline size_t
round_up(size_t n)
{
	return (n + 63) / 64 * 64;
}

static inline void *
at(const KMeans *km, size_t offset)
{
	return (char *) km->block + offset;
}

static inline void
tick(const KMeans *km)
{
	if (km->tick != NULL)
		km->tick(km->arg);
}

size_t
kmeans_sample_size(const KMeansSpec *spec)
{
	if (spec->elements == KMEANS_BITS)
		return ((size_t) spec->dim + 7) / 8;
	return (size_t) spec->dim * (spec->elements == KMEANS_F16 ? sizeof(uint16_t) : sizeof(float));
}

size_t
kmeans_centroid_size(const KMeansSpec *spec)
{
	return spec->elements == KMEANS_BITS ? ((size_t) spec->dim + 7) / 8 : (size_t) spec->dim * sizeof(float);
}

static RouteSpec
route_spec(const KMeansSpec *spec, int k)
{
	RouteSpec	route = {
		.metric = kmeans_inner_metric(spec->metric),
		.half = spec->elements == KMEANS_F16,
		.dim = spec->dim,
		.k = k,
		.seed = spec->seed,
	};

	return route;
}

/* ---- Memory ---- */

static int
number_of_parts(const KMeansSpec *spec)
{
	return spec->k < TWO_STEP_MIN_K ? 1 : (int) ceil(sqrt((double) spec->k));
}

static void
lay_out(State *state, const KMeansSpec *spec)
{
	RouteSpec	route = route_spec(spec, spec->k);
	size_t		centroid = kmeans_centroid_size(spec);
	size_t		k = (size_t) spec->k;
	size_t		parts = (size_t) number_of_parts(spec);
	size_t		offset = round_up(sizeof(State));

	memset(state, 0, sizeof(*state));
	state->spec = *spec;
	state->parts = (int) parts;
#define PLACE(member, bytes) \
	(state->member = offset, offset += round_up(bytes))
	PLACE(centroids, k * centroid);
	PLACE(tops, parts * centroid);
	PLACE(labels, spec->n * sizeof(uint32_t));
	PLACE(order, spec->n * sizeof(uint32_t));
	PLACE(near, spec->n * sizeof(float));
	PLACE(start, (k + 1) * sizeof(uint32_t));
	PLACE(first, (parts + 1) * sizeof(uint32_t));
	PLACE(found, parts * sizeof(uint32_t));
	PLACE(router, route_block_size(&route));
#undef PLACE
	state->size = offset;
}

size_t
kmeans_block_size(const KMeansSpec *spec)
{
	State		state;

	lay_out(&state, spec);
	return state.size;
}

size_t
kmeans_scratch_size(const KMeansSpec *spec)
{
	RouteSpec	route = route_spec(spec, spec->k);
	size_t		small = round_up(kmeans_small_scratch(spec));
	size_t		router = round_up(route_scratch_size(&route));

	return small > router ? small : router;
}

/* ---- Phases ---- */

static int
tasks_of(size_t n, size_t size)
{
	return (int) ((n + size - 1) / size);
}

static void
enter(State *state, Phase phase, int ntasks)
{
	state->phase = phase;
	state->ntasks = ntasks;
}

void
kmeans_init(void *block, const KMeansSpec *spec)
{
	State	   *state = block;

	lay_out(state, spec);
	if (spec->n == 0)
		enter(state, PHASE_DONE, 0);
	else
		enter(state, PHASE_PARTS, 1);
}

void
kmeans_open(KMeans *km, void *block, const void *samples, void *scratch)
{
	memset(km, 0, sizeof(*km));
	km->spec = ((const State *) block)->spec;
	km->block = block;
	km->samples = samples;
	km->scratch = scratch;
}

int
kmeans_tasks(const KMeans *km)
{
	return ((const State *) km->block)->ntasks;
}

void
kmeans_progress(const KMeans *km, int *done, int *of)
{
	const State *state = km->block;

	*done = state->done;
	/* parts, deal, split; assign and update in turn, a last assign; lengths */
	*of = (state->parts > 1 ? 3 : 1) + 2 * PASSES(state->spec.k) + 1 + (state->spec.metric == METRIC_IP);
}

/* Task 0 of PHASE_PARTS: the centroids of the parts from some samples, drawn at random. */
static void
find_parts(KMeans *km, State *state)
{
	uint32_t   *order = at(km, state->order);
	size_t		n = state->spec.n;
	size_t		most = (size_t) (state->parts > 1 ? state->parts : state->spec.k) * SAMPLES_PER_PART;
	size_t		m = n < most ? n : most;
	uint64_t	random = kmeans_seed(state->spec.seed, 0);
	void	   *out = at(km, state->parts > 1 ? state->tops : state->centroids);
	int			wanted = state->parts > 1 ? state->parts : state->spec.k;

	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t) i;
	for (size_t i = 0; i < m; i++)
	{
		size_t		other = i + kmeans_random(&random) % (n - i);
		uint32_t	swap = order[i];

		order[i] = order[other];
		order[other] = swap;
	}
	state->count = kmeans_small(km, order, m, wanted, SMALL_PASSES, kmeans_random(&random), out,
								at(km, state->labels), at(km, state->near));
}

/* A task of PHASE_SPLIT: centroids within one part. */
static void
split_part(KMeans *km, const State *state, int part)
{
	const uint32_t *start = at(km, state->start);
	const uint32_t *first = at(km, state->first);
	uint32_t   *found = at(km, state->found);
	uint32_t	from = start[part];
	size_t		m = start[part + 1] - from;
	int			wanted = (int) (first[part + 1] - first[part]);

	found[part] = 0;
	if (m > 0 && wanted > 0)
		found[part] = (uint32_t) kmeans_small(km, (uint32_t *) at(km, state->order) + from, m, wanted,
											  SMALL_PASSES, kmeans_seed(state->spec.seed, 1 + (uint64_t) part),
											  (char *) at(km, state->centroids) +
											  first[part] * kmeans_centroid_size(&state->spec),
											  (uint32_t *) at(km, state->labels) + from,
											  (float *) at(km, state->near) + from);
}

/* Samples to centroids, by a router. */
static void
route_samples(KMeans *km, const State *state, size_t from, size_t to)
{
	RouteSpec	spec = route_spec(&state->spec, state->count);
	uint32_t   *labels = at(km, state->labels);
	size_t		size = kmeans_sample_size(&state->spec);
	Router		router;

	route_open(&router, &spec, at(km, state->centroids), at(km, state->router));
	for (size_t i = from; i < to; i++)
	{
		(void) route_nearest(&router, (const char *) km->samples + i * size, 1, &labels[i], NULL, km->scratch);
		if (i % 64 == 0)
			tick(km);
	}
}

double
kmeans_length(double n, double sum, double squares)
{
	double		mean;

	if (!(n > 0 && sum > 0))
		return 0;
	mean = sum / n;
	return fmin(mean + LENGTH_DEVIATIONS * sqrt(fmax(squares / n - mean * mean, 0)), FLT_MAX / 4);
}

/*
 * Of PHASE_LENGTH: samples went to centroids by direction alone, but a query
 * is to look first where large products are to be found.
 */
static void
measure_length(KMeans *km, const State *state, size_t c)
{
	const uint32_t *start = at(km, state->start);
	const uint32_t *order = at(km, state->order);
	float	   *length = at(km, state->near);
	double		n = start[c + 1] - start[c];
	double		sum = 0;
	double		squares = 0;

	for (uint32_t i = start[c]; i < start[c + 1]; i++)
	{
		double		x = kmeans_project(km, order[i], (const char *) at(km, state->centroids) +
									   c * kmeans_centroid_size(&state->spec));

		sum += x;
		squares += x * x;
	}
	length[c] = (float) kmeans_length(n, sum, squares);
}

/* Give centroids the lengths that were found, those without samples the average. */
static void
set_lengths(KMeans *km, const State *state)
{
	const float *length = at(km, state->near);
	float	   *centroids = at(km, state->centroids);
	size_t		dim = (size_t) state->spec.dim;
	double		sum = 0;
	int			n = 0;

	for (int c = 0; c < state->count; c++)
	{
		sum += length[c];
		n += length[c] > 0;
	}
	for (int c = 0; c < state->count; c++)
	{
		float		factor = length[c] > 0 ? length[c] : n > 0 ? (float) (sum / n) : 1.0f;

		for (size_t i = 0; i < dim; i++)
			centroids[(size_t) c * dim + i] *= factor;
	}
}

void
kmeans_task(KMeans *km, int task)
{
	State	   *state = km->block;
	size_t		from;
	size_t		to;
	bool		centroids = state->phase == PHASE_UPDATE || state->phase == PHASE_LENGTH;
	size_t		size = centroids ? TASK_CENTROIDS : TASK_SAMPLES;
	size_t		all = centroids ? (size_t) state->count : state->spec.n;

	from = (size_t) task * size;
	to = from + size < all ? from + size : all;
	switch (state->phase)
	{
		case PHASE_PARTS:
			find_parts(km, state);
			break;
		case PHASE_DEAL:
			kmeans_assign(km, NULL, from, to, at(km, state->tops), state->count, at(km, state->labels), NULL);
			break;
		case PHASE_SPLIT:
			split_part(km, state, task);
			break;
		case PHASE_ASSIGN:
			route_samples(km, state, from, to);
			break;
		case PHASE_UPDATE:
			{
				const uint32_t *start = at(km, state->start);
				const uint32_t *order = at(km, state->order);
				size_t		centroid = kmeans_centroid_size(&state->spec);

				for (size_t c = from; c < to; c++)
				{
					tick(km);
					kmeans_move(km, order + start[c], start[c + 1] - start[c],
								(char *) at(km, state->centroids) + c * centroid);
				}
				break;
			}
		case PHASE_LENGTH:
			for (size_t c = from; c < to; c++)
			{
				tick(km);
				measure_length(km, state, c);
			}
			break;
		case PHASE_DONE:
			break;
	}
}

/* Order samples by label, of which there are k; those with the same stay in their order. */
static void
sort_samples(KMeans *km, const State *state, int k)
{
	const uint32_t *labels = at(km, state->labels);
	uint32_t   *order = at(km, state->order);
	uint32_t   *start = at(km, state->start);
	size_t		n = state->spec.n;

	memset(start, 0, ((size_t) k + 1) * sizeof(uint32_t));
	for (size_t i = 0; i < n; i++)
		start[labels[i]]++;
	for (int c = 1; c <= k; c++)
		start[c] += start[c - 1];
	/* from the back: start[c] is where c ends until its last sample is placed */
	for (size_t i = n; i-- > 0;)
		order[--start[labels[i]]] = (uint32_t) i;
}

/* A part's share of the centroids, by its n samples; in proportion if they are fewer than enough. */
static double
share(const KMeansSpec *spec, double n, double enough)
{
	return pow(fmax(n, enough), spec->share) * fmin(n / enough, 1);
}

/* Deal the centroids out to parts. */
static void
share_centroids(KMeans *km, const State *state)
{
	const uint32_t *start = at(km, state->start);
	uint32_t   *first = at(km, state->first);
	double		enough = (double) SAMPLES_PER_CENTROID * state->spec.k / state->parts;
	double		total = 0;
	double		sum = 0;

	for (int p = 0; p < state->parts; p++)
		total += share(&state->spec, start[p + 1] - start[p], enough);
	/* from the running sum, so that they add up */
	for (int p = 0; p < state->parts; p++)
	{
		first[p] = (uint32_t) floor(state->spec.k * (sum / total) + 0.5);
		sum += share(&state->spec, start[p + 1] - start[p], enough);
	}
	first[state->parts] = (uint32_t) state->spec.k;
}

/* Close the gaps that parts with few different samples left. */
static void
gather_centroids(KMeans *km, State *state)
{
	const uint32_t *first = at(km, state->first);
	const uint32_t *found = at(km, state->found);
	char	   *centroids = at(km, state->centroids);
	size_t		size = kmeans_centroid_size(&state->spec);
	int			count = 0;

	for (int p = 0; p < state->parts; p++)
	{
		if ((uint32_t) count != first[p])
			memmove(centroids + (size_t) count * size, centroids + (size_t) first[p] * size, found[p] * size);
		count += (int) found[p];
	}
	state->count = count;
}

/*
 * Centroids that no sample is nearest to move to where samples are many: to
 * a sample of the largest cluster, which counts for half afterwards.
 */
static void
fill_empty(KMeans *km, State *state)
{
	const uint32_t *start = at(km, state->start);
	const uint32_t *order = at(km, state->order);
	char	   *centroids = at(km, state->centroids);
	size_t		size = kmeans_centroid_size(&state->spec);
	uint32_t   *left = at(km, state->near);	/* n words; there are at most n centroids */
	uint64_t	random = kmeans_seed(state->spec.seed, UINT64_MAX - (uint64_t) state->pass);
	int			k = state->count;
	bool		counted = false;

	for (int c = 0; c < k; c++)
	{
		int			largest = 0;

		if (start[c] < start[c + 1])
			continue;
		if (!counted)
		{
			for (int i = 0; i < k; i++)
				left[i] = start[i + 1] - start[i];
			counted = true;
		}
		for (int i = 1; i < k; i++)
			if (left[i] > left[largest])
				largest = i;
		if (left[largest] < 2)
			return;
		left[largest] /= 2;
		kmeans_centre_on(km, order[start[largest] + kmeans_random(&random) % (start[largest + 1] - start[largest])],
						 centroids + (size_t) c * size);
		tick(km);
	}
}

/* Go on to samples and their centroids. */
static void
begin_assign(KMeans *km, State *state)
{
	RouteSpec	spec = route_spec(&state->spec, state->count);

	route_build(&spec, at(km, state->centroids), at(km, state->router), km->scratch, km->tick, km->arg);
	enter(state, PHASE_ASSIGN, tasks_of(state->spec.n, TASK_SAMPLES));
}

void
kmeans_advance(KMeans *km)
{
	State	   *state = km->block;

	state->done++;
	switch (state->phase)
	{
		case PHASE_PARTS:
			if (state->parts > 1)
			{
				state->parts = state->count;
				enter(state, PHASE_DEAL, tasks_of(state->spec.n, TASK_SAMPLES));
			}
			else
				begin_assign(km, state);
			break;
		case PHASE_DEAL:
			sort_samples(km, state, state->parts);
			share_centroids(km, state);
			enter(state, PHASE_SPLIT, state->parts);
			break;
		case PHASE_SPLIT:
			gather_centroids(km, state);
			begin_assign(km, state);
			break;
		case PHASE_ASSIGN:
			sort_samples(km, state, state->count);
			if (state->pass < PASSES(state->spec.k))
				enter(state, PHASE_UPDATE, tasks_of((size_t) state->count, TASK_CENTROIDS));
			else if (state->spec.metric == METRIC_IP)
				enter(state, PHASE_LENGTH, tasks_of((size_t) state->count, TASK_CENTROIDS));
			else
				enter(state, PHASE_DONE, 0);
			break;
		case PHASE_UPDATE:
			fill_empty(km, state);
			state->pass++;
			begin_assign(km, state);
			break;
		case PHASE_LENGTH:
			set_lengths(km, state);
			enter(state, PHASE_DONE, 0);
			break;
		case PHASE_DONE:
			break;
	}
}

void
kmeans_run(KMeans *km)
{
	int			n;

	while ((n = kmeans_tasks(km)) > 0)
	{
		for (int task = 0; task < n; task++)
			kmeans_task(km, task);
		kmeans_advance(km);
	}
}

int
kmeans_count(const KMeans *km)
{
	return ((const State *) km->block)->count;
}

const void *
kmeans_centroids(const KMeans *km)
{
	return at(km, ((const State *) km->block)->centroids);
}

const uint32_t *
kmeans_assigned(const KMeans *km)
{
	return at(km, ((const State *) km->block)->labels);
}
