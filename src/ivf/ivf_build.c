/*
 * ivf_build.c
 *		CREATE INDEX and REINDEX.
 *
 * A sample of the table gives the centroids and what the codes need.  Then
 * each row is put into the list whose centroid is nearest and coded; the codes
 * are sorted by list, and the lists written one after the other.  Several
 * processes may do the second part: they share centroids and the way to them,
 * and a sort.
 */
#include "vecidx.h"

#include <float.h>

#include "access/table.h"
#include "access/tableam.h"
#include "access/xloginsert.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type_d.h"
#include "commands/progress.h"
#include "executor/tuptable.h"
#include "index/parallel.h"
#include "ivf/ivf.h"
#include "ivf/ivf_train.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "quant/route.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"
#include "utils/tuplesort.h"

/* Each worker should have as many rows. */
#define ROWS_PER_WORKER 10000

/* Rows between reports of progress. */
#define REPORT_ROWS 1024

/* An index made from fewer rows learns again when there are more. */
#define ENOUGH_TO_LEARN 1000

/* Most residuals that list codes learn from. */
#define MAX_RESIDUALS 65536

/* Of maintenance_work_mem, at least this much goes to the sort, in kB. */
#define MIN_SORT_MEMORY 64

/* On a page that has room for fewer rows a list is not begun. */
#define MIN_PIECE 8

/* What the processes of a build share; the shared sort stands behind it. */
typedef struct BuildShared
{
	dsm_handle	directory;		/* segment with a RouteBlock, where there are several processes */
	int			participants;	/* that may take part */
	pg_atomic_uint64 nindexed;	/* rows that are in the index */
} BuildShared;

#define BuildSharedSort(shared) ((Sharedsort *) ((char *) (shared) + MAXALIGN(sizeof(BuildShared))))

/*
 * Centroids, the router's block and rows of each list, in one piece of memory
 * that may be shared.
 */
typedef struct RouteBlock
{
	Size		centroids;		/* offsets */
	Size		router;
	Size		counts;
	Size		distances;
	Size		size;
	uint32		nlists;
} RouteBlock;

/* And what each has for itself. */
typedef struct BuildState
{
	Relation	index;
	BuildShared *shared;
	IvfIndex   *ivf;
	MemoryContext context;
	MemoryContext row;
	bool		leader;

	/* from a vector to its list */
	const char *centroids;
	Size		centroid_size;
	Router		router;
	pg_atomic_uint32 *counts;	/* rows by list */
	pg_atomic_uint64 *distances;	/* and sums of their distances from the centroid, doubles */
	float	   *normalised;		/* cosine only */
	void	   *route_scratch;

	/* from a vector to its row */
	void	   *buffer;
	void	   *scratch;
	Tuplesortstate *sort;
	TupleTableSlot *slot;
	bytea	   *payload;		/* factors, code, and further columns, packed */

	uint32		unreported;		/* rows that shared->nindexed lacks */
} BuildState;

/* ---- The way to lists ---- */

static void
route_spec(const IvfIndex *ivf, uint32 nlists, RouteSpec *spec)
{
	memset(spec, 0, sizeof(*spec));
	spec->metric = ivf->route.metric;
	spec->dim = ivf->dim;
	spec->k = (int) nlists;
	spec->seed = ivf->code.spec.seed;
}

/* Sizes for so many lists. */
static RouteBlock
route_block_layout(const IvfIndex *ivf, uint32 nlists)
{
	RouteBlock	block = {0};
	RouteSpec	spec;

	route_spec(ivf, nlists, &spec);
	block.nlists = nlists;
	block.centroids = CACHELINEALIGN(sizeof(RouteBlock));
	block.router = CACHELINEALIGN(block.centroids +
								  mul_size(nlists, ivf_centroid_size(ivf->code.spec.elements, ivf->dim)));
	block.counts = CACHELINEALIGN(block.router + route_block_size(&spec));
	block.distances = CACHELINEALIGN(block.counts + sizeof(pg_atomic_uint32) * (Size) nlists);
	block.size = block.distances + sizeof(pg_atomic_uint64) * (Size) nlists;
	return block;
}

static void
tick(void *arg)
{
	(void) arg;
	CHECK_FOR_INTERRUPTS();
}

static void
route_block_fill(const IvfIndex *ivf, IvfTraining *training, RouteBlock *block)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf route", ALLOCSET_DEFAULT_SIZES);
	char	   *base = (char *) block;
	RouteSpec	spec;
	pg_atomic_uint32 *counts;
	pg_atomic_uint64 *distances;

	*block = route_block_layout(ivf, training->lists);
	memcpy(base + block->centroids, training->centroids, training->centroid_size * training->lists);
	/* two copies would be more than the sort's memory allows for */
	pfree(training->centroids);
	training->centroids = NULL;
	route_spec(ivf, training->lists, &spec);
	route_build(&spec, base + block->centroids, base + block->router,
				vecidx_alloc_aligned(context, route_scratch_size(&spec) + 1), tick, NULL);
	MemoryContextDelete(context);
	counts = (pg_atomic_uint32 *) (base + block->counts);
	distances = (pg_atomic_uint64 *) (base + block->distances);
	for (uint32 i = 0; i < block->nlists; i++)
	{
		pg_atomic_init_u32(&counts[i], 0);
		pg_atomic_init_u64(&distances[i], 0);	/* 0.0 */
	}
}

/* ---- Rows ---- */

/* What goes through the sort: list, TID (so that a list's rows are in the table's order), factors and code. */
static TupleDesc
row_descriptor(void)
{
	TupleDesc	desc = CreateTemplateTupleDesc(3);

	TupleDescInitEntry(desc, 1, "list", INT4OID, -1, 0);
	TupleDescInitEntry(desc, 2, "tid", INT8OID, -1, 0);
	TupleDescInitEntry(desc, 3, "code", BYTEAOID, -1, 0);
	return desc;
}

static Tuplesortstate *
begin_sort(TupleDesc desc, int memory, SortCoordinate coordinate)
{
	AttrNumber	columns[] = {1, 2};
	Oid			operators[] = {Int4LessOperator, Int8LessOperator};
	Oid			collations[] = {InvalidOid, InvalidOid};
	bool		nulls_first[] = {false, false};

	return tuplesort_begin_heap(desc, 2, columns, operators, collations, nulls_first, memory, coordinate, TUPLESORT_NONE);
}

/* Sort memory of one of so many processes, in kB: what is left beside the directory. */
static int
sort_memory(const RouteBlock *block, int processes)
{
	Size		used = block->size / 1024;

	return (int) Max((Size) maintenance_work_mem > used ? ((Size) maintenance_work_mem - used) / processes : 0,
					 MIN_SORT_MEMORY);
}

static void
build_begin(BuildState *state, Relation index, BuildShared *shared, bool leader)
{
	memset(state, 0, sizeof(*state));
	state->index = index;
	state->shared = shared;
	state->leader = leader;
	state->context = AllocSetContextCreate(CurrentMemoryContext, "ivf build", ALLOCSET_DEFAULT_SIZES);
	state->row = AllocSetContextCreate(state->context, "ivf build row", ALLOCSET_DEFAULT_SIZES);
	state->ivf = ivf_index_open(index, state->context);
	state->centroid_size = ivf_centroid_size(state->ivf->code.spec.elements, state->ivf->dim);
	state->buffer = vecidx_elements_buffer(state->ivf->opclass, state->ivf->dim, state->context);
	state->scratch = vecidx_alloc_aligned(state->context, state->ivf->code.scratch_size + 1);
	if (state->ivf->code.spec.elements == QUANT_FLOATS && state->ivf->code.spec.metric == METRIC_COSINE)
		state->normalised = MemoryContextAlloc(state->context, state->centroid_size);
}

/* Use a filled block. */
static void
build_route(BuildState *state, RouteBlock *block)
{
	char	   *base = (char *) block;
	RouteSpec	spec;

	route_spec(state->ivf, block->nlists, &spec);
	state->centroids = base + block->centroids;
	state->counts = (pg_atomic_uint32 *) (base + block->counts);
	state->distances = (pg_atomic_uint64 *) (base + block->distances);
	route_open(&state->router, &spec, state->centroids, base + block->router);
	state->route_scratch = vecidx_alloc_aligned(state->context, route_scratch_size(&spec) + 1);
}

/* Collect rows for a sort: this process's part of a shared one, or all. */
static void
build_sort(BuildState *state, int memory, SortCoordinate coordinate)
{
	MemoryContext old = MemoryContextSwitchTo(state->context);
	TupleDesc	desc = row_descriptor();
	const ListCode *code = &state->ivf->code;
	Size		size = VARHDRSZ + sizeof(float) * code->nfactors + code->code_size +
		(state->ivf->filters != NULL ? state->ivf->filters->packed_size : 0);

	state->sort = begin_sort(desc, memory, coordinate);
	state->slot = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	/* encode may write nothing behind a code, but the next code's slack is read */
	state->payload = palloc0(size + SIMD_SLACK);
	SET_VARSIZE(state->payload, size);
	MemoryContextSwitchTo(old);
}

static void
report_rows(BuildState *state)
{
	uint64		n = pg_atomic_add_fetch_u64(&state->shared->nindexed, state->unreported);

	state->unreported = 0;
	if (state->leader)
		pgstat_progress_update_param(PROGRESS_CREATEIDX_TUPLES_DONE, (int64) n);
}

/* What finds the list: of length one under cosine. */
static const void *
routed_vector(BuildState *state, const void *elements)
{
	if (state->normalised == NULL)
		return elements;
	ivf_normalise(elements, state->normalised, state->ivf->dim);
	return state->normalised;
}

static inline double
double_of(uint64 bits)
{
	double		result;

	memcpy(&result, &bits, sizeof(result));
	return result;
}

/* One more row of a list, so far from its centroid. */
static void
count_row(BuildState *state, uint32 list, float dist)
{
	uint64		old = pg_atomic_read_u64(&state->distances[list]);
	uint64		new;

	pg_atomic_fetch_add_u32(&state->counts[list], 1);
	do
	{
		double		sum = double_of(old) + dist;

		memcpy(&new, &sum, sizeof(new));
	} while (!pg_atomic_compare_exchange_u64(&state->distances[list], &old, new));
}

static void
add_row(BuildState *state, const void *elements, const Datum *values, const bool *isnull, ItemPointer tid)
{
	const ListCode *code = &state->ivf->code;
	char	   *payload = VARDATA(state->payload);
	float		factors[2];
	uint32		list;
	float		dist;

	(void) route_nearest(&state->router, routed_vector(state, elements), 1, &list, &dist, state->route_scratch);
	listcode_encode(code, elements, (const float *) (state->centroids + list * state->centroid_size), factors,
					(uint8 *) payload + sizeof(float) * code->nfactors, state->scratch);
	memcpy(payload, factors, sizeof(float) * code->nfactors);
	if (state->ivf->filters != NULL)
		vecidx_filter_pack(state->ivf->filters, values, isnull,
						   (uint8 *) payload + sizeof(float) * code->nfactors + code->code_size);
	count_row(state, list, dist);

	ExecClearTuple(state->slot);
	state->slot->tts_values[0] = Int32GetDatum((int32) list);
	state->slot->tts_values[1] = Int64GetDatum((int64) ItemPointerGetBlockNumber(tid) << 16 |
											   ItemPointerGetOffsetNumber(tid));
	state->slot->tts_values[2] = PointerGetDatum(state->payload);
	memset(state->slot->tts_isnull, 0, sizeof(bool) * 3);
	ExecStoreVirtualTuple(state->slot);
	tuplesort_puttupleslot(state->sort, state->slot);
	if (++state->unreported >= REPORT_ROWS)
		report_rows(state);
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
	elements = vecidx_elements(state->ivf->opclass, values[0], state->ivf->dim, state->buffer);
	if (elements != NULL)
		add_row(state, elements, values, isnull, tid);
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
}

/* ---- Writing lists ---- */

/* List pages filled one after the other. */
typedef struct ListWriter
{
	Relation	index;
	const ListCode *code;
	const VecidxFilterLayout *filters;
	bool		blocks;
	Buffer		buffer;			/* of the page at hand, locked; invalid at first */
	IvfSegment	segment;		/* in the making */
	IvfRows		rows;			/* for it */

	/* codes that stand apart have pages of their own */
	Buffer		code_buffer;	/* as buffer */
	void	   *code_segment;	/* in the making; NULL: they do not */
	ItemPointerData *places;	/* of the codes of rows */
} ListWriter;

/* The end of a page, which was locked; what room it has left is for inserts if they are to know of it. */
static void
finish_page(ListWriter *writer, Buffer buffer, bool last)
{
	BlockNumber block;
	Size		free;

	if (!BufferIsValid(buffer))
		return;
	block = BufferGetBlockNumber(buffer);
	free = PageGetFreeSpace(BufferGetPage(buffer));
	MarkBufferDirty(buffer);
	UnlockReleaseBuffer(buffer);
	if (last)
		RecordPageWithFreeSpace(writer->index, block, free);
}

static Buffer
new_page(ListWriter *writer)
{
	Buffer		buffer = ReadBufferExtended(writer->index, MAIN_FORKNUM, P_NEW, RBM_ZERO_AND_LOCK, NULL);

	vecidx_page_init(BufferGetPage(buffer), VECIDX_PAGE_LIST, IVF_VERSION, 0);
	return buffer;
}

static void
next_list_page(ListWriter *writer)
{
	finish_page(writer, writer->buffer, false);
	writer->buffer = new_page(writer);
}

/* Write the codes of the rows at hand apart. */
static void
write_codes(ListWriter *writer, uint32 list, uint32 generation)
{
	for (size_t i = 0; i < writer->rows.n; i++)
	{
		OffsetNumber offset;

		if (!BufferIsValid(writer->code_buffer) ||
			PageGetFreeSpace(BufferGetPage(writer->code_buffer)) < ivf_code_segment_size(writer->code))
		{
			finish_page(writer, writer->code_buffer, false);
			writer->code_buffer = new_page(writer);
		}
		offset = ivf_code_put(writer->code, BufferGetPage(writer->code_buffer), list, generation,
							  writer->rows.codes + i * writer->code->code_size, writer->code_segment);
		ItemPointerSet(&writer->places[i], BufferGetBlockNumber(writer->code_buffer), offset);
	}
}

/* Rows that fit the page at hand. */
static uint32
room(const ListWriter *writer)
{
	if (!BufferIsValid(writer->buffer))
		return 0;
	return ivf_segment_capacity(writer->code, writer->filters, MAXALIGN_DOWN(PageGetFreeSpace(BufferGetPage(writer->buffer))),
								writer->blocks);
}

/* The next row out of the sort, which must be of this list. */
static void
next_row(BuildState *state, TupleTableSlot *slot, uint32 list, IvfRows *rows)
{
	const ListCode *code = &state->ivf->code;
	Datum		payload;
	char	   *bytes;
	float		factors[2];
	int64		tid;
	ItemPointerData where;
	bool		isnull;

	if (!tuplesort_gettupleslot(state->sort, true, false, slot, NULL) ||
		(uint32) DatumGetInt32(slot_getattr(slot, 1, &isnull)) != list)
		elog(ERROR, "rows of list %u of index \"%s\" are not as many as were counted",
			 list, RelationGetRelationName(state->index));
	tid = DatumGetInt64(slot_getattr(slot, 2, &isnull));
	ItemPointerSet(&where, (BlockNumber) (tid >> 16), (OffsetNumber) (tid & 0xFFFF));
	payload = slot_getattr(slot, 3, &isnull);
	bytes = VARDATA_ANY(DatumGetPointer(payload));
	memcpy(factors, bytes, sizeof(float) * code->nfactors);
	ivf_rows_add(rows, factors, (uint8 *) bytes + sizeof(float) * code->nfactors,
				 (uint8 *) bytes + sizeof(float) * code->nfactors + code->code_size, &where);
}

/* Write a list of n rows; change says where it is. */
static void
write_list(BuildState *state, ListWriter *writer, TupleTableSlot *slot, uint32 list, uint32 n, IvfListChange *change)
{
	memset(change, 0, sizeof(*change));
	change->list = list;
	change->state = IVF_LIST_USED;
	change->generation = ivf_generation();
	change->born = n;
	change->spread = (float4) Min(double_of(pg_atomic_read_u64(&state->distances[list])) / Max(n, 1), (double) FLT_MAX / 4);
	ItemPointerSetInvalid(&change->head);
	ItemPointerSetInvalid(&change->tail);
	while (n > 0)
	{
		uint32		capacity = room(writer);
		uint32		count;
		Size		size;
		OffsetNumber offset;
		ItemPointerData where;

		CHECK_FOR_INTERRUPTS();
		/* not too small a piece, unless no page has room for more */
		if (capacity == 0 ||
			(capacity < MIN_PIECE && capacity < n && PageGetMaxOffsetNumber(BufferGetPage(writer->buffer)) > 0))
		{
			next_list_page(writer);
			capacity = room(writer);
		}
		count = Min(n, capacity);
		writer->rows.n = 0;
		for (uint32 i = 0; i < count; i++)
			next_row(state, slot, list, &writer->rows);
		size = ivf_segment_layout(writer->code, writer->filters, count, writer->blocks).size;
		memset(writer->segment, 0, size);
		writer->segment->list = list;
		writer->segment->generation = change->generation;
		writer->segment->capacity = count;
		ItemPointerSetInvalid(&writer->segment->next);
		n -= count;
		if (writer->code_segment != NULL)
			write_codes(writer, list, change->generation);
		ivf_segment_fill(writer->segment, &writer->rows, NULL, 0, count, writer->blocks,
						 writer->code_segment != NULL ? writer->places : NULL);
		offset = PageAddItem(BufferGetPage(writer->buffer), (Item) writer->segment, size, InvalidOffsetNumber, false, false);
		if (offset == InvalidOffsetNumber)
			elog(ERROR, "failed to add a segment to index \"%s\"", RelationGetRelationName(state->index));
		ItemPointerSet(&where, BufferGetBlockNumber(writer->buffer), offset);
		if (change->segments++ == 0)
			change->head = where;
		change->tail = where;
		if (n > 0)
		{
			/* what did not fit goes on at the head of the next page */
			Buffer		former = writer->buffer;
			IvfSegment	written = (IvfSegment) PageGetItem(BufferGetPage(former),
														   PageGetItemId(BufferGetPage(former), offset));

			change->rows += count;
			writer->buffer = new_page(writer);
			ItemPointerSet(&written->next, BufferGetBlockNumber(writer->buffer), FirstOffsetNumber);
			finish_page(writer, former, false);
		}
	}
}

static void
write_lists(BuildState *state)
{
	IvfIndex   *ivf = state->ivf;
	ListWriter	writer = {.index = state->index, .code = &ivf->code, .filters = ivf->filters, .blocks = ivf->code.nnibbles > 0};
	TupleTableSlot *slot = MakeSingleTupleTableSlot(row_descriptor(), &TTSOpsMinimalTuple);
	IvfListChange *changes = MemoryContextAllocHuge(state->context, sizeof(IvfListChange) * (Size) ivf->nlists);

	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_WRITE);
	writer.buffer = writer.code_buffer = InvalidBuffer;
	writer.segment = palloc(IVF_SEGMENT_MAX_SIZE);
	if (ivf->apart)
	{
		writer.code_segment = palloc0(ivf_code_segment_size(&ivf->code));
		writer.places = palloc(sizeof(ItemPointerData) * ivf->max_capacity);
	}
	ivf_rows_init(&writer.rows, &ivf->code, ivf->filters, state->context);
	for (uint32 list = 0; list < ivf->nlists; list++)
		write_list(state, &writer, slot, list, pg_atomic_read_u32(&state->counts[list]), &changes[list]);
	finish_page(&writer, writer.buffer, true);
	finish_page(&writer, writer.code_buffer, true);
	ivf_directory_publish(ivf, state->index, changes, (int) ivf->nlists, true);
	pfree(changes);
	pfree(writer.segment);
	if (ivf->apart)
	{
		pfree(writer.code_segment);
		pfree(writer.places);
	}
	ExecDropSingleTupleTableSlot(slot);
}

/* ---- One process, and several ---- */

static double
build_alone(BuildState *state, Relation heap, IndexInfo *info, IvfTraining *training)
{
	RouteBlock *block = MemoryContextAllocHuge(state->context,
											   route_block_layout(state->ivf, training->lists).size + PG_CACHE_LINE_SIZE);
	double		heap_tuples;

	block = (RouteBlock *) CACHELINEALIGN(block);
	route_block_fill(state->ivf, training, block);
	build_route(state, block);
	build_sort(state, sort_memory(block, 1), NULL);
	heap_tuples = table_index_build_scan(heap, state->index, info, true, true, build_callback, state, NULL);
	report_rows(state);
	tuplesort_performsort(state->sort);
	write_lists(state);
	tuplesort_end(state->sort);
	return heap_tuples;
}

/* Say what a parallel build could not get, and what becomes of it. */
static void
report_shortage(BuildState *state, const char *why, int workers)
{
	ereport(NOTICE,
			(errmsg("could not get enough shared memory for a parallel build of index \"%s\"",
					RelationGetRelationName(state->index)),
			 workers == 0 ?
			 errdetail("It is built by one process: %s.", why) :
			 errdetail("It is built by %d workers: %s.", workers, why),
			 errhint("Enlarge /dev/shm (in a container, by --shm-size).")));
}

/* One process's part: its rows, sorted. */
static void
sort_part(BuildState *state, VecidxParallel *parallel, IndexInfo *info, const RouteBlock *block)
{
	SortCoordinate coordinate = palloc0(sizeof(SortCoordinateData));

	coordinate->isWorker = true;
	coordinate->nParticipants = -1;
	coordinate->sharedsort = BuildSharedSort(state->shared);
	build_sort(state, sort_memory(block, state->shared->participants), coordinate);
	vecidx_parallel_scan(parallel, info, build_callback, state);
	report_rows(state);
	tuplesort_performsort(state->sort);
	tuplesort_end(state->sort);
	state->sort = NULL;
}

static void
report_tick(void *arg)
{
	report_rows((BuildState *) arg);
}

/*
 * Build with workers; returns false, and has done nothing, when there is no
 * shared memory for that.
 */
static bool
build_together(BuildState *state, Relation heap, IndexInfo *info, IvfTraining *training, int workers,
			   double *heap_tuples)
{
	BuildShared *alone = state->shared;
	VecidxParallel parallel;
	BuildShared *shared;
	RouteBlock *block;
	dsm_segment *segment = NULL;
	SortCoordinate coordinate;
	char	   *why = NULL;

	while (workers > 0)
	{
		char	   *reason;

		if (vecidx_parallel_prepare(&parallel, heap, state->index, info->ii_Concurrent, workers, "ivf_build_worker",
									MAXALIGN(sizeof(BuildShared)) + tuplesort_estimate_shared(workers + 1), &reason))
			break;
		why = reason;
		workers /= 2;
	}
	if (workers > 0)
	{
		segment = vecidx_segment_create(route_block_layout(state->ivf, training->lists).size, &why);
		if (segment == NULL)
		{
			vecidx_parallel_end(&parallel);
			workers = 0;
		}
	}
	if (why != NULL)
		report_shortage(state, why, workers);
	if (workers == 0)
		return false;

	block = dsm_segment_address(segment);
	route_block_fill(state->ivf, training, block);
	shared = VecidxParallelOwn(&parallel);
	shared->directory = dsm_segment_handle(segment);
	shared->participants = workers + 1;
	pg_atomic_init_u64(&shared->nindexed, 0);
	tuplesort_initialize_shared(BuildSharedSort(shared), workers + 1, parallel.context->seg);
	state->shared = shared;
	build_route(state, block);

	coordinate = palloc0(sizeof(SortCoordinateData));
	coordinate->isWorker = false;
	coordinate->nParticipants = vecidx_parallel_launch(&parallel) + 1;
	coordinate->sharedsort = BuildSharedSort(shared);
	sort_part(state, &parallel, info, block);
	*heap_tuples = vecidx_parallel_wait(&parallel, info, report_tick, state);
	report_rows(state);

	build_sort(state, sort_memory(block, 1), coordinate);
	tuplesort_performsort(state->sort);
	write_lists(state);
	tuplesort_end(state->sort);

	pg_atomic_write_u64(&alone->nindexed, pg_atomic_read_u64(&shared->nindexed));
	state->shared = alone;
	dsm_detach(segment);
	vecidx_parallel_end(&parallel);
	return true;
}

extern PGDLLEXPORT void ivf_build_worker(dsm_segment *segment, shm_toc *toc);

void
ivf_build_worker(dsm_segment *segment, shm_toc *toc)
{
	VecidxParallel parallel;
	BuildState	state;
	BuildShared *shared;
	dsm_segment *directory;

	vecidx_parallel_attach(&parallel, toc);
	shared = VecidxParallelOwn(&parallel);
	build_begin(&state, parallel.index, shared, false);
	directory = dsm_attach(shared->directory);
	if (directory == NULL)
		elog(ERROR, "could not map the lists of index \"%s\"", RelationGetRelationName(parallel.index));
	tuplesort_attach_shared(BuildSharedSort(shared), segment);
	build_route(&state, dsm_segment_address(directory));
	sort_part(&state, &parallel, NULL, dsm_segment_address(directory));
	dsm_detach(directory);
	MemoryContextDelete(state.context);
	vecidx_parallel_detach(&parallel);
}

/* What the list codes learn from the sample; NULL where they need nothing. */
static void *
train_codes(const IvfTraining *training, const ListCodeSpec *spec)
{
	Size		size = listcode_trained_size(spec);
	Size		most;
	Size		n;
	float	   *residuals;
	void	   *scratch;
	void	   *trained;

	if (size == 0)
		return NULL;
	trained = MemoryContextAllocHuge(CurrentMemoryContext, size);
	/* residuals take at most half of the memory */
	most = (Size) maintenance_work_mem * 1024 / 2 / (sizeof(float) * (Size) spec->dim);
	most = Min(Max(most, 256), MAX_RESIDUALS);
	residuals = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(float) * most * (Size) spec->dim);
	n = ivf_training_residuals(training, residuals, most);
	scratch = MemoryContextAllocHuge(CurrentMemoryContext, listcode_train_scratch(spec, n) + PG_CACHE_LINE_SIZE);
	listcode_train(spec, residuals, n, trained, (void *) CACHELINEALIGN(scratch), tick, NULL);
	pfree(scratch);
	pfree(residuals);
	return trained;
}

/*
 * Whether the index may stay as it was made.  A small sample of many rows is
 * what memory had room for, and nothing that an insert should make good.
 */
static bool
learned_enough(const IvfTraining *training)
{
	return training->nsample > 0 && Max((double) training->nsample, training->rows) >= ENOUGH_TO_LEARN;
}

/* Centroids as the directory will have them. */
static void
round_centroids(const IvfTraining *training, const IvfParams *params)
{
	const ListCodeSpec *spec = &params->spec;
	Quantizer	route;

	quant_init(&route, params->route, ivf_route_metric(spec->metric), spec->dim,
			   training->nsample > 0 ? training->mean : NULL, spec->seed);
	ivf_round_centroids(&route, spec->kind, training->centroids, training->lists);
}

/* Centroids and all else that is learned, and the index's pages but the lists. */
static void
create_from_sample(Relation heap, Relation index, IndexInfo *info, const IvfParams *params,
				   MemoryContext context, IvfTraining *training)
{
	IvfTrainParams train = {
		.opclass = params->opclass,
		.kind = params->spec.kind,
		.dim = params->spec.dim,
		.lists = params->lists,
		.seed = params->spec.seed,
		.share = ivf_share(&params->spec),
		.memory = (Size) maintenance_work_mem * 1024
	};
	MemoryContext old;

	ivf_train(heap, index, info, &train, context, training);
	old = MemoryContextSwitchTo(context);
	round_centroids(training, params);
	ivf_create(index, MAIN_FORKNUM, params, training->nsample > 0 ? training->mean : NULL,
			   train_codes(training, &params->spec), learned_enough(training),
			   training->lists, training->centroids);
	MemoryContextSwitchTo(old);
	ivf_training_forget(training);
}

IndexBuildResult *
ivf_build(Relation heap, Relation index, IndexInfo *info)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf training", ALLOCSET_DEFAULT_SIZES);
	IndexBuildResult *result = palloc0(sizeof(IndexBuildResult));
	IvfTraining training = {0};
	BuildShared shared;
	BuildState	state;
	IvfParams	params;
	int			workers;

	if (RelationGetNumberOfBlocks(index) != 0)
		elog(ERROR, "index \"%s\" already contains data", RelationGetRelationName(index));
	ivf_params_read(index, &params);
	create_from_sample(heap, index, info, &params, context, &training);

	pg_atomic_init_u64(&shared.nindexed, 0);
	build_begin(&state, index, &shared, true);
	pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_ASSIGN);
	workers = vecidx_parallel_workers(heap, index, training.rows, ROWS_PER_WORKER);
	if (workers == 0 || !build_together(&state, heap, info, &training, workers, &result->heap_tuples))
		result->heap_tuples = build_alone(&state, heap, info, &training);
	result->index_tuples = pg_atomic_read_u64(&shared.nindexed);
	MemoryContextDelete(state.context);
	MemoryContextDelete(context);

	if (RelationNeedsWAL(index))
	{
		pgstat_progress_update_param(PROGRESS_CREATEIDX_SUBPHASE, PROGRESS_IVF_PHASE_LOG);
		log_newpage_range(index, MAIN_FORKNUM, 0, RelationGetNumberOfBlocks(index), true);
	}
	return result;
}

/* An index without rows: one list around zero, and codes that have learned from nothing. */
void
ivf_buildempty(Relation index)
{
	IvfTraining nothing = {0};
	IvfParams	params;

	ivf_params_read(index, &params);
	nothing.dim = params.spec.dim;
	ivf_create(index, INIT_FORKNUM, &params, NULL, train_codes(&nothing, &params.spec), false, 1, NULL);
}
