/*
 * hnsw_mem.c
 *		An HNSW graph in memory: the node store of a build.
 *
 * Arrays by node number.  One process keeps them in memory of its own, which
 * grows; several share a segment of a size that was settled before.  There is
 * no other difference: a process alone is the only one of its kind.
 *
 * Nothing shared is written for a neighbour that is only looked at.  A node's
 * number is taken by one atomic addition; its code, filter values, level and first TID are
 * written before any link to it and never change.  Lists are read under a
 * version (a sequence lock) and written by who made that version odd, which
 * takes as long as copying a list.  Further TIDs are pushed on a chain that
 * is read when all is over.
 */
#include "vecidx.h"

#include "hnsw/hnsw_mem.h"
#include "storage/s_lock.h"

#define NO_ENTRY ((uint64) HNSW_INVALID_NODE)

/* ---- Reading ---- */

static void
mem_get_code(HnswStore *base, uint32 node, uint8 *code)
{
	const uint8 *record = HnswMemRecord((HnswMemStore *) base, node);

	memcpy(code, record, quant_record_size(base->quantizer, record));
}

static void
mem_score(HnswStore *base, const QuantQuery *query, const uint32 *nodes, int n,
		  float *dist, float *err)
{
	HnswMemStore *store = (HnswMemStore *) base;
	const uint8 *records[HNSW_MAX_LINKS_ANY + 1];

	for (int i = 0; i < n; i++)
		records[i] = HnswMemRecord(store, nodes[i]);
	quant_score(query, records, n, dist, err);
}

/* Copy a list as it is just now; the caller sees to it that it was whole. */
static inline void
copy_links(HnswMemStore *store, uint32 node, int level, HnswLinks *links)
{
	const HnswMemNode *n = HnswMemGetNode(store, node);

	if (level == 0)
	{
		links->n = *(volatile const uint8 *) &n->nlinks;
		links->nkept = n->nkept;
		memcpy(links->nodes, n->links, sizeof(uint32) * links->n);
	}
	else if (level <= n->level)
	{
		const uint32 *upper = HnswMemUpper(store, node, level);

		links->n = *(volatile const uint32 *) &upper[0];
		links->nkept = upper[1];
		memcpy(links->nodes, upper + 2, sizeof(uint32) * links->n);
	}
	else
		links->n = links->nkept = 0;
}

static int
mem_get_links(HnswStore *base, uint32 node, int level, HnswLinks *links)
{
	HnswMemStore *store = (HnswMemStore *) base;
	HnswMemNode *n = HnswMemGetNode(store, node);
	SpinDelayStatus delay;
	uint32		version;

	init_local_spin_delay(&delay);
	for (;;)
	{
		version = pg_atomic_read_u32(&n->version);
		if (likely((version & 1) == 0))
		{
			pg_read_barrier();
			copy_links(store, node, level, links);
			pg_read_barrier();
			if (likely(pg_atomic_read_u32(&n->version) == version))
				break;
		}
		perform_spin_delay(&delay);
	}
	finish_spin_delay(&delay);
	return HNSW_NODE_USED;
}

static int
mem_neighbours(HnswStore *base, uint32 node, uint32 *nodes)
{
	HnswLinks	links;

	(void) mem_get_links(base, node, 0, &links);
	memcpy(nodes, links.nodes, sizeof(uint32) * links.n);
	return links.n;
}

static void
mem_prefetch_codes(HnswStore *base, const uint32 *nodes, int n)
{
	HnswMemStore *store = (HnswMemStore *) base;
	/* of a wide record the beginning: it is read from there, and the processor follows */
	Size		size = store->wide ? 64 : base->quantizer->code_size;

	for (int i = 0; i < n; i++)
	{
		const uint8 *record = HnswMemRecord(store, nodes[i]);

		for (Size j = 0; j < size; j += 64)
			__builtin_prefetch(record + j);
		__builtin_prefetch(record + size - 1);
	}
}

static void
mem_prefetch_links(HnswStore *base, uint32 node)
{
	HnswMemStore *store = (HnswMemStore *) base;
	const char *n = (const char *) HnswMemGetNode(store, node);

	for (Size i = 0; i < store->node_size; i += 64)
		__builtin_prefetch(n + i);
}

static uint64
mem_node_limit(HnswStore *base)
{
	return pg_atomic_read_u32(&((HnswMemStore *) base)->graph->nnodes);
}

static void
mem_get_entry(HnswStore *base, HnswEntry *entry)
{
	*entry = hnsw_mem_entry((HnswMemStore *) base);
	/* what the entry point leads to was written before it */
	pg_read_barrier();
}

/* ---- Writing ---- */

/* Overwrite a list; the caller has the node's version, or nobody knows the node. */
static void
put_links(HnswMemStore *store, uint32 node, int level, const HnswLinks *links)
{
	uint32	   *to;

	if (level == 0)
	{
		HnswMemNode *n = HnswMemGetNode(store, node);

		n->nlinks = links->n;
		n->nkept = links->nkept;
		to = n->links;
	}
	else
	{
		to = HnswMemUpper(store, node, level);
		to[0] = links->n;
		to[1] = links->nkept;
		to += 2;
	}
	memcpy(to, links->nodes, sizeof(uint32) * links->n);
}

static bool
mem_replace_links(HnswStore *base, uint32 node, int level, const HnswLinks *old, const HnswLinks *links)
{
	HnswMemStore *store = (HnswMemStore *) base;
	HnswMemNode *n = HnswMemGetNode(store, node);
	HnswLinks	now;
	bool		same;
	SpinDelayStatus delay;
	uint32		version;

	init_local_spin_delay(&delay);
	for (;;)
	{
		version = pg_atomic_read_u32(&n->version);
		if ((version & 1) == 0 && pg_atomic_compare_exchange_u32(&n->version, &version, version + 1))
			break;
		perform_spin_delay(&delay);
	}
	finish_spin_delay(&delay);

	copy_links(store, node, level, &now);
	same = now.n == old->n && now.nkept == old->nkept &&
		memcmp(now.nodes, old->nodes, sizeof(uint32) * now.n) == 0;
	if (same)
		put_links(store, node, level, links);
	pg_write_barrier();
	pg_atomic_write_u32(&n->version, version + 2);
	return same;
}

static void
mem_raise_entry(HnswStore *base, uint32 node, int level)
{
	HnswMemGraph *graph = ((HnswMemStore *) base)->graph;
	uint64		new = (uint64) level << 32 | node;
	uint64		old = pg_atomic_read_u64(&graph->entry);

	while ((uint32) old == HNSW_INVALID_NODE || (int) (old >> 32) < level)
		if (pg_atomic_compare_exchange_u64(&graph->entry, &old, new))
			break;
}

static void
put_record(HnswMemStore *store, uint32 node, const uint8 *code)
{
	if (store->wide)
	{
		Size		size = quant_record_size(store->store.quantizer, code);
		uint64		at = pg_atomic_fetch_add_u64(&store->graph->nrecords, MAXALIGN(size));

		((uint64 *) store->codes)[node] = at;
		memcpy(store->wide_records + at, code, size);
	}
	else
		memcpy(store->codes + (Size) node * store->code_stride, code, store->store.quantizer->code_size);
}

static uint32
mem_create_node(HnswStore *base, const uint8 *code, const uint8 *values, ItemPointer tid, int level,
				const HnswLinks *links, bool expect_empty)
{
	HnswMemStore *store = (HnswMemStore *) base;
	HnswMemGraph *graph = store->graph;
	HnswMemNode *n;
	HnswMemRow *row;
	uint32		node;

	if (expect_empty)
	{
		SpinLockAcquire(&graph->first);
		if (hnsw_mem_entry(store).node != HNSW_INVALID_NODE)
		{
			SpinLockRelease(&graph->first);
			return HNSW_INVALID_NODE;
		}
	}
	/* hnsw_mem_reserve() has seen to it that there is room */
	node = pg_atomic_fetch_add_u32(&graph->nnodes, 1);
	n = HnswMemGetNode(store, node);
	row = &store->rows[node];
	pg_atomic_init_u32(&n->version, 0);
	n->level = level;
	n->unused = 0;
	pg_atomic_init_u32(&row->duplicates, HNSW_MEM_NONE);
	row->tid = *tid;
	row->upper = 0;
	if (level > 0)
		row->upper = pg_atomic_fetch_add_u32(&graph->nupper, level * HNSW_MEM_UPPER_STRIDE(base->m));
	put_record(store, node, code);
	if (values != NULL)
		memcpy(HnswMemValues(store, node), values, store->values_size);
	for (int l = 0; l <= level; l++)
		put_links(store, node, l, &links[l]);
	/* links to it come later, and whoever follows one finds all this */
	pg_write_barrier();
	if (expect_empty)
	{
		mem_raise_entry(base, node, level);
		SpinLockRelease(&graph->first);
	}
	return node;
}

static bool
mem_add_tid(HnswStore *base, uint32 node, const uint8 *code, const uint8 *values, ItemPointer tid)
{
	HnswMemStore *store = (HnswMemStore *) base;
	const uint8 *record = HnswMemRecord(store, node);
	Size		size = quant_record_size(base->quantizer, code);
	HnswMemRow *row = &store->rows[node];
	HnswMemTid *duplicate;
	uint32		i;

	if (values != NULL && memcmp(HnswMemValues(store, node), values, store->values_size) != 0)
		return false;
	if (quant_record_size(base->quantizer, record) != size || memcmp(record, code, size) != 0)
		return false;
	i = pg_atomic_fetch_add_u32(&store->graph->nduplicates, 1);
	duplicate = &store->duplicates[i];
	duplicate->tid = *tid;
	duplicate->next = pg_atomic_read_u32(&row->duplicates);
	while (!pg_atomic_compare_exchange_u32(&row->duplicates, &duplicate->next, i))
		 /* another came first, and next is that one now */ ;
	return true;
}

/* ---- Memory ---- */

/* Bytes from one code to the next: whole cache lines where that takes little more. */
static Size
code_stride(const Quantizer *quantizer, int m)
{
	Size		size = quantizer->code_size;
	Size		lines = TYPEALIGN(64, size);

	return (lines - size) * 16 <= size + HNSW_MEM_NODE_SIZE(m) ? lines : size;
}

/* Bytes of a node but for its upper links and wide record. */
static Size
node_bytes(const HnswMemStore *store)
{
	return store->code_stride + store->node_size + sizeof(HnswMemRow) + store->values_size;
}

/* Bytes that a wide record may take. */
static Size
largest_record(const HnswMemStore *store)
{
	return store->wide ? MAXALIGN(store->store.quantizer->code_size) : 0;
}

/* uint32s that the upper links of one node may take. */
static Size
largest_upper(int m)
{
	return (Size) HNSW_LEVEL_LIMIT * HNSW_MEM_UPPER_STRIDE(m);
}

static void *
grow(void *array, MemoryContext context, Size size)
{
	return array == NULL ?
		MemoryContextAllocHuge(context, size) : repalloc_huge(array, size);
}

static void
set_node_capacity(HnswMemStore *store, uint32 capacity)
{
	Size		size = (Size) capacity * store->code_stride + SIMD_SLACK;
	uint8	   *block = MemoryContextAllocHuge(store->context, size + PG_CACHE_LINE_SIZE);
	uint8	   *codes = (uint8 *) TYPEALIGN(PG_CACHE_LINE_SIZE, block);

	/* on cache lines, and so not by repalloc() */
	if (store->codes_block != NULL)
	{
		memcpy(codes, store->codes, (Size) store->graph->capacity.nodes * store->code_stride);
		pfree(store->codes_block);
	}
	store->codes_block = block;
	store->codes = codes;
	store->nodes = grow(store->nodes, store->context, (Size) capacity * store->node_size);
	store->rows = grow(store->rows, store->context, (Size) capacity * sizeof(HnswMemRow));
	if (store->values_size > 0)
		store->values = grow(store->values, store->context, (Size) capacity * store->values_size);
	store->graph->capacity.nodes = capacity;
}

static void
set_upper_capacity(HnswMemStore *store, uint32 capacity)
{
	store->upper = grow(store->upper, store->context, (Size) capacity * sizeof(uint32));
	store->graph->capacity.upper = capacity;
}

static void
set_duplicate_capacity(HnswMemStore *store, uint32 capacity)
{
	store->duplicates = grow(store->duplicates, store->context, (Size) capacity * sizeof(HnswMemTid));
	store->graph->capacity.duplicates = capacity;
}

static void
set_record_capacity(HnswMemStore *store, Size capacity)
{
	store->wide_records = grow(store->wide_records, store->context, capacity + SIMD_SLACK);
	store->graph->capacity.records = capacity;
}

/* Half as much again, as far as a uint32 goes. */
static uint32
grown(uint32 capacity, Size least)
{
	return (uint32) Min(Max((Size) capacity + capacity / 2, capacity + least), (Size) PG_UINT32_MAX - 1);
}

/* Nodes whose fixed part fits the budget. */
static uint32
max_nodes(const HnswMemStore *store)
{
	return Min(store->budget / node_bytes(store), (Size) HNSW_NODE_LIMIT - 1);
}

bool
hnsw_mem_reserve(HnswMemStore *store)
{
	HnswMemGraph *graph = store->graph;
	HnswMemCapacity *capacity = &graph->capacity;
	Size		nodes = pg_atomic_read_u32(&graph->nnodes);
	Size		duplicates = pg_atomic_read_u32(&graph->nduplicates);
	Size		upper = pg_atomic_read_u32(&graph->nupper);
	Size		more = graph->participants;
	Size		more_upper = more * largest_upper(store->store.m);
	Size		records = store->wide ? pg_atomic_read_u64(&graph->nrecords) : 0;
	Size		more_records = more * largest_record(store);
	Size		used;

	/*
	 * Each process adds one row at most between its own questions, so this
	 * leaves room for all of them.
	 */
	if (store->context == NULL)
		return nodes + more <= capacity->nodes && duplicates + more <= capacity->duplicates &&
			upper + more_upper <= capacity->upper && records + more_records <= capacity->records;

	used = nodes * node_bytes(store) + records +
		upper * sizeof(uint32) + duplicates * sizeof(HnswMemTid);
	if (used + node_bytes(store) + more_records + more_upper * sizeof(uint32) > store->budget ||
		nodes + more > max_nodes(store) || duplicates + more >= PG_UINT32_MAX - 1 ||
		upper + more_upper >= PG_UINT32_MAX - 1)
		return false;
	if (nodes + more > capacity->nodes)
		set_node_capacity(store, Min(grown(capacity->nodes, 64), max_nodes(store)));
	if (duplicates + more > capacity->duplicates)
		set_duplicate_capacity(store, grown(capacity->duplicates, 1024));
	if (upper + more_upper > capacity->upper)
		set_upper_capacity(store, grown(capacity->upper, more_upper));
	if (records + more_records > capacity->records)
		set_record_capacity(store, Max(capacity->records + capacity->records / 2, records + more_records));
	return true;
}

static void
init_store(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size)
{
	memset(store, 0, sizeof(*store));
	store->store.quantizer = quantizer;
	store->store.m = m;
	store->store.get_links = mem_get_links;
	store->store.neighbours = mem_neighbours;
	store->store.prefetch_links = mem_prefetch_links;
	store->store.prefetch_codes = mem_prefetch_codes;
	store->store.score = mem_score;
	store->store.get_code = mem_get_code;
	store->store.node_limit = mem_node_limit;
	store->store.get_entry = mem_get_entry;
	store->store.raise_entry = mem_raise_entry;
	store->store.create_node = mem_create_node;
	store->store.add_tid = mem_add_tid;
	store->store.replace_links = mem_replace_links;
	store->node_size = HNSW_MEM_NODE_SIZE(m);
	store->values_size = values_size;
	store->store.has_twins = values_size > 0;
	store->wide = hnsw_is_wide(quantizer->kind, quantizer->metric, quantizer->dim);
	store->code_stride = store->wide ? sizeof(uint64) : code_stride(quantizer, m);
}

static void
init_graph(HnswMemGraph *graph, int participants)
{
	memset(graph, 0, sizeof(*graph));
	graph->participants = participants;
	SpinLockInit(&graph->first);
	pg_atomic_init_u64(&graph->entry, NO_ENTRY);
	pg_atomic_init_u32(&graph->nnodes, 0);
	pg_atomic_init_u32(&graph->nduplicates, 0);
	pg_atomic_init_u32(&graph->nupper, 0);
	pg_atomic_init_u64(&graph->nrecords, 0);
}

void
hnsw_mem_init(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size,
			  double expected_nodes, Size budget, MemoryContext context)
{
	init_store(store, quantizer, m, values_size);
	store->context = context;
	store->budget = budget;
	store->graph = MemoryContextAlloc(context, sizeof(HnswMemGraph));
	init_graph(store->graph, 1);
	set_node_capacity(store, (uint32) Max(1024.0, Min(expected_nodes, (double) max_nodes(store))));
}

/* Where each array begins in shared memory; returns the end. */
static Size
lay_out(HnswMemStore *store, char *memory, const HnswMemCapacity *capacity)
{
	Size		at = TYPEALIGN(PG_CACHE_LINE_SIZE, sizeof(HnswMemGraph));

	store->graph = (HnswMemGraph *) memory;
	store->codes = (uint8 *) memory + at;
	at += TYPEALIGN(PG_CACHE_LINE_SIZE,
					(Size) capacity->nodes * store->code_stride + SIMD_SLACK);
	store->wide_records = (uint8 *) memory + at;
	if (store->wide)
		at += TYPEALIGN(PG_CACHE_LINE_SIZE, capacity->records + SIMD_SLACK);
	store->nodes = memory + at;
	at += TYPEALIGN(PG_CACHE_LINE_SIZE, (Size) capacity->nodes * store->node_size);
	store->rows = (HnswMemRow *) (memory + at);
	at += TYPEALIGN(PG_CACHE_LINE_SIZE, (Size) capacity->nodes * sizeof(HnswMemRow));
	store->values = (uint8 *) memory + at;
	at += TYPEALIGN(PG_CACHE_LINE_SIZE, (Size) capacity->nodes * store->values_size);
	store->upper = (uint32 *) (memory + at);
	at += TYPEALIGN(PG_CACHE_LINE_SIZE, (Size) capacity->upper * sizeof(uint32));
	store->duplicates = (HnswMemTid *) (memory + at);
	return at + (Size) capacity->duplicates * sizeof(HnswMemTid);
}

Size
hnsw_mem_shared_size(const Quantizer *quantizer, int m, Size values_size, double rows, double record_bytes,
					 int participants, Size budget, HnswMemCapacity *capacity)
{
	HnswMemStore layout;

	/* a row is a node or a duplicate; 1 / (m - 1) upper levels a node, and a quarter more */
	double		upper = 1.25 / (m - 1) * HNSW_MEM_UPPER_STRIDE(m);
	Size		fixed_upper = 1024 + (Size) participants * largest_upper(m);
	Size		fixed_records;
	double		wide_bytes;
	double		bytes;
	double		room;
	double		n;

	init_store(&layout, quantizer, m, values_size);
	fixed_records = participants * largest_record(&layout);
	/* a quarter more for those longer than the average said */
	wide_bytes = layout.wide ? Min(1.25 * record_bytes, quantizer->code_size) + MAXIMUM_ALIGNOF : 0;
	bytes = node_bytes(&layout) + wide_bytes + sizeof(HnswMemTid) + upper * sizeof(uint32);
	room = (double) budget - fixed_upper * sizeof(uint32) - fixed_records - 16 * PG_CACHE_LINE_SIZE - 2 * SIMD_SLACK;
	n = Min(Min(rows, room / bytes), (PG_UINT32_MAX - 1.0) / Max(upper, 1) - fixed_upper);
	if (n < 1)
		return 0;
	capacity->nodes = (uint32) n + participants;
	capacity->duplicates = (uint32) n + participants;
	capacity->upper = (uint32) (n * upper + fixed_upper);
	capacity->records = (Size) (n * wide_bytes) + fixed_records;
	return lay_out(&layout, NULL, capacity);
}

void
hnsw_mem_init_shared(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size,
					 void *memory, int participants, const HnswMemCapacity *capacity)
{
	HnswMemGraph *graph = memory;

	init_graph(graph, participants);
	graph->capacity = *capacity;
	hnsw_mem_attach(store, quantizer, m, values_size, memory);
}

void
hnsw_mem_attach(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size, void *memory)
{
	init_store(store, quantizer, m, values_size);
	(void) lay_out(store, memory, &((HnswMemGraph *) memory)->capacity);
}
