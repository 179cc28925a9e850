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
 * within the reader's microsecond, and costs one bad estimate.
 *
 * A peek refuses pages whose usage count has run low, so that pages which are
 * only peeked at get pinned now and then and are not evicted as unused.
 */
#ifndef VECIDX_PAGEMEM_H
#define VECIDX_PAGEMEM_H

#include "postgres.h"

#include "compat.h"
#include "storage/bufmgr.h"

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

/* Pin the page; remembers the buffer. */
extern Buffer pagemem_pin(PageSlot *slot, Relation index);

/* Room for n pages; new slots have no block. */
extern void pagemem_resize(PageMemory *memory, uint32 n, MemoryContext context);

#endif							/* VECIDX_PAGEMEM_H */
