// SPDX-License-Identifier: MIT
/*
 * What does it cost to wake everybody who waits on a descriptor by closing it?
 * Many tasks receive from one socket, among more that receive from others and
 * must not be in the way. The clock starts at rota_close; when it stops, the
 * last one of those that waited has resumed. Base: as many receives among as
 * many others on bare liburing, each cancelled by its id; without a close.
 */
#include <errno.h>
#include <rota/rota.h>

#include "bare_blocked.h"
#include "bare_ring.h"
#include "blocked.h"
#include "host.h"
#include "micro.h"

struct own {
	const struct micro_work *work;
	struct blocked others;
	uint64_t told; /* tasks to whom the close was */
	uint64_t start_ns;
	uint64_t last_ns;
};

static int look_on(void *value)
{
	return blocked_receive(value, -ECANCELED);
}

static int receive(void *value)
{
	const int result = blocked_receive(value, -EBADF);

	return result == -EBADF ? 0 : result;
}

/* With the group's members on a socket, which is closed. */
static int close_beneath(struct own *own, struct blocked *blocked,
			 struct quiet *socket)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	int error = blocked_start(blocked, &group, receive);

	own->start_ns = host_now_ns();
	socket->opened = 0; /* quiet_close need not close it */
	const int closed = rota_close(socket->fds[0]);
	const int result = rota_group_wait(&group);

	own->last_ns = blocked->last_ns;
	own->told = blocked->told;
	if (error == 0)
		error = closed < 0 ? closed : result;
	return error;
}

static int close_one(struct own *own)
{
	struct quiet socket;
	int error = quiet_open_one(&socket, own->work->ops);

	if (error < 0)
		return error;
	struct blocked blocked = { .sockets = &socket };

	error = close_beneath(own, &blocked, &socket);
	quiet_close(&socket);
	return error;
}

/* The first time, stacks are new: that is no part of the question. */
static int run_own(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	int error = blocked_start(&own->others, &group, look_on);

	if (error == 0)
		error = close_one(own);
	if (error == 0)
		error = close_one(own);
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	const int result = rota_group_wait(&group);

	if (error == 0 && result != -ECANCELED)
		error = result;
	return error;
}

int micro_close_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct quiet others;
	int error = quiet_open(&others, work->tasks);

	if (error < 0)
		return error;
	struct own own = { .work = work, .others.sockets = &others };

	error = rota_run(NULL, run_own, &own);
	*sample = micro_per_op(own.start_ns, own.last_ns, work->ops, own.told);
	quiet_close(&others);
	return error;
}

static int measure_bare(const struct micro_work *work,
			struct micro_sample *sample, const struct quiet *others)
{
	struct quiet socket;
	int error = quiet_open_one(&socket, work->ops);

	if (error < 0)
		return error;
	struct bare_blocked bare = {
		.sockets = &socket,
		.others = others,
		.entries = BARE_RING_ENTRIES,
	};

	error = bare_blocked_measure(&bare);
	*sample = micro_per_op(0, bare.elapsed_ns, work->ops, bare.cancelled);
	quiet_close(&socket);
	return error;
}

int micro_close_base(const struct micro_work *work, struct micro_sample *sample)
{
	struct quiet others;
	int error = quiet_open(&others, work->tasks);

	if (error < 0)
		return error;
	error = measure_bare(work, sample, &others);
	quiet_close(&others);
	return error;
}
