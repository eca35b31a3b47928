/* SPDX-License-Identifier: MIT */
/*
 * The buffered reader: what it reads from, how that ends, what it costs to
 * search, and broken promises.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/fed.h"
#include "support/pair.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void take_with_nothing(struct fed *fed)
{
	struct rota_reader *reader = &fed->reader;
	struct rota_span span;
	size_t done = 99;
	const int codes[] = {
		rota_reader_until(reader, NULL, &span),
		rota_reader_until(reader, "\n", NULL),
		rota_reader_line(reader, NULL),
		rota_reader_peek(reader, 1, NULL),
		rota_reader_exactly(reader, NULL, 1, &done),
		rota_reader_read(reader, NULL, 1),
		rota_reader_skip_until(reader, NULL, NULL),
	};

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		test_trail_add(&fed->trail, codes[i] == -EFAULT ? "f" : "?");
	test_trail_add(&fed->trail, done ? "?" : " ");
	/* Of these there may be nothing. */
	if (rota_reader_exactly(reader, NULL, 0, NULL) ||
	    rota_reader_skip(reader, 1, NULL))
		test_trail_add(&fed->trail, "?");
	fed_line(fed);
}

static void where_something_is_needed_nothing_is_efault(void **state)
{
	(void)state;
	FED(take_with_nothing, "fffffff [b] ", "ab\n");
}

/* The peer is gone, and did not read all that it got. */
static void take_until_reset(struct fed *fed)
{
	fed_line(fed);
	fed_line(fed);
	fed_ready(fed);
	fed_line(fed);
}

static int reset(void *arg)
{
	struct fed *fed = arg;
	int error = rota_write(fed->pair[0], "unread", 6) != 6;

	fed_init(fed);
	error |= rota_write(fed->pair[1], "a\nb", 3) != 3;
	error |= rota_close(fed->pair[1]);
	take_until_reset(fed);
	return error | rota_close(fed->pair[0]);
}

static void a_reset_is_told_after_what_came_before_it(void **state)
{
	struct fed fed = { .done = 0 };

	(void)state;
	assert_int_equal(test_pair_open(fed.pair), 0);
	assert_int_equal(test_run_timed(reset, &fed), 0);
	assert_string_equal(fed.trail.text, "[a] ECONNRESET (b) ENODATA ");
}

static void take_4_lines(struct fed *fed)
{
	for (int i = 0; i < 4; i++)
		fed_line(fed);
}

static void what_is_no_socket_is_read_the_same_way(void **state)
{
	static const char *const pieces[] = { "a", "b\nc", "\nde", NULL };
	struct fed fed = { .pieces = pieces, .body = take_4_lines };

	(void)state;
	assert_int_equal(pipe2(fed.pair, O_CLOEXEC), 0);
	assert_int_equal(test_run_timed(fed_play, &fed), 0);
	assert_string_equal(fed.trail.text, "[ab] [c] ENODATA ENODATA ");
}

static int read_file(void *arg)
{
	struct fed *fed = arg;

	fed_init(fed);
	fed_exactly(fed, 20);
	fed_line(fed);
	fed_line(fed);
	fed_line(fed);
	return rota_close(fed->pair[0]);
}

static void a_file_is_read_from_its_position_to_its_end(void **state)
{
	static const char text[] = "xx0123456789ABCDEFGHIJa\nb\n";
	struct fed fed = { .pair = { memfd_create("reader", MFD_CLOEXEC) } };

	(void)state;
	assert_true(fed.pair[0] >= 0);
	assert_int_equal(write(fed.pair[0], text, strlen(text)), strlen(text));
	assert_int_equal(lseek(fed.pair[0], 2, SEEK_SET), 2);
	assert_int_equal(test_run_timed(read_file, &fed), 0);
	assert_string_equal(fed.trail.text,
			    "[0123456789ABCDEFGHIJ] [a] [b] end ");
}

static int read_stream(void *arg)
{
	struct fed *fed = arg;
	struct rota_deadline deadline;
	struct rota_stream stream;
	struct rota_group group;
	int error = rota_receive_stream_open(&stream, fed->pair[0], NULL);

	if (error)
		return error;
	rota_reader_init_stream(&fed->reader, &stream, fed->memory, FED_BYTES);
	rota_group_open(&group, NULL);
	error = rota_go(&group, fed_feed, fed);
	fed_line(fed);
	rota_deadline_begin(&deadline, TEST_START_NS + 2);
	fed_line(fed);
	rota_deadline_end(&deadline);
	fed_line(fed);
	fed_exactly(fed, 2 * FED_BYTES);
	fed_line(fed);
	fed_line(fed);
	error |= rota_group_wait(&group);
	rota_stream_close(&stream);
	return error | rota_close(fed->pair[0]);
}

static void a_stream_is_read_as_a_descriptor_is(void **state)
{
	static const char *const pieces[] = { "a\nb", "",
					      "c\n01234567890123456789",
					      "012345678901x\n", NULL };
	struct fed fed = { .pieces = pieces };

	(void)state;
	assert_int_equal(test_pair_open(fed.pair), 0);
	assert_int_equal(test_run_timed(read_stream, &fed), 0);
	assert_string_equal(fed.trail.text,
			    "[a] ETIME [bc] [01234567890123456789012345678901] "
			    "[x] end ");
}

static int close_under_stream(void *arg)
{
	struct fed *fed = arg;
	struct rota_stream stream;
	int error = rota_receive_stream_open(&stream, fed->pair[0], NULL);

	if (error)
		return error;
	rota_reader_init_stream(&fed->reader, &stream, fed->memory, FED_BYTES);
	error |= rota_write(fed->pair[1], "a\nb", 3) != 3;
	error |= rota_sleep(1);
	error |= rota_close(fed->pair[0]);
	fed_line(fed);
	fed_line(fed);
	fed_ready(fed);
	fed_line(fed);
	rota_stream_close(&stream);
	return error | rota_close(fed->pair[1]);
}

static void a_stream_that_was_closed_meanwhile_is_read_to_there(void **state)
{
	struct fed fed = { .done = 0 };

	(void)state;
	assert_int_equal(test_pair_open(fed.pair), 0);
	assert_int_equal(test_run_timed(close_under_stream, &fed), 0);
	assert_string_equal(fed.trail.text, "[a] EBADF (b) EBADF ");
}

static int call_on_nothing(void *arg)
{
	struct fed *fed = arg;

	for (int fd = -1; fd < 1; fd++) {
		if (!fd) { /* one that is not open */
			fd = dup(STDERR_FILENO);
			close(fd);
		}
		rota_reader_init(&fed->reader, fd, fed->memory, 1);
		fed_line(fed);
		fed_exactly(fed, 2);
	}
	return 0;
}

static void what_cannot_be_read_says_so(void **state)
{
	struct fed fed = { .done = 0 };

	(void)state;
	assert_int_equal(test_run_timed(call_on_nothing, &fed), 0);
	assert_string_equal(fed.trail.text, "EBADF [] EBADF EBADF [] EBADF ");
}

/* A reader waits in the middle of a line; its descriptor is closed, just after
 * more has come, and the number is somebody else's when it goes on. */
struct closing {
	struct test_kernel kernel;
	struct fed fed;
	int other[2];
};

static int read_closed(void *value)
{
	struct fed *fed = *(struct fed **)value;

	fed_line(fed);
	fed_ready(fed);
	fed_line(fed);
	return 0;
}

static int close_under_it(void *arg)
{
	struct closing *closing = arg;
	struct fed *fed = &closing->fed;
	struct rota_group group;
	int opcode = IORING_OP_RECV, error = test_pair_open(fed->pair);
	const int fd = fed->pair[0];

	rota_reader_init(&fed->reader, fd, fed->memory, FED_BYTES);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, read_closed, fed) | rota_sleep(1);
	test_kernel_hold(&closing->kernel, test_hold_opcode, &opcode);
	error |= send(fed->pair[1], "ab", 2, 0) != 2;
	while (!test_kernel_held(&closing->kernel))
		error |= rota_sleep(1);
	error |= rota_close(fd) | test_pair_open(closing->other);
	error |= closing->other[0] != fd;
	error |= send(closing->other[1], "c\n", 2, 0) != 2;
	test_kernel_hold(&closing->kernel, NULL, NULL);
	test_kernel_release_all(&closing->kernel);
	error |= rota_group_wait(&group);
	error |= recv(fd, fed->buffer, 9, 0) != 2; /* still there */
	return error | rota_close(fed->pair[1]) |
	       test_pair_close(closing->other);
}

static void one_that_was_closed_meanwhile_is_not_touched_again(void **state)
{
	struct closing closing = { .other = { -1, -1 } };

	(void)state;
	assert_int_equal(test_run_timed_with(NULL, &closing.kernel,
					     close_under_it, &closing),
			 0);
	assert_string_equal(closing.fed.trail.text, "EBADF (ab) EBADF ");
}

/* Slow input is searched once: our memchr counts what it is given. */
static size_t examined;

void *memchr(const void *start, int byte, size_t bytes)
{
	const unsigned char *all = start;

	for (size_t i = 0; i < bytes; i++) {
		examined++;
		if (all[i] == (unsigned char)byte)
			return (void *)(uintptr_t)(all + i);
	}
	return NULL;
}

#define SLOW_BYTES 1000

static int dribble(void *value)
{
	struct fed *fed = *(struct fed **)value;
	int error = 0;

	for (int i = 0; !error && i < SLOW_BYTES; i++) {
		const char byte = i + 1 < SLOW_BYTES ? '\r' : '\n';

		error = rota_sleep(1);
		if (!error)
			error = rota_send_all(fed->pair[1], &byte, 1, NULL);
	}
	return error;
}

static int read_slowly(void *arg)
{
	static char memory[SLOW_BYTES];
	struct fed *fed = arg;
	struct rota_group group;
	struct rota_span span;
	int error = test_pair_open(fed->pair);

	rota_reader_init(&fed->reader, fed->pair[0], memory, SLOW_BYTES);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, dribble, fed);
	examined = 0;
	fed->done = (size_t)rota_reader_until(&fed->reader, "\r\r\n", &span);
	error |= rota_group_wait(&group);
	return error | test_pair_close(fed->pair);
}

static void slow_input_is_looked_at_once(void **state)
{
	struct fed fed = { .done = 0 };

	(void)state;
	assert_int_equal(test_run_timed(read_slowly, &fed), 0);
	assert_int_equal(fed.done, SLOW_BYTES);
	assert_in_range(examined, 1, SLOW_BYTES);
}

/* It is said to be longer than it is. */
static void look_far_ahead(struct fed *fed)
{
	rota_reader_init(&fed->reader, fed->pair[0], fed->memory, SIZE_MAX / 4);
	fed_peek(fed, (size_t)INT_MAX + 1);
	fed_line(fed);
	fed_init(fed);
	fed_exactly(fed, SIZE_MAX);
}

static void
of_any_length_no_more_than_int_max_bytes_are_used_at_once(void **state)
{
	(void)state;
	FED(look_far_ahead, "EMSGSIZE [ab] [cd] ENODATA ", "ab\n", "cd");
}

static int init_without_memory(void *arg)
{
	struct rota_reader reader;

	(void)arg;
	rota_reader_init(&reader, 0, NULL, 1);
	return 0;
}

static int init_with_0_bytes(void *arg)
{
	struct rota_reader reader;
	char memory;

	(void)arg;
	rota_reader_init(&reader, 0, &memory, 0);
	return 0;
}

static int read_outside(void *arg)
{
	struct rota_reader reader;
	struct rota_span span;
	char memory;

	(void)arg;
	rota_reader_init(&reader, 0, &memory, 1);
	return rota_reader_until(&reader, "", &span);
}

static int read_into_itself(void *arg)
{
	struct rota_reader reader;
	char both[8];

	(void)arg;
	rota_reader_init(&reader, 0, both, 5);
	return rota_reader_exactly(&reader, both + 4, 2, NULL);
}

static int read_over_itself(void *arg)
{
	struct rota_reader reader;
	char both[8];

	(void)arg;
	rota_reader_init(&reader, 0, both + 4, 4);
	return rota_reader_read(&reader, both + 1, 4);
}

static int read_too(void *value)
{
	struct rota_span span;

	return rota_reader_line(*(struct rota_reader **)value, &span);
}

static int read_by_two(void *arg)
{
	struct rota_reader reader;
	struct rota_group group;
	char memory[4];
	int pair[2], error = test_pair_open(pair);

	(void)arg;
	rota_reader_init(&reader, pair[0], memory, 4);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 2; i++)
		error |= rota_go(&group, read_too, &reader);
	return rota_group_wait(&group) | error;
}

static void broken_promises_end_the_program(void **state)
{
	(void)state;
	test_expect_abort(init_without_memory,
			  "rota_reader_init: there is no memory");
	test_expect_abort(init_with_0_bytes, "there are 0 bytes of memory");
	test_expect_abort_outside(read_outside, "rota_reader_until is called");
	test_expect_abort(read_into_itself,
			  "rota_reader_exactly: the buffer overlaps");
	test_expect_abort(read_over_itself,
			  "rota_reader_read: the buffer overlaps");
	test_expect_abort(read_by_two,
			  "rota_reader_line: another task waits in this");
}

/* Up to its edges a buffer is no overlap. */
static void take_beside(struct fed *fed)
{
	memset(fed->before, 0, sizeof(fed->before));
	if (rota_reader_read(&fed->reader, fed->before, FED_BYTES) == 1)
		test_trail_add(&fed->trail, fed->before);
	memset(fed->after, 0, sizeof(fed->after));
	if (rota_reader_read(&fed->reader, fed->after, FED_BYTES) == 1)
		test_trail_add(&fed->trail, fed->after);
	if (rota_reader_read(&fed->reader, fed->memory, 0))
		test_trail_add(&fed->trail, "?");
}

static void a_buffer_beside_the_memory_does_not_overlap_it(void **state)
{
	(void)state;
	FED(take_beside, "xy", "x", "y");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_something_is_needed_nothing_is_efault),
		cmocka_unit_test(a_reset_is_told_after_what_came_before_it),
		cmocka_unit_test(what_is_no_socket_is_read_the_same_way),
		cmocka_unit_test(a_file_is_read_from_its_position_to_its_end),
		cmocka_unit_test(a_stream_is_read_as_a_descriptor_is),
		cmocka_unit_test(
			a_stream_that_was_closed_meanwhile_is_read_to_there),
		cmocka_unit_test(what_cannot_be_read_says_so),
		cmocka_unit_test(
			one_that_was_closed_meanwhile_is_not_touched_again),
		cmocka_unit_test(slow_input_is_looked_at_once),
		cmocka_unit_test(
			of_any_length_no_more_than_int_max_bytes_are_used_at_once),
		cmocka_unit_test(broken_promises_end_the_program),
		cmocka_unit_test(
			a_buffer_beside_the_memory_does_not_overlap_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
