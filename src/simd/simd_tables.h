/*
 * simd_tables.h
 *		What the instance files share with each other and with simd_probe.c.
 *
 * An instance that its architecture cannot have exports NULL.  A table's
 * kernels may only be called once the processor is known to run its level.
 */
#ifndef VECIDX_SIMD_TABLES_H
#define VECIDX_SIMD_TABLES_H

#include "simd/simd.h"

extern const SimdKernels *const simd_table_scalar;
extern const SimdKernels *const simd_table_baseline;
extern const SimdKernels *const simd_table_avx2;
extern const SimdKernels *const simd_table_avx512;

/* Bit kernels by VPOPCNTDQ, which not every AVX-512 processor has. */
extern const SimdBitKernels *const simd_bits_vpopcnt;

/* For primitives: inlined always, and not every instance needs them all. */
#define SIMD_INLINE static inline __attribute__((always_inline, unused))

/* Before a short loop of constant length over sums that live in registers. */
#if defined(__clang__)
#define SIMD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define SIMD_UNROLL _Pragma("GCC unroll 8")
#endif

/*
 * Index of the largest of n floats, a multiple of 16 up to SIMD_COLUMNS, the
 * first of equal ones.  Two loops that compilers turn into vectors.
 */
SIMD_INLINE uint8_t
simd_first_largest(const float *x, int n)
{
	float		lane[16];
	float		largest;
	int			first = SIMD_COLUMNS - 1;

	for (int j = 0; j < 16; j++)
		lane[j] = x[j];
	for (int i = 16; i < n; i += 16)
	{
		for (int j = 0; j < 16; j++)
			lane[j] = x[i + j] > lane[j] ? x[i + j] : lane[j];
	}
	largest = lane[0];
	for (int j = 1; j < 16; j++)
		largest = lane[j] > largest ? lane[j] : largest;
	for (int i = 0; i < n; i++)
	{
		int			at = x[i] == largest ? i : SIMD_COLUMNS - 1;

		first = at < first ? at : first;
	}
	return (uint8_t) (first < n ? first : 0);
}

#endif							/* VECIDX_SIMD_TABLES_H */
