/*
 * quant_none.c
 *		No code at all: the float32 values, so that estimates are exact.
 *
 * For cosine the squared norm stands before them, as the kernels computed
 * it when the record was written; scoring is one dot product then.
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
none_score(const QuantQuery *query, const uint8_t *const *records, int n,
		   float *dist, float *err)
{
	const float *q = (const float *) (const void *) query->payload;
	const float *vecs[QUANT_BATCH];
	size_t		header = header_bytes(query->metric);

	int			filled = 0;

	do
	{
		vecs[filled] = (const float *) (const void *) (records[filled] + header);
	} while (++filled < n);

	switch (query->metric)
	{
		case METRIC_L2:
			query->simd->l2sq_f32_batch(q, vecs, n, query->dim, dist);
			break;
		case METRIC_IP:
			query->simd->dot_f32_batch(q, vecs, n, query->dim, dist);
			for (int i = 0; i < n; i++)
				dist[i] = -dist[i];
			break;
		case METRIC_COSINE:
			query->simd->dot_f32_batch(q, vecs, n, query->dim, dist);
			for (int i = 0; i < n; i++)
			{
				float		norm_sq;

				memcpy(&norm_sq, records[i], sizeof(float));
				dist[i] = (float) metric_cosine_rank(dist[i], query->u.norm_sq, norm_sq);
			}
			break;
		case METRIC_L1:
			query->simd->l1_f32_batch(q, vecs, n, query->dim, dist);
			break;
		case METRIC_HAMMING:
		case METRIC_JACCARD:
			break;
	}

	/* sums that overflowed, and cosine of a zero vector */
	for (int i = 0; i < n; i++)
		dist[i] = quant_clamp_value(dist[i]);
	if (err != NULL)
		memset(err, 0, sizeof(float) * (size_t) n);
}

/* The kernels give one pair the bits that they give it in a batch. */
static double
none_exact(const QuantQuery *query, const uint8_t *record)
{
	const float *q = (const float *) (const void *) query->payload;
	const float *v = (const float *) (const void *) (record + header_bytes(query->metric));
	float		norm_sq;

	if (query->metric != METRIC_COSINE)
		return metric_rank(query->metric, q, v, query->dim);
	memcpy(&norm_sq, record, sizeof(float));
	return metric_cosine_rank(query->simd->dot_f32(q, v, query->dim), query->u.norm_sq, norm_sq);
}

static void
none_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	(void) scratch;
	memcpy(v, code + header_bytes(q->metric), sizeof(float) * (size_t) q->dim);
}

static const char *
none_problem(const Quantizer *q, const uint8_t *record)
{
	float		norm_sq;

	if (q->metric == METRIC_COSINE)
	{
		/* may have overflowed, which is no damage */
		memcpy(&norm_sq, record, sizeof(float));
		if (isnan(norm_sq) || norm_sq < 0)
			return "the norm is not possible";
	}
	return quant_floats_finite(record + header_bytes(q->metric), q->dim) ? NULL : "a value is not finite";
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
