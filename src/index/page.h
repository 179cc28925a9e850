/*
 * page.h
 *		What every page of every vecidx index has in common: the special area,
 *		and access that checks before it trusts.
 */
#ifndef VECIDX_PAGE_H
#define VECIDX_PAGE_H

#include "postgres.h"

#include "compat.h"
#include "storage/bufmgr.h"
#include "storage/bufpage.h"
#include "utils/rel.h"

#define VECIDX_PAGE_MAGIC 0x58444956	/* "VIDX" */

/* On disk: do not renumber. */
typedef enum VecidxPageKind
{
	VECIDX_PAGE_FREE = 0,		/* allocated, not yet given to anything */
	VECIDX_PAGE_META = 1,
	VECIDX_PAGE_CENTRE = 2,		/* the quantizer's centre, float32 */
	VECIDX_PAGE_CODE = 3,
	VECIDX_PAGE_ADJACENCY = 4,
	VECIDX_PAGE_EXTRA = 5,		/* line-pointer page: upper links, TID chunks */
	VECIDX_PAGE_TRAINED = 6,	/* origin and trained data of list codes */
	VECIDX_PAGE_DIRECTORY = 7,	/* entries of lists */
	VECIDX_PAGE_CENTROID = 8,	/* their centroids */
	VECIDX_PAGE_LIST = 9,		/* line-pointer page: segments of lists */
	VECIDX_PAGE_FILTER = 10		/* values of filter columns, by node */
} VecidxPageKind;

/* The special area at the end of every page. */
typedef struct VecidxPageOpaqueData
{
	uint32		magic;
	uint16		kind;
	uint16		version;		/* of the access method's format */
	uint32		ordinal;		/* of the page among those of its kind */
	uint32		unused;			/* zero */
} VecidxPageOpaqueData;

typedef VecidxPageOpaqueData *VecidxPageOpaque;

StaticAssertDecl(sizeof(VecidxPageOpaqueData) == 16, "page special area is 16 bytes on disk");

#define VecidxPageGetOpaque(page) ((VecidxPageOpaque) PageGetSpecialPointer(page))

extern void vecidx_page_init(Page page, VecidxPageKind kind, uint16 version, uint32 ordinal);

/*
 * Raise ERRCODE_INDEX_CORRUPTED unless the page is one of this kind and
 * version.  The buffer is pinned (locked where its header may change).
 */
extern void vecidx_page_check(Relation index, Buffer buffer, VecidxPageKind kind, uint16 version);

/* Same test without the error: NULL when sound, otherwise what is wrong. */
extern const char *vecidx_page_problem(Page page, VecidxPageKind kind, uint16 version);

/* Raise an error that names REINDEX if the metapage is of another version of the format. */
extern void vecidx_page_check_version(Relation index, Page page, uint16 version);

/* The one way to report damage: index, block, slot (or -1) and remedy. */
pg_noreturn extern void vecidx_corrupted(Relation index, BlockNumber block, int slot, const char *problem);

/*
 * Ordinal of a page of kind VECIDX_PAGE_FREE: for anything that needs one, or
 * kept for an extent.
 */
#define VECIDX_FREE_FOR_ALL 0
#define VECIDX_FREE_RESERVED 1

/*
 * Extend the relation by n contiguous pages of kind VECIDX_PAGE_FREE with this
 * ordinal, logged unless building.  Returns the first block.  Errors past
 * 2^32 - 2 blocks.
 */
extern BlockNumber vecidx_extend(Relation index, BlockNumber n, uint16 version, uint32 ordinal, bool building);

/* Read and lock a page, checked.  mode is a BUFFER_LOCK_*. */
extern Buffer vecidx_read(Relation index, BlockNumber block, int mode, VecidxPageKind kind, uint16 version);

#endif							/* VECIDX_PAGE_H */
