/* SPDX-License-Identifier: MIT */
/*
 * The start of engines of several loops: all of it, or none.
 */
#include "rota/job.h"

#include "cores/engine.h"
#include "support/faulty.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOOPS 4u

/* One engine by either way, in which a call fails. */
struct attempt {
	struct test_faulty kernel;
	struct test_log log;
	struct rota_config config;
	bool run;    /* by rota_run */
	bool called; /* its first task was */
};

static void attempt_init(struct attempt *attempt, bool run)
{
	test_faulty_init(&attempt->kernel);
	attempt->log = (struct test_log){ 0 };
	attempt->config = (struct rota_config){ .loops = LOOPS,
						.log = test_log_write,
						.context = &attempt->log };
	attempt->run = run;
	attempt->called = false;
}

static int note_call(void *arg)
{
	struct attempt *attempt = arg;

	attempt->called = true;
	return 0;
}

/* Starts it, and stops it if that worked. */
static int attempt_make(struct attempt *attempt)
{
	struct test_started started;
	int error;

	if (attempt->run)
		return test_run_with(&attempt->config, &attempt->kernel.table,
				     note_call, attempt);
	error = test_start(&started, &attempt->config, &attempt->kernel.table);
	return error ? error : test_stop(&started, 0);
}

static void fail_once(bool run, enum test_call call, unsigned nth, int error)
{
	struct attempt attempt;

	attempt_init(&attempt, run);
	test_faulty_set(&attempt.kernel, call, nth, error);
	assert_int_equal(attempt_make(&attempt), error);
	assert_false(attempt.called);
	assert_int_equal(test_faulty_left(&attempt.kernel), 0);
	assert_true(attempt.log.lines > 0);
	/* and then nothing is in the way of the next one */
	test_faulty_set(&attempt.kernel, call, 0, 0);
	assert_int_equal(attempt_make(&attempt), 0);
	assert_int_equal(test_faulty_left(&attempt.kernel), 0);
}

static void a_ring_that_is_refused_undoes_the_other_loops(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= LOOPS; nth++) {
		fail_once(false, TEST_RING_OPEN, nth, -EMFILE);
		fail_once(true, TEST_RING_OPEN, nth, -EPERM);
	}
}

static void a_thread_that_cannot_be_started_undoes_the_others(void **state)
{
	(void)state;
	for (unsigned nth = 1; nth <= LOOPS; nth++)
		fail_once(false, TEST_THREAD_START, nth, -EAGAIN);
	for (unsigned nth = 1; nth < LOOPS; nth++)
		fail_once(true, TEST_THREAD_START, nth, -EAGAIN);
}

static void the_line_tells_which_loop_could_not_start(void **state)
{
	struct attempt attempt;

	(void)state;
	attempt_init(&attempt, false);
	test_faulty_set(&attempt.kernel, TEST_RING_OPEN, 3, -EMFILE);
	assert_int_equal(attempt_make(&attempt), -EMFILE);
	assert_true(test_log_has(&attempt.log,
				 "of 4 could not start: Too many open files"));
}

static int refuse_ring(const struct ri_kernel *kernel, unsigned entries,
		       struct io_uring *ring, struct io_uring_params *params)
{
	(void)kernel;
	(void)entries;
	(void)ring;
	(void)params;
	return -EMFILE;
}

static void what_stands_in_the_way_of_all_loops_is_told_once(void **state)
{
	struct attempt attempt;

	(void)state;
	attempt_init(&attempt, false);
	attempt.kernel.table.ring_open = refuse_ring;
	assert_int_equal(attempt_make(&attempt), -EMFILE);
	/* why, and which loop */
	assert_int_equal(attempt.log.lines, 2);
}

/* Each call of a kind fails once: it starts all the same, or tells why not. */
static void fail_each(enum test_call call, bool run)
{
	bool failed = true;

	for (unsigned nth = 1; failed; nth++) {
		struct attempt attempt;
		int error;

		attempt_init(&attempt, run);
		test_faulty_set(&attempt.kernel, call, nth, -ENFILE);
		error = attempt_make(&attempt);
		failed = test_faulty_failed(&attempt.kernel);
		if (!failed)
			assert_int_equal(error, 0);
		assert_true(error == 0 || error == -ENFILE || error == -ENOMEM);
		assert_int_equal(test_faulty_left(&attempt.kernel), 0);
	}
}

static void whatever_is_refused_at_the_start_leaves_nothing(void **state)
{
	static const enum test_call calls[] = { TEST_RING_OPEN, TEST_ENROLL,
						TEST_MAP, TEST_ADVISE,
						TEST_THREAD_START };

	(void)state;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		fail_each(calls[i], false);
		fail_each(calls[i], true);
	}
	setenv("ROTA_MASK", "ring_message", 1);
	fail_each(TEST_EVENT_OPEN, false);
	unsetenv("ROTA_MASK");
}

static void a_config_that_cannot_be_is_refused(void **state)
{
	struct rota_config config = { .loops = ROTA_LOOPS_MAX + 1,
				      .log = test_log_nothing };
	struct rota_engine *engine;

	(void)state;
	assert_int_equal(rota_engine_start(&engine, &config), -EINVAL);
	config = (struct rota_config){ .jobs_max = 1u << 31,
				       .log = test_log_nothing };
	assert_int_equal(rota_engine_start(&engine, &config), -EINVAL);
}

static int which_loop(void *value)
{
	(void)value;
	return (int)rota_loop();
}

static int submit_to(const struct test_started *started, unsigned loop)
{
	struct rota_job job = { .engine = started->engine, .loop = loop };
	const int error = rota_submit(&job, which_loop, 0);

	return error ? error : rota_job_wait(&job);
}

static void several_engines_run_in_one_process(void **state)
{
	struct test_started engines[3];

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(
			test_start(&engines[i],
				   &(struct rota_config){ .loops = i + 1 },
				   NULL),
			0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(submit_to(&engines[i], i), i);
	assert_int_equal(test_stop(&engines[1], 0), 0);
	assert_int_equal(submit_to(&engines[0], 0), 0);
	assert_int_equal(submit_to(&engines[2], 2), 2);
	assert_int_equal(test_stop(&engines[0], 0), 0);
	assert_int_equal(test_stop(&engines[2], 0), 0);
}

static int start_inside(void *arg)
{
	struct rota_engine *engine;
	int error = rota_engine_start(&engine, NULL);

	(void)arg;
	return error ? error : rota_engine_stop(engine, 0);
}

static void a_task_may_start_and_stop_another_engine(void **state)
{
	(void)state;
	assert_int_equal(test_run(start_inside, NULL), 0);
}

static void starts_one_after_the_other_leave_nothing(void **state)
{
	struct attempt attempt;
	unsigned descriptors;

	(void)state;
	attempt_init(&attempt, false);
	assert_int_equal(attempt_make(&attempt), 0);
	descriptors = test_process_descriptors();
	for (int i = 0; i < 10; i++)
		assert_int_equal(attempt_make(&attempt), 0);
	assert_int_equal(test_process_descriptors(), descriptors);
	assert_int_equal(test_faulty_left(&attempt.kernel), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_that_is_refused_undoes_the_other_loops),
		cmocka_unit_test(
			a_thread_that_cannot_be_started_undoes_the_others),
		cmocka_unit_test(the_line_tells_which_loop_could_not_start),
		cmocka_unit_test(
			what_stands_in_the_way_of_all_loops_is_told_once),
		cmocka_unit_test(
			whatever_is_refused_at_the_start_leaves_nothing),
		cmocka_unit_test(a_config_that_cannot_be_is_refused),
		cmocka_unit_test(several_engines_run_in_one_process),
		cmocka_unit_test(a_task_may_start_and_stop_another_engine),
		cmocka_unit_test(starts_one_after_the_other_leave_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
