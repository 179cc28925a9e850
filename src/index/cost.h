/*
 * cost.h
 *		Planner costs shared by the access methods.
 */
#ifndef VECIDX_COST_H
#define VECIDX_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* What a scan's first rows take, and each further one. */
typedef struct VecidxEffort
{
	double		start_scored;	/* codes scored before the first row */
	double		start_pages;	/* index pages read for that */
	double		row_scored;		/* codes scored for each further row */
	double		row_pages;
	double		score_cost;		/* of one code, in cpu_operator_cost */
} VecidxEffort;

/*
 * Fill in an amcostestimate's results from the effort.  total_tuples: of the
 * index.  A scan without ORDER BY is made too dear to be chosen.
 */
extern void vecidx_cost(PlannerInfo *root, IndexPath *path, double loop_count, const VecidxEffort *effort,
						Cost *startup, Cost *total, Selectivity *selectivity, double *correlation,
						double *pages);

#endif							/* VECIDX_COST_H */
