/*
 * hnsw_mem.c
 *		An HNSW graph in memory: the node store of a build.
 *
 * Plain arrays by node number, so that the graph can be written to pages in
 * one pass and (later) lie in shared memory.
 */
#include "vecidx.h"

#include "hnsw/hnsw_mem.h"

static void
mem_get_code(HnswStore *base, uint32 node, uint8 *code)
{
	HnswMemStore *store = (HnswMemStore *) base;
	Size		size = base->quantizer->code_size;

	memcpy(code, store->codes + node * size, size);
}

static void
mem_score(HnswStore *base, const QuantQuery *query, const uint32 *nodes, int n,
		  float *dist, float *err)
{
	HnswMemStore *store = (HnswMemStore *) base;
	Size		size = base->quantizer->code_size;
	const uint8 *records[HNSW_MAX_LINKS_ANY + 1];

	for (int i = 0; i < n; i++)
	{
		records[i] = store->codes + nodes[i] * size;
		for (Size j = 0; j < size; j += 64)
			__builtin_prefetch(records[i] + j);
	}
	quant_score(query, records, n, dist, err);
}

static int
mem_get_links(HnswStore *base, uint32 node, int level, HnswLinks *links)
{
	HnswMemStore *store = (HnswMemStore *) base;
	const HnswMemNode *n = &store->nodes[node];
	const uint32 *from;

	if (level == 0)
	{
		links->n = n->nlinks;
		links->nkept = n->nkept;
		from = store->links + (Size) node * HNSW_MAX_LINKS(base->m, 0);
	}
	else if (level <= n->level)
	{
		const uint32 *upper = HnswMemUpper(store, node, level);

		links->n = upper[0];
		links->nkept = upper[1];
		from = upper + 2;
	}
	else
	{
		links->n = links->nkept = 0;
		return HNSW_NODE_USED;
	}
	memcpy(links->nodes, from, sizeof(uint32) * links->n);
	return HNSW_NODE_USED;
}

static void
mem_prefetch_links(HnswStore *base, uint32 node)
{
	HnswMemStore *store = (HnswMemStore *) base;
	Size		size = sizeof(uint32) * HNSW_MAX_LINKS(base->m, 0);
	const char *links = (const char *) store->links + node * size;

	__builtin_prefetch(&store->nodes[node]);
	for (Size i = 0; i < size; i += 64)
		__builtin_prefetch(links + i);
}

static bool
mem_replace_links(HnswStore *base, uint32 node, int level, const HnswLinks *old, const HnswLinks *links)
{
	HnswMemStore *store = (HnswMemStore *) base;
	uint32	   *to;

	(void) old;					/* nobody else changes it */
	if (level == 0)
	{
		store->nodes[node].nlinks = links->n;
		store->nodes[node].nkept = links->nkept;
		to = store->links + (Size) node * HNSW_MAX_LINKS(base->m, 0);
	}
	else
	{
		to = HnswMemUpper(store, node, level);
		to[0] = links->n;
		to[1] = links->nkept;
		to += 2;
	}
	memcpy(to, links->nodes, sizeof(uint32) * links->n);
	return true;
}

static void
mem_get_entry(HnswStore *base, HnswEntry *entry)
{
	*entry = ((HnswMemStore *) base)->entry;
}

static void
mem_raise_entry(HnswStore *base, uint32 node, int level)
{
	HnswMemStore *store = (HnswMemStore *) base;

	store->entry.node = node;
	store->entry.level = level;
}

static Size
node_bytes(const HnswMemStore *store)
{
	return store->store.quantizer->code_size + sizeof(HnswMemNode) +
		sizeof(uint32) * HNSW_MAX_LINKS(store->store.m, 0);
}

static void *
grow(void *array, MemoryContext context, Size size)
{
	return array == NULL ?
		MemoryContextAllocHuge(context, size) : repalloc_huge(array, size);
}

static void
set_capacity(HnswMemStore *store, uint32 capacity)
{
	store->codes = grow(store->codes, store->context,
						(Size) capacity * store->store.quantizer->code_size + SIMD_SLACK);
	store->nodes = grow(store->nodes, store->context, (Size) capacity * sizeof(HnswMemNode));
	store->links = grow(store->links, store->context,
						(Size) capacity * sizeof(uint32) * HNSW_MAX_LINKS(store->store.m, 0));
	store->capacity = capacity;
}

/* Nodes whose fixed part fits the budget. */
static uint32
max_capacity(const HnswMemStore *store)
{
	return Min(store->budget / node_bytes(store), (Size) HNSW_INVALID_NODE - 1);
}

bool
hnsw_mem_has_room(const HnswMemStore *store)
{
	Size		used = (Size) store->nnodes * node_bytes(store) +
		store->nupper * sizeof(uint32) + (Size) store->nduplicates * sizeof(HnswMemTid);
	Size		largest = node_bytes(store) +
		sizeof(uint32) * HNSW_LEVEL_LIMIT * HNSW_MEM_UPPER_STRIDE(store->store.m);

	return used + largest <= store->budget &&
		store->nnodes < max_capacity(store) &&
		store->nduplicates < PG_UINT32_MAX - 1 &&
		store->nupper < PG_UINT32_MAX - largest;
}

static uint32
mem_create_node(HnswStore *base, const uint8 *code, ItemPointer tid, int level,
				const HnswLinks *links, bool expect_empty)
{
	HnswMemStore *store = (HnswMemStore *) base;
	uint32		node = store->nnodes;
	HnswMemNode *n;

	if (node == store->capacity)
		set_capacity(store, (uint32) Min((Size) store->capacity + store->capacity / 2 + 64,
										 (Size) max_capacity(store) + 1));
	n = &store->nodes[node];
	memset(n, 0, sizeof(*n));
	n->level = level;
	n->tid = *tid;
	n->duplicates = HNSW_MEM_NONE;
	memcpy(store->codes + node * base->quantizer->code_size, code, base->quantizer->code_size);
	if (level > 0)
	{
		Size		need = (Size) level * HNSW_MEM_UPPER_STRIDE(base->m);

		if (store->nupper + need > store->upper_capacity)
		{
			store->upper_capacity = Max(store->upper_capacity * 3 / 2, store->nupper + need + 1024);
			store->upper = grow(store->upper, store->context, store->upper_capacity * sizeof(uint32));
		}
		n->upper = store->nupper;
		store->nupper += need;
	}
	store->nnodes++;
	for (int l = 0; l <= level; l++)
		mem_replace_links(base, node, l, NULL, &links[l]);
	if (expect_empty)
		mem_raise_entry(base, node, level);
	return node;
}

static bool
mem_add_tid(HnswStore *base, uint32 node, const uint8 *code, ItemPointer tid)
{
	HnswMemStore *store = (HnswMemStore *) base;
	Size		size = base->quantizer->code_size;

	if (memcmp(store->codes + node * size, code, size) != 0)
		return false;
	if (store->nduplicates == store->duplicates_capacity)
	{
		store->duplicates_capacity = Max((Size) 1024, (Size) store->duplicates_capacity * 3 / 2);
		store->duplicates = grow(store->duplicates, store->context,
								 (Size) store->duplicates_capacity * sizeof(HnswMemTid));
	}
	store->duplicates[store->nduplicates].tid = *tid;
	store->duplicates[store->nduplicates].next = store->nodes[node].duplicates;
	store->nodes[node].duplicates = store->nduplicates++;
	return true;
}

void
hnsw_mem_init(HnswMemStore *store, const Quantizer *quantizer, int m,
			  double expected_nodes, Size budget, MemoryContext context)
{
	memset(store, 0, sizeof(*store));
	store->store.quantizer = quantizer;
	store->store.m = m;
	store->store.get_links = mem_get_links;
	store->store.prefetch_links = mem_prefetch_links;
	store->store.score = mem_score;
	store->store.get_code = mem_get_code;
	store->store.get_entry = mem_get_entry;
	store->store.raise_entry = mem_raise_entry;
	store->store.create_node = mem_create_node;
	store->store.add_tid = mem_add_tid;
	store->store.replace_links = mem_replace_links;
	store->context = context;
	store->entry.node = HNSW_INVALID_NODE;
	store->budget = budget;
	set_capacity(store, (uint32) Max(1024.0, Min(expected_nodes, (double) max_capacity(store) + 1)));
}
