#include "vecidx.h"
#include "fmgr.h"
PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_check);
Datum
vecidx_check(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	elog(ERROR, "not yet");
}
