// SPDX-License-Identifier: MIT
/* Order statistics, see stats.h. */
#include <math.h>
#include <stdlib.h>

#include "stats.h"

static int compare_doubles(const void *left, const void *right)
{
	const double a = *(const double *)left;
	const double b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Between two neighbours the quantile is where the straight line has it. */
static double quantile(const double *sorted, size_t count, double part)
{
	const double place = part * (double)(count - 1);
	const size_t below = (size_t)place;
	const size_t above = below + 1 < count ? below + 1 : below;
	const double fraction = place - (double)below;

	return sorted[below] + fraction * (sorted[above] - sorted[below]);
}

struct stats_summary stats_summarize(double *values, size_t count)
{
	if (count == 0)
		return (struct stats_summary){ NAN, NAN, NAN, NAN, NAN };
	qsort(values, count, sizeof(values[0]), compare_doubles);
	return (struct stats_summary){
		.min = values[0],
		.first_quartile = quantile(values, count, 0.25),
		.median = quantile(values, count, 0.5),
		.third_quartile = quantile(values, count, 0.75),
		.max = values[count - 1],
	};
}
