/*
 * vecidx.c
 *		Module entry.
 */
#include "vecidx.h"

#include "fmgr.h"
#include "hnsw/hnsw.h"
#include "replace_vector.h"

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	vecidx_guc_init();
	hnsw_init();
	vecidx_replace_vector_init();
}
