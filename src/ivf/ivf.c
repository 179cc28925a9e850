/*
 * ivf.c
 *		The two access methods' handlers, options and cost.
 */
#include "vecidx.h"

#include <math.h>

#include "access/reloptions.h"
#include "commands/progress.h"
#include "guc.h"
#include "index/am.h"
#include "index/cost.h"
#include "ivf/ivf.h"
#include "ivf/ivf_train.h"
#include "utils/builtins.h"

static relopt_kind ivfflat_relopt_kind;
static relopt_kind ivfpq_relopt_kind;

/* Fixed, so that a build gives the same lists each time. */
#define IVF_SEED UINT64CONST(0x7665636964787669)

/* Fewer rows than this are not worth a list of their own. */
#define ROWS_A_LIST 64

/* Lists for so many rows, probes for so many lists: a factor of the square root. */
#define LISTS_FACTOR 4.0
#define LISTS_FACTOR_WIDE 2.5
#define PROBES_FACTOR 1.5

#define RABITQ_DEFAULT_BITS 4
#define PQ_DEFAULT_BITS 4

/* Bits of a bit string that is indexed, as in pgvector: its entry in the directory has to fit a page. */
#define IVF_MAX_BIT_STRING 64000

static const struct
{
	const char *name;
	ListCodeKind kind;
}			quantizers[] = {
	{"rabitq", LISTCODE_RABITQ},
	{"pq", LISTCODE_PQ}
};

/* Which code an option names; false if none. */
static bool
parse_quantizer(const char *name, ListCodeKind *kind)
{
	for (int i = 0; i < (int) lengthof(quantizers); i++)
		if (pg_strcasecmp(name, quantizers[i].name) == 0)
		{
			*kind = quantizers[i].kind;
			return true;
		}
	return false;
}

static void
validate_quantizer(const char *value)
{
	ListCodeKind kind;

	if (value != NULL && !parse_quantizer(value, &kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"quantizer\": \"%s\"", value),
				 errhint("Valid values are \"rabitq\" and \"pq\".")));
}

void
ivf_init(void)
{
	static const char *const lists = "Number of lists; by the number of rows if not given";

	/* 0 stands for what the user did not say, and cannot be said */
	ivfflat_relopt_kind = add_reloption_kind();
	add_int_reloption(ivfflat_relopt_kind, "lists", lists, 0, IVF_MIN_LISTS, IVF_MAX_LISTS, AccessExclusiveLock);

	ivfpq_relopt_kind = add_reloption_kind();
	add_int_reloption(ivfpq_relopt_kind, "lists", lists, 0, IVF_MIN_LISTS, IVF_MAX_LISTS, AccessExclusiveLock);
	add_string_reloption(ivfpq_relopt_kind, "quantizer", "Code that stands for a vector in the index",
						 NULL, validate_quantizer, AccessExclusiveLock);
	add_int_reloption(ivfpq_relopt_kind, "m", "Parts that product quantisation cuts a vector into",
					  0, 1, VECIDX_MAX_DIM, AccessExclusiveLock);
	add_int_reloption(ivfpq_relopt_kind, "bits", "Bits of a dimension, or of a part of product quantisation",
					  0, 1, 8, AccessExclusiveLock);
	vecidx_checker_register(&ivf_checker);
}

static bytea *
ivfflat_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{.optname = "lists", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(IvfOptions, lists)},
	};

	return (bytea *) build_reloptions(reloptions, validate, ivfflat_relopt_kind,
									  sizeof(IvfOptions), tab, lengthof(tab));
}

static bytea *
ivfpq_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{.optname = "lists", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(IvfOptions, lists)},
		{.optname = "quantizer", .opttype = RELOPT_TYPE_STRING,
		.offset = offsetof(IvfOptions, quantizer_offset)},
		{.optname = "m", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(IvfOptions, m)},
		{.optname = "bits", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(IvfOptions, bits)},
	};

	return (bytea *) build_reloptions(reloptions, validate, ivfpq_relopt_kind,
									  sizeof(IvfOptions), tab, lengthof(tab));
}

/* The two differ in their options, so these tell them apart. */
static inline bool
is_pq(Relation index)
{
	return index->rd_indam->amoptions == ivfpq_options;
}

const char *
ivf_am_name(Relation index)
{
	return is_pq(index) ? "ivfpq" : "ivfflat";
}

const IvfSettings *
ivf_settings(Relation index)
{
	return is_pq(index) ? &ivfpq_settings : &ivfflat_settings;
}

uint32
ivf_default_lists(ListCodeKind kind, int dim, double rows)
{
	/* wide centroids: what a list takes up beside its rows is to stay a small part of the index */
	double		factor = kind != LISTCODE_EXACT && dim >= IVF_CODED_CENTROID_DIM ? LISTS_FACTOR_WIDE : LISTS_FACTOR;
	double		lists = Min(factor * sqrt(Max(rows, 0)), rows / ROWS_A_LIST);

	return (uint32) Max(1.0, Min(lists, (double) IVF_LIST_LIMIT));
}

int
ivf_default_probes(uint32 lists)
{
	return (int) Min((double) lists, ceil(PROBES_FACTOR * sqrt((double) lists)));
}

/* ---- Parameters ---- */

/* Whether a list's page has room for a row. */
static bool
row_fits(const ListCodeSpec *spec, const VecidxFilterLayout *filters)
{
	ListCode	code;

	listcode_init(&code, spec, NULL, NULL);
	return ivf_segment_capacity(&code, filters, IVF_SEGMENT_MAX_SIZE, false) > 0;
}

pg_noreturn static void
too_many_dimensions(Relation index, int max)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("column cannot have more than %d dimensions for %s index", max,
					ivf_am_name(index))));
}

/*
 * Exact values, in the type's own form.  Where a row of them is larger than a
 * page, the finest code that is not; the order of rows is then settled by
 * exact distances from the table.
 */
static void
ivfflat_spec(Relation index, const VecidxFilterLayout *filters, ListCodeSpec *spec)
{
	static const int code_bits[] = {8, 4};

	spec->kind = LISTCODE_EXACT;
	if (row_fits(spec, filters))
		return;
	if (ivf_route_metric(spec->metric) != METRIC_L2)
	{
		ListCodeSpec fitting = *spec;
		int			low = 1;

		/* no code of these has an error bound */
		for (int high = spec->dim; low < high;)
		{
			fitting.dim = low + (high - low + 1) / 2;
			if (row_fits(&fitting, filters))
				low = fitting.dim;
			else
				high = fitting.dim - 1;
		}
		too_many_dimensions(index, low);
	}
	spec->kind = LISTCODE_RABITQ;
	spec->half = false;
	for (int i = 0; i < (int) lengthof(code_bits); i++)
	{
		spec->bits = code_bits[i];
		if (row_fits(spec, filters))
			return;
	}
	too_many_dimensions(index, VECIDX_MAX_DIM);
}

static void
ivfpq_spec(const IvfOptions *options, const VecidxFilterLayout *filters, ListCodeSpec *spec)
{
	const char *problem;

	spec->half = false;
	spec->kind = LISTCODE_RABITQ;
	if (options != NULL && options->quantizer_offset > 0 &&
		!parse_quantizer((const char *) options + options->quantizer_offset, &spec->kind))
		elog(ERROR, "unexpected quantizer");
	if (options != NULL)
	{
		spec->bits = options->bits;
		spec->m = options->m;
	}
	if (spec->kind == LISTCODE_RABITQ)
	{
		if (spec->m > 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"m\" is of quantizer \"pq\" only"),
					 errhint("Set quantizer = 'pq', or leave \"m\" away.")));
		if (spec->bits == 0)
			spec->bits = RABITQ_DEFAULT_BITS;
		if (spec->bits != 1 && spec->bits != 4 && spec->bits != 8)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("quantizer \"rabitq\" has no codes of %d bits", spec->bits),
					 errhint("\"bits\" may be 1, 4 or 8.")));
	}
	else
	{
		if (spec->bits == 0)
			spec->bits = PQ_DEFAULT_BITS;
		if (spec->bits != 4 && spec->bits != 8)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("quantizer \"pq\" has no codes of %d bits", spec->bits),
					 errhint("\"bits\" may be 4 or 8.")));
		/* two bits a dimension */
		if (spec->m == 0)
			spec->m = Max(1, spec->dim * 2 / spec->bits);
		if (spec->m > spec->dim)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"m\" is larger than the number of dimensions"),
					 errdetail("\"m\" is %d, the column has %d dimensions.", spec->m, spec->dim)));
	}
	problem = listcode_problem(spec);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("ivfpq index cannot be made with these options"),
				 errdetail_internal("%s", problem)));
	if (!row_fits(spec, filters))
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("code of a vector does not fit a page"),
				 errdetail("The column has %d dimensions.", spec->dim),
				 errhint("Choose fewer \"bits\" or a smaller \"m\".")));
}

void
ivf_params_read(Relation index, IvfParams *params)
{
	const IvfOptions *options = (const IvfOptions *) index->rd_options;
	const VecidxType *type;
	ListCodeSpec *spec = &params->spec;

	memset(params, 0, sizeof(*params));
	params->opclass = vecidx_opclass(index);
	params->filters = vecidx_filter_layout(index, CurrentMemoryContext);
	type = params->opclass->type;
	params->lists = options != NULL ? options->lists : 0;

	spec->metric = params->opclass->metric;
	spec->elements = type->elements;
	spec->half = type->half;
	spec->dim = vecidx_index_dim(index, params->opclass);
	spec->seed = IVF_SEED;
	if (type->elements == QUANT_BIT_STRING && spec->dim > IVF_MAX_BIT_STRING)
		too_many_dimensions(index, IVF_MAX_BIT_STRING);
	if (spec->dim > type->max_dim)
		too_many_dimensions(index, type->max_dim);

	if (is_pq(index))
		ivfpq_spec(options, params->filters, spec);
	else
		ivfflat_spec(index, params->filters, spec);
	params->route = quant_default(spec->elements, ivf_route_metric(spec->metric), spec->dim,
								  IVF_DIRECTORY_PAGE_BYTES - IVF_ENTRY_SIZE(0));
}

/* ---- The handlers ---- */

static char *
ivf_buildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PROGRESS_IVF_PHASE_SAMPLE:
			return "sampling rows";
		case PROGRESS_IVF_PHASE_TRAIN:
			return "performing k-means";
		case PROGRESS_IVF_PHASE_ASSIGN:
			return "assigning tuples";
		case PROGRESS_IVF_PHASE_WRITE:
			return "loading tuples";
		case PROGRESS_IVF_PHASE_LOG:
			return "logging pages";
		default:
			return NULL;
	}
}

/*
 * Effort of a scan, in nanoseconds: a list of the directory and a code by their
 * length, which the index's own size tells well enough; a page to look at it; a row's test.
 */
#define LIST_NS(bytes) (15 + (bytes) / 30)
#define SCORE_NS(bytes) (1 + (bytes) / 60)
#define PAGE_NS 200
#define TEST_NS 0.2

/* Rows that are gone through for each that is returned, past the first. */
#define ROWS_A_ROW 32

/* Whether the vectors of an index stand apart from the values that conditions are tested by (ivf_codes_apart()). */
static bool
vectors_apart(Relation index)
{
	const VecidxOpclass *opclass = vecidx_opclass(index);
	Size		dim = (Size) vecidx_index_dim(index, opclass);
	Size		size = opclass->type->elements == QUANT_BIT_STRING ? dim / 8 :
		dim * (opclass->type->half ? sizeof(uint16) : sizeof(float4));

	return !is_pq(index) && IndexRelationGetNumberOfKeyAttributes(index) > 1 && size >= IVF_APART_SIZE;
}

/*
 * A scan reads the whole directory, and of the lists the share that is
 * probed.  How many lists there are is worked out as a build would, so that
 * planning reads no page.  Of rows that conditions on further columns leave, the
 * nearest lie in more lists the fewer they are, about with the root of it.
 */
static void
ivf_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				 Cost *startup, Cost *total, Selectivity *selectivity,
				 double *correlation, double *pages)
{
	VecidxEffort effort = {0};
	Relation	index;
	const IvfOptions *options;
	const IvfSettings *settings;
	double		rows = Max(path->indexinfo->tuples, 1.0);
	double		index_pages = path->indexinfo->pages;
	double		bytes = Min(index_pages * BLCKSZ / rows, BLCKSZ);
	double		rate;
	double		share;
	double		row_ns;
	double		looks = index_pages / rows; /* at pages, for a row gone through */
	double		reads = looks / 4;	/* of pages: lists lie in runs of them */
	uint32		lists;
	int			probes;

	if (!vecidx_cost_begin(root, path, &rate, startup, total, selectivity, correlation, pages))
		return;
	/* the planner holds a lock on it */
	index = index_open(path->indexinfo->indexoid, NoLock);
	options = (const IvfOptions *) index->rd_options;
	settings = ivf_settings(index);
	lists = options != NULL && options->lists > 0 ? (uint32) options->lists :
		ivf_default_lists(is_pq(index) ? LISTCODE_RABITQ : LISTCODE_EXACT,
						  vecidx_index_dim(index, vecidx_opclass(index)), rows);
	probes = settings->probes > 0 ? settings->probes : ivf_default_probes(lists);
	effort.fetches = is_pq(index) && settings->rerank ? 1 : 0;
	if (vectors_apart(index))
	{
		/* a list's values, and the vectors of rows that pass */
		looks = Min(looks, rate + 1.0 / ROWS_A_LIST);
		reads = Min(reads, rate + 0.25 / ROWS_A_LIST);
	}
	index_close(index, NoLock);

	share = Min(1.0, (double) probes / lists / sqrt(Max(rate, 1 / rows)));
	row_ns = TEST_NS + rate * SCORE_NS(bytes) + looks * PAGE_NS;
	effort.start_ns = lists * LIST_NS(bytes) + share * rows * row_ns;
	effort.row_ns = ROWS_A_ROW / Max(rate, 1 / rows) * row_ns;
	effort.all_ns = lists * LIST_NS(bytes) + rows * row_ns;
	effort.start_pages = 1 + rows * share * reads;
	effort.row_pages = reads;
	vecidx_cost(root, path, loop_count, rate, &effort, startup, total, selectivity, correlation, pages);
}

static IndexAmRoutine *
make_handler(amoptions_function options)
{
	IndexAmRoutine *am = vecidx_am_routine();

	am->ambuild = ivf_build;
	am->ambuildempty = ivf_buildempty;
	am->aminsert = ivf_insert;
	am->ambulkdelete = ivf_bulkdelete;
	am->amvacuumcleanup = ivf_vacuumcleanup;
	am->amcostestimate = ivf_costestimate;
	am->amoptions = options;
	am->ambuildphasename = ivf_buildphasename;
	am->ambeginscan = ivf_beginscan;
	am->amrescan = ivf_rescan;
	am->amgettuple = ivf_gettuple;
	am->amendscan = ivf_endscan;
	return am;
}

PGDLLEXPORT PG_FUNCTION_INFO_V1(ivfflathandler);
Datum
ivfflathandler(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_POINTER(make_handler(ivfflat_options));
}

PGDLLEXPORT PG_FUNCTION_INFO_V1(ivfpqhandler);
Datum
ivfpqhandler(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_POINTER(make_handler(ivfpq_options));
}
