/* SPDX-License-Identifier: MIT */
#include "rota/socket.h"

#include "task/operation.h"

int rota_socket(int domain, int type, int protocol)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, 0);

	if (error)
		return error;
	io_uring_prep_socket(entry, domain, type | SOCK_CLOEXEC, protocol, 0);
	return ri_verb_await(entry, __func__, -1);
}

int rota_bind(int fd, const struct sockaddr *address, socklen_t bytes)
{
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	kernel = ri_tasks_here()->loop.kernel;
	return kernel->bind(kernel, fd, address, bytes);
}

int rota_listen_on(int fd, int backlog)
{
	const struct ri_kernel *kernel;

	ri_task_self(__func__);
	kernel = ri_tasks_here()->loop.kernel;
	return kernel->listen(kernel, fd, backlog);
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

int rota_recv(int fd, void *buffer, size_t bytes, int flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, __func__, bytes);

	if (error)
		return error;
	io_uring_prep_recv(entry, fd, buffer, bytes, flags);
	return ri_verb_await(entry, __func__, fd);
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
