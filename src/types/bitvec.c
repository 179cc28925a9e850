/*
 * bitvec.c
 *		Distances of PostgreSQL's own type bit, under pgvector's names.
 *
 * PostgreSQL keeps the bits behind the last one of a value zero, so whole
 * bytes are counted.
 */
#include "types/vectors.h"

#include "simd/simd.h"

typedef struct BitPair
{
	const uint8_t *a;
	const uint8_t *b;
	size_t		nbytes;
} BitPair;

/*
 * The bits behind a Datum and how many they are.  Not DatumGetVarBitP(): it
 * would copy a value of up to about a thousand bits, which stands in its row
 * with a short header and unaligned.
 */
static pg_attribute_always_inline const uint8_t *
bits_of(Datum d, uint32 *nbits)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(d);
	Size		size;

	if (VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v))
		v = PG_DETOAST_DATUM_PACKED(d);
	size = VARSIZE_ANY_EXHDR(v);
	if (unlikely(size < sizeof(*nbits)))
		vectype_damaged("bit");
	memcpy(nbits, VARDATA_ANY(v), sizeof(*nbits));
	if (unlikely(size - sizeof(*nbits) != ((Size) *nbits + BITS_PER_BYTE - 1) / BITS_PER_BYTE))
		vectype_damaged("bit");
	return (const uint8_t *) VARDATA_ANY(v) + sizeof(*nbits);
}

/* Both arguments of a distance. */
static pg_attribute_always_inline BitPair
bit_pair(FunctionCallInfo fcinfo)
{
	uint32		a_bits;
	uint32		b_bits;
	BitPair		pair;

	pair.a = bits_of(PG_GETARG_DATUM(0), &a_bits);
	pair.b = bits_of(PG_GETARG_DATUM(1), &b_bits);
	if (unlikely(a_bits != b_bits))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u", a_bits, b_bits)));
	pair.nbytes = ((size_t) a_bits + BITS_PER_BYTE - 1) / BITS_PER_BYTE;
	return pair;
}

PG_FUNCTION_INFO_V1(hamming_distance);

/* Number of bits that differ. */
Datum
hamming_distance(PG_FUNCTION_ARGS)
{
	BitPair		pair = bit_pair(fcinfo);

	PG_RETURN_FLOAT8((double) simd_get()->bits.hamming(pair.a, pair.b, pair.nbytes));
}

PG_FUNCTION_INFO_V1(jaccard_distance);

/*
 * 1 - bits in both / bits in either.  As in pgvector, strings that have no
 * bit in common are 1 apart, also where neither has any.
 */
Datum
jaccard_distance(PG_FUNCTION_ARGS)
{
	BitPair		pair = bit_pair(fcinfo);
	uint64_t	counts[2];

	simd_get()->bits.overlap(pair.a, pair.b, pair.nbytes, counts);
	PG_RETURN_FLOAT8(counts[0] == 0 ? 1 : 1 - (double) counts[0] / (double) counts[1]);
}
