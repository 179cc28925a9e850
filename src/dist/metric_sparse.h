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

/*
 * A vector made ready to be compared with many: its elements in a hash table,
 * behind a bitmap that most of the other's elements do not pass.  What it
 * points into is the caller's memory, sparse_table_size() bytes aligned for
 * uint64_t.
 */
typedef struct SparseTable
{
	uint64_t   *bitmap;
	int32_t    *indices;		/* -1: nothing there */
	float	   *values;
	int			bitmap_shift;	/* from a 32-bit hash to a bit */
	int			table_shift;	/* and to a place in the table */
	uint32_t	mask;			/* of places in the table */
	double		square;			/* sum of squares */
	double		absolute;		/* sum of absolute values */
	float		norm_sq;		/* metric_sparse_square() */
} SparseTable;

extern size_t sparse_table_size(int n);
extern void sparse_table_fill(SparseTable *table, SparseElements a, void *memory);

/*
 * The rank distance to a vector, of which b_sq is the squared norm.  What
 * metric_sparse_rank() gives but for the order of summation: in L2 and L1 the
 * error is some 1e-16 of the norms rather than of the distance.
 */
extern double sparse_table_rank(Metric metric, const SparseTable *table, SparseElements b, float b_sq);

/* Squared norm, as cosine takes it. */
extern float metric_sparse_square(SparseElements a);

#endif							/* VECIDX_METRIC_SPARSE_H */
