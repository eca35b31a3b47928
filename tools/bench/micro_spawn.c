// SPDX-License-Identifier: MIT
/*
 * What does a task cost that does nothing? Groups are opened, filled with
 * tasks and waited for, one after the other. To prove that it ran, a task adds
 * one to a counter; all that a task has by default is on: the group's links,
 * the spawn site, cancellation, the copy of a value.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

#define WARM_GROUPS 3

static int count_one(void *value)
{
	uint64_t *count = *(uint64_t **)value;

	*count += 1;
	return 0;
}

static int run_group(unsigned tasks, uint64_t *count)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned index = 0; index < tasks && error == 0; index++)
		error = rota_go(&group, count_one, count);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

static int run_groups(uint64_t groups, unsigned tasks, uint64_t *count)
{
	int error = 0;

	for (uint64_t index = 0; index < groups && error == 0; index++)
		error = run_group(tasks, count);
	return error;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const struct micro_work *work = own->work;
	uint64_t count = 0;
	int error = run_groups(WARM_GROUPS, work->tasks, &count);

	if (error < 0)
		return error;
	count = 0;
	const uint64_t start_ns = host_now_ns();

	error = run_groups(work->ops / work->tasks, work->tasks, &count);
	*own->sample = micro_per_op(start_ns, host_now_ns(), work->ops, count);
	return error;
}

int micro_spawn_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}
