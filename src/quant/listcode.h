/*
 * listcode.h
 *		Codes of the vectors in an inverted list: what they are by the list's
 *		centroid, scored many at a time.
 *
 * A code consists of nfactors float32 values and code_size bytes.  A list
 * keeps them apart: an array of first factors, one of second factors, and the
 * code bytes one after the other (rows), or in blocks of up to
 * LISTCODE_BLOCK codes laid out for SIMD table lookup (kinds with nibbles;
 * below).  Nothing here allocates or knows PostgreSQL.
 *
 * Compressed kinds code the residual r = v - c.  For L2
 *
 *		|q - v|^2 = |q - c|^2 + (|r|^2 + 2 <c - o, r>) - 2 <q - o, r>
 *
 * with o any fixed origin: the first term is the list's, the second the code's
 * (factor a), and the third is an inner product of the code with one
 * transformed query, the same for all lists.  So a query is prepared once and
 * a list costs it one exact distance to the centroid (ListTerm).  Cosine is L2
 * of normalised vectors, halved; inner product is <q, c> + <q, r> likewise.
 */
#ifndef VECIDX_LISTCODE_H
#define VECIDX_LISTCODE_H

#include "quant/quantizer.h"

/* On disk: do not renumber. */
typedef enum ListCodeKind
{
	LISTCODE_EXACT = 0,			/* the vectors themselves: float32, float16 or bits; no residual, any metric */
	LISTCODE_RABITQ = 1,		/* 1, 4 or 8 bits a dimension of the rotated residual */
	LISTCODE_PQ = 2				/* product quantisation of the rotated residual: m parts of 4 or 8 bits */
} ListCodeKind;

#define LISTCODE_COUNT 3

/* Codes that one table-lookup block holds at most. */
#define LISTCODE_BLOCK 32

/* Most dimensions of floats, and of bits. */
#define LISTCODE_MAX_DIM 16000
#define LISTCODE_MAX_BITS (1 << 24)

/* What is frozen in an index; the trained data follow from it, a sample and the seed. */
typedef struct ListCodeSpec
{
	ListCodeKind kind;
	Metric		metric;			/* LISTCODE_EXACT: any; others L2, inner product, cosine */
	QuantElements elements;		/* LISTCODE_EXACT: floats or bits; others floats */
	bool		half;			/* LISTCODE_EXACT of floats: float16, which these vectors fit exactly */
	int			dim;			/* 1 .. LISTCODE_MAX_DIM or LISTCODE_MAX_BITS */
	int			bits;			/* rabitq: 1, 4, 8; pq: 4, 8 */
	int			m;				/* pq: parts; those at the end are padded where m does not divide dim */
	uint64_t	seed;			/* of random rotations and of training */
} ListCodeSpec;

/* Immutable once initialised; any number of queries may share it. */
typedef struct ListCode
{
	ListCodeSpec spec;
	int			nfactors;		/* 0 or 2 */
	size_t		code_size;		/* bytes of a code, without factors; a multiple of 4 if nfactors is 0 */
	int			nnibbles;		/* parts of a code in block form; 0: the kind has no blocks */
	bool		exact;			/* distances are exact: err is 0 */
	size_t		query_size;		/* bytes of a ListQuery, a multiple of 64 */
	size_t		scratch_size;	/* bytes that encode, prepare and decode need, 64-byte aligned; may be 0 */
	const float *origin;		/* dim floats, borrowed, or NULL: zero.  Cosine: of normalised vectors */
	const void *trained;		/* borrowed; NULL where the spec needs none */
	Quantizer	quantizer;		/* LISTCODE_EXACT */
	double		noise[4];		/* the kind's own */
} ListCode;

/* A prepared query: opaque, query_size bytes, 64-byte aligned; stays valid while its ListCode does. */
typedef struct ListQuery ListQuery;

/* A query's relation to one list. */
typedef struct ListTerm
{
	float		base;			/* the term of the distance that all codes of the list share */
	float		err;			/* what the standard errors of its codes are proportional to */
} ListTerm;

/* What is wrong with a spec (untrusted: from options or a page), or NULL. */
extern const char *listcode_problem(const ListCodeSpec *spec);

/*
 * Bytes of the trained data (codebooks, rotation); 0 if the spec needs none.
 * A multiple of 4; position-independent, same on every machine of the same
 * byte order.
 */
extern size_t listcode_trained_size(const ListCodeSpec *spec);

/*
 * Learn from n residuals (n x dim floats, rotated by nobody; they may be
 * overwritten).  n may be small or 0: what comes out is then poor but sound.
 * tick(arg) is called about every millisecond of work; it may longjmp.
 * scratch: listcode_train_scratch() bytes, 64-byte aligned.
 */
extern size_t listcode_train_scratch(const ListCodeSpec *spec, size_t n);
extern void listcode_train(const ListCodeSpec *spec, float *residuals, size_t n, void *trained, void *scratch,
						   void (*tick) (void *arg), void *arg);

/* What is wrong with trained data from an untrusted place (values that are not finite ...), or NULL. */
extern const char *listcode_trained_problem(const ListCodeSpec *spec, const void *trained);

/*
 * spec is sound; origin and trained outlive lc.  Without the trained data that
 * a spec needs, lc tells sizes and nothing else: not to encode or score with.
 */
extern void listcode_init(ListCode *lc, const ListCodeSpec *spec, const float *origin, const void *trained);

/*
 * Encode v (finite; not zero for cosine, need not be normalised) for the list
 * around centroid (dim floats, finite, cosine: of normalised vectors; ignored by exact kinds, may be
 * NULL there).  factors: nfactors floats.  code: code_size bytes, all written.
 * Equal vectors in one list give equal codes.
 */
extern void listcode_encode(const ListCode *lc, const void *v, const float *centroid,
							float *factors, uint8_t *code, void *scratch);

/* Prepare v as the query.  Cosine: need not be normalised, not zero. */
extern void listcode_query(const ListCode *lc, const void *v, ListQuery *query, void *scratch);

/* The query's term for the list around centroid; exact kinds: zeros, and centroid may be NULL. */
extern ListTerm listcode_term(const ListQuery *query, const float *centroid);

/*
 * Score n codes in rows: dist[i] is the estimated rank distance (metric.h),
 * err[i] one standard error of it, 0 for exact kinds (err may be NULL).  a and
 * b are the factor arrays, NULL if there are none.  SIMD_SLACK bytes behind
 * the last code must be readable.  Finite whatever the codes hold; a value
 * does not depend on which codes share a call.  n is anything from 0 up.
 */
extern void listcode_score(const ListQuery *query, ListTerm term, const float *a, const float *b,
						   const uint8_t *codes, int n, float *dist, float *err);

/*
 * The same for one block of `width` codes (1 .. LISTCODE_BLOCK), which takes
 * listcode_block_size() bytes.  In a block of width w, with h = (w + 1) / 2, part
 * p of code j stands in byte p * h + j % h, in the low nibble if j < h; what
 * belongs to no code is zero.  In rows, part p is the low (p even) or high
 * nibble of byte p / 2.  SIMD_SLACK bytes behind the block must be readable.
 * Same dist and err, to the bit, as the codes in rows give.
 */
extern void listcode_score_block(const ListQuery *query, ListTerm term, const float *a, const float *b,
								 const uint8_t *block, int width, float *dist, float *err);

static inline size_t
listcode_block_size(const ListCode *lc, int width)
{
	return (size_t) lc->nnibbles * (size_t) ((width + 1) / 2);
}

/*
 * Rows to a block and back (kinds with blocks).  The rows have code_size bytes
 * each; SIMD_SLACK bytes behind those to pack must be readable.
 */
extern void listcode_pack(const ListCode *lc, const uint8_t *rows, int width, uint8_t *block);
extern void listcode_unpack(const ListCode *lc, const uint8_t *block, int width, uint8_t *rows);

/*
 * Exact kinds: the rank distance as the SQL operator computes it, in double
 * where that does; infinite where the operator gives NaN.
 */
extern double listcode_exact(const ListQuery *query, const uint8_t *code);

/* Exact kinds: dist as listcode_score() gives it, of codes that stand wherever the pointers say; n > 0. */
extern void listcode_score_each(const ListQuery *query, const uint8_t *const *codes, int n, float *dist);

/* What is wrong inside a code from an untrusted place: values that no vector gives.  NULL if nothing. */
extern const char *listcode_code_problem(const ListCode *lc, const float *factors, const uint8_t *code);

/* The vector (dim floats) that a code of floats stands for.  Exact kinds: the vector itself; others, cosine: normalised. */
extern void listcode_decode(const ListCode *lc, const float *factors, const uint8_t *code,
							const float *centroid, float *v, void *scratch);

#endif							/* VECIDX_LISTCODE_H */
