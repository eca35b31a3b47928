/* SPDX-License-Identifier: MIT */
/*
 * What the baseline of the tickers waits with: an absolute timeout on a bare
 * ring, one operation a tick, submitted and waited for in one system call.
 */
#ifndef BENCH_BARE_TIMER_H
#define BENCH_BARE_TIMER_H

#include <liburing.h>
#include <stdint.h>

/* Waits until that point of monotonic time: 0 or -errno. */
int bare_timer_wait(struct io_uring *ring, uint64_t deadline_ns);

#endif
