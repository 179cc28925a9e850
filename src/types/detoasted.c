/*
 * detoasted.c
 *		A small table of values by their TOAST pointers.
 */
#include "vecidx.h"

#include "access/detoast.h"
#include "types/detoasted.h"

/* All values together, about; and how many at most. */
#define DETOASTED_BYTES ((Size) 256 * 1024)
#define DETOASTED_SLOTS 64

typedef struct DetoastedSlot
{
	struct varatt_external pointer;
	struct varlena *value;		/* NULL: none yet */
	Size		capacity;
	bool		valid;
} DetoastedSlot;

struct Detoasted
{
	MemoryContext context;
	bool		filling;
	DetoastedReader reader;
	void	   *reader_arg;
	uint32		mask;
	DetoastedSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

static Detoasted *in_use = NULL;

Detoasted *
detoasted_create(Size size, MemoryContext context)
{
	uint32		n = DETOASTED_SLOTS;
	Detoasted  *memory;

	while (n > 1 && n * size > DETOASTED_BYTES)
		n /= 2;
	memory = MemoryContextAllocZero(context, offsetof(Detoasted, slots) + n * sizeof(DetoastedSlot));
	memory->context = context;
	memory->mask = n - 1;
	return memory;
}

void
detoasted_forget(Detoasted *memory)
{
	memory->filling = false;
	for (uint32 i = 0; i <= memory->mask; i++)
		memory->slots[i].valid = false;
}

void
detoasted_use(Detoasted *memory)
{
	in_use = memory;
}

void
detoasted_fill(Detoasted *memory, bool filling)
{
	memory->filling = filling;
}

void
detoasted_read_by(Detoasted *memory, DetoastedReader reader, void *arg)
{
	memory->reader = reader;
	memory->reader_arg = arg;
}

void
detoasted_leave(Detoasted *memory)
{
	memory->reader = NULL;
	if (in_use == memory)
		in_use = NULL;
}

/* Have a slot hold a copy of v. */
static void
remember(Detoasted *memory, DetoastedSlot *slot, const struct varatt_external *pointer, const struct varlena *v)
{
	Size		size = VARSIZE(v);

	slot->valid = false;
	if (size > DETOASTED_BYTES)
		return;
	if (slot->capacity < size)
	{
		if (slot->value != NULL)
			pfree(slot->value);
		slot->value = NULL;
		slot->capacity = 0;
		slot->value = MemoryContextAlloc(memory->context, size);
		slot->capacity = size;
	}
	memcpy(slot->value, v, size);
	slot->pointer = *pointer;
	slot->valid = true;
}

struct varlena *
vecidx_detoast_extended(struct varlena *v)
{
	struct varatt_external pointer;
	DetoastedSlot *slot;
	struct varlena *value;

	if (in_use == NULL || !VARATT_IS_EXTERNAL_ONDISK(v))
		return pg_detoast_datum(v);
	VARATT_EXTERNAL_GET_POINTER(pointer, v);
	/* numbers are given out one after the other */
	slot = &in_use->slots[pointer.va_valueid & in_use->mask];
	if (slot->valid && memcmp(&slot->pointer, &pointer, sizeof(pointer)) == 0)
	{
		value = palloc(VARSIZE(slot->value));
		memcpy(value, slot->value, VARSIZE(slot->value));
		return value;
	}
	value = NULL;
	if (in_use->filling && in_use->reader != NULL)
		value = in_use->reader(in_use->reader_arg, &pointer);
	if (value == NULL)
		value = pg_detoast_datum(v);
	if (in_use != NULL && in_use->filling)
		remember(in_use, &in_use->slots[pointer.va_valueid & in_use->mask], &pointer, value);
	return value;
}
