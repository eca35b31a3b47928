/* SPDX-License-Identifier: MIT */
/*
 * One operation that completes, is cancelled, is late and has its descriptor
 * closed, in every order that can be forced: its completion is held back, and
 * so is what the kernel says to the cancel.
 *
 * Each race is one engine of its own. Its first task is the director: it has
 * the clock and the completions in its hand, and lets the loop make whole turns
 * by sleeping for one nanosecond.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/process.h"
#include "support/run.h"
#include "task/task.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS (1000 * ROTA_SECOND)

struct race;

/* Something that waits in the kernel. */
struct verb {
	const char *name;
	/* Opens what it needs; 0 or -errno. */
	int (*prepare)(struct race *race);
	/* The verb, in a task. */
	int (*call)(struct race *race);
	/* From outside: gives it what it waits for. */
	int (*complete)(struct race *race);
	/* Is what it waited for still there? Takes it. NULL: not to be seen. */
	bool (*remains)(struct race *race);
	bool gives_descriptor; /* its result is one */
	int opcode;
	int64_t patience_ns; /* it runs on another thread */
};

enum interruption {
	BY_CANCEL,
	BY_DEADLINE,
	BY_CLOSE
};

/* What the code is that each of them gives. */
static const int codes[] = { -ECANCELED, -ETIME, -EBADF };

struct race {
	struct test_kernel kernel;
	const struct verb *verb;
	enum interruption by;
	struct rota_group group; /* the victim's */
	int fd;                  /* what the verb works on */
	int peer;                /* the other end */
	char path[64];           /* of a fifo */
	bool returned;           /* the verb has */
	int result;              /* what */
	unsigned misses;         /* cancels that the kernel could not do */
	unsigned cancels;        /* cancels that were submitted */
	unsigned sabotaged;      /* cancels still to be spoiled */
	bool early;     /* it returned while its completion was held back */
	bool remained;  /* what it waited for was still there */
	unsigned held;  /* completions held at the turning point */
	bool clean;     /* nothing was left in the loop at the end */
	bool rest_done; /* for races of two operations */
};

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
static bool count_misses(void *context, const struct test_arrival *arrival)
{
	struct race *race = context;

	race->misses += arrival->opcode == IORING_OP_ASYNC_CANCEL;
	return false;
}

/* Holds the victim's completion. */
static bool hold_victim(void *context, const struct test_arrival *arrival)
{
	const struct race *race = context;

	count_misses(context, arrival);
	return arrival->opcode == race->verb->opcode;
}

static bool hold_everything(void *context, const struct test_arrival *arrival)
{
	count_misses(context, arrival);
	return true;
}

/* Some whole turns of the loop. */
static int settle(void)
{
	return rota_sleep(1) | rota_sleep(1) | rota_sleep(1);
}

static int open_pair(struct race *race)
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

static int make_fifo(struct race *race)
{
	snprintf(race->path, sizeof(race->path), "/tmp/rota-race-%d",
		 (int)getpid());
	unlink(race->path);
	race->fd = -1;
	race->peer = -1;
	return mkfifo(race->path, 0600) ? -errno : 0;
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
	return rota_poll(race->fd, POLLIN) == POLLIN ? 1 : rota_cancelled();
}

static int call_open(struct race *race)
{
	/* With O_CREAT it goes to a thread, which waits for a writer. */
	return rota_open(race->path, O_RDONLY | O_CREAT, 0600);
}

static int send_byte(struct race *race)
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

static int open_writer(struct race *race)
{
	race->peer = open(race->path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	return race->peer < 0 ? -errno : 0;
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

static const struct verb verbs[] = {
	{ "read", open_pair, call_read, send_byte, byte_remains, false,
	  IORING_OP_READ, 0 },
	{ "recv", open_pair, call_recv, send_byte, byte_remains, false,
	  IORING_OP_RECV, 0 },
	{ "accept", open_listener, call_accept, connect_peer,
	  connection_remains, true, IORING_OP_ACCEPT, 0 },
	{ "poll", open_pair, call_poll, send_byte, byte_remains, false,
	  IORING_OP_POLL_ADD, 0 },
};

/* Its worker is a thread: what it does cannot be held in every order. */
static const struct verb open_fifo = {
	"open", make_fifo, call_open,        open_writer,
	NULL,   true,      IORING_OP_OPENAT, 20 * ROTA_MILLISECOND
};

/* The victim. */
static int call_verb(void *value)
{
	struct race *race = *(struct race **)value;
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, race->by == BY_DEADLINE
					       ? START_NS + ROTA_SECOND
					       : ROTA_NEVER);
	race->result = race->verb->call(race);
	race->returned = true;
	rota_deadline_end(&deadline);
	if (race->verb->gives_descriptor && race->result >= 0)
		close(race->result);
	return 0;
}

static int interrupt_victim(struct race *race)
{
	int error = 0;

	switch (race->by) {
	case BY_CANCEL:
		rota_group_cancel(&race->group, (struct rota_cause){ 0 });
		break;
	case BY_DEADLINE:
		return rota_sleep_until(START_NS + ROTA_SECOND);
	case BY_CLOSE:
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
	       ri_list_empty(&tasks->cancels) && ri_list_empty(&tasks->retries);
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
	test_kernel_hold(&race->kernel, count_misses, race);
	test_kernel_release_all(&race->kernel);
	error |= rota_group_wait(&group);
	/* Late answers to cancels. */
	error |= settle();
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

static void run_race(struct race *race, const struct verb *verb,
		     enum interruption by, int (*script)(struct race *))
{
	struct performance performance = { race, script };
	const unsigned descriptors = test_process_descriptors();
	int error;

	memset(race, 0, sizeof(*race));
	race->verb = verb;
	race->by = by;
	test_kernel_init(&race->kernel);
	test_kernel_clock(&race->kernel, START_NS);
	test_kernel_hold(&race->kernel, count_misses, race);
	race->kernel.patience_ns = verb->patience_ns;
	forward_enter = race->kernel.table.enter;
	race->kernel.table.enter = watch_enter;
	assert_int_equal(verb->prepare(race), 0);
	error = test_run_with(NULL, &race->kernel.table, perform, &performance);
	if (race->fd >= 0)
		close(race->fd);
	if (race->peer >= 0)
		close(race->peer);
	if (race->path[0])
		unlink(race->path);
	if (error || !race->clean)
		print_error("%s, by %d\n", verb->name, by);
	assert_int_equal(error, 0);
	assert_true(race->clean);
	assert_true(race->returned);
	assert_int_equal(test_kernel_left(&race->kernel), 0);
	assert_int_equal(test_process_descriptors(), descriptors);
}

#define FOR_EACH_RACE(race, script)                                      \
	for (size_t v_ = 0; v_ < sizeof(verbs) / sizeof(verbs[0]); v_++) \
		for (enum interruption by_ = BY_CANCEL;                  \
		     by_ <= BY_CLOSE &&                                  \
		     (run_race((race), &verbs[v_], by_, (script)), 1);   \
		     by_++)

static int complete_then_interrupt(struct race *race)
{
	int error = settle();

	test_kernel_hold(&race->kernel, hold_victim, race);
	error |= race->verb->complete(race) | settle();
	race->held = test_kernel_held(&race->kernel);
	error |= interrupt_victim(race) | settle();
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | settle();
}

static void a_completion_beats_the_cancel_that_comes_after_it(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, complete_then_interrupt)
	{
		assert_int_equal(race.held, 1);
		assert_false(race.early);
		assert_true(race.result >= 0);
		assert_true(race.misses > 0);
	}
}

static int interrupt_then_complete(struct race *race)
{
	int error = settle();

	test_kernel_hold(&race->kernel, hold_victim, race);
	error |= interrupt_victim(race) | settle();
	race->held = test_kernel_held(&race->kernel);
	race->early = race->returned;
	if (race->by != BY_CLOSE) {
		error |= race->verb->complete(race) | settle();
		race->remained = race->verb->remains(race);
	}
	test_kernel_release_all(&race->kernel);
	return error | settle();
}

static void a_cancel_that_won_took_nothing(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, interrupt_then_complete)
	{
		assert_int_equal(race.held, 1);
		assert_false(race.early);
		assert_int_equal(race.result, codes[race.by]);
		assert_int_equal(race.misses, 0);
		assert_int_equal(race.cancels, 1);
		assert_true(race.remained || race.by == BY_CLOSE);
	}
}

/* The victim's entry and its cancel go out together. */
static int interrupt_in_one_batch(struct race *race)
{
	int error = 0;

	if (race->by == BY_DEADLINE)
		race->kernel.clock_ns = START_NS + ROTA_SECOND - 1;
	rota_yield(); /* the owner runs ... */
	rota_yield(); /* ... and the victim: its entry is filled in */
	error |= ri_tasks_here()->loop.in_flight != 1;
	error |= ri_tasks_here()->loop.ring.submitted != 0;
	error |= interrupt_victim(race);
	return error | settle();
}

static void an_operation_is_cancelled_in_its_own_batch(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, interrupt_in_one_batch)
	{
		assert_int_equal(race.result, codes[race.by]);
		assert_true(race.cancels <= 1);
	}
}

/* It is ready already when the batch with both goes out. */
static int complete_and_interrupt_in_one_batch(struct race *race)
{
	int error = race->verb->complete(race);

	rota_yield();
	rota_yield();
	error |= interrupt_victim(race);
	return error | settle();
}

static void what_is_there_before_its_batch_goes_out_is_delivered(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, complete_and_interrupt_in_one_batch)
	assert_true(race.result >= 0);
}

static int interrupt_in_all_ways(struct race *race)
{
	const enum interruption first = race->by;
	int error = settle();

	test_kernel_hold(&race->kernel, hold_victim, race);
	error |= interrupt_victim(race) | settle();
	for (race->by = BY_CANCEL; race->by <= BY_CLOSE; race->by++)
		if (race->by != first && race->fd >= 0)
			error |= interrupt_victim(race) | settle();
	race->by = first;
	test_kernel_release_all(&race->kernel);
	return error | settle();
}

static void however_often_it_is_interrupted_one_cancel_goes_out(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, interrupt_in_all_ways)
	{
		assert_int_equal(race.cancels, 1);
		/* The group is outermost, and a scope goes before a close. */
		assert_int_equal(race.result, -ECANCELED);
	}
}

static int spoil_three_cancels(struct race *race)
{
	int error = settle();

	race->sabotaged = 3;
	error |= interrupt_victim(race) | settle();
	race->early = race->returned;
	race->held = race->misses;
	return error | rota_sleep(10 * ROTA_SECOND);
}

static void a_cancel_that_missed_is_tried_again(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, spoil_three_cancels)
	{
		assert_false(race.early);
		assert_int_equal(race.held, 1);
		assert_int_equal(race.misses, 3);
		assert_int_equal(race.cancels, 4);
		assert_int_equal(race.result, codes[race.by]);
	}
}

/* Another operation's misses must not make a later retry come late. */
static int spoil_one(struct race *race)
{
	int error = settle();

	race->sabotaged = 1;
	error |= interrupt_victim(race) | settle();
	error |= rota_sleep(ROTA_SECOND);
	race->early = race->returned;
	return error;
}

static void a_retry_comes_within_a_second(void **state)
{
	struct race race;

	(void)state;
	FOR_EACH_RACE(&race, spoil_one)
	assert_true(race.early);
}

static int miss_with_ealready(struct race *race)
{
	int error = settle();

	test_kernel_hold(&race->kernel, hold_everything, race);
	error |= race->verb->complete(race) | settle();
	error |= interrupt_victim(race) | settle();
	race->held = test_kernel_held(&race->kernel);
	if (race->held == 2) {
		test_kernel_held_at(&race->kernel, 1)->res = -EALREADY;
		test_kernel_release(&race->kernel, 1);
	}
	error |= rota_sleep(ROTA_SECOND);
	/* It was asked again, as the completion has not come. */
	race->remained = race->cancels > 1;
	test_kernel_hold(&race->kernel, count_misses, race);
	test_kernel_release_all(&race->kernel);
	return error | settle();
}

static void an_operation_that_runs_is_asked_again_and_delivered(void **state)
{
	struct race race;

	(void)state;
	for (size_t v = 0; v < sizeof(verbs) / sizeof(verbs[0]); v++) {
		run_race(&race, &verbs[v], BY_CANCEL, miss_with_ealready);
		assert_int_equal(race.held, 2);
		assert_true(race.remained);
		assert_true(race.result >= 0);
	}
}

/* A late answer to a cancel meets the next operation of the same task. */
static int call_twice(struct race *race)
{
	struct rota_deadline deadline;
	int first;

	rota_deadline_begin(&deadline, START_NS + ROTA_SECOND);
	first = call_recv(race);
	rota_deadline_end(&deadline);
	race->rest_done = first == 1;
	return call_recv(race);
}

static const struct verb recv_twice = { "recv twice",   open_pair, call_twice,
					send_byte,      NULL,      false,
					IORING_OP_RECV, 0 };

static int answer_late(struct race *race)
{
	int error = settle();

	test_kernel_hold(&race->kernel, hold_everything, race);
	error |= send_byte(race) | settle();
	error |= rota_sleep_until(START_NS + ROTA_SECOND) | settle();
	race->held = test_kernel_held(&race->kernel);
	test_kernel_release(&race->kernel, 0);
	error |= settle();
	/* It is in its second receive now. */
	test_kernel_release_all(&race->kernel);
	error |= rota_sleep(10 * ROTA_SECOND);
	race->early = race->returned;
	test_kernel_hold(&race->kernel, count_misses, race);
	return error | send_byte(race) | settle();
}

static void
a_late_answer_to_a_cancel_does_not_meet_the_next_operation(void **state)
{
	struct race race;

	(void)state;
	run_race(&race, &recv_twice, BY_CANCEL, answer_late);
	assert_int_equal(race.held, 2);
	assert_true(race.rest_done);
	assert_false(race.early);
	assert_int_equal(race.result, 1);
	assert_int_equal(race.cancels, 1);
}

/* Opening a fifo without a writer blocks a thread of the kernel's. */
static int interrupt_thread(struct race *race)
{
	int error = settle();

	race->early = race->returned;
	return error | interrupt_victim(race);
}

static void a_thread_that_blocks_for_it_is_interrupted(void **state)
{
	struct race race;

	(void)state;
	run_race(&race, &open_fifo, BY_CANCEL, interrupt_thread);
	assert_false(race.early);
	assert_int_equal(race.result, -ECANCELED);
	run_race(&race, &open_fifo, BY_DEADLINE, interrupt_thread);
	assert_false(race.early);
	assert_int_equal(race.result, -ETIME);
}

static void a_descriptor_opened_before_the_cancel_is_delivered(void **state)
{
	struct race race;

	(void)state;
	run_race(&race, &open_fifo, BY_CANCEL, complete_then_interrupt);
	assert_int_equal(race.held, 1);
	assert_false(race.early);
	assert_true(race.result >= 0);
}

/* A sleep is not in the kernel: its two ends meet in one turn. */
static int sleep_here(struct race *race)
{
	(void)race;
	return rota_sleep_until(START_NS + 3 * ROTA_SECOND);
}

static const struct verb sleep_verb = { "sleep", make_fifo, sleep_here, NULL,
					NULL,    false,     -1,         0 };

static int wake_before_cancel(struct race *race)
{
	/* Armed before the victim's, so this one is ready first. */
	const int error = rota_sleep_until(START_NS + 3 * ROTA_SECOND);

	race->early = race->returned;
	return error | interrupt_victim(race);
}

static int cancel_before_wake(struct race *race)
{
	const int error = rota_sleep_until(START_NS + 3 * ROTA_SECOND - 1);

	race->kernel.clock_ns = START_NS + 3 * ROTA_SECOND;
	return error | interrupt_victim(race);
}

static void a_sleep_that_is_over_is_not_undone_by_a_cancel(void **state)
{
	struct race race;

	(void)state;
	run_race(&race, &sleep_verb, BY_CANCEL, wake_before_cancel);
	assert_false(race.early);
	assert_int_equal(race.result, 0);
	run_race(&race, &sleep_verb, BY_CANCEL, cancel_before_wake);
	assert_int_equal(race.result, -ECANCELED);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_completion_beats_the_cancel_that_comes_after_it),
		cmocka_unit_test(a_cancel_that_won_took_nothing),
		cmocka_unit_test(an_operation_is_cancelled_in_its_own_batch),
		cmocka_unit_test(
			what_is_there_before_its_batch_goes_out_is_delivered),
		cmocka_unit_test(
			however_often_it_is_interrupted_one_cancel_goes_out),
		cmocka_unit_test(a_cancel_that_missed_is_tried_again),
		cmocka_unit_test(a_retry_comes_within_a_second),
		cmocka_unit_test(
			an_operation_that_runs_is_asked_again_and_delivered),
		cmocka_unit_test(
			a_late_answer_to_a_cancel_does_not_meet_the_next_operation),
		cmocka_unit_test(a_thread_that_blocks_for_it_is_interrupted),
		cmocka_unit_test(
			a_descriptor_opened_before_the_cancel_is_delivered),
		cmocka_unit_test(
			a_sleep_that_is_over_is_not_undone_by_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
