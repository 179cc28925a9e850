/*
 * ivf_check.c
 *		vecidx_check() for ivfflat and ivfpq.
 *
 * What must hold, beside what index/check.c finds (no TID twice, unless moving
 * rows was cut short; with heap, every TID has a row and every row a TID; filter
 * values are the row's):
 *
 * Metapage
 *	 M1 its options are possible, its sizes follow from them, and the column
 *		is of its metric, elements and dimensions;
 *	 M2 units of the directory, trained data and the metapage lie within the
 *		relation and do not overlap;
 *	 M3 pages of trained data are in their order and full; the origin is
 *		finite, and what the codes have learned is sound.
 * Blocks
 *	 B1 in a unit: first the directory page, then the centroids, each with the
 *		unit's number;
 *	 B2 elsewhere: list pages, FREE ones, new ones that a crash left, and pages
 *		of a directory or trained data that were replaced, or a crash kept from
 *		being used.
 * Entries (as they are when what is pending has been done)
 *	 D1 FREE or USED; FREE from nlists on; head and tail both or neither;
 *	 D2 a USED one's code is one, and its centroid is finite;
 *	 D3 pending changes are of lists there are.
 * Segments
 *	 S1 line pointers and items are well formed, items do not overlap and leave
 *		no gaps;
 *	 S2 an item is a segment, as long as its capacity says, and of a list there
 *		is; count <= capacity, count = capacity in blocks.
 *	 The others hold of those that have the generation of their list's entry,
 *	 which is USED.  Those that do not are left over, and nothing is said of them:
 *	 S3 codes are what vectors give, TIDs are valid (in blocks: or taken away);
 *		where codes stand apart, each row's place is of one, and each place that
 *		is kept for another row;
 *	 S4 the chain from the entry's head goes through all of them, each once, has
 *		`segments` of them and ends with the tail.
 *
 * Nothing read here is trusted before it was compared with what bounds it.
 * Chains are walked in memory, where each segment is marked, so a ring ends at
 * its second turn.
 *
 * Memory: 16 bytes a segment (a code that stands apart is one) and a place of such a code, 32 a list, eight a block.
 */
#include "vecidx.h"

#include <math.h>

#include "ivf/ivf.h"
#include "miscadmin.h"

/* What is known of a segment. */
typedef struct Piece
{
	ItemPointerData next;
	uint8		current;		/* of its list */
	uint8		met;			/* on its chain; a code that stands apart: at a row's place */
	uint32		list;
	bool		code;			/* a code that stands apart */
} Piece;

StaticAssertDecl(sizeof(Piece) == 16, "what is said about the memory");

/* Where the code of a row is to stand, and where this is said. */
typedef struct Place
{
	ItemPointerData code;
	ItemPointerData segment;
	uint16		row;
} Place;

/* And of a list. */
typedef struct Entry
{
	ItemPointerData head;
	ItemPointerData tail;
	uint32		generation;
	uint32		segments;
	uint8		state;
	uint8		unknown;		/* its page cannot be read: say nothing about it */
} Entry;

typedef struct Range
{
	BlockNumber first;
	BlockNumber n;
	uint32		ordinal;		/* of the first page among those of units */
	bool		unit;
} Range;

typedef struct IvfCheck
{
	VecidxCheck *out;
	IvfMetaPageData meta;
	ListCode	code;
	const VecidxFilterLayout *filters;
	uint8	   *values;			/* a row's filter values, packed; NULL if there are none */
	Quantizer	route;
	char	   *blob;			/* origin and trained data */
	int			nranges;
	Range		ranges[VECIDX_MAX_EXTENTS + 2];
	Entry	   *entries;
	uint64	   *first_item;		/* by block; one more ends the last */
	Piece	   *items;
	uint64		nitems;
	uint64		room;
	Place	   *places;			/* of codes that stand apart */
	uint64		nplaces;
	uint64		places_room;
	uint8	   *unpacked;		/* codes of a block */
	PGAlignedBlock page;
} IvfCheck;

static void *
alloc_zero(uint64 n, Size size)
{
	return MemoryContextAllocExtended(CurrentMemoryContext, (Size) (n + 1) * size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
}

/* ---- Metapage and trained data ---- */

static int
compare_ranges(const void *a, const void *b)
{
	const Range *x = a;
	const Range *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return 0;
}

static void
add_range(IvfCheck *c, BlockNumber first, BlockNumber n, uint32 ordinal, bool unit)
{
	Range	   *range = &c->ranges[c->nranges++];

	range->first = first;
	range->n = n;
	range->ordinal = ordinal;
	range->unit = unit;
}

/* M2; false if blocks cannot be told apart. */
static bool
check_ranges(IvfCheck *c)
{
	const IvfMetaPageData *meta = &c->meta;

	add_range(c, IVF_META_BLOCK, 1, 0, false);
	if (meta->ntrained_blocks > 0)
		add_range(c, meta->trained_block, meta->ntrained_blocks, 0, false);
	for (uint32 i = 0; i < meta->units.nextents; i++)
	{
		const VecidxExtent *extent = &meta->units.extents[i];

		add_range(c, extent->first_block, vecidx_extent_end(&meta->units, i) - extent->first_ordinal,
				  extent->first_ordinal, true);
	}
	qsort(c->ranges, c->nranges, sizeof(Range), compare_ranges);
	for (int i = 0; i < c->nranges; i++)
	{
		const Range *range = &c->ranges[i];
		uint64		end = (uint64) range->first + range->n;

		if (end > c->out->nblocks)
			vecidx_check_report(c->out, IVF_META_BLOCK, -1,
								"blocks %u to " UINT64_FORMAT " of the metapage lie past the end of the index, %u",
								range->first, end - 1, c->out->nblocks);
		else if (i + 1 < c->nranges && end > c->ranges[i + 1].first)
			vecidx_check_report(c->out, IVF_META_BLOCK, -1, "blocks from %u and from %u in the metapage overlap",
								range->first, c->ranges[i + 1].first);
		else
			continue;
		return false;
	}
	return true;
}

/* M1 to M3; false if the rest cannot be checked. */
static bool
check_meta(IvfCheck *c)
{
	const IvfMetaPageData *meta = &c->meta;
	const VecidxOpclass *opclass = vecidx_opclass(c->out->index);
	const char *problem;

	if (c->out->nblocks == 0)
	{
		vecidx_check_report(c->out, IVF_META_BLOCK, -1, "index has no metapage");
		return false;
	}
	if (!vecidx_check_read(c->out, IVF_META_BLOCK, c->page.data))
		return false;
	problem = vecidx_page_problem(c->page.data, VECIDX_PAGE_META, IVF_VERSION);
	if (problem == NULL)
	{
		memcpy(&c->meta, IvfPageGetMeta(c->page.data), sizeof(IvfMetaPageData));
		problem = ivf_meta_problem(meta);
	}
	if (problem == NULL && (meta->metric != opclass->metric || meta->elements != opclass->type->elements))
		problem = "operator class is not the one that the index was made with";
	if (problem == NULL && meta->dim != (uint32) vecidx_index_dim(c->out->index, opclass))
		problem = "dimensions are not the column's";
	c->filters = vecidx_filter_layout(c->out->index, CurrentMemoryContext);
	if (problem == NULL && (meta->nfilters != (c->filters == NULL ? 0 : c->filters->ncolumns) ||
							meta->filter_bytes != (c->filters == NULL ? 0 : c->filters->row_bytes)))
		problem = "filter columns are not those that the index was made with";
	if (problem != NULL)
	{
		vecidx_check_report(c->out, IVF_META_BLOCK, -1, "%s", problem);
		return false;
	}
	if (c->filters != NULL)
	{
		c->values = palloc(c->filters->packed_size);
		c->out->filters = c->filters;
	}
	return check_ranges(c);
}

/* M3; false if codes cannot be looked at. */
static bool
check_trained(IvfCheck *c)
{
	const IvfMetaPageData *meta = &c->meta;
	Size		origin = meta->has_origin ? sizeof(float4) * (Size) meta->dim : 0;
	Size		size = origin + meta->trained_size;
	const char *problem = NULL;
	ListCodeSpec spec;

	c->blob = alloc_zero(size, 1);
	for (uint32 i = 0; i < meta->ntrained_blocks; i++)
	{
		Size		start = i * IVF_BLOB_PAGE_BYTES;

		if (!vecidx_check_read(c->out, meta->trained_block + i, c->page.data))
			return false;
		problem = vecidx_page_problem(c->page.data, VECIDX_PAGE_TRAINED, IVF_VERSION);
		if (problem == NULL && VecidxPageGetOpaque(c->page.data)->ordinal != i)
			problem = "page belongs to another place";
		if (problem == NULL && ((PageHeader) c->page.data)->pd_lower !=
			MAXALIGN(SizeOfPageHeaderData) + Min(size - start, IVF_BLOB_PAGE_BYTES))
			problem = "page ends at the wrong place";
		if (problem != NULL)
		{
			vecidx_check_report(c->out, meta->trained_block + i, -1, "trained data: %s", problem);
			return false;
		}
		memcpy(c->blob + start, PageGetContents(c->page.data), Min(size - start, IVF_BLOB_PAGE_BYTES));
	}
	for (uint32 i = 0; meta->has_origin && i < meta->dim && problem == NULL; i++)
		if (!isfinite(((float *) c->blob)[i]))
			problem = "the origin is not finite";
	ivf_meta_spec(meta, &spec);
	if (problem == NULL && meta->trained_size > 0)
		problem = listcode_trained_problem(&spec, c->blob + origin);
	if (problem != NULL)
	{
		vecidx_check_report(c->out, meta->trained_block, -1, "trained data: %s", problem);
		return false;
	}
	listcode_init(&c->code, &spec, meta->has_origin ? (float *) c->blob : NULL,
				  meta->trained_size > 0 ? c->blob + origin : NULL);
	quant_init(&c->route, meta->route, ivf_route_metric(spec.metric), spec.dim,
			   meta->has_origin ? (float *) c->blob : NULL, spec.seed);
	c->unpacked = palloc(c->code.code_size * LISTCODE_BLOCK);
	return true;
}

/* ---- The directory ---- */

static void
check_directory_page(IvfCheck *c, BlockNumber block, Page page, uint32 unit)
{
	const IvfMetaPageData *meta = &c->meta;
	uint32		first = unit * meta->entries_per_page;

	for (uint32 i = 0; i < meta->entries_per_page; i++)
	{
		const IvfEntryData *entry = IvfPageGetEntry(page, meta->entry_size, i);
		Entry	   *known;
		const char *problem = NULL;

		if (first + i >= meta->nlists)
		{
			if (entry->state != IVF_LIST_FREE)
				vecidx_check_report(c->out, block, (int) i, "list %u is in use and does not exist", first + i);
			continue;
		}
		known = &c->entries[first + i];
		if (entry->state > IVF_LIST_USED)
			problem = "impossible state";
		else if (ItemPointerIsValid(&entry->head) != ItemPointerIsValid(&entry->tail))
			problem = "it has a first segment or a last one and not the other";
		else if (entry->state == IVF_LIST_USED)
			problem = quant_record_problem(&c->route, entry->code);
		if (problem != NULL)
			vecidx_check_report(c->out, block, (int) i, "entry of list %u: %s", first + i, problem);
		if (entry->state > IVF_LIST_USED)
			known->unknown = true;
		known->state = (uint8) entry->state;
		known->generation = entry->generation;
		known->head = entry->head;
		known->tail = entry->tail;
		known->segments = entry->segments;
	}
}

static void
check_centroid_page(IvfCheck *c, BlockNumber block, Page page)
{
	const char *contents = PageGetContents(page);

	if (c->meta.elements == QUANT_BIT_STRING)
		return;
	for (Size at = 0; at + sizeof(float4) <= IVF_CENTROID_PAGE_BYTES; at += sizeof(float4))
	{
		float4		x;

		memcpy(&x, contents + at, sizeof(x));
		if (!isfinite(x))
		{
			vecidx_check_report(c->out, block, (int) (at / sizeof(float4)), "value of a centroid is not finite");
			return;
		}
	}
}

/* B1 and D1 to D3. */
static void
check_directory(IvfCheck *c)
{
	const IvfMetaPageData *meta = &c->meta;
	uint32		pages = 1 + meta->centroid_pages;

	for (uint32 ordinal = 0; ordinal < meta->units.npages && !c->out->full; ordinal++)
	{
		BlockNumber block = vecidx_extent_block(&meta->units, ordinal);
		uint32		unit = ordinal / pages;
		bool		directory = ordinal % pages == 0;
		const char *problem = NULL;

		if (vecidx_check_read(c->out, block, c->page.data))
		{
			problem = vecidx_page_problem(c->page.data, directory ? VECIDX_PAGE_DIRECTORY : VECIDX_PAGE_CENTROID,
										  IVF_VERSION);
			if (problem == NULL && VecidxPageGetOpaque(c->page.data)->ordinal != unit)
				problem = "page belongs to another place";
			if (problem == NULL && ((PageHeader) c->page.data)->pd_lower != MAXALIGN(SizeOfPageHeaderData) +
				(directory ? (Size) meta->entry_size * meta->entries_per_page : IVF_CENTROID_PAGE_BYTES))
				problem = "page ends at the wrong place";
			if (problem == NULL)
			{
				if (directory)
					check_directory_page(c, block, c->page.data, unit);
				else
					check_centroid_page(c, block, c->page.data);
				continue;
			}
			vecidx_check_report(c->out, block, -1, "page %u of unit %u of the directory: %s",
								ordinal % pages, unit, problem);
		}
		if (directory)
			for (uint64 list = (uint64) unit * meta->entries_per_page;
				 list < Min((uint64) (unit + 1) * meta->entries_per_page, meta->nlists); list++)
				c->entries[list].unknown = true;
	}

	c->out->doubles = meta->moving != IVF_MOVED;

	/* what whoever rewrites lists next will do first */
	for (uint32 i = 0; i < meta->npending; i++)
	{
		const IvfPendingData *pending = &meta->pending[i];
		Entry	   *entry;

		if (pending->list >= meta->nlists || pending->state > IVF_LIST_USED ||
			ItemPointerIsValid(&pending->head) != ItemPointerIsValid(&pending->tail))
		{
			vecidx_check_report(c->out, IVF_META_BLOCK, (int) i, "pending change of list %u is impossible", pending->list);
			continue;
		}
		entry = &c->entries[pending->list];
		entry->state = (uint8) pending->state;
		entry->generation = pending->generation;
		entry->head = pending->head;
		entry->tail = pending->tail;
		entry->segments = pending->segments;
	}
}

/* ---- Segments ---- */

static void
check_row(IvfCheck *c, BlockNumber block, OffsetNumber offset, const IvfSegmentRef *ref, uint32 i, const uint8 *code)
{
	float		factors[2] = {0, 0};
	const char *problem;

	if (!ItemPointerIsValid(&ref->tids[i]) && (ref->segment->flags & IVF_SEGMENT_BLOCKS) != 0)
		return;
	if (c->values != NULL)
		vecidx_filter_get(c->filters, ref->filters, IVF_FILTER_CAPACITY(ref->segment->capacity), i, c->values);
	if (!vecidx_check_row(c->out, &ref->tids[i], c->values))
		vecidx_check_report(c->out, block, offset, "row %u of a segment of list %u has an impossible TID",
							i, ref->segment->list);
	if (ref->a != NULL)
	{
		factors[0] = ref->a[i];
		factors[1] = ref->b[i];
	}
	/* one that stands apart is looked at where it is */
	problem = code == NULL ? NULL : listcode_code_problem(&c->code, factors, code);
	if (problem != NULL)
		vecidx_check_report(c->out, block, offset, "row %u of a segment of list %u: %s", i, ref->segment->list, problem);
}

/* Places of codes that stand apart: to be looked at when all pages have been. */
static void
note_places(IvfCheck *c, BlockNumber block, OffsetNumber offset, const IvfSegmentRef *ref)
{
	if (c->nplaces + ref->segment->capacity > c->places_room)
	{
		c->places_room = c->places_room * 2 + ref->segment->capacity;
		c->places = c->places == NULL ? alloc_zero(c->places_room, sizeof(Place)) :
			repalloc_huge(c->places, c->places_room * sizeof(Place));
	}
	for (uint32 i = 0; i < ref->segment->capacity; i++)
	{
		Place	   *place = &c->places[c->nplaces];

		/* no row, and none kept for one */
		if (i >= ref->segment->count && !ItemPointerIsValid(&ref->places[i]))
			continue;
		place->code = ref->places[i];
		ItemPointerSet(&place->segment, block, offset);
		place->row = (uint16) i;
		c->nplaces++;
	}
}

/* S3 */
static void
check_rows(IvfCheck *c, BlockNumber block, OffsetNumber offset, const IvfSegmentRef *ref)
{
	uint32		count = ref->segment->count;

	for (uint32 i = 0; i < count && !c->out->full; i++)
	{
		const uint8 *code = ref->codes != NULL ? ref->codes + i * c->code.code_size : NULL;

		if (ref->segment->flags & IVF_SEGMENT_BLOCKS)
		{
			if (i % LISTCODE_BLOCK == 0)
				listcode_unpack(&c->code, ivf_segment_block(&c->code, ref, (int) (i / LISTCODE_BLOCK)),
								(int) Min(count - i, LISTCODE_BLOCK), c->unpacked);
			code = c->unpacked + (i % LISTCODE_BLOCK) * c->code.code_size;
		}
		check_row(c, block, offset, ref, i, code);
	}
}

static Piece *
new_item(IvfCheck *c)
{
	Piece	   *item;

	if (c->nitems == c->room)
	{
		c->room = Max(c->room * 2, 256);
		c->items = c->items == NULL ? alloc_zero(c->room, sizeof(Piece)) :
			repalloc_huge(c->items, c->room * sizeof(Piece));
	}
	item = &c->items[c->nitems++];
	memset(item, 0, sizeof(*item));
	return item;
}

/* S1 to S3 of a page. */
static void
check_list_page(IvfCheck *c, BlockNumber block, Page page)
{
	if (!vecidx_check_items(c->out, block, page, 0))
		return;
	for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page) && !c->out->full; offset++)
	{
		Piece	   *item = new_item(c);
		IvfSegmentRef ref;
		const Entry *entry;
		const char *problem;

		if (!ItemIdIsUsed(PageGetItemId(page, offset)))
			continue;
		problem = ivf_segment_on_page(&c->code, c->filters, page, offset, &ref);
		if (problem == NULL && ref.segment->list >= c->meta.nlists)
			problem = "segment is of a list that does not exist";
		if (problem != NULL)
		{
			vecidx_check_report(c->out, block, offset, "%s", problem);
			continue;
		}
		entry = &c->entries[ref.segment->list];
		item->list = ref.segment->list;
		item->next = ref.segment->next;
		item->code = ref.tids == NULL;
		item->current = !entry->unknown && entry->state == IVF_LIST_USED &&
			entry->generation == ref.segment->generation;
		if (!item->current)
			continue;
		if (item->code)
		{
			problem = listcode_code_problem(&c->code, NULL, ref.codes);
			if (problem != NULL)
				vecidx_check_report(c->out, block, offset, "a code of list %u: %s", item->list, problem);
			continue;
		}
		check_rows(c, block, offset, &ref);
		if (ref.places != NULL)
			note_places(c, block, offset, &ref);
	}
}

/* B2 */
static void
check_blocks(IvfCheck *c)
{
	int			r = 0;

	for (BlockNumber block = 0; block < c->out->nblocks && !c->out->full; block++)
	{
		Page		page = c->page.data;

		c->first_item[block] = c->nitems;
		while (r < c->nranges && block >= c->ranges[r].first + c->ranges[r].n)
			r++;
		if (r < c->nranges && block >= c->ranges[r].first)
			continue;
		if (!vecidx_check_read(c->out, block, page))
			continue;
		if (PageIsNew(page) || vecidx_page_problem(page, VECIDX_PAGE_FREE, IVF_VERSION) == NULL ||
			vecidx_page_problem(page, VECIDX_PAGE_DIRECTORY, IVF_VERSION) == NULL ||
			vecidx_page_problem(page, VECIDX_PAGE_CENTROID, IVF_VERSION) == NULL ||
			vecidx_page_problem(page, VECIDX_PAGE_TRAINED, IVF_VERSION) == NULL)
			continue;
		if (vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION) != NULL)
			vecidx_check_report(c->out, block, -1, "list page: %s",
								vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION));
		else
			check_list_page(c, block, page);
	}
	if (!c->out->full)
		c->first_item[c->out->nblocks] = c->nitems;
}

/* The segment at a place; NULL if there is none. */
static Piece *
item_at(IvfCheck *c, const ItemPointerData *where)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(where);
	OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(where);

	if (block >= c->out->nblocks || offset < FirstOffsetNumber ||
		offset > c->first_item[block + 1] - c->first_item[block])
		return NULL;
	return &c->items[c->first_item[block] + offset - 1];
}

/* S4 of one list. */
static void
check_chain(IvfCheck *c, uint32 list)
{
	const Entry *entry = &c->entries[list];
	BlockNumber block = vecidx_extent_block(&c->meta.units, list / c->meta.entries_per_page * (1 + c->meta.centroid_pages));
	int			slot = (int) (list % c->meta.entries_per_page);
	ItemPointerData where = entry->head;
	ItemPointerData last;
	uint32		n = 0;

	ItemPointerSetInvalid(&last);
	while (ItemPointerIsValid(&where))
	{
		Piece	   *item = item_at(c, &where);

		if (item == NULL || !item->current || item->code || item->list != list)
		{
			vecidx_check_report(c->out, block, slot, "chain of list %u leads to (%u,%u), where it has no segment", list,
								ItemPointerGetBlockNumberNoCheck(&where), ItemPointerGetOffsetNumberNoCheck(&where));
			return;
		}
		if (item->met)
		{
			vecidx_check_report(c->out, block, slot, "chain of list %u runs in a ring through (%u,%u)", list,
								ItemPointerGetBlockNumberNoCheck(&where), ItemPointerGetOffsetNumberNoCheck(&where));
			return;
		}
		item->met = true;
		last = where;
		where = item->next;
		n++;
	}
	if (n > 0 && !ItemPointerEquals(&last, unconstify(ItemPointerData *, &entry->tail)))
		vecidx_check_report(c->out, block, slot, "chain of list %u does not end with the segment that its entry says", list);
	if (n != entry->segments)
		vecidx_check_report(c->out, block, slot, "chain of list %u has %u segments, its entry says %u", list, n,
							entry->segments);
}

/* S3, where codes stand apart.  One that nobody has as its place is of no harm. */
static void
check_places(IvfCheck *c)
{
	for (uint64 i = 0; i < c->nplaces && !c->out->full; i++)
	{
		const Place *place = &c->places[i];
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&place->segment);
		OffsetNumber offset = ItemPointerGetOffsetNumberNoCheck(&place->segment);
		uint32		list = item_at(c, &place->segment)->list;
		Piece	   *item = item_at(c, &place->code);

		if (item == NULL || !item->current || !item->code || item->list != list)
			vecidx_check_report(c->out, block, offset, "row %u of a segment of list %u has its code at (%u,%u), where there is none of the list",
								place->row, list, ItemPointerGetBlockNumberNoCheck(&place->code),
								ItemPointerGetOffsetNumberNoCheck(&place->code));
		else if (item->met)
			vecidx_check_report(c->out, block, offset, "row %u of a segment of list %u has its code at (%u,%u), which is another row's",
								place->row, list, ItemPointerGetBlockNumberNoCheck(&place->code),
								ItemPointerGetOffsetNumberNoCheck(&place->code));
		else
			item->met = true;
	}
}

static void
check_chains(IvfCheck *c)
{
	for (uint32 list = 0; list < c->meta.nlists && !c->out->full; list++)
	{
		if ((list & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (!c->entries[list].unknown && c->entries[list].state == IVF_LIST_USED)
			check_chain(c, list);
	}
	for (BlockNumber block = 0; block < c->out->nblocks && !c->out->full; block++)
		for (uint64 i = c->first_item[block]; i < c->first_item[block + 1]; i++)
			if (c->items[i].current && !c->items[i].met && !c->items[i].code)
				vecidx_check_report(c->out, block, (int) (i - c->first_item[block]) + 1,
									"segment of list %u is not on its chain", c->items[i].list);
}

static void
check_index(VecidxCheck *out)
{
	IvfCheck   *c = palloc0(sizeof(IvfCheck));

	c->out = out;
	if (!check_meta(c) || !check_trained(c))
		return;
	/* check_meta() bounds these by the relation's size */
	c->entries = alloc_zero(c->meta.nlists, sizeof(Entry));
	c->first_item = alloc_zero(out->nblocks, sizeof(uint64));
	check_directory(c);
	if (!out->full)
		check_blocks(c);
	if (!out->full)
		check_chains(c);
	if (!out->full)
		check_places(c);
}

const VecidxChecker ivf_checker = {
	.build = ivf_build,
	.check = check_index,
};
