/* SPDX-License-Identifier: MIT */
/*
 * Outputs are opened and closed: a close sends what is left, or drops it and
 * tells; a broken promise ends the program.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/slow.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LONG "0123456789012345678901234567890123456789"

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

	error |= slow_wait_in_both_lines(slow);
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

	error |= slow_wait_in_both_lines(slow);
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
		cmocka_unit_test(what_cannot_be_opened_is_refused_and_not_open),
		cmocka_unit_test(broken_promises_about_it_end_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
