/*
 * rerank.c
 *		Exact values from the table.
 *
 * What the index was made of is computed again from the row: an attribute, or
 * the index's expression (FormIndexDatum).  All versions of a HOT chain have
 * the same indexed value, so the chain's root leads to the right one.
 */
#include "vecidx.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "index/pagemem.h"
#include "index/rerank.h"
#include "index/toast_fetch.h"
#include "port/pg_bitutils.h"
#include "types/detoasted.h"

struct RowFetch
{
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	RowPages   *pages;			/* NULL: nothing is remembered */
	ToastFetch *toast;			/* NULL: the server gets values out of line, or there was none yet */
	bool		toast_opened;
	Detoasted  *detoasted;		/* has values read by this; NULL: the server reads them */
	MemoryContext context;
	VecidxRowTest *test;		/* NULL: none */
	AttrNumber	attribute;		/* 0: an expression */
	IndexInfo  *info;
	EState	   *estate;
};

/* Buffers remembered at most: of a table of a gigabyte, all. */
#define ROW_PAGES_MAX ((uint32) 16384)

struct RowPages
{
	ToastPlaces *toast;
	uint32		mask;
	PageSlot	slots[FLEXIBLE_ARRAY_MEMBER];	/* by the block's last bits */
};

RowPages *
row_pages_create(Relation heap, MemoryContext context)
{
	uint32		n = Min(RelationGetNumberOfBlocks(heap), ROW_PAGES_MAX);
	RowPages   *pages;

	n = pg_nextpower2_32(Max(n, 64));
	n = Min(n, ROW_PAGES_MAX);
	pages = MemoryContextAlloc(context, offsetof(RowPages, slots) + n * sizeof(PageSlot));
	pages->toast = toast_places_create(context);
	pages->mask = n - 1;
	for (uint32 i = 0; i < n; i++)
	{
		pages->slots[i].block = InvalidBlockNumber;
		pages->slots[i].buffer = pages->slots[i].checked = InvalidBuffer;
	}
	return pages;
}

void
row_fetch_remember(RowFetch *fetch, RowPages *pages)
{
	if (fetch->fetch->rel->rd_tableam == GetHeapamTableAmRoutine() && !RelationUsesLocalBuffers(fetch->fetch->rel))
		fetch->pages = pages;
}

static struct varlena *
read_value(void *arg, const struct varatt_external *pointer)
{
	RowFetch   *fetch = arg;

	if (!fetch->toast_opened)
	{
		fetch->toast = toast_fetch_begin(fetch->fetch->rel, fetch->pages->toast, fetch->context);
		fetch->toast_opened = true;
	}
	return fetch->toast != NULL ? toast_fetch_value(fetch->toast, pointer) : NULL;
}

void
row_fetch_detoast(RowFetch *fetch, Detoasted *detoasted)
{
	if (fetch->pages == NULL)
		return;
	fetch->detoasted = detoasted;
	detoasted_read_by(detoasted, read_value, fetch);
}

void
row_fetch_prefetch(RowFetch *fetch, ItemPointer tid)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
	const PageSlot *slot;

	if (fetch->pages == NULL)
		return;
	slot = &fetch->pages->slots[block & fetch->pages->mask];
	if (slot->block == block && slot->buffer > 0)
	{
		const char *page = (const char *) BufferGetBlock(slot->buffer);

		__builtin_prefetch(GetBufferDescriptor(slot->buffer - 1), 1);
		__builtin_prefetch(page);
		__builtin_prefetch(page + SizeOfPageHeaderData + ItemPointerGetOffsetNumberNoCheck(tid) * sizeof(ItemIdData));
	}
}

/*
 * The heap looks its page up in the shared buffer table, unless the buffer
 * that it still has pinned from the last row holds it.  So give it one that does.
 * (It then does not ask either whether the page wants pruning.  That is asked
 * where the row itself is returned.)
 */
static void
pin_ahead(RowFetch *fetch, PageSlot *slot, BlockNumber block)
{
	IndexFetchHeapData *heap = (IndexFetchHeapData *) fetch->fetch;

	if (slot->block != block || slot->buffer == heap->xs_cbuf || !pagemem_pin_remembered(slot, fetch->fetch->rel))
		return;
	if (BufferIsValid(heap->xs_cbuf))
		ReleaseBuffer(heap->xs_cbuf);
	heap->xs_cbuf = slot->buffer;
}

void
row_fetch_test(RowFetch *fetch, VecidxRowTest *test)
{
	fetch->test = test;
}

RowFetch *
row_fetch_begin(Relation heap, Relation index, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	RowFetch   *fetch = palloc0(sizeof(RowFetch));

	fetch->context = context;
	fetch->attribute = index->rd_index->indkey.values[0];
	fetch->slot = table_slot_create(heap, NULL);
	fetch->fetch = table_index_fetch_begin(heap);
	if (fetch->attribute == 0)
	{
		fetch->info = BuildIndexInfo(index);
		fetch->estate = CreateExecutorState();
		GetPerTupleExprContext(fetch->estate)->ecxt_scantuple = fetch->slot;
	}
	MemoryContextSwitchTo(old);
	return fetch;
}

bool
row_fetch_passes(RowFetch *fetch, ItemPointer tid, Snapshot snapshot)
{
	ItemPointerData where = *tid;
	bool		call_again = false;
	bool		found;

	if (fetch->pages != NULL)
	{
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(tid);
		PageSlot   *slot = &fetch->pages->slots[block & fetch->pages->mask];

		pin_ahead(fetch, slot, block);
		found = table_index_fetch_tuple(fetch->fetch, &where, snapshot, fetch->slot, &call_again, NULL);
		slot->block = block;
		slot->buffer = ((IndexFetchHeapData *) fetch->fetch)->xs_cbuf;
	}
	else
		found = table_index_fetch_tuple(fetch->fetch, &where, snapshot, fetch->slot, &call_again, NULL);
	return found && (fetch->test == NULL || vecidx_row_test_passes(fetch->test, fetch->slot));
}

bool
row_fetch_value(RowFetch *fetch, ItemPointer tid, Snapshot snapshot, Datum *value, bool *isnull)
{
	if (!row_fetch_passes(fetch, tid, snapshot))
		return false;
	if (fetch->attribute != 0)
		*value = slot_getattr(fetch->slot, fetch->attribute, isnull);
	else
	{
		Datum		values[INDEX_MAX_KEYS];
		bool		nulls[INDEX_MAX_KEYS];

		ResetPerTupleExprContext(fetch->estate);
		FormIndexDatum(fetch->info, fetch->slot, fetch->estate, values, nulls);
		*value = values[0];
		*isnull = nulls[0];
	}
	return true;
}

void
row_fetch_reset(RowFetch *fetch)
{
	ExecClearTuple(fetch->slot);
	table_index_fetch_reset(fetch->fetch);
}

void
row_fetch_end(RowFetch *fetch)
{
	if (fetch->detoasted != NULL)
		detoasted_read_by(fetch->detoasted, NULL, NULL);
	if (fetch->toast != NULL)
		toast_fetch_end(fetch->toast);
	ExecDropSingleTupleTableSlot(fetch->slot);
	table_index_fetch_end(fetch->fetch);
	if (fetch->estate != NULL)
		FreeExecutorState(fetch->estate);
}
