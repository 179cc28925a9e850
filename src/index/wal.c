/*
 * wal.c
 *		Page changes, logged or (while building) direct.
 */
#include "vecidx.h"

#include "index/wal.h"

void
page_change_begin(PageChange *change, Relation index, bool building)
{
	change->xlog = building ? NULL : GenericXLogStart(index);
	change->nbuffers = 0;
}

Page
page_change_register(PageChange *change, Buffer buffer, bool fresh)
{
	if (change->nbuffers >= MAX_GENERIC_XLOG_PAGES)
		elog(ERROR, "too many pages in one change");
	change->buffers[change->nbuffers++] = buffer;
	if (change->xlog == NULL)
		return BufferGetPage(buffer);
	return GenericXLogRegisterBuffer(change->xlog, buffer, fresh ? GENERIC_XLOG_FULL_IMAGE : 0);
}

void
page_change_commit(PageChange *change)
{
	if (change->xlog != NULL)
	{
		GenericXLogFinish(change->xlog);
		return;
	}
	for (int i = 0; i < change->nbuffers; i++)
		MarkBufferDirty(change->buffers[i]);
}
