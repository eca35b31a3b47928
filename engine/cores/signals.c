/* SPDX-License-Identifier: MIT */
#include "cores/signals.h"

#include "io/signal.h"

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

static bool has_handler(int signal)
{
	struct sigaction action;

	/* The C library's own two have no action for others to see. */
	if (sigaction(signal, NULL, &action) < 0)
		return false;
	return action.sa_flags & SA_SIGINFO ||
	       (action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN);
}

void ri_signals_block(sigset_t *before)
{
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGPIPE);
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (!ri_signal_is_synchronous(signal) && has_handler(signal))
			sigaddset(&blocked, signal);
	pthread_sigmask(SIG_BLOCK, &blocked, before);
}

void ri_signals_block_all(sigset_t *before)
{
	sigset_t blocked;

	sigfillset(&blocked);
	for (int signal = 1; signal <= SIGRTMAX; signal++)
		if (ri_signal_is_synchronous(signal))
			sigdelset(&blocked, signal);
	pthread_sigmask(SIG_SETMASK, &blocked, before);
}

void ri_signals_restore(const sigset_t *before)
{
	const struct timespec none = { 0 };
	sigset_t broken_pipe;

	sigemptyset(&broken_pipe);
	sigaddset(&broken_pipe, SIGPIPE);
	if (!sigismember(before, SIGPIPE))
		while (sigtimedwait(&broken_pipe, NULL, &none) == SIGPIPE)
			;
	pthread_sigmask(SIG_SETMASK, before, NULL);
}
