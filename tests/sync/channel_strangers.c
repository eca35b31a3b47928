/* SPDX-License-Identifier: MIT */
/*
 * Channels that were opened outside of tasks: plain threads use them without
 * waiting, and engines that have nothing else to do with each other.
 */
#include "support/guest.h"
#include "support/kernel.h"
#include "support/mask.h"
#include "support/random.h"
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define ITEMS 20000u

/* One end and what has passed it. */
struct side {
	struct rota_sender sender;
	struct rota_receiver receiver;
	uint64_t count;  /* items that are to be sent */
	uint64_t passed; /* items that came in order */
	bool disorder;   /* one came that was not the next */
	int result;      /* of the last verb, or of the engine */
};

static void open_sides(struct side *from, struct side *to, size_t capacity)
{
	*from = (struct side){ .count = test_rounds(ITEMS) };
	*to = (struct side){ .result = 1000 };
	assert_int_equal(rota_channel_open((&(struct rota_channel_options){
						   .item_bytes = 8,
						   .capacity = capacity }),
					   &from->sender, &to->receiver),
			 0);
}

static void assert_passed(const struct side *from, const struct side *to)
{
	assert_int_equal(from->result, 0);
	assert_int_equal(to->result, 0);
	assert_false(to->disorder);
	assert_int_equal(to->passed, from->count);
}

/* As a plain thread, and as a task. */
static void *send_without_wait(void *arg)
{
	struct side *side = arg;

	for (uint64_t i = 0; i < side->count; i++)
		while ((side->result = rota_channel_try_send(&side->sender,
							     &i)) == -EAGAIN)
			sched_yield();
	rota_sender_close(&side->sender);
	return NULL;
}

static void *receive_without_wait(void *arg)
{
	struct side *side = arg;
	uint64_t item;

	for (;;) {
		side->result = rota_channel_try_receive(&side->receiver, &item);
		if (side->result == 1)
			side->disorder |= item != side->passed++;
		else if (side->result == -EAGAIN)
			sched_yield();
		else
			break;
	}
	rota_receiver_close(&side->receiver);
	return NULL;
}

static int send_as_task(void *arg)
{
	struct side *side = arg;

	for (uint64_t i = 0; i < side->count && !side->result; i++)
		side->result = rota_channel_send(&side->sender, &i);
	rota_sender_close(&side->sender);
	return side->result;
}

static int receive_as_task(void *arg)
{
	struct side *side = arg;
	uint64_t item;

	while ((side->result = rota_channel_receive(&side->receiver, &item)) ==
	       1)
		side->disorder |= item != side->passed++;
	rota_receiver_close(&side->receiver);
	return side->result;
}

static const size_t capacities[] = { 0, 1, 16 };

static void a_thread_feeds_an_engine_of_one_loop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct side from, to;
		pthread_t thread;

		open_sides(&from, &to, capacities[i]);
		pthread_create(&thread, NULL, send_without_wait, &from);
		assert_int_equal(test_run(receive_as_task, &to), 0);
		pthread_join(thread, NULL);
		assert_passed(&from, &to);
	}
}

static void a_thread_takes_from_an_engine_of_one_loop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct side from, to;
		pthread_t thread;

		open_sides(&from, &to, capacities[i]);
		pthread_create(&thread, NULL, receive_without_wait, &to);
		assert_int_equal(test_run(send_as_task, &from), 0);
		pthread_join(thread, NULL);
		assert_passed(&from, &to);
	}
}

static void *run_engine(void *arg)
{
	return test_run(send_as_task, arg) ? arg : NULL;
}

static void two_engines_share_a_channel(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct side from, to;
		pthread_t thread;

		open_sides(&from, &to, capacities[i]);
		pthread_create(&thread, NULL, run_engine, &from);
		assert_int_equal(test_run(receive_as_task, &to), 0);
		pthread_join(thread, NULL);
		assert_passed(&from, &to);
	}
}

/* The loop lies down between any two items. */
static void *send_now_and_then(void *arg)
{
	struct side *side = arg;
	struct test_random random;

	test_random_seed(&random, side->count);
	for (uint64_t i = 0; i < side->count; i++) {
		const struct timespec pause = {
			.tv_nsec = (long)test_random_below(&random, 100000),
		};

		nanosleep(&pause, NULL);
		while (rota_channel_try_send(&side->sender, &i) == -EAGAIN)
			sched_yield();
	}
	rota_sender_close(&side->sender);
	return NULL;
}

static void a_loop_that_sleeps_is_woken_by_a_thread(void **state)
{
	struct side from, to;
	pthread_t thread;

	(void)state;
	open_sides(&from, &to, 2);
	from.count = test_rounds(1000);
	pthread_create(&thread, NULL, send_now_and_then, &from);
	assert_int_equal(test_run(receive_as_task, &to), 0);
	pthread_join(thread, NULL);
	assert_passed(&from, &to);
}

static void it_is_woken_without_messages_between_rings_too(void **state)
{
	setenv("ROTA_MASK", "ring_message", 1);
	a_loop_that_sleeps_is_woken_by_a_thread(state);
}

static int receive_as_job(void *value)
{
	return receive_as_task(*(struct side **)value);
}

static void a_guest_is_woken_by_a_thread(void **state)
{
	struct side from, to, *value = &to;
	struct test_guest guest;
	struct rota_job job;
	pthread_t thread;

	(void)state;
	open_sides(&from, &to, 2);
	from.count = test_rounds(1000);
	assert_int_equal(test_guest_make(&guest, NULL, NULL), 0);
	job = (struct rota_job){ .engine = guest.engine };
	assert_int_equal(rota_submit(&job, receive_as_job, value), 0);
	pthread_create(&thread, NULL, send_now_and_then, &from);
	test_guest_until(&guest, &job);
	assert_false(guest.lost);
	pthread_join(thread, NULL);
	assert_int_equal(rota_job_wait(&job), 0);
	assert_int_equal(test_guest_end(&guest), 0);
	assert_passed(&from, &to);
}

static void *close_the_sender(void *arg)
{
	struct side *side = arg;
	struct rota_sender other = rota_sender_share(&side->sender);

	rota_sender_close(&side->sender);
	while (rota_sender_inspect(&other).receivers_waiting == 0)
		sched_yield();
	rota_sender_close(&other);
	return NULL;
}

static void a_thread_ends_a_channel(void **state)
{
	struct side from, to;
	pthread_t thread;

	(void)state;
	open_sides(&from, &to, 0);
	pthread_create(&thread, NULL, close_the_sender, &from);
	assert_int_equal(test_run(receive_as_task, &to), 0);
	pthread_join(thread, NULL);
	assert_int_equal(to.result, 0);
	assert_int_equal(to.passed, 0);
}

/* A loop that nothing can wake must not wait for who comes from outside. */
struct deaf {
	struct test_kernel kernel;
	struct side from, to;
	int results[4];
	struct rota_channel_state state;
};

static int wait_deaf(void *arg)
{
	struct deaf *deaf = arg;
	uint64_t item = 3;

	deaf->results[0] = rota_channel_receive(&deaf->to.receiver, &item);
	deaf->state = rota_sender_inspect(&deaf->from.sender);
	/* What need not wait works. */
	deaf->results[1] = rota_channel_send(&deaf->from.sender, &item);
	deaf->results[2] = rota_channel_send(&deaf->from.sender, &item);
	deaf->results[3] = rota_channel_receive(&deaf->to.receiver, &item);
	return 0;
}

static void a_loop_that_nothing_can_wake_is_told_so(void **state)
{
	struct deaf deaf = { 0 };

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	open_sides(&deaf.from, &deaf.to, 1);
	test_kernel_init(&deaf.kernel);
	test_kernel_fail(&deaf.kernel,
			 &(struct test_fault){ .call = TEST_EVENT_OPEN,
					       .times = TEST_FOREVER,
					       .error = -EMFILE });
	assert_int_equal(
		test_run_with(NULL, &deaf.kernel.table, wait_deaf, &deaf), 0);
	assert_int_equal(deaf.results[0], -EMFILE);
	assert_int_equal(deaf.state.receivers_waiting, 0);
	assert_int_equal(deaf.results[1], 0);
	assert_int_equal(deaf.results[2], -EMFILE);
	assert_int_equal(deaf.results[3], 1);
	rota_sender_close(&deaf.from.sender);
	rota_receiver_close(&deaf.to.receiver);
}

/* A thread that is slow to wake a loop which wakes by itself meanwhile: its
 * task has the item, and the engine would be gone. */
static struct {
	struct ri_kernel table;
	const struct ri_kernel *below;
	struct side from, to;
	atomic_bool waking; /* the thread is about to wake it */
	atomic_bool ended;  /* the task has ended */
	atomic_bool woken;  /* the thread has woken it */
} slow;

static int signal_slowly(const struct ri_kernel *kernel, int fd)
{
	const struct timespec moment = { .tv_nsec = 20000000 };
	int error;

	(void)kernel;
	atomic_store(&slow.waking, true);
	while (!atomic_load(&slow.ended))
		sched_yield();
	/* Long enough for an engine to go. */
	nanosleep(&moment, NULL);
	error = slow.below->event_signal(slow.below, fd);
	atomic_store(&slow.woken, true);
	return error;
}

static void *send_one(void *arg)
{
	const uint64_t item = 1;

	(void)arg;
	while (!rota_sender_inspect(&slow.from.sender).receivers_waiting)
		sched_yield();
	/* The loop sleeps, or will soon. */
	for (int i = 0; i < 100; i++)
		sched_yield();
	slow.from.result = rota_channel_try_send(&slow.from.sender, &item);
	return NULL;
}

static int sleep_beside(void *value)
{
	(void)value;
	while (!atomic_load(&slow.ended))
		if (rota_sleep(1000000))
			return -ECANCELED;
	return 0;
}

static int receive_one(void *arg)
{
	struct rota_group group;
	uint64_t item = 0;
	int got, error;

	(void)arg;
	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_beside, 0);
	got = rota_channel_receive(&slow.to.receiver, &item);
	atomic_store(&slow.ended, true);
	return error | rota_group_wait(&group) | (got == 1 ? 0 : -EPROTO);
}

static void an_engine_outlives_who_wakes_it(void **state)
{
	pthread_t thread;

	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	for (unsigned i = 0; i < 20 && !atomic_load(&slow.waking); i++) {
		open_sides(&slow.from, &slow.to, 0);
		slow.below = test_linux();
		slow.table = *slow.below;
		slow.table.event_signal = signal_slowly;
		atomic_store(&slow.ended, false);
		atomic_store(&slow.woken, false);
		pthread_create(&thread, NULL, send_one, NULL);
		assert_int_equal(
			test_run_with(NULL, &slow.table, receive_one, NULL), 0);
		/* The loop may have been awake: then nobody wakes it. */
		if (atomic_load(&slow.waking))
			assert_true(atomic_load(&slow.woken));
		pthread_join(thread, NULL);
		assert_int_equal(slow.from.result, 0);
		rota_sender_close(&slow.from.sender);
		rota_receiver_close(&slow.to.receiver);
	}
	assert_true(atomic_load(&slow.waking));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_feeds_an_engine_of_one_loop),
		cmocka_unit_test(a_thread_takes_from_an_engine_of_one_loop),
		cmocka_unit_test(two_engines_share_a_channel),
		cmocka_unit_test(a_loop_that_sleeps_is_woken_by_a_thread),
		cmocka_unit_test_setup_teardown(
			it_is_woken_without_messages_between_rings_too,
			test_mask_keep, test_mask_restore),
		cmocka_unit_test(a_guest_is_woken_by_a_thread),
		cmocka_unit_test(a_thread_ends_a_channel),
		cmocka_unit_test_setup_teardown(
			a_loop_that_nothing_can_wake_is_told_so, test_mask_keep,
			test_mask_restore),
		cmocka_unit_test_setup_teardown(an_engine_outlives_who_wakes_it,
						test_mask_keep,
						test_mask_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
