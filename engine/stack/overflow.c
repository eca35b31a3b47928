/* SPDX-License-Identifier: MIT */
#include "stack/overflow.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

/* Room for the handler, for one that it hands on to, and for the frame that
 * the kernel pushes (11 KiB with AMX state). */
#define ALTERNATE_BYTES ((size_t)64 << 10)

/* The thread's own, looked at by the handler. */
static _Thread_local struct ri_overflow *here;

/* The handler is the process's: who watches is counted. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static unsigned watchers;
static bool installed; /* also while nobody watches, if it cannot go */
static struct sigaction before;

/* A fault happens again once the handler returns; a signal that somebody sent
 * does not. */
static void die_by_default(const siginfo_t *info)
{
	const struct sigaction action = { .sa_handler = SIG_DFL };

	sigaction(SIGSEGV, &action, NULL);
	if (info->si_code <= 0)
		raise(SIGSEGV);
}

static bool is_default(const struct sigaction *action)
{
	return !(action->sa_flags & SA_SIGINFO) &&
	       (action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN);
}

/* The fault is not ours: the handler that was there sees what it would have
 * seen. By default, or ignored (which a fault cannot be), the program dies. */
static void hand_on(int signal, siginfo_t *info, void *context)
{
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(signal, info, context);
	else if (before.sa_handler == SIG_IGN && info->si_code <= 0)
		return; /* it was sent, and that can be ignored */
	else if (is_default(&before))
		die_by_default(info);
	else
		before.sa_handler(signal);
}

static void report(const struct ri_overflow *overflow)
{
	char text[512];
	const size_t bytes =
		overflow->describe(overflow->context, text, sizeof(text));
	size_t done = 0;

	while (done < bytes) {
		const ssize_t n =
			write(STDERR_FILENO, text + done, bytes - done);

		if (n <= 0)
			return;
		done += (size_t)n;
	}
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	const struct ri_overflow *overflow = here;

	/* si_code > 0: the kernel sent it, so si_addr is an address */
	if (!overflow || info->si_code <= 0 ||
	    !ri_stacks_guarding(overflow->stacks, info->si_addr)) {
		hand_on(signal, info, context);
		return;
	}
	report(overflow);
	die_by_default(info);
}

static void install(void)
{
	struct sigaction action = { .sa_sigaction = on_fault,
				    .sa_flags = SA_SIGINFO | SA_ONSTACK };
	struct sigaction now;

	pthread_mutex_lock(&mutex);
	watchers++;
	sigaction(SIGSEGV, NULL, &now);
	/* By default, nobody is left who would hand on to ours. */
	if (!installed || is_default(&now)) {
		sigemptyset(&action.sa_mask);
		sigaction(SIGSEGV, &action, &before);
		installed = true;
	}
	pthread_mutex_unlock(&mutex);
}

/* A handler that somebody put over ours may hand on to it: then it stays. */
static void uninstall(void)
{
	struct sigaction now;

	pthread_mutex_lock(&mutex);
	if (--watchers == 0) {
		sigaction(SIGSEGV, NULL, &now);
		if (now.sa_flags & SA_SIGINFO && now.sa_sigaction == on_fault) {
			sigaction(SIGSEGV, &before, NULL);
			installed = false;
		}
	}
	pthread_mutex_unlock(&mutex);
}

int ri_overflow_watch(struct ri_overflow *overflow,
		      const struct ri_kernel *kernel)
{
	stack_t alternate = { .ss_size = ALTERNATE_BYTES };
	int error;

	overflow->alternate = NULL;
	sigaltstack(NULL, &overflow->before);
	if (overflow->before.ss_flags & SS_DISABLE) {
		error = kernel->map(kernel, ALTERNATE_BYTES, &alternate.ss_sp);
		if (error < 0)
			return error;
		overflow->alternate = alternate.ss_sp;
		sigaltstack(&alternate, NULL);
	}
	here = overflow;
	install();
	return 0;
}

void ri_overflow_unwatch(struct ri_overflow *overflow,
			 const struct ri_kernel *kernel)
{
	uninstall();
	here = NULL;
	if (!overflow->alternate)
		return;
	sigaltstack(&overflow->before, NULL);
	kernel->unmap(kernel, overflow->alternate, ALTERNATE_BYTES);
}
