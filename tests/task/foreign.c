/* SPDX-License-Identifier: MIT */
/*
 * A loop's memory belongs to its thread.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int do_nothing(void *value)
{
	(void)value;
	return 0;
}

/* What a task of another thread's engine does with a group. */
struct foreign {
	int (*use)(void *group);
	struct rota_group group;
};

static int spawn_there(void *group)
{
	return rota_go((struct rota_group *)group, do_nothing, 0);
}

static int cancel_there(void *group)
{
	rota_group_cancel(group, (struct rota_cancellation){ 0 });
	return 0;
}

static int drain_there(void *group)
{
	rota_group_drain(group, 0);
	return 0;
}

static void *run_there(void *arg)
{
	struct foreign *foreign = arg;

	return rota_run(NULL, foreign->use, &foreign->group) ? arg : NULL;
}

static int lend(int (*use)(void *group))
{
	struct foreign foreign = { .use = use };
	pthread_t thread;

	rota_group_open(&foreign.group, NULL);
	pthread_create(&thread, NULL, run_there, &foreign);
	pthread_join(thread, NULL);
	return rota_group_wait(&foreign.group);
}

static int lend_to_spawn(void *arg)
{
	(void)arg;
	return lend(spawn_there);
}

static int lend_to_cancel(void *arg)
{
	(void)arg;
	return lend(cancel_there);
}

static int lend_to_drain(void *arg)
{
	(void)arg;
	return lend(drain_there);
}

static void a_group_of_another_threads_engine_is_found(void **state)
{
	(void)state;
	test_expect_abort(lend_to_spawn, "of another thread's engine");
	test_expect_abort(lend_to_cancel, "of another thread's engine");
	test_expect_abort(lend_to_drain, "of another thread's engine");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_of_another_threads_engine_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
