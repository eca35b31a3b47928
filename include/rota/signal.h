/* SPDX-License-Identifier: MIT */
/*
 * Signals as something a task waits for: no handler, no flag to look at.
 *
 *	struct rota_signals stop;
 *
 *	error = rota_signals_open(&stop, SIGINT, SIGTERM);
 *	if (error)
 *		return error;
 *	number = rota_signals_wait(&stop, NULL);
 *	if (number > 0)
 *		rota_group_drain(&connections, 5 * ROTA_SECOND);
 *	rota_signals_close(&stop);
 *
 * From open to close these signals are blocked on the engine's threads and do
 * not act: no handler runs, nothing is ended or stopped by them, and also those
 * that the program ignores are waited for.
 *
 *	nobody waits      the kernel keeps what comes: a signal once, however
 *	                  often it comes, those from SIGRTMIN on each time. The
 *	                  next wait returns at once
 *	several wait      each signal is taken by one of them, any one. So it is
 *	                  with several sets that have a signal in common
 *	a cancel comes    it takes nothing: what came stays for the next wait,
 *	                  and a signal that was taken is returned
 *	it is closed      what came and nobody took is thrown away, unless
 *	                  somebody else has it open
 *
 * A signal that was blocked before stays so, and what nobody took stays
 * pending, as rota finds it. Closed by the last one who has it open, every
 * other one does again what it did before.
 *
 * Other threads. A signal that is sent to the process (kill(2), the terminal)
 * goes to any thread that has not blocked it, and acts there: so each thread of
 * the program has to block it as well. Those that are started while it is open
 * inherit that, and of an engine's own threads all but loop 0's block every
 * signal anyway; so whichever loop opens a set, it is blocked there. One that
 * is sent to a single thread (pthread_kill(3), raise(3)) is for the tasks of
 * that thread's loop only.
 *
 * Other programs. What a task executes inherits what is blocked (execve(2)):
 * give posix_spawn(3) an empty mask (posix_spawnattr_setsigmask(3),
 * POSIX_SPAWN_SETSIGMASK), or it cannot be interrupted.
 */
#ifndef ROTA_SIGNAL_H
#define ROTA_SIGNAL_H

#include "rota/scope.h"

#include <signal.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ri_loop;

/* In the frame of who opens it; its fields are private. */
struct rota_signals {
	struct rota_scope scope; /* so that one left open is found */
	struct rota_node link;   /* among those of its loop */
	struct ri_loop *loop;    /* whose it is, while it is open */
	uint64_t set;            /* which signals, as bits */
	uint64_t blocked;        /* those of them that it has to unblock */
	int fd;                  /* a signalfd(2) */
};

/* One that came: sigaction(2) explains what a siginfo_t tells. */
struct rota_signal {
	int number;     /* SIGTERM, ... */
	int code;       /* how it came: SI_USER, SI_QUEUE, CLD_EXITED, ... */
	pid_t process;  /* who sent it, of SIGCHLD the child; 0: the kernel */
	uid_t user;     /* ... as whom */
	int status;     /* of SIGCHLD: the exit status, or a signal */
	uint64_t value; /* of sigqueue(3): sival_ptr; sival_int is its low
	                   half */
};

/* Opens a set of signals: 0; or -EINVAL for none, and for those that cannot
 * wait or be waited for (SIGKILL, SIGSTOP, SIGSEGV, SIGBUS, SIGFPE, SIGILL,
 * SIGTRAP, SIGSYS, SIGABRT, no signal at all); or what signalfd(2) says:
 * -EMFILE, -ENFILE, -ENOMEM. Then nothing is open or blocked. `numbers` ends
 * with a 0.
 *
 * Suspends on other loops than 0, until that has blocked them, whatever is
 * cancelled. Tasks only, not refused in a cancelled one. The function
 * that calls it calls rota_signals_close too: one that returns without it
 * aborts the program, naming this line. */
int rota_signals_open_at(struct rota_signals *signals, const int *numbers,
			 const struct rota_site *site)
	__attribute__((warn_unused_result));

/* rota_signals_open(&signals, SIGINT, SIGTERM): one or more. */
#define rota_signals_open(signals, ...)                                      \
	__extension__({                                                      \
		static const struct rota_site rota_site_ =                   \
			ROTA_SITE_("set of signals", 0);                     \
		const int rota_numbers_[] = { __VA_ARGS__, 0 };              \
		rota_signals_open_at((signals), rota_numbers_, &rota_site_); \
	})

/* Waits for one of the signals, takes it, and returns its number; `report` (may
 * be NULL) gets what is known of it. Of several that came the lowest number is
 * first. -ECANCELED, -ETIME or -ESHUTDOWN, at once in a cancelled task: then
 * none was taken. -EBADF: it was closed meanwhile.
 *
 * Suspends. Any task of the loop on which it was opened, while it is open: for
 * one that is not, the program aborts. */
int rota_signals_wait(struct rota_signals *signals, struct rota_signal *report)
	__attribute__((warn_unused_result));

/* Closes it: it can be opened again. Who waits for it elsewhere gets -EBADF. A
 * release verb: never refused, never cancelled; may suspend. The task that
 * opened it only. Sets may be closed in any order. */
void rota_signals_close(struct rota_signals *signals);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
