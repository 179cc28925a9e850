/*
 * simd_avx512.c
 *		The kernels on AVX-512 F, BW, DQ, VL and VNNI: primitives for
 *		simd_impl.h.
 *
 * Native intrinsics, not SIMDe's names: SIMDe 0.7 has no masked loads and
 * half of the conversions for this width, and this file can only ever be
 * compiled for x86.
 */
#include "simd/simd_tables.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && \
	defined(__AVX512VL__) && defined(__AVX512VNNI__)

#include <immintrin.h>

#include "simd/bits_avx512.h"

#define KERNEL(name) name##_avx512
#define KERNEL_LEVEL SIMD_AVX512
#define KERNEL_LEVEL_NAME "avx512"
#define F32_GROUP 4

#define VF __m512
#define VF_LANES 16

#define vf_zero() _mm512_setzero_ps()
#define vf_set1(x) _mm512_set1_ps(x)
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_add(a, b) _mm512_add_ps(a, b)
#define vf_sub(a, b) _mm512_sub_ps(a, b)
#define vf_mul(a, b) _mm512_mul_ps(a, b)
#define vf_div(a, b) _mm512_div_ps(a, b)
#define vf_sqrt(v) _mm512_sqrt_ps(v)
#define vf_min(a, b) _mm512_min_ps(a, b)
#define vf_max(a, b) _mm512_max_ps(a, b)
#define vf_equal_bits(a, b) _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ)
#define vf_abs(v) _mm512_abs_ps(v)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)

#define VD __m512d
#define VD_LANES 8

#define vd_zero() _mm512_setzero_pd()
#define vd_add(a, b) _mm512_add_pd(a, b)
#define vd_sum(v) _mm512_reduce_add_pd(v)

SIMD_INLINE __m512d
vd_add_squares(__m512d sum, const float *p)
{
	__m512d		x = _mm512_cvtps_pd(_mm256_loadu_ps(p));

	return _mm512_fmadd_pd(x, x, sum);
}

/* masked-out lanes of a load are neither read nor faulted on */
#define vf_mask(k) ((__mmask16) ((1u << (k)) - 1))
#define vf_load_part(p, k) _mm512_maskz_loadu_ps(vf_mask(k), p)
#define vf_keep_part(v, k) _mm512_maskz_mov_ps(vf_mask(k), v)

#define vf_load_half(p) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) (p)))
#define vf_load_half_part(p, k) _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vf_mask(k), p))
#define vf_store_half(p, v) \
	_mm256_storeu_si256((__m256i *) (p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC))

SIMD_INLINE float
vf_sum(__m512 v)
{
	__m256		h8 = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
	__m128		h4 = _mm_add_ps(_mm256_castps256_ps128(h8), _mm256_extractf128_ps(h8, 1));
	__m128		h2 = _mm_add_ps(h4, _mm_movehl_ps(h4, h4));

	return _mm_cvtss_f32(_mm_add_ss(h2, _mm_movehdup_ps(h2)));
}

SIMD_INLINE __m512i
vi_u8(const uint8_t *p)
{
	return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) p));
}

#define vf_u8(p) _mm512_cvtepi32_ps(vi_u8(p))
#define vf_lo4(p) _mm512_cvtepi32_ps(_mm512_and_si512(vi_u8(p), _mm512_set1_epi32(0x0f)))
#define vf_hi4(p) _mm512_cvtepi32_ps(_mm512_srli_epi32(vi_u8(p), 4))

/* partner + lane or partner - lane: a masked negation of the lane */
#define vf_butterfly(v, h) \
	_mm512_add_ps(vf_swap##h(v), _mm512_mask_xor_ps(v, vf_odd##h, v, _mm512_set1_ps(-0.0f)))
#define vf_swap1(v) _mm512_permute_ps(v, 0xb1)
#define vf_swap2(v) _mm512_permute_ps(v, 0x4e)
#define vf_swap4(v) _mm512_shuffle_f32x4(v, v, 0xb1)
#define vf_swap8(v) _mm512_shuffle_f32x4(v, v, 0x4e)
#define vf_odd1 0xaaaa
#define vf_odd2 0xcccc
#define vf_odd4 0xf0f0
#define vf_odd8 0xff00

/*
 * High nibbles are multiplied in place, sixteen times too large, and shifted
 * once at the end.  A step adds at most 4 * 16 * 15 * 127 to a lane: no
 * overflow before the 17,000th.
 */
typedef struct U4Sum
{
	__m512i		lo;
	__m512i		hi16;
} U4Sum;

SIMD_INLINE U4Sum
u4_zero(void)
{
	U4Sum		sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	return sum;
}

SIMD_INLINE U4Sum
u4_step(U4Sum sum, const uint8_t *code, const int8_t *query_lo, const int8_t *query_hi)
{
	__m512i		c = _mm512_loadu_si512(code);

	sum.lo = _mm512_dpbusd_epi32(sum.lo, _mm512_and_si512(c, _mm512_set1_epi8(0x0f)),
								 _mm512_loadu_si512(query_lo));
	sum.hi16 = _mm512_dpbusd_epi32(sum.hi16, _mm512_and_si512(c, _mm512_set1_epi8((char) 0xf0)),
								   _mm512_loadu_si512(query_hi));
	return sum;
}

SIMD_INLINE __m512i
u4_total(U4Sum sum)
{
	return _mm512_add_epi32(sum.lo, _mm512_srai_epi32(sum.hi16, 4));
}

typedef struct U8Sum
{
	__m512i		even;
	__m512i		odd;
} U8Sum;

SIMD_INLINE U8Sum
u8_zero(void)
{
	U8Sum		sum = {_mm512_setzero_si512(), _mm512_setzero_si512()};

	return sum;
}

SIMD_INLINE U8Sum
u8_step(U8Sum sum, const uint8_t *code, const int16_t *query)
{
	__m512i		c0 = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *) code));
	__m512i		c1 = _mm512_cvtepu8_epi16(_mm256_loadu_si256((const __m256i *) (code + 32)));

	sum.even = _mm512_dpwssd_epi32(sum.even, c0, _mm512_loadu_si512(query));
	sum.odd = _mm512_dpwssd_epi32(sum.odd, c1, _mm512_loadu_si512(query + 32));
	return sum;
}

#define u8_total(sum) _mm512_add_epi32((sum).even, (sum).odd)

SIMD_INLINE __m128i
vi_quarter(__m512i v)
{
	__m256i		h8 = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti32x8_epi32(v, 1));

	return _mm_add_epi32(_mm256_castsi256_si128(h8), _mm256_extracti128_si256(h8, 1));
}

SIMD_INLINE int32_t
vi_sum(__m512i v)
{
	__m128i		h4 = vi_quarter(v);
	__m128i		h2 = _mm_add_epi32(h4, _mm_shuffle_epi32(h4, 0x4e));

	return _mm_cvtsi128_si32(_mm_add_epi32(h2, _mm_shuffle_epi32(h2, 0xb1)));
}

SIMD_INLINE void
vi_sum4(__m512i v0, __m512i v1, __m512i v2, __m512i v3, int32_t *out)
{
	__m128i		h01 = _mm_hadd_epi32(vi_quarter(v0), vi_quarter(v1));
	__m128i		h23 = _mm_hadd_epi32(vi_quarter(v2), vi_quarter(v3));

	_mm_storeu_si128((__m128i *) out, _mm_hadd_epi32(h01, h23));
}

#define LUT_PARTS 4
#define LV __m512i

#define lv_zero() _mm512_setzero_si512()
#define lv_lookup(tables, nibbles) _mm512_shuffle_epi8(tables, nibbles)
#define lv_low(v) _mm512_and_si512(v, _mm512_set1_epi8(0x0f))
#define lv_high(v) lv_low(_mm512_srli_epi16(v, 4))
#define lv_add(a, b) _mm512_add_epi16(a, b)
#define lv_odd(v) _mm512_srli_epi16(v, 8)

SIMD_INLINE __m512i
lv_load(const uint8_t *p, int stride, int k)
{
	__m128i		first = _mm_loadu_si128((const __m128i *) p);
	__m512i		v;

	if (k == 1)
		return _mm512_zextsi128_si512(first);
	if (stride == 16)
		return _mm512_loadu_si512(p);
	v = _mm512_inserti32x4(_mm512_castsi128_si512(first), _mm_loadu_si128((const __m128i *) (p + stride)), 1);
	v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *) (p + 2 * stride)), 2);
	return _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *) (p + 3 * stride)), 3);
}

/* 16-bit sums of the four parts of a step */
SIMD_INLINE __m128i
lv_quarter(__m512i v)
{
	__m256i		half = _mm256_add_epi16(_mm512_castsi512_si256(v), _mm512_extracti32x8_epi32(v, 1));

	return _mm_add_epi16(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

SIMD_INLINE void
lv_add_to(uint32_t *out, __m512i all, __m512i odd)
{
	__m128i		o = lv_quarter(odd);
	__m128i		e = _mm_sub_epi16(lv_quarter(all), _mm_slli_epi16(o, 8));
	__m256i		words = _mm256_set_m128i(_mm_unpackhi_epi16(e, o), _mm_unpacklo_epi16(e, o));

	_mm512_storeu_si512(out, _mm512_add_epi32(_mm512_loadu_si512(out), _mm512_cvtepu16_epi32(words)));
}

/* As on AVX2, for the first AVX-512 processors; the others have simd_vpopcnt.c. */
SIMD_INLINE __m512i
vb_count(__m512i v)
{
	const __m512i nibble = _mm512_set1_epi8(0x0f);
	const __m512i ones = _mm512_broadcast_i32x4(
		_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
	__m512i		lo = _mm512_and_si512(v, nibble);
	__m512i		hi = _mm512_and_si512(_mm512_srli_epi16(v, 4), nibble);

	return _mm512_sad_epu8(_mm512_add_epi8(_mm512_shuffle_epi8(ones, lo),
										   _mm512_shuffle_epi8(ones, hi)),
						   _mm512_setzero_si512());
}

#define RANGE_HAS_64
#define vr_set8(x) _mm512_set1_epi8((char) (x))
#define vr_set16(x) _mm512_set1_epi16((short) (x))
#define vr_set32(x) _mm512_set1_epi32((int) (x))
#define vr_set64(x) _mm512_set1_epi64((long long) (x))
#define vr_within8(v, low, span) _mm512_cmple_epu8_mask(_mm512_sub_epi8(v, low), span)
#define vr_within16(v, low, span) _mm512_cmple_epu16_mask(_mm512_sub_epi16(v, low), span)
#define vr_within32(v, low, span) _mm512_cmple_epu32_mask(_mm512_sub_epi32(v, low), span)
#define vr_within64(v, low, span) _mm512_cmple_epu64_mask(_mm512_sub_epi64(v, low), span)
#define vr_part8(p, k) _mm512_maskz_loadu_epi8((UINT64_C(1) << (k)) - 1, p)
#define vr_part16(p, k) _mm512_maskz_loadu_epi16((__mmask32) ((1u << (k)) - 1), p)
#define vr_part32(p, k) _mm512_maskz_loadu_epi32((__mmask16) ((1u << (k)) - 1), p)
#define vr_part64(p, k) _mm512_maskz_loadu_epi64((__mmask8) ((1u << (k)) - 1), p)

#include "simd/simd_impl.h"

const SimdKernels *const simd_table_avx512 = &kernels;

#else

const SimdKernels *const simd_table_avx512 = NULL;

#endif
