/*
 * listcode_bench.c
 *		What codes of inverted lists cost and lose.
 *
 * usage: listcode_bench [base.npy query.npy [metric [queries [recall]]]]
 *
 * Without arguments: ns a code to score with its error, in cache and from
 * memory, and to encode, by dimension; then the first at every level.
 *
 * With vectors: lists around 4 sqrt(rows) centroids of a plain k-means, then
 * for each kind of code the fewest probes that reach the recall of the ten
 * nearest, and what a query takes there: codes scanned, and vectors fetched
 * for exact distances in the order of (estimate - m standard errors) until
 * that passes the tenth exact distance.  metric: cosine (default), l2, ip.
 */
#include "bench.h"

#include "quant/listcode.h"

#define K 10

typedef struct Coded
{
	const char *name;
	ListCodeKind kind;
	int			bits;
	int			dims_per_part;	/* pq */
	bool		half;
} Coded;

static const Coded kinds[] = {
	{"float32", LISTCODE_EXACT, 0, 0, false},
	{"float16", LISTCODE_EXACT, 0, 0, true},
	{"rabitq 1", LISTCODE_RABITQ, 1, 0, false},
	{"rabitq 4", LISTCODE_RABITQ, 4, 0, false},
	{"rabitq 8", LISTCODE_RABITQ, 8, 0, false},
	{"pq 4 bits, 2 dims", LISTCODE_PQ, 4, 2, false},
	{"pq 4 bits, 4 dims", LISTCODE_PQ, 4, 4, false},
	{"pq 8 bits, 4 dims", LISTCODE_PQ, 8, 4, false},
	{"pq 8 bits, 8 dims", LISTCODE_PQ, 8, 8, false},
};

#define NKINDS (sizeof(kinds) / sizeof(kinds[0]))

static ListCodeSpec
spec_of(const Coded *coded, Metric metric, int dim)
{
	ListCodeSpec spec = {.kind = coded->kind, .metric = metric, .half = coded->half, .dim = dim, .bits = coded->bits,
	.seed = 42};

	if (coded->dims_per_part > 0)
		spec.m = (dim + coded->dims_per_part - 1) / coded->dims_per_part;
	return spec;
}

static void
no_tick(void *arg)
{
	(void) arg;
}

static double
uniform(void)
{
	return (double) rand() / RAND_MAX;
}

/* Trained data, or NULL where there is none; residuals are overwritten. */
static void *
train(const ListCodeSpec *spec, float *residuals, size_t n)
{
	size_t		size = listcode_trained_size(spec);
	void	   *trained = NULL;

	if (size > 0)
	{
		void	   *scratch = allocate(listcode_train_scratch(spec, n) + 64);

		trained = allocate(size);
		listcode_train(spec, residuals, n, trained, scratch, no_tick, NULL);
		free(scratch);
	}
	return trained;
}

/* All the codes of some vectors, in blocks where the kind has them. */
typedef struct Codes
{
	ListCode	lc;
	float	   *a;
	float	   *b;
	uint8_t    *rows;
	uint8_t    *blocks;			/* or NULL */
	void	   *scratch;
	ListQuery  *query;
} Codes;

static void
codes_new(Codes *codes, const ListCodeSpec *spec, const float *origin, const void *trained, int n)
{
	ListCode   *lc = &codes->lc;

	listcode_init(lc, spec, origin, trained);
	codes->a = allocate(sizeof(float) * (size_t) n);
	codes->b = allocate(sizeof(float) * (size_t) n);
	codes->rows = allocate(lc->code_size * (size_t) n + SIMD_SLACK);
	codes->blocks = NULL;
	if (lc->nnibbles > 0)
		codes->blocks = allocate(listcode_block_size(lc, LISTCODE_BLOCK) * (size_t) (n / LISTCODE_BLOCK + 1) + SIMD_SLACK);
	codes->scratch = allocate(lc->scratch_size + 64);
	codes->query = allocate(lc->query_size);
}

static void
codes_free(Codes *codes)
{
	free(codes->a);
	free(codes->b);
	free(codes->rows);
	free(codes->blocks);
	free(codes->scratch);
	free((void *) codes->query);
}

static void
codes_encode(Codes *codes, int i, const float *v, const float *centroid)
{
	float		factors[2] = {0, 0};

	listcode_encode(&codes->lc, v, centroid, factors, codes->rows + codes->lc.code_size * (size_t) i, codes->scratch);
	codes->a[i] = factors[0];
	codes->b[i] = factors[1];
}

/* Score codes first .. first + n, from blocks if all of them stand in whole ones. */
static void
codes_score(const Codes *codes, ListTerm term, int first, int n, float *dist, float *err)
{
	const ListCode *lc = &codes->lc;
	int			i = 0;

	for (; codes->blocks != NULL && i + LISTCODE_BLOCK <= n; i += LISTCODE_BLOCK)
		listcode_score_block(codes->query, term, codes->a + first + i, codes->b + first + i,
							 codes->blocks + listcode_block_size(lc, LISTCODE_BLOCK) * (size_t) ((first + i) / LISTCODE_BLOCK),
							 LISTCODE_BLOCK, dist + i, err + i);
	listcode_score(codes->query, term, codes->a + first + i, codes->b + first + i,
				   codes->rows + lc->code_size * (size_t) (first + i), n - i, dist + i, err + i);
}

/* Codes from first on into whole blocks. */
static void
codes_pack(Codes *codes, int first, int n)
{
	const ListCode *lc = &codes->lc;

	for (int i = 0; codes->blocks != NULL && i + LISTCODE_BLOCK <= n; i += LISTCODE_BLOCK)
		listcode_pack(lc, codes->rows + lc->code_size * (size_t) (first + i), LISTCODE_BLOCK,
					  codes->blocks + listcode_block_size(lc, LISTCODE_BLOCK) * (size_t) ((first + i) / LISTCODE_BLOCK));
}

/* ns a code to score n codes, 512 a call, the best of some rounds */
static double
score_time(const Codes *codes, int n, int passes)
{
	enum
	{
		CALL = 512,
		ROUNDS = 5
	};
	static float dist[CALL];
	static float err[CALL];
	ListTerm	term = {1, 1};
	double		best = 0;

	for (int round = 0; round < ROUNDS; round++)
	{
		double		start = now();
		double		ns;

		for (int pass = 0; pass < passes; pass++)
		{
			for (int i = 0; i + CALL <= n; i += CALL)
				codes_score(codes, term, i, CALL, dist, err);
		}
		ns = (now() - start) / passes / (n / CALL * CALL) * 1e9;
		best = round == 0 || ns < best ? ns : best;
	}
	return best;
}

/* by_level: only the time in cache, at each level there is */
static void
costs(const Coded *coded, int dim, bool by_level)
{
	enum
	{
		HOT = 512,
		SAMPLE = 4096
	};
	size_t		memory = (size_t) 128 << 20;
	ListCodeSpec spec = spec_of(coded, METRIC_L2, dim);
	float	   *vectors = allocate(sizeof(float) * (size_t) dim * SAMPLE);
	float	   *residuals = allocate(sizeof(float) * (size_t) dim * SAMPLE);
	float	   *centroid = allocate(sizeof(float) * (size_t) dim);
	void	   *trained;
	Codes		codes;
	double		encode;
	double		prepare;
	double		hot;
	double		hot_rows = 0;
	uint8_t    *blocks;
	int			n;

	if (listcode_problem(&spec) != NULL)
		return;
	for (int i = 0; i < dim * SAMPLE; i++)
		vectors[i] = residuals[i] = (float) (uniform() + uniform() + uniform() - 1.5);
	for (int i = 0; i < dim; i++)
		centroid[i] = 0.001f;
	trained = train(&spec, residuals, SAMPLE);
	listcode_init(&codes.lc, &spec, NULL, trained);
	n = by_level ? HOT : (int) (memory / codes.lc.code_size);
	codes_new(&codes, &spec, NULL, trained, n);

	encode = now();
	for (int i = 0; i < HOT; i++)
		codes_encode(&codes, i, vectors + (size_t) i * (size_t) dim, centroid);
	encode = now() - encode;
	for (int i = HOT; i < n; i++)
	{
		memcpy(codes.rows + codes.lc.code_size * (size_t) i, codes.rows + codes.lc.code_size * (size_t) (i % HOT), codes.lc.code_size);
		codes.a[i] = codes.a[i % HOT];
		codes.b[i] = codes.b[i % HOT];
	}
	codes_pack(&codes, 0, n);
	prepare = now();
	for (int i = 0; i < HOT; i++)
		listcode_query(&codes.lc, vectors + (size_t) i * (size_t) dim, codes.query, codes.scratch);
	prepare = now() - prepare;

	if (by_level)
	{
		printf("| %d | %s |", dim, coded->name);
		for (int level = 0; level < SIMD_NLEVELS; level++)
		{
			if (!simd_force((SimdLevel) level))
				continue;
			listcode_query(&codes.lc, vectors, codes.query, codes.scratch);
			printf(" %.1f |", score_time(&codes, HOT, 300000 / dim));
		}
		printf("\n");
		simd_use_best();
		codes_free(&codes);
		free(trained);
		free(centroid);
		free(residuals);
		free(vectors);
		return;
	}
	hot = score_time(&codes, HOT, 1000000 / dim);
	blocks = codes.blocks;
	if (blocks != NULL)
	{
		codes.blocks = NULL;
		hot_rows = score_time(&codes, HOT, 300000 / dim);
		codes.blocks = blocks;
	}
	printf("| %d | %s | %zu | %.0f | %.0f | %.1f | ", dim, coded->name,
		   codes.lc.code_size + sizeof(float) * (size_t) codes.lc.nfactors, encode / HOT * 1e9, prepare / HOT * 1e9, hot);
	if (blocks != NULL)
		printf("%.1f | ", hot_rows);
	else
		printf("– | ");
	printf("%.1f |\n", score_time(&codes, n, 1));
	fflush(stdout);
	codes_free(&codes);
	free(trained);
	free(centroid);
	free(residuals);
	free(vectors);
}

/* Inverted lists of row numbers. */
typedef struct Lists
{
	int			n;
	int			dim;
	float	   *centroids;
	int		   *starts;			/* n + 1 of them, in multiples of LISTCODE_BLOCK */
	int		   *counts;
	int		   *rows;
} Lists;

static int
nearest_centroid(const Lists *lists, const float **pointers, const float *v, float *dist)
{
	int			best = 0;

	simd_get()->l2sq_f32_batch(v, pointers, lists->n, lists->dim, dist);
	for (int i = 1; i < lists->n; i++)
		best = dist[i] < dist[best] ? i : best;
	return best;
}

/* Lloyd's algorithm from random rows; the vectors are as the metric wants them. */
static void
lists_make(Lists *lists, const float *vectors, int rows, int dim, int n)
{
	int			sample = n * 50 < rows ? n * 50 : rows;
	size_t		row_size = sizeof(float) * (size_t) dim;
	double	   *sums = allocate(sizeof(double) * (size_t) n * (size_t) dim);
	const float **pointers = allocate(sizeof(float *) * (size_t) n);
	float	   *dist = allocate(sizeof(float) * (size_t) n);
	int		   *list_of = allocate(sizeof(int) * (size_t) rows);
	int			at = 0;

	lists->n = n;
	lists->dim = dim;
	lists->centroids = allocate(row_size * (size_t) n);
	lists->starts = allocate(sizeof(int) * (size_t) (n + 1));
	lists->counts = allocate(sizeof(int) * (size_t) n);
	for (int i = 0; i < n; i++)
	{
		pointers[i] = lists->centroids + (size_t) i * (size_t) dim;
		memcpy(lists->centroids + (size_t) i * (size_t) dim, vectors + (size_t) (uniform() * (rows - 1)) * (size_t) dim, row_size);
	}
	for (int round = 0; round < 8; round++)
	{
		memset(sums, 0, sizeof(double) * (size_t) n * (size_t) dim);
		memset(lists->counts, 0, sizeof(int) * (size_t) n);
		for (int i = 0; i < sample; i++)
		{
			const float *v = vectors + (size_t) ((int64_t) i * rows / sample) * (size_t) dim;
			int			list = nearest_centroid(lists, pointers, v, dist);

			lists->counts[list]++;
			for (int j = 0; j < dim; j++)
				sums[(size_t) list * (size_t) dim + (size_t) j] += v[j];
		}
		for (int i = 0; i < n; i++)
		{
			for (int j = 0; j < dim && lists->counts[i] > 0; j++)
				lists->centroids[(size_t) i * (size_t) dim + (size_t) j] = (float) (sums[(size_t) i * (size_t) dim + (size_t) j] / lists->counts[i]);
		}
	}

	memset(lists->counts, 0, sizeof(int) * (size_t) n);
	for (int i = 0; i < rows; i++)
	{
		list_of[i] = nearest_centroid(lists, pointers, vectors + (size_t) i * (size_t) dim, dist);
		lists->counts[list_of[i]]++;
	}
	for (int i = 0; i < n; i++)
	{
		lists->starts[i] = at;
		at += (lists->counts[i] + LISTCODE_BLOCK - 1) / LISTCODE_BLOCK * LISTCODE_BLOCK;
		lists->counts[i] = 0;
	}
	lists->starts[n] = at;
	lists->rows = allocate(sizeof(int) * (size_t) at);
	for (int i = 0; i < rows; i++)
		lists->rows[lists->starts[list_of[i]] + lists->counts[list_of[i]]++] = i;
	free(list_of);
	free(dist);
	free(pointers);
	free(sums);
}

/* What a query wants and what its scans found. */
typedef struct Wanted
{
	const float *v;
	double		kth;			/* exact distance of the tenth nearest */
	int		   *lists;			/* by distance */
} Wanted;

static const Matrix *base;
static Metric metric;

/* Score the codes of the nearest lists of one query; returns how many. */
static int
scan_lists(const Codes *codes, const Lists *lists, const Wanted *wanted, int probes, float *dist, float *err,
		   double *seconds)
{
	int			n = 0;
	double		start = now();

	listcode_query(&codes->lc, wanted->v, codes->query, codes->scratch);
	for (int i = 0; i < probes; i++)
	{
		int			list = wanted->lists[i];
		ListTerm	term = listcode_term(codes->query, lists->centroids + (size_t) list * (size_t) lists->dim);

		codes_score(codes, term, lists->starts[list], lists->counts[list], dist + n, err + n);
		n += lists->counts[list];
	}
	*seconds += now() - start;
	return n;
}

/*
 * Scan for one query twice, the second time with all in cache.  found: of the ten nearest, at several
 * multiples of the standard error; fetched: exact distances it took.
 */
static void
scan(const Codes *codes, const Lists *lists, const Wanted *wanted, int probes,
	 const double *multipliers, int nmultipliers, Scored *work, float *dist, float *err,
	 long *scanned, long *fetched, long *found, double seconds[2])
{
	int			n = scan_lists(codes, lists, wanted, probes, dist, err, &seconds[0]);

	scan_lists(codes, lists, wanted, probes, dist, err, &seconds[1]);
	*scanned += n;

	for (int m = 0; m < nmultipliers; m++)
	{
		double		top[K];
		int			kept = 0;
		int			at = 0;

		for (int i = 0, k = 0; i < probes; i++)
		{
			int			list = wanted->lists[i];

			for (int j = 0; j < lists->counts[list]; j++, k++)
			{
				work[k].distance = dist[k] - multipliers[m] * err[k];
				work[k].row = lists->rows[lists->starts[list] + j];
			}
		}
		qsort(work, (size_t) n, sizeof(Scored), by_distance);
		for (; at < n && !(kept == K && work[at].distance > top[K - 1]); at++)
		{
			double		d = metric_rank(metric, wanted->v, base->values + (size_t) work[at].row * (size_t) base->dim, base->dim);
			int			place;

			if (kept == K && d >= top[K - 1])
				continue;
			place = kept < K ? kept++ : K - 1;
			for (; place > 0 && top[place - 1] > d; place--)
				top[place] = top[place - 1];
			top[place] = d;
		}
		fetched[m] += at;
		for (int i = 0; i < kept; i++)
			found[m] += top[i] <= wanted->kth;
	}
}

/* Returns how many probes it took, never fewer than the given number, which an exact kind needed. */
static int
experiment(const Coded *coded, const Lists *lists, const float *origin, const float *vectors,
		   const Wanted *wanted, int nqueries, double recall, int probes)
{
	static const double multipliers[] = {1.5, 2, 2.5, 3};
	enum
	{
		MULTIPLIERS = 4
	};
	int			dim = base->dim;
	int			rows = base->rows;
	ListCodeSpec spec = spec_of(coded, metric, dim);
	int			sample = rows < 65536 ? rows : 65536;
	float	   *residuals;
	Scored	   *work;
	float	   *dist;
	float	   *err;
	int			filled = 0;
	void	   *trained;
	double		encode;
	Codes		codes;

	if (listcode_problem(&spec) != NULL)
		return probes;
	residuals = allocate(sizeof(float) * (size_t) sample * (size_t) dim);
	for (int list = 0; list < lists->n; list++)
	{
		for (int j = 0; j < lists->counts[list] && filled < sample; j++)
		{
			int			row = lists->rows[lists->starts[list] + j];

			/* a part of each list */
			if ((int64_t) (row * 2654435761u) % rows >= sample)
				continue;
			for (int d = 0; d < dim; d++)
				residuals[(size_t) filled * (size_t) dim + (size_t) d] =
					vectors[(size_t) row * (size_t) dim + (size_t) d] - lists->centroids[(size_t) list * (size_t) dim + (size_t) d];
			filled++;
		}
	}
	work = allocate(sizeof(Scored) * (size_t) rows);
	dist = allocate(sizeof(float) * (size_t) (rows + LISTCODE_BLOCK));
	err = allocate(sizeof(float) * (size_t) (rows + LISTCODE_BLOCK));
	trained = train(&spec, residuals, (size_t) filled);
	codes_new(&codes, &spec, origin, trained, lists->starts[lists->n]);
	encode = now();
	for (int list = 0; list < lists->n; list++)
	{
		for (int j = 0; j < lists->counts[list]; j++)
			codes_encode(&codes, lists->starts[list] + j,
						 base->values + (size_t) lists->rows[lists->starts[list] + j] * (size_t) dim,
						 lists->centroids + (size_t) list * (size_t) dim);
		codes_pack(&codes, lists->starts[list], lists->counts[list]);
	}
	encode = now() - encode;

	for (;;)
	{
		long		scanned = 0;
		long		fetched[MULTIPLIERS] = {0};
		long		found[MULTIPLIERS] = {0};
		double		seconds[2] = {0};

		for (int i = 0; i < nqueries; i++)
			scan(&codes, lists, &wanted[i], probes, multipliers, codes.lc.exact ? 1 : MULTIPLIERS, work, dist, err,
				 &scanned, fetched, found, seconds);
		if (found[codes.lc.exact ? 0 : MULTIPLIERS - 1] >= recall * K * nqueries || probes == lists->n)
		{
			printf("| %s | %zu | %.0f | %d | %.0f | %.0f / %.0f |", coded->name,
				   codes.lc.code_size + sizeof(float) * (size_t) codes.lc.nfactors, encode / rows * 1e9, probes,
				   (double) scanned / nqueries, seconds[0] / nqueries * 1e6, seconds[1] / nqueries * 1e6);
			for (int m = 0; m < (codes.lc.exact ? 1 : MULTIPLIERS); m++)
				printf(" %.1f / %.4f |", (double) fetched[m] / nqueries, (double) found[m] / nqueries / K);
			for (int m = codes.lc.exact ? 1 : MULTIPLIERS; m < MULTIPLIERS; m++)
				printf(" |");
			printf("\n");
			fflush(stdout);
			break;
		}
		probes += probes < 20 ? 1 : probes / 20;
		probes = probes < lists->n ? probes : lists->n;
	}
	codes_free(&codes);
	free(trained);
	free(residuals);
	free(work);
	free(dist);
	free(err);
	return probes;
}

/* base and queries as the metric sees them */
static float *
seen_by_metric(const Matrix *m)
{
	size_t		count = (size_t) m->rows * (size_t) m->dim;
	float	   *out = allocate(sizeof(float) * count);

	memcpy(out, m->values, sizeof(float) * count);
	for (int i = 0; metric == METRIC_COSINE && i < m->rows; i++)
	{
		float	   *v = out + (size_t) i * (size_t) m->dim;
		double		length = sqrt(simd_get()->sumsq_f32(v, m->dim));

		for (int j = 0; j < m->dim && length > 0; j++)
			v[j] = (float) (v[j] / length);
	}
	return out;
}

static void
run(const Matrix *queries, int nqueries, double recall)
{
	int			nlists = (int) (4 * sqrt((double) base->rows));
	float	   *vectors = seen_by_metric(base);
	float	   *values = seen_by_metric(queries);
	float	   *origin = allocate(sizeof(float) * (size_t) base->dim);
	Scored	   *scored = allocate(sizeof(Scored) * (size_t) base->rows);
	Wanted	   *wanted = allocate(sizeof(Wanted) * (size_t) nqueries);
	Lists		lists;
	int			probes = 1;

	srand(1);
	lists_make(&lists, vectors, base->rows, base->dim, nlists);
	for (int j = 0; j < base->dim; j++)
	{
		double		sum = 0;

		for (int i = 0; i < nlists; i++)
			sum += lists.centroids[(size_t) i * (size_t) base->dim + (size_t) j];
		origin[j] = (float) (sum / nlists);
	}
	for (int i = 0; i < nqueries; i++)
	{
		const float *v = values + (size_t) i * (size_t) base->dim;

		for (int j = 0; j < base->rows; j++)
			scored[j] = (Scored) {metric_rank(metric, v, base->values + (size_t) j * (size_t) base->dim, base->dim), j};
		qsort(scored, (size_t) base->rows, sizeof(Scored), by_distance);
		wanted[i].v = v;
		wanted[i].kth = scored[K - 1].distance;
		for (int j = 0; j < nlists; j++)
			scored[j] = (Scored) {metric_rank(metric == METRIC_IP ? METRIC_IP : METRIC_L2, v, lists.centroids + (size_t) j * (size_t) base->dim, base->dim), j};
		qsort(scored, (size_t) nlists, sizeof(Scored), by_distance);
		wanted[i].lists = allocate(sizeof(int) * (size_t) nlists);
		for (int j = 0; j < nlists; j++)
			wanted[i].lists[j] = scored[j].row;
	}

	printf("%d x %d, %s, %d lists, %d queries, recall %.2f of %d, %s kernels\n\n", base->rows, base->dim,
		   metric_info(metric)->name, nlists, nqueries, recall, K, simd_get()->name);
	printf("| kind | bytes | encode ns | probes | scanned | scan µs, again | m = 1.5: fetched / recall | 2 | 2.5 | 3 |\n");
	printf("|---|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < NKINDS; i++)
	{
		int			took = experiment(&kinds[i], &lists, origin, vectors, wanted, nqueries, recall, probes);

		probes = kinds[i].kind == LISTCODE_EXACT ? took : probes;
	}
	for (int i = 0; i < nqueries; i++)
		free(wanted[i].lists);
	free(lists.centroids);
	free(lists.starts);
	free(lists.counts);
	free(lists.rows);
	free(wanted);
	free(scored);
	free(origin);
	free(values);
	free(vectors);
}

int
main(int argc, char **argv)
{
	Matrix		rows;
	Matrix		queries;
	int			nqueries;

	if (argc == 1)
	{
		static const int dims[] = {100, 768};

		printf("ns, %s kernels, 512 codes a call\n\n", simd_get()->name);
		printf("| dim | kind | bytes | encode | prepare a query | score | score rows | score, from memory |\n");
		printf("|---|---|---|---|---|---|---|---|\n");
		for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		{
			for (size_t j = 0; j < NKINDS; j++)
				costs(&kinds[j], dims[i], false);
		}
		printf("\n| dim | kind |");
		for (int level = 0; level < SIMD_NLEVELS; level++)
		{
			if (simd_kernels_for((SimdLevel) level) != NULL)
				printf(" %s |", simd_kernels_for((SimdLevel) level)->name);
		}
		printf("\n");
		for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		{
			for (size_t j = 0; j < NKINDS; j++)
				costs(&kinds[j], dims[i], true);
		}
		return 0;
	}
	if (argc < 3)
	{
		fprintf(stderr, "usage: listcode_bench [base.npy query.npy [metric [queries [recall]]]]\n");
		return 1;
	}
	rows = load(argv[1]);
	queries = load(argv[2]);
	if (queries.dim != rows.dim)
	{
		fprintf(stderr, "dimensions differ\n");
		return 1;
	}
	base = &rows;
	metric = argc > 3 && strcmp(argv[3], "l2") == 0 ? METRIC_L2 :
		argc > 3 && strcmp(argv[3], "ip") == 0 ? METRIC_IP : METRIC_COSINE;
	nqueries = argc > 4 ? atoi(argv[4]) : 200;
	if (nqueries < 1 || nqueries > queries.rows)
		nqueries = queries.rows;
	run(&queries, nqueries, argc > 5 ? atof(argv[5]) : 0.95);
	free(rows.values);
	free(queries.values);
	return 0;
}
