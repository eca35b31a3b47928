/* SPDX-License-Identifier: MIT */
/*
 * Eight buffers for a thousand connections, one of which pours without end: an
 * echo server and its clients, over TCP. Nobody sees an error, every byte comes
 * back, and nobody is left behind.
 */
#include "rota/rota.h"
#include "support/books.h"
#include "support/random.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <cmocka.h>

#define NEIGHBOURS_MAX 1000
#define FEWER 250
#define MESSAGES 12u
#define MESSAGE_MAX 1000
#define BLOCK 16384

enum style {
	BY_VIEWS,   /* a task with a stream: views */
	BY_COPIES,  /* ... copies, past the buffers when there are none */
	BY_MEMBERS, /* a member without a stack: views */
};

struct neighbour {
	int fd;
	unsigned done; /* messages that came back */
};

struct crowd {
	enum style style;
	bool drinks_late; /* who pours reads when all others are through */
	int listener;
	uint16_t port;
	unsigned count;           /* of neighbours */
	struct rota_group served; /* the server's tasks */
	struct rota_group group;  /* the clients' */
	struct neighbour neighbours[NEIGHBOURS_MAX];
	unsigned connected, accepted, finished;
	unsigned least;      /* messages of the last, when half are through */
	size_t poured, back; /* bytes */
	const char *wrong;   /* the first thing that was */
};

static struct crowd crowd;

static void expect(bool right, const char *what)
{
	if (!right && !crowd.wrong)
		crowd.wrong = what;
}

static int echo_views(void *value)
{
	const int fd = *(int *)value;
	struct rota_stream stream;
	struct rota_view view;
	int n = rota_receive_stream_open(&stream, fd, NULL);

	if (n)
		return n;
	while ((n = rota_stream_view(&stream, &view)) > 0)
		if ((n = rota_send_all(fd, view.data, view.bytes, NULL)))
			break;
	rota_stream_close(&stream);
	rota_close(fd);
	return n;
}

static int echo_copies(void *value)
{
	const int fd = *(int *)value;
	char buffer[MESSAGE_MAX];
	struct rota_stream stream;
	int n = rota_receive_stream_open(&stream, fd, NULL);

	if (n)
		return n;
	while ((n = rota_stream_recv(&stream, buffer, sizeof(buffer))) > 0)
		if ((n = rota_send_all(fd, buffer, (size_t)n, NULL)))
			break;
	rota_stream_close(&stream);
	rota_close(fd);
	return n;
}

struct record {
	struct rota_stream stream;
	int fd;
};

static int echo_landed(struct rota_stream *stream, void *arg)
{
	struct record *record = arg;
	struct rota_view view;
	int n = rota_stream_view(stream, &view);

	if (n > 0) {
		n = rota_send_all(record->fd, view.data, view.bytes, NULL);
		if (!n)
			return 0;
	}
	rota_stream_close(stream);
	rota_close(record->fd);
	free(record);
	return n;
}

static int echo_by_member(int fd)
{
	struct record *record = malloc(sizeof(*record));
	int error;

	if (!record)
		return -ENOMEM;
	record->fd = fd;
	error = rota_receive_stream_open(&record->stream, fd, NULL);
	return error ? error
		     : rota_stream_serve(&crowd.served, &record->stream,
					 echo_landed, record);
}

static int accept_all(void *value)
{
	(void)value;
	for (unsigned i = 0; i <= crowd.count; i++) {
		const int fd = rota_accept(crowd.listener);
		int error = fd;

		if (fd >= 0 && crowd.style == BY_VIEWS)
			error = rota_go(&crowd.served, echo_views, fd);
		else if (fd >= 0 && crowd.style == BY_COPIES)
			error = rota_go(&crowd.served, echo_copies, fd);
		else if (fd >= 0)
			error = echo_by_member(fd);
		if (error)
			return error;
		crowd.accepted++;
	}
	return 0;
}

/* Returns when all are connected. */
static int dial(void)
{
	const int fd = rota_dial("127.0.0.1", crowd.port);

	expect(fd >= 0, "cannot connect");
	crowd.connected++;
	while (crowd.connected <= crowd.count || crowd.accepted <= crowd.count)
		(void)!rota_sleep(ROTA_MILLISECOND);
	return fd;
}

static char byte_of(size_t place)
{
	return (char)(place * 131 + (place >> 8) * 7);
}

static void note_half(void)
{
	crowd.least = MESSAGES;
	for (unsigned i = 0; i < crowd.count; i++)
		if (crowd.neighbours[i].done < crowd.least)
			crowd.least = crowd.neighbours[i].done;
}

/* One message there and back. */
static bool exchange(int fd, unsigned seed)
{
	char sent[MESSAGE_MAX], back[MESSAGE_MAX];
	const size_t bytes = 1 + seed * 7919 % MESSAGE_MAX;

	for (size_t i = 0; i < bytes; i++)
		sent[i] = byte_of(seed + i);
	if (rota_send_all(fd, sent, bytes, NULL) ||
	    rota_recv_full(fd, back, bytes, NULL))
		return false;
	return !memcmp(sent, back, bytes);
}

static int ask(void *value)
{
	const unsigned index = *(unsigned *)value;
	struct neighbour *neighbour = &crowd.neighbours[index];
	const int fd = dial();
	char byte;

	while (neighbour->done < MESSAGES && !crowd.wrong) {
		expect(exchange(fd, index * MESSAGES + neighbour->done),
		       "a neighbour did not get its bytes back");
		neighbour->done++;
	}
	if (++crowd.finished == crowd.count / 2)
		note_half();
	rota_shutdown(fd, SHUT_WR);
	expect(rota_recv(fd, &byte, 1, 0) == 0, "a neighbour's end");
	return rota_close(fd);
}

static bool all_are_through(void)
{
	return crowd.finished >= crowd.count || crowd.wrong;
}

static int pour(void *value)
{
	const int fd = *(int *)value;
	char block[BLOCK];
	int error = 0;

	while (!error && !all_are_through()) {
		for (size_t i = 0; i < BLOCK; i++)
			block[i] = byte_of(crowd.poured + i);
		error = rota_send_all(fd, block, BLOCK, NULL);
		crowd.poured += BLOCK;
	}
	expect(!error, "cannot pour");
	return rota_shutdown(fd, SHUT_WR);
}

static int drink(void *value)
{
	const int fd = *(int *)value;
	char block[BLOCK];
	int n;

	while (crowd.drinks_late && !all_are_through())
		(void)!rota_sleep(ROTA_MILLISECOND);
	while ((n = rota_recv(fd, block, BLOCK, 0)) > 0) {
		for (int i = 0; i < n; i++)
			expect(block[i] == byte_of(crowd.back + (size_t)i),
			       "other bytes than were poured");
		crowd.back += (size_t)n;
	}
	expect(n == 0, "who pours gets an error");
	return 0;
}

static int pour_and_drink(void *value)
{
	struct rota_group group;
	const int fd = dial();
	int error;

	(void)value;
	rota_group_open(&group, NULL);
	error = rota_go(&group, pour, fd);
	error |= rota_go(&group, drink, fd);
	error |= rota_group_wait(&group);
	return error | rota_close(fd);
}

static int listen_somewhere(void)
{
	struct sockaddr_in address;
	socklen_t bytes = sizeof(address);

	crowd.listener = rota_listen("127.0.0.1", 0, NULL);
	if (crowd.listener < 0 ||
	    getsockname(crowd.listener, (struct sockaddr *)&address, &bytes))
		return -errno;
	crowd.port = ntohs(address.sin_port);
	return 0;
}

static int meet(void *arg)
{
	int error = listen_somewhere();

	(void)arg;
	rota_group_open(&crowd.served, NULL);
	rota_group_open(&crowd.group, NULL);
	error |= rota_go(&crowd.group, accept_all, 0);
	error |= rota_go(&crowd.group, pour_and_drink, 0);
	for (unsigned i = 0; i < crowd.count; i++)
		error |= rota_go(&crowd.group, ask, i);
	error |= rota_group_wait(&crowd.group);
	error |= rota_group_wait(&crowd.served);
	expect(!books_wrong(NULL, 0), "the books");
	expect(ri_tasks_here()->shots.buffers.out == 0, "buffers are out");
	return error | rota_close(crowd.listener);
}

static void run(enum style style, unsigned count, bool drinks_late)
{
	const struct rota_config config = { .stream_buffers = 8 };

	memset(&crowd, 0, sizeof(crowd));
	crowd.style = style;
	crowd.drinks_late = drinks_late;
	crowd.count = test_rounds(count);
	assert_int_equal(test_run_with(&config, NULL, meet, NULL), 0);
	if (crowd.wrong)
		fail_msg("%s", crowd.wrong);
	assert_true(crowd.back == crowd.poured);
	assert_true(crowd.poured > 0);
	/* When half have all their messages, the slowest has a third. */
	assert_true(crowd.least >= MESSAGES / 3);
}

static void every_byte_comes_back_in_views(void **state)
{
	(void)state;
	run(BY_VIEWS, NEIGHBOURS_MAX, false);
}

static void every_byte_comes_back_in_copies(void **state)
{
	(void)state;
	run(BY_COPIES, FEWER, false);
}

static void every_byte_comes_back_by_members(void **state)
{
	(void)state;
	run(BY_MEMBERS, NEIGHBOURS_MAX, false);
}

static void one_that_does_not_read_its_own_holds_nobody_up(void **state)
{
	(void)state;
	run(BY_VIEWS, FEWER, true);
	run(BY_MEMBERS, FEWER, true);
}

/* Each connection has two descriptors. */
static int raise_limit(void **state)
{
	struct rlimit limit;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &limit);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_comes_back_in_views),
		cmocka_unit_test(every_byte_comes_back_in_copies),
		cmocka_unit_test(every_byte_comes_back_by_members),
		cmocka_unit_test(
			one_that_does_not_read_its_own_holds_nobody_up),
	};

	return cmocka_run_group_tests(tests, raise_limit, NULL);
}
