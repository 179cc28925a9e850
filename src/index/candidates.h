/*
 * candidates.h
 *		What a graph or list search keeps: candidates in heaps, and the set of
 *		nodes already seen.
 *
 * Arrays grow by doubling and keep their memory from one search to the next,
 * so a search in its steady state allocates nothing.
 */
#ifndef VECIDX_CANDIDATES_H
#define VECIDX_CANDIDATES_H

#include "postgres.h"

#include "utils/memutils.h"

typedef struct Candidate
{
	float		dist;			/* estimated rank distance */
	float		err;			/* one standard error of it, 0 if exact */
	uint32		node;
	uint32		flags;			/* the owner's */
} Candidate;

typedef struct CandidateArray
{
	Candidate  *items;
	size_t		n;
	size_t		capacity;
	MemoryContext context;
} CandidateArray;

static inline void
candidates_init(CandidateArray *a, MemoryContext context)
{
	a->items = NULL;
	a->n = a->capacity = 0;
	a->context = context;
}

/* Make room for `more` further items. */
static inline void
candidates_reserve(CandidateArray *a, size_t more)
{
	if (unlikely(a->n + more > a->capacity))
	{
		size_t		capacity = Max(a->capacity * 2, Max((size_t) 64, a->n + more));

		if (a->items == NULL)
			a->items = MemoryContextAllocHuge(a->context, capacity * sizeof(Candidate));
		else
			a->items = repalloc_huge(a->items, capacity * sizeof(Candidate));
		a->capacity = capacity;
	}
}

static inline void
candidates_append(CandidateArray *a, Candidate c)
{
	candidates_reserve(a, 1);
	a->items[a->n++] = c;
}

/*
 * Total order: by distance, then by node, so that equal distances come out
 * the same way on every run.
 */
static inline bool
candidate_before(const Candidate *a, const Candidate *b)
{
	if (a->dist != b->dist)
		return a->dist < b->dist;
	return a->node < b->node;
}

/* qsort comparator, nearest first; and the sort itself */
extern int	candidate_compare(const void *a, const void *b);
extern void candidates_sort(Candidate *items, size_t n);

/*
 * Binary heaps over a CandidateArray.  Instances: nearest_* keeps the nearest
 * candidate at items[0], farthest_* the farthest.
 */
#define DEFINE_CANDIDATE_HEAP(prefix, above) \
static inline void \
prefix##_push(CandidateArray *a, Candidate c) \
{ \
	size_t		i; \
	candidates_reserve(a, 1); \
	i = a->n++; \
	while (i > 0) \
	{ \
		size_t		parent = (i - 1) / 2; \
		if (!above(&c, &a->items[parent])) \
			break; \
		a->items[i] = a->items[parent]; \
		i = parent; \
	} \
	a->items[i] = c; \
} \
static inline void \
prefix##_sift_down(CandidateArray *a, size_t i, Candidate c) \
{ \
	size_t		n = a->n; \
	for (;;) \
	{ \
		size_t		child = 2 * i + 1; \
		if (child >= n) \
			break; \
		if (child + 1 < n && above(&a->items[child + 1], &a->items[child])) \
			child++; \
		if (!above(&a->items[child], &c)) \
			break; \
		a->items[i] = a->items[child]; \
		i = child; \
	} \
	a->items[i] = c; \
} \
/* remove and return the top; the heap must not be empty */ \
static inline Candidate \
prefix##_pop(CandidateArray *a) \
{ \
	Candidate	top = a->items[0]; \
	a->n--; \
	if (a->n > 0) \
		prefix##_sift_down(a, 0, a->items[a->n]); \
	return top; \
} \
/* put c in the place of the top */ \
static inline void \
prefix##_replace(CandidateArray *a, Candidate c) \
{ \
	prefix##_sift_down(a, 0, c); \
} \
/* make a heap of an array in any order */ \
static inline void \
prefix##_heapify(CandidateArray *a) \
{ \
	for (size_t i = a->n / 2; i-- > 0;) \
		prefix##_sift_down(a, i, a->items[i]); \
} \
extern int	candidate_compare(const void *a, const void *b)

static inline bool
candidate_after(const Candidate *a, const Candidate *b)
{
	return candidate_before(b, a);
}

DEFINE_CANDIDATE_HEAP(nearest, candidate_before);
DEFINE_CANDIDATE_HEAP(farthest, candidate_after);

/*
 * A set of node numbers: open addressing, linear probing, at most a quarter
 * full (so that the first look mostly tells).  Its size follows what a search
 * visits, not what the index holds.
 */
typedef struct NodeSet
{
	uint32	   *slots;			/* node + 1; 0 is empty */
	uint32		mask;
	uint32		n;
	MemoryContext context;
} NodeSet;

extern void nodeset_init(NodeSet *set, MemoryContext context, uint32 expected);
extern void nodeset_clear(NodeSet *set);
extern void nodeset_grow(NodeSet *set);
extern Size nodeset_memory(const NodeSet *set);

static inline uint32
nodeset_hash(uint32 key)
{
	return (uint32) (((uint64) key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32);
}

/* Add a node (not UINT32_MAX); false if it was there already. */
static inline bool
nodeset_add(NodeSet *set, uint32 node)
{
	uint32		key = node + 1;
	uint32		i = nodeset_hash(key) & set->mask;

	while (set->slots[i] != 0)
	{
		if (set->slots[i] == key)
			return false;
		i = (i + 1) & set->mask;
	}
	set->slots[i] = key;
	if (unlikely(++set->n > set->mask / 4))
		nodeset_grow(set);
	return true;
}

/*
 * Add nodes (none UINT32_MAX); leave those that were not there yet, in their
 * order, and return how many.  Whether a node was there is as good as random,
 * so no branch hangs on it.
 */
static inline int
nodeset_filter(NodeSet *set, uint32 *nodes, int n)
{
	int			nnew = 0;

	if (unlikely(set->n + n > set->mask / 4))
		nodeset_grow(set);
	for (int i = 0; i < n; i++)
	{
		uint32		node = nodes[i];
		uint32	   *slot = &set->slots[nodeset_hash(node + 1) & set->mask];
		uint32		found = *slot;

		if (likely((found == 0) | (found == node + 1)))
		{
			*slot = node + 1;
			nodes[nnew] = node;
			nnew += found == 0;
			set->n += found == 0;
		}
		else if (nodeset_add(set, node))
			nodes[nnew++] = node;
	}
	return nnew;
}

static inline bool
nodeset_has(const NodeSet *set, uint32 node)
{
	uint32		key = node + 1;
	uint32		i = nodeset_hash(key) & set->mask;

	while (set->slots[i] != 0)
	{
		if (set->slots[i] == key)
			return true;
		i = (i + 1) & set->mask;
	}
	return false;
}

#endif							/* VECIDX_CANDIDATES_H */
