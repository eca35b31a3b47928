/* SPDX-License-Identifier: MIT */
/*
 * Any io_uring operation as a blocking call. Prepare an entry of your own with
 * liburing (include <liburing.h> yourself), and await it:
 *
 *	struct io_uring_sqe entry;
 *
 *	io_uring_prep_fadvise(&entry, fd, 0, bytes, POSIX_FADV_WILLNEED);
 *	result = rota_await(&entry);
 */
#ifndef ROTA_AWAIT_H
#define ROTA_AWAIT_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct io_uring_sqe;

/* Submits a copy of the entry and waits for its last completion. Returns what
 * the kernel said: >= 0 or -errno, as in the operation's manual page. What
 * entry->user_data holds is ignored.
 *
 *	-ECANCELED, -ETIME  the task is cancelled. At once: the operation was
 *	                    not begun. Later: it was stopped, as its manual
 *	                    page describes it. An operation that is done
 *	                    before it can be stopped returns its result.
 *	-EBADF              also: rota_close was called for entry->fd meanwhile
 *	-EINVAL             also: flags that mean more or fewer than one
 *	                    completion, or an order with others: IOSQE_IO_LINK,
 *	                    _HARDLINK, _DRAIN, CQE_SKIP_SUCCESS, BUFFER_SELECT,
 *	                    and everything multishot; operations on
 *	                    operations (ASYNC_CANCEL, TIMEOUT_REMOVE,
 *	                    POLL_REMOVE, LINK_TIMEOUT), and MSG_RING
 *	-EAGAIN             the kernel has no memory for another request
 *
 * Memory that the entry points to is the kernel's until this returns. Suspends.
 * Tasks only. */
int rota_await(const struct io_uring_sqe *entry)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
