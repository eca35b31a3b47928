// SPDX-License-Identifier: MIT
/*
 * How long does it take to cancel a group whose members all wait in the
 * kernel? Each receives from a datagram socket of its own to which nobody
 * sends. When the clock starts, all receives are in the kernel; when it stops,
 * every member has been told, has returned, and the group was waited for.
 * Base: as many receives on bare liburing, each cancelled by its id.
 */
#include <errno.h>
#include <rota/rota.h>

#include "bare_blocked.h"
#include "bare_ring.h"
#include "blocked.h"
#include "host.h"
#include "micro.h"

struct own {
	struct blocked blocked;
	uint64_t elapsed_ns;
};

static int receive(void *value)
{
	return blocked_receive(value, -ECANCELED);
}

static int run_group(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	const int error = blocked_start(&own->blocked, &group, receive);
	const uint64_t start_ns = host_now_ns();

	rota_group_cancel(&group,
			  (struct rota_cancellation){ -ECANCELED, NULL });
	const int result = rota_group_wait(&group);

	own->elapsed_ns = host_now_ns() - start_ns;
	if (error < 0)
		return error;
	return result == -ECANCELED ? 0 : result;
}

int micro_cancel_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct quiet sockets;
	int error = quiet_open(&sockets, work->ops);

	if (error < 0)
		return error;
	struct own own = { .blocked.sockets = &sockets };

	error = micro_run_twice(NULL, run_group, &own);
	*sample = micro_ms(own.elapsed_ns, own.blocked.told);
	quiet_close(&sockets);
	return error;
}

int micro_cancel_base(const struct micro_work *work,
		      struct micro_sample *sample)
{
	struct quiet sockets;
	int error = quiet_open(&sockets, work->ops);

	if (error < 0)
		return error;
	struct bare_blocked bare = {
		.sockets = &sockets,
		.entries = BARE_RING_ENTRIES,
	};

	error = bare_blocked_measure(&bare);
	*sample = micro_ms(bare.elapsed_ns, bare.cancelled);
	quiet_close(&sockets);
	return error;
}
