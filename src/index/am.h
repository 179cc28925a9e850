/*
 * am.h
 *		What the access methods' handlers say alike.
 */
#ifndef VECIDX_AM_H
#define VECIDX_AM_H

#include "postgres.h"

#include "access/amapi.h"

/*
 * A handler's result with everything filled in that does not differ: one
 * column ordered by a distance, filter columns behind it; amvalidate.  The access
 * method adds its functions.
 */
extern IndexAmRoutine *vecidx_am_routine(void);

/* Whether an access method is one of these. */
extern bool vecidx_is_our_am(Oid am);

#endif							/* VECIDX_AM_H */
