/* SPDX-License-Identifier: MIT */
/*
 * Storms: 4 senders and 4 receivers on 2 loops, while ends are closed, tasks
 * cancelled and late. Every item that was sent came, once, or was discarded;
 * none that was refused did.
 *
 * Which round does what is the seed's; the order in which it happens is the
 * machine's.
 */
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LOOPS 2u
#define SENDERS 4u
#define RECEIVERS 4u

/* That have to pass in all: some in each run of an engine. */
#define ITEMS 10000000u
#define RUNS 10u

/* In an item: who sent it, and which of theirs it is, from 1 on. */
#define SENDER_SHIFT 56

/* Items, and what tells them from others. */
struct tally {
	atomic_ullong count; /* how many */
	atomic_ullong sum;   /* of a hash of each */
};

struct storm {
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct test_random random; /* of who directs it */
	struct tally in, out;      /* accepted; received and discarded */
	atomic_ullong refused;     /* sends that failed */
	atomic_ullong discarded;   /* items nobody received */
	atomic_ullong ends[3];     /* sends that ended by a cancel, a deadline
				      and for want of receivers */
	atomic_bool disorder;      /* two of one sender changed places */
	atomic_int strange;        /* a verb returned what it must not */
	unsigned rounds;           /* so far */
	unsigned run;              /* of the engine: the nth, from 1 on */
};

/* One task of a round. */
struct part {
	struct storm *storm;
	struct rota_sender sender;     /* if it sends */
	struct rota_receiver receiver; /* if it receives */
	unsigned number;               /* which one */
	uint64_t seed;                 /* of what it does */
};

static uint64_t hash(uint64_t item)
{
	struct test_random random = { .state = item };

	return test_random_next(&random);
}

/* What one task has to add. */
struct sums {
	uint64_t count, sum;
};

static void add(struct sums *sums, uint64_t item)
{
	sums->count++;
	sums->sum += hash(item);
}

static void book(struct tally *tally, const struct sums *sums)
{
	atomic_fetch_add(&tally->count, sums->count);
	atomic_fetch_add(&tally->sum, sums->sum);
}

static void discard(void *item, void *context)
{
	struct storm *storm = context;
	struct sums sums = { 0 };
	uint64_t copy;

	memcpy(&copy, item, sizeof(copy));
	add(&sums, copy);
	book(&storm->out, &sums);
	atomic_fetch_add(&storm->discarded, 1);
}

/* Now and then in a deadline that may be over before it waits, or while. */
static int64_t patience(struct test_random *random)
{
	const uint64_t dice = test_random_below(random, 64);

	if (dice > 3)
		return ROTA_NEVER;
	return rota_after_ns((int64_t)test_random_below(random, 20000));
}

static int send_one(const struct part *part, struct test_random *random,
		    uint64_t item)
{
	struct rota_deadline deadline;
	int64_t deadline_ns;
	int result;

	if (test_random_below(random, 16) == 0)
		return rota_channel_try_send(&part->sender, &item);
	deadline_ns = patience(random);
	if (deadline_ns == ROTA_NEVER)
		return rota_channel_send(&part->sender, &item);
	rota_deadline_begin(&deadline, deadline_ns);
	result = rota_channel_send(&part->sender, &item);
	rota_deadline_end(&deadline);
	return result;
}

/* Books a send that failed. True: no other one would succeed. */
static bool is_over(struct storm *storm, int result)
{
	static const int codes[] = { -ECANCELED, -ETIME, -EPIPE };

	atomic_fetch_add(&storm->refused, 1);
	for (unsigned i = 0; i < 3; i++)
		if (result == codes[i])
			atomic_fetch_add(&storm->ends[i], 1);
	if (result == -EAGAIN)
		return rota_yield() != 0;
	if (result != -ECANCELED && result != -ETIME && result != -EPIPE)
		atomic_store(&storm->strange, result);
	return result != -ETIME;
}

static int send_many(void *value)
{
	struct part part = *(struct part *)value;
	struct sums sums = { 0 };
	struct test_random random;
	unsigned quota;

	test_random_seed(&random, part.seed);
	quota = 1u << test_random_below(&random, 13);
	for (uint64_t i = 1; i <= quota; i++) {
		const uint64_t item = (uint64_t)part.number << SENDER_SHIFT | i;
		const int result = send_one(&part, &random, item);

		if (result == 0)
			add(&sums, item);
		else if (is_over(part.storm, result))
			break;
	}
	book(&part.storm->in, &sums);
	rota_sender_close(&part.sender);
	return 0;
}

static int receive_one(const struct part *part, struct test_random *random,
		       uint64_t *item)
{
	struct rota_deadline deadline;
	int64_t deadline_ns;
	int result;

	if (test_random_below(random, 16) == 0)
		return rota_channel_try_receive(&part->receiver, item);
	deadline_ns = patience(random);
	if (deadline_ns == ROTA_NEVER)
		return rota_channel_receive(&part->receiver, item);
	rota_deadline_begin(&deadline, deadline_ns);
	result = rota_channel_receive(&part->receiver, item);
	rota_deadline_end(&deadline);
	return result;
}

/* Those of one sender come in their order, wherever. */
static bool comes_in_order(uint64_t last[SENDERS], uint64_t item)
{
	const unsigned sender = (unsigned)(item >> SENDER_SHIFT);
	const bool in_order = sender < SENDERS && last[sender] < item;

	if (in_order)
		last[sender] = item;
	return in_order;
}

static int receive_many(void *value)
{
	struct part part = *(struct part *)value;
	struct sums sums = { 0 };
	struct test_random random;
	uint64_t last[SENDERS] = { 0 }, item = 0;
	uint64_t quota = UINT64_MAX;
	int result = 1;

	test_random_seed(&random, part.seed);
	if (test_random_below(&random, 2))
		quota = 1u << test_random_below(&random, 13);
	while (sums.count < quota && result) {
		result = receive_one(&part, &random, &item);
		if (result == 1) {
			add(&sums, item);
			if (!comes_in_order(last, item))
				atomic_store(&part.storm->disorder, true);
		} else if (result == -EAGAIN) {
			result = rota_yield() ? 0 : 1;
		} else if (result == -ECANCELED) {
			result = 0;
		} else if (result && result != -ETIME) {
			atomic_store(&part.storm->strange, result);
		}
	}
	book(&part.storm->out, &sums);
	rota_receiver_close(&part.receiver);
	return 0;
}

static int start_part(struct storm *storm, struct rota_group *group,
		      unsigned number)
{
	struct part part = { .storm = storm,
			     .number = number % SENDERS,
			     .seed = test_random_next(&storm->random) };
	int error;

	if (number < SENDERS) {
		part.sender = rota_sender_share(&storm->sender);
		error = rota_go_on(group, number % LOOPS, send_many, part);
		if (error)
			rota_sender_close(&part.sender);
	} else {
		part.receiver = rota_receiver_share(&storm->receiver);
		error = rota_go_on(group, number % LOOPS, receive_many, part);
		if (error)
			rota_receiver_close(&part.receiver);
	}
	return error;
}

/* Lets it go on for a while, then perhaps cancels some of it. */
static void direct(struct storm *storm, struct rota_group groups[2])
{
	const uint64_t dice = test_random_below(&storm->random, 4);
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	if (dice > 1)
		(void)!rota_sleep(
			(int64_t)test_random_below(&storm->random, 300000));
	if (dice % 2)
		rota_group_cancel(&groups[test_random_below(&storm->random, 2)],
				  (struct rota_cancellation){ 0, NULL });
	rota_shield_end(&shield);
}

static int play_round(struct storm *storm)
{
	static const size_t capacities[] = { 0, 1, 2, 7, 64, 256, 1024 };
	struct rota_group groups[2];
	int error = rota_channel_open(
		(&(struct rota_channel_options){
			.item_bytes = sizeof(uint64_t),
			.capacity =
				capacities[test_random_below(&storm->random, 7)],
			.discard = discard,
			.context = storm }),
		&storm->sender, &storm->receiver);

	if (error)
		return error;
	rota_group_open(&groups[0], NULL);
	rota_group_open(&groups[1], NULL);
	for (unsigned i = 0; i < SENDERS + RECEIVERS && !error; i++)
		error = start_part(storm, &groups[(i + i / 2) % 2], i);
	rota_sender_close(&storm->sender);
	rota_receiver_close(&storm->receiver);
	direct(storm, groups);
	(void)rota_group_wait(&groups[1]);
	(void)rota_group_wait(&groups[0]);
	storm->rounds++;
	return error;
}

static int play(void *arg)
{
	struct storm *storm = arg;
	const uint64_t enough = test_rounds(ITEMS) / RUNS * storm->run;
	int error = 0;

	/* A round at a time: so a loss is found where it was. */
	while (!error && atomic_load(&storm->in.count) < enough &&
	       !atomic_load(&storm->strange)) {
		error = play_round(storm);
		if (atomic_load(&storm->in.count) !=
			    atomic_load(&storm->out.count) ||
		    atomic_load(&storm->in.sum) != atomic_load(&storm->out.sum))
			break;
	}
	return error;
}

static void what_goes_in_comes_out_or_is_reported(void **state)
{
	const struct rota_config config = { .loops = LOOPS };
	struct storm storm = { .rounds = 0 };

	(void)state;
	test_random_init(&storm.random);
	for (storm.run = 1; storm.run <= RUNS; storm.run++)
		assert_int_equal(test_run_with(&config, NULL, play, &storm), 0);
	printf("%u rounds: %llu in, %llu out, of them %llu discarded; %llu "
	       "refused, %llu cancelled, %llu late, %llu for want of "
	       "receivers\n",
	       storm.rounds, storm.in.count, storm.out.count, storm.discarded,
	       storm.refused, storm.ends[0], storm.ends[1], storm.ends[2]);
	assert_int_equal(atomic_load(&storm.strange), 0);
	assert_false(atomic_load(&storm.disorder));
	assert_int_equal(storm.in.count, storm.out.count);
	assert_int_equal(storm.in.sum, storm.out.sum);
	assert_true(storm.in.count >= test_rounds(ITEMS) / RUNS * RUNS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out_or_is_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
