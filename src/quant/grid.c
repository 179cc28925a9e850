/*
 * grid.c
 *		Rotate a vector, choose a step, round.
 */
#include <math.h>

#include "quant/grid.h"
#include "quant/rotation.h"

#define U4_TOP 7				/* the whole part of the largest |x| */
#define U4_CENTRE_CODE 8		/* for a vector that is the centre */

/* Candidate steps for 4 bits; any number more gains less than 0.6 % (README). */
#define U4_STEPS 6

/* Beyond these a vector is scaled by a power of two while it is encoded. */
#define LARGE_VALUE 0x1p+50f
#define SMALL_VALUE 0x1p-50f
#define SCALE_DOWN 0x1p-78f
#define SCALE_UP 0x1p+99f

/*
 * Sums run in lanes, so that they vectorise in one order.  More lanes than a compiler unrolls, or it falls back to scalar code.
 */
#define SUM_LANES 32

static inline int
lanes_left(int i, int n)
{
	return n - i < SUM_LANES ? n - i : SUM_LANES;
}

double
grid_dot(const float *restrict a, const float *restrict b, int n)
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
float
grid_max_abs(const float *x, int n)
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
 * Fitted for 4 bits to Gaussian vectors from 4 to 16,000 dimensions: few
 * dimensions lose less, because fewer values are cut off.  For 8 bits the
 * largest value takes the end of the grid and the rest is plain rounding;
 * chi has the expected largest of dim Gaussian magnitudes below.  For 1 bit
 * all x are as long, and the mean magnitude of a Gaussian says how much of it
 * lies along the vector.
 */
double
grid_kappa(int bits, int dim)
{
	if (bits == 1)
		return 0.301404;		/* sqrt(1 - 2 / pi) / 2 */
	if (bits == 4)
		return 0.322 - 0.14 * pow(dim, -0.4);
	return 0.288675;			/* 1 / sqrt(12) */
}

double
grid_chi(int bits, int dim)
{
	if (bits == 1)
		return 0.5;
	if (bits == 4)
		return 2.97 + 1.3 / sqrt((double) dim);
	return 127.0 / (sqrt(2 * log((double) dim + 1)) - 0.27);
}

void
grid_normalise(const float *v, int dim, float *out)
{
	double		norm_sq = grid_dot(v, v, dim);
	/* may be beyond float: multiply in double */
	double		factor = norm_sq > 0 ? 1 / sqrt(norm_sq) : 0;

	for (int i = 0; i < dim; i++)
		out[i] = (float) (v[i] * factor);
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

void
grid_subtract(const float *v, const float *centre, int dim, float *out, Rotated *r)
{
	float		largest;

	r->values = out;
	r->unit = 1;
	subtract(v, centre, 1, out, dim);
	largest = grid_max_abs(out, dim);
	if (!(largest <= LARGE_VALUE))
	{
		subtract(v, centre, SCALE_DOWN, out, dim);
		r->unit = 1 / (double) SCALE_DOWN;
	}
	if (largest < SMALL_VALUE && largest > 0)
	{
		for (int i = 0; i < dim; i++)
			out[i] *= SCALE_UP;
		r->unit = 1 / (double) SCALE_UP;
	}

	r->norm_sq = grid_dot(out, out, dim);
}

void
grid_rotate(const float *v, const float *centre, uint64_t seed, int dim, float *out, Rotated *r)
{
	grid_subtract(v, centre, dim, out, r);
	rotation_apply(simd_get(), seed, out, dim);
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
	float		largest = grid_max_abs(y, dim);
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
double
grid_dot_code(const uint8_t *restrict u, float middle, const float *restrict y, int n)
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

float
grid_middle(int bits)
{
	return bits == 1 ? U1_MIDDLE : bits == 4 ? U4_MIDDLE : U8_MIDDLE;
}

double
grid_encode(int bits, const Rotated *r, int dim, uint8_t *u)
{
	const float *y = r->values;

	if (!(r->norm_sq > 0))
	{
		memset(u, bits == 1 ? 0 : bits == 4 ? U4_CENTRE_CODE : U8_MIDDLE, (size_t) dim);
		return 0;
	}
	if (bits == 1)
	{
		for (int i = 0; i < dim; i++)
			u[i] = y[i] > 0;
	}
	else if (bits == 4)
		round_to_grid(y, u4_inverse_step(y, r->norm_sq, dim), U4_MIDDLE + 0.5f, 0, 15, dim, u);
	else
		round_to_grid(y, 127.0f / grid_max_abs(y, dim), U8_MIDDLE + 0.5f, 1, 255, dim, u);
	return grid_dot_code(u, grid_middle(bits), y, dim);
}

/* nearest integer of |z| <= QUERY_MAX_S16; by truncation, which SSE2 has */
static inline int32_t
round_to_integer(float z)
{
	return (int32_t) (z + (QUERY_MAX_S16 + 1.5f)) - (QUERY_MAX_S16 + 1);
}

double
grid_query_s8(const Rotated *r, int dim, int8_t *query, int32_t *sum)
{
	const float *y = r->values;
	int			nbytes = quant_nibble_bytes(dim);
	int8_t	   *hi = query + quant_round_up((size_t) nbytes, 64);
	float		largest = grid_max_abs(y, dim);
	float		t = largest > 0 ? QUERY_MAX_S8 / largest : 0;
	int32_t		total = 0;

	for (int i = 0; i < nbytes; i++)
	{
		query[i] = (int8_t) round_to_integer(y[i] * t);
		total += query[i];
	}
	for (int i = nbytes; i < dim; i++)
	{
		hi[i - nbytes] = (int8_t) round_to_integer(y[i] * t);
		total += hi[i - nbytes];
	}
	*sum = total;
	return (double) largest / QUERY_MAX_S8;
}

/*
 * The largest integer of a 16-bit query: 255 times the sum of magnitudes,
 * rounding included, must fit int32 for the kernel.  By Cauchy and Schwarz
 * that sum is at most sqrt(dim) |y|, a quarter more than is usual.
 */
static float
s16_query_bound(double norm_sq, float largest, int dim)
{
	double		room = (double) INT32_MAX / 255 - dim;
	double		bound = room * largest / sqrt(norm_sq * dim);

	return bound < QUERY_MAX_S16 ? (float) (int) bound : QUERY_MAX_S16;
}

double
grid_query_s16(const Rotated *r, int dim, int16_t *query, int32_t *sum)
{
	const float *y = r->values;
	float		largest = grid_max_abs(y, dim);
	float		bound = largest > 0 ? s16_query_bound(r->norm_sq, largest, dim) : QUERY_MAX_S16;
	float		t = largest > 0 ? bound / largest : 0;
	int32_t		total = 0;

	for (int i = 0; i < dim; i++)
	{
		query[i] = (int16_t) round_to_integer(y[i] * t);
		total += query[i];
	}
	*sum = total;
	return (double) largest / bound;
}
