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
 * Rows alone do not do it: centroids that stay where the data were when their
 * lists were made serve ever worse (README.md has figures).  So the lists around
 * settle with the new ones by some rounds of k-means, and those whose centroid
 * moved become new lists, too, as far as bounds on what is written allow.
 *
 * Nothing refers to the new chains until all lists concerned change over at
 * once (ivf_directory_publish()), so an error on the way leaves only segments
 * that VACUUM gives free.
 */
#include "vecidx.h"

#include <math.h>

#include "access/table.h"
#include "access/xact.h"
#include "commands/vacuum.h"
#include "index/rerank.h"
#include "ivf/ivf.h"
#include "ivf/ivf_work.h"
#include "miscadmin.h"
#include "quant/kmeans.h"
#include "storage/lmgr.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A list that should have fewer rows than this is too short to be worth looking for. */
#define MIN_TARGET 64

/* A list is split at so many times the rows it should have, and dissolved below this part of them. */
#define TOO_LONG 2.5
#define TOO_SHORT 4

/* Parts that a list is taken into at most. */
#define MAX_PARTS 24

/* The smaller part of a list cut in two has at least this share of it. */
#define MIN_SHARE 5

/* Lists around that take part, and are rewritten if more than this share of their rows moves. */
#define NEIGHBOURS 16
#define MIN_MOVED 20

/* Rounds of k-means over them all. */
#define SETTLE_ROUNDS 4

/* Most bytes of codes that are written anew because centroids have moved, and of vectors in memory. */
#define MAX_RECENTRED_BYTES ((Size) 256 * 1024)
#define MAX_HELD_BYTES ((Size) 64 * 1024 * 1024)

/* A list that does not fit memory is packed when it has so many times the segments that it needs, in parts of the memory. */
#define WASTEFUL 1.5
#define PACKED_PARTS 4

/* Rows that a list is cut by, where it has more. */
#define SAMPLE_ROWS 4096
#define SAMPLE_BYTES ((Size) 16 * 1024 * 1024)

#define KMEANS_ROUNDS 10

/* Lists around are not rewritten while the index has more pages than this, and so many times as its rows need. */
#define MIN_BLOATED_PAGES 256
#define BLOATED 4

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

/* What a row takes in memory, code and vector. */
static double
row_memory(const IvfIndex *ivf)
{
	return ivf->code.code_size + sizeof(float4) * ivf->code.nfactors + sizeof(ItemPointerData) +
		ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
}

/*
 * Whether so many rows can be held at once.  A list of equal rows, which
 * cannot be split, may grow to any length: all that is done with it then is to
 * pack it.
 */
static bool
fits_memory(const IvfIndex *ivf, double rows)
{
	return rows * row_memory(ivf) <= maintenance_work_mem * 1024.0;
}

/* Whether there are rows enough to learn from by now, and not too many; a list has so many. */
static bool
wants_to_learn(const IvfIndex *ivf, double rows)
{
	rows = Max(ivf->rows, rows);
	return ivf_learn_wanted(ivf) && ivf_learn_enough(ivf, rows) && fits_memory(ivf, rows);
}

bool
ivf_due(const IvfIndex *ivf, double rows)
{
	return (ivf_too_long(ivf, rows) && fits_memory(ivf, rows)) || wants_to_learn(ivf, rows);
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

/* A list that the operation changes, or may change. */
typedef struct Target
{
	uint32		list;
	IvfListCopy old;			/* not of a new one */
	void	   *centroid;
	IvfRows		read;			/* as it was */
	IvfRows		rows;			/* as it is to be */
	bool		is_new;			/* gets a number and a centroid of its own */
	bool		rewritten;
} Target;

static IvfWork *
work_begin(Relation index, Relation heap, IvfIndex *ivf, MemoryContext context, bool vacuum)
{
	IvfWork	   *work = MemoryContextAllocZero(context, sizeof(IvfWork));

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
	work->code = MemoryContextAllocZero(context, ivf->code.code_size + SIMD_SLACK);
	work->rough = !ivf->code.exact && !(ivf->code.spec.kind == LISTCODE_RABITQ && ivf->code.spec.bits >= 4);

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
work_end(IvfWork *work)
{
	if (work->fetch != NULL)
		row_fetch_end(work->fetch);
	work->fetch = NULL;
}

/* As a row is compared with centroids: of length one under cosine. */
static void
normalise(const IvfWork *work, float *vector)
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
fetch_vector(IvfWork *work, ItemPointer tid, void *vector)
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

/*
 * A row of the list around centroid: as exactly as can be, or as its code has
 * it where that will do.
 */
void
ivf_work_vector(IvfWork *work, const IvfRows *rows, size_t i, const void *centroid, bool exactly, void *vector)
{
	const ListCode *code = &work->ivf->code;
	const uint8 *bytes = rows->codes + i * code->code_size;

	if (work->bits)
		memcpy(vector, bytes, work->vector_size);
	else
	{
		if (!((exactly || work->rough) && fetch_vector(work, &rows->tids[i], vector)))
			listcode_decode(code, rows->factors + i * code->nfactors, bytes, centroid, vector, work->scratch);
		normalise(work, vector);
	}
}

/* By the metric that puts rows into lists. */
static inline double
distance(const IvfWork *work, const void *vector, const void *centroid)
{
	double		d;

	if (work->bits)
		return metric_rank_bits(work->ivf->route.metric, vector, centroid, work->vector_size);
	d = metric_rank(work->ivf->route.metric, vector, centroid, work->ivf->dim);
	return isfinite(d) ? d : INFINITY;
}

/* ---- Cutting in two ---- */

typedef struct Vectors
{
	char	   *values;			/* n times vector_size */
	size_t		n;
} Vectors;

static inline void *
vector_at(const IvfWork *work, const Vectors *v, size_t i)
{
	return v->values + i * work->vector_size;
}

/*
 * A centroid that is the mean of some vectors, as long as a build would make
 * it (quant/kmeans.h), so that old lists and new ones compare.
 */
static void
set_length(const IvfWork *work, const Vectors *v, const uint32 *which, size_t n, float *centroid)
{
	int			dim = work->ivf->dim;
	double		norm = sqrt(simd_get()->sumsq_f32(centroid, dim));
	double		length = 1;

	if (!(norm > 0) || !isfinite(norm))
		return;
	if (work->ivf->code.spec.metric == METRIC_IP)
	{
		double		sum = 0;
		double		squares = 0;

		for (size_t i = 0; i < n; i++)
		{
			double		x = simd_get()->dot_f32(vector_at(work, v, which[i]), centroid, dim) / norm;

			sum += x;
			squares += x * x;
		}
		length = kmeans_length((double) n, sum, squares);
	}
	else if (work->ivf->code.spec.metric != METRIC_COSINE)
		return;
	if (length > 0 && isfinite(length))
		for (int i = 0; i < dim; i++)
			centroid[i] = (float) (centroid[i] * (length / norm));
}

/* The mean of some vectors; of bits, what most of them have. */
static void
mean(const IvfWork *work, const Vectors *v, const uint32 *which, size_t n, void *centroid)
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
		set_length(work, v, which, n, out);
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
farthest(const IvfWork *work, const Vectors *v, const uint32 *which, size_t n, const void *from, double *dist)
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
cut(const IvfWork *work, const Vectors *v, uint32 *which, size_t n)
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
cut_up(const IvfWork *work, const Vectors *v, uint32 *which, size_t n, double most, char *centroids, int room)
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
bool
ivf_work_close(IvfWork *work, uint32 list, IvfListCopy *copy)
{
	IvfEntry	entry;
	Buffer		directory = ivf_directory_entry(work->ivf, work->index, list, BUFFER_LOCK_SHARE, &entry);
	bool		used = entry->state == IVF_LIST_USED;

	ivf_entry_copy(entry, list, copy);
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
open_list(IvfWork *work, const IvfListCopy *copy)
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

/* ---- The operation ---- */

static Target *
make_targets(IvfWork *work, int n)
{
	Target	   *targets = MemoryContextAllocZero(work->context, sizeof(Target) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		ivf_rows_init(&targets[i].read, &work->ivf->code, work->ivf->filters, work->context);
		ivf_rows_init(&targets[i].rows, &work->ivf->code, work->ivf->filters, work->context);
	}
	return targets;
}

/* Lists around a centroid, the nearest first, closed and read; of so many rows that their vectors fit the memory. */
static int
find_neighbours(IvfWork *work, const Target *source, Target *neighbours)
{
	IvfIndex   *ivf = work->ivf;
	IvfRoute	route;
	double		most = 4 * TOO_LONG * ivf_target_rows(ivf);
	Size		room = MAX_HELD_BYTES / work->vector_size;
	int			n = 0;
	size_t		wanted;

	/* a direction is asked for */
	if (ivf->code.spec.metric == METRIC_COSINE && simd_get()->sumsq_f32(source->centroid, ivf->dim) == 0)
		return 0;
	if (source->read.n >= room)
		return 0;
	room -= source->read.n;
	ivf_route_init(&route, ivf, work->context);
	if (!ivf_route_begin(&route, work->index, source->centroid, false))
		elog(ERROR, "index \"%s\" was made anew under maintenance", RelationGetRelationName(work->index));
	wanted = ivf_route_next(&route, work->index, NEIGHBOURS + 1);
	for (size_t i = 0; i < wanted && n < NEIGHBOURS; i++)
	{
		Target	   *target = &neighbours[n];

		target->list = route.lists.items[i].node;
		if (target->list == source->list)
			continue;
		ivf_entry_read(ivf, work->index, target->list, &target->old);
		/* one full of equal rows is not worth rewriting */
		if (target->old.rows > most || target->old.rows > room)
			continue;
		/* nor can one without a segment be closed */
		if (!ItemPointerIsValid(&target->old.tail) || !ivf_work_close(work, target->list, &target->old))
			continue;
		target->centroid = MemoryContextAlloc(work->context, work->vector_size);
		ivf_centroid_read(ivf, work->index, target->list, target->centroid);
		ivf_chain_read(ivf, work->index, &target->old, &target->read);
		room -= Min(room, target->read.n);
		n++;
	}
	return n;
}

/* A row on its way. */
typedef struct Moving
{
	Target	   *from;
	uint32		index;			/* in from->read */
	int			home;			/* cluster that it comes from, -1: the list that is taken apart */
	int			to;
} Moving;

/* What a list is taken apart into, and the lists around. */
typedef struct Clusters
{
	Target	   *source;
	Target	   *targets;		/* new lists, then those around */
	int			nparts;
	int			n;
	Moving	   *rows;
	size_t		nrows;
	Vectors		vectors;		/* of the rows; values is NULL where they are too many */
} Clusters;

static const void *
row_vector(IvfWork *work, const Clusters *c, size_t i, void *buffer)
{
	const Moving *row = &c->rows[i];

	if (c->vectors.values != NULL)
		return vector_at(work, &c->vectors, i);
	ivf_work_vector(work, &row->from->read, row->index, row->from->centroid, true, buffer);
	return buffer;
}

static int
nearest(const IvfWork *work, const Clusters *c, const void *vector, bool changing)
{
	int			best = -1;
	double		best_dist = INFINITY;

	for (int i = 0; i < c->n; i++)
	{
		double		dist;

		if (changing && !c->targets[i].rewritten)
			continue;
		dist = distance(work, vector, c->targets[i].centroid);
		if (best < 0 || dist < best_dist)
		{
			best = i;
			best_dist = dist;
		}
	}
	return best;
}

static void
assign_rows(IvfWork *work, Clusters *c)
{
	void	   *buffer = palloc(work->vector_size);

	for (size_t i = 0; i < c->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		c->rows[i].to = nearest(work, c, row_vector(work, c, i, buffer), false);
	}
	pfree(buffer);
}

/* Means of the rows that are assigned to each cluster, in the place of the centroids. */
static void
recentre(IvfWork *work, Clusters *c)
{
	uint32	   *which = palloc(sizeof(uint32) * c->nrows);

	for (int i = 0; i < c->n; i++)
	{
		size_t		n = 0;

		for (size_t j = 0; j < c->nrows; j++)
			if (c->rows[j].to == i)
				which[n++] = (uint32) j;
		if (n > 0)
			mean(work, &c->vectors, which, n, c->targets[i].centroid);
	}
	pfree(which);
}

/*
 * Some rounds of k-means over the list's rows and those around, from the
 * parts' centroids and those of the lists around.  Of the latter those that
 * moved get a new centroid for good, which makes them new lists; the
 * others keep theirs.
 */
static void
settle(IvfWork *work, Clusters *c)
{
	Target	   *targets = c->targets;
	char	   *old = palloc(c->n * work->vector_size);
	Size		bytes = 0;
	double		entries = work->ivf->nlists;
	double		spare = entries / 3 + 2 * NEIGHBOURS - (entries - work->ivf->used_lists);

	for (int i = 0; i < c->n; i++)
		memcpy(old + i * work->vector_size, targets[i].centroid, work->vector_size);
	for (int round = 0; round < SETTLE_ROUNDS; round++)
	{
		assign_rows(work, c);
		recentre(work, c);
	}
	for (int i = c->nparts; i < c->n; i++)
	{
		Target	   *target = &targets[i];

		bytes += target->read.n * work->ivf->code.code_size;

		/*
		 * Within bounds: of what is written, and of entries that are free, for
		 * those that go are not used again while any snapshot knows them.
		 */
		if (target->read.n > 0 && !work->vacuum && !work->bloated && bytes <= MAX_RECENTRED_BYTES && spare >= i &&
			distance(work, target->centroid, old + i * work->vector_size) > 0)
			target->is_new = true;
		else
			memcpy(target->centroid, old + i * work->vector_size, work->vector_size);
	}
	pfree(old);
}

/* Which lists around are rewritten, and where the rows of the others stay or go. */
static void
decide(IvfWork *work, Clusters *c)
{
	uint32	   *moves = palloc0(sizeof(uint32) * Max(c->n, 1));
	void	   *buffer = palloc(work->vector_size);

	for (size_t i = 0; i < c->nrows; i++)
		if (c->rows[i].to != c->rows[i].home)
		{
			moves[c->rows[i].to]++;
			if (c->rows[i].home >= 0)
				moves[c->rows[i].home]++;
		}
	for (int i = 0; i < c->n; i++)
		c->targets[i].rewritten = c->targets[i].is_new ||
			(c->nparts > 0 ? moves[i] > c->targets[i].read.n / MIN_MOVED : moves[i] > 0);
	for (size_t i = 0; i < c->nrows; i++)
	{
		Moving	   *row = &c->rows[i];

		if (row->home >= 0 && !c->targets[row->home].rewritten)
			row->to = row->home;
		else if (!c->targets[row->to].rewritten)
			row->to = nearest(work, c, row_vector(work, c, i, buffer), true);

		/* not between two that are rewritten in their place: neither could be published before the other */
		if (row->home >= 0 && !c->targets[row->home].is_new && !c->targets[row->to].is_new)
			row->to = row->home;
	}
	pfree(moves);
	pfree(buffer);
}

/* Put a row where it is to be. */
static void
place_row(IvfWork *work, Clusters *c, size_t i, void *buffer)
{
	const ListCode *code = &work->ivf->code;
	Moving	   *row = &c->rows[i];
	Target	   *target = &c->targets[row->to];
	const IvfRows *from = &row->from->read;
	const uint8 *bytes = from->codes + row->index * code->code_size;
	const float *factors = from->factors + row->index * code->nfactors;
	float		made_factors[2] = {0, 0};

	/* exact codes do not depend on the list */
	if (!code->exact && (row->to != row->home || target->is_new))
	{
		ivf_work_vector(work, from, row->index, row->from->centroid, true, buffer);
		listcode_encode(code, buffer, target->centroid, made_factors, work->code, work->scratch);
		bytes = work->code;
		factors = made_factors;
	}
	ivf_rows_add(&target->rows, factors, bytes, ivf_rows_filters(from, row->index), &from->tids[row->index]);
}

static void
change_list(IvfWork *work, Target *target, IvfListChange *change)
{
	IvfChain	chain;

	change->list = target->list;
	change->state = IVF_LIST_USED;
	change->generation = ivf_generation();
	change->centroid = target->is_new ? target->centroid : NULL;
	ivf_chain_write(work->ivf, work->index, target->list, change->generation, &target->rows, NULL, target->rows.n,
					&chain);
	change->head = chain.head;
	change->tail = chain.tail;
	change->rows = chain.rows;
	change->segments = chain.segments;
}

/* The entry of a list that goes still leads scans that know it as in use to its rows. */
static void
free_list(const IvfListCopy *old, IvfListChange *change)
{
	change->list = old->list;
	change->state = IVF_LIST_FREE;
	change->head = old->head;
	change->tail = old->tail;
	change->generation = old->generation;
	change->rows = 0;
	change->segments = 0;
	change->centroid = NULL;
}

/* Write what was decided. */
static void
write_clusters(IvfWork *work, Clusters *c)
{
	IvfIndex   *ivf = work->ivf;
	IvfListChange *changes = palloc(sizeof(IvfListChange) * (2 * c->n + 1));
	uint32	   *numbers = palloc(sizeof(uint32) * Max(c->n, 1));
	void	   *buffer = palloc(work->vector_size);
	int			nchanges = 0;
	int			nnew = 0;

	for (size_t i = 0; i < c->nrows; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (c->targets[c->rows[i].to].rewritten)
			place_row(work, c, i, buffer);
	}
	for (int i = 0; i < c->n; i++)
		nnew += c->targets[i].is_new && c->targets[i].rows.n > 0;
	if (nnew > 0)
		ivf_directory_place(ivf, work->index, work->heap, numbers, nnew);
	nnew = 0;
	/* new lists first, so that rows that go there are never in none; those that go away come last */
	for (int i = 0; i < 2 * c->n; i++)
	{
		Target	   *target = &c->targets[i % c->n];

		if (target->is_new != (i < c->n))
			continue;
		if (!target->rewritten)
			open_list(work, &target->old);
		else if (!target->is_new || target->rows.n > 0)
		{
			if (target->is_new)
				target->list = numbers[nnew++];
			change_list(work, target, &changes[nchanges++]);
		}
	}
	for (int i = c->nparts; i < c->n; i++)
		if (c->targets[i].is_new)
			free_list(&c->targets[i].old, &changes[nchanges++]);
	free_list(&c->source->old, &changes[nchanges++]);
	ivf_directory_publish(ivf, work->index, changes, nchanges, false);
}

/* A list that is dissolved: those that get its rows keep their own. */
static void
keep_rows_around(IvfWork *work, Clusters *c)
{
	const ListCode *code = &work->ivf->code;

	for (int i = 0; i < c->n; i++)
	{
		Target	   *target = &c->targets[i];

		for (size_t j = 0; target->rewritten && j < target->read.n; j++)
			ivf_rows_add(&target->rows, target->read.factors + j * code->nfactors,
						 target->read.codes + j * code->code_size, ivf_rows_filters(&target->read, j),
						 &target->read.tids[j]);
	}
}

/*
 * Take a list apart into nparts new ones with about these centroids (0:
 * dissolve it).  It is closed and source->read has its rows.
 */
static void
take_apart(IvfWork *work, Target *source, const char *centroids, int nparts)
{
	Clusters	c = {0};
	size_t		at = 0;
	bool		held;

	c.source = source;
	c.nparts = nparts;
	c.targets = make_targets(work, nparts + NEIGHBOURS);
	c.n = nparts + find_neighbours(work, source, c.targets + nparts);
	if (c.n == 0)
	{
		open_list(work, &source->old);
		return;
	}
	for (int i = 0; i < nparts; i++)
	{
		c.targets[i].centroid = unconstify(char *, centroids) + i * work->vector_size;
		c.targets[i].is_new = true;
	}

	c.nrows = source->read.n;
	for (int i = nparts; nparts > 0 && i < c.n; i++)
		c.nrows += c.targets[i].read.n;
	c.rows = MemoryContextAllocHuge(work->context, sizeof(Moving) * Max(c.nrows, 1));
	held = c.nrows <= MAX_HELD_BYTES / work->vector_size;
	if (held)
	{
		c.vectors.n = c.nrows;
		c.vectors.values = MemoryContextAllocHuge(work->context, Max(c.nrows, 1) * work->vector_size);
	}
	for (int i = nparts - 1; i < c.n; i++)
	{
		Target	   *from = i == nparts - 1 ? source : &c.targets[i];

		if (nparts == 0 && from != source)
			break;
		for (size_t j = 0; j < from->read.n; j++, at++)
		{
			CHECK_FOR_INTERRUPTS();
			c.rows[at].from = from;
			c.rows[at].index = (uint32) j;
			c.rows[at].home = from == source ? -1 : i;
			if (held)
				ivf_work_vector(work, &from->read, j, from->centroid, from == source, vector_at(work, &c.vectors, at));
		}
	}
	if (held && nparts > 0)
		settle(work, &c);
	assign_rows(work, &c);
	decide(work, &c);
	if (nparts == 0)
		keep_rows_around(work, &c);
	write_clusters(work, &c);
}

/* Close a list and read it; false if it is not in use. */
static bool
read_source(IvfWork *work, uint32 list, Target *source)
{
	memset(source, 0, sizeof(*source));
	source->list = list;
	ivf_rows_init(&source->read, &work->ivf->code, work->ivf->filters, work->context);
	ivf_rows_init(&source->rows, &work->ivf->code, work->ivf->filters, work->context);
	if (!ivf_work_close(work, list, &source->old))
		return false;
	source->centroid = MemoryContextAlloc(work->context, work->vector_size);
	ivf_centroid_read(work->ivf, work->index, list, source->centroid);
	ivf_chain_read(work->ivf, work->index, &source->old, &source->read);
	return true;
}

static void
pack_list(IvfWork *work, Target *source)
{
	IvfListChange change;

	source->rows = source->read;
	change_list(work, source, &change);
	ivf_directory_publish(work->ivf, work->index, &change, 1, false);
}

/* Whether a list of so many rows has more segments than it needs. */
static bool
patchy(const IvfIndex *ivf, const IvfListCopy *list, double rows)
{
	double		full = ivf_segment_capacity(&ivf->code, ivf->filters, IVF_SEGMENT_MAX_SIZE, ivf->code.nnibbles > 0);

	return list->segments > ceil(rows / full) + 2;
}

/* Or many more than it needs, of a list that is too long to be packed often. */
static bool
wasteful(const IvfIndex *ivf, const IvfListCopy *list, double rows)
{
	double		full = ivf_segment_capacity(&ivf->code, ivf->filters, IVF_SEGMENT_MAX_SIZE, ivf->code.nnibbles > 0);

	return list->segments > WASTEFUL * ceil(rows / full) + 2;
}

/* Pack a list that does not fit memory: a part of its rows at a time. */
static void
pack_in_parts(IvfWork *work, uint32 list)
{
	IvfListCopy old;
	IvfListChange change = {.list = list, .state = IVF_LIST_USED};
	IvfRows		rows;
	IvfChain	chain;
	ItemPointerData next;
	size_t		enough = (size_t) Max(maintenance_work_mem * 1024.0 / PACKED_PARTS / row_memory(work->ivf), 1);

	if (!ivf_work_close(work, list, &old))
		return;
	change.generation = ivf_generation();
	ivf_rows_init(&rows, &work->ivf->code, work->ivf->filters, work->context);
	ivf_chain_begin(&chain);
	next = old.head;
	while (ItemPointerIsValid(&next))
	{
		rows.n = 0;
		next = ivf_chain_read_some(work->ivf, work->index, &old, next, enough, &rows);
		ivf_chain_prepend(work->ivf, work->index, list, change.generation, &rows, NULL, rows.n, &chain);
	}
	change.head = chain.head;
	change.tail = chain.tail;
	change.rows = chain.rows;
	change.segments = chain.segments;
	ivf_directory_publish(work->ivf, work->index, &change, 1, false);
}

static void
split_list(IvfWork *work, uint32 list)
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
		ivf_work_vector(work, &source.read, (size_t) ((double) i * n / sample.n), source.centroid, true,
					vector_at(work, &sample, i));
	}
	centroids = MemoryContextAlloc(work->context, work->vector_size * MAX_PARTS);
	nparts = cut_up(work, &sample, which, sample.n, (TOO_LONG - 0.5) * target * sample.n / n, centroids, MAX_PARTS);
	if (nparts >= 2)
		take_apart(work, &source, centroids, nparts);
	else if (work->vacuum && patchy(work->ivf, &source.old, (double) n))
		pack_list(work, &source);
	else
		open_list(work, &source.old);	/* its rows are equal */
}

/*
 * Whether most of the index are chains that were left over, as in a long
 * transaction, whose own snapshot keeps them.
 */
static bool
bloated(const IvfIndex *ivf, Relation index)
{
	double		row = ivf_row_size(&ivf->code, ivf->filters);

	return RelationGetNumberOfBlocks(index) > MIN_BLOATED_PAGES + ivf->units.npages + BLOATED * ivf->rows * row / BLCKSZ;
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
		if (copy.state == IVF_LIST_USED && (wants_to_learn(ivf, copy.rows) ||
											(ivf_too_long(ivf, copy.rows + 1) && fits_memory(ivf, copy.rows + 1) &&
											 try_again(ivf, copy.rows + 1))))
		{
			IvfWork	   *work = work_begin(index, heap, ivf, context, false);

			work->bloated = bloated(ivf, index);
			/* parts of a list with poor codebooks would have no better ones */
			if (wants_to_learn(ivf, copy.rows))
				ivf_learn(work);
			else if (!ivf_learn_wanted(ivf) || ivf->code.spec.kind != LISTCODE_PQ)
				split_list(work, list);
			work_end(work);
			/* by a directory that was replaced all segments would be nobody's */
			if (ivf_index_refresh(ivf, index) && ivf->npending == 0)
				ivf_sweep_some(ivf, index, heap);
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
	PACK,
	PACK_IN_PARTS
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
	bool		in_pieces = patchy(ivf, list, rows);

	if (!fits_memory(ivf, rows))
		return wasteful(ivf, list, rows) ? PACK_IN_PARTS : LEAVE;
	/* one that could not be split is packed then, and is left until it has grown */
	if (rows > TOO_LONG * target && (in_pieces || rows <= 4 * target))
		return SPLIT;
	if (rows < wanted / TOO_SHORT && ivf->used_lists > 1 && ItemPointerIsValid(&list->tail))
		return DISSOLVE;
	return in_pieces ? PACK : LEAVE;
}

static void
act(IvfIndex *ivf, Relation index, Relation heap, uint32 list, MemoryContext context)
{
	IvfWork	   *work = work_begin(index, heap, ivf, context, true);
	IvfListCopy copy;
	Target		source;
	Action		action = LEAVE;

	ivf_entry_read(ivf, index, list, &copy);
	if (copy.state == IVF_LIST_USED)
		action = what_to_do(ivf, index, &copy);
	if (action == SPLIT && !(ivf_learn_wanted(ivf) && ivf->code.spec.kind == LISTCODE_PQ))
		split_list(work, list);
	else if (action == PACK_IN_PARTS)
		pack_in_parts(work, list);
	else if (action != SPLIT && action != LEAVE && read_source(work, list, &source))
	{
		if (action == PACK)
			pack_list(work, &source);
		else
		{
			take_apart(work, &source, NULL, 0);
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
