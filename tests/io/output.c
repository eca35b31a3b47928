/* SPDX-License-Identifier: MIT */
/*
 * Outputs: what is written goes out whole and in order, however slowly the
 * peer reads. (How they end is in output_ends.c.)
 */
#include "rota/rota.h"
#include "support/slow.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int write_some(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open(slow, 0);

	error |= rota_output_write(&slow->output, "hello ", 6);
	error |= rota_output_write(&slow->output, NULL, 0);
	error |= rota_output_try_write(&slow->output, "world", 5);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	error |= rota_output_flush(&slow->output);
	slow->codes[1] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	error |= rota_output_write(&slow->output, "!", 1);
	slow->codes[2] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void what_is_written_is_sent_in_order_and_at_once(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, write_some);
	assert_int_equal(slow.codes[0], 11);
	assert_int_equal(slow.codes[1], 0);
	assert_int_equal(slow.codes[2], 0);
	slow_expect(&slow, "hello world!");
	assert_int_equal(slow.sends, 2);
}

static int write_round_and_round(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open(slow, 0);

	/* Of 16 bytes, 10 at a time: the next would lie over the end. */
	for (int i = 0; i < 3; i++) {
		error |= rota_output_write(&slow->output, "0123456789", 10);
		error |= rota_output_flush(&slow->output);
	}
	slow->codes[0] = (int)slow->split;
	slow_take(slow);
	slow->codes[1] = slow_close(slow);
	return error | slow_end(slow);
}

static void what_finds_the_memory_empty_is_sent_in_one_piece(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, write_round_and_round);
	assert_int_equal(slow.codes[0], 0);
	assert_int_equal(slow.codes[1], 0);
	slow_expect(&slow, "012345678901234567890123456789");
}

static int wait_in_line(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	/* 16 bytes of memory. */
	error |= slow_go(slow, "0123456789", 0);
	error |= slow_go(slow, "abcdefghij", 0);
	error |= slow_go(slow, "X", 0);
	error |= slow_go(slow, "Y", 0);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	slow->codes[1] = rota_output_try_write(&slow->output, "Z", 1);
	test_trail_add(&slow->trail, "| ");
	while (rota_output_pending(&slow->output)) {
		slow_take(slow);
		error |= slow_settle();
	}
	slow->codes[2] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void who_finds_no_room_waits_and_nobody_overtakes(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, wait_in_line);
	assert_int_equal(slow.codes[0], 10);
	assert_int_equal(slow.codes[1], -EAGAIN);
	assert_int_equal(slow.codes[2], 0);
	assert_string_equal(slow.trail.text, "0123456789 | abcdefghij X Y ");
	slow_expect(&slow, "0123456789abcdefghijXY");
}

static int write_long(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "ab", 0);
	error |= slow_go(slow, "0123456789012345678901234567890123456789", 0);
	error |= slow_go(slow, "cd", 0);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	while (rota_output_pending(&slow->output)) {
		slow_take(slow);
		error |= slow_settle();
	}
	slow->codes[1] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_message_longer_than_the_memory_goes_in_parts_alone(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, write_long);
	assert_int_equal(slow.codes[0], 16);
	assert_int_equal(slow.codes[1], 0);
	slow_expect(&slow, "ab0123456789012345678901234567890123456789cd");
	assert_string_equal(slow.trail.text,
			    "ab 0123456789012345678901234567890123456789 cd ");
}

static int try(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0), *codes = slow->codes;
	struct rota_deadline deadline;

	codes[0] = rota_output_try_write(&slow->output, "0123456789", 10);
	codes[1] = rota_output_try_write(&slow->output, "abcdefg", 7);
	codes[2] = rota_output_try_write(&slow->output, "abcdef", 6);
	codes[3] = rota_output_try_write(&slow->output, "", 1);
	codes[4] = rota_output_try_write(&slow->output, "", 0);
	codes[5] = rota_output_try_write(&slow->output, slow->junk, 17);
	rota_deadline_begin(&deadline, 0);
	codes[6] = rota_output_try_write(&slow->output, "", 1);
	codes[7] = rota_output_write(&slow->output, "", 1);
	codes[8] = rota_output_flush(&slow->output);
	rota_deadline_end(&deadline);
	slow_take(slow);
	error |= rota_output_flush(&slow->output);
	codes[9] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void who_does_not_want_to_wait_is_told_why(void **state)
{
	static const int expected[] = {
		0, -EAGAIN, 0, -EAGAIN, 0, -EMSGSIZE, -ETIME, -ETIME, -ETIME, 0
	};
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, try);
	for (int i = 0; i < 10; i++)
		assert_int_equal(slow.codes[i], expected[i]);
	slow_expect(&slow, "0123456789abcdef");
}

static int give_up(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "0123456789", 0);
	error |= slow_go(slow, "abcdefghij", ROTA_SECOND);
	error |= slow_go(slow, "X", 0);
	error |= slow_go(slow, "0123456789012345678901234567890123456789",
			 ROTA_SECOND / 2);
	error |= slow_go(slow, "Y", 0);
	error |= rota_sleep(2 * ROTA_SECOND);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	error |= rota_output_flush(&slow->output);
	slow->codes[1] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void who_gives_up_has_written_nothing_and_lets_the_next_in(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, give_up);
	assert_int_equal(slow.codes[0], 12);
	assert_int_equal(slow.codes[1], 0);
	slow_expect(&slow, "0123456789XY");
	assert_string_equal(slow.trail.text,
			    "0123456789 "
			    "0123456789012345678901234567890123456789~ "
			    "abcdefghij~ X Y ");
}

static int flush_it(void *value)
{
	struct slow *slow = *(struct slow **)value;
	struct rota_deadline deadline;
	int code;

	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	code = rota_output_flush(&slow->output);
	rota_deadline_end(&deadline);
	slow_note(slow, "late", code);
	slow_note(slow, "flushed", rota_output_flush(&slow->output));
	return 0;
}

static int flush(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "0123456789", 0);
	error |= rota_go(&slow->group, flush_it, slow) | slow_settle();
	error |= slow_go(slow, "abcdef", 0);
	error |= rota_sleep(2 * ROTA_SECOND);
	test_trail_add(&slow->trail, "| ");
	slow_take(slow);
	error |= rota_output_flush(&slow->output);
	slow->codes[0] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_flush_waits_until_it_is_sent_and_can_be_given_up(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, flush);
	assert_string_equal(slow.trail.text,
			    "0123456789 abcdef late~ | flushed ");
	slow_expect(&slow, "0123456789abcdef");
	assert_int_equal(slow.codes[0], 0);
}

static int flush_once(void *value)
{
	struct slow *slow = *(struct slow **)value;

	slow_note(slow, "flushed", rota_output_flush(&slow->output));
	return 0;
}

static int flush_first(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= rota_output_write(&slow->output, "0123456789", 10);
	error |= rota_go(&slow->group, flush_once, slow) | slow_settle();
	/* It is in the kernel's hands already: this is sent by the next. */
	error |= rota_output_write(&slow->output, "abcdef", 6);
	test_kernel_hold(&slow->kernel, slow_hold_second, slow);
	slow_take(slow);
	while (!test_kernel_held(&slow->kernel))
		error |= slow_settle();
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	test_trail_add(&slow->trail, "| ");
	test_kernel_hold(&slow->kernel, slow_count, slow);
	test_kernel_release_all(&slow->kernel);
	slow->codes[1] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_flush_does_not_wait_for_what_is_written_later(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, flush_first);
	assert_string_equal(slow.trail.text, "flushed | ");
	assert_int_equal(slow.codes[0], 6);
	assert_int_equal(slow.codes[1], 0);
}

static int do_nothing(void *value)
{
	struct io_uring_sqe entry;

	(void)value;
	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

/* The ring has one entry, which is taken, and the kernel fetches none. */
static int be_refused_by_the_kernel(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open(slow, 0) | slow_settle();

	error |= rota_go(&slow->group, do_nothing, 0);
	rota_yield();
	test_kernel_fail(&slow->kernel,
			 &(struct test_fault){ .call = TEST_ENTER,
					       .times = 20,
					       .error = -EAGAIN });
	error |= rota_output_write(&slow->output, "hello", 5);
	error |= rota_output_flush(&slow->output);
	slow->codes[0] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void
a_kernel_that_takes_no_entries_for_a_while_ends_nothing(void **state)
{
	const struct rota_config config = { .entries = 1 };
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run_with(&slow, &config, be_refused_by_the_kernel);
	assert_int_equal(slow.codes[0], 0);
	slow_expect(&slow, "hello");
}

static int send_without_blocking(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= fcntl(slow->fd, F_SETFL, O_NONBLOCK);
	error |= rota_output_write(&slow->output, "hello", 5);
	error |= rota_sleep(ROTA_SECOND);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	slow->codes[1] = slow_close(slow);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_socket_that_does_not_block_is_waited_for_too(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, send_without_blocking);
	assert_int_equal(slow.codes[0], 5);
	assert_int_equal(slow.codes[1], 0);
	slow_expect(&slow, "hello");
}

static int sleep_a_while(void *value)
{
	return rota_sleep(*(int *)value);
}

static int be_limited(void *arg)
{
	struct slow *slow = arg;
	int error;

	slow->options.limit = 1;
	error = slow_open(slow, 0);
	slow->codes[0] = rota_try_go(&slow->group, sleep_a_while, 1);
	slow->codes[1] = rota_try_go(&slow->group, sleep_a_while, 1);
	slow->codes[2] = slow_close(slow);
	return error | slow_end(slow);
}

static void who_sends_takes_no_slot_of_the_group(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, be_limited);
	assert_int_equal(slow.codes[0], 0);
	assert_int_equal(slow.codes[1], -EAGAIN);
	assert_int_equal(slow.codes[2], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_sent_in_order_and_at_once),
		cmocka_unit_test(
			what_finds_the_memory_empty_is_sent_in_one_piece),
		cmocka_unit_test(who_finds_no_room_waits_and_nobody_overtakes),
		cmocka_unit_test(
			a_message_longer_than_the_memory_goes_in_parts_alone),
		cmocka_unit_test(who_does_not_want_to_wait_is_told_why),
		cmocka_unit_test(
			who_gives_up_has_written_nothing_and_lets_the_next_in),
		cmocka_unit_test(
			a_flush_waits_until_it_is_sent_and_can_be_given_up),
		cmocka_unit_test(
			a_flush_does_not_wait_for_what_is_written_later),
		cmocka_unit_test(
			a_kernel_that_takes_no_entries_for_a_while_ends_nothing),
		cmocka_unit_test(
			a_socket_that_does_not_block_is_waited_for_too),
		cmocka_unit_test(who_sends_takes_no_slot_of_the_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
