/*
 * cost.c
 *		Planner costs shared by the access methods.
 */
#include "vecidx.h"

#include <math.h>

#include "index/cost.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "utils/float.h"
#include "utils/selfuncs.h"
#include "utils/spccache.h"

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
	double		row_pages;
	Cost		cpu;

	if (path->indexorderbys == NIL)
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
	get_tablespace_page_costs(index->reltablespace, &random_page_cost, NULL);

	rows = Max(index->tuples, 1.0);
	start_pages = Min(effort->start_pages, (double) index->pages);

	/* beyond the first batch a scan reads on, in the end the whole index */
	row_pages = Min(rows * effort->row_pages, (double) index->pages);

	/*
	 * Pages of an index that is searched are in memory for the most part:
	 * charge as genericcostestimate would for repeated scans, that is little.
	 */
	cpu = cpu_operator_cost * effort->score_cost;
	*startup = cpu * Min(effort->start_scored, rows) +
		start_pages * random_page_cost * 0.1;
	*total = *startup +
		rows * (cpu_index_tuple_cost + cpu * effort->row_scored) +
		row_pages * random_page_cost;
	*selectivity = costs.indexSelectivity;
	*correlation = 0;
	*pages = costs.numIndexPages;
}
