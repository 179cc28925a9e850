/*
 * vectype_jsonb.h
 *		What the dense vector types take from a jsonb value.
 */
#ifndef VECIDX_VECTYPE_JSONB_H
#define VECIDX_VECTYPE_JSONB_H

#include "types/vectype.h"

#include "utils/jsonb.h"

/*
 * The elements of a JSON array of 1 to type->max_dim numbers, in new memory;
 * *dim is how many.  Anything else is an error, and so are a number too large
 * for float4 and a length that typmod (-1: any) does not allow.  Floats are
 * what the same number in text would give; one too small becomes zero.
 */
extern const float *vectype_jsonb_floats(const VecType *type, Jsonb *jsonb, int32 typmod, int *dim);

#endif							/* VECIDX_VECTYPE_JSONB_H */
