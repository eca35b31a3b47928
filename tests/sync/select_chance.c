/* SPDX-License-Identifier: MIT */
/*
 * What a select leaves to chance: of the arms that are ready each one is as
 * likely as the others, whatever kind it is of, and however many are not.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define DRAWS 6000
#define KINDS 6

/* One arm of each kind that can be ready again and again. */
struct seen {
	struct test_kernel kernel;
	struct rota_sender full, free;
	struct rota_receiver from_full, from_free;
	struct rota_event event;
	int fds[2];            /* of a pipe with a byte in it */
	int item;              /* sent or received */
	unsigned first, count; /* kinds of the arms that are ready */
	unsigned duds; /* arms before, between and behind, that are not */
	bool tries;    /* without a wait */
	unsigned drawn[KINDS]; /* how often each was chosen */
	unsigned others;       /* how often something else was */
};

static int open_all(struct seen *seen)
{
	const struct rota_channel_options options = { .item_bytes = sizeof(int),
						      .capacity = 1 };
	int error = rota_channel_open(&options, &seen->full, &seen->from_full);

	error |= rota_channel_open(&options, &seen->free, &seen->from_free);
	rota_event_init(&seen->event, NULL);
	rota_event_set(&seen->event);
	if (pipe(seen->fds) < 0)
		return -errno;
	return write(seen->fds[1], "x", 1) == 1 ? error : -EIO;
}

static void close_all(struct seen *seen)
{
	rota_event_fini(&seen->event);
	rota_sender_close(&seen->full);
	rota_sender_close(&seen->free);
	rota_receiver_close(&seen->from_full);
	rota_receiver_close(&seen->from_free);
	close(seen->fds[0]);
	close(seen->fds[1]);
}

/* They are all ready again. */
static int restore(struct seen *seen)
{
	int error = rota_channel_try_send(&seen->full, &seen->item);

	if (error && error != -EAGAIN)
		return error;
	error = rota_channel_try_receive(&seen->from_free, &seen->item);
	return error == -EAGAIN || error == 1 ? 0 : error;
}

static struct rota_arm ready_arm(struct seen *seen, struct rota_ticker *ticker,
				 unsigned kind)
{
	switch (kind) {
	case 0:
		return rota_arm_receive(&seen->from_full, &seen->item);
	case 1:
		return rota_arm_send(&seen->free, &seen->item);
	case 2:
		return rota_arm_event(&seen->event);
	case 3:
		return rota_arm_poll(seen->fds[0], POLLIN);
	case 4:
		return rota_arm_deadline(0);
	default:
		return rota_arm_tick(ticker);
	}
}

/* Those that are ready, each behind so many that are not. */
static unsigned make_arms(struct seen *seen, struct rota_ticker *ticker,
			  struct rota_arm *arms)
{
	unsigned made = 0;

	for (unsigned i = 0; i < seen->count; i++) {
		for (unsigned dud = 0; dud < seen->duds; dud++)
			arms[made++] = rota_arm_send(&seen->full, &seen->item);
		arms[made++] =
			ready_arm(seen, ticker, (seen->first + i) % KINDS);
	}
	for (unsigned dud = 0; dud < seen->duds; dud++)
		arms[made++] = rota_arm_never();
	return made;
}

static int draw_once(struct seen *seen, struct rota_ticker *ticker)
{
	struct rota_arm arms[32];
	const unsigned count = make_arms(seen, ticker, arms);
	const unsigned step = seen->duds + 1;
	const int chosen = seen->tries ? rota_try_select(arms, count)
				       : rota_select(arms, count);

	if (chosen < 0)
		return chosen;
	if ((unsigned)chosen % step == seen->duds)
		seen->drawn[((unsigned)chosen / step + seen->first) % KINDS]++;
	else
		seen->others++;
	return 0;
}

static int draw(void *arg)
{
	struct seen *seen = arg;
	struct rota_ticker ticker;
	int error = open_all(seen) | rota_ticker_open(&ticker, 1);

	for (unsigned i = 0; i < DRAWS && !error; i++) {
		error = restore(seen);
		seen->kernel.clock_ns += ROTA_MILLISECOND;
		(void)rota_now_ns();
		if (!error)
			error = draw_once(seen, &ticker);
	}
	rota_ticker_close(&ticker);
	close_all(seen);
	return error;
}

/* Six times the deviation is not by chance. */
static void assert_fair(const struct seen *seen)
{
	const unsigned share = DRAWS / seen->count;
	unsigned slack = 1;

	while (slack * slack < 36 * share)
		slack++;
	assert_int_equal(seen->others, 0);
	for (unsigned i = 0; i < seen->count; i++)
		assert_in_range(seen->drawn[(seen->first + i) % KINDS],
				share - slack, share + slack);
}

static void draw_and_assert(unsigned first, unsigned count, unsigned duds,
			    bool tries)
{
	const struct rota_config config = { .seed = 1 + first + 8 * count };
	static struct seen seen;

	seen = (struct seen){ .first = first,
			      .count = count,
			      .duds = duds,
			      .tries = tries };
	test_run_timed_clean(&config, &seen.kernel, draw, &seen);
	assert_fair(&seen);
}

static void arms_of_all_kinds_are_equally_likely(void **state)
{
	(void)state;
	for (unsigned count = 2; count <= KINDS; count++)
		for (unsigned first = 0; first < KINDS; first++)
			draw_and_assert(first, count, 0, false);
}

static void arms_that_are_not_ready_change_nothing(void **state)
{
	(void)state;
	for (unsigned duds = 1; duds <= 3; duds++)
		draw_and_assert(duds, KINDS, duds, false);
}

static void a_try_is_as_fair(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= KINDS; count++)
		draw_and_assert(3, count, count % 3, true);
}

/* The descriptor of a poll is not ready: the others share its part evenly. */
static int draw_without_poll(void *arg)
{
	struct seen *seen = arg;
	int error = open_all(seen);
	char byte;

	if (read(seen->fds[0], &byte, 1) != 1)
		return -EIO;
	for (unsigned i = 0; i < DRAWS && !error; i++) {
		struct rota_arm arms[] = {
			rota_arm_poll(seen->fds[0], POLLIN),
			rota_arm_event(&seen->event),
			rota_arm_deadline(0),
		};
		const int chosen = rota_select(arms, 3);

		if (chosen == 1 || chosen == 2)
			seen->drawn[chosen - 1]++;
		else
			seen->others++;
	}
	close_all(seen);
	return error;
}

static void a_poll_that_is_not_ready_favours_none_of_the_others(void **state)
{
	const struct rota_config config = { .seed = 5 };
	static struct seen seen;

	(void)state;
	seen = (struct seen){ .count = 2 };
	test_run_timed_clean(&config, &seen.kernel, draw_without_poll, &seen);
	assert_fair(&seen);
}

static void
the_same_seed_makes_the_same_choices_another_one_others(void **state)
{
	static struct seen seen[3];
	unsigned differences = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		const struct rota_config config = { .seed = 1 + i / 2 };

		seen[i] = (struct seen){ .count = KINDS };
		test_run_timed_clean(&config, &seen[i].kernel, draw, &seen[i]);
	}
	for (unsigned kind = 0; kind < KINDS; kind++) {
		assert_int_equal(seen[0].drawn[kind], seen[1].drawn[kind]);
		differences += seen[1].drawn[kind] != seen[2].drawn[kind];
	}
	assert_true(differences > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arms_of_all_kinds_are_equally_likely),
		cmocka_unit_test(arms_that_are_not_ready_change_nothing),
		cmocka_unit_test(a_try_is_as_fair),
		cmocka_unit_test(
			a_poll_that_is_not_ready_favours_none_of_the_others),
		cmocka_unit_test(
			the_same_seed_makes_the_same_choices_another_one_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
