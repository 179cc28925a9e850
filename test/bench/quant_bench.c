/*
 * quant_bench.c
 *		What the codes cost and lose on real vectors.
 *
 * usage: quant_bench [base.npy query.npy [queries]]
 *
 * Without arguments: what encoding, preparing and scoring cost in cache, by
 * dimension.
 *
 * With two-dimensional .npy files of float16 or float32: for each metric and
 * kind, encoding and scoring times, how honest the standard error is (the
 * share of estimates within 1 and 2 of it, over all pairs and over the 100
 * true nearest), and what an exact answer of 10 neighbours takes from a scan
 * of all codes: records are fetched in the order of (estimate - m standard
 * errors) until that bound passes the tenth best exact distance.
 */
#include "bench.h"

#include "quant/quantizer.h"

#define K 10
#define NEAR 100
#define SAMPLE 10000

static void
mean(const Matrix *base, Metric metric, float *out)
{
	int			n = base->rows < SAMPLE ? base->rows : SAMPLE;
	double	   *sum = calloc((size_t) base->dim, sizeof(double));

	for (int i = 0; i < n; i++)
	{
		const float *v = base->values + (size_t) i * (size_t) base->dim;
		double		scale = 1;

		if (metric == METRIC_COSINE)
		{
			double		norm_sq = 0;

			for (int j = 0; j < base->dim; j++)
				norm_sq += (double) v[j] * v[j];
			scale = norm_sq > 0 ? 1 / sqrt(norm_sq) : 0;
		}
		for (int j = 0; j < base->dim; j++)
			sum[j] += v[j] * scale;
	}
	for (int j = 0; j < base->dim; j++)
		out[j] = (float) (sum[j] / n);
	free(sum);
}

/* what one query needs at one multiplier; best holds the true ten nearest */
static void
rerank(const Scored *exact_by_row, const Scored *best, const float *dist, const float *err, int n,
	   double multiplier, Scored *work, long *fetched, long *found)
{
	double		top[K];
	int			kept = 0;

	for (int i = 0; i < n; i++)
	{
		work[i].distance = dist[i] - multiplier * err[i];
		work[i].row = i;
	}
	qsort(work, (size_t) n, sizeof(Scored), by_distance);
	for (int i = 0; i < n; i++)
	{
		double		d = exact_by_row[work[i].row].distance;
		int			at;

		if (kept == K && work[i].distance > top[K - 1])
			break;
		(*fetched)++;
		if (kept == K && d >= top[K - 1])
			continue;
		at = kept < K ? kept++ : K - 1;
		while (at > 0 && top[at - 1] > d)
		{
			top[at] = top[at - 1];
			at--;
		}
		top[at] = d;
	}
	for (int i = 0; i < kept; i++)
		*found += top[i] <= best[K - 1].distance;
}

static void
bench(const Matrix *base, const Matrix *queries, int nqueries, Metric metric, QuantKind kind)
{
	static const double multipliers[] = {1, 1.5, 2, 2.5, 3};
	enum
	{
		MULTIPLIERS = sizeof(multipliers) / sizeof(multipliers[0])
	};
	int			n = base->rows;
	int			dim = base->dim;
	float	   *centre = allocate(sizeof(float) * (size_t) dim);
	Quantizer	q;
	uint8_t    *codes;
	const uint8_t **records = allocate(sizeof(uint8_t *) * (size_t) n);
	float	   *dist = allocate(sizeof(float) * (size_t) n);
	float	   *err = allocate(sizeof(float) * (size_t) n);
	Scored	   *exact = allocate(sizeof(Scored) * (size_t) n);
	Scored	   *sorted = allocate(sizeof(Scored) * (size_t) n);
	Scored	   *work = allocate(sizeof(Scored) * (size_t) n);
	void	   *scratch;
	QuantQuery *query;
	long		fetched[MULTIPLIERS] = {0};
	long		found[MULTIPLIERS] = {0};
	long		within[2][2] = {{0}};
	long		pairs[2] = {0};
	double		encode_time;
	double		prepare_time = 0;
	double		score_time = 0;
	double		score_err_time = 0;

	mean(base, metric, centre);
	quant_init(&q, kind, metric, dim, centre, 42);
	codes = allocate(q.code_size * (size_t) n + SIMD_SLACK);
	scratch = allocate(q.scratch_size + 1);
	query = allocate(q.query_size);

	encode_time = now();
	for (int i = 0; i < n; i++)
	{
		records[i] = codes + q.code_size * (size_t) i;
		quant_encode(&q, base->values + (size_t) i * (size_t) dim, codes + q.code_size * (size_t) i, scratch);
	}
	encode_time = now() - encode_time;

	for (int i = 0; i < nqueries; i++)
	{
		const float *v = queries->values + (size_t) i * (size_t) dim;
		double		start = now();
		double		prepared;
		double		scored;

		quant_query_prepare(&q, v, query, scratch);
		prepared = now();
		quant_score(query, records, n, dist, NULL);
		scored = now();
		quant_score(query, records, n, dist, err);
		score_err_time += now() - scored;
		score_time += scored - prepared;
		prepare_time += prepared - start;

		for (int j = 0; j < n; j++)
		{
			exact[j].distance = metric_rank(metric, v, base->values + (size_t) j * (size_t) dim, dim);
			exact[j].row = j;
		}
		memcpy(sorted, exact, sizeof(Scored) * (size_t) n);
		qsort(sorted, (size_t) n, sizeof(Scored), by_distance);

		for (int j = 0; j < n; j++)
		{
			int			row = sorted[j].row;
			double		off = fabs(dist[row] - sorted[j].distance);

			for (int set = 0; set < 2; set++)
			{
				if (set == 1 && j >= NEAR)
					continue;
				pairs[set]++;
				within[set][0] += off <= err[row];
				within[set][1] += off <= 2 * err[row];
			}
		}
		for (int m = 0; m < MULTIPLIERS; m++)
			rerank(exact, sorted, dist, err, n, multipliers[m], work, &fetched[m], &found[m]);
	}

	printf("| %s | %s | %zu | %.0f | %.0f | %.1f | %.1f | %.2f / %.2f | %.2f / %.2f |",
		   metric_info(metric)->name, quant_name(kind), q.code_size,
		   encode_time / n * 1e9, prepare_time / nqueries * 1e9,
		   score_time / nqueries / n * 1e9, score_err_time / nqueries / n * 1e9,
		   (double) within[0][0] / pairs[0], (double) within[0][1] / pairs[0],
		   (double) within[1][0] / pairs[1], (double) within[1][1] / pairs[1]);
	for (int m = 0; m < MULTIPLIERS; m++)
		printf(" %.1f / %.4f |", (double) fetched[m] / nqueries, 1 - (double) found[m] / nqueries / K);
	printf("\n");
	fflush(stdout);

	free(query);
	free(scratch);
	free(codes);
	free(work);
	free(sorted);
	free(exact);
	free(err);
	free(dist);
	free(records);
	free(centre);
}

/* Costs of one kind under cosine, everything in cache. */
static void
costs(QuantKind kind, int dim)
{
	enum
	{
		RECORDS = 64,
		ROUNDS = 7,
		STEPS = 5
	};
	int			repeats = 10000000 / dim / 40 + 1;
	float	   *v = allocate(sizeof(float) * (size_t) dim);
	float	   *centre = allocate(sizeof(float) * (size_t) dim);
	float		dist[RECORDS];
	float		err[RECORDS];
	const uint8_t *records[RECORDS];
	uint8_t    *codes;
	void	   *scratch;
	QuantQuery *query;
	Quantizer	q;
	double		at[STEPS + 1];
	double		best[STEPS] = {0};

	srand(1);
	for (int i = 0; i < dim; i++)
	{
		v[i] = (float) rand() / (float) RAND_MAX + (float) rand() / (float) RAND_MAX - 1;
		centre[i] = 0.001f;
	}
	quant_init(&q, kind, METRIC_COSINE, dim, centre, 42);
	codes = allocate(q.code_size * RECORDS + SIMD_SLACK);
	scratch = allocate(q.scratch_size + 1);
	query = allocate(q.query_size);
	for (int i = 0; i < RECORDS; i++)
	{
		v[i % dim] += 0.1f;
		records[i] = codes + q.code_size * (size_t) i;
		quant_encode(&q, v, codes + q.code_size * (size_t) i, scratch);
	}

	for (int round = 0; round < ROUNDS; round++)
	{
		at[0] = now();
		for (int i = 0; i < repeats; i++)
			quant_encode(&q, v, codes, scratch);
		at[1] = now();
		for (int i = 0; i < repeats; i++)
			quant_query_prepare(&q, v, query, scratch);
		at[2] = now();
		for (int i = 0; i < repeats; i++)
			quant_query_from_code(&q, codes, query);
		at[3] = now();
		for (int i = 0; i < repeats; i++)
			quant_score(query, records, RECORDS, dist, NULL);
		at[4] = now();
		for (int i = 0; i < repeats; i++)
			quant_score(query, records, RECORDS, dist, err);
		at[5] = now();
		for (int i = 0; i < STEPS; i++)
		{
			double		ns = (at[i + 1] - at[i]) / repeats * 1e9;

			best[i] = round == 0 || ns < best[i] ? ns : best[i];
		}
	}
	printf("| %d | %s | %.0f | %.0f | %.0f | %.1f | %.1f |\n", dim, quant_name(kind),
		   best[0], best[1], best[2], best[3] / RECORDS, best[4] / RECORDS);
	free(query);
	free(scratch);
	free(codes);
	free(centre);
	free(v);
}

int
main(int argc, char **argv)
{
	static const Metric metrics[] = {METRIC_COSINE, METRIC_IP, METRIC_L2, METRIC_L1};
	static const QuantKind kinds[] = {QUANT_RABITQ4, QUANT_SQ8};
	Matrix		base;
	Matrix		queries;
	int			nqueries;

	if (argc == 1)
	{
		static const int dims[] = {100, 768, 1536, 16000};

		printf("ns, %s kernels, 64 records a call\n\n", simd_get()->name);
		printf("| dim | kind | encode | prepare a query | from a code | score | with error |\n");
		printf("|---|---|---|---|---|---|---|\n");
		for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++)
		{
			for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++)
				costs(kinds[j], dims[i]);
		}
		return 0;
	}
	if (argc < 3)
	{
		fprintf(stderr, "usage: quant_bench [base.npy query.npy [queries]]\n");
		return 1;
	}
	base = load(argv[1]);
	queries = load(argv[2]);
	if (queries.dim != base.dim)
	{
		fprintf(stderr, "dimensions differ\n");
		return 1;
	}
	nqueries = argc > 3 ? atoi(argv[3]) : 200;
	if (nqueries < 1 || nqueries > queries.rows)
		nqueries = queries.rows;

	printf("%d x %d, %d queries, %s kernels; times in ns\n\n", base.rows, base.dim, nqueries,
		   simd_get()->name);
	printf("| metric | kind | bytes | encode | prepare | score | with error | within 1 / 2, all | within 1 / 2, nearest %d |"
		   " m = 1: fetched / recall lost | 1.5 | 2 | 2.5 | 3 |\n", NEAR);
	printf("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|\n");
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
	{
		for (size_t j = 0; j < sizeof(kinds) / sizeof(kinds[0]); j++)
			bench(&base, &queries, nqueries, metrics[i], kinds[j]);
	}
	free(base.values);
	free(queries.values);
	return 0;
}
