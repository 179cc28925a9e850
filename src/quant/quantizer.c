/*
 * quantizer.c
 *		Names, sizes, the default, and dispatch to the kinds.
 *
 * The one place that knows which functions serve a kind and a metric.
 */
#include <math.h>

#include "quant/quantizer.h"
#include "quant/quant_private.h"

/* Codes of fewer dimensions save little and err much: exact values below. */
#define QUANT_MIN_CODED_DIM 32

typedef struct KindInfo
{
	const char *name;
	QuantElements elements;
	const QuantMethods *methods[METRIC_COUNT];	/* by metric; NULL where not served */
} KindInfo;

static const KindInfo kinds[QUANT_COUNT] = {
	[QUANT_NONE] = {
		.name = "none",
		.methods = {
			[METRIC_L2] = &quant_none_methods,
			[METRIC_IP] = &quant_none_methods,
			[METRIC_COSINE] = &quant_none_methods,
			[METRIC_L1] = &quant_none_methods,
		},
	},
	[QUANT_HALF] = {
		.name = "none",
		.methods = {
			[METRIC_L2] = &quant_half_methods,
			[METRIC_IP] = &quant_half_methods,
			[METRIC_COSINE] = &quant_half_methods,
			[METRIC_L1] = &quant_half_methods,
		},
	},
	[QUANT_RABITQ4] = {
		.name = "rabitq4",
		.methods = {
			[METRIC_L2] = &quant_rabitq4_methods,
			[METRIC_IP] = &quant_rabitq4_methods,
			[METRIC_COSINE] = &quant_rabitq4_methods,
			[METRIC_L1] = &quant_l1_u4_methods,
		},
	},
	[QUANT_SQ8] = {
		.name = "sq8",
		.methods = {
			[METRIC_L2] = &quant_sq8_methods,
			[METRIC_IP] = &quant_sq8_methods,
			[METRIC_COSINE] = &quant_sq8_methods,
			[METRIC_L1] = &quant_l1_u8_methods,
		},
	},
	[QUANT_BITS] = {
		.name = "none",
		.elements = QUANT_BIT_STRING,
		.methods = {
			[METRIC_HAMMING] = &quant_bits_methods,
			[METRIC_JACCARD] = &quant_bits_methods,
		},
	},
	[QUANT_SPARSE] = {
		.name = "none",
		.elements = QUANT_SPARSE_ELEMENTS,
		.methods = {
			[METRIC_L2] = &quant_sparse_methods,
			[METRIC_IP] = &quant_sparse_methods,
			[METRIC_COSINE] = &quant_sparse_methods,
			[METRIC_L1] = &quant_sparse_methods,
		},
	},
};

static inline const QuantMethods *
methods_of(const Quantizer *q)
{
	return kinds[q->kind].methods[q->metric];
}

size_t
quant_code_size(QuantKind kind, Metric metric, int dim)
{
	const QuantMethods *methods;

	if ((unsigned) kind >= QUANT_COUNT || (unsigned) metric >= METRIC_COUNT || dim < 1)
		return 0;
	methods = kinds[kind].methods[metric];
	return methods == NULL ? 0 : methods->code_size(metric, dim);
}

const char *
quant_name(QuantKind kind)
{
	return (unsigned) kind < QUANT_COUNT ? kinds[kind].name : NULL;
}

QuantElements
quant_elements(QuantKind kind)
{
	return kinds[kind].elements;
}

bool
quant_exact(QuantKind kind)
{
	return kind == QUANT_NONE || kind == QUANT_HALF || kind == QUANT_BITS || kind == QUANT_SPARSE;
}

bool
quant_sized(QuantKind kind)
{
	return kind == QUANT_SPARSE;
}

size_t
quant_record_size(const Quantizer *q, const uint8_t *record)
{
	const QuantMethods *methods = methods_of(q);

	return methods->record_size == NULL ? q->code_size : methods->record_size(record);
}

bool
quant_record_sound(const Quantizer *q, const uint8_t *record, size_t size)
{
	const QuantMethods *methods = methods_of(q);

	if (methods->record_size == NULL)
		return size == q->code_size;
	return size >= QUANT_FACTOR_BYTES && size <= q->code_size && methods->record_size(record) == size;
}

const char *
quant_record_problem(const Quantizer *q, const uint8_t *record)
{
	return methods_of(q)->problem(q, record);
}

bool
quant_parse(const char *name, QuantElements elements, QuantKind *kind)
{
	for (int i = 0; i < QUANT_COUNT; i++)
	{
		if (kinds[i].elements == elements && strcmp(name, kinds[i].name) == 0)
		{
			*kind = (QuantKind) i;
			return true;
		}
	}
	return false;
}

/*
 * Under L1 the 4-bit grid is neither centred nor rotated and errs much more,
 * so it serves only where 8 bits do not fit.  Elsewhere 4 bits want some 20
 * exact distances a query more than 8 bits (README), which is cheap while
 * rows are stored inline.  Where they are TOASTed, sq8 may be the better
 * default at twice the size: to be decided by measuring inside the server.
 */
QuantKind
quant_default(QuantElements elements, Metric metric, int dim, size_t max_code_size)
{
	static const QuantKind fine_first[] = {QUANT_NONE, QUANT_SQ8, QUANT_RABITQ4};
	static const QuantKind small_first[] = {QUANT_NONE, QUANT_RABITQ4};
	bool		by_grid = metric == METRIC_L1;
	const QuantKind *order = by_grid ? fine_first : small_first;
	int			n = by_grid ? 3 : 2;

	if (elements == QUANT_BIT_STRING)
		return QUANT_BITS;
	if (elements == QUANT_SPARSE_ELEMENTS)
		return QUANT_SPARSE;
	for (int i = dim < QUANT_MIN_CODED_DIM ? 0 : 1; i < n; i++)
	{
		size_t		size = quant_code_size(order[i], metric, dim);

		if (size > 0 && size <= max_code_size)
			return order[i];
	}
	return QUANT_RABITQ4;		/* the smallest there is */
}

bool
quant_wants_centre(QuantKind kind, Metric metric)
{
	return kinds[kind].methods[metric]->wants_centre;
}

void
quant_init(Quantizer *q, QuantKind kind, Metric metric, int dim,
		   const float *centre, uint64_t seed)
{
	const QuantMethods *methods = kinds[kind].methods[metric];
	double		centre_sq = 0;

	if (!methods->wants_centre)
		centre = NULL;
	if (centre != NULL)
	{
		for (int i = 0; i < dim; i++)
			centre_sq += (double) centre[i] * centre[i];
	}

	memset(q, 0, sizeof(*q));
	q->kind = kind;
	q->metric = metric;
	q->dim = dim;
	q->code_size = methods->code_size(metric, dim);
	q->query_size = quant_round_up(sizeof(QuantQuery) + methods->payload_size(dim), 64);
	q->scratch_size = methods->scratch_size(dim);
	q->centre = centre;
	q->seed = seed;
	q->centre_sq = quant_clamp_factor(centre_sq);
	if (methods->noise != NULL)
		methods->noise(dim, q->noise);
}

void
quant_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch)
{
	methods_of(q)->encode(q, v, code, scratch);
}

/* what every kind's query has; padding is zero, as the kernels ask */
static void
query_begin(const Quantizer *q, QuantQuery *query)
{
	const QuantMethods *methods = methods_of(q);

	memset(query, 0, methods->fills_payload ? sizeof(QuantQuery) : q->query_size);
	query->methods = methods;
	query->simd = simd_get();
	query->metric = q->metric;
	query->dim = q->dim;
}

void
quant_query_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch)
{
	query_begin(q, query);
	query->methods->prepare(q, v, query, scratch);
}

void
quant_query_from_code(const Quantizer *q, const uint8_t *code, QuantQuery *query)
{
	query_begin(q, query);
	query->methods->prepare_code(q, code, query);
}

void
quant_score(const QuantQuery *query, const uint8_t *const *records, int n,
			float *dist, float *err)
{
	for (int i = 0; i < n; i += QUANT_BATCH)
	{
		int			batch = n - i < QUANT_BATCH ? n - i : QUANT_BATCH;

		query->methods->score(query, records + i, batch, dist + i,
							  err != NULL ? err + i : NULL);
	}
}

double
quant_score_exact(const QuantQuery *query, const uint8_t *record)
{
	double		dist = query->methods->exact(query, record);

	return isnan(dist) ? INFINITY : dist;
}

void
quant_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch)
{
	methods_of(q)->decode(q, code, v, scratch);
}
