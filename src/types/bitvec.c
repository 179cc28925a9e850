/*
 * bitvec.c
 *		Distances of PostgreSQL's own type bit, under pgvector's names.
 *
 * PostgreSQL keeps the bits behind the last one of a value zero, so whole
 * bytes are counted.
 */
#include "types/vectors.h"

#include "dist/metric.h"

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

static pg_attribute_always_inline double
distance(Metric metric, FunctionCallInfo fcinfo)
{
	uint32		a_bits;
	uint32		b_bits;
	const uint8_t *a = bits_of(PG_GETARG_DATUM(0), &a_bits);
	const uint8_t *b = bits_of(PG_GETARG_DATUM(1), &b_bits);

	if (unlikely(a_bits != b_bits))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u", a_bits, b_bits)));
	return metric_rank_bits(metric, a, b, ((size_t) a_bits + BITS_PER_BYTE - 1) / BITS_PER_BYTE);
}

PG_FUNCTION_INFO_V1(hamming_distance);

/* Number of bits that differ. */
Datum
hamming_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distance(METRIC_HAMMING, fcinfo));
}

PG_FUNCTION_INFO_V1(jaccard_distance);

/* 1 - bits in both / bits in either. */
Datum
jaccard_distance(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(distance(METRIC_JACCARD, fcinfo));
}
