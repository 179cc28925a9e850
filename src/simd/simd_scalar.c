/*
 * simd_scalar.c
 *		The plain kernels: what every other level is compared with.
 *
 * Written to be read, element by element and in order; errors grow linearly
 * with n.
 */
#include "simd/half.h"
#include "simd/simd_tables.h"

#include <math.h>

static float
l2sq_f32_scalar(const float *a, const float *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
	{
		float		d = a[i] - b[i];

		sum += d * d;
	}
	return sum;
}

static float
dot_f32_scalar(const float *a, const float *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

static float
l1_f32_scalar(const float *a, const float *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
		sum += fabsf(a[i] - b[i]);
	return sum;
}

static void
cosine_f32_scalar(const float *a, const float *b, int n, float sums[3])
{
	sums[0] = dot_f32_scalar(a, b, n);
	sums[1] = dot_f32_scalar(a, a, n);
	sums[2] = dot_f32_scalar(b, b, n);
}

static double
sumsq_f32_scalar(const float *x, int n)
{
	double		sum = 0;

	for (int i = 0; i < n; i++)
		sum += (double) x[i] * x[i];
	return sum;
}

static void
l2sq_f32_batch_scalar(const float *query, const float *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
		out[i] = l2sq_f32_scalar(query, vecs[i], n);
}

static void
dot_f32_batch_scalar(const float *query, const float *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
		out[i] = dot_f32_scalar(query, vecs[i], n);
}

static void
l1_f32_batch_scalar(const float *query, const float *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
		out[i] = l1_f32_scalar(query, vecs[i], n);
}

static void
f16_to_f32_scalar(const uint16_t *halves, float *floats, int n)
{
	for (int i = 0; i < n; i++)
		floats[i] = half_to_float(halves[i]);
}

static bool
f32_to_f16_scalar(const float *floats, uint16_t *halves, int n)
{
	bool		finite = true;

	for (int i = 0; i < n; i++)
	{
		halves[i] = half_from_float(floats[i]);
		finite &= (halves[i] & 0x7c00) != 0x7c00;
	}
	return finite;
}

static float
l2sq_f16_scalar(const uint16_t *a, const uint16_t *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
	{
		float		d = half_to_float(a[i]) - half_to_float(b[i]);

		sum += d * d;
	}
	return sum;
}

static float
dot_f16_scalar(const uint16_t *a, const uint16_t *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
		sum += half_to_float(a[i]) * half_to_float(b[i]);
	return sum;
}

static float
l1_f16_scalar(const uint16_t *a, const uint16_t *b, int n)
{
	float		sum = 0;

	for (int i = 0; i < n; i++)
		sum += fabsf(half_to_float(a[i]) - half_to_float(b[i]));
	return sum;
}

static void
cosine_f16_scalar(const uint16_t *a, const uint16_t *b, int n, float sums[3])
{
	sums[0] = dot_f16_scalar(a, b, n);
	sums[1] = dot_f16_scalar(a, a, n);
	sums[2] = dot_f16_scalar(b, b, n);
}

static void
l2sq_f16_batch_scalar(const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
	{
		float		sum = 0;

		for (int j = 0; j < n; j++)
		{
			float		d = query[j] - half_to_float(vecs[i][j]);

			sum += d * d;
		}
		out[i] = sum;
	}
}

static void
dot_f16_batch_scalar(const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
	{
		float		sum = 0;

		for (int j = 0; j < n; j++)
			sum += query[j] * half_to_float(vecs[i][j]);
		out[i] = sum;
	}
}

static void
l1_f16_batch_scalar(const float *query, const uint16_t *const *vecs, int nvecs, int n, float *out)
{
	for (int i = 0; i < nvecs; i++)
	{
		float		sum = 0;

		for (int j = 0; j < n; j++)
			sum += fabsf(query[j] - half_to_float(vecs[i][j]));
		out[i] = sum;
	}
}

static void
dot_u4s8_batch_scalar(const int8_t *query, const uint8_t *const *codes, int ncodes, int nbytes, int32_t *out)
{
	const int8_t *query_hi = query + (nbytes + 63) / 64 * 64;

	for (int i = 0; i < ncodes; i++)
	{
		int32_t		sum = 0;

		for (int j = 0; j < nbytes; j++)
			sum += (codes[i][j] & 0x0f) * query[j] + (codes[i][j] >> 4) * query_hi[j];
		out[i] = sum;
	}
}

static void
dot_u8s16_batch_scalar(const int16_t *query, const uint8_t *const *codes, int ncodes, int n, int32_t *out)
{
	for (int i = 0; i < ncodes; i++)
	{
		/* only the total is promised to fit: let partial sums wrap */
		uint32_t	sum = 0;

		for (int j = 0; j < n; j++)
			sum += (uint32_t) (codes[i][j] * query[j]);
		out[i] = (int32_t) sum;
	}
}

static void
sum_u4_block_scalar(const uint8_t *tables, const uint8_t *block, int nparts, int half, uint32_t *out)
{
	for (int j = 0; j < 2 * half; j++)
		out[j] = 0;
	for (int p = 0; p < nparts; p++)
	{
		for (int j = 0; j < half; j++)
		{
			out[j] += tables[16 * p + (block[p * half + j] & 0x0f)];
			out[j + half] += tables[16 * p + (block[p * half + j] >> 4)];
		}
	}
}

static void
pack_u4_block_scalar(const uint8_t *rows, size_t stride, int nbytes, int width, uint8_t *block)
{
	int			half = (width + 1) / 2;

	for (int j = 0; j < half; j++)
	{
		for (int i = 0; i < nbytes; i++)
		{
			unsigned	a = rows[stride * (size_t) j + (size_t) i];
			unsigned	b = j + half < width ? rows[stride * (size_t) (j + half) + (size_t) i] : 0;

			block[2 * i * half + j] = (uint8_t) ((a & 0x0f) | (b & 0x0f) << 4);
			block[(2 * i + 1) * half + j] = (uint8_t) (a >> 4 | (b & 0xf0));
		}
	}
}

/* the comparisons let NaN take the upper end */
static float
clamp_scalar(float x, float limit)
{
	x = x < limit ? x : limit;
	return x > -limit ? x : -limit;
}

static void
residual_scores_scalar(const SimdResidual *r, const float *a, const float *b, const float *sums,
					   int n, float *dist, float *err)
{
	for (int i = 0; i < n; i++)
	{
		float		product = clamp_scalar(b[i] * (r->scale * sums[i] + r->bias), r->limit);
		float		size = fabsf(b[i]);
		float		norm = r->length * size;
		float		along;
		float		cosine;
		float		c;
		float		e;

		dist[i] = clamp_scalar((r->base + a[i]) - product, r->limit);
		if (err == NULL)
			continue;
		along = r->mix * (norm * norm + r->apart * r->apart) - r->weight * dist[i];
		cosine = along / norm / r->apart;
		c = cosine * cosine;
		c = c > 0 ? c : 0;
		c = c < 1 ? c : 1;
		e = r->unit * size * sqrtf(r->by_code * (1 - r->trust * c) + r->by_query);
		e += (r->rounding + 2 * fabsf(a[i]) + fabsf(dist[i])) * 0x1p-23f;
		err[i] = e < r->limit ? e : r->limit;
	}
}

static void
l1_u8_batch_scalar(const float *query, const uint8_t *const *codes, int ncodes, int n,
				   const float *lo, const float *step, float *out)
{
	for (int i = 0; i < ncodes; i++)
	{
		float		sum = 0;

		for (int j = 0; j < n; j++)
			sum += fabsf(query[j] - (lo[i] + step[i] * (float) codes[i][j]));
		out[i] = sum;
	}
}

static void
l1_u4_batch_scalar(const float *query, const uint8_t *const *codes, int ncodes, int n,
				   const float *lo, const float *step, float *out)
{
	int			nbytes = (n + 1) / 2;

	for (int i = 0; i < ncodes; i++)
	{
		float		sum = 0;

		for (int j = 0; j < nbytes; j++)
			sum += fabsf(query[j] - (lo[i] + step[i] * (float) (codes[i][j] & 0x0f)));
		for (int j = nbytes; j < n; j++)
			sum += fabsf(query[j] - (lo[i] + step[i] * (float) (codes[i][j - nbytes] >> 4)));
		out[i] = sum;
	}
}

static void
fht_f32_scalar(float *x, int n)
{
	for (int h = 1; h < n; h *= 2)
	{
		for (int i = 0; i < n; i += 2 * h)
		{
			for (int j = i; j < i + h; j++)
			{
				float		a = x[j];
				float		b = x[j + h];

				x[j] = a + b;
				x[j + h] = a - b;
			}
		}
	}
}

static void
columns_f32_scalar(const float *x, int n, const float *table, int width, const float *add, float *out)
{
	for (int k = 0; k < width; k++)
	{
		float		sum = add[k];

		for (int j = 0; j < n; j++)
			sum += x[j] * table[j * width + k];
		out[k] = sum;
	}
}

static void
best_column_f32_scalar(const float *vecs, int nvecs, int n, const float *table, int width,
					   const float *add, uint8_t *best)
{
	float		sums[SIMD_COLUMNS];

	for (int i = 0; i < nvecs; i++)
	{
		int			at = 0;

		columns_f32_scalar(vecs + (size_t) i * (size_t) n, n, table, width, add, sums);
		for (int k = 1; k < width; k++)
		{
			if (sums[k] > sums[at])
				at = k;
		}
		best[i] = (uint8_t) at;
	}
}

static uint64_t
bits_hamming_scalar(const uint8_t *a, const uint8_t *b, size_t nbytes)
{
	uint64_t	count = 0;

	for (size_t i = 0; i < nbytes; i++)
		count += (uint64_t) __builtin_popcount(a[i] ^ b[i]);
	return count;
}

static void
bits_overlap_scalar(const uint8_t *a, const uint8_t *b, size_t nbytes, uint64_t counts[2])
{
	counts[0] = counts[1] = 0;
	for (size_t i = 0; i < nbytes; i++)
	{
		counts[0] += (uint64_t) __builtin_popcount(a[i] & b[i]);
		counts[1] += (uint64_t) __builtin_popcount(a[i] | b[i]);
	}
}

#define RANGE_KERNEL(bits_) \
static uint64_t \
range_u##bits_##_scalar(const void *codes, int n, uint64_t low, uint64_t high) \
{ \
	const uint##bits_##_t *c = codes; \
	uint64_t	result = 0; \
\
	for (int i = 0; i < n; i++) \
		result |= (uint64_t) (c[i] >= low && c[i] <= high) << i; \
	return result; \
}

RANGE_KERNEL(8)
RANGE_KERNEL(16)
RANGE_KERNEL(32)
RANGE_KERNEL(64)

static const SimdKernels kernels = {
	.level = SIMD_SCALAR,
	.name = "scalar",
	.l2sq_f32 = l2sq_f32_scalar,
	.dot_f32 = dot_f32_scalar,
	.l1_f32 = l1_f32_scalar,
	.cosine_f32 = cosine_f32_scalar,
	.l2sq_f32_batch = l2sq_f32_batch_scalar,
	.dot_f32_batch = dot_f32_batch_scalar,
	.l1_f32_batch = l1_f32_batch_scalar,
	.sumsq_f32 = sumsq_f32_scalar,
	.f16_to_f32 = f16_to_f32_scalar,
	.f32_to_f16 = f32_to_f16_scalar,
	.l2sq_f16 = l2sq_f16_scalar,
	.dot_f16 = dot_f16_scalar,
	.l1_f16 = l1_f16_scalar,
	.cosine_f16 = cosine_f16_scalar,
	.l2sq_f16_batch = l2sq_f16_batch_scalar,
	.dot_f16_batch = dot_f16_batch_scalar,
	.l1_f16_batch = l1_f16_batch_scalar,
	.dot_u4s8_batch = dot_u4s8_batch_scalar,
	.dot_u8s16_batch = dot_u8s16_batch_scalar,
	.sum_u4_block = sum_u4_block_scalar,
	.pack_u4_block = pack_u4_block_scalar,
	.residual_scores = residual_scores_scalar,
	.l1_u8_batch = l1_u8_batch_scalar,
	.l1_u4_batch = l1_u4_batch_scalar,
	.fht_f32 = fht_f32_scalar,
	.columns_f32 = columns_f32_scalar,
	.best_column_f32 = best_column_f32_scalar,
	.range_u8 = range_u8_scalar,
	.range_u16 = range_u16_scalar,
	.range_u32 = range_u32_scalar,
	.range_u64 = range_u64_scalar,
	.bits = {bits_hamming_scalar, bits_overlap_scalar},
};

const SimdKernels *const simd_table_scalar = &kernels;
