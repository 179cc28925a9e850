/*
 * reference.h
 *		Rank distances in double precision, element by element.
 */
#ifndef VECIDX_REFERENCE_H
#define VECIDX_REFERENCE_H

#include <math.h>

#include "dist/metric.h"

static inline double
want_rank(Metric metric, const float *a, const float *b, int n)
{
	double		l2 = 0;
	double		l1 = 0;
	double		ab = 0;
	double		aa = 0;
	double		bb = 0;

	for (int i = 0; i < n; i++)
	{
		double		d = (double) a[i] - b[i];

		l2 += d * d;
		l1 += fabs(d);
		ab += (double) a[i] * b[i];
		aa += (double) a[i] * a[i];
		bb += (double) b[i] * b[i];
	}
	switch (metric)
	{
		case METRIC_L2:
			return l2;
		case METRIC_IP:
			return -ab;
		case METRIC_COSINE:
			return 1 - ab / sqrt(aa * bb);
		case METRIC_L1:
			return l1;
		case METRIC_HAMMING:
		case METRIC_JACCARD:
			break;
	}
	return NAN;
}

#endif							/* VECIDX_REFERENCE_H */
