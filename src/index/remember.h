/*
 * remember.h
 *		What a backend remembers of the indexes it has opened, for as long as
 *		it lives: an access method's struct in a memory context of its own,
 *		found by the relation's file and the index's random uid.
 */
#ifndef VECIDX_REMEMBER_H
#define VECIDX_REMEMBER_H

#include "postgres.h"

#include "utils/rel.h"

/* First member of what an access method remembers of one index. */
typedef struct VecidxRemembered
{
	uint64		uid;			/* of the metapage: tells one incarnation of a file from the next */
	MemoryContext context;		/* all that is remembered; this struct is in it */
	int			nusers;			/* scans and inserts that hold a pointer */
	bool		forgotten;		/* another incarnation has its place: goes with its last user */
} VecidxRemembered;

/* What is remembered of the index; NULL if nothing of this incarnation. */
extern VecidxRemembered *vecidx_remembered(Relation index, uint64 uid);

/* Keep it from now on: uid and context are filled in. */
extern void vecidx_remember(Relation index, VecidxRemembered *remembered);

/* Prepared before anything can be lost: see vecidx_remembered_use(). */
extern MemoryContextCallback *vecidx_remembered_user(MemoryContext user);

/* Keep the pointer good until the user's memory context is reset.  Cannot fail. */
extern void vecidx_remembered_use(VecidxRemembered *remembered, MemoryContext user,
								  MemoryContextCallback *callback);

#endif							/* VECIDX_REMEMBER_H */
