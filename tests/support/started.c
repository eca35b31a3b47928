/* SPDX-License-Identifier: MIT */
#include "support/started.h"

#include "support/run.h"

int test_start(struct test_started *started, const struct rota_config *config,
	       const struct ri_kernel *kernel)
{
	int error;

	atomic_store(&started->watch.peers, NULL);
	test_watch_start(&started->watch);
	error = ri_engine_start(&started->engine, config,
				kernel ? kernel : test_linux());
	if (error)
		test_watch_stop(&started->watch);
	else
		atomic_store(&started->watch.peers, &started->engine->peers);
	return error;
}

int test_stop(struct test_started *started, int64_t grace_ns)
{
	const int error = rota_engine_stop(started->engine, grace_ns);

	if (!error)
		test_watch_stop(&started->watch);
	return error;
}

void test_abandon(struct test_started *started)
{
	rota_engine_abandon(started->engine);
	test_watch_stop(&started->watch);
}
