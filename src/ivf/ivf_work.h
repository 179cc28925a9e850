/*
 * ivf_work.h
 *		What rewriting lists works with: shared by ivf_maintain.c, which changes
 *		some lists, and ivf_learn.c, which makes all of them anew.
 */
#ifndef VECIDX_IVF_WORK_H
#define VECIDX_IVF_WORK_H

#include "postgres.h"

#include "index/rerank.h"
#include "ivf/ivf.h"

typedef struct IvfWork
{
	Relation	index;
	Relation	heap;
	IvfIndex   *ivf;
	MemoryContext context;		/* of all this */
	MemoryContext row;			/* for a value from the table */
	bool		vacuum;
	bool		bloated;		/* chains that are left over fill most of the index: write few new ones */
	RowFetch   *fetch;			/* NULL: values are decoded from codes */
	bool		bits;
	Size		vector_size;	/* as centroids have it */
	void	   *buffer;
	void	   *scratch;
	uint8	   *code;
	bool		rough;			/* codes say too little to go by */
} IvfWork;

/*
 * A row of the list around centroid as it is compared with centroids (of length
 * one under cosine): as exactly as can be, or as its code has it where that
 * will do.
 */
extern void ivf_work_vector(IvfWork *work, const IvfRows *rows, size_t i, const void *centroid, bool exactly,
							void *vector);

/*
 * Close a list's tail, so that what is in the list stays as it is, and copy the
 * entry.  False if it is not in use.
 */
extern bool ivf_work_close(IvfWork *work, uint32 list, IvfListCopy *copy);

/* ---- An index that was made from too few rows (ivf_learn.c) ---- */

/* Whether it is such a one, and whether there are rows enough by now. */
extern bool ivf_learn_wanted(const IvfIndex *ivf);
extern bool ivf_learn_enough(const IvfIndex *ivf, double rows);

/*
 * Learn from the rows there are: origin, trained data, centroids.  All lists are
 * written anew, and the index gets a new uid.  The caller holds the
 * maintenance lock; work->ivf is outdated afterwards.
 */
extern void ivf_learn(IvfWork *work);

#endif							/* VECIDX_IVF_WORK_H */
