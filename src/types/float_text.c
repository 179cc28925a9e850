/*
 * float_text.c
 *		Reading a float4 from text.
 *
 * Loading a table spends most of its time here, and strtof is several times
 * slower than this because it serves every length and exponent.  The fast
 * path computes digits * 10^exponent in double, where both factors are exact
 * or nearly so, and rounds once more to float.  Rounding twice can differ
 * from rounding once only if the double lies next to the midpoint between two
 * floats; then, and for everything unusual, strtof decides.
 */
#include "types/float_text.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* powers of ten that a double holds exactly */
#define EXACT_POW10 22

static const double pow10_table[EXACT_POW10 + 1] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

/* digits are gathered while one more cannot overflow 64 bits */
#define DIGITS_LIMIT (UINT64_MAX / 10 - 1)

/* low bits of a double's fraction that a normal float lacks */
#define SPARE_BITS 29

/*
 * The double is within 2 units in the last place of the true value: the
 * digits round on conversion, the product or quotient rounds again, and
 * digits beyond the nineteenth weigh less than either.
 */
#define ERROR_ULPS 4

static bool
ends_number(char c)
{
	return c == ',' || c == ']' || c == '}' || c == ' ' || c == '\0' || (c >= '\t' && c <= '\r');
}

static bool
read_common(const char **pos, float *value)
{
	const char *p = *pos;
	bool		negative = false;
	bool		any = false;
	uint64_t	digits = 0;
	int			exponent = 0;
	double		d;
	uint64_t	bits;
	int64_t		off_midpoint;

	if (*p == '-' || *p == '+')
		negative = *p++ == '-';

	for (; *p >= '0' && *p <= '9'; p++)
	{
		any = true;
		if (digits <= DIGITS_LIMIT)
			digits = digits * 10 + (uint64_t) (*p - '0');
		else if (++exponent > EXACT_POW10)
			return false;
	}
	if (*p == '.')
	{
		for (p++; *p >= '0' && *p <= '9'; p++)
		{
			any = true;
			if (digits <= DIGITS_LIMIT)
			{
				digits = digits * 10 + (uint64_t) (*p - '0');
				if (--exponent < -1000)
					return false;
			}
		}
	}
	if (!any)
		return false;
	if (*p == 'e' || *p == 'E')
	{
		bool		minus = false;
		int			e = 0;

		p++;
		if (*p == '-' || *p == '+')
			minus = *p++ == '-';
		if (*p < '0' || *p > '9')
			return false;
		for (; *p >= '0' && *p <= '9'; p++)
		{
			e = e * 10 + (*p - '0');
			if (e > 1000)
				return false;
		}
		exponent += minus ? -e : e;
	}
	if (!ends_number(*p))
		return false;

	if (digits == 0)
		d = 0;
	else
	{
		if (exponent < -EXACT_POW10 || exponent > EXACT_POW10)
			return false;
		if (exponent < 0)
			d = (double) digits / pow10_table[-exponent];
		else
			d = (double) digits * pow10_table[exponent];

		/* digits >= 1 and the exponent's bound keep d a normal float below */
		if (d > FLT_MAX / 2)
			return false;

		memcpy(&bits, &d, sizeof(bits));
		off_midpoint = (int64_t) (bits & ((UINT64_C(1) << SPARE_BITS) - 1)) -
			(INT64_C(1) << (SPARE_BITS - 1));
		if (off_midpoint >= -ERROR_ULPS && off_midpoint <= ERROR_ULPS)
			return false;
	}

	*value = negative ? -(float) d : (float) d;
	*pos = p;
	return true;
}

FloatText
float_text_read(const char **pos, float *value)
{
	char	   *end;

	/* the argument above needs doubles that are not kept wider (x87) */
#if FLT_EVAL_METHOD == 0
	if (read_common(pos, value))
		return FLOAT_TEXT_OK;
#endif

	/*
	 * PostgreSQL keeps LC_NUMERIC at "C" in every backend, so that the
	 * decimal point is a point here as it is in float4in.
	 */
	errno = 0;
	*value = strtof(*pos, &end);
	if (end == *pos)
		return FLOAT_TEXT_SYNTAX;
	*pos = end;
	if (errno == ERANGE && isinf(*value))
		return FLOAT_TEXT_RANGE;
	return FLOAT_TEXT_OK;
}
