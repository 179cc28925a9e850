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

#endif							/* VECIDX_COMPAT_H */
