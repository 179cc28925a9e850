/*
 * simd_baseline.c
 *		Not there yet: the level is reported as absent.
 */
#include "simd/simd_tables.h"

const SimdKernels *const simd_table_baseline = NULL;
