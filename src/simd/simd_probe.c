/*
 * simd_probe.c
 *		What this processor runs, and the table in use.
 *
 * Compiled for the plain architecture: it runs before anything is known.
 */
#include "simd/simd.h"
#include "simd/simd_tables.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#define SIMD_PROBE_X86 1
#endif

static const SimdKernels *current = NULL;

#ifdef SIMD_PROBE_X86

/*
 * F16C by cpuid itself: clang before 15 does not know the name.  Its
 * registers are AVX's, so "avx2" vouches for the operating system.
 */
static bool
have_f16c(void)
{
	unsigned int a,
				b,
				c,
				d;

	return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) != 0;
}

/* Counts the ones of words; some processors with all of SIMD_AVX512 cannot. */
static bool
have_vpopcnt(void)
{
	__builtin_cpu_init();
	return __builtin_cpu_supports("avx512vpopcntdq");
}

/* __builtin_cpu_supports() also asks whether the system saves the registers. */
static bool
cpu_runs(SimdLevel level)
{
	__builtin_cpu_init();

	switch (level)
	{
		case SIMD_SCALAR:
			return true;
		case SIMD_BASELINE:
			return __builtin_cpu_supports("sse2");
		case SIMD_AVX2:
			return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && have_f16c();
		case SIMD_AVX512:
			return cpu_runs(SIMD_AVX2) &&
				__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
				__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
				__builtin_cpu_supports("avx512vnni");
	}
	return false;
}

#else

static bool
have_vpopcnt(void)
{
	return false;
}

/* Elsewhere the baseline is what every machine of the architecture runs. */
static bool
cpu_runs(SimdLevel level)
{
	return level == SIMD_SCALAR || level == SIMD_BASELINE;
}

#endif

/* The AVX-512 table, with the best bit kernels that run here. */
static const SimdKernels *
avx512_table(void)
{
	static SimdKernels table;

	if (simd_table_avx512 == NULL || simd_bits_vpopcnt == NULL || !have_vpopcnt())
		return simd_table_avx512;
	if (table.name == NULL)
	{
		table = *simd_table_avx512;
		table.bits = *simd_bits_vpopcnt;
	}
	return &table;
}

const SimdKernels *
simd_kernels_for(SimdLevel level)
{
	const SimdKernels *table = NULL;

	switch (level)
	{
		case SIMD_SCALAR:
			table = simd_table_scalar;
			break;
		case SIMD_BASELINE:
			table = simd_table_baseline;
			break;
		case SIMD_AVX2:
			table = simd_table_avx2;
			break;
		case SIMD_AVX512:
			table = avx512_table();
			break;
	}
	return table != NULL && cpu_runs(level) ? table : NULL;
}

SimdLevel
simd_best_level(void)
{
	static int	best = -1;

	if (best < 0)
	{
		best = SIMD_NLEVELS - 1;
		while (best > SIMD_SCALAR && simd_kernels_for((SimdLevel) best) == NULL)
			best--;
	}
	return (SimdLevel) best;
}

const SimdKernels *
simd_get(void)
{
	if (current == NULL)
		simd_use_best();
	return current;
}

bool
simd_force(SimdLevel level)
{
	const SimdKernels *table = simd_kernels_for(level);

	if (table == NULL)
		return false;
	current = table;
	return true;
}

void
simd_use_best(void)
{
	current = simd_kernels_for(simd_best_level());
}
