/*
 * sparsevec.c
 *		The type sparsevec: up to a billion dimensions, of which few are not
 *		zero.
 *
 * Indices count from 1 in text and from 0 in binary and on disk.  A value
 * holds no zeros, and its indices ascend: input sees to that.  Nothing here
 * reads or writes past a value whose indices are out of order or of bounds,
 * as a damaged page may have them.
 */
#include "types/vectors.h"

#include <float.h>
#include <math.h>

#include "access/detoast.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "dist/metric_sparse.h"
#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "simd/half.h"
#include "types/float_text.h"
#include "types/vectype.h"
#include "utils/builtins.h"

static const VecType sparsevec_type = {"sparsevec", SPARSEVEC_MAX_DIM};
static const VecType vector_type = {"vector", VECTOR_MAX_DIM};
static const VecType halfvec_type = {"halfvec", HALFVEC_MAX_DIM};

/* Heads an SQL function. */
#define SPARSEVEC_FUNCTION(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum name(PG_FUNCTION_ARGS)

/* A new value of dim dimensions; its nnz indices and values are the caller's to fill. */
static SparseVector *
sparsevec_new(int dim, int nnz)
{
	SparseVector *v = palloc(SPARSEVEC_SIZE(nnz));

	SET_VARSIZE(v, SPARSEVEC_SIZE(nnz));
	v->dim = dim;
	v->nnz = nnz;
	v->unused = 0;
	return v;
}

static inline SparseElements
elements_of(const SparseVector *v)
{
	SparseElements e = {v->indices, SPARSEVEC_VALUES(v), v->nnz};

	return e;
}

/* ----------
 * Checks; soft errors go to escontext
 * ----------
 */

static bool
nnz_ok(int64 nnz, Node *escontext)
{
	if (nnz > SPARSEVEC_MAX_NNZ)
		ereturn(escontext, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more than %d non-zero elements", SPARSEVEC_MAX_NNZ)));
	return true;
}

/* Indices from outside: within the dimensions, ascending, none twice. */
static bool
indices_ok(const SparseVector *v, Node *escontext)
{
	for (int i = 0; i < v->nnz; i++)
	{
		/* from 1, as users see it */
		int64		index = (int64) v->indices[i] + 1;

		if (index < 1 || index > v->dim)
			ereturn(escontext, false,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec index out of bounds"),
					 /* read_integer() cuts what is larger to this, so do not name it */
					 (index >= PG_INT32_MAX || index <= -PG_INT32_MAX) ? errdetail("An index is not between 1 and %d.", v->dim) :
					 errdetail("Index " INT64_FORMAT " is not between 1 and %d.", index, v->dim)));
		if (i > 0 && v->indices[i] < v->indices[i - 1])
			ereturn(escontext, false,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec indices must be in ascending order"),
					 errdetail("Index " INT64_FORMAT " comes after %d.", index, v->indices[i - 1] + 1)));
		if (i > 0 && v->indices[i] == v->indices[i - 1])
			ereturn(escontext, false,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("sparsevec indices must not contain duplicates"),
					 errdetail("Index " INT64_FORMAT " is there more than once.", index)));
	}
	return true;
}

static void
check_same_dim(const SparseVector *a, const SparseVector *b)
{
	if (unlikely(a->dim != b->dim))
		vectype_dims_differ(&sparsevec_type, a->dim, b->dim);
}

/* ----------
 * Text
 * ----------
 */

typedef struct ParsedElement
{
	int32		index;			/* from 0; anything if out of bounds */
	float4		value;
} ParsedElement;

static int
compare_parsed(const void *a, const void *b)
{
	int32		x = ((const ParsedElement *) a)->index;
	int32		y = ((const ParsedElement *) b)->index;

	return (x > y) - (x < y);
}

static bool
bad_text(const char *text, const char *detail, Node *escontext)
{
	ereturn(escontext, false,
			(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
			 errmsg("invalid input syntax for type sparsevec: \"%s\"", text),
			 errdetail("%s", detail),
			 *text == '[' ? errhint("A dense vector becomes a sparsevec through a cast: '[...]'::vector::sparsevec.") : 0));
}

/* A whole number at *pos, white space around it; what is too large for int32 is cut to 2^31 - 1. */
static bool
read_integer(const char **pos, int32 *value)
{
	const char *start = vectype_skip_space(*pos);
	char	   *end;
	long		number = strtol(start, &end, 10);

	if (end == start)
		return false;
	*value = (int32) Max(Min(number, (long) PG_INT32_MAX), -(long) PG_INT32_MAX);
	*pos = vectype_skip_space(end);
	return true;
}

/* Whether the number at start, read as zero, has a digit that is not. */
static bool
vanished(const char *start, const char *end)
{
	bool		hex = false;

	for (const char *p = start; p < end; p++)
	{
		if (*p == 'p' || *p == 'P' || (!hex && (*p == 'e' || *p == 'E')))
			return false;
		if (strchr("123456789abcdefABCDEF", *p) != NULL)
			return true;
		hex |= *p == 'x' || *p == 'X';
	}
	return false;
}

/* One value at *pos, behind the colon of an index. */
static bool
read_value(const char *text, const char **pos, int32 index, float4 *value, Node *escontext)
{
	const char *start = vectype_skip_space(*pos);
	const char *end = start;
	FloatText	got = float_text_read(&end, value);

	if (got == FLOAT_TEXT_SYNTAX)
		return bad_text(text, "A number is expected after \":\".", escontext);
	if (got == FLOAT_TEXT_RANGE || (*value == 0 && vanished(start, end)))
		ereturn(escontext, false,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("\"%s\" is out of range for type sparsevec", pnstrdup(start, end - start)),
				 got == FLOAT_TEXT_RANGE ? 0 :
				 errhint("Leave out elements that are too small for real, or write 0.")));
	*pos = vectype_skip_space(end);
	return vectype_finite_ok(&sparsevec_type, *value, index, escontext);
}

/*
 * "{index:value,...}" from *pos on.  Gives the elements that are not zero, as
 * they come, in a new array, and moves *pos behind the brace; NULL on error.
 */
static ParsedElement *
read_elements(const char *text, const char **pos, int *nnz, Node *escontext)
{
	const char *p = vectype_skip_space(*pos);
	ParsedElement *elements;
	int			room = 1;

	*nnz = 0;
	if (*p != '{')
	{
		bad_text(text, "Vector contents must start with \"{\".", escontext);
		return NULL;
	}

	/* there are at most as many elements as separators, plus one */
	for (const char *comma = p; room < SPARSEVEC_MAX_NNZ && (comma = strchr(comma, ',')) != NULL; comma++)
		room++;
	elements = palloc(sizeof(ParsedElement) * room);

	p = vectype_skip_space(p + 1);
	while (*p != '}')
	{
		int32		index;
		float4		value;

		if (!read_integer(&p, &index) || *p != ':')
		{
			bad_text(text, "An index and \":\" are expected before each value.", escontext);
			return NULL;
		}
		p++;
		if (!read_value(text, &p, index, &value, escontext))
			return NULL;

		if (value != 0)
		{
			if (!nnz_ok(*nnz + 1, escontext))
				return NULL;
			Assert(*nnz < room);
			elements[*nnz].index = index - 1;
			elements[*nnz].value = value;
			(*nnz)++;
		}

		if (*p == ',' && *vectype_skip_space(p + 1) != '}')
			p++;
		else if (*p != '}')
		{
			bad_text(text, "An element must be followed by \"}\", or by \",\" and another.", escontext);
			return NULL;
		}
	}
	*pos = p + 1;
	return elements;
}

SPARSEVEC_FUNCTION(sparsevec_in)
{
	const char *text = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	Node	   *escontext = INPUT_ESCONTEXT(fcinfo);
	const char *p = text;
	int			nnz;
	ParsedElement *elements = read_elements(text, &p, &nnz, escontext);
	int32		dim;
	SparseVector *result;

	if (elements == NULL)
		return (Datum) 0;

	p = vectype_skip_space(p);
	if (*p != '/')
	{
		bad_text(text, *p == '\0' ? "Unexpected end of input." :
				 "The elements must be followed by \"/\" and the number of dimensions.", escontext);
		return (Datum) 0;
	}
	p++;
	if (!read_integer(&p, &dim))
	{
		bad_text(text, "The number of dimensions is expected after \"/\".", escontext);
		return (Datum) 0;
	}
	if (*p != '\0')
	{
		bad_text(text, "Junk after closing.", escontext);
		return (Datum) 0;
	}
	if (!vectype_dim_ok(&sparsevec_type, dim, escontext) ||
		!vectype_expected_ok(typmod, dim, escontext))
		return (Datum) 0;

	qsort(elements, nnz, sizeof(ParsedElement), compare_parsed);
	result = sparsevec_new(dim, nnz);
	for (int i = 0; i < nnz; i++)
	{
		result->indices[i] = elements[i].index;
		SPARSEVEC_VALUES(result)[i] = elements[i].value;
	}
	pfree(elements);
	if (!indices_ok(result, escontext))
		return (Datum) 0;

	PG_RETURN_POINTER(result);
}

SPARSEVEC_FUNCTION(sparsevec_out)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);

	/* per element an index of at most 11 bytes, a colon, a number whose length counts a byte that the comma takes */
	char	   *text = palloc((Size) v->nnz * (12 + FLOAT_SHORTEST_DECIMAL_LEN) + 15);
	char	   *p = text;

	*p++ = '{';
	for (int i = 0; i < v->nnz; i++)
	{
		if (i > 0)
			*p++ = ',';
		p += pg_ultoa_n((uint32) v->indices[i] + 1, p);
		*p++ = ':';
		p += float_to_shortest_decimal_bufn(SPARSEVEC_VALUES(v)[i], p);
	}
	*p++ = '}';
	*p++ = '/';
	p += pg_ultoa_n((uint32) v->dim, p);
	*p = '\0';

	PG_FREE_IF_COPY(v, 0);
	PG_RETURN_CSTRING(text);
}

SPARSEVEC_FUNCTION(sparsevec_typmod_in)
{
	PG_RETURN_INT32(vectype_typmod_in(&sparsevec_type, PG_GETARG_ARRAYTYPE_P(0)));
}

/* ----------
 * Binary: dim, nnz and a zero, then nnz indices from 0, then nnz values, all
 * 4 bytes and big-endian.
 * ----------
 */

/* Copies n words from or to the wire; neither side need be aligned. */
static void
copy_words(void *to, const void *from, int n)
{
	for (int i = 0; i < n; i++)
	{
		uint32		word;

		memcpy(&word, (const char *) from + i * sizeof(word), sizeof(word));
		word = pg_hton32(word);
		memcpy((char *) to + i * sizeof(word), &word, sizeof(word));
	}
}

SPARSEVEC_FUNCTION(sparsevec_recv)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		dim = (int32) pq_getmsgint(buf, sizeof(int32));
	int32		nnz = (int32) pq_getmsgint(buf, sizeof(int32));
	int32		unused = (int32) pq_getmsgint(buf, sizeof(int32));
	const char *elements;
	SparseVector *result;

	vectype_check_dim(&sparsevec_type, dim);
	if (nnz < 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("sparsevec cannot have negative number of elements")));
	nnz_ok(nnz, NULL);
	if (nnz > dim)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sparsevec cannot have more elements than dimensions"),
				 errdetail("There are %d elements in %d dimensions.", nnz, dim)));
	vectype_check_expected(PG_GETARG_INT32(2), dim);
	if (unused != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("expected unused to be 0, not %d", unused)));

	/* raises a protocol error if the message ends too early */
	elements = pq_getmsgbytes(buf, nnz * (int) (sizeof(int32) + sizeof(float4)));

	result = sparsevec_new(dim, nnz);
	copy_words(result->indices, elements, 2 * nnz);
	indices_ok(result, NULL);
	for (int i = 0; i < nnz; i++)
	{
		float4		value = SPARSEVEC_VALUES(result)[i];

		vectype_finite_ok(&sparsevec_type, value, result->indices[i] + 1, NULL);
		if (value == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_EXCEPTION),
					 errmsg("binary representation of sparsevec cannot contain zero values"),
					 errdetail("The value at index %d, counted from 1, is zero.", result->indices[i] + 1)));
	}

	PG_RETURN_POINTER(result);
}

SPARSEVEC_FUNCTION(sparsevec_send)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const int	words = 2 * v->nnz;
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint32(&buf, (uint32) v->dim);
	pq_sendint32(&buf, (uint32) v->nnz);
	pq_sendint32(&buf, (uint32) v->unused);
	enlargeStringInfo(&buf, words * (int) sizeof(int32));
	copy_words(buf.data + buf.len, v->indices, words);
	buf.len += words * (int) sizeof(int32);

	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ----------
 * Casts: (source, type modifier, explicit)
 * ----------
 */

SPARSEVEC_FUNCTION(sparsevec_enforce_typmod)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(v);
}

/* Zeros that a loop over dense elements takes in one step. */
#define ZEROS_SKIPPED 16

/* The bits of x less its sign: 0 for zeros alone.  Integers, because loops of them are faster. */
static inline uint32
magnitude(const float4 *x)
{
	uint32		bits;

	memcpy(&bits, x, sizeof(bits));
	return bits << 1;
}

static inline bool
all_zero(const float4 *x)
{
	uint32		found = 0;

	for (int i = 0; i < ZEROS_SKIPPED; i++)
		found |= magnitude(x + i);
	return found == 0;
}

static int
count_nonzero(const float4 *x, int dim)
{
	int			nnz = 0;

	for (int i = 0; i < dim; i++)
		nnz += magnitude(x + i) != 0;
	return nnz;
}

/* The elements of x, dim of them, that are not zero, of which there are nnz. */
static SparseVector *
sparsevec_from_dense(const float4 *x, int dim, int nnz)
{
	SparseVector *result;
	float4	   *values;
	int			bad = 0;

	nnz_ok(nnz, NULL);

	result = sparsevec_new(dim, nnz);
	values = SPARSEVEC_VALUES(result);
	if (nnz == dim)
	{
		memcpy(values, x, sizeof(float4) * dim);
		for (int i = 0; i < dim; i++)
			result->indices[i] = i;
	}
	for (int i = 0, n = 0; nnz < dim && n < nnz;)
	{
		const int	end = Min(i + ZEROS_SKIPPED, dim);

		/* zeros mostly come in runs, and so does what is none */
		if (end - i == ZEROS_SKIPPED && all_zero(x + i))
			i = end;
		for (; i < end && n < nnz; i++)
		{
			/* written over by the next if this is a zero */
			result->indices[n] = i;
			values[n] = x[i];
			n += magnitude(x + i) != 0;
		}
	}

	for (int i = 0; i < nnz; i++)
		bad |= !(fabsf(values[i]) <= FLT_MAX);
	for (int i = 0; bad && i < nnz; i++)
		vectype_finite_ok(&sparsevec_type, values[i], result->indices[i] + 1, NULL);
	return result;
}

SPARSEVEC_FUNCTION(vector_to_sparsevec)
{
	Vector	   *v = PG_GETARG_VECTOR_P(0);

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	PG_RETURN_POINTER(sparsevec_from_dense(v->x, v->dim, count_nonzero(v->x, v->dim)));
}

SPARSEVEC_FUNCTION(halfvec_to_sparsevec)
{
	HalfVector *v = PG_GETARG_HALFVEC_P(0);
	float4	   *x = palloc(sizeof(float4) * v->dim);
	int			nnz = 0;

	vectype_check_expected(PG_GETARG_INT32(1), v->dim);
	for (int i = 0, dim = v->dim; i < dim; i++)
		nnz += (v->x[i] & 0x7fff) != 0;
	simd_get()->f16_to_f32(v->x, x, v->dim);
	PG_RETURN_POINTER(sparsevec_from_dense(x, v->dim, nnz));
}

/* Error unless v fits a dense type. */
static void
check_dense(const VecType *type, const SparseVector *v, int32 typmod)
{
	vectype_check_dim(type, v->dim);
	vectype_check_expected(typmod, v->dim);
}

/* Index number i of v, to write at. */
static inline uint32
checked_index(const SparseVector *v, int i)
{
	uint32		index = (uint32) v->indices[i];

	if (unlikely(index >= (uint32) v->dim))
		vectype_damaged("sparsevec");
	return index;
}

SPARSEVEC_FUNCTION(sparsevec_to_vector)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float4 *values = SPARSEVEC_VALUES(v);
	Vector	   *result;

	check_dense(&vector_type, v, PG_GETARG_INT32(1));
	result = vector_new(v->dim);
	for (int i = 0, nnz = v->nnz; i < nnz; i++)
		result->x[checked_index(v, i)] = values[i];
	PG_RETURN_VECTOR_P(result);
}

/* Error of the first value that became infinite as a half. */
static void
halfvec_overflow(const SparseVector *v, const uint16 *halves)
{
	for (int i = 0; i < v->nnz; i++)
		if (isinf(half_to_float(halves[i])))
			vectype_out_of_range(&halfvec_type, SPARSEVEC_VALUES(v)[i], v->indices[i] + 1);
}

SPARSEVEC_FUNCTION(sparsevec_to_halfvec)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	uint16	   *halves = palloc(sizeof(uint16) * v->nnz);
	HalfVector *result;

	check_dense(&halfvec_type, v, PG_GETARG_INT32(1));
	result = halfvec_new(v->dim);
	if (!simd_get()->f32_to_f16(SPARSEVEC_VALUES(v), halves, v->nnz))
		halfvec_overflow(v, halves);
	for (int i = 0, nnz = v->nnz; i < nnz; i++)
		result->x[checked_index(v, i)] = halves[i];
	PG_RETURN_HALFVEC_P(result);
}

SPARSEVEC_FUNCTION(sparsevec_from_array)
{
	ArrayType  *array = PG_GETARG_ARRAYTYPE_P(0);
	const float4 *x;
	int			dim;

	vectype_check_array(&sparsevec_type, array, &dim);
	vectype_check_expected(PG_GETARG_INT32(1), dim);
	x = vectype_array_floats(array, dim);
	PG_RETURN_POINTER(sparsevec_from_dense(x, dim, count_nonzero(x, dim)));
}

/* ----------
 * Distances
 * ----------
 */

static double
sparsevec_rank(Metric metric, FunctionCallInfo fcinfo)
{
	SparseVector *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVector *b = PG_GETARG_SPARSEVEC_P(1);

	check_same_dim(a, b);
	return metric_sparse_rank(metric, elements_of(a), elements_of(b));
}

SPARSEVEC_FUNCTION(sparsevec_l2_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_L2, sparsevec_rank(METRIC_L2, fcinfo)));
}

SPARSEVEC_FUNCTION(sparsevec_l2_squared_distance)
{
	PG_RETURN_FLOAT8(sparsevec_rank(METRIC_L2, fcinfo));
}

SPARSEVEC_FUNCTION(sparsevec_inner_product)
{
	/* subtracted from zero, not negated: no "-0" is shown */
	PG_RETURN_FLOAT8(0.0 - sparsevec_rank(METRIC_IP, fcinfo));
}

SPARSEVEC_FUNCTION(sparsevec_negative_inner_product)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_IP, sparsevec_rank(METRIC_IP, fcinfo)));
}

SPARSEVEC_FUNCTION(sparsevec_cosine_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_COSINE, sparsevec_rank(METRIC_COSINE, fcinfo)));
}

SPARSEVEC_FUNCTION(sparsevec_l1_distance)
{
	PG_RETURN_FLOAT8(metric_shown(METRIC_L1, sparsevec_rank(METRIC_L1, fcinfo)));
}

/* ----------
 * One vector
 * ----------
 */

static double
sparsevec_length(const SparseVector *v)
{
	return sqrt(simd_get()->sumsq_f32(SPARSEVEC_VALUES(v), v->nnz));
}

SPARSEVEC_FUNCTION(sparsevec_l2_norm)
{
	PG_RETURN_FLOAT8(sparsevec_length(PG_GETARG_SPARSEVEC_P(0)));
}

/* A new value of all the elements of v but its zeros, of which there are so many. */
static SparseVector *
without_zeros(const SparseVector *v, int zeros)
{
	SparseVector *result = sparsevec_new(v->dim, v->nnz - zeros);
	const float4 *values = SPARSEVEC_VALUES(v);

	for (int i = 0, n = 0; n < result->nnz; i++)
	{
		result->indices[n] = v->indices[i];
		SPARSEVEC_VALUES(result)[n] = values[i];
		n += values[i] != 0;
	}
	return result;
}

/* A zero vector stays what it is; elements that become too small for float4 are left out. */
SPARSEVEC_FUNCTION(sparsevec_l2_normalize)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	const float4 *values = SPARSEVEC_VALUES(v);
	double		length = sparsevec_length(v);
	SparseVector *result = sparsevec_new(v->dim, v->nnz);
	float4	   *sink = SPARSEVEC_VALUES(result);
	int			vanished = 0;

	memcpy(result->indices, v->indices, sizeof(int32) * v->nnz);
	for (int i = 0, nnz = v->nnz; i < nnz; i++)
	{
		sink[i] = (float4) (values[i] / length);
		vanished += sink[i] == 0;
	}
	PG_RETURN_POINTER(vanished == 0 ? result : without_zeros(result, vanished));
}

/* ----------
 * Order and equality: as of arrays with all their zeros.  Btree support must
 * not leak, hence the frees.
 * ----------
 */

static int
compare_elements(const SparseVector *a, const SparseVector *b)
{
	const float4 *a_values = SPARSEVEC_VALUES(a);
	const float4 *b_values = SPARSEVEC_VALUES(b);
	int			dims = (a->dim > b->dim) - (a->dim < b->dim);
	int32		shared = Min(a->dim, b->dim);
	int			i = 0;
	int32		a_index;
	int32		b_index;
	float4		x;
	float4		y;

	while (i < a->nnz && i < b->nnz && a->indices[i] == b->indices[i] && a_values[i] == b_values[i])
		i++;

	/* the next element of each, if the other has its dimension: else the lengths decide */
	a_index = i < a->nnz ? a->indices[i] : shared;
	b_index = i < b->nnz ? b->indices[i] : shared;
	if (Min(a_index, b_index) >= shared)
		return dims;

	x = a_index <= b_index ? a_values[i] : 0;
	y = b_index <= a_index ? b_values[i] : 0;
	return (x > y) - (x < y);
}

static int
sparsevec_compare(FunctionCallInfo fcinfo)
{
	SparseVector *a = PG_GETARG_SPARSEVEC_P(0);
	SparseVector *b = PG_GETARG_SPARSEVEC_P(1);
	int			result = compare_elements(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return result;
}

static bool
sparsevec_equal(FunctionCallInfo fcinfo)
{
	/* sizes differ: no need to fetch what may be toasted */
	if (toast_raw_datum_size(PG_GETARG_DATUM(0)) != toast_raw_datum_size(PG_GETARG_DATUM(1)))
		return false;
	return sparsevec_compare(fcinfo) == 0;
}

SPARSEVEC_FUNCTION(sparsevec_lt)
{
	PG_RETURN_BOOL(sparsevec_compare(fcinfo) < 0);
}

SPARSEVEC_FUNCTION(sparsevec_le)
{
	PG_RETURN_BOOL(sparsevec_compare(fcinfo) <= 0);
}

SPARSEVEC_FUNCTION(sparsevec_eq)
{
	PG_RETURN_BOOL(sparsevec_equal(fcinfo));
}

SPARSEVEC_FUNCTION(sparsevec_ne)
{
	PG_RETURN_BOOL(!sparsevec_equal(fcinfo));
}

SPARSEVEC_FUNCTION(sparsevec_ge)
{
	PG_RETURN_BOOL(sparsevec_compare(fcinfo) >= 0);
}

SPARSEVEC_FUNCTION(sparsevec_gt)
{
	PG_RETURN_BOOL(sparsevec_compare(fcinfo) > 0);
}

SPARSEVEC_FUNCTION(sparsevec_cmp)
{
	PG_RETURN_INT32(sparsevec_compare(fcinfo));
}

/*
 * Hashes are of all that follows the varlena header.  No zero is stored, so
 * none can be equal and have other bytes.
 */
#define HASHED(v) ((const unsigned char *) &(v)->dim)
#define HASHED_SIZE(v) ((int) (VARSIZE(v) - offsetof(SparseVector, dim)))

SPARSEVEC_FUNCTION(sparsevec_hash)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	Datum		result = hash_any(HASHED(v), HASHED_SIZE(v));

	PG_FREE_IF_COPY(v, 0);
	return result;
}

SPARSEVEC_FUNCTION(sparsevec_hash_extended)
{
	SparseVector *v = PG_GETARG_SPARSEVEC_P(0);
	Datum		result = hash_any_extended(HASHED(v), HASHED_SIZE(v), (uint64) PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(v, 0);
	return result;
}
