/* SPDX-License-Identifier: MIT */
/*
 * How outputs end before they are closed: by a peer that takes nothing, by what
 * the kernel says, by a message that is cut short.
 */
#include "rota/rota.h"
#include "support/slow.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG "0123456789012345678901234567890123456789"

static int flush_it(void *value)
{
	struct slow *slow = *(struct slow **)value;

	slow_note(slow, "flush", rota_output_flush(&slow->output));
	return 0;
}

static int never_read(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 5 * ROTA_SECOND);

	error |= slow_wait_in_both_lines(slow);
	error |= rota_sleep_until(TEST_START_NS + 4 * ROTA_SECOND);
	slow->codes[0] = rota_output_try_write(&slow->output, "abcdef", 6);
	error |= rota_sleep_until(TEST_START_NS + 6 * ROTA_SECOND);
	slow->codes[1] = rota_output_write(&slow->output, "X", 1);
	slow->codes[2] = rota_output_try_write(&slow->output, "X", 1);
	slow->codes[3] = rota_output_flush(&slow->output);
	slow->codes[4] = slow_close(slow);
	slow->codes[5] = (int)rota_output_pending(&slow->output);
	return error | slow_end(slow);
}

static void a_peer_that_takes_nothing_for_so_long_ends_it(void **state)
{
	static const int expected[] = { -EAGAIN,    -ETIMEDOUT, -ETIMEDOUT,
					-ETIMEDOUT, -ETIMEDOUT, 10 };
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, never_read);
	for (int i = 0; i < 6; i++)
		assert_int_equal(slow.codes[i], expected[i]);
	assert_string_equal(slow.trail.text, "0123456789 abcdefghij? flush? ");
	assert_int_equal(slow.outcome, -ETIMEDOUT);
}

static int read_slowly(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 5 * ROTA_SECOND);

	for (int i = 0; i < 5; i++) {
		error |= rota_output_write(&slow->output, "0123456789", 10);
		error |= rota_sleep(4 * ROTA_SECOND);
		slow_take(slow);
		error |= rota_output_flush(&slow->output);
		/* Nothing is pending: that is no time that counts. */
		error |= rota_sleep(6 * ROTA_SECOND);
		while (send(slow->fd, slow->junk, 1, MSG_DONTWAIT) == 1)
			slow->codes[1]++;
	}
	slow->codes[0] = slow_close(slow);
	return error | slow_end(slow);
}

static void a_peer_that_takes_something_in_time_does_not(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, read_slowly);
	assert_int_equal(slow.codes[0], 0);
	assert_int_equal(slow.outcome, 0);
}

static int lose_peer(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_wait_in_both_lines(slow);
	close(slow->peer);
	slow->peer = -1;
	error |= slow_settle();
	slow->codes[0] = rota_output_write(&slow->output, "X", 1);
	slow->codes[1] = rota_output_flush(&slow->output);
	slow->codes[2] = slow_close(slow);
	slow->codes[3] = (int)rota_output_pending(&slow->output);
	return error | slow_end(slow);
}

static void what_the_kernel_says_is_told_to_all(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, lose_peer);
	/* Unread bytes were on their way. */
	assert_true(slow.codes[0] == -ECONNRESET || slow.codes[0] == -EPIPE);
	assert_int_equal(slow.codes[1], slow.codes[0]);
	assert_int_equal(slow.codes[2], slow.codes[0]);
	assert_int_equal(slow.codes[3], 10);
	assert_int_equal(slow.outcome, slow.codes[0]);
	assert_string_equal(slow.trail.text, "0123456789 abcdefghij? flush? ");
}

static int close_descriptor(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_wait_in_both_lines(slow);
	error |= rota_close(slow->fd);
	slow->fd = -1;
	error |= slow_settle();
	slow->codes[0] = rota_output_write(&slow->output, "X", 1);
	slow->codes[1] = slow_close(slow);
	return error | slow_end(slow);
}

static void a_close_of_the_descriptor_ends_it_with_ebadf(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, close_descriptor);
	assert_int_equal(slow.codes[0], -EBADF);
	assert_int_equal(slow.codes[1], -EBADF);
	assert_int_equal(slow.outcome, -EBADF);
}

static int cut_short(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "abc", 0);
	error |= rota_go(&slow->group, flush_it, slow) | slow_settle();
	error |= slow_go(slow, LONG, ROTA_SECOND);
	error |= slow_go(slow, "def", 0);
	error |= rota_sleep(2 * ROTA_SECOND);
	slow->codes[0] = rota_output_try_write(&slow->output, "X", 1);
	slow->codes[1] = rota_output_flush(&slow->output);
	test_trail_add(&slow->trail, "| ");
	slow_take(slow);
	error |= slow_settle();
	slow->codes[2] = slow_close(slow);
	slow->codes[3] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_long_message_that_is_cut_short_is_the_last_one(void **state)
{
	static const int expected[] = { -ECONNABORTED, -ECONNABORTED,
					-ECONNABORTED, 0 };
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, cut_short);
	for (int i = 0; i < 4; i++)
		assert_int_equal(slow.codes[i], expected[i]);
	assert_string_equal(slow.trail.text, "abc " LONG "~ def? | flush ");
	/* All that was there before it, and what there was of it. */
	slow_expect(&slow, "abc0123456789012");
	assert_int_equal(slow.outcome, 0);
}

/* The memory is full to the last byte when its turn comes. */
static int give_up_long(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "0123456789abcdef", 0);
	error |= slow_go(slow, LONG, ROTA_SECOND);
	error |= slow_go(slow, "X", 0);
	error |= rota_sleep(2 * ROTA_SECOND);
	slow_take(slow);
	error |= rota_output_flush(&slow->output);
	slow->codes[0] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_long_message_that_has_not_begun_can_be_given_up(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, give_up_long);
	assert_int_equal(slow.codes[0], 0);
	assert_string_equal(slow.trail.text, "0123456789abcdef " LONG "~ X ");
	slow_expect(&slow, "0123456789abcdefX");
}

static int say_goodbye(void *arg)
{
	struct slow *slow = arg;
	struct rota_shield shield;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "hello ", 0);
	rota_group_cancel(&slow->group, (struct rota_cancellation){ 0 });
	slow->codes[0] = rota_output_write(&slow->output, "x", 1);
	rota_shield_begin(&shield, ROTA_SECOND);
	error |= slow_settle();
	slow->codes[1] = rota_output_write(&slow->output, "goodbye", 7);
	slow_take(slow);
	slow->codes[2] = slow_close(slow);
	rota_shield_end(&shield);
	slow_take(slow);
	return error | slow_end(slow);
}

static void in_a_cancelled_group_a_goodbye_can_be_sent_in_a_shield(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, say_goodbye);
	assert_int_equal(slow.codes[0], -ECANCELED);
	assert_int_equal(slow.codes[1], 0);
	assert_int_equal(slow.codes[2], 0);
	slow_expect(&slow, "hello goodbye");
	assert_int_equal(slow.outcome, -ECANCELED);
}

static int fail_the_group(void *arg)
{
	struct slow *slow = arg;
	int error;
	char byte;

	slow->options.limit = 9; /* the first failure ends it */
	error = slow_open_full(slow, ROTA_SECOND);
	error |= slow_go(slow, "hello", 0);
	/* As a connection's task does: it hears nothing any more. */
	slow->codes[0] = rota_recv(slow->fd, &byte, 1, 0);
	slow->codes[1] = slow_close(slow);
	return error | slow_end(slow);
}

static void its_end_is_a_failure_of_the_group(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, fail_the_group);
	assert_int_equal(slow.codes[0], -ECANCELED);
	assert_int_equal(slow.codes[1], -ETIMEDOUT);
	assert_int_equal(slow.outcome, -ETIMEDOUT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_peer_that_takes_nothing_for_so_long_ends_it),
		cmocka_unit_test(a_peer_that_takes_something_in_time_does_not),
		cmocka_unit_test(what_the_kernel_says_is_told_to_all),
		cmocka_unit_test(a_close_of_the_descriptor_ends_it_with_ebadf),
		cmocka_unit_test(
			a_long_message_that_is_cut_short_is_the_last_one),
		cmocka_unit_test(
			a_long_message_that_has_not_begun_can_be_given_up),
		cmocka_unit_test(
			in_a_cancelled_group_a_goodbye_can_be_sent_in_a_shield),
		cmocka_unit_test(its_end_is_a_failure_of_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
