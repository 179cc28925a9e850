/*
 * metric.c
 *		Exact rank distances, from the kernels.
 */
#include "dist/metric.h"

#include <math.h>

static const MetricInfo metrics[METRIC_COUNT] = {
	[METRIC_L2] = {METRIC_L2, "l2", false},
	[METRIC_IP] = {METRIC_IP, "inner product", false},
	[METRIC_COSINE] = {METRIC_COSINE, "cosine", true},
	[METRIC_L1] = {METRIC_L1, "l1", false},
	[METRIC_HAMMING] = {METRIC_HAMMING, "hamming", false},
	[METRIC_JACCARD] = {METRIC_JACCARD, "jaccard", false},
};

const MetricInfo *
metric_info(Metric metric)
{
	return &metrics[metric];
}

double
metric_cosine_rank(float dot, float a_sq, float b_sq)
{
	double		similarity;

	/* by name: a dot product of leftovers over an underflowed zero is no NaN */
	if (a_sq == 0 || b_sq == 0)
		return NAN;

	/* in double the product of two float norms neither overflows nor vanishes */
	similarity = dot / sqrt((double) a_sq * b_sq);

	/* rounding may step past the ends; both comparisons let NaN through */
	if (similarity > 1)
		similarity = 1;
	else if (similarity < -1)
		similarity = -1;
	return 1 - similarity;
}

/* One function for each element type that has kernels of pairs. */
#define METRIC_RANK(function, element, suffix) \
double \
function(Metric metric, const element *a, const element *b, int n) \
{ \
	const SimdKernels *simd = simd_get(); \
	float		sums[3]; \
\
	switch (metric) \
	{ \
		case METRIC_L2: \
			return simd->l2sq_##suffix(a, b, n); \
		case METRIC_IP: \
			return -(double) simd->dot_##suffix(a, b, n); \
		case METRIC_COSINE: \
			simd->cosine_##suffix(a, b, n, sums); \
			return metric_cosine_rank(sums[0], sums[1], sums[2]); \
		case METRIC_L1: \
			return simd->l1_##suffix(a, b, n); \
		case METRIC_HAMMING: \
		case METRIC_JACCARD: \
			break; \
	} \
	return NAN; \
}

METRIC_RANK(metric_rank, float, f32)
METRIC_RANK(metric_rank_f16, uint16_t, f16)

double
metric_rank_bits(Metric metric, const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	const SimdBitKernels *bits = &simd_get()->bits;
	uint64_t	counts[2];

	if (metric == METRIC_HAMMING)
		return (double) bits->hamming(a, b, nbytes);
	if (metric != METRIC_JACCARD)
		return NAN;
	bits->overlap(a, b, nbytes, counts);
	return counts[0] == 0 ? 1 : 1 - (double) counts[0] / (double) counts[1];
}

double
metric_shown(Metric metric, double rank)
{
	return metric == METRIC_L2 ? sqrt(rank) : rank;
}
