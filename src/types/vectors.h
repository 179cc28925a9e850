/*
 * vectors.h
 *		Varlena layouts of the vector types, the same as pgvector's.
 */
#ifndef VECIDX_VECTORS_H
#define VECIDX_VECTORS_H

#include "fmgr.h"

#define VECTOR_MAX_DIM 16000

typedef struct Vector
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int16		dim;
	int16		unused;			/* zero */
	float4		x[FLEXIBLE_ARRAY_MEMBER];
} Vector;

#define VECTOR_SIZE(dim) (offsetof(Vector, x) + sizeof(float4) * (dim))
#define DatumGetVector(d) ((Vector *) PG_DETOAST_DATUM(d))
#define PG_GETARG_VECTOR_P(n) DatumGetVector(PG_GETARG_DATUM(n))
#define PG_RETURN_VECTOR_P(v) PG_RETURN_POINTER(v)

extern Vector *vector_new(int dim); /* zeroed, in CurrentMemoryContext */

#endif							/* VECIDX_VECTORS_H */
