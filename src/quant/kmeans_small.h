/*
 * kmeans_small.h
 *		What kmeans.c and route.c share: k-means of a few centroids in one
 *		process, and its steps.
 *
 * Everything here uses spec, samples, scratch and tick of a KMeans, not its
 * block.  Centroids stand kmeans_centroid_size() apart.
 */
#ifndef VECIDX_KMEANS_SMALL_H
#define VECIDX_KMEANS_SMALL_H

#include "quant/kmeans.h"

/* Random numbers (splitmix64), and the seed of the stream-th sequence of them. */
extern uint64_t kmeans_random(uint64_t *state);
extern uint64_t kmeans_seed(uint64_t seed, uint64_t stream);

/*
 * By which metric samples meet centroids during training; centroids of inner
 * product have length 1 until the end.
 */
extern Metric kmeans_inner_metric(Metric metric);

/* Bytes of scratch, 64-byte aligned, that the functions below need. */
extern size_t kmeans_small_scratch(const KMeansSpec *spec);

/*
 * k centroids for the m samples named in `samples`, m at least 1; returns how
 * many there are.  labels: m words, the centroid of each sample; near: m
 * floats of working memory.
 */
extern int	kmeans_small(KMeans *km, const uint32_t *samples, size_t m, int k, int passes, uint64_t seed,
						 void *centroids, uint32_t *labels, float *near);

/*
 * The nearest of k centroids for samples[from .. to), or the samples numbered
 * so where `samples` is NULL.  dist may be NULL.
 */
extern void kmeans_assign(KMeans *km, const uint32_t *samples, size_t from, size_t to,
						  const void *centroids, int k, uint32_t *labels, float *dist);

/* Move a centroid to the mean of m samples; with none it stays. */
extern void kmeans_move(KMeans *km, const uint32_t *samples, size_t m, void *centroid);

/* Inner product of a sample, as it is, and a centroid; finite. */
extern double kmeans_project(KMeans *km, uint32_t sample, const void *centroid);

/* Make a sample the centroid. */
extern void kmeans_centre_on(KMeans *km, uint32_t sample, void *centroid);

#endif							/* VECIDX_KMEANS_SMALL_H */
