/* SPDX-License-Identifier: MIT */
/*
 * Sockets. Each verb is the system call of its name as a suspending operation:
 * the manual page (section 2) tells what it returns and which -errno mean
 * what.
 *
 * For every verb, unless it says otherwise: it suspends; tasks only; in a
 * cancelled task it returns -ECANCELED or -ETIME at once, without having
 * begun; a cancel that comes later stops it if the kernel still can, else its
 * result is returned, which is never lost. The buffer is the kernel's until it
 * returns. Lengths over INT_MAX are -EINVAL. Descriptors are made with
 * SOCK_CLOEXEC, and are best left blocking: one with O_NONBLOCK makes the
 * kernel answer -EAGAIN where rota would wait. rota_close is in file.h.
 */
#ifndef ROTA_SOCKET_H
#define ROTA_SOCKET_H

#include "rota/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

struct rota_listen_options {
	int backlog;     /* 0: SOMAXCONN */
	bool reuse_port; /* SO_REUSEPORT */
	bool delay;      /* leave Nagle's algorithm on: without it, connections
	                    are accepted with TCP_NODELAY */
};

/* A listening TCP or Unix socket, close-on-exec.
 *
 * `address`: a literal IPv4 or IPv6 address ("127.0.0.1", "::1", also in
 * brackets), or "unix:PATH" (the port is ignored then, the path is not
 * removed); names are not looked up. Port 0: the kernel takes a free one.
 * `options` may be NULL. SO_REUSEADDR is set.
 *
 * -EINVAL: an address that is none of these, a path that is empty or over 107
 * bytes. Else what socket(2), bind(2) or listen(2) say: -EADDRINUSE,
 * -EADDRNOTAVAIL, -EACCES. Nothing is left open on an error. */
int rota_listen(const char *address, uint16_t port,
		const struct rota_listen_options *options)
	__attribute__((warn_unused_result));

/* A connected TCP (with TCP_NODELAY) or Unix stream socket to an address as in
 * rota_listen. -EINVAL as there; else what connect(2) says: -ECONNREFUSED,
 * -ENETUNREACH, -ETIMEDOUT. A connect that is cancelled half-way has its
 * socket closed. */
int rota_dial(const char *address, uint16_t port)
	__attribute__((warn_unused_result));

/* The local address of a socket as text: "127.0.0.1:7777", "[::1]:7777",
 * "unix:PATH". Returns its length; -ENOSPC if it does not fit into `bytes`
 * with its end, -EAFNOSUPPORT for other families, else what getsockname(2)
 * says. Does not suspend. Tasks only. */
int rota_local_name(int fd, char *name, size_t bytes)
	__attribute__((warn_unused_result));

/* accept4(2): the next connection. Connections that went away before they were
 * accepted (ECONNABORTED) are passed over. While the process or the system has
 * no descriptor left (EMFILE, ENFILE) it waits for one, looking again whenever
 * this loop closes one and every 10 ms, with one line to the log a second at
 * most. -EINVAL: not listening, or shut down. A connection that was accepted
 * is returned, also after a cancel. */
int rota_accept(int listener) __attribute__((warn_unused_result));

/* socket(2). */
int rota_socket(int domain, int type, int protocol)
	__attribute__((warn_unused_result));

/* connect(2). After a cancel the socket is half-way and good for nothing but
 * rota_close. */
int rota_connect(int fd, const struct sockaddr *address, socklen_t bytes)
	__attribute__((warn_unused_result));

/* send(2), always with MSG_NOSIGNAL: bytes sent, which may be fewer. A cancel
 * that comes when some are sent returns how many. */
int rota_send(int fd, const void *buffer, size_t bytes, int flags)
	__attribute__((warn_unused_result));

/* recv(2): bytes received, 0 when the peer has shut down its side. A cancelled
 * receive has taken no byte. */
int rota_recv(int fd, void *buffer, size_t bytes, int flags)
	__attribute__((warn_unused_result));

/* Sends all of it, in as many sends as it takes. 0, or -errno; *done (may be
 * NULL) tells in either case how many bytes were sent. Any length. */
int rota_send_all(int fd, const void *buffer, size_t bytes, size_t *done)
	__attribute__((warn_unused_result));

/* shutdown(2), at once. A release verb: never refused, never cancelled. */
int rota_shutdown(int fd, int how);

/* Waits until the descriptor is ready: poll(2) for one. `events` is POLLIN,
 * POLLOUT, ...; returns those that came. POLLERR, POLLHUP and, other than with
 * poll(2), POLLRDHUP come without being asked for. */
int rota_poll(int fd, unsigned events) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
