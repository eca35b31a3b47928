/* SPDX-License-Identifier: MIT */
/*
 * Captives of the kernel: an operation is in flight.
 */
#include "rota/rota.h"
#include "support/captive.h"
#include "support/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OP_WAITID 50 /* liburing 2.3 has neither */
#define OP_FUTEX_WAIT 51

static const char block[4096];

static int pair_of(struct captive *captive, int type)
{
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return -errno;
	captive->fd = pair[0];
	captive->peer = pair[1];
	return 0;
}

static int set_up_pair(struct captive *captive)
{
	return pair_of(captive, SOCK_STREAM);
}

static int set_up_datagrams(struct captive *captive)
{
	return pair_of(captive, SOCK_DGRAM);
}

/* No room for even a byte. */
static int fill(const struct captive *captive)
{
	const int least = 1;

	setsockopt(captive->fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	while (send(captive->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	while (send(captive->fd, block, 1, MSG_DONTWAIT) > 0)
		;
	return errno == EAGAIN ? 0 : -errno;
}

static int set_up_full_pair(struct captive *captive)
{
	const int error = set_up_pair(captive);

	return error ? error : fill(captive);
}

static int set_up_full_datagrams(struct captive *captive)
{
	const int error = set_up_datagrams(captive);

	return error ? error : fill(captive);
}

static int pipe_of(int *from, int *into)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	*from = ends[0];
	*into = ends[1];
	return 0;
}

static int set_up_pipe(struct captive *captive)
{
	return pipe_of(&captive->fd, &captive->peer);
}

static int set_up_full_pipe(struct captive *captive)
{
	const int error = pipe_of(&captive->peer, &captive->fd);
	const int flags = fcntl(captive->fd, F_GETFL);

	if (error)
		return error;
	fcntl(captive->fd, F_SETFL, flags | O_NONBLOCK);
	while (write(captive->fd, block, sizeof(block)) > 0)
		;
	fcntl(captive->fd, F_SETFL, flags);
	return 0;
}

static int set_up_pipes(struct captive *captive)
{
	const int error = set_up_pipe(captive);

	return error ? error : pipe_of(&captive->sink, &captive->out);
}

/* Something to read, and no room to write it. */
static int set_up_pipe_to_full_pair(struct captive *captive)
{
	int error = set_up_full_pair(captive);

	if (error)
		return error;
	captive->out = captive->fd;
	captive->sink = captive->peer;
	error = set_up_pipe(captive);
	if (!error && write(captive->peer, block, 1) != 1)
		error = -errno;
	return error;
}

/* In the abstract namespace: the kernel chooses a name. */
static int set_up_listener(struct captive *captive)
{
	const struct sockaddr_un name = { .sun_family = AF_UNIX };

	captive->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(captive->fd, (const struct sockaddr *)&name,
		 sizeof(sa_family_t)) ||
	    listen(captive->fd, 0))
		return -errno;
	return 0;
}

static int set_up_tcp_listener(struct captive *captive)
{
	const struct sockaddr_in name = { .sin_family = AF_INET,
					  .sin_addr.s_addr =
						  htonl(INADDR_LOOPBACK) };

	captive->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(captive->fd, (const struct sockaddr *)&name, sizeof(name)) ||
	    listen(captive->fd, 4))
		return -errno;
	return 0;
}

static socklen_t name_of(const struct captive *captive,
			 struct sockaddr_un *name)
{
	socklen_t bytes = sizeof(*name);

	memset(name, 0, sizeof(*name));
	if (getsockname(captive->fd, (struct sockaddr *)name, &bytes))
		return 0;
	return bytes;
}

/* It has room for one connection, which is there; `out` is for another. */
static int set_up_full_backlog(struct captive *captive)
{
	struct sockaddr_un name;
	int error = set_up_listener(captive);
	socklen_t bytes;

	if (error)
		return error;
	captive->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	captive->out = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bytes = name_of(captive, &name);
	if (connect(captive->peer, (struct sockaddr *)&name, bytes))
		error = -errno;
	return error;
}

static int set_up_fifo(struct captive *captive)
{
	snprintf(captive->path, sizeof(captive->path), "/tmp/rota-captive-%d",
		 (int)getpid());
	remove(captive->path);
	return mkfifo(captive->path, 0600) ? -errno : 0;
}

static int set_up_futex(struct captive *captive)
{
	(void)captive;
	return victim_has_operation(OP_FUTEX_WAIT, "futex") ? 0 : -ENOSYS;
}

static int set_up_child(struct captive *captive)
{
	if (!victim_has_operation(OP_WAITID, "waitid"))
		return -ENOSYS;
	captive->child = fork();
	if (captive->child < 0)
		return -errno;
	if (!captive->child)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!captive->child)
		pause();
	return 0;
}

static int call_recv(struct captive *captive)
{
	char bytes[8];

	return rota_recv(captive->fd, bytes, sizeof(bytes), 0);
}

static int call_recv_full(struct captive *captive)
{
	char bytes[8];

	return rota_recv_full(captive->fd, bytes, sizeof(bytes), NULL);
}

static int call_recvfrom(struct captive *captive)
{
	struct rota_address from;
	char bytes[8];

	return rota_recvfrom(captive->fd, bytes, sizeof(bytes), 0, &from);
}

static int call_recvmsg(struct captive *captive)
{
	char bytes[8];
	struct iovec piece = { bytes, sizeof(bytes) };
	struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	return rota_recvmsg(captive->fd, &message, 0);
}

static int call_await(struct captive *captive)
{
	struct io_uring_sqe entry;
	char bytes[8];

	io_uring_prep_recv(&entry, captive->fd, bytes, sizeof(bytes), 0);
	return rota_await(&entry);
}

static int call_poll(struct captive *captive)
{
	return rota_poll(captive->fd, POLLIN);
}

static int call_read(struct captive *captive)
{
	char bytes[8];

	return rota_read(captive->fd, bytes, sizeof(bytes));
}

static int call_readv(struct captive *captive)
{
	char bytes[8];
	const struct iovec piece = { bytes, sizeof(bytes) };

	return rota_readv(captive->fd, &piece, 1);
}

static int call_send(struct captive *captive)
{
	return rota_send(captive->fd, block, sizeof(block), 0);
}

static int call_send_zc(struct captive *captive)
{
	return rota_send_zc(captive->fd, block, sizeof(block), 0);
}

static int call_send_all(struct captive *captive)
{
	return rota_send_all(captive->fd, block, sizeof(block), NULL);
}

static struct iovec piece_of_block(void)
{
	return (struct iovec){ (void *)(uintptr_t)block, sizeof(block) };
}

static int call_sendv(struct captive *captive)
{
	const struct iovec piece = piece_of_block();

	return rota_sendv(captive->fd, &piece, 1, 0);
}

static int call_sendv_all(struct captive *captive)
{
	const struct iovec piece = piece_of_block();

	return rota_sendv_all(captive->fd, &piece, 1, NULL);
}

static int call_sendmsg(struct captive *captive)
{
	struct iovec piece = piece_of_block();
	const struct msghdr message = { .msg_iov = &piece, .msg_iovlen = 1 };

	return rota_sendmsg(captive->fd, &message, 0);
}

static int call_sendto(struct captive *captive)
{
	return rota_sendto(captive->fd, block, 1, 0, NULL);
}

static int call_write(struct captive *captive)
{
	return rota_write(captive->fd, block, sizeof(block));
}

static int call_writev(struct captive *captive)
{
	const struct iovec piece = piece_of_block();

	return rota_writev(captive->fd, &piece, 1);
}

static int call_splice(struct captive *captive)
{
	return rota_splice(captive->fd, -1, captive->out, -1, 8, 0);
}

static int call_accept(struct captive *captive)
{
	return rota_accept(captive->fd);
}

static int call_accept_from(struct captive *captive)
{
	struct rota_address from;

	return rota_accept_from(captive->fd, &from);
}

static int call_connect(struct captive *captive)
{
	struct sockaddr_un name;
	const socklen_t bytes = name_of(captive, &name);

	return rota_connect(captive->out, (struct sockaddr *)&name, bytes);
}

static int call_dial(struct captive *captive)
{
	struct sockaddr_un name;
	char address[sizeof(name) + 8];

	name_of(captive, &name);
	snprintf(address, sizeof(address), "unix:@%s", &name.sun_path[1]);
	return rota_dial(address, 0);
}

/* With O_CREAT a thread of the kernel waits for the other end. */
static int call_open(struct captive *captive)
{
	return rota_open(captive->path, O_RDONLY | O_CREAT, 0600);
}

static int call_futex(struct captive *captive)
{
	return rota_futex_wait(&captive->word, 0, 0);
}

static int call_waitid(struct captive *captive)
{
	siginfo_t report;

	return rota_waitid(P_PID, (id_t)captive->child, &report, WEXITED);
}

static int call_signals(struct captive *captive)
{
	struct rota_signals signals;
	int result = rota_signals_open(&signals, SIGUSR2);

	(void)captive;
	if (result)
		return result;
	result = rota_signals_wait(&signals, NULL);
	rota_signals_close(&signals);
	return result;
}

static int call_view(struct captive *captive)
{
	struct rota_stream stream;
	struct rota_view view;
	int result = rota_receive_stream_open(&stream, captive->fd, NULL);

	if (result)
		return result;
	result = rota_stream_view(&stream, &view);
	rota_stream_close(&stream);
	return result;
}

static int call_stream_accept(struct captive *captive)
{
	struct rota_stream stream;
	int result = rota_accept_stream_open(&stream, captive->fd, NULL);

	if (result)
		return result;
	result = rota_stream_accept(&stream);
	rota_stream_close(&stream);
	return result;
}

static int call_stream_poll(struct captive *captive)
{
	struct rota_stream stream;
	int result = rota_poll_stream_open(&stream, captive->fd, POLLIN);

	if (result)
		return result;
	result = rota_stream_poll(&stream);
	rota_stream_close(&stream);
	return result;
}

static int call_watch(struct captive *captive)
{
	struct rota_ready ready;
	struct rota_watch watch;
	int result = rota_watch_open(&watch);

	if (result)
		return result;
	result = rota_watch_set(&watch, captive->fd, POLLIN, NULL);
	if (!result)
		result = rota_watch_wait(&watch, ROTA_NEVER, &ready, 1);
	rota_watch_close(&watch);
	return result;
}

static int call_reader(struct captive *captive)
{
	struct rota_reader reader;
	struct rota_span line;
	char memory[64];

	rota_reader_init(&reader, captive->fd, memory, sizeof(memory));
	return rota_reader_line(&reader, &line);
}

static int call_writer(struct captive *captive)
{
	struct rota_writer writer;
	char memory[64];

	rota_writer_init(&writer, captive->fd, memory, sizeof(memory));
	rota_writer_print(&writer, "one line\n");
	return rota_writer_flush(&writer);
}

const struct captive_class captive_verbs[] = {
	{ "recv", "rota_recv", set_up_pair, call_recv },
	{ "recv_full", "rota_recv", set_up_pair, call_recv_full },
	{ "recvfrom", "rota_recvfrom", set_up_datagrams, call_recvfrom },
	{ "recvmsg", "rota_recvmsg", set_up_pair, call_recvmsg },
	{ "await", "rota_await", set_up_pair, call_await },
	{ "poll", "rota_poll", set_up_pair, call_poll },
	{ "read", "rota_read", set_up_pipe, call_read },
	{ "readv", "rota_readv", set_up_pipe, call_readv },
	{ "send", "rota_send", set_up_full_pair, call_send },
	{ "send_zc", "rota_send", set_up_full_pair, call_send_zc },
	{ "send_all", "rota_send", set_up_full_pair, call_send_all },
	{ "sendv", "rota_sendv", set_up_full_pair, call_sendv },
	{ "sendv_all", "rota_sendv", set_up_full_pair, call_sendv_all },
	{ "sendmsg", "rota_sendmsg", set_up_full_pair, call_sendmsg },
	{ "sendto", "rota_sendto", set_up_full_datagrams, call_sendto },
	{ "write", "rota_write", set_up_full_pipe, call_write },
	{ "writev", "rota_writev", set_up_full_pipe, call_writev },
	{ "splice", "rota_poll", set_up_pipes, call_splice },
	{ "splice_full", "rota_poll", set_up_pipe_to_full_pair, call_splice },
	{ "accept", "rota_accept", set_up_listener, call_accept },
	{ "accept_tcp", "rota_accept", set_up_tcp_listener, call_accept },
	{ "accept_from", "rota_accept", set_up_listener, call_accept_from },
	{ "connect", "rota_connect", set_up_full_backlog, call_connect },
	{ "dial", "rota_connect", set_up_full_backlog, call_dial },
	{ "open", "rota_open", set_up_fifo, call_open },
	{ "futex", "rota_futex_wait", set_up_futex, call_futex },
	{ "waitid", "rota_waitid", set_up_child, call_waitid },
	{ "signals", "rota_signals_wait", NULL, call_signals },
	{ "view", "rota_stream_view", set_up_pair, call_view },
	{ "stream_accept", "rota_stream_accept", set_up_listener,
	  call_stream_accept },
	{ "stream_poll", "rota_stream_poll", set_up_pair, call_stream_poll },
	{ "watch", "rota_watch_wait", set_up_pair, call_watch },
	{ "reader", "rota_recv", set_up_pair, call_reader },
	{ "writer", "rota_send", set_up_full_pair, call_writer },
};
const unsigned captive_verbs_count =
	sizeof(captive_verbs) / sizeof(captive_verbs[0]);
