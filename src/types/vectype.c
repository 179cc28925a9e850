/*
 * vectype.c
 *		What the vector types share and no element type enters.
 *
 * Error texts are pgvector's wherever an application could look at them.
 */
#include "types/vectype.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "types/vectors.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"

void
vectype_damaged(const char *type_name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored %s is damaged", type_name),
			 errdetail("Its size does not fit its number of dimensions.")));
}

bool
vectype_dim_ok(const VecType *type, int64 dim, Node *escontext)
{
	if (dim < 1)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", type->name)));
	if (dim > type->max_dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("%s cannot have more than %d dimensions", type->name, type->max_dim)));
	return true;
}

void
vectype_check_dim(const VecType *type, int64 dim)
{
	(void) vectype_dim_ok(type, dim, NULL);
}

bool
vectype_expected_ok(int32 typmod, int dim, Node *escontext)
{
	if (typmod != -1 && typmod != dim)
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));
	return true;
}

void
vectype_check_expected(int32 typmod, int dim)
{
	(void) vectype_expected_ok(typmod, dim, NULL);
}

void
vectype_dims_differ(const VecType *type, int a, int b)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_EXCEPTION),
			 errmsg("different %s dimensions %d and %d", type->name, a, b)));
}

bool
vectype_finite_ok(const VecType *type, double value, int element, Node *escontext)
{
	if (isnan(value))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("NaN not allowed in %s", type->name),
				 errdetail("Element %d is not a number.", element)));
	if (isinf(value))
		ereturn(escontext, false,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("infinite value not allowed in %s", type->name),
				 errdetail("Element %d is infinite or lies outside the range of the type.", element)));
	return true;
}

void
vectype_not_finite(const VecType *type, double value, int element)
{
	(void) vectype_finite_ok(type, value, element, NULL);
	pg_unreachable();
}

void
vectype_out_of_range(const VecType *type, float value, int element)
{
	char		text[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(value, text);
	ereport(ERROR,
			(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
			 errmsg("\"%s\" is out of range for type %s", text, type->name),
			 errdetail("Element %d lies outside the range of the type.", element)));
}

int32
vectype_typmod_in(const VecType *type, ArrayType *modifiers)
{
	int			n;
	int32	   *values = ArrayGetIntegerTypmods(modifiers, &n);

	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid type modifier"),
				 errhint("Write %s(n), where n is the number of dimensions.", type->name)));
	if (values[0] < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s must be at least 1", type->name)));
	if (values[0] > type->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("dimensions for type %s cannot exceed %d", type->name, type->max_dim)));
	return values[0];
}

float8 *
vectype_state(ArrayType *state, int *dim, const char *caller)
{
	float8	   *values;

	if (ARR_NDIM(state) != 1 || ARR_DIMS(state)[0] < 1 || ARR_HASNULL(state) ||
		ARR_ELEMTYPE(state) != FLOAT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: expected state array", caller)));

	values = (float8 *) ARR_DATA_PTR(state);
	if (!(values[0] >= 0) || isinf(values[0]))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: expected state array", caller),
				 errdetail("Its first element must be the number of values.")));

	*dim = ARR_DIMS(state)[0] - 1;
	return values;
}

ArrayType *
vectype_state_new(int dim)
{
	ArrayType  *state = vectype_array_new(dim + 1, FLOAT8OID, sizeof(float8));

	memset(ARR_DATA_PTR(state), 0, sizeof(float8) * (dim + 1));
	return state;
}

ArrayType *
vectype_combine(const VecType *type, ArrayType *a, ArrayType *b, bool in_place,
				const char *caller)
{
	int			dim;
	int			b_dim;
	float8	   *sums = vectype_state(a, &dim, caller);
	float8	   *b_sums = vectype_state(b, &b_dim, caller);
	int			overflow = 0;

	/*
	 * A parallel worker that saw no row hands over {0}, and the leader starts
	 * from {0}: an empty state on either side, or both, is no error.
	 */
	if (sums[0] == 0 || b_sums[0] == 0)
	{
		ArrayType  *filled = sums[0] == 0 ? b : a;

		if (sums[0] != 0 || b_sums[0] != 0)
			vectype_check_dim(type, ARR_DIMS(filled)[0] - 1);
		return filled;
	}

	vectype_check_dim(type, dim);
	vectype_check_expected(dim, b_dim);

	if (!in_place)
	{
		ArrayType  *copy = vectype_state_new(dim);

		memcpy(ARR_DATA_PTR(copy), sums, sizeof(float8) * (dim + 1));
		a = copy;
		sums = (float8 *) ARR_DATA_PTR(copy);
	}

	for (int i = 0; i <= dim; i++)
	{
		sums[i] += b_sums[i];
		overflow |= isinf(sums[i]) != 0;
	}
	if (overflow)
		float_overflow_error();

	return a;
}

ArrayType *
vectype_array_new(int n, Oid element_type, Size element_size)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + element_size * n;
	ArrayType  *array = (ArrayType *) palloc(size);

	/* a double-aligned header leaves no padding that would need clearing */
	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = element_type;
	ARR_DIMS(array)[0] = n;
	ARR_LBOUND(array)[0] = 1;
	return array;
}

void
vectype_check_array(const VecType *type, ArrayType *array, int *n)
{
	if (ARR_NDIM(array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D"),
				 errdetail("The array has %d dimensions.", ARR_NDIM(array))));
	if (ARR_HASNULL(array) && array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls"),
				 errhint("Replace the nulls, or remove them with array_remove(array, NULL).")));

	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	vectype_check_dim(type, *n);
}

const float4 *
vectype_array_floats(ArrayType *array, int n)
{
	/* without nulls, fixed-length elements stand side by side */
	const char *elements = ARR_DATA_PTR(array);
	Oid			type = ARR_ELEMTYPE(array);
	float4	   *floats;

	if (type == FLOAT4OID)
		return (const float4 *) elements;

	/* more than palloc() likes where a sparsevec keeps few of a great many */
	floats = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float4) * n);
	if (type == FLOAT8OID)
	{
		for (int i = 0; i < n; i++)
			floats[i] = (float4) ((const float8 *) elements)[i];
	}
	else if (type == INT4OID)
	{
		for (int i = 0; i < n; i++)
			floats[i] = (float4) ((const int32 *) elements)[i];
	}
	else if (type == NUMERICOID)
	{
		Datum	   *numerics;

		deconstruct_array(array, NUMERICOID, -1, false, TYPALIGN_INT, &numerics, NULL, &n);
		for (int i = 0; i < n; i++)
			floats[i] = DatumGetFloat4(DirectFunctionCall1(numeric_float4, numerics[i]));
		pfree(numerics);
	}
	else
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("unsupported array type")));
	return floats;
}
