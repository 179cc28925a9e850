/*
 * hnsw_wide.c
 *		Records that do not stand on code pages: sparse vectors, which differ in
 *		size, and what is larger than a page.
 *
 * The code page holds an HnswWideSlot, which points to the record's first
 * chunk on an extra page.  The record is written before the slot and taken
 * away after it (or with it), so a slot never points at nothing.  A reader
 * holds no lock between slot and chunk: where the chunk is not there, VACUUM
 * was between the two, and the slot says by now that the record is gone, or
 * where the next owner's is.
 */
#include "vecidx.h"

#include "hnsw/hnsw.h"

/* A record that VACUUM takes away time and again while it is read is damage. */
#define MAX_READS 16

/* The page that has a node's slot, locked; *slot points into it. */
static Buffer
lock_slot(HnswDiskStore *store, uint32 node, int lockmode, HnswWideSlot **slot)
{
	HnswIndex  *hnsw = store->hnsw;
	uint32		ordinal = node / hnsw->codes_per_page;
	PageSlot   *pageslot = &hnsw->code_memory.slots[ordinal];
	Buffer		buffer = pagemem_pin(pageslot, store->index);
	Page		page = BufferGetPage(buffer);
	Size		offset = MAXALIGN(SizeOfPageHeaderData) + (Size) (node % hnsw->codes_per_page) * sizeof(HnswWideSlot);

	LockBuffer(buffer, lockmode);
	vecidx_page_check(store->index, buffer, VECIDX_PAGE_CODE, HNSW_VERSION);
	if (unlikely(((PageHeader) page)->pd_lower < offset + sizeof(HnswWideSlot)))
		vecidx_corrupted(store->index, pageslot->block, -1, "code record is missing");
	*slot = (HnswWideSlot *) (page + offset);
	return buffer;
}

static void
read_slot(HnswDiskStore *store, uint32 node, HnswWideSlot *slot)
{
	HnswWideSlot *at;
	Buffer		buffer = lock_slot(store, node, BUFFER_LOCK_SHARE, &at);

	*slot = *at;
	UnlockReleaseBuffer(buffer);
}

/* What is wrong with the chain that a slot leads to; NULL, and the record, if nothing. */
static const char *
gather(HnswDiskStore *store, uint32 node, const HnswWideSlot *slot, uint8 *record)
{
	const Quantizer *quantizer = store->store.quantizer;
	ItemPointerData next = slot->first;
	Size		done = 0;

	if (slot->size == 0 || slot->size > quantizer->code_size)
		return "impossible size of a record";
	/* every chunk brings at least a byte, so this ends */
	while (done < slot->size)
	{
		const char *problem = "record ends early";
		HnswCodeChunk chunk;
		void	   *item;
		Buffer		buffer;
		Size		n = Min(slot->size - done, HNSW_CODE_CHUNK_BYTES);
		Size		length;

		if (!ItemPointerIsValid(&next))
			return problem;
		buffer = hnsw_disk_try_extra_item(store, &next, HNSW_EXTRA_CODE, node, BUFFER_LOCK_SHARE, &item, &problem);
		if (!BufferIsValid(buffer))
			return problem;
		chunk = item;
		length = ItemIdGetLength(PageGetItemId(BufferGetPage(buffer), ItemPointerGetOffsetNumber(&next)));
		if (length == HNSW_CODE_CHUNK_SIZE(n))
			memcpy(record + done, chunk->bytes, n);
		next = chunk->next;
		UnlockReleaseBuffer(buffer);
		if (length != HNSW_CODE_CHUNK_SIZE(n))
			return "part of a record has the wrong size";
		done += n;
	}
	return quant_record_sound(quantizer, record, slot->size) ? NULL : "record contradicts its size";
}

void
hnsw_wide_read_slot(HnswDiskStore *store, uint32 node, const HnswWideSlot *slot, uint8 *record)
{
	const char *problem = gather(store, node, slot, record);

	if (unlikely(problem != NULL))
		vecidx_corrupted(store->index, ItemPointerGetBlockNumberNoCheck(&slot->first),
						 ItemPointerGetOffsetNumberNoCheck(&slot->first), problem);
}

bool
hnsw_wide_read(HnswDiskStore *store, uint32 node, uint8 *record)
{
	HnswWideSlot slot;

	for (int try = 0; try < MAX_READS; try++)
	{
		read_slot(store, node, &slot);
		if (!ItemPointerIsValid(&slot.first))
			return false;
		if (likely(gather(store, node, &slot, record) == NULL))
			return true;
	}
	hnsw_wide_read_slot(store, node, &slot, record);
	return true;
}

void
hnsw_wide_put(const Quantizer *quantizer, uint32 node, const uint8 *record, HnswPutChunk put, void *arg, HnswWideSlot *slot)
{
	Size		size = quant_record_size(quantizer, record);
	HnswCodeChunk chunk = palloc0(HNSW_CODE_CHUNK_SIZE(Min(size, HNSW_CODE_CHUNK_BYTES)));

	memset(slot, 0, sizeof(*slot));
	slot->size = (uint32) size;
	chunk->header.node = node;
	chunk->header.kind = HNSW_EXTRA_CODE;
	/* from the end, so that each knows where the next one is */
	for (Size i = (size + HNSW_CODE_CHUNK_BYTES - 1) / HNSW_CODE_CHUNK_BYTES; i > 0; i--)
	{
		Size		start = (i - 1) * HNSW_CODE_CHUNK_BYTES;
		Size		n = Min(size - start, HNSW_CODE_CHUNK_BYTES);

		chunk->next = slot->first;
		memcpy(chunk->bytes, record + start, n);
		slot->first = put(arg, chunk, HNSW_CODE_CHUNK_SIZE(n));
	}
	pfree(chunk);
}

/* A chunk onto an extra page, as a change of its own. */
static ItemPointerData
put_chunk(void *arg, void *chunk, Size size)
{
	HnswDiskStore *store = arg;
	Buffer		buffer = hnsw_disk_extra_page(store, size);
	PageChange	change;
	ItemPointerData where;

	page_change_begin(&change, store->index, store->building);
	where = hnsw_disk_put_extra(store, &change, buffer, chunk, size);
	page_change_commit(&change);
	hnsw_disk_note_free_space(store, buffer);
	UnlockReleaseBuffer(buffer);
	return where;
}

void
hnsw_wide_write(HnswDiskStore *store, uint32 node, const uint8 *record, HnswWideSlot *slot)
{
	hnsw_wide_put(store->store.quantizer, node, record, put_chunk, store, slot);
}

void
hnsw_wide_drop(HnswDiskStore *store, uint32 node)
{
	HnswWideSlot *slot;
	Buffer		code = lock_slot(store, node, BUFFER_LOCK_EXCLUSIVE, &slot);
	ItemPointerData next = slot->first;
	bool		first = true;

	/* the slot goes with the first chunk; a crash before the last leaks the rest until REINDEX */
	while (ItemPointerIsValid(&next))
	{
		ItemPointerData where = next;
		void	   *item;
		Buffer		extra = hnsw_disk_extra_item(store, &where, HNSW_EXTRA_CODE, node, BUFFER_LOCK_EXCLUSIVE, &item);
		PageChange	change;

		next = ((HnswCodeChunk) item)->next;
		page_change_begin(&change, store->index, false);
		if (first)
		{
			Size		offset = (char *) slot - BufferGetPage(code);

			memset(page_change_register(&change, code, false) + offset, 0, sizeof(HnswWideSlot));
		}
		hnsw_page_delete_item(page_change_register(&change, extra, false), &where);
		page_change_commit(&change);
		first = false;
		hnsw_disk_note_free_space(store, extra);
		UnlockReleaseBuffer(extra);
	}
	UnlockReleaseBuffer(code);
}
