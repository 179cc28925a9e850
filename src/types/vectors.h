/*
 * vectors.h
 *		Varlena layouts of the vector types, the same as pgvector's.
 */
#ifndef VECIDX_VECTORS_H
#define VECIDX_VECTORS_H

#include "vecidx.h"

#include "fmgr.h"
#include "types/detoasted.h"

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

#define HALFVEC_MAX_DIM 16000

typedef struct HalfVector
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	int16		dim;
	int16		unused;			/* zero */
	uint16		x[FLEXIBLE_ARRAY_MEMBER];	/* bits of IEEE binary16 */
} HalfVector;

#define HALFVEC_SIZE(dim) (offsetof(HalfVector, x) + sizeof(uint16) * (dim))
#define PG_GETARG_HALFVEC_P(n) DatumGetHalfVector(PG_GETARG_DATUM(n))
#define PG_RETURN_HALFVEC_P(v) PG_RETURN_POINTER(v)

/* A new zero value in CurrentMemoryContext; 1 <= dim <= the type's maximum is the caller's promise. */
extern Vector *vector_new(int dim);
extern HalfVector *halfvec_new(int dim);

/* A new value of dim floats; errors where one is not finite, or too large for the type. */
extern Vector *vector_from_floats(const float *floats, int dim);
extern HalfVector *halfvec_from_floats(const float *floats, int dim);

/* Raises ERRCODE_DATA_CORRUPTED: a stored value whose size does not fit its dimensions. */
pg_noreturn extern void vectype_damaged(const char *type_name);

/*
 * The detoasted value behind a Datum.  Everything after this trusts dim, so
 * a value from a damaged page stops here and not in a kernel that reads past
 * its end.
 */
#define VECTORS_DATUM_GET(function, type, size, name) \
static inline type * \
function(Datum d) \
{ \
	type	   *v = (type *) vecidx_detoast(d); \
\
	if (unlikely(VARSIZE(v) < size(0) || v->dim < 1 || VARSIZE(v) != size(v->dim))) \
		vectype_damaged(name); \
	return v; \
}

VECTORS_DATUM_GET(DatumGetVector, Vector, VECTOR_SIZE, "vector")
VECTORS_DATUM_GET(DatumGetHalfVector, HalfVector, HALFVEC_SIZE, "halfvec")

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
	SparseVector *v = (SparseVector *) vecidx_detoast(d);

	if (unlikely(VARSIZE(v) < SPARSEVEC_SIZE(0) || v->dim < 1 ||
				 v->nnz < 0 || v->nnz > SPARSEVEC_MAX_NNZ || VARSIZE(v) != SPARSEVEC_SIZE(v->nnz)))
		vectype_damaged("sparsevec");
	return v;
}

#endif							/* VECIDX_VECTORS_H */
