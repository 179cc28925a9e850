/*
 * extent.c
 *		Runs of contiguous pages (extent.h).
 */
#include "vecidx.h"

#include "index/extent.h"
#include "index/page.h"

BlockNumber
vecidx_extent_block(const VecidxExtentMap *map, uint32 ordinal)
{
	uint32		low = 0;
	uint32		high = map->nextents;

	if (ordinal >= map->npages)
		return InvalidBlockNumber;
	/* the last extent that begins at or before ordinal */
	while (high - low > 1)
	{
		uint32		middle = (low + high) / 2;

		if (map->extents[middle].first_ordinal <= ordinal)
			low = middle;
		else
			high = middle;
	}
	return map->extents[low].first_block + (ordinal - map->extents[low].first_ordinal);
}

bool
vecidx_extents_contain(const VecidxExtentMap *map, BlockNumber block)
{
	for (uint32 i = 0; i < map->nextents; i++)
	{
		const VecidxExtent *extent = &map->extents[i];

		if (block - extent->first_block < vecidx_extent_end(map, i) - extent->first_ordinal)
			return true;
	}
	return false;
}

bool
vecidx_extents_sound(const VecidxExtentMap *map)
{
	if (map->nextents > VECIDX_MAX_EXTENTS || (map->nextents == 0) != (map->npages == 0))
		return false;
	for (uint32 i = 0; i < map->nextents; i++)
	{
		const VecidxExtent *extent = &map->extents[i];
		uint32		end = vecidx_extent_end(map, i);

		/* block 0 is the metapage */
		if ((i == 0 && extent->first_ordinal != 0) || extent->first_ordinal >= end ||
			extent->first_block == 0 ||
			extent->first_block >= MaxBlockNumber - (end - extent->first_ordinal))
			return false;
	}
	return true;
}

bool
vecidx_extents_exist(const VecidxExtentMap *map, BlockNumber nblocks)
{
	for (uint32 i = 0; i < map->nextents; i++)
	{
		const VecidxExtent *extent = &map->extents[i];

		if ((uint64) extent->first_block + (vecidx_extent_end(map, i) - extent->first_ordinal) > nblocks)
			return false;
	}
	return true;
}

uint32
vecidx_extent_size(Relation index, const VecidxExtentMap *map)
{
	if (map->nextents >= VECIDX_MAX_EXTENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" has grown too often", RelationGetRelationName(index)),
				 errdetail("It has %d extents, which is the limit.", VECIDX_MAX_EXTENTS),
				 errhint("REINDEX it, which makes them one.")));
	return Min(Max(map->npages / 8, 1), VECIDX_MAX_EXTENT_PAGES);
}

void
vecidx_extent_add(VecidxExtentMap *map, BlockNumber first, uint32 n)
{
	VecidxExtent *last = map->nextents > 0 ? &map->extents[map->nextents - 1] : NULL;

	/* extents that follow each other are one */
	if (last != NULL && last->first_block + (map->npages - last->first_ordinal) == first)
	{
		map->npages += n;
		return;
	}
	map->extents[map->nextents].first_ordinal = map->npages;
	map->extents[map->nextents].first_block = first;
	map->nextents++;
	map->npages += n;
}
