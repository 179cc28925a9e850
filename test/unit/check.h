/*
 * check.h
 *		Counting checks, and memory that ends where it says.
 *
 * A test program calls CHECK() as often as it likes and returns
 * check_done("name") from main: it prints "name: N passed, N failed" and
 * gives a non-zero status where something failed or nothing was checked.
 */
#ifndef VECIDX_CHECK_H
#define VECIDX_CHECK_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static long check_passed = 0;
static long check_failed = 0;

/* details of the first failures only: one bug may fail thousands of checks */
#define CHECK_SHOWN 20

/* One check; the rest is a printf format that says what was found. */
#define CHECK(condition, ...) \
	do { \
		if (condition) \
			check_passed++; \
		else if (check_failed++ < CHECK_SHOWN) \
		{ \
			printf("%s:%d: not true: %s: ", __FILE__, __LINE__, #condition); \
			printf(__VA_ARGS__); \
			printf("\n"); \
		} \
	} while (0)

/* Say that something could not be checked here; neither passed nor failed. */
#define CHECK_SKIP(...) \
	do { \
		printf("skipped: "); \
		printf(__VA_ARGS__); \
		printf("\n"); \
	} while (0)

static inline int
check_done(const char *name)
{
	printf("%s: %ld passed, %ld failed\n", name, check_passed, check_failed);
	return check_failed == 0 && check_passed > 0 ? 0 : 1;
}

/*
 * A generator of numbers: the same for the same seed everywhere.
 * (splitmix64, Steele, Lea and Flood 2014)
 */
static inline uint64_t
check_random(uint64_t *state)
{
	uint64_t	z = (*state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* uniform in [lo, hi) */
static inline float
check_uniform(uint64_t *state, float lo, float hi)
{
	return lo + (hi - lo) * ((float) (check_random(state) >> 40) / 16777216.0f);
}

/* The number of elements to test after n: up to 300, then what people embed with; -1 after the last. */
static inline int
check_next_length(int n)
{
	static const int more[] = {768, 1536, 3072, 16000};

	if (n < 300)
		return n + 1;
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
	{
		if (n < more[i])
			return more[i];
	}
	return -1;
}

/*
 * Memory whose end is the end of the world: the page behind it cannot be
 * read.  guard_at(&g, size) gives the last size bytes; an over-read by one
 * byte is a fault, not a lucky pass.  Never freed: tests end soon.
 */
typedef struct Guard
{
	uint8_t    *end;
	size_t		capacity;
} Guard;

static inline Guard
guard_new(size_t capacity)
{
	size_t		page = (size_t) sysconf(_SC_PAGESIZE);
	Guard		guard;
	uint8_t    *base;

	guard.capacity = (capacity + page - 1) / page * page;
	base = mmap(NULL, guard.capacity + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base == MAP_FAILED || mprotect(base + guard.capacity, page, PROT_NONE) != 0)
	{
		perror("guard_new");
		exit(2);
	}
	guard.end = base + guard.capacity;
	return guard;
}

static inline void *
guard_at(const Guard *guard, size_t size)
{
	if (size > guard->capacity)
	{
		fprintf(stderr, "guard_at: %zu bytes of %zu\n", size, guard->capacity);
		exit(2);
	}
	return guard->end - size;
}

#endif							/* VECIDX_CHECK_H */
