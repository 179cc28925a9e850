/*
 * cost.h
 *		Planner costs shared by the access methods.
 *
 * An access method says what a scan does, in nanoseconds of a processor with
 * everything in memory, and in pages.  What that is in the planner's units,
 * and why, README.md tells.
 */
#ifndef VECIDX_COST_H
#define VECIDX_COST_H

#include "postgres.h"

#include "nodes/pathnodes.h"

/* What a scan's first rows take, and each further one. */
typedef struct VecidxEffort
{
	double		start_ns;
	double		start_pages;	/* of the index */
	double		row_ns;
	double		row_pages;		/* of the index */
	double		fetches;		/* rows of the table that the scan looks at for each that it returns */
	double		deeper_ns;		/* for each row, where some are discarded by conditions that are not in the index */
	double		all_ns;			/* most that searching for all rows takes, but for what is done for each row returned */
} VecidxEffort;

/*
 * For amcostestimate, first: false where a path is none that the access method
 * is for (without an order by distance, or asking for NULL vectors); then the
 * results are filled in such that it is not chosen.  Else adds what the planner left out of the path's
 * conditions (index/filter.h), and tells what share of the index's rows meets those
 * on filter columns; 1 without any.
 */
extern bool vecidx_cost_begin(PlannerInfo *root, IndexPath *path, double *pass_rate,
							  Cost *startup, Cost *total, Selectivity *selectivity, double *correlation, double *pages);

/* Whether a path has an index condition that was made of a clause. */
extern bool vecidx_has_condition(const IndexPath *path, const RestrictInfo *rinfo);

/* Whether a path has conditions on filter columns. */
extern bool vecidx_filtered(const IndexPath *path);

/* What it costs to test all rows of a table, in the order in which they lie: no scan by distance costs more. */
extern Cost vecidx_table_pass_cost(const RelOptInfo *table);

/* Fill in an amcostestimate's results from the effort. */
extern void vecidx_cost(PlannerInfo *root, IndexPath *path, double loop_count, double pass_rate,
						const VecidxEffort *effort, Cost *startup, Cost *total, Selectivity *selectivity,
						double *correlation, double *pages);

#endif							/* VECIDX_COST_H */
