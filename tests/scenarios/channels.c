/* SPDX-License-Identifier: MIT */
/*
 * Stories of channels: sieves, chains, queues that hand each other on, many
 * who send and many who receive. The scenarios are those that Go's channels
 * are tested with.
 */
#include "support/random.h"
#include "support/story.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int open_channel(struct rota_sender *sender,
			struct rota_receiver *receiver, size_t capacity)
{
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(int),
						 .capacity = capacity }),
		sender, receiver);
}

/* Ends that a task is given, and what it does with the items. */
struct stage {
	struct rota_receiver receiver;
	struct rota_sender sender;
	int number;
};

static void close_stage(struct stage *stage)
{
	rota_receiver_close(&stage->receiver);
	rota_sender_close(&stage->sender);
}

/* Counts for as long as somebody listens. */
static int count_on(void *value)
{
	struct rota_sender sender = *(struct rota_sender *)value;
	int error = 0;

	for (int i = 2; !error; i++)
		error = rota_channel_send(&sender, &i);
	rota_sender_close(&sender);
	return error == -EPIPE ? 0 : error;
}

static int filter(void *value)
{
	struct stage stage = *(struct stage *)value;
	int item, got, error = 0;

	while (!error &&
	       (got = rota_channel_receive(&stage.receiver, &item)) > 0)
		if (item % stage.number)
			error = rota_channel_send(&stage.sender, &item);
	close_stage(&stage);
	return error == -EPIPE ? 0 : error;
}

#define PRIMES 60

struct sieve {
	struct rota_group group;
	size_t capacity;
	int primes[PRIMES];
};

static int open_sieve(struct sieve *sieve, struct rota_receiver *receiver)
{
	struct rota_sender sender;
	int error = open_channel(&sender, receiver, sieve->capacity);

	return error ? error : rota_go(&sieve->group, count_on, sender);
}

/* One more prime, one more filter behind it. */
static int sift(struct sieve *sieve, struct rota_receiver *receiver, int prime)
{
	struct stage stage = { .receiver = *receiver, .number = prime };
	int error = open_channel(&stage.sender, receiver, sieve->capacity);

	return error ? error : rota_go(&sieve->group, filter, stage);
}

static int find_primes(void *arg)
{
	struct sieve *sieve = arg;
	struct rota_receiver receiver;
	int error;

	rota_group_open(&sieve->group, NULL);
	error = open_sieve(sieve, &receiver);
	for (int i = 0; i < PRIMES && !error; i++) {
		if (rota_channel_receive(&receiver, &sieve->primes[i]) != 1)
			error = -EPROTO;
		else
			error = sift(sieve, &receiver, sieve->primes[i]);
	}
	/* All the way up they find nobody to send to. */
	rota_receiver_close(&receiver);
	return rota_group_wait(&sieve->group) | error;
}

static bool is_prime(int number)
{
	for (int i = 2; i * i <= number; i++)
		if (number % i == 0)
			return false;
	return true;
}

static void
a_sieve_of_filters_finds_primes_and_falls_apart_by_itself(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct sieve sieve = { .capacity = capacity };
		int next = 2;

		assert_int_equal(test_run_timed(find_primes, &sieve), 0);
		for (int i = 0; i < PRIMES; i++, next++) {
			while (!is_prime(next))
				next++;
			assert_int_equal(sieve.primes[i], next);
		}
	}
}

static int hand_on_and_add(void *value)
{
	struct stage stage = *(struct stage *)value;
	int item = 0, error = 0;

	if (rota_channel_receive(&stage.receiver, &item) == 1) {
		item++;
		error = rota_channel_send(&stage.sender, &item);
	}
	close_stage(&stage);
	return error;
}

#define CHAIN 10000

static int send_along(void *arg)
{
	struct rota_group group;
	struct rota_sender first;
	struct rota_receiver last;
	int item = 0, error = open_channel(&first, &last, 0);

	rota_group_open(&group, NULL);
	for (int i = 0; i < CHAIN && !error; i++) {
		struct stage stage = { .receiver = last };

		error = open_channel(&stage.sender, &last, 0);
		if (!error)
			error = rota_go(&group, hand_on_and_add, stage);
	}
	if (!error)
		error = rota_channel_send(&first, &item);
	if (rota_channel_receive(&last, arg) != 1)
		error = -EPROTO;
	rota_sender_close(&first);
	rota_receiver_close(&last);
	return rota_group_wait(&group) | error;
}

static void an_item_goes_along_a_chain_of_10000_tasks(void **state)
{
	int item = 0;

	(void)state;
	assert_int_equal(test_run_timed(send_along, &item), 0);
	assert_int_equal(item, CHAIN);
}

/* Everybody holds the key of who comes behind, in a channel of its own: so they
 * go in their order, whoever is woken first. */
static int take_turn(void *value)
{
	struct {
		struct rota_receiver mine;
		struct rota_sender next;
		struct test_trail *trail;
		char name[4];
	} *turn = value;
	int key = 0;
	const int got = rota_channel_receive(&turn->mine, &key);

	test_trail_add(turn->trail, turn->name);
	if (got == 1 && rota_channel_try_send(&turn->next, &key))
		test_trail_add(turn->trail, "?");
	rota_receiver_close(&turn->mine);
	rota_sender_close(&turn->next);
	return got == 1 ? 0 : -EPROTO;
}

static int take_turns(void *arg)
{
	struct {
		struct rota_receiver mine;
		struct rota_sender next;
		struct test_trail *trail;
		char name[4];
	} turns[8];
	struct rota_group group;
	struct rota_sender first;
	struct rota_receiver last;
	int key = 1, error = open_channel(&first, &last, 1);

	for (int i = 0; i < 8 && !error; i++) {
		memset(&turns[i], 0, sizeof(turns[i]));
		turns[i].mine = last;
		turns[i].trail = arg;
		turns[i].name[0] = (char)('a' + i);
		error = open_channel(&turns[i].next, &last, 1);
	}
	rota_group_open(&group, NULL);
	/* The last one is the first to wait. */
	for (int i = 7; i >= 0 && !error; i--)
		error = rota_go(&group, take_turn, turns[i]);
	error |= rota_yield();
	error |= rota_channel_send(&first, &key);
	error |= rota_group_wait(&group);
	rota_sender_close(&first);
	rota_receiver_close(&last);
	return error;
}

static void keys_that_are_handed_on_make_an_order(void **state)
{
	struct test_trail trail = { "" };

	(void)state;
	assert_int_equal(test_run_timed(take_turns, &trail), 0);
	assert_string_equal(trail.text, "abcdefgh");
}

#define CROWD 10
#define VALUES 100

struct crowd {
	struct rota_sender sender;
	struct rota_receiver receiver;
	size_t capacity;
	int seen[VALUES];      /* how often each value came */
	unsigned most, waited; /* by one receiver; yields in between */
	struct test_random random;
};

static int send_values(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	struct rota_sender own = rota_sender_share(&crowd->sender);
	int error = 0;

	for (int i = 0; i < VALUES && !error; i++) {
		if (test_random_below(&crowd->random, 4) == 0)
			error = rota_yield();
		if (!error)
			error = rota_channel_send(&own, &i);
	}
	rota_sender_close(&own);
	return error;
}

static int receive_values(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	struct rota_receiver own = rota_receiver_share(&crowd->receiver);
	unsigned count = 0;
	int item, got;

	while ((got = rota_channel_receive(&own, &item)) > 0) {
		crowd->seen[item]++;
		count++;
		if (test_random_below(&crowd->random, 4) == 0 &&
		    rota_yield() < 0)
			break;
	}
	if (count > crowd->most)
		crowd->most = count;
	rota_receiver_close(&own);
	return got;
}

static int crowd_together(void *arg)
{
	struct crowd *crowd = arg;
	struct rota_group group;
	int error =
		open_channel(&crowd->sender, &crowd->receiver, crowd->capacity);

	rota_group_open(&group, NULL);
	for (int i = 0; i < CROWD && !error; i++) {
		error = rota_go(&group, send_values, crowd);
		if (!error)
			error = rota_go(&group, receive_values, crowd);
	}
	error |= rota_yield();
	rota_sender_close(&crowd->sender);
	rota_receiver_close(&crowd->receiver);
	return rota_group_wait(&group) | error;
}

static void
of_many_senders_each_value_comes_as_often_as_it_was_sent(void **state)
{
	struct test_random random;

	(void)state;
	test_random_init(&random);
	for (size_t capacity = 0; capacity <= 11; capacity++) {
		struct crowd crowd = { .capacity = capacity };

		test_random_seed(&crowd.random, test_random_next(&random));
		assert_int_equal(test_run_timed(crowd_together, &crowd), 0);
		for (int i = 0; i < VALUES; i++)
			assert_int_equal(crowd.seen[i], CROWD);
		/* Nobody has the lot. */
		assert_true(crowd.most < CROWD * VALUES);
	}
}

/* What lies there is found by who does not wait, also when somebody closes at
 * the same time: it comes before the end. */
static int look_once(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	int item = 0;

	return rota_channel_try_receive(&crowd->receiver, &item) >= 0 ? 0
								      : -EPROTO;
}

static int look_while_closing(void *arg)
{
	struct crowd *crowd = arg;

	for (int i = 0; i < 1000; i++) {
		struct rota_group group;
		int item = 1,
		    error = open_channel(&crowd->sender, &crowd->receiver, 1);

		rota_group_open(&group, NULL);
		error |= rota_channel_send(&crowd->sender, &item);
		error |= rota_go(&group, look_once, crowd);
		if (test_random_below(&crowd->random, 2))
			error |= rota_yield();
		rota_sender_close(&crowd->sender);
		error |= rota_channel_receive(&crowd->receiver, &item) < 0;
		error |= rota_group_wait(&group);
		rota_receiver_close(&crowd->receiver);
		if (error)
			return error;
	}
	return 0;
}

static void an_item_and_the_end_are_never_missed_both(void **state)
{
	struct crowd crowd = { .capacity = 1 };

	(void)state;
	test_random_init(&crowd.random);
	assert_int_equal(test_run_timed(look_while_closing, &crowd), 0);
}

/* Time that passes in between: the loop lies down with everybody in line. */
static int ping(void *value)
{
	struct stage stage = *(struct stage *)value;
	int item = 0, got, error = 0;

	while (!error &&
	       (got = rota_channel_receive(&stage.receiver, &item)) > 0) {
		error = rota_sleep(item);
		item++;
		if (!error)
			error = rota_channel_send(&stage.sender, &item);
	}
	close_stage(&stage);
	return error;
}

static int play_ping_pong(void *arg)
{
	struct rota_group group;
	struct stage there, back;
	int item = 0, error;

	error = open_channel(&there.sender, &back.receiver, 0);
	error |= open_channel(&back.sender, &there.receiver, 0);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, ping, back);
	while (!error && item < 100) {
		error = rota_channel_send(&there.sender, &item);
		if (rota_channel_receive(&there.receiver, &item) != 1)
			error = -EPROTO;
	}
	*(int64_t *)arg = test_now_ns();
	close_stage(&there);
	return rota_group_wait(&group) | error;
}

static void two_who_answer_each_other_sleep_in_between(void **state)
{
	int64_t took_ns = 0;

	(void)state;
	assert_int_equal(test_run_timed(play_ping_pong, &took_ns), 0);
	assert_int_equal(took_ns, 99 * 100 / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_sieve_of_filters_finds_primes_and_falls_apart_by_itself),
		cmocka_unit_test(an_item_goes_along_a_chain_of_10000_tasks),
		cmocka_unit_test(keys_that_are_handed_on_make_an_order),
		cmocka_unit_test(
			of_many_senders_each_value_comes_as_often_as_it_was_sent),
		cmocka_unit_test(an_item_and_the_end_are_never_missed_both),
		cmocka_unit_test(two_who_answer_each_other_sleep_in_between),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
