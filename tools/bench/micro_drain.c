// SPDX-License-Identifier: MIT
/*
 * How long does it take to drain a group whose members are all idle? Each
 * receives in an idle section, as a connection between two requests does. The
 * clock starts at rota_group_drain, which gives them much more grace than they
 * need; when it stops, every member has been told, has returned, and the group
 * was waited for. Base: that of cancel_blocked, bare cancels by id.
 */
#include <errno.h>
#include <rota/rota.h>

#include "blocked.h"
#include "host.h"
#include "micro.h"

#define GRACE_NS (10 * ROTA_SECOND)

struct own {
	struct blocked blocked; /* first: its members find the rest */
	uint64_t drained;       /* sections, as rota_idle_end tells */
	uint64_t elapsed_ns;
};

static int receive(void *value)
{
	const struct blocked_member *member = value;
	struct own *own = (struct own *)member->all;
	struct rota_idle idle;

	rota_idle_begin(&idle);
	const int result = blocked_receive(member, -ESHUTDOWN);

	own->drained += rota_idle_end(&idle);
	return result == -ESHUTDOWN ? 0 : result;
}

static int run_group(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	own->drained = 0;

	rota_group_open(&group, NULL);
	const int error = blocked_start(&own->blocked, &group, receive);
	const uint64_t start_ns = host_now_ns();

	rota_group_drain(&group, GRACE_NS);
	const int result = rota_group_wait(&group);

	own->elapsed_ns = host_now_ns() - start_ns;
	return error < 0 ? error : result;
}

int micro_drain_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct quiet sockets;
	int error = quiet_open(&sockets, work->ops);

	if (error < 0)
		return error;
	struct own own = { .blocked.sockets = &sockets };

	error = micro_run_twice(NULL, run_group, &own);
	/* Who was told, and whose section was drained, are the same tasks. */
	*sample = micro_ms(own.elapsed_ns,
			   own.drained == own.blocked.told ? own.drained : 0);
	quiet_close(&sockets);
	return error;
}
