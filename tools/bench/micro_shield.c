// SPDX-License-Identifier: MIT
/*
 * What does a shield cost that keeps nothing out? One task begins and ends
 * them; nobody cancels it.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

#define WARM_OPS 1000

/* How many shields did not run out of grace. */
static uint64_t begin_and_end(uint64_t ops)
{
	uint64_t held = 0;

	for (uint64_t index = 0; index < ops; index++) {
		struct rota_shield shield;

		rota_shield_begin(&shield, ROTA_SECOND);
		held += !rota_shield_end(&shield);
	}
	return held;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	struct own *own = arg;
	const uint64_t ops = own->work->ops;

	begin_and_end(WARM_OPS);
	const uint64_t start_ns = host_now_ns();
	const uint64_t held = begin_and_end(ops);

	*own->sample = micro_per_op(start_ns, host_now_ns(), ops, held);
	return 0;
}

int micro_shield_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}
