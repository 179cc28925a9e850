/*
 * metric.h
 *		What a distance is: one table entry per metric.
 *
 * "Rank" distances are what indexes compare: cheaper than what SQL shows,
 * and in the same order.  L2: squared; inner product: negative; cosine:
 * 1 - cos; L1, Hamming and Jaccard: themselves.
 */
#ifndef VECIDX_METRIC_H
#define VECIDX_METRIC_H

#include "simd/simd.h"

/* On disk: do not renumber. */
typedef enum Metric
{
	METRIC_L2 = 0,
	METRIC_IP,
	METRIC_COSINE,
	METRIC_L1,
	METRIC_HAMMING,				/* these two of bit strings */
	METRIC_JACCARD
} Metric;

#define METRIC_COUNT 6
#define METRIC_VECTOR_COUNT 4	/* the first of them: of vectors */

typedef struct MetricInfo
{
	Metric		metric;
	const char *name;			/* "l2", "inner product", "cosine", "l1", "hamming", "jaccard" */
	bool		zero_undefined; /* a zero vector has no distance (cosine) */
} MetricInfo;

extern const MetricInfo *metric_info(Metric metric);

/*
 * Exact rank distance of two float vectors of n elements, in the arithmetic
 * that the SQL operator uses, so that an index and a sort agree on order.
 * Not finite where the inputs overflow float; NaN for cosine and a zero vector.
 */
extern double metric_rank(Metric metric, const float *a, const float *b, int n);

/* The same of half vectors (simd/half.h): to the bit what metric_rank() gives for them as floats. */
extern double metric_rank_f16(Metric metric, const uint16_t *a, const uint16_t *b, int n);

/*
 * Of two bit strings of nbytes bytes (METRIC_HAMMING, METRIC_JACCARD), as
 * the operators give it.  Jaccard: 1 - bits in both / bits in either; strings
 * that have no bit in common are 1 apart, also where neither has any.
 */
extern double metric_rank_bits(Metric metric, const uint8_t *a, const uint8_t *b, size_t nbytes);

/* The cosine rank distance from a dot product and the two squared norms. */
extern double metric_cosine_rank(float dot, float a_sq, float b_sq);

/* What SQL shows for a rank distance: sqrt for L2, the value itself otherwise. */
extern double metric_shown(Metric metric, double rank);

#endif							/* VECIDX_METRIC_H */
