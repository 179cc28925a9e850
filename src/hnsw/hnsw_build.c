/*
 * hnsw_build.c
 *		CREATE INDEX and REINDEX.
 *
 * A sample of the table gives the quantizer's centre.  Rows then go into a
 * graph in memory, which is written out in one pass; what does not fit
 * maintenance_work_mem any more goes into the pages one by one, as an insert
 * would, but unlogged.  At the end the finished pages are logged.
 *
 * Several processes may add rows, each of those that it reads.  They share
 * the graph in memory, then the pages, and meet once, to go from the one to
 * the other (the phases below).  One process alone does the same.
 */
#include "vecidx.h"

#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/index.h"
#include "commands/progress.h"
#include "hnsw/hnsw.h"
#include "hnsw/hnsw_mem.h"
#include "index/parallel.h"
#include "index/sample.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/barrier.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "utils/wait_event.h"

/* Each worker should have as many rows; one takes as long to start as some hundred rows to add. */
#define ROWS_PER_WORKER 2000

/* Rows between reports of progress. */
#define REPORT_ROWS 128

/* No use in sharing a graph smaller than this. */
#define MIN_SHARED_GRAPH ((Size) 256 * 1024)

/* Phases of BuildShared.phase, which a process is attached to while it adds rows. */
#define PHASE_MEMORY 0			/* rows go into the graph in memory */
#define PHASE_WRITE 1			/* it is full: one process writes it, the others wait */
#define PHASE_PAGES 2			/* rows go into the pages */

/* What the processes of a build share. */
typedef struct BuildShared
{
	dsm_handle	graph;			/* segment of the graph, where there are several processes */
	Barrier		phase;
	pg_atomic_uint64 nindexed;	/* rows that are in the index */
} BuildShared;

/* And what each has for itself. */
typedef struct BuildState
{
	Relation	index;
	BuildShared *shared;
	HnswIndex  *hnsw;
	MemoryContext context;		/* of the whole build */
	MemoryContext graph;		/* of the graph in memory */
	MemoryContext row;
	dsm_segment *segment;		/* of the graph, or NULL */
	void	   *buffer;
	uint8	   *values;			/* of a row's filter columns, packed, or NULL */
	bool		leader;

	bool		in_memory;
	HnswMemStore mem;
	HnswDiskStore disk;
	HnswInserter inserter;

	uint32		unreported;		/* rows that shared->nindexed lacks */
} BuildState;

/* ---- Writing the graph ---- */

/* A new page at the end, locked; its change is not logged. */
static Buffer
new_page(Relation index, VecidxPageKind kind, uint32 ordinal, BlockNumber expected)
{
	Buffer		buffer = ReadBufferExtended(index, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);

	if (BlockNumberIsValid(expected) && BufferGetBlockNumber(buffer) != expected)
		elog(ERROR, "unexpected block %u while writing index \"%s\"",
			 BufferGetBlockNumber(buffer), RelationGetRelationName(index));
	vecidx_page_init(BufferGetPage(buffer), kind, HNSW_VERSION, ordinal);
	return buffer;
}

static void
finish_page(Buffer buffer)
{
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
}

/* Extra pages filled one after the other. */
typedef struct ExtraWriter
{
	Relation	index;
	Buffer		buffer;
} ExtraWriter;

/* An item onto the page at hand, or the next; returns where. */
static ItemPointerData
write_extra(void *arg, void *item, Size size)
{
	ExtraWriter *writer = arg;
	OffsetNumber offset = InvalidOffsetNumber;
	ItemPointerData where;

	if (BufferIsValid(writer->buffer))
	{
		offset = PageAddItem(BufferGetPage(writer->buffer), (Item) item, size, InvalidOffsetNumber, false, false);
		if (offset == InvalidOffsetNumber)
			finish_page(writer->buffer);
	}
	if (offset == InvalidOffsetNumber)
	{
		CHECK_FOR_INTERRUPTS();
		writer->buffer = new_page(writer->index, VECIDX_PAGE_EXTRA, 0, InvalidBlockNumber);
		offset = PageAddItem(BufferGetPage(writer->buffer), (Item) item, size, InvalidOffsetNumber, false, false);
		if (offset == InvalidOffsetNumber)
			elog(ERROR, "failed to add item to a new page of index \"%s\"",
				 RelationGetRelationName(writer->index));
	}
	ItemPointerSet(&where, BufferGetBlockNumber(writer->buffer), offset);
	return where;
}

/* A node's further TIDs as chunks; returns the first of the chain. */
static ItemPointerData
write_tids(HnswMemStore *mem, ExtraWriter *writer, uint32 node)
{
	HnswTidChunk chunk = palloc0(HNSW_TID_CHUNK_SIZE(HNSW_MAX_CHUNK_TIDS));
	ItemPointerData first;
	uint32		next = pg_atomic_read_u32(&mem->rows[node].duplicates);

	ItemPointerSetInvalid(&first);
	while (next != HNSW_MEM_NONE)
	{
		int			n = 0;

		for (; next != HNSW_MEM_NONE && n < HNSW_MAX_CHUNK_TIDS; next = mem->duplicates[next].next)
			chunk->tids[n++] = mem->duplicates[next].tid;
		chunk->header.node = node;
		chunk->header.kind = HNSW_EXTRA_TIDS;
		chunk->next = first;
		chunk->ntids = n;
		chunk->capacity = Max(n, HNSW_MIN_CHUNK_TIDS);
		first = write_extra(writer, chunk, HNSW_TID_CHUNK_SIZE(chunk->capacity));
	}
	pfree(chunk);
	return first;
}

/* A node's upper links as an item. */
static ItemPointerData
write_upper(HnswMemStore *mem, ExtraWriter *writer, uint32 node)
{
	int			m = mem->store.m;
	int			level = HnswMemGetNode(mem, node)->level;
	Size		size = HNSW_UPPER_SIZE(m, level);
	HnswExtraHeader *header = palloc0(size);
	ItemPointerData where;

	header->node = node;
	header->kind = HNSW_EXTRA_UPPER;
	header->level = level;
	for (int l = 1; l <= level; l++)
	{
		HnswUpperLevel upper = HnswUpperGetLevel(header, m, l);
		const uint32 *from = HnswMemUpper(mem, node, l);

		upper->nlinks = from[0];
		hnsw_links_store(upper->links, from + 2, from[0], from[1]);
	}
	where = write_extra(writer, header, size);
	pfree(header);
	return where;
}

/* Code pages; slots is NULL where the records themselves stand on them. */
static void
write_codes(BuildState *state, const HnswMetaPageData *sizes, BlockNumber first, const HnswWideSlot *slots)
{
	HnswMemStore *mem = &state->mem;
	uint32		nnodes = HnswMemCount(mem);
	Size		size = sizes->code_size;

	for (uint32 node = 0, ordinal = 0; node < nnodes; ordinal++)
	{
		Buffer		buffer = new_page(state->index, VECIDX_PAGE_CODE, ordinal, first + ordinal);
		Page		page = BufferGetPage(buffer);
		uint32		n = Min(nnodes - node, sizes->codes_per_page);

		CHECK_FOR_INTERRUPTS();
		if (slots != NULL)
			memcpy(PageGetContents(page), slots + node, n * size);
		for (uint32 i = 0; i < n && slots == NULL; i++)
			memcpy(PageGetContents(page) + i * size, HnswMemRecord(mem, node + i), size);
		((PageHeader) page)->pd_lower = PageGetContents(page) + n * size - (char *) page;
		finish_page(buffer);
		node += n;
	}
}

static void
write_adjacencies(BuildState *state, const HnswMetaPageData *sizes, BlockNumber first,
				  const ItemPointerData *upper, const ItemPointerData *more)
{
	HnswMemStore *mem = &state->mem;
	uint32		nnodes = HnswMemCount(mem);
	uint32		nupper = 0;
	uint32		nmore = 0;

	for (uint32 node = 0, ordinal = 0; node < nnodes; ordinal++)
	{
		Buffer		buffer = new_page(state->index, VECIDX_PAGE_ADJACENCY, ordinal, first + ordinal);
		Page		page = BufferGetPage(buffer);
		char	   *at = PageGetContents(page);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < sizes->adjacencies_per_page && node < nnodes; i++, node++)
		{
			const HnswMemNode *from = HnswMemGetNode(mem, node);
			HnswMemRow *row = &mem->rows[node];
			HnswAdjacency to = (HnswAdjacency) at;

			to->state = HNSW_NODE_USED;
			to->level = from->level;
			to->nlinks = from->nlinks;
			to->tid = row->tid;
			ItemPointerSetInvalid(&to->more);
			ItemPointerSetInvalid(&to->upper);
			if (pg_atomic_read_u32(&row->duplicates) != HNSW_MEM_NONE)
				to->more = more[nmore++];
			if (from->level > 0)
				to->upper = upper[nupper++];
			hnsw_links_store(to->links, from->links, from->nlinks, from->nkept);
			at += sizes->adjacency_size;
		}
		((PageHeader) page)->pd_lower = at - (char *) page;
		finish_page(buffer);
	}
}

/* Filter pages, where there are filter columns. */
static void
write_filters(BuildState *state, const HnswMetaPageData *sizes, BlockNumber first)
{
	HnswMemStore *mem = &state->mem;
	const VecidxFilterLayout *filters = state->hnsw->filters;
	HnswFilterPage filter_page = hnsw_filter_page(sizes->nfilters, sizes->filter_bytes);
	uint32		nnodes = HnswMemCount(mem);

	for (uint32 node = 0, ordinal = 0; filters != NULL && node < nnodes; ordinal++)
	{
		Buffer		buffer = new_page(state->index, VECIDX_PAGE_FILTER, ordinal, first + ordinal);
		Page		page = BufferGetPage(buffer);

		CHECK_FOR_INTERRUPTS();
		hnsw_filter_page_init(filters, &filter_page, page, ordinal);
		for (uint32 i = 0; i < filter_page.nodes && node < nnodes; i++, node++)
			hnsw_filter_page_put(filters, &filter_page, page, i, HnswMemValues(mem, node));
		finish_page(buffer);
	}
}

/* Pages that are kept for nodes to come, up to a number of pages. */
static void
reserve_pages(BuildState *state, uint32 used, uint32 npages, BlockNumber first)
{
	for (uint32 i = used; i < npages; i++)
		finish_page(new_page(state->index, VECIDX_PAGE_FREE, VECIDX_FREE_RESERVED, first + i));
}

/* Pages that so many records take. */
static uint32
pages_for(uint64 records, uint32 per_page)
{
	return per_page == 0 ? 0 : (uint32) ((records + per_page - 1) / per_page);
}

/* One extent of so many pages, or none. */
static void
set_extent(VecidxExtentMap *map, BlockNumber first, uint32 npages)
{
	map->nextents = npages > 0;
	map->npages = npages;
	map->extents[0].first_ordinal = 0;
	map->extents[0].first_block = first;
}

/*
 * Make some neighbour of a node that nothing links to link to it: one with
 * room, or one with a link to a node that others link to as well.
 * indegree: links to each node, saturated.
 */
static bool
adopt_orphan(HnswMemStore *mem, uint8 *indegree, uint32 node)
{
	int			max = HNSW_MAX_LINKS(mem->store.m, 0);
	const HnswMemNode *own = HnswMemGetNode(mem, node);

	for (int i = 0; i < own->nlinks; i++)
	{
		HnswMemNode *neighbour = HnswMemGetNode(mem, own->links[i]);
		uint32	   *links = neighbour->links;
		int			place = neighbour->nlinks;

		if (place < max)
			neighbour->nlinks++;
		else
		{
			/* from the back: first those that only fill up */
			do
				place--;
			while (place >= 0 && indegree[links[place]] < 2);
			if (place < 0)
				continue;
			if (indegree[links[place]] < PG_UINT8_MAX)
				indegree[links[place]]--;
		}
		links[place] = node;
		indegree[node] = 1;
		return true;
	}
	return false;
}

/*
 * Nodes that lost their last link when lists were pruned cannot be found by
 * a search.  On GloVe under cosine there are none at m = 16, 22 % at m = 3;
 * at m = 4 this takes recall at ef_search 3000 from 0.877 to 0.915.
 */
static void
adopt_orphans(BuildState *state)
{
	HnswMemStore *mem = &state->mem;
	uint32		nnodes = HnswMemCount(mem);
	uint8	   *indegree = MemoryContextAllocExtended(state->context, nnodes,
													  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	uint32		orphans = 0;
	uint32		adopted = 0;

	for (uint32 node = 0; node < nnodes; node++)
	{
		const HnswMemNode *n = HnswMemGetNode(mem, node);

		for (int i = 0; i < n->nlinks; i++)
			if (indegree[n->links[i]] < PG_UINT8_MAX)
				indegree[n->links[i]]++;
	}
	for (uint32 node = 0; node < nnodes; node++)
	{
		CHECK_FOR_INTERRUPTS();
		if (indegree[node] == 0)
		{
			orphans++;
			adopted += adopt_orphan(mem, indegree, node);
		}
	}
	pfree(indegree);
	ereport(DEBUG1,
			(errmsg_internal("hnsw build: nothing linked to %u of %u nodes, %u do now",
							 orphans, nnodes, adopted)));
}

/* Write the graph in memory to an index that has its metapage and no more. */
static void
write_graph(BuildState *state)
{
	HnswMemStore *mem = &state->mem;
	uint32		nnodes = HnswMemCount(mem);
	HnswEntry	entry = hnsw_mem_entry(mem);
	ExtraWriter writer = {state->index, InvalidBuffer};
	HnswMetaPageData *sizes = palloc(sizeof(HnswMetaPageData));
	ItemPointerData *upper;
	ItemPointerData *more;
	HnswWideSlot *slots = NULL;
	uint32		nupper = 0;
	uint32		nmore = 0;
	uint32		ncodes;
	uint32		nadjacencies;
	uint32		nfilters;
	BlockNumber first;
	Buffer		buffer;
	HnswMetaPage meta;

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_HNSW_PHASE_WRITE);
	if (nnodes == 0)
		return;

	if (hnsw_links_orphans(&mem->store))
		adopt_orphans(state);

	buffer = vecidx_read(state->index, HNSW_META_BLOCK, BUFFER_LOCK_SHARE, VECIDX_PAGE_META, HNSW_VERSION);
	memcpy(sizes, HnswPageGetMeta(BufferGetPage(buffer)), sizeof(HnswMetaPageData));
	UnlockReleaseBuffer(buffer);

	/* items first, because adjacency records point to them */
	for (uint32 node = 0; node < nnodes; node++)
	{
		nupper += HnswMemGetNode(mem, node)->level > 0;
		nmore += pg_atomic_read_u32(&mem->rows[node].duplicates) != HNSW_MEM_NONE;
	}
	upper = MemoryContextAllocHuge(state->context, sizeof(ItemPointerData) * Max(nupper, 1));
	more = MemoryContextAllocHuge(state->context, sizeof(ItemPointerData) * Max(nmore, 1));
	if (mem->wide)
		slots = MemoryContextAllocHuge(state->context, sizeof(HnswWideSlot) * nnodes);
	nupper = nmore = 0;
	for (uint32 node = 0; node < nnodes; node++)
	{
		if (slots != NULL)
			hnsw_wide_put(mem->store.quantizer, node, HnswMemRecord(mem, node), write_extra, &writer, &slots[node]);
		if (HnswMemGetNode(mem, node)->level > 0)
			upper[nupper++] = write_upper(mem, &writer, node);
		if (pg_atomic_read_u32(&mem->rows[node].duplicates) != HNSW_MEM_NONE)
			more[nmore++] = write_tids(mem, &writer, node);
	}
	if (BufferIsValid(writer.buffer))
	{
		BlockNumber block = BufferGetBlockNumber(writer.buffer);
		Size		free = PageGetExactFreeSpace(BufferGetPage(writer.buffer));

		finish_page(writer.buffer);
		RecordPageWithFreeSpace(state->index, block, free);
	}

	ncodes = pages_for(nnodes, sizes->codes_per_page);
	/* every number that the code pages give room for has an adjacency record, and a place for filter values */
	nadjacencies = pages_for((uint64) ncodes * sizes->codes_per_page, sizes->adjacencies_per_page);
	nfilters = pages_for((uint64) ncodes * sizes->codes_per_page, sizes->filters_per_page);
	first = RelationGetNumberOfBlocks(state->index);
	write_codes(state, sizes, first, slots);
	write_adjacencies(state, sizes, first + ncodes, upper, more);
	reserve_pages(state, pages_for(nnodes, sizes->adjacencies_per_page), nadjacencies, first + ncodes);
	write_filters(state, sizes, first + ncodes + nadjacencies);
	reserve_pages(state, pages_for(nnodes, sizes->filters_per_page), nfilters, first + ncodes + nadjacencies);

	buffer = vecidx_read(state->index, HNSW_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, HNSW_VERSION);
	meta = HnswPageGetMeta(BufferGetPage(buffer));
	meta->entry = entry.node;
	meta->entry_level = entry.level;
	meta->code_pages = ncodes;
	set_extent(&meta->codes, first, ncodes);
	set_extent(&meta->adjacencies, first + ncodes, nadjacencies);
	set_extent(&meta->filters, first + ncodes + nadjacencies, nfilters);
	finish_page(buffer);

	pfree(upper);
	pfree(more);
	if (slots != NULL)
		pfree(slots);
	pfree(sizes);
}

/* ---- Rows ---- */

/* Join a build: its index has its metapage. */
static void
build_begin(BuildState *state, Relation index, BuildShared *shared, bool leader)
{
	HnswEntry	entry;

	memset(state, 0, sizeof(*state));
	state->index = index;
	state->shared = shared;
	state->leader = leader;
	state->context = AllocSetContextCreate(CurrentMemoryContext, "hnsw build", ALLOCSET_DEFAULT_SIZES);
	state->graph = AllocSetContextCreate(state->context, "hnsw build graph", ALLOCSET_DEFAULT_SIZES);
	state->row = AllocSetContextCreate(state->context, "hnsw build row", ALLOCSET_DEFAULT_SIZES);
	state->hnsw = hnsw_index_open(index, state->context, &entry);
	state->buffer = vecidx_elements_buffer(state->hnsw->opclass, state->hnsw->dim, state->context);
	if (state->hnsw->filters != NULL)
		state->values = MemoryContextAlloc(state->context, state->hnsw->filters->packed_size);
}

/* Bytes of a row's packed filter values. */
static Size
values_size(const BuildState *state)
{
	return state->hnsw->filters == NULL ? 0 : state->hnsw->filters->packed_size;
}

/* Add rows to the graph in memory from now on. */
static void
add_to_memory(BuildState *state)
{
	hnsw_inserter_init(&state->inserter, &state->mem.store, state->hnsw->ef_construction,
					   state->hnsw->seed, state->graph);
	state->in_memory = true;
}

/* The graph is written: add rows to the pages. */
static void
add_to_pages(BuildState *state)
{
	HnswEntry	entry;

	MemoryContextReset(state->graph);
	if (state->segment != NULL)
	{
		dsm_detach(state->segment);
		state->segment = NULL;
	}
	/* what has grown, that is everything */
	hnsw_index_refresh(state->hnsw, state->index, &entry);
	hnsw_disk_store_init(&state->disk, state->index, state->hnsw, state->graph, true);
	hnsw_inserter_init(&state->inserter, &state->disk.store, state->hnsw->ef_construction,
					   state->hnsw->seed, state->graph);
	state->in_memory = false;
}

static void
report_rows(BuildState *state)
{
	uint64		n = pg_atomic_add_fetch_u64(&state->shared->nindexed, state->unreported);

	state->unreported = 0;
	if (state->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) n);
}

/*
 * The graph has outgrown its memory.  It has done so for all processes; each
 * of them comes here before its next row, or leaves because it has none.  One
 * writes the graph, all go on in the pages.
 */
static void
leave_memory(BuildState *state)
{
	BuildShared *shared = state->shared;

	report_rows(state);
	if (BarrierArriveAndWait(&shared->phase, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN))
	{
		ereport(NOTICE,
				(errmsg("hnsw graph no longer fits into maintenance_work_mem after " INT64_FORMAT " tuples",
						(int64) pg_atomic_read_u64(&shared->nindexed)),
				 errdetail("Building will take significantly more time."),
				 errhint("Increase maintenance_work_mem to speed up builds.")));
		write_graph(state);
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_HNSW_PHASE_LOAD);
	}
	BarrierArriveAndWait(&shared->phase, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
	add_to_pages(state);
}

static void
build_callback(Relation index, ItemPointer tid, Datum *values, bool *isnull, bool alive, void *arg)
{
	BuildState *state = arg;
	MemoryContext old;
	const void *elements;

	(void) index;
	(void) alive;
	CHECK_FOR_INTERRUPTS();
	if (isnull[0])
		return;
	old = MemoryContextSwitchTo(state->row);
	elements = vecidx_elements(state->hnsw->opclass, values[0], state->hnsw->dim, state->buffer);
	if (elements != NULL)
	{
		if (state->in_memory && !hnsw_mem_reserve(&state->mem))
			leave_memory(state);
		if (state->values != NULL)
			vecidx_filter_pack(state->hnsw->filters, values, isnull, state->values);
		hnsw_inserter_add(&state->inserter, elements, state->values, tid, false);
		if (++state->unreported >= REPORT_ROWS)
			report_rows(state);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

static void
init_shared(BuildShared *shared)
{
	shared->graph = DSM_HANDLE_INVALID;
	BarrierInit(&shared->phase, 0);
	pg_atomic_init_u64(&shared->nindexed, 0);
}

/* Rows have been read: leave the others. */
static void
build_finish(BuildState *state)
{
	report_rows(state);
	BarrierDetach(&state->shared->phase);
}

/* ---- One process, and several ---- */

/* Build in this process alone; returns the rows of the table. */
static double
build_alone(BuildState *state, Relation heap, IndexInfo *info, const VecidxSample *sample)
{
	double		heap_tuples;

	hnsw_mem_init(&state->mem, &state->hnsw->quantizer, state->hnsw->m, values_size(state), sample->rows,
				  (Size) maintenance_work_mem * 1024, state->graph);
	add_to_memory(state);
	(void) BarrierAttach(&state->shared->phase);
	/* from the first block on, so that the same table gives the same graph */
	heap_tuples = table_index_build_scan(heap, state->index, info, false, true, build_callback, state, NULL);
	build_finish(state);
	if (state->in_memory)
		write_graph(state);
	return heap_tuples;
}

/* Say what a parallel build could not get, and what becomes of it. */
static void
report_shortage(BuildState *state, const char *why, int workers, Size graph)
{
	ereport(NOTICE,
			(errmsg("could not get enough shared memory for a parallel build of index \"%s\"",
					RelationGetRelationName(state->index)),
			 workers == 0 ?
			 errdetail("It is built by one process: %s.", why) :
			 errdetail("It is built by %d workers, with %zu kB of its graph in memory: %s.", workers, graph / 1024, why),
			 errhint("Enlarge /dev/shm (in a container, by --shm-size).")));
}

/*
 * A segment for the graph, smaller than it should be where the system has no
 * room for more (*why is set then), or NULL.
 */
static dsm_segment *
create_graph(BuildState *state, const VecidxSample *sample, int participants, char **why)
{
	const Quantizer *quantizer = &state->hnsw->quantizer;
	int			m = state->hnsw->m;
	Size		budget = (Size) maintenance_work_mem * 1024;

	for (;;)
	{
		HnswMemCapacity capacity;
		Size		size = hnsw_mem_shared_size(quantizer, m, values_size(state), sample->rows, sample->record_bytes,
												 participants, budget, &capacity);
		dsm_segment *segment;
		char	   *reason;

		if (size == 0 || (*why != NULL && size < MIN_SHARED_GRAPH))
			return NULL;
		segment = vecidx_segment_create(size, &reason);
		if (segment != NULL)
		{
			hnsw_mem_init_shared(&state->mem, quantizer, m, values_size(state), dsm_segment_address(segment),
								 participants, &capacity);
			return segment;
		}
		/* the first says most; the rest of the rows goes into the pages */
		if (*why == NULL)
			*why = reason;
		budget = size / 2;
	}
}

static void
tick(void *arg)
{
	report_rows((BuildState *) arg);
}

/*
 * Build with workers; returns false, and has done nothing, when there is no
 * shared memory for that.
 */
static bool
build_together(BuildState *state, Relation heap, IndexInfo *info, const VecidxSample *sample, int workers,
			   double *heap_tuples)
{
	BuildShared *alone = state->shared;
	VecidxParallel parallel;
	BuildShared *shared;
	char	   *why = NULL;

	while (workers > 0)
	{
		char	   *reason;

		if (vecidx_parallel_prepare(&parallel, heap, state->index, info->ii_Concurrent, workers,
									"hnsw_build_worker", sizeof(BuildShared), &reason))
			break;
		why = reason;
		workers /= 2;
	}
	if (workers > 0)
	{
		state->segment = create_graph(state, sample, workers + 1, &why);
		if (state->segment == NULL)
		{
			vecidx_parallel_end(&parallel);
			workers = 0;
		}
	}
	if (why != NULL)
		report_shortage(state, why, workers, state->segment == NULL ? 0 : dsm_segment_map_length(state->segment));
	if (workers == 0)
		return false;

	shared = VecidxParallelOwn(&parallel);
	init_shared(shared);
	shared->graph = dsm_segment_handle(state->segment);
	state->shared = shared;
	add_to_memory(state);
	(void) BarrierAttach(&shared->phase);

	(void) vecidx_parallel_launch(&parallel);
	vecidx_parallel_scan(&parallel, info, build_callback, state);
	build_finish(state);
	*heap_tuples = vecidx_parallel_wait(&parallel, info, tick, state);
	report_rows(state);

	if (BarrierPhase(&shared->phase) == PHASE_MEMORY)
		write_graph(state);
	pg_atomic_write_u64(&alone->nindexed, pg_atomic_read_u64(&shared->nindexed));
	state->shared = alone;
	if (state->segment != NULL)
		dsm_detach(state->segment);
	vecidx_parallel_end(&parallel);
	return true;
}

extern PGDLLEXPORT void hnsw_build_worker(dsm_segment *segment, shm_toc *toc);

void
hnsw_build_worker(dsm_segment *segment, shm_toc *toc)
{
	VecidxParallel parallel;
	BuildState	state;
	BuildShared *shared;

	(void) segment;
	vecidx_parallel_attach(&parallel, toc);
	shared = VecidxParallelOwn(&parallel);
	build_begin(&state, parallel.index, shared, false);

	/* while this process is attached the phase does not pass without it */
	if (BarrierAttach(&shared->phase) == PHASE_MEMORY)
	{
		state.segment = dsm_attach(shared->graph);
		if (state.segment == NULL)
			elog(ERROR, "could not map the graph of index \"%s\"", RelationGetRelationName(parallel.index));
		hnsw_mem_attach(&state.mem, &state.hnsw->quantizer, state.hnsw->m, values_size(&state),
						dsm_segment_address(state.segment));
		add_to_memory(&state);
	}
	else
	{
		if (BarrierPhase(&shared->phase) == PHASE_WRITE)
			BarrierArriveAndWait(&shared->phase, WAIT_EVENT_PARALLEL_CREATE_INDEX_SCAN);
		add_to_pages(&state);
	}
	vecidx_parallel_scan(&parallel, NULL, build_callback, &state);
	build_finish(&state);
	if (state.segment != NULL)
		dsm_detach(state.segment);
	MemoryContextDelete(state.context);
	vecidx_parallel_detach(&parallel);
}

IndexBuildResult *
hnsw_build(Relation heap, Relation index, IndexInfo *indexInfo)
{
	BuildState	state;
	BuildShared shared;
	HnswParams	params;
	IndexBuildResult *result = palloc(sizeof(IndexBuildResult));
	Quantizer	quantizer;
	VecidxSample sample;
	int			workers;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));

	hnsw_params_read(index, &params);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_HNSW_PHASE_SAMPLE);
	quant_init(&quantizer, params.quantizer, params.opclass->metric, params.dim, NULL, params.seed);
	vecidx_sample(heap, index, indexInfo, params.opclass, &quantizer, CurrentMemoryContext, &sample);
	hnsw_create(index, MAIN_FORKNUM, &params, sample.mean);

	init_shared(&shared);
	build_begin(&state, index, &shared, true);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_HNSW_PHASE_LOAD);
	workers = vecidx_parallel_workers(heap, index, sample.rows, ROWS_PER_WORKER);
	/* the estimate may be too low */
	sample.rows = sample.rows * 1.25 + 1000;
	if (workers == 0 ||
		!build_together(&state, heap, indexInfo, &sample, workers, &result->heap_tuples))
		result->heap_tuples = build_alone(&state, heap, indexInfo, &sample);
	result->index_tuples = pg_atomic_read_u64(&shared.nindexed);
	MemoryContextDelete(state.context);

	if (RelationNeedsWAL(index))
	{
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_HNSW_PHASE_LOG);
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);
	}
	return result;
}

void
hnsw_buildempty(Relation index)
{
	HnswParams	params;

	hnsw_params_read(index, &params);
	hnsw_create(index, INIT_FORKNUM, &params, NULL);
}
