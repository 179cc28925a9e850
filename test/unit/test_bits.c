/*
 * test_bits.c
 *		The bit-string kernels of every level against bits counted one by one.
 */
#include "check.h"

#include "simd/simd.h"
#include "simd/simd_tables.h"

#define MAX_BYTES 8192

static Guard a_guard;
static Guard b_guard;
static uint64_t seed = 7;

typedef enum Fill
{
	FILL_RANDOM,
	FILL_ONES,					/* as many as there can be */
	FILL_OPPOSITE,				/* every bit differs */
	FILL_SINGLE,				/* one bit, in the first of the two only */
	FILL_COUNT
} Fill;

static void
fill(Fill kind, uint8_t *a, uint8_t *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
	{
		uint64_t	random = check_random(&seed);

		a[i] = (uint8_t) (kind == FILL_SINGLE ? 0 : kind == FILL_ONES ? 0xff : random);
		b[i] = (uint8_t) (kind == FILL_SINGLE ? 0 : kind == FILL_ONES ? 0xff :
						  kind == FILL_OPPOSITE ? ~random : random >> 8);
	}
	if (kind == FILL_SINGLE)
		a[check_random(&seed) % n] = (uint8_t) (1u << check_random(&seed) % 8);
}

static void
want(const uint8_t *a, const uint8_t *b, size_t n, uint64_t *differ, uint64_t *both, uint64_t *either)
{
	*differ = *both = *either = 0;
	for (size_t i = 0; i < 8 * n; i++)
	{
		bool		x = a[i / 8] >> i % 8 & 1;
		bool		y = b[i / 8] >> i % 8 & 1;

		*differ += x != y;
		*both += x && y;
		*either += x || y;
	}
}

/* 1 .. 300, then some that take many steps */
static void
check_bits(const char *name, const SimdBitKernels *k)
{
	static const size_t more[] = {511, 768, 1024, 2000, 4095, 8000, MAX_BYTES};
	uint64_t	counts[3] = {1, 1, 12345};

	for (size_t n = 1; n <= 300 + sizeof(more) / sizeof(more[0]); n++)
	{
		size_t		nbytes = n <= 300 ? n : more[n - 301];

		for (Fill kind = 0; kind < FILL_COUNT; kind++)
		{
			int			wrong = 0;

			/* against the end of memory, and up to 3 bytes before it */
			for (size_t back = 0; back < 4; back++)
			{
				size_t		room = nbytes + back <= MAX_BYTES ? back : 0;
				uint8_t    *a = guard_at(&a_guard, nbytes + room);
				uint8_t    *b = guard_at(&b_guard, nbytes + (room * 3) % 4 * (room != 0));
				uint64_t	differ;
				uint64_t	both;
				uint64_t	either;

				/* what lies behind must not count */
				memset(a, 0xff, nbytes + room);
				fill(kind, a, b, nbytes);
				want(a, b, nbytes, &differ, &both, &either);
				wrong += k->hamming(a, b, nbytes) != differ;
				k->overlap(a, b, nbytes, counts);
				wrong += counts[0] != both || counts[1] != either;
				wrong += counts[2] != 12345;
			}
			CHECK(wrong == 0, "%s nbytes=%zu fill %d: %d wrong", name, nbytes, kind, wrong);
		}
	}

	/* no bytes at all, at an address that cannot be read */
	CHECK(k->hamming(a_guard.end, b_guard.end, 0) == 0, "%s: bits in an empty string", name);
	k->overlap(a_guard.end, b_guard.end, 0, counts);
	CHECK(counts[0] == 0 && counts[1] == 0, "%s: bits in an empty string", name);
}

int
main(void)
{
	a_guard = guard_new(MAX_BYTES);
	b_guard = guard_new(MAX_BYTES);

	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *k = simd_kernels_for((SimdLevel) level);

		if (k == NULL)
			CHECK_SKIP("level %d: not on this machine", level);
		else
			check_bits(k->name, &k->bits);
	}

	/* AVX-512 has two sets: that of processors without VPOPCNTDQ runs on all */
	if (simd_kernels_for(SIMD_AVX512) != NULL)
	{
		check_bits("avx512 without vpopcnt", &simd_table_avx512->bits);
		if (simd_kernels_for(SIMD_AVX512) == simd_table_avx512)
			CHECK_SKIP("vpopcnt: not on this machine");
		else
			CHECK(simd_kernels_for(SIMD_AVX512)->bits.hamming == simd_bits_vpopcnt->hamming,
				  "VPOPCNTDQ is there and not used");
	}
	return check_done("test_bits");
}
