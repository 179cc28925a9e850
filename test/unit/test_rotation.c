/*
 * test_rotation.c
 *		The random rotation: orthogonal, undone by its inverse, the same at
 *		every level, and mixing well enough that no input stays special.
 */
#include "check.h"

#include <math.h>

#include "quant/rotation.h"

#define MAX_DIM 16000

static uint64_t seed = 11;

static double
dot(const float *a, const float *b, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double) a[i] * b[i];
	return sum;
}

static void
check_orthogonal(const SimdKernels *simd, int dim)
{
	static float a[MAX_DIM];
	static float b[MAX_DIM];
	static float ra[MAX_DIM];
	static float rb[MAX_DIM];
	static float plain[MAX_DIM];
	size_t		bytes = sizeof(float) * (size_t) dim;
	double		aa;
	double		bb;
	double		worst = 0;

	for (int i = 0; i < dim; i++)
	{
		a[i] = check_uniform(&seed, -1, 1);
		b[i] = check_uniform(&seed, -1, 3);
	}
	memcpy(ra, a, bytes);
	memcpy(rb, b, bytes);
	memcpy(plain, a, bytes);
	rotation_apply(simd, 5, ra, dim);
	rotation_apply(simd, 5, rb, dim);

	aa = dot(a, a, dim);
	bb = dot(b, b, dim);
	CHECK(fabs(dot(ra, ra, dim) - aa) <= 1e-5 * aa, "%s, dim %d: norm", simd->name, dim);
	CHECK(fabs(dot(ra, rb, dim) - dot(a, b, dim)) <= 1e-5 * sqrt(aa * bb),
		  "%s, dim %d: inner product", simd->name, dim);

	rotation_apply(simd_kernels_for(SIMD_SCALAR), 5, plain, dim);
	CHECK(memcmp(plain, ra, bytes) == 0, "%s, dim %d: not what the plain kernels give", simd->name, dim);

	rotation_invert(simd, 5, ra, dim);
	for (int i = 0; i < dim; i++)
		worst = fmax(worst, fabs((double) ra[i] - a[i]));
	CHECK(worst < 1e-5, "%s, dim %d: inverse is off by %g", simd->name, dim, worst);

	if (dim >= 16)
	{
		memcpy(rb, a, bytes);
		rotation_apply(simd, 6, rb, dim);
		rotation_apply(simd, 5, ra, dim);
		CHECK(memcmp(ra, rb, bytes) != 0, "dim %d: the seed changes nothing", dim);
	}
}

/*
 * What comes of one axis, and of the constant vector, over many seeds: the
 * fourth moment is that of a random direction, 3 dim / (dim + 2), and no
 * output coordinate gets more than its share of the energy.
 */
static void
check_mixing(int dim)
{
	enum
	{
		SEEDS = 400,
		INPUTS = 5
	};
	static float x[MAX_DIM];
	static double energy[MAX_DIM];
	double		want = 3.0 * dim / (dim + 2);

	for (int input = 0; input < INPUTS; input++)
	{
		double		fourth = 0;
		double		most = 0;
		double		least = 1e30;

		memset(energy, 0, sizeof(energy));
		for (int s = 0; s < SEEDS; s++)
		{
			memset(x, 0, sizeof(x));
			if (input < INPUTS - 1)
				x[(dim - 1) * input / (INPUTS - 2)] = 1;
			else
			{
				for (int i = 0; i < dim; i++)
					x[i] = (float) (1 / sqrt((double) dim));
			}
			rotation_apply(simd_get(), 1000 + (uint64_t) s, x, dim);
			for (int i = 0; i < dim; i++)
			{
				double		sq = (double) x[i] * x[i] * dim;

				fourth += sq * sq;
				energy[i] += sq;
			}
		}
		fourth /= (double) SEEDS * dim;
		for (int i = 0; i < dim; i++)
		{
			most = fmax(most, energy[i] / SEEDS);
			least = fmin(least, energy[i] / SEEDS);
		}
		CHECK(fabs(fourth - want) < 0.15 * want, "dim %d, input %d: fourth moment %.3f, want %.3f",
			  dim, input, fourth, want);
		/* a mean of 400 squared Gaussians has a standard deviation of 0.07 */
		CHECK(most < 1.6 && least > 0.55, "dim %d, input %d: energy from %.2f to %.2f",
			  dim, input, least, most);
	}
}

int
main(void)
{
	/* powers of two, their neighbours, and what lies farthest from them */
	static const int mixed[] = {32, 33, 48, 63, 64, 65, 96, 100, 127, 128, 129, 200, 255, 300, 384, 511, 768, 1000, 1536};

	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *simd = simd_kernels_for((SimdLevel) level);

		if (simd == NULL)
		{
			CHECK_SKIP("level %d is not to be had here", level);
			continue;
		}
		for (int dim = 1; dim <= 130; dim++)
			check_orthogonal(simd, dim);
		check_orthogonal(simd, 768);
		check_orthogonal(simd, 1000);
		check_orthogonal(simd, 1536);
		check_orthogonal(simd, 8191);
		check_orthogonal(simd, 16000);
	}
	for (size_t i = 0; i < sizeof(mixed) / sizeof(mixed[0]); i++)
		check_mixing(mixed[i]);
	return check_done("test_rotation");
}
