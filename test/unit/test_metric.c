/*
 * test_metric.c
 *		Rank distances: values, ends of the range, agreement with kernels.
 */
#include "check.h"

#include "dist/metric.h"
#include "reference.h"
#include "simd/half.h"

#include <math.h>

#define MAX_N 1536

static uint64_t seed = 7;

/* (Bounds of the sums themselves are test_simd's matter.) */
static void
check_values(void)
{
	static float a[MAX_N];
	static float b[MAX_N];

	for (int n = 1; n <= MAX_N; n = n < 40 ? n + 1 : n * 2)
	{
		for (int i = 0; i < n; i++)
		{
			a[i] = check_uniform(&seed, -1, 1);
			b[i] = check_uniform(&seed, -1, 1);
		}
		for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
		{
			Metric		metric = (Metric) m;
			const char *name = metric_info(metric)->name;
			double		got = metric_rank(metric, a, b, n);
			double		want = want_rank(metric, a, b, n);

			CHECK(fabs(got - want) <= 1e-4 * sqrt(n), "%s n=%d: %.9g, not %.9g", name, n, got, want);
			CHECK(got == metric_rank(metric, b, a, n), "%s n=%d: not symmetric", name, n);
			CHECK(metric_shown(metric, got) == (metric == METRIC_L2 ? sqrt(got) : got), "%s n=%d: shown", name, n);
		}
		CHECK(metric_rank(METRIC_L2, a, a, n) == 0, "l2 n=%d to itself", n);
		CHECK(metric_rank(METRIC_L1, a, a, n) == 0, "l1 n=%d to itself", n);
		CHECK(metric_rank(METRIC_COSINE, a, a, n) == 0, "cosine n=%d to itself", n);
		for (int i = 0; i < n; i++)
			b[i] = -a[i];
		CHECK(metric_rank(METRIC_COSINE, a, b, n) == 2, "cosine n=%d to its opposite", n);

		/* parallel: rounding must not go below 0 */
		for (int i = 0; i < n; i++)
			b[i] = a[i] * 3.7f;
		CHECK(metric_rank(METRIC_COSINE, a, b, n) >= 0 && metric_rank(METRIC_COSINE, a, b, n) < 1e-5,
			  "cosine n=%d parallel: %g", n, metric_rank(METRIC_COSINE, a, b, n));
	}
}

static void
check_edges(void)
{
	const float zero[2] = {0, 0};
	const float one[2] = {1, 0};
	const float other[2] = {0, 1};
	const float tiny[2] = {1e-30f, 0};	/* its square is 0 in float */
	const float huge[2] = {3e38f, 0};
	const float minus_huge[2] = {-3e38f, 0};
	const float big[2] = {1e18f, 0};
	const float nan[2] = {NAN, 0};

	CHECK(metric_rank(METRIC_COSINE, one, other, 2) == 1, "right angle");
	CHECK(isnan(metric_rank(METRIC_COSINE, one, zero, 2)), "no angle to zero");
	CHECK(isnan(metric_rank(METRIC_COSINE, zero, one, 2)), "no angle from zero");
	CHECK(isnan(metric_rank(METRIC_COSINE, zero, zero, 2)), "no angle between zeros");
	CHECK(isnan(metric_rank(METRIC_COSINE, tiny, huge, 2)), "nor where the norm vanished");
	CHECK(isnan(metric_rank(METRIC_COSINE, tiny, big, 2)), "nor where the norm vanished but the product did not");
	CHECK(metric_rank(METRIC_COSINE, big, big, 2) == 0, "norms whose product is no float");
	CHECK(isnan(metric_rank(METRIC_COSINE, one, nan, 2)), "NaN is not clamped away");
	CHECK(isnan(metric_rank(METRIC_L2, one, nan, 2)), "NaN stays");
	CHECK(isinf(metric_rank(METRIC_L2, huge, one, 2)), "overflow is infinite");
	CHECK(metric_rank(METRIC_L1, huge, minus_huge, 2) == (double) INFINITY, "overflow of a difference is infinite");
	CHECK(metric_rank(METRIC_IP, huge, huge, 2) == -(double) INFINITY, "overflow is infinite");
}

/* An index that holds floats and a sort of halves agree to the bit. */
static void
check_halves(void)
{
	static uint16_t a[MAX_N];
	static uint16_t b[MAX_N];
	static float fa[MAX_N];
	static float fb[MAX_N];

	for (int n = 1; n <= MAX_N; n = n < 40 ? n + 1 : n * 2)
	{
		for (int i = 0; i < n; i++)
		{
			a[i] = half_from_float(check_uniform(&seed, -1, 1));
			b[i] = half_from_float(check_uniform(&seed, -1, 1));
			fa[i] = half_to_float(a[i]);
			fb[i] = half_to_float(b[i]);
		}
		for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
		{
			double		got = metric_rank_f16((Metric) m, a, b, n);

			CHECK(got == metric_rank((Metric) m, fa, fb, n), "%s n=%d of halves: %.17g", metric_info((Metric) m)->name, n, got);
		}
		memset(b, 0, sizeof(b));
		CHECK(isnan(metric_rank_f16(METRIC_COSINE, a, b, n)), "no angle to zero, n=%d", n);
		b[n - 1] = 1;
		CHECK(!isnan(metric_rank_f16(METRIC_COSINE, a, b, n)), "the smallest half has a direction, n=%d", n);
	}
}

int
main(void)
{
	static const char *const names[METRIC_COUNT] = {"l2", "inner product", "cosine", "l1", "hamming", "jaccard"};

	for (int m = 0; m < METRIC_COUNT; m++)
	{
		const MetricInfo *info = metric_info((Metric) m);

		CHECK(info->metric == (Metric) m, "entry %d is %d", m, info->metric);
		CHECK(strcmp(info->name, names[m]) == 0, "entry %d is named %s", m, info->name);
		CHECK(info->zero_undefined == (m == METRIC_COSINE), "entry %d: zero", m);
	}

	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		if (!simd_force((SimdLevel) level))
		{
			CHECK_SKIP("level %d: not on this machine", level);
			continue;
		}
		check_values();
		check_edges();
		check_halves();
	}
	return check_done("test_metric");
}
