/* SPDX-License-Identifier: MIT */
/*
 * A warm server allocates nothing: neither by malloc and its like, which this
 * program defines itself to count the calls, nor by mapping memory. (brk is
 * called by malloc only.)
 */
#include "rota/rota.h"
#include "stack/sanitizer.h"
#include "support/kernel.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define WARM_ROUNDS 100
#define ROUNDS 1000

static unsigned allocations;

#if !RI_SANITIZED
/* glibc's own, which are there for just this. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);

void *malloc(size_t bytes)
{
	allocations++;
	return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	allocations++;
	return __libc_realloc(old, bytes);
}
#endif

struct server {
	struct test_kernel kernel;
	int pair[2];
	unsigned allocated; /* in the rounds that count */
	unsigned mapped;    /* mappings made in them */
};

static int serve(void *value)
{
	const int fd = *(int *)value;
	char buffer[256];
	int n;

	while ((n = rota_recv(fd, buffer, sizeof(buffer), 0)) > 0) {
		n = rota_send_all(fd, buffer, (size_t)n, NULL);
		if (n < 0)
			break;
	}
	return n;
}

static int ask(int fd, int rounds)
{
	char buffer[64] = "hello";
	const struct iovec piece = { buffer, sizeof(buffer) };
	const int bytes = sizeof(buffer);
	int error;

	for (int i = 0; i < rounds; i++) {
		error = rota_send_all(fd, buffer, sizeof(buffer), NULL);
		if (error)
			return error;
		error = rota_recv_full(fd, buffer, sizeof(buffer), NULL);
		if (error)
			return error;
		/* The same as a message, in pieces. */
		if (rota_sendto(fd, buffer, sizeof(buffer), 0, NULL) != bytes)
			return -EIO;
		if (rota_readv(fd, &piece, 1) != bytes)
			return -EIO;
	}
	return 0;
}

static int nothing(void *value)
{
	return *(int *)value;
}

/* What a request of a busier server does besides: a deadline, a group with
 * tasks, a cancel of one that waits. */
static int fan_out(int fd, int rounds)
{
	int error = 0;

	for (int i = 0; i < rounds && !error; i++) {
		struct rota_deadline deadline;
		struct rota_group group;

		rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
		rota_group_open(&group, NULL);
		for (int task = 0; task < 4 && !error; task++)
			error = rota_go(&group, nothing, 0);
		if (!error)
			error = rota_go(&group, serve, fd);
		if (!error)
			error = rota_yield();
		rota_group_cancel(&group,
				  (struct rota_cancellation){ 0, NULL });
		(void)rota_group_wait(&group);
		rota_deadline_end(&deadline);
	}
	return error;
}

/* Asks for one slot more than there are. */
static int fill(void *value)
{
	struct rota_group *group = *(struct rota_group **)value;

	if (rota_try_go(group, nothing, 0) != -EAGAIN)
		return -EPROTO;
	(void)!rota_go(group, nothing, 0);
	return 0;
}

static void take_note(void *arg)
{
	++*(unsigned *)arg;
}

/* Everything that a scope can be and come to, in one task. */
static int rest(void *value)
{
	unsigned calls = 0;
	struct rota_deadline deadline;
	struct rota_callback callback;
	struct rota_shield shield;
	struct rota_idle idle;
	int code;

	rota_idle_begin(&idle);
	rota_callback_begin(&callback, take_note, &calls);
	rota_deadline_begin(&deadline, rota_after_ns(*(int64_t *)value));
	code = rota_sleep(ROTA_SECOND);
	rota_deadline_end(&deadline);
	rota_shield_begin(&shield, ROTA_MICROSECOND);
	rota_yield();
	rota_shield_end(&shield);
	rota_close(-1);
	rota_callback_end(&callback);
	rota_idle_end(&idle);
	return code == -ETIME ? 0 : code;
}

/* Drains a group of such tasks, or cancels it, or lets time end them; one
 * waits for a slot meanwhile. */
static int wind_down(int rounds)
{
	const struct rota_group_options options = { .limit = 5 };
	struct rota_group group, others;
	int error = 0;

	for (int i = 0; i < rounds && !error; i++) {
		const int64_t deadline_ns = i % 3 ? ROTA_SECOND : 0;

		rota_group_open(&others, NULL);
		rota_group_open(&group, &options);
		for (int task = 0; task < 5 && !error; task++)
			error = rota_go(&group, rest, deadline_ns);
		if (!error)
			error = rota_go_background(&group, rest, deadline_ns);
		if (!error)
			error = rota_go(&others, fill, &group);
		if (!error)
			error = rota_yield();
		if (i % 3 == 1)
			rota_group_drain(&group, ROTA_SECOND);
		else if (i % 3 == 2)
			rota_group_cancel(
				&group, (struct rota_cancellation){ 0, NULL });
		(void)rota_group_wait(&group);
		(void)rota_group_wait(&others);
	}
	return error;
}

/* A stream for each round, and what it hands out. */
static int stream(const int pair[2], int rounds)
{
	char buffer[8];
	int error = 0;

	for (int i = 0; i < rounds && !error; i++) {
		struct rota_stream stream;
		struct rota_view view;

		error = rota_receive_stream_open(&stream, pair[0], NULL);
		if (error)
			break;
		error = rota_send_all(pair[1], "a view and more", 15, NULL);
		if (rota_stream_view(&stream, &view) != 15)
			error = -EPROTO;
		rota_view_keep(&stream, &view);
		rota_view_release(&view);
		error |= rota_send_all(pair[1], "a copy", 6, NULL);
		if (rota_stream_recv(&stream, buffer, 8) != 6)
			error = -EPROTO;
		rota_stream_close(&stream);
	}
	return error;
}

/* What is measured, so many times. */
static int work(struct server *server, const int spare[2], int rounds)
{
	int error = ask(server->pair[1], rounds);

	if (!error)
		error = fan_out(spare[0], rounds);
	if (!error)
		error = wind_down(rounds);
	return error ? error : stream(spare, rounds);
}

static int count(void *arg)
{
	struct server *server = arg;
	unsigned allocated, mapped;
	struct rota_group group;
	int spare[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, spare))
		return -errno;
	rota_group_open(&group, NULL);
	error = rota_go(&group, serve, server->pair[0]);
	if (!error)
		error = work(server, spare, WARM_ROUNDS);
	allocated = allocations;
	mapped = server->kernel.calls[TEST_MAP];
	if (!error)
		error = work(server, spare, ROUNDS);
	server->allocated = allocations - allocated;
	server->mapped = server->kernel.calls[TEST_MAP] - mapped;
	rota_close(server->pair[1]);
	rota_group_wait(&group);
	rota_close(server->pair[0]);
	rota_close(spare[0]);
	rota_close(spare[1]);
	return error;
}

static void a_warm_server_neither_allocates_nor_maps(void **state)
{
	struct server server = { 0 };

	(void)state;
	test_kernel_init(&server.kernel);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, server.pair))
		fail_msg("socketpair: %s", strerror(errno));
	assert_int_equal(
		test_run_with(NULL, &server.kernel.table, count, &server), 0);
	assert_int_equal(server.allocated, 0);
	assert_int_equal(server.mapped, 0);
}

/* Else the test above could not fail. */
static void the_count_sees_an_allocation(void **state)
{
	const unsigned before = allocations;
	void *volatile block = malloc(1);

	(void)state;
	free(block);
	if (RI_SANITIZED)
		test_skip("the sanitizer's malloc is not ours to count");
	assert_int_equal(allocations - before, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_warm_server_neither_allocates_nor_maps),
		cmocka_unit_test(the_count_sees_an_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
