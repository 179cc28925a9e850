/*
 * route.h
 *		The nearest of many centroids, without looking at each of them exactly.
 *
 * A router holds a 4-bit code of every centroid (quantizer.h).  A vector is
 * scored against codes; those centroids that may still win by the codes' error
 * are compared exactly.  Where centroids are many they are in groups, and only
 * the groups nearest to the vector are looked into.  So the nearest may be
 * missed, for one vector in a hundred or so, and a near one found (README).
 * Few centroids, few dimensions, bits and L1 are compared exactly at once.
 *
 * The block is position-independent: it may lie in shared memory.  Nothing
 * here allocates or knows PostgreSQL.
 */
#ifndef VECIDX_ROUTE_H
#define VECIDX_ROUTE_H

#include "quant/quantizer.h"

typedef struct RouteSpec
{
	Metric		metric;			/* how vectors meet centroids, that is: kmeans_route_metric() */
	bool		half;			/* vectors that are routed are float16; centroids are not */
	int			dim;
	int			k;				/* centroids, at least 1 */
	uint64_t	seed;
} RouteSpec;

/* A router in one process. */
typedef struct Router
{
	RouteSpec	spec;
	const void *centroids;		/* borrowed: k times dim floats, or (dim + 7) / 8 bytes */
	const void *block;			/* borrowed */
	Quantizer	quantizer;
} Router;

/* Bytes of the block, 64-byte aligned, and of the scratch that each process needs, likewise. */
extern size_t route_block_size(const RouteSpec *spec);
extern size_t route_scratch_size(const RouteSpec *spec);

/* Fill in the block.  tick(arg) is called about every millisecond; it may longjmp. */
extern void route_build(const RouteSpec *spec, const void *centroids, void *block, void *scratch,
						void (*tick) (void *arg), void *arg);

/* Use a block that is filled in; centroids are those it was built from. */
extern void route_open(Router *router, const RouteSpec *spec, const void *centroids, const void *block);

/*
 * The t centroids nearest to v, nearest first, 1 <= t; returns how many there
 * are (k if that is less than t).  lists and dist
 * (rank distances, finite) have room for t; dist may be NULL if t is 1.  Of equal ones the lower number comes first.  The answer
 * depends on nothing but centroids, seed and v.
 */
extern int	route_nearest(const Router *router, const void *v, int t, uint32_t *lists, float *dist, void *scratch);

#endif							/* VECIDX_ROUTE_H */
