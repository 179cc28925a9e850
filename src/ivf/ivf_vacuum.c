/*
 * ivf_vacuum.c
 *		VACUUM: dead TIDs out of lists, segments that are left over given free.
 *
 * One pass over the pages in file order takes dead TIDs out of all segments,
 * whosever they are.  Rewriting goes on meanwhile, and may have copied rows
 * from a page that was still to come to one that was behind: so lists that
 * were published since the pass began are looked at again along their chains,
 * at last under the maintenance lock, when none is on its way.
 *
 * Segments that are nobody's are given free under that lock, too, a page at a
 * time: what a rewrite has written and not yet published looks just the same.
 */
#include "vecidx.h"

#include "access/table.h"
#include "access/transam.h"
#include "catalog/index.h"
#include "commands/vacuum.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "storage/freespace.h"
#include "storage/indexfsm.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/memutils.h"

/* An index is read for leftovers alone once this share of its lists was rewritten. */
#define SWEEP_SHARE 50

/* Lists that were replaced whose chains are given free when a list is split: many more than that replaces. */
#define MOST_REPLACED 256

/* What the directory says of a list. */
typedef struct ListState
{
	uint32		generation;
	bool		used;
	ItemPointerData tail;
	uint32		rows;			/* live ones met in segments before the tail */
} ListState;

/* A segment that seems to be nobody's. */
typedef struct Leftover
{
	OffsetNumber offset;
	uint32		list;
	uint32		generation;
} Leftover;

typedef struct VacuumState
{
	IndexBulkDeleteResult *stats;
	IndexBulkDeleteCallback callback;	/* NULL: nothing is dead */
	void	   *callback_state;
	BufferAccessStrategy strategy;
	Relation	index;
	Relation	heap;
	IvfIndex   *ivf;
	MemoryContext context;
	ListState  *lists;
	uint32		nlists;
	uint64		changes;		/* of the directory when lists was read */
	bool		leftovers_stay; /* some could not be given free yet */
	bool		locked;			/* inserts may wait for the lock that is held: no sleeping */
} VacuumState;

/* ---- The directory ---- */

/* Entries of the unit that the list begins, with their page locked; returns how many. */
static uint32
lock_entries(VacuumState *state, uint32 first, Buffer *buffer, IvfEntry *entry)
{
	*buffer = ivf_directory_entry(state->ivf, state->index, first, BUFFER_LOCK_SHARE, entry);
	return Min(state->ivf->nlists - first, state->ivf->entries_per_page);
}

static inline IvfEntry
next_entry(const VacuumState *state, IvfEntry entry)
{
	return (IvfEntry) ((char *) entry + state->ivf->entry_size);
}

static void
read_lists(VacuumState *state)
{
	IvfIndex   *ivf = state->ivf;

	state->changes = ivf->changes;
	state->nlists = ivf->nlists;
	state->lists = MemoryContextAllocHuge(state->context, Max(state->nlists, 1) * sizeof(ListState));
	for (uint32 first = 0; first < state->nlists; first += ivf->entries_per_page)
	{
		Buffer		buffer;
		IvfEntry	entry;
		uint32		n = lock_entries(state, first, &buffer, &entry);

		for (uint32 i = 0; i < n; i++, entry = next_entry(state, entry))
		{
			state->lists[first + i].generation = entry->generation;
			state->lists[first + i].used = entry->state == IVF_LIST_USED;
			state->lists[first + i].tail = entry->tail;
			state->lists[first + i].rows = 0;
		}
		UnlockReleaseBuffer(buffer);
		vecidx_vacuum_delay_point();
	}
}

/* Whether the segment is its list's, as far as was known when the lists were read. */
static inline bool
is_current(const VacuumState *state, const IvfSegmentData *segment)
{
	return segment->list < state->nlists && state->lists[segment->list].used &&
		state->lists[segment->list].generation == segment->generation;
}

/*
 * Whether it is nobody's, by the directory as it is: sure only under the
 * maintenance lock.  old: also that no scan can be at it any more.
 */
static bool
is_leftover(VacuumState *state, const Leftover *segment, bool *old)
{
	IvfListCopy list;

	if (segment->list >= state->ivf->nlists)
	{
		*old = true;
		return true;
	}
	ivf_entry_read(state->ivf, state->index, segment->list, &list);
	*old = ivf_long_ago(state->heap, list.changed);
	return list.state != IVF_LIST_USED || list.generation != segment->generation;
}

/* ---- Dead TIDs ---- */

static inline bool
is_dead(VacuumState *state, const ItemPointerData *tid)
{
	return state->callback != NULL && ItemPointerIsValid(tid) &&
		state->callback(unconstify(ItemPointerData *, tid), state->callback_state);
}

/* How many of a segment's TIDs are dead, and in *live how many are not. */
static uint32
count_dead(VacuumState *state, const IvfSegmentRef *ref, uint32 *live)
{
	uint32		dead = 0;
	uint32		valid = 0;

	/* what stands apart goes with its row's segment */
	for (uint32 i = 0; ref->tids != NULL && i < ref->segment->count; i++)
	{
		valid += ItemPointerIsValid(&ref->tids[i]);
		dead += is_dead(state, &ref->tids[i]);
	}
	*live = valid - dead;
	return dead;
}

/* Put the further columns of one row in the place of another's. */
static void
move_filters(VacuumState *state, const IvfSegmentRef *ref, uint32 from, uint32 to)
{
	uint32		capacity = IVF_FILTER_CAPACITY(ref->segment->capacity);
	uint8		packed[VECIDX_MAX_PACKED];

	vecidx_filter_get(state->ivf->filters, ref->filters, capacity, from, packed);
	vecidx_filter_put(state->ivf->filters, unconstify(uint8 *, ref->filters), capacity, to, packed);
}

/* Take dead TIDs out of a segment, which is in the image of a page. */
static void
remove_dead(VacuumState *state, IvfSegmentRef *ref)
{
	IvfSegment	segment = ref->segment;
	ItemPointerData *tids = unconstify(ItemPointerData *, ref->tids);
	float	   *a = unconstify(float *, ref->a);
	float	   *b = unconstify(float *, ref->b);
	uint8	   *codes = unconstify(uint8 *, ref->codes);
	ItemPointerData *places = unconstify(ItemPointerData *, ref->places);
	Size		size = state->ivf->code.code_size;
	uint32		i = 0;

	if (tids == NULL)
		return;
	while (i < segment->count)
	{
		uint32		last = segment->count - 1;

		if (!is_dead(state, &tids[i]))
		{
			i++;
			continue;
		}
		if (segment->flags & IVF_SEGMENT_BLOCKS)
		{
			/* a macro on 15: it takes its argument several times */
			ItemPointerSetInvalid(&tids[i]);
			i++;
			continue;
		}
		if (i < last)
		{
			tids[i] = tids[last];
			if (places == NULL)
				memcpy(codes + i * size, codes + last * size, size);
			else
			{
				/* the place stays the segment's: for the next row that comes */
				ItemPointerData place = places[i];

				places[i] = places[last];
				places[last] = place;
			}
			if (a != NULL)
			{
				a[i] = a[last];
				b[i] = b[last];
			}
			if (ref->filters != NULL)
				move_filters(state, ref, last, i);
		}
		segment->count--;
	}
}

/* Segment at an offset of a page; false if there is none.  Errors on damage. */
static bool
segment_at(VacuumState *state, Page page, BlockNumber block, OffsetNumber offset, IvfSegmentRef *ref)
{
	const char *problem;

	if (!ItemIdIsUsed(PageGetItemId(page, offset)))
		return false;
	problem = ivf_segment_on_page(&state->ivf->code, state->ivf->filters, page, offset, ref);
	if (problem != NULL)
		vecidx_corrupted(state->index, block, offset, problem);
	return true;
}

/* Take dead TIDs out of all segments of a page, which is exclusively locked. */
static void
clean_page(VacuumState *state, Buffer buffer)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	PageChange	change;
	Page		page;

	page_change_begin(&change, state->index, false);
	page = page_change_register(&change, buffer, false);
	for (OffsetNumber offset = FirstOffsetNumber; offset <= PageGetMaxOffsetNumber(page); offset++)
	{
		IvfSegmentRef ref;

		if (segment_at(state, page, block, offset, &ref))
			remove_dead(state, &ref);
	}
	page_change_commit(&change);
}

/* ---- Leftovers ---- */

/* Give segments of a page free, in falling order.  The caller holds the maintenance lock and has looked at each. */
static void
free_segments(VacuumState *state, BlockNumber block, const Leftover *leftovers, int n)
{
	Buffer		buffer = ReadBufferExtended(state->index, MAIN_FORKNUM, block, RBM_NORMAL, state->strategy);
	PageChange	change;
	Page		page;
	bool		empty;

	LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
	vecidx_page_check(state->index, buffer, VECIDX_PAGE_LIST, IVF_VERSION);
	page_change_begin(&change, state->index, false);
	page = page_change_register(&change, buffer, false);
	/* from the end: so the line pointers behind one go with it */
	for (int i = 0; i < n; i++)
	{
		IvfSegmentRef ref;

		if (leftovers[i].offset <= PageGetMaxOffsetNumber(page) &&
			segment_at(state, page, block, leftovers[i].offset, &ref) &&
			ref.segment->list == leftovers[i].list && ref.segment->generation == leftovers[i].generation)
			PageIndexTupleDeleteNoCompact(page, leftovers[i].offset);
	}
	empty = PageIsEmpty(page);
	page_change_commit(&change);
	if (empty)
	{
		state->stats->pages_newly_deleted++;
		state->stats->pages_free++;
	}
	ivf_note_free_space(state->index, buffer);
	UnlockReleaseBuffer(buffer);
}

static void
free_leftovers(VacuumState *state, BlockNumber block, Leftover *leftovers, int n)
{
	int			kept = 0;

	/* most of what is young, or only new to us, is found without a lock */
	for (int i = 0; i < n; i++)
	{
		bool		old;

		if (!is_leftover(state, &leftovers[i], &old))
			continue;
		if (old)
			leftovers[kept++] = leftovers[i];
		else
			state->leftovers_stay = true;
	}
	if (kept == 0)
		return;
	if (!ivf_maintain_lock(state->index, false))
	{
		state->leftovers_stay = true;
		return;
	}
	/* what was published and cut short has to be seen to its end first */
	if (ivf_directory_finish(state->ivf, state->index))
	{
		n = kept;
		kept = 0;
		for (int i = 0; i < n; i++)
		{
			bool		old;

			if (is_leftover(state, &leftovers[i], &old) && old)
				leftovers[kept++] = leftovers[i];
		}
		if (kept > 0)
			free_segments(state, block, leftovers, kept);
	}
	ivf_maintain_unlock(state->index);
}

/*
 * A page that nothing refers to, but which is not marked as free for all:
 * extended or reserved by somebody who did not come to use it.
 */
static void
reclaim_page(VacuumState *state, BlockNumber block)
{
	Buffer		buffer;
	Page		page;

	/* who adds pages to the directory has this lock */
	if (!ivf_maintain_lock(state->index, false))
		return;
	if (ivf_index_refresh(state->ivf, state->index) && !vecidx_extents_contain(&state->ivf->units, block) &&
		!(block >= state->ivf->trained_block && block - state->ivf->trained_block < state->ivf->ntrained_blocks))
	{
		IvfListCopy first;

		/* a directory that was replaced: no entry of the present one is older */
		ivf_entry_read(state->ivf, state->index, 0, &first);
		if (!ivf_long_ago(state->heap, first.changed))
		{
			state->leftovers_stay = true;
			ivf_maintain_unlock(state->index);
			return;
		}
		buffer = ReadBufferExtended(state->index, MAIN_FORKNUM, block, RBM_NORMAL, state->strategy);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		page = BufferGetPage(buffer);
		if (PageIsNew(page) || vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION) != NULL)
		{
			PageChange	change;

			page_change_begin(&change, state->index, false);
			vecidx_page_init(page_change_register(&change, buffer, true), VECIDX_PAGE_FREE, IVF_VERSION,
							 VECIDX_FREE_FOR_ALL);
			page_change_commit(&change);
			RecordPageWithFreeSpace(state->index, block, IVF_EMPTY_PAGE_SPACE);
			state->stats->pages_free++;
		}
		UnlockReleaseBuffer(buffer);
	}
	ivf_maintain_unlock(state->index);
}

/* ---- The pass ---- */

/* A page of lists, share-locked; it is released. */
static void
sweep_list_page(VacuumState *state, Buffer buffer)
{
	BlockNumber block = BufferGetBlockNumber(buffer);
	Page		page = BufferGetPage(buffer);
	Leftover	leftovers[MaxOffsetNumber];
	int			nleftovers = 0;
	uint32		dead = 0;
	bool		empty = true;

	for (OffsetNumber offset = PageGetMaxOffsetNumber(page); offset >= FirstOffsetNumber; offset--)
	{
		IvfSegmentRef ref;
		uint32		live;

		if (!segment_at(state, page, block, offset, &ref))
			continue;
		empty = false;
		dead += count_dead(state, &ref, &live);
		if (is_current(state, ref.segment))
		{
			ListState  *list = &state->lists[ref.segment->list];

			state->stats->num_index_tuples += live;
			if (ItemPointerGetBlockNumberNoCheck(&list->tail) != block ||
				ItemPointerGetOffsetNumberNoCheck(&list->tail) != offset)
				list->rows += live;
		}
		else
		{
			leftovers[nleftovers].offset = offset;
			leftovers[nleftovers].list = ref.segment->list;
			leftovers[nleftovers++].generation = ref.segment->generation;
		}
	}
	if (empty)
		state->stats->pages_free++;
	if (dead > 0)
	{
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		LockBuffer(buffer, BUFFER_LOCK_EXCLUSIVE);
		vecidx_page_check(state->index, buffer, VECIDX_PAGE_LIST, IVF_VERSION);
		clean_page(state, buffer);
		state->stats->tuples_removed += dead;
	}
	ivf_note_free_space(state->index, buffer);
	UnlockReleaseBuffer(buffer);
	if (nleftovers > 0)
		free_leftovers(state, block, leftovers, nleftovers);
}

static void
sweep_page(VacuumState *state, BlockNumber block)
{
	Buffer		buffer = ReadBufferExtended(state->index, MAIN_FORKNUM, block, RBM_NORMAL, state->strategy);
	Page		page = BufferGetPage(buffer);
	bool		is_new;
	bool		reserved = false;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	is_new = PageIsNew(page);
	if (!is_new && vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION) == NULL)
	{
		sweep_list_page(state, buffer);
		return;
	}
	if (!is_new && vecidx_page_problem(page, VECIDX_PAGE_FREE, IVF_VERSION) == NULL)
	{
		reserved = VecidxPageGetOpaque(page)->ordinal != VECIDX_FREE_FOR_ALL;
		if (!reserved)
		{
			RecordPageWithFreeSpace(state->index, block, IVF_EMPTY_PAGE_SPACE);
			state->stats->pages_free++;
		}
	}
	else if (!is_new)
	{
		reserved = vecidx_page_problem(page, VECIDX_PAGE_DIRECTORY, IVF_VERSION) == NULL ||
			vecidx_page_problem(page, VECIDX_PAGE_CENTROID, IVF_VERSION) == NULL ||
			vecidx_page_problem(page, VECIDX_PAGE_TRAINED, IVF_VERSION) == NULL;
		/* TIDs that cannot be read must not be passed over */
		if (!reserved)
			vecidx_page_check(state->index, buffer, VECIDX_PAGE_LIST, IVF_VERSION);
	}
	UnlockReleaseBuffer(buffer);
	if (is_new || (reserved && !vecidx_extents_contain(&state->ivf->units, block) &&
				   !(block >= state->ivf->trained_block &&
					 block - state->ivf->trained_block < state->ivf->ntrained_blocks)))
		reclaim_page(state, block);
}

/* Dead TIDs of one list, along its chain; it may be rewritten meanwhile, and then comes again. */
static void
clean_list(VacuumState *state, const IvfListCopy *list)
{
	ItemPointerData next = list->head;
	uint32		steps = 0;

	while (ItemPointerIsValid(&next) && steps++ <= list->segments)
	{
		IvfSegmentRef ref;
		const char *problem;
		uint32		live;

		if (state->locked)
			CHECK_FOR_INTERRUPTS();
		else
			vecidx_vacuum_delay_point();
		if (!ivf_segment_try(state->ivf, state->index, &next, list->list, &list->generation,
							 BUFFER_LOCK_EXCLUSIVE, &ref, &problem))
			return;
		next = ref.segment->next;
		if (count_dead(state, &ref, &live) > 0)
			clean_page(state, ref.buffer);
		ivf_segment_release(&ref);
	}
}

/* Look again at lists published since. */
static void
clean_lists(VacuumState *state, uint64 since)
{
	IvfIndex   *ivf = state->ivf;

	for (uint32 first = 0; first < ivf->nlists; first += ivf->entries_per_page)
	{
		Buffer		buffer;
		IvfEntry	entry;
		uint32		n = lock_entries(state, first, &buffer, &entry);
		IvfListCopy *again = palloc(n * sizeof(IvfListCopy));
		uint32		nagain = 0;

		for (uint32 i = 0; i < n; i++, entry = next_entry(state, entry))
			if (entry->state == IVF_LIST_USED && entry->changed >= since)
			{
				IvfListCopy *copy = &again[nagain++];

				copy->list = first + i;
				copy->head = entry->head;
				copy->generation = entry->generation;
				copy->segments = entry->segments;
			}
		UnlockReleaseBuffer(buffer);
		for (uint32 i = 0; i < nagain; i++)
			clean_list(state, &again[i]);
		pfree(again);
	}
}

/* Entries say how many rows their lists have: correct those that are far off by now. */
static void
correct_rows(VacuumState *state)
{
	for (uint32 list = 0; list < state->nlists; list++)
	{
		const ListState *seen = &state->lists[list];
		IvfEntry	entry;
		Buffer		buffer;
		PageChange	change;
		uint32		first = list;

		vecidx_vacuum_delay_point();
		/* one look for all of a page */
		buffer = ivf_directory_entry(state->ivf, state->index, list, BUFFER_LOCK_EXCLUSIVE, &entry);
		page_change_begin(&change, state->index, false);
		for (; list < state->nlists && list / state->ivf->entries_per_page == first / state->ivf->entries_per_page;
			 list++, seen++, entry = next_entry(state, entry))
			if (entry->state == IVF_LIST_USED && entry->generation == seen->generation &&
				ItemPointerEquals(&entry->tail, unconstify(ItemPointerData *, &seen->tail)) &&
				Max(entry->rows, seen->rows) - Min(entry->rows, seen->rows) > Max(8, entry->rows / 8))
				page_change_write(&change, buffer, (char *) &entry->rows - (char *) BufferGetPage(buffer),
								  &seen->rows, sizeof(seen->rows));
		page_change_commit(&change);
		UnlockReleaseBuffer(buffer);
		list--;
	}
}

/*
 * All pages, then what was rewritten meanwhile.  False if the index was made
 * anew: then all of it has to be done again.
 */
static bool
sweep(VacuumState *state)
{
	uint64		since = U64FromFullTransactionId(ReadNextFullTransactionId());
	uint64		sure;
	uint64		changes;
	BlockNumber block = IVF_META_BLOCK + 1;
	BlockNumber nblocks;
	bool		same;

	state->stats->num_index_tuples = 0;
	state->stats->pages_free = 0;
	state->leftovers_stay = false;
	state->ivf = ivf_index_open(state->index, state->context);
	read_lists(state);

	/* pages that are added meanwhile may have rows from pages before */
	while (block < (nblocks = RelationGetNumberOfBlocks(state->index)))
		for (; block < nblocks; block++)
		{
			vecidx_vacuum_delay_point();
			sweep_page(state, block);
		}
	/* in this order: what is not in `changes` yet is published at `sure` or later */
	sure = U64FromFullTransactionId(ReadNextFullTransactionId());
	if (!ivf_index_refresh(state->ivf, state->index))
		return false;
	changes = state->ivf->changes;
	correct_rows(state);
	if (state->callback == NULL)
		return true;
	if (changes != state->changes)
	{
		state->stats->estimated_count = true;
		clean_lists(state, since);
	}
	(void) ivf_maintain_lock(state->index, true);
	same = ivf_index_refresh(state->ivf, state->index);
	state->locked = true;
	if (same && state->ivf->changes != changes)
		clean_lists(state, sure);
	state->locked = false;
	ivf_maintain_unlock(state->index);
	return same;
}

/* ---- Between VACUUMs ---- */

/* A segment of a list that was replaced. */
typedef struct Replaced
{
	BlockNumber block;
	Leftover	leftover;
} Replaced;

/* By block, from the end of each page. */
static int
compare_replaced(const void *a, const void *b)
{
	const Replaced *x = a;
	const Replaced *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return (int) y->leftover.offset - (int) x->leftover.offset;
}

/*
 * Whether a standby has told of its snapshots without a slot
 * (hot_standby_feedback).  They are an xmin of the process that sends to it,
 * which has no transaction, so that GetCurrentVirtualXIDs() passes it over.
 */
static bool
standby_scans(void)
{
	for (uint32 i = 0; i < ProcGlobal->allProcCount; i++)
	{
		PGPROC	   *proc = &ProcGlobal->allProcs[i];

		/* that of a process which has ended may have its xmin still */
		if ((proc->statusFlags & PROC_AFFECTS_ALL_HORIZONS) != 0 && TransactionIdIsValid(proc->xmin) &&
			proc->pid != 0 && BackendPidGetProc(proc->pid) == proc)
			return true;
	}
	return false;
}

/*
 * Whether nobody at all is scanning at this moment, but who goes through the
 * index without a snapshot.  users: how many of this backend may have it open.
 *
 * Horizons are no help to one long transaction: its own snapshot holds them
 * back.  But a scan that knows a list which was replaced has a snapshot, here
 * or on a standby that says so, or is this backend's own.
 */
static bool
nobody_scans(const IvfIndex *ivf, int users)
{
	TransactionId slots;
	TransactionId catalog;
	int			n;

	if (ivf->remembered.nusers > users)
		return false;
	ProcArrayGetReplicationSlotXmin(&slots, &catalog);
	if (TransactionIdIsValid(slots) || standby_scans())
		return false;
	pfree(GetCurrentVirtualXIDs(InvalidTransactionId, true, true, PROC_IN_VACUUM, &n));
	return n == 0;
}

/* Free entries that still lead to a chain, which no scan can be at; at most so many. */
static int
find_replaced(VacuumState *state, IvfListCopy *lists, int most, int users)
{
	int			n = 0;
	bool		asked = false;
	bool		alone = false;

	for (uint32 first = 0; first < state->ivf->nlists && n < most; first += state->ivf->entries_per_page)
	{
		Buffer		buffer;
		IvfEntry	entry;
		uint32		entries = lock_entries(state, first, &buffer, &entry);

		for (uint32 i = 0; i < entries && n < most; i++, entry = next_entry(state, entry))
		{
			if (entry->state != IVF_LIST_FREE || !ItemPointerIsValid(&entry->head))
				continue;
			if (!alone && !ivf_long_ago(state->heap, entry->changed))
			{
				if (!asked)
					alone = nobody_scans(state->ivf, users);
				asked = true;
				if (!alone)
					continue;
			}
			ivf_entry_copy(entry, first + i, &lists[n++]);
		}
		UnlockReleaseBuffer(buffer);
	}
	return n;
}

static void
add_replaced(Replaced *replaced, const ItemPointerData *where, const IvfListCopy *list)
{
	replaced->block = ItemPointerGetBlockNumber(where);
	replaced->leftover.offset = ItemPointerGetOffsetNumber(where);
	replaced->leftover.list = list->list;
	replaced->leftover.generation = list->generation;
}

/* The segments of these lists, of those that VACUUM has left. */
static int
find_segments(VacuumState *state, const IvfListCopy *lists, int nlists, Replaced **replaced)
{
	BlockNumber nblocks = RelationGetNumberOfBlocks(state->index);
	int			room = 4 * nlists;
	int			n = 0;

	*replaced = palloc(sizeof(Replaced) * room);
	for (int i = 0; i < nlists; i++)
	{
		ItemPointerData next = lists[i].head;
		IvfSegmentRef ref;
		const char *problem;

		for (uint32 j = 0; j < lists[i].segments + 1 && ItemPointerIsValid(&next); j++)
		{
			ItemPointerData where = next;

			if (!ivf_segment_try(state->ivf, state->index, &next, lists[i].list, &lists[i].generation, BUFFER_LOCK_SHARE,
								 &ref, &problem))
				break;
			if (n + 1 + ref.segment->capacity > room)
			{
				room = 2 * room + ref.segment->capacity;
				*replaced = repalloc_huge(*replaced, sizeof(Replaced) * room);
			}
			add_replaced(&(*replaced)[n++], &where, &lists[i]);
			for (int k = 0; ref.places != NULL && k < ref.segment->capacity; k++)
				if (ItemPointerIsValid(&ref.places[k]) && ItemPointerGetBlockNumber(&ref.places[k]) < nblocks)
					add_replaced(&(*replaced)[n++], &ref.places[k], &lists[i]);
			next = ref.segment->next;
			ivf_segment_release(&ref);
		}
	}
	qsort(*replaced, n, sizeof(Replaced), compare_replaced);
	return n;
}

/* The entries lead nowhere from now on. */
static void
forget_chains(VacuumState *state, const IvfListCopy *lists, int n)
{
	for (int i = 0; i < n;)
	{
		uint32		unit = lists[i].list / state->ivf->entries_per_page;
		Buffer		buffer;
		IvfEntry	entry;
		PageChange	change;
		ItemPointerData nowhere[2];

		ItemPointerSetInvalid(&nowhere[0]);
		ItemPointerSetInvalid(&nowhere[1]);
		buffer = ivf_directory_entry(state->ivf, state->index, lists[i].list, BUFFER_LOCK_EXCLUSIVE, &entry);
		page_change_begin(&change, state->index, false);
		for (; i < n && lists[i].list / state->ivf->entries_per_page == unit; i++)
		{
			entry = IvfPageGetEntry(BufferGetPage(buffer), state->ivf->entry_size,
									lists[i].list % state->ivf->entries_per_page);
			page_change_write(&change, buffer, (char *) &entry->head - (char *) BufferGetPage(buffer), nowhere,
							  sizeof(nowhere));
		}
		page_change_commit(&change);
		UnlockReleaseBuffer(buffer);
	}
}

void
ivf_free_replaced(IvfIndex *ivf, Relation index, Relation heap, int users)
{
	IndexBulkDeleteResult stats = {0};
	VacuumState state = {.stats = &stats, .index = index, .heap = heap, .ivf = ivf};
	IvfListCopy *lists = palloc(sizeof(IvfListCopy) * MOST_REPLACED);
	int			nlists = find_replaced(&state, lists, MOST_REPLACED, users);
	Replaced   *replaced;
	int			n = find_segments(&state, lists, nlists, &replaced);

	for (int i = 0; i < n;)
	{
		Leftover	leftovers[MaxOffsetNumber];
		BlockNumber block = replaced[i].block;
		int			on_page = 0;

		CHECK_FOR_INTERRUPTS();
		for (; i < n && replaced[i].block == block && on_page < MaxOffsetNumber; i++)
			leftovers[on_page++] = replaced[i].leftover;
		free_segments(&state, block, leftovers, on_page);
	}
	forget_chains(&state, lists, nlists);
	/* or their pages would not be found */
	if (n > 0)
		FreeSpaceMapVacuumRange(index, replaced[0].block, replaced[n - 1].block + 1);
	pfree(replaced);
	pfree(lists);
}

/* ---- Entry points ---- */

static void
note_swept(VacuumState *state)
{
	Buffer		buffer;
	PageChange	change;
	IvfMetaPage meta;

	if (state->leftovers_stay)
		return;
	buffer = vecidx_read(state->index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	meta = IvfPageGetMeta(BufferGetPage(buffer));
	page_change_begin(&change, state->index, false);
	page_change_write(&change, buffer, (char *) &meta->swept - (char *) BufferGetPage(buffer),
					  &state->changes, sizeof(state->changes));
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
}

static IndexBulkDeleteResult *
sweep_index(IndexVacuumInfo *info, Relation heap, IndexBulkDeleteResult *stats,
			IndexBulkDeleteCallback callback, void *callback_state)
{
	VacuumState state = {0};
	MemoryContext old;

	if (stats == NULL)
		stats = palloc0(sizeof(IndexBulkDeleteResult));
	state.stats = stats;
	state.callback = callback;
	state.callback_state = callback_state;
	state.strategy = info->strategy;
	state.index = info->index;
	state.heap = heap;
	state.context = AllocSetContextCreate(CurrentMemoryContext, "ivf vacuum", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(state.context);
	/* no row may slip from a page to come to one that is behind */
	if (callback != NULL)
		LockPage(info->index, IVF_SWEEP_LOCK, ExclusiveLock);
	while (!sweep(&state))
		;
	if (callback != NULL)
		UnlockPage(info->index, IVF_SWEEP_LOCK, ExclusiveLock);
	note_swept(&state);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(state.context);
	return stats;
}

/* The table; it is locked already. */
static Relation
open_heap(IndexVacuumInfo *info)
{
	return table_open(IndexGetRelation(RelationGetRelid(info->index), false), AccessShareLock);
}

IndexBulkDeleteResult *
ivf_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
			   IndexBulkDeleteCallback callback, void *callback_state)
{
	Relation	heap = open_heap(info);

	stats = sweep_index(info, heap, stats, callback, callback_state);
	table_close(heap, AccessShareLock);
	return stats;
}

/* Whether rewriting has left so much behind that the index is to be read for it. */
static bool
wants_sweep(Relation index)
{
	Buffer		buffer = ReadBuffer(index, IVF_META_BLOCK);
	IvfMetaPage meta;
	bool		wants;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	ivf_meta_check(index, BufferGetPage(buffer));
	meta = IvfPageGetMeta(BufferGetPage(buffer));
	wants = meta->changes - meta->swept > meta->nlists / SWEEP_SHARE;
	UnlockReleaseBuffer(buffer);
	return wants;
}

IndexBulkDeleteResult *
ivf_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	Relation	heap;

	if (info->analyze_only)
		return stats;
	heap = open_heap(info);
	if (stats == NULL && wants_sweep(info->index))
		stats = sweep_index(info, heap, NULL, NULL, NULL);
	ivf_maintain_all(info->index, heap, info->strategy);
	table_close(heap, AccessShareLock);
	if (stats == NULL)
	{
		/* nothing was dead: the table's count will do */
		stats = palloc0(sizeof(IndexBulkDeleteResult));
		stats->num_index_tuples = info->num_heap_tuples;
		stats->estimated_count = true;
	}
	stats->num_pages = RelationGetNumberOfBlocks(info->index);
	IndexFreeSpaceMapVacuum(info->index);
	return stats;
}
