/* SPDX-License-Identifier: MIT */
/*
 * Sockets that are connected: send, receive, send all of it, poll, shut down.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/pair.h"
#include "support/run.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)8 << 20)

struct stage {
	struct rota_group group;
	int pair[2];
	int codes[8];
	char bytes[64];
	size_t done;
	size_t got;
};

/* A connected pair over TCP: [0] accepted, [1] dialled. */
static int open_tcp_pair(struct stage *stage)
{
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	struct rota_address address;

	if (listener < 0 || rota_local_address(listener, &address))
		return -EPROTO;
	stage->pair[1] = rota_dial("127.0.0.1", ntohs(address.v4.sin_port));
	stage->pair[0] = rota_accept(listener);
	rota_close(listener);
	return stage->pair[0] < 0 || stage->pair[1] < 0 ? -EPROTO : 0;
}

static int send_and_receive(void *arg)
{
	struct stage *stage = arg;
	int error = test_pair_open(stage->pair);

	stage->codes[0] = rota_send(stage->pair[1], "hello", 5, 0);
	stage->codes[1] = rota_recv(stage->pair[0], stage->bytes, 2, MSG_PEEK);
	stage->codes[2] = rota_recv(stage->pair[0], stage->bytes, 64, 0);
	stage->codes[3] = rota_shutdown(stage->pair[1], SHUT_WR);
	stage->codes[4] = rota_recv(stage->pair[0], stage->bytes + 32, 32, 0);
	/* Half-closed: the other way is still open. */
	stage->codes[5] = rota_send(stage->pair[0], "back", 4, 0);
	stage->codes[6] = rota_recv(stage->pair[1], stage->bytes + 32, 32, 0);
	stage->codes[7] = rota_send(stage->pair[1], "x", 1, 0);
	return error | test_pair_close(stage->pair);
}

static void what_is_sent_is_received_also_half_closed(void **state)
{
	static const int expected[] = { 5, 2, 5, 0, 0, 4, 4, -EPIPE };
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(send_and_receive, &stage), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.bytes, "hello", 5);
	assert_memory_equal(stage.bytes + 32, "back", 4);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	char byte = 0;
	int error = test_pair_open(stage->pair);

	stage->codes[0] =
		rota_recv(stage->pair[0], &byte, (size_t)INT_MAX + 1, 0);
	stage->codes[1] = rota_send(stage->pair[0], &byte, SIZE_MAX, 0);
	error |= test_pair_close(stage->pair);
	stage->codes[2] = rota_recv(stage->pair[0], &byte, 1, 0);
	stage->codes[3] = rota_send(stage->pair[0], &byte, 1, 0);
	stage->codes[4] = rota_shutdown(stage->pair[0], SHUT_RD);
	stage->codes[5] = rota_poll(stage->pair[0], POLLIN);
	stage->codes[6] = rota_send_all(-1, &byte, 1, &stage->done);
	stage->codes[7] = rota_socket(-1, SOCK_STREAM, 0);
	return error;
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = {
		-EINVAL, -EINVAL, -EBADF, -EBADF,
		-EBADF,  -EBADF,  -EBADF, -EAFNOSUPPORT
	};
	struct stage stage = { .done = 99 };

	(void)state;
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_int_equal(stage.done, 0);
}

static int wait_for_byte(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->codes[0] = rota_recv(stage->pair[0], stage->bytes, 64, 0);
	return 0;
}

static int send_later(void *arg)
{
	struct stage *stage = arg;
	int error = test_pair_open(stage->pair);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, wait_for_byte, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_send(stage->pair[1], "late", 4, 0) != 4;
	error |= rota_group_wait(&stage->group);
	return error | test_pair_close(stage->pair);
}

static void a_receive_waits_for_bytes(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(send_later, &stage), 0);
	assert_int_equal(stage.codes[0], 4);
	assert_memory_equal(stage.bytes, "late", 4);
}

static int shut_down_later(void *arg)
{
	struct stage *stage = arg;
	int error = test_pair_open(stage->pair);

	stage->codes[0] = -1;
	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, wait_for_byte, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_shutdown(stage->pair[0], SHUT_RDWR);
	error |= rota_group_wait(&stage->group);
	return error | test_pair_close(stage->pair);
}

static void a_shutdown_ends_the_receives_of_others(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(shut_down_later, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
}

/* Takes everything that comes, in pieces. */
static int drain(void *value)
{
	struct stage *stage = *(struct stage **)value;
	static char bytes[50000];
	int n;

	while ((n = rota_recv(stage->pair[0], bytes, sizeof(bytes), 0)) > 0)
		for (int i = 0; i < n; i++)
			if (bytes[i] != (char)(stage->got++ % 251))
				return -EBADMSG;
	return n;
}

static char *large_text(void)
{
	char *text = malloc(LARGE);

	for (size_t i = 0; text && i < LARGE; i++)
		text[i] = (char)(i % 251);
	return text;
}

static int send_large(void *arg)
{
	struct stage *stage = arg;
	char *text = large_text();
	int error = open_tcp_pair(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, drain, stage);
	stage->codes[0] =
		rota_send_all(stage->pair[1], text, LARGE, &stage->done);
	error |= rota_shutdown(stage->pair[1], SHUT_WR);
	error |= rota_group_wait(&stage->group);
	free(text);
	return error | test_pair_close(stage->pair);
}

static void send_all_sends_all_in_as_many_sends_as_it_takes(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(send_large, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.done, LARGE);
	assert_int_equal(stage.got, LARGE);
}

/* The kernel seems to take one byte of each send, and of the fourth none. */
struct short_sends {
	struct stage stage;
	struct test_kernel kernel;
	unsigned sends;
};

static bool hold_sends(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_SEND;
}

static void shorten(struct test_kernel *kernel, void *context)
{
	struct short_sends *sends = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *arrival = test_kernel_held_at(kernel, 0);

		sends->sends++;
		arrival->res = sends->sends == 4 ? 0 : 1;
		test_kernel_release(kernel, 0);
	}
}

static int send_shortened(void *arg)
{
	struct short_sends *sends = arg;
	struct stage *stage = &sends->stage;
	int error = test_pair_open(stage->pair);

	stage->codes[0] = rota_send_all(stage->pair[1], "abc", 3, &stage->done);
	stage->codes[1] = rota_send_all(stage->pair[1], "def", 3, &stage->done);
	stage->codes[2] = rota_send_all(stage->pair[1], "", 0, NULL);
	return error | test_pair_close(stage->pair);
}

static void a_send_that_takes_nothing_ends_send_all(void **state)
{
	struct short_sends sends = { .sends = 0 };

	(void)state;
	test_kernel_init(&sends.kernel);
	test_kernel_hold(&sends.kernel, hold_sends, NULL);
	sends.kernel.on_idle = shorten;
	sends.kernel.idle_context = &sends;
	assert_int_equal(test_run_with(NULL, &sends.kernel.table,
				       send_shortened, &sends),
			 0);
	assert_int_equal(sends.stage.codes[0], 0);
	assert_int_equal(sends.stage.codes[1], -EIO);
	assert_int_equal(sends.stage.done, 0);
	assert_int_equal(sends.stage.codes[2], 0);
	assert_int_equal(sends.sends, 4);
}

static int reset_peer(void *value)
{
	struct stage *stage = *(struct stage **)value;
	const struct linger now = { .l_onoff = 1 };

	while (stage->got < 100000) {
		const int n = rota_recv(stage->pair[0], stage->bytes,
					sizeof(stage->bytes), 0);

		if (n <= 0)
			return -EPROTO;
		stage->got += (size_t)n;
	}
	setsockopt(stage->pair[0], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	return rota_close(stage->pair[0]);
}

static int send_to_resetting(void *arg)
{
	struct stage *stage = arg;
	char *text = large_text();
	int error = open_tcp_pair(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, reset_peer, stage);
	stage->codes[0] =
		rota_send_all(stage->pair[1], text, LARGE, &stage->done);
	stage->codes[1] = rota_recv(stage->pair[1], stage->bytes, 1, 0);
	error |= rota_group_wait(&stage->group);
	free(text);
	return error | rota_close(stage->pair[1]);
}

static void send_all_to_a_peer_that_resets_tells_how_far_it_came(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(send_to_resetting, &stage), 0);
	assert_true(stage.codes[0] == -ECONNRESET || stage.codes[0] == -EPIPE);
	assert_true(stage.done >= 100000 && stage.done < LARGE);
}

static int send_to_deaf(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	char *text = large_text();
	const int small = 65536;
	int error = open_tcp_pair(stage);

	setsockopt(stage->pair[0], SOL_SOCKET, SO_RCVBUF, &small, sizeof(int));
	setsockopt(stage->pair[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(int));
	rota_deadline_begin(&deadline, rota_after_ns(20 * ROTA_MILLISECOND));
	stage->codes[0] =
		rota_send_all(stage->pair[1], text, LARGE, &stage->done);
	stage->codes[1] = rota_deadline_end(&deadline);
	free(text);
	error |= rota_shutdown(stage->pair[1], SHUT_WR);
	/* Every byte that it counts has gone out, and no more. */
	error |= drain(&stage);
	return error | test_pair_close(stage->pair);
}

static void
send_all_to_a_peer_that_never_reads_ends_at_the_deadline(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(send_to_deaf, &stage), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], true);
	assert_true(stage.done > 0 && stage.done < LARGE);
	assert_int_equal(stage.got, stage.done);
}

static int poll_pair(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = test_pair_open(stage->pair);

	stage->codes[0] = rota_poll(stage->pair[0], POLLIN | POLLOUT);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_MILLISECOND));
	stage->codes[1] = rota_poll(stage->pair[0], POLLIN);
	rota_deadline_end(&deadline);
	error |= rota_send(stage->pair[1], "x", 1, 0) != 1;
	stage->codes[2] = rota_poll(stage->pair[0], POLLIN);
	error |= rota_close(stage->pair[1]);
	stage->codes[3] = rota_poll(stage->pair[0], 0);
	return error | rota_close(stage->pair[0]);
}

static void poll_returns_the_events_that_came(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(poll_pair, &stage), 0);
	assert_int_equal(stage.codes[0], POLLOUT);
	assert_int_equal(stage.codes[1], -ETIME);
	assert_int_equal(stage.codes[2], POLLIN);
	assert_int_equal(stage.codes[3], POLLHUP | POLLRDHUP);
}

static int make_socket(void *arg)
{
	struct stage *stage = arg;
	const int fd = rota_socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0)
		return fd;
	stage->codes[0] = fcntl(fd, F_GETFD);
	stage->codes[1] = rota_shutdown(fd, SHUT_RD);
	return rota_close(fd);
}

static void sockets_are_close_on_exec(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(make_socket, &stage), 0);
	assert_int_equal(stage.codes[0], FD_CLOEXEC);
	assert_int_equal(stage.codes[1], -ENOTCONN);
}

static int receive_late(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = test_pair_open(stage->pair);

	rota_deadline_begin(&deadline, rota_after_ns(ROTA_MILLISECOND));
	stage->codes[0] = rota_recv(stage->pair[0], stage->bytes, 64, 0);
	stage->codes[1] = rota_deadline_end(&deadline);
	error |= rota_send(stage->pair[1], "kept", 4, 0) != 4;
	stage->codes[2] = rota_recv(stage->pair[0], stage->bytes, 64, 0);
	return error | test_pair_close(stage->pair);
}

static void a_receive_that_was_late_has_taken_no_byte(void **state)
{
	struct stage stage = { .done = 0 };

	(void)state;
	assert_int_equal(test_run(receive_late, &stage), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], true);
	assert_int_equal(stage.codes[2], 4);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_sent_is_received_also_half_closed),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(a_receive_waits_for_bytes),
		cmocka_unit_test(a_shutdown_ends_the_receives_of_others),
		cmocka_unit_test(
			send_all_sends_all_in_as_many_sends_as_it_takes),
		cmocka_unit_test(a_send_that_takes_nothing_ends_send_all),
		cmocka_unit_test(
			send_all_to_a_peer_that_resets_tells_how_far_it_came),
		cmocka_unit_test(
			send_all_to_a_peer_that_never_reads_ends_at_the_deadline),
		cmocka_unit_test(poll_returns_the_events_that_came),
		cmocka_unit_test(sockets_are_close_on_exec),
		cmocka_unit_test(a_receive_that_was_late_has_taken_no_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
