/*
 * extent.h
 *		Runs of contiguous pages, so that the block of a page follows from its
 *		ordinal by a look at a short table in the metapage.
 */
#ifndef VECIDX_EXTENT_H
#define VECIDX_EXTENT_H

#include "postgres.h"

#include "storage/block.h"
#include "utils/rel.h"

/*
 * A run of contiguous blocks that holds pages first_ordinal ... of one kind.
 * Its length is the next extent's first_ordinal less its own; the last one's
 * is the total less its own.
 */
typedef struct VecidxExtent
{
	uint32		first_ordinal;
	BlockNumber first_block;
} VecidxExtent;

/* Extents grow with the index, so these serve 100 million single inserts. */
#define VECIDX_MAX_EXTENTS 250
#define VECIDX_MAX_EXTENT_PAGES 16384

/* Part of a metapage. */
typedef struct VecidxExtentMap
{
	uint32		nextents;
	uint32		npages;			/* in all extents */
	VecidxExtent extents[VECIDX_MAX_EXTENTS];
} VecidxExtentMap;

/* Block of a page; InvalidBlockNumber if there is no such page. */
extern BlockNumber vecidx_extent_block(const VecidxExtentMap *map, uint32 ordinal);

/* Ordinal that follows the extent's last one. */
static inline uint32
vecidx_extent_end(const VecidxExtentMap *map, uint32 i)
{
	return i + 1 < map->nextents ? map->extents[i + 1].first_ordinal : map->npages;
}

extern bool vecidx_extents_contain(const VecidxExtentMap *map, BlockNumber block);

/* Whether the map does not contradict itself; whether its blocks are among nblocks. */
extern bool vecidx_extents_sound(const VecidxExtentMap *map);
extern bool vecidx_extents_exist(const VecidxExtentMap *map, BlockNumber nblocks);

/*
 * Pages that the next extent should have, an eighth of what there is: few
 * enough extents to fit the metapage, little enough space ahead of its use.
 * Errors when there can be no more.
 */
extern uint32 vecidx_extent_size(Relation index, const VecidxExtentMap *map);

/* Add n contiguous pages (vecidx_extent_size() has been asked). */
extern void vecidx_extent_add(VecidxExtentMap *map, BlockNumber first, uint32 n);

#endif							/* VECIDX_EXTENT_H */
