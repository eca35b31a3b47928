/* SPDX-License-Identifier: MIT */
/*
 * Pools in random programs, on one, two and three loops: feeders inside of the
 * pool's scope and outside of it, workers that submit and fail, cancels,
 * deadlines, and closes that come early. Each item that somebody tried to submit
 * is worked on, discarded, or refused to who tried: once.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 600 /* with each number of loops: 10^6 items in all */
#define FEEDERS 5
#define ITEMS_MAX 4096

struct seen {
	struct rota_pool pool;
	struct test_random random;    /* the owner's */
	uint64_t seed;                /* of this round, for all others */
	atomic_uint next;             /* the number of the next item */
	atomic_uchar ends[ITEMS_MAX]; /* how often each came to an end */
	atomic_uint worked;           /* items that came to that end */
	atomic_uint discarded;        /* items that came to that end */
	atomic_uint refused;          /* items that came to that end */
	atomic_uint failures;         /* of workers */
	atomic_uint odd;              /* refusals that cannot be */
	atomic_bool done[FEEDERS];    /* it does not come again */
	unsigned fail_one_in;         /* of so many; 0: none */
	unsigned feed_one_in;         /* workers that submit; 0: none */
	unsigned each;                /* items of a feeder */
	int result;                   /* of the pool */
	uint64_t items;               /* in all rounds */
	uint64_t sums[3];             /* worked, discarded, refused */
};

struct item {
	unsigned number;
	unsigned char rest[20]; /* so that it is copied by memcpy */
};

static void end(struct seen *seen, const struct item *item, atomic_uint *count)
{
	atomic_fetch_add(&seen->ends[item->number], 1);
	atomic_fetch_add(count, 1);
}

/* What may be told, for a reason. */
static bool is_told(int error)
{
	return error == -ECANCELED || error == -EPIPE || error == -ETIME ||
	       error == -EAGAIN || error == -EDEADLK;
}

/* Of the next item. 0, or why it was refused. */
static int submit(struct seen *seen, bool waits)
{
	struct item item = { .number = atomic_fetch_add(&seen->next, 1) };
	int error;

	if (item.number >= ITEMS_MAX)
		return -EOVERFLOW;
	memset(item.rest, (int)item.number & 0xff, sizeof(item.rest));
	error = waits ? rota_pool_submit(&seen->pool, &item)
		      : rota_pool_try_submit(&seen->pool, &item);
	if (error) {
		end(seen, &item, &seen->refused);
		atomic_fetch_add(&seen->odd, !is_told(error));
	}
	return error;
}

static int work(void *value, void *arg)
{
	const struct item *item = value;
	struct seen *seen = arg;
	struct test_random random;

	test_random_seed(&random, seen->seed ^ item->number);
	end(seen, item, &seen->worked);
	if (item->rest[0] != (item->number & 0xff) ||
	    item->rest[19] != (item->number & 0xff))
		atomic_fetch_add(&seen->odd, 1);
	if (test_random_below(&random, 4) == 0)
		rota_yield();
	if (test_random_below(&random, 64) == 0)
		pass(2 * ROTA_MICROSECOND);
	if (seen->feed_one_in &&
	    test_random_below(&random, seen->feed_one_in) == 0)
		submit(seen, test_random_below(&random, 2) == 0);
	if (seen->fail_one_in &&
	    test_random_below(&random, seen->fail_one_in) == 0) {
		atomic_fetch_add(&seen->failures, 1);
		return -EIO;
	}
	return 0;
}

static void discard(void *item, void *arg)
{
	struct seen *seen = arg;

	end(seen, item, &seen->discarded);
}

struct feeder {
	struct seen *seen;
	unsigned number;
};

static int feed(void *value)
{
	const struct feeder *feeder = value;
	struct seen *seen = feeder->seen;
	struct test_random random;
	int error = 0;

	test_random_seed(&random, ~seen->seed + feeder->number);
	for (unsigned i = 0; i < seen->each && (!error || error == -EAGAIN);
	     i++) {
		error = submit(seen, test_random_below(&random, 8) != 0);
		if (error == -EAGAIN || test_random_below(&random, 32) == 0)
			rota_yield();
	}
	atomic_store(&seen->done[feeder->number], true);
	return 0;
}

static int start_feeder(struct seen *seen, struct rota_group *group,
			unsigned number)
{
	const unsigned loop =
		(unsigned)test_random_below(&seen->random, rota_loops());
	const int error = rota_go_on(group, loop, feed,
				     ((struct feeder){ seen, number }));

	if (error)
		atomic_store(&seen->done[number], true);
	return error;
}

static int open_pool(struct seen *seen)
{
	struct test_random *random = &seen->random;
	const struct rota_pool_options options = {
		.workers = 1 + (unsigned)test_random_below(random, 6),
		.capacity = test_random_below(random, 9),
		.item_bytes = sizeof(struct item),
		.fn = work,
		.arg = seen,
		.discard = discard,
		.deadline_ns =
			test_random_below(random, 6)
				? 0
				: rota_after_ns((int64_t)test_random_below(
					  random, 100 * ROTA_MICROSECOND)),
		.spread = test_random_below(random, 3) != 0,
	};

	return rota_pool_open(&seen->pool, &options);
}

/* Inside of the pool's scope, so they end with it. */
static void feed_inside(struct seen *seen)
{
	struct test_random *random = &seen->random;
	struct rota_group group;

	rota_group_open(&group, NULL);
	(void)start_feeder(seen, &group, 3);
	(void)start_feeder(seen, &group, 4);
	for (unsigned i = 0; i < seen->each; i++)
		if (submit(seen, test_random_below(random, 8) != 0) ==
		    -ECANCELED)
			break;
	if (test_random_below(random, 4) == 0)
		rota_pool_cancel(&seen->pool,
				 (struct rota_cancellation){ -EINTR, NULL });
	rota_group_wait(&group);
}

/* Those outside may still come, and wait, while the pool is open only. */
static void await_feeders(struct seen *seen)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	for (unsigned i = 0; i < 3; i++)
		await(&seen->done[i]);
	rota_shield_end(&shield);
}

static int play_round(struct seen *seen)
{
	struct rota_group outside;
	int error;

	rota_group_open(&outside, NULL);
	error = open_pool(seen);
	if (error) {
		rota_group_wait(&outside);
		return error == -ETIME ? 0 : error;
	}
	for (unsigned i = 0; i < 3 && !error; i++)
		error = start_feeder(seen, &outside, i);
	for (unsigned i = 0; i < 3; i++)
		if (error)
			atomic_store(&seen->done[i], true);
	if (!error)
		feed_inside(seen);
	await_feeders(seen);
	seen->result = rota_pool_close(&seen->pool);
	rota_group_wait(&outside);
	return 0;
}

static int check(struct seen *seen)
{
	const unsigned made = atomic_load(&seen->next);

	if (seen->odd || seen->worked + seen->discarded + seen->refused != made)
		return -EPROTO;
	for (unsigned i = 0; i < ITEMS_MAX; i++)
		if (seen->ends[i] != (i < made))
			return -EBADMSG;
	/* A worker's failure is what it comes to, or what came before. */
	if (seen->failures && !seen->result)
		return -ENOMSG;
	seen->items += made;
	seen->sums[0] += seen->worked;
	seen->sums[1] += seen->discarded;
	seen->sums[2] += seen->refused;
	return 0;
}

static void begin_round(struct seen *seen)
{
	seen->seed = test_random_next(&seen->random);
	atomic_store(&seen->next, 0);
	memset(seen->ends, 0, sizeof(seen->ends));
	seen->worked = 0;
	seen->discarded = 0;
	seen->refused = 0;
	seen->failures = 0;
	for (unsigned i = 0; i < FEEDERS; i++)
		seen->done[i] = false;
	seen->each = 1 + (unsigned)test_random_below(&seen->random, 300);
	seen->fail_one_in =
		(unsigned)test_random_below(&seen->random, 2) *
		(1 + (unsigned)test_random_below(&seen->random, 2000));
	seen->feed_one_in =
		(unsigned)test_random_below(&seen->random, 2) *
		(2 + (unsigned)test_random_below(&seen->random, 20));
}

static int play(void *arg)
{
	struct seen *seen = arg;
	const unsigned rounds = test_rounds(ROUNDS);
	int error = 0;

	for (unsigned i = 0; i < rounds && !error; i++) {
		begin_round(seen);
		error = play_round(seen);
		if (!error)
			error = check(seen);
	}
	return error;
}

static void each_item_is_worked_on_discarded_or_refused_once(void **state)
{
	static struct seen seen;

	(void)state;
	test_random_init(&seen.random);
	for (unsigned loops = 1; loops <= TEST_LOOPS; loops++) {
		const struct rota_config config = { .loops = loops };

		assert_int_equal(test_run_with(&config, NULL, play, &seen), 0);
	}
	assert_int_equal(seen.items,
			 seen.sums[0] + seen.sums[1] + seen.sums[2]);
	print_message("%llu items: %llu worked on, %llu discarded, "
		      "%llu refused\n",
		      (unsigned long long)seen.items,
		      (unsigned long long)seen.sums[0],
		      (unsigned long long)seen.sums[1],
		      (unsigned long long)seen.sums[2]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_item_is_worked_on_discarded_or_refused_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
