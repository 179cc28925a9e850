/*
 * vecidx.h
 *		Names and limits shared by every part of the extension.
 */
#ifndef VECIDX_H
#define VECIDX_H

#include "postgres.h"

#include "compat.h"

/* Dimensions of a vector and of an index on it. */
#define VECIDX_MAX_DIM 16000

/* Every setting, defined in guc.c. */
extern void vecidx_guc_init(void);

#endif							/* VECIDX_H */
