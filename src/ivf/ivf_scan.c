/*
 * ivf_scan.c
 *		Index scans: rows in exact order of distance, as many as are asked for.
 *
 * A scan works in rounds.  A round goes through the lists nearest to the query
 * and keeps the rows that may be the nearest, by a lower bound of their
 * distance; what else it met is forgotten, but for the bound of the nearest of
 * it: the rows at hand are good up to there (the limit).  Where lists are left
 * that were not looked into, the limit is also such that many more rows lie
 * beyond it than before, because of the farther ones many are missing.  When
 * a query wants rows beyond the limit the next round keeps more of them, or
 * goes through more lists.  A
 * row's TID is remembered once it was fetched or returned, so no round gives a
 * row twice, nor one that stands in two lists because it is being moved.  In
 * the end a round has gone through all lists and forgets nothing, so a query
 * comes back short only if the user limited the scan.
 *
 * Codes that are exact give the rows' order themselves.  For others the row is
 * fetched from the table, once nothing at hand that is nearer for certain is
 * left to return.
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
#include "index/radius.h"
#include "index/rerank.h"
#include "index/row_queue.h"
#include "index/row_test.h"
#include "index/table_pass.h"
#include "index/tidset.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "pgstat.h"
#include "utils/float.h"
#include "utils/snapmgr.h"

/*
 * A row's distance is taken to be within this many standard errors of its
 * estimate.  Codes of two bits a dimension or fewer err so much that each
 * further error costs hundreds of rows to be fetched (README).
 */
#define SCAN_ERRORS 3.0f
#define SCAN_ERRORS_COARSE 2.0f

/* What distances may differ by that are added up in another order, relatively. */
#define EXACT_SLACK 1e-5

/* Codes scored at once. */
#define SCORE_BATCH 256

/* Estimates that are compared with the threshold at once. */
#define SIEVE 16

/* Rows kept by the first round, unless the last scan wanted more; and if codes have one bit a dimension, or two. */
#define FIRST_KEEP 128
#define FIRST_KEEP_COARSE 512

/* Each round keeps so many times as many as the one before. */
#define KEEP_GROWTH 4

/*
 * While there are further lists, and the query keeps all rows, those gone through have to have so many rows
 * for each that is returned: of rows farther away than most, too many are in others.
 */
#define ROWS_A_RETURNED 32

/*
 * With conditions on further columns: lists are gone through until those that
 * are left are so far that a row as near as the one last wanted would have to
 * be nearer to the query, by its list's centroid, than all but few are (in
 * standard deviations).
 */
#define SPREAD 3.5

/* The same where rows are discarded after they were fetched, which are farther down the order. */
#define SPREAD_DISCARDING 3.1

/* Of so many rows one is looked at to learn how they lie around their centroids. */
#define SPREAD_SAMPLE 8

/* Lists are added in steps of this share of those there are, and at least so many. */
#define STEP_SHARE 8
#define STEP_SHARE_DISCARDING 4
#define MIN_STEP 8

/*
 * Where the query discards rows: after so many, and each time there are a
 * quarter more, the scan sees whether it goes on in order.
 */
#define FIRST_CHECK 256

/* Rows that a scan tests itself before it leaves that to the executor, if most pass; from then on it tests one of so many. */
#define TESTED_AT_LEAST 32
#define TEST_SAMPLE 8

/* About what the score of a row takes, and of each byte of its code, in nanoseconds. */
#define SCORE_NS 3
#define SCORE_BYTE_NS 0.1

/* Rows that a scan reckons with at first, and at most. */
#define FIRST_WANTED 10
#define MOST_WANTED 1000

/*
 * Times that a round begins again because lists were rewritten under its feet;
 * from when on it copies all entries at first, not as it comes to them; and
 * passes over lists, at last, that together have what each of them missed.
 */
#define MAX_RESTARTS 10
#define COPY_ALL_RESTARTS 2
#define MAX_PASSES 3

/* Rows whose table pages are asked for ahead of their turn. */
#define FETCH_AHEAD 16

/* Lists whose first pages are asked for ahead, where they are not in memory; and codes that stand apart. */
#define LISTS_AHEAD 16
#define CODES_AHEAD 16

/* Codes that stand apart on one page that are scored at once. */
#define APART_BATCH 16

/* Most working memory that an index keeps for its next scan. */
#define SPARE_SCAN_BYTES (1024 * 1024)

typedef enum ScanPhase
{
	SCAN_FIRST,					/* nothing searched yet */
	SCAN_ROUNDS,
	SCAN_TABLE,					/* passes over all rows, in the table's order */
	SCAN_UNORDERED,				/* no distance is defined: any order */
	SCAN_LATE,					/* only late rows are left */
	SCAN_DONE
} ScanPhase;

typedef struct IvfScan
{
	MemoryContext context;		/* of this struct and its arrays */
	MemoryContext scan_context; /* of the scan: ends with it, whatever happens */
	MemoryContext row;			/* for one fetched row */
	IvfIndex   *ivf;
	const IvfSettings *settings;
	IvfRoute	route;
	ListQuery  *query;
	void	   *scratch;
	void	   *elements;		/* of the query, copied */
	void	   *centroid;
	void	   *buffer;			/* of a value */
	void	   *code;			/* of one vector */
	RowFetch   *fetch;			/* NULL until needed */
	float		errors;			/* how many are reckoned with */
	bool		rerank;			/* distances come from the table */

	ScanPhase	phase;
	int			round;
	RowQueue	pending;		/* by lower bound: to be fetched; the distances themselves if nothing is */
	RowQueue	exact;			/* fetched */
	RowQueue	late;
	QueuedRow	ahead[FETCH_AHEAD]; /* taken from pending in their order, to be fetched next */
	int			nahead;
	int			next_ahead;
	BlockNumber heap_blocks;	/* of the table when the scan began, 0: not known yet */
	TidSet		handed;			/* rows fetched or returned */
	double		returned_dist;	/* farthest returned, -inf at first */
	uint64		nreturned;
	double		radius;			/* farther rows are not wanted */
	VecidxFilter *filter;		/* conditions on further columns; in the scan's context; NULL: none */
	bool		recheck;		/* rows that pass may still not meet them */

	/* the lists of the present round, as their entries were at one moment */
	IvfListCopy *lists;
	size_t		nlists;
	size_t		copied;			/* entries at hand: those lists, and some that may come */
	size_t		lists_capacity;
	size_t		scanned;		/* of them gone through */
	size_t		prefetched;		/* of them asked for */
	bool		all_lists;		/* there are no more that may be gone through */
	bool		cold;			/* pages are not in memory: ask for them early */

	/* the present round */
	size_t		keep;
	uint64		met;			/* rows that pass the filter */
	bool		dropped;		/* rows have been forgotten, none nearer than the threshold */
	double		dropped_from;	/* distance of the farthest that was kept then */
	float		threshold;
	double		err_sum;		/* standard errors of rows near enough to be kept for a while */
	uint64		nerrs;
	double		scale;			/* of a row's distance by that of its list's centroid (filtered) */
	uint64		nspread;		/* rows in the following */
	double		spread_sum;		/* of rows' distances less that of their lists' */
	double		spread_squares;
	double		limit;			/* rows farther than this wait for the next round */
	bool		by_lists;		/* because of lists not gone through */

	/* what the last scans took: where to begin */
	size_t		keep_first;
	size_t		wanted;			/* rows */

	/* rows of a segment whose codes stand apart: those to be looked at */
	size_t		napart;
	ItemPointerData *apart_tids;
	ItemPointerData *apart_places;
	/* what the query does with rows */
	VecidxRowTest *test;		/* NULL: it keeps them all */
	uint64		next_check;		/* when so many were looked at, whether to go on */
	TablePass	table;

	/* any order */
	uint32		next_list;
	uint64		changes;		/* when the pass over all lists began */
} IvfScan;

/* ---- Working memory ---- */

/* Codes of at most two bits a dimension. */
static inline bool
is_coarse(const IvfIndex *ivf)
{
	return !ivf->code.exact && ivf->code.code_size * 4 <= (Size) ivf->dim + 4;
}

static inline size_t
least_kept(const IvfIndex *ivf)
{
	/* rows that are fetched to know the nearest ten are dozens, or hundreds */
	return is_coarse(ivf) ? FIRST_KEEP_COARSE : FIRST_KEEP;
}

/*
 * Working memory outlives the scan: the next one on the index takes it over.
 */
static IvfScan *
make_scan(IvfIndex *ivf)
{
	MemoryContext context = AllocSetContextCreate(ivf->remembered.context, "ivf scan memory",
												  ALLOCSET_DEFAULT_SIZES);
	IvfScan    *so = MemoryContextAllocZero(context, sizeof(IvfScan));
	Size		size = ivf_centroid_size(ivf->code.spec.elements, ivf->dim);

	so->context = context;
	so->ivf = ivf;
	ivf_route_init(&so->route, ivf, context);
	so->query = vecidx_alloc_aligned(context, ivf->code.query_size);
	so->scratch = vecidx_alloc_aligned(context, ivf->code.scratch_size + 1);
	so->elements = MemoryContextAlloc(context, size);
	so->centroid = MemoryContextAlloc(context, size);
	so->buffer = vecidx_elements_buffer(ivf->opclass, ivf->dim, context);
	if (ivf->code.exact)
		so->code = vecidx_alloc_aligned(context, ivf->code.code_size);
	row_queue_init(&so->pending, context);
	row_queue_init(&so->exact, context);
	row_queue_init(&so->late, context);
	tidset_init(&so->handed, context);
	if (ivf->apart)
	{
		so->apart_tids = MemoryContextAlloc(context, sizeof(ItemPointerData) * ivf->max_capacity);
		so->apart_places = MemoryContextAlloc(context, sizeof(ItemPointerData) * ivf->max_capacity);
	}
	table_pass_init(&so->table, context);
	so->errors = is_coarse(ivf) ? SCAN_ERRORS_COARSE : SCAN_ERRORS;
	so->keep_first = least_kept(ivf);
	so->wanted = FIRST_WANTED;
	so->scale = ivf->code.spec.metric == METRIC_COSINE || ivf->code.spec.metric == METRIC_IP ? 0.5 : 1;
	return so;
}

/* The scan's memory context goes away: keep the working memory, or not. */
static void
release_scan(void *arg)
{
	IvfScan    *so = arg;

	so->fetch = NULL;			/* was in the scan's context */
	so->filter = NULL;
	so->test = NULL;
	if (so->ivf->spare_scan == NULL &&
		MemoryContextMemAllocated(so->context, true) <= SPARE_SCAN_BYTES)
		so->ivf->spare_scan = so;
	else
		MemoryContextDelete(so->context);
}

/* Working memory for the index as it is now, until the scan's context is reset. */
static IvfScan *
acquire_scan(Relation index, MemoryContext scan_context)
{
	MemoryContextCallback *callback = MemoryContextAlloc(scan_context, sizeof(MemoryContextCallback));
	IvfIndex   *ivf = ivf_index_open(index, scan_context);
	IvfScan    *so = ivf->spare_scan;

	if (so != NULL)
		ivf->spare_scan = NULL;
	else
		so = make_scan(ivf);
	callback->func = release_scan;
	callback->arg = so;
	MemoryContextRegisterResetCallback(scan_context, callback);
	so->scan_context = scan_context;
	return so;
}

static inline Size
memory_budget(void)
{
	return (Size) work_mem * 1024;
}

/* Rows that the pending queue may keep; it grows to twice as many before it is cut. */
static size_t
most_kept(const IvfScan *so)
{
	Size		used = so->handed.n > 0 ? tidset_memory(&so->handed) : 0;
	Size		budget = memory_budget();

	used += (so->exact.n + so->late.n) * sizeof(QueuedRow);
	return Max((size_t) FIRST_KEEP_COARSE, (budget > used ? budget - used : 0) / (2 * sizeof(QueuedRow)));
}

/* Begin the next scan with what this one took. */
static void
learn_keep(IvfScan *so)
{
	size_t		least = least_kept(so->ivf);
	size_t		took = so->handed.n + so->handed.n / 4 + FETCH_AHEAD;

	if (so->handed.n == 0 || so->phase == SCAN_UNORDERED)
		return;

	so->wanted = Max((size_t) Min(so->nreturned, MOST_WANTED), so->wanted - so->wanted / 4);
	/* a scan that wanted less does not make it forget at once */
	so->keep_first = Max(Max(least, Min(took, most_kept(so) / 4)), so->keep_first - so->keep_first / 4);
}

static void
begin_afresh(IvfScan *so)
{
	so->phase = SCAN_FIRST;
	so->round = 0;
	so->pending.n = so->exact.n = so->late.n = 0;
	so->nahead = so->next_ahead = 0;
	so->heap_blocks = 0;
	tidset_clear(&so->handed);
	table_pass_reset(&so->table);
	so->next_check = FIRST_CHECK;
	so->returned_dist = -get_float8_infinity();
	so->nreturned = 0;
	so->nlists = so->scanned = so->prefetched = 0;
	so->all_lists = false;
	so->next_list = 0;
}

IndexScanDesc
ivf_beginscan(Relation index, int nkeys, int norderbys)
{
	IndexScanDesc scan = RelationGetIndexScan(index, nkeys, norderbys);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf scan",
												  ALLOCSET_DEFAULT_SIZES);
	IvfScan    *so = acquire_scan(index, context);

	so->row = AllocSetContextCreate(context, "ivf scan row", ALLOCSET_DEFAULT_SIZES);
	so->settings = ivf_settings(index);
	begin_afresh(so);
	so->phase = SCAN_DONE;
	so->test = vecidx_row_test_take(index);
	scan->opaque = so;
	return scan;
}

void
ivf_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys)
{
	IvfScan    *so = scan->opaque;

	if (keys != NULL && nkeys > 0)
		memmove(scan->keyData, keys, sizeof(ScanKeyData) * nkeys);
	if (orderbys != NULL && norderbys > 0)
		memmove(scan->orderByData, orderbys, sizeof(ScanKeyData) * norderbys);
	if (so->fetch != NULL)
		row_fetch_reset(so->fetch);
	learn_keep(so);
	begin_afresh(so);
	if (so->test != NULL)
		vecidx_row_test_begin(so->test);
}

void
ivf_endscan(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;

	if (so->fetch != NULL)
		row_fetch_end(so->fetch);
	learn_keep(so);
	MemoryContextDelete(so->scan_context);
	scan->opaque = NULL;
}

static void
copy_queue(RowQueue *to, const RowQueue *from)
{
	to->n = 0;
	for (size_t i = 0; i < from->n; i++)
		row_queue_append(to, from->rows[i].dist, &from->rows[i].tid);
}

/*
 * The index has another uid: it has learned what its lists and codes are made
 * by.  Go on with that, and with the rows that are known already.
 */
static IvfScan *
change_index(IndexScanDesc scan)
{
	IvfScan    *old = scan->opaque;
	IvfScan    *so = acquire_scan(scan->indexRelation, old->scan_context);

	if (so->ivf == old->ivf)
		elog(ERROR, "index \"%s\" changes too quickly", RelationGetRelationName(scan->indexRelation));
	so->row = old->row;
	so->settings = old->settings;
	so->fetch = old->fetch;
	old->fetch = NULL;
	begin_afresh(so);
	so->phase = old->phase;
	so->round = old->round;
	so->rerank = old->rerank;
	so->returned_dist = old->returned_dist;
	so->nreturned = old->nreturned;
	so->radius = old->radius;
	so->filter = old->filter;
	so->recheck = old->recheck;
	so->test = old->test;
	so->next_check = old->next_check;
	so->keep = old->keep;
	copy_queue(&so->exact, &old->exact);
	copy_queue(&so->late, &old->late);
	for (uint32 i = 0; i <= old->handed.mask; i++)
		for (int j = 0; j < 64; j++)
		{
			const TidRun *run = &old->handed.runs[i];
			ItemPointerData tid;

			if (run->key == 0 || (run->bits >> j & 1) == 0)
				continue;
			tidset_tid(run, j, &tid);
			(void) tidset_add(&so->handed, &tid);
		}
	memcpy(so->elements, old->elements, ivf_centroid_size(so->ivf->code.spec.elements, so->ivf->dim));
	if (so->phase == SCAN_ROUNDS || so->phase == SCAN_TABLE)
		listcode_query(&so->ivf->code, so->elements, so->query, so->scratch);
	scan->opaque = so;
	return so;
}

/* ---- Rows of a list ---- */

/* Keep only the nearest of what this round has met. */
static void
drop_far(IvfScan *so)
{
	double		farthest = row_queue_select(&so->pending, so->keep);

	so->pending.n = so->keep;
	so->dropped = true;
	so->dropped_from = farthest;
	/* rounded up, so that what is kept passes; exact codes are scored in another order of summation */
	if (so->ivf->code.exact)
		farthest += fabs(farthest) * EXACT_SLACK;
	so->threshold = farthest < FLT_MAX ? nextafterf((float) farthest, FLT_MAX) : FLT_MAX;
}

static inline void
keep_row(IvfScan *so, double bound, const ItemPointerData *tid)
{
	if (bound > so->radius || (so->handed.n > 0 && tidset_has(&so->handed, tid)))
		return;
	row_queue_append(&so->pending, bound, tid);
	if (unlikely(so->pending.n >= 2 * so->keep))
		drop_far(so);
}

/*
 * Keep those of n scored rows that are near enough.  codes: where exact
 * distances are computed from, or NULL.
 */
static void
sieve(IvfScan *so, const float *dist, const float *err, int n, const ItemPointerData *tids, const uint8 *codes)
{
	float		bounds[SCORE_BATCH + SIEVE];
	Size		code_size = so->ivf->code.code_size;

	if (err != NULL)
		for (int i = 0; i < n; i++)
			bounds[i] = dist[i] - so->errors * err[i];
	else
		memcpy(bounds, dist, sizeof(float) * n);
	for (int i = n; i % SIEVE != 0; i++)
		bounds[i] = FLT_MAX;

	for (int first = 0; first < n; first += SIEVE)
	{
		float		threshold = so->threshold;
		int			some = 0;

		/* most are too far: see that for many at once */
		for (int i = 0; i < SIEVE; i++)
			some |= bounds[first + i] <= threshold;
		if (likely(!some))
			continue;
		for (int i = first; i < Min(first + SIEVE, n); i++)
		{
			double		bound = bounds[i];

			if (bounds[i] > so->threshold || unlikely(!ItemPointerIsValid(&tids[i])))
				continue;
			if (codes != NULL)
				bound = listcode_exact(so->query, codes + code_size * i);
			else if (err != NULL)
			{
				so->err_sum += err[i];
				so->nerrs++;
			}
			keep_row(so, bound, &tids[i]);
		}
	}
}

/* Rows that are scored one after the other, though some of them do not pass, if no more than so many lie between two that do. */
#define MOST_SKIPPED 3

/* Score those of n rows (at most 64) of a segment in rows that pass; the others are infinitely far. */
static void
score_passing(IvfScan *so, ListTerm term, const float *a, const float *b, const uint8 *codes, uint64 pass, int n,
			  float *dist, float *err)
{
	int			done = 0;

	for (uint64 left = pass; left != 0;)
	{
		int			first = pg_rightmost_one_pos64(left);
		int			end = first + 1;
		int			next;

		left &= left - 1;
		while (left != 0 && (next = pg_rightmost_one_pos64(left)) - end <= MOST_SKIPPED)
		{
			end = next + 1;
			left &= left - 1;
		}
		for (; done < first; done++)
			dist[done] = INFINITY;
		listcode_score(so->query, term, a != NULL ? a + first : NULL, b != NULL ? b + first : NULL,
					   codes + so->ivf->code.code_size * first, end - first, dist + first,
					   err != NULL ? err + first : NULL);
		for (; done < end; done++)
			if ((pass >> done & 1) == 0)
				dist[done] = INFINITY;
	}
	for (; done < n; done++)
		dist[done] = INFINITY;
}

/* The same of those in blocks; first is a multiple of a block's rows. */
static void
score_passing_blocks(IvfScan *so, ListTerm term, const IvfSegmentRef *ref, int first, uint64 pass, int n,
					 float *dist, float *err)
{
	for (int i = 0; i < n; i += LISTCODE_BLOCK)
	{
		int			width = Min(n - i, LISTCODE_BLOCK);

		if ((uint32) (pass >> i) != 0)
			listcode_score_block(so->query, term, ref->a != NULL ? ref->a + first + i : NULL,
								 ref->b != NULL ? ref->b + first + i : NULL,
								 ivf_segment_block(&so->ivf->code, ref, (first + i) / LISTCODE_BLOCK),
								 width, dist + i, err != NULL ? err + i : NULL);
		for (int j = i; j < i + width; j++)
			if ((pass >> j & 1) == 0)
				dist[j] = INFINITY;
	}
}

StaticAssertDecl(LISTCODE_BLOCK == 32, "the rows of a block are half a mask");

/* Rows of a segment that pass the filter: of n from first on, at most 64. */
static inline uint64
passing(const IvfScan *so, const IvfSegmentRef *ref, int first, int n)
{
	return vecidx_filter_test(so->filter, ref->filters, IVF_FILTER_CAPACITY(ref->segment->capacity), first, n);
}

/* How far a row is from the query, less what its list's centroid is. */
static inline void
add_spread(IvfScan *so, double spread)
{
	so->nspread++;
	so->spread_sum += spread;
	so->spread_squares += spread * spread;
}

/* scan_segment() where there are conditions on further columns: they are tested before anything is scored. */
static void
scan_filtered(IvfScan *so, ListTerm term, const IvfSegmentRef *ref)
{
	double		centroid = so->scale * so->route.lists.items[so->scanned].dist;
	const ListCode *code = &so->ivf->code;
	bool		blocks = (ref->segment->flags & IVF_SEGMENT_BLOCKS) != 0;
	int			count = ref->segment->count;
	float		dist[64 + SIEVE];
	float		err[64] = {0};

	for (int first = 0; first < count; first += 64)
	{
		int			n = Min(count - first, 64);
		uint64		pass = passing(so, ref, first, n);
		const uint8 *codes = ref->codes + code->code_size * first;

		if (pass == 0)
			continue;
		so->met += pg_popcount64(pass);
		if (blocks)
			score_passing_blocks(so, term, ref, first, pass, n, dist, so->rerank ? err : NULL);
		else
			score_passing(so, term, ref->a != NULL ? ref->a + first : NULL, ref->b != NULL ? ref->b + first : NULL,
						  codes, pass, n, dist, so->rerank ? err : NULL);
		for (uint64 left = pass; left != 0; left &= left - 1)
			add_spread(so, dist[pg_rightmost_one_pos64(left)] - centroid);
		sieve(so, dist, so->rerank ? err : NULL, n, ref->tids + first, code->exact ? codes : NULL);
	}
}

static bool
some_pass(const IvfScan *so, const IvfSegmentRef *ref)
{
	for (int first = 0; first < ref->segment->count; first += 64)
		if (passing(so, ref, first, Min(ref->segment->count - first, 64)) != 0)
			return true;
	return false;
}

/* Score the rows of a segment, where they stand, under its page's lock. */
static void
scan_segment(IvfScan *so, ListTerm term, const IvfSegmentRef *ref)
{
	const ListCode *code = &so->ivf->code;
	bool		exact = code->exact;
	bool		blocks = (ref->segment->flags & IVF_SEGMENT_BLOCKS) != 0;
	int			count = ref->segment->count;
	/* by estimates alone, errors are of no interest */
	bool		bound = so->rerank;
	float		dist[SCORE_BATCH];
	float		err[SCORE_BATCH];

	if (so->filter != NULL)
	{
		scan_filtered(so, term, ref);
		return;
	}
	for (int first = 0; first < count; first += SCORE_BATCH)
	{
		int			n = Min(count - first, SCORE_BATCH);
		const float *a = ref->a != NULL ? ref->a + first : NULL;
		const float *b = ref->b != NULL ? ref->b + first : NULL;
		const uint8 *codes = ref->codes + code->code_size * first;

		if (blocks)
			for (int i = 0; i < n; i += LISTCODE_BLOCK)
				listcode_score_block(so->query, term, a != NULL ? a + i : NULL, b != NULL ? b + i : NULL,
									 ivf_segment_block(code, ref, (first + i) / LISTCODE_BLOCK),
									 Min(n - i, LISTCODE_BLOCK), dist + i, bound ? err + i : NULL);
		else
			listcode_score(so->query, term, a, b, codes, n, dist, bound ? err : NULL);
		if (so->test != NULL)
			for (int i = 0; i < n; i += SPREAD_SAMPLE)
				add_spread(so, dist[i] - so->scale * so->route.lists.items[so->scanned].dist);
		sieve(so, dist, bound ? err : NULL, n, ref->tids + first, exact ? codes : NULL);
	}
	so->met += count;
}

/*
 * Have a page read ahead; says whether it has to come from disk.  One that is
 * past the end is left to who looks at it: he says what leads there.
 */
static inline bool
ask_for_page(const IvfScan *so, Relation index, BlockNumber block)
{
	return block < so->ivf->nblocks && PrefetchBuffer(index, MAIN_FORKNUM, block).initiated_io;
}

/* Whether a page is where it was last; then it comes nearer. */
static inline bool
remembered_there(IvfScan *so, Relation index, BlockNumber block)
{
	const PageMemory *memory = &so->ivf->list_memory;
	VecidxLocator locator = vecidx_locator(index);
	BufferTag	tag;

	if (block >= memory->n || memory->slots[block].buffer <= 0)
		return false;
	vecidx_init_tag(&tag, &locator, MAIN_FORKNUM, block);
	if (!pagemem_holds(GetBufferDescriptor(memory->slots[block].buffer - 1), &tag))
		return false;
	/* what a look at it begins with: head and special area */
	pagemem_prefetch(&memory->slots[block], 0, SizeOfPageHeaderData);
	pagemem_prefetch(&memory->slots[block], BLCKSZ - sizeof(VecidxPageOpaqueData), sizeof(VecidxPageOpaqueData));
	return true;
}

/* How a pass over lists ended. */
typedef enum ListsRead
{
	LISTS_READ,
	LISTS_MOVED,				/* rows went to lists that may not be among those of the round */
	LISTS_GONE					/* the index has another uid, and so another directory */
} ListsRead;

/*
 * A segment was not there, which happens on a standby only: a chain may be
 * freed there while a query reads it.  Is it still the list's?  If not, the list
 * has another one.  A list that is not in use any more has none: its rows are in others.
 */
static ListsRead
chain_broken(IvfScan *so, Relation index, IvfListCopy *list, const ItemPointerData *where, const char *problem)
{
	uint32		generation = list->generation;

	if (!ivf_entry_try(so->ivf, index, list->list, list))
		return LISTS_GONE;
	/* a directory may be there still, while its chains are gone */
	if (!ivf_index_refresh(so->ivf, index))
		return LISTS_GONE;
	if (list->generation == generation && list->state == IVF_LIST_USED)
		vecidx_corrupted(index, ItemPointerGetBlockNumberNoCheck(where),
						 ItemPointerGetOffsetNumberNoCheck(where), problem);
	if (list->state != IVF_LIST_USED)
		ItemPointerSetInvalid(&list->head);
	return LISTS_MOVED;
}

/* Note the rows of a segment whose codes are to be looked at, where these stand apart. */
static void
note_apart(IvfScan *so, const IvfSegmentRef *ref)
{
	int			count = ref->segment->count;

	so->napart = 0;
	for (int first = 0; first < count; first += 64)
	{
		int			n = Min(count - first, 64);
		uint64		pass = so->filter != NULL ? passing(so, ref, first, n) : PG_UINT64_MAX >> (64 - n);

		so->met += pg_popcount64(pass);
		for (; pass != 0; pass &= pass - 1)
		{
			int			i = first + pg_rightmost_one_pos64(pass);

			so->apart_tids[so->napart] = ref->tids[i];
			so->apart_places[so->napart++] = ref->places[i];
		}
	}
}

/*
 * Codes of one page in the order in which they lie: what came first is at its
 * end.  The processor reads ahead upwards.
 */
static void
turn_pages(IvfScan *so)
{
	for (size_t first = 0, end; first < so->napart; first = end)
	{
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&so->apart_places[first]);

		for (end = first + 1; end < so->napart && ItemPointerGetBlockNumberNoCheck(&so->apart_places[end]) == block; end++)
			;
		for (size_t i = first, j = end - 1; i < j; i++, j--)
		{
			ItemPointerData tid = so->apart_tids[i];
			ItemPointerData place = so->apart_places[i];

			so->apart_tids[i] = so->apart_tids[j];
			so->apart_places[i] = so->apart_places[j];
			so->apart_tids[j] = tid;
			so->apart_places[j] = place;
		}
	}
}

/*
 * Score the codes of these rows.  VACUUM may take one of them away meanwhile,
 * and an insert use its place: then it is scored by another vector, and nobody
 * sees it.  False if a place, *where, has no code of the list: it may be freed
 * on a standby.
 */
static bool
scan_apart(IvfScan *so, Relation index, const IvfListCopy *list, ItemPointerData *where, const char **problem)
{
	double		centroid = so->scale * so->route.lists.items[so->scanned].dist;
	IvfCodeReader reader = {InvalidBuffer, 0};
	BlockNumber last = InvalidBlockNumber;
	size_t		asked = 0;
	size_t		end;

	turn_pages(so);
	for (size_t first = 0; first < so->napart; first = end)
	{
		const uint8 *codes[APART_BATCH];
		float		dist[APART_BATCH];
		BlockNumber block = ItemPointerGetBlockNumberNoCheck(&so->apart_places[first]);

		CHECK_FOR_INTERRUPTS();
		/* those of one page at once */
		for (end = first; end < so->napart && end - first < APART_BATCH &&
			 ItemPointerGetBlockNumberNoCheck(&so->apart_places[end]) == block; end++)
		{
			codes[end - first] = ivf_code_read(&reader, so->ivf, index, &so->apart_places[end], list->list,
											   list->generation, problem);
			if (unlikely(codes[end - first] == NULL))
			{
				*where = so->apart_places[end];
				return false;
			}
		}
		for (; asked < Min(end + (so->cold ? CODES_AHEAD : 1), so->napart); asked++)
		{
			BlockNumber next = ItemPointerGetBlockNumberNoCheck(&so->apart_places[asked]);

			if (next != last && next != block && !remembered_there(so, index, next) && ask_for_page(so, index, next))
				so->cold = true;
			last = next;
		}
		listcode_score_each(so->query, codes, (int) (end - first), dist);
		for (size_t i = 0; i < end - first; i++)
		{
			add_spread(so, dist[i] - centroid);
			if (dist[i] <= so->threshold)
				keep_row(so, listcode_exact(so->query, codes[i]), &so->apart_tids[first + i]);
		}
	}
	ivf_code_reader_close(&reader);
	return true;
}

/* What all codes of a list have in common, for the query; false if the directory is gone. */
static bool
list_term(IvfScan *so, Relation index, uint32 list, ListTerm *term)
{
	memset(term, 0, sizeof(*term));
	if (so->ivf->code.exact)
		return true;
	if (!ivf_centroid_try(so->ivf, index, list, so->centroid))
		return false;
	*term = listcode_term(so->query, so->centroid);
	return true;
}

static ListsRead
scan_list(IvfScan *so, Relation index, IvfListCopy *list)
{
	IvfIndex   *ivf = so->ivf;
	ItemPointerData next = list->head;
	ListsRead	result = LISTS_READ;
	ListTerm	term = {0, 0};
	/* the distance to its centroid is more work than to look whether any row of a list passes */
	bool		has_term = so->filter == NULL || ivf->code.exact;
	uint64		segments = 0;

	if (!ItemPointerIsValid(&next))
		return LISTS_READ;
	if (has_term && !list_term(so, index, list->list, &term))
		return LISTS_GONE;
	while (ItemPointerIsValid(&next))
	{
		IvfSegmentRef ref;
		ItemPointerData where = next;
		const char *problem;

		CHECK_FOR_INTERRUPTS();
		if (unlikely(!ivf_segment_try(ivf, index, &where, list->list, &list->generation, BUFFER_LOCK_SHARE,
									  &ref, &problem)))
		{
			result = chain_broken(so, index, list, &where, problem);
			/* it may be another list by now, around another centroid */
			if (result == LISTS_GONE || (has_term && !list_term(so, index, list->list, &term)))
				return LISTS_GONE;
			next = list->head;
			continue;
		}
		if (!has_term && some_pass(so, &ref))
		{
			/* its page comes before this one in the order of locks */
			ivf_segment_release(&ref);
			if (!list_term(so, index, list->list, &term))
				return LISTS_GONE;
			has_term = true;
			continue;
		}
		if (unlikely(++segments > (uint64) ivf->nblocks * MaxOffsetNumber))
			vecidx_corrupted(index, ItemPointerGetBlockNumber(&where), ItemPointerGetOffsetNumber(&where),
							 "segments of a list form a ring");
		next = ref.segment->next;
		if (ItemPointerIsValid(&next) && !remembered_there(so, index, ItemPointerGetBlockNumber(&next)) && so->cold)
			(void) ask_for_page(so, index, ItemPointerGetBlockNumber(&next));
		if (ivf->apart)
			note_apart(so, &ref);
		else if (has_term)
			scan_segment(so, term, &ref);
		ivf_segment_release(&ref);
		if (ivf->apart && unlikely(!scan_apart(so, index, list, &where, &problem)))
		{
			result = chain_broken(so, index, list, &where, problem);
			if (result == LISTS_GONE)
				return LISTS_GONE;
			next = list->head;
		}
	}
	return result;
}

/* ---- Rounds ---- */

static inline bool
iterative(const IvfScan *so)
{
	return so->settings->iterative_scan != ITERATIVE_SCAN_OFF;
}

static size_t
first_probes(const IvfScan *so)
{
	/* what the user says passes the limit, but not what we choose */
	return so->settings->probes > 0 ? (size_t) so->settings->probes :
		(size_t) Min(ivf_default_probes(so->ivf->used_lists), so->settings->max_probes);
}

/* Lists that the scan may go through. */
static size_t
most_probes(const IvfScan *so)
{
	size_t		first = first_probes(so);

	if (!iterative(so))
		return first;
	/* the setting's largest value is no limit */
	if (so->settings->max_probes >= IVF_MAX_LISTS)
		return SIZE_MAX;
	return Max(first, (size_t) so->settings->max_probes);
}

/*
 * Have at least n lists at hand, if there are so many: their entries are read
 * together, and nothing was rewritten since the directory was scored.  If
 * something was, the round has to begin again.  all: copy what entries may be
 * needed later, too.
 */
static ListsRead
have_lists(IvfScan *so, Relation index, size_t n, bool all)
{
	size_t		most = most_probes(so);
	ListsRead	result = LISTS_READ;

	n = Min(n, most);
	if (n > so->copied)
	{
		size_t		got = ivf_route_next(&so->route, index, (all ? most : n) - so->copied);

		if (so->copied + got > so->lists_capacity)
		{
			size_t		capacity = Max(so->copied + got, so->lists_capacity * 2);

			so->lists = so->lists == NULL ?
				MemoryContextAllocHuge(so->context, sizeof(IvfListCopy) * capacity) :
				repalloc_huge(so->lists, sizeof(IvfListCopy) * capacity);
			so->lists_capacity = capacity;
		}
		for (size_t i = 0; i < got; i++)
			if (!ivf_entry_try(so->ivf, index, so->route.lists.items[so->route.ordered - got + i].node,
							   &so->lists[so->copied + i]))
				return LISTS_GONE;
		so->copied += got;
		if (!ivf_index_refresh(so->ivf, index))
			return LISTS_GONE;
		if (so->ivf->changes != so->route.changes)
			result = LISTS_MOVED;
	}
	so->nlists = Max(so->nlists, Min(n, so->copied));
	so->all_lists = so->nlists >= so->route.lists.n || so->nlists >= most;
	return result;
}

/*
 * Have pages of the next lists read ahead.  Looking whether a page is in
 * memory costs little, and that of the next list tells about the others.
 */
static void
prefetch_lists(IvfScan *so, Relation index)
{
	so->prefetched = Max(so->prefetched, so->scanned + 1);
	while (so->prefetched < Min(so->scanned + 1 + (so->cold ? LISTS_AHEAD : 1), so->nlists))
	{
		const IvfListCopy *list = &so->lists[so->prefetched++];
		BlockNumber block;
		BlockNumber end;

		if (!ItemPointerIsValid(&list->head))
			continue;
		block = ItemPointerGetBlockNumber(&list->head);
		if (remembered_there(so, index, block))
			continue;
		if (ask_for_page(so, index, block))
			so->cold = true;
		/* a list that was written at once stands on neighbouring pages */
		end = ItemPointerGetBlockNumber(&list->tail);
		if (so->cold && end > block && end - block <= list->segments)
			while (++block <= end)
				(void) ask_for_page(so, index, block);
	}
}

/* go_on: although rows may be missed that moved; whether that is so comes at the end. */
static ListsRead
scan_lists(IvfScan *so, Relation index, bool go_on)
{
	ListsRead	all = LISTS_READ;

	for (; so->scanned < so->nlists; so->scanned++)
	{
		ListsRead	result;

		prefetch_lists(so, index);
		result = scan_list(so, index, &so->lists[so->scanned]);
		if (unlikely(result == LISTS_GONE || (result == LISTS_MOVED && !go_on)))
			return result;
		if (unlikely(result == LISTS_MOVED))
			all = LISTS_MOVED;
	}
	return all;
}

/*
 * Whether the lists to go through follow from how rows lie around their
 * centroids: of a scan under conditions, in the index or outside.
 */
static inline bool
by_spread(const IvfScan *so)
{
	return so->filter != NULL || so->test != NULL;
}

/*
 * Under conditions: how near rows of the lists that are left may be, but for few.  A row's distance is its centroid's, and something that
 * does not depend on where the list is: the residual, which is as good as
 * orthogonal to what separates the query from the centroid.
 */
static double
nearest_left(const IvfScan *so)
{
	double		n = (double) so->nspread;
	double		mean;
	double		variance;
	double		nearest;

	if (so->nspread < 2 || so->nlists == 0)
		return -get_float8_infinity();
	mean = so->spread_sum / n;
	variance = so->spread_squares / n - mean * mean;
	nearest = so->scale * so->route.lists.items[so->nlists - 1].dist + mean -
		(so->test != NULL ? SPREAD_DISCARDING : SPREAD) * sqrt(Max(variance, 0));
	return isfinite(nearest) ? nearest : -get_float8_infinity();
}

/* What bounds of distances are below the distances by, on average. */
static inline double
usual_error(const IvfScan *so)
{
	return so->nerrs > 0 ? so->errors * so->err_sum / so->nerrs : 0;
}

/* How many rows are likely to be wanted beyond those fetched so far. */
static size_t
further_rows(const IvfScan *so)
{
	size_t		wanted = Max(so->wanted, so->nreturned + so->nreturned / 2 + 1);
	double		need;

	if (so->test == NULL)
		return wanted - Min(wanted, so->nreturned + so->exact.n);
	need = vecidx_row_test_need(so->test, so->nreturned) - so->exact.n / vecidx_row_test_rate(so->test);
	/* no more than can be at hand at once */
	return (size_t) Min(Max(need, 1), so->keep - 1);
}

/* Whether lists that are left may have rows as near as those that will be wanted. */
static bool
wants_more_lists(IvfScan *so)
{
	size_t		wanted = further_rows(so);

	if (so->all_lists)
		return false;
	if (so->pending.n <= wanted)
		return true;
	return row_queue_select(&so->pending, Max(wanted, 1)) + usual_error(so) > nearest_left(so);
}

/* How far the rows at hand may be returned before the next round. */
static double
find_limit(IvfScan *so)
{
	double		limit = get_float8_infinity();

	if (so->pending.n > so->keep)
		drop_far(so);
	if (so->dropped)
		limit = so->dropped_from;
	so->by_lists = false;
	if (!so->all_lists && by_spread(so))
	{
		/* what wants_more_lists() was content with is enough, whatever the round has met since */
		double		margin = nearest_left(so);

		so->by_lists = margin < limit;
		limit = Min(limit, margin);
	}
	else if (!so->all_lists && so->pending.n > 0)
	{
		uint64		good = so->met / ROWS_A_RETURNED;
		uint64		nearer = so->nreturned + so->exact.n;
		double		margin;

		nearer = Max(good > nearer ? good - nearer : 0, 1);
		if (nearer < so->pending.n)
		{
			/* of distances, where these are bounds of them */
			margin = row_queue_select(&so->pending, nearer) + usual_error(so);
			so->by_lists = margin < limit;
			limit = Min(limit, margin);
		}
	}
	row_queue_heapify(&so->pending);
	return limit;
}

/* Whether another round could bring anything. */
static inline bool
rounds_left(const IvfScan *so)
{
	return so->dropped || !so->all_lists;
}

static void
next_round(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;
	Relation	index = scan->indexRelation;
	size_t		probes = Max(first_probes(so), so->nlists);
	bool		go_on;
	size_t		step = so->test != NULL ? STEP_SHARE_DISCARDING : STEP_SHARE;
	int			passes = 0;		/* that have missed rows, maybe; what they met is kept */

	if (so->round == 0)
		so->keep = so->keep_first;
	else
	{
		size_t		keep = so->keep * KEEP_GROWTH;

		if (!so->all_lists && !by_spread(so) && (so->by_lists || !so->dropped))
			probes = 2 * Max(so->nlists, 1);
		if (so->test != NULL)
			keep = Max(keep, (size_t) Min(2 * vecidx_row_test_need(so->test, so->nreturned), 16.0 * keep));
		so->keep = Min(keep, most_kept(so));
	}

	for (int try = 0;; try++)
	{
		bool		stable = try >= MAX_RESTARTS;
		bool		copy_all = try >= COPY_ALL_RESTARTS;
		bool		missed;
		ListsRead	result;

		if (!ivf_index_refresh(so->ivf, index))
		{
			so = change_index(scan);
			passes = 0;
		}
		/* what is pending may stay if it is all that was met, or will be enough, and the lists are the same */
		go_on = so->round > 0 && so->nlists > 0 && so->route.changes == so->ivf->changes &&
			(!so->dropped || (so->by_lists && so->pending.n > further_rows(so)));
		if (!go_on)
		{
			if (passes == 0)
			{
				so->pending.n = 0;
				so->nahead = so->next_ahead = 0;
				so->err_sum = 0;
				so->nerrs = 0;
				so->dropped = false;
				so->threshold = FLT_MAX;
			}
			so->scanned = so->prefetched = 0;
			so->met = so->nspread = 0;
			so->spread_sum = so->spread_squares = 0;
			if (so->nlists == 0 || so->route.changes != so->ivf->changes)
			{
				so->nlists = so->copied = 0;
				if (!ivf_route_begin(&so->route, index, so->elements, true))
				{
					so = change_index(scan);
					passes = 0;
					continue;
				}
				if (so->round == 0)
					probes = first_probes(so);
			}
		}
		else
		{
			/* back to where they were taken from */
			for (; so->next_ahead < so->nahead; so->next_ahead++)
				row_queue_append(&so->pending, so->ahead[so->next_ahead].dist, &so->ahead[so->next_ahead].tid);
			so->nahead = so->next_ahead = 0;
		}
		result = have_lists(so, index, probes, copy_all);
		missed = result == LISTS_MOVED;
		if (result == LISTS_READ || (result == LISTS_MOVED && stable))
			result = scan_lists(so, index, stable);
		missed |= result == LISTS_MOVED;
		while (by_spread(so) && (result == LISTS_READ || (result == LISTS_MOVED && stable)) && wants_more_lists(so))
		{
			result = have_lists(so, index, so->nlists + Max(so->nlists / step, MIN_STEP), copy_all);
			missed |= result == LISTS_MOVED;
			if (result == LISTS_READ || (result == LISTS_MOVED && stable))
				result = scan_lists(so, index, stable);
			missed |= result == LISTS_MOVED;
		}
		if (result != LISTS_GONE && (!missed || passes + 1 >= MAX_PASSES))
			break;
		passes += stable;
		so->nlists = 0;
	}
	so->round++;
	so->limit = find_limit(so);
}

/* ---- Fetching ---- */

/* The query in the code's form, or none where no distance is defined. */
static bool
prepare_query(IndexScanDesc scan, IvfScan *so)
{
	const ScanKeyData *key = scan->orderByData;
	const IvfIndex *ivf = so->ivf;
	const void *elements;
	MemoryContext old;

	if (key->sk_flags & SK_ISNULL)
		return false;
	old = MemoryContextSwitchTo(so->row);
	elements = vecidx_elements(ivf->opclass, key->sk_argument, ivf->dim, so->buffer);
	if (elements != NULL)
	{
		memcpy(so->elements, elements, ivf_centroid_size(ivf->code.spec.elements, ivf->dim));
		listcode_query(&ivf->code, so->elements, so->query, so->scratch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->row);
	return elements != NULL;
}

static void
first_round(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;
	bool		never = false;

	/* count the scan, as every access method does */
	vecidx_count_scan(scan);

	if (!ivf_index_refresh(so->ivf, scan->indexRelation))
		so = change_index(scan);
	so->rerank = !so->ivf->code.exact && so->settings->rerank;
	so->cold = false;
	if (so->ivf->filters != NULL)
		so->filter = vecidx_filter_prepare(so->filter, so->ivf->filters, scan->keyData, scan->numberOfKeys,
										   so->scan_context, &never);
	so->recheck = so->filter != NULL && vecidx_filter_recheck(so->filter);
	if (so->test != NULL)
		so->test->recheck = so->recheck;
	if (never || !vecidx_radius(scan, so->ivf->code.spec.metric, &so->radius))
	{
		so->phase = SCAN_DONE;
		return;
	}
	/* estimates say too little to leave a row out */
	if (!so->ivf->code.exact && !so->rerank)
		so->radius = get_float8_infinity();
	if (!prepare_query(scan, so))
	{
		/* no distance is less than anything where none is defined */
		so->phase = so->radius < get_float8_infinity() ? SCAN_DONE : SCAN_UNORDERED;
		so->changes = so->ivf->changes;
		return;
	}
	so->phase = SCAN_ROUNDS;
	next_round(scan);
}

static RowFetch *
begin_fetch(IndexScanDesc scan, IvfScan *so)
{
	if (so->ivf->row_pages == NULL)
		so->ivf->row_pages = row_pages_create(scan->heapRelation, so->ivf->remembered.context);
	so->fetch = row_fetch_begin(scan->heapRelation, scan->indexRelation, so->scan_context);
	row_fetch_remember(so->fetch, so->ivf->row_pages);
	row_fetch_test(so->fetch, so->test);
	return so->fetch;
}

/* Whether the query may want a row: the snapshot sees it, and it meets the conditions that can be tested. */
static bool
may_want(IndexScanDesc scan, IvfScan *so, ItemPointer tid)
{
	MemoryContext old = MemoryContextSwitchTo(so->row);
	bool		passes = row_fetch_passes(so->fetch != NULL ? so->fetch : begin_fetch(scan, so), tid, scan->xs_snapshot);

	MemoryContextSwitchTo(old);
	MemoryContextReset(so->row);
	return passes;
}

/* Exact distance of a row; false if the snapshot does not see one, or the query does not want it. */
static bool
fetch_exact(IndexScanDesc scan, IvfScan *so, ItemPointer tid, double *dist)
{
	const IvfIndex *ivf = so->ivf;
	Datum		value;
	bool		isnull;
	bool		found;
	MemoryContext old = MemoryContextSwitchTo(so->row);

	found = row_fetch_value(so->fetch != NULL ? so->fetch : begin_fetch(scan, so), tid, scan->xs_snapshot, &value, &isnull);
	if (found && isnull)
		found = false;
	if (found)
	{
		const void *elements = vecidx_elements(ivf->opclass, value, ivf->dim, so->buffer);

		if (elements == NULL)
			found = false;
		else if (ivf->code.exact)
		{
			/* the distance that it has in its list */
			listcode_encode(&ivf->code, elements, NULL, NULL, so->code, so->scratch);
			*dist = listcode_exact(so->query, so->code);
		}
		else
		{
			*dist = metric_rank(ivf->code.spec.metric, so->elements, elements, ivf->dim);
			if (isnan(*dist))
				*dist = get_float8_infinity();
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(so->row);
	return found;
}

static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare((ItemPointer) &((const QueuedRow *) a)->tid,
							  (ItemPointer) &((const QueuedRow *) b)->tid);
}

/*
 * Take the next rows from the pending ones, and have the table's pages read
 * that they are on, in the order in which they are on disk.
 */
static void
look_ahead(IndexScanDesc scan, IvfScan *so)
{
	QueuedRow	by_tid[FETCH_AHEAD];
	BlockNumber last = InvalidBlockNumber;

	/* a damaged row may lead past the end, where there is nothing to ask for */
	if (so->heap_blocks == 0)
		so->heap_blocks = RelationGetNumberOfBlocks(scan->heapRelation);
	so->nahead = so->next_ahead = 0;
	while (so->nahead < FETCH_AHEAD && so->pending.n > 0)
		so->ahead[so->nahead++] = row_queue_pop(&so->pending);
	memcpy(by_tid, so->ahead, sizeof(QueuedRow) * so->nahead);
	qsort(by_tid, so->nahead, sizeof(QueuedRow), compare_tids);
	for (int i = 0; i < so->nahead; i++)
	{
		BlockNumber block = ItemPointerGetBlockNumber(&by_tid[i].tid);

		if (block != last && block < so->heap_blocks)
			(void) PrefetchBuffer(scan->heapRelation, MAIN_FORKNUM, block);
		last = block;
	}
}

static inline bool
more_pending(const IvfScan *so)
{
	return so->next_ahead < so->nahead || so->pending.n > 0;
}

/* No row that is not fetched yet can be nearer than this. */
static inline double
next_bound(const IvfScan *so)
{
	if (so->next_ahead < so->nahead)
		return so->ahead[so->next_ahead].dist;
	return so->pending.n > 0 ? so->pending.rows[0].dist : get_float8_infinity();
}

/* Whether a row comes too late for its place. */
static inline bool
is_late(const IvfScan *so, double dist)
{
	return dist < so->returned_dist && so->settings->iterative_scan != ITERATIVE_SCAN_RELAXED;
}

static void
fetch_one(IndexScanDesc scan, IvfScan *so)
{
	QueuedRow	row;
	double		dist;

	CHECK_FOR_INTERRUPTS();
	if (so->next_ahead >= so->nahead)
		look_ahead(scan, so);
	row = so->ahead[so->next_ahead++];
	/* it may have stood in two lists */
	if (tidset_add(&so->handed, &row.tid) && fetch_exact(scan, so, &row.tid, &dist) && dist <= so->radius)
		row_queue_push(is_late(so, dist) ? &so->late : &so->exact, dist, &row.tid);
}

/* ---- Where the query discards rows ---- */

/*
 * Whether the scan tests a row that it need not fetch otherwise.  Where most
 * pass that is left to the executor, which does it anyway.
 */
static inline bool
tests_row(const IvfScan *so)
{
	const VecidxRowTest *test = so->test;

	return test != NULL && test->qual != NULL &&
		(test->ntested < TESTED_AT_LEAST || 2 * test->npassed < test->ntested || so->handed.n % TEST_SAMPLE == 0);
}

/*
 * Whether a pass over the table is quicker than what it takes otherwise to see
 * as many rows as the query is likely to need.
 */
static bool
table_pays(const IvfScan *so, double need, double other_ns)
{
	Size		size = ivf_centroid_size(so->ivf->code.spec.elements, so->ivf->dim);
	double		rows = so->ivf->rows;

	/* the pass has distances from the table, and needs a reason to look there */
	if (!so->rerank && (!so->ivf->code.exact || so->test->qual == NULL))
		return false;
	/* it cannot keep to some lists */
	if (most_probes(so) < so->route.lists.n)
		return false;
	if (so->filter != NULL && so->nlists > 0)
		rows = (double) so->met / so->nlists * so->route.lists.n;
	return table_pass_pays(so->test, memory_budget() / 2, Max(rows, so->met), need, other_ns, table_pass_vector_ns(size));
}

/* Once in a while: whether it is worth while to see further rows in their order; else a pass over the table follows. */
static bool
goes_on_in_order(IvfScan *so)
{
	if (so->test == NULL || so->handed.n < so->next_check)
		return true;
	so->next_check = so->handed.n + so->handed.n / 4;
	if (!table_pays(so, further_rows(so), 0))
		return true;
	/* what is at hand waits for it */
	so->phase = SCAN_TABLE;
	so->limit = -get_float8_infinity();
	return false;
}

/* A round has not brought enough rows that the query keeps: whether another one follows, or a pass over the table. */
static bool
goes_on_with_lists(IvfScan *so)
{
	double		need;
	double		rows;

	if (so->test == NULL)
		return true;
	need = vecidx_row_test_need(so->test, so->nreturned);
	rows = Min(so->ivf->rows, Max(2.0 * so->met, ROWS_A_RETURNED * (so->handed.n + need)));
	if (!table_pays(so, need, rows * (SCORE_NS + SCORE_BYTE_NS * so->ivf->code.code_size)))
		return true;
	so->phase = SCAN_TABLE;
	so->limit = -get_float8_infinity();
	return false;
}

/* The next row in order whose distance is known and within the limit. */
static bool
next_known(IndexScanDesc scan, IvfScan *so, QueuedRow *row)
{
	if (so->rerank)
	{
		/* fetch until the nearest fetched row cannot be beaten */
		while (more_pending(so))
		{
			double		bound = next_bound(so);

			if (bound > so->limit || (so->exact.n > 0 && bound >= so->exact.rows[0].dist))
				break;
			if (!goes_on_in_order(so))
				return false;
			fetch_one(scan, so);
		}
		if (so->exact.n == 0 || so->exact.rows[0].dist > so->limit)
			return false;
		*row = row_queue_pop(&so->exact);
		return true;
	}
	while (so->pending.n > 0 && so->pending.rows[0].dist <= so->limit)
	{
		CHECK_FOR_INTERRUPTS();
		if (!goes_on_in_order(so))
			return false;
		*row = row_queue_pop(&so->pending);
		if (!tidset_add(&so->handed, &row->tid) || (tests_row(so) && !may_want(scan, so, &row->tid)))
			continue;
		if (!is_late(so, row->dist))
			return true;
		row_queue_push(&so->late, row->dist, &row->tid);
	}
	return false;
}

static bool
return_row(IndexScanDesc scan, const ItemPointerData *tid)
{
	scan->xs_heaptid = *tid;
	scan->xs_recheck = ((IvfScan *) scan->opaque)->recheck;
	scan->xs_recheckorderby = false;
	return true;
}

/* ---- Any order ---- */

/*
 * All rows of a list, as they stand, as pending ones; or those that were not
 * looked at yet for a pass over the table, if there is one.  False if the
 * directory is gone.
 */
static bool
gather_list(IvfScan *so, Relation index, uint32 number, TablePass *pass)
{
	IvfListCopy list;
	ItemPointerData next;
	uint64		segments = 0;

	if (!ivf_entry_try(so->ivf, index, number, &list))
		return false;
	if (list.state != IVF_LIST_USED)
		return true;
	next = list.head;
	while (ItemPointerIsValid(&next))
	{
		IvfSegmentRef ref;
		ItemPointerData where = next;
		const char *problem;

		CHECK_FOR_INTERRUPTS();
		if (unlikely(!ivf_segment_try(so->ivf, index, &where, list.list, &list.generation, BUFFER_LOCK_SHARE,
									  &ref, &problem)))
		{
			if (chain_broken(so, index, &list, &where, problem) == LISTS_GONE)
				return false;
			next = list.head;
			continue;
		}
		if (unlikely(++segments > (uint64) so->ivf->nblocks * MaxOffsetNumber))
			vecidx_corrupted(index, ItemPointerGetBlockNumber(&where), ItemPointerGetOffsetNumber(&where),
							 "segments of a list form a ring");
		for (int i = 0; i < ref.segment->count; i++)
			if (ItemPointerIsValid(&ref.tids[i]) &&
				(so->filter == NULL || vecidx_filter_test_row(so->filter, ref.filters,
															  IVF_FILTER_CAPACITY(ref.segment->capacity), i)))
			{
				if (pass == NULL)
					row_queue_append(&so->pending, 0, &ref.tids[i]);
				else if (!tidset_has(&so->handed, &ref.tids[i]))
					table_pass_add(pass, &ref.tids[i]);
			}
		next = ref.segment->next;
		ivf_segment_release(&ref);
	}
	return true;
}

/*
 * Rows of all lists one by one.  Rows may move from a list that is to come to
 * one that is over; so if anything was rewritten the lists are gone through once
 * more, for what has not been returned.
 */
static bool
next_unordered(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;

	for (;;)
	{
		while (so->pending.n > 0)
		{
			const QueuedRow *row = &so->pending.rows[--so->pending.n];

			if (tidset_add(&so->handed, &row->tid))
				return return_row(scan, &row->tid);
		}
		if (so->next_list >= so->ivf->nlists)
		{
			if (!ivf_index_refresh(so->ivf, scan->indexRelation))
				so = change_index(scan);
			else if (so->ivf->changes == so->changes && so->next_list >= so->ivf->nlists)
				return false;
			so->changes = so->ivf->changes;
			so->next_list = 0;
			continue;
		}
		CHECK_FOR_INTERRUPTS();
		if (gather_list(so, scan->indexRelation, so->next_list, NULL))
			so->next_list++;
		else
		{
			so = change_index(scan);
			so->changes = so->ivf->changes;
		}
	}
}

/* ---- The table's order ---- */

static bool
wanted_distance(void *arg, ItemPointer tid, double *dist)
{
	IndexScanDesc scan = arg;
	IvfScan    *so = scan->opaque;

	return fetch_exact(scan, so, tid, dist) && *dist <= so->radius;
}

/*
 * The TIDs of all lists, visited as far as there is no room for them.  Rows may
 * move from a list that is to come to one that is over: if anything was
 * rewritten the lists are gone through once more.  What that brings twice goes
 * to the same set; or, if that was visited, is found out in the end.
 */
static IvfScan *
collect_rows(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;
	uint64		changes = so->ivf->changes;
	bool		same = ivf_index_refresh(so->ivf, scan->indexRelation);

	table_pass_begin(&so->table, memory_budget() / 2);
	for (int try = 0; !same || try == 0 || (so->ivf->changes != changes && try < MAX_RESTARTS); try++)
	{
		if (!same)
		{
			so = change_index(scan);
			table_pass_begin(&so->table, memory_budget() / 2);
			same = true;
			try = 0;
		}
		changes = so->ivf->changes;
		for (uint32 list = 0; same && list < so->ivf->nlists; list++)
		{
			CHECK_FOR_INTERRUPTS();
			same = gather_list(so, scan->indexRelation, list, &so->table);
			if (table_pass_full(&so->table))
				table_pass_visit(&so->table, wanted_distance, scan);
		}
		same = same && ivf_index_refresh(so->ivf, scan->indexRelation);
	}
	return so;
}

/* A pass over all rows that were not looked at yet. */
static void
table_round(IndexScanDesc scan)
{
	IvfScan    *so = scan->opaque;
	TablePass  *pass;
	bool		all;

	so->pending.n = 0;
	so->nahead = so->next_ahead = 0;
	so = collect_rows(scan);
	pass = &so->table;
	table_pass_visit(pass, wanted_distance, scan);
	all = table_pass_end(pass);
	for (size_t i = 0; i < pass->kept.n; i++)
	{
		const QueuedRow *row = &pass->kept.rows[i];

		if (tidset_add(&so->handed, &row->tid))
			row_queue_push(is_late(so, row->dist) ? &so->late : &so->exact, row->dist, &row->tid);
	}
	so->limit = all ? get_float8_infinity() : pass->last.dist;
}

/* The next row that is known, up to the limit. */
static bool
next_of_table(IvfScan *so, QueuedRow *row)
{
	if (so->exact.n == 0 || so->exact.rows[0].dist > so->limit)
		return false;
	*row = row_queue_pop(&so->exact);
	return true;
}

bool
ivf_gettuple(IndexScanDesc scan, ScanDirection dir)
{
	IvfScan    *so = scan->opaque;
	QueuedRow	row;

	/* the index has no order but by distance, nearest first */
	Assert(ScanDirectionIsForward(dir));
	(void) dir;

	if (so->phase == SCAN_FIRST)
	{
		if (scan->numberOfOrderBys < 1)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("cannot scan %s index without order", ivf_am_name(scan->indexRelation)),
					 errhint("Order by the distance to a vector.")));
		if (!IsMVCCSnapshot(scan->xs_snapshot))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("non-MVCC snapshots are not supported with %s", ivf_am_name(scan->indexRelation))));
		first_round(scan);
	}

	for (;;)
	{
		so = scan->opaque;
		switch (so->phase)
		{
			case SCAN_ROUNDS:
				if (next_known(scan, so, &row))
				{
					so->returned_dist = Max(so->returned_dist, row.dist);
					so->nreturned++;
					return return_row(scan, &row.tid);
				}
				if (so->phase == SCAN_TABLE)
					break;
				if (rounds_left(so) && so->limit <= so->radius)
				{
					if (goes_on_with_lists(so))
						next_round(scan);
				}
				else if (so->limit < get_float8_infinity())
					so->limit = get_float8_infinity();	/* nothing more comes: all of it, up to the radius */
				else
					so->phase = SCAN_LATE;
				break;
			case SCAN_TABLE:
				if (next_of_table(so, &row))
				{
					so->returned_dist = Max(so->returned_dist, row.dist);
					so->nreturned++;
					return return_row(scan, &row.tid);
				}
				if (so->limit <= so->radius && so->limit < get_float8_infinity())
					table_round(scan);
				else
					so->phase = SCAN_LATE;
				break;
			case SCAN_UNORDERED:
				return next_unordered(scan);
			case SCAN_LATE:
				if (so->late.n > 0)
				{
					row = row_queue_pop(&so->late);
					so->nreturned++;
					return return_row(scan, &row.tid);
				}
				so->phase = SCAN_DONE;
				break;
			case SCAN_FIRST:
			case SCAN_DONE:
				return false;
		}
	}
}
