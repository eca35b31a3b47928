// SPDX-License-Identifier: MIT
/* Tasks that are blocked in the kernel, see blocked.h. */
#include <liburing.h>

#include "blocked.h"
#include "host.h"

#define BUFFER_BYTES 64

static int await_nop(void)
{
	struct io_uring_sqe entry;

	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

/* A NOP that stands behind all receives in the queue comes back when they are
 * in the kernel. */
int blocked_start(struct blocked *blocked, struct rota_group *group,
		  rota_task_fn *fn)
{
	const struct quiet *sockets = blocked->sockets;

	blocked->receiving = 0;
	blocked->resumed = 0;
	blocked->told = 0;
	for (unsigned index = 0; index < sockets->count; index++) {
		const struct blocked_member member = { blocked,
						       sockets->fds[index] };
		const int error = rota_go(group, fn, member);

		if (error < 0)
			return error;
	}
	while (blocked->receiving < sockets->count) {
		const int error = rota_yield();

		if (error < 0)
			return error;
	}
	return await_nop();
}

int blocked_receive(const struct blocked_member *member, int expected)
{
	struct blocked *all = member->all;
	char buffer[BUFFER_BYTES];

	all->receiving++;
	const int result = rota_recv(member->fd, buffer, sizeof(buffer), 0);

	all->told += result == expected;
	if (++all->resumed == all->sockets->count)
		all->last_ns = host_now_ns();
	return result;
}
