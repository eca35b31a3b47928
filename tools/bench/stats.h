/* SPDX-License-Identifier: MIT */
/*
 * Order statistics of a few rounds. Medians and quartiles, never means: one
 * round that met another guest of the machine must not move the figure.
 */
#ifndef BENCH_STATS_H
#define BENCH_STATS_H

#include <stddef.h>

struct stats_summary {
	double min;
	double first_quartile;
	double median;
	double third_quartile;
	double max;
};

/* Sorts the values in place and sums them up; NaNs all over if count is 0. */
struct stats_summary stats_summarize(double *values, size_t count);

#endif
