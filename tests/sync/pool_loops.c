/* SPDX-License-Identifier: MIT */
/*
 * Pools over loops: workers on each of them, feeders too.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define FEEDERS TEST_LOOPS
#define ITEMS 400 /* of each feeder */

struct seen {
	struct rota_pool pool;
	size_t capacity;
	atomic_int worked[FEEDERS][ITEMS];    /* how often each was */
	atomic_int discarded[FEEDERS][ITEMS]; /* how often each was */
	atomic_int refused[FEEDERS][ITEMS];   /* how often each was */
	atomic_int told[FEEDERS];   /* what ended each feeder; 0: nothing */
	atomic_bool on[TEST_LOOPS]; /* where a worker has begun */
	atomic_bool done[FEEDERS];  /* it has submitted all, or was refused */
	int failing;                /* the item that fails; -1: none */
	int result;                 /* of the pool */
	int submitted;              /* what the owner's submit came to */
};

struct item {
	unsigned feeder, index;
};

static int work(void *value, void *arg)
{
	const struct item *item = value;
	struct seen *seen = arg;

	atomic_fetch_add(&seen->worked[item->feeder][item->index], 1);
	if (item->index % 7 == 0)
		rota_yield();
	return (int)item->index == seen->failing ? -EIO : 0;
}

/* Not before workers on all loops have begun. */
static int work_with_all(void *value, void *arg)
{
	struct seen *seen = arg;

	atomic_store(&seen->on[rota_loop()], true);
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		await(&seen->on[i]);
	return work(value, arg);
}

static void discard(void *value, void *arg)
{
	const struct item *item = value;
	struct seen *seen = arg;

	atomic_fetch_add(&seen->discarded[item->feeder][item->index], 1);
}

struct feeder {
	struct seen *seen;
	unsigned number;
};

static int feed(void *value)
{
	const struct feeder *feeder = value;
	struct seen *seen = feeder->seen;
	int error = 0;

	for (unsigned i = 0; i < ITEMS; i++) {
		const struct item item = { feeder->number, i };

		if (!error)
			error = rota_pool_submit(&seen->pool, &item);
		if (error)
			atomic_fetch_add(&seen->refused[item.feeder][i], 1);
	}
	atomic_store(&seen->told[feeder->number], error);
	atomic_store(&seen->done[feeder->number], true);
	return 0;
}

static int open_pool(struct seen *seen, rota_pool_fn *fn)
{
	return rota_pool_open(
		&seen->pool,
		&(struct rota_pool_options){ .workers = 2 * TEST_LOOPS,
					     .capacity = seen->capacity,
					     .item_bytes = sizeof(struct item),
					     .fn = fn,
					     .arg = seen,
					     .discard = discard,
					     .spread = true });
}

/* The pool outlives the feeders, which are inside of it. */
static int play(void *arg)
{
	struct seen *seen = arg;
	struct rota_group feeders;
	int error = open_pool(seen, seen->failing < 0 ? work_with_all : work);

	if (error)
		return error;
	rota_group_open(&feeders, NULL);
	for (unsigned i = 0; i < FEEDERS && !error; i++)
		error = rota_go_on(&feeders, i, feed,
				   ((struct feeder){ seen, i }));
	rota_group_wait(&feeders);
	seen->result = rota_pool_close(&seen->pool);
	return seen->failing < 0 ? error : 0;
}

static void make(struct seen *seen, size_t capacity)
{
	*seen = (struct seen){ .capacity = capacity, .failing = -1 };
}

/* ... of the items of feeders that have begun. */
static void assert_each_once(struct seen *seen)
{
	for (unsigned i = 0; i < FEEDERS; i++)
		for (unsigned k = 0; k < ITEMS; k++)
			assert_int_equal(seen->worked[i][k] +
						 seen->discarded[i][k] +
						 seen->refused[i][k],
					 seen->done[i]);
}

static void spread_workers_take_items_from_feeders_everywhere(void **state)
{
	static struct seen seen;

	(void)state;
	for (size_t capacity = 0; capacity < 10; capacity += 3) {
		make(&seen, capacity);
		assert_int_equal(test_run_loops(play, &seen), 0);
		assert_int_equal(seen.result, 0);
		assert_each_once(&seen);
		for (unsigned i = 0; i < FEEDERS; i++)
			assert_true(seen.done[i] && !seen.told[i]);
	}
}

static void a_failure_ends_workers_and_feeders_on_all_loops(void **state)
{
	static struct seen seen;

	(void)state;
	for (int i = 0; i < 40; i++) {
		make(&seen, (size_t)i % 5);
		seen.failing = i;
		assert_int_equal(test_run_loops(play, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_each_once(&seen);
		for (unsigned k = 0; k < FEEDERS; k++)
			assert_true(seen.told[k] == -ECANCELED ||
				    seen.told[k] == -EPIPE || !seen.told[k]);
	}
}

/* The owner waits to submit, the only worker is on another loop and fails. */
static int work_and_fail(void *value, void *arg)
{
	if (rota_loop() == 0)
		return rota_sleep(ROTA_SECOND * 20);
	work(value, arg);
	return -EIO;
}

static int feed_alone(void *arg)
{
	struct seen *seen = arg;
	struct item item = { 0, 0 };
	int error = open_pool(seen, work_and_fail);

	if (error)
		return error;
	while (!error) {
		error = rota_pool_submit(&seen->pool, &item);
		item.index += !error;
	}
	seen->submitted = error;
	seen->result = rota_pool_close(&seen->pool);
	return 0;
}

static void an_owner_is_told_by_its_scope_of_a_failure_elsewhere(void **state)
{
	static struct seen seen;

	(void)state;
	for (size_t capacity = 0; capacity < 30; capacity++) {
		make(&seen, capacity % 3);
		assert_int_equal(test_run_loops(feed_alone, &seen), 0);
		assert_int_equal(seen.submitted, -ECANCELED);
		assert_int_equal(seen.result, -EIO);
	}
}

/* Feeders that are no part of the pool, on the other loops: it is there for
 * them until they are told, by nobody but the queue. */
static int play_outside(void *arg)
{
	struct seen *seen = arg;
	struct rota_group feeders;
	struct rota_shield shield;
	int error;

	rota_group_open(&feeders, NULL);
	error = open_pool(seen, work);
	for (unsigned i = 1; i < FEEDERS && !error; i++)
		error = rota_go_on(&feeders, i, feed,
				   ((struct feeder){ seen, i }));
	while (rota_sleep(ROTA_SECOND) == 0)
		;
	rota_shield_begin(&shield, ROTA_NEVER);
	for (unsigned i = 1; i < FEEDERS; i++)
		await(&seen->done[i]);
	rota_shield_end(&shield);
	seen->result = rota_pool_close(&seen->pool);
	return error | rota_group_wait(&feeders);
}

static void feeders_outside_of_it_are_told_when_no_worker_is_left(void **state)
{
	static struct seen seen;

	(void)state;
	for (int i = 0; i < 40; i++) {
		make(&seen, (size_t)i % 5);
		seen.failing = i;
		assert_int_equal(test_run_loops(play_outside, &seen), 0);
		assert_int_equal(seen.result, -EIO);
		assert_each_once(&seen);
		for (unsigned k = 1; k < FEEDERS; k++)
			assert_true(seen.told[k] == -EPIPE || !seen.told[k]);
	}
}

/* Each item is followed by another one, by the worker that had it. */
static int work_and_follow(void *value, void *arg)
{
	const struct item *item = value;
	const struct item next = { 0, (item->index + 1) % ITEMS };
	struct seen *seen = arg;
	int error;

	atomic_store(&seen->on[rota_loop()], true);
	error = rota_pool_submit(&seen->pool, &next);
	if (error == -EDEADLK) {
		atomic_fetch_add(&seen->told[0], 1);
		return 0;
	}
	return error;
}

/* As many at a time as there are workers, without a queue: they all wait to
 * submit, on all loops. */
static int feed_followers(void *arg)
{
	struct seen *seen = arg;
	const struct item item = { 0, 0 };
	int error = open_pool(seen, work_and_follow);

	if (error)
		return error;
	for (unsigned i = 0; i < 2 * TEST_LOOPS && !error; i++)
		error = rota_pool_submit(&seen->pool, &item);
	while (!error && !atomic_load(&seen->told[0]))
		error = rota_yield();
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void workers_that_wait_for_each_other_over_loops_are_told(void **state)
{
	static struct seen seen;

	(void)state;
	make(&seen, 0);
	assert_int_equal(test_run_loops(feed_followers, &seen), 0);
	assert_true(seen.told[0] > 0);
}

/* They go on for ever, without a wait; the pool is not closed before they have
 * ended. */
static int cancel_followers(void *arg)
{
	struct seen *seen = arg;
	const struct item item = { 0, 0 };
	struct rota_shield shield;
	int error = open_pool(seen, work_and_follow);

	if (error)
		return error;
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
		error = rota_pool_submit(&seen->pool, &item);
	await(&seen->on[1]);
	rota_pool_cancel(&seen->pool, (struct rota_cancellation){ -EINTR, 0 });
	rota_shield_begin(&shield, ROTA_NEVER);
	while (rota_pool_inspect(&seen->pool).receivers)
		pass(ROTA_MICROSECOND);
	rota_shield_end(&shield);
	seen->result = rota_pool_close(&seen->pool);
	return error;
}

static void a_worker_that_never_waits_hears_of_a_cancel_elsewhere(void **state)
{
	static struct seen seen;

	(void)state;
	make(&seen, 10 * TEST_LOOPS);
	assert_int_equal(test_run_loops(cancel_followers, &seen), 0);
	assert_int_equal(seen.result, -EINTR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			spread_workers_take_items_from_feeders_everywhere),
		cmocka_unit_test(
			a_failure_ends_workers_and_feeders_on_all_loops),
		cmocka_unit_test(
			an_owner_is_told_by_its_scope_of_a_failure_elsewhere),
		cmocka_unit_test(
			feeders_outside_of_it_are_told_when_no_worker_is_left),
		cmocka_unit_test(
			workers_that_wait_for_each_other_over_loops_are_told),
		cmocka_unit_test(
			a_worker_that_never_waits_hears_of_a_cancel_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
