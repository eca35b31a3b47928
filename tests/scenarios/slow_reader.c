/* SPDX-License-Identifier: MIT */
/*
 * Servers with one client that does not read: what it is sent waits in fixed
 * memory, then its own connection waits, then that is ended; the others notice
 * nothing.
 *
 * The connections are Unix sockets with the least of buffers, so that whatever
 * happens happens at a point in time that the clock of the test knows.
 */
#include "rota/rota.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CLIENTS 4
#define SLOW 2 /* which of them does not read */
#define MEMORY 256
#define LINE 64
#define LINES 200
#define PATIENCE_NS (10 * ROTA_SECOND)

/* One connection, and who is at its ends. */
struct connection {
	struct house *house;
	int server, client;         /* descriptors */
	struct rota_output *output; /* while it is open, or NULL */
	size_t sent, got;           /* by the client: lines, bytes */
	size_t pending_max;         /* that the server ever had for it */
	size_t missed;              /* news that it was not told */
	size_t dropped;             /* bytes at the end */
	int64_t ended_ns;           /* when the server was done with it */
	int64_t served_ns;          /* when the client had all that it wanted */
	int outcome;                /* of the server's side */
};

struct house {
	struct rota_group guests;   /* of the server */
	struct rota_group visitors; /* of the clients */
	struct connection connections[CLIENTS];
	size_t wanted;    /* bytes that a client reads */
	int64_t reads_ns; /* when the slow one reads after all; 0: never */
	int outcome;
};

static int open_connection(struct connection *connection)
{
	const int least = 1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	connection->server = pair[0];
	connection->client = pair[1];
	return setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &least,
			  sizeof(least)) |
	       setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &least,
			  sizeof(least));
}

static int say(struct connection *connection, const char *line, size_t bytes)
{
	const int error = rota_output_write(connection->output, line, bytes);
	const size_t pending = rota_output_pending(connection->output);

	if (pending > connection->pending_max)
		connection->pending_max = pending;
	return error;
}

/* What the output came to, and when. */
static int end_connection(struct connection *connection, int error)
{
	const int code = rota_output_close(connection->output);

	connection->dropped = rota_output_pending(connection->output);
	connection->output = NULL;
	connection->ended_ns = test_now_ns();
	connection->outcome = code ? code : error;
	rota_close(connection->server);
	return connection->outcome;
}

/* Sends back what comes, until the client has no more to say. */
static int echo(void *value)
{
	struct connection *connection = *(struct connection **)value;
	char memory[MEMORY], line[LINE];
	struct rota_output output;
	struct rota_group group;
	int n, error;

	rota_group_open(&group, NULL);
	error = rota_output_open(
		&output, connection->server,
		&(struct rota_output_options){ .group = &group,
					       .memory = memory,
					       .bytes = sizeof(memory),
					       .write_ns = PATIENCE_NS });
	connection->output = &output;
	while (!error) {
		n = rota_recv(connection->server, line, sizeof(line), 0);
		if (n <= 0) {
			error = n;
			break;
		}
		error = say(connection, line, (size_t)n);
	}
	error = end_connection(connection, error);
	n = rota_group_wait(&group);
	return error ? error : n;
}

static int talk(void *value)
{
	struct connection *connection = *(struct connection **)value;
	const char line[LINE] = "what was that?";
	int error = 0;

	while (!error && connection->sent < LINES) {
		error = rota_send_all(connection->client, line, sizeof(line),
				      NULL);
		connection->sent += !error;
	}
	return 0;
}

static bool is_slow(const struct connection *connection)
{
	return connection == &connection->house->connections[SLOW];
}

static int listen_to_it(void *value)
{
	struct connection *connection = *(struct connection **)value;
	const struct house *house = connection->house;
	const int64_t reads_ns = house->reads_ns;
	char bytes[LINE];
	int n;

	if (is_slow(connection) &&
	    rota_sleep_until(reads_ns ? TEST_START_NS + reads_ns : ROTA_NEVER))
		return 0;
	while (connection->got < house->wanted &&
	       (n = rota_recv(connection->client, bytes, sizeof(bytes), 0)) > 0)
		connection->got += (size_t)n;
	connection->served_ns = test_now_ns();
	rota_shutdown(connection->client, SHUT_WR);
	return 0;
}

/* Lets all of them in; the clients are somewhere else. */
static int open_house(struct house *house, rota_task_fn *serve)
{
	int error = 0;

	rota_group_open(&house->visitors, NULL);
	rota_group_open(
		&house->guests,
		&(struct rota_group_options){ .mode = ROTA_GROUP_KEEP_GOING });
	for (int i = 0; i < CLIENTS; i++) {
		struct connection *connection = &house->connections[i];

		connection->house = house;
		error |= open_connection(connection);
		error |= rota_go(&house->guests, serve, connection);
		error |= rota_go(&house->visitors, listen_to_it, connection);
	}
	return error;
}

static int close_house(struct house *house)
{
	int error = 0;

	house->outcome = rota_group_wait(&house->guests);
	if (!house->reads_ns)
		rota_group_cancel(&house->visitors,
				  (struct rota_cancellation){ 0 });
	(void)rota_group_wait(&house->visitors);
	for (int i = 0; i < CLIENTS; i++)
		error |= rota_close(house->connections[i].client);
	return error;
}

static int run_echo(void *arg)
{
	struct house *house = arg;
	int error = open_house(house, echo);

	for (int i = 0; i < CLIENTS; i++)
		error |=
			rota_go(&house->visitors, talk, &house->connections[i]);
	return error | close_house(house);
}

static void expect_served(const struct connection *connection)
{
	assert_int_equal(connection->outcome, 0);
	assert_int_equal(connection->dropped, 0);
	assert_int_equal(connection->sent, LINES);
	assert_int_equal(connection->got, LINES * LINE);
	assert_in_range(connection->pending_max, 1, MEMORY);
}

static void who_never_reads_costs_fixed_memory_and_is_ended(void **state)
{
	struct house house = { .wanted = LINES * LINE };
	const struct connection *slow = &house.connections[SLOW];

	(void)state;
	assert_int_equal(test_run_timed(run_echo, &house), 0);
	for (int i = 0; i < CLIENTS; i++) {
		if (i == SLOW)
			continue;
		expect_served(&house.connections[i]);
		/* The slow one was no trouble to them. */
		assert_in_range(house.connections[i].served_ns, 0,
				ROTA_MILLISECOND);
	}
	assert_int_equal(slow->outcome, -ETIMEDOUT);
	assert_in_range(slow->ended_ns, PATIENCE_NS,
			PATIENCE_NS + ROTA_MILLISECOND);
	assert_in_range(slow->pending_max, MEMORY - LINE, MEMORY);
	assert_int_equal(slow->got, 0);
	/* It was not even heard any more. */
	assert_in_range(slow->sent, 1, LINES - 1);
	assert_int_equal(house.outcome, -ETIMEDOUT);
}

static void who_reads_late_but_in_time_gets_everything(void **state)
{
	struct house house = { .wanted = LINES * LINE,
			       .reads_ns = PATIENCE_NS - 1 };

	(void)state;
	assert_int_equal(test_run_timed(run_echo, &house), 0);
	for (int i = 0; i < CLIENTS; i++)
		expect_served(&house.connections[i]);
	assert_in_range(house.connections[SLOW].served_ns, PATIENCE_NS - 1,
			PATIENCE_NS + ROTA_MILLISECOND);
	assert_int_equal(house.outcome, 0);
}

/* A connection on which others write: until it is told to end. */
static int subscribe(void *value)
{
	struct connection *connection = *(struct connection **)value;
	const char goodbye[LINE] = "goodbye";
	char memory[MEMORY], byte;
	struct rota_shield shield;
	struct rota_output output;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_output_open(
		&output, connection->server,
		&(struct rota_output_options){ .group = &group,
					       .memory = memory,
					       .bytes = sizeof(memory) });
	connection->output = &output;
	if (!error)
		error = rota_recv(connection->server, &byte, 1, 0);
	rota_shield_begin(&shield, ROTA_SECOND);
	if (error == -ECANCELED)
		error = say(connection, goodbye, sizeof(goodbye));
	error = end_connection(connection, error);
	rota_shield_end(&shield);
	(void)rota_group_wait(&group);
	return error;
}

/* Tells all, and waits for nobody: who has no room misses it. */
static void tell_all(struct house *house, const char *line)
{
	for (int i = 0; i < CLIENTS; i++) {
		struct connection *connection = &house->connections[i];

		if (connection->output &&
		    rota_output_try_write(connection->output, line, LINE))
			connection->missed++;
	}
}

static int run_news(void *arg)
{
	struct house *house = arg;
	const char news[LINE] = "something has happened";
	int error = open_house(house, subscribe);

	for (int i = 0; i < LINES; i++) {
		error |= rota_sleep(ROTA_SECOND);
		tell_all(house, news);
	}
	rota_group_cancel(&house->guests, (struct rota_cancellation){ 0 });
	return error | close_house(house);
}

static void news_do_not_wait_for_who_does_not_read(void **state)
{
	struct house house = { .wanted = SIZE_MAX };
	const struct connection *slow = &house.connections[SLOW];
	const int64_t end_ns = LINES * ROTA_SECOND;

	(void)state;
	assert_int_equal(test_run_timed(run_news, &house), 0);
	for (int i = 0; i < CLIENTS; i++) {
		const struct connection *connection = &house.connections[i];

		if (i == SLOW)
			continue;
		assert_int_equal(connection->missed, 0);
		/* With the goodbye, which was said when all was over. */
		assert_int_equal(connection->got, (LINES + 1) * LINE);
		assert_int_equal(connection->outcome, 0);
		assert_in_range(connection->ended_ns, end_ns,
				end_ns + ROTA_MILLISECOND);
	}
	assert_in_range(slow->missed, 1, LINES - 1);
	/* The goodbye had to wait for room, until the grace was over. */
	assert_int_equal(slow->outcome, -ETIME);
	assert_in_range(slow->ended_ns, end_ns + ROTA_SECOND,
			end_ns + ROTA_SECOND + ROTA_MILLISECOND);
	assert_int_equal(slow->dropped, MEMORY);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_never_reads_costs_fixed_memory_and_is_ended),
		cmocka_unit_test(who_reads_late_but_in_time_gets_everything),
		cmocka_unit_test(news_do_not_wait_for_who_does_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
