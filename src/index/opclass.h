/*
 * opclass.h
 *		From an index to what its first column holds: element type and metric.
 *
 * An operator class names both through its support function 1, which returns
 * a pointer to a constant VecidxOpclass.
 */
#ifndef VECIDX_OPCLASS_H
#define VECIDX_OPCLASS_H

#include "postgres.h"

#include "dist/metric.h"
#include "quant/quantizer.h"
#include "utils/rel.h"

#define VECIDX_SUPPORT_PROC 1
#define VECIDX_NPROCS 2			/* the other is VECIDX_FILTER_PROC */
#define VECIDX_ORDER_STRATEGY 1

/* The only place that turns a Datum into what quantizers take (quantizer.h). */
typedef struct VecidxType
{
	const char *name;
	const char *mismatch;		/* what differs where dim() does: "different %s 2 and 3" */
	int			max_dim;
	QuantElements elements;
	bool		half;			/* the type's values are float16, though the elements are floats */
	void	   *(*detoast) (Datum value);	/* errors where the value is damaged */
	int			(*dim) (const void *value); /* value is detoasted */
	/* the elements: inside value, or written to buffer */
	const void *(*read) (const void *value, void *buffer);
	size_t		(*buffer_size) (int dim);	/* bytes that read wants there, aligned; not 0 */
	bool		(*zero) (const void *elements, int dim);
} VecidxType;

typedef struct VecidxOpclass
{
	Metric		metric;
	const VecidxType *type;
} VecidxOpclass;

/* Of the first column; errors where that is no vector, or one behind it no filter column. */
extern const VecidxOpclass *vecidx_opclass(Relation index);

/*
 * Dimensions of the indexed column, from its type modifier.  Errors where the
 * column has none.
 */
extern int	vecidx_index_dim(Relation index, const VecidxOpclass *opclass);

/* Working memory for vecidx_elements(). */
extern void *vecidx_elements_buffer(const VecidxOpclass *opclass, int dim, MemoryContext context);

/*
 * What a value that is to be indexed or searched for is made of: dim floats,
 * bits or SparseElements, by the type's elements.  The result lies in the
 * datum, in buffer, or in CurrentMemoryContext where the datum was TOASTed.
 * Returns NULL where the value has no place in the index (a zero vector under
 * cosine).  Errors on other dimensions.
 */
extern const void *vecidx_elements(const VecidxOpclass *opclass, Datum value, int dim, void *buffer);

#endif							/* VECIDX_OPCLASS_H */
