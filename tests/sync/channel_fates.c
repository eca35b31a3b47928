/* SPDX-License-Identifier: MIT */
/*
 * What may come to a task that waits at a channel while its loop is busy: it is
 * served from another loop, it is cancelled, its deadline passes, in each order.
 * Either it was served, and so was who served it, or neither.
 */
#include "support/loops.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* No verb returns it. */
#define NONE 1000

struct seen {
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_group *group; /* to be cancelled */
	int64_t deadline_ns;      /* of who waits */
	atomic_int result;        /* of who waits; NONE: it does */
	int served;               /* of who serves it */
	uint64_t item;            /* what came */
	struct hold hold;         /* of its loop */
};

/* A task on loop 1 that waits to receive, and to send. */
static int wait_to_receive(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, seen->deadline_ns);
	atomic_store(&seen->result,
		     rota_channel_receive(&seen->receiver, &seen->item));
	rota_deadline_end(&deadline);
	return 0;
}

static int wait_to_send(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_deadline deadline;
	const uint64_t item = 7;

	rota_deadline_begin(&deadline, seen->deadline_ns);
	atomic_store(&seen->result, rota_channel_send(&seen->sender, &item));
	rota_deadline_end(&deadline);
	return 0;
}

/* What happens to it while its loop can do nothing, by letters: it is served,
 * it is cancelled, its deadline passes; then the loop goes on. */
struct fate {
	const char *events; /* s(erved), c(ancelled), l(ate), g(o on) */
	int result;         /* what a receiver is told */
	int served;         /* what the one who serves it is told */
};

static const struct fate fates[] = {
	{ "s", 1, 0 },
	{ "sc", 1, 0 },
	{ "cs", 1, 0 },
	{ "ls", 1, 0 },
	{ "sl", 1, 0 },
	{ "lcs", 1, 0 },
	{ "scl", 1, 0 },
	{ "gs", 1, 0 },
	{ "cgs", -ECANCELED, -EAGAIN },
	{ "lgs", -ETIME, -EAGAIN },
};

static const struct fate *fate;

static void be_served(struct seen *seen, bool sends)
{
	const uint64_t item = 7;

	if (sends)
		seen->served =
			rota_channel_try_receive(&seen->receiver, &seen->item);
	else
		seen->served = rota_channel_try_send(&seen->sender, &item);
}

/* The loop goes on: who is cancelled or late hears of it. */
static int go_on(struct seen *seen)
{
	int error = 0;

	hold_end(&seen->hold);
	while (!error && fate->result < 0 && atomic_load(&seen->result) == NONE)
		error = rota_yield();
	return error;
}

static int suffer(struct seen *seen, bool sends)
{
	int error = 0;

	for (const char *event = fate->events; *event; event++)
		if (*event == 's')
			be_served(seen, sends);
		else if (*event == 'g')
			error = go_on(seen);
		else if (*event == 'c')
			rota_group_cancel(seen->group,
					  (struct rota_cancellation){ 0,
								      NULL });
		else
			while (rota_now_ns() <= seen->deadline_ns)
				sched_yield();
	if (!atomic_load(&seen->hold.let_go))
		hold_end(&seen->hold);
	return error;
}

/* It stands in line, or was late before anybody could look. */
static int await_victim(struct seen *seen)
{
	int error = 0;

	while (!error && atomic_load(&seen->result) == NONE) {
		const struct rota_channel_state state =
			rota_receiver_inspect(&seen->receiver);

		if (state.senders_waiting + state.receivers_waiting > 0)
			break;
		error = rota_yield();
	}
	return error;
}

/* False: it was late too early. */
static bool try_fate(struct seen *seen, bool sends, int *error)
{
	struct rota_group group;
	struct rota_shield shield;
	bool tried;

	*error = rota_channel_open(
		&(struct rota_channel_options){ .item_bytes =
							sizeof(uint64_t) },
		&seen->sender, &seen->receiver);
	seen->group = &group;
	atomic_store(&seen->result, NONE);
	rota_group_open(&group, NULL);
	/* The cancel is for the member only, not for who serves it. */
	rota_shield_begin(&shield, ROTA_NEVER);
	*error |= rota_go_on(&group, 1, sends ? wait_to_send : wait_to_receive,
			     seen);
	*error |= await_victim(seen);
	hold_begin(&seen->hold, 1);
	tried = atomic_load(&seen->result) == NONE;
	if (tried)
		*error |= suffer(seen, sends);
	else
		hold_end(&seen->hold);
	rota_shield_end(&shield);
	(void)rota_group_wait(&group);
	rota_sender_close(&seen->sender);
	rota_receiver_close(&seen->receiver);
	return tried;
}

static int meet_fate(struct seen *seen, bool sends)
{
	const bool late = strchr(fate->events, 'l') != NULL;
	int64_t patience_ns = 2 * ROTA_MILLISECOND;
	int error;

	do {
		seen->deadline_ns = late ? rota_after_ns(patience_ns)
					 : ROTA_NEVER;
		patience_ns *= 2;
	} while (!try_fate(seen, sends, &error));
	return error;
}

static int receiver_meets_fate(void *arg)
{
	return meet_fate(arg, false);
}

static int sender_meets_fate(void *arg)
{
	return meet_fate(arg, true);
}

static void a_waiter_is_served_or_cancelled_whatever_its_loop_does(void **state)
{
	(void)state;
	for (unsigned i = 0; i < sizeof(fates) / sizeof(*fates); i++) {
		struct seen seen = { 0 };

		fate = &fates[i];
		assert_int_equal(test_run_loops(receiver_meets_fate, &seen), 0);
		assert_int_equal(atomic_load(&seen.result), fate->result);
		assert_int_equal(seen.served, fate->served);
		assert_int_equal(seen.item, fate->result == 1 ? 7 : 0);

		seen = (struct seen){ 0 };
		assert_int_equal(test_run_loops(sender_meets_fate, &seen), 0);
		assert_int_equal(atomic_load(&seen.result),
				 fate->result == 1 ? 0 : fate->result);
		assert_int_equal(seen.served, fate->served ? fate->served : 1);
		assert_int_equal(seen.item, fate->served ? 0 : 7);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_waiter_is_served_or_cancelled_whatever_its_loop_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
