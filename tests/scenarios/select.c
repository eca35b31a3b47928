/* SPDX-License-Identifier: MIT */
/*
 * Stories of select: what programs do with it who know it from Go. The
 * scenarios are those that its channels and selects are tested with.
 */
#include "rota/rota.h"
#include "support/story.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define CHANNELS 4
#define ITEMS 50
#define NOTHING 1000

struct seen {
	struct test_kernel kernel;
	struct test_trail trail;
	struct rota_group group;
	struct rota_sender senders[CHANNELS];
	struct rota_receiver receivers[CHANNELS];
	struct rota_event event;
	unsigned got[CHANNELS * ITEMS]; /* how often each item came */
	unsigned count;                 /* items that came */
	unsigned next;                  /* the number of the next task */
	unsigned sides[2]; /* how often each of two things happened */
	unsigned own;      /* items that went to who sent them */
	int codes[6];      /* what was returned */
	size_t capacity;   /* of the channels */
};

static int open_all(struct seen *seen)
{
	int error = 0;

	for (int i = 0; i < CHANNELS && !error; i++)
		error = rota_channel_open((&(struct rota_channel_options){
						  .item_bytes = sizeof(int),
						  .capacity = seen->capacity }),
					  &seen->senders[i],
					  &seen->receivers[i]);
	rota_event_init(&seen->event, NULL);
	rota_group_open(&seen->group, NULL);
	return error;
}

static int close_all(struct seen *seen)
{
	const int error = rota_group_wait(&seen->group);

	for (int i = 0; i < CHANNELS; i++) {
		if (seen->senders[i].channel)
			rota_sender_close(&seen->senders[i]);
		if (seen->receivers[i].channel)
			rota_receiver_close(&seen->receivers[i]);
	}
	rota_event_fini(&seen->event);
	return error;
}

static void run(int (*fn)(void *), struct seen *seen)
{
	test_run_timed_clean(NULL, &seen->kernel, fn, seen);
}

/* An arm that is switched off is never done, one beside it is; with nothing
 * else to do a try says so. */
static int switch_off(void *arg)
{
	struct seen *seen = arg;
	struct rota_arm arms[2] = { rota_arm_never(), rota_arm_never() };
	int item = 1, error = open_all(seen);

	seen->codes[0] = rota_try_select(arms, 2);
	arms[1] = rota_arm_send(&seen->senders[0], &item);
	seen->codes[1] = rota_try_select(arms, 2);
	seen->codes[2] = rota_try_select(arms, 2);
	arms[0] = rota_arm_receive(&seen->receivers[0], &item);
	seen->codes[3] = rota_select(arms, 2);
	arms[1] = rota_arm_never();
	seen->codes[4] = rota_try_select(arms, 2);
	return error | close_all(seen);
}

static void an_arm_that_is_off_is_never_done(void **state)
{
	struct seen seen = { .capacity = 1 };

	(void)state;
	run(switch_off, &seen);
	assert_int_equal(seen.codes[0], -EAGAIN);
	assert_int_equal(seen.codes[1], 1);
	assert_int_equal(seen.codes[2], -EAGAIN);
	assert_int_equal(seen.codes[3], 0);
	assert_int_equal(seen.codes[4], -EAGAIN);
}

/* The end is ready for ever, after what was left; a channel that nobody
 * receives from refuses at once. */
static int use_ended(void *arg)
{
	struct seen *seen = arg;
	int item = 5, got = 0, error = open_all(seen);
	struct rota_arm in = rota_arm_receive(&seen->receivers[0], &got);
	struct rota_arm out = rota_arm_send(&seen->senders[1], &item);

	error |= rota_channel_send(&seen->senders[0], &item);
	rota_sender_close(&seen->senders[0]);
	rota_receiver_close(&seen->receivers[1]);
	for (int i = 0; i < 3; i++) {
		error |= rota_select(&in, 1);
		seen->codes[i] = in.result;
	}
	error |= rota_select(&out, 1);
	seen->codes[3] = out.result;
	error |= rota_try_select(&out, 1);
	seen->codes[4] = out.result;
	seen->codes[5] = got;
	return error | close_all(seen);
}

static void a_channel_that_has_ended_is_always_ready(void **state)
{
	struct seen seen = { .capacity = 2 };

	(void)state;
	run(use_ended, &seen);
	assert_int_equal(seen.codes[0], 1);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.codes[3], -EPIPE);
	assert_int_equal(seen.codes[4], -EPIPE);
	assert_int_equal(seen.codes[5], 5);
}

/* Those who wait hear of it too. */
static int wait_for_end(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int item = 0;
	struct rota_arm arms[] = {
		rota_arm_receive(&seen->receivers[0], &item),
		rota_arm_send(&seen->senders[1], &item),
	};
	const int chosen = rota_select(arms, 2);

	seen->codes[seen->next++] =
		chosen < 0 ? chosen : 10 * chosen + arms[chosen].result;
	return 0;
}

static int end_both(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	error |= rota_go(&seen->group, wait_for_end, seen);
	error |= rota_go(&seen->group, wait_for_end, seen);
	error |= rota_yield();
	rota_sender_close(&seen->senders[0]);
	error |= test_settle();
	error |= rota_go(&seen->group, wait_for_end, seen) | test_settle();
	rota_receiver_close(&seen->receivers[1]);
	return error | close_all(seen);
}

static void who_waits_in_a_select_hears_of_the_end(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(end_both, &seen);
	for (int i = 0; i < 3; i++)
		assert_int_equal(seen.codes[i], 0);
	assert_int_equal(seen.next, 3);
}

static int refuse_sender(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	error |= rota_go(&seen->group, wait_for_end, seen) | rota_yield();
	rota_receiver_close(&seen->receivers[1]);
	return error | close_all(seen);
}

static void who_would_send_in_a_select_hears_of_it_too(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(refuse_sender, &seen);
	assert_int_equal(seen.codes[0], 10 - EPIPE);
}

/* Fan-in: one task reads from several until all have ended, each of which is
 * switched off then. */
static int produce(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned number = seen->next++;
	int error = 0;

	for (int i = 0; i < ITEMS && !error; i++) {
		const int item = (int)number * ITEMS + i;

		error = rota_channel_send(&seen->senders[number], &item);
		if (!error && i % (int)(number + 2) == 0)
			error = rota_sleep((number + 1) * ROTA_MILLISECOND);
	}
	rota_sender_close(&seen->senders[number]);
	return error;
}

static void take_in(struct seen *seen)
{
	struct rota_arm arms[CHANNELS];
	int item, open = CHANNELS, chosen;

	for (int i = 0; i < CHANNELS; i++)
		arms[i] = rota_arm_receive(&seen->receivers[i], &item);
	while (open && (chosen = rota_select(arms, CHANNELS)) >= 0) {
		if (arms[chosen].result == 0) {
			arms[chosen] = rota_arm_never();
			open--;
			continue;
		}
		seen->own += item / ITEMS != chosen;
		seen->got[item]++;
		seen->count++;
	}
}

static int fan_in(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	for (int i = 0; i < CHANNELS; i++)
		error |= rota_go(&seen->group, produce, seen);
	take_in(seen);
	return error | close_all(seen);
}

static void assert_each_came_once(const struct seen *seen)
{
	assert_int_equal(seen->count, CHANNELS * ITEMS);
	for (int i = 0; i < CHANNELS * ITEMS; i++)
		assert_int_equal(seen->got[i], 1);
}

static void one_task_reads_from_many_until_all_have_ended(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct seen seen = { .capacity = capacity };

		run(fan_in, &seen);
		assert_each_came_once(&seen);
		assert_int_equal(seen.own, 0);
	}
}

/* Fan-out: each item goes to one of those who have room, and to no other. */
static int send_anywhere(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int chosen = 0;

	for (int item = 0; item < CHANNELS * ITEMS && chosen >= 0; item++) {
		struct rota_arm arms[CHANNELS];

		for (int i = 0; i < CHANNELS; i++)
			arms[i] = rota_arm_send(&seen->senders[i], &item);
		chosen = rota_select(arms, CHANNELS);
	}
	for (int i = 0; i < CHANNELS; i++)
		rota_sender_close(&seen->senders[i]);
	return chosen < 0 ? chosen : 0;
}

static int consume(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned number = seen->next++;
	int item, result;

	while ((result = rota_channel_receive(&seen->receivers[number],
					      &item)) > 0) {
		seen->got[item]++;
		seen->count++;
		if (item % 3 == 0)
			result = rota_sleep(ROTA_MILLISECOND);
		if (result < 0)
			break;
	}
	return result;
}

static int fan_out(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	error |= rota_go(&seen->group, send_anywhere, seen);
	for (int i = 0; i < CHANNELS; i++)
		error |= rota_go(&seen->group, consume, seen);
	return error | close_all(seen);
}

static void an_item_offered_to_many_is_taken_once(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 3; capacity++) {
		struct seen seen = { .capacity = capacity };

		run(fan_out, &seen);
		assert_each_came_once(&seen);
	}
}

/* Two tasks that both send and receive on one channel: each exchange is
 * between the two, never of one with itself. */
static int exchange(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const int number = (int)seen->next++;

	for (int i = 0; i < 10 * ITEMS; i++) {
		int item = NOTHING;
		struct rota_arm arms[] = {
			rota_arm_send(&seen->senders[0], &number),
			rota_arm_receive(&seen->receivers[0], &item),
		};
		const int chosen = rota_select(arms, 2);

		if (chosen < 0)
			return chosen;
		seen->sides[chosen]++;
		seen->own += chosen == 1 && item != !number;
	}
	return 0;
}

static int meet(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	error |= rota_go(&seen->group, exchange, seen);
	error |= rota_go(&seen->group, exchange, seen);
	return error | close_all(seen);
}

static void two_that_do_both_on_one_channel_meet_each_other(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(meet, &seen);
	assert_int_equal(seen.sides[0], 10 * ITEMS);
	assert_int_equal(seen.sides[1], 10 * ITEMS);
	assert_int_equal(seen.own, 0);
}

/* A channel twice in one select, which ends by something else: nobody is left
 * in its line who would take an item away. */
static int wait_twice(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int item;
	struct rota_arm arms[] = {
		rota_arm_receive(&seen->receivers[0], &item),
		rota_arm_receive(&seen->receivers[0], &item),
		rota_arm_event(&seen->event),
	};

	seen->codes[0] = rota_select(arms, 3);
	return 0;
}

static int receive_behind(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->codes[1] =
		rota_channel_receive(&seen->receivers[0], &seen->codes[2]);
	return 0;
}

static int leave_twice(void *arg)
{
	struct seen *seen = arg;
	const int item = 8;
	int error = open_all(seen);

	error |= rota_go(&seen->group, wait_twice, seen);
	error |= rota_go(&seen->group, receive_behind, seen);
	error |= rota_yield();
	rota_event_set(&seen->event);
	seen->codes[3] = rota_channel_try_send(&seen->senders[0], &item);
	return error | close_all(seen);
}

static void who_has_gone_elsewhere_takes_no_item_from_those_behind(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(leave_twice, &seen);
	assert_int_equal(seen.codes[0], 2);
	assert_int_equal(seen.codes[3], 0);
	assert_int_equal(seen.codes[1], 1);
	assert_int_equal(seen.codes[2], 8);
}

/* Each item in time, or a word that it is late; then quiet for too long. */
static int slow_producer(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = 0;

	for (int i = 1; i <= 4 && !error; i++) {
		error = rota_sleep(i * 10 * ROTA_MILLISECOND);
		if (!error)
			error = rota_channel_send(&seen->senders[0], &i);
	}
	return error;
}

static int wait_a_while(void *arg)
{
	struct seen *seen = arg;
	int item, late = 0, error = open_all(seen);

	error |= rota_go(&seen->group, slow_producer, seen);
	while (late < 3) {
		struct rota_arm arms[] = {
			rota_arm_receive(&seen->receivers[0], &item),
			rota_arm_deadline(rota_after_ns(25 * ROTA_MILLISECOND)),
		};
		char word[16] = "late ";

		if (rota_select(arms, 2) == 0)
			snprintf(word, sizeof(word), "%d ", item);
		else
			late++;
		test_trail_add(&seen->trail, word);
	}
	return error | close_all(seen);
}

static void a_loop_with_a_timeout_tells_what_is_late(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(wait_a_while, &seen);
	assert_string_equal(seen.trail.text, "1 2 late 3 late 4 late ");
}

/* Workers go on with ticks and jobs until a word comes to stop. */
static int work(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_ticker ticker;
	int item, chosen, error = rota_ticker_open(&ticker, ROTA_SECOND);
	struct rota_arm arms[] = {
		rota_arm_event(&seen->event),
		rota_arm_receive(&seen->receivers[0], &item),
		rota_arm_tick(&ticker),
	};

	while ((chosen = rota_select(arms, 3)) > 0)
		seen->sides[chosen - 1]++;
	rota_ticker_close(&ticker);
	seen->count += chosen == 0;
	return error | chosen;
}

static int stop_workers(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	for (int i = 0; i < 3; i++)
		error |= rota_go(&seen->group, work, seen);
	for (int i = 0; i < 10; i++)
		error |= rota_channel_send(&seen->senders[0], &i);
	error |= rota_sleep(5 * ROTA_SECOND + ROTA_MILLISECOND);
	rota_event_set(&seen->event);
	return error | close_all(seen);
}

static void workers_stop_when_they_are_told(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(stop_workers, &seen);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.sides[0], 10);
	assert_int_equal(seen.sides[1], 15);
}

/* A sieve: each stage passes on what its prime does not divide, or stops with
 * the rest when enough have been found. */
static int generate(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int item = 2, chosen;

	do {
		struct rota_arm arms[] = {
			rota_arm_event(&seen->event),
			rota_arm_send(&seen->senders[0], &item),
		};

		chosen = rota_select(arms, 2);
		item++;
	} while (chosen == 1 && item < 1000);
	rota_sender_close(&seen->senders[0]);
	return chosen < 0 ? chosen : 0;
}

static int filter(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned stage = seen->next++;
	int item, prime = 0, result, error = 0;

	while (!error && (result = rota_channel_receive(&seen->receivers[stage],
							&item)) > 0) {
		if (!prime) {
			char word[16];

			prime = item;
			snprintf(word, sizeof(word), "%d ", prime);
			test_trail_add(&seen->trail, word);
		} else if (item % prime && stage + 1 < CHANNELS) {
			error = rota_channel_send(&seen->senders[stage + 1],
						  &item);
		}
		if (stage + 1 == CHANNELS)
			rota_event_set(&seen->event);
	}
	if (stage + 1 < CHANNELS)
		rota_sender_close(&seen->senders[stage + 1]);
	return error;
}

static int sieve(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);

	for (int i = 0; i < CHANNELS; i++)
		error |= rota_go(&seen->group, filter, seen);
	error |= rota_go(&seen->group, generate, seen);
	return error | close_all(seen);
}

static void a_pipeline_ends_when_its_source_is_told_to(void **state)
{
	struct seen seen = { .capacity = 0 };

	(void)state;
	run(sieve, &seen);
	assert_string_equal(seen.trail.text, "2 3 5 7 ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_arm_that_is_off_is_never_done),
		cmocka_unit_test(a_channel_that_has_ended_is_always_ready),
		cmocka_unit_test(who_waits_in_a_select_hears_of_the_end),
		cmocka_unit_test(who_would_send_in_a_select_hears_of_it_too),
		cmocka_unit_test(one_task_reads_from_many_until_all_have_ended),
		cmocka_unit_test(an_item_offered_to_many_is_taken_once),
		cmocka_unit_test(
			two_that_do_both_on_one_channel_meet_each_other),
		cmocka_unit_test(
			who_has_gone_elsewhere_takes_no_item_from_those_behind),
		cmocka_unit_test(a_loop_with_a_timeout_tells_what_is_late),
		cmocka_unit_test(workers_stop_when_they_are_told),
		cmocka_unit_test(a_pipeline_ends_when_its_source_is_told_to),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
