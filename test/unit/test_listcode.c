/*
 * test_listcode.c
 *		Codes of inverted lists: sizes, estimates and their errors against
 *		double precision, blocks against rows, decoding, damaged codes, and
 *		inputs at the ends of the float range.
 *
 * Every check but the statistics runs at every SIMD level there is.  Codes lie
 * right before memory that cannot be read, but for the slack that kernels may
 * use.  Every test of compressed codes runs for every spec in `coded`.
 */
#include "check.h"

#include <float.h>
#include <math.h>

#include "quant/listcode.h"
#include "reference.h"
#include "simd/half.h"

#define MAX_DIM 16000
#define MAX_CODES 200

static uint64_t seed = 5;
static const char *level_name;

/* the compressed kinds */
static const struct Coded
{
	const char *name;
	ListCodeKind kind;
	int			bits;
	int			part;			/* pq: dimensions of a part */
	double		decoded;		/* how far from the vector, over its residual, a decoded one may be */
}			coded[] = {
	{"rabitq 1", LISTCODE_RABITQ, 1, 0, 0.95},
	{"rabitq 4", LISTCODE_RABITQ, 4, 0, 0.2},
	{"rabitq 8", LISTCODE_RABITQ, 8, 0, 0.02},
	{"pq 4 bits, 2 dims", LISTCODE_PQ, 4, 2, 0.5},
	{"pq 8 bits, 4 dims", LISTCODE_PQ, 8, 4, 0.5},
};

#define NCODED (sizeof(coded) / sizeof(coded[0]))

/* one list with all the memory it wants */
typedef struct Fixture
{
	const struct Coded *coded;
	ListCode	lc;
	ListQuery  *query;
	void	   *scratch;
	Guard		codes;
	Guard		blocks;
	uint8_t    *rows;
	float		a[MAX_CODES];
	float		b[MAX_CODES];
	float		dist[MAX_CODES];
	float		err[MAX_CODES];
	float		origin[MAX_DIM];
	float		centroid[MAX_DIM];
	float		v[MAX_DIM];
	float		decoded[MAX_DIM];
} Fixture;

static Fixture fx;
static float *vectors;			/* MAX_CODES of up to 1001 dimensions, or a few of more */

static float
gaussian(void)
{
	double		u = (check_random(&seed) >> 11) * 0x1p-53;
	double		v = (check_random(&seed) >> 11) * 0x1p-53;

	return (float) (sqrt(-2 * log(1 - u)) * cos(2 * 3.14159265358979323846 * v));
}

static const char *
name(void)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s, %s, %s, dim %d", level_name, fx.coded != NULL ? fx.coded->name : "exact",
			 metric_info(fx.lc.spec.metric)->name, fx.lc.spec.dim);
	return text;
}

static void
no_tick(void *arg)
{
	(void) arg;
}

/*
 * Trained without a sample; the last ones are kept, because all levels,
 * metrics and, as codebooks know nothing of the rotation, seeds share them.
 */
static const void *
train(const ListCodeSpec *spec)
{
	enum
	{
		KEPT = 40
	};
	static struct
	{
		ListCodeSpec spec;
		void	   *trained;
	}			kept[KEPT];
	static int	next = 0;
	size_t		size = listcode_trained_size(spec);
	void	   *scratch;

	if (size == 0)
		return NULL;
	for (int i = 0; i < KEPT; i++)
	{
		if (kept[i].trained != NULL && kept[i].spec.dim == spec->dim && kept[i].spec.bits == spec->bits &&
			kept[i].spec.m == spec->m)
			return kept[i].trained;
	}
	next = (next + 1) % KEPT;
	free(kept[next].trained);
	kept[next].spec = *spec;
	kept[next].trained = malloc(size);
	scratch = aligned_alloc(64, (listcode_train_scratch(spec, 0) + 63) / 64 * 64);
	listcode_train(spec, NULL, 0, kept[next].trained, scratch, no_tick, NULL);
	free(scratch);
	CHECK(listcode_trained_problem(spec, kept[next].trained) == NULL, "%s", listcode_trained_problem(spec, kept[next].trained));
	return kept[next].trained;
}

static void
setup_spec(const ListCodeSpec *spec, const float *origin)
{
	const char *problem = listcode_problem(spec);
	ListCode	sizes;

	CHECK(problem == NULL, "%s", problem);
	listcode_init(&sizes, spec, origin, NULL);
	listcode_init(&fx.lc, spec, origin, train(spec));
	CHECK(sizes.code_size == fx.lc.code_size && sizes.nfactors == fx.lc.nfactors && sizes.nnibbles == fx.lc.nnibbles &&
		  sizes.query_size == fx.lc.query_size && sizes.scratch_size == fx.lc.scratch_size && sizes.exact == fx.lc.exact,
		  "sizes without training");
	free(fx.query);
	free(fx.scratch);
	fx.query = aligned_alloc(64, fx.lc.query_size);
	fx.scratch = aligned_alloc(64, (fx.lc.scratch_size + 64) / 64 * 64);
	CHECK(fx.lc.query_size % 64 == 0 && (fx.lc.nfactors == 2 || fx.lc.code_size % 4 == 0), "sizes");
}

static void
setup(const struct Coded *c, Metric metric, int dim, const float *origin, uint64_t rotation)
{
	ListCodeSpec spec = {.kind = c->kind, .metric = metric, .dim = dim, .bits = c->bits, .seed = rotation};

	if (c->part > 0)
		spec.m = (dim + c->part - 1) / c->part;
	fx.coded = c;
	setup_spec(&spec, origin);
}

/* n vectors into rows, the last of which ends a slack before the unreadable page */
static void
encode(const float *from, int n)
{
	fx.rows = guard_at(&fx.codes, fx.lc.code_size * (size_t) n + SIMD_SLACK);
	memset(fx.rows, 0xa5, fx.lc.code_size * (size_t) n + SIMD_SLACK);
	for (int i = 0; i < n; i++)
	{
		float		factors[2] = {NAN, NAN};
		uint8_t    *code = fx.rows + fx.lc.code_size * (size_t) i;

		listcode_encode(&fx.lc, from + (size_t) i * (size_t) fx.lc.spec.dim, fx.centroid, factors, code, fx.scratch);
		fx.a[i] = factors[0];
		fx.b[i] = factors[1];
		CHECK(fx.lc.nfactors == 0 || listcode_code_problem(&fx.lc, factors, code) == NULL,
			  "%s: %s", name(), listcode_code_problem(&fx.lc, factors, code));
	}
}

/* score the n codes of encode() */
static void
score(int n)
{
	listcode_score(fx.query, listcode_term(fx.query, fx.centroid), fx.a, fx.b, fx.rows, n, fx.dist, fx.err);
}

static bool
same_bits(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* The same distances from blocks of every width, and the same rows back. */
static void
check_blocks(int n)
{
	size_t		size = fx.lc.code_size;
	ListTerm	term = listcode_term(fx.query, fx.centroid);
	uint8_t    *back = malloc(size * LISTCODE_BLOCK);

	for (int width = 1; width <= LISTCODE_BLOCK && width <= n; width++)
	{
		int			first = (int) (check_random(&seed) % (uint64_t) (n - width + 1));
		size_t		bytes = listcode_block_size(&fx.lc, width);
		uint8_t    *block = guard_at(&fx.blocks, bytes + SIMD_SLACK);
		float		dist[LISTCODE_BLOCK + 1];
		float		err[LISTCODE_BLOCK + 1];
		int			differ = 0;

		if (width < LISTCODE_BLOCK && fx.lc.spec.dim > 1001 && width % 7 != 1)
			continue;
		memset(block, 0xa5, bytes + SIMD_SLACK);
		listcode_pack(&fx.lc, fx.rows + size * (size_t) first, width, block);
		listcode_unpack(&fx.lc, block, width, back);
		CHECK(memcmp(back, fx.rows + size * (size_t) first, size * (size_t) width) == 0, "%s: width %d, other rows", name(), width);
		dist[width] = err[width] = -12345;
		listcode_score_block(fx.query, term, fx.a + first, fx.b + first, block, width, dist, err);
		for (int i = 0; i < width; i++)
			differ += !same_bits(dist[i], fx.dist[first + i]) || !same_bits(err[i], fx.err[first + i]);
		differ += dist[width] != -12345 || err[width] != -12345;
		CHECK(differ == 0, "%s: width %d, %d distances of the block differ", name(), width, differ);
		listcode_score_block(fx.query, term, fx.a + first, fx.b + first, block, width, dist, NULL);
		CHECK(same_bits(dist[0], fx.dist[first]), "%s: without errors", name());
	}
	free(back);
}

/*
 * One kind, metric and dimension: estimates within what their errors allow,
 * calls alike however they are cut, codes whole and repeatable.
 */
static void
check_dimension(const struct Coded *c, Metric metric, int dim)
{
	int			n = dim > 1001 ? 40 : 70;
	float		scale = metric == METRIC_COSINE ? 1 / sqrtf((float) dim) : 1;
	uint8_t    *again;

	for (int i = 0; i < dim; i++)
	{
		fx.origin[i] = 0.2f * scale;
		fx.centroid[i] = (0.3f + 0.7f * gaussian()) * scale;
		fx.v[i] = fx.centroid[i] + 0.5f * gaussian() * scale;
	}
	setup(c, metric, dim, dim % 3 ? fx.origin : NULL, 77);
	again = malloc(fx.lc.code_size);
	for (int i = 0; i < dim * n; i++)
		vectors[i] = fx.centroid[i % dim] + 0.5f * gaussian() * scale;
	encode(vectors, n);

	for (int i = 0; i < n; i += 9)
	{
		float		factors[2];

		memset(again, 0x5a, fx.lc.code_size);
		listcode_encode(&fx.lc, vectors + (size_t) i * (size_t) dim, fx.centroid, factors, again, fx.scratch);
		CHECK(memcmp(again, fx.rows + (size_t) i * fx.lc.code_size, fx.lc.code_size) == 0 &&
			  same_bits(factors[0], fx.a[i]) && same_bits(factors[1], fx.b[i]), "%s: code %d differs", name(), i);
	}
	free(again);

	listcode_query(&fx.lc, fx.v, fx.query, fx.scratch);
	score(n);
	for (int i = 0; i < n; i++)
	{
		double		want = want_rank(metric, fx.v, vectors + (size_t) i * (size_t) dim, dim);
		double		off = fabs(fx.dist[i] - want);
		double		size = metric == METRIC_COSINE ? 1 : dim;
		/* few dimensions: few values decide, errors are no Gaussian's */
		double		allowed = (dim < 16 ? 12 : 6) * fx.err[i] + 1e-5 * size;
		float		alone;

		if (dim < 16)
			allowed += (c->bits == 8 ? 0.01 : c->bits == 4 ? 0.2 : 3) * size;
		CHECK(off <= allowed, "%s: %g, want %g, error %g", name(), fx.dist[i], want, fx.err[i]);
		CHECK(fx.err[i] >= 0, "%s: error %g", name(), fx.err[i]);
		listcode_score(fx.query, listcode_term(fx.query, fx.centroid), fx.a + i, fx.b + i,
					   fx.rows + (size_t) i * fx.lc.code_size, 1, &alone, NULL);
		CHECK(same_bits(alone, fx.dist[i]), "%s: alone %.9g, among others %.9g", name(), alone, fx.dist[i]);
	}
	if (fx.lc.nnibbles > 0)
		check_blocks(n);
	fx.dist[0] = -123;
	score(0);
	CHECK(fx.dist[0] == -123, "%s: no code, but a score", name());
}

typedef enum Data
{
	DATA_GAUSSIAN,
	DATA_NEAR,					/* the query is a neighbour of many codes */
	DATA_SKEWED					/* few large dimensions, residuals of different length */
} Data;

static void
make_list(Data data, Metric metric, int n, int dim, float apart)
{
	/* cosine: vectors of length 1, whose centroid is shorter */
	float		scale = metric == METRIC_COSINE ? 1 / sqrtf((float) dim * (1.25f + apart * apart)) : 1;

	for (int j = 0; j < dim; j++)
	{
		fx.origin[j] = 0.5f * gaussian() * scale;
		/* centroid and origin: `apart` times a residual's length */
		fx.centroid[j] = fx.origin[j] + apart * gaussian() * scale;
	}
	for (int i = 0; i < n; i++)
	{
		float		length = data == DATA_SKEWED ? expf(0.5f * gaussian()) : 1;

		for (int j = 0; j < dim; j++)
		{
			float		r = gaussian();

			if (data == DATA_SKEWED && j % 10 == 0)
				r *= 5;
			if (data == DATA_NEAR && i > 0)
				r = vectors[j] - fx.centroid[j] + 0.5f * r * scale;
			else
				r *= length * scale;
			vectors[i * dim + j] = fx.centroid[j] + r;
		}
	}
}

/*
 * The standard error is one: about 0.68 of the estimates within one, 0.95
 * within two; and over many rotations the errors have mean 0.
 */
static void
check_errors(const struct Coded *c, Metric metric, Data data, int dim, float apart)
{
	int			n = 120;
	/* codes of near vectors err alike: more rotations instead of more queries */
	int			rounds = data == DATA_NEAR ? 64 : 8;
	int			queries = data == DATA_NEAR ? 4 : dim > 500 ? 10 : 30;
	long		pairs = 0;
	long		one = 0;
	long		two = 0;
	double		sum = 0;
	double		sum_sq = 0;
	double		share1;
	double		share2;

	make_list(data, metric, n, dim, apart);
	for (int round = 0; round < rounds; round++)
	{
		setup(c, metric, dim, fx.origin, (uint64_t) (round + 1) * 1009);
		encode(vectors, n);
		for (int i = 0; i < queries; i++)
		{
			const float *v = vectors + i * dim;

			listcode_query(&fx.lc, v, fx.query, fx.scratch);
			score(n);
			for (int j = 0; j < n; j++)
			{
				double		off = fx.dist[j] - want_rank(metric, v, vectors + j * dim, dim);

				if (j == i)
					continue;
				pairs++;
				one += fabs(off) <= fx.err[j];
				two += fabs(off) <= 2 * fx.err[j];
				sum += off / fx.err[j];
				sum_sq += off / fx.err[j] * (off / fx.err[j]);
			}
		}
	}
	share1 = (double) one / pairs;
	share2 = (double) two / pairs;
	if (getenv("VECIDX_TEST_VERBOSE"))
		printf("%s, data %d, apart %g: %.3f %.3f, mean %.3f, variance %.3f\n", name(), data, apart, share1, share2, sum / pairs,
			   sum_sq / pairs);

	/* inner product knows no angle and overstates the errors of near pairs */
	CHECK(share1 > 0.63 && share1 < (metric == METRIC_IP ? 0.98 : data == DATA_NEAR ? 0.8 : 0.76),
		  "%s, data %d, apart %g: %.3f within one standard error", name(), data, apart, share1);
	CHECK(share2 > 0.92, "%s, data %d, apart %g: %.3f within two standard errors", name(), data, apart, share2);
	/* pairs share vectors: far fewer than "pairs" are independent */
	CHECK(fabs(sum / pairs) < (data == DATA_NEAR ? 0.3 : 0.15), "%s, data %d, apart %g: mean error %.3f standard errors", name(), data, apart, sum / pairs);
}

/* What a code stands for is near the vector, as the residual is long. */
static void
check_decode(const struct Coded *c, Metric metric, int dim)
{
	double		off_sq = 0;
	double		residual_sq = 0;
	double		length = 1;
	float		factors[2];

	make_list(DATA_GAUSSIAN, metric, 1, dim, 0.5f);
	setup(c, metric, dim, fx.origin, 4);
	encode(vectors, 1);
	factors[0] = fx.a[0];
	factors[1] = fx.b[0];
	listcode_decode(&fx.lc, factors, fx.rows, fx.centroid, fx.decoded, fx.scratch);
	if (metric == METRIC_COSINE)
		length = sqrt(-want_rank(METRIC_IP, vectors, vectors, dim));
	for (int i = 0; i < dim; i++)
	{
		double		want = vectors[i] / length;

		off_sq += (fx.decoded[i] - want) * (fx.decoded[i] - want);
		residual_sq += (want - fx.centroid[i]) * (want - fx.centroid[i]);
	}
	CHECK(off_sq <= c->decoded * c->decoded * residual_sq, "%s: decoded %.3f of the residual away", name(),
		  sqrt(off_sq / residual_sq));
}

static void
check_finite(const char *what, int n)
{
	score(n);
	for (int i = 0; i < n; i++)
	{
		CHECK(isfinite(fx.dist[i]), "%s, %s: code %d scores %g", name(), what, i, fx.dist[i]);
		CHECK(isfinite(fx.err[i]) && fx.err[i] >= 0, "%s, %s: code %d has error %g", name(), what, i, fx.err[i]);
	}
}

/* Extreme inputs: finite results, in an order that makes sense where one exists; and codes of rubbish. */
static void
check_extremes(const struct Coded *c, Metric metric, int dim, float centroid_value, float origin_value)
{
	float	   *base = malloc(sizeof(float) * (size_t) dim * 9);
	float		factors[2];

	for (int i = 0; i < dim; i++)
	{
		float		sign = check_random(&seed) & 1 ? 1.0f : -1.0f;

		fx.origin[i] = origin_value;
		fx.centroid[i] = centroid_value;
		base[0 * dim + i] = 1e38f * sign;
		base[1 * dim + i] = -1e38f * sign;
		base[2 * dim + i] = i == 0 ? FLT_MAX : 0;
		base[3 * dim + i] = i == 0 ? -FLT_MAX : FLT_MAX;
		base[4 * dim + i] = 1e-40f * sign;
		base[5 * dim + i] = i == 0 ? FLT_MIN : 0;
		base[6 * dim + i] = i % 2 ? 3e38f : 1e-45f;
		base[7 * dim + i] = centroid_value != 0 ? centroid_value : 1;
		base[8 * dim + i] = 0;
	}
	setup(c, metric, dim, fx.origin, 8);
	encode(base, 8);
	for (int i = 0; i < 9; i++)
	{
		/* a zero query under cosine ranks anyhow */
		listcode_query(&fx.lc, base + i * dim, fx.query, fx.scratch);
		check_finite("extreme", 8);
		if (i == 0 && fabsf(centroid_value) < 1e30f && fabsf(origin_value) < 1e30f)
			CHECK(fx.dist[0] <= fx.dist[1] + (metric == METRIC_L2 ? 0 : 3 * hypotf(fx.err[0], fx.err[1])),
				  "%s: %g to itself, %g to its opposite", name(), fx.dist[0], fx.dist[1]);
		if (i == 8)
			continue;
		factors[0] = fx.a[i];
		factors[1] = fx.b[i];
		listcode_decode(&fx.lc, factors, fx.rows + (size_t) i * fx.lc.code_size, fx.centroid, fx.decoded, fx.scratch);
		for (int j = 0; j < dim; j++)
		{
			if (!isfinite(fx.decoded[j]))
			{
				CHECK(false, "%s: decoded %g", name(), fx.decoded[j]);
				break;
			}
		}
	}

	/* damaged: any bytes, any factors */
	for (size_t i = 0; i < 8 * fx.lc.code_size; i++)
		fx.rows[i] = (uint8_t) check_random(&seed);
	for (int round = 0; round < 5; round++)
	{
		static const float bad[] = {NAN, INFINITY, -INFINITY, FLT_MAX, -FLT_MAX, 0, 1, -1e-40f};

		for (int i = 0; i < 8; i++)
		{
			fx.a[i] = bad[check_random(&seed) % 8];
			fx.b[i] = bad[check_random(&seed) % 8];
			factors[0] = fx.a[i];
			factors[1] = fx.b[i];
			if (!isfinite(fx.a[i]) || !isfinite(fx.b[i]))
				CHECK(listcode_code_problem(&fx.lc, factors, fx.rows) != NULL, "%s: damage unseen", name());
			listcode_decode(&fx.lc, factors, fx.rows, fx.centroid, fx.decoded, fx.scratch);
		}
		listcode_query(&fx.lc, base + round * dim, fx.query, fx.scratch);
		check_finite("damaged", 8);
	}
	free(base);
}

/* A vector that is the centroid, and a query that is: the distance is the list's, with no doubt but rounding. */
static void
check_centroid_itself(const struct Coded *c, Metric metric, int dim)
{
	float		base[2 * 200];
	double		norm_sq = 0;

	for (int i = 0; i < dim; i++)
	{
		fx.centroid[i] = (float) (i + 1);
		norm_sq += (double) fx.centroid[i] * fx.centroid[i];
	}
	for (int i = 0; i < dim; i++)
	{
		if (metric == METRIC_COSINE)
			fx.centroid[i] = (float) (fx.centroid[i] / sqrt(norm_sq));
		base[i] = fx.centroid[i];
		base[dim + i] = gaussian();
		fx.origin[i] = 0.1f;
	}
	setup(c, metric, dim, fx.origin, 8);
	encode(base, 2);
	for (int i = 0; i < 2; i++)
	{
		listcode_query(&fx.lc, base + i * dim, fx.query, fx.scratch);
		score(2);
		for (int j = 0; j < 2; j++)
		{
			double		want = want_rank(metric, base + i * dim, base + j * dim, dim);
			double		size = metric == METRIC_COSINE ? 1 : norm_sq;

			CHECK(fabs(fx.dist[j] - want) <= 5 * fx.err[j] + 1e-6 * size, "%s: query %d, code %d: %g, want %g, error %g",
				  name(), i, j, fx.dist[j], want, fx.err[j]);
			if (j == 0)
				CHECK(fx.err[j] <= 1e-5 * size, "%s: query %d errs %g of the centroid", name(), i, fx.err[j]);
		}
	}
}

/* Floats, halves and bits: the operator's distances, and the vectors back. */
static void
check_exact(const ListCodeSpec *spec, const char *what)
{
	enum
	{
		N = 70
	};
	bool		bits = spec->elements == QUANT_BIT_STRING;
	size_t		nbytes = bits ? ((size_t) spec->dim + 7) / 8 : sizeof(float) * (size_t) spec->dim;
	uint8_t    *v = malloc(nbytes * N);
	uint16_t   *halves = malloc(sizeof(uint16_t) * (size_t) spec->dim * N);
	float	   *decoded = malloc(sizeof(float) * (size_t) spec->dim);
	ListTerm	none = {0, 0};

	fx.coded = NULL;
	setup_spec(spec, NULL);
	CHECK(fx.lc.exact && fx.lc.nfactors == 0 && fx.lc.nnibbles == 0, "%s", name());
	fx.rows = guard_at(&fx.codes, fx.lc.code_size * N + SIMD_SLACK);
	for (int i = 0; i < N; i++)
	{
		if (bits)
		{
			for (size_t j = 0; j < nbytes; j++)
				v[i * nbytes + j] = (uint8_t) check_random(&seed);
			v[(i + 1) * nbytes - 1] &= (uint8_t) (0xff << (8 * nbytes - (size_t) spec->dim));
		}
		else
		{
			float	   *floats = (float *) (void *) v + (size_t) i * (size_t) spec->dim;

			for (int j = 0; j < spec->dim; j++)
			{
				uint16_t	half = half_from_float(gaussian());

				halves[i * spec->dim + j] = half;
				floats[j] = spec->half ? half_to_float(half) : gaussian();
			}
		}
		listcode_encode(&fx.lc, v + (size_t) i * nbytes, NULL, NULL, fx.rows + fx.lc.code_size * (size_t) i, fx.scratch);
		CHECK(listcode_code_problem(&fx.lc, NULL, fx.rows + fx.lc.code_size * (size_t) i) == NULL, "%s", name());
	}
	listcode_query(&fx.lc, v, fx.query, fx.scratch);
	listcode_score(fx.query, listcode_term(fx.query, NULL), NULL, NULL, fx.rows, N, fx.dist, fx.err);
	for (int i = 0; i < N; i++)
	{
		const uint8_t *code = fx.rows + fx.lc.code_size * (size_t) i;
		const void *w = v + (size_t) i * nbytes;
		double		want;
		double		exact = listcode_exact(fx.query, code);
		float		alone;

		if (bits)
			want = metric_rank_bits(spec->metric, v, w, nbytes);
		else if (spec->half)
			want = metric_rank_f16(spec->metric, halves, halves + i * spec->dim, spec->dim);
		else
			want = metric_rank(spec->metric, (float *) (void *) v, w, spec->dim);
		CHECK(exact == want, "%s %s: code %d is %.17g away, not %.17g", name(), what, i, exact, want);
		CHECK(fx.dist[i] == (float) want && fx.err[i] == 0, "%s %s: code %d scores %.9g, not %.9g", name(), what, i, fx.dist[i], want);
		listcode_score(fx.query, none, NULL, NULL, code, 1, &alone, NULL);
		CHECK(same_bits(alone, fx.dist[i]), "%s %s: alone", name(), what);
		if (!bits)
		{
			listcode_decode(&fx.lc, NULL, code, NULL, decoded, fx.scratch);
			CHECK(memcmp(decoded, w, nbytes) == 0, "%s %s: decoded", name(), what);
		}
	}
	free(v);
	free(halves);
	free(decoded);
}

static void
check_specs(void)
{
	ListCodeSpec good = {.kind = LISTCODE_RABITQ, .metric = METRIC_L2, .dim = 100, .bits = 4};
	ListCodeSpec spec;

	CHECK(listcode_problem(&good) == NULL, "%s", listcode_problem(&good));
#define BAD(member, value) \
	do { \
		spec = good; \
		spec.member = value; \
		CHECK(listcode_problem(&spec) != NULL, #member " = " #value); \
	} while (0)
	BAD(kind, (ListCodeKind) LISTCODE_COUNT);
	BAD(kind, (ListCodeKind) -1);
	BAD(metric, (Metric) METRIC_COUNT);
	BAD(metric, (Metric) -1);
	BAD(metric, METRIC_L1);
	BAD(metric, METRIC_HAMMING);
	BAD(elements, QUANT_BIT_STRING);
	BAD(elements, QUANT_SPARSE_ELEMENTS);
	BAD(dim, 0);
	BAD(dim, -5);
	BAD(dim, LISTCODE_MAX_DIM + 1);
	BAD(bits, 0);
	BAD(bits, 2);
	BAD(bits, 16);
	good.kind = LISTCODE_EXACT;
	good.metric = METRIC_L1;
	CHECK(listcode_problem(&good) == NULL, "%s", listcode_problem(&good));
	BAD(metric, METRIC_JACCARD);
	BAD(elements, QUANT_BIT_STRING);
	BAD(elements, QUANT_SPARSE_ELEMENTS);
	BAD(elements, (QuantElements) 77);
	BAD(dim, LISTCODE_MAX_DIM + 1);
	BAD(dim, 0);
#undef BAD

	setup(&coded[0], METRIC_L2, 100, NULL, 0);
	CHECK(fx.lc.code_size == 13 && fx.lc.nnibbles == 25 && listcode_block_size(&fx.lc, 32) == 400 &&
		  listcode_block_size(&fx.lc, 5) == 75, "rabitq 1: %zu", fx.lc.code_size);
	setup(&coded[1], METRIC_L2, 101, NULL, 0);
	CHECK(fx.lc.code_size == 51 && fx.lc.nnibbles == 0, "rabitq 4: %zu", fx.lc.code_size);
	setup(&coded[2], METRIC_L2, 101, NULL, 0);
	CHECK(fx.lc.code_size == 101 && fx.lc.nnibbles == 0, "rabitq 8: %zu", fx.lc.code_size);
}

static void
check_level(void)
{
	static const int dims[] = {1, 2, 3, 4, 5, 7, 8, 9, 31, 32, 33, 63, 64, 65, 100, 127, 255, 768, 1001, 16000};
	static const Metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};

	for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
	{
		int			dim = dims[d];

		for (int m = 0; m < METRIC_COUNT; m++)
		{
			ListCodeSpec spec = {.kind = LISTCODE_EXACT, .metric = (Metric) m, .dim = dim};

			if (m >= METRIC_VECTOR_COUNT)
			{
				spec.elements = QUANT_BIT_STRING;
				check_exact(&spec, "bits");
				continue;
			}
			check_exact(&spec, "floats");
			spec.half = true;
			check_exact(&spec, "halves");
		}
		for (size_t m = 0; m < 3; m++)
		{
			for (size_t c = 0; c < NCODED; c++)
			{
				check_dimension(&coded[c], metrics[m], dim);
				if (dim >= 32 && dim <= 1001)
					check_decode(&coded[c], metrics[m], dim);
			}
		}
	}
	for (size_t m = 0; m < 3; m++)
	{
		for (size_t c = 0; c < NCODED; c++)
		{
			for (int dim = 1; dim <= 80; dim += 13)
			{
				check_extremes(&coded[c], metrics[m], dim, 0, 0);
				check_extremes(&coded[c], metrics[m], dim, 1.5f, -0.5f);
				check_extremes(&coded[c], metrics[m], dim, -2e38f, 1);
				check_extremes(&coded[c], metrics[m], dim, 2e38f, -2e38f);
				check_extremes(&coded[c], metrics[m], dim, 1e-42f, 1e-44f);
			}
			check_extremes(&coded[c], metrics[m], 16000, 0.5f, 0);
			check_centroid_itself(&coded[c], metrics[m], 7);
			check_centroid_itself(&coded[c], metrics[m], 64);
			check_centroid_itself(&coded[c], metrics[m], 100);
		}
	}
}

/* The statistics do not depend on the kernels: at the best level only. */
static void
check_statistics(void)
{
	static const int dims[] = {32, 100, 768};
	static const float aparts[] = {0.1f, 1, 3};
	static const Metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};

	for (size_t c = 0; c < NCODED; c++)
	{
		for (size_t m = 0; m < 3; m++)
		{
			for (size_t i = 0; i < 3; i++)
			{
				for (int data = DATA_GAUSSIAN; data <= DATA_SKEWED; data++)
				{
					for (size_t j = 0; j < 3; j++)
						check_errors(&coded[c], metrics[m], (Data) data, dims[i], aparts[j]);
				}
			}
		}
	}
}

int
main(void)
{
	fx.codes = guard_new(sizeof(float) * (MAX_DIM + 1) * 70 + SIMD_SLACK);
	fx.blocks = guard_new(16 * MAX_DIM + SIMD_SLACK);
	vectors = malloc(sizeof(float) * (1001 * MAX_CODES + 40 * MAX_DIM));

	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		if (!simd_force((SimdLevel) level))
		{
			CHECK_SKIP("level %d is not to be had here", level);
			continue;
		}
		level_name = simd_get()->name;
		if (level == 0)
			check_specs();
		check_level();
	}
	simd_use_best();
	level_name = simd_get()->name;
	check_statistics();
	return check_done("test_listcode");
}
