/* SPDX-License-Identifier: MIT */
/*
 * A rate that several loops share: by the clock that all of them read, no more
 * go on than its schedule allows, and those that are cancelled take nothing.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define INTERVAL_NS (20 * ROTA_MICROSECOND)
#define BURST 3
#define TASKS 12
#define TIMES 40

struct stage {
	struct rota_rate rate;
	int64_t start_ns;               /* no later than when it was made */
	int64_t went_ns[TASKS * TIMES]; /* when tokens were taken */
	atomic_uint went;               /* how many */
	atomic_uint given_up;           /* cancelled */
	atomic_uint wrong;              /* anything else */
	uint64_t seed;                  /* of all of it */
	struct rota_rate_state end;
};

struct member {
	struct stage *stage;
	unsigned number;
};

static void wait_once(struct stage *stage, struct test_random *random)
{
	const unsigned count = 1 + (unsigned)test_random_below(random, BURST);
	const int64_t patience_ns =
		(int64_t)test_random_below(random, TASKS * 2 * INTERVAL_NS);
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, test_random_below(random, 3)
					       ? ROTA_NEVER
					       : rota_after_ns(patience_ns));
	error = rota_rate_wait(&stage->rate, count);
	rota_deadline_end(&deadline);
	atomic_fetch_add(&stage->given_up, error == -ETIME);
	atomic_fetch_add(&stage->wrong, error && error != -ETIME);
	for (unsigned i = 0; !error && i < count; i++) {
		const unsigned index = atomic_fetch_add(&stage->went, 1);

		stage->went_ns[index % (TASKS * TIMES)] = rota_now_ns();
	}
}

static int wait_often(void *value)
{
	const struct member *member = value;
	struct stage *stage = member->stage;
	struct test_random random;

	test_random_seed(&random, stage->seed + member->number);
	while (atomic_load(&stage->went) < TASKS * (TIMES - BURST) &&
	       !rota_cancelled())
		wait_once(stage, &random);
	return 0;
}

static int wait_everywhere(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error;

	stage->start_ns = rota_now_ns();
	error = rota_rate_init(&stage->rate, &(struct rota_rate_options){
						     .interval_ns = INTERVAL_NS,
						     .burst = BURST });
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TASKS && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), wait_often,
				   ((struct member){ stage, i }));
	error |= rota_group_wait(&group);
	stage->end = rota_rate_inspect(&stage->rate);
	rota_rate_fini(&stage->rate);
	return error;
}

static int by_time(const void *left, const void *right)
{
	const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;

	return a < b ? -1 : a > b;
}

/* The schedule had a full bucket at the start, and a token each interval: of
 * all that went, none was before its own. */
static void over_three_loops_nobody_goes_before_its_token(void **state)
{
	static struct stage stage;
	struct test_random random;
	unsigned early = 0;

	(void)state;
	test_random_init(&random);
	stage.seed = test_random_next(&random);
	assert_int_equal(test_run_loops(wait_everywhere, &stage), 0);
	assert_int_equal(atomic_load(&stage.wrong), 0);
	assert_int_equal(stage.end.waiting, 0);
	assert_in_range(stage.went, TASKS * (TIMES - BURST), TASKS * TIMES);
	qsort(stage.went_ns, stage.went, sizeof(stage.went_ns[0]), by_time);
	for (int i = BURST; i < (int)stage.went; i++)
		early += stage.went_ns[i] - stage.start_ns <
			 (i + 1 - BURST) * INTERVAL_NS;
	assert_int_equal(early, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_three_loops_nobody_goes_before_its_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
