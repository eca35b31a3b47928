/* SPDX-License-Identifier: MIT */
/*
 * Locks and conditions between loops: tasks of all of them lock at random,
 * under deadlines that come at any moment. What a lock keeps apart is plain
 * data here, so that TSan sees what it does not.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ACTORS 12    /* on all loops together */
#define STEPS 200000 /* of all of them */

struct inside {
	atomic_uint readers, writers; /* who holds it */
	uint64_t sum, twice;          /* changed under it: twice the sum */
	atomic_ullong added;          /* what the sum is to be */
};

struct world {
	struct rota_mutex mutex;
	struct rota_rwlock lock;
	struct inside of_mutex, of_lock;
	uint64_t seed;
	unsigned steps;    /* of each actor */
	atomic_uint wrong; /* what was seen that may not be */
	atomic_uint late;  /* ended by their deadline */
	atomic_uint locked;
};

struct actor {
	struct world *world;
	uint64_t seed;
};

static void expect(struct world *world, bool is_so)
{
	if (!is_so)
		atomic_fetch_add(&world->wrong, 1);
}

static void be_inside(struct world *world, struct test_random *random)
{
	for (uint64_t turns = test_random_below(random, 3); turns; turns--)
		if (rota_yield())
			sched_yield();
	atomic_fetch_add_explicit(&world->locked, 1, memory_order_relaxed);
}

/* Relaxed all: the lock is to order what is inside. */
static void write_inside(struct world *world, struct inside *inside,
			 struct test_random *random)
{
	const uint64_t number = test_random_below(random, 100);

	expect(world, atomic_fetch_add_explicit(&inside->writers, 1,
						memory_order_relaxed) == 0);
	expect(world, atomic_load_explicit(&inside->readers,
					   memory_order_relaxed) == 0);
	inside->sum += number;
	be_inside(world, random);
	inside->twice += 2 * number;
	atomic_fetch_add_explicit(&inside->added, number, memory_order_relaxed);
	atomic_fetch_sub_explicit(&inside->writers, 1, memory_order_relaxed);
}

static void read_inside(struct world *world, struct inside *inside,
			struct test_random *random)
{
	uint64_t sum;

	atomic_fetch_add_explicit(&inside->readers, 1, memory_order_relaxed);
	expect(world, atomic_load_explicit(&inside->writers,
					   memory_order_relaxed) == 0);
	sum = inside->sum;
	be_inside(world, random);
	expect(world, inside->sum == sum);
	expect(world, inside->twice == 2 * sum);
	atomic_fetch_sub_explicit(&inside->readers, 1, memory_order_relaxed);
}

static int lock_mutex(struct world *world, struct test_random *random)
{
	const int error = test_random_below(random, 4)
				  ? rota_mutex_lock(&world->mutex)
				  : rota_mutex_try_lock(&world->mutex);

	if (error)
		return error;
	write_inside(world, &world->of_mutex, random);
	rota_mutex_unlock(&world->mutex);
	return 0;
}

static int lock_to_write(struct world *world, struct test_random *random)
{
	const int error = test_random_below(random, 4)
				  ? rota_rwlock_write_lock(&world->lock)
				  : rota_rwlock_try_write_lock(&world->lock);

	if (error)
		return error;
	write_inside(world, &world->of_lock, random);
	rota_rwlock_write_unlock(&world->lock);
	return 0;
}

static int lock_to_read(struct world *world, struct test_random *random)
{
	const int error = test_random_below(random, 4)
				  ? rota_rwlock_read_lock(&world->lock)
				  : rota_rwlock_try_read_lock(&world->lock);

	if (error)
		return error;
	read_inside(world, &world->of_lock, random);
	rota_rwlock_read_unlock(&world->lock);
	return 0;
}

static int lock_something(struct world *world, struct test_random *random)
{
	switch (test_random_below(random, 4)) {
	case 0:
		return lock_mutex(world, random);
	case 1:
		return lock_to_write(world, random);
	default:
		return lock_to_read(world, random);
	}
}

/* What comes of it, with a deadline that comes now or soon. */
static int lock_in_time(struct world *world, struct test_random *random)
{
	const int64_t soon_ns = (int64_t)test_random_below(random, 20000);
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(soon_ns));
	error = lock_something(world, random);
	rota_deadline_end(&deadline);
	atomic_fetch_add(&world->late, error == -ETIME);
	return error == -ETIME ? 0 : error;
}

static int act(void *value)
{
	const struct actor *actor = value;
	struct world *world = actor->world;
	struct test_random random;
	int error = 0;

	test_random_seed(&random, actor->seed);
	for (unsigned i = 0; i < world->steps && !error; i++) {
		error = test_random_below(&random, 2)
				? lock_in_time(world, &random)
				: lock_something(world, &random);
		if (error == -EAGAIN)
			error = 0;
		if (test_random_below(&random, 4) == 0)
			error |= rota_yield();
	}
	return error;
}

static int act_all(void *arg)
{
	struct world *world = arg;
	struct rota_group group;
	int error = 0;

	rota_mutex_init(&world->mutex, NULL);
	rota_rwlock_init(&world->lock, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < ACTORS && !error; i++) {
		const struct actor actor = { world, world->seed + i };

		error = rota_go_on(&group, i % rota_loops(), act, actor);
	}
	error |= rota_group_wait(&group);
	rota_mutex_fini(&world->mutex);
	rota_rwlock_fini(&world->lock);
	return error;
}

static void play(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct world world = { .steps = test_rounds(STEPS) / 2 / ACTORS };
	struct test_random random;

	test_random_init(&random);
	world.seed = test_random_next(&random);
	assert_int_equal(test_run_with(&config, NULL, act_all, &world), 0);
	assert_int_equal(atomic_load(&world.wrong), 0);
	assert_int_equal(world.of_mutex.sum,
			 atomic_load(&world.of_mutex.added));
	assert_int_equal(world.of_lock.sum, atomic_load(&world.of_lock.added));
	assert_int_not_equal(atomic_load(&world.locked), 0);
	print_message("%u locked, %u late\n", atomic_load(&world.locked),
		      atomic_load(&world.late));
}

static void two_loops_never_have_it_both(void **state)
{
	(void)state;
	play(2);
}

static void three_loops_never_have_it_all(void **state)
{
	(void)state;
	play(3);
}

#define ROOM 4
#define ITEMS 20000

/* A queue of the program's own. */
struct queue {
	struct rota_mutex mutex;
	struct rota_condition filled, emptied;
	unsigned depth, most; /* items in it, and at most so far */
	uint64_t put, taken;  /* all of them, added up */
	unsigned to_put, to_take;
	unsigned putters, takers; /* tasks: too many of one kind wait */
	atomic_uint late;
};

/* Waits, now under a deadline and now not; held when it returns. */
static int wait_some(struct queue *queue, struct rota_condition *condition)
{
	struct rota_deadline deadline;
	int error;

	if (queue->to_put % 2)
		return rota_condition_wait(condition, &queue->mutex);
	rota_deadline_begin(&deadline, rota_after_ns(1 + queue->to_put % 2000));
	error = rota_condition_wait(condition, &queue->mutex);
	rota_deadline_end(&deadline);
	atomic_fetch_add(&queue->late, error == -ETIME);
	return error == -ETIME ? 0 : error;
}

static int put_one(struct queue *queue)
{
	int error = rota_mutex_lock(&queue->mutex);
	bool over;

	if (error)
		return error;
	while (!error && queue->to_put && queue->depth == ROOM)
		error = wait_some(queue, &queue->emptied);
	over = error || !queue->to_put;
	if (!over) {
		queue->put += queue->to_put--;
		if (++queue->depth > queue->most)
			queue->most = queue->depth;
		rota_condition_signal(&queue->filled);
		if (!queue->to_put)
			rota_condition_broadcast(&queue->emptied);
	}
	rota_mutex_unlock(&queue->mutex);
	return error ? error : over;
}

static int take_one(struct queue *queue)
{
	int error = rota_mutex_lock(&queue->mutex);
	bool over;

	if (error)
		return error;
	while (!error && queue->to_take && !queue->depth)
		error = wait_some(queue, &queue->filled);
	over = error || !queue->to_take;
	if (!over) {
		queue->taken += queue->to_take--;
		queue->depth--;
		rota_condition_signal(&queue->emptied);
		if (!queue->to_take)
			rota_condition_broadcast(&queue->filled);
	}
	rota_mutex_unlock(&queue->mutex);
	return error ? error : over;
}

static int put_all(void *value)
{
	struct queue *queue = *(struct queue **)value;
	int result;

	do
		result = put_one(queue);
	while (!result);
	return result < 0 ? result : 0;
}

static int take_all(void *value)
{
	struct queue *queue = *(struct queue **)value;
	int result;

	do
		result = take_one(queue);
	while (!result);
	return result < 0 ? result : 0;
}

static int run_queue(void *arg)
{
	struct queue *queue = arg;
	struct rota_group group;
	int error = 0;

	rota_mutex_init(&queue->mutex, NULL);
	rota_condition_init(&queue->filled, NULL);
	rota_condition_init(&queue->emptied, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < queue->putters && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, put_all, queue);
	for (unsigned i = 0; i < queue->takers && !error; i++)
		error = rota_go_on(&group, i % TEST_LOOPS, take_all, queue);
	error |= rota_group_wait(&group);
	rota_condition_fini(&queue->emptied);
	rota_condition_fini(&queue->filled);
	rota_mutex_fini(&queue->mutex);
	return error;
}

static void play_queue(unsigned putters, unsigned takers)
{
	const unsigned items = test_rounds(ITEMS);
	struct queue queue = { .to_put = items,
			       .to_take = items,
			       .putters = putters,
			       .takers = takers };

	assert_int_equal(test_run_loops(run_queue, &queue), 0);
	assert_int_equal(queue.depth, 0);
	assert_int_equal(queue.put, queue.taken);
	assert_in_range(queue.most, 1, ROOM);
	print_message("%u late\n", atomic_load(&queue.late));
}

static void no_signal_is_lost_between_loops(void **state)
{
	(void)state;
	play_queue(2 * TEST_LOOPS, 2);
	play_queue(2, 2 * TEST_LOOPS);
}

#define SIGNALS 50000

/* One loop signals as soon as it can have the mutex of who waits on another. */
struct call {
	struct rota_mutex mutex;
	struct rota_condition condition;
	unsigned rounds;
	bool asked; /* somebody is about to wait */
};

static int answer_calls(void *value)
{
	struct call *call = *(struct call **)value;

	for (unsigned answered = 0; answered < call->rounds;) {
		if (rota_mutex_try_lock(&call->mutex))
			continue;
		if (call->asked) {
			call->asked = false;
			answered++;
			rota_condition_signal(&call->condition);
		}
		rota_mutex_unlock(&call->mutex);
	}
	return 0;
}

static int call_again_and_again(void *value)
{
	struct call *call = *(struct call **)value;
	int error = 0;

	for (unsigned i = 0; i < call->rounds && !error; i++) {
		error = rota_mutex_lock(&call->mutex);
		if (error)
			break;
		call->asked = true;
		error = rota_condition_wait(&call->condition, &call->mutex);
		if (!error && call->asked)
			error = -EBADMSG;
		rota_mutex_unlock(&call->mutex);
	}
	return error;
}

static int run_calls(void *arg)
{
	struct call *call = arg;
	struct rota_group group;
	int error;

	rota_mutex_init(&call->mutex, NULL);
	rota_condition_init(&call->condition, NULL);
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, answer_calls, call);
	error |= rota_go_on(&group, 0, call_again_and_again, call);
	error |= rota_group_wait(&group);
	rota_condition_fini(&call->condition);
	rota_mutex_fini(&call->mutex);
	return error;
}

static void no_signal_comes_between_the_unlock_and_the_wait(void **state)
{
	const struct rota_config config = { .loops = 2 };
	struct call call = { .rounds = test_rounds(SIGNALS) };

	(void)state;
	assert_int_equal(test_run_with(&config, NULL, run_calls, &call), 0);
}

/* Who holds the mutex is the one that knows that nobody else will: its end is
 * the end of the mutex. */
struct shared {
	struct rota_mutex mutex;
	unsigned holds; /* under it */
};

static int let_go(void *value)
{
	struct shared *shared = *(struct shared **)value;
	const int error = rota_mutex_lock(&shared->mutex);
	bool last;

	if (error)
		return error;
	last = --shared->holds == 0;
	rota_mutex_unlock(&shared->mutex);
	if (last) {
		rota_mutex_fini(&shared->mutex);
		memset(shared, 0xa5, sizeof(*shared));
	}
	return 0;
}

static int share_and_let_go(void *arg)
{
	const unsigned rounds = test_rounds(3000);
	struct shared shared;
	int error = 0;

	(void)arg;
	for (unsigned round = 0; round < rounds && !error; round++) {
		struct rota_group group;

		rota_mutex_init(&shared.mutex, NULL);
		shared.holds = TEST_LOOPS;
		rota_group_open(&group, NULL);
		for (unsigned i = 0; i < TEST_LOOPS && !error; i++)
			error = rota_go_on(&group, i, let_go, &shared);
		error |= rota_group_wait(&group);
	}
	return error;
}

static void a_mutex_may_be_gone_after_the_last_unlock(void **state)
{
	(void)state;
	assert_int_equal(test_run_loops(share_and_let_go, NULL), 0);
}

static int lock_there(void *value)
{
	struct rota_mutex *mutex = *(struct rota_mutex **)value;
	const int error = rota_mutex_lock(mutex);

	if (!error)
		rota_mutex_unlock(mutex);
	return error;
}

/* Made outside of a task, used in an engine of one loop. */
static int lock_here(void *arg)
{
	struct rota_mutex *mutex = arg;
	struct rota_group group;
	int error = rota_mutex_lock(mutex);

	rota_group_open(&group, NULL);
	error |= rota_go(&group, lock_there, mutex) | rota_yield();
	rota_mutex_unlock(mutex);
	return rota_group_wait(&group) | error;
}

static void one_that_was_made_outside_serves_any_engine(void **state)
{
	struct rota_mutex mutex;

	(void)state;
	rota_mutex_init(&mutex, NULL);
	assert_int_equal(test_run(lock_here, &mutex), 0);
	assert_int_equal(test_run_loops(lock_here, &mutex), 0);
	rota_mutex_fini(&mutex);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_loops_never_have_it_both),
		cmocka_unit_test(three_loops_never_have_it_all),
		cmocka_unit_test(no_signal_is_lost_between_loops),
		cmocka_unit_test(
			no_signal_comes_between_the_unlock_and_the_wait),
		cmocka_unit_test(a_mutex_may_be_gone_after_the_last_unlock),
		cmocka_unit_test(one_that_was_made_outside_serves_any_engine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
