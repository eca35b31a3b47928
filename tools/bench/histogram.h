/* SPDX-License-Identifier: MIT */
/*
 * A log-linear histogram of durations in nanoseconds: each power of two is
 * cut into 128 equal buckets, and a percentile is the middle of its bucket,
 * so it is off by at most 1/256 (0.4%). Below 128 ns each value has a bucket
 * of its own. Least and most are kept exactly. Memory is fixed (35 KiB, of
 * which a run touches a few lines); recording is a bit scan and two adds.
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB_BITS 7
#define HISTOGRAM_SUB_COUNT (1u << HISTOGRAM_SUB_BITS)

/* 2^40 ns is 18 minutes; what lasts longer is counted as that. */
#define HISTOGRAM_VALUE_BITS 40
#define HISTOGRAM_BUCKETS \
	((HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) * HISTOGRAM_SUB_COUNT)

struct histogram {
	uint64_t count;                      /* values recorded */
	uint64_t max;                        /* the longest, exactly */
	uint64_t buckets[HISTOGRAM_BUCKETS]; /* values in each bucket */
};

void histogram_clear(struct histogram *histogram);

static inline uint32_t histogram_bucket(uint64_t value)
{
	const uint64_t limit = (1ull << HISTOGRAM_VALUE_BITS) - 1;
	const uint64_t kept = value < limit ? value : limit;

	if (kept < HISTOGRAM_SUB_COUNT)
		return (uint32_t)kept;
	/* The highest bit picks the row, the next seven the place in it. */
	const uint32_t shift =
		63u - HISTOGRAM_SUB_BITS - (uint32_t)__builtin_clzll(kept);

	return shift * HISTOGRAM_SUB_COUNT + (uint32_t)(kept >> shift);
}

static inline void histogram_record(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[histogram_bucket(value)]++;
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
}

/* Adds all that was recorded in another one. */
void histogram_add(struct histogram *histogram, const struct histogram *other);

/* The value that this part (0.99) of all values do not exceed; 0 if empty. */
double histogram_quantile(const struct histogram *histogram, double part);

#endif
