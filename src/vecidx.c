/*
 * vecidx.c
 *		Module entry.
 */
#include "vecidx.h"

#include "fmgr.h"
#include "hnsw/hnsw.h"
#include "ivf/ivf.h"
#include "plan/order.h"
#include "plan/probe.h"
#include "plan/row_tests.h"
#include "replace_vector.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/*
 * pgvector's library and this one define the same settings, and a session has
 * either.  Before taking over from pgvector, and in a session that is older,
 * that is the first thing to go wrong: so it is said in other words than "attempt to
 * redefine parameter".
 */
static void
refuse_pgvector(void)
{
	static const char *const setting = "hnsw.ef_search";

	if (GetConfigOption(setting, true, false) == NULL ||
		(GetConfigOptionFlags(setting, true) & GUC_CUSTOM_PLACEHOLDER) != 0)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("vecidx cannot be loaded into a session that has loaded pgvector"),
			 errhint("Start a new session.  If that does not help, take \"vector\" out of shared_preload_libraries, session_preload_libraries and local_preload_libraries.")));
}

void
_PG_init(void)
{
	refuse_pgvector();
	vecidx_guc_init();
	hnsw_init();
	ivf_init();
	vecidx_order_init();
	vecidx_probe_init();
	vecidx_row_tests_init();
	vecidx_replace_vector_init();
}
