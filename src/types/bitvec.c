/*
 * bitvec.c
 *		Distances of PostgreSQL's own type bit, under pgvector's names.
 *
 * PostgreSQL keeps the bits behind the last one of a value zero, so whole
 * bytes are counted.
 */
#include "vecidx.h"

#include "fmgr.h"
#include "simd/simd.h"
#include "utils/varbit.h"

static void
check_same_length(VarBit *a, VarBit *b)
{
	if (unlikely(VARBITLEN(a) != VARBITLEN(b)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("different bit lengths %u and %u", VARBITLEN(a), VARBITLEN(b))));
}

PG_FUNCTION_INFO_V1(hamming_distance);

/* Number of bits that differ. */
Datum
hamming_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = PG_GETARG_VARBIT_P(0);
	VarBit	   *b = PG_GETARG_VARBIT_P(1);

	check_same_length(a, b);
	PG_RETURN_FLOAT8((double) simd_get()->bits.hamming(VARBITS(a), VARBITS(b), VARBITBYTES(a)));
}

PG_FUNCTION_INFO_V1(jaccard_distance);

/*
 * 1 - bits in both / bits in either.  As in pgvector, strings that have no
 * bit in common are 1 apart, also where neither has any.
 */
Datum
jaccard_distance(PG_FUNCTION_ARGS)
{
	VarBit	   *a = PG_GETARG_VARBIT_P(0);
	VarBit	   *b = PG_GETARG_VARBIT_P(1);
	uint64_t	counts[2];

	check_same_length(a, b);
	simd_get()->bits.overlap(VARBITS(a), VARBITS(b), VARBITBYTES(a), counts);
	PG_RETURN_FLOAT8(counts[0] == 0 ? 1 : 1 - (double) counts[0] / (double) counts[1]);
}
