/* SPDX-License-Identifier: MIT */
/*
 * Datagrams: who sent one, where one goes, and sockets for them.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/kernel.h"
#include "support/process.h"
#include "support/run.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	struct test_kernel kernel;
	const char *addresses[2];     /* of the asker and of who answers */
	struct rota_address peer;     /* where the question came from */
	struct rota_address names[2]; /* of the two sockets */
	int codes[8];
	char bytes[16];
};

/* A socket with a port of the kernel's choice, and what that is. */
static int open_one(const char *address, struct rota_address *name)
{
	const int fd = rota_listen_datagram(address, 0, NULL);

	if (fd < 0)
		return fd;
	name->bytes = sizeof(name->storage);
	return getsockname(fd, &name->any, &name->bytes) ? -errno : fd;
}

static int ask_and_answer(void *arg)
{
	struct stage *stage = arg;
	const int asker = open_one(stage->addresses[0], &stage->names[0]);
	const int other = open_one(stage->addresses[1], &stage->names[1]);
	int *codes = stage->codes;

	if (asker < 0 || other < 0)
		return asker < 0 ? asker : other;
	codes[0] = fcntl(asker, F_GETFD);
	codes[1] = rota_sendto(asker, "ask", 3, 0, &stage->names[1]);
	codes[2] = rota_recvfrom(other, stage->bytes, 16, 0, &stage->peer);
	codes[3] = rota_sendto(other, "answer", 6, 0, &stage->peer);
	codes[4] = rota_recvfrom(asker, stage->bytes, 16, 0, NULL);
	codes[5] = rota_sendto(other, "", 0, 0, &stage->peer);
	codes[6] = rota_recvfrom(asker, stage->bytes + 8, 8, 0, NULL);
	return rota_close(asker) | rota_close(other);
}

static void expect_answer(const char *asker, const char *other)
{
	static const int expected[] = { FD_CLOEXEC, 3, 3, 6, 6, 0, 0 };
	const unsigned before = test_process_descriptors();
	struct stage stage = { .addresses = { asker, other } };
	const int error = test_run(ask_and_answer, &stage);

	if (error)
		print_error("%s: %d\n", asker, error);
	assert_int_equal(error, 0);
	for (int i = 0; i < 7; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.bytes, "answer", 6);
	assert_int_equal(stage.peer.bytes, stage.names[0].bytes);
	assert_memory_equal(&stage.peer.any, &stage.names[0].any,
			    stage.peer.bytes);
	assert_int_equal(test_process_descriptors(), before);
}

static void an_answer_goes_where_the_question_came_from(void **state)
{
	char paths[4][64];

	(void)state;
	expect_answer("127.0.0.1", "127.0.0.1");
	for (int i = 0; i < 2; i++) {
		snprintf(paths[i], sizeof(paths[i]), "unix:/tmp/rota-dg-%d-%d",
			 i, (int)getpid());
		snprintf(paths[2 + i], sizeof(paths[i]), "unix:@rota-dg-%d-%d",
			 i, (int)getpid());
		unlink(paths[i] + 5);
	}
	expect_answer(paths[0], paths[1]);
	unlink(paths[0] + 5);
	unlink(paths[1] + 5);
	expect_answer(paths[2], paths[3]);
}

static void an_answer_over_ipv6(void **state)
{
	const int fd = socket(AF_INET6, SOCK_DGRAM, 0);
	struct rota_address address;
	bool here;

	(void)state;
	assert_int_equal(rota_address_parse(&address, "::1", 0), 0);
	here = fd >= 0 && !bind(fd, &address.any, address.bytes);
	close(fd);
	if (!here)
		test_skip("no IPv6 here");
	expect_answer("::1", "[::1]");
}

static int dial_one(void *arg)
{
	struct stage *stage = arg;
	const int server = open_one("127.0.0.1", &stage->names[0]);
	const int client = rota_dial_datagram(
		"127.0.0.1", ntohs(stage->names[0].v4.sin_port));
	int *codes = stage->codes;

	if (server < 0 || client < 0)
		return server < 0 ? server : client;
	codes[0] = rota_send(client, "one", 3, 0);
	codes[1] = rota_recvfrom(server, stage->bytes, 16, 0, &stage->peer);
	codes[2] = rota_sendto(client, "two", 3, 0, NULL);
	codes[3] = rota_recvfrom(server, stage->bytes, 2, MSG_TRUNC, NULL);
	codes[4] = rota_sendto(server, "three", 5, 0, &stage->peer);
	codes[5] = rota_recv(client, stage->bytes, 16, 0);
	codes[6] = rota_sendto(server, "x", 1, 0, NULL);
	codes[7] = rota_close(server);
	return rota_close(client);
}

static void a_socket_that_is_dialled_sends_and_receives(void **state)
{
	static const int expected[] = { 3, 3, 3, 3, 5, 5, -EDESTADDRREQ, 0 };
	struct stage stage = { .addresses = { NULL } };

	(void)state;
	assert_int_equal(test_run(dial_one, &stage), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_memory_equal(stage.bytes, "three", 5);
}

static int refuse(void *arg)
{
	static const char much[65536];
	struct stage *stage = arg;
	struct rota_address *name = &stage->names[0];
	const int fd = open_one("127.0.0.1", name);
	struct rota_deadline deadline;
	int *codes = stage->codes;

	stage->peer.bytes = 99;
	codes[0] = rota_sendto(fd, much, (size_t)INT_MAX + 1, 0, name);
	codes[1] = rota_recvfrom(fd, stage->bytes, SIZE_MAX, 0, NULL);
	codes[2] = rota_sendto(fd, much, sizeof(much), 0, name);
	codes[3] = rota_sendto(fd, NULL, 1, 0, name);
	rota_deadline_begin(&deadline, 0);
	codes[4] = rota_sendto(fd, "x", 1, 0, name);
	codes[5] = rota_recvfrom(fd, stage->bytes, 1, 0, &stage->peer);
	rota_deadline_end(&deadline);
	rota_close(fd);
	codes[6] = rota_sendto(fd, "x", 1, 0, name);
	codes[7] = rota_recvfrom(fd, stage->bytes, 1, 0, NULL);
	return fd < 0 ? fd : 0;
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = { -EINVAL, -EINVAL, -EMSGSIZE, -EFAULT,
					-ETIME,  -ETIME,  -EBADF,    -EBADF };
	struct stage stage = { .addresses = { NULL } };

	(void)state;
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 8; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_int_equal(stage.peer.bytes, 0);
}

static int open_wrongly(void *arg)
{
	const struct rota_listen_options share = { .reuse_port = true };
	struct stage *stage = arg;
	int *codes = stage->codes, pair[2];
	uint16_t port;

	codes[0] = rota_listen_datagram("localhost", 0, NULL);
	codes[1] = rota_dial_datagram(NULL, 0);
	codes[2] = rota_listen_datagram("192.0.2.1", 0, NULL);
	codes[3] = rota_dial_datagram("unix:/nowhere/at/all", 0);
	pair[0] = rota_listen_datagram("127.0.0.1", 0, &share);
	stage->names[0].bytes = sizeof(stage->names[0].storage);
	if (getsockname(pair[0], &stage->names[0].any, &stage->names[0].bytes))
		return -errno;
	port = ntohs(stage->names[0].v4.sin_port);
	codes[4] = rota_listen_datagram("127.0.0.1", port, NULL);
	pair[1] = rota_listen_datagram("127.0.0.1", port, &share);
	test_kernel_fail(&stage->kernel,
			 &(struct test_fault){ .call = TEST_BIND,
					       .error = -EXDEV });
	codes[5] = rota_listen_datagram("127.0.0.1", 0, NULL);
	return rota_close(pair[0]) | rota_close(pair[1]);
}

static void an_address_that_cannot_be_had_leaves_nothing_open(void **state)
{
	static const int expected[] = { -EINVAL, -EINVAL,     -EADDRNOTAVAIL,
					-ENOENT, -EADDRINUSE, -EXDEV };
	const unsigned before = test_process_descriptors();
	struct stage stage = { .addresses = { NULL } };

	(void)state;
	test_kernel_init(&stage.kernel);
	assert_int_equal(test_run_with(NULL, &stage.kernel.table, open_wrongly,
				       &stage),
			 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_int_equal(test_process_descriptors(), before);
}

static int open_datagrams(struct race *race)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	race->fd = pair[0];
	race->peer = pair[1];
	return 0;
}

static int fill_datagrams(struct race *race)
{
	const int error = open_datagrams(race);

	while (send(race->fd, "x", 1, MSG_DONTWAIT) == 1)
		;
	return error;
}

static int call_recvfrom(struct race *race)
{
	struct rota_address from;
	char bytes[4];

	return rota_recvfrom(race->fd, bytes, sizeof(bytes), 0, &from);
}

static int call_sendto(struct race *race)
{
	return rota_sendto(race->fd, "y", 1, 0, NULL);
}

static int take_datagrams(struct race *race)
{
	char byte;

	while (recv(race->peer, &byte, 1, MSG_DONTWAIT) == 1)
		;
	return 0;
}

static bool datagram_remains(struct race *race)
{
	char byte;

	return recv(race->fd, &byte, 1, MSG_DONTWAIT) == 1;
}

/* What was not sent is not there either. */
static bool nothing_remains(struct race *race)
{
	char byte;

	return recv(race->peer, &byte, 1, MSG_DONTWAIT) < 0;
}

static const struct race_verb recvfrom_verb = {
	"recvfrom",       open_datagrams, call_recvfrom,     race_send_byte,
	datagram_remains, false,          IORING_OP_RECVMSG, 0
};

static const struct race_verb sendto_verb = { "sendto",          fill_datagrams,
					      call_sendto,       take_datagrams,
					      nothing_remains,   false,
					      IORING_OP_SENDMSG, 0 };

static void one_that_waits_ends_in_every_way(void **state)
{
	(void)state;
	test_blocked(&recvfrom_verb, 1, true);
	test_blocked(&sendto_verb, 1, true);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_goes_where_the_question_came_from),
		cmocka_unit_test(an_answer_over_ipv6),
		cmocka_unit_test(a_socket_that_is_dialled_sends_and_receives),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(
			an_address_that_cannot_be_had_leaves_nothing_open),
		cmocka_unit_test(one_that_waits_ends_in_every_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
