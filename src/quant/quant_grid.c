/*
 * quant_grid.c
 *		rabitq4 and sq8 for L2, inner product and cosine: rotated, on a grid.
 *
 * A vector o (normalised for cosine) is written as o' = R(o - c): c the
 * centre, R the random rotation.  Its code is a point x of a grid of 4 or 8
 * bits a dimension, whose step is chosen per vector such that x points as
 * nearly as possible along o'.  With f = |o'|^2 / <x,o'> the estimate
 * f <x,q'> of <o',q'> is unbiased over rotations (Gao and Long, "RaBitQ",
 * 2024; Gao et al., "Practical and asymptotically optimal quantization",
 * 2024).
 *
 * A record is two factors and the code, and
 *
 *		rank distance = A + (query's add) - B <x,q'>
 *
 *				A			B		query's add
 *		L2		|o'|^2		2f		|q'|^2
 *		IP		-<o,c>		f		|c|^2 - <q,c>
 *		cosine	-<o,c>		f		|c|^2 - <q,c> + 1
 *
 * The error: f x = f (x - e) + f e, where x - e lies along o' and e at right
 * angles to it, about kappa * sqrt(dim) long whatever the vector, because it
 * is rounding on a grid of step 1.  Only the part of q' at right angles to
 * o' meets e, in a direction that the rotation made random, so
 *
 *		standard error of <x,q'> = kappa |q'| sqrt(1 - cos^2(o',q'))
 *
 * and near neighbours, where the cosine is large, are known best.  What the
 * query's own rounding adds does not shrink with the angle.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/rotation.h"

/*
 * Of the squared cosine as inner product finds it, what is trusted: |o'| is
 * not stored there and is guessed from f, within 10 to 15 %.  An error that
 * is too large costs exact distances; one too small would cost recall.
 */
#define IP_ALIGN_TRUST 0.5f

/* Quantizer.noise: computed once, because pow() takes as long as scoring ten codes */
#define KAPPA 0
#define CHI 1

static void
u4_noise(int dim, double *noise)
{
	noise[KAPPA] = grid_kappa(4, dim);
	noise[CHI] = grid_chi(4, dim);
}

static void
u8_noise(int dim, double *noise)
{
	noise[KAPPA] = grid_kappa(8, dim);
	noise[CHI] = grid_chi(8, dim);
}

/* o' and, 0 without a centre, <o,c>.  scratch: of grid_scratch_size; its first half becomes r->values */
static double
rotate(const Quantizer *q, const float *v, void *scratch, Rotated *r)
{
	float	   *normalised = (float *) scratch + q->dim;

	if (q->metric == METRIC_COSINE)
	{
		grid_normalise(v, q->dim, normalised);
		v = normalised;
	}
	grid_rotate(v, q->centre, q->seed, q->dim, scratch, r);
	return q->centre != NULL ? grid_dot(v, q->centre, q->dim) : 0;
}

/* The code of v, a byte a dimension in u, and the factors of the record. */
static void
encode(int bits, const Quantizer *q, const float *v, uint8_t *u, uint8_t *record, void *scratch)
{
	Rotated		r;
	double		dot_centre = rotate(q, v, scratch, &r);
	double		along = grid_encode(bits, &r, q->dim, u);
	double		f = r.norm_sq > 0 ? r.norm_sq / along * r.unit : 0;

	if (q->metric == METRIC_L2)
		quant_store_factors(record, quant_clamp_factor(r.norm_sq * r.unit * r.unit), quant_clamp_value(2 * f));
	else
		quant_store_factors(record, quant_clamp_factor(-dot_centre), quant_clamp_value(f));
}

static void
u4_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	uint8_t    *u = (uint8_t *) ((float *) scratch + q->dim);

	memset(code, 0, q->code_size);
	encode(4, q, v, u, code, scratch);
	quant_pack_nibbles(u, q->dim, code + QUANT_FACTOR_BYTES);
}

static void
u8_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	memset(code, 0, q->code_size);
	encode(8, q, v, code + QUANT_FACTOR_BYTES, code, scratch);
}

/*
 * The query's half of the distance and of its error.  norm: |q'|, unit
 * included; dot_centre: <q,c>; step: what an integer of the query stands
 * for; noise: squared standard error of <x,q'> / |q'| by the query's rounding.
 */
static void
finish_query(const Quantizer *q, QuantQuery *query, double norm, double dot_centre,
			 double step, double kappa_sq, double chi, double noise)
{
	GridQuery  *g = &query->u.grid;
	double		centre_sq = q->centre_sq;
	double		own_half = q->metric == METRIC_L2 ? 0.5 : 1;
	double		add;

	g->norm[0] = g->norm[1] = g->norm[2] = 0;
	if (q->metric == METRIC_L2)
	{
		add = norm * norm;
		g->norm[1] = 1;
	}
	else
	{
		add = centre_sq - dot_centre;
		if (q->metric == METRIC_COSINE)
		{
			add += 1;
			/* |o - c|^2 with |o| = 1 */
			g->norm[0] = quant_clamp_factor(1 + centre_sq);
			g->norm[1] = 2;
		}
		else
		{
			/* |o'| = f |x| times a cosine that is nearly 1 */
			g->norm[2] = quant_clamp_factor(chi * chi * q->dim / IP_ALIGN_TRUST);
		}
		g->err_abs = quant_clamp_factor((centre_sq + fabs(dot_centre)) * FLT_EPSILON);
	}
	g->add = quant_clamp_factor(add);
	g->scale = quant_clamp_value(step);
	g->err_scale = quant_clamp_value(norm);
	g->err_code = (float) kappa_sq;
	g->err_query = (float) noise;
	g->align_scale = norm > 0 ? quant_clamp_factor(own_half * step / norm) : 0;
	g->bounded = false;
}

/* the squared noise that rounding the query to the given step adds */
static double
rounding_noise(double step, double norm, double chi, int dim)
{
	return norm > 0 ? chi * chi * dim * step * step / (12 * norm * norm) : 0;
}

static void
u4_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	double		chi = q->noise[CHI];
	double		kappa = q->noise[KAPPA];
	int32_t		sum;
	Rotated		r;
	double		dot_centre = rotate(q, v, scratch, &r);
	double		norm = sqrt(r.norm_sq) * r.unit;
	double		step = grid_query_s8(&r, q->dim, (int8_t *) query->payload, &sum) * r.unit;

	/* 2 * (dot product of u) - 15 * sum is twice that of x */
	query->u.grid.offset = 15 * sum;
	finish_query(q, query, norm, dot_centre, step / 2, kappa * kappa, chi,
				 rounding_noise(step, norm, chi, q->dim));
}

static void
u8_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	double		chi = q->noise[CHI];
	double		kappa = q->noise[KAPPA];
	int32_t		sum;
	Rotated		r;
	double		dot_centre = rotate(q, v, scratch, &r);
	double		norm = sqrt(r.norm_sq) * r.unit;
	double		step = grid_query_s16(&r, q->dim, (int16_t *) (void *) query->payload, &sum) * r.unit;

	query->u.grid.offset = U8_MIDDLE * sum;
	finish_query(q, query, norm, dot_centre, step, kappa * kappa, chi,
				 rounding_noise(step, norm, chi, q->dim));
}

/*
 * A stored vector as the query: f x stands for q'.  Its e is as long as the
 * code's, so the squared error doubles, and the two meet each other too.
 */
static void
finish_code_query(const Quantizer *q, const uint8_t *code, QuantQuery *query,
				  double units_per_x, double kappa, double chi)
{
	float		a;
	float		b;
	double		f;
	double		norm;
	double		dot_centre = 0;

	quant_load_factors(code, &a, &b);
	f = q->metric == METRIC_L2 ? 0.5 * b : b;
	if (q->metric == METRIC_L2)
		norm = a > 0 ? sqrt((double) a) : 0;
	else
	{
		double		norm_sq;

		dot_centre = -(double) a;
		if (q->metric == METRIC_COSINE)
			norm_sq = 1 - 2 * dot_centre + q->centre_sq;
		else
			norm_sq = f * f * chi * chi * q->dim;
		norm = norm_sq > 0 ? sqrt(norm_sq) : 0;
	}
	finish_query(q, query, norm, dot_centre, f / units_per_x, 2 * kappa * kappa, chi,
				 kappa * kappa * kappa * kappa / (chi * chi));

	/*
	 * Two codes of nearly one direction were rounded the same way, which makes
	 * their product too large: 1 % at 4 bits for the same direction, where the
	 * distance itself is nothing.  The bound of Cauchy and Schwarz is exact
	 * there.  (Inner product does not store |o'|.)
	 */
	query->u.grid.bounded = q->metric != METRIC_IP;
}

static void
u4_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	const uint8_t *u = code + QUANT_FACTOR_BYTES;
	int			dim = q->dim;
	int			nbytes = quant_nibble_bytes(dim);
	int			pairs = dim - nbytes;
	int8_t	   *lo = (int8_t *) query->payload;
	int8_t	   *hi = lo + quant_round_up((size_t) nbytes, 64);
	int32_t		sum = 0;

	for (int i = 0; i < nbytes; i++)
	{
		lo[i] = (int8_t) (2 * (u[i] & 0x0f) - 15);
		sum += lo[i];
	}
	for (int i = 0; i < pairs; i++)
	{
		hi[i] = (int8_t) (2 * (u[i] >> 4) - 15);
		sum += hi[i];
	}
	query->u.grid.offset = 15 * sum;

	/* twice x by twice x */
	finish_code_query(q, code, query, 4, q->noise[KAPPA], q->noise[CHI]);
}

static void
u8_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	const uint8_t *u = code + QUANT_FACTOR_BYTES;
	int16_t    *out = (int16_t *) (void *) query->payload;
	int32_t		sum = 0;

	for (int i = 0; i < q->dim; i++)
	{
		out[i] = (int16_t) (u[i] - U8_MIDDLE);
		sum += out[i];
	}
	query->u.grid.offset = U8_MIDDLE * sum;
	finish_code_query(q, code, query, 1, q->noise[KAPPA], q->noise[CHI]);
}

/*
 * Integer dot products, already freed from the grid's middle, to distances
 * and errors.  Written to vectorise: no branch but selections.
 */
static void
finish_scores(const GridQuery *query, const float *restrict a, const float *restrict b,
			  const float *restrict sums, int n, float *restrict dist, float *restrict err)
{
	const GridQuery g = *query;

	if (g.bounded)
	{
		for (int i = 0; i < n; i++)
		{
			float		along = b[i] * g.align_scale * sums[i]; /* <o',q'> / |q'| */
			float		norm_sq = g.norm[0] + g.norm[1] * a[i];
			float		norm = sqrtf(norm_sq > 0.0f ? norm_sq : 0.0f);
			float		product = quant_clamp_result(b[i] * g.scale * sums[i]);

			product *= along > norm ? norm / along : 1.0f;
			dist[i] = quant_clamp_result((a[i] + g.add) - product);
		}
	}
	else
	{
		for (int i = 0; i < n; i++)
		{
			float		product = quant_clamp_result(b[i] * g.scale * sums[i]);

			dist[i] = quant_clamp_result((a[i] + g.add) - product);
		}
	}
	if (err == NULL)
		return;
	for (int i = 0; i < n; i++)
	{
		float		along = b[i] * g.align_scale * sums[i];	/* <o',q'> / |q'| */
		float		norm_sq = g.norm[0] + g.norm[1] * a[i] + g.norm[2] * (b[i] * b[i]);
		float		cos_sq = along * along / norm_sq;
		float		e;

		cos_sq = cos_sq > 0.0f ? cos_sq : 0.0f; /* NaN too */
		cos_sq = cos_sq < 1.0f ? cos_sq : 1.0f;
		e = fabsf(b[i]) * g.err_scale * sqrtf(g.err_code * (1.0f - cos_sq) + g.err_query);
		e += g.err_abs + fabsf(a[i]) * FLT_EPSILON;
		err[i] = e < QUANT_RESULT_MAX ? e : QUANT_RESULT_MAX;
	}
}

typedef struct GridBatch
{
	const uint8_t *codes[QUANT_BATCH];
	float		a[QUANT_BATCH];
	float		b[QUANT_BATCH];
	int32_t		dots[QUANT_BATCH];
	float		sums[QUANT_BATCH];
} GridBatch;

static inline void
load_batch(GridBatch *batch, const uint8_t *const *records, int n)
{
	int			i = 0;

	do
	{
		batch->codes[i] = records[i] + QUANT_FACTOR_BYTES;
		quant_load_factors(records[i], &batch->a[i], &batch->b[i]);
	} while (++i < n);
}

static void
u4_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	GridBatch	batch;
	int32_t		offset = query->u.grid.offset;

	load_batch(&batch, records, n);
	query->simd->dot_u4s8_batch((const int8_t *) query->payload, batch.codes, n,
								quant_nibble_bytes(query->dim), batch.dots);
	for (int i = 0; i < n; i++)
		batch.sums[i] = (float) (2 * batch.dots[i] - offset);
	finish_scores(&query->u.grid, batch.a, batch.b, batch.sums, n, dist, err);
}

static void
u8_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	GridBatch	batch;
	int32_t		offset = query->u.grid.offset;

	load_batch(&batch, records, n);
	query->simd->dot_u8s16_batch((const int16_t *) (const void *) query->payload, batch.codes, n,
								 query->dim, batch.dots);
	for (int i = 0; i < n; i++)
		batch.sums[i] = (float) (batch.dots[i] - offset);
	finish_scores(&query->u.grid, batch.a, batch.b, batch.sums, n, dist, err);
}

/* v holds x: back through scale, rotation and centre */
static void
finish_decode(const Quantizer *q, const uint8_t *code, float *v)
{
	float		a;
	float		b;
	double		f;

	quant_load_factors(code, &a, &b);
	f = q->metric == METRIC_L2 ? 0.5 * b : b;
	rotation_invert(simd_get(), q->seed, v, q->dim);
	for (int i = 0; i < q->dim; i++)
		v[i] = quant_clamp_value(v[i] * f + (q->centre != NULL ? q->centre[i] : 0));
	if (q->metric == METRIC_COSINE)
		grid_normalise(v, q->dim, v);
}

static void
u4_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	const uint8_t *u = code + QUANT_FACTOR_BYTES;

	(void) scratch;
	for (int i = 0; i < q->dim; i++)
		v[i] = (float) quant_nibble(u, q->dim, i) - U4_MIDDLE;
	finish_decode(q, code, v);
}

static void
u8_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	const uint8_t *u = code + QUANT_FACTOR_BYTES;

	(void) scratch;
	for (int i = 0; i < q->dim; i++)
		v[i] = (float) (u[i] - U8_MIDDLE);
	finish_decode(q, code, v);
}

static size_t
u4_code_size(Metric metric, int dim)
{
	(void) metric;
	return quant_record_u4(dim);
}

static size_t
u8_code_size(Metric metric, int dim)
{
	(void) metric;
	return quant_record_u8(dim);
}

/* the rotated vector, and first the normalised one, then its codes before they are packed */
static size_t
grid_scratch_size(int dim)
{
	return 2 * sizeof(float) * (size_t) dim;
}

const QuantMethods quant_rabitq4_methods = {
	.code_size = u4_code_size,
	.payload_size = grid_query_s8_size,
	.scratch_size = grid_scratch_size,
	.wants_centre = true,
	.noise = u4_noise,
	.problem = quant_factors_problem,
	.encode = u4_encode,
	.prepare = u4_prepare,
	.prepare_code = u4_prepare_code,
	.score = u4_score,
	.decode = u4_decode,
};

const QuantMethods quant_sq8_methods = {
	.code_size = u8_code_size,
	.payload_size = grid_query_s16_size,
	.scratch_size = grid_scratch_size,
	.wants_centre = true,
	.noise = u8_noise,
	.problem = quant_factors_problem,
	.encode = u8_encode,
	.prepare = u8_prepare,
	.prepare_code = u8_prepare_code,
	.score = u8_score,
	.decode = u8_decode,
};
