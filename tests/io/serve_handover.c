/* SPDX-License-Identifier: MIT */
/*
 * How a stream changes hands, or stays where it is because that is refused.
 * Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/served.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct seen {
	struct test_kernel kernel;
	struct rota_group group;
	struct rota_group second;
	struct test_served served;
	struct test_served other;
	unsigned tasks_max; /* of the engine; 0: its default */
	int outcome;        /* of the group */
	int codes[8];
};

/* Runs fn under the clock, and asserts that no descriptor is left. */
static void run(int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .log = test_log_nothing,
					    .tasks_max = seen->tasks_max };

	test_run_timed_clean(&config, &seen->kernel, fn, seen);
}

/* It was refused, and is still the caller's: it can read it. */
static int check_own(struct seen *seen)
{
	char byte;
	int error = test_served_give(&seen->other, 1);

	error |= rota_stream_recv(&seen->other.stream, &byte, 1) != 1;
	error |= rota_stream_ready(&seen->other.stream);
	return error;
}

static int refuse(struct seen *seen, struct rota_group *group)
{
	return rota_stream_serve(group, &seen->other.stream, test_served_take,
				 &seen->other);
}

static int be_cancelled(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_shield shield;
	int error = test_served_open(&seen->other);

	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->codes[0] = refuse(seen, &seen->second);
	rota_shield_begin(&shield, ROTA_SECOND);
	seen->codes[1] = refuse(seen, &seen->group);
	error |= check_own(seen);
	rota_shield_end(&shield);
	test_served_close(&seen->other);
	return error;
}

static int refuse_cancelled(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, NULL);
	error = rota_go(&seen->group, be_cancelled, seen);
	seen->outcome = rota_group_wait(&seen->group);
	return error | rota_group_wait(&seen->second);
}

static int refuse_for_bounds(void *arg)
{
	/* Whichever the guards of stacks are made by. */
	const struct test_fault faults[] = {
		{ .call = TEST_ADVISE, .times = TEST_FOREVER, .error = -ENOMEM },
		{ .call = TEST_FORBID, .times = TEST_FOREVER, .error = -ENOMEM },
	};
	struct seen *seen = arg;
	int error = test_served_open(&seen->other);

	rota_group_open(&seen->group, NULL);
	rota_group_open(&seen->second, NULL);
	test_kernel_fail(&seen->kernel, &faults[0]);
	test_kernel_fail(&seen->kernel, &faults[1]);
	seen->codes[2] = refuse(seen, &seen->second);
	error |= check_own(seen);
	test_kernel_mend(&seen->kernel);
	error |= test_served_go(&seen->group, &seen->served);
	seen->codes[3] = refuse(seen, &seen->second);
	error |= check_own(seen);
	rota_group_drain(&seen->second, ROTA_SECOND);
	seen->codes[4] = refuse(seen, &seen->second);
	error |= check_own(seen);
	error |= rota_group_wait(&seen->second);
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->outcome = rota_group_wait(&seen->group);
	test_served_close(&seen->other);
	return error;
}

static void one_that_is_refused_stays_the_callers(void **state)
{
	struct seen seen = { .tasks_max = 2 };

	(void)state;
	run(refuse_cancelled, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.codes[1], -ECANCELED);
	run(refuse_for_bounds, &seen);
	assert_int_equal(seen.codes[2], -ENOMEM);
	assert_int_equal(seen.codes[3], -EAGAIN);
	assert_int_equal(seen.codes[4], -ESHUTDOWN);
}

/* Serves it in the second group from then on, if that takes it. */
static int pass_on(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	struct test_served *served = &seen->served;
	char byte;

	if (rota_stream_recv(stream, &byte, 1) != 1) {
		test_served_close(served);
		return 0;
	}
	served->calls++;
	seen->codes[0] = rota_stream_serve(&seen->second, stream,
					   test_served_take, served);
	return seen->codes[0] ? 0 : seen->codes[1];
}

static int pass_on_in(struct seen *seen)
{
	int error = test_served_open(&seen->served);

	error |= rota_stream_serve(&seen->group, &seen->served.stream, pass_on,
				   seen);
	error |= test_settle() | test_served_give(&seen->served, 3);
	return error | test_settle();
}

static int pass_on_well(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, &(struct rota_group_options){
					      .mode = ROTA_GROUP_KEEP_GOING });
	seen->codes[1] = -EIO;
	error = pass_on_in(seen);
	seen->outcome = rota_group_wait(&seen->group);
	error |= test_served_give(&seen->served, 4) | test_settle();
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->second);
}

static void who_serves_may_pass_it_on_to_another_group(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(pass_on_well, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.outcome, -EIO);
	assert_int_equal(seen.served.bytes, 2 + 4);
	assert_int_equal(seen.served.codes[0], 0);
}

/* The second group has no room, so it stays. */
static int pass_on_badly(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->group, NULL);
	rota_group_open(&seen->second, NULL);
	rota_group_drain(&seen->second, ROTA_SECOND);
	error = pass_on_in(seen);
	seen->codes[2] = (int)seen->served.calls;
	seen->codes[3] = seen->codes[0];
	error |= rota_group_wait(&seen->second);
	rota_group_open(&seen->second, NULL);
	error |= test_served_give(&seen->served, 1) | test_settle();
	error |= test_served_hang_up(&seen->served);
	error |= rota_group_wait(&seen->second);
	return error | rota_group_wait(&seen->group);
}

static void one_that_cannot_pass_it_on_goes_on(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(pass_on_badly, &seen);
	assert_int_equal(seen.codes[2], 3);
	assert_int_equal(seen.codes[3], -ESHUTDOWN);
	assert_int_equal(seen.served.calls, 4 + 1);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.served.codes[0], 0);
}

/* Passes it on without having looked at why it was woken. */
static int pass_on_unread(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;

	return rota_stream_serve(&seen->second, stream, test_served_take,
				 &seen->served);
}

static int pass_on_when_draining(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, NULL);
	error = test_served_open(&seen->served);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   pass_on_unread, seen);
	error |= test_settle();
	rota_group_drain(&seen->group, ROTA_SECOND);
	error |= rota_group_wait(&seen->group) | test_settle();
	seen->codes[0] = (int)seen->served.told;
	seen->served.work_ns = 6;
	error |= test_served_give(&seen->served, 1) | test_settle();
	rota_group_drain(&seen->second, ROTA_SECOND);
	return error | rota_group_wait(&seen->second);
}

static void why_it_was_woken_stays_in_the_group_it_was_in(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(pass_on_when_draining, &seen);
	assert_int_equal(seen.codes[0], 0);
	assert_int_equal(seen.served.told, 1);
	assert_int_equal(seen.served.codes[0], -ESHUTDOWN);
}

/* From a group that is cancelled, in a shield. */
static int rescue(struct rota_stream *stream, void *arg)
{
	struct seen *seen = arg;
	struct rota_shield shield;
	struct rota_view view;
	int error;

	seen->codes[0] = rota_stream_view(stream, &view);
	rota_shield_begin(&shield, ROTA_SECOND);
	error = rota_stream_serve(&seen->second, stream, test_served_take,
				  &seen->served);
	rota_shield_end(&shield);
	return error;
}

static int pass_on_when_cancelled(void *arg)
{
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, NULL);
	rota_group_open(&seen->group, NULL);
	error = test_served_open(&seen->served);
	error |= rota_stream_serve(&seen->group, &seen->served.stream, rescue,
				   seen);
	error |= test_settle();
	rota_group_cancel(&seen->group, (struct rota_cancellation){ 0 });
	seen->outcome = rota_group_wait(&seen->group);
	error |= test_served_give(&seen->served, 2) | test_settle();
	error |= test_served_hang_up(&seen->served);
	return error | rota_group_wait(&seen->second);
}

static void one_that_is_cancelled_may_pass_it_on_in_a_shield(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(pass_on_when_cancelled, &seen);
	assert_int_equal(seen.codes[0], -ECANCELED);
	assert_int_equal(seen.outcome, -ECANCELED);
	assert_int_equal(seen.served.bytes, 2);
	assert_int_equal(seen.served.told, 1);
	assert_int_equal(seen.served.codes[0], 0);
}

/* To its own group, which has one slot: its own. */
static int pass_on_to_itself(void *arg)
{
	const struct rota_group_options limit = { .limit = 1 };
	struct seen *seen = arg;
	int error;

	rota_group_open(&seen->second, &limit);
	error = test_served_open(&seen->served);
	error |= rota_stream_serve(&seen->second, &seen->served.stream, pass_on,
				   seen);
	error |= test_settle() | test_served_give(&seen->served, 1);
	error |= test_settle();
	rota_group_cancel(&seen->second, (struct rota_cancellation){ 0 });
	seen->outcome = rota_group_wait(&seen->second);
	return error;
}

static void to_pass_it_on_to_its_own_slot_is_edeadlk(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(pass_on_to_itself, &seen);
	assert_int_equal(seen.codes[0], -EDEADLK);
	assert_int_equal(seen.served.calls, 1);
	assert_int_equal(seen.outcome, -ECANCELED);
}

/* The stream is not the innermost scope of who hands it over. */
static int hand_over_from_inside(void *arg)
{
	struct seen *seen = arg;
	struct rota_deadline deadline;
	struct rota_shield shield;
	int error;

	rota_group_open(&seen->group, NULL);
	error = test_served_open(&seen->served);
	rota_deadline_begin(&deadline, rota_after_ns(50));
	error |= test_served_open(&seen->other);
	rota_shield_begin(&shield, ROTA_SECOND);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   test_served_take, &seen->served);
	error |= refuse(seen, &seen->group);
	rota_shield_end(&shield);
	seen->codes[0] = rota_sleep(100);
	seen->codes[1] = rota_deadline_end(&deadline);
	seen->codes[2] = (int)(seen->served.told + seen->other.told);
	error |= test_served_give(&seen->served, 1) | test_settle();
	error |= test_served_hang_up(&seen->served) |
		 test_served_hang_up(&seen->other);
	return error | rota_group_wait(&seen->group);
}

static void it_leaves_the_scopes_of_who_hands_it_over(void **state)
{
	struct seen seen = { .outcome = 1 };

	(void)state;
	run(hand_over_from_inside, &seen);
	assert_int_equal(seen.codes[0], -ETIME);
	assert_int_equal(seen.codes[1], true);
	assert_int_equal(seen.codes[2], 0);
	assert_int_equal(seen.served.bytes, 1);
	assert_int_equal(seen.served.codes[0], 0);
	assert_int_equal(seen.other.codes[0], 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_is_refused_stays_the_callers),
		cmocka_unit_test(who_serves_may_pass_it_on_to_another_group),
		cmocka_unit_test(one_that_cannot_pass_it_on_goes_on),
		cmocka_unit_test(why_it_was_woken_stays_in_the_group_it_was_in),
		cmocka_unit_test(
			one_that_is_cancelled_may_pass_it_on_in_a_shield),
		cmocka_unit_test(to_pass_it_on_to_its_own_slot_is_edeadlk),
		cmocka_unit_test(it_leaves_the_scopes_of_who_hands_it_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
