/* SPDX-License-Identifier: MIT */
/*
 * A loop that is alone is made to hear of other threads when its first task
 * waits for what is theirs too: that takes a call of the kernel, and nobody may
 * hold a guard in one.
 */
#include "support/mask.h"
#include "support/run.h"
#include "sync/channel.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Made outside of tasks, so everybody's; what the tests wait for. */
static struct {
	struct ri_kernel table;
	const struct ri_kernel *below;
	const struct rota_guard *guard; /* of what is waited for */
	unsigned opened;                /* how often the kernel was called */
	bool held;                      /* ... under the guard */
	struct rota_event event;
	struct rota_mutex mutex;
	struct rota_rwlock lock;
	struct rota_condition condition;
	struct rota_once once;
	struct rota_wait_group pending;
	struct rota_limit limit;
	struct rota_rate rate;
	struct rota_flights flights;
	struct rota_requests requests;
	struct rota_sender sender;
	struct rota_receiver receiver;
} all;

static int open_and_look(const struct ri_kernel *kernel)
{
	(void)kernel;
	all.opened++;
	all.held |= __atomic_load_n(&all.guard->held, __ATOMIC_RELAXED) != 0;
	return all.below->event_open(all.below);
}

static int wait_for_event(void)
{
	all.guard = &all.event.guard;
	return rota_event_wait(&all.event);
}

static int wait_for_mutex(void)
{
	all.guard = &all.mutex.guard;
	return rota_mutex_lock(&all.mutex);
}

static int wait_to_read(void)
{
	all.guard = &all.lock.guard;
	return rota_rwlock_read_lock(&all.lock);
}

static int wait_to_write(void)
{
	all.guard = &all.lock.guard;
	return rota_rwlock_write_lock(&all.lock);
}

static int wait_for_condition(void)
{
	struct rota_mutex own;
	int error;

	all.guard = &all.condition.guard;
	rota_mutex_init(&own, NULL);
	error = rota_mutex_lock(&own);
	if (!error)
		error = rota_condition_wait(&all.condition, &own);
	rota_mutex_unlock(&own);
	rota_mutex_fini(&own);
	return error;
}

static int wait_for_group(void)
{
	all.guard = &all.pending.guard;
	return rota_wait_group_wait(&all.pending);
}

static int wait_for_limit(void)
{
	all.guard = &all.limit.guard;
	return rota_limit_acquire(&all.limit, 1);
}

static int wait_for_request(void)
{
	struct rota_ticket ticket;

	all.guard = &all.requests.guard;
	return rota_requests_take(&all.requests, &ticket);
}

static int wait_for_answer(void)
{
	all.guard = &all.requests.guard;
	return rota_request(&all.requests, NULL, NULL);
}

static int wait_for_item(void)
{
	char item;

	all.guard = &all.receiver.channel->guard;
	return rota_channel_receive(&all.receiver, &item);
}

static int wait_to_send(void)
{
	all.guard = &all.sender.channel->guard;
	return rota_channel_send(&all.sender, "");
}

static int wait_for_one(void)
{
	char item;
	struct rota_arm arms[] = { rota_arm_event(&all.event),
				   rota_arm_receive(&all.receiver, &item) };

	all.guard = arms[0].object < arms[1].object
			    ? &all.event.guard
			    : &all.receiver.channel->guard;
	return rota_select(arms, 2);
}

/* These wait for another task of this loop, so they are two. */
static int yield_twice(void *arg)
{
	(void)arg;
	rota_yield();
	rota_yield();
	return 0;
}

static int yield_flying(void *arg, void *value)
{
	(void)value;
	return yield_twice(arg);
}

static int wait_for_once(void)
{
	all.guard = &all.once.guard;
	return rota_once_run(&all.once, yield_twice, NULL);
}

static int wait_for_flight(void)
{
	struct rota_flight flight = { .fn = yield_flying };

	all.guard = &all.flights.guard;
	return rota_flight_run(&all.flights, &flight);
}

static int wait_for_rate(void)
{
	all.guard = &all.rate.guard;
	return rota_rate_wait(&all.rate, 1);
}

static int call(void *value)
{
	return (*(int (**)(void))value)();
}

/* What a task of another loop may hold. */
static int hold_and_wait(void *arg)
{
	struct rota_group group;
	int error = rota_mutex_try_lock(&all.mutex);

	error |= rota_rwlock_try_write_lock(&all.lock);
	error |= rota_rate_try(&all.rate, 1);
	rota_group_open(&group, NULL);
	error |= rota_go(&group, call, *(int (**)(void))arg);
	error |= rota_go(&group, call, *(int (**)(void))arg);
	for (int i = 0; i < 4; i++)
		rota_yield();
	rota_group_cancel(&group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&group);
	rota_rwlock_write_unlock(&all.lock);
	rota_mutex_unlock(&all.mutex);
	return error;
}

static void make_all(void)
{
	rota_event_init(&all.event, NULL);
	rota_mutex_init(&all.mutex, NULL);
	rota_rwlock_init(&all.lock, NULL);
	rota_condition_init(&all.condition, NULL);
	rota_once_init(&all.once, NULL);
	rota_wait_group_init(&all.pending, NULL);
	rota_wait_group_add(&all.pending, 1);
	rota_limit_init(&all.limit, 1, NULL);
	assert_int_equal(rota_limit_try_acquire(&all.limit, 1), 0);
	assert_int_equal(
		rota_rate_init(&all.rate,
			       &(struct rota_rate_options){
				       .interval_ns = 3600 * ROTA_SECOND }),
		0);
	rota_flights_init(&all.flights, NULL);
	assert_int_equal(rota_requests_open(&all.requests,
					    &(struct rota_requests_options){
						    .capacity = 1 }),
			 0);
	assert_int_equal(rota_channel_open((&(struct rota_channel_options){
						   .item_bytes = 1 }),
					   &all.sender, &all.receiver),
			 0);
}

static void end_all(void)
{
	rota_sender_close(&all.sender);
	rota_receiver_close(&all.receiver);
	rota_requests_close(&all.requests);
	rota_flights_fini(&all.flights);
	rota_rate_fini(&all.rate);
	rota_limit_release(&all.limit, 1);
	rota_limit_fini(&all.limit);
	rota_wait_group_done(&all.pending);
	rota_wait_group_fini(&all.pending);
	rota_once_fini(&all.once);
	rota_condition_fini(&all.condition);
	rota_rwlock_fini(&all.lock);
	rota_mutex_fini(&all.mutex);
	rota_event_fini(&all.event);
}

static void no_loop_begins_to_listen_under_a_guard(void **state)
{
	int (*const waits[])(void) = {
		wait_for_event,     wait_for_mutex,   wait_to_read,
		wait_to_write,      wait_for_group,   wait_for_limit,
		wait_for_condition, wait_for_request, wait_for_answer,
		wait_for_item,      wait_to_send,     wait_for_one,
		wait_for_once,      wait_for_flight,  wait_for_rate,
	};

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	all.below = test_linux();
	all.table = *all.below;
	all.table.event_open = open_and_look;
	for (unsigned i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		make_all();
		assert_int_equal(test_run_with(NULL, &all.table, hold_and_wait,
					       (void *)&waits[i]),
				 0);
		assert_int_equal(all.opened, i + 1);
		assert_false(all.held);
		end_all();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			no_loop_begins_to_listen_under_a_guard, test_mask_keep,
			test_mask_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
