/*
 * kmeans_bench.c
 *		How good the lists are that training finds, and what it costs.
 *
 * usage: kmeans_bench base.npy query.npy metric lists [samples a list [iterations]]
 *		kmeans_bench - rows dim lists
 *
 * The first form compares lists from kmeans.h with those of plain k-means:
 * k-means++ over all of the sample, then Lloyd's iterations (at most so many)
 * until no sample changes its list; of directions for cosine and inner product.  This is what
 * pgvector finds (Elkan's variant saves distances and gives the same lists).
 * For both: CPU seconds; how uneven the lists are (rows in a random row's
 * list, over rows in a random list); and recall@10 by the share of rows that
 * are scanned and by probes.
 *
 * The second form takes time only, on points around random centres.  The
 * environment may have SHARE (KMeansSpec.share), RUNS (seeds) and NOPLAIN.
 */
#include "bench.h"

#include "quant/kmeans.h"
#include "quant/route.h"

#define K 10
#define NSHARES 5
#define CHECKED 2000			/* rows whose route is compared with a look at every centroid */

static const double shares[NSHARES] = {0.0025, 0.005, 0.01, 0.02, 0.04};

typedef struct Lists
{
	int			k;
	float	   *centroids;
	Metric		probe;			/* how a query's lists are ordered */
	uint32_t   *list;			/* of each row */
	double		train;			/* seconds */
	double		assign;
	double		right;			/* share of rows that a router puts where they belong */
} Lists;

static Metric metric;
static Matrix base;
static Matrix query;
static int *truth;				/* K rows of each query */

static double
rank(Metric m, const float *a, const float *b)
{
	return metric_rank(m, a, b, base.dim);
}

static const float *
row(const Matrix *m, size_t i)
{
	return m->values + i * (size_t) m->dim;
}

static void
normalise(float *v, int dim)
{
	double		norm = 0;

	for (int i = 0; i < dim; i++)
		norm += (double) v[i] * v[i];
	for (int i = 0; i < dim && norm > 0; i++)
		v[i] = (float) (v[i] / sqrt(norm));
}

/* the K nearest of n by dist, ties by number */
static void
nearest(const double *dist, int n, int *out)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		int			j;

		if (count == K && dist[i] >= dist[out[K - 1]])
			continue;
		j = count < K ? count++ : K - 1;
		for (; j > 0 && dist[out[j - 1]] > dist[i]; j--)
			out[j] = out[j - 1];
		out[j] = i;
	}
}

static void
find_truth(void)
{
	double	   *dist = allocate(sizeof(double) * (size_t) base.rows);

	truth = allocate(sizeof(int) * K * (size_t) query.rows);
	for (int q = 0; q < query.rows; q++)
	{
		for (int i = 0; i < base.rows; i++)
			dist[i] = rank(metric, row(&query, (size_t) q), row(&base, (size_t) i));
		nearest(dist, base.rows, truth + q * K);
	}
	free(dist);
}

typedef struct Probe
{
	float		dist;
	int			list;
} Probe;

static int
by_probe(const void *a, const void *b)
{
	const Probe *x = a;
	const Probe *y = b;

	return x->dist != y->dist ? (x->dist > y->dist) - (x->dist < y->dist) : x->list - y->list;
}

static void
evaluate(const char *name, const Lists *lists)
{
	int			k = lists->k;
	size_t	   *length = calloc((size_t) k, sizeof(size_t));
	double	   *recall = calloc((size_t) k + 1, sizeof(double));
	double	   *scanned = calloc((size_t) k + 1, sizeof(double));
	Probe	   *probes = allocate(sizeof(Probe) * (size_t) k);
	double		uneven = 0;

	for (int i = 0; i < base.rows; i++)
		length[lists->list[i]]++;
	for (int c = 0; c < k; c++)
		uneven += (double) length[c] * (double) length[c];
	uneven *= k / ((double) base.rows * base.rows);
	for (int q = 0; q < query.rows; q++)
	{
		int			found = 0;
		double		rows = 0;

		for (int c = 0; c < k; c++)
		{
			probes[c].dist = (float) rank(lists->probe, row(&query, (size_t) q), lists->centroids + (size_t) c * (size_t) base.dim);
			probes[c].list = c;
		}
		qsort(probes, (size_t) k, sizeof(Probe), by_probe);
		for (int c = 0; c < k; c++)
		{
			for (int j = 0; j < K; j++)
				found += lists->list[truth[q * K + j]] == (uint32_t) probes[c].list;
			rows += (double) length[probes[c].list];
			recall[c + 1] += (double) found / K / query.rows;
			scanned[c + 1] += rows / base.rows / query.rows;
		}
	}
	printf("%-8s k %5d train %7.2f assign %6.2f right %.3f uneven %5.3f | share:", name, k, lists->train, lists->assign,
		   lists->right, uneven);
	for (int s = 0; s < NSHARES; s++)
	{
		int			p = 1;
		double		part;

		while (p < k && scanned[p] < shares[s])
			p++;
		part = (shares[s] - scanned[p - 1]) / (scanned[p] - scanned[p - 1]);
		printf(" %.4f", recall[p - 1] + part * (recall[p] - recall[p - 1]));
	}
	printf(" | probes:");
	for (int s = 0; s < NSHARES; s++)
	{
		int			p = (int) (shares[s] * k + 0.5);

		printf(" %d: %.4f", p, recall[p]);
	}
	printf("\n");
	fflush(stdout);
	free(length);
	free(recall);
	free(scanned);
	free(probes);
}

/* ---- Plain k-means ---- */

static void
plain(const float *sample, size_t n, int k, int iterations, Lists *lists)
{
	int			dim = base.dim;
	bool		unit = metric == METRIC_COSINE || metric == METRIC_IP;
	float	   *v = allocate(n * (size_t) dim * sizeof(float));
	double	   *sum = allocate((size_t) k * (size_t) dim * sizeof(double));
	size_t	   *count = allocate((size_t) k * sizeof(size_t));
	double	   *weight = allocate(n * sizeof(double));
	uint32_t   *label = calloc(n, sizeof(uint32_t));
	const float **centres = allocate((size_t) k * sizeof(float *));
	float	   *out = allocate((size_t) k * sizeof(float));
	bool		changed = true;
	double		start = now();

	lists->k = k;
	lists->centroids = allocate((size_t) k * (size_t) dim * sizeof(float));
	lists->probe = unit ? METRIC_IP : metric;
	memcpy(v, sample, n * (size_t) dim * sizeof(float));
	for (size_t i = 0; i < n && unit; i++)
		normalise(v + i * (size_t) dim, dim);
	for (int c = 0; c < k; c++)
		centres[c] = lists->centroids + (size_t) c * (size_t) dim;
	for (size_t i = 0; i < n; i++)
		weight[i] = INFINITY;
	for (int c = 0; c < k; c++)
	{
		double		total = 0;
		double		left;
		size_t		pick = (size_t) rand() % n;

		if (c > 0)
		{
			for (size_t i = 0; i < n; i++)
			{
				double		d = simd_get()->l2sq_f32(centres[c - 1], v + i * (size_t) dim, dim);

				/* squared angle where directions count */
				if (unit)
					d = pow(acos(fmax(-1, 1 - d / 2)), 2);
				weight[i] = fmin(weight[i], d);
				total += weight[i];
			}
			left = total * (rand() / (RAND_MAX + 1.0));
			for (pick = 0; pick < n - 1; pick++)
				if ((left -= weight[pick]) < 0)
					break;
		}
		memcpy((void *) centres[c], v + pick * (size_t) dim, (size_t) dim * sizeof(float));
	}
	for (int pass = 0; pass < iterations && changed; pass++)
	{
		changed = pass == 0;
		memset(sum, 0, (size_t) k * (size_t) dim * sizeof(double));
		memset(count, 0, (size_t) k * sizeof(size_t));
		for (size_t i = 0; i < n; i++)
		{
			uint32_t	best = 0;

			if (metric == METRIC_L1)
				simd_get()->l1_f32_batch(v + i * (size_t) dim, centres, k, dim, out);
			else
				simd_get()->l2sq_f32_batch(v + i * (size_t) dim, centres, k, dim, out);
			for (int c = 1; c < k; c++)
				if (out[c] < out[best])
					best = (uint32_t) c;
			changed |= best != label[i];
			label[i] = best;
			count[best]++;
			for (int j = 0; j < dim; j++)
				sum[best * (size_t) dim + (size_t) j] += v[i * (size_t) dim + (size_t) j];
		}
		for (int c = 0; c < k; c++)
		{
			float	   *to = (float *) centres[c];

			for (int j = 0; j < dim; j++)
				to[j] = count[c] > 0 ? (float) (sum[(size_t) c * (size_t) dim + (size_t) j] / (double) count[c]) :
					(float) (rand() / (RAND_MAX + 1.0));
			if (unit)
				normalise(to, dim);
		}
	}
	lists->train = now() - start;

	start = now();
	lists->list = allocate((size_t) base.rows * sizeof(uint32_t));
	for (int i = 0; i < base.rows; i++)
	{
		uint32_t	best = 0;

		for (int c = 0; c < k; c++)
		{
			out[c] = (float) rank(lists->probe, row(&base, (size_t) i), centres[c]);
			if (out[c] < out[best])
				best = (uint32_t) c;
		}
		lists->list[i] = best;
	}
	lists->assign = now() - start;
	lists->right = 1;
	free(v);
	free(sum);
	free(count);
	free(weight);
	free(label);
	free(centres);
	free(out);
}

/* ---- kmeans.h ---- */

static void
own(const float *sample, size_t n, int k, uint64_t seed, Lists *lists)
{
	KMeansSpec	spec = {.metric = metric, .elements = KMEANS_F32, .dim = base.dim, .n = n, .k = k, .seed = seed,
	.share = getenv("SHARE") != NULL ? atof(getenv("SHARE")) : 0};
	void	   *block = allocate(kmeans_block_size(&spec));
	void	   *scratch = allocate(kmeans_scratch_size(&spec));
	double		start = now();
	RouteSpec	route;
	Router		router;
	void	   *codes;
	KMeans		km;
	float		dist;

	kmeans_init(block, &spec);
	kmeans_open(&km, block, sample, scratch);
	if (getenv("PHASES") != NULL)
	{
		int			tasks;

		while ((tasks = kmeans_tasks(&km)) > 0)
		{
			double		begin = now();
			double		done;

			for (int t = 0; t < tasks; t++)
				kmeans_task(&km, t);
			done = now();
			kmeans_advance(&km);
			fprintf(stderr, "%d tasks: %.3f s, between: %.3f s\n", tasks, done - begin, now() - done);
		}
	}
	else
		kmeans_run(&km);
	lists->train = now() - start;
	lists->k = kmeans_count(&km);
	lists->centroids = allocate((size_t) lists->k * kmeans_centroid_size(&spec));
	memcpy(lists->centroids, kmeans_centroids(&km), (size_t) lists->k * kmeans_centroid_size(&spec));
	lists->probe = kmeans_probe_metric(metric);
	free(block);
	free(scratch);

	start = now();
	route = (RouteSpec) {.metric = kmeans_route_metric(metric), .dim = base.dim, .k = lists->k, .seed = seed};
	codes = allocate(route_block_size(&route) + 64);
	scratch = allocate(route_scratch_size(&route));
	route_build(&route, lists->centroids, codes, scratch, NULL, NULL);
	route_open(&router, &route, lists->centroids, codes);
	lists->list = allocate((size_t) base.rows * sizeof(uint32_t));
	for (int i = 0; i < base.rows; i++)
		route_nearest(&router, row(&base, (size_t) i), 1, &lists->list[i], &dist, scratch);
	lists->assign = now() - start;
	lists->right = 0;
	for (int i = 0; i < CHECKED; i++)
	{
		size_t		r = (size_t) i * (size_t) base.rows / CHECKED;
		double		mine = rank(route.metric, row(&base, r), lists->centroids + lists->list[r] * (size_t) base.dim);
		bool		right = true;

		for (int c = 0; c < lists->k && right; c++)
			right = rank(route.metric, row(&base, r), lists->centroids + (size_t) c * (size_t) base.dim) >= mine;
		lists->right += (double) right / CHECKED;
	}
	free(codes);
	free(scratch);
}

static Metric
parse_metric(const char *name)
{
	for (int i = 0; i < METRIC_VECTOR_COUNT; i++)
		if (strcmp(metric_info((Metric) i)->name, name) == 0)
			return (Metric) i;
	if (strcmp(name, "ip") == 0)
		return METRIC_IP;
	fprintf(stderr, "metrics are l2, ip, cosine and l1\n");
	exit(1);
}

/* Points around centres, which are points around fewer centres. */
static void
make_points(int rows, int dim)
{
	int			ncentres = 2000;
	float	   *centres = allocate((size_t) ncentres * (size_t) dim * sizeof(float));

	base.rows = rows;
	base.dim = dim;
	base.values = allocate((size_t) rows * (size_t) dim * sizeof(float));
	for (size_t i = 0; i < (size_t) ncentres * (size_t) dim; i++)
		centres[i] = (float) (rand() + rand() + rand()) / (float) RAND_MAX - 1.5f;
	for (int i = 0; i < rows; i++)
	{
		const float *centre = centres + (size_t) (rand() % ncentres) * (size_t) dim;

		for (int j = 0; j < dim; j++)
			base.values[(size_t) i * (size_t) dim + (size_t) j] = centre[j] + (float) (rand() + rand()) / (float) RAND_MAX - 1.0f;
	}
	free(centres);
}

int
main(int argc, char **argv)
{
	int			k;
	size_t		n;
	float	   *sample;
	Lists		lists;

	if (argc < 5)
	{
		fprintf(stderr, "usage: kmeans_bench base.npy query.npy metric lists [samples a list [iterations]]\n"
				"       kmeans_bench - rows dim lists\n");
		return 1;
	}
	k = atoi(argv[4]);
	if (strcmp(argv[1], "-") == 0)
	{
		make_points(atoi(argv[2]), atoi(argv[3]));
		own(base.values, (size_t) base.rows, k, 1, &lists);
		printf("k %d of %d x %d: train %.2f s, assign %.2f s, right %.3f\n", lists.k, base.rows, base.dim,
			   lists.train, lists.assign, lists.right);
		return 0;
	}
	metric = parse_metric(argv[3]);
	base = load(argv[1]);
	query = load(argv[2]);
	for (int i = 0; i < base.rows && metric == METRIC_COSINE; i++)
		normalise((float *) row(&base, (size_t) i), base.dim);
	for (int i = 0; i < query.rows && metric == METRIC_COSINE; i++)
		normalise((float *) row(&query, (size_t) i), base.dim);
	find_truth();

	n = (size_t) (argc > 5 ? atoi(argv[5]) : 50) * (size_t) k;
	if (n > (size_t) base.rows)
		n = (size_t) base.rows;
	sample = allocate(n * (size_t) base.dim * sizeof(float));
	for (size_t i = 0; i < n; i++)
		memcpy(sample + i * (size_t) base.dim, row(&base, i * (size_t) base.rows / n), (size_t) base.dim * sizeof(float));
	for (int run = 1; run <= (getenv("RUNS") ? atoi(getenv("RUNS")) : 2); run++)
	{
		own(sample, n, k, (uint64_t) run, &lists);
		evaluate("kmeans.h", &lists);
	}
	if (getenv("NOPLAIN") == NULL)
	{
		plain(sample, n, k, argc > 6 ? atoi(argv[6]) : 500, &lists);
		evaluate("plain", &lists);
	}
	return 0;
}
