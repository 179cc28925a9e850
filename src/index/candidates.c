/*
 * candidates.c
 *		The parts of candidates.h that are not worth inlining.
 */
#include "postgres.h"

#include "index/candidates.h"

#include "port/pg_bitutils.h"

int
candidate_compare(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (candidate_before(x, y))
		return -1;
	return candidate_before(y, x) ? 1 : 0;
}

#define ST_SORT candidates_sort
#define ST_ELEMENT_TYPE Candidate
#define ST_COMPARE(a, b) candidate_compare((a), (b))
#define ST_SCOPE
#define ST_DEFINE
#include "lib/sort_template.h"

void
scored_grow(ScoredArray *a, size_t more)
{
	size_t		capacity = Max(a->capacity * 2, Max((size_t) 64, a->n + more));

	if (a->items == NULL)
		a->items = MemoryContextAllocHuge(a->context, capacity * sizeof(ScoredNode));
	else
		a->items = repalloc_huge(a->items, capacity * sizeof(ScoredNode));
	a->capacity = capacity;
}

/* Hoare's FIND. */
void
scored_select(ScoredNode *items, size_t n, size_t k)
{
	size_t		low = 0;
	size_t		high = n - 1;

	while (low < high)
	{
		ScoredNode	pivot = items[low + (high - low) / 2];
		size_t		i = low;
		size_t		j = high;

		for (;;)
		{
			ScoredNode	swap;

			while (items[i] < pivot)
				i++;
			while (items[j] > pivot)
				j--;
			if (i >= j)
				break;
			swap = items[i];
			items[i++] = items[j];
			items[j--] = swap;
		}
		/* items up to j are <= pivot, those from j + 1 on >= pivot */
		if (items[j] > pivot)
			j--;
		if (k <= j)
			high = j;
		else
			low = j + 1;
	}
}

/* A cleared set is no larger than this; a power of two. */
#define NODESET_KEEP_BYTES (512 * 1024)

static void
nodeset_alloc(NodeSet *set, uint32 nslots)
{
	set->slots = MemoryContextAllocExtended(set->context, (Size) nslots * sizeof(uint32),
											MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	set->mask = nslots - 1;
	set->n = 0;
}

void
nodeset_init(NodeSet *set, MemoryContext context, uint32 expected)
{
	expected = Max(expected, 64);
	expected = Min(expected, (uint32) 1 << 28);
	set->context = context;
	set->bits = NULL;
	set->nbits = 0;
	nodeset_alloc(set, pg_nextpower2_32(expected * 4 + 4));
}

/* Have room for nodes below limit; what is new is not set. */
static void
alloc_bits(NodeSet *set, uint32 limit)
{
	uint32		nbits = (uint32) TYPEALIGN(4096, (Size) limit + 1);
	uint64	   *bits = MemoryContextAllocZero(set->context, nbits / 8);

	if (set->bits != NULL)
	{
		memcpy(bits, set->bits, set->nbits / 8);
		pfree(set->bits);
	}
	set->bits = bits;
	set->nbits = nbits;
}

void
nodeset_grow_bits(NodeSet *set, uint32 node)
{
	alloc_bits(set, Max(node, set->nbits + set->nbits / 8));
}

void
nodeset_clear_below(NodeSet *set, uint64 limit)
{
	if (limit > NODESET_MAX_BITS)
	{
		if (set->bits != NULL)
			pfree(set->bits);
		set->bits = NULL;
		set->nbits = 0;
		nodeset_clear(set);
		return;
	}
	if (set->bits != NULL)
		memset(set->bits, 0, set->nbits / 8);
	if (limit > set->nbits)
		alloc_bits(set, (uint32) limit);
	set->n = 0;
}

void
nodeset_clear(NodeSet *set)
{
	Size		size = ((Size) set->mask + 1) * sizeof(uint32);

	Assert(set->bits == NULL);
	/* after one huge search the next ones should not pay for its size */
	if (size > NODESET_KEEP_BYTES)
	{
		pfree(set->slots);
		nodeset_alloc(set, NODESET_KEEP_BYTES / 4 / sizeof(uint32));
		return;
	}
	memset(set->slots, 0, size);
	set->n = 0;
}

Size
nodeset_memory(const NodeSet *set)
{
	return ((Size) set->mask + 1) * sizeof(uint32) + set->nbits / 8;
}

void
nodeset_grow(NodeSet *set)
{
	uint32	   *old = set->slots;
	uint32		oldslots = set->mask + 1;

	if (oldslots > (uint32) 1 << 30)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many nodes visited by one index search")));
	nodeset_alloc(set, oldslots * 2);
	for (uint32 i = 0; i < oldslots; i++)
		if (old[i] != 0)
			nodeset_add(set, old[i] - 1);
	pfree(old);
}
