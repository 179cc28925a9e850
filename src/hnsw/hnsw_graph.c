/*
 * hnsw_graph.c
 *		Search and neighbour selection over a store of nodes.
 *
 * After Malkov & Yashunin, "Efficient and robust approximate nearest neighbor
 * search using Hierarchical Navigable Small World graphs" (2016).  Departures:
 * distances are estimates on codes, links the rule prunes are filled up again,
 * and lists change one link at a time (hnsw_links_offer).
 */
#include "vecidx.h"

#include <math.h>

#include "hnsw/hnsw.h"
#include "hnsw/hnsw_filter.h"
#include "miscadmin.h"

/* Tries to write a neighbour's list that others keep changing. */
#define MAX_LINK_TRIES 8

/*
 * The selection rule with some slack, as Vamana has it (Subramanya et al.,
 * 2019): a link is covered by a kept one only if it is nearer to that by this
 * factor than to the base.  Distances are squared where it applies, and
 * README.md has what was measured, also with few links and other metrics.  The
 * links that it keeps are worth more than offers to farther neighbours.
 */
#define SLACK 1.05f
#define SLACK_MIN_M 12

/* Nodes that a search expands at once. */
#define EXPAND_WIDTH 2

/*
 * Where few of a node's neighbours pass, the others are stepped over, until so many
 * quarters of m nodes are found that pass.
 */
#define HOP_ENOUGH 7

/* Lists that are asked for ahead of those that are being read. */
#define HOP_AHEAD 4

/* Tests that tell what part passes where a walk has come to. */
#define LATE_TESTS 64

/* Candidates of a selection that need no allocation. */
#define HNSW_SELECT_CANDIDATES 1024

void
hnsw_search_init(HnswSearch *search, HnswStore *store, MemoryContext context, int ef)
{
	memset(search, 0, sizeof(*search));
	search->store = store;
	scored_init(&search->frontier, context);
	scored_init(&search->results, context);
	scored_init(&search->discarded, context);
	nodeset_init(&search->visited, context, Min((uint64) ef * store->m * 2, 100000));
}

void
hnsw_search_begin(HnswSearch *search, const QuantQuery *query)
{
	search->query = query;
	search->enough = -INFINITY;
	search->nscored = 0;
	search->work_score = hnsw_work_score(search->store->quantizer->code_size);
	search->work = 0;
	search->frontier.n = search->results.n = search->discarded.n = 0;
}

ScoredNode
hnsw_search_descend(HnswSearch *search, uint32 entry, int from, int to)
{
	HnswStore  *store = search->store;
	uint32		best = entry;
	float		best_dist;
	float		dist[HNSW_MAX_LINKS_ANY];

	hnsw_score(store, search->query, &entry, 1, &best_dist, NULL);
	search->nscored++;

	for (int level = from; level > to; level--)
	{
		for (;;)
		{
			HnswLinks	links;
			bool		moved = false;

			CHECK_FOR_INTERRUPTS();
			store->get_links(store, best, level, &links);
			if (links.n == 0)
				break;
			hnsw_score(store, search->query, links.nodes, links.n, dist, NULL);
			search->nscored += links.n;
			for (int i = 0; i < links.n; i++)
			{
				/* strictly nearer, so the walk ends */
				if (dist[i] < best_dist)
				{
					best_dist = dist[i];
					best = links.nodes[i];
					moved = true;
				}
			}
			if (!moved)
				break;
		}
	}
	return scored_node(best_dist, best);
}

/* Scored nodes: into the results and the frontier if they are near enough. */
static inline void
consider(HnswSearch *search, const uint32 *nodes, const float *dist, int n, size_t ef)
{
	ScoredArray *results = &search->results;
	ScoredArray *frontier = &search->frontier;
	ScoredArray *discarded = &search->discarded;
	size_t		keep = search->keep_discarded ? 1 : 0;

	scored_reserve(results, n);
	scored_reserve(frontier, n);
	scored_reserve(discarded, n + 1);
	for (int i = 0; i < n; i++)
	{
		ScoredNode	s = scored_node(dist[i], nodes[i]);

		if (results->n < ef)
		{
			scored_farthest_push(results, s);
			scored_nearest_push(frontier, s);
			continue;
		}
		if (s < results->items[0])
		{
			ScoredNode	out = results->items[0];

			scored_farthest_replace(results, s);
			scored_nearest_push(frontier, s);
			s = out;
		}
		/* there is room for it, kept or not */
		discarded->items[discarded->n] = s;
		discarded->n += keep;
	}
}

/*
 * Whether the search of a level is over: nothing in the frontier can improve
 * the results.  What is just as near as their farthest may lead to what is
 * nearer: codes of few bits have many equal distances.
 */
static inline bool
search_done(const HnswSearch *search, size_t ef)
{
	float		next;

	if (search->frontier.n == 0)
		return true;
	next = scored_dist(search->frontier.items[0]);
	return (search->results.n >= ef && next > scored_dist(search->results.items[0])) || next == search->enough;
}

/*
 * Expand the frontier until nothing in it can improve the results.  Not the
 * nearest node alone at a time, but the nearest two: while the codes of one's
 * neighbours come from memory the other's links are read.
 */
static void
expand(HnswSearch *search, int level, int ef)
{
	HnswStore  *store = search->store;
	ScoredArray *frontier = &search->frontier;
	uint32		nodes[EXPAND_WIDTH * HNSW_MAX_LINKS_ANY];
	float		dist[EXPAND_WIDTH * HNSW_MAX_LINKS_ANY];

	while (!search_done(search, ef))
	{
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < EXPAND_WIDTH && !search_done(search, ef); i++)
		{
			uint32		node = scored_number(scored_nearest_pop(frontier));
			int			found;

			if (level == 0)
				found = store->neighbours(store, node, nodes + n);
			else
			{
				HnswLinks	links;

				(void) store->get_links(store, node, level, &links);
				memcpy(nodes + n, links.nodes, sizeof(uint32) * links.n);
				found = links.n;
			}
			found = nodeset_filter(&search->visited, nodes + n, found);
			store->prefetch_codes(store, nodes + n, found);
			n += found;
		}
		/* unless something nearer turns up now, these are next */
		if (level == 0)
			for (size_t i = 0; i < Min((size_t) EXPAND_WIDTH, frontier->n); i++)
				store->prefetch_links(store, scored_number(frontier->items[i]));
		for (int first = 0; first < n; first += HNSW_MAX_LINKS_ANY)
			store->score(store, search->query, nodes + first, Min(n - first, HNSW_MAX_LINKS_ANY), dist + first, NULL);
		search->nscored += n;
		consider(search, nodes, dist, n, ef);
	}
}

/* The same for nodes that do not pass: they only lead on. */
static inline void
consider_rejected(HnswSearch *search, const uint32 *nodes, const float *dist, int n, size_t ef)
{
	ScoredArray *results = &search->results;
	ScoredArray *frontier = &search->frontier;
	ScoredArray *discarded = &search->discarded;
	size_t		keep = search->keep_discarded ? 1 : 0;

	scored_reserve(frontier, n);
	scored_reserve(discarded, n + 1);
	for (int i = 0; i < n; i++)
	{
		ScoredNode	s = scored_node(dist[i], nodes[i]);

		if (results->n < ef || s < results->items[0])
			scored_nearest_push(frontier, s);
		else
		{
			discarded->items[discarded->n] = s;
			discarded->n += keep;
		}
	}
}

/*
 * Collect nodes that pass out of the lists of rejected ones, without scoring
 * those, until there are enough.  Whoever has been walked through is visited.
 * found has room for enough + HNSW_MAX_LINKS_ANY; returns how many are in it.
 */
static int
hop(HnswSearch *search, const uint32 *rejected, int nrejected, uint32 *found, int nfound, int enough)
{
	HnswStore  *store = search->store;

	for (int i = 0; i < Min(nrejected, HOP_AHEAD); i++)
		store->prefetch_links(store, rejected[i]);
	for (int i = 0; i < nrejected && nfound < enough; i++)
	{
		int			n;

		if (i + HOP_AHEAD < nrejected)
			store->prefetch_links(store, rejected[i + HOP_AHEAD]);
		if (!nodeset_add(&search->visited, rejected[i]))
			continue;
		n = store->neighbours(store, rejected[i], found + nfound);
		search->work += HNSW_WORK_LIST + n * HNSW_WORK_TEST;
		n = hnsw_filter_split(search->filter, found + nfound, n);
		n = nodeset_filter(&search->visited, found + nfound, n);
		store->prefetch_codes(store, found + nfound, n);
		nfound += n;
	}
	return nfound;
}

static void
score_many(HnswSearch *search, const uint32 *nodes, int n, float *dist)
{
	HnswStore  *store = search->store;

	for (int first = 0; first < n; first += HNSW_MAX_LINKS_ANY)
		store->score(store, search->query, nodes + first, Min(n - first, HNSW_MAX_LINKS_ANY), dist + first, NULL);
	search->nscored += n;
	search->work += n * search->work_score;
}

double
hnsw_search_work(const HnswSearch *search)
{
	return search->work + (double) search->filter->ntested * HNSW_WORK_GROUP;
}

/*
 * expand() on level 0 where only some nodes pass.  Results are of those.  The
 * way goes by what part of a node's neighbours passes: where many do, all are
 * scored and expanded, as if there were no filter; else those that do not
 * pass are not scored but stepped over, to their neighbours (ACORN's second
 * hop; by the local rate, as NaviX).
 */
static void
expand_passing(HnswSearch *search, size_t ef)
{
	HnswStore  *store = search->store;
	ScoredArray *frontier = &search->frontier;
	uint32		pass[EXPAND_WIDTH * 2 * HNSW_MAX_LINKS_ANY];
	uint32		rejected[EXPAND_WIDTH * HNSW_MAX_LINKS_ANY];
	float		dist[EXPAND_WIDTH * 2 * HNSW_MAX_LINKS_ANY];
	int			enough = store->m * HOP_ENOUGH / 4;

	while (!search_done(search, ef))
	{
		int			npass = 0;
		int			nrejected = 0;

		CHECK_FOR_INTERRUPTS();
		/* results that do not turn up in a quarter of the time are too far away */
		if (hnsw_search_work(search) > (search->results.n < ef ? search->most_work / 4 : search->most_work))
			return;
		for (int i = 0; i < EXPAND_WIDTH && !search_done(search, ef); i++)
		{
			uint32		node = scored_number(scored_nearest_pop(frontier));
			uint32	   *here = pass + npass;
			int			n = store->neighbours(store, node, here);
			int			passing = hnsw_filter_split(search->filter, here, n);

			search->work += HNSW_WORK_LIST + n * HNSW_WORK_TEST;
			if (passing * 100 >= n * search->all_from)
			{
				int			others = n - passing;

				memcpy(rejected + nrejected, here + passing, sizeof(uint32) * others);
				others = nodeset_filter(&search->visited, rejected + nrejected, others);
				store->prefetch_codes(store, rejected + nrejected, others);
				nrejected += others;
				passing = nodeset_filter(&search->visited, here, passing);
				store->prefetch_codes(store, here, passing);
			}
			else
			{
				uint32		over[HNSW_MAX_LINKS_ANY];
				int			others = n - passing;
				int			fresh;

				memcpy(over, here + passing, sizeof(uint32) * others);
				fresh = nodeset_filter(&search->visited, here, passing);
				store->prefetch_codes(store, here, fresh);
				passing = hop(search, over, others, here, fresh, enough);
			}
			npass += passing;
		}
		for (size_t i = 0; i < Min((size_t) EXPAND_WIDTH, frontier->n); i++)
			store->prefetch_links(store, scored_number(frontier->items[i]));
		score_many(search, pass, npass, dist);
		consider(search, pass, dist, npass, ef);
		score_many(search, rejected, nrejected, dist);
		consider_rejected(search, rejected, dist, nrejected, ef);
	}
}

/*
 * A walk where many pass: the way is that of expand(), and what part of it passes
 * is asked of those nodes only that are near enough to be results, a few of those
 * that are scored.  Returns when the search is over, or when so few of them pass
 * that stepping over the others pays (expand_passing() goes on).
 */
static void
expand_testing_late(HnswSearch *search, size_t ef)
{
	HnswStore  *store = search->store;
	ScoredArray *results = &search->results;
	ScoredArray *frontier = &search->frontier;
	ScoredArray *discarded = &search->discarded;
	size_t		keep = search->keep_discarded ? 1 : 0;
	uint32		nodes[EXPAND_WIDTH * HNSW_MAX_LINKS_ANY];
	float		dist[EXPAND_WIDTH * HNSW_MAX_LINKS_ANY];
	int			ntests = 0;
	int			npassed = 0;

	while (!search_done(search, ef))
	{
		int			n = 0;

		CHECK_FOR_INTERRUPTS();
		/* results that do not turn up in a quarter of the time are too far away */
		if (hnsw_search_work(search) > (results->n < ef ? search->most_work / 4 : search->most_work))
			return;
		for (int i = 0; i < EXPAND_WIDTH && !search_done(search, ef); i++)
		{
			int			found = store->neighbours(store, scored_number(scored_nearest_pop(frontier)), nodes + n);

			search->work += HNSW_WORK_LIST;
			found = nodeset_filter(&search->visited, nodes + n, found);
			store->prefetch_codes(store, nodes + n, found);
			n += found;
		}
		for (size_t i = 0; i < Min((size_t) EXPAND_WIDTH, frontier->n); i++)
			store->prefetch_links(store, scored_number(frontier->items[i]));
		score_many(search, nodes, n, dist);

		scored_reserve(results, n);
		scored_reserve(frontier, n);
		scored_reserve(discarded, n + 1);
		for (int i = 0; i < n; i++)
		{
			ScoredNode	s = scored_node(dist[i], nodes[i]);

			if (results->n < ef || s < results->items[0])
			{
				ntests++;
				scored_nearest_push(frontier, s);
				if (!hnsw_filter_passes(search->filter, nodes[i]))
					continue;
				npassed++;
				if (results->n < ef)
				{
					scored_farthest_push(results, s);
					continue;
				}
				discarded->items[discarded->n] = results->items[0];
				discarded->n += keep;
				scored_farthest_replace(results, s);
			}
			else
			{
				discarded->items[discarded->n] = s;
				discarded->n += keep;
			}
		}
		if (ntests >= LATE_TESTS)
		{
			if (npassed * 100 < ntests * search->all_from)
			{
				search->late_tests = false;
				return;
			}
			ntests = npassed = 0;
		}
	}
}

/* Expand where only some nodes pass. */
static void
expand_filtered(HnswSearch *search, size_t ef)
{
	if (search->late_tests)
		expand_testing_late(search, ef);
	if (!search->late_tests)
		expand_passing(search, ef);
}

/* Scored nodes, which may be results if they pass. */
static void
consider_tested(HnswSearch *search, uint32 node, float dist, size_t ef)
{
	if (search->filter == NULL || hnsw_filter_passes(search->filter, node))
		consider(search, &node, &dist, 1, ef);
	else
		consider_rejected(search, &node, &dist, 1, ef);
}

void
hnsw_search_level(HnswSearch *search, const ScoredNode *entries, int nentries, int level, int ef)
{
	search->frontier.n = search->results.n = search->discarded.n = 0;
	nodeset_clear_below(&search->visited, search->store->node_limit(search->store));
	for (int i = 0; i < nentries; i++)
		if (nodeset_add(&search->visited, scored_number(entries[i])))
			consider_tested(search, scored_number(entries[i]), scored_dist(entries[i]), ef);
	if (search->filter == NULL)
		expand(search, level, ef);
	else
		expand_filtered(search, ef);
}

bool
hnsw_search_resume(HnswSearch *search, int ef)
{
	ScoredArray *pool = &search->discarded;
	size_t		before = search->results.n;

	/*
	 * As if the search had been begun with the larger ef: the nearest of the
	 * nodes that were scored and fell out become results again.  Some of them
	 * have been expanded before, and expanding them again finds nothing new.
	 */
	if (pool->n == 0 && search->frontier.n == 0)
		return false;
	scored_nearest_heapify(pool);
	scored_reserve(&search->results, pool->n);
	scored_reserve(&search->frontier, pool->n);
	while (pool->n > 0 && search->results.n < (size_t) ef)
	{
		ScoredNode	s = scored_nearest_pop(pool);

		if (search->filter == NULL || hnsw_filter_passes(search->filter, scored_number(s)))
			scored_farthest_push(&search->results, s);
		scored_nearest_push(&search->frontier, s);
	}
	if (search->filter == NULL)
		expand(search, 0, ef);
	else
		expand_filtered(search, ef);
	return search->results.n > before;
}

void
hnsw_select_init(HnswSelect *select, HnswStore *store, MemoryContext context)
{
	select->store = store;
	select->query = vecidx_alloc_aligned(context, store->quantizer->query_size);
	select->base = vecidx_alloc_aligned(context, store->quantizer->query_size);
	select->offered = HNSW_INVALID_NODE;
	select->slack = 1;
	select->offers = HNSW_MAX_LINKS(store->m, 0);
	select->sparing = false;
	if (store->m >= SLACK_MIN_M &&
		(store->quantizer->metric == METRIC_L2 || store->quantizer->metric == METRIC_COSINE))
	{
		select->slack = SLACK;
		select->offers = store->m + store->m / 2;
		select->sparing = true;
	}
	select->code = MemoryContextAllocZero(context, store->quantizer->code_size + SIMD_SLACK);
	select->changes = NULL;
	if (store->replace_many != NULL)
		select->changes = MemoryContextAlloc(context, sizeof(HnswListChange) * HNSW_MAX_LINKS(store->m, 0));
}

/* Prepare a stored node as a query. */
static void
query_from_node(HnswSelect *select, uint32 node, QuantQuery *query)
{
	select->store->get_code(select->store, node, select->code);
	quant_query_from_code(select->store->quantizer, select->code, query);
}

/*
 * Out of the candidates that pending[] names, take those that a kept link covers:
 * that are at least as near to it as to the base.  Returns how many are left.
 */
static int
cover(HnswSelect *select, uint32 link, const Candidate *candidates, int *pending, int npending)
{
	int			left = 0;

	select->offered = HNSW_INVALID_NODE;
	query_from_node(select, link, select->query);
	for (int first = 0; first < npending; first += HNSW_MAX_LINKS_ANY)
	{
		int			n = Min(npending - first, HNSW_MAX_LINKS_ANY);
		uint32		nodes[HNSW_MAX_LINKS_ANY];
		float		dist[HNSW_MAX_LINKS_ANY];

		for (int i = 0; i < n; i++)
			nodes[i] = candidates[pending[first + i]].node;
		hnsw_score(select->store, select->query, nodes, n, dist, NULL);
		for (int i = 0; i < n; i++)
			if (candidates[pending[first + i]].dist < dist[i] * select->slack)
				pending[left++] = pending[first + i];
	}
	return left;
}

/*
 * Algorithm 4 looks at one candidate after the other and compares it with the
 * links kept so far.  Here each link, once kept, is compared with the
 * candidates that are left, of which the first links leave few.
 */
void
hnsw_select(HnswSelect *select, const Candidate *candidates, int n, int max, HnswLinks *links)
{
	uint32		fill[HNSW_MAX_LINKS_ANY];
	int			nfill = links->n - links->nkept;
	int			pending_here[HNSW_SELECT_CANDIDATES];
	bool		kept_here[HNSW_SELECT_CANDIDATES];
	int		   *pending = pending_here;
	bool	   *kept = kept_here;
	int			npending = n;

	Assert(max <= HNSW_MAX_LINKS_ANY && links->n <= max);
	if (n > HNSW_SELECT_CANDIDATES)
	{
		pending = palloc(sizeof(int) * n);
		kept = palloc(sizeof(bool) * n);
	}
	memset(kept, 0, sizeof(bool) * n);
	memcpy(fill, links->nodes + links->nkept, sizeof(uint32) * nfill);
	links->n = links->nkept;
	for (int i = 0; i < n; i++)
		pending[i] = i;
	if (links->n + nfill < max)
		for (int i = 0; i < links->n && npending > 0; i++)
			npending = cover(select, links->nodes[i], candidates, pending, npending);
	while (npending > 0 && links->n + nfill < max)
	{
		uint32		node = candidates[pending[0]].node;

		kept[pending[0]] = true;
		links->nodes[links->n++] = node;
		npending--;
		memmove(pending, pending + 1, sizeof(int) * npending);
		if (links->n + nfill < max)
			npending = cover(select, node, candidates, pending, npending);
	}
	links->nkept = links->n;
	for (int i = 0; i < nfill; i++)
		links->nodes[links->n++] = fill[i];
	for (int i = 0; i < n && links->n < max; i++)
		if (!kept[i])
			links->nodes[links->n++] = candidates[i].node;
	if (pending != pending_here)
	{
		pfree(pending);
		pfree(kept);
	}
}

bool
hnsw_links_offer(HnswSelect *select, uint32 base, HnswLinks *links, int max, uint32 node)
{
	HnswStore  *store = select->store;
	int			n = links->n;
	uint32		nodes[HNSW_MAX_LINKS_ANY + 1];
	float		dist[HNSW_MAX_LINKS_ANY + 1];	/* from base */
	bool		kept[HNSW_MAX_LINKS_ANY + 1];
	int			drop = -1;
	int			out = 0;
	float		self = 0;

	for (int i = 0; i < n; i++)
		if (links->nodes[i] == node)
			return false;

	/* the newcomer, the kept ones, those that fill up */
	nodes[0] = node;
	kept[0] = true;
	for (int i = 1; i <= n; i++)
	{
		nodes[i] = links->nodes[i - 1];
		kept[i] = i <= links->nkept;
	}
	query_from_node(select, base, select->base);
	if (store->has_twins)
	{
		uint32		two[2] = {base, node};
		float		both[2];

		hnsw_score(store, select->base, two, 2, both, NULL);
		self = both[0];
		if (both[1] == self)
		{
			if (links->nkept < n)
				hnsw_score(store, select->base, links->nodes + links->nkept, n - links->nkept, dist + links->nkept, NULL);
			return hnsw_twin_offer(links, max, node, self, dist);
		}
	}
	hnsw_score(store, select->base, nodes, links->nkept + 1, dist, NULL);

	/*
	 * What the rule says of the others was settled when they came; only the
	 * newcomer's relations are new: a nearer kept link may cover it, and it
	 * may cover farther ones.
	 */
	if (links->nkept > 0)
	{
		float		between[HNSW_MAX_LINKS_ANY + 1];

		if (select->offered != node)
		{
			query_from_node(select, node, select->query);
			select->offered = node;
		}
		hnsw_score(store, select->query, nodes + 1, links->nkept, between + 1, NULL);
		for (int i = 1; i <= links->nkept; i++)
			if (dist[i] <= dist[0] && between[i] * select->slack <= dist[0])
				kept[0] = false;
		if (kept[0])
			for (int i = 1; i <= links->nkept; i++)
				if (dist[i] > dist[0] && between[i] * select->slack <= dist[i])
					kept[i] = false;
	}

	if (n >= max)
	{
		if (!kept[0])
		{
			int			nearer = 0;

			/* one that fills up for another gains nothing unless it is near, and then little */
			if (select->sparing)
				return false;
			for (int i = 1; i <= links->nkept; i++)
				nearer += dist[i] < dist[0];
			if (nearer > links->nkept / 3)
				return false;
		}
		/* the farthest of those that only fill up; else the farthest */
		if (links->nkept < n)
			hnsw_score(store, select->base, nodes + 1 + links->nkept, n - links->nkept,
					   dist + 1 + links->nkept, NULL);
		for (int i = 0; i <= n; i++)
		{
			bool		twin = store->has_twins && dist[i] == self;

			if (drop < 0 || (!twin &&
				((kept[drop] && !kept[i]) ||
				(kept[drop] == kept[i] && dist[i] > dist[drop]))))
				drop = i;
		}
		if (drop == 0)
			return false;		/* the list is as it was: one that is not kept covers nothing */
	}

	for (int i = 0; i <= n; i++)
		if (i != drop && kept[i])
			links->nodes[out++] = nodes[i];
	links->nkept = out;
	for (int i = 0; i <= n; i++)
		if (i != drop && !kept[i])
			links->nodes[out++] = nodes[i];
	links->n = out;
	return true;
}

/* What node makes of a neighbour's list; false if it stays as it is. */
static bool
change_list(HnswSelect *select, HnswStore *store, uint32 neighbour, uint32 node, int level,
			HnswLinks *old, HnswLinks *links)
{
	if (store->get_links(store, neighbour, level, old) != HNSW_NODE_USED)
		return false;
	links->n = old->n;
	links->nkept = old->nkept;
	memcpy(links->nodes, old->nodes, sizeof(uint32) * old->n);
	return hnsw_links_offer(select, neighbour, links, HNSW_MAX_LINKS(store->m, level), node);
}

bool
hnsw_link_back(HnswSelect *select, HnswStore *store, uint32 neighbour, uint32 node, int level)
{
	for (int try = 0; try < MAX_LINK_TRIES; try++)
	{
		HnswLinks	old;
		HnswLinks	links;

		CHECK_FOR_INTERRUPTS();
		if (!change_list(select, store, neighbour, node, level, &old, &links))
			return false;
		if (store->replace_links(store, neighbour, level, &old, &links))
			return true;
	}
	/* others won every time */
	return false;
}

int
hnsw_link_back_all(HnswSelect *select, HnswStore *store, const HnswLinks *links, uint32 node, int level)
{
	HnswListChange *changes = select->changes;
	int			offers = level == 0 ? Min(links->n, select->offers) : links->n;
	int			accepted = 0;
	int			n = 0;

	if (level > 0 || store->replace_many == NULL)
	{
		for (int i = 0; i < offers; i++)
			accepted += hnsw_link_back(select, store, links->nodes[i], node, level);
		return accepted;
	}

	for (int i = 0; i < offers; i++)
	{
		CHECK_FOR_INTERRUPTS();
		changes[n].node = links->nodes[i];
		n += change_list(select, store, links->nodes[i], node, level, &changes[n].old, &changes[n].links);
	}
	store->replace_many(store, changes, n);
	for (int i = 0; i < n; i++)
	{
		/* where somebody else was quicker, once more by itself */
		if (changes[i].done)
			accepted++;
		else
			accepted += hnsw_link_back(select, store, changes[i].node, node, level);
	}
	return accepted;
}

void
hnsw_link_orphan(HnswSelect *select, HnswStore *store, uint32 node)
{
	HnswLinks	own;
	int			linked = 0;

	if (!hnsw_links_orphans(store) && !store->has_twins)
		return;
	(void) store->get_links(store, node, 0, &own);
	for (int i = 0; i < own.n; i++)
		linked += hnsw_link_back(select, store, own.nodes[i], node, 0);

	if (linked == 0 && store->has_twins)
	{
		query_from_node(select, node, select->query);
		select->offered = node;
		if (hnsw_twin_between(store, select->query, node, &own))
			return;
	}
	if (!hnsw_links_orphans(store))
		return;

	/* all refused: one gives up the last link that only fills up */
	for (int i = 0; linked == 0 && i < own.n; i++)
	{
		HnswLinks	old;
		HnswLinks	links;
		bool		known = false;

		if (store->get_links(store, own.nodes[i], 0, &old) != HNSW_NODE_USED || old.n == 0)
			continue;
		for (int j = 0; !known && j < old.n; j++)
			known = old.nodes[j] == node;
		if (known)
			return;				/* it was no orphan */
		links.n = old.n;
		links.nkept = Min(old.nkept, old.n - 1);
		memcpy(links.nodes, old.nodes, sizeof(uint32) * old.n);
		links.nodes[links.n - 1] = node;
		linked += store->replace_links(store, own.nodes[i], 0, &old, &links);
	}
}

int
hnsw_max_level(int m)
{
	int			fits = (HNSW_EXTRA_PAGE_BYTES - sizeof(HnswExtraHeader)) / HNSW_UPPER_LEVEL_SIZE(m);

	return Min(fits, HNSW_LEVEL_LIMIT);
}

int
hnsw_random_level(uint64 seed, uint32 node, int m)
{
	/* splitmix64 of seed and number: a build gives the same levels each time */
	uint64		x = seed + ((uint64) node + 1) * UINT64CONST(0x9E3779B97F4A7C15);
	double		u;
	double		level;

	x = (x ^ (x >> 30)) * UINT64CONST(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64CONST(0x94D049BB133111EB);
	x ^= x >> 31;
	u = ((double) (x >> 11) + 1.0) / 9007199254740993.0;	/* (0, 1] */
	level = -log(u) / log((double) m);
	return Min((int) level, hnsw_max_level(m));
}
