/*
 * listcode_exact.c
 *		The vectors themselves in a list: the records of a quantizer whose
 *		kind is exact.
 */
#include "quant/listcode_private.h"

static QuantKind
kind_of(const ListCodeSpec *spec)
{
	if (spec->elements == QUANT_BIT_STRING)
		return QUANT_BITS;
	return spec->half ? QUANT_HALF : QUANT_NONE;
}

static const char *
exact_problem(const ListCodeSpec *spec)
{
	if (spec->elements != QUANT_FLOATS && spec->elements != QUANT_BIT_STRING)
		return "lists hold floats or bits";
	if (spec->dim < 1 || spec->dim > (spec->elements == QUANT_FLOATS ? LISTCODE_MAX_DIM : LISTCODE_MAX_BITS))
		return "impossible number of dimensions";
	if (quant_code_size(kind_of(spec), spec->metric, spec->dim) == 0)
		return "the metric is not one of these elements";
	return NULL;
}

static void
exact_init(ListCode *lc)
{
	const ListCodeSpec *spec = &lc->spec;

	quant_init(&lc->quantizer, kind_of(spec), spec->metric, spec->dim, NULL, spec->seed);
	lc->exact = true;
	lc->code_size = lc->quantizer.code_size;
	lc->scratch_size = lc->quantizer.scratch_size;
}

static size_t
exact_payload_size(const ListCode *lc)
{
	return lc->quantizer.query_size;
}

static void
exact_encode(const ListCode *lc, const void *v, const float *centroid,
			 float *factors, uint8_t *code, void *scratch)
{
	(void) centroid;
	(void) factors;
	quant_encode(&lc->quantizer, v, code, scratch);
}

static void
exact_query(const ListCode *lc, const void *v, ListQuery *query, void *scratch)
{
	quant_query_prepare(&lc->quantizer, v, listquery_own(query), scratch);
}

static void
exact_score(const ListQuery *query, ListTerm term, const float *a, const float *b,
			const uint8_t *codes, int n, float *dist, float *err)
{
	const uint8_t *records[LISTCODE_BATCH];
	size_t		size = query->lc->code_size;
	int			filled = 0;

	(void) term;
	(void) a;
	(void) b;
	do
	{
		records[filled] = codes + size * (size_t) filled;
	} while (++filled < n);
	quant_score(listquery_own(query), records, n, dist, err);
}

static void
exact_score_each(const ListQuery *query, const uint8_t *const *codes, int n, float *dist)
{
	quant_score(listquery_own(query), codes, n, dist, NULL);
}

static double
exact_exact(const ListQuery *query, const uint8_t *code)
{
	return quant_score_exact(listquery_own(query), code);
}

static const char *
exact_code_problem(const ListCode *lc, const float *factors, const uint8_t *code)
{
	(void) factors;
	return quant_record_problem(&lc->quantizer, code);
}

static void
exact_decode(const ListCode *lc, const float *factors, const uint8_t *code,
			 const float *centroid, float *v, void *scratch)
{
	(void) factors;
	(void) centroid;
	quant_decode(&lc->quantizer, code, v, scratch);
}

const ListMethods listcode_exact_methods = {
	.problem = exact_problem,
	.init = exact_init,
	.payload_size = exact_payload_size,
	.encode = exact_encode,
	.query = exact_query,
	.score = exact_score,
	.exact = exact_exact,
	.score_each = exact_score_each,
	.code_problem = exact_code_problem,
	.decode = exact_decode,
};
