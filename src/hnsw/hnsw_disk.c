/*
 * hnsw_disk.c
 *		An HNSW graph on pages: the node store, and every change to it that is
 *		one step (README.md says what each step makes atomic).
 */
#include "vecidx.h"

#include <float.h>

#include "hnsw/hnsw.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"

/*
 * New pages are made while one in so many is left.  The last extents are for
 * those who find none left.
 */
#define GROW_AHEAD_SHARE 64
#define GROW_AHEAD_SPARE_EXTENTS 8

/* Heavyweight page lock of who extends the relation ahead of need. */
#define HNSW_GROWTH_LOCK ((BlockNumber) 1)

/* ---- Reading ---- */

/* A record under a score. */
typedef struct RecordRef
{
	PageSlot   *slot;
	PageSlot	peeked;			/* as it was when peeked at; no buffer: the record was copied */
	Size		offset;			/* in the page */
} RecordRef;

/* An adjacency record that is looked at without a lock. */
typedef struct AdjacencyPeek
{
	PageSlot   *slot;
	BufferTag	tag;
	XLogRecPtr	lsn;
} AdjacencyPeek;

static void
check_node(HnswDiskStore *store, uint32 node)
{
	if (likely(node < hnsw_node_limit(store->hnsw)))
		return;
	/* the index may have grown since this backend looked */
	hnsw_index_refresh(store->hnsw, store->index, NULL);
	if (node >= hnsw_node_limit(store->hnsw))
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is corrupted: node %u does not exist",
						RelationGetRelationName(store->index), node),
				 errhint("REINDEX it; vecidx_check() lists what else is wrong.")));
}

static inline RecordRef
locate_code(HnswIndex *hnsw, uint32 node)
{
	RecordRef	ref;
	uint32		ordinal = divide(node, hnsw->by_code_page);

	ref.slot = &hnsw->code_memory.slots[ordinal];
	ref.offset = MAXALIGN(SizeOfPageHeaderData) +
		(Size) (node - ordinal * hnsw->codes_per_page) * hnsw->code_size;
	return ref;
}

/* The record, copied under a pin. */
static void
copy_code(HnswDiskStore *store, const RecordRef *ref, uint8 *code)
{
	Buffer		buffer = pagemem_pin(ref->slot, store->index);
	Page		page = BufferGetPage(buffer);

	if (unlikely(PageIsNew(page) || ((PageHeader) page)->pd_lower < ref->offset + store->hnsw->code_size))
		vecidx_corrupted(store->index, ref->slot->block, -1, "code record is missing");
	memcpy(code, page + ref->offset, store->hnsw->code_size);
	ReleaseBuffer(buffer);
}

static void
disk_get_code(HnswStore *base, uint32 node, uint8 *code)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	RecordRef	ref;
	BufferTag	tag;
	char	   *page;

	check_node(store, node);
	if (store->hnsw->wide)
	{
		if (!hnsw_wide_read(store, node, code))
			memset(code, 0, base->quantizer->code_size);
		return;
	}
	ref = locate_code(store->hnsw, node);
	vecidx_init_tag(&tag, &vecidx_locator(store->index), MAIN_FORKNUM, ref.slot->block);
	page = pagemem_peek(ref.slot, &tag);
	if (page != NULL)
	{
		memcpy(code, page + ref.offset, store->hnsw->code_size);
		pg_read_barrier();
		if (pagemem_unmoved(ref.slot, &tag))
			return;
	}
	copy_code(store, &ref, code);
}

/* Each record is gathered from its chunks; a node that has none is nobody's, and far away. */
static void
score_wide(HnswDiskStore *store, const QuantQuery *query, const uint32 *nodes, int n, float *dist, float *err)
{
	const uint8 *record = store->scratch;

	for (int i = 0; i < n; i++)
	{
		if (hnsw_wide_read(store, nodes[i], store->scratch))
			quant_score(query, &record, 1, &dist[i], err == NULL ? NULL : &err[i]);
		else
		{
			dist[i] = FLT_MAX;
			if (err != NULL)
				err[i] = 0;
		}
	}
}

static void
disk_prefetch_codes(HnswStore *base, const uint32 *nodes, int n)
{
	HnswIndex  *hnsw = ((HnswDiskStore *) base)->hnsw;
	uint64		limit = hnsw_node_limit(hnsw);

	for (int i = 0; i < n; i++)
	{
		if (likely(nodes[i] < limit))
		{
			RecordRef	ref = locate_code(hnsw, nodes[i]);

			pagemem_prefetch(ref.slot, ref.offset, hnsw->code_size);
		}
	}
}

static void
disk_score(HnswStore *base, const QuantQuery *query, const uint32 *nodes, int n,
		   float *dist, float *err)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswIndex  *hnsw = store->hnsw;
	RecordRef	refs[HNSW_MAX_LINKS_ANY + 1];
	const uint8 *records[HNSW_MAX_LINKS_ANY + 1];
	BufferTag	tag;
	uint32		most = 0;

	if (n <= 0)
		return;
	/* first all of them: learning that the index has grown moves the page memory */
	for (int i = 0; i < n; i++)
		most = Max(most, nodes[i]);
	check_node(store, most);
	if (hnsw->wide)
	{
		score_wide(store, query, nodes, n, dist, err);
		return;
	}

	/*
	 * Records are scored where they were last time, and only then comes the
	 * look whether they are still there.  Until then nothing is read from
	 * memory that has not been asked for in time.
	 */
	for (int i = 0; i < n; i++)
	{
		refs[i] = locate_code(hnsw, nodes[i]);
		/* pinning another record of this page may change what the slot remembers */
		refs[i].peeked = *refs[i].slot;
		if (likely(refs[i].peeked.buffer > 0))
			records[i] = (const uint8 *) BufferGetBlock(refs[i].peeked.buffer) + refs[i].offset;
		else
		{
			uint8	   *copy = store->scratch + (Size) i * store->scratch_stride;

			copy_code(store, &refs[i], copy);
			records[i] = copy;
		}
	}

	quant_score(query, records, n, dist, err);

	pg_read_barrier();
	vecidx_init_tag(&tag, &vecidx_locator(store->index), MAIN_FORKNUM, 0);
	for (int i = 0; i < n; i++)
	{
		if (unlikely(refs[i].peeked.buffer <= 0))
			continue;
		/* as EXPLAIN (BUFFERS) would count a pin */
		if (likely(pagemem_peek(&refs[i].peeked, &tag) != NULL))
			pgBufferUsage.shared_blks_hit++;
		else
		{
			const uint8 *record = store->scratch;

			copy_code(store, &refs[i], store->scratch);
			quant_score(query, &record, 1, &dist[i], err == NULL ? NULL : &err[i]);
		}
	}
}

/* Where a node's adjacency record is on its page, which has this ordinal. */
static inline Size
adjacency_offset(const HnswIndex *hnsw, uint32 node, uint32 ordinal)
{
	return MAXALIGN(SizeOfPageHeaderData) +
		(Size) (node - ordinal * hnsw->adjacencies_per_page) * hnsw->adjacency_size;
}

/* Raise an error unless the adjacency record can be trusted. */
static void
check_adjacency(HnswDiskStore *store, Buffer buffer, uint32 node, HnswAdjacency adjacency)
{
	HnswIndex  *hnsw = store->hnsw;
	const char *problem = NULL;

	if (adjacency->state > HNSW_NODE_FREE || adjacency->state == 0)
		problem = "no node there";
	else if (adjacency->nlinks > HNSW_MAX_LINKS(hnsw->m, 0))
		problem = "impossible number of links";
	else if (adjacency->level > hnsw_max_level(hnsw->m))
		problem = "impossible level";
	if (unlikely(problem != NULL))
		vecidx_corrupted(store->index, BufferGetBlockNumber(buffer), HnswAdjacencySlot(hnsw, node), problem);
}

/* A page that stands where another of its kind should. */
static void
check_ordinal(HnswDiskStore *store, Buffer buffer, uint32 ordinal)
{
	if (unlikely(VecidxPageGetOpaque(BufferGetPage(buffer))->ordinal != ordinal))
		vecidx_corrupted(store->index, BufferGetBlockNumber(buffer), -1, "page is in another page's place");
}

/* An adjacency page that is in use, locked. */
static Buffer
lock_adjacency_page(HnswDiskStore *store, uint32 ordinal, int lockmode)
{
	HnswIndex  *hnsw = store->hnsw;
	PageSlot   *pageslot;
	Buffer		buffer;

	if (unlikely(ordinal >= hnsw->adjacency_memory.n))
		vecidx_corrupted(store->index, HNSW_META_BLOCK, -1, "adjacency pages are missing");
	pageslot = &hnsw->adjacency_memory.slots[ordinal];
	buffer = pagemem_pin(pageslot, store->index);
	LockBuffer(buffer, lockmode);
	/* once for each buffer that the page is read into: its header and end are far from the record */
	if (pageslot->checked != buffer)
	{
		vecidx_page_check(store->index, buffer, VECIDX_PAGE_ADJACENCY, HNSW_VERSION);
		check_ordinal(store, buffer, ordinal);
		pageslot->checked = pageslot->buffer;
	}
	return buffer;
}

/* A node's record on its page, checked. */
static HnswAdjacency
adjacency_on_page(HnswDiskStore *store, Buffer buffer, uint32 node)
{
	HnswIndex  *hnsw = store->hnsw;
	Page		page = BufferGetPage(buffer);
	HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, HnswAdjacencySlot(hnsw, node));

	if (unlikely((char *) adjacency + hnsw->adjacency_size > page + ((PageHeader) page)->pd_lower))
		vecidx_corrupted(store->index, BufferGetBlockNumber(buffer), HnswAdjacencySlot(hnsw, node), "no node there");
	check_adjacency(store, buffer, node, adjacency);
	return adjacency;
}

Buffer
hnsw_disk_adjacency(HnswDiskStore *store, uint32 node, int lockmode, HnswAdjacency *adjacency)
{
	Buffer		buffer;

	check_node(store, node);
	buffer = lock_adjacency_page(store, node / store->hnsw->adjacencies_per_page, lockmode);
	*adjacency = adjacency_on_page(store, buffer, node);
	return buffer;
}

/*
 * Whether an extra page could be there.  Asked before the page is locked: a
 * damaged pointer, or what the free space map has kept from before a crash, may
 * lead to a page that this backend has locked already, or must not wait for.
 */
static bool
may_be_extra(const HnswIndex *hnsw, BlockNumber block)
{
	return block != HNSW_META_BLOCK && !vecidx_extents_contain(&hnsw->codes, block) &&
		!vecidx_extents_contain(&hnsw->adjacencies, block) && !vecidx_extents_contain(&hnsw->filter_extents, block);
}

/* An item on an extra page, checked; NULL and what is wrong if there is none such. */
static void *
find_item(HnswDiskStore *store, Page page, OffsetNumber offset, HnswExtraKind kind, uint32 owner, const char **problem)
{
	ItemId		itemid;
	HnswExtraHeader *header;
	Size		size;
	Size		need = 0;

	*problem = "no such item";
	if (offset < FirstOffsetNumber || offset > PageGetMaxOffsetNumber(page))
		return NULL;
	itemid = PageGetItemId(page, offset);
	size = ItemIdGetLength(itemid);
	if (!ItemIdIsUsed(itemid) || !ItemIdHasStorage(itemid) ||
		ItemIdGetOffset(itemid) != MAXALIGN(ItemIdGetOffset(itemid)) ||
		ItemIdGetOffset(itemid) < ((PageHeader) page)->pd_upper ||
		ItemIdGetOffset(itemid) + size > ((PageHeader) page)->pd_special || size < sizeof(HnswExtraHeader))
		return NULL;
	header = (HnswExtraHeader *) PageGetItem(page, itemid);
	*problem = "item belongs to another node";
	if (header->kind != kind || header->node != owner)
		return NULL;
	*problem = "item is too short";
	switch (kind)
	{
		case HNSW_EXTRA_UPPER:
			need = HNSW_UPPER_SIZE(store->hnsw->m, header->level);
			break;
		case HNSW_EXTRA_TIDS:
			need = HNSW_TID_CHUNK_SIZE(0);
			if (size >= need)
			{
				HnswTidChunk chunk = (HnswTidChunk) header;

				need = HNSW_TID_CHUNK_SIZE(chunk->capacity);
				if (chunk->ntids > chunk->capacity)
				{
					*problem = "impossible number of TIDs";
					return NULL;
				}
			}
			break;
		case HNSW_EXTRA_CODE:
			need = HNSW_CODE_CHUNK_SIZE(1);
			break;
	}
	return size < need ? NULL : header;
}

Buffer
hnsw_disk_try_extra_item(HnswDiskStore *store, ItemPointer where, HnswExtraKind kind,
						 uint32 owner, int lockmode, void **item, const char **problem)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(where);
	Buffer		buffer;

	if (unlikely(block >= store->hnsw->nblocks))
	{
		store->hnsw->nblocks = RelationGetNumberOfBlocks(store->index);
		if (block >= store->hnsw->nblocks)
		{
			*problem = "extra page does not exist";
			return InvalidBuffer;
		}
	}
	if (unlikely(!may_be_extra(store->hnsw, block)))
	{
		*problem = "page is of another kind than expected";
		return InvalidBuffer;
	}
	buffer = vecidx_read(store->index, block, lockmode, VECIDX_PAGE_EXTRA, HNSW_VERSION);
	*item = find_item(store, BufferGetPage(buffer), ItemPointerGetOffsetNumberNoCheck(where), kind, owner, problem);
	if (likely(*item != NULL))
		return buffer;
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

Buffer
hnsw_disk_extra_item(HnswDiskStore *store, ItemPointer where, HnswExtraKind kind,
					 uint32 owner, int lockmode, void **item)
{
	const char *problem;
	Buffer		buffer = hnsw_disk_try_extra_item(store, where, kind, owner, lockmode, item, &problem);

	if (unlikely(!BufferIsValid(buffer)))
		vecidx_corrupted(store->index, ItemPointerGetBlockNumberNoCheck(where),
						 ItemPointerGetOffsetNumberNoCheck(where), problem);
	return buffer;
}

/* Links of an upper level inside its item, checked. */
static HnswUpperLevel
upper_level(HnswDiskStore *store, void *item, ItemPointer where, int level)
{
	HnswUpperLevel upper;

	if (((HnswExtraHeader *) item)->level < level)
		vecidx_corrupted(store->index, ItemPointerGetBlockNumberNoCheck(where),
						 ItemPointerGetOffsetNumberNoCheck(where), "upper level is missing");
	upper = HnswUpperGetLevel(item, store->hnsw->m, level);
	if (upper->nlinks > store->hnsw->m)
		vecidx_corrupted(store->index, ItemPointerGetBlockNumberNoCheck(where),
						 ItemPointerGetOffsetNumberNoCheck(where), "impossible number of links");
	return upper;
}

static int
disk_get_links(HnswStore *base, uint32 node, int level, HnswLinks *links)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswAdjacency adjacency;
	Buffer		buffer = hnsw_disk_adjacency(store, node, BUFFER_LOCK_SHARE, &adjacency);
	int			state = adjacency->state;
	int			n = 0;
	uint32		copy[HNSW_MAX_LINKS_ANY];

	if (state == HNSW_NODE_FREE)
		 /* nothing leads from here */ ;
	else if (level == 0)
	{
		n = adjacency->nlinks;
		memcpy(copy, adjacency->links, sizeof(uint32) * n);
	}
	else if (level <= adjacency->level)
	{
		void	   *item;
		Buffer		extra = hnsw_disk_extra_item(store, &adjacency->upper, HNSW_EXTRA_UPPER,
												 node, BUFFER_LOCK_SHARE, &item);
		HnswUpperLevel upper = upper_level(store, item, &adjacency->upper, level);

		n = upper->nlinks;
		memcpy(copy, upper->links, sizeof(uint32) * n);
		UnlockReleaseBuffer(extra);
	}
	UnlockReleaseBuffer(buffer);
	hnsw_links_load(copy, n, links);
	for (int i = 0; i < n; i++)
		check_node(store, links->nodes[i]);
	return state;
}

static void
disk_prefetch_links(HnswStore *base, uint32 node)
{
	HnswIndex  *hnsw = ((HnswDiskStore *) base)->hnsw;
	uint32		ordinal = divide(node, hnsw->by_adjacency_page);
	PageSlot   *slot;

	if (ordinal >= hnsw->adjacency_memory.n)
		return;
	slot = &hnsw->adjacency_memory.slots[ordinal];
	pagemem_prefetch(slot, adjacency_offset(hnsw, node, ordinal), hnsw->adjacency_size);
	/* the page's LSN and end */
	if (slot->buffer > 0)
		__builtin_prefetch(BufferGetBlock(slot->buffer));
}

/*
 * A node's adjacency record without lock or pin, or NULL where that cannot be:
 * what is read from it counts if peek_holds() says so afterwards, and is then
 * still to be checked.
 */
static HnswAdjacency
peek_adjacency(HnswDiskStore *store, uint32 node, AdjacencyPeek *peek)
{
	HnswIndex  *hnsw = store->hnsw;
	uint32		ordinal = divide(node, hnsw->by_adjacency_page);
	PageSlot   *slot;
	Size		offset;
	char	   *page;

	/* a build changes pages without moving their LSNs */
	if (unlikely(store->building || node >= hnsw_node_limit(hnsw) || ordinal >= hnsw->adjacency_memory.n))
		return NULL;
	slot = &hnsw->adjacency_memory.slots[ordinal];
	if (unlikely(slot->checked != slot->buffer))
		return NULL;
	vecidx_init_tag(&peek->tag, &vecidx_locator(store->index), MAIN_FORKNUM, 0);
	peek->slot = slot;
	page = pagemem_peek_version(slot, &peek->tag, &peek->lsn);
	if (unlikely(page == NULL))
		return NULL;
	offset = adjacency_offset(hnsw, node, ordinal);
	if (unlikely(offset + hnsw->adjacency_size > ((PageHeader) page)->pd_lower))
		return NULL;
	/* as EXPLAIN (BUFFERS) would count a pin */
	pgBufferUsage.shared_blks_hit++;
	return (HnswAdjacency) (page + offset);
}

static inline bool
peek_holds(AdjacencyPeek *peek)
{
	return pagemem_unchanged(peek->slot, &peek->tag, peek->lsn);
}

static int
disk_neighbours(HnswStore *base, uint32 node, uint32 *nodes)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	AdjacencyPeek peek;
	HnswAdjacency adjacency = peek_adjacency(store, node, &peek);
	HnswLinks	links;

	if (likely(adjacency != NULL))
	{
		uint32		limit = (uint32) hnsw_node_limit(store->hnsw);
		int			n = *(volatile const uint8 *) &adjacency->nlinks;

		if (likely(adjacency->state == HNSW_NODE_USED && n <= HNSW_MAX_LINKS(store->hnsw->m, 0)))
		{
			uint32		most = 0;

			for (int i = 0; i < n; i++)
				nodes[i] = HnswLinkNode(adjacency->links[i]);
			if (likely(peek_holds(&peek)))
			{
				for (int i = 0; i < n; i++)
					most = Max(most, nodes[i]);
				if (likely(most < limit))
					return n;
			}
		}
	}
	/* being changed, not in memory, deleted, grown or damaged */
	(void) disk_get_links(base, node, 0, &links);
	memcpy(nodes, links.nodes, sizeof(uint32) * links.n);
	return links.n;
}

void
hnsw_chain_step(Relation index, HnswChainGuard *guard, ItemPointer next)
{
	if (ItemPointerIsValid(&guard->mark) && ItemPointerEquals(&guard->mark, next))
		vecidx_corrupted(index, ItemPointerGetBlockNumberNoCheck(next),
						 ItemPointerGetOffsetNumberNoCheck(next), "TID chunks form a ring");
	if (++guard->steps == guard->stride)
	{
		guard->mark = *next;
		guard->steps = 0;
		guard->stride *= 2;
	}
}

bool
hnsw_disk_peek_tid(HnswDiskStore *store, uint32 node, ItemPointer tid)
{
	AdjacencyPeek peek;
	HnswAdjacency adjacency = peek_adjacency(store, node, &peek);

	if (adjacency == NULL)
		return false;
	*tid = adjacency->tid;
	return peek_holds(&peek) && ItemPointerIsValid(tid);
}

int
hnsw_disk_read_tids(HnswDiskStore *store, uint32 node, HnswTids *tids)
{
	AdjacencyPeek peek;
	HnswAdjacency adjacency = peek_adjacency(store, node, &peek);
	Buffer		buffer;
	int			state;

	/* nearly all nodes in use have their TIDs in the record */
	if (likely(adjacency != NULL && tids->tids != NULL &&
			   adjacency->state == HNSW_NODE_USED && !ItemPointerIsValid(&adjacency->more)))
	{
		ItemPointerData own[2];
		int			n = HnswOwnTids(adjacency);

		for (int i = 0; i < n; i++)
			own[i] = *HnswOwnTid(adjacency, i);
		if (likely(peek_holds(&peek)))
		{
			tids->n = 0;
			for (int i = 0; i < n; i++)
				if (ItemPointerIsValid(&own[i]))
					tids->tids[tids->n++] = own[i];
			return HNSW_NODE_USED;
		}
	}

	buffer = hnsw_disk_adjacency(store, node, BUFFER_LOCK_SHARE, &adjacency);
	state = adjacency->state;
	tids->n = 0;
	if (state == HNSW_NODE_USED)
	{
		ItemPointerData next = adjacency->more;
		HnswChainGuard guard = HNSW_CHAIN_GUARD;

		if (tids->tids == NULL)
		{
			tids->capacity = 16;
			tids->tids = MemoryContextAlloc(tids->context, sizeof(ItemPointerData) * tids->capacity);
		}
		for (int i = 0; i < HnswOwnTids(adjacency); i++)
			if (ItemPointerIsValid(HnswOwnTid(adjacency, i)))
				tids->tids[tids->n++] = *HnswOwnTid(adjacency, i);
		/* the adjacency page's lock keeps the chain as it is */
		while (ItemPointerIsValid(&next))
		{
			HnswTidChunk chunk;
			void	   *item;
			Buffer		extra;

			hnsw_chain_step(store->index, &guard, &next);
			extra = hnsw_disk_extra_item(store, &next, HNSW_EXTRA_TIDS, node, BUFFER_LOCK_SHARE, &item);
			chunk = item;
			if (tids->n + chunk->ntids > tids->capacity)
			{
				tids->capacity = Max(tids->capacity * 2, tids->n + chunk->ntids);
				tids->tids = repalloc_huge(tids->tids, sizeof(ItemPointerData) * tids->capacity);
			}
			memcpy(tids->tids + tids->n, chunk->tids, sizeof(ItemPointerData) * chunk->ntids);
			tids->n += chunk->ntids;
			next = chunk->next;
			UnlockReleaseBuffer(extra);
		}
	}
	UnlockReleaseBuffer(buffer);
	return state;
}

/* Check a page that is either in use for kind or still free. */
static bool
page_is_free(HnswDiskStore *store, Buffer buffer, VecidxPageKind kind)
{
	if (vecidx_page_problem(BufferGetPage(buffer), VECIDX_PAGE_FREE, HNSW_VERSION) == NULL)
		return true;
	vecidx_page_check(store->index, buffer, kind, HNSW_VERSION);
	return false;
}

bool
hnsw_disk_adjacency_page(HnswDiskStore *store, uint32 ordinal, int lockmode, Buffer *buffer)
{
	if (ordinal >= store->hnsw->adjacency_memory.n)
		return false;
	*buffer = pagemem_pin(&store->hnsw->adjacency_memory.slots[ordinal], store->index);
	LockBuffer(*buffer, lockmode);
	if (page_is_free(store, *buffer, VECIDX_PAGE_ADJACENCY))
	{
		UnlockReleaseBuffer(*buffer);
		return false;
	}
	check_ordinal(store, *buffer, ordinal);
	return true;
}

int
hnsw_page_adjacencies(const HnswIndex *hnsw, Page page)
{
	uint32		n = (((PageHeader) page)->pd_lower - MAXALIGN(SizeOfPageHeaderData)) / hnsw->adjacency_size;

	return Min(n, hnsw->adjacencies_per_page);
}

void
hnsw_disk_try_tids(HnswDiskStore *store, uint32 node, HnswTids *tids)
{
	HnswIndex  *hnsw = store->hnsw;
	Buffer		buffer;
	bool		exists = false;

	tids->n = 0;
	if (!hnsw_disk_adjacency_page(store, node / hnsw->adjacencies_per_page, BUFFER_LOCK_SHARE, &buffer))
		return;
	if (HnswAdjacencySlot(hnsw, node) < hnsw_page_adjacencies(hnsw, BufferGetPage(buffer)))
		exists = HnswPageGetAdjacency(BufferGetPage(buffer), hnsw,
									  HnswAdjacencySlot(hnsw, node))->state == HNSW_NODE_USED;
	UnlockReleaseBuffer(buffer);
	if (exists)
		(void) hnsw_disk_read_tids(store, node, tids);
}

/* ---- Changing ---- */

static Buffer
lock_meta(HnswDiskStore *store, int lockmode, HnswMetaPage *meta)
{
	Buffer		buffer = ReadBuffer(store->index, HNSW_META_BLOCK);

	LockBuffer(buffer, lockmode);

	/*
	 * The whole of it: with the lock held, check_node() could not look again
	 * whether a node exists without waiting for itself.
	 */
	hnsw_meta_check(store->index, BufferGetPage(buffer));
	*meta = HnswPageGetMeta(BufferGetPage(buffer));
	hnsw_index_absorb(store->hnsw, *meta);
	return buffer;
}

/* What create_node works on: locked buffers, and where the node goes. */
typedef struct NodePlace
{
	uint32		node;
	Buffer		meta;			/* invalid if the metapage does not change */
	Buffer		code;
	Buffer		adjacency;
	bool		from_free_list;
	bool		new_code_page;
} NodePlace;

static Buffer
lock_page_of_kind(HnswDiskStore *store, BlockNumber block)
{
	Buffer		buffer;

	if (!BlockNumberIsValid(block))
		vecidx_corrupted(store->index, HNSW_META_BLOCK, -1, "extent does not cover a page in use");
	buffer = ReadBuffer(store->index, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	return buffer;
}

/* Lock the adjacency page that a new node's record goes to. */
static void
lock_new_adjacency(HnswDiskStore *store, NodePlace *place)
{
	uint32		ordinal = place->node / store->hnsw->adjacencies_per_page;
	Page		page;
	int			slot;

	place->adjacency = lock_page_of_kind(store, vecidx_extent_block(&store->hnsw->adjacencies, ordinal));
	if (page_is_free(store, place->adjacency, VECIDX_PAGE_ADJACENCY))
		return;
	check_ordinal(store, place->adjacency, ordinal);
	page = BufferGetPage(place->adjacency);
	slot = HnswAdjacencySlot(store->hnsw, place->node);
	if (!place->from_free_list && slot < hnsw_page_adjacencies(store->hnsw, page) &&
		HnswPageGetAdjacency(page, store->hnsw, slot)->state != 0)
		vecidx_corrupted(store->index, BufferGetBlockNumber(place->adjacency), slot,
						 "a node is where the next one should go");
}

/*
 * Find room for a node on the last code page, without the metapage's lock.
 */
static bool
place_on_last_page(HnswDiskStore *store, NodePlace *place)
{
	HnswIndex  *hnsw = store->hnsw;
	uint32		ordinal;
	uint32		used;
	Page		page;

	if (hnsw->code_pages == 0)
		return false;
	ordinal = hnsw->code_pages - 1;
	place->code = lock_page_of_kind(store, vecidx_extent_block(&hnsw->codes, ordinal));
	page = BufferGetPage(place->code);
	vecidx_page_check(store->index, place->code, VECIDX_PAGE_CODE, HNSW_VERSION);
	check_ordinal(store, place->code, ordinal);
	used = (((PageHeader) page)->pd_lower - MAXALIGN(SizeOfPageHeaderData)) / hnsw->code_size;
	if (used >= hnsw->codes_per_page)
	{
		UnlockReleaseBuffer(place->code);
		return false;
	}
	place->node = ordinal * hnsw->codes_per_page + used;
	place->from_free_list = place->new_code_page = false;
	lock_new_adjacency(store, place);
	return true;
}

/* Pages to be made, contiguous in this order. */
typedef struct NewPages
{
	uint32		codes;
	uint32		adjacencies;
	uint32		filters;
} NewPages;

static inline uint32
total_pages(const NewPages *pages)
{
	return pages->codes + pages->adjacencies + pages->filters;
}

/* Pages of so many nodes' values. */
static uint64
filter_pages(const HnswIndex *hnsw, uint64 nodes)
{
	return hnsw->filters == NULL ? 0 : (nodes + hnsw->filters_per_page - 1) / hnsw->filters_per_page;
}

/* Put new pages in the maps of the metapage, which is locked. */
static void
add_extents(HnswDiskStore *store, Buffer metabuffer, BlockNumber first, const NewPages *pages)
{
	PageChange	change;
	HnswMetaPage meta;

	page_change_begin(&change, store->index, store->building);
	meta = HnswPageGetMeta(page_change_register(&change, metabuffer, false));
	if (pages->codes > 0)
		vecidx_extent_add(&meta->codes, first, pages->codes);
	first += pages->codes;
	if (pages->adjacencies > 0)
		vecidx_extent_add(&meta->adjacencies, first, pages->adjacencies);
	first += pages->adjacencies;
	if (pages->filters > 0)
		vecidx_extent_add(&meta->filters, first, pages->filters);
	page_change_commit(&change);
	hnsw_index_absorb(store->hnsw, HnswPageGetMeta(BufferGetPage(metabuffer)));
}

/*
 * Make sure that code page code_pages and the adjacency and filter pages of
 * its nodes exist.  Everybody waits for the metapage meanwhile, so hnsw_disk_grow_ahead()
 * is to have done it before.
 */
static void
ensure_extents(HnswDiskStore *store, Buffer metabuffer)
{
	HnswIndex  *hnsw = store->hnsw;
	HnswMetaPage meta = HnswPageGetMeta(BufferGetPage(metabuffer));
	uint64		last_node = ((uint64) meta->code_pages + 1) * hnsw->codes_per_page - 1;

	if (last_node >= HNSW_NODE_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot hold more than %u nodes",
						RelationGetRelationName(store->index), HNSW_NODE_LIMIT)));

	for (;;)
	{
		NewPages	pages = {0};
		BlockNumber first;

		if (meta->code_pages >= meta->codes.npages)
			pages.codes = vecidx_extent_size(store->index, &meta->codes);
		if (last_node / hnsw->adjacencies_per_page >= meta->adjacencies.npages)
			pages.adjacencies = vecidx_extent_size(store->index, &meta->adjacencies);
		if (filter_pages(hnsw, last_node + 1) > meta->filters.npages)
			pages.filters = vecidx_extent_size(store->index, &meta->filters);
		if (total_pages(&pages) == 0)
			return;
		first = vecidx_extend(store->index, total_pages(&pages), HNSW_VERSION,
							  VECIDX_FREE_RESERVED, store->building);
		add_extents(store, metabuffer, first, &pages);
		meta = HnswPageGetMeta(BufferGetPage(metabuffer));
	}
}

/* Whether so few pages are left ahead of their use that more should be made now. */
static bool
runs_short(const VecidxExtentMap *map, uint64 used)
{
	return used + map->npages / GROW_AHEAD_SHARE > map->npages &&
		map->nextents < VECIDX_MAX_EXTENTS - GROW_AHEAD_SPARE_EXTENTS;
}

static bool
codes_run_short(const HnswIndex *hnsw)
{
	return runs_short(&hnsw->codes, hnsw->code_pages);
}

static bool
adjacencies_run_short(const HnswIndex *hnsw)
{
	return runs_short(&hnsw->adjacencies,
					  (hnsw_node_limit(hnsw) + hnsw->adjacencies_per_page - 1) / hnsw->adjacencies_per_page);
}

static bool
filters_run_short(const HnswIndex *hnsw)
{
	return hnsw->filters != NULL && runs_short(&hnsw->filter_extents, filter_pages(hnsw, hnsw_node_limit(hnsw)));
}

void
hnsw_disk_grow_ahead(HnswDiskStore *store)
{
	HnswIndex  *hnsw = store->hnsw;
	NewPages	pages = {0};

	if (likely(!codes_run_short(hnsw) && !adjacencies_run_short(hnsw) && !filters_run_short(hnsw)) || hnsw->has_free)
		return;
	/* one backend does it; the others have the pages that are left */
	if (!ConditionalLockPage(store->index, HNSW_GROWTH_LOCK, ExclusiveLock))
		return;
	hnsw_index_refresh(hnsw, store->index, NULL);
	if (!hnsw->has_free)
	{
		if (codes_run_short(hnsw))
			pages.codes = vecidx_extent_size(store->index, &hnsw->codes);
		if (adjacencies_run_short(hnsw))
			pages.adjacencies = vecidx_extent_size(store->index, &hnsw->adjacencies);
		if (filters_run_short(hnsw))
			pages.filters = vecidx_extent_size(store->index, &hnsw->filter_extents);
	}
	if (total_pages(&pages) > 0)
	{
		BlockNumber first = vecidx_extend(store->index, total_pages(&pages), HNSW_VERSION,
										  VECIDX_FREE_RESERVED, store->building);
		HnswMetaPage meta;
		Buffer		metabuffer = lock_meta(store, BUFFER_LOCK_EXCLUSIVE, &meta);

		add_extents(store, metabuffer, first, &pages);
		UnlockReleaseBuffer(metabuffer);
	}
	UnlockPage(store->index, HNSW_GROWTH_LOCK, ExclusiveLock);
}

/* Whether a search can begin at the entry point; the metapage is locked. */
static bool
has_entry(HnswDiskStore *store, HnswMetaPage meta)
{
	HnswAdjacency adjacency;
	Buffer		buffer;
	bool		used;

	if (meta->entry == HNSW_INVALID_NODE)
		return false;
	if (!meta->vacuuming)
		return true;
	buffer = hnsw_disk_adjacency(store, meta->entry, BUFFER_LOCK_SHARE, &adjacency);
	used = adjacency->state == HNSW_NODE_USED;
	UnlockReleaseBuffer(buffer);
	return used;
}

/*
 * Find room with the metapage locked: off the free list or on a new page.
 * False if another backend has made room meanwhile.
 */
static bool
place_with_meta(HnswDiskStore *store, uint32 seen_code_pages, bool expect_empty, NodePlace *place)
{
	HnswIndex  *hnsw = store->hnsw;
	HnswMetaPage meta;

	place->meta = lock_meta(store, BUFFER_LOCK_EXCLUSIVE, &meta);
	if (expect_empty && has_entry(store, meta))
	{
		UnlockReleaseBuffer(place->meta);
		return false;
	}
	if (meta->free_head != HNSW_INVALID_NODE)
	{
		RecordRef	ref;

		place->node = meta->free_head;
		check_node(store, place->node);
		place->from_free_list = true;
		place->new_code_page = false;
		ref = locate_code(hnsw, place->node);
		place->code = lock_page_of_kind(store, ref.slot->block);
		vecidx_page_check(store->index, place->code, VECIDX_PAGE_CODE, HNSW_VERSION);
		lock_new_adjacency(store, place);
		if (HnswPageGetAdjacency(BufferGetPage(place->adjacency), hnsw,
								 HnswAdjacencySlot(hnsw, place->node))->state != HNSW_NODE_FREE)
			vecidx_corrupted(store->index, BufferGetBlockNumber(place->adjacency),
							 HnswAdjacencySlot(hnsw, place->node), "node on the free list is not free");
		return true;
	}
	if (meta->code_pages != seen_code_pages)
	{
		UnlockReleaseBuffer(place->meta);
		return false;
	}
	/* the free list may have run dry meanwhile: a page is to be full before the next begins */
	if (place_on_last_page(store, place))
		return true;
	ensure_extents(store, place->meta);
	place->node = seen_code_pages * hnsw->codes_per_page;
	place->from_free_list = false;
	place->new_code_page = true;
	place->code = lock_page_of_kind(store, vecidx_extent_block(&hnsw->codes, seen_code_pages));
	if (!page_is_free(store, place->code, VECIDX_PAGE_FREE))
		vecidx_corrupted(store->index, BufferGetBlockNumber(place->code), -1, "page beyond the last is in use");
	lock_new_adjacency(store, place);
	return true;
}

/*
 * The extra page at block, exclusively locked, if an item of this size fits;
 * otherwise no buffer, and the free space that it has.
 */
static Buffer
try_extra_page(HnswDiskStore *store, BlockNumber block, Size need, Size *free)
{
	Buffer		buffer;
	Page		page;

	*free = 0;
	/* both hints may be stale, and after a crash worse */
	if (!may_be_extra(store->hnsw, block) || block >= RelationGetNumberOfBlocks(store->index))
		return InvalidBuffer;
	buffer = ReadBuffer(store->index, block);
	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	page = BufferGetPage(buffer);
	if (vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION) == NULL &&
		VecidxPageGetOpaque(page)->ordinal == VECIDX_FREE_FOR_ALL)
		return buffer;
	if (vecidx_page_problem(page, VECIDX_PAGE_EXTRA, HNSW_VERSION) == NULL)
	{
		*free = PageGetExactFreeSpace(page);
		if (*free >= need)
			return buffer;
	}
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

Buffer
hnsw_disk_extra_page(HnswDiskStore *store, Size size)
{
	Relation	index = store->index;
	Size		need = MAXALIGN(size) + sizeof(ItemIdData);
	BlockNumber block = RelationGetTargetBlock(index);
	Buffer		buffer;
	Size		free;

	/* the page of this backend's last item, then what the free space map says */
	if (BlockNumberIsValid(block))
	{
		buffer = try_extra_page(store, block, need, &free);
		if (BufferIsValid(buffer))
			return buffer;
	}
	block = GetPageWithFreeSpace(index, need);
	while (BlockNumberIsValid(block))
	{
		buffer = try_extra_page(store, block, need, &free);
		if (BufferIsValid(buffer))
		{
			RelationSetTargetBlock(index, block);
			return buffer;
		}
		block = RecordAndGetPageWithFreeSpace(index, block, free, need);
	}
	do
	{
		/* VACUUM may tell others of the new page before it is locked here */
		CHECK_FOR_INTERRUPTS();
		block = vecidx_extend(index, 1, HNSW_VERSION, VECIDX_FREE_FOR_ALL, store->building);
		buffer = try_extra_page(store, block, need, &free);
	} while (!BufferIsValid(buffer));
	RelationSetTargetBlock(index, block);
	return buffer;
}

/*
 * Make a page that no extent contains one that items can go to.  Who extends
 * the relation for an extent holds the growth lock or the metapage's until the
 * extent is written, so with both nobody else is about to use it.
 */
static void
reclaim_page(HnswDiskStore *store, BlockNumber block)
{
	HnswMetaPage meta;
	Buffer		metabuffer;

	LockPage(store->index, HNSW_GROWTH_LOCK, ExclusiveLock);
	metabuffer = lock_meta(store, BUFFER_LOCK_SHARE, &meta);
	/* that extent may have been written meanwhile */
	if (may_be_extra(store->hnsw, block))
	{
		Buffer		buffer = ReadBuffer(store->index, block);
		Page		page;

		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page) || vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION) == NULL)
		{
			PageChange	change;

			page_change_begin(&change, store->index, store->building);
			page = page_change_register(&change, buffer, true);
			vecidx_page_init(page, VECIDX_PAGE_FREE, HNSW_VERSION, VECIDX_FREE_FOR_ALL);
			page_change_commit(&change);
		}
		UnlockReleaseBuffer(buffer);
	}
	UnlockReleaseBuffer(metabuffer);
	UnlockPage(store->index, HNSW_GROWTH_LOCK, ExclusiveLock);
}

bool
hnsw_disk_extra_space(HnswDiskStore *store, BlockNumber block, BufferAccessStrategy strategy, Size *free)
{
	if (!may_be_extra(store->hnsw, block))
		return false;
	for (int try = 0; try < 2; try++)
	{
		Buffer		buffer = ReadBufferExtended(store->index, MAIN_FORKNUM, block, RBM_NORMAL, strategy);
		Page		page = BufferGetPage(buffer);
		bool		is_free;
		bool		known = false;

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		is_free = vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION) == NULL;
		if (vecidx_page_problem(page, VECIDX_PAGE_EXTRA, HNSW_VERSION) == NULL ||
			(is_free && VecidxPageGetOpaque(page)->ordinal == VECIDX_FREE_FOR_ALL))
		{
			known = true;
			*free = PageGetExactFreeSpace(page);
		}
		is_free |= PageIsNew(page);
		UnlockReleaseBuffer(buffer);
		if (known || !is_free)
			return known;
		reclaim_page(store, block);
	}
	return false;
}

ItemPointerData
hnsw_disk_put_extra(HnswDiskStore *store, PageChange *change, Buffer buffer, void *item, Size size)
{
	bool		fresh = vecidx_page_problem(BufferGetPage(buffer), VECIDX_PAGE_FREE, HNSW_VERSION) == NULL;
	Page		page = page_change_register(change, buffer, fresh);
	OffsetNumber offset;
	ItemPointerData where;

	if (fresh)
		vecidx_page_init(page, VECIDX_PAGE_EXTRA, HNSW_VERSION, 0);
	offset = PageAddItem(page, (Item) item, size, InvalidOffsetNumber, false, false);
	if (offset == InvalidOffsetNumber)
		elog(ERROR, "failed to add item to extra page of index \"%s\"",
			 RelationGetRelationName(store->index));
	ItemPointerSet(&where, BufferGetBlockNumber(buffer), offset);
	return where;
}

void
hnsw_disk_note_free_space(HnswDiskStore *store, Buffer buffer)
{
	RecordPageWithFreeSpace(store->index, BufferGetBlockNumber(buffer),
							PageGetExactFreeSpace(BufferGetPage(buffer)));
}

/* Build the item of a node's upper levels. */
static void *
make_upper(HnswDiskStore *store, uint32 node, int level, const HnswLinks *links, Size *size)
{
	int			m = store->hnsw->m;
	HnswExtraHeader *header;

	*size = HNSW_UPPER_SIZE(m, level);
	header = palloc0(*size);
	header->node = node;
	header->kind = HNSW_EXTRA_UPPER;
	header->level = level;
	for (int l = 1; l <= level; l++)
	{
		HnswUpperLevel upper = HnswUpperGetLevel(header, m, l);

		upper->nlinks = links[l].n;
		hnsw_links_store(upper->links, links[l].nodes, links[l].n, links[l].nkept);
	}
	return header;
}

/*
 * The new node's record, at its place on a page that has others.  Pointers to
 * items that are not there may have any block number: leave them as they are.
 */
static void
fill_adjacency(HnswDiskStore *store, HnswAdjacency adjacency, const HnswAdjacencyData *present,
			   ItemPointer tid, int level, const HnswLinks *links)
{
	memset(adjacency, 0, store->hnsw->adjacency_size);
	if (present != NULL && !ItemPointerIsValid(&present->upper))
		adjacency->upper = present->upper;
	if (present != NULL && !ItemPointerIsValid(&present->more))
		adjacency->more = present->more;
	adjacency->state = HNSW_NODE_USED;
	adjacency->level = level;
	adjacency->tid = *tid;
	adjacency->nlinks = links[0].n;
	hnsw_links_store(adjacency->links, links[0].nodes, links[0].n, links[0].nkept);
}

/* Note in a change that a page's records end here, if they ended before it. */
static void
write_end(PageChange *change, Buffer buffer, Size end)
{
	uint16		lower = (uint16) end;

	if (((PageHeader) BufferGetPage(buffer))->pd_lower < end)
		page_change_write(change, buffer, offsetof(PageHeaderData, pd_lower), &lower, sizeof(lower));
}

static uint32
disk_create_node(HnswStore *base, const uint8 *code, const uint8 *values, ItemPointer tid,
				 int level, const HnswLinks *links, bool expect_empty)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswIndex  *hnsw = store->hnsw;
	NodePlace	place;
	PageChange	change;
	Page		page;
	Buffer		extra = InvalidBuffer;
	HnswAdjacency adjacency;
	HnswWideSlot slot;
	const void *stored;
	bool		fresh_adjacency;
	Size		offset;
	union
	{
		HnswAdjacencyData data;
		char		bytes[HNSW_ADJACENCY_SIZE(HNSW_MAX_M)];
	}			record;

	for (;;)
	{
		HnswMetaPage meta;
		uint32		code_pages;
		bool		has_free;
		bool		occupied;

		CHECK_FOR_INTERRUPTS();
		place.meta = lock_meta(store, BUFFER_LOCK_SHARE, &meta);
		has_free = meta->free_head != HNSW_INVALID_NODE;
		code_pages = meta->code_pages;
		occupied = expect_empty && has_entry(store, meta);
		UnlockReleaseBuffer(place.meta);
		if (occupied)
			return HNSW_INVALID_NODE;

		/* the first node changes the metapage in any case */
		if (!expect_empty && !has_free)
		{
			place.meta = InvalidBuffer;
			if (place_on_last_page(store, &place))
				break;
		}
		if (place_with_meta(store, code_pages, expect_empty, &place))
			break;
	}

	/*
	 * A change each, before the node: if it does not come to be, there are
	 * values in the place of a number that no node has, and a record that
	 * nobody points at.  Before the other extra page is locked.
	 */
	if (values != NULL)
		hnsw_values_write(store, place.node, values);
	if (hnsw->wide)
		hnsw_wide_write(store, place.node, code, &slot);
	if (level > 0)
		extra = hnsw_disk_extra_page(store, HNSW_UPPER_SIZE(hnsw->m, level));

	page_change_begin(&change, store->index, store->building);

	/* code */
	stored = hnsw->wide ? (const void *) &slot : code;
	offset = locate_code(hnsw, place.node).offset;
	if (place.new_code_page)
	{
		page = page_change_register(&change, place.code, true);
		vecidx_page_init(page, VECIDX_PAGE_CODE, HNSW_VERSION, place.node / hnsw->codes_per_page);
		memcpy(page + offset, stored, hnsw->code_size);
		((PageHeader) page)->pd_lower = offset + hnsw->code_size;
	}
	else
	{
		write_end(&change, place.code, offset + hnsw->code_size);
		page_change_write(&change, place.code, offset, stored, hnsw->code_size);
	}

	/* adjacency */
	page = BufferGetPage(place.adjacency);
	adjacency = HnswPageGetAdjacency(page, hnsw, HnswAdjacencySlot(hnsw, place.node));
	offset = (char *) adjacency - (char *) page;
	fresh_adjacency = vecidx_page_problem(page, VECIDX_PAGE_FREE, HNSW_VERSION) == NULL;
	fill_adjacency(store, &record.data, fresh_adjacency ? NULL : adjacency, tid, level, links);

	/* the metapage's part of it, while the record that was free is still there */
	if (BufferIsValid(place.meta))
	{
		HnswMetaPage meta = HnswPageGetMeta(page_change_register(&change, place.meta, false));

		if (place.from_free_list)
		{
			meta->free_head = adjacency->links[0];
			meta->nfree--;
		}
		if (place.new_code_page)
			meta->code_pages++;
		if (expect_empty)
		{
			meta->entry = place.node;
			meta->entry_level = level;
		}
	}

	if (!fresh_adjacency && level == 0)
	{
		write_end(&change, place.adjacency, offset + hnsw->adjacency_size);
		page_change_write(&change, place.adjacency, offset, &record, hnsw->adjacency_size);
	}
	else
	{
		/* before the extra page: replay takes them in this order, as scans do */
		page = page_change_register(&change, place.adjacency, fresh_adjacency);
		if (fresh_adjacency)
			vecidx_page_init(page, VECIDX_PAGE_ADJACENCY, HNSW_VERSION, place.node / hnsw->adjacencies_per_page);
		if (level > 0)
		{
			Size		size;
			void	   *item = make_upper(store, place.node, level, links, &size);

			record.data.upper = hnsw_disk_put_extra(store, &change, extra, item, size);
			pfree(item);
		}
		memcpy(page + offset, &record, hnsw->adjacency_size);
		if (((PageHeader) page)->pd_lower < offset + hnsw->adjacency_size)
			((PageHeader) page)->pd_lower = offset + hnsw->adjacency_size;
	}
	page_change_commit(&change);

	if (BufferIsValid(extra))
	{
		hnsw_disk_note_free_space(store, extra);
		UnlockReleaseBuffer(extra);
	}
	UnlockReleaseBuffer(place.adjacency);
	UnlockReleaseBuffer(place.code);
	if (BufferIsValid(place.meta))
	{
		hnsw_index_absorb(hnsw, HnswPageGetMeta(BufferGetPage(place.meta)));
		UnlockReleaseBuffer(place.meta);
	}
	return place.node;
}

/* Add to a change what makes a node's list on level 0 contain these links. */
static void
change_adjacency(PageChange *change, Buffer buffer, HnswAdjacency adjacency, const HnswLinks *links)
{
	uint8		n = links->n;
	int			before = adjacency->nlinks;

	hnsw_links_change(change, buffer, adjacency->links, before, links);
	if (n != before)
		page_change_write(change, buffer, (char *) &adjacency->nlinks - (char *) BufferGetPage(buffer), &n, sizeof(n));
}

static bool
disk_replace_links(HnswStore *base, uint32 node, int level,
				   const HnswLinks *old, const HnswLinks *links)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswAdjacency adjacency;
	Buffer		buffer = hnsw_disk_adjacency(store, node, BUFFER_LOCK_EXCLUSIVE, &adjacency);
	PageChange	change;
	HnswLinks	present;
	bool		done = false;

	if (adjacency->state == HNSW_NODE_FREE || level > adjacency->level)
		 /* not the node it was */ ;
	else if (level == 0)
	{
		hnsw_links_load(adjacency->links, adjacency->nlinks, &present);
		if (hnsw_links_equal(&present, old))
		{
			page_change_begin(&change, store->index, store->building);
			change_adjacency(&change, buffer, adjacency, links);
			page_change_commit(&change);
			done = true;
		}
	}
	else
	{
		void	   *item;
		ItemPointerData where = adjacency->upper;
		Buffer		extra = hnsw_disk_extra_item(store, &where, HNSW_EXTRA_UPPER, node,
												 BUFFER_LOCK_EXCLUSIVE, &item);
		HnswUpperLevel upper = upper_level(store, item, &where, level);

		hnsw_links_load(upper->links, upper->nlinks, &present);
		if (hnsw_links_equal(&present, old))
		{
			uint16		n = links->n;

			page_change_begin(&change, store->index, store->building);
			hnsw_links_change(&change, extra, upper->links, upper->nlinks, links);
			page_change_write(&change, extra, (char *) &upper->nlinks - (char *) BufferGetPage(extra), &n, sizeof(n));
			page_change_commit(&change);
			done = true;
		}
		UnlockReleaseBuffer(extra);
	}
	UnlockReleaseBuffer(buffer);
	return done;
}

/* A change of a list and its place in the array that it came in. */
typedef struct ListOrder
{
	uint32		node;
	int			i;
} ListOrder;

static int
compare_list_order(const void *a, const void *b)
{
	uint32		x = ((const ListOrder *) a)->node;
	uint32		y = ((const ListOrder *) b)->node;

	return (x > y) - (x < y);
}

/*
 * As many lists to a record as lie on the pages that a record can have.  The
 * pages are locked (and replayed) in the order of their ordinals.
 */
static void
disk_replace_many(HnswStore *base, HnswListChange *changes, int n)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	uint32		per_page = store->hnsw->adjacencies_per_page;
	ListOrder	order[HNSW_MAX_LINKS_ANY];
	int			next = 0;

	Assert(n <= HNSW_MAX_LINKS_ANY);
	for (int i = 0; i < n; i++)
	{
		/* now, because it may want the metapage */
		check_node(store, changes[i].node);
		changes[i].done = false;
		order[i].node = changes[i].node;
		order[i].i = i;
	}
	qsort(order, n, sizeof(ListOrder), compare_list_order);

	while (next < n)
	{
		Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
		int			nbuffers = 0;
		uint32		ordinal = 0;
		PageChange	change;

		CHECK_FOR_INTERRUPTS();
		page_change_begin(&change, store->index, store->building);
		for (; next < n; next++)
		{
			HnswListChange *list = &changes[order[next].i];
			HnswAdjacency adjacency;
			HnswLinks	present;

			if (nbuffers == 0 || list->node / per_page != ordinal)
			{
				if (nbuffers == MAX_GENERIC_XLOG_PAGES)
					break;
				ordinal = list->node / per_page;
				buffers[nbuffers++] = lock_adjacency_page(store, ordinal, BUFFER_LOCK_EXCLUSIVE);
			}
			adjacency = adjacency_on_page(store, buffers[nbuffers - 1], list->node);
			if (adjacency->state == HNSW_NODE_FREE)
				continue;
			hnsw_links_load(adjacency->links, adjacency->nlinks, &present);
			if (!hnsw_links_equal(&present, &list->old))
				continue;
			change_adjacency(&change, buffers[nbuffers - 1], adjacency, &list->links);
			list->done = true;
		}
		page_change_commit(&change);
		while (nbuffers > 0)
			UnlockReleaseBuffer(buffers[--nbuffers]);
	}
}

/* A new chunk in front of a node's chain, with its first TID; adjacency page locked. */
static void
add_chunk(HnswDiskStore *store, uint32 node, Buffer buffer, ItemPointer tid, int capacity, ItemPointer next)
{
	Size		size = HNSW_TID_CHUNK_SIZE(capacity);
	HnswTidChunk chunk = palloc0(size);
	Buffer		extra = hnsw_disk_extra_page(store, size);
	PageChange	change;
	HnswAdjacency adjacency;
	ItemPointerData where;

	chunk->header.node = node;
	chunk->header.kind = HNSW_EXTRA_TIDS;
	chunk->next = *next;
	chunk->capacity = capacity;
	chunk->ntids = 1;
	chunk->tids[0] = *tid;

	/* replay locks the pages in this order: as scans do, or they deadlock on a standby */
	page_change_begin(&change, store->index, store->building);
	adjacency = HnswPageGetAdjacency(page_change_register(&change, buffer, false), store->hnsw,
									 HnswAdjacencySlot(store->hnsw, node));
	where = hnsw_disk_put_extra(store, &change, extra, chunk, size);
	adjacency->more = where;
	page_change_commit(&change);
	hnsw_disk_note_free_space(store, extra);
	UnlockReleaseBuffer(extra);
	pfree(chunk);
}

/* Append to the first chunk of the chain if it has room; returns its capacity, 0 when done. */
static int
append_to_chunk(HnswDiskStore *store, uint32 node, ItemPointer where, ItemPointer tid)
{
	void	   *item;
	Buffer		extra = hnsw_disk_extra_item(store, where, HNSW_EXTRA_TIDS, node,
											 BUFFER_LOCK_EXCLUSIVE, &item);
	HnswTidChunk chunk = item;
	int			capacity = chunk->capacity;

	if (chunk->ntids < chunk->capacity)
	{
		PageChange	change;
		char	   *page = BufferGetPage(extra);
		uint16		ntids = chunk->ntids + 1;

		page_change_begin(&change, store->index, store->building);
		page_change_write(&change, extra, (char *) &chunk->tids[chunk->ntids] - page, tid, sizeof(*tid));
		page_change_write(&change, extra, (char *) &chunk->ntids - page, &ntids, sizeof(ntids));
		page_change_commit(&change);
		capacity = 0;
	}
	UnlockReleaseBuffer(extra);
	return capacity;
}

/* Whether the node with this record (or slot) on its code page has this code. */
static bool
same_code(HnswDiskStore *store, uint32 node, const char *at, const uint8 *code)
{
	const Quantizer *quantizer = store->store.quantizer;
	HnswWideSlot slot;

	if (!store->hnsw->wide)
		return memcmp(at, code, store->hnsw->code_size) == 0;
	memcpy(&slot, at, sizeof(slot));
	if (!ItemPointerIsValid(&slot.first) || slot.size != quant_record_size(quantizer, code))
		return false;
	hnsw_wide_read_slot(store, node, &slot, store->scratch);
	return memcmp(store->scratch, code, slot.size) == 0;
}

static bool
disk_add_tid(HnswStore *base, uint32 node, const uint8 *code, const uint8 *values, ItemPointer tid)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswIndex  *hnsw = store->hnsw;
	HnswAdjacency adjacency;
	Buffer		codebuffer;
	Buffer		buffer;
	ItemPointer own = NULL;
	RecordRef	ref;
	bool		same;

	check_node(store, node);
	/* many nodes may have one vector, and few of them these values */
	if (values != NULL && hnsw_values_differ(store, node, values))
		return false;
	ref = locate_code(hnsw, node);

	/*
	 * The code's page first (lock order), so that the node cannot be given
	 * away between the comparison and the addition.
	 */
	codebuffer = pagemem_pin(ref.slot, store->index);
	LockBuffer(codebuffer, BUFFER_LOCK_SHARE);
	vecidx_page_check(store->index, codebuffer, VECIDX_PAGE_CODE, HNSW_VERSION);
	same = same_code(store, node, BufferGetPage(codebuffer) + ref.offset, code) &&
		(values == NULL || hnsw_values_equal(store, node, values));
	if (!same)
	{
		UnlockReleaseBuffer(codebuffer);
		return false;
	}
	buffer = hnsw_disk_adjacency(store, node, BUFFER_LOCK_EXCLUSIVE, &adjacency);
	same = adjacency->state == HNSW_NODE_USED;
	for (int i = 0; own == NULL && i < HnswOwnTids(adjacency); i++)
		if (!ItemPointerIsValid(HnswOwnTid(adjacency, i)))
			own = HnswOwnTid(adjacency, i);
	if (!same)
		 /* not the node it was */ ;
	else if (own != NULL)
	{
		PageChange	change;

		page_change_begin(&change, store->index, store->building);
		page_change_write(&change, buffer, (char *) own - (char *) BufferGetPage(buffer), tid, sizeof(*tid));
		page_change_commit(&change);
	}
	else if (!ItemPointerIsValid(&adjacency->more))
	{
		ItemPointerData none;

		ItemPointerSetInvalid(&none);
		add_chunk(store, node, buffer, tid, HNSW_MIN_CHUNK_TIDS, &none);
	}
	else
	{
		ItemPointerData head = adjacency->more;
		int			capacity = append_to_chunk(store, node, &head, tid);

		if (capacity > 0)
			add_chunk(store, node, buffer, tid, Min(capacity * 2, HNSW_MAX_CHUNK_TIDS), &head);
	}
	UnlockReleaseBuffer(buffer);
	UnlockReleaseBuffer(codebuffer);
	return same;
}

static void
disk_raise_entry(HnswStore *base, uint32 node, int level)
{
	HnswDiskStore *store = (HnswDiskStore *) base;
	HnswMetaPage meta;
	Buffer		buffer = lock_meta(store, BUFFER_LOCK_EXCLUSIVE, &meta);

	if (meta->entry == HNSW_INVALID_NODE || level > (int) meta->entry_level)
	{
		PageChange	change;

		page_change_begin(&change, store->index, store->building);
		meta = HnswPageGetMeta(page_change_register(&change, buffer, false));
		meta->entry = node;
		meta->entry_level = level;
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
}

static uint64
disk_node_limit(HnswStore *base)
{
	return hnsw_node_limit(((HnswDiskStore *) base)->hnsw);
}

static void
disk_get_entry(HnswStore *base, HnswEntry *entry)
{
	HnswDiskStore *store = (HnswDiskStore *) base;

	hnsw_index_refresh(store->hnsw, store->index, entry);
}

void
hnsw_disk_store_init(HnswDiskStore *store, Relation index, HnswIndex *hnsw,
					 MemoryContext context, bool building)
{
	store->store.quantizer = &hnsw->quantizer;
	store->store.m = hnsw->m;
	store->store.has_twins = hnsw->filters != NULL;
	store->store.get_links = disk_get_links;
	store->store.neighbours = disk_neighbours;
	store->store.prefetch_links = disk_prefetch_links;
	store->store.prefetch_codes = disk_prefetch_codes;
	store->store.score = disk_score;
	store->store.get_code = disk_get_code;
	store->store.node_limit = disk_node_limit;
	store->store.get_entry = disk_get_entry;
	store->store.raise_entry = disk_raise_entry;
	store->store.create_node = disk_create_node;
	store->store.add_tid = disk_add_tid;
	store->store.replace_links = disk_replace_links;
	store->store.replace_many = disk_replace_many;
	store->index = index;
	store->hnsw = hnsw;
	store->building = building;
	store->scratch_stride = TYPEALIGN(64, hnsw->quantizer.code_size + SIMD_SLACK);
	store->scratch = vecidx_alloc_aligned(context, store->scratch_stride * (hnsw->wide ? 1 : HNSW_MAX_LINKS_ANY + 1));
}

/* ---- Inserts and VACUUM ---- */

void
hnsw_insert_lock(Relation index)
{
	LockPage(index, HNSW_META_BLOCK, ShareLock);
}

void
hnsw_insert_unlock(Relation index)
{
	UnlockPage(index, HNSW_META_BLOCK, ShareLock);
}

void
hnsw_insert_barrier(Relation index)
{
	/* waits for every insert that began before; later ones see what the caller did */
	LockPage(index, HNSW_META_BLOCK, ExclusiveLock);
	UnlockPage(index, HNSW_META_BLOCK, ExclusiveLock);
}
