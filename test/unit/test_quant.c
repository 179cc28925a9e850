/*
 * test_quant.c
 *		Codes: sizes, estimates and their errors against double precision,
 *		decoding, and inputs at the ends of the float range.
 *
 * Every check runs at every SIMD level there is.  Records lie right before
 * memory that cannot be read, but for the slack that kernels may use.
 */
#include "check.h"

#include <float.h>
#include <math.h>

#include "quant/quantizer.h"
#include "reference.h"

#define MAX_DIM 16000
#define MAX_RECORDS 200

static uint64_t seed = 3;
static const char *level_name;

/* one quantizer with all the memory it wants */
typedef struct Fixture
{
	Quantizer	q;
	QuantQuery *query;
	void	   *scratch;
	Guard		codes;
	const uint8_t *records[MAX_RECORDS];
	float		dist[MAX_RECORDS];
	float		err[MAX_RECORDS];
	float		centre[MAX_DIM];
	float		v[MAX_DIM];
	float		decoded[MAX_DIM];
} Fixture;

static Fixture fx;
static float *vectors;			/* MAX_RECORDS of up to 1536 dimensions */

static float
gaussian(void)
{
	double		u = (check_random(&seed) >> 11) * 0x1p-53;
	double		v = (check_random(&seed) >> 11) * 0x1p-53;

	return (float) (sqrt(-2 * log(1 - u)) * cos(2 * 3.14159265358979323846 * v));
}

static void
setup(QuantKind kind, Metric metric, int dim, const float *centre, uint64_t rotation)
{
	quant_init(&fx.q, kind, metric, dim, centre, rotation);
	free(fx.query);
	free(fx.scratch);
	fx.query = aligned_alloc(64, fx.q.query_size);
	fx.scratch = malloc(fx.q.scratch_size + 1);
}

/* n vectors into records; the i-th ends a slack before the unreadable page */
static void
encode(const float *from, int n)
{
	uint8_t    *codes = guard_at(&fx.codes, fx.q.code_size * (size_t) n + SIMD_SLACK);

	memset(codes, 0xa5, fx.q.code_size * (size_t) n + SIMD_SLACK);
	for (int i = 0; i < n; i++)
	{
		fx.records[i] = codes + fx.q.code_size * (size_t) i;
		quant_encode(&fx.q, from + (size_t) i * (size_t) fx.q.dim,
					 codes + fx.q.code_size * (size_t) i, fx.scratch);
	}
}

static const char *
name(void)
{
	static char text[100];

	snprintf(text, sizeof(text), "%s, %s, %s, dim %d", level_name, quant_name(fx.q.kind),
			 metric_info(fx.q.metric)->name, fx.q.dim);
	return text;
}

static void
check_names_and_sizes(void)
{
	QuantKind	kind = QUANT_NONE;

	for (int i = 0; i < QUANT_COUNT; i++)
		CHECK(quant_parse(quant_name((QuantKind) i), quant_elements((QuantKind) i), &kind) &&
			  kind == (i == QUANT_HALF ? QUANT_NONE : (QuantKind) i), "kind %d", i);
	kind = QUANT_SQ8;
	CHECK(!quant_parse("RABITQ4", QUANT_FLOATS, &kind) && !quant_parse("", QUANT_FLOATS, &kind) &&
		  !quant_parse("sq8", QUANT_BIT_STRING, &kind) && kind == QUANT_SQ8, "parse");

	CHECK(quant_code_size(QUANT_NONE, METRIC_L2, 3) == 12, "none");
	CHECK(quant_code_size(QUANT_NONE, METRIC_COSINE, 3) == 16, "none, cosine");
	CHECK(quant_code_size(QUANT_HALF, METRIC_L2, 3) == 8, "half");
	CHECK(quant_code_size(QUANT_HALF, METRIC_COSINE, 100) == 204, "half, cosine");
	CHECK(quant_code_size(QUANT_RABITQ4, METRIC_L2, 100) == 60, "rabitq4");
	CHECK(quant_code_size(QUANT_RABITQ4, METRIC_L1, 16000) == 8008, "rabitq4, l1");
	CHECK(quant_code_size(QUANT_SQ8, METRIC_IP, 99) == 108, "sq8");
	CHECK(quant_code_size((QuantKind) 17, METRIC_IP, 99) == 0, "unknown kind");
	for (int metric = 0; metric < METRIC_COUNT; metric++)
	{
		for (int k = 0; k < QUANT_COUNT; k++)
		{
			for (int dim = 1; dim < 70; dim++)
				CHECK(quant_code_size((QuantKind) k, (Metric) metric, dim) % 4 == 0, "dim %d", dim);
		}
	}

	CHECK(quant_default(QUANT_FLOATS, METRIC_L2, 31, 8100) == QUANT_NONE, "small");
	CHECK(quant_default(QUANT_FLOATS, METRIC_L2, 32, 8100) == QUANT_RABITQ4, "not small");
	CHECK(quant_default(QUANT_FLOATS, METRIC_COSINE, 16000, 8100) == QUANT_RABITQ4, "large");
	CHECK(quant_default(QUANT_FLOATS, METRIC_L1, 8000, 8100) == QUANT_SQ8, "l1");
	CHECK(quant_default(QUANT_FLOATS, METRIC_L1, 16000, 8100) == QUANT_RABITQ4, "large l1");
	CHECK(quant_default(QUANT_FLOATS, METRIC_L1, 3, 8100) == QUANT_NONE, "small l1");
	CHECK(quant_default(QUANT_FLOATS, METRIC_L2, 31, 100) == QUANT_RABITQ4, "small, but no room");
	CHECK(!quant_wants_centre(QUANT_NONE, METRIC_L2) && !quant_wants_centre(QUANT_SQ8, METRIC_L1) &&
		  quant_wants_centre(QUANT_RABITQ4, METRIC_COSINE), "centre");
}

/*
 * Every metric and kind at one dimension: estimates within what their errors
 * allow, batches alike however they are cut, records whole and repeatable.
 */
static void
check_dimension(QuantKind kind, Metric metric, int dim)
{
	int			n = dim > 2000 ? 5 : 13;
	float	   *base = malloc(sizeof(float) * (size_t) dim * (size_t) n);
	uint8_t    *again;

	for (int i = 0; i < dim; i++)
		fx.centre[i] = metric == METRIC_COSINE ? 0.02f : 0.3f;
	setup(kind, metric, dim, dim % 3 ? fx.centre : NULL, 77);
	again = malloc(fx.q.code_size);
	for (int i = 0; i < dim * n; i++)
		base[i] = gaussian() + 0.3f;
	for (int i = 0; i < dim; i++)
		fx.v[i] = gaussian() + 0.3f;
	encode(base, n);

	for (int i = 0; i < n; i++)
	{
		memset(again, 0x5a, fx.q.code_size);
		quant_encode(&fx.q, base + (size_t) i * (size_t) dim, again, fx.scratch);
		CHECK(memcmp(again, fx.records[i], fx.q.code_size) == 0, "%s: record %d differs", name(), i);
	}

	/* once from the values, once from a code */
	for (int from_code = 0; from_code < 2; from_code++)
	{
		const float *v = from_code ? base : fx.v;

		if (from_code)
			quant_query_from_code(&fx.q, fx.records[0], fx.query);
		else
			quant_query_prepare(&fx.q, fx.v, fx.query, fx.scratch);
		quant_score(fx.query, fx.records, n, fx.dist, fx.err);
		for (int i = from_code; i < n; i++)
		{
			double		want = want_rank(metric, v, base + (size_t) i * (size_t) dim, dim);
			double		off = fabs(fx.dist[i] - want);
			double		size = metric == METRIC_COSINE ? 1 : dim;
			/* few dimensions: few values decide, errors are no Gaussian's */
			double		allowed = (dim < 16 ? 12 : 6) * fx.err[i] + 1e-5 * size;
			float		alone;

			if (dim < 16 && kind != QUANT_NONE)
				allowed += (kind == QUANT_SQ8 ? 0.01 : 0.2) * size;
			CHECK(off <= allowed, "%s%s: %g, want %g, error %g", name(),
				  from_code ? ", from code" : "", fx.dist[i], want, fx.err[i]);
			CHECK(fx.err[i] >= 0 && (kind != QUANT_NONE || fx.err[i] == 0), "%s: error %g", name(), fx.err[i]);
			quant_score(fx.query, &fx.records[i], 1, &alone, NULL);
			CHECK(alone == fx.dist[i], "%s: alone %.9g, among others %.9g", name(), alone, fx.dist[i]);
		}
	}
	free(base);
	free(again);
}

/* QUANT_NONE is exact, and the vector comes back */
static void
check_none(Metric metric, int dim)
{
	float		base[3 * 200];

	setup(QUANT_NONE, metric, dim, NULL, 0);
	for (int i = 0; i < 3 * dim; i++)
		base[i] = gaussian();
	encode(base, 3);
	quant_query_prepare(&fx.q, base, fx.query, fx.scratch);
	quant_score(fx.query, fx.records, 3, fx.dist, fx.err);
	for (int i = 0; i < 3; i++)
	{
		double		rank = metric_rank(metric, base, base + i * dim, dim);

		CHECK(fabs(fx.dist[i] - rank) <= 1e-6 * (fabs(rank) + 1), "%s: %.9g, metric_rank %.9g",
			  name(), fx.dist[i], rank);
		quant_decode(&fx.q, fx.records[i], fx.decoded, fx.scratch);
		CHECK(memcmp(fx.decoded, base + i * dim, sizeof(float) * (size_t) dim) == 0, "%s: decode", name());
	}
	CHECK(metric == METRIC_IP || fabsf(fx.dist[0]) <= 1e-6f, "%s: %g from itself", name(), fx.dist[0]);
}

/* more records than one kernel call takes */
static void
check_batches(QuantKind kind, Metric metric)
{
	int			dim = 40;
	float		all[MAX_RECORDS];

	setup(kind, metric, dim, NULL, 9);
	for (int i = 0; i < MAX_RECORDS * dim; i++)
		vectors[i] = gaussian();
	encode(vectors, MAX_RECORDS);
	quant_query_prepare(&fx.q, vectors, fx.query, fx.scratch);
	quant_score(fx.query, fx.records, MAX_RECORDS, all, NULL);
	for (int i = 0; i < MAX_RECORDS; i++)
	{
		quant_score(fx.query, fx.records + i, 1, fx.dist, fx.err);
		CHECK(all[i] == fx.dist[0], "%s: record %d", name(), i);
	}
	all[0] = -123;
	quant_score(fx.query, fx.records, 0, all, NULL);
	CHECK(all[0] == -123, "%s: no record, but a score", name());
}

typedef enum Data
{
	DATA_GAUSSIAN,
	DATA_CLUSTERED,				/* neighbours at a tenth of the clusters' distance */
	DATA_SKEWED					/* few large dimensions, norms far apart, far from the origin */
} Data;

static void
make_vectors(Data data, int n, int dim)
{
	static float centres[8][1536];

	for (int c = 0; c < 8; c++)
	{
		for (int j = 0; j < dim; j++)
			centres[c][j] = gaussian();
	}
	for (int i = 0; i < n; i++)
	{
		float		length = expf(0.5f * gaussian());

		for (int j = 0; j < dim; j++)
		{
			float	   *x = &vectors[i * dim + j];

			switch (data)
			{
				case DATA_GAUSSIAN:
					*x = gaussian();
					break;
				case DATA_CLUSTERED:
					*x = centres[i % 8][j] + 0.1f * gaussian();
					break;
				case DATA_SKEWED:
					*x = length * gaussian() * (j % 10 == 0 ? 5 : 1) + 2;
					break;
			}
		}
	}
}

static void
set_centre(int n, int dim, Metric metric)
{
	double		sum[1536] = {0};

	for (int i = 0; i < n; i++)
	{
		double		norm_sq = 0;
		double		scale = 1;

		for (int j = 0; j < dim; j++)
			norm_sq += (double) vectors[i * dim + j] * vectors[i * dim + j];
		if (metric == METRIC_COSINE)
			scale = 1 / sqrt(norm_sq);
		for (int j = 0; j < dim; j++)
			sum[j] += vectors[i * dim + j] * scale;
	}
	for (int j = 0; j < dim; j++)
		fx.centre[j] = (float) (sum[j] / n);
}

/*
 * The standard error is one: about 0.68 of the estimates within one, 0.95
 * within two; and over many rotations the errors have mean 0.
 */
static void
check_errors(QuantKind kind, Metric metric, Data data, int dim, bool centred, bool from_code)
{
	int			n = 120;
	int			rounds = metric == METRIC_L1 ? 1 : 8;
	int			queries = dim > 500 ? 10 : 30;
	long		pairs = 0;
	long		one = 0;
	long		two = 0;
	double		sum = 0;
	double		share1;
	double		share2;

	make_vectors(data, n, dim);
	if (centred)
		set_centre(n, dim, metric);
	for (int round = 0; round < rounds; round++)
	{
		setup(kind, metric, dim, centred ? fx.centre : NULL, (uint64_t) (round + 1) * 1009);
		encode(vectors, n);
		for (int i = 0; i < queries; i++)
		{
			const float *v = vectors + i * dim;

			if (from_code)
				quant_query_from_code(&fx.q, fx.records[i], fx.query);
			else
				quant_query_prepare(&fx.q, v, fx.query, fx.scratch);
			quant_score(fx.query, fx.records, n, fx.dist, fx.err);
			for (int j = 0; j < n; j++)
			{
				double		off = fx.dist[j] - want_rank(metric, v, vectors + j * dim, dim);

				if (j == i)
					continue;
				pairs++;
				one += fabs(off) <= fx.err[j];
				two += fabs(off) <= 2 * fx.err[j];
				sum += off / fx.err[j];
			}
		}
	}
	share1 = (double) one / pairs;
	share2 = (double) two / pairs;
	/*
	 * Where less is claimed than 0.68 and 0.95 the README says why: inner
	 * product and L1 overstate their errors for near pairs; two codes of
	 * nearly the same vector share part of their rounding.
	 */
	CHECK(share1 > (from_code ? 0.56 : 0.63) &&
		  share1 < (metric == METRIC_IP || metric == METRIC_L1 ? 0.95 : 0.76),
		  "%s, data %d%s%s: %.3f within one standard error", name(), data,
		  centred ? ", centred" : "", from_code ? ", from code" : "", share1);
	CHECK(share2 > (from_code ? 0.87 : 0.93), "%s, data %d%s%s: %.3f within two standard errors", name(), data,
		  centred ? ", centred" : "", from_code ? ", from code" : "", share2);
	/* pairs share vectors: far fewer than "pairs" are independent */
	CHECK(fabs(sum / pairs) < (from_code ? 0.5 : metric == METRIC_L1 ? 0.3 : 0.15),
		  "%s, data %d%s%s: mean error %.3f standard errors", name(), data,
		  centred ? ", centred" : "", from_code ? ", from code" : "", sum / pairs);
	if (getenv("VECIDX_TEST_VERBOSE"))
		printf("%s, data %d%s%s: %.3f %.3f, mean %.3f\n", name(), data,
			   centred ? ", centred" : "", from_code ? ", from code" : "", share1, share2, sum / pairs);
}

/* One pair, many rotations: the mean of the estimates is the distance. */
static void
check_unbiased(QuantKind kind, Metric metric, float similarity)
{
	enum
	{
		DIM = 60,
		ROTATIONS = 2000
	};
	float		pair[2 * DIM];
	double		sum = 0;
	double		sum_sq = 0;
	double		want;

	for (int i = 0; i < DIM; i++)
	{
		pair[i] = gaussian();
		pair[DIM + i] = similarity * pair[i] + (1 - similarity) * gaussian();
		fx.centre[i] = 0.05f * gaussian();
	}
	want = want_rank(metric, pair, pair + DIM, DIM);
	for (int i = 0; i < ROTATIONS; i++)
	{
		double		off;

		setup(kind, metric, DIM, fx.centre, (uint64_t) i * 7919);
		encode(pair, 1);
		quant_query_prepare(&fx.q, pair + DIM, fx.query, fx.scratch);
		quant_score(fx.query, fx.records, 1, fx.dist, fx.err);
		off = (fx.dist[0] - want) / fx.err[0];
		sum += off;
		sum_sq += off * off;
	}
	CHECK(fabs(sum / ROTATIONS) < 4 / sqrt(ROTATIONS), "%s, similarity %g: mean error %.4f standard errors",
		  name(), similarity, sum / ROTATIONS);
	CHECK(sum_sq / ROTATIONS > (metric == METRIC_IP ? 0.1 : 0.8) && sum_sq / ROTATIONS < 1.25, "%s, similarity %g: variance %.3f of what is said",
		  name(), similarity, sum_sq / ROTATIONS);
}

/* What a record stands for is near the vector. */
static void
check_decode(QuantKind kind, Metric metric, int dim)
{
	double		off_sq = 0;
	double		norm_sq = 0;
	double		length = 1;
	/* 0.1 is usual for 4 bits; a large value beside small ones costs more */
	double		allowed = kind == QUANT_SQ8 ? 0.02 : 0.2;

	for (int i = 0; i < dim; i++)
	{
		fx.v[i] = gaussian();
		fx.centre[i] = 0.01f * gaussian();
	}
	setup(kind, metric, dim, dim % 2 ? fx.centre : NULL, 4);
	encode(fx.v, 1);
	quant_decode(&fx.q, fx.records[0], fx.decoded, fx.scratch);
	if (metric == METRIC_COSINE)
	{
		length = 0;
		for (int i = 0; i < dim; i++)
			length += (double) fx.v[i] * fx.v[i];
		length = sqrt(length);
	}
	for (int i = 0; i < dim; i++)
	{
		double		want = fx.v[i] / length;

		off_sq += (fx.decoded[i] - want) * (fx.decoded[i] - want);
		norm_sq += want * want;
	}
	CHECK(off_sq <= allowed * allowed * norm_sq, "%s: decoded %.3f of its length away", name(),
		  sqrt(off_sq / norm_sq));
}

static void
check_finite(const char *what)
{
	quant_score(fx.query, fx.records, 8, fx.dist, fx.err);
	for (int i = 0; i < 8; i++)
	{
		CHECK(isfinite(fx.dist[i]), "%s, %s: record %d scores %g", name(), what, i, fx.dist[i]);
		CHECK(isfinite(fx.err[i]) && fx.err[i] >= 0, "%s, %s: record %d has error %g", name(), what, i, fx.err[i]);
	}
}

/* Extreme inputs: finite results, in an order that makes sense where one exists. */
static void
check_extremes(QuantKind kind, Metric metric, int dim, float centre_value)
{
	float	   *base = malloc(sizeof(float) * (size_t) dim * 8);

	for (int i = 0; i < dim; i++)
	{
		float		sign = check_random(&seed) & 1 ? 1.0f : -1.0f;

		fx.centre[i] = centre_value;
		base[0 * dim + i] = 1e38f * sign;
		base[1 * dim + i] = -1e38f * sign;
		base[2 * dim + i] = i == 0 ? FLT_MAX : 0;
		base[3 * dim + i] = i == 0 ? -FLT_MAX : FLT_MAX;
		base[4 * dim + i] = 1e-40f * sign;
		base[5 * dim + i] = i == 0 ? FLT_MIN : 0;
		base[6 * dim + i] = i % 2 ? 3e38f : 1e-45f;
		base[7 * dim + i] = centre_value != 0 ? centre_value : 1;
	}
	setup(kind, metric, dim, fx.centre, 8);
	encode(base, 8);
	for (int i = 0; i < 8; i++)
	{
		quant_query_prepare(&fx.q, base + i * dim, fx.query, fx.scratch);
		check_finite("extreme");
		/*
		 * L2 is past the range for all of these; the exact cosine overflows,
		 * for SQL too; a centre out there is no mean of anything.
		 */
		if (i == 0 && metric != METRIC_L1 && !(kind == QUANT_NONE && metric == METRIC_COSINE) &&
			fabsf(centre_value) < 1e30f)
			CHECK(metric == METRIC_L2 ? fx.dist[0] <= fx.dist[1] : fx.dist[0] < fx.dist[1], "%s: %g to itself, %g to its opposite", name(), fx.dist[0], fx.dist[1]);
		if (i == 0 && metric == METRIC_L1)
			CHECK(fx.dist[0] < fx.dist[2] && fx.dist[0] < fx.dist[4], "%s: %g to itself, %g, %g to others",
				  name(), fx.dist[0], fx.dist[2], fx.dist[4]);
		quant_query_from_code(&fx.q, fx.records[i], fx.query);
		check_finite("extreme, from code");
		quant_decode(&fx.q, fx.records[i], fx.decoded, fx.scratch);
		for (int j = 0; j < dim; j++)
		{
			if (!isfinite(fx.decoded[j]))
			{
				CHECK(false, "%s: decoded %g", name(), fx.decoded[j]);
				break;
			}
		}
	}
	memset(fx.v, 0, sizeof(float) * (size_t) dim);
	quant_query_prepare(&fx.q, fx.v, fx.query, fx.scratch);
	check_finite("zero query");
	free(base);
}

/* A vector that is the centre, and a query that is. */
static void
check_centre_itself(QuantKind kind, Metric metric, int dim)
{
	float		base[2 * 200];
	double		norm_sq = 0;

	for (int i = 0; i < dim; i++)
		fx.centre[i] = (float) (i + 1);
	for (int i = 0; i < dim; i++)
		norm_sq += (double) fx.centre[i] * fx.centre[i];
	if (metric == METRIC_COSINE)
	{
		for (int i = 0; i < dim; i++)
			fx.centre[i] = (float) (fx.centre[i] / sqrt(norm_sq));
	}
	for (int i = 0; i < dim; i++)
	{
		base[i] = fx.centre[i];
		base[dim + i] = gaussian();
	}
	setup(kind, metric, dim, fx.centre, 8);
	encode(base, 2);
	for (int i = 0; i < 4; i++)
	{
		if (i < 2)
			quant_query_prepare(&fx.q, base + i * dim, fx.query, fx.scratch);
		else
			quant_query_from_code(&fx.q, fx.records[i - 2], fx.query);
		quant_score(fx.query, fx.records, 2, fx.dist, fx.err);
		for (int j = 0; j < 2; j++)
		{
			double		want = want_rank(metric, base + i % 2 * dim, base + j * dim, dim);

			if (i == 3 && j == 1)
				continue;		/* a code from itself: see the README */
			CHECK(fabs(fx.dist[j] - want) <= 5 * fx.err[j] + 1e-5 * (fabs(want) + 1) + (metric == METRIC_L1 ? 0.6 * dim : 0),
				  "%s: query %d, record %d: %g, want %g, error %g", name(), i, j, fx.dist[j], want, fx.err[j]);
		}
	}
}

static void
check_level(void)
{
	static const int large[] = {768, 1536, 16000};

	for (int k = 0; k <= QUANT_SQ8; k++)
	{
		QuantKind	kind = (QuantKind) k;

		for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
		{
			Metric		metric = (Metric) m;

			for (int dim = 1; dim <= 130; dim++)
				check_dimension(kind, metric, dim);
			for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++)
				check_dimension(kind, metric, large[i]);
			check_batches(kind, metric);
			for (int dim = 1; dim <= 80; dim += 13)
			{
				check_extremes(kind, metric, dim, 0);
				check_extremes(kind, metric, dim, 1.5f);
				check_extremes(kind, metric, dim, -2e38f);
			}
			check_extremes(kind, metric, 16000, 0);
			check_centre_itself(kind, metric, 7);
			check_centre_itself(kind, metric, 64);
			if (kind == QUANT_NONE)
			{
				for (int dim = 1; dim <= 130; dim++)
					check_none(metric, dim);
				continue;
			}
			for (int dim = 32; dim <= 130; dim++)
				check_decode(kind, metric, dim);
			check_decode(kind, metric, 1536);
		}
	}
}

/* The statistics do not depend on the kernels: at the best level only. */
static void
check_statistics(void)
{
	static const int dims[] = {32, 100, 768};

	for (int k = QUANT_RABITQ4; k <= QUANT_SQ8; k++)
	{
		QuantKind	kind = (QuantKind) k;

		for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
		{
			Metric		metric = (Metric) m;

			for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
			{
				for (int data = DATA_GAUSSIAN; data <= DATA_SKEWED; data++)
				{
					for (int variant = 0; variant < 4; variant++)
						check_errors(kind, metric, (Data) data, dims[i], variant & 1, variant & 2);
				}
			}
			if (metric != METRIC_L1)
			{
				check_unbiased(kind, metric, 0);
				check_unbiased(kind, metric, 0.5f);
				check_unbiased(kind, metric, 0.8f);
			}
		}
	}
}

int
main(void)
{
	fx.codes = guard_new(sizeof(float) * (MAX_DIM + 1) * 8 + (size_t) 4 * 1536 * MAX_RECORDS + SIMD_SLACK);
	vectors = malloc(sizeof(float) * 1536 * MAX_RECORDS);

	check_names_and_sizes();
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		if (!simd_force((SimdLevel) level))
		{
			CHECK_SKIP("level %d is not to be had here", level);
			continue;
		}
		level_name = simd_get()->name;
		check_level();
	}
	simd_use_best();
	level_name = simd_get()->name;
	check_statistics();
	return check_done("test_quant");
}
