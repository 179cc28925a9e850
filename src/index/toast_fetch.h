/*
 * toast_fetch.h
 *		Values out of line, by what a backend remembers of a TOAST table.
 *
 * The server looks each value up from the root of the TOAST table's B-tree,
 * through the shared buffer table, with relations opened and a scan made for
 * it: four times as long as the value takes to be copied.  Here relations stay
 * open for a scan, and a backend remembers which leaf has the chunks of a range
 * of values, and which buffer holds which page.
 */
#ifndef VECIDX_TOAST_FETCH_H
#define VECIDX_TOAST_FETCH_H

#include "postgres.h"

#include "compat.h"

/* What is remembered, of bounded size (some 300 kB at most); of one TOAST table at a time. */
typedef struct ToastPlaces ToastPlaces;

/* For as long as the context. */
extern ToastPlaces *toast_places_create(MemoryContext context);

/* A TOAST table that is open for reading. */
typedef struct ToastFetch ToastFetch;

/*
 * Open the TOAST table of a table.  NULL if it has none, or one that is not read
 * here (of a temporary table; not a heap with a B-tree).
 */
extern ToastFetch *toast_fetch_begin(Relation heap, ToastPlaces *places, MemoryContext context);
extern void toast_fetch_end(ToastFetch *fetch);

/*
 * The value, allocated in CurrentMemoryContext, or NULL if it was not found in the
 * short way: the caller has the server look for it.  For pointers in rows that
 * the caller's registered snapshot sees.
 */
extern struct varlena *toast_fetch_value(ToastFetch *fetch, const struct varatt_external *pointer);

#endif							/* VECIDX_TOAST_FETCH_H */
