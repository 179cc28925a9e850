/*
 * filter.c
 *		Filter columns in the index: rows in chunks, and conditions on them
 *		(filter.h).
 *
 * Whatever a condition on a column of ordered codes is, it is met by the codes
 * of some ranges: one of a comparison, one of each element of an IN.  All
 * conditions on a column make one list of ranges, sorted and disjoint.  A row
 * of an array column is tested against signatures.
 */
#include "vecidx.h"

#include "access/skey.h"
#include "index/filter.h"
#include "index/filter_summary.h"
#include "index/filter_type.h"
#include "index/opclass.h"
#include "port/pg_bitutils.h"
#include "simd/simd.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* So many ranges are tested one after the other, more by a look into a table or a binary search. */
#define FEW_RANGES 8

/* More than these are not looked for one by one in a page's summary. */
#define MANY_RANGES 64

/* Codes from low to high, both included. */
typedef struct FilterRange
{
	uint64		low;
	uint64		high;
} FilterRange;

/* Met by the rows whose signature includes one of these. */
typedef struct FilterSignatures
{
	int			n;
	VecidxFilterSignature *any;
} FilterSignatures;

/* What the conditions on a column come down to. */
typedef struct FilterTest
{
	const VecidxFilterColumn *column;
	int			number;			/* of the column in the layout */
	bool		must_be_null;
	bool		all_codes;		/* any will do */
	int			nranges;
	FilterRange *ranges;

	/* where there are more than a few ranges, each of one code */
	uint64	   *table;			/* of 2^(64 - shift) entries */
	int			shift;
	uint64		vacant;			/* what stands in entries that are not in use */

	/* arrays: all of these are to be met */
	int			nsignatures;
	FilterSignatures *signatures;
} FilterTest;

struct VecidxFilter
{
	const VecidxFilterLayout *layout;
	const SimdKernels *simd;
	MemoryContext values;		/* what tests point to; emptied at a rescan */
	bool		recheck;
	int			ntests;
	FilterTest	tests[VECIDX_MAX_FILTERS];
};

/* ---- The layout ---- */

static const VecidxFilterType *
filter_type(Relation index, AttrNumber attno)
{
	FmgrInfo   *procinfo = index_getprocinfo(index, attno, VECIDX_FILTER_PROC);

	return (const VecidxFilterType *) DatumGetPointer(FunctionCall1Coll(procinfo, InvalidOid, PointerGetDatum(NULL)));
}

const VecidxFilterLayout *
vecidx_filter_layout(Relation index, MemoryContext context)
{
	int			ncolumns = IndexRelationGetNumberOfKeyAttributes(index) - 1;
	VecidxFilterLayout *layout;
	VecidxFilterColumn columns[VECIDX_MAX_FILTERS] = {0};

	vecidx_opclass(index);		/* or an error about the columns */
	if (ncolumns == 0)
		return NULL;
	for (int i = 0; i < ncolumns; i++)
	{
		VecidxFilterColumn *column = &columns[i];

		column->attno = i + 2;
		column->type = filter_type(index, column->attno);
		column->collation = index->rd_indcollation[i + 1];
		column->width = column->type->width;
		vecidx_filter_column_type(column, TupleDescAttr(RelationGetDescr(index), i + 1)->atttypid);
	}

	layout = MemoryContextAllocZero(context, sizeof(VecidxFilterLayout));
	for (int width = 16; width > 0; width /= 2)
		for (int i = 0; i < ncolumns; i++)
			if (columns[i].width == width)
			{
				columns[i].offset = layout->row_bytes;
				layout->columns[layout->ncolumns++] = columns[i];
				layout->row_bytes += width;
			}
	Assert(layout->ncolumns == ncolumns);
	layout->packed_size = layout->row_bytes + (ncolumns + 7) / 8;
	return layout;
}

uint32
vecidx_filter_chunk_capacity(const VecidxFilterLayout *layout, Size bytes)
{
	uint32		capacity = bytes / (8 * layout->row_bytes + layout->ncolumns) * 8;

	while (capacity > 0 && vecidx_filter_chunk_size(layout, capacity) > bytes)
		capacity -= 8;
	return capacity;
}

/* ---- Rows ---- */

static inline Size
code_offset(const VecidxFilterColumn *column, uint32 capacity, uint32 i)
{
	return (Size) capacity * column->offset + (Size) i * column->width;
}

/* The byte of a column's NULL bits in which row i's is. */
static inline Size
null_offset(const VecidxFilterLayout *layout, int number, uint32 capacity, uint32 i)
{
	return (Size) capacity * layout->row_bytes + (Size) number * (capacity / 8) + i / 8;
}

static inline bool
packed_null(const VecidxFilterLayout *layout, const uint8 *packed, int number)
{
	return (packed[layout->row_bytes + number / 8] & (1 << number % 8)) != 0;
}

static void
write_code(uint8 *to, int width, uint64 code)
{
	uint8		one = code;
	uint16		two = code;
	uint32		four = code;

	switch (width)
	{
		case 1:
			memcpy(to, &one, 1);
			break;
		case 2:
			memcpy(to, &two, 2);
			break;
		case 4:
			memcpy(to, &four, 4);
			break;
		default:
			memcpy(to, &code, 8);
	}
}

static VecidxFilterSignature
array_signature(const VecidxFilterColumn *column, Datum value)
{
	VecidxFilterSignature result = {{0, 0}};
	int			n;
	int			nulls;
	VecidxFilterSignature *elements = vecidx_filter_signatures(column, value, &n, &nulls);

	for (int i = 0; i < n; i++)
		for (int j = 0; j < 2; j++)
			result.bits[j] |= elements[i].bits[j];
	return result;
}

void
vecidx_filter_pack(const VecidxFilterLayout *layout, const Datum *values, const bool *isnull, uint8 *packed)
{
	memset(packed, 0, layout->packed_size);
	for (int i = 0; i < layout->ncolumns; i++)
	{
		const VecidxFilterColumn *column = &layout->columns[i];
		Datum		value = values[column->attno - 1];

		if (isnull[column->attno - 1])
			packed[layout->row_bytes + i / 8] |= 1 << i % 8;
		else if (column->type->code == NULL)
		{
			VecidxFilterSignature signature = array_signature(column, value);

			memcpy(packed + column->offset, &signature, sizeof(signature));
		}
		else
			write_code(packed + column->offset, column->width, column->type->code(column, value));
	}
}

void
vecidx_filter_put_pieces(const VecidxFilterLayout *layout, const uint8 *chunk, uint32 capacity, uint32 i,
						 const uint8 *packed, VecidxFilterWrite write, void *arg)
{
	for (int number = 0; number < layout->ncolumns; number++)
	{
		const VecidxFilterColumn *column = &layout->columns[number];
		Size		nulls = null_offset(layout, number, capacity, i);
		uint8		byte = chunk[nulls];

		if (packed_null(layout, packed, number))
			byte |= 1 << i % 8;
		else
			byte &= ~(1 << i % 8);
		write(arg, code_offset(column, capacity, i), packed + column->offset, column->width);
		write(arg, nulls, &byte, 1);
	}
}

static void
write_to_chunk(void *arg, Size offset, const void *bytes, Size n)
{
	memcpy((uint8 *) arg + offset, bytes, n);
}

void
vecidx_filter_put(const VecidxFilterLayout *layout, uint8 *chunk, uint32 capacity, uint32 i, const uint8 *packed)
{
	vecidx_filter_put_pieces(layout, chunk, capacity, i, packed, write_to_chunk, chunk);
}

void
vecidx_filter_get(const VecidxFilterLayout *layout, const uint8 *chunk, uint32 capacity, uint32 i, uint8 *packed)
{
	memset(packed + layout->row_bytes, 0, layout->packed_size - layout->row_bytes);
	for (int number = 0; number < layout->ncolumns; number++)
	{
		const VecidxFilterColumn *column = &layout->columns[number];

		memcpy(packed + column->offset, chunk + code_offset(column, capacity, i), column->width);
		if ((chunk[null_offset(layout, number, capacity, i)] & (1 << i % 8)) != 0)
			packed[layout->row_bytes + number / 8] |= 1 << number % 8;
	}
}

/* ---- From scan keys to tests ---- */

static int
compare_ranges(const void *a, const void *b)
{
	const FilterRange *x = a;
	const FilterRange *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

/* Sort ranges and join those that overlap or touch. */
static int
join_ranges(FilterRange *ranges, int n)
{
	int			kept = 0;

	if (n < 2)
		return n;
	qsort(ranges, n, sizeof(FilterRange), compare_ranges);
	for (int i = 1; i < n; i++)
	{
		/* between neighbours there is no code */
		if (ranges[kept].high == PG_UINT64_MAX || ranges[i].low <= ranges[kept].high + 1)
			ranges[kept].high = Max(ranges[kept].high, ranges[i].high);
		else
			ranges[++kept] = ranges[i];
	}
	return kept + 1;
}

/* Keep of a test's ranges what others have, too. */
static void
intersect(FilterTest *test, FilterRange *ranges, int n)
{
	FilterRange *both;
	int			nboth = 0;

	if (test->all_codes)
	{
		test->all_codes = false;
		test->ranges = ranges;
		test->nranges = n;
		return;
	}
	both = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(FilterRange) * ((Size) test->nranges + n + 1));
	for (int i = 0, j = 0; i < test->nranges && j < n;)
	{
		FilterRange *a = &test->ranges[i];
		FilterRange *b = &ranges[j];

		if (Max(a->low, b->low) <= Min(a->high, b->high))
		{
			both[nboth].low = Max(a->low, b->low);
			both[nboth++].high = Min(a->high, b->high);
		}
		if (a->high < b->high)
			i++;
		else
			j++;
	}
	test->ranges = both;
	test->nranges = nboth;
}

/* The codes of the values for which a comparison may be true; false if there are none. */
static bool
comparison_range(VecidxFilter *filter, const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype,
				 Datum argument, FilterRange *range)
{
	uint64		max = vecidx_filter_max_code(column->width);
	VecidxFilterPlace place;

	column->type->place(column, strategy, subtype, argument, &place);
	range->low = 0;
	range->high = max;
	if (place.kind == FILTER_BEFORE_ALL)
		return strategy >= BTGreaterEqualStrategyNumber;
	if (place.kind == FILTER_WITHIN)
		filter->recheck = true;
	else
		place.high = place.low;

	switch (strategy)
	{
		case BTLessStrategyNumber:
			range->high = place.high;
			if (place.kind == FILTER_AT)
			{
				if (place.high == 0)
					return false;
				range->high--;
			}
			return true;
		case BTLessEqualStrategyNumber:
			range->high = place.high;
			return true;
		case BTEqualStrategyNumber:
			range->low = place.low;
			range->high = place.high;
			return place.kind != FILTER_AFTER;
		case BTGreaterEqualStrategyNumber:
		case BTGreaterStrategyNumber:
			range->low = place.low;
			if (place.kind == FILTER_AFTER ||
				(place.kind == FILTER_AT && strategy == BTGreaterStrategyNumber))
			{
				if (place.low >= max)
					return false;
				range->low++;
			}
			return true;
		default:
			elog(ERROR, "unexpected strategy %d of a filter column", strategy);
			return false;
	}
}

/* column = ANY (array), or another strategy. */
static FilterRange *
array_ranges(VecidxFilter *filter, const VecidxFilterColumn *column, const ScanKeyData *key, int *n)
{
	ArrayType  *array = DatumGetArrayTypeP(key->sk_argument);
	Oid			type = ARR_ELEMTYPE(array);
	int16		typlen;
	bool		typbyval;
	char		typalign;
	Datum	   *elements;
	bool	   *nulls;
	int			nelements;
	FilterRange *ranges;

	get_typlenbyvalalign(type, &typlen, &typbyval, &typalign);
	deconstruct_array(array, type, typlen, typbyval, typalign, &elements, &nulls, &nelements);
	ranges = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(FilterRange) * (nelements + 1));
	*n = 0;
	for (int i = 0; i < nelements; i++)
		if (!nulls[i] &&
			comparison_range(filter, column, key->sk_strategy, key->sk_subtype, elements[i], &ranges[*n]))
			(*n)++;
	*n = join_ranges(ranges, *n);
	return ranges;
}

/* array && or @> argument.  False if no row can meet it. */
static bool
add_signatures(VecidxFilter *filter, FilterTest *test, const ScanKeyData *key)
{
	int			n;
	int			nulls;
	VecidxFilterSignature *elements = vecidx_filter_signatures(test->column, key->sk_argument, &n, &nulls);
	FilterSignatures *conditions;

	filter->recheck = true;
	if (key->sk_strategy == VECIDX_FILTER_CONTAINS)
	{
		/* NULL is contained in nothing */
		if (nulls > 0)
			return false;
		if (n == 0)
			return true;
		for (int i = 1; i < n; i++)
			for (int j = 0; j < 2; j++)
				elements[0].bits[j] |= elements[i].bits[j];
		n = 1;
	}
	else if (key->sk_strategy != VECIDX_FILTER_OVERLAPS)
		elog(ERROR, "unexpected strategy %d of a filter column", key->sk_strategy);
	if (n == 0)
		return false;

	conditions = palloc(sizeof(FilterSignatures) * (test->nsignatures + 1));
	if (test->nsignatures > 0)
		memcpy(conditions, test->signatures, sizeof(FilterSignatures) * test->nsignatures);
	conditions[test->nsignatures].n = n;
	conditions[test->nsignatures].any = elements;
	test->signatures = conditions;
	test->nsignatures++;
	return true;
}

/* Add a scan key to the conditions on a column.  False if no row can meet it. */
static bool
add_key(VecidxFilter *filter, FilterTest *test, const ScanKeyData *key, bool *null, bool *not_null)
{
	FilterRange *ranges;
	int			n = 1;

	if (key->sk_flags & SK_SEARCHNULL)
	{
		*null = true;
		return true;
	}
	/* operators are strict */
	*not_null = true;
	if (key->sk_flags & SK_SEARCHNOTNULL)
		return true;
	if (key->sk_flags & SK_ISNULL)
		return false;

	if (test->column->type->code == NULL)
	{
		if ((key->sk_flags & SK_SEARCHARRAY) == 0)
			return add_signatures(filter, test, key);
		filter->recheck = true;
		return true;
	}
	if (key->sk_flags & SK_SEARCHARRAY)
		ranges = array_ranges(filter, test->column, key, &n);
	else
	{
		ranges = palloc(sizeof(FilterRange));
		if (!comparison_range(filter, test->column, key->sk_strategy, key->sk_subtype, key->sk_argument, ranges))
			return false;
	}
	intersect(test, ranges, n);
	return test->nranges > 0;
}

/* Fibonacci hashing. */
static inline uint64
table_entry(const FilterTest *test, uint64 code)
{
	return (code * UINT64CONST(0x9E3779B97F4A7C15)) >> test->shift;
}

static void
fill_table(FilterTest *test)
{
	int			bits;
	uint64		mask;

	test->table = NULL;
	if (test->nranges <= FEW_RANGES)
		return;
	test->vacant = 0;
	for (int i = 0; i < test->nranges; i++)
	{
		if (test->ranges[i].low != test->ranges[i].high)
			return;
		if (test->ranges[i].low == test->vacant)
			test->vacant++;
	}
	bits = pg_leftmost_one_pos64(test->nranges) + 2;
	mask = (UINT64CONST(1) << bits) - 1;
	test->shift = 64 - bits;
	test->table = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint64) * (mask + 1));
	for (uint64 i = 0; i <= mask; i++)
		test->table[i] = test->vacant;
	for (int i = 0; i < test->nranges; i++)
	{
		uint64		entry = table_entry(test, test->ranges[i].low);

		while (test->table[entry] != test->vacant)
			entry = (entry + 1) & mask;
		test->table[entry] = test->ranges[i].low;
	}
}

/* All conditions on one column; false if no row can meet them. */
static bool
prepare_test(VecidxFilter *filter, FilterTest *test, const ScanKeyData *keys, int nkeys, bool *any)
{
	bool		null = false;
	bool		not_null = false;

	*any = false;
	for (int i = 0; i < nkeys; i++)
	{
		if (keys[i].sk_attno != test->column->attno)
			continue;
		*any = true;
		if (!add_key(filter, test, &keys[i], &null, &not_null))
			return false;
	}
	test->must_be_null = null;
	fill_table(test);
	return !(null && not_null);
}

VecidxFilter *
vecidx_filter_prepare(VecidxFilter *former, const VecidxFilterLayout *layout, const ScanKeyData *keys, int nkeys,
					  MemoryContext context, bool *never)
{
	VecidxFilter *filter = former;
	MemoryContext caller;
	int			nfilters = 0;

	*never = false;
	for (int i = 0; i < nkeys; i++)
		nfilters += keys[i].sk_attno > 1;
	if (nfilters == 0)
		return NULL;
	Assert(layout != NULL);

	if (filter == NULL)
	{
		filter = MemoryContextAlloc(context, sizeof(VecidxFilter));
		filter->values = AllocSetContextCreate(context, "vecidx filter", ALLOCSET_SMALL_SIZES);
	}
	else
		MemoryContextReset(filter->values);
	filter->layout = layout;
	filter->simd = simd_get();
	filter->recheck = false;
	filter->ntests = 0;

	caller = MemoryContextSwitchTo(filter->values);
	for (int i = 0; i < layout->ncolumns && !*never; i++)
	{
		FilterTest *test = &filter->tests[filter->ntests];
		bool		any;

		memset(test, 0, sizeof(FilterTest));
		test->column = &layout->columns[i];
		test->number = i;
		test->all_codes = true;
		if (!prepare_test(filter, test, keys, nkeys, &any))
			*never = true;
		filter->ntests += any;
	}
	MemoryContextSwitchTo(caller);
	return filter;
}

bool
vecidx_filter_recheck(const VecidxFilter *filter)
{
	return filter->recheck;
}

/* ---- Tests ---- */

/* Whether one of many ranges has a code. */
static inline bool
in_ranges(const FilterTest *test, uint64 code)
{
	int			low = 0;
	int			high = test->nranges;

	if (test->table != NULL)
	{
		uint64		mask = UINT64_MAX >> test->shift;

		for (uint64 entry = table_entry(test, code); test->table[entry] != test->vacant; entry = (entry + 1) & mask)
			if (test->table[entry] == code)
				return true;
		return false;
	}

	/* the first that does not end before it */
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (test->ranges[middle].high < code)
			low = middle + 1;
		else
			high = middle;
	}
	return low < test->nranges && test->ranges[low].low <= code;
}

/* Which of n codes lie in a range. */
static inline uint64
range_mask(const SimdKernels *simd, const uint8 *codes, int width, uint32 n, const FilterRange *range)
{
	switch (width)
	{
		case 1:
			return simd->range_u8(codes, n, range->low, range->high);
		case 2:
			return simd->range_u16(codes, n, range->low, range->high);
		case 4:
			return simd->range_u32(codes, n, range->low, range->high);
		default:
			return simd->range_u64(codes, n, range->low, range->high);
	}
}

static inline bool
includes(const VecidxFilterSignature *row, const VecidxFilterSignature *wanted)
{
	return ((wanted->bits[0] & ~row->bits[0]) | (wanted->bits[1] & ~row->bits[1])) == 0;
}

/* Of the rows in mask, those whose signature includes one of some; codes are those of n rows. */
static uint64
signature_mask(const FilterSignatures *condition, const uint8 *codes, uint32 n, uint64 mask)
{
	const VecidxFilterSignature *rows = (const VecidxFilterSignature *) codes;
	uint64		result = 0;

	for (int i = 0; i < condition->n && result != mask; i++)
	{
		VecidxFilterSignature wanted = condition->any[i];
		uint64		found = 0;

		/* a branch for each row costs more than to look at all */
		for (uint32 row = 0; row < n; row++)
			found |= (uint64) includes(&rows[row], &wanted) << row;
		result |= found & mask;
	}
	return result;
}

/* Of the rows in mask, those whose code passes; codes are those of n rows. */
static uint64
test_codes(const SimdKernels *simd, const FilterTest *test, const uint8 *codes, uint32 n, uint64 mask)
{
	int			width = test->column->width;
	uint64		result = 0;

	for (int i = 0; i < test->nsignatures && mask != 0; i++)
		mask = signature_mask(&test->signatures[i], codes, n, mask);
	if (test->all_codes || mask == 0)
		return mask;

	if (test->nranges <= FEW_RANGES)
	{
		for (int i = 0; i < test->nranges; i++)
			result |= range_mask(simd, codes, width, n, &test->ranges[i]);
		return result & mask;
	}

	{
		FilterRange whole = {test->ranges[0].low, test->ranges[test->nranges - 1].high};

		mask &= range_mask(simd, codes, width, n, &whole);
	}
	for (; mask != 0; mask &= mask - 1)
	{
		int			row = pg_rightmost_one_pos64(mask);

		if (in_ranges(test, vecidx_filter_read_code(codes + (Size) row * width, width)))
			result |= UINT64CONST(1) << row;
	}
	return result;
}

/* NULL bits of up to 64 rows. */
static inline uint64
null_mask(const uint8 *bits, uint32 n)
{
	uint64		result = 0;

#ifndef WORDS_BIGENDIAN
	if (n == 64)
	{
		memcpy(&result, bits, sizeof(result));
		return result;
	}
#endif
	for (uint32 i = 0; i < (n + 7) / 8; i++)
		result |= (uint64) bits[i] << 8 * i;
	return result;
}

uint64
vecidx_filter_test(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 first, uint32 n)
{
	const VecidxFilterLayout *layout = filter->layout;
	uint64		mask = n < 64 ? (UINT64CONST(1) << n) - 1 : UINT64_MAX;

	Assert(n <= 64 && first % 8 == 0 && first + n <= capacity);
	for (int i = 0; i < filter->ntests && mask != 0; i++)
	{
		const FilterTest *test = &filter->tests[i];
		uint64		nulls = null_mask(chunk + null_offset(layout, test->number, capacity, first), n);

		if (test->must_be_null)
			mask &= nulls;
		else
			mask = test_codes(filter->simd, test, chunk + code_offset(test->column, capacity, first), n, mask & ~nulls);
	}
	return mask;
}

void
vecidx_filter_test_groups(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 first, uint32 ngroups, uint64 *masks)
{
	const VecidxFilterLayout *layout = filter->layout;

	Assert(first % 8 == 0 && first + 64 * ngroups <= capacity);
	for (uint32 group = 0; group < ngroups; group++)
		masks[group] = UINT64_MAX;
	for (int i = 0; i < filter->ntests; i++)
	{
		const FilterTest *test = &filter->tests[i];
		int			width = test->column->width;
		const uint8 *nulls = chunk + null_offset(layout, test->number, capacity, first);
		const uint8 *codes = chunk + code_offset(test->column, capacity, first);
		bool		one_range = test->nranges == 1 && test->nsignatures == 0 && !test->all_codes;

		for (uint32 group = 0; group < ngroups; group++)
		{
			uint64		null = null_mask(nulls + 8 * group, 64);
			uint64		mask = masks[group] & (test->must_be_null ? null : ~null);
			const uint8 *group_codes = codes + (Size) group * 64 * width;

			if (mask != 0 && !test->must_be_null)
			{
				if (one_range)
					mask &= range_mask(filter->simd, group_codes, width, 64, &test->ranges[0]);
				else
					mask = test_codes(filter->simd, test, group_codes, 64, mask);
			}
			masks[group] = mask;
		}
	}
}

/* Whether the codes that a page has in a column may meet its conditions. */
static bool
test_summary(const FilterTest *test, const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits)
{
	if (test->must_be_null || test->all_codes)
		return true;
	if (test->nranges > MANY_RANGES)
		return vecidx_summary_may_have(layout, summary, bits, test->number, test->ranges[0].low, test->ranges[test->nranges - 1].high);
	for (int i = 0; i < test->nranges; i++)
		if (vecidx_summary_may_have(layout, summary, bits, test->number, test->ranges[i].low, test->ranges[i].high))
			return true;
	return false;
}

bool
vecidx_filter_may_pass(const VecidxFilter *filter, const uint8 *summary, uint32 bits)
{
	for (int i = 0; i < filter->ntests; i++)
		if (!test_summary(&filter->tests[i], filter->layout, summary, bits))
			return false;
	return true;
}

bool
vecidx_filter_test_row(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 i)
{
	const VecidxFilterLayout *layout = filter->layout;

	for (int t = 0; t < filter->ntests; t++)
	{
		const FilterTest *test = &filter->tests[t];
		bool		null = (chunk[null_offset(layout, test->number, capacity, i)] & (1 << i % 8)) != 0;

		if (null != test->must_be_null)
			return false;
		if (!null && test_codes(filter->simd, test, chunk + code_offset(test->column, capacity, i), 1, 1) == 0)
			return false;
	}
	return true;
}
