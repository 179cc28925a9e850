/*
 * fusion.c
 *		rrf_score(): one list of results out of several.
 *
 * Reciprocal rank fusion: Cormack, Clarke, Büttcher, "Reciprocal Rank Fusion
 * outperforms Condorcet and individual Rank Learning Methods", SIGIR 2009.  A
 * row's score is the sum over all lists of 1 / (k + its rank there), and
 * nothing for a list that does not have it.
 */
#include "vecidx.h"

#include "fmgr.h"

/*
 * rrf_score(rank bigint, rrf_k integer): what one list adds.  Ranks count from
 * 1; NULL, which a FULL JOIN leaves where a list does not have the row, adds 0.
 */
PGDLLEXPORT PG_FUNCTION_INFO_V1(vecidx_rrf_score);
Datum
vecidx_rrf_score(PG_FUNCTION_ARGS)
{
	int64		rank;
	int32		k;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("rrf_k must not be NULL")));
	k = PG_GETARG_INT32(1);
	if (k < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rrf_k must not be negative"),
				 errdetail("It is %d.", k)));
	if (PG_ARGISNULL(0))
		PG_RETURN_FLOAT8(0);
	rank = PG_GETARG_INT64(0);
	if (rank < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("rank must be at least 1"),
				 errdetail("It is %lld.", (long long) rank),
				 errhint("Ranks are what row_number() and rank() give.")));
	PG_RETURN_FLOAT8(1.0 / ((double) k + (double) rank));
}
