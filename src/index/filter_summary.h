/*
 * filter_summary.h
 *		What the rows of a page have in their filter columns, in a few bytes, so
 *		that a scan need not look at pages where none passes.
 *
 * For each column the least and the greatest code, and a Bloom filter of the
 * codes: a bit of a row each, about, of which a code sets two that lie in one
 * word (Putze, Sanders and Singler 2007, blocked Bloom filters).  So a range is
 * ruled out where values come into the table in some order, as times do, and
 * a single value also where they come in any order but have other values beside
 * them more often, as tenants do.  NULLs are not in a summary, nor are the
 * elements of arrays.
 *
 * A summary is only ever widened: rows that go away stay in it.  Bits are
 * only ever set, and the bounds are words of eight bytes on multiples of
 * eight, which are written in one piece.  So who reads a summary while it is
 * changed finds every row in it that was there before the change.
 */
#ifndef VECIDX_FILTER_SUMMARY_H
#define VECIDX_FILTER_SUMMARY_H

#include "index/filter.h"

/* Codes of a column; low is above high where there are none. */
typedef struct VecidxFilterBounds
{
	uint64		low;
	uint64		high;
} VecidxFilterBounds;

#define VECIDX_SUMMARY_MIN_BITS 64
#define VECIDX_SUMMARY_MAX_BITS 2048

/* Bits of a column's Bloom filter that do for so many rows: a power of two, of words of 64. */
static inline uint32
vecidx_summary_bits(uint32 rows)
{
	uint32		bits = VECIDX_SUMMARY_MIN_BITS;

	while (bits < rows && bits < VECIDX_SUMMARY_MAX_BITS)
		bits *= 2;
	return bits;
}

/* Bytes of a summary of so many columns: the bounds of all, then the Bloom filters.  A multiple of 8, as is its alignment. */
static inline Size
vecidx_summary_size(int ncolumns, uint32 bits)
{
	return (Size) ncolumns * (sizeof(VecidxFilterBounds) + bits / 8);
}

/* Of no rows. */
extern void vecidx_summary_init(const VecidxFilterLayout *layout, uint8 *summary, uint32 bits);

/* Widen a summary so that it has a packed row. */
extern void vecidx_summary_add(const VecidxFilterLayout *layout, uint8 *summary, uint32 bits, const uint8 *packed);

/* What vecidx_summary_add() would change, piece by piece: offsets are those in the summary. */
extern void vecidx_summary_add_pieces(const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits,
									  const uint8 *packed, VecidxFilterWrite write, void *arg);

/* Whether it has a packed row. */
extern bool vecidx_summary_has(const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits, const uint8 *packed);

/* Whether a column's codes may be some of those from low to high. */
static inline bool
vecidx_summary_may_have(const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits, int number, uint64 low, uint64 high)
{
	const VecidxFilterBounds *bounds = (const VecidxFilterBounds *) summary + number;
	uint64		hash;
	uint64		word;

#ifdef PG_HAVE_8BYTE_SINGLE_COPY_ATOMICITY
	if (high < bounds->low || low > bounds->high)
		return false;
#endif
	if (low != high)
		return true;
	hash = low * UINT64CONST(0x9E3779B97F4A7C15);
	word = ((const uint64 *) (summary + layout->ncolumns * sizeof(VecidxFilterBounds) + (Size) number * (bits / 8)))[(hash >> 32) & (bits / 64 - 1)];
	return (word >> (hash >> 58) & word >> (hash >> 52 & 63) & 1) != 0;
}

#endif							/* VECIDX_FILTER_SUMMARY_H */
