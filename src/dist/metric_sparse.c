/*
 * metric_sparse.c
 *		Rank distances of sparse vectors, by one merge.
 */
#include "dist/metric_sparse.h"

#include <math.h>

static inline double
term(Metric metric, double x, double y)
{
	if (metric == METRIC_L2)
		return (x - y) * (x - y);
	if (metric == METRIC_L1)
		return fabs(x - y);
	return x * y;
}

/*
 * Walk both in order of the index.  Whose turn it is cannot be predicted, so
 * the loop chooses values and steps without branching on it.  metric is a
 * constant wherever this is inlined; cosine stands for the product.
 */
static inline float
merge(Metric metric, SparseElements a, SparseElements b)
{
	double		sum = 0;
	int			i = 0;
	int			j = 0;

	while (i < a.n && j < b.n)
	{
		int32_t		at_a = a.indices[i];
		int32_t		at_b = b.indices[j];
		float		x = at_a <= at_b ? a.values[i] : 0;
		float		y = at_b <= at_a ? b.values[j] : 0;

		sum += term(metric, x, y);
		i += at_a <= at_b;
		j += at_b <= at_a;
	}
	if (metric == METRIC_L2 || metric == METRIC_L1)
	{
		for (; i < a.n; i++)
			sum += term(metric, a.values[i], 0);
		for (; j < b.n; j++)
			sum += term(metric, 0, b.values[j]);
	}
	return (float) sum;
}

static float
square(SparseElements a)
{
	double		sum = 0;

	for (int i = 0; i < a.n; i++)
		sum += (double) a.values[i] * a.values[i];
	return (float) sum;
}

double
metric_sparse_rank(Metric metric, SparseElements a, SparseElements b)
{
	switch (metric)
	{
		case METRIC_L2:
			return merge(METRIC_L2, a, b);
		case METRIC_IP:
			return -(double) merge(METRIC_IP, a, b);
		case METRIC_COSINE:
			return metric_cosine_rank(merge(METRIC_COSINE, a, b), square(a), square(b));
		case METRIC_L1:
			return merge(METRIC_L1, a, b);
	}
	return NAN;
}
