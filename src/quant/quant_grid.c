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

#include "quant/quant_private.h"
#include "quant/rotation.h"

/* x = u - middle */
#define U4_MIDDLE 7.5f
#define U4_TOP 7				/* the whole part of the largest |x| */
#define U4_CENTRE_CODE 8		/* for a vector that is the centre; its factor is 0 */
#define U8_MIDDLE 128

#define QUERY_MAX_S8 127
#define QUERY_MAX_S16 2047

/* Candidate steps for 4 bits; any number more gains less than 0.6 % (README). */
#define U4_STEPS 6

/*
 * Of the squared cosine as inner product finds it, what is trusted: |o'| is
 * not stored there and is guessed from f, within 10 to 15 %.  An error that
 * is too large costs exact distances; one too small would cost recall.
 */
#define IP_ALIGN_TRUST 0.5f

/* Beyond these a vector is scaled by a power of two while it is encoded. */
#define LARGE_VALUE 0x1p+50f
#define SMALL_VALUE 0x1p-50f
#define SCALE_DOWN 0x1p-78f
#define SCALE_UP 0x1p+99f

/*
 * Sums run in lanes, so that they vectorise in one order that the source
 * fixes: a record must not depend on the machine or level that wrote it.
 * More lanes than a compiler unrolls, or it falls back to scalar code.
 */
#define SUM_LANES 32

static inline int
lanes_left(int i, int n)
{
	return n - i < SUM_LANES ? n - i : SUM_LANES;
}

static double
dot_double(const float *restrict a, const float *restrict b, int n)
{
	double		lane[SUM_LANES] = {0};

	for (int i = 0; i < n; i += SUM_LANES)
	{
		int			m = lanes_left(i, n);

		for (int j = 0; j < m; j++)
			lane[j] += (double) a[i + j] * (double) b[i + j];
	}
	for (int width = SUM_LANES / 2; width > 0; width /= 2)
	{
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	}
	return lane[0];
}

/* by the bits: magnitudes are ordered as integers are */
static float
max_abs(const float *x, int n)
{
	int32_t		max = 0;
	float		result;

	for (int i = 0; i < n; i++)
	{
		int32_t		bits;

		memcpy(&bits, &x[i], sizeof(bits));
		bits &= INT32_MAX;
		max = bits > max ? bits : max;
	}
	memcpy(&result, &max, sizeof(result));
	return result;
}

/*
 * kappa and chi: the length of e, and of x, over the square root of the
 * dimension.  Fitted for 4 bits to Gaussian vectors from 4 to 16,000
 * dimensions: few dimensions lose less, because fewer values are cut off.
 */
static double
u4_kappa(int dim)
{
	return 0.322 - 0.14 * pow(dim, -0.4);
}

static double
u4_chi(int dim)
{
	return 2.97 + 1.3 / sqrt((double) dim);
}

/* the largest value takes the end of the grid: plain rounding elsewhere */
static double
u8_kappa(int dim)
{
	(void) dim;
	return 0.288675;			/* 1 / sqrt(12) */
}

static double
u8_chi(int dim)
{
	/* below: the expected largest of dim Gaussian magnitudes */
	return 127.0 / (sqrt(2 * log((double) dim + 1)) - 0.27);
}

/* Quantizer.noise: computed once, because pow() takes as long as scoring ten codes */
#define KAPPA 0
#define CHI 1

static void
u4_noise(int dim, double *noise)
{
	noise[KAPPA] = u4_kappa(dim);
	noise[CHI] = u4_chi(dim);
}

static void
u8_noise(int dim, double *noise)
{
	noise[KAPPA] = u8_kappa(dim);
	noise[CHI] = u8_chi(dim);
}

/* A vector on its way into a code or a query. */
typedef struct Rotated
{
	float	   *values;			/* o', scaled by 1 / unit; in the scratch */
	double		unit;			/* a power of two, 1 for all but extreme inputs */
	double		norm_sq;		/* |values|^2 */
	double		dot_centre;		/* <o,c>, 0 without a centre */
} Rotated;

/* what v is multiplied with to have length 1; 0 for a zero vector */
static double
unit_length_factor(const float *v, int dim)
{
	double		norm_sq = dot_double(v, v, dim);

	return norm_sq > 0 ? 1 / sqrt(norm_sq) : 0;
}

/* out = (v - centre) * scale, a power of two; centre may be NULL */
static void
subtract(const float *restrict v, const float *restrict centre, float scale, float *restrict out, int dim)
{
	if (centre != NULL)
	{
		for (int i = 0; i < dim; i++)
			out[i] = v[i] * scale - centre[i] * scale;
	}
	else
	{
		for (int i = 0; i < dim; i++)
			out[i] = v[i] * scale;
	}
}

/* scratch: of grid_scratch_size; its first half becomes r->values */
static void
rotate(const Quantizer *q, const float *v, void *scratch, Rotated *r)
{
	int			dim = q->dim;
	float	   *out = scratch;
	float	   *normalised = out + dim;
	float		largest;

	r->values = out;
	r->unit = 1;
	r->dot_centre = 0;

	if (q->metric == METRIC_COSINE)
	{
		/* the factor may be beyond float: multiply in double */
		double		factor = unit_length_factor(v, dim);

		for (int i = 0; i < dim; i++)
			normalised[i] = (float) (v[i] * factor);
		v = normalised;
	}
	if (q->centre != NULL)
		r->dot_centre = dot_double(v, q->centre, dim);

	subtract(v, q->centre, 1, out, dim);
	largest = max_abs(out, dim);
	if (!(largest <= LARGE_VALUE))
	{
		subtract(v, q->centre, SCALE_DOWN, out, dim);
		r->unit = 1 / (double) SCALE_DOWN;
	}
	if (largest < SMALL_VALUE && largest > 0)
	{
		for (int i = 0; i < dim; i++)
			out[i] *= SCALE_UP;
		r->unit = 1 / (double) SCALE_UP;
	}

	r->norm_sq = dot_double(out, out, dim);
	rotation_apply(simd_get(), q->seed, out, dim);
}

/*
 * How well x(t) = (whole part of |y| * t, at most 7) + 1/2 points along |y|:
 * the squared cosine but for |y|^2, which all candidates share.  t is at most
 * a few standard deviations' inverse, so |y| * t stays below some 4 sqrt(dim).
 */
static float
u4_alignment(const float *restrict y, float t, int dim)
{
	float		dot[SUM_LANES] = {0};
	float		norm[SUM_LANES] = {0};

	for (int i = 0; i < dim; i += SUM_LANES)
	{
		int			m = lanes_left(i, dim);

		for (int j = 0; j < m; j++)
		{
			float		a = fabsf(y[i + j]);
			int32_t		whole = (int32_t) (a * t);
			float		x;

			whole = whole < U4_TOP ? whole : U4_TOP;
			x = (float) whole + 0.5f;
			dot[j] += x * a;
			norm[j] += x * x;
		}
	}
	for (int width = SUM_LANES / 2; width > 0; width /= 2)
	{
		for (int j = 0; j < width; j++)
		{
			dot[j] += dot[j + width];
			norm[j] += norm[j + width];
		}
	}
	return dot[0] / norm[0] * dot[0];
}

/*
 * The best of a few inverse steps.  They run from "the largest value just
 * fits" to where a Gaussian of this many dimensions has its optimum (a step
 * of 0.335 standard deviations, the largest values cut off), and past it.
 */
static float
u4_inverse_step(const float *y, double norm_sq, int dim)
{
	float		largest = max_abs(y, dim);
	float		fits = 8.0f / largest;
	float		gaussian = (float) (sqrt(dim / norm_sq) / 0.335);
	float		first = 0.95f * fits;
	float		last = 1.45f * fits;
	float		best = -1;
	float		best_t = fits;

	if (last > 1.35f * gaussian && gaussian > fits / 1.35f)
		last = 1.35f * gaussian;
	if (last < 1.1f * gaussian)
		last = 1.1f * gaussian;

	for (int k = 0; k < U4_STEPS; k++)
	{
		float		t = first + (last - first) * ((float) k / (U4_STEPS - 1));
		float		alignment = u4_alignment(y, t, dim);

		if (alignment > best)
		{
			best = alignment;
			best_t = t;
		}
	}
	return best_t;
}

/*
 * Codes of y on a grid: y * t, moved by offset and cut to [first, last],
 * without the fraction.  Comparisons come before the conversion, which is
 * undefined out of range.
 */
static inline void
round_to_grid(const float *restrict y, float t, float offset, float first, float last,
			  int dim, uint8_t *restrict u)
{
	for (int i = 0; i < dim; i++)
	{
		float		z = y[i] * t + offset;

		z = z < last ? z : last;
		z = z > first ? z : first;
		u[i] = (uint8_t) (int32_t) z;
	}
}

/* <x,y> for x = u - middle */
static double
dot_code(const uint8_t *restrict u, float middle, const float *restrict y, int n)
{
	double		lane[SUM_LANES] = {0};

	for (int i = 0; i < n; i += SUM_LANES)
	{
		int			m = lanes_left(i, n);

		for (int j = 0; j < m; j++)
			lane[j] += (double) (((float) u[i + j] - middle) * y[i + j]);
	}
	for (int width = SUM_LANES / 2; width > 0; width /= 2)
	{
		for (int j = 0; j < width; j++)
			lane[j] += lane[j + width];
	}
	return lane[0];
}

/* The two factors, from <x,o'>. */
static void
store_factors(const Quantizer *q, const Rotated *r, double along, uint8_t *record)
{
	double		f = r->norm_sq > 0 ? r->norm_sq / along * r->unit : 0;

	if (q->metric == METRIC_L2)
		quant_store_factors(record, quant_clamp_factor(r->norm_sq * r->unit * r->unit), quant_clamp_value(2 * f));
	else
		quant_store_factors(record, quant_clamp_factor(-r->dot_centre), quant_clamp_value(f));
}

static void
u4_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	float	   *y;
	uint8_t    *u;
	double		along = 0;
	Rotated		r;

	memset(code, 0, q->code_size);
	rotate(q, v, scratch, &r);
	y = r.values;
	u = (uint8_t *) (y + q->dim);
	if (r.norm_sq > 0)
	{
		float		t = u4_inverse_step(y, r.norm_sq, q->dim);

		round_to_grid(y, t, U4_MIDDLE + 0.5f, 0, 15, q->dim, u);
		along = dot_code(u, U4_MIDDLE, y, q->dim);
	}
	else
		memset(u, U4_CENTRE_CODE, (size_t) q->dim);
	quant_pack_nibbles(u, q->dim, code + QUANT_FACTOR_BYTES);
	store_factors(q, &r, along, code);
}

static void
u8_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	float	   *y;
	uint8_t    *u = code + QUANT_FACTOR_BYTES;
	double		along = 0;
	Rotated		r;

	memset(code, 0, q->code_size);
	rotate(q, v, scratch, &r);
	y = r.values;
	if (r.norm_sq > 0)
	{
		float		t = 127.0f / max_abs(y, q->dim);

		round_to_grid(y, t, U8_MIDDLE + 0.5f, 1, 255, q->dim, u);
		along = dot_code(u, U8_MIDDLE, y, q->dim);
	}
	else
		memset(u, U8_MIDDLE, (size_t) q->dim);
	store_factors(q, &r, along, code);
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

/* nearest integer of |z| <= QUERY_MAX_S16; by truncation, which SSE2 has */
static inline int32_t
round_to_integer(float z)
{
	return (int32_t) (z + (QUERY_MAX_S16 + 1.5f)) - (QUERY_MAX_S16 + 1);
}

static void
u4_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	float	   *y;
	int8_t	   *lo = (int8_t *) query->payload;
	int			nbytes = quant_nibble_bytes(q->dim);
	int8_t	   *hi = lo + quant_round_up((size_t) nbytes, 64);
	double		chi = q->noise[CHI];
	double		kappa = q->noise[KAPPA];
	double		norm;
	double		step;
	float		largest;
	float		t;
	int32_t		sum = 0;
	Rotated		r;

	rotate(q, v, scratch, &r);
	y = r.values;
	largest = max_abs(y, q->dim);
	t = largest > 0 ? QUERY_MAX_S8 / largest : 0;
	for (int i = 0; i < nbytes; i++)
	{
		lo[i] = (int8_t) round_to_integer(y[i] * t);
		sum += lo[i];
	}
	for (int i = nbytes; i < q->dim; i++)
	{
		hi[i - nbytes] = (int8_t) round_to_integer(y[i] * t);
		sum += hi[i - nbytes];
	}

	/* 2 * (dot product of u) - 15 * sum is twice that of x */
	query->u.grid.offset = 15 * sum;
	norm = sqrt(r.norm_sq) * r.unit;
	step = (double) largest / QUERY_MAX_S8 * r.unit;
	finish_query(q, query, norm, r.dot_centre, step / 2, kappa * kappa, chi,
				 rounding_noise(step, norm, chi, q->dim));
}

/*
 * The largest integer of a 16-bit query: 255 times the sum of magnitudes,
 * rounding included, must fit int32 for the kernel.  By Cauchy and Schwarz
 * that sum is at most sqrt(dim) |y|, a quarter more than is usual.
 */
static float
u8_query_bound(double norm_sq, float largest, int dim)
{
	double		room = (double) INT32_MAX / 255 - dim;
	double		bound = room * largest / sqrt(norm_sq * dim);

	return bound < QUERY_MAX_S16 ? (float) (int) bound : QUERY_MAX_S16;
}

static void
u8_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	float	   *y;
	int16_t    *out = (int16_t *) (void *) query->payload;
	double		chi = q->noise[CHI];
	double		kappa = q->noise[KAPPA];
	double		norm;
	double		step;
	float		largest;
	float		bound;
	float		t;
	int32_t		sum = 0;
	Rotated		r;

	rotate(q, v, scratch, &r);
	y = r.values;
	largest = max_abs(y, q->dim);
	bound = largest > 0 ? u8_query_bound(r.norm_sq, largest, q->dim) : QUERY_MAX_S16;
	t = largest > 0 ? bound / largest : 0;
	for (int i = 0; i < q->dim; i++)
	{
		out[i] = (int16_t) round_to_integer(y[i] * t);
		sum += out[i];
	}

	query->u.grid.offset = U8_MIDDLE * sum;
	norm = sqrt(r.norm_sq) * r.unit;
	step = (double) largest / bound * r.unit;
	finish_query(q, query, norm, r.dot_centre, step, kappa * kappa, chi,
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
	{
		double		factor = unit_length_factor(v, q->dim);

		for (int i = 0; i < q->dim; i++)
			v[i] = (float) (v[i] * factor);
	}
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

static size_t
u4_payload_size(int dim)
{
	return 2 * quant_round_up((size_t) quant_nibble_bytes(dim), 64);
}

static size_t
u8_payload_size(int dim)
{
	return sizeof(int16_t) * quant_round_up((size_t) dim, 64);
}

/* the rotated vector, and first the normalised one, then its codes before they are packed */
static size_t
grid_scratch_size(int dim)
{
	return 2 * sizeof(float) * (size_t) dim;
}

const QuantMethods quant_rabitq4_methods = {
	.code_size = u4_code_size,
	.payload_size = u4_payload_size,
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
	.payload_size = u8_payload_size,
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
