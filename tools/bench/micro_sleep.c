// SPDX-License-Identifier: MIT
/*
 * What does a deadline cost that does not come? One task begins and ends
 * deadlines, given as points in time, while many others sleep. All are spread
 * by chance over the minute that begins a second from now, so each deadline
 * meets other neighbours in the engine's timer structure.
 */
#include <rota/rota.h>

#include "dice.h"
#include "host.h"
#include "micro.h"

#define WARM_OPS 1000
#define LEAD_NS ROTA_SECOND

static int sleep_long(void *value)
{
	return rota_sleep_until(*(int64_t *)value);
}

/* Opens a group of sleepers that are all asleep when it returns. */
static int start_crowd(struct rota_group *crowd, unsigned count)
{
	struct dice dice = dice_take(LEAD_NS, 1);

	for (unsigned index = 0; index < count; index++) {
		const int error = rota_go(crowd, sleep_long, dice_roll(&dice));

		if (error < 0)
			return error;
	}
	return rota_sleep(ROTA_MILLISECOND);
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const struct micro_work *work = own->work;
	struct rota_group crowd;

	rota_group_open(&crowd, NULL);
	const int error = start_crowd(&crowd, work->tasks);
	struct dice dice = dice_take(LEAD_NS, 2);

	dice_arm_and_leave(&dice, WARM_OPS);
	const uint64_t start_ns = host_now_ns();
	const uint64_t left = dice_arm_and_leave(&dice, work->ops);

	*own->sample = micro_per_op(start_ns, host_now_ns(), work->ops, left);
	rota_group_cancel(&crowd, (struct rota_cancellation){ 0 });
	rota_group_wait(&crowd);
	return error;
}

int micro_sleep_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}
