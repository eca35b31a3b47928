/* SPDX-License-Identifier: MIT */
/*
 * Events on one loop: who waits, who goes on, and what is a broken promise.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/timed.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define WAITERS 5
#define NOTHING 1000

struct seen {
	struct rota_event event;
	struct test_kernel kernel;
	struct rota_group group;
	unsigned order[WAITERS]; /* in which they went on */
	unsigned count;          /* how many have */
	unsigned count_before;   /* ... when that was looked at */
	unsigned next;           /* number of the next waiter */
	int codes[WAITERS];      /* what each was told */
	bool is_set[3];          /* at some moments */
	pthread_t thread;        /* that sets it */
};

static int wait_for_it(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned number = seen->next++;

	seen->codes[number] = rota_event_wait(&seen->event);
	seen->order[seen->count++] = number;
	return 0;
}

/* They wait, in order. */
static int start_waiters(struct seen *seen)
{
	int error = 0;

	for (int i = 0; i < WAITERS; i++)
		seen->codes[i] = NOTHING;
	rota_event_init(&seen->event, NULL);
	rota_group_open(&seen->group, NULL);
	for (int i = 0; i < WAITERS && !error; i++)
		error = rota_go(&seen->group, wait_for_it, seen);
	return error | test_settle();
}

static int set_before(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_event_init(&seen->event, NULL);
	seen->is_set[0] = rota_event_is_set(&seen->event);
	rota_event_set(&seen->event);
	rota_event_set(&seen->event);
	seen->is_set[1] = rota_event_is_set(&seen->event);
	error = rota_event_wait(&seen->event) | rota_event_wait(&seen->event);
	rota_event_reset(&seen->event);
	rota_event_reset(&seen->event);
	seen->is_set[2] = rota_event_is_set(&seen->event);
	rota_event_fini(&seen->event);
	return error;
}

static void an_event_that_has_happened_is_not_waited_for(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, set_before, &seen);
	assert_false(seen.is_set[0]);
	assert_true(seen.is_set[1]);
	assert_false(seen.is_set[2]);
}

static int set_after(void *arg)
{
	struct seen *seen = arg;
	int error = start_waiters(seen);

	seen->count_before = seen->count;
	rota_event_set(&seen->event);
	error |= rota_group_wait(&seen->group);
	rota_event_fini(&seen->event);
	return error;
}

static void all_who_wait_go_on_in_their_order(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, set_after, &seen);
	assert_int_equal(seen.count_before, 0);
	assert_int_equal(seen.count, WAITERS);
	for (unsigned i = 0; i < WAITERS; i++) {
		assert_int_equal(seen.order[i], i);
		assert_int_equal(seen.codes[i], 0);
	}
}

/* Those who waited go on, who comes after the reset does not. */
static int reset_at_once(void *arg)
{
	struct seen *seen = arg;
	int error = start_waiters(seen);

	rota_event_set(&seen->event);
	rota_event_reset(&seen->event);
	seen->next = 0;
	error |= rota_go(&seen->group, wait_for_it, seen) | test_settle();
	seen->count_before = seen->count;
	seen->is_set[0] = rota_event_is_set(&seen->event);
	seen->count = 0;
	rota_event_set(&seen->event);
	error |= rota_group_wait(&seen->group);
	rota_event_fini(&seen->event);
	return error;
}

static void a_reset_is_for_those_who_come_later(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, reset_at_once, &seen);
	assert_int_equal(seen.count_before, WAITERS);
	assert_false(seen.is_set[0]);
	assert_int_equal(seen.count, 1);
}

static int cancel_waiters(void *arg)
{
	struct seen *seen = arg;
	int error = start_waiters(seen);

	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	rota_event_set(&seen->event);
	(void)rota_group_wait(&seen->group);
	rota_event_fini(&seen->event);
	return error;
}

static void who_has_not_heard_of_a_cancel_is_still_told(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, cancel_waiters, &seen);
	assert_int_equal(seen.count, WAITERS);
	/* Members hear of it at the end of the turn. */
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(seen.codes[i], 0);
}

static int set_then_cancel(void *arg)
{
	struct seen *seen = arg;
	int error = start_waiters(seen);

	rota_event_set(&seen->event);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&seen->group);
	rota_event_fini(&seen->event);
	return error;
}

static void who_was_told_before_a_cancel_goes_on(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, set_then_cancel, &seen);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(seen.codes[i], 0);
}

static int leave_the_line(void *arg)
{
	struct seen *seen = arg;
	int error = start_waiters(seen);

	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&seen->group);
	rota_event_set(&seen->event);
	rota_event_fini(&seen->event);
	return error;
}

static void who_is_cancelled_leaves_the_line(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, leave_the_line, &seen);
	for (int i = 0; i < WAITERS; i++)
		assert_int_equal(seen.codes[i], -ECANCELED);
}

static int wait_with_deadline(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;

	rota_event_init(&seen->event, NULL);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	seen->codes[0] = rota_event_wait(&seen->event);
	rota_event_set(&seen->event);
	seen->codes[1] = rota_event_wait(&seen->event);
	seen->is_set[0] = rota_deadline_end(&deadline);
	seen->codes[2] = rota_event_wait(&seen->event);
	rota_event_fini(&seen->event);
	return 0;
}

static void a_wait_ends_with_its_deadline(void **state)
{
	struct seen seen = { .count = 0 };

	(void)state;
	test_run_timed_clean(NULL, &seen.kernel, wait_with_deadline, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], -ETIME);
	assert_true(seen.is_set[0]);
	assert_int_equal(seen.codes[2], 0);
}

/* By a thread that has no loop, when the loop has gone to sleep. */
static void *set_from_thread(void *arg)
{
	rota_event_set(arg);
	return NULL;
}

static void start_thread(struct test_kernel *kernel, void *context)
{
	struct seen *seen = context;

	kernel->on_idle = NULL;
	if (pthread_create(&seen->thread, NULL, set_from_thread, &seen->event))
		abort();
}

static int wait_for_thread(void *arg)
{
	struct seen *seen = arg;
	int error;

	seen->kernel.on_idle = start_thread;
	seen->kernel.idle_context = seen;
	error = rota_event_wait(&seen->event);
	pthread_join(seen->thread, NULL);
	return error;
}

static void a_foreign_thread_wakes_a_loop_that_sleeps(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct seen seen = { .count = 0 };

		rota_event_init(&seen.event, NULL);
		test_run_timed_clean(NULL, &seen.kernel, wait_for_thread,
				     &seen);
		assert_true(rota_event_is_set(&seen.event));
		rota_event_fini(&seen.event);
	}
}

static int select_for_thread(void *arg)
{
	struct seen *seen = arg;
	struct rota_arm arms[] = { rota_arm_never(),
				   rota_arm_event(&seen->event) };

	seen->kernel.on_idle = start_thread;
	seen->kernel.idle_context = seen;
	seen->codes[0] = rota_select(arms, 2);
	pthread_join(seen->thread, NULL);
	return 0;
}

static void a_foreign_thread_ends_a_select_that_sleeps(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		struct seen seen = { .count = 0 };

		rota_event_init(&seen.event, NULL);
		test_run_timed_clean(NULL, &seen.kernel, select_for_thread,
				     &seen);
		assert_int_equal(seen.codes[0], 1);
		rota_event_fini(&seen.event);
	}
}

/* Broken promises. */
static struct rota_event event;

static int wait_in_vain(void *value)
{
	(void)value;
	return rota_event_wait(&event);
}

static int select_in_vain(void *value)
{
	struct rota_arm arm = rota_arm_event(&event);

	(void)value;
	return rota_select(&arm, 1);
}

static int end_with_waiter(bool selects)
{
	struct rota_group group;
	int error;

	rota_event_init(&event, NULL);
	rota_group_open(&group, NULL);
	error = selects ? rota_go(&group, select_in_vain, 0)
			: rota_go(&group, wait_in_vain, 0);
	error |= rota_yield();
	rota_event_fini(&event);
	return error | rota_group_wait(&group);
}

static int end_while_waited_for(void *arg)
{
	(void)arg;
	return end_with_waiter(false);
}

static int end_while_selected(void *arg)
{
	(void)arg;
	return end_with_waiter(true);
}

static void an_event_may_not_end_while_tasks_wait_for_it(void **state)
{
	(void)state;
	test_expect_abort(end_while_waited_for, "waits for it in "
						"rota_event_wait");
	test_expect_abort(end_while_selected, "waits for it in rota_select");
	test_expect_abort(end_while_selected,
			  "rota_event_fini: task select_in_vain");
}

/* Once a foreign thread has nothing to do with it any more, who waits for ever
 * is found. */
static int wait_for_nobody(bool selects)
{
	struct rota_event other;
	struct rota_arm arms[] = { rota_arm_event(&event),
				   rota_arm_deadline(
					   rota_after_ns(ROTA_MILLISECOND)) };
	struct rota_deadline deadline;
	int result;

	rota_deadline_begin(&deadline,
			    rota_after_ns(selects ? ROTA_SECOND
						  : ROTA_MILLISECOND));
	result = selects ? rota_select(arms, 2) : rota_event_wait(&event);
	rota_deadline_end(&deadline);
	if (result != (selects ? 1 : -ETIME))
		return 0;
	rota_event_init(&other, &(struct rota_sync_options){ .local = true });
	return rota_event_wait(&other);
}

static int select_then_wait(void *arg)
{
	(void)arg;
	return wait_for_nobody(true);
}

static int wait_then_wait(void *arg)
{
	(void)arg;
	return wait_for_nobody(false);
}

static int run_select_then_wait(void *arg)
{
	(void)arg;
	rota_event_init(&event, NULL);
	return rota_run(NULL, select_then_wait, NULL);
}

static int run_wait_then_wait(void *arg)
{
	(void)arg;
	rota_event_init(&event, NULL);
	return rota_run(NULL, wait_then_wait, NULL);
}

static void a_thread_is_hoped_for_only_while_somebody_waits(void **state)
{
	(void)state;
	test_expect_abort_outside(run_select_then_wait, "rota_event_wait");
	test_expect_abort_outside(run_wait_then_wait, "rota_event_wait");
}

static int wait_outside(void *arg)
{
	(void)arg;
	rota_event_init(&event, NULL);
	return rota_event_wait(&event);
}

static void only_tasks_wait(void **state)
{
	(void)state;
	test_expect_abort_outside(wait_outside, "rota_event_wait");
}

enum verb {
	SET,
	RESET,
	IS_SET,
	FINI,
	WAIT,
	SELECT,
	VERBS
};

static const char *const names[VERBS] = {
	"rota_event_set",  "rota_event_reset", "rota_event_is_set",
	"rota_event_fini", "rota_event_wait",  "rota_select"
};
static enum verb verb;

static int do_verb(void *value)
{
	(void)value;
	switch (verb) {
	case SET:
		rota_event_set(&event);
		break;
	case RESET:
		rota_event_reset(&event);
		break;
	case IS_SET:
		return rota_event_is_set(&event);
	case FINI:
		rota_event_fini(&event);
		break;
	case WAIT:
		return rota_event_wait(&event);
	default:
		return select_in_vain(NULL);
	}
	return 0;
}

static int do_it_on_loop_1(void *arg)
{
	struct rota_group group;
	int error;

	(void)arg;
	rota_event_init(&event, &(struct rota_sync_options){ .local = true });
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, do_verb, 0);
	return rota_group_wait(&group) | error;
}

static int run_on_two_loops(void *arg)
{
	(void)arg;
	return rota_run(&(struct rota_config){ .loops = 2 }, do_it_on_loop_1,
			NULL);
}

static void a_local_event_is_for_its_own_loop(void **state)
{
	(void)state;
	for (verb = 0; verb < VERBS; verb++)
		test_expect_abort_outside(run_on_two_loops, names[verb]);
	test_expect_abort_outside(run_on_two_loops, "is called on loop 1 (0x");
}

static int reset_on_thread(void *arg)
{
	pthread_t thread;

	(void)arg;
	rota_event_init(&event, NULL);
	if (pthread_create(&thread, NULL, set_from_thread, &event))
		return -EAGAIN;
	return pthread_join(thread, NULL);
}

static void an_event_of_one_loop_is_not_for_threads(void **state)
{
	(void)state;
	test_expect_abort(reset_on_thread, "rota_event_set");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_event_that_has_happened_is_not_waited_for),
		cmocka_unit_test(all_who_wait_go_on_in_their_order),
		cmocka_unit_test(a_reset_is_for_those_who_come_later),
		cmocka_unit_test(who_has_not_heard_of_a_cancel_is_still_told),
		cmocka_unit_test(who_was_told_before_a_cancel_goes_on),
		cmocka_unit_test(who_is_cancelled_leaves_the_line),
		cmocka_unit_test(a_wait_ends_with_its_deadline),
		cmocka_unit_test(a_foreign_thread_wakes_a_loop_that_sleeps),
		cmocka_unit_test(a_foreign_thread_ends_a_select_that_sleeps),
		cmocka_unit_test(an_event_may_not_end_while_tasks_wait_for_it),
		cmocka_unit_test(
			a_thread_is_hoped_for_only_while_somebody_waits),
		cmocka_unit_test(only_tasks_wait),
		cmocka_unit_test(a_local_event_is_for_its_own_loop),
		cmocka_unit_test(an_event_of_one_loop_is_not_for_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
