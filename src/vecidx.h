/*
 * vecidx.h
 *		Names and limits shared by every part of the extension.
 */
#ifndef VECIDX_H
#define VECIDX_H

#include "postgres.h"

#include "compat.h"

/* Every setting, defined in guc.c. */
extern void vecidx_guc_init(void);

#endif							/* VECIDX_H */
