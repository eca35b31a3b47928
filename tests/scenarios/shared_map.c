/* SPDX-License-Identifier: MIT */
/*
 * A map that tasks of two loops share under a rwlock: most look things up, some
 * change several entries at once, and suspend in between.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LOOPS 2
#define ACCOUNTS 32
#define START 1000   /* what is on each at first */
#define WORKERS 8    /* on both loops together */
#define WRITES 16000 /* of all workers */
#define CACHED 200   /* keys of a cache */

/* Accounts, by number; a transfer is two changes. */
struct bank {
	struct rota_rwlock lock;
	long amounts[ACCOUNTS];
	uint64_t seed;
	unsigned each;        /* transfers of a worker */
	atomic_uint done;     /* transfers */
	atomic_uint given_up; /* ... that a deadline ended before they began */
	atomic_uint wrong;    /* times that money was found or lost */
	atomic_bool paid;    /* the one writer among many readers has been in */
	atomic_uint readers; /* that have begun */
};

static long sum_of(const struct bank *bank)
{
	long sum = 0;

	for (unsigned i = 0; i < ACCOUNTS; i++)
		sum += bank->amounts[i];
	return sum;
}

static int audit(struct bank *bank)
{
	const int error = rota_rwlock_read_lock(&bank->lock);
	long sum;

	if (error)
		return error;
	sum = sum_of(bank);
	if (rota_yield())
		sched_yield();
	if (sum != ACCOUNTS * START || sum_of(bank) != sum)
		atomic_fetch_add(&bank->wrong, 1);
	rota_rwlock_read_unlock(&bank->lock);
	return 0;
}

static int transfer(struct bank *bank, struct test_random *random)
{
	const uint64_t from = test_random_below(random, ACCOUNTS);
	const uint64_t to = test_random_below(random, ACCOUNTS);
	const long amount = (long)test_random_below(random, 100);
	const int error = rota_rwlock_write_lock(&bank->lock);

	if (error)
		return error;
	bank->amounts[from] -= amount;
	/* The log of it is written here, say. */
	if (rota_yield())
		sched_yield();
	bank->amounts[to] += amount;
	rota_rwlock_write_unlock(&bank->lock);
	atomic_fetch_add(&bank->done, 1);
	return 0;
}

/* Or gives up when that takes too long. */
static int transfer_soon(struct bank *bank, struct test_random *random)
{
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(10 * ROTA_MICROSECOND));
	error = transfer(bank, random);
	rota_deadline_end(&deadline);
	if (error != -ETIME)
		return error;
	atomic_fetch_add(&bank->given_up, 1);
	return 0;
}

struct worker {
	struct bank *bank;
	uint64_t seed;
};

static int work(void *value)
{
	const struct worker *worker = value;
	struct bank *bank = worker->bank;
	struct test_random random;
	int error = 0;

	test_random_seed(&random, worker->seed);
	for (unsigned i = 0; i < bank->each && !error; i++) {
		for (unsigned audits = 0; audits < 3 && !error; audits++)
			error = audit(bank);
		if (!error)
			error = i % 2 ? transfer(bank, &random)
				      : transfer_soon(bank, &random);
	}
	return error;
}

static void open_bank(struct bank *bank)
{
	rota_rwlock_init(&bank->lock,
			 &(struct rota_sync_options){ .name = "accounts" });
	for (unsigned i = 0; i < ACCOUNTS; i++)
		bank->amounts[i] = START;
}

static int work_all(void *arg)
{
	struct bank *bank = arg;
	struct rota_group group;
	int error = 0;

	open_bank(bank);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < WORKERS && !error; i++) {
		const struct worker worker = { bank, bank->seed + i };

		error = rota_go_on(&group, i % LOOPS, work, worker);
	}
	error |= rota_group_wait(&group);
	rota_rwlock_fini(&bank->lock);
	return error;
}

static int run(int (*fn)(void *), void *arg)
{
	const struct rota_config config = { .loops = LOOPS };

	return test_run_with(&config, NULL, fn, arg);
}

static void nobody_sees_half_of_a_transfer(void **state)
{
	struct bank bank = { .each = test_rounds(WRITES) / WORKERS };
	struct test_random random;

	(void)state;
	test_random_init(&random);
	bank.seed = test_random_next(&random);
	assert_int_equal(run(work_all, &bank), 0);
	assert_int_equal(atomic_load(&bank.wrong), 0);
	assert_int_equal(sum_of(&bank), ACCOUNTS * START);
	assert_int_equal(atomic_load(&bank.done) + atomic_load(&bank.given_up),
			 bank.each * WORKERS);
}

/* There is always somebody who reads, until the writer has been in. */
static int read_on_and_on(void *value)
{
	struct bank *bank = *(struct bank **)value;
	int error = 0;

	atomic_fetch_add(&bank->readers, 1);
	while (!atomic_load(&bank->paid) && !error)
		error = audit(bank);
	return error;
}

static int pay_in(void *arg)
{
	struct bank *bank = arg;
	struct test_random random;
	struct rota_group group;
	int error = 0;

	test_random_seed(&random, 1);
	open_bank(bank);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < WORKERS && !error; i++)
		error = rota_go_on(&group, i % LOOPS, read_on_and_on, bank);
	while (!error && atomic_load(&bank->readers) < WORKERS)
		error = rota_yield();
	if (!error)
		error = transfer(bank, &random);
	atomic_store(&bank->paid, true);
	error |= rota_group_wait(&group);
	rota_rwlock_fini(&bank->lock);
	return error;
}

static void a_writer_gets_in_among_readers_that_never_end(void **state)
{
	struct bank bank = { .each = 0 };

	(void)state;
	assert_int_equal(run(pay_in, &bank), 0);
	assert_int_equal(atomic_load(&bank.done), 1);
	assert_int_equal(atomic_load(&bank.wrong), 0);
}

/* What is not there is made: by one of those who missed it, the others find it
 * when they look again. */
struct cache {
	struct rota_rwlock lock;
	unsigned values[CACHED]; /* 0: not there */
	unsigned made[CACHED];   /* how often */
	atomic_uint found;       /* look-ups that got the right value */
};

static int make(struct cache *cache, unsigned key, unsigned *value)
{
	const int error = rota_rwlock_write_lock(&cache->lock);

	if (error)
		return error;
	if (!cache->values[key]) {
		if (rota_yield())
			sched_yield();
		cache->made[key]++;
		cache->values[key] = 2 * key + 1;
	}
	*value = cache->values[key];
	rota_rwlock_write_unlock(&cache->lock);
	return 0;
}

static int look_up(struct cache *cache, unsigned key, unsigned *value)
{
	const int error = rota_rwlock_read_lock(&cache->lock);

	if (error)
		return error;
	*value = cache->values[key];
	rota_rwlock_read_unlock(&cache->lock);
	return *value ? 0 : make(cache, key, value);
}

static int look_all_up(void *value)
{
	struct cache *cache = *(struct cache **)value;
	int error = 0;

	for (unsigned key = 0; key < CACHED && !error; key++) {
		unsigned found;

		error = look_up(cache, key, &found);
		if (!error && found == 2 * key + 1)
			atomic_fetch_add(&cache->found, 1);
	}
	return error;
}

static int fill(void *arg)
{
	struct cache *cache = arg;
	struct rota_group group;
	int error = 0;

	rota_rwlock_init(&cache->lock, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < WORKERS && !error; i++)
		error = rota_go_on(&group, i % LOOPS, look_all_up, cache);
	error |= rota_group_wait(&group);
	rota_rwlock_fini(&cache->lock);
	return error;
}

static void what_many_miss_at_once_is_made_once(void **state)
{
	struct cache cache = { .found = 0 };

	(void)state;
	assert_int_equal(run(fill, &cache), 0);
	assert_int_equal(atomic_load(&cache.found), WORKERS * CACHED);
	for (unsigned key = 0; key < CACHED; key++)
		assert_int_equal(cache.made[key], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_sees_half_of_a_transfer),
		cmocka_unit_test(a_writer_gets_in_among_readers_that_never_end),
		cmocka_unit_test(what_many_miss_at_once_is_made_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
