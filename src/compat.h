/*
 * compat.h
 *		What differs between PostgreSQL versions: the only place that tests
 *		PG_VERSION_NUM.
 */
#ifndef VECIDX_COMPAT_H
#define VECIDX_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "vecidx needs PostgreSQL 15 or later"
#endif

#include "storage/buf_internals.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"

typedef RelFileLocator VecidxLocator;

#define vecidx_locator(rel) ((rel)->rd_locator)
#define vecidx_init_tag(tag, locator, fork, block) InitBufferTag((tag), (locator), (fork), (block))
#define vecidx_tags_equal(a, b) BufferTagsEqual((a), (b))
#else
typedef RelFileNode VecidxLocator;

#define vecidx_locator(rel) ((rel)->rd_node)
#define vecidx_init_tag(tag, locator, fork, block) INIT_BUFFERTAG(*(tag), *(locator), (fork), (block))
#define vecidx_tags_equal(a, b) BUFFERTAGS_EQUAL(*(a), *(b))
#endif

/*
 * A server built by gcc has its headers say gnu_printf, a name that clang does
 * not know.
 */
#ifdef __clang__
#undef PG_PRINTF_ATTRIBUTE
#define PG_PRINTF_ATTRIBUTE printf
#endif

/* spelled as a prefix from 18 on */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/*
 * Input functions report bad text softly, so that COPY ... ON_ERROR and
 * pg_input_is_valid() can go on.  PostgreSQL 15 knows no soft errors: there
 * they are plain ones.
 */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define INPUT_ESCONTEXT(fcinfo) ((fcinfo)->context)
#else
#define INPUT_ESCONTEXT(fcinfo) NULL
#define ereturn(context, dummy_value, ...) \
	do { \
		(void) (context); \
		ereport(ERROR, __VA_ARGS__); \
	} while (0)
#endif

/* Waits and instrumentation gained arguments and counters. */
#if PG_VERSION_NUM >= 180000
#define vecidx_vacuum_delay_point() vacuum_delay_point(false)
#define vecidx_count_scan(scan) \
	do { \
		pgstat_count_index_scan((scan)->indexRelation); \
		if ((scan)->instrument) \
			(scan)->instrument->nsearches++; \
	} while (0)
#else
#define vecidx_count_scan(scan) pgstat_count_index_scan((scan)->indexRelation)
#define vecidx_vacuum_delay_point() vacuum_delay_point()
#endif

/*
 * An infinite cost keeps the planner from a path.  From 18 on it compares the
 * number of disabled nodes first: a sequential scan that enable_seqscan = off
 * disabled counts one, and this path has to count more.
 */
#if PG_VERSION_NUM >= 180000
#define vecidx_disable_path(path) ((void) ((path)->disabled_nodes = 2))
#else
#define vecidx_disable_path(path) ((void) (path))
#endif

/* Whether a setting such as enable_seqscan keeps the planner from a path. */
#if PG_VERSION_NUM >= 180000
#define vecidx_path_disabled(path) ((path)->disabled_nodes > 0)
#else
#define vecidx_path_disabled(path) ((path)->startup_cost >= 1e9)
#endif

/* Which way a pathkey goes; and the members of an equivalence class, those of child relations too. */
#include "nodes/pathnodes.h"
#if PG_VERSION_NUM >= 180000
#include "optimizer/paths.h"
#define VECIDX_ASCENDING COMPARE_LT
#define VECIDX_DESCENDING COMPARE_GT
#define vecidx_direction(pathkey) ((pathkey)->pk_cmptype)

typedef EquivalenceMemberIterator VecidxMemberIterator;

#define vecidx_members_begin(it, eclass, relids) setup_eclass_member_iterator((it), (eclass), (relids))
#define vecidx_members_next(it) eclass_member_iterator_next(it)
#else
#define VECIDX_ASCENDING BTLessStrategyNumber
#define VECIDX_DESCENDING BTGreaterStrategyNumber
#define vecidx_direction(pathkey) ((pathkey)->pk_strategy)

typedef struct VecidxMemberIterator
{
	const List *members;
	int			next;
} VecidxMemberIterator;

#define vecidx_members_begin(it, eclass, relids) \
	((void) (relids), (it)->members = (eclass)->ec_members, (it)->next = 0)

static inline EquivalenceMember *
vecidx_members_next(VecidxMemberIterator *it)
{
	if (it->next >= list_length(it->members))
		return NULL;
	return (EquivalenceMember *) list_nth(it->members, it->next++);
}
#endif

/* From 17 on the planner keeps which columns are NOT NULL; in 18 that can be declared and not yet true. */
#define VECIDX_HAS_NOTNULLATTNUMS (PG_VERSION_NUM >= 170000)

/* From 17 on the planner itself takes an index for the first of several ORDER BY keys. */
#define VECIDX_PLANS_PREFIX (PG_VERSION_NUM >= 170000)

/*
 * Versions whose generic_redo() is known to read what index/wal.c writes: a
 * block's data are fragments of offset, length and bytes, and the space between
 * pd_lower and pd_upper is zeroed.  True of every version since 9.6; a new
 * major version is to be looked at first.
 */
#if PG_VERSION_NUM < 190000
#define VECIDX_KNOWS_GENERIC_REDO true
#else
#define VECIDX_KNOWS_GENERIC_REDO false
#endif

/*
 * Whether someone holds a buffer's content lock exclusively: a look, nothing
 * more.  The bit is private to lwlock.c, so of a version that nobody has looked
 * at yet every lock is taken for held.  Who does hold one checks that it shows
 * (index/wal.c).
 */
#if PG_VERSION_NUM < 180000
#define VECIDX_LOCK_SHOWS true
#define vecidx_exclusively_locked(desc) \
	((pg_atomic_read_u32(&(desc)->content_lock.state) & ((uint32) 1 << 24)) != 0)
#elif PG_VERSION_NUM < 190000
#define VECIDX_LOCK_SHOWS true
#define vecidx_exclusively_locked(desc) \
	((pg_atomic_read_u32(&(desc)->content_lock.state) & ((uint32) MAX_BACKENDS + 1)) != 0)
#else
#define VECIDX_LOCK_SHOWS false
#define vecidx_exclusively_locked(desc) ((void) (desc), true)
#endif

/* From 18 on a scan of an index counts its searches, where it is asked to. */
#if PG_VERSION_NUM >= 180000
#define vecidx_index_beginscan(table, index, snapshot, counts, nkeys, norderbys) \
	index_beginscan((table), (index), (snapshot), (counts), (nkeys), (norderbys))
#else
#define vecidx_index_beginscan(table, index, snapshot, counts, nkeys, norderbys) \
	index_beginscan((table), (index), (snapshot), (nkeys), (norderbys))
#endif

/* From 17 on an access method says that it builds with workers (it did so unasked before). */
#if PG_VERSION_NUM >= 170000
#define vecidx_builds_parallel(am) ((void) ((am)->amcanbuildparallel = true))
#else
#define vecidx_builds_parallel(am) ((void) (am))
#endif

/* What the present user may do to a relation; 17 brought a privilege for it. */
#if PG_VERSION_NUM >= 160000
#define vecidx_owns_relation(relid) object_ownercheck(RelationRelationId, (relid), GetUserId())
#else
#define vecidx_owns_relation(relid) pg_class_ownercheck((relid), GetUserId())
#endif
#if PG_VERSION_NUM >= 170000
#define vecidx_may_maintain(tableid) (pg_class_aclcheck((tableid), GetUserId(), ACL_MAINTAIN) == ACLCHECK_OK)
#define vecidx_restrict_search_path() RestrictSearchPath()
#else
#define vecidx_may_maintain(tableid) ((void) (tableid), false)
#define vecidx_restrict_search_path() ((void) 0)
#endif

#if PG_VERSION_NUM >= 160000
#define vecidx_sort_getdatum(sort, value, isnull) tuplesort_getdatum((sort), true, false, (value), (isnull), NULL)
#else
#define vecidx_sort_getdatum(sort, value, isnull) tuplesort_getdatum((sort), true, (value), (isnull), NULL)
#endif

/*
 * Zeroed memory on a cache line.  It cannot be pfreed: it goes with its
 * context.
 */
static inline void *
vecidx_alloc_aligned(MemoryContext context, Size size)
{
	Size		padded = add_size(size, 63);

	return (void *) TYPEALIGN(64, MemoryContextAllocExtended(context, padded,
															 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO));
}

#endif							/* VECIDX_COMPAT_H */
