/*
 * filter_type.h
 *		Types of filter columns: from values to codes, and from conditions to
 *		the codes of the values that can meet them.
 *
 * A type's operator classes name it through their support function 2, which
 * returns a pointer to a constant VecidxFilterType.
 */
#ifndef VECIDX_FILTER_TYPE_H
#define VECIDX_FILTER_TYPE_H

#include "index/filter.h"

/* Where the argument of a comparison lies among the codes of a column. */
typedef struct VecidxFilterPlace
{
	enum
	{
		FILTER_AT,				/* the value that code `low` stands for, and nothing else does */
		FILTER_WITHIN,			/* values of the codes low to high may be less, equal or greater */
		FILTER_AFTER,			/* above all values of code `low`, below all of the next, if there is one */
		FILTER_BEFORE_ALL		/* below all values */
	}			kind;
	uint64		low;
	uint64		high;			/* with FILTER_WITHIN only */
} VecidxFilterPlace;

/* The elements of an array as 128 bits: those of each of its elements set. */
typedef struct VecidxFilterSignature
{
	uint64		bits[2];
} VecidxFilterSignature;

struct VecidxFilterType
{
	const char *name;
	uint8		width;			/* bytes of a code: 1, 2, 4, 8; or 16, which is a signature */

	/*
	 * A value's code.  The codes of two values that a btree finds equal are
	 * the same.  NULL for arrays.
	 */
	uint64		(*code) (const VecidxFilterColumn *column, Datum value);

	/*
	 * Where the argument of a comparison lies; subtype is the operator's type
	 * on the right (InvalidOid: the column's).  It may depend on the strategy: a code may
	 * hold one thing for equality and another for order.
	 */
	void		(*place) (const VecidxFilterColumn *column, StrategyNumber strategy, Oid subtype, Datum argument,
						  VecidxFilterPlace *place);
};

/* The largest code of a width up to 8. */
static inline uint64
vecidx_filter_max_code(int width)
{
	return UINT64_MAX >> (64 - 8 * width);
}

/*
 * The signatures of an array's elements, one each, NULLs left out; *nulls says
 * how many those are.  In CurrentMemoryContext.
 */
extern VecidxFilterSignature *vecidx_filter_signatures(const VecidxFilterColumn *column, Datum array, int *n, int *nulls);

/*
 * Fill in what depends on the column's type; errors where the type lacks
 * something that its codes need.  type_id is that of the index column.
 */
extern void vecidx_filter_column_type(VecidxFilterColumn *column, Oid type_id);

#endif							/* VECIDX_FILTER_TYPE_H */
