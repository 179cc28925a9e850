/*
 * ivf.h
 *		IVFFlat and IVF-PQ: two access methods on one body.  Rows stand in
 *		lists around centroids; a scan looks into the lists nearest to its
 *		query.  What a row is in its list is a code (quant/listcode.h), and that
 *		is the only difference between the two.
 *
 * ivf.c		handlers, options, cost
 * ivf_meta.c	metapage; what a backend remembers of an index
 * ivf_directory.c	entries and centroids of lists; from a vector to its lists
 * ivf_segment.c	lists on pages
 * ivf_train.c	centroids from a sample of the table
 * ivf_build.c	CREATE INDEX
 * ivf_insert.c	one row
 * ivf_scan.c	queries
 * ivf_maintain.c	lists rewritten, split and merged
 * ivf_learn.c	an index that began with too few rows made anew
 * ivf_vacuum.c	VACUUM
 * ivf_check.c	vecidx_check()
 */
#ifndef VECIDX_IVF_H
#define VECIDX_IVF_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "index/candidates.h"
#include "index/check.h"
#include "index/filter.h"
#include "index/opclass.h"
#include "index/pagemem.h"
#include "index/remember.h"
#include "index/wal.h"
#include "ivf/ivf_page.h"
#include "nodes/execnodes.h"

/* ---- Options and parameters (ivf.c) ---- */

typedef struct IvfOptions
{
	int32		vl_len_;		/* varlena header */
	int			lists;			/* 0: by the number of rows */
	int			m;				/* ivfpq with pq; 0: by the dimensions */
	int			bits;			/* ivfpq; 0: the quantizer's default */
	int			quantizer_offset;	/* ivfpq: "rabitq" or "pq" */
} IvfOptions;

typedef struct IvfParams
{
	const VecidxOpclass *opclass;
	ListCodeSpec spec;
	const VecidxFilterLayout *filters;	/* of further columns, or NULL */
	QuantKind	route;			/* of the directory's codes */
	int			lists;			/* as asked for, 0: by the number of rows */
} IvfParams;

/* What an index's options and column ask for.  Errors where they contradict each other. */
extern void ivf_params_read(Relation index, IvfParams *params);

/*
 * Rows of a list that are in its entry.  Those of the tail are not, which may
 * be all of a short list: an index that waits for rows enough to learn from
 * counts what the list began with.
 */
#define ivf_rows_known(ivf, entry) \
	((ivf)->learned ? (entry)->rows : Max((entry)->rows, (entry)->born))

/* Lists that so many rows should have where the user did not say, and probes for so many lists. */
extern uint32 ivf_default_lists(ListCodeKind kind, int dim, double rows);
extern int	ivf_default_probes(uint32 lists);

/* How distances to centroids are measured: L2 for L2, inner product and cosine (of normalised vectors). */
extern Metric ivf_route_metric(Metric metric);

/* The settings that scans of the index go by (guc.h). */
extern const struct IvfSettings *ivf_settings(Relation index);

/* "ivfflat" or "ivfpq", for messages. */
extern const char *ivf_am_name(Relation index);

extern void ivf_init(void);

/* ---- An opened index (ivf_meta.c): what a backend remembers of one ---- */

typedef struct IvfIndex
{
	VecidxRemembered remembered;	/* must be first */

	/* frozen while the uid stays */
	const VecidxOpclass *opclass;
	ListCode	code;
	const VecidxFilterLayout *filters;	/* of further columns; NULL: none */
	Quantizer	route;			/* of centroids, centred on the origin */
	int			dim;
	uint32		lists_wanted;
	bool		learned;
	Size		entry_size;
	uint32		entries_per_page;
	uint32		centroid_pages;
	const float *origin;		/* dim floats, or NULL */
	BlockNumber trained_block;	/* pages of origin and trained data */
	uint32		ntrained_blocks;
	uint32		max_capacity;	/* of a segment in rows that has a page for itself */
	bool		apart;			/* codes stand apart from their rows */

	/* copies of what changes */
	BlockNumber nblocks;		/* of the relation, when last asked */
	uint32		nlists;
	uint64		changes;
	uint32		npending;		/* entries that are still to be published */
	VecidxExtentMap units;
	double		rows;			/* in all lists, about: as the directory was last read */
	double		spread;			/* mean of the lists', by rows, likewise; 0: unknown */
	uint32		used_lists;		/* likewise */
	BlockNumber last_page;		/* on which this backend put a segment last, or invalid */
	uint32		next_settled;	/* list whose turn to settle comes next */

	/* pages of units, one unit after the other: where they are, and which buffers held them last */
	PageMemory	unit_memory;
	PageMemory	list_memory;	/* list pages, by block */

	struct IvfScan *spare_scan; /* working memory for the next scan, or NULL */
	struct RowPages *row_pages; /* where the table's pages were, or NULL */
} IvfIndex;

/*
 * Open: find or make the backend's memory of the index, with what changes as
 * it is now.  The pointer stays good until the memory context is reset.
 */
extern IvfIndex *ivf_index_open(Relation index, MemoryContext user);

/*
 * Read again what changes.  False if the index has another uid now: then this
 * memory is good for what was read before only, and it has to be opened anew.
 */
extern bool ivf_index_refresh(IvfIndex *ivf, Relation index);

/* What is wrong with a metapage's frozen fields and extents, or NULL. */
extern const char *ivf_meta_problem(const IvfMetaPageData *meta);
extern void ivf_meta_check(Relation index, Page page);

/* The code's spec as the metapage has it. */
extern void ivf_meta_spec(const IvfMetaPageData *meta, ListCodeSpec *spec);

/*
 * Metapage, trained data and directory of a new index, in an empty fork.
 * origin: dim floats or NULL.  trained: listcode_trained_size() bytes.
 * learned: from enough rows to be kept.  centroids: of nlists empty lists,
 * ivf_centroid_size() bytes each; NULL: zero.
 */
extern void ivf_create(Relation index, ForkNumber fork, const IvfParams *params, const float *origin,
					   const void *trained, bool learned, uint32 nlists, const void *centroids);

/* ---- The directory (ivf_directory.c) ---- */

/* An entry as it was at some moment. */
typedef struct IvfListCopy
{
	uint32		list;
	ItemPointerData head;
	ItemPointerData tail;
	uint32		generation;
	uint32		rows;
	uint32		segments;
	uint32		state;
	uint64		changed;
	float4		spread;
	uint32		born;
} IvfListCopy;

/*
 * The directory page of a list, locked, and the entry on it, checked.  The
 * list is below ivf->nlists.
 */
extern Buffer ivf_directory_entry(IvfIndex *ivf, Relation index, uint32 list, int lockmode, IvfEntry *entry);

/*
 * A copy of an entry, on a locked page or by its number.  A directory that was
 * replaced (another uid) stays while a snapshot is left that could read in it;
 * but on a standby it may go away under a query.  What queries call therefore
 * is named try, and returns false then; for others it would be damage.
 */
extern void ivf_entry_copy(const IvfEntryData *entry, uint32 list, IvfListCopy *copy);
extern void ivf_entry_read(IvfIndex *ivf, Relation index, uint32 list, IvfListCopy *copy);
extern bool ivf_entry_try(IvfIndex *ivf, Relation index, uint32 list, IvfListCopy *copy);

/*
 * The centroid of a list: dim floats (LISTCODE_EXACT of bits: the bits),
 * written to centroid.
 */
extern void ivf_centroid_read(IvfIndex *ivf, Relation index, uint32 list, void *centroid);
extern bool ivf_centroid_try(IvfIndex *ivf, Relation index, uint32 list, void *centroid);

/* Bytes of a centroid in memory. */
static inline Size
ivf_centroid_size(QuantElements elements, int dim)
{
	return elements == QUANT_BIT_STRING ? ((Size) dim + 7) / 8 : sizeof(float) * (Size) dim;
}

/* Whether the directory keeps no centroid but its code. */
static inline bool
ivf_coded_centroids(ListCodeKind kind, QuantKind route, int dim)
{
	return quant_exact(route) || (kind != LISTCODE_EXACT && dim >= IVF_CODED_CENTROID_DIM);
}

/*
 * Make n centroids of floats what the directory will give back, where it keeps
 * their codes alone: before any row is coded by them.  route: of the index, with its origin.
 */
extern void ivf_round_centroids(const Quantizer *route, ListCodeKind kind, float *centroids, uint32 n);

/* The pages of a new unit. */
typedef struct IvfUnitWriter IvfUnitWriter;

extern IvfUnitWriter *ivf_unit_writer(const IvfMetaPageData *meta, const float *origin);
extern void ivf_unit_writer_free(IvfUnitWriter *writer);

/* Lay out a unit for the lists that are its own of nlists with these centroids (NULL: zero), empty, the rest free. */
extern void ivf_unit_prepare(IvfUnitWriter *writer, uint32 unit, uint32 nlists, const void *centroids);

/* Contents of its page i, 0 the directory page; returns how many bytes they have. */
extern Size ivf_unit_page(const IvfUnitWriter *writer, uint32 i, char *contents);

/*
 * From a vector to the lists nearest to it.  Working memory that is used again
 * from one vector to the next.
 */
typedef struct IvfRoute
{
	IvfIndex   *ivf;
	MemoryContext context;
	QuantQuery *query;
	void	   *scratch;
	float	   *vector;			/* floats: what is looked for (cosine: normalised) */
	float	   *centroid;		/* working memory of centroid_size bytes */
	CandidateArray lists;		/* estimated distances of the route metric (inner product, for a query: less |c|^2) */
	size_t		ordered;		/* lists at the front that are in order */
	uint64		changes;		/* of the directory when it was scored */
} IvfRoute;

/* v (dim floats, not zero) at length one. */
extern void ivf_normalise(const float *v, float *result, int dim);

extern void ivf_route_init(IvfRoute *route, IvfIndex *ivf, MemoryContext context);

/*
 * Score all lists.  elements: as vecidx_elements() gives them.  probe: order
 * the lists for a query (inner product: by that of query and centroid);
 * otherwise for a row that is to be added (nearest centroid).
 * Leaves ivf->rows and ivf->used_lists up to date.  False if the index has another uid by now.
 */
extern bool ivf_route_begin(IvfRoute *route, Relation index, const void *elements, bool probe);

/*
 * Put the next n lists in order of their estimates, behind route->ordered, which moves on;
 * returns how many there were.  They end at route->lists.items[route->ordered].
 */
extern size_t ivf_route_next(IvfRoute *route, Relation index, size_t n);

/* The list whose centroid is nearest, exactly; the centroid is written to centroid. */
extern uint32 ivf_route_nearest(IvfRoute *route, Relation index, void *centroid);

/*
 * Numbers for n new lists: of entries free since long, or at the directory's
 * end.  The caller holds the maintenance lock; they are free until published.
 */
extern void ivf_directory_place(IvfIndex *ivf, Relation index, Relation heap, uint32 *lists, int n);

/* Whether no snapshot is left that is older than this (an entry's `changed`). */
extern bool ivf_long_ago(Relation heap, uint64 changed);

/* A new or changed entry, for publishing. */
typedef struct IvfListChange
{
	uint32		list;
	uint32		state;
	ItemPointerData head;
	ItemPointerData tail;
	uint32		generation;
	uint32		rows;
	uint32		segments;
	float4		spread;			/* with a centroid, or while building */
	uint32		born;
	const void *centroid;		/* ivf_centroid_size() bytes, only for a list that is free till now; NULL: as it was */
} IvfListChange;

/*
 * Write at most IVF_MAX_PENDING entries, all of them or none; a reader may find
 * the first of them written and the others not yet.  The centroid of a list
 * in use never changes: a list that is split is freed, and its parts are new
 * lists.  `changes` in the metapage goes up with every entry, so that a scan
 * which reads the directory meanwhile notices.  The caller holds the
 * maintenance lock, or builds: then any number of entries.
 */
extern void ivf_directory_publish(IvfIndex *ivf, Relation index, const IvfListChange *changes, int n, bool building);

/*
 * Bring to its end what was published and cut short (by a crash, say); reads
 * again what changes.  The caller holds the maintenance lock.  False if the index has another uid.
 */
extern bool ivf_directory_finish(IvfIndex *ivf, Relation index);

/* ---- Segments (ivf_segment.c) ---- */

/* A segment on a locked page, and where its parts are. */
typedef struct IvfSegmentRef
{
	Buffer		buffer;
	IvfSegment	segment;
	const float *a;				/* NULL if there are no factors */
	const float *b;
	const uint8 *codes;			/* NULL if they are apart */
	const ItemPointerData *places;	/* where these are then; else NULL */
	const ItemPointerData *tids;	/* NULL: it is no segment of rows, but a code that stands apart */
	const uint8 *filters;		/* chunk of IVF_FILTER_CAPACITY(capacity) rows; NULL if there are none */
} IvfSegmentRef;

/*
 * Lock the page of a segment of rows and check it.  False, with the page unlocked and released, and *problem
 * saying why, if there is no such segment of the list with this generation
 * (generation NULL: any).
 */
extern bool ivf_segment_try(IvfIndex *ivf, Relation index, const ItemPointerData *where, uint32 list,
							const uint32 *generation, int lockmode, IvfSegmentRef *ref, const char **problem);

/* What is wrong with the item at offset of a list page, or NULL; else ref is filled in (but its buffer). */
extern const char *ivf_segment_on_page(const ListCode *code, const VecidxFilterLayout *filters, Page page,
									   OffsetNumber offset, IvfSegmentRef *ref);

static inline void
ivf_segment_release(IvfSegmentRef *ref)
{
	UnlockReleaseBuffer(ref->buffer);
}

/*
 * Codes that stand apart are read one after the other, with a share lock on
 * the page of the one at hand.  Nobody waits for such a page while he has another list page locked.
 */
typedef struct IvfCodeReader
{
	Buffer		buffer;			/* invalid at first, and when it is closed */
	BlockNumber block;
} IvfCodeReader;

/* The code at a place of the list with this generation, to be used until the next call; NULL and *problem if there is none. */
extern const uint8 *ivf_code_read(IvfCodeReader *reader, IvfIndex *ivf, Relation index, const ItemPointerData *place,
								  uint32 list, uint32 generation, const char **problem);

static inline void
ivf_code_reader_close(IvfCodeReader *reader)
{
	if (BufferIsValid(reader->buffer))
		UnlockReleaseBuffer(reader->buffer);
	reader->buffer = InvalidBuffer;
}

/* Where block b of a segment in blocks begins. */
static inline const uint8 *
ivf_segment_block(const ListCode *code, const IvfSegmentRef *ref, int b)
{
	return ref->codes + (Size) b * listcode_block_size(code, LISTCODE_BLOCK);
}

/* Rows in memory: what a list is gathered into, and written from. */
typedef struct IvfRows
{
	MemoryContext context;
	const ListCode *code;
	const VecidxFilterLayout *layout;	/* of further columns, or NULL */
	size_t		n;
	size_t		capacity;
	float	   *factors;		/* [n][nfactors] */
	uint8	   *codes;			/* [n][code_size], and SIMD_SLACK bytes behind */
	uint8	   *filters;		/* [n][packed_size]; NULL if there are none */
	ItemPointerData *tids;
} IvfRows;

extern void ivf_rows_init(IvfRows *rows, const ListCode *code, const VecidxFilterLayout *layout, MemoryContext context);

/* filters: packed, or NULL. */
extern void ivf_rows_add(IvfRows *rows, const float *factors, const uint8 *code, const uint8 *filters,
						 const ItemPointerData *tid);

/* Row i's further columns, packed; NULL if there are none. */
static inline const uint8 *
ivf_rows_filters(const IvfRows *rows, size_t i)
{
	return rows->layout == NULL ? NULL : rows->filters + i * rows->layout->packed_size;
}

/*
 * Write rows as a new chain of full segments, logged, on pages with room.
 * Nothing refers to them until the caller publishes the chain.
 */
typedef struct IvfChain
{
	ItemPointerData head;
	ItemPointerData tail;
	uint32		segments;
	uint32		rows;			/* of the segments before the tail */
} IvfChain;

extern void ivf_chain_write(IvfIndex *ivf, Relation index, uint32 list, uint32 generation,
							const IvfRows *rows, const uint32 *which, size_t n, IvfChain *chain);

/*
 * The same piece by piece, for a list that is too long to be in memory: begin
 * a chain, then put full segments before those that it has.
 */
extern void ivf_chain_begin(IvfChain *chain);
extern void ivf_chain_prepend(IvfIndex *ivf, Relation index, uint32 list, uint32 generation,
							  const IvfRows *rows, const uint32 *which, size_t n, IvfChain *chain);

/* Gather the rows of a list by its chain.  Errors on damage; the list does not change meanwhile. */
extern void ivf_chain_read(IvfIndex *ivf, Relation index, const IvfListCopy *list, IvfRows *rows);

/*
 * Gather rows from this segment of the chain on, until there are enough or it
 * ends.  Returns where to go on.
 */
extern ItemPointerData ivf_chain_read_some(IvfIndex *ivf, Relation index, const IvfListCopy *list, ItemPointerData next,
										   size_t enough, IvfRows *rows);

/*
 * Add one row at the end of a list.  False if the list has changed since the
 * copy was made: then look for its list again.  *grown: a segment was added,
 * and the entry has so many rows.
 */
extern bool ivf_append(IvfIndex *ivf, Relation index, const IvfListCopy *list, const float *factors,
					   const uint8 *code, const uint8 *filters, const ItemPointerData *tid, double *grown);

/*
 * Fill in a segment in memory whose capacity is set: n rows from index first
 * on (or those which names).  It is zeroed, and as long as its layout says.
 * places: of these rows' codes if they stand apart, else NULL.
 */
extern void ivf_segment_fill(IvfSegment segment, const IvfRows *rows, const uint32 *which,
							 size_t first, uint32 n, bool blocks, const ItemPointerData *places);

/*
 * Add a segment with a code that stands apart to a page with room for it, or
 * its image.  scratch: ivf_code_segment_size() bytes, zeroed once.
 */
extern OffsetNumber ivf_code_put(const ListCode *code, Page page, uint32 list, uint32 generation, const uint8 *bytes,
								 void *scratch);

/* A random number for a list's new chain. */
extern uint32 ivf_generation(void);

/* A list page with at least so many free bytes for an item, exclusively locked.  Does not wait for a page's lock. */
extern Buffer ivf_list_page(IvfIndex *ivf, Relation index, Size size, bool building);

/* What the free space map is told of a page that has nothing on it. */
#define IVF_EMPTY_PAGE_SPACE ((Size) BLCKSZ - 1)

/* Tell the free space map of a page that is locked (or was just now). */
extern void ivf_note_free_space(Relation index, Buffer buffer);

/* ---- Maintenance (ivf_maintain.c) ---- */

/*
 * One backend at a time rewrites lists.  A page lock of the metapage's block:
 * exclusive for those who rewrite; shared for an insert that finds a list
 * closed, waits for the end, and adds a segment behind the closed one if it is still the last.
 * Nobody may sleep with the exclusive lock: inserts wait.
 */
extern bool ivf_maintain_lock(Relation index, bool wait);
extern void ivf_maintain_unlock(Relation index);
extern void ivf_maintain_share(Relation index);
extern void ivf_maintain_unshare(Relation index);

/*
 * Page lock of this block: VACUUM's pass over the pages has it, or who moves
 * rows from list to list in place, perhaps from a page to come to one behind;
 * who holds the maintenance lock only tries.
 */
#define IVF_SWEEP_LOCK (IVF_META_BLOCK + 1)

/* Rows that a list of the index should have at present. */
extern double ivf_target_rows(const IvfIndex *ivf);

/* Is a list due for splitting, now that it has so many rows? */
extern bool ivf_too_long(const IvfIndex *ivf, const IvfListCopy *list, double rows);

/* Or is there another reason to call ivf_split(): rows enough to learn from? */
extern bool ivf_due(const IvfIndex *ivf, const IvfListCopy *list, double rows);

/*
 * Split a list that has grown too long, unless somebody else is at work.
 * heap: the table, from which exact values are read.
 */
extern void ivf_split(Relation index, Relation heap, uint32 list);

/*
 * Give the chains of lists free that were replaced, if no scan can be at them
 * any more: so an index that VACUUM does not come to uses its space again.  The
 * caller holds the maintenance lock; users: how many calls of ivf_index_open()
 * in this backend are known not to be of scans.
 */
extern void ivf_free_replaced(IvfIndex *ivf, Relation index, Relation heap, int users);

/* After VACUUM has taken rows away: merge, split and pack, within bounds. */
extern void ivf_maintain_all(Relation index, Relation heap, BufferAccessStrategy strategy);

/* ---- Entry points of the access methods ---- */

extern IndexBuildResult *ivf_build(Relation heap, Relation index, IndexInfo *info);
extern void ivf_buildempty(Relation index);
extern bool ivf_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
					   IndexUniqueCheck unique, bool unchanged, IndexInfo *info);
extern IndexBulkDeleteResult *ivf_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											 IndexBulkDeleteCallback callback, void *state);
extern IndexBulkDeleteResult *ivf_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern IndexScanDesc ivf_beginscan(Relation index, int nkeys, int norderbys);
extern void ivf_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool ivf_gettuple(IndexScanDesc scan, ScanDirection direction);
extern void ivf_endscan(IndexScanDesc scan);

extern const VecidxChecker ivf_checker;

/* pg_stat_progress_create_index.subphase; 1 is the core's "initializing", 2 and 3 are in ivf_train.h */
#define PROGRESS_IVF_PHASE_ASSIGN 4
#define PROGRESS_IVF_PHASE_WRITE 5
#define PROGRESS_IVF_PHASE_LOG 6

#endif							/* VECIDX_IVF_H */
