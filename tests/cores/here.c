/* SPDX-License-Identifier: MIT */
/*
 * Jobs for an engine that rota_run runs.
 */
#include "rota/job.h"

#include "cores/engine.h"
#include "support/child.h"
#include "support/door.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* A thread that has jobs for the engine of the first task. */
struct foreign {
	struct rota_engine *engine;
	pthread_t thread;
	struct door door;
	unsigned loop;    /* where they run */
	int result, late; /* of a job; of one after the first task */
	bool ran;         /* the one that was under way then has ended */
	struct rota_job job;
	rota_group_id group; /* of the first task */
	atomic_bool over;    /* the run is */
};

static int answer(void *value)
{
	return *(int *)value + 1;
}

static void *submit_one(void *argument)
{
	struct foreign *foreign = argument;
	struct rota_job job = { .engine = foreign->engine,
				.loop = foreign->loop };

	foreign->result = rota_submit(&job, answer, 41);
	if (!foreign->result)
		foreign->result = rota_job_wait(&job);
	door_let(&foreign->door, 1);
	return NULL;
}

static int have_one_submitted(void *arg)
{
	struct foreign *foreign = arg;
	struct door *door = &foreign->door;
	int n;

	foreign->engine = rota_engine_here();
	if (!foreign->engine || foreign->engine != rota_engine_here() ||
	    pthread_create(&foreign->thread, NULL, submit_one, foreign))
		return -1;
	n = door_pass(&door);
	pthread_join(foreign->thread, NULL);
	return n;
}

static void submit_to(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct foreign foreign = { .loop = loops - 1 };

	door_make(&foreign.door);
	assert_int_equal(
		test_run_with(&config, NULL, have_one_submitted, &foreign), 1);
	assert_int_equal(foreign.result, 42);
	door_remove(&foreign.door);
}

static void a_foreign_thread_submits_while_a_task_is_alive(void **state)
{
	(void)state;
	submit_to(1);
	submit_to(2);
	setenv("ROTA_MASK", "ring_message", 1);
	submit_to(1);
	unsetenv("ROTA_MASK");
}

static int end_late(void *value)
{
	struct foreign *foreign = *(struct foreign **)value;
	struct door *door = &foreign->door;
	struct rota_job late = { .engine = foreign->engine };
	const int n = door_pass(&door);

	foreign->late = rota_submit(&late, answer, 1);
	foreign->ran = true;
	return n;
}

/* It lets the job go on once the first task has ended. */
static void *let_later(void *argument)
{
	struct foreign *foreign = argument;
	struct rota_job job = { .engine = foreign->engine };
	int error;

	door_await(&foreign->door, 1);
	do {
		error = rota_submit(&job, answer, 1);
		if (!error)
			error = rota_job_wait(&job) != 2;
	} while (!error);
	foreign->result = error;
	door_let(&foreign->door, 1);
	return NULL;
}

static int end_before_a_job(void *arg)
{
	struct foreign *foreign = arg;

	foreign->engine = rota_engine_here();
	foreign->job = (struct rota_job){ .engine = foreign->engine,
					  .loop = foreign->loop };
	if (rota_submit(&foreign->job, end_late, foreign))
		return -1;
	return pthread_create(&foreign->thread, NULL, let_later, foreign) ? -1
									  : 7;
}

static void outlast(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct foreign foreign = { .loop = loops - 1 };

	door_make(&foreign.door);
	assert_int_equal(
		test_run_with(&config, NULL, end_before_a_job, &foreign), 7);
	assert_true(foreign.ran);
	assert_true(rota_job_ended(&foreign.job));
	assert_int_equal(rota_job_wait(&foreign.job), 1);
	pthread_join(foreign.thread, NULL);
	assert_int_equal(foreign.result, -ESHUTDOWN);
	assert_int_equal(foreign.late, -ESHUTDOWN);
	door_remove(&foreign.door);
}

static void a_run_ends_with_its_last_job_and_takes_none_before(void **state)
{
	(void)state;
	outlast(1);
	outlast(2);
}

static int sleep_for_ever(void *value)
{
	(void)value;
	return rota_sleep(ROTA_NEVER);
}

static int return_error(void *value)
{
	return *(int *)value;
}

static void *fail_in_group(void *argument)
{
	struct foreign *foreign = argument;
	struct rota_job job = { .engine = foreign->engine,
				.group = foreign->group };

	foreign->result = rota_submit(&job, return_error, -EPIPE);
	if (!foreign->result)
		foreign->result = rota_job_wait(&job);
	return NULL;
}

/* Nothing is in flight, and nothing is timed. */
static int wait_for_a_foreign_thread(void *arg)
{
	struct foreign *foreign = arg;
	struct rota_group group;
	int error;

	foreign->engine = rota_engine_here();
	rota_group_open(&group, NULL);
	foreign->group = rota_group_share(&group);
	error = rota_go(&group, sleep_for_ever, 0);
	if (!error &&
	    pthread_create(&foreign->thread, NULL, fail_in_group, foreign))
		error = -EAGAIN;
	return error ? error : rota_group_wait(&group);
}

static void waiting_for_a_foreign_thread_is_no_deadlock(void **state)
{
	struct foreign foreign = { 0 };

	(void)state;
	assert_int_equal(test_run(wait_for_a_foreign_thread, &foreign), -EPIPE);
	pthread_join(foreign.thread, NULL);
	assert_int_equal(foreign.result, -EPIPE);
}

/* A job that is counted, but not sent, when the first task has ended. */
static void end_arrived(void *place, struct rota_mail *mail)
{
	(void)mail;
	ri_jobs_end(ri_worker_of(place)->engine);
}

static void *send_late(void *argument)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct foreign *foreign = argument;
	static struct rota_mail mail = { .deliver = end_arrived };

	foreign->result = ri_jobs_begin(foreign->engine);
	door_let(&foreign->door, 1);
	while (!(__atomic_load_n(&foreign->engine->jobs, __ATOMIC_RELAXED) &
		 RI_JOBS_CLOSED))
		sched_yield();
	nanosleep(&moment, NULL);
	foreign->ran = !atomic_load(&foreign->over);
	if (foreign->ran)
		ri_loop_post_from_outside(
			&foreign->engine->workers[0].tasks.loop, &mail);
	return NULL;
}

static int end_before_mail(void *arg)
{
	struct foreign *foreign = arg;
	struct door *door = &foreign->door;

	foreign->engine = rota_engine_here();
	if (pthread_create(&foreign->thread, NULL, send_late, foreign))
		return -1;
	return door_pass(&door);
}

static void a_run_waits_for_jobs_that_are_yet_to_come(void **state)
{
	struct foreign foreign = { 0 };

	(void)state;
	door_make(&foreign.door);
	assert_int_equal(test_run(end_before_mail, &foreign), 1);
	atomic_store(&foreign.over, true);
	pthread_join(foreign.thread, NULL);
	assert_int_equal(foreign.result, 0);
	assert_true(foreign.ran);
	door_remove(&foreign.door);
}

static int fail_to_get_mail(void *arg)
{
	(void)arg;
	return rota_engine_here() == NULL;
}

static void there_is_none_if_the_loop_can_get_no_mail(void **state)
{
	struct test_kernel kernel;

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	test_kernel_init(&kernel);
	test_kernel_fail(&kernel, &(struct test_fault){ .call = TEST_EVENT_OPEN,
							.error = -EMFILE });
	assert_int_equal(
		test_run_with(NULL, &kernel.table, fail_to_get_mail, NULL), 1);
	unsetenv("ROTA_MASK");
	assert_int_equal(test_kernel_left(&kernel), 0);
}

static int ask_and_end(void *arg)
{
	(void)arg;
	return rota_engine_here() ? 5 : -1;
}

static void a_run_that_is_never_sent_a_job_ends_all_the_same(void **state)
{
	const struct rota_config config = { .loops = 2 };

	(void)state;
	assert_int_equal(test_run(ask_and_end, NULL), 5);
	assert_int_equal(test_run_with(&config, NULL, ask_and_end, NULL), 5);
}

static int run_for_ever(void *arg)
{
	return rota_run(NULL, sleep_for_ever, arg);
}

static void who_never_asked_is_told_of_a_deadlock(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_for_ever, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "deadlock: 1 tasks wait"));
}

/* The loop of who never asks looks at no mailbox and is asked nothing. */
static int count_enters(void *arg)
{
	struct test_kernel *kernel = arg;
	const unsigned before = kernel->calls[TEST_ENTER];
	int error = rota_sleep(ROTA_SECOND);

	return error ? error : (int)(kernel->calls[TEST_ENTER] - before);
}

static void who_never_asked_pays_nothing(void **state)
{
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, count_enters, &kernel), 1);
	assert_int_equal(kernel.calls[TEST_EVENT_OPEN], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_foreign_thread_submits_while_a_task_is_alive),
		cmocka_unit_test(
			a_run_ends_with_its_last_job_and_takes_none_before),
		cmocka_unit_test(waiting_for_a_foreign_thread_is_no_deadlock),
		cmocka_unit_test(a_run_waits_for_jobs_that_are_yet_to_come),
		cmocka_unit_test(there_is_none_if_the_loop_can_get_no_mail),
		cmocka_unit_test(
			a_run_that_is_never_sent_a_job_ends_all_the_same),
		cmocka_unit_test(who_never_asked_is_told_of_a_deadlock),
		cmocka_unit_test(who_never_asked_pays_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
