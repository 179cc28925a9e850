/*
 * pagemem.h
 *		A backend's memory of which buffer held which page, and reads that
 *		trust it only after looking.
 *
 * Looking a block up in the shared buffer table costs more than scoring the
 * code on it.  So each backend remembers the buffer a page was in.  Two ways
 * to use that memory:
 *
 * pagemem_pin() pins the remembered buffer if it still holds the page
 * (ReadRecentBuffer), and falls back to ReadBuffer.
 *
 * pagemem_peek() does not pin at all: it gives the address of the page if the
 * buffer's descriptor says that the page is there now, and the caller, having
 * read what it wanted, asks pagemem_unmoved() whether the descriptor still
 * says so.  If not, what was read is thrown away.  Nothing shared is written,
 * so backends do not pass cache lines back and forth.  Only for bytes that do
 * not change while anything refers to them, and whose value cannot crash the
 * reader (code records).  Buffer memory stays mapped, so a stale address is
 * readable; the answer is only wrong, and dropped.  A buffer could leave the
 * page and come back to it between the two looks: the bytes read in between
 * would be another page's.  That takes two evictions and two reads from disk
 * within the reader's microsecond, and costs one bad estimate.  For estimates
 * the second look is therefore enough (disk_score()): without the first, it
 * takes one eviction before and one read, into the same buffer, just then.
 *
 * pagemem_peek_version() and pagemem_unchanged() are the same for bytes that do
 * change: what was copied between the two is what the page held at one moment.
 * Every change happens under the exclusive content lock and moves the page's
 * LSN (index/wal.h).  The order of the looks matters:
 *
 *		reader: LSN, lock; copy; lock, LSN
 *		writer: takes the lock, changes the page, sets the LSN, lets go
 *
 * If the copy holds a byte of a change, then the reader's second look at the
 * lock comes after the writer took it (the writer has a barrier there).  Either
 * the lock is still held; or the writer has let go, and the second LSN is new,
 * while the first is new only if the lock was seen free after all was written.
 * Replay has no such barrier: on a standby with a weakly ordered processor a
 * copy could mix two states of a list.  So nothing but scans may rely on it
 * there, and each word is to be checked as if it came from a damaged page.
 *
 * A peek refuses pages whose usage count has run low, so that pages which are
 * only peeked at get pinned now and then and are not evicted as unused.
 */
#ifndef VECIDX_PAGEMEM_H
#define VECIDX_PAGEMEM_H

#include "postgres.h"

#include "compat.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"

typedef struct PageSlot
{
	BlockNumber block;
	Buffer		buffer;			/* InvalidBuffer: not known */
	Buffer		checked;		/* buffer in which the page was found sound; for the owner's use */
} PageSlot;

typedef struct PageMemory
{
	PageSlot   *slots;			/* by page ordinal */
	uint32		n;
} PageMemory;

#define PAGEMEM_MIN_USAGE 2

static inline bool
pagemem_in_use(BufferDesc *desc)
{
	return BUF_STATE_GET_USAGECOUNT(pg_atomic_read_u32(&desc->state)) >= PAGEMEM_MIN_USAGE;
}

static inline bool
pagemem_holds(BufferDesc *desc, const BufferTag *tag)
{
	uint32		state = pg_atomic_read_u32(&desc->state);

	return (state & BM_VALID) != 0 && vecidx_tags_equal(&desc->tag, tag);
}

/*
 * Address of the page if its remembered buffer holds it, else NULL.  tag has
 * relation and fork filled in; its block is set here.
 */
static inline char *
pagemem_peek(const PageSlot *slot, BufferTag *tag)
{
	BufferDesc *desc;
	uint32		state;

	if (slot->buffer <= 0)
		return NULL;
	desc = GetBufferDescriptor(slot->buffer - 1);
	tag->blockNum = slot->block;
	state = pg_atomic_read_u32(&desc->state);
	if ((state & BM_VALID) == 0 ||
		BUF_STATE_GET_USAGECOUNT(state) < PAGEMEM_MIN_USAGE ||
		!vecidx_tags_equal(&desc->tag, tag))
		return NULL;
	pg_read_barrier();
	return (char *) BufferGetBlock(slot->buffer);
}

/* After a peek and a read barrier: was the page there all the time? */
static inline bool
pagemem_unmoved(const PageSlot *slot, BufferTag *tag)
{
	tag->blockNum = slot->block;
	return pagemem_holds(GetBufferDescriptor(slot->buffer - 1), tag);
}

/*
 * The same for a page whose bytes may change: *lsn is its version.  NULL also
 * where it is being changed.
 */
static inline char *
pagemem_peek_version(const PageSlot *slot, BufferTag *tag, XLogRecPtr *lsn)
{
	char	   *page = pagemem_peek(slot, tag);

	if (page == NULL)
		return NULL;
	*lsn = PageGetLSN(page);
	pg_read_barrier();
	if (vecidx_exclusively_locked(GetBufferDescriptor(slot->buffer - 1)))
		return NULL;
	pg_read_barrier();
	return page;
}

/* After such a peek: is what was read of one moment, and of this page? */
static inline bool
pagemem_unchanged(const PageSlot *slot, BufferTag *tag, XLogRecPtr lsn)
{
	BufferDesc *desc = GetBufferDescriptor(slot->buffer - 1);
	bool		same;

	pg_read_barrier();
	same = !vecidx_exclusively_locked(desc);
	pg_read_barrier();
	same &= PageGetLSN((char *) BufferGetBlock(slot->buffer)) == lsn;
	pg_read_barrier();
	return same && pagemem_unmoved(slot, tag);
}

/* Bring the descriptor and the first bytes of a record nearer. */
static inline void
pagemem_prefetch(const PageSlot *slot, Size offset, Size size)
{
	if (slot->buffer > 0)
	{
		const char *start = (const char *) BufferGetBlock(slot->buffer) + offset;

		__builtin_prefetch(GetBufferDescriptor(slot->buffer - 1));
		for (Size i = 0; i < size; i += 64)
			__builtin_prefetch(start + i);
		__builtin_prefetch(start + size - 1);
	}
}

/* Pin the page if its remembered buffer holds it. */
extern bool pagemem_pin_remembered(const PageSlot *slot, Relation relation);

/* Pin the page; remembers the buffer. */
extern Buffer pagemem_pin(PageSlot *slot, Relation index);

/* Room for n pages; new slots have no block. */
extern void pagemem_resize(PageMemory *memory, uint32 n, MemoryContext context);

#endif							/* VECIDX_PAGEMEM_H */
