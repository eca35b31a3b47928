/* SPDX-License-Identifier: MIT */
/*
 * A limit on one loop: who gets permits, when, and what a cancel leaves.
 */
#include "rota/rota.h"
#include "support/run.h"
#include "support/trail.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ASKERS 4

struct stage {
	struct rota_limit limit;
	struct rota_group all;            /* in it are those who ask */
	struct rota_group groups[ASKERS]; /* ... in one each */
	struct test_trail trail;          /* who got its permits, in order */
	int codes[ASKERS];                /* what they were told */
	int tries[8];                     /* what the test was told */
	struct rota_limit_state seen[4];  /* at some moments */
};

struct asking {
	struct stage *stage;
	int index;      /* of who asks */
	uint64_t count; /* of permits, which it keeps */
};

static int ask(void *value)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	const struct asking *asking = value;
	struct stage *stage = asking->stage;
	struct rota_group *group = &stage->groups[asking->index];
	int code;

	rota_group_open(group, NULL);
	code = rota_limit_acquire(&stage->limit, asking->count);
	stage->codes[asking->index] = code;
	if (!code)
		test_trail_add(&stage->trail, names[asking->index]);
	rota_group_wait(group);
	return 0;
}

/* Somebody asks, and waits or has them when this returns. */
static int let_ask(struct stage *stage, int index, uint64_t count)
{
	stage->codes[index] = 1;
	return rota_go(&stage->all, ask,
		       ((struct asking){ stage, index, count })) |
	       rota_yield() | rota_yield();
}

static void cancel(struct stage *stage, int index)
{
	rota_group_cancel(&stage->groups[index],
			  (struct rota_cancellation){ 0, NULL });
}

static int settle(void)
{
	int error = 0;

	for (int i = 0; i < 8; i++)
		error |= rota_yield();
	return error;
}

static int open_stage(struct stage *stage, uint64_t size)
{
	rota_limit_init(&stage->limit, size, NULL);
	rota_group_open(&stage->all, NULL);
	return rota_limit_acquire(&stage->limit, size);
}

static int close_stage(struct stage *stage)
{
	const int error = rota_group_wait(&stage->all);

	rota_limit_fini(&stage->limit);
	return error;
}

static int try_some(void *arg)
{
	struct stage *stage = arg;
	int *tries = stage->tries;

	rota_limit_init(&stage->limit, 3, NULL);
	tries[0] = rota_limit_try_acquire(&stage->limit, 2);
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	tries[1] = rota_limit_try_acquire(&stage->limit, 2);
	tries[2] = rota_limit_acquire(&stage->limit, 1);
	tries[3] = rota_limit_try_acquire(&stage->limit, 1);
	rota_limit_release(&stage->limit, 2);
	tries[4] = rota_limit_try_acquire(&stage->limit, 1);
	rota_limit_release(&stage->limit, 2);
	stage->seen[1] = rota_limit_inspect(&stage->limit);
	rota_limit_fini(&stage->limit);
	return 0;
}

static void permits_are_there_until_they_are_acquired(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(try_some, &stage), 0);
	assert_int_equal(stage.tries[0], 0);
	assert_int_equal(stage.tries[1], -EAGAIN);
	assert_int_equal(stage.tries[2], 0);
	assert_int_equal(stage.tries[3], -EAGAIN);
	assert_int_equal(stage.tries[4], 0);
	assert_int_equal(stage.seen[0].size, 3);
	assert_int_equal(stage.seen[0].used, 2);
	assert_int_equal(stage.seen[0].waiting, 0);
	assert_int_equal(stage.seen[1].used, 0);
}

static int ask_for_too_many(void *arg)
{
	struct stage *stage = arg;

	rota_limit_init(&stage->limit, 3, NULL);
	stage->tries[0] = rota_limit_acquire(&stage->limit, 4);
	stage->tries[1] = rota_limit_try_acquire(&stage->limit, 4);
	stage->tries[2] = rota_limit_acquire(&stage->limit, UINT64_MAX);
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	rota_limit_fini(&stage->limit);
	return 0;
}

static void more_than_there_will_ever_be_are_refused_at_once(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(ask_for_too_many, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.tries[i], -EINVAL);
	assert_int_equal(stage.seen[0].used, 0);
}

static int queue_up(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 1);

	for (int i = 0; i < ASKERS; i++)
		error |= let_ask(stage, i, 1);
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	for (int i = 0; i < ASKERS; i++) {
		rota_limit_release(&stage->limit, 1);
		error |= settle();
		test_trail_add(&stage->trail, " ");
	}
	rota_limit_release(&stage->limit, 1);
	return error | close_stage(stage);
}

static void who_waits_is_served_in_the_order_in_which_it_came(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(queue_up, &stage), 0);
	assert_string_equal(stage.trail.text, "a b c d ");
	assert_int_equal(stage.seen[0].waiting, ASKERS);
	assert_int_equal(stage.seen[0].used, 1);
}

static int wait_for_many(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 5);

	error |= let_ask(stage, 0, 3);
	rota_limit_release(&stage->limit, 2);
	error |= let_ask(stage, 1, 1);
	stage->tries[0] = rota_limit_try_acquire(&stage->limit, 1);
	stage->tries[1] = rota_limit_try_acquire(&stage->limit, 0);
	error |= settle();
	test_trail_add(&stage->trail, "|");
	rota_limit_release(&stage->limit, 1);
	error |= settle();
	test_trail_add(&stage->trail, "|");
	rota_limit_release(&stage->limit, 1);
	error |= settle();
	rota_limit_release(&stage->limit, 5);
	return error | close_stage(stage);
}

static void nobody_passes_one_who_waits_for_many(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(wait_for_many, &stage), 0);
	assert_string_equal(stage.trail.text, "|a|b");
	assert_int_equal(stage.tries[0], -EAGAIN);
	assert_int_equal(stage.tries[1], -EAGAIN);
}

static int release_some(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 6);

	error |= let_ask(stage, 0, 1) | let_ask(stage, 1, 2);
	error |= let_ask(stage, 2, 3) | let_ask(stage, 3, 1);
	rota_limit_release(&stage->limit, 4);
	error |= settle();
	test_trail_add(&stage->trail, "|");
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	rota_limit_release(&stage->limit, 5);
	error |= settle();
	rota_limit_release(&stage->limit, 4);
	return error | close_stage(stage);
}

static void a_release_serves_all_that_have_enough(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(release_some, &stage), 0);
	assert_string_equal(stage.trail.text, "ab|cd");
	assert_int_equal(stage.seen[0].used, 5);
	assert_int_equal(stage.seen[0].waiting, 2);
}

static int ask_for_none(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 2);

	error |= let_ask(stage, 0, 0);
	stage->tries[0] = rota_limit_try_acquire(&stage->limit, 0);
	test_trail_add(&stage->trail, "|");
	error |= let_ask(stage, 1, 1) | let_ask(stage, 2, 0);
	test_trail_add(&stage->trail, "|");
	rota_limit_release(&stage->limit, 1);
	error |= settle();
	rota_limit_release(&stage->limit, 2);
	return error | close_stage(stage);
}

static void none_are_there_at_once_unless_somebody_waits(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(ask_for_none, &stage), 0);
	assert_string_equal(stage.trail.text, "a||bc");
	assert_int_equal(stage.tries[0], 0);
}

static int cancel_first(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 3);

	error |= let_ask(stage, 0, 3) | let_ask(stage, 1, 1);
	error |= let_ask(stage, 2, 1) | let_ask(stage, 3, 1);
	rota_limit_release(&stage->limit, 2);
	cancel(stage, 0);
	error |= settle();
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	rota_limit_release(&stage->limit, 1);
	error |= settle();
	rota_limit_release(&stage->limit, 3);
	return error | close_stage(stage);
}

static void those_behind_a_cancelled_one_go_on_who_can(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_first, &stage), 0);
	assert_string_equal(stage.trail.text, "bcd");
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_int_equal(stage.seen[0].used, 3);
	assert_int_equal(stage.seen[0].waiting, 1);
}

static int cancel_middle(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 1);

	error |= let_ask(stage, 0, 1) | let_ask(stage, 1, 1);
	error |= let_ask(stage, 2, 1);
	cancel(stage, 1);
	error |= settle();
	for (int i = 0; i < 3; i++) {
		rota_limit_release(&stage->limit, 1);
		error |= settle();
	}
	return error | close_stage(stage);
}

static void a_cancelled_one_leaves_the_others_where_they_stand(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_middle, &stage), 0);
	assert_string_equal(stage.trail.text, "ac");
	assert_int_equal(stage.codes[1], -ECANCELED);
}

static int cancel_served(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, 2);

	error |= let_ask(stage, 0, 2) | let_ask(stage, 1, 1);
	rota_limit_release(&stage->limit, 2);
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	cancel(stage, 0);
	error |= settle();
	stage->seen[1] = rota_limit_inspect(&stage->limit);
	rota_limit_release(&stage->limit, 1);
	return error | close_stage(stage);
}

static void permits_given_just_before_a_cancel_are_put_back(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(cancel_served, &stage), 0);
	assert_int_equal(stage.seen[0].used, 2);
	assert_int_equal(stage.codes[0], -ECANCELED);
	assert_string_equal(stage.trail.text, "b");
	assert_int_equal(stage.seen[1].used, 1);
}

static int ask_too_late(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;

	rota_limit_init(&stage->limit, 1, NULL);
	rota_deadline_begin(&deadline, 0);
	stage->tries[0] = rota_limit_acquire(&stage->limit, 1);
	stage->tries[1] = rota_limit_try_acquire(&stage->limit, 1);
	rota_limit_release(&stage->limit, 1);
	rota_deadline_end(&deadline);
	rota_limit_fini(&stage->limit);
	return 0;
}

static void a_cancelled_task_acquires_nothing_but_may_try(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(ask_too_late, &stage), 0);
	assert_int_equal(stage.tries[0], -ETIME);
	assert_int_equal(stage.tries[1], 0);
}

static int wait_too_long(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_stage(stage, 1);

	rota_deadline_begin(&deadline, rota_after_ns(1000));
	stage->tries[0] = rota_limit_acquire(&stage->limit, 1);
	stage->tries[1] = rota_deadline_end(&deadline);
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	rota_limit_release(&stage->limit, 1);
	return error | close_stage(stage);
}

static void a_deadline_ends_the_wait(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	assert_int_equal(test_run(wait_too_long, &stage), 0);
	assert_int_equal(stage.tries[0], -ETIME);
	assert_true(stage.tries[1]);
	assert_int_equal(stage.seen[0].waiting, 0);
	assert_int_equal(stage.seen[0].used, 1);
}

#define CROWD 1000

static unsigned crowd_served;

static int join_crowd(void *value)
{
	struct stage *stage = *(struct stage **)value;
	const int error = rota_limit_acquire(&stage->limit, 1);

	crowd_served += !error;
	return error;
}

static int serve_crowd(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage, CROWD);

	for (int i = 0; i < CROWD && !error; i++)
		error = rota_go(&stage->all, join_crowd, stage);
	error |= settle();
	stage->seen[0] = rota_limit_inspect(&stage->limit);
	rota_limit_release(&stage->limit, CROWD);
	stage->seen[1] = rota_limit_inspect(&stage->limit);
	error |= settle();
	rota_limit_release(&stage->limit, CROWD);
	return error | close_stage(stage);
}

static void one_release_serves_a_crowd(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	crowd_served = 0;
	assert_int_equal(test_run(serve_crowd, &stage), 0);
	assert_int_equal(stage.seen[0].waiting, CROWD);
	assert_int_equal(stage.seen[1].waiting, 0);
	assert_int_equal(stage.seen[1].used, CROWD);
	assert_int_equal(crowd_served, CROWD);
}

static void *release_there(void *arg)
{
	struct stage *stage = arg;

	while (!rota_limit_inspect(&stage->limit).waiting)
		sched_yield();
	rota_limit_release(&stage->limit, 2);
	return NULL;
}

static int wait_for_thread(void *arg)
{
	struct stage *stage = arg;
	pthread_t thread;
	int error;

	if (pthread_create(&thread, NULL, release_there, stage))
		return -EAGAIN;
	error = rota_limit_acquire(&stage->limit, 1);
	pthread_join(thread, NULL);
	return error;
}

static void what_is_made_outside_any_thread_may_release(void **state)
{
	struct stage stage = { .limit.size = 0 };

	(void)state;
	rota_limit_init(&stage.limit, 2, NULL);
	assert_int_equal(rota_limit_try_acquire(&stage.limit, 2), 0);
	assert_int_equal(test_run(wait_for_thread, &stage), 0);
	rota_limit_release(&stage.limit, 1);
	rota_limit_fini(&stage.limit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permits_are_there_until_they_are_acquired),
		cmocka_unit_test(
			more_than_there_will_ever_be_are_refused_at_once),
		cmocka_unit_test(
			who_waits_is_served_in_the_order_in_which_it_came),
		cmocka_unit_test(nobody_passes_one_who_waits_for_many),
		cmocka_unit_test(a_release_serves_all_that_have_enough),
		cmocka_unit_test(none_are_there_at_once_unless_somebody_waits),
		cmocka_unit_test(those_behind_a_cancelled_one_go_on_who_can),
		cmocka_unit_test(
			a_cancelled_one_leaves_the_others_where_they_stand),
		cmocka_unit_test(
			permits_given_just_before_a_cancel_are_put_back),
		cmocka_unit_test(a_cancelled_task_acquires_nothing_but_may_try),
		cmocka_unit_test(a_deadline_ends_the_wait),
		cmocka_unit_test(one_release_serves_a_crowd),
		cmocka_unit_test(what_is_made_outside_any_thread_may_release),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
