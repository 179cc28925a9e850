/*
 * test_quant_exact.c
 *		Bit strings, halves and sparse vectors: records hold all there is, and
 *		give the distances that the operators give.
 */
#include <float.h>
#include <math.h>

#include "check.h"

#include "dist/metric_sparse.h"
#include "quant/quantizer.h"
#include "simd/half.h"

#define NRECORDS 5

static uint64_t seed = 11;
static Guard guards[NRECORDS];
static const uint8_t *records[NRECORDS];

/* A quantizer's query in memory of just the size that it names. */
static QuantQuery *
new_query(const Quantizer *q)
{
	return aligned_alloc(64, q->query_size);
}

/* Both ways to make a query, one by one and in a batch, against want. */
static void
check_scores(const Quantizer *q, const void *v, const double *want)
{
	QuantQuery *query = new_query(q);
	QuantQuery *from_code = new_query(q);
	uint8_t    *code = malloc(q->code_size);
	float		dist[NRECORDS];
	float		err[NRECORDS];
	float		alone;

	quant_encode(q, v, code, NULL);
	memset((void *) query, 0xa5, q->query_size);
	memset((void *) from_code, 0x5a, q->query_size);
	quant_query_prepare(q, v, query, NULL);
	quant_query_from_code(q, code, from_code);
	quant_score(query, records, NRECORDS, dist, err);
	for (int i = 0; i < NRECORDS; i++)
	{
		double		exact = quant_score_exact(query, records[i]);

		CHECK(exact == (isnan(want[i]) ? INFINITY : want[i]), "%s dim %d: %.17g, not %.17g",
			  metric_info(q->metric)->name, q->dim, exact, want[i]);
		/* sparse vectors are scored in another order of summation: a float's rounding apart */
		CHECK(fabs(dist[i] - fmin(exact, FLT_MAX)) <= (q->kind == QUANT_SPARSE ? 2 * FLT_EPSILON * fabs(exact) + 1e-10 : 0) +
			  fabs((float) fmin(exact, FLT_MAX) - fmin(exact, FLT_MAX)), "%s dim %d: %.17g scored as %.9g",
			  metric_info(q->metric)->name, q->dim, exact, dist[i]);
		CHECK(err[i] == 0, "an exact kind does not err");
		quant_score(from_code, &records[i], 1, &alone, NULL);
		CHECK(alone == dist[i], "%s dim %d: from the code %.9g, not %.9g",
			  metric_info(q->metric)->name, q->dim, alone, dist[i]);
	}
	free(query);
	free(from_code);
	free(code);
}

static void
check_bits(Metric metric, int dim)
{
	Quantizer	q;
	size_t		nbytes = ((size_t) dim + 7) / 8;
	uint8_t    *v[NRECORDS];
	double		want[NRECORDS];

	quant_init(&q, QUANT_BITS, metric, dim, NULL, 0);
	CHECK(q.code_size == (nbytes + 3) / 4 * 4 && !quant_sized(QUANT_BITS) && quant_exact(QUANT_BITS), "dim %d", dim);
	for (int i = 0; i < NRECORDS; i++)
	{
		uint8_t    *record = guard_at(&guards[i], q.code_size);

		v[i] = malloc(nbytes);
		for (size_t j = 0; j < nbytes; j++)
			v[i][j] = i == 1 ? 0 : (uint8_t) check_random(&seed);
		if (dim % 8 != 0)
			v[i][nbytes - 1] &= (uint8_t) (0xff << (8 - dim % 8));
		memset(record, 0xa5, q.code_size);
		quant_encode(&q, v[i], record, NULL);
		records[i] = record;
		CHECK(quant_record_size(&q, record) == q.code_size && quant_record_sound(&q, record, q.code_size) &&
			  !quant_record_sound(&q, record, q.code_size - 4) && quant_record_problem(&q, record) == NULL,
			  "record of %d bits", dim);
		if (nbytes < q.code_size || dim % 8 != 0)
		{
			record[q.code_size - 1] ^= 1;
			CHECK(quant_record_problem(&q, record) != NULL, "a bit behind the last of %d", dim);
			record[q.code_size - 1] ^= 1;
		}
	}
	for (int i = 0; i < NRECORDS; i++)
	{
		for (int j = 0; j < NRECORDS; j++)
		{
			uint64_t	both = 0;
			uint64_t	either = 0;

			for (size_t b = 0; b < nbytes; b++)
			{
				both += (uint64_t) __builtin_popcount(v[i][b] & v[j][b]);
				either += (uint64_t) __builtin_popcount(v[i][b] | v[j][b]);
			}
			want[j] = metric == METRIC_HAMMING ? (double) (either - both) :
				both == 0 ? 1 : 1 - (double) both / (double) either;
		}
		check_scores(&q, v[i], want);
	}
	for (int i = 0; i < NRECORDS; i++)
		free(v[i]);
}

static void
check_half(Metric metric, int dim)
{
	Quantizer	q;
	size_t		header = metric == METRIC_COSINE ? 4 : 0;
	uint16_t   *halves[NRECORDS];
	float	   *v[NRECORDS];
	float	   *decoded = malloc(sizeof(float) * (size_t) dim);
	double		want[NRECORDS];

	quant_init(&q, QUANT_HALF, metric, dim, NULL, 0);
	CHECK(q.code_size == header + ((size_t) dim + 1) / 2 * 4 && !quant_sized(QUANT_HALF) && quant_exact(QUANT_HALF), "dim %d", dim);
	for (int i = 0; i < NRECORDS; i++)
	{
		uint8_t    *record = guard_at(&guards[i], q.code_size);
		uint16_t	bad = 0x7c00;

		halves[i] = malloc(sizeof(uint16_t) * (size_t) dim);
		v[i] = malloc(sizeof(float) * (size_t) dim);
		for (int j = 0; j < dim; j++)
		{
			/* any half that is a number; the fourth vector is zero, which has no cosine */
			do
				halves[i][j] = i == 3 ? 0 : (uint16_t) check_random(&seed);
			while ((halves[i][j] & 0x7c00) == 0x7c00);
			v[i][j] = half_to_float(halves[i][j]);
		}
		memset(record, 0xa5, q.code_size);
		quant_encode(&q, v[i], record, NULL);
		records[i] = record;
		CHECK(memcmp(record + header, halves[i], sizeof(uint16_t) * (size_t) dim) == 0 &&
			  quant_record_problem(&q, record) == NULL, "record of %d halves", dim);
		quant_decode(&q, record, decoded, NULL);
		CHECK(memcmp(decoded, v[i], sizeof(float) * (size_t) dim) == 0, "decoded %d halves", dim);
		memcpy(record + header + 2 * ((size_t) dim - 1), &bad, sizeof(bad));
		CHECK(quant_record_problem(&q, record) != NULL, "infinity at %d", dim);
		memcpy(record + header + 2 * ((size_t) dim - 1), &halves[i][dim - 1], sizeof(bad));
	}
	for (int i = 0; i < NRECORDS; i++)
	{
		for (int j = 0; j < NRECORDS; j++)
			want[j] = metric_rank_f16(metric, halves[i], halves[j], dim);
		check_scores(&q, v[i], want);
	}
	for (int i = 0; i < NRECORDS; i++)
	{
		free(halves[i]);
		free(v[i]);
	}
	free(decoded);
}

static void
check_sparse(Metric metric, int dim, int most)
{
	Quantizer	q;
	SparseElements v[NRECORDS];
	double		want[NRECORDS];

	quant_init(&q, QUANT_SPARSE, metric, dim, NULL, 0);
	CHECK(quant_sized(QUANT_SPARSE) && quant_exact(QUANT_SPARSE), "sparse");
	for (int i = 0; i < NRECORDS; i++)
	{
		/* none at all, all there may be, and between */
		int			n = i == 0 ? 0 : i == 1 ? most : (int) (check_random(&seed) % (uint64_t) (most + 1));
		int32_t    *indices = malloc(sizeof(int32_t) * (size_t) n + 1);
		float	   *values = malloc(sizeof(float) * (size_t) n + 1);
		int32_t		stride = n > 0 ? dim / n : 1;
		size_t		size = 8 + (size_t) n * 8;
		uint8_t    *record = guard_at(&guards[i], size);

		for (int j = 0; j < n; j++)
		{
			indices[j] = j * stride + (int32_t) (check_random(&seed) % (uint64_t) stride);
			values[j] = check_uniform(&seed, 0.1f, 1) * (check_random(&seed) % 2 == 0 ? 1 : -1);
		}
		v[i] = (SparseElements) {indices, values, n};
		quant_encode(&q, &v[i], record, NULL);
		records[i] = record;
		CHECK(size <= q.code_size && quant_record_size(&q, record) == size && quant_record_sound(&q, record, size) &&
			  quant_record_problem(&q, record) == NULL, "record of %d elements", n);
		CHECK(!quant_record_sound(&q, record, size - 4) && !quant_record_sound(&q, record, 4), "cut off");
		if (n > 1)
		{
			uint32_t	count = (uint32_t) n;
			uint32_t	huge = UINT32_MAX;
			int32_t		same = indices[0];
			float		zero = 0;

			memcpy(record, &huge, sizeof(huge));
			CHECK(!quant_record_sound(&q, record, size), "impossible number of elements");
			memcpy(record, &count, sizeof(count));
			memcpy(record + 8 + 4, &same, sizeof(same));
			CHECK(quant_record_problem(&q, record) != NULL, "an index twice");
			memcpy(record + 8 + 4, &indices[1], sizeof(same));
			memcpy(record + size - 4, &zero, sizeof(zero));
			CHECK(quant_record_problem(&q, record) != NULL, "a zero");
			memcpy(record + size - 4, &values[n - 1], sizeof(zero));
		}
	}
	for (int i = 0; i < NRECORDS; i++)
	{
		for (int j = 0; j < NRECORDS; j++)
			want[j] = metric_sparse_rank(metric, v[i], v[j]);
		check_scores(&q, &v[i], want);
	}
	for (int i = 0; i < NRECORDS; i++)
	{
		free((void *) v[i].indices);
		free((void *) v[i].values);
	}
}

int
main(void)
{
	static const int lengths[] = {1, 7, 8, 9, 31, 32, 33, 64, 500, 1023, 64000, 100001};

	for (int i = 0; i < NRECORDS; i++)
		guards[i] = guard_new(8 + 8 * QUANT_SPARSE_MAX);
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		if (!simd_force((SimdLevel) level))
		{
			CHECK_SKIP("level %d is not to be had here", level);
			continue;
		}
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		{
			check_bits(METRIC_HAMMING, lengths[i]);
			check_bits(METRIC_JACCARD, lengths[i]);
			for (int m = 0; m < METRIC_VECTOR_COUNT && lengths[i] <= 16000; m++)
				check_half((Metric) m, lengths[i]);
		}
	}
	simd_use_best();
	for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
	{
		check_sparse((Metric) m, 1, 1);
		check_sparse((Metric) m, 10, 10);
		check_sparse((Metric) m, 30000, 200);
		check_sparse((Metric) m, 1000000000, QUANT_SPARSE_MAX);
	}
	CHECK(quant_code_size(QUANT_BITS, METRIC_L2, 8) == 0 && quant_code_size(QUANT_SPARSE, METRIC_HAMMING, 8) == 0 &&
		  quant_code_size(QUANT_NONE, METRIC_JACCARD, 8) == 0, "metrics that are not served");
	return check_done("test_quant_exact");
}
