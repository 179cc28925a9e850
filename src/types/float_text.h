/*
 * float_text.h
 *		Reading a float4 from text, as strtof does but faster.
 *
 * No PostgreSQL in here: unit tests and fuzzers link it alone.
 */
#ifndef VECIDX_FLOAT_TEXT_H
#define VECIDX_FLOAT_TEXT_H

typedef enum FloatText
{
	FLOAT_TEXT_OK,
	FLOAT_TEXT_SYNTAX,			/* no number at this place */
	FLOAT_TEXT_RANGE			/* a number, but larger than float4 holds */
} FloatText;

/*
 * Read one number at *pos and move *pos behind it (not on FLOAT_TEXT_SYNTAX).
 * Takes what strtof takes, NaN, infinity and hexadecimal included, and gives
 * the same bits.  A number too small for float4 becomes zero or subnormal.
 * The caller has skipped white space, and looks itself at what follows.
 */
extern FloatText float_text_read(const char **pos, float *value);

#endif							/* VECIDX_FLOAT_TEXT_H */
