// SPDX-License-Identifier: MIT
/*
 * What does a mutex cost that nobody else wants? One task locks and unlocks it,
 * in an engine of one loop, and in one of two, whose tasks could all come by.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

#define WARM_OPS 1000

/* How often it was locked. */
static uint64_t lock_and_unlock(struct rota_mutex *mutex, uint64_t ops)
{
	uint64_t locked = 0;

	for (uint64_t index = 0; index < ops; index++) {
		if (rota_mutex_lock(mutex))
			continue;
		locked++;
		rota_mutex_unlock(mutex);
	}
	return locked;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const uint64_t ops = own->work->ops;
	struct rota_mutex mutex;

	rota_mutex_init(&mutex, NULL);
	lock_and_unlock(&mutex, WARM_OPS);
	const uint64_t start_ns = host_now_ns();
	const uint64_t locked = lock_and_unlock(&mutex, ops);

	*own->sample = micro_per_op(start_ns, host_now_ns(), ops, locked);
	rota_mutex_fini(&mutex);
	return 0;
}

int micro_mutex_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}

int micro_mutex_shared_own(const struct micro_work *work,
			   struct micro_sample *sample)
{
	const struct rota_config config = { .loops = 2 };
	struct own own = { work, sample };

	return rota_run(&config, run_own, &own);
}
