/*
 * ivf_insert.c
 *		One row into the list whose centroid is nearest.
 */
#include "vecidx.h"

#include "ivf/ivf.h"
#include "miscadmin.h"
#include "utils/memutils.h"

/* Attempts after which a list that changes each time must be damaged. */
#define MAX_ATTEMPTS 1000

/* What one statement keeps between its rows. */
typedef struct InsertState
{
	MemoryContext context;		/* of all this; anew where the index has another uid */
	MemoryContext row;
	IvfIndex   *ivf;
	IvfRoute	route;
	void	   *buffer;
	void	   *centroid;
	uint8	   *code;
	uint8	   *filters;		/* packed; NULL if there are no further columns */
	void	   *scratch;
} InsertState;

/* Memory for inserts, in a context that ends with the statement. */
static void
insert_begin(InsertState *state, Relation index, MemoryContext parent)
{
	MemoryContext context = AllocSetContextCreate(parent, "ivf insert", ALLOCSET_DEFAULT_SIZES);
	IvfIndex   *ivf = ivf_index_open(index, context);

	state->context = context;
	state->ivf = ivf;
	state->row = AllocSetContextCreate(context, "ivf insert row", ALLOCSET_DEFAULT_SIZES);
	ivf_route_init(&state->route, ivf, context);
	state->buffer = vecidx_elements_buffer(ivf->opclass, ivf->dim, context);
	state->centroid = MemoryContextAlloc(context, ivf_centroid_size(ivf->code.spec.elements, ivf->dim));
	state->code = MemoryContextAllocZero(context, ivf->code.code_size + SIMD_SLACK);
	state->filters = ivf->filters == NULL ? NULL : MemoryContextAlloc(context, ivf->filters->packed_size);
	state->scratch = vecidx_alloc_aligned(context, ivf->code.scratch_size + 1);
}

/* The list for the elements, as it is now; false if the index was made anew. */
static bool
find_list(InsertState *state, Relation index, const void *elements, IvfListCopy *list)
{
	if (!ivf_route_begin(&state->route, index, elements, false))
		return false;
	ivf_entry_read(state->ivf, index, ivf_route_nearest(&state->route, index, state->centroid), list);
	return true;
}

/* Add a row; *to is its list as it was, and *grown how long that is if it has a new segment, else 0. */
static void
insert_row(InsertState *state, Relation index, const Datum *values, const bool *isnull, ItemPointer tid,
		   MemoryContext parent, IvfListCopy *to, double *grown)
{
	*grown = 0;
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		IvfIndex   *ivf = state->ivf;
		const void *elements = vecidx_elements(ivf->opclass, values[0], ivf->dim, state->buffer);
		float		factors[2] = {0, 0};
		IvfListCopy list;

		CHECK_FOR_INTERRUPTS();
		if (elements == NULL)
			return;
		if (!find_list(state, index, elements, &list))
		{
			MemoryContext old = state->context;

			/* the row's context goes with it */
			MemoryContextSwitchTo(parent);
			insert_begin(state, index, parent);
			MemoryContextDelete(old);
			MemoryContextSwitchTo(state->row);
			continue;
		}
		if (list.state != IVF_LIST_USED)
			continue;
		listcode_encode(&ivf->code, elements, state->centroid, factors, state->code, state->scratch);
		if (ivf->filters != NULL)
			vecidx_filter_pack(ivf->filters, values, isnull, state->filters);
		if (ivf_append(ivf, index, &list, factors, state->code, state->filters, tid, grown))
		{
			*to = list;
			return;
		}
	}
	vecidx_corrupted(index, IVF_META_BLOCK, -1, "entries of lists do not lead to their last segments");
}

bool
ivf_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
		   IndexUniqueCheck check, bool unchanged, IndexInfo *indexInfo)
{
	InsertState *state = indexInfo->ii_AmCache;
	MemoryContext old;
	IvfListCopy list;
	double		grown;

	(void) check;
	(void) unchanged;
	if (isnull[0])
		return false;
	if (state == NULL)
	{
		state = MemoryContextAllocZero(indexInfo->ii_Context, sizeof(InsertState));
		insert_begin(state, index, indexInfo->ii_Context);
		indexInfo->ii_AmCache = state;
	}

	old = MemoryContextSwitchTo(state->row);
	insert_row(state, index, values, isnull, tid, indexInfo->ii_Context, &list, &grown);
	if (grown > 0 && ivf_due(state->ivf, &list, grown))
		ivf_split(index, heap, list.list);
	MemoryContextSwitchTo(old);
	MemoryContextReset(state->row);
	return false;
}
