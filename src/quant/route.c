/*
 * route.c
 *		The nearest of many centroids.
 */
#include "quant/route.h"

#include <math.h>
#include <string.h>

#include "quant/kmeans_small.h"
#include "quant/quant_private.h"

/* Below these, codes save nothing (README). */
#define CODED_MIN_K 64
#define CODED_MIN_DIM 32

/* From so many on, centroids are in groups; how many groups are looked into for the nearest one (README). */
#define GROUPED_MIN_K 1000
#define VISITED_SHARE 10
#define VISITED_MIN 8
#define VISITED_MAX 64
#define GROUP_PASSES 3

/* As many standard errors an estimate is given (quantizer.h). */
#define ERRORS 2.5f

/* Errors grow with the distance; those of all that count are smaller than the best's times this. */
#define LARGER 1.5f

static inline size_t
round_up(size_t n)
{
	return quant_round_up(n, 64);
}

static inline bool
is_bits(const RouteSpec *spec)
{
	return spec->metric == METRIC_HAMMING || spec->metric == METRIC_JACCARD;
}

static inline size_t
centroid_size(const RouteSpec *spec)
{
	return is_bits(spec) ? ((size_t) spec->dim + 7) / 8 : (size_t) spec->dim * sizeof(float);
}

static inline bool
is_coded(const RouteSpec *spec)
{
	return (spec->metric == METRIC_L2 || spec->metric == METRIC_IP || spec->metric == METRIC_COSINE) &&
		spec->k >= CODED_MIN_K && spec->dim >= CODED_MIN_DIM;
}

static inline int
number_of_groups(const RouteSpec *spec)
{
	return is_coded(spec) && spec->k >= GROUPED_MIN_K ? (int) ceil(sqrt((double) spec->k)) : 1;
}

/* What groups are made by: of centroids, as they are compared. */
static KMeansSpec
group_spec(const RouteSpec *spec)
{
	KMeansSpec	groups = {
		/* directions count, of centroids of any length or of length 1 */
		.metric = spec->metric == METRIC_L2 ? METRIC_L2 : METRIC_IP,
		.dim = spec->dim,
		.n = (size_t) spec->k,
		.k = number_of_groups(spec),
		.seed = spec->seed,
	};

	return groups;
}

/* Where things are in the block: offsets. */
typedef struct Layout
{
	size_t		centre;			/* dim floats */
	size_t		records;		/* k codes, by group */
	size_t		groups;			/* codes of the groups' means */
	size_t		starts;			/* groups + 1 words: where a group's records begin */
	size_t		lists;			/* k words: whose a record is */
	size_t		size;
} Layout;

static Layout
lay_out(const RouteSpec *spec)
{
	Layout		layout = {0};
	size_t		code = quant_code_size(QUANT_RABITQ4, spec->metric, spec->dim);
	size_t		groups = (size_t) number_of_groups(spec);
	size_t		offset = 0;

	if (!is_coded(spec))
		return layout;
#define PLACE(member, bytes) \
	(layout.member = offset, offset += round_up(bytes))
	PLACE(centre, (size_t) spec->dim * sizeof(float));
	PLACE(records, (size_t) spec->k * code + SIMD_SLACK);
	if (groups > 1)
	{
		PLACE(groups, groups * code + SIMD_SLACK);
		PLACE(starts, (groups + 1) * sizeof(uint32_t));
		PLACE(lists, (size_t) spec->k * sizeof(uint32_t));
	}
#undef PLACE
	layout.size = offset;
	return layout;
}

size_t
route_block_size(const RouteSpec *spec)
{
	return lay_out(spec).size;
}

static void
init_quantizer(Quantizer *q, const RouteSpec *spec, const float *centre)
{
	memset(q, 0, sizeof(*q));
	if (is_coded(spec))
		quant_init(q, QUANT_RABITQ4, spec->metric, spec->dim, centre, spec->seed);
}

/* Estimates and the vector's query, where there are codes; a float32 form of a float16 vector. */
typedef struct Scratch
{
	float	   *v;
	float	   *estimates;		/* by record */
	QuantQuery *query;
	void	   *quantizer;

	/* for building, in place of them */
	float	   *means;			/* of groups */
	uint32_t   *order;			/* k words each */
	uint32_t   *labels;
	float	   *near;
	void	   *small;			/* kmeans_small_scratch() */
} Scratch;

static size_t
place_scratch(const RouteSpec *spec, const Quantizer *q, char *memory, Scratch *scratch)
{
	size_t		used = 0;
	size_t		building;
	size_t		k = (size_t) spec->k;
	KMeansSpec	groups = group_spec(spec);

	memset(scratch, 0, sizeof(*scratch));
#define PLACE(member, bytes) \
	(scratch->member = (void *) (memory + used), used += round_up(bytes))
	if (!is_bits(spec))
		PLACE(v, (size_t) spec->dim * sizeof(float));
	if (!is_coded(spec))
		return used;
	PLACE(quantizer, q->scratch_size);
	building = used;
	PLACE(estimates, k * sizeof(float));
	PLACE(query, q->query_size);
	if (groups.k > 1)
	{
		size_t		routing = used;

		used = building;
		PLACE(means, (size_t) groups.k * (size_t) spec->dim * sizeof(float));
		PLACE(order, k * sizeof(uint32_t));
		PLACE(labels, k * sizeof(uint32_t));
		PLACE(near, k * sizeof(float));
		PLACE(small, kmeans_small_scratch(&groups));
		used = used > routing ? used : routing;
	}
#undef PLACE
	return used;
}

size_t
route_scratch_size(const RouteSpec *spec)
{
	static char memory[64];
	Quantizer	q;
	Scratch		scratch;

	init_quantizer(&q, spec, NULL);
	return place_scratch(spec, &q, memory, &scratch);
}

/* ---- Building ---- */

/* Put the centroids into groups: lists and starts of the block, means of the scratch. */
static void
make_groups(const RouteSpec *spec, const float *centroids, const Scratch *s, uint32_t *lists, uint32_t *starts,
			void (*tick) (void *arg), void *arg)
{
	KMeansSpec	groups = group_spec(spec);
	KMeans		km = {.spec = groups, .samples = centroids, .scratch = s->small, .tick = tick, .arg = arg};
	uint32_t	k = (uint32_t) spec->k;
	int			count;

	for (uint32_t i = 0; i < k; i++)
		s->order[i] = i;
	count = kmeans_small(&km, s->order, k, groups.k, GROUP_PASSES, kmeans_seed(spec->seed, k), s->means, s->labels, s->near);
	/* fewer different centroids than groups: the last are empty */
	memset(s->means + (size_t) count * (size_t) spec->dim, 0,
		   (size_t) (groups.k - count) * (size_t) spec->dim * sizeof(float));
	kmeans_assign(&km, NULL, 0, k, s->means, count, s->labels, NULL);

	memset(starts, 0, ((size_t) groups.k + 1) * sizeof(uint32_t));
	for (uint32_t i = 0; i < k; i++)
		starts[s->labels[i]]++;
	for (int g = 1; g <= groups.k; g++)
		starts[g] += starts[g - 1];
	for (uint32_t i = k; i-- > 0;)
		lists[--starts[s->labels[i]]] = i;
}

void
route_build(const RouteSpec *spec, const void *centroids, void *block, void *scratch,
			void (*tick) (void *arg), void *arg)
{
	Layout		layout = lay_out(spec);
	const float *c = centroids;
	char	   *base = block;
	float	   *centre = (float *) (base + layout.centre);
	uint8_t    *records = (uint8_t *) (base + layout.records);
	size_t		dim = (size_t) spec->dim;
	size_t		k = (size_t) spec->k;
	int			groups = number_of_groups(spec);
	uint32_t   *lists = NULL;
	Quantizer	q;
	Scratch		s;

	if (!is_coded(spec))
		return;
	for (size_t i = 0; i < dim; i++)
	{
		double		sum = 0;

		for (size_t j = 0; j < k; j++)
			sum += c[j * dim + i];
		centre[i] = (float) (sum / (double) k);
		if (tick != NULL && i % 16 == 0)
			tick(arg);
	}
	init_quantizer(&q, spec, centre);
	(void) place_scratch(spec, &q, scratch, &s);
	if (groups > 1)
	{
		uint8_t    *codes = (uint8_t *) (base + layout.groups);

		lists = (uint32_t *) (base + layout.lists);
		make_groups(spec, c, &s, lists, (uint32_t *) (base + layout.starts), tick, arg);
		for (int g = 0; g < groups; g++)
			quant_encode(&q, s.means + (size_t) g * dim, codes + (size_t) g * q.code_size, s.quantizer);
		memset(codes + (size_t) groups * q.code_size, 0, SIMD_SLACK);
	}
	for (size_t j = 0; j < k; j++)
	{
		quant_encode(&q, c + (lists == NULL ? j : lists[j]) * dim, records + j * q.code_size, s.quantizer);
		if (tick != NULL && j % 256 == 0)
			tick(arg);
	}
	memset(records + k * q.code_size, 0, SIMD_SLACK);
}

void
route_open(Router *router, const RouteSpec *spec, const void *centroids, const void *block)
{
	router->spec = *spec;
	router->centroids = centroids;
	router->block = block;
	init_quantizer(&router->quantizer, spec, block);
}

/* ---- The t nearest ---- */

typedef struct Nearest
{
	int			t;
	int			n;
	uint32_t   *lists;
	float	   *dist;
} Nearest;

/* Whether (dist, list) goes before entry i; equal distances by number. */
static inline bool
before(const Nearest *nearest, float dist, uint32_t list, int i)
{
	return dist < nearest->dist[i] || (dist == nearest->dist[i] && list < nearest->lists[i]);
}

/* Insertion: t is small, and most do not get in. */
static void
offer(Nearest *nearest, float dist, uint32_t list)
{
	int			i = nearest->n;

	if (i == nearest->t)
	{
		if (!before(nearest, dist, list, i - 1))
			return;
		i--;
	}
	else
		nearest->n++;
	for (; i > 0 && before(nearest, dist, list, i - 1); i--)
	{
		nearest->dist[i] = nearest->dist[i - 1];
		nearest->lists[i] = nearest->lists[i - 1];
	}
	nearest->dist[i] = dist;
	nearest->lists[i] = list;
}

static inline float
exact(const Router *router, const void *v, uint32_t list)
{
	const RouteSpec *spec = &router->spec;
	const char *centroid = (const char *) router->centroids + list * centroid_size(spec);
	double		d = is_bits(spec) ? metric_rank_bits(spec->metric, (const uint8_t *) v, (const uint8_t *) centroid, centroid_size(spec)) :
		metric_rank(spec->metric, v, (const float *) centroid, spec->dim);

	/* what overflows is farthest */
	return d < FLT_MAX ? (float) d : FLT_MAX;
}

/* Estimates of a run of n records. */
static void
score_run(const Router *router, const Scratch *scratch, const uint8_t *records, int n, float *estimates)
{
	size_t		size = router->quantizer.code_size;

	for (int i = 0; i < n; i += QUANT_BATCH)
	{
		int			count = n - i < QUANT_BATCH ? n - i : QUANT_BATCH;
		const uint8_t *batch[QUANT_BATCH];

		for (int j = 0; j < count; j++)
			batch[j] = records + (size_t) (i + j) * size;
		quant_score(scratch->query, batch, count, estimates + i, NULL);
	}
}

static float
error_of(const Scratch *scratch, const uint8_t *record)
{
	float		estimate;
	float		error;

	quant_score(scratch->query, &record, 1, &estimate, &error);
	return error;
}

/* A run of records that are looked at. */
typedef struct Run
{
	uint32_t	from;
	uint32_t	to;
} Run;

/* The runs where the t nearest are looked for; returns how many. */
static int
choose_runs(const Router *router, const Layout *layout, const Scratch *scratch, int t, Run *runs)
{
	const char *base = router->block;
	const uint32_t *starts = (const uint32_t *) (base + layout->starts);
	int			groups = number_of_groups(&router->spec);
	int			visited = groups / VISITED_SHARE > VISITED_MIN ? groups / VISITED_SHARE : VISITED_MIN;
	uint32_t	chosen[VISITED_MAX];
	float		dist[VISITED_MAX];
	uint32_t	there = 0;
	Nearest		nearest = {.lists = chosen, .dist = dist};

	/* more of them lie in more groups */
	visited += (int) fmin(groups, sqrt((double) t - 1) * VISITED_MIN / 2);
	if (groups == 1 || visited > VISITED_MAX || visited >= groups)
	{
		runs[0] = (Run) {0, (uint32_t) router->spec.k};
		return 1;
	}
	nearest.t = visited;
	score_run(router, scratch, (const uint8_t *) base + layout->groups, groups, scratch->estimates);
	for (int g = 0; g < groups; g++)
		if (starts[g] < starts[g + 1] &&
			(nearest.n < visited || scratch->estimates[g] < dist[nearest.n - 1]))
			offer(&nearest, scratch->estimates[g], (uint32_t) g);
	for (int i = 0; i < nearest.n; i++)
	{
		runs[i] = (Run) {starts[chosen[i]], starts[chosen[i] + 1]};
		there += runs[i].to - runs[i].from;
	}
	if (there >= (uint32_t) t)
		return nearest.n;
	runs[0] = (Run) {0, (uint32_t) router->spec.k};
	return 1;
}

/*
 * The t best by estimate set a bound; of the others those may pass it whose
 * estimate less its error does.
 */
static void
nearest_coded(const Router *router, const void *v, const Scratch *scratch, Nearest *nearest)
{
	Layout		layout = lay_out(&router->spec);
	const char *base = router->block;
	const uint8_t *records = (const uint8_t *) base + layout.records;
	const uint32_t *lists = layout.lists == 0 ? NULL : (const uint32_t *) (base + layout.lists);
	size_t		size = router->quantizer.code_size;
	float	   *estimates = scratch->estimates;
	float		worst = 0;
	float		bound;
	Nearest		best;
	Run			runs[VISITED_MAX];
	int			nruns;
	int			nbest;

	quant_query_prepare(&router->quantizer, v, scratch->query, scratch->quantizer);
	nruns = choose_runs(router, &layout, scratch, nearest->t, runs);
	for (int r = 0; r < nruns; r++)
	{
		score_run(router, scratch, records + runs[r].from * size, (int) (runs[r].to - runs[r].from),
				  estimates + runs[r].from);
		for (uint32_t i = runs[r].from; i < runs[r].to; i++)
			if (nearest->n < nearest->t || estimates[i] < nearest->dist[nearest->n - 1])
				offer(nearest, estimates[i], i);
	}

	/* exact distances in place of estimates; an entry is read before its place is taken */
	nbest = nearest->n;
	best = *nearest;
	best.n = 0;
	for (int i = 0; i < nbest; i++)
	{
		uint32_t	record = nearest->lists[i];
		uint32_t	list = lists == NULL ? record : lists[record];
		float		error = error_of(scratch, records + record * size);

		worst = error > worst ? error : worst;
		/* not again */
		estimates[record] = INFINITY;
		offer(&best, exact(router, v, list), list);
	}
	*nearest = best;
	bound = nearest->dist[nearest->n - 1];
	for (int r = 0; r < nruns; r++)
	{
		for (uint32_t i = runs[r].from; i < runs[r].to; i++)
		{
			/* errors differ little among near ones, and to ask for each would cost as much as comparing */
			if (estimates[i] - LARGER * ERRORS * worst < bound)
			{
				uint32_t	list = lists == NULL ? i : lists[i];

				offer(nearest, exact(router, v, list), list);
				bound = nearest->dist[nearest->n - 1];
			}
		}
	}
}

/* All centroids, exactly. */
static void
nearest_exact(const Router *router, const void *v, Nearest *nearest)
{
	const RouteSpec *spec = &router->spec;
	const SimdKernels *simd = simd_get();
	void		(*batch) (const float *query, const float *const *vecs, int nvecs, int n, float *out) = NULL;

	if (spec->metric == METRIC_L2)
		batch = simd->l2sq_f32_batch;
	else if (spec->metric == METRIC_L1)
		batch = simd->l1_f32_batch;
	for (int i = 0; i < spec->k; i += QUANT_BATCH)
	{
		int			n = spec->k - i < QUANT_BATCH ? spec->k - i : QUANT_BATCH;
		const float *vecs[QUANT_BATCH];
		float		dist[QUANT_BATCH];

		for (int j = 0; j < n; j++)
		{
			if (batch != NULL)
				vecs[j] = (const float *) router->centroids + (size_t) (i + j) * (size_t) spec->dim;
			else
				dist[j] = exact(router, v, (uint32_t) (i + j));
		}
		if (batch != NULL)
			batch(v, vecs, n, spec->dim, dist);
		for (int j = 0; j < n; j++)
			offer(nearest, dist[j] < FLT_MAX ? dist[j] : FLT_MAX, (uint32_t) (i + j));
	}
}

int
route_nearest(const Router *router, const void *v, int t, uint32_t *lists, float *dist, void *memory)
{
	const RouteSpec *spec = &router->spec;
	Nearest		nearest = {.lists = lists, .dist = dist};
	float		one;
	Scratch		scratch;

	nearest.t = t < spec->k ? t : spec->k;
	if (dist == NULL)
		nearest.dist = &one;
	(void) place_scratch(spec, &router->quantizer, memory, &scratch);
	if (spec->half)
	{
		simd_get()->f16_to_f32(v, scratch.v, spec->dim);
		v = scratch.v;
	}
	if (is_coded(spec))
		nearest_coded(router, v, &scratch, &nearest);
	else
		nearest_exact(router, v, &nearest);
	return nearest.n;
}
