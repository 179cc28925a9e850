/*
 * listcode.c
 *		Dispatch to the kinds of list codes, and what all that code residuals
 *		do alike.
 *
 * The one place that knows which functions serve a kind.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/listcode_private.h"

/* Parts that rows are turned into blocks by: even, and few enough for the stack. */
#define LOOKUP_PARTS 256

static const ListMethods *const kinds[LISTCODE_COUNT] = {
	[LISTCODE_EXACT] = &listcode_exact_methods,
	[LISTCODE_RABITQ] = &listcode_rabitq_methods,
	[LISTCODE_PQ] = &listcode_pq_methods,
};

static inline const ListMethods *
methods_of(const ListCodeSpec *spec)
{
	return kinds[spec->kind];
}

const char *
listcode_problem(const ListCodeSpec *spec)
{
	if ((unsigned) spec->kind >= LISTCODE_COUNT)
		return "unknown kind of code";
	if ((unsigned) spec->metric >= METRIC_COUNT)
		return "unknown metric";
	if (spec->kind != LISTCODE_EXACT)
	{
		if (spec->elements != QUANT_FLOATS)
			return "residuals are of floats only";
		if (spec->metric != METRIC_L2 && spec->metric != METRIC_IP && spec->metric != METRIC_COSINE)
			return "the metric has no codes of residuals";
		if (spec->dim < 1 || spec->dim > LISTCODE_MAX_DIM)
			return "impossible number of dimensions";
	}
	return methods_of(spec)->problem(spec);
}

size_t
listcode_trained_size(const ListCodeSpec *spec)
{
	const ListMethods *methods = methods_of(spec);

	return methods->trained_size != NULL ? methods->trained_size(spec) : 0;
}

size_t
listcode_train_scratch(const ListCodeSpec *spec, size_t n)
{
	const ListMethods *methods = methods_of(spec);

	return methods->train_scratch != NULL ? methods->train_scratch(spec, n) : 0;
}

void
listcode_train(const ListCodeSpec *spec, float *residuals, size_t n, void *trained, void *scratch,
			   void (*tick) (void *arg), void *arg)
{
	const ListMethods *methods = methods_of(spec);

	if (methods->train != NULL)
		methods->train(spec, residuals, n, trained, scratch, tick, arg);
}

const char *
listcode_trained_problem(const ListCodeSpec *spec, const void *trained)
{
	const ListMethods *methods = methods_of(spec);

	return methods->trained_problem != NULL ? methods->trained_problem(spec, trained) : NULL;
}

/* Bytes for a vector of floats at the head of a payload or scratch. */
static size_t
values_size(const ListCode *lc)
{
	return lc->exact ? 0 : quant_round_up(sizeof(float) * (size_t) lc->spec.dim, 64);
}

static size_t
tables_size(const ListCode *lc)
{
	return lc->nnibbles == 0 ? 0 : quant_round_up(16 * (size_t) lc->nnibbles + SIMD_SLACK, 64);
}

void
listcode_init(ListCode *lc, const ListCodeSpec *spec, const float *origin, const void *trained)
{
	const ListMethods *methods = methods_of(spec);

	memset(lc, 0, sizeof(*lc));
	lc->spec = *spec;
	lc->origin = origin;
	lc->trained = trained;
	methods->init(lc);
	lc->scratch_size += values_size(lc);
	lc->query_size = quant_round_up(sizeof(ListQuery) + values_size(lc) + tables_size(lc) + methods->payload_size(lc), 64);
}

/* v, or for cosine codes of residuals v with length 1, written to out; *scratch moves behind that. */
static const void *
own_values(const ListCode *lc, const void *v, void **scratch)
{
	float	   *out = *scratch;

	if (lc->exact)
		return v;
	*scratch = (char *) *scratch + values_size(lc);
	if (lc->spec.metric != METRIC_COSINE)
		return v;
	grid_normalise(v, lc->spec.dim, out);
	return out;
}

void
listcode_encode(const ListCode *lc, const void *v, const float *centroid,
				float *factors, uint8_t *code, void *scratch)
{
	const void *values = own_values(lc, v, &scratch);

	methods_of(&lc->spec)->encode(lc, values, centroid, factors, code, scratch);
}

void
listcode_query(const ListCode *lc, const void *v, ListQuery *query, void *scratch)
{
	memset((void *) query, 0, lc->query_size);
	query->lc = lc;
	query->methods = methods_of(&lc->spec);
	query->simd = simd_get();
	query->tables_at = values_size(lc);
	query->own_at = query->tables_at + tables_size(lc);
	if (!lc->exact)
	{
		float	   *values = (float *) (void *) query->payload;

		if (lc->spec.metric == METRIC_COSINE)
			grid_normalise(v, lc->spec.dim, values);
		else
			memcpy(values, v, sizeof(float) * (size_t) lc->spec.dim);
		query->norm = sqrt(grid_dot(values, values, lc->spec.dim));
		v = values;
		scratch = (char *) scratch + values_size(lc);
	}
	query->methods->query(lc, v, query, scratch);
}

ListTerm
listcode_term(const ListQuery *query, const float *centroid)
{
	const ListCode *lc = query->lc;
	const float *values = listquery_values(query);
	ListTerm	term = {0, 0};
	double		apart;

	if (lc->exact)
		return term;
	apart = query->simd->l2sq_f32(values, centroid, lc->spec.dim);
	term.err = quant_clamp_value(sqrt(apart));
	if (lc->spec.metric == METRIC_IP)
		term.base = quant_clamp_factor(-(double) query->simd->dot_f32(values, centroid, lc->spec.dim));
	else
		term.base = quant_clamp_factor(lc->spec.metric == METRIC_L2 ? apart : apart / 2);
	return term;
}

/* Sums of table entries of up to LISTCODE_BLOCK codes in rows, a piece of the rows at a time. */
static void
lookup_rows(const ListQuery *query, const uint8_t *rows, int n, uint32_t *sums)
{
	const ListCode *lc = query->lc;
	const uint8_t *tables = listquery_tables(query);
	uint32_t	part[LISTCODE_BLOCK];
	uint8_t		block[LOOKUP_PARTS * LISTCODE_BLOCK / 2 + SIMD_SLACK];

	memset(sums, 0, sizeof(uint32_t) * LISTCODE_BLOCK);
	for (int first = 0; first < lc->nnibbles; first += LOOKUP_PARTS)
	{
		int			nparts = lc->nnibbles - first < LOOKUP_PARTS ? lc->nnibbles - first : LOOKUP_PARTS;

		query->simd->pack_u4_block(rows + first / 2, lc->code_size, (nparts + 1) / 2, n, block);
		query->simd->sum_u4_block(tables + 16 * first, block, nparts, (n + 1) / 2, part);
		for (int i = 0; i < n; i++)
			sums[i] += part[i];
	}
}

void
listcode_score(const ListQuery *query, ListTerm term, const float *a, const float *b,
			   const uint8_t *codes, int n, float *dist, float *err)
{
	const ListCode *lc = query->lc;
	int			most = lc->nnibbles > 0 ? LISTCODE_BLOCK : LISTCODE_BATCH;

	for (int i = 0; i < n; i += most)
	{
		int			batch = n - i < most ? n - i : most;
		const uint8_t *rows = codes + lc->code_size * (size_t) i;
		const float *batch_a = a != NULL ? a + i : NULL;
		const float *batch_b = b != NULL ? b + i : NULL;
		float	   *batch_err = err != NULL ? err + i : NULL;

		if (lc->nnibbles > 0)
		{
			uint32_t	sums[LISTCODE_BLOCK];

			lookup_rows(query, rows, batch, sums);
			query->methods->finish(query, term, batch_a, batch_b, sums, batch, dist + i, batch_err);
		}
		else
			query->methods->score(query, term, batch_a, batch_b, rows, batch, dist + i, batch_err);
	}
}

void
listcode_score_block(const ListQuery *query, ListTerm term, const float *a, const float *b,
					 const uint8_t *block, int width, float *dist, float *err)
{
	uint32_t	sums[LISTCODE_BLOCK];

	query->simd->sum_u4_block(listquery_tables(query), block, query->lc->nnibbles, (width + 1) / 2, sums);
	query->methods->finish(query, term, a, b, sums, width, dist, err);
}

void
listcode_pack(const ListCode *lc, const uint8_t *rows, int width, uint8_t *block)
{
	const SimdKernels *simd = simd_get();
	int			whole = lc->nnibbles / 2;
	int			h = (width + 1) / 2;

	simd->pack_u4_block(rows, lc->code_size, whole, width, block);
	if (lc->nnibbles % 2 != 0)
	{
		uint8_t		last[LISTCODE_BLOCK];

		/* the last byte of a row has one part only */
		simd->pack_u4_block(rows + whole, lc->code_size, 1, width, last);
		memcpy(block + 2 * whole * h, last, (size_t) h);
	}
}

void
listcode_unpack(const ListCode *lc, const uint8_t *block, int width, uint8_t *rows)
{
	int			h = (width + 1) / 2;

	memset(rows, 0, lc->code_size * (size_t) width);
	for (int j = 0; j < width; j++)
	{
		uint8_t    *row = rows + lc->code_size * (size_t) j;

		for (int p = 0; p < lc->nnibbles; p++)
		{
			int			byte = block[p * h + j % h];
			int			part = j < h ? byte & 0x0f : byte >> 4;

			row[p / 2] |= (uint8_t) (part << 4 * (p % 2));
		}
	}
}

double
listcode_exact(const ListQuery *query, const uint8_t *code)
{
	return query->methods->exact(query, code);
}

void
listcode_score_each(const ListQuery *query, const uint8_t *const *codes, int n, float *dist)
{
	query->methods->score_each(query, codes, n, dist);
}

const char *
listcode_code_problem(const ListCode *lc, const float *factors, const uint8_t *code)
{
	const ListMethods *methods = methods_of(&lc->spec);

	if (!quant_floats_finite(factors, lc->nfactors))
		return "a factor is not finite";
	return methods->code_problem != NULL ? methods->code_problem(lc, factors, code) : NULL;
}

void
listcode_decode(const ListCode *lc, const float *factors, const uint8_t *code,
				const float *centroid, float *v, void *scratch)
{
	if (!lc->exact)
		scratch = (char *) scratch + values_size(lc);
	methods_of(&lc->spec)->decode(lc, factors, code, centroid, v, scratch);
	if (!lc->exact && lc->spec.metric == METRIC_COSINE)
		grid_normalise(v, lc->spec.dim, v);
}
