/* SPDX-License-Identifier: MIT */
/*
 * How outputs end: by a peer that takes nothing, by what the kernel says, by a
 * message that is cut short, by a close; and what a broken promise says.
 */
#include "rota/rota.h"
#include "support/broken.h"
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

/* Fills the memory; one waits for room, another until it is sent. */
static int wait_in_both_lines(struct slow *slow)
{
	int error = slow_go(slow, "0123456789", 0);

	error |= slow_go(slow, "abcdefghij", 0);
	error |= rota_go(&slow->group, flush_it, slow);
	return error | slow_settle();
}

static int never_read(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 5 * ROTA_SECOND);

	error |= wait_in_both_lines(slow);
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

	error |= wait_in_both_lines(slow);
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

	error |= wait_in_both_lines(slow);
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

/* Reads when the close has long begun. */
static int read_late(void *value)
{
	struct slow *slow = *(struct slow **)value;
	int error = rota_sleep(ROTA_SECOND);

	slow->codes[0] = rota_output_write(&slow->output, "Z", 1);
	slow->codes[1] = rota_output_try_write(&slow->output, "Z", 1);
	slow_take(slow);
	slow->codes[2] = rota_output_flush(&slow->output);
	slow_take(slow);
	return error;
}

static int close_with_waiters(void *arg)
{
	struct slow *slow = arg;
	int error = slow_open_full(slow, 0);

	error |= wait_in_both_lines(slow);
	error |= slow_go(slow, LONG, 0);
	error |= rota_go(&slow->group, read_late, slow);
	test_trail_add(&slow->trail, "| ");
	slow_note(slow, "closed", slow_close(slow));
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_close_serves_those_who_wait_and_sends_all(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, close_with_waiters);
	assert_int_equal(slow.codes[0], -EPIPE);
	assert_int_equal(slow.codes[1], -EPIPE);
	assert_int_equal(slow.codes[2], 0);
	assert_string_equal(slow.trail.text,
			    "0123456789 | abcdefghij flush " LONG " closed ");
	slow_expect(&slow, "0123456789abcdefghij" LONG);
	assert_int_equal(slow.outcome, 0);
}

static int close_late(void *arg)
{
	struct slow *slow = arg;
	struct rota_deadline deadline;
	int error = slow_open_full(slow, 0);

	error |= wait_in_both_lines(slow);
	rota_deadline_begin(&deadline, rota_after_ns(slow->codes[9]));
	slow_note(slow, "closed", slow_close(slow));
	rota_deadline_end(&deadline);
	slow->codes[0] = (int)rota_output_pending(&slow->output);
	/* What was dropped is never sent, and the memory is ours. */
	memset(slow->memory, '#', sizeof(slow->memory));
	slow_take(slow);
	error |= slow_settle();
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_close_that_is_stopped_drops_what_is_left_and_tells(void **state)
{
	(void)state;
	/* At once, and after a while. */
	for (int wait_ns = 0; wait_ns < 2000; wait_ns += 1000) {
		struct slow slow = { .codes = { [9] = wait_ns } };

		slow_run(&slow, close_late);
		assert_int_equal(slow.codes[0], 10);
		assert_string_equal(slow.trail.text,
				    "0123456789 abcdefghij? flush? closed~ ");
		slow_expect(&slow, "");
		assert_int_equal(slow.outcome, 0);
	}
}

static int flush_stubbornly(void *value)
{
	struct slow *slow = *(struct slow **)value;

	/* While it is closed, and when the sender has ended already. */
	for (int i = 0; i < 2; i++)
		slow_note(slow, "flush", rota_output_flush(&slow->output));
	return 0;
}

static int flush_while_closed(void *arg)
{
	struct slow *slow = arg;
	struct rota_deadline deadline;
	int error = slow_open_full(slow, 0);

	error |= slow_go(slow, "0123456789", 0);
	error |= rota_go(&slow->group, flush_stubbornly, slow);
	error |= slow_settle();
	rota_deadline_begin(&deadline, 0);
	slow_note(slow, "closed", slow_close(slow));
	rota_deadline_end(&deadline);
	return error | slow_end(slow);
}

static void nobody_waits_for_what_is_dropped(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, flush_while_closed);
	assert_string_equal(slow.trail.text,
			    "0123456789 flush? flush? closed~ ");
}

static int wait_for_a_byte(void *value)
{
	struct slow *slow = *(struct slow **)value;
	char byte;

	slow->codes[1] = rota_recv(slow->fd, &byte, 1, 0);
	return 0;
}

/* The sender has ended, and its record is somebody else's, who waits. */
static int close_when_ended(void *arg)
{
	struct slow *slow = arg;
	struct rota_deadline deadline;
	int error = slow_open(slow, 0) | slow_settle();

	error |= shutdown(slow->fd, SHUT_WR);
	error |= rota_output_write(&slow->output, "hello", 5);
	slow->codes[0] = rota_output_flush(&slow->output);
	error |= rota_go(&slow->group, wait_for_a_byte, slow) | slow_settle();
	rota_deadline_begin(&deadline, 0);
	slow->codes[2] = slow_close(slow);
	rota_deadline_end(&deadline);
	error |= slow_settle();
	slow->codes[3] = slow->codes[1];
	error |= send(slow->peer, "x", 1, 0) != 1;
	return error | slow_end(slow);
}

static void a_close_of_what_has_ended_ends_nobody_elses_wait(void **state)
{
	static const int expected[] = { -EPIPE, 1, -EPIPE, 0 };
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, close_when_ended);
	for (int i = 0; i < 4; i++)
		assert_int_equal(slow.codes[i], expected[i]);
}

/* The kernel has taken all, and has not said so yet. */
static int end_in_time(void *value)
{
	struct slow *slow = *(struct slow **)value;
	const int error = rota_sleep(ROTA_SECOND);

	test_kernel_hold(&slow->kernel, slow_count, slow);
	test_kernel_release_all(&slow->kernel);
	return error;
}

static int close_late_but_sent(void *arg)
{
	struct slow *slow = arg;
	struct rota_deadline deadline;
	int error = slow_open(slow, 0);

	slow->sends = 1;
	test_kernel_hold(&slow->kernel, slow_hold_second, slow);
	error |= rota_output_write(&slow->output, "hello", 5);
	error |= slow_settle();
	error |= rota_go(&slow->group, end_in_time, slow);
	rota_deadline_begin(&deadline, 0);
	slow->codes[0] = slow_close(slow);
	rota_deadline_end(&deadline);
	slow->codes[1] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_close_waits_for_what_the_kernel_has_and_believes_it(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, close_late_but_sent);
	assert_int_equal(slow.codes[0], 0);
	assert_int_equal(slow.codes[1], 0);
	slow_expect(&slow, "hello");
}

static int close_unstarted(void *arg)
{
	struct slow *slow = arg;
	struct rota_deadline deadline;
	int error = slow_open(slow, 0);

	error |= rota_output_write(&slow->output, "hello", 5);
	rota_deadline_begin(&deadline, 0);
	slow->codes[0] = slow_close(slow);
	rota_deadline_end(&deadline);
	slow->codes[1] = (int)rota_output_pending(&slow->output);
	slow_take(slow);
	return error | slow_end(slow);
}

static void a_close_before_anything_was_sent_sends_nothing(void **state)
{
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, close_unstarted);
	assert_int_equal(slow.codes[0], -ETIME);
	assert_int_equal(slow.codes[1], 5);
	assert_int_equal(slow.sends, 0);
	slow_expect(&slow, "");
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

static int open_badly(void *arg)
{
	struct slow *slow = arg;
	struct rota_output *output = &slow->output;
	struct rota_output_options options = { .memory = slow->memory,
					       .bytes = 1 };
	struct rota_deadline deadline;
	int *codes = slow->codes, error = slow_open(slow, 0) | slow_close(slow);

	codes[0] = rota_output_open(output, slow->fd, &options);
	options.group = &slow->group;
	options.bytes = 0;
	codes[1] = rota_output_open(output, slow->fd, &options);
	options.bytes = 1;
	options.write_ns = -1;
	codes[2] = rota_output_open(output, slow->fd, &options);
	options.write_ns = 0;
	options.memory = NULL;
	codes[3] = rota_output_open(output, slow->fd, &options);
	options.memory = slow->memory;
	rota_deadline_begin(&deadline, 0);
	codes[4] = rota_output_open(output, slow->fd, &options);
	rota_deadline_end(&deadline);
	/* That of a bad descriptor is told when it is used. */
	codes[5] = rota_output_open(output, -1, &options);
	error |= rota_output_write(output, "x", 1);
	codes[6] = rota_output_flush(output);
	codes[7] = slow_close(slow);
	rota_group_cancel(&slow->group, (struct rota_cancellation){ 0 });
	codes[8] = rota_output_open(output, slow->fd, &options);
	return error | slow_end(slow);
}

static void what_cannot_be_opened_is_refused_and_not_open(void **state)
{
	static const int expected[] = { -EINVAL, -EINVAL, -EINVAL,
					-EINVAL, -ETIME,  0,
					-EBADF,  -EBADF,  -ECANCELED };
	struct slow slow = { .got_count = 0 };

	(void)state;
	slow_run(&slow, open_badly);
	for (int i = 0; i < 9; i++)
		assert_int_equal(slow.codes[i], expected[i]);
}

static struct rota_group group;
static unsigned char memory[16];

static int open_any(struct rota_output *output)
{
	const struct rota_output_options options = { .group = &group,
						     .memory = memory,
						     .bytes = 16 };
	rota_group_open(&group, NULL);
	TEST_NEXT_LINE();
	return rota_output_open(output, 2, &options);
}

static int leave_open(void *arg)
{
	struct rota_output output;

	(void)arg;
	return open_any(&output);
}

static int wait_before_close(void *arg)
{
	struct rota_output output;

	(void)arg;
	if (open_any(&output))
		return 0;
	return rota_group_wait(&group);
}

static int close_twice(void *arg)
{
	struct rota_output output;

	(void)arg;
	if (open_any(&output) || rota_output_close(&output))
		return 0;
	return rota_output_close(&output);
}

static int close_anothers(void *value)
{
	return rota_output_close(*(struct rota_output **)value);
}

static int let_another_close(void *arg)
{
	struct rota_output output;

	(void)arg;
	if (open_any(&output) || rota_go(&group, close_anothers, &output))
		return 0;
	return rota_yield();
}

static int write_after_close(void *arg)
{
	struct rota_output output;

	(void)arg;
	rota_group_open(&group, NULL);
	if (rota_output_open(&output, 2,
			     &(struct rota_output_options){ &group, memory, 16,
							    0 }) ||
	    rota_output_close(&output))
		return 0;
	return rota_output_write(&output, "x", 1);
}

static int write_outside(void *arg)
{
	struct rota_output output = { .fd = -1 };

	(void)arg;
	return rota_output_write(&output, "x", 1);
}

static void broken_promises_about_it_end_the_program(void **state)
{
	(void)state;
	test_expect_abort(leave_open, "the output opened here is still open");
	test_expect_abort(wait_before_close,
			  "the output opened here is still open");
	test_expect_abort(close_twice,
			  "the output opened here has ended already");
	test_expect_abort(let_another_close,
			  "the output opened here is another task's");
	test_expect_abort(write_after_close, "for an output that is not open");
	test_expect_abort_outside(write_outside, "outside of a task");
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
		cmocka_unit_test(a_close_serves_those_who_wait_and_sends_all),
		cmocka_unit_test(
			a_close_that_is_stopped_drops_what_is_left_and_tells),
		cmocka_unit_test(nobody_waits_for_what_is_dropped),
		cmocka_unit_test(
			a_close_of_what_has_ended_ends_nobody_elses_wait),
		cmocka_unit_test(
			a_close_waits_for_what_the_kernel_has_and_believes_it),
		cmocka_unit_test(
			a_close_before_anything_was_sent_sends_nothing),
		cmocka_unit_test(
			in_a_cancelled_group_a_goodbye_can_be_sent_in_a_shield),
		cmocka_unit_test(its_end_is_a_failure_of_the_group),
		cmocka_unit_test(what_cannot_be_opened_is_refused_and_not_open),
		cmocka_unit_test(broken_promises_about_it_end_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
