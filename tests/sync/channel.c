/* SPDX-License-Identifier: MIT */
/*
 * Channels on one loop: what is handed over, when, and how it ends.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ITEMS 10

struct seen {
	struct rota_sender sender;
	struct rota_receiver receiver;
	int items[ITEMS + 1]; /* what was received, in order */
	int count;            /* how many */
	int sent;             /* sends that have returned */
	int sent_before;      /* ... when the first item was received */
	int end;              /* what the last receive returned */
	int result;           /* what the last send returned */
};

static int open_channel(struct seen *seen, size_t capacity)
{
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(int),
						 .capacity = capacity }),
		&seen->sender, &seen->receiver);
}

static int send_ten(void *value)
{
	struct seen *seen = *(struct seen **)value;

	for (int i = 0; i < ITEMS && !seen->result; i++) {
		seen->result = rota_channel_send(&seen->sender, &i);
		seen->sent += !seen->result;
	}
	rota_sender_close(&seen->sender);
	return 0;
}

static int receive_all(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int item;

	while ((seen->end = rota_channel_receive(&seen->receiver, &item)) > 0) {
		if (!seen->count)
			seen->sent_before = seen->sent;
		if (seen->count <= ITEMS)
			seen->items[seen->count++] = item;
	}
	rota_receiver_close(&seen->receiver);
	return 0;
}

static int send_and_receive(struct seen *seen, size_t capacity)
{
	struct rota_group group;
	int error = open_channel(seen, capacity);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, send_ten, seen);
	if (!error)
		error = rota_go(&group, receive_all, seen);
	return rota_group_wait(&group) | error;
}

static int through_none(void *arg)
{
	return send_and_receive(arg, 0);
}

static int through_four(void *arg)
{
	return send_and_receive(arg, 4);
}

static void assert_all(const struct seen *seen)
{
	assert_int_equal(seen->result, 0);
	assert_int_equal(seen->end, 0);
	assert_int_equal(seen->count, ITEMS);
	for (int i = 0; i < ITEMS; i++)
		assert_int_equal(seen->items[i], i);
}

static void at_capacity_0_a_send_returns_when_it_was_received(void **state)
{
	struct seen seen = { .end = 1 };

	(void)state;
	assert_int_equal(test_run(through_none, &seen), 0);
	assert_all(&seen);
	assert_int_equal(seen.sent_before, 0);
}

static void the_capacity_goes_ahead_and_no_more(void **state)
{
	struct seen seen = { .end = 1 };

	(void)state;
	assert_int_equal(test_run(through_four, &seen), 0);
	assert_all(&seen);
	assert_int_equal(seen.sent_before, 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			at_capacity_0_a_send_returns_when_it_was_received),
		cmocka_unit_test(the_capacity_goes_ahead_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
