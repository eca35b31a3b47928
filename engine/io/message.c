/* SPDX-License-Identifier: MIT */
/*
 * Messages: with an address, in several pieces, with descriptors beside the
 * bytes.
 */
#include "rota/socket.h"
#include "task/operation.h"

static inline __attribute__((always_inline)) int
send_message(const char *verb, int fd, const struct msghdr *message, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_sendmsg(entry, fd, message,
			      (unsigned)flags | MSG_NOSIGNAL);
	return ri_verb_await(entry, verb, fd);
}

static inline __attribute__((always_inline)) int
receive_message(const char *verb, int fd, struct msghdr *message, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, verb, 0);

	if (error)
		return error;
	io_uring_prep_recvmsg(entry, fd, message,
			      (unsigned)flags | MSG_CMSG_CLOEXEC);
	return ri_verb_await(entry, verb, fd);
}

int rota_sendmsg(int fd, const struct msghdr *message, int flags)
{
	return send_message(__func__, fd, message, flags);
}

int rota_recvmsg(int fd, struct msghdr *message, int flags)
{
	return receive_message(__func__, fd, message, flags);
}

int rota_sendto(int fd, const void *buffer, size_t bytes, int flags,
		const struct rota_address *to)
{
	struct iovec piece = { (void *)buffer, bytes };
	struct msghdr message = {
		.msg_name = to ? (void *)&to->any : NULL,
		.msg_namelen = to ? to->bytes : 0,
		.msg_iov = &piece,
		.msg_iovlen = 1,
	};

	ri_task_self(__func__);
	if (bytes > INT_MAX)
		return -EINVAL;
	return send_message(__func__, fd, &message, flags);
}

int rota_recvfrom(int fd, void *buffer, size_t bytes, int flags,
		  struct rota_address *from)
{
	struct iovec piece = { buffer, bytes };
	struct msghdr message = {
		.msg_name = from ? &from->any : NULL,
		.msg_namelen = from ? sizeof(from->storage) : 0,
		.msg_iov = &piece,
		.msg_iovlen = 1,
	};
	int result;

	ri_task_self(__func__);
	if (bytes > INT_MAX)
		return -EINVAL;
	result = receive_message(__func__, fd, &message, flags);
	if (from)
		from->bytes = result < 0 ? 0 : message.msg_namelen;
	return result;
}
