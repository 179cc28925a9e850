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
#define SIMD_UNROLL_16 SIMD_UNROLL
#else
#define SIMD_UNROLL _Pragma("GCC unroll 8")
#define SIMD_UNROLL_16 _Pragma("GCC unroll 16")
#endif

#endif							/* VECIDX_SIMD_TABLES_H */
