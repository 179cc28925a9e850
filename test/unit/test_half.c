/*
 * test_half.c
 *		Half precision: the plain conversions against arithmetic in double,
 *		then every level's kernels against those, to the bit.
 */
#include "check.h"

#include "simd/half.h"
#include "simd/simd.h"

#include <float.h>
#include <math.h>

#define ALL_HALVES 65536
#define MAX_N 16000

static Guard a_guard;
static Guard b_guard;
static Guard out_guard;
static uint64_t seed = 16;

static uint32_t
float_bits(float f)
{
	uint32_t	bits;

	memcpy(&bits, &f, sizeof(bits));
	return bits;
}

static float
bits_float(uint32_t bits)
{
	float		f;

	memcpy(&f, &bits, sizeof(f));
	return f;
}

/* the definition of the format; not for NaN */
static double
want_value(uint16_t half)
{
	int			exponent = (half >> 10) & 31;
	int			fraction = half & 0x3ff;
	double		magnitude;

	if (exponent == 31)
		magnitude = HUGE_VAL;
	else if (exponent == 0)
		magnitude = ldexp(fraction, -24);
	else
		magnitude = ldexp(1024 + fraction, exponent - 25);
	return half & 0x8000 ? -magnitude : magnitude;
}

/* the nearest of all halves by search, the even one of two as near; not for NaN */
static uint16_t
want_half(float value)
{
	double		magnitude = fabs((double) value);
	uint16_t	sign = signbit(value) ? 0x8000 : 0;
	int			low = 0;
	int			high = 0x7c00;

	/* infinity takes the place of 2^16 */
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (want_value((uint16_t) middle) <= magnitude)
			low = middle;
		else
			high = middle;
	}
	if (magnitude >= 65536)
		low = high = 0x7c00;
	else
	{
		double		above = high == 0x7c00 ? 65536 : want_value((uint16_t) high);
		double		to_low = magnitude - want_value((uint16_t) low);
		double		to_high = above - magnitude;

		if (to_high < to_low || (to_high == to_low && high % 2 == 0))
			low = high;
	}
	return (uint16_t) low | sign;
}

static void
check_plain_to_float(void)
{
	for (int h = 0; h < ALL_HALVES; h++)
	{
		uint16_t	half = (uint16_t) h;
		float		got = half_to_float(half);
		bool		is_nan = (half & 0x7fff) > 0x7c00;

		if (is_nan)
			CHECK(float_bits(got) == (((uint32_t) (half & 0x8000) << 16) | 0x7fc00000 | ((uint32_t) (half & 0x3ff) << 13)),
				  "half %04x: %08x", half, float_bits(got));
		else
			CHECK((double) got == want_value(half) && !signbit(got) == !(half & 0x8000),
				  "half %04x: %.9g, not %.9g", half, got, want_value(half));
		CHECK(half_from_float(got) == (is_nan ? half | 0x200 : half),
			  "half %04x comes back as %04x", half, half_from_float(got));
	}
}

static void
check_plain_from_float(void)
{
	/* around every half and around every midpoint between two */
	for (int h = 0; h < 0x7c00; h++)
	{
		double		below = want_value((uint16_t) h);
		double		above = h + 1 == 0x7c00 ? 65536 : want_value((uint16_t) (h + 1));
		float		middle = (float) ((below + above) / 2);
		uint16_t	even = (uint16_t) (h + h % 2);

		CHECK(half_from_float(middle) == even, "tie above %04x: %04x", h, half_from_float(middle));
		CHECK(half_from_float(-middle) == (even | 0x8000), "tie below -%04x: %04x", h, half_from_float(-middle));
		CHECK(half_from_float(nextafterf(middle, 0)) == h, "before the tie above %04x", h);
		CHECK(half_from_float(nextafterf(middle, HUGE_VALF)) == h + 1, "behind the tie above %04x", h);
		CHECK(half_from_float(nextafterf((float) below, HUGE_VALF)) == h, "just above %04x", h);
	}
	CHECK(half_from_float(65519.996f) == 0x7bff, "largest that stays finite");
	CHECK(half_from_float(65520) == 0x7c00, "smallest that overflows");
	CHECK(half_from_float(HUGE_VALF) == 0x7c00 && half_from_float(-HUGE_VALF) == 0xfc00, "infinity");
	CHECK(half_from_float(0x1p-25f) == 0 && half_from_float(0x1.000002p-25f) == 1, "half the smallest");
	CHECK(half_from_float(bits_float(1)) == 0 && half_from_float(bits_float(0x80000001)) == 0x8000, "smallest float");

	for (int i = 0; i < 1000000; i++)
	{
		uint32_t	bits = (uint32_t) check_random(&seed);
		float		value;
		uint16_t	got;

		/* two of three in a half's range */
		if (i % 3 != 0)
			bits = (bits & 0x807fffff) | ((uint32_t) (100 + bits % 45) << 23);
		value = bits_float(bits);
		got = half_from_float(value);
		if (isnan(value))
			CHECK(got == (0x7e00 | ((bits >> 16) & 0x8000) | ((bits >> 13) & 0x3ff)), "float %08x: %04x", bits, got);
		else
			CHECK(got == want_half(value), "float %08x: %04x, not %04x", bits, got, want_half(value));
	}
}

static void
check_runs(const SimdKernels *k)
{
	static uint16_t halves[ALL_HALVES];
	static uint16_t want_halves[ALL_HALVES];
	static float floats[ALL_HALVES];
	static float want[ALL_HALVES];

	/* every half */
	for (int h = 0; h < ALL_HALVES; h++)
	{
		halves[h] = (uint16_t) h;
		want[h] = half_to_float((uint16_t) h);
	}
	k->f16_to_f32(halves, floats, ALL_HALVES);
	CHECK(memcmp(floats, want, sizeof(want)) == 0, "%s f16_to_f32: not the plain bits", k->name);

	/* and back, every midpoint of two, the floats beside it, and any bits at all */
	for (int round = 0; round < 40; round++)
	{
		bool		finite = true;
		bool		got;

		for (int h = 0; h < ALL_HALVES; h++)
		{
			uint32_t	bits = float_bits(want[h]);

			if (round < 2)
				floats[h] = want[h];
			else if (round < 5)
				floats[h] = bits_float(bits + (1 << 12) + (uint32_t) round - 3);
			else
				floats[h] = bits_float((uint32_t) check_random(&seed));
			/* the second time round without those that are not finite */
			if (round == 1 && (h & 0x7c00) == 0x7c00)
				floats[h] = 0;
			want_halves[h] = half_from_float(floats[h]);
			finite &= (want_halves[h] & 0x7c00) != 0x7c00;
		}
		got = k->f32_to_f16(floats, halves, ALL_HALVES);
		CHECK(memcmp(halves, want_halves, sizeof(halves)) == 0, "%s f32_to_f16: not the plain bits, round %d", k->name, round);
		CHECK(got == finite, "%s f32_to_f16: says %d, round %d", k->name, got, round);
		CHECK(finite == (round == 1), "round %d: finite %d", round, finite);
	}

	/* every length, at the end of memory, and what is found where */
	for (int n = 0; n <= 200; n++)
	{
		uint16_t   *h = guard_at(&a_guard, (size_t) n * sizeof(uint16_t));
		uint16_t   *h_out = guard_at(&out_guard, (size_t) n * sizeof(uint16_t));
		float	   *f = guard_at(&b_guard, (size_t) n * sizeof(float));
		float	   *f_out = guard_at(&out_guard, (size_t) n * sizeof(float));
		int			wrong = 0;

		for (int i = 0; i < n; i++)
		{
			h[i] = (uint16_t) (check_random(&seed) % 0x7c00);
			f[i] = check_uniform(&seed, -70, 70);
		}
		f_out[-1] = -12345;
		k->f16_to_f32(h, f_out, n);
		for (int i = 0; i < n; i++)
			wrong += f_out[i] != half_to_float(h[i]);
		wrong += f_out[-1] != -12345;
		h_out[-1] = 12345;
		wrong += !k->f32_to_f16(f, h_out, n);
		for (int i = 0; i < n; i++)
			wrong += h_out[i] != half_from_float(f[i]);
		wrong += h_out[-1] != 12345;
		for (int i = 0; i < n; i++)
		{
			static const float bad[] = {65520, -70000, NAN, HUGE_VALF, -HUGE_VALF, FLT_MAX};
			float		kept = f[i];

			for (size_t j = 0; j < sizeof(bad) / sizeof(bad[0]); j++)
			{
				f[i] = bad[j];
				wrong += k->f32_to_f16(f, h_out, n);
			}
			f[i] = 65519;
			wrong += !k->f32_to_f16(f, h_out, n);
			f[i] = kept;
		}
		CHECK(wrong == 0, "%s runs n=%d: %d wrong", k->name, n, wrong);
	}
}

/* The kernels of floats are held to arithmetic in double by test_simd. */
static void
check_pairs(const SimdKernels *k)
{
	static float fa[MAX_N];
	static float fb[MAX_N];

	for (int n = 0; n >= 0; n = check_next_length(n))
	{
		for (int round = 0; round < 4; round++)
		{
			/* against the end, and at odd distances from it */
			uint16_t   *a = guard_at(&a_guard, (size_t) (n + round) * sizeof(uint16_t));
			uint16_t   *b = guard_at(&b_guard, (size_t) (n + round / 2) * sizeof(uint16_t));
			float		got[4] = {0, 0, 0, -12345};
			float		want[3];

			for (int i = 0; i < n; i++)
			{
				a[i] = half_from_float(check_uniform(&seed, -2, 2));
				b[i] = half_from_float(check_uniform(&seed, -2, 2));
				if (round == 3)
				{
					/* of any size, subnormal too, but finite */
					a[i] = (uint16_t) (check_random(&seed) & 0xfbff);
					b[i] = (uint16_t) (check_random(&seed) & 0xfbff);
				}
				fa[i] = half_to_float(a[i]);
				fb[i] = half_to_float(b[i]);
			}
			CHECK(float_bits(k->l2sq_f16(a, b, n)) == float_bits(k->l2sq_f32(fa, fb, n)), "%s l2sq n=%d", k->name, n);
			CHECK(float_bits(k->dot_f16(a, b, n)) == float_bits(k->dot_f32(fa, fb, n)), "%s dot n=%d", k->name, n);
			CHECK(float_bits(k->l1_f16(a, b, n)) == float_bits(k->l1_f32(fa, fb, n)), "%s l1 n=%d", k->name, n);
			k->cosine_f16(a, b, n, got);
			k->cosine_f32(fa, fb, n, want);
			CHECK(memcmp(got, want, sizeof(want)) == 0 && got[3] == -12345, "%s cosine n=%d", k->name, n);
		}
	}
}

int
main(void)
{
	a_guard = guard_new(MAX_N * sizeof(float) + 4096);
	b_guard = guard_new(MAX_N * sizeof(float) + 4096);
	out_guard = guard_new(MAX_N * sizeof(float) + 4096);

	check_plain_to_float();
	check_plain_from_float();
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *k = simd_kernels_for((SimdLevel) level);

		if (k == NULL)
		{
			CHECK_SKIP("level %d: not on this machine", level);
			continue;
		}
		check_runs(k);
		check_pairs(k);
	}
	return check_done("test_half");
}
