/*
 * filter_type.c
 *		Types of filter columns (filter_type.h).
 */
#include "vecidx.h"

#include "catalog/pg_type_d.h"
#include "fmgr.h"
#include "index/filter_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* One support function per type. */
#define FILTER_SUPPORT(function, type_) \
PGDLLEXPORT PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	(void) fcinfo; \
	PG_RETURN_POINTER(&(type_)); \
}

static inline void
place_at(VecidxFilterPlace *place, uint64 code)
{
	place->kind = FILTER_AT;
	place->low = place->high = code;
}

static inline void
place_within(VecidxFilterPlace *place, uint64 low, uint64 high)
{
	place->kind = FILTER_WITHIN;
	place->low = low;
	place->high = high;
}

/* ---- Integers: the distance from the smallest ---- */

static int64
integer_argument(Oid subtype, Datum value)
{
	switch (subtype)
	{
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return DatumGetInt64(value);
		default:
			elog(ERROR, "unexpected type %u of an argument", subtype);
			return 0;
	}
}

static void
place_integer(VecidxFilterPlace *place, int64 value, int64 min, int64 max)
{
	if (value < min)
		place->kind = FILTER_BEFORE_ALL;
	else if (value > max)
	{
		place->kind = FILTER_AFTER;
		place->low = (uint64) max - (uint64) min;
	}
	else
		place_at(place, (uint64) value - (uint64) min);
}

#define INTEGER_TYPE(name_, width_, Get, oid, min, max) \
static uint64 \
name_##_code(const VecidxFilterColumn *column, Datum value) \
{ \
	(void) column; \
	return (uint64) (int64) Get(value) - (uint64) (int64) (min); \
} \
\
static void \
name_##_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument, \
			  VecidxFilterPlace *place) \
{ \
	(void) column; \
	(void) strategy; \
	place_integer(place, integer_argument(OidIsValid(subtype) ? subtype : (oid), argument), min, max); \
} \
\
static const VecidxFilterType name_##_type = { \
	.name = #name_, \
	.width = (width_), \
	.code = name_##_code, \
	.place = name_##_place \
}; \
\
FILTER_SUPPORT(vecidx_filter_##name_, name_##_type)

INTEGER_TYPE(int2, 2, DatumGetInt16, INT2OID, PG_INT16_MIN, PG_INT16_MAX)
INTEGER_TYPE(int4, 4, DatumGetInt32, INT4OID, PG_INT32_MIN, PG_INT32_MAX)
INTEGER_TYPE(int8, 8, DatumGetInt64, INT8OID, PG_INT64_MIN, PG_INT64_MAX)

/* ---- What is an unsigned number as it is ---- */

#define PLAIN_TYPE(name_, width_, Get) \
static uint64 \
name_##_code(const VecidxFilterColumn *column, Datum value) \
{ \
	(void) column; \
	return Get(value); \
} \
\
static void \
name_##_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument, \
			  VecidxFilterPlace *place) \
{ \
	(void) strategy; \
	(void) subtype; \
	place_at(place, name_##_code(column, argument)); \
} \
\
static const VecidxFilterType name_##_type = { \
	.name = #name_, \
	.width = (width_), \
	.code = name_##_code, \
	.place = name_##_place \
}; \
\
FILTER_SUPPORT(vecidx_filter_##name_, name_##_type)

PLAIN_TYPE(bool, 1, DatumGetBool)
PLAIN_TYPE(oid, 4, DatumGetObjectId)

/* ---- Arrays ---- */

VecidxFilterSignature *
vecidx_filter_signatures(const VecidxFilterColumn *column, Datum array, int *n, int *nulls)
{
	(void) column;
	(void) array;
	*n = *nulls = 0;
	return NULL;
}

void
vecidx_filter_column_type(VecidxFilterColumn *column, Oid type_id)
{
	column->element = getBaseType(type_id);
}
