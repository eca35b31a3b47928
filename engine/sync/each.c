/* SPDX-License-Identifier: MIT */
#include "rota/each.h"

#include "sync/crew.h"

#include <errno.h>

struct run {
	const struct rota_each *each;
	struct rota_group group;
	size_t next; /* the item to be begun next; atomic if it is spread */
	bool over;   /* nothing more is begun; atomic */
};

/* Takes the next item: its index, or `count`: there is none. */
static size_t claim(struct run *run)
{
	const size_t count = run->each->count;
	size_t next = __atomic_load_n(&run->next, __ATOMIC_RELAXED);

	/* relaxed: who is told an index has had the array by its spawn */
	if (!run->each->spread) {
		run->next += next < count;
		return next;
	}
	while (next < count &&
	       !__atomic_compare_exchange_n(&run->next, &next, next + 1, true,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
	return next;
}

/* On another loop than the one that failed a cancel comes later. */
static int is_over(const struct run *run)
{
	const int code = rota_cancelled();

	if (code)
		return code;
	return __atomic_load_n(&run->over, __ATOMIC_RELAXED) ? 1 : 0;
}

static int work(void *value)
{
	struct run *run = *(struct run **)value;
	const struct rota_each *each = run->each;
	unsigned round = 0;
	int result;

	while (!(result = is_over(run))) {
		const size_t index = claim(run);

		if (index == each->count)
			return 0;
		result =
			each->fn((char *)each->items + index * each->item_bytes,
				 each->arg);
		if (result < 0)
			break;
		ri_crew_breathe(&round);
	}
	if (result < 0)
		__atomic_store_n(&run->over, true, __ATOMIC_RELAXED);
	return result;
}

/* 0 if there is at least one. */
static int start(struct run *run, const struct rota_site *site)
{
	const struct rota_each *each = run->each;
	const size_t most = each->limit ? each->limit : each->count;
	int error = 0;

	for (unsigned i = 0; i < most && i < each->count && !error; i++) {
		error = rota_group_spawn_on(
			&run->group, ri_crew_start(work, i, each->spread), &run,
			site);
		if (error && i)
			return 0;
	}
	return error;
}

int rota_for_each_at(const struct rota_each *each, size_t *begun,
		     const struct rota_site *site)
{
	const struct rota_group_options group = {
		.name = each->name,
		.deadline_ns = each->deadline_ns,
		.stack_bytes = each->stack_bytes,
	};
	struct run run = { .each = each };
	int error = ri_task_self("rota_for_each")->scope->code;
	int result;

	if (begun)
		*begun = 0;
	if (!each->fn || !each->item_bytes || (!each->items && each->count))
		error = -EINVAL;
	if (error)
		return error;
	rota_group_open_at(&run.group, &group, site);
	error = start(&run, site);
	result = rota_group_wait(&run.group);
	if (begun)
		*begun = run.next;
	return error && !result ? error : result;
}
