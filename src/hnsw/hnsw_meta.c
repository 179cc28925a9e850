/*
 * hnsw_meta.c
 *		The metapage, and what a backend remembers of an index it opened.
 */
#include "vecidx.h"

#include "access/xloginsert.h"
#include "hnsw/hnsw.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"

/* Sizes that the frozen fields must give again; anything else is damage. */
const char *
hnsw_meta_problem(const HnswMetaPageData *meta)
{
	if (meta->magic != HNSW_META_MAGIC)
		return "metapage is not of an hnsw index";
	if (meta->dim < 1 || meta->dim > PG_INT32_MAX ||
		meta->m < HNSW_MIN_M || meta->m > HNSW_MAX_M ||
		meta->ef_construction < HNSW_MIN_EF_CONSTRUCTION ||
		meta->ef_construction > HNSW_MAX_EF_CONSTRUCTION ||
		meta->quantizer >= QUANT_COUNT || meta->metric >= METRIC_COUNT)
		return "metapage holds impossible options";
	if (meta->code_size == 0 ||
		meta->code_size != hnsw_code_size(meta->quantizer, meta->metric, meta->dim) ||
		meta->adjacency_size != HNSW_ADJACENCY_SIZE(meta->m) ||
		meta->codes_per_page != HNSW_CODE_PAGE_BYTES / meta->code_size ||
		meta->codes_per_page == 0 ||
		meta->adjacencies_per_page != HNSW_ADJACENCY_PAGE_BYTES / meta->adjacency_size)
		return "metapage holds impossible sizes";
	if (meta->nfilters > VECIDX_MAX_FILTERS || meta->filter_bytes > VECIDX_MAX_FILTERS * 16 ||
		meta->filter_bytes < meta->nfilters ||
		meta->filters_per_page != hnsw_filter_page(meta->nfilters, meta->filter_bytes).nodes)
		return "metapage holds impossible filter columns";
	if (!vecidx_extents_sound(&meta->codes) || !vecidx_extents_sound(&meta->adjacencies) ||
		!vecidx_extents_sound(&meta->filters) || (meta->nfilters == 0 && meta->filters.nextents > 0) ||
		meta->code_pages > meta->codes.npages)
		return "metapage holds impossible extents";
	if ((uint64) meta->code_pages * meta->codes_per_page >= HNSW_NODE_LIMIT)
		return "metapage holds an impossible number of nodes";
	if (meta->ncentre_blocks !=
		(meta->has_centre ? (meta->dim + HNSW_CENTRE_PER_PAGE - 1) / HNSW_CENTRE_PER_PAGE : 0) ||
		meta->centre_block >= MaxBlockNumber - meta->ncentre_blocks)
		return "metapage holds impossible centre pages";
	return NULL;
}

bool
hnsw_meta_fits_filters(const HnswMetaPageData *meta, const VecidxFilterLayout *filters)
{
	if (filters == NULL)
		return meta->nfilters == 0;
	return meta->nfilters == filters->ncolumns && meta->filter_bytes == filters->row_bytes;
}

/* The nodes that a metapage of possible sizes points to. */
static const char *
pointer_problem(const HnswMetaPageData *meta)
{
	uint32		limit = meta->code_pages * meta->codes_per_page;

	if (meta->entry != HNSW_INVALID_NODE &&
		(meta->entry >= limit || meta->entry_level > (uint32) hnsw_max_level(meta->m)))
		return "entry point does not exist";
	if (meta->free_head != HNSW_INVALID_NODE && meta->free_head >= limit)
		return "free list begins with a node that does not exist";
	return NULL;
}

void
hnsw_meta_check(Relation index, Page page)
{
	const char *problem = vecidx_page_problem(page, VECIDX_PAGE_META, HNSW_VERSION);

	if (problem == NULL)
		problem = hnsw_meta_problem(HnswPageGetMeta(page));
	if (problem == NULL)
		problem = pointer_problem(HnswPageGetMeta(page));
	if (problem == NULL)
		return;
	vecidx_page_check_version(index, page, HNSW_VERSION);
	vecidx_corrupted(index, HNSW_META_BLOCK, -1, problem);
}

static void
remember_blocks(PageMemory *memory, const VecidxExtentMap *map, MemoryContext context)
{
	uint32		known = memory->n;

	pagemem_resize(memory, map->npages, context);
	for (uint32 i = known; i < memory->n; i++)
		memory->slots[i].block = vecidx_extent_block(map, i);
}

void
hnsw_index_absorb(HnswIndex *hnsw, const HnswMetaPageData *meta)
{
	/* these only ever grow */
	if (meta->codes.npages > hnsw->codes.npages)
	{
		hnsw->codes = meta->codes;
		remember_blocks(&hnsw->code_memory, &hnsw->codes, hnsw->remembered.context);
	}
	if (meta->adjacencies.npages > hnsw->adjacencies.npages)
	{
		hnsw->adjacencies = meta->adjacencies;
		remember_blocks(&hnsw->adjacency_memory, &hnsw->adjacencies, hnsw->remembered.context);
	}
	if (meta->filters.npages > hnsw->filter_extents.npages)
	{
		hnsw->filter_extents = meta->filters;
		remember_blocks(&hnsw->filter_memory, &hnsw->filter_extents, hnsw->remembered.context);
	}
	if (meta->code_pages > hnsw->code_pages)
		hnsw->code_pages = meta->code_pages;
	hnsw->has_free = meta->free_head != HNSW_INVALID_NODE;
}

static void
read_entry(const HnswMetaPageData *meta, HnswEntry *entry)
{
	entry->node = meta->entry;
	entry->level = meta->entry_level;
	entry->vacuuming = meta->vacuuming != 0;
}

void
hnsw_index_refresh(HnswIndex *hnsw, Relation index, HnswEntry *entry)
{
	Buffer		buffer = ReadBuffer(index, HNSW_META_BLOCK);
	HnswMetaPage meta;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	hnsw_meta_check(index, BufferGetPage(buffer));
	meta = HnswPageGetMeta(BufferGetPage(buffer));
	hnsw_index_absorb(hnsw, meta);
	if (entry != NULL)
		read_entry(meta, entry);
	UnlockReleaseBuffer(buffer);
}

static float *
read_centre(Relation index, const HnswMetaPageData *meta, MemoryContext context)
{
	float	   *centre;
	int			done = 0;
	int			dim = meta->dim;

	if (!meta->has_centre)
		return NULL;
	centre = MemoryContextAlloc(context, sizeof(float) * dim);
	for (uint32 i = 0; i < meta->ncentre_blocks && done < dim; i++)
	{
		Buffer		buffer = vecidx_read(index, meta->centre_block + i, BUFFER_LOCK_SHARE,
										 VECIDX_PAGE_CENTRE, HNSW_VERSION);
		int			n = Min(dim - done, (int) HNSW_CENTRE_PER_PAGE);

		memcpy(centre + done, PageGetContents(BufferGetPage(buffer)), sizeof(float) * n);
		done += n;
		UnlockReleaseBuffer(buffer);
	}
	if (done < dim)
		vecidx_corrupted(index, HNSW_META_BLOCK, -1, "centre pages are missing");
	return centre;
}

static HnswIndex *
load_index(Relation index, const HnswMetaPageData *meta)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw index memory",
												  ALLOCSET_SMALL_SIZES);
	HnswIndex  *hnsw = MemoryContextAllocZero(context, sizeof(HnswIndex));
	BlockNumber nblocks = RelationGetNumberOfBlocks(index);

	hnsw->remembered.context = context;
	hnsw->remembered.uid = meta->uid;
	hnsw->seed = meta->seed;
	hnsw->dim = meta->dim;
	hnsw->m = meta->m;
	hnsw->ef_construction = meta->ef_construction;
	hnsw->code_size = meta->code_size;
	hnsw->wide = hnsw_is_wide(meta->quantizer, meta->metric, meta->dim);
	hnsw->adjacency_size = meta->adjacency_size;
	hnsw->codes_per_page = meta->codes_per_page;
	hnsw->adjacencies_per_page = meta->adjacencies_per_page;
	hnsw->by_code_page = divisor_of(hnsw->codes_per_page);
	hnsw->by_adjacency_page = divisor_of(hnsw->adjacencies_per_page);
	hnsw->opclass = vecidx_opclass(index);
	hnsw->filters = vecidx_filter_layout(index, context);
	hnsw->filters_per_page = meta->filters_per_page;
	hnsw->filter_page = hnsw_filter_page(meta->nfilters, meta->filter_bytes);
	if (hnsw->filters != NULL)
		hnsw->by_filter_page = divisor_of(hnsw->filters_per_page);
	if (!vecidx_extents_exist(&meta->codes, nblocks) ||
		!vecidx_extents_exist(&meta->adjacencies, nblocks) ||
		!vecidx_extents_exist(&meta->filters, nblocks))
		vecidx_corrupted(index, HNSW_META_BLOCK, -1, "pages of the metapage's extents do not exist");
	if (hnsw->opclass->metric != (Metric) meta->metric ||
		hnsw->opclass->type->elements != quant_elements(meta->quantizer))
		vecidx_corrupted(index, HNSW_META_BLOCK, -1, "operator class is not the one that the index was made with");
	if (!hnsw_meta_fits_filters(meta, hnsw->filters))
		vecidx_corrupted(index, HNSW_META_BLOCK, -1, "filter columns are not those that the index was made with");
	if (vecidx_index_dim(index, hnsw->opclass) != hnsw->dim)
		vecidx_corrupted(index, HNSW_META_BLOCK, -1, "dimensions are not the column's");
	quant_init(&hnsw->quantizer, meta->quantizer, meta->metric, meta->dim,
			   read_centre(index, meta, context), meta->seed);
	hnsw_index_absorb(hnsw, meta);
	return hnsw;
}

HnswIndex *
hnsw_index_open(Relation index, MemoryContext user, HnswEntry *entry)
{
	MemoryContextCallback *callback = vecidx_remembered_user(user);
	Buffer		buffer = ReadBuffer(index, HNSW_META_BLOCK);
	HnswMetaPage meta;
	HnswIndex  *hnsw;

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	hnsw_meta_check(index, BufferGetPage(buffer));
	meta = HnswPageGetMeta(BufferGetPage(buffer));

	hnsw = (HnswIndex *) vecidx_remembered(index, meta->uid);
	if (hnsw != NULL)
	{
		hnsw_index_absorb(hnsw, meta);
		read_entry(meta, entry);
		UnlockReleaseBuffer(buffer);
	}
	else
	{
		/* the centre's pages are read, so do not hold the metapage's lock */
		HnswMetaPageData *copy = palloc(sizeof(HnswMetaPageData));

		memcpy(copy, meta, sizeof(HnswMetaPageData));
		UnlockReleaseBuffer(buffer);
		hnsw = load_index(index, copy);
		read_entry(copy, entry);
		pfree(copy);
		vecidx_remember(index, &hnsw->remembered);
	}
	vecidx_remembered_use(&hnsw->remembered, user, callback);
	return hnsw;
}

void
hnsw_create(Relation index, ForkNumber fork, const HnswParams *params, const float *centre)
{
	Buffer		buffer;
	Page		page;
	HnswMetaPage meta;
	uint32		ncentre = centre == NULL ? 0 :
		(params->dim + HNSW_CENTRE_PER_PAGE - 1) / HNSW_CENTRE_PER_PAGE;
	uint64		uid;

	if (!pg_strong_random(&uid, sizeof(uid)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random values")));

	for (uint32 i = 0; i < ncentre + 1; i++)
	{
		buffer = ReadBufferExtended(index, fork, P_NEW, RBM_ZERO_AND_LOCK, NULL);
		if (BufferGetBlockNumber(buffer) != i)
			elog(ERROR, "index \"%s\" is not empty", RelationGetRelationName(index));
		page = BufferGetPage(buffer);
		START_CRIT_SECTION();
		if (i == 0)
		{
			vecidx_page_init(page, VECIDX_PAGE_META, HNSW_VERSION, 0);
			meta = HnswPageGetMeta(page);
			memset(meta, 0, sizeof(HnswMetaPageData));
			meta->magic = HNSW_META_MAGIC;
			meta->version = HNSW_VERSION;
			meta->uid = uid;
			meta->seed = params->seed;
			meta->dim = params->dim;
			meta->m = params->m;
			meta->ef_construction = params->ef_construction;
			meta->quantizer = params->quantizer;
			meta->metric = params->opclass->metric;
			meta->has_centre = centre != NULL;
			meta->code_size = hnsw_code_size(params->quantizer, params->opclass->metric, params->dim);
			meta->adjacency_size = HNSW_ADJACENCY_SIZE(params->m);
			if (params->filters != NULL)
			{
				meta->nfilters = params->filters->ncolumns;
				meta->filter_bytes = params->filters->row_bytes;
				meta->filters_per_page = hnsw_filter_page(meta->nfilters, meta->filter_bytes).nodes;
			}
			meta->codes_per_page = HNSW_CODE_PAGE_BYTES / meta->code_size;
			meta->adjacencies_per_page = HNSW_ADJACENCY_PAGE_BYTES / meta->adjacency_size;
			meta->centre_block = HNSW_META_BLOCK + 1;
			meta->ncentre_blocks = ncentre;
			meta->entry = HNSW_INVALID_NODE;
			meta->free_head = HNSW_INVALID_NODE;
			((PageHeader) page)->pd_lower =
				((char *) meta + sizeof(HnswMetaPageData)) - (char *) page;
		}
		else
		{
			int			done = (i - 1) * HNSW_CENTRE_PER_PAGE;
			int			n = Min(params->dim - done, (int) HNSW_CENTRE_PER_PAGE);

			vecidx_page_init(page, VECIDX_PAGE_CENTRE, HNSW_VERSION, i - 1);
			memcpy(PageGetContents(page), centre + done, sizeof(float) * n);
			((PageHeader) page)->pd_lower =
				(PageGetContents(page) + sizeof(float) * n) - (char *) page;
		}
		MarkBufferDirty(buffer);
		/* the init fork of an unlogged index must survive a crash */
		if (fork == INIT_FORKNUM)
			log_newpage_buffer(buffer, true);
		END_CRIT_SECTION();
		UnlockReleaseBuffer(buffer);
	}
}
