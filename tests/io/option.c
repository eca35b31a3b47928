/* SPDX-License-Identifier: MIT */
/*
 * What a socket is told and asked without waiting: options, bind, listen.
 */
#include "rota/rota.h"
#include "support/run.h"

#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	int codes[12];
	int value;
	socklen_t bytes;
	struct timeval time;
};

static int set_and_get(void *arg)
{
	struct stage *stage = arg;
	const struct timeval time = { .tv_sec = 7 };
	struct rota_deadline deadline;
	const int fd = rota_socket(AF_INET, SOCK_STREAM, 0), on = 1;
	socklen_t bytes = sizeof(stage->time);

	/* Also in a task that is cancelled. */
	rota_deadline_begin(&deadline, 0);
	stage->bytes = sizeof(int);
	stage->codes[0] =
		rota_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	stage->codes[1] = rota_getsockopt(fd, IPPROTO_TCP, TCP_NODELAY,
					  &stage->value, &stage->bytes);
	stage->codes[2] = rota_setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time,
					  sizeof(time));
	stage->codes[3] = rota_getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO,
					  &stage->time, &bytes);
	rota_deadline_end(&deadline);
	return rota_close(fd);
}

static void an_option_of_any_size_is_set_and_read(void **state)
{
	struct stage stage = { .value = 0 };

	(void)state;
	assert_int_equal(test_run(set_and_get, &stage), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], 0);
	assert_int_not_equal(stage.value, 0);
	assert_int_equal(stage.bytes, sizeof(int));
	assert_int_equal(stage.time.tv_sec, 7);
}

static int use_wrongly(void *arg)
{
	struct stage *stage = arg;
	const int fd = rota_socket(AF_INET, SOCK_STREAM, 0);
	int *codes = stage->codes, value = 0;
	socklen_t bytes = sizeof(value);

	codes[0] = rota_setsockopt(fd, SOL_SOCKET, 9999, &value, bytes);
	codes[1] = rota_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, NULL, bytes);
	codes[2] = rota_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, 0);
	codes[3] = rota_getsockopt(fd, SOL_SOCKET, 9999, &value, &bytes);
	codes[4] = rota_getsockopt(fd, SOL_SOCKET, SO_ERROR, &value, NULL);
	codes[5] = rota_getsockopt(fd, SOL_SOCKET, SO_ERROR, NULL, &bytes);
	codes[6] = rota_bind(fd, NULL, 16);
	codes[7] = rota_setsockopt(STDIN_FILENO, SOL_SOCKET, SO_RCVBUF, &value,
				   bytes);
	rota_close(fd);
	codes[8] = rota_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, bytes);
	codes[9] = rota_getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, &bytes);
	codes[10] = rota_bind(fd, NULL, 0);
	codes[11] = rota_listen_on(fd, 1);
	return fd < 0 ? fd : 0;
}

static void what_the_system_call_refuses_is_told(void **state)
{
	static const int expected[] = { -ENOPROTOOPT, -EFAULT,   -EINVAL,
					-ENOPROTOOPT, -EFAULT,   -EFAULT,
					-EFAULT,      -ENOTSOCK, -EBADF,
					-EBADF,       -EBADF,    -EBADF };
	struct stage stage = { .value = 0 };

	(void)state;
	assert_int_equal(test_run(use_wrongly, &stage), 0);
	for (int i = 0; i < 12; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

/* A listener by hand. */
static int listen_by_hand(void *arg)
{
	struct stage *stage = arg;
	struct rota_address address, from;
	struct rota_deadline deadline;
	const int fd = rota_socket(AF_INET, SOCK_STREAM, 0);
	int error = rota_address_parse(&address, "127.0.0.1", 0), client, got;
	char name[64], peer[64];

	rota_deadline_begin(&deadline, 0);
	stage->codes[0] = rota_bind(fd, &address.any, address.bytes);
	stage->codes[1] = rota_listen_on(fd, 5);
	rota_deadline_end(&deadline);
	error |= rota_local_address(fd, &address);
	client = rota_dial("127.0.0.1", ntohs(address.v4.sin_port));
	got = rota_accept_from(fd, &from);
	error |= rota_local_address(client, &address);
	error |= rota_address_print(&address, name, sizeof(name)) < 0;
	error |= rota_address_print(&from, peer, sizeof(peer)) < 0;
	stage->codes[2] = strcmp(name, peer);
	return error | rota_close(fd) | rota_close(client) | rota_close(got);
}

static void a_listener_is_made_step_by_step_and_tells_who_came(void **state)
{
	struct stage stage = { .codes = { 1, 1, 1 } };

	(void)state;
	assert_int_equal(test_run(listen_by_hand, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.codes[i], 0);
}

struct ends {
	struct rota_address dialled, local, peer;
	struct rota_address none[3]; /* of calls that failed */
	int codes[3];
	int refused[3];
};

static int look_at_ends(void *arg)
{
	struct ends *ends = arg;
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	int fd, error = rota_local_address(listener, &ends->dialled);

	ends->codes[0] = rota_peer_address(listener, &ends->peer);
	fd = rota_dial("127.0.0.1", ntohs(ends->dialled.v4.sin_port));
	ends->codes[1] = rota_local_address(fd, &ends->local);
	ends->codes[2] = rota_peer_address(fd, &ends->peer);
	memset(ends->none, 0xff, sizeof(ends->none));
	ends->refused[0] = rota_local_address(-1, &ends->none[0]);
	ends->refused[1] = rota_peer_address(-1, &ends->none[1]);
	ends->refused[2] = rota_accept_from(-1, &ends->none[2]);
	return error | rota_close(fd) | rota_close(listener);
}

static void both_ends_of_a_connection_have_an_address(void **state)
{
	struct ends ends = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run(look_at_ends, &ends), 0);
	assert_int_equal(ends.codes[0], -ENOTCONN);
	assert_int_equal(ends.codes[1], 0);
	assert_int_equal(ends.codes[2], 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(ends.refused[i], -EBADF);
		assert_int_equal(ends.none[i].bytes, 0);
	}
	assert_int_not_equal(ends.dialled.v4.sin_port, 0);
	assert_int_not_equal(ends.local.v4.sin_port, 0);
	assert_int_not_equal(ends.local.v4.sin_port, ends.peer.v4.sin_port);
	assert_int_equal(ends.peer.v4.sin_port, ends.dialled.v4.sin_port);
	assert_int_equal(ends.peer.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_option_of_any_size_is_set_and_read),
		cmocka_unit_test(what_the_system_call_refuses_is_told),
		cmocka_unit_test(both_ends_of_a_connection_have_an_address),
		cmocka_unit_test(
			a_listener_is_made_step_by_step_and_tells_who_came),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
