/*
 * hnsw_twins.c
 *		Nodes with equal codes, which differ in their filter values only: how
 *		they are linked.
 *
 * A vector may stand in the graph thousands of times, once for each value of a
 * filter column.  Left to the selection rule, the first of these nodes would
 * fill each other's lists: nothing is nearer, no later one would be taken into
 * any list, and the links to the rest of the graph would go.  Therefore
 *
 * - the rule chooses among the other candidates.  Twins take a few places of a
 *	 list beside it, as links that only fill up, which cover nothing;
 * - they keep those places: a list gives up a link to another node first;
 * - where all lists are full of twins already, a new node is put between one
 *	 twin and another that it linked to, and so whatever could be reached can
 *	 be reached still.  Such chains branch off from every place of the lists of
 *	 the first few, so they are short: 20,000 nodes of one vector make chains of
 *	 some 40.
 *
 * Equal codes have equal estimates: a twin is what is just as far from a
 * node's code as that code itself.  What else is just as far is taken for one,
 * which does no harm.
 */
#include "vecidx.h"

#include "hnsw/hnsw.h"

int
hnsw_twins_apart(const HnswStore *store, Candidate *candidates, int n, float self, uint32 *twins, int *ntwins)
{
	int			others = 0;

	*ntwins = 0;
	if (!store->has_twins)
		return n;
	for (int i = 0; i < n; i++)
	{
		if (candidates[i].dist == self)
			twins[(*ntwins)++] = candidates[i].node;
		else
			candidates[others++] = candidates[i];
	}
	return others;
}

void
hnsw_twins_link(HnswLinks *links, const uint32 *twins, int ntwins, int n, uint32 salt)
{
	/* before the others that fill up: those at the end are not offered the node */
	memmove(links->nodes + links->nkept + n, links->nodes + links->nkept, sizeof(uint32) * (links->n - links->nkept));
	for (int i = 0; i < n; i++)
		links->nodes[links->nkept + i] = twins[(salt % ntwins + (Size) i * ntwins / n) % ntwins];
	links->n += n;
}

bool
hnsw_twin_offer(HnswLinks *links, int max, uint32 node, float self, const float *dist)
{
	int			drop = -1;
	int			ntwins = 0;

	for (int i = links->nkept; i < links->n; i++)
	{
		if (dist[i] == self)
			ntwins++;
		else if (drop < 0 || dist[i] > dist[drop])
			drop = i;
	}
	if (ntwins >= hnsw_twin_places(max) || (links->n >= max && drop < 0))
		return false;
	links->nodes[links->n >= max ? drop : links->n++] = node;
	return true;
}

/*
 * Put victim into a node's list, which may have no room; false if others
 * change it all the time, or if VACUUM is taking the victim away.
 */
static bool
take_over(HnswStore *store, uint32 node, uint32 victim)
{
	HnswLinks	old;
	HnswLinks	links;

	/* an insert beside VACUUM must not link to such a node (README.md) */
	if (store->get_links(store, victim, 0, &old) != HNSW_NODE_USED)
		return false;
	for (int try = 0; try < 8; try++)
	{
		bool		known = false;
		int			max = HNSW_MAX_LINKS(store->m, 0);

		if (store->get_links(store, node, 0, &old) != HNSW_NODE_USED)
			return false;
		for (int i = 0; !known && i < old.n; i++)
			known = old.nodes[i] == victim;
		if (known)
			return true;
		links.n = old.n;
		links.nkept = Min(old.nkept, max - 1);
		memcpy(links.nodes, old.nodes, sizeof(uint32) * old.n);
		links.nodes[links.n < max ? links.n++ : max - 1] = victim;
		if (store->replace_links(store, node, 0, &old, &links))
			return true;
	}
	return false;
}

bool
hnsw_twin_between(HnswStore *store, const QuantQuery *query, uint32 node, const HnswLinks *own)
{
	float		self;

	hnsw_score(store, query, &node, 1, &self, NULL);
	for (int i = 0; i < own->n; i++)
	{
		/* not always the first: chains are to be of about one length */
		uint32		neighbour = own->nodes[(node + i) % own->n];
		HnswLinks	old;
		HnswLinks	links;
		float		dist[HNSW_MAX_LINKS_ANY];
		float		far;
		int			victim = -1;

		hnsw_score(store, query, &neighbour, 1, &far, NULL);
		if (far != self || store->get_links(store, neighbour, 0, &old) != HNSW_NODE_USED || old.n == old.nkept)
			continue;
		hnsw_score(store, query, old.nodes, old.n, dist, NULL);
		for (int j = old.nkept; j < old.n; j++)
		{
			int			at = old.nkept + (j + (int) (node / 7)) % (old.n - old.nkept);

			if (old.nodes[at] == node)
				return true;
			if (dist[at] == self)
				victim = at;
		}
		if (victim < 0 || !take_over(store, node, old.nodes[victim]))
			continue;
		links = old;
		links.nodes[victim] = node;
		if (store->replace_links(store, neighbour, 0, &old, &links))
			return true;
	}
	return false;
}
