/* SPDX-License-Identifier: MIT */
/*
 * Which signals cannot be waited for, as they cannot wait.
 */
#ifndef RI_IO_SIGNAL_H
#define RI_IO_SIGNAL_H

#include <signal.h>
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

#endif
