/*
 * quant_l1.c
 *		Codes for L1: a plain grid per vector, 8 or 4 bits a dimension.
 *
 * L1 survives neither rotation nor the inner-product estimator, so each
 * vector gets a grid from its least to its greatest value: lo + step * code.
 * A record is lo and step, then the code.
 *
 * Rounding moves each value by up to half a step either way, so a distance
 * errs by about step * sqrt(dim / 12).  Where two values are closer than a
 * step the error is no longer as often up as down: |difference| cannot fall
 * below 0.  Of vectors that are equal, the code is still step / 4 away in
 * every dimension.  Sums of the two effects are close to
 * sqrt(true^2 + (dim * step / 4)^2) over the whole range (README), which is
 * taken back here.
 */
#include <math.h>

#include "quant/quant_private.h"

/* What of the correction above is taken for uncertain, in standard errors. */
#define CORRECTION_DOUBT 0.3f

static void
encode(const Quantizer *q, const float *v, uint8_t *u, int levels, float *lo_out, float *step_out)
{
	float		least = v[0];
	float		greatest = v[0];
	bool		zeros = false;
	double		lo;
	double		step;
	double		inverse;

	for (int i = 0; i < q->dim; i++)
	{
		least = v[i] < least ? v[i] : least;
		greatest = v[i] > greatest ? v[i] : greatest;
		zeros |= v[i] == 0;
	}

	/*
	 * Zeros are often most of a vector, and would all be rounded the same
	 * way: put one level on zero, at the price of one level.
	 */
	zeros = zeros && least < 0 && greatest > 0;
	lo = least;
	step = ((double) greatest - least) / (levels - (zeros ? 2 : 1));
	if (zeros)
		lo = step * floor(least / step);

	/* what is stored is what counts: a step may round to 0 or below normal */
	*lo_out = (float) lo;
	*step_out = (float) step;
	lo = *lo_out;
	inverse = *step_out > 0 ? 1.0 / *step_out : 0;
	for (int i = 0; i < q->dim; i++)
	{
		double		z = (v[i] - lo) * inverse + 0.5;

		z = z < levels - 1 ? z : levels - 1;
		z = z > 0 ? z : 0;
		u[i] = (uint8_t) (int32_t) z;
	}
}

static void
u8_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	float		lo;
	float		step;

	(void) scratch;
	memset(code, 0, q->code_size);
	encode(q, v, code + QUANT_FACTOR_BYTES, 256, &lo, &step);
	quant_store_factors(code, lo, step);
}

static void
u4_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	float		lo;
	float		step;

	memset(code, 0, q->code_size);
	encode(q, v, scratch, 16, &lo, &step);
	quant_pack_nibbles(scratch, q->dim, code + QUANT_FACTOR_BYTES);
	quant_store_factors(code, lo, step);
}

static void
prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	(void) scratch;
	memcpy(query->payload, v, sizeof(float) * (size_t) q->dim);
}

/* in double, and clamped: step * (levels - 1) may round past float's range */
static inline float
grid_value(float lo, float step, int u)
{
	return quant_clamp_value(lo + (double) step * u);
}

static void
u8_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	float		lo;
	float		step;

	(void) scratch;
	quant_load_factors(code, &lo, &step);
	for (int i = 0; i < q->dim; i++)
		v[i] = grid_value(lo, step, code[QUANT_FACTOR_BYTES + i]);
}

static void
u4_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	float		lo;
	float		step;

	(void) scratch;
	quant_load_factors(code, &lo, &step);
	for (int i = 0; i < q->dim; i++)
		v[i] = grid_value(lo, step, quant_nibble(code + QUANT_FACTOR_BYTES, q->dim, i));
}

/*
 * A code as the query: its own rounding adds to that of the codes it meets.
 * Its step is remembered for that.
 */
static void
u8_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	float		lo;

	u8_decode(q, code, (float *) (void *) query->payload, NULL);
	quant_load_factors(code, &lo, &query->u.l1_step);
}

static void
u4_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	float		lo;

	u4_decode(q, code, (float *) (void *) query->payload, NULL);
	quant_load_factors(code, &lo, &query->u.l1_step);
}

typedef void (*L1Kernel) (const float *query, const uint8_t *const *codes, int ncodes, int n,
						  const float *lo, const float *step, float *out);

static inline void
score(const QuantQuery *query, L1Kernel kernel, const uint8_t *const *records, int n,
	  float *dist, float *err)
{
	const uint8_t *codes[QUANT_BATCH];
	float		lo[QUANT_BATCH];
	float		step[QUANT_BATCH];
	float		sums[QUANT_BATCH];
	float		dim = (float) query->dim;
	float		dim_error = sqrtf(dim / 12);
	double		own_step_sq = (double) query->u.l1_step * query->u.l1_step;

	int			filled = 0;

	do
	{
		codes[filled] = records[filled] + QUANT_FACTOR_BYTES;
		quant_load_factors(records[filled], &lo[filled], &step[filled]);
	} while (++filled < n);
	kernel((const float *) (const void *) query->payload, codes, n, query->dim, lo, step, sums);

	for (int i = 0; i < n; i++)
	{
		float		s = (float) sqrt((double) step[i] * step[i] + own_step_sq);
		float		floor_part = s * (dim * 0.25f) / sums[i];
		float		kept = 1.0f - floor_part * floor_part;
		float		d;
		float		e;

		kept = kept > 0.0f ? kept : 0.0f;	/* NaN too: a sum of 0 */
		kept = sqrtf(kept);
		d = sums[i] * kept;
		dist[i] = d < QUANT_RESULT_MAX ? d : QUANT_RESULT_MAX;
		if (err != NULL)
		{
			/* taking the root magnifies what it is taken of */
			e = s * dim_error / (kept > 0.5f ? kept : 0.5f) +
				CORRECTION_DOUBT * (sums[i] - d);
			err[i] = e < QUANT_RESULT_MAX ? e : QUANT_RESULT_MAX;
		}
	}
}

static void
u8_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	score(query, query->simd->l1_u8_batch, records, n, dist, err);
}

static void
u4_score(const QuantQuery *query, const uint8_t *const *records, int n, float *dist, float *err)
{
	score(query, query->simd->l1_u4_batch, records, n, dist, err);
}

static size_t
u8_code_size(Metric metric, int dim)
{
	(void) metric;
	return quant_record_u8(dim);
}

static size_t
u4_code_size(Metric metric, int dim)
{
	(void) metric;
	return quant_record_u4(dim);
}

static size_t
payload_size(int dim)
{
	return sizeof(float) * (size_t) dim + SIMD_SLACK;
}

/* codes before they are packed */
static size_t
scratch_size(int dim)
{
	return (size_t) dim;
}

const QuantMethods quant_l1_u8_methods = {
	.code_size = u8_code_size,
	.payload_size = payload_size,
	.scratch_size = scratch_size,
	.wants_centre = false,
	.problem = quant_factors_problem,
	.encode = u8_encode,
	.prepare = prepare,
	.prepare_code = u8_prepare_code,
	.score = u8_score,
	.decode = u8_decode,
};

const QuantMethods quant_l1_u4_methods = {
	.code_size = u4_code_size,
	.payload_size = payload_size,
	.scratch_size = scratch_size,
	.wants_centre = false,
	.problem = quant_factors_problem,
	.encode = u4_encode,
	.prepare = prepare,
	.prepare_code = u4_prepare_code,
	.score = u4_score,
	.decode = u4_decode,
};
