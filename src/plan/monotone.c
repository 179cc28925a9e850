/*
 * monotone.c
 *		Expressions that rise or fall with the distance that an index is
 *		ordered by.
 *
 * Sums, products and casts of IEEE arithmetic are rounded to the nearest
 * value, and rounding keeps the order of any two numbers or makes them equal:
 * so each is monotone as computed, not only on paper.  The same holds of a
 * correctly rounded square root.  It does not of exp(), ln() and power(), whose
 * last digit is the C library's affair, nor of numeric's division, which gives
 * quotients of different size different numbers of digits.
 */
#include "vecidx.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "index/opclass.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "plan/monotone.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

/* ---- Distances ---- */

/* Functions of the extension, which a fmgr lookup finds at these addresses. */
#define DECLARE(type) \
	extern Datum type##_l2_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_l2_squared_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_inner_product(PG_FUNCTION_ARGS); \
	extern Datum type##_negative_inner_product(PG_FUNCTION_ARGS); \
	extern Datum type##_cosine_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_l1_distance(PG_FUNCTION_ARGS); \
	extern Datum type##_enforce_typmod(PG_FUNCTION_ARGS); \
	extern Datum type##_l2_normalize(PG_FUNCTION_ARGS)
DECLARE(vector);
DECLARE(halfvec);
DECLARE(sparsevec);
extern Datum hamming_distance(PG_FUNCTION_ARGS);
extern Datum jaccard_distance(PG_FUNCTION_ARGS);
extern Datum vector_to_halfvec(PG_FUNCTION_ARGS);
extern Datum halfvec_to_vector(PG_FUNCTION_ARGS);
extern Datum vector_to_sparsevec(PG_FUNCTION_ARGS);
extern Datum halfvec_to_sparsevec(PG_FUNCTION_ARGS);
extern Datum sparsevec_to_vector(PG_FUNCTION_ARGS);
extern Datum sparsevec_to_halfvec(PG_FUNCTION_ARGS);
extern Datum vector_binary_quantize(PG_FUNCTION_ARGS);
extern Datum halfvec_binary_quantize(PG_FUNCTION_ARGS);
extern Datum vector_subvector(PG_FUNCTION_ARGS);
extern Datum halfvec_subvector(PG_FUNCTION_ARGS);

/* The operators' functions, and another that goes by the same order or by its reverse. */
typedef struct KnownDistance
{
	PGFunction	distance;
	PGFunction	other;
	bool		reverse;
	bool		negative;		/* may the distance be below zero */
} KnownDistance;

#define KNOWN(type) \
	{type##_l2_distance, type##_l2_squared_distance, false, false}, \
	{type##_negative_inner_product, type##_inner_product, true, true}, \
	{type##_cosine_distance, NULL, false, false}, \
	{type##_l1_distance, NULL, false, false}

static const KnownDistance known_distances[] = {
	KNOWN(vector),
	KNOWN(halfvec),
	KNOWN(sparsevec),
	{hamming_distance, NULL, false, false},
	{jaccard_distance, NULL, false, false},
};

static PGFunction
address_of(Oid function)
{
	FmgrInfo	info;

	fmgr_info(function, &info);
	return info.fn_addr;
}

bool
vecidx_never_null(Oid function)
{
	static const PGFunction never_null[] = {
		vector_enforce_typmod, halfvec_enforce_typmod, sparsevec_enforce_typmod,
		vector_l2_normalize, halfvec_l2_normalize, sparsevec_l2_normalize,
		vector_to_halfvec, halfvec_to_vector, vector_to_sparsevec,
		halfvec_to_sparsevec, sparsevec_to_vector, sparsevec_to_halfvec,
		vector_binary_quantize, halfvec_binary_quantize,
		vector_subvector, halfvec_subvector,
	};
	PGFunction	address;

	/* bit(n), around binary_quantize() */
	if (function == F_BIT_BIT_INT4_BOOL)
		return true;
	address = address_of(function);
	for (size_t i = 0; i < lengthof(never_null); i++)
		if (address == never_null[i])
			return true;
	return false;
}

/* A call or an operator: its function and arguments. */
static bool
take_apart(Node *expr, Oid *function, List **args)
{
	if (IsA(expr, OpExpr))
	{
		*function = get_opcode(castNode(OpExpr, expr)->opno);
		*args = castNode(OpExpr, expr)->args;
		return true;
	}
	if (IsA(expr, FuncExpr))
	{
		*function = castNode(FuncExpr, expr)->funcid;
		*args = castNode(FuncExpr, expr)->args;
		return true;
	}
	return false;
}

static bool
distance_itself(Node *expr, const IndexOptInfo *index, int column, Monotone *result)
{
	Oid			type = index->opcintype[column];
	Oid			operator;
	Oid			distance;
	Oid			function;
	List	   *args;
	PGFunction	address;
	const KnownDistance *known = NULL;

	if (!take_apart(expr, &function, &args) || list_length(args) != 2 || exprType(expr) != FLOAT8OID ||
		exprType(linitial(args)) != type || exprType(lsecond(args)) != type)
		return false;
	operator = get_opfamily_member(index->opfamily[column], type, type, VECIDX_ORDER_STRATEGY);
	if (!OidIsValid(operator))
		return false;
	distance = get_opcode(operator);

	address = address_of(distance);
	for (size_t i = 0; i < lengthof(known_distances) && known == NULL; i++)
		if (known_distances[i].distance == address)
			known = &known_distances[i];

	result->falling = false;
	if (function != distance)
	{
		if (known == NULL || known->other == NULL || known->other != address_of(function))
			return false;
		result->falling = known->reverse;
	}
	result->strict = true;
	result->low = known != NULL && !known->negative ? 0 : -get_float8_infinity();
	result->high = get_float8_infinity();
	if (IsA(expr, OpExpr) && function == distance)
		result->distance = (OpExpr *) expr;
	else
	{
		OpExpr	   *op = makeNode(OpExpr);

		op->opno = operator;
		op->opfuncid = distance;
		op->opresulttype = FLOAT8OID;
		op->args = args;
		op->location = -1;
		result->distance = op;
	}
	return true;
}

/* ---- What is made of them ---- */

typedef enum Form
{
	FORM_RISING,				/* f(x), rising; further arguments are constants */
	FORM_FALLING,
	FORM_ADD,
	FORM_SUBTRACT,
	FORM_MULTIPLY,
	FORM_DIVIDE
} Form;

static const struct
{
	Oid			function;
	Form		form;
	bool		doubles;		/* arithmetic of doubles, which bounds follow */
}			forms[] =
{
	{F_FLOAT8PL, FORM_ADD, true},
	{F_FLOAT8MI, FORM_SUBTRACT, true},
	{F_FLOAT8MUL, FORM_MULTIPLY, true},
	{F_FLOAT8DIV, FORM_DIVIDE, true},
	{F_FLOAT84PL, FORM_ADD, true},
	{F_FLOAT84MI, FORM_SUBTRACT, true},
	{F_FLOAT84MUL, FORM_MULTIPLY, true},
	{F_FLOAT84DIV, FORM_DIVIDE, true},
	{F_FLOAT48PL, FORM_ADD, true},
	{F_FLOAT48MI, FORM_SUBTRACT, true},
	{F_FLOAT48MUL, FORM_MULTIPLY, true},
	{F_FLOAT48DIV, FORM_DIVIDE, true},
	{F_FLOAT4PL, FORM_ADD, false},
	{F_FLOAT4MI, FORM_SUBTRACT, false},
	{F_FLOAT4MUL, FORM_MULTIPLY, false},
	{F_FLOAT4DIV, FORM_DIVIDE, false},
	{F_NUMERIC_ADD, FORM_ADD, false},
	{F_NUMERIC_SUB, FORM_SUBTRACT, false},
	{F_NUMERIC_MUL, FORM_MULTIPLY, false},

	{F_FLOAT8UM, FORM_FALLING, false},
	{F_FLOAT4UM, FORM_FALLING, false},
	{F_NUMERIC_UMINUS, FORM_FALLING, false},
	{F_FLOAT8UP, FORM_RISING, false},
	{F_FLOAT4UP, FORM_RISING, false},
	{F_NUMERIC_UPLUS, FORM_RISING, false},

	/* casts */
	{F_FLOAT4_FLOAT8, FORM_RISING, false},
	{F_FLOAT8_FLOAT4, FORM_RISING, false},
	{F_NUMERIC_FLOAT8, FORM_RISING, false},
	{F_NUMERIC_FLOAT4, FORM_RISING, false},
	{F_FLOAT8_NUMERIC, FORM_RISING, false},
	{F_NUMERIC_NUMERIC_INT4, FORM_RISING, false},
	{F_INT2_FLOAT8, FORM_RISING, false},
	{F_INT4_FLOAT8, FORM_RISING, false},
	{F_INT8_FLOAT8, FORM_RISING, false},

	{F_DSQRT, FORM_RISING, false},
	{F_SQRT_FLOAT8, FORM_RISING, false},
	{F_DROUND, FORM_RISING, false},
	{F_ROUND_FLOAT8, FORM_RISING, false},
	{F_DTRUNC, FORM_RISING, false},
	{F_TRUNC_FLOAT8, FORM_RISING, false},
	{F_CEIL_FLOAT8, FORM_RISING, false},
	{F_CEILING_FLOAT8, FORM_RISING, false},
	{F_FLOOR_FLOAT8, FORM_RISING, false},
	{F_ROUND_NUMERIC_INT4, FORM_RISING, false},
	{F_TRUNC_NUMERIC_INT4, FORM_RISING, false},
	{F_CEIL_NUMERIC, FORM_RISING, false},
	{F_CEILING_NUMERIC, FORM_RISING, false},
	{F_FLOOR_NUMERIC, FORM_RISING, false},
};

/* Whether an expression has one value for all rows of a scan. */
static bool
is_fixed(Node *expr)
{
	return !contain_var_clause(expr) && !contain_volatile_functions(expr) && !contain_subplans(expr) &&
		!contain_agg_clause(expr) && !contain_window_function(expr) && !expression_returns_set(expr);
}

/* A constant that is a number other than zero. */
static bool
is_number(Node *expr, double *value)
{
	Const	   *constant = (Const *) expr;

	if (!IsA(expr, Const) || constant->constisnull)
		return false;
	switch (constant->consttype)
	{
		case FLOAT8OID:
			*value = DatumGetFloat8(constant->constvalue);
			break;
		case FLOAT4OID:
			*value = DatumGetFloat4(constant->constvalue);
			break;
		case NUMERICOID:
			*value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, constant->constvalue));
			break;
		default:
			return false;
	}
	return isfinite(*value) && *value != 0;
}

static void
unbounded(Monotone *m)
{
	m->low = -get_float8_infinity();
	m->high = get_float8_infinity();
}

static void
set_bounds(Monotone *m, double a, double b)
{
	m->low = Min(a, b);
	m->high = Max(a, b);
}

/*
 * x combined with a value that is the same for all rows, which stands on the
 * left side or on the right.  The bounds are computed as the values are, so
 * they are right to the last digit.
 */
static bool
combine(Form form, bool doubles, Node *fixed, bool fixed_left, Monotone *x)
{
	double		c = 0;
	bool		known = is_number(fixed, &c);

	switch (form)
	{
		case FORM_ADD:
			if (known && doubles)
				set_bounds(x, x->low + c, x->high + c);
			else
				unbounded(x);
			return true;
		case FORM_SUBTRACT:
			if (!(known && doubles))
				unbounded(x);
			else if (fixed_left)
				set_bounds(x, c - x->low, c - x->high);
			else
				set_bounds(x, x->low - c, x->high - c);
			x->falling ^= fixed_left;
			return true;
		case FORM_MULTIPLY:
			if (!known)
				return false;
			if (doubles)
				set_bounds(x, x->low * c, x->high * c);
			else
				unbounded(x);
			x->falling ^= c < 0;
			return true;
		case FORM_DIVIDE:
			if (!known)
				return false;
			if (fixed_left)
			{
				/* 1 / (1 + x) falls on either side of zero, not across */
				if (!doubles || !(x->low > 0 || x->high < 0))
					return false;
				set_bounds(x, c / x->low, c / x->high);
				x->falling ^= c > 0;
				return true;
			}
			if (doubles)
				set_bounds(x, x->low / c, x->high / c);
			else
				unbounded(x);
			x->falling ^= c < 0;
			return true;
		default:
			return false;
	}
}

/* GREATEST(0, x), LEAST(x, $1): one that depends on the row, others that do not. */
static bool
clamped(MinMaxExpr *expr, const IndexOptInfo *index, int column, Monotone *result)
{
	ListCell   *cell;
	bool		found = false;

	foreach(cell, expr->args)
	{
		if (is_fixed(lfirst(cell)))
			continue;
		if (found || !monotone_in_distance(lfirst(cell), index, column, result))
			return false;
		found = true;
	}
	/* they pass over NULLs */
	result->strict = false;
	unbounded(result);
	return found;
}

bool
monotone_in_distance(Node *expr, const IndexOptInfo *index, int column, Monotone *result)
{
	Oid			function;
	List	   *args;

	check_stack_depth();
	if (IsA(expr, RelabelType))
		return monotone_in_distance((Node *) castNode(RelabelType, expr)->arg, index, column, result);
	if (IsA(expr, MinMaxExpr))
		return clamped(castNode(MinMaxExpr, expr), index, column, result);
	if (IsA(expr, CoalesceExpr))
	{
		List	   *rest = list_copy_tail(castNode(CoalesceExpr, expr)->args, 1);

		/* all distances may be NULL, so it does matter what comes in their place */
		if (!is_fixed((Node *) rest) ||
			!monotone_in_distance(linitial(castNode(CoalesceExpr, expr)->args), index, column, result))
			return false;
		result->strict = false;
		return true;
	}
	if (!take_apart(expr, &function, &args))
		return false;

	for (size_t i = 0; i < lengthof(forms); i++)
	{
		Node	   *left;
		Node	   *right;

		if (forms[i].function != function)
			continue;
		left = linitial(args);
		right = list_length(args) > 1 ? lsecond(args) : NULL;
		if (forms[i].form == FORM_RISING || forms[i].form == FORM_FALLING)
		{
			if ((right != NULL && !is_fixed(right)) || !monotone_in_distance(left, index, column, result))
				return false;
			result->falling ^= forms[i].form == FORM_FALLING;
			unbounded(result);
			return true;
		}
		if (is_fixed(left))
			return monotone_in_distance(right, index, column, result) &&
				combine(forms[i].form, forms[i].doubles, left, true, result);
		return is_fixed(right) && monotone_in_distance(left, index, column, result) &&
			combine(forms[i].form, forms[i].doubles, right, false, result);
	}
	return distance_itself(expr, index, column, result);
}
