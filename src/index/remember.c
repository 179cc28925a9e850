/*
 * remember.c
 *		What a backend remembers of the indexes it has opened (remember.h).
 */
#include "vecidx.h"

#include "compat.h"
#include "index/remember.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

/* Memories kept per backend; those in use are never dropped. */
#define MAX_REMEMBERED 256

typedef struct RememberedSlot
{
	VecidxLocator locator;		/* hash key */
	VecidxRemembered *memory;
} RememberedSlot;

static HTAB *slots = NULL;

VecidxRemembered *
vecidx_remembered(Relation index, uint64 uid)
{
	VecidxLocator locator = vecidx_locator(index);
	RememberedSlot *slot;

	if (slots == NULL)
		return NULL;
	slot = hash_search(slots, &locator, HASH_FIND, NULL);
	return slot != NULL && slot->memory != NULL && slot->memory->uid == uid ? slot->memory : NULL;
}

/* Make room: drop memories that nothing uses. */
static void
forget_unused(void)
{
	HASH_SEQ_STATUS status;
	RememberedSlot *slot;

	if (hash_get_num_entries(slots) < MAX_REMEMBERED)
		return;
	hash_seq_init(&status, slots);
	while ((slot = hash_seq_search(&status)) != NULL)
	{
		if (slot->memory == NULL || slot->memory->nusers == 0)
		{
			if (slot->memory != NULL)
				MemoryContextDelete(slot->memory->context);
			hash_search(slots, &slot->locator, HASH_REMOVE, NULL);
		}
	}
}

void
vecidx_remember(Relation index, VecidxRemembered *remembered)
{
	VecidxLocator locator = vecidx_locator(index);
	RememberedSlot *slot;
	bool		found;

	if (slots == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(VecidxLocator);
		ctl.entrysize = sizeof(RememberedSlot);
		slots = hash_create("vecidx indexes", 32, &ctl, HASH_ELEM | HASH_BLOBS);
	}
	forget_unused();
	slot = hash_search(slots, &locator, HASH_ENTER, &found);
	/* an older incarnation may be in use still */
	if (found && slot->memory != NULL)
	{
		if (slot->memory->nusers == 0)
			MemoryContextDelete(slot->memory->context);
		else
			slot->memory->forgotten = true;
	}
	slot->memory = remembered;
	/* nothing can fail any more: keep it for the backend's life */
	MemoryContextSetParent(remembered->context, TopMemoryContext);
}

static void
release(void *arg)
{
	VecidxRemembered *remembered = arg;

	remembered->nusers--;
	if (remembered->forgotten && remembered->nusers == 0)
		MemoryContextDelete(remembered->context);
}

MemoryContextCallback *
vecidx_remembered_user(MemoryContext user)
{
	return MemoryContextAlloc(user, sizeof(MemoryContextCallback));
}

void
vecidx_remembered_use(VecidxRemembered *remembered, MemoryContext user, MemoryContextCallback *callback)
{
	remembered->nusers++;
	callback->func = release;
	callback->arg = remembered;
	MemoryContextRegisterResetCallback(user, callback);
}
