/*
 * vectype_jsonb.c
 *		Casts from jsonb: a flat array of numbers.
 *
 * jsonb keeps numbers as numeric.  They become floats through their text, by
 * the reader that the types' input functions use: the cast of a jsonb value is
 * the cast of its text, and what a vector wrote reads back as the same bits.
 * (All but -0: numeric has none.)  A detour over double would round twice.
 */
#include "types/vectype_jsonb.h"

#include "miscadmin.h"
#include "types/float_text.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

/* What a message quotes of a number: a numeric may have 100,000 digits. */
#define QUOTED_DIGITS 40

/* Error of a value that is not an array at all. */
pg_noreturn static void
not_an_array(const VecType *type, Jsonb *jsonb)
{
	JsonbValue	value = {.type = jbvBinary};
	const char *found;

	value.val.binary.data = &jsonb->root;
	value.val.binary.len = VARSIZE(jsonb) - VARHDRSZ;
	found = JsonbTypeName(&value);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("cannot cast jsonb %s to type %s", found, type->name),
			 errdetail("Only an array of numbers becomes a %s.", type->name),
			 strcmp(found, "string") == 0 ?
			 errhint("A %s in a JSON string is cast through its text: (value #>> '{}')::%s.", type->name, type->name) :
			 strcmp(found, "null") == 0 ?
			 errhint("NULLIF(value, 'null') makes a JSON null a null of SQL.") : 0));
}

/* Error of element number element (from 1), which is no number. */
pg_noreturn static void
not_a_number(const VecType *type, JsonbValue *value, int element)
{
	const char *found = JsonbTypeName(value);

	if (value->type == jbvNull)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("array must not contain nulls"),
				 errdetail("Element %d of the JSON array is null.", element)));
	if (strcmp(found, "array") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("array must be 1-D"),
				 errdetail("Element %d of the JSON array is an array.", element)));
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("cannot cast jsonb array to type %s", type->name),
			 errdetail("Element %d of the JSON array has type %s, not number.", element, found)));
}

static float
float_of_numeric(const VecType *type, Numeric number, int element)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number)));
	const char *end = text;
	float		value;

	if (float_text_read(&end, &value) != FLOAT_TEXT_OK)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type %s",
						strlen(text) > QUOTED_DIGITS ? numeric_out_sci(number, 6) : text, type->name),
				 errdetail("Element %d lies outside the range of the type.", element)));
	pfree(text);
	return value;
}

const float *
vectype_jsonb_floats(const VecType *type, Jsonb *jsonb, int32 typmod, int *dim)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	float	   *floats;
	int			n = 0;

	/* a scalar is stored as an array of one element */
	if (!JB_ROOT_IS_ARRAY(jsonb) || JB_ROOT_IS_SCALAR(jsonb))
		not_an_array(type, jsonb);

	*dim = JB_ROOT_COUNT(jsonb);
	vectype_check_dim(type, *dim);
	vectype_check_expected(typmod, *dim);

	floats = palloc(sizeof(float) * *dim);
	it = JsonbIteratorInit(&jsonb->root);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token != WJB_ELEM)
			continue;
		if (value.type != jbvNumeric)
			not_a_number(type, &value, n + 1);
		CHECK_FOR_INTERRUPTS();
		floats[n] = float_of_numeric(type, value.val.numeric, n + 1);
		n++;
	}
	Assert(n == *dim);
	return floats;
}
