/*
 * simd_impl.h
 *		The kernels of one instruction-set level: a template.
 *
 * No include guard: an instance file (simd_baseline.c, simd_avx2.c,
 * simd_avx512.c) defines the primitives listed below, then includes this
 * file, which ends in the level's table.
 *
 *	KERNEL(name)		name with the level as suffix, so that profiles tell
 *	KERNEL_LEVEL		the SimdLevel
 *	KERNEL_LEVEL_NAME	its name
 *	F32_GROUP			vectors scored together; F32_ACCS * F32_GROUP sums
 *						should stay in registers
 *
 * Floats: VF is a vector of VF_LANES floats.
 *	vf_zero() vf_set1(x) vf_load(p) vf_store(p, v)
 *	vf_load_part(p, k)	first k lanes, 0 < k < VF_LANES, zero in the others;
 *						touches no byte past p + k
 *	vf_keep_part(v, k)	the same of a register
 *	vf_add vf_sub vf_mul vf_div vf_sqrt vf_abs
 *	vf_min(a, b) vf_max(a, b)	b where either is no number
 *	vf_equal_bits(a, b)	a bit for each lane that is equal, lane 0's lowest
 *	vf_fma(a, b, c)		a * b + c, one rounding where the level has it
 *	vf_sum(v)			of all lanes
 *	vf_load_half(p) vf_load_half_part(p, k)	the same of halves, as floats
 *	vf_store_half(p, v)	as halves, to the nearest, ties to even
 *	vf_u8(p) vf_lo4(p) vf_hi4(p)	the next VF_LANES bytes, or their low or
 *						high nibbles, as floats
 *	vf_swap1 .. vf_swap8(v)	lanes so far apart exchanged, those below VF_LANES
 *	vf_butterfly(v, h)	one Walsh-Hadamard stage between lanes h apart,
 *						h a constant below VF_LANES
 *
 * Doubles: VD is a vector of VD_LANES doubles.
 *	vd_zero() vd_add(a, b) vd_sum(v)
 *	vd_add_squares(v, p)	adds the squares of the next VD_LANES floats
 *
 * Integers: sums of 64 code bytes at a time into an accumulator.
 *	U4Sum, u4_zero(), u4_step(sum, code, query_lo, query_hi), u4_total(sum)
 *	U8Sum, u8_zero(), u8_step(sum, code, query), u8_total(sum)
 *	vi_sum(v) and, four at once, vi_sum4(v0, v1, v2, v3, out), of what
 *	u4_total() and u8_total() give
 *
 * Table lookup, where the level has it: LV is a vector of the bytes of
 * LUT_PARTS parts of a block, 16 each.
 *	lv_zero()
 *	lv_load(p, stride, k)	16 bytes of each of k parts, stride bytes apart, k a
 *						constant that is 1 or LUT_PARTS; zero in the others
 *	lv_lookup(tables, nibbles)	each part's bytes in its table
 *	lv_low(v) lv_high(v)	the nibbles of each byte
 *	lv_add(a, b) lv_odd(v)	16-bit sums; the odd bytes of v as such
 *	lv_add_to(out, all, odd)	adds to out[0..16) the sums of all parts, from
 *						those of 16 bits and those of odd bytes alone
 *
 * Bits: those of bits_impl.h.  Ranges: those of range_impl.h.
 */
#include "simd/simd_tables.h"

#include <string.h>

/* Vectors of columns whose sums columns_f32 keeps in registers. */
#define COLUMNS_GROUP 8

/*
 * Independent sums of one vector: enough to cover the latency of the adds.
 * The order in which elements go to sums is the same in every float kernel
 * (F32_WALK), and so is how the sums are put together (f32_total): this is
 * what makes batch, pair and cosine forms agree to the bit.
 */
#define F32_ACCS 4

/*
 * Walk n elements.  full(k, i) adds elements i .. i + VF_LANES to sum k;
 * part(k, i, left) adds the last left of them, fewer than VF_LANES.
 */
#define F32_WALK(n, full, part) \
	do { \
		int			i_ = 0; \
		int			n_ = (n); \
		for (; i_ <= n_ - 4 * VF_LANES; i_ += 4 * VF_LANES) \
		{ \
			full(0, i_); \
			full(1, i_ + VF_LANES); \
			full(2, i_ + 2 * VF_LANES); \
			full(3, i_ + 3 * VF_LANES); \
		} \
		if (i_ <= n_ - VF_LANES) \
		{ \
			full(0, i_); \
			i_ += VF_LANES; \
			if (i_ <= n_ - VF_LANES) \
			{ \
				full(1, i_); \
				i_ += VF_LANES; \
				if (i_ <= n_ - VF_LANES) \
				{ \
					full(2, i_); \
					i_ += VF_LANES; \
				} \
			} \
		} \
		if (i_ < n_) \
			part(3, i_, n_ - i_); \
	} while (0)

typedef enum F32Op
{
	OP_L2SQ,
	OP_DOT,
	OP_L1
} F32Op;

/* What a vector's elements are in memory; in registers they are floats. */
typedef enum F32Source
{
	FROM_F32,
	FROM_F16
} F32Source;

/* Elements i .. i + VF_LANES, or the first k of them; source is a constant wherever these are inlined. */
SIMD_INLINE VF
f32_load(F32Source source, const void *vec, int i)
{
	if (source == FROM_F16)
		return vf_load_half((const uint16_t *) vec + i);
	return vf_load((const float *) vec + i);
}

SIMD_INLINE VF
f32_load_part(F32Source source, const void *vec, int i, int k)
{
	if (source == FROM_F16)
		return vf_load_half_part((const uint16_t *) vec + i, k);
	return vf_load_part((const float *) vec + i, k);
}

/* op is a constant wherever this is inlined */
SIMD_INLINE VF
f32_step(F32Op op, VF sum, VF a, VF b)
{
	VF			d;

	if (op == OP_DOT)
		return vf_fma(a, b, sum);
	d = vf_sub(a, b);
	return op == OP_L2SQ ? vf_fma(d, d, sum) : vf_add(sum, vf_abs(d));
}

SIMD_INLINE float
f32_total(const VF *sums)
{
	return vf_sum(vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
}

/*
 * The query, of elements of query_source, against `width` vectors, at most
 * F32_GROUP and a constant.
 */
SIMD_INLINE void
f32_group(F32Op op, F32Source query_source, F32Source source, int width,
		  const void *query, const void *const *vecs, int n, float *out)
{
	VF			sums[F32_GROUP][F32_ACCS];
	const void *vec[F32_GROUP];

	SIMD_UNROLL
	for (int v = 0; v < width; v++)
	{
		vec[v] = vecs[v];
		sums[v][0] = sums[v][1] = sums[v][2] = sums[v][3] = vf_zero();
	}

#define FULL(k, i) \
	do { \
		VF			q_ = f32_load(query_source, query, i); \
		SIMD_UNROLL \
		for (int v = 0; v < width; v++) \
			sums[v][k] = f32_step(op, sums[v][k], q_, f32_load(source, vec[v], i)); \
	} while (0)
#define PART(k, i, left) \
	do { \
		VF			q_ = f32_load_part(query_source, query, i, left); \
		SIMD_UNROLL \
		for (int v = 0; v < width; v++) \
			sums[v][k] = f32_step(op, sums[v][k], q_, f32_load_part(source, vec[v], i, left)); \
	} while (0)

	F32_WALK(n, FULL, PART);

#undef FULL
#undef PART

	SIMD_UNROLL
	for (int v = 0; v < width; v++)
		out[v] = f32_total(sums[v]);
}

/*
 * Ask for the first `bytes` of what comes after a group while the group is
 * worked on: random places in memory are what these kernels wait for.
 */
SIMD_INLINE void
prefetch_group(const void *const *next, int count, int bytes)
{
	for (int i = 0; i < count; i++)
	{
		for (int j = 0; j < bytes; j += 64)
			__builtin_prefetch((const char *) next[i] + j);
	}
}

/* Enough of a float vector for the processor to see that it is a stream. */
#define F32_PREFETCH 256

SIMD_INLINE int
min_int(int a, int b)
{
	return a < b ? a : b;
}

/* A query of floats against vectors of either source. */
SIMD_INLINE void
f32_batch(F32Op op, F32Source source, const float *query, const void *const *vecs, int nvecs, int n, float *out)
{
	int			size = (int) (source == FROM_F16 ? sizeof(uint16_t) : sizeof(float));
	int			ahead = min_int(n * size, F32_PREFETCH);
	int			i = 0;

	for (; i <= nvecs - F32_GROUP; i += F32_GROUP)
	{
		prefetch_group(vecs + i + F32_GROUP, min_int(F32_GROUP, nvecs - i - F32_GROUP), ahead);
		f32_group(op, FROM_F32, source, F32_GROUP, query, vecs + i, n, out + i);
	}
	for (; i < nvecs; i++)
		f32_group(op, FROM_F32, source, 1, query, vecs + i, n, out + i);
}

SIMD_INLINE float
f32_pair(F32Op op, F32Source source, const void *a, const void *b, int n)
{
	float		out;

	f32_group(op, source, source, 1, a, &b, n, &out);
	return out;
}

SIMD_INLINE void
f32_cosine(F32Source source, const void *a, const void *b, int n, float sums[3])
{
	VF			ab[F32_ACCS];
	VF			aa[F32_ACCS];
	VF			bb[F32_ACCS];

	SIMD_UNROLL
	for (int k = 0; k < F32_ACCS; k++)
		ab[k] = aa[k] = bb[k] = vf_zero();

#define ADD(k, a_, b_) \
	do { \
		ab[k] = f32_step(OP_DOT, ab[k], a_, b_); \
		aa[k] = f32_step(OP_DOT, aa[k], a_, a_); \
		bb[k] = f32_step(OP_DOT, bb[k], b_, b_); \
	} while (0)
#define FULL(k, i) \
	do { \
		VF			a_ = f32_load(source, a, i); \
		VF			b_ = f32_load(source, b, i); \
		ADD(k, a_, b_); \
	} while (0)
#define PART(k, i, left) \
	do { \
		VF			a_ = f32_load_part(source, a, i, left); \
		VF			b_ = f32_load_part(source, b, i, left); \
		ADD(k, a_, b_); \
	} while (0)

	F32_WALK(n, FULL, PART);

#undef ADD
#undef FULL
#undef PART

	sums[0] = f32_total(ab);
	sums[1] = f32_total(aa);
	sums[2] = f32_total(bb);
}

/* The forms of an element type. */
#define FLOAT_KERNELS(suffix, element, source) \
static float \
KERNEL(l2sq_##suffix) (const element *a, const element *b, int n) \
{ \
	return f32_pair(OP_L2SQ, source, a, b, n); \
} \
\
static float \
KERNEL(dot_##suffix) (const element *a, const element *b, int n) \
{ \
	return f32_pair(OP_DOT, source, a, b, n); \
} \
\
static float \
KERNEL(l1_##suffix) (const element *a, const element *b, int n) \
{ \
	return f32_pair(OP_L1, source, a, b, n); \
} \
\
static void \
KERNEL(cosine_##suffix) (const element *a, const element *b, int n, float sums[3]) \
{ \
	f32_cosine(source, a, b, n, sums); \
} \
\
static void \
KERNEL(l2sq_##suffix##_batch) (const float *query, const element *const *vecs, int nvecs, int n, float *out) \
{ \
	f32_batch(OP_L2SQ, source, query, (const void *const *) vecs, nvecs, n, out); \
} \
\
static void \
KERNEL(dot_##suffix##_batch) (const float *query, const element *const *vecs, int nvecs, int n, float *out) \
{ \
	f32_batch(OP_DOT, source, query, (const void *const *) vecs, nvecs, n, out); \
} \
\
static void \
KERNEL(l1_##suffix##_batch) (const float *query, const element *const *vecs, int nvecs, int n, float *out) \
{ \
	f32_batch(OP_L1, source, query, (const void *const *) vecs, nvecs, n, out); \
}

FLOAT_KERNELS(f32, float, FROM_F32)
FLOAT_KERNELS(f16, uint16_t, FROM_F16)

static double
KERNEL(sumsq_f32) (const float *x, int n)
{
	VD			sums[4] = {vd_zero(), vd_zero(), vd_zero(), vd_zero()};
	double		rest = 0;
	int			i = 0;

	for (; i <= n - 4 * VD_LANES; i += 4 * VD_LANES)
	{
		SIMD_UNROLL
		for (int k = 0; k < 4; k++)
			sums[k] = vd_add_squares(sums[k], x + i + k * VD_LANES);
	}
	for (; i <= n - VD_LANES; i += VD_LANES)
		sums[0] = vd_add_squares(sums[0], x + i);
	for (; i < n; i++)
		rest += (double) x[i] * x[i];
	return vd_sum(vd_add(vd_add(sums[0], sums[1]), vd_add(sums[2], sums[3]))) + rest;
}

static void
KERNEL(f16_to_f32) (const uint16_t *halves, float *floats, int n)
{
	int			i = 0;

	for (; i <= n - VF_LANES; i += VF_LANES)
		vf_store(floats + i, vf_load_half(halves + i));
	if (i < n)
	{
		float		rest[VF_LANES];

		vf_store(rest, vf_load_half_part(halves + i, n - i));
		memcpy(floats + i, rest, (size_t) (n - i) * sizeof(float));
	}
}

/* What is not finite shows in the results: x - x is zero of every other number. */
static bool
KERNEL(f32_to_f16) (const float *floats, uint16_t *halves, int n)
{
	VF			zero = vf_zero();
	int			i = 0;

	for (; i <= n - VF_LANES; i += VF_LANES)
	{
		VF			result;

		vf_store_half(halves + i, vf_load(floats + i));
		result = vf_load_half(halves + i);
		zero = vf_add(zero, vf_sub(result, result));
	}
	if (i < n)
	{
		uint16_t	rest[VF_LANES];
		VF			result;

		vf_store_half(rest, vf_load_part(floats + i, n - i));
		result = vf_load_half(rest);
		zero = vf_add(zero, vf_sub(result, result));
		memcpy(halves + i, rest, (size_t) (n - i) * sizeof(uint16_t));
	}
	return vf_sum(zero) == 0;
}

/*
 * Codes go four at a time: each query vector is loaded once for the four,
 * their sums do not wait for each other, and one transposition adds up the
 * lanes of all four.
 */
#define CODE_GROUP 4

static void
KERNEL(dot_u4s8_batch) (const int8_t *query, const uint8_t *const *codes, int ncodes, int nbytes, int32_t *out)
{
	int			padded = (nbytes + 63) & ~63;
	const int8_t *query_hi = query + padded;
	int			i = 0;

	for (; i <= ncodes - CODE_GROUP; i += CODE_GROUP)
	{
		const uint8_t *c0 = codes[i];
		const uint8_t *c1 = codes[i + 1];
		const uint8_t *c2 = codes[i + 2];
		const uint8_t *c3 = codes[i + 3];
		U4Sum		s0 = u4_zero();
		U4Sum		s1 = u4_zero();
		U4Sum		s2 = u4_zero();
		U4Sum		s3 = u4_zero();

		prefetch_group((const void *const *) (codes + i + CODE_GROUP),
					   min_int(CODE_GROUP, ncodes - i - CODE_GROUP), padded);
		for (int j = 0; j < padded; j += 64)
		{
			s0 = u4_step(s0, c0 + j, query + j, query_hi + j);
			s1 = u4_step(s1, c1 + j, query + j, query_hi + j);
			s2 = u4_step(s2, c2 + j, query + j, query_hi + j);
			s3 = u4_step(s3, c3 + j, query + j, query_hi + j);
		}
		vi_sum4(u4_total(s0), u4_total(s1), u4_total(s2), u4_total(s3), out + i);
	}
	for (; i < ncodes; i++)
	{
		const uint8_t *code = codes[i];
		U4Sum		sum = u4_zero();

		for (int j = 0; j < padded; j += 64)
			sum = u4_step(sum, code + j, query + j, query_hi + j);
		out[i] = vi_sum(u4_total(sum));
	}
}

static void
KERNEL(dot_u8s16_batch) (const int16_t *query, const uint8_t *const *codes, int ncodes, int n, int32_t *out)
{
	int			padded = (n + 63) & ~63;
	int			i = 0;

	for (; i <= ncodes - CODE_GROUP; i += CODE_GROUP)
	{
		const uint8_t *c0 = codes[i];
		const uint8_t *c1 = codes[i + 1];
		const uint8_t *c2 = codes[i + 2];
		const uint8_t *c3 = codes[i + 3];
		U8Sum		s0 = u8_zero();
		U8Sum		s1 = u8_zero();
		U8Sum		s2 = u8_zero();
		U8Sum		s3 = u8_zero();

		prefetch_group((const void *const *) (codes + i + CODE_GROUP),
					   min_int(CODE_GROUP, ncodes - i - CODE_GROUP), padded);
		for (int j = 0; j < padded; j += 64)
		{
			s0 = u8_step(s0, c0 + j, query + j);
			s1 = u8_step(s1, c1 + j, query + j);
			s2 = u8_step(s2, c2 + j, query + j);
			s3 = u8_step(s3, c3 + j, query + j);
		}
		vi_sum4(u8_total(s0), u8_total(s1), u8_total(s2), u8_total(s3), out + i);
	}
	for (; i < ncodes; i++)
	{
		const uint8_t *code = codes[i];
		U8Sum		sum = u8_zero();

		for (int j = 0; j < padded; j += 64)
			sum = u8_step(sum, code + j, query + j);
		out[i] = vi_sum(u8_total(sum));
	}
}

/*
 * Parts whose entries, at most 255 each, are added in 16 bits.  A vector of
 * results holds one byte a code: the odd bytes are added by themselves, the
 * even ones with them on top, which comes off at the end.
 */
#define LUT_RUN 256

#ifdef LUT_PARTS

/* Of the codes in low and in high nibbles. */
typedef struct LutSum
{
	LV			low;
	LV			low_odd;
	LV			high;
	LV			high_odd;
} LutSum;

/* Parts that are not there have tables of zeros. */
SIMD_INLINE LutSum
lut_step(LutSum sum, const uint8_t *tables, const uint8_t *block, int stride, int k)
{
	LV			t = lv_load(tables, 16, k);
	LV			c = lv_load(block, stride, k);
	LV			low = lv_lookup(t, lv_low(c));
	LV			high = lv_lookup(t, lv_high(c));

	sum.low = lv_add(sum.low, low);
	sum.low_odd = lv_add(sum.low_odd, lv_odd(low));
	sum.high = lv_add(sum.high, high);
	sum.high_odd = lv_add(sum.high_odd, lv_odd(high));
	return sum;
}

/* stride: bytes of a part in the block, 16 wherever that is a constant */
SIMD_INLINE void
lut_block(const uint8_t *tables, const uint8_t *block, int nparts, int stride, uint32_t *low, uint32_t *high)
{
	for (int first = 0; first < nparts; first += LUT_RUN)
	{
		int			n = min_int(nparts - first, LUT_RUN);
		const uint8_t *t = tables + 16 * (size_t) first;
		const uint8_t *c = block + (size_t) stride * (size_t) first;
		LutSum		sum = {lv_zero(), lv_zero(), lv_zero(), lv_zero()};
		int			p = 0;

		for (; p <= n - LUT_PARTS; p += LUT_PARTS)
			sum = lut_step(sum, t + 16 * p, c + stride * p, stride, LUT_PARTS);
		for (; p < n; p++)
			sum = lut_step(sum, t + 16 * p, c + stride * p, stride, 1);
		lv_add_to(low, sum.low, sum.low_odd);
		lv_add_to(high, sum.high, sum.high_odd);
	}
}

static void
KERNEL(sum_u4_block) (const uint8_t *tables, const uint8_t *block, int nparts, int half, uint32_t *out)
{
	uint32_t	low[16] = {0};
	uint32_t	high[16] = {0};

	if (half == 16)
		lut_block(tables, block, nparts, 16, low, high);
	else
		lut_block(tables, block, nparts, half, low, high);
	memcpy(out, low, sizeof(low));
	memcpy(out + half, high, sizeof(high));
}

#else

/* no table lookup by vectors at this level */
static void
KERNEL(sum_u4_block) (const uint8_t *tables, const uint8_t *block, int nparts, int half, uint32_t *out)
{
	simd_table_scalar->sum_u4_block(tables, block, nparts, half, out);
}

#endif

SIMD_INLINE VF
vf_clamp(VF x, VF limit)
{
	return vf_max(vf_min(x, limit), vf_sub(vf_zero(), limit));
}

/* simd.h has the formulas */
SIMD_INLINE VF
residual_dist(const SimdResidual *r, VF a, VF b, VF sum)
{
	VF			limit = vf_set1(r->limit);
	VF			product = vf_mul(b, vf_add(vf_mul(vf_set1(r->scale), sum), vf_set1(r->bias)));

	return vf_clamp(vf_sub(vf_add(vf_set1(r->base), a), vf_clamp(product, limit)), limit);
}

SIMD_INLINE VF
residual_err(const SimdResidual *r, VF per_apart, VF a, VF b, VF dist)
{
	VF			size = vf_abs(b);
	VF			norm = vf_mul(vf_set1(r->length), size);
	VF			squares = vf_add(vf_mul(norm, norm), vf_set1(r->apart * r->apart));
	VF			along = vf_sub(vf_mul(vf_set1(r->mix), squares), vf_mul(vf_set1(r->weight), dist));
	VF			cosine = vf_div(vf_mul(along, per_apart), norm);
	VF			c = vf_min(vf_max(vf_mul(cosine, cosine), vf_zero()), vf_set1(1));
	VF			sine = vf_sub(vf_set1(1), vf_mul(vf_set1(r->trust), c));
	VF			root = vf_sqrt(vf_add(vf_mul(vf_set1(r->by_code), sine), vf_set1(r->by_query)));
	VF			terms = vf_add(vf_add(vf_set1(r->rounding), vf_add(vf_abs(a), vf_abs(a))), vf_abs(dist));
	VF			e = vf_add(vf_mul(vf_mul(vf_set1(r->unit), size), root), vf_mul(terms, vf_set1(0x1p-23f)));

	return vf_min(e, vf_set1(r->limit));
}

static void
KERNEL(residual_scores) (const SimdResidual *residual, const float *a, const float *b, const float *sums,
						 int n, float *dist, float *err)
{
	const SimdResidual r = *residual;
	VF			per_apart = vf_set1(1 / r.apart);
	int			i = 0;

	for (; i <= n - VF_LANES; i += VF_LANES)
	{
		VF			va = vf_load(a + i);
		VF			vb = vf_load(b + i);
		VF			d = residual_dist(&r, va, vb, vf_load(sums + i));

		vf_store(dist + i, d);
		if (err != NULL)
			vf_store(err + i, residual_err(&r, per_apart, va, vb, d));
	}
	if (i < n)
	{
		VF			va = vf_load_part(a + i, n - i);
		VF			vb = vf_load_part(b + i, n - i);
		VF			d = residual_dist(&r, va, vb, vf_load_part(sums + i, n - i));
		float		rest[VF_LANES];

		vf_store(rest, d);
		memcpy(dist + i, rest, (size_t) (n - i) * sizeof(float));
		if (err != NULL)
		{
			vf_store(rest, residual_err(&r, per_apart, va, vb, d));
			memcpy(err + i, rest, (size_t) (n - i) * sizeof(float));
		}
	}
}

/* Lanes of padding hold a grid point, not zero: they are cut off after abs. */
#define L1_TERM(decode, q, i) \
	vf_abs(vf_sub(q, vf_fma(vstep, decode(code + (i)), vlo)))
#define L1_FULL(decode, k, i) \
	(sums[k] = vf_add(sums[k], L1_TERM(decode, vf_load(query + (i)), i)))
#define L1_PART(decode, k, i, left) \
	(sums[k] = vf_add(sums[k], vf_keep_part(L1_TERM(decode, vf_load_part(query + (i), left), i), left)))

static void
KERNEL(l1_u8_batch) (const float *query, const uint8_t *const *codes, int ncodes, int n,
					 const float *lo, const float *step, float *out)
{
#define FULL(k, i) L1_FULL(vf_u8, k, i)
#define PART(k, i, left) L1_PART(vf_u8, k, i, left)

	for (int c = 0; c < ncodes; c++)
	{
		const uint8_t *code = codes[c];
		VF			vlo = vf_set1(lo[c]);
		VF			vstep = vf_set1(step[c]);
		VF			sums[F32_ACCS];

		prefetch_group((const void *const *) (codes + c + CODE_GROUP), c + CODE_GROUP < ncodes, n);
		sums[0] = sums[1] = sums[2] = sums[3] = vf_zero();
		F32_WALK(n, FULL, PART);
		out[c] = f32_total(sums);
	}

#undef FULL
#undef PART
}

static void
KERNEL(l1_u4_batch) (const float *queries, const uint8_t *const *codes, int ncodes, int n,
					 const float *lo, const float *step, float *out)
{
	int			nbytes = (n + 1) / 2;

#define LO_FULL(k, i) L1_FULL(vf_lo4, k, i)
#define LO_PART(k, i, left) L1_PART(vf_lo4, k, i, left)
#define HI_FULL(k, i) L1_FULL(vf_hi4, k, i)
#define HI_PART(k, i, left) L1_PART(vf_hi4, k, i, left)

	for (int c = 0; c < ncodes; c++)
	{
		const float *query = queries;
		const uint8_t *code = codes[c];
		VF			vlo = vf_set1(lo[c]);
		VF			vstep = vf_set1(step[c]);
		VF			sums[F32_ACCS];

		prefetch_group((const void *const *) (codes + c + CODE_GROUP), c + CODE_GROUP < ncodes, nbytes);
		sums[0] = sums[1] = sums[2] = sums[3] = vf_zero();
		F32_WALK(nbytes, LO_FULL, LO_PART);
		query += nbytes;
		F32_WALK(n - nbytes, HI_FULL, HI_PART);
		out[c] = f32_total(sums);
	}

#undef LO_FULL
#undef LO_PART
#undef HI_FULL
#undef HI_PART
}

#undef L1_TERM
#undef L1_FULL
#undef L1_PART

/* Two stages in one pass over memory: a and b are h apart, c and d as well, a and c 2h. */
SIMD_INLINE void
fht_pass4(float *x, int n, int h)
{
	for (int i = 0; i < n; i += 4 * h)
	{
		for (float *p = x + i; p < x + i + h; p += VF_LANES)
		{
			VF			a = vf_load(p);
			VF			b = vf_load(p + h);
			VF			c = vf_load(p + 2 * h);
			VF			d = vf_load(p + 3 * h);
			VF			a_plus_b = vf_add(a, b);
			VF			a_less_b = vf_sub(a, b);
			VF			c_plus_d = vf_add(c, d);
			VF			c_less_d = vf_sub(c, d);

			vf_store(p, vf_add(a_plus_b, c_plus_d));
			vf_store(p + h, vf_add(a_less_b, c_less_d));
			vf_store(p + 2 * h, vf_sub(a_plus_b, c_plus_d));
			vf_store(p + 3 * h, vf_sub(a_less_b, c_less_d));
		}
	}
}

SIMD_INLINE void
fht_pass2(float *x, int n, int h)
{
	for (int i = 0; i < n; i += 2 * h)
	{
		for (float *p = x + i; p < x + i + h; p += VF_LANES)
		{
			VF			a = vf_load(p);
			VF			b = vf_load(p + h);

			vf_store(p, vf_add(a, b));
			vf_store(p + h, vf_sub(a, b));
		}
	}
}

/*
 * Stages in the order of the plain form, each a sum and a difference of the
 * same operands: the result is the same at every level, to the bit, so that
 * a code does not depend on the machine that made it.
 */
static void
KERNEL(fht_f32) (float *x, int n)
{
	int			h = VF_LANES;

	if (n < VF_LANES)
	{
		simd_table_scalar->fht_f32(x, n);
		return;
	}

	for (int i = 0; i < n; i += VF_LANES)
	{
		VF			v = vf_load(x + i);

		v = vf_butterfly(v, 1);
		v = vf_butterfly(v, 2);
#if VF_LANES > 4
		v = vf_butterfly(v, 4);
#endif
#if VF_LANES > 8
		v = vf_butterfly(v, 8);
#endif
		vf_store(x + i, v);
	}

	for (; h <= n / 4; h *= 4)
		fht_pass4(x, n, h);
	if (h < n)
		fht_pass2(x, n, h);
}

/* Columns at..at + width * VF_LANES of columns_f32, width a constant; not fused, for the same bits everywhere. */
SIMD_INLINE void
columns_group(int width, const float *x, int n, const float *table, int stride, const float *add, float *out)
{
	VF			sums[COLUMNS_GROUP];

	SIMD_UNROLL
	for (int v = 0; v < width; v++)
		sums[v] = vf_load(add + v * VF_LANES);
	for (int j = 0; j < n; j++, table += stride)
	{
		VF			xj = vf_set1(x[j]);

		SIMD_UNROLL
		for (int v = 0; v < width; v++)
			sums[v] = vf_add(sums[v], vf_mul(xj, vf_load(table + v * VF_LANES)));
	}
	SIMD_UNROLL
	for (int v = 0; v < width; v++)
		vf_store(out + v * VF_LANES, sums[v]);
}

static void
KERNEL(columns_f32) (const float *x, int n, const float *table, int width, const float *add, float *out)
{
	int			k = 0;

	for (; k <= width - COLUMNS_GROUP * VF_LANES; k += COLUMNS_GROUP * VF_LANES)
		columns_group(COLUMNS_GROUP, x, n, table + k, width, add + k, out + k);
	for (; k < width; k += VF_LANES)
		columns_group(1, x, n, table + k, width, add + k, out + k);
}

/* The largest in all lanes. */
SIMD_INLINE VF
vf_largest(VF v)
{
	v = vf_max(v, vf_swap1(v));
	v = vf_max(v, vf_swap2(v));
#if VF_LANES > 4
	v = vf_max(v, vf_swap4(v));
#endif
#if VF_LANES > 8
	v = vf_max(v, vf_swap8(v));
#endif
	return v;
}

/* Of `count` floats, a constant up to 64: the largest by lane, and which are equal to v. */
SIMD_INLINE void
raise_max(VF max[4], const float *x, int count)
{
	SIMD_UNROLL_16
	for (int j = 0; j < count; j += VF_LANES)
		max[j / VF_LANES % 4] = vf_max(max[j / VF_LANES % 4], vf_load(x + j));
}

SIMD_INLINE uint64_t
equal_bits(VF v, const float *x, int count)
{
	uint64_t	bits = 0;

	SIMD_UNROLL_16
	for (int j = 0; j < count; j += VF_LANES)
		bits |= (uint64_t) vf_equal_bits(v, vf_load(x + j)) << j;
	return bits;
}

/*
 * Index of the largest of n floats, a multiple of 16, the first of equal ones;
 * 0 where NaN hides it.  No branch depends on the data: it would be a guess.
 */
SIMD_INLINE int
first_largest(const float *x, int n)
{
	VF			max[4];
	VF			largest;
	int			whole = n / 64 * 64;
	int			at = 0;

	max[0] = max[1] = max[2] = max[3] = vf_load(x);
	for (int i = 0; i < whole; i += 64)
		raise_max(max, x + i, 64);
	for (int i = whole; i < n; i += 16)
		raise_max(max, x + i, 16);
	largest = vf_largest(vf_max(vf_max(max[0], max[1]), vf_max(max[2], max[3])));

	/* from the end */
	for (int i = n - 16; i >= whole; i -= 16)
	{
		uint64_t	found = equal_bits(largest, x + i, 16);

		at = found != 0 ? i + __builtin_ctzll(found) : at;
	}
	for (int i = whole - 64; i >= 0; i -= 64)
	{
		uint64_t	found = equal_bits(largest, x + i, 64);

		at = found != 0 ? i + __builtin_ctzll(found) : at;
	}
	return at;
}

static void
KERNEL(best_column_f32) (const float *vecs, int nvecs, int n, const float *table, int width,
						 const float *add, uint8_t *best)
{
	float		sums[SIMD_COLUMNS];

	for (int i = 0; i < nvecs; i++)
	{
		KERNEL(columns_f32) (vecs + (size_t) i * (size_t) n, n, table, width, add, sums);
		best[i] = (uint8_t) first_largest(sums, width);
	}
}

#include "simd/bits_impl.h"
#include "simd/range_impl.h"
#include "simd/pack_impl.h"

static const SimdKernels kernels = {
	.level = KERNEL_LEVEL,
	.name = KERNEL_LEVEL_NAME,
	.l2sq_f32 = KERNEL(l2sq_f32),
	.dot_f32 = KERNEL(dot_f32),
	.l1_f32 = KERNEL(l1_f32),
	.cosine_f32 = KERNEL(cosine_f32),
	.l2sq_f32_batch = KERNEL(l2sq_f32_batch),
	.dot_f32_batch = KERNEL(dot_f32_batch),
	.l1_f32_batch = KERNEL(l1_f32_batch),
	.sumsq_f32 = KERNEL(sumsq_f32),
	.f16_to_f32 = KERNEL(f16_to_f32),
	.f32_to_f16 = KERNEL(f32_to_f16),
	.l2sq_f16 = KERNEL(l2sq_f16),
	.dot_f16 = KERNEL(dot_f16),
	.l1_f16 = KERNEL(l1_f16),
	.cosine_f16 = KERNEL(cosine_f16),
	.l2sq_f16_batch = KERNEL(l2sq_f16_batch),
	.dot_f16_batch = KERNEL(dot_f16_batch),
	.l1_f16_batch = KERNEL(l1_f16_batch),
	.dot_u4s8_batch = KERNEL(dot_u4s8_batch),
	.dot_u8s16_batch = KERNEL(dot_u8s16_batch),
	.sum_u4_block = KERNEL(sum_u4_block),
	.pack_u4_block = KERNEL(pack_u4_block),
	.residual_scores = KERNEL(residual_scores),
	.l1_u8_batch = KERNEL(l1_u8_batch),
	.l1_u4_batch = KERNEL(l1_u4_batch),
	.fht_f32 = KERNEL(fht_f32),
	.columns_f32 = KERNEL(columns_f32),
	.best_column_f32 = KERNEL(best_column_f32),
	.range_u8 = KERNEL(range_u8),
	.range_u16 = KERNEL(range_u16),
	.range_u32 = KERNEL(range_u32),
	.range_u64 = KERNEL(range_u64),
	.bits = {KERNEL(bits_hamming), KERNEL(bits_overlap)},
};
