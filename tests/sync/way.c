/* SPDX-License-Identifier: MIT */
/*
 * Who always finds what it would wait for gives way to others all the same.
 */
#include "support/loops.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ITEMS 5000u

struct seen {
	struct rota_sender sender;
	struct rota_receiver receiver;
	bool selects;     /* the one that receives */
	unsigned count;   /* items received so far */
	unsigned at_turn; /* ... when the other task had its turn */
};

static int receive_one(struct seen *seen, uint64_t *item)
{
	struct rota_arm arm = rota_arm_receive(&seen->receiver, item);
	int error;

	if (!seen->selects)
		return rota_channel_receive(&seen->receiver, item);
	error = rota_select(&arm, 1);
	return error < 0 ? error : arm.result;
}

static int note_turn(void *value)
{
	struct seen *seen = *(struct seen **)value;

	seen->at_turn = seen->count;
	return 0;
}

/* All of them are there before the first one is received. */
static int receive_all(void *arg)
{
	const struct rota_channel_options options = { .item_bytes =
							      sizeof(uint64_t),
						      .capacity = ITEMS };
	struct seen *seen = arg;
	struct rota_group group;
	uint64_t item = 0;
	int error = rota_channel_open(&options, &seen->sender, &seen->receiver);

	if (error)
		return error;
	while (!error && item++ < ITEMS)
		error = rota_channel_try_send(&seen->sender, &item);
	rota_sender_close(&seen->sender);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, note_turn, seen);
	while (!error && receive_one(seen, &item) > 0)
		seen->count++;
	error |= rota_group_wait(&group);
	rota_receiver_close(&seen->receiver);
	return error;
}

static void assert_gives_way(bool selects)
{
	struct seen seen = { .selects = selects, .at_turn = ITEMS };

	assert_int_equal(test_run_loops(receive_all, &seen), 0);
	assert_int_equal(seen.count, ITEMS);
	assert_in_range(seen.at_turn, 1, ITEMS / 2);
}

static void a_receiver_that_never_waits_gives_way(void **state)
{
	(void)state;
	assert_gives_way(false);
}

static void a_select_that_never_waits_gives_way(void **state)
{
	(void)state;
	assert_gives_way(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_receiver_that_never_waits_gives_way),
		cmocka_unit_test(a_select_that_never_waits_gives_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
