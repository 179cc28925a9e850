/*
 * opclass.c
 *		Operator classes: support functions, and the Datum -> float boundary.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "fmgr.h"
#include "index/opclass.h"
#include "types/vectors.h"

static int
vector_type_dim(const void *value)
{
	return ((const Vector *) value)->dim;
}

static const float *
vector_type_floats(const void *value, float *buffer)
{
	(void) buffer;				/* the values can be read where they are */
	return ((const Vector *) value)->x;
}

static const VecidxType vector_type = {
	.name = "vector",
	.max_dim = VECTOR_MAX_DIM,
	.dim = vector_type_dim,
	.floats = vector_type_floats
};

static int
halfvec_type_dim(const void *value)
{
	return ((const HalfVector *) value)->dim;
}

static const float *
halfvec_type_floats(const void *value, float *buffer)
{
	const HalfVector *v = value;

	simd_get()->f16_to_f32(v->x, buffer, v->dim);
	return buffer;
}

static const VecidxType halfvec_type = {
	.name = "halfvec",
	.max_dim = HALFVEC_MAX_DIM,
	.dim = halfvec_type_dim,
	.floats = halfvec_type_floats
};

/* One support function per operator class. */
#define OPCLASS_SUPPORT(function, metric_, type_) \
PGDLLEXPORT PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	static const VecidxOpclass opclass = {.metric = (metric_), .type = &(type_)}; \
	(void) fcinfo; \
	PG_RETURN_POINTER(&opclass); \
}

OPCLASS_SUPPORT(vecidx_vector_l2_support, METRIC_L2, vector_type)
OPCLASS_SUPPORT(vecidx_vector_ip_support, METRIC_IP, vector_type)
OPCLASS_SUPPORT(vecidx_vector_cosine_support, METRIC_COSINE, vector_type)
OPCLASS_SUPPORT(vecidx_vector_l1_support, METRIC_L1, vector_type)
OPCLASS_SUPPORT(vecidx_halfvec_l2_support, METRIC_L2, halfvec_type)
OPCLASS_SUPPORT(vecidx_halfvec_ip_support, METRIC_IP, halfvec_type)
OPCLASS_SUPPORT(vecidx_halfvec_cosine_support, METRIC_COSINE, halfvec_type)
OPCLASS_SUPPORT(vecidx_halfvec_l1_support, METRIC_L1, halfvec_type)

const VecidxOpclass *
vecidx_opclass(Relation index)
{
	FmgrInfo   *procinfo = index_getprocinfo(index, 1, VECIDX_SUPPORT_PROC);

	return (const VecidxOpclass *) DatumGetPointer(FunctionCall1Coll(procinfo, InvalidOid, PointerGetDatum(NULL)));
}

int
vecidx_index_dim(Relation index, const VecidxOpclass *opclass)
{
	int			dim = TupleDescAttr(RelationGetDescr(index), 0)->atttypmod;

	if (dim < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errhint("Declare them in the column's type, as in %s(768), or index an expression with a cast.",
						 opclass->type->name)));
	return dim;
}

const float *
vecidx_floats(const VecidxOpclass *opclass, Datum value, int dim, float *buffer, void **detoasted)
{
	void	   *v = PG_DETOAST_DATUM(value);
	int			actual = opclass->type->dim(v);
	const float *x;

	*detoasted = v;
	if (actual != dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s dimensions %d and %d", opclass->type->name, actual, dim)));
	x = opclass->type->floats(v, buffer);
	if (metric_info(opclass->metric)->zero_undefined)
	{
		int			i = 0;

		while (i < dim && x[i] == 0)
			i++;
		if (i == dim)
			return NULL;
	}
	return x;
}
