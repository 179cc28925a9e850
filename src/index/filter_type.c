/*
 * filter_type.c
 *		Types of filter columns (filter_type.h).
 */
#include "vecidx.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type_d.h"
#include "compat.h"
#include "fmgr.h"
#include "index/filter_type.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

/* One support function per type. */
#define FILTER_SUPPORT(function, type_) \
PGDLLEXPORT PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	(void) fcinfo; \
	PG_RETURN_POINTER(&(type_)); \
}

#define FILTER_TYPE(name_, width_, code_, place_) \
static const VecidxFilterType name_##_type = { \
	.name = #name_, \
	.width = (width_), \
	.code = (code_), \
	.place = (place_) \
}; \
\
FILTER_SUPPORT(vecidx_filter_##name_, name_##_type)

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

#define INTEGER_CODE(name_, Get, oid, min, max) \
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
}

INTEGER_CODE(int2, DatumGetInt16, INT2OID, PG_INT16_MIN, PG_INT16_MAX)
INTEGER_CODE(int4, DatumGetInt32, INT4OID, PG_INT32_MIN, PG_INT32_MAX)
INTEGER_CODE(int8, DatumGetInt64, INT8OID, PG_INT64_MIN, PG_INT64_MAX)

/* ---- What is an unsigned number as it is ---- */

#define PLAIN_CODE(name_, Get) \
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
}

PLAIN_CODE(bool, DatumGetBool)
PLAIN_CODE(char, (uint8) DatumGetChar)
PLAIN_CODE(oid, DatumGetObjectId)

/* ---- Floats: bits, turned over so that they are in order; -0 is 0, NaN the largest ---- */

static uint64
float4_bits(float4 value)
{
	uint32		bits;

	if (isnan(value))
		return PG_UINT32_MAX;
	value += 0.0f;
	memcpy(&bits, &value, sizeof(bits));
	return (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
}

static uint64
float8_bits(float8 value)
{
	uint64		bits;

	if (isnan(value))
		return PG_UINT64_MAX;
	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return (bits & (UINT64CONST(1) << 63)) != 0 ? ~bits : bits | (UINT64CONST(1) << 63);
}

static uint64
float4_code(const VecidxFilterColumn *column, Datum value)
{
	(void) column;
	return float4_bits(DatumGetFloat4(value));
}

static void
float4_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
			 VecidxFilterPlace *place)
{
	float8		value;
	float4		nearest;

	(void) column;
	(void) strategy;
	if (subtype != FLOAT8OID)
	{
		place_at(place, float4_bits(DatumGetFloat4(argument)));
		return;
	}
	value = DatumGetFloat8(argument);
	nearest = (float4) value;
	place_at(place, float4_bits(nearest));
	if (nearest == value || isnan(value))
		return;
	place->kind = FILTER_AFTER;
	if (nearest > value)
		place->low--;
}

static uint64
float8_code(const VecidxFilterColumn *column, Datum value)
{
	(void) column;
	return float8_bits(DatumGetFloat8(value));
}

static void
float8_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
			 VecidxFilterPlace *place)
{
	(void) column;
	(void) strategy;
	place_at(place, float8_bits(subtype == FLOAT4OID ? DatumGetFloat4(argument) : DatumGetFloat8(argument)));
}

/* Of several numerics the same, when they differ past a double's digits or range. */
static uint64
numeric_code(const VecidxFilterColumn *column, Datum value)
{
	(void) column;
	return float8_bits(DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value)));
}

/* ---- UUIDs: the first eight bytes ---- */

static uint64
uuid_code(const VecidxFilterColumn *column, Datum value)
{
	uint64		bytes;

	(void) column;
	memcpy(&bytes, DatumGetUUIDP(value)->data, sizeof(bytes));
	return pg_ntoh64(bytes);
}

/* ---- Enums: their OIDs, which are in no order ---- */

static void
enum_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
		   VecidxFilterPlace *place)
{
	(void) subtype;
	if (strategy == BTEqualStrategyNumber)
		place_at(place, oid_code(column, argument));
	else
		place_within(place, 0, PG_UINT32_MAX);
}

/* ---- Dates and times ---- */

/*
 * How far a time on the clock may be from what it says in UTC: offsets are
 * given as up to a week.
 */
#define ZONE_DAYS 8

static void
place_date(VecidxFilterPlace *place, int64 date)
{
	place_integer(place, date, PG_INT32_MIN, PG_INT32_MAX);
}

static void
place_timestamp(VecidxFilterPlace *place, int64 timestamp)
{
	place_integer(place, timestamp, PG_INT64_MIN, PG_INT64_MAX);
}

/* All that is within ZONE_DAYS of a place, in units of so many to a day. */
static void
widen(VecidxFilterPlace *place, uint64 day, uint64 max)
{
	uint64		by = ZONE_DAYS * day;

	place_within(place, place->low > by ? place->low - by : 0, max - place->low > by ? place->low + by : max);
}

static void
date_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
		   VecidxFilterPlace *place)
{
	Timestamp	timestamp;
	int64		day;

	(void) column;
	(void) strategy;
	if (subtype != TIMESTAMPOID && subtype != TIMESTAMPTZOID)
	{
		place_date(place, DatumGetDateADT(argument));
		return;
	}
	timestamp = DatumGetTimestamp(argument);
	if (TIMESTAMP_NOT_FINITE(timestamp))
	{
		place_date(place, TIMESTAMP_IS_NOBEGIN(timestamp) ? DATEVAL_NOBEGIN : DATEVAL_NOEND);
		return;
	}

	/* a date is its first moment */
	day = timestamp / USECS_PER_DAY;
	if (timestamp % USECS_PER_DAY < 0)
		day--;
	place_date(place, day);
	if (subtype == TIMESTAMPTZOID)
		widen(place, 1, PG_UINT32_MAX);
	else if (timestamp != day * USECS_PER_DAY)
		place->kind = FILTER_AFTER;
}

/* Dates and times may be earlier or later than any finite one of the other type, but not than its infinities. */
static void
place_converted(VecidxFilterPlace *place, int64 timestamp, int overflow)
{
	place_timestamp(place, overflow > 0 ? PG_INT64_MAX - 1 : overflow < 0 ? PG_INT64_MIN : timestamp);
	if (overflow != 0)
		place->kind = FILTER_AFTER;
}

static void
time_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
		   VecidxFilterPlace *place)
{
	(void) column;
	(void) strategy;
	(void) subtype;
	place_timestamp(place, DatumGetTimeADT(argument));
}

static void
timestamp_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
				VecidxFilterPlace *place)
{
	int			overflow = 0;

	(void) column;
	(void) strategy;
	if (subtype == DATEOID)
	{
		Timestamp	timestamp = date2timestamp_opt_overflow(DatumGetDateADT(argument), &overflow);

		place_converted(place, timestamp, overflow);
		return;
	}
	place_timestamp(place, DatumGetTimestamp(argument));
	/* the column's values are converted, by whatever zone is set when they are compared */
	if (subtype == TIMESTAMPTZOID && !TIMESTAMP_NOT_FINITE(DatumGetTimestamp(argument)))
		widen(place, USECS_PER_DAY, PG_UINT64_MAX);
}

static void
timestamptz_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
				  VecidxFilterPlace *place)
{
	TimestampTz timestamp;
	int			overflow = 0;

	(void) column;
	(void) strategy;
	if (subtype == DATEOID)
		timestamp = date2timestamptz_opt_overflow(DatumGetDateADT(argument), &overflow);
	else if (subtype == TIMESTAMPOID)
		timestamp = timestamp2timestamptz_opt_overflow(DatumGetTimestamp(argument), &overflow);
	else
		timestamp = DatumGetTimestampTz(argument);
	place_converted(place, timestamp, overflow);
}

/*
 * ---- Strings ----
 *
 * The upper half of a code are the first bytes, where the collation orders
 * strings by their bytes, else 0; the lower half a hash, which is that of the type's hash
 * function, since a collation may find strings equal whose bytes differ.
 */

/* Whether the locale of a catalog's row, by this provider, is that of bytes. */
static bool
locale_is_c(int cache, Oid oid, AttrNumber provider_column, AttrNumber locale_column)
{
	HeapTuple	tuple = SearchSysCache1(cache, ObjectIdGetDatum(oid));
	bool		result = false;
	bool		isnull;
	Datum		value;

	if (!HeapTupleIsValid(tuple))
		return false;
	value = SysCacheGetAttr(cache, tuple, provider_column, &isnull);
	if (!isnull && DatumGetChar(value) == COLLPROVIDER_LIBC)
	{
		value = SysCacheGetAttr(cache, tuple, locale_column, &isnull);
		if (!isnull)
		{
			char	   *locale = TextDatumGetCString(value);

			result = strcmp(locale, "C") == 0 || strcmp(locale, "POSIX") == 0;
			pfree(locale);
		}
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Whether a collation orders strings by their bytes.  The server's own way to
 * ask needs headers of ICU, which its development package does not bring.
 */
static bool
collation_is_c(Oid collation)
{
	if (collation == C_COLLATION_OID)
		return true;
	if (collation == DEFAULT_COLLATION_OID)
		return locale_is_c(DATABASEOID, MyDatabaseId, Anum_pg_database_datlocprovider, Anum_pg_database_datcollate);
	return OidIsValid(collation) &&
		locale_is_c(COLLOID, collation, Anum_pg_collation_collprovider, Anum_pg_collation_collcollate);
}

static uint64
string_code(const VecidxFilterColumn *column, PGFunction hash, Datum string, const char *bytes, int length)
{
	uint64		code = (uint32) DatumGetUInt64(DirectFunctionCall2Coll(hash, column->collation, string,
																	  Int64GetDatum(0)));

	if (collation_is_c(column->collation))
		for (int i = 0; i < 4 && i < length; i++)
			code |= (uint64) (uint8) bytes[i] << (56 - 8 * i);
	return code;
}

static uint64
text_code(const VecidxFilterColumn *column, Datum value)
{
	text	   *string = DatumGetTextPP(value);

	return string_code(column, hashtextextended, PointerGetDatum(string), VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string));
}

static uint64
name_code(const VecidxFilterColumn *column, Datum value)
{
	return text_code(column, PointerGetDatum(cstring_to_text(NameStr(*DatumGetName(value)))));
}

static uint64
bpchar_code(const VecidxFilterColumn *column, Datum value)
{
	BpChar	   *string = DatumGetBpCharPP(value);

	/* trailing blanks do not count */
	return string_code(column, hashbpcharextended, PointerGetDatum(string), VARDATA_ANY(string),
					   bpchartruelen(VARDATA_ANY(string), VARSIZE_ANY_EXHDR(string)));
}

static void
place_string(const VecidxFilterColumn *column, StrategyNumber strategy, uint64 code, VecidxFilterPlace *place)
{
	if (strategy == BTEqualStrategyNumber)
		place_within(place, code, code);
	else if (collation_is_c(column->collation))
		place_within(place, code & ~(uint64) PG_UINT32_MAX, code | PG_UINT32_MAX);
	else
		place_within(place, 0, PG_UINT64_MAX);
}

/* text or name, whichever the column is */
static void
text_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
		   VecidxFilterPlace *place)
{
	bool		name = subtype == NAMEOID || (!OidIsValid(subtype) && column->element == NAMEOID);

	place_string(column, strategy, name ? name_code(column, argument) : text_code(column, argument), place);
}

static void
bpchar_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
			 VecidxFilterPlace *place)
{
	(void) subtype;
	place_string(column, strategy, bpchar_code(column, argument), place);
}

/* ---- Types whose functions are above ---- */

/* Different values may have the same code, in the values' order. */
#define LOSSY_PLACE(name_) \
static void \
name_##_place(const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument, \
			  VecidxFilterPlace *place) \
{ \
	uint64		code = name_##_code(column, argument); \
\
	(void) strategy; \
	(void) subtype; \
	place_within(place, code, code); \
}

LOSSY_PLACE(numeric)
LOSSY_PLACE(uuid)

FILTER_TYPE(bool, 1, bool_code, bool_place)
FILTER_TYPE(char, 1, char_code, char_place)
FILTER_TYPE(oid, 4, oid_code, oid_place)
FILTER_TYPE(int2, 2, int2_code, int2_place)
FILTER_TYPE(int4, 4, int4_code, int4_place)
FILTER_TYPE(int8, 8, int8_code, int8_place)
FILTER_TYPE(float4, 4, float4_code, float4_place)
FILTER_TYPE(float8, 8, float8_code, float8_place)
FILTER_TYPE(numeric, 8, numeric_code, numeric_place)
FILTER_TYPE(uuid, 8, uuid_code, uuid_place)
FILTER_TYPE(enum, 4, oid_code, enum_place)
FILTER_TYPE(date, 4, int4_code, date_place)
FILTER_TYPE(time, 8, int8_code, time_place)
FILTER_TYPE(timestamp, 8, int8_code, timestamp_place)
FILTER_TYPE(timestamptz, 8, int8_code, timestamptz_place)
FILTER_TYPE(text, 8, text_code, text_place)
FILTER_TYPE(name, 8, name_code, text_place)
FILTER_TYPE(bpchar, 8, bpchar_code, bpchar_place)
FILTER_TYPE(array, sizeof(VecidxFilterSignature), NULL, NULL)

/* ---- Arrays ---- */

/* Bits of an element. */
#define SIGNATURE_BITS 3

static FmgrInfo *
element_hash(const VecidxFilterColumn *column)
{
	TypeCacheEntry *entry = lookup_type_cache(column->element, TYPECACHE_HASH_EXTENDED_PROC_FINFO);

	if (!OidIsValid(entry->hash_extended_proc_finfo.fn_oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("could not identify an extended hash function for type %s", format_type_be(column->element)),
				 errdetail("A filter column of arrays needs one of its elements.")));
	return &entry->hash_extended_proc_finfo;
}

VecidxFilterSignature *
vecidx_filter_signatures(const VecidxFilterColumn *column, Datum array, int *n, int *nulls)
{
	FmgrInfo   *hash = element_hash(column);
	ArrayType  *value = DatumGetArrayTypeP(array);
	VecidxFilterSignature *signatures;
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *isnull;
	int			nelements;

	get_typlenbyvalalign(ARR_ELEMTYPE(value), &typlen, &typbyval, &typalign);
	deconstruct_array(value, ARR_ELEMTYPE(value), typlen, typbyval, typalign, &elements, &isnull, &nelements);
	signatures = palloc0(sizeof(VecidxFilterSignature) * (nelements + 1));
	*n = *nulls = 0;
	for (int i = 0; i < nelements; i++)
	{
		uint64		bits;

		if (isnull[i])
		{
			(*nulls)++;
			continue;
		}
		bits = DatumGetUInt64(FunctionCall2Coll(hash, column->collation, elements[i], Int64GetDatum(0)));
		for (int j = 0; j < SIGNATURE_BITS; j++, bits >>= 7)
			signatures[*n].bits[(bits & 64) != 0] |= UINT64CONST(1) << (bits & 63);
		(*n)++;
	}
	return signatures;
}

void
vecidx_filter_column_type(VecidxFilterColumn *column, Oid type_id)
{
	column->element = getBaseType(type_id);
	if (column->type == &array_type)
	{
		Oid			element = get_element_type(column->element);

		if (!OidIsValid(element))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("type %s is no array", format_type_be(type_id))));
		column->element = element;
		(void) element_hash(column);
	}
}
