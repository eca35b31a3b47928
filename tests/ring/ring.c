/* SPDX-License-Identifier: MIT */
#include "ring/ring.h"

#include "support/child.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/run.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES 4

struct fixture {
	struct test_kernel kernel;
	struct test_log said;
	struct ri_log log;
	struct ri_ring ring;
};

static int setup(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	test_kernel_init(&fixture.kernel);
	fixture.log = (struct ri_log){ test_log_write, &fixture.said };
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	return (int)test_kernel_left(&fixture->kernel);
}

static void open_ring(struct fixture *fixture)
{
	const struct ri_ring_options options = { .entries = ENTRIES };

	assert_int_equal(ri_ring_open(&fixture->ring, &fixture->kernel.table,
				      &fixture->log, &options),
			 0);
}

static bool add_nop(struct ri_ring *ring, unsigned name)
{
	struct io_uring_sqe *entry = ri_ring_entry(ring);

	if (!entry)
		return false;
	io_uring_prep_nop(entry);
	entry->user_data = name;
	return true;
}

/* Reaps everything; the names of what completed, as bits. */
static uint64_t reap_names(struct ri_ring *ring)
{
	const unsigned count = ri_ring_landed(ring);
	uint64_t names = 0;

	for (unsigned i = 0; i < count; i++)
		names |= (uint64_t)1 << ri_ring_completion(ring, i)->user_data;
	ri_ring_reaped(ring, count);
	return names;
}

static void entries_go_out_and_completions_come_in(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;

	open_ring(fixture);
	assert_int_equal(ri_ring_room(ring), ENTRIES);
	for (unsigned i = 0; i < 3; i++)
		assert_true(add_nop(ring, i));
	assert_int_equal(ri_ring_queued(ring), 3);
	assert_int_equal(ri_ring_room(ring), ENTRIES - 3);
	assert_int_equal(ri_ring_enter(ring, true, INT64_MAX), 0);
	assert_int_equal(ri_ring_queued(ring), 0);
	assert_true(ri_ring_ready(ring));
	assert_int_equal(reap_names(ring), 7);
	assert_false(ri_ring_ready(ring));
	assert_int_equal(ring->submitted, 3);
	ri_ring_close(ring);
}

static void a_full_batch_makes_room_for_the_next_entry(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;
	uint64_t enters;

	open_ring(fixture);
	enters = ring->enters;
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_true(add_nop(ring, i));
	assert_int_equal(ring->enters, enters);
	assert_true(add_nop(ring, ENTRIES));
	assert_int_equal(ring->enters, enters + 1);
	assert_int_equal(ri_ring_enter(ring, false, 0), 0);
	assert_int_equal(reap_names(ring), 31);
	ri_ring_close(ring);
}

static void there_is_no_entry_while_the_kernel_takes_none(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;

	open_ring(fixture);
	for (unsigned i = 0; i < ENTRIES; i++)
		assert_true(add_nop(ring, i));
	fixture->kernel.submit_error = -EAGAIN;
	assert_false(add_nop(ring, ENTRIES));
	assert_int_equal(ri_ring_queued(ring), ENTRIES);
	fixture->kernel.submit_error = 0;
	assert_true(add_nop(ring, ENTRIES));
	assert_int_equal(ri_ring_enter(ring, false, 0), 0);
	assert_int_equal(reap_names(ring), 31);
	ri_ring_close(ring);
}

static void entries_that_were_not_taken_stay_queued(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;

	open_ring(fixture);
	fixture->kernel.submit_max = 1;
	for (unsigned i = 0; i < 3; i++)
		assert_true(add_nop(ring, i));
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(ri_ring_queued(ring), 3 - i);
		assert_int_equal(ri_ring_enter(ring, false, 0), 0);
		assert_int_equal(reap_names(ring), 1u << i);
	}
	assert_int_equal(ri_ring_queued(ring), 0);
	ri_ring_close(ring);
}

/* Polls that become ready together: an enter by itself fetches 20. */
#define POLLS 60

static void poll_often(struct ri_ring *ring, int fd)
{
	for (unsigned i = 0; i < POLLS; i++) {
		struct io_uring_sqe *entry = ri_ring_entry(ring);

		assert_non_null(entry);
		io_uring_prep_poll_add(entry, fd, POLLIN);
		entry->user_data = i;
	}
}

static void a_harvest_fetches_all_that_is_ready_and_does_not_wait(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;
	int64_t begun_ns;
	int ends[2];

	open_ring(fixture);
	assert_int_equal(pipe(ends), 0);
	poll_often(ring, ends[0]);
	begun_ns = rota_now_ns();
	assert_int_equal(ri_ring_harvest(ring, POLLS), 0);
	assert_true(rota_now_ns() - begun_ns < ROTA_SECOND);
	assert_int_equal(ri_ring_landed(ring), 0);
	assert_int_equal(write(ends[1], "!", 1), 1);
	assert_int_equal(ri_ring_harvest(ring, POLLS), 0);
	assert_int_equal(ri_ring_landed(ring), POLLS);
	assert_true(reap_names(ring) == ((uint64_t)1 << POLLS) - 1);
	ri_ring_close(ring);
	close(ends[0]);
	close(ends[1]);
}

static int enter_that_says(struct fixture *fixture, int error)
{
	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){ .call = TEST_ENTER,
					       .error = error });
	return ri_ring_enter(&fixture->ring, true, INT64_MAX);
}

static void the_end_of_a_wait_is_no_error(void **state)
{
	struct fixture *fixture = *state;

	open_ring(fixture);
	assert_int_equal(enter_that_says(fixture, -ETIME), 0);
	assert_int_equal(enter_that_says(fixture, -EINTR), 0);
	ri_ring_close(&fixture->ring);
}

static void entries_survive_every_error_that_passes(void **state)
{
	const int errors[] = { -EAGAIN, -EBUSY, -ENOMEM, -EINTR };
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;

	open_ring(fixture);
	for (unsigned i = 0; i < 4; i++) {
		assert_true(add_nop(ring, i));
		assert_int_equal(enter_that_says(fixture, errors[i]),
				 errors[i] == -EINTR ? 0 : -EAGAIN);
		assert_int_equal(ri_ring_queued(ring), 1);
		assert_int_equal(ri_ring_enter(ring, true, INT64_MAX), 0);
		assert_int_equal(reap_names(ring), 1u << i);
	}
	ri_ring_close(ring);
}

static int lose_the_ring(void *arg)
{
	struct fixture *fixture = arg;

	return -enter_that_says(fixture, -EBADR);
}

static void a_completion_that_was_lost_ends_the_program(void **state)
{
	struct fixture *fixture = *state;
	struct test_child child;

	open_ring(fixture);
	test_child_run(&child, lose_the_ring, fixture);
	ri_ring_close(&fixture->ring);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "io_uring_enter: "));
}

static void without_a_registered_descriptor_it_works_too(void **state)
{
	struct fixture *fixture = *state;
	struct ri_ring *ring = &fixture->ring;

	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){ .call = TEST_ENROLL,
					       .detail =
						       IORING_REGISTER_RING_FDS,
					       .error = -ENOMEM });
	open_ring(fixture);
	assert_int_equal(ring->enter_flags & IORING_ENTER_REGISTERED_RING, 0);
	assert_true(add_nop(ring, 0));
	assert_int_equal(ri_ring_enter(ring, true, INT64_MAX), 0);
	assert_int_equal(reap_names(ring), 1);
	assert_string_equal(fixture->said.text, "");
	ri_ring_close(ring);
}

static void with_it_enters_name_its_index(void **state)
{
	struct fixture *fixture = *state;

	open_ring(fixture);
	assert_int_equal(fixture->ring.enter_flags,
			 IORING_ENTER_REGISTERED_RING);
	assert_int_not_equal(fixture->ring.enter_fd,
			     fixture->ring.uring.ring_fd);
	ri_ring_close(&fixture->ring);
}

static void worker_threads_that_cannot_be_bounded_are_an_error(void **state)
{
	const struct ri_ring_options options = { 0 };
	struct fixture *fixture = *state;

	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){
				 .call = TEST_ENROLL,
				 .detail = IORING_REGISTER_IOWQ_MAX_WORKERS,
				 .error = -EINVAL });
	assert_int_equal(ri_ring_open(&fixture->ring, &fixture->kernel.table,
				      &fixture->log, &options),
			 -EINVAL);
	assert_int_equal(fixture->said.lines, 1);
	assert_int_equal(test_kernel_left(&fixture->kernel), 0);
}

/* Asked for 0 of each, the kernel changes nothing and tells what there is. */
static void worker_threads_are_as_many_as_was_said(void **state)
{
	const struct ri_ring_options options = { .workers = 3 };
	struct fixture *fixture = *state;
	unsigned workers[2] = { 0, 0 };

	assert_int_equal(ri_ring_open(&fixture->ring, &fixture->kernel.table,
				      &fixture->log, &options),
			 0);
	assert_int_equal(io_uring_register_iowq_max_workers(
				 &fixture->ring.uring, workers),
			 0);
	assert_int_equal(workers[0], 3);
	ri_ring_close(&fixture->ring);
}

/* Refuses memory this many times. */
static int open_with_little(struct fixture *fixture, unsigned times)
{
	const struct ri_ring_options options = { 0 };

	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){ .call = TEST_RING_OPEN,
					       .times = times,
					       .error = -ENOMEM });
	return ri_ring_open(&fixture->ring, &fixture->kernel.table,
			    &fixture->log, &options);
}

static void fewer_completions_are_tried_when_memory_is_refused(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(open_with_little(fixture, 3), 0);
	assert_int_equal(fixture->kernel.details[TEST_RING_OPEN],
			 RI_RING_COMPLETIONS / 8);
	assert_int_equal(fixture->said.lines, 0);
	ri_ring_close(&fixture->ring);
}

static void there_are_never_fewer_completions_than_entries(void **state)
{
	struct fixture *fixture = *state;
	const struct ri_ring_options options = { .entries = 256,
						 .completions = 64 };

	assert_int_equal(ri_ring_open(&fixture->ring, &fixture->kernel.table,
				      &fixture->log, &options),
			 0);
	assert_true(fixture->ring.uring.cq.ring_entries >= 256);
	ri_ring_close(&fixture->ring);
}

static void too_few_completions_are_not_tried(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(open_with_little(fixture, TEST_FOREVER), -ENOMEM);
	assert_int_equal(fixture->kernel.details[TEST_RING_OPEN],
			 RI_RING_COMPLETIONS_MIN);
	assert_int_equal(fixture->kernel.calls[TEST_RING_OPEN], 5);
	assert_int_equal(fixture->said.lines, 1);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(entries_go_out_and_completions_come_in),
		CASE(a_full_batch_makes_room_for_the_next_entry),
		CASE(there_is_no_entry_while_the_kernel_takes_none),
		CASE(entries_that_were_not_taken_stay_queued),
		CASE(a_harvest_fetches_all_that_is_ready_and_does_not_wait),
		CASE(the_end_of_a_wait_is_no_error),
		CASE(entries_survive_every_error_that_passes),
		CASE(a_completion_that_was_lost_ends_the_program),
		CASE(without_a_registered_descriptor_it_works_too),
		CASE(with_it_enters_name_its_index),
		CASE(worker_threads_that_cannot_be_bounded_are_an_error),
		CASE(worker_threads_are_as_many_as_was_said),
		CASE(fewer_completions_are_tried_when_memory_is_refused),
		CASE(there_are_never_fewer_completions_than_entries),
		CASE(too_few_completions_are_not_tried),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
