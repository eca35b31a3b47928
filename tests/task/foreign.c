/* SPDX-License-Identifier: MIT */
/*
 * A loop's memory belongs to its thread: groups of other engines are found, and
 * what only the group's own loop may do.
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

/* What a member on loop 1 does with its group of loop 0. */
static int (*use_elsewhere)(void *group);

static int use_there(void *value)
{
	return use_elsewhere(*(struct rota_group **)value);
}

static int lend_to_member(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, use_there, &group);
	return rota_group_wait(&group) ? 1 : error;
}

static int lend_over_loops(int (*use)(void *group))
{
	use_elsewhere = use;
	return rota_run(&(struct rota_config){ .loops = 2 }, lend_to_member,
			NULL);
}

static int spawn_background(void *group)
{
	return rota_go_background((struct rota_group *)group, do_nothing, 0);
}

static int wait_there(void *group)
{
	return rota_group_wait(group);
}

static int background_elsewhere(void *arg)
{
	(void)arg;
	return lend_over_loops(spawn_background);
}

static int drain_elsewhere(void *arg)
{
	(void)arg;
	return lend_over_loops(drain_there);
}

static int wait_elsewhere(void *arg)
{
	(void)arg;
	return lend_over_loops(wait_there);
}

static void what_only_the_groups_own_loop_may_do_is_found(void **state)
{
	(void)state;
	test_expect_abort_outside(background_elsewhere,
				  "the group is of another loop");
	test_expect_abort_outside(drain_elsewhere,
				  "rota_group_drain: the group is of another "
				  "loop");
	test_expect_abort_outside(wait_elsewhere,
				  "rota_group_wait: the group is of another "
				  "loop");
}

static struct rota_group closed;

static int spawn_late(void *group)
{
	(void)group;
	return rota_go(&closed, do_nothing, 0);
}

static int cancel_late(void *group)
{
	(void)group;
	return cancel_there(&closed);
}

static int close_first(void *arg)
{
	rota_group_open(&closed, NULL);
	return rota_group_wait(&closed) ? 1 : lend_to_member(arg);
}

static int lend_closed(int (*use)(void *group))
{
	use_elsewhere = use;
	return rota_run(&(struct rota_config){ .loops = 2 }, close_first, NULL);
}

static int spawn_into_closed(void *arg)
{
	(void)arg;
	return lend_closed(spawn_late);
}

static int cancel_closed(void *arg)
{
	(void)arg;
	return lend_closed(cancel_late);
}

static void a_closed_group_of_another_loop_is_found(void **state)
{
	(void)state;
	test_expect_abort_outside(spawn_into_closed,
				  "it was waited for already");
	test_expect_abort_outside(cancel_closed, "it was waited for already");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_of_another_threads_engine_is_found),
		cmocka_unit_test(what_only_the_groups_own_loop_may_do_is_found),
		cmocka_unit_test(a_closed_group_of_another_loop_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
