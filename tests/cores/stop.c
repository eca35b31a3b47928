/* SPDX-License-Identifier: MIT */
/*
 * The end of an engine that was started: what there is drains, is cancelled,
 * and, if it does not end, is named.
 */
#include "rota/job.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "support/child.h"
#include "support/door.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"
#include "support/started.h"
#include "support/victim.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LOOPS 2u

static void start(struct test_started *started, struct test_log *log)
{
	const struct rota_config config = { .loops = LOOPS,
					    .log = log ? test_log_write
						       : test_log_nothing,
					    .context = log };

	assert_int_equal(test_start(started, &config, NULL), 0);
}

static void an_engine_without_jobs_stops_at_once(void **state)
{
	struct test_started started;

	(void)state;
	start(&started, NULL);
	assert_int_equal(test_stop(&started, ROTA_NEVER), 0);
}

/* A stop on another thread. */
struct stopper {
	struct test_started *started;
	pthread_t thread;
	int64_t grace_ns;
	int result;
};

static void *run_stop(void *argument)
{
	struct stopper *stopper = argument;

	stopper->result = test_stop(stopper->started, stopper->grace_ns);
	return NULL;
}

/* Returns when jobs are refused. */
static void begin_stop(struct stopper *stopper)
{
	const struct rota_engine *engine = stopper->started->engine;

	assert_int_equal(
		pthread_create(&stopper->thread, NULL, run_stop, stopper), 0);
	while (!(__atomic_load_n(&engine->jobs, __ATOMIC_RELAXED) &
		 RI_JOBS_CLOSED))
		sched_yield();
}

static void jobs_go_on_within_the_grace_but_no_more_are_taken(void **state)
{
	struct test_started started;
	struct stopper stopper = { &started, 0, ROTA_NEVER, -1 };
	struct rota_job job, late;
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, NULL);
	assert_int_equal(test_submit(&started, &job, door_pass, &door), 0);
	door_await(&door, 1);
	begin_stop(&stopper);
	assert_int_equal(test_submit(&started, &late, door_pass, &door),
			 -ESHUTDOWN);
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&job), 1);
	pthread_join(stopper.thread, NULL);
	assert_int_equal(stopper.result, 0);
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

static void who_is_idle_ends_at_once(void **state)
{
	struct test_started started;
	struct rota_job jobs[LOOPS];
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, NULL);
	for (unsigned i = 0; i < LOOPS; i++) {
		jobs[i] = (struct rota_job){ .engine = started.engine,
					     .loop = i };
		assert_int_equal(rota_submit(&jobs[i], be_idle, &door), 0);
	}
	door_await(&door, LOOPS);
	assert_int_equal(test_stop(&started, ROTA_NEVER), 0);
	for (unsigned i = 0; i < LOOPS; i++)
		assert_int_equal(rota_job_wait(&jobs[i]), -ESHUTDOWN);
	door_remove(&door);
}

static int sleep_for_ever(void *value)
{
	struct door *door = *(struct door **)value;
	int result;

	atomic_fetch_add(&door->came, 1);
	result = rota_sleep(ROTA_NEVER);
	return result == -ECANCELED ? rota_cause().error : result;
}

static void after_the_grace_all_are_cancelled_and_named(void **state)
{
	struct test_log log = { 0 };
	struct test_started started;
	struct rota_job jobs[LOOPS];
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, &log);
	for (unsigned i = 0; i < LOOPS; i++) {
		jobs[i] = (struct rota_job){ .engine = started.engine,
					     .loop = i };
		assert_int_equal(rota_submit(&jobs[i], sleep_for_ever, &door),
				 0);
	}
	door_await(&door, LOOPS);
	assert_int_equal(test_stop(&started, 1), 0);
	for (unsigned i = 0; i < LOOPS; i++)
		assert_int_equal(rota_job_wait(&jobs[i]), -ESHUTDOWN);
	assert_int_equal(log.lines, LOOPS);
	assert_true(test_log_has(&log, "the grace is over: task "));
	assert_true(test_log_has(&log, "sleep_for_ever (spawned at "));
	door_remove(&door);
}

/* A job that blocks in one verb. */
struct blocked {
	struct victim victim;
	struct referee referee;
	const struct victim_class *class;
	atomic_bool called;
	int error;
};

static int call_victim(void *value)
{
	struct blocked *blocked = *(struct blocked **)value;
	struct victim *victim = &blocked->victim;

	blocked->error =
		victim_set_up(victim, blocked->class, &blocked->referee);
	if (!blocked->error)
		blocked->error = victim_prepare(victim);
	victim->called = true;
	atomic_store(&blocked->called, true);
	if (!blocked->error)
		victim->result = blocked->class->call(victim);
	victim->returned = true;
	return 0;
}

/* What the kernel does not give back before the peer has taken all is stopped
 * at the second try. */
static void stop_in_verb(struct blocked *blocked)
{
	struct test_started started;
	struct rota_job job;
	int error;

	start(&started, NULL);
	assert_int_equal(test_submit(&started, &job, call_victim, blocked), 0);
	while (!atomic_load(&blocked->called))
		sched_yield();
	error = test_stop(&started, 0);
	if (error == -EBUSY && blocked->class->traits & VICTIM_LENT) {
		victim_drain(&blocked->victim, blocked->victim.peer);
		error = test_stop(&started, 0);
	}
	if (error)
		fail_msg("stopped in %s: %d", blocked->class->name, error);
	assert_int_equal(rota_job_wait(&job), 0);
}

static void an_engine_stops_whichever_verb_its_jobs_are_in(void **state)
{
	const struct victim_class *class;

	(void)state;
	for (unsigned i = 0; (class = victim_class_at(i)); i++) {
		struct blocked blocked = { .class = class };

		test_random_seed(&blocked.referee.random, i);
		stop_in_verb(&blocked);
		if (blocked.error != -ENOSYS) {
			assert_int_equal(blocked.error, 0);
			assert_true(blocked.victim.returned);
		}
		victim_tear_down(&blocked.victim);
	}
}

/* A kernel that holds back what completes, and a second that is over when the
 * loop has nothing left to do. */
static struct rota_engine *stopped;
static atomic_bool over;

static int wait_until_over(const struct ri_kernel *kernel, const uint32_t *word,
			   uint32_t value, int64_t deadline_ns)
{
	(void)kernel;
	if (word != &stopped->jobs)
		return ri_kernel_linux.futex_wait(&ri_kernel_linux, word, value,
						  deadline_ns);
	while (!atomic_load(&over))
		if (__atomic_load_n(word, __ATOMIC_RELAXED) != value)
			return 0;
	return -ETIMEDOUT;
}

static void when_idle(struct test_kernel *kernel, void *context)
{
	(void)context;
	if (kernel->arrivals.cancels && test_kernel_held(kernel))
		atomic_store(&over, true);
}

static void start_stuck(struct test_started *started,
			struct test_kernel *kernel, struct test_log *log)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = log };

	test_kernel_init(kernel);
	kernel->table.futex_wait = wait_until_over;
	kernel->on_idle = when_idle;
	test_kernel_hold(kernel, test_hold_all, NULL);
	atomic_store(&over, false);
	assert_int_equal(test_start(started, &config, &kernel->table), 0);
	stopped = started->engine;
}

static void release_all(struct test_kernel *kernel, void *context)
{
	(void)context;
	test_kernel_release_all(kernel);
}

static int let_arrive(void *value)
{
	struct test_kernel *kernel = *(struct test_kernel **)value;

	test_kernel_hold(kernel, NULL, NULL);
	kernel->on_idle = release_all;
	return 0;
}

/* Has the loop call a function, which a job can no longer do. */
static void deliver(struct test_started *started, struct rota_message *message)
{
	ri_loop_post(&started->engine->workers[0].tasks.loop, &message->mail);
}

struct release {
	struct rota_message message;
	struct test_kernel *kernel;
};

static void release_arrived(void *place, struct rota_mail *mail)
{
	struct release *release = (struct release *)(void *)mail;

	(void)place;
	let_arrive(&release->kernel);
}

static void an_operation_that_does_not_end_is_named(void **state)
{
	struct test_log log = { 0 };
	struct test_started started;
	struct test_kernel kernel;
	struct release release = { .message.mail.deliver = release_arrived,
				   .kernel = &kernel };
	struct rota_job job;
	struct door door;

	(void)state;
	door_make(&door);
	start_stuck(&started, &kernel, &log);
	assert_int_equal(test_submit(&started, &job, door_pass, &door), 0);
	door_await(&door, 1);
	assert_int_equal(test_stop(&started, 0), -EBUSY);
	assert_true(test_log_has(&log, "not stopped: on loop 0 task "));
	assert_true(test_log_has(&log, "door_pass (spawned at "));
	assert_true(test_log_has(&log, "waits in "));
	/* and again, until it has ended */
	assert_false(rota_job_ended(&job));
	assert_int_equal(test_stop(&started, ROTA_SECOND), -EBUSY);
	deliver(&started, &release.message);
	assert_int_equal(rota_job_wait(&job), -ECANCELED);
	assert_int_equal(test_stop(&started, 0), 0);
	assert_int_equal(test_kernel_left(&kernel), 0);
	door_remove(&door);
}

static void a_function_that_does_not_return_is_named(void **state)
{
	const struct rota_config config = { .loops = 1 };
	struct test_log log = { 0 };
	struct test_started started;
	struct ri_kernel kernel = *test_linux();
	struct rota_job job;
	struct door door;
	struct rota_config logged = config;

	(void)state;
	logged.log = test_log_write;
	logged.context = &log;
	kernel.futex_wait = wait_until_over;
	door_make(&door);
	assert_int_equal(test_start(&started, &logged, &kernel), 0);
	stopped = started.engine;
	atomic_store(&over, true);
	assert_int_equal(test_submit(&started, &job, door_block, &door), 0);
	door_await(&door, 1);
	assert_int_equal(test_stop(&started, 0), -EBUSY);
	assert_true(test_log_has(&log, "not stopped: loop 0 does not turn: "
				       "task door_block (spawned at "));
	assert_int_equal(test_stop(&started, 0), -EBUSY);
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&job), 1);
	atomic_store(&over, false);
	assert_int_equal(test_stop(&started, 0), 0);
	door_remove(&door);
}

/* A kernel in which one thread is held up when it is about to wake a loop. */
static _Thread_local bool is_sender;
static atomic_bool held_up, let_go, stopper_over;

static int signal_late(const struct ri_kernel *kernel, int fd)
{
	if (is_sender) {
		atomic_store(&held_up, true);
		while (!atomic_load(&let_go))
			sched_yield();
	}
	return ri_kernel_linux.event_signal(kernel, fd);
}

static int be_quick(void *value)
{
	(void)value;
	return 0;
}

static void *send_one(void *argument)
{
	struct rota_job *job = argument;

	is_sender = true;
	return rota_submit(job, be_quick, 0) ? argument : NULL;
}

static void *run_stop_and_tell(void *argument)
{
	run_stop(argument);
	atomic_store(&stopper_over, true);
	return NULL;
}

static void await_sleep(const struct test_started *started)
{
	const struct ri_mailbox *box =
		&started->engine->workers[0].tasks.loop.mailbox;

	while (__atomic_load_n(&box->top, __ATOMIC_RELAXED) != &ri_asleep)
		sched_yield();
}

/* The loop is awake for another reason, runs the job, and has nothing left,
 * while the thread that sent it is still about to wake it. */
static void a_stop_waits_for_who_is_about_to_wake_a_loop(void **state)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	struct ri_kernel kernel = *test_linux();
	struct test_started started;
	struct stopper stopper = { &started, 0, 0, -1 };
	struct rota_job first, second;
	pthread_t sender;
	struct door door;

	(void)state;
	kernel.event_signal = signal_late;
	door_make(&door);
	setenv("ROTA_MASK", "ring_message", 1);
	assert_int_equal(test_start(&started, NULL, &kernel), 0);
	unsetenv("ROTA_MASK");
	assert_int_equal(test_submit(&started, &first, door_pass, &door), 0);
	door_await(&door, 1);
	await_sleep(&started);
	second = (struct rota_job){ .engine = started.engine };
	assert_int_equal(pthread_create(&sender, NULL, send_one, &second), 0);
	while (!atomic_load(&held_up))
		sched_yield();
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&first), 1);
	assert_int_equal(rota_job_wait(&second), 0);
	assert_int_equal(pthread_create(&stopper.thread, NULL,
					run_stop_and_tell, &stopper),
			 0);
	nanosleep(&moment, NULL);
	assert_false(atomic_load(&stopper_over));
	atomic_store(&let_go, true);
	pthread_join(sender, NULL);
	pthread_join(stopper.thread, NULL);
	assert_int_equal(stopper.result, 0);
	door_remove(&door);
}

static int stop_own(void *value)
{
	return rota_engine_stop(*(struct rota_engine **)value, 0);
}

static void a_task_may_not_stop_its_own_engine(void **state)
{
	struct test_started started;
	struct rota_job job;

	(void)state;
	start(&started, NULL);
	assert_int_equal(test_submit(&started, &job, stop_own, started.engine),
			 0);
	assert_int_equal(rota_job_wait(&job), -EDEADLK);
	assert_int_equal(test_stop(&started, 0), 0);
}

static void *stop_from_aside(void *argument)
{
	return rota_engine_stop(argument, 0) ? argument : NULL;
}

static int have_it_stopped(void *arg)
{
	pthread_t thread;

	(void)arg;
	if (pthread_create(&thread, NULL, stop_from_aside, rota_engine_here()))
		return 1;
	return rota_sleep(ROTA_NEVER);
}

static int run_have_it_stopped(void *arg)
{
	return rota_run(NULL, have_it_stopped, arg);
}

static void what_rota_run_runs_is_not_to_be_stopped(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_have_it_stopped, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "rota_engine_stop of an engine "
					     "that was not started"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_engine_without_jobs_stops_at_once),
		cmocka_unit_test(
			jobs_go_on_within_the_grace_but_no_more_are_taken),
		cmocka_unit_test(who_is_idle_ends_at_once),
		cmocka_unit_test(after_the_grace_all_are_cancelled_and_named),
		cmocka_unit_test(
			an_engine_stops_whichever_verb_its_jobs_are_in),
		cmocka_unit_test(an_operation_that_does_not_end_is_named),
		cmocka_unit_test(a_function_that_does_not_return_is_named),
		cmocka_unit_test(a_stop_waits_for_who_is_about_to_wake_a_loop),
		cmocka_unit_test(a_task_may_not_stop_its_own_engine),
		cmocka_unit_test(what_rota_run_runs_is_not_to_be_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
