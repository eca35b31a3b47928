/* SPDX-License-Identifier: MIT */
/*
 * All of it, in as many steps as it takes.
 */
#include "rota/socket.h"
#include "rota/task.h"
#include "task/operation.h"

#include <errno.h>

struct transfer {
	int fd;
	char *start;  /* of all the bytes */
	size_t bytes; /* how many there are */
	size_t *done; /* NULL, or where to tell how many were moved */
};

/* Moves some: how many, or -errno. */
typedef int step_fn(int fd, char *start, size_t bytes);

/* 0, -errno, or `nothing` when a step moved no byte: it would never end. */
static inline __attribute__((always_inline)) int
transfer(const struct transfer *all, step_fn *step, int nothing)
{
	size_t done = 0;
	int result = rota_cancelled();

	while (!result && done < all->bytes) {
		const size_t left = all->bytes - done;
		const int moved = step(all->fd, all->start + done,
				       left > INT_MAX ? INT_MAX : left);

		if (moved <= 0) {
			result = moved ? moved : nothing;
			break;
		}
		done += (size_t)moved;
		if (done < all->bytes)
			result = ri_verb_again("a transfer");
	}
	if (all->done)
		*all->done = done;
	return result;
}

static int send_some(int fd, char *start, size_t bytes)
{
	return rota_send(fd, start, bytes, 0);
}

int rota_send_all(int fd, const void *buffer, size_t bytes, size_t *done)
{
	return transfer(&(struct transfer){ fd, (char *)buffer, bytes, done },
			send_some, -EIO);
}

/* One step is mostly enough: the kernel comes back when all is there, and
 * tells what it has when it is stopped before. */
static int receive_some(int fd, char *start, size_t bytes)
{
	return rota_recv(fd, start, bytes, MSG_WAITALL);
}

int rota_recv_full(int fd, void *buffer, size_t bytes, size_t *done)
{
	return transfer(&(struct transfer){ fd, buffer, bytes, done },
			receive_some, -ENODATA);
}
