/* SPDX-License-Identifier: MIT */
/*
 * A select on a loop that can do nothing for a while: it is served from another
 * loop, cancelled, and late, in various orders, before its loop goes on. What
 * was claimed first is done; the loop hears of all the rest too late.
 */
#include "support/loops.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NONE 1000

enum arm {
	SENT,
	SET,
	DUE,
	POLLED,
	ARMS
};

/* By letters: s(erved by a send), e(vent is set), c(ancelled), l(ate for the
 * deadline around it), t(he deadline arm is due), g(o on). */
struct fate {
	const char *events;
	int chosen; /* by the select */
	int served; /* what the one who sends is told */
};

static const struct fate fates[] = {
	{ "s", SENT, 0 },
	{ "e", SET, NONE },
	{ "se", SENT, 0 },
	{ "es", SET, -EAGAIN },
	{ "sc", SENT, 0 },
	{ "cs", SENT, 0 },
	{ "ec", SET, NONE },
	{ "ce", SET, NONE },
	{ "ls", SENT, 0 },
	{ "sl", SENT, 0 },
	{ "ts", SENT, 0 },
	{ "st", SENT, 0 },
	{ "tcs", SENT, 0 },
	{ "lce", SET, NONE },
	{ "gs", SENT, 0 },
	{ "c", -ECANCELED, NONE },
	{ "cgs", -ECANCELED, -EAGAIN },
	{ "lgs", -ETIME, -EAGAIN },
	{ "tgs", DUE, -EAGAIN },
	/* The task is told of a cancel in the turn after, of the time in this. */
	{ "ctg", DUE, NONE },
};

struct seen {
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_event event;
	struct rota_group group;
	struct hold hold;
	const struct fate *fate;
	struct rota_arm arms[ARMS];
	unsigned count;     /* of those */
	int64_t scope_ns;   /* the deadline around it */
	int64_t due_ns;     /* of the arm */
	atomic_int chosen;  /* by the select; NONE: it waits */
	int served;         /* what who sent was told */
	unsigned long item; /* received */
	int fds[2];         /* of a pipe, with nothing in it */
};

static int select_there(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, seen->scope_ns);
	atomic_store(&seen->chosen, rota_select(seen->arms, seen->count));
	rota_deadline_end(&deadline);
	return 0;
}

static void make_arms(struct seen *seen)
{
	seen->arms[SENT] = rota_arm_receive(&seen->receiver, &seen->item);
	seen->arms[SET] = rota_arm_event(&seen->event);
	seen->arms[DUE] = rota_arm_deadline(seen->due_ns);
	seen->arms[POLLED] = rota_arm_poll(seen->fds[0], POLLIN);
	for (int i = 0; i < ARMS; i++)
		seen->arms[i].result = NONE;
}

/* It stands in line, or was late before anybody could look. */
static int await_victim(struct seen *seen)
{
	int error = 0;

	while (!error && atomic_load(&seen->chosen) == NONE &&
	       !rota_receiver_inspect(&seen->receiver).receivers_waiting)
		error = rota_yield();
	return error;
}

static void wait_until(int64_t deadline_ns)
{
	while (rota_now_ns() <= deadline_ns)
		sched_yield();
}

/* Its loop goes on; who is to go on by now does. */
static int go_on(struct seen *seen)
{
	const bool over = strpbrk(seen->fate->events, "clt") != NULL;
	int error = 0;

	hold_end(&seen->hold);
	while (!error && over && atomic_load(&seen->chosen) == NONE)
		error = rota_yield();
	return error;
}

static int suffer(struct seen *seen, char event)
{
	const unsigned long item = 7;

	switch (event) {
	case 's':
		seen->served = rota_channel_try_send(&seen->sender, &item);
		return 0;
	case 'e':
		rota_event_set(&seen->event);
		return 0;
	case 'c':
		rota_group_cancel(&seen->group,
				  (struct rota_cancellation){ 0, NULL });
		return 0;
	case 'l':
		wait_until(seen->scope_ns);
		return 0;
	case 't':
		wait_until(seen->due_ns);
		return 0;
	default:
		return go_on(seen);
	}
}

static int suffer_all(struct seen *seen)
{
	int error = 0;

	for (const char *event = seen->fate->events; *event && !error; event++)
		error = suffer(seen, *event);
	if (!atomic_load(&seen->hold.let_go))
		hold_end(&seen->hold);
	return error;
}

static int open_all(struct seen *seen)
{
	seen->served = NONE;
	seen->item = 0;
	atomic_store(&seen->chosen, NONE);
	if (pipe(seen->fds) < 0)
		return -errno;
	rota_event_init(&seen->event, NULL);
	rota_group_open(&seen->group, NULL);
	return rota_channel_open((&(struct rota_channel_options){
					 .item_bytes = sizeof(seen->item) }),
				 &seen->sender, &seen->receiver);
}

static void close_all(struct seen *seen)
{
	(void)rota_group_wait(&seen->group);
	rota_event_fini(&seen->event);
	rota_sender_close(&seen->sender);
	rota_receiver_close(&seen->receiver);
	close(seen->fds[0]);
	close(seen->fds[1]);
}

/* False: it was late too early. */
static bool try_fate(struct seen *seen, int *error)
{
	struct rota_shield shield;
	bool tried;

	*error = open_all(seen);
	make_arms(seen);
	/* The cancel is for who selects only. */
	rota_shield_begin(&shield, ROTA_NEVER);
	*error |= rota_go_on(&seen->group, 1, select_there, seen);
	*error |= await_victim(seen);
	hold_begin(&seen->hold, 1);
	tried = atomic_load(&seen->chosen) == NONE;
	if (tried)
		*error |= suffer_all(seen);
	else
		hold_end(&seen->hold);
	rota_shield_end(&shield);
	close_all(seen);
	return tried;
}

static int meet_fate(void *arg)
{
	struct seen *seen = arg;
	int64_t patience_ns = 2 * ROTA_MILLISECOND;
	int error;

	do {
		const int64_t late_ns = rota_after_ns(patience_ns);

		seen->scope_ns = strchr(seen->fate->events, 'l') ? late_ns
								 : ROTA_NEVER;
		seen->due_ns = strchr(seen->fate->events, 't') ? late_ns
							       : ROTA_NEVER;
		patience_ns *= 2;
	} while (!try_fate(seen, &error) && !error);
	return error;
}

static void assert_fate(struct seen *seen)
{
	const int chosen = seen->fate->chosen;
	const int results[] = { 1, 0, 0, POLLIN };

	assert_int_equal(atomic_load(&seen->chosen), chosen);
	assert_int_equal(seen->served, seen->fate->served);
	assert_int_equal(seen->item, chosen == SENT ? 7 : 0);
	for (int i = 0; i < ARMS; i++)
		assert_int_equal(seen->arms[i].result,
				 i == chosen ? results[i] : NONE);
}

static void meet_all_fates(unsigned count)
{
	for (unsigned i = 0; i < sizeof(fates) / sizeof(*fates); i++) {
		struct seen seen = { .fate = &fates[i], .count = count };

		assert_int_equal(test_run_loops(meet_fate, &seen), 0);
		assert_fate(&seen);
	}
}

static void a_select_without_a_poll_does_what_was_claimed_first(void **state)
{
	(void)state;
	meet_all_fates(POLLED);
}

static void a_select_with_a_poll_does_what_was_claimed_first(void **state)
{
	(void)state;
	meet_all_fates(ARMS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_select_without_a_poll_does_what_was_claimed_first),
		cmocka_unit_test(
			a_select_with_a_poll_does_what_was_claimed_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
