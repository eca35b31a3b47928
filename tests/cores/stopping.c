/* SPDX-License-Identifier: MIT */
/*
 * Members are sent from loop to loop while the engine stops: those that were
 * accepted run and are joined, those that were not never do.
 */
#include "support/log.h"
#include "support/loops.h"
#include "support/random.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDS 100u

/* A job that goes on spawning until it may not. */
struct flood {
	struct rota_job job;
	atomic_uint accepted, ran;
	atomic_int refused; /* the answer that ended it */
	int result;         /* of its group */
};

static int note(void *value)
{
	struct flood *flood = *(struct flood **)value;

	atomic_fetch_add(&flood->ran, 1);
	return 0;
}

/* Members spawn, too: into the group of another loop. */
struct inside {
	struct flood *flood;
	struct rota_group *group;
};

static int spawn_back(void *value)
{
	const struct inside *inside = value;

	if (rota_go_on(inside->group,
		       rota_loop() + 1 < TEST_LOOPS ? rota_loop() + 1 : 0, note,
		       inside->flood) == 0)
		atomic_fetch_add(&inside->flood->accepted, 1);
	return note((void *)&inside->flood);
}

static int spawn_on(void *value)
{
	struct flood *flood = *(struct flood **)value;
	struct rota_group group;
	const struct inside inside = { flood, &group };
	int answer = 0;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 50 });
	for (unsigned i = 0; !answer; i++) {
		if (i % 4 == 3)
			answer = rota_go_spread(&group, spawn_back, inside);
		else
			answer = rota_go_on(&group, i % TEST_LOOPS, spawn_back,
					    inside);
		atomic_fetch_add(&flood->accepted, !answer);
	}
	atomic_store(&flood->refused, answer);
	flood->result = rota_group_wait(&group);
	return 0;
}

static void play(unsigned round)
{
	const struct rota_config config = { .loops = TEST_LOOPS,
					    .log = test_log_nothing };
	struct flood floods[TEST_LOOPS] = { 0 };
	struct test_started started;

	assert_int_equal(test_start(&started, &config, NULL), 0);
	for (unsigned i = 0; i < TEST_LOOPS; i++) {
		floods[i].job = (struct rota_job){ .engine = started.engine,
						   .loop = i };
		assert_int_equal(
			rota_submit(&floods[i].job, spawn_on, &floods[i]), 0);
	}
	while (atomic_load(&floods[round % TEST_LOOPS].ran) < round)
		sched_yield();
	assert_int_equal(test_stop(&started, round % 2 ? 0 : ROTA_MILLISECOND),
			 0);
	for (unsigned i = 0; i < TEST_LOOPS; i++) {
		assert_int_equal(atomic_load(&floods[i].ran),
				 atomic_load(&floods[i].accepted));
		assert_int_equal(atomic_load(&floods[i].refused), -ECANCELED);
		assert_int_equal(floods[i].result, -ESHUTDOWN);
	}
}

static void members_on_their_way_run_when_the_engine_stops(void **state)
{
	const unsigned rounds = test_rounds(ROUNDS);

	(void)state;
	for (unsigned round = 0; round < rounds; round++)
		play(round);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			members_on_their_way_run_when_the_engine_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
