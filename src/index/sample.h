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

typedef struct VecidxSample
{
	double		rows;			/* about how many rows the index will have */
	double		record_bytes;	/* of a code record, on average */
	float	   *mean;			/* of the vectors, dim floats; NULL if there are none, or it is of no use */
} VecidxSample;

/*
 * Look at some blocks of the table.  The mean is taken where the quantizer
 * wants a centre (of normalised vectors, where the metric is cosine), in
 * context.  The quantizer has none yet.
 */
extern void vecidx_sample(Relation heap, Relation index, IndexInfo *info, const VecidxOpclass *opclass,
						  const Quantizer *quantizer, MemoryContext context, VecidxSample *sample);

/*
 * Hand about `wanted` rows, of the about `rows` that there are, to take(): all
 * of a small table, else rows drawn from random blocks, more blocks than those
 * rows would fill.  In the table's order; those that have no place in the
 * index are left out.  The elements are gone when take() returns.  The same
 * table and seed give the same rows.
 */
extern void vecidx_sample_rows(Relation heap, Relation index, IndexInfo *info, const VecidxOpclass *opclass, int dim,
							   double rows, double wanted, uint64 seed,
							   void (*take) (const void *elements, void *arg), void *arg);

#endif							/* VECIDX_SAMPLE_H */
