/* SPDX-License-Identifier: MIT */
/*
 * A server of a line protocol: it keeps values under names, answers requests
 * that come together together, lives with lines that are too long and clients
 * that stop half-way, and drains without losing an answer.
 *
 *	SET name value -> OK       GET name -> value, or NONE
 *	SLOW -> DONE, after a second   anything else -> WHAT   too long -> LONG
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define LINE_BYTES 64
#define VALUES 16
#define PATIENCE_NS (5 * ROTA_SECOND)

struct value {
	char name[LINE_BYTES];
	char text[LINE_BYTES];
};

struct server {
	struct rota_group connections;
	struct test_kernel kernel;
	struct value values[VALUES];
	unsigned count;  /* of those in use */
	unsigned served; /* requests */
	unsigned sends;  /* of answers, by the kernel */
	int ends[4];     /* what each connection ended with, in that order */
	unsigned ended;  /* how many have */
};

struct connection {
	struct server *server;
	int fd;
};

/* NULL: there is none, and no room for another. */
static struct value *find(struct server *server, const char *name, bool make)
{
	for (unsigned i = 0; i < server->count; i++)
		if (!strcmp(server->values[i].name, name))
			return &server->values[i];
	if (!make || server->count == VALUES)
		return NULL;
	snprintf(server->values[server->count].name, LINE_BYTES, "%s", name);
	return &server->values[server->count++];
}

static int answer(struct server *server, char *line, struct rota_writer *writer)
{
	char *rest = NULL;
	const char *verb = strtok_r(line, " ", &rest);
	const char *name = strtok_r(NULL, " ", &rest);
	const char *text = strtok_r(NULL, "", &rest);
	struct value *value;

	server->served++;
	if (verb && !strcmp(verb, "SLOW")) {
		const int error = rota_sleep(ROTA_SECOND);

		return error ? error : rota_writer_print(writer, "DONE\r\n");
	}
	if (verb && name && text && !strcmp(verb, "SET")) {
		value = find(server, name, true);
		if (value)
			snprintf(value->text, LINE_BYTES, "%s", text);
		return rota_writer_print(writer, value ? "OK\r\n" : "FULL\r\n");
	}
	if (verb && name && !text && !strcmp(verb, "GET")) {
		value = find(server, name, false);
		return rota_writer_print(writer, "%s\r\n",
					 value ? value->text : "NONE");
	}
	return rota_writer_print(writer, "WHAT\r\n");
}

/* Between two requests a client may take its time, and is idle; it has had all
 * answers then. A line that has begun has to come to its end. */
static int wait_for_line(struct rota_reader *reader, struct rota_writer *writer)
{
	struct rota_span first;
	struct rota_idle idle;
	int n = rota_writer_flush(writer);

	if (n < 0)
		return n;
	rota_idle_begin(&idle);
	n = rota_reader_peek(reader, 1, &first);
	rota_idle_end(&idle);
	return n;
}

static int next_line(struct rota_reader *reader, struct rota_writer *writer,
		     struct rota_span *line)
{
	struct rota_deadline deadline;
	int n = 1;

	if (!rota_reader_has(reader, "\n"))
		n = wait_for_line(reader, writer);
	if (n <= 0)
		return n;
	rota_deadline_begin(&deadline, rota_after_ns(PATIENCE_NS));
	n = rota_reader_line(reader, line);
	if (n == -EMSGSIZE) {
		n = rota_reader_skip_until(reader, "\n", NULL);
		n = n ? n : -EMSGSIZE;
	}
	rota_deadline_end(&deadline);
	return n;
}

static int converse(struct server *server, struct rota_reader *reader,
		    struct rota_writer *writer)
{
	struct rota_span line;
	int n, error = 0;

	while (!error) {
		n = next_line(reader, writer, &line);
		if (n > 0)
			error = answer(server, line.data, writer);
		else if (n == -EMSGSIZE)
			error = rota_writer_print(writer, "LONG\r\n");
		else
			return n;
	}
	return error;
}

static int serve(void *value)
{
	const struct connection *connection = value;
	struct server *server = connection->server;
	char in[LINE_BYTES], out[2 * LINE_BYTES];
	struct rota_reader reader;
	struct rota_writer writer;
	int end;

	rota_reader_init(&reader, connection->fd, in, sizeof(in));
	rota_writer_init(&writer, connection->fd, out, sizeof(out));
	end = converse(server, &reader, &writer);
	if (end == -ETIME)
		rota_writer_print(&writer, "LATE\r\n");
	server->ends[server->ended++] = end;
	end = rota_writer_flush(&writer); /* is refused if it failed before */
	return end | rota_close(connection->fd);
}

/* Counts, and holds nothing back. */
static bool count_sends(void *context, const struct test_arrival *arrival)
{
	struct server *server = context;

	server->sends += arrival->opcode == IORING_OP_SEND ||
			 arrival->opcode == IORING_OP_SENDMSG;
	return false;
}

/* A connection to the server: the client's end. */
static int connect_to(struct server *server)
{
	struct connection connection = { .server = server };
	int pair[2];

	if (test_pair_open(pair))
		return -EPROTO;
	connection.fd = pair[0];
	return rota_go(&server->connections, serve, connection) ? -EPROTO
								: pair[1];
}

static int say(int fd, const char *text)
{
	const size_t bytes = strlen(text);

	/* Not by an operation of the ring: those are counted. */
	return send(fd, text, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 0
								     : -EPROTO;
}

/* All that comes from the server until it closes, or for 2 s. */
static void hear(int fd, char *all, size_t bytes)
{
	struct rota_deadline deadline;
	size_t came = 0;
	int n = 1;

	rota_deadline_begin(&deadline, rota_after_ns(2 * ROTA_SECOND));
	while (n > 0 && came < bytes - 1) {
		n = rota_recv(fd, all + came, bytes - 1 - came, 0);
		came += n > 0 ? (size_t)n : 0;
	}
	rota_deadline_end(&deadline);
	all[came] = '\0';
}

struct story {
	struct server server;
	int (*tell)(struct story *story);
	char heard[4][4096]; /* by each client */
};

static int play(void *arg)
{
	struct story *story = arg;
	struct server *server = &story->server;
	int error;

	test_kernel_hold(&server->kernel, count_sends, server);
	rota_group_open(
		&server->connections,
		&(struct rota_group_options){ .mode = ROTA_GROUP_KEEP_GOING });
	error = story->tell(story);
	rota_group_wait(&server->connections);
	return error;
}

static struct story *run(int (*tell)(struct story *story))
{
	static struct story story;

	memset(&story, 0, sizeof(story));
	story.tell = tell;
	assert_int_equal(test_run_timed_with(NULL, &story.server.kernel, play,
					     &story),
			 0);
	return &story;
}

#define PIPELINED 100

static int ask_100_at_once(struct story *story)
{
	const int fd = connect_to(&story->server);
	char requests[PIPELINED * 16] = "";
	int error = fd < 0;

	for (int i = 0; i < PIPELINED; i++) {
		const size_t at = strlen(requests);

		snprintf(requests + at, sizeof(requests) - at,
			 i % 2 ? "GET a\n" : "SET a %d\r\n", i);
	}
	error |= say(fd, requests);
	hear(fd, story->heard[0], sizeof(story->heard[0]));
	return error | rota_close(fd);
}

static void requests_that_come_together_are_answered_together(void **state)
{
	const struct story *story = run(ask_100_at_once);
	char expected[4096] = "";

	(void)state;
	for (int i = 0; i < PIPELINED; i += 2) {
		const size_t at = strlen(expected);

		snprintf(expected + at, sizeof(expected) - at, "OK\r\n%d\r\n",
			 i);
	}
	assert_string_equal(story->heard[0], expected);
	assert_int_equal(story->server.served, PIPELINED);
	assert_int_equal(story->server.ends[0], 0);
	/* There is one for each memory full of requests or answers. */
	assert_in_range(story->server.sends, 1, 20);
}

static int ask_byte_by_byte(struct story *story)
{
	static const char text[] = "SET name a value\r\n";
	const int fd = connect_to(&story->server);
	int error = fd < 0;

	for (const char *byte = text; *byte && !error; byte++) {
		error = rota_sleep(ROTA_SECOND);
		if (say(fd, (const char[]){ *byte, '\0' }))
			break;
	}
	hear(fd, story->heard[0], sizeof(story->heard[0]));
	return error | rota_close(fd);
}

/* None of the lines takes 5 s. */
static int ask_in_bits(struct story *story)
{
	static const char *const bits[] = {
		"SET n",        "ame a val",      "ue\r", "\nGET name\r\n\r",
		"\nGET x\nGET", " x y\nFROB\r\n", NULL
	};
	const int fd = connect_to(&story->server);
	int error = fd < 0;

	for (int i = 0; bits[i]; i++)
		error |= rota_sleep(ROTA_SECOND) | say(fd, bits[i]);
	hear(fd, story->heard[0], sizeof(story->heard[0]));
	return error | rota_close(fd);
}

static void requests_that_come_in_bits_are_answered_one_by_one(void **state)
{
	(void)state;
	assert_string_equal(
		run(ask_in_bits)->heard[0],
		"OK\r\na value\r\nWHAT\r\nNONE\r\nWHAT\r\nWHAT\r\n");
}

static void who_is_too_slow_within_a_line_is_told_so(void **state)
{
	const struct story *story = run(ask_byte_by_byte);

	(void)state;
	assert_string_equal(story->heard[0], "LATE\r\n");
	assert_int_equal(story->server.ends[0], -ETIME);
	assert_int_equal(story->server.served, 0);
}

static int ask_too_much(struct story *story)
{
	const int fd = connect_to(&story->server);
	char line[10 * LINE_BYTES];
	int error = fd < 0;

	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	error |= say(fd, "SET a 1\nSET b ") | say(fd, line);
	error |= rota_sleep(ROTA_SECOND);
	error |= say(fd, line) | say(fd, "\nGET a\n");
	hear(fd, story->heard[0], sizeof(story->heard[0]));
	return error | rota_close(fd);
}

static void a_line_too_long_is_answered_and_the_next_one_served(void **state)
{
	const struct story *story = run(ask_too_much);

	(void)state;
	assert_string_equal(story->heard[0], "OK\r\nLONG\r\n1\r\n");
	assert_int_equal(story->server.count, 1);
}

static int stop_half_way(struct story *story)
{
	const int stuck = connect_to(&story->server);
	const int gone = connect_to(&story->server);
	const int good = connect_to(&story->server);
	int error = stuck < 0 || gone < 0 || good < 0;

	error |= say(stuck, "SET a 1\r\nSET a 2");
	error |= say(gone, "SET b 1\r\nSET b 2");
	error |= rota_sleep(ROTA_SECOND);
	error |= shutdown(gone, SHUT_WR);
	hear(gone, story->heard[1], sizeof(story->heard[1]));
	error |= say(good, "GET a\nGET b\n");
	hear(good, story->heard[2], sizeof(story->heard[2]));
	error |= rota_close(good);
	error |= rota_sleep(PATIENCE_NS);
	hear(stuck, story->heard[0], sizeof(story->heard[0]));
	return error | rota_close(stuck) | rota_close(gone);
}

static void half_a_line_is_no_request_whoever_ends_it(void **state)
{
	const struct story *story = run(stop_half_way);

	(void)state;
	assert_string_equal(story->heard[1], "OK\r\n");
	assert_string_equal(story->heard[2], "1\r\n1\r\n");
	assert_string_equal(story->heard[0], "OK\r\nLATE\r\n");
	assert_int_equal(story->server.ends[0], -ENODATA);
	assert_int_equal(story->server.ends[1], 0);
	assert_int_equal(story->server.ends[2], -ETIME);
}

/* One is idle, one has asked what takes a second, with more behind it. */
static int drain(struct story *story)
{
	const int idle = connect_to(&story->server);
	const int busy = connect_to(&story->server);
	int error = idle < 0 || busy < 0;

	error |= say(idle, "SET a 1\r\n") | say(busy, "SET b 1\nSLOW\nGET b\n");
	error |= rota_sleep(ROTA_MILLISECOND);
	rota_group_drain(&story->server.connections, ROTA_NEVER);
	hear(idle, story->heard[0], sizeof(story->heard[0]));
	hear(busy, story->heard[1], sizeof(story->heard[1]));
	return error | rota_close(idle) | rota_close(busy);
}

static void a_drain_ends_the_idle_and_answers_what_has_come(void **state)
{
	const struct story *story = run(drain);

	(void)state;
	assert_string_equal(story->heard[0], "OK\r\n");
	assert_string_equal(story->heard[1], "OK\r\nDONE\r\n1\r\n");
	assert_int_equal(story->server.ends[0], -ESHUTDOWN);
	assert_int_equal(story->server.ends[1], -ESHUTDOWN);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			requests_that_come_together_are_answered_together),
		cmocka_unit_test(
			requests_that_come_in_bits_are_answered_one_by_one),
		cmocka_unit_test(who_is_too_slow_within_a_line_is_told_so),
		cmocka_unit_test(
			a_line_too_long_is_answered_and_the_next_one_served),
		cmocka_unit_test(half_a_line_is_no_request_whoever_ends_it),
		cmocka_unit_test(
			a_drain_ends_the_idle_and_answers_what_has_come),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
