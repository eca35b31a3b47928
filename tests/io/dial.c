/* SPDX-License-Identifier: MIT */
/*
 * Dialling names: addresses are raced, under a clock of the test's. All of them
 * are on this machine: 127.0.0.0/8 is.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/hosts.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "support/timed.h"

#include <liburing.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* What stands at one address: */
#define ANSWERS "127.0.0.2"
#define ANSWERS_TOO "127.0.0.3"
#define SILENT "127.0.0.4"
#define SILENT_TOO "127.0.0.5"
#define REFUSES "127.0.0.6"
#define REFUSES_TOO "127.0.0.7"

/* How long a wait looks for what is on its way over the loopback. */
#define PATIENCE_NS (5 * ROTA_MILLISECOND)

#define NEVER_NS INT64_MAX

struct town {
	struct test_hosts hosts;
	uint16_t port;           /* of all of them */
	int sixth;               /* a listener on ::1, or < 0: no IPv6 */
	int listeners[4];        /* those that answer, then the silent */
	int crowd[4];            /* what made them silent */
	int64_t deadline_ns;     /* of the dial, from its start */
	int result;              /* of the dial: 0 if it is a descriptor */
	int64_t took_ns;         /* how long it took */
	char peer[64];           /* whom it reached */
	unsigned attempts;       /* sockets that were made for it */
	unsigned threads;        /* started for it */
	int hold;                /* the opcode that is held back */
	unsigned left;           /* descriptors that it left behind */
	struct rota_group group; /* it is in */
	int code;                /* of the steps around it */
	void (*meanwhile)(struct town *town); /* before it is waited for */
};

/* The clock stands while a name is looked up that somebody waits for. */
static void await_names(struct test_kernel *kernel, void *context)
{
	const struct timespec pause = { .tv_nsec = 50000 };
	struct ri_offload *pool = ri_tasks_here()->offload;
	bool busy = true;

	(void)kernel;
	(void)context;
	while (busy) {
		pthread_mutex_lock(&pool->mutex);
		busy = pool->lookups_queued || pool->looking > pool->left;
		pthread_mutex_unlock(&pool->mutex);
		if (busy)
			nanosleep(&pause, NULL);
	}
}

static struct town *new_town(const char *addresses)
{
	static struct town town;

	memset(&town, 0, sizeof(town));
	test_hosts_init(&town.hosts);
	test_kernel_clock(&town.hosts.kernel, TEST_START_NS);
	town.hosts.kernel.patience_ns = PATIENCE_NS;
	town.hosts.kernel.on_idle = await_names;
	town.deadline_ns = NEVER_NS;
	if (addresses)
		test_hosts_add(&town.hosts, "a.test", addresses);
	return &town;
}

static uint16_t port_of(int listener)
{
	struct rota_address address;

	return rota_local_address(listener, &address)
		       ? 0
		       : ntohs(address.v4.sin_port);
}

/* All on one port: false if somebody else has it on one of them. */
static bool listen_to_all(struct town *town)
{
	static const char *const addresses[] = { ANSWERS, ANSWERS_TOO, SILENT,
						 SILENT_TOO };
	const struct rota_listen_options options = { .backlog = 1 };
	bool fine = true;

	town->port = 0;
	for (int i = 0; i < 4; i++) {
		const int fd = rota_listen(addresses[i], town->port, &options);

		town->listeners[i] = fd;
		fine = fine && fd >= 0;
		if (i == 0)
			town->port = port_of(fd);
	}
	for (int i = 0; i < 4 && !fine; i++)
		if (town->listeners[i] >= 0)
			rota_close(town->listeners[i]);
	return fine;
}

/* A backlog of 1 holds two that nobody accepts; what comes then is dropped. */
static void build(struct town *town)
{
	/* The eventfd that wakes the loop, on older kernels, stays open. */
	town->code = ri_loop_listen(ri_loop_here);
	while (!listen_to_all(town))
		;
	town->sixth = rota_listen("::1", town->port, NULL);
	for (int i = 0; i < 4; i++)
		town->crowd[i] =
			rota_dial(i < 2 ? SILENT : SILENT_TOO, town->port);
}

static void leave(struct town *town)
{
	if (town->sixth >= 0)
		rota_close(town->sixth);
	for (int i = 0; i < 4; i++) {
		rota_close(town->crowd[i]);
		rota_close(town->listeners[i]);
	}
}

static void note(struct town *town, int fd)
{
	struct rota_address peer;

	town->result = fd < 0 ? fd : 0;
	if (fd < 0)
		return;
	if (rota_peer_address(fd, &peer) ||
	    rota_address_print(&peer, town->peer, sizeof(town->peer)) < 0)
		town->result = -EPROTO;
	*strrchr(town->peer, ':') = '\0';
	rota_close(fd);
}

static int dial(void *value)
{
	struct town *town = *(struct town **)value;
	const unsigned *attempts = &town->hosts.kernel.calls[TEST_SET_OPTION];
	const unsigned descriptors = test_process_descriptors();
	const unsigned before = *attempts;
	const int64_t start_ns = rota_now_ns();
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, town->deadline_ns == NEVER_NS
					       ? ROTA_NEVER
					       : start_ns + town->deadline_ns);
	note(town, rota_dial("a.test", town->port));
	rota_deadline_end(&deadline);
	town->took_ns = rota_now_ns() - start_ns;
	town->attempts = *attempts - before;
	town->left = test_process_descriptors() - descriptors;
	town->threads = ri_tasks_here()->offload->threads;
	return 0;
}

static int dial_in_town(void *arg)
{
	struct town *town = arg;

	build(town);
	rota_group_open(&town->group, NULL);
	town->code |= rota_go(&town->group, dial, town);
	if (town->meanwhile)
		town->meanwhile(town);
	town->code |= rota_group_wait(&town->group);
	leave(town);
	return 0;
}

/* What the dial came to. */
static int visit_with(struct town *town, const struct rota_config *config)
{
	assert_int_equal(test_run_with(config, &town->hosts.kernel.table,
				       dial_in_town, town),
			 0);
	assert_int_equal(test_kernel_left(&town->hosts.kernel), 0);
	assert_int_equal(atomic_load(&town->hosts.answers), 0);
	assert_int_equal(town->left, 0);
	return town->result;
}

static int visit(struct town *town)
{
	/* That the end waits for a look-up is not what is asked here. */
	const struct rota_config config = { .log = test_log_nothing };

	return visit_with(town, &config);
}

static void assert_reached(const struct town *town, const char *address,
			   int64_t took_ns)
{
	assert_string_equal(town->peer, address);
	assert_int_equal(town->took_ns, took_ns);
	assert_int_equal(town->code, 0);
}

static void a_name_with_one_address_is_dialled_without_a_race(void **state)
{
	/* The first task, and the one that dials. */
	const struct rota_config config = { .tasks_max = 2 };
	struct town *town = new_town(ANSWERS);

	(void)state;
	assert_int_equal(visit_with(town, &config), 0);
	assert_reached(town, ANSWERS, 0);
	assert_int_equal(town->attempts, 1);
	assert_int_equal(town->threads, 1);
}

static void the_first_address_wins_if_it_answers_at_once(void **state)
{
	struct town *town = new_town(ANSWERS " " ANSWERS_TOO);

	(void)state;
	assert_int_equal(visit(town), 0);
	assert_reached(town, ANSWERS, 0);
	assert_int_equal(town->attempts, 1);
}

static void after_one_that_refuses_the_next_is_tried_at_once(void **state)
{
	struct town *town = new_town(REFUSES " " REFUSES_TOO " " ANSWERS);

	(void)state;
	assert_int_equal(visit(town), 0);
	assert_reached(town, ANSWERS, 0);
	assert_int_equal(town->attempts, 3);
}

static void each_that_does_not_answer_has_250_ms(void **state)
{
	struct town *town = new_town(SILENT " " SILENT_TOO " " ANSWERS);

	(void)state;
	assert_int_equal(visit(town), 0);
	assert_reached(town, ANSWERS, 500 * ROTA_MILLISECOND);
	assert_int_equal(town->attempts, 3);
}

static void families_are_tried_in_turn(void **state)
{
	struct town *town = new_town(SILENT " " SILENT_TOO " ::1");

	(void)state;
	assert_int_equal(visit(town), 0);
	if (town->sixth < 0)
		test_skip("there is no IPv6");
	assert_reached(town, "[::1]", 250 * ROTA_MILLISECOND);
}

/* An attempt that fails in a way of its own, before it connects. */
static void forbid(struct town *town, unsigned nth)
{
	test_kernel_fail(&town->hosts.kernel,
			 &(struct test_fault){ .call = TEST_SET_OPTION,
					       .nth = nth,
					       .error = -EPERM });
}

static void forbid_first(struct town *town)
{
	forbid(town, 1);
}

static void forbid_second(struct town *town)
{
	forbid(town, 2);
}

static void of_all_that_fail_the_last_error_is_told(void **state)
{
	struct town *town = new_town(REFUSES " " REFUSES_TOO);

	(void)state;
	town->meanwhile = forbid_first;
	assert_int_equal(visit(town), -ECONNREFUSED);
	assert_int_equal(town->took_ns, 0);
	assert_int_equal(town->attempts, 2);
	town = new_town(REFUSES " " REFUSES_TOO);
	town->meanwhile = forbid_second;
	assert_int_equal(visit(town), -EPERM);
}

static void of_hundreds_sixteen_are_tried(void **state)
{
	char text[300 * 12] = "";
	struct town *town;
	size_t length = 0;

	(void)state;
	for (unsigned i = 0; i < 299; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "127.2.%u.%u ", i / 256, i % 256);
	snprintf(text + length, sizeof(text) - length, REFUSES);
	town = new_town(text);
	assert_int_equal(visit(town), -ECONNREFUSED);
	assert_int_equal(town->attempts, 16);
}

static void a_deadline_ends_it_wherever_it_is(void **state)
{
	static const int64_t points_ms[] = {
		0, 1, 249, 250, 251, 499, 501, 1000
	};

	(void)state;
	for (size_t i = 0; i < sizeof(points_ms) / sizeof(*points_ms); i++) {
		struct town *town =
			new_town(SILENT " " SILENT_TOO " " REFUSES " " ANSWERS);
		const bool late = points_ms[i] < 500;

		town->deadline_ns = points_ms[i] * ROTA_MILLISECOND;
		assert_int_equal(visit(town), late ? -ETIME : 0);
		assert_int_equal(town->took_ns, late ? town->deadline_ns
						     : 500 * ROTA_MILLISECOND);
	}
}

static void a_deadline_is_told_rather_than_what_failed_before(void **state)
{
	struct town *town = new_town(REFUSES " " SILENT);

	(void)state;
	town->deadline_ns = 100 * ROTA_MILLISECOND;
	assert_int_equal(visit(town), -ETIME);
	assert_int_equal(town->attempts, 2);
}

static void cancel(struct town *town)
{
	town->code |= rota_sleep(300 * ROTA_MILLISECOND);
	rota_group_cancel(&town->group,
			  (struct rota_cancellation){ -EIO, "enough" });
}

static void a_cancel_ends_it_with_the_code_of_the_scope(void **state)
{
	struct town *town = new_town(SILENT " " SILENT_TOO " " SILENT);

	(void)state;
	town->meanwhile = cancel;
	assert_int_equal(visit(town), -ECANCELED);
	assert_int_equal(town->took_ns, 300 * ROTA_MILLISECOND);
	assert_int_equal(town->attempts, 2);
	assert_int_equal(town->code, -EIO);
}

static void cancel_look_up(struct town *town)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	town->code |= rota_yield();
	test_valve_await(&town->hosts.valve, 1);
	rota_group_cancel(&town->group, (struct rota_cancellation){ 0 });
	while (!town->result)
		(void)!rota_sleep(1);
	test_valve_open(&town->hosts.valve);
	rota_shield_end(&shield);
}

static void a_cancel_ends_it_while_the_name_is_looked_up(void **state)
{
	struct town *town = new_town(ANSWERS);

	(void)state;
	town->hosts.list[0].slow = true;
	town->meanwhile = cancel_look_up;
	assert_int_equal(visit(town), -ECANCELED);
	assert_int_equal(town->attempts, 0);
}

/* What connects is not told before the clock says so. */
static void hold_connects(struct town *town)
{
	static int opcode = IORING_OP_CONNECT;

	test_kernel_hold(&town->hosts.kernel, test_hold_opcode, &opcode);
}

static void release_after_300_ms(struct town *town)
{
	hold_connects(town);
	town->code |= rota_sleep(300 * ROTA_MILLISECOND);
	test_kernel_release_all(&town->hosts.kernel);
	test_kernel_hold(&town->hosts.kernel, NULL, NULL);
}

static void one_that_connects_too_late_is_closed(void **state)
{
	struct town *town = new_town(ANSWERS " " ANSWERS_TOO);

	(void)state;
	town->meanwhile = release_after_300_ms;
	assert_int_equal(visit(town), 0);
	assert_reached(town, ANSWERS, 300 * ROTA_MILLISECOND);
	assert_int_equal(town->attempts, 2);
}

static void at_the_bound_of_tasks_it_is_refused(void **state)
{
	/* The first task, and the one that dials. */
	const struct rota_config config = { .tasks_max = 2 };
	struct town *town = new_town(ANSWERS " " ANSWERS_TOO);

	(void)state;
	assert_int_equal(visit_with(town, &config), -EAGAIN);
	assert_int_equal(town->attempts, 0);
}

static void one_that_found_room_may_still_win(void **state)
{
	const struct rota_config config = { .tasks_max = 3 };
	struct town *town = new_town(ANSWERS " " ANSWERS_TOO);

	(void)state;
	town->meanwhile = release_after_300_ms;
	assert_int_equal(visit_with(town, &config), 0);
	assert_reached(town, ANSWERS, 300 * ROTA_MILLISECOND);
	assert_int_equal(town->attempts, 1);
}

static void refuse_after_300_ms(struct town *town)
{
	hold_connects(town);
	town->code |= rota_sleep(300 * ROTA_MILLISECOND);
	test_kernel_held_at(&town->hosts.kernel, 0)->res = -ETIMEDOUT;
	test_kernel_release_all(&town->hosts.kernel);
}

static void one_that_found_no_room_is_told_if_none_wins(void **state)
{
	const struct rota_config config = { .tasks_max = 3 };
	struct town *town = new_town(ANSWERS " " ANSWERS_TOO);

	(void)state;
	town->meanwhile = refuse_after_300_ms;
	assert_int_equal(visit_with(town, &config), -EAGAIN);
	assert_int_equal(town->took_ns, 300 * ROTA_MILLISECOND);
}

static void cancel_first(struct town *town)
{
	rota_group_cancel(&town->group, (struct rota_cancellation){ 0 });
}

static void in_a_cancelled_task_nothing_is_done(void **state)
{
	struct town *town = new_town(ANSWERS);

	(void)state;
	town->meanwhile = cancel_first;
	assert_int_equal(visit(town), -ECANCELED);
	assert_int_equal(atomic_load(&town->hosts.asked), 0);
}

static void a_name_that_is_none_is_told_as_rota_resolve_does(void **state)
{
	struct town *town = new_town(NULL);

	(void)state;
	assert_int_equal(visit(town), -ENOENT);
}

/* By the real getaddrinfo, on the real clock. */
static int dial_localhost(void *arg)
{
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	const int fd = rota_dial("localhost", port_of(listener));
	struct town *town = arg;

	if (listener < 0 || fd < 0)
		return fd;
	note(town, fd);
	return rota_close(listener);
}

static void localhost_is_reached_by_name(void **state)
{
	struct town *town = new_town(NULL);

	(void)state;
	assert_int_equal(test_run(dial_localhost, town), 0);
	assert_string_equal(town->peer, "127.0.0.1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_name_with_one_address_is_dialled_without_a_race),
		cmocka_unit_test(the_first_address_wins_if_it_answers_at_once),
		cmocka_unit_test(
			after_one_that_refuses_the_next_is_tried_at_once),
		cmocka_unit_test(each_that_does_not_answer_has_250_ms),
		cmocka_unit_test(families_are_tried_in_turn),
		cmocka_unit_test(of_all_that_fail_the_last_error_is_told),
		cmocka_unit_test(of_hundreds_sixteen_are_tried),
		cmocka_unit_test(a_deadline_ends_it_wherever_it_is),
		cmocka_unit_test(
			a_deadline_is_told_rather_than_what_failed_before),
		cmocka_unit_test(a_cancel_ends_it_with_the_code_of_the_scope),
		cmocka_unit_test(a_cancel_ends_it_while_the_name_is_looked_up),
		cmocka_unit_test(one_that_connects_too_late_is_closed),
		cmocka_unit_test(at_the_bound_of_tasks_it_is_refused),
		cmocka_unit_test(one_that_found_room_may_still_win),
		cmocka_unit_test(one_that_found_no_room_is_told_if_none_wins),
		cmocka_unit_test(in_a_cancelled_task_nothing_is_done),
		cmocka_unit_test(
			a_name_that_is_none_is_told_as_rota_resolve_does),
		cmocka_unit_test(localhost_is_reached_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
