/*
 * bits_avx512.h
 *		Primitives for bits_impl.h on AVX-512 but for the counting, which
 *		depends on the processor: simd_avx512.c and simd_vpopcnt.c.
 */
#ifndef VECIDX_BITS_AVX512_H
#define VECIDX_BITS_AVX512_H

#include <immintrin.h>

#define VB __m512i
#define VB_BYTES 64

#define vb_load(p) _mm512_loadu_si512(p)
#define vb_load_part(p, k) _mm512_maskz_loadu_epi8((UINT64_C(1) << (k)) - 1, p)
#define vb_xor(a, b) _mm512_xor_si512(a, b)
#define vb_and(a, b) _mm512_and_si512(a, b)
#define vb_or(a, b) _mm512_or_si512(a, b)
#define vb_zero() _mm512_setzero_si512()
#define vb_add(a, b) _mm512_add_epi64(a, b)
#define vb_total(sums) ((uint64_t) _mm512_reduce_add_epi64(sums))

#endif							/* VECIDX_BITS_AVX512_H */
