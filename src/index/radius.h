/*
 * radius.h
 *		Conditions on the distance that a scan is ordered by:
 *
 *			WHERE embedding <-> q < r ORDER BY embedding <-> q
 *
 * PostgreSQL evaluates such a condition on each row that an index gives, and
 * goes on asking for rows when none can meet it any more.  So the planner is
 * given a condition that goes down into the index, where r is a scan key:
 *
 *			Index Cond: embedding @< r
 *
 * Whose distance is meant, the ORDER BY beside it says.  The condition on the
 * distance stays in the plan as a filter, so an access method that makes
 * nothing of the key is right too, only slow.
 */
#ifndef VECIDX_RADIUS_H
#define VECIDX_RADIUS_H

#include "postgres.h"

#include "access/genam.h"
#include "dist/metric.h"
#include "nodes/pathnodes.h"

/* Strategies of the operators @< and @<=, with a double on the right. */
#define VECIDX_LESS_STRATEGY 2
#define VECIDX_LESS_EQUAL_STRATEGY 3

/*
 * For amcostestimate: give the path an index condition for each condition on
 * its relation that bounds the distance the path is ordered by.  Returns the
 * latter, a List of RestrictInfo that is the caller's.  A path that has its
 * index conditions already gets no further ones.
 */
extern List *vecidx_radius_conditions(PlannerInfo *root, IndexPath *path);

/*
 * From the keys of a scan that is beginning: into *radius the largest rank
 * distance of a row that can meet the conditions, infinity where there are
 * none (or where they end nothing).  Never too small, and no larger than
 * rounding asks for.  False if no row at all can meet them.
 */
extern bool vecidx_radius(IndexScanDesc scan, Metric metric, double *radius);

/* How many of a scan's keys are such conditions: each stands for one of the query's, which is in the plan, too. */
extern int	vecidx_radius_keys(const ScanKeyData *keys, int nkeys);

#endif							/* VECIDX_RADIUS_H */
