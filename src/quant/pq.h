/*
 * pq.h
 *		Product quantisation: the trained data and how a vector meets them.
 *
 * A residual is scaled to length sqrt(dim) and rotated, its dim values are
 * dealt to m parts, and each part is coded by the nearest of 16 or 256
 * codewords of its own.  Parts are equally long: where m does not divide dim,
 * the last ones hold a zero more instead of a value ("dealt" form: m * sub
 * floats).
 *
 * Trained data are floats, all of them finite:
 *
 *		PqHead
 *		rotation	dim x dim, row i gives value i; learned rotations only
 *		codewords	per part a table of sub rows and `width` columns
 *		addends		per part width floats: - |codeword|^2 / 2
 *
 * Nothing here allocates or knows PostgreSQL.
 */
#ifndef VECIDX_PQ_H
#define VECIDX_PQ_H

#include "quant/listcode.h"

/* Bounds on trained data from an untrusted place: no sum or product overflows. */
#define PQ_WORD_MAX 0x1p+30f
#define PQ_ADDEND_MAX 0x1p+80f

typedef struct PqHead
{
	float		kappa;			/* standard error of <x, p> over the length of p, a direction at right angles to the residual */
	float		along;			/* length of x along the residual */
	float		reserved[14];
} PqHead;

/* Follows from the spec alone. */
typedef struct PqShape
{
	int			dim;
	int			m;
	int			width;			/* codewords of a part: 16 or 256 */
	int			sub;			/* values of a part */
	int			full;			/* parts that are full; the others hold a zero at their end */
	size_t		dealt;			/* m * sub */
	/* offsets into the trained data and their size, in floats */
	size_t		rotation;
	size_t		codewords;
	size_t		addends;
	size_t		total;
} PqShape;

extern PqShape pq_shape(const ListCodeSpec *spec);

static inline const PqHead *
pq_head(const void *trained)
{
	return trained;
}

static inline const float *
pq_table(const PqShape *shape, const void *trained, int part)
{
	return (const float *) trained + shape->codewords + (size_t) part * (size_t) (shape->sub * shape->width);
}

static inline const float *
pq_addends(const PqShape *shape, const void *trained, int part)
{
	return (const float *) trained + shape->addends + (size_t) part * (size_t) shape->width;
}

/* Give x, of this length, the length sqrt(dim); a zero vector stays zero. */
extern void pq_scale(float *x, int dim, double length);

/* Rotate x (dim floats) in place. */
extern void pq_rotate(const ListCodeSpec *spec, const PqShape *shape, const void *trained, float *x);

/* Part p of rotated values, sub floats. */
extern void pq_part(const PqShape *shape, int p, const float *x, float *part);

/*
 * Rotate x (dim floats) and deal it to parts; x is overwritten.  pq_gather
 * undoes it.
 */
extern void pq_deal(const ListCodeSpec *spec, const PqShape *shape, const void *trained, float *x, float *dealt);
extern void pq_gather(const ListCodeSpec *spec, const PqShape *shape, const void *trained, const float *dealt, float *x);

/* The nearest codewords of a dealt vector, a byte each. */
extern void pq_nearest(const PqShape *shape, const void *trained, const float *dealt, uint8_t *parts);

/* What those codewords stand for. */
extern void pq_lookup(const PqShape *shape, const void *trained, const uint8_t *parts, float *dealt);

/* listcode_train_scratch() and listcode_train() of LISTCODE_PQ. */
extern size_t pq_train_scratch(const ListCodeSpec *spec, size_t n);
extern void pq_train(const ListCodeSpec *spec, float *residuals, size_t n, void *trained, void *scratch,
					 void (*tick) (void *arg), void *arg);

#endif							/* VECIDX_PQ_H */
