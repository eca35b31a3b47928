// SPDX-License-Identifier: MIT
/* Two bare threads, see bare_threads.h. */
#include <pthread.h>

#include "bare_threads.h"
#include "host.h"

struct side {
	void (*fn)(void *arg);
	void *arg;
	int cpu;
};

static void *run_side(void *argument)
{
	const struct side *side = argument;

	if (side->cpu >= 0)
		host_pin(side->cpu);
	side->fn(side->arg);
	return NULL;
}

int bare_threads_run(void (*first)(void *arg), void (*second)(void *arg),
		     void *arg)
{
	struct side sides[] = { { first, arg, host_usable_cpu(0) },
				{ second, arg, host_usable_cpu(1) } };
	pthread_t threads[2];
	unsigned started;
	int error = 0;

	for (started = 0; started < 2 && error == 0; started += error == 0)
		error = -pthread_create(&threads[started], NULL, run_side,
					&sides[started]);
	while (started > 0)
		pthread_join(threads[--started], NULL);
	return error;
}
