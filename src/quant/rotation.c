/*
 * rotation.c
 *		Random signs and Walsh-Hadamard transforms in rounds.
 *
 * The structure follows the fast Johnson-Lindenstrauss literature (random
 * signs, then a Hadamard transform) and, for dimensions that are no power of
 * two, the overlapping transforms and half-against-half butterflies of the
 * RaBitQ library's rotator.  Two departures, both measured (README):
 * fresh signs before each of the two overlapping transforms, because without
 * them the second partly undoes the first; and both transforms in every
 * round, which then needs three rounds only.
 */
#include "quant/rotation.h"

#include <math.h>

#define ROTATION_ROUNDS 3

/* the largest power of two that is not above dim */
static int
transform_size(int dim)
{
	int			n = 1;

	while (n * 2 <= dim)
		n *= 2;
	return n;
}

/* 64 random bits: the splitmix64 finisher over a counter */
static uint64_t
sign_bits(uint64_t seed, uint64_t counter)
{
	uint64_t	z = seed + (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/*
 * Flip signs by the bits of stream "pass".  The table makes the test of a
 * bit one vector operation; SSE2 has no shift by a count per lane.
 */
static void
flip_signs(float *restrict x, int dim, uint64_t seed, int pass)
{
	static const uint32_t bit[32] = {
		1u << 0, 1u << 1, 1u << 2, 1u << 3, 1u << 4, 1u << 5, 1u << 6, 1u << 7,
		1u << 8, 1u << 9, 1u << 10, 1u << 11, 1u << 12, 1u << 13, 1u << 14, 1u << 15,
		1u << 16, 1u << 17, 1u << 18, 1u << 19, 1u << 20, 1u << 21, 1u << 22, 1u << 23,
		1u << 24, 1u << 25, 1u << 26, 1u << 27, 1u << 28, 1u << 29, 1u << 30, 1u << 31
	};
	uint64_t	counter = (uint64_t) pass << 32;
	int			i = 0;

	while (i < dim)
	{
		uint64_t	word = sign_bits(seed, counter++);

		for (int half = 0; half < 2 && i < dim; half++)
		{
			uint32_t	w = (uint32_t) (word >> (32 * half));

			if (dim - i >= 32)
			{
				for (int j = 0; j < 32; j++)
					x[i + j] = (w & bit[j]) ? -x[i + j] : x[i + j];
			}
			else
			{
				for (int j = 0; j < dim - i; j++)
					x[i + j] = (w & bit[j]) ? -x[i + j] : x[i + j];
			}
			i += 32;
		}
	}
}

/* orthonormal transform of n = 2^k elements; its own inverse */
static void
transform(const SimdKernels *simd, float *x, int n)
{
	float		scale = (float) (1.0 / sqrt((double) n));

	simd->fht_f32(x, n);
	for (int i = 0; i < n; i++)
		x[i] *= scale;
}

/* rotate each pair (lo[i], hi[i]) by 45 degrees, reflected: its own inverse */
static void
butterfly(float *restrict lo, float *restrict hi, int n)
{
	const float scale = 0.70710678118654752f;

	for (int i = 0; i < n; i++)
	{
		float		a = lo[i];
		float		b = hi[i];

		lo[i] = (a + b) * scale;
		hi[i] = (a - b) * scale;
	}
}

void
rotation_apply(const SimdKernels *simd, uint64_t seed, float *x, int dim)
{
	int			n = transform_size(dim);
	int			half = dim / 2;

	for (int round = 0; round < ROTATION_ROUNDS; round++)
	{
		flip_signs(x, dim, seed, 2 * round);
		transform(simd, x, n);
		if (n == dim)
			continue;
		flip_signs(x, dim, seed, 2 * round + 1);
		transform(simd, x + dim - n, n);
		butterfly(x, x + dim - half, half);
	}
}

void
rotation_invert(const SimdKernels *simd, uint64_t seed, float *x, int dim)
{
	int			n = transform_size(dim);
	int			half = dim / 2;

	for (int round = ROTATION_ROUNDS - 1; round >= 0; round--)
	{
		if (n != dim)
		{
			butterfly(x, x + dim - half, half);
			transform(simd, x + dim - n, n);
			flip_signs(x, dim, seed, 2 * round + 1);
		}
		transform(simd, x, n);
		flip_signs(x, dim, seed, 2 * round);
	}
}
