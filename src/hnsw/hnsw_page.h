/*
 * hnsw_page.h
 *		What an HNSW index holds on disk.  src/hnsw/README.md explains it.
 *
 * A change here is a new HNSW_VERSION.
 */
#ifndef VECIDX_HNSW_PAGE_H
#define VECIDX_HNSW_PAGE_H

#include "postgres.h"

#include "index/extent.h"
#include "index/filter.h"
#include "index/filter_summary.h"
#include "index/page.h"
#include "quant/quantizer.h"
#include "simd/simd.h"
#include "storage/itemptr.h"

#define HNSW_VERSION 3
#define HNSW_META_MAGIC 0x57534E48	/* "HNSW" */
#define HNSW_META_BLOCK ((BlockNumber) 0)

/* A node is a number; code record and adjacency record follow from it. */
#define HNSW_INVALID_NODE PG_UINT32_MAX
#define HNSW_NODE_LIMIT ((uint32) 1 << 31)	/* numbers are below: the top bit of a link is not the node's */

/*
 * A link on disk is the node it leads to, with this bit set if the selection
 * rule kept it; the others only fill up.  A list is in no order, so that
 * taking one link in changes four bytes of it.
 */
#define HNSW_LINK_KEPT ((uint32) 1 << 31)
#define HnswLinkNode(link) ((link) & ~HNSW_LINK_KEPT)

#define HNSW_MIN_M 2
#define HNSW_MAX_M 100
#define HNSW_DEFAULT_M 16
#define HNSW_MIN_EF_CONSTRUCTION 4
#define HNSW_MAX_EF_CONSTRUCTION 1000
#define HNSW_DEFAULT_EF_CONSTRUCTION 64
#define HNSW_LEVEL_LIMIT 31		/* no node stands higher, whatever m is */

/* Links a node may have on a level. */
#define HNSW_MAX_LINKS(m, level) ((level) == 0 ? 2 * (m) : (m))
#define HNSW_MAX_LINKS_ANY (2 * HNSW_MAX_M)

/* Block 0, at PageGetContents. */
typedef struct HnswMetaPageData
{
	uint32		magic;
	uint32		version;

	/* frozen when the index is made */
	uint64		uid;			/* random: tells one incarnation from the next */
	uint64		seed;			/* of rotation and levels */
	uint32		dim;
	uint16		m;
	uint16		ef_construction;
	uint8		quantizer;		/* QuantKind */
	uint8		metric;			/* Metric */
	uint8		has_centre;
	uint8		unused1;
	uint32		code_size;		/* bytes of a code record, or of HnswWideSlot */
	uint32		adjacency_size; /* bytes of an adjacency record */
	uint16		codes_per_page;
	uint16		adjacencies_per_page;
	uint16		nfilters;		/* filter columns */
	uint16		filter_bytes;	/* of a node's codes of them */
	uint32		filters_per_page;	/* nodes whose values stand on a filter page; 0 without filter columns */
	BlockNumber centre_block;	/* first of the contiguous centre pages */
	uint32		ncentre_blocks;

	/* changing, under the buffer's exclusive lock */
	uint32		entry;			/* entry node, HNSW_INVALID_NODE when empty */
	uint32		entry_level;
	uint32		code_pages;		/* code pages in use: nodes are below code_pages * codes_per_page */
	uint32		free_head;		/* first of the free nodes, linked through links[0] */
	uint32		nfree;
	uint32		vacuuming;		/* nodes may be marked deleted: a VACUUM is under way or was cut short */
	VecidxExtentMap codes;
	VecidxExtentMap adjacencies;
	VecidxExtentMap filters;
} HnswMetaPageData;

typedef HnswMetaPageData *HnswMetaPage;

#define HnswPageGetMeta(page) ((HnswMetaPage) PageGetContents(page))

/*
 * Code pages: records (or wide slots) of code_size bytes from PageGetContents on; pd_lower
 * ends the last one in use.  A record never changes while its node is
 * reachable.  SIMD_SLACK bytes stay readable behind the last record.
 */
#define HNSW_CODE_PAGE_BYTES (BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - SIMD_SLACK)

/*
 * Records that differ in size (sparse vectors) or are larger than a code page
 * stand on extra pages, in a chain of chunks; what stands on the code page is
 * where the first one is.
 */
typedef struct HnswWideSlot
{
	ItemPointerData first;		/* invalid: VACUUM took the record away */
	uint16		unused;
	uint32		size;			/* bytes of the record */
} HnswWideSlot;

StaticAssertDecl(sizeof(HnswWideSlot) == 12, "a wide slot is 12 bytes on disk");

static inline bool
hnsw_is_wide(QuantKind kind, Metric metric, int dim)
{
	Size		size = quant_code_size(kind, metric, dim);

	return size > HNSW_CODE_PAGE_BYTES || (size > 0 && quant_sized(kind));
}

/* Bytes that a node takes on its code page; 0 where the kind cannot serve the metric. */
static inline Size
hnsw_code_size(QuantKind kind, Metric metric, int dim)
{
	return hnsw_is_wide(kind, metric, dim) ? sizeof(HnswWideSlot) : quant_code_size(kind, metric, dim);
}

/* Centre pages: float32 from PageGetContents on. */
#define HNSW_CENTRE_PER_PAGE \
	((BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(VecidxPageOpaqueData)) / sizeof(float4))

/* Node flags; 0 is a slot that never held a node. */
#define HNSW_NODE_USED 1		/* has TIDs */
#define HNSW_NODE_DELETED 2		/* no TIDs left, links to it may remain */
#define HNSW_NODE_FREE 3		/* on the free list */

/*
 * Adjacency record: fixed size (adjacency_size), from PageGetContents on.
 * links[] are those of level 0.  What most nodes have lies together, from tid
 * on, so that a new one is written in one piece.
 */
typedef struct HnswAdjacencyData
{
	uint16		unused1;
	ItemPointerData upper;		/* level > 0: upper links; else a second heap TID, or invalid */
	ItemPointerData more;		/* chunk with further TIDs, or invalid */
	ItemPointerData tid;		/* first heap TID; invalid when taken away */
	uint8		state;			/* HNSW_NODE_* */
	uint8		level;			/* top level of the node */
	uint8		nlinks;
	uint8		unused2;
	uint32		links[FLEXIBLE_ARRAY_MEMBER];
} HnswAdjacencyData;

typedef HnswAdjacencyData *HnswAdjacency;

StaticAssertDecl(offsetof(HnswAdjacencyData, links) == 24, "adjacency header is 24 bytes on disk");

/*
 * The TIDs that stand in the record itself, some of them invalid; further ones
 * are in chunks.  Most nodes have no upper links and so a place for a second:
 * an UPDATE that leaves the vector alone writes six bytes there.
 */
#define HnswOwnTids(adjacency) ((adjacency)->level == 0 ? 2 : 1)
#define HnswOwnTid(adjacency, i) ((i) == 0 ? &(adjacency)->tid : &(adjacency)->upper)

#define HNSW_ADJACENCY_SIZE(m) \
	(MAXALIGN(offsetof(HnswAdjacencyData, links) + sizeof(uint32) * 2 * (m)))
#define HNSW_ADJACENCY_PAGE_BYTES \
	(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(VecidxPageOpaqueData))

/*
 * Filter pages, where an index has filter columns: page p holds the values of
 * nodes from p * filters_per_page on as one chunk (index/filter.h), behind
 * a summary of them (index/filter_summary.h) at PageGetContents, if that is
 * worth its bytes.  pd_lower ends the chunk from the first value on; places of
 * nodes that there are not hold anything.  Values never change while their
 * node is reachable, and the summary has those of all reachable nodes.
 */
#define HNSW_FILTER_PAGE_BYTES \
	(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(VecidxPageOpaqueData))

/* Where fewer nodes would fit, their values are tested as fast as a summary. */
#define HNSW_SUMMARY_LEAST_NODES 128

typedef struct HnswFilterPage
{
	uint32		nodes;			/* a multiple of 64, or less than 64 and one of 8; 0 without filter columns */
	uint32		summary_bits;	/* of a column's Bloom filter; 0: no summary */
	uint32		chunk;			/* where the chunk begins on the page */
} HnswFilterPage;

static inline uint32
hnsw_filter_nodes(int ncolumns, uint32 row_bytes, Size bytes)
{
	uint32		n = bytes / (8 * row_bytes + ncolumns) * 8;

	return n < 64 ? n : n - n % 64;
}

/*
 * How filter pages look with columns of row_bytes bytes in all.  A summary
 * takes at most a sixteenth of the nodes' places, with as large Bloom filters as that allows.
 */
static inline HnswFilterPage
hnsw_filter_page(int ncolumns, uint32 row_bytes)
{
	HnswFilterPage result = {0, 0, MAXALIGN(SizeOfPageHeaderData)};

	if (ncolumns == 0)
		return result;
	result.nodes = hnsw_filter_nodes(ncolumns, row_bytes, HNSW_FILTER_PAGE_BYTES);
	if (result.nodes < HNSW_SUMMARY_LEAST_NODES)
		return result;
	for (uint32 bits = vecidx_summary_bits(result.nodes); bits >= VECIDX_SUMMARY_MIN_BITS; bits /= 2)
	{
		Size		summary = vecidx_summary_size(ncolumns, bits);
		uint32		nodes = hnsw_filter_nodes(ncolumns, row_bytes, HNSW_FILTER_PAGE_BYTES - summary);

		if (nodes >= result.nodes - result.nodes / 16)
		{
			result.nodes = nodes;
			result.summary_bits = bits;
			result.chunk += summary;
			break;
		}
	}
	return result;
}

/* Where the chunk of a filter page ends. */
static inline uint32
hnsw_filter_page_end(const VecidxFilterLayout *filters, const HnswFilterPage *page)
{
	return page->chunk + (uint32) vecidx_filter_chunk_size(filters, page->nodes);
}

static inline uint8 *
hnsw_filter_chunk(const HnswFilterPage *filter_page, Page page)
{
	return (uint8 *) page + filter_page->chunk;
}

static inline uint8 *
hnsw_filter_summary(Page page)
{
	return (uint8 *) PageGetContents(page);
}

/* Begin a filter page, which is no filter page yet. */
extern void hnsw_filter_page_init(const VecidxFilterLayout *filters, const HnswFilterPage *filter_page, Page page, uint32 ordinal);

/* Put a node's values in their place of such a page. */
extern void hnsw_filter_page_put(const VecidxFilterLayout *filters, const HnswFilterPage *filter_page, Page page, uint32 row,
								 const uint8 *packed);

/* Links of one upper level. */
typedef struct HnswUpperLevelData
{
	uint16		nlinks;
	uint16		unused;
	uint32		links[FLEXIBLE_ARRAY_MEMBER];
} HnswUpperLevelData;

typedef HnswUpperLevelData *HnswUpperLevel;

#define HNSW_UPPER_LEVEL_SIZE(m) (offsetof(HnswUpperLevelData, links) + sizeof(uint32) * (m))

/* Items of extra pages begin with this. */
typedef enum HnswExtraKind
{
	HNSW_EXTRA_UPPER = 1,
	HNSW_EXTRA_TIDS = 2,
	HNSW_EXTRA_CODE = 3
} HnswExtraKind;

typedef struct HnswExtraHeader
{
	uint32		node;			/* the owner */
	uint8		kind;			/* HnswExtraKind */
	uint8		level;			/* HNSW_EXTRA_UPPER: levels 1 .. level follow */
	uint16		unused;
} HnswExtraHeader;

/* header, then one HnswUpperLevelData per level from 1 up */
#define HNSW_UPPER_SIZE(m, level) \
	(sizeof(HnswExtraHeader) + (Size) (level) * HNSW_UPPER_LEVEL_SIZE(m))
#define HnswUpperGetLevel(item, m, level) \
	((HnswUpperLevel) ((char *) (item) + HNSW_UPPER_SIZE(m, (level) - 1)))

/* Further TIDs of a node, a chain with the newest chunk first. */
typedef struct HnswTidChunkData
{
	HnswExtraHeader header;
	ItemPointerData next;
	uint16		ntids;
	uint16		capacity;
	uint16		unused;
	ItemPointerData tids[FLEXIBLE_ARRAY_MEMBER];
} HnswTidChunkData;

typedef HnswTidChunkData *HnswTidChunk;

#define HNSW_TID_CHUNK_SIZE(capacity) \
	(offsetof(HnswTidChunkData, tids) + sizeof(ItemPointerData) * (Size) (capacity))
#define HNSW_MIN_CHUNK_TIDS 4
#define HNSW_MAX_CHUNK_TIDS 1024

/* A part of a wide record; all but the last are full. */
typedef struct HnswCodeChunkData
{
	HnswExtraHeader header;
	ItemPointerData next;		/* invalid in the last */
	uint16		unused;
	uint8		bytes[FLEXIBLE_ARRAY_MEMBER];
} HnswCodeChunkData;

typedef HnswCodeChunkData *HnswCodeChunk;

#define HNSW_CODE_CHUNK_SIZE(nbytes) (offsetof(HnswCodeChunkData, bytes) + (Size) (nbytes))
#define HNSW_CODE_CHUNK_BYTES (HNSW_EXTRA_PAGE_BYTES - offsetof(HnswCodeChunkData, bytes))

#define HNSW_EXTRA_PAGE_BYTES \
	MAXALIGN_DOWN(BLCKSZ - MAXALIGN(SizeOfPageHeaderData) - sizeof(ItemIdData) - sizeof(VecidxPageOpaqueData))

StaticAssertDecl(MAXALIGN(SizeOfPageHeaderData) + sizeof(HnswMetaPageData) + sizeof(VecidxPageOpaqueData) <= BLCKSZ,
				 "the metapage's content must fit a page");
StaticAssertDecl(HNSW_UPPER_SIZE(HNSW_MIN_M, HNSW_LEVEL_LIMIT) <= HNSW_EXTRA_PAGE_BYTES,
				 "upper links at the smallest m must fit a page");
StaticAssertDecl(HNSW_TID_CHUNK_SIZE(HNSW_MAX_CHUNK_TIDS) <= HNSW_EXTRA_PAGE_BYTES,
				 "the largest TID chunk must fit a page");
StaticAssertDecl(HNSW_ADJACENCY_SIZE(HNSW_MAX_M) <= HNSW_ADJACENCY_PAGE_BYTES,
				 "an adjacency record at the largest m must fit a page");

#endif							/* VECIDX_HNSW_PAGE_H */
