// SPDX-License-Identifier: MIT
/*
 * What do many sleepers cost? Each task sleeps once, 1 ms or more, spread by
 * chance over as many times 10 us as there are tasks: 100,000 of them over a
 * second. Told is the processor time of the engine's thread, from before the
 * engine starts to when all have ended: spawning them, their stacks, their
 * timers, each wake.
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

static int run_own(void *arg)
{
	struct own *own = arg;
	const uint64_t span_ns = own->count * (uint64_t)EACH_NS;
	struct rota_group group;
	uint64_t state = 1;
	int error = 0;

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

	return error < 0 ? error : result;
}

static uint64_t processor_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

int micro_sleepers_own(const struct micro_work *work,
		       struct micro_sample *sample)
{
	struct own own = { .count = work->ops };
	const uint64_t start_ns = processor_ns();
	const int error = rota_run(NULL, run_own, &own);

	*sample = micro_ms(processor_ns() - start_ns, own.slept);
	return error;
}
