/*
 * test_kmeans.c
 *		Centroids against a plain k-means in double, whoever does the work;
 *		ends of the range; routes against a look at every centroid.
 */
#include <float.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "check.h"

#include "quant/kmeans.h"
#include "quant/kmeans_small.h"
#include "quant/route.h"
#include "simd/half.h"

static uint64_t seed = 5;

static void *
allocate(size_t size)
{
	return aligned_alloc(64, (size + 64) / 64 * 64);
}

/* Points around n / 20 centres, of length 1 where unit. */
static float *
make_points(size_t n, int dim, bool unit)
{
	size_t		ncentres = n / 20 + 1;
	float	   *centres = allocate(sizeof(float) * ncentres * (size_t) dim);
	float	   *points = allocate(sizeof(float) * n * (size_t) dim);

	for (size_t i = 0; i < ncentres * (size_t) dim; i++)
		centres[i] = check_uniform(&seed, -1, 1);
	for (size_t i = 0; i < n; i++)
	{
		float	   *v = points + i * (size_t) dim;
		double		norm = 0;
		size_t		c = check_random(&seed) % ncentres;

		for (int j = 0; j < dim; j++)
		{
			v[j] = centres[c * (size_t) dim + (size_t) j] + check_uniform(&seed, -0.6f, 0.6f);
			norm += (double) v[j] * v[j];
		}
		for (int j = 0; j < dim && unit; j++)
			v[j] = (float) (v[j] / sqrt(norm));
	}
	free(centres);
	return points;
}

/* ---- One training, by so many threads ---- */

typedef struct Training
{
	KMeansSpec	spec;
	void	   *block;
	KMeans		km;
} Training;

typedef struct Team
{
	const Training *training;
	const void *samples;
	atomic_int	next;
	pthread_barrier_t barrier;
} Team;

typedef struct Member
{
	Team	   *team;
	int			number;
} Member;

static atomic_long ticks;

static void
count_tick(void *arg)
{
	(void) arg;
	ticks++;
}

static void *
take_part(void *arg)
{
	Member	   *member = arg;
	Team	   *team = member->team;
	size_t		scratch_size = kmeans_scratch_size(&team->training->spec);
	Guard		guard = guard_new(scratch_size + 1);
	KMeans		km;
	int			n;

	kmeans_open(&km, team->training->block, team->samples, guard_at(&guard, scratch_size));
	km.tick = count_tick;
	for (;;)
	{
		pthread_barrier_wait(&team->barrier);
		n = kmeans_tasks(&km);
		if (n == 0)
			break;
		for (int task; (task = team->next++) < n;)
			kmeans_task(&km, task);
		pthread_barrier_wait(&team->barrier);
		if (member->number == 0)
		{
			kmeans_advance(&km);
			team->next = 0;
		}
	}
	munmap(guard.end - guard.capacity, guard.capacity);
	return NULL;
}

/* Train; the block ends where it says, and holds what was there before. */
static Training
train(const KMeansSpec *spec, const void *samples, int threads)
{
	Training	training = {.spec = *spec};
	size_t		size = kmeans_block_size(spec);
	Guard		guard = guard_new(size + 1);
	Team		team = {.training = &training, .samples = samples};
	pthread_t	ids[8];
	Member		members[8];

	training.block = guard_at(&guard, size);
	memset(training.block, 0xa5 + threads, size);
	kmeans_init(training.block, spec);
	pthread_barrier_init(&team.barrier, NULL, (unsigned) threads);
	for (int i = 0; i < threads; i++)
	{
		members[i] = (Member) {&team, i};
		pthread_create(&ids[i], NULL, take_part, &members[i]);
	}
	for (int i = 0; i < threads; i++)
		pthread_join(ids[i], NULL);
	pthread_barrier_destroy(&team.barrier);
	kmeans_open(&training.km, training.block, samples, NULL);
	return training;
}

/* ---- Checks ---- */

/* Sum of squared distances to the nearest centroid. */
static double
cost(const float *points, size_t n, int dim, const float *centroids, int k)
{
	double		total = 0;

	for (size_t i = 0; i < n; i++)
	{
		double		best = INFINITY;

		for (int c = 0; c < k; c++)
			best = fmin(best, simd_get()->l2sq_f32(points + i * (size_t) dim, centroids + (size_t) c * (size_t) dim, dim));
		total += best;
	}
	return total;
}

/* Lloyd's iterations in double, in place. */
static void
lloyd(const float *points, size_t n, int dim, double *centroids, int k, int passes)
{
	double	   *sum = malloc(sizeof(double) * (size_t) k * (size_t) dim);
	size_t	   *count = malloc(sizeof(size_t) * (size_t) k);

	for (int pass = 0; pass < passes; pass++)
	{
		memset(sum, 0, sizeof(double) * (size_t) k * (size_t) dim);
		memset(count, 0, sizeof(size_t) * (size_t) k);
		for (size_t i = 0; i < n; i++)
		{
			double		best = INFINITY;
			int			nearest = 0;

			for (int c = 0; c < k; c++)
			{
				double		d = 0;

				for (int j = 0; j < dim; j++)
				{
					double		x = points[i * (size_t) dim + (size_t) j] - centroids[c * dim + j];

					d += x * x;
				}
				if (d < best)
				{
					best = d;
					nearest = c;
				}
			}
			count[nearest]++;
			for (int j = 0; j < dim; j++)
				sum[nearest * dim + j] += points[i * (size_t) dim + (size_t) j];
		}
		for (int c = 0; c < k; c++)
			for (int j = 0; j < dim && count[c] > 0; j++)
				centroids[c * dim + j] = sum[c * dim + j] / (double) count[c];
	}
	free(sum);
	free(count);
}

/* The same start: the same centroids but for rounding. */
static void
check_small(size_t n, int dim, int k, int passes)
{
	float	   *points = make_points(n, dim, false);
	KMeansSpec	spec = {.metric = METRIC_L2, .dim = dim, .n = n, .k = k, .seed = 1};
	KMeans		km = {.spec = spec, .samples = points, .scratch = allocate(kmeans_small_scratch(&spec))};
	uint32_t   *order = malloc(sizeof(uint32_t) * n);
	uint32_t   *labels = malloc(sizeof(uint32_t) * n);
	float	   *near = malloc(sizeof(float) * n);
	float	   *got = malloc(sizeof(float) * (size_t) (k * dim));
	double	   *want = malloc(sizeof(double) * (size_t) (k * dim));
	double		worst = 0;
	int			count;

	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t) i;
	count = kmeans_small(&km, order, n, k, 0, 17, got, labels, near);
	CHECK(count == k, "%d of %d", count, k);
	for (int i = 0; i < k * dim; i++)
		want[i] = got[i];
	lloyd(points, n, dim, want, k, passes);
	count = kmeans_small(&km, order, n, k, passes, 17, got, labels, near);
	CHECK(count == k, "%d of %d", count, k);
	for (int i = 0; i < k * dim; i++)
		worst = fmax(worst, fabs(want[i] - got[i]));
	CHECK(worst < 1e-5, "%zu x %d, k %d: %g from Lloyd's iterations", n, dim, k, worst);
	free(km.scratch);
	free(points);
	free(order);
	free(labels);
	free(near);
	free(got);
	free(want);
}

/* All of it is about as good as plain k-means on everything, and the same whoever does it. */
static void
check_quality(size_t n, int dim, int k)
{
	float	   *points = make_points(n, dim, false);
	KMeansSpec	spec = {.metric = METRIC_L2, .dim = dim, .n = n, .k = k, .seed = 3};
	Training	one = train(&spec, points, 1);
	double	   *plain = malloc(sizeof(double) * (size_t) (k * dim));
	float	   *floats = malloc(sizeof(float) * (size_t) (k * dim));
	uint32_t   *drawn = malloc(sizeof(uint32_t) * n);
	double		got;
	double		want;
	int			wrong = 0;

	CHECK(kmeans_count(&one.km) == k, "%d of %d", kmeans_count(&one.km), k);
	/* plain k-means from its own k-means++ start */
	{
		KMeans		km = {.spec = spec, .samples = points, .scratch = allocate(kmeans_small_scratch(&spec))};
		uint32_t   *labels = malloc(sizeof(uint32_t) * n);
		float	   *near = malloc(sizeof(float) * n);

		for (size_t i = 0; i < n; i++)
			drawn[i] = (uint32_t) i;
		(void) kmeans_small(&km, drawn, n, k, 0, 23, floats, labels, near);
		free(km.scratch);
		free(labels);
		free(near);
	}
	for (int i = 0; i < k * dim; i++)
		plain[i] = floats[i];
	lloyd(points, n, dim, plain, k, 10);
	for (int i = 0; i < k * dim; i++)
		floats[i] = (float) plain[i];
	want = cost(points, n, dim, floats, k);
	got = cost(points, n, dim, kmeans_centroids(&one.km), k);
	CHECK(got < want * 1.08, "%zu x %d, k %d: cost %g, plain k-means %g", n, dim, k, got, want);
	for (size_t i = 0; i < n; i++)
	{
		const float *centroids = kmeans_centroids(&one.km);
		float		mine = simd_get()->l2sq_f32(points + i * (size_t) dim,
												centroids + kmeans_assigned(&one.km)[i] * (size_t) dim, dim);

		for (int c = 0; c < k; c++)
		{
			if (simd_get()->l2sq_f32(points + i * (size_t) dim, centroids + (size_t) c * (size_t) dim, dim) < mine)
			{
				wrong++;
				break;
			}
		}
	}
	CHECK(wrong <= (int) n / 100, "%d of %zu samples are not with the nearest", wrong, n);

	for (int threads = 2; threads <= 5; threads += 3)
	{
		Training	other = train(&spec, points, threads);

		CHECK(kmeans_count(&other.km) == k &&
			  memcmp(kmeans_centroids(&other.km), kmeans_centroids(&one.km), sizeof(float) * (size_t) (k * dim)) == 0 &&
			  memcmp(kmeans_assigned(&other.km), kmeans_assigned(&one.km), sizeof(uint32_t) * n) == 0,
			  "%d workers find other centroids", threads);
	}
	spec.seed++;
	{
		Training	other = train(&spec, points, 1);

		CHECK(memcmp(kmeans_centroids(&other.km), kmeans_centroids(&one.km), sizeof(float) * (size_t) (k * dim)) != 0,
			  "another seed, the same centroids");
	}
	free(points);
	free(plain);
	free(floats);
	free(drawn);
}

/* Float16 samples are the same numbers. */
static void
check_half(Metric metric, size_t n, int dim, int k)
{
	float	   *points = make_points(n, dim, metric == METRIC_COSINE);
	uint16_t   *halves = malloc(sizeof(uint16_t) * n * (size_t) dim);
	KMeansSpec	spec = {.metric = metric, .dim = dim, .n = n, .k = k, .seed = 3};
	Training	floats;
	Training	half;

	for (size_t i = 0; i < n * (size_t) dim; i++)
	{
		halves[i] = half_from_float(points[i]);
		points[i] = half_to_float(halves[i]);
	}
	floats = train(&spec, points, 1);
	spec.elements = KMEANS_F16;
	half = train(&spec, halves, 2);
	CHECK(kmeans_count(&floats.km) == kmeans_count(&half.km) &&
		  memcmp(kmeans_centroids(&floats.km), kmeans_centroids(&half.km),
				 sizeof(float) * (size_t) (kmeans_count(&half.km) * dim)) == 0, "%s: halves make a difference",
		  metric_info(metric)->name);
	free(points);
	free(halves);
}

/* What must hold whatever the samples. */
static void
check_sound(const KMeansSpec *spec, const void *samples, int most, const char *what)
{
	Training	training = train(spec, samples, 1);
	int			count = kmeans_count(&training.km);
	const float *centroids = kmeans_centroids(&training.km);
	bool		finite = true;
	bool		labelled = true;

	CHECK(count <= most && (count > 0) == (spec->n > 0), "%s, %s: %d centroids, at most %d",
		  metric_info(spec->metric)->name, what, count, most);
	if (spec->elements != KMEANS_BITS)
		for (int i = 0; i < count * spec->dim; i++)
			finite &= isfinite(centroids[i]) != 0;
	for (size_t i = 0; i < spec->n; i++)
		labelled &= kmeans_assigned(&training.km)[i] < (uint32_t) count;
	CHECK(finite, "%s, %s: a centroid is not finite", metric_info(spec->metric)->name, what);
	CHECK(labelled, "%s, %s: a sample has no centroid", metric_info(spec->metric)->name, what);
}

static void
check_degenerate(Metric metric)
{
	static const float scales[] = {0, 1e-45f, 1e-30f, 1, 1e18f, 1e30f, FLT_MAX};
	static const int ks[] = {1, 2, 47, 48, 300};
	enum
	{
		N = 500,
		DIM = 40
	};
	float	   *points = allocate(sizeof(float) * N * DIM);

	for (size_t s = 0; s < sizeof(scales) / sizeof(scales[0]); s++)
	{
		for (size_t i = 0; i < sizeof(ks) / sizeof(ks[0]); i++)
		{
			KMeansSpec	spec = {.metric = metric, .dim = DIM, .k = ks[i], .seed = 9};
			char		what[100];

			if (metric == METRIC_COSINE && scales[s] != 1 && scales[s] != 0)
				continue;		/* samples are normalised */
			for (int j = 0; j < N * DIM; j++)
				points[j] = check_uniform(&seed, -1, 1) * (metric == METRIC_COSINE ? 0.158f : 1) * scales[s];
			for (int n = 0; n <= N; n += n < 2 ? 1 : 166)
			{
				spec.n = (size_t) n;
				snprintf(what, sizeof(what), "%d samples up to %g, k %d", n, scales[s], ks[i]);
				check_sound(&spec, points, scales[s] == 0 && n > 0 ? 1 : n < ks[i] ? n : ks[i], what);
			}
			/* five different samples */
			for (int j = 5 * DIM; j < N * DIM; j++)
				points[j] = points[j % (5 * DIM)];
			spec.n = N;
			snprintf(what, sizeof(what), "duplicates up to %g, k %d", scales[s], ks[i]);
			check_sound(&spec, points, ks[i] < 5 ? ks[i] : 5, what);
		}
	}
	free(points);
}

/* One far out, zeros among the rest. */
static void
check_outlier(Metric metric)
{
	enum
	{
		N = 2000,
		DIM = 32
	};
	float	   *points = make_points(N, DIM, false);
	KMeansSpec	spec = {.metric = metric, .dim = DIM, .n = N, .k = 100, .seed = 9};

	for (int j = 0; j < DIM; j++)
		points[777 * DIM + j] = 1e19f;
	memset(points + 900 * DIM, 0, sizeof(float) * DIM * 100);
	check_sound(&spec, points, 100, "an outlier");
	free(points);
}

/* ---- Bits ---- */

/* n strings around nclusters others, a share of their bits turned over. */
static uint8_t *
make_bits(size_t n, int dim, int nclusters, float ones, float noise)
{
	size_t		size = ((size_t) dim + 7) / 8;
	uint8_t    *centres = calloc((size_t) nclusters, size);
	uint8_t    *bits = malloc(n * size + 1);

	for (int c = 0; c < nclusters; c++)
		for (int b = 0; b < dim; b++)
			if (check_uniform(&seed, 0, 1) < ones)
				centres[(size_t) c * size + (size_t) b / 8] |= (uint8_t) (0x80 >> (b % 8));
	for (size_t i = 0; i < n; i++)
	{
		memcpy(bits + i * size, centres + i % (size_t) nclusters * size, size);
		for (int b = 0; b < dim; b++)
			if (check_uniform(&seed, 0, 1) < noise)
				bits[i * size + (size_t) b / 8] ^= (uint8_t) (0x80 >> (b % 8));
	}
	free(centres);
	return bits;
}

static void
check_bits(Metric metric, size_t n, int dim, int nclusters, float ones)
{
	size_t		size = ((size_t) dim + 7) / 8;
	uint8_t    *bits = make_bits(n, dim, nclusters, ones, ones / 10);
	KMeansSpec	spec = {.metric = metric, .elements = KMEANS_BITS, .dim = dim, .n = n, .k = 3 * nclusters, .seed = 2};
	Training	one = train(&spec, bits, 1);
	Training	five = train(&spec, bits, 5);
	const uint8_t *centroids = kmeans_centroids(&one.km);
	int			count = kmeans_count(&one.km);
	double		own = 0;
	double		other = 0;
	int			mixed = 0;
	int			rests = 0;
	int		   *cluster = malloc(sizeof(int) * (size_t) count);

	for (int c = 0; c < count; c++)
	{
		cluster[c] = -1;
		rests += dim % 8 != 0 && (centroids[((size_t) c + 1) * size - 1] & (0xff >> (dim % 8))) != 0;
	}
	CHECK(rests == 0, "bits behind the last");
	for (size_t i = 0; i < n; i++)
	{
		uint32_t	label = kmeans_assigned(&one.km)[i];

		own += metric_rank_bits(metric, bits + i * size, centroids + label * size, size);
		other += metric_rank_bits(metric, bits + i * size, bits + check_random(&seed) % n * size, size);
		if (cluster[label] == -1)
			cluster[label] = (int) i % nclusters;
		mixed += cluster[label] != (int) i % nclusters;
	}
	CHECK(own < other * 0.6, "%s of %d bits: %g from centroids, %g from others", metric_info(metric)->name, dim, own, other);
	CHECK(mixed < (int) n / 20, "%s of %d bits: %d of %zu in lists of other clusters", metric_info(metric)->name, dim, mixed, n);
	CHECK(kmeans_count(&five.km) == count && memcmp(kmeans_centroids(&five.km), centroids, (size_t) count * size) == 0,
		  "%s of %d bits: five workers find other centroids", metric_info(metric)->name, dim);

	for (int k = 1; k < 100; k += 49)
	{
		for (size_t m = 0; m < 4; m++)
		{
			spec.k = k;
			spec.n = m;
			check_sound(&spec, bits, (int) m < k ? (int) m : k, "few strings");
		}
	}
	memset(bits, 0, n * size);
	spec.n = n;
	/* under Jaccard strings without bits are 1 from themselves */
	check_sound(&spec, bits, metric == METRIC_JACCARD ? spec.k : 1, "zeros");
	free(bits);
	free(cluster);
}

/* ---- Routes ---- */

static void
check_route(Metric metric, bool half, int dim, int k, int t)
{
	enum
	{
		QUERIES = 50
	};
	bool		of_bits = metric == METRIC_HAMMING || metric == METRIC_JACCARD;
	RouteSpec	spec = {.metric = metric, .half = half, .dim = dim, .k = k, .seed = 4};
	size_t		bytes = ((size_t) dim + 7) / 8;
	void	   *centroids = of_bits ? (void *) make_bits((size_t) k, dim, k / 5 + 1, 0.3f, 0.1f) :
		(void *) make_points((size_t) k, dim, false);
	void	   *queries = of_bits ? (void *) make_bits(QUERIES, dim, 10, 0.3f, 0.1f) :
		(void *) make_points(QUERIES, dim, false);
	size_t		block_size = route_block_size(&spec);
	size_t		scratch_size = route_scratch_size(&spec);
	Guard		block = guard_new(block_size + 1);
	Guard		scratch = guard_new(scratch_size + 1);
	uint32_t   *lists = malloc(sizeof(uint32_t) * (size_t) t);
	float	   *dist = malloc(sizeof(float) * (size_t) t);
	int			want_n = t < k ? t : k;
	bool		grouped = k >= 1000;
	int			missed = 0;
	Router		router;

	route_build(&spec, centroids, guard_at(&block, block_size), guard_at(&scratch, scratch_size), count_tick, NULL);
	route_open(&router, &spec, centroids, guard_at(&block, block_size));
	for (int i = 0; i < QUERIES; i++)
	{
		const void *v = of_bits ? (void *) ((uint8_t *) queries + (size_t) i * bytes) : (void *) ((float *) queries + i * dim);
		double	   *all = malloc(sizeof(double) * (size_t) k);
		uint16_t   *halves = malloc(sizeof(uint16_t) * (size_t) dim);
		bool		sound = true;
		int			n;

		/* many centroids are not all looked at: that is good for vectors that lie among them */
		for (int j = 0; j < dim && grouped && !of_bits; j++)
			((float *) v)[j] = ((const float *) centroids)[i * 31 * dim + j] + check_uniform(&seed, -0.5f, 0.5f);
		for (int j = 0; j < dim && half; j++)
		{
			halves[j] = half_from_float(((const float *) v)[j]);
			((float *) v)[j] = half_to_float(halves[j]);
		}
		for (int c = 0; c < k; c++)
			all[c] = of_bits ? metric_rank_bits(metric, v, (uint8_t *) centroids + (size_t) c * bytes, bytes) :
				metric_rank(metric, v, (float *) centroids + (size_t) c * (size_t) dim, dim);
		n = route_nearest(&router, half ? (const void *) halves : v, t, lists, dist, guard_at(&scratch, scratch_size));
		CHECK(n == want_n, "%d of %d", n, want_n);
		for (int j = 0; j < n; j++)
		{
			double		slack = 1e-5 * fabs(all[lists[j]]) + 1e-6;

			sound &= lists[j] < (uint32_t) k && fabs(all[lists[j]] - dist[j]) <= slack;
			sound &= j == 0 || dist[j - 1] < dist[j] || (dist[j - 1] == dist[j] && lists[j - 1] < lists[j]);
		}
		CHECK(sound, "%s dim %d k %d: wrong order or distances", metric_info(metric)->name, dim, k);
		for (int c = 0; c < k; c++)
		{
			bool		found = all[c] >= dist[n - 1] - 1e-6 - 1e-5 * fabs(all[c]);

			for (int j = 0; j < n && !found; j++)
				found = lists[j] == (uint32_t) c;
			missed += !found;
		}
		free(all);
		free(halves);
	}
	CHECK(missed <= QUERIES * want_n / (grouped ? 20 : 100) + 2, "%s dim %d k %d t %d: %d of %d missed", metric_info(metric)->name, dim, k, t,
		  missed, QUERIES * want_n);
	munmap(block.end - block.capacity, block.capacity);
	munmap(scratch.end - scratch.capacity, scratch.capacity);
	free(centroids);
	free(queries);
	free(lists);
	free(dist);
}

int
main(void)
{
	static const int dims[] = {1, 8, 33, 100, 300};
	static const int ks[] = {1, 2, 63, 64, 700, 3000};
	static const int ts[] = {1, 5, 70};

	for (int passes = 1; passes <= 8; passes += 7)
	{
		check_small(300, 1, 3, passes);
		check_small(500, 7, 20, passes);
		check_small(1000, 100, 40, passes);
	}
	check_quality(2000, 20, 10);
	check_quality(3000, 20, 60);
	check_quality(6000, 48, 200);
	CHECK(ticks > 100, "%ld ticks", (long) ticks);
	for (int m = 0; m < METRIC_VECTOR_COUNT; m++)
	{
		check_half((Metric) m, 2000, 33, 80);
		check_degenerate((Metric) m);
		check_outlier((Metric) m);
	}
	check_bits(METRIC_HAMMING, 1000, 101, 10, 0.5f);
	check_bits(METRIC_HAMMING, 1000, 256, 30, 0.5f);
	check_bits(METRIC_HAMMING, 200, 16000, 5, 0.5f);
	check_bits(METRIC_JACCARD, 1000, 300, 10, 0.2f);
	check_bits(METRIC_JACCARD, 1000, 1001, 30, 0.05f);
	for (int m = 0; m < METRIC_COUNT; m++)
		for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++)
			for (size_t k = 0; k < sizeof(ks) / sizeof(ks[0]); k++)
				for (size_t t = 0; t < sizeof(ts) / sizeof(ts[0]); t++)
					for (int half = 0; half <= (m < METRIC_VECTOR_COUNT && dims[d] == 33); half++)
						check_route((Metric) m, half, dims[d], ks[k], ts[t]);
	return check_done("test_kmeans");
}
