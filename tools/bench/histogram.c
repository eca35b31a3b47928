// SPDX-License-Identifier: MIT
/* Log-linear histogram, see histogram.h. */
#include <string.h>

#include "histogram.h"

void histogram_clear(struct histogram *histogram)
{
	memset(histogram, 0, sizeof(*histogram));
}

void histogram_add(struct histogram *histogram, const struct histogram *other)
{
	for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++)
		histogram->buckets[bucket] += other->buckets[bucket];
	histogram->count += other->count;
	if (other->max > histogram->max)
		histogram->max = other->max;
}

/* Inverse of histogram_bucket: the middle of what falls into it. */
static double bucket_middle(uint32_t bucket)
{
	if (bucket < 2 * HISTOGRAM_SUB_COUNT)
		return bucket;
	const uint32_t shift = bucket / HISTOGRAM_SUB_COUNT - 1;
	const uint64_t low = (uint64_t)(bucket - shift * HISTOGRAM_SUB_COUNT)
			     << shift;

	return (double)low + (double)((1ull << shift) - 1) / 2.0;
}

double histogram_quantile(const struct histogram *histogram, double part)
{
	const double wanted = part * (double)histogram->count;
	const double max = (double)histogram->max;
	uint64_t seen = 0;

	for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		seen += histogram->buckets[bucket];
		if (seen == 0 || (double)seen < wanted)
			continue;
		const double middle = bucket_middle(bucket);

		return middle < max ? middle : max;
	}
	return 0;
}
