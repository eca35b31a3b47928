/* SPDX-License-Identifier: MIT */
/*
 * A set of descriptors that somebody else looks after: a library that calls
 * back, to say which ones it wants to be watched (libcurl's multi interface).
 *
 *	struct rota_ready ready[16];
 *	struct rota_watch watch;
 *
 *	error = rota_watch_open(&watch);
 *	...                its callback calls rota_watch_set(&watch, fd, ...)
 *	while ((n = rota_watch_wait(&watch, deadline_ns, ready, 16)) >= 0)
 *		...        tell it of n descriptors; of none: the time is up
 *	rota_watch_close(&watch);
 *
 * A library with one descriptor (a connection of libpq or hiredis) needs none
 * of this: rota_poll in a deadline (deadline.h) waits for it, and the code
 * around it stays as it is written for a library that blocks.
 *
 *	never block    on the loop the library's calls that block (connect,
 *	               resolve, "perform", "sync") stop every other task: use
 *	               those that do not, and rota_offload where there are none
 *	level          a descriptor is told of as long as it is ready, so one
 *	               that is left out this time comes the next
 *	in turn        with more ready than there is room for, each comes
 *	closed         a descriptor that is closed is watched no longer; but if
 *	               it was duplicated (dup(2), fork(2)), remove it first, or
 *	               it goes on as what is left of it
 */
#ifndef ROTA_WATCH_H
#define ROTA_WATCH_H

#include "rota/clock.h"
#include "rota/scope.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct ri_loop;

/* In the frame of who opens it; its fields are private. */
struct rota_watch {
	struct rota_scope scope; /* so that one left open is found */
	struct ri_loop *loop;    /* whose it is, while it is open */
	int fd;                  /* an epoll(7) */
};

/* A descriptor that is ready. */
struct rota_ready {
	void *data;      /* what was given with it */
	unsigned events; /* what came: POLLIN, POLLOUT, ... */
};

/* Opens a set, empty. 0, or what epoll_create1(2) says: -EMFILE, -ENFILE,
 * -ENOMEM: then nothing is open.
 *
 * Never suspends, tasks only, not refused in a cancelled one. The function that
 * calls it calls rota_watch_close too: one that returns without it aborts the
 * program, naming this line. */
int rota_watch_open_at(struct rota_watch *watch, const struct rota_site *site)
	__attribute__((warn_unused_result));

#define rota_watch_open(watch)                             \
	__extension__({                                    \
		static const struct rota_site rota_site_ = \
			ROTA_SITE_("watch", 0);            \
		rota_watch_open_at((watch), &rota_site_);  \
	})

/* From now on `fd` is watched for these events (poll(2): POLLIN, POLLOUT,
 * POLLPRI, ...), and no others; POLLERR and POLLHUP come without being asked
 * for. `data` is given back with them. With events 0 it is watched no longer,
 * and one that is not watched, or was closed before, is no error; an event that
 * was taken is not taken back.
 *
 * 0; -EINVAL: events that poll(2) does not know, or the set's own descriptor;
 * -EBADF: it is not open; -EPERM: a file or a directory, which is always ready;
 * -ELOOP: it is a set of descriptors, of too many sets; -ENOSPC, -ENOMEM: too
 * many are watched (epoll(7): max_user_watches).
 *
 * Never suspends, not refused in a cancelled task. Any task of the loop on which
 * the set was opened, while it is open (else the program aborts), also while
 * another one waits, which hears of it. */
int rota_watch_set(struct rota_watch *watch, int fd, unsigned events,
		   void *data) __attribute__((warn_unused_result));

/* Waits until some are ready, or until deadline_ns (clock.h; ROTA_NEVER: as
 * long as it takes). Returns how many of them are in `ready`, which has room
 * for `count`: 64 at a time at most. 0: the time has come, and none is.
 * -ECANCELED, -ETIME, -ESHUTDOWN: the task is cancelled, at once or when a
 * cancel comes: what is ready stays so. -EINVAL: no room. -EAGAIN: the kernel
 * takes no entries.
 *
 * Suspends, also for a time that is past: the other ready tasks have their turn
 * first. The task that opened it only. */
int rota_watch_wait(struct rota_watch *watch, int64_t deadline_ns,
		    struct rota_ready *ready, unsigned count)
	__attribute__((warn_unused_result));

/* A descriptor that can be read (POLLIN) while some are ready: to be waited for
 * together with other things, by rota_arm_poll (select.h), and for nothing
 * else. Never fails, never suspends. Any task of the loop. */
int rota_watch_fd(const struct rota_watch *watch);

/* Those that are ready now: as rota_watch_wait, without a wait. Never suspends,
 * not refused in a cancelled task. Any task of the loop. */
int rota_watch_take(struct rota_watch *watch, struct rota_ready *ready,
		    unsigned count) __attribute__((warn_unused_result));

/* Closes the set; the descriptors in it stay open. It can be opened again. A
 * release verb: never refused, never cancelled; may suspend. The task that
 * opened it only. Sets may be closed in any order. */
void rota_watch_close(struct rota_watch *watch);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
