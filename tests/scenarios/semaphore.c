/* SPDX-License-Identifier: MIT */
/*
 * Stories of limits: crowds that share permits, one who wants all of them, one
 * who gives up. The scenarios are those that Go's weighted semaphore is tested
 * with.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define SIZE 10
#define CROWD 10
#define TIMES 20

struct stage {
	struct rota_limit limit;
	uint64_t held, most; /* permits, by what the tasks themselves count */
	int codes[8];
	bool over; /* the crowd may go home */
	int64_t now_ns;
};

struct member {
	struct stage *stage;
	uint64_t count;
};

static int take_and_sleep(struct stage *stage, uint64_t count)
{
	int error = rota_limit_acquire(&stage->limit, count);

	if (error)
		return error;
	stage->held += count;
	if (stage->held > stage->most)
		stage->most = stage->held;
	error = rota_sleep((int64_t)count * ROTA_MICROSECOND);
	stage->held -= count;
	rota_limit_release(&stage->limit, count);
	return error;
}

static int hammer(void *value)
{
	const struct member *member = value;
	int error = 0;

	for (int i = 0; i < TIMES && !error; i++)
		error = take_and_sleep(member->stage, member->count);
	return error;
}

static int hammer_all(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_limit_init(&stage->limit, SIZE, NULL);
	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < CROWD && !error; i++)
		error = rota_go(&group, hammer,
				((struct member){ stage, i % SIZE + 1 }));
	error |= rota_group_wait(&group);
	rota_limit_fini(&stage->limit);
	return error;
}

static void a_crowd_never_holds_more_than_there_are(void **state)
{
	struct stage stage = { .held = 0 };

	(void)state;
	assert_int_equal(test_run_timed(hammer_all, &stage), 0);
	assert_in_range(stage.most, SIZE / 2, SIZE);
	assert_int_equal(stage.held, 0);
}

static int crowd_in(void *value)
{
	const struct member *member = value;
	int error = 0;

	while (!member->stage->over && !error)
		error = take_and_sleep(member->stage, member->count);
	return error;
}

static int want_all(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_limit_init(&stage->limit, SIZE, NULL);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 3 * SIZE && !error; i++)
		error = rota_go(&group, crowd_in,
				((struct member){ stage, 1 }));
	error |= rota_sleep(100 * ROTA_MICROSECOND);
	stage->codes[0] = rota_limit_acquire(&stage->limit, SIZE);
	stage->now_ns = test_now_ns();
	stage->over = true;
	rota_limit_release(&stage->limit, SIZE);
	error |= rota_group_wait(&group);
	rota_limit_fini(&stage->limit);
	return error;
}

static void who_wants_all_is_not_starved_by_a_crowd(void **state)
{
	struct stage stage = { .held = 0 };

	(void)state;
	assert_int_equal(test_run_timed(want_all, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_in_range(stage.now_ns, 100 * ROTA_MICROSECOND,
			110 * ROTA_MICROSECOND);
}

/* Wants all of them, for a while. */
static int want_too_long(void *value)
{
	struct stage *stage = ((struct member *)value)->stage;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(10));
	stage->codes[0] = rota_limit_acquire(&stage->limit, SIZE);
	rota_deadline_end(&deadline);
	return 0;
}

static int want_one(void *value)
{
	struct stage *stage = ((struct member *)value)->stage;

	stage->codes[1] = rota_limit_acquire(&stage->limit, 1);
	stage->now_ns = test_now_ns();
	rota_limit_release(&stage->limit, 1);
	return 0;
}

static int give_up(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error;

	rota_limit_init(&stage->limit, SIZE, NULL);
	error = rota_limit_acquire(&stage->limit, 1);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, want_too_long, ((struct member){ stage, 0 }));
	error |= rota_go(&group, want_one, ((struct member){ stage, 0 }));
	error |= rota_group_wait(&group);
	rota_limit_release(&stage->limit, 1);
	rota_limit_fini(&stage->limit);
	return error;
}

static void once_the_large_one_gives_up_the_small_one_goes_on(void **state)
{
	struct stage stage = { .held = 0 };

	(void)state;
	assert_int_equal(test_run_timed(give_up, &stage), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.now_ns, 10);
}

static int ask_for_what_never_is(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;

	rota_limit_init(&stage->limit, 2, NULL);
	stage->codes[0] = rota_limit_acquire(&stage->limit, 3);
	stage->codes[1] = rota_limit_acquire(&stage->limit, 2);
	rota_deadline_begin(&deadline, rota_after_ns(10));
	stage->codes[2] = rota_limit_acquire(&stage->limit, 1);
	rota_deadline_end(&deadline);
	rota_limit_release(&stage->limit, 2);
	stage->codes[3] = rota_limit_try_acquire(&stage->limit, 1);
	stage->codes[4] = rota_limit_try_acquire(&stage->limit, 1);
	stage->codes[5] = rota_limit_try_acquire(&stage->limit, 1);
	rota_limit_release(&stage->limit, 2);
	stage->codes[6] = rota_limit_try_acquire(&stage->limit, 1);
	rota_limit_release(&stage->limit, 1);
	rota_limit_fini(&stage->limit);
	return 0;
}

static void who_asks_for_more_than_all_keeps_nobody_waiting(void **state)
{
	static const int codes[] = { -EINVAL, 0, -ETIME, 0, 0, -EAGAIN, 0 };
	struct stage stage = { .held = 0 };

	(void)state;
	assert_int_equal(test_run_timed(ask_for_what_never_is, &stage), 0);
	assert_memory_equal(stage.codes, codes, sizeof(codes));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_crowd_never_holds_more_than_there_are),
		cmocka_unit_test(who_wants_all_is_not_starved_by_a_crowd),
		cmocka_unit_test(
			once_the_large_one_gives_up_the_small_one_goes_on),
		cmocka_unit_test(
			who_asks_for_more_than_all_keeps_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
