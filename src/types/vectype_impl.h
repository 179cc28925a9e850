/*
 * vectype_impl.h
 *		The body of a dense vector type: every SQL function of it, once.
 *
 * An instance is a short .c file that defines the parameters and includes
 * this file.  Elements are stored as VT_ELEM and computed with as float4,
 * which is the identity for vector and a conversion for narrower types.
 *
 *	VT(name)				C name of a function: vector_##name
 *	VT_NAME					name of the type in SQL and in messages, a string
 *	VT_VALUE				the varlena struct, with dim, unused and x[]
 *	VT_GETARG(n)			argument n, detoasted
 *	VT_MAX_DIM, VT_SIZE(dim)
 *	VT_ELEM					type of an element
 *	VT_TO_FLOAT(e), VT_FROM_FLOAT(f)
 *							conversions; what is too large becomes infinite
 *	VT_TO_FLOATS(x, floats, n), VT_FROM_FLOATS(floats, x, n)
 *							the same of n elements; the latter is true if it has
 *							seen that all of them are finite
 *	VT_ORDER(e)				a number to compare by: equal where elements are
 *	VT_IS_FLOAT				1 where VT_ELEM is float4 and nothing need be converted
 *	VT_BITS					unsigned integer as wide as an element
 *	VT_EXPONENT				the bits of its exponent: all set in infinity and NaN
 *	VT_HTON(bits)			its change of byte order, both ways
 *	VT_RANK(metric, a, b)	metric_rank() of two values of equal dimensions
 *
 * Loops over elements take dim into a local variable and gather flags in an
 * int rather than branch: compiled without strict aliasing, as extensions
 * are, that is what lets them be vectorised.  Arithmetic is on runs of floats,
 * converted by a kernel: one by one, halves would take ten times as long.
 *
 * Doubles become float4 first and elements then: pgvector rounds twice, too.
 *
 * Distances go through metric.h so that what SQL shows, what a sort compares
 * and what an index compares is the same arithmetic.
 */
#include "vecidx.h"

#include <float.h>
#include <math.h>

#include "access/detoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "dist/metric.h"
#include "libpq/pqformat.h"
#include "types/float_text.h"
#include "types/vectype.h"
#include "types/vectype_jsonb.h"
#include "types/vectype_subscript.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgrprotos.h"
#include "utils/varbit.h"

/* Heads an SQL function. */
#define VT_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(VT(name)); \
	Datum VT(name) (PG_FUNCTION_ARGS)

static const VecType VT(type) = {VT_NAME, VT_MAX_DIM};

/* A new value whose elements the caller fills, all of them. */
static VT_VALUE *
VT(alloc) (int dim)
{
	VT_VALUE   *v = palloc(VT_SIZE(dim));

	SET_VARSIZE(v, VT_SIZE(dim));
	v->dim = (int16) dim;
	v->unused = 0;
	return v;
}

VT_VALUE *
VT(new) (int dim)
{
	VT_VALUE   *v = VT(alloc) (dim);

	memset(v->x, 0, sizeof(VT_ELEM) * dim);
	return v;
}

/* Number of dimensions without fetching a toasted value: its size tells. */
static inline int
VT(dim_of_datum) (Datum d)
{
	return (int) ((toast_raw_datum_size(d) - VT_SIZE(0)) / sizeof(VT_ELEM));
}

static inline void
VT(check_same_dim) (const VT_VALUE *a, const VT_VALUE *b)
{
	if (unlikely(a->dim != b->dim))
		vectype_dims_differ(&VT(type), a->dim, b->dim);
}

/* An element's bits. */
static inline VT_BITS
VT(bits) (const VT_ELEM *x)
{
	VT_BITS		bits;

	memcpy(&bits, x, sizeof(bits));
	return bits;
}

static bool
VT(all_finite) (const VT_VALUE *v)
{
	const int	dim = v->dim;
	int			bad = 0;

	for (int i = 0; i < dim; i++)
		bad |= (VT(bits) (&v->x[i]) & VT_EXPONENT) == VT_EXPONENT;
	return !bad;
}

/* A buffer that a run is converted into has so many floats. */
#define VT_BUFFER (VT_IS_FLOAT ? 1 : VECTYPE_RUN)

/* A run of at most VECTYPE_RUN elements as floats: themselves, or what they become in buffer. */
static inline const float *
VT(floats) (const VT_ELEM *x, float *buffer, int n)
{
#if VT_IS_FLOAT
	(void) buffer;
	(void) n;
	return x;
#else
	VT_TO_FLOATS(x, buffer, n);
	return buffer;
#endif
}

/* Where a run of results goes, and what moves it from there to x if that is elsewhere (as VT_FROM_FLOATS). */
#if VT_IS_FLOAT
#define VT_RESULTS(x, buffer) (x)
#define VT_STORE(results, x, n) false
#else
#define VT_RESULTS(x, buffer) (buffer)
#define VT_STORE(results, x, n) VT_FROM_FLOATS(results, x, n)
#endif

#define VT_SIGN ((VT_BITS) 1 << (sizeof(VT_BITS) * BITS_PER_BYTE - 1))

/* for (VT_RUNS(first, n, dim)): runs of n elements from first on */
#define VT_RUNS(first, n, dim) \
	int first = 0, n; n = Min((dim) - first, VECTYPE_RUN), first < (dim); first += n

/*
 * Values from outside: neither NaN nor infinity may enter the type.  floats
 * is what the elements were made from, NULL if they came as they are.
 */
static void
VT(check_finite) (const VT_VALUE *v, const float *floats)
{
	if (likely(VT(all_finite) (v)))
		return;

	for (int i = 0; i < v->dim; i++)
	{
		float		x = VT_TO_FLOAT(v->x[i]);

		if (!isnan(x) && !isinf(x))
			continue;
		if (floats != NULL && !isnan(floats[i]) && !isinf(floats[i]))
			vectype_out_of_range(&VT(type), floats[i], i + 1);
		vectype_not_finite(&VT(type), x, i + 1);
	}
}

VT_VALUE *
VT(from_floats) (const float *floats, int dim)
{
	VT_VALUE   *v = VT(alloc) (dim);

	if (!VT_FROM_FLOATS(floats, v->x, dim))
		VT(check_finite) (v, floats);
	return v;
}

/* Results of arithmetic on finite values: what is not finite overflowed. */
static void
VT(check_overflow) (const VT_VALUE *v)
{
	if (unlikely(!VT(all_finite) (v)))
		float_overflow_error();
}

/* ----------
 * Input and output
 * ----------
 */

VT_FUNCTION(in)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = INPUT_ESCONTEXT(fcinfo);
	const char *p = vectype_skip_space(text);
	int			room = 1;
	int			dim = 0;
	VT_VALUE   *result;

	if (*p != '[')
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", VT_NAME, text),
				 errdetail("Vector contents must start with \"[\"."),
				 *p == '{' ? errhint("An array literal becomes a %s through a cast: '{...}'::real[]::%s.",
									 VT_NAME, VT_NAME) : 0));

	p = vectype_skip_space(p + 1);
	if (*p == ']')
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("%s must have at least 1 dimension", VT_NAME)));

	/* there are at most as many elements as separators, plus one */
	for (const char *comma = p; room < VT_MAX_DIM && (comma = strchr(comma, ',')) != NULL; comma++)
		room++;
	result = VT(new) (room);

	for (;;)
	{
		const char *start;
		float		value;
		FloatText	got;

		if (dim == VT_MAX_DIM)
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s cannot have more than %d dimensions", VT_NAME, VT_MAX_DIM)));

		start = p = vectype_skip_space(p);
		got = float_text_read(&p, &value);
		if (got == FLOAT_TEXT_SYNTAX)
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", VT_NAME, text),
					 errdetail("Element %d is not a number.", dim + 1)));

		result->x[dim] = VT_FROM_FLOAT(value);
		if (got == FLOAT_TEXT_RANGE ||
			(isinf(VT_TO_FLOAT(result->x[dim])) && !isinf(value)))
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("\"%s\" is out of range for type %s",
							pnstrdup(start, p - start), VT_NAME),
					 errdetail("Element %d lies outside the range of the type.", dim + 1)));
		if (isnan(value))
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("NaN not allowed in %s", VT_NAME),
					 errdetail("Element %d is not a number.", dim + 1)));
		if (isinf(value))
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("infinite value not allowed in %s", VT_NAME),
					 errdetail("Element %d is infinite.", dim + 1)));
		dim++;

		p = vectype_skip_space(p);
		if (*p == ']')
			break;
		if (*p != ',')
			ereturn(escontext, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s: \"%s\"", VT_NAME, text),
					 errdetail("Element %d must be followed by \",\" or \"]\".", dim)));
		p++;
	}

	p = vectype_skip_space(p + 1);
	if (*p != '\0')
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"", VT_NAME, text),
				 errdetail("Junk after closing right brace.")));

	if (typmod != -1 && typmod != dim)
		ereturn(escontext, (Datum) 0,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected %d dimensions, not %d", typmod, dim)));

	/* junk behind the bracket is an error, so no comma was counted too much */
	Assert(dim == room);
	PG_RETURN_POINTER(result);
}

VT_FUNCTION(out)
{
	VT_VALUE   *v = VT_GETARG(0);
	/* the length of a number includes a byte that takes the separator here */
	char	   *text = palloc((Size) v->dim * FLOAT_SHORTEST_DECIMAL_LEN + 3);
	char	   *p = text;
	float		buffer[VT_BUFFER];

	*p++ = '[';
	for (VT_RUNS(first, n, v->dim))
	{
		const float *x = VT(floats) (v->x + first, buffer, n);

		for (int i = 0; i < n; i++)
		{
			p += float_to_shortest_decimal_bufn(x[i], p);
			*p++ = ',';
		}
	}
	p[-1] = ']';
	*p = '\0';

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

VT_FUNCTION(typmod_in)
{
	PG_RETURN_INT32(vectype_typmod_in(&VT(type), PG_GETARG_ARRAYTYPE_P(0)));
}

/* Wire format: dim and unused as int16, then the elements, all big-endian. */
VT_FUNCTION(recv)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	int16		dim = (int16) pq_getmsgint(buf, sizeof(int16));
	int16		unused = (int16) pq_getmsgint(buf, sizeof(int16));
	const char *elements;
	VT_VALUE   *result;

	vectype_check_dim(&VT(type), dim);
	vectype_check_expected(typmod, dim);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	/* raises a protocol error if the message ends too early */
	elements = pq_getmsgbytes(buf, dim * (int) sizeof(VT_ELEM));

	result = VT(alloc) (dim);
	for (int i = 0; i < dim; i++)
	{
		VT_BITS		bits;

		memcpy(&bits, elements + i * sizeof(bits), sizeof(bits));
		bits = VT_HTON(bits);
		memcpy(&result->x[i], &bits, sizeof(bits));
	}
	VT(check_finite) (result, NULL);

	PG_RETURN_POINTER(result);
}

VT_FUNCTION(send)
{
	VT_VALUE   *v = VT_GETARG(0);
	const int	dim = v->dim;
	const int	size = dim * (int) sizeof(VT_ELEM);
	StringInfoData buf;
	char	   *elements;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, v->dim);
	pq_sendint16(&buf, v->unused);
	enlargeStringInfo(&buf, size);
	elements = buf.data + buf.len;
	for (int i = 0; i < dim; i++)
	{
		VT_BITS		bits;

		memcpy(&bits, &v->x[i], sizeof(bits));
		bits = VT_HTON(bits);
		memcpy(elements + i * sizeof(bits), &bits, sizeof(bits));
	}
	buf.len += size;

	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ----------
 * Casts: (source, type modifier, explicit)
 * ----------
 */

VT_FUNCTION(enforce_typmod)
{
	VT_VALUE   *v = VT_GETARG(0);

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(v);
}

VT_FUNCTION(from_array)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	int			dim;

	vectype_check_array(&VT(type), array, &dim);
	vectype_check_expected(PG_GETARG_INT32(1), dim);
	PG_RETURN_POINTER(VT(from_floats) (vectype_array_floats(array, dim), dim));
}

VT_FUNCTION(to_float4)
{
	VT_VALUE   *v = VT_GETARG(0);
	ArrayType  *result = vectype_array_new(v->dim, FLOAT4OID, sizeof(float4));

	VT_TO_FLOATS(v->x, (float4 *) ARR_DATA_PTR(result), v->dim);
	PG_RETURN_ARRAYTYPE_P(result);
}

VT_FUNCTION(to_float8)
{
	VT_VALUE   *v = VT_GETARG(0);
	ArrayType  *result = vectype_array_new(v->dim, FLOAT8OID, sizeof(float8));
	float8	   *sink = (float8 *) ARR_DATA_PTR(result);
	float		buffer[VT_BUFFER];

	for (VT_RUNS(first, n, v->dim))
	{
		const float *x = VT(floats) (v->x + first, buffer, n);

		for (int i = 0; i < n; i++)
			*sink++ = x[i];
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

/* Rounds as the cast from real to integer does, half to even. */
VT_FUNCTION(to_int4)
{
	VT_VALUE   *v = VT_GETARG(0);
	ArrayType  *result = vectype_array_new(v->dim, INT4OID, sizeof(int32));
	int32	   *x = (int32 *) ARR_DATA_PTR(result);

	for (int i = 0; i < v->dim; i++)
	{
		float8		rounded = rint(VT_TO_FLOAT(v->x[i]));

		/* so that NaN, which a damaged value may hold, is out of range as well */
		if (unlikely(!(rounded >= (float8) PG_INT32_MIN && rounded <= (float8) PG_INT32_MAX)))
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("integer out of range"),
					 errdetail("Element %d is too large.", i + 1),
					 errhint("Cast to double precision[] or numeric[] instead.")));
		x[i] = (int32) rounded;
	}
	PG_RETURN_ARRAYTYPE_P(result);
}

VT_FUNCTION(to_numeric)
{
	VT_VALUE   *v = VT_GETARG(0);
	Datum	   *x = palloc(sizeof(Datum) * v->dim);

	for (int i = 0; i < v->dim; i++)
		x[i] = DirectFunctionCall1(float4_numeric, Float4GetDatum(VT_TO_FLOAT(v->x[i])));
	PG_RETURN_ARRAYTYPE_P(construct_array(x, v->dim, NUMERICOID, -1, false, TYPALIGN_INT));
}

VT_FUNCTION(from_jsonb)
{
	int			dim;
	const float *floats = vectype_jsonb_floats(&VT(type), PG_GETARG_JSONB_P(0), PG_GETARG_INT32(1), &dim);

	PG_RETURN_POINTER(VT(from_floats) (floats, dim));
}

/* Of what a vector's text can be, all is JSON. */
VT_FUNCTION(to_jsonb)
{
	return DirectFunctionCall1(jsonb_in, DirectFunctionCall1(VT(out), PG_GETARG_DATUM(0)));
}

/* ----------
 * Distances
 * ----------
 */

static inline double
VT(rank) (Metric metric, FunctionCallInfo fcinfo)
{
	VT_VALUE   *a = VT_GETARG(0);
	VT_VALUE   *b = VT_GETARG(1);

	VT(check_same_dim) (a, b);
	return VT_RANK(metric, a, b);
}

VT_FUNCTION(l2_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_L2, VT(rank) (METRIC_L2, fcinfo)));
}

VT_FUNCTION(l2_squared_distance)
{
	PG_RETURN_FLOAT8(VT(rank) (METRIC_L2, fcinfo));
}

VT_FUNCTION(inner_product)
{
	/* subtracted from zero, not negated: no "-0" is shown */
	PG_RETURN_FLOAT8(0.0 - VT(rank) (METRIC_IP, fcinfo));
}

VT_FUNCTION(negative_inner_product)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_IP, VT(rank) (METRIC_IP, fcinfo)));
}

VT_FUNCTION(cosine_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_COSINE, VT(rank) (METRIC_COSINE, fcinfo)));
}

VT_FUNCTION(l1_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_L1, VT(rank) (METRIC_L1, fcinfo)));
}

/* Angle between two vectors of length 1, in units of pi. */
VT_FUNCTION(spherical_distance)
{
	double		cosine = -VT(rank) (METRIC_IP, fcinfo);

	/* rounding may lead out of the domain of acos; NaN passes through */
	if (cosine > 1)
		cosine = 1;
	else if (cosine < -1)
		cosine = -1;
	PG_RETURN_FLOAT8(acos(cosine) / M_PI);
}

/* ----------
 * One vector
 * ----------
 */

VT_FUNCTION(dims)
{
	PG_RETURN_INT32(VT(dim_of_datum) (PG_GETARG_DATUM(0)));
}

/* Euclidean length.  In double no square of a float4 over- or underflows. */
static double
VT(length) (const VT_VALUE *v)
{
	const SimdKernels *kernels = simd_get();
	float		buffer[VT_BUFFER];
	double		sum = 0;

	for (VT_RUNS(first, n, v->dim))
		sum += kernels->sumsq_f32(VT(floats) (v->x + first, buffer, n), n);
	return sqrt(sum);
}

VT_FUNCTION(norm)
{
	PG_RETURN_FLOAT8(VT(length) (VT_GETARG(0)));
}

/* A zero vector has no direction and stays what it is. */
VT_FUNCTION(l2_normalize)
{
	VT_VALUE   *v = VT_GETARG(0);
	VT_VALUE   *result = VT(alloc) (v->dim);
	double		length = VT(length) (v);
	float		buffer[VT_BUFFER];

	if (length == 0)
		PG_RETURN_POINTER(VT(new) (v->dim));

	for (VT_RUNS(first, n, v->dim))
	{
		const float *x = VT(floats) (v->x + first, buffer, n);
		float	   *r = VT_RESULTS(result->x + first, buffer);

		for (int i = 0; i < n; i++)
			r[i] = (float4) (x[i] / length);
		(void) VT_STORE(r, result->x + first, n);
	}
	PG_RETURN_POINTER(result);
}

/* Whether a number is above zero: its bits are, as a signed integer. */
static inline int
VT(positive) (const VT_ELEM *x)
{
	VT_BITS		bits = VT(bits) (x);

	return bits != 0 && bits < VT_SIGN;
}

/* A bit for each dimension: whether the element is above zero. */
VT_FUNCTION(binary_quantize)
{
	VT_VALUE   *v = VT_GETARG(0);
	const int	dim = v->dim;
	Size		size = VARBITTOTALLEN(dim);
	VarBit	   *result = palloc0(size);
	bits8	   *bits = VARBITS(result);
	int			i = 0;

	SET_VARSIZE(result, size);
	VARBITLEN(result) = dim;
	for (; i + BITS_PER_BYTE <= dim; i += BITS_PER_BYTE)
	{
		int			byte = 0;

		for (int j = 0; j < BITS_PER_BYTE; j++)
			byte |= VT(positive) (&v->x[i + j]) << (BITS_PER_BYTE - 1 - j);
		*bits++ = (bits8) byte;
	}
	for (int j = 0; i + j < dim; j++)
		*bits |= VT(positive) (&v->x[i + j]) << (BITS_PER_BYTE - 1 - j);

	PG_RETURN_VARBIT_P(result);
}

/*
 * Elements first .. last of a value that has them, as a value of its own.  Of
 * one in external storage only the chunks in question are fetched.
 */
static VT_VALUE *
VT(part) (Datum d, int first, int last)
{
	VT_VALUE   *result = VT(alloc) (last - first + 1);
	Size		size = sizeof(VT_ELEM) * result->dim;
	struct varlena *elements;

	/* the caller had dim from the size of the value */
	if (!VARATT_IS_EXTENDED(DatumGetPointer(d)))
	{
		memcpy(result->x, DatumGetPointer(d) + VT_SIZE(first - 1), size);
		return result;
	}

	elements = PG_DETOAST_DATUM_SLICE(d, (int32) (VT_SIZE(first - 1) - VARHDRSZ), (int32) size);
	if (VARSIZE_ANY_EXHDR(elements) != size)
		vectype_damaged(VT_NAME);
	memcpy(result->x, VARDATA_ANY(elements), size);
	return result;
}

/* As substring(): counts from 1, and what lies outside the vector is left out. */
VT_FUNCTION(subvector)
{
	Datum		d = PG_GETARG_DATUM(0);
	int64		first = PG_GETARG_INT32(1);
	int64		count = PG_GETARG_INT32(2);
	int64		last = Min(first + count - 1, VT(dim_of_datum) (d));

	first = Max(first, 1);
	vectype_check_dim(&VT(type), last - first + 1);
	PG_RETURN_POINTER(VT(part) (d, (int) first, (int) last));
}

/* ----------
 * Subscripts: v[i] is a real, v[i:j] a vector; see vectype_subscript.c.
 * ----------
 */

static void
VT(fetch_element) (ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	const VecSubscript *subscript = op->d.sbsref.state->workspace;
	Datum		d = *op->resvalue;

	(void) state;
	(void) econtext;
	*op->resnull = subscript->first < 1 || subscript->first > VT(dim_of_datum) (d);
	if (!*op->resnull)
	{
		VT_VALUE   *element = VT(part) (d, subscript->first, subscript->first);

		*op->resvalue = Float4GetDatum(VT_TO_FLOAT(element->x[0]));
		pfree(element);
	}
}

static void
VT(fetch_slice) (ExprState *state, ExprEvalStep *op, ExprContext *econtext)
{
	const VecSubscript *subscript = op->d.sbsref.state->workspace;
	Datum		d = *op->resvalue;
	int			first = Max(subscript->first, 1);
	int			last = Min(subscript->last, VT(dim_of_datum) (d));

	(void) state;
	(void) econtext;
	*op->resnull = first > last;
	if (!*op->resnull)
		*op->resvalue = PointerGetDatum(VT(part) (d, first, last));
}

static void
VT(subscript_setup) (const SubscriptingRef *sbsref, SubscriptingRefState *state,
					 SubscriptExecSteps *methods)
{
	(void) sbsref;
	vectype_subscript_setup(state, methods, VT(fetch_element), VT(fetch_slice));
}

VT_FUNCTION(subscript)
{
	static const SubscriptRoutines routines = {
		.transform = vectype_subscript_transform,
		.exec_setup = VT(subscript_setup),
		.fetch_strict = true,
		.fetch_leakproof = true,
		.store_leakproof = false
	};

	(void) fcinfo;
	PG_RETURN_POINTER(&routines);
}

/* ----------
 * Arithmetic
 * ----------
 */

/* One element's sum, difference or product; op is a constant wherever this is inlined. */
static inline float
VT(apply) (VecOp op, float x, float y)
{
	return op == VEC_ADD ? x + y : op == VEC_SUB ? x - y : x * y;
}

static inline int
VT(is_zero) (const VT_ELEM *x)
{
	return (VT(bits) (x) & ~VT_SIGN) == 0;
}

static inline Datum
VT(elementwise) (VecOp op, FunctionCallInfo fcinfo)
{
	VT_VALUE   *a = VT_GETARG(0);
	VT_VALUE   *b = VT_GETARG(1);
	VT_VALUE   *result;
	float		a_buffer[VT_BUFFER];
	float		b_buffer[VT_BUFFER];
	float		buffer[VT_BUFFER];
	int			vanished = 0;
	bool		finite = true;

	(void) buffer;
	VT(check_same_dim) (a, b);
	result = VT(alloc) (a->dim);
	for (VT_RUNS(first, n, a->dim))
	{
		const float *x = VT(floats) (a->x + first, a_buffer, n);
		const float *y = VT(floats) (b->x + first, b_buffer, n);
		float	   *r = VT_RESULTS(result->x + first, buffer);

		for (int i = 0; i < n; i++)
			r[i] = VT(apply) (op, x[i], y[i]);
		finite &= VT_STORE(r, result->x + first, n);
		for (int i = 0; op == VEC_MUL && i < n; i++)
			vanished |= VT(is_zero) (&result->x[first + i]) & (x[i] != 0) & (y[i] != 0);
	}
	if (!finite)
		VT(check_overflow) (result);
	if (vanished)
		float_underflow_error();
	PG_RETURN_POINTER(result);
}

VT_FUNCTION(add)
{
	return VT(elementwise) (VEC_ADD, fcinfo);
}

VT_FUNCTION(sub)
{
	return VT(elementwise) (VEC_SUB, fcinfo);
}

VT_FUNCTION(mul)
{
	return VT(elementwise) (VEC_MUL, fcinfo);
}

static VT_VALUE *
VT(scaled) (const VT_VALUE *v, double scalar)
{
	VT_VALUE   *result;
	float		x_buffer[VT_BUFFER];
	float		buffer[VT_BUFFER];
	int			vanished = 0;
	bool		finite = true;

	(void) buffer;
	if (isnan(scalar) || isinf(scalar))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 isnan(scalar) ? errmsg("NaN not allowed in %s", VT_NAME)
				 : errmsg("infinite value not allowed in %s", VT_NAME),
				 errdetail("A %s is multiplied by a finite number only.", VT_NAME)));

	result = VT(alloc) (v->dim);
	for (VT_RUNS(first, n, v->dim))
	{
		const float *x = VT(floats) (v->x + first, x_buffer, n);
		float	   *r = VT_RESULTS(result->x + first, buffer);

		for (int i = 0; i < n; i++)
			r[i] = (float4) (x[i] * scalar);
		finite &= VT_STORE(r, result->x + first, n);
		for (int i = 0; i < n; i++)
			vanished |= VT(is_zero) (&result->x[first + i]) & (x[i] != 0);
	}
	if (!finite)
		VT(check_overflow) (result);
	if (vanished && scalar != 0)
		float_underflow_error();
	return result;
}

VT_FUNCTION(mul_scalar)
{
	PG_RETURN_POINTER(VT(scaled) (VT_GETARG(0), PG_GETARG_FLOAT8(1)));
}

VT_FUNCTION(scalar_mul)
{
	PG_RETURN_POINTER(VT(scaled) (VT_GETARG(1), PG_GETARG_FLOAT8(0)));
}

VT_FUNCTION(concat)
{
	VT_VALUE   *a = VT_GETARG(0);
	VT_VALUE   *b = VT_GETARG(1);
	int			dim = a->dim + b->dim;
	VT_VALUE   *result;

	vectype_check_dim(&VT(type), dim);
	result = VT(alloc) (dim);
	memcpy(result->x, a->x, sizeof(VT_ELEM) * a->dim);
	memcpy(result->x + a->dim, b->x, sizeof(VT_ELEM) * b->dim);
	PG_RETURN_POINTER(result);
}

/* ----------
 * Order and equality: as arrays, element by element, a prefix first.
 * Btree support must not leak, hence the frees.
 * ----------
 */

static int
VT(compare) (FunctionCallInfo fcinfo)
{
	VT_VALUE   *a = VT_GETARG(0);
	VT_VALUE   *b = VT_GETARG(1);
	int			result = (a->dim > b->dim) - (a->dim < b->dim);
	int			shared = Min(a->dim, b->dim);
	int			i = 0;

	/* mostly the first elements differ, or none does; 0 and -0 are equal and have different bits */
	if (a->x[0] == b->x[0] && memcmp(a->x, b->x, sizeof(VT_ELEM) * shared) == 0)
		i = shared;
	for (; i < shared; i++)
	{
		if (VT_ORDER(a->x[i]) != VT_ORDER(b->x[i]))
		{
			result = VT_ORDER(a->x[i]) < VT_ORDER(b->x[i]) ? -1 : 1;
			break;
		}
	}

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

static bool
VT(equal) (FunctionCallInfo fcinfo)
{
	/* sizes differ: no need to fetch what may be toasted */
	if (VT(dim_of_datum) (PG_GETARG_DATUM(0)) != VT(dim_of_datum) (PG_GETARG_DATUM(1)))
		return false;
	return VT(compare) (fcinfo) == 0;
}

VT_FUNCTION(lt)
{
	PG_RETURN_BOOL(VT(compare) (fcinfo) < 0);
}

VT_FUNCTION(le)
{
	PG_RETURN_BOOL(VT(compare) (fcinfo) <= 0);
}

VT_FUNCTION(eq)
{
	PG_RETURN_BOOL(VT(equal) (fcinfo));
}

VT_FUNCTION(ne)
{
	PG_RETURN_BOOL(!VT(equal) (fcinfo));
}

VT_FUNCTION(ge)
{
	PG_RETURN_BOOL(VT(compare) (fcinfo) >= 0);
}

VT_FUNCTION(gt)
{
	PG_RETURN_BOOL(VT(compare) (fcinfo) > 0);
}

VT_FUNCTION(cmp)
{
	PG_RETURN_INT32(VT(compare) (fcinfo));
}

/*
 * The elements' bytes with every -0 made 0: they are equal and must hash
 * equal.  In place when there is none, which is nearly always.
 */
static const unsigned char *
VT(hashable) (const VT_VALUE *v)
{
	const int	dim = v->dim;
	int			found = 0;
	VT_ELEM    *copy;

	for (int i = 0; i < dim; i++)
		found |= VT(bits) (&v->x[i]) == VT_SIGN;
	if (!found)
		return (const unsigned char *) v->x;

	copy = palloc(sizeof(VT_ELEM) * dim);
	for (int i = 0; i < dim; i++)
		copy[i] = VT(bits) (&v->x[i]) == VT_SIGN ? 0 : v->x[i];
	return (const unsigned char *) copy;
}

VT_FUNCTION(hash)
{
	VT_VALUE   *v = VT_GETARG(0);
	const unsigned char *bytes = VT(hashable) (v);
	Datum		result = hash_any(bytes, v->dim * (int) sizeof(VT_ELEM));

	if (bytes != (const unsigned char *) v->x)
		pfree((void *) bytes);
	PG_FREE_IF_COPY(v, 0);
	return result;
}

VT_FUNCTION(hash_extended)
{
	VT_VALUE   *v = VT_GETARG(0);
	const unsigned char *bytes = VT(hashable) (v);
	Datum		result = hash_any_extended(bytes, v->dim * (int) sizeof(VT_ELEM),
										   (uint64) PG_GETARG_INT64(1));

	if (bytes != (const unsigned char *) v->x)
		pfree((void *) bytes);
	PG_FREE_IF_COPY(v, 0);
	return result;
}

/* ----------
 * Aggregates: avg through a state of doubles (vectype.h); sum is add.
 * ----------
 */

VT_FUNCTION(accum)
{
	ArrayType  *state = PG_GETARG_ARRAYTYPE_P(0);
	VT_VALUE   *v = VT_GETARG(1);
	int			dim;
	float8	   *sums = vectype_state(state, &dim, VT_NAME "_accum");
	float		buffer[VT_BUFFER];
	int			overflow = 0;

	if (dim == 0)
	{
		if (sums[0] != 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s: expected state array", VT_NAME "_accum"),
					 errdetail("It counts values and has no sums of them.")));
		state = vectype_state_new(v->dim);
		sums = (float8 *) ARR_DATA_PTR(state);
	}
	else
	{
		vectype_check_expected(dim, v->dim);

		/* as an aggregate the state is ours to change, else it may be a constant */
		if (!AggCheckCallContext(fcinfo, NULL))
		{
			ArrayType  *copy = vectype_state_new(dim);

			memcpy(ARR_DATA_PTR(copy), sums, sizeof(float8) * (dim + 1));
			state = copy;
			sums = (float8 *) ARR_DATA_PTR(copy);
		}
	}

	*sums++ += 1;
	for (VT_RUNS(first, n, v->dim))
	{
		const float *x = VT(floats) (v->x + first, buffer, n);

		for (int i = 0; i < n; i++)
		{
			sums[i] += x[i];
			overflow |= fabs(sums[i]) > DBL_MAX;
		}
		sums += n;
	}
	if (overflow)
		float_overflow_error();

	PG_RETURN_ARRAYTYPE_P(state);
}

VT_FUNCTION(combine)
{
	PG_RETURN_ARRAYTYPE_P(vectype_combine(&VT(type),
										  PG_GETARG_ARRAYTYPE_P(0),
										  PG_GETARG_ARRAYTYPE_P(1),
										  AggCheckCallContext(fcinfo, NULL) != 0,
										  VT_NAME "_combine"));
}

VT_FUNCTION(avg)
{
	int			dim;
	float8	   *sums = vectype_state(PG_GETARG_ARRAYTYPE_P(0), &dim, VT_NAME "_avg");
	float4	   *means;

	/* SQL: the average of no values is NULL */
	if (sums[0] == 0)
		PG_RETURN_NULL();

	vectype_check_dim(&VT(type), dim);
	means = palloc(sizeof(float4) * dim);
	for (int i = 0; i < dim; i++)
		means[i] = (float4) (sums[i + 1] / sums[0]);
	PG_RETURN_POINTER(VT(from_floats) (means, dim));
}
