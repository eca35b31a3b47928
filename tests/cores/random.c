/* SPDX-License-Identifier: MIT */
/*
 * Random programs of groups over loops. What each one does is the seed's, what
 * comes of it also the machine's:
 *
 *	ROTA_ROUNDS=100000 build/release/bin/test-cores-random
 *
 * plays so many programs.
 */
#include "support/rounds.h"
#include "support/swarm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS 3000

/* Programs that one engine runs. */
#define ROUNDS_A_RUN 25

/* What is played. */
struct play {
	struct swarm swarm;
	struct rounds rounds;
};

static void report(const void *context)
{
	const struct play *play = context;
	const char *broken = atomic_load(&play->swarm.broken);

	if (broken)
		fprintf(stderr, "%s: %lld, not %lld\n", broken,
			(long long)play->swarm.seen,
			(long long)play->swarm.wanted);
	rounds_print(&play->rounds);
}

static int play_some(void *arg)
{
	struct play *play = arg;
	struct rounds *rounds = &play->rounds;

	for (unsigned i = 0; i < ROUNDS_A_RUN && rounds->round < rounds->end;
	     i++) {
		swarm_run(&play->swarm, rounds_seed(rounds));
		swarm_check_books(&play->swarm);
		if (atomic_load(&play->swarm.broken))
			break;
		rounds->round++;
	}
	return 0;
}

static void test_log_drop(void *context, const char *line)
{
	(void)context;
	(void)line;
}

static void groups_over_loops_keep_their_laws_in_any_program(void **state)
{
	const struct rota_config config = { .loops = SWARM_LOOPS,
					    .log = test_log_drop };
	struct play *play = calloc(1, sizeof(*play));
	struct test_random seeds;

	(void)state;
	test_random_init(&seeds);
	assert_non_null(play);
	assert_true(rounds_begin(&play->rounds, "swarm", seeds.state, ROUNDS));
	rounds_on_abort(report, play);
	while (play->rounds.round < play->rounds.end &&
	       !atomic_load(&play->swarm.broken))
		assert_int_equal(test_run_with(&config, NULL, play_some, play),
				 0);
	rounds_on_abort(NULL, NULL);
	if (atomic_load(&play->swarm.broken)) {
		report(play);
		fail();
	}
	free(play);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			groups_over_loops_keep_their_laws_in_any_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
