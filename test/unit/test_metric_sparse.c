/*
 * test_metric_sparse.c
 *		Distances of sparse vectors against those of the dense ones in double.
 */
#include "check.h"
#include "reference.h"

#include "dist/metric_sparse.h"

#include <float.h>

#define MAX_N 3000

static Guard index_guards[2];
static Guard value_guards[2];
static float dense[2][MAX_N];
static uint64_t seed = 3;

/* Each element is there with chance percent in 100; against the end of memory. */
static SparseElements
fill(int which, int n, int percent)
{
	SparseElements e = {NULL, NULL, 0};
	int32_t    *indices;
	float	   *values;

	for (int i = 0; i < n; i++)
	{
		bool		there = (int) (check_random(&seed) % 100) < percent;
		float		x = check_uniform(&seed, -1, 1);

		dense[which][i] = there && x != 0 ? x : 0;
		e.n += dense[which][i] != 0;
	}
	indices = guard_at(&index_guards[which], (size_t) e.n * sizeof(int32_t));
	values = guard_at(&value_guards[which], (size_t) e.n * sizeof(float));
	e.indices = indices;
	e.values = values;
	for (int i = 0; i < n; i++)
	{
		if (dense[which][i] != 0)
		{
			*indices++ = i;
			*values++ = dense[which][i];
		}
	}
	return e;
}

/* the sum is rounded once, to float; cosine is made of three such sums */
static bool
close_enough(double got, double want)
{
	return (isnan(got) && isnan(want)) || fabs(got - want) <= 4 * FLT_EPSILON * fmax(1, fabs(want));
}

int
main(void)
{
	static const int percents[] = {0, 1, 10, 50, 100};
	static const int lengths[] = {1, 2, 3, 10, 64, 100, 1000, MAX_N};

	for (int i = 0; i < 2; i++)
	{
		index_guards[i] = guard_new(MAX_N * sizeof(int32_t));
		value_guards[i] = guard_new(MAX_N * sizeof(float));
	}

	for (Metric metric = 0; metric < METRIC_VECTOR_COUNT; metric++)
	{
		for (int l = 0; l < 8; l++)
		{
			for (int p = 0; p < 25; p++)
			{
				int			n = lengths[l];
				SparseElements a = fill(0, n, percents[p / 5]);
				SparseElements b = fill(1, n, percents[p % 5]);
				double		want = want_rank(metric, dense[0], dense[1], n);
				double		got = metric_sparse_rank(metric, a, b);
				double		turned = metric_sparse_rank(metric, b, a);

				CHECK(close_enough(got, want), "%s n=%d, %d and %d elements: %.9g, not %.9g",
					  metric_info(metric)->name, n, a.n, b.n, got, want);
				CHECK((isnan(got) && isnan(turned)) || got == turned, "%s n=%d: not symmetric",
					  metric_info(metric)->name, n);
			}
		}
	}

	/* the range is float's, as in the dense form */
	{
		int32_t		at = 5;
		float		x = 3e38f;
		float		y = -3e38f;
		SparseElements a = {&at, &x, 1};
		SparseElements b = {&at, &y, 1};

		CHECK(metric_sparse_rank(METRIC_L2, a, b) == INFINITY, "l2 does not overflow");
		CHECK(metric_sparse_rank(METRIC_IP, a, b) == INFINITY, "inner product does not overflow");
		CHECK(metric_sparse_rank(METRIC_L1, a, b) == INFINITY, "l1 does not overflow");
		CHECK(isnan(metric_sparse_rank(METRIC_COSINE, a, b)), "cosine of infinite norms is a number");
	}
	return check_done("test_metric_sparse");
}
