/*
 * simd_baseline.c
 *		The kernels on 128 bits, SSE2 or by SIMDe NEON and others: primitives
 *		for simd_impl.h.
 */
#include "simd/simd_tables.h"

#include <string.h>

#include <simde/x86/sse2.h>
#include <simde/x86/fma.h>

#define KERNEL(name) name##_baseline
#define KERNEL_LEVEL SIMD_BASELINE
#define KERNEL_LEVEL_NAME "baseline"
#define F32_GROUP 2

#define VF simde__m128
#define VF_LANES 4

#define vf_zero() simde_mm_setzero_ps()
#define vf_set1(x) simde_mm_set1_ps(x)
#define vf_load(p) simde_mm_loadu_ps(p)
#define vf_store(p, v) simde_mm_storeu_ps(p, v)
#define vf_add(a, b) simde_mm_add_ps(a, b)
#define vf_sub(a, b) simde_mm_sub_ps(a, b)
#define vf_mul(a, b) simde_mm_mul_ps(a, b)
#define vf_div(a, b) simde_mm_div_ps(a, b)
#define vf_sqrt(v) simde_mm_sqrt_ps(v)
#define vf_min(a, b) simde_mm_min_ps(a, b)
#define vf_max(a, b) simde_mm_max_ps(a, b)
#define vf_equal_bits(a, b) (unsigned) simde_mm_movemask_ps(simde_mm_cmpeq_ps(a, b))
#define vf_abs(v) simde_mm_andnot_ps(simde_mm_set1_ps(-0.0f), v)

/* fused on NEON; SIMDe's own fallback is an element loop, so spell out SSE2's */
#if defined(SIMDE_X86_SSE2_NATIVE)
#define vf_fma(a, b, c) simde_mm_add_ps(simde_mm_mul_ps(a, b), c)
#else
#define vf_fma(a, b, c) simde_mm_fmadd_ps(a, b, c)
#endif

#define VD simde__m128d
#define VD_LANES 2

#define vd_zero() simde_mm_setzero_pd()
#define vd_add(a, b) simde_mm_add_pd(a, b)
#define vd_sum(v) simde_mm_cvtsd_f64(simde_mm_add_sd(v, simde_mm_unpackhi_pd(v, v)))

SIMD_INLINE simde__m128d
vd_add_squares(simde__m128d sum, const float *p)
{
	simde__m128d x = simde_mm_cvtps_pd(simde_mm_castsi128_ps(simde_mm_loadl_epi64((const simde__m128i *) p)));

	return simde_mm_add_pd(sum, simde_mm_mul_pd(x, x));
}

SIMD_INLINE simde__m128
vf_load_part(const float *p, int k)
{
	simde__m128 head;

	if (k == 1)
		return simde_mm_load_ss(p);
	head = simde_mm_castsi128_ps(simde_mm_loadl_epi64((const simde__m128i *) p));
	return k == 2 ? head : simde_mm_movelh_ps(head, simde_mm_load_ss(p + 2));
}

SIMD_INLINE simde__m128
vf_keep_part(simde__m128 v, int k)
{
	static const int32_t masks[8] = {-1, -1, -1, -1, 0, 0, 0, 0};

	return simde_mm_and_ps(v, simde_mm_castsi128_ps(simde_mm_loadu_si128((const simde__m128i *) (masks + 4 - k))));
}

#if defined(SIMDE_ARM_NEON_A64V8_NATIVE)

#define vf_load_half(p) vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))
#define vf_store_half(p, v) vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)))

#else

/* half.h explains the arithmetic; both branches of each choice are computed */
SIMD_INLINE simde__m128
vf_load_half(const uint16_t *p)
{
	simde__m128i half = simde_mm_unpacklo_epi16(simde_mm_loadl_epi64((const simde__m128i *) p),
												simde_mm_setzero_si128());
	simde__m128i magnitude = simde_mm_slli_epi32(simde_mm_and_si128(half, simde_mm_set1_epi32(0x7fff)), 13);
	simde__m128i sign = simde_mm_slli_epi32(simde_mm_and_si128(half, simde_mm_set1_epi32(0x8000)), 16);
	simde__m128i special = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32((0x7c00 << 13) - 1));
	simde__m128i nan = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x7c00 << 13));
	simde__m128 value = simde_mm_mul_ps(simde_mm_castsi128_ps(magnitude), simde_mm_set1_ps(0x1p112f));

	sign = simde_mm_or_si128(sign, simde_mm_and_si128(special, simde_mm_set1_epi32(0x7f800000)));
	sign = simde_mm_or_si128(sign, simde_mm_and_si128(nan, simde_mm_set1_epi32(0x00400000)));
	return simde_mm_or_ps(value, simde_mm_castsi128_ps(sign));
}

SIMD_INLINE simde__m128i
vi_choose(simde__m128i which, simde__m128i yes, simde__m128i no)
{
	return simde_mm_or_si128(simde_mm_and_si128(which, yes), simde_mm_andnot_si128(which, no));
}

SIMD_INLINE void
vf_store_half(uint16_t *p, simde__m128 v)
{
	simde__m128i bits = simde_mm_castps_si128(v);
	simde__m128i magnitude = simde_mm_and_si128(bits, simde_mm_set1_epi32(0x7fffffff));
	simde__m128i is_nan = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x7f800000));
	simde__m128i is_large = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x47800000 - 1));
	simde__m128i is_normal = simde_mm_cmpgt_epi32(magnitude, simde_mm_set1_epi32(0x38800000 - 1));
	simde__m128i place = simde_mm_srli_epi32(magnitude, 13);
	simde__m128i odd = simde_mm_and_si128(place, simde_mm_set1_epi32(1));
	simde__m128i nan = simde_mm_or_si128(simde_mm_and_si128(place, simde_mm_set1_epi32(0x3ff)),
										 simde_mm_set1_epi32(0x7e00));
	simde__m128i normal = simde_mm_add_epi32(simde_mm_add_epi32(magnitude, odd),
											 simde_mm_set1_epi32(0xfff - (112 << 23)));
	simde__m128 sum = simde_mm_add_ps(simde_mm_castsi128_ps(magnitude), simde_mm_set1_ps(0.5f));
	simde__m128i subnormal = simde_mm_sub_epi32(simde_mm_castps_si128(sum), simde_mm_set1_epi32(0x3f000000));
	simde__m128i half = vi_choose(is_normal, simde_mm_srli_epi32(normal, 13), subnormal);

	half = vi_choose(is_large, vi_choose(is_nan, nan, simde_mm_set1_epi32(0x7c00)), half);
	half = simde_mm_or_si128(half, simde_mm_and_si128(simde_mm_srli_epi32(bits, 16), simde_mm_set1_epi32(0x8000)));

	/* SSE2 packs signed numbers only: bit 15 becomes the sign */
	half = simde_mm_srai_epi32(simde_mm_slli_epi32(half, 16), 16);
	simde_mm_storel_epi64((simde__m128i *) p, simde_mm_packs_epi32(half, half));
}

#endif

SIMD_INLINE simde__m128
vf_load_half_part(const uint16_t *p, int k)
{
	uint16_t	halves[4] = {0};

	for (int i = 0; i < k; i++)
		halves[i] = p[i];
	return vf_load_half(halves);
}

SIMD_INLINE float
vf_sum(simde__m128 v)
{
	simde__m128 h2 = simde_mm_add_ps(v, simde_mm_movehl_ps(v, v));

	return simde_mm_cvtss_f32(simde_mm_add_ss(h2, simde_mm_shuffle_ps(h2, h2, 0xb1)));
}

SIMD_INLINE simde__m128i
vi_u8(const uint8_t *p)
{
	int32_t		bytes;
	simde__m128i b;

	memcpy(&bytes, p, sizeof(bytes));
	b = simde_mm_unpacklo_epi8(simde_mm_cvtsi32_si128(bytes), simde_mm_setzero_si128());
	return simde_mm_unpacklo_epi16(b, simde_mm_setzero_si128());
}

#define vf_u8(p) simde_mm_cvtepi32_ps(vi_u8(p))
#define vf_lo4(p) simde_mm_cvtepi32_ps(simde_mm_and_si128(vi_u8(p), simde_mm_set1_epi32(0x0f)))
#define vf_hi4(p) simde_mm_cvtepi32_ps(simde_mm_srli_epi32(vi_u8(p), 4))

/* partner + lane or partner - lane, by a constant of signs */
#define vf_butterfly(v, h) simde_mm_add_ps(vf_swap##h(v), simde_mm_xor_ps(v, vf_odd##h))
#define vf_swap1(v) simde_mm_shuffle_ps(v, v, 0xb1)
#define vf_swap2(v) simde_mm_shuffle_ps(v, v, 0x4e)
#define vf_odd1 simde_mm_setr_ps(0, -0.0f, 0, -0.0f)
#define vf_odd2 simde_mm_setr_ps(0, 0, -0.0f, -0.0f)

typedef simde__m128i U4Sum;

#define u4_zero() simde_mm_setzero_si128()
#define u4_total(sum) (sum)

#define vi_load(p) simde_mm_loadu_si128((const simde__m128i *) (p))
/* bytes of even and of odd number, widened in place to int16 */
#define vi_even_s8(v) simde_mm_srai_epi16(simde_mm_slli_epi16(v, 8), 8)
#define vi_odd_s8(v) simde_mm_srai_epi16(v, 8)

/*
 * SSE2 multiplies int16 only.  A 16-bit word of the code holds four nibbles,
 * low and high of an even and of an odd byte: each kind meets the query
 * bytes of its kind, and nothing is moved between lanes.  At most
 * 4 * 15 * 127 in an int16 lane before madd widens it.
 */
SIMD_INLINE simde__m128i
u4_step16(simde__m128i sum, const uint8_t *code, const int8_t *query_lo, const int8_t *query_hi)
{
	const simde__m128i nibble = simde_mm_set1_epi16(0x0f);
	simde__m128i c = vi_load(code);
	simde__m128i ql = vi_load(query_lo);
	simde__m128i qh = vi_load(query_hi);
	simde__m128i p0 = simde_mm_mullo_epi16(simde_mm_and_si128(c, nibble), vi_even_s8(ql));
	simde__m128i p1 = simde_mm_mullo_epi16(simde_mm_and_si128(simde_mm_srli_epi16(c, 4), nibble), vi_even_s8(qh));
	simde__m128i p2 = simde_mm_mullo_epi16(simde_mm_and_si128(simde_mm_srli_epi16(c, 8), nibble), vi_odd_s8(ql));
	simde__m128i p3 = simde_mm_mullo_epi16(simde_mm_srli_epi16(c, 12), vi_odd_s8(qh));
	simde__m128i p = simde_mm_add_epi16(simde_mm_add_epi16(p0, p1), simde_mm_add_epi16(p2, p3));

	return simde_mm_add_epi32(sum, simde_mm_madd_epi16(p, simde_mm_set1_epi16(1)));
}

SIMD_INLINE simde__m128i
u4_step(simde__m128i sum, const uint8_t *code, const int8_t *query_lo, const int8_t *query_hi)
{
	SIMD_UNROLL
	for (int i = 0; i < 64; i += 16)
		sum = u4_step16(sum, code + i, query_lo + i, query_hi + i);
	return sum;
}

typedef simde__m128i U8Sum;

#define u8_zero() simde_mm_setzero_si128()
#define u8_total(sum) (sum)

SIMD_INLINE simde__m128i
u8_step(simde__m128i sum, const uint8_t *code, const int16_t *query)
{
	const simde__m128i zero = simde_mm_setzero_si128();

	SIMD_UNROLL
	for (int i = 0; i < 64; i += 16)
	{
		simde__m128i c = vi_load(code + i);
		simde__m128i p0 = simde_mm_madd_epi16(simde_mm_unpacklo_epi8(c, zero), vi_load(query + i));
		simde__m128i p1 = simde_mm_madd_epi16(simde_mm_unpackhi_epi8(c, zero), vi_load(query + i + 8));

		sum = simde_mm_add_epi32(sum, simde_mm_add_epi32(p0, p1));
	}
	return sum;
}

SIMD_INLINE int32_t
vi_sum(simde__m128i v)
{
	simde__m128i h2 = simde_mm_add_epi32(v, simde_mm_shuffle_epi32(v, 0x4e));

	return simde_mm_cvtsi128_si32(simde_mm_add_epi32(h2, simde_mm_shuffle_epi32(h2, 0xb1)));
}

/* transpose two lanes, add; transpose the others, add */
SIMD_INLINE void
vi_sum4(simde__m128i v0, simde__m128i v1, simde__m128i v2, simde__m128i v3, int32_t *out)
{
	simde__m128i h01 = simde_mm_add_epi32(simde_mm_unpacklo_epi32(v0, v1), simde_mm_unpackhi_epi32(v0, v1));
	simde__m128i h23 = simde_mm_add_epi32(simde_mm_unpacklo_epi32(v2, v3), simde_mm_unpackhi_epi32(v2, v3));

	simde_mm_storeu_si128((simde__m128i *) out,
						  simde_mm_add_epi32(simde_mm_unpacklo_epi64(h01, h23),
											 simde_mm_unpackhi_epi64(h01, h23)));
}

#if defined(SIMDE_ARM_NEON_A64V8_NATIVE)

/* NEON looks up sixteen bytes at once; SSE2 has nothing of the kind */
#define LUT_PARTS 1
#define LV uint8x16_t

#define lv_zero() vdupq_n_u8(0)
#define lv_lookup(tables, nibbles) vqtbl1q_u8(tables, nibbles)
#define lv_low(v) vandq_u8(v, vdupq_n_u8(0x0f))
#define lv_high(v) vshrq_n_u8(v, 4)
#define lv_add(a, b) vreinterpretq_u8_u16(vaddq_u16(vreinterpretq_u16_u8(a), vreinterpretq_u16_u8(b)))
#define lv_odd(v) vreinterpretq_u8_u16(vshrq_n_u16(vreinterpretq_u16_u8(v), 8))
#define lv_load(p, stride, k) ((void) (stride), (void) (k), vld1q_u8(p))

SIMD_INLINE void
lv_add_to(uint32_t *out, uint8x16_t all, uint8x16_t odd)
{
	uint16x8_t	o = vreinterpretq_u16_u8(odd);
	uint16x8x2_t words = vzipq_u16(vsubq_u16(vreinterpretq_u16_u8(all), vshlq_n_u16(o, 8)), o);

	for (int i = 0; i < 2; i++)
	{
		vst1q_u32(out + 8 * i, vaddw_u16(vld1q_u32(out + 8 * i), vget_low_u16(words.val[i])));
		vst1q_u32(out + 8 * i + 4, vaddw_u16(vld1q_u32(out + 8 * i + 4), vget_high_u16(words.val[i])));
	}
}

#endif

#define VB simde__m128i
#define VB_BYTES 16

#define vb_load(p) vi_load(p)
#define vb_xor(a, b) simde_mm_xor_si128(a, b)
#define vb_and(a, b) simde_mm_and_si128(a, b)
#define vb_or(a, b) simde_mm_or_si128(a, b)
#define vb_zero() simde_mm_setzero_si128()
#define vb_add(a, b) simde_mm_add_epi64(a, b)

#if defined(SIMDE_ARM_NEON_A64V8_NATIVE)

/* NEON counts the ones of each byte */
SIMD_INLINE simde__m128i
vb_count(simde__m128i v)
{
	uint8x16_t	ones = vcntq_u8(simde__m128i_to_neon_u8(v));

	return simde__m128i_from_neon_u64(vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(ones))));
}

#else

/* sums of two neighbouring bits, of four, of eight, all within their bytes; then across bytes */
SIMD_INLINE simde__m128i
vb_count(simde__m128i v)
{
	const simde__m128i ones = simde_mm_set1_epi8(0x55);
	const simde__m128i twos = simde_mm_set1_epi8(0x33);
	const simde__m128i fours = simde_mm_set1_epi8(0x0f);

	v = simde_mm_sub_epi8(v, simde_mm_and_si128(simde_mm_srli_epi16(v, 1), ones));
	v = simde_mm_add_epi8(simde_mm_and_si128(v, twos),
						  simde_mm_and_si128(simde_mm_srli_epi16(v, 2), twos));
	v = simde_mm_and_si128(simde_mm_add_epi8(v, simde_mm_srli_epi16(v, 4)), fours);
	return simde_mm_sad_epu8(v, simde_mm_setzero_si128());
}

#endif

SIMD_INLINE uint64_t
vb_total(simde__m128i sums)
{
	uint64_t	parts[2];

	simde_mm_storeu_si128((simde__m128i *) parts, sums);
	return parts[0] + parts[1];
}

#define vr_set8(x) simde_mm_set1_epi8((int8_t) (x))
#define vr_set16(x) simde_mm_set1_epi16((int16_t) (x))
#define vr_set32(x) simde_mm_set1_epi32((int32_t) (x))

SIMD_INLINE uint32_t
vr_within8(simde__m128i v, simde__m128i low, simde__m128i span)
{
	simde__m128i x = simde_mm_sub_epi8(v, low);

	return (uint32_t) simde_mm_movemask_epi8(simde_mm_cmpeq_epi8(simde_mm_min_epu8(x, span), x));
}

/* what exceeds the span is more than zero when that is taken off */
SIMD_INLINE uint32_t
vr_within16(simde__m128i v, simde__m128i low, simde__m128i span)
{
	simde__m128i excess = simde_mm_subs_epu16(simde_mm_sub_epi16(v, low), span);
	simde__m128i is = simde_mm_cmpeq_epi16(excess, simde_mm_setzero_si128());

	return (uint32_t) simde_mm_movemask_epi8(simde_mm_packs_epi16(is, simde_mm_setzero_si128()));
}

/* there is a signed comparison only */
SIMD_INLINE uint32_t
vr_within32(simde__m128i v, simde__m128i low, simde__m128i span)
{
	simde__m128i sign = simde_mm_set1_epi32(INT32_MIN);
	simde__m128i x = simde_mm_xor_si128(simde_mm_sub_epi32(v, low), sign);
	simde__m128i above = simde_mm_cmpgt_epi32(x, simde_mm_xor_si128(span, sign));

	return (uint32_t) simde_mm_movemask_ps(simde_mm_castsi128_ps(above)) ^ 0xf;
}

#include "simd/simd_impl.h"

const SimdKernels *const simd_table_baseline = &kernels;
