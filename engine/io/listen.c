/* SPDX-License-Identifier: MIT */
/*
 * Listening: several steps, all or nothing. Bind, listen and options are plain
 * system calls that do not block: the ring of Linux 6.1 has no operations for
 * them.
 */
#include "rota/file.h"
#include "rota/socket.h"
#include "task/task.h"

#include <errno.h>
#include <netinet/tcp.h>

/* Reads an address and makes a socket of its family. */
static int open_socket(struct rota_address *parsed, const char *address,
		       uint16_t port, int type)
{
	const int error = rota_address_parse(parsed, address, port);

	if (error)
		return error;
	return rota_socket(parsed->any.sa_family, type, 0);
}

/* The socket if its preparation went well, else it is closed. */
static int keep_or_close(int fd, int error)
{
	if (!error)
		return fd;
	rota_close(fd);
	return error;
}

static int set_flag(int fd, int level, int name)
{
	const int on = 1;

	return rota_setsockopt(fd, level, name, &on, sizeof(on));
}

static int bind_to(int fd, const struct rota_address *address,
		   const struct rota_listen_options *options)
{
	int error = 0;

	if (options && options->reuse_port)
		error = set_flag(fd, SOL_SOCKET, SO_REUSEPORT);
	if (!error)
		error = rota_bind(fd, &address->any, address->bytes);
	return error;
}

/* Accepted connections inherit TCP_NODELAY from the listener (tcp(7)). */
static int prepare(int fd, const struct rota_address *address,
		   const struct rota_listen_options *options)
{
	const bool local = address->any.sa_family == AF_UNIX;
	const bool delay = options && options->delay;
	const int backlog = options && options->backlog ? options->backlog
							: SOMAXCONN;
	int error = 0;

	if (!local)
		error = set_flag(fd, SOL_SOCKET, SO_REUSEADDR);
	if (!error && !local && !delay)
		error = set_flag(fd, IPPROTO_TCP, TCP_NODELAY);
	if (!error)
		error = bind_to(fd, address, options);
	if (!error)
		error = rota_listen_on(fd, backlog);
	return error;
}

int rota_listen(const char *address, uint16_t port,
		const struct rota_listen_options *options)
{
	struct rota_address parsed;
	const int fd = open_socket(&parsed, address, port, SOCK_STREAM);

	if (fd < 0)
		return fd;
	return keep_or_close(fd, prepare(fd, &parsed, options));
}

int rota_listen_datagram(const char *address, uint16_t port,
			 const struct rota_listen_options *options)
{
	struct rota_address parsed;
	const int fd = open_socket(&parsed, address, port, SOCK_DGRAM);

	if (fd < 0)
		return fd;
	return keep_or_close(fd, bind_to(fd, &parsed, options));
}
