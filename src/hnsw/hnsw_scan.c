/*
 * hnsw_scan.c
 *		Index scans: rows in exact order of distance, as many as are asked for.
 *
 * A scan works in rounds.  A round brings candidates; their estimates and
 * error bounds say which rows must be fetched to know what is nearest, and a
 * row is returned when nothing at hand, and nothing that the next round is
 * likely to bring (the margin), can be nearer.  Rounds: the usual search with
 * ef_search; the same search gone on, with ever larger ef; and, when the graph
 * has been walked so far that reading every code is cheaper (or memory runs
 * out), passes over all codes.  The last find every row there is, so a query
 * comes back short only if the user limited the scan.  Where the query bounds
 * the distance, there are no more rounds once the margin is beyond that bound.
 *
 * A row that a later round finds nearer than one already returned is late.
 * Strict order sets late rows aside and returns them when nothing else is
 * left; relaxed order returns them at once.
 */
#include "vecidx.h"

#include <float.h>
#include <math.h>

#include "access/relscan.h"
#include "guc.h"
#include "hnsw/hnsw.h"
#include "hnsw/hnsw_filter.h"
#include "index/radius.h"
#include "index/rerank.h"
#include "index/row_queue.h"
#include "index/row_test.h"
#include "index/table_pass.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "types/detoasted.h"
#include "utils/float.h"
#include "utils/snapmgr.h"

/*
 * A candidate is fetched when its estimate less this many standard errors
 * could still beat what has been fetched.
 */
#define RERANK_ERRORS 3.0

/* Past this share of the index, reading all codes is cheaper than walking on. */
#define LINEAR_SHARE 8

/* Nodes kept by the first pass over all codes; each further pass keeps more. */
#define LINEAR_FIRST 1024
#define LINEAR_GROWTH 8

#define SCORE_BATCH 64

/* A search of the graph may take so much longer than a pass over the codes before it is given up for that. */
#define PATIENCE 1.3

/* Where so many pass, a filtered search of the graph scores and expands those that do not like the others. */
#define ALL_FROM_RATE 0.15

/*
 * Where fewer pass than this, a filtered search of the graph is wider; and where
 * still fewer do there is none.
 */
#define SPARSE_RATE 0.02
#define SPARSE_WIDENING 4
#define GRAPH_LEAST_RATE 0.005

/*
 * What a pass takes for a node's test and for the score of one that passes, in units of HNSW_WORK_:
 * so much, and by the bytes of its code, which are read in order.
 */
#define PASS_WORK_TEST 0.2
#define PASS_WORK_SCORE 12.2
#define PASS_WORK_BYTE 0.012

/* A walk tests one group for so many nodes that it scores. */
#define SCORED_FOR_TEST 7

/*
 * Where rows are discarded, a search is so many times as wide as the place in
 * the order from which a row is returned.
 */
#define DISCARDING_DEPTH 5

/* But for the first search where no more than these are looked at for each that is wanted. */
#define FEW_DISCARDED 1.6

/* After so many rows, and each time there are a quarter more, such a scan sees whether it goes on in order. */
#define FIRST_CHECK 256

/* What float distances of exact kinds are off by at most, as a part of them. */
#define FLOAT_SLACK 1e-6

/* No search of the graph is wider. */
#define MOST_EF (1 << 20)

/* Records that an adjacency page has at most. */
#define MAX_ADJACENCIES ((int) (HNSW_ADJACENCY_PAGE_BYTES / HNSW_ADJACENCY_SIZE(HNSW_MIN_M)))

/* How far coarse estimates alone widen a search, in multiples of ef_search. */
#define COARSE_WIDENING 16

typedef enum ScanPhase
{
	SCAN_FIRST,					/* nothing searched yet */
	SCAN_GRAPH,					/* the graph search can go on */
	SCAN_LINEAR,				/* passes over all codes */
	SCAN_TABLE,					/* passes over all rows */
	SCAN_UNORDERED,				/* no distance is defined: any order */
	SCAN_LATE,					/* only late rows are left */
	SCAN_DONE
} ScanPhase;

typedef struct HnswScan
{
	MemoryContext context;		/* of this struct and its arrays */
	MemoryContext scan_context; /* of the scan: ends with it, whatever happens */
	MemoryContext row;			/* for one fetched row */
	HnswIndex  *hnsw;
	HnswDiskStore store;
	HnswSearch	search;
	QuantQuery *query;
	void	   *scratch;
	float	   *floats;			/* of the query; NULL where the index has exact distances */
	void	   *buffer;			/* of a value */
	RowFetch   *fetch;			/* NULL until needed */
	Detoasted  *detoasted;		/* what was fetched and the executor may ask for again */

	ScanPhase	phase;
	int			ef;				/* of the next round */
	int			first_ef;		/* of the first one */
	HnswEntry	entry;
	CandidateArray pending;		/* nearest_* heap by lower bound: to be fetched */
	ScoredArray order;			/* working memory of a round */
	RowQueue	exact;			/* rows whose exact distance is known */
	RowQueue	late;
	double		returned_dist;	/* farthest returned, -inf at first */
	uint64		nreturned;
	NodeSet		handed;			/* results of the graph search in `pending` or fetched */
	double		margin;			/* farther rows may not be returned yet */
	double		half_margin;	/* the same for half of a round's results */
	double		fallen_margin;	/* what that could be but for what fell out of the results */
	float		fallen_error;	/* by which that may be nearer than estimated */
	double		radius;			/* farther rows are not wanted */
	double		reach;			/* nor nodes whose estimates are farther, by their errors */
	float		largest_err;	/* of estimates in the results so far */

	/* the node whose TIDs are being fetched */
	HnswTids	tids;
	size_t		next_tid;
	double		tid_bound;

	/* passes over all codes */
	size_t		linear_keep;
	ScoredNode	linear_last;	/* where the last pass ended */
	ScoredNode	linear_limit;	/* what is not before it is too far for this pass */
	bool		linear_started;
	size_t		most_pooled;
	bool		pooled;			/* what a pass scored and had no room for is in search.discarded */
	uint32		unordered_next; /* node to look at next */

	/* conditions on filter columns */
	HnswFilterMap map;			/* which nodes meet them */
	VecidxFilter *filter_memory;	/* of this scan or a former one; in `context` */
	const VecidxFilter *filter; /* NULL: none */
	bool		recheck;		/* rows that pass may still not meet them */

	/* what the query does with rows */
	VecidxRowTest *test;		/* NULL: it keeps them all */
	TidSet		tested;			/* rows fetched so far */
	uint64		next_check;		/* when so many are, whether to go on */
	TablePass	table;
	HnswTids	table_tids;		/* of the node that a pass is at */
} HnswScan;

/*
 * Working memory outlives the scan: the next one on the index takes it over.
 * Making it anew cost a tenth of a short query, most of it in the kernel.
 */
static HnswScan *
make_scan(HnswIndex *hnsw, Relation index)
{
	MemoryContext context = AllocSetContextCreate(hnsw->remembered.context, "hnsw scan memory",
												  ALLOCSET_DEFAULT_SIZES);
	HnswScan   *so = MemoryContextAllocZero(context, sizeof(HnswScan));

	so->context = context;
	so->hnsw = hnsw;
	hnsw_disk_store_init(&so->store, index, hnsw, context, false);
	hnsw_search_init(&so->search, &so->store.store, context, hnsw_ef_search);
	so->query = vecidx_alloc_aligned(context, hnsw->quantizer.query_size);
	so->scratch = vecidx_alloc_aligned(context, hnsw->quantizer.scratch_size + 1);
	if (!quant_exact(hnsw->quantizer.kind))
		so->floats = MemoryContextAlloc(context, sizeof(float) * hnsw->dim);
	so->buffer = vecidx_elements_buffer(hnsw->opclass, hnsw->dim, context);
	candidates_init(&so->pending, context);
	scored_init(&so->order, context);
	row_queue_init(&so->exact, context);
	row_queue_init(&so->late, context);
	nodeset_init(&so->handed, context, hnsw_ef_search);
	so->tids.context = so->table_tids.context = context;
	so->detoasted = detoasted_create(sizeof(float) * hnsw->dim, context);
	hnsw_filter_map_init(&so->map, &so->store, context);
	tidset_init(&so->tested, context);
	table_pass_init(&so->table, context);
	return so;
}

/* The scan's memory context goes away: keep the working memory, or not. */
static void
release_scan(void *arg)
{
	HnswScan   *so = arg;

	so->fetch = NULL;			/* was in the scan's context */
	so->test = NULL;
	detoasted_leave(so->detoasted);
	if (so->hnsw->spare_scan == NULL &&
		MemoryContextMemAllocated(so->context, true) <= HNSW_SPARE_BYTES)
		so->hnsw->spare_scan = so;
	else
		MemoryContextDelete(so->context);
}

IndexScanDesc
hnsw_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "hnsw scan",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContextCallback *callback = MemoryContextAlloc(context, sizeof(MemoryContextCallback));
	HnswEntry	entry;
	HnswIndex  *hnsw = hnsw_index_open(index, context, &entry);
	HnswScan   *so = hnsw->spare_scan;

	if (so != NULL)
		hnsw->spare_scan = NULL;
	else
		so = make_scan(hnsw, index);
	callback->func = release_scan;
	callback->arg = so;
	MemoryContextRegisterResetCallback(context, callback);

	so->scan_context = context;
	so->store.index = index;
	so->row = AllocSetContextCreate(context, "hnsw scan row", ALLOCSET_DEFAULT_SIZES);
	so->phase = SCAN_DONE;
	so->test = vecidx_row_test_take(index);
	scan->opaque = so;
	return scan;
}

void
hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	HnswScan   *so = scan->opaque;

	if (keys != NULL && nkeys > 0)
		memmove(scan->keyData, keys, sizeof(ScanKeyData) * nkeys);
	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, sizeof(ScanKeyData) * norderbys);

	if (so->fetch != NULL)
		row_fetch_reset(so->fetch);
	so->phase = SCAN_FIRST;
	detoasted_forget(so->detoasted);
	so->pending.n = 0;
	so->exact.n = so->late.n = 0;
	so->returned_dist = -get_float8_infinity();
	so->nreturned = 0;
	tidset_clear(&so->tested);
	so->next_check = FIRST_CHECK;
	table_pass_reset(&so->table);
	if (so->test != NULL)
		vecidx_row_test_begin(so->test);
	so->margin = so->half_margin = -get_float8_infinity();
	so->tids.n = so->next_tid = 0;
	so->linear_started = false;
	so->unordered_next = 0;
	/* where passes over all codes are likely, each node is looked for there */
	if (so->handed.n > 0 || so->handed.bits != NULL || so->test != NULL)
		nodeset_clear_below(&so->handed, so->test != NULL ? hnsw_node_limit(so->hnsw) : PG_UINT64_MAX);
}

void
hnsw_endscan(IndexScanDesc scan)
{
	HnswScan   *so = scan->opaque;

	if (so->fetch != NULL)
		row_fetch_end(so->fetch);
	MemoryContextDelete(so->scan_context);
	scan->opaque = NULL;
}

/* ---- Rounds ---- */

/*
 * What a candidate's distance hardly falls below.  Exact kinds err by the
 * rounding of their distance to float.
 */
static inline float
lower_bound(const HnswScan *so, float dist, float err)
{
	if (so->floats == NULL)
		return nextafterf(dist, -FLT_MAX);
	return dist - (float) RERANK_ERRORS * err;
}

/*
 * Whether a candidate is too far to be wanted.  Exact kinds have exact
 * distances at hand, and do not rely on those of a search, which add up in
 * another order.
 */
static inline bool
beyond_radius(const HnswScan *so, float bound)
{
	return so->floats != NULL && bound > so->radius;
}

/*
 * Hand nodes to the fetching stage, beside those it has not fetched yet: there
 * their distance is the lower bound.  The graph search's results grow from
 * round to round; those handed over before are left out.  Estimates' errors
 * are wanted for these few only, so they are scored once more.  Returns the
 * largest.
 */
static float
hand_over(HnswScan *so, const ScoredNode *items, size_t n, bool from_graph)
{
	HnswStore  *store = &so->store.store;
	CandidateArray *pending = &so->pending;
	uint32		nodes[SCORE_BATCH];
	float		dist[SCORE_BATCH];
	float		err[SCORE_BATCH] = {0};
	float		largest = 0;
	size_t		i = 0;

	candidates_reserve(pending, n);
	while (i < n)
	{
		int			batch = 0;

		for (; i < n && batch < SCORE_BATCH; i++)
		{
			uint32		node = scored_number(items[i]);

			if (from_graph &&
				((so->filter != NULL && !hnsw_filter_passes(&so->map, node)) || !nodeset_add(&so->handed, node)))
				continue;
			nodes[batch] = node;
			dist[batch++] = scored_dist(items[i]);
		}
		if (so->floats != NULL && batch > 0)
			hnsw_score(store, so->query, nodes, batch, dist, err);
		for (int j = 0; j < batch; j++)
		{
			Candidate	c = {lower_bound(so, dist[j], err[j]), err[j], nodes[j], 0};

			largest = Max(largest, err[j]);
			if (!beyond_radius(so, c.dist))
				pending->items[pending->n++] = c;
		}
	}
	nearest_heapify(pending);
	return largest;
}

/* The k-th smallest distance of the n nodes in the working memory, which it reorders. */
static double
kth_distance(HnswScan *so, size_t n, size_t k)
{
	scored_select(so->order.items, n, k);
	return scored_dist(so->order.items[k]);
}

/*
 * Hand over the graph search's results.  Among the farther ones many rows are
 * missing that a wider search finds, and those would come late: so where a
 * wider search may follow, rows are returned as far as the nearer ones go.
 * Three fifths of the first round, so that who asks for half of ef_search has
 * one round; half of those that follow.  Where the query discards rows it wants the
 * nearest of those that it keeps, and a few of them far down the order: a
 * fifth, or in the first round hardly more than it would want if it kept all.
 *
 * And not where estimates are too coarse to tell the results from what fell
 * out: that may be nearer by its error.  hand_over_fallen() settles it.
 */
static void
hand_over_results(HnswScan *so)
{
	ScoredArray *results = &so->search.results;
	size_t		last = results->n - 1;

	so->largest_err = Max(so->largest_err, hand_over(so, results->items, results->n, true));
	if (results->n > 0)
	{
		so->order.n = 0;
		scored_reserve(&so->order, results->n);
		memcpy(so->order.items, results->items, sizeof(ScoredNode) * results->n);
		so->margin = so->half_margin = kth_distance(so, results->n, last / (so->test == NULL ? 2 : DISCARDING_DEPTH));
		if (so->ef == so->first_ef)
		{
			size_t		depth = last * 3 / 5;

			if (so->test != NULL)
				depth = Max(last / DISCARDING_DEPTH, (size_t) Min((double) depth, FEW_DISCARDED * vecidx_row_test_limit(so->test)));
			so->margin = kth_distance(so, results->n, depth);
		}
	}
	so->fallen_margin = so->margin;
	if (results->n >= (size_t) so->ef && so->ef < hnsw_ef_search * COARSE_WIDENING)
	{
		uint32		farthest = scored_number(results->items[0]);
		float		dist;
		float		err;

		hnsw_score(&so->store.store, so->query, &farthest, 1, &dist, &err);
		so->fallen_error = dist - lower_bound(so, dist, err);
		so->margin = Min(so->margin, dist - so->fallen_error);
		so->half_margin = Min(so->half_margin, so->margin);
	}
}

/*
 * Rows are wanted from where what fell out of the results may be nearer by its
 * error.  Hand over that as well, if it is little; then the margin is what the
 * results allow.  False if it is much, as of many vectors close together, far
 * from the centre: then a wider search has to tell.  (That widens a search only so
 * far, or vectors that codes cannot tell apart at all would make it a scan of
 * the table.)
 */
static bool
hand_over_fallen(HnswScan *so)
{
	ScoredArray *fallen = &so->search.discarded;
	ScoredNode	limit;
	size_t		n = 0;

	if (so->margin >= so->fallen_margin)
		return false;
	limit = scored_node((float) so->fallen_margin + so->fallen_error, HNSW_INVALID_NODE);
	for (size_t i = 0; i < fallen->n; i++)
		n += fallen->items[i] < limit &&
			(so->filter == NULL || hnsw_filter_passes(&so->map, scored_number(fallen->items[i])));
	if (n > so->search.results.n)
		return false;
	/* those to the front: in what order the others stand does not matter */
	n = 0;
	for (size_t i = 0; i < fallen->n; i++)
	{
		ScoredNode	s = fallen->items[i];

		if (s < limit)
		{
			fallen->items[i] = fallen->items[n];
			fallen->items[n++] = s;
		}
	}
	(void) hand_over(so, fallen->items, n, true);
	so->margin = so->fallen_margin;
	return true;
}

/* The query in the quantizer's form, or none where no distance is defined. */
static bool
prepare_query(IndexScanDesc scan, HnswScan *so)
{
	const ScanKeyData *key = scan->orderByData;
	const void *elements;
	MemoryContext old;

	if (key->sk_flags & SK_ISNULL)
		return false;
	old = MemoryContextSwitchTo(so->row);
	detoasted_fill(so->detoasted, true);
	elements = vecidx_elements(so->hnsw->opclass, key->sk_argument, so->hnsw->dim, so->buffer);
	if (elements != NULL)
	{
		if (so->floats != NULL)
			memcpy(so->floats, elements, sizeof(float) * so->hnsw->dim);
		quant_query_prepare(&so->hnsw->quantizer, elements, so->query, so->scratch);
	}
	detoasted_fill(so->detoasted, false);
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->row);
	return elements != NULL;
}

static Size
scan_memory(const HnswScan *so)
{
	/* what is in use: the arrays may be larger from a former scan */
	return (so->search.frontier.n + so->search.results.n +
			so->search.discarded.n) * sizeof(ScoredNode) + so->pending.n * sizeof(Candidate) +
		((Size) so->search.visited.n + so->handed.n) * 4 * sizeof(uint32) +
		(so->exact.n + so->late.n) * sizeof(QueuedRow) + (so->tested.n > 0 ? tidset_memory(&so->tested) : 0);
}

static inline double
memory_budget(void)
{
	return (double) work_mem * 1024.0 * hnsw_scan_mem_multiplier;
}

/* Whether the user's limit ends the scan here. */
static bool
scan_limited(const HnswScan *so)
{
	return hnsw_iterative_scan == ITERATIVE_SCAN_OFF ||
		(hnsw_max_scan_tuples > 0 && so->search.nscored >= (uint64) hnsw_max_scan_tuples);
}

/* No more rounds: what is at hand may be returned, then the late rows. */
static void
finish(HnswScan *so)
{
	so->margin = get_float8_infinity();
	so->phase = SCAN_LATE;
}

/* The same, with what the graph search scored and had no room for. */
static void
finish_graph(HnswScan *so)
{
	(void) hand_over(so, so->search.discarded.items, so->search.discarded.n, true);
	finish(so);
}

/* The same, where all else is beyond the query's bound but for what the errors of estimates leave open. */
static void
finish_within_reach(HnswScan *so)
{
	ScoredArray *discarded = &so->search.discarded;
	size_t		n = 0;

	for (size_t i = 0; i < discarded->n; i++)
		if (lower_bound(so, scored_dist(discarded->items[i]), so->largest_err) <= so->reach)
			discarded->items[n++] = discarded->items[i];
	discarded->n = n;
	finish_graph(so);
}

/* Lists that a search of the graph reads, and nodes that it scores. */
static void
graph_effort(double ef, int m, double rate, double *lists, double *scored)
{
	double		links = HNSW_MAX_LINKS(m, 0);

	if (rate >= ALL_FROM_RATE)
	{
		*lists = ef / rate;
		*scored = 0.6 * links * *lists;
	}
	else
	{
		*lists = ef * Min(1 + 2.2 / Max(rate, 0.01), 0.85 * links);
		*scored = 0.85 * links * ef;
	}
}

double
hnsw_graph_work(double ef, int m, Size code_size, double rate)
{
	double		lists;
	double		scored;
	double		work;

	graph_effort(ef, m, rate, &lists, &scored);
	work = lists * HNSW_WORK_LIST + scored * hnsw_work_score(code_size);
	if (rate >= ALL_FROM_RATE)
		return work + scored / SCORED_FOR_TEST * HNSW_WORK_GROUP;
	return work + lists * HNSW_MAX_LINKS(m, 0) * HNSW_WORK_TEST;
}

double
hnsw_pass_work(double nodes, Size code_size, double rate)
{
	return nodes * (PASS_WORK_TEST + rate * (PASS_WORK_SCORE + PASS_WORK_BYTE * hnsw_work_bytes(code_size)));
}

/* The same for this scan, as far as its filter map is. */
static double
graph_work(const HnswScan *so, double ef, double rate)
{
	int			m = so->hnsw->m;
	double		work = hnsw_graph_work(ef, m, so->hnsw->quantizer.code_size, rate);
	double		groups = (double) hnsw_node_limit(so->hnsw) / HNSW_FILTER_GROUP;
	double		lists;
	double		scored;

	if (so->map.nknown > 0 || rate >= ALL_FROM_RATE)
		return work;
	graph_effort(ef, m, rate, &lists, &scored);
	return work + Min(groups, lists * HNSW_MAX_LINKS(m, 0)) * HNSW_WORK_GROUP;
}

static double
pass_work(const HnswScan *so, double rate)
{
	double		nodes = hnsw_node_limit(so->hnsw);

	return hnsw_pass_work(nodes, so->hnsw->quantizer.code_size, rate) - (so->map.nknown > 0 ? nodes * PASS_WORK_TEST : 0);
}

/* Conditions on filter columns; false if no row can meet them. */
static bool
prepare_filter(IndexScanDesc scan, HnswScan *so)
{
	VecidxFilter *filter;
	bool		never;

	so->filter = NULL;
	so->search.filter = NULL;
	so->recheck = false;
	if (so->test != NULL)
		so->test->recheck = false;
	filter = vecidx_filter_prepare(so->filter_memory, so->hnsw->filters, scan->keyData, scan->numberOfKeys, so->context, &never);
	if (filter == NULL)
		return true;
	so->filter_memory = filter;
	so->filter = filter;
	if (never)
		return false;
	so->recheck = vecidx_filter_recheck(filter);
	if (so->test != NULL)
		so->test->recheck = so->recheck;
	hnsw_filter_map_begin(&so->map, filter);
	so->search.filter = &so->map;
	return true;
}

/*
 * Whether a search of the graph is to find the nearest nodes that pass: with
 * so->first_ef, and as long as most_work lets it.  Else it is a pass over the codes.
 */
static bool
choose_graph(HnswScan *so)
{
	HnswSearch *search = &so->search;
	double		rate;
	double		pass;
	double		lists;
	double		scored;

	/* a walk tests fewer nodes than other ways do */
	rate = hnsw_filter_rate(&so->map);
	search->late_tests = rate >= ALL_FROM_RATE;
	graph_effort(so->ef, so->hnsw->m, rate, &lists, &scored);
	if (hnsw_filter_map_fill(&so->map, search->late_tests ? scored / SCORED_FOR_TEST : (double) so->ef * HNSW_MAX_LINKS(so->hnsw->m, 0) * 2))
		rate = hnsw_filter_rate(&so->map);
	pass = pass_work(so, rate);
	search->most_work = pass * PATIENCE;
	if (rate < GRAPH_LEAST_RATE)
		return false;

	/* the one way or the other: both of them in turn take longer than either */
	if (rate >= ALL_FROM_RATE)
		search->all_from = Min(40, (int) (100 * rate) - 25);
	else
		search->all_from = 40;

	/*
	 * A step over finds a little less than a walk, and the fewer pass, the more
	 * often it finds nothing: a wider search makes up for it.
	 */
	if (hnsw_iterative_scan != ITERATIVE_SCAN_OFF)
	{
		if (rate < SPARSE_RATE)
			so->ef *= SPARSE_WIDENING;
		else if (rate < ALL_FROM_RATE)
			so->ef += so->ef / 8;
	}
	if (pass <= graph_work(so, so->ef, rate))
	{
		so->ef = so->first_ef;
		return false;
	}
	so->first_ef = so->ef;
	return true;
}

static void
first_round(IndexScanDesc scan, HnswScan *so)
{
	ScoredNode	nearest;

	/* count the scan, as every access method does */
	vecidx_count_scan(scan);

	hnsw_index_refresh(so->hnsw, scan->indexRelation, &so->entry);
	if (!vecidx_radius(scan, so->hnsw->quantizer.metric, &so->radius))
	{
		so->phase = SCAN_DONE;
		return;
	}
	if (!prepare_filter(scan, so))
	{
		so->phase = SCAN_DONE;
		return;
	}
	so->reach = so->radius;
	if (so->floats == NULL && so->radius < get_float8_infinity())
		so->reach += FLOAT_SLACK * fabs(so->radius);
	so->largest_err = 0;
	if (!prepare_query(scan, so))
	{
		/* no distance is less than anything where none is defined */
		so->phase = so->radius < get_float8_infinity() ? SCAN_DONE : SCAN_UNORDERED;
		return;
	}
	if (so->entry.node == HNSW_INVALID_NODE)
	{
		so->phase = SCAN_DONE;
		return;
	}
	so->ef = so->first_ef = hnsw_ef_search;
	so->search.keep_discarded = hnsw_iterative_scan != ITERATIVE_SCAN_OFF;
	hnsw_search_begin(&so->search, so->query);
	if (so->filter != NULL && !choose_graph(so))
	{
		so->phase = SCAN_LINEAR;
		return;
	}
	nearest = hnsw_search_descend(&so->search, so->entry.node, so->entry.level, 0);
	hnsw_search_level(&so->search, &nearest, 1, 0, so->ef);
	/* unfinished, or the graph leads to no more: the pass is better than what came of it */
	if (so->filter != NULL && (so->search.results.n < (size_t) so->ef || hnsw_search_work(&so->search) > so->search.most_work))
	{
		so->phase = SCAN_LINEAR;
		return;
	}
	so->phase = SCAN_GRAPH;
	hand_over_results(so);
}

/* ---- Where the query discards rows ---- */

/* Of what a scan may use. */
static Size
table_pass_memory(void)
{
	return (Size) Min(memory_budget() / 2, (double) MaxAllocHugeSize);
}

/*
 * Whether a pass over the table is quicker than what it takes otherwise to see
 * as many rows as the query is likely to need.
 */
static bool
table_pays(HnswScan *so, double need, double other_ns)
{
	double		rows = hnsw_node_limit(so->hnsw);

	if (so->floats == NULL || hnsw_max_scan_tuples > 0 || hnsw_iterative_scan == ITERATIVE_SCAN_OFF ||
		so->phase == SCAN_TABLE || so->phase == SCAN_LATE)
		return false;
	if (so->filter != NULL)
		rows *= hnsw_filter_rate(&so->map);
	return table_pass_pays(so->test, table_pass_memory(), rows, need, other_ns,
						   table_pass_vector_ns(sizeof(float) * so->hnsw->dim));
}

/* Whether it is worth while to see further rows in their order; else a pass over the table follows. */
static bool
goes_on_in_order(HnswScan *so)
{
	so->next_check = so->test->ntested + so->test->ntested / 4;
	if (!table_pays(so, vecidx_row_test_need(so->test, so->nreturned), 0))
		return true;
	/* what is at hand waits for it, too */
	so->margin = -get_float8_infinity();
	so->phase = SCAN_TABLE;
	return false;
}

/*
 * A search of the graph has not brought enough rows that the query keeps.
 * False where passes do instead; else so->ef is half of what is to follow.
 */
static bool
go_on_discarding(HnswScan *so)
{
	double		need = vecidx_row_test_need(so->test, so->nreturned);
	double		depth = DISCARDING_DEPTH * (so->test->ntested + need);
	double		ef = Max(2.0 * so->ef, Min(depth, 8.0 * so->ef));
	double		rate = so->filter != NULL ? hnsw_filter_rate(&so->map) : 1;
	double		graph = graph_work(so, Max(depth, ef), rate) - graph_work(so, so->ef, rate);
	double		codes = pass_work(so, rate);

	if (table_pays(so, need, Min(graph, codes)))
		so->phase = SCAN_TABLE;
	else if (codes < graph)
		so->phase = SCAN_LINEAR;
	else
		so->ef = Min((int) (ef / 2), MOST_EF);
	return so->phase == SCAN_GRAPH;
}

static void
graph_round(HnswScan *so)
{
	if (scan_limited(so))
	{
		/* the rest of what was scored, and no more */
		finish_graph(so);
		return;
	}
	if (hand_over_fallen(so))
		return;
	if (so->test != NULL && !go_on_discarding(so))
		return;
	if ((so->filter == NULL ? so->search.nscored > hnsw_node_limit(so->hnsw) / LINEAR_SHARE :
		 hnsw_search_work(&so->search) > so->search.most_work) ||
		(double) scan_memory(so) > memory_budget())
	{
		so->phase = SCAN_LINEAR;
		return;
	}
	so->ef = Min(so->ef * 2, MOST_EF);
	if (!hnsw_search_resume(&so->search, so->ef))
	{
		/* what the graph does not reach, the passes do */
		so->phase = SCAN_LINEAR;
		return;
	}
	hand_over_results(so);
}

/* Room for n more in the pool.  A pass that cannot keep all begins anew next time. */
static bool
pool_reserve(HnswScan *so, size_t n)
{
	ScoredArray *pool = &so->search.discarded;

	if (so->pooled && pool->n + n > so->most_pooled)
		so->pooled = false;
	if (so->pooled)
		scored_reserve(pool, n);
	return so->pooled;
}

/* Leave only as many of the nodes as are to be kept; the others go to the pool. */
static void
cut_nearest(HnswScan *so, ScoredArray *nearest)
{
	ScoredArray *pool = &so->search.discarded;
	size_t		keep = so->linear_keep;
	size_t		rest = nearest->n - keep;

	scored_select(nearest->items, nearest->n, keep - 1);
	so->linear_limit = nearest->items[keep - 1];
	if (pool_reserve(so, rest))
	{
		memcpy(pool->items + pool->n, nearest->items + keep, sizeof(ScoredNode) * rest);
		pool->n += rest;
	}
	nearest->n = keep;
}

/*
 * Keep those of n scored nodes that may be among the nearest and that no round has
 * returned: at times twice as many as are wanted.
 */
static void
keep_nearest(HnswScan *so, ScoredArray *nearest, const uint32 *nodes, int n, const float *dist)
{
	ScoredArray *pool = &so->search.discarded;
	bool		pooled = pool_reserve(so, n);

	scored_reserve(nearest, n);
	for (int i = 0; i < n; i++)
	{
		ScoredNode	s = scored_node(dist[i], nodes[i]);

		if (s >= so->linear_limit)
		{
			if (pooled && !nodeset_has(&so->handed, nodes[i]))
				pool->items[pool->n++] = s;
			continue;
		}
		if (so->linear_started && s <= so->linear_last)
			continue;			/* an earlier pass had it */
		if (nodeset_has(&so->handed, nodes[i]))
			continue;			/* the graph search had it */
		nearest->items[nearest->n++] = s;
	}
	if (nearest->n >= 2 * so->linear_keep)
		cut_nearest(so, nearest);
}

/* Records on a code page, which is locked. */
static uint32
code_records(const HnswIndex *hnsw, Page page)
{
	return Min((((PageHeader) page)->pd_lower - MAXALIGN(SizeOfPageHeaderData)) / hnsw->code_size, hnsw->codes_per_page);
}

/* Score all codes of a page: where they stand there, under its lock. */
static void
linear_page(HnswScan *so, Relation index, uint32 ordinal, ScoredArray *nearest)
{
	HnswIndex  *hnsw = so->hnsw;
	HnswStore  *store = &so->store.store;
	Buffer		buffer = pagemem_pin(&hnsw->code_memory.slots[ordinal], index);
	Page		page = BufferGetPage(buffer);
	uint32		base = ordinal * hnsw->codes_per_page;
	uint32		used;
	const uint8 *records[SCORE_BATCH];
	uint32		nodes[SCORE_BATCH];
	float		dist[SCORE_BATCH];

	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	vecidx_page_check(index, buffer, VECIDX_PAGE_CODE, HNSW_VERSION);
	used = code_records(hnsw, page);
	if (hnsw->wide)
		UnlockReleaseBuffer(buffer);
	for (uint32 first = 0; first < used; first += SCORE_BATCH)
	{
		int			n = Min(used - first, SCORE_BATCH);

		for (int i = 0; i < n; i++)
			nodes[i] = base + first + i;
		if (hnsw->wide)
			hnsw_score(store, so->query, nodes, n, dist, NULL);
		else
		{
			for (int i = 0; i < n; i++)
				records[i] = (const uint8 *) PageGetContents(page) + (first + i) * hnsw->code_size;
			quant_score(so->query, records, n, dist, NULL);
		}
		keep_nearest(so, nearest, nodes, n, dist);
	}
	if (!hnsw->wide)
		UnlockReleaseBuffer(buffer);
}

/* The first number that was no node at the time of the last look. */
static uint32
node_end(HnswScan *so, Relation index)
{
	HnswIndex  *hnsw = so->hnsw;
	uint32		ordinal = hnsw->code_pages - 1;
	Buffer		buffer = pagemem_pin(&hnsw->code_memory.slots[ordinal], index);
	uint32		used;

	/* all code pages but the last are full */
	LockBuffer(buffer, BUFFER_LOCK_SHARE);
	vecidx_page_check(index, buffer, VECIDX_PAGE_CODE, HNSW_VERSION);
	used = code_records(hnsw, BufferGetPage(buffer));
	UnlockReleaseBuffer(buffer);
	return ordinal * hnsw->codes_per_page + used;
}

/* Nodes to be scored: while the codes of some come from memory, those before are scored. */
typedef struct PassingBatch
{
	uint32		nodes[2][SCORE_BATCH];
	int			n;				/* of nodes[0] */
	int			nasked;			/* of nodes[1]: their codes are on the way */
} PassingBatch;

static void
score_asked(HnswScan *so, PassingBatch *batch, ScoredArray *nearest)
{
	HnswStore  *store = &so->store.store;
	float		dist[SCORE_BATCH];

	store->score(store, so->query, batch->nodes[1], batch->nasked, dist, NULL);
	keep_nearest(so, nearest, batch->nodes[1], batch->nasked, dist);
}

/* The batch is full, or was the last. */
static void
turn_batch(HnswScan *so, PassingBatch *batch, ScoredArray *nearest)
{
	HnswStore  *store = &so->store.store;

	store->prefetch_codes(store, batch->nodes[0], batch->n);
	score_asked(so, batch, nearest);
	memcpy(batch->nodes[1], batch->nodes[0], sizeof(uint32) * batch->n);
	batch->nasked = batch->n;
	batch->n = 0;
}

/* A pass over the filter values first: only codes of nodes that pass are looked at. */
static void
linear_filtered(HnswScan *so, Relation index, ScoredArray *nearest)
{
	uint32		end = node_end(so, index);
	uint32		ngroups = (end + HNSW_FILTER_GROUP - 1) / HNSW_FILTER_GROUP;
	PassingBatch batch;

	batch.n = batch.nasked = 0;
	for (uint32 first = 0; first < ngroups; first += HNSW_FILTER_RANGE)
	{
		uint64		masks[HNSW_FILTER_RANGE];
		uint32		n = Min(ngroups - first, HNSW_FILTER_RANGE);

		CHECK_FOR_INTERRUPTS();
		if (!hnsw_filter_range(&so->map, first, n, masks))
			continue;
		/* the last group's bits beyond the last node */
		if (first + n == ngroups && end % HNSW_FILTER_GROUP != 0)
			masks[n - 1] &= (UINT64CONST(1) << (end % HNSW_FILTER_GROUP)) - 1;
		for (uint32 i = 0; i < n; i++)
		{
			uint32		base = (first + i) * HNSW_FILTER_GROUP;

			for (uint64 mask = masks[i]; mask != 0; mask &= mask - 1)
			{
				batch.nodes[0][batch.n++] = base + pg_rightmost_one_pos64(mask);
				if (batch.n == SCORE_BATCH)
					turn_batch(so, &batch, nearest);
			}
		}
	}
	turn_batch(so, &batch, nearest);
	score_asked(so, &batch, nearest);
}

/* The nearest of what a pass has left in the pool. */
static void
take_from_pool(HnswScan *so, ScoredArray *nearest)
{
	ScoredArray *pool = &so->search.discarded;
	size_t		n = Min(so->linear_keep, pool->n);

	if (n == 0)
		return;
	scored_select(pool->items, pool->n, n - 1);
	scored_reserve(nearest, n);
	memcpy(nearest->items, pool->items, sizeof(ScoredNode) * n);
	nearest->n = n;
	pool->n -= n;
	/* the last ones fill the gap */
	memmove(pool->items, pool->items + Max(n, pool->n), sizeof(ScoredNode) * Min(n, pool->n));
}

static void
linear_round(IndexScanDesc scan, HnswScan *so)
{
	ScoredArray *nearest = &so->search.results;
	size_t		most = (size_t) (memory_budget() / 2 / (sizeof(ScoredNode) + sizeof(Candidate)));
	bool		alone = !so->linear_started && so->filter != NULL && so->handed.n == 0;
	size_t		wanted = 0;
	size_t		n;
	float		err;

	/* from here on a node counts when it is handed over, however many passes score it */
	if (!so->linear_started)
		so->search.nscored = so->handed.n;
	/* a filtered scan that had no other round has this one */
	if (!alone && scan_limited(so))
	{
		finish(so);
		return;
	}
	if (so->test != NULL)
	{
		double		need = vecidx_row_test_need(so->test, so->nreturned);
		bool		pass = !so->linear_started || !so->pooled;

		if (table_pays(so, need, pass ? pass_work(so, so->filter != NULL ? hnsw_filter_rate(&so->map) : 1) : 0))
		{
			so->phase = SCAN_TABLE;
			return;
		}
		wanted = (size_t) Min(Min(2 * need, 4.0 * so->test->ntested), (double) most);
	}
	if (so->linear_started)
		so->linear_keep = Min(so->linear_keep * LINEAR_GROWTH, Max(most, (size_t) LINEAR_FIRST));
	else if (so->filter == NULL)
		so->linear_keep = Max((size_t) LINEAR_FIRST, (size_t) so->ef);
	else
		so->linear_keep = so->ef;
	so->linear_keep = Max(so->linear_keep, wanted);

	if (hnsw_max_scan_tuples > 0)
		so->linear_keep = Min(so->linear_keep, (size_t) hnsw_max_scan_tuples - so->search.nscored);

	nearest->n = 0;
	if (so->linear_started && so->pooled)
		take_from_pool(so, nearest);
	else
	{
		so->most_pooled = most;
		so->pooled = true;
		so->search.discarded.n = 0;
		so->linear_limit = scored_node(get_float4_infinity(), HNSW_INVALID_NODE);
		/* new pages hold rows that the snapshot cannot see */
		if (so->filter != NULL)
			linear_filtered(so, scan->indexRelation, nearest);
		else
			for (uint32 ordinal = 0; ordinal < so->hnsw->code_pages; ordinal++)
			{
				CHECK_FOR_INTERRUPTS();
				linear_page(so, scan->indexRelation, ordinal, nearest);
			}
	}
	if (nearest->n > so->linear_keep)
		cut_nearest(so, nearest);
	n = nearest->n;
	if (n == 0)
	{
		finish(so);
		return;
	}
	err = hand_over(so, nearest->items, n, false);
	so->search.nscored += n;
	so->linear_last = nearest->items[0];
	for (size_t i = 1; i < n; i++)
		so->linear_last = Max(so->linear_last, nearest->items[i]);
	so->linear_started = true;
	if (n < so->linear_keep)
		finish(so);				/* that was all */
	else
		/* nodes beyond the last one kept may be nearer than their estimates */
		so->margin = lower_bound(so, scored_dist(so->linear_last), err);
	nearest->n = 0;
}

/* ---- Fetching ---- */

/* Exact distance of a row; false if the snapshot does not see one. */
static bool
fetch_exact(IndexScanDesc scan, HnswScan *so, ItemPointer tid, double *dist)
{
	Datum		value;
	bool		isnull;
	bool		found;
	MemoryContext old = MemoryContextSwitchTo(so->row);

	if (so->fetch == NULL)
	{
		so->fetch = row_fetch_begin(scan->heapRelation, scan->indexRelation, so->scan_context);
		if (so->hnsw->row_pages == NULL)
			so->hnsw->row_pages = row_pages_create(scan->heapRelation, so->hnsw->remembered.context);
		row_fetch_remember(so->fetch, so->hnsw->row_pages);
		row_fetch_detoast(so->fetch, so->detoasted);
		row_fetch_test(so->fetch, so->test);
	}
	found = row_fetch_value(so->fetch, tid, scan->xs_snapshot, &value, &isnull);
	if (found && isnull)
		found = false;
	if (found)
	{
		const float *floats;

		detoasted_fill(so->detoasted, true);
		floats = vecidx_elements(so->hnsw->opclass, value, so->hnsw->dim, so->buffer);
		detoasted_fill(so->detoasted, false);
		if (floats == NULL)
			found = false;
		else
		{
			*dist = metric_rank(so->hnsw->quantizer.metric, so->floats, floats, so->hnsw->dim);
			if (isnan(*dist))
				*dist = get_float8_infinity();
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->row);
	return found;
}

/* The distance in the index itself. */
static double
index_exact(HnswScan *so, uint32 node)
{
	so->store.store.get_code(&so->store.store, node, so->store.scratch);
	return quant_score_exact(so->query, so->store.scratch);
}

static void
add_exact(HnswScan *so, double dist, ItemPointer tid)
{
	if (dist < so->returned_dist && hnsw_iterative_scan != ITERATIVE_SCAN_RELAXED)
		row_queue_push(&so->late, dist, tid);
	else
		row_queue_push(&so->exact, dist, tid);
}

/* For a pass over the table. */
static bool
wanted_distance(void *arg, ItemPointer tid, double *dist)
{
	IndexScanDesc scan = arg;
	HnswScan   *so = scan->opaque;

	return fetch_exact(scan, so, tid, dist) && *dist <= so->radius;
}

/* TIDs of a node for a pass over the table; true if it is time to visit those that came together. */
static bool
add_tids(HnswScan *so, const ItemPointerData *tids, Size n)
{
	bool		full = false;

	for (Size i = 0; i < n; i++)
		if (ItemPointerIsValid(&tids[i]) && !tidset_has(&so->tested, &tids[i]))
			full |= table_pass_add(&so->table, &tids[i]);
	return full;
}

/* The same of the nodes of an adjacency page. */
static bool
add_page_tids(HnswScan *so, uint32 ordinal)
{
	const HnswIndex *hnsw = so->hnsw;
	uint32		first = ordinal * hnsw->adjacencies_per_page;
	ItemPointerData own[MAX_ADJACENCIES][2];
	bool		more[MAX_ADJACENCIES];
	bool		full = false;
	Buffer		buffer;
	int			n;

	if (!hnsw_disk_adjacency_page(&so->store, ordinal, BUFFER_LOCK_SHARE, &buffer))
		return false;
	n = Min(hnsw_page_adjacencies(hnsw, BufferGetPage(buffer)), MAX_ADJACENCIES);
	memset(own, 0, sizeof(own[0]) * n);
	for (int i = 0; i < n; i++)
	{
		HnswAdjacency adjacency = HnswPageGetAdjacency(BufferGetPage(buffer), hnsw, i);

		more[i] = adjacency->state == HNSW_NODE_USED && ItemPointerIsValid(&adjacency->more);
		if (adjacency->state == HNSW_NODE_USED && !more[i])
			for (int j = 0; j < HnswOwnTids(adjacency); j++)
				own[i][j] = *HnswOwnTid(adjacency, j);
	}
	UnlockReleaseBuffer(buffer);

	for (int i = 0; i < n; i++)
	{
		if (so->filter != NULL && !hnsw_filter_passes(&so->map, first + i))
			continue;
		if (more[i])
		{
			(void) hnsw_disk_read_tids(&so->store, first + i, &so->table_tids);
			full |= add_tids(so, so->table_tids.tids, so->table_tids.n);
		}
		else
			full |= add_tids(so, own[i], 2);
	}
	return full;
}

/* A pass over all rows that were not fetched yet. */
static void
table_round(IndexScanDesc scan, HnswScan *so)
{
	TablePass  *pass = &so->table;
	uint32		npages = so->hnsw->adjacency_memory.n;
	bool		all;

	so->pending.n = 0;
	so->tids.n = so->next_tid = 0;
	table_pass_begin(pass, table_pass_memory());
	/* new pages hold rows that the snapshot cannot see */
	for (uint32 ordinal = 0; ordinal < npages; ordinal++)
	{
		CHECK_FOR_INTERRUPTS();
		if (add_page_tids(so, ordinal))
			table_pass_visit(pass, wanted_distance, scan);
	}
	table_pass_visit(pass, wanted_distance, scan);
	all = table_pass_end(pass);
	for (size_t i = 0; i < pass->kept.n; i++)
		add_exact(so, pass->kept.rows[i].dist, &pass->kept.rows[i].tid);
	if (all)
		finish(so);
	else
		so->margin = pass->last.dist;
}

/*
 * While one row is fetched, the next one's page comes from memory, and the
 * records of those that may follow.
 */
static void
prefetch_next(HnswScan *so)
{
	HnswStore  *store = &so->store.store;
	ItemPointerData tid;

	for (size_t i = 1; i < Min(so->pending.n, 3); i++)
		store->prefetch_links(store, so->pending.items[i].node);
	if (so->fetch != NULL && so->pending.n > 0 &&
		hnsw_disk_peek_tid(&so->store, so->pending.items[0].node, &tid))
		row_fetch_prefetch(so->fetch, &tid);
}

/* Fetch the next TID of the node at hand, or the first of the next candidate. */
static void
fetch_one(IndexScanDesc scan, HnswScan *so)
{
	bool		exact_in_index = quant_exact(so->hnsw->quantizer.kind);
	double		dist;

	CHECK_FOR_INTERRUPTS();
	if (so->next_tid >= so->tids.n)
	{
		Candidate	c = nearest_pop(&so->pending);

		prefetch_next(so);
		(void) hnsw_disk_read_tids(&so->store, c.node, &so->tids);
		so->next_tid = 0;
		if (so->tids.n == 0)
			return;
		so->tid_bound = exact_in_index ? index_exact(so, c.node) : c.dist;
	}
	if (exact_in_index)
	{
		add_exact(so, so->tid_bound, &so->tids.tids[so->next_tid++]);
		return;
	}
	if (so->test != NULL)
		(void) tidset_add(&so->tested, &so->tids.tids[so->next_tid]);
	if (fetch_exact(scan, so, &so->tids.tids[so->next_tid++], &dist))
	{
		add_exact(so, dist, &so->tids.tids[so->next_tid - 1]);

		/*
		 * Rows that share a node share a code, and so in all likelihood the
		 * vector: the next one is not expected to be nearer than this one.
		 */
		so->tid_bound = dist;
	}
}

/* No candidate of the batch that is not fetched yet can be nearer than this. */
static double
next_bound(const HnswScan *so)
{
	double		bound = get_float8_infinity();

	if (so->pending.n > 0)
		bound = so->pending.items[0].dist;
	if (so->next_tid < so->tids.n)
		bound = Min(bound, so->tid_bound);
	return bound;
}

static bool
batch_left(const HnswScan *so)
{
	return so->pending.n > 0 || so->next_tid < so->tids.n;
}

static bool
return_row(IndexScanDesc scan, const HnswScan *so, const QueuedRow *row)
{
	scan->xs_heaptid = row->tid;
	scan->xs_recheck = so->recheck;
	scan->xs_recheckorderby = false;
	return true;
}

/* Rows of all nodes one by one, in any order. */
static bool
next_unordered(IndexScanDesc scan, HnswScan *so)
{
	while (so->next_tid >= so->tids.n)
	{
		CHECK_FOR_INTERRUPTS();
		if (so->unordered_next >= hnsw_node_limit(so->hnsw))
			return false;
		so->next_tid = 0;
		if (so->filter != NULL && !hnsw_filter_passes(&so->map, so->unordered_next))
		{
			so->unordered_next++;
			so->tids.n = 0;
			continue;
		}
		hnsw_disk_try_tids(&so->store, so->unordered_next++, &so->tids);
	}
	scan->xs_heaptid = so->tids.tids[so->next_tid++];
	scan->xs_recheck = so->recheck;
	scan->xs_recheckorderby = false;
	return true;
}

bool
hnsw_gettuple(IndexScanDesc scan, ScanDirection dir)
{
	HnswScan   *so = scan->opaque;

	/* the index has no order but by distance, nearest first */
	Assert(ScanDirectionIsForward(dir));
	(void) dir;

	if (so->phase == SCAN_FIRST)
	{
		if (scan->numberOfOrderBys < 1)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot scan hnsw index without order"),
					 errhint("Order by the distance to a vector.")));
		if (!IsMVCCSnapshot(scan->xs_snapshot))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("non-MVCC snapshots are not supported with hnsw")));
	}

	detoasted_use(so->detoasted);
	for (;;)
	{
		if (so->phase == SCAN_UNORDERED)
			return next_unordered(scan, so);

		/* fetch until the nearest fetched row cannot be beaten */
		while (batch_left(so))
		{
			double		bound = next_bound(so);

			if (bound > so->margin || (so->exact.n > 0 && bound >= so->exact.rows[0].dist))
				break;
			if (so->test != NULL && so->test->ntested >= so->next_check && !goes_on_in_order(so))
				break;
			fetch_one(scan, so);
		}
		if (so->exact.n > 0 && so->exact.rows[0].dist <= Min(so->margin, so->radius))
		{
			QueuedRow	row = row_queue_pop(&so->exact);

			so->returned_dist = Max(so->returned_dist, row.dist);
			so->nreturned++;
			return return_row(scan, so, &row);
		}

		switch (so->phase)
		{
			case SCAN_FIRST:
				first_round(scan, so);
				break;
			case SCAN_GRAPH:
				/* who names a radius wants all the rows there are */
				if (so->half_margin > so->reach)
					finish_within_reach(so);
				else
					graph_round(so);
				break;
			case SCAN_LINEAR:
				if (so->margin > so->reach)
					finish(so);
				else
					linear_round(scan, so);
				break;
			case SCAN_TABLE:
				if (so->margin > so->reach)
					finish(so);
				else
					table_round(scan, so);
				break;
			case SCAN_LATE:
				if (so->late.n > 0)
				{
					QueuedRow	row = row_queue_pop(&so->late);

					so->nreturned++;
					return return_row(scan, so, &row);
				}
				so->phase = SCAN_DONE;
				break;
			case SCAN_UNORDERED:
				break;
			case SCAN_DONE:
				return false;
		}
	}
}
