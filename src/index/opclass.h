/*
 * opclass.h
 *		From an index to what its column holds: element type and metric.
 *
 * An operator class names both through its support function 1, which returns
 * a pointer to a constant VecidxOpclass.
 */
#ifndef VECIDX_OPCLASS_H
#define VECIDX_OPCLASS_H

#include "postgres.h"

#include "dist/metric.h"
#include "utils/rel.h"

#define VECIDX_SUPPORT_PROC 1
#define VECIDX_NPROCS 1
#define VECIDX_ORDER_STRATEGY 1

/* The only place that turns a Datum into floats. */
typedef struct VecidxType
{
	const char *name;
	int			max_dim;
	int			(*dim) (const void *value); /* value is detoasted */
	/* dim floats: inside value, or written to buffer (room for dim floats) */
	const float *(*floats) (const void *value, float *buffer);
} VecidxType;

typedef struct VecidxOpclass
{
	Metric		metric;
	const VecidxType *type;
} VecidxOpclass;

extern const VecidxOpclass *vecidx_opclass(Relation index);

/*
 * Dimensions of the indexed column, from its type modifier.  Errors where the
 * column has none.
 */
extern int	vecidx_index_dim(Relation index, const VecidxOpclass *opclass);

/*
 * The floats of a value that is to be indexed or searched for.  The result
 * lies in *detoasted (which the caller may pfree when it differs from the
 * datum) or in buffer.  Returns NULL where the value has no place in the
 * index (a zero vector under cosine).  Errors on other dimensions.
 */
extern const float *vecidx_floats(const VecidxOpclass *opclass, Datum value, int dim,
								  float *buffer, void **detoasted);

#endif							/* VECIDX_OPCLASS_H */
