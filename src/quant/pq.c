/*
 * pq.c
 *		Product quantisation: parts of a vector, and their codewords.
 *
 * Jegou, Douze and Schmid, "Product quantization for nearest neighbor
 * search", 2011.
 */
#include "quant/pq.h"

#include <math.h>
#include <string.h>

#include "quant/rotation.h"

#define HEAD_FLOATS (sizeof(PqHead) / sizeof(float))

PqShape
pq_shape(const ListCodeSpec *spec)
{
	PqShape		shape;

	shape.dim = spec->dim;
	shape.m = spec->m;
	shape.width = 1 << spec->bits;
	shape.sub = (spec->dim + spec->m - 1) / spec->m;
	shape.full = spec->dim - spec->m * (shape.sub - 1);
	shape.dealt = (size_t) spec->m * (size_t) shape.sub;
	shape.rotation = HEAD_FLOATS;
	shape.codewords = shape.rotation;
	shape.addends = shape.codewords + shape.dealt * (size_t) shape.width;
	shape.total = shape.addends + (size_t) spec->m * (size_t) shape.width;
	return shape;
}

/* Where part p begins among the rotated values, and how many it has. */
static inline int
part_start(const PqShape *shape, int p)
{
	return p <= shape->full ? p * shape->sub : shape->full + p * (shape->sub - 1);
}

static inline int
part_length(const PqShape *shape, int p)
{
	return p < shape->full ? shape->sub : shape->sub - 1;
}

void
pq_scale(float *x, int dim, double length)
{
	/* a residual's length is at least 2^-50 and its values at most that (grid_subtract) */
	float		factor = length > 0 ? (float) (sqrt(dim) / length) : 0;

	for (int i = 0; i < dim; i++)
		x[i] *= factor;
}

void
pq_rotate(const ListCodeSpec *spec, const PqShape *shape, const void *trained, float *x)
{
	(void) shape;
	(void) trained;
	rotation_apply(simd_get(), spec->seed, x, spec->dim);
}

void
pq_part(const PqShape *shape, int p, const float *x, float *part)
{
	int			length = part_length(shape, p);

	memcpy(part, x + part_start(shape, p), (size_t) length * sizeof(float));
	if (length < shape->sub)
		part[length] = 0;
}

void
pq_deal(const ListCodeSpec *spec, const PqShape *shape, const void *trained, float *x, float *dealt)
{
	pq_rotate(spec, shape, trained, x);
	for (int p = 0; p < shape->m; p++)
		pq_part(shape, p, x, dealt + (size_t) p * (size_t) shape->sub);
}

void
pq_gather(const ListCodeSpec *spec, const PqShape *shape, const void *trained, const float *dealt, float *x)
{
	(void) trained;
	for (int p = 0; p < shape->m; p++)
		memcpy(x + part_start(shape, p), dealt + (size_t) p * (size_t) shape->sub,
			   (size_t) part_length(shape, p) * sizeof(float));
	rotation_invert(simd_get(), spec->seed, x, spec->dim);
}

void
pq_nearest(const PqShape *shape, const void *trained, const float *dealt, uint8_t *parts)
{
	const SimdKernels *simd = simd_get();

	for (int p = 0; p < shape->m; p++)
		simd->best_column_f32(dealt + (size_t) p * (size_t) shape->sub, 1, shape->sub,
							  pq_table(shape, trained, p), shape->width, pq_addends(shape, trained, p), parts + p);
}

void
pq_lookup(const PqShape *shape, const void *trained, const uint8_t *parts, float *dealt)
{
	for (int p = 0; p < shape->m; p++)
	{
		const float *table = pq_table(shape, trained, p);

		for (int j = 0; j < shape->sub; j++)
			dealt[(size_t) p * (size_t) shape->sub + (size_t) j] = table[(size_t) j * (size_t) shape->width + parts[p]];
	}
}
