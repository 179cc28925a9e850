/*
 * am.h
 *		What the access methods' handlers say alike.
 */
#ifndef VECIDX_AM_H
#define VECIDX_AM_H

#include "postgres.h"

#include "access/amapi.h"
#include "utils/rel.h"

/*
 * A handler's result with everything filled in that does not differ: one
 * column ordered by a distance, filter columns behind it; amvalidate.  The access
 * method adds its functions.
 */
extern IndexAmRoutine *vecidx_am_routine(void);

/* Whether an access method is one of these. */
extern bool vecidx_is_our_am(Oid am);

/* Whether an open index is of such an access method. */
extern bool vecidx_is_our_index(Relation index);

#endif							/* VECIDX_AM_H */
