/*
 * hnsw_mem.h
 *		An HNSW graph in memory, while an index is being built.
 */
#ifndef VECIDX_HNSW_MEM_H
#define VECIDX_HNSW_MEM_H

#include "hnsw/hnsw.h"

typedef struct HnswMemNode
{
	uint8		level;
	uint8		nlinks;			/* level 0 */
	uint8		nkept;
	uint8		unused;
	ItemPointerData tid;
	uint32		duplicates;		/* newest further TID, or none */
	uint32		upper;			/* of its upper links in the pool, in uint32s */
} HnswMemNode;

typedef struct HnswMemTid
{
	ItemPointerData tid;
	uint32		next;
} HnswMemTid;

#define HNSW_MEM_NONE PG_UINT32_MAX

typedef struct HnswMemStore
{
	HnswStore	store;
	MemoryContext context;
	HnswEntry	entry;
	uint32		nnodes;
	uint32		capacity;
	uint8	   *codes;			/* capacity records and SIMD_SLACK */
	HnswMemNode *nodes;
	uint32	   *links;			/* 2 m a node */
	uint32	   *upper;			/* pool: per level nlinks, nkept, m links */
	Size		nupper;
	Size		upper_capacity;
	HnswMemTid *duplicates;
	uint32		nduplicates;
	uint32		duplicates_capacity;
	Size		budget;			/* bytes that the graph may take */
} HnswMemStore;

extern void hnsw_mem_init(HnswMemStore *store, const Quantizer *quantizer, int m,
						  double expected_nodes, Size budget, MemoryContext context);

/* Whether another row fits the budget. */
extern bool hnsw_mem_has_room(const HnswMemStore *store);

/* Links of an upper level, inside the pool. */
#define HNSW_MEM_UPPER_STRIDE(m) (2 + (m))
#define HnswMemUpper(store_, node_, level_) \
	((store_)->upper + (store_)->nodes[node_].upper + \
	 (Size) ((level_) - 1) * HNSW_MEM_UPPER_STRIDE((store_)->store.m))

#endif							/* VECIDX_HNSW_MEM_H */
