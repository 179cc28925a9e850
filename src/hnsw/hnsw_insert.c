/*
 * hnsw_insert.c
 *		One row into the graph, in memory or on pages; and aminsert.
 *
 * Algorithm 1 of Malkov & Yashunin: descend to the node's level, search every
 * level below with ef_construction, choose links, create the node with them,
 * then offer the node to each neighbour.  A row whose code stands in the graph
 * already, with the same filter values, becomes one more TID of that node.
 */
#include "vecidx.h"

#include "hnsw/hnsw.h"
#include "miscadmin.h"

/* Width of the search for a vector that should be there. */
#define PRESENT_EF 12

void
hnsw_inserter_init(HnswInserter *inserter, HnswStore *store, int ef_construction,
				   uint64 seed, MemoryContext context)
{
	const Quantizer *quantizer = store->quantizer;

	memset(inserter, 0, sizeof(*inserter));
	inserter->store = store;
	inserter->ef_construction = ef_construction;
	inserter->seed = seed;
	hnsw_search_init(&inserter->search, store, context, ef_construction);
	hnsw_select_init(&inserter->select, store, context);
	inserter->query = vecidx_alloc_aligned(context, quantizer->query_size);
	inserter->scratch = vecidx_alloc_aligned(context, quantizer->scratch_size + 1);
	inserter->code = vecidx_alloc_aligned(context, quantizer->code_size + SIMD_SLACK);
	candidates_init(&inserter->sorted, context);
	inserter->carried = MemoryContextAlloc(context, sizeof(ScoredNode) * ef_construction);
	inserter->links = MemoryContextAlloc(context, sizeof(HnswLinks) * (HNSW_LEVEL_LIMIT + 1));
	inserter->twins = MemoryContextAlloc(context, sizeof(uint32) * ef_construction);
}

/*
 * The search's results, nearest first, without nodes that VACUUM is taking
 * away; at most ef_construction.
 */
static int
sorted_results(HnswInserter *inserter, bool check_deleted)
{
	ScoredArray *results = &inserter->search.results;
	CandidateArray *sorted = &inserter->sorted;

	sorted->n = 0;
	candidates_reserve(sorted, results->n);
	for (size_t i = 0; i < results->n; i++)
	{
		Candidate	c = scored_candidate(results->items[i]);

		if (check_deleted)
		{
			HnswLinks	links;

			if (inserter->store->get_links(inserter->store, c.node, 0, &links) != HNSW_NODE_USED)
				continue;
		}
		sorted->items[sorted->n++] = c;
	}
	candidates_sort(sorted->items, sorted->n);
	return Min(sorted->n, (size_t) inserter->ef_construction);
}

/* The distance that a node with the same code would have. */
static float
own_distance(HnswInserter *inserter)
{
	const uint8 *record = inserter->code;
	float		self;

	quant_score(inserter->query, &record, 1, &self, NULL);
	return self;
}

/*
 * Give the TID to a node with the same code and filter values, if the search met one.  Equal
 * codes have equal estimates, so only candidates at the distance that the
 * code itself would have are looked at.
 */
static bool
add_to_equal(HnswInserter *inserter, int nsorted, ItemPointer tid)
{
	float		self = own_distance(inserter);

	for (int i = 0; i < nsorted; i++)
	{
		if (inserter->sorted.items[i].dist == self &&
			inserter->store->add_tid(inserter->store, inserter->sorted.items[i].node, inserter->code,
									 inserter->values, tid))
			return true;
	}
	return false;
}

/*
 * For a row version whose vector is said to be in the index: a narrow search,
 * which ends where a node is as near as its own would be, finds it, if it does.
 */
static bool
add_to_present(HnswInserter *inserter, const HnswEntry *entry, ItemPointer tid)
{
	HnswSearch *search = &inserter->search;
	ScoredNode	nearest;

	hnsw_search_begin(search, inserter->query);
	search->enough = own_distance(inserter);
	nearest = hnsw_search_descend(search, entry->node, entry->level, 0);
	hnsw_search_level(search, &nearest, 1, 0, Min(PRESENT_EF, inserter->ef_construction));
	return add_to_equal(inserter, sorted_results(inserter, entry->vacuuming), tid);
}

/*
 * VACUUM is taking away all of the nearest nodes: search wider, within
 * reason (each insert beside a large deleted region comes here).
 */
static int
widened_results(HnswInserter *inserter, const ScoredNode *entries, int nentries)
{
	HnswSearch *search = &inserter->search;
	int			n = 0;

	for (int ef = inserter->ef_construction * 4;; ef *= 4)
	{
		hnsw_search_level(search, entries, nentries, 0, ef);
		n = sorted_results(inserter, true);
		if (n > 0 || search->results.n < (size_t) ef || ef >= inserter->ef_construction * 64)
			return n;
	}
}

/* The entry point as the only result, if it is in use: no search leads to it. */
static int
entry_result(HnswInserter *inserter)
{
	HnswStore  *store = inserter->store;
	ScoredArray *results = &inserter->search.results;
	HnswEntry	entry;
	float		dist;

	store->get_entry(store, &entry);
	if (entry.node == HNSW_INVALID_NODE)
		return 0;
	hnsw_score(store, inserter->query, &entry.node, 1, &dist, NULL);
	scored_reserve(results, 1);
	results->items[0] = scored_node(dist, entry.node);
	results->n = 1;
	return sorted_results(inserter, true);
}

/* The first node of an empty graph; false if another backend was first. */
static bool
create_first(HnswInserter *inserter, ItemPointer tid, int level)
{
	for (int l = 0; l <= level; l++)
		inserter->links[l].n = inserter->links[l].nkept = 0;
	return inserter->store->create_node(inserter->store, inserter->code, inserter->values, tid, level,
										inserter->links, true) != HNSW_INVALID_NODE;
}

/* The new node's links on a level, out of n sorted candidates. */
static void
select_links(HnswInserter *inserter, int n, int level, uint32 salt)
{
	HnswStore  *store = inserter->store;
	HnswLinks  *links = &inserter->links[level];
	int			max = HNSW_MAX_LINKS(store->m, level);
	int			ntwins = 0;
	int			take;

	if (store->has_twins)
		n = hnsw_twins_apart(store, inserter->sorted.items, n, own_distance(inserter), inserter->twins, &ntwins);
	take = Min(ntwins, hnsw_twin_places(max));
	links->n = links->nkept = 0;
	hnsw_select(&inserter->select, inserter->sorted.items, n, max - take, links);
	if (take > 0)
		hnsw_twins_link(links, inserter->twins, ntwins, take, salt);
}

bool
hnsw_inserter_add(HnswInserter *inserter, const void *vector, const uint8 *values, ItemPointer tid, bool unchanged)
{
	HnswStore  *store = inserter->store;
	HnswSearch *search = &inserter->search;
	HnswEntry	entry;
	int			level;
	int			top;
	uint32		node;
	ScoredNode	nearest;
	const ScoredNode *entries;
	int			nentries;

	quant_encode(store->quantizer, vector, inserter->code, inserter->scratch);
	quant_query_prepare(store->quantizer, vector, inserter->query, inserter->scratch);

	inserter->values = values;

	/* the number may have been another node's when it was last offered */
	inserter->select.offered = HNSW_INVALID_NODE;

	/* nobody knows the node's number yet, so its level follows from its TID */
	level = hnsw_random_level(inserter->seed,
							  (uint32) (ItemPointerGetBlockNumberNoCheck(tid) * MaxHeapTuplesPerPage +
										ItemPointerGetOffsetNumberNoCheck(tid)),
							  store->m);

retry:
	store->get_entry(store, &entry);
	if (entry.node == HNSW_INVALID_NODE)
	{
		if (create_first(inserter, tid, level))
			return true;
		goto retry;
	}

	if (unchanged && add_to_present(inserter, &entry, tid))
		return false;

	hnsw_search_begin(search, inserter->query);
	nearest = hnsw_search_descend(search, entry.node, entry.level, level);
	entries = &nearest;
	nentries = 1;
	top = Min(level, entry.level);
	for (int l = level; l > top; l--)
		inserter->links[l].n = inserter->links[l].nkept = 0;

	/* from the top: each level begins with what the one above found */
	for (int l = top; l >= 0; l--)
	{
		int			n;

		hnsw_search_level(search, entries, nentries, l, inserter->ef_construction);
		n = sorted_results(inserter, entry.vacuuming);
		if (l == 0 && n == 0)
		{
			n = widened_results(inserter, entries, nentries);
			if (n == 0)
			{
				/* VACUUM is taking away every node there is: begin anew */
				if (create_first(inserter, tid, level))
					return true;
				n = entry_result(inserter);
				if (n == 0)
					goto retry;
			}
		}
		if (l == 0 && add_to_equal(inserter, n, tid))
			return false;
		select_links(inserter, n, l, ItemPointerGetOffsetNumberNoCheck(tid));
		if (l > 0)
		{
			nentries = search->results.n;
			memcpy(inserter->carried, search->results.items, sizeof(ScoredNode) * nentries);
			entries = inserter->carried;
		}
	}

	node = store->create_node(store, inserter->code, values, tid, level, inserter->links, false);
	for (int l = top; l >= 0; l--)
	{
		int			accepted = hnsw_link_back_all(&inserter->select, store, &inserter->links[l], node, l);

		if (l == 0 && accepted == 0)
			hnsw_link_orphan(&inserter->select, store, node);
	}
	if (level > entry.level)
		store->raise_entry(store, node, level);
	return true;
}

/*
 * What an insert works with.  It outlives the statement, as a scan's does: the
 * next one on the index takes it over.  Making it anew was a quarter of the
 * time of an UPDATE of one row, most of it in the kernel.
 */
typedef struct HnswInsertState
{
	MemoryContext context;
	MemoryContext row;			/* reset after each row */
	HnswIndex  *hnsw;
	HnswDiskStore store;
	HnswInserter inserter;
	void	   *buffer;			/* of a value */
	uint8	   *values;			/* of filter columns, packed, or NULL */
} HnswInsertState;

static HnswInsertState *
make_insert_state(HnswIndex *hnsw, Relation index)
{
	MemoryContext context = AllocSetContextCreate(hnsw->remembered.context, "hnsw insert memory",
												  ALLOCSET_DEFAULT_SIZES);
	HnswInsertState *state = MemoryContextAllocZero(context, sizeof(HnswInsertState));

	state->context = context;
	state->row = AllocSetContextCreate(context, "hnsw insert row", ALLOCSET_DEFAULT_SIZES);
	state->hnsw = hnsw;
	hnsw_disk_store_init(&state->store, index, hnsw, context, false);
	hnsw_inserter_init(&state->inserter, &state->store.store, hnsw->ef_construction, hnsw->seed, context);
	state->buffer = vecidx_elements_buffer(hnsw->opclass, hnsw->dim, context);
	if (hnsw->filters != NULL)
		state->values = MemoryContextAlloc(context, hnsw->filters->packed_size);
	return state;
}

/* The statement's memory context goes away: keep the working memory, or not. */
static void
release_insert_state(void *arg)
{
	HnswInsertState *state = arg;

	MemoryContextReset(state->row); /* an error may have left something */
	if (state->hnsw->spare_insert == NULL &&
		MemoryContextMemAllocated(state->context, true) <= HNSW_SPARE_BYTES)
		state->hnsw->spare_insert = state;
	else
		MemoryContextDelete(state->context);
}

static HnswInsertState *
begin_insert(Relation index, MemoryContext statement)
{
	MemoryContextCallback *callback = MemoryContextAlloc(statement, sizeof(MemoryContextCallback));
	HnswEntry	entry;
	HnswIndex  *hnsw = hnsw_index_open(index, statement, &entry);
	HnswInsertState *state = hnsw->spare_insert;

	if (state != NULL)
		hnsw->spare_insert = NULL;
	else
		state = make_insert_state(hnsw, index);
	callback->func = release_insert_state;
	callback->arg = state;
	MemoryContextRegisterResetCallback(statement, callback);
	return state;
}

bool
hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
			IndexUniqueCheck check, bool unchanged, IndexInfo *indexInfo)
{
	HnswInsertState *state = indexInfo->ii_AmCache;
	MemoryContext old;
	const void *elements;

	(void) heap;
	(void) check;

	if (isnull[0])
		return false;

	if (state == NULL)
		state = indexInfo->ii_AmCache = begin_insert(index, indexInfo->ii_Context);
	state->store.index = index;

	old = MemoryContextSwitchTo(state->row);
	elements = vecidx_elements(state->hnsw->opclass, values[0], state->hnsw->dim, state->buffer);
	if (elements != NULL)
	{
		if (state->values != NULL)
			vecidx_filter_pack(state->hnsw->filters, values, isnull, state->values);
		/* holding nothing */
		hnsw_disk_grow_ahead(&state->store);
		hnsw_insert_lock(index);
		hnsw_inserter_add(&state->inserter, elements, state->values, tid, unchanged);
		hnsw_insert_unlock(index);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
	return false;
}
