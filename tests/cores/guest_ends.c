/* SPDX-License-Identifier: MIT */
/*
 * Guests that cannot be made, or do not end well.
 */
#include "rota/guest.h"
#include "rota/job.h"

#include "support/child.h"
#include "support/door.h"
#include "support/faulty.h"
#include "support/guest.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void make(struct test_guest *guest)
{
	assert_int_equal(test_guest_make(guest, NULL, NULL), 0);
}

static void end(struct test_guest *guest)
{
	assert_int_equal(test_guest_end(guest), 0);
}

/* A job with a pointer, from this thread or another one. */
#define submit(guest, job, fn, pointer)                           \
	(*(job) = (struct rota_job){ .engine = (guest)->engine }, \
	 rota_submit((job), fn, pointer))

static int nap(void *value)
{
	(void)value;
	return rota_sleep(ROTA_MILLISECOND) ? -1 : 42;
}

static void whatever_is_refused_at_the_making_leaves_nothing(void **state)
{
	static const enum test_call calls[] = { TEST_RING_OPEN, TEST_ENROLL,
						TEST_MAP, TEST_EVENT_OPEN };
	const struct rota_config config = { .log = test_log_nothing };

	(void)state;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		unsigned nth = 0;
		bool failed;

		do {
			struct test_faulty kernel;
			struct test_guest guest;
			int error;

			test_faulty_init(&kernel);
			test_faulty_set(&kernel, calls[i], ++nth, -ENFILE);
			error = test_guest_make(&guest, &config, &kernel.table);
			failed = test_faulty_failed(&kernel);
			if (!error)
				end(&guest);
			assert_true(!error || error == -ENFILE ||
				    error == -ENOMEM);
			assert_true(error || calls[i] == TEST_ENROLL ||
				    !failed);
			assert_int_equal(test_faulty_left(&kernel), 0);
		} while (failed);
		assert_true(nth > 1);
	}
}

/* In a child. */
static int try_all(struct test_guest *guest)
{
	struct rota_job job;

	if (submit(guest, &job, nap, NULL) != -EOWNERDEAD)
		return 1;
	if (rota_engine_step(guest->engine) != -EOWNERDEAD)
		return 2;
	if (rota_engine_drain(guest->engine, 0) != -EOWNERDEAD)
		return 3;
	if (rota_engine_destroy(guest->engine) != -EOWNERDEAD)
		return 4;
	rota_engine_abandon(guest->engine);
	if (test_guest_make(guest, NULL, NULL))
		return 5;
	if (submit(guest, &job, nap, NULL))
		return 6;
	test_guest_until(guest, &job);
	return rota_job_wait(&job) != 42 || test_guest_end(guest) ? 7 : 0;
}

static void in_a_child_a_guest_is_dead(void **state)
{
	struct test_guest guest;
	struct rota_job job;
	int status;
	pid_t pid;

	(void)state;
	make(&guest);
	assert_int_equal(submit(&guest, &job, nap, NULL), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	pid = fork();
	if (pid == 0) {
		alarm(test_seconds());
		_exit(try_all(&guest));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), 42);
	end(&guest);
}

static void a_guest_that_does_not_end_is_abandoned(void **state)
{
	const struct rota_config config = { .log = test_log_nothing };
	static struct test_kernel kernel;
	static struct rota_job job;
	struct test_guest guest, other;
	struct door door;

	(void)state;
	door_make(&door);
	test_kernel_init(&kernel);
	test_kernel_hold(&kernel, test_hold_all, NULL);
	assert_int_equal(test_guest_make(&guest, &config, &kernel.table), 0);
	assert_int_equal(submit(&guest, &job, door_pass, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_engine_drain(guest.engine, 0), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_engine_destroy(guest.engine), -EBUSY);
	rota_engine_abandon(guest.engine);
	make(&other);
	end(&other);
	door_remove(&door);
}

/* Promises that are broken, each in a process of its own. */
static struct test_guest broken;

static int step_in_a_task(void *value)
{
	(void)value;
	return rota_engine_step(broken.engine);
}

static int nest(void *arg)
{
	struct rota_job job;

	(void)arg;
	return test_guest_make(&broken, NULL, NULL) ||
	       submit(&broken, &job, step_in_a_task, NULL) ||
	       rota_engine_step(broken.engine);
}

static void *step_aside(void *argument)
{
	return rota_engine_step(broken.engine) ? argument : NULL;
}

static int step_elsewhere(void *arg)
{
	pthread_t thread;

	(void)arg;
	if (test_guest_make(&broken, NULL, NULL) ||
	    pthread_create(&thread, NULL, step_aside, NULL))
		return 1;
	return pthread_join(thread, NULL);
}

static int yield_between(void *arg)
{
	(void)arg;
	return test_guest_make(&broken, NULL, NULL) ||
	       rota_engine_step(broken.engine) || rota_yield();
}

static void aborts(int (*fn)(void *), const char *words)
{
	struct test_child child;

	test_child_run(&child, fn, NULL);
	if (child.signal != SIGABRT || !strstr(child.errors, words))
		fail_msg("\"%s\" is not in: %s", words, child.errors);
}

static void a_guest_that_is_misused_aborts(void **state)
{
	(void)state;
	aborts(nest, "rota_engine_step inside of a step");
	aborts(step_elsewhere, "rota_engine_step on another thread");
	aborts(yield_between, "rota_yield is called outside of a task");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			whatever_is_refused_at_the_making_leaves_nothing),
		cmocka_unit_test(in_a_child_a_guest_is_dead),
		cmocka_unit_test(a_guest_that_is_misused_aborts),
		/* last: what it leaves behind is there for ever */
		cmocka_unit_test(a_guest_that_does_not_end_is_abandoned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
