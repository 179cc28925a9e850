/*
 * quant_bits.c
 *		Bit strings: the record is the bits, in whole words of 4 bytes.
 */
#include "quant/quant_private.h"

static size_t
bits_code_size(Metric metric, int dim)
{
	(void) metric;
	return quant_round_up(((size_t) dim + 7) / 8, 4);
}

static size_t
bits_payload_size(int dim)
{
	return bits_code_size(METRIC_HAMMING, dim);
}

static size_t
bits_scratch_size(int dim)
{
	(void) dim;
	return 0;
}

/* The bytes of the bits, then zeros to the end of the record. */
static void
copy_bits(const Quantizer *q, const void *bits, uint8_t *to)
{
	size_t		nbytes = ((size_t) q->dim + 7) / 8;

	memcpy(to, bits, nbytes);
	memset(to + nbytes, 0, q->code_size - nbytes);
}

static void
bits_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	(void) scratch;
	copy_bits(q, v, code);
}

static void
bits_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	(void) scratch;
	copy_bits(q, v, query->payload);
}

static void
bits_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	memcpy(query->payload, code, q->code_size);
}

static double
bits_exact(const QuantQuery *query, const uint8_t *record)
{
	return metric_rank_bits(query->metric, query->payload, record, bits_payload_size(query->dim));
}

static void
bits_score(const QuantQuery *query, const uint8_t *const *records, int n,
		   float *dist, float *err)
{
	for (int i = 0; i < n; i++)
		dist[i] = (float) bits_exact(query, records[i]);
	if (err != NULL)
		memset(err, 0, sizeof(float) * (size_t) n);
}

static const char *
bits_problem(const Quantizer *q, const uint8_t *record)
{
	size_t		whole = (size_t) q->dim / 8;
	int			rest = q->dim % 8;

	/* PostgreSQL's bits begin at the high end of a byte */
	for (size_t i = whole; i < q->code_size; i++)
		if ((i == whole ? record[i] & (0xff >> rest) : record[i]) != 0)
			return "bits behind the last one are set";
	return NULL;
}

const QuantMethods quant_bits_methods = {
	.code_size = bits_code_size,
	.payload_size = bits_payload_size,
	.scratch_size = bits_scratch_size,
	.fills_payload = true,
	.problem = bits_problem,
	.encode = bits_encode,
	.prepare = bits_prepare,
	.prepare_code = bits_prepare_code,
	.score = bits_score,
	.exact = bits_exact,
};
