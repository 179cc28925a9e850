/*
 * vectype_subscript.c
 *		Subscripts of the dense vector types, for reading.
 *
 * As with arrays they count from 1, an element that does not exist is NULL,
 * and a slice is what of it exists.  There is no empty vector: a slice of
 * which nothing exists is NULL, too.
 *
 * Not for writing: an assignment would copy the whole value for each
 * element, and with the first one of several its dimensions change.
 */
#include "types/vectype_subscript.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "utils/builtins.h"

/* One bound, coerced to integer; NULL stands for one left out of a slice. */
static Node *
transform_bound(ParseState *pstate, Node *raw)
{
	Node	   *bound;
	Node	   *coerced;

	if (raw == NULL)
		return NULL;
	bound = transformExpr(pstate, raw, pstate->p_expr_kind);
	coerced = coerce_to_target_type(pstate, bound, exprType(bound), INT4OID, -1,
									COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);
	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("vector subscript must have type integer"),
				 errdetail("It has type %s.", format_type_be(exprType(bound))),
				 parser_errposition(pstate, exprLocation(bound))));
	return coerced;
}

void
vectype_subscript_transform(SubscriptingRef *sbsref, List *indirection, ParseState *pstate,
							bool isSlice, bool isAssignment)
{
	A_Indices  *indices = linitial_node(A_Indices, indirection);
	const char *type = format_type_be(sbsref->refcontainertype);

	if (isAssignment)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot assign to elements of type %s", type),
				 errhint("Assign a whole value, such as one put together with subvector() and ||."),
				 parser_errposition(pstate, exprLocation((Node *) sbsref))));
	if (list_length(indirection) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("type %s has only one subscript", type),
				 errhint("Put the first subscript into parentheses to subscript its result: (v[2:4])[1]."),
				 parser_errposition(pstate, exprLocation((Node *) sbsref))));

	sbsref->refupperindexpr = list_make1(transform_bound(pstate, indices->uidx));
	sbsref->reflowerindexpr = NIL;
	if (isSlice)
		sbsref->reflowerindexpr = list_make1(transform_bound(pstate, indices->lidx));

	sbsref->refrestype = isSlice ? sbsref->refcontainertype : FLOAT4OID;
	sbsref->reftypmod = -1;
}

/* Subscripts into the workspace; false, which makes the result NULL, where one is. */
static bool
check_subscripts(ExprState *exprstate, ExprEvalStep *op, ExprContext *econtext)
{
	SubscriptingRefState *state = op->d.sbsref_subscript.state;
	VecSubscript *subscript = state->workspace;
	bool		slice = state->numlower > 0;

	(void) exprstate;
	(void) econtext;
	subscript->first = 1;
	subscript->last = PG_INT32_MAX;
	if ((state->upperprovided[0] && state->upperindexnull[0]) ||
		(slice && state->lowerprovided[0] && state->lowerindexnull[0]))
	{
		*op->resnull = true;
		return false;
	}
	if (!slice)
		subscript->first = DatumGetInt32(state->upperindex[0]);
	else
	{
		if (state->lowerprovided[0])
			subscript->first = DatumGetInt32(state->lowerindex[0]);
		if (state->upperprovided[0])
			subscript->last = DatumGetInt32(state->upperindex[0]);
	}
	return true;
}

void
vectype_subscript_setup(SubscriptingRefState *state, SubscriptExecSteps *methods,
						ExecEvalSubroutine fetch_element, ExecEvalSubroutine fetch_slice)
{
	state->workspace = palloc0(sizeof(VecSubscript));
	methods->sbs_check_subscripts = check_subscripts;
	methods->sbs_fetch = state->numlower > 0 ? fetch_slice : fetch_element;
	methods->sbs_assign = NULL;
	methods->sbs_fetch_old = NULL;
}
