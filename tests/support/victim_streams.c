/* SPDX-License-Identifier: MIT */
/*
 * Victims that move bytes through sockets and pipes. A cancelled receive has
 * taken none; of a send each byte is either reported or not sent.
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/victim.h"
#include "task/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIPE_BYTES 4096

static int set_nonblocking(int fd)
{
	return fcntl(fd, F_SETFL, O_NONBLOCK) ? -errno : 0;
}

/* A listener of TCP on the loopback, which a socket is connected to. */
static int set_up_tcp(struct victim *victim)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr =
					       htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	const int type = SOCK_STREAM | SOCK_CLOEXEC, on = 1;
	const int listener = socket(AF_INET, type, 0);
	int error = 0;

	victim->socket = true;
	victim->peer = socket(AF_INET, type, 0);
	if (bind(listener, (struct sockaddr *)&address, bytes) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &bytes) ||
	    connect(victim->peer, (struct sockaddr *)&address, bytes))
		error = -errno;
	else
		victim->keeper = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	setsockopt(victim->peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	close(listener);
	return error;
}

/* The same end once more, which does not block. */
static int open_again(int fd, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int set_up_read(struct victim *victim)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	victim->keeper = ends[0];
	victim->peer = ends[1];
	victim->aside = open_again(ends[0], O_RDONLY);
	return victim->aside < 0 ? victim->aside : set_nonblocking(ends[1]);
}

static int set_up_write(struct victim *victim)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	victim->keeper = ends[1];
	victim->peer = ends[0];
	fcntl(victim->keeper, F_SETPIPE_SZ, PIPE_BYTES);
	victim->aside = open_again(ends[1], O_WRONLY);
	return victim->aside < 0 ? victim->aside : set_nonblocking(ends[0]);
}

static size_t some_bytes(struct victim *victim)
{
	static const size_t sizes[] = { 1, 7, 64, 512, 4096 };

	return sizes[victim_dice(victim, 5)];
}

static void give_portion(struct victim *victim)
{
	victim_give(victim, victim->peer, victim->portion);
}

/* For those who receive: mostly nothing is there yet. */
static int prepare_in(struct victim *victim)
{
	victim->bytes = some_bytes(victim);
	victim->portion = 1 + victim_dice(victim, 2) * some_bytes(victim);
	if (!victim_dice(victim, 5))
		give_portion(victim);
	return 0;
}

static int prepare_waitall(struct victim *victim)
{
	victim->flags = MSG_WAITALL;
	prepare_in(victim);
	victim->portion = 1 + victim_dice(victim, (unsigned)victim->bytes);
	return 0;
}

static int took(struct victim *victim, int result)
{
	if (result > 0)
		victim_take(victim, victim->buffer, (size_t)result);
	return result;
}

static int call_recv(struct victim *victim)
{
	return took(victim, rota_recv(victim->fd, victim->buffer, victim->bytes,
				      victim->flags));
}

static int call_await_recv(struct victim *victim)
{
	struct io_uring_sqe entry;

	io_uring_prep_recv(&entry, victim->fd, victim->buffer, victim->bytes,
			   0);
	return took(victim, rota_await(&entry));
}

/* A short deadline, and when that is over once more without one: what was
 * meant for the first must not meet the second. */
static int call_recv_again(struct victim *victim)
{
	const int64_t quarters = victim_dice(victim, 2);
	struct rota_deadline deadline;

	victim->done = quarters == 0;
	rota_deadline_begin(&deadline,
			    rota_after_ns(quarters * ROTA_SECOND / 4));
	victim->first = call_recv(victim);
	rota_deadline_end(&deadline);
	return call_recv(victim);
}

/* The first was refused at once (`done`), or both were asked for, or the
 * second was refused. */
static int expected_recv_again(const struct victim *victim,
			       const struct verdict *verdict)
{
	const int first = victim->first;
	const bool done = victim->done;

	referee_expect(victim->referee, "whether the first ended well",
		       first >= 0 || first == -ETIME || first == -ECANCELED ||
			       first == -ESHUTDOWN || first == -EBADF,
		       true);
	referee_expect(victim->referee, "whether a past deadline refuses",
		       done && first != -ETIME, false);
	return verdict->said == (done ? 1 : 2) ? verdict->last : verdict->code;
}

static int call_read(struct victim *victim)
{
	return took(victim,
		    rota_read(victim->fd, victim->buffer, victim->bytes));
}

static int call_poll(struct victim *victim)
{
	return rota_poll(victim->fd, POLLIN);
}

/* What was given is there: on its way through the network at most. */
static void drain_in(struct victim *victim, int fd)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };

	victim_drain(victim, fd);
	while (victim->class->traits & VICTIM_SLOW &&
	       victim->taken < victim->given && poll(&readable, 1, 1000) > 0)
		victim_drain(victim, fd);
}

static void check_in(struct victim *victim)
{
	drain_in(victim, victim->aside >= 0 ? victim->aside : victim->keeper);
	referee_expect(victim->referee, "bytes taken of those given",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

/* For those who send: mostly there is no room. */
static int prepare_out(struct victim *victim)
{
	const int own = victim->aside >= 0 ? victim->aside : victim->keeper;

	victim->bytes = some_bytes(victim) * (victim_dice(victim, 2) ? 1 : 4);
	victim->portion = victim_dice(victim, 3) ? SIZE_MAX : 2048;
	if (victim_dice(victim, 4))
		while (victim_give(victim, own, 2048))
			;
	return 0;
}

static int prepare_out_waitall(struct victim *victim)
{
	victim->flags = MSG_WAITALL;
	return prepare_out(victim);
}

static int gave(struct victim *victim, int result)
{
	if (result > 0)
		victim->given += (unsigned)result;
	return result;
}

static int call_send(struct victim *victim)
{
	victim_fill(victim, victim->buffer, victim->bytes);
	return gave(victim, rota_send(victim->fd, victim->buffer, victim->bytes,
				      victim->flags));
}

/* Over TCP, to a peer that does not take much. */
static int set_up_lent(struct victim *victim)
{
	int pair[2], error;

	if (!victim_has_operation(IORING_OP_SEND_ZC, "send_zc"))
		return -ENOSYS;
	error = test_pair_open_tcp(pair, PIPE_BYTES);
	victim->socket = true;
	victim->keeper = pair[1];
	victim->peer = pair[0];
	return error;
}

/* Within this machine all is copied: mostly that is not known yet. */
static int prepare_lent(struct victim *victim)
{
	if (victim_dice(victim, 8))
		*ri_operation_copied(ri_tasks_here(), victim->fd) = 0;
	return prepare_out(victim);
}

static int call_send_zc(struct victim *victim)
{
	victim_fill(victim, victim->buffer, victim->bytes);
	return gave(victim,
		    rota_send_zc(victim->fd, victim->buffer, victim->bytes, 0));
}

static int call_write(struct victim *victim)
{
	victim_fill(victim, victim->buffer, victim->bytes);
	return gave(victim,
		    rota_write(victim->fd, victim->buffer, victim->bytes));
}

static int call_send_all(struct victim *victim)
{
	int error;

	victim_fill(victim, victim->buffer, victim->bytes);
	error = rota_send_all(victim->fd, victim->buffer, victim->bytes,
			      &victim->done);
	gave(victim, (int)victim->done);
	return error;
}

static int call_sendv_all(struct victim *victim)
{
	const size_t first = victim->bytes / 3;
	const struct iovec pieces[] = { { victim->buffer, first },
					{ NULL, 0 },
					{ victim->buffer + first, first },
					{ victim->buffer + 2 * first,
					  victim->bytes - 2 * first } };
	int error;

	victim_fill(victim, victim->buffer, victim->bytes);
	error = rota_sendv_all(victim->fd, pieces, 4, &victim->done);
	gave(victim, (int)victim->done);
	return error;
}

static int expected_of_all(const struct victim *victim,
			   const struct verdict *verdict)
{
	referee_expect(victim->referee, "bytes of all steps",
		       (int64_t)victim->done, verdict->sum);
	return victim_expected_of_steps(victim, verdict);
}

static int call_recv_full(struct victim *victim)
{
	const int error = rota_recv_full(victim->fd, victim->buffer,
					 victim->bytes, &victim->done);

	took(victim, (int)victim->done);
	return error;
}

static int call_readv(struct victim *victim)
{
	const size_t first = victim->bytes / 3;
	const struct iovec pieces[] = { { victim->buffer, first },
					{ victim->buffer + first,
					  victim->bytes - first } };

	return took(victim, rota_readv(victim->fd, pieces, 2));
}

static int call_writev(struct victim *victim)
{
	const size_t first = victim->bytes / 3;
	const struct iovec pieces[] = { { victim->buffer, first },
					{ victim->buffer + first,
					  victim->bytes - first } };

	victim_fill(victim, victim->buffer, victim->bytes);
	return gave(victim, rota_writev(victim->fd, pieces, 2));
}

static void take_portion(struct victim *victim)
{
	unsigned char bytes[2048];
	ssize_t n;

	if (victim->portion == SIZE_MAX) {
		victim_drain(victim, victim->peer);
		return;
	}
	n = victim->socket
		    ? recv(victim->peer, bytes, sizeof(bytes), MSG_DONTWAIT)
		    : read(victim->peer, bytes, sizeof(bytes));
	if (n > 0)
		victim_take(victim, bytes, (size_t)n);
}

static void check_out(struct victim *victim)
{
	drain_in(victim, victim->peer);
	referee_expect(victim->referee, "bytes sent of those reported",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

#define IN(verb, open, prepares)                                 \
	.set_up = (open), .prepare = (prepares), .call = (verb), \
	.complete = give_portion, .check = check_in
#define OUT(verb, open, prepares)                                \
	.set_up = (open), .prepare = (prepares), .call = (verb), \
	.complete = take_portion, .check = check_out

const struct victim_class victim_streams[] = {
	{ "read", IN(call_read, set_up_read, prepare_in) },
	{ "readv", IN(call_readv, set_up_read, prepare_in) },
	{ "recv", IN(call_recv, victim_set_up_stream, prepare_in) },
	{ "recv_waitall",
	  IN(call_recv, victim_set_up_stream, prepare_waitall) },
	{ "recv_full", VICTIM_MANY,
	  IN(call_recv_full, victim_set_up_stream, prepare_in),
	  .expected = expected_of_all },
	{ "recv_again", VICTIM_MANY,
	  IN(call_recv_again, victim_set_up_stream, prepare_in),
	  .expected = expected_recv_again },
	{ "recv_tcp", VICTIM_SLOW, IN(call_recv, set_up_tcp, prepare_in) },
	{ "await_recv", IN(call_await_recv, victim_set_up_stream, prepare_in) },
	{ "poll", IN(call_poll, victim_set_up_stream, prepare_in) },
	{ "write", OUT(call_write, set_up_write, prepare_out) },
	{ "writev", OUT(call_writev, set_up_write, prepare_out) },
	{ "send", OUT(call_send, victim_set_up_stream, prepare_out) },
	{ "send_waitall",
	  OUT(call_send, victim_set_up_stream, prepare_out_waitall) },
	{ "send_zc", VICTIM_SLOW | VICTIM_LENT,
	  OUT(call_send_zc, set_up_lent, prepare_lent) },
	{ "send_all", VICTIM_MANY,
	  OUT(call_send_all, victim_set_up_stream, prepare_out),
	  .expected = expected_of_all },
	{ "sendv_all", VICTIM_MANY,
	  OUT(call_sendv_all, victim_set_up_stream, prepare_out),
	  .expected = expected_of_all },
};
const unsigned victim_streams_count =
	sizeof(victim_streams) / sizeof(victim_streams[0]);
