// SPDX-License-Identifier: MIT
/*
 * What does a switch cost? Tasks yield in turns, two of them or a thousand;
 * all are at the same place in the same loop. Base: as many contexts that
 * take turns by a bare switch. The clock runs from the first one's second
 * turn, when all have started and touched their stacks, to the last one's
 * last.
 */
#include <rota/rota.h>

#include "bare_contexts.h"
#include "host.h"
#include "micro.h"

struct walk {
	uint64_t laps;  /* turns of each under the clock */
	unsigned tasks; /* how many take turns */
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t sum; /* of who had a turn, counted from 1 */
};

struct walker {
	struct walk *walk;
	unsigned index;
};

static int walk_own(void *value)
{
	const struct walker *walker = value;
	struct walk *walk = walker->walk;
	uint64_t sum = 0;

	rota_yield();
	if (walker->index == 0)
		walk->start_ns = host_now_ns();
	for (uint64_t lap = 0; lap < walk->laps; lap++) {
		sum += walker->index + 1;
		rota_yield();
	}
	if (walker->index == walk->tasks - 1)
		walk->end_ns = host_now_ns();
	walk->sum += sum;
	return 0;
}

static int run_own(void *arg)
{
	struct walk *walk = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned index = 0; index < walk->tasks && error == 0; index++)
		error = rota_go(&group, walk_own,
				((struct walker){ walk, index }));
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

static struct walk start_walk(const struct micro_work *work)
{
	return (struct walk){
		.laps = work->ops / work->tasks,
		.tasks = work->tasks,
	};
}

int micro_yield_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct walk walk = start_walk(work);
	const int error = rota_run(NULL, run_own, &walk);

	*sample = micro_per_op(walk.start_ns, walk.end_ns, work->ops, walk.sum);
	return error;
}

static struct walk *bare_walk;

static void walk_bare(unsigned index)
{
	struct walk *walk = bare_walk;
	uint64_t sum = 0;

	bare_yield();
	if (index == 0)
		walk->start_ns = host_now_ns();
	for (uint64_t lap = 0; lap < walk->laps; lap++) {
		sum += index + 1;
		bare_yield();
	}
	if (index == walk->tasks - 1)
		walk->end_ns = host_now_ns();
	walk->sum += sum;
}

int micro_yield_base(const struct micro_work *work, struct micro_sample *sample)
{
	struct walk walk = start_walk(work);

	bare_walk = &walk;
	const int error = bare_contexts_run(work->tasks, walk_bare);

	*sample = micro_per_op(walk.start_ns, walk.end_ns, work->ops, walk.sum);
	return error;
}
