/* SPDX-License-Identifier: MIT */
/*
 * What ends the wait for a set of descriptors: its deadline, a cancel, what the
 * kernel refuses. And what of it stays.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/pair.h"
#include "support/run.h"

#include <liburing.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS (1000 * ROTA_SECOND)

struct stage {
	struct rota_watch watch;
	struct test_kernel *kernel;
	int pair[2];
	int results[4];
	int64_t ended_ns;
	unsigned turns; /* of another task */
	bool over;
};

static int call(struct race *race)
{
	struct rota_ready ready;
	struct rota_watch watch;
	int result = rota_watch_open(&watch);

	if (result)
		return result;
	result = rota_watch_set(&watch, race->fd, POLLIN, race);
	if (!result)
		result = rota_watch_wait(&watch, ROTA_NEVER, &ready, 1);
	if (result > 0 && ready.data != race)
		result = -EPROTO;
	rota_watch_close(&watch);
	return result;
}

static const struct race_verb watch_verb = {
	.name = "watch",
	.prepare = race_open_pair,
	.call = call,
	.complete = race_send_byte,
	.remains = race_byte_remains,
	.opcode = IORING_OP_POLL_ADD,
};

static void a_wait_ends_in_each_way(void **state)
{
	(void)state;
	test_blocked(&watch_verb, 1, false);
}

static int open_stage(struct stage *stage)
{
	const int error = rota_watch_open(&stage->watch);

	if (error)
		return error;
	return test_pair_open(stage->pair) |
	       rota_watch_set(&stage->watch, stage->pair[0], POLLIN, stage);
}

static int close_stage(struct stage *stage)
{
	rota_watch_close(&stage->watch);
	return test_pair_close(stage->pair);
}

static int wait_until(struct stage *stage, int64_t deadline_ns)
{
	struct rota_ready ready;

	return rota_watch_wait(&stage->watch, deadline_ns, &ready, 1);
}

static void fill(const struct stage *stage)
{
	if (write(stage->pair[1], "x", 1) != 1)
		abort();
}

static int wait_in_vain(void *arg)
{
	struct stage *stage = arg;
	const int error = open_stage(stage);

	if (error)
		return error;
	stage->results[0] = wait_until(stage, START_NS + ROTA_SECOND);
	stage->ended_ns = rota_now_ns();
	stage->results[1] = rota_cancelled();
	fill(stage);
	stage->results[2] = wait_until(stage, START_NS + 2 * ROTA_SECOND);
	return close_stage(stage);
}

static void a_deadline_ends_the_wait_and_not_the_task(void **state)
{
	struct test_kernel kernel;
	struct stage stage = { .kernel = &kernel };

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, START_NS);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, wait_in_vain, &stage), 0);
	assert_int_equal(stage.results[0], 0);
	assert_int_equal(stage.results[1], 0);
	assert_int_equal(stage.results[2], 1);
	assert_true(stage.ended_ns == START_NS + ROTA_SECOND);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

static int count_turns(void *value)
{
	struct stage *stage = *(struct stage **)value;

	while (!stage->over) {
		stage->turns++;
		rota_yield();
	}
	return 0;
}

/* Beside another task: it has a turn in each of these waits. */
static int wait_beside(struct stage *stage, int64_t deadline_ns)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, count_turns, stage);
	for (int i = 0; i < 3 && !error; i++)
		stage->results[i] = wait_until(stage, deadline_ns);
	stage->results[3] = (int)stage->turns;
	stage->over = true;
	return error | rota_group_wait(&group);
}

static int wait_too_late(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage);
	error = wait_beside(stage, 0);
	return error | close_stage(stage);
}

static int wait_for_what_is_there(void *arg)
{
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage);
	error = wait_beside(stage, ROTA_NEVER);
	return error | close_stage(stage);
}

static void what_is_ready_is_told_also_too_late(void **state)
{
	struct stage stage = { .turns = 0 };

	(void)state;
	assert_int_equal(test_run(wait_too_late, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.results[i], 1);
}

static void who_never_has_to_wait_starves_nobody(void **state)
{
	static int (*const cases[])(void *) = { wait_too_late,
						wait_for_what_is_there };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage stage = { .turns = 0 };

		assert_int_equal(test_run(cases[i], &stage), 0);
		assert_in_range(stage.results[3], 3, UINT32_MAX);
	}
}

/* The outer one first. */
static int wait_in_deadline(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_stage(stage);

	if (error)
		return error;
	rota_deadline_begin(&deadline, START_NS + ROTA_SECOND);
	stage->results[0] = wait_until(stage, START_NS + 2 * ROTA_SECOND);
	fill(stage);
	stage->results[1] = wait_until(stage, ROTA_NEVER);
	stage->results[2] = wait_until(stage, 0);
	stage->results[3] =
		rota_watch_set(&stage->watch, stage->pair[0], POLLIN, NULL);
	rota_deadline_end(&deadline);
	return error | close_stage(stage);
}

static void a_cancelled_task_waits_for_none(void **state)
{
	static const int right[] = { -ETIME, -ETIME, -ETIME, 0 };
	struct test_kernel kernel;
	struct stage stage = { .kernel = &kernel };

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, START_NS);
	assert_int_equal(test_run_with(NULL, &kernel.table, wait_in_deadline,
				       &stage),
			 0);
	assert_memory_equal(stage.results, right, sizeof(right));
}

/* Both have come, in whichever order the engine sees them. */
static int wait_in_equal_deadline(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_stage(stage);

	if (error)
		return error;
	rota_deadline_begin(&deadline, START_NS + ROTA_SECOND);
	stage->results[0] = wait_until(stage, START_NS + ROTA_SECOND);
	stage->results[1] = rota_deadline_end(&deadline);
	return error | close_stage(stage);
}

static void the_tasks_own_deadline_is_no_time_that_is_up(void **state)
{
	struct test_kernel kernel;
	struct stage stage = { .kernel = &kernel };

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, START_NS);
	assert_int_equal(test_run_with(NULL, &kernel.table,
				       wait_in_equal_deadline, &stage),
			 0);
	assert_int_equal(stage.results[0], -ETIME);
	assert_int_equal(stage.results[1], 1);
}

static int take_cancelled(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	struct rota_ready ready;
	int error;

	rota_deadline_begin(&deadline, 0);
	error = open_stage(stage);
	if (!error) {
		fill(stage);
		stage->results[0] = rota_watch_take(&stage->watch, &ready, 1);
		error = close_stage(stage);
	}
	rota_deadline_end(&deadline);
	return error;
}

static void a_cancelled_task_opens_takes_and_closes(void **state)
{
	struct stage stage = { .turns = 0 };

	(void)state;
	assert_int_equal(test_run(take_cancelled, &stage), 0);
	assert_int_equal(stage.results[0], 1);
}

/* Somebody else reads what came, between the poll and the look. */
static void steal(struct test_kernel *kernel, void *context)
{
	struct stage *stage = context;
	char byte;

	if (!test_kernel_held(kernel))
		return;
	test_kernel_hold(kernel, NULL, NULL);
	if (read(stage->pair[0], &byte, 1) != 1)
		abort();
	stage->turns++;
	test_kernel_release_all(kernel);
}

static int wait_for_what_is_stolen(void *arg)
{
	static int polls = IORING_OP_POLL_ADD;
	struct stage *stage = arg;
	int error = open_stage(stage);

	if (error)
		return error;
	fill(stage);
	stage->kernel->on_idle = steal;
	stage->kernel->idle_context = stage;
	test_kernel_hold(stage->kernel, test_hold_opcode, &polls);
	stage->results[0] = wait_until(stage, START_NS + ROTA_SECOND);
	stage->ended_ns = rota_now_ns();
	return close_stage(stage);
}

static void a_wait_goes_on_if_another_one_was_quicker(void **state)
{
	struct test_kernel kernel;
	struct stage stage = { .kernel = &kernel };

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, START_NS);
	assert_int_equal(test_run_with(NULL, &kernel.table,
				       wait_for_what_is_stolen, &stage),
			 0);
	assert_int_equal(stage.turns, 1);
	assert_int_equal(stage.results[0], 0);
	assert_true(stage.ended_ns == START_NS + ROTA_SECOND);
}

static int fail_each(void *arg)
{
	struct stage *stage = arg;
	struct test_fault fault = { .call = TEST_WATCH_OPEN, .error = -EMFILE };

	test_kernel_fail(stage->kernel, &fault);
	stage->results[0] = rota_watch_open(&stage->watch);
	stage->results[1] = open_stage(stage);
	fault.call = TEST_WATCH_SET;
	fault.error = -ENOSPC;
	test_kernel_fail(stage->kernel, &fault);
	stage->results[2] =
		rota_watch_set(&stage->watch, stage->pair[0], POLLIN, stage);
	fill(stage);
	stage->results[3] = wait_until(stage, ROTA_NEVER);
	return close_stage(stage);
}

static void what_the_kernel_refuses_is_told(void **state)
{
	static const int right[] = { -EMFILE, 0, -ENOSPC, 1 };
	struct test_kernel kernel;
	struct stage stage = { .kernel = &kernel };

	(void)state;
	test_kernel_init(&kernel);
	assert_int_equal(test_run_with(NULL, &kernel.table, fail_each, &stage),
			 0);
	assert_memory_equal(stage.results, right, sizeof(right));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_ends_in_each_way),
		cmocka_unit_test(a_deadline_ends_the_wait_and_not_the_task),
		cmocka_unit_test(what_is_ready_is_told_also_too_late),
		cmocka_unit_test(who_never_has_to_wait_starves_nobody),
		cmocka_unit_test(a_cancelled_task_waits_for_none),
		cmocka_unit_test(the_tasks_own_deadline_is_no_time_that_is_up),
		cmocka_unit_test(a_cancelled_task_opens_takes_and_closes),
		cmocka_unit_test(a_wait_goes_on_if_another_one_was_quicker),
		cmocka_unit_test(what_the_kernel_refuses_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
