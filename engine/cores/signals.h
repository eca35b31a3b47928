/* SPDX-License-Identifier: MIT */
/*
 * Signals of a thread that becomes a loop.
 *
 * A handler would run on whatever task's stack is current, so signals that
 * have one are blocked, and SIGPIPE is: writing to a closed pipe through the
 * ring raises it for this thread. Those without a handler are left alone, so
 * that Ctrl-C ends a program that knows nothing of signals.
 */
#ifndef RI_CORES_SIGNALS_H
#define RI_CORES_SIGNALS_H

#include <signal.h>

/* Blocks them; *before gets the mask that was. */
void ri_signals_block(sigset_t *before);

/* Blocks all that this thread's own instructions do not raise: a thread that
 * is started now inherits that. */
void ri_signals_block_all(sigset_t *before);

/* Puts the mask back. A SIGPIPE that came meanwhile is dropped, as its -EPIPE
 * was told. */
void ri_signals_restore(const sigset_t *before);

#endif
