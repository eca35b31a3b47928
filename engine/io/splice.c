/* SPDX-License-Identifier: MIT */
/*
 * Moving bytes through a pipe. An operation that blocks holds one of the few
 * worker threads of the kernel. So both ends are waited for by polls, which
 * hold nothing; then comes a move that does not wait for a pipe. All along the
 * verb is listed under both descriptors.
 */
#include "rota/file.h"
#include "rota/socket.h"
#include "rota/task.h"
#include "task/operation.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* What a poll tells without being asked, and a move returns at once. */
#define POLL_ENDS ((unsigned)(POLLERR | POLLHUP | POLLNVAL))

/* How soon it is looked again at a socket that cannot be polled. */
#define LOOK_AGAIN_NS ((int64_t)10000000)

struct move {
	int fd_in;
	int64_t offset_in; /* -1: its position, or it is a pipe */
	int fd_out;
	int64_t offset_out; /* as offset_in */
	size_t bytes;       /* at most */
	unsigned flags;     /* SPLICE_F_ ... */
};

static int move_once(const struct move *move, unsigned flags)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, "rota_splice", move->bytes);

	if (error)
		return error;
	io_uring_prep_splice(entry, move->fd_in, move->offset_in, move->fd_out,
			     move->offset_out, (unsigned)move->bytes,
			     move->flags | flags);
	return ri_verb_await(entry, "rota_splice", move->fd_out);
}

/* Waits until one end is ready. 0 or -errno. A socket whose peer has shut down
 * its side makes every poll come back at once, room or not: a move would hold a
 * thread until there is some. */
static int poll_one(int fd, unsigned events)
{
	for (;;) {
		const int came = rota_poll(fd, events);
		int error = came < 0 ? came : ri_verb_again("rota_splice");

		if (error || (unsigned)came & (events | POLL_ENDS))
			return error;
		error = rota_sleep(LOOK_AGAIN_NS);
		if (!error)
			error = ri_verb_again("rota_splice");
		if (error)
			return error;
	}
}

static int move_when_ready(const struct move *move)
{
	for (;;) {
		int moved, error = poll_one(move->fd_in, POLLIN);

		if (!error)
			error = poll_one(move->fd_out, POLLOUT);
		if (error)
			return error;
		moved = move_once(move, SPLICE_F_NONBLOCK);
		if (moved != -EAGAIN)
			return moved;
		/* Others were faster, or came in between. */
		error = ri_verb_again("rota_splice");
		if (error)
			return error;
	}
}

int rota_splice(int fd_in, int64_t offset_in, int fd_out, int64_t offset_out,
		size_t bytes, unsigned flags)
{
	const struct move move = { fd_in,      offset_in, fd_out,
				   offset_out, bytes,     flags };

	struct ri_second in, out;
	int result;

	ri_second_begin(&in, __func__, fd_in);
	ri_second_begin(&out, __func__, fd_out);
	if (!bytes || bytes > INT_MAX || flags & SPLICE_F_NONBLOCK)
		result = move_once(&move, 0);
	else
		result = move_when_ready(&move);
	ri_second_end(&out);
	ri_second_end(&in);
	return result;
}
