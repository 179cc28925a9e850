/*
 * ivf_segment.c
 *		Lists on pages: chains of segments.
 */
#include "vecidx.h"

#include "common/pg_prng.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/freespace.h"

/* A new segment has room for so many rows at least, where they fit a page. */
#define MIN_CAPACITY 8

/* And for this share of the list's rows. */
#define GROWTH 4

/* Most pages added at once for inserts. */
#define MAX_NEW_PAGES 64

uint32
ivf_generation(void)
{
	return pg_prng_uint32(&pg_global_prng_state);
}

/* ---- Reading ---- */

const char *
ivf_segment_on_page(const ListCode *code, const VecidxFilterLayout *filters, Page page, OffsetNumber offset,
					IvfSegmentRef *ref)
{
	IvfSegment	segment;
	IvfSegmentLayout layout;
	ItemId		itemid;
	Size		size;

	if (offset < FirstOffsetNumber || offset > PageGetMaxOffsetNumber(page))
		return "no such segment";
	itemid = PageGetItemId(page, offset);
	size = ItemIdGetLength(itemid);
	if (!ItemIdIsUsed(itemid) || !ItemIdHasStorage(itemid))
		return "no such segment";
	if (ItemIdGetOffset(itemid) != MAXALIGN(ItemIdGetOffset(itemid)) ||
		ItemIdGetOffset(itemid) < ((PageHeader) page)->pd_upper ||
		ItemIdGetOffset(itemid) + size > ((PageHeader) page)->pd_special ||
		size < sizeof(IvfSegmentData) || size > IVF_SEGMENT_MAX_SIZE)
		return "segment is not where items are";
	segment = (IvfSegment) PageGetItem(page, itemid);
	ref->segment = segment;
	if (segment->flags == IVF_SEGMENT_CODE)
	{
		if (!ivf_codes_apart(code, filters) || segment->capacity != 1 || segment->count != 1 ||
			ItemPointerIsValid(&segment->next))
			return "segment contradicts itself";
		if (size != ivf_code_segment_size(code))
			return "segment has the wrong size";
		ref->codes = (const uint8 *) (segment + 1);
		ref->a = ref->b = NULL;
		ref->places = ref->tids = NULL;
		ref->filters = NULL;
		return NULL;
	}
	if ((segment->flags & ~(IVF_SEGMENT_BLOCKS | IVF_SEGMENT_CLOSED)) != 0 || segment->count > segment->capacity ||
		((segment->flags & IVF_SEGMENT_BLOCKS) != 0 &&
		 (code->nnibbles == 0 || segment->count != segment->capacity)))
		return "segment contradicts itself";
	layout = ivf_segment_layout(code, filters, segment->capacity, (segment->flags & IVF_SEGMENT_BLOCKS) != 0);
	if (layout.size != size)
		return "segment has the wrong size";
	ref->a = layout.a == 0 ? NULL : (const float *) ((char *) segment + layout.a);
	ref->b = layout.b == 0 ? NULL : (const float *) ((char *) segment + layout.b);
	ref->codes = (const uint8 *) segment + layout.codes;
	ref->places = NULL;
	if (ivf_codes_apart(code, filters))
	{
		ref->places = (const ItemPointerData *) ref->codes;
		ref->codes = NULL;
	}
	ref->tids = (const ItemPointerData *) ((char *) segment + layout.tids);
	ref->filters = filters == NULL ? NULL : (const uint8 *) segment + layout.filters;
	return NULL;
}

/* A slot for each block that the index is known to have, and some for those to come. */
static void
remember_blocks(IvfIndex *ivf)
{
	uint32		known = ivf->list_memory.n;

	pagemem_resize(&ivf->list_memory, ivf->nblocks + ivf->nblocks / 8 + 1, ivf->remembered.context);
	for (uint32 i = known; i < ivf->list_memory.n; i++)
		ivf->list_memory.slots[i].block = i;
}

/* Pin a page that segments lead to; an invalid buffer if it is behind the end. */
static Buffer
pin_page(IvfIndex *ivf, Relation index, BlockNumber block)
{
	if (unlikely(block >= ivf->nblocks))
	{
		ivf->nblocks = RelationGetNumberOfBlocks(index);
		if (block >= ivf->nblocks)
			return InvalidBuffer;
	}
	if (unlikely(block >= ivf->list_memory.n))
		remember_blocks(ivf);
	return pagemem_pin(&ivf->list_memory.slots[block], index);
}

/* What is wrong with a page that segments lead to, or with the segment there, or NULL. */
static const char *
segment_problem(const IvfIndex *ivf, Page page, const ItemPointerData *where, uint32 list, const uint32 *generation,
				IvfSegmentRef *ref)
{
	const char *problem = vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION);

	if (likely(problem == NULL))
		problem = ivf_segment_on_page(&ivf->code, ivf->filters, page, ItemPointerGetOffsetNumberNoCheck(where), ref);
	if (likely(problem == NULL) &&
		unlikely(ref->segment->list != list || (generation != NULL && ref->segment->generation != *generation)))
		problem = "segment is of another list";
	return problem;
}

bool
ivf_segment_try(IvfIndex *ivf, Relation index, const ItemPointerData *where, uint32 list,
				const uint32 *generation, int lockmode, IvfSegmentRef *ref, const char **problem)
{
	*problem = "segment is behind the end of the index";
	ref->buffer = pin_page(ivf, index, ItemPointerGetBlockNumberNoCheck(where));
	if (unlikely(!BufferIsValid(ref->buffer)))
		return false;
	LockBuffer(ref->buffer, lockmode);
	*problem = segment_problem(ivf, BufferGetPage(ref->buffer), where, list, generation, ref);
	if (likely(*problem == NULL) && unlikely(ref->tids == NULL))
		*problem = "a code stands where a segment of rows should";
	if (likely(*problem == NULL))
		return true;
	UnlockReleaseBuffer(ref->buffer);
	return false;
}

/* As segment_problem(), of a code that stands apart. */
static const char *
code_problem(const IvfIndex *ivf, Page page, const ItemPointerData *where, uint32 list, uint32 generation,
			 IvfSegmentRef *ref)
{
	const char *problem = segment_problem(ivf, page, where, list, &generation, ref);

	return problem == NULL && ref->tids != NULL ? "a segment of rows stands where a code should" : problem;
}

const uint8 *
ivf_code_read(IvfCodeReader *reader, IvfIndex *ivf, Relation index, const ItemPointerData *place,
			  uint32 list, uint32 generation, const char **problem)
{
	BlockNumber block = ItemPointerGetBlockNumberNoCheck(place);
	IvfSegmentRef ref;

	if (!BufferIsValid(reader->buffer) || reader->block != block)
	{
		ivf_code_reader_close(reader);
		*problem = "code is behind the end of the index";
		reader->buffer = pin_page(ivf, index, block);
		if (unlikely(!BufferIsValid(reader->buffer)))
			return NULL;
		reader->block = block;
		LockBuffer(reader->buffer, BUFFER_LOCK_SHARE);
	}
	*problem = code_problem(ivf, BufferGetPage(reader->buffer), place, list, generation, &ref);
	if (likely(*problem == NULL))
		return ref.codes;
	ivf_code_reader_close(reader);
	return NULL;
}

/* ---- Rows in memory ---- */

void
ivf_rows_init(IvfRows *rows, const ListCode *code, const VecidxFilterLayout *layout, MemoryContext context)
{
	memset(rows, 0, sizeof(*rows));
	rows->context = context;
	rows->code = code;
	rows->layout = layout;
}

static void
rows_reserve(IvfRows *rows, size_t more)
{
	const ListCode *code = rows->code;
	size_t		capacity;

	if (rows->n + more <= rows->capacity)
		return;
	capacity = Max(rows->capacity * 2, Max((size_t) 64, rows->n + more));
	if (rows->capacity == 0)
	{
		rows->codes = MemoryContextAllocHuge(rows->context, capacity * code->code_size + SIMD_SLACK);
		rows->tids = MemoryContextAllocHuge(rows->context, capacity * sizeof(ItemPointerData));
		rows->factors = MemoryContextAllocHuge(rows->context, Max(capacity * code->nfactors, 1) * sizeof(float));
		if (rows->layout != NULL)
			rows->filters = MemoryContextAllocHuge(rows->context, capacity * rows->layout->packed_size);
	}
	else
	{
		rows->codes = repalloc_huge(rows->codes, capacity * code->code_size + SIMD_SLACK);
		rows->tids = repalloc_huge(rows->tids, capacity * sizeof(ItemPointerData));
		rows->factors = repalloc_huge(rows->factors, Max(capacity * code->nfactors, 1) * sizeof(float));
		if (rows->layout != NULL)
			rows->filters = repalloc_huge(rows->filters, capacity * rows->layout->packed_size);
	}
	rows->capacity = capacity;
}

void
ivf_rows_add(IvfRows *rows, const float *factors, const uint8 *code, const uint8 *filters,
			 const ItemPointerData *tid)
{
	rows_reserve(rows, 1);
	if (rows->code->nfactors > 0)
		memcpy(rows->factors + rows->n * rows->code->nfactors, factors, sizeof(float) * rows->code->nfactors);
	memcpy(rows->codes + rows->n * rows->code->code_size, code, rows->code->code_size);
	if (rows->layout != NULL)
		memcpy(rows->filters + rows->n * rows->layout->packed_size, filters, rows->layout->packed_size);
	rows->tids[rows->n++] = *tid;
}

/* The rows (with a TID) of a segment, appended. */
static void
add_segment(IvfRows *rows, const IvfSegmentRef *ref)
{
	const ListCode *code = rows->code;
	bool		blocks = (ref->segment->flags & IVF_SEGMENT_BLOCKS) != 0;
	uint8	   *unpacked = NULL;
	uint8	   *packed = rows->layout != NULL ? palloc(rows->layout->packed_size) : NULL;

	rows_reserve(rows, ref->segment->count);
	if (blocks)
		unpacked = palloc(code->code_size * LISTCODE_BLOCK);
	for (int i = 0; i < ref->segment->count; i++)
	{
		const uint8 *bytes = ref->codes + i * code->code_size;
		float		factors[2] = {0, 0};

		if (blocks)
		{
			if (i % LISTCODE_BLOCK == 0)
				listcode_unpack(code, ivf_segment_block(code, ref, i / LISTCODE_BLOCK),
								Min(ref->segment->count - i, LISTCODE_BLOCK), unpacked);
			bytes = unpacked + (i % LISTCODE_BLOCK) * code->code_size;
		}
		if (!ItemPointerIsValid(&ref->tids[i]))
			continue;
		if (code->nfactors > 0)
		{
			factors[0] = ref->a[i];
			factors[1] = ref->b[i];
		}
		if (packed != NULL)
			vecidx_filter_get(rows->layout, ref->filters, IVF_FILTER_CAPACITY(ref->segment->capacity), i, packed);
		ivf_rows_add(rows, factors, bytes, packed, &ref->tids[i]);
	}
	if (unpacked != NULL)
		pfree(unpacked);
	if (packed != NULL)
		pfree(packed);
}

/*
 * The same where codes are apart: segment is a copy of one that was at (block,
 * offset).  The list is closed, so all that may happen to it is that dead rows
 * go.
 */
static void
add_segment_apart(IvfRows *rows, IvfIndex *ivf, Relation index, IvfSegment segment, BlockNumber block, OffsetNumber offset)
{
	IvfSegmentLayout layout = ivf_segment_layout(rows->code, rows->layout, segment->capacity, false);
	const ItemPointerData *places = (ItemPointerData *) ((char *) segment + layout.codes);
	const ItemPointerData *tids = (ItemPointerData *) ((char *) segment + layout.tids);
	const uint8 *filters = (uint8 *) segment + layout.filters;
	uint8	   *packed = palloc(rows->layout->packed_size);
	IvfCodeReader reader = {InvalidBuffer, 0};

	rows_reserve(rows, segment->count);
	for (int i = 0; i < segment->count; i++)
	{
		const char *problem;
		const uint8 *code = ivf_code_read(&reader, ivf, index, &places[i], segment->list, segment->generation, &problem);

		if (code == NULL)
			vecidx_corrupted(index, block, offset, problem);
		vecidx_filter_get(rows->layout, filters, IVF_FILTER_CAPACITY(segment->capacity), i, packed);
		ivf_rows_add(rows, NULL, code, packed, &tids[i]);
	}
	ivf_code_reader_close(&reader);
	pfree(packed);
}

ItemPointerData
ivf_chain_read_some(IvfIndex *ivf, Relation index, const IvfListCopy *list, ItemPointerData next, size_t enough,
					IvfRows *rows)
{
	BlockNumber most = RelationGetNumberOfBlocks(index);
	uint64		segments = 0;
	IvfSegment	copy = ivf->apart ? palloc(IVF_SEGMENT_MAX_SIZE) : NULL;

	while (ItemPointerIsValid(&next) && rows->n < enough)
	{
		IvfSegmentRef ref;
		const char *problem;
		BlockNumber block = ItemPointerGetBlockNumber(&next);
		OffsetNumber offset = ItemPointerGetOffsetNumber(&next);

		CHECK_FOR_INTERRUPTS();
		if (!ivf_segment_try(ivf, index, &next, list->list, &list->generation, BUFFER_LOCK_SHARE, &ref, &problem))
			vecidx_corrupted(index, block, offset, problem);
		/* a chain has no more segments than there is room for */
		if (++segments > (uint64) most * MaxOffsetNumber)
			vecidx_corrupted(index, block, offset, "segments of a list form a ring");
		next = ref.segment->next;
		if (ivf->apart)
			memcpy(copy, ref.segment, ivf_segment_layout(&ivf->code, ivf->filters, ref.segment->capacity, false).size);
		else
			add_segment(rows, &ref);
		ivf_segment_release(&ref);
		if (ivf->apart)
			add_segment_apart(rows, ivf, index, copy, block, offset);
	}
	if (copy != NULL)
		pfree(copy);
	return next;
}

void
ivf_chain_read(IvfIndex *ivf, Relation index, const IvfListCopy *list, IvfRows *rows)
{
	(void) ivf_chain_read_some(ivf, index, list, list->head, SIZE_MAX, rows);
}

/* ---- Writing ---- */

/*
 * Fill a segment in memory (zeroed, as long as its layout says) with rows.
 * which: indices into rows, NULL for first, first + 1 ...
 */
void
ivf_segment_fill(IvfSegment segment, const IvfRows *rows, const uint32 *which, size_t first, uint32 n, bool blocks,
				 const ItemPointerData *places)
{
	const ListCode *code = rows->code;
	IvfSegmentLayout layout = ivf_segment_layout(code, rows->layout, segment->capacity, blocks);
	char	   *base = (char *) segment;
	uint8	   *packing = blocks ? palloc(code->code_size * LISTCODE_BLOCK) : NULL;

	segment->count = n;
	segment->flags = blocks ? IVF_SEGMENT_BLOCKS : 0;
	for (uint32 i = 0; i < n; i++)
	{
		size_t		row = which != NULL ? which[first + i] : first + i;
		const uint8 *bytes = rows->codes + row * code->code_size;

		if (code->nfactors > 0)
		{
			((float *) (base + layout.a))[i] = rows->factors[row * code->nfactors];
			((float *) (base + layout.b))[i] = rows->factors[row * code->nfactors + 1];
		}
		if (places != NULL)
			((ItemPointerData *) (base + layout.codes))[i] = places[i];
		else if (!blocks)
			memcpy(base + layout.codes + i * code->code_size, bytes, code->code_size);
		else
		{
			uint32		start = i - i % LISTCODE_BLOCK;
			int			width = Min(n - start, LISTCODE_BLOCK);

			memcpy(packing + (i - start) * code->code_size, bytes, code->code_size);
			if (i - start + 1 == (uint32) width)
				listcode_pack(code, packing, width, (uint8 *) base + layout.codes +
							  (Size) (start / LISTCODE_BLOCK) * listcode_block_size(code, LISTCODE_BLOCK));
		}
		((ItemPointerData *) (base + layout.tids))[i] = rows->tids[row];
		if (rows->layout != NULL)
			vecidx_filter_put(rows->layout, (uint8 *) base + layout.filters, IVF_FILTER_CAPACITY(segment->capacity), i,
							  ivf_rows_filters(rows, row));
	}
	if (packing != NULL)
		pfree(packing);
}

OffsetNumber
ivf_code_put(const ListCode *code, Page page, uint32 list, uint32 generation, const uint8 *bytes, void *scratch)
{
	IvfSegment	segment = scratch;
	OffsetNumber offset;

	segment->list = list;
	segment->generation = generation;
	ItemPointerSetInvalid(&segment->next);
	segment->count = segment->capacity = 1;
	segment->flags = IVF_SEGMENT_CODE;
	memcpy(segment + 1, bytes, code->code_size);
	offset = PageAddItem(page, (Item) segment, ivf_code_segment_size(code), InvalidOffsetNumber, false, false);
	if (offset == InvalidOffsetNumber)
		elog(ERROR, "failed to add a code to a list page");
	return offset;
}

void
ivf_note_free_space(Relation index, Buffer buffer)
{
	Size		space = PageGetFreeSpace(BufferGetPage(buffer));

	/* the map counts in steps, rounded down; a page that is empty has room for whatever is asked for */
	RecordPageWithFreeSpace(index, BufferGetBlockNumber(buffer),
							space >= IVF_SEGMENT_MAX_SIZE ? IVF_EMPTY_PAGE_SPACE : space);
}

/* Pages that lists may use, at the end; the first is returned, the others go to the free space map. */
static BlockNumber
add_pages(Relation index, bool building)
{
	BlockNumber n = Min(Max(RelationGetNumberOfBlocks(index) / 32, 1), MAX_NEW_PAGES);
	BlockNumber first = vecidx_extend(index, n, IVF_VERSION, VECIDX_FREE_FOR_ALL, building);

	for (BlockNumber i = 1; i < n; i++)
		RecordPageWithFreeSpace(index, first + i, IVF_EMPTY_PAGE_SPACE);
	/* so that others find them, from the top */
	if (n > 1)
		FreeSpaceMapVacuumRange(index, first + 1, first + n);
	return first;
}

/*
 * The page, locked, if a segment of this size fits there.  What the free
 * space map says may be wrong, and may be of another kind of page.
 */
static Buffer
try_page(IvfIndex *ivf, Relation index, BlockNumber block, Size size, bool building)
{
	Buffer		buffer;
	Page		page;

	if (block == IVF_META_BLOCK || vecidx_extents_contain(&ivf->units, block) ||
		block >= RelationGetNumberOfBlocks(index))
		return InvalidBuffer;
	buffer = ReadBuffer(index, block);
	if (!ConditionalLockBuffer(buffer))
	{
		ReleaseBuffer(buffer);
		return InvalidBuffer;
	}
	page = BufferGetPage(buffer);
	if (vecidx_page_problem(page, VECIDX_PAGE_FREE, IVF_VERSION) == NULL &&
		VecidxPageGetOpaque(page)->ordinal == VECIDX_FREE_FOR_ALL)
	{
		PageChange	change;

		page_change_begin(&change, index, building);
		vecidx_page_init(page_change_register(&change, buffer, true), VECIDX_PAGE_LIST, IVF_VERSION, 0);
		page_change_commit(&change);
		return buffer;
	}
	if (vecidx_page_problem(page, VECIDX_PAGE_LIST, IVF_VERSION) == NULL)
	{
		if (PageGetFreeSpace(page) >= size)
			return buffer;
		ivf_note_free_space(index, buffer);
	}
	else
		RecordPageWithFreeSpace(index, block, 0);
	UnlockReleaseBuffer(buffer);
	return InvalidBuffer;
}

Buffer
ivf_list_page(IvfIndex *ivf, Relation index, Size size, bool building)
{
	/* the page of this backend's last segment, then what the free space map says, then new ones */
	if (BlockNumberIsValid(ivf->last_page))
	{
		Buffer		buffer = try_page(ivf, index, ivf->last_page, size, building);

		if (BufferIsValid(buffer))
			return buffer;
	}
	for (int try = 0;; try++)
	{
		BlockNumber block = try < 8 ? GetPageWithFreeSpace(index, size) : InvalidBlockNumber;
		Buffer		buffer;

		if (!BlockNumberIsValid(block))
			block = add_pages(index, building);
		buffer = try_page(ivf, index, block, size, building);
		if (BufferIsValid(buffer))
		{
			ivf->last_page = block;
			return buffer;
		}
		CHECK_FOR_INTERRUPTS();
	}
}

/* Put a segment made in memory on a page, as part of a change; returns where. */
static ItemPointerData
put_segment(PageChange *change, Buffer buffer, IvfSegment segment, Size size)
{
	Page		page = page_change_register(change, buffer, false);
	OffsetNumber offset = PageAddItem(page, (Item) segment, size, InvalidOffsetNumber, false, false);
	ItemPointerData where;

	if (offset == InvalidOffsetNumber)
		elog(ERROR, "failed to add a segment to index \"%s\"", RelationGetRelationName(change->index));
	ItemPointerSet(&where, BufferGetBlockNumber(buffer), offset);
	return where;
}

/* Write the codes of n rows, as ivf_segment_fill() has them, apart, on pages with room. */
static void
write_codes(IvfIndex *ivf, Relation index, uint32 list, uint32 generation,
			const IvfRows *rows, const uint32 *which, size_t first, uint32 n, ItemPointerData *places)
{
	const ListCode *code = &ivf->code;
	Size		size = ivf_code_segment_size(code);
	void	   *scratch = palloc0(size);

	for (uint32 i = 0; i < n;)
	{
		Buffer		buffer = ivf_list_page(ivf, index, size, false);
		PageChange	change;
		Page		page;

		CHECK_FOR_INTERRUPTS();
		page_change_begin(&change, index, false);
		page = page_change_register(&change, buffer, false);
		do
		{
			size_t		row = which != NULL ? which[first + i] : first + i;
			OffsetNumber offset = ivf_code_put(code, page, list, generation, rows->codes + row * code->code_size, scratch);

			ItemPointerSet(&places[i], BufferGetBlockNumber(buffer), offset);
			i++;
		} while (i < n && PageGetFreeSpace(page) >= size);
		page_change_commit(&change);
		ivf_note_free_space(index, buffer);
		UnlockReleaseBuffer(buffer);
	}
	pfree(scratch);
}

void
ivf_chain_prepend(IvfIndex *ivf, Relation index, uint32 list, uint32 generation,
				  const IvfRows *rows, const uint32 *which, size_t n, IvfChain *chain)
{
	const ListCode *code = &ivf->code;
	bool		blocks = code->nnibbles > 0;
	uint32		most = ivf_segment_capacity(code, ivf->filters, IVF_SEGMENT_MAX_SIZE, blocks);
	IvfSegment	segment = palloc(IVF_SEGMENT_MAX_SIZE);
	ItemPointerData *places = ivf->apart ? palloc(sizeof(ItemPointerData) * most) : NULL;
	size_t		left = n;

	/* from the end, so that each knows where the next one is */
	while (left > 0)
	{
		uint32		count = (uint32) Min(left, most);
		Size		size = ivf_segment_layout(code, ivf->filters, count, blocks).size;
		Buffer		buffer;
		PageChange	change;

		CHECK_FOR_INTERRUPTS();
		/* the odd rows are at the end */
		if (left == n && n > most)
			count = n % most > 0 ? n % most : most;
		size = ivf_segment_layout(code, ivf->filters, count, blocks).size;
		memset(segment, 0, size);
		segment->list = list;
		segment->generation = generation;
		segment->next = chain->head;
		segment->capacity = count;
		if (places != NULL)
			write_codes(ivf, index, list, generation, rows, which, left - count, count, places);
		ivf_segment_fill(segment, rows, which, left - count, count, blocks, places);
		buffer = ivf_list_page(ivf, index, size, false);
		page_change_begin(&change, index, false);
		chain->head = put_segment(&change, buffer, segment, size);
		page_change_commit(&change);
		ivf_note_free_space(index, buffer);
		UnlockReleaseBuffer(buffer);
		if (!ItemPointerIsValid(&chain->tail))
			chain->tail = chain->head;
		else
			chain->rows += count;
		chain->segments++;
		left -= count;
	}
	pfree(segment);
	if (places != NULL)
		pfree(places);
}

void
ivf_chain_begin(IvfChain *chain)
{
	ItemPointerSetInvalid(&chain->head);
	ItemPointerSetInvalid(&chain->tail);
	chain->segments = 0;
	chain->rows = 0;
}

void
ivf_chain_write(IvfIndex *ivf, Relation index, uint32 list, uint32 generation,
				const IvfRows *rows, const uint32 *which, size_t n, IvfChain *chain)
{
	ivf_chain_begin(chain);
	ivf_chain_prepend(ivf, index, list, generation, rows, which, n, chain);
}

/* Where the pieces of a row's filter columns go. */
typedef struct FilterTarget
{
	PageChange *change;
	Buffer		buffer;
	Size		chunk;			/* offset in the page */
} FilterTarget;

static void
write_filter(void *arg, Size offset, const void *bytes, Size n)
{
	FilterTarget *target = arg;

	page_change_write(target->change, target->buffer, target->chunk + offset, bytes, n);
}

/*
 * A page for the code of the next row of a segment that has room, where codes
 * stand apart: exclusively locked, without waiting, as the segment's is.  *place
 * is where it is to go, with the code of a row that is gone, or invalid: then
 * the page has room.  May be the segment's own page.
 *
 * A place whose page is locked by somebody is given up; it is free again when
 * the list is rewritten.
 */
static Buffer
code_page(IvfIndex *ivf, Relation index, const IvfSegmentRef *ref, ItemPointerData *place)
{
	*place = ref->places[ref->segment->count];
	if (ItemPointerIsValid(place))
	{
		Buffer		buffer = pin_page(ivf, index, ItemPointerGetBlockNumber(place));
		IvfSegmentRef code;

		if (buffer == ref->buffer || (BufferIsValid(buffer) && ConditionalLockBuffer(buffer)))
		{
			if (code_problem(ivf, BufferGetPage(buffer), place, ref->segment->list, ref->segment->generation, &code) == NULL)
				return buffer;
			if (buffer != ref->buffer)
				LockBuffer(buffer, BUFFER_LOCK_UNLOCK);
		}
		if (BufferIsValid(buffer))
			ReleaseBuffer(buffer);
		ItemPointerSetInvalid(place);
	}
	return ivf_list_page(ivf, index, ivf_code_segment_size(&ivf->code), false);
}

/* Write a code apart, to where code_page() says; *place is filled in where there was none. */
static void
add_code(IvfIndex *ivf, PageChange *change, const IvfSegment segment, Buffer buffer, const uint8 *code,
		 ItemPointerData *place)
{
	if (ItemPointerIsValid(place))
	{
		Page		page = BufferGetPage(buffer);
		char	   *item = PageGetItem(page, PageGetItemId(page, ItemPointerGetOffsetNumber(place)));

		page_change_write(change, buffer, item + sizeof(IvfSegmentData) - page, code, ivf->code.code_size);
	}
	else
	{
		void	   *scratch = palloc0(ivf_code_segment_size(&ivf->code));

		OffsetNumber offset = ivf_code_put(&ivf->code, page_change_register(change, buffer, false), segment->list,
										   segment->generation, code, scratch);

		ItemPointerSet(place, BufferGetBlockNumber(buffer), offset);
		pfree(scratch);
	}
}

/*
 * Add the row to the segment; its page is locked, and the one that its code goes to if
 * that stands apart (code_page()).
 */
static void
add_row(IvfIndex *ivf, PageChange *change, IvfSegmentRef *ref, const float *factors,
		const uint8 *code, const uint8 *filters, const ItemPointerData *tid, Buffer code_buffer, ItemPointerData *place)
{
	IvfSegment	segment = ref->segment;
	char	   *page = BufferGetPage(ref->buffer);
	uint16		count = segment->count + 1;

	if (ivf->code.nfactors > 0)
	{
		page_change_write(change, ref->buffer, (char *) &ref->a[segment->count] - page, &factors[0], sizeof(float));
		page_change_write(change, ref->buffer, (char *) &ref->b[segment->count] - page, &factors[1], sizeof(float));
	}
	if (ivf->apart)
	{
		add_code(ivf, change, segment, code_buffer, code, place);
		page_change_write(change, ref->buffer, (char *) &ref->places[segment->count] - page, place, sizeof(ItemPointerData));
	}
	else
		page_change_write(change, ref->buffer,
						  (char *) ref->codes + segment->count * ivf->code.code_size - page, code, ivf->code.code_size);
	page_change_write(change, ref->buffer, (char *) &ref->tids[segment->count] - page, tid, sizeof(ItemPointerData));
	if (ivf->filters != NULL)
	{
		FilterTarget target = {change, ref->buffer, (char *) ref->filters - page};

		vecidx_filter_put_pieces(ivf->filters, ref->filters, IVF_FILTER_CAPACITY(segment->capacity), segment->count,
								 filters, write_filter, &target);
	}
	/* last, so that while building it is not seen before its row */
	page_change_write(change, ref->buffer, (char *) &segment->count - page, &count, sizeof(count));
}

/* Room for how many rows a list of so many rows gets when its tail is full. */
static uint32
new_capacity(const IvfIndex *ivf, double rows)
{
	double		wanted = Max(rows / GROWTH, MIN_CAPACITY);

	return (uint32) Min(wanted, (double) ivf->max_capacity);
}

/*
 * Add a segment to a list whose tail has no room, with the row in it; but
 * empty where codes stand apart, as a record has no page left for one.  The
 * directory page is locked first, so that only one backend does it.  closed:
 * nobody rewrites lists at present, so the tail may be a closed one.  *added is where it is.
 */
static bool
append_segment(IvfIndex *ivf, Relation index, const IvfListCopy *list, const float *factors,
			   const uint8 *code, const uint8 *filters, const ItemPointerData *tid, bool closed, double *grown,
			   ItemPointerData *added)
{
	IvfSegmentRef tail = {.buffer = InvalidBuffer};
	IvfSegment	segment;
	IvfEntry	entry;
	IvfEntry	made;
	IvfRows		rows;
	Buffer		directory;
	Buffer		buffer;
	PageChange	change;
	ItemPointerData where;
	double		nrows;
	uint32		capacity;
	Size		size;
	const char *problem;

	directory = ivf_directory_entry(ivf, index, list->list, BUFFER_LOCK_EXCLUSIVE, &entry);
	if (entry->state != IVF_LIST_USED || entry->generation != list->generation ||
		!ItemPointerEquals(&entry->tail, (ItemPointer) &list->tail))
	{
		UnlockReleaseBuffer(directory);
		return false;
	}
	nrows = entry->rows;
	if (ItemPointerIsValid(&entry->tail))
	{
		if (!ivf_segment_try(ivf, index, &entry->tail, list->list, &list->generation, BUFFER_LOCK_EXCLUSIVE,
							 &tail, &problem))
			vecidx_corrupted(index, BufferGetBlockNumber(directory), list->list % ivf->entries_per_page, problem);
		nrows += tail.segment->count;
		if ((tail.segment->flags & IVF_SEGMENT_CLOSED) != 0 && !closed)
		{
			/* closed just now: who rewrites the list has read it, or will */
			ivf_segment_release(&tail);
			UnlockReleaseBuffer(directory);
			return false;
		}
		if (ItemPointerIsValid(&tail.segment->next))
			vecidx_corrupted(index, BufferGetBlockNumber(tail.buffer),
							 ItemPointerGetOffsetNumber(&entry->tail), "the last segment of a list is not its last");
	}
	capacity = new_capacity(ivf, nrows);
	size = ivf_segment_layout(&ivf->code, ivf->filters, capacity, false).size;
	segment = palloc0(size);
	segment->list = list->list;
	segment->generation = list->generation;
	ItemPointerSetInvalid(&segment->next);
	segment->capacity = capacity;
	rows.code = &ivf->code;
	rows.layout = ivf->filters;
	rows.filters = unconstify(uint8 *, filters);
	rows.factors = unconstify(float *, factors);
	rows.codes = unconstify(uint8 *, code);
	rows.tids = unconstify(ItemPointerData *, tid);
	ivf_segment_fill(segment, &rows, NULL, 0, ivf->apart ? 0 : 1, false, NULL);

	/* waits for nobody; it may be the tail's page itself */
	if (BufferIsValid(tail.buffer) && PageGetFreeSpace(BufferGetPage(tail.buffer)) >= size)
		buffer = tail.buffer;
	else
		buffer = ivf_list_page(ivf, index, size, false);

	made = palloc(ivf->entry_size);
	memcpy(made, entry, ivf->entry_size);
	page_change_begin(&change, index, false);
	(void) page_change_register(&change, directory, false);
	if (BufferIsValid(tail.buffer))
	{
		Size		offset = (char *) &tail.segment->next - (char *) BufferGetPage(tail.buffer);
		Page		page = page_change_register(&change, tail.buffer, false);

		/* the new item may move nothing, but where the old one is in the image is where it was */
		where = put_segment(&change, buffer, segment, size);
		memcpy(page + offset, &where, sizeof(where));
	}
	else
	{
		where = put_segment(&change, buffer, segment, size);
		made->head = where;
	}
	made->tail = where;
	made->rows = (uint32) Min(nrows, (double) PG_UINT32_MAX);
	made->segments++;
	memcpy(page_change_register(&change, directory, false) + ((char *) entry - (char *) BufferGetPage(directory)),
		   made, ivf->entry_size);
	page_change_commit(&change);

	ivf_note_free_space(index, buffer);
	if (buffer != tail.buffer)
		UnlockReleaseBuffer(buffer);
	if (BufferIsValid(tail.buffer))
		UnlockReleaseBuffer(tail.buffer);
	UnlockReleaseBuffer(directory);
	pfree(segment);
	pfree(made);
	*grown = nrows + 1;
	*added = where;
	return true;
}

/* How an attempt to add a row to a list's tail ended. */
typedef enum Appended
{
	APPENDED,
	LIST_CHANGED,
	TAIL_FULL,
	TAIL_CLOSED
} Appended;

static Appended
append_to_tail(IvfIndex *ivf, Relation index, const IvfListCopy *list, const ItemPointerData *where, const float *factors,
			   const uint8 *code, const uint8 *filters, const ItemPointerData *tid)
{
	IvfSegmentRef tail;
	const char *problem;
	PageChange	change;
	Buffer		code_buffer = InvalidBuffer;
	ItemPointerData place;
	bool		reused = false;
	Appended	result = LIST_CHANGED;

	if (!ivf_segment_try(ivf, index, where, list->list, &list->generation, BUFFER_LOCK_EXCLUSIVE, &tail, &problem))
		return LIST_CHANGED;	/* rewritten, and freed since; or damage, which the next look at the entry shows */
	if (ItemPointerIsValid(&tail.segment->next))
		;
	else if ((tail.segment->flags & IVF_SEGMENT_CLOSED) != 0)
		result = TAIL_CLOSED;
	else if (tail.segment->count >= tail.segment->capacity)
		result = TAIL_FULL;
	else
	{
		if (ivf->apart)
		{
			code_buffer = code_page(ivf, index, &tail, &place);
			reused = ItemPointerIsValid(&place);
		}
		page_change_begin(&change, index, false);
		add_row(ivf, &change, &tail, factors, code, filters, tid, code_buffer, &place);
		page_change_commit(&change);
		if (BufferIsValid(code_buffer) && !reused)
			ivf_note_free_space(index, code_buffer);
		if (code_buffer == tail.buffer)
			ReleaseBuffer(code_buffer);
		else if (BufferIsValid(code_buffer))
			UnlockReleaseBuffer(code_buffer);
		result = APPENDED;
	}
	ivf_segment_release(&tail);
	return result;
}

bool
ivf_append(IvfIndex *ivf, Relation index, const IvfListCopy *list, const float *factors,
		   const uint8 *code, const uint8 *filters, const ItemPointerData *tid, double *grown)
{
	Appended	result = TAIL_FULL;
	ItemPointerData added;
	bool		done;

	*grown = 0;
	if (ItemPointerIsValid(&list->tail))
		result = append_to_tail(ivf, index, list, &list->tail, factors, code, filters, tid);
	if (result == APPENDED || result == LIST_CHANGED)
		return result == APPENDED;
	if (result == TAIL_FULL)
		done = append_segment(ivf, index, list, factors, code, filters, tid, false, grown, &added);
	else
	{
		/* being rewritten, or that was cut short: who does it has ended when this lock is had */
		ivf_maintain_share(index);
		if (!ivf_index_refresh(ivf, index) || ivf->npending > 0)
		{
			/* it has a successor already, by the metapage */
			ivf_maintain_unshare(index);
			(void) ivf_maintain_lock(index, true);
			(void) ivf_directory_finish(ivf, index);
			ivf_maintain_unlock(index);
			return false;
		}
		done = append_segment(ivf, index, list, factors, code, filters, tid, true, grown, &added);
		ivf_maintain_unshare(index);
	}
	/* unless others have filled it, or closed it, just now */
	if (done && ivf->apart)
		done = append_to_tail(ivf, index, list, &added, factors, code, filters, tid) == APPENDED;
	return done;
}
