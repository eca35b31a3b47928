/* SPDX-License-Identifier: MIT */
/* One side or two: to start them, with their load, and to stop them. */
#ifndef BENCH_ECHO_SIDES_H
#define BENCH_ECHO_SIDES_H

#include <stddef.h>

#include "echo_side.h"

/* Room for so many sides, named by the settings; NULL once it complained. */
struct echo_side *echo_sides_create(const struct echo_settings *settings,
				    size_t count);

/*
 * Servers first, all of them, then connections to each, from the processor
 * of the load: 0, or -1 once it has complained.
 */
int echo_sides_start(struct echo_side *sides, size_t count,
		     const struct echo_settings *settings);

/*
 * Stops all that was started and complains of what went wrong meanwhile; the
 * exit code of a measurement that came to `result`.
 */
int echo_sides_stop(struct echo_side *sides, size_t count,
		    const struct echo_settings *settings, int result);

#endif
