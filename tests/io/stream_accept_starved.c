/* SPDX-License-Identifier: MIT */
/*
 * Accept streams while there is no descriptor left, which is the limit of this
 * process, lowered for a while. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/callers.h"
#include "support/clean.h"
#include "support/log.h"
#include "support/process.h"
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

struct seen {
	struct test_kernel kernel;
	struct test_log log;
	struct rota_group group;
	struct callers callers;
	struct rota_stream stream;
	struct rlimit limit; /* of descriptors, as it was */
	int spare;           /* a descriptor */
	int refusal;         /* what accepts say in place of their result */
	unsigned refusals;   /* how many do */
	bool waits;          /* the member is about to accept */
	bool done;           /* ... and has */
	int codes[8];
	int64_t times_ns[4];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &seen->log };
	const unsigned before = test_process_descriptors();

	assert_int_equal(test_run_timed_with(&config, &seen->kernel, fn, seen),
			 0);
	assert_int_equal(test_process_descriptors(), before);
}

static int settle(void)
{
	return rota_sleep(1) | rota_sleep(1) | rota_sleep(1);
}

static bool hold_accepts(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_ACCEPT;
}

/* Instead of connections: those are closed, and the clients gone. */
static void refuse_held(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *arrival = test_kernel_held_at(kernel, 0);

		if (seen->refusals && arrival->res >= 0) {
			seen->refusals--;
			close(arrival->res);
			arrival->res = seen->refusal;
		}
		test_kernel_release(kernel, 0);
	}
}

static int open_stream(struct seen *seen)
{
	const int error = callers_open(&seen->callers);

	return error ? error
		     : rota_accept_stream_open(&seen->stream,
					       seen->callers.listener, NULL);
}

static int take(struct seen *seen)
{
	return callers_take(&seen->callers, rota_stream_accept(&seen->stream));
}

static int close_stream(struct seen *seen)
{
	rota_stream_close(&seen->stream);
	callers_close(&seen->callers);
	return 0;
}

static int accept_until_told(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error = rota_accept_stream_open(&seen->stream,
					    seen->callers.listener, NULL);

	if (error)
		return error;
	do {
		seen->waits = true;
		seen->codes[0] = take(seen);
	} while (!seen->codes[0]);
	seen->times_ns[0] = test_now_ns();
	seen->codes[1] = take(seen);
	seen->done = true;
	rota_stream_close(&seen->stream);
	return 0;
}

static int close_listener(struct seen *seen)
{
	const int fd = seen->callers.listener;

	seen->callers.listener = -1;
	return rota_close(fd);
}

/* Not one more descriptor can be opened from now on. */
static void starve(struct seen *seen)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &seen->limit);
	limit = seen->limit;
	limit.rlim_cur = (rlim_t)clean_lowest_descriptor();
	setrlimit(RLIMIT_NOFILE, &limit);
}

static void feed(const struct seen *seen)
{
	setrlimit(RLIMIT_NOFILE, &seen->limit);
}

/* Three that have come, and no descriptor for them. */
static int begin_poor(struct seen *seen)
{
	int error = callers_open(&seen->callers);

	error |= callers_come(&seen->callers, 3);
	seen->spare = dup(seen->callers.listener);
	starve(seen);
	rota_group_open(&seen->group, NULL);
	error |= rota_go(&seen->group, accept_until_told, seen) | settle();
	return error;
}

static int end_poor(struct seen *seen)
{
	feed(seen);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->codes[7] = rota_group_wait(&seen->group);
	callers_close(&seen->callers);
	return 0;
}

static int wait_in_poverty(void *arg)
{
	struct seen *seen = arg;
	int error = begin_poor(seen);

	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(95 * ROTA_MILLISECOND);
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER] - seen->codes[2];
	seen->codes[3] = (int)seen->callers.taken;
	/* One is closed: the next one has its number, and is closed again
	 * behind the loop's back. */
	error |= rota_close(seen->spare) | settle();
	seen->codes[4] = (int)seen->callers.taken;
	error |= rota_sleep(25 * ROTA_MILLISECOND);
	seen->codes[5] = (int)seen->callers.taken;
	return error | end_poor(seen);
}

static void without_a_descriptor_it_looks_again_every_10_ms(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(wait_in_poverty, &seen);
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
	struct seen *seen = arg;
	int error = begin_poor(seen);

	error |= rota_sleep(15 * ROTA_MILLISECOND) | end_poor(seen);
	return error | rota_close(seen->spare);
}

static void waiting_for_a_descriptor_can_be_cancelled(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(cancel_in_poverty, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.times_ns[0], 15 * ROTA_MILLISECOND + 3);
	assert_int_equal(seen.codes[7], -ECANCELED);
}

static int close_in_poverty(void *arg)
{
	struct seen *seen = arg;
	int error = begin_poor(seen);

	error |= rota_sleep(15 * ROTA_MILLISECOND);
	error |= close_listener(seen) | rota_close(seen->spare);
	return error | settle() | end_poor(seen);
}

static void a_listener_closed_while_it_starves_is_ebadf(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(close_in_poverty, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
	assert_in_range(seen.times_ns[0], 15 * ROTA_MILLISECOND,
			15 * ROTA_MILLISECOND + 6);
}

/* Nobody waits for it. */
static int starve_alone(void *arg)
{
	struct seen *seen = arg;
	int error = callers_open(&seen->callers);

	error |= callers_come(&seen->callers, 3);
	error |= rota_accept_stream_open(&seen->stream, seen->callers.listener,
					 NULL);
	starve(seen);
	error |= settle();
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER];
	error |= rota_sleep(ROTA_SECOND);
	seen->codes[2] = (int)seen->kernel.calls[TEST_ENTER] - seen->codes[2];
	seen->codes[3] = rota_stream_ready(&seen->stream);
	feed(seen);
	if (seen->spare)
		error |= close_listener(seen);
	for (int i = 0; !seen->codes[0]; i++)
		seen->codes[0] = i < 3 ? take(seen) : -EAGAIN;
	seen->times_ns[0] = test_now_ns();
	return error | close_stream(seen);
}

static void while_nobody_asks_it_does_not_look_again(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(starve_alone, &seen);
	assert_in_range(seen.codes[2], 0, 5);
	assert_int_equal(seen.codes[3], true);
	assert_string_equal(seen.callers.order, "abc");
}

static void closed_before_anybody_asks_it_is_ebadf_at_once(void **state)
{
	struct seen seen = { .spare = 1 };

	(void)state;
	run(starve_alone, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_in_range(seen.times_ns[0], ROTA_SECOND, ROTA_SECOND + 6);
	assert_int_equal(seen.log.lines, 0);
}

/* The kernel had none when it was asked, but says so behind the close. */
static int starve_behind_close(void *arg)
{
	struct seen *seen = arg;
	int error = open_stream(seen) | settle();

	test_kernel_hold(&seen->kernel, hold_accepts, NULL);
	error |= callers_come(&seen->callers, 1) | settle();
	seen->refusal = -EMFILE;
	seen->refusals = 1;
	error |= close_listener(seen);
	refuse_held(&seen->kernel, seen);
	error |= settle();
	seen->codes[0] = take(seen);
	seen->codes[1] = take(seen);
	seen->times_ns[0] = test_now_ns();
	test_kernel_hold(&seen->kernel, NULL, NULL);
	test_kernel_release_all(&seen->kernel);
	return error | close_stream(seen);
}

static void what_the_kernel_says_behind_a_close_is_not_told(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(starve_behind_close, &seen);
	assert_int_equal(seen.codes[0], -EBADF);
	assert_int_equal(seen.codes[1], -EBADF);
	assert_in_range(seen.times_ns[0], 0, 20);
	assert_int_equal(seen.log.lines, 0);
}

/* Who serves the stream: it says what it is told. */
static int serve(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
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
	struct seen *seen = arg;
	int error = open_stream(seen);

	rota_group_open(&seen->group, NULL);
	error |= rota_stream_serve(&seen->group, &seen->stream, serve, seen);
	error |= callers_come(&seen->callers, 1);
	starve(seen);
	error |= rota_sleep(25 * ROTA_MILLISECOND);
	rota_group_drain(&seen->group, ROTA_SECOND);
	error |= rota_group_wait(&seen->group);
	feed(seen);
	callers_close(&seen->callers);
	return error;
}

static void to_wait_for_a_descriptor_is_to_be_idle_too(void **state)
{
	struct seen seen = { .done = false };

	(void)state;
	run(drain_in_poverty, &seen);
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
