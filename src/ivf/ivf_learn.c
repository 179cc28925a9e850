/*
 * ivf_learn.c
 *		An index that was made from too few rows learns when there are enough:
 *		a small build in the place of a split.
 *
 * All that a build makes is made beside what is there: chains, trained data, a
 * directory.  One change of the metapage, with a new uid, puts it in
 * the place of the old.  Who has the old index in memory finds all lists closed
 * and the uid another (inserts), or reads on in the old directory and chains
 * (scans): these stay until the horizon has passed the new entries' `changed`,
 * and then VACUUM gives them free.
 */
#include "vecidx.h"

#include <float.h>
#include <math.h>

#include "access/transam.h"
#include "ivf/ivf.h"
#include "ivf/ivf_train.h"
#include "ivf/ivf_work.h"
#include "miscadmin.h"
#include "quant/kmeans.h"

/* Rows to learn from at least: of PQ, for each pattern of a part. */
#define ENOUGH_ROWS 1000
#define ROWS_A_PATTERN 16

/* But no more than so many bytes of vectors. */
#define MOST_BYTES ((double) 64 * 1024 * 1024)

bool
ivf_learn_wanted(const IvfIndex *ivf)
{
	return !ivf->learned && ivf->code.spec.elements == QUANT_FLOATS;
}

bool
ivf_learn_enough(const IvfIndex *ivf, double rows)
{
	double		enough = ENOUGH_ROWS;

	if (ivf->code.spec.kind == LISTCODE_PQ)
		enough = Max(enough, (double) (ROWS_A_PATTERN << ivf->code.spec.bits));
	enough = Min(enough, MOST_BYTES / (sizeof(float) * ivf->dim));
	return rows >= enough;
}

/* All rows of the index; its lists are closed. */
typedef struct AllRows
{
	IvfRows		rows;
	float	   *vectors;
	size_t		n;
} AllRows;

/* A list without a segment cannot be closed: take it out of use. */
static void
retire_empty(IvfWork *work, uint32 list)
{
	IvfEntry	entry;
	Buffer		buffer = ivf_directory_entry(work->ivf, work->index, list, BUFFER_LOCK_EXCLUSIVE, &entry);

	if (entry->state == IVF_LIST_USED && !ItemPointerIsValid(&entry->tail))
	{
		uint32		state = IVF_LIST_FREE;
		PageChange	change;

		page_change_begin(&change, work->index, false);
		page_change_write(&change, buffer, (char *) &entry->state - (char *) BufferGetPage(buffer), &state, sizeof(state));
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
}

static void
gather(IvfWork *work, AllRows *all)
{
	IvfIndex   *ivf = work->ivf;
	void	   *centroid = palloc(work->vector_size);
	size_t		room = 0;

	ivf_rows_init(&all->rows, &ivf->code, ivf->filters, work->context);
	all->vectors = NULL;
	all->n = 0;
	for (uint32 list = 0; list < ivf->nlists; list++)
	{
		IvfListCopy copy;

		retire_empty(work, list);
		if (!ivf_work_close(work, list, &copy))
			continue;
		ivf_centroid_read(ivf, work->index, list, centroid);
		ivf_chain_read(ivf, work->index, &copy, &all->rows);
		if (all->rows.n > room)
		{
			room = Max(all->rows.n, 2 * room);
			all->vectors = all->vectors == NULL ? MemoryContextAllocHuge(work->context, room * work->vector_size) :
				repalloc_huge(all->vectors, room * work->vector_size);
		}
		for (; all->n < all->rows.n; all->n++)
		{
			CHECK_FOR_INTERRUPTS();
			ivf_work_vector(work, &all->rows, all->n, centroid, true, all->vectors + all->n * ivf->dim);
		}
	}
	pfree(centroid);
}

static void
tick(void *arg)
{
	(void) arg;
	CHECK_FOR_INTERRUPTS();
}

/* What was learned, and the lists as they are to be. */
typedef struct Learned
{
	IvfIndex	ivf;			/* with the new origin, codes and route */
	float	   *origin;
	void	   *trained;
	uint32		nlists;
	uint32		nentries;		/* of the directory: as many as before at least, for segments name their lists */
	float	   *centroids;
	const uint32 *list_of;		/* by row */
	IvfListChange *lists;
} Learned;

static void
find_centroids(IvfWork *work, const AllRows *all, Learned *learned)
{
	IvfIndex   *ivf = work->ivf;
	uint32		wanted = ivf->lists_wanted > 0 ? ivf->lists_wanted : ivf_default_lists(ivf->code.spec.kind, ivf->dim, (double) all->n);
	KMeansSpec	spec = {0};
	KMeans		km = {0};
	void	   *block;

	spec.metric = ivf->code.spec.metric;
	spec.elements = KMEANS_F32;
	spec.dim = ivf->dim;
	spec.n = all->n;
	spec.k = (int) Max(1, Min(wanted, all->n / 64));
	spec.seed = ivf->code.spec.seed;
	spec.share = ivf_share(&ivf->code.spec);
	block = vecidx_alloc_aligned(work->context, kmeans_block_size(&spec));
	kmeans_init(block, &spec);
	kmeans_open(&km, block, all->vectors, vecidx_alloc_aligned(work->context, kmeans_scratch_size(&spec) + 1));
	km.tick = tick;
	kmeans_run(&km);
	learned->nlists = (uint32) kmeans_count(&km);
	learned->nentries = Max(learned->nlists, ivf->nlists);
	learned->centroids = unconstify(float *, (const float *) kmeans_centroids(&km));
	learned->list_of = kmeans_assigned(&km);
}

/* Origin and codes. */
static void
train(IvfWork *work, const AllRows *all, Learned *learned)
{
	IvfIndex   *ivf = work->ivf;
	ListCodeSpec spec = ivf->code.spec;
	double	   *sums = palloc0(sizeof(double) * ivf->dim);
	Size		size = listcode_trained_size(&spec);
	Quantizer	route;

	learned->origin = MemoryContextAlloc(work->context, sizeof(float) * ivf->dim);
	for (size_t i = 0; i < all->n; i++)
		for (int j = 0; j < ivf->dim; j++)
			sums[j] += all->vectors[i * ivf->dim + j];
	for (int j = 0; j < ivf->dim; j++)
		learned->origin[j] = (float) (sums[j] / (double) all->n);
	pfree(sums);
	quant_init(&route, ivf->route.kind, ivf->route.metric, ivf->dim, learned->origin, ivf->route.seed);
	ivf_round_centroids(&route, spec.kind, learned->centroids, learned->nlists);
	if (size > 0)
	{
		float	   *residuals = MemoryContextAllocHuge(work->context, all->n * work->vector_size);

		for (size_t i = 0; i < all->n; i++)
			for (int j = 0; j < ivf->dim; j++)
				residuals[i * ivf->dim + j] = all->vectors[i * ivf->dim + j] -
					learned->centroids[(Size) learned->list_of[i] * ivf->dim + j];
		learned->trained = vecidx_alloc_aligned(work->context, size);
		listcode_train(&spec, residuals, all->n, learned->trained,
					   vecidx_alloc_aligned(work->context, listcode_train_scratch(&spec, all->n) + 1), tick, NULL);
		pfree(residuals);
	}
	learned->ivf = *ivf;
	learned->ivf.origin = learned->origin;
	listcode_init(&learned->ivf.code, &spec, learned->origin, learned->trained);
}

/* The new lists' chains; nothing refers to them yet. */
static void
write_chains(IvfWork *work, const AllRows *all, Learned *learned)
{
	IvfIndex   *ivf = &learned->ivf;
	const ListCode *code = &ivf->code;
	void	   *scratch = vecidx_alloc_aligned(work->context, code->scratch_size + 1);
	uint8	   *made = MemoryContextAllocZero(work->context, code->code_size + SIMD_SLACK);
	IvfRows    *lists = MemoryContextAllocZero(work->context, sizeof(IvfRows) * learned->nlists);
	double	   *spreads = MemoryContextAllocZero(work->context, sizeof(double) * learned->nlists);

	learned->lists = MemoryContextAllocZero(work->context, sizeof(IvfListChange) * learned->nlists);
	for (uint32 i = 0; i < learned->nlists; i++)
		ivf_rows_init(&lists[i], code, ivf->filters, work->context);
	for (size_t i = 0; i < all->n; i++)
	{
		uint32		list = learned->list_of[i];
		float		factors[2] = {0, 0};
		const uint8 *bytes = all->rows.codes + i * code->code_size;

		CHECK_FOR_INTERRUPTS();
		spreads[list] += metric_rank(ivf->route.metric, all->vectors + i * ivf->dim,
									 learned->centroids + (Size) list * ivf->dim, ivf->dim);
		if (!code->exact)
		{
			listcode_encode(code, all->vectors + i * ivf->dim, learned->centroids + (Size) list * ivf->dim,
							factors, made, scratch);
			bytes = made;
		}
		ivf_rows_add(&lists[list], factors, bytes, ivf_rows_filters(&all->rows, i), &all->rows.tids[i]);
	}
	for (uint32 i = 0; i < learned->nlists; i++)
	{
		IvfListChange *list = &learned->lists[i];
		IvfChain	chain;

		list->list = i;
		list->generation = ivf_generation();
		list->born = (uint32) lists[i].n;
		list->spread = (float4) Min(spreads[i] / (double) Max(lists[i].n, 1), (double) FLT_MAX / 4);
		ivf_chain_write(ivf, work->index, i, list->generation, &lists[i], NULL, lists[i].n, &chain);
		list->head = chain.head;
		list->tail = chain.tail;
		list->rows = chain.rows;
		list->segments = chain.segments;
	}
}

/* Give a reserved page its contents. */
static void
write_page(Relation index, BlockNumber block, VecidxPageKind kind, uint32 ordinal, const char *contents, Size size)
{
	Buffer		buffer = vecidx_read(index, block, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_FREE, IVF_VERSION);
	PageChange	change;
	Page		page;

	page_change_begin(&change, index, false);
	page = page_change_register(&change, buffer, true);
	vecidx_page_init(page, kind, IVF_VERSION, ordinal);
	memcpy(PageGetContents(page), contents, size);
	((PageHeader) page)->pd_lower = MAXALIGN(SizeOfPageHeaderData) + size;
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
}

static void
write_trained(IvfWork *work, const Learned *learned, IvfMetaPageData *meta)
{
	Size		origin = sizeof(float4) * (Size) meta->dim;
	Size		size = origin + meta->trained_size;
	char	   *blob = MemoryContextAllocHuge(work->context, size);

	memcpy(blob, learned->origin, origin);
	if (meta->trained_size > 0)
		memcpy(blob + origin, learned->trained, meta->trained_size);
	meta->has_origin = 1;
	meta->ntrained_blocks = (uint32) ((size + IVF_BLOB_PAGE_BYTES - 1) / IVF_BLOB_PAGE_BYTES);
	meta->trained_block = vecidx_extend(work->index, meta->ntrained_blocks, IVF_VERSION, VECIDX_FREE_RESERVED, false);
	for (uint32 i = 0; i < meta->ntrained_blocks; i++)
	{
		Size		start = i * IVF_BLOB_PAGE_BYTES;

		CHECK_FOR_INTERRUPTS();
		write_page(work->index, meta->trained_block + i, VECIDX_PAGE_TRAINED, i, blob + start,
				   Min(size - start, IVF_BLOB_PAGE_BYTES));
	}
}

static void
write_units(IvfWork *work, const Learned *learned, const IvfMetaPageData *meta, BlockNumber first, uint32 nunits,
			uint64 changed)
{
	IvfUnitWriter *writer = ivf_unit_writer(meta, learned->origin);
	uint32		pages = 1 + meta->centroid_pages;
	char	   *contents = palloc0(BLCKSZ);

	for (uint32 unit = 0; unit < nunits; unit++)
	{
		ivf_unit_prepare(writer, unit, learned->nlists, learned->centroids);
		for (uint32 i = 0; i < pages; i++)
		{
			Size		size;

			memset(contents, 0, BLCKSZ);
			size = ivf_unit_page(writer, i, contents);
			for (uint32 j = 0; i == 0 && j < meta->entries_per_page; j++)
			{
				IvfEntry	entry = (IvfEntry) (contents + (Size) j * meta->entry_size);
				uint32		list = unit * meta->entries_per_page + j;

				if (list >= learned->nentries)
					break;
				entry->changed = changed;
				if (list >= learned->nlists)
					continue;
				entry->head = learned->lists[list].head;
				entry->tail = learned->lists[list].tail;
				entry->generation = learned->lists[list].generation;
				entry->rows = learned->lists[list].rows;
				entry->spread = learned->lists[list].spread;
				entry->born = learned->lists[list].born;
				entry->segments = learned->lists[list].segments;
			}
			write_page(work->index, first + unit * pages + i, i == 0 ? VECIDX_PAGE_DIRECTORY : VECIDX_PAGE_CENTROID,
					   unit, contents, size);
		}
	}
	ivf_unit_writer_free(writer);
	pfree(contents);
}

/* Put it all in the place of the old. */
static void
publish(IvfWork *work, const Learned *learned)
{
	IvfMetaPageData *meta = palloc(sizeof(IvfMetaPageData));
	Buffer		buffer = vecidx_read(work->index, IVF_META_BLOCK, BUFFER_LOCK_SHARE, VECIDX_PAGE_META, IVF_VERSION);
	PageChange	change;
	uint32		nunits;
	BlockNumber units;
	uint64		now;

	memcpy(meta, IvfPageGetMeta(BufferGetPage(buffer)), sizeof(IvfMetaPageData));
	UnlockReleaseBuffer(buffer);
	write_trained(work, learned, meta);
	nunits = (learned->nentries + meta->entries_per_page - 1) / meta->entries_per_page;
	units = vecidx_extend(work->index, nunits * (1 + meta->centroid_pages), IVF_VERSION, VECIDX_FREE_RESERVED, false);
	memset(&meta->units, 0, sizeof(meta->units));
	vecidx_extent_add(&meta->units, units, nunits * (1 + meta->centroid_pages));
	if (!pg_strong_random(&meta->uid, sizeof(meta->uid)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	meta->learned = 1;
	meta->nlists = learned->nentries;

	/*
	 * Every scan looks at the metapage before it reads entries.  Those that have
	 * done so took their snapshots before this.
	 */
	buffer = vecidx_read(work->index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	now = U64FromFullTransactionId(ReadNextFullTransactionId());
	write_units(work, learned, meta, units, nunits, now);
	meta->changes = IvfPageGetMeta(BufferGetPage(buffer))->changes + 1;
	meta->swept = IvfPageGetMeta(BufferGetPage(buffer))->swept;
	page_change_begin(&change, work->index, false);
	memcpy(IvfPageGetMeta(page_change_register(&change, buffer, false)), meta, sizeof(IvfMetaPageData));
	page_change_commit(&change);
	UnlockReleaseBuffer(buffer);
	pfree(meta);
}

void
ivf_learn(IvfWork *work)
{
	AllRows		all;
	Learned		learned = {0};

	gather(work, &all);
	if (all.n == 0)
		return;
	find_centroids(work, &all, &learned);
	train(work, &all, &learned);
	write_chains(work, &all, &learned);
	publish(work, &learned);
	ereport(DEBUG1,
			(errmsg_internal("ivf: index \"%s\" has learned", RelationGetRelationName(work->index))));
}
