/*
 * toast_fetch.c
 *		Values out of line, by what a backend remembers of a TOAST table.
 *
 * A remembered leaf is a hint and nothing more.  Pages of a B-tree get other
 * contents by splits and by deletion, so a leaf counts only if it has an item of
 * just this value and chunk now; and what that leads to counts only if it is a
 * chunk of that value, which SnapshotToast sees, and of the length it must have.
 * Value numbers are not given out anew while a chunk with that number is left,
 * dead or alive (GetNewOidWithIndex() looks at both), so there is one such chunk.
 * It cannot go away either: the caller's snapshot sees the row that needs it.
 * Whatever is in the way (a value that goes on on the next leaf, a page of
 * another kind, damage) is left to the server, which also has the error for it.
 *
 * No page is held between calls.  In a call the leaf is let go before pages of
 * the table are looked at: that a vacuum takes an item away meanwhile does not
 * matter for the same reason.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/heaptoast.h"
#include "access/nbtree.h"
#include "access/table.h"
#include "access/toast_internals.h"
#include "catalog/pg_am.h"
#include "index/pagemem.h"
#include "index/toast_fetch.h"
#include "port/pg_bitutils.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

/* Leaves, and pages of the table, remembered at most. */
#define LEAVES_MAX 8192
#define PAGES_MAX 16384

/* Chunks of a value; longer ones take long whatever is remembered. */
#define CHUNKS_MAX 64

/* Value numbers that share a leaf, at least. */
#define LEAF_STRIDE 16

/* Items of a leaf, at most. */
#define LEAF_ITEMS (BLCKSZ / (MAXALIGN(sizeof(IndexTupleData) + sizeof(Oid) + sizeof(int32)) + sizeof(ItemIdData)))

struct ToastPlaces
{
	MemoryContext context;
	VecidxLocator table;		/* what is remembered is of these two */
	VecidxLocator index;
	PageSlot   *leaves;			/* by value number / stride, its last bits; NULL: nothing yet */
	uint32		nleaves;		/* a power of two */
	uint32		stride;
	PageSlot   *pages;			/* by the block's last bits */
	uint32		npages;			/* a power of two */
};

struct ToastFetch
{
	Relation	table;
	Relation	index;
	ToastPlaces *places;
	SnapshotData snapshot;
};

/* The columns of the index, and the same of the table before the data. */
typedef struct ChunkKey
{
	Oid			value;
	int32		seq;
} ChunkKey;

ToastPlaces *
toast_places_create(MemoryContext context)
{
	ToastPlaces *places = MemoryContextAllocZero(context, sizeof(ToastPlaces));

	places->context = context;
	return places;
}

static PageSlot *
make_slots(ToastPlaces *places, uint32 n)
{
	PageSlot   *slots = MemoryContextAlloc(places->context, n * sizeof(PageSlot));

	for (uint32 i = 0; i < n; i++)
	{
		slots[i].block = InvalidBlockNumber;
		slots[i].buffer = slots[i].checked = InvalidBuffer;
	}
	return slots;
}

/* Have the places be of this table and index. */
static void
places_open(ToastPlaces *places, Relation table, Relation index)
{
	VecidxLocator t = vecidx_locator(table);
	VecidxLocator i = vecidx_locator(index);

	if (places->leaves != NULL)
	{
		if (memcmp(&t, &places->table, sizeof(t)) == 0 && memcmp(&i, &places->index, sizeof(i)) == 0)
			return;
		pfree(places->leaves);
		places->leaves = NULL;
		pfree(places->pages);
	}
	places->npages = pg_nextpower2_32(Max(Min(RelationGetNumberOfBlocks(table), PAGES_MAX), 64));
	places->pages = make_slots(places, places->npages);

	/* numbers in a row are often all of this table's; a leaf is two thirds full and has two chunks of each */
	{
		uint64		values = (uint64) RelationGetNumberOfBlocks(index) * (LEAF_ITEMS / 3);

		places->stride = LEAF_STRIDE;
		while (values / places->stride > LEAVES_MAX && places->stride < LEAF_ITEMS)
			places->stride *= 2;
		places->nleaves = pg_nextpower2_32(Max(Min(values / places->stride, LEAVES_MAX), 64));
	}
	places->table = t;
	places->index = i;
	places->leaves = make_slots(places, places->nleaves);
}

ToastFetch *
toast_fetch_begin(Relation heap, ToastPlaces *places, MemoryContext context)
{
	ToastFetch *fetch;
	Relation	table;
	Relation	index;

	if (!OidIsValid(heap->rd_rel->reltoastrelid) || RelationUsesLocalBuffers(heap))
		return NULL;
	table = table_open(heap->rd_rel->reltoastrelid, AccessShareLock);
	index = index_open(toast_get_valid_index(RelationGetRelid(table), AccessShareLock), AccessShareLock);
	if (table->rd_tableam != GetHeapamTableAmRoutine() || index->rd_rel->relam != BTREE_AM_OID ||
		RelationGetDescr(table)->natts != 3 || IndexRelationGetNumberOfKeyAttributes(index) != 2)
	{
		index_close(index, AccessShareLock);
		table_close(table, AccessShareLock);
		return NULL;
	}
	fetch = MemoryContextAllocZero(context, sizeof(ToastFetch));
	fetch->table = table;
	fetch->index = index;
	fetch->places = places;
	fetch->snapshot.snapshot_type = SNAPSHOT_TOAST;
	places_open(places, table, index);
	return fetch;
}

void
toast_fetch_end(ToastFetch *fetch)
{
	index_close(fetch->index, AccessShareLock);
	table_close(fetch->table, AccessShareLock);
	pfree(fetch);
}

static PageSlot *
leaf_slot(ToastPlaces *places, Oid value)
{
	return &places->leaves[value / places->stride & (places->nleaves - 1)];
}

/* The leaf where the server finds the value's first chunk, or InvalidBlockNumber. */
static BlockNumber
search_leaf(ToastFetch *fetch, Oid value)
{
	ScanKeyData key;
	IndexScanDesc scan = vecidx_index_beginscan(fetch->table, fetch->index, &fetch->snapshot, NULL, 1, 0);
	BlockNumber leaf = InvalidBlockNumber;

	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(value));
	index_rescan(scan, &key, 1, NULL, 0);
	if (index_getnext_tid(scan, ForwardScanDirection) != NULL)
		leaf = ((BTScanOpaque) scan->opaque)->currPos.currPage;
	index_endscan(scan);
	return leaf;
}

/* The key of an item on a leaf; false if it has none of the common form. */
static inline bool
item_key(Page page, OffsetNumber offset, IndexTuple *tuple, ChunkKey *key)
{
	ItemId		id = PageGetItemId(page, offset);

	*tuple = (IndexTuple) PageGetItem(page, id);
	if (!ItemIdIsNormal(id) || BTreeTupleIsPivot(*tuple) || BTreeTupleIsPosting(*tuple) || IndexTupleHasNulls(*tuple))
		return false;
	memcpy(key, (char *) *tuple + MAXALIGN(sizeof(IndexTupleData)), sizeof(ChunkKey));
	return true;
}

/*
 * TIDs of the n chunks of a value, if they all are on this leaf, which is locked.
 * *right is set where they are farther right.
 */
static bool
read_leaf(Page page, Oid value, int n, ItemPointerData *tids, BlockNumber *right)
{
	BTPageOpaque opaque;
	OffsetNumber low;
	OffsetNumber high;
	OffsetNumber last;
	IndexTuple	tuple;
	ChunkKey	key;

	*right = InvalidBlockNumber;
	if (PageIsNew(page) || PageGetSpecialSize(page) != MAXALIGN(sizeof(BTPageOpaqueData)))
		return false;
	opaque = BTPageGetOpaque(page);
	if (!P_ISLEAF(opaque) || P_IGNORE(opaque))
		return false;
	low = P_FIRSTDATAKEY(opaque);
	last = PageGetMaxOffsetNumber(page);

	/* the first item that is not below (value, 0): where it is if all numbers are in use, and values alike */
	high = last + 1;
	if (low <= last && item_key(page, low, &tuple, &key) && value >= key.value)
	{
		uint64		guess = low + (uint64) (value - key.value) * n - key.seq;

		if (guess > low && guess <= last && item_key(page, (OffsetNumber) guess, &tuple, &key) && key.value == value && key.seq == 0)
			low = high = (OffsetNumber) guess;
	}
	while (low < high)
	{
		OffsetNumber middle = low + (high - low) / 2;

		if (!item_key(page, middle, &tuple, &key))
			return false;
		if (key.value < value)
			low = middle + 1;
		else
			high = middle;
	}
	if (low > last)
	{
		if (!P_RIGHTMOST(opaque))
			*right = opaque->btpo_next;
		return false;
	}
	for (int i = 0; i < n; i++, low++)
	{
		if (low > last || !item_key(page, low, &tuple, &key) || key.value != value || key.seq != i)
			return false;
		tids[i] = tuple->t_tid;
	}
	return true;
}

static bool
find_chunks(ToastFetch *fetch, Oid value, int n, ItemPointerData *tids)
{
	PageSlot   *slot = leaf_slot(fetch->places, value);

	for (int try = 0; try < 2; try++)
	{
		BlockNumber right;
		Buffer		buffer;
		bool		found;

		/* numbers that share a place may be on two leaves: then the left one is remembered */
		if (slot->block != InvalidBlockNumber)
		{
			buffer = pagemem_pin(slot, fetch->index);
			LockBuffer(buffer, BUFFER_LOCK_SHARE);
			found = read_leaf(BufferGetPage(buffer), value, n, tids, &right);
			UnlockReleaseBuffer(buffer);
			if (!found && right != InvalidBlockNumber)
			{
				BlockNumber next;

				buffer = ReadBuffer(fetch->index, right);
				LockBuffer(buffer, BUFFER_LOCK_SHARE);
				found = read_leaf(BufferGetPage(buffer), value, n, tids, &next);
				UnlockReleaseBuffer(buffer);
			}
			if (found)
				return true;
		}
		if (try == 0)
		{
			BlockNumber leaf = search_leaf(fetch, value);

			if (leaf == InvalidBlockNumber || leaf == slot->block)
				return false;
			slot->block = leaf;
			slot->buffer = InvalidBuffer;
		}
	}
	return false;
}

/* A page of the table, locked to be read; kept pinned if it is the one at hand. */
static Buffer
lock_page(ToastFetch *fetch, BlockNumber block, Buffer at_hand)
{
	ToastPlaces *places = fetch->places;
	PageSlot   *slot = &places->pages[block & (places->npages - 1)];
	Buffer		buffer = at_hand;

	if (!BufferIsValid(at_hand) || BufferGetBlockNumber(at_hand) != block)
	{
		if (BufferIsValid(at_hand))
			ReleaseBuffer(at_hand);
		if (slot->block != block)
		{
			slot->block = block;
			slot->buffer = InvalidBuffer;
		}
		buffer = pagemem_pin(slot, fetch->table);
	}
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	return buffer;
}

/* The data of a chunk, size bytes of them, or NULL; the buffer is locked. */
static const char *
chunk_data(ToastFetch *fetch, Buffer buffer, ItemPointer tid, Oid value, int seq, Size size)
{
	Page		page = BufferGetPage(buffer);
	OffsetNumber offset = ItemPointerGetOffsetNumber(tid);
	HeapTupleData tuple;
	ItemId		id;
	ChunkKey	key;
	const char *data;

	if (offset > PageGetMaxOffsetNumber(page))
		return NULL;
	id = PageGetItemId(page, offset);
	if (!ItemIdIsNormal(id))
		return NULL;
	tuple.t_data = (HeapTupleHeader) PageGetItem(page, id);
	tuple.t_len = ItemIdGetLength(id);
	tuple.t_self = *tid;
	tuple.t_tableOid = RelationGetRelid(fetch->table);
	if (HeapTupleHasNulls(&tuple) || HeapTupleHeaderGetNatts(tuple.t_data) != 3 ||
		tuple.t_len < tuple.t_data->t_hoff + sizeof(ChunkKey) + 1)
		return NULL;
	data = (const char *) tuple.t_data + tuple.t_data->t_hoff;
	memcpy(&key, data, sizeof(ChunkKey));
	data += sizeof(ChunkKey);
	if (key.value != value || key.seq != seq || !HeapTupleSatisfiesVisibility(&tuple, &fetch->snapshot, buffer))
		return NULL;
	if (!VARATT_IS_SHORT(data) && VARATT_IS_EXTENDED(data))
		return NULL;
	if (VARSIZE_ANY_EXHDR(data) != size || VARDATA_ANY(data) + size > (char *) tuple.t_data + tuple.t_len)
		return NULL;
	return VARDATA_ANY(data);
}

struct varlena *
toast_fetch_value(ToastFetch *fetch, const struct varatt_external *pointer)
{
	Size		size = VARATT_EXTERNAL_GET_EXTSIZE(*pointer);
	int			n = (int) ((size + TOAST_MAX_CHUNK_SIZE - 1) / TOAST_MAX_CHUNK_SIZE);
	ItemPointerData tids[CHUNKS_MAX];
	struct varlena *value;
	Buffer		buffer = InvalidBuffer;

	if (pointer->va_toastrelid != RelationGetRelid(fetch->table) || size != (Size) pointer->va_rawsize - VARHDRSZ ||
		n < 1 || n > CHUNKS_MAX || !find_chunks(fetch, pointer->va_valueid, n, tids))
		return NULL;
	value = palloc(size + VARHDRSZ);
	SET_VARSIZE(value, size + VARHDRSZ);
	for (int i = 0; i < n; i++)
	{
		Size		length = i < n - 1 ? TOAST_MAX_CHUNK_SIZE : size - (Size) i * TOAST_MAX_CHUNK_SIZE;
		const char *data;

		buffer = lock_page(fetch, ItemPointerGetBlockNumber(&tids[i]), buffer);
		data = chunk_data(fetch, buffer, &tids[i], pointer->va_valueid, i, length);
		LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		if (data == NULL)
		{
			ReleaseBuffer(buffer);
			pfree(value);
			return NULL;
		}
		/* it stays where it is while the page is pinned */
		memcpy(VARDATA(value) + (Size) i * TOAST_MAX_CHUNK_SIZE, data, length);
	}
	ReleaseBuffer(buffer);
	return value;
}
