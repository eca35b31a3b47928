/* SPDX-License-Identifier: MIT */
/*
 * Sending: from one place, copied or not, and from several pieces.
 */
#include "ring/features.h"
#include "rota/socket.h"
#include "rota/task.h"
#include "task/operation.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

/* Constants that liburing 2.3's headers lack. */
#define SEND_ZC_REPORT_USAGE (1u << 3) /* Linux 6.2 */

/* How many pieces are copied so that the first can begin in its middle. */
#define WINDOW 16

int rota_send(int fd, const void *buffer, size_t bytes, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, bytes);

	if (error)
		return error;
	io_uring_prep_send(entry, fd, buffer, bytes, flags | MSG_NOSIGNAL);
	return ri_verb_await(entry, __func__, fd);
}

/* Is it there, and has it not been of no use on this descriptor? */
static bool may_lend(struct ri_tasks *tasks, int fd)
{
	return fd >= 0 && tasks->loop.ring.features & RI_FEATURE_SEND_ZC &&
	       *ri_operation_copied(tasks, fd) < RI_COPIED_MAX;
}

static int lend(int fd, const void *buffer, size_t bytes, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, "rota_send_zc", bytes);
	unsigned report = 0;

	if (error)
		return error;
	if (ri_tasks_here()->loop.ring.features & RI_FEATURE_ZC_USAGE)
		report = SEND_ZC_REPORT_USAGE;
	io_uring_prep_send_zc(entry, fd, buffer, bytes, flags | MSG_NOSIGNAL,
			      report);
	return ri_verb_await(entry, "rota_send_zc", fd);
}

/* Refused for want of locked memory, which may pass, or for good. */
static void note_refusal(uint8_t *copied, int error)
{
	if (error == -EOPNOTSUPP)
		*copied = RI_COPIED_MAX;
	else if (*copied < RI_COPIED_MAX)
		++*copied;
}

int rota_send_zc(int fd, const void *buffer, size_t bytes, int flags)
{
	struct ri_tasks *tasks;
	int error, result;

	ri_task_self(__func__);
	tasks = ri_tasks_here();
	if (!may_lend(tasks, fd))
		return rota_send(fd, buffer, bytes, flags);
	result = lend(fd, buffer, bytes, flags);
	if (result != -ENOMEM && result != -EOPNOTSUPP)
		return result;
	error = ri_verb_again(__func__);
	if (error)
		return error;
	note_refusal(ri_operation_copied(tasks, fd), result);
	return rota_send(fd, buffer, bytes, flags);
}

int rota_sendv(int fd, const struct iovec *pieces, int count, int flags)
{
	const struct msghdr message = { .msg_iov = (struct iovec *)pieces,
					.msg_iovlen = (size_t)count };
	struct io_uring_sqe *entry;
	/* Too many are refused by the kernel, to which none is negative. */
	const int error =
		ri_verb_begin(&entry, __func__, count < 0 ? SIZE_MAX : 0);

	if (error)
		return error;
	io_uring_prep_sendmsg(entry, fd, &message,
			      (unsigned)flags | MSG_NOSIGNAL);
	return ri_verb_await(entry, __func__, fd);
}

/* What is left to be sent: pieces, from so many bytes into the first on. */
struct rest {
	const struct iovec *pieces;
	int count;
	size_t skip;
};

/* So many more bytes are sent, and all pieces up to there, empty ones too. */
static void advance(struct rest *rest, size_t bytes)
{
	bytes += rest->skip;
	while (rest->count && bytes >= rest->pieces->iov_len) {
		bytes -= rest->pieces->iov_len;
		rest->pieces++;
		rest->count--;
	}
	rest->skip = bytes;
}

/* As much as one send takes. The pieces are the caller's and stay as they are:
 * some are copied if the first one was cut. */
static int send_some(int fd, const struct rest *rest)
{
	struct iovec window[WINDOW];
	int count = rest->count;

	if (!rest->skip)
		return rota_sendv(fd, rest->pieces,
				  count > IOV_MAX ? IOV_MAX : count, 0);
	if (count > WINDOW)
		count = WINDOW;
	memcpy(window, rest->pieces, (size_t)count * sizeof(window[0]));
	window[0].iov_base = (char *)window[0].iov_base + rest->skip;
	window[0].iov_len -= rest->skip;
	return rota_sendv(fd, window, count, 0);
}

int rota_sendv_all(int fd, const struct iovec *pieces, int count, size_t *done)
{
	struct rest rest = { pieces, count, 0 };
	int result = rota_cancelled();
	size_t sent = 0;

	if (count < 0)
		result = -EINVAL;
	else if (count && !pieces)
		result = -EFAULT;
	else
		advance(&rest, 0);
	while (!result && rest.count) {
		const int some = send_some(fd, &rest);

		if (some <= 0) {
			result = some ? some : -EIO;
			break;
		}
		sent += (size_t)some;
		advance(&rest, (size_t)some);
		if (rest.count)
			result = ri_verb_again(__func__);
	}
	if (done)
		*done = sent;
	return result;
}
