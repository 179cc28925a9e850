/*
 * page.c
 *		Pages of every vecidx index: initialise, check, extend, read.
 */
#include "vecidx.h"

#include "access/xloginsert.h"
#include "index/page.h"
#include "miscadmin.h"
#include "storage/lmgr.h"

void
vecidx_page_init(Page page, VecidxPageKind kind, uint16 version, uint32 ordinal)
{
	VecidxPageOpaque opaque;

	PageInit(page, BLCKSZ, sizeof(VecidxPageOpaqueData));
	opaque = VecidxPageGetOpaque(page);
	opaque->magic = VECIDX_PAGE_MAGIC;
	opaque->kind = kind;
	opaque->version = version;
	opaque->ordinal = ordinal;
	opaque->unused = 0;
}

const char *
vecidx_page_problem(Page page, VecidxPageKind kind, uint16 version)
{
	PageHeader	header = (PageHeader) page;
	VecidxPageOpaque opaque;

	if (PageIsNew(page))
		return "page is empty";
	if (header->pd_special != BLCKSZ - sizeof(VecidxPageOpaqueData) ||
		header->pd_lower < SizeOfPageHeaderData ||
		header->pd_lower > header->pd_upper ||
		header->pd_upper > header->pd_special)
		return "page header is damaged";
	opaque = VecidxPageGetOpaque(page);
	if (opaque->magic != VECIDX_PAGE_MAGIC)
		return "page is not of vecidx";
	if (opaque->version != version)
		return "page has another format version";
	if (opaque->kind != kind)
		return "page is of another kind than expected";
	return NULL;
}

void
vecidx_corrupted(Relation index, BlockNumber block, int slot, const char *problem)
{
	if (slot >= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INDEX_CORRUPTED),
				 errmsg("index \"%s\" is corrupted at block %u, slot %d",
						RelationGetRelationName(index), block, slot),
				 errdetail_internal("%s", problem),
				 errhint("REINDEX it; vecidx_check() lists what else is wrong.")));
	ereport(ERROR,
			(errcode(ERRCODE_INDEX_CORRUPTED),
			 errmsg("index \"%s\" is corrupted at block %u",
					RelationGetRelationName(index), block),
			 errdetail_internal("%s", problem),
			 errhint("REINDEX it; vecidx_check() lists what else is wrong.")));
}

void
vecidx_page_check_version(Relation index, Page page, uint16 version)
{
	if (PageIsNew(page) || PageGetSpecialSize(page) != sizeof(VecidxPageOpaqueData) ||
		VecidxPageGetOpaque(page)->magic != VECIDX_PAGE_MAGIC ||
		VecidxPageGetOpaque(page)->version == version)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("index \"%s\" has format version %d, this vecidx reads version %d",
					RelationGetRelationName(index), VecidxPageGetOpaque(page)->version, version),
			 errhint("REINDEX the index.")));
}

void
vecidx_page_check(Relation index, Buffer buffer, VecidxPageKind kind, uint16 version)
{
	const char *problem = vecidx_page_problem(BufferGetPage(buffer), kind, version);

	if (unlikely(problem != NULL))
		vecidx_corrupted(index, BufferGetBlockNumber(buffer), -1, problem);
}

Buffer
vecidx_read(Relation index, BlockNumber block, int mode, VecidxPageKind kind, uint16 version)
{
	Buffer		buffer = ReadBuffer(index, block);

	LockBuffer(buffer, mode);
	vecidx_page_check(index, buffer, kind, version);
	return buffer;
}

BlockNumber
vecidx_extend(Relation index, BlockNumber n, uint16 version, uint32 ordinal, bool building)
{
	BlockNumber first;

	Assert(n > 0);
	LockRelationForExtension(index, ExclusiveLock);
	first = RelationGetNumberOfBlocks(index);
	if (n >= MaxBlockNumber - first)
	{
		UnlockRelationForExtension(index, ExclusiveLock);
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot grow past %u blocks",
						RelationGetRelationName(index), MaxBlockNumber)));
	}
	for (BlockNumber i = 0; i < n; i++)
	{
		Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);

		if (BufferGetBlockNumber(buffer) != first + i)
			elog(ERROR, "unexpected block %u while extending index \"%s\"",
				 BufferGetBlockNumber(buffer), RelationGetRelationName(index));
		START_CRIT_SECTION();
		vecidx_page_init(BufferGetPage(buffer), VECIDX_PAGE_FREE, version, ordinal);
		MarkBufferDirty(buffer);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
	}
	UnlockRelationForExtension(index, ExclusiveLock);

	/*
	 * Log the new pages before anything points at them: after a crash of the
	 * operating system the file could otherwise be shorter than the metapage
	 * says, and the same blocks be handed out twice.
	 */
	if (!building && RelationNeedsWAL(index))
		log_newpage_range(index, MAIN_FORKNUM, first, first + n, true);
	return first;
}
