/* SPDX-License-Identifier: MIT */
/*
 * Two bare threads, each on a processor of its own where there are two: what an
 * engine of two loops is compared with.
 */
#ifndef BENCH_BARE_THREADS_H
#define BENCH_BARE_THREADS_H

/* Runs first(arg) and second(arg) at once and waits for both. 0 or -errno. */
int bare_threads_run(void (*first)(void *arg), void (*second)(void *arg),
		     void *arg);

#endif
