/*
 * guc.c
 *		Every setting of the extension.
 */
#include "vecidx.h"

#include <limits.h>

#include "guc.h"
#include "ivf/ivf_page.h"
#include "simd/simd.h"
#include "utils/guc.h"

/* vecidx.simd: "auto" or the level to force */
#define SIMD_SETTING_AUTO (-1)

static const struct config_enum_entry simd_options[] = {
	{"auto", SIMD_SETTING_AUTO, false},
	{"scalar", SIMD_SCALAR, false},
	{"baseline", SIMD_BASELINE, false},
	{"avx2", SIMD_AVX2, false},
	{"avx512", SIMD_AVX512, false},
	{NULL, 0, false}
};

static const struct config_enum_entry iterative_scan_options[] = {
	{"off", ITERATIVE_SCAN_OFF, false},
	{"relaxed_order", ITERATIVE_SCAN_RELAXED, false},
	{"strict_order", ITERATIVE_SCAN_STRICT, false},
	{NULL, 0, false}
};

static int	simd_setting = SIMD_SETTING_AUTO;
bool		vecidx_replace_vector;
bool		vecidx_plan_probe;
int			hnsw_ef_search;
int			hnsw_iterative_scan;
int			hnsw_max_scan_tuples;
double		hnsw_scan_mem_multiplier;
IvfSettings ivfflat_settings;
IvfSettings ivfpq_settings;

static bool
simd_check(int *newval, void **extra, GucSource source)
{
	(void) extra;
	(void) source;
	if (*newval != SIMD_SETTING_AUTO && simd_kernels_for((SimdLevel) *newval) == NULL)
	{
		GUC_check_errdetail("This processor or build has no such instruction set.");
		GUC_check_errhint("Set it to \"auto\" for the best level available.");
		return false;
	}
	return true;
}

static void
simd_assign(int newval, void *extra)
{
	(void) extra;
	if (newval == SIMD_SETTING_AUTO)
		simd_use_best();
	else
		simd_force((SimdLevel) newval);
}

/* What both access methods of src/ivf have. */
#define DEFINE_IVF_SETTINGS(am, settings) \
	do { \
		DefineCustomIntVariable(am ".probes", \
								"Lists that a search looks into at first.", \
								"0 means by the number of lists.", \
								&(settings)->probes, 0, 0, IVF_MAX_LISTS, \
								PGC_USERSET, 0, NULL, NULL, NULL); \
		DefineCustomEnumVariable(am ".iterative_scan", \
								 "How a scan goes on when more rows are wanted than the first lists hold.", \
								 NULL, \
								 &(settings)->iterative_scan, ITERATIVE_SCAN_STRICT, iterative_scan_options, \
								 PGC_USERSET, 0, NULL, NULL, NULL); \
		DefineCustomIntVariable(am ".max_probes", \
								"Number of lists after which an iterative scan stops.", \
								NULL, \
								&(settings)->max_probes, IVF_MAX_LISTS, 1, IVF_MAX_LISTS, \
								PGC_USERSET, 0, NULL, NULL, NULL); \
	} while (0)

void
vecidx_guc_init(void)
{
	DefineCustomEnumVariable("vecidx.simd",
							 "Instruction set of the distance kernels.",
							 "\"auto\" takes the best level of this processor; the others are for tests.",
							 &simd_setting, SIMD_SETTING_AUTO, simd_options,
							 PGC_USERSET, 0, simd_check, simd_assign, NULL);

	DefineCustomBoolVariable("vecidx.replace_vector",
							 "Has CREATE EXTENSION vector create vecidx.",
							 "For dumps, migrations and clients that name pgvector's extension.",
							 &vecidx_replace_vector, false,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomBoolVariable("vecidx.plan_probe",
							 "Looks at rows near the query to choose its plan.",
							 "Where conditions outside an index might go with the distance, or against it.",
							 &vecidx_plan_probe, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("hnsw.ef_search",
							"Size of the dynamic candidate list of a search.",
							"Larger values find more of the true neighbours and take longer.",
							&hnsw_ef_search, 40, 1, 100000,
							PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomEnumVariable("hnsw.iterative_scan",
							 "How a scan goes on when more rows are wanted than ef_search found.",
							 NULL,
							 &hnsw_iterative_scan, ITERATIVE_SCAN_STRICT, iterative_scan_options,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomIntVariable("hnsw.max_scan_tuples",
							"Number of tuples after which an iterative scan stops.",
							"0 means no limit: the scan goes on until the index is exhausted.",
							&hnsw_max_scan_tuples, 0, 0, INT_MAX,
							PGC_USERSET, 0, NULL, NULL, NULL);

	DefineCustomRealVariable("hnsw.scan_mem_multiplier",
							 "Multiple of work_mem that a scan may keep its candidates in.",
							 "Past it the scan goes on in passes over the whole index.",
							 &hnsw_scan_mem_multiplier, 1, 1, 1000,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	DEFINE_IVF_SETTINGS("ivfflat", &ivfflat_settings);
	DEFINE_IVF_SETTINGS("ivfpq", &ivfpq_settings);
	/* the rows of an ivfflat index are in exact order, whatever it holds */
	ivfflat_settings.rerank = true;
	DefineCustomBoolVariable("ivfpq.rerank",
							 "Orders rows by their exact distance.",
							 "If off, by what the codes in the index say; the table is not read for it.",
							 &ivfpq_settings.rerank, true,
							 PGC_USERSET, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("vecidx");
	MarkGUCPrefixReserved("hnsw");
	MarkGUCPrefixReserved("ivfflat");
	MarkGUCPrefixReserved("ivfpq");
}
