/*
 * ivf_maintain.c
 *		Lists rewritten: split when they have grown too long, dissolved when
 *		little is left of them, packed when inserts have made them patchy.
 *
 * All three are one operation.  A list is taken apart into new ones (none,
 * where it is dissolved); its rows go to these or to neighbours that are
 * nearer, and rows of the neighbours go to the new lists where those are
 * nearer.  That is the reassignment of SPFresh (arXiv 2410.14452): where a
 * centroid goes away and others come near, only rows around it can be in the
 * wrong list, and without it recall falls as the data drift.
 *
 * Which of the neighbours' rows move is estimated from their codes, as a query
 * at the new centroid would; the few that seem to are then looked up in the
 * table.  Nothing refers to the new chains until all lists concerned change
 * over at once (ivf_directory_publish()), so an error on the way leaves only
 * segments that VACUUM gives free.
 */
#include "vecidx.h"

#include <math.h>

#include "access/table.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "index/rerank.h"
#include "ivf/ivf.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A list that should have fewer rows than this is too short to be worth looking for. */
#define MIN_TARGET 64

/* A list is split at so many times the rows it should have, and dissolved below this part of them. */
#define TOO_LONG 2
#define TOO_SHORT 4

/* Parts that a list is taken into at most. */
#define MAX_PARTS 24

/* The smaller part of a list cut in two has at least this share of it. */
#define MIN_SHARE 5

/* Lists around that are looked at, and rewritten if at least this share of their rows moves. */
#define NEIGHBOURS 16
#define MIN_MOVED 50

/* Rows that a list is cut by, where it has more. */
#define SAMPLE_ROWS 4096
#define SAMPLE_BYTES ((Size) 16 * 1024 * 1024)

#define KMEANS_ROUNDS 10

/* Lists that one VACUUM rewrites: this share of all. */
#define VACUUM_SHARE 4

/* ---- The lock ---- */

bool
ivf_maintain_lock(Relation index, bool wait)
{
	if (!wait)
		return ConditionalLockPage(index, IVF_META_BLOCK, ExclusiveLock);
	LockPage(index, IVF_META_BLOCK, ExclusiveLock);
	return true;
}

void
ivf_maintain_unlock(Relation index)
{
	UnlockPage(index, IVF_META_BLOCK, ExclusiveLock);
}

void
ivf_maintain_share(Relation index)
{
	LockPage(index, IVF_META_BLOCK, ShareLock);
}

void
ivf_maintain_unshare(Relation index)
{
	UnlockPage(index, IVF_META_BLOCK, ShareLock);
}

/* ---- When ---- */

double
ivf_target_rows(const IvfIndex *ivf)
{
	double		lists = ivf->lists_wanted > 0 ? (double) ivf->lists_wanted : (double) ivf_default_lists(ivf->rows);

	return Max(MIN_TARGET, ivf->rows / Max(lists, 1));
}

bool
ivf_too_long(const IvfIndex *ivf, double rows)
{
	return rows > TOO_LONG * ivf_target_rows(ivf);
}

/*
 * Whether a list that could not be split before is to be tried again, now that
 * it has got another segment: each time that it has grown by an eighth.
 */
static bool
try_again(const IvfIndex *ivf, double rows)
{
	double		step = exp2(floor(log2(rows / 8)));
	double		last = Min(rows / 4, ivf->max_capacity);

	return rows <= 4 * ivf_target_rows(ivf) || floor(rows / step) != floor((rows - last - 1) / step);
}

/* ---- What an operation works with ---- */

typedef struct Work
{
	Relation	index;
	Relation	heap;
	IvfIndex   *ivf;
	MemoryContext context;		/* of all this */
	MemoryContext row;			/* for a value from the table */
	bool		vacuum;
	RowFetch   *fetch;			/* NULL: values are decoded from codes */
	bool		bits;
	Size		vector_size;	/* as centroids have it */
	void	   *buffer;
	void	   *scratch;
	float	   *scores;
	size_t		nscores;
} Work;

/* A list that the operation changes, or may change. */
typedef struct Target
{
	uint32		list;
	IvfListCopy old;			/* not of a new one */
	void	   *centroid;
	ListQuery  *query;			/* at the centroid, of new ones */
	double		norm;			/* |centroid|^2 of floats */
	IvfRows		read;			/* as it was */
	IvfRows		rows;			/* as it is to be */
	uint32		came;			/* rows from the list that is taken apart */
	bool		rewritten;
} Target;

static Work *
work_begin(Relation index, Relation heap, IvfIndex *ivf, MemoryContext context, bool vacuum)
{
	Work	   *work = MemoryContextAllocZero(context, sizeof(Work));

	work->index = index;
	work->heap = heap;
	work->ivf = ivf;
	work->context = context;
	work->row = AllocSetContextCreate(context, "ivf maintenance row", ALLOCSET_DEFAULT_SIZES);
	work->vacuum = vacuum;
	work->bits = ivf->code.spec.elements == QUANT_BIT_STRING;
	work->vector_size = ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
	work->buffer = vecidx_elements_buffer(ivf->opclass, ivf->dim, context);
	work->scratch = vecidx_alloc_aligned(context, ivf->code.scratch_size + 1);

	/*
	 * Values come from the table where rows are alive, by SnapshotSelf: the
	 * statement's own rows count.  The active snapshot was taken before, so
	 * whoever deletes such a row from now on is too young for its TOASTed value
	 * to be taken away.
	 *
	 * VACUUM's snapshot holds nothing back, so there a row's page is all that
	 * is sure: values that stand elsewhere are decoded.  Nor are the functions
	 * of an expression called there.
	 */
	if (!ivf->code.exact && ActiveSnapshotSet() && !IsInParallelMode() &&
		!(vacuum && index->rd_index->indkey.values[0] == 0))
		work->fetch = row_fetch_begin(heap, index, context);
	return work;
}

static void
work_end(Work *work)
{
	if (work->fetch != NULL)
		row_fetch_end(work->fetch);
	work->fetch = NULL;
}

/* As a row is compared with centroids: of length one under cosine. */
static void
normalise(const Work *work, float *vector)
{
	double		norm;

	if (work->bits || work->ivf->code.spec.metric != METRIC_COSINE)
		return;
	norm = sqrt(simd_get()->sumsq_f32(vector, work->ivf->dim));
	if (norm > 0 && isfinite(norm))
		for (int i = 0; i < work->ivf->dim; i++)
			vector[i] = (float) (vector[i] / norm);
}

/* The row's value by the table; false if it cannot be had. */
static bool
fetch_vector(Work *work, ItemPointer tid, void *vector)
{
	MemoryContext old = MemoryContextSwitchTo(work->row);
	bool		found = false;
	bool		isnull;
	Datum		value;

	if (work->fetch != NULL && row_fetch_value(work->fetch, tid, SnapshotSelf, &value, &isnull) && !isnull &&
		!(work->vacuum && VARATT_IS_EXTERNAL(DatumGetPointer(value))))
	{
		const void *elements = vecidx_elements(work->ivf->opclass, value, work->ivf->dim, work->buffer);

		if (elements != NULL)
		{
			memcpy(vector, elements, work->vector_size);
			found = true;
		}
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(work->row);
	return found;
}

/* A row of the list around centroid, as exactly as can be. */
static void
read_vector(Work *work, const IvfRows *rows, size_t i, const void *centroid, void *vector)
{
	const ListCode *code = &work->ivf->code;
	const uint8 *bytes = rows->codes + i * code->code_size;

	if (work->bits)
		memcpy(vector, bytes, work->vector_size);
	else
	{
		if (!fetch_vector(work, &rows->tids[i], vector))
			listcode_decode(code, rows->factors + i * code->nfactors, bytes, centroid, vector, work->scratch);
		normalise(work, vector);
	}
}

/* By the metric that puts rows into lists. */
static inline double
distance(const Work *work, const void *vector, const void *centroid)
{
	double		d;

	if (work->bits)
		return metric_rank_bits(work->ivf->route.metric, vector, centroid, work->vector_size);
	d = metric_rank(work->ivf->route.metric, vector, centroid, work->ivf->dim);
	return isfinite(d) ? d : INFINITY;
}

static double
centroid_norm(const Work *work, const void *centroid)
{
	return work->bits ? 0 : simd_get()->sumsq_f32(centroid, work->ivf->dim);
}

/* ---- Cutting in two ---- */

typedef struct Vectors
{
	char	   *values;			/* n times vector_size */
	size_t		n;
} Vectors;

static inline void *
vector_at(const Work *work, const Vectors *v, size_t i)
{
	return v->values + i * work->vector_size;
}

/* The mean of some vectors; of bits, what most of them have. */
static void
mean(const Work *work, const Vectors *v, const uint32 *which, size_t n, void *centroid)
{
	int			dim = work->ivf->dim;

	if (work->bits)
	{
		uint32	   *counts = palloc0(sizeof(uint32) * dim);
		uint8	   *bits = centroid;

		memset(bits, 0, work->vector_size);
		for (size_t i = 0; i < n; i++)
		{
			const uint8 *vector = vector_at(work, v, which[i]);

			for (int j = 0; j < dim; j++)
				counts[j] += vector[j / 8] >> (7 - j % 8) & 1;
		}
		for (int j = 0; j < dim; j++)
			if (2 * counts[j] > n)
				bits[j / 8] |= (uint8) (0x80 >> (j % 8));
		pfree(counts);
	}
	else
	{
		double	   *sums = palloc0(sizeof(double) * dim);
		float	   *out = centroid;

		for (size_t i = 0; i < n; i++)
		{
			const float *vector = vector_at(work, v, which[i]);

			for (int j = 0; j < dim; j++)
				sums[j] += vector[j];
		}
		for (int j = 0; j < dim; j++)
			out[j] = (float) (sums[j] / (double) n);
		pfree(sums);
	}
}

typedef struct Leaning
{
	uint32		vector;
	double		lean;			/* distance to the first centroid less that to the second */
} Leaning;

static int
compare_leanings(const void *a, const void *b)
{
	const Leaning *x = a;
	const Leaning *y = b;

	if (x->lean != y->lean)
		return x->lean < y->lean ? -1 : 1;
	return x->vector < y->vector ? -1 : x->vector > y->vector;
}

static size_t
farthest(const Work *work, const Vectors *v, const uint32 *which, size_t n, const void *from, double *dist)
{
	size_t		best = 0;

	*dist = -1;
	for (size_t i = 0; i < n; i++)
	{
		double		d = distance(work, vector_at(work, v, which[i]), from);

		if (isfinite(d) && d > *dist)
		{
			*dist = d;
			best = i;
		}
	}
	return best;
}

/*
 * Cut n >= 2 vectors in two by 2-means: which[] is put in order of the sides.
 * Returns how many are on the first, 0 if all are equal.  Neither side is less
 * than a fifth, so that a few vectors far out do not make a list of their own
 * again and again.
 */
static size_t
cut(const Work *work, const Vectors *v, uint32 *which, size_t n)
{
	char	   *centroids = palloc(2 * work->vector_size);
	void	   *first = centroids;
	void	   *second = centroids + work->vector_size;
	Leaning    *leanings = palloc(sizeof(Leaning) * n);
	size_t		at = 0;
	size_t		least = Max(n / MIN_SHARE, 1);
	double		dist;
	bool		apart;

	/* seeds: ends of a long stretch */
	memcpy(first, vector_at(work, v, which[farthest(work, v, which, n, vector_at(work, v, which[0]), &dist)]),
		   work->vector_size);
	memcpy(second, vector_at(work, v, which[farthest(work, v, which, n, first, &dist)]), work->vector_size);
	apart = memcmp(first, second, work->vector_size) != 0 && dist > 0;
	for (int round = 0; apart && round < KMEANS_ROUNDS; round++)
	{
		size_t		before = at;

		CHECK_FOR_INTERRUPTS();
		for (size_t i = 0; i < n; i++)
		{
			const void *vector = vector_at(work, v, which[i]);

			leanings[i].vector = which[i];
			leanings[i].lean = distance(work, vector, first) - distance(work, vector, second);
			if (isnan(leanings[i].lean))
				leanings[i].lean = 0;
		}
		qsort(leanings, n, sizeof(Leaning), compare_leanings);
		for (at = 0; at < n && leanings[at].lean < 0; at++)
			;
		at = Min(Max(at, least), n - least);
		for (size_t i = 0; i < n; i++)
			which[i] = leanings[i].vector;
		mean(work, v, which, at, first);
		mean(work, v, which + at, n - at, second);
		if (round > 2 && at == before)
			break;
	}
	pfree(leanings);
	pfree(centroids);
	return apart ? at : 0;
}

/* Cut until no piece has more than `most`; appends the pieces' means to centroids, and returns how many. */
static int
cut_up(const Work *work, const Vectors *v, uint32 *which, size_t n, double most, char *centroids, int room)
{
	size_t		at = 0;
	int			done;

	if (n >= 2 && n > most && room >= 2)
		at = cut(work, v, which, n);
	if (at == 0)
	{
		mean(work, v, which, n, centroids);
		return 1;
	}
	/* room in proportion, and one for the other side at least */
	done = cut_up(work, v, which, at, most, centroids, Min(Max((int) (room * at / n), 1), room - 1));
	return done + cut_up(work, v, which + at, n - at, most, centroids + done * work->vector_size, room - done);
}

/* ---- Lists taken out of use ---- */

/*
 * Close a list's tail, so that what is in the list stays as it is, and copy the
 * entry.  False if it is not in use.
 */
static bool
close_list(Work *work, uint32 list, IvfListCopy *copy)
{
	IvfEntry	entry;
	Buffer		directory = ivf_directory_entry(work->ivf, work->index, list, BUFFER_LOCK_SHARE, &entry);
	bool		used = entry->state == IVF_LIST_USED;

	copy->list = list;
	copy->head = entry->head;
	copy->tail = entry->tail;
	copy->generation = entry->generation;
	copy->rows = entry->rows;
	copy->segments = entry->segments;
	copy->state = entry->state;
	copy->changed = entry->changed;
	if (used && ItemPointerIsValid(&copy->tail))
	{
		IvfSegmentRef tail;
		const char *problem;
		PageChange	change;
		uint16		flags;

		if (!ivf_segment_try(work->ivf, work->index, &copy->tail, list, &copy->generation, BUFFER_LOCK_EXCLUSIVE,
							 &tail, &problem))
			vecidx_corrupted(work->index, BufferGetBlockNumber(directory), list % work->ivf->entries_per_page, problem);
		flags = tail.segment->flags | IVF_SEGMENT_CLOSED;
		page_change_begin(&change, work->index, false);
		page_change_write(&change, tail.buffer,
						  (char *) &tail.segment->flags - (char *) BufferGetPage(tail.buffer), &flags, sizeof(flags));
		page_change_commit(&change);
		ivf_segment_release(&tail);
	}
	UnlockReleaseBuffer(directory);
	return used;
}

/* A list that is not rewritten after all takes rows again. */
static void
open_list(Work *work, const IvfListCopy *copy)
{
	IvfSegmentRef tail;
	const char *problem;
	PageChange	change;
	uint16		flags;

	if (!ItemPointerIsValid(&copy->tail) ||
		!ivf_segment_try(work->ivf, work->index, &copy->tail, copy->list, &copy->generation, BUFFER_LOCK_EXCLUSIVE,
						 &tail, &problem))
		return;
	flags = tail.segment->flags & ~IVF_SEGMENT_CLOSED;
	page_change_begin(&change, work->index, false);
	page_change_write(&change, tail.buffer,
					  (char *) &tail.segment->flags - (char *) BufferGetPage(tail.buffer), &flags, sizeof(flags));
	page_change_commit(&change);
	ivf_segment_release(&tail);
}

/* ---- Which rows move ---- */

static Target *
make_targets(Work *work, int n)
{
	Target	   *targets = MemoryContextAllocZero(work->context, sizeof(Target) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		ivf_rows_init(&targets[i].read, &work->ivf->code, work->context);
		ivf_rows_init(&targets[i].rows, &work->ivf->code, work->context);
	}
	return targets;
}

/* Lists around a centroid, the nearest first, with their centroids. */
static int
find_neighbours(Work *work, uint32 list, const void *centroid, Target *neighbours)
{
	IvfIndex   *ivf = work->ivf;
	IvfRoute	route;
	double		most = 4 * TOO_LONG * ivf_target_rows(ivf);
	int			n = 0;
	size_t		wanted;

	/* a direction is asked for */
	if (ivf->code.spec.metric == METRIC_COSINE && centroid_norm(work, centroid) == 0)
		return 0;
	ivf_route_init(&route, ivf, work->context);
	if (!ivf_route_begin(&route, work->index, centroid, false))
		elog(ERROR, "index \"%s\" was made anew under maintenance", RelationGetRelationName(work->index));
	wanted = ivf_route_next(&route, work->index, NEIGHBOURS + 1);
	for (size_t i = 0; i < wanted && n < NEIGHBOURS; i++)
	{
		Target	   *target = &neighbours[n];

		target->list = route.lists.items[i].node;
		if (target->list == list)
			continue;
		ivf_entry_read(ivf, work->index, target->list, &target->old);
		/* one full of equal rows is not worth rewriting */
		if (target->old.state != IVF_LIST_USED || target->old.rows > most)
			continue;
		target->centroid = MemoryContextAlloc(work->context, work->vector_size);
		ivf_centroid_read(ivf, work->index, target->list, target->centroid);
		target->norm = centroid_norm(work, target->centroid);
		n++;
	}
	return n;
}

static int
nearest_target(const Work *work, const void *vector, const Target *targets, int n, double *dist)
{
	int			best = -1;

	*dist = INFINITY;
	for (int i = 0; i < n; i++)
	{
		double		d = distance(work, vector, targets[i].centroid);

		if (best < 0 || d < *dist)
		{
			best = i;
			*dist = d;
		}
	}
	return best;
}

/* A query at the target's centroid; NULL where there is none (zero under cosine). */
static ListQuery *
centroid_query(Work *work, const Target *target)
{
	ListQuery  *query;

	if (work->ivf->code.spec.metric == METRIC_COSINE && target->norm == 0)
		return NULL;
	query = vecidx_alloc_aligned(work->context, work->ivf->code.query_size);
	listcode_query(&work->ivf->code, target->centroid, query, work->scratch);
	return query;
}

/*
 * Estimated distances of a list's rows, as it was read, to the centroid that
 * the query stands at: such that those of several centroids compare.
 */
static void
score_rows(Work *work, const Target *list, const Target *at, const ListQuery *query, const float *a, const float *b,
		   float *dist)
{
	const ListCode *code = &work->ivf->code;
	size_t		n = list->read.n;

	if (query == NULL)
	{
		memset(dist, 0, sizeof(float) * n);
		return;
	}
	listcode_score(query, listcode_term(query, work->bits ? NULL : list->centroid), a, b, list->read.codes, (int) n,
				   dist, NULL);
	/* |v - c|^2 less |v|^2, from what the metric gives */
	for (size_t i = 0; i < n; i++)
		if (code->spec.metric == METRIC_IP)
			dist[i] = (float) (2 * dist[i] + at->norm);
		else if (code->spec.metric == METRIC_COSINE)
			dist[i] = (float) (at->norm - 2 * sqrt(at->norm) * (1 - dist[i]));
}

/* For each row of a list as it was read, the new list that seems to be nearer than its own, or -1. */
static int *
rows_to_move(Work *work, const Target *list, const Target *parts, int nparts, size_t *moving)
{
	const ListCode *code = &work->ivf->code;
	size_t		n = list->read.n;
	int		   *to = palloc(sizeof(int) * Max(n, 1));
	float	   *own = palloc(sizeof(float) * Max(n, 1));
	float	   *dist = palloc(sizeof(float) * Max(n, 1));
	float	   *a = NULL;
	float	   *b = NULL;
	ListQuery  *query = centroid_query(work, list);

	if (code->nfactors > 0)
	{
		a = palloc(sizeof(float) * Max(n, 1));
		b = palloc(sizeof(float) * Max(n, 1));
		for (size_t i = 0; i < n; i++)
		{
			a[i] = list->read.factors[2 * i];
			b[i] = list->read.factors[2 * i + 1];
		}
	}
	score_rows(work, list, list, query, a, b, own);
	for (size_t i = 0; i < n; i++)
		to[i] = -1;
	for (int p = 0; p < nparts; p++)
	{
		score_rows(work, list, &parts[p], parts[p].query, a, b, dist);
		for (size_t i = 0; i < n; i++)
			if (dist[i] < own[i])
			{
				own[i] = dist[i];
				to[i] = p;
			}
	}
	*moving = 0;
	for (size_t i = 0; i < n; i++)
		*moving += to[i] >= 0;
	pfree(own);
	pfree(dist);
	if (a != NULL)
	{
		pfree(a);
		pfree(b);
	}
	return to;
}

/* Add a row of a list as it was read to another, with its vector as read_vector() gives it. */
static void
move_row(Work *work, Target *target, const IvfRows *from, size_t i, const void *vector)
{
	const ListCode *code = &work->ivf->code;
	const uint8 *bytes = from->codes + i * code->code_size;
	float		factors[2] = {0, 0};
	uint8	   *made = NULL;

	/* exact codes do not depend on the list */
	if (!code->exact)
	{
		made = palloc(code->code_size + SIMD_SLACK);
		listcode_encode(code, vector, target->centroid, factors, made, work->scratch);
		bytes = made;
	}
	ivf_rows_add(&target->rows, factors, bytes, &from->tids[i]);
	if (made != NULL)
		pfree(made);
}

static void
keep_row(Work *work, Target *target, size_t i)
{
	const ListCode *code = &work->ivf->code;

	ivf_rows_add(&target->rows, target->read.factors + i * code->nfactors,
				 target->read.codes + i * code->code_size, &target->read.tids[i]);
}

/* ---- The operation ---- */

static void
change_list(Work *work, Target *target, bool is_new, IvfListChange *change)
{
	IvfChain	chain;

	change->list = target->list;
	change->state = IVF_LIST_USED;
	change->generation = ivf_generation();
	change->centroid = is_new ? target->centroid : NULL;
	ivf_chain_write(work->ivf, work->index, target->list, change->generation, &target->rows, NULL, target->rows.n,
					&chain);
	change->head = chain.head;
	change->tail = chain.tail;
	change->rows = chain.rows;
	change->segments = chain.segments;
}

/*
 * Take a list apart into nparts new ones with these centroids.  The list is
 * closed and source->read has its rows; vectors, if not NULL, are theirs.
 */
static void
take_apart(Work *work, Target *source, const char *centroids, int nparts, const Vectors *vectors)
{
	IvfIndex   *ivf = work->ivf;
	size_t		n = source->read.n;
	Target	   *parts = make_targets(work, nparts);
	Target	   *around = make_targets(work, NEIGHBOURS);
	int			naround = find_neighbours(work, source->list, source->centroid, around);
	IvfListChange *changes = palloc(sizeof(IvfListChange) * (nparts + NEIGHBOURS + 1));
	uint32	   *numbers = palloc(sizeof(uint32) * Max(nparts, 1));
	int		   *to_part = palloc(sizeof(int) * Max(n, 1));
	int		   *to_around = palloc(sizeof(int) * Max(n, 1));
	void	   *vector = palloc(work->vector_size);
	int			nchanges = 0;

	if (nparts == 0 && naround == 0)
	{
		open_list(work, &source->old);
		return;
	}
	for (int p = 0; p < nparts; p++)
	{
		parts[p].centroid = unconstify(char *, centroids) + p * work->vector_size;
		parts[p].norm = centroid_norm(work, parts[p].centroid);
		parts[p].query = centroid_query(work, &parts[p]);
	}

	/* where the list's own rows should go */
	for (size_t i = 0; i < n; i++)
	{
		const void *v = vector;
		double		to_part_dist;
		double		to_around_dist;

		CHECK_FOR_INTERRUPTS();
		if (vectors != NULL)
			v = vector_at(work, vectors, i);
		else
			read_vector(work, &source->read, i, source->centroid, vector);
		to_part[i] = nearest_target(work, v, parts, nparts, &to_part_dist);
		to_around[i] = nearest_target(work, v, around, naround, &to_around_dist);
		if (nparts > 0 && !(to_around_dist < to_part_dist))
			to_around[i] = -1;
		if (to_around[i] >= 0)
			around[to_around[i]].came++;
	}

	/* which of the lists around change enough to be rewritten */
	for (int i = 0; i < naround; i++)
	{
		Target	   *target = &around[i];
		size_t		moving = 0;

		if (nparts > 0)
		{
			ivf_chain_read(ivf, work->index, &target->old, &target->read);
			pfree(rows_to_move(work, target, parts, nparts, &moving));
			moving += target->came;
			target->rewritten = moving > target->read.n / MIN_MOVED;
		}
		else
			target->rewritten = target->came > 0;
		if (!target->rewritten)
			continue;

		/* as it is when nothing can be added any more */
		target->read.n = 0;
		(void) close_list(work, target->list, &target->old);
		ivf_chain_read(ivf, work->index, &target->old, &target->read);
	}

	/* the list's own rows */
	for (size_t i = 0; i < n; i++)
	{
		const void *v = vector;
		Target	   *target;

		CHECK_FOR_INTERRUPTS();
		if (vectors != NULL)
			v = vector_at(work, vectors, i);
		else if (!ivf->code.exact)
			read_vector(work, &source->read, i, source->centroid, vector);
		target = to_around[i] >= 0 && around[to_around[i]].rewritten ? &around[to_around[i]] : &parts[to_part[i]];
		move_row(work, target, &source->read, i, v);
	}

	/* and those of the lists around */
	for (int i = 0; i < naround; i++)
	{
		Target	   *target = &around[i];
		size_t		moving;
		int		   *to;

		if (!target->rewritten)
			continue;
		to = rows_to_move(work, target, parts, nparts, &moving);
		for (size_t j = 0; j < target->read.n; j++)
		{
			CHECK_FOR_INTERRUPTS();
			if (to[j] >= 0)
			{
				read_vector(work, &target->read, j, target->centroid, vector);
				if (distance(work, vector, parts[to[j]].centroid) < distance(work, vector, target->centroid))
				{
					move_row(work, &parts[to[j]], &target->read, j, vector);
					continue;
				}
			}
			keep_row(work, target, j);
		}
		pfree(to);
	}

	if (nparts > 0)
		ivf_directory_place(ivf, work->index, work->heap, numbers, nparts);
	for (int p = 0; p < nparts; p++)
	{
		parts[p].list = numbers[p];
		if (parts[p].rows.n > 0)
			change_list(work, &parts[p], true, &changes[nchanges++]);
	}
	for (int i = 0; i < naround; i++)
		if (around[i].rewritten)
			change_list(work, &around[i], false, &changes[nchanges++]);

	/* what scans that know the list as in use still find */
	changes[nchanges].list = source->list;
	changes[nchanges].state = IVF_LIST_FREE;
	changes[nchanges].head = source->old.head;
	changes[nchanges].tail = source->old.tail;
	changes[nchanges].generation = source->old.generation;
	changes[nchanges].rows = 0;
	changes[nchanges].segments = 0;
	changes[nchanges++].centroid = NULL;
	ivf_directory_publish(ivf, work->index, changes, nchanges, false);
}

/* Close a list and read it; false if it is not in use. */
static bool
read_source(Work *work, uint32 list, Target *source)
{
	memset(source, 0, sizeof(*source));
	source->list = list;
	ivf_rows_init(&source->read, &work->ivf->code, work->context);
	ivf_rows_init(&source->rows, &work->ivf->code, work->context);
	if (!close_list(work, list, &source->old))
		return false;
	source->centroid = MemoryContextAlloc(work->context, work->vector_size);
	ivf_centroid_read(work->ivf, work->index, list, source->centroid);
	ivf_chain_read(work->ivf, work->index, &source->old, &source->read);
	return true;
}

static void
pack_list(Work *work, Target *source)
{
	IvfListChange change;

	for (size_t i = 0; i < source->read.n; i++)
		keep_row(work, source, i);
	change_list(work, source, false, &change);
	ivf_directory_publish(work->ivf, work->index, &change, 1, false);
}

static void
split_list(Work *work, uint32 list)
{
	Target		source;
	double		target = ivf_target_rows(work->ivf);
	Vectors		sample;
	uint32	   *which;
	char	   *centroids;
	size_t		n;
	int			nparts;

	if (!read_source(work, list, &source))
		return;
	n = source.read.n;
	if (n <= TOO_LONG * target)
	{
		open_list(work, &source.old);
		return;
	}

	/* spread evenly over the list, where it is too long for all of it */
	sample.n = Min(n, Max((size_t) 2, Min((size_t) SAMPLE_ROWS, SAMPLE_BYTES / work->vector_size)));
	sample.values = MemoryContextAllocHuge(work->context, sample.n * work->vector_size);
	which = MemoryContextAlloc(work->context, sizeof(uint32) * sample.n);
	for (size_t i = 0; i < sample.n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		which[i] = (uint32) i;
		read_vector(work, &source.read, (size_t) ((double) i * n / sample.n), source.centroid,
					vector_at(work, &sample, i));
	}
	centroids = MemoryContextAlloc(work->context, work->vector_size * MAX_PARTS);
	nparts = cut_up(work, &sample, which, sample.n, 1.5 * target * sample.n / n, centroids, MAX_PARTS);
	if (nparts < 2)
		pack_list(work, &source);	/* its rows are equal */
	else
		take_apart(work, &source, centroids, nparts, sample.n == n ? &sample : NULL);
}

void
ivf_split(Relation index, Relation heap, uint32 list)
{
	MemoryContext context;
	MemoryContext old;
	IvfIndex   *ivf;
	IvfListCopy copy;

	if (!ivf_maintain_lock(index, false))
		return;
	context = AllocSetContextCreate(CurrentMemoryContext, "ivf maintenance", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(context);
	ivf = ivf_index_open(index, context);
	if (ivf_directory_finish(ivf, index) && list < ivf->nlists)
	{
		ivf_entry_read(ivf, index, list, &copy);
		if (copy.state == IVF_LIST_USED && ivf_too_long(ivf, copy.rows + 1) && try_again(ivf, copy.rows + 1))
		{
			Work	   *work = work_begin(index, heap, ivf, context, false);

			split_list(work, list);
			work_end(work);
		}
	}
	ivf_maintain_unlock(index);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/* ---- VACUUM ---- */

/* Rows and lists in use, from the directory; false if the index was made anew. */
static bool
count_rows(IvfIndex *ivf, Relation index)
{
	double		rows = 0;
	uint32		used = 0;

	if (!ivf_index_refresh(ivf, index))
		return false;
	for (uint32 first = 0; first < ivf->nlists; first += ivf->entries_per_page)
	{
		IvfEntry	entry;
		Buffer		buffer = ivf_directory_entry(ivf, index, first, BUFFER_LOCK_SHARE, &entry);

		for (uint32 i = first; i < Min(first + ivf->entries_per_page, ivf->nlists); i++)
		{
			if (entry->state == IVF_LIST_USED)
			{
				rows += entry->rows;
				used++;
			}
			entry = (IvfEntry) ((char *) entry + ivf->entry_size);
		}
		UnlockReleaseBuffer(buffer);
		vecidx_vacuum_delay_point();
	}
	ivf->rows = rows;
	ivf->used_lists = used;
	return true;
}

typedef enum Action
{
	LEAVE,
	SPLIT,
	DISSOLVE,
	PACK
} Action;

/* Rows in a list, its tail included; about, as others may be adding. */
static double
rows_in_list(IvfIndex *ivf, Relation index, const IvfListCopy *list)
{
	double		rows = list->rows;
	IvfSegmentRef tail;
	const char *problem;

	if (ItemPointerIsValid(&list->tail) &&
		ivf_segment_try(ivf, index, &list->tail, list->list, &list->generation, BUFFER_LOCK_SHARE, &tail, &problem))
	{
		rows += tail.segment->count;
		ivf_segment_release(&tail);
	}
	return rows;
}

static Action
what_to_do(IvfIndex *ivf, Relation index, const IvfListCopy *list)
{
	double		target = ivf_target_rows(ivf);
	double		wanted = ivf->lists_wanted > 0 ? ivf->rows / ivf->lists_wanted : target;
	double		rows = rows_in_list(ivf, index, list);
	double		full = ivf_segment_capacity(&ivf->code, IVF_SEGMENT_MAX_SIZE, ivf->code.nnibbles > 0);
	bool		patchy = list->segments > ceil(rows / full) + 2;

	/* one that could not be split is packed then, and is left until it has grown */
	if (rows > TOO_LONG * target && (patchy || rows <= 4 * target))
		return SPLIT;
	if (rows < wanted / TOO_SHORT && ivf->used_lists > 1)
		return DISSOLVE;
	return patchy ? PACK : LEAVE;
}

static void
act(IvfIndex *ivf, Relation index, Relation heap, uint32 list, MemoryContext context)
{
	Work	   *work = work_begin(index, heap, ivf, context, true);
	IvfListCopy copy;
	Target		source;
	Action		action = LEAVE;

	ivf_entry_read(ivf, index, list, &copy);
	if (copy.state == IVF_LIST_USED)
		action = what_to_do(ivf, index, &copy);
	if (action == SPLIT)
		split_list(work, list);
	else if (action != LEAVE && read_source(work, list, &source))
	{
		if (action == PACK)
			pack_list(work, &source);
		else
		{
			take_apart(work, &source, NULL, 0, NULL);
			ivf->used_lists--;
		}
	}
	work_end(work);
}

void
ivf_maintain_all(Relation index, Relation heap, BufferAccessStrategy strategy)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "ivf maintenance", ALLOCSET_DEFAULT_SIZES);
	MemoryContext one = AllocSetContextCreate(context, "ivf maintenance of a list", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	IvfIndex   *ivf = ivf_index_open(index, context);
	uint32		nlists = ivf->nlists;
	uint32		budget = nlists / VACUUM_SHARE + NEIGHBOURS;

	(void) strategy;
	if (!count_rows(ivf, index))
		budget = 0;
	for (uint32 list = 0; list < nlists && budget > 0; list++)
	{
		IvfListCopy copy;

		/* nobody sleeps with the lock */
		vecidx_vacuum_delay_point();
		ivf_entry_read(ivf, index, list, &copy);
		if (copy.state != IVF_LIST_USED || what_to_do(ivf, index, &copy) == LEAVE)
			continue;
		budget--;
		if (!ivf_maintain_lock(index, false))
			continue;
		MemoryContextSwitchTo(one);
		if (ivf_directory_finish(ivf, index))
			act(ivf, index, heap, list, one);
		else
			budget = 0;
		ivf_maintain_unlock(index);
		MemoryContextSwitchTo(context);
		MemoryContextReset(one);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}
