/*
 * hnsw_mem.h
 *		An HNSW graph in memory, while an index is being built: by one process
 *		in memory of its own, or by several in shared memory.
 */
#ifndef VECIDX_HNSW_MEM_H
#define VECIDX_HNSW_MEM_H

#include "hnsw/hnsw.h"
#include "port/atomics.h"
#include "storage/spin.h"

/*
 * What a search reads of a node beside its code.  The version is odd while a
 * list of the node (on any level) changes: who makes it odd may write, and
 * who reads looks at it before and after.
 */
typedef struct HnswMemNode
{
	pg_atomic_uint32 version;
	uint8		level;
	uint8		nlinks;			/* level 0 */
	uint8		nkept;
	uint8		unused;
	uint32		links[FLEXIBLE_ARRAY_MEMBER];	/* 2 m */
} HnswMemNode;

#define HNSW_MEM_NODE_SIZE(m) (offsetof(HnswMemNode, links) + sizeof(uint32) * HNSW_MAX_LINKS(m, 0))

/* And what it does not read. */
typedef struct HnswMemRow
{
	pg_atomic_uint32 duplicates;	/* newest further TID, or none */
	uint32		upper;			/* of its upper links in the pool, in uint32s */
	ItemPointerData tid;
} HnswMemRow;

typedef struct HnswMemTid
{
	ItemPointerData tid;
	uint32		next;
} HnswMemTid;

#define HNSW_MEM_NONE PG_UINT32_MAX

/* How many of each the arrays have room for. */
typedef struct HnswMemCapacity
{
	uint32		nodes;
	uint32		duplicates;
	uint32		upper;			/* uint32s */
	Size		records;		/* bytes of wide records */
} HnswMemCapacity;

/* What changes, and what does not, for all processes alike. */
typedef struct HnswMemGraph
{
	HnswMemCapacity capacity;
	int			participants;	/* that may be adding rows at the same time */
	slock_t		first;			/* held by who creates the first node */
	pg_atomic_uint64 entry;		/* level and node */
	pg_atomic_uint32 nnodes;
	pg_atomic_uint32 nduplicates;
	pg_atomic_uint32 nupper;
	pg_atomic_uint64 nrecords;	/* bytes */
} HnswMemGraph;

/* One process's view of the graph. */
typedef struct HnswMemStore
{
	HnswStore	store;
	HnswMemGraph *graph;
	bool		wide;			/* records differ in size, or are large */
	uint8	   *codes;			/* records, one every code_stride bytes, and SIMD_SLACK; or where they begin in wide_records */
	Size		code_stride;
	uint8	   *wide_records;	/* pool: records on 8-byte boundaries, and SIMD_SLACK */
	char	   *nodes;			/* HnswMemNode, one every node_size bytes */
	Size		node_size;
	HnswMemRow *rows;
	uint8	   *values;			/* of filter columns, packed: values_size bytes a node */
	Size		values_size;	/* 0: none */
	uint32	   *upper;			/* pool: per level nlinks, nkept, m links */
	HnswMemTid *duplicates;

	/* memory of this process alone grows; shared memory does not */
	MemoryContext context;		/* NULL: shared */
	uint8	   *codes_block;	/* holds codes */
	Size		budget;			/* bytes that the graph may take */
} HnswMemStore;

/* A graph in memory of this process, of at most budget bytes; values_size: of a node's packed filter values. */
extern void hnsw_mem_init(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size,
						  double expected_nodes, Size budget, MemoryContext context);

/*
 * Bytes of shared memory for so many rows, whose records have so many bytes
 * on average, and processes; at most budget (the rest of the rows will not
 * fit); 0 if the budget holds none.
 */
extern Size hnsw_mem_shared_size(const Quantizer *quantizer, int m, Size values_size, double rows, double record_bytes,
								 int participants, Size budget, HnswMemCapacity *capacity);

/* Make a graph there (create), or use the one that is there. */
extern void hnsw_mem_init_shared(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size,
								 void *memory, int participants, const HnswMemCapacity *capacity);
extern void hnsw_mem_attach(HnswMemStore *store, const Quantizer *quantizer, int m, Size values_size, void *memory);

/*
 * Whether another row fits, whatever the other processes add meanwhile.  To
 * be asked before each row.  Once false, it is false for all of them.
 */
extern bool hnsw_mem_reserve(HnswMemStore *store);

#define HnswMemGetNode(store_, node_) \
	((HnswMemNode *) ((store_)->nodes + (Size) (node_) * (store_)->node_size))

/* A node's code record. */
#define HnswMemRecord(store_, node_) \
	((store_)->wide ? (store_)->wide_records + ((const uint64 *) (store_)->codes)[node_] : \
	 (store_)->codes + (Size) (node_) * (store_)->code_stride)

/* A node's filter values, packed. */
#define HnswMemValues(store_, node_) \
	((store_)->values + (Size) (node_) * (store_)->values_size)

#define HnswMemCount(store_) pg_atomic_read_u32(&(store_)->graph->nnodes)

static inline HnswEntry
hnsw_mem_entry(const HnswMemStore *store)
{
	uint64		packed = pg_atomic_read_u64(&store->graph->entry);
	HnswEntry	entry = {(uint32) packed, (int) (packed >> 32), false};

	return entry;
}

/* Links of an upper level, inside the pool. */
#define HNSW_MEM_UPPER_STRIDE(m) (2 + (m))
#define HnswMemUpper(store_, node_, level_) \
	((store_)->upper + (store_)->rows[node_].upper + \
	 (Size) ((level_) - 1) * HNSW_MEM_UPPER_STRIDE((store_)->store.m))

#endif							/* VECIDX_HNSW_MEM_H */
