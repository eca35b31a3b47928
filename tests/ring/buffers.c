/* SPDX-License-Identifier: MIT */
#include "ring/buffers.h"

#include "support/buffers.h"
#include "support/child.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT 8u
#define BYTES 100u
#define NOBODY 65534

/* Children cannot skip. */
#define NOT_TRIED 77

/* One byte lands: which. */
static uint16_t take(struct test_buffers *test)
{
	const int id = test_buffers_land(test, "x", 1);

	assert_true(id >= 0);
	return (uint16_t)id;
}

static void give(struct test_buffers *test, uint16_t id)
{
	ri_buffers_give(&test->buffers, id);
}

static void all_that_are_wanted_are_in_the_ring(void **state)
{
	struct test_buffers *test = *state;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	assert_int_equal(test->buffers.count, COUNT);
	assert_int_equal(test->buffers.wanted, COUNT);
	test_buffers_expect(&test->buffers, COUNT, 0, 0);
}

static void without_options_there_are_256_of_4_kib(void **state)
{
	struct test_buffers *test = *state;

	assert_int_equal(test_buffers_open(test, 0, 0), 0);
	assert_int_equal(test->buffers.bytes, 4096);
	assert_int_equal(test->buffers.count, 256);
	test_buffers_expect(&test->buffers, RI_BUFFERS_FIRST, 0, 0);
}

static void what_lands_is_where_the_buffer_is(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	int first, second;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	first = test_buffers_land(test, "first", 5);
	second = test_buffers_land(test, "and second", 10);
	assert_true(first >= 0 && second >= 0 && first != second);
	test_buffers_expect(buffers, COUNT - 2, 2, 0);
	assert_int_equal(buffers->table[first].length, 5);
	assert_int_equal(buffers->table[second].length, 10);
	assert_memory_equal(ri_buffers_at(buffers, (uint16_t)first), "first",
			    5);
	assert_memory_equal(ri_buffers_at(buffers, (uint16_t)second),
			    "and second", 10);
	give(test, (uint16_t)second);
	give(test, (uint16_t)first);
	test_buffers_expect(buffers, COUNT, 0, 0);
}

/* The kernel gets its length from us, too: more does not fit. */
static void a_buffer_is_filled_and_no_more(void **state)
{
	struct test_buffers *test = *state;
	char data[2 * BYTES];
	int id;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	memset(data, 'd', sizeof(data));
	id = test_buffers_land(test, data, sizeof(data));
	assert_true(id >= 0);
	assert_int_equal(test->buffers.table[id].length, BYTES);
	give(test, (uint16_t)id);
}

static void what_is_given_back_is_the_kernels_again(void **state)
{
	struct test_buffers *test = *state;
	uint16_t ids[COUNT];

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	for (unsigned i = 0; i < COUNT; i++)
		ids[i] = take(test);
	assert_int_equal(test_buffers_land(test, "x", 1), -ENOBUFS);
	test_buffers_expect(&test->buffers, 0, COUNT, 0);
	give(test, ids[3]);
	give(test, ids[1]);
	assert_int_equal(take(test), ids[3]);
	assert_int_equal(take(test), ids[1]);
	assert_int_equal(test_buffers_land(test, "x", 1), -ENOBUFS);
	for (unsigned i = 0; i < COUNT; i++)
		give(test, ids[i]);
	test_buffers_expect(&test->buffers, COUNT, 0, 0);
}

/* Takes until so many are left: how many. */
static unsigned take_until(struct test_buffers *test, unsigned in_ring,
			   uint16_t *ids)
{
	unsigned count = 0;

	while (test->buffers.in_ring > in_ring)
		ids[count++] = take(test);
	return count;
}

static void when_few_are_left_there_are_twice_as_many(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	uint16_t ids[128];
	unsigned count;

	assert_int_equal(test_buffers_open(test, 100, BYTES), 0);
	test_buffers_expect(buffers, 32, 0, 0);
	count = take_until(test, 8, ids);
	test_buffers_expect(buffers, 8, 24, 0);
	ids[count++] = take(test);
	assert_int_equal(buffers->wanted, 64);
	test_buffers_expect(buffers, 64 - 25, 25, 0);
	count += take_until(test, 16, ids + count);
	ids[count++] = take(test);
	assert_int_equal(buffers->wanted, 100);
	test_buffers_expect(buffers, 100 - 49, 49, 0);
	count += take_until(test, 0, ids + count);
	assert_int_equal(test_buffers_land(test, "x", 1), -ENOBUFS);
	assert_int_equal(count, 100);
	while (count)
		give(test, ids[--count]);
	assert_int_equal(buffers->wanted, 100);
	test_buffers_expect(buffers, 100, 0, 0);
}

static void those_that_are_lent_come_on_top_of_those_that_are_due(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	uint16_t ids[64];
	unsigned count;

	assert_int_equal(test_buffers_open(test, 64, BYTES), 0);
	count = take_until(test, 8, ids);
	ri_buffers_lend(buffers);
	ids[count++] = take(test);
	test_buffers_expect(buffers, 8, 25, 0);
	ids[count++] = take(test);
	assert_int_equal(buffers->wanted, 65);
	test_buffers_expect(buffers, 65 - 26, 26, 0);
	ri_buffers_settle(buffers);
	give(test, ids[--count]);
	test_buffers_expect(buffers, 64 - 25, 25, 1);
	while (count)
		give(test, ids[--count]);
	test_buffers_expect(buffers, 64, 0, 1);
}

/* The tails of the ring are 16 bits wide, here and in the kernel. */
static void they_go_round_for_ever(void **state)
{
	const unsigned rounds = UINT16_MAX + 3 * RI_BUFFERS_DEFAULT;
	struct test_buffers *test = *state;
	unsigned wrong = 0;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	for (unsigned i = 0; i < rounds; i++) {
		const char data = (char)i;
		const int id = test_buffers_land(test, &data, 1);

		if (id < 0 ||
		    *ri_buffers_at(&test->buffers, (uint16_t)id) != data) {
			wrong++;
			break;
		}
		give(test, (uint16_t)id);
	}
	assert_int_equal(wrong, 0);
	test_buffers_expect(&test->buffers, COUNT, 0, 0);
}

static void for_one_that_is_lent_there_is_another(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	uint16_t ids[COUNT + 2];

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	for (unsigned i = 0; i < COUNT; i++)
		ids[i] = take(test);
	for (unsigned i = COUNT; i < COUNT + 2; i++) {
		ri_buffers_lend(buffers);
		test_buffers_expect(buffers, 1, i, 0);
		ids[i] = take(test);
	}
	assert_int_equal(test_buffers_land(test, "x", 1), -ENOBUFS);
	for (unsigned i = 0; i < COUNT + 2; i++) {
		if (i < 2)
			ri_buffers_settle(buffers);
		give(test, ids[i]);
	}
	assert_int_equal(buffers->wanted, COUNT);
	test_buffers_expect(buffers, COUNT, 0, 2);
}

static void a_spare_one_is_lent_before_a_fresh_one(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	uint16_t id;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	id = take(test);
	ri_buffers_lend(buffers);
	test_buffers_expect(buffers, COUNT, 1, 0);
	ri_buffers_settle(buffers);
	give(test, id);
	test_buffers_expect(buffers, COUNT, 0, 1);
	assert_int_equal(buffers->spare, id);
	ri_buffers_lend(buffers);
	test_buffers_expect(buffers, COUNT + 1, 0, 0);
}

/* What is given back serves the debt. */
static void without_a_block_left_those_that_are_lent_wait(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	const unsigned debt = 3;
	uint16_t ids[2];

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	ids[0] = take(test);
	ids[1] = take(test);
	for (unsigned i = 0; i < buffers->max - COUNT + debt; i++)
		ri_buffers_lend(buffers);
	assert_int_equal(buffers->wanted, buffers->max + debt);
	assert_int_equal(buffers->made, buffers->max);
	test_buffers_expect(buffers, buffers->max - 2, 2, 0);
	give(test, ids[0]);
	test_buffers_expect(buffers, buffers->max - 1, 1, 0);
	for (unsigned i = 0; i < debt; i++)
		ri_buffers_settle(buffers);
	give(test, ids[1]);
	test_buffers_expect(buffers, buffers->max, 0, 0);
	ids[0] = take(test);
	ri_buffers_settle(buffers);
	give(test, ids[0]);
	test_buffers_expect(buffers, buffers->max - 1, 0, 1);
}

static void the_largest_number_has_its_blocks(void **state)
{
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;

	assert_int_equal(test_buffers_open(test, RI_BUFFERS_MAX, 1), 0);
	assert_int_equal(buffers->max, 4 * RI_BUFFERS_MAX);
	for (unsigned i = 0; i < 2 * buffers->max; i++)
		ri_buffers_lend(buffers);
	test_buffers_expect(buffers, buffers->max, 0, 0);
	assert_int_equal(take(test), 0);
	give(test, 0);
	test_buffers_expect(buffers, buffers->max, 0, 0);
}

/* Blocks of every size: apart, in the mapping, and on many sets of a cache. */
static void blocks_do_not_overlap(void **state)
{
	static const unsigned sizes[] = { 1, 63, 64, 65, 4096, 5000, 1u << 20 };
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;

	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const char *start, *end;

		assert_int_equal(test_buffers_open(test, 256, sizes[i]), 0);
		start = (const char *)buffers->ring;
		end = start + buffers->mapped_bytes;
		assert_int_equal((uintptr_t)start % 4096, 0);
		assert_true(buffers->stride >= sizes[i]);
		assert_int_equal(buffers->stride % 128, 64);
		assert_true(
			(const char *)(buffers->ring->bufs + buffers->max) <=
			(const char *)buffers->table);
		assert_true((const char *)(buffers->table + buffers->max) <=
			    ri_buffers_at(buffers, 0));
		assert_true(
			ri_buffers_at(buffers, (uint16_t)(buffers->max - 1)) +
				sizes[i] <=
			end);
		ri_buffers_close(buffers, &test->ring);
	}
}

static void closed_they_can_be_opened_again(void **state)
{
	struct test_buffers *test = *state;
	const unsigned mappings = test->kernel.mappings;

	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
		give(test, take(test));
		ri_buffers_close(&test->buffers, &test->ring);
		assert_int_equal(test->kernel.mappings, mappings);
		assert_int_equal(test_buffers_land(test, "x", 1), -ENOBUFS);
		/* A second time there is nothing to close. */
		ri_buffers_close(&test->buffers, &test->ring);
	}
}

static void assert_refused(struct test_buffers *test, enum test_call call,
			   int error)
{
	const unsigned mappings = test->kernel.mappings;

	memset(&test->said, 0, sizeof(test->said));
	test_kernel_fail(&test->kernel,
			 &(struct test_fault){ .call = call, .error = error });
	assert_int_equal(test_buffers_open(test, COUNT, BYTES), error);
	assert_int_equal(test->kernel.mappings, mappings);
	assert_null(test->buffers.ring);
	assert_int_equal(test->said.lines, 1);
	assert_true(test_log_has(&test->said,
				 "no memory for the 8 buffers of streams"));
	assert_true(test_log_has(&test->said, strerror(-error)));
	assert_true(test_log_has(&test->said, "RLIMIT_MEMLOCK"));
}

static void refused_they_leave_nothing_and_can_be_asked_for_again(void **state)
{
	struct test_buffers *test = *state;

	assert_refused(test, TEST_MAP, -ENOMEM);
	assert_refused(test, TEST_ENROLL, -ENOMEM);
	assert_refused(test, TEST_ENROLL, -EINVAL);
	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	give(test, take(test));
}

/* Enough for a small ring, and not for the ring of 32,768 buffers. */
static int open_without_memory(void *arg)
{
	const struct ri_ring_options options = { .entries = 4 };
	const struct rlimit limit = { 256 << 10, 256 << 10 };
	const struct ri_log log = { NULL, NULL };
	static struct test_buffers test;

	(void)arg;
	test_kernel_init(&test.kernel);
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setuid(NOBODY) ||
	    ri_ring_open(&test.ring, &test.kernel.table, &log, &options))
		return NOT_TRIED;
	return -test_buffers_open(&test, RI_BUFFERS_MAX, BYTES);
}

static void locked_memory_that_is_refused_is_named(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, open_without_memory, NULL);
	if (child.status == NOT_TRIED)
		test_skip("only root can become somebody with less");
	if (child.status == 0)
		test_skip("this kernel does not count them as locked memory");
	assert_int_equal(child.status, ENOMEM);
	assert_non_null(strstr(child.errors, "ulimit -l"));
}

static int give_one_too_many(void *arg)
{
	struct test_buffers *test = arg;

	ri_buffers_give(&test->buffers, 0);
	return 0;
}

static int take_what_was_never_made(void *arg)
{
	struct test_buffers *test = arg;

	ri_buffers_take(&test->buffers, COUNT, 1);
	return 0;
}

static int take_too_long_a_one(void *arg)
{
	struct test_buffers *test = arg;

	ri_buffers_take(&test->buffers, 0, BYTES + 1);
	return 0;
}

static int take_from_an_empty_ring(void *arg)
{
	struct test_buffers *test = arg;

	for (unsigned i = 0; i <= COUNT; i++)
		ri_buffers_take(&test->buffers, 0, 1);
	return 0;
}

static int close_with_one_out(void *arg)
{
	struct test_buffers *test = arg;

	ri_buffers_take(&test->buffers, 0, 1);
	ri_buffers_close(&test->buffers, &test->ring);
	return 0;
}

static void mistakes_end_the_program(void **state)
{
	static const struct {
		int (*fn)(void *);
		const char *words;
	} mistakes[] = {
		{ give_one_too_many, "a buffer that is not out" },
		{ take_what_was_never_made, "buffer 8 of 8" },
		{ take_too_long_a_one, "101 bytes in a buffer of 100" },
		{ take_from_an_empty_ring, "not in the ring" },
		{ close_with_one_out, "1 buffers are out" },
	};
	struct test_buffers *test = *state;
	struct test_child child;

	assert_int_equal(test_buffers_open(test, COUNT, BYTES), 0);
	for (unsigned i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		test_child_run(&child, mistakes[i].fn, test);
		assert_int_equal(child.signal, SIGABRT);
		assert_non_null(strstr(child.errors, mistakes[i].words));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_BUFFERS(all_that_are_wanted_are_in_the_ring),
		TEST_BUFFERS(without_options_there_are_256_of_4_kib),
		TEST_BUFFERS(what_lands_is_where_the_buffer_is),
		TEST_BUFFERS(a_buffer_is_filled_and_no_more),
		TEST_BUFFERS(what_is_given_back_is_the_kernels_again),
		TEST_BUFFERS(when_few_are_left_there_are_twice_as_many),
		TEST_BUFFERS(
			those_that_are_lent_come_on_top_of_those_that_are_due),
		TEST_BUFFERS(they_go_round_for_ever),
		TEST_BUFFERS(for_one_that_is_lent_there_is_another),
		TEST_BUFFERS(a_spare_one_is_lent_before_a_fresh_one),
		TEST_BUFFERS(without_a_block_left_those_that_are_lent_wait),
		TEST_BUFFERS(the_largest_number_has_its_blocks),
		TEST_BUFFERS(blocks_do_not_overlap),
		TEST_BUFFERS(closed_they_can_be_opened_again),
		TEST_BUFFERS(
			refused_they_leave_nothing_and_can_be_asked_for_again),
		TEST_BUFFERS(locked_memory_that_is_refused_is_named),
		TEST_BUFFERS(mistakes_end_the_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
