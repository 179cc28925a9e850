/*
 * listcode_pq.c
 *		LISTCODE_PQ: residuals by product quantisation, for L2, inner product
 *		and cosine.
 *
 * The residual's direction is coded, as pq.h says; its length is in the
 * factors.  So codebooks need not know how long residuals are, and a code
 * carries the factor f that makes its estimates exact along the residual
 * (listcode_residual.c).  Codes of whole residuals lost 0.07 |r|^2 (GloVe, two bits
 * a dimension) there, twice as much as across.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/listcode_private.h"
#include "quant/pq.h"

/* Codes of 8 bits that are scored together. */
#define CODES_AT_ONCE 8

/* Parts whose tables of floats stay in the first cache: 32 kB. */
#define PARTS_AT_ONCE 32

/* <x, residual> is taken to be at least this share of dim, whatever codebooks say. */
#define LEAST_ALONG 0.01

static const char *
pq_problem(const ListCodeSpec *spec)
{
	if (spec->bits != 4 && spec->bits != 8)
		return "bits must be 4 or 8";
	if (spec->m < 1 || spec->m > spec->dim)
		return "m must be between 1 and the number of dimensions";
	return NULL;
}

static size_t
pq_trained_size(const ListCodeSpec *spec)
{
	return pq_shape(spec).total * sizeof(float);
}

static const char *
pq_trained_problem(const ListCodeSpec *spec, const void *trained)
{
	PqShape		shape = pq_shape(spec);
	const PqHead *head = trained;
	const float *values = trained;

	if (!(head->kappa >= 0 && head->kappa <= PQ_WORD_MAX) || !(head->along >= 0 && head->along <= PQ_WORD_MAX))
		return "the measured error is out of range";
	for (size_t i = shape.codewords; i < shape.addends; i++)
	{
		if (!(fabsf(values[i]) <= PQ_WORD_MAX))
			return "a codeword is out of range";
	}
	for (size_t i = shape.addends; i < shape.total; i++)
	{
		if (!(fabsf(values[i]) <= PQ_ADDEND_MAX))
			return "a codeword's length is out of range";
	}
	return NULL;
}

static void
pq_init(ListCode *lc)
{
	PqShape		shape = pq_shape(&lc->spec);
	size_t		m = (size_t) lc->spec.m;
	size_t		dim = (size_t) lc->spec.dim;
	/* of PqEncoding, and of a query's tables before they are rounded */
	size_t		encode = (dim + 2 * shape.dealt) * sizeof(float) + m;
	size_t		query = (dim + shape.dealt + (size_t) shape.width * m) * sizeof(float);

	lc->nfactors = 2;
	lc->nnibbles = lc->spec.bits == 4 ? lc->spec.m : 0;
	lc->code_size = lc->spec.bits == 4 ? (m + 1) / 2 : m;
	lc->scratch_size = quant_round_up(encode > query ? encode : query, 64);
	if (lc->trained == NULL)
		return;
	lc->noise[NOISE_KAPPA] = pq_head(lc->trained)->kappa;
	lc->noise[NOISE_LENGTH] = pq_head(lc->trained)->along / listcode_residual_weight(lc->spec.metric);
}

/* 8 bits: tables of floats */
static size_t
pq_payload_size(const ListCode *lc)
{
	return lc->spec.bits == 8 ? (size_t) lc->spec.m * 256 * sizeof(float) : 0;
}

/* The scratch of encoding. */
typedef struct PqEncoding
{
	float	   *values;			/* the residual, then c - o */
	float	   *dealt;
	float	   *coded;			/* its codewords */
	uint8_t    *parts;
} PqEncoding;

static PqEncoding
encoding(const PqShape *shape, void *scratch)
{
	PqEncoding	enc;

	enc.values = scratch;
	enc.dealt = enc.values + shape->dim;
	enc.coded = enc.dealt + shape->dealt;
	enc.parts = (uint8_t *) (enc.coded + shape->dealt);
	return enc;
}

static void
store_code(const ListCode *lc, const uint8_t *parts, uint8_t *code)
{
	int			m = lc->spec.m;

	if (lc->spec.bits == 8)
		memcpy(code, parts, (size_t) m);
	else
	{
		for (int i = 0; i < m / 2; i++)
			code[i] = (uint8_t) (parts[2 * i] | parts[2 * i + 1] << 4);
		if (m % 2 != 0)
			code[m / 2] = parts[m - 1];
	}
}

static void
load_code(const ListCode *lc, const uint8_t *code, uint8_t *parts)
{
	int			m = lc->spec.m;

	if (lc->spec.bits == 8)
		memcpy(parts, code, (size_t) m);
	else
	{
		for (int i = 0; i < m; i++)
			parts[i] = code[i / 2] >> 4 * (i % 2) & 0x0f;
	}
}

static void
pq_encode(const ListCode *lc, const void *v, const float *centroid, float *factors, uint8_t *code, void *scratch)
{
	PqShape		shape = pq_shape(&lc->spec);
	PqEncoding	enc = encoding(&shape, scratch);
	int			dealt = (int) shape.dealt;
	double		root = sqrt(shape.dim);
	double		along;
	double		f;
	double		shift;
	double		length;
	Rotated		r;
	Rotated		c;

	grid_subtract(v, centroid, shape.dim, enc.values, &r);
	length = sqrt(r.norm_sq);
	pq_scale(enc.values, shape.dim, length);
	pq_deal(&lc->spec, &shape, lc->trained, enc.values, enc.dealt);
	pq_nearest(&shape, lc->trained, enc.dealt, enc.parts);
	pq_lookup(&shape, lc->trained, enc.parts, enc.coded);
	along = grid_dot(enc.dealt, enc.coded, dealt);
	along = along > LEAST_ALONG * shape.dim ? along : LEAST_ALONG * shape.dim;
	f = length * r.unit * root / along;

	/* of the numbers that a query's tables are made of */
	grid_subtract(centroid, lc->origin, shape.dim, enc.values, &c);
	pq_deal(&lc->spec, &shape, lc->trained, enc.values, enc.dealt);
	shift = f * grid_dot(enc.dealt, enc.coded, dealt) * c.unit;

	listcode_residual_factors(lc, v, centroid, r.norm_sq * r.unit * r.unit, f, shift, factors);
	store_code(lc, enc.parts, code);
}

static void
pq_decode(const ListCode *lc, const float *factors, const uint8_t *code, const float *centroid, float *v, void *scratch)
{
	PqShape		shape = pq_shape(&lc->spec);
	PqEncoding	enc = encoding(&shape, scratch);
	double		f = factors[1] / listcode_residual_weight(lc->spec.metric);

	load_code(lc, code, enc.parts);
	pq_lookup(&shape, lc->trained, enc.parts, enc.coded);
	pq_gather(&lc->spec, &shape, lc->trained, enc.coded, enc.values);
	for (int i = 0; i < shape.dim; i++)
		v[i] = quant_clamp_value(enc.values[i] * f + centroid[i]);
}

/* Entries of part p of the query's table, `width` floats: <query's part, codeword>. */
static void
table_entries(const ListQuery *query, const PqShape *shape, const float *dealt, int p, float *out)
{
	static const float zeros[SIMD_COLUMNS];

	query->simd->columns_f32(dealt + (size_t) p * (size_t) shape->sub, shape->sub,
							 pq_table(shape, query->lc->trained, p), shape->width, zeros, out);
}

static void
pq_query(const ListCode *lc, const void *v, ListQuery *query, void *scratch)
{
	PqShape		shape = pq_shape(&lc->spec);
	float	   *values = scratch;
	float	   *dealt = values + shape.dim;
	float	   *entries = dealt + shape.dealt;
	Rotated		r;

	grid_subtract(v, lc->origin, shape.dim, values, &r);
	pq_deal(&lc->spec, &shape, lc->trained, values, dealt);
	if (lc->spec.bits == 4)
	{
		for (int p = 0; p < shape.m; p++)
			table_entries(query, &shape, dealt, p, entries + 16 * p);
		listcode_residual_tables(query, entries, shape.m, r.unit);
	}
	else
	{
		float	   *tables = listquery_own(query);
		double		largest = 0;

		for (int p = 0; p < shape.m; p++)
		{
			table_entries(query, &shape, dealt, p, tables + 256 * p);
			largest += grid_max_abs(tables + 256 * p, 256);
		}
		query->scale = r.unit;
		query->noise = largest * FLT_EPSILON * r.unit;
	}
}

/*
 * Add table entries of nparts parts of `width` codes, a constant: their sums
 * do not wait for each other.
 */
static inline __attribute__((always_inline)) void
add_entries(int width, const float *table, const uint8_t *codes, size_t code_size, size_t nparts, float *sums)
{
	float		sum[CODES_AT_ONCE];

	for (int i = 0; i < width; i++)
		sum[i] = sums[i];
	for (size_t p = 0; p < nparts; p++, table += 256)
	{
		for (int i = 0; i < width; i++)
			sum[i] += table[codes[code_size * (size_t) i + p]];
	}
	for (int i = 0; i < width; i++)
		sums[i] = sum[i];
}

/* Codes of 8 bits: entries are loaded one by one, which no gather beats. */
static void
pq_score(const ListQuery *query, ListTerm term, const float *a, const float *b,
		 const uint8_t *codes, int n, float *dist, float *err)
{
	const float *tables = listquery_own(query);
	size_t		m = (size_t) query->lc->spec.m;
	float		sums[LISTCODE_BATCH] = {0};

	for (size_t p = 0; p < m; p += PARTS_AT_ONCE)
	{
		size_t		nparts = m - p < PARTS_AT_ONCE ? m - p : PARTS_AT_ONCE;
		const float *table = tables + 256 * p;
		int			i = 0;

		for (; i <= n - CODES_AT_ONCE; i += CODES_AT_ONCE)
			add_entries(CODES_AT_ONCE, table, codes + m * (size_t) i + p, m, nparts, sums + i);
		for (; i < n; i++)
			add_entries(1, table, codes + m * (size_t) i + p, m, nparts, sums + i);
	}
	listcode_residual_scores(query, term, a, b, sums, n, dist, err);
}

const ListMethods listcode_pq_methods = {
	.problem = pq_problem,
	.trained_size = pq_trained_size,
	.train_scratch = pq_train_scratch,
	.train = pq_train,
	.trained_problem = pq_trained_problem,
	.init = pq_init,
	.payload_size = pq_payload_size,
	.encode = pq_encode,
	.query = pq_query,
	.score = pq_score,
	.finish = listcode_residual_finish,
	.decode = pq_decode,
};
