/*
 * ivf_train.h
 *		What an inverted-list build learns from a sample of the table: how many
 *		rows and lists there are, and the lists' centroids.
 */
#ifndef VECIDX_IVF_TRAIN_H
#define VECIDX_IVF_TRAIN_H

#include "postgres.h"

#include "index/opclass.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

/* Most lists there may be, whether they are asked for or follow from the rows. */
#define IVF_MAX_LISTS 32768

/* Subphases that ivf_train() reports to pg_stat_progress_create_index. */
#define PROGRESS_IVF_PHASE_SAMPLE 2
#define PROGRESS_IVF_PHASE_TRAIN 3

/*
 * KMeansSpec.share: where exact values are scanned, as much recall at the same
 * probes as plain k-means gives; where codes are, fewer rows for the same recall.
 */
static inline double
ivf_share(const ListCodeSpec *spec)
{
	return spec->kind == LISTCODE_EXACT ? 0 : 0.2;
}

typedef struct IvfTrainParams
{
	const VecidxOpclass *opclass;	/* of floats or bits */
	ListCodeKind kind;			/* what lists are to hold */
	int			dim;
	int			lists;			/* 0: ivf_default_lists(), fewer where memory is short */
	uint64		seed;			/* same table, same seed, same centroids, whatever the workers */
	double		share;			/* of KMeansSpec */
	Size		memory;			/* bytes that all of this may take at any time */
} IvfTrainParams;

/* All memory is the context's that ivf_train() is given. */
typedef struct IvfTraining
{
	double		rows;			/* about how many the index will have */

	/*
	 * At most as many as were asked for: fewer where the sample has fewer
	 * different rows; never 0 (a table without rows gives one centroid of
	 * zeros).
	 */
	int			lists;
	Size		centroid_size;	/* dim floats, or (dim + 7) / 8 bytes of bits, zeros behind the last */
	void	   *centroids;		/* lists times centroid_size */

	/*
	 * Mean of the sample (cosine: of normalised vectors), robust against rows
	 * far out: the origin for codes.  dim floats, zeros for an empty sample;
	 * NULL for bits.
	 */
	float	   *mean;

	/* the sample, normalised for cosine; ivf_training_forget() frees it */
	Size		nsample;
	void	   *sample;
	uint32	   *sample_list;	/* the nearest centroid of each */
	bool		sample_half;	/* float16, times sample_scale */
	float		sample_scale;
	int			dim;
} IvfTraining;

/*
 * Take a sample and find centroids.  Reports progress, answers interrupts,
 * uses parallel workers as the settings say.  Error where the lists that were
 * asked for do not fit the memory; a NOTICE where shared memory cannot be had.
 */
extern void ivf_train(Relation heap, Relation index, IndexInfo *info, const IvfTrainParams *params,
					  MemoryContext context, IvfTraining *training);

/*
 * Residuals of at most max sample rows, spread evenly over the sample, from
 * their lists' centroids: what listcode_train() takes.  out: max times dim
 * floats.  Returns how many.
 */
extern Size ivf_training_residuals(const IvfTraining *training, float *out, Size max);

/* Free the sample; centroids and mean stay. */
extern void ivf_training_forget(IvfTraining *training);

#endif							/* VECIDX_IVF_TRAIN_H */
