/* SPDX-License-Identifier: MIT */
/*
 * The end of a drain's grace names who is left on each loop.
 */
#include "support/log.h"
#include "support/loops.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A log that several loops write. */
struct shared_log {
	pthread_mutex_t mutex;
	struct test_log log;
};

static void write_shared(void *context, const char *line)
{
	struct shared_log *shared = context;

	pthread_mutex_lock(&shared->mutex);
	test_log_write(&shared->log, line);
	pthread_mutex_unlock(&shared->mutex);
}

/* Those who stay. */
struct stayers {
	atomic_uint began;
	int result;
};

static int stay(struct stayers *stayers, const char *name)
{
	rota_task_set_name(name);
	atomic_fetch_add(&stayers->began, 1);
	return rota_sleep(100 * ROTA_SECOND);
}

static int stay_in_outer(void *value)
{
	return stay(*(struct stayers **)value, "outer stayer");
}

static int stay_in_inner(void *value)
{
	return stay(*(struct stayers **)value, "inner stayer");
}

static int stay_in_innermost(void *value)
{
	return stay(*(struct stayers **)value, "innermost stayer");
}

/* On loop 1: a group inside with a member on loop 2. */
static int nest(void *value)
{
	struct stayers *stayers = *(struct stayers **)value;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 2, stay_in_innermost, stayers);
	return rota_group_wait(&group) ? -ECANCELED : error;
}

static int drain_all(void *arg)
{
	struct stayers *stayers = arg;
	struct rota_group outer, inner;
	int error;

	rota_group_open(&outer, NULL);
	error = rota_go_on(&outer, 1, stay_in_outer, stayers);
	if (!error)
		error = rota_go_on(&outer, 1, nest, stayers);
	rota_group_open(&inner, NULL);
	if (!error)
		error = rota_go_on(&inner, 2, stay_in_inner, stayers);
	while (!error && atomic_load(&stayers->began) < 3)
		pass(10000);
	rota_group_drain(&outer, 0);
	rota_group_wait(&inner);
	stayers->result = rota_group_wait(&outer);
	return error;
}

static void a_drain_names_who_is_left_on_each_loop(void **state)
{
	static struct shared_log shared = { .mutex =
						    PTHREAD_MUTEX_INITIALIZER };
	const struct rota_config config = { .loops = TEST_LOOPS,
					    .log = write_shared,
					    .context = &shared };
	struct stayers stayers = { .result = 1 };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, drain_all, &stayers), 0);
	assert_int_equal(stayers.result, -ESHUTDOWN);
	assert_true(test_log_has(&shared.log, "outer stayer"));
	assert_true(test_log_has(&shared.log, "inner stayer"));
	assert_true(test_log_has(&shared.log, "innermost stayer"));
	assert_int_equal(shared.log.lines, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_drain_names_who_is_left_on_each_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
