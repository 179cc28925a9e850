/*
 * half.h
 *		IEEE 754 half precision (binary16), one value at a time, in plain C.
 *
 * A half is kept as its 16 bits: no compiler needs to know the type.  Runs of
 * them are the kernels' business (simd.h), which give the same bits.  Not for
 * the per-ISA files, which share no functions.
 */
#ifndef VECIDX_HALF_H
#define VECIDX_HALF_H

#include <stdint.h>
#include <string.h>

/* bits of a float: infinity, 2^16 (the first power that no half reaches), 2^-14 (the smallest normal half) */
#define HALF_F32_INFINITY 0x7f800000u
#define HALF_F32_TOO_LARGE 0x47800000u
#define HALF_F32_NORMAL 0x38800000u

/* by how much the exponents of a float and of a half are biased apart, in place */
#define HALF_F32_REBIAS (112u << 23)

/* Exact.  A signalling NaN becomes quiet and keeps its payload. */
static inline float
half_to_float(uint16_t half)
{
	uint32_t	magnitude = (uint32_t) (half & 0x7fff) << 13;
	uint32_t	bits;
	float		value;

	/* read as a float this is 2^112 too small, subnormals too: the product is exact */
	memcpy(&value, &magnitude, sizeof(value));
	value *= 0x1p112f;
	memcpy(&bits, &value, sizeof(bits));
	bits |= magnitude >= (0x7c00u << 13) ? HALF_F32_INFINITY : 0;
	bits |= magnitude > (0x7c00u << 13) ? 0x00400000u : 0;
	bits |= (uint32_t) (half & 0x8000) << 16;
	memcpy(&value, &bits, sizeof(value));
	return value;
}

/* Integers in the order of the halves that are numbers: 0 and -0 are one, so two are equal where the halves are. */
static inline int
half_order(uint16_t half)
{
	return half & 0x8000 ? -(half & 0x7fff) : half;
}

/*
 * To the nearest half, ties to even.  From 65520 on that is infinity; NaN
 * stays NaN, quiet, with the upper bits of its payload.
 */
static inline uint16_t
half_from_float(float value)
{
	uint32_t	bits;
	uint32_t	magnitude;
	uint32_t	half;

	memcpy(&bits, &value, sizeof(bits));
	magnitude = bits & 0x7fffffff;
	if (magnitude > HALF_F32_INFINITY)
		half = 0x7e00 | ((magnitude >> 13) & 0x3ff);
	else if (magnitude >= HALF_F32_TOO_LARGE)
		half = 0x7c00;
	else if (magnitude >= HALF_F32_NORMAL)
		/* half a unit of the last place less one, and one more where the place is odd */
		half = (magnitude - HALF_F32_REBIAS + 0xfff + ((magnitude >> 13) & 1)) >> 13;
	else
	{
		/* the last place of 0.5 is a subnormal half's: adding rounds */
		float		sum;

		memcpy(&sum, &magnitude, sizeof(sum));
		sum += 0.5f;
		memcpy(&half, &sum, sizeof(half));
		half -= 0x3f000000;
	}
	return (uint16_t) (half | ((bits >> 16) & 0x8000));
}

#endif							/* VECIDX_HALF_H */
