/*
 * opclass.c
 *		Operator classes: support functions, and the boundary between Datums
 *		and what they are made of.
 */
#include "vecidx.h"

#include "access/genam.h"
#include "catalog/pg_type_d.h"
#include "commands/defrem.h"
#include "dist/metric_sparse.h"
#include "fmgr.h"
#include "index/filter.h"
#include "index/opclass.h"
#include "types/vectors.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varbit.h"

#define TYPE_OF_FLOATS(type_, Struct, name_, half_, get, max, read_, buffer_size_) \
static void * \
type_##_detoast(Datum value) \
{ \
	return get(value); \
} \
\
static int \
type_##_dim(const void *value) \
{ \
	return ((const Struct *) value)->dim; \
} \
\
static const VecidxType type_ = { \
	.name = (name_), \
	.mismatch = name_ " dimensions", \
	.max_dim = (max), \
	.elements = QUANT_FLOATS, \
	.half = (half_), \
	.detoast = type_##_detoast, \
	.dim = type_##_dim, \
	.read = (read_), \
	.buffer_size = (buffer_size_), \
	.zero = floats_zero \
};

static bool
floats_zero(const void *elements, int dim)
{
	const float *x = elements;

	for (int i = 0; i < dim; i++)
		if (x[i] != 0)
			return false;
	return true;
}

static size_t
no_buffer(int dim)
{
	(void) dim;
	return 1;
}

static size_t
floats_buffer(int dim)
{
	return sizeof(float) * (size_t) dim;
}

static const void *
vector_type_read(const void *value, void *buffer)
{
	(void) buffer;				/* the values can be read where they are */
	return ((const Vector *) value)->x;
}

static const void *
halfvec_type_read(const void *value, void *buffer)
{
	const HalfVector *v = value;

	simd_get()->f16_to_f32(v->x, buffer, v->dim);
	return buffer;
}

TYPE_OF_FLOATS(vector_type, Vector, "vector", false, DatumGetVector, VECTOR_MAX_DIM, vector_type_read, no_buffer)
TYPE_OF_FLOATS(halfvec_type, HalfVector, "halfvec", true, DatumGetHalfVector, HALFVEC_MAX_DIM, halfvec_type_read, floats_buffer)

/* Not a limit of the format, but some bound there must be to the memory of a scan. */
#define BIT_MAX_INDEXED 1000000

static void *
bit_type_detoast(Datum value)
{
	return DatumGetVarBitP(value);
}

static int
bit_type_dim(const void *value)
{
	return VARBITLEN((const VarBit *) value);
}

static const void *
bit_type_read(const void *value, void *buffer)
{
	(void) buffer;
	return VARBITS((const VarBit *) value);
}

static bool
bits_zero(const void *elements, int dim)
{
	const uint8 *bits = elements;

	for (int i = 0; i < (dim + 7) / 8; i++)
		if (bits[i] != 0)
			return false;
	return true;
}

static const VecidxType bit_type = {
	.name = "bit",
	.mismatch = "bit lengths",
	.max_dim = BIT_MAX_INDEXED,
	.elements = QUANT_BIT_STRING,
	.detoast = bit_type_detoast,
	.dim = bit_type_dim,
	.read = bit_type_read,
	.buffer_size = no_buffer,
	.zero = bits_zero
};

static void *
sparsevec_type_detoast(Datum value)
{
	return DatumGetSparseVector(value);
}

static int
sparsevec_type_dim(const void *value)
{
	return ((const SparseVector *) value)->dim;
}

static const void *
sparsevec_type_read(const void *value, void *buffer)
{
	const SparseVector *v = value;
	SparseElements *elements = buffer;

	elements->indices = v->indices;
	elements->values = SPARSEVEC_VALUES(v);
	elements->n = v->nnz;
	return elements;
}

static size_t
sparse_elements_buffer(int dim)
{
	(void) dim;
	return sizeof(SparseElements);
}

static bool
sparse_zero(const void *elements, int dim)
{
	(void) dim;
	return ((const SparseElements *) elements)->n == 0;
}

static const VecidxType sparsevec_type = {
	.name = "sparsevec",
	.mismatch = "sparsevec dimensions",
	.max_dim = SPARSEVEC_MAX_DIM,
	.elements = QUANT_SPARSE_ELEMENTS,
	.detoast = sparsevec_type_detoast,
	.dim = sparsevec_type_dim,
	.read = sparsevec_type_read,
	.buffer_size = sparse_elements_buffer,
	.zero = sparse_zero
};

StaticAssertDecl(SPARSEVEC_MAX_NNZ == QUANT_SPARSE_MAX, "every sparsevec can be encoded");

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
OPCLASS_SUPPORT(vecidx_bit_hamming_support, METRIC_HAMMING, bit_type)
OPCLASS_SUPPORT(vecidx_bit_jaccard_support, METRIC_JACCARD, bit_type)
OPCLASS_SUPPORT(vecidx_sparsevec_l2_support, METRIC_L2, sparsevec_type)
OPCLASS_SUPPORT(vecidx_sparsevec_ip_support, METRIC_IP, sparsevec_type)
OPCLASS_SUPPORT(vecidx_sparsevec_cosine_support, METRIC_COSINE, sparsevec_type)
OPCLASS_SUPPORT(vecidx_sparsevec_l1_support, METRIC_L1, sparsevec_type)

const VecidxOpclass *
vecidx_opclass(Relation index)
{
	FmgrInfo   *procinfo;

	if (!OidIsValid(index_getprocid(index, 1, VECIDX_SUPPORT_PROC)))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("first column of an %s index must be one that is searched by distance",
						get_am_name(index->rd_rel->relam)),
				 errdetail("Column \"%s\" is of type %s.",
						   NameStr(TupleDescAttr(RelationGetDescr(index), 0)->attname),
						   format_type_be(TupleDescAttr(RelationGetDescr(index), 0)->atttypid)),
				 errhint("Name the vector first and the columns to filter by behind it.")));
	for (AttrNumber attno = 2; attno <= IndexRelationGetNumberOfKeyAttributes(index); attno++)
		if (!OidIsValid(index_getprocid(index, attno, VECIDX_FILTER_PROC)))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("an %s index has one column that is searched by distance, the first",
							get_am_name(index->rd_rel->relam)),
					 errdetail("The operator class of column %d is not one of a filter column.", attno),
					 errhint("Create an index for each column that is to be searched by distance.")));
	procinfo = index_getprocinfo(index, 1, VECIDX_SUPPORT_PROC);
	return (const VecidxOpclass *) DatumGetPointer(FunctionCall1Coll(procinfo, InvalidOid, PointerGetDatum(NULL)));
}

int
vecidx_index_dim(Relation index, const VecidxOpclass *opclass)
{
	Form_pg_attribute column = TupleDescAttr(RelationGetDescr(index), 0);
	int			dim = column->atttypmod;

	/* the operators take one for a bit, but its values differ in length */
	if (getBaseType(column->atttypid) == VARBITOID)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("type not supported for %s index", get_am_name(index->rd_rel->relam)),
				 errdetail("Values of type %s differ in length.", format_type_be(column->atttypid)),
				 errhint("Index an expression with a cast to bit(n).")));
	if (dim < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("column does not have dimensions"),
				 errhint("Declare them in the column's type, as in %s(768), or index an expression with a cast.",
						 opclass->type->name)));
	return dim;
}

void *
vecidx_elements_buffer(const VecidxOpclass *opclass, int dim, MemoryContext context)
{
	return MemoryContextAlloc(context, opclass->type->buffer_size(dim));
}

const void *
vecidx_elements(const VecidxOpclass *opclass, Datum value, int dim, void *buffer)
{
	const VecidxType *type = opclass->type;
	void	   *v = type->detoast(value);
	int			actual = type->dim(v);
	const void *elements;

	if (actual != dim)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different %s %d and %d", type->mismatch, actual, dim)));
	elements = type->read(v, buffer);
	if (metric_info(opclass->metric)->zero_undefined && type->zero(elements, dim))
		return NULL;
	return elements;
}
