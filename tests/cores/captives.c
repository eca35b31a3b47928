/* SPDX-License-Identifier: MIT */
/*
 * An engine that is stopped, and a group that drains, with a task in each verb
 * that waits (support/captive.h): every one is freed with its code, and nothing
 * is left behind.
 */
#include "support/captive.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define GRACE_NS (20 * ROTA_MILLISECOND)

static struct rota_config config_of(unsigned loops)
{
	return (struct rota_config){ .loops = loops,
				     .offload_threads = CAPTIVE_THREADS,
				     .log = test_log_nothing };
}

static void submit(const struct test_started *started, struct rota_job *job,
		   struct captive *captive)
{
	*job = (struct rota_job){ .engine = started->engine,
				  .loop = captive->loop };
	assert_int_equal(rota_submit(job, captive_main, captive), 0);
}

static void await_all(const struct test_started *started, struct captives *row)
{
	const unsigned loops = row->list[0].loops;

	for (unsigned i = 0; i < loops; i++) {
		struct rota_job job = { .engine = started->engine, .loop = i };

		assert_int_equal(rota_submit(&job, captives_look, row), 0);
		assert_int_equal(rota_job_wait(&job), 0);
	}
}

/* Stops an engine in which all of them are. */
static void stop(bool idle, int64_t grace_ns, int code)
{
	const struct rota_config config = config_of(2);
	struct rota_job jobs[CAPTIVES_MAX];
	struct test_started started;
	struct captives row;
	unsigned descriptors;

	captives_set_up(&row, 2, idle);
	descriptors = test_process_descriptors();
	assert_int_equal(test_start(&started, &config, captive_kernel()), 0);
	for (unsigned i = 0; i < row.count; i++)
		submit(&started, &jobs[i], &row.list[i]);
	await_all(&started, &row);
	assert_int_equal(test_stop(&started, grace_ns), 0);
	captives_check(&row, code);
	for (unsigned i = 0; i < row.count; i++)
		assert_int_equal(rota_job_wait(&jobs[i]), row.list[i].result);
	assert_int_equal(test_process_descriptors(), descriptors);
	captives_tear_down(&row);
}

static void an_engine_that_stops_at_once_frees_who_is_in_a_verb(void **state)
{
	(void)state;
	stop(false, 0, -ECANCELED);
}

static void an_engine_whose_grace_is_over_frees_who_is_in_a_verb(void **state)
{
	(void)state;
	stop(false, GRACE_NS, -ECANCELED);
}

static void an_engine_that_stops_waits_for_nobody_who_is_idle(void **state)
{
	(void)state;
	stop(true, ROTA_NEVER, -ESHUTDOWN);
}

/* The same of a group. */
struct drained {
	struct captives row;
	int64_t grace_ns;
	int error;
};

static int look_everywhere(struct captives *row)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < rota_loops() && !error; i++)
		error = rota_go_on(&group, i, captives_look, row);
	return error | rota_group_wait(&group);
}

static int drain_all(void *arg)
{
	struct drained *drained = arg;
	struct captives *row = &drained->row;
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){
					.mode = ROTA_GROUP_KEEP_GOING });
	for (unsigned i = 0; i < row->count; i++)
		drained->error |= rota_go_on(&group, row->list[i].loop,
					     captive_main, &row->list[i]);
	drained->error |= look_everywhere(row);
	rota_group_drain(&group, drained->grace_ns);
	(void)rota_group_wait(&group);
	return drained->error;
}

static void drain(bool idle, int64_t grace_ns, int code)
{
	const struct rota_config config = config_of(3);
	struct drained drained = { .grace_ns = grace_ns };
	unsigned descriptors;

	captives_set_up(&drained.row, 3, idle);
	descriptors = test_process_descriptors();
	assert_int_equal(test_run_with(&config, captive_kernel(), drain_all,
				       &drained),
			 0);
	captives_check(&drained.row, code);
	assert_int_equal(test_process_descriptors(), descriptors);
	captives_tear_down(&drained.row);
}

static void a_drain_at_once_frees_who_is_in_a_verb_on_any_loop(void **state)
{
	(void)state;
	drain(false, 0, -ECANCELED);
}

static void a_drain_frees_who_is_in_a_verb_after_its_grace(void **state)
{
	(void)state;
	drain(false, GRACE_NS, -ECANCELED);
}

static void a_drain_frees_who_is_idle_in_a_verb_on_any_loop(void **state)
{
	(void)state;
	drain(true, ROTA_NEVER, -ESHUTDOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_engine_that_stops_at_once_frees_who_is_in_a_verb),
		cmocka_unit_test(
			an_engine_whose_grace_is_over_frees_who_is_in_a_verb),
		cmocka_unit_test(
			an_engine_that_stops_waits_for_nobody_who_is_idle),
		cmocka_unit_test(
			a_drain_at_once_frees_who_is_in_a_verb_on_any_loop),
		cmocka_unit_test(
			a_drain_frees_who_is_in_a_verb_after_its_grace),
		cmocka_unit_test(
			a_drain_frees_who_is_idle_in_a_verb_on_any_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
