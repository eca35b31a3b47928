/* SPDX-License-Identifier: MIT */
/*
 * Rates, under a clock of the test's: who goes on when, to the nanosecond, and
 * what a cancel takes away (nothing).
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define INTERVAL_NS (10 * ROTA_MILLISECOND)
#define MEMBERS 4
#define NOTES 8

struct stage {
	struct test_kernel kernel;
	struct rota_rate rate;
	struct rota_group all;             /* those who wait */
	struct rota_group groups[MEMBERS]; /* ... in one each */
	int codes[NOTES];                  /* what waits and tries said */
	int64_t times_ns[NOTES];           /* after them */
	struct rota_rate_state seen[2];    /* at some moments */
};

static int init(struct stage *stage, uint64_t burst)
{
	rota_group_open(&stage->all, NULL);
	return rota_rate_init(&stage->rate, &(struct rota_rate_options){
						    .interval_ns = INTERVAL_NS,
						    .burst = burst });
}

static int fini(struct stage *stage)
{
	const int error = rota_group_wait(&stage->all);

	rota_rate_fini(&stage->rate);
	return error;
}

static void note(struct stage *stage, int index, uint64_t count)
{
	stage->codes[index] = rota_rate_wait(&stage->rate, count);
	stage->times_ns[index] = test_now_ns();
}

struct member {
	struct stage *stage;
	int index;
	uint64_t count;
};

static int wait_there(void *value)
{
	const struct member *member = value;
	struct stage *stage = member->stage;

	rota_group_open(&stage->groups[member->index], NULL);
	note(stage, member->index, member->count);
	rota_group_wait(&stage->groups[member->index]);
	return 0;
}

/* Somebody waits, from now on. */
static int let_wait(struct stage *stage, int index, uint64_t count)
{
	return rota_go(&stage->all, wait_there,
		       ((struct member){ stage, index, count })) |
	       rota_yield() | rota_yield();
}

static void cancel(struct stage *stage, int index)
{
	rota_group_cancel(&stage->groups[index],
			  (struct rota_cancellation){ 0, NULL });
}

static void run(int (*fn)(void *), struct stage *stage)
{
	assert_int_equal(test_run_timed_with(NULL, &stage->kernel, fn, stage),
			 0);
}

/* In tenths of an interval. */
static void assert_went(const struct stage *stage, int index, int tenths)
{
	assert_int_equal(stage->codes[index], 0);
	assert_int_equal(stage->times_ns[index], tenths * INTERVAL_NS / 10);
}

static void assert_cancelled(const struct stage *stage, int index, int tenths)
{
	assert_int_equal(stage->codes[index], -ECANCELED);
	assert_int_equal(stage->times_ns[index], tenths * INTERVAL_NS / 10);
}

static int spend(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 3);

	for (int i = 0; i < 6; i++)
		note(stage, i, 1);
	return error | fini(stage);
}

static void a_burst_goes_at_once_and_then_one_an_interval(void **state)
{
	static struct stage stage;

	(void)state;
	run(spend, &stage);
	for (int i = 0; i < 6; i++)
		assert_went(&stage, i, i < 3 ? 0 : 10 * (i - 2));
}

static int be_early(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	note(stage, 0, 1);
	stage->kernel.clock_ns += INTERVAL_NS - 1;
	note(stage, 1, 1);
	return error | fini(stage);
}

static void who_is_early_by_a_nanosecond_waits_for_it(void **state)
{
	static struct stage stage;

	(void)state;
	run(be_early, &stage);
	assert_went(&stage, 1, 10);
}

static int be_late(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	for (int i = 0; i < 6; i++) {
		note(stage, i, 1);
		stage->kernel.clock_ns += i * INTERVAL_NS / 10;
	}
	return error | fini(stage);
}

static void who_is_a_little_late_does_not_move_the_schedule(void **state)
{
	static struct stage stage;

	(void)state;
	run(be_late, &stage);
	for (int i = 0; i < 6; i++)
		assert_went(&stage, i, 10 * i);
}

/* The loop is held up while the front one sleeps: it goes on late. */
static int hold_up(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	note(stage, 0, 1);
	error |= let_wait(stage, 1, 1) | let_wait(stage, 2, 1);
	error |= rota_sleep(INTERVAL_NS / 2);
	stage->kernel.clock_ns += 7 * INTERVAL_NS / 10;
	return error | fini(stage);
}

static void one_that_wakes_late_does_not_move_the_next(void **state)
{
	static struct stage stage;

	(void)state;
	run(hold_up, &stage);
	assert_went(&stage, 1, 12);
	assert_went(&stage, 2, 20);
}

static int stall(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 2);

	note(stage, 0, 2);
	error |= let_wait(stage, 0, 1) | let_wait(stage, 1, 1);
	error |= let_wait(stage, 2, 1) | let_wait(stage, 3, 1);
	stage->kernel.clock_ns += 20 * INTERVAL_NS;
	return error | fini(stage);
}

static void after_a_stall_no_more_go_than_are_due_and_a_burst(void **state)
{
	static struct stage stage;

	(void)state;
	run(stall, &stage);
	assert_went(&stage, 0, 200);
	assert_went(&stage, 1, 200);
	assert_went(&stage, 2, 200);
	assert_went(&stage, 3, 210);
}

static int stay_idle(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 2);

	stage->seen[0] = rota_rate_inspect(&stage->rate);
	error |= rota_sleep(100 * INTERVAL_NS + INTERVAL_NS / 2);
	for (int i = 0; i < 4; i++)
		note(stage, i, 1);
	error |= rota_sleep(100 * INTERVAL_NS);
	stage->seen[1] = rota_rate_inspect(&stage->rate);
	return error | fini(stage);
}

static void idle_time_adds_up_to_a_burst_and_no_further(void **state)
{
	static struct stage stage;

	(void)state;
	run(stay_idle, &stage);
	assert_int_equal(stage.seen[0].tokens, 2);
	assert_int_equal(stage.seen[1].tokens, 2);
	assert_went(&stage, 0, 1005);
	assert_went(&stage, 1, 1005);
	assert_went(&stage, 2, 1015);
	assert_went(&stage, 3, 1025);
}

static int want_many(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 4);

	note(stage, 4, 3);
	error |= let_wait(stage, 0, 4);
	error |= let_wait(stage, 1, 1) | let_wait(stage, 2, 2);
	stage->codes[5] = rota_rate_try(&stage->rate, 1);
	stage->codes[6] = rota_rate_try(&stage->rate, 0);
	stage->seen[0] = rota_rate_inspect(&stage->rate);
	return error | fini(stage);
}

static void nobody_passes_one_who_waits_for_many(void **state)
{
	static struct stage stage;

	(void)state;
	run(want_many, &stage);
	assert_went(&stage, 0, 30);
	assert_went(&stage, 1, 40);
	assert_went(&stage, 2, 60);
	assert_int_equal(stage.codes[5], -EAGAIN);
	assert_int_equal(stage.codes[6], -EAGAIN);
	assert_int_equal(stage.seen[0].tokens, 1);
	assert_int_equal(stage.seen[0].waiting, 3);
}

static int try_some(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 2);

	stage->codes[0] = rota_rate_try(&stage->rate, 3);
	stage->codes[1] = rota_rate_wait(&stage->rate, 3);
	stage->codes[2] = rota_rate_try(&stage->rate, 2);
	stage->codes[3] = rota_rate_try(&stage->rate, 1);
	stage->codes[4] = rota_rate_try(&stage->rate, 0);
	error |= rota_sleep(INTERVAL_NS - 1);
	stage->codes[5] = rota_rate_try(&stage->rate, 1);
	error |= rota_sleep(1);
	stage->codes[6] = rota_rate_try(&stage->rate, 1);
	return error | fini(stage);
}

static void a_try_takes_what_is_there_to_the_nanosecond(void **state)
{
	static const int codes[] = {
		-EINVAL, -EINVAL, 0, -EAGAIN, 0, -EAGAIN, 0
	};
	static struct stage stage;

	(void)state;
	run(try_some, &stage);
	assert_memory_equal(stage.codes, codes, sizeof(codes));
}

static int cancel_front(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 3);

	note(stage, 4, 3);
	error |= let_wait(stage, 0, 3);
	error |= let_wait(stage, 1, 1) | let_wait(stage, 2, 1);
	error |= rota_sleep(INTERVAL_NS / 2);
	cancel(stage, 0);
	return error | fini(stage);
}

static void a_cancelled_front_one_has_taken_nothing(void **state)
{
	static struct stage stage;

	(void)state;
	run(cancel_front, &stage);
	assert_cancelled(&stage, 0, 5);
	assert_went(&stage, 1, 10);
	assert_went(&stage, 2, 20);
}

static int cancel_middle(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	note(stage, 4, 1);
	for (int i = 0; i < 3; i++)
		error |= let_wait(stage, i, 1);
	error |= rota_sleep(INTERVAL_NS / 2);
	cancel(stage, 1);
	return error | fini(stage);
}

static void one_cancelled_in_the_line_has_taken_nothing(void **state)
{
	static struct stage stage;

	(void)state;
	run(cancel_middle, &stage);
	assert_went(&stage, 0, 10);
	assert_cancelled(&stage, 1, 5);
	assert_went(&stage, 2, 20);
}

static int cancel_then(void *value)
{
	struct stage *stage = *(struct stage **)value;
	const int error = rota_sleep(INTERVAL_NS);

	stage->codes[5] = stage->codes[0];
	cancel(stage, 0);
	return error;
}

/* It is woken in the same turn as who cancels it, but after that one, which
 * went to sleep before. */
static int cancel_at_its_moment(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	note(stage, 4, 1);
	stage->codes[0] = 1;
	error |= rota_go(&stage->all, cancel_then, stage) | rota_yield();
	error |= let_wait(stage, 0, 1) | let_wait(stage, 1, 1);
	return error | fini(stage);
}

static void one_cancelled_at_its_moment_has_taken_nothing(void **state)
{
	static struct stage stage;

	(void)state;
	run(cancel_at_its_moment, &stage);
	assert_int_equal(stage.codes[5], 1);
	assert_cancelled(&stage, 0, 10);
	assert_went(&stage, 1, 10);
}

/* The front one goes on, and cancels the next one before that hears. */
static int cancel_next(void *arg)
{
	struct stage *stage = arg;
	int error = init(stage, 1);

	note(stage, 4, 1);
	error |= rota_go(&stage->all, wait_there,
			 ((struct member){ stage, 0, 1 }));
	error |= rota_go(&stage->all, wait_there,
			 ((struct member){ stage, 1, 1 }));
	note(stage, 5, 1);
	cancel(stage, 0);
	return error | fini(stage);
}

static void one_cancelled_as_it_comes_to_the_front_passes_on(void **state)
{
	static struct stage stage;

	(void)state;
	run(cancel_next, &stage);
	assert_went(&stage, 5, 10);
	assert_cancelled(&stage, 0, 10);
	assert_went(&stage, 1, 20);
}

static int wait_too_late(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = init(stage, 1);

	rota_deadline_begin(&deadline, 0);
	note(stage, 0, 1);
	rota_deadline_end(&deadline);
	note(stage, 1, 1);
	rota_deadline_begin(&deadline, rota_after_ns(INTERVAL_NS / 2));
	note(stage, 2, 1);
	rota_deadline_end(&deadline);
	note(stage, 3, 1);
	return error | fini(stage);
}

static void deadlines_end_waits_and_take_nothing(void **state)
{
	static struct stage stage;

	(void)state;
	run(wait_too_late, &stage);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_went(&stage, 1, 0);
	assert_int_equal(stage.codes[2], -ETIME);
	assert_int_equal(stage.times_ns[2], INTERVAL_NS / 2);
	assert_went(&stage, 3, 10);
}

static void a_schedule_that_cannot_be_is_refused(void **state)
{
	static const struct rota_rate_options bad[] = {
		{ .interval_ns = 0, .burst = 1 },
		{ .interval_ns = -1, .burst = 1 },
		{ .interval_ns = INT64_MAX },
		{ .interval_ns = 1, .burst = UINT64_MAX },
		{ .interval_ns = ROTA_SECOND, .burst = UINT64_C(1) << 62 },
	};
	const struct rota_rate_options slow = { .interval_ns = INT64_MAX / 4 };
	struct rota_rate rate;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(rota_rate_init(&rate, &bad[i]), -EINVAL);
	assert_int_equal(rota_rate_init(&rate, &slow), 0);
	assert_int_equal(rota_rate_try(&rate, 1), 0);
	assert_int_equal(rota_rate_try(&rate, 1), -EAGAIN);
	rota_rate_fini(&rate);
}

static int end_too_early(void *arg)
{
	static struct stage stage;

	(void)arg;
	/* By the real clock: nobody shall wait so long. */
	if (init(&stage, 1) ||
	    rota_rate_init(&stage.rate,
			   &(struct rota_rate_options){
				   .interval_ns = 3600 * ROTA_SECOND }) ||
	    rota_rate_wait(&stage.rate, 1))
		return -EPROTO;
	TEST_NEXT_LINE();
	if (rota_go(&stage.all, wait_there, ((struct member){ &stage, 0, 1 })))
		return -EPROTO;
	if (rota_yield())
		return -EPROTO;
	rota_rate_fini(&stage.rate);
	return rota_group_wait(&stage.all);
}

static int use_afterwards(void *arg)
{
	static struct stage stage;

	(void)arg;
	if (init(&stage, 1) || fini(&stage))
		return -EPROTO;
	return rota_rate_wait(&stage.rate, 1);
}

static void broken_promises_are_named(void **state)
{
	(void)state;
	test_expect_abort(end_too_early, "waits for the rate");
	test_expect_abort(use_afterwards, "has had its fini");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_burst_goes_at_once_and_then_one_an_interval),
		cmocka_unit_test(who_is_early_by_a_nanosecond_waits_for_it),
		cmocka_unit_test(
			who_is_a_little_late_does_not_move_the_schedule),
		cmocka_unit_test(one_that_wakes_late_does_not_move_the_next),
		cmocka_unit_test(
			after_a_stall_no_more_go_than_are_due_and_a_burst),
		cmocka_unit_test(idle_time_adds_up_to_a_burst_and_no_further),
		cmocka_unit_test(nobody_passes_one_who_waits_for_many),
		cmocka_unit_test(a_try_takes_what_is_there_to_the_nanosecond),
		cmocka_unit_test(a_cancelled_front_one_has_taken_nothing),
		cmocka_unit_test(one_cancelled_in_the_line_has_taken_nothing),
		cmocka_unit_test(one_cancelled_at_its_moment_has_taken_nothing),
		cmocka_unit_test(
			one_cancelled_as_it_comes_to_the_front_passes_on),
		cmocka_unit_test(deadlines_end_waits_and_take_nothing),
		cmocka_unit_test(a_schedule_that_cannot_be_is_refused),
		cmocka_unit_test(broken_promises_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
