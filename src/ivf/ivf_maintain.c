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

#include <float.h>
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

/* By how much that changes at most with the distances in the list (most_rows()). */
#define LEAST_DENSE 0.3
#define MOST_DENSE 5.0

/* But a list is not split before it has grown by this factor since it was written. */
#define GROWN 1.5

/* Parts that a list is taken into at most. */
#define MAX_PARTS 24

/* The smaller part of a list cut in two has at least this share of it. */
#define MIN_SHARE 10

/* Lists that rows are compared with: so many nearest to their own. */
#define AROUND 128

/* With each split so many lists settle around it, and so many others in turn. */
#define SETTLED_NEAR 4
#define SETTLED_TURN 4

/* A list settles where more than this share of its rows leave, and if it has at most so many times the rows it should have. */
#define MIN_LEAVING 32
#define SETTLED 16

/* Free entries that there may be, beside a third: those that go are not used again while any snapshot knows them. */
#define SPARE_ENTRIES 64

/* A list that does not fit memory is packed when it has so many times the segments that it needs, in parts of the memory. */
#define WASTEFUL 1.5
#define PACKED_PARTS 4

/* Rows that a list is cut by, where it has more. */
#define SAMPLE_ROWS 4096
#define SAMPLE_BYTES ((Size) 16 * 1024 * 1024)

#define KMEANS_ROUNDS 10

/* No lists settle while the index has more pages than this, and so many times as its rows need. */
#define MIN_BLOATED_PAGES 256
#define BLOATED 4

/* Lists that one VACUUM rewrites: this share of all, and some. */
#define VACUUM_SHARE 4
#define VACUUM_LEAST 16

/* Who has the index open when a list is split: the insert, and this. */
#define INSERT_USERS 2

/* Attempts to add a row after which a list that changes each time must be damaged. */
#define MAX_ATTEMPTS 1000

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
	double		lists = ivf->lists_wanted > 0 ? (double) ivf->lists_wanted : (double) ivf_default_lists(ivf->code.spec.kind, ivf->dim, ivf->rows);

	return Max(MIN_TARGET, ivf->rows / Max(lists, 1));
}

/*
 * Rows at which a list is split.  Where rows lie close together there may be
 * more of them in a list: the error that lists make of the space is least if
 * their rows are by the third power of their mean squared distance from the
 * centroid, and with long lists where queries come often few probes find more
 * (README).
 */
static double
most_rows(const IvfIndex *ivf, const IvfListCopy *list)
{
	double		most = TOO_LONG * ivf_target_rows(ivf);

	if (list->spread > 0 && ivf->spread > 0)
	{
		double		dense = ivf->spread / list->spread;

		most *= Min(Max(dense * dense * dense, LEAST_DENSE), MOST_DENSE);
	}
	return Max(most, GROWN * list->born);
}

bool
ivf_too_long(const IvfIndex *ivf, const IvfListCopy *list, double rows)
{
	return rows > most_rows(ivf, list);
}

/* What a row takes in memory, with its vector. */
static double
row_memory(const IvfIndex *ivf)
{
	return ivf_row_size(&ivf->code, ivf->filters) + ivf_centroid_size(ivf->code.spec.elements, ivf->dim);
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
ivf_due(const IvfIndex *ivf, const IvfListCopy *list, double rows)
{
	return (ivf_too_long(ivf, list, rows) && fits_memory(ivf, rows)) || wants_to_learn(ivf, rows);
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

/* A list that the operation makes. */
typedef struct Part
{
	void	   *centroid;
	size_t		nrows;
} Part;

/* The list that it takes apart. */
typedef struct Source
{
	uint32		list;
	IvfListCopy old;
	void	   *centroid;
	IvfRows		rows;
} Source;

/* Lists that rows of it may go to, the nearest first. */
typedef struct Around
{
	int			n;
	uint32	   *lists;
	char	   *centroids;
} Around;

/* Close a list and read it; false if it is not in use. */
static bool
read_source(IvfWork *work, uint32 list, Source *source)
{
	memset(source, 0, sizeof(*source));
	source->list = list;
	ivf_rows_init(&source->rows, &work->ivf->code, work->ivf->filters, work->context);
	if (!ivf_work_close(work, list, &source->old))
		return false;
	source->centroid = MemoryContextAlloc(work->context, work->vector_size);
	ivf_centroid_read(work->ivf, work->index, list, source->centroid);
	ivf_chain_read(work->ivf, work->index, &source->old, &source->rows);
	return true;
}

static void
find_around(IvfWork *work, const Source *source, Around *around)
{
	IvfIndex   *ivf = work->ivf;
	IvfRoute	route;
	size_t		wanted;

	memset(around, 0, sizeof(*around));
	/* a direction is asked for */
	if (ivf->code.spec.metric == METRIC_COSINE && simd_get()->sumsq_f32(source->centroid, ivf->dim) == 0)
		return;
	ivf_route_init(&route, ivf, work->context);
	if (!ivf_route_begin(&route, work->index, source->centroid, false))
		elog(ERROR, "index \"%s\" was made anew under maintenance", RelationGetRelationName(work->index));
	wanted = ivf_route_next(&route, work->index, AROUND + 1);
	around->lists = MemoryContextAlloc(work->context, sizeof(uint32) * Max(wanted, 1));
	around->centroids = MemoryContextAlloc(work->context, Max(wanted, 1) * work->vector_size);
	for (size_t i = 0; i < wanted && around->n < AROUND; i++)
	{
		uint32		list = route.lists.items[i].node;

		if (list == source->list)
			continue;
		around->lists[around->n] = list;
		ivf_centroid_read(ivf, work->index, list, around->centroids + around->n * work->vector_size);
		around->n++;
	}
}

/* All rows of the list: as exactly as can be, or as will do to compare them with centroids. */
static void
read_vectors(IvfWork *work, const Source *source, bool exactly, Vectors *v)
{
	v->n = source->rows.n;
	if (v->values == NULL)
		v->values = MemoryContextAllocHuge(work->context, Max(v->n, 1) * work->vector_size);
	for (size_t i = 0; i < v->n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ivf_work_vector(work, &source->rows, i, source->centroid, exactly, vector_at(work, v, i));
	}
}

/* Where each row is nearest to: a part, or behind those a list around.  Returns how many go to those. */
static size_t
assign_rows(const IvfWork *work, const Vectors *v, const Part *parts, int nparts, const Around *around, uint32 *to)
{
	size_t		leaving = 0;

	for (size_t i = 0; i < v->n; i++)
	{
		const void *vector = vector_at(work, v, i);
		double		best = INFINITY;

		CHECK_FOR_INTERRUPTS();
		to[i] = 0;
		for (int j = 0; j < nparts + around->n; j++)
		{
			double		d = distance(work, vector, j < nparts ? parts[j].centroid :
									 around->centroids + (j - nparts) * work->vector_size);

			if (d < best)
			{
				best = d;
				to[i] = j;
			}
		}
		leaving += to[i] >= (uint32) nparts;
	}
	return leaving;
}

/* Means of the rows that go to them, in the place of the parts' centroids. */
static void
recentre(const IvfWork *work, const Vectors *v, const uint32 *to, Part *parts, int nparts)
{
	uint32	   *which = palloc(sizeof(uint32) * Max(v->n, 1));

	for (int i = 0; i < nparts; i++)
	{
		size_t		n = 0;

		for (size_t j = 0; j < v->n; j++)
			if (to[j] == (uint32) i)
				which[n++] = (uint32) j;
		parts[i].nrows = n;
		if (n > 0)
			mean(work, v, which, n, parts[i].centroid);
	}
	pfree(which);
}

/* A row to the list around that is nearest to it. */
static void
give_away(IvfWork *work, const void *vector, const IvfRows *rows, size_t i, uint32 list, const void *centroid)
{
	const ListCode *code = &work->ivf->code;
	const uint8 *bytes = rows->codes + i * code->code_size;
	float		factors[2] = {0, 0};

	/* exact codes do not depend on the list */
	if (!code->exact)
	{
		listcode_encode(code, vector, centroid, factors, work->code, work->scratch);
		bytes = work->code;
	}
	for (int attempt = 0; attempt < MAX_ATTEMPTS; attempt++)
	{
		IvfListCopy copy;
		double		grown;

		ivf_entry_read(work->ivf, work->index, list, &copy);
		if (copy.state != IVF_LIST_USED)
			elog(ERROR, "list %u of index \"%s\" went away under maintenance", list,
				 RelationGetRelationName(work->index));
		if (ivf_append(work->ivf, work->index, &copy, factors, bytes, ivf_rows_filters(rows, i), &rows->tids[i], &grown))
			return;
	}
	vecidx_corrupted(work->index, IVF_META_BLOCK, -1, "entries of lists do not lead to their last segments");
}

/* Write a chain for a new list.  born: at most so many rows count as what it began with. */
static void
write_part(IvfWork *work, const Source *source, const Vectors *v, const uint32 *to, uint32 part, const void *centroid,
		   uint32 list, size_t born, IvfListChange *change)
{
	const ListCode *code = &work->ivf->code;
	IvfRows		rows;
	IvfChain	chain;
	double		sum = 0;

	ivf_rows_init(&rows, code, work->ivf->filters, work->context);
	for (size_t i = 0; i < v->n; i++)
	{
		const uint8 *bytes = source->rows.codes + i * code->code_size;
		float		factors[2] = {0, 0};
		const void *vector = vector_at(work, v, i);

		if (to[i] != part)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (!code->exact)
		{
			listcode_encode(code, vector, centroid, factors, work->code, work->scratch);
			bytes = work->code;
		}
		ivf_rows_add(&rows, factors, bytes, ivf_rows_filters(&source->rows, i), &source->rows.tids[i]);
		sum += Min(distance(work, vector, centroid), (double) FLT_MAX);
	}
	memset(change, 0, sizeof(*change));
	change->list = list;
	change->state = IVF_LIST_USED;
	change->generation = ivf_generation();
	change->centroid = centroid;
	change->born = (uint32) Min(rows.n, born);
	change->spread = (float4) Min(sum / (double) Max(rows.n, 1), (double) FLT_MAX / 4);
	ivf_chain_write(work->ivf, work->index, list, change->generation, &rows, NULL, rows.n, &chain);
	change->head = chain.head;
	change->tail = chain.tail;
	change->rows = chain.rows;
	change->segments = chain.segments;
}

/* The entry of a list that goes still leads scans that know it as in use to its rows. */
static void
free_list(const IvfListCopy *old, IvfListChange *change)
{
	memset(change, 0, sizeof(*change));
	change->list = old->list;
	change->state = IVF_LIST_FREE;
	change->head = old->head;
	change->tail = old->tail;
	change->generation = old->generation;
	change->segments = old->segments;
}

/* Rows may stand in two lists from now on (a crash may leave it so), or do no more. */
static void
note_moving(IvfWork *work, bool moving)
{
	Buffer		buffer = vecidx_read(work->index, IVF_META_BLOCK, BUFFER_LOCK_EXCLUSIVE, VECIDX_PAGE_META, IVF_VERSION);
	IvfMetaPage meta = IvfPageGetMeta(BufferGetPage(buffer));
	uint32		state = moving ? IVF_MOVING : IVF_MOVED;
	PageChange	change;

	/* somebody was cut short */
	if (meta->moving == IVF_MOVED_TWICE || (moving && meta->moving == IVF_MOVING))
		state = IVF_MOVED_TWICE;
	if (state != meta->moving)
	{
		page_change_begin(&change, work->index, false);
		page_change_write(&change, buffer, (char *) &meta->moving - (char *) BufferGetPage(buffer), &state, sizeof(state));
		page_change_commit(&change);
	}
	UnlockReleaseBuffer(buffer);
}

/*
 * Put new lists with these parts' centroids in the place of one that is closed:
 * its rows go to the part, or to the list around, whose centroid is nearest;
 * then each part's centroid is the mean of what it got.
 *
 * A row that leaves is first added to its new list and goes away with the old
 * chain: who reads the entries before that change finds it in the old
 * chain, who reads them later in the new list.
 */
static void
replace_list(IvfWork *work, const Source *source, const Vectors *v, Part *parts, int nparts, const Around *around,
			 const uint32 *to, size_t leaving)
{
	IvfIndex   *ivf = work->ivf;
	IvfListChange *changes = palloc(sizeof(IvfListChange) * (nparts + 1));
	uint32	   *numbers = palloc(sizeof(uint32) * Max(nparts, 1));
	int			nchanges = 0;
	int			nnew = 0;

	recentre(work, v, to, parts, nparts);
	for (int i = 0; i < nparts; i++)
	{
		ivf_round_centroids(&ivf->route, ivf->code.spec.kind, parts[i].centroid, 1);
		nnew += parts[i].nrows > 0;
	}
	if (nnew > 0)
		ivf_directory_place(ivf, work->index, work->heap, numbers, nnew);
	for (int i = 0; i < nparts; i++)
		if (parts[i].nrows > 0)
		{
			write_part(work, source, v, to, (uint32) i, parts[i].centroid, numbers[nchanges],
					   nparts > 1 || source->old.born == 0 ? PG_UINT32_MAX : source->old.born, &changes[nchanges]);
			nchanges++;
		}
	free_list(&source->old, &changes[nchanges++]);

	/* once it is begun nobody's impatience ends it */
	HOLD_INTERRUPTS();
	if (leaving > 0)
		note_moving(work, true);
	for (size_t i = 0; leaving > 0 && i < v->n; i++)
		if (to[i] >= (uint32) nparts)
			give_away(work, vector_at(work, v, i), &source->rows, i, around->lists[to[i] - nparts],
					  around->centroids + (to[i] - nparts) * work->vector_size);
	ivf_directory_publish(ivf, work->index, changes, nchanges, false);
	if (leaving > 0)
		note_moving(work, false);
	RESUME_INTERRUPTS();
}

/* A step, whose memory is given back at its end. */
typedef struct Step
{
	MemoryContext old;
	MemoryContext of_work;
	MemoryContext context;
} Step;

static void
step_begin(IvfWork *work, Step *step)
{
	step->of_work = work->context;
	step->context = AllocSetContextCreate(work->context, "ivf maintenance of a list", ALLOCSET_DEFAULT_SIZES);
	step->old = MemoryContextSwitchTo(step->context);
	work->context = step->context;
}

static void
step_end(IvfWork *work, Step *step)
{
	MemoryContextSwitchTo(step->old);
	work->context = step->of_work;
	MemoryContextDelete(step->context);
}

/* TIDs once only: where moving was cut short they may stand twice by now. */
static int
compare_tids(const void *a, const void *b)
{
	return ItemPointerCompare(unconstify(ItemPointerData *, (const ItemPointerData *) a),
							  unconstify(ItemPointerData *, (const ItemPointerData *) b));
}

static void
drop_doubles(IvfRows *rows)
{
	const ListCode *code = rows->code;
	ItemPointerData *sorted = palloc(sizeof(ItemPointerData) * Max(rows->n, 1));
	bool		doubles = false;
	size_t		kept = 0;

	memcpy(sorted, rows->tids, sizeof(ItemPointerData) * rows->n);
	qsort(sorted, rows->n, sizeof(ItemPointerData), compare_tids);
	for (size_t i = 1; i < rows->n; i++)
		doubles |= ItemPointerEquals(&sorted[i], &sorted[i - 1]);
	pfree(sorted);
	for (size_t i = 0; doubles && i < rows->n; i++)
	{
		bool		first = true;

		for (size_t j = 0; j < kept && first; j++)
			first = !ItemPointerEquals(&rows->tids[i], &rows->tids[j]);
		if (!first)
			continue;
		rows->tids[kept] = rows->tids[i];
		memmove(rows->codes + kept * code->code_size, rows->codes + i * code->code_size, code->code_size);
		memmove(rows->factors + kept * code->nfactors, rows->factors + i * code->nfactors,
				sizeof(float) * code->nfactors);
		if (rows->layout != NULL)
			memmove(rows->filters + kept * rows->layout->packed_size, rows->filters + i * rows->layout->packed_size,
					rows->layout->packed_size);
		kept++;
	}
	if (doubles)
		rows->n = kept;
}

/*
 * Whether rows may move in place: no pass of VACUUM is under way, and none
 * begins before end_moving().  Those of a list that was read before were not
 * looked at by a pass that has ended since: it would wait for the maintenance
 * lock.
 */
static bool
begin_moving(IvfWork *work)
{
	return ConditionalLockPage(work->index, IVF_SWEEP_LOCK, ExclusiveLock);
}

static void
end_moving(IvfWork *work)
{
	UnlockPage(work->index, IVF_SWEEP_LOCK, ExclusiveLock);
}

/* Whether lists may settle: new ones come in their place, and old ones stay for a while.  Learning makes all anew. */
static bool
may_settle(IvfWork *work)
{
	const IvfIndex *ivf = work->ivf;

	/* while VACUUM goes through the index it would be tried in vain */
	if (!begin_moving(work))
		return false;
	end_moving(work);
	return !ivf_learn_wanted(ivf) && !work->bloated && ivf->nlists - ivf->used_lists <= ivf->nlists / 3 + SPARE_ENTRIES;
}

/*
 * Settle a list: rows that are nearer to another go there, and its centroid
 * becomes the mean of those that stay.  It is left as it is where hardly any
 * goes.
 */
static void
settle_list(IvfWork *work, uint32 list)
{
	Step		step;
	Source		source;
	Around		around;
	Vectors		vectors = {0};
	IvfListCopy copy;

	step_begin(work, &step);
	ivf_entry_read(work->ivf, work->index, list, &copy);
	if (copy.state == IVF_LIST_USED && ItemPointerIsValid(&copy.tail) && fits_memory(work->ivf, copy.rows + 1) &&
		copy.rows <= SETTLED * ivf_target_rows(work->ivf) && read_source(work, list, &source))
	{
		size_t		leaving = 0;
		uint32	   *to = palloc(sizeof(uint32) * Max(source.rows.n, 1));
		Part		part = {source.centroid, 0};

		drop_doubles(&source.rows);
		find_around(work, &source, &around);
		if (source.rows.n > 0)
		{
			read_vectors(work, &source, false, &vectors);
			leaving = assign_rows(work, &vectors, &part, 1, &around, to);
		}
		if (leaving <= source.rows.n / MIN_LEAVING)
			open_list(work, &source.old);
		else
		{
			/* the centroid by which codes are decoded stays as it was meanwhile */
			part.centroid = palloc(work->vector_size);
			memcpy(part.centroid, source.centroid, work->vector_size);
			if (!work->ivf->code.exact && !work->rough)
				read_vectors(work, &source, true, &vectors);
			if (begin_moving(work))
			{
				replace_list(work, &source, &vectors, &part, 1, &around, to, leaving);
				end_moving(work);
			}
			else
				open_list(work, &source.old);
		}
	}
	step_end(work, &step);
}

/* Settle so many lists in turn, unless too many entries wait for being used again. */
static void
settle_some(IvfWork *work, int n)
{
	IvfIndex   *ivf = work->ivf;

	for (uint32 tried = 0; n > 0 && tried < ivf->nlists && may_settle(work); tried++)
	{
		IvfListCopy copy;

		CHECK_FOR_INTERRUPTS();
		if (ivf->next_settled >= ivf->nlists)
			ivf->next_settled = 0;
		ivf_entry_read(ivf, work->index, ivf->next_settled, &copy);
		if (copy.state == IVF_LIST_USED)
		{
			settle_list(work, ivf->next_settled);
			n--;
		}
		ivf->next_settled++;
	}
}

/* Take a list out of use: its rows go to those around. */
static void
dissolve_list(IvfWork *work, uint32 list)
{
	Step		step;
	Source		source;
	Around		around;
	Vectors		vectors = {0};

	step_begin(work, &step);
	if (read_source(work, list, &source))
	{
		uint32	   *to = palloc(sizeof(uint32) * Max(source.rows.n, 1));
		size_t		leaving;

		find_around(work, &source, &around);
		drop_doubles(&source.rows);
		read_vectors(work, &source, true, &vectors);
		if (around.n == 0 || !begin_moving(work))
			open_list(work, &source.old);
		else
		{
			leaving = assign_rows(work, &vectors, NULL, 0, &around, to);
			replace_list(work, &source, &vectors, NULL, 0, &around, to, leaving);
			end_moving(work);
			work->ivf->used_lists--;
		}
	}
	step_end(work, &step);
}

static void
pack_list(IvfWork *work, const Source *source)
{
	IvfListChange change = {0};
	IvfChain	chain;

	change.list = source->list;
	change.state = IVF_LIST_USED;
	change.generation = ivf_generation();
	ivf_chain_write(work->ivf, work->index, source->list, change.generation, &source->rows, NULL, source->rows.n, &chain);
	change.head = chain.head;
	change.tail = chain.tail;
	change.rows = chain.rows;
	change.segments = chain.segments;
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

/*
 * Split a list, and settle those around it and some others, whose turn it is.
 */
static void
split_list(IvfWork *work, uint32 list)
{
	Step		step;
	Source		source;
	Around		around = {0};
	Around		nowhere = {0};
	Vectors		vectors = {0};
	Vectors		sample = {0};
	uint32	   *which;
	uint32	   *to;
	char	   *centroids;
	Part	   *parts;
	size_t		n;
	size_t		leaving;
	int			nparts = 0;
	uint32		near[SETTLED_NEAR];
	int			nnear = 0;
	bool		moving;

	step_begin(work, &step);
	if (!read_source(work, list, &source))
	{
		step_end(work, &step);
		return;
	}
	drop_doubles(&source.rows);
	n = source.rows.n;
	if (ivf_too_long(work->ivf, &source.old, (double) n))
	{
		read_vectors(work, &source, true, &vectors);
		/* spread evenly over the list, where it is too long for all of it */
		sample.n = Min(n, Max((size_t) 2, Min((size_t) SAMPLE_ROWS, SAMPLE_BYTES / work->vector_size)));
		sample.values = vectors.values;
		which = palloc(sizeof(uint32) * sample.n);
		for (size_t i = 0; i < sample.n; i++)
			which[i] = (uint32) ((double) i * n / sample.n);
		centroids = palloc(work->vector_size * MAX_PARTS);
		nparts = cut_up(work, &sample, which, sample.n,
						(TOO_LONG - 0.5) / TOO_LONG * most_rows(work->ivf, &source.old) * sample.n / n,
						centroids, MAX_PARTS);
	}
	if (nparts < 2)
	{
		/* its rows are equal */
		if (nparts > 0 && work->vacuum && patchy(work->ivf, &source.old, (double) n))
			pack_list(work, &source);
		else
			open_list(work, &source.old);
		step_end(work, &step);
		return;
	}

	find_around(work, &source, &around);
	for (; nnear < SETTLED_NEAR && nnear < around.n; nnear++)
		near[nnear] = around.lists[nnear];
	parts = palloc0(sizeof(Part) * nparts);
	for (int i = 0; i < nparts; i++)
		parts[i].centroid = centroids + i * work->vector_size;
	to = palloc(sizeof(uint32) * n);
	moving = begin_moving(work);
	leaving = assign_rows(work, &vectors, parts, nparts, moving ? &around : &nowhere, to);
	replace_list(work, &source, &vectors, parts, nparts, &around, to, leaving);
	if (moving)
		end_moving(work);
	step_end(work, &step);

	for (int i = 0; i < nnear && may_settle(work); i++)
		settle_list(work, near[i]);
	settle_some(work, SETTLED_TURN);
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
											(ivf_too_long(ivf, &copy, copy.rows + 1) && fits_memory(ivf, copy.rows + 1) &&
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
				ivf_free_replaced(ivf, index, heap, INSERT_USERS);
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
	double		spread = 0;
	double		known = 0;
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
				rows += ivf_rows_known(ivf, entry);
				if (entry->spread > 0)
				{
					known += entry->rows;
					spread += (double) entry->rows * entry->spread;
				}
				used++;
			}
			entry = (IvfEntry) ((char *) entry + ivf->entry_size);
		}
		UnlockReleaseBuffer(buffer);
		vecidx_vacuum_delay_point();
	}
	ivf->rows = rows;
	ivf->spread = known > 0 ? spread / known : 0;
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
	if (ivf_too_long(ivf, list, rows) && (in_pieces || rows <= 4 * target))
		return SPLIT;
	if (rows < wanted / TOO_SHORT && (list->born == 0 || rows < list->born / 2.0) && ivf->used_lists > 1 && ItemPointerIsValid(&list->tail))
		return DISSOLVE;
	return in_pieces ? PACK : LEAVE;
}

static void
act(IvfIndex *ivf, Relation index, Relation heap, uint32 list, MemoryContext context)
{
	IvfWork	   *work = work_begin(index, heap, ivf, context, true);
	IvfListCopy copy;
	Action		action = LEAVE;

	ivf_entry_read(ivf, index, list, &copy);
	if (copy.state == IVF_LIST_USED)
		action = what_to_do(ivf, index, &copy);
	if (action == SPLIT || action == DISSOLVE)
		ivf_free_replaced(ivf, index, heap, 1);
	if (action == SPLIT && !(ivf_learn_wanted(ivf) && ivf->code.spec.kind == LISTCODE_PQ))
		split_list(work, list);
	else if (action == PACK_IN_PARTS)
		pack_in_parts(work, list);
	else if (action == DISSOLVE)
		dissolve_list(work, list);
	else if (action == PACK)
	{
		Source		source;

		if (read_source(work, list, &source))
			pack_list(work, &source);
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
	uint32		budget = nlists / VACUUM_SHARE + VACUUM_LEAST;

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
