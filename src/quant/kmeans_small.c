/*
 * kmeans_small.c
 *		k-means of a few centroids in one process, and its steps.
 */
#include "quant/kmeans_small.h"

#include <float.h>
#include <math.h>
#include <string.h>

/*
 * Samples that are compared with a run of centroids while that is in cache;
 * fewer where vectors are long, in as many bytes.
 */
#define TILE_SAMPLES 16
#define TILE_CENTROIDS 64
#define TILE_FLOATS 16384

typedef void (*BatchKernel) (const float *query, const float *const *vecs, int nvecs, int n, float *out);

/*
 * What a metric makes of k-means.  Which is best for inner product and cosine
 * was measured (README).
 */
typedef struct Rule
{
	Metric		rows;			/* how rows are put into lists */
	Metric		inner;			/* how samples are, during training */
	bool		unit_samples;	/* samples count by their direction alone */
	bool		unit_centroids; /* centroids have length 1 */
} Rule;

static const Rule rules[METRIC_COUNT] = {
	[METRIC_L2] = {METRIC_L2, METRIC_L2, false, false},
	[METRIC_IP] = {METRIC_L2, METRIC_IP, true, true},
	[METRIC_COSINE] = {METRIC_L2, METRIC_IP, false, true},
	[METRIC_L1] = {METRIC_L1, METRIC_L1, false, false},
	[METRIC_HAMMING] = {METRIC_HAMMING, METRIC_HAMMING, false, false},
	[METRIC_JACCARD] = {METRIC_JACCARD, METRIC_JACCARD, false, false},
};

Metric
kmeans_route_metric(Metric metric)
{
	return rules[metric].rows;
}

Metric
kmeans_probe_metric(Metric metric)
{
	return metric == METRIC_COSINE ? METRIC_L2 : metric;
}

Metric
kmeans_inner_metric(Metric metric)
{
	return rules[metric].inner;
}

uint64_t
kmeans_random(uint64_t *state)
{
	uint64_t	z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint64_t
kmeans_seed(uint64_t seed, uint64_t stream)
{
	uint64_t	state = seed;

	state = kmeans_random(&state) ^ stream;
	return kmeans_random(&state);
}

static inline void
tick(const KMeans *km)
{
	if (km->tick != NULL)
		km->tick(km->arg);
}

/* ---- Scratch ---- */

typedef struct Scratch
{
	float	   *tile;			/* tile_samples() times dim: samples that are not what is compared */
	double	   *sums;			/* dim */
	uint32_t   *counts;			/* dim; in place of both, for bits */
	uint32_t   *members;
} Scratch;

static inline size_t
tile_samples(int dim)
{
	size_t		n = TILE_FLOATS / (size_t) dim;

	return n < 1 ? 1 : n < TILE_SAMPLES ? n : TILE_SAMPLES;
}

static size_t
place_scratch(const KMeansSpec *spec, void *memory, Scratch *scratch)
{
	size_t		dim = (size_t) spec->dim;

	memset(scratch, 0, sizeof(*scratch));
	if (spec->elements == KMEANS_BITS)
	{
		scratch->counts = memory;
		return dim * sizeof(uint32_t);
	}
	scratch->sums = memory;
	scratch->tile = (float *) (scratch->sums + dim);
	return dim * sizeof(double) + tile_samples(spec->dim) * dim * sizeof(float);
}

size_t
kmeans_small_scratch(const KMeansSpec *spec)
{
	static double memory;
	Scratch		scratch;

	return place_scratch(spec, &memory, &scratch);
}

/* ---- Samples as they are compared ---- */

static inline const void *
sample_at(const KMeans *km, uint32_t sample)
{
	return (const char *) km->samples + sample * kmeans_sample_size(&km->spec);
}

/* Make a vector one of length 1; a zero vector stays. */
static void
normalise(float *v, int dim)
{
	double		norm = simd_get()->sumsq_f32(v, dim);

	if (norm > 0)
	{
		double		factor = 1 / sqrt(norm);

		for (int i = 0; i < dim; i++)
			v[i] = (float) (v[i] * factor);
	}
}

/* A sample as floats: itself, or made in buffer. */
static const float *
load(const KMeans *km, uint32_t sample, float *buffer)
{
	const KMeansSpec *spec = &km->spec;
	const void *v = sample_at(km, sample);

	if (spec->elements == KMEANS_F16)
		simd_get()->f16_to_f32(v, buffer, spec->dim);
	else if (rules[spec->metric].unit_samples)
		memcpy(buffer, v, (size_t) spec->dim * sizeof(float));
	else
		return v;
	if (rules[spec->metric].unit_samples)
		normalise(buffer, spec->dim);
	return buffer;
}

/* Vectors and centroids by another measure than routes': for seeding, zero only of equal ones. */
static BatchKernel
seed_kernel(Metric metric)
{
	return metric == METRIC_L1 ? simd_get()->l1_f32_batch : simd_get()->l2sq_f32_batch;
}

static BatchKernel
route_kernel(Metric metric)
{
	switch (rules[metric].inner)
	{
		case METRIC_IP:
			return simd_get()->dot_f32_batch;
		case METRIC_L1:
			return simd_get()->l1_f32_batch;
		default:
			return simd_get()->l2sq_f32_batch;
	}
}

/* ---- Nearest centroids ---- */

static void
assign_bits(KMeans *km, const uint32_t *samples, size_t from, size_t to,
			const uint8_t *centroids, int k, uint32_t *labels, float *dist)
{
	size_t		size = kmeans_centroid_size(&km->spec);

	for (size_t i = from; i < to; i++)
	{
		const uint8_t *v = sample_at(km, samples == NULL ? (uint32_t) i : samples[i]);
		double		best = INFINITY;

		labels[i] = 0;
		for (int c = 0; c < k; c++)
		{
			double		d = metric_rank_bits(km->spec.metric, v, centroids + (size_t) c * size, size);

			if (d < best)
			{
				best = d;
				labels[i] = (uint32_t) c;
			}
		}
		if (dist != NULL)
			dist[i] = (float) best;
		tick(km);
	}
}

void
kmeans_assign(KMeans *km, const uint32_t *samples, size_t from, size_t to,
			  const void *centroids, int k, uint32_t *labels, float *dist)
{
	const KMeansSpec *spec = &km->spec;
	BatchKernel kernel = route_kernel(spec->metric);
	size_t		tile = tile_samples(spec->dim);
	float		sign = rules[spec->metric].inner == METRIC_IP ? -1.0f : 1.0f;
	Scratch		scratch;

	if (spec->elements == KMEANS_BITS)
	{
		assign_bits(km, samples, from, to, centroids, k, labels, dist);
		return;
	}
	(void) place_scratch(spec, km->scratch, &scratch);
	for (size_t i = from; i < to; i += tile)
	{
		int			m = (int) (to - i < tile ? to - i : tile);
		const float *v[TILE_SAMPLES];
		float		best[TILE_SAMPLES];

		for (int j = 0; j < m; j++)
		{
			v[j] = load(km, samples == NULL ? (uint32_t) (i + (size_t) j) : samples[i + (size_t) j],
						scratch.tile + (size_t) j * (size_t) spec->dim);
			best[j] = INFINITY;
			labels[i + (size_t) j] = 0;
		}
		for (int c = 0; c < k; c += TILE_CENTROIDS)
		{
			int			n = k - c < TILE_CENTROIDS ? k - c : TILE_CENTROIDS;
			const float *vecs[TILE_CENTROIDS];
			float		out[TILE_CENTROIDS];

			for (int l = 0; l < n; l++)
				vecs[l] = (const float *) centroids + (size_t) (c + l) * (size_t) spec->dim;
			for (int j = 0; j < m; j++)
			{
				kernel(v[j], vecs, n, spec->dim, out);
				for (int l = 0; l < n; l++)
				{
					if (sign * out[l] < best[j])
					{
						best[j] = sign * out[l];
						labels[i + (size_t) j] = (uint32_t) (c + l);
					}
				}
			}
		}
		for (int j = 0; j < m && dist != NULL; j++)
			dist[i + (size_t) j] = best[j];
		tick(km);
	}
}

/* ---- Means ---- */

/* How many bits of a centroid are set where a bit needs `votes` of its samples. */
static size_t
bits_with(const uint32_t *counts, int dim, uint32_t votes)
{
	size_t		n = 0;

	for (int i = 0; i < dim; i++)
		n += counts[i] >= votes;
	return n;
}

/*
 * The majority of each bit.  Under Jaccard bits that are mostly zero would
 * leave no bit at all, from which everything is at distance 1: there a
 * centroid has as many bits as its samples on average, those set most often.
 */
static void
move_bits(KMeans *km, const uint32_t *samples, size_t m, uint8_t *centroid)
{
	const KMeansSpec *spec = &km->spec;
	size_t		size = kmeans_centroid_size(spec);
	uint32_t	votes = (uint32_t) (m / 2 + 1);
	bool		ties = m % 2 == 0;
	const uint8_t *first = sample_at(km, samples[0]);
	uint64_t	total = 0;
	Scratch		scratch;

	(void) place_scratch(spec, km->scratch, &scratch);
	memset(scratch.counts, 0, (size_t) spec->dim * sizeof(uint32_t));
	for (size_t i = 0; i < m; i++)
	{
		const uint8_t *v = sample_at(km, samples[i]);

		for (int b = 0; b < spec->dim; b++)
			scratch.counts[b] += (v[b / 8] >> (7 - b % 8)) & 1;
		tick(km);
	}
	if (spec->metric == METRIC_JACCARD)
	{
		uint32_t	low = 1;
		uint32_t	high = (uint32_t) m;

		for (int b = 0; b < spec->dim; b++)
			total += scratch.counts[b];
		/* the most votes that leave at least the average number of bits */
		while (low < high)
		{
			uint32_t	middle = low + (high - low + 1) / 2;

			if (bits_with(scratch.counts, spec->dim, middle) * m >= total)
				low = middle;
			else
				high = middle - 1;
		}
		votes = low;
		ties = false;
	}
	memset(centroid, 0, size);
	for (int b = 0; b < spec->dim; b++)
	{
		bool		set = scratch.counts[b] >= votes;

		/* a tie goes to the first sample, so that bits are not lost to it */
		if (ties && scratch.counts[b] == m / 2)
			set = (first[b / 8] >> (7 - b % 8)) & 1;
		if (set)
			centroid[b / 8] |= (uint8_t) (0x80 >> (b % 8));
	}
}

void
kmeans_centre_on(KMeans *km, uint32_t sample, void *centroid)
{
	Scratch		scratch;

	if (km->spec.elements == KMEANS_BITS)
		memcpy(centroid, sample_at(km, sample), kmeans_centroid_size(&km->spec));
	else
	{
		/* as it is compared, so that equal samples are at no distance from it */
		(void) place_scratch(&km->spec, km->scratch, &scratch);
		memcpy(centroid, load(km, sample, scratch.tile), kmeans_centroid_size(&km->spec));
	}
}

void
kmeans_move(KMeans *km, const uint32_t *samples, size_t m, void *centroid)
{
	const KMeansSpec *spec = &km->spec;
	Scratch		scratch;
	float	   *out = centroid;

	if (m == 0)
		return;
	if (spec->elements == KMEANS_BITS)
	{
		move_bits(km, samples, m, centroid);
		return;
	}
	(void) place_scratch(spec, km->scratch, &scratch);
	memset(scratch.sums, 0, (size_t) spec->dim * sizeof(double));
	for (size_t i = 0; i < m; i++)
	{
		const float *v = load(km, samples[i], scratch.tile);

		for (int j = 0; j < spec->dim; j++)
			scratch.sums[j] += v[j];
		if (i % 256 == 0)
			tick(km);
	}
	if (rules[spec->metric].unit_centroids)
	{
		double		norm = 0;
		double		factor;

		for (int j = 0; j < spec->dim; j++)
			norm += scratch.sums[j] * scratch.sums[j];
		/* directions that cancel out have no mean: it stays where it was */
		if (!(norm > 0))
			return;
		factor = 1 / sqrt(norm);
		for (int j = 0; j < spec->dim; j++)
			out[j] = (float) (scratch.sums[j] * factor);
		return;
	}
	for (int j = 0; j < spec->dim; j++)
		out[j] = (float) (scratch.sums[j] / (double) m);
}

double
kmeans_project(KMeans *km, uint32_t sample, const void *centroid)
{
	Scratch		scratch;
	const float *v = sample_at(km, sample);
	double		dot;

	if (km->spec.elements == KMEANS_F16)
	{
		(void) place_scratch(&km->spec, km->scratch, &scratch);
		simd_get()->f16_to_f32((const uint16_t *) v, scratch.tile, km->spec.dim);
		v = scratch.tile;
	}
	dot = simd_get()->dot_f32(v, centroid, km->spec.dim);
	return isfinite(dot) ? dot : FLT_MAX;
}

/* ---- Few centroids ---- */

/* near[i] = distance of sample i to the centroid, where that is less. */
static void
shrink(KMeans *km, const uint32_t *samples, size_t m, const void *centroid, float *near)
{
	const KMeansSpec *spec = &km->spec;
	BatchKernel kernel = seed_kernel(spec->metric);
	size_t		tile = tile_samples(spec->dim);
	Scratch		scratch;

	(void) place_scratch(spec, km->scratch, &scratch);
	for (size_t i = 0; i < m; i += tile)
	{
		int			n = (int) (m - i < tile ? m - i : tile);
		const float *v[TILE_SAMPLES];
		float		out[TILE_SAMPLES];

		for (int j = 0; j < n; j++)
		{
			if (spec->elements == KMEANS_BITS)
				out[j] = (float) metric_rank_bits(spec->metric, sample_at(km, samples[i + (size_t) j]), centroid,
												  kmeans_centroid_size(spec));
			else
				v[j] = load(km, samples[i + (size_t) j], scratch.tile + (size_t) j * (size_t) spec->dim);
		}
		if (spec->elements != KMEANS_BITS)
			kernel(centroid, v, n, spec->dim, out);
		for (int j = 0; j < n; j++)
			if (out[j] < near[i + (size_t) j])
				near[i + (size_t) j] = out[j];
		if (i % 256 < tile)
			tick(km);
	}
}

/*
 * k-means++: each next centroid is a sample, drawn with a probability
 * proportional to its squared distance from the nearest so far.  Fewer than k
 * when none is left at a distance.
 */
static int
seed_small(KMeans *km, const uint32_t *samples, size_t m, int k, uint64_t *random, char *centroids, float *near)
{
	size_t		size = kmeans_centroid_size(&km->spec);
	int			count = 0;
	size_t		next = kmeans_random(random) % m;

	for (size_t i = 0; i < m; i++)
		near[i] = FLT_MAX;
	for (;;)
	{
		double		sum = 0;
		double		left;

		kmeans_centre_on(km, samples[next], centroids + (size_t) count * size);
		if (++count == k)
			return count;
		shrink(km, samples, m, centroids + (size_t) (count - 1) * size, near);
		for (size_t i = 0; i < m; i++)
			sum += near[i];
		if (!(sum > 0))
			return count;
		left = sum * ((double) (kmeans_random(random) >> 11) * 0x1p-53);
		next = m;
		for (size_t i = 0; i < m; i++)
		{
			if (near[i] > 0)
			{
				next = i;
				left -= near[i];
				if (left < 0)
					break;
			}
		}
	}
}

int
kmeans_small(KMeans *km, const uint32_t *samples, size_t m, int k, int passes, uint64_t seed,
			 void *centroids, uint32_t *labels, float *near)
{
	size_t		size = kmeans_centroid_size(&km->spec);
	uint64_t	random = seed;
	int			count = seed_small(km, samples, m, k, &random, centroids, near);

	if (count == 1)
	{
		kmeans_move(km, samples, m, centroids);
		return count;
	}
	for (int pass = 0; pass < passes; pass++)
	{
		uint32_t   *members = (uint32_t *) near;	/* free while centroids move */

		kmeans_assign(km, samples, 0, m, centroids, count, labels, NULL);
		for (int c = 0; c < count; c++)
		{
			size_t		n = 0;

			/* comparing labels is nothing beside comparing vectors */
			for (size_t i = 0; i < m; i++)
				if (labels[i] == (uint32_t) c)
					members[n++] = samples[i];
			if (n > 0)
				kmeans_move(km, members, n, (char *) centroids + (size_t) c * size);
			else
				kmeans_centre_on(km, samples[kmeans_random(&random) % m], (char *) centroids + (size_t) c * size);
		}
		tick(km);
	}
	return count;
}
