/*
 * cost.c
 *		Planner costs shared by the access methods.
 */
#include "vecidx.h"

#include <math.h>

#include "index/cost.h"
#include "index/filter.h"
#include "index/radius.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

/*
 * Share of the rows within what the query sets as the largest distance.
 * Nothing is known of the distances to a point, and the planner takes a third
 * of the rows for an inequality of which it knows nothing.  But distances
 * begin at zero, so this is a range, for which it has a default too.
 */
static double
radius_selectivity(PlannerInfo *root, IndexPath *path)
{
	double		result = 1;
	ListCell   *cell;

	foreach(cell, vecidx_radius_conditions(root, path))
	{
		double		one = clause_selectivity(root, lfirst(cell), path->indexinfo->rel->relid, JOIN_INNER, NULL);

		if (one == DEFAULT_INEQ_SEL)
			one = DEFAULT_RANGE_INEQ_SEL;
		result = Min(result, one);
	}
	return result;
}

/* WHERE embedding IS NULL */
static bool
wants_null_vectors(IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
	{
		IndexClause *condition = lfirst_node(IndexClause, cell);
		NullTest   *test = (NullTest *) condition->rinfo->clause;

		if (condition->indexcol == 0 && IsA(test, NullTest) && test->nulltesttype == IS_NULL)
			return true;
	}
	return false;
}

void
vecidx_cost(PlannerInfo *root, IndexPath *path, double loop_count, const VecidxEffort *effort,
			Cost *startup, Cost *total, Selectivity *selectivity, double *correlation,
			double *pages)
{
	IndexOptInfo *index = path->indexinfo;
	GenericCosts costs = {0};
	double		random_page_cost;
	double		start_pages;
	double		rows;
	double		within;
	double		rows_within;
	double		row_pages;
	Cost		cpu;

	if (path->indexorderbys == NIL || wants_null_vectors(path))
	{
		/* rows without a vector are not in the index: it answers nothing else */
		vecidx_disable_path(&path->path);
		*startup = get_float8_infinity();
		*total = get_float8_infinity();
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return;
	}

	genericcostestimate(root, path, loop_count, &costs);
	vecidx_filter_conditions(root, path);
	get_tablespace_page_costs(index->reltablespace, &random_page_cost, NULL);

	rows = Max(index->tuples, 1.0);
	within = radius_selectivity(root, path);
	rows_within = Max(rows * within, 1.0);
	start_pages = Min(effort->start_pages, (double) index->pages);

	/* beyond the first batch a scan reads on, in the end all that it may give */
	row_pages = Min(rows_within * effort->row_pages, (double) index->pages);

	/*
	 * Pages of an index that is searched are in memory for the most part:
	 * charge as genericcostestimate would for repeated scans, that is little.
	 */
	cpu = cpu_operator_cost * effort->score_cost;
	*startup = cpu * Min(effort->start_scored, rows) +
		start_pages * random_page_cost * 0.1;
	*total = *startup +
		rows_within * (cpu_index_tuple_cost + cpu * effort->row_scored) +
		row_pages * random_page_cost;
	*selectivity = costs.indexSelectivity * within;
	*correlation = 0;
	*pages = costs.numIndexPages;
}
