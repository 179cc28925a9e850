/*
 * pack_impl.h
 *		Rows of 4-bit codes into blocks: a template on 128 bits, which every
 *		level has; compiled per level so that no old and new encodings of
 *		instructions meet.
 *
 * No include guard; simd_impl.h includes it.  KERNEL(name) as there.
 */
#include <simde/x86/sse2.h>

#define PACK_ROWS 16

/* One stage: vectors i and i + 8 become the two halves of their bytes alternated. */
SIMD_INLINE void
pack_interleave(const simde__m128i *in, simde__m128i *out)
{
	SIMD_UNROLL
	for (int i = 0; i < PACK_ROWS / 2; i++)
	{
		out[2 * i] = simde_mm_unpacklo_epi8(in[i], in[i + PACK_ROWS / 2]);
		out[2 * i + 1] = simde_mm_unpackhi_epi8(in[i], in[i + PACK_ROWS / 2]);
	}
}

/* 16 x 16 bytes; each stage moves one bit of the row's number into the byte's. */
SIMD_INLINE void
pack_transpose(simde__m128i *v)
{
	simde__m128i other[PACK_ROWS];

	pack_interleave(v, other);
	pack_interleave(other, v);
	pack_interleave(v, other);
	pack_interleave(other, v);
}

/* Parts of 16 bytes of up to 32 rows; `full` says that the block's height is 16. */
SIMD_INLINE void
pack_piece(bool full, const uint8_t *rows, size_t stride, int n, int width, int half, uint8_t *block)
{
	const simde__m128i low = simde_mm_set1_epi8(0x0f);
	const simde__m128i high = simde_mm_set1_epi8((char) 0xf0);
	simde__m128i even[PACK_ROWS];
	simde__m128i odd[PACK_ROWS];

	for (int j = 0; j < PACK_ROWS; j++)
	{
		simde__m128i a = simde_mm_setzero_si128();
		simde__m128i b = simde_mm_setzero_si128();

		if (full || j < half)
			a = simde_mm_loadu_si128((const simde__m128i *) (rows + stride * (size_t) j));
		if (j < half && j + half < width)
			b = simde_mm_loadu_si128((const simde__m128i *) (rows + stride * (size_t) (j + half)));
		even[j] = simde_mm_or_si128(simde_mm_and_si128(a, low), simde_mm_and_si128(simde_mm_slli_epi16(b, 4), high));
		odd[j] = simde_mm_or_si128(simde_mm_and_si128(simde_mm_srli_epi16(a, 4), low), simde_mm_and_si128(b, high));
	}
	pack_transpose(even);
	pack_transpose(odd);
	for (int i = 0; i < n; i++)
	{
		uint8_t		part[2][PACK_ROWS];

		if (full)
		{
			simde_mm_storeu_si128((simde__m128i *) (block + 32 * i), even[i]);
			simde_mm_storeu_si128((simde__m128i *) (block + 32 * i + 16), odd[i]);
			continue;
		}
		simde_mm_storeu_si128((simde__m128i *) part[0], even[i]);
		simde_mm_storeu_si128((simde__m128i *) part[1], odd[i]);
		memcpy(block + 2 * i * half, part[0], (size_t) half);
		memcpy(block + (2 * i + 1) * half, part[1], (size_t) half);
	}
}

static void
KERNEL(pack_u4_block) (const uint8_t *rows, size_t stride, int nbytes, int width, uint8_t *block)
{
	int			half = (width + 1) / 2;

	for (int i = 0; i < nbytes; i += 16)
	{
		int			n = nbytes - i < 16 ? nbytes - i : 16;

		if (half == PACK_ROWS)
			pack_piece(true, rows + i, stride, n, width, half, block + 2 * half * i);
		else
			pack_piece(false, rows + i, stride, n, width, half, block + 2 * half * i);
	}
}
