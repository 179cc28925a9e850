/*
 * fuzz_memory.c
 *		Memory that AddressSanitizer sees.
 *
 * This module itself is compiled without sanitizers, for speed; what it calls
 * is not.  The server takes large blocks from malloc() and cuts them up, and an access
 * past the end of a palloc'd piece goes unseen.  Here each piece lies in a
 * block of its own and has poisoned bytes behind it.
 */
#include "fuzz.h"

/* of AddressSanitizer's runtime, which is in the process: sanitizer/asan_interface.h */
extern void __asan_poison_memory_region(void const volatile *start, size_t size);

/*
 * An allocation of more than an eighth of the block size gets a block of its
 * own in an AllocSet.  The fence makes that true of any.  A block of exactly
 * 1024 bytes would not do: aset.c then hands out contexts that were deleted,
 * with the limit of their former block size.
 */
#define BLOCK (1024 + 64)
#define FENCE 256

unsigned char fuzz_fill;

static MemoryContextMethods fenced;
static const MemoryContextMethods *plain;

static void *
fence(char *p, Size size)
{
	if (p != NULL)
	{
		memset(p, fuzz_fill, size);
		__asan_poison_memory_region(p + size, FENCE);
	}
	return p;
}

#if PG_VERSION_NUM >= 170000
static void *
fenced_alloc(MemoryContext context, Size size, int flags)
{
	return fence(plain->alloc(context, size + FENCE, flags), size);
}
#else
static void *
fenced_alloc(MemoryContext context, Size size)
{
	return fence(plain->alloc(context, size + FENCE), size);
}
#endif

MemoryContext
fuzz_context_create(MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "fuzz", 0, BLOCK, BLOCK);

	/* the other methods find the block from the piece, and free() lifts the poison */
	plain = context->methods;
	fenced = *plain;
	fenced.alloc = fenced_alloc;
	context->methods = &fenced;
	return context;
}

/* ----------
 * Arguments
 * ----------
 */

#define MAX_ARGUMENT_PIECES 64

static void *pieces[MAX_ARGUMENT_PIECES];
static int	npieces;

void *
fuzz_alloc(Size size)
{
	void	   *p = malloc(size);

	if (p == NULL || npieces == MAX_ARGUMENT_PIECES)
		elog(ERROR, "fuzz: out of memory for arguments");
	pieces[npieces++] = p;
	return p;
}

void
fuzz_arguments_free(void)
{
	while (npieces > 0)
		free(pieces[--npieces]);
}
