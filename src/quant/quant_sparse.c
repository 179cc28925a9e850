/*
 * quant_sparse.c
 *		Sparse vectors: the elements that are not zero, exact.
 *
 * A record is SparseRecord: number of elements, squared norm (what cosine
 * wants, computed once), indices, values.
 */
#include "dist/metric_sparse.h"
#include "quant/quant_private.h"

typedef struct SparseRecord
{
	uint32_t	n;
	float		norm_sq;
	int32_t		indices[];		/* n, then n float values */
} SparseRecord;

_Static_assert(sizeof(SparseRecord) == QUANT_FACTOR_BYTES, "what quant_record_sound() takes for the head of a record");

static inline size_t
record_bytes(uint32_t n)
{
	return sizeof(SparseRecord) + (size_t) n * (sizeof(int32_t) + sizeof(float));
}

static inline SparseElements
elements_of(const void *record)
{
	const SparseRecord *r = record;
	SparseElements elements = {r->indices, (const float *) (const void *) (r->indices + r->n), (int) r->n};

	return elements;
}

static int
most_elements(int dim)
{
	return dim < QUANT_SPARSE_MAX ? dim : QUANT_SPARSE_MAX;
}

static size_t
sparse_code_size(Metric metric, int dim)
{
	(void) metric;
	return record_bytes((uint32_t) most_elements(dim));
}

/* A query is a table, and the record for exact distances behind it. */
static size_t
sparse_payload_size(int dim)
{
	return sparse_table_size(most_elements(dim)) + record_bytes((uint32_t) most_elements(dim));
}

static void *
query_record(const QuantQuery *query)
{
	return (void *) (query->payload + sparse_table_size(most_elements(query->dim)));
}

static size_t
sparse_scratch_size(int dim)
{
	(void) dim;
	return 0;
}

static size_t
sparse_record_size(const uint8_t *record)
{
	uint32_t	n;

	memcpy(&n, record, sizeof(n));
	/* of no record, where it is untrusted */
	return n > QUANT_SPARSE_MAX ? 0 : record_bytes(n);
}

static void
write_record(const SparseElements *elements, void *to)
{
	SparseRecord *record = to;

	record->n = (uint32_t) elements->n;
	record->norm_sq = metric_sparse_square(*elements);
	memcpy(record->indices, elements->indices, sizeof(int32_t) * (size_t) elements->n);
	memcpy(record->indices + elements->n, elements->values, sizeof(float) * (size_t) elements->n);
}

static void
sparse_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	(void) q;
	(void) scratch;
	write_record(v, code);
}

static void
sparse_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	(void) q;
	(void) scratch;
	write_record(v, query_record(query));
	sparse_table_fill(&query->u.sparse, *(const SparseElements *) v, query->payload);
}

static void
sparse_prepare_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	(void) q;
	memcpy(query_record(query), code, sparse_record_size(code));
	sparse_table_fill(&query->u.sparse, elements_of(code), query->payload);
}

static double
sparse_exact(const QuantQuery *query, const uint8_t *record)
{
	SparseElements a = elements_of(query_record(query));
	SparseElements b = elements_of(record);

	/* as metric_sparse_rank() has it, with the norms at hand */
	if (query->metric == METRIC_COSINE)
		return metric_cosine_rank((float) -metric_sparse_rank(METRIC_IP, a, b),
								  query->u.sparse.norm_sq,
								  ((const SparseRecord *) (const void *) record)->norm_sq);
	return metric_sparse_rank(query->metric, a, b);
}

static void
sparse_score(const QuantQuery *query, const uint8_t *const *records, int n,
			 float *dist, float *err)
{
	for (int i = 0; i < n; i++)
		dist[i] = quant_clamp_value(sparse_table_rank(query->metric, &query->u.sparse, elements_of(records[i]),
													   ((const SparseRecord *) (const void *) records[i])->norm_sq));
	if (err != NULL)
		memset(err, 0, sizeof(float) * (size_t) n);
}

static const char *
sparse_problem(const Quantizer *q, const uint8_t *record)
{
	SparseElements elements = elements_of(record);

	for (int i = 0; i < elements.n; i++)
	{
		if (elements.indices[i] < 0 || elements.indices[i] >= q->dim ||
			(i > 0 && elements.indices[i] <= elements.indices[i - 1]))
			return "indices are not in order";
		if (!isfinite(elements.values[i]) || elements.values[i] == 0)
			return "a value is zero or not finite";
	}
	return NULL;
}

const QuantMethods quant_sparse_methods = {
	.code_size = sparse_code_size,
	.payload_size = sparse_payload_size,
	.scratch_size = sparse_scratch_size,
	.fills_payload = true,
	.record_size = sparse_record_size,
	.problem = sparse_problem,
	.encode = sparse_encode,
	.prepare = sparse_prepare,
	.prepare_code = sparse_prepare_code,
	.score = sparse_score,
	.exact = sparse_exact,
};
