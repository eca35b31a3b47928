// SPDX-License-Identifier: MIT
/* The neighbours of a firehose, see echo_firehose.h. */
#include <math.h>
#include <stdlib.h>

#include "echo_firehose.h"
#include "stats.h"

#define NS_PER_US 1e3

/* Bytes in so many nanoseconds, as MB (10^6) a second. */
#define NS_TO_MB_PER_S 1e3

struct neighbours {
	double median;         /* of their medians, ns */
	double slowest_median; /* ns */
	double slowest_p99;    /* of the same one, ns */
};

static struct neighbours sum_up(const struct load *load, double *medians)
{
	struct neighbours found = { NAN, NAN, NAN };
	size_t count = 0;

	for (uint32_t index = 1; index < load->options.connections; index++) {
		const struct histogram *one = &load->neighbours[index];
		const double median = histogram_quantile(one, 0.5);

		if (one->count == 0)
			continue;
		medians[count++] = median;
		if (median <= found.slowest_median)
			continue;
		found.slowest_median = median;
		found.slowest_p99 = histogram_quantile(one, 0.99);
	}
	found.median = stats_summarize(medians, count).median;
	return found;
}

void echo_firehose_report(const struct echo_side *side, struct report_row *row)
{
	const struct load *load = &side->team.loads[0];
	double *medians = calloc(load->options.connections, sizeof(medians[0]));
	struct neighbours found = { NAN, NAN, NAN };

	if (medians != NULL)
		found = sum_up(load, medians);
	free(medians);
	report_number(row, "firehose_mb_per_s",
		      (double)side->poured * LOAD_FIREHOSE_BYTES *
			      NS_TO_MB_PER_S / (double)side->elapsed_ns,
		      1);
	report_number(row, "neighbour_p50_us", found.median / NS_PER_US, 2);
	report_number(row, "slowest_p50_us", found.slowest_median / NS_PER_US,
		      2);
	report_number(row, "slowest_p99_us", found.slowest_p99 / NS_PER_US, 2);
	report_number(row, "slowest_ratio", found.slowest_median / found.median,
		      3);
}
