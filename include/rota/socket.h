/* SPDX-License-Identifier: MIT */
/*
 * Sockets. Each verb is the system call of its name as a suspending operation:
 * the manual page (section 2) tells what it returns and which -errno mean
 * what.
 *
 * For every verb, unless it says otherwise: it suspends; tasks only. The
 * memory that it is given is the kernel's until it returns; a NULL where
 * something is needed is -EFAULT. Lengths over INT_MAX are -EINVAL.
 * Descriptors are made with SOCK_CLOEXEC, and are best left blocking: one with
 * O_NONBLOCK makes the kernel answer -EAGAIN where rota would wait.
 *
 * Cancels: in a cancelled task a verb returns -ECANCELED or -ETIME at once, or
 * -ESHUTDOWN if it is idle while a group drains (idle.h), without having begun.
 * A cancel that comes later stops it if the kernel still can; otherwise its
 * result is returned, which is never lost. So a connection that was accepted,
 * and bytes that were received or sent, are told of also after a cancel.
 *
 * Closes: a rota_close (file.h) of the descriptor by another task of the loop
 * is a cancel of what waits on it, with -EBADF.
 *
 * The verbs that never suspend (bind, listen, options, names) are for tasks
 * only too, and are not refused in a cancelled one.
 */
#ifndef ROTA_SOCKET_H
#define ROTA_SOCKET_H

#include "rota/address.h"
#include "rota/file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Zero means the default for each field. */
struct rota_listen_options {
	int backlog;     /* 0: SOMAXCONN */
	bool reuse_port; /* SO_REUSEPORT */
	bool delay;      /* leave Nagle's algorithm on: without it, connections
	                    are accepted with TCP_NODELAY */
};

/* A listening TCP or Unix socket, close-on-exec.
 *
 * `address` is one that rota_address_parse reads: "127.0.0.1", "::1",
 * "unix:PATH", ... The file of a Unix socket is not removed. Port 0: the
 * kernel takes a free one. `options` may be NULL. SO_REUSEADDR is set.
 *
 * -EINVAL, -ENODEV as rota_address_parse says. Else what socket(2), bind(2) or
 * listen(2) say: -EADDRINUSE, -EADDRNOTAVAIL, -EACCES. Nothing is left open on
 * an error, or after a cancel. */
int rota_listen(const char *address, uint16_t port,
		const struct rota_listen_options *options)
	__attribute__((warn_unused_result));

/* A connected TCP (with TCP_NODELAY) or Unix stream socket to an address as in
 * rota_listen, or to a host by its name. -ENODEV as there; -EINVAL: neither an
 * address nor a name; else what connect(2) says: -ECONNREFUSED, -ENETUNREACH,
 * -ETIMEDOUT. A connect that is cancelled half-way has its socket closed.
 *
 * A name is looked up by rota_resolve, whose errors are returned (resolve.h);
 * a cancel ends that at once. If it has several addresses they are raced, as
 * RFC 8305 asks: the first 16, the two families in turn, a new one every 250 ms
 * and whenever one has failed. The first that connects is returned, the others
 * are closed; if none does, the error of the last that failed. Each is tried by
 * a task: -EAGAIN if the engine has no room for one, unless one that has begun
 * connects. */
int rota_dial(const char *host, uint16_t port)
	__attribute__((warn_unused_result));

/* A UDP or Unix datagram socket that is bound to an address as in rota_listen,
 * for rota_recvfrom and rota_sendto. Of the options only reuse_port counts;
 * they may be NULL. Errors as there. */
int rota_listen_datagram(const char *address, uint16_t port,
			 const struct rota_listen_options *options)
	__attribute__((warn_unused_result));

/* A UDP or Unix datagram socket that is connected to an address, for rota_send
 * and rota_recv. (A Unix one has no name of its own that could be answered
 * to.) Errors as in rota_dial; names are not looked up. */
int rota_dial_datagram(const char *address, uint16_t port)
	__attribute__((warn_unused_result));

/* getsockname(2): the address of a socket. 0; on an error (-ENOTSOCK, -EBADF)
 * its `bytes` are 0. Also in a cancelled task. Never suspends. */
int rota_local_address(int fd, struct rota_address *address)
	__attribute__((warn_unused_result));

/* getpeername(2): the address that a socket is connected to, as above;
 * -ENOTCONN if it is to none. Never suspends. */
int rota_peer_address(int fd, struct rota_address *address)
	__attribute__((warn_unused_result));

/* accept4(2): the next connection. Connections that went away before they were
 * accepted, or whose network failed, are passed over, as accept(2) advises:
 * -ECONNABORTED, -ENETDOWN, -EPROTO, -ENOPROTOOPT, -EHOSTDOWN, -ENONET,
 * -EHOSTUNREACH, -ENETUNREACH are never returned. While the process or the
 * system has no descriptor left (EMFILE, ENFILE) or no memory for a socket
 * (ENOMEM, ENOBUFS) it waits, looking again whenever this loop closes a
 * descriptor and every 10 ms, with one line to the log a second at most.
 * -EINVAL: not listening, or shut down.
 *
 * A cancel ends either wait; a connection that was accepted is returned, also
 * after a cancel. */
int rota_accept(int listener) __attribute__((warn_unused_result));

/* The same, and where it comes from, into *from (may be NULL); on an error its
 * `bytes` are 0. */
int rota_accept_from(int listener, struct rota_address *from)
	__attribute__((warn_unused_result));

/* socket(2). Over at once: no cancel meets it half-way. */
int rota_socket(int domain, int type, int protocol)
	__attribute__((warn_unused_result));

/* bind(2): gives a socket an address. 0 or -errno. Never suspends. */
int rota_bind(int fd, const struct sockaddr *address, socklen_t bytes)
	__attribute__((warn_unused_result));

/* listen(2): a bound socket accepts from now on. 0 or -errno. Never suspends. */
int rota_listen_on(int fd, int backlog) __attribute__((warn_unused_result));

/* connect(2). After a cancel the socket is half-way and good for nothing but
 * rota_close. */
int rota_connect(int fd, const struct sockaddr *address, socklen_t bytes)
	__attribute__((warn_unused_result));

/* send(2), always with MSG_NOSIGNAL: bytes sent, which may be fewer (with
 * MSG_WAITALL: only after a cancel, a close or an error). A cancel that comes
 * when some are sent returns how many; after -ECANCELED none are.
 *
 * While it waits for a peer that has shut down its own side and does not read,
 * it holds one of the 16 worker threads that the kernel has for such waits
 * (elsewhere it holds none): give sends a deadline. */
int rota_send(int fd, const void *buffer, size_t bytes, int flags)
	__attribute__((warn_unused_result));

/* rota_send without a copy: the network card reads the caller's memory. Returns
 * what rota_send returns, but only when the kernel has given the memory back:
 * over TCP that is when the peer has acknowledged all of it, so each call takes
 * a round trip at least. It pays for 32 KiB and more a call, through a real
 * network card, where the processor is what is short. Never within one machine:
 * there the kernel copies all the same, and a call takes longer (by a fifth at
 * 256 KiB, by a half at 64 KiB, four times as long at 4 KiB).
 *
 * Where it cannot be done it is a plain send, by itself: on sockets that have
 * no such thing (Unix), and when the memory that may be locked
 * (RLIMIT_MEMLOCK) does not suffice for what is on its way. From the fourth
 * call in a row of which the kernel says that it copied (Linux 6.2 and later)
 * or had no such memory, until rota_close closes the descriptor, all calls are
 * plain sends.
 *
 * A cancel, a deadline or a rota_close by another task ends it as rota_send as
 * long as nothing is sent. After that it waits for the memory all the same, and
 * returns how much was sent. A peer that takes nothing more can make that long:
 * TCP_USER_TIMEOUT bounds it, and a rota_close with SO_LINGER on and 0 seconds
 * ends it at once; a shutdown does not, nor does any other close. */
int rota_send_zc(int fd, const void *buffer, size_t bytes, int flags)
	__attribute__((warn_unused_result));

/* recv(2): bytes received, 0 when the peer has shut down its side. A cancelled
 * receive has taken no byte; with MSG_WAITALL, one that has some returns how
 * many. */
int rota_recv(int fd, void *buffer, size_t bytes, int flags)
	__attribute__((warn_unused_result));

/* Sends all of it, in as many sends as it takes. 0, or -errno; *done (may be
 * NULL) tells in either case how many bytes were sent, also after a cancel or
 * a close. Any length. */
int rota_send_all(int fd, const void *buffer, size_t bytes, size_t *done)
	__attribute__((warn_unused_result));

/* Receives all of it, from a stream. 0, or -errno; *done (may be NULL) tells in
 * either case how many bytes have come, also after a cancel or a close: they
 * are in the buffer. -ENODATA: the peer shut down its side before, or the
 * connection was reset after some had come. Any length. */
int rota_recv_full(int fd, void *buffer, size_t bytes, size_t *done)
	__attribute__((warn_unused_result));

/* rota_send from several pieces, in order, as one sendmsg(2): bytes sent, which
 * may be fewer, and end in the middle of a piece. A count below 0 is -EINVAL,
 * one over 1024 -EMSGSIZE; no piece is no byte. The list of pieces, too, is the
 * kernel's until it returns. */
int rota_sendv(int fd, const struct iovec *pieces, int count, int flags)
	__attribute__((warn_unused_result));

/* Sends all of several pieces, in as many sends as it takes. 0, or -errno;
 * *done (may be NULL) tells in either case how many bytes were sent, also after
 * a cancel or a close. Any number of pieces, of any length; they stay as they
 * are. A count below 0 is -EINVAL. */
int rota_sendv_all(int fd, const struct iovec *pieces, int count, size_t *done)
	__attribute__((warn_unused_result));

/* sendmsg(2), always with MSG_NOSIGNAL: bytes sent. Cancels as in rota_send.
 * The message, and all that it points to, is the kernel's until it returns;
 * more than 1024 pieces are -EMSGSIZE. */
int rota_sendmsg(int fd, const struct msghdr *message, int flags)
	__attribute__((warn_unused_result));

/* recvmsg(2), always with MSG_CMSG_CLOEXEC: descriptors that were passed are
 * close-on-exec. Cancels as in rota_recv: after -ECANCELED nothing was taken,
 * neither bytes nor descriptors. */
int rota_recvmsg(int fd, struct msghdr *message, int flags)
	__attribute__((warn_unused_result));

/* sendto(2): a datagram to an address; NULL: the one that the socket is
 * connected to. Cancels as in rota_send. */
int rota_sendto(int fd, const void *buffer, size_t bytes, int flags,
		const struct rota_address *to)
	__attribute__((warn_unused_result));

/* recvfrom(2): a datagram, and where it comes from, into *from (may be NULL),
 * whose `bytes` are 0 where no peer is told: on an error, on a connected
 * stream. A datagram that is longer than the buffer loses the rest; with
 * MSG_TRUNC its whole length is returned. Cancels as in rota_recv. */
int rota_recvfrom(int fd, void *buffer, size_t bytes, int flags,
		  struct rota_address *from)
	__attribute__((warn_unused_result));

/* setsockopt(2): 0 or -errno. Never suspends. */
int rota_setsockopt(int fd, int level, int name, const void *value,
		    socklen_t bytes) __attribute__((warn_unused_result));

/* getsockopt(2): *bytes is the room in *value, and becomes how much of it
 * counts. 0 or -errno. Never suspends. */
int rota_getsockopt(int fd, int level, int name, void *value, socklen_t *bytes)
	__attribute__((warn_unused_result));

/* shutdown(2), at once. A release verb: never refused, never cancelled. */
int rota_shutdown(int fd, int how);

/* Waits until the descriptor, of any kind, is ready: poll(2) for one. `events`
 * is POLLIN, POLLOUT, ...; returns those that came. POLLERR, POLLHUP and, other
 * than with poll(2), POLLRDHUP come without being asked for. A cancel ends the
 * wait. */
int rota_poll(int fd, unsigned events) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
