/*
 * test_simd.c
 *		Every kernel of every level against double precision.
 *
 * Error bounds.  With u = 2^-24 the rounding of one float operation, a sum
 * whose longest chain of additions has depth d, of terms t that were rounded
 * r times each, is off by at most (d + r) u sum|t| to first order (Higham,
 * Accuracy and Stability of Numerical Algorithms, 4.2).  The plain level
 * adds in order: d = n.  The others keep four sums of L lanes (F32_WALK in
 * simd_impl.h): d = n / 4L + 1 for the tail + 2 to join the four + log2 L.
 * So a lost or doubled element shows at every length.  SLOP covers the
 * second order.
 */
#include "check.h"

#include "simd/simd.h"

#include <math.h>

#define MAX_N 16000
#define MAX_VECS 9
#define SLOP 1.01

static const double U = 1.0 / (1 << 24);
static const int lanes_of[SIMD_NLEVELS] = {1, 4, 8, 16};

static Guard query_guard;
static Guard guards[MAX_VECS];
static uint64_t seed = 42;

#define FOR_LENGTHS(n) for (int n = 1; n >= 0; n = check_next_length(n))

static double
depth(const SimdKernels *k, int n)
{
	int			lanes = lanes_of[k->level];

	return lanes == 1 ? n : n / (4 * lanes) + 3 + log2(lanes);
}

/* error as a fraction of its bound; anything that is no number is infinite */
static double
ratio(double got, double want, double bound)
{
	double		error = fabs(got - want);

	if (error == 0)
		return 0;
	return error <= HUGE_VAL && bound > 0 ? error / (bound * SLOP) : HUGE_VAL;
}

static bool
same_bits(float a, float b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

static void
fill_floats(float *v, int n)
{
	/* mostly of one size; sometimes one sign, sometimes wide in magnitude */
	uint64_t	kind = check_random(&seed) % 4;

	for (int i = 0; i < n; i++)
	{
		v[i] = check_uniform(&seed, kind == 0 ? 0.5f : -1.0f, 1.0f);
		if (kind == 1)
			v[i] = ldexpf(v[i], (int) (check_random(&seed) % 20) - 10);
	}
}

static void
fill_bytes(uint8_t *v, int n)
{
	for (int i = 0; i < n; i++)
		v[i] = (uint8_t) check_random(&seed);
}

/*----------
 * Float kernels
 *----------
 */

typedef struct FloatOp
{
	const char *name;
	float		(*pair) (const float *a, const float *b, int n);
	void		(*batch) (const float *query, const float *const *vecs, int nvecs, int n, float *out);
	double		(*term) (double a, double b);
	int			roundings;		/* of one term */
} FloatOp;

static double
term_l2sq(double a, double b)
{
	return (a - b) * (a - b);
}

static double
term_dot(double a, double b)
{
	return a * b;
}

static double
term_l1(double a, double b)
{
	return fabs(a - b);
}

static double
pair_ratio(const SimdKernels *k, const FloatOp *op, const float *a, const float *b, int n)
{
	double		want = 0;
	double		size = 0;

	for (int i = 0; i < n; i++)
	{
		double		t = op->term(a[i], b[i]);

		want += t;
		size += fabs(t);
	}
	return ratio(op->pair(a, b, n), want, (depth(k, n) + op->roundings) * U * size);
}

static void
check_float_op(const SimdKernels *k, const FloatOp *op)
{
	double		worst_of_all = 0;

	FOR_LENGTHS(n)
	{
		size_t		size = (size_t) n * sizeof(float);
		float	   *query = guard_at(&query_guard, size);
		const float *vecs[MAX_VECS];
		float		out[MAX_VECS + 1];
		double		worst = 0;
		int			differ = 0;

		fill_floats(query, n);
		for (int v = 0; v < MAX_VECS; v++)
		{
			/* the first stands against the end, the others at any distance */
			float	   *vec = guard_at(&guards[v], size + (size_t) v * sizeof(float));

			fill_floats(vec, n);
			vecs[v] = vec;
			worst = fmax(worst, pair_ratio(k, op, query, vec, n));
		}
		CHECK(worst <= 1, "%s %s n=%d: error is %g of its bound", k->name, op->name, n, worst);
		worst_of_all = fmax(worst_of_all, worst);

		for (int nvecs = 0; nvecs <= MAX_VECS; nvecs++)
		{
			for (int v = 0; v <= MAX_VECS; v++)
				out[v] = -12345;
			op->batch(query, vecs, nvecs, n, out);
			for (int v = 0; v < nvecs; v++)
				differ += !same_bits(out[v], op->pair(query, vecs[v], n));
			differ += out[nvecs] != -12345;
		}
		CHECK(differ == 0, "%s %s n=%d: %d results of the batch form differ", k->name, op->name, n, differ);

		differ = 0;
		for (int v = 0; v < MAX_VECS; v++)
			differ += !same_bits(op->pair(query, vecs[v], n), op->pair(vecs[v], query, n));
		CHECK(differ == 0, "%s %s n=%d: not symmetric", k->name, op->name, n);
	}
	printf("%s %s: largest error %.2f of its bound\n", k->name, op->name, worst_of_all);
}

/* A float query against halves: the bits of the float form for the widened halves. */
static void
check_half_batch(const SimdKernels *k, const FloatOp *op,
				 void (*batch) (const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out))
{
	FOR_LENGTHS(n)
	{
		float	   *query = guard_at(&query_guard, (size_t) n * sizeof(float));
		float	   *wide = malloc((size_t) n * sizeof(float) + 1);
		const uint16_t *vecs[MAX_VECS];
		float		want[MAX_VECS];
		int			differ = 0;

		fill_floats(query, n);
		for (int v = 0; v < MAX_VECS; v++)
		{
			uint16_t   *halves = guard_at(&guards[v], ((size_t) n + (size_t) v) * sizeof(uint16_t));

			fill_floats(wide, n);
			k->f32_to_f16(wide, halves, n);
			k->f16_to_f32(halves, wide, n);
			vecs[v] = halves;
			want[v] = op->pair(query, wide, n);
		}
		for (int nvecs = 0; nvecs <= MAX_VECS; nvecs++)
		{
			float		out[MAX_VECS + 1];

			for (int v = 0; v <= MAX_VECS; v++)
				out[v] = -12345;
			batch(query, vecs, nvecs, n, out);
			for (int v = 0; v < nvecs; v++)
				differ += !same_bits(out[v], want[v]);
			differ += out[nvecs] != -12345;
		}
		CHECK(differ == 0, "%s %s n=%d: %d results of the half batch form differ", k->name, op->name, n, differ);
		free(wide);
	}
}

/* Not-a-number and infinity at every place must reach the result. */
static void
check_float_specials(const SimdKernels *k, const FloatOp *op)
{
	for (int n = 1; n <= 140; n++)
	{
		float	   *a = guard_at(&query_guard, (size_t) n * sizeof(float));
		float	   *b = guard_at(&guards[0], (size_t) n * sizeof(float));
		int			lost = 0;

		for (int i = 0; i < n; i++)
			a[i] = b[i] = 1;
		for (int i = 0; i < n; i++)
		{
			a[i] = NAN;
			lost += !isnan(op->pair(a, b, n));
			a[i] = INFINITY;
			lost += !isinf(op->pair(a, b, n));
			b[i] = -INFINITY;
			lost += !isinf(op->pair(a, b, n));
			a[i] = b[i] = 1;
		}
		CHECK(lost == 0, "%s %s n=%d: %d specials lost", k->name, op->name, n, lost);
	}
}

static void
check_cosine(const SimdKernels *k)
{
	FOR_LENGTHS(n)
	{
		size_t		size = (size_t) n * sizeof(float);
		int			differ = 0;

		for (int v = 0; v < MAX_VECS; v++)
		{
			float	   *a = guard_at(&query_guard, size + (size_t) (v / 3) * sizeof(float));
			float	   *b = guard_at(&guards[v], size + (size_t) v * sizeof(float));
			float		sums[4] = {0, 0, 0, -12345};

			fill_floats(a, n);
			fill_floats(b, n);
			k->cosine_f32(a, b, n, sums);
			differ += !same_bits(sums[0], k->dot_f32(a, b, n));
			differ += !same_bits(sums[1], k->dot_f32(a, a, n));
			differ += !same_bits(sums[2], k->dot_f32(b, b, n));
			differ += sums[3] != -12345;
		}
		CHECK(differ == 0, "%s cosine n=%d: %d sums differ from dot", k->name, n, differ);
	}
}

/* Sums of squares are in double: every element at every place counts, also the smallest and the largest. */
static void
check_sumsq(const SimdKernels *k)
{
	CHECK(k->sumsq_f32(NULL, 0) == 0, "%s sumsq of nothing", k->name);
	FOR_LENGTHS(n)
	{
		float	   *a = guard_at(&query_guard, (size_t) n * sizeof(float));
		long double want = 0;
		double		got;

		fill_floats(a, n);
		a[n / 2] = 3e38f;
		a[n - 1] = n == 1 ? 1e-45f : 3e38f;
		for (int i = 0; i < n; i++)
			want += (long double) a[i] * a[i];
		got = k->sumsq_f32(a, n);
		CHECK(fabsl(got - want) <= n * 0x1p-52L * want, "%s sumsq n=%d: %g, not %Lg", k->name, n, got, want);

		for (int i = 0; i < n; i++)
			a[i] = 0;
		for (int i = 0, lost = 0; i < n && lost == 0; i++)
		{
			a[i] = 1e-45f;
			lost = k->sumsq_f32(a, n) != (double) 1e-45f * 1e-45f;
			CHECK(lost == 0, "%s sumsq n=%d: element %d lost", k->name, n, i);
			a[i] = 0;
		}
	}
}

/*----------
 * Integer codes: exact
 *----------
 */

static int
round64(int n)
{
	return (n + 63) / 64 * 64;
}

/* nbytes of code against the fence, SIMD_SLACK bytes of rubbish between */
static uint8_t *
code_at(int v, int nbytes, int distance)
{
	uint8_t    *code = guard_at(&guards[v], (size_t) (nbytes + SIMD_SLACK + distance));

	memset(code, 0xff, (size_t) (nbytes + SIMD_SLACK));
	return code;
}

static int64_t
want_u4s8(const int8_t *query, const uint8_t *code, int nbytes)
{
	const int8_t *high = query + round64(nbytes);
	int64_t		sum = 0;

	for (int j = 0; j < nbytes; j++)
		sum += (int64_t) (code[j] % 16) * query[j] + (int64_t) (code[j] / 16) * high[j];
	return sum;
}

static int64_t
want_u8s16(const int16_t *query, const uint8_t *code, int n)
{
	int64_t		sum = 0;

	for (int j = 0; j < n; j++)
		sum += (int64_t) code[j] * query[j];
	return sum;
}

/* each size of batch, each result; returns how many are wrong */
static int
wrong_u4s8(const SimdKernels *k, const int8_t *query, const uint8_t *const *codes, int nbytes)
{
	int32_t		out[MAX_VECS + 1];
	int			wrong = 0;

	for (int ncodes = 0; ncodes <= MAX_VECS; ncodes++)
	{
		for (int v = 0; v <= MAX_VECS; v++)
			out[v] = -12345;
		k->dot_u4s8_batch(query, codes, ncodes, nbytes, out);
		for (int v = 0; v < ncodes; v++)
			wrong += out[v] != want_u4s8(query, codes[v], nbytes);
		wrong += out[ncodes] != -12345;
	}
	return wrong;
}

static int
wrong_u8s16(const SimdKernels *k, const int16_t *query, const uint8_t *const *codes, int n)
{
	int32_t		out[MAX_VECS + 1];
	int			wrong = 0;

	for (int ncodes = 0; ncodes <= MAX_VECS; ncodes++)
	{
		for (int v = 0; v <= MAX_VECS; v++)
			out[v] = -12345;
		k->dot_u8s16_batch(query, codes, ncodes, n, out);
		for (int v = 0; v < ncodes; v++)
			wrong += out[v] != want_u8s16(query, codes[v], n);
		wrong += out[ncodes] != -12345;
	}
	return wrong;
}

/* what a run of the query holds */
typedef enum Fill
{
	FILL_RANDOM,
	FILL_MAX,					/* every product as large as it gets */
	FILL_MIN,
	FILL_ALTERNATE,				/* large products that cancel */
	FILL_HALVES,				/* sums grow far, then come back */
	FILL_COUNT
} Fill;

static int
fill_query(Fill fill, int limit, int j, int n)
{
	switch (fill)
	{
		case FILL_MAX:
			return limit;
		case FILL_MIN:
			return -limit;
		case FILL_ALTERNATE:
			return j % 2 ? -limit : limit;
		case FILL_HALVES:
			return j < n / 2 ? limit : -limit;
		default:
			return (int) (check_random(&seed) % (uint64_t) (2 * limit + 1)) - limit;
	}
}

static void
check_u4s8(const SimdKernels *k)
{
	FOR_LENGTHS(nbytes)
	{
		int			padded = round64(nbytes);
		int8_t	   *query = guard_at(&query_guard, (size_t) (2 * padded));
		const uint8_t *codes[MAX_VECS];

		for (Fill fill = 0; fill < FILL_COUNT; fill++)
		{
			int			wrong;

			memset(query, 0, (size_t) (2 * padded));
			for (int j = 0; j < nbytes; j++)
			{
				query[j] = (int8_t) fill_query(fill, 127, j, nbytes);
				query[padded + j] = (int8_t) fill_query(fill, 127, j, nbytes);
			}
			for (int v = 0; v < MAX_VECS; v++)
			{
				uint8_t    *code = code_at(v, nbytes, v);

				if (fill == FILL_RANDOM)
					fill_bytes(code, nbytes);	/* else all 15, as the slack */
				codes[v] = code;
			}
			wrong = wrong_u4s8(k, query, codes, nbytes);
			CHECK(wrong == 0, "%s dot_u4s8 nbytes=%d fill %d: %d wrong", k->name, nbytes, fill, wrong);
		}
	}
}

static void
check_u8s16(const SimdKernels *k)
{
	FOR_LENGTHS(n)
	{
		int			padded = round64(n);
		int16_t    *query = guard_at(&query_guard, (size_t) padded * sizeof(int16_t));
		const uint8_t *codes[MAX_VECS];

		for (Fill fill = 0; fill < FILL_COUNT; fill++)
		{
			int			wrong;

			/* the caller's promise: the total fits */
			if ((fill == FILL_MAX || fill == FILL_MIN) && n > INT32_MAX / (255 * 2047))
				continue;

			memset(query, 0, (size_t) padded * sizeof(int16_t));
			for (int j = 0; j < n; j++)
				query[j] = (int16_t) fill_query(fill, 2047, j, n);
			for (int v = 0; v < MAX_VECS; v++)
			{
				uint8_t    *code = code_at(v, n, v);

				if (fill == FILL_RANDOM)
					fill_bytes(code, n);	/* else all 255, as the slack */
				codes[v] = code;
			}
			wrong = wrong_u8s16(k, query, codes, n);
			CHECK(wrong == 0, "%s dot_u8s16 n=%d fill %d: %d wrong", k->name, n, fill, wrong);
		}
	}
}

/* Sums of table entries in blocks of every height; the tables end at the fence. */
static void
check_blocks(const SimdKernels *k)
{
	FOR_LENGTHS(nparts)
	{
		if (nparts == 0 || nparts > 4000)
			continue;
		for (int half = 1; half <= 16; half++)
		{
			uint8_t    *tables = guard_at(&query_guard, 16 * (size_t) nparts);
			uint8_t    *block = guard_at(&guards[0], (size_t) (nparts * half + SIMD_SLACK));
			uint32_t	out[32 + 1];
			int			wrong = 0;

			/* long ones at the height of a full block and at some others */
			if (nparts > 300 && half % 5 != 1)
				continue;
			fill_bytes(tables, 16 * nparts);
			if (half % 3 == 1)
				memset(tables, 0xff, 16 * (size_t) nparts);
			memset(block, 0xff, (size_t) (nparts * half + SIMD_SLACK));
			fill_bytes(block, nparts * half);
			out[32] = 12345;
			k->sum_u4_block(tables, block, nparts, half, out);
			for (int j = 0; j < 2 * half; j++)
			{
				uint32_t	want = 0;

				for (int p = 0; p < nparts; p++)
				{
					uint8_t		byte = block[p * half + j % half];

					want += tables[16 * p + (j < half ? byte % 16 : byte / 16)];
				}
				wrong += out[j] != want;
			}
			CHECK(wrong == 0 && out[32] == 12345, "%s sum_u4_block nparts=%d half=%d: %d wrong", k->name, nparts, half, wrong);
		}
	}
}

/* Rows of every length into blocks of every width, at distances of more than their length too. */
static void
check_pack(const SimdKernels *k)
{
	enum
	{
		MOST = 70
	};
	static uint8_t block[2 * MOST * 16 + 1];

	for (int nbytes = 0; nbytes <= MOST; nbytes++)
	{
		for (int width = 1; width <= 32; width++)
		{
			int			half = (width + 1) / 2;
			size_t		stride = (size_t) (nbytes + width % 3);
			size_t		size = stride * (size_t) (width - 1) + (size_t) nbytes;
			uint8_t    *rows = guard_at(&guards[0], size + SIMD_SLACK);
			int			wrong = 0;

			fill_bytes(rows, (int) (size + SIMD_SLACK));
			memset(block, 0xa5, sizeof(block));
			k->pack_u4_block(rows, stride, nbytes, width, block);
			for (int p = 0; p < 2 * nbytes; p++)
			{
				for (int j = 0; j < 2 * half; j++)
				{
					int			got = j < half ? block[p * half + j] % 16 : block[p * half + j - half] / 16;
					int			byte = j < width ? rows[stride * (size_t) j + (size_t) p / 2] : 0;

					wrong += got != (p % 2 ? byte / 16 : byte % 16);
				}
			}
			wrong += block[2 * nbytes * half] != 0xa5;
			CHECK(wrong == 0, "%s pack_u4_block nbytes=%d width=%d: %d wrong", k->name, nbytes, width, wrong);
		}
	}
}

/* In double, by the formulas of simd.h; then factors that are no numbers. */
static void
check_residuals(const SimdKernels *k)
{
	enum
	{
		MOST = 70
	};
	static const float bad[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 0, 1e-45f};
	float		a[MOST];
	float		b[MOST];
	float		sums[MOST];
	float		dist[MOST + 1];
	float		err[MOST + 1];

	for (int n = 0; n <= MOST; n++)
	{
		SimdResidual r;
		int			wrong = 0;

		r.scale = check_uniform(&seed, 0, 0.1f);
		r.bias = check_uniform(&seed, -1, 1);
		r.base = check_uniform(&seed, 1, 2);
		r.limit = 1e30f;
		r.mix = n % 5 == 0 ? 0 : 0.5f;
		r.weight = n % 5 == 0 ? 0 : check_uniform(&seed, 0.5f, 1);
		r.length = check_uniform(&seed, 1, 2);
		r.apart = n % 7 == 6 ? 0 : check_uniform(&seed, 0.5f, 2);
		r.unit = check_uniform(&seed, 0.5f, 2);
		r.by_code = check_uniform(&seed, 0.1f, 1);
		r.by_query = check_uniform(&seed, 0.01f, 0.1f);
		r.trust = 0.9f;
		r.rounding = check_uniform(&seed, 0, 2);
		for (int i = 0; i < n; i++)
		{
			a[i] = check_uniform(&seed, -1, 1);
			b[i] = check_uniform(&seed, 0.1f, 1);
			sums[i] = check_uniform(&seed, -10, 10);
		}
		dist[n] = err[n] = -12345;
		k->residual_scores(&r, a, b, sums, n, dist, err);
		for (int i = 0; i < n; i++)
		{
			double		want = ((double) r.base + a[i]) - (double) b[i] * ((double) r.scale * sums[i] + r.bias);
			double		norm = (double) r.length * b[i];
			double		along = r.mix * (norm * norm + (double) r.apart * r.apart) - r.weight * want;
			double		c = along / (norm * r.apart) * (along / (norm * r.apart));
			double		e;
			float		alone;

			c = isnan(c) ? 0 : fmin(c, 1);
			e = (double) r.unit * b[i] * sqrt(r.by_code * (1 - (double) r.trust * c) + r.by_query);
			e += (r.rounding + 2 * fabs(a[i]) + fabs(want)) * 0x1p-23;
			wrong += !(fabs(dist[i] - want) <= 1e-5) + !(fabs(err[i] - e) <= 1e-4 * e);
			k->residual_scores(&r, a + i, b + i, sums + i, 1, &alone, NULL);
			wrong += !same_bits(alone, dist[i]);
		}
		CHECK(wrong == 0 && dist[n] == -12345 && err[n] == -12345, "%s residual_scores n=%d: %d wrong", k->name, n, wrong);

		wrong = 0;
		r.scale = n % 2 ? 3e38f : r.scale;
		for (int i = 0; i < n; i++)
		{
			a[i] = bad[check_random(&seed) % 7];
			b[i] = bad[check_random(&seed) % 7];
		}
		k->residual_scores(&r, a, b, sums, n, dist, err);
		for (int i = 0; i < n; i++)
			wrong += !(fabsf(dist[i]) <= r.limit) + !(err[i] >= 0 && err[i] <= r.limit);
		CHECK(wrong == 0, "%s residual_scores n=%d: %d not in range", k->name, n, wrong);
	}
}

/*----------
 * L1 on grids
 *----------
 */

/* of dimension j in a code of n dimensions with 4 or 8 bits */
static int
code_value(const uint8_t *code, int bits, int n, int j)
{
	int			nbytes = (n + 1) / 2;

	if (bits == 8)
		return code[j];
	return j < nbytes ? code[j] % 16 : code[j - nbytes] / 16;
}

static void
check_l1_codes(const SimdKernels *k, int bits)
{
	FOR_LENGTHS(n)
	{
		int			nbytes = bits == 8 ? n : (n + 1) / 2;
		float	   *query = guard_at(&query_guard, (size_t) n * sizeof(float));
		const uint8_t *codes[MAX_VECS];
		float		lo[MAX_VECS];
		float		step[MAX_VECS];
		double		worst = 0;
		int			stray = 0;

		fill_floats(query, n);
		for (int v = 0; v < MAX_VECS; v++)
		{
			uint8_t    *code = code_at(v, nbytes, v);

			fill_bytes(code, nbytes);
			codes[v] = code;
			lo[v] = check_uniform(&seed, -2, 2);
			step[v] = v == 0 ? 0 : check_uniform(&seed, 0.01f, 0.1f);
		}

		for (int ncodes = 0; ncodes <= MAX_VECS; ncodes++)
		{
			float		out[MAX_VECS + 1];

			for (int v = 0; v <= MAX_VECS; v++)
				out[v] = -12345;
			if (bits == 8)
				k->l1_u8_batch(query, codes, ncodes, n, lo, step, out);
			else
				k->l1_u4_batch(query, codes, ncodes, n, lo, step, out);
			stray += out[ncodes] != -12345;

			for (int v = 0; v < ncodes; v++)
			{
				double		want = 0;
				double		size = 0;

				/* two roundings of the grid point, one of the difference */
				for (int j = 0; j < n; j++)
				{
					double		x = step[v] * (double) code_value(codes[v], bits, n, j);

					want += fabs(query[j] - (lo[v] + x));
					size += 2 * (fabs(lo[v]) + x);
				}
				/* the 4-bit form walks twice, so has two tails */
				size += (depth(k, n) + 1 + (bits == 4 ? 1 : 0)) * want;
				worst = fmax(worst, ratio(out[v], want, U * size));
			}
		}
		CHECK(worst <= 1, "%s l1_u%d n=%d: error is %g of its bound", k->name, bits, n, worst);
		CHECK(stray == 0, "%s l1_u%d n=%d: wrote past the results", k->name, bits, n);
	}
}

/*----------
 * Walsh-Hadamard
 *----------
 */

#define MAX_FHT 16384

static void
check_fht(const SimdKernels *k)
{
	static float in[MAX_FHT];
	static float plain[MAX_FHT];

	for (int n = 1; n <= MAX_FHT; n *= 2)
	{
		float	   *x = guard_at(&query_guard, (size_t) n * sizeof(float));
		double		size = 0;
		double		worst = 0;
		int			wrong = 0;

		fill_floats(in, n);
		for (int i = 0; i < n; i++)
			size += fabs(in[i]);

		memcpy(x, in, (size_t) n * sizeof(float));
		k->fht_f32(x, n);

		/* directly: sign by the parity of the common bits; rows sampled once they are many */
		for (int i = 0; i < n; i += n > 2048 ? 37 : 1)
		{
			double		want = 0;

			for (int j = 0; j < n; j++)
				want += __builtin_parity((unsigned) (i & j)) ? -(double) in[j] : in[j];
			worst = fmax(worst, ratio(x[i], want, log2(n) * U * size));
		}
		CHECK(worst <= 1, "%s fht n=%d: error is %g of its bound", k->name, n, worst);

		/* the same bits at every level: codes do not depend on the machine */
		memcpy(plain, in, (size_t) n * sizeof(float));
		simd_kernels_for(SIMD_SCALAR)->fht_f32(plain, n);
		CHECK(memcmp(x, plain, (size_t) n * sizeof(float)) == 0, "%s fht n=%d: not the plain level's bits", k->name, n);

		/* small integers stay exact on the way there and back */
		for (int i = 0; i < n; i++)
			x[i] = in[i] = (float) ((int) (check_random(&seed) % 17) - 8);
		k->fht_f32(x, n);
		k->fht_f32(x, n);
		for (int i = 0; i < n; i++)
			wrong += x[i] != (float) n * in[i];
		CHECK(wrong == 0, "%s fht n=%d: twice is not n times, %d elements", k->name, n, wrong);
	}
}

/*----------
 * Columns of a table
 *----------
 */

static void
check_columns(const SimdKernels *k)
{
	enum
	{
		MOST_ROWS = 70,
		VECS = 5
	};
	static float table[MOST_ROWS * SIMD_COLUMNS];
	const SimdKernels *scalar = simd_kernels_for(SIMD_SCALAR);

	for (int width = 16; width <= SIMD_COLUMNS; width += 16)
	{
		for (int n = 0; n <= MOST_ROWS; n += n < 10 ? 1 : 12)
		{
			size_t		bytes = (size_t) width * sizeof(float);
			float	   *at = guard_at(&guards[0], (size_t) n * bytes);
			float	   *add = guard_at(&guards[1], bytes);
			float	   *x = guard_at(&query_guard, (size_t) (n * VECS) * sizeof(float));
			float	   *out = guard_at(&guards[2], bytes);
			float		plain[SIMD_COLUMNS];
			uint8_t    *best = guard_at(&guards[3], VECS);
			int			wrong = 0;

			fill_floats(table, n * width);
			memcpy(at, table, (size_t) n * bytes);
			fill_floats(add, width);
			fill_floats(x, n * VECS);
			k->columns_f32(x, n, at, width, add, out);
			for (int c = 0; c < width; c++)
			{
				double		want = add[c];
				double		size = fabs(add[c]);

				for (int j = 0; j < n; j++)
				{
					want += (double) x[j] * at[j * width + c];
					size += fabs((double) x[j] * at[j * width + c]);
				}
				wrong += ratio(out[c], want, (n + 1) * U * size) > 1;
			}
			CHECK(wrong == 0, "%s columns n=%d width=%d: %d are off", k->name, n, width, wrong);
			scalar->columns_f32(x, n, at, width, add, plain);
			CHECK(memcmp(out, plain, bytes) == 0, "%s columns n=%d width=%d: not the plain level's bits", k->name, n, width);

			/* equal columns: the first one counts */
			if (width > 16)
			{
				int			from = (int) (check_random(&seed) % (uint64_t) width);

				for (int j = 0; j < n; j++)
					at[j * width + width - 1] = at[j * width + from];
				add[width - 1] = add[from];
			}
			k->best_column_f32(x, VECS, n, at, width, add, best);
			for (int v = 0; v < VECS; v++)
			{
				int			want = 0;

				scalar->columns_f32(x + v * n, n, at, width, add, plain);
				for (int c = 1; c < width; c++)
					want = plain[c] > plain[want] ? c : want;
				CHECK(best[v] == want, "%s best column n=%d width=%d: %d, not %d", k->name, n, width, best[v], want);
			}
			best[0] = 7;
			k->best_column_f32(x, 0, n, at, width, add, best);
			CHECK(best[0] == 7, "%s best column of no vector", k->name);
		}
	}
}

/*----------
 * Levels
 *----------
 */

static void
check_choice(void)
{
	static const char *const names[SIMD_NLEVELS] = {"scalar", "baseline", "avx2", "avx512"};
	SimdLevel	best = simd_best_level();

	CHECK(simd_get() == simd_kernels_for(best), "not the best level at first");
	CHECK(simd_kernels_for(SIMD_SCALAR) != NULL, "no plain level");
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *before = simd_get();
		const SimdKernels *k = simd_kernels_for((SimdLevel) level);
		bool		forced = simd_force((SimdLevel) level);

		CHECK(forced == (k != NULL), "level %d: forced %d", level, forced);
		CHECK(simd_get() == (k != NULL ? k : before), "level %d: another table in use", level);
		if (k == NULL)
			continue;
		CHECK(level <= (int) best, "level %d beats the best", level);
		CHECK(k->level == (SimdLevel) level && strcmp(k->name, names[level]) == 0, "level %d is named %s", level, k->name);
	}
	simd_use_best();
	CHECK(simd_get() == simd_kernels_for(best), "not the best level again");
}

/*----------
 * Ranges
 *----------
 */
typedef uint64_t (*RangeKernel) (const void *codes, int n, uint64_t low, uint64_t high);

static uint64_t
code_of(const uint8_t *codes, int bytes, int i)
{
	uint64_t	code = 0;

	for (int j = 0; j < bytes; j++)
		memcpy((uint8_t *) &code + (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 8 - bytes : 0) + j,
			   codes + i * bytes + j, 1);
	return code;
}

/* every number of codes at the fence; ranges between two of them, of one, of all, at both ends */
static void
check_ranges(const SimdKernels *k)
{
	const RangeKernel kernels[4] = {k->range_u8, k->range_u16, k->range_u32, k->range_u64};

	for (int w = 0; w < 4; w++)
	{
		int			bytes = 1 << w;
		uint64_t	max = UINT64_MAX >> (64 - 8 * bytes);
		int			wrong = 0;
		int			last_wrong = -1;

		for (int n = 0; n <= 64; n++)
			for (int kind = 0; kind < 40; kind++)
			{
				uint8_t    *codes = guard_at(&guards[0], (size_t) (n * bytes));
				uint64_t	low;
				uint64_t	high;
				uint64_t	want = 0;

				fill_bytes(codes, n * bytes);
				for (int i = 0; i < n; i++)
					if (check_random(&seed) % 8 == 0)
						memset(codes + i * bytes, check_random(&seed) % 2 ? 0xff : 0, (size_t) bytes);
				low = n > 0 && kind % 4 != 0 ? code_of(codes, bytes, (int) (check_random(&seed) % (uint64_t) n)) : 0;
				high = kind % 4 == 1 ? low :
					n > 0 && kind % 4 != 2 ? code_of(codes, bytes, (int) (check_random(&seed) % (uint64_t) n)) : max;
				if (kind == 0)
					high = max;
				if (low > high)
				{
					uint64_t	other = low;

					low = high;
					high = other;
				}
				for (int i = 0; i < n; i++)
				{
					uint64_t	code = code_of(codes, bytes, i);

					if (code >= low && code <= high)
						want |= UINT64_C(1) << i;
				}
				if (kernels[w] (codes, n, low, high) != want)
				{
					wrong++;
					last_wrong = n;
				}
			}
		CHECK(wrong == 0, "%s: range_u%d: %d wrong, at last of %d codes", k->name, 8 * bytes, wrong, last_wrong);
	}
}

int
main(void)
{
	query_guard = guard_new(MAX_FHT * sizeof(float));
	for (int v = 0; v < MAX_VECS; v++)
		guards[v] = guard_new(MAX_N * sizeof(float) + 16384);

	check_choice();
	for (int level = 0; level < SIMD_NLEVELS; level++)
	{
		const SimdKernels *k = simd_kernels_for((SimdLevel) level);

		if (k == NULL)
		{
			CHECK_SKIP("level %d: not on this machine", level);
			continue;
		}
		else
		{
			FloatOp		ops[3] = {
				{"l2sq", k->l2sq_f32, k->l2sq_f32_batch, term_l2sq, 3},
				{"dot", k->dot_f32, k->dot_f32_batch, term_dot, 1},
				{"l1", k->l1_f32, k->l1_f32_batch, term_l1, 1},
			};

			check_half_batch(k, &ops[0], k->l2sq_f16_batch);
			check_half_batch(k, &ops[1], k->dot_f16_batch);
			check_half_batch(k, &ops[2], k->l1_f16_batch);
			for (int i = 0; i < 3; i++)
			{
				check_float_op(k, &ops[i]);
				check_float_specials(k, &ops[i]);
			}
			check_cosine(k);
			check_sumsq(k);
			check_u4s8(k);
			check_u8s16(k);
			check_blocks(k);
			check_pack(k);
			check_ranges(k);
			check_residuals(k);
			check_l1_codes(k, 8);
			check_l1_codes(k, 4);
			check_fht(k);
			check_columns(k);
		}
	}
	return check_done("test_simd");
}
