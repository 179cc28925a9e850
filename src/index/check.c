/*
 * check.c
 *		vecidx_check(index, heap): the part in front of the access methods'.
 *
 * Locks.  A check compares pages with each other, so nothing may change the
 * index while it runs: an insert is several changes (README.md of the access
 * method), and a VACUUM keeps nodes half taken away.  ShareLock on the table
 * keeps both out and lets readers in; it is taken before the index's lock, as
 * everywhere.  The index's AccessShareLock keeps REINDEX and DROP away.  A
 * standby gives no stronger lock than AccessShareLock, and needs none against
 * writers, but replay goes on: pause it (pg_wal_replay_pause()) for an answer
 * that can be relied on.
 *
 * Memory.  TIDs are sorted within work_mem, further ones on disk.  Filter
 * values are compared by a digest of them that is sorted along, in the bits
 * that a TID leaves of 64: one wrong row in 32,768 goes unnoticed, no right one is reported.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "index/check.h"
#include "index/opclass.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/tuplesort.h"

#define MAX_CHECKERS 4

static const VecidxChecker *checkers[MAX_CHECKERS];
static int	ncheckers = 0;

void
vecidx_checker_register(const VecidxChecker *checker)
{
	Assert(ncheckers < MAX_CHECKERS);
	checkers[ncheckers++] = checker;
}

/* ---- Rows ---- */

static void
emit(VecidxCheck *check, BlockNumber block, int slot, const char *problem)
{
	Datum		values[3];
	bool		nulls[3];

	values[0] = Int64GetDatum((int64) block);
	nulls[0] = !BlockNumberIsValid(block);
	values[1] = Int32GetDatum(slot);
	nulls[1] = slot < 0;
	values[2] = CStringGetTextDatum(problem);
	nulls[2] = false;
	tuplestore_putvalues(check->result->setResult, check->result->setDesc, values, nulls);
	pfree(DatumGetPointer(values[2]));
}

void
vecidx_check_report(VecidxCheck *check, BlockNumber block, int slot, const char *format,...)
{
	StringInfoData text;

	if (check->full)
		return;
	initStringInfo(&text);
	for (;;)
	{
		va_list		args;
		int			need;

		va_start(args, format);
		need = appendStringInfoVA(&text, format, args);
		va_end(args);
		if (need == 0)
			break;
		enlargeStringInfo(&text, need);
	}
	emit(check, block, slot, text.data);
	pfree(text.data);
	if (++check->nproblems >= VECIDX_CHECK_MAX_ROWS)
	{
		emit(check, InvalidBlockNumber, -1, "there may be more: the check stopped here");
		check->full = true;
	}
}

/* ---- Pages ---- */

/* Errors that say something about the index rather than about this session. */
static bool
is_damage(int sqlerrcode)
{
	return sqlerrcode == ERRCODE_DATA_CORRUPTED ||
		sqlerrcode == ERRCODE_INDEX_CORRUPTED ||
		sqlerrcode == ERRCODE_UNDEFINED_FILE ||
		sqlerrcode == ERRCODE_IO_ERROR;
}

bool
vecidx_check_items(VecidxCheck *check, BlockNumber block, Page page, Size least)
{
	PageHeader	header = (PageHeader) page;
	OffsetNumber max = PageGetMaxOffsetNumber(page);
	uint8		taken[BLCKSZ / MAXIMUM_ALIGNOF] = {0};
	Size		sum = 0;

	if (header->pd_lower != SizeOfPageHeaderData + max * sizeof(ItemIdData))
	{
		vecidx_check_report(check, block, -1, "line pointers end at the wrong place");
		return false;
	}
	for (OffsetNumber offset = FirstOffsetNumber; offset <= max; offset++)
	{
		ItemId		item = PageGetItemId(page, offset);
		Size		start = ItemIdGetOffset(item);
		Size		size = MAXALIGN(ItemIdGetLength(item));

		if (!ItemIdIsUsed(item))
		{
			if (ItemIdHasStorage(item))
				vecidx_check_report(check, block, offset, "unused line pointer has an item");
			continue;
		}
		if (!ItemIdIsNormal(item) || start != MAXALIGN(start) || start < header->pd_upper ||
			start + size > header->pd_special || ItemIdGetLength(item) < least)
		{
			vecidx_check_report(check, block, offset, "line pointer is damaged");
			return false;
		}
		for (Size i = start / MAXIMUM_ALIGNOF; i < (start + size) / MAXIMUM_ALIGNOF; i++)
		{
			if (taken[i])
			{
				vecidx_check_report(check, block, offset, "item overlaps another");
				return false;
			}
			taken[i] = 1;
		}
		sum += size;
	}
	if (sum != (Size) (header->pd_special - header->pd_upper))
		vecidx_check_report(check, block, -1, "there are gaps between the items");
	return true;
}

bool
vecidx_check_read(VecidxCheck *check, BlockNumber block, char *page)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool read = true;

	CHECK_FOR_INTERRUPTS();
	if (block >= check->nblocks)
	{
		vecidx_check_report(check, block, -1, "block does not exist");
		return false;
	}

	/*
	 * The buffer manager refuses pages whose header or checksum is wrong with
	 * an error; that is to become a row.  Only a subtransaction gives back
	 * what it held by then.
	 */
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		Buffer		buffer = ReadBufferExtended(check->index, MAIN_FORKNUM, block, RBM_NORMAL,
												check->strategy);

		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		memcpy(page, BufferGetPage(buffer), BLCKSZ);
		UnlockReleaseBuffer(buffer);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (!is_damage(error->sqlerrcode))
			ReThrowError(error);
		vecidx_check_report(check, block, -1, "page cannot be read: %s", error->message);
		FreeErrorData(error);
		read = false;
	}
	PG_END_TRY();
	return read;
}

/* ---- TIDs ---- */

/* A TID takes 48 bits; below them, where they leave the sign alone, is the digest of its row's filter values. */
#define DIGEST_BITS 15
#define DIGEST_MASK ((1 << DIGEST_BITS) - 1)

static int64
sort_key(const ItemPointerData *tid, const VecidxFilterLayout *filters, const uint8 *values)
{
	ItemPointerData copy = *tid;
	int64		key = itemptr_encode(&copy) << DIGEST_BITS;

	if (filters != NULL && values != NULL)
		key |= hash_bytes(values, filters->packed_size) & DIGEST_MASK;
	return key;
}

bool
vecidx_check_row(VecidxCheck *check, const ItemPointerData *tid, const uint8 *values)
{
	if (!BlockNumberIsValid(ItemPointerGetBlockNumberNoCheck(tid)) ||
		ItemPointerGetOffsetNumberNoCheck(tid) == InvalidOffsetNumber)
		return false;
	tuplesort_putdatum(check->tids, Int64GetDatum(sort_key(tid, check->filters, values)), false);
	return true;
}

bool
vecidx_check_tid(VecidxCheck *check, const ItemPointerData *tid)
{
	return vecidx_check_row(check, tid, NULL);
}

static Tuplesortstate *
begin_tids(void)
{
	return tuplesort_begin_datum(INT8OID, Int8LessOperator, InvalidOid, false,
								 work_mem, NULL, TUPLESORT_NONE);
}

/* The next TID in order, and the digest of its filter values; false at the end. */
static bool
next_tid(Tuplesortstate *tids, int64 *tid, int *digest)
{
	Datum		value;
	bool		isnull;

	if (!vecidx_sort_getdatum(tids, &value, &isnull))
		return false;
	*tid = DatumGetInt64(value) >> DIGEST_BITS;
	*digest = DatumGetInt64(value) & DIGEST_MASK;
#ifndef USE_FLOAT8_BYVAL
	pfree(DatumGetPointer(value));
#endif
	return true;
}

typedef struct HeapState
{
	const VecidxOpclass *opclass;
	int			dim;
	void	   *buffer;
	const VecidxFilterLayout *filters;	/* NULL: values are not compared */
	uint8	   *values;
	Tuplesortstate *tids;
	MemoryContext row;
} HeapState;

static void
heap_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	HeapState  *state = arg;
	MemoryContext old;

	(void) index;
	(void) alive;
	CHECK_FOR_INTERRUPTS();
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(state->row);
	if (vecidx_elements(state->opclass, values[0], state->dim, state->buffer) != NULL)
	{
		if (state->filters != NULL)
			vecidx_filter_pack(state->filters, values, isnull, state->values);
		tuplesort_putdatum(state->tids, Int64GetDatum(sort_key(tid, state->filters, state->values)), false);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

/*
 * Rows that belong into the index, by the TIDs it would know them by (the
 * roots of HOT chains).  A snapshot decides and not SnapshotAny: rows that
 * were dead already when CREATE INDEX CONCURRENTLY began are not in the index
 * and may still stand in the table.  The latest snapshot, because an older
 * one may see versions of a row that the index was made too late to know.
 */
static Tuplesortstate *
heap_tids(VecidxCheck *check)
{
	HeapState	state;
	IndexInfo  *info = BuildIndexInfo(check->index);
	Snapshot	snapshot = RegisterSnapshot(GetLatestSnapshot());
	TableScanDesc scan;

	/* the scan is to go by the snapshot, and nothing is to be checked on the way */
	info->ii_Concurrent = true;
	info->ii_Unique = false;
	info->ii_ExclusionOps = NULL;
	info->ii_ExclusionProcs = NULL;
	info->ii_ExclusionStrats = NULL;

	state.opclass = vecidx_opclass(check->index);
	state.dim = vecidx_index_dim(check->index, state.opclass);
	state.buffer = vecidx_elements_buffer(state.opclass, state.dim, CurrentMemoryContext);
	state.filters = check->filters;
	state.values = check->filters == NULL ? NULL : palloc(check->filters->packed_size);
	state.tids = begin_tids();
	state.row = AllocSetContextCreate(CurrentMemoryContext, "vecidx check row", ALLOCSET_DEFAULT_SIZES);
	scan = table_beginscan_strat(check->heap, snapshot, 0, NULL, true, true);
	/* ends the scan, too */
	table_index_build_scan(check->heap, check->index, info, true, false, heap_callback, &state, scan);
	UnregisterSnapshot(snapshot);
	MemoryContextDelete(state.row);
	tuplesort_performsort(state.tids);
	return state.tids;
}

static void
report_tid(VecidxCheck *check, int64 encoded, const char *what)
{
	ItemPointerData tid;

	itemptr_decode(&tid, encoded);
	vecidx_check_report(check, ItemPointerGetBlockNumberNoCheck(&tid),
						ItemPointerGetOffsetNumberNoCheck(&tid),
						"row (%u,%u) of table \"%s\" %s",
						ItemPointerGetBlockNumberNoCheck(&tid), ItemPointerGetOffsetNumberNoCheck(&tid),
						RelationGetRelationName(check->heap), what);
}

/* The page of the table that is being looked at, pinned. */
typedef struct HeapPage
{
	BlockNumber nblocks;
	BlockNumber block;
	Buffer		buffer;
} HeapPage;

/*
 * A TID that has no row, dead or alive, will get another one: the index would
 * give that out for a vector it does not have.  TIDs come in order, so each
 * page is read once.  Only for tables whose pages are known.
 */
static void
check_row(VecidxCheck *check, HeapPage *heap, int64 encoded)
{
	ItemPointerData tid;
	BlockNumber block;
	OffsetNumber offset;
	Page		page;
	ItemId		item;
	const char *problem = NULL;

	if (check->heap->rd_rel->relam != HEAP_TABLE_AM_OID)
		return;
	itemptr_decode(&tid, encoded);
	block = ItemPointerGetBlockNumberNoCheck(&tid);
	offset = ItemPointerGetOffsetNumberNoCheck(&tid);
	if (block >= heap->nblocks)
	{
		report_tid(check, encoded, "stands in the index and lies past the table's end");
		return;
	}
	if (!BufferIsValid(heap->buffer) || heap->block != block)
	{
		CHECK_FOR_INTERRUPTS();
		heap->buffer = ReleaseAndReadBuffer(heap->buffer, check->heap, block);
		heap->block = block;
	}
	LockBuffer(heap->buffer, BUFFER_LOCK_SHARE);
	page = BufferGetPage(heap->buffer);
	item = PageIsNew(page) || offset > PageGetMaxOffsetNumber(page) ? NULL : PageGetItemId(page, offset);
	if (item == NULL || !ItemIdIsUsed(item))
		problem = "stands in the index and does not exist";
	else if (ItemIdIsNormal(item) && HeapTupleHeaderIsHeapOnly((HeapTupleHeader) PageGetItem(page, item)))
		problem = "stands in the index and is not the first of its HOT chain";
	LockBuffer(heap->buffer, BUFFER_LOCK_UNLOCK);
	if (problem != NULL)
		report_tid(check, encoded, problem);
}

/*
 * TIDs that stand twice in the index, TIDs without a row, rows of the table
 * that do not stand in the index, and rows that stand there with other filter values.
 */
static void
check_tids(VecidxCheck *check, bool heap)
{
	Tuplesortstate *rows = NULL;
	HeapPage	page = {0, InvalidBlockNumber, InvalidBuffer};
	int64		row = 0;
	int64		tid = 0;
	int64		last = -1;
	int			row_digest = 0;
	int			digest = 0;
	bool		more_rows = false;
	uint64		n = 0;

	tuplesort_performsort(check->tids);
	if (heap)
	{
		rows = heap_tids(check);
		more_rows = next_tid(rows, &row, &row_digest);
		page.nblocks = RelationGetNumberOfBlocks(check->heap);
	}
	while (!check->full && next_tid(check->tids, &tid, &digest))
	{
		if ((++n & 1023) == 0)
			CHECK_FOR_INTERRUPTS();
		if (tid == last)
		{
			if (check->doubles)
				continue;
			report_tid(check, tid, "stands twice in the index");
		}
		else if (heap)
			check_row(check, &page, tid);
		last = tid;
		while (more_rows && row < tid && !check->full)
		{
			report_tid(check, row, "is missing from the index");
			more_rows = next_tid(rows, &row, &row_digest);
		}
		while (more_rows && row == tid)
		{
			if (row_digest != digest)
				report_tid(check, row, "stands in the index with other values of filter columns");
			more_rows = next_tid(rows, &row, &row_digest);
		}
	}
	while (more_rows && !check->full)
	{
		CHECK_FOR_INTERRUPTS();
		report_tid(check, row, "is missing from the index");
		more_rows = next_tid(rows, &row, &row_digest);
	}
	if (BufferIsValid(page.buffer))
		ReleaseBuffer(page.buffer);
	if (rows != NULL)
		tuplesort_end(rows);
}

/* ---- The function ---- */

/* Refuse what is no index of ours, as far as the catalogs tell without a lock. */
static void
check_kind(Oid indexoid)
{
	char	   *name = get_rel_name(indexoid);
	char		kind = get_rel_relkind(indexoid);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("relation with OID %u does not exist", indexoid)));
	if (kind == RELKIND_PARTITIONED_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is a partitioned index", name),
				 errdetail("It has no pages of its own."),
				 errhint("Check the indexes of the partitions; pg_partition_tree() lists them.")));
	if (kind != RELKIND_INDEX)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not an index", name)));
}

/* The index's owner may, as may a superuser and who may maintain the table. */
static void
check_permission(Oid indexoid, Oid heapoid)
{
	if (!vecidx_owns_relation(indexoid) && !vecidx_may_maintain(heapoid))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_INDEX, get_rel_name(indexoid));
}

static const VecidxChecker *
find_checker(Relation index)
{
	for (int i = 0; i < ncheckers; i++)
		if (checkers[i]->build == index->rd_indam->ambuild)
			return checkers[i];
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("index \"%s\" is not of an access method of vecidx", RelationGetRelationName(index))));
}

static void
check_state(Relation index, bool heap)
{
	if (RELATION_IS_OTHER_TEMP(index))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot check temporary indexes of other sessions")));
	if (RecoveryInProgress() && index->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot check unlogged index \"%s\" during recovery", RelationGetRelationName(index))));
	if (!index->rd_index->indisready || (heap && !index->rd_index->indisvalid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot check index \"%s\"", RelationGetRelationName(index)),
				 errdetail("Index is not valid."),
				 errhint("REINDEX it.")));
}

PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_check);
Datum
vecidx_check(PG_FUNCTION_ARGS)
{
	Oid			indexoid = PG_GETARG_OID(0);
	bool		heap = PG_GETARG_BOOL(1);
	LOCKMODE	mode = RecoveryInProgress() ? AccessShareLock : ShareLock;
	VecidxCheck check = {0};
	const VecidxChecker *checker;
	Oid			heapoid;
	Oid			user;
	int			security;
	int			nestlevel;

	check_kind(indexoid);
	heapoid = IndexGetRelation(indexoid, true);
	check_permission(indexoid, heapoid);

	check.heap = OidIsValid(heapoid) ? try_table_open(heapoid, mode) : NULL;
	if (check.heap == NULL || heapoid != IndexGetRelation(indexoid, true))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("could not open parent table of index with OID %u", indexoid)));

	/*
	 * The index's expressions and predicate are functions of whoever owns the
	 * table: they run with the owner's rights, as CREATE INDEX runs them.
	 */
	GetUserIdAndSecContext(&user, &security);
	SetUserIdAndSecContext(check.heap->rd_rel->relowner, security | SECURITY_RESTRICTED_OPERATION);
	nestlevel = NewGUCNestLevel();
	vecidx_restrict_search_path();

	check.index = index_open(indexoid, AccessShareLock);
	checker = find_checker(check.index);
	check_state(check.index, heap);

	InitMaterializedSRF(fcinfo, 0);
	check.result = (ReturnSetInfo *) fcinfo->resultinfo;
	check.nblocks = RelationGetNumberOfBlocks(check.index);
	check.strategy = GetAccessStrategy(BAS_BULKREAD);
	check.tids = begin_tids();
	checker->check(&check);
	if (!check.full)
		check_tids(&check, heap);
	tuplesort_end(check.tids);
	FreeAccessStrategy(check.strategy);

	AtEOXact_GUC(false, nestlevel);
	SetUserIdAndSecContext(user, security);
	index_close(check.index, AccessShareLock);
	table_close(check.heap, mode);
	return (Datum) 0;
}
