// SPDX-License-Identifier: MIT
/*
 * What does it cost to cancel groups inside groups, for each level? The task
 * in the innermost one sleeps for ever. The clock starts when the outermost one
 * is cancelled; when it stops, that one was waited for. Rows of two depths show
 * that it grows with the depth and no faster. There are two shapes:
 *
 *	a task for each level: the single member of each group opens the next
 *	one task (.tasks = 1): the single member of the outermost group opens
 *	all others, in an array
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdlib.h>

#include "host.h"
#include "micro.h"

struct own {
	const struct micro_work *work;
	uint64_t left;      /* levels still to be opened */
	uint64_t cancelled; /* levels whose wait told so */
	bool asleep;        /* the innermost one is open, its task waits */
	uint64_t start_ns;
	uint64_t end_ns;
};

static int wait_for(struct rota_group *group, struct own *own)
{
	const int result = rota_group_wait(group);

	own->cancelled += result == -ECANCELED;
	return result;
}

static int sleep_long(struct own *own)
{
	own->asleep = true;
	return rota_sleep_until(ROTA_NEVER);
}

/* The member of a level: opens the next. */
static int descend(void *value)
{
	struct own *own = *(struct own **)value;
	struct rota_group group;

	if (own->left == 0)
		return sleep_long(own);
	own->left--;
	rota_group_open(&group, NULL);
	const int error = rota_go(&group, descend, own);
	const int result = wait_for(&group, own);

	return error < 0 ? error : result;
}

/* The only member: opens all the rest. */
static int open_all(void *value)
{
	struct own *own = *(struct own **)value;
	const uint64_t count = own->left;
	struct rota_group *groups = calloc(count + 1, sizeof(*groups));

	if (groups == NULL)
		return -ENOMEM;
	for (uint64_t index = 0; index < count; index++)
		rota_group_open(&groups[index], NULL);
	const int result = sleep_long(own);

	for (uint64_t index = count; index > 0; index--)
		wait_for(&groups[index - 1], own);
	free(groups);
	return result;
}

static int run_groups(void *arg)
{
	struct own *own = arg;
	struct rota_group group;

	own->left = own->work->ops - 1;
	own->cancelled = 0;
	own->asleep = false;

	rota_group_open(&group, NULL);
	int error = rota_go(&group, own->work->tasks == 1 ? open_all : descend,
			    own);

	while (error == 0 && !own->asleep)
		error = rota_yield();
	own->start_ns = host_now_ns();
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	const int result = wait_for(&group, own);

	own->end_ns = host_now_ns();
	if (error < 0)
		return error;
	return result == -ECANCELED ? 0 : result;
}

int micro_cancel_nested_own(const struct micro_work *work,
			    struct micro_sample *sample)
{
	struct own own = { .work = work };
	const int error = micro_run_twice(NULL, run_groups, &own);

	*sample = micro_per_op(own.start_ns, own.end_ns, work->ops,
			       own.cancelled);
	return error;
}
