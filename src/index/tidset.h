/*
 * tidset.h
 *		A set of heap TIDs: the rows that a scan has dealt with.
 *
 * Open addressing over runs of 64 neighbouring line pointers, so that a scan
 * which returns all of a table needs a few bytes a row, and one that returns
 * ten does not look far.
 */
#ifndef VECIDX_TIDSET_H
#define VECIDX_TIDSET_H

#include "postgres.h"

#include "storage/itemptr.h"

/* Offsets run from 1 on, so key 0 stands for an empty slot. */
typedef struct TidRun
{
	uint64		key;			/* block << 16 | (offset / 64 + 1) */
	uint64		bits;			/* by offset % 64 */
} TidRun;

typedef struct TidSet
{
	TidRun	   *runs;
	uint32		mask;
	uint32		nruns;
	uint64		n;				/* TIDs */
	MemoryContext context;
} TidSet;

extern void tidset_init(TidSet *set, MemoryContext context);
extern void tidset_clear(TidSet *set);
extern void tidset_grow(TidSet *set);

/*
 * The runs in the order of the table, from set->runs on; returns how many
 * there are.  After that the set can only be cleared.
 */
extern uint32 tidset_sort(TidSet *set);

static inline Size
tidset_memory(const TidSet *set)
{
	return ((Size) set->mask + 1) * sizeof(TidRun);
}

static inline uint64
tidset_key(const ItemPointerData *tid)
{
	return (uint64) ItemPointerGetBlockNumberNoCheck(tid) << 16 |
		(ItemPointerGetOffsetNumberNoCheck(tid) / 64 + 1);
}

/* The TID that a run's bit stands for. */
static inline void
tidset_tid(const TidRun *run, int bit, ItemPointer tid)
{
	ItemPointerSet(tid, (BlockNumber) (run->key >> 16), (OffsetNumber) (((run->key & 0xffff) - 1) * 64 + bit));
}

/* The run's slot, or the empty one where it would be. */
static inline TidRun *
tidset_find(const TidSet *set, uint64 key)
{
	uint32		i = (uint32) ((key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32) & set->mask;

	while (set->runs[i].key != key && set->runs[i].key != 0)
		i = (i + 1) & set->mask;
	return &set->runs[i];
}

static inline bool
tidset_has(const TidSet *set, const ItemPointerData *tid)
{
	return (tidset_find(set, tidset_key(tid))->bits >>
			(ItemPointerGetOffsetNumberNoCheck(tid) % 64) & 1) != 0;
}

/* False if it was there already. */
static inline bool
tidset_add(TidSet *set, const ItemPointerData *tid)
{
	uint64		key = tidset_key(tid);
	uint64		bit = UINT64CONST(1) << (ItemPointerGetOffsetNumberNoCheck(tid) % 64);
	TidRun	   *run = tidset_find(set, key);

	if ((run->bits & bit) != 0)
		return false;
	run->bits |= bit;
	set->n++;
	if (run->key == 0)
	{
		run->key = key;
		if (unlikely(++set->nruns > set->mask / 2))
			tidset_grow(set);
	}
	return true;
}

#endif							/* VECIDX_TIDSET_H */
