/* SPDX-License-Identifier: MIT */
/*
 * A loop that nothing can wake must not wait for locks that anybody may unlock:
 * what need not wait works, what would is told so.
 */
#include "support/kernel.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct deaf {
	struct test_kernel kernel;
	struct rota_mutex mutex;
	struct rota_rwlock lock;
	struct rota_once once;
	struct rota_wait_group pending;
	struct rota_condition condition;
	int waits[8]; /* what they returned */
	int held;     /* what try_lock said after the wait for a condition */
};

static int wait_for_each(void *value)
{
	struct deaf *deaf = *(struct deaf **)value;

	deaf->waits[0] = rota_mutex_lock(&deaf->mutex);
	deaf->waits[1] = rota_rwlock_read_lock(&deaf->lock);
	deaf->waits[2] = rota_rwlock_write_lock(&deaf->lock);
	deaf->waits[3] = rota_wait_group_wait(&deaf->pending);
	return 0;
}

static int wait_for_itself(void *arg)
{
	return rota_once_run(&((struct deaf *)arg)->once, wait_for_itself, arg);
}

static int run_slowly(void *arg)
{
	struct deaf *deaf = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, wait_for_each, deaf);
	return rota_group_wait(&group) | error;
}

static int call_once(void *value)
{
	struct deaf *deaf = *(struct deaf **)value;

	deaf->waits[4] = rota_once_run(&deaf->once, wait_for_itself, deaf);
	return 0;
}

static int run_and_call(void *arg)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, call_once, arg);
	return rota_group_wait(&group) | error | run_slowly(arg);
}

/* A condition of this loop, with a mutex of anybody's, and the other way
 * round. */
static void wait_for_conditions(struct deaf *deaf)
{
	struct rota_condition own;
	struct rota_mutex mutex;

	rota_condition_init(&own, NULL);
	rota_mutex_init(&mutex, NULL);
	deaf->waits[5] = rota_condition_wait(&own, &deaf->mutex);
	deaf->held = rota_mutex_try_lock(&deaf->mutex);
	deaf->waits[6] = rota_mutex_lock(&mutex);
	deaf->waits[7] = rota_condition_wait(&deaf->condition, &mutex);
	rota_mutex_unlock(&mutex);
	rota_mutex_fini(&mutex);
	rota_condition_fini(&own);
}

static int hold_each(void *arg)
{
	struct deaf *deaf = arg;
	int error = rota_mutex_lock(&deaf->mutex);

	error |= rota_rwlock_write_lock(&deaf->lock);
	rota_wait_group_add(&deaf->pending, 1);
	error |= rota_once_run(&deaf->once, run_and_call, deaf);
	wait_for_conditions(deaf);
	rota_wait_group_done(&deaf->pending);
	rota_rwlock_write_unlock(&deaf->lock);
	rota_mutex_unlock(&deaf->mutex);
	return error;
}

static void a_loop_that_nothing_can_wake_waits_for_no_lock(void **state)
{
	struct deaf deaf = { .held = 0 };
	const int waits[8] = { -EMFILE, -EMFILE, -EMFILE, -EMFILE,
			       -EMFILE, -EMFILE, 0,       -EMFILE };

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	rota_mutex_init(&deaf.mutex, NULL);
	rota_rwlock_init(&deaf.lock, NULL);
	rota_once_init(&deaf.once, NULL);
	rota_wait_group_init(&deaf.pending, NULL);
	rota_condition_init(&deaf.condition, NULL);
	test_kernel_init(&deaf.kernel);
	test_kernel_fail(&deaf.kernel,
			 &(struct test_fault){ .call = TEST_EVENT_OPEN,
					       .times = TEST_FOREVER,
					       .error = -EMFILE });
	assert_int_equal(
		test_run_with(NULL, &deaf.kernel.table, hold_each, &deaf), 0);
	assert_memory_equal(deaf.waits, waits, sizeof(waits));
	assert_int_equal(deaf.held, -EAGAIN);
	rota_condition_fini(&deaf.condition);
	rota_wait_group_fini(&deaf.pending);
	rota_once_fini(&deaf.once);
	rota_rwlock_fini(&deaf.lock);
	rota_mutex_fini(&deaf.mutex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_loop_that_nothing_can_wake_waits_for_no_lock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
