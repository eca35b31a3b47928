/* SPDX-License-Identifier: MIT */
/*
 * Listening and dialling: every kind of address, every refusal, and nothing
 * left open afterwards.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/process.h"
#include "support/run.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct stage {
	struct test_kernel kernel;
	struct rota_group group;
	const char *address;
	char name[128];
	char path[128]; /* "unix:" and a path */
	int codes[8];
	int dialled;
	uint16_t port;
};

/* Its local address as text: the length, or -errno. */
static int local_name(int fd, char *text, size_t bytes)
{
	struct rota_address address;
	const int error = rota_local_address(fd, &address);

	return error ? error : rota_address_print(&address, text, bytes);
}

static int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t bytes = sizeof(value);

	if (getsockopt(fd, level, name, &value, &bytes))
		return -errno;
	return value;
}

static int dial(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->dialled = rota_dial(stage->address, stage->port);
	return stage->dialled < 0 ? stage->dialled : 0;
}

/* One connection from dial to accept, and a byte over it. */
static int meet(void *arg)
{
	struct stage *stage = arg;
	const int listener = rota_listen(stage->address, 0, NULL);
	const char *colon;
	char byte = 'x';
	int error, fd;

	if (listener < 0)
		return listener;
	stage->codes[0] =
		local_name(listener, stage->name, sizeof(stage->name));
	colon = strrchr(stage->name, ':');
	stage->port = (uint16_t)atoi(colon + 1);
	stage->codes[1] = fcntl(listener, F_GETFD);
	rota_group_open(&stage->group, NULL);
	error = rota_go(&stage->group, dial, stage);
	fd = rota_accept(listener);
	error |= rota_group_wait(&stage->group);
	if (error || fd < 0)
		return error ? error : fd;
	stage->codes[2] = fcntl(fd, F_GETFD);
	stage->codes[3] = option(fd, IPPROTO_TCP, TCP_NODELAY);
	stage->codes[4] = option(stage->dialled, IPPROTO_TCP, TCP_NODELAY);
	stage->codes[5] = option(listener, SOL_SOCKET, SO_REUSEADDR);
	error = rota_send(stage->dialled, &byte, 1, 0) != 1;
	byte = 0;
	error |= rota_recv(fd, &byte, 1, 0) != 1 || byte != 'x';
	return error | rota_close(fd) | rota_close(stage->dialled) |
	       rota_close(listener);
}

/* Meets over this address; the listener's name begins so. */
static void expect_meeting(const char *address, const char *name)
{
	const unsigned before = test_process_descriptors();
	struct stage stage = { .address = address };
	const int error = test_run(meet, &stage);

	if (error)
		print_error("%s: %d\n", address, error);
	assert_int_equal(error, 0);
	assert_int_equal(strncmp(stage.name, name, strlen(name)), 0);
	assert_int_equal(stage.codes[0], strlen(stage.name));
	assert_int_equal(stage.codes[1], FD_CLOEXEC);
	assert_int_equal(stage.codes[2], FD_CLOEXEC);
	assert_int_equal(test_process_descriptors(), before);
	if (strncmp(address, "unix:", 5) == 0)
		return;
	assert_true(stage.port != 0);
	for (int i = 3; i < 6; i++)
		assert_int_equal(stage.codes[i], 1);
}

static void a_connection_over_ipv4(void **state)
{
	(void)state;
	expect_meeting("127.0.0.1", "127.0.0.1:");
}

static bool has_ipv6(void)
{
	const struct sockaddr_in6 address = { .sin6_family = AF_INET6,
					      .sin6_addr =
						      IN6ADDR_LOOPBACK_INIT };
	const int fd = socket(AF_INET6, SOCK_STREAM, 0);
	const bool has = fd >= 0 && !bind(fd, (const struct sockaddr *)&address,
					  sizeof(address));

	close(fd);
	return has;
}

static void a_connection_over_ipv6_with_and_without_brackets(void **state)
{
	(void)state;
	if (!has_ipv6())
		test_skip("no IPv6 here");
	expect_meeting("::1", "[::1]:");
	expect_meeting("[::1]", "[::1]:");
}

static void a_connection_over_a_unix_socket(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "unix:/tmp/rota-listen-%d", (int)getpid());
	unlink(path + 5);
	expect_meeting(path, path);
	assert_int_equal(unlink(path + 5), 0);
}

static const char *const bad_addresses[] = {
	"",
	"127.0.0.1:80",
	"256.0.0.1",
	"[::1",
	"::1]",
	"[127.0.0.1]",
	"1:2:3",
	"unix:",
	"[]",
	"127.0.0.1 ",
	"[::1]:80",
	"0x7f.1",
	"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd:eeee",
};

#define BAD_ADDRESSES (sizeof(bad_addresses) / sizeof(bad_addresses[0]))

static int use_bad_addresses(void *arg)
{
	unsigned *refused = arg;

	for (size_t i = 0; i < BAD_ADDRESSES; i++) {
		*refused += rota_listen(bad_addresses[i], 0, NULL) == -EINVAL;
		*refused += rota_dial(bad_addresses[i], 1) == -EINVAL;
	}
	*refused += rota_listen(NULL, 0, NULL) == -EINVAL;
	/* Names are for rota_dial only. */
	*refused += rota_listen("localhost", 0, NULL) == -EINVAL;
	return rota_dial(NULL, 1);
}

static void an_address_that_is_none_is_einval(void **state)
{
	const unsigned before = test_process_descriptors();
	unsigned refused = 0;

	(void)state;
	assert_int_equal(test_run(use_bad_addresses, &refused), -EINVAL);
	assert_int_equal(refused, 2 * BAD_ADDRESSES + 2);
	assert_int_equal(test_process_descriptors(), before);
}

static int use_long_paths(void *arg)
{
	struct stage *stage = arg;
	int fd;

	strcpy(stage->path, "unix:/tmp/rota-");
	memset(stage->path + 15, 'x', 5 + 107 - 15);
	stage->path[5 + 107] = '\0';
	fd = rota_listen(stage->path, 0, NULL);
	stage->codes[0] = fd < 0 ? fd : 0;
	stage->codes[1] = local_name(fd, stage->name, 5 + 107);
	stage->codes[2] = local_name(fd, stage->name, 5 + 107 + 1);
	rota_close(fd);
	unlink(stage->path + 5);
	strcat(stage->path, "x");
	stage->codes[3] = rota_listen(stage->path, 0, NULL);
	stage->codes[4] = rota_dial(stage->path, 0);
	return 0;
}

static void a_path_has_107_bytes_at_most(void **state)
{
	struct stage stage = { .port = 0 };

	(void)state;
	assert_int_equal(test_run(use_long_paths, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], -ENOSPC);
	assert_int_equal(stage.codes[2], 5 + 107);
	stage.path[5 + 107] = '\0';
	assert_string_equal(stage.name, stage.path);
	assert_int_equal(stage.codes[3], -EINVAL);
	assert_int_equal(stage.codes[4], -EINVAL);
}

static int listen_in_vain(void *arg)
{
	struct stage *stage = arg;
	const int first = rota_listen("127.0.0.1", 0, NULL);

	if (local_name(first, stage->name, sizeof(stage->name)) < 0)
		return -EPROTO;
	stage->port = (uint16_t)atoi(strchr(stage->name, ':') + 1);
	stage->codes[0] = rota_listen("127.0.0.1", stage->port, NULL);
	stage->codes[1] = rota_listen("192.0.2.1", 0, NULL);
	stage->codes[2] = rota_listen("unix:/nowhere/at/all", 0, NULL);
	rota_close(first);
	stage->codes[3] = rota_dial("127.0.0.1", stage->port);
	stage->codes[4] = rota_dial("unix:/nowhere/at/all", 0);
	return 0;
}

static void a_port_in_use_and_an_address_not_ours_are_told(void **state)
{
	static const int expected[] = { -EADDRINUSE, -EADDRNOTAVAIL, -ENOENT,
					-ECONNREFUSED, -ENOENT };
	const unsigned before = test_process_descriptors();
	struct stage stage = { .port = 0 };

	(void)state;
	assert_int_equal(test_run(listen_in_vain, &stage), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_int_equal(test_process_descriptors(), before);
}

static int share_port(void *arg)
{
	const struct rota_listen_options options = { .reuse_port = true,
						     .delay = true,
						     .backlog = 3 };
	struct stage *stage = arg;
	const int first = rota_listen("127.0.0.1", 0, &options);
	int second;

	if (local_name(first, stage->name, sizeof(stage->name)) < 0)
		return -EPROTO;
	stage->port = (uint16_t)atoi(strchr(stage->name, ':') + 1);
	second = rota_listen("127.0.0.1", stage->port, &options);
	stage->codes[0] = option(first, IPPROTO_TCP, TCP_NODELAY);
	return rota_close(first) | rota_close(second);
}

static void the_options_of_a_listener_are_set(void **state)
{
	struct stage stage = { .codes = { -1 } };

	(void)state;
	assert_int_equal(test_run(share_port, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
}

/* Every call of the seam fails once. */
static int listen_with_fault(void *arg)
{
	struct stage *stage = arg;
	const int fd = rota_listen("127.0.0.1", 0, NULL);

	stage->codes[0] = fd;
	if (fd >= 0)
		rota_close(fd);
	stage->codes[1] = rota_listen("127.0.0.1", 0, NULL);
	return stage->codes[1] < 0 ? 0 : rota_close(stage->codes[1]);
}

static void a_step_that_fails_closes_what_was_opened(void **state)
{
	static const enum test_call calls[] = { TEST_BIND, TEST_LISTEN,
						TEST_SET_OPTION };
	const unsigned before = test_process_descriptors();

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct stage stage = { .port = 0 };

		test_kernel_init(&stage.kernel);
		test_kernel_fail(&stage.kernel,
				 &(struct test_fault){ .call = calls[i],
						       .error = -EXDEV });
		assert_int_equal(test_run_with(NULL, &stage.kernel.table,
					       listen_with_fault, &stage),
				 0);
		assert_int_equal(stage.codes[0], -EXDEV);
		assert_true(stage.codes[1] >= 0);
		assert_int_equal(test_process_descriptors(), before);
	}
}

static int name_oddly(void *arg)
{
	struct stage *stage = arg;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const int fd = rota_socket(AF_UNIX, SOCK_STREAM, 0);
	int error, other;

	/* A path without an end: 108 bytes, as the kernel allows it. */
	memset(address.sun_path, 'x', sizeof(address.sun_path));
	memcpy(address.sun_path, "/tmp/rota-", 10);
	stage->codes[0] = local_name(fd, stage->name, 128);
	error = bind(fd, (struct sockaddr *)&address, sizeof(address));
	stage->codes[1] = local_name(fd, stage->name, 128);
	memcpy(stage->path, address.sun_path, sizeof(address.sun_path));
	unlink(stage->path);
	stage->codes[2] = local_name(STDIN_FILENO, stage->name, 128);
	stage->codes[3] = local_name(-1, stage->name, 128);
	other = rota_socket(AF_NETLINK, SOCK_RAW, 0);
	stage->codes[4] = local_name(other, stage->name, 128);
	error |= rota_close(other);
	return error | rota_close(fd);
}

static void names_of_odd_sockets(void **state)
{
	struct stage stage = { .port = 0 };

	(void)state;
	assert_int_equal(test_run(name_oddly, &stage), 0);
	assert_int_equal(stage.codes[0], 5); /* "unix:" */
	assert_int_equal(stage.codes[1], 5 + 108);
	assert_string_equal(stage.name + 5, stage.path);
	assert_int_equal(stage.codes[2], -ENOTSOCK);
	assert_int_equal(stage.codes[3], -EBADF);
	assert_int_equal(stage.codes[4], -EAFNOSUPPORT);
}

/* A backlog that is full: the next connect waits. */
static int dial_the_busy(void *arg)
{
	const struct rota_listen_options options = { .backlog = 1 };
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int listener, fds[8], count = 0, error = 0;

	listener = rota_listen(stage->address, 0, &options);
	if (local_name(listener, stage->name, sizeof(stage->name)) < 0)
		return listener;
	stage->port = (uint16_t)atoi(strrchr(stage->name, ':') + 1);
	rota_deadline_begin(&deadline, rota_after_ns(20 * ROTA_MILLISECOND));
	while (count < 8 &&
	       (fds[count] = rota_dial(stage->address, stage->port)) >= 0)
		count++;
	stage->codes[0] = count < 8 ? fds[count] : 0;
	rota_deadline_end(&deadline);
	while (count)
		error |= rota_close(fds[--count]);
	return error | rota_close(listener);
}

static void expect_half_way(const char *address)
{
	const unsigned before = test_process_descriptors();
	struct stage stage = { .address = address };

	assert_int_equal(test_run(dial_the_busy, &stage), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(test_process_descriptors(), before);
}

static void a_dial_that_is_cancelled_half_way_closes_its_socket(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "unix:/tmp/rota-busy-%d", (int)getpid());
	unlink(path + 5);
	expect_half_way(path);
	unlink(path + 5);
	expect_half_way("127.0.0.1");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_over_ipv4),
		cmocka_unit_test(
			a_connection_over_ipv6_with_and_without_brackets),
		cmocka_unit_test(a_connection_over_a_unix_socket),
		cmocka_unit_test(an_address_that_is_none_is_einval),
		cmocka_unit_test(a_path_has_107_bytes_at_most),
		cmocka_unit_test(
			a_port_in_use_and_an_address_not_ours_are_told),
		cmocka_unit_test(the_options_of_a_listener_are_set),
		cmocka_unit_test(a_step_that_fails_closes_what_was_opened),
		cmocka_unit_test(names_of_odd_sockets),
		cmocka_unit_test(
			a_dial_that_is_cancelled_half_way_closes_its_socket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
