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

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "index/monotone.h"
#include "index/opclass.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
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
	FORM_ROUND,					/* the same, to whole numbers or digits behind the point */
	FORM_SQRT,					/* the same */
	FORM_FALLING,
	FORM_ADD,
	FORM_SUBTRACT,
	FORM_MULTIPLY,
	FORM_DIVIDE
} Form;

typedef struct FormEntry
{
	Oid			function;
	Form		form;
	bool		doubles;		/* arithmetic of doubles, which bounds follow */
} FormEntry;

static const FormEntry forms[] = {
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
	{F_NUMERIC_NUMERIC_INT4, FORM_ROUND, false},
	{F_INT2_FLOAT8, FORM_ROUND, false},
	{F_INT4_FLOAT8, FORM_ROUND, false},
	{F_INT8_FLOAT8, FORM_ROUND, false},

	{F_DSQRT, FORM_SQRT, false},
	{F_SQRT_FLOAT8, FORM_SQRT, false},
	{F_DROUND, FORM_ROUND, false},
	{F_ROUND_FLOAT8, FORM_ROUND, false},
	{F_DTRUNC, FORM_ROUND, false},
	{F_TRUNC_FLOAT8, FORM_ROUND, false},
	{F_CEIL_FLOAT8, FORM_ROUND, false},
	{F_CEILING_FLOAT8, FORM_ROUND, false},
	{F_FLOOR_FLOAT8, FORM_ROUND, false},
	{F_ROUND_NUMERIC_INT4, FORM_ROUND, false},
	{F_TRUNC_NUMERIC_INT4, FORM_ROUND, false},
	{F_CEIL_NUMERIC, FORM_ROUND, false},
	{F_CEILING_NUMERIC, FORM_ROUND, false},
	{F_FLOOR_NUMERIC, FORM_ROUND, false},
};

static inline bool
is_function(Form form)
{
	return form == FORM_RISING || form == FORM_ROUND || form == FORM_SQRT || form == FORM_FALLING;
}

/* Whether an expression has one value for all rows of a scan. */
static bool
is_fixed(Node *expr)
{
	return !contain_var_clause(expr) && !contain_volatile_functions(expr) && !contain_subplans(expr) &&
		!contain_agg_clause(expr) && !contain_window_function(expr) && !expression_returns_set(expr);
}

bool
number_of_const(const Node *expr, double *value)
{
	const Const *constant = (const Const *) expr;

	if (!IsA(expr, Const) || constant->constisnull)
		return false;
	switch (constant->consttype)
	{
		case FLOAT8OID:
			*value = DatumGetFloat8(constant->constvalue);
			return true;
		case FLOAT4OID:
			*value = DatumGetFloat4(constant->constvalue);
			return true;
		case NUMERICOID:
			*value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, constant->constvalue));
			return true;
		case INT2OID:
			*value = DatumGetInt16(constant->constvalue);
			return true;
		case INT4OID:
			*value = DatumGetInt32(constant->constvalue);
			return true;
		case INT8OID:
			*value = (double) DatumGetInt64(constant->constvalue);
			return true;
		default:
			return false;
	}
}

/* A constant that is a number other than zero. */
static bool
is_number(Node *expr, double *value)
{
	return number_of_const(expr, value) && isfinite(*value) && *value != 0;
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

	/* x + 0: in PostgreSQL the way to say that an index is not wanted */
	if (!known && c == 0 && IsA(fixed, Const) && !(form == FORM_SUBTRACT && fixed_left))
		return false;
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

/* What an expression makes of another; NULL if it is none of the forms above. */
static const FormEntry *
form_of(Oid function)
{
	for (size_t i = 0; i < lengthof(forms); i++)
		if (forms[i].function == function)
			return &forms[i];
	return NULL;
}

/* The part of a cast or coalesce() that is not NULL's affair. */
static Node *
inner(Node *expr)
{
	while (IsA(expr, RelabelType) || IsA(expr, CoalesceExpr))
		expr = IsA(expr, RelabelType) ? (Node *) castNode(RelabelType, expr)->arg :
			linitial(castNode(CoalesceExpr, expr)->args);
	return expr;
}

bool
monotone_in_distance(Node *expr, const IndexOptInfo *index, int column, Monotone *result)
{
	Oid			function;
	List	   *args;
	const FormEntry *form;
	Node	   *left;
	Node	   *right;

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
	form = form_of(function);
	if (form == NULL)
		return distance_itself(expr, index, column, result);

	left = linitial(args);
	right = list_length(args) > 1 ? lsecond(args) : NULL;
	if (is_function(form->form))
	{
		if ((right != NULL && !is_fixed(right)) || !monotone_in_distance(left, index, column, result))
			return false;
		result->falling ^= form->form == FORM_FALLING;
		unbounded(result);
		return true;
	}
	if (is_fixed(left))
		return monotone_in_distance(right, index, column, result) &&
			combine(form->form, form->doubles, left, true, result);
	return is_fixed(right) && monotone_in_distance(left, index, column, result) &&
		combine(form->form, form->doubles, right, false, result);
}

/* ---- Bounds ---- */

/*
 * More than rounding takes off a result, in proportion to the operands: of
 * doubles, and of what went through float4 or numeric (which is exact but for
 * the 15 digits that it takes over from a double).
 */
#define DOUBLE_PRECISION 2e-15
#define FLOAT4_PRECISION 2e-7

/* Beyond these nothing is bounded, and no product overflows. */
#define MAX_FACTOR 1e15
#define MAX_BOUND 1e60

/*
 * A bound on the way from an expression inwards to the distance: scale * base +
 * offset, give or take slack + relative * |scale * base|.  The base is what the
 * query says, so it stands in the plan once or twice, however long the way is.
 */
typedef struct Bound
{
	Expr	   *base;			/* a double */
	bool		curved;			/* base is more than the query's */
	bool		upper;			/* else a lower one */
	double		scale;
	double		offset;
	double		slack;
	double		relative;
} Bound;

static Expr *
double_const(double value)
{
	return (Expr *) makeConst(FLOAT8OID, -1, InvalidOid, sizeof(float8), Float8GetDatum(value), false, FLOAT8PASSBYVAL);
}

/* Arithmetic of doubles; without the left operand "-x". */
static Expr *
compute(char operator, Expr *left, Expr *right)
{
	char		name[2] = {operator, 0};
	Oid			oid = OpernameGetOprid(list_make2(makeString(pstrdup("pg_catalog")), makeString(pstrdup(name))),
									   left != NULL ? FLOAT8OID : InvalidOid, FLOAT8OID);

	if (left == NULL)
		return make_opclause(oid, FLOAT8OID, false, right, NULL, InvalidOid, InvalidOid);
	return make_opclause(oid, FLOAT8OID, false, left, right, InvalidOid, InvalidOid);
}

static Expr *
limited(MinMaxOp op, Expr *value, double limit)
{
	MinMaxExpr *result = makeNode(MinMaxExpr);

	result->minmaxtype = FLOAT8OID;
	result->op = op;
	result->args = list_make2(value, double_const(limit));
	result->location = -1;
	return (Expr *) result;
}

/* The bound as it stands, widened by its slack; constants are computed here, where they may overflow. */
static Expr *
value_of_bound(const Bound *b)
{
	double		sign = b->upper ? 1 : -1;
	double		slack = b->slack;
	double		base;
	Expr	   *value;
	Expr	   *absolute;
	bool		plain = fabs(b->scale) == 1;

	if (number_of_const((Node *) b->base, &base))
		return double_const(!isfinite(base) ? b->scale * base : b->scale * base + b->offset + sign * (slack + b->relative * fabs(b->scale * base)));
	if (plain && b->offset == 0 && slack == 0 && b->relative == 0)
		return b->scale > 0 ? b->base : compute('-', NULL, b->base);

	/* what goes into products is kept from overflowing; NaN bounds nothing in either way */
	value = plain ? b->base : limited(IS_GREATEST, limited(IS_LEAST, b->base, MAX_BOUND), -MAX_BOUND);
	absolute = (Expr *) makeFuncExpr(F_ABS_FLOAT8, FLOAT8OID, list_make1(copyObject(value)),
									 InvalidOid, InvalidOid, COERCE_EXPLICIT_CALL);
	if (!plain)
		value = compute('*', double_const(b->scale), value);
	value = compute(plain && b->scale < 0 ? '-' : '+', double_const(b->offset + sign * slack), value);
	return compute(b->upper ? '+' : '-', value, compute('*', double_const(b->relative * fabs(b->scale)), absolute));
}

/* It is rounded, from what is known to some relative precision. */
static void
rounded(Bound *b, double precision)
{
	b->slack += precision * fabs(b->offset);
	b->relative += precision;
}

/* Bounds -x instead of x. */
static void
negate(Bound *b)
{
	b->upper = !b->upper;
	b->scale = -b->scale;
	b->offset = -b->offset;
}

/* Another base, computed of the bound so far.  False where that would grow. */
static bool
rebase(Bound *b, Expr *base)
{
	if (b->curved && !IsA(base, Const))
		return false;
	b->base = base;
	b->curved = true;
	b->scale = 1;
	b->offset = 0;
	b->slack = 0;
	b->relative = 0;
	return true;
}

/* From a bound of x combined with a constant to one of x.  False where x has none then. */
static bool
uncombine(const FormEntry *form, double precision, Node *fixed, bool fixed_left, const Monotone *x, Bound *b)
{
	double		c;
	double		at;
	Expr	   *value;

	if (!number_of_const(fixed, &c) || !isfinite(c))
		return false;
	switch (form->form)
	{
		case FORM_ADD:
		case FORM_SUBTRACT:
			if (form->form == FORM_SUBTRACT && fixed_left)
				negate(b);
			if (c == 0)
				return true;
			rounded(b, precision);
			b->slack += precision * fabs(c);
			b->offset += form->form == FORM_SUBTRACT ? c : -c;
			return true;

		case FORM_MULTIPLY:
		case FORM_DIVIDE:
			if (fabs(c) < 1 / MAX_FACTOR || fabs(c) > MAX_FACTOR)
				return false;
			if (form->form == FORM_DIVIDE && fixed_left)
			{
				/* c / x >= b, of which x and c are above zero: x <= c / b, for a b that is too */
				if (b->upper || !(x->low > 0) || c < 0)
					return false;
				value = value_of_bound(b);
				if (number_of_const((Node *) value, &at))
					value = double_const(c / Max(at, 1 / MAX_BOUND));
				else
					value = compute('/', double_const(c), limited(IS_GREATEST, value, 1 / MAX_BOUND));
				b->upper = true;
				if (!rebase(b, value))
					return false;
				rounded(b, 4 * precision);
				return true;
			}
			if (c < 0)
				negate(b);
			c = form->form == FORM_MULTIPLY ? 1 / fabs(c) : fabs(c);
			b->scale *= c;
			b->offset *= c;
			b->slack *= c;
			if (c != 1)
				rounded(b, 2 * precision);
			return true;

		default:
			return false;
	}
}

/* The unit that a rounding function rounds to, 0 where that is not known. */
static double
unit_of(Oid function, Node *digits)
{
	double		n = 0;

	if (digits != NULL && !number_of_const(digits, &n))
		return 0;
	if (function == F_NUMERIC_NUMERIC_INT4)
	{
		int			typmod = (int) n - VARHDRSZ;

		/* of numeric(p,s): s, that may be negative */
		n = ((typmod & 0x7ff) ^ 1024) - 1024;
	}
	return fabs(n) > 100 ? 0 : pow(10, -n);
}

Expr *
monotone_bound(Node *expr, const IndexOptInfo *index, int column, Expr *base)
{
	Monotone	m;
	Bound		b = {.base = base, .scale = 1};
	Oid			function;
	List	   *args;

	if (!monotone_in_distance(expr, index, column, &m))
		return NULL;
	b.upper = !m.falling;
	for (;;)
	{
		const FormEntry *form;
		Node	   *left;
		Node	   *right;
		double		precision;
		double		unit;
		double		at;
		bool		fixed_left;
		Expr	   *value;

		expr = inner(expr);
		if (!take_apart(expr, &function, &args))
			return NULL;		/* greatest(), least() */
		form = form_of(function);
		if (form == NULL)
			break;
		left = linitial(args);
		right = list_length(args) > 1 ? lsecond(args) : NULL;
		fixed_left = !is_function(form->form) && is_fixed(left);
		precision = exprType(expr) == FLOAT4OID || exprType(left) == FLOAT4OID ? FLOAT4_PRECISION : DOUBLE_PRECISION;

		switch (form->form)
		{
			case FORM_FALLING:
				negate(&b);
				break;
			case FORM_RISING:
				rounded(&b, precision);
				break;
			case FORM_ROUND:
				unit = unit_of(function, right);
				if (unit == 0)
					return NULL;
				rounded(&b, precision);
				b.slack += unit;
				break;
			case FORM_SQRT:
				if (!b.upper)
					return NULL;
				value = value_of_bound(&b);
				if (number_of_const((Node *) value, &at))
					value = double_const(at * at);
				else
				{
					value = limited(IS_GREATEST, limited(IS_LEAST, value, MAX_BOUND), -MAX_BOUND);
					value = compute('*', value, copyObject(value));
				}
				if (!rebase(&b, value))
					return NULL;
				rounded(&b, 4 * precision);
				break;
			default:
				/* of what stands below a division bar, whether it is above zero */
				if ((form->form == FORM_DIVIDE && fixed_left && !monotone_in_distance(right, index, column, &m)) ||
					!uncombine(form, precision, fixed_left ? left : right, fixed_left, &m, &b))
					return NULL;
				break;
		}
		if (!isfinite(b.offset) || !isfinite(b.slack) || fabs(b.scale) > MAX_FACTOR || fabs(b.scale) < 1 / MAX_FACTOR)
			return NULL;
		expr = fixed_left ? right : left;
	}

	if (!distance_itself(expr, index, column, &m) || b.upper == m.falling)
		return NULL;
	if (m.falling)
		negate(&b);
	else if (function != get_opcode(m.distance->opno))
		return NULL;			/* a squared distance goes by the same order and has other values */
	return value_of_bound(&b);
}
