/*
 * hnsw_filter.c
 *		Testing nodes against the conditions of a scan.
 *
 * Filter values lie on pages of their own by node number, and like codes they
 * never change while their node can be reached: they are tested where they
 * lie, without lock or pin, and what came out is dropped if the page has moved
 * meanwhile (index/pagemem.h).
 */
#include "vecidx.h"

#include "hnsw/hnsw_filter.h"

/* So many groups are tested one after the other while one is tested in some other place. */
#define TESTS_IN_ORDER 8

/* Groups that tell the pass rate. */
#define RATE_GROUPS 64

void
hnsw_filter_map_init(HnswFilterMap *map, HnswDiskStore *store, MemoryContext context)
{
	memset(map, 0, sizeof(*map));
	map->store = store;
	map->context = context;
}

static inline uint32
groups_below(uint64 limit)
{
	return (uint32) ((limit + HNSW_FILTER_GROUP - 1) / HNSW_FILTER_GROUP);
}

void
hnsw_filter_map_begin(HnswFilterMap *map, const VecidxFilter *filter)
{
	uint32		ngroups = groups_below(hnsw_node_limit(map->store->hnsw));
	uint32		wanted = pg_nextpower2_32(Min(Max(ngroups, 1), HNSW_FILTER_MAX_PLACES));

	if (wanted > map->nplaces)
	{
		if (map->nplaces > 0)
		{
			pfree(map->bits);
			pfree(map->groups);
		}
		map->nplaces = 0;
		map->bits = MemoryContextAlloc(map->context, sizeof(uint64) * wanted);
		map->groups = MemoryContextAlloc(map->context, sizeof(uint32) * wanted);
		map->nplaces = wanted;
	}
	memset(map->groups, 0, sizeof(uint32) * map->nplaces);
	map->filter = filter;
	map->nknown = 0;
	map->ntested = 0;
}

/*
 * Test nodes of one page, which stands at `page`: from row first of its chunk
 * on, n of them.  Their bits go to masks, which begins with the node `shift`
 * places before the first.
 */
static void
test_rows(const HnswFilterMap *map, const char *page, uint32 first, uint32 n, uint64 *masks, uint32 shift)
{
	const uint8 *chunk = hnsw_filter_chunk(&map->store->hnsw->filter_page, (Page) page);
	uint32		capacity = map->store->hnsw->filters_per_page;
	uint32		whole = shift % HNSW_FILTER_GROUP == 0 ? n / HNSW_FILTER_GROUP : 0;

	if (whole > 0)
		vecidx_filter_test_groups(map->filter, chunk, capacity, first, whole, masks + shift / HNSW_FILTER_GROUP);
	for (uint32 i = whole * HNSW_FILTER_GROUP; i < n;)
	{
		uint32		at = shift + i;
		uint32		rows = Min(n - i, HNSW_FILTER_GROUP - at % HNSW_FILTER_GROUP);

		masks[at / HNSW_FILTER_GROUP] |= vecidx_filter_test(map->filter, chunk, capacity, first + i, rows) << (at % HNSW_FILTER_GROUP);
		i += rows;
	}
}

/*
 * Whether any of so many nodes of a page may pass, by the page's summary: where
 * that takes less than to test them.
 */
static inline bool
may_pass(const HnswFilterMap *map, const char *page, uint32 n)
{
	uint32		bits = map->store->hnsw->filter_page.summary_bits;

	return bits == 0 || n <= HNSW_FILTER_GROUP || vecidx_filter_may_pass(map->filter, hnsw_filter_summary((Page) page), bits);
}

/* The same under a lock.  A page that has no values yet has no nodes either. */
static void
test_rows_locked(const HnswFilterMap *map, PageSlot *slot, uint32 ordinal, uint32 first, uint32 n, uint64 *masks, uint32 shift)
{
	Relation	index = map->store->index;
	Buffer		buffer = pagemem_pin(slot, index);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	if (vecidx_page_problem(BufferGetPage(buffer), VECIDX_PAGE_FREE, HNSW_VERSION) != NULL)
	{
		vecidx_page_check(index, buffer, VECIDX_PAGE_FILTER, HNSW_VERSION);
		if (VecidxPageGetOpaque(BufferGetPage(buffer))->ordinal != ordinal)
			vecidx_corrupted(index, slot->block, -1, "page is in another page's place");
		test_rows(map, BufferGetPage(buffer), first, n, masks, shift);
	}
	UnlockReleaseBuffer(buffer);
}

/* The masks of groups, whichever; whether any page of theirs had to be looked at. */
static bool
test_groups(HnswFilterMap *map, uint32 first, uint32 ngroups, uint64 *masks)
{
	HnswIndex  *hnsw = map->store->hnsw;
	uint32		start = first * HNSW_FILTER_GROUP;
	uint32		n = ngroups * HNSW_FILTER_GROUP;
	BufferTag	tag;
	uint32		rows;
	bool		tested = false;

	Assert(ngroups <= HNSW_FILTER_RANGE);
	vecidx_init_tag(&tag, &vecidx_locator(map->store->index), MAIN_FORKNUM, 0);
	memset(masks, 0, sizeof(uint64) * ngroups);
	for (uint32 done = 0; done < n; done += rows)
	{
		uint32		ordinal = divide(start + done, hnsw->by_filter_page);
		uint32		row = start + done - ordinal * hnsw->filters_per_page;
		uint64		seen[HNSW_FILTER_RANGE];
		uint32		at = done / HNSW_FILTER_GROUP;
		uint32		shift = done % HNSW_FILTER_GROUP;
		PageSlot   *slot;
		char	   *page;

		rows = Min(n - done, hnsw->filters_per_page - row);
		if (unlikely(ordinal >= hnsw->filter_memory.n))
			break;				/* numbers beyond the last node */
		slot = &hnsw->filter_memory.slots[ordinal];
		page = pagemem_peek(slot, &tag);
		if (likely(page != NULL))
		{
			uint32		words = (shift + rows + HNSW_FILTER_GROUP - 1) / HNSW_FILTER_GROUP;
			bool		may = may_pass(map, page, rows);

			if (may)
			{
				memset(seen, 0, sizeof(uint64) * words);
				test_rows(map, page, row, rows, seen, shift);
			}
			pg_read_barrier();
			if (likely(pagemem_unmoved(slot, &tag)))
			{
				pgBufferUsage.shared_blks_hit++;
				for (uint32 i = 0; may && i < words; i++)
					masks[at + i] |= seen[i];
				tested |= may;
				continue;
			}
		}
		tested = true;
		test_rows_locked(map, slot, ordinal, row, rows, masks + at, shift);
	}
	return tested;
}

/* Whether a bit of so many masks is set. */
static bool
any_bit(const uint64 *masks, uint32 n)
{
	uint64		any = 0;

	for (uint32 i = 0; i < n; i++)
		any |= masks[i];
	return any != 0;
}

bool
hnsw_filter_range(HnswFilterMap *map, uint32 first, uint32 ngroups, uint64 *masks)
{
	Assert(first % HNSW_FILTER_RANGE == 0);
	if (first + ngroups > map->nknown)
		return test_groups(map, first, ngroups, masks) && any_bit(masks, ngroups);
	if (!map->some[first / HNSW_FILTER_RANGE])
		return false;
	memcpy(masks, map->bits + first, sizeof(uint64) * ngroups);
	return true;
}

uint64
hnsw_filter_map_test(HnswFilterMap *map, uint32 group)
{
	uint32		place = group & (map->nplaces - 1);

	(void) test_groups(map, group, 1, &map->bits[place]);
	map->groups[place] = group + 1;
	map->ntested++;
	return map->bits[place];
}

bool
hnsw_filter_map_fill(HnswFilterMap *map, double asked)
{
	uint32		ngroups = groups_below(hnsw_node_limit(map->store->hnsw));

	if (ngroups > map->nplaces || ngroups > asked * TESTS_IN_ORDER)
		return false;
	for (uint32 first = 0; first < ngroups; first += HNSW_FILTER_RANGE)
	{
		uint32		n = Min(ngroups - first, HNSW_FILTER_RANGE);

		map->some[first / HNSW_FILTER_RANGE] = test_groups(map, first, n, map->bits + first) && any_bit(map->bits + first, n);
	}
	for (uint32 i = 0; i < ngroups; i++)
		map->groups[i] = i + 1;
	map->nknown = ngroups;
	return true;
}

int
hnsw_filter_split(HnswFilterMap *map, uint32 *nodes, int n)
{
	uint32		rejected[HNSW_MAX_LINKS_ANY];
	int			npass = 0;
	int			nrejected = 0;

	for (int i = 0; i < n; i++)
	{
		uint32		node = nodes[i];
		int			passes = hnsw_filter_passes(map, node);

		nodes[npass] = node;
		rejected[nrejected] = node;
		npass += passes;
		nrejected += !passes;
	}
	memcpy(nodes + npass, rejected, sizeof(uint32) * nrejected);
	return npass;
}

double
hnsw_filter_rate(HnswFilterMap *map)
{
	uint32		ngroups = groups_below(hnsw_node_limit(map->store->hnsw));
	uint32		n = map->nknown > 0 ? map->nknown : Min(ngroups, RATE_GROUPS);
	uint64		passed = 0;

	if (map->nknown > 0)
	{
		for (uint32 first = 0; first < n; first += HNSW_FILTER_RANGE)
			if (map->some[first / HNSW_FILTER_RANGE])
				passed += pg_popcount((const char *) (map->bits + first), Min(n - first, HNSW_FILTER_RANGE) * sizeof(uint64));
	}
	else
		for (uint32 i = 0; i < n; i++)
			passed += pg_popcount64(hnsw_filter_map_test(map, (uint32) ((uint64) ngroups * i / n)));
	return n == 0 ? 0 : (double) passed / ((double) n * HNSW_FILTER_GROUP);
}
