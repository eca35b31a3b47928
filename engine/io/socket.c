/* SPDX-License-Identifier: MIT */
#include "rota/socket.h"

#include "io/starved.h"
#include "rota/task.h"
#include "task/operation.h"

#include <errno.h>

int rota_socket(int domain, int type, int protocol)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_socket(entry, domain, type | SOCK_CLOEXEC, protocol, 0);
	return ri_verb_await(entry, __func__, -1);
}

static int accept_one(int listener)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, "rota_accept", 0);

	if (error)
		return error;
	io_uring_prep_accept(entry, listener, NULL, NULL, SOCK_CLOEXEC);
	return ri_verb_await(entry, "rota_accept", listener);
}

int rota_accept(int listener)
{
	for (;;) {
		const int fd = accept_one(listener);
		int error;

		switch (fd) {
		case -ECONNABORTED:
			break;
		case -EMFILE:
		case -ENFILE:
			error = ri_starved_wait(ri_tasks_here(), listener, fd);
			if (error)
				return error;
			break;
		default:
			return fd;
		}
	}
}

int rota_connect(int fd, const struct sockaddr *address, socklen_t bytes)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_connect(entry, fd, address, bytes);
	return ri_verb_await(entry, __func__, fd);
}

int rota_send(int fd, const void *buffer, size_t bytes, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, bytes);

	if (error)
		return error;
	io_uring_prep_send(entry, fd, buffer, bytes, flags | MSG_NOSIGNAL);
	return ri_verb_await(entry, __func__, fd);
}

int rota_recv(int fd, void *buffer, size_t bytes, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, bytes);

	if (error)
		return error;
	io_uring_prep_recv(entry, fd, buffer, bytes, flags);
	return ri_verb_await(entry, __func__, fd);
}

int rota_send_all(int fd, const void *buffer, size_t bytes, size_t *done)
{
	const char *start = buffer;
	size_t sent = 0;
	int n = rota_cancelled();

	while (!n && sent < bytes) {
		const size_t left = bytes - sent;

		n = rota_send(fd, start + sent, left > INT_MAX ? INT_MAX : left,
			      0);
		if (n <= 0)
			break;
		sent += (size_t)n;
		n = 0;
	}
	if (done)
		*done = sent;
	if (n < 0)
		return n;
	/* A send that takes nothing of something would never end. */
	return sent == bytes ? 0 : -EIO;
}

int rota_shutdown(int fd, int how)
{
	struct io_uring_sqe *entry = ri_release_begin(__func__);

	io_uring_prep_shutdown(entry, fd, how);
	return ri_release_await(entry, __func__, fd);
}

int rota_poll(int fd, unsigned events)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_poll_add(entry, fd, events);
	return ri_verb_await(entry, __func__, fd);
}
