/*
 * test_float_text.c
 *		The float reader against strtof: same bits, same end, same range errors.
 */
#include "check.h"

#include "types/float_text.h"

#include <errno.h>
#include <math.h>

static uint64_t seed = 42;
static Guard guard;

/* text is copied to the end of memory: reading past its NUL is a fault */
static void
compare(const char *text)
{
	size_t		size = strlen(text) + 1;
	char	   *copy = memcpy(guard_at(&guard, size), text, size);
	const char *pos = copy;
	char	   *end;
	float		got = 0;
	float		want;
	FloatText	result = float_text_read(&pos, &got);
	FloatText	wanted;

	errno = 0;
	want = strtof(copy, &end);
	if (end == copy)
		wanted = FLOAT_TEXT_SYNTAX;
	else
		wanted = errno == ERANGE && isinf(want) ? FLOAT_TEXT_RANGE : FLOAT_TEXT_OK;

	CHECK(result == wanted, "\"%s\": result %d, not %d", text, result, wanted);
	CHECK(pos == (result == FLOAT_TEXT_SYNTAX ? copy : end), "\"%s\": read to %d, not %d",
		  text, (int) (pos - copy), (int) (end - copy));
	if (result == FLOAT_TEXT_OK)
		CHECK(memcmp(&got, &want, sizeof(float)) == 0, "\"%s\": %.9g, not %.9g", text, got, want);
}

static float
random_float(void)
{
	uint32_t	bits;
	float		f;

	do
	{
		bits = (uint32_t) check_random(&seed);
		memcpy(&f, &bits, sizeof(f));
	} while (isnan(f) || isinf(f));
	return f;
}

/* what programs print for floats: 6 to 17 digits, plain or with exponent */
static void
check_printed(void)
{
	static const char *const formats[] = {"%g", "%.9g", "%.17g", "%.8f", "%.17f", "%.12e", "%.25f", "%.40g"};
	char		text[512];

	for (int i = 0; i < 200000; i++)
	{
		double		value = i % 2 ? random_float() : check_uniform(&seed, -1, 1);

		/* float8 values too, which round to the float */
		if (i % 3 == 0)
			value *= 1 + (double) (check_random(&seed) >> 40) * 1e-14;
		snprintf(text, sizeof(text), formats[(size_t) i % (sizeof(formats) / sizeof(*formats))], value);
		compare(text);
	}
}

/* numbers on, just below and just above the midpoint of two floats */
static void
check_midpoints(void)
{
	char		text[512];

	for (int i = 0; i < 100000; i++)
	{
		float		f = i % 2 ? random_float() : check_uniform(&seed, -1000, 1000);
		double		middle = ((double) f + (double) nextafterf(f, INFINITY)) / 2;

		if (isinf(middle))
			continue;
		for (int off = -6; off <= 6; off++)
		{
			double		d = middle;

			for (int j = 0; j < abs(off); j++)
				d = nextafter(d, off < 0 ? -INFINITY : INFINITY);
			snprintf(text, sizeof(text), "%.*g", 16 + (int) (check_random(&seed) % 20), d);
			compare(text);
		}
	}
}

/* digits and exponents at random, within and beyond the fast path's bounds */
static void
check_digits(void)
{
	char		text[128];

	for (int i = 0; i < 300000; i++)
	{
		int			n = 1 + (int) (check_random(&seed) % 26);
		int			point = (int) (check_random(&seed) % 30);
		char	   *p = text;

		if (check_random(&seed) % 3 == 0)
			*p++ = check_random(&seed) % 2 ? '-' : '+';
		for (int j = 0; j < n; j++)
		{
			if (j == point)
				*p++ = '.';
			*p++ = check_random(&seed) % 4 == 0 ? '0' : (char) ('0' + check_random(&seed) % 10);
		}
		if (check_random(&seed) % 2)
			p += sprintf(p, "%c%d", i % 2 ? 'e' : 'E', (int) (check_random(&seed) % 120) - 60);
		*p = '\0';
		if (check_random(&seed) % 2)
			strcpy(p, &",\0]\0 \0\t\0x\0;\0e\0"[check_random(&seed) % 7 * 2]);
		compare(text);
	}
}

/* letters that occur in numbers, in no order */
static void
check_garbage(void)
{
	static const char letters[] = "0123456789..eE+-,] xXnainfNITY()pP\t";
	char		text[32];

	for (int i = 0; i < 300000; i++)
	{
		int			n = (int) (check_random(&seed) % 12);

		for (int j = 0; j < n; j++)
			text[j] = letters[check_random(&seed) % (sizeof(letters) - 1)];
		text[n] = '\0';
		compare(text);
	}
}

static void
check_chosen(void)
{
	static const char *const texts[] = {
		"", "0", "-0", "+0", "00", ".", "-", "+", ".5", "5.", "-.5e1", "1e", "1e+", "1e5,", "1E-5]",
		"1e22", "1e23", "1e-22", "1e-23", "9007199254740993", "18446744073709551615", "18446744073709551616",
		"3.4028235e38", "3.4028236e38", "340282356779733661637539395458142568447",
		"340282356779733661637539395458142568448", "1.1754943508222875e-38", "1e-45", "7e-46", "7.1e-46",
		"1e999999999999", "1e-999999999999", "0e999999999999", "0.0e-5", "0x1p3", "0x", "1p3",
		"inf", "-Infinity", "infinit", "nan", "NaN(123)", "-nan", "16777217", "16777219",
		"1.00000005960464477539062500001", "1.000000059604644775390625", "100000000000000000000000000000000000000",
		"0.000000000000000000000000000000000000000000001", "00000000000000000000000000000000000000000000001",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		compare(texts[i]);

	/* long ones: neither the digits nor their number may overflow */
	for (int n = 100; n <= 100000; n *= 10)
	{
		char	   *text = malloc((size_t) n + 16);

		memset(text, '9', (size_t) n);
		strcpy(text + n, "");
		compare(text);
		memcpy(text, "0.", 2);
		compare(text);
		memset(text + 2, '0', (size_t) n - 3);
		compare(text);
		memset(text, '0', (size_t) n);
		strcpy(text + n, "7.5");
		compare(text);
		free(text);
	}
}

int
main(void)
{
	guard = guard_new(1 << 18);
	check_chosen();
	check_printed();
	check_midpoints();
	check_digits();
	check_garbage();
	return check_done("float_text");
}
