/*
 * simd.h
 *		Distance and code kernels, one table per instruction-set level.
 *
 * Nothing here knows PostgreSQL: unit tests and benches link this folder
 * alone.  Only plain pointers and scalars cross into the per-ISA files.
 */
#ifndef VECIDX_SIMD_H
#define VECIDX_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum SimdLevel
{
	SIMD_SCALAR = 0,			/* plain C, the reference */
	SIMD_BASELINE,				/* SSE2 or NEON: every machine of the architecture */
	SIMD_AVX2,					/* AVX2 + FMA + F16C */
	SIMD_AVX512					/* AVX-512 F/BW/DQ/VL + VNNI */
} SimdLevel;

#define SIMD_NLEVELS 4

/*
 * Readable bytes that must follow every code handed to a code kernel, and
 * zero elements that must follow every int8/int16 query: kernels may load
 * whole vectors past the end of a code (never past code + nbytes +
 * SIMD_SLACK), and what they load there is multiplied by the query's zeros.
 */
#define SIMD_SLACK 64

/* Most columns of a table for columns_f32 and best_column_f32. */
#define SIMD_COLUMNS 256

/*
 * Pairs of bit strings of nbytes bytes, nbytes >= 0, of any alignment.
 * Nothing past the last byte is read.  Exact.
 */
typedef struct SimdBitKernels
{
	/* bits in which a and b differ */
	uint64_t	(*hamming) (const uint8_t *a, const uint8_t *b, size_t nbytes);
	/* counts[0] = bits that both have, counts[1] = bits that either has */
	void		(*overlap) (const uint8_t *a, const uint8_t *b, size_t nbytes, uint64_t counts[2]);
} SimdBitKernels;

/*
 * From sums over the codes of residuals to distances: factors a and b of a
 * code and its sum s give
 *
 *		product = b * (scale * s + bias)
 *		dist = (base + a) - product
 *		along = mix * (norm^2 + apart^2) - weight * dist,	norm = length * |b|
 *		err = unit * |b| * sqrt(by_code * (1 - trust * c) + by_query)
 *			  + (rounding + 2 |a| + |dist|) * 2^-23,	c = (along / (norm * apart))^2
 *
 * with product and dist kept within +-limit, c within 0 .. 1 (0 where that is
 * no number) and err at most limit: all are finite whatever a and b are.
 */
typedef struct SimdResidual
{
	float		scale;
	float		bias;
	float		base;
	float		limit;
	float		mix;
	float		weight;
	float		length;
	float		apart;
	float		unit;
	float		by_code;
	float		by_query;
	float		trust;
	float		rounding;
} SimdResidual;

typedef struct SimdKernels
{
	SimdLevel	level;
	const char *name;			/* "scalar", "baseline", "avx2", "avx512" */

	/*
	 * Pairs of float32 vectors of n elements, n >= 0.  No alignment beyond
	 * float's is assumed and nothing past element n is read.  Infinity and
	 * NaN flow through.
	 *
	 * Within one level the same pair gives the same bits whichever form
	 * computes it: pair, batch, cosine (sums[0] is dot_f32(a, b), sums[1]
	 * dot_f32(a, a)), or with a and b exchanged.  Levels differ by rounding.
	 */
	float		(*l2sq_f32) (const float *a, const float *b, int n);
	float		(*dot_f32) (const float *a, const float *b, int n);
	float		(*l1_f32) (const float *a, const float *b, int n);
	/* sums[0] = a.b, sums[1] = a.a, sums[2] = b.b, one pass */
	void		(*cosine_f32) (const float *a, const float *b, int n, float sums[3]);

	/*
	 * One query against nvecs vectors: out[i] = op(query, vecs[i]).  Batch
	 * kernels, here and below, prefetch within the batch.
	 */
	void		(*l2sq_f32_batch) (const float *query, const float *const *vecs, int nvecs, int n, float *out);
	void		(*dot_f32_batch) (const float *query, const float *const *vecs, int nvecs, int n, float *out);
	void		(*l1_f32_batch) (const float *query, const float *const *vecs, int nvecs, int n, float *out);

	/* Sum of squares in double: exact squares, no over- or underflow.  Levels differ by the order of the sum. */
	double		(*sumsq_f32) (const float *x, int n);

	/*
	 * Half precision (IEEE binary16 as its bits; simd/half.h has the plain
	 * conversions).  f16_to_f32 is exact.  f32_to_f16 rounds to the nearest,
	 * ties to even, and returns false where any result is infinite or NaN:
	 * the run overflowed, or was not finite before.  Both give the same bits
	 * at every level, NaN's too, and read nothing past element n.
	 */
	void		(*f16_to_f32) (const uint16_t *halves, float *floats, int n);
	bool		(*f32_to_f16) (const float *floats, uint16_t *halves, int n);

	/*
	 * Pairs of half vectors: to the bit what the float32 kernels of the level
	 * give for the converted elements.
	 */
	float		(*l2sq_f16) (const uint16_t *a, const uint16_t *b, int n);
	float		(*dot_f16) (const uint16_t *a, const uint16_t *b, int n);
	float		(*l1_f16) (const uint16_t *a, const uint16_t *b, int n);
	void		(*cosine_f16) (const uint16_t *a, const uint16_t *b, int n, float sums[3]);

	/* A query of floats against half vectors: to the bit the f32 forms of the converted elements. */
	void		(*l2sq_f16_batch) (const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out);
	void		(*dot_f16_batch) (const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out);
	void		(*l1_f16_batch) (const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out);

	/*
	 * 4-bit codes.  Byte j of a code holds dimension j in its low and
	 * dimension j + nbytes in its high nibble.  The query is two runs of
	 * int8: query[0 .. nbytes) against the low nibbles and
	 * query[hi .. hi + nbytes) against the high ones, hi = nbytes rounded up
	 * to 64; both runs are zero-padded to hi elements.
	 * out[i] = sum of nibble * query over codes[i], exact for nbytes up to
	 * 2^19.
	 */
	void		(*dot_u4s8_batch) (const int8_t *query, const uint8_t *const *codes, int ncodes, int nbytes, int32_t *out);

	/*
	 * 8-bit codes against an int16 query of |value| <= 2047, such that the
	 * true sum fits int32 (the caller bounds the query for that).  The query
	 * is zero-padded to a multiple of 64 elements.  Exact.
	 */
	void		(*dot_u8s16_batch) (const int16_t *query, const uint8_t *const *codes, int ncodes, int n, int32_t *out);

	/*
	 * A block of 2 * half codes of 4 bits a part, 1 <= half <= 16: part p of
	 * code j is the low nibble of byte p * half + j, and of code j + half its
	 * high nibble.  tables has 16 entries for each part.
	 * out[j] = sum over p of tables[16 * p + (part p of code j)].
	 * out has room for 32, those behind the block's codes take anything.
	 * SIMD_SLACK readable bytes follow the block, SIMD_SLACK zero bytes the
	 * tables.  Exact for nparts up to 2^24.
	 */
	void		(*sum_u4_block) (const uint8_t *tables, const uint8_t *block, int nparts, int half, uint32_t *out);

	/*
	 * Such a block of width codes, 1 .. 32, from rows stride bytes apart:
	 * half = (width + 1) / 2, and parts 2i and 2i + 1 of a code are the low
	 * and high nibble of byte i of its row, i < nbytes.  Writes 2 * nbytes *
	 * half bytes; nibbles of a code that is not there are zero.  SIMD_SLACK
	 * readable bytes follow the last row's nbytes.
	 */
	void		(*pack_u4_block) (const uint8_t *rows, size_t stride, int nbytes, int width, uint8_t *block);

	/* n distances and, if err is not NULL, errors.  One value does not depend on the others. */
	void		(*residual_scores) (const SimdResidual *residual, const float *a, const float *b, const float *sums,
									int n, float *dist, float *err);

	/*
	 * L1 distance of a float query to codes on a per-code grid:
	 * out[i] = sum |query[j] - (lo[i] + step[i] * code[j])|.  In the 4-bit
	 * form nbytes and the nibble order are as above, n is the number of
	 * dimensions (2 * nbytes or 2 * nbytes - 1), query is in plain order.
	 */
	void		(*l1_u8_batch) (const float *query, const uint8_t *const *codes, int ncodes, int n,
								const float *lo, const float *step, float *out);
	void		(*l1_u4_batch) (const float *query, const uint8_t *const *codes, int ncodes, int n,
								const float *lo, const float *step, float *out);

	/*
	 * In-place Walsh-Hadamard transform of n = 2^k floats, k >= 0, not
	 * scaled.  The same bits at every level: a code does not depend on the
	 * machine that made it.
	 */
	void		(*fht_f32) (float *x, int n);

	/*
	 * x (n floats) against a table of n rows and `width` columns, 16 to
	 * SIMD_COLUMNS and a multiple of 16, and as many addends:
	 * out[k] = add[k] + x[0] * table[k] + x[1] * table[width + k] + ...,
	 * in this order and every operation rounded: the same bits at every level.
	 */
	void		(*columns_f32) (const float *x, int n, const float *table, int width, const float *add, float *out);

	/*
	 * The same for nvecs vectors, one behind the other: best[i] is the column
	 * of the largest sum, the first of equal ones (any where one is NaN).
	 */
	void		(*best_column_f32) (const float *vecs, int nvecs, int n, const float *table, int width,
									const float *add, uint8_t *best);

	/*
	 * Which of n codes, at most 64, of 8, 16, 32 or 64 bits are at least low
	 * and at most high (low <= high, both of the codes' width): bit i for code
	 * i, zeros above.  Codes are aligned to their width; nothing past the last is read.
	 */
	uint64_t	(*range_u8) (const void *codes, int n, uint64_t low, uint64_t high);
	uint64_t	(*range_u16) (const void *codes, int n, uint64_t low, uint64_t high);
	uint64_t	(*range_u32) (const void *codes, int n, uint64_t low, uint64_t high);
	uint64_t	(*range_u64) (const void *codes, int n, uint64_t low, uint64_t high);

	SimdBitKernels bits;
} SimdKernels;

/* Best level this processor runs (probed once). */
extern SimdLevel simd_best_level(void);

/* The kernels of one level; NULL where this processor or build lacks it. */
extern const SimdKernels *simd_kernels_for(SimdLevel level);

/*
 * The kernels in use: the best level until simd_force() names another.
 * simd_force() returns false, and changes nothing, where that level is not
 * to be had.  Call simd_get() once per operation, not once per vector.
 */
extern const SimdKernels *simd_get(void);
extern bool simd_force(SimdLevel level);
extern void simd_use_best(void);

#endif							/* VECIDX_SIMD_H */
