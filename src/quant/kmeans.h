/*
 * kmeans.h
 *		Centroids of inverted lists, from a sample.
 *
 * The work is a sequence of phases.  A phase consists of tasks that do not
 * depend on each other or on who does them; between phases one process calls
 * kmeans_advance().  So any number of processes may share the work, and the
 * result depends on the sample, k and the seed alone.  What they share is one
 * block of memory, position-independent; the sample may lie elsewhere.
 *
 *		kmeans_init(block, &spec)
 *		(each process) kmeans_open(&km, block, samples, scratch)
 *		while ((n = kmeans_tasks(&km)) > 0)
 *			for each task of 0 .. n - 1, in any process: kmeans_task(&km, task)
 *			(one process, after all tasks) kmeans_advance(&km)
 *
 * Nothing here allocates or knows PostgreSQL.
 */
#ifndef VECIDX_KMEANS_H
#define VECIDX_KMEANS_H

#include "dist/metric.h"

typedef enum KMeansElements
{
	KMEANS_F32 = 0,
	KMEANS_F16,					/* float16 samples, float32 centroids */
	KMEANS_BITS
} KMeansElements;

typedef struct KMeansSpec
{
	Metric		metric;			/* cosine: samples are normalised; Hamming and Jaccard: bits */
	KMeansElements elements;
	int			dim;
	size_t		n;				/* samples, finite; below 2^31 */
	int			k;				/* centroids wanted, 1 .. KMEANS_MAX_K */
	uint64_t	seed;

	/*
	 * Where many centroids are found in two steps: what power of its samples a
	 * part's centroids go by.  0, as many for every part, makes few probes
	 * find most; 1, in proportion, makes lists even, so that fewer rows are
	 * scanned with more probes (README).
	 */
	double		share;
} KMeansSpec;

#define KMEANS_MAX_K 65536

/* One process's view. */
typedef struct KMeans
{
	KMeansSpec	spec;
	void	   *block;
	const void *samples;
	void	   *scratch;
	void		(*tick) (void *arg);	/* called about every millisecond of work if not NULL; may longjmp */
	void	   *arg;
} KMeans;

/* Bytes of a sample, and of a centroid: dim floats, or (dim + 7) / 8 bytes. */
extern size_t kmeans_sample_size(const KMeansSpec *spec);
extern size_t kmeans_centroid_size(const KMeansSpec *spec);

/* Bytes of the block, and of each process's scratch; both 64-byte aligned. */
extern size_t kmeans_block_size(const KMeansSpec *spec);
extern size_t kmeans_scratch_size(const KMeansSpec *spec);

extern void kmeans_init(void *block, const KMeansSpec *spec);
extern void kmeans_open(KMeans *km, void *block, const void *samples, void *scratch);

/* Tasks of the phase at hand; 0: finished. */
extern int	kmeans_tasks(const KMeans *km);
extern void kmeans_task(KMeans *km, int task);
extern void kmeans_advance(KMeans *km);

/* All of it in one process. */
extern void kmeans_run(KMeans *km);

/* Phases that are behind, of how many; for reports of progress. */
extern void kmeans_progress(const KMeans *km, int *done, int *of);

/*
 * When finished: how many centroids there are (k, or fewer where the sample
 * has fewer different vectors; 0 without samples), the centroids themselves,
 * and for each sample the number of its centroid, the nearest (inner product:
 * by direction).  They stay in the block.
 */
extern int	kmeans_count(const KMeans *km);
extern const void *kmeans_centroids(const KMeans *km);
extern const uint32_t *kmeans_assigned(const KMeans *km);

/*
 * How long a centroid under inner product is to be, whose direction is found:
 * from the sum of its n samples' projections on it, and that of their squares.
 * 0 where there is nothing to go by.
 */
extern double kmeans_length(double n, double sum, double squares);

/*
 * By which metric vectors are put into lists (a RouteSpec's), and by which a
 * query's lists are ordered.  They differ under inner product: there a
 * centroid's length says how large the products of its rows are.  Under cosine
 * centroids and vectors have length 1, and L2 orders them as the angle does.
 */
extern Metric kmeans_route_metric(Metric metric);
extern Metric kmeans_probe_metric(Metric metric);

#endif							/* VECIDX_KMEANS_H */
