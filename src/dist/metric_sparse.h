/*
 * metric_sparse.h
 *		Rank distances of sparse vectors: those of metric.h, over the elements
 *		that are not zero.
 */
#ifndef VECIDX_METRIC_SPARSE_H
#define VECIDX_METRIC_SPARSE_H

#include "dist/metric.h"

/* n elements that are not zero: values[i] stands at indices[i], ascending. */
typedef struct SparseElements
{
	const int32_t *indices;
	const float *values;
	int			n;
} SparseElements;

/*
 * Exact rank distance.  Summed in double and given with the range of float:
 * infinite where the dense form overflows, NaN for cosine and a zero vector.
 * Symmetric to the bit.
 */
extern double metric_sparse_rank(Metric metric, SparseElements a, SparseElements b);

/* Squared norm, as cosine takes it. */
extern float metric_sparse_square(SparseElements a);

#endif							/* VECIDX_METRIC_SPARSE_H */
