/*
 * simd_avx512.c
 *		Not there yet: the level is reported as absent.
 */
#include "simd/simd_tables.h"

const SimdKernels *const simd_table_avx512 = NULL;
