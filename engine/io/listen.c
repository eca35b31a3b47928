/* SPDX-License-Identifier: MIT */
/*
 * Listening and dialling: several steps each, all or nothing. Bind, listen and
 * options are plain system calls that do not block: the ring of Linux 6.1 has
 * no operations for them.
 */
#include "io/address.h"
#include "rota/file.h"
#include "rota/socket.h"
#include "task/task.h"

#include <errno.h>
#include <netinet/tcp.h>

static const struct ri_kernel *kernel_here(void)
{
	return ri_tasks_here()->loop.kernel;
}

/* Reads an address and makes a stream socket of its family. */
static int open_socket(struct ri_address *parsed, const char *address,
		       uint16_t port)
{
	const int error = ri_address_parse(parsed, address, port);

	if (error)
		return error;
	return rota_socket(parsed->any.sa_family, SOCK_STREAM, 0);
}

/* The socket if its preparation went well, else it is closed. */
static int keep_or_close(int fd, int error)
{
	if (!error)
		return fd;
	rota_close(fd);
	return error;
}

/* Accepted connections inherit TCP_NODELAY from the listener (tcp(7)). */
static int prepare(int fd, const struct ri_address *address,
		   const struct rota_listen_options *options)
{
	const struct ri_kernel *kernel = kernel_here();
	const bool local = address->any.sa_family == AF_UNIX;
	const int backlog = options->backlog ? options->backlog : SOMAXCONN;
	int error = 0;

	if (!local)
		error = kernel->set_option(kernel, fd, SOL_SOCKET, SO_REUSEADDR,
					   1);
	if (!error && options->reuse_port)
		error = kernel->set_option(kernel, fd, SOL_SOCKET, SO_REUSEPORT,
					   1);
	if (!error && !local && !options->delay)
		error = kernel->set_option(kernel, fd, IPPROTO_TCP, TCP_NODELAY,
					   1);
	if (!error)
		error = kernel->bind(kernel, fd, &address->any, address->bytes);
	if (!error)
		error = kernel->listen(kernel, fd, backlog);
	return error;
}

int rota_listen(const char *address, uint16_t port,
		const struct rota_listen_options *options)
{
	static const struct rota_listen_options defaults;
	struct ri_address parsed;
	const int fd = open_socket(&parsed, address, port);

	if (fd < 0)
		return fd;
	return keep_or_close(fd, prepare(fd, &parsed,
					 options ? options : &defaults));
}

int rota_dial(const char *address, uint16_t port)
{
	const struct ri_kernel *kernel;
	struct ri_address parsed;
	const int fd = open_socket(&parsed, address, port);
	int error = 0;

	if (fd < 0)
		return fd;
	kernel = kernel_here();
	if (parsed.any.sa_family != AF_UNIX)
		error = kernel->set_option(kernel, fd, IPPROTO_TCP, TCP_NODELAY,
					   1);
	if (!error)
		error = rota_connect(fd, &parsed.any, parsed.bytes);
	return keep_or_close(fd, error);
}

int rota_local_name(int fd, char *name, size_t bytes)
{
	struct ri_address address = { .bytes = sizeof(struct sockaddr_un) };
	const struct ri_kernel *kernel;
	int error;

	ri_task_self("rota_local_name");
	kernel = kernel_here();
	error = kernel->local_address(kernel, fd, &address.any, &address.bytes);
	return error < 0 ? error : ri_address_print(&address, name, bytes);
}
