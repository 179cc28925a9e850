/*
 * pq_train.c
 *		Codebooks of a product quantiser, from a sample of residuals.
 *
 * Per part, k-means of a few dimensions with 16 or 256 means.  That is not
 * what kmeans.h is for (many dimensions, many means): here one table of
 * columns in cache meets every sample (best_column_f32).
 *
 * To the samples, points of a Gaussian are added: what parts of a rotated
 * vector look like that nothing is known of.  Few where samples are many, but
 * such that there is a codeword somewhere near any vector: rows that come
 * later may be like no sample.
 *
 * Sums are of doubles in a fixed order and the kernels give the same bits at
 * every SIMD level, so the same sample and seed train the same codebooks.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/grid.h"
#include "quant/pq.h"

/* Samples of a part, and rounds: README has what more would gain. */
#define SAMPLES ((size_t) 65536)
#define SAMPLES_OF_16 ((size_t) 16384)
#define ROUNDS 10
#define ROUNDS_OF_16 25
#define SEED_SAMPLES_PER_MEAN 16
#define FEWEST_PER_MEAN 32
#define SAMPLES_PER_OTHER 8

/* Multiplications between two ticks: well below a millisecond. */
#define TICK_WORK (1 << 20)

/* Vectors that errors are measured with; fewer where coding them takes longer than this many multiplications. */
#define MEASURED 2048
#define MEASURED_LEAST 256
#define MEASURED_WORK ((size_t) 1 << 30)

typedef struct Training
{
	const ListCodeSpec *spec;
	PqShape		shape;
	float	   *trained;
	uint64_t	random;
	float	   *samples;		/* of length sqrt(dim), rotated */
	size_t		nsamples;
	size_t		n;				/* points of a part: the samples, and if they are few, others */
	void		(*tick) (void *arg);
	void	   *arg;
	size_t		work;

	/* in the scratch */
	float	   *points;			/* one part: n x sub */
	double	   *sums;			/* width x sub */
	double	   *distance;		/* of seeds to the nearest mean */
	uint32_t   *count;			/* width */
	float	   *means;			/* width x sub */
	float	   *dealt;
	float	   *coded;
	float	   *query;
	float	   *values;			/* a vector */
	uint8_t    *best;			/* n, and m */
} Training;

static size_t
samples_used(const PqShape *shape, size_t n)
{
	size_t		most = shape->width == 16 ? SAMPLES_OF_16 : SAMPLES;

	return n < most ? n : most;
}

static size_t
points_used(const PqShape *shape, size_t nsamples)
{
	size_t		fewest = (size_t) shape->width * FEWEST_PER_MEAN;
	size_t		n = nsamples + nsamples / SAMPLES_PER_OTHER;

	return n > fewest ? n : fewest;
}

/* Hand out parts of the scratch; with base NULL, only add up. */
static size_t
lay_out(Training *t, char *base)
{
	size_t		at = 0;
	size_t		width = (size_t) t->shape.width;
	size_t		sub = (size_t) t->shape.sub;

#define PART(member, count) \
	do { \
		if (base != NULL) \
			t->member = (void *) (base + at); \
		at += quant_round_up((count) * sizeof(*t->member), 64); \
	} while (0)

	PART(points, t->n * sub);
	PART(sums, width * sub);
	PART(distance, width * SEED_SAMPLES_PER_MEAN);
	PART(count, width);
	PART(means, width * sub);
	PART(dealt, t->shape.dealt);
	PART(coded, t->shape.dealt);
	PART(query, t->shape.dealt);
	PART(values, (size_t) t->shape.dim);
	PART(best, t->n > (size_t) t->shape.m ? t->n : (size_t) t->shape.m);

#undef PART
	return at;
}

size_t
pq_train_scratch(const ListCodeSpec *spec, size_t n)
{
	Training	t = {.spec = spec, .shape = pq_shape(spec)};

	t.n = points_used(&t.shape, samples_used(&t.shape, n));
	return lay_out(&t, NULL);
}

static void
worked(Training *t, size_t work)
{
	t->work += work;
	if (t->work >= TICK_WORK)
	{
		t->work = 0;
		t->tick(t->arg);
	}
}

static uint64_t
next_random(Training *t)
{
	uint64_t	z = t->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* in [0, 1) */
static double
next_fraction(Training *t)
{
	return (double) (next_random(t) >> 11) * 0x1p-53;
}

/* nearly: the sum of twelve uniform numbers */
static float
next_gaussian(Training *t)
{
	double		sum = -6;

	for (int j = 0; j < 12; j++)
		sum += next_fraction(t);
	return (float) sum;
}

static float *
sample(const Training *t, size_t i)
{
	return t->samples + i * (size_t) t->spec->dim;
}

/* Make samples of residuals that are not zero, at the front of their array. */
static void
take_samples(Training *t, float *residuals, size_t n)
{
	int			dim = t->spec->dim;
	size_t		used = samples_used(&t->shape, n);
	size_t		stride = used > 0 ? n / used : 0;

	t->samples = residuals;
	t->nsamples = 0;
	for (size_t i = 0; i < used; i++)
	{
		float	   *x = sample(t, t->nsamples);
		Rotated		r;

		memcpy(t->values, residuals + i * stride * (size_t) dim, (size_t) dim * sizeof(float));
		grid_subtract(t->values, NULL, dim, x, &r);
		worked(t, 16 * (size_t) dim);
		if (!(r.norm_sq > 0))
			continue;
		pq_scale(x, dim, sqrt(r.norm_sq));
		pq_rotate(t->spec, &t->shape, t->trained, x);
		t->nsamples++;
	}
	t->n = points_used(&t->shape, t->nsamples);
}

/* Part p of the samples, and points to make up for what is missing. */
static void
take_points(Training *t, int p)
{
	size_t		sub = (size_t) t->shape.sub;

	for (size_t i = 0; i < t->nsamples; i++)
		pq_part(&t->shape, p, sample(t, i), t->points + i * sub);
	for (size_t i = t->nsamples; i < t->n; i++)
	{
		for (size_t j = 0; j < sub; j++)
			t->points[i * sub + j] = next_gaussian(t);
		if (p >= t->shape.full)
			t->points[i * sub + sub - 1] = 0;
	}
	worked(t, t->n * sub);
}

/* the first of n points whose running sum passes the drawn fraction of the total */
static size_t
draw(Training *t, size_t n)
{
	double		total = 0;
	double		until;

	for (size_t i = 0; i < n; i++)
		total += t->distance[i];
	if (!(total > 0))
		return (size_t) (next_random(t) % n);
	until = next_fraction(t) * total;
	for (size_t i = 0; i < n; i++)
	{
		until -= t->distance[i];
		if (until < 0)
			return i;
	}
	return n - 1;
}

/* k-means++ (Arthur and Vassilvitskii 2007) over some of the points. */
static void
seed_means(Training *t)
{
	size_t		sub = (size_t) t->shape.sub;
	size_t		n = (size_t) t->shape.width * SEED_SAMPLES_PER_MEAN;
	size_t		bytes = sub * sizeof(float);
	size_t		step;

	n = n < t->n ? n : t->n;
	step = t->n / n;
	for (size_t i = 0; i < n; i++)
		t->distance[i] = DBL_MAX;
	for (int k = 0; k < t->shape.width; k++)
	{
		float	   *mean = t->means + (size_t) k * sub;
		size_t		at = k == 0 ? (size_t) (next_random(t) % n) : draw(t, n);

		memcpy(mean, t->points + at * step * sub, bytes);
		for (size_t i = 0; i < n; i++)
		{
			const float *x = t->points + i * step * sub;
			double		sum = 0;

			for (size_t j = 0; j < sub; j++)
				sum += (double) (x[j] - mean[j]) * (x[j] - mean[j]);
			t->distance[i] = sum < t->distance[i] ? sum : t->distance[i];
		}
		worked(t, n * sub);
	}
}

static void
store_means(Training *t, int part)
{
	int			width = t->shape.width;
	int			sub = t->shape.sub;
	float	   *table = (float *) pq_table(&t->shape, t->trained, part);
	float	   *addends = (float *) pq_addends(&t->shape, t->trained, part);

	for (int k = 0; k < width; k++)
	{
		double		sum = 0;

		for (int j = 0; j < sub; j++)
		{
			float		x = t->means[(size_t) k * (size_t) sub + (size_t) j];

			table[(size_t) j * (size_t) width + (size_t) k] = x;
			sum += (double) x * x;
		}
		addends[k] = (float) (-sum / 2);
	}
}

static void
assign(Training *t, int part)
{
	const SimdKernels *simd = simd_get();
	size_t		sub = (size_t) t->shape.sub;
	size_t		cost = sub * (size_t) t->shape.width;
	size_t		chunk = cost < TICK_WORK / 4 ? TICK_WORK / 4 / cost : 1;

	for (size_t i = 0; i < t->n; i += chunk)
	{
		size_t		n = t->n - i < chunk ? t->n - i : chunk;

		simd->best_column_f32(t->points + i * sub, (int) n, t->shape.sub, pq_table(&t->shape, t->trained, part),
							  t->shape.width, pq_addends(&t->shape, t->trained, part), t->best + i);
		worked(t, n * cost);
	}
}

/* A mean without samples takes half of those of the most popular one, which it is moved off a little. */
static void
refill(Training *t, int k)
{
	int			sub = t->shape.sub;
	int			from = 0;
	float	   *a;
	float	   *b = t->means + (size_t) k * (size_t) sub;

	for (int i = 1; i < t->shape.width; i++)
	{
		if (t->count[i] > t->count[from])
			from = i;
	}
	a = t->means + (size_t) from * (size_t) sub;
	for (int j = 0; j < sub; j++)
	{
		float		off = j % 2 ? 0x1p-8f : -0x1p-8f;

		b[j] = a[j] * (1 + off);
		a[j] *= 1 - off;
	}
	t->count[k] = t->count[from] / 2;
	t->count[from] -= t->count[k];
}

static void
move_means(Training *t)
{
	size_t		width = (size_t) t->shape.width;
	size_t		sub = (size_t) t->shape.sub;

	memset(t->sums, 0, width * sub * sizeof(double));
	memset(t->count, 0, width * sizeof(uint32_t));
	for (size_t i = 0; i < t->n; i++)
	{
		const float *x = t->points + i * sub;
		double	   *sum = t->sums + t->best[i] * sub;

		for (size_t j = 0; j < sub; j++)
			sum[j] += x[j];
		t->count[t->best[i]]++;
	}
	for (size_t k = 0; k < width; k++)
	{
		for (size_t j = 0; j < sub && t->count[k] > 0; j++)
			t->means[k * sub + j] = (float) (t->sums[k * sub + j] / t->count[k]);
	}
	for (size_t k = 0; k < width; k++)
	{
		if (t->count[k] == 0)
			refill(t, (int) k);
	}
	worked(t, t->n * sub);
}

static void
train_part(Training *t, int part)
{
	int			rounds = t->shape.width == 16 ? ROUNDS_OF_16 : ROUNDS;

	/* without samples, parts of the same length are alike */
	if (t->nsamples == 0 && part > 0 && part != t->shape.full)
	{
		store_means(t, part);
		return;
	}
	take_points(t, part);
	seed_means(t);
	store_means(t, part);
	for (int round = 0; round < rounds; round++)
	{
		assign(t, part);
		move_means(t);
		store_means(t, part);
	}
}

/* The i-th of n samples, or a Gaussian vector, dealt. */
static void
measured_vector(Training *t, bool sampled, size_t i, size_t n)
{
	const float *x = t->values;

	if (sampled)
		x = sample(t, i * (t->nsamples / n));
	else
	{
		double		norm_sq = 0;

		for (int j = 0; j < t->shape.dim; j++)
		{
			t->values[j] = next_gaussian(t);
			norm_sq += (double) t->values[j] * t->values[j];
		}
		pq_scale(t->values, t->shape.dim, sqrt(norm_sq));
		worked(t, 16 * (size_t) t->shape.dim);
	}
	for (int p = 0; p < t->shape.m; p++)
		pq_part(&t->shape, p, x, t->dealt + (size_t) p * (size_t) t->shape.sub);
}

/*
 * How long codes are along what they code, and how much they err for a query
 * at right angles to it.  The query is the vector before: one residual's
 * direction is to another what a query's is.
 */
static PqHead
measure(Training *t, bool sampled, size_t n)
{
	PqHead		head = {0};
	int			dealt = (int) t->shape.dealt;
	int			dim = t->shape.dim;
	double		along = 0;
	double		error = 0;
	size_t		counted = 0;

	measured_vector(t, sampled, n - 1, n);
	for (size_t i = 0; i < n; i++)
	{
		double		rx;
		double		rq;
		double		qq;
		double		qx;

		memcpy(t->query, t->dealt, (size_t) dealt * sizeof(float));
		measured_vector(t, sampled, i, n);
		pq_nearest(&t->shape, t->trained, t->dealt, t->best);
		pq_lookup(&t->shape, t->trained, t->best, t->coded);
		worked(t, t->shape.dealt * (size_t) t->shape.width);
		rx = grid_dot(t->dealt, t->coded, dealt) / dim;
		rq = grid_dot(t->dealt, t->query, dealt) / dim;
		qq = grid_dot(t->query, t->query, dealt) - rq * rq * dim;
		qx = grid_dot(t->query, t->coded, dealt) - rq * rx * dim;
		along += rx * sqrt(dim);
		/* nearly the same direction: nothing is at right angles */
		if (qq > 1e-3 * dim)
		{
			error += qx / qq * qx;
			counted++;
		}
	}
	head.along = (float) (along / (double) n);
	head.kappa = counted > 0 ? (float) sqrt(error / (double) counted) : 0;
	return head;
}

/*
 * The error is the larger of samples' and of vectors like none of them, so
 * that bounds hold for what comes later.  Of rotated residuals the two are
 * nearly equal.
 */
static void
measure_all(Training *t, PqHead *head)
{
	size_t		cost = t->shape.dealt * (size_t) t->shape.width;
	size_t		n = MEASURED_WORK / cost;

	n = n < MEASURED ? n : MEASURED;
	n = n > MEASURED_LEAST ? n : MEASURED_LEAST;
	*head = measure(t, false, n);
	if (t->nsamples >= n)
	{
		PqHead		sampled = measure(t, true, n);

		head->along = sampled.along;
		head->kappa = sampled.kappa > head->kappa ? sampled.kappa : head->kappa;
	}
}

void
pq_train(const ListCodeSpec *spec, float *residuals, size_t n, void *trained, void *scratch,
		 void (*tick) (void *arg), void *arg)
{
	Training	t = {.spec = spec, .shape = pq_shape(spec), .trained = trained};

	t.random = spec->seed ^ UINT64_C(0x7071747261696e21);
	t.tick = tick;
	t.arg = arg;
	t.n = points_used(&t.shape, samples_used(&t.shape, n));
	lay_out(&t, scratch);
	memset(trained, 0, sizeof(PqHead));

	take_samples(&t, residuals, n);
	for (int p = 0; p < spec->m; p++)
		train_part(&t, p);
	measure_all(&t, trained);
}
