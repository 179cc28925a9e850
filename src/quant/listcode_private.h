/*
 * listcode_private.h
 *		What the kinds of list codes share behind listcode.h.
 *
 * A kind is a table of functions; which table serves a kind is said once, in
 * listcode.c, which also does what is the same for all that code residuals:
 * the query's own values, its term for a list, blocks.
 */
#ifndef VECIDX_LISTCODE_PRIVATE_H
#define VECIDX_LISTCODE_PRIVATE_H

#include "quant/listcode.h"
#include "quant/quant_private.h"

/* Codes in rows that one call of ListMethods.score gets at most. */
#define LISTCODE_BATCH QUANT_BATCH

/*
 * Members that may be NULL say what that means.  spec is sound in all but
 * `problem`, which finds kind and metric in range.
 */
typedef struct ListMethods
{
	const char *(*problem) (const ListCodeSpec *spec);

	/* NULL, all four: nothing is trained */
	size_t		(*trained_size) (const ListCodeSpec *spec);
	size_t		(*train_scratch) (const ListCodeSpec *spec, size_t n);
	void		(*train) (const ListCodeSpec *spec, float *residuals, size_t n, void *trained, void *scratch,
						  void (*tick) (void *arg), void *arg);
	const char *(*trained_problem) (const ListCodeSpec *spec, const void *trained);

	/*
	 * spec, origin and trained are set; sets the others but query_size.
	 * scratch_size: what the kind wants itself, a multiple of 64.
	 */
	void		(*init) (ListCode *lc);
	/* bytes that `query` wants behind what listcode.c keeps in the payload */
	size_t		(*payload_size) (const ListCode *lc);

	/* here and in `query`: v is normalised already for cosine codes of residuals; so does listcode.c with what `decode` gives */
	void		(*encode) (const ListCode *lc, const void *v, const float *centroid,
						   float *factors, uint8_t *code, void *scratch);
	/* what listcode.c sets is set, listquery_own() is zero */
	void		(*query) (const ListCode *lc, const void *v, ListQuery *query, void *scratch);

	/* 1 .. LISTCODE_BATCH codes in rows; NULL where nnibbles > 0 */
	void		(*score) (const ListQuery *query, ListTerm term, const float *a, const float *b,
						  const uint8_t *codes, int n, float *dist, float *err);

	/*
	 * Kinds with nnibbles > 0: distances from the sums of table entries
	 * (listquery_tables()) of 1 .. LISTCODE_BLOCK codes, rows or block.
	 */
	void		(*finish) (const ListQuery *query, ListTerm term, const float *a, const float *b,
						   const uint32_t *sums, int n, float *dist, float *err);

	/* exact kinds only */
	double		(*exact) (const ListQuery *query, const uint8_t *code);
	void		(*score_each) (const ListQuery *query, const uint8_t *const *codes, int n, float *dist);

	/* NULL: any code bytes and finite factors are sound */
	const char *(*code_problem) (const ListCode *lc, const float *factors, const uint8_t *code);
	void		(*decode) (const ListCode *lc, const float *factors, const uint8_t *code,
						   const float *centroid, float *v, void *scratch);
} ListMethods;

/*
 * The payload holds, each on a multiple of 64 bytes: kinds that code
 * residuals: the query, normalised for cosine (dim floats); kinds with nibbles:
 * tables of 16 bytes a part, zeros behind them; what the kind wants itself.
 */
struct ListQuery
{
	const ListCode *lc;
	const ListMethods *methods;
	const SimdKernels *simd;
	size_t		tables_at;		/* offsets into the payload */
	size_t		own_at;
	double		norm;			/* kinds that code residuals: length of the query's values */

	/*
	 * <code, query> = scale * (integer sum) + bias, for the kind to use.
	 * noise: standard error of that by the query's own rounding.
	 */
	double		scale;
	double		bias;
	double		noise;
	int32_t		offset;			/* what an integer sum is too large by */
	_Alignas(64) uint8_t payload[];
};

extern const ListMethods listcode_exact_methods;
extern const ListMethods listcode_rabitq_methods;
extern const ListMethods listcode_pq_methods;

/*
 * Kinds that code residuals (listcode_residual.c).  ListCode.noise: standard
 * error of <x, Rp> over the length of p, |r| over b, and the kind's own.
 */
#define NOISE_KAPPA 0
#define NOISE_LENGTH 1
#define NOISE_CHI 2

/* b over f */
extern double listcode_residual_weight(Metric metric);

/* Both factors; norm_sq: |r|^2, shift: f <x, R(c - o)>. */
extern void listcode_residual_factors(const ListCode *lc, const float *v, const float *centroid, double norm_sq,
									  double f, double shift, float *factors);

/*
 * A query's tables for kinds with nibbles, from their entries in float (16 for
 * each of nparts parts): rounded to 8 bits, with scale, bias and noise.  unit:
 * what a 1 of the entries stands for.
 */
extern void listcode_residual_tables(ListQuery *query, const float *entries, int nparts, double unit);

/* Distances and errors; <x, R(q - o)> is scale * sums[i] + bias of the query.  err may be NULL. */
extern void listcode_residual_scores(const ListQuery *query, ListTerm term, const float *a, const float *b,
									 const float *sums, int n, float *dist, float *err);

/* ListMethods.finish of such kinds. */
extern void listcode_residual_finish(const ListQuery *query, ListTerm term, const float *a, const float *b,
									 const uint32_t *sums, int n, float *dist, float *err);

/* The query's dim floats, normalised for cosine. */
static inline const float *
listquery_values(const ListQuery *query)
{
	return (const float *) (const void *) query->payload;
}

/* Table entry n of part p is byte 16 * p + n. */
static inline uint8_t *
listquery_tables(const ListQuery *query)
{
	return (uint8_t *) query->payload + query->tables_at;
}

static inline void *
listquery_own(const ListQuery *query)
{
	return (void *) (query->payload + query->own_at);
}

#endif							/* VECIDX_LISTCODE_PRIVATE_H */
