/* SPDX-License-Identifier: MIT */
/*
 * What thousands of idle members hold: memory that is resident, stacks,
 * buffers. In real time.
 */
#include "rota/rota.h"
#include "support/process.h"
#include "support/run.h"
#include "support/served.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Connections that are there before it is measured, and all of them: two
 * descriptors each. */
#define FIRST 200u
#define ALL 5000u

/* At most, of each: measured are 515 to 532, of which 184 are its connection, 192
 * the task's record, 64 the kernel's side of the stream. */
#define BYTES_MAX 700

/* What is left of a connection while nothing comes. */
struct connection {
	struct rota_stream stream;
	struct seen *seen;
	int fd;
};

struct seen {
	struct rota_group group;
	struct connection *connections;
	int peers[ALL];
	unsigned open;     /* connections so far */
	unsigned messages; /* that were served */
	size_t first_bytes, all_bytes;
	unsigned stacks, buffers;
	int error;
};

static int serve(struct rota_stream *stream, void *arg)
{
	struct connection *connection = arg;
	struct rota_view view;
	const int n = rota_stream_view(stream, &view);

	if (n > 0) {
		connection->seen->messages++;
		return 0;
	}
	rota_stream_close(stream);
	return rota_close(connection->fd);
}

static int open_one(struct seen *seen)
{
	struct connection *connection = &seen->connections[seen->open];
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	connection->seen = seen;
	connection->fd = pair[0];
	seen->peers[seen->open++] = pair[1];
	error = rota_receive_stream_open(&connection->stream, pair[0], NULL);
	if (!error)
		error = rota_stream_serve(&seen->group, &connection->stream,
					  serve, connection);
	return error | (send(pair[1], "x", 1, 0) != 1);
}

/* Opens connections, each of which gets a message and is served. */
static int open_until(struct seen *seen, unsigned count)
{
	int error = 0;

	while (seen->open < count && !error) {
		error = open_one(seen);
		while (seen->messages < seen->open && !error)
			error = rota_sleep(ROTA_MICROSECOND);
	}
	return error;
}

static int be_idle(void *arg)
{
	struct seen *seen = arg;
	const struct ri_tasks *tasks;

	rota_group_open(&seen->group, NULL);
	seen->error = open_until(seen, FIRST);
	seen->first_bytes = test_process_resident_bytes();
	seen->error |= open_until(seen, ALL);
	seen->all_bytes = test_process_resident_bytes();
	tasks = ri_tasks_here();
	seen->stacks = test_stacks_used();
	seen->buffers = tasks->shots.buffers.out;
	for (unsigned i = 0; i < seen->open; i++)
		close(seen->peers[i]);
	return rota_group_wait(&seen->group);
}

static void raise_limit(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < 2 * ALL + 64)
		test_skip("RLIMIT_NOFILE is too low");
}

static void thousands_of_idle_members_hold_only_their_records(void **state)
{
	static struct seen seen;

	(void)state;
	raise_limit();
	seen.connections = calloc(ALL, sizeof(*seen.connections));
	assert_non_null(seen.connections);
	assert_int_equal(test_run(be_idle, &seen), 0);
	free(seen.connections);
	assert_int_equal(seen.error, 0);
	assert_int_equal(seen.messages, ALL);
	assert_int_equal(seen.stacks, 2);
	assert_int_equal(seen.buffers, 0);
	print_message("%zu bytes each\n",
		      (seen.all_bytes - seen.first_bytes) / (ALL - FIRST));
	if (!RI_SANITIZED)
		assert_in_range((seen.all_bytes - seen.first_bytes) /
					(ALL - FIRST),
				1, BYTES_MAX);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			thousands_of_idle_members_hold_only_their_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
