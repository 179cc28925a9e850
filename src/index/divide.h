/*
 * divide.h
 *		Division by a number that is known only at run time and used often: a
 *		multiplication and a shift.
 *
 * After Granlund and Montgomery, "Division by Invariant Integers using
 * Multiplication" (1994).  With 2^(bits - 1) < d <= 2^bits and factor =
 * floor(2^(31 + bits) / d) + 1, the product exceeds n / d by at most
 * n / 2^(31 + bits) < 1 / d for n < 2^31.
 */
#ifndef VECIDX_DIVIDE_H
#define VECIDX_DIVIDE_H

#include "postgres.h"

#include "port/pg_bitutils.h"

typedef struct Divisor
{
	uint64		factor;
	uint32		shift;
} Divisor;

/* d from 1 to 2^30 */
static inline Divisor
divisor_of(uint32 d)
{
	Divisor		divisor;

	divisor.shift = 31 + pg_ceil_log2_32(d);
	divisor.factor = (UINT64CONST(1) << divisor.shift) / d + 1;
	return divisor;
}

/* n / d for n below 2^31 */
static inline uint32
divide(uint32 n, Divisor divisor)
{
	return (uint32) ((n * divisor.factor) >> divisor.shift);
}

#endif							/* VECIDX_DIVIDE_H */
