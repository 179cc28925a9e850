/*
 * sample.h
 *		What builds learn from a sample of the table.
 */
#ifndef VECIDX_SAMPLE_H
#define VECIDX_SAMPLE_H

#include "postgres.h"

#include "index/opclass.h"
#include "nodes/execnodes.h"
#include "utils/rel.h"

/*
 * Mean of the vectors in some blocks of the table (normalised first where the
 * metric is cosine): dim floats in context, or NULL if there are none.  *rows:
 * about how many rows the index will have.
 */
extern float *vecidx_sample_mean(Relation heap, Relation index, IndexInfo *info,
								 const VecidxOpclass *opclass, int dim, MemoryContext context,
								 double *rows);

#endif							/* VECIDX_SAMPLE_H */
