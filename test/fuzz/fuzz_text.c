/*
 * fuzz_text.c
 *		Texts that are nearly right: made by the types' grammar, then damaged.
 */
#include "fuzz.h"

#include "common/shortest_dec.h"

/* as many elements as only values near the limit have */
#define LONG_DIM 15000

static const char *const right_numbers[] = {
	"0", "-0", "+0", "1", "-1", "+3", ".5", "5.", "-.5", "00000001", "1e0", "1E+5", "1e-5", "3.4028235e38",
	"-3.4028235e38", "1.17549435e-38", "1e-45", "-1.4e-45", "7.0064923e-46", "7.0064924e-46", "1e-46", "1e-400",
	"65504", "65519.99", "-65504", "5.9604645e-8", "2.9802322e-8", "2.98023224e-8", "6.1035156e-5", "6.097555e-5",
	"16777217", "16777219", "0.1", "123456789", "12345678901234567890", "0x1p3", "0x.8p-1", "0X1.8P+1", "0x10",
	"9007199254740993", "4.70197740328915e-38", "1.00000005960464477539062500000", "1e22", "1e23", "1e-22", "1e-23",
	"2147483647", "2147483648", "-2147483648", "-2147483649", "0e99999999999999999999", "0.000000000000000000000000001"
};

static const char *const wrong_numbers[] = {
	"", "nan", "NaN", "-nan", "nan(1)", "NaN(abc)", "inf", "-inf", "Infinity", "-INFINITY", "infinit", "1e400",
	"-1e400", "1e39", "3.4028236e38", "3.40282357e38", "65520", "65536", "1e", "1e+", "e5", "--1", "+-1", "1.2.3",
	"1_000", "1f", "0x", "0xg", "1,5", "1 2", "NULL", "null", "a", "'1'", "\"1\"", "1e99999999999999999999",
	"1e-99999999999999999999", ".", "-", "+", "-.", ".e1", "\xd9\xa1", "\xef\xbc\x91", "1\xc2\xa0", "\xff", "\x80",
	"[1]", "{1}", "1:2", "0b1", "1d", "1e5e5", "9e999", "1e38e"
};

static const char *const spaces[] = {
	" ", "  ", "\t", "\n", "\r", "\v", "\f", "\r\n", " \t\n\v\f\r ", "          "
};

static const char *const tokens[] = {
	"[", "]", "{", "}", "(", ")", ",", ",,", ":", "/", "/0", "/-1", "/1000000000", "/1000000001", "/2147483648",
	"/99999999999999999999", "1:1", "0:1", "-1:1", "1000000000:1", "2147483647:1", "2147483648:1", "-2147483648:1",
	"9223372036854775808:1", "1:1,1:2", "2:1,1:1", "nan", "inf", "1e400", "\xc2\xa0", "\xef\xbb\xbf", "\\", "\"",
	"'", "%s%n%d", "1e-46", "0x", "null", ";", "\x01", "\x7f", "\xff", "[[", "]]", "{}", "[]", "{}/1", "+", "-", "."
};

/* Nothing, mostly. */
static void
put_space(StringInfo out, FuzzRandom *r)
{
	if (fuzz_chance(r, 60))
		appendStringInfoString(out, fuzz_pick(r, spaces));
}

static void
put_digits(StringInfo out, FuzzRandom *r, int n)
{
	while (n-- > 0)
		appendStringInfoChar(out, (char) ('0' + fuzz_below(r, 10)));
}

static void
put_number(StringInfo out, FuzzRandom *r, bool small)
{
	switch (fuzz_below(r, small ? 4 : 9))
	{
		case 0:
		case 1:
			appendStringInfo(out, "%d", (int) fuzz_below(r, 21) - 10);
			break;
		case 2:
			appendStringInfo(out, "%.*f", (int) fuzz_below(r, 8), (double) fuzz_below(r, 2000000) / 1e6 - 1);
			break;
		case 3:
			appendStringInfo(out, "%.*g", 6 + (int) fuzz_below(r, 12), (double) fuzz_below(r, 2000000) / 1e3 - 1e3);
			break;
		case 4:
			{
				/* any float that is one */
				uint32		bits = (uint32) fuzz_bits(r);
				float		x;
				char		text[FLOAT_SHORTEST_DECIMAL_LEN];

				if ((bits & 0x7f800000) == 0x7f800000)
					bits ^= 0x40000000;
				memcpy(&x, &bits, sizeof(x));
				if (fuzz_chance(r, 500))
					appendStringInfo(out, "%.*e", (int) fuzz_below(r, 40), (double) x);
				else
				{
					float_to_shortest_decimal_buf(x, text);
					appendStringInfoString(out, text);
				}
				break;
			}
		case 5:
			put_digits(out, r, 1 + (int) fuzz_below(r, 25));
			appendStringInfoChar(out, '.');
			put_digits(out, r, (int) fuzz_below(r, 25));
			break;
		case 6:
			put_digits(out, r, 1 + (int) fuzz_below(r, 10));
			appendStringInfo(out, "e%d", (int) fuzz_below(r, 100) - 70);
			break;
		case 7:
			/* long, now and then very long */
			appendStringInfoString(out, fuzz_chance(r, 500) ? "0." : "");
			put_digits(out, r, 20 + (int) fuzz_below(r, fuzz_chance(r, 20) ? 5000 : 60));
			appendStringInfo(out, "e-%d", (int) fuzz_below(r, 100));
			break;
		default:
			appendStringInfoString(out, fuzz_pick(r, right_numbers));
			break;
	}
}

static void
put_index(StringInfo out, FuzzRandom *r, int64 index)
{
	if (fuzz_chance(r, 10))
	{
		appendStringInfoString(out, fuzz_pick(r, right_numbers));
		return;
	}
	if (fuzz_chance(r, 5))
		appendStringInfoChar(out, '+');
	if (fuzz_chance(r, 5))
		appendStringInfoString(out, "000000000000000000000000");
	appendStringInfo(out, INT64_FORMAT, index);
}

static void
put_dense(StringInfo out, FuzzRandom *r, int dim)
{
	bool		small = fuzz_chance(r, 500);
	bool		careful = fuzz_chance(r, 700);

	/* beyond the types' limit */
	if (dim > LONG_DIM)
		dim += (int) fuzz_below(r, 30);

	put_space(out, r);
	appendStringInfoChar(out, '[');
	for (int i = 0; i < dim; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		put_space(out, r);
		if (!careful && fuzz_chance(r, 30))
			appendStringInfoString(out, fuzz_pick(r, wrong_numbers));
		else
			put_number(out, r, small);
		put_space(out, r);
	}
	appendStringInfoChar(out, ']');
	put_space(out, r);
}

static void
put_sparse(StringInfo out, FuzzRandom *r, int n, int64 dim)
{
	bool		small = fuzz_chance(r, 500);
	bool		careful = fuzz_chance(r, 700);
	bool		ordered = fuzz_chance(r, 700);
	int64		step;

	n += n > LONG_DIM ? (int) fuzz_below(r, 30) : -1;
	n = (int) Min(n, dim);
	step = n > 0 ? dim / n : 1;

	put_space(out, r);
	appendStringInfoChar(out, '{');
	for (int i = 0; i < n; i++)
	{
		put_space(out, r);
		if (!careful && fuzz_chance(r, 30))
			appendStringInfoString(out, fuzz_pick(r, wrong_numbers));
		else
			put_index(out, r, 1 + (ordered ? i : n - 1 - i) * step + fuzz_below(r, step));
		put_space(out, r);
		appendStringInfoChar(out, ':');
		put_space(out, r);
		if (!careful && fuzz_chance(r, 30))
			appendStringInfoString(out, fuzz_pick(r, wrong_numbers));
		else
			put_number(out, r, small);
		put_space(out, r);
		if (i + 1 < n)
			appendStringInfoChar(out, ',');
	}
	appendStringInfoChar(out, '}');
	put_space(out, r);
	appendStringInfoChar(out, '/');
	put_space(out, r);
	put_index(out, r, dim);
	put_space(out, r);
}

/* One edit somewhere in the text. */
static void
mutate(StringInfo text, FuzzRandom *r)
{
	int			at = (int) fuzz_below(r, text->len + 1);
	int			n = (int) fuzz_below(r, Min(text->len - at, 20) + 1);
	StringInfoData edited;

	initStringInfo(&edited);
	appendBinaryStringInfo(&edited, text->data, at);
	switch (fuzz_below(r, 8))
	{
		case 0:					/* end here */
			n = text->len - at;
			break;
		case 1:					/* leave out a part */
			break;
		case 2:					/* a part twice */
			appendBinaryStringInfo(&edited, text->data + at, n);
			n = 0;
			break;
		case 3:					/* any byte in place of one */
			appendStringInfoChar(&edited, (char) (1 + fuzz_below(r, 255)));
			n = Min(n, 1);
			break;
		case 4:					/* a part from elsewhere */
			{
				int			from = (int) fuzz_below(r, text->len + 1);

				appendBinaryStringInfo(&edited, text->data + from,
									   (int) fuzz_below(r, Min(text->len - from, 20) + 1));
				break;
			}
		case 5:
			appendStringInfoString(&edited, fuzz_pick(r, wrong_numbers));
			n = 0;
			break;
		default:
			appendStringInfoString(&edited, fuzz_pick(r, tokens));
			n = fuzz_chance(r, 500) ? 0 : n;
			break;
	}
	appendBinaryStringInfo(&edited, text->data + at + n, text->len - at - n);
	pfree(text->data);
	*text = edited;
}

char *
fuzz_text(FuzzRandom *r, FuzzKind kind, int dim, int64 sparse_dim)
{
	StringInfoData text;

	initStringInfo(&text);
	if (fuzz_chance(r, 20))
	{
		/* of no type */
		for (int64 n = fuzz_below(r, 40); n > 0; n--)
			appendStringInfoString(&text, fuzz_chance(r, 500) ? fuzz_pick(r, tokens) : fuzz_pick(r, wrong_numbers));
	}
	else
	{
		/* the other type's now and then */
		if ((kind == FUZZ_SPARSEVEC) != fuzz_chance(r, 20))
			put_sparse(&text, r, dim, sparse_dim);
		else
			put_dense(&text, r, fuzz_chance(r, 10) ? 0 : dim);
		if (fuzz_chance(r, 400))
		{
			for (int64 n = fuzz_below(r, 4); n >= 0; n--)
				mutate(&text, r);
		}
	}
	return text.data;
}

static void
put_json(StringInfo out, FuzzRandom *r, int n, int depth)
{
	static const char *const scalars[] = {
		"null", "true", "false", "\"1\"", "\"nan\"", "\"\"", "\"a\\u0041\"", "{}", "[]", "1e39", "1e400", "-1e400",
		"3.4028236e38", "65520", "1e-46", "1e-400", "2147483648", "1e10000", "0.1e-10000", "\"Infinity\""
	};

	switch (depth > 3 ? 0 : fuzz_below(r, 40))
	{
		default:
			{
				int			odd = fuzz_chance(r, 300) ? 60 : 0;

				appendStringInfoChar(out, '[');
				for (int i = 0; i < n; i++)
				{
					if (i > 0)
						appendStringInfoString(out, ", ");
					if (fuzz_chance(r, odd))
						appendStringInfoString(out, fuzz_pick(r, scalars));
					else if (odd > 0 && fuzz_chance(r, 10))
						put_json(out, r, 1 + (int) fuzz_below(r, 3), depth + 1);
					else
						appendStringInfo(out, "%.*g", 1 + (int) fuzz_below(r, 17),
										 (double) fuzz_below(r, 2000001) / (fuzz_chance(r, 20) ? 1 : 1e6) - 1);
				}
				appendStringInfoChar(out, ']');
				break;
			}
		case 1:
			appendStringInfoString(out, fuzz_pick(r, scalars));
			break;
		case 2:
			appendStringInfo(out, "{\"dim\": %d, \"indices\": ", n);
			put_json(out, r, n, depth + 1);
			appendStringInfoString(out, ", \"values\": ");
			put_json(out, r, n, depth + 1);
			appendStringInfoChar(out, '}');
			break;
		case 3:
			appendStringInfoChar(out, '{');
			for (int i = 0; i < n; i++)
			{
				appendStringInfo(out, "%s\"%d\": ", i > 0 ? "," : "", (int) fuzz_below(r, 2 * n));
				if (fuzz_chance(r, 900))
					appendStringInfo(out, "%g", (double) fuzz_below(r, 1000) / 10);
				else
					put_json(out, r, 1, depth + 1);
			}
			appendStringInfoChar(out, '}');
			break;
	}
}

char *
fuzz_json(FuzzRandom *r, int dim)
{
	StringInfoData out;

	initStringInfo(&out);
	put_json(&out, r, dim, 0);
	return out.data;
}

char *
fuzz_numeric(FuzzRandom *r)
{
	static const char *const extremes[] = {
		"NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1e-400", "1e10000", "1e-10000", "3.4028235e38",
		"3.4028236e38", "1e39", "65504", "65520", "1e-46", "7e-46", "-0", "0", "0.000", "16777217"
	};
	StringInfoData out;

	initStringInfo(&out);
	if (fuzz_chance(r, 950))
		appendStringInfo(&out, "%.*f", (int) fuzz_below(r, 12), (double) fuzz_below(r, 2000001) / 1e4 - 100);
	else if (fuzz_chance(r, 800))
		appendStringInfoString(&out, fuzz_pick(r, extremes));
	else
	{
		put_digits(&out, r, 1 + (int) fuzz_below(r, 400));
		appendStringInfoChar(&out, '.');
		put_digits(&out, r, (int) fuzz_below(r, 400));
	}
	return out.data;
}
