/*
 * pagemem.c
 *		Pinning remembered buffers.
 */
#include "vecidx.h"

#include "index/pagemem.h"

bool
pagemem_pin_remembered(const PageSlot *slot, Relation relation)
{
	/*
	 * Pinning a remembered buffer does not count as a use of it (in
	 * ReadRecentBuffer's implementation), so where uses are few it is looked up:
	 * the page would be evicted, and refused by pagemem_peek() until then.
	 */
	return slot->buffer > 0 && pagemem_in_use(GetBufferDescriptor(slot->buffer - 1)) &&
		ReadRecentBuffer(vecidx_locator(relation), MAIN_FORKNUM, slot->block, slot->buffer);
}

Buffer
pagemem_pin(PageSlot *slot, Relation index)
{
	Buffer		buffer;

	if (pagemem_pin_remembered(slot, index))
		return slot->buffer;
	buffer = ReadBuffer(index, slot->block);
	/* local buffers are found quickly enough, and have no descriptor to peek at */
	slot->buffer = BufferIsLocal(buffer) ? InvalidBuffer : buffer;
	return buffer;
}

void
pagemem_resize(PageMemory *memory, uint32 n, MemoryContext context)
{
	if (n <= memory->n)
		return;
	if (memory->slots == NULL)
		memory->slots = MemoryContextAllocHuge(context, (Size) n * sizeof(PageSlot));
	else
		memory->slots = repalloc_huge(memory->slots, (Size) n * sizeof(PageSlot));
	for (uint32 i = memory->n; i < n; i++)
	{
		memory->slots[i].block = InvalidBlockNumber;
		memory->slots[i].buffer = InvalidBuffer;
		memory->slots[i].checked = InvalidBuffer;
	}
	memory->n = n;
}
