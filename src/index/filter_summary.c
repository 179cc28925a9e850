/*
 * filter_summary.c
 *		Summaries of the filter values of a page (filter_summary.h).
 */
#include "vecidx.h"

#include "index/filter_summary.h"
#include "index/filter_type.h"

/* A column of a packed row: its code, if it has one that summaries have. */
static bool
packed_code(const VecidxFilterLayout *layout, const uint8 *packed, int number, uint64 *code)
{
	const VecidxFilterColumn *column = &layout->columns[number];

	if (column->width > sizeof(uint64) || (packed[layout->row_bytes + number / 8] & (1 << number % 8)) != 0)
		return false;
	*code = vecidx_filter_read_code(packed + column->offset, column->width);
	return true;
}

/* Where the bits of a code are: the byte of each in the summary, and the bit in that byte. */
typedef struct SummaryBits
{
	Size		byte[2];
	uint8		bit[2];
} SummaryBits;

static SummaryBits
code_bits(const VecidxFilterLayout *layout, uint32 bits, int number, uint64 code)
{
	uint64		hash = code * UINT64CONST(0x9E3779B97F4A7C15);
	Size		word = layout->ncolumns * sizeof(VecidxFilterBounds) + (Size) number * (bits / 8) +
		8 * ((hash >> 32) & (bits / 64 - 1));
	SummaryBits result;

	for (int i = 0; i < 2; i++)
	{
		int			bit = hash >> (58 - 6 * i) & 63;

#ifdef WORDS_BIGENDIAN
		result.byte[i] = word + 7 - bit / 8;
#else
		result.byte[i] = word + bit / 8;
#endif
		result.bit[i] = 1 << bit % 8;
	}
	return result;
}

void
vecidx_summary_init(const VecidxFilterLayout *layout, uint8 *summary, uint32 bits)
{
	VecidxFilterBounds *bounds = (VecidxFilterBounds *) summary;

	memset(summary, 0, vecidx_summary_size(layout->ncolumns, bits));
	for (int i = 0; i < layout->ncolumns; i++)
		bounds[i].low = PG_UINT64_MAX;
}

void
vecidx_summary_add_pieces(const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits,
						  const uint8 *packed, VecidxFilterWrite write, void *arg)
{
	const VecidxFilterBounds *bounds = (const VecidxFilterBounds *) summary;

	for (int i = 0; i < layout->ncolumns; i++)
	{
		SummaryBits at;
		uint8		first;
		uint8		second;
		uint64		code;

		if (!packed_code(layout, packed, i, &code))
			continue;
		if (code < bounds[i].low)
			write(arg, i * sizeof(VecidxFilterBounds) + offsetof(VecidxFilterBounds, low), &code, sizeof(code));
		if (code > bounds[i].high)
			write(arg, i * sizeof(VecidxFilterBounds) + offsetof(VecidxFilterBounds, high), &code, sizeof(code));

		/* no byte twice */
		at = code_bits(layout, bits, i, code);
		first = summary[at.byte[0]] | at.bit[0];
		second = summary[at.byte[1]] | at.bit[1];
		if (at.byte[0] == at.byte[1])
			first |= at.bit[1];
		else if (second != summary[at.byte[1]])
			write(arg, at.byte[1], &second, 1);
		if (first != summary[at.byte[0]])
			write(arg, at.byte[0], &first, 1);
	}
}

static void
write_to_summary(void *arg, Size offset, const void *bytes, Size n)
{
	memcpy((uint8 *) arg + offset, bytes, n);
}

void
vecidx_summary_add(const VecidxFilterLayout *layout, uint8 *summary, uint32 bits, const uint8 *packed)
{
	vecidx_summary_add_pieces(layout, summary, bits, packed, write_to_summary, summary);
}

bool
vecidx_summary_has(const VecidxFilterLayout *layout, const uint8 *summary, uint32 bits, const uint8 *packed)
{
	for (int i = 0; i < layout->ncolumns; i++)
	{
		uint64		code;

		if (packed_code(layout, packed, i, &code) &&
			!vecidx_summary_may_have(layout, summary, bits, i, code, code))
			return false;
	}
	return true;
}
