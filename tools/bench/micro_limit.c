// SPDX-License-Identifier: MIT
/*
 * What does a permit cost that nobody else wants? One task acquires one and
 * releases it, of a limit that only its loop uses, and of one that every loop
 * may use; of each pair.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

struct pairing {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int pair_up(struct rota_limit *limit, uint64_t pairs)
{
	int error = 0;

	for (uint64_t i = 0; i < pairs && error == 0; i++) {
		error = rota_limit_acquire(limit, 1);
		if (error == 0)
			rota_limit_release(limit, 1);
	}
	return error;
}

static int pair_all(void *arg)
{
	const struct pairing *pairing = arg;
	const uint64_t ops = pairing->work->ops;
	struct rota_limit limit;
	int error;

	rota_limit_init(&limit, 4, NULL);
	error = pair_up(&limit, ops / 10);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = pair_up(&limit, ops);
	*pairing->sample = micro_per_op(start_ns, host_now_ns(), ops,
					rota_limit_inspect(&limit).size);
	rota_limit_fini(&limit);
	return error;
}

int micro_limit_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct pairing pairing = { work, sample };

	return rota_run(NULL, pair_all, &pairing);
}

int micro_limit_shared_own(const struct micro_work *work,
			   struct micro_sample *sample)
{
	const struct rota_config config = { .loops = 2 };
	struct pairing pairing = { work, sample };

	return rota_run(&config, pair_all, &pairing);
}
