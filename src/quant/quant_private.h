/*
 * quant_private.h
 *		What the kinds of quantizer share behind quantizer.h.
 *
 * A kind is a table of functions; which table serves a kind and metric is
 * said once, in quantizer.c.
 */
#ifndef VECIDX_QUANT_PRIVATE_H
#define VECIDX_QUANT_PRIVATE_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "dist/metric_sparse.h"
#include "quant/quantizer.h"

/* Records scored by one kernel call; the arrays for it live on the stack. */
#define QUANT_BATCH 64

/*
 * What results and additive factors are clamped to: sums of one product and
 * two factors stay finite, and the product outweighs the factors.  Inputs near
 * the end of the float range get coarse estimates, never infinities or NaN.
 */
#define QUANT_RESULT_MAX (FLT_MAX / 4)
#define QUANT_FACTOR_MAX (FLT_MAX / 16)

/* Two float32 factors stand before the code in all kinds but QUANT_NONE. */
#define QUANT_FACTOR_BYTES (2 * sizeof(float))

typedef struct QuantMethods
{
	size_t		(*code_size) (Metric metric, int dim);
	/* bytes of QuantQuery.payload */
	size_t		(*payload_size) (int dim);
	size_t		(*scratch_size) (int dim);
	bool		wants_centre;

	/* fill in Quantizer.noise; may be NULL */
	void		(*noise) (int dim, double *noise);
	/* the payload is not to be zeroed before it is filled in */
	bool		fills_payload;
	/* bytes of a record; NULL: they are all code_size */
	size_t		(*record_size) (const uint8_t *record);

	const char *(*problem) (const Quantizer *q, const uint8_t *record);

	void		(*encode) (const Quantizer *q, const void *v, uint8_t *code, void *scratch);
	/* these two fill in all but the members that quantizer.c sets */
	void		(*prepare) (const Quantizer *q, const void *v, QuantQuery *query, void *scratch);
	void		(*prepare_code) (const Quantizer *q, const uint8_t *code, QuantQuery *query);
	/* 1 .. QUANT_BATCH records */
	void		(*score) (const QuantQuery *query, const uint8_t *const *records, int n,
						  float *dist, float *err);
	/* exact kinds: the distance in the operator's precision, may be NaN; others NULL */
	double		(*exact) (const QuantQuery *query, const uint8_t *record);
	/* kinds of floats */
	void		(*decode) (const Quantizer *q, const uint8_t *code, float *v, void *scratch);
} QuantMethods;

/* How a grid query turns integer dot products into distances (quant_grid.c). */
typedef struct GridQuery
{
	int32_t		offset;			/* the dot product of the grid's middle */
	float		scale;			/* <x,q'> = scale * (integer sum) */
	float		add;			/* the query's additive term */
	float		err_scale;		/* |q'|; 0 where the query is the centre */
	float		err_code;		/* squared standard errors of <x,q'> / |q'|: by the code's */
	float		err_query;		/* rounding, at right angles to it; by the query's */
	float		err_abs;		/* float rounding of the query's terms */
	float		align_scale;	/* f<x,q'> / |q'| = align_scale * B * (integer sum) */
	float		norm[3];		/* |o'|^2 = norm[0] + norm[1] * A + norm[2] * B^2 */
	bool		bounded;		/* estimates of <o',q'> are kept within |o'| |q'| */
} GridQuery;

struct QuantQuery
{
	const QuantMethods *methods;
	const SimdKernels *simd;
	Metric		metric;
	int			dim;
	union
	{
		GridQuery	grid;
		SparseTable sparse;
		float		norm_sq;	/* exact kinds under cosine: of the query */
		float		l1_step;	/* L1 grids: the query's own step, 0 for exact values */
	}			u;
	_Alignas(64) uint8_t payload[];
};

extern const QuantMethods quant_none_methods;
extern const QuantMethods quant_half_methods;
extern const QuantMethods quant_rabitq4_methods;
extern const QuantMethods quant_sq8_methods;
extern const QuantMethods quant_l1_u4_methods;
extern const QuantMethods quant_l1_u8_methods;
extern const QuantMethods quant_bits_methods;
extern const QuantMethods quant_sparse_methods;

static inline size_t
quant_round_up(size_t n, size_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* bytes of a code of two dimensions a byte; see dot_u4s8_batch for the order */
static inline int
quant_nibble_bytes(int dim)
{
	return (dim + 1) / 2;
}

/* record sizes of all kinds with factors */
static inline size_t
quant_record_u4(int dim)
{
	return QUANT_FACTOR_BYTES + quant_round_up((size_t) quant_nibble_bytes(dim), 4);
}

static inline size_t
quant_record_u8(int dim)
{
	return QUANT_FACTOR_BYTES + quant_round_up((size_t) dim, 4);
}

/* Two values of 0 .. 15 a byte, as the kernels want them; out has quant_nibble_bytes(dim). */
static inline void
quant_pack_nibbles(const uint8_t *values, int dim, uint8_t *out)
{
	int			nbytes = quant_nibble_bytes(dim);
	int			pairs = dim - nbytes;

	for (int i = 0; i < pairs; i++)
		out[i] = (uint8_t) (values[i] | values[i + nbytes] << 4);
	if (pairs < nbytes)
		out[pairs] = values[pairs];
}

static inline int
quant_nibble(const uint8_t *code, int dim, int i)
{
	int			nbytes = quant_nibble_bytes(dim);

	return i < nbytes ? code[i] & 0x0f : code[i - nbytes] >> 4;
}

/* The comparisons are written such that NaN takes the upper end. */
static inline float
quant_clamp_factor(double x)
{
	x = x < QUANT_FACTOR_MAX ? x : QUANT_FACTOR_MAX;
	x = x > -QUANT_FACTOR_MAX ? x : -QUANT_FACTOR_MAX;
	return (float) x;
}

static inline float
quant_clamp_value(double x)
{
	x = x < FLT_MAX ? x : FLT_MAX;
	x = x > -FLT_MAX ? x : -FLT_MAX;
	return (float) x;
}

static inline float
quant_clamp_result(float x)
{
	x = x < QUANT_RESULT_MAX ? x : QUANT_RESULT_MAX;
	x = x > -QUANT_RESULT_MAX ? x : -QUANT_RESULT_MAX;
	return x;
}

static inline bool
quant_floats_finite(const void *at, int n)
{
	for (int i = 0; i < n; i++)
	{
		float		x;

		memcpy(&x, (const char *) at + (size_t) i * sizeof(float), sizeof(float));
		if (!isfinite(x))
			return false;
	}
	return true;
}

/* QuantMethods.problem of kinds with factors. */
static inline const char *
quant_factors_problem(const Quantizer *q, const uint8_t *record)
{
	(void) q;
	return quant_floats_finite(record, 2) ? NULL : "a factor is not finite";
}

static inline void
quant_store_factors(uint8_t *record, float first, float second)
{
	memcpy(record, &first, sizeof(float));
	memcpy(record + sizeof(float), &second, sizeof(float));
}

static inline void
quant_load_factors(const uint8_t *record, float *first, float *second)
{
	memcpy(first, record, sizeof(float));
	memcpy(second, record + sizeof(float), sizeof(float));
}

#endif							/* VECIDX_QUANT_PRIVATE_H */
