/*
 * simd_vpopcnt.c
 *		Bit-string kernels for those AVX-512 processors that count the ones of
 *		a word in one instruction (VPOPCNTDQ).  They take the place of the
 *		AVX-512 level's own; simd_probe.c sees to that.
 */
#include "simd/simd_tables.h"

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VPOPCNTDQ__)

#include "simd/bits_avx512.h"

#define KERNEL(name) name##_vpopcnt

#define vb_count(v) _mm512_popcnt_epi64(v)

#include "simd/bits_impl.h"

static const SimdBitKernels kernels = {bits_hamming_vpopcnt, bits_overlap_vpopcnt};

const SimdBitKernels *const simd_bits_vpopcnt = &kernels;

#else

const SimdBitKernels *const simd_bits_vpopcnt = NULL;

#endif
