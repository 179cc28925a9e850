/*
 * rerank.c
 *		Exact values from the table.
 *
 * What the index was made of is computed again from the row: an attribute, or
 * the index's expression (FormIndexDatum).  All versions of a HOT chain have
 * the same indexed value, so the chain's root leads to the right one.
 */
#include "vecidx.h"

#include "access/tableam.h"
#include "catalog/index.h"
#include "executor/executor.h"
#include "index/rerank.h"

struct RowFetch
{
	IndexFetchTableData *fetch;
	TupleTableSlot *slot;
	AttrNumber	attribute;		/* 0: an expression */
	IndexInfo  *info;
	EState	   *estate;
};

RowFetch *
row_fetch_begin(Relation heap, Relation index, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	RowFetch   *fetch = palloc0(sizeof(RowFetch));

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
row_fetch_value(RowFetch *fetch, ItemPointer tid, Snapshot snapshot, Datum *value, bool *isnull)
{
	ItemPointerData where = *tid;
	bool		call_again = false;

	if (!table_index_fetch_tuple(fetch->fetch, &where, snapshot, fetch->slot, &call_again, NULL))
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
	ExecDropSingleTupleTableSlot(fetch->slot);
	table_index_fetch_end(fetch->fetch);
	if (fetch->estate != NULL)
		FreeExecutorState(fetch->estate);
}
