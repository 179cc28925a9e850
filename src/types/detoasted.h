/*
 * detoasted.h
 *		Values out of line that are wanted twice.
 *
 * A scan looks at the vectors of the rows it is about to return; the executor,
 * which has to compute the column it orders by, looks at them once more, and
 * at the query's vector for each row, if that came from a table.  Getting such
 * a value from its TOAST table costs as much as scoring some hundred codes.
 * So a scan has the last few remembered.
 *
 * A value is known by its TOAST pointer.  What a pointer leads to does not
 * change while some snapshot sees the row that holds it: so a scan forgets
 * everything when it begins anew, and has others look while it lives only.
 */
#ifndef VECIDX_DETOASTED_H
#define VECIDX_DETOASTED_H

#include "postgres.h"

#include "compat.h"
#include "fmgr.h"

typedef struct Detoasted Detoasted;

/* For values of about size bytes; goes with the context. */
extern Detoasted *detoasted_create(Size size, MemoryContext context);
extern void detoasted_forget(Detoasted *memory);

/* From now on values are looked for here, and nowhere else. */
extern void detoasted_use(Detoasted *memory);

/* While filling, values that are not found are remembered: those that the scan's snapshot sees. */
extern void detoasted_fill(Detoasted *memory, bool filling);

/*
 * A shorter way to values that are looked for while filling: the value, allocated in
 * CurrentMemoryContext, or NULL where the server is to get it.
 */
typedef struct varlena *(*DetoastedReader) (void *arg, const struct varatt_external *pointer);

/* Until the next call; NULL: none. */
extern void detoasted_read_by(Detoasted *memory, DetoastedReader reader, void *arg);

/* No more, if they are now.  The reader is forgotten. */
extern void detoasted_leave(Detoasted *memory);

extern struct varlena *vecidx_detoast_extended(struct varlena *v);

/* PG_DETOAST_DATUM, which knows of the above. */
static inline struct varlena *
vecidx_detoast(Datum d)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(d);

	return VARATT_IS_EXTENDED(v) ? vecidx_detoast_extended(v) : v;
}

#endif							/* VECIDX_DETOASTED_H */
