/*
 * rotation.h
 *		A random rotation of any dimension, from a 64-bit seed.
 *
 * The map is orthogonal up to float rounding and costs O(dim log dim);
 * nothing but the seed is stored.  The same seed, dimension and input give
 * the same output at every SIMD level, so codes do not depend on the machine
 * that wrote them.
 */
#ifndef VECIDX_ROTATION_H
#define VECIDX_ROTATION_H

#include "simd/simd.h"

/* Rotate x (dim floats, dim >= 1) in place; rotation_invert undoes it. */
extern void rotation_apply(const SimdKernels *simd, uint64_t seed, float *x, int dim);
extern void rotation_invert(const SimdKernels *simd, uint64_t seed, float *x, int dim);

#endif							/* VECIDX_ROTATION_H */
