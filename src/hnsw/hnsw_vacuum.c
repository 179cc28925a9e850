/*
 * hnsw_vacuum.c
 *		VACUUM: take dead TIDs away, mend the links around nodes that lost their
 *		last, give those nodes free.
 *
 * Three passes in file order over the adjacency pages (README.md gives the
 * reasons for the barriers between them):
 *
 * 1. remove dead TIDs; a node without TIDs is marked deleted;
 * 2. every node that links to a deleted one gets new links, chosen among those
 *    it has and those of the deleted nodes;
 * 3. deleted nodes go to the free list.
 */
#include "vecidx.h"

#include "commands/vacuum.h"
#include "hnsw/hnsw.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"

/* A list that keeps less than this part of its links is filled by a search. */
#define MEND_SHARE 2

/* And that search is widened so far where deleted nodes take its places. */
#define MAX_WIDENING 16

/* Most candidates that mending one list looks at. */
#define MAX_MEND_CANDIDATES 2048

typedef struct VacuumState
{
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;
	void	   *callback_state;
	Relation	index;
	HnswIndex  *hnsw;
	HnswDiskStore disk;
	HnswSearch	search;
	HnswSelect	select;
	QuantQuery *query;
	uint8	   *code;
	MemoryContext context;
	MemoryContext page;			/* for one page */

	uint32		limit;			/* nodes looked at: numbers below */
	uint8	   *deleted;		/* bitmap: nodes without TIDs */
	uint8	   *linked;			/* bitmap: nodes that some node links to on level 0 */
	uint64		ndeleted;
	bool		said_vacuuming; /* the metapage's flag is set */
	CandidateArray candidates;
	NodeSet		seen;
} VacuumState;

static inline bool
bit_get(const uint8 *bits, uint32 i)
{
	return (bits[i / 8] >> (i % 8)) & 1;
}

static inline void
bit_set(uint8 *bits, uint32 i)
{
	bits[i / 8] |= (uint8) (1 << (i % 8));
}

static inline bool
is_deleted(const VacuumState *state, uint32 node)
{
	return node < state->limit && bit_get(state->deleted, node);
}

/* Adjacency page by ordinal; false if none of its records is in use yet. */
static bool
read_page(VacuumState *state, uint32 ordinal, int lockmode, Buffer *buffer)
{
	vecidx_vacuum_delay_point();
	return hnsw_disk_adjacency_page(&state->disk, ordinal, lockmode, buffer);
}

static uint32
npages(const VacuumState *state)
{
	return (state->limit + state->hnsw->adjacencies_per_page - 1) / state->hnsw->adjacencies_per_page;
}

/* ---- Pass 1: TIDs ---- */

static inline bool
is_dead(VacuumState *state, ItemPointer tid)
{
	return state->callback(tid, state->callback_state);
}

/* Say in the metapage that nodes may be marked deleted. */
static void
set_vacuuming(VacuumState *state, bool vacuuming)
{
	Buffer		buffer = vecidx_read(state->index, HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
									 VECIDX_PAGE_META, HNSW_VERSION);

	if ((HnswPageGetMeta(BufferGetPage(buffer))->vacuuming != 0) != vacuuming)
	{
		PageChange	change;

		page_change_begin(&change, state->index, false);
		HnswPageGetMeta(page_change_register(&change, buffer, false))->vacuuming = vacuuming;
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * Dead TIDs out of one chunk (its page and the adjacency page are locked).
 * Returns how many are left.
 */
static int
clean_chunk(VacuumState *state, Buffer extra, ItemPointer where, HnswTidChunk chunk, bool remove)
{
	int			live = 0;
	PageChange	change;
	Page		page;

	for (int i = 0; i < chunk->ntids; i++)
		if (!is_dead(state, &chunk->tids[i]))
			live++;
	state->stats->num_index_tuples += live;
	state->stats->tuples_removed += chunk->ntids - live;
	if (live == chunk->ntids || (live == 0 && !remove))
		return live;

	page_change_begin(&change, state->index, false);
	page = page_change_register(&change, extra, false);
	chunk = (HnswTidChunk) PageGetItem(page, PageGetItemId(page, ItemPointerGetOffsetNumber(where)));
	live = 0;
	for (int i = 0; i < chunk->ntids; i++)
		if (!is_dead(state, &chunk->tids[i]))
			chunk->tids[live++] = chunk->tids[i];
	memset(chunk->tids + live, 0, sizeof(ItemPointerData) * (chunk->ntids - live));
	chunk->ntids = live;
	page_change_commit(&change);
	return live;
}

/*
 * Take an empty chunk out of a chain.  previous: the chunk before it, or
 * invalid when the adjacency record points to it.  The adjacency page stays
 * locked, so nobody else reads or changes this chain.
 */
static void
unlink_chunk(VacuumState *state, Buffer adjacency_buffer, uint32 node, ItemPointer previous, ItemPointer where)
{
	HnswIndex  *hnsw = state->hnsw;
	Buffer		before = InvalidBuffer;
	Buffer		extra;
	PageChange	change;
	Page		page;
	Page		before_page;
	HnswAdjacency adjacency;
	ItemPointerData next;
	void	   *item;

	if (ItemPointerIsValid(previous) &&
		ItemPointerGetBlockNumber(previous) != ItemPointerGetBlockNumber(where))
		before = hnsw_disk_extra_item(&state->disk, previous, HNSW_EXTRA_TIDS, node,
									  BUFFER_LOCK_EXCLUSIVE, &item);
	extra = hnsw_disk_extra_item(&state->disk, where, HNSW_EXTRA_TIDS, node, BUFFER_LOCK_EXCLUSIVE, &item);
	next = ((HnswTidChunk) item)->next;

	/*
	 * The adjacency page in any case, and first: replay locks the pages in this
	 * order, and so keeps away from a chain that a scan on a standby reads.
	 */
	page_change_begin(&change, state->index, false);
	adjacency = HnswPageGetAdjacency(page_change_register(&change, adjacency_buffer, false), hnsw,
									 HnswAdjacencySlot(hnsw, node));
	page = page_change_register(&change, extra, false);
	if (!ItemPointerIsValid(previous))
		adjacency->more = next;
	else
	{
		before_page = BufferIsValid(before) ? page_change_register(&change, before, false) : page;
		((HnswTidChunk) PageGetItem(before_page,
									PageGetItemId(before_page, ItemPointerGetOffsetNumber(previous))))->next = next;
	}
	hnsw_page_delete_item(page, where);
	page_change_commit(&change);
	hnsw_disk_note_free_space(&state->disk, extra);
	UnlockReleaseBuffer(extra);
	if (BufferIsValid(before))
		UnlockReleaseBuffer(before);
}

/* A node's further TIDs; the adjacency page is exclusively locked. */
static void
clean_chain(VacuumState *state, Buffer buffer, uint32 node)
{
	ItemPointerData previous;
	ItemPointerData where = HnswPageGetAdjacency(BufferGetPage(buffer), state->hnsw,
												 HnswAdjacencySlot(state->hnsw, node))->more;
	HnswChainGuard guard = HNSW_CHAIN_GUARD;

	ItemPointerSetInvalid(&previous);
	while (ItemPointerIsValid(&where))
	{
		void	   *item;
		Buffer		extra;
		ItemPointerData next;
		int			live;

		hnsw_chain_step(state->index, &guard, &where);
		extra = hnsw_disk_extra_item(&state->disk, &where, HNSW_EXTRA_TIDS, node, BUFFER_LOCK_EXCLUSIVE, &item);
		next = ((HnswTidChunk) item)->next;
		live = clean_chunk(state, extra, &where, item, false);
		UnlockReleaseBuffer(extra);
		if (live == 0)
			unlink_chunk(state, buffer, node, &previous, &where);
		else
			previous = where;
		where = next;
	}
}

static bool
own_tid_is_dead(VacuumState *state, HnswAdjacency adjacency, int i)
{
	ItemPointer tid = HnswOwnTid(adjacency, i);

	return ItemPointerIsValid(tid) && is_dead(state, tid);
}

static bool
has_tids(HnswAdjacency adjacency)
{
	bool		any = ItemPointerIsValid(&adjacency->more);

	for (int i = 0; i < HnswOwnTids(adjacency); i++)
		any |= ItemPointerIsValid(HnswOwnTid(adjacency, i));
	return any;
}

static void
remove_tids_on_page(VacuumState *state, uint32 ordinal)
{
	HnswIndex  *hnsw = state->hnsw;
	uint32		first = ordinal * hnsw->adjacencies_per_page;
	Buffer		buffer;
	Page		page;
	int			n;
	bool		change_needed = false;
	bool		has_chain = false;
	bool		exclusive = false;

	/* look under a share lock; most pages of most tables have nothing to remove */
	if (!read_page(state, ordinal, BUFFER_LOCK_SHARE, &buffer))
		return;
	page = BufferGetPage(buffer);
	n = hnsw_page_adjacencies(hnsw, page);
	for (int i = 0; i < n; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, i);

		if (adjacency->state != HNSW_NODE_USED)
			continue;
		if (ItemPointerIsValid(&adjacency->more))
			has_chain = true;
		for (int j = 0; j < HnswOwnTids(adjacency); j++)
			change_needed |= own_tid_is_dead(state, adjacency, j);
	}
	if (change_needed || has_chain)
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		/* before any node is marked */
		if (!state->said_vacuuming)
			set_vacuuming(state, true);
		state->said_vacuuming = true;
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		exclusive = true;
		n = hnsw_page_adjacencies(hnsw, page);
	}

	if (has_chain)
		for (int i = 0; i < n; i++)
		{
			HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, i);

			if (adjacency->state == HNSW_NODE_USED && ItemPointerIsValid(&adjacency->more))
				clean_chain(state, buffer, first + i);
		}

	/* again, now that nothing can change: an insert may have come between the locks */
	change_needed = false;
	for (int i = 0; exclusive && i < n; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, i);

		if (adjacency->state != HNSW_NODE_USED)
			continue;
		for (int j = 0; j < HnswOwnTids(adjacency); j++)
			change_needed |= own_tid_is_dead(state, adjacency, j);
		change_needed |= !has_tids(adjacency);
	}
	if (change_needed)
	{
		PageChange	change;
		Page		image;

		page_change_begin(&change, state->index, false);
		image = page_change_register(&change, buffer, false);
		for (int i = 0; i < n; i++)
		{
			HnswAdjacency adjacency = HnswPageGetAdjacency(image, hnsw, i);

			if (adjacency->state != HNSW_NODE_USED)
				continue;
			for (int j = 0; j < HnswOwnTids(adjacency); j++)
				if (own_tid_is_dead(state, adjacency, j))
				{
					ItemPointerSetInvalid(HnswOwnTid(adjacency, j));
					state->stats->tuples_removed++;
				}
			if (!has_tids(adjacency))
				adjacency->state = HNSW_NODE_DELETED;
		}
		page_change_commit(&change);
	}

	/* what the page holds now */
	for (int i = 0; i < n && first + i < state->limit; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, i);

		if (adjacency->state == HNSW_NODE_DELETED)
		{
			bit_set(state->deleted, first + i);
			state->ndeleted++;
		}
		else if (adjacency->state == HNSW_NODE_USED)
		{
			for (int j = 0; j < HnswOwnTids(adjacency); j++)
				state->stats->num_index_tuples += ItemPointerIsValid(HnswOwnTid(adjacency, j));
		}
	}
	UnlockReleaseBuffer(buffer);
}

/* ---- Pass 2: links ---- */

/*
 * Nodes that inserts made during the first pass may link to nodes that it
 * marked: take them in.  After the barrier there will be no more of that kind.
 */
static void
take_in_new_nodes(VacuumState *state)
{
	uint32		before = state->limit;

	hnsw_index_refresh(state->hnsw, state->index, NULL);
	state->limit = (uint32) hnsw_node_limit(state->hnsw);
	if (state->limit / 8 > before / 8)
	{
		state->deleted = repalloc_huge(state->deleted, state->limit / 8 + 1);
		memset(state->deleted + before / 8 + 1, 0, state->limit / 8 - before / 8);
	}
}

/* The highest node in use, HNSW_INVALID_NODE if there is none. */
static uint32
highest_node(VacuumState *state, int *level)
{
	uint32		best = HNSW_INVALID_NODE;

	*level = 0;
	for (uint32 ordinal = 0; ordinal < npages(state); ordinal++)
	{
		Buffer		buffer;
		int			n;

		if (!read_page(state, ordinal, BUFFER_LOCK_SHARE, &buffer))
			continue;
		n = hnsw_page_adjacencies(state->hnsw, BufferGetPage(buffer));
		for (int i = 0; i < n; i++)
		{
			HnswAdjacency adjacency = HnswPageGetAdjacency(BufferGetPage(buffer), state->hnsw, i);

			if (adjacency->state == HNSW_NODE_USED &&
				(best == HNSW_INVALID_NODE || adjacency->level > *level))
			{
				best = ordinal * state->hnsw->adjacencies_per_page + i;
				*level = adjacency->level;
			}
		}
		UnlockReleaseBuffer(buffer);
	}
	return best;
}

/*
 * If the entry point is deleted, make the highest node the entry point.  That
 * there is none in use stays true until an insert finds none, and then it makes
 * its own node the entry point.
 */
static void
replace_entry(VacuumState *state)
{
	HnswEntry	entry;
	Buffer		buffer;
	HnswMetaPage meta;
	uint32		best;
	int			best_level;

	hnsw_index_refresh(state->hnsw, state->index, &entry);
	if (entry.node == HNSW_INVALID_NODE || !is_deleted(state, entry.node))
		return;
	best = highest_node(state, &best_level);
	buffer = vecidx_read(state->index, HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
						 VECIDX_PAGE_META, HNSW_VERSION);
	meta = HnswPageGetMeta(BufferGetPage(buffer));

	/* an insert may have put a new node there meanwhile */
	if (meta->entry != HNSW_INVALID_NODE && is_deleted(state, meta->entry))
	{
		PageChange	change;

		page_change_begin(&change, state->index, false);
		meta = HnswPageGetMeta(page_change_register(&change, buffer, false));
		meta->entry = best;
		meta->entry_level = best_level;
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * Candidates for the free places of a node's list: what is found walking on
 * through its deleted neighbours.
 */
static void
gather_candidates(VacuumState *state, uint32 node, int level, const HnswLinks *links)
{
	HnswStore  *store = &state->disk.store;
	CandidateArray *live = &state->candidates;
	uint32		queue[MAX_MEND_CANDIDATES];
	int			head = 0;
	int			tail = 0;
	int			max = HNSW_MAX_LINKS(store->m, level);

	live->n = 0;
	nodeset_clear(&state->seen);
	(void) nodeset_add(&state->seen, node);
	for (int i = 0; i < links->n; i++)
	{
		Candidate	c = {0, 0, links->nodes[i], 0};

		if (nodeset_add(&state->seen, c.node) && is_deleted(state, c.node))
			queue[tail++] = c.node;
	}

	/* the links of deleted neighbours; further only if that gives too few */
	for (int round_end = tail; head < tail && live->n < MAX_MEND_CANDIDATES; head++)
	{
		HnswLinks	next;

		if (head == round_end)
		{
			if (live->n >= (size_t) max)
				break;
			round_end = tail;
		}
		(void) store->get_links(store, queue[head], level, &next);
		for (int i = 0; i < next.n; i++)
		{
			Candidate	c = {0, 0, next.nodes[i], 0};

			if (!nodeset_add(&state->seen, c.node))
				continue;
			if (!is_deleted(state, c.node))
				candidates_append(live, c);
			else if (tail < MAX_MEND_CANDIDATES)
				queue[tail++] = c.node;
		}
	}
}

/* Estimate the candidates' distances to the query's node, and sort them. */
static void
score_candidates(VacuumState *state)
{
	HnswStore  *store = &state->disk.store;
	CandidateArray *live = &state->candidates;
	uint32		nodes[HNSW_MAX_LINKS_ANY];
	float		dist[HNSW_MAX_LINKS_ANY];

	for (size_t first = 0; first < live->n; first += HNSW_MAX_LINKS_ANY)
	{
		int			n = Min(live->n - first, HNSW_MAX_LINKS_ANY);

		for (int i = 0; i < n; i++)
			nodes[i] = live->items[first + i].node;
		hnsw_score(store, state->query, nodes, n, dist, NULL);
		for (int i = 0; i < n; i++)
			live->items[first + i].dist = dist[i];
	}
	candidates_sort(live->items, live->n);
}

/*
 * The nearest nodes by a search, those left out that the list has already:
 * where the neighbourhood is gone.
 */
static void
search_candidates(VacuumState *state, uint32 node, int level, const HnswLinks *links)
{
	HnswEntry	entry;
	ScoredNode	nearest;
	CandidateArray *live = &state->candidates;

	hnsw_index_refresh(state->hnsw, state->index, &entry);
	live->n = 0;
	if (entry.node == HNSW_INVALID_NODE || entry.level < level)
		return;
	state->disk.store.get_code(&state->disk.store, node, state->code);
	quant_query_from_code(&state->hnsw->quantizer, state->code, state->query);
	hnsw_search_begin(&state->search, state->query);
	nearest = hnsw_search_descend(&state->search, entry.node, entry.level, level);
	for (int ef = state->hnsw->ef_construction;; ef *= 2)
	{
		hnsw_search_level(&state->search, &nearest, 1, level, ef);
		live->n = 0;
		for (size_t i = 0; i < state->search.results.n; i++)
		{
			Candidate	c = scored_candidate(state->search.results.items[i]);
			bool		known = c.node == node || is_deleted(state, c.node);

			for (int j = 0; !known && j < links->n; j++)
				known = links->nodes[j] == c.node;
			if (!known)
				candidates_append(live, c);
		}
		/* deleted nodes are not to take the places of others */
		if (live->n >= (size_t) state->hnsw->ef_construction || state->search.results.n < (size_t) ef ||
			ef >= state->hnsw->ef_construction * MAX_WIDENING)
			break;
	}
	candidates_sort(live->items, live->n);
}

/* Put those first that nothing mended so far links to; returns how many. */
static int
lone_twins_first(const VacuumState *state, uint32 *twins, int n)
{
	int			alone = 0;

	for (int i = 0; i < n; i++)
		if (twins[i] >= state->limit || !bit_get(state->linked, twins[i]))
		{
			uint32		twin = twins[i];

			twins[i] = twins[alone];
			twins[alone++] = twin;
		}
	return alone;
}

/*
 * Fill a list's free places out of the candidates: with its share of twins,
 * and the others by the rule.  The query is the node's if there are any.
 */
static void
fill_list(VacuumState *state, uint32 node, HnswLinks *links, int max)
{
	HnswStore  *store = &state->disk.store;
	CandidateArray *live = &state->candidates;
	int			n = live->n;
	int			ntwins = 0;
	int			take = 0;
	int			alone = 0;
	uint32	   *twins = NULL;

	if (store->has_twins && n > 0)
	{
		float		self;
		float		dist[HNSW_MAX_LINKS_ANY];
		int			present = 0;

		hnsw_score(store, state->query, &node, 1, &self, NULL);
		if (links->n > 0)
			hnsw_score(store, state->query, links->nodes, links->n, dist, NULL);
		for (int i = 0; i < links->n; i++)
			present += dist[i] == self;
		twins = palloc(sizeof(uint32) * n);
		n = hnsw_twins_apart(store, live->items, n, self, twins, &ntwins);
		alone = lone_twins_first(state, twins, ntwins);
		take = Max(Min(ntwins, hnsw_twin_places(max) - present), 0);
		take = Min(Max(take, alone), max - links->n);
	}
	hnsw_select(&state->select, live->items, n, max - take, links);
	if (take > 0 && alone >= take)
		hnsw_twins_link(links, twins, alone, take, node);
	else if (take > 0)
		hnsw_twins_link(links, twins, ntwins, take, 0);
}

static void
mend_list(VacuumState *state, uint32 node, int level)
{
	HnswStore  *store = &state->disk.store;
	int			max = HNSW_MAX_LINKS(store->m, level);

	for (;;)
	{
		HnswLinks	old;
		HnswLinks	links;
		bool		touched = false;

		vecidx_vacuum_delay_point();
		if (store->get_links(store, node, level, &old) != HNSW_NODE_USED)
			return;
		for (int i = 0; i < old.n; i++)
			if (is_deleted(state, old.nodes[i]))
				touched = true;
		if (!touched)
			return;
		links.n = links.nkept = 0;
		for (int i = 0; i < old.n; i++)
		{
			if (is_deleted(state, old.nodes[i]))
				continue;
			links.nodes[links.n++] = old.nodes[i];
			if (i < old.nkept)
				links.nkept++;
		}
		state->candidates.n = 0;
		if (links.n * MEND_SHARE >= old.n)
			gather_candidates(state, node, level, &old);
		if (state->candidates.n > 0)
		{
			store->get_code(store, node, state->code);
			quant_query_from_code(store->quantizer, state->code, state->query);
			score_candidates(state);
		}
		else if (links.n * MEND_SHARE < old.n)
			search_candidates(state, node, level, &links);
		fill_list(state, node, &links, max);
		if (!store->replace_links(store, node, level, &old, &links))
			continue;			/* an insert changed the list meanwhile */

		/* the deleted nodes' links back went with them: offer new ones */
		for (int i = 0; i < links.n; i++)
		{
			bool		is_new = true;

			for (int j = 0; is_new && j < old.n; j++)
				is_new = old.nodes[j] != links.nodes[i];
			if (is_new)
				hnsw_link_back(&state->select, store, links.nodes[i], node, level);
		}
		return;
	}
}

/* Whether any link on any level of the page's nodes leads to a deleted node. */
static void
mend_page(VacuumState *state, uint32 ordinal)
{
	HnswIndex  *hnsw = state->hnsw;
	HnswStore  *store = &state->disk.store;
	uint32		first = ordinal * hnsw->adjacencies_per_page;
	Buffer		buffer;
	int			n;
	uint8	   *levels;			/* 1 + level of nodes in use */
	MemoryContext old = MemoryContextSwitchTo(state->page);

	if (!read_page(state, ordinal, BUFFER_LOCK_SHARE, &buffer))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	n = hnsw_page_adjacencies(hnsw, BufferGetPage(buffer));
	levels = palloc0(Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(BufferGetPage(buffer), hnsw, i);

		if (adjacency->state == HNSW_NODE_USED)
			levels[i] = 1 + adjacency->level;
	}
	UnlockReleaseBuffer(buffer);

	for (int i = 0; i < n; i++)
	{
		HnswLinks	links;

		for (int level = 0; level < levels[i]; level++)
			mend_list(state, first + i, level);
		if (levels[i] == 0)
			continue;
		(void) store->get_links(store, first + i, 0, &links);
		for (int j = 0; j < links.n; j++)
			if (links.nodes[j] < state->limit)
				bit_set(state->linked, links.nodes[j]);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->page);
}

/*
 * A node that nothing links to any more cannot be found: make its own
 * neighbours link to it.
 */
static void
relink_page(VacuumState *state, uint32 ordinal)
{
	HnswIndex  *hnsw = state->hnsw;
	HnswStore  *store = &state->disk.store;
	uint32		first = ordinal * hnsw->adjacencies_per_page;

	for (uint32 i = 0; i < hnsw->adjacencies_per_page && first + i < state->limit; i++)
	{
		Buffer		buffer;
		bool		used;

		if (bit_get(state->linked, first + i) || bit_get(state->deleted, first + i))
			continue;
		if (!read_page(state, ordinal, BUFFER_LOCK_SHARE, &buffer))
			return;
		used = (int) i < hnsw_page_adjacencies(hnsw, BufferGetPage(buffer)) &&
			HnswPageGetAdjacency(BufferGetPage(buffer), hnsw, i)->state == HNSW_NODE_USED;
		UnlockReleaseBuffer(buffer);
		if (used)
			hnsw_link_orphan(&state->select, store, first + i);
	}
}

/* ---- Pass 3: free ---- */

/* A deleted node in the image of its page, onto the free list. */
static void
free_node(HnswIndex *hnsw, HnswMetaPage meta, Page page, uint32 node)
{
	HnswAdjacency adjacency = HnswPageGetAdjacency(page, hnsw, HnswAdjacencySlot(hnsw, node));

	memset(adjacency, 0, hnsw->adjacency_size);
	adjacency->state = HNSW_NODE_FREE;
	ItemPointerSetInvalid(&adjacency->tid);
	ItemPointerSetInvalid(&adjacency->more);
	ItemPointerSetInvalid(&adjacency->upper);
	adjacency->links[0] = meta->free_head;
	meta->free_head = node;
	meta->nfree++;
}

/*
 * The deleted nodes of one page: those with upper links one by one, each with
 * its item; the others in one change.
 */
static void
free_page_nodes(VacuumState *state, uint32 ordinal)
{
	HnswIndex  *hnsw = state->hnsw;
	uint32		first = ordinal * hnsw->adjacencies_per_page;
	bool		any = false;
	Buffer		metabuffer;
	Buffer		buffer;
	PageChange	change;
	int			n;

	for (uint32 i = 0; i < hnsw->adjacencies_per_page && first + i < state->limit && !any; i++)
		any = bit_get(state->deleted, first + i);
	if (!any)
		return;

	vecidx_vacuum_delay_point();
	for (uint32 i = 0; hnsw->wide && i < hnsw->adjacencies_per_page && first + i < state->limit; i++)
		if (bit_get(state->deleted, first + i))
			hnsw_wide_drop(&state->disk, first + i);
	metabuffer = vecidx_read(state->index, HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE,
							 VECIDX_PAGE_META, HNSW_VERSION);
	if (!hnsw_disk_adjacency_page(&state->disk, ordinal, BUFFER_LOCK_EXCLUSIVE, &buffer))
	{
		UnlockReleaseBuffer(metabuffer);
		return;
	}
	n = hnsw_page_adjacencies(hnsw, BufferGetPage(buffer));
	any = false;
	for (int i = 0; i < n && first + i < state->limit; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(BufferGetPage(buffer), hnsw, i);
		ItemPointerData upper = adjacency->upper;
		Buffer		extra;
		HnswMetaPage meta;
		Page		page;
		void	   *item;

		if (!bit_get(state->deleted, first + i) || adjacency->state != HNSW_NODE_DELETED)
			continue;
		if (adjacency->level == 0 || !ItemPointerIsValid(&upper))
		{
			any = true;
			continue;
		}
		extra = hnsw_disk_extra_item(&state->disk, &upper, HNSW_EXTRA_UPPER, first + i,
									 BUFFER_LOCK_EXCLUSIVE, &item);
		page_change_begin(&change, state->index, false);
		meta = HnswPageGetMeta(page_change_register(&change, metabuffer, false));
		page = page_change_register(&change, buffer, false);
		free_node(hnsw, meta, page, first + i);
		hnsw_page_delete_item(page_change_register(&change, extra, false), &upper);
		page_change_commit(&change);
		hnsw_disk_note_free_space(&state->disk, extra);
		UnlockReleaseBuffer(extra);
	}
	if (any)
	{
		HnswMetaPage meta;
		Page		page;

		page_change_begin(&change, state->index, false);
		meta = HnswPageGetMeta(page_change_register(&change, metabuffer, false));
		page = page_change_register(&change, buffer, false);
		for (int i = 0; i < n && first + i < state->limit; i++)
			if (bit_get(state->deleted, first + i) &&
				HnswPageGetAdjacency(page, hnsw, i)->state == HNSW_NODE_DELETED)
				free_node(hnsw, meta, page, first + i);
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
	UnlockReleaseBuffer(metabuffer);
}

IndexBulkDeleteResult *
hnsw_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
				IndexBulkDeleteCallback callback, void *callback_state)
{
	VacuumState state = {0};
	HnswEntry	entry;
	MemoryContext old;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	stats->num_index_tuples = 0;

	state.stats = stats;
	state.callback = callback;
	state.callback_state = callback_state;
	state.index = info->index;
	state.context = AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	state.page = AllocSetContextCreate(state.context, "hnsw vacuum page", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(state.context);
	state.hnsw = hnsw_index_open(info->index, state.context, &entry);
	hnsw_disk_store_init(&state.disk, info->index, state.hnsw, state.context, false);
	hnsw_search_init(&state.search, &state.disk.store, state.context, state.hnsw->ef_construction);
	hnsw_select_init(&state.select, &state.disk.store, state.context);
	state.query = vecidx_alloc_aligned(state.context, state.hnsw->quantizer.query_size);
	state.code = vecidx_alloc_aligned(state.context, state.hnsw->quantizer.code_size + SIMD_SLACK);
	state.limit = (uint32) hnsw_node_limit(state.hnsw);
	state.deleted = MemoryContextAllocExtended(state.context, state.limit / 8 + 1,
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	candidates_init(&state.candidates, state.context);
	nodeset_init(&state.seen, state.context, MAX_MEND_CANDIDATES);

	for (uint32 i = 0; i < npages(&state); i++)
		remove_tids_on_page(&state, i);

	if (state.ndeleted > 0)
	{
		/* inserts that saw the deleted nodes in use have linked to them by now */
		hnsw_insert_barrier(state.index);
		take_in_new_nodes(&state);
		replace_entry(&state);
		state.linked = MemoryContextAllocExtended(state.context, state.limit / 8 + 1,
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
		for (uint32 i = 0; i < npages(&state); i++)
			mend_page(&state, i);
		for (uint32 i = 0; i < npages(&state); i++)
			relink_page(&state, i);

		/* inserts that met deleted nodes on their way are done with them */
		hnsw_insert_barrier(state.index);
		for (uint32 i = 0; i < npages(&state); i++)
			free_page_nodes(&state, i);
	}
	if (state.said_vacuuming || entry.vacuuming)
		set_vacuuming(&state, false);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(state.context);
	return stats;
}

static bool
nothing_is_dead(ItemPointer tid, void *arg)
{
	(void) tid;
	(void) arg;
	return false;
}

/* Whether an earlier VACUUM has left deleted nodes behind. */
static bool
was_cut_short(Relation index)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_SMALL_SIZES);
	HnswEntry	entry;

	(void) hnsw_index_open(index, context, &entry);
	MemoryContextDelete(context);
	return entry.vacuuming;
}

/*
 * Write anew what the free space map says of extra pages (it is not logged),
 * and have it know the pages that a crash left to nobody.
 */
static void
renew_free_space_map(IndexVacuumInfo *info)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw vacuum", ALLOCSET_DEFAULT_SIZES);
	BlockNumber nblocks = RelationGetNumberOfBlocks(info->index);
	HnswDiskStore disk;
	HnswEntry	entry;

	hnsw_disk_store_init(&disk, info->index, hnsw_index_open(info->index, context, &entry), context, false);
	for (BlockNumber block = 0; block < nblocks; block++)
	{
		Size		free;

		if (hnsw_disk_extra_space(&disk, block, info->strategy, &free))
		{
			RecordPageWithFreeSpace(info->index, block, free);
			vecidx_vacuum_delay_point();
		}
	}
	MemoryContextDelete(context);
}

IndexBulkDeleteResult *
hnsw_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	if (info->analyze_only)
		return stats;
	if (stats == NULL && was_cut_short(info->index))
		stats = hnsw_bulkdelete(info, NULL, nothing_is_dead, NULL);
	if (stats == NULL)
	{
		/* nothing was dead: the table's count will do */
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->num_index_tuples = info->num_heap_tuples;
		stats->estimated_count = true;
	}
	else
		renew_free_space_map(info);
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	IndexFreeSpaceMapVacuum(info->index);
	return stats;
}
