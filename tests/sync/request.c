/* SPDX-License-Identifier: MIT */
/*
 * Request and reply on one loop: who is answered, in which order, and what a
 * cancel of the asker leaves behind at each point.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ASKERS 10

struct seen;

struct asker {
	struct seen *seen;
	int request;
	int reply;  /* -1 before */
	int result; /* of rota_request; 1 before */
};

struct seen {
	struct rota_requests requests;
	struct rota_requests_options options;
	struct asker askers[ASKERS];
	struct rota_group askers_of; /* whom the test cancels */
	struct rota_requests_state state;
	int taken[2 * ASKERS]; /* requests, in the order they were taken */
	int count;             /* how many */
	int end;               /* what the last take returned */
	int result;
};

static void make(struct seen *seen, unsigned capacity)
{
	*seen = (struct seen){ .options = { .request_bytes = sizeof(int),
					    .reply_bytes = sizeof(int),
					    .capacity = capacity } };
	for (int i = 0; i < ASKERS; i++)
		seen->askers[i] = (struct asker){ seen, i, -1, 1 };
}

static int ask(void *value)
{
	struct asker *asker = *(struct asker **)value;

	asker->result = rota_request(&asker->seen->requests, &asker->request,
				     &asker->reply);
	return 0;
}

/* Answers 100 more than was asked. */
static void answer(struct rota_ticket *ticket)
{
	const int reply = *(int *)ticket->request + 100;

	rota_requests_answer(ticket, &reply);
}

static int take(struct seen *seen, struct rota_ticket *ticket)
{
	seen->end = rota_requests_take(&seen->requests, ticket);
	if (!seen->end)
		seen->taken[seen->count++] = *(int *)ticket->request;
	return seen->end;
}

static int own(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_ticket ticket;

	while (take(seen, &ticket) == 0)
		answer(&ticket);
	rota_requests_close(&seen->requests);
	return 0;
}

static int spawn_askers(struct seen *seen, struct rota_group *group, int count)
{
	int error = 0;

	for (int i = 0; i < count && !error; i++)
		error = rota_go(group, ask, &seen->askers[i]);
	return error;
}

static int ask_an_owner(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group, askers;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, own, seen);
	rota_group_open(&askers, NULL);
	error |= spawn_askers(seen, &askers, ASKERS);
	error |= rota_group_wait(&askers);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	return error;
}

static void each_request_is_answered_in_its_turn(void **state)
{
	(void)state;
	for (unsigned capacity = 1; capacity < ASKERS + 2; capacity++) {
		struct seen seen;

		make(&seen, capacity);
		assert_int_equal(test_run(ask_an_owner, &seen), 0);
		assert_int_equal(seen.end, -ECANCELED);
		assert_int_equal(seen.count, ASKERS);
		for (int i = 0; i < ASKERS; i++) {
			assert_int_equal(seen.taken[i], i);
			assert_int_equal(seen.askers[i].result, 0);
			assert_int_equal(seen.askers[i].reply, i + 100);
		}
	}
}

static void the_slots_may_be_the_callers_memory(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 3);
	seen.options.memory =
		aligned_alloc(16, rota_requests_bytes(&seen.options));
	assert_non_null(seen.options.memory);
	assert_int_equal(test_run(ask_an_owner, &seen), 0);
	assert_int_equal(seen.count, ASKERS);
	free(seen.options.memory);
}

/* What a test does between the cancel and the answer. */
struct point {
	unsigned capacity;
	int askers;  /* how many ask */
	int tickets; /* how many are taken before the cancel */
};

/* All askers are cancelled, then all that is there is answered. */
static int cancel_at(struct seen *seen, const struct point *point)
{
	struct rota_ticket tickets[ASKERS];
	int error;

	rota_group_open(&seen->askers_of, NULL);
	error = spawn_askers(seen, &seen->askers_of, point->askers);
	rota_yield();
	for (int i = 0; i < point->tickets && !error; i++)
		error = take(seen, &tickets[i]);
	rota_group_cancel(&seen->askers_of,
			  (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&seen->askers_of);
	seen->state = rota_requests_inspect(&seen->requests);
	seen->result =
		rota_requests_try_take(&seen->requests, &tickets[ASKERS - 1]);
	for (int i = 0; i < point->tickets && !error; i++)
		answer(&tickets[i]);
	return error;
}

struct cancelling {
	struct seen seen;
	struct point point;
};

static int cancel_and_ask_again(void *arg)
{
	struct cancelling *cancelling = arg;
	struct seen *seen = &cancelling->seen;
	struct rota_group group;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	error = cancel_at(seen, &cancelling->point);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, own, seen);
	seen->askers[ASKERS - 1].result =
		rota_request(&seen->requests, &seen->askers[ASKERS - 1].request,
			     &seen->askers[ASKERS - 1].reply);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	return error;
}

static void assert_cancelled(const struct cancelling *cancelling)
{
	const struct seen *seen = &cancelling->seen;
	const struct point *point = &cancelling->point;

	assert_int_equal(seen->result, -EAGAIN);
	assert_int_equal(seen->state.waiting, 0);
	assert_int_equal(seen->state.queued, 0);
	assert_int_equal(seen->state.taken, point->tickets);
	for (int i = 0; i < point->askers; i++) {
		assert_int_equal(seen->askers[i].result, -ECANCELED);
		assert_int_equal(seen->askers[i].reply, -1);
	}
	assert_int_equal(seen->count, point->tickets + 1);
	assert_int_equal(seen->askers[ASKERS - 1].result, 0);
	assert_int_equal(seen->askers[ASKERS - 1].reply, ASKERS - 1 + 100);
}

static void a_cancelled_asker_leaves_nothing_behind_at_any_point(void **state)
{
	static const struct point points[] = {
		{ 3, 2, 0 }, /* queued */
		{ 3, 2, 2 }, /* taken */
		{ 3, 3, 1 }, /* one taken, two queued */
		{ 1, 3, 0 }, /* one queued, two wait for its slot */
		{ 1, 3, 1 }, /* one taken, two wait for its slot */
		{ 2, 8, 1 }, /* all of it */
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		struct cancelling cancelling = { .point = points[i] };

		make(&cancelling.seen, points[i].capacity);
		assert_int_equal(test_run(cancel_and_ask_again, &cancelling),
				 0);
		assert_cancelled(&cancelling);
	}
}

/* The first one is cancelled before it was taken: who waits behind it goes into
 * its slot, in order. */
static int cancel_first(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group, first;
	struct rota_ticket ticket;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	rota_group_open(&first, NULL);
	error = rota_go(&first, ask, &seen->askers[0]);
	for (int i = 1; i < 4; i++)
		error |= rota_go(&group, ask, &seen->askers[i]);
	rota_yield();
	rota_group_cancel(&first, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&first);
	for (int i = 1; i < 4; i++) {
		error |= take(seen, &ticket);
		answer(&ticket);
	}
	error |= rota_group_wait(&group);
	rota_requests_close(&seen->requests);
	return error;
}

static void a_slot_that_is_given_up_goes_to_the_next_in_line(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 1);
	assert_int_equal(test_run(cancel_first, &seen), 0);
	assert_int_equal(seen.askers[0].result, -ECANCELED);
	for (int i = 1; i < 4; i++) {
		assert_int_equal(seen.taken[i - 1], i);
		assert_int_equal(seen.askers[i].result, 0);
		assert_int_equal(seen.askers[i].reply, i + 100);
	}
}

/* Answered, then cancelled, before it goes on. */
static int answer_and_cancel(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	struct rota_ticket ticket;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, ask, &seen->askers[0]);
	error |= take(seen, &ticket);
	answer(&ticket);
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&group);
	rota_requests_close(&seen->requests);
	return error;
}

static void an_answer_that_came_before_a_cancel_is_delivered(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 1);
	assert_int_equal(test_run(answer_and_cancel, &seen), 0);
	assert_int_equal(seen.askers[0].result, 0);
	assert_int_equal(seen.askers[0].reply, 100);
}

/* Of four, two slots: one is taken, one is queued, two wait. */
static int close_under_them(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	struct rota_ticket ticket;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = spawn_askers(seen, &group, 4);
	rota_yield();
	error |= take(seen, &ticket);
	seen->state = rota_requests_inspect(&seen->requests);
	rota_requests_close(&seen->requests);
	rota_requests_answer(&ticket, &error);
	error |= rota_group_wait(&group);
	seen->result = rota_request(&seen->requests, &error, &error);
	seen->end = rota_requests_take(&seen->requests, &ticket);
	return error;
}

static void when_it_is_closed_all_who_ask_are_told(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 2);
	assert_int_equal(test_run(close_under_them, &seen), 0);
	assert_int_equal(seen.state.taken, 1);
	assert_int_equal(seen.state.queued, 1);
	assert_int_equal(seen.state.waiting, 2);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(seen.askers[i].result, -EPIPE);
		assert_int_equal(seen.askers[i].reply, -1);
	}
	assert_int_equal(seen.result, -EPIPE);
	assert_int_equal(seen.end, -EPIPE);
}

static int take_and_be_told(void *value)
{
	struct seen *seen = *(struct seen **)value;
	struct rota_ticket ticket;

	seen->end = rota_requests_take(&seen->requests, &ticket);
	return 0;
}

static int close_under_owner(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, take_and_be_told, seen);
	rota_yield();
	rota_requests_close(&seen->requests);
	return error | rota_group_wait(&group);
}

static void an_owner_that_waits_is_told_of_a_close(void **state)
{
	struct seen seen;

	(void)state;
	make(&seen, 2);
	assert_int_equal(test_run(close_under_owner, &seen), 0);
	assert_int_equal(seen.end, -EPIPE);
}

/* Two owners have one slot between them: who answers hands the next request to
 * the one that waits. */
static int own_twice(void *arg)
{
	struct seen *seen = arg;
	struct rota_group group, owner;
	struct rota_ticket ticket;
	int error = rota_requests_open(&seen->requests, &seen->options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = spawn_askers(seen, &group, 2);
	error |= take(seen, &ticket);
	rota_group_open(&owner, NULL);
	error |= rota_go(&owner, own, seen);
	rota_yield();
	answer(&ticket);
	rota_group_cancel(&owner, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&owner);
	error |= rota_group_wait(&group);
	return error;
}

static void
a_request_that_was_handed_over_is_taken_in_spite_of_a_cancel(void **s)
{
	struct seen seen;

	(void)s;
	make(&seen, 1);
	assert_int_equal(test_run(own_twice, &seen), 0);
	assert_int_equal(seen.count, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(seen.askers[i].result, 0);
		assert_int_equal(seen.askers[i].reply, i + 100);
	}
}

static void options_that_cannot_be_are_refused(void **state)
{
	struct rota_requests requests;
	struct rota_requests_options options = { .capacity = 0 };
	_Alignas(16) static char memory[4096];

	(void)state;
	assert_int_equal(rota_requests_open(&requests, NULL), -EINVAL);
	assert_int_equal(rota_requests_open(&requests, &options), -EINVAL);
	options.capacity = 2;
	options.request_bytes = SIZE_MAX - 4;
	assert_int_equal(rota_requests_open(&requests, &options), -EINVAL);
	options.request_bytes = SIZE_MAX / 4;
	assert_int_equal(rota_requests_open(&requests, &options), -EINVAL);
	options.request_bytes = 8;
	options.memory = memory + 8;
	assert_int_equal(rota_requests_open(&requests, &options), -EINVAL);
	options.memory = memory;
	assert_int_equal(rota_requests_open(&requests, &options), 0);
	rota_requests_close(&requests);
}

static const struct rota_requests_options simple = { .capacity = 2 };

static int ask_simply(void *value)
{
	return rota_request(*(struct rota_requests **)value, NULL, NULL);
}

/* `twice`: the same ticket; else a copy of it. */
static int answer_again(bool twice)
{
	struct rota_requests requests;
	struct rota_group group;
	struct rota_ticket ticket, copy;

	if (rota_requests_open(&requests, &simple))
		return 1;
	rota_group_open(&group, NULL);
	if (rota_go(&group, ask_simply, &requests) ||
	    rota_requests_take(&requests, &ticket))
		return 1;
	copy = ticket;
	rota_requests_answer(&ticket, NULL);
	rota_requests_answer(twice ? &ticket : &copy, NULL);
	return rota_group_wait(&group);
}

static int answer_twice(void *arg)
{
	(void)arg;
	return answer_again(true);
}

static int answer_copy(void *arg)
{
	(void)arg;
	return answer_again(false);
}

static void a_second_answer_aborts(void **state)
{
	(void)state;
	test_expect_abort(answer_twice, "it was answered already");
	test_expect_abort(answer_copy, "a copy of the ticket was answered");
}

static int close_twice(void *arg)
{
	struct rota_requests requests;

	(void)arg;
	if (rota_requests_open(&requests, &simple))
		return 1;
	rota_requests_close(&requests);
	rota_requests_close(&requests);
	return 0;
}

static void a_second_close_aborts(void **state)
{
	(void)state;
	test_expect_abort(close_twice, "it is closed already");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_answered_in_its_turn),
		cmocka_unit_test(the_slots_may_be_the_callers_memory),
		cmocka_unit_test(
			a_cancelled_asker_leaves_nothing_behind_at_any_point),
		cmocka_unit_test(
			a_slot_that_is_given_up_goes_to_the_next_in_line),
		cmocka_unit_test(
			an_answer_that_came_before_a_cancel_is_delivered),
		cmocka_unit_test(when_it_is_closed_all_who_ask_are_told),
		cmocka_unit_test(an_owner_that_waits_is_told_of_a_close),
		cmocka_unit_test(
			a_request_that_was_handed_over_is_taken_in_spite_of_a_cancel),
		cmocka_unit_test(options_that_cannot_be_are_refused),
		cmocka_unit_test(a_second_answer_aborts),
		cmocka_unit_test(a_second_close_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
