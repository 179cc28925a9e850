/*
 * vectype_subscript.h
 *		Subscripts of the dense vector types: what no element type enters.
 */
#ifndef VECIDX_VECTYPE_SUBSCRIPT_H
#define VECIDX_VECTYPE_SUBSCRIPT_H

#include "vecidx.h"

#include "executor/execExpr.h"
#include "nodes/subscripting.h"
#include "parser/parse_node.h"

/* The workspace of a subscript: elements first .. last, last only of a slice. */
typedef struct VecSubscript
{
	int32		first;
	int32		last;
} VecSubscript;

/* A SubscriptTransform: an element is real, a slice of the vector's own type. */
extern void vectype_subscript_transform(SubscriptingRef *sbsref, List *indirection, ParseState *pstate,
										bool isSlice, bool isAssignment);

/* The body of a SubscriptExecSetup; fetch functions find a VecSubscript in the workspace. */
extern void vectype_subscript_setup(SubscriptingRefState *state, SubscriptExecSteps *methods,
									ExecEvalSubroutine fetch_element, ExecEvalSubroutine fetch_slice);

#endif							/* VECIDX_VECTYPE_SUBSCRIPT_H */
