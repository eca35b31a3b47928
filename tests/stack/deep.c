/* SPDX-License-Identifier: MIT */
/*
 * Two tasks, a few calls deep each, for a debugger to look at: unwind.py. By
 * itself it only ends.
 */
#include "support/run.h"

#include "task/task.h"

struct rota_task *parked; /* the task that waits, for the debugger */

__attribute__((noinline)) int look_here(void);
__attribute__((noinline)) int inner(int depth);
__attribute__((noinline)) int wait_here(void);

int look_here(void)
{
	__asm__ volatile("");
	return 0;
}

int wait_here(void)
{
	const int result = rota_sleep_until(ROTA_NEVER);

	__asm__ volatile("");
	return result;
}

int inner(int depth)
{
	const int result = depth ? look_here() : wait_here();

	__asm__ volatile("");
	return result;
}

static int outer(void *value)
{
	const int result = inner(*(int *)value);

	__asm__ volatile("");
	return result;
}

static int sleeper(void *value)
{
	parked = ri_task_self("sleeper");
	return outer(value);
}

static int run_both(void *arg)
{
	struct rota_group group;

	(void)arg;
	rota_group_open(&group, NULL);
	if (rota_go(&group, sleeper, 0) || rota_go(&group, outer, 1))
		return 1;
	rota_yield();
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	return rota_group_wait(&group) == -ECANCELED ? 0 : 1;
}

int main(void)
{
	return test_run(run_both, NULL);
}
