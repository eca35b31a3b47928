/* SPDX-License-Identifier: MIT */
/*
 * A stack that overflows hits its guard, and the program dies of SIGSEGV. This
 * says first which task it was: by a handler for the whole process, on an
 * alternate stack for each loop's thread.
 *
 * Only faults inside a guard of the thread's own loop are ours. Every other
 * goes to the handler that was there before, as if we were not. After the
 * report the default action is put back and the fault happens again, so the
 * core shows the frame that did it.
 */
#ifndef RI_STACK_OVERFLOW_H
#define RI_STACK_OVERFLOW_H

#include "stack/stacks.h"

#include <stdbool.h>
#include <signal.h>

/* What the handler needs to know of the thread it runs on. */
struct ri_overflow {
	const struct ri_stacks *stacks; /* whose guards are ours */
	/* Writes one line about the task that runs; async-signal-safe. */
	size_t (*describe)(void *context, char *text, size_t bytes);
	void *context;   /* first argument of describe */
	void *alternate; /* the alternate stack that we gave */
	stack_t before;  /* the alternate stack that was there */
};

/* Watches this thread. 0 or -errno (no memory for the alternate stack). */
int ri_overflow_watch(struct ri_overflow *overflow,
		      const struct ri_kernel *kernel);

/* Ends it; the last thread to do so takes the handler out. */
void ri_overflow_unwatch(struct ri_overflow *overflow,
			 const struct ri_kernel *kernel);

#endif
