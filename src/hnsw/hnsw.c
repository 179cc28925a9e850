/*
 * hnsw.c
 *		The access method's handler, options and cost.
 */
#include "vecidx.h"

#include <math.h>

#include "access/reloptions.h"
#include "commands/progress.h"
#include "guc.h"
#include "hnsw/hnsw.h"
#include "index/am.h"
#include "index/cost.h"
#include "utils/builtins.h"
#include "utils/selfuncs.h"

static relopt_kind hnsw_relopt_kind;

/* Fixed, so that a build gives the same graph each time. */
#define HNSW_SEED UINT64CONST(0x76656369647820)

/* Vectors of floats have every name there is; what the column has is looked at later. */
static void
validate_quantizer(const char *value)
{
	QuantKind	kind;

	if (value != NULL && !quant_parse(value, QUANT_FLOATS, &kind))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"quantizer\": \"%s\"", value),
				 errhint("Valid values are \"none\", \"rabitq4\" and \"sq8\".")));
}

void
hnsw_init(void)
{
	hnsw_relopt_kind = add_reloption_kind();
	add_int_reloption(hnsw_relopt_kind, "m", "Links of a node on each level but the lowest, which has twice as many",
					  HNSW_DEFAULT_M, HNSW_MIN_M, HNSW_MAX_M, AccessExclusiveLock);
	add_int_reloption(hnsw_relopt_kind, "ef_construction", "Size of the dynamic candidate list of an insert",
					  HNSW_DEFAULT_EF_CONSTRUCTION, HNSW_MIN_EF_CONSTRUCTION, HNSW_MAX_EF_CONSTRUCTION,
					  AccessExclusiveLock);
	add_string_reloption(hnsw_relopt_kind, "quantizer", "Code that stands for a vector in the index",
						 NULL, validate_quantizer, AccessExclusiveLock);
	vecidx_checker_register(&hnsw_checker);
}

static bytea *
hnsw_options(Datum reloptions, bool validate)
{
	static const relopt_parse_elt tab[] = {
		{.optname = "m", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(HnswOptions, m)},
		{.optname = "ef_construction", .opttype = RELOPT_TYPE_INT,
		.offset = offsetof(HnswOptions, ef_construction)},
		{.optname = "quantizer", .opttype = RELOPT_TYPE_STRING,
		.offset = offsetof(HnswOptions, quantizer_offset)},
	};

	return (bytea *) build_reloptions(reloptions, validate, hnsw_relopt_kind,
									  sizeof(HnswOptions), tab, lengthof(tab));
}

void
hnsw_params_read(Relation index, HnswParams *params)
{
	HnswOptions *options = (HnswOptions *) index->rd_options;
	const char *quantizer = NULL;
	const VecidxType *type;
	Metric		metric;

	params->opclass = vecidx_opclass(index);
	type = params->opclass->type;
	params->filters = vecidx_filter_layout(index, CurrentMemoryContext);
	params->dim = vecidx_index_dim(index, params->opclass);
	params->m = options != NULL ? options->m : HNSW_DEFAULT_M;
	params->ef_construction = options != NULL ? options->ef_construction : HNSW_DEFAULT_EF_CONSTRUCTION;
	params->seed = HNSW_SEED;
	metric = params->opclass->metric;

	if (params->ef_construction < 2 * params->m)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("ef_construction must be greater than or equal to 2 * m"),
				 errdetail("ef_construction is %d, m is %d.", params->ef_construction, params->m)));
	if (params->dim > type->max_dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("column cannot have more than %d dimensions for hnsw index", type->max_dim)));

	if (options != NULL && options->quantizer_offset > 0)
		quantizer = (char *) options + options->quantizer_offset;
	if (quantizer == NULL)
		params->quantizer = quant_default(type->elements, metric, params->dim, HNSW_CODE_PAGE_BYTES);
	else if (!quant_parse(quantizer, type->elements, &params->quantizer))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("quantizer \"%s\" does not support type %s", quantizer, type->name),
				 errhint("Leave the option away to get one that does.")));
	if (quant_code_size(params->quantizer, metric, params->dim) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("quantizer \"%s\" does not support %s distance",
						quant_name(params->quantizer), metric_info(metric)->name),
				 errhint("Leave the option away to get one that does.")));
}

static char *
hnsw_buildphasename(int64 phase)
{
	switch (phase)
	{
		case PROGRESS_CREATEIDX_SUBPHASE_INITIALIZE:
			return "initializing";
		case PROGRESS_HNSW_PHASE_SAMPLE:
			return "sampling rows";
		case PROGRESS_HNSW_PHASE_LOAD:
			return "loading tuples";
		case PROGRESS_HNSW_PHASE_WRITE:
			return "writing graph";
		case PROGRESS_HNSW_PHASE_LOG:
			return "logging pages";
		default:
			return NULL;
	}
}

/* An index's quantizer, as far as its options tell: they may have been altered since it was built. */
static QuantKind
planned_kind(Relation index)
{
	const HnswOptions *options = (HnswOptions *) index->rd_options;
	const VecidxOpclass *opclass = vecidx_opclass(index);
	QuantKind	quantizer;

	if (options == NULL || options->quantizer_offset == 0 ||
		!quant_parse((const char *) options + options->quantizer_offset, opclass->type->elements, &quantizer))
		quantizer = quant_default(opclass->type->elements, opclass->metric, vecidx_index_dim(index, opclass), HNSW_CODE_PAGE_BYTES);
	return quantizer;
}

/* Rows that a scan looks at for each that it returns: some estimates promise more than the distance keeps. */
#define HNSW_FETCHES 1.25

/*
 * Effort of a scan.  With conditions on filter columns it is what the scan itself
 * reckons with (hnsw_scan.c), of the pass rate that the planner expects.
 */
static void
hnsw_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
				  Cost *startup, Cost *total, Selectivity *selectivity,
				  double *correlation, double *pages)
{
	VecidxEffort effort = {0};
	Relation	index;
	const HnswOptions *options;
	const VecidxOpclass *opclass;
	QuantKind	kind;
	Size		code_size;
	int			m;
	double		rows = Max(path->indexinfo->tuples, 1.0);
	double		rate;
	double		hops;

	if (!vecidx_cost_begin(root, path, &rate, startup, total, selectivity, correlation, pages))
		return;
	/* the planner holds a lock on it */
	index = index_open(path->indexinfo->indexoid, NoLock);
	options = (const HnswOptions *) index->rd_options;
	m = options != NULL ? options->m : HNSW_DEFAULT_M;
	kind = planned_kind(index);
	opclass = vecidx_opclass(index);
	code_size = quant_code_size(kind, opclass->metric, vecidx_index_dim(index, opclass));
	effort.fetches = quant_exact(kind) ? 0 : HNSW_FETCHES;
	index_close(index, NoLock);

	effort.all_ns = hnsw_pass_work(rows, code_size, rate);
	effort.start_ns = hnsw_graph_work(hnsw_ef_search, m, code_size, vecidx_filtered(path) ? rate : 1);
	/* half of what a round finds may be returned; searches go deeper where rows are discarded */
	effort.row_ns = 2 * effort.start_ns / hnsw_ef_search;
	effort.deeper_ns = 3 * effort.start_ns / hnsw_ef_search;
	hops = hnsw_ef_search + log(rows + 1) / log(m);
	effort.start_pages = hops;
	effort.row_pages = 2 * hops / hnsw_ef_search;
	vecidx_cost(root, path, loop_count, rate, &effort, startup, total, selectivity, correlation, pages);
}

PGDLLEXPORT PG_FUNCTION_INFO_V1(hnswhandler);
Datum
hnswhandler(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = vecidx_am_routine();

	(void) fcinfo;
	am->ambuild = hnsw_build;
	am->ambuildempty = hnsw_buildempty;
	am->aminsert = hnsw_insert;
	am->ambulkdelete = hnsw_bulkdelete;
	am->amvacuumcleanup = hnsw_vacuumcleanup;
	am->amcostestimate = hnsw_costestimate;
	am->amoptions = hnsw_options;
	am->ambuildphasename = hnsw_buildphasename;
	am->ambeginscan = hnsw_beginscan;
	am->amrescan = hnsw_rescan;
	am->amgettuple = hnsw_gettuple;
	am->amendscan = hnsw_endscan;
	PG_RETURN_POINTER(am);
}
