/*
 * wal.h
 *		A change to at most four pages that happens wholly or not at all.
 *
 * Logged through GenericXLog; while an index is being built the pages change
 * in place and are logged when the build has finished.  Buffers are pinned
 * and exclusively locked by the caller before they are registered, and
 * released by the caller after the commit.
 */
#ifndef VECIDX_WAL_H
#define VECIDX_WAL_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

typedef struct PageChange
{
	GenericXLogState *xlog;		/* NULL while building */
	int			nbuffers;
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
} PageChange;

extern void page_change_begin(PageChange *change, Relation index, bool building);

/* The image to modify.  fresh: the page is being initialised, log all of it. */
extern Page page_change_register(PageChange *change, Buffer buffer, bool fresh);
extern void page_change_commit(PageChange *change);

#endif							/* VECIDX_WAL_H */
