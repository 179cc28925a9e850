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

/* Of one of the two access methods in src/ivf. */
typedef struct IvfSettings
{
	int			probes;			/* 0: by the number of lists */
	int			iterative_scan;
	int			max_probes;
	bool		rerank;			/* exact order, where the index holds codes */
} IvfSettings;

extern bool vecidx_replace_vector;
extern bool vecidx_plan_probe;
extern int	hnsw_ef_search;
extern int	hnsw_iterative_scan;
extern int	hnsw_max_scan_tuples;
extern double hnsw_scan_mem_multiplier;
extern IvfSettings ivfflat_settings;
extern IvfSettings ivfpq_settings;

#endif							/* VECIDX_GUC_H */
