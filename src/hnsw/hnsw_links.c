/*
 * hnsw_links.c
 *		Lists of links as they lie on pages: reading them, and turning one into
 *		another with the fewest bytes written.
 *
 * In memory the links that the selection rule kept come first.  On disk a list
 * is in no order and each link says by a bit whether it was kept, because an
 * order would have most of a list move when one link comes in.
 */
#include "vecidx.h"

#include "hnsw/hnsw.h"

void
hnsw_links_load(const uint32 *from, int n, HnswLinks *links)
{
	uint32		fill[HNSW_MAX_LINKS_ANY];
	int			nkept = 0;
	int			nfill = 0;

	/* without a branch: which links were kept cannot be guessed */
	for (int i = 0; i < n; i++)
	{
		uint32		kept = from[i] / HNSW_LINK_KEPT;

		links->nodes[nkept] = fill[nfill] = HnswLinkNode(from[i]);
		nkept += kept;
		nfill += 1 - kept;
	}
	memcpy(links->nodes + nkept, fill, sizeof(uint32) * nfill);
	links->n = n;
	links->nkept = nkept;
}

void
hnsw_links_store(uint32 *to, const uint32 *nodes, int n, int nkept)
{
	for (int i = 0; i < n; i++)
		to[i] = i < nkept ? nodes[i] | HNSW_LINK_KEPT : nodes[i];
}

bool
hnsw_links_equal(const HnswLinks *a, const HnswLinks *b)
{
	return a->n == b->n && a->nkept == b->nkept &&
		memcmp(a->nodes, b->nodes, sizeof(uint32) * a->n) == 0;
}

void
hnsw_links_change(PageChange *change, Buffer buffer, const uint32 *at, int n, const HnswLinks *links)
{
	Size		offset = (const char *) at - (const char *) BufferGetPage(buffer);
	uint32		old[HNSW_MAX_LINKS_ANY];
	uint32		new[HNSW_MAX_LINKS_ANY];
	bool		placed[HNSW_MAX_LINKS_ANY] = {0};
	int			nfree = 0;
	int			free[HNSW_MAX_LINKS_ANY];
	int			next = 0;
	int			max = Max(n, links->n);

	memcpy(old, at, sizeof(uint32) * max);
	memcpy(new, old, sizeof(uint32) * max);

	/* what stays stays in its place */
	for (int i = 0; i < n; i++)
	{
		uint32		node = HnswLinkNode(old[i]);
		int			found = -1;

		for (int j = 0; j < links->n; j++)
			if (links->nodes[j] == node)
				found = j;
		if (found >= 0 && !placed[found] && i < links->n)
		{
			placed[found] = true;
			new[i] = node | (found < links->nkept ? HNSW_LINK_KEPT : 0);
		}
		else
			free[nfree++] = i;
	}
	for (int i = n; i < links->n; i++)
		free[nfree++] = i;

	/* the others into the places that are left, from the front */
	for (int j = 0; j < links->n; j++)
		if (!placed[j])
			new[free[next++]] = links->nodes[j] | (j < links->nkept ? HNSW_LINK_KEPT : 0);
	for (int i = links->n; i < n; i++)
		new[i] = 0;

	for (int i = 0; i < max; i++)
		if (new[i] != old[i])
			page_change_write(change, buffer, offset + sizeof(uint32) * i, &new[i], sizeof(uint32));
}
