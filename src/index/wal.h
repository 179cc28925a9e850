/*
 * wal.h
 *		A change to at most four pages that happens wholly or not at all.
 *
 * Logged as one generic WAL record; while an index is being built the pages
 * change in place and are logged when the build has finished.  Buffers are
 * pinned and exclusively locked by the caller before they are named here, and
 * released by the caller after the commit.
 *
 * A page is changed in one of two ways:
 *
 * page_change_write() replaces some bytes.  A change that consists of these
 * alone writes its record itself, in the form that the server's replay of
 * generic records reads, and touches nothing but those bytes.
 *
 * page_change_register() gives an image of the whole page to work on.  Then
 * GenericXLog finds out what is different, which takes several passes over
 * each page.
 *
 * Every change of a page that others may look at moves its LSN, also where
 * nothing is logged (unlogged indexes): index/pagemem.h relies on it.
 *
 * Replay locks the pages in the order in which they were first named, and
 * holds all of them to the end.
 */
#ifndef VECIDX_WAL_H
#define VECIDX_WAL_H

#include "postgres.h"

#include "access/generic_xlog.h"
#include "storage/bufmgr.h"
#include "utils/rel.h"

/* Writes to the pages of one change; what takes more works on an image. */
#define PAGE_CHANGE_MAX_WRITES 128

/* Longest write whose bytes are copied, so that the caller need not keep them. */
#define PAGE_CHANGE_SMALL_WRITE 8

typedef struct PageWrite
{
	uint16		page;			/* index in buffers[] */
	uint16		offset;
	uint16		length;
	const char *data;			/* NULL: in small */
	char		small[PAGE_CHANGE_SMALL_WRITE];
} PageWrite;

typedef struct PageChange
{
	Relation	index;
	bool		building;
	GenericXLogState *xlog;		/* once a page is changed through an image */
	int			nbuffers;
	int			nwrites;
	Buffer		buffers[MAX_GENERIC_XLOG_PAGES];
	PageWrite	writes[PAGE_CHANGE_MAX_WRITES];
} PageChange;

extern void page_change_begin(PageChange *change, Relation index, bool building);

/*
 * Put length bytes at a place of the page.  Data of more than
 * PAGE_CHANGE_SMALL_WRITE bytes must stay as they are until the commit.  The
 * page itself changes at the commit (at once while building).  No byte is
 * written twice in a change, and none between pd_lower and pd_upper as they
 * will be.  An aligned word of 8 bytes changes in one piece, for readers without
 * a lock, here and when it is replayed.
 */
extern void page_change_write(PageChange *change, Buffer buffer, Size offset, const void *data, Size length);

/* The image to modify.  fresh: the page is being initialised, log all of it. */
extern Page page_change_register(PageChange *change, Buffer buffer, bool fresh);

extern void page_change_commit(PageChange *change);

#endif							/* VECIDX_WAL_H */
