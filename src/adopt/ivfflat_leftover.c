/*
 * ivfflat_leftover.c
 *		The access method ivfflat of a database that was taken over from
 *		pgvector and has indexes of it.
 *
 * vecidx has no ivfflat yet.  Such an index is out of use, but its table can
 * be read, written, analyzed and vacuumed, and the index can be dropped; for
 * that PostgreSQL needs a handler.  Building is an error.
 */
#include "vecidx.h"

#include "access/amapi.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/pathnodes.h"

PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_ivfflat_leftover);

pg_noreturn static void
refuse(Relation index)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("this version of vecidx has no ivfflat indexes"),
			 errdetail("Index \"%s\" is of access method ivfflat.", RelationGetRelationName(index)),
			 errhint("Drop it, and create one USING hnsw in its place.")));
}

static IndexBuildResult *
leftover_build(Relation heap, Relation index, IndexInfo *info)
{
	(void) heap;
	(void) info;
	refuse(index);
}

static void
leftover_buildempty(Relation index)
{
	refuse(index);
}

static bool
leftover_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
				IndexUniqueCheck unique, bool unchanged, IndexInfo *info)
{
	(void) values;
	(void) isnull;
	(void) tid;
	(void) heap;
	(void) unique;
	(void) unchanged;
	(void) info;
	refuse(index);
}

static IndexBulkDeleteResult *
leftover_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
					IndexBulkDeleteCallback callback, void *state)
{
	(void) stats;
	(void) callback;
	(void) state;
	refuse(info->index);
}

static IndexBulkDeleteResult *
leftover_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats)
{
	(void) info;
	return stats;
}

/* Without amgettuple and amgetbitmap no path is made, so no cost is asked for. */
static void
leftover_costestimate(PlannerInfo *root, IndexPath *path, double loop_count,
					  Cost *startup, Cost *total, Selectivity *selectivity, double *correlation, double *pages)
{
	(void) root;
	(void) path;
	(void) loop_count;
	*startup = *total = *selectivity = *correlation = *pages = 0;
}

/* "lists" and whatever else pg_class keeps for the index */
static bytea *
leftover_options(Datum reloptions, bool validate)
{
	(void) reloptions;
	(void) validate;
	return NULL;
}

static bool
leftover_validate(Oid opclass)
{
	(void) opclass;
	return true;
}

Datum
vecidx_ivfflat_leftover(PG_FUNCTION_ARGS)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	(void) fcinfo;
	am->amcanorderbyop = true;
	am->amoptionalkey = true;
	am->ambuild = leftover_build;
	am->ambuildempty = leftover_buildempty;
	am->aminsert = leftover_insert;
	am->ambulkdelete = leftover_bulkdelete;
	am->amvacuumcleanup = leftover_vacuumcleanup;
	am->amcostestimate = leftover_costestimate;
	am->amoptions = leftover_options;
	am->amvalidate = leftover_validate;
	PG_RETURN_POINTER(am);
}
