// SPDX-License-Identifier: MIT
/* Signals that end a measurement, see interrupt.h. */
#include <signal.h>
#include <stddef.h>

#include "interrupt.h"

static volatile sig_atomic_t last_signal;

static void note_signal(int number)
{
	last_signal = number;
}

void interrupt_watch(void)
{
	const struct sigaction action = { .sa_handler = note_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

bool interrupt_pending(void)
{
	return last_signal != 0;
}

int interrupt_signal(void)
{
	return last_signal;
}
