/*
 * ivf_page.h
 *		What an IVFFlat or IVF-PQ index holds on disk.  src/ivf/README.md
 *		explains it.
 *
 * A change here is a new IVF_VERSION.
 */
#ifndef VECIDX_IVF_PAGE_H
#define VECIDX_IVF_PAGE_H

#include "postgres.h"

#include "index/extent.h"
#include "index/filter.h"
#include "index/page.h"
#include "quant/listcode.h"
#include "simd/simd.h"
#include "storage/itemptr.h"

#define IVF_VERSION 5

/*
 * From so many dimensions on ivfpq's centroids are what their codes say, and
 * kept as these alone: exact ones would be a third of an index with one bit a
 * dimension (README).
 */
#define IVF_CODED_CENTROID_DIM 256

/*
 * In an index with further columns, exact codes from so many bytes on stand
 * apart from their rows, and are looked at only where a row passes (README).
 */
#define IVF_APART_SIZE 1024

#define IVF_META_MAGIC 0x20465649	/* "IVF " */
#define IVF_META_BLOCK ((BlockNumber) 0)

#define IVF_MIN_LISTS 1
#define IVF_MAX_LISTS 32768		/* that a user may ask for */
#define IVF_LIST_LIMIT ((uint32) 1 << 24)	/* that there may ever be */

/* What a list's entry is to become. */
typedef struct IvfPendingData
{
	uint32		list;
	uint32		generation;
	ItemPointerData head;
	ItemPointerData tail;
	uint32		rows;
	uint32		segments;
	uint32		state;
} IvfPendingData;

StaticAssertDecl(sizeof(IvfPendingData) == 32, "a pending change is 32 bytes on disk");

#define IVF_MAX_PENDING 64

/* Whether rows are being moved from list to list; and if that was ever cut short, some may stand in two for good. */
#define IVF_MOVED 0
#define IVF_MOVING 1
#define IVF_MOVED_TWICE 2

/* Block 0, at PageGetContents. */
typedef struct IvfMetaPageData
{
	uint32		magic;
	uint32		version;

	/*
	 * Frozen while uid stays.  An index made on a table too small to learn
	 * from gets origin and trained data later, and a new uid with them.
	 */
	uint64		uid;			/* random: tells one incarnation from the next */
	uint64		seed;
	uint32		dim;
	uint8		metric;			/* Metric */
	uint8		kind;			/* ListCodeKind */
	uint8		elements;		/* QuantElements */
	uint8		half;			/* ListCodeSpec.half */
	uint16		pq_m;
	uint8		bits;
	uint8		route;			/* QuantKind of the directory's codes */
	uint8		has_origin;
	uint8		learned;		/* made from enough rows: 0 asks for another try later */
	uint16		nfilters;		/* further columns */
	uint32		filter_bytes;	/* of their values in a row (VecidxFilterLayout.row_bytes) */
	uint32		lists_wanted;	/* as the user said, 0: by the number of rows */
	uint32		code_size;		/* bytes of a list's code */
	uint32		entry_size;		/* bytes of a directory entry */
	uint16		entries_per_page;
	uint16		centroid_pages; /* of each unit; 0: the entry's code is all there is */
	uint32		trained_size;	/* bytes of the trained data; the origin stands before them */
	BlockNumber trained_block;	/* first of the contiguous pages of origin and trained data */
	uint32		ntrained_blocks;

	/* changing, under the buffer's exclusive lock */
	uint32		nlists;			/* directory entries made so far, in use or not */
	uint64		changes;		/* goes up with every change of an entry's head */
	uint64		swept;			/* `changes` when VACUUM last began to give leftovers free, and none had to stay */
	VecidxExtentMap units;

	/*
	 * Entries that change together and do not fit one WAL record: as soon as
	 * they stand here the change is made, and whoever has the maintenance lock
	 * next brings it to its end.
	 */
	uint32		npending;
	uint32		moving;			/* IVF_MOVED, or whether a row may stand in two lists */
	IvfPendingData pending[IVF_MAX_PENDING];
} IvfMetaPageData;

typedef IvfMetaPageData *IvfMetaPage;

#define IvfPageGetMeta(page) ((IvfMetaPage) PageGetContents(page))

/* Pages of kind VECIDX_PAGE_TRAINED: this many bytes each, from PageGetContents on. */
#define IVF_BLOB_PAGE_BYTES \
	(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(VecidxPageOpaqueData))

/*
 * The directory stands in units of 1 + centroid_pages contiguous pages: a page
 * of kind VECIDX_PAGE_DIRECTORY with entries_per_page entries from
 * PageGetContents on, then the pages of kind VECIDX_PAGE_CENTROID with the
 * exact centroids of these lists (float32, one after the other; a centroid that
 * does not fit a page goes on in the next).  Unit u is extent page u times
 * (1 + centroid_pages); list l has entry l % entries_per_page of unit
 * l / entries_per_page.
 */
typedef struct IvfEntryData
{
	ItemPointerData head;		/* first segment; invalid: the list is empty */
	ItemPointerData tail;		/* last segment, where rows are added; invalid if head is */
	uint32		generation;		/* of the list's segments, random */
	uint32		rows;			/* of the segments before the tail, about: dead ones may have gone since */
	uint32		segments;		/* in the chain */
	uint32		state;			/* IVF_LIST_* */
	float4		norm;			/* inner product: squared length of the centroid; else 0 */
	uint64		changed;		/* next transaction id when head was last replaced */
	float4		spread;			/* mean distance from the centroid by the route metric when it was written; 0: unknown */
	uint32		born;			/* rows that it was written with; when it settles, no more than before */
	uint8		code[FLEXIBLE_ARRAY_MEMBER];	/* the centroid's: a record of the route quantizer */
} IvfEntryData;

typedef IvfEntryData *IvfEntry;

StaticAssertDecl(offsetof(IvfEntryData, code) == 48, "a directory entry's head is 48 bytes on disk");

#define IVF_LIST_FREE 0			/* never used, or merged away */
#define IVF_LIST_USED 1

#define IVF_ENTRY_SIZE(code_size) MAXALIGN(offsetof(IvfEntryData, code) + (Size) (code_size))
/* SIMD_SLACK bytes stay readable behind the last code. */
#define IVF_DIRECTORY_PAGE_BYTES (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - SIMD_SLACK)
#define IVF_CENTROID_PAGE_BYTES IVF_BLOB_PAGE_BYTES

#define IvfPageGetEntry(page, entry_size, slot) \
	((IvfEntry) (PageGetContents(page) + (Size) (slot) * (entry_size)))

/*
 * Lists stand on pages of kind VECIDX_PAGE_LIST: pages with line pointers, each
 * item a segment, several lists to a page.  The segments of a list are a
 * chain.
 */
typedef struct IvfSegmentData
{
	uint32		list;
	uint32		generation;		/* the list's when this was made; if the entry has another, this is not the list's any more */
	ItemPointerData next;		/* invalid in the last */
	uint16		count;			/* codes in use, from 0 on */
	uint16		capacity;
	uint16		flags;
	uint32		unused;

	/*
	 * Follow: float32 factors [nfactors][capacity]; codes of capacity rows,
	 * or in blocks, or (ivf_codes_apart()) ItemPointerData places[capacity] of the
	 * segments where they stand; ItemPointerData tids[capacity]; a chunk (index/filter.h) of
	 * the further columns' values for capacity rows, rounded up to eight; padding.
	 *
	 * Places from count on are of codes whose rows are gone, to be used again,
	 * or invalid.
	 *
	 * With IVF_SEGMENT_CODE: the code of one row, padding.
	 */
} IvfSegmentData;

typedef IvfSegmentData *IvfSegment;

StaticAssertDecl(sizeof(IvfSegmentData) == 24, "a segment's head is 24 bytes on disk");

/* Codes stand in blocks of LISTCODE_BLOCK, the last one of what is left; count = capacity; a row taken away has no TID. */
#define IVF_SEGMENT_BLOCKS 1
/* Nothing may be added: the list is being rewritten, or that was cut short. */
#define IVF_SEGMENT_CLOSED 2
/* No rows, but the code of one that is in another segment of the list; next is invalid, count = capacity = 1. */
#define IVF_SEGMENT_CODE 4

/* What one segment may take. */
#define IVF_SEGMENT_MAX_SIZE \
	MAXALIGN_DOWN(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(ItemIdData) - sizeof(VecidxPageOpaqueData))

/* Where a segment's parts begin, and how long it is. */
typedef struct IvfSegmentLayout
{
	Size		a;				/* first and second factors; both 0 if there are none */
	Size		b;
	Size		codes;
	Size		tids;
	Size		filters;		/* 0 if there are none */
	Size		size;			/* a multiple of 8 */
} IvfSegmentLayout;

/* Whether codes stand apart from their rows. */
static inline bool
ivf_codes_apart(const ListCode *code, const VecidxFilterLayout *filters)
{
	return filters != NULL && code->exact && code->code_size >= IVF_APART_SIZE;
}

/* What a segment in rows has in the place of a row's code: the code, or where it is. */
static inline Size
ivf_stored_size(const ListCode *code, const VecidxFilterLayout *filters)
{
	return ivf_codes_apart(code, filters) ? sizeof(ItemPointerData) : code->code_size;
}

/* Length of a segment with the code of one row; kernels may read SIMD_SLACK bytes past that (see below). */
static inline Size
ivf_code_segment_size(const ListCode *code)
{
	return MAXALIGN(sizeof(IvfSegmentData) + code->code_size + SIMD_SLACK - sizeof(VecidxPageOpaqueData));
}

/* Rows of the chunk with the further columns' values. */
#define IVF_FILTER_CAPACITY(capacity) (((uint32) (capacity) + 7) / 8 * 8)

/* capacity: at most 65535; nothing here overflows for what ivf_segment_capacity() gives. */
static inline IvfSegmentLayout
ivf_segment_layout(const ListCode *code, const VecidxFilterLayout *filters, uint32 capacity, bool blocks)
{
	IvfSegmentLayout layout = {0};
	Size		codes;

	layout.codes = sizeof(IvfSegmentData);
	if (code->nfactors > 0)
	{
		layout.a = layout.codes;
		layout.b = layout.a + sizeof(float4) * capacity;
		layout.codes = layout.b + sizeof(float4) * capacity;
	}
	if (blocks)
		codes = (capacity / LISTCODE_BLOCK) * listcode_block_size(code, LISTCODE_BLOCK) +
			(capacity % LISTCODE_BLOCK > 0 ? listcode_block_size(code, capacity % LISTCODE_BLOCK) : 0);
	else
		codes = ivf_stored_size(code, filters) * capacity;
	layout.tids = layout.codes + (codes + 1) / 2 * 2;
	layout.size = layout.tids + sizeof(ItemPointerData) * capacity;
	if (filters != NULL)
	{
		layout.filters = MAXALIGN(layout.size);
		layout.size = layout.filters + vecidx_filter_chunk_size(filters, IVF_FILTER_CAPACITY(capacity));
	}
	/* kernels may read SIMD_SLACK bytes past the codes; the page's special area is behind the last item */
	layout.size = MAXALIGN(Max(layout.size, layout.codes + codes + SIMD_SLACK - sizeof(VecidxPageOpaqueData)));
	return layout;
}

/* Bytes of a row in a long segment and, if its code is apart, there; rounded up. */
static inline Size
ivf_row_size(const ListCode *code, const VecidxFilterLayout *filters)
{
	Size		size = code->code_size + sizeof(float4) * code->nfactors + sizeof(ItemPointerData);

	if (ivf_codes_apart(code, filters))
		size += sizeof(ItemPointerData) + sizeof(ItemIdData) + sizeof(IvfSegmentData);
	return filters == NULL ? size : size + filters->packed_size;
}

/* The largest segment that fits so many bytes; 0 if none does. */
static inline uint32
ivf_segment_capacity(const ListCode *code, const VecidxFilterLayout *filters, Size bytes, bool blocks)
{
	uint32		capacity;

	if (bytes < sizeof(IvfSegmentData) || code->code_size > BLCKSZ ||
		(ivf_codes_apart(code, filters) && ivf_code_segment_size(code) > IVF_SEGMENT_MAX_SIZE))
		return 0;
	/* without NULL bits, of which a row may have less than a byte */
	capacity = (uint32) ((bytes - sizeof(IvfSegmentData)) /
						 (ivf_stored_size(code, filters) + sizeof(float4) * code->nfactors + sizeof(ItemPointerData) +
						  (filters == NULL ? 0 : filters->row_bytes))) + 1;
	while (capacity > 0 && ivf_segment_layout(code, filters, capacity, blocks).size > bytes)
		capacity--;
	return capacity;
}

StaticAssertDecl(MAXALIGN(SizeOfPageHeaderData) + sizeof(IvfMetaPageData) + sizeof(VecidxPageOpaqueData) <= BLCKSZ,
				 "the metapage's content must fit a page");

#endif							/* VECIDX_IVF_PAGE_H */
