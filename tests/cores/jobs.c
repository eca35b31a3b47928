/* SPDX-License-Identifier: MIT */
/*
 * Jobs: submitted by foreign threads, run as tasks, waited for and cancelled.
 */
#include "rota/job.h"

#include "support/child.h"
#include "support/door.h"
#include "support/random.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOOPS 2u

static void start(struct test_started *started, struct rota_config config)
{
	if (!config.loops)
		config.loops = LOOPS;
	assert_int_equal(test_start(started, &config, NULL), 0);
}

static void stop(struct test_started *started)
{
	assert_int_equal(test_stop(started, ROTA_NEVER), 0);
}

struct pair {
	long long a, b;
};

static int add(void *value)
{
	const struct pair *pair = value;

	return rota_yield() ? -1 : (int)(pair->a + pair->b);
}

static void a_job_returns_what_its_function_returned(void **state)
{
	struct test_started started;
	struct rota_job jobs[100];

	(void)state;
	start(&started, (struct rota_config){ 0 });
	for (int i = 0; i < 100; i++) {
		const struct pair pair = { i, 1000 };

		jobs[i] = (struct rota_job){ .engine = started.engine,
					     .loop = ROTA_LOOP_LEAST };
		assert_int_equal(rota_submit(&jobs[i], add, pair), 0);
	}
	for (int i = 0; i < 100; i++)
		assert_int_equal(rota_job_wait(&jobs[i]), 1000 + i);
	stop(&started);
}

static int which_loop(void *value)
{
	(void)value;
	return (int)rota_loop();
}

static void a_job_runs_on_the_loop_it_is_sent_to(void **state)
{
	struct test_started started;

	(void)state;
	start(&started, (struct rota_config){ .loops = 3 });
	for (unsigned i = 0; i < 3; i++) {
		struct rota_job job = { .engine = started.engine, .loop = i };

		assert_int_equal(rota_submit(&job, which_loop, 0), 0);
		assert_int_equal(rota_job_wait(&job), i);
	}
	stop(&started);
}

static void a_job_for_a_loop_that_is_not_there_is_refused(void **state)
{
	struct test_started started;
	struct rota_job job = { .loop = LOOPS };

	(void)state;
	start(&started, (struct rota_config){ 0 });
	job.engine = started.engine;
	assert_int_equal(rota_submit(&job, which_loop, 0), -EINVAL);
	stop(&started);
}

static void jobs_for_the_least_loaded_loop_are_spread(void **state)
{
	struct test_started started;
	struct rota_job jobs[10];
	bool seen[LOOPS] = { 0 };

	(void)state;
	start(&started, (struct rota_config){ 0 });
	for (int i = 0; i < 10; i++) {
		jobs[i] = (struct rota_job){ .engine = started.engine,
					     .loop = ROTA_LOOP_LEAST };
		assert_int_equal(rota_submit(&jobs[i], which_loop, 0), 0);
		seen[rota_job_wait(&jobs[i])] = true;
	}
	assert_true(seen[0] && seen[1]);
	stop(&started);
}

static void more_jobs_than_the_bound_are_refused(void **state)
{
	struct test_started started;
	struct rota_job jobs[4];
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, (struct rota_config){ .jobs_max = 3 });
	for (int i = 0; i < 3; i++)
		assert_int_equal(
			test_submit(&started, &jobs[i], door_pass, &door), 0);
	assert_int_equal(test_submit(&started, &jobs[3], door_pass, &door),
			 -EAGAIN);
	door_let(&door, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rota_job_wait(&jobs[i]), 1);
	stop(&started);
	door_remove(&door);
}

static void who_waited_for_a_job_finds_room_for_the_next(void **state)
{
	const unsigned rounds = test_rounds(20000);
	struct test_started started;
	struct rota_job job;

	(void)state;
	start(&started, (struct rota_config){ .jobs_max = 1 });
	job = (struct rota_job){ .engine = started.engine };
	for (unsigned i = 0; i < rounds; i++) {
		job.loop = i % LOOPS;
		assert_int_equal(rota_submit(&job, which_loop, 0), 0);
		assert_int_equal(rota_job_wait(&job), job.loop);
	}
	stop(&started);
}

static int spawn_too_many(void *value)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	while (!(error = rota_go(&group, door_pass, *(struct door **)value)))
		;
	atomic_fetch_add(&(*(struct door **)value)->came, 100);
	return rota_group_wait(&group) ? 0 : error;
}

static void a_job_for_which_a_loop_has_no_task_tells_so(void **state)
{
	struct test_started started;
	struct rota_job crowd, job;
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, (struct rota_config){ .loops = 1, .tasks_max = 4 });
	assert_int_equal(test_submit(&started, &crowd, spawn_too_many, &door),
			 0);
	door_await(&door, 100);
	assert_int_equal(test_submit(&started, &job, door_pass, &door), 0);
	assert_int_equal(rota_job_wait(&job), -EAGAIN);
	door_let(&door, 3);
	assert_int_equal(rota_job_wait(&crowd), -EAGAIN);
	stop(&started);
	door_remove(&door);
}

/* What a job saw of its cancel. */
struct seen {
	atomic_bool runs;
	int code, error;
	const char *reason;
	void *inherited;
};

static int sleep_long(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int result;

	seen->inherited = rota_task_inherited();
	atomic_store(&seen->runs, true);
	result = rota_sleep(ROTA_NEVER);
	seen->code = rota_cancelled();
	seen->error = rota_cause().error;
	seen->reason = rota_cause().reason;
	return result;
}

static void a_job_that_is_cancelled_knows_why(void **state)
{
	struct test_started started;
	struct seen seen = { .inherited = &seen };
	struct rota_job job;

	(void)state;
	start(&started, (struct rota_config){ 0 });
	assert_int_equal(test_submit(&started, &job, sleep_long, &seen), 0);
	while (!atomic_load(&seen.runs))
		usleep(100);
	assert_false(rota_job_ended(&job));
	rota_job_cancel(&job, (struct rota_cancellation){ -EINTR, "enough" });
	rota_job_cancel(&job, (struct rota_cancellation){ -EIO, "again" });
	assert_int_equal(rota_job_wait(&job), -ECANCELED);
	assert_true(rota_job_ended(&job));
	assert_int_equal(seen.code, -ECANCELED);
	assert_int_equal(seen.error, -EINTR);
	assert_string_equal(seen.reason, "enough");
	assert_null(seen.inherited);
	stop(&started);
}

static void a_job_may_be_cancelled_before_it_starts(void **state)
{
	struct test_started started;
	struct seen seen = { 0 };
	struct rota_job blocker, job;
	struct door door;

	(void)state;
	door_make(&door);
	start(&started, (struct rota_config){ .loops = 1 });
	assert_int_equal(test_submit(&started, &blocker, door_block, &door), 0);
	door_await(&door, 1);
	assert_int_equal(test_submit(&started, &job, sleep_long, &seen), 0);
	rota_job_cancel(&job, (struct rota_cancellation){ 0 });
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&job), -ECANCELED);
	assert_int_equal(seen.error, -ECANCELED);
	assert_true(atomic_load(&seen.runs));
	assert_int_equal(rota_job_wait(&blocker), 1);
	/* one that has ended: nothing happens */
	rota_job_cancel(&blocker, (struct rota_cancellation){ 0 });
	assert_int_equal(rota_job_wait(&blocker), 1);
	stop(&started);
	door_remove(&door);
}

/* Threads that submit, cancel and wait, at moments that a seed decides on. */
struct storm {
	struct test_started *started;
	pthread_t thread;
	uint64_t seed;
	unsigned rounds, wrong, cancelled;
};

static int sleep_a_little(void *value)
{
	const int turns = *(int *)value;

	for (int i = 0; i < turns; i++) {
		const int code = rota_yield();

		if (code)
			return code;
	}
	return turns;
}

static void wait_a_little(struct test_random *random)
{
	for (uint64_t i = test_random_below(random, 200); i; i--)
		__asm__ volatile("" ::: "memory");
}

static void *run_storm(void *argument)
{
	struct storm *storm = argument;
	struct test_random random;

	test_random_seed(&random, storm->seed);
	for (unsigned i = 0; i < storm->rounds; i++) {
		const int turns = (int)test_random_below(&random, 4);
		const bool cancels = test_random_below(&random, 4) > 0;
		struct rota_job job = { .engine = storm->started->engine,
					.loop = i % LOOPS };
		int result;

		storm->wrong += rota_submit(&job, sleep_a_little, turns) != 0;
		wait_a_little(&random);
		if (cancels)
			rota_job_cancel(&job, (struct rota_cancellation){ 0 });
		result = rota_job_wait(&job);
		/* whoever still writes to it is seen here, or by TSan */
		memset(&job, 0xa5, sizeof(job));
		storm->cancelled += result == -ECANCELED;
		storm->wrong += result != turns &&
				!(cancels && result == -ECANCELED);
	}
	return NULL;
}

static void a_cancel_that_meets_the_end_of_a_job_is_harmless(void **state)
{
	struct test_started started;
	struct test_random random;
	struct storm storms[3];

	(void)state;
	test_random_init(&random);
	start(&started, (struct rota_config){ 0 });
	for (unsigned i = 0; i < 3; i++) {
		storms[i] = (struct storm){ .started = &started,
					    .seed = test_random_next(&random),
					    .rounds = test_rounds(20000) };
		assert_int_equal(pthread_create(&storms[i].thread, NULL,
						run_storm, &storms[i]),
				 0);
	}
	for (unsigned i = 0; i < 3; i++)
		pthread_join(storms[i].thread, NULL);
	stop(&started);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(storms[i].wrong, 0);
}

/* A task of one engine that has a job in another. */
struct crossing {
	struct test_started *started;
	struct door *door;
	int before, after;
};

static int wait_in_task(void *arg)
{
	struct crossing *crossing = arg;
	struct rota_job job = { .engine = crossing->started->engine };
	int error = rota_submit(&job, door_pass, crossing->door);

	crossing->before = rota_job_wait(&job);
	if (write(crossing->door->ends[1], "x", 1) != 1)
		return -errno;
	while (!rota_job_ended(&job) && !error)
		error = rota_sleep(ROTA_MILLISECOND / 10);
	crossing->after = rota_job_wait(&job);
	return error;
}

static void a_task_may_not_wait_for_a_job_unless_it_has_ended(void **state)
{
	struct test_started started;
	struct door door;
	struct crossing crossing = { &started, &door, 0, 0 };

	(void)state;
	door_make(&door);
	start(&started, (struct rota_config){ 0 });
	assert_int_equal(test_run(wait_in_task, &crossing), 0);
	assert_int_equal(crossing.before, -EDEADLK);
	assert_int_equal(crossing.after, 1);
	stop(&started);
	door_remove(&door);
}

static int return_past_a_group(void *value)
{
	struct rota_group group;

	(void)value;
	rota_group_open(&group, NULL);
	return 0;
}

static int submit_leaver(void *arg)
{
	struct test_started started;
	struct rota_job job;

	(void)arg;
	if (test_start(&started, NULL, NULL) ||
	    test_submit(&started, &job, return_past_a_group, NULL))
		return 1;
	return rota_job_wait(&job);
}

static void a_job_that_leaves_a_group_open_aborts(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, submit_leaver, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors,
			       "the group opened here is still open, but task "
			       "return_past_a_group (spawned at "));
}

static int wait_for_none(void *arg)
{
	struct rota_job job = { .engine = arg };

	return rota_job_wait(&job);
}

static int submit_twice(void *arg)
{
	static struct test_started started;
	static struct rota_job job;
	static struct seen seen;

	(void)arg;
	if (test_start(&started, NULL, NULL))
		return 1;
	job.engine = started.engine;
	return rota_submit(&job, sleep_long, &seen) |
	       rota_submit(&job, sleep_long, &seen);
}

static void a_job_that_is_misused_aborts(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, wait_for_none, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "a job that was not accepted"));
	test_child_run(&child, submit_twice, NULL);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "the job is under way, since "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_returns_what_its_function_returned),
		cmocka_unit_test(a_job_runs_on_the_loop_it_is_sent_to),
		cmocka_unit_test(a_job_for_a_loop_that_is_not_there_is_refused),
		cmocka_unit_test(jobs_for_the_least_loaded_loop_are_spread),
		cmocka_unit_test(more_jobs_than_the_bound_are_refused),
		cmocka_unit_test(who_waited_for_a_job_finds_room_for_the_next),
		cmocka_unit_test(a_job_for_which_a_loop_has_no_task_tells_so),
		cmocka_unit_test(a_job_that_is_cancelled_knows_why),
		cmocka_unit_test(a_job_may_be_cancelled_before_it_starts),
		cmocka_unit_test(
			a_cancel_that_meets_the_end_of_a_job_is_harmless),
		cmocka_unit_test(
			a_task_may_not_wait_for_a_job_unless_it_has_ended),
		cmocka_unit_test(a_job_that_leaves_a_group_open_aborts),
		cmocka_unit_test(a_job_that_is_misused_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
