/* SPDX-License-Identifier: MIT */
/*
 * Time. Durations end in _ns; points in time are called deadline_ns and are
 * nanoseconds of CLOCK_MONOTONIC (clock_gettime(2)): it does not jump when
 * somebody sets the time.
 *
 * Nothing that waits for a point in time ends before it. A loop with nothing
 * else to do wakes some 20 us after it; of many that come less than 500 us after
 * each other some are that much later, to be handled together.
 *
 * The clock stands still while the machine is suspended, and so do sleeps,
 * deadlines and tickers: after a resume they go on with what was left of them.
 * Not CLOCK_BOOTTIME: deadlines bound how long a running program waits for its
 * peers, and after an hour's suspend all of them would come at once, before
 * any peer had a chance. Go does the same.
 */
#ifndef ROTA_CLOCK_H
#define ROTA_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The point in time that never comes. */
#define ROTA_NEVER INT64_MAX

#define ROTA_MICROSECOND INT64_C(1000)    /* as a duration */
#define ROTA_MILLISECOND INT64_C(1000000) /* as a duration */
#define ROTA_SECOND INT64_C(1000000000)   /* as a duration */

/* The time now. Never fails, never suspends, for any thread. Inside a task it
 * is the engine's clock: that is read once each turn of the loop, and here. */
int64_t rota_now_ns(void);

/* The point in time that is duration_ns from now. A negative duration counts
 * as 0; a sum past the end of time is ROTA_NEVER. Never fails, never
 * suspends, for any thread. */
int64_t rota_after_ns(int64_t duration_ns);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
