// SPDX-License-Identifier: MIT
/*
 * What does a deadline cost among many that are pending? One task has begun
 * all of them, one in the other, spread by chance over the minute that begins a
 * minute from now. Then it begins and ends more, or moves one later: those
 * that are answered in time and those of a connection that is not idle.
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdlib.h>

#include "dice.h"
#include "host.h"
#include "micro.h"

#define WARM_OPS 1000
#define LEAD_NS (60 * ROTA_SECOND)

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
	struct rota_deadline *pending; /* as many as the row's tasks */
	uint64_t (*act)(uint64_t ops); /* how many went as they should */
};

/* How many deadlines did not come. */
static uint64_t arm_and_leave(uint64_t ops)
{
	struct dice dice = dice_take(LEAD_NS, 2);

	return dice_arm_and_leave(&dice, ops);
}

/* How many times it was moved. */
static uint64_t move_on(uint64_t ops)
{
	int64_t deadline_ns = rota_after_ns(LEAD_NS);
	struct rota_deadline deadline;
	uint64_t moved = 0;

	rota_deadline_begin(&deadline, deadline_ns);
	for (uint64_t index = 0; index < ops; index++)
		moved += rota_deadline_move(&deadline, ++deadline_ns);
	rota_deadline_end(&deadline);
	return moved;
}

static int run_own(void *arg)
{
	struct own *own = arg;
	const struct micro_work *work = own->work;
	struct dice dice = dice_take(LEAD_NS, 1);

	for (unsigned index = 0; index < work->tasks; index++)
		rota_deadline_begin(&own->pending[index], dice_roll(&dice));
	own->act(WARM_OPS);
	const uint64_t start_ns = host_now_ns();
	const uint64_t done = own->act(work->ops);

	*own->sample = micro_per_op(start_ns, host_now_ns(), work->ops, done);
	for (unsigned index = work->tasks; index > 0; index--)
		rota_deadline_end(&own->pending[index - 1]);
	return 0;
}

static int measure(struct own *own)
{
	const size_t count = own->work->tasks > 0 ? own->work->tasks : 1;

	own->pending = calloc(count, sizeof(*own->pending));
	if (own->pending == NULL)
		return -ENOMEM;
	const int error = rota_run(NULL, run_own, own);

	free(own->pending);
	return error;
}

int micro_timers_own(const struct micro_work *work, struct micro_sample *sample)
{
	return measure(&(struct own){ work, sample, NULL, arm_and_leave });
}

int micro_move_own(const struct micro_work *work, struct micro_sample *sample)
{
	return measure(&(struct own){ work, sample, NULL, move_on });
}
