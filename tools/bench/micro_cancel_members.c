// SPDX-License-Identifier: MIT
/*
 * What does it cost to cancel a group for each of its members, when the kernel
 * has no part in it? All are asleep for ever. The clock starts at the cancel;
 * when it stops, every member has been told, has returned, and the group was
 * waited for. Rows of two sizes show that it grows with the members and no
 * faster.
 */
#include <errno.h>
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

struct own {
	const struct micro_work *work;
	uint64_t asleep;    /* members that have gone to sleep */
	uint64_t cancelled; /* members that were told so */
	uint64_t start_ns;
	uint64_t end_ns;
};

static int sleep_long(void *value)
{
	struct own *own = *(struct own **)value;

	own->asleep++;
	const int result = rota_sleep_until(ROTA_NEVER);

	own->cancelled += result == -ECANCELED;
	return result;
}

static int start_members(struct rota_group *group, struct own *own)
{
	own->asleep = 0;
	own->cancelled = 0;
	for (uint64_t index = 0; index < own->work->ops; index++) {
		const int error = rota_go(group, sleep_long, own);

		if (error < 0)
			return error;
	}
	while (own->asleep < own->work->ops) {
		const int error = rota_yield();

		if (error < 0)
			return error;
	}
	return 0;
}

static int run_group(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	const int error = start_members(&group, own);

	own->start_ns = host_now_ns();
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	const int result = rota_group_wait(&group);

	own->end_ns = host_now_ns();
	if (error < 0)
		return error;
	return result == -ECANCELED ? 0 : result;
}

int micro_cancel_members_own(const struct micro_work *work,
			     struct micro_sample *sample)
{
	struct own own = { .work = work };
	const int error = micro_run_twice(NULL, run_group, &own);

	*sample = micro_per_op(own.start_ns, own.end_ns, work->ops,
			       own.cancelled);
	return error;
}
