/*
 * quant_none.c
 *		No code at all: the values themselves, as float32 or float16, so that
 *		estimates are exact.
 *
 * For cosine the squared norm stands before them, as the kernels computed
 * it when the record was written; scoring is one dot product then.  Queries
 * are floats in either case: the kernels widen halves as they load them, and
 * give the bits that a pair of halves gives.
 */
#include <math.h>

#include "quant/quant_private.h"

static inline size_t
header_bytes(Metric metric)
{
	return metric == METRIC_COSINE ? sizeof(float) : 0;
}

static size_t
none_code_size(Metric metric, int dim)
{
	return header_bytes(metric) + sizeof(float) * (size_t) dim;
}

static size_t
half_code_size(Metric metric, int dim)
{
	return header_bytes(metric) + quant_round_up(sizeof(uint16_t) * (size_t) dim, 4);
}

static size_t
none_payload_size(int dim)
{
	return sizeof(float) * (size_t) dim + SIMD_SLACK;
}

static size_t
none_scratch_size(int dim)
{
	(void) dim;
	return 0;
}

static void
none_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	(void) scratch;
	if (q->metric == METRIC_COSINE)
	{
		float		sums[3];

		simd_get()->cosine_f32(v, v, q->dim, sums);
		memcpy(code, &sums[1], sizeof(float));
	}
	memcpy(code + header_bytes(q->metric), v, sizeof(float) * (size_t) q->dim);
}

/* What no half can hold becomes infinite: the caller's vectors fit. */
static void
half_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	const SimdKernels *simd = simd_get();
	uint16_t   *halves = (uint16_t *) (void *) (code + header_bytes(q->metric));

	(void) scratch;
	simd->f32_to_f16(v, halves, q->dim);
	if (q->dim % 2 != 0)
		halves[q->dim] = 0;
	if (q->metric == METRIC_COSINE)
	{
		float		sums[3];

		simd->cosine_f16(halves, halves, q->dim, sums);
		memcpy(code, &sums[1], sizeof(float));
	}
}

static void
none_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	(void) scratch;
	memcpy(query->payload, v, sizeof(float) * (size_t) q->dim);
	if (q->metric == METRIC_COSINE)
	{
		float		sums[3];

		query->simd->cosine_f32(v, v, q->dim, sums);
		query->u.norm_sq = sums[1];
	}
}

static void
none_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	memcpy(query->payload, code + header_bytes(q->metric), sizeof(float) * (size_t) q->dim);
	if (q->metric == METRIC_COSINE)
		memcpy(&query->u.norm_sq, code, sizeof(float));
}

static void
half_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	query->simd->f16_to_f32((const uint16_t *) (const void *) (code + header_bytes(q->metric)),
							(float *) (void *) query->payload, q->dim);
	if (q->metric == METRIC_COSINE)
		memcpy(&query->u.norm_sq, code, sizeof(float));
}

/*
 * The kernels' results for n records, 1 .. QUANT_BATCH: as the metric wants
 * them, but for the inner product's sign and cosine's norms.
 */
#define RAW_SCORES(function, element, suffix) \
static void \
function(const QuantQuery *query, const uint8_t *const *records, int n, float *out) \
{ \
	const SimdKernels *simd = query->simd; \
	const float *q = (const float *) (const void *) query->payload; \
	const element *vecs[QUANT_BATCH]; \
	size_t		header = header_bytes(query->metric); \
	int			filled = 0; \
\
	do \
	{ \
		vecs[filled] = (const element *) (const void *) (records[filled] + header); \
	} while (++filled < n); \
	if (query->metric == METRIC_L2) \
		simd->l2sq_##suffix##_batch(q, vecs, n, query->dim, out); \
	else if (query->metric == METRIC_L1) \
		simd->l1_##suffix##_batch(q, vecs, n, query->dim, out); \
	else \
		simd->dot_##suffix##_batch(q, vecs, n, query->dim, out); \
}

RAW_SCORES(none_raw, float, f32)
RAW_SCORES(half_raw, uint16_t, f16)

/* The operator's distance from a raw score. */
static inline double
finish_score(const QuantQuery *query, const uint8_t *record, float raw)
{
	float		norm_sq;

	if (query->metric == METRIC_IP)
		return -(double) raw;
	if (query->metric != METRIC_COSINE)
		return raw;
	memcpy(&norm_sq, record, sizeof(float));
	return metric_cosine_rank(raw, query->u.norm_sq, norm_sq);
}

static void
finish_scores(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	/* clamped: sums that overflowed, and cosine of a zero vector */
	for (int i = 0; i < n; i++)
		dist[i] = quant_clamp_value(finish_score(query, records[i], dist[i]));
	if (err != NULL)
		memset(err, 0, sizeof(float) * (size_t) n);
}

static void
none_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	none_raw(query, records, n, dist);
	finish_scores(query, records, n, dist, err);
}

static void
half_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	half_raw(query, records, n, dist);
	finish_scores(query, records, n, dist, err);
}

/* The kernels give one pair the bits that they give it in a batch. */
static double
none_exact(const QuantQuery *query, const uint8_t *record)
{
	float		raw;

	none_raw(query, &record, 1, &raw);
	return finish_score(query, record, raw);
}

static double
half_exact(const QuantQuery *query, const uint8_t *record)
{
	float		raw;

	half_raw(query, &record, 1, &raw);
	return finish_score(query, record, raw);
}

static void
none_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	(void) scratch;
	memcpy(v, code + header_bytes(q->metric), sizeof(float) * (size_t) q->dim);
}

static void
half_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	(void) scratch;
	simd_get()->f16_to_f32((const uint16_t *) (const void *) (code + header_bytes(q->metric)), v, q->dim);
}

static const char *
norm_problem(const Quantizer *q, const uint8_t *record)
{
	float		norm_sq;

	if (q->metric != METRIC_COSINE)
		return NULL;
	/* may have overflowed, which is no damage */
	memcpy(&norm_sq, record, sizeof(float));
	return isnan(norm_sq) || norm_sq < 0 ? "the norm is not possible" : NULL;
}

static const char *
none_problem(const Quantizer *q, const uint8_t *record)
{
	const char *problem = norm_problem(q, record);

	if (problem != NULL)
		return problem;
	return quant_floats_finite(record + header_bytes(q->metric), q->dim) ? NULL : "a value is not finite";
}

static const char *
half_problem(const Quantizer *q, const uint8_t *record)
{
	const char *problem = norm_problem(q, record);
	const uint8_t *halves = record + header_bytes(q->metric);

	if (problem != NULL)
		return problem;
	for (int i = 0; i < q->dim; i++)
	{
		uint16_t	half;

		memcpy(&half, halves + sizeof(half) * (size_t) i, sizeof(half));
		if ((half & 0x7c00) == 0x7c00)
			return "a value is not finite";
	}
	if (q->dim % 2 != 0 && (halves[2 * q->dim] != 0 || halves[2 * q->dim + 1] != 0))
		return "bytes behind the last value are set";
	return NULL;
}

const QuantMethods quant_none_methods = {
	.code_size = none_code_size,
	.payload_size = none_payload_size,
	.scratch_size = none_scratch_size,
	.wants_centre = false,
	.problem = none_problem,
	.encode = none_encode,
	.prepare = none_prepare,
	.prepare_code = none_prepare_code,
	.score = none_score,
	.exact = none_exact,
	.decode = none_decode,
};

const QuantMethods quant_half_methods = {
	.code_size = half_code_size,
	.payload_size = none_payload_size,
	.scratch_size = none_scratch_size,
	.wants_centre = false,
	.problem = half_problem,
	.encode = half_encode,
	.prepare = none_prepare,
	.prepare_code = half_prepare_code,
	.score = half_score,
	.exact = half_exact,
	.decode = half_decode,
};
