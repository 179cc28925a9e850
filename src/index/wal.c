/*
 * wal.c
 *		Page changes, logged or (while building) direct.
 *
 * The record of plain writes is the one that GenericXLogFinish() would make:
 * resource manager RM_GENERIC_ID, and for each page fragments of (uint16
 * offset, uint16 length, bytes).  What is saved are two copies of each page
 * and the comparison of all their bytes: on a page of 8 kB with one link
 * changed, most of an insert's time.  GenericXLog itself does the work in
 * versions of which it is not known that they replay this form (compat.h).
 */
#include "vecidx.h"

#include "access/xlog.h"
#include "access/xloginsert.h"
#include "index/wal.h"
#include "miscadmin.h"

/* A fragment's head in the record. */
#define FRAGMENT_HEAD (2 * sizeof(uint16))

void
page_change_begin(PageChange *change, Relation index, bool building)
{
	change->index = index;
	change->building = building;
	change->xlog = NULL;
	change->nbuffers = 0;
	change->nwrites = 0;
	if (!building && !VECIDX_KNOWS_GENERIC_REDO)
		change->xlog = GenericXLogStart(index);
}

static int
add_buffer(PageChange *change, Buffer buffer)
{
	for (int i = 0; i < change->nbuffers; i++)
		if (change->buffers[i] == buffer)
			return i;
	if (change->nbuffers >= MAX_GENERIC_XLOG_PAGES)
		elog(ERROR, "too many pages in one change");
	change->buffers[change->nbuffers] = buffer;
	return change->nbuffers++;
}

static inline const char *
write_data(const PageWrite *write)
{
	return write->data != NULL ? write->data : write->small;
}

/* From plain writes to images: those that were noted so far go there. */
static void
begin_images(PageChange *change)
{
	Page		images[MAX_GENERIC_XLOG_PAGES];

	change->xlog = GenericXLogStart(change->index);
	for (int i = 0; i < change->nbuffers; i++)
		images[i] = GenericXLogRegisterBuffer(change->xlog, change->buffers[i], 0);
	for (int i = 0; i < change->nwrites; i++)
	{
		const PageWrite *write = &change->writes[i];

		memcpy(images[write->page] + write->offset, write_data(write), write->length);
	}
	change->nwrites = 0;
}

/* One more plain write, of a page among the change's, or to the images where there are too many. */
static void
note_write(PageChange *change, int page, Size offset, const char *bytes, Size length)
{
	PageWrite  *write;

	if (change->nwrites >= PAGE_CHANGE_MAX_WRITES)
	{
		begin_images(change);
		memcpy(GenericXLogRegisterBuffer(change->xlog, change->buffers[page], 0) + offset, bytes, length);
		return;
	}
	write = &change->writes[change->nwrites++];
	write->page = page;
	write->offset = offset;
	write->length = length;
	write->data = length > PAGE_CHANGE_SMALL_WRITE ? bytes : NULL;
	if (write->data == NULL)
		memcpy(write->small, bytes, length);
}

void
page_change_write(PageChange *change, Buffer buffer, Size offset, const void *data, Size length)
{
	Page		page = BufferGetPage(buffer);
	const char *bytes = data;
	int			i;

	Assert(offset + length <= BLCKSZ);
	if (change->building)
	{
		add_buffer(change, buffer);
		memcpy(page + offset, bytes, length);
		return;
	}
	i = add_buffer(change, buffer);
	if (change->xlog != NULL)
	{
		memcpy(GenericXLogRegisterBuffer(change->xlog, buffer, 0) + offset, bytes, length);
		return;
	}

	/*
	 * Bytes that stay as they are need not be logged.  But a word that is
	 * aligned is stored in one piece, by replay as well: who reads it without
	 * a lock finds the old or the new one.
	 */
	if (length == sizeof(uint64) && offset % sizeof(uint64) == 0 && memcmp(page + offset, bytes, length) != 0)
	{
		note_write(change, i, offset, bytes, length);
		return;
	}
	while (length > 0 && page[offset + length - 1] == bytes[length - 1])
		length--;
	while (length > 0 && page[offset] == *bytes)
	{
		offset++;
		bytes++;
		length--;
	}
	if (length == 0)
		return;
	note_write(change, i, offset, bytes, length);
}

Page
page_change_register(PageChange *change, Buffer buffer, bool fresh)
{
	if (change->building)
	{
		add_buffer(change, buffer);
		return BufferGetPage(buffer);
	}
	if (change->xlog == NULL)
		begin_images(change);
	add_buffer(change, buffer);
	return GenericXLogRegisterBuffer(change->xlog, buffer, fresh ? GENERIC_XLOG_FULL_IMAGE : 0);
}

/*
 * Before the first byte changes: whoever looks at a page without a lock and
 * finds a new byte there is to find the lock taken, too.
 */
static void
before_change(const PageChange *change)
{
	for (int i = 0; i < change->nbuffers; i++)
		if (VECIDX_LOCK_SHOWS && !BufferIsLocal(change->buffers[i]) &&
			!vecidx_exclusively_locked(GetBufferDescriptor(change->buffers[i] - 1)))
			elog(ERROR, "buffer %d is not locked exclusively", change->buffers[i]);
	pg_memory_barrier();
}

/* Move the LSNs of pages whose changes are not logged. */
static void
move_unlogged(const PageChange *change)
{
	XLogRecPtr	lsn;

	if (change->index->rd_rel->relpersistence != RELPERSISTENCE_UNLOGGED)
		return;
	lsn = GetFakeLSNForUnloggedRel();
	for (int i = 0; i < change->nbuffers; i++)
		PageSetLSN(BufferGetPage(change->buffers[i]), lsn);
}

/* Write the bytes to the pages, and the record; or the former only. */
static void
commit_writes(PageChange *change)
{
	bool		logged = RelationNeedsWAL(change->index);
	char	   *fragments = NULL;
	Size		size = 0;
	Size		ends[MAX_GENERIC_XLOG_PAGES];

	if (change->nwrites == 0)
		return;
	if (logged)
	{
		for (int i = 0; i < change->nwrites; i++)
			size += FRAGMENT_HEAD + change->writes[i].length;
		fragments = palloc(size);
		size = 0;
		for (int page = 0; page < change->nbuffers; page++)
		{
			for (int i = 0; i < change->nwrites; i++)
			{
				const PageWrite *write = &change->writes[i];

				if (write->page != page)
					continue;
				memcpy(fragments + size, &write->offset, sizeof(uint16));
				memcpy(fragments + size + sizeof(uint16), &write->length, sizeof(uint16));
				memcpy(fragments + size + FRAGMENT_HEAD, write_data(write), write->length);
				size += FRAGMENT_HEAD + write->length;
			}
			ends[page] = size;
		}
		XLogBeginInsert();
	}

	START_CRIT_SECTION();
	for (int i = 0; i < change->nwrites; i++)
	{
		const PageWrite *write = &change->writes[i];

		memcpy(BufferGetPage(change->buffers[write->page]) + write->offset, write_data(write), write->length);
	}
	for (int page = 0; page < change->nbuffers; page++)
		MarkBufferDirty(change->buffers[page]);
	if (logged)
	{
		XLogRecPtr	lsn;
		Size		start = 0;

		for (int page = 0; page < change->nbuffers; page++)
		{
			/* also a page without a change: replay locks it */
			XLogRegisterBuffer(page, change->buffers[page], REGBUF_STANDARD);
			if (ends[page] > start)
				XLogRegisterBufData(page, fragments + start, ends[page] - start);
			start = ends[page];
		}
		lsn = XLogInsert(RM_GENERIC_ID, 0);
		for (int page = 0; page < change->nbuffers; page++)
			PageSetLSN(BufferGetPage(change->buffers[page]), lsn);
	}
	END_CRIT_SECTION();
	if (fragments != NULL)
		pfree(fragments);
}

void
page_change_commit(PageChange *change)
{
	if (change->building)
	{
		for (int i = 0; i < change->nbuffers; i++)
			MarkBufferDirty(change->buffers[i]);
		return;
	}
	before_change(change);
	if (change->xlog != NULL)
		GenericXLogFinish(change->xlog);
	else
		commit_writes(change);
	move_unlogged(change);
}
