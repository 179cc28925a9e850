/*
 * bench.h
 *		What the benchmarks of codes share: memory, time, vectors from .npy
 *		files of float16 or float32.
 */
#ifndef VECIDX_BENCH_H
#define VECIDX_BENCH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "simd/half.h"

typedef struct Matrix
{
	int			rows;
	int			dim;
	float	   *values;
} Matrix;

typedef struct Scored
{
	double		distance;
	int			row;
} Scored;

static inline void *
allocate(size_t size)
{
	void	   *p = aligned_alloc(64, (size + 63) / 64 * 64);

	if (p == NULL)
	{
		fprintf(stderr, "out of memory\n");
		exit(1);
	}
	return p;
}

/* of this process: other work on the machine counts less */
static inline double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double) ts.tv_sec + (double) ts.tv_nsec * 1e-9;
}

static inline Matrix
load(const char *path)
{
	Matrix		m;
	FILE	   *file = fopen(path, "rb");
	unsigned char head[10];
	char	   *text;
	const char *shape;
	size_t		length;
	size_t		count;
	bool		half;

	if (file == NULL || fread(head, 1, sizeof(head), file) != sizeof(head) ||
		memcmp(head, "\x93NUMPY\x01", 7) != 0)
	{
		fprintf(stderr, "%s: not a version 1 .npy file\n", path);
		exit(1);
	}
	length = (size_t) (head[8] | head[9] << 8);
	text = allocate(length + 1);
	if (fread(text, 1, length, file) != length)
		length = 0;
	text[length] = '\0';
	half = strstr(text, "'<f2'") != NULL;
	shape = strstr(text, "'shape': (");
	if ((!half && strstr(text, "'<f4'") == NULL) || strstr(text, "'fortran_order': False") == NULL ||
		shape == NULL || sscanf(shape, "'shape': (%d, %d", &m.rows, &m.dim) != 2)
	{
		fprintf(stderr, "%s: want rows of float16 or float32\n", path);
		exit(1);
	}

	count = (size_t) m.rows * (size_t) m.dim;
	m.values = allocate(count * sizeof(float));
	if (half)
	{
		uint16_t   *raw = allocate(count * sizeof(uint16_t));

		if (fread(raw, sizeof(uint16_t), count, file) != count)
			m.rows = 0;
		for (size_t i = 0; i < count && m.rows > 0; i++)
			m.values[i] = half_to_float(raw[i]);
		free(raw);
	}
	else if (fread(m.values, sizeof(float), count, file) != count)
		m.rows = 0;
	if (m.rows == 0)
	{
		fprintf(stderr, "%s: short\n", path);
		exit(1);
	}
	free(text);
	fclose(file);
	return m;
}

static inline int
by_distance(const void *a, const void *b)
{
	double		x = ((const Scored *) a)->distance;
	double		y = ((const Scored *) b)->distance;

	return (x > y) - (x < y);
}

#endif							/* VECIDX_BENCH_H */
