/*
 * listcode_residual.c
 *		From an estimate of inner products to distances, for all kinds that
 *		code residuals.
 *
 * A kind codes the residual r = v - c, c the list's centroid, as a point x and
 * a factor f such that f <x, Rp> estimates <r, p> for any p, R a rotation, and
 * that f x less its error is Rr: the error stands at right angles to r.  Its
 * standard error is f kappa times the length of the part of p at right angles
 * to r, so p should be q - c, not q - o.  Both agree with one rotated query,
 * because
 *
 *		f <x, R(q - c)> = f <x, R(q - o)> - f <x, R(c - o)>
 *
 * and the last term, of the code as it was rounded, goes into the factor a:
 *
 *		rank distance = base + a - b <x, R(q - o)>
 *
 *				base			a							b
 *		L2		|q-c|^2			|r|^2 + 2f <x,R(c-o)>		2f
 *		cosine	|q-c|^2 / 2		|r|^2 / 2 + f <x,R(c-o)>	f
 *		IP		-<q,c>			-<c,r> + f <x,R(c-o)>		f
 *
 *		standard error = b kappa |q-c| sqrt(1 - cos^2(r, q-c))
 *
 * besides the rounding of the query, which is |q - o| long and so counts for
 * more than in a list's own coordinates.  |r| is not stored; it follows from b
 * within some percent, because x is nearly as long for all vectors.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/listcode_private.h"

/* Of the squared cosine, what is trusted, since |r| is guessed: an error is never claimed to vanish. */
#define ALIGN_TRUST 0.9f

double
listcode_residual_weight(Metric metric)
{
	return metric == METRIC_L2 ? 2 : 1;
}

void
listcode_residual_factors(const ListCode *lc, const float *v, const float *centroid, double norm_sq, double f,
						  double shift, float *factors)
{
	Metric		metric = lc->spec.metric;
	int			dim = lc->spec.dim;
	double		a;

	if (metric == METRIC_IP)
		a = grid_dot(centroid, centroid, dim) - grid_dot(centroid, v, dim) + shift;
	else
		a = (norm_sq + 2 * shift) * (metric == METRIC_L2 ? 1 : 0.5);
	factors[0] = quant_clamp_factor(a);
	factors[1] = quant_clamp_value(listcode_residual_weight(metric) * f);
}

/*
 * Least and largest of sixteen, in lanes that vectorise.  Not inlined, and so
 * below: compilers that see the loop over parts as well unroll that instead.
 */
static __attribute__((noinline)) void
range_of(const float *restrict t, float *restrict range)
{
	float		least[4];
	float		most[4];

	for (int j = 0; j < 4; j++)
	{
		float		a = t[j] < t[j + 4] ? t[j] : t[j + 4];
		float		b = t[j + 8] < t[j + 12] ? t[j + 8] : t[j + 12];
		float		c = t[j] > t[j + 4] ? t[j] : t[j + 4];
		float		d = t[j + 8] > t[j + 12] ? t[j + 8] : t[j + 12];

		least[j] = a < b ? a : b;
		most[j] = c > d ? c : d;
	}
	for (int j = 0; j < 2; j++)
	{
		least[j] = least[j] < least[j + 2] ? least[j] : least[j + 2];
		most[j] = most[j] > most[j + 2] ? most[j] : most[j + 2];
	}
	range[0] = least[0] < least[1] ? least[0] : least[1];
	range[1] = most[0] > most[1] ? most[0] : most[1];
}

static __attribute__((noinline)) void
round_part(const float *restrict t, float min, float inverse, uint8_t *restrict out)
{
	for (int i = 0; i < 16; i++)
	{
		float		z = (t[i] - min) * inverse + 0.5f;

		z = z < UINT8_MAX ? z : UINT8_MAX;
		out[i] = (uint8_t) (int32_t) z;
	}
}

/* All parts share one step, so that their integers add up; each begins at its least entry. */
void
listcode_residual_tables(ListQuery *query, const float *entries, int nparts, double unit)
{
	uint8_t    *tables = listquery_tables(query);
	float		widest = 0;
	double		low = 0;
	float		inverse;

	for (int p = 0; p < nparts; p++)
	{
		float		range[2];

		range_of(entries + 16 * p, range);
		low += range[0];
		widest = range[1] - range[0] > widest ? range[1] - range[0] : widest;
	}
	inverse = widest > 0 ? UINT8_MAX / widest : 0;
	for (int p = 0; p < nparts; p++)
	{
		float		range[2];

		range_of(entries + 16 * p, range);
		round_part(entries + 16 * p, range[0], inverse, tables + 16 * p);
	}
	query->scale = (double) widest / UINT8_MAX * unit;
	query->bias = low * unit;
	/* of roundings spread evenly over a step */
	query->noise = query->scale * sqrt(nparts / 12.0);
}

/* What turns the sums of a list's codes into distances and errors. */
static SimdResidual
residual_of(const ListQuery *query, ListTerm term)
{
	const ListCode *lc = query->lc;
	Metric		metric = lc->spec.metric;
	float		noise = quant_clamp_value(query->noise);
	float		unit = term.err > noise ? term.err : noise;
	double		by_code;
	double		by_query;
	SimdResidual r;

	/* in units of the larger of the two parts: squares stay in range */
	unit = unit > 0 ? unit : 1;
	by_code = lc->noise[NOISE_KAPPA] * (term.err / unit);
	by_query = noise / unit;

	r.scale = quant_clamp_value(query->scale);
	r.bias = quant_clamp_value(query->bias);
	r.base = term.base;
	r.limit = QUANT_RESULT_MAX;

	/*
	 * <r, q-c> from the distance; inner product does not tell it, and its
	 * errors are those of a right angle
	 */
	r.mix = metric == METRIC_IP ? 0 : 0.5f;
	r.weight = metric == METRIC_L2 ? 0.5f : metric == METRIC_COSINE ? 1 : 0;
	r.length = (float) lc->noise[NOISE_LENGTH];
	r.apart = term.err;
	r.unit = unit;
	r.by_code = (float) (by_code * by_code);
	r.by_query = (float) (by_query * by_query);
	r.trust = ALIGN_TRUST;

	/* of the terms in float; the inner product's may cancel */
	r.rounding = metric == METRIC_IP ? quant_clamp_factor(query->norm * (query->norm + term.err)) : fabsf(term.base);
	return r;
}

void
listcode_residual_scores(const ListQuery *query, ListTerm term, const float *a, const float *b,
						 const float *sums, int n, float *dist, float *err)
{
	SimdResidual residual = residual_of(query, term);

	query->simd->residual_scores(&residual, a, b, sums, n, dist, err);
}

void
listcode_residual_finish(const ListQuery *query, ListTerm term, const float *a, const float *b,
						 const uint32_t *sums, int n, float *dist, float *err)
{
	float		values[LISTCODE_BLOCK];

	/* sums are below 2^24; signed integers convert faster */
	for (int i = 0; i < n; i++)
		values[i] = (float) (int32_t) sums[i];
	listcode_residual_scores(query, term, a, b, values, n, dist, err);
}
