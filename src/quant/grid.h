/*
 * grid.h
 *		A rotated vector on a grid of 1, 4 or 8 bits a dimension: what
 *		quant_grid.c and listcode_rabitq.c share.
 *
 * A code is a point x = u - middle, u of 1, 4 or 8 bits, whose step is chosen
 * per vector such that x points as nearly as possible along the vector.  All
 * sums run in an order that the source fixes: a code must not depend on the
 * machine or level that wrote it.
 */
#ifndef VECIDX_GRID_H
#define VECIDX_GRID_H

#include "quant/quant_private.h"

/* x = u - middle */
#define U1_MIDDLE 0.5f
#define U4_MIDDLE 7.5f
#define U8_MIDDLE 128

/* The largest integers that a query is rounded to. */
#define QUERY_MAX_S8 127
#define QUERY_MAX_S16 2047

/* A vector less its centre on its way into a code or a query. */
typedef struct Rotated
{
	float	   *values;			/* scaled by 1 / unit */
	double		unit;			/* a power of two, 1 for all but extreme inputs */
	double		norm_sq;		/* |values|^2 */
} Rotated;

extern double grid_dot(const float *a, const float *b, int n);
extern float grid_max_abs(const float *x, int n);

/* Write v with length 1, or zeros for a zero vector; out may be v. */
extern void grid_normalise(const float *v, int dim, float *out);

/* Less the centre (NULL: zero); out (dim floats, not v) becomes r->values.  The second rotates it too. */
extern void grid_subtract(const float *v, const float *centre, int dim, float *out, Rotated *r);
extern void grid_rotate(const float *v, const float *centre, uint64_t seed, int dim, float *out, Rotated *r);

/* The middle of the grid of so many bits. */
extern float grid_middle(int bits);

/*
 * Codes of r, dim bytes; returns <x, r->values>, 0 for a zero vector.  The
 * codes of a vector of no length point anywhere: its factor is 0.
 */
extern double grid_encode(int bits, const Rotated *r, int dim, uint8_t *u);

/* <x,y> for x = u - middle */
extern double grid_dot_code(const uint8_t *u, float middle, const float *y, int n);

/*
 * Length of x, and of its part at right angles to the vector, over the
 * square root of dim.
 */
extern double grid_chi(int bits, int dim);
extern double grid_kappa(int bits, int dim);

/*
 * Round a query to integers, for dot_u4s8_batch (lo and hi as it has them) and
 * dot_u8s16_batch.  *sum is their sum; returns what an integer stands for in
 * r->values.
 */
extern double grid_query_s8(const Rotated *r, int dim, int8_t *query, int32_t *sum);
extern double grid_query_s16(const Rotated *r, int dim, int16_t *query, int32_t *sum);

/* Bytes of the former. */
static inline size_t
grid_query_s8_size(int dim)
{
	return 2 * quant_round_up((size_t) quant_nibble_bytes(dim), 64);
}

static inline size_t
grid_query_s16_size(int dim)
{
	return sizeof(int16_t) * quant_round_up((size_t) dim, 64);
}

#endif							/* VECIDX_GRID_H */
