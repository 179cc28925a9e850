/*
 * row_tests.h
 *		Tells scans what the query does with their rows.
 */
#ifndef VECIDX_ROW_TESTS_H
#define VECIDX_ROW_TESTS_H

/* Installs the executor hook. */
extern void vecidx_row_tests_init(void);

#endif							/* VECIDX_ROW_TESTS_H */
