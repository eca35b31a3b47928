/* SPDX-License-Identifier: MIT */
/*
 * Where channels live: what is refused, memory of the caller's to the byte, and
 * that a warm one allocates nothing. This program defines malloc and its like
 * itself, to count the calls and to refuse.
 */
#include "rota/rota.h"
#include "stack/sanitizer.h"
#include "support/kernel.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define WARM_ROUNDS 100
#define ROUNDS 1000

static unsigned allocations;
static unsigned releases;
static bool refuses; /* there is no memory */

#if !RI_SANITIZED
/* glibc's own, which are there for just this. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *old, size_t bytes);
extern void __libc_free(void *block);

void *malloc(size_t bytes)
{
	allocations++;
	return refuses ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	allocations++;
	return refuses ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	allocations++;
	return refuses ? NULL : __libc_realloc(old, bytes);
}

void free(void *block)
{
	releases += block != NULL;
	__libc_free(block);
}
#endif

/* Ends that were never opened: nobody must take them for open ones. */
static struct rota_sender sender;
static struct rota_receiver receiver;

static int try_to_open(const struct rota_channel_options *options)
{
	sender.channel = (void *)&sender;
	receiver.channel = (void *)&receiver;
	return rota_channel_open(options, &sender, &receiver);
}

static void assert_refused(const struct rota_channel_options *options,
			   int error)
{
	assert_int_equal(try_to_open(options), error);
	assert_null(sender.channel);
	assert_null(receiver.channel);
}

static void what_cannot_be_is_refused_and_leaves_both_ends_closed(void **state)
{
	static const struct {
		size_t item_bytes, capacity;
	} wrong[] = {
		{ 0, 0 },
		{ 0, 10 },
		{ 1, SIZE_MAX },
		{ SIZE_MAX, 1 },
		{ SIZE_MAX, 0 },
		{ SIZE_MAX / 2 + 1, 0 },
		{ 1, SIZE_MAX / 2 + 1 },
		{ 1, SIZE_MAX / 2 },
		{ SIZE_MAX / 2, 1 },
		{ (size_t)1 << 32, (size_t)1 << 32 },
		{ ((size_t)1 << 32) + 1, (size_t)1 << 32 },
		{ 3, SIZE_MAX / 3 },
		{ 3, SIZE_MAX / 3 + 1 },
		{ 16, SIZE_MAX / 16 + 2 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		const struct rota_channel_options options = {
			.item_bytes = wrong[i].item_bytes,
			.capacity = wrong[i].capacity,
		};

		assert_int_equal(rota_channel_bytes(&options), 0);
		assert_refused(&options, -EINVAL);
	}
	assert_int_equal(rota_channel_bytes(NULL), 0);
	assert_refused(NULL, -EINVAL);
}

static void an_end_that_is_null_is_refused(void **state)
{
	const struct rota_channel_options options = { .item_bytes = 1 };

	(void)state;
	sender.channel = (void *)&sender;
	receiver.channel = (void *)&receiver;
	assert_int_equal(rota_channel_open(&options, NULL, &receiver), -EINVAL);
	assert_null(receiver.channel);
	assert_int_equal(rota_channel_open(&options, &sender, NULL), -EINVAL);
	assert_null(sender.channel);
	assert_int_equal(rota_channel_open(&options, NULL, NULL), -EINVAL);
}

static void memory_that_is_not_aligned_is_refused(void **state)
{
	alignas(16) char memory[1024];

	(void)state;
	for (unsigned i = 1; i < 16; i++)
		assert_refused(
			&(struct rota_channel_options){ .item_bytes = 1,
							.memory = memory + i },
			-EINVAL);
	assert_int_equal(
		try_to_open(&(struct rota_channel_options){ .item_bytes = 1,
							    .memory = memory }),
		0);
	rota_sender_close(&sender);
	rota_receiver_close(&receiver);
}

static void without_memory_there_is_no_channel(void **state)
{
	const struct rota_channel_options options = { .item_bytes = 1 };
	int error;

	(void)state;
	if (RI_SANITIZED)
		test_skip("the sanitizer's malloc does not refuse");
	refuses = true;
	error = try_to_open(&options);
	refuses = false;
	assert_int_equal(error, -ENOMEM);
	assert_null(sender.channel);
	assert_null(receiver.channel);
}

static void a_bigger_item_or_ring_takes_as_much_more(void **state)
{
	const size_t bytes = rota_channel_bytes(
		&(struct rota_channel_options){ .item_bytes = 1 });

	(void)state;
	assert_true(bytes > 0);
	for (size_t item = 1; item < 100; item++)
		for (size_t capacity = 0; capacity < 20; capacity++)
			assert_int_equal(rota_channel_bytes(&(
						 struct rota_channel_options){
						 .item_bytes = item,
						 .capacity = capacity }),
					 bytes + item * capacity);
}

/* Two pages, of which the second one must not be touched. */
static char *guarded(size_t *page_bytes)
{
	char *start;

	*page_bytes = 1 << 16;
	start = mmap(NULL, 2 * *page_bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(start != MAP_FAILED);
	assert_int_equal(mprotect(start + *page_bytes, *page_bytes, PROT_NONE),
			 0);
	return start;
}

/* Fills and empties the ring some times, from each place. */
static int fill_and_empty(size_t capacity)
{
	unsigned char item[300] = { 0 };

	for (size_t round = 0; round < 3 * capacity + 3; round++) {
		for (size_t i = 0; i < capacity; i++) {
			memset(item, (int)(round + i), sizeof(item));
			if (rota_channel_try_send(&sender, item))
				return -1;
		}
		if (rota_channel_try_send(&sender, item) != -EAGAIN)
			return -2;
		for (size_t i = round % (capacity + 1); i < capacity; i++)
			if (rota_channel_try_receive(&receiver, item) != 1)
				return -3;
		while (rota_channel_try_receive(&receiver, item) == 1)
			;
	}
	return 0;
}

/* All of its memory is its own, and nothing beside it. */
static void live_in(char *start, size_t page_bytes, size_t item_bytes,
		    size_t capacity)
{
	struct rota_channel_options options = { .item_bytes = item_bytes,
						.capacity = capacity };
	const size_t bytes = rota_channel_bytes(&options);
	const size_t before = (page_bytes - bytes) & ~(size_t)15;

	memset(start, 0xa5, page_bytes);
	options.memory = start + before;
	assert_int_equal(try_to_open(&options), 0);
	assert_int_equal(fill_and_empty(capacity), 0);
	rota_sender_close(&sender);
	rota_receiver_close(&receiver);
	for (size_t i = 0; i < before; i++)
		if ((unsigned char)start[i] != 0xa5)
			fail_msg("%zu bytes before it were written to",
				 before - i);
	for (size_t i = before + bytes; i < page_bytes; i++)
		if ((unsigned char)start[i] != 0xa5)
			fail_msg("byte %zu behind it was written to",
				 i - before - bytes);
}

static void the_callers_memory_is_used_to_the_byte(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 4, 7, 8, 13, 16, 24, 64, 300 };
	size_t page_bytes;
	char *start = guarded(&page_bytes);

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
		for (size_t capacity = 0; capacity <= 9; capacity++)
			live_in(start, page_bytes, sizes[i], capacity);
	munmap(start, 2 * page_bytes);
}

static void the_callers_memory_may_be_used_again(void **state)
{
	alignas(16) char memory[512];
	const unsigned before = allocations;

	(void)state;
	for (unsigned i = 0; i < 10; i++) {
		assert_int_equal(try_to_open(&(struct rota_channel_options){
					 .item_bytes = 1 + i,
					 .capacity = i,
					 .memory = memory }),
				 0);
		assert_int_equal(fill_and_empty(i), 0);
		if (i % 2)
			rota_sender_close(&sender);
		rota_receiver_close(&receiver);
		if (i % 2 == 0)
			rota_sender_close(&sender);
	}
	assert_int_equal(allocations, before);
}

/* Whichever end is the last one. */
static void what_was_allocated_is_given_back_with_the_last_end(void **state)
{
	const struct rota_channel_options options = { .item_bytes = 4,
						      .capacity = 4 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		const unsigned taken = allocations, given = releases;
		struct rota_sender other;

		assert_int_equal(try_to_open(&options), 0);
		other = rota_sender_share(&sender);
		rota_sender_close(&sender);
		if (i % 2)
			rota_sender_close(&other);
		rota_receiver_close(&receiver);
		if (i % 2 == 0)
			rota_sender_close(&other);
		assert_int_equal(releases - given, allocations - taken);
	}
}

struct warm {
	struct test_kernel kernel;
	struct rota_sender sender;
	struct rota_receiver receiver;
	size_t capacity;
	unsigned allocated, mapped; /* in the rounds that count */
};

static int echo(void *value)
{
	struct warm *warm = *(struct warm **)value;
	struct rota_receiver own = rota_receiver_share(&warm->receiver);
	uint64_t item;
	int got;

	while ((got = rota_channel_receive(&own, &item)) > 0)
		;
	rota_receiver_close(&own);
	return got;
}

static int wait_in_vain(void *value)
{
	struct warm *warm = *(struct warm **)value;
	struct rota_deadline deadline;
	uint64_t item;
	int got;

	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	got = rota_channel_receive(&warm->receiver, &item);
	rota_deadline_end(&deadline);
	return got == -ECANCELED ? 0 : got;
}

static const struct rota_cancellation no_cause;

/* Everything that there is, so many times. */
static int use(struct warm *warm, unsigned rounds)
{
	int error = 0;

	for (uint64_t i = 0; i < rounds && !error; i++) {
		struct rota_group group;

		rota_group_open(&group, NULL);
		error = rota_go(&group, echo, warm);
		for (unsigned k = 0; k < 10 && !error; k++)
			error = rota_channel_send(&warm->sender, &i);
		for (unsigned k = 0; k < 3 && !error; k++)
			error = rota_go(&group, wait_in_vain, warm);
		if (!error)
			error = rota_yield();
		(void)!rota_channel_try_send(&warm->sender, &i);
		rota_group_cancel(&group, no_cause);
		(void)rota_group_wait(&group);
		while (rota_channel_try_receive(&warm->receiver, &i) == 1)
			;
	}
	return error;
}

static int count(void *arg)
{
	struct warm *warm = arg;
	unsigned allocated, mapped;
	int error = rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = 8,
						 .capacity = warm->capacity }),
		&warm->sender, &warm->receiver);

	if (!error)
		error = use(warm, WARM_ROUNDS);
	allocated = allocations;
	mapped = warm->kernel.calls[TEST_MAP];
	if (!error)
		error = use(warm, ROUNDS);
	warm->allocated = allocations - allocated;
	warm->mapped = warm->kernel.calls[TEST_MAP] - mapped;
	rota_sender_close(&warm->sender);
	rota_receiver_close(&warm->receiver);
	return error;
}

static void a_warm_channel_neither_allocates_nor_maps(void **state)
{
	(void)state;
	for (size_t capacity = 0; capacity < 8; capacity += 3) {
		struct warm warm = { .capacity = capacity };

		test_kernel_init(&warm.kernel);
		assert_int_equal(test_run_with(NULL, &warm.kernel.table, count,
					       &warm),
				 0);
		assert_int_equal(warm.allocated, 0);
		assert_int_equal(warm.mapped, 0);
	}
}

/* Else the tests above could not fail. */
static void the_count_sees_an_allocation(void **state)
{
	const struct rota_channel_options options = { .item_bytes = 1 };
	const unsigned before = allocations;

	(void)state;
	if (RI_SANITIZED)
		test_skip("the sanitizer's malloc is not ours to count");
	assert_int_equal(try_to_open(&options), 0);
	assert_int_equal(allocations - before, 1);
	rota_sender_close(&sender);
	rota_receiver_close(&receiver);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_cannot_be_is_refused_and_leaves_both_ends_closed),
		cmocka_unit_test(an_end_that_is_null_is_refused),
		cmocka_unit_test(memory_that_is_not_aligned_is_refused),
		cmocka_unit_test(without_memory_there_is_no_channel),
		cmocka_unit_test(a_bigger_item_or_ring_takes_as_much_more),
		cmocka_unit_test(the_callers_memory_is_used_to_the_byte),
		cmocka_unit_test(the_callers_memory_may_be_used_again),
		cmocka_unit_test(
			what_was_allocated_is_given_back_with_the_last_end),
		cmocka_unit_test(a_warm_channel_neither_allocates_nor_maps),
		cmocka_unit_test(the_count_sees_an_allocation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
