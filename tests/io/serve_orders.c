/* SPDX-License-Identifier: MIT */
/*
 * All that can end one sleep of a member without a stack, in every order of up
 * to three of them, before the member has its turn: bytes land, its idle time
 * is over, its group is cancelled, or drains, its descriptor is closed.
 *
 * A crowd stands before the member in the ready queue, so that the loop turns
 * several times meanwhile. At the head of each of its parts somebody makes one
 * thing happen, which takes effect at the end of that turn at the latest.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/process.h"
#include "support/served.h"
#include "support/timed.h"
#include "task/operation.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IDLE_NS (10 * ROTA_MILLISECOND)
#define BYTES 5
#define STEPS 3
#define TURN RI_TURN_SWITCHES

enum event {
	NOTHING,
	LANDS,
	IDLE,
	CANCELLED,
	DRAINS,
	CLOSED,
	EVENTS
};

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct test_served served;
	enum event script[STEPS];
	bool ready;     /* the member sleeps */
	unsigned early; /* calls before the crowd was through */
	int outcome;    /* of the group */
};

static bool hold_receive(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_RECV;
}

static void close_served(struct seen *seen)
{
	/* What rota_close does before it asks the kernel. */
	ri_operations_close(ri_tasks_here(), seen->served.fd);
}

static void happen(struct seen *seen, enum event event)
{
	switch (event) {
	case LANDS:
		test_kernel_hold(&seen->kernel, NULL, NULL);
		test_kernel_release_all(&seen->kernel);
		break;
	case IDLE:
		seen->kernel.clock_ns = TEST_START_NS + IDLE_NS + 3;
		break;
	case CANCELLED:
		rota_group_cancel(&seen->group,
				  (struct rota_cancellation){ 0, NULL });
		break;
	case DRAINS:
		rota_group_drain(&seen->group, ROTA_SECOND);
		break;
	case CLOSED:
		close_served(seen);
		break;
	default:
		break;
	}
}

struct passer {
	struct seen *seen;
	unsigned index; /* in the crowd */
};

static int pass_by(void *value)
{
	const struct passer *passer = value;
	struct seen *seen = passer->seen;

	if (passer->index == STEPS * TURN)
		seen->early = seen->served.calls;
	else if (passer->index % TURN == 0)
		happen(seen, seen->script[passer->index / TURN]);
	return 0;
}

static int crowd(struct seen *seen, struct rota_group *group)
{
	int error = 0;

	for (unsigned i = 0; i <= STEPS * TURN; i++)
		error |= rota_go(group, pass_by, ((struct passer){ seen, i }));
	return error;
}

/* Makes the script happen, before the member has its turn. */
static int play_script(struct seen *seen)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = crowd(seen, &group);
	return error | rota_group_wait(&group);
}

/* What the group comes to is not the director's. */
static int own_group(void *value)
{
	struct seen *seen = *(struct seen **)value;
	int error;

	rota_group_open(&seen->group, NULL);
	seen->served.idle_ns = IDLE_NS;
	seen->served.stays = 1;
	error = test_served_go(&seen->group, &seen->served);
	error |= test_settle();
	error |= test_served_give(&seen->served, BYTES) | test_settle();
	seen->ready = !error;
	seen->outcome = rota_group_wait(&seen->group);
	return error;
}

static int direct(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	test_kernel_hold(&seen->kernel, hold_receive, NULL);
	error = rota_go(&group, own_group, seen);
	while (!seen->ready && !error)
		error = rota_sleep(1);
	error |= play_script(seen);
	happen(seen, LANDS);
	return error | rota_group_wait(&group);
}

static bool happens(const struct seen *seen, enum event event)
{
	for (unsigned i = 0; i < STEPS; i++)
		if (seen->script[i] == event)
			return true;
	return false;
}

/* What the member hears first, behind what has landed. What was in store for
 * its sleep is void if something has landed: then it did not stay idle. Of a
 * close it hears when the kernel has let go, which is held back with what
 * lands. */
static int expected(const struct seen *seen)
{
	const bool lands = happens(seen, LANDS);

	if (happens(seen, CLOSED) && lands)
		return -EBADF;
	if (happens(seen, CANCELLED))
		return -ECANCELED;
	if (lands)
		return happens(seen, DRAINS) ? -ESHUTDOWN : -ETIME;
	for (unsigned i = 0; i < STEPS; i++) {
		if (seen->script[i] == DRAINS)
			return -ESHUTDOWN;
		if (seen->script[i] == IDLE)
			return -ETIME;
	}
	return happens(seen, CLOSED) ? -EBADF : -ETIME;
}

static void check(const struct seen *seen)
{
	const struct test_served *served = &seen->served;
	const bool lands = happens(seen, LANDS) || expected(seen) == -EBADF;
	const int64_t slept_ns = served->times_ns[0] - TEST_START_NS;

	assert_int_equal(seen->early, 0);
	assert_int_equal(served->codes[0], expected(seen));
	assert_int_equal(served->bytes_before[0], lands ? BYTES : 0);
	/* It slept once more, for the whole of its idle time. */
	if (lands && happens(seen, IDLE) && expected(seen) == -ETIME)
		assert_true(slept_ns >= 2 * IDLE_NS);
}

static void run(const enum event script[STEPS])
{
	const struct rota_config config = { .log = test_log_nothing };
	const unsigned before = test_process_descriptors();
	struct seen seen = { .script = { script[0], script[1], script[2] } };

	assert_int_equal(
		test_run_timed_with(&config, &seen.kernel, direct, &seen), 0);
	assert_int_equal(test_process_descriptors(), before);
	check(&seen);
}

static void whatever_ends_a_sleep_comes_in_any_order(void **state)
{
	unsigned played = 0;

	(void)state;
	for (int a = LANDS; a < EVENTS; a++)
		for (int b = NOTHING; b < EVENTS; b++)
			for (int c = NOTHING; c < EVENTS; c++) {
				const enum event script[STEPS] = {
					(enum event)a, (enum event)b,
					(enum event)c
				};

				if (b == a || c == a || (b && b == c))
					continue;
				run(script);
				played++;
			}
	assert_int_equal(played, 5 * (1 + 2 * 4 + 4 * 3));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whatever_ends_a_sleep_comes_in_any_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
