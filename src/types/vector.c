/*
 * vector.c
 *		The type vector: elements of float4.
 */
#include "types/vectors.h"

#include "port/pg_bswap.h"

#define VT(name) vector_##name
#define VT_NAME "vector"
#define VT_VALUE Vector
#define VT_GETARG(n) PG_GETARG_VECTOR_P(n)
#define VT_MAX_DIM VECTOR_MAX_DIM
#define VT_SIZE(dim) VECTOR_SIZE(dim)
#define VT_ELEM float4
#define VT_TO_FLOAT(e) (e)
#define VT_FROM_FLOAT(f) (f)
#define VT_TO_FLOATS(x, floats, n) memcpy(floats, x, sizeof(float4) * (n))
#define VT_FROM_FLOATS(floats, x, n) (memcpy(x, floats, sizeof(float4) * (n)), false)
#define VT_ORDER(e) (e)
#define VT_IS_FLOAT 1
#define VT_BITS uint32
#define VT_EXPONENT 0x7f800000
#define VT_HTON(bits) pg_hton32(bits)
#define VT_RANK(metric, a, b) metric_rank(metric, (a)->x, (b)->x, (a)->dim)

#include "types/vectype_impl.h"
