/*
 * vectype_cost.c
 *		What the planner is told about the cost of functions of vectors.
 *
 * The time of a distance spans two orders of magnitude: some 50 ns for 100
 * dimensions beside the row, 2 to 8 us once the value has to be fetched from
 * the TOAST table (PostgreSQL 15, everything cached).  No constant fits, but
 * the planner lets a function look at its own call: a typed column or a
 * constant operand tells the dimensions.  Where nothing does, the function's
 * COST stands.
 *
 * Units are cpu_operator_cost; in the same measurement one stood for 5 ns.
 */
#include "types/vectors.h"

#include "access/heaptoast.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "nodes/supportnodes.h"
#include "optimizer/optimizer.h"

#define CALL_COST 10			/* call, header checks, result */
#define ELEMENTS_PER_UNIT 16	/* the kernel, its operands mostly not in cache */
#define FETCH_COST 400			/* opening and searching the TOAST table */
#define FETCH_CHUNK_COST 200	/* each chunk of about 2 kB */

/* Dimensions of a value as far as the query tells, 0 where it does not. */
static int
known_dim(Node *arg, Size header_size, Size element_size)
{
	if (IsA(arg, Const) && !castNode(Const, arg)->constisnull)
	{
		/* constants of a query are never toasted, but may have a short header */
		struct varlena *value = (struct varlena *) DatumGetPointer(castNode(Const, arg)->constvalue);

		if (!VARATT_IS_EXTERNAL(value) && !VARATT_IS_COMPRESSED(value))
			return (int) ((VARSIZE_ANY_EXHDR(value) + VARHDRSZ - header_size) / element_size);
		return 0;
	}
	return Max(exprTypmod(arg), 0);
}

static Node *
cost_support(Node *raw_request, Size header_size, Size element_size)
{
	SupportRequestCost *request;
	List	   *args = NIL;
	ListCell   *lc;
	int			dim = 0;
	int			stored = 0;
	double		units;

	if (!IsA(raw_request, SupportRequestCost))
		return NULL;
	request = (SupportRequestCost *) raw_request;

	if (request->node != NULL && IsA(request->node, FuncExpr))
		args = castNode(FuncExpr, request->node)->args;
	else if (request->node != NULL && IsA(request->node, OpExpr))
		args = castNode(OpExpr, request->node)->args;

	foreach(lc, args)
	{
		Node	   *arg = (Node *) lfirst(lc);

		/* what stands beside a vector in these functions: a factor, a seed */
		if (exprType(arg) == FLOAT8OID || exprType(arg) == INT8OID)
			continue;
		dim = Max(dim, known_dim(arg, header_size, element_size));
		stored += IsA(arg, Var) ? 1 : 0;
	}
	if (dim == 0)
		return NULL;

	units = CALL_COST + (double) dim / ELEMENTS_PER_UNIT;
	if (dim * element_size > TOAST_TUPLE_THRESHOLD)
		units += stored * (FETCH_COST +
						   FETCH_CHUNK_COST * ((double) dim * element_size / TOAST_MAX_CHUNK_SIZE));

	request->startup = 0;
	request->per_tuple = units * cpu_operator_cost;
	return (Node *) request;
}

#define COST_SUPPORT(function, header_size, element_size) \
PG_FUNCTION_INFO_V1(function); \
Datum \
function(PG_FUNCTION_ARGS) \
{ \
	PG_RETURN_POINTER(cost_support((Node *) PG_GETARG_POINTER(0), header_size, element_size)); \
}

COST_SUPPORT(vecidx_vector_cost, VECTOR_SIZE(0), sizeof(float4))
COST_SUPPORT(vecidx_halfvec_cost, HALFVEC_SIZE(0), sizeof(uint16))
