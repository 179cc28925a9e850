/*
 * guc.h
 *		Settings that other files read.
 */
#ifndef VECIDX_GUC_H
#define VECIDX_GUC_H

typedef enum IterativeScanMode
{
	ITERATIVE_SCAN_OFF,
	ITERATIVE_SCAN_RELAXED,
	ITERATIVE_SCAN_STRICT
} IterativeScanMode;

extern bool vecidx_replace_vector;
extern int	hnsw_ef_search;
extern int	hnsw_iterative_scan;
extern int	hnsw_max_scan_tuples;
extern double hnsw_scan_mem_multiplier;

#endif							/* VECIDX_GUC_H */
