/* SPDX-License-Identifier: MIT */
/*
 * Broken promises about locks end the program, and the message names who is in
 * the way, and where.
 */
#include "rota/rota.h"
#include "support/broken.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* What other tasks of a test find. */
struct shared {
	struct rota_mutex mutex;
	struct rota_rwlock lock;
	struct rota_condition condition;
	struct rota_once once;
	struct rota_wait_group group;
};

static void init_all(struct shared *shared)
{
	const struct rota_sync_options named = { .name = "accounts" };

	rota_mutex_init(&shared->mutex, &named);
	rota_rwlock_init(&shared->lock, &named);
	rota_condition_init(&shared->condition, &named);
	rota_once_init(&shared->once, &named);
	rota_wait_group_init(&shared->group, &named);
}

static int run_with(int (*fn)(void *value))
{
	struct shared shared;
	struct rota_group group;
	int error;

	init_all(&shared);
	rota_group_open(&group, NULL);
	error = rota_go(&group, fn, &shared);
	return rota_group_wait(&group) | error;
}

/* Here and in another task at once. */
static int run_both(int (*here)(struct shared *shared),
		    int (*there)(void *value))
{
	struct shared shared;
	struct rota_group group;
	int error;

	init_all(&shared);
	rota_group_open(&group, NULL);
	error = rota_go(&group, there, &shared);
	if (!error)
		error = here(&shared);
	return rota_group_wait(&group) | error;
}

static int lock_twice_member(void *value)
{
	struct shared *shared = *(struct shared **)value;

	TEST_NEXT_LINE();
	return rota_mutex_lock(&shared->mutex) ||
	       rota_mutex_lock(&shared->mutex);
}

static int lock_twice(void *arg)
{
	(void)arg;
	return run_with(lock_twice_member);
}

static void a_task_that_locks_what_it_holds_is_named(void **state)
{
	(void)state;
	test_expect_abort(lock_twice,
			  "the mutex accounts taken here is held by task fn");
	test_expect_abort(lock_twice, "calls rota_mutex_lock at ");
}

static int unlock_member(void *value)
{
	rota_mutex_unlock(&(*(struct shared **)value)->mutex);
	return 0;
}

static int lock_and_wait(struct shared *shared)
{
	int error;

	TEST_NEXT_LINE();
	error = rota_mutex_lock(&shared->mutex);
	return error ? error : rota_sleep(ROTA_SECOND);
}

static int unlock_anothers(void *arg)
{
	(void)arg;
	return run_both(lock_and_wait, unlock_member);
}

static int unlock_nobodys(void *arg)
{
	(void)arg;
	return run_with(unlock_member);
}

static void who_unlocks_what_it_does_not_hold_is_named(void **state)
{
	(void)state;
	test_expect_abort(unlock_anothers, "but task there");
	test_expect_abort(unlock_nobodys,
			  "nobody holds the mutex accounts, but task fn");
}

static int fini_held_mutex(void *arg)
{
	struct shared shared;
	int error;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	error = rota_mutex_lock(&shared.mutex);
	rota_mutex_fini(&shared.mutex);
	return error;
}

static int fini_read(void *arg)
{
	struct shared shared;
	int error;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	error = rota_rwlock_read_lock(&shared.lock);
	rota_rwlock_fini(&shared.lock);
	return error;
}

static int fini_written(void *arg)
{
	struct shared shared;
	int error;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	error = rota_rwlock_write_lock(&shared.lock);
	rota_rwlock_fini(&shared.lock);
	return error;
}

static void what_is_held_may_not_end(void **state)
{
	(void)state;
	test_expect_abort(fini_held_mutex, "calls rota_mutex_fini");
	test_expect_abort(fini_read, "calls rota_rwlock_fini");
	test_expect_abort(fini_written, "calls rota_rwlock_fini");
}

static int read_twice(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	return rota_rwlock_read_lock(&shared.lock) ||
	       rota_rwlock_read_lock(&shared.lock);
}

static int read_and_write(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	return rota_rwlock_read_lock(&shared.lock) ||
	       rota_rwlock_write_lock(&shared.lock);
}

static int write_and_read(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	return rota_rwlock_write_lock(&shared.lock) ||
	       rota_rwlock_read_lock(&shared.lock);
}

static void a_task_that_has_a_rwlock_may_not_lock_it(void **state)
{
	(void)state;
	test_expect_abort(read_twice, "calls rota_rwlock_read_lock at ");
	test_expect_abort(read_and_write, "calls rota_rwlock_write_lock at ");
	test_expect_abort(write_and_read, "calls rota_rwlock_read_lock at ");
}

static int read_unlock_member(void *value)
{
	rota_rwlock_read_unlock(&(*(struct shared **)value)->lock);
	return 0;
}

static int write_unlock_member(void *value)
{
	rota_rwlock_write_unlock(&(*(struct shared **)value)->lock);
	return 0;
}

static int read_and_wait(struct shared *shared)
{
	int error;

	TEST_NEXT_LINE();
	error = rota_rwlock_read_lock(&shared->lock);
	return error ? error : rota_sleep(ROTA_SECOND);
}

static int read_unlock_anothers(void *arg)
{
	(void)arg;
	return run_both(read_and_wait, read_unlock_member);
}

static int read_again_and_wait(struct shared *shared)
{
	const int error = rota_rwlock_read_lock(&shared->lock);

	if (error)
		return error;
	rota_rwlock_read_unlock(&shared->lock);
	return read_and_wait(shared);
}

static int read_unlock_what_is_read_again(void *arg)
{
	(void)arg;
	return run_both(read_again_and_wait, read_unlock_member);
}

static int write_unlock_what_is_read(void *arg)
{
	(void)arg;
	return run_both(read_and_wait, write_unlock_member);
}

static int read_unlock_nobodys(void *arg)
{
	(void)arg;
	return run_with(read_unlock_member);
}

static void who_lets_go_of_anothers_rwlock_is_named(void **state)
{
	(void)state;
	test_expect_abort(read_unlock_anothers, "but task there");
	test_expect_abort(read_unlock_what_is_read_again, "but task there");
	test_expect_abort(write_unlock_what_is_read, "but task there");
	test_expect_abort(read_unlock_nobodys, "nobody holds the rwlock");
}

static int wait_without(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	return rota_condition_wait(&shared.condition, &shared.mutex);
}

static int wait_with(void *value)
{
	struct shared *shared = *(struct shared **)value;
	const int error = rota_mutex_lock(&shared->mutex);

	return error ? error
		     : rota_condition_wait(&shared->condition, &shared->mutex);
}

static int fini_condition(struct shared *shared)
{
	const int error = rota_yield();

	rota_condition_fini(&shared->condition);
	return error;
}

static int fini_waited_for(void *arg)
{
	(void)arg;
	return run_both(fini_condition, wait_with);
}

static void a_condition_is_for_who_holds_the_mutex(void **state)
{
	(void)state;
	test_expect_abort(wait_without, "calls rota_condition_wait");
	test_expect_abort(fini_waited_for,
			  "task there (spawned here) waits for it");
}

static int come_back(void *arg)
{
	struct shared *shared = arg;

	return rota_once_run(&shared->once, come_back, shared);
}

static int run_in_itself(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	TEST_NEXT_LINE();
	return rota_once_run(&shared.once, come_back, &shared);
}

static void a_once_that_comes_back_to_itself_is_named(void **state)
{
	(void)state;
	test_expect_abort(run_in_itself, "calls rota_once_run at ");
}

static int done_at_0(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	rota_wait_group_add(&shared.group, 1);
	rota_wait_group_done(&shared.group);
	rota_wait_group_done(&shared.group);
	return 0;
}

static int add_too_many(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	rota_wait_group_add(&shared.group, UINT_MAX);
	rota_wait_group_add(&shared.group, 1);
	return 0;
}

static int fini_at_1(void *arg)
{
	struct shared shared;

	(void)arg;
	init_all(&shared);
	rota_wait_group_add(&shared.group, 1);
	rota_wait_group_fini(&shared.group);
	return 0;
}

static void a_wait_group_counts_from_0_to_the_most(void **state)
{
	(void)state;
	test_expect_abort(done_at_0, "(accounts) that counts 0");
	test_expect_abort(add_too_many, "is too many");
	test_expect_abort(fini_at_1, "(accounts) that counts 1");
}

/* The second task has the record that was the first one's. */
static int run_one_by_one(int (*first)(void *value), int (*second)(void *value))
{
	struct shared shared;
	struct rota_group group;
	int error;

	init_all(&shared);
	rota_group_open(&group, NULL);
	error = rota_go(&group, first, &shared);
	rota_yield();
	error |= rota_go(&group, second, &shared);
	return rota_group_wait(&group) | error;
}

static int lock_and_end(void *value)
{
	return rota_mutex_lock(&(*(struct shared **)value)->mutex);
}

static int read_and_end(void *value)
{
	return rota_rwlock_read_lock(&(*(struct shared **)value)->lock);
}

static int write_and_end(void *value)
{
	return rota_rwlock_write_lock(&(*(struct shared **)value)->lock);
}

static int unlock_read(void *value)
{
	rota_rwlock_read_unlock(&(*(struct shared **)value)->lock);
	return 0;
}

static int unlock_write(void *value)
{
	rota_rwlock_write_unlock(&(*(struct shared **)value)->lock);
	return 0;
}

static int inherit_mutex(void *arg)
{
	(void)arg;
	return run_one_by_one(lock_and_end, unlock_member);
}

static int inherit_read(void *arg)
{
	(void)arg;
	return run_one_by_one(read_and_end, unlock_read);
}

static int inherit_write(void *arg)
{
	(void)arg;
	return run_one_by_one(write_and_end, unlock_write);
}

static void nobody_inherits_a_lock_with_the_record_of_its_holder(void **state)
{
	(void)state;
	test_expect_abort(inherit_mutex, ", which has ended, but task second");
	test_expect_abort(inherit_read, ", which has ended, but task second");
	test_expect_abort(inherit_write, ", which has ended, but task second");
}

static int use_after_fini(void *arg)
{
	struct rota_mutex mutex;

	(void)arg;
	rota_mutex_init(&mutex, NULL);
	rota_mutex_fini(&mutex);
	return rota_mutex_lock(&mutex);
}

static int use_before_init(void *arg)
{
	struct rota_rwlock lock = { .readers = 0 };

	(void)arg;
	return rota_rwlock_read_lock(&lock);
}

static int use_outside(void *arg)
{
	struct rota_mutex mutex;

	(void)arg;
	rota_mutex_init(&mutex, NULL);
	return rota_mutex_lock(&mutex);
}

static void locks_are_used_by_tasks_between_init_and_fini(void **state)
{
	(void)state;
	test_expect_abort(use_after_fini, "a mutex that has had its fini");
	test_expect_abort(use_before_init, "a rwlock that was never init");
	test_expect_abort_outside(use_outside, "outside of a task");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_that_locks_what_it_holds_is_named),
		cmocka_unit_test(who_unlocks_what_it_does_not_hold_is_named),
		cmocka_unit_test(what_is_held_may_not_end),
		cmocka_unit_test(a_task_that_has_a_rwlock_may_not_lock_it),
		cmocka_unit_test(who_lets_go_of_anothers_rwlock_is_named),
		cmocka_unit_test(a_condition_is_for_who_holds_the_mutex),
		cmocka_unit_test(a_once_that_comes_back_to_itself_is_named),
		cmocka_unit_test(a_wait_group_counts_from_0_to_the_most),
		cmocka_unit_test(
			nobody_inherits_a_lock_with_the_record_of_its_holder),
		cmocka_unit_test(locks_are_used_by_tasks_between_init_and_fini),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
