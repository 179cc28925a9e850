/*
 * test_listcode_pq.c
 *		Product quantisation of list codes: training.  What all kinds promise
 *		is in test_listcode.c, which trains without samples.
 */
#include "check.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>

#include "quant/listcode.h"
#include "quant/pq.h"
#include "reference.h"

#define MAX_DIM 256
#define CODES 64

static uint64_t seed = 17;
static Guard scratch_guard;
static Guard trained_guard;
static long ticks;

static float
gaussian(void)
{
	double		u = (check_random(&seed) >> 11) * 0x1p-53;
	double		v = (check_random(&seed) >> 11) * 0x1p-53;

	return (float) (sqrt(-2 * log(1 - u)) * cos(2 * 3.14159265358979323846 * v));
}

static void
count_tick(void *arg)
{
	ticks++;
	CHECK(arg == &ticks, "tick's argument");
}

/* Trained data right before memory that cannot be read, from a copy of the residuals; the next call overwrites it. */
static void *
train(const ListCodeSpec *spec, const float *residuals, size_t n)
{
	size_t		bytes = n * (size_t) spec->dim * sizeof(float);
	float	   *copy = malloc(bytes + 1);
	void	   *trained = guard_at(&trained_guard, listcode_trained_size(spec));

	if (n > 0)
		memcpy(copy, residuals, bytes);
	memset(trained, 0xa5, listcode_trained_size(spec));
	listcode_train(spec, copy, n, trained, guard_at(&scratch_guard, listcode_train_scratch(spec, n)), count_tick, &ticks);
	CHECK(listcode_trained_problem(spec, trained) == NULL, "dim %d, m %d, %d bits, %zu samples: %s", spec->dim, spec->m,
		  spec->bits, n, listcode_trained_problem(spec, trained));
	free(copy);
	return trained;
}

static void
check_specs(void)
{
	static const int bad_bits[] = {0, 1, 2, 3, 5, 7, 9, 16, -8};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = METRIC_L2, .dim = 100, .bits = 8, .m = 25};
	ListCode	lc;

	CHECK(listcode_problem(&spec) == NULL, "%s", listcode_problem(&spec));
	for (size_t i = 0; i < sizeof(bad_bits) / sizeof(bad_bits[0]); i++)
	{
		spec.bits = bad_bits[i];
		CHECK(listcode_problem(&spec) != NULL, "%d bits", spec.bits);
	}
	spec.bits = 4;
	for (int m = -1; m <= 101; m++)
	{
		spec.m = m;
		CHECK((listcode_problem(&spec) == NULL) == (m >= 1 && m <= 100), "m %d", m);
	}

	/* every dimension belongs to one part, and parts differ by one at most */
	for (spec.dim = 1; spec.dim <= 70; spec.dim++)
	{
		for (spec.m = 1; spec.m <= spec.dim; spec.m++)
		{
			PqShape		shape = pq_shape(&spec);
			float		x[70];
			float		dealt[140];
			int			seen = 0;

			for (int i = 0; i < spec.dim; i++)
				x[i] = (float) (i + 1);
			CHECK(shape.dealt <= sizeof(dealt) / sizeof(dealt[0]), "dim %d, m %d: %zu", spec.dim, spec.m, shape.dealt);
			for (int p = 0; p < spec.m; p++)
				pq_part(&shape, p, x, dealt + p * shape.sub);
			for (size_t i = 0; i < shape.dealt; i++)
			{
				if (dealt[i] != 0)
					CHECK(dealt[i] == (float) ++seen, "dim %d, m %d: value %d out of place", spec.dim, spec.m, seen);
				else
					CHECK((int) i % shape.sub == shape.sub - 1, "dim %d, m %d: a zero inside of a part", spec.dim, spec.m);
			}
			CHECK(seen == spec.dim, "dim %d, m %d: %d values dealt", spec.dim, spec.m, seen);
		}
	}

	spec.dim = 100;
	spec.m = 33;
	listcode_init(&lc, &spec, NULL, train(&spec, NULL, 0));
	CHECK(lc.code_size == 17 && lc.nnibbles == 33 && lc.nfactors == 2 && !lc.exact, "4 bits: %zu", lc.code_size);
	spec.bits = 8;
	listcode_init(&lc, &spec, NULL, train(&spec, NULL, 0));
	CHECK(lc.code_size == 33 && lc.nnibbles == 0 && lc.nfactors == 2 && !lc.exact, "8 bits: %zu", lc.code_size);
}

/* Residuals in a few directions, off which they are by `noise` of their length; lengths differ. */
static void
make_residuals(float *out, int n, int dim, int directions, float noise, float length)
{
	static float axes[16][MAX_DIM];

	for (int i = 0; i < 16 * MAX_DIM; i++)
		axes[i / MAX_DIM][i % MAX_DIM] = gaussian();
	for (int i = 0; i < n; i++)
	{
		const float *axis = axes[check_random(&seed) % (uint64_t) directions];
		float		own = length * expf(0.5f * gaussian());

		for (int j = 0; j < dim; j++)
			out[i * dim + j] = own * ((directions > 0 ? axis[j] : 0) + noise * gaussian());
	}
}

/* What is left of residuals after coding, over their squared length. */
static double
distortion(const ListCodeSpec *spec, const void *trained, const float *residuals, int n)
{
	static const float zeros[MAX_DIM];
	ListCode	lc;
	void	   *scratch;
	uint8_t    *code;
	double		left = 0;
	double		all = 0;

	listcode_init(&lc, spec, NULL, trained);
	scratch = aligned_alloc(64, (lc.scratch_size + 63) / 64 * 64);
	code = malloc(lc.code_size);
	for (int i = 0; i < n; i++)
	{
		const float *r = residuals + (size_t) i * (size_t) spec->dim;
		float		factors[2];
		float		decoded[MAX_DIM];
		double		rr = 0;
		double		ee = 0;

		listcode_encode(&lc, r, zeros, factors, code, scratch);
		listcode_decode(&lc, factors, code, zeros, decoded, scratch);
		for (int j = 0; j < spec->dim; j++)
		{
			rr += (double) r[j] * r[j];
			ee += ((double) r[j] - decoded[j]) * ((double) r[j] - decoded[j]);
		}
		left += ee / rr;
		all++;
	}
	free(scratch);
	free(code);
	return left / all;
}

/* Training beats codewords at random, and a sample with structure beats training without one. */
static void
check_learning(int bits, int dim, int m)
{
	enum
	{
		N = 6000,
		OTHERS = 200
	};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = METRIC_L2, .dim = dim, .bits = bits, .m = m, .seed = 3};
	PqShape		shape = pq_shape(&spec);
	float	   *residuals = malloc(sizeof(float) * (size_t) (dim * (N + OTHERS)));
	float	   *others = residuals + (size_t) dim * N;
	float	   *by_chance = malloc(listcode_trained_size(&spec));
	double		random;
	double		none;
	double		sample;

	make_residuals(residuals, N + OTHERS, dim, 1, 1e6f, 1e-6f);
	memset(by_chance, 0, listcode_trained_size(&spec));
	for (int p = 0; p < m; p++)
	{
		float	   *table = by_chance + shape.codewords + (size_t) (p * shape.sub * shape.width);
		float	   *addends = by_chance + shape.addends + (size_t) (p * shape.width);

		for (int j = 0; j < shape.sub; j++)
		{
			for (int k = 0; k < shape.width; k++)
			{
				float		x = p >= shape.full && j == shape.sub - 1 ? 0 : gaussian();

				table[j * shape.width + k] = x;
				addends[k] -= x * x / 2;
			}
		}
	}
	random = distortion(&spec, by_chance, others, OTHERS);
	none = distortion(&spec, train(&spec, NULL, 0), others, OTHERS);
	sample = distortion(&spec, train(&spec, residuals, N), others, OTHERS);
	CHECK(none < 0.9 * random, "%d bits, dim %d, m %d: trained %g, by chance %g", bits, dim, m, none, random);
	CHECK(sample < 1.1 * none, "%d bits, dim %d, m %d: nothing to learn, but %g and not %g", bits, dim, m, sample, none);

	make_residuals(residuals, N + OTHERS, dim, 10, 0.1f, 1);
	none = distortion(&spec, train(&spec, NULL, 0), others, OTHERS);
	sample = distortion(&spec, train(&spec, residuals, N), others, OTHERS);
	CHECK(sample < 0.5 * none, "%d bits, dim %d, m %d: learned %g, without a sample %g", bits, dim, m, sample, none);
	free(residuals);
	free(by_chance);
}

/* The same sample and seed, the same bytes: at every level; and another seed, others. */
static void
check_determinism(int bits)
{
	enum
	{
		N = 3000,
		DIM = 21
	};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = METRIC_COSINE, .dim = DIM, .bits = bits, .m = 5, .seed = 11};
	size_t		size = listcode_trained_size(&spec);
	float	   *residuals = malloc(sizeof(float) * DIM * N);
	void	   *first = malloc(size);

	make_residuals(residuals, N, DIM, 12, 0.5f, 1);
	memcpy(first, train(&spec, residuals, N), size);
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		if (!simd_force((SimdLevel) level))
			continue;
		CHECK(memcmp(train(&spec, residuals, N), first, size) == 0, "%d bits: other bytes with %s kernels", bits, simd_get()->name);
	}
	simd_use_best();
	spec.seed++;
	CHECK(memcmp(train(&spec, residuals, N), first, size) != 0, "%d bits: the seed changes nothing", bits);
	free(residuals);
	free(first);
}

/*
 * Codes of Gaussian residuals with these codebooks: estimates as the factors
 * and what is decoded say, in double; and errors such as the bound allows.
 */
static void
check_estimates(const ListCodeSpec *spec, const void *trained, float length, const char *what)
{
	ListCode	lc;
	int			dim = spec->dim;
	void	   *scratch;
	ListQuery  *query;
	ListTerm	term;
	uint8_t    *codes;
	float		origin[MAX_DIM];
	float		centroid[MAX_DIM];
	float		q[MAX_DIM];
	float		v[CODES][MAX_DIM];
	float		a[CODES];
	float		b[CODES];
	float		dist[CODES];
	float		err[CODES];
	double		weight = spec->metric == METRIC_L2 ? 2 : 1;

	for (int j = 0; j < dim; j++)
	{
		origin[j] = 0.3f * length * gaussian();
		centroid[j] = length * gaussian();
		q[j] = centroid[j] + length * gaussian();
	}
	listcode_init(&lc, spec, origin, trained);
	scratch = aligned_alloc(64, (lc.scratch_size + 63) / 64 * 64);
	query = aligned_alloc(64, lc.query_size);
	codes = malloc(lc.code_size * CODES + SIMD_SLACK);
	for (int i = 0; i < CODES; i++)
	{
		float		factors[2];

		for (int j = 0; j < dim; j++)
			v[i][j] = i == 0 ? centroid[j] : centroid[j] + length * gaussian();
		listcode_encode(&lc, v[i], centroid, factors, codes + lc.code_size * (size_t) i, scratch);
		a[i] = factors[0];
		b[i] = factors[1];
	}
	listcode_query(&lc, q, query, scratch);
	term = listcode_term(query, centroid);
	listcode_score(query, term, a, b, codes, CODES, dist, err);
	for (int i = 0; i < CODES; i++)
	{
		double		exact = want_rank(spec->metric, q, v[i], dim);
		double		want;
		double		product = 0;
		double		size = 0;
		float		factors[2] = {a[i], b[i]};
		float		decoded[MAX_DIM];

		listcode_decode(&lc, factors, codes + lc.code_size * (size_t) i, centroid, decoded, scratch);
		for (int j = 0; j < dim; j++)
		{
			product += ((double) decoded[j] - centroid[j]) * ((double) q[j] - origin[j]);
			size += fabs((double) decoded[j] - centroid[j]) * fabs((double) q[j] - origin[j]) + (double) q[j] * q[j] +
				(double) centroid[j] * centroid[j];
		}
		/* cosine: the decoded vector is normalised, the query should have been */
		if (spec->metric != METRIC_COSINE)
		{
			want = (double) term.base + a[i] - weight * product;
			/* tables of 8 bits are rounded: a few of their standard errors */
			CHECK(fabs(dist[i] - want) <= (spec->bits == 4 ? 0.03 : 1e-5) * size, "%s, %d bits, dim %d: %g, by what is decoded %g",
				  what, spec->bits, dim, dist[i], want);
		}
		CHECK(fabs(dist[i] - exact) <= 7 * err[i] + (dim < 16 ? 0.5 : 1e-5) * size, "%s, %d bits, dim %d, metric %d: %g, want %g, error %g",
			  what, spec->bits, dim, spec->metric, dist[i], exact, err[i]);
		CHECK(isfinite(dist[i]) && isfinite(err[i]) && err[i] >= 0, "%s, %d bits, dim %d: %g, error %g", what, spec->bits, dim,
			  dist[i], err[i]);
	}
	free(scratch);
	free(query);
	free(codes);
}

/* Few samples, equal ones, zeros, and the ends of the float range. */
static void
check_poor_samples(int bits, int dim, int m)
{
	enum
	{
		MOST = 700
	};
	static const int counts[] = {1, 17, MOST};
	static const Metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};
	static float residuals[MOST * MAX_DIM];

	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
	{
		ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = metrics[(i + (size_t) dim) % 3], .dim = dim, .bits = bits, .m = m, .seed = i};
		size_t		n = (size_t) counts[i];

		make_residuals(residuals, MOST, dim, 16, 1, 1);
		check_estimates(&spec, train(&spec, residuals, n), 1, "few");
		for (size_t j = (size_t) dim; j < n * (size_t) dim; j++)
			residuals[j] = residuals[j - (size_t) dim];
		check_estimates(&spec, train(&spec, residuals, n), 1, "equal");
		memset(residuals, 0, sizeof(residuals));
		check_estimates(&spec, train(&spec, residuals, n), 1, "zeros");

		for (size_t j = 0; j < n * (size_t) dim; j++)
		{
			static const float ends[] = {FLT_MAX, -FLT_MAX, 1e38f, 1e-45f, -1e-45f, FLT_MIN, 0, 1};

			residuals[j] = ends[check_random(&seed) % 8];
		}
		check_estimates(&spec, train(&spec, residuals, n), 1, "ends of the range");
		for (size_t j = 0; j < n * (size_t) dim; j++)
			residuals[j] = 1e-44f * gaussian();
		check_estimates(&spec, train(&spec, residuals, n), 1e-15f, "small");
		for (size_t j = 0; j < n * (size_t) dim; j++)
			residuals[j] = 1e37f * gaussian();
		check_estimates(&spec, train(&spec, residuals, n), 1e15f, "large");
	}
}

/*
 * With codebooks of a sample, others of its kind: shares within 1 and 2
 * standard errors, no bias.  Clustered and of different lengths, so that
 * neither codebooks nor lengths are what a Gaussian gives.
 */
static void
check_statistics(int bits, int dim, int m, Metric metric)
{
	enum
	{
		N = 5000,
		LISTS = 8
	};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = metric, .dim = dim, .bits = bits, .m = m};
	float	   *residuals = malloc(sizeof(float) * (size_t) dim * N);
	float		origin[MAX_DIM];
	float		centroid[MAX_DIM];
	float		v[CODES][MAX_DIM];
	long		one = 0;
	long		two = 0;
	double		sum = 0;
	double		pairs = 0;

	for (int list = 0; list < LISTS; list++)
	{
		ListCode	lc;
		void	   *scratch;
		ListQuery  *query;
		uint8_t    *codes;
		float		a[CODES];
		float		b[CODES];
		float		dist[CODES];
		float		err[CODES];

		spec.seed = (uint64_t) list;
		make_residuals(residuals, N, dim, 16, 1.5f, 0.2f);
		for (int j = 0; j < dim; j++)
		{
			origin[j] = 0.1f;
			centroid[j] = gaussian();
		}
		for (int i = 0; i < CODES; i++)
		{
			for (int j = 0; j < dim; j++)
				v[i][j] = centroid[j] + residuals[i * dim + j];
			if (metric == METRIC_COSINE)
			{
				/* centroids of normalised vectors: near length 1 themselves */
				double		length = sqrt(-want_rank(METRIC_IP, v[i], v[i], dim));

				for (int j = 0; j < dim; j++)
					v[i][j] = (float) (v[i][j] / length);
			}
		}
		if (metric == METRIC_COSINE)
		{
			double		length = sqrt(-want_rank(METRIC_IP, centroid, centroid, dim));

			for (int j = 0; j < dim; j++)
			{
				centroid[j] = (float) (centroid[j] / length);
				origin[j] = 0.01f;
			}
		}
		listcode_init(&lc, &spec, origin, train(&spec, residuals, N));
		scratch = aligned_alloc(64, (lc.scratch_size + 63) / 64 * 64);
		query = aligned_alloc(64, lc.query_size);
		codes = malloc(lc.code_size * CODES + SIMD_SLACK);
		for (int i = 0; i < CODES; i++)
		{
			float		factors[2];

			listcode_encode(&lc, v[i], centroid, factors, codes + lc.code_size * (size_t) i, scratch);
			a[i] = factors[0];
			b[i] = factors[1];
		}
		for (int i = 0; i < CODES; i += 2)
		{
			listcode_query(&lc, v[i], query, scratch);
			listcode_score(query, listcode_term(query, centroid), a, b, codes, CODES, dist, err);
			for (int j = 0; j < CODES; j++)
			{
				double		off = dist[j] - want_rank(metric, v[i], v[j], dim);

				if (j == i)
					continue;
				one += fabs(off) <= err[j];
				two += fabs(off) <= 2 * err[j];
				sum += off / err[j];
				pairs++;
			}
		}
		free(scratch);
		free(query);
		free(codes);
	}
	if (getenv("VECIDX_TEST_VERBOSE"))
		printf("%d bits, dim %d, m %d, metric %d: %.3f %.3f, mean %.3f\n", bits, dim, m, metric, one / pairs, two / pairs, sum / pairs);
	CHECK(one > 0.63 * pairs && one < (metric == METRIC_IP ? 0.98 : 0.8) * pairs, "%d bits, dim %d, metric %d: %.3f within one standard error", bits,
		  dim, metric, one / pairs);
	CHECK(two > 0.92 * pairs, "%d bits, dim %d, metric %d: %.3f within two standard errors", bits, dim, metric, two / pairs);
	CHECK(fabs(sum / pairs) < 0.15, "%d bits, dim %d, metric %d: mean error %.3f standard errors", bits, dim, metric, sum / pairs);
	free(residuals);
}

/* Damage to trained data is found, wherever it is. */
static void
check_damage(void)
{
	static const float bad[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = METRIC_L2, .dim = 20, .bits = 4, .m = 7, .seed = 1};
	PqShape		shape = pq_shape(&spec);
	float	   *trained = train(&spec, NULL, 0);

	for (size_t i = 0; i < listcode_trained_size(&spec) / sizeof(float); i++)
	{
		float		was = trained[i];

		/* the head's reserved floats mean nothing */
		if (i >= 2 && i < shape.codewords)
			continue;
		for (int k = 0; k < 4; k++)
		{
			trained[i] = bad[k];
			CHECK(listcode_trained_problem(&spec, trained) != NULL, "float %zu is %g", i, bad[k]);
		}
		trained[i] = was;
	}
	trained[0] = -1;
	CHECK(listcode_trained_problem(&spec, trained) != NULL, "a negative error");
}

static jmp_buf out;

static void
jump_tick(void *arg)
{
	if (--*(long *) arg == 0)
		longjmp(out, 1);
}

/* Ticks come all along, and any of them may be the last. */
static void
check_ticks(void)
{
	enum
	{
		N = 4000,
		DIM = 64
	};
	ListCodeSpec spec = {.kind = LISTCODE_PQ, .metric = METRIC_L2, .dim = DIM, .bits = 8, .m = 16, .seed = 1};
	float	   *residuals = malloc(sizeof(float) * DIM * N);
	long		left = 100;
	volatile bool jumped = false;

	make_residuals(residuals, N, DIM, 16, 1, 1);
	ticks = 0;
	train(&spec, residuals, N);
	/* at least one for ten million multiplications */
	CHECK(ticks > 10.0 * DIM * 256 * 8192 / 1e7, "%ld ticks", ticks);
	if (setjmp(out) == 0)
		listcode_train(&spec, residuals, N, guard_at(&trained_guard, listcode_trained_size(&spec)),
					   guard_at(&scratch_guard, listcode_train_scratch(&spec, N)), jump_tick, &left);
	else
		jumped = true;
	CHECK(jumped, "not interrupted");
	free(residuals);
}

int
main(void)
{
	static const int shapes[][2] = {{1, 1}, {3, 2}, {7, 7}, {33, 8}, {100, 33}};

	scratch_guard = guard_new((size_t) 64 << 20);
	trained_guard = guard_new((size_t) 4 << 20);
	check_specs();
	for (int bits = 4; bits <= 8; bits += 4)
	{
		check_learning(bits, 64, bits == 4 ? 32 : 16);
		check_learning(bits, 50, bits == 4 ? 21 : 11);
		check_determinism(bits);
		for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
			check_poor_samples(bits, shapes[i][0], shapes[i][1]);
		for (int m = 0; m < 3; m++)
		{
			static const Metric metrics[] = {METRIC_L2, METRIC_IP, METRIC_COSINE};

			check_statistics(bits, 48, bits == 4 ? 24 : 12, metrics[m]);
			check_statistics(bits, 100, 30, metrics[m]);
		}
	}
	check_damage();
	check_ticks();
	return check_done("test_listcode_pq");
}
