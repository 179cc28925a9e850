/*
 * am.c
 *		What the access methods' handlers say alike (am.h).
 */
#include "vecidx.h"

#include "commands/vacuum.h"
#include "compat.h"
#include "index/am.h"
#include "index/opclass.h"
#include "index/validate.h"

IndexAmRoutine *
vecidx_am_routine(void)
{
	IndexAmRoutine *am = makeNode(IndexAmRoutine);

	am->amstrategies = 0;
	am->amsupport = VECIDX_NPROCS;
	am->amoptsprocnum = 0;
	am->amcanorder = false;
	am->amcanorderbyop = true;
	am->amcanbackward = false;
	am->amcanunique = false;
	am->amcanmulticol = true;
	am->amoptionalkey = true;
	am->amsearcharray = true;
	am->amsearchnulls = true;
	am->amstorage = false;
	am->amclusterable = false;
	am->ampredlocks = false;
	am->amcanparallel = false;
	vecidx_builds_parallel(am);
	am->amcaninclude = false;
	am->amusemaintenanceworkmem = false;
	am->amparallelvacuumoptions = VACUUM_OPTION_PARALLEL_BULKDEL;
	am->amkeytype = InvalidOid;
	am->amvalidate = vecidx_validate;
	return am;
}

bool
vecidx_is_our_am(Oid am)
{
	IndexAmRoutine *routine = GetIndexAmRoutineByAmId(am, true);

	return routine != NULL && routine->amvalidate == vecidx_validate;
}

bool
vecidx_is_our_index(Relation index)
{
	return index->rd_indam != NULL && index->rd_indam->amvalidate == vecidx_validate;
}
