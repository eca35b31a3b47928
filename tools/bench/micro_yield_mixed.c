// SPDX-License-Identifier: MIT
/*
 * What does a switch cost between tasks that are at different places? Each
 * goes down one of four call paths, one to four calls deep, yields there and
 * comes back up, again and again. A processor foretells returns from the calls
 * it saw; those of another task's path it cannot know, so each switch is
 * followed by returns that were foretold wrongly. Base: the same paths with
 * contexts that take turns by a bare switch: it meets the same.
 */
#include <rota/rota.h>

#include "bare_contexts.h"
#include "host.h"
#include "micro.h"

#define PATHS 4

struct walk {
	uint64_t laps;      /* turns of each under the clock */
	unsigned tasks;     /* how many take turns */
	void (*step)(void); /* ends a turn */
	uint64_t start_ns;
	uint64_t end_ns;
	uint64_t sum; /* of the depths gone to, counted on the way up */
};

/* What is added after a call keeps it a call, not a jump. */
static __attribute__((noinline)) uint64_t path_1(const struct walk *walk)
{
	walk->step();
	return 1;
}

static __attribute__((noinline)) uint64_t inner_2(const struct walk *walk)
{
	walk->step();
	return 1;
}

static __attribute__((noinline)) uint64_t path_2(const struct walk *walk)
{
	return inner_2(walk) + 1;
}

static __attribute__((noinline)) uint64_t innermost_3(const struct walk *walk)
{
	walk->step();
	return 1;
}

static __attribute__((noinline)) uint64_t inner_3(const struct walk *walk)
{
	return innermost_3(walk) + 1;
}

static __attribute__((noinline)) uint64_t path_3(const struct walk *walk)
{
	return inner_3(walk) + 1;
}

static __attribute__((noinline)) uint64_t deepest_4(const struct walk *walk)
{
	walk->step();
	return 1;
}

static __attribute__((noinline)) uint64_t innermost_4(const struct walk *walk)
{
	return deepest_4(walk) + 1;
}

static __attribute__((noinline)) uint64_t inner_4(const struct walk *walk)
{
	return innermost_4(walk) + 1;
}

static __attribute__((noinline)) uint64_t path_4(const struct walk *walk)
{
	return inner_4(walk) + 1;
}

static uint64_t (*const paths[PATHS])(const struct walk *walk) = {
	path_1,
	path_2,
	path_3,
	path_4,
};

/* The same for own and base: all of one's laps. */
static void walk_all(struct walk *walk, unsigned index)
{
	uint64_t (*const path)(const struct walk *) = paths[index % PATHS];
	uint64_t sum = 0;

	path(walk);
	if (index == 0)
		walk->start_ns = host_now_ns();
	for (uint64_t lap = 0; lap < walk->laps; lap++)
		sum += path(walk);
	if (index == walk->tasks - 1)
		walk->end_ns = host_now_ns();
	walk->sum += sum;
}

static struct walk start_walk(const struct micro_work *work, void (*step)(void))
{
	return (struct walk){
		.laps = work->ops / work->tasks,
		.tasks = work->tasks,
		.step = step,
	};
}

static void step_own(void)
{
	rota_yield();
}

static void step_bare(void)
{
	bare_yield();
}

struct walker {
	struct walk *walk;
	unsigned index;
};

static int walk_own(void *value)
{
	const struct walker *walker = value;

	walk_all(walker->walk, walker->index);
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

int micro_yield_mixed_own(const struct micro_work *work,
			  struct micro_sample *sample)
{
	struct walk walk = start_walk(work, step_own);
	const int error = rota_run(NULL, run_own, &walk);

	*sample = micro_per_op(walk.start_ns, walk.end_ns, work->ops, walk.sum);
	return error;
}

static struct walk *bare_walk;

static void walk_bare(unsigned index)
{
	walk_all(bare_walk, index);
}

int micro_yield_mixed_base(const struct micro_work *work,
			   struct micro_sample *sample)
{
	struct walk walk = start_walk(work, step_bare);

	bare_walk = &walk;
	const int error = bare_contexts_run(work->tasks, walk_bare);

	*sample = micro_per_op(walk.start_ns, walk.end_ns, work->ops, walk.sum);
	return error;
}
