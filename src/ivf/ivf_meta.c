/*
 * ivf_meta.c
 *		The metapage, the trained data, and what a backend remembers of an
 *		index it opened.
 */
#include "vecidx.h"

#include <math.h>

#include "access/xloginsert.h"
#include "common/pg_prng.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

void
ivf_meta_spec(const IvfMetaPageData *meta, ListCodeSpec *spec)
{
	memset(spec, 0, sizeof(*spec));
	spec->kind = meta->kind;
	spec->metric = meta->metric;
	spec->elements = meta->elements;
	spec->half = meta->half != 0;
	spec->dim = (int) meta->dim;
	spec->bits = meta->bits;
	spec->m = meta->pq_m;
	spec->seed = meta->seed;
}

/* Bytes of an entry; 0 where no directory can be made of it. */
static Size
entry_size(QuantKind route, Metric metric, int dim)
{
	Size		code = quant_code_size(route, ivf_route_metric(metric), dim);

	if (code == 0 || quant_sized(route) || IVF_ENTRY_SIZE(code) > IVF_DIRECTORY_PAGE_BYTES)
		return 0;
	return IVF_ENTRY_SIZE(code);
}

/* Centroid pages of a unit: none where the entry's code is the centroid. */
static uint32
centroid_pages(ListCodeKind kind, QuantKind route, int dim, uint32 entries)
{
	uint64		bytes = (uint64) sizeof(float4) * dim * entries;

	return ivf_coded_centroids(kind, route, dim) ? 0 : (uint32) ((bytes + IVF_CENTROID_PAGE_BYTES - 1) / IVF_CENTROID_PAGE_BYTES);
}

static uint32
blob_blocks(const IvfMetaPageData *meta)
{
	uint64		bytes = (uint64) meta->trained_size + (meta->has_origin ? sizeof(float4) * (uint64) meta->dim : 0);

	return (uint32) ((bytes + IVF_BLOB_PAGE_BYTES - 1) / IVF_BLOB_PAGE_BYTES);
}

const char *
ivf_meta_problem(const IvfMetaPageData *meta)
{
	ListCodeSpec spec;
	ListCode	code;
	Size		size;

	if (meta->magic != IVF_META_MAGIC)
		return "metapage is not of an ivfflat or ivfpq index";
	if (meta->dim < 1 || meta->dim > PG_INT32_MAX || meta->kind >= LISTCODE_COUNT ||
		meta->metric >= METRIC_COUNT || meta->route >= QUANT_COUNT || meta->elements > QUANT_BIT_STRING ||
		meta->lists_wanted > IVF_MAX_LISTS)
		return "metapage holds impossible options";
	ivf_meta_spec(meta, &spec);
	if (listcode_problem(&spec) != NULL || quant_elements(meta->route) != (QuantElements) meta->elements)
		return "metapage holds impossible options";
	listcode_init(&code, &spec, NULL, NULL);
	size = entry_size(meta->route, meta->metric, spec.dim);
	if (size == 0 || meta->entry_size != size || meta->entries_per_page != IVF_DIRECTORY_PAGE_BYTES / size ||
		meta->centroid_pages != centroid_pages(meta->kind, meta->route, spec.dim, meta->entries_per_page) ||
		meta->code_size != code.code_size || ivf_segment_capacity(&code, NULL, IVF_SEGMENT_MAX_SIZE, false) == 0 ||
		meta->trained_size != listcode_trained_size(&spec))
		return "metapage holds impossible sizes";
	if (meta->ntrained_blocks != blob_blocks(meta) || meta->trained_block == IVF_META_BLOCK ||
		meta->trained_block >= MaxBlockNumber - meta->ntrained_blocks)
		return "metapage holds impossible pages of trained data";
	if (!vecidx_extents_sound(&meta->units) || meta->units.npages % (1 + meta->centroid_pages) != 0 ||
		meta->nlists >= IVF_LIST_LIMIT || meta->nlists == 0 ||
		meta->nlists > (uint64) (meta->units.npages / (1 + meta->centroid_pages)) * meta->entries_per_page)
		return "metapage holds an impossible directory";
	if (meta->npending > IVF_MAX_PENDING)
		return "metapage holds impossible changes of lists";
	return NULL;
}

void
ivf_meta_check(Relation index, Page page)
{
	const char *problem = vecidx_page_problem(page, VECIDX_PAGE_META, IVF_VERSION);

	if (problem == NULL)
		problem = ivf_meta_problem(IvfPageGetMeta(page));
	if (problem == NULL)
		return;
	vecidx_page_check_version(index, page, IVF_VERSION);
	vecidx_corrupted(index, IVF_META_BLOCK, -1, problem);
}

/* What changes, from a metapage of the same uid. */
static void
absorb(IvfIndex *ivf, const IvfMetaPageData *meta)
{
	uint32		known = ivf->unit_memory.n;

	ivf->changes = meta->changes;
	ivf->npending = meta->npending;
	/* these only ever grow */
	if (meta->units.npages > ivf->units.npages)
	{
		/* first what may fail */
		pagemem_resize(&ivf->unit_memory, meta->units.npages, ivf->remembered.context);
		ivf->units = meta->units;
		for (uint32 i = known; i < ivf->unit_memory.n; i++)
			ivf->unit_memory.slots[i].block = vecidx_extent_block(&ivf->units, i);
	}
	if (meta->nlists > ivf->nlists)
		ivf->nlists = meta->nlists;
}

/* The metapage, locked and checked. */
static Buffer
lock_meta(Relation index)
{
	Buffer		buffer = ReadBuffer(index, IVF_META_BLOCK);

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	ivf_meta_check(index, BufferGetPage(buffer));
	return buffer;
}

bool
ivf_index_refresh(IvfIndex *ivf, Relation index)
{
	Buffer		buffer = lock_meta(index);
	bool		same;

	same = IvfPageGetMeta(BufferGetPage(buffer))->uid == ivf->remembered.uid;
	if (same)
		absorb(ivf, IvfPageGetMeta(BufferGetPage(buffer)));
	UnlockReleaseBuffer(buffer);
	return same;
}

/*
 * Origin and trained data, one behind the other.  NULL if there is none, or if
 * the index has another uid by now and the pages have become something else
 * (which may happen on a standby): then *gone.
 */
static char *
read_blob(Relation index, const IvfMetaPageData *meta, MemoryContext context, bool *gone)
{
	Size		size = meta->trained_size + (meta->has_origin ? sizeof(float4) * (Size) meta->dim : 0);
	Size		done = 0;
	char	   *blob;

	*gone = false;
	if (size == 0)
		return NULL;
	blob = MemoryContextAllocHuge(context, size);
	for (uint32 i = 0; done < size; i++)
	{
		Size		n = Min(size - done, IVF_BLOB_PAGE_BYTES);
		Buffer		buffer;
		const char *problem;

		CHECK_FOR_INTERRUPTS();
		buffer = ReadBuffer(index, meta->trained_block + i);
		LockBuffer(buffer, BUFFER_LOCK_SHARE);
		problem = vecidx_page_problem(BufferGetPage(buffer), VECIDX_PAGE_TRAINED, IVF_VERSION);
		if (unlikely(problem != NULL))
		{
			UnlockReleaseBuffer(buffer);
			buffer = lock_meta(index);
			*gone = IvfPageGetMeta(BufferGetPage(buffer))->uid != meta->uid;
			UnlockReleaseBuffer(buffer);
			if (*gone)
				return NULL;
			vecidx_corrupted(index, meta->trained_block + i, -1, problem);
		}
		memcpy(blob + done, PageGetContents(BufferGetPage(buffer)), n);
		UnlockReleaseBuffer(buffer);
		done += n;
	}
	return blob;
}

/* NULL if the index has another uid by now. */
static IvfIndex *
load_index(Relation index, const IvfMetaPageData *meta)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf index memory",
												  ALLOCSET_SMALL_SIZES);
	IvfIndex   *ivf = MemoryContextAllocZero(context, sizeof(IvfIndex));
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);
	ListCodeSpec spec;
	char	   *blob;
	const char *trained;
	bool		gone;

	ivf->remembered.context = context;
	ivf->remembered.uid = meta->uid;
	ivf->opclass = vecidx_opclass(index);
	ivf->dim = (int) meta->dim;
	ivf->lists_wanted = meta->lists_wanted;
	ivf->learned = meta->learned != 0;
	ivf->last_page = InvalidBlockNumber;
	ivf->nblocks = nblocks;
	/* backends that split lists begin at different places */
	ivf->next_settled = pg_prng_uint32(&pg_global_prng_state) % Max(meta->nlists, 1);
	ivf->entry_size = meta->entry_size;
	ivf->entries_per_page = meta->entries_per_page;
	ivf->centroid_pages = meta->centroid_pages;
	ivf->trained_block = meta->trained_block;
	ivf->ntrained_blocks = meta->ntrained_blocks;
	if (!vecidx_extents_exist(&meta->units, nblocks) ||
		(uint64) meta->trained_block + meta->ntrained_blocks > nblocks)
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "pages that the metapage names do not exist");
	if (ivf->opclass->metric != (Metric) meta->metric ||
		ivf->opclass->type->elements != (QuantElements) meta->elements)
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "operator class is not the one that the index was made with");
	if (vecidx_index_dim(index, ivf->opclass) != ivf->dim)
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "dimensions are not the column's");

	ivf_meta_spec(meta, &spec);
	blob = read_blob(index, meta, context, &gone);
	if (gone)
	{
		MemoryContextDelete(context);
		return NULL;
	}
	if (meta->has_origin)
	{
		ivf->origin = (const float *) blob;
		for (int i = 0; i < ivf->dim; i++)
			if (!isfinite(ivf->origin[i]))
				vecidx_corrupted(index, meta->trained_block, -1, "the origin is not finite");
	}
	trained = meta->trained_size == 0 ? NULL :
		blob + (meta->has_origin ? sizeof(float4) * (Size) meta->dim : 0);
	if (trained != NULL)
	{
		const char *problem = listcode_trained_problem(&spec, trained);

		if (problem != NULL)
			vecidx_corrupted(index, meta->trained_block, -1, problem);
	}
	listcode_init(&ivf->code, &spec, ivf->origin, trained);
	quant_init(&ivf->route, meta->route, ivf_route_metric(spec.metric), ivf->dim, ivf->origin, spec.seed);
	ivf->filters = vecidx_filter_layout(index, context);
	if (meta->nfilters != (ivf->filters == NULL ? 0 : ivf->filters->ncolumns) ||
		meta->filter_bytes != (ivf->filters == NULL ? 0 : ivf->filters->row_bytes))
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "filter columns are not those that the index was made with");
	ivf->apart = ivf_codes_apart(&ivf->code, ivf->filters);
	ivf->max_capacity = ivf_segment_capacity(&ivf->code, ivf->filters, IVF_SEGMENT_MAX_SIZE, false);
	if (ivf->max_capacity == 0)
		vecidx_corrupted(index, IVF_META_BLOCK, -1, "metapage holds impossible sizes");
	absorb(ivf, meta);
	return ivf;
}

IvfIndex *
ivf_index_open(Relation index, MemoryContext user)
{
	MemoryContextCallback *callback = vecidx_remembered_user(user);
	IvfIndex   *ivf = NULL;

	while (ivf == NULL)
	{
		Buffer		buffer = lock_meta(index);
		IvfMetaPage meta = IvfPageGetMeta(BufferGetPage(buffer));

		ivf = (IvfIndex *) vecidx_remembered(index, meta->uid);
		if (ivf != NULL)
		{
			absorb(ivf, meta);
			UnlockReleaseBuffer(buffer);
		}
		else
		{
			/* further pages are read, so do not hold the metapage's lock */
			IvfMetaPageData *copy = palloc(sizeof(IvfMetaPageData));

			memcpy(copy, meta, sizeof(IvfMetaPageData));
			UnlockReleaseBuffer(buffer);
			ivf = load_index(index, copy);
			pfree(copy);
			if (ivf != NULL)
				vecidx_remember(index, &ivf->remembered);
		}
	}
	vecidx_remembered_use(&ivf->remembered, user, callback);
	return ivf;
}

/* ---- A new index ---- */

static void
meta_fill(IvfMetaPage meta, const IvfParams *params, bool has_origin, bool learned)
{
	const ListCodeSpec *spec = &params->spec;
	ListCode	code;
	Size		size = entry_size(params->route, spec->metric, spec->dim);

	if (size == 0)
		elog(ERROR, "vectors of %d dimensions have no place in a directory", spec->dim);
	memset(meta, 0, sizeof(IvfMetaPageData));
	if (!pg_strong_random(&meta->uid, sizeof(meta->uid)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));
	listcode_init(&code, spec, NULL, NULL);
	meta->magic = IVF_META_MAGIC;
	meta->version = IVF_VERSION;
	meta->seed = spec->seed;
	meta->dim = spec->dim;
	meta->metric = spec->metric;
	meta->kind = spec->kind;
	meta->elements = spec->elements;
	meta->half = spec->half;
	meta->pq_m = spec->m;
	meta->bits = spec->bits;
	meta->route = params->route;
	meta->has_origin = has_origin;
	meta->learned = learned;
	meta->nfilters = params->filters == NULL ? 0 : params->filters->ncolumns;
	meta->filter_bytes = params->filters == NULL ? 0 : params->filters->row_bytes;
	meta->lists_wanted = params->lists;
	meta->code_size = code.code_size;
	meta->entry_size = size;
	meta->entries_per_page = IVF_DIRECTORY_PAGE_BYTES / size;
	meta->centroid_pages = centroid_pages(spec->kind, params->route, spec->dim, meta->entries_per_page);
	meta->trained_size = listcode_trained_size(spec);
	meta->trained_block = IVF_META_BLOCK + 1;
	meta->ntrained_blocks = blob_blocks(meta);
}

/* A new page at the end of a fork, initialised and locked. */
static Buffer
new_page(Relation index, ForkNumber fork, BlockNumber expected, VecidxPageKind kind, uint32 ordinal)
{
	Buffer		buffer = ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);

	if (BufferGetBlockNumber(buffer) != expected)
		elog(ERROR, "index \"%s\" is not empty", RelationGetRelationName(index));
	vecidx_page_init(BufferGetPage(buffer), kind, IVF_VERSION, ordinal);
	return buffer;
}

/* The page is full: the init fork of an unlogged index must survive a crash. */
static void
finish_page(Buffer buffer, ForkNumber fork, Size used)
{
	Page		page = BufferGetPage(buffer);

	START_CRIT_SECTION();
	((PageHeader) page)->pd_lower = (PageGetContents(page) - (char *) page) + used;
	MarkBufferDirty(buffer);
	if (fork == INIT_FORKNUM)
		log_newpage_buffer(buffer, true);
	END_CRIT_SECTION();
	UnlockReleaseBuffer(buffer);
}

void
ivf_create(Relation index, ForkNumber fork, const IvfParams *params, const float *origin,
		   const void *trained, bool learned, uint32 nlists, const void *centroids)
{
	Size		origin_size = origin == NULL ? 0 : sizeof(float4) * (Size) params->spec.dim;
	IvfMetaPageData *meta = palloc(sizeof(IvfMetaPageData));
	BlockNumber block = IVF_META_BLOCK;
	uint32		nunits;
	Size		size;
	char	   *blob;
	Buffer		buffer;
	IvfUnitWriter *writer;

	meta_fill(meta, params, origin != NULL, learned);
	meta->nlists = nlists;
	nunits = (nlists + meta->entries_per_page - 1) / meta->entries_per_page;
	vecidx_extent_add(&meta->units, meta->trained_block + meta->ntrained_blocks,
					  nunits * (1 + meta->centroid_pages));
	buffer = new_page(index, fork, block++, VECIDX_PAGE_META, 0);
	memcpy(IvfPageGetMeta(BufferGetPage(buffer)), meta, sizeof(IvfMetaPageData));
	finish_page(buffer, fork, sizeof(IvfMetaPageData));

	size = origin_size + meta->trained_size;
	blob = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1));
	if (origin != NULL)
		memcpy(blob, origin, origin_size);
	if (meta->trained_size > 0)
		memcpy(blob + origin_size, trained, meta->trained_size);
	for (uint32 i = 0; i < meta->ntrained_blocks; i++)
	{
		Size		start = i * IVF_BLOB_PAGE_BYTES;
		Size		n = Min(size - start, IVF_BLOB_PAGE_BYTES);

		buffer = new_page(index, fork, block++, VECIDX_PAGE_TRAINED, i);
		memcpy(PageGetContents(BufferGetPage(buffer)), blob + start, n);
		finish_page(buffer, fork, n);
	}
	pfree(blob);

	writer = ivf_unit_writer(meta, origin);
	for (uint32 unit = 0; unit < nunits; unit++)
	{
		CHECK_FOR_INTERRUPTS();
		ivf_unit_prepare(writer, unit, nlists, centroids);
		for (uint32 i = 0; i <= meta->centroid_pages; i++)
		{
			Size		used;

			buffer = new_page(index, fork, block++, i == 0 ? VECIDX_PAGE_DIRECTORY : VECIDX_PAGE_CENTROID, unit);
			used = ivf_unit_page(writer, i, PageGetContents(BufferGetPage(buffer)));
			finish_page(buffer, fork, used);
		}
	}
	ivf_unit_writer_free(writer);
	pfree(meta);
}
