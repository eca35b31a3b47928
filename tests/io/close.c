/* SPDX-License-Identifier: MIT */
/*
 * Closing a descriptor that other tasks wait on.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/process.h"
#include "support/run.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAITERS 50

struct stage {
	struct rota_group group;
	int pair[2];
	int other[2];
	int results[WAITERS];
	int codes[4];
	unsigned ended;
};

struct waiter {
	struct stage *stage;
	int index;
	int fd;
};

static int wait_somehow(void *value)
{
	const struct waiter *waiter = value;
	char byte;
	int result;

	if (waiter->index % 3 == 0)
		result = rota_recv(waiter->fd, &byte, 1, 0);
	else if (waiter->index % 3 == 1)
		result = rota_read(waiter->fd, &byte, 1);
	else
		result = rota_poll(waiter->fd, POLLIN);
	waiter->stage->results[waiter->index] = result;
	waiter->stage->ended++;
	return 0;
}

static int open_pairs(struct stage *stage)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage->pair) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, stage->other))
		return -errno;
	return 0;
}

static int close_under_many(void *arg)
{
	struct stage *stage = arg;
	int error = open_pairs(stage);

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < WAITERS; i++)
		error |= rota_go(
			&stage->group, wait_somehow,
			((struct waiter){ stage, i,
					  i < WAITERS - 1 ? stage->pair[0]
							  : stage->other[0] }));
	error |= rota_sleep(ROTA_MILLISECOND); /* all are in the kernel */
	error |= rota_close(stage->pair[0]);
	while (stage->ended < WAITERS - 1)
		rota_yield();
	error |= rota_send(stage->other[1], "x", 1, 0) != 1;
	error |= rota_group_wait(&stage->group);
	error |= rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void all_who_wait_on_it_get_ebadf_and_nobody_else(void **state)
{
	const unsigned before = test_process_descriptors();
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_under_many, &stage), 0);
	for (int i = 0; i < WAITERS - 1; i++)
		assert_int_equal(stage.results[i], -EBADF);
	assert_int_equal(stage.results[WAITERS - 1], 1);
	assert_int_equal(test_process_descriptors(), before);
}

static int close_before_they_are_in(void *arg)
{
	struct stage *stage = arg;
	int error = open_pairs(stage);

	rota_group_open(&stage->group, NULL);
	for (int i = 0; i < 3; i++)
		error |= rota_go(&stage->group, wait_somehow,
				 ((struct waiter){ stage, i, stage->pair[0] }));
	rota_yield();
	/* Their entries are in the batch that this close is in. */
	error |= rota_close(stage->pair[0]);
	error |= rota_group_wait(&stage->group);
	error |= rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void a_close_in_the_same_batch_ends_them_too(void **state)
{
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_before_they_are_in, &stage), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stage.results[i], -EBADF);
}

/* The number is in use again at once: what is new is left alone. */
static int close_and_reopen(void *arg)
{
	struct stage *stage = arg;
	int error = open_pairs(stage), fd;

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, wait_somehow,
			 ((struct waiter){ stage, 0, stage->pair[0] }));
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_close(stage->pair[0]);
	fd = fcntl(stage->other[0], F_DUPFD_CLOEXEC, stage->pair[0]);
	stage->codes[0] = fd == stage->pair[0];
	error |= rota_go(&stage->group, wait_somehow,
			 ((struct waiter){ stage, 1, fd }));
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_send(stage->other[1], "x", 1, 0) != 1;
	error |= rota_group_wait(&stage->group);
	error |= rota_close(fd) | rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void
who_waits_on_the_number_when_it_is_used_again_is_left_alone(void **state)
{
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_and_reopen, &stage), 0);
	assert_true(stage.codes[0]);
	assert_int_equal(stage.results[0], -EBADF);
	assert_int_equal(stage.results[1], 1);
}

#define FAR 65536

/* Waits for a time out, which has no use for a descriptor: its entry may have
 * the number of one that few processes may open. */
static int wait_far(void *value)
{
	const struct waiter *waiter = value;
	struct __kernel_timespec hour = { .tv_sec = 3600 };
	struct io_uring_sqe entry;

	io_uring_prep_timeout(&entry, &hour, 0, 0);
	entry.fd = waiter->fd;
	waiter->stage->results[waiter->index] = rota_await(&entry);
	waiter->stage->ended++;
	return 0;
}

static int close_near(void *arg)
{
	struct stage *stage = arg;
	int error = open_pairs(stage);
	const int near = stage->pair[0];

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, wait_somehow,
			 ((struct waiter){ stage, 0, near }));
	error |= rota_go(&stage->group, wait_far,
			 ((struct waiter){ stage, 1, near + FAR }));
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_close(near);
	error |= rota_sleep(ROTA_MILLISECOND);
	stage->codes[0] = (int)stage->ended;
	rota_group_cancel(&stage->group, (struct rota_cancellation){ 0, NULL });
	error |= rota_group_wait(&stage->group) != -ECANCELED;
	error |= rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void numbers_that_share_a_bucket_do_not_share_their_end(void **state)
{
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_near, &stage), 0);
	assert_int_equal(stage.codes[0], 1);
	assert_int_equal(stage.results[0], -EBADF);
	assert_int_equal(stage.results[1], -ECANCELED);
}

static int recv_and_close_twice(void *value)
{
	struct stage *stage = *(struct stage **)value;
	char byte;

	stage->results[0] = rota_recv(stage->pair[0], &byte, 1, 0);
	stage->codes[0] = rota_cancelled();
	/* Only this wait ended: the task is not cancelled. */
	stage->results[1] = rota_sleep(1);
	return 0;
}

static int close_beside(void *arg)
{
	struct stage *stage = arg;
	int error = open_pairs(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, recv_and_close_twice, stage);
	rota_yield();
	stage->codes[1] = rota_close(stage->pair[0]);
	stage->codes[2] = rota_close(stage->pair[0]);
	error |= rota_group_wait(&stage->group);
	error |= rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void a_close_ends_a_wait_and_cancels_no_task(void **state)
{
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_beside, &stage), 0);
	assert_int_equal(stage.results[0], -EBADF);
	assert_int_equal(stage.results[1], 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.codes[2], -EBADF);
}

static int close_in_cancelled(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_pairs(stage);
	char byte;

	rota_deadline_begin(&deadline, 0);
	stage->codes[0] = rota_shutdown(stage->pair[0], SHUT_RDWR);
	stage->codes[1] = rota_close(stage->pair[0]);
	stage->codes[2] = rota_recv(stage->other[0], &byte, 1, 0);
	rota_deadline_end(&deadline);
	stage->codes[3] = rota_recv(stage->pair[1], &byte, 1, 0); /* its end */
	error |= rota_close(stage->pair[1]);
	error |= rota_close(stage->other[0]);
	return error | rota_close(stage->other[1]);
}

static void close_and_shutdown_work_in_a_cancelled_task(void **state)
{
	static const int expected[] = { 0, 0, -ETIME, 0 };
	struct stage stage = { .ended = 0 };

	(void)state;
	assert_int_equal(test_run(close_in_cancelled, &stage), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

/* The batch is full, and the kernel takes nothing for a while. */
struct jam {
	struct test_kernel kernel;
	int code;
	unsigned refused;
};

static int do_nothing(void *value)
{
	struct io_uring_sqe entry;

	(void)value;
	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

static int close_in_a_jam(void *arg)
{
	struct jam *jam = arg;
	struct rota_group group;
	struct rota_deadline deadline;
	const int fd = dup(STDIN_FILENO);
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, do_nothing, 0);
	rota_yield();
	test_kernel_fail(&jam->kernel,
			 &(struct test_fault){ .call = TEST_ENTER,
					       .times = 20,
					       .error = -EAGAIN });
	jam->refused = jam->kernel.calls[TEST_ENTER];
	rota_deadline_begin(&deadline, 0);
	jam->code = rota_close(fd);
	rota_deadline_end(&deadline);
	jam->refused = jam->kernel.calls[TEST_ENTER] - jam->refused;
	return error | rota_group_wait(&group);
}

static void a_close_that_finds_no_entry_waits_for_one(void **state)
{
	const struct rota_config config = { .entries = 1 };
	const unsigned before = test_process_descriptors();
	struct jam jam = { .code = 1 };

	(void)state;
	test_kernel_init(&jam.kernel);
	assert_int_equal(test_run_with(&config, &jam.kernel.table,
				       close_in_a_jam, &jam),
			 0);
	assert_int_equal(jam.code, 0);
	assert_true(jam.refused >= 20);
	assert_int_equal(test_process_descriptors(), before);
}

/* Three tasks go on in one turn: the first closes, the second opens and gets
 * the number, the third has received one byte of two on it. */
struct succession {
	struct test_kernel kernel;
	int pair[2];
	int closed, opened, result;
	size_t done;
	bool released;
};

static int await_nop(void)
{
	struct io_uring_sqe entry;

	io_uring_prep_nop(&entry);
	return rota_await(&entry);
}

static int close_in_time(void *value)
{
	struct succession *story = *(struct succession **)value;
	const int error = await_nop();

	story->closed = rota_close(story->pair[0]);
	return error;
}

static int open_next(void *value)
{
	struct succession *story = *(struct succession **)value;
	const int error = await_nop();

	story->opened = rota_open("/dev/zero", O_RDONLY, 0);
	return error;
}

static int receive_two(void *value)
{
	struct succession *story = *(struct succession **)value;
	char bytes[2];

	story->result = rota_recv_full(story->pair[0], bytes, 2, &story->done);
	return 0;
}

/* All three completions are held: the receive's is cut short. */
static void release_in_order(struct test_kernel *kernel, void *context)
{
	struct succession *story = context;

	if (story->released || test_kernel_held(kernel) < 3)
		return;
	story->released = true;
	for (unsigned i = 0; i < 3; i++)
		if (test_kernel_held_at(kernel, i)->opcode == IORING_OP_RECV)
			test_kernel_held_at(kernel, i)->res = 1;
	test_kernel_hold(kernel, NULL, NULL);
	test_kernel_release_all(kernel);
}

static int succeed_each_other(void *arg)
{
	struct succession *story = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, close_in_time, story);
	error |= rota_go(&group, open_next, story);
	error |= rota_go(&group, receive_two, story);
	return error | rota_group_wait(&group);
}

static void
a_verb_of_several_steps_does_not_go_on_with_a_closed_number(void **state)
{
	static struct succession story;

	(void)state;
	test_kernel_init(&story.kernel);
	story.kernel.on_idle = release_in_order;
	story.kernel.idle_context = &story;
	test_kernel_hold(&story.kernel, test_hold_all, NULL);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, story.pair), 0);
	assert_int_equal(write(story.pair[1], "ab", 2), 2);
	assert_int_equal(test_run_with(NULL, &story.kernel.table,
				       succeed_each_other, &story),
			 0);
	assert_int_equal(story.closed, 0);
	assert_int_equal(story.opened, story.pair[0]);
	assert_int_equal(story.result, -EBADF);
	assert_int_equal(story.done, 1);
	close(story.opened);
	close(story.pair[1]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_who_wait_on_it_get_ebadf_and_nobody_else),
		cmocka_unit_test(a_close_in_the_same_batch_ends_them_too),
		cmocka_unit_test(
			who_waits_on_the_number_when_it_is_used_again_is_left_alone),
		cmocka_unit_test(
			numbers_that_share_a_bucket_do_not_share_their_end),
		cmocka_unit_test(a_close_ends_a_wait_and_cancels_no_task),
		cmocka_unit_test(close_and_shutdown_work_in_a_cancelled_task),
		cmocka_unit_test(a_close_that_finds_no_entry_waits_for_one),
		cmocka_unit_test(
			a_verb_of_several_steps_does_not_go_on_with_a_closed_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
