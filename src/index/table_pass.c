/*
 * table_pass.c
 *		Passes over rows in the order of the table (table_pass.h).
 */
#include "vecidx.h"

#include "access/heaptoast.h"
#include "index/table_pass.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

/* Rows that a pass keeps at least. */
#define LEAST_KEPT 1024

/* What a row takes that is fetched out of the table's order, its test apart; and its vector, if it is out of line. */
#define FETCH_NS 1500
#define DETOAST_NS 2500

void
table_pass_init(TablePass *pass, MemoryContext context)
{
	tidset_init(&pass->tids, context);
	row_queue_init(&pass->kept, context);
	pass->again = false;
}

void
table_pass_reset(TablePass *pass)
{
	tidset_clear(&pass->tids);
	pass->kept.n = 0;
	pass->dropped = pass->again = false;
}

void
table_pass_begin(TablePass *pass, Size memory)
{
	tidset_clear(&pass->tids);
	pass->kept.n = 0;
	pass->dropped = false;
	pass->memory = memory;
}

size_t
table_pass_most(Size memory)
{
	/* the queue grows to twice as many before it is cut */
	return Max((size_t) LEAST_KEPT, memory / (2 * sizeof(QueuedRow)));
}

static inline size_t
most_kept(const TablePass *pass)
{
	return table_pass_most(pass->memory);
}

/* Leave the nearest only; returns the farthest of them. */
static QueuedRow
drop_far(TablePass *pass)
{
	size_t		keep = most_kept(pass);

	(void) row_queue_select(&pass->kept, keep);
	pass->kept.n = keep;
	pass->dropped = true;
	return pass->kept.rows[keep - 1];
}

static void
keep_row(TablePass *pass, double dist, const ItemPointerData *tid)
{
	QueuedRow	row = {dist, *tid};

	if (pass->again && !queued_before(&pass->last, &row))
		return;
	row_queue_append(&pass->kept, dist, tid);
	if (unlikely(pass->kept.n >= 2 * most_kept(pass)))
		(void) drop_far(pass);
}

void
table_pass_visit(TablePass *pass, TablePassDistance distance, void *arg)
{
	uint32		nruns = tidset_sort(&pass->tids);

	for (uint32 i = 0; i < nruns; i++)
	{
		const TidRun *run = &pass->tids.runs[i];

		CHECK_FOR_INTERRUPTS();
		for (uint64 bits = run->bits; bits != 0; bits &= bits - 1)
		{
			ItemPointerData tid;
			double		dist;

			tidset_tid(run, pg_rightmost_one_pos64(bits), &tid);
			if (distance(arg, &tid, &dist))
				keep_row(pass, dist, &tid);
		}
	}
	tidset_clear(&pass->tids);
}

double
table_pass_vector_ns(Size size)
{
	/* values of a quarter of a page and more stand out of line */
	return size / 8.0 + (size > TOAST_TUPLE_TARGET ? DETOAST_NS : 0);
}

bool
table_pass_pays(const VecidxRowTest *test, Size memory, double rows, double need, double other_ns, double vector_ns)
{
	double		rate = vecidx_row_test_rate(test);
	double		row_ns = test->test_ns + rate * vector_ns;

	/* a pass has no more of them than it can keep */
	need = Min(need, table_pass_most(memory) / rate);
	return rows * (TABLE_PASS_ROW_NS + row_ns) < other_ns + Min(need, rows) * (FETCH_NS + row_ns);
}

bool
table_pass_end(TablePass *pass)
{
	if (pass->dropped || pass->kept.n > most_kept(pass))
		pass->last = drop_far(pass);
	pass->again = pass->dropped;
	return !pass->dropped;
}
