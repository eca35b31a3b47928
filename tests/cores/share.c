/* SPDX-License-Identifier: MIT */
/*
 * Groups that foreign threads name: jobs as their members, and names that have
 * outlived them.
 */
#include "rota/job.h"

#include "support/door.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LOOPS 2u

/* A job that keeps a group open until it is let go. */
struct host {
	struct door door;
	struct rota_group_options options;
	unsigned loop; /* where it runs */
	_Atomic rota_group_id id;
	bool cancels, drains; /* what it does to it, before it waits */
	struct rota_job job;
};

static int keep_open(void *value)
{
	struct host *host = *(struct host **)value;
	struct door *door = &host->door;
	struct rota_shield shield;
	struct rota_group group;

	rota_group_open(&group, &host->options);
	if (host->cancels)
		rota_group_cancel(&group,
				  (struct rota_cancellation){ -EIO, NULL });
	if (host->drains)
		rota_group_drain(&group, ROTA_NEVER);
	atomic_store(&host->id, rota_group_share(&group));
	if (rota_group_share(&group) != atomic_load(&host->id))
		atomic_store(&host->id, 1);
	rota_shield_begin(&shield, ROTA_NEVER);
	door_pass(&door);
	rota_shield_end(&shield);
	return rota_group_wait(&group);
}

static void begin(struct test_started *started, struct host *host)
{
	assert_int_equal(test_start(started,
				    &(struct rota_config){ .loops = LOOPS },
				    NULL),
			 0);
	door_make(&host->door);
	atomic_init(&host->id, 0);
	host->job = (struct rota_job){ .engine = started->engine,
				       .loop = host->loop };
	assert_int_equal(rota_submit(&host->job, keep_open, host), 0);
	door_await(&host->door, 1);
}

static int end(struct test_started *started, struct host *host)
{
	int result;

	door_let(&host->door, 1);
	result = rota_job_wait(&host->job);
	assert_int_equal(test_stop(started, ROTA_NEVER), 0);
	door_remove(&host->door);
	return result;
}

static struct rota_job member(const struct test_started *started,
			      const struct host *host)
{
	return (struct rota_job){ .engine = started->engine,
				  .group = atomic_load(&host->id) };
}

static int which_loop(void *value)
{
	(void)value;
	return (int)rota_loop();
}

static void a_job_runs_on_the_loop_of_its_group(void **state)
{
	struct test_started started;

	(void)state;
	for (unsigned i = 0; i < LOOPS; i++) {
		struct host host = { .loop = i };
		struct rota_job job;

		begin(&started, &host);
		assert_true(atomic_load(&host.id) > 1);
		job = member(&started, &host);
		assert_int_equal(rota_submit(&job, which_loop, 0), 0);
		assert_int_equal(rota_job_wait(&job), i);
		assert_int_equal(end(&started, &host), 0);
	}
}

static void a_group_waits_for_the_jobs_in_it(void **state)
{
	struct test_started started;
	struct host host = { 0 };
	struct rota_job job;
	struct door door;

	(void)state;
	door_make(&door);
	begin(&started, &host);
	job = member(&started, &host);
	assert_int_equal(rota_submit(&job, door_pass, &door), 0);
	door_await(&door, 1);
	door_let(&host.door, 1);
	while (!atomic_load(&host.door.passed))
		sched_yield();
	assert_false(rota_job_ended(&host.job));
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&job), 1);
	assert_int_equal(end(&started, &host), 0);
	door_remove(&door);
}

static int give_back(void *value)
{
	return *(int *)value;
}

static void a_job_that_fails_ends_its_group(void **state)
{
	struct test_started started;
	struct host host = { .options = { .mode = ROTA_GROUP_FIRST_ERROR } };
	struct rota_job job;

	(void)state;
	begin(&started, &host);
	job = member(&started, &host);
	assert_int_equal(rota_submit(&job, give_back, -EPIPE), 0);
	assert_int_equal(rota_job_wait(&job), -EPIPE);
	assert_int_equal(end(&started, &host), -EPIPE);
}

static void a_name_that_has_outlived_its_group_is_found_out(void **state)
{
	struct test_started started;
	struct host host = { 0 }, next = { 0 };
	struct rota_job job;

	(void)state;
	begin(&started, &host);
	door_let(&host.door, 1);
	assert_int_equal(rota_job_wait(&host.job), 0);
	/* in the same slot */
	door_make(&next.door);
	assert_int_equal(test_submit(&started, &next.job, keep_open, &next), 0);
	door_await(&next.door, 1);
	assert_int_equal((uint32_t)atomic_load(&next.id),
			 (uint32_t)atomic_load(&host.id));
	job = member(&started, &host);
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), -ESRCH);
	job = member(&started, &next);
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), 0);
	door_let(&next.door, 1);
	assert_int_equal(rota_job_wait(&next.job), 0);
	door_remove(&next.door);
	assert_int_equal(end(&started, &host), 0);
}

static void a_name_that_never_was_is_found_out(void **state)
{
	struct test_started started;
	struct host host = { 0 };
	struct rota_job job;

	(void)state;
	begin(&started, &host);
	job = member(&started, &host);
	job.group ^= 1; /* another slot */
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), -ESRCH);
	job.group = (rota_group_id)1 << 32 | LOOPS << 16;
	assert_int_equal(rota_submit(&job, which_loop, 0), -EINVAL);
	job.group = (rota_group_id)1 << 32 | 1 << 16; /* none has one there */
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), -ESRCH);
	assert_int_equal(end(&started, &host), 0);
}

static void a_group_that_ends_takes_no_jobs(void **state)
{
	struct test_started started;
	struct host cancelled = { .cancels = true }, drained = { .drains = 1 };
	struct rota_job job;

	(void)state;
	begin(&started, &cancelled);
	job = member(&started, &cancelled);
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), -ECANCELED);
	assert_int_equal(end(&started, &cancelled), -EIO);
	begin(&started, &drained);
	job = member(&started, &drained);
	assert_int_equal(rota_submit(&job, which_loop, 0), 0);
	assert_int_equal(rota_job_wait(&job), -ESHUTDOWN);
	assert_int_equal(end(&started, &drained), 0);
}

static void a_job_waits_for_a_slot_of_its_group(void **state)
{
	struct test_started started;
	struct host host = { .options = { .limit = 1 } };
	struct rota_job first, second, third;
	struct door door;

	(void)state;
	door_make(&door);
	begin(&started, &host);
	first = second = third = member(&started, &host);
	assert_int_equal(rota_submit(&first, door_pass, &door), 0);
	assert_int_equal(rota_submit(&second, door_pass, &door), 0);
	assert_int_equal(rota_submit(&third, door_pass, &door), 0);
	door_await(&door, 1);
	rota_job_cancel(&third, (struct rota_cancellation){ 0 });
	assert_int_equal(rota_job_wait(&third), -ECANCELED);
	assert_int_equal(atomic_load(&door.came), 1);
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&first), 1);
	door_await(&door, 2);
	assert_false(rota_job_ended(&second));
	door_let(&door, 1);
	assert_int_equal(rota_job_wait(&second), 1);
	assert_int_equal(end(&started, &host), 0);
	door_remove(&door);
}

#define NAMES 65536u

static int share_too_many(void *arg)
{
	struct rota_group *groups = arg;
	unsigned named = 0;

	for (unsigned i = 0; i <= NAMES; i++) {
		rota_group_open(&groups[i], NULL);
		named += rota_group_share(&groups[i]) != 0;
	}
	for (unsigned i = NAMES + 1; i--;)
		rota_group_wait(&groups[i]);
	rota_group_open(&groups[0], NULL);
	if (!rota_group_share(&groups[0]))
		named = 0;
	rota_group_wait(&groups[0]);
	return (int)named;
}

static void names_have_a_bound(void **state)
{
	struct rota_group *groups = calloc(NAMES + 1, sizeof(groups[0]));

	(void)state;
	assert_non_null(groups);
	assert_int_equal(test_run(share_too_many, groups), NAMES);
	free(groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_runs_on_the_loop_of_its_group),
		cmocka_unit_test(a_group_waits_for_the_jobs_in_it),
		cmocka_unit_test(a_job_that_fails_ends_its_group),
		cmocka_unit_test(
			a_name_that_has_outlived_its_group_is_found_out),
		cmocka_unit_test(a_name_that_never_was_is_found_out),
		cmocka_unit_test(a_group_that_ends_takes_no_jobs),
		cmocka_unit_test(a_job_waits_for_a_slot_of_its_group),
		cmocka_unit_test(names_have_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
