/*
 * bits_impl.h
 *		The bit-string kernels of one instruction-set level: a template.
 *
 * No include guard; simd_impl.h includes it, and so does an instance that
 * brings nothing but another way to count bits (simd_vpopcnt.c).
 *
 *	KERNEL(name)		name with the level as suffix
 *	VB, VB_BYTES		a vector of bytes and how many
 *	vb_load(p) vb_xor vb_and vb_or
 *	vb_load_part(p, k)	first k bytes, 0 < k < VB_BYTES, zero in the others,
 *						nothing past p + k touched; a level without such loads
 *						leaves it undefined, and its last bytes go by words
 *	vb_count(v)			ones of v, as 64-bit sums that vb_add adds
 *	vb_zero() vb_add(a, b) vb_total(sums)
 */
#include "simd/simd_tables.h"

#include <string.h>

typedef enum BitsOp
{
	BITS_XOR,
	BITS_AND,
	BITS_OR
} BitsOp;

/* op is a constant wherever these are inlined */
SIMD_INLINE VB
bits_join(BitsOp op, VB a, VB b)
{
	return op == BITS_XOR ? vb_xor(a, b) : op == BITS_AND ? vb_and(a, b) : vb_or(a, b);
}

#ifndef vb_load_part

SIMD_INLINE uint64_t
bits_join_words(BitsOp op, uint64_t a, uint64_t b)
{
	return op == BITS_XOR ? a ^ b : op == BITS_AND ? a & b : a | b;
}

/* Fewer than VB_BYTES bytes. */
SIMD_INLINE uint64_t
bits_tail(BitsOp op, const uint8_t *a, const uint8_t *b, size_t left)
{
	uint64_t	count = 0;
	uint64_t	x;
	uint64_t	y;

	for (; left >= sizeof(x); left -= sizeof(x))
	{
		memcpy(&x, a, sizeof(x));
		memcpy(&y, b, sizeof(y));
		count += (uint64_t) __builtin_popcountll(bits_join_words(op, x, y));
		a += sizeof(x);
		b += sizeof(y);
	}
	x = y = 0;
	while (left-- > 0)
	{
		x = x << 8 | a[left];
		y = y << 8 | b[left];
	}
	return count + (uint64_t) __builtin_popcountll(bits_join_words(op, x, y));
}

#endif

/*
 * Ones of (a op1 b) and, if counts has room for them, of (a op2 b).
 * `width`, a constant, says how many of the two are wanted.
 */
SIMD_INLINE void
bits_walk(BitsOp op1, BitsOp op2, int width, const uint8_t *a, const uint8_t *b, size_t nbytes,
		  uint64_t *counts)
{
	VB			sum1 = vb_zero();
	VB			sum2 = vb_zero();
	size_t		i = 0;

	for (; nbytes - i >= VB_BYTES; i += VB_BYTES)
	{
		VB			x = vb_load(a + i);
		VB			y = vb_load(b + i);

		sum1 = vb_add(sum1, vb_count(bits_join(op1, x, y)));
		if (width > 1)
			sum2 = vb_add(sum2, vb_count(bits_join(op2, x, y)));
	}

#ifdef vb_load_part
	if (i < nbytes)
	{
		VB			x = vb_load_part(a + i, nbytes - i);
		VB			y = vb_load_part(b + i, nbytes - i);

		sum1 = vb_add(sum1, vb_count(bits_join(op1, x, y)));
		if (width > 1)
			sum2 = vb_add(sum2, vb_count(bits_join(op2, x, y)));
	}
	counts[0] = vb_total(sum1);
	if (width > 1)
		counts[1] = vb_total(sum2);
#else
	counts[0] = vb_total(sum1) + bits_tail(op1, a + i, b + i, nbytes - i);
	if (width > 1)
		counts[1] = vb_total(sum2) + bits_tail(op2, a + i, b + i, nbytes - i);
#endif
}

static uint64_t
KERNEL(bits_hamming) (const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64_t	count;

	bits_walk(BITS_XOR, BITS_XOR, 1, a, b, nbytes, &count);
	return count;
}

static void
KERNEL(bits_overlap) (const uint8_t *a, const uint8_t *b, size_t nbytes, uint64_t counts[2])
{
	bits_walk(BITS_AND, BITS_OR, 2, a, b, nbytes, counts);
}
