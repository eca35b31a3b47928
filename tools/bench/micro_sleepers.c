// SPDX-License-Identifier: MIT
/*
 * What do many sleepers cost? Each task sleeps once, 1 ms or more, spread by
 * chance over as many times 10 us as there are tasks: 100,000 of them over a
 * second. Told is the processor time of the engine's thread for spawning them,
 * their timers, each wake, and the join. Once with stacks that were used
 * before, as in a server that has been up for a while; once cold, with the
 * engine's start, new stacks, and their end.
 */
#include <errno.h>
#include <rota/rota.h>
#include <time.h>

#include "micro.h"

#define LEAST_NS ROTA_MILLISECOND
#define EACH_NS (10 * ROTA_MICROSECOND)

struct own {
	uint64_t count;
	uint64_t slept; /* to the end */
	uint64_t spent_ns;
};

struct sleeper {
	struct own *own;
	int64_t duration_ns;
};

static int sleep_once(void *value)
{
	const struct sleeper *sleeper = value;
	const int error = rota_sleep(sleeper->duration_ns);

	sleeper->own->slept += error == 0;
	return error;
}

static uint64_t processor_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static int run_own(void *arg)
{
	struct own *own = arg;
	const uint64_t start_ns = processor_ns();
	const uint64_t span_ns = own->count * (uint64_t)EACH_NS;
	struct rota_group group;
	uint64_t state = 1;
	int error = 0;

	own->slept = 0;
	rota_group_open(&group, NULL);
	for (uint64_t index = 0; index < own->count && error == 0; index++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		error = rota_go(
			&group, sleep_once,
			((struct sleeper){ own,
					   LEAST_NS + (int64_t)((state >> 16) %
								span_ns) }));
	}
	const int result = rota_group_wait(&group);

	own->spent_ns = processor_ns() - start_ns;
	return error < 0 ? error : result;
}

int micro_sleepers_own(const struct micro_work *work,
		       struct micro_sample *sample)
{
	struct own own = { .count = work->ops };
	const int error = micro_run_twice(NULL, run_own, &own);

	*sample = micro_ms(own.spent_ns, own.slept);
	return error;
}

int micro_sleepers_cold_own(const struct micro_work *work,
			    struct micro_sample *sample)
{
	struct own own = { .count = work->ops };
	const uint64_t start_ns = processor_ns();
	const int error = rota_run(NULL, run_own, &own);

	*sample = micro_ms(processor_ns() - start_ns, own.slept);
	return error;
}
