/*
 * fuzz_result.c
 *		What must be true of any value that a function returns.
 */
#include "fuzz.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "simd/half.h"
#include "types/vectors.h"
#include "utils/array.h"
#include "utils/varbit.h"

static const char *
vector_problem(const Vector *v)
{
	if (VARSIZE(v) < VECTOR_SIZE(1) || v->dim < 1 || v->dim > VECTOR_MAX_DIM || VARSIZE(v) != VECTOR_SIZE(v->dim))
		return "vector: size or dimensions";
	if (v->unused != 0)
		return "vector: unused is not zero";
	for (int i = 0; i < v->dim; i++)
	{
		if (!isfinite(v->x[i]))
			return "vector: an element is not finite";
	}
	return NULL;
}

static const char *
halfvec_problem(const HalfVector *v)
{
	if (VARSIZE(v) < HALFVEC_SIZE(1) || v->dim < 1 || v->dim > HALFVEC_MAX_DIM || VARSIZE(v) != HALFVEC_SIZE(v->dim))
		return "halfvec: size or dimensions";
	if (v->unused != 0)
		return "halfvec: unused is not zero";
	for (int i = 0; i < v->dim; i++)
	{
		if (!isfinite(half_to_float(v->x[i])))
			return "halfvec: an element is not finite";
	}
	return NULL;
}

static const char *
sparsevec_problem(const SparseVector *v)
{
	if (VARSIZE(v) < SPARSEVEC_SIZE(0) || v->dim < 1 || v->dim > SPARSEVEC_MAX_DIM)
		return "sparsevec: size or dimensions";
	if (v->nnz < 0 || v->nnz > SPARSEVEC_MAX_NNZ || v->nnz > v->dim || VARSIZE(v) != SPARSEVEC_SIZE(v->nnz))
		return "sparsevec: number of elements";
	if (v->unused != 0)
		return "sparsevec: unused is not zero";
	for (int i = 0; i < v->nnz; i++)
	{
		if (v->indices[i] < 0 || v->indices[i] >= v->dim || (i > 0 && v->indices[i] <= v->indices[i - 1]))
			return "sparsevec: indices";
		if (!isfinite(SPARSEVEC_VALUES(v)[i]) || SPARSEVEC_VALUES(v)[i] == 0)
			return "sparsevec: an element is zero or not finite";
	}
	return NULL;
}

static const char *
bit_problem(VarBit *v)
{
	int			bits = VARBITLEN(v);

	if (bits < 0 || VARSIZE(v) != VARBITTOTALLEN(bits))
		return "bit: size";
	if (bits % 8 != 0 && (VARBITS(v)[bits / 8] & (0xff >> (bits % 8))) != 0)
		return "bit: bits behind the last one";
	return NULL;
}

static const char *
array_problem(ArrayType *array, Oid element, Size size)
{
	int			n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (ARR_ELEMTYPE(array) != element)
		return "array: type of its elements";
	if (!ARR_HASNULL(array) && size > 0 && VARSIZE(array) != ARR_OVERHEAD_NONULLS(ARR_NDIM(array)) + n * size)
		return "array: size";
	return NULL;
}

const char *
fuzz_result_problem(Datum value, Oid type)
{
	void	   *v = DatumGetPointer(value);

	switch (type)
	{
		case BITOID:
		case VARBITOID:
			return bit_problem(DatumGetVarBitP(value));
		case INT4ARRAYOID:
			return array_problem(DatumGetArrayTypeP(value), INT4OID, sizeof(int32));
		case FLOAT4ARRAYOID:
			return array_problem(DatumGetArrayTypeP(value), FLOAT4OID, sizeof(float4));
		case FLOAT8ARRAYOID:
			return array_problem(DatumGetArrayTypeP(value), FLOAT8OID, sizeof(float8));
		case NUMERICARRAYOID:
			return array_problem(DatumGetArrayTypeP(value), NUMERICOID, 0);
		case BOOLOID:
			return value == BoolGetDatum(true) || value == BoolGetDatum(false) ? NULL : "boolean: neither";
	}

	switch (fuzz_kind(type))
	{
		case FUZZ_VECTOR:
			return VARATT_IS_4B_U(v) ? vector_problem(v) : "vector: not detoasted";
		case FUZZ_HALFVEC:
			return VARATT_IS_4B_U(v) ? halfvec_problem(v) : "halfvec: not detoasted";
		case FUZZ_SPARSEVEC:
			return VARATT_IS_4B_U(v) ? sparsevec_problem(v) : "sparsevec: not detoasted";
		case FUZZ_OTHER:
			break;
	}
	return NULL;
}
