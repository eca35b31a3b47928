/* SPDX-License-Identifier: MIT */
#include "support/race.h"

#include "support/process.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static struct race *race_of(const struct ri_kernel *table)
{
	return ri_container(table, struct race, kernel.table);
}

static int (*forward_enter)(const struct ri_kernel *table,
			    const struct ri_enter *call);

/* Counts the cancels of an enter, and spoils some: they name nothing. */
static int watch_enter(const struct ri_kernel *table,
		       const struct ri_enter *call)
{
	struct race *race = race_of(table);
	const struct io_uring_sq *sq = &race->kernel.arrivals.ring->sq;
	const unsigned head = *sq->khead;

	for (unsigned i = 0; i < call->submit; i++) {
		struct io_uring_sqe *entry =
			&sq->sqes[(head + i) & (sq->ring_entries - 1)];

		if (entry->opcode != IORING_OP_ASYNC_CANCEL)
			continue;
		race->cancels++;
		if (race->sabotaged) {
			race->sabotaged--;
			entry->addr = 1;
		}
	}
	return forward_enter(table, call);
}

/* Holds nothing, but counts the misses. */
bool race_hold_nothing(void *context, const struct test_arrival *arrival)
{
	struct race *race = context;

	race->misses += arrival->opcode == IORING_OP_ASYNC_CANCEL;
	return false;
}

/* Holds the victim's completion. */
bool race_hold_victim(void *context, const struct test_arrival *arrival)
{
	const struct race *race = context;

	race_hold_nothing(context, arrival);
	return arrival->opcode == race->verb->opcode;
}

bool race_hold_everything(void *context, const struct test_arrival *arrival)
{
	race_hold_nothing(context, arrival);
	return true;
}

/* Some whole turns of the loop. */
int race_settle(void)
{
	return rota_sleep(1) | rota_sleep(1) | rota_sleep(1);
}

int race_open_pair(struct race *race)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	race->fd = pair[0];
	race->peer = pair[1];
	return 0;
}

static int open_listener(struct race *race)
{
	/* An abstract address, which the kernel chooses. */
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t bytes = sizeof(sa_family_t);

	race->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	race->peer = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(race->fd, (struct sockaddr *)&address, bytes) ||
	    listen(race->fd, 5))
		return -errno;
	return 0;
}

static int call_read(struct race *race)
{
	char byte;

	return rota_read(race->fd, &byte, 1);
}

static int call_recv(struct race *race)
{
	char byte;

	return rota_recv(race->fd, &byte, 1, 0);
}

static int call_accept(struct race *race)
{
	return rota_accept(race->fd);
}

static int call_poll(struct race *race)
{
	const int events = rota_poll(race->fd, POLLIN);

	return events == POLLIN ? 1 : events;
}

int race_send_byte(struct race *race)
{
	return write(race->peer, "x", 1) == 1 ? 0 : -errno;
}

static int connect_peer(struct race *race)
{
	struct sockaddr_un address;
	socklen_t bytes = sizeof(address);

	if (getsockname(race->fd, (struct sockaddr *)&address, &bytes) ||
	    connect(race->peer, (struct sockaddr *)&address, bytes))
		return -errno;
	return 0;
}

static bool byte_remains(struct race *race)
{
	char byte;

	return recv(race->fd, &byte, 1, MSG_DONTWAIT) == 1;
}

static bool connection_remains(struct race *race)
{
	struct pollfd readable = { .fd = race->fd, .events = POLLIN };
	int fd;

	if (poll(&readable, 1, 0) != 1)
		return false;
	fd = accept4(race->fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	return true;
}

const struct race_verb race_verbs[RACE_VERBS] = {
	{ "read", race_open_pair, call_read, race_send_byte, byte_remains,
	  false, IORING_OP_READ, 0 },
	{ "recv", race_open_pair, call_recv, race_send_byte, byte_remains,
	  false, IORING_OP_RECV, 0 },
	{ "accept", open_listener, call_accept, connect_peer,
	  connection_remains, true, IORING_OP_ACCEPT, 0 },
	{ "poll", race_open_pair, call_poll, race_send_byte, byte_remains,
	  false, IORING_OP_POLL_ADD, 0 },
};

/* The victim. */
static int call_verb(void *value)
{
	struct race *race = *(struct race **)value;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, race->deadline_ns);
	race->result = race->verb->call(race);
	race->returned = true;
	rota_deadline_end(&deadline);
	if (race->verb->gives_descriptor && race->result >= 0)
		close(race->result);
	return 0;
}

int race_interrupt(struct race *race)
{
	int error = 0;

	switch (race->by) {
	case RACE_CANCEL:
		rota_group_cancel(&race->group,
				  (struct rota_cancellation){ 0 });
		break;
	case RACE_DEADLINE:
		return rota_sleep_until(RACE_DEADLINE_NS);
	case RACE_CLOSE:
		error = rota_close(race->fd);
		race->fd = -1;
		break;
	}
	return error;
}

static bool loop_is_clean(void)
{
	const struct ri_tasks *tasks = ri_tasks_here();

	for (unsigned i = 0; i < RI_DESCRIPTOR_BUCKETS; i++)
		if (tasks->descriptors[i])
			return false;
	return !tasks->loop.in_flight && !tasks->parked &&
	       ri_wheel_empty(&tasks->loop.wheel) &&
	       ri_list_empty(&tasks->sweeps) &&
	       ri_fifo_empty(&tasks->cancels) && ri_fifo_empty(&tasks->retries);
}

/* The director is outside of the victim's group, so that a cancel does not
 * reach it: the group's owner is a task of its own. */
static int own_group(void *value)
{
	struct race *race = *(struct race **)value;
	int error;

	rota_group_open(&race->group, NULL);
	error = rota_go(&race->group, call_verb, race);
	(void)rota_group_wait(&race->group);
	return error;
}

static int direct(struct race *race, int (*script)(struct race *))
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, own_group, race);
	if (!error)
		error = script(race);
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	test_kernel_release_all(&race->kernel);
	error |= rota_group_wait(&group);
	/* Late answers to cancels. */
	error |= race_settle();
	race->clean = loop_is_clean();
	return error;
}

struct performance {
	struct race *race;
	int (*script)(struct race *);
};

static int perform(void *arg)
{
	const struct performance *performance = arg;

	return direct(performance->race, performance->script);
}

void race_run(struct race *race, const struct race_verb *verb,
	      enum race_interruption by, int (*script)(struct race *))
{
	struct performance performance = { race, script };
	const unsigned descriptors = test_process_descriptors();
	int error;

	memset(race, 0, sizeof(*race));
	race->verb = verb;
	race->by = by;
	race->deadline_ns = by == RACE_DEADLINE ? RACE_DEADLINE_NS : ROTA_NEVER;
	test_kernel_init(&race->kernel);
	test_kernel_clock(&race->kernel, RACE_START_NS);
	test_kernel_hold(&race->kernel, race_hold_nothing, race);
	race->kernel.patience_ns = verb->patience_ns;
	forward_enter = race->kernel.table.enter;
	race->kernel.table.enter = watch_enter;
	assert_int_equal(verb->prepare(race), 0);
	error = test_run_with(NULL, &race->kernel.table, perform, &performance);
	if (race->fd >= 0)
		close(race->fd);
	if (race->peer >= 0)
		close(race->peer);
	if (error || !race->clean)
		print_error("%s, by %d\n", verb->name, by);
	assert_int_equal(error, 0);
	assert_true(race->clean);
	assert_true(race->returned);
	assert_int_equal(test_kernel_left(&race->kernel), 0);
	assert_int_equal(test_process_descriptors(), descriptors);
}
