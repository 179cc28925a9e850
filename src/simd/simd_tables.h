/*
 * simd_tables.h
 *		The table each instance file exports, for simd_probe.c alone.
 *
 * An instance that its architecture cannot have exports NULL.  A table may
 * only be read after the processor is known to run its level.
 */
#ifndef VECIDX_SIMD_TABLES_H
#define VECIDX_SIMD_TABLES_H

#include "simd/simd.h"

extern const SimdKernels *const simd_table_scalar;
extern const SimdKernels *const simd_table_baseline;
extern const SimdKernels *const simd_table_avx2;
extern const SimdKernels *const simd_table_avx512;

#endif							/* VECIDX_SIMD_TABLES_H */
