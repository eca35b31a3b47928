/* SPDX-License-Identifier: MIT */
/*
 * Names that are looked up while their task is cancelled, or other calls wait
 * for a thread.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/hosts.h"
#include "support/log.h"
#include "support/run.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NAME "a.test"

struct seen {
	struct test_hosts hosts;
	struct test_log log;
	struct rota_group group;
	struct rota_address list[2];
	int result; /* of the look-up */
	int codes[8];
	int64_t time_ns;
};

static struct seen *new_seen(const char *addresses, bool slow)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	test_hosts_init(&seen.hosts);
	test_hosts_add(&seen.hosts, NAME, addresses)->slow = slow;
	return &seen;
}

static int run(struct seen *seen, int (*fn)(void *))
{
	return test_hosts_run(&seen->hosts, &seen->log, fn, seen);
}

static int ask(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->result = rota_resolve(NAME, NULL, seen->list, 2);
	return 0;
}

static int ask_cancelled(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;

	rota_group_open(&group, NULL);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	ask(&seen);
	seen->codes[0] = rota_resolve("::1", NULL, seen->list, 1);
	rota_group_wait(&group);
	return 0;
}

static void in_a_cancelled_task_nothing_is_looked_up(void **state)
{
	struct seen *seen = new_seen("::1", false);

	(void)state;
	assert_int_equal(run(seen, ask_cancelled), 0);
	assert_int_equal(seen->result, -ECANCELED);
	assert_int_equal(seen->codes[0], -ECANCELED);
	assert_int_equal(atomic_load(&seen->hosts.asked), 0);
}

/* With memory of its own, which is gone when it returns. */
static int ask_timed(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_address *list = malloc(sizeof(*list));
	char *name = strdup(NAME);
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(5 * ROTA_SECOND));
	seen->result = rota_resolve(name, NULL, list, 1);
	seen->time_ns = rota_now_ns();
	rota_deadline_end(&deadline);
	free(list);
	free(name);
	return 0;
}

static unsigned left_now(void)
{
	struct ri_offload *pool = ri_tasks_here()->offload;
	unsigned left;

	pthread_mutex_lock(&pool->mutex);
	left = pool->left;
	pthread_mutex_unlock(&pool->mutex);
	return left;
}

static int leave_lookup(void *arg)
{
	struct seen *seen = arg;
	const int64_t start_ns = rota_now_ns();

	rota_group_open(&seen->group, NULL);
	seen->codes[0] = rota_go(&seen->group, ask_timed, seen);
	seen->codes[0] |= rota_yield();
	test_valve_await(&seen->hosts.valve, 1);
	seen->codes[0] |= rota_group_wait(&seen->group);
	seen->time_ns -= start_ns;
	seen->codes[1] = (int)left_now();
	test_valve_open(&seen->hosts.valve);
	while (left_now())
		(void)!rota_yield();
	return seen->codes[0];
}

static void a_deadline_ends_a_look_up_that_runs_at_once(void **state)
{
	struct seen *seen = new_seen("::1", true);

	(void)state;
	test_kernel_clock(&seen->hosts.kernel, TEST_START_NS);
	assert_int_equal(run(seen, leave_lookup), 0);
	assert_int_equal(seen->result, -ETIME);
	assert_int_equal(seen->time_ns, 5 * ROTA_SECOND);
	assert_int_equal(seen->codes[1], 1);
	assert_int_equal(seen->log.lines, 0);
}

/* Opens the valve as soon as the engine tells that it waits. */
static void log_and_open(void *context, const char *line)
{
	struct seen *seen = context;

	test_log_write(&seen->log, line);
	test_valve_open(&seen->hosts.valve);
}

static int leave_and_end(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[0] = rota_go(&seen->group, ask_timed, seen);
	seen->codes[0] |= rota_yield();
	test_valve_await(&seen->hosts.valve, 1);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	return rota_group_wait(&seen->group);
}

static void the_end_of_the_engine_waits_for_it_and_names_it(void **state)
{
	struct seen *seen = new_seen("::1", true);
	const struct rota_config config = { .log = log_and_open,
					    .context = seen };

	(void)state;
	assert_int_equal(test_run_with(&config, &seen->hosts.kernel.table,
				       leave_and_end, seen),
			 -ECANCELED);
	assert_int_equal(seen->result, -ECANCELED);
	assert_int_equal(seen->log.lines, 1);
	assert_true(test_log_has(&seen->log, "the look-up of a.test"));
	assert_int_equal(test_valve_passed(&seen->hosts.valve), 1);
	assert_int_equal(atomic_load(&seen->hosts.answers), 0);
}

static int answer_call(void *arg)
{
	(void)arg;
	return 7;
}

/* Of three threads, names have two; a fourth look-up is taken back. */
static int ask_often(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_group_open(&seen->group, NULL);
	for (int i = 0; i < 3; i++)
		seen->codes[0] |= rota_go(&seen->group, ask, seen);
	seen->codes[0] |= rota_yield();
	test_valve_await(&seen->hosts.valve, 2);
	seen->codes[1] = rota_offload(answer_call, NULL);
	seen->codes[2] = (int)atomic_load(&seen->hosts.asked);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	seen->codes[3] = rota_resolve(NAME, NULL, NULL, 0);
	rota_deadline_end(&deadline);
	seen->codes[4] = (int)left_now();
	test_valve_open(&seen->hosts.valve);
	seen->codes[0] |= rota_group_wait(&seen->group);
	return seen->codes[0];
}

static void slow_names_leave_threads_to_calls(void **state)
{
	struct seen *seen = new_seen("::1", true);

	(void)state;
	test_kernel_clock(&seen->hosts.kernel, TEST_START_NS);
	assert_int_equal(run(seen, ask_often), 0);
	assert_int_equal(seen->codes[1], 7);
	assert_int_equal(seen->codes[2], 2);
	assert_int_equal(seen->codes[3], -ETIME);
	assert_int_equal(seen->codes[4], 0);
	assert_int_equal(atomic_load(&seen->hosts.asked), 3);
}

static bool is_looking(void)
{
	struct ri_offload *pool = ri_tasks_here()->offload;
	bool looking;

	pthread_mutex_lock(&pool->mutex);
	looking = pool->looking;
	pthread_mutex_unlock(&pool->mutex);
	return looking;
}

/* The answer is on its way, but the loop has not looked for mail since. */
static int cancel_late(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[0] = rota_go(&seen->group, ask, seen);
	seen->codes[0] |= rota_yield();
	while (!atomic_load(&seen->hosts.asked) || is_looking())
		;
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	rota_group_wait(&seen->group);
	return seen->codes[0];
}

static void a_cancel_after_the_answer_does_not_lose_it(void **state)
{
	struct seen *seen = new_seen("::1 ::2", false);

	(void)state;
	assert_int_equal(run(seen, cancel_late), 0);
	assert_int_equal(seen->result, 2);
}

static int count_names(void *arg)
{
	struct seen *seen = arg;

	return (int)atomic_load(&seen->hosts.asked);
}

static int call_and_count(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[3] = rota_offload(count_names, seen);
	return 0;
}

static int block(void *value)
{
	struct seen *seen = *(struct seen **)value;

	return rota_offload(test_valve_call, &seen->hosts.valve);
}

/* The only thread is busy; then come a name and a call. */
static int form_a_line(void *arg)
{
	struct seen *seen = arg;

	rota_group_open(&seen->group, NULL);
	seen->codes[0] = rota_go(&seen->group, block, seen);
	seen->codes[0] |= rota_yield();
	test_valve_await(&seen->hosts.valve, 1);
	seen->codes[0] |= rota_go(&seen->group, ask, seen);
	seen->codes[0] |= rota_go(&seen->group, call_and_count, seen);
	seen->codes[0] |= rota_yield();
	test_valve_open(&seen->hosts.valve);
	return seen->codes[0] | rota_group_wait(&seen->group);
}

static void names_and_calls_wait_in_one_line(void **state)
{
	const struct rota_config config = { .offload_threads = 1 };
	struct seen *seen = new_seen("::1", false);

	(void)state;
	assert_int_equal(test_run_with(&config, &seen->hosts.kernel.table,
				       form_a_line, seen),
			 0);
	assert_int_equal(seen->result, 1);
	assert_int_equal(seen->codes[3], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_a_cancelled_task_nothing_is_looked_up),
		cmocka_unit_test(a_deadline_ends_a_look_up_that_runs_at_once),
		cmocka_unit_test(
			the_end_of_the_engine_waits_for_it_and_names_it),
		cmocka_unit_test(slow_names_leave_threads_to_calls),
		cmocka_unit_test(a_cancel_after_the_answer_does_not_lose_it),
		cmocka_unit_test(names_and_calls_wait_in_one_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
