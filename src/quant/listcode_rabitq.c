/*
 * listcode_rabitq.c
 *		Rotated residuals on a grid of 1, 4 or 8 bits a dimension.
 *
 * The residual r = v - c is rotated (R) and written as a grid point x along
 * it; f = |r|^2 / <x, Rr> makes f <x, Rp> an unbiased estimate of <r, p> for any
 * p (quant_grid.c has the sources).  What follows from that is in
 * listcode_residual.c.
 *
 * With 4 and 8 bits the query is rounded to integers.  With 1 bit (x = +-1/2) four
 * dimensions make a part with sixteen sums of the query's values, rounded to
 * 8 bits, as André, Kermarrec and Le Scouarnec, "Cache locality is not
 * enough" (2015), and the RaBitQ paper describe.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/listcode_private.h"
#include "quant/rotation.h"

static const char *
rabitq_problem(const ListCodeSpec *spec)
{
	return spec->bits == 1 || spec->bits == 4 || spec->bits == 8 ? NULL : "bits must be 1, 4 or 8";
}

static void
rabitq_init(ListCode *lc)
{
	int			dim = lc->spec.dim;
	int			bits = lc->spec.bits;
	double		kappa = grid_kappa(bits, dim);
	double		chi = grid_chi(bits, dim);
	size_t		encode;
	size_t		query;

	lc->nfactors = 2;
	lc->code_size = ((size_t) dim * (size_t) bits + 7) / 8;
	lc->nnibbles = bits == 1 ? (dim + 3) / 4 : 0;
	/* two vectors of floats, codes before they are packed; a vector, entries of a query's tables */
	encode = (2 * sizeof(float) + 1) * (size_t) dim;
	query = sizeof(float) * ((size_t) dim + 16 * (size_t) lc->nnibbles);
	lc->scratch_size = quant_round_up(encode > query ? encode : query, 64);
	lc->noise[NOISE_KAPPA] = kappa;
	lc->noise[NOISE_CHI] = chi;
	lc->noise[NOISE_LENGTH] = sqrt(dim * (chi * chi - kappa * kappa)) / listcode_residual_weight(lc->spec.metric);
}

static size_t
rabitq_payload_size(const ListCode *lc)
{
	switch (lc->spec.bits)
	{
		case 4:
			return grid_query_s8_size(lc->spec.dim);
		case 8:
			return grid_query_s16_size(lc->spec.dim);
		default:
			return 0;
	}
}

static void
pack_bits(const uint8_t *u, int dim, uint8_t *out)
{
	memset(out, 0, ((size_t) dim + 7) / 8);
	for (int i = 0; i < dim; i++)
		out[i / 8] |= (uint8_t) (u[i] << i % 8);
}

static void
rabitq_encode(const ListCode *lc, const void *v, const float *centroid,
			  float *factors, uint8_t *code, void *scratch)
{
	int			dim = lc->spec.dim;
	int			bits = lc->spec.bits;
	float	   *y = scratch;
	uint8_t    *u = (uint8_t *) (y + 2 * dim);
	Rotated		r;
	Rotated		c;
	double		along;
	double		f;
	double		shift;

	grid_rotate(v, centroid, lc->spec.seed, dim, y, &r);
	along = grid_encode(bits, &r, dim, u);
	f = r.norm_sq > 0 ? r.norm_sq / along * r.unit : 0;
	grid_rotate(centroid, lc->origin, lc->spec.seed, dim, y + dim, &c);
	shift = f * grid_dot_code(u, grid_middle(bits), c.values, dim) * c.unit;

	listcode_residual_factors(lc, v, centroid, r.norm_sq * r.unit * r.unit, f, shift, factors);

	if (bits == 1)
		pack_bits(u, dim, code);
	else if (bits == 4)
		quant_pack_nibbles(u, dim, code);
	else
		memcpy(code, u, (size_t) dim);
}

/* Entry n of a part: four values of the query against x = +1/2 where n has a bit, -1/2 where not. */
static void
part_entries(const float values[4], float entries[16])
{
	entries[0] = -U1_MIDDLE * ((values[0] + values[1]) + (values[2] + values[3]));
	for (int i = 0; i < 4; i++)
	{
		for (int n = 0; n < 1 << i; n++)
			entries[n + (1 << i)] = entries[n] + values[i];
	}
}

/* Values behind the last are zero and no code has a bit for them. */
static void
fill_tables(const Rotated *r, int dim, int nparts, float *entries, ListQuery *query)
{
	float		last[4] = {0};

	memcpy(last, r->values + 4 * (nparts - 1), sizeof(float) * (size_t) (dim - 4 * (nparts - 1)));
	for (int p = 0; p < nparts - 1; p++)
		part_entries(r->values + 4 * p, entries + 16 * p);
	part_entries(last, entries + 16 * (nparts - 1));
	listcode_residual_tables(query, entries, nparts, r->unit);
}

static void
rabitq_query(const ListCode *lc, const void *v, ListQuery *query, void *scratch)
{
	int			dim = lc->spec.dim;
	int32_t		sum;
	double		step;
	Rotated		r;

	grid_rotate(v, lc->origin, lc->spec.seed, dim, scratch, &r);
	if (lc->spec.bits == 1)
	{
		fill_tables(&r, dim, lc->nnibbles, r.values + dim, query);
		return;
	}
	if (lc->spec.bits == 4)
	{
		step = grid_query_s8(&r, dim, listquery_own(query), &sum) * r.unit;
		/* 2 * (dot product of u) - 15 * sum is twice that of x */
		query->offset = 15 * sum;
		query->scale = step / 2;
	}
	else
	{
		step = grid_query_s16(&r, dim, listquery_own(query), &sum) * r.unit;
		query->offset = U8_MIDDLE * sum;
		query->scale = step;
	}
	query->noise = step * lc->noise[NOISE_CHI] * sqrt(dim / 12.0);
}

/* 4 and 8 bits */
static void
rabitq_score(const ListQuery *query, ListTerm term, const float *a, const float *b,
			 const uint8_t *codes, int n, float *dist, float *err)
{
	const ListCode *lc = query->lc;
	const uint8_t *at[LISTCODE_BATCH];
	int32_t		dots[LISTCODE_BATCH];
	float		sums[LISTCODE_BATCH];
	int			filled = 0;

	do
	{
		at[filled] = codes + lc->code_size * (size_t) filled;
	} while (++filled < n);
	if (lc->spec.bits == 4)
	{
		query->simd->dot_u4s8_batch(listquery_own(query), at, n, (int) lc->code_size, dots);
		for (int i = 0; i < n; i++)
			sums[i] = (float) (2 * dots[i] - query->offset);
	}
	else
	{
		query->simd->dot_u8s16_batch(listquery_own(query), at, n, lc->spec.dim, dots);
		for (int i = 0; i < n; i++)
			sums[i] = (float) (dots[i] - query->offset);
	}
	listcode_residual_scores(query, term, a, b, sums, n, dist, err);
}

static const char *
rabitq_code_problem(const ListCode *lc, const float *factors, const uint8_t *code)
{
	int			dim = lc->spec.dim;
	int			used = dim * lc->spec.bits % 8;

	if (factors[1] < 0)
		return "a factor is negative";
	if (lc->spec.bits == 4 ? used != 0 && code[lc->code_size - 1] >> 4 != 0 :
		used != 0 && code[lc->code_size - 1] >> used != 0)
		return "bits behind the last dimension are set";
	return NULL;
}

static void
rabitq_decode(const ListCode *lc, const float *factors, const uint8_t *code,
			  const float *centroid, float *v, void *scratch)
{
	int			dim = lc->spec.dim;
	int			bits = lc->spec.bits;
	double		f = factors[1] / listcode_residual_weight(lc->spec.metric);

	(void) scratch;
	for (int i = 0; i < dim; i++)
	{
		int			u = bits == 1 ? code[i / 8] >> i % 8 & 1 : bits == 4 ? quant_nibble(code, dim, i) : code[i];

		v[i] = (float) u - grid_middle(bits);
	}
	rotation_invert(simd_get(), lc->spec.seed, v, dim);
	for (int i = 0; i < dim; i++)
		v[i] = quant_clamp_value(v[i] * f + centroid[i]);
}

const ListMethods listcode_rabitq_methods = {
	.problem = rabitq_problem,
	.init = rabitq_init,
	.payload_size = rabitq_payload_size,
	.encode = rabitq_encode,
	.query = rabitq_query,
	.score = rabitq_score,
	.finish = listcode_residual_finish,
	.code_problem = rabitq_code_problem,
	.decode = rabitq_decode,
};
