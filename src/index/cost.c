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
 * Nanoseconds that cpu_operator_cost stands for, where it is about time on a
 * processor alone: README.md, "cost.h".
 */
#define NS_PER_OPERATOR 2.5

/* What a page that is in memory costs, as a part of random_page_cost. */
#define PAGE_COST_CACHED 0.1

/* To hand over a row, whatever it took to find, and again where it has to be ordered among many. */
#define ROW_NS 1200

/* To fetch and test a row when the whole table is gone through, beside its page. */
#define TABLE_ROW_NS 100

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

/* The conditions of a path on filter columns, as the query has them. */
static List *
filter_conditions(const IndexPath *path)
{
	List	   *conditions = NIL;
	ListCell   *cell;

	foreach(cell, path->indexclauses)
		if (lfirst_node(IndexClause, cell)->indexcol > 0)
			conditions = list_append_unique_ptr(conditions, lfirst_node(IndexClause, cell)->rinfo);
	return conditions;
}

bool
vecidx_has_condition(const IndexPath *path, const RestrictInfo *rinfo)
{
	ListCell   *cell;

	foreach(cell, path->indexclauses)
		if (lfirst_node(IndexClause, cell)->rinfo == rinfo)
			return true;
	return false;
}

bool
vecidx_filtered(const IndexPath *path)
{
	return filter_conditions(path) != NIL;
}

/* Whether rows of a path may be discarded by conditions that are not in its index; once it has those of the distance. */
static bool
discards(const IndexPath *path)
{
	ListCell   *cell;

	foreach(cell, path->indexinfo->indrestrictinfo)
		if (!lfirst_node(RestrictInfo, cell)->pseudoconstant && !vecidx_has_condition(path, lfirst(cell)))
			return true;
	return false;
}

/* Share of the table's rows that an index has and that meet a path's conditions on filter columns. */
static double
table_share(PlannerInfo *root, IndexPath *path)
{
	return clauselist_selectivity(root, add_predicate_to_index_quals(path->indexinfo, filter_conditions(path)),
								  path->indexinfo->rel->relid, JOIN_INNER, NULL);
}

bool
vecidx_cost_begin(PlannerInfo *root, IndexPath *path, double *pass_rate,
				  Cost *startup, Cost *total, Selectivity *selectivity, double *correlation, double *pages)
{
	IndexOptInfo *index = path->indexinfo;

	if (path->indexorderbys == NIL || wants_null_vectors(path))
	{
		/* rows without a vector are not in the index: it answers nothing else */
		vecidx_disable_path(&path->path);
		*startup = get_float8_infinity();
		*total = get_float8_infinity();
		*selectivity = 0;
		*correlation = 0;
		*pages = 0;
		return false;
	}
	vecidx_filter_conditions(root, path);
	*pass_rate = 1;
	if (vecidx_filtered(path))
		*pass_rate = Min(1.0, table_share(root, path) * Max(index->rel->tuples, 1.0) / Max(index->tuples, 1.0));
	return true;
}

/*
 * What a page of the index costs: it is in memory for the most part, or else
 * nobody would search it; but not where the index is larger than memory.
 */
static double
index_page_cost(const IndexOptInfo *index, double random_page_cost_)
{
	double		missed = Max(0.0, 1 - (double) effective_cache_size / Max((double) index->pages, 1.0));

	return random_page_cost_ * (PAGE_COST_CACHED + (1 - PAGE_COST_CACHED) * missed);
}

/*
 * What it costs to look at rows of the table: at `fetches` for each one
 * returned, to compute their distances.  The planner itself charges for the
 * executor's look at them, but for a scan to its end, which finds most of a
 * table's pages read already; the first rows, and often there are no
 * others, have a page each.
 */
static Cost
fetch_cost(PlannerInfo *root, IndexPath *path, double rows, double fetches, double loop_count)
{
	RelOptInfo *rel = path->indexinfo->rel;
	double		nrows = rows * Max(fetches, 1);
	double		fetched = nrows;
	double		page_cost;
	QualCost	distance;

	/* a scan that is repeated finds pages that it has had */
	if (loop_count > 1)
		fetched = Min(fetched, index_pages_fetched(nrows * loop_count, rel->pages, path->indexinfo->pages, root) / loop_count);
	get_tablespace_page_costs(rel->reltablespace, &page_cost, NULL);
	cost_qual_eval(&distance, path->indexorderbys, root);
	return fetched * page_cost + rows * fetches * distance.per_tuple;
}

Cost
vecidx_table_pass_cost(const RelOptInfo *table)
{
	return table->tuples * TABLE_ROW_NS * cpu_operator_cost / NS_PER_OPERATOR + table->pages * seq_page_cost;
}

void
vecidx_cost(PlannerInfo *root, IndexPath *path, double loop_count, double pass_rate, const VecidxEffort *effort,
			Cost *startup, Cost *total, Selectivity *selectivity, double *correlation,
			double *pages)
{
	IndexOptInfo *index = path->indexinfo;
	double		unit = cpu_operator_cost / NS_PER_OPERATOR;
	double		within = radius_selectivity(root, path);
	double		rows = Max(index->tuples * pass_rate * within, 1.0);
	double		deeper_ns = discards(path) ? effort->deeper_ns : 0;
	double		start_pages = Min(effort->start_pages, (double) index->pages);
	double		row_pages = Min(rows * effort->row_pages, (double) index->pages);
	double		page_cost;

	get_tablespace_page_costs(index->reltablespace, &page_cost, NULL);
	page_cost = index_page_cost(index, page_cost);

	*startup = Min(effort->start_ns, effort->all_ns) * unit + start_pages * page_cost;
	*total = *startup +
		rows * (cpu_index_tuple_cost + (ROW_NS + deeper_ns) * unit) +
		Min(rows * effort->row_ns, effort->all_ns) * unit +
		row_pages * page_cost +
		fetch_cost(root, path, rows, effort->fetches, loop_count);
	*selectivity = table_share(root, path) * within;
	*correlation = 0;
	*pages = start_pages + row_pages;
}
