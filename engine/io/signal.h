/* SPDX-License-Identifier: MIT */
#ifndef RI_IO_SIGNAL_H
#define RI_IO_SIGNAL_H

#include "rota/signal.h"
#include "task/task.h"

#include <stdbool.h>

/* Does it tell of what this very instruction did? Then it cannot wait. */
static inline bool ri_signal_is_synchronous(int number)
{
	switch (number) {
	case SIGSEGV:
	case SIGBUS:
	case SIGFPE:
	case SIGILL:
	case SIGTRAP:
	case SIGSYS:
	case SIGABRT:
		return true;
	default:
		return false;
	}
}

/* The two that change the mask of a loop's thread, the running one's, from the
 * opening of a set to its close. A signal sent to the process acts on any
 * thread where it is not blocked: where there are several loops, each of them
 * has to hold it, before the one that opens goes on.
 *
 * From the first on the set's signals are blocked. */
void ri_signals_hold(struct ri_tasks *tasks, struct rota_signals *signals);

/* What nobody else holds is thrown away and unblocked, if the first had blocked
 * it. */
void ri_signals_let_go(struct ri_tasks *tasks, struct rota_signals *signals);

#endif
