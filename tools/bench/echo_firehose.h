/* SPDX-License-Identifier: MIT */
/* How the neighbours of a firehose fared. */
#ifndef BENCH_ECHO_FIREHOSE_H
#define BENCH_ECHO_FIREHOSE_H

#include "echo_side.h"
#include "report.h"

/*
 * What the firehose got through, the median of its neighbours' own medians,
 * median and p99 of the slowest (by its median), and what it is of that.
 */
void echo_firehose_report(const struct echo_side *side, struct report_row *row);

#endif
