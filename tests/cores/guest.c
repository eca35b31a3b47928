/* SPDX-License-Identifier: MIT */
/*
 * Engines that are guests in a loop of the program's own.
 */
#include "rota/guest.h"
#include "rota/job.h"

#include "cores/engine.h"
#include "support/door.h"
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
#include <unistd.h>

#include <cmocka.h>

static const struct rota_config quiet = { .log = test_log_nothing };

static void make(struct test_guest *guest)
{
	assert_int_equal(test_guest_make(guest, &quiet, NULL), 0);
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

static void a_guest_runs_jobs_of_its_own_thread(void **state)
{
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	make(&guest);
	assert_false(test_guest_readable(&guest));
	assert_int_equal(rota_engine_step(guest.engine), 0);
	assert_int_equal(submit(&guest, &job, nap, NULL), 0);
	assert_true(test_guest_readable(&guest));
	assert_int_equal(rota_engine_step(guest.engine), 1);
	test_guest_until(&guest, &job);
	assert_false(guest.lost);
	assert_int_equal(rota_job_wait(&job), 42);
	assert_int_equal(rota_engine_step(guest.engine), 0);
	end(&guest);
}

/* Another thread, which waits for its job as all foreign threads do. */
struct foreign {
	struct test_guest *guest;
	struct door *door;
	pthread_t thread;
	atomic_bool over;
	int result;
};

static void *submit_and_wait(void *argument)
{
	struct foreign *foreign = argument;
	struct rota_job job;

	foreign->result =
		submit(foreign->guest, &job, door_pass, foreign->door);
	if (!foreign->result)
		foreign->result = rota_job_wait(&job);
	atomic_store(&foreign->over, true);
	return NULL;
}

static void a_guest_runs_jobs_of_other_threads(void **state)
{
	struct test_guest guest;
	struct door door;
	struct foreign foreign = { .guest = &guest, .door = &door };

	(void)state;
	door_make(&door);
	make(&guest);
	assert_int_equal(pthread_create(&foreign.thread, NULL, submit_and_wait,
					&foreign),
			 0);
	while (!atomic_load(&door.came) && test_guest_turn(&guest))
		;
	door_let(&door, 1);
	while (!atomic_load(&foreign.over) && !guest.lost)
		if (test_guest_readable(&guest))
			test_guest_turn(&guest);
	pthread_join(foreign.thread, NULL);
	assert_false(guest.lost);
	assert_int_equal(foreign.result, 1);
	end(&guest);
	door_remove(&door);
}

static int sleep_a_second(void *value)
{
	(void)value;
	return rota_sleep(ROTA_SECOND);
}

static void a_guest_wants_to_be_stepped_when_a_timer_is_due(void **state)
{
	struct test_kernel kernel;
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, 5 * ROTA_SECOND);
	assert_int_equal(test_guest_make(&guest, &quiet, &kernel.table), 0);
	assert_int_equal(rota_engine_deadline_ns(guest.engine), ROTA_NEVER);
	assert_int_equal(submit(&guest, &job, sleep_a_second, NULL), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_engine_deadline_ns(guest.engine),
			 6 * ROTA_SECOND);
	assert_false(test_guest_readable(&guest));
	/* too early: nothing happens */
	kernel.clock_ns = 6 * ROTA_SECOND - 1;
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_engine_deadline_ns(guest.engine),
			 6 * ROTA_SECOND);
	kernel.clock_ns = 6 * ROTA_SECOND;
	assert_int_equal(rota_engine_step(guest.engine), 0);
	assert_int_equal(rota_job_wait(&job), 0);
	assert_int_equal(rota_engine_deadline_ns(guest.engine), ROTA_NEVER);
	end(&guest);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

static int sleep_two(void *value)
{
	struct rota_deadline deadline;
	const struct door *door = *(struct door **)value;
	char byte;
	int n;

	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	n = rota_read(door->ends[0], &byte, 1);
	return rota_deadline_end(&deadline) ? n : -EPROTO;
}

static void a_deadline_that_has_come_ends_an_operation_in_one_step(void **state)
{
	struct test_kernel kernel;
	struct test_guest guest;
	struct rota_job job;
	struct door door;

	(void)state;
	door_make(&door);
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, 5 * ROTA_SECOND);
	assert_int_equal(test_guest_make(&guest, &quiet, &kernel.table), 0);
	assert_int_equal(submit(&guest, &job, sleep_two, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	kernel.clock_ns = rota_engine_deadline_ns(guest.engine);
	assert_int_equal(rota_engine_step(guest.engine), 0);
	assert_int_equal(rota_job_wait(&job), -ETIME);
	end(&guest);
	door_remove(&door);
}

static int spin(void *value)
{
	int code;

	(void)value;
	do
		code = rota_yield();
	while (!code);
	return code;
}

static void a_step_does_not_go_on_for_ever(void **state)
{
	struct test_guest guest;
	struct rota_job jobs[2];

	(void)state;
	make(&guest);
	for (int i = 0; i < 2; i++)
		assert_int_equal(submit(&guest, &jobs[i], spin, NULL), 0);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(rota_engine_step(guest.engine), 1);
		assert_true(test_guest_readable(&guest));
	}
	end(&guest);
	assert_int_equal(rota_job_wait(&jobs[0]), -ECANCELED);
	assert_int_equal(rota_job_wait(&jobs[1]), -ECANCELED);
}

static int sleep_then_spin(void *value)
{
	const int code = rota_sleep(ROTA_SECOND);

	return code ? code : spin(value);
}

/* Nobody has written to the descriptor since it was cleared. */
static void what_a_step_leaves_undone_is_readable(void **state)
{
	struct test_kernel kernel;
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(test_guest_make(&guest, &quiet, &kernel.table), 0);
	assert_int_equal(submit(&guest, &job, sleep_then_spin, NULL), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_false(test_guest_readable(&guest));
	kernel.clock_ns = 2 * ROTA_SECOND;
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_true(test_guest_readable(&guest));
	end(&guest);
}

static void a_guest_with_nothing_to_do_wakes_nobody(void **state)
{
	struct test_guest guest;
	struct rota_job job;
	struct door door;

	(void)state;
	door_make(&door);
	make(&guest);
	assert_int_equal(submit(&guest, &job, door_pass, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_false(test_guest_readable(&guest));
	assert_int_equal(rota_engine_deadline_ns(guest.engine), ROTA_NEVER);
	door_let(&door, 1);
	assert_true(test_guest_turn(&guest));
	assert_int_equal(guest.steps, 1);
	assert_int_equal(rota_job_wait(&job), 1);
	assert_false(test_guest_readable(&guest));
	end(&guest);
	door_remove(&door);
}

/* A kernel that would see a step block. */
struct watchful {
	struct ri_kernel table;
	int (*enter)(const struct ri_kernel *kernel,
		     const struct ri_enter *call);
	unsigned waits;
};

static struct watchful watchful;

static int enter_watched(const struct ri_kernel *kernel,
			 const struct ri_enter *call)
{
	const struct io_uring_getevents_arg *argument = call->argument;
	const struct __kernel_timespec *time;

	if (call->wait && !(call->flags & IORING_ENTER_EXT_ARG))
		watchful.waits++;
	if (call->wait && argument) {
		time = (const void *)(uintptr_t)argument->ts;
		watchful.waits += !time || time->tv_sec || time->tv_nsec;
	}
	return watchful.enter(kernel, call);
}

static void a_step_never_blocks(void **state)
{
	struct test_kernel kernel;
	struct test_guest guest;
	struct rota_job jobs[2];
	struct door door;
	int64_t now_ns;

	(void)state;
	door_make(&door);
	test_kernel_init(&kernel);
	watchful.enter = kernel.table.enter;
	kernel.table.enter = enter_watched;
	assert_int_equal(test_guest_make(&guest, &quiet, &kernel.table), 0);
	watchful.waits = 0;
	assert_int_equal(submit(&guest, &jobs[0], door_pass, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	/* nor when the kernel has no memory for what is submitted */
	kernel.submit_error = -EAGAIN;
	assert_int_equal(submit(&guest, &jobs[1], door_pass, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	now_ns = rota_now_ns();
	assert_in_range(rota_engine_deadline_ns(guest.engine), 1,
			now_ns + 2 * ROTA_MILLISECOND);
	kernel.submit_error = 0;
	door_let(&door, 2);
	test_guest_until(&guest, &jobs[0]);
	test_guest_until(&guest, &jobs[1]);
	assert_false(guest.lost);
	assert_int_equal(watchful.waits, 0);
	end(&guest);
	door_remove(&door);
}

static int be_idle(void *value)
{
	struct door *door = *(struct door **)value;
	struct rota_idle idle;
	int result;

	rota_idle_begin(&idle);
	result = door_pass(&door);
	rota_idle_end(&idle);
	return result;
}

static void a_guest_drains(void **state)
{
	struct test_kernel kernel;
	struct test_guest guest;
	struct rota_job idle, busy, late;
	struct door door;

	(void)state;
	door_make(&door);
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(test_guest_make(&guest, &quiet, &kernel.table), 0);
	assert_int_equal(submit(&guest, &idle, be_idle, &door), 0);
	assert_int_equal(submit(&guest, &busy, door_pass, &door), 0);
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_engine_destroy(guest.engine), -EBUSY);
	assert_int_equal(rota_engine_drain(guest.engine, ROTA_SECOND), 0);
	assert_int_equal(submit(&guest, &late, nap, NULL), -ESHUTDOWN);
	assert_true(test_guest_readable(&guest));
	assert_int_equal(rota_engine_step(guest.engine), 1);
	assert_int_equal(rota_job_wait(&idle), -ESHUTDOWN);
	assert_int_equal(rota_engine_destroy(guest.engine), -EBUSY);
	assert_int_equal(rota_engine_deadline_ns(guest.engine),
			 2 * ROTA_SECOND);
	kernel.clock_ns = 2 * ROTA_SECOND;
	assert_int_equal(rota_engine_step(guest.engine), 0);
	assert_int_equal(rota_job_wait(&busy), -ECANCELED);
	assert_int_equal(rota_engine_destroy(guest.engine), 0);
	assert_int_equal(test_kernel_left(&kernel), 0);
	door_remove(&door);
}

static void jobs_of_before_a_drain_have_the_grace(void **state)
{
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	make(&guest);
	assert_int_equal(submit(&guest, &job, nap, NULL), 0);
	assert_int_equal(rota_engine_drain(guest.engine, ROTA_NEVER), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), 42);
	assert_int_equal(rota_engine_destroy(guest.engine), 0);
}

/* One that was counted just before no more were taken, and sent after. */
static void a_job_that_meets_a_drain_on_its_way_is_told(void **state)
{
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	make(&guest);
	ri_engine_drain(guest.engine, ROTA_NEVER);
	assert_int_equal(submit(&guest, &job, nap, NULL), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), -ESHUTDOWN);
	end(&guest);
}

static int drain_own(void *value)
{
	(void)value;
	if (rota_engine_drain(rota_engine_here(), 0))
		return -EPROTO;
	return rota_sleep(ROTA_NEVER);
}

static void a_task_may_drain_the_guest_that_it_runs_in(void **state)
{
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	assert_int_equal(test_guest_make(&guest, &quiet, NULL), 0);
	assert_int_equal(submit(&guest, &job, drain_own, NULL), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), -ECANCELED);
	assert_int_equal(rota_engine_destroy(guest.engine), 0);
}

static void a_thread_has_one_guest_of_one_loop(void **state)
{
	struct rota_config config = { .log = test_log_nothing, .loops = 2 };
	struct test_guest guest, other;

	(void)state;
	assert_int_equal(test_guest_make(&guest, &config, NULL), -EINVAL);
	config.loops = ROTA_LOOPS_ALL;
	assert_int_equal(test_guest_make(&guest, &config, NULL), -EINVAL);
	config.loops = 1;
	assert_int_equal(test_guest_make(&guest, &config, NULL), 0);
	assert_int_equal(test_guest_make(&other, &config, NULL), -EBUSY);
	assert_int_equal(test_run_with(&config, NULL, nap, NULL), -EBUSY);
	end(&guest);
	assert_int_equal(test_run_with(&config, NULL, nap, NULL), 42);
	make(&guest);
	end(&guest);
}

static int make_inside(void *arg)
{
	struct rota_engine *engine;

	(void)arg;
	return rota_engine_create(&engine, &quiet);
}

static void a_task_makes_no_guest(void **state)
{
	(void)state;
	assert_int_equal(test_run(make_inside, NULL), -EBUSY);
}

static void who_steps_does_not_wait_for_a_job(void **state)
{
	struct test_guest guest;
	struct rota_job job;

	(void)state;
	make(&guest);
	assert_int_equal(submit(&guest, &job, nap, NULL), 0);
	assert_int_equal(rota_job_wait(&job), -EDEADLK);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), 42);
	end(&guest);
}

static volatile sig_atomic_t handled;
static volatile uintptr_t handled_at;

static void note_signal(int number)
{
	handled = number;
	handled_at = (uintptr_t)__builtin_frame_address(0);
}

static int raise_inside(void *value)
{
	(void)value;
	handled = 0;
	return raise(SIGUSR1) || handled ? -EPROTO : 1;
}

static void signals_come_between_steps(void **state)
{
	struct test_guest guest;
	struct rota_job job;
	sigset_t before, after;

	(void)state;
	signal(SIGUSR1, note_signal);
	pthread_sigmask(SIG_SETMASK, NULL, &before);
	make(&guest);
	assert_int_equal(submit(&guest, &job, raise_inside, NULL), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), 1);
	assert_int_equal(handled, SIGUSR1);
	pthread_sigmask(SIG_SETMASK, NULL, &after);
	for (int number = 1; number < SIGRTMIN; number++)
		assert_int_equal(sigismember(&after, number),
				 sigismember(&before, number));
	end(&guest);
	signal(SIGUSR1, SIG_DFL);
}

static int write_to_nobody(void *value)
{
	const struct door *door = *(struct door **)value;

	return rota_write(door->ends[1], "x", 1);
}

static void a_closed_pipe_is_an_error_and_no_signal(void **state)
{
	struct test_guest guest;
	struct rota_job job;
	struct door door;

	(void)state;
	door_make(&door);
	close(door.ends[0]);
	make(&guest);
	assert_int_equal(submit(&guest, &job, write_to_nobody, &door), 0);
	test_guest_until(&guest, &job);
	assert_int_equal(rota_job_wait(&job), -EPIPE);
	end(&guest);
	close(door.ends[1]);
}

static void *run_one(void *argument)
{
	struct test_guest guest;
	struct rota_job job;
	struct door *door = argument;
	int result = -1;

	if (test_guest_make(&guest, NULL, NULL))
		return NULL;
	for (int i = 0; i < 20; i++) {
		if (submit(&guest, &job, door_pass, door))
			return NULL;
		test_guest_until(&guest, &job);
		result = rota_job_wait(&job);
	}
	return test_guest_end(&guest) || result != 1 ? NULL : argument;
}

static void two_threads_have_a_guest_each(void **state)
{
	pthread_t threads[2];
	struct door doors[2];
	void *result;

	(void)state;
	for (int i = 0; i < 2; i++) {
		door_make(&doors[i]);
		assert_int_equal(pthread_create(&threads[i], NULL, run_one,
						&doors[i]),
				 0);
	}
	for (unsigned came = 1; came <= 20; came++)
		for (int i = 0; i < 2; i++) {
			door_await(&doors[i], came);
			door_let(&doors[i], 1);
		}
	for (int i = 0; i < 2; i++) {
		pthread_join(threads[i], &result);
		assert_ptr_equal(result, &doors[i]);
		door_remove(&doors[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_runs_jobs_of_its_own_thread),
		cmocka_unit_test(a_guest_runs_jobs_of_other_threads),
		cmocka_unit_test(
			a_guest_wants_to_be_stepped_when_a_timer_is_due),
		cmocka_unit_test(
			a_deadline_that_has_come_ends_an_operation_in_one_step),
		cmocka_unit_test(a_step_does_not_go_on_for_ever),
		cmocka_unit_test(what_a_step_leaves_undone_is_readable),
		cmocka_unit_test(a_guest_with_nothing_to_do_wakes_nobody),
		cmocka_unit_test(a_step_never_blocks),
		cmocka_unit_test(a_guest_drains),
		cmocka_unit_test(jobs_of_before_a_drain_have_the_grace),
		cmocka_unit_test(a_job_that_meets_a_drain_on_its_way_is_told),
		cmocka_unit_test(a_task_may_drain_the_guest_that_it_runs_in),
		cmocka_unit_test(a_thread_has_one_guest_of_one_loop),
		cmocka_unit_test(a_task_makes_no_guest),
		cmocka_unit_test(who_steps_does_not_wait_for_a_job),
		cmocka_unit_test(signals_come_between_steps),
		cmocka_unit_test(a_closed_pipe_is_an_error_and_no_signal),
		cmocka_unit_test(two_threads_have_a_guest_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
