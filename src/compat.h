/*
 * compat.h
 *		What differs between PostgreSQL versions: the only place that tests
 *		PG_VERSION_NUM.
 */
#ifndef VECIDX_COMPAT_H
#define VECIDX_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "vecidx needs PostgreSQL 15 or later"
#endif

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* spelled as a prefix from 18 on */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/*
 * Input functions report bad text softly, so that COPY ... ON_ERROR and
 * pg_input_is_valid() can go on.  PostgreSQL 15 knows no soft errors: there
 * they are plain ones.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define INPUT_ESCONTEXT(fcinfo) ((fcinfo)->context)
#else
#define INPUT_ESCONTEXT(fcinfo) NULL
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#endif

#endif							/* VECIDX_COMPAT_H */
