/*
 * vectype.h
 *		What the vector types share and no element type enters:
 *		checks with their error texts, type modifiers, aggregate states.
 */
#ifndef VECIDX_VECTYPE_H
#define VECIDX_VECTYPE_H

#include "vecidx.h"

#include "utils/array.h"

typedef struct VecType
{
	const char *name;			/* as SQL and error messages call it */
	int			max_dim;
} VecType;

typedef enum VecOp
{
	VEC_ADD,
	VEC_SUB,
	VEC_MUL
} VecOp;

/* Elements that are converted to floats at a time: three such buffers fit the first-level cache. */
#define VECTYPE_RUN 512

/*
 * Error unless 1 <= dim <= max_dim.  The soft form, for input functions, gives
 * false where escontext takes the error.
 */
extern void vectype_check_dim(const VecType *type, int64 dim);
extern bool vectype_dim_ok(const VecType *type, int64 dim, Node *escontext);

/* Error unless the type modifier (-1: none) allows dim dimensions. */
extern void vectype_check_expected(int32 typmod, int dim);
extern bool vectype_expected_ok(int32 typmod, int dim, Node *escontext);

/* Error unless value, which is to be element number element (from 1), is finite. */
extern bool vectype_finite_ok(const VecType *type, double value, int element, Node *escontext);

/* Errors of two values that should match, and of element number element (from 1). */
pg_noreturn extern void vectype_dims_differ(const VecType *type, int a, int b);
pg_noreturn extern void vectype_not_finite(const VecType *type, double value, int element);
pg_noreturn extern void vectype_out_of_range(const VecType *type, float value, int element);

/* The type modifier in the parentheses of type(n). */
extern int32 vectype_typmod_in(const VecType *type, ArrayType *modifiers);

/*
 * Aggregate states: float8[], element 0 the number of values seen, then
 * their sum by dimension; {0} before the first value.  Users can call the
 * transition functions by hand, so nothing about a state is taken on trust.
 * vectype_state() returns its elements and sets *dim to the number of sums,
 * possibly 0; caller is the SQL function's name for the error.
 */
extern float8 *vectype_state(ArrayType *state, int *dim, const char *caller);

/* A new state of dim sums, all zero. */
extern ArrayType *vectype_state_new(int dim);

/*
 * Both states in one.  Adds to a in place if in_place, else a and b stay
 * as they are; either may be what is returned.
 */
extern ArrayType *vectype_combine(const VecType *type, ArrayType *a, ArrayType *b,
								  bool in_place, const char *caller);

/* An array of n elements of a fixed-length type without nulls; elements are the caller's to fill. */
extern ArrayType *vectype_array_new(int n, Oid element_type, Size element_size);

/* A one-dimensional array of n > 0 elements without nulls, or an error; n goes to *n. */
extern void vectype_check_array(const VecType *type, ArrayType *array, int *n);

/*
 * The n values of such an array of integer, real, double precision or
 * numeric as floats, in the array itself or in new memory; doubles that are
 * too large become infinite.
 */
extern const float4 *vectype_array_floats(ArrayType *array, int n);

/* Skips white space as PostgreSQL's scanner has it, whatever the locale. */
static inline const char *
vectype_skip_space(const char *p)
{
	while (*p == ' ' || (*p >= '\t' && *p <= '\r'))
		p++;
	return p;
}

#endif							/* VECIDX_VECTYPE_H */
