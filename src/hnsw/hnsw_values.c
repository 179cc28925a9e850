/*
 * hnsw_values.c
 *		Values of filter columns on their pages: put there for a new node, and
 *		compared with those of a row that may share a node.
 *
 * A filter page is locked alone or below a code page and an adjacency page;
 * whoever holds one locks no other page (README.md).
 */
#include "vecidx.h"

#include "hnsw/hnsw.h"

/* A packed row of as many columns as an index can have: codes of 16 bytes, and a bit for each. */
#define MAX_PACKED (VECIDX_MAX_FILTERS * 16 + (VECIDX_MAX_FILTERS + 7) / 8)

/* Where a node's values are: page and place in its chunk. */
typedef struct ValuePlace
{
	uint32		ordinal;
	uint32		row;
	PageSlot   *slot;
} ValuePlace;

static ValuePlace
locate(HnswDiskStore *store, uint32 node)
{
	HnswIndex  *hnsw = store->hnsw;
	ValuePlace	place;

	place.ordinal = divide(node, hnsw->by_filter_page);
	place.row = node - place.ordinal * hnsw->filters_per_page;
	if (unlikely(place.ordinal >= hnsw->filter_memory.n))
		vecidx_corrupted(store->index, HNSW_META_BLOCK, -1, "filter pages are missing");
	place.slot = &hnsw->filter_memory.slots[place.ordinal];
	return place;
}

void
hnsw_filter_page_init(const VecidxFilterLayout *filters, const HnswFilterPage *filter_page, Page page, uint32 ordinal)
{
	vecidx_page_init(page, VECIDX_PAGE_FILTER, HNSW_VERSION, ordinal);
	((PageHeader) page)->pd_lower = hnsw_filter_page_end(filters, filter_page);
	if (filter_page->summary_bits > 0)
		vecidx_summary_init(filters, hnsw_filter_summary(page), filter_page->summary_bits);
}

void
hnsw_filter_page_put(const VecidxFilterLayout *filters, const HnswFilterPage *filter_page, Page page, uint32 row,
					 const uint8 *packed)
{
	vecidx_filter_put(filters, hnsw_filter_chunk(filter_page, page), filter_page->nodes, row, packed);
	if (filter_page->summary_bits > 0)
		vecidx_summary_add(filters, hnsw_filter_summary(page), filter_page->summary_bits, packed);
}

const char *
hnsw_filter_page_problem(const HnswIndex *hnsw, Page page, uint32 ordinal)
{
	const char *problem = vecidx_page_problem(page, VECIDX_PAGE_FILTER, HNSW_VERSION);

	if (problem != NULL)
		return problem;
	if (VecidxPageGetOpaque(page)->ordinal != ordinal)
		return "page is in another page's place";
	if (((PageHeader) page)->pd_lower != hnsw_filter_page_end(hnsw->filters, &hnsw->filter_page))
		return "filter page ends at the wrong place";
	return NULL;
}

/* The page, locked; *fresh: nothing has been put there yet. */
static Buffer
lock_page(HnswDiskStore *store, const ValuePlace *place, int lockmode, bool *fresh)
{
	Buffer		buffer = pagemem_pin(place->slot, store->index);
	const char *problem;

	LockBuffer(buffer, lockmode);
	*fresh = vecidx_page_problem(BufferGetPage(buffer), VECIDX_PAGE_FREE, HNSW_VERSION) == NULL;
	if (*fresh)
		return buffer;
	problem = hnsw_filter_page_problem(store->hnsw, BufferGetPage(buffer), place->ordinal);
	if (unlikely(problem != NULL))
		vecidx_corrupted(store->index, BufferGetBlockNumber(buffer), -1, problem);
	return buffer;
}

typedef struct PieceWriter
{
	PageChange *change;
	Buffer		buffer;
	Size		start;			/* on the page: offsets count from there */
} PieceWriter;

static void
write_piece(void *arg, Size offset, const void *bytes, Size n)
{
	PieceWriter *writer = arg;

	page_change_write(writer->change, writer->buffer, writer->start + offset, bytes, n);
}

void
hnsw_values_write(HnswDiskStore *store, uint32 node, const uint8 *packed)
{
	HnswIndex  *hnsw = store->hnsw;
	ValuePlace	place = locate(store, node);
	bool		fresh;
	Buffer		buffer = lock_page(store, &place, BUFFER_LOCK_EXCLUSIVE, &fresh);
	PageChange	change;

	page_change_begin(&change, store->index, store->building);
	if (fresh)
	{
		Page		page = page_change_register(&change, buffer, true);

		hnsw_filter_page_init(hnsw->filters, &hnsw->filter_page, page, place.ordinal);
		hnsw_filter_page_put(hnsw->filters, &hnsw->filter_page, page, place.row, packed);
	}
	else
	{
		Page		page = BufferGetPage(buffer);
		PieceWriter writer = {&change, buffer, hnsw->filter_page.chunk};

		vecidx_filter_put_pieces(hnsw->filters, hnsw_filter_chunk(&hnsw->filter_page, page), hnsw->filters_per_page,
								 place.row, packed, write_piece, &writer);
		if (hnsw->filter_page.summary_bits > 0)
		{
			writer.start = hnsw_filter_summary(page) - (uint8 *) page;
			vecidx_summary_add_pieces(hnsw->filters, hnsw_filter_summary(page), hnsw->filter_page.summary_bits,
									  packed, write_piece, &writer);
		}
	}
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
}

static bool
equal_on_page(const HnswIndex *hnsw, Page page, uint32 row, const uint8 *packed)
{
	uint8		present[MAX_PACKED];

	Assert(hnsw->filters->packed_size <= MAX_PACKED);
	vecidx_filter_get(hnsw->filters, hnsw_filter_chunk(&hnsw->filter_page, page), hnsw->filters_per_page, row, present);
	return memcmp(present, packed, hnsw->filters->packed_size) == 0;
}

bool
hnsw_values_equal(HnswDiskStore *store, uint32 node, const uint8 *packed)
{
	ValuePlace	place = locate(store, node);
	bool		fresh;
	Buffer		buffer = lock_page(store, &place, BUFFER_LOCK_SHARE, &fresh);
	bool		equal = !fresh && equal_on_page(store->hnsw, BufferGetPage(buffer), place.row, packed);

	UnlockReleaseBuffer(buffer);
	return equal;
}

bool
hnsw_values_differ(HnswDiskStore *store, uint32 node, const uint8 *packed)
{
	ValuePlace	place = locate(store, node);
	BufferTag	tag;
	char	   *page;
	bool		equal;

	vecidx_init_tag(&tag, &vecidx_locator(store->index), MAIN_FORKNUM, place.slot->block);
	page = pagemem_peek(place.slot, &tag);
	if (page == NULL)
		return false;
	equal = equal_on_page(store->hnsw, page, place.row, packed);
	pg_read_barrier();
	return pagemem_unmoved(place.slot, &tag) && !equal;
}
