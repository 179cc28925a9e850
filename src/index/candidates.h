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
 * A node and its estimate in one integer, whose order is candidate_before's:
 * what a search compares and moves about all the time.
 */
typedef int64 ScoredNode;

/* The bits of a float as an integer of the same order, and back: its own inverse. */
static inline int32
ordered_bits(int32 bits)
{
	return bits ^ ((bits >> 31) & PG_INT32_MAX);
}

static inline ScoredNode
scored_node(float dist, uint32 node)
{
	int32		bits;

	dist += 0.0f;				/* there is one zero */
	memcpy(&bits, &dist, sizeof(bits));
	return (ScoredNode) ((uint64) (uint32) ordered_bits(bits) << 32 | node);
}

static inline float
scored_dist(ScoredNode s)
{
	int32		bits = ordered_bits((int32) (s >> 32));
	float		dist;

	memcpy(&dist, &bits, sizeof(dist));
	return dist;
}

static inline uint32
scored_number(ScoredNode s)
{
	return (uint32) s;
}

static inline Candidate
scored_candidate(ScoredNode s)
{
	Candidate	c = {scored_dist(s), 0, scored_number(s), 0};

	return c;
}

typedef struct ScoredArray
{
	ScoredNode *items;
	size_t		n;
	size_t		capacity;
	MemoryContext context;
} ScoredArray;

static inline void
scored_init(ScoredArray *a, MemoryContext context)
{
	a->items = NULL;
	a->n = a->capacity = 0;
	a->context = context;
}

extern void scored_grow(ScoredArray *a, size_t more);

/* Make room for `more` further items. */
static inline void
scored_reserve(ScoredArray *a, size_t more)
{
	if (unlikely(a->n + more > a->capacity))
		scored_grow(a, more);
}

extern void scored_grow(ScoredArray *a, size_t more);

/* Bring the k + 1 nearest of n nodes to the front, the farthest of them to items[k] (k < n). */
extern void scored_select(ScoredNode *items, size_t n, size_t k);

/* Make room over a ScoredArray.  Which child is taken is as good as random, so
 * no branch hangs on it: a hole goes down to a leaf along the better children,
 * and the item that fills it up again, mostly not far (Wegener 1993).
 */
#define DEFINE_SCORED_HEAP(prefix, ABOVE) \
static inline void \
prefix##_up(ScoredNode *items, size_t i, ScoredNode s) \
{ \
	while (i > 0 && s ABOVE items[(i - 1) / 2]) \
	{ \
		items[i] = items[(i - 1) / 2]; \
		i = (i - 1) / 2; \
	} \
	items[i] = s; \
} \
/* fill the hole at i of a heap of n with s */ \
static inline void \
prefix##_fill(ScoredNode *items, size_t n, size_t i, ScoredNode s) \
{ \
	size_t		root = i; \
	size_t		child; \
	while ((child = 2 * i + 2) < n) \
	{ \
		child -= items[child - 1] ABOVE items[child]; \
		items[i] = items[child]; \
		i = child; \
	} \
	if (child == n) \
	{ \
		items[i] = items[child - 1]; \
		i = child - 1; \
	} \
	while (i > root && s ABOVE items[(i - 1) / 2]) \
	{ \
		items[i] = items[(i - 1) / 2]; \
		i = (i - 1) / 2; \
	} \
	items[i] = s; \
} \
/* room must have been reserved */ \
static inline void \
prefix##_push(ScoredArray *a, ScoredNode s) \
{ \
	Assert(a->n < a->capacity); \
	prefix##_up(a->items, a->n++, s); \
} \
/* remove and return the top; the heap must not be empty */ \
static inline ScoredNode \
prefix##_pop(ScoredArray *a) \
{ \
	ScoredNode	top = a->items[0]; \
	if (--a->n > 0) \
		prefix##_fill(a->items, a->n, 0, a->items[a->n]); \
	return top; \
} \
/* put s in the place of the top */ \
static inline void \
prefix##_replace(ScoredArray *a, ScoredNode s) \
{ \
	prefix##_fill(a->items, a->n, 0, s); \
} \
/* make a heap of an array in any order */ \
static inline void \
prefix##_heapify(ScoredArray *a) \
{ \
	for (size_t i = a->n / 2; i-- > 0;) \
		prefix##_fill(a->items, a->n, i, a->items[i]); \
} \
extern void scored_grow(ScoredArray *a, size_t more)

DEFINE_SCORED_HEAP(scored_nearest, <);
DEFINE_SCORED_HEAP(scored_farthest, >);

/*
 * A set of node numbers.  Where all nodes are known to be few, a bit for each;
 * otherwise open addressing, linear probing, at most a quarter full (so that
 * the first look mostly tells), whose size follows what a search visits, not
 * what the index holds.
 */
typedef struct NodeSet
{
	uint64	   *bits;			/* NULL unless the set has one for each node */
	uint32		nbits;			/* as many as there is room for */
	uint32	   *slots;			/* node + 1; 0 is empty */
	uint32		mask;
	uint32		n;
	MemoryContext context;
} NodeSet;

/* A set of bits takes no more than this. */
#define NODESET_MAX_BITS (512 * 1024)

extern void nodeset_init(NodeSet *set, MemoryContext context, uint32 expected);
extern void nodeset_clear(NodeSet *set);

/* Empty the set, for nodes that are hardly any at limit or above. */
extern void nodeset_clear_below(NodeSet *set, uint64 limit);
extern void nodeset_grow(NodeSet *set);
extern void nodeset_grow_bits(NodeSet *set, uint32 node);
extern Size nodeset_memory(const NodeSet *set);

static inline uint32
nodeset_hash(uint32 key)
{
	return (uint32) (((uint64) key * UINT64CONST(0x9E3779B97F4A7C15)) >> 32);
}

/* Set the node's bit; 1 if it was not set yet. */
static inline uint32
nodeset_add_bit(NodeSet *set, uint32 node)
{
	uint64	   *word;
	uint32		added;

	if (unlikely(node >= set->nbits))
		nodeset_grow_bits(set, node);
	word = &set->bits[node / 64];
	added = (uint32) (~*word >> (node % 64)) & 1;
	*word |= UINT64CONST(1) << (node % 64);
	set->n += added;
	return added;
}

/* Add a node (not UINT32_MAX) to a set of slots; false if it was there already. */
static inline bool
nodeset_add_slot(NodeSet *set, uint32 node)
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

/* Add a node (not UINT32_MAX); false if it was there already. */
static inline bool
nodeset_add(NodeSet *set, uint32 node)
{
	return set->bits != NULL ? nodeset_add_bit(set, node) != 0 : nodeset_add_slot(set, node);
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

	if (set->bits != NULL)
	{
		for (int i = 0; i < n; i++)
		{
			uint32		node = nodes[i];

			nodes[nnew] = node;
			nnew += nodeset_add_bit(set, node);
		}
		return nnew;
	}
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
		else if (nodeset_add_slot(set, node))
			nodes[nnew++] = node;
	}
	return nnew;
}

static inline bool
nodeset_has(const NodeSet *set, uint32 node)
{
	uint32		key = node + 1;
	uint32		i = nodeset_hash(key) & set->mask;

	if (set->bits != NULL)
		return node < set->nbits && (set->bits[node / 64] >> (node % 64) & 1) != 0;
	while (set->slots[i] != 0)
	{
		if (set->slots[i] == key)
			return true;
		i = (i + 1) & set->mask;
	}
	return false;
}

#endif							/* VECIDX_CANDIDATES_H */
