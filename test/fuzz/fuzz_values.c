/*
 * fuzz_values.c
 *		Arguments of every type that the extension's functions take.
 *
 * A value is first made as the server would store it in memory, and then
 * handed over in one of the forms that a stored value can have: with a long
 * or a short header, compressed, or behind a pointer.  Its memory ends where
 * it ends.
 */
#include "fuzz.h"

#include <float.h>
#include <math.h>

#include "access/htup_details.h"
#include "access/toast_internals.h"
#include "catalog/pg_type.h"
#include "common/string.h"
#include "port/pg_bswap.h"
#include "types/vectors.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/syscache.h"
#include "utils/varbit.h"

static const int32 edges[] = {
	0, 1, -1, 2, -2, 3, 7, 8, 9, 15, 16, 17, 100, 127, 128, 255, 256, 1000, 15999, 16000, 16001, 32767, 32768, 65535,
	65536, -32768, -16000, 1000000000, 1000000001, 999999999, 536870911, 536870912, 268435456, PG_INT32_MAX,
	PG_INT32_MIN, PG_INT32_MAX - 1, PG_INT32_MIN + 1
};

/* bits of float4: NaN, infinity, and what is next to them or to zero */
static const uint32 float_edges[] = {
	0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff, 0x7f7fffff, 0xff7fffff, 0x00000001,
	0x80000001, 0x007fffff, 0x00800000, 0x80000000, 0x00000000, 0x3f800000, 0x4f000000, 0xcf000000, 0xcf000001,
	0x4effffff, 0x477fe000, 0x477ff000, 0x477fefff, 0x33000000, 0x33000001, 0x387fc000, 0x38800000
};

FuzzKind
fuzz_kind(Oid type)
{
	static Oid	known[4];
	static const char *const names[] = {"", "vector", "halfvec", "sparsevec"};

	for (int kind = FUZZ_VECTOR; kind <= FUZZ_SPARSEVEC; kind++)
	{
		if (known[kind] == type)
			return (FuzzKind) kind;
	}
	if (type >= FirstNormalObjectId)
	{
		HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
		const char *name = HeapTupleIsValid(tuple) ? NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname) : "";
		int			kind;

		for (kind = FUZZ_SPARSEVEC; kind > FUZZ_OTHER && strcmp(name, names[kind]) != 0; kind--)
			;
		if (HeapTupleIsValid(tuple))
			ReleaseSysCache(tuple);
		if (kind != FUZZ_OTHER)
			known[kind] = type;
		return (FuzzKind) kind;
	}
	return FUZZ_OTHER;
}

/* ----------
 * Sizes and numbers
 * ----------
 */

static int
random_dim(FuzzRandom *r)
{
	static const int powers[] = {16, 32, 64, 128, 256, 512, 1024, 2048};

	if (fuzz_chance(r, 2))
		return 15980 + (int) fuzz_below(r, 21);
	if (fuzz_chance(r, 20))
		return fuzz_pick(r, powers) - 1 + (int) fuzz_below(r, 3);
	if (fuzz_chance(r, 100))
		return 1 + (int) fuzz_below(r, 200);
	return 1 + (int) fuzz_below(r, fuzz_chance(r, 500) ? 5 : 40);
}

static int64
random_sparse_dim(FuzzRandom *r, int dim)
{
	if (fuzz_chance(r, 600))
		return dim + fuzz_below(r, 10);
	if (fuzz_chance(r, 300))
		return SPARSEVEC_MAX_DIM - fuzz_below(r, 3);
	if (fuzz_chance(r, 20))
		return fuzz_pick(r, edges);
	return 1 + fuzz_below(r, 40000);
}

void
fuzz_call_init(FuzzCall *call, uint64 key, bool damaged, Oid result_type, bool slow)
{
	memset(call, 0, offsetof(FuzzCall, args));
	call->random.state = key;
	call->damaged = damaged;
	call->result_type = result_type;
	call->dim = random_dim(&call->random);
	if (slow && fuzz_chance(&call->random, 998))
		call->dim = 1 + call->dim % 8;
	call->sparse_dim = random_sparse_dim(&call->random, call->dim);
}

static int32
random_int(FuzzCall *call)
{
	FuzzRandom *r = &call->random;

	if (fuzz_chance(r, 400))
		return call->dim + (fuzz_chance(r, 300) ? (int) fuzz_below(r, 5) - 2 : 0);
	if (fuzz_chance(r, 300))
		return (int32) fuzz_below(r, 2 * call->dim + 1) - call->dim / 2;
	if (fuzz_chance(r, 800))
		return fuzz_pick(r, edges);
	return (int32) fuzz_bits(r);
}

/* What a value's elements look like; one of these for all of them. */
typedef enum Spread
{
	SPREAD_INTEGERS,
	SPREAD_UNIT,
	SPREAD_BITS,				/* any float, mostly far from one */
	SPREAD_EDGES
} Spread;

static Spread
random_spread(FuzzRandom *r)
{
	static const Spread spreads[] = {
		SPREAD_INTEGERS, SPREAD_INTEGERS, SPREAD_UNIT, SPREAD_UNIT, SPREAD_UNIT, SPREAD_BITS, SPREAD_EDGES
	};

	return fuzz_pick(r, spreads);
}

/* Any bits; not always a number. */
static float4
random_float4(FuzzRandom *r, Spread spread)
{
	uint32		bits = (uint32) fuzz_bits(r);
	float4		x;

	switch (spread)
	{
		case SPREAD_INTEGERS:
			return (float4) ((int) (bits % 21) - 10);
		case SPREAD_UNIT:
			return (float4) bits / 2147483648.0f - 1;
		case SPREAD_EDGES:
			bits = fuzz_pick(r, float_edges);
			break;
		case SPREAD_BITS:
			break;
	}
	memcpy(&x, &bits, sizeof(x));
	return x;
}

static float4
random_finite(FuzzRandom *r, Spread spread)
{
	float4		x = random_float4(r, spread);

	return isfinite(x) ? x : 1;
}

static float8
random_float8(FuzzRandom *r, Spread spread)
{
	uint64		bits;
	float8		x;

	if (spread != SPREAD_BITS || fuzz_chance(r, 500))
		return random_float4(r, spread);
	bits = fuzz_bits(r);
	memcpy(&x, &bits, sizeof(x));
	return x;
}

static uint16
random_half(FuzzRandom *r, Spread spread)
{
	static const uint16 half_edges[] = {0, 0x8000, 1, 0x8001, 0x3ff, 0x400, 0x7bff, 0xfbff, 0x3c00, 0xbc00};
	uint16		bits = (uint16) fuzz_bits(r);

	if (spread == SPREAD_EDGES)
		return fuzz_pick(r, half_edges);
	if (spread == SPREAD_UNIT)
		return (bits & 0x8000) | (0x3000 + (bits & 0x0bff));	/* 1/8 to 2 */
	if (spread == SPREAD_INTEGERS)
		return (bits & 0x8000) | (uint16) (0x3c00 + ((bits & 7) << 9));	/* 1 to 7 and a half */
	return (bits & 0x7c00) == 0x7c00 ? bits & 0x83ff : bits;
}

/* ----------
 * The extension's types, with a long header, palloc'd
 * ----------
 */

/* The dimensions of one more argument: those of the others, mostly. */
static int
next_dim(FuzzCall *call)
{
	return fuzz_chance(&call->random, 930) ? call->dim : random_dim(&call->random);
}

static void *
make_vector(FuzzCall *call)
{
	FuzzRandom *r = &call->random;
	int			dim = next_dim(call);
	Spread		spread = random_spread(r);
	Vector	   *v = palloc0(VECTOR_SIZE(dim));

	SET_VARSIZE(v, VECTOR_SIZE(dim));
	v->dim = (int16) dim;
	for (int i = 0; i < dim; i++)
		v->x[i] = random_finite(r, spread);
	return v;
}

static void *
make_halfvec(FuzzCall *call)
{
	FuzzRandom *r = &call->random;
	int			dim = next_dim(call);
	Spread		spread = random_spread(r);
	HalfVector *v = palloc0(HALFVEC_SIZE(dim));

	SET_VARSIZE(v, HALFVEC_SIZE(dim));
	v->dim = (int16) dim;
	for (int i = 0; i < dim; i++)
		v->x[i] = random_half(r, spread);
	return v;
}

static void *
make_sparsevec(FuzzCall *call)
{
	FuzzRandom *r = &call->random;
	int64		dim = fuzz_chance(r, 930) ? call->sparse_dim : random_sparse_dim(r, call->dim);
	Spread		spread = random_spread(r);
	int64		nnz;
	int64		step;
	SparseVector *v;

	dim = Max(Min(dim, SPARSEVEC_MAX_DIM), 1);
	nnz = fuzz_chance(r, 500) ? call->dim : fuzz_below(r, call->dim + 1);
	if (call->dim > 15000)
		nnz = SPARSEVEC_MAX_NNZ - fuzz_below(r, 2);
	nnz = Min(nnz, dim);
	step = nnz > 0 ? dim / nnz : 1;

	v = palloc0(SPARSEVEC_SIZE(nnz));
	SET_VARSIZE(v, SPARSEVEC_SIZE(nnz));
	v->dim = (int32) dim;
	v->nnz = (int32) nnz;
	for (int i = 0; i < nnz; i++)
	{
		float4		x = random_finite(r, spread);

		/* the last one, now and then, at the very end */
		v->indices[i] = (int32) (i * step + (fuzz_chance(r, 300) ? step - 1 : fuzz_below(r, step)));
		SPARSEVEC_VALUES(v)[i] = x == 0 ? 1 : x;
	}
	return v;
}

/* Like another value of the type, but for a few elements. */
static void *
make_alike(FuzzCall *call, const void *other, FuzzKind kind)
{
	FuzzRandom *r = &call->random;
	void	   *copy = palloc(VARSIZE(other));

	memcpy(copy, other, VARSIZE(other));
	for (int64 n = fuzz_below(r, 4); n > 0; n--)
	{
		if (kind == FUZZ_VECTOR)
			((Vector *) copy)->x[fuzz_below(r, ((Vector *) copy)->dim)] = random_finite(r, random_spread(r));
		else if (kind == FUZZ_HALFVEC)
			((HalfVector *) copy)->x[fuzz_below(r, ((HalfVector *) copy)->dim)] = random_half(r, random_spread(r));
		else if (((SparseVector *) copy)->nnz > 0)
		{
			float4		x = random_finite(r, random_spread(r));

			SPARSEVEC_VALUES((SparseVector *) copy)[fuzz_below(r, ((SparseVector *) copy)->nnz)] = x == 0 ? 2 : x;
		}
	}
	return copy;
}

/* As a page with wrong bits might give it. */
static void *
damage(FuzzCall *call, void *value, FuzzKind kind)
{
	FuzzRandom *r = &call->random;
	Size		size = VARSIZE(value);

	for (int64 n = fuzz_below(r, 3); n >= 0; n--)
	{
		switch (fuzz_below(r, 12))
		{
			case 0:				/* it ends early */
				size = VARHDRSZ + (Size) fuzz_below(r, (int64) (size - VARHDRSZ + 1));
				break;
			case 1:				/* or late */
				value = repalloc(value, size + 64);
				for (int64 more = 1 + fuzz_below(r, 64); more > 0; more--)
					((char *) value)[size++] = (char) fuzz_bits(r);
				break;
			case 2:				/* dimensions */
				if (kind == FUZZ_SPARSEVEC && size >= SPARSEVEC_SIZE(0))
					((SparseVector *) value)->dim = random_int(call);
				else if (kind != FUZZ_SPARSEVEC && size >= VECTOR_SIZE(0))
					((Vector *) value)->dim = (int16) random_int(call);
				break;
			case 3:				/* number of elements, or what is unused */
				if (kind == FUZZ_SPARSEVEC && size >= SPARSEVEC_SIZE(0))
					((SparseVector *) value)->nnz = random_int(call);
				else if (kind != FUZZ_SPARSEVEC && size >= VECTOR_SIZE(0))
					((Vector *) value)->unused = (int16) fuzz_bits(r);
				break;
			default:
				/* a word: an index, a float or two halves */
				if (size >= VARHDRSZ + sizeof(uint32))
				{
					Size		words = (size - VARHDRSZ) / sizeof(uint32);
					uint32		word = fuzz_chance(r, 500) ? fuzz_pick(r, float_edges) : (uint32) random_int(call);

					memcpy((char *) value + VARHDRSZ + sizeof(uint32) * fuzz_below(r, (int64) words),
						   &word, sizeof(word));
				}
				break;
		}
	}
	SET_VARSIZE(value, size);
	return value;
}

static void *
make_own(FuzzCall *call, Oid type)
{
	FuzzKind	kind = fuzz_kind(type);
	void	   *value = NULL;

	for (int i = 0; i < call->nargs; i++)
	{
		if (call->types[i] == type && fuzz_chance(&call->random, 300))
			value = make_alike(call, call->plain[i], kind);
	}
	if (value == NULL)
		value = kind == FUZZ_VECTOR ? make_vector(call) :
			kind == FUZZ_HALFVEC ? make_halfvec(call) : make_sparsevec(call);
	return value;
}

/* ----------
 * Other types
 * ----------
 */

static void *
make_bits(FuzzCall *call)
{
	FuzzRandom *r = &call->random;
	int			n = fuzz_chance(r, 20) ? 0 : next_dim(call);
	Size		size = VARBITTOTALLEN(n);
	VarBit	   *v = palloc0(size);

	SET_VARSIZE(v, size);
	VARBITLEN(v) = n;
	for (int i = 0; i < n; i++)
	{
		if (fuzz_chance(r, 500))
			VARBITS(v)[i / 8] |= (bits8) (0x80 >> (i % 8));
	}
	return v;
}

static Datum
make_numeric(FuzzRandom *r)
{
	if (fuzz_chance(r, 700))
		return NumericGetDatum(int64_to_numeric(fuzz_below(r, 20001) - 10000));
	return DirectFunctionCall3(numeric_in, CStringGetDatum(fuzz_numeric(r)), ObjectIdGetDatum(InvalidOid),
							   Int32GetDatum(-1));
}

static char *
make_typmod(FuzzCall *call)
{
	static const char *const odd[] = {
		"", "a", "-1", "0", "3.5", "1e3", " 3 ", "3 3", "+3", "99999999999999999999", "2147483648", "-2147483648",
		"0x10", "NULL", "16000", "16001", "1000000000", "1000000001", "\xff", "٣"
	};

	if (fuzz_chance(&call->random, 300))
		return pstrdup(fuzz_pick(&call->random, odd));
	return psprintf("%d", random_int(call));
}

/*
 * An array of n elements of the type: one-dimensional mostly, without nulls
 * mostly, its subscripts from anywhere.
 */
static void *
make_array(FuzzCall *call, Oid element)
{
	FuzzRandom *r = &call->random;
	int			ndim = 1;
	int			dims[MAXDIM];
	int			lower[MAXDIM];
	int			n = element == CSTRINGOID ? 1 : next_dim(call);
	bool		state = element == FLOAT8OID && fuzz_chance(r, 700);
	bool		nulls_about = fuzz_chance(r, 30);
	bool		huge = fuzz_chance(r, 10);
	Spread		spread = random_spread(r);
	Datum	   *values;
	bool	   *nulls;
	int16		len;
	bool		byval;
	char		align;

	/* as the state of an aggregate: a count before the sums */
	dims[0] = n + (state ? 1 : 0);
	if (fuzz_chance(r, element == CSTRINGOID ? 100 : 15))
		dims[0] = (int) fuzz_below(r, 4);
	if (element != CSTRINGOID && fuzz_chance(r, 1))
		dims[0] = 15999 + (int) fuzz_below(r, 4);
	if (fuzz_chance(r, 30))
	{
		ndim = 1 + (int) fuzz_below(r, MAXDIM);
		for (int i = 0; i < ndim; i++)
			dims[i] = fuzz_chance(r, 500) ? 1 : 1 + (int) fuzz_below(r, 3);
	}
	n = 1;
	for (int i = 0; i < ndim; i++)
	{
		n *= dims[i];
		lower[i] = fuzz_chance(r, 950) ? 1 :
			fuzz_chance(r, 500) ? PG_INT32_MIN : PG_INT32_MAX - dims[i] - (int) fuzz_below(r, 3);
	}
	if (n == 0)
		ndim = 0;

	values = palloc(sizeof(Datum) * Max(n, 1));
	nulls = palloc0(Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		nulls[i] = nulls_about && fuzz_chance(r, 200);
		if (nulls[i])
			values[i] = (Datum) 0;
		else if (element == INT4OID)
			values[i] = Int32GetDatum(spread == SPREAD_EDGES ? fuzz_pick(r, edges) :
									  spread == SPREAD_BITS ? (int32) fuzz_bits(r) : (int32) fuzz_below(r, 100) - 50);
		else if (element == FLOAT4OID)
			values[i] = Float4GetDatum(fuzz_chance(r, 5) ? random_float4(r, spread) : random_finite(r, spread));
		else if (element == FLOAT8OID && state && i == 0 && fuzz_chance(r, 900))
			values[i] = Float8GetDatum((float8) fuzz_below(r, 5));
		else if (element == FLOAT8OID)
			values[i] = Float8GetDatum(huge ? (fuzz_chance(r, 900) ? DBL_MAX : -DBL_MAX) :
									   fuzz_chance(r, 5) ? random_float8(r, SPREAD_BITS) : random_finite(r, spread));
		else if (element == NUMERICOID)
			values[i] = make_numeric(r);
		else
			values[i] = CStringGetDatum(make_typmod(call));
	}
	get_typlenbyvalalign(element, &len, &byval, &align);
	return construct_md_array(values, nulls, ndim, dims, lower, element, len, byval, align);
}

/* The message of a receive function, as the type's send function writes it, then changed. */
static StringInfo
make_message(FuzzCall *call)
{
	FuzzRandom *r = &call->random;
	FuzzKind	kind = fuzz_kind(call->result_type);
	char	   *value = make_own(call, call->result_type);
	int			size = (int) VARSIZE(value) - VARHDRSZ;
	int			header = kind == FUZZ_SPARSEVEC ? 12 : 4;
	int			width = kind == FUZZ_HALFVEC ? 2 : 4;
	char	   *wire = palloc(size + 64);
	StringInfo	message = fuzz_alloc(sizeof(StringInfoData));

	/* big-endian: the header's fields are half as wide as its length, or a third */
	memcpy(wire, value + VARHDRSZ, size);
	for (int i = 0, w; i < size; i += w)
	{
		w = i < header ? (kind == FUZZ_SPARSEVEC ? 4 : 2) : width;
		for (int j = 0; j < w / 2; j++)
		{
			char		c = wire[i + j];

			wire[i + j] = wire[i + w - 1 - j];
			wire[i + w - 1 - j] = c;
		}
	}

	for (int64 n = fuzz_chance(r, 600) ? 1 + fuzz_below(r, 3) : 0; n > 0; n--)
	{
		int			words = size / width;
		int			at = words > 0 ? (int) fuzz_below(r, words) * width : 0;
		uint32		word;

		switch (fuzz_below(r, 8))
		{
			case 0:				/* too short */
				size = (int) fuzz_below(r, size + 1);
				break;
			case 1:				/* too long */
				if (size < (int) VARSIZE(value))
				{
					for (int64 more = 1 + fuzz_below(r, 60); more > 0; more--)
						wire[size++] = (char) fuzz_bits(r);
				}
				break;
			case 2:				/* a bit */
				if (size > 0)
					wire[fuzz_below(r, size)] ^= (char) (1 << fuzz_below(r, 8));
				break;
			case 3:				/* a field of the header */
				word = pg_hton32((uint32) random_int(call));
				if (kind == FUZZ_SPARSEVEC && size >= header)
					memcpy(wire + 4 * fuzz_below(r, 3), &word, 4);
				else if (kind != FUZZ_SPARSEVEC && size >= header)
					memcpy(wire + 2 * fuzz_below(r, 2), (char *) &word + 2, 2);
				break;
			case 4:				/* a number that is none */
				if (words > 0)
				{
					static const uint16 odd[] = {0x7c00, 0xfc00, 0x7e00, 0x7c01, 0xffff, 0x8000, 0};
					uint16		half = pg_hton16(fuzz_pick(r, odd));

					word = pg_hton32(fuzz_pick(r, float_edges));
					memcpy(wire + at, width == 2 ? (char *) &half : (char *) &word, width);
				}
				break;
			case 5:				/* any word */
				word = pg_hton32((uint32) random_int(call));
				if (words > 0)
					memcpy(wire + at, &word, width);
				break;
			case 6:				/* one word as another */
				if (words > 0)
					memmove(wire + at, wire + fuzz_below(r, words) * width, width);
				break;
			default:
				if (fuzz_chance(r, 50))
				{
					for (int i = 0; i < size; i++)
						wire[i] = (char) fuzz_bits(r);
				}
				break;
		}
	}

	message->data = fuzz_alloc(size);
	memcpy(message->data, wire, size);
	message->len = size;
	message->maxlen = size;
	message->cursor = 0;
	return message;
}

/* ----------
 * Handing over
 * ----------
 */

/* In one of the forms of a stored value; value has a long header. */
static Datum
store(FuzzCall *call, const void *value)
{
	FuzzRandom *r = &call->random;
	Size		size = VARSIZE(value);
	int			form = (int) fuzz_below(r, 20);
	char	   *stored;

	if (form < 3 && size - VARHDRSZ + VARHDRSZ_SHORT <= VARATT_SHORT_MAX)
	{
		/* a short header may stand at any address */
		Size		off = (Size) fuzz_below(r, 8);

		stored = (char *) fuzz_alloc(off + size - VARHDRSZ + VARHDRSZ_SHORT) + off;
		SET_VARSIZE_SHORT(stored, size - VARHDRSZ + VARHDRSZ_SHORT);
		memcpy(VARDATA_SHORT(stored), VARDATA(value), size - VARHDRSZ);
		return PointerGetDatum(stored);
	}
	if (form == 3)
	{
		Datum		compressed = toast_compress_datum(PointerGetDatum(value), TOAST_PGLZ_COMPRESSION);

		if (DatumGetPointer(compressed) != NULL)
		{
			stored = fuzz_alloc(VARSIZE(DatumGetPointer(compressed)));
			memcpy(stored, DatumGetPointer(compressed), VARSIZE(DatumGetPointer(compressed)));
			return PointerGetDatum(stored);
		}
	}

	stored = fuzz_alloc(size);
	memcpy(stored, value, size);
	if (form == 4)
	{
		varatt_indirect pointer = {(struct varlena *) stored};
		Size		off = (Size) fuzz_below(r, 8);
		char	   *behind = (char *) fuzz_alloc(off + VARHDRSZ_EXTERNAL + sizeof(pointer)) + off;

		SET_VARTAG_EXTERNAL(behind, VARTAG_INDIRECT);
		memcpy(VARDATA_EXTERNAL(behind), &pointer, sizeof(pointer));
		return PointerGetDatum(behind);
	}
	return PointerGetDatum(stored);
}

static Datum
store_cstring(const char *text)
{
	char	   *copy = fuzz_alloc(strlen(text) + 1);

	strcpy(copy, text);
	return CStringGetDatum(copy);
}

Datum
fuzz_argument(FuzzCall *call, Oid type)
{
	FuzzRandom *r = &call->random;
	void	   *plain = NULL;
	Datum		value = (Datum) 0;

	switch (type)
	{
		case BOOLOID:
			value = BoolGetDatum(fuzz_chance(r, 500));
			break;
		case INT4OID:
			/* as a type modifier: none, mostly */
			value = Int32GetDatum(fuzz_chance(r, 400) ? -1 : random_int(call));
			break;
		case INT8OID:
			value = Int64GetDatum(fuzz_chance(r, 500) ? (int64) fuzz_bits(r) : fuzz_pick(r, edges));
			break;
		case FLOAT4OID:
			value = Float4GetDatum(random_float4(r, random_spread(r)));
			break;
		case FLOAT8OID:
			value = Float8GetDatum(random_float8(r, random_spread(r)));
			break;
		case OIDOID:
			value = ObjectIdGetDatum(fuzz_chance(r, 500) ? InvalidOid : (Oid) random_int(call));
			break;
		case CSTRINGOID:
			value = store_cstring(fuzz_text(r, fuzz_kind(call->result_type), call->dim, call->sparse_dim));
			break;
		case INTERNALOID:
			value = PointerGetDatum(make_message(call));
			break;
		case TEXTOID:
			plain = cstring_to_text(fuzz_text(r, fuzz_kind(call->result_type), call->dim, call->sparse_dim));
			break;
		case BITOID:
		case VARBITOID:
			plain = make_bits(call);
			break;
		case INT4ARRAYOID:
			plain = make_array(call, INT4OID);
			break;
		case FLOAT4ARRAYOID:
			plain = make_array(call, FLOAT4OID);
			break;
		case FLOAT8ARRAYOID:
			plain = make_array(call, FLOAT8OID);
			break;
		case NUMERICARRAYOID:
			plain = make_array(call, NUMERICOID);
			break;
		case CSTRINGARRAYOID:
			plain = make_array(call, CSTRINGOID);
			break;
		case JSONBOID:
			plain = DatumGetPointer(DirectFunctionCall1(jsonb_in, CStringGetDatum(fuzz_json(r, next_dim(call)))));
			break;
		default:
			if (fuzz_kind(type) == FUZZ_OTHER)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("fuzz: no way to make values of type %s", format_type_be(type)),
						 errhint("Teach fuzz_argument() in test/fuzz/fuzz_values.c how.")));
			plain = make_own(call, type);
			break;
	}

	call->types[call->nargs] = type;
	call->plain[call->nargs] = plain;
	if (plain != NULL)
	{
		if (call->damaged && fuzz_kind(type) != FUZZ_OTHER)
		{
			void	   *copy = palloc(VARSIZE(plain));

			memcpy(copy, plain, VARSIZE(plain));
			plain = damage(call, copy, fuzz_kind(type));
		}
		value = store(call, plain);
	}
	call->args[call->nargs++] = value;
	return value;
}

/* ----------
 * For a reader
 * ----------
 */

static void
describe_bytes(StringInfo out, const char *bytes, Size n)
{
	appendStringInfo(out, "%zu bytes ", n);
	for (Size i = 0; i < Min(n, 2000); i++)
		appendStringInfo(out, "%02x", (unsigned char) bytes[i]);
	if (n > 2000)
		appendStringInfoString(out, "...");
}

void
fuzz_argument_describe(StringInfo out, Datum value, Oid type)
{
	int16		len;
	bool		byval;

	appendStringInfo(out, "%s: ", format_type_be(type));
	get_typlenbyval(type, &len, &byval);
	if (type == INTERNALOID)
		describe_bytes(out, ((StringInfo) DatumGetPointer(value))->data, ((StringInfo) DatumGetPointer(value))->len);
	else if (type == CSTRINGOID)
	{
		const char *text = DatumGetCString(value);

		appendStringInfo(out, "\"%s\" = ", pg_is_ascii(text) ? text : "(not ASCII)");
		describe_bytes(out, text, strlen(text));
	}
	else if (byval)
	{
		Oid			output;
		bool		varlena;

		getTypeOutputInfo(type, &output, &varlena);
		appendStringInfoString(out, OidOutputFunctionCall(output, value));
	}
	else
	{
		struct varlena *stored = (struct varlena *) DatumGetPointer(value);
		struct varlena *plain = PG_DETOAST_DATUM(value);

		appendStringInfo(out, "%s, detoasted ",
						 VARATT_IS_EXTERNAL(stored) ? "behind a pointer" :
						 VARATT_IS_COMPRESSED(stored) ? "compressed" :
						 VARATT_IS_SHORT(stored) ? "short header" : "long header");
		describe_bytes(out, (char *) plain, VARSIZE(plain));
	}
}
