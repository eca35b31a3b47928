/* SPDX-License-Identifier: MIT */
/*
 * SIGINT, SIGTERM and SIGHUP as a flag: the load looks at it between waits
 * and ends in good order, so that no server is left behind. System calls are
 * not restarted. A signal that comes just before a wait is seen after it, so
 * no wait may be longer than a second.
 */
#ifndef BENCH_INTERRUPT_H
#define BENCH_INTERRUPT_H

#include <stdbool.h>

/* From here on the three signals only set the flag. */
void interrupt_watch(void);

/* Whether one came; interrupt_signal is its number, 0 if none did. */
bool interrupt_pending(void);
int interrupt_signal(void);

#endif
