/*
 * quantizer.h
 *		Codes for vectors: encode, prepare a query, score codes in batches.
 *
 * A code record is a fixed number of bytes (but for sparse vectors, below),
 * factors first (float32, so records stand on 4-byte boundaries), then the
 * code itself.  Nothing here allocates or knows PostgreSQL; callers bring
 * memory of the sizes these functions name.
 *
 * What a vector is, where one is passed as a void pointer, follows from the
 * kind's elements: dim floats; the bytes of dim bits, those behind the last
 * bit zero; or a SparseElements (dist/metric_sparse.h).
 */
#ifndef VECIDX_QUANTIZER_H
#define VECIDX_QUANTIZER_H

#include "dist/metric.h"

/* On disk: do not renumber. */
typedef enum QuantKind
{
	QUANT_NONE = 0,				/* exact float32 values */
	QUANT_RABITQ4 = 1,			/* 4 bits a dimension; under L1 a plain 4-bit grid */
	QUANT_SQ8 = 2,				/* 8 bits a dimension */
	QUANT_BITS = 3,				/* the bits themselves */
	QUANT_SPARSE = 4,			/* the elements that are not zero, exact; records as long as they are many */
	QUANT_HALF = 5				/* exact float16 values, of vectors of floats that fit them */
} QuantKind;

#define QUANT_COUNT 6

typedef enum QuantElements
{
	QUANT_FLOATS = 0,
	QUANT_BIT_STRING,
	QUANT_SPARSE_ELEMENTS
} QuantElements;

/* Most elements of a sparse vector that are not zero. */
#define QUANT_SPARSE_MAX 16000

/*
 * A trained quantizer.  Immutable once initialised, may be shared by any
 * number of queries.
 */
typedef struct Quantizer
{
	QuantKind	kind;
	Metric		metric;
	int			dim;			/* of the vectors, 1 .. 16000; any number of bits and for sparse ones */
	size_t		code_size;		/* bytes of one record, the largest if they differ; a multiple of 4 */
	size_t		query_size;		/* bytes a QuantQuery takes, a multiple of 64 */
	size_t		scratch_size;	/* bytes encode and prepare need beside it, aligned for float; may be 0 */
	const float *centre;		/* dim floats, borrowed; NULL is the origin */
	uint64_t	seed;			/* of the rotation; same seed, same codes */
	float		centre_sq;		/* |centre|^2 */
	double		noise[2];		/* the kind's own: constants of its error, by dim */
} Quantizer;

/*
 * A prepared query: opaque, query_size bytes, 64-byte aligned.  Stays valid
 * while its quantizer does.
 */
typedef struct QuantQuery QuantQuery;

/* Bytes of a code record (the largest if they differ), 0 where the kind cannot serve the metric. */
extern size_t quant_code_size(QuantKind kind, Metric metric, int dim);

/* What the kind's vectors are made of. */
extern QuantElements quant_elements(QuantKind kind);

/* Whether records differ in size; quant_record_size() tells then. */
extern bool quant_sized(QuantKind kind);

/* Bytes of this record, which quant_encode() has made or quant_record_sound() passed. */
extern size_t quant_record_size(const Quantizer *q, const uint8_t *record);

/* Whether size bytes from an untrusted place are a record: may be scored without harm, whatever comes out. */
extern bool quant_record_sound(const Quantizer *q, const uint8_t *record, size_t size);

/* What is wrong inside a record that is sound by its size: values that no vector gives.  NULL if nothing. */
extern const char *quant_record_problem(const Quantizer *q, const uint8_t *record);

/*
 * "none" (the exact kind of each element type), "rabitq4", "sq8"; parse
 * returns false for a name that these elements do not have.  QUANT_HALF is
 * "none" too, and chosen by who knows that the vectors fit it: parse gives
 * QUANT_NONE.
 */
extern const char *quant_name(QuantKind kind);
extern bool quant_parse(const char *name, QuantElements elements, QuantKind *kind);

/* Whether distances are exact. */
extern bool quant_exact(QuantKind kind);

/*
 * The kind for an index whose user names none: what fits the metric and
 * dimensions, in records of at most max_code_size bytes.
 */
extern QuantKind quant_default(QuantElements elements, Metric metric, int dim, size_t max_code_size);

/* Whether the metric and kind profit from a centre (the mean of a sample). */
extern bool quant_wants_centre(QuantKind kind, Metric metric);

/* centre: dim floats that outlive q, or NULL.  For cosine: mean of normalised vectors. */
extern void quant_init(Quantizer *q, QuantKind kind, Metric metric, int dim,
					   const float *centre, uint64_t seed);

/*
 * Encode v (finite; not zero for cosine) into at most code_size bytes.
 * The record's bytes are all written: equal vectors give equal records.
 */
extern void quant_encode(const Quantizer *q, const void *v, uint8_t *code, void *scratch);

/* Prepare v as the query.  For cosine v need not be normalised (zero allowed: ranks arbitrarily). */
extern void quant_query_prepare(const Quantizer *q, const void *v, QuantQuery *query, void *scratch);

/*
 * Prepare a stored vector as the query, from its record alone.  Errs sqrt(2)
 * times as much as the vector itself would, and shortens 4-bit distances
 * between near duplicates (README).
 */
extern void quant_query_from_code(const Quantizer *q, const uint8_t *code, QuantQuery *query);

/*
 * Score n records: dist[i] is the estimated rank distance, err[i] (where err
 * is not NULL) one standard error of it; 0 for exact kinds.  A record must be
 * followed by SIMD_SLACK readable bytes.  Estimates and errors are finite,
 * and do not depend on which records share a call.  An exact order of results
 * wants candidates fetched while dist - 2.5 * err may still win (README).
 */
extern void quant_score(const QuantQuery *query, const uint8_t *const *records, int n,
						float *dist, float *err);

/*
 * The rank distance of an exact kind, as the SQL operator computes it: in
 * double where that does.  Infinite where the operator gives NaN.
 */
extern double quant_score_exact(const QuantQuery *query, const uint8_t *record);

/* The vector a record of a kind of floats stands for, dim floats (for exact kinds the exact one; cosine codes: normalised). */
extern void quant_decode(const Quantizer *q, const uint8_t *code, float *v, void *scratch);

#endif							/* VECIDX_QUANTIZER_H */
