/*
 * vectors.h
 *		Varlena layouts of the vector types, the same as pgvector's.
 */
#ifndef VECIDX_VECTORS_H
#define VECIDX_VECTORS_H

#include "vecidx.h"

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
#define PG_GETARG_VECTOR_P(n) DatumGetVector(PG_GETARG_DATUM(n))
#define PG_RETURN_VECTOR_P(v) PG_RETURN_POINTER(v)

/* A new zero vector in CurrentMemoryContext; 1 <= dim <= VECTOR_MAX_DIM is the caller's promise. */
extern Vector *vector_new(int dim);

/* Raises ERRCODE_DATA_CORRUPTED: a stored value whose size does not fit its dimensions. */
pg_noreturn extern void vectype_damaged(const char *type_name);

/*
 * The detoasted vector behind a Datum.  Everything after this trusts dim, so
 * a value from a damaged page stops here and not in a kernel that reads past
 * its end.
 */
static inline Vector *
DatumGetVector(Datum d)
{
	Vector	   *v = (Vector *) PG_DETOAST_DATUM(d);

	if (unlikely(v->dim < 1 || VARSIZE(v) != VECTOR_SIZE(v->dim)))
		vectype_damaged("vector");
	return v;
}

#define SPARSEVEC_MAX_DIM 1000000000
#define SPARSEVEC_MAX_NNZ 16000

/*
 * The elements that are not zero: nnz indices, from 0 and ascending, then nnz
 * values in the same order.
 */
typedef struct SparseVector
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int32		dim;
	int32		nnz;
	int32		unused;			/* zero */
	int32		indices[FLEXIBLE_ARRAY_MEMBER];
} SparseVector;

#define SPARSEVEC_SIZE(nnz) (offsetof(SparseVector, indices) + (sizeof(int32) + sizeof(float4)) * (nnz))
#define SPARSEVEC_VALUES(v) ((float4 *) ((v)->indices + (v)->nnz))
#define PG_GETARG_SPARSEVEC_P(n) DatumGetSparseVector(PG_GETARG_DATUM(n))

/* As DatumGetVector; that the indices are in order and below dim is not looked at. */
static inline SparseVector *
DatumGetSparseVector(Datum d)
{
	SparseVector *v = (SparseVector *) PG_DETOAST_DATUM(d);

	if (unlikely(VARSIZE(v) < SPARSEVEC_SIZE(0) || v->dim < 1 ||
				 v->nnz < 0 || v->nnz > SPARSEVEC_MAX_NNZ || VARSIZE(v) != SPARSEVEC_SIZE(v->nnz)))
		vectype_damaged("sparsevec");
	return v;
}

#endif							/* VECIDX_VECTORS_H */
