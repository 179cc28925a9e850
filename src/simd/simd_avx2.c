/*
 * simd_avx2.c
 *		The kernels on AVX2, FMA and F16C: primitives for simd_impl.h.
 */
#include "simd/simd_tables.h"

#include <string.h>

#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)

#include <immintrin.h>
#include <simde/x86/avx2.h>
#include <simde/x86/fma.h>

#define KERNEL(name) name##_avx2
#define KERNEL_LEVEL SIMD_AVX2
#define KERNEL_LEVEL_NAME "avx2"
#define F32_GROUP 2

#define VF simde__m256
#define VF_LANES 8

#define vf_zero() simde_mm256_setzero_ps()
#define vf_set1(x) simde_mm256_set1_ps(x)
#define vf_load(p) simde_mm256_loadu_ps(p)
#define vf_store(p, v) simde_mm256_storeu_ps(p, v)
#define vf_add(a, b) simde_mm256_add_ps(a, b)
#define vf_sub(a, b) simde_mm256_sub_ps(a, b)
#define vf_mul(a, b) simde_mm256_mul_ps(a, b)
#define vf_div(a, b) simde_mm256_div_ps(a, b)
#define vf_sqrt(v) simde_mm256_sqrt_ps(v)
#define vf_min(a, b) simde_mm256_min_ps(a, b)
#define vf_max(a, b) simde_mm256_max_ps(a, b)
#define vf_equal_bits(a, b) (unsigned) simde_mm256_movemask_ps(simde_mm256_cmp_ps(a, b, SIMDE_CMP_EQ_OQ))
#define vf_abs(v) simde_mm256_andnot_ps(simde_mm256_set1_ps(-0.0f), v)
#define vf_fma(a, b, c) simde_mm256_fmadd_ps(a, b, c)

#define VD simde__m256d
#define VD_LANES 4

#define vd_zero() simde_mm256_setzero_pd()
#define vd_add(a, b) simde_mm256_add_pd(a, b)

SIMD_INLINE simde__m256d
vd_add_squares(simde__m256d sum, const float *p)
{
	simde__m256d x = simde_mm256_cvtps_pd(simde_mm_loadu_ps(p));

	return simde_mm256_fmadd_pd(x, x, sum);
}

SIMD_INLINE double
vd_sum(simde__m256d v)
{
	simde__m128d half = simde_mm_add_pd(simde_mm256_castpd256_pd128(v), simde_mm256_extractf128_pd(v, 1));

	return simde_mm_cvtsd_f64(simde_mm_add_sd(half, simde_mm_unpackhi_pd(half, half)));
}

/* k ones, then zeros: a window on this table */
static const int32_t part_masks[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

#define vf_mask(k) simde_mm256_loadu_si256((const simde__m256i *) (part_masks + 8 - (k)))
/* masked-out lanes of a load are neither read nor faulted on */
#define vf_load_part(p, k) simde_mm256_maskload_ps(p, vf_mask(k))
#define vf_keep_part(v, k) simde_mm256_and_ps(v, simde_mm256_castsi256_ps(vf_mask(k)))

/* native names: SIMDe 0.7 knows F16C for 128 bits only */
#define vf_load_half(p) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) (p)))
#define vf_store_half(p, v) \
	_mm_storeu_si128((__m128i *) (p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))

/* There is no masked load of 16 bits: four halves, two and one, as k has bits. */
SIMD_INLINE __m256
vf_load_half_part(const uint16_t *p, int k)
{
	const uint16_t *rest = p + (k & 4);
	uint64_t	four = 0;
	uint64_t	tail = 0;

	if (k & 1)
		tail = (uint64_t) rest[k & 2] << 8 * sizeof(uint16_t) * (k & 2);
	if (k & 2)
	{
		uint32_t	two;

		memcpy(&two, rest, sizeof(two));
		tail |= two;
	}
	if ((k & 4) == 0)
		return _mm256_cvtph_ps(_mm_set_epi64x(0, (int64_t) tail));
	memcpy(&four, p, sizeof(four));
	return _mm256_cvtph_ps(_mm_set_epi64x((int64_t) tail, (int64_t) four));
}

SIMD_INLINE float
vf_sum(simde__m256 v)
{
	simde__m128 h4 = simde_mm_add_ps(simde_mm256_castps256_ps128(v), simde_mm256_extractf128_ps(v, 1));
	simde__m128 h2 = simde_mm_add_ps(h4, simde_mm_movehl_ps(h4, h4));

	return simde_mm_cvtss_f32(simde_mm_add_ss(h2, simde_mm_movehdup_ps(h2)));
}

SIMD_INLINE simde__m256i
vi_u8(const uint8_t *p)
{
	return simde_mm256_cvtepu8_epi32(simde_mm_loadl_epi64((const simde__m128i *) p));
}

#define vf_u8(p) simde_mm256_cvtepi32_ps(vi_u8(p))
#define vf_lo4(p) simde_mm256_cvtepi32_ps(simde_mm256_and_si256(vi_u8(p), simde_mm256_set1_epi32(0x0f)))
#define vf_hi4(p) simde_mm256_cvtepi32_ps(simde_mm256_srli_epi32(vi_u8(p), 4))

/* partner + lane or partner - lane, by a constant of signs */
#define vf_butterfly(v, h) simde_mm256_add_ps(vf_swap##h(v), simde_mm256_xor_ps(v, vf_odd##h))
#define vf_swap1(v) simde_mm256_permute_ps(v, 0xb1)
#define vf_swap2(v) simde_mm256_permute_ps(v, 0x4e)
#define vf_swap4(v) simde_mm256_permute2f128_ps(v, v, 1)
#define vf_odd1 simde_mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f)
#define vf_odd2 simde_mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f)
#define vf_odd4 simde_mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f)

typedef simde__m256i U4Sum;

#define u4_zero() simde_mm256_setzero_si256()
#define u4_total(sum) (sum)

/*
 * maddubs saturates at int16: a nibble pair gives at most 2 * 15 * 127, and
 * four of those are added before they widen to int32.
 */
SIMD_INLINE simde__m256i
u4_step(simde__m256i sum, const uint8_t *code, const int8_t *query_lo, const int8_t *query_hi)
{
	const simde__m256i nibble = simde_mm256_set1_epi8(0x0f);
	simde__m256i c0 = simde_mm256_loadu_si256((const simde__m256i *) code);
	simde__m256i c1 = simde_mm256_loadu_si256((const simde__m256i *) (code + 32));
	simde__m256i lo0 = simde_mm256_and_si256(c0, nibble);
	simde__m256i lo1 = simde_mm256_and_si256(c1, nibble);
	simde__m256i hi0 = simde_mm256_and_si256(simde_mm256_srli_epi16(c0, 4), nibble);
	simde__m256i hi1 = simde_mm256_and_si256(simde_mm256_srli_epi16(c1, 4), nibble);
	simde__m256i p;

	lo0 = simde_mm256_maddubs_epi16(lo0, simde_mm256_loadu_si256((const simde__m256i *) query_lo));
	lo1 = simde_mm256_maddubs_epi16(lo1, simde_mm256_loadu_si256((const simde__m256i *) (query_lo + 32)));
	hi0 = simde_mm256_maddubs_epi16(hi0, simde_mm256_loadu_si256((const simde__m256i *) query_hi));
	hi1 = simde_mm256_maddubs_epi16(hi1, simde_mm256_loadu_si256((const simde__m256i *) (query_hi + 32)));
	p = simde_mm256_add_epi16(simde_mm256_add_epi16(lo0, hi0), simde_mm256_add_epi16(lo1, hi1));
	return simde_mm256_add_epi32(sum, simde_mm256_madd_epi16(p, simde_mm256_set1_epi16(1)));
}

typedef simde__m256i U8Sum;

#define u8_zero() simde_mm256_setzero_si256()
#define u8_total(sum) (sum)

SIMD_INLINE simde__m256i
u8_madd(const uint8_t *code, const int16_t *query)
{
	return simde_mm256_madd_epi16(simde_mm256_cvtepu8_epi16(simde_mm_loadu_si128((const simde__m128i *) code)),
								  simde_mm256_loadu_si256((const simde__m256i *) query));
}

SIMD_INLINE simde__m256i
u8_step(simde__m256i sum, const uint8_t *code, const int16_t *query)
{
	simde__m256i p01 = simde_mm256_add_epi32(u8_madd(code, query), u8_madd(code + 16, query + 16));
	simde__m256i p23 = simde_mm256_add_epi32(u8_madd(code + 32, query + 32), u8_madd(code + 48, query + 48));

	return simde_mm256_add_epi32(sum, simde_mm256_add_epi32(p01, p23));
}

SIMD_INLINE simde__m128i
vi_half(simde__m256i v)
{
	return simde_mm_add_epi32(simde_mm256_castsi256_si128(v), simde_mm256_extracti128_si256(v, 1));
}

SIMD_INLINE int32_t
vi_sum(simde__m256i v)
{
	simde__m128i h4 = vi_half(v);
	simde__m128i h2 = simde_mm_add_epi32(h4, simde_mm_shuffle_epi32(h4, 0x4e));

	return simde_mm_cvtsi128_si32(simde_mm_add_epi32(h2, simde_mm_shuffle_epi32(h2, 0xb1)));
}

SIMD_INLINE void
vi_sum4(simde__m256i v0, simde__m256i v1, simde__m256i v2, simde__m256i v3, int32_t *out)
{
	simde__m128i h01 = simde_mm_hadd_epi32(vi_half(v0), vi_half(v1));
	simde__m128i h23 = simde_mm_hadd_epi32(vi_half(v2), vi_half(v3));

	simde_mm_storeu_si128((simde__m128i *) out, simde_mm_hadd_epi32(h01, h23));
}

#define LUT_PARTS 2
#define LV simde__m256i

#define lv_zero() simde_mm256_setzero_si256()
#define lv_lookup(tables, nibbles) simde_mm256_shuffle_epi8(tables, nibbles)
#define lv_low(v) simde_mm256_and_si256(v, simde_mm256_set1_epi8(0x0f))
#define lv_high(v) lv_low(simde_mm256_srli_epi16(v, 4))
#define lv_add(a, b) simde_mm256_add_epi16(a, b)
#define lv_odd(v) simde_mm256_srli_epi16(v, 8)

SIMD_INLINE simde__m256i
lv_load(const uint8_t *p, int stride, int k)
{
	simde__m128i first = simde_mm_loadu_si128((const simde__m128i *) p);

	if (k == 1)
		return simde_mm256_inserti128_si256(simde_mm256_setzero_si256(), first, 0);
	if (stride == 16)
		return simde_mm256_loadu_si256((const simde__m256i *) p);
	return simde_mm256_inserti128_si256(simde_mm256_castsi128_si256(first),
										simde_mm_loadu_si128((const simde__m128i *) (p + stride)), 1);
}

SIMD_INLINE void
lv_widen(uint32_t *out, simde__m128i words)
{
	simde__m256i *at = (simde__m256i *) out;

	simde_mm256_storeu_si256(at, simde_mm256_add_epi32(simde_mm256_loadu_si256(at), simde_mm256_cvtepu16_epi32(words)));
}

SIMD_INLINE void
lv_add_to(uint32_t *out, simde__m256i all, simde__m256i odd)
{
	simde__m256i even = simde_mm256_sub_epi16(all, simde_mm256_slli_epi16(odd, 8));
	simde__m128i e = simde_mm_add_epi16(simde_mm256_castsi256_si128(even), simde_mm256_extracti128_si256(even, 1));
	simde__m128i o = simde_mm_add_epi16(simde_mm256_castsi256_si128(odd), simde_mm256_extracti128_si256(odd, 1));

	lv_widen(out, simde_mm_unpacklo_epi16(e, o));
	lv_widen(out + 8, simde_mm_unpackhi_epi16(e, o));
}

#define VB simde__m256i
#define VB_BYTES 32

#define vb_load(p) simde_mm256_loadu_si256((const simde__m256i *) (p))
#define vb_xor(a, b) simde_mm256_xor_si256(a, b)
#define vb_and(a, b) simde_mm256_and_si256(a, b)
#define vb_or(a, b) simde_mm256_or_si256(a, b)
#define vb_zero() simde_mm256_setzero_si256()
#define vb_add(a, b) simde_mm256_add_epi64(a, b)

/*
 * Ones of each nibble from a table of sixteen, then summed across bytes.
 * (Mula, Kurz and Lemire, Faster Population Counts Using AVX2 Instructions)
 */
SIMD_INLINE simde__m256i
vb_count(simde__m256i v)
{
	const simde__m256i nibble = simde_mm256_set1_epi8(0x0f);
	const simde__m256i ones = simde_mm256_broadcastsi128_si256(
		simde_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
	simde__m256i lo = simde_mm256_and_si256(v, nibble);
	simde__m256i hi = simde_mm256_and_si256(simde_mm256_srli_epi16(v, 4), nibble);

	return simde_mm256_sad_epu8(simde_mm256_add_epi8(simde_mm256_shuffle_epi8(ones, lo),
													 simde_mm256_shuffle_epi8(ones, hi)),
								simde_mm256_setzero_si256());
}

SIMD_INLINE uint64_t
vb_total(simde__m256i sums)
{
	uint64_t	parts[4];

	simde_mm256_storeu_si256((simde__m256i *) parts, sums);
	return (parts[0] + parts[1]) + (parts[2] + parts[3]);
}

#define RANGE_HAS_64
#define vr_set8(x) simde_mm256_set1_epi8((int8_t) (x))
#define vr_set16(x) simde_mm256_set1_epi16((int16_t) (x))
#define vr_set32(x) simde_mm256_set1_epi32((int32_t) (x))
#define vr_set64(x) simde_mm256_set1_epi64x((int64_t) (x))

SIMD_INLINE uint32_t
vr_within8(simde__m256i v, simde__m256i low, simde__m256i span)
{
	simde__m256i x = simde_mm256_sub_epi8(v, low);

	return (uint32_t) simde_mm256_movemask_epi8(simde_mm256_cmpeq_epi8(simde_mm256_min_epu8(x, span), x));
}

/* narrowed to bytes, which each half does by itself: eight bits in the lowest byte, eight in the third */
SIMD_INLINE uint32_t
vr_within16(simde__m256i v, simde__m256i low, simde__m256i span)
{
	simde__m256i x = simde_mm256_sub_epi16(v, low);
	simde__m256i is = simde_mm256_cmpeq_epi16(simde_mm256_min_epu16(x, span), x);
	uint32_t	mask = (uint32_t) simde_mm256_movemask_epi8(simde_mm256_packs_epi16(is, simde_mm256_setzero_si256()));

	return (mask & 0xff) | (mask >> 8 & 0xff00);
}

SIMD_INLINE uint32_t
vr_within32(simde__m256i v, simde__m256i low, simde__m256i span)
{
	simde__m256i x = simde_mm256_sub_epi32(v, low);
	simde__m256i is = simde_mm256_cmpeq_epi32(simde_mm256_min_epu32(x, span), x);

	return (uint32_t) simde_mm256_movemask_ps(simde_mm256_castsi256_ps(is));
}

/* there is a signed comparison only */
SIMD_INLINE uint32_t
vr_within64(simde__m256i v, simde__m256i low, simde__m256i span)
{
	simde__m256i sign = simde_mm256_set1_epi64x(INT64_MIN);
	simde__m256i x = simde_mm256_xor_si256(simde_mm256_sub_epi64(v, low), sign);
	simde__m256i above = simde_mm256_cmpgt_epi64(x, simde_mm256_xor_si256(span, sign));

	return (uint32_t) simde_mm256_movemask_pd(simde_mm256_castsi256_pd(above)) ^ 0xf;
}

#include "simd/simd_impl.h"

const SimdKernels *const simd_table_avx2 = &kernels;

#else

const SimdKernels *const simd_table_avx2 = NULL;

#endif
