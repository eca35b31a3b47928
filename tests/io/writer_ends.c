/* SPDX-License-Identifier: MIT */
/*
 * The buffered writer: peers that are slow, descriptors of all kinds and how
 * they end, broken promises.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/pair.h"
#include "support/timed.h"
#include "support/written.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)4 << 20)

static char large[LARGE];

/* Reads all that comes, in the end's own time. */
struct sink {
	int fd;
	size_t bytes;     /* that came */
	uint32_t sum;     /* over all of them */
	int64_t pause_ns; /* before each receive */
};

static uint32_t add(uint32_t sum, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		sum = sum * 31 + (unsigned char)data[i];
	return sum;
}

static int take_all(void *value)
{
	struct sink *sink = *(struct sink **)value;
	static char buffer[65536];
	int n;

	do {
		n = rota_sleep(sink->pause_ns);
		if (!n)
			n = rota_read(sink->fd, buffer, sizeof(buffer));
		if (n > 0) {
			sink->sum = add(sink->sum, buffer, (size_t)n);
			sink->bytes += (size_t)n;
		}
	} while (n > 0);
	return n;
}

static int write_large(struct written *written)
{
	struct sink sink = { .fd = written->pair[1] };
	struct rota_group group;
	int error;

	for (size_t i = 0; i < LARGE; i++)
		large[i] = (char)(i ^ i >> 8);
	rota_group_open(&group, NULL);
	error = rota_go(&group, take_all, &sink);
	written_put(written, "ab");
	written_note(written,
		     rota_writer_write(&written->writer, large, LARGE));
	written_unsent(written);
	written_put(written, "c");
	written_flush(written);
	error |= rota_shutdown(written->pair[0], SHUT_WR);
	error |= rota_group_wait(&group);
	error |= sink.bytes != LARGE + 3;
	error |= sink.sum != add(add(add(0, "ab", 2), large, LARGE), "c", 1);
	return error | (rota_writer_sent(&written->writer) != LARGE + 3);
}

static void what_the_peer_has_no_room_for_yet_goes_out_in_steps(void **state)
{
	(void)state;
	written_run(write_large, "..()..");
}

/* The peer reads nothing until the writer has given up. */
static int write_until_late(struct written *written)
{
	struct sink sink = { .fd = written->pair[1] };
	struct rota_deadline deadline;
	uint64_t sent;
	int error;

	written_put(written, "ab");
	rota_deadline_begin(&deadline, TEST_START_NS + 9);
	written_note(written,
		     rota_writer_write(&written->writer, large, LARGE));
	rota_deadline_end(&deadline);
	written_flush(written);
	written_unsent(written);
	sent = rota_writer_sent(&written->writer);
	error = rota_shutdown(written->pair[0], SHUT_WR);
	error |= take_all(&(struct sink *){ &sink });
	error |= sent < 2 || sent >= LARGE || sink.bytes != sent;
	return error | (sink.sum != add(add(0, "ab", 2), large, sent - 2));
}

static void who_is_late_is_told_how_much_went_out(void **state)
{
	(void)state;
	written_run(write_until_late, ".ETIMEETIME()");
}

/* The pair has no room. */
static int flush_until_late(struct written *written)
{
	struct rota_deadline deadline;

	while (send(written->pair[0], large, 4096, MSG_DONTWAIT) > 0)
		;
	written_put(written, "abc");
	rota_deadline_begin(&deadline, TEST_START_NS + 9);
	written_put(written, "0123456789ABCDEF");
	rota_deadline_end(&deadline);
	written_unsent(written);
	return rota_writer_sent(&written->writer) != 0;
}

static void what_is_unsent_after_an_error_stands_there(void **state)
{
	(void)state;
	written_run(flush_until_late, ".ETIME(abc)");
}

/* The kernel says that it took one byte, or none, though it took all. */
static void shorten(struct test_kernel *kernel, void *context)
{
	struct written *written = context;

	while (test_kernel_held(kernel)) {
		test_kernel_held_at(kernel, 0)->res = written->ops++ < 3;
		test_kernel_release(kernel, 0);
	}
}

static bool hold_sends(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_SEND ||
	       arrival->opcode == IORING_OP_SENDMSG;
}

static int send_shortened(struct written *written)
{
	test_kernel_hold(&written->kernel, hold_sends, NULL);
	written->kernel.on_idle = shorten;
	written->kernel.idle_context = written;
	written_put(written, "ab");
	written_put(written, "0123456789ABCDEF");
	written_unsent(written);
	written_got(written);
	return rota_writer_sent(&written->writer) != 3;
}

static void
a_send_of_nothing_is_eio_and_short_ones_are_gone_on_with(void **state)
{
	(void)state;
	written_run(send_shortened, ".EIO()[ab0123456789ABCDEF"
				    "b0123456789ABCDEF"
				    "0123456789ABCDEF"
				    "123456789ABCDEF]");
}

static int write_to_pipe(struct written *written)
{
	int pipe[2], error = test_pair_close(written->pair);

	error |= pipe2(pipe, O_CLOEXEC);
	written->pair[0] = pipe[1];
	written->pair[1] = pipe[0];
	written_init(written);
	written_put(written, "ab");
	written_flush(written);
	written_got(written);
	written_put(written, "c");
	written_put(written, "0123456789ABCDEF");
	written_got(written);
	error |= rota_close(pipe[0]);
	written_put(written, "d");
	written_flush(written);
	error |= rota_close(pipe[1]);
	return error | test_pair_open(written->pair);
}

static void what_is_no_socket_is_written_the_same_way(void **state)
{
	(void)state;
	written_run(write_to_pipe, "..[ab]..[c0123456789ABCDEF].EPIPE");
}

static int write_to_file(struct written *written)
{
	const int fd = memfd_create("writer", MFD_CLOEXEC);
	char text[32] = "";
	int error;

	rota_writer_init(&written->writer, fd, written->memory, WRITTEN_BYTES);
	for (int i = 0; i < 10; i++)
		written_note(written,
			     rota_writer_print(&written->writer, "%d,", i));
	written_flush(written);
	error = pread(fd, text, 31, 0) != 20;
	test_trail_add(&written->trail, text);
	return error | rota_close(fd);
}

static void a_file_is_written_from_its_position_on(void **state)
{
	(void)state;
	written_run(write_to_file, "...........0,1,2,3,4,5,6,7,8,9,");
}

/* /dev/null looks at no byte of it. */
static int write_huge(struct written *written)
{
	const int null = rota_open("/dev/null", O_WRONLY, 0);
	const size_t bytes = (size_t)INT_MAX + LARGE;
	void *huge = mmap(NULL, bytes, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (huge == MAP_FAILED)
		return -errno;
	rota_writer_init(&written->writer, null, written->memory,
			 WRITTEN_BYTES);
	written_note(written, rota_writer_write(&written->writer, huge, bytes));
	munmap(huge, bytes);
	return rota_close(null) | (rota_writer_sent(&written->writer) != bytes);
}

static void any_length_is_written(void **state)
{
	(void)state;
	written_run(write_huge, ".");
}

/* A writer waits for room; its descriptor is closed, just after it has sent
 * some, and the number is somebody else's when it goes on. */
static int flush_closed(void *value)
{
	struct written *written = *(struct written **)value;

	written_note(written,
		     rota_writer_write(&written->writer, large, LARGE));
	written_flush(written);
	return 0;
}

static int close_under_it(struct written *written)
{
	const int fd = written->pair[0], peer = written->pair[1];
	struct rota_group group;
	int other[2], error = 0;

	test_kernel_hold(&written->kernel, hold_sends, NULL);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, flush_closed, written);
	while (!test_kernel_held(&written->kernel))
		error |= rota_sleep(1);
	error |= rota_close(fd) | test_pair_open(other);
	error |= other[0] != fd;
	test_kernel_hold(&written->kernel, NULL, NULL);
	test_kernel_release_all(&written->kernel);
	error |= rota_group_wait(&group);
	error |= recv(other[1], large, 1, MSG_DONTWAIT) >= 0;
	error |= rota_close(peer);
	written->pair[0] = other[0];
	written->pair[1] = other[1];
	return error | !rota_writer_sent(&written->writer);
}

static void one_that_was_closed_meanwhile_is_not_touched_again(void **state)
{
	(void)state;
	written_run(close_under_it, "EBADFEBADF");
}

static int init_without_memory(void *arg)
{
	struct rota_writer writer;

	(void)arg;
	rota_writer_init(&writer, 0, NULL, 1);
	return 0;
}

static int init_with_0_bytes(void *arg)
{
	struct rota_writer writer;
	char memory;

	(void)arg;
	rota_writer_init(&writer, 0, &memory, 0);
	return 0;
}

static int write_outside(void *arg)
{
	struct rota_writer writer;
	char memory;

	(void)arg;
	rota_writer_init(&writer, 0, &memory, 1);
	return rota_writer_print(&writer, "%s", "");
}

static int write_itself(void *arg)
{
	struct rota_writer writer;
	char memory[8] = "abcdefg";

	(void)arg;
	rota_writer_init(&writer, 0, memory, 5);
	return rota_writer_write(&writer, memory + 4, 1);
}

static int write_too(void *value)
{
	struct rota_writer *writer = *(struct rota_writer **)value;

	return rota_writer_write(writer, large, LARGE);
}

static int write_by_two(void *arg)
{
	struct rota_writer writer;
	struct rota_group group;
	char memory[4];
	int pair[2], error = test_pair_open(pair);

	(void)arg;
	rota_writer_init(&writer, pair[0], memory, 4);
	rota_group_open(&group, NULL);
	for (int i = 0; i < 2; i++)
		error |= rota_go(&group, write_too, &writer);
	return rota_group_wait(&group) | error;
}

static void broken_promises_end_the_program(void **state)
{
	(void)state;
	test_expect_abort(init_without_memory,
			  "rota_writer_init: there is no memory");
	test_expect_abort(init_with_0_bytes, "there are 0 bytes of memory");
	test_expect_abort_outside(write_outside, "rota_writer_print is called");
	test_expect_abort(write_itself,
			  "rota_writer_write: the bytes are inside");
	test_expect_abort(write_by_two,
			  "rota_writer_write: another task waits in this");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_the_peer_has_no_room_for_yet_goes_out_in_steps),
		cmocka_unit_test(who_is_late_is_told_how_much_went_out),
		cmocka_unit_test(what_is_unsent_after_an_error_stands_there),
		cmocka_unit_test(
			a_send_of_nothing_is_eio_and_short_ones_are_gone_on_with),
		cmocka_unit_test(what_is_no_socket_is_written_the_same_way),
		cmocka_unit_test(a_file_is_written_from_its_position_on),
		cmocka_unit_test(any_length_is_written),
		cmocka_unit_test(
			one_that_was_closed_meanwhile_is_not_touched_again),
		cmocka_unit_test(broken_promises_end_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
