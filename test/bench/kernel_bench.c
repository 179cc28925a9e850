/*
 * kernel_bench.c
 *		Nanoseconds per vector or code, for every kernel and level.
 *
 *	hot		the same 8 codes again and again, in one batch of 8
 *	dram	32 codes a batch at random places of an arena far larger than the
 *			caches, not touched before
 *	ahead	the same, but every cache line of the batch was prefetched first,
 *			as the index does; the prefetching is in the time
 *
 * Codes stand in the arena as they do on a page: densely.  Smallest of
 * several rounds.
 */
#include "simd/simd.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ARENA_BYTES ((size_t) 512 << 20)
#define HOT_CODES 8
#define BATCH 32
#define MAX_DIM 1536
#define ROUNDS 5
#define ROUND_NS 4e6

static uint8_t *arena;
static uint64_t seed = 1;

/* One kernel under test: runs a batch, result in the sink. */
typedef void (*Run) (const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim);

static _Alignas(64) float query_f32[MAX_DIM];
static _Alignas(64) uint16_t query_f16[MAX_DIM];
static _Alignas(64) int8_t query_s8[2 * MAX_DIM];
static _Alignas(64) int16_t query_s16[MAX_DIM + 64];
static float grid_lo[BATCH];
static float grid_step[BATCH];
static float out_f32[BATCH];
static int32_t out_s32[BATCH];
static volatile float sink_f32;
static volatile int32_t sink_s32;

static uint64_t
next_random(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static double
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static void
run_l2sq(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->l2sq_f32_batch(query_f32, (const float *const *) codes, ncodes, dim, out_f32);
	sink_f32 = out_f32[0];
}

static void
run_dot(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->dot_f32_batch(query_f32, (const float *const *) codes, ncodes, dim, out_f32);
	sink_f32 = out_f32[0];
}

static void
run_l2sq_pair(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	for (int i = 0; i < ncodes; i++)
		sink_f32 = k->l2sq_f32(query_f32, (const float *) codes[i], dim);
}

static void
run_l1(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->l1_f32_batch(query_f32, (const float *const *) codes, ncodes, dim, out_f32);
	sink_f32 = out_f32[0];
}

static void
run_cosine(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	float		sums[3];

	for (int i = 0; i < ncodes; i++)
	{
		k->cosine_f32(query_f32, (const float *) codes[i], dim, sums);
		sink_f32 = sums[0] + sums[1] + sums[2];
	}
}

static void
run_l2sq_half_batch(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->l2sq_f16_batch(query_f32, (const uint16_t *const *) (const void *) codes, ncodes, dim, out_f32);
	sink_f32 = out_f32[0];
}

static void
run_l2sq_half(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	for (int i = 0; i < ncodes; i++)
		sink_f32 = k->l2sq_f16(query_f16, (const uint16_t *) codes[i], dim);
}

static void
run_cosine_half(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	float		sums[3];

	for (int i = 0; i < ncodes; i++)
	{
		k->cosine_f16(query_f16, (const uint16_t *) codes[i], dim, sums);
		sink_f32 = sums[0] + sums[1] + sums[2];
	}
}

static void
run_from_half(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	static float floats[MAX_DIM];

	for (int i = 0; i < ncodes; i++)
	{
		k->f16_to_f32((const uint16_t *) codes[i], floats, dim);
		sink_f32 = floats[dim - 1];
	}
}

static void
run_to_half(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	static uint16_t halves[MAX_DIM];

	for (int i = 0; i < ncodes; i++)
		sink_s32 = k->f32_to_f16((const float *) codes[i], halves, dim);
}

static void
run_u4s8(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->dot_u4s8_batch(query_s8, codes, ncodes, dim / 2, out_s32);
	sink_s32 = out_s32[0];
}

static void
run_u8s16(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->dot_u8s16_batch(query_s16, codes, ncodes, dim, out_s32);
	sink_s32 = out_s32[0];
}

static void
run_l1_u8(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->l1_u8_batch(query_f32, codes, ncodes, dim, grid_lo, grid_step, out_f32);
	sink_f32 = out_f32[0];
}

static void
run_l1_u4(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	k->l1_u4_batch(query_f32, codes, ncodes, dim, grid_lo, grid_step, out_f32);
	sink_f32 = out_f32[0];
}

/* the query's bytes are any bits */
static void
run_hamming(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	for (int i = 0; i < ncodes; i++)
		sink_s32 = (int32_t) k->bits.hamming((const uint8_t *) query_f32, codes[i], (size_t) dim / 8);
}

static void
run_overlap(const SimdKernels *k, const uint8_t *const *codes, int ncodes, int dim)
{
	uint64_t	counts[2];

	for (int i = 0; i < ncodes; i++)
	{
		k->bits.overlap((const uint8_t *) query_f32, codes[i], (size_t) dim / 8, counts);
		sink_s32 = (int32_t) (counts[0] + counts[1]);
	}
}

static const struct
{
	const char *name;
	Run			run;
	int			bits;			/* of a dimension */
}			benches[] = {
	{"l2sq_f32_batch", run_l2sq, 32},
	{"dot_f32_batch", run_dot, 32},
	{"l1_f32_batch", run_l1, 32},
	{"l2sq_f32 pairs", run_l2sq_pair, 32},
	{"cosine_f32 pairs", run_cosine, 32},
	{"l2sq_f16_batch", run_l2sq_half_batch, 16},
	{"l2sq_f16 pairs", run_l2sq_half, 16},
	{"cosine_f16 pairs", run_cosine_half, 16},
	{"f16_to_f32", run_from_half, 16},
	{"f32_to_f16", run_to_half, 32},
	{"bits.hamming", run_hamming, 1},
	{"bits.overlap", run_overlap, 1},
	{"dot_u8s16_batch", run_u8s16, 8},
	{"dot_u4s8_batch", run_u4s8, 4},
	{"l1_u8_batch", run_l1_u8, 8},
	{"l1_u4_batch", run_l1_u4, 4},
};

static double
time_hot(Run run, const SimdKernels *k, int dim, size_t stride)
{
	const uint8_t *codes[HOT_CODES];
	double		best = 1e30;

	for (int i = 0; i < HOT_CODES; i++)
		codes[i] = arena + (size_t) i * stride;
	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now_ns();
		double		end;
		long		batches = 0;

		do
		{
			for (int i = 0; i < 100; i++)
				run(k, codes, HOT_CODES, dim);
			batches += 100;
			end = now_ns();
		} while (end - start < ROUND_NS);
		if ((end - start) / (double) (batches * HOT_CODES) < best)
			best = (end - start) / (double) (batches * HOT_CODES);
	}
	return best;
}

static double
time_dram(Run run, const SimdKernels *k, int dim, size_t stride, bool ahead)
{
	size_t		ncodes = (ARENA_BYTES - SIMD_SLACK) / stride;
	double		best = 1e30;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		spent = 0;
		long		batches = 0;

		do
		{
			const uint8_t *codes[BATCH];
			double		start;

			for (int i = 0; i < BATCH; i++)
				codes[i] = arena + next_random() % ncodes * stride;
			start = now_ns();
			if (ahead)
			{
				for (int i = 0; i < BATCH; i++)
				{
					for (size_t byte = 0; byte < stride; byte += 64)
						__builtin_prefetch(codes[i] + byte);
				}
			}
			run(k, codes, BATCH, dim);
			spent += now_ns() - start;
			batches++;
		} while (spent < ROUND_NS);
		if (spent / (double) (batches * BATCH) < best)
			best = spent / (double) (batches * BATCH);
	}
	return best;
}

static double
time_fht(const SimdKernels *k, int n)
{
	static _Alignas(64) float x[16384];
	double		best = 1e30;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now_ns();
		double		end;
		long		times = 0;

		do
		{
			/* zeros stay zeros; repeated transforms of anything else overflow */
			for (int i = 0; i < 16; i++)
				k->fht_f32(x, n);
			times += 16;
			end = now_ns();
		} while (end - start < ROUND_NS);
		if ((end - start) / (double) times < best)
			best = (end - start) / (double) times;
	}
	return best;
}

/* 4096 codes, of which half lie in the range, 64 a call: they stay in the nearest cache. */
static double
time_range(uint64_t (*range) (const void *, int, uint64_t, uint64_t), int bytes)
{
	const int	n = 4096;
	uint64_t	max = UINT64_MAX >> (64 - 8 * bytes);
	double		best = 1e30;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now_ns();
		double		end;
		long		times = 0;

		do
		{
			uint64_t	any = 0;

			for (int i = 0; i < n; i += 64)
				any ^= range(arena + (size_t) i * (size_t) bytes, 64, max / 4, max / 4 * 3);
			sink_s32 = (int32_t) any;
			times++;
			end = now_ns();
		} while (end - start < ROUND_NS);
		if ((end - start) / (double) times / n < best)
			best = (end - start) / (double) times / n;
	}
	return best;
}

/* With an argument: only kernels whose name contains it. */
int
main(int argc, char **argv)
{
	static const int dims[] = {100, 768, 1536};

	arena = aligned_alloc(4096, ARENA_BYTES);
	if (arena == NULL)
	{
		perror("arena");
		return 1;
	}
	/* small floats, and bytes of any value where they are read as codes */
	for (size_t i = 0; i < ARENA_BYTES / sizeof(float); i++)
		((float *) arena)[i] = (float) (next_random() >> 40) / 16777216.0f - 0.5f;
	for (int i = 0; i < MAX_DIM; i++)
	{
		query_f32[i] = (float) (next_random() >> 40) / 16777216.0f - 0.5f;
		query_f16[i] = (uint16_t) (0x3000 + next_random() % 0x0800);
		query_s16[i] = (int16_t) (next_random() % 511) - 255;
		query_s8[i] = (int8_t) (next_random() % 255 - 127);
	}
	for (int i = 0; i < BATCH; i++)
		grid_step[i] = 0.01f;

	printf("ns per vector or code: hot / dram / ahead\n");
	printf("%-18s %-9s", "kernel", "level");
	for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
		printf("   %18s%4d", "D = ", dims[d]);
	printf("\n");

	for (size_t b = 0; b < sizeof(benches) / sizeof(benches[0]); b++)
	{
		if (argc > 1 && strstr(benches[b].name, argv[1]) == NULL)
			continue;
		for (int level = 0; level < SIMD_NLEVELS; level++)
		{
			const SimdKernels *k = simd_kernels_for((SimdLevel) level);

			if (k == NULL)
				continue;
			printf("%-18s %-9s", benches[b].name, k->name);
			for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
			{
				size_t		stride = (size_t) dims[d] * (size_t) benches[b].bits / 8;

				printf("   %6.1f /%6.0f /%6.0f",
					   time_hot(benches[b].run, k, dims[d], stride),
					   time_dram(benches[b].run, k, dims[d], stride, false),
					   time_dram(benches[b].run, k, dims[d], stride, true));
				fflush(stdout);
			}
			printf("\n");
		}
	}

	if (argc < 2 || strcmp(argv[1], "range") == 0)
	{
		printf("\nns per code, hot: range_u8, u16, u32, u64\n");
		for (int level = 0; level < SIMD_NLEVELS; level++)
		{
			const SimdKernels *k = simd_kernels_for((SimdLevel) level);

			if (k != NULL)
				printf("%-9s %8.3f %8.3f %8.3f %8.3f\n", k->name,
					   time_range(k->range_u8, 1), time_range(k->range_u16, 2),
					   time_range(k->range_u32, 4), time_range(k->range_u64, 8));
		}
	}
	if (argc > 1)
		return 0;
	printf("\nns per fht_f32, hot: n = 128, 1024, 2048, 16384\n");
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *k = simd_kernels_for((SimdLevel) level);

		if (k != NULL)
			printf("%-9s %8.0f %8.0f %8.0f %8.0f\n", k->name,
				   time_fht(k, 128), time_fht(k, 1024), time_fht(k, 2048), time_fht(k, 16384));
	}
	free(arena);
	return 0;
}
