/*
 * fuzz.h
 *		A driver that calls SQL functions with hostile arguments, inside a
 *		server, without SQL around each call.
 *
 * Everything about a call follows from the function's name and argument
 * types, a seed and the call's number: any call can be made again alone.
 */
#ifndef VECIDX_FUZZ_H
#define VECIDX_FUZZ_H

#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/memutils.h"
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* ----------
 * Numbers: splitmix64, which needs no warming up
 * ----------
 */

typedef struct FuzzRandom
{
	uint64		state;
} FuzzRandom;

static inline uint64
fuzz_bits(FuzzRandom *r)
{
	uint64		z = (r->state += UINT64CONST(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64CONST(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64CONST(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* 0 .. n - 1; n > 0 */
static inline int64
fuzz_below(FuzzRandom *r, int64 n)
{
	return (int64) (fuzz_bits(r) % (uint64) n);
}

/* true in so many of 1000 cases */
static inline bool
fuzz_chance(FuzzRandom *r, int permille)
{
	return fuzz_below(r, 1000) < permille;
}

#define fuzz_pick(r, table) ((table)[fuzz_below((r), lengthof(table))])

/* ----------
 * fuzz_memory.c
 * ----------
 */

/*
 * A context whose every allocation is fenced: reading or writing past its end
 * is a report of AddressSanitizer, as with malloc() and unlike palloc().  New
 * memory is filled with fuzz_fill, so that results made of it differ between
 * two values of it.
 */
extern MemoryContext fuzz_context_create(MemoryContext parent);
extern unsigned char fuzz_fill;

/* Memory of an argument, exactly size bytes of malloc(); fuzz_arguments_free() frees all. */
extern void *fuzz_alloc(Size size);
extern void fuzz_arguments_free(void);

/* ----------
 * fuzz_values.c
 * ----------
 */

typedef struct FuzzCall
{
	FuzzRandom	random;
	bool		damaged;		/* values of the extension's types as no function makes them */
	Oid			result_type;	/* of the function to call */
	int			dim;			/* that arguments share, mostly */
	int64		sparse_dim;
	int			nargs;			/* made so far, with their types */
	Datum		args[FUNC_MAX_ARGS];
	Oid			types[FUNC_MAX_ARGS];
	void	   *plain[FUNC_MAX_ARGS];	/* a varlena's value with a long header, undamaged */
} FuzzCall;

/* The types of the extension, told by name. */
typedef enum FuzzKind
{
	FUZZ_OTHER,
	FUZZ_VECTOR,
	FUZZ_HALFVEC,
	FUZZ_SPARSEVEC
} FuzzKind;

extern FuzzKind fuzz_kind(Oid type);

/* slow: few dimensions mostly, for functions that allocate for each element */
extern void fuzz_call_init(FuzzCall *call, uint64 key, bool damaged, Oid result_type, bool slow);

/*
 * One more argument.  Its memory is fuzz_alloc()'s; what is needed on the way
 * is palloc'd.  Error if there is no way to make values of the type.
 */
extern Datum fuzz_argument(FuzzCall *call, Oid type);

/* An argument as text, for a reader. */
extern void fuzz_argument_describe(StringInfo out, Datum value, Oid type);

/* ----------
 * fuzz_text.c
 * ----------
 */

/* Text as of a value of the kind, more or less; palloc'd. */
extern char *fuzz_text(FuzzRandom *r, FuzzKind kind, int dim, int64 sparse_dim);

/* Valid JSON, more or less of numbers; palloc'd. */
extern char *fuzz_json(FuzzRandom *r, int dim);

/* A number that numeric reads; palloc'd. */
extern char *fuzz_numeric(FuzzRandom *r);

/* ----------
 * fuzz_result.c
 * ----------
 */

/* NULL, or what is wrong with a result: the rules of its type are broken. */
extern const char *fuzz_result_problem(Datum value, Oid type);

#endif							/* VECIDX_FUZZ_H */
