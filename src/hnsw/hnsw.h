/*
 * hnsw.h
 *		The HNSW access method in memory: parameters, the node store that the
 *		graph algorithms work on, and what the phases share.
 */
#ifndef VECIDX_HNSW_H
#define VECIDX_HNSW_H

#include "postgres.h"

#include "access/amapi.h"
#include "access/genam.h"
#include "hnsw/hnsw_page.h"
#include "index/candidates.h"
#include "index/check.h"
#include "index/divide.h"
#include "index/filter.h"
#include "index/opclass.h"
#include "index/pagemem.h"
#include "index/remember.h"
#include "index/wal.h"
#include "nodes/execnodes.h"
#include "quant/quantizer.h"
#include "utils/relcache.h"

/* Reloptions as the parser fills them. */
typedef struct HnswOptions
{
	int32		vl_len_;
	int			m;
	int			ef_construction;
	int			quantizer_offset;	/* string; 0 when not given */
} HnswOptions;

/* ---- The graph (hnsw_graph.c): algorithms over a store of nodes ---- */

typedef struct HnswLinks
{
	int			n;
	int			nkept;
	uint32		nodes[HNSW_MAX_LINKS_ANY];
} HnswLinks;

/* A list to be written: that of a node on level 0. */
typedef struct HnswListChange
{
	uint32		node;
	bool		done;
	HnswLinks	old;			/* as it was read */
	HnswLinks	links;			/* as it is to be */
} HnswListChange;

/* Where a search begins, as of now. */
typedef struct HnswEntry
{
	uint32		node;			/* HNSW_INVALID_NODE when the index is empty */
	int			level;
	bool		vacuuming;		/* nodes may be marked deleted */
} HnswEntry;

/*
 * Where nodes live: memory while building, pages otherwise.  The algorithms
 * of hnsw_graph.c know nothing else of either.
 */
typedef struct HnswStore HnswStore;

struct HnswStore
{
	const Quantizer *quantizer;
	int			m;
	bool		has_twins;		/* nodes may have equal codes: filter values tell them apart */

	/* Copy a node's links on a level (empty where it does not reach it); returns its state. */
	int			(*get_links) (HnswStore *store, uint32 node, int level, HnswLinks *links);

	/*
	 * The nodes that a node's list of level 0 leads to, in any order and with
	 * no word on its state: what a search asks.  Returns how many.
	 */
	int			(*neighbours) (HnswStore *store, uint32 node, uint32 *nodes);

	/* Bring nodes' codes nearer: they are scored soon. */
	void		(*prefetch_codes) (HnswStore *store, const uint32 *nodes, int n);

	/* Score up to HNSW_MAX_LINKS_ANY + 1 nodes, asked for before by prefetch_codes; err may be NULL. */
	void		(*score) (HnswStore *store, const QuantQuery *query, const uint32 *nodes, int n,
						  float *dist, float *err);

	/* Bring a node's links on level 0 nearer: they are likely to be read soon. */
	void		(*prefetch_links) (HnswStore *store, uint32 node);

	/* Copy a node's code record (at most the quantizer's code_size bytes). */
	void		(*get_code) (HnswStore *store, uint32 node, uint8 *code);

	/* First number that no node has now. */
	uint64		(*node_limit) (HnswStore *store);

	void		(*get_entry) (HnswStore *store, HnswEntry *entry);

	/* Make the node the entry point if its level is higher than the present one's. */
	void		(*raise_entry) (HnswStore *store, uint32 node, int level);

	/*
	 * Create a node with its code, its packed filter values (NULL without filter columns), one
	 * TID and its links on levels 0 .. level, all at once.  With expect_empty it becomes the entry point of an
	 * empty graph; HNSW_INVALID_NODE if that is not empty any more.
	 */
	uint32		(*create_node) (HnswStore *store, const uint8 *code, const uint8 *values, ItemPointer tid,
								int level, const HnswLinks *links, bool expect_empty);

	/* Add a TID to a node in use with this very code and these filter values; false if it is not that (any more). */
	bool		(*add_tid) (HnswStore *store, uint32 node, const uint8 *code, const uint8 *values, ItemPointer tid);

	/* Write one level's links if they are still `old`; false if not, or if the node is gone. */
	bool		(*replace_links) (HnswStore *store, uint32 node, int level,
								  const HnswLinks *old, const HnswLinks *links);

	/*
	 * The same for many lists of level 0, in fewer steps; says in `done` which
	 * were written.  NULL if the store gains nothing by it.
	 */
	void		(*replace_many) (HnswStore *store, HnswListChange *changes, int n);
};

/* Score nodes whose codes nobody has asked for yet. */
static inline void
hnsw_score(HnswStore *store, const QuantQuery *query, const uint32 *nodes, int n, float *dist, float *err)
{
	store->prefetch_codes(store, nodes, n);
	store->score(store, query, nodes, n, dist, err);
}

/* State of one search; reused from level to level and query to query. */
typedef struct HnswSearch
{
	HnswStore  *store;
	const QuantQuery *query;
	ScoredArray frontier;		/* scored_nearest_* heap: to be expanded */
	ScoredArray results;		/* scored_farthest_* heap: the ef nearest */
	ScoredArray discarded;		/* scored, and not among the results */
	bool		keep_discarded; /* for a search that may be resumed */
	float		enough;			/* a node just as far as this ends a search of a level; else -inf */
	NodeSet		visited;
	uint64		nscored;		/* distances estimated */

	/* where only some nodes are wanted, for searches of level 0 */
	struct HnswFilterMap *filter;	/* NULL: all are */
	int			all_from;		/* percent of a node's neighbours: where so many pass, the others are scored like them */
	bool		late_tests;		/* nodes are tested once they are near enough to be results */
	double		work_score;		/* of a node */
	double		work;			/* done so far, in units of HNSW_WORK_, without testing groups */
	double		most_work;		/* past this the search stops, unfinished */
} HnswSearch;

/* What a filtered search does, in nanoseconds about; only their ratios matter. */
#define HNSW_WORK_LIST 65		/* reading a list of links */
#define HNSW_WORK_TEST 1.5		/* telling whether a neighbour passes */
#define HNSW_WORK_GROUP 20		/* testing a group that nobody has asked for yet */

/* Bytes of a code that count: where records differ in size, the largest says little. */
static inline double
hnsw_work_bytes(Size code_size)
{
	return (double) Min(code_size, (Size) 4096);
}

/* Scoring a node, wherever its code is, and its place in the heaps. */
static inline double
hnsw_work_score(Size code_size)
{
	return 25 + 0.05 * hnsw_work_bytes(code_size);
}

extern void hnsw_search_init(HnswSearch *search, HnswStore *store, MemoryContext context, int ef);

/* Forget the last search.  query must stay valid through the search. */
extern void hnsw_search_begin(HnswSearch *search, const QuantQuery *query);

/* Greedy walk from entry (on level from) down to level to + 1; returns the nearest node met. */
extern ScoredNode hnsw_search_descend(HnswSearch *search, uint32 entry, int from, int to);

/*
 * Best-first search of one level from the candidates given.  Leaves the ef
 * nearest in search->results (a scored_farthest_* heap).
 */
extern void hnsw_search_level(HnswSearch *search, const ScoredNode *entries, int nentries, int level, int ef);

/* What a filtered search has done so far, in units of HNSW_WORK_. */
extern double hnsw_search_work(const HnswSearch *search);

/*
 * Go on with a level-0 search as if it had been begun with a larger ef (with
 * keep_discarded set).  False when no node was added to the results: the
 * graph leads nowhere else.
 */
extern bool hnsw_search_resume(HnswSearch *search, int ef);

/* Working memory of neighbour selection, sized once per build or insert. */
typedef struct HnswSelect
{
	HnswStore  *store;
	QuantQuery *query;			/* of the candidate under test */
	uint32		offered;		/* node that query stands for, or HNSW_INVALID_NODE; for one insert */
	QuantQuery *base;			/* of the node whose list changes */
	uint8	   *code;
	float		slack;			/* a link covers what is nearer to it than to the base by this factor; 1 or more */
	int			offers;			/* of a new node, to the first of its neighbours on level 0 */
	bool		sparing;		/* full lists take only what the rule keeps */
	HnswListChange *changes;	/* room for a node's neighbours, if the store takes many */
} HnswSelect;

extern void hnsw_select_init(HnswSelect *select, HnswStore *store, MemoryContext context);

/*
 * Complete a node's links to at most max out of candidates (sorted nearest
 * first, none of them in links yet) by the rule of Malkov & Yashunin's
 * Algorithm 4; places left over go to the nearest of those the rule rejects.
 * For a new node's list set links->n and nkept to 0.
 */
extern void hnsw_select(HnswSelect *select, const Candidate *candidates, int n, int max, HnswLinks *links);

/*
 * Offer node to base's links.  Returns true if the links changed.  When the
 * list is full, the farthest of those that only fill up gives way; but for a
 * node that the rule rejects only if that is nearer than most of those kept
 * (never, if select is sparing).
 */
extern bool hnsw_links_offer(HnswSelect *select, uint32 base, HnswLinks *links, int max, uint32 node);

/*
 * Offer node to a neighbour's list on a level, and write the list if it
 * changes.  False if it does not (or others change it all the time).
 */
extern bool hnsw_link_back(HnswSelect *select, HnswStore *store, uint32 neighbour, uint32 node, int level);

/*
 * The same for a new node's neighbours on a level (select->offers of them on
 * level 0).  Returns how many link to it.
 */
extern int	hnsw_link_back_all(HnswSelect *select, HnswStore *store, const HnswLinks *links, uint32 node, int level);

/*
 * Whether nodes that nothing links to are given a link.  Not under inner
 * product: there they are short vectors, hardly ever an answer, and the links
 * they would displace cost recall (GloVe, 4 % of the nodes: 0.867 instead of
 * 0.877 at ef_search 40).  A scan that needs them finds them all the same, in
 * its passes over the codes.
 */
static inline bool
hnsw_links_orphans(const HnswStore *store)
{
	return store->quantizer->metric != METRIC_IP;
}

/*
 * Make at least one of a node's neighbours on level 0 link to it, whatever
 * their lists say, so that a search can find it.
 */
extern void hnsw_link_orphan(HnswSelect *select, HnswStore *store, uint32 node);

/* ---- Nodes with equal codes (hnsw_twins.c) ---- */

/* Places of a list of at most max links that twins may take. */
static inline int
hnsw_twin_places(int max)
{
	return Max(max / 4, 1);
}

/*
 * Take those that are twins of a node out of candidates for its links (sorted;
 * self is what the distance of its own code would be): they go to twins[], room for n.
 * Returns how many candidates are left.
 */
extern int	hnsw_twins_apart(const HnswStore *store, Candidate *candidates, int n, float self,
							 uint32 *twins, int *ntwins);

/* Put n of a node's twins into its list, which has room for them; salt chooses which. */
extern void hnsw_twins_link(HnswLinks *links, const uint32 *twins, int ntwins, int n, uint32 salt);

/*
 * Offer a twin to a node's list: as hnsw_links_offer().  dist: of the links
 * that only fill up, from the node, by their places in the list.
 */
extern bool hnsw_twin_offer(HnswLinks *links, int max, uint32 node, float self, const float *dist);

/*
 * Put a node that nothing links to between two of its twins, the first of them
 * in its list, own; query is of its code.  False if there are no such two.
 */
extern bool hnsw_twin_between(HnswStore *store, const QuantQuery *query, uint32 node, const HnswLinks *own);

/* The level of a node, a function of the seed and its number. */
extern int	hnsw_random_level(uint64 seed, uint32 node, int m);
extern int	hnsw_max_level(int m);

/* ---- An opened index (hnsw_meta.c): what a backend remembers of one ---- */

typedef struct HnswIndex
{
	VecidxRemembered remembered;	/* must be first */

	/* frozen with the index */
	uint64		seed;
	int			dim;
	int			m;
	int			ef_construction;
	Size		code_size;		/* of what stands on code pages: a record, or where it is */
	bool		wide;			/* records stand elsewhere (hnsw_wide.c) */
	Size		adjacency_size;
	uint32		codes_per_page;
	uint32		adjacencies_per_page;
	const VecidxFilterLayout *filters;	/* NULL: no filter columns */
	uint32		filters_per_page;	/* a multiple of 64, or less than 64 and one of 8; 0: no filter columns */
	HnswFilterPage filter_page; /* the same, and where on it */
	Divisor		by_code_page;	/* divisors: the same three */
	Divisor		by_adjacency_page;
	Divisor		by_filter_page;
	const VecidxOpclass *opclass;
	Quantizer	quantizer;

	/* copies of what only ever grows */
	BlockNumber nblocks;		/* of the relation, when last asked */
	uint32		code_pages;
	VecidxExtentMap codes;
	VecidxExtentMap adjacencies;
	VecidxExtentMap filter_extents;
	bool		has_free;		/* the free list had nodes, when last looked at */

	/* where pages are and which buffer held them last, by ordinal */
	PageMemory	code_memory;
	PageMemory	adjacency_memory;
	PageMemory	filter_memory;

	struct RowPages *row_pages; /* the same of the table; NULL: nothing yet */

	struct HnswScan *spare_scan;	/* working memory for the next scan, or NULL */
	struct HnswInsertState *spare_insert;	/* the same for the next statement that inserts */
} HnswIndex;

/* Most working memory that an index keeps for its next scan, and for its next insert. */
#define HNSW_SPARE_BYTES (1024 * 1024)

/*
 * Open: find or make the backend's memory of the index, and read the entry
 * point.  The pointer stays good until the memory context is reset.
 */
extern HnswIndex *hnsw_index_open(Relation index, MemoryContext user, HnswEntry *entry);

/* Read the entry point (and growth) again. */
extern void hnsw_index_refresh(HnswIndex *hnsw, Relation index, HnswEntry *entry);

/* What is wrong with a metapage's options, sizes and extents; NULL if nothing. */
extern const char *hnsw_meta_problem(const HnswMetaPageData *meta);

/* Whether it is one of an index with these filter columns (NULL: none). */
extern bool hnsw_meta_fits_filters(const HnswMetaPageData *meta, const VecidxFilterLayout *filters);

/* Raise an error unless block 0 can be trusted, pointers to nodes included. */
extern void hnsw_meta_check(Relation index, Page page);
extern void hnsw_index_absorb(HnswIndex *hnsw, const HnswMetaPageData *meta);

/* First number that is no node (some below may not be either). */
static inline uint64
hnsw_node_limit(const HnswIndex *hnsw)
{
	return (uint64) hnsw->code_pages * hnsw->codes_per_page;
}

/* Block of a page by ordinal; InvalidBlockNumber if there is none. */

/* Fill a metapage for a new index and write it with its centre; no WAL. */
typedef struct HnswParams
{
	int			dim;
	int			m;
	int			ef_construction;
	QuantKind	quantizer;
	const VecidxOpclass *opclass;
	const VecidxFilterLayout *filters;	/* NULL: no filter columns */
	uint64		seed;
} HnswParams;

extern void hnsw_params_read(Relation index, HnswParams *params);
extern void hnsw_create(Relation index, ForkNumber fork, const HnswParams *params, const float *centre);

/* ---- Pages as a store (hnsw_disk.c) ---- */

typedef struct HnswDiskStore
{
	HnswStore	store;
	Relation	index;
	HnswIndex  *hnsw;
	bool		building;		/* changes are not logged */
	uint8	   *scratch;		/* records copied out of their pages; for one of them if they are wide */
	Size		scratch_stride;
} HnswDiskStore;

extern void hnsw_disk_store_init(HnswDiskStore *store, Relation index, HnswIndex *hnsw,
								 MemoryContext context, bool building);

/* ---- Values of filter columns on pages (hnsw_values.c); rows are packed (index/filter.h) ---- */

/* What is wrong with a filter page that is in use; NULL if nothing. */
extern const char *hnsw_filter_page_problem(const HnswIndex *hnsw, Page page, uint32 ordinal);

/*
 * Put a new node's values in their place: a change of its own, before that
 * which makes the node.  The caller holds the node's code page exclusively
 * locked, so that nobody else gets its number.
 */
extern void hnsw_values_write(HnswDiskStore *store, uint32 node, const uint8 *packed);

/* Whether a node has these values.  The caller holds its code page locked. */
extern bool hnsw_values_equal(HnswDiskStore *store, uint32 node, const uint8 *packed);

/* Whether a node is known to have others, without a lock: false where it cannot be told. */
extern bool hnsw_values_differ(HnswDiskStore *store, uint32 node, const uint8 *packed);

/* ---- Lists of links on pages (hnsw_links.c) ---- */

/* Read a list of n links. */
extern void hnsw_links_load(const uint32 *from, int n, HnswLinks *links);

/* Fill a list on a page from n nodes, the first nkept of them kept by the rule. */
extern void hnsw_links_store(uint32 *to, const uint32 *nodes, int n, int nkept);
extern bool hnsw_links_equal(const HnswLinks *a, const HnswLinks *b);

/*
 * Add to a change what makes the list of n links at `at`, on the page in
 * buffer, contain these.  The caller writes how many there are.
 */
extern void hnsw_links_change(PageChange *change, Buffer buffer, const uint32 *at, int n, const HnswLinks *links);

/* A node's adjacency page, locked; *adjacency points into it.  Checked. */
extern Buffer hnsw_disk_adjacency(HnswDiskStore *store, uint32 node, int lockmode, HnswAdjacency *adjacency);

/* Slot of a node's adjacency record on its page (for messages). */
#define HnswAdjacencySlot(hnsw, node) ((int) ((node) % (hnsw)->adjacencies_per_page))
#define HnswPageGetAdjacency(page, hnsw, slot) \
	((HnswAdjacency) (PageGetContents(page) + (Size) (slot) * (hnsw)->adjacency_size))

/*
 * Extend the relation if few of its pages are left that no node has, unless
 * another backend is at it.  The caller holds no lock on the index beside that
 * of the relation.
 */
extern void hnsw_disk_grow_ahead(HnswDiskStore *store);

/* An extra page with room for an item of this size, exclusively locked. */
extern Buffer hnsw_disk_extra_page(HnswDiskStore *store, Size size);

/*
 * Free space of a page that extra items go to; false for other pages.  One that
 * a crash left unused becomes such a page.
 */
extern bool hnsw_disk_extra_space(HnswDiskStore *store, BlockNumber block, BufferAccessStrategy strategy, Size *free);

/* Read an extra item: page share-locked, item checked for kind and owner. */
extern Buffer hnsw_disk_extra_item(HnswDiskStore *store, ItemPointer where, HnswExtraKind kind,
								   uint32 owner, int lockmode, void **item);

/* The same; no buffer, and what is wrong, where there is no such item. */
extern Buffer hnsw_disk_try_extra_item(HnswDiskStore *store, ItemPointer where, HnswExtraKind kind,
									   uint32 owner, int lockmode, void **item, const char **problem);

/* Put an item on an extra page within a change; returns where. */
extern ItemPointerData hnsw_disk_put_extra(HnswDiskStore *store, PageChange *change, Buffer buffer, void *item, Size size);

/* Tell the free space map of an extra page that has changed; it is locked. */
extern void hnsw_disk_note_free_space(HnswDiskStore *store, Buffer buffer);

/* Delete an item from the image of an extra page; its line pointer may be used again. */
static inline void
hnsw_page_delete_item(Page page, ItemPointer where)
{
	PageIndexTupleDeleteNoCompact(page, ItemPointerGetOffsetNumber(where));
	PageSetHasFreeLinePointers(page);
}

/*
 * Guards a walk along TID chunks against a damaged chain that runs in a ring
 * (Brent's method: a mark that moves ahead in ever longer strides).  Step
 * before each chunk is read.
 */
typedef struct HnswChainGuard
{
	ItemPointerData mark;		/* all zeros is invalid: there is no offset 0 */
	uint64		steps;
	uint64		stride;
} HnswChainGuard;

#define HNSW_CHAIN_GUARD {.stride = 1}

extern void hnsw_chain_step(Relation index, HnswChainGuard *guard, ItemPointer next);

/* ---- Records that do not fit a code page (hnsw_wide.c) ---- */

/* Copy a node's record; false where VACUUM has taken it away (the node is nobody's then). */
extern bool hnsw_wide_read(HnswDiskStore *store, uint32 node, uint8 *record);

/* The same from the slot at hand, which leads to a record: the caller holds its code page locked. */
extern void hnsw_wide_read_slot(HnswDiskStore *store, uint32 node, const HnswWideSlot *slot, uint8 *record);

/*
 * Write a record for a node, in chunks, and say where it is.  The caller
 * holds the node's code page and puts the slot there.  A crash before that
 * leaves chunks that nothing points at.
 */
extern void hnsw_wide_write(HnswDiskStore *store, uint32 node, const uint8 *record, HnswWideSlot *slot);

/*
 * Write a record in chunks, last one first, by a function that puts an item of
 * size bytes on some extra page and says where; slot leads to the first.
 */
typedef ItemPointerData (*HnswPutChunk) (void *arg, void *chunk, Size size);

extern void hnsw_wide_put(const Quantizer *quantizer, uint32 node, const uint8 *record,
						  HnswPutChunk put, void *arg, HnswWideSlot *slot);

/* Take away a free-to-be node's record; no locks are held. */
extern void hnsw_wide_drop(HnswDiskStore *store, uint32 node);

/* TIDs of a node. */
typedef struct HnswTids
{
	ItemPointerData *tids;
	Size		n;
	Size		capacity;
	MemoryContext context;
} HnswTids;

/*
 * All TIDs of a node as of one moment, into *tids (which it empties first).
 * Returns the node's state; no TIDs unless that is HNSW_NODE_USED.
 */
extern int	hnsw_disk_read_tids(HnswDiskStore *store, uint32 node, HnswTids *tids);

/* A node's first TID, if it can be had without waiting for anything. */
extern bool hnsw_disk_peek_tid(HnswDiskStore *store, uint32 node, ItemPointer tid);

/* hnsw_disk_read_tids() for a number below the limit that may never have been a node. */
extern void hnsw_disk_try_tids(HnswDiskStore *store, uint32 node, HnswTids *tids);

/* An adjacency page by ordinal, locked and checked; false if it is still free (no buffer then). */
extern bool hnsw_disk_adjacency_page(HnswDiskStore *store, uint32 ordinal, int lockmode, Buffer *buffer);

/* Records on an adjacency page. */
extern int	hnsw_page_adjacencies(const HnswIndex *hnsw, Page page);

/* ---- One row into the graph (hnsw_insert.c), over any store ---- */

typedef struct HnswInserter
{
	HnswStore  *store;
	int			ef_construction;
	uint64		seed;
	HnswSearch	search;
	HnswSelect	select;
	QuantQuery *query;
	void	   *scratch;
	uint8	   *code;
	const uint8 *values;		/* of the row's filter columns, packed, or NULL */
	CandidateArray sorted;
	ScoredNode *carried;		/* entries of the next level */
	HnswLinks  *links;			/* HNSW_LEVEL_LIMIT + 1 levels */
	uint32	   *twins;			/* room for ef_construction */
} HnswInserter;

extern void hnsw_inserter_init(HnswInserter *inserter, HnswStore *store, int ef_construction,
							   uint64 seed, MemoryContext context);

/*
 * vector: what the quantizer takes.  values: of filter columns, packed; NULL
 * if there are none.  unchanged: another version of the row with the same
 * vector is likely to be in the index.  Returns whether the row made a node of
 * its own (an equal vector's node may have taken its TID).
 */
extern bool hnsw_inserter_add(HnswInserter *inserter, const void *vector, const uint8 *values,
							  ItemPointer tid, bool unchanged);

/* Lock that lets VACUUM wait for the inserts under way; see README.md. */
extern void hnsw_insert_lock(Relation index);
extern void hnsw_insert_unlock(Relation index);
extern void hnsw_insert_barrier(Relation index);

/* ---- Access method entry points ---- */

extern void hnsw_init(void);
extern const VecidxChecker hnsw_checker;

extern IndexBuildResult *hnsw_build(Relation heap, Relation index, IndexInfo *indexInfo);
extern void hnsw_buildempty(Relation index);
extern bool hnsw_insert(Relation index, Datum *values, bool *isnull, ItemPointer tid, Relation heap,
						IndexUniqueCheck check, bool unchanged, IndexInfo *indexInfo);
extern IndexBulkDeleteResult *hnsw_bulkdelete(IndexVacuumInfo *info, IndexBulkDeleteResult *stats,
											  IndexBulkDeleteCallback callback, void *callback_state);
extern IndexBulkDeleteResult *hnsw_vacuumcleanup(IndexVacuumInfo *info, IndexBulkDeleteResult *stats);
extern IndexScanDesc hnsw_beginscan(Relation index, int nkeys, int norderbys);
extern void hnsw_rescan(IndexScanDesc scan, ScanKey keys, int nkeys, ScanKey orderbys, int norderbys);
extern bool hnsw_gettuple(IndexScanDesc scan, ScanDirection dir);
extern void hnsw_endscan(IndexScanDesc scan);

/*
 * What a search of the graph for ef nodes that pass is expected to do, and
 * what a pass over so many nodes does, in nanoseconds about: README.md,
 * "Filters".  rate: the share of the nodes that pass; code_size: the quantizer's.
 */
extern double hnsw_graph_work(double ef, int m, Size code_size, double rate);
extern double hnsw_pass_work(double nodes, Size code_size, double rate);

#define PROGRESS_HNSW_PHASE_SAMPLE 2
#define PROGRESS_HNSW_PHASE_LOAD 3
#define PROGRESS_HNSW_PHASE_WRITE 4
#define PROGRESS_HNSW_PHASE_LOG 5

#endif							/* VECIDX_HNSW_H */
