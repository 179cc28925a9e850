/*
 * fuzz_float_text.c
 *		libFuzzer's target for the float reader, which needs no server: it must
 *		say what strtof says, in every bit, of any text.
 *
 *	clang -fsanitize=fuzzer,address,undefined -I../../src fuzz_float_text.c ../../src/types/float_text.c -lm
 */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "types/float_text.h"

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* exactly as long as the text, so that reading on is seen */
	char	   *text = malloc(size + 1);
	const char *pos = text;
	char	   *end;
	float		value = 0;
	float		expected;
	FloatText	got;

	memcpy(text, data, size);
	text[size] = '\0';

	errno = 0;
	expected = strtof(text, &end);
	got = float_text_read(&pos, &value);
	if (pos != end)
		abort();
	if (got != (end == text ? FLOAT_TEXT_SYNTAX :
				errno == ERANGE && isinf(expected) ? FLOAT_TEXT_RANGE : FLOAT_TEXT_OK))
		abort();
	if (got == FLOAT_TEXT_OK && memcmp(&value, &expected, sizeof(value)) != 0)
		abort();
	free(text);
	return 0;
}
