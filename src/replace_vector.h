/*
 * replace_vector.h
 *		CREATE EXTENSION vector as another name of CREATE EXTENSION vecidx.
 */
#ifndef VECIDX_REPLACE_VECTOR_H
#define VECIDX_REPLACE_VECTOR_H

/* Hook into utility statements; vecidx.replace_vector turns it on. */
extern void vecidx_replace_vector_init(void);

#endif							/* VECIDX_REPLACE_VECTOR_H */
