/*
 * filter.h
 *		Further columns of an index, by which queries filter: how their values
 *		lie in the index, and how conditions on them are tested there, before
 *		anything is scored or fetched.
 *
 * The first column of an index is the vector; those behind it are filter
 * columns.  A value becomes a code of 1, 2, 4, 8 or 16 bytes that keeps as much of its
 * order as the type allows (filter_type.c).  Where a code cannot tell all
 * values apart, a condition on it may let rows through that do not meet it,
 * never the reverse; the executor then looks at the row (recheck).
 *
 * Rows stand in chunks: for `capacity` rows (a multiple of 8) the codes of one
 * column after those of the other, wider ones first, then a bit a row for
 * each column that says which values are NULL.  So a condition is tested by a
 * loop over one array.  Both access methods use the same chunks: hnsw on
 * pages of their own, by node, ivf in each segment.
 *
 * Outside chunks (in memory, while an index is built) a row is packed: its
 * codes in the same order, then its NULL bits.
 */
#ifndef VECIDX_FILTER_H
#define VECIDX_FILTER_H

#include "postgres.h"

#include "access/genam.h"
#include "access/skey.h"
#include "nodes/pathnodes.h"
#include "utils/rel.h"

/* Support function of the operator classes of filter columns: returns a pointer to a constant VecidxFilterType. */
#define VECIDX_FILTER_PROC 2

/* Strategies of their operators; the first five are a btree's. */
#define VECIDX_FILTER_OVERLAPS 6	/* && of arrays */
#define VECIDX_FILTER_CONTAINS 7	/* @> */

#define VECIDX_MAX_FILTERS (INDEX_MAX_KEYS - 1)
#define VECIDX_MAX_FILTER_WIDTH 16

/* No packed row is larger. */
#define VECIDX_MAX_PACKED ((VECIDX_MAX_FILTER_WIDTH + 1) * VECIDX_MAX_FILTERS)

typedef struct VecidxFilterType VecidxFilterType;	/* filter_type.h */

typedef struct VecidxFilterColumn
{
	const VecidxFilterType *type;
	Oid			element;		/* the column's type, with which type's functions are called */
	Oid			collation;
	AttrNumber	attno;			/* in the index: from 2 on */
	uint8		width;			/* bytes of a code */
	uint16		offset;			/* bytes of the codes before it in a packed row */
} VecidxFilterColumn;

/* How the filter columns of an index lie. */
typedef struct VecidxFilterLayout
{
	int			ncolumns;
	uint32		row_bytes;		/* codes of a row */
	uint32		packed_size;	/* codes and NULL bits of a packed row */
	VecidxFilterColumn columns[VECIDX_MAX_FILTERS]; /* wider ones first */
} VecidxFilterLayout;

/*
 * The layout of an index, or NULL where it has the vector only; allocated in
 * context.  Errors where the first column is no vector or a further one has
 * no operator class for filters.
 */
extern const VecidxFilterLayout *vecidx_filter_layout(Relation index, MemoryContext context);

/* Bytes of a chunk for capacity rows (a multiple of 8); a multiple of 8 itself, as is its alignment. */
static inline Size
vecidx_filter_chunk_size(const VecidxFilterLayout *layout, uint32 capacity)
{
	return MAXALIGN((Size) capacity * layout->row_bytes + (Size) layout->ncolumns * (capacity / 8));
}

/* The most rows, a multiple of 8, whose chunk fits so many bytes. */
extern uint32 vecidx_filter_chunk_capacity(const VecidxFilterLayout *layout, Size bytes);

/*
 * Pack a row's values.  values and isnull are those of aminsert: [0] is the vector.
 * packed has packed_size bytes.  What is detoasted on the way stays in
 * CurrentMemoryContext.
 */
extern void vecidx_filter_pack(const VecidxFilterLayout *layout, const Datum *values, const bool *isnull, uint8 *packed);

/* A code of at most 8 bytes, as it lies in a packed row or a chunk. */
static inline uint64
vecidx_filter_read_code(const uint8 *from, int width)
{
	uint16		two;
	uint32		four;
	uint64		eight;

	switch (width)
	{
		case 1:
			return *from;
		case 2:
			memcpy(&two, from, sizeof(two));
			return two;
		case 4:
			memcpy(&four, from, sizeof(four));
			return four;
		default:
			memcpy(&eight, from, sizeof(eight));
			return eight;
	}
}

/* Put row i of a chunk in place, and copy it out again. */
extern void vecidx_filter_put(const VecidxFilterLayout *layout, uint8 *chunk, uint32 capacity, uint32 i, const uint8 *packed);
extern void vecidx_filter_get(const VecidxFilterLayout *layout, const uint8 *chunk, uint32 capacity, uint32 i, uint8 *packed);

/*
 * What vecidx_filter_put() would change, piece by piece, for a change to a
 * page that is logged by its bytes: calls write(arg, offset in the chunk,
 * bytes, n) for each column's code and each byte of NULL bits (as it is to be).
 */
typedef void (*VecidxFilterWrite) (void *arg, Size offset, const void *bytes, Size n);

extern void vecidx_filter_put_pieces(const VecidxFilterLayout *layout, const uint8 *chunk, uint32 capacity, uint32 i,
									 const uint8 *packed, VecidxFilterWrite write, void *arg);

/* ---- Conditions of a scan ---- */

typedef struct VecidxFilter VecidxFilter;

/*
 * Turn the scan keys of filter columns into tests.  The result is made in
 * context, and used again when passed as `former` (NULL at first) at a
 * rescan.  *never: no row can meet the conditions.  Returns NULL where
 * there are no conditions on filter columns.
 */
extern VecidxFilter *vecidx_filter_prepare(VecidxFilter *former, const VecidxFilterLayout *layout, const ScanKeyData *keys, int nkeys,
										   MemoryContext context, bool *never);

/* Whether rows that pass may still not meet the conditions (xs_recheck). */
extern bool vecidx_filter_recheck(const VecidxFilter *filter);

/*
 * Which of n rows (at most 64) of a chunk, from row first on (a multiple of
 * 8), pass: bit i is row first + i.  Bits of NULLs and of bytes that were never
 * written say something, too: the caller knows which rows there are.
 */
extern uint64 vecidx_filter_test(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 first, uint32 n);

/* The same for several times 64 rows. */
extern void vecidx_filter_test_groups(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 first, uint32 ngroups,
									  uint64 *masks);

/*
 * Whether any row may pass of those that a summary has (filter_summary.h;
 * bits are those of its Bloom filters).
 */
extern bool vecidx_filter_may_pass(const VecidxFilter *filter, const uint8 *summary, uint32 bits);

/* Whether row i passes. */
extern bool vecidx_filter_test_row(const VecidxFilter *filter, const uint8 *chunk, uint32 capacity, uint32 i);

/* ---- Planning (filter_plan.c) ---- */

/*
 * Add to a path, which is ordered by distance, those conditions on filter
 * columns that the planner leaves out: IN and = ANY in ordered paths (before
 * version 17), boolean columns as conditions (in 15).
 * For the cost estimate, as with vecidx_radius_conditions().
 */
extern void vecidx_filter_conditions(PlannerInfo *root, IndexPath *path);

#endif							/* VECIDX_FILTER_H */
