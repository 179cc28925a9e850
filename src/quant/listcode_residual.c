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

/* Of the squared cosine, what is trusted, since |r| is guessed. */
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

/* Written to vectorise: no branch but selections. */
void
listcode_residual_scores(const ListQuery *query, ListTerm term, const float *restrict a, const float *restrict b,
						 const float *restrict sums, int n, float *restrict dist, float *restrict err)
{
	const ListCode *lc = query->lc;
	Metric		metric = lc->spec.metric;
	float		scale = quant_clamp_value(query->scale);
	float		bias = quant_clamp_value(query->bias);
	float		base = term.base;
	float		apart = term.err;
	float		noise = quant_clamp_value(query->noise);
	float		unit = apart > noise ? apart : noise;
	float		by_code;
	float		by_query;
	float		length;
	float		half;
	float		apart_sq;
	float		half_dist;
	float		per_apart;
	float		rounding;

	for (int i = 0; i < n; i++)
	{
		float		product = quant_clamp_result(b[i] * (scale * sums[i] + bias));

		dist[i] = quant_clamp_result((a[i] + base) - product);
	}
	if (err == NULL)
		return;

	/* in units of the larger of the two parts: squares stay in range */
	unit = unit > 0 ? unit : 1;
	by_code = (float) lc->noise[NOISE_KAPPA] * (apart / unit);
	by_code *= by_code;
	by_query = noise / unit;
	by_query *= by_query;

	/*
	 * <r, q-c> / (|r| |q-c|) from the distance; inner product does not tell
	 * <r, q-c>
	 */
	length = (float) lc->noise[NOISE_LENGTH];
	half = metric == METRIC_IP ? 0 : 0.5f;
	half_dist = metric == METRIC_L2 ? 0.5f : metric == METRIC_COSINE ? 1 : 0;
	apart_sq = apart * apart;
	per_apart = apart > 0 ? 1 / apart : 0;

	/* of the terms in float; the inner product's may cancel */
	rounding = fabsf(base);
	if (metric == METRIC_IP)
		rounding = quant_clamp_factor(query->norm * (query->norm + apart));
	for (int i = 0; i < n; i++)
	{
		float		size = fabsf(b[i]);
		float		norm = size * length;
		float		along = half * (norm * norm + apart_sq) - half_dist * dist[i];
		float		cosine = along / norm * per_apart;
		float		cos_sq = cosine * cosine;
		float		e;

		cos_sq = cos_sq > 0.0f ? cos_sq : 0.0f; /* NaN too */
		cos_sq = cos_sq < 1.0f ? cos_sq : 1.0f;
		e = size * unit * sqrtf(by_code * (1.0f - ALIGN_TRUST * cos_sq) + by_query);
		e += (rounding + 2 * fabsf(a[i]) + fabsf(dist[i])) * FLT_EPSILON;
		err[i] = e < QUANT_RESULT_MAX ? e : QUANT_RESULT_MAX;
	}
}
