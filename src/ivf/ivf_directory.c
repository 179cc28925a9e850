/*
 * ivf_directory.c
 *		The lists of an index: entries, centroids, and the way from a vector to
 *		the lists nearest to it.
 */
#include "vecidx.h"

#include <float.h>
#include <math.h>

#include "access/transam.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/procarray.h"
#include "utils/snapmgr.h"

/* Codes scored by one call. */
#define SCORE_BATCH 64

/*
 * For the nearest list a centroid is compared exactly if its estimate less so
 * many standard errors could beat the best.
 */
#define NEAREST_ERRORS 3.0

Metric
ivf_route_metric(Metric metric)
{
	return metric == METRIC_IP || metric == METRIC_COSINE ? METRIC_L2 : metric;
}

/* ---- Entries and centroids in the making ---- */

/* What turns centroids into entries. */
typedef struct EntryMaker
{
	const Quantizer *route;
	Metric		metric;
	Size		centroid_size;
	void	   *scratch;
} EntryMaker;

static void
entry_maker_init(EntryMaker *maker, const Quantizer *route, Metric metric, MemoryContext context)
{
	maker->route = route;
	maker->metric = metric;
	maker->centroid_size = ivf_centroid_size(quant_elements(route->kind), route->dim);
	maker->scratch = vecidx_alloc_aligned(context, route->scratch_size + 1);
}

static float4
centroid_norm(const EntryMaker *maker, const void *centroid)
{
	double		sum;

	if (maker->metric != METRIC_IP)
		return 0;
	sum = simd_get()->sumsq_f32(centroid, maker->route->dim);
	return (float4) Min(sum, (double) (FLT_MAX / 4));
}

/* All of an entry but its chain. */
static void
make_entry(const EntryMaker *maker, const void *centroid, IvfEntry entry)
{
	entry->norm = centroid_norm(maker, centroid);
	quant_encode(maker->route, centroid, entry->code, maker->scratch);
}

void
ivf_round_centroids(const Quantizer *route, ListCodeKind kind, float *centroids, uint32 n)
{
	uint8	   *code;
	void	   *scratch;

	if (quant_exact(route->kind) || !ivf_coded_centroids(kind, route->kind, route->dim))
		return;
	code = palloc0(quant_code_size(route->kind, route->metric, route->dim) + SIMD_SLACK);
	scratch = vecidx_alloc_aligned(CurrentMemoryContext, route->scratch_size + 1);
	for (uint32 i = 0; i < n; i++)
	{
		float	   *centroid = centroids + (Size) i * route->dim;

		CHECK_FOR_INTERRUPTS();
		quant_encode(route, centroid, code, scratch);
		quant_decode(route, code, centroid, scratch);
	}
	pfree(code);
}

struct IvfUnitWriter
{
	MemoryContext context;		/* of all this */
	Quantizer	route;
	EntryMaker	maker;
	Size		entry_size;
	uint32		entries;		/* of a unit */
	uint32		centroid_pages;
	void	   *zero;			/* a centroid */
	char	   *directory;		/* contents of the unit's pages */
	char	   *centroids;
	uint32		used;			/* lists of this unit */
};

IvfUnitWriter *
ivf_unit_writer(const IvfMetaPageData *meta, const float *origin)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf unit", ALLOCSET_DEFAULT_SIZES);
	IvfUnitWriter *writer = MemoryContextAllocZero(context, sizeof(IvfUnitWriter));
	Size		size;

	writer->context = context;
	quant_init(&writer->route, meta->route, ivf_route_metric(meta->metric), (int) meta->dim, origin, meta->seed);
	entry_maker_init(&writer->maker, &writer->route, meta->metric, context);
	size = writer->maker.centroid_size;
	writer->entry_size = meta->entry_size;
	writer->entries = meta->entries_per_page;
	writer->centroid_pages = meta->centroid_pages;
	writer->zero = MemoryContextAllocZero(context, size);
	writer->directory = MemoryContextAlloc(context, writer->entry_size * writer->entries);
	writer->centroids = MemoryContextAlloc(context, writer->centroid_pages > 0 ? size * writer->entries : 1);
	return writer;
}

void
ivf_unit_writer_free(IvfUnitWriter *writer)
{
	MemoryContextDelete(writer->context);
}

void
ivf_unit_prepare(IvfUnitWriter *writer, uint32 unit, uint32 nlists, const void *centroids)
{
	uint32		first = unit * writer->entries;
	Size		size = writer->maker.centroid_size;

	memset(writer->directory, 0, writer->entry_size * writer->entries);
	writer->used = first < nlists ? Min(nlists - first, writer->entries) : 0;
	for (uint32 i = 0; i < writer->used; i++)
	{
		IvfEntry	entry = (IvfEntry) (writer->directory + i * writer->entry_size);
		const void *centroid = centroids == NULL ? writer->zero :
			(const char *) centroids + (Size) (first + i) * size;

		entry->state = IVF_LIST_USED;
		entry->generation = ivf_generation();
		ItemPointerSetInvalid(&entry->head);
		ItemPointerSetInvalid(&entry->tail);
		make_entry(&writer->maker, centroid, entry);
		if (writer->centroid_pages > 0)
			memcpy(writer->centroids + i * size, centroid, size);
	}
}

Size
ivf_unit_page(const IvfUnitWriter *writer, uint32 i, char *contents)
{
	Size		size;
	Size		start;

	if (i == 0)
	{
		memcpy(contents, writer->directory, writer->entry_size * writer->entries);
		return writer->entry_size * writer->entries;
	}
	start = (i - 1) * IVF_CENTROID_PAGE_BYTES;
	size = writer->maker.centroid_size * writer->used;
	if (size > start)
		memcpy(contents, writer->centroids + start, Min(size - start, IVF_CENTROID_PAGE_BYTES));
	return IVF_CENTROID_PAGE_BYTES;
}

/* ---- Reading ---- */

static inline uint32
unit_pages(const IvfIndex *ivf)
{
	return 1 + ivf->centroid_pages;
}

/* What is wrong with a page of a unit, or NULL. */
static const char *
unit_page_problem(const IvfIndex *ivf, Page page, uint32 unit, uint32 i)
{
	const char *problem = vecidx_page_problem(page, i == 0 ? VECIDX_PAGE_DIRECTORY : VECIDX_PAGE_CENTROID, IVF_VERSION);

	if (unlikely(problem != NULL))
		return problem;
	if (unlikely(VecidxPageGetOpaque(page)->ordinal != unit ||
				 ((PageHeader) page)->pd_lower < MAXALIGN(SizeOfPageHeaderData) +
				 (i == 0 ? ivf->entry_size * ivf->entries_per_page : IVF_CENTROID_PAGE_BYTES)))
		return "page of the directory is not in its place";
	return NULL;
}

/*
 * A page of a unit, locked and checked: i = 0 is the directory page.
 * InvalidBuffer if the index has another uid by now, and so another directory,
 * and the page has become something else: on the primary that waits until no
 * snapshot is left that the page was read under, but not on a standby.
 */
static Buffer
try_unit_page(IvfIndex *ivf, Relation index, uint32 unit, uint32 i, int lockmode)
{
	Buffer		buffer = pagemem_pin(&ivf->unit_memory.slots[unit * unit_pages(ivf) + i], index);
	const char *problem;
	BlockNumber block;

	LockBuffer(buffer, lockmode);
	problem = unit_page_problem(ivf, BufferGetPage(buffer), unit, i);
	if (likely(problem == NULL))
		return buffer;
	block = BufferGetBlockNumber(buffer);
	UnlockReleaseBuffer(buffer);
	/* the metapage changes before the pages do */
	if (ivf_index_refresh(ivf, index))
		vecidx_corrupted(index, block, -1, problem);
	return InvalidBuffer;
}

/* What is to be read, or written, by those whose directory cannot be taken away. */
pg_noreturn static void
directory_gone(Relation index)
{
	vecidx_corrupted(index, IVF_META_BLOCK, -1, "the directory was replaced under who works with it");
}

static Buffer
lock_unit_page(IvfIndex *ivf, Relation index, uint32 unit, uint32 i, int lockmode)
{
	Buffer		buffer = try_unit_page(ivf, index, unit, i, lockmode);

	if (unlikely(!BufferIsValid(buffer)))
		directory_gone(index);
	return buffer;
}

static void
check_list(const IvfIndex *ivf, Relation index, uint32 list)
{
	if (unlikely(list >= ivf->nlists))
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "a list does not exist");
}

/* The same as ivf_directory_entry(), but InvalidBuffer if the directory is gone. */
static Buffer
try_entry(IvfIndex *ivf, Relation index, uint32 list, int lockmode, IvfEntry *entry)
{
	Buffer		buffer;

	check_list(ivf, index, list);
	buffer = try_unit_page(ivf, index, list / ivf->entries_per_page, 0, lockmode);
	if (unlikely(!BufferIsValid(buffer)))
		return InvalidBuffer;
	*entry = IvfPageGetEntry(BufferGetPage(buffer), ivf->entry_size, list % ivf->entries_per_page);
	if (unlikely((*entry)->state > IVF_LIST_USED ||
				 ItemPointerIsValid(&(*entry)->head) != ItemPointerIsValid(&(*entry)->tail)))
		vecidx_corrupted(index, BufferGetBlockNumber(buffer), list % ivf->entries_per_page,
						 "entry of a list contradicts itself");
	return buffer;
}

Buffer
ivf_directory_entry(IvfIndex *ivf, Relation index, uint32 list, int lockmode, IvfEntry *entry)
{
	Buffer		buffer = try_entry(ivf, index, list, lockmode, entry);

	if (unlikely(!BufferIsValid(buffer)))
		directory_gone(index);
	return buffer;
}

void
ivf_entry_copy(const IvfEntryData *entry, uint32 list, IvfListCopy *copy)
{
	copy->list = list;
	copy->head = entry->head;
	copy->tail = entry->tail;
	copy->generation = entry->generation;
	copy->rows = entry->rows;
	copy->segments = entry->segments;
	copy->state = entry->state;
	copy->changed = entry->changed;
	copy->spread = entry->spread;
	copy->born = entry->born;
}

bool
ivf_entry_try(IvfIndex *ivf, Relation index, uint32 list, IvfListCopy *copy)
{
	IvfEntry	entry;
	Buffer		buffer = try_entry(ivf, index, list, BUFFER_LOCK_SHARE, &entry);

	if (unlikely(!BufferIsValid(buffer)))
		return false;
	ivf_entry_copy(entry, list, copy);
	UnlockReleaseBuffer(buffer);
	return true;
}

void
ivf_entry_read(IvfIndex *ivf, Relation index, uint32 list, IvfListCopy *copy)
{
	if (unlikely(!ivf_entry_try(ivf, index, list, copy)))
		directory_gone(index);
}

bool
ivf_centroid_try(IvfIndex *ivf, Relation index, uint32 list, void *centroid)
{
	uint32		unit = list / ivf->entries_per_page;
	uint32		slot = list % ivf->entries_per_page;
	Size		size = ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
	Size		start = slot * size;
	Size		done = 0;

	if (ivf->centroid_pages == 0)
	{
		IvfEntry	entry;
		Buffer		buffer = try_entry(ivf, index, list, BUFFER_LOCK_SHARE, &entry);

		if (unlikely(!BufferIsValid(buffer)))
			return false;
		if (ivf->code.spec.elements == QUANT_BIT_STRING)
			memcpy(centroid, entry->code, size);
		else
			quant_decode(&ivf->route, entry->code, centroid, NULL);
		UnlockReleaseBuffer(buffer);
		return true;
	}
	check_list(ivf, index, list);
	while (done < size)
	{
		uint32		page = (uint32) ((start + done) / IVF_CENTROID_PAGE_BYTES);
		Size		offset = (start + done) % IVF_CENTROID_PAGE_BYTES;
		Size		n = Min(size - done, IVF_CENTROID_PAGE_BYTES - offset);
		Buffer		buffer = try_unit_page(ivf, index, unit, 1 + page, BUFFER_LOCK_SHARE);

		if (unlikely(!BufferIsValid(buffer)))
			return false;
		memcpy((char *) centroid + done, PageGetContents(BufferGetPage(buffer)) + offset, n);
		UnlockReleaseBuffer(buffer);
		done += n;
	}
	return true;
}

void
ivf_centroid_read(IvfIndex *ivf, Relation index, uint32 list, void *centroid)
{
	if (unlikely(!ivf_centroid_try(ivf, index, list, centroid)))
		directory_gone(index);
}

/* ---- Routing ---- */

void
ivf_route_init(IvfRoute *route, IvfIndex *ivf, MemoryContext context)
{
	memset(route, 0, sizeof(*route));
	route->ivf = ivf;
	route->context = context;
	route->query = vecidx_alloc_aligned(context, ivf->route.query_size);
	route->scratch = vecidx_alloc_aligned(context, ivf->route.scratch_size + 1);
	route->vector = MemoryContextAlloc(context, ivf_centroid_size(ivf->code.spec.elements, ivf->dim));
	route->centroid = MemoryContextAlloc(context, ivf_centroid_size(ivf->code.spec.elements, ivf->dim));
	candidates_init(&route->lists, context);
}

void
ivf_normalise(const float *v, float *result, int dim)
{
	double		scale = 1 / sqrt(simd_get()->sumsq_f32(v, dim));

	for (int i = 0; i < dim; i++)
		result[i] = (float) (v[i] * scale);
}

/* What is compared with centroids: the elements, of length one under cosine. */
static void
route_vector(IvfRoute *route, const void *elements)
{
	const ListCodeSpec *spec = &route->ivf->code.spec;
	Size		size = ivf_centroid_size(spec->elements, spec->dim);

	if (spec->elements == QUANT_FLOATS && spec->metric == METRIC_COSINE)
		ivf_normalise(elements, route->vector, spec->dim);
	else
		memcpy(route->vector, elements, size);
}

/* Of all lists in use. */
typedef struct Sums
{
	double		rows;
	double		known;			/* rows of lists whose spread is known */
	double		spread;			/* theirs */
} Sums;

/* Score the entries of one directory page; false if the directory is gone. */
static bool
score_page(IvfRoute *route, Relation index, uint32 unit, bool probe, Sums *sums)
{
	IvfIndex   *ivf = route->ivf;
	Buffer		buffer = try_unit_page(ivf, index, unit, 0, BUFFER_LOCK_SHARE);
	uint32		first = unit * ivf->entries_per_page;
	uint32		n = Min(ivf->nlists - first, ivf->entries_per_page);
	bool		by_product = probe && ivf->code.spec.metric == METRIC_IP;
	Page		page;

	if (unlikely(!BufferIsValid(buffer)))
		return false;
	page = BufferGetPage(buffer);
	candidates_reserve(&route->lists, n);
	for (uint32 i = 0; i < n;)
	{
		const uint8 *codes[SCORE_BATCH];
		const IvfEntryData *entries[SCORE_BATCH];
		uint32		lists[SCORE_BATCH];
		float		dist[SCORE_BATCH];
		float		err[SCORE_BATCH];
		int			batch = 0;

		for (; i < n && batch < SCORE_BATCH; i++)
		{
			const IvfEntryData *entry = IvfPageGetEntry(page, ivf->entry_size, i);

			if (entry->state != IVF_LIST_USED)
				continue;
			entries[batch] = entry;
			codes[batch] = entry->code;
			lists[batch++] = first + i;
			sums->rows += ivf_rows_known(ivf, entry);
			sums->known += entry->spread > 0 ? entry->rows : 0;
			sums->spread += (double) entry->spread * entry->rows;
		}
		quant_score(route->query, codes, batch, dist, err);
		for (int j = 0; j < batch; j++)
		{
			/* |q - c|^2 - |c|^2 orders lists as -<q, c> does */
			float		d = by_product ? dist[j] - entries[j]->norm : dist[j];
			Candidate	c = {isfinite(d) ? d : FLT_MAX, isfinite(err[j]) ? err[j] : 0, lists[j], 0};

			route->lists.items[route->lists.n++] = c;
		}
	}
	UnlockReleaseBuffer(buffer);
	return true;
}

bool
ivf_route_begin(IvfRoute *route, Relation index, const void *elements, bool probe)
{
	IvfIndex   *ivf = route->ivf;

	route_vector(route, elements);
	quant_query_prepare(&ivf->route, route->vector, route->query, route->scratch);
	if (!ivf_index_refresh(ivf, index))
		return false;
	for (;;)
	{
		Sums		sums = {0};

		route->changes = ivf->changes;
		route->lists.n = 0;
		route->ordered = 0;
		for (uint32 unit = 0; unit * ivf->entries_per_page < ivf->nlists; unit++)
		{
			CHECK_FOR_INTERRUPTS();
			if (!score_page(route, index, unit, probe, &sums))
				return false;
		}
		ivf->rows = sums.rows;
		ivf->spread = sums.known > 0 ? sums.spread / sums.known : 0;
		ivf->used_lists = (uint32) route->lists.n;
		/* none at all: the only one has just become several, behind those that were known */
		if (!probe && route->lists.n > 0)
			return true;
		/* a query must see all lists as they were together, or rows that move may be missed */
		if (!ivf_index_refresh(ivf, index))
			return false;
		if (ivf->changes == route->changes)
			return true;
	}
}

/* Bring the k nearest of n lists to the front, in no order: Hoare's FIND. */
static void
select_nearest(Candidate *items, size_t n, size_t k)
{
	size_t		low = 0;
	size_t		high = n - 1;

	if (k == 0 || k >= n)
		return;
	while (low < high)
	{
		Candidate	pivot = items[low + (high - low) / 2];
		size_t		i = low;
		size_t		j = high;

		for (;;)
		{
			while (candidate_before(&items[i], &pivot))
				i++;
			while (candidate_before(&pivot, &items[j]))
				j--;
			if (i >= j)
				break;
			{
				Candidate	swap = items[i];

				items[i++] = items[j];
				items[j--] = swap;
			}
		}
		if (candidate_before(&pivot, &items[j]))
			j--;
		if (k <= j)
			high = j;
		else
			low = j + 1;
	}
}

size_t
ivf_route_next(IvfRoute *route, Relation index, size_t n)
{
	size_t		left = route->lists.n - route->ordered;
	Candidate  *items = route->lists.items + route->ordered;

	(void) index;
	n = Min(n, left);
	if (n == 0)
		return 0;
	select_nearest(items, left, n);
	candidates_sort(items, n);
	route->ordered += n;
	return n;
}

uint32
ivf_route_nearest(IvfRoute *route, Relation index, void *centroid)
{
	IvfIndex   *ivf = route->ivf;
	Size		size = ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
	uint32		best = IVF_LIST_LIMIT;
	double		best_dist = INFINITY;
	float		bound = FLT_MAX;
	const Candidate *items = route->lists.items;

	/* what surely is as near as this needs no exact distance to be ruled out */
	for (size_t i = 0; i < route->lists.n; i++)
		bound = Min(bound, items[i].dist + (float) NEAREST_ERRORS * items[i].err);
	for (size_t i = 0; i < route->lists.n; i++)
	{
		double		dist;

		if (items[i].dist - (float) NEAREST_ERRORS * items[i].err > bound)
			continue;
		ivf_centroid_read(ivf, index, items[i].node, route->centroid);
		if (ivf->code.spec.elements == QUANT_BIT_STRING)
			dist = metric_rank_bits(ivf->route.metric, (uint8 *) route->vector, (uint8 *) route->centroid, size);
		else
			dist = metric_rank(ivf->route.metric, route->vector, route->centroid, ivf->dim);
		if (best == IVF_LIST_LIMIT || dist < best_dist)
		{
			best = items[i].node;
			best_dist = dist;
			memcpy(centroid, route->centroid, size);
		}
	}
	if (best == IVF_LIST_LIMIT)
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "the index has no list");
	return best;
}

/* ---- Changing ---- */

/* Add units to the directory: their pages, then the metapage. */
static void
grow(IvfIndex *ivf, Relation index)
{
	uint32		pages = unit_pages(ivf);
	uint32		known = ivf->units.npages / pages;
	uint32		n = Max(1, vecidx_extent_size(index, &ivf->units) / pages);
	BlockNumber first = vecidx_extend(index, n * pages, IVF_VERSION, VECIDX_FREE_RESERVED, false);
	PageChange	change;
	Buffer		buffer;
	IvfMetaPage meta;

	for (uint32 i = 0; i < n * pages; i++)
	{
		Page		page;

		CHECK_FOR_INTERRUPTS();
		buffer = vecidx_read(index, first + i, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_FREE, IVF_VERSION);
		page_change_begin(&change, index, false);
		page = page_change_register(&change, buffer, true);
		vecidx_page_init(page, i % pages == 0 ? VECIDX_PAGE_DIRECTORY : VECIDX_PAGE_CENTROID,
						 IVF_VERSION, known + i / pages);
		/* zero is: no list */
		((PageHeader) page)->pd_lower = MAXALIGN(SizeOfPageHeaderData) +
			(i % pages == 0 ? ivf->entry_size * ivf->entries_per_page : IVF_CENTROID_PAGE_BYTES);
		page_change_commit(&change);
		UnlockReleaseBuffer(buffer);
	}
	buffer = vecidx_read(index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	page_change_begin(&change, index, false);
	meta = IvfPageGetMeta(page_change_register(&change, buffer, false));
	vecidx_extent_add(&meta->units, first, n * pages);
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
}

void
ivf_directory_place(IvfIndex *ivf, Relation index, Relation heap, uint32 *lists, int n)
{
	PageChange	change;
	Buffer		buffer;
	IvfMetaPage meta;
	uint32		nlists;
	int			found = 0;

	(void) heap;
	/* free entries that no scan can have read as something else */
	for (uint32 unit = 0; unit * ivf->entries_per_page < ivf->nlists && found < n; unit++)
	{
		uint32		first = unit * ivf->entries_per_page;

		CHECK_FOR_INTERRUPTS();
		buffer = lock_unit_page(ivf, index, unit, 0, BUFFER_LOCK_SHARE);
		for (uint32 i = 0; i < ivf->entries_per_page && first + i < ivf->nlists && found < n; i++)
		{
			const IvfEntryData *entry = IvfPageGetEntry(BufferGetPage(buffer), ivf->entry_size, i);

			/* its chain is given free first, when no scan knows it as in use (ivf_free_replaced()) */
			if (entry->state == IVF_LIST_FREE && !ItemPointerIsValid(&entry->head))
				lists[found++] = first + i;
		}
		UnlockReleaseBuffer(buffer);
	}
	if (found == n)
		return;

	nlists = ivf->nlists + (n - found);
	if (nlists >= IVF_LIST_LIMIT)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("index \"%s\" cannot have more than %u lists", RelationGetRelationName(index), IVF_LIST_LIMIT)));
	while ((uint64) ivf->units.npages / unit_pages(ivf) * ivf->entries_per_page < nlists)
	{
		grow(ivf, index);
		if (!ivf_index_refresh(ivf, index))
			elog(ERROR, "index \"%s\" was made anew under maintenance", RelationGetRelationName(index));
	}
	buffer = vecidx_read(index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	page_change_begin(&change, index, false);
	meta = IvfPageGetMeta(page_change_register(&change, buffer, false));
	while (found < n)
		lists[found++] = meta->nlists++;
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
	(void) ivf_index_refresh(ivf, index);
}

bool
ivf_long_ago(Relation heap, uint64 changed)
{
	return changed == 0 || GlobalVisCheckRemovableFullXid(heap, FullTransactionIdFromU64(changed));
}

/* The exact centroid of a list that is free: nobody reads it. */
static void
write_centroid(IvfIndex *ivf, Relation index, uint32 list, const void *centroid)
{
	Size		size = ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
	Size		start = (list % ivf->entries_per_page) * size;
	Size		done = 0;

	while (done < size)
	{
		Size		offset = (start + done) % IVF_CENTROID_PAGE_BYTES;
		Size		n = Min(size - done, IVF_CENTROID_PAGE_BYTES - offset);
		Buffer		buffer = lock_unit_page(ivf, index, list / ivf->entries_per_page,
											1 + (uint32) ((start + done) / IVF_CENTROID_PAGE_BYTES), BUFFER_LOCK_EXCLUSIVE);
		PageChange	change;

		page_change_begin(&change, index, false);
		page_change_write(&change, buffer, MAXALIGN(SizeOfPageHeaderData) + offset, (const char *) centroid + done, n);
		page_change_commit(&change);
		UnlockReleaseBuffer(buffer);
		done += n;
	}
}

/* The entry of a list that is free, but for what is published. */
static void
write_centroid_code(IvfIndex *ivf, Relation index, const EntryMaker *maker, const IvfListChange *new, IvfEntry made)
{
	IvfEntry	entry;
	Buffer		buffer = ivf_directory_entry(ivf, index, new->list, BUFFER_LOCK_EXCLUSIVE, &entry);
	PageChange	change;

	if (entry->state != IVF_LIST_FREE)
		vecidx_corrupted(index, BufferGetBlockNumber(buffer), new->list % ivf->entries_per_page, "a new list is in use");
	memcpy(made, entry, ivf->entry_size);
	make_entry(maker, new->centroid, made);
	made->spread = new->spread;
	made->born = new->born;
	page_change_begin(&change, index, false);
	page_change_write(&change, buffer, (char *) entry - (char *) BufferGetPage(buffer), made, ivf->entry_size);
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
}

/* Directory pages in one WAL record, beside the metapage. */
#define PUBLISH_PAGES (MAX_GENERIC_XLOG_PAGES - 1)

/* How many of the changes are on so few pages, and in units[] which, ascending. */
static int
publish_group(const IvfIndex *ivf, const IvfPendingData *pending, int n, uint32 *units, int *nunits)
{
	int			done = 0;

	*nunits = 0;
	for (; done < n; done++)
	{
		uint32		unit = pending[done].list / ivf->entries_per_page;
		int			at = 0;

		while (at < *nunits && units[at] < unit)
			at++;
		if (at < *nunits && units[at] == unit)
			continue;
		if (*nunits == PUBLISH_PAGES)
			break;
		memmove(&units[at + 1], &units[at], sizeof(uint32) * (*nunits - at));
		units[at] = unit;
		(*nunits)++;
	}
	return done;
}

/*
 * Write the first of these entries, as many as one record takes, and leave the
 * others pending.  The metapage is locked.  Returns how many were written.
 */
static int
publish_some(IvfIndex *ivf, Relation index, Buffer metabuffer, const IvfPendingData *pending, int n)
{
	uint32		units[PUBLISH_PAGES];
	Buffer		buffers[PUBLISH_PAGES];
	Page		pages[PUBLISH_PAGES];
	int			nunits;
	int			done = publish_group(ivf, pending, n, units, &nunits);
	PageChange	change;
	IvfMetaPage meta;
	uint64		now;

	for (int i = 0; i < done; i++)
		check_list(ivf, index, pending[i].list);
	for (int i = 0; i < nunits; i++)
		buffers[i] = lock_unit_page(ivf, index, units[i], 0, BUFFER_LOCK_EXCLUSIVE);

	/* every scan that has read the entries as they were has its snapshot by now */
	now = U64FromFullTransactionId(ReadNextFullTransactionId());
	page_change_begin(&change, index, false);
	meta = IvfPageGetMeta(page_change_register(&change, metabuffer, false));
	meta->changes++;
	meta->npending = n - done;
	memmove(meta->pending, pending + done, sizeof(IvfPendingData) * (n - done));
	for (int i = 0; i < nunits; i++)
		pages[i] = page_change_register(&change, buffers[i], false);
	for (int i = 0; i < done; i++)
	{
		uint32		unit = pending[i].list / ivf->entries_per_page;
		IvfEntry	entry = NULL;

		for (int j = 0; j < nunits; j++)
			if (units[j] == unit)
				entry = IvfPageGetEntry(pages[j], ivf->entry_size, pending[i].list % ivf->entries_per_page);
		entry->head = pending[i].head;
		entry->tail = pending[i].tail;
		entry->generation = pending[i].generation;
		entry->rows = pending[i].rows;
		entry->segments = pending[i].segments;
		entry->state = pending[i].state;
		entry->changed = now;
	}
	page_change_commit(&change);
	for (int i = 0; i < nunits; i++)
		UnlockReleaseBuffer(buffers[i]);
	return done;
}

bool
ivf_directory_finish(IvfIndex *ivf, Relation index)
{
	for (;;)
	{
		IvfPendingData pending[IVF_MAX_PENDING];
		Buffer		buffer;
		IvfMetaPage meta;
		int			n;

		if (!ivf_index_refresh(ivf, index))
			return false;
		if (ivf->npending == 0)
			return true;
		buffer = vecidx_read(index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
		meta = IvfPageGetMeta(BufferGetPage(buffer));
		n = (int) meta->npending;
		memcpy(pending, meta->pending, sizeof(IvfPendingData) * n);
		if (n > 0)
			(void) publish_some(ivf, index, buffer, pending, n);
		UnlockReleaseBuffer(buffer);
	}
}

/* A build has the index for itself. */
static void
publish_built(IvfIndex *ivf, Relation index, const IvfListChange *changes, int n)
{
	for (int i = 0; i < n; i++)
	{
		IvfEntry	entry;
		Buffer		buffer = ivf_directory_entry(ivf, index, changes[i].list, BUFFER_LOCK_EXCLUSIVE, &entry);

		entry->head = changes[i].head;
		entry->tail = changes[i].tail;
		entry->generation = changes[i].generation;
		entry->rows = changes[i].rows;
		entry->segments = changes[i].segments;
		entry->state = changes[i].state;
		entry->spread = changes[i].spread;
		entry->born = changes[i].born;
		MarkBufferDirty(buffer);
		UnlockReleaseBuffer(buffer);
	}
}

void
ivf_directory_publish(IvfIndex *ivf, Relation index, const IvfListChange *changes, int n, bool building)
{
	IvfPendingData pending[IVF_MAX_PENDING];
	MemoryContext context;
	EntryMaker	maker;
	IvfEntry	image;
	Buffer		buffer;
	uint32		units[PUBLISH_PAGES];
	int			nunits;

	if (building)
	{
		publish_built(ivf, index, changes, n);
		return;
	}
	if (n > IVF_MAX_PENDING)
		elog(ERROR, "too many lists change at once");
	context = AllocSetContextCreate(CurrentMemoryContext, "ivf entries", ALLOCSET_SMALL_SIZES);
	image = MemoryContextAlloc(context, ivf->entry_size);
	entry_maker_init(&maker, &ivf->route, ivf->code.spec.metric, context);
	for (int i = 0; i < n; i++)
	{
		const IvfListChange *new = &changes[i];

		pending[i].list = new->list;
		pending[i].generation = new->generation;
		pending[i].head = new->head;
		pending[i].tail = new->tail;
		pending[i].rows = new->rows;
		pending[i].segments = new->segments;
		pending[i].state = new->state;
		if (new->centroid == NULL)
			continue;
		if (ivf->centroid_pages > 0)
			write_centroid(ivf, index, new->list, new->centroid);
		write_centroid_code(ivf, index, &maker, new, image);
	}
	MemoryContextDelete(context);

	buffer = vecidx_read(index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	if (publish_group(ivf, pending, n, units, &nunits) == n)
		(void) publish_some(ivf, index, buffer, pending, n);
	else
	{
		PageChange	change;
		IvfMetaPage meta;

		page_change_begin(&change, index, false);
		meta = IvfPageGetMeta(page_change_register(&change, buffer, false));
		meta->npending = n;
		memcpy(meta->pending, pending, sizeof(IvfPendingData) * n);
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
	(void) ivf_directory_finish(ivf, index);
}
