/* SPDX-License-Identifier: MIT */
/*
 * Accept streams while there is no descriptor left, which is the limit of this
 * process, lowered for a while. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/accepts.h"
#include "support/clean.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static struct rlimit usual; /* of descriptors */
static int spare;           /* a descriptor */

/* Not one more descriptor can be opened from now on. */
static void starve(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &usual);
	limit = usual;
	limit.rlim_cur = (rlim_t)clean_lowest_descriptor();
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void feed(void)
{
	setrlimit(RLIMIT_NOFILE, &usual);
}

/* Three that have come, and no descriptor for them. */
static int begin_poor(struct accepts *seen)
{
	int error = callers_open(&seen->callers);

	error |= callers_come(&seen->callers, 3);
	spare = dup(seen->callers.listener);
	starve();
	rota_group_open(&seen->group, NULL);
	error |=
		rota_go(&seen->group, accepts_until_told, seen) | test_settle();
	return error;
}

static int end_poor(struct accepts *seen)
{
	feed();
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->codes[7] = rota_group_wait(&seen->group);
	callers_close(&seen->callers);
	return 0;
}

static int wait_in_poverty(void *arg)
{
	struct accepts *seen = arg;
	int error = begin_poor(seen);

	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(95 * ROTA_MILLISECOND);
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER] - seen->codes[2];
	seen->codes[3] = (int)seen->callers.taken;
	/* One is closed: the next one has its number, and is closed again
	 * behind the loop's back. */
	error |= rota_close(spare) | test_settle();
	seen->codes[4] = (int)seen->callers.taken;
	error |= rota_sleep(25 * ROTA_MILLISECOND);
	seen->codes[5] = (int)seen->callers.taken;
	return error | end_poor(seen);
}

static void without_a_descriptor_it_looks_again_every_10_ms(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(wait_in_poverty, &seen);
	assert_int_equal(seen.codes[3], 0);
	assert_in_range(seen.codes[2], 9, 50);
	assert_in_range(seen.codes[4], 1, 3);
	assert_int_equal(seen.codes[5], 3);
	assert_string_equal(seen.callers.order, "abc");
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.log.lines, 1);
	assert_true(test_log_has(&seen.log, "no descriptor left (EMFILE"));
}

static int cancel_in_poverty(void *arg)
{
	struct accepts *seen = arg;
	int error = begin_poor(seen);

	error |= rota_sleep(15 * ROTA_MILLISECOND) | end_poor(seen);
	return error | rota_close(spare);
}

static void waiting_for_a_descriptor_can_be_cancelled(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(cancel_in_poverty, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 15 * ROTA_MILLISECOND + 3);
	assert_int_equal(seen.codes[7], -ECANCELED);
}

static int close_in_poverty(void *arg)
{
	struct accepts *seen = arg;
	int error = begin_poor(seen);

	error |= rota_sleep(15 * ROTA_MILLISECOND);
	error |= accepts_close_listener(seen) | rota_close(spare);
	return error | test_settle() | end_poor(seen);
}

static void a_listener_closed_while_it_starves_is_ebadf(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(close_in_poverty, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
	assert_in_range(seen.times_ns[0], 15 * ROTA_MILLISECOND,
			15 * ROTA_MILLISECOND + 6);
}

/* Nobody waits for it. */
static int starve_alone(struct accepts *seen, bool closes)
{
	int error = callers_open(&seen->callers);

	error |= callers_come(&seen->callers, 3);
	error |= rota_accept_stream_open(&seen->stream, seen->callers.listener,
					 NULL);
	starve();
	error |= test_settle();
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(ROTA_SECOND);
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER] - seen->codes[2];
	seen->codes[3] = rota_stream_ready(&seen->stream);
	feed();
	if (closes)
		error |= accepts_close_listener(seen);
	for (int i = 0; !seen->codes[0]; i++)
		seen->codes[0] = i < 3 ? accepts_take(seen) : -EAGAIN;
	seen->times_ns[0] = test_now_ns();
	return error | accepts_close(seen);
}

static int starve_open(void *arg)
{
	return starve_alone(arg, false);
}

static int starve_closed(void *arg)
{
	return starve_alone(arg, true);
}

static void while_nobody_asks_it_does_not_look_again(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(starve_open, &seen);
	assert_in_range(seen.codes[2], 0, 5);
	assert_int_equal(seen.codes[3], true);
	assert_string_equal(seen.callers.order, "abc");
}

static void closed_before_anybody_asks_it_is_ebadf_at_once(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(starve_closed, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_in_range(seen.times_ns[0], ROTA_SECOND, ROTA_SECOND + 6);
	assert_int_equal(seen.log.lines, 0);
}

/* The kernel had none when it was asked, but says so behind the close. */
static int starve_behind_close(void *arg)
{
	struct accepts *seen = arg;
	int error = accepts_open(seen) | test_settle();

	accepts_hold(seen);
	error |= callers_come(&seen->callers, 1) | test_settle();
	seen->refusal = -EMFILE;
	seen->refusals = 1;
	error |= accepts_close_listener(seen);
	accepts_refuse_held(&seen->kernel, seen);
	error |= test_settle();
	seen->codes[0] = accepts_take(seen);
	seen->codes[1] = accepts_take(seen);
	seen->times_ns[0] = test_now_ns();
	test_kernel_hold(&seen->kernel, NULL, NULL);
	test_kernel_release_all(&seen->kernel);
	return error | accepts_close(seen);
}

static void what_the_kernel_says_behind_a_close_is_not_told(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(starve_behind_close, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
	assert_in_range(seen.times_ns[0], 0, 20);
	assert_int_equal(seen.log.lines, 0);
}

/* Who serves the stream: it says what it is told. */
static int serve(struct rota_stream *stream, void *arg)
{
	struct accepts *seen = arg;
	const int fd = rota_stream_accept(stream);

	if (fd >= 0)
		return callers_take(&seen->callers, fd);
	seen->codes[0] = fd;
	seen->codes[1] = rota_cancelled();
	seen->times_ns[0] = test_now_ns();
	rota_stream_close(stream);
	return 0;
}

static int drain_in_poverty(void *arg)
{
	struct accepts *seen = arg;
	int error = accepts_open(seen);

	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->stream, serve, seen);
	error |= callers_come(&seen->callers, 1);
	starve();
	error |= rota_sleep(25 * ROTA_MILLISECOND);
	rota_group_drain(&seen->group, ROTA_SECOND);
	error |= rota_group_wait(&seen->group);
	feed();
	callers_close(&seen->callers);
	return error;
}

static void to_wait_for_a_descriptor_is_to_be_idle_too(void **state)
{
	struct accepts seen = { .done = false };

	(void)state;
	accepts_run(drain_in_poverty, &seen);
	assert_int_equal(seen.codes[0], -ESHUTDOWN);
	assert_int_equal(seen.codes[1], 0);
	assert_int_equal(seen.times_ns[0], 25 * ROTA_MILLISECOND);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			without_a_descriptor_it_looks_again_every_10_ms),
		cmocka_unit_test(waiting_for_a_descriptor_can_be_cancelled),
		cmocka_unit_test(a_listener_closed_while_it_starves_is_ebadf),
		cmocka_unit_test(while_nobody_asks_it_does_not_look_again),
		cmocka_unit_test(
			closed_before_anybody_asks_it_is_ebadf_at_once),
		cmocka_unit_test(
			what_the_kernel_says_behind_a_close_is_not_told),
		cmocka_unit_test(to_wait_for_a_descriptor_is_to_be_idle_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
