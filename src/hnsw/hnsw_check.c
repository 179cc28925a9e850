/*
 * hnsw_check.c
 *		vecidx_check() for hnsw.
 *
 * What must hold, beside what index/check.c finds (no TID twice; with heap,
 * every TID has a row and every row a TID):
 *
 * Metapage
 *	 M1 its options are possible and its sizes follow from them;
 *	 M2 extents of code, adjacency and filter pages, the centre and the
 *		metapage lie within the relation and do not overlap;
 *	 M3 the centre has as many pages as its dimensions take, of finite values.
 * Blocks
 *	 B1 in an extent: of the extent's kind with the right ordinal if in use,
 *		else FREE; code pages are in use up to code_pages and no further;
 *	 B2 elsewhere: extra pages, FREE ones, and new ones that a crash left.
 * Codes
 *	 C1 pd_lower ends a whole number of records;
 *	 C2 all pages in use but the last are full, and that is not empty;
 *	 C3 the records hold what vectors give (quant_record_problem());
 *	 C4 where records are wide, a USED node's slot leads to a chain of chunks
 *		that make up a record of the slot's size, a FREE node's to none.
 * Nodes (adjacency records)
 *	 N1 a record's state says that it holds or held a node just where there is
 *		a code, and its page has it below pd_lower;
 *	 N2 DELETED ones are there only while the metapage says vacuuming;
 *	 N3 a USED node has at least one TID, others have none;
 *	 N4 if its level is above 0 it has upper links, in an item of its own, that
 *		level and the right size; else a TID or nothing is in their place.
 * Links
 *	 L1 nlinks <= the most for the level;
 *	 L2 each leads to another node, and no two to the same;
 *	 L3 that node is USED (or DELETED, while vacuuming) and stands on the
 *		link's level.  Links of DELETED nodes only have to exist: nobody mends
 *		them.
 * Filter values, where there are filter columns
 *	 V1 there is a filter page for each number that the code pages give room
 *		for, in use where it has a USED node;
 *	 V2 the page's summary has the values of each USED node;
 *	 V3 with heap: the values of a USED node are those of its rows (index/check.c).
 * Extra items
 *	 X1 line pointers and items are well formed, items do not overlap and
 *		leave no gaps;
 *	 X2 each is referenced once, by the node that it names (parts of records
 *		may be leaked).  So a chain of chunks has no ring;
 *	 X3 a chunk has 1 .. capacity TIDs, and its item the size for that.
 * Free list
 *	 F1 it holds every FREE node once and nothing else; nfree counts them.
 * Entry point
 *	 E1 it is a USED node (or DELETED, while vacuuming) of level entry_level;
 *		there is none if and only if no node is USED.
 *
 * Nothing read here is trusted before it was compared with what bounds it.
 * Loops run over blocks, slots or counts that are bounded by the relation's
 * size; the two walks along pointers (TID chunks, the free list) mark what
 * they meet and stop at what they met before.
 *
 * Memory: two bytes a node and nine a block, a node's packed filter values, and
 * the summaries of filter pages.
 */
#include "vecidx.h"

#include <math.h>

#include "hnsw/hnsw.h"
#include "miscadmin.h"

/* What is known of a node, in one byte: state, level, whether it was met. */
#define NODE_STATE 0x03
#define NODE_LEVEL_SHIFT 2		/* 5 bits */
#define NODE_UNKNOWN 0x80		/* its page cannot be read: say nothing about it */

/* And of a filter page. */
#define VALUES_NONE 0			/* it is not in use */
#define VALUES_READ 1
#define VALUES_UNKNOWN 2

/* Whereabouts of blocks that are not extra pages. */
typedef struct BlockRange
{
	VecidxPageKind kind;
	BlockNumber first;
	BlockNumber n;
	uint32		ordinal;		/* of the first */
} BlockRange;

#define MAX_RANGES (2 + 3 * VECIDX_MAX_EXTENTS)

typedef struct HnswCheck
{
	VecidxCheck *out;
	HnswMetaPageData meta;
	int			nranges;
	BlockRange	ranges[MAX_RANGES];
	Quantizer	quantizer;		/* without a centre: for records */
	bool		wide;
	const VecidxFilterLayout *filters;	/* NULL: no filter columns */
	uint8	   *values;			/* by number, packed */
	uint8	   *value_pages;	/* by ordinal of the filter page: a VALUES_* */
	HnswFilterPage filter_page;
	uint8	   *summaries;		/* by the same, of summary_size bytes */
	Size		summary_size;
	uint32		limit;			/* nodes are numbered below */
	int			max_level;
	uint8	   *nodes;			/* by number */
	uint8	   *free_listed;	/* by number: met on the free list */
	uint32	   *code_counts;	/* by ordinal of the code page; PG_UINT32_MAX: unknown */

	/* Items of extra pages are numbered in file order. */
	uint64	   *first_item;		/* by block; one more ends the last */
	uint8	   *referenced;		/* bitmap by item */
	bool	   *extra_bad;		/* by block: an extra page that was reported */

	/* one page of each sort at hand */
	PGAlignedBlock page;		/* of the pass */
	PGAlignedBlock extra;
	BlockNumber extra_block;	/* in `extra`; invalid: none */
	PGAlignedBlock free;
	BlockNumber free_block;

	uint32		nused;
	uint32		nfree;
	bool		blind;			/* some page could not be read: do not count */
} HnswCheck;

/* ---- Metapage ---- */

static int
compare_ranges(const void *a, const void *b)
{
	const BlockRange *x = a;
	const BlockRange *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return 0;
}

static void
add_range(HnswCheck *c, VecidxPageKind kind, BlockNumber first, BlockNumber n, uint32 ordinal)
{
	BlockRange *range = &c->ranges[c->nranges++];

	range->kind = kind;
	range->first = first;
	range->n = n;
	range->ordinal = ordinal;
}

static void
add_extents(HnswCheck *c, VecidxPageKind kind, const VecidxExtentMap *map)
{
	for (uint32 i = 0; i < map->nextents; i++)
	{
		uint32		end = i + 1 < map->nextents ? map->extents[i + 1].first_ordinal : map->npages;

		add_range(c, kind, map->extents[i].first_block, end - map->extents[i].first_ordinal,
				  map->extents[i].first_ordinal);
	}
}

/* M2; false if blocks cannot be told apart. */
static bool
check_ranges(HnswCheck *c)
{
	const HnswMetaPageData *meta = &c->meta;
	bool		sound = true;

	add_range(c, VECIDX_PAGE_META, HNSW_META_BLOCK, 1, 0);
	if (meta->has_centre)
		add_range(c, VECIDX_PAGE_CENTRE, meta->centre_block, meta->ncentre_blocks, 0);
	add_extents(c, VECIDX_PAGE_CODE, &meta->codes);
	add_extents(c, VECIDX_PAGE_ADJACENCY, &meta->adjacencies);
	add_extents(c, VECIDX_PAGE_FILTER, &meta->filters);
	qsort(c->ranges, c->nranges, sizeof(BlockRange), compare_ranges);
	for (int i = 0; i < c->nranges; i++)
	{
		const BlockRange *range = &c->ranges[i];
		uint64		end = (uint64) range->first + range->n;

		if (end > c->out->nblocks)
		{
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1,
								"blocks %u to " UINT64_FORMAT " of the metapage lie past the end of the index, %u",
								range->first, end - 1, c->out->nblocks);
			sound = false;
		}
		else if (i + 1 < c->nranges && end > c->ranges[i + 1].first)
		{
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1,
								"blocks from %u and from %u in the metapage overlap",
								range->first, c->ranges[i + 1].first);
			sound = false;
		}
	}
	return sound;
}

/* M1 to M3 but for the centre's pages; false if the rest cannot be checked. */
static bool
check_meta(HnswCheck *c)
{
	char	   *page = c->page.data;
	const HnswMetaPageData *meta = &c->meta;
	const char *problem;

	if (c->out->nblocks == 0)
	{
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "index has no metapage");
		return false;
	}
	if (!vecidx_check_read(c->out, HNSW_META_BLOCK, page))
		return false;
	problem = vecidx_page_problem(page, VECIDX_PAGE_META, HNSW_VERSION);
	if (problem == NULL)
	{
		memcpy(&c->meta, HnswPageGetMeta(page), sizeof(HnswMetaPageData));
		problem = hnsw_meta_problem(meta);
	}
	if (problem == NULL &&
		(meta->metric != vecidx_opclass(c->out->index)->metric ||
		 quant_elements(meta->quantizer) != vecidx_opclass(c->out->index)->type->elements))
		problem = "metric is not the operator class's";
	if (problem == NULL && meta->dim != (uint32) vecidx_index_dim(c->out->index, vecidx_opclass(c->out->index)))
		problem = "dimensions are not the column's";
	if (problem == NULL)
	{
		c->filters = vecidx_filter_layout(c->out->index, CurrentMemoryContext);
		if (!hnsw_meta_fits_filters(meta, c->filters))
			problem = "filter columns are not the index's";
	}
	if (problem != NULL)
	{
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "%s", problem);
		return false;
	}
	return check_ranges(c);
}

/* ---- First pass: every block by itself ---- */

static int
floats_not_finite(const char *at, int n)
{
	for (int i = 0; i < n; i++)
	{
		float		x;

		memcpy(&x, at + i * sizeof(float), sizeof(float));
		if (!isfinite(x))
			return i;
	}
	return -1;
}

static void
check_centre_page(HnswCheck *c, BlockNumber block, Page page, uint32 ordinal)
{
	uint32		done = ordinal * HNSW_CENTRE_PER_PAGE;
	int			n = Min(c->meta.dim - done, HNSW_CENTRE_PER_PAGE);
	int			at = floats_not_finite(PageGetContents(page), n);

	if (((PageHeader) page)->pd_lower != MAXALIGN(SizeOfPageHeaderData) + sizeof(float) * n)
		vecidx_check_report(c->out, block, -1, "centre page ends at the wrong place");
	if (at >= 0)
		vecidx_check_report(c->out, block, at, "value of the centre is not finite");
}

/* C1 to C3 */
static void
check_code_page(HnswCheck *c, BlockNumber block, Page page, uint32 ordinal)
{
	const HnswMetaPageData *meta = &c->meta;
	uint32		bytes = ((PageHeader) page)->pd_lower - MAXALIGN(SizeOfPageHeaderData);
	uint32		n = bytes / meta->code_size;

	if (bytes % meta->code_size != 0 || n > meta->codes_per_page)
		vecidx_check_report(c->out, block, -1, "code page ends inside a record");
	else if (n == 0)
		vecidx_check_report(c->out, block, -1, "code page in use has no record");
	else if (n < meta->codes_per_page && ordinal + 1 < meta->code_pages)
		vecidx_check_report(c->out, block, -1, "code page has %u records of %u, and is not the last",
							n, meta->codes_per_page);
	n = Min(n, meta->codes_per_page);
	c->code_counts[ordinal] = n;
	for (uint32 i = 0; i < n && !c->wide; i++)
	{
		const uint8 *record = (const uint8 *) PageGetContents(page) + i * meta->code_size;
		const char *problem = quant_record_problem(&c->quantizer, record);

		if (problem != NULL)
			vecidx_check_report(c->out, block, (int) i, "code record: %s", problem);
	}
}

/* Learn states and levels of a page's nodes; parts of N1. */
static void
note_adjacency_page(HnswCheck *c, BlockNumber block, Page page, uint32 ordinal, bool in_use)
{
	const HnswMetaPageData *meta = &c->meta;
	uint64		first = (uint64) ordinal * meta->adjacencies_per_page;
	uint32		bytes = in_use ? ((PageHeader) page)->pd_lower - MAXALIGN(SizeOfPageHeaderData) : 0;
	uint32		n = Min(bytes / meta->adjacency_size, meta->adjacencies_per_page);

	if (bytes % meta->adjacency_size != 0 || bytes / meta->adjacency_size > meta->adjacencies_per_page)
		vecidx_check_report(c->out, block, -1, "adjacency page ends inside a record");
	for (uint32 i = 0; i < n; i++)
	{
		const HnswAdjacencyData *adjacency = HnswPageGetAdjacency(page, meta, i);
		uint64		node = first + i;

		if (adjacency->state > HNSW_NODE_FREE)
			vecidx_check_report(c->out, block, (int) i, "impossible state %d", adjacency->state);
		else if (adjacency->level > c->max_level)
			vecidx_check_report(c->out, block, (int) i, "impossible level %d", adjacency->level);
		else if (node < c->limit)
		{
			c->nodes[node] = adjacency->state | (adjacency->level << NODE_LEVEL_SHIFT);
			if (adjacency->state == HNSW_NODE_USED)
				c->nused++;
			else if (adjacency->state == HNSW_NODE_FREE)
				c->nfree++;
			continue;
		}
		else if (adjacency->state != 0)
			vecidx_check_report(c->out, block, (int) i, "node " UINT64_FORMAT " is past the last code page", node);
		else
			continue;
		if (node < c->limit)
		{
			c->nodes[node] = NODE_UNKNOWN;
			c->blind = true;
		}
	}
}

static void
adjacency_page_unknown(HnswCheck *c, uint32 ordinal)
{
	uint64		first = (uint64) ordinal * c->meta.adjacencies_per_page;

	c->blind = true;
	for (uint64 node = first; node < first + c->meta.adjacencies_per_page && node < c->limit; node++)
		c->nodes[node] = NODE_UNKNOWN;
}

/* Keep the values of a filter page's nodes. */
static void
note_filter_page(HnswCheck *c, BlockNumber block, Page page, uint32 ordinal)
{
	uint32		per_page = c->meta.filters_per_page;
	uint64		first = (uint64) ordinal * per_page;

	if (((PageHeader) page)->pd_lower != hnsw_filter_page_end(c->filters, &c->filter_page))
	{
		vecidx_check_report(c->out, block, -1, "filter page ends at the wrong place");
		c->value_pages[ordinal] = VALUES_UNKNOWN;
		return;
	}
	c->value_pages[ordinal] = VALUES_READ;
	for (uint64 node = first; node < first + per_page && node < c->limit; node++)
		vecidx_filter_get(c->filters, hnsw_filter_chunk(&c->filter_page, page), per_page, node - first,
						  c->values + node * c->filters->packed_size);
	memcpy(c->summaries + ordinal * c->summary_size, hnsw_filter_summary(page), c->summary_size);
}

static const char *
range_name(VecidxPageKind kind)
{
	switch (kind)
	{
		case VECIDX_PAGE_CODE:
			return "code";
		case VECIDX_PAGE_CENTRE:
			return "centre";
		case VECIDX_PAGE_FILTER:
			return "filter";
		default:
			return "adjacency";
	}
}

/* B1 for a page in a range.  page is NULL if it could not be read. */
static void
check_ranged_page(HnswCheck *c, BlockNumber block, Page page, const BlockRange *range)
{
	uint32		ordinal = range->ordinal + (block - range->first);
	bool		may_be_free = range->kind == VECIDX_PAGE_ADJACENCY || range->kind == VECIDX_PAGE_FILTER;
	bool		in_use = true;
	const char *problem = NULL;

	if (range->kind == VECIDX_PAGE_META)
		return;
	if (range->kind == VECIDX_PAGE_CODE)
		in_use = ordinal < c->meta.code_pages;
	else if (range->kind == VECIDX_PAGE_ADJACENCY)
		in_use = (uint64) ordinal * c->meta.adjacencies_per_page < c->limit;
	else if (range->kind == VECIDX_PAGE_FILTER)
		in_use = (uint64) ordinal * c->meta.filters_per_page < c->limit;

	if (page == NULL)
		problem = "";
	else if (!in_use || may_be_free)
	{
		problem = vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION);
		if (problem == NULL)
			in_use = false;
	}
	if (in_use && page != NULL)
	{
		problem = vecidx_page_problem(page, range->kind, HNSW_VERSION);
		if (problem == NULL && VecidxPageGetOpaque(page)->ordinal != ordinal)
			problem = "page belongs to another place";
	}
	if (problem != NULL)
	{
		if (page != NULL)
			vecidx_check_report(c->out, block, -1, "%s %u of %s pages: %s",
								in_use ? "number" : "free number", ordinal,
								range_name(range->kind), problem);
		if (range->kind == VECIDX_PAGE_ADJACENCY)
			adjacency_page_unknown(c, ordinal);
		else if (range->kind == VECIDX_PAGE_CODE && ordinal < c->meta.code_pages)
			c->code_counts[ordinal] = PG_UINT32_MAX;
		else if (range->kind == VECIDX_PAGE_FILTER)
			c->value_pages[ordinal] = VALUES_UNKNOWN;
		return;
	}
	if (range->kind == VECIDX_PAGE_CENTRE)
		check_centre_page(c, block, page, ordinal);
	else if (range->kind == VECIDX_PAGE_CODE && in_use)
		check_code_page(c, block, page, ordinal);
	else if (range->kind == VECIDX_PAGE_ADJACENCY)
		note_adjacency_page(c, block, page, ordinal, in_use);
	else if (range->kind == VECIDX_PAGE_FILTER && in_use)
		note_filter_page(c, block, page, ordinal);
}

/* B2; returns the number of items on the page. */
static uint32
check_other_page(HnswCheck *c, BlockNumber block, Page page)
{
	if (PageIsNew(page) || vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION) == NULL)
		return 0;
	if (vecidx_page_problem(page, VECIDX_PAGE_EXTRA, HNSW_VERSION) != NULL)
	{
		vecidx_check_report(c->out, block, -1, "extra page: %s",
							vecidx_page_problem(page, VECIDX_PAGE_EXTRA, HNSW_VERSION));
		c->extra_bad[block] = true;
		return 0;
	}
	if (!vecidx_check_items(c->out, block, page, sizeof(HnswExtraHeader)))
	{
		c->extra_bad[block] = true;
		return 0;
	}
	return PageGetMaxOffsetNumber(page);
}

static void
check_blocks(HnswCheck *c)
{
	int			r = 0;
	uint64		nitems = 0;

	for (BlockNumber block = 0; block < c->out->nblocks && !c->out->full; block++)
	{
		bool		read = vecidx_check_read(c->out, block, c->page.data);

		while (r < c->nranges && block >= c->ranges[r].first + c->ranges[r].n)
			r++;
		c->first_item[block] = nitems;
		if (r < c->nranges && block >= c->ranges[r].first)
			check_ranged_page(c, block, read ? c->page.data : NULL, &c->ranges[r]);
		else if (read)
			nitems += check_other_page(c, block, c->page.data);
		else
			c->extra_bad[block] = true;
	}
	if (c->out->full)
		return;
	c->first_item[c->out->nblocks] = nitems;
	c->referenced = MemoryContextAllocExtended(CurrentMemoryContext, nitems / 8 + 1,
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- Second pass: nodes ---- */

/* A node's extra item, by the rules X2; NULL, and reported, if there is none. */
static HnswExtraHeader *
extra_item(HnswCheck *c, uint32 node, BlockNumber block, int slot,
		   const ItemPointerData *where, HnswExtraKind kind, Size *size)
{
	BlockNumber extra_block = ItemPointerGetBlockNumberNoCheck(where);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(where);
	const char *what = kind == HNSW_EXTRA_UPPER ? "upper links" :
		kind == HNSW_EXTRA_TIDS ? "TIDs" : "record";
	uint64		number;
	ItemId		item;
	HnswExtraHeader *header;

	if (extra_block >= c->out->nblocks)
	{
		vecidx_check_report(c->out, block, slot, "%s at (%u,%u): block does not exist",
							what, extra_block, offset);
		return NULL;
	}
	if (c->extra_bad[extra_block])
		return NULL;			/* reported */
	if (offset < FirstOffsetNumber ||
		offset > c->first_item[extra_block + 1] - c->first_item[extra_block])
	{
		vecidx_check_report(c->out, block, slot, "%s at (%u,%u): no such item", what, extra_block, offset);
		return NULL;
	}
	number = c->first_item[extra_block] + offset - 1;
	if (c->extra_block != extra_block)
	{
		c->extra_block = InvalidBlockNumber;
		if (!vecidx_check_read(c->out, extra_block, c->extra.data))
			return NULL;
		/* on a standby it may have changed since the first pass */
		if (vecidx_page_problem(c->extra.data, VECIDX_PAGE_EXTRA, HNSW_VERSION) != NULL ||
			!vecidx_check_items(c->out, extra_block, c->extra.data, sizeof(HnswExtraHeader)))
			return NULL;
		c->extra_block = extra_block;
	}
	if (offset > PageGetMaxOffsetNumber(c->extra.data) ||
		!ItemIdIsNormal(PageGetItemId(c->extra.data, offset)))
	{
		vecidx_check_report(c->out, block, slot, "%s at (%u,%u): no such item", what, extra_block, offset);
		return NULL;
	}
	item = PageGetItemId(c->extra.data, offset);
	header = (HnswExtraHeader *) PageGetItem(c->extra.data, item);
	if (header->kind != kind || header->node != node)
	{
		vecidx_check_report(c->out, block, slot, "%s at (%u,%u): item belongs to node %u or is of another kind",
							what, extra_block, offset, header->node);
		return NULL;
	}
	if (c->referenced[number / 8] & (1 << (number % 8)))
	{
		vecidx_check_report(c->out, extra_block, offset, "item of node %u is referenced twice", node);
		return NULL;
	}
	c->referenced[number / 8] |= (uint8) (1 << (number % 8));
	*size = ItemIdGetLength(item);
	return header;
}

static int
compare_numbers(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return (x > y) - (x < y);
}

/* L1 to L3 for the list of one level; block and slot are those of the list. */
static void
check_links(HnswCheck *c, uint32 node, int level, int nlinks, const uint32 *links,
			BlockNumber block, int slot)
{
	bool		used = (c->nodes[node] & NODE_STATE) == HNSW_NODE_USED;
	uint32		sorted[HNSW_MAX_LINKS_ANY];

	if (nlinks > HNSW_MAX_LINKS(c->meta.m, level))
	{
		vecidx_check_report(c->out, block, slot, "node %u has %d links on level %d",
							node, nlinks, level);
		return;
	}
	for (int i = 0; i < nlinks; i++)
	{
		uint32		link = sorted[i] = HnswLinkNode(links[i]);
		const char *problem = NULL;
		int			state;

		if (link >= c->limit)
			problem = "does not exist";
		else if (link == node)
			problem = "is the node itself";
		else if (c->nodes[link] & NODE_UNKNOWN)
			continue;
		else if ((state = c->nodes[link] & NODE_STATE) == 0)
			problem = "was never a node";
		else if (used && state == HNSW_NODE_FREE)
			problem = "is free";
		else if (used && state == HNSW_NODE_DELETED && !c->meta.vacuuming)
			problem = "is deleted";
		else if (used && c->nodes[link] >> NODE_LEVEL_SHIFT < level)
			problem = "does not stand on that level";
		if (problem != NULL)
			vecidx_check_report(c->out, block, slot, "node %u links on level %d to node %u, which %s",
								node, level, link, problem);
	}
	qsort(sorted, nlinks, sizeof(uint32), compare_numbers);
	for (int i = 1; i < nlinks; i++)
		if (sorted[i] == sorted[i - 1])
			vecidx_check_report(c->out, block, slot, "node %u links on level %d to node %u twice",
								node, level, sorted[i]);
}

/* N4 and the links above level 0 */
static void
check_upper(HnswCheck *c, uint32 node, const HnswAdjacencyData *adjacency, BlockNumber block, int slot)
{
	HnswExtraHeader *header;
	Size		size;

	if (adjacency->level == 0)
		return;
	if (!ItemPointerIsValid(&adjacency->upper))
	{
		vecidx_check_report(c->out, block, slot, "node %u of level %d has no upper links", node, adjacency->level);
		return;
	}
	header = extra_item(c, node, block, slot, &adjacency->upper, HNSW_EXTRA_UPPER, &size);
	if (header == NULL)
		return;
	block = ItemPointerGetBlockNumberNoCheck(&adjacency->upper);
	slot = ItemPointerGetOffsetNumberNoCheck(&adjacency->upper);
	if (header->level != adjacency->level || size != HNSW_UPPER_SIZE(c->meta.m, header->level))
	{
		vecidx_check_report(c->out, block, slot, "upper links of node %u are of level %d in %zu bytes",
							node, header->level, size);
		return;
	}
	for (int level = 1; level <= header->level; level++)
	{
		HnswUpperLevel upper = HnswUpperGetLevel(header, c->meta.m, level);

		check_links(c, node, level, upper->nlinks, upper->links, block, slot);
	}
}

/* V1 and V2 for a node in use; its values, or NULL if there are none to compare with. */
static const uint8 *
node_values(HnswCheck *c, uint32 node)
{
	uint32		ordinal;
	const uint8 *values;

	if (c->filters == NULL)
		return NULL;
	ordinal = node / c->meta.filters_per_page;
	if (ordinal >= c->meta.filters.npages || c->value_pages[ordinal] == VALUES_UNKNOWN)
		return NULL;			/* reported */
	if (c->value_pages[ordinal] == VALUES_NONE)
	{
		vecidx_check_report(c->out, vecidx_extent_block(&c->meta.filters, ordinal), -1,
							"filter page of node %u is not in use", node);
		c->value_pages[ordinal] = VALUES_UNKNOWN;
		return NULL;
	}
	values = c->values + (Size) node * c->filters->packed_size;
	if (c->filter_page.summary_bits > 0 &&
		!vecidx_summary_has(c->filters, c->summaries + ordinal * c->summary_size, c->filter_page.summary_bits, values))
	{
		vecidx_check_report(c->out, vecidx_extent_block(&c->meta.filters, ordinal), node % c->meta.filters_per_page,
							"summary of the filter page lacks the values of node %u", node);
		c->value_pages[ordinal] = VALUES_UNKNOWN;
		return NULL;
	}
	return values;
}

/* X3 along a chain; returns how many TIDs it has. */
static uint64
check_chain(HnswCheck *c, uint32 node, const uint8 *values, ItemPointerData where, BlockNumber block, int slot)
{
	uint64		ntids = 0;

	/* every round marks an item that was not marked */
	while (ItemPointerIsValid(&where))
	{
		Size		size;
		HnswTidChunk chunk = (HnswTidChunk) extra_item(c, node, block, slot, &where, HNSW_EXTRA_TIDS, &size);

		if (chunk == NULL)
			return PG_UINT64_MAX;
		block = ItemPointerGetBlockNumberNoCheck(&where);
		slot = ItemPointerGetOffsetNumberNoCheck(&where);
		if (size < HNSW_TID_CHUNK_SIZE(0) || size != HNSW_TID_CHUNK_SIZE(chunk->capacity) ||
			chunk->capacity > HNSW_MAX_CHUNK_TIDS ||
			chunk->ntids == 0 || chunk->ntids > chunk->capacity)
		{
			vecidx_check_report(c->out, block, slot, "chunk of node %u has impossible sizes", node);
			return PG_UINT64_MAX;
		}
		for (int i = 0; i < chunk->ntids; i++)
			if (!vecidx_check_row(c->out, &chunk->tids[i], values))
				vecidx_check_report(c->out, block, slot, "TID %d in a chunk of node %u is not valid", i, node);
		ntids += chunk->ntids;
		where = chunk->next;
	}
	return ntids;
}

static void
check_node(HnswCheck *c, uint32 node, const HnswAdjacencyData *adjacency, BlockNumber block, int slot)
{
	if (adjacency->state == HNSW_NODE_FREE)
	{
		if (ItemPointerIsValid(&adjacency->tid) || ItemPointerIsValid(&adjacency->more) ||
			ItemPointerIsValid(&adjacency->upper) || adjacency->nlinks > 0 || adjacency->level > 0)
			vecidx_check_report(c->out, block, slot, "free node %u is not empty", node);
		return;
	}

	if (adjacency->state == HNSW_NODE_USED)
	{
		const uint8 *values = node_values(c, node);
		uint64		ntids = check_chain(c, node, values, adjacency->more, block, slot);

		for (int i = 0; i < HnswOwnTids(adjacency); i++)
		{
			ItemPointerData tid = *HnswOwnTid(adjacency, i);

			if (!ItemPointerIsValid(&tid))
				continue;
			if (vecidx_check_row(c->out, &tid, values))
				ntids = Max(ntids, 1);
			else
				vecidx_check_report(c->out, block, slot, "TID of node %u is not valid", node);
		}
		if (ntids == 0)
			vecidx_check_report(c->out, block, slot, "node %u has no TID", node);
	}
	else
	{
		if (!c->meta.vacuuming)
			vecidx_check_report(c->out, block, slot, "node %u is deleted, and no VACUUM is under way", node);
		if (ItemPointerIsValid(&adjacency->tid) || ItemPointerIsValid(&adjacency->more) ||
			(adjacency->level == 0 && ItemPointerIsValid(&adjacency->upper)))
			vecidx_check_report(c->out, block, slot, "deleted node %u has TIDs", node);
	}
	check_links(c, node, 0, adjacency->nlinks, adjacency->links, block, slot);
	check_upper(c, node, adjacency, block, slot);
}

/* N1: a node where there is a code, and nowhere else. */
static bool
check_presence(HnswCheck *c, uint32 node, BlockNumber block, int slot)
{
	uint32		count = c->code_counts[node / c->meta.codes_per_page];
	bool		coded = node % c->meta.codes_per_page < count;
	bool		there = (c->nodes[node] & NODE_STATE) != 0;

	if (c->nodes[node] & NODE_UNKNOWN)
		return false;
	if (count != PG_UINT32_MAX && coded != there)
		vecidx_check_report(c->out, block, slot, there ? "node %u has no code" : "node %u has a code only", node);
	return there;
}

/* The rest of V1; values are compared only if all of them are known. */
static void
check_filter_pages(HnswCheck *c)
{
	const HnswMetaPageData *meta = &c->meta;
	bool		known = true;

	if (c->filters == NULL)
		return;
	if ((uint64) meta->filters.npages * meta->filters_per_page < c->limit)
	{
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "there are no filter pages for nodes from " UINT64_FORMAT " on",
							(uint64) meta->filters.npages * meta->filters_per_page);
		known = false;
	}
	for (uint32 i = 0; i < meta->filters.npages; i++)
		known &= c->value_pages[i] != VALUES_UNKNOWN;
	for (uint32 node = 0; node < c->limit && known; node++)
		if ((c->nodes[node] & NODE_STATE) == HNSW_NODE_USED && node_values(c, node) == NULL)
			known = false;
	if (known)
		c->out->filters = c->filters;
}

static void
check_nodes(HnswCheck *c)
{
	const HnswMetaPageData *meta = &c->meta;

	for (uint64 first = 0; first < c->limit && !c->out->full; first += meta->adjacencies_per_page)
	{
		uint32		ordinal = (uint32) (first / meta->adjacencies_per_page);
		BlockNumber block = vecidx_extent_block(&meta->adjacencies, ordinal);
		uint32		n = (uint32) Min(c->limit - first, meta->adjacencies_per_page);

		if (!BlockNumberIsValid(block))
		{
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1,
								"there are no adjacency pages for nodes from " UINT64_FORMAT " on", first);
			for (uint64 node = first; node < c->limit; node++)
				c->nodes[node] = NODE_UNKNOWN;
			c->blind = true;
			return;
		}
		if (!vecidx_check_read(c->out, block, c->page.data))
			continue;
		for (uint32 i = 0; i < n; i++)
			if (check_presence(c, (uint32) first + i, block, (int) i))
				check_node(c, (uint32) first + i, HnswPageGetAdjacency(c->page.data, meta, i), block, (int) i);
	}
}

/* C4: a wide record, gathered along its chain. */
static void
check_wide_record(HnswCheck *c, uint32 node, const HnswWideSlot *slot, BlockNumber block, int place, uint8 *record)
{
	ItemPointerData where = slot->first;
	Size		done = 0;
	const char *problem;

	if (slot->size == 0 || slot->size > c->quantizer.code_size)
	{
		vecidx_check_report(c->out, block, place, "record of node %u has the impossible size %u", node, slot->size);
		return;
	}
	while (done < slot->size)
	{
		Size		n = Min(slot->size - done, HNSW_CODE_CHUNK_BYTES);
		Size		size;
		HnswCodeChunk chunk = NULL;

		if (ItemPointerIsValid(&where))
			chunk = (HnswCodeChunk) extra_item(c, node, block, place, &where, HNSW_EXTRA_CODE, &size);
		else
			vecidx_check_report(c->out, block, place, "record of node %u ends early", node);
		if (chunk == NULL)
			return;
		block = ItemPointerGetBlockNumberNoCheck(&where);
		place = ItemPointerGetOffsetNumberNoCheck(&where);
		if (size != HNSW_CODE_CHUNK_SIZE(n))
		{
			vecidx_check_report(c->out, block, place, "part of the record of node %u has %zu bytes", node, size);
			return;
		}
		memcpy(record + done, chunk->bytes, n);
		done += n;
		where = chunk->next;
	}
	if (ItemPointerIsValid(&where))
		vecidx_check_report(c->out, block, place, "record of node %u goes on past its end", node);
	problem = quant_record_sound(&c->quantizer, record, slot->size) ?
		quant_record_problem(&c->quantizer, record) : "it contradicts its size";
	if (problem != NULL)
		vecidx_check_report(c->out, block, place, "record of node %u: %s", node, problem);
}

static void
check_wide_records(HnswCheck *c)
{
	const HnswMetaPageData *meta = &c->meta;
	uint8	   *record = palloc(c->quantizer.code_size + SIMD_SLACK);

	for (uint32 ordinal = 0; ordinal < meta->code_pages && !c->out->full; ordinal++)
	{
		BlockNumber block = vecidx_extent_block(&meta->codes, ordinal);

		if (c->code_counts[ordinal] == PG_UINT32_MAX || !vecidx_check_read(c->out, block, c->page.data))
		{
			c->blind = true;
			continue;
		}
		for (uint32 i = 0; i < c->code_counts[ordinal]; i++)
		{
			uint32		node = ordinal * meta->codes_per_page + i;
			HnswWideSlot slot;
			int			state = c->nodes[node] & NODE_STATE;

			if (c->nodes[node] & NODE_UNKNOWN)
				continue;
			memcpy(&slot, PageGetContents(c->page.data) + i * sizeof(slot), sizeof(slot));
			if (ItemPointerIsValid(&slot.first))
			{
				if (state == HNSW_NODE_FREE)
					vecidx_check_report(c->out, block, (int) i, "free node %u has a record", node);
				check_wide_record(c, node, &slot, block, (int) i, record);
			}
			else if (state == HNSW_NODE_USED)
				vecidx_check_report(c->out, block, (int) i, "node %u has no record", node);
		}
	}
	pfree(record);
}

/*
 * The other half of X2: items that no node has.  Parts of records may be
 * among them, where a crash fell between writing a record and its node.
 */
static void
check_leaks(HnswCheck *c)
{
	for (BlockNumber block = 0; block < c->out->nblocks && !c->out->full; block++)
	{
		uint64		first = c->first_item[block];
		uint64		n = c->first_item[block + 1] - first;

		if (n == 0 || !vecidx_check_read(c->out, block, c->page.data))
			continue;
		if (vecidx_page_problem(c->page.data, VECIDX_PAGE_EXTRA, HNSW_VERSION) != NULL ||
			PageGetMaxOffsetNumber(c->page.data) < n)
			continue;
		for (uint64 i = 0; i < n; i++)
		{
			ItemId		item = PageGetItemId(c->page.data, (OffsetNumber) (i + 1));

			if (!ItemIdIsUsed(item) || (c->referenced[(first + i) / 8] & (1 << ((first + i) % 8))) ||
				((HnswExtraHeader *) PageGetItem(c->page.data, item))->kind == HNSW_EXTRA_CODE)
				continue;
			vecidx_check_report(c->out, block, (int) i + 1, "item of node %u is not referenced",
								((HnswExtraHeader *) PageGetItem(c->page.data, item))->node);
		}
	}
}

/* ---- Free list and entry point ---- */

/* The free node's successor; false, and reported, if it cannot be told. */
static bool
next_free(HnswCheck *c, uint32 node, uint32 *next)
{
	uint32		ordinal = node / c->meta.adjacencies_per_page;
	BlockNumber block = vecidx_extent_block(&c->meta.adjacencies, ordinal);

	if (!BlockNumberIsValid(block))
		return false;			/* reported */
	if (c->free_block != block)
	{
		c->free_block = InvalidBlockNumber;
		if (!vecidx_check_read(c->out, block, c->free.data))
			return false;
		c->free_block = block;
	}
	*next = HnswPageGetAdjacency(c->free.data, &c->meta, node % c->meta.adjacencies_per_page)->links[0];
	return true;
}

static void
check_free_list(HnswCheck *c)
{
	uint32		node = c->meta.free_head;
	uint32		n = 0;

	while (node != HNSW_INVALID_NODE)
	{
		if (node >= c->limit)
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "node %u on the free list does not exist", node);
		else if (c->nodes[node] & NODE_UNKNOWN)
			return;				/* reported */
		else if ((c->nodes[node] & NODE_STATE) != HNSW_NODE_FREE)
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "node %u on the free list is not free", node);
		else if (c->free_listed[node])
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "the free list runs in a ring through node %u", node);
		else
		{
			c->free_listed[node] = 1;
			n++;
			if (!next_free(c, node, &node))
				return;
			continue;
		}
		return;
	}
	if (n != c->meta.nfree)
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "the free list has %u nodes, the metapage says %u",
							n, c->meta.nfree);
	if (n == c->nfree || c->blind)
		return;
	for (node = 0; node < c->limit && !c->out->full; node++)
		if (!(c->nodes[node] & NODE_UNKNOWN) && (c->nodes[node] & NODE_STATE) == HNSW_NODE_FREE &&
			!c->free_listed[node])
			vecidx_check_report(c->out, vecidx_extent_block(&c->meta.adjacencies, node / c->meta.adjacencies_per_page),
								(int) (node % c->meta.adjacencies_per_page),
								"free node %u is not on the free list", node);
}

/* E1 */
static void
check_entry(HnswCheck *c)
{
	const HnswMetaPageData *meta = &c->meta;
	uint32		entry = meta->entry;
	int			state;

	if (entry == HNSW_INVALID_NODE)
	{
		if (c->nused > 0)
			vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "there is no entry point to %u nodes", c->nused);
		return;
	}
	if (entry >= c->limit)
	{
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "entry point %u does not exist", entry);
		return;
	}
	if (c->nodes[entry] & NODE_UNKNOWN)
		return;
	state = c->nodes[entry] & NODE_STATE;
	if (state != HNSW_NODE_USED && !(state == HNSW_NODE_DELETED && meta->vacuuming))
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "entry point %u is not in use", entry);
	else if (c->nodes[entry] >> NODE_LEVEL_SHIFT != (int) meta->entry_level)
		vecidx_check_report(c->out, HNSW_META_BLOCK, -1, "entry point %u is of level %d, the metapage says %u",
							entry, c->nodes[entry] >> NODE_LEVEL_SHIFT, meta->entry_level);
}

static void *
alloc_zero(uint64 n, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, (Size) (n + 1) * size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

static void
check_index(VecidxCheck *out)
{
	HnswCheck  *c = palloc0(sizeof(HnswCheck));

	c->out = out;
	c->extra_block = c->free_block = InvalidBlockNumber;
	if (!check_meta(c))
		return;

	quant_init(&c->quantizer, c->meta.quantizer, c->meta.metric, c->meta.dim, NULL, c->meta.seed);
	c->wide = hnsw_is_wide(c->meta.quantizer, c->meta.metric, c->meta.dim);
	/* check_meta() bounds these by the relation's size */
	c->limit = c->meta.code_pages * c->meta.codes_per_page;
	c->max_level = hnsw_max_level(c->meta.m);
	c->nodes = alloc_zero(c->limit, sizeof(uint8));
	c->free_listed = alloc_zero(c->limit, sizeof(uint8));
	c->code_counts = alloc_zero(c->meta.code_pages, sizeof(uint32));
	if (c->filters != NULL)
	{
		c->values = alloc_zero(c->limit, c->filters->packed_size);
		c->value_pages = alloc_zero(c->meta.filters.npages, sizeof(uint8));
		c->filter_page = hnsw_filter_page(c->meta.nfilters, c->meta.filter_bytes);
		c->summary_size = c->filter_page.chunk - MAXALIGN(SizeOfPageHeaderData);
		c->summaries = alloc_zero(c->meta.filters.npages, Max(c->summary_size, 1));
	}
	c->first_item = alloc_zero(out->nblocks, sizeof(uint64));
	c->extra_bad = alloc_zero(out->nblocks, sizeof(bool));

	check_blocks(c);
	if (!out->full)
		check_filter_pages(c);
	if (!out->full)
		check_nodes(c);
	if (!out->full && c->wide)
		check_wide_records(c);
	if (!out->full && !c->blind)
		check_leaks(c);
	if (!out->full)
		check_free_list(c);
	if (!out->full)
		check_entry(c);
}

const VecidxChecker hnsw_checker = {
	.build = hnsw_build,
	.check = check_index,
};
