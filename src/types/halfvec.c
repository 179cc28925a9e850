/*
 * halfvec.c
 *		The type halfvec: elements of half precision, computed with as float4.
 */
#include "types/vectors.h"

#include "port/pg_bswap.h"
#include "simd/half.h"

#define VT(name) halfvec_##name
#define VT_NAME "halfvec"
#define VT_VALUE HalfVector
#define VT_GETARG(n) PG_GETARG_HALFVEC_P(n)
#define VT_MAX_DIM HALFVEC_MAX_DIM
#define VT_SIZE(dim) HALFVEC_SIZE(dim)
#define VT_ELEM uint16
#define VT_TO_FLOAT(e) half_to_float(e)
#define VT_FROM_FLOAT(f) half_from_float(f)
#define VT_TO_FLOATS(x, floats, n) simd_get()->f16_to_f32(x, floats, n)
#define VT_FROM_FLOATS(floats, x, n) simd_get()->f32_to_f16(floats, x, n)
#define VT_ORDER(e) half_order(e)
#define VT_IS_FLOAT 0
#define VT_BITS uint16
#define VT_EXPONENT 0x7c00
#define VT_HTON(bits) pg_hton16(bits)
#define VT_RANK(metric, a, b) metric_rank_f16(metric, (a)->x, (b)->x, (a)->dim)

#include "types/vectype_impl.h"

/* Casts between the two: (source, type modifier, explicit). */

PG_FUNCTION_INFO_V1(halfvec_to_vector);

Datum
halfvec_to_vector(PG_FUNCTION_ARGS)
{
	HalfVector *v = PG_GETARG_HALFVEC_P(0);
	Vector	   *result;

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	result = vector_new(v->dim);
	VT_TO_FLOATS(v->x, result->x, v->dim);
	PG_RETURN_VECTOR_P(result);
}

PG_FUNCTION_INFO_V1(vector_to_halfvec);

Datum
vector_to_halfvec(PG_FUNCTION_ARGS)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_HALFVEC_P(halfvec_from_floats(v->x, v->dim));
}
