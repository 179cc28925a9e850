/*
 * monotone.h
 *		Expressions that rise or fall with the distance that an index is
 *		ordered by: 1 - (v <=> q), inner_product(v, q), (v <#> q) * -1.
 */
#ifndef VECIDX_MONOTONE_H
#define VECIDX_MONOTONE_H

#include "postgres.h"

#include "nodes/pathnodes.h"

typedef struct Monotone
{
	OpExpr	   *distance;		/* by the operator of the index's operator class */
	bool		falling;		/* the smaller, the larger the distance */
	bool		strict;			/* NULL where the distance is */
	double		low;			/* bounds of its values, where they are doubles: */
	double		high;			/* infinite where nothing is known */
} Monotone;

/*
 * Whether an expression never falls, or never rises, as the distance does that
 * a column of the index is ordered by; two distances may give the same value.
 * That holds of the values as they are computed, rounding included, and for
 * rows that the index holds (a zero vector has no cosine distance, and no
 * place in one).  Which expression the column has is not looked at.
 */
extern bool monotone_in_distance(Node *expr, const IndexOptInfo *index, int column, Monotone *result);

/*
 * What such an expression's bound means for the distance: that the latter is
 * at most the result, given that the expression is at most the bound, where it
 * rises, or at least that, where it falls.  Both are doubles, and may be
 * parameters or expressions.  The result is wider by what rounding may take
 * off.  NULL where it cannot be said.
 */
extern Expr *monotone_bound(Node *expr, const IndexOptInfo *index, int column, Expr *bound);

/* The value of a constant that is a number, of any type that bounds come in. */
extern bool number_of_const(const Node *expr, double *value);

/* Whether a value derived from a vector or a column is NULL only where that is: a cast, l2_normalize(). */
extern bool vecidx_never_null(Oid function);

#endif							/* VECIDX_MONOTONE_H */
