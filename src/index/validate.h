/*
 * validate.h
 *		amvalidate, shared by the access methods.
 */
#ifndef VECIDX_VALIDATE_H
#define VECIDX_VALIDATE_H

#include "postgres.h"

/* Whether an operator class is complete and sound; says what is wrong as INFO. */
extern bool vecidx_validate(Oid opclassoid);

#endif							/* VECIDX_VALIDATE_H */
