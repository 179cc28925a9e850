/*
 * hnsw_filter.h
 *		Which nodes pass the conditions of a scan, as far as it has looked.
 *
 * A test of 64 rows takes hardly longer than that of one, so nodes are tested
 * by groups of 64 that follow each other, and what came out is kept: a bit a
 * node.  The places for groups are bounded: where an index has more of them,
 * several share a place and take it from each other.
 */
#ifndef VECIDX_HNSW_FILTER_H
#define VECIDX_HNSW_FILTER_H

#include "hnsw/hnsw.h"
#include "index/filter.h"

#define HNSW_FILTER_GROUP 64

/* Groups tested by one call. */
#define HNSW_FILTER_RANGE 128

/* Groups whose bits are kept: those of two million nodes, in 384 kB. */
#define HNSW_FILTER_MAX_PLACES 32768

typedef struct HnswFilterMap
{
	HnswDiskStore *store;
	const VecidxFilter *filter;
	uint64	   *bits;			/* by place: which of a group's nodes pass */
	uint32	   *groups;			/* by place: the group + 1, or 0 */
	uint32		nplaces;		/* a power of two, or 0 */
	uint32		nknown;			/* groups from the first on that all are known, each in its own place */
	bool		some[HNSW_FILTER_MAX_PLACES / HNSW_FILTER_RANGE];	/* by range of those: whether any node passes */
	uint64		ntested;		/* groups tested one by one */
	MemoryContext context;
} HnswFilterMap;

extern void hnsw_filter_map_init(HnswFilterMap *map, HnswDiskStore *store, MemoryContext context);

/* Forget all, for a scan with these conditions. */
extern void hnsw_filter_map_begin(HnswFilterMap *map, const VecidxFilter *filter);

/* Test a group and keep what came out; returns its bits. */
extern uint64 hnsw_filter_map_test(HnswFilterMap *map, uint32 group);

/* Whether a node passes. */
static inline bool
hnsw_filter_passes(HnswFilterMap *map, uint32 node)
{
	uint32		group = node / HNSW_FILTER_GROUP;
	uint32		place = group & (map->nplaces - 1);
	uint64		bits = map->bits[place];

	if (unlikely(map->groups[place] != group + 1))
		bits = hnsw_filter_map_test(map, group);
	return (bits >> (node % HNSW_FILTER_GROUP) & 1) != 0;
}

/*
 * Order at most HNSW_MAX_LINKS_ANY nodes so that those that pass come first,
 * otherwise as they came; returns how many they are.
 */
extern int	hnsw_filter_split(HnswFilterMap *map, uint32 *nodes, int n);

/*
 * Test all nodes, if that takes no longer than the tests of a search that will
 * ask for so many of them here and there; returns whether it did.
 */
extern bool hnsw_filter_map_fill(HnswFilterMap *map, double asked);

/*
 * What part of the nodes passes, from some of them that are spread evenly over
 * the index (from all, if they are known).
 */
extern double hnsw_filter_rate(HnswFilterMap *map);

/*
 * Test up to HNSW_FILTER_RANGE groups from one on, which is a multiple of
 * that, into masks; false if none passes: then masks say nothing.  Nor does what
 * comes out for numbers that are no nodes.
 */
extern bool hnsw_filter_range(HnswFilterMap *map, uint32 first, uint32 ngroups, uint64 *masks);

#endif							/* VECIDX_HNSW_FILTER_H */
