/*
 * route.c
 *		The nearest of many centroids.
 */
#include "quant/route.h"

#include <math.h>
#include <string.h>

#include "quant/quant_private.h"

/* Below these, codes save nothing (README). */
#define CODED_MIN_K 64
#define CODED_MIN_DIM 32

/* As many standard errors an estimate is given (quantizer.h). */
#define ERRORS 2.5f

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

/* Estimates and the vector's query, where there are codes; a float32 form of a float16 vector. */
typedef struct Scratch
{
	float	   *v;
	float	   *estimates;
	QuantQuery *query;
	void	   *quantizer;
} Scratch;

static size_t
place_scratch(const RouteSpec *spec, const Quantizer *q, char *memory, Scratch *scratch)
{
	size_t		used = 0;

	memset(scratch, 0, sizeof(*scratch));
	if (!is_bits(spec))
	{
		scratch->v = (float *) memory;
		used += round_up((size_t) spec->dim * sizeof(float));
	}
	if (is_coded(spec))
	{
		scratch->estimates = (float *) (memory + used);
		used += round_up((size_t) spec->k * sizeof(float));
		scratch->query = (QuantQuery *) (memory + used);
		used += q->query_size;
		scratch->quantizer = memory + used;
		used += round_up(q->scratch_size);
	}
	return used;
}

/* The block: a centre of dim floats, then records. */
static inline size_t
centre_size(const RouteSpec *spec)
{
	return round_up((size_t) spec->dim * sizeof(float));
}

static void
init_quantizer(Quantizer *q, const RouteSpec *spec, const float *centre)
{
	memset(q, 0, sizeof(*q));
	if (is_coded(spec))
		quant_init(q, QUANT_RABITQ4, spec->metric, spec->dim, centre, spec->seed);
}

size_t
route_block_size(const RouteSpec *spec)
{
	if (!is_coded(spec))
		return 0;
	return centre_size(spec) +
		round_up((size_t) spec->k * quant_code_size(QUANT_RABITQ4, spec->metric, spec->dim) + SIMD_SLACK);
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

void
route_build(const RouteSpec *spec, const void *centroids, void *block, void *scratch,
			void (*tick) (void *arg), void *arg)
{
	const float *c = centroids;
	float	   *centre = block;
	uint8_t    *records = (uint8_t *) block + centre_size(spec);
	size_t		dim = (size_t) spec->dim;
	Quantizer	q;
	Scratch		s;

	if (!is_coded(spec))
		return;
	for (size_t i = 0; i < dim; i++)
	{
		double		sum = 0;

		for (size_t j = 0; j < (size_t) spec->k; j++)
			sum += c[j * dim + i];
		centre[i] = (float) (sum / spec->k);
		if (tick != NULL && i % 64 == 0)
			tick(arg);
	}
	init_quantizer(&q, spec, centre);
	(void) place_scratch(spec, &q, scratch, &s);
	for (size_t j = 0; j < (size_t) spec->k; j++)
	{
		quant_encode(&q, c + j * dim, records + j * q.code_size, s.quantizer);
		if (tick != NULL && j % 256 == 0)
			tick(arg);
	}
	memset(records + (size_t) spec->k * q.code_size, 0, SIMD_SLACK);
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

static void
score_codes(const Router *router, const Scratch *scratch)
{
	size_t		size = router->quantizer.code_size;
	const uint8_t *records = (const uint8_t *) router->block + centre_size(&router->spec);

	for (int i = 0; i < router->spec.k; i += QUANT_BATCH)
	{
		int			n = router->spec.k - i < QUANT_BATCH ? router->spec.k - i : QUANT_BATCH;
		const uint8_t *batch[QUANT_BATCH];

		for (int j = 0; j < n; j++)
			batch[j] = records + (size_t) (i + j) * size;
		quant_score(scratch->query, batch, n, scratch->estimates + i, NULL);
	}
}

static float
error_of(const Router *router, const Scratch *scratch, uint32_t list)
{
	const uint8_t *record = (const uint8_t *) router->block + centre_size(&router->spec) +
		list * router->quantizer.code_size;
	float		estimate;
	float		error;

	quant_score(scratch->query, &record, 1, &estimate, &error);
	return error;
}

/*
 * The t best by estimate set a bound; of the others those may pass it whose
 * estimate less its error does.
 */
static void
nearest_coded(const Router *router, const void *v, const Scratch *scratch, Nearest *nearest)
{
	float		worst = 0;
	Nearest		best;
	float		bound;
	int			nseeds;

	quant_query_prepare(&router->quantizer, v, scratch->query, scratch->quantizer);
	score_codes(router, scratch);
	for (int i = 0; i < router->spec.k; i++)
		if (nearest->n < nearest->t || scratch->estimates[i] < nearest->dist[nearest->n - 1])
			offer(nearest, scratch->estimates[i], (uint32_t) i);

	/* exact distances in place of estimates; an entry is read before its place is taken */
	nseeds = nearest->n;
	best = *nearest;
	best.n = 0;
	for (int i = 0; i < nseeds; i++)
	{
		uint32_t	list = nearest->lists[i];
		float		error = error_of(router, scratch, list);

		worst = error > worst ? error : worst;
		/* not again */
		scratch->estimates[list] = INFINITY;
		offer(&best, exact(router, v, list), list);
	}
	*nearest = best;
	bound = nearest->dist[nearest->n - 1];
	for (int i = 0; i < router->spec.k; i++)
	{
		/* errors differ little among near ones: half as much again covers them */
		if (scratch->estimates[i] - 1.5f * ERRORS * worst < bound &&
			scratch->estimates[i] - ERRORS * error_of(router, scratch, (uint32_t) i) < bound)
		{
			offer(nearest, exact(router, v, (uint32_t) i), (uint32_t) i);
			bound = nearest->dist[nearest->n - 1];
		}
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
		for (int i = 0; i < spec->k; i++)
			offer(&nearest, exact(router, v, (uint32_t) i), (uint32_t) i);
	return nearest.n;
}
