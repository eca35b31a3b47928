/* SPDX-License-Identifier: MIT */
/*
 * Signals of this process, seen and sent past rota.
 */
#ifndef TEST_SUPPORT_SIGNALS_H
#define TEST_SUPPORT_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <unistd.h>

/* Has this thread blocked it? */
static inline bool test_signal_is_blocked(int number)
{
	sigset_t mask;

	pthread_sigmask(SIG_SETMASK, NULL, &mask);
	return sigismember(&mask, number) == 1;
}

/* Did it come, to this thread or to the process, and was not taken? */
static inline bool test_signal_is_pending(int number)
{
	sigset_t set;

	sigpending(&set);
	return sigismember(&set, number) == 1;
}

/* To the process. */
static inline void test_signal_send(int number)
{
	kill(getpid(), number);
}

#endif
