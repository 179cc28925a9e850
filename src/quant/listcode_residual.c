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
