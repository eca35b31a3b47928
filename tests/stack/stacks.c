/* SPDX-License-Identifier: MIT */
#include "stack/stacks.h"

#include "support/child.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define CLASS 2                  /* 64 KiB */
#define ADVICE_GUARD_INSTALL 102 /* MADV_GUARD_INSTALL */
#define FORBIDDEN_MAX 30000      /* the documented bound */

struct fixture {
	struct test_kernel kernel;
	struct test_log said;
	struct ri_stacks stacks;
	int pipe[2];
};

static void init(struct fixture *fixture, bool guard_install)
{
	const struct ri_log log = { test_log_write, &fixture->said };

	ri_stacks_init(&fixture->stacks, &fixture->kernel.table, &log,
		       guard_install);
}

static int setup(void **state)
{
	static struct fixture fixture;

	memset(&fixture, 0, sizeof(fixture));
	test_kernel_init(&fixture.kernel);
	init(&fixture, true);
	*state = &fixture;
	return pipe(fixture.pipe);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	close(fixture->pipe[0]);
	close(fixture->pipe[1]);
	for (unsigned i = 0; i < RI_STACK_CLASSES; i++)
		fixture->stacks.classes[i].reserved = 0;
	ri_stacks_fini(&fixture->stacks);
	return (int)test_kernel_left(&fixture->kernel);
}

static struct ri_stack *take(struct fixture *fixture)
{
	assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
	return ri_stacks_take(&fixture->stacks, CLASS);
}

static void give(struct fixture *fixture, struct ri_stack *stack)
{
	ri_stacks_give(&fixture->stacks, CLASS, stack);
	ri_stacks_unreserve(&fixture->stacks, CLASS);
}

/* Can this byte be read? The kernel is asked: it does not die of it. */
static bool readable(const struct fixture *fixture, const char *address)
{
	char byte;

	/* past the sanitizers, which have views of their own */
	if (syscall(SYS_write, fixture->pipe[1], address, 1) != 1)
		return false;
	return read(fixture->pipe[0], &byte, 1) == 1;
}

/* Emulators of user programs say yes to any advice, also to this one. */
static bool advice_is_ignored(void)
{
	static char page[4096] __attribute__((aligned(4096)));

	return madvise(page, sizeof(page), -1) == 0;
}

static void check_guard(const struct fixture *fixture, struct ri_stack *stack)
{
	if (fixture->stacks.guard_install && advice_is_ignored())
		test_skip("an emulator, which ignores MADV_GUARD_INSTALL");
	for (size_t below = 1; below <= RI_STACK_GUARD_BYTES; below += 1023)
		assert_false(readable(fixture, stack->low - below));
	assert_false(readable(fixture, stack->low - RI_STACK_GUARD_BYTES));
	assert_true(readable(fixture, stack->low));
	assert_true(readable(fixture, stack->top - 1));
	*(volatile char *)stack->low = 1;
	*(volatile char *)(stack->top - 1) = 1;
}

static void sizes_are_rounded_up_to_powers_of_two(void **state)
{
	(void)state;
	assert_int_equal(ri_stacks_class(0), 0);
	assert_int_equal(ri_stacks_class(16384), 0);
	assert_int_equal(ri_stacks_class(16385), 1);
	assert_int_equal(ri_stacks_class(RI_STACK_BYTES_DEFAULT), 2);
	assert_int_equal(ri_stacks_class(RI_STACK_BYTES_MAX),
			 RI_STACK_CLASSES - 1);
	assert_int_equal(ri_stacks_class(RI_STACK_BYTES_MAX + 1), -EINVAL);
	assert_int_equal(ri_stacks_class(SIZE_MAX), -EINVAL);
}

static void each_stack_has_a_guard_below(void **state)
{
	struct fixture *fixture = *state;

	for (int i = 0; i < 3; i++)
		check_guard(fixture, take(fixture));
}

static void guards_by_protection_hold_as_well(void **state)
{
	struct fixture *fixture = *state;

	init(fixture, false);
	for (int i = 0; i < 3; i++)
		check_guard(fixture, take(fixture));
	assert_int_equal(fixture->stacks.forbidden, 3);
}

static void a_kernel_without_guards_gets_them_by_protection(void **state)
{
	struct fixture *fixture = *state;

	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){ .call = TEST_ADVISE,
					       .detail = ADVICE_GUARD_INSTALL,
					       .error = -EINVAL });
	check_guard(fixture, take(fixture));
	check_guard(fixture, take(fixture));
	assert_int_equal(fixture->kernel.calls[TEST_FORBID], 2);
	/* asked once */
	assert_int_equal(fixture->kernel.calls[TEST_ADVISE], 2);
}

static void a_stack_is_of_the_size_of_its_class(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < 6; i++) {
		const size_t bytes = (RI_STACK_BYTES_MIN << i) * RI_STACK_SCALE;
		struct ri_stack *stack;

		assert_int_equal(ri_stacks_reserve(&fixture->stacks, i), 0);
		stack = ri_stacks_take(&fixture->stacks, i);
		/* Colour and rota's own frames have a page of their own. */
		assert_in_range(stack->top - stack->low, bytes + 4096 - 31 * 64,
				bytes + 4096);
		assert_int_equal((uintptr_t)stack->top % 16, 0);
		ri_stacks_give(&fixture->stacks, i, stack);
		ri_stacks_unreserve(&fixture->stacks, i);
	}
}

/* As on kernels with pages of 64 KiB, which AArch64 has. */
static void check_pages(struct fixture *fixture, unsigned class, size_t page)
{
	const struct ri_stacks *stacks = &fixture->stacks;
	const struct ri_stack *stack;
	const char *slab;

	assert_int_equal(ri_stacks_reserve(&fixture->stacks, class), 0);
	stack = ri_stacks_take(&fixture->stacks, class);
	slab = (const char *)stacks->classes[class].slabs;
	assert_int_equal((size_t)(stack->low - slab) % page, 0);
	assert_false(readable(fixture, stack->low - page));
	assert_false(readable(fixture, stack->low - 1));
	assert_true(readable(fixture, stack->low));
	assert_true(readable(fixture, stack->top - 1));
	assert_ptr_equal(ri_stacks_guarding(stacks, stack->low - page), stack);
	assert_null(ri_stacks_guarding(stacks, stack->low));
}

static void guards_and_stacks_are_whole_pages(void **state)
{
	struct fixture *fixture = *state;
	const size_t page = 64 << 10;

	init(fixture, false);
	fixture->stacks.page_bytes = page;
	for (unsigned i = 0; i < 3; i++) {
		check_pages(fixture, i, page);
		check_pages(fixture, i, page);
	}
}

static void tops_have_32_colours(void **state)
{
	struct fixture *fixture = *state;
	uint32_t colours = 0;

	for (int i = 0; i < 32; i++) {
		const struct ri_stack *stack = take(fixture);
		const size_t bytes = (size_t)(stack->top - stack->low);
		const size_t cut = (64 << 10) * RI_STACK_SCALE + 4096 - bytes;

		assert_int_equal(cut % 64, 0);
		colours |= (uint32_t)1 << cut / 64;
	}
	assert_true(colours == UINT32_MAX);
}

static void the_stack_given_back_last_is_taken_first(void **state)
{
	struct fixture *fixture = *state;
	struct ri_stack *a, *b;

	if (RI_ASAN)
		test_skip("under ASan the one given back last is taken last");
	a = take(fixture);
	b = take(fixture);
	give(fixture, a);
	give(fixture, b);
	assert_ptr_equal(take(fixture), b);
	assert_ptr_equal(take(fixture), a);
}

static void one_that_was_used_is_taken_before_one_that_was_not(void **state)
{
	struct fixture *fixture = *state;
	struct ri_stack *used = take(fixture);

	give(fixture, used);
	assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
	assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
	assert_ptr_equal(ri_stacks_take(&fixture->stacks, CLASS), used);
	assert_ptr_not_equal(ri_stacks_take(&fixture->stacks, CLASS), used);
}

static void under_asan_a_stack_is_left_alone_as_long_as_can_be(void **state)
{
	struct fixture *fixture = *state;
	struct ri_stack *a, *b, *c;

	if (!RI_ASAN)
		test_skip("for ASan only");
	a = take(fixture);
	b = take(fixture);
	c = take(fixture);
	give(fixture, b);
	give(fixture, a);
	give(fixture, c);
	assert_ptr_equal(take(fixture), b);
	assert_ptr_equal(take(fixture), a);
	assert_ptr_equal(take(fixture), c);
}

static void a_stack_is_made_for_each_promise_and_kept(void **state)
{
	struct fixture *fixture = *state;
	const struct ri_stack_class *class = &fixture->stacks.classes[CLASS];

	for (unsigned i = 1; i <= 3; i++) {
		assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
		assert_int_equal(class->reserved, i);
		assert_int_equal(class->made, i);
	}
	ri_stacks_unreserve(&fixture->stacks, CLASS);
	assert_int_equal(class->reserved, 2);
	assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
	assert_int_equal(class->made, 3);
}

static void many_stacks_are_few_mappings(void **state)
{
	struct fixture *fixture = *state;
	const unsigned before = test_process_mappings();
	const unsigned count = RI_SANITIZED ? 400 : 1600;

	for (unsigned i = 0; i < count; i++)
		assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS), 0);
	assert_in_range(fixture->kernel.mappings, 2, 3);
	if (!fixture->stacks.guard_install)
		test_skip("this kernel has no guards without a mapping");
	/* TSan maps memory of its own for each fiber. */
	if (!RI_TSAN)
		assert_in_range(test_process_mappings(), before, before + 8);
}

static int take_what_is_not_there(void *arg)
{
	struct fixture *fixture = arg;

	ri_stacks_take(&fixture->stacks, CLASS);
	return 0;
}

static void taking_more_than_was_promised_aborts(void **state)
{
	struct test_child child;

	test_child_run(&child, take_what_is_not_there, *state);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "no free stack of"));
}

static int end_with_a_promise(void *arg)
{
	struct fixture *fixture = arg;

	if (ri_stacks_reserve(&fixture->stacks, CLASS))
		return 1;
	ri_stacks_fini(&fixture->stacks);
	return 0;
}

static void ending_with_a_stack_in_use_aborts(void **state)
{
	struct test_child child;

	test_child_run(&child, end_with_a_promise, *state);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, "1 stacks of"));
}

/* One call fails: so does the promise, and the next one is kept. */
static void refuse_one(struct fixture *fixture, const struct test_fault *fault)
{
	const struct ri_stack_class *class = &fixture->stacks.classes[CLASS];

	test_kernel_fail(&fixture->kernel, fault);
	assert_int_equal(ri_stacks_reserve(&fixture->stacks, CLASS),
			 fault->error);
	assert_int_equal(class->reserved, 0);
	assert_int_equal(class->made, 0);
	test_kernel_mend(&fixture->kernel);
	check_guard(fixture, take(fixture));
	assert_int_equal(class->made, 1);
	assert_int_equal(fixture->kernel.mappings, 1);
}

static void no_memory_for_a_slab_is_an_error(void **state)
{
	refuse_one(*state,
		   &(struct test_fault){ .call = TEST_MAP, .error = -ENOMEM });
}

static void no_memory_for_its_advice_is_an_error(void **state)
{
	refuse_one(*state, &(struct test_fault){ .call = TEST_ADVISE,
						 .detail = MADV_NOHUGEPAGE,
						 .error = -ENOMEM });
}

static void no_memory_for_a_guard_is_an_error(void **state)
{
	refuse_one(*state, &(struct test_fault){ .call = TEST_ADVISE,
						 .detail = ADVICE_GUARD_INSTALL,
						 .error = -ENOMEM });
}

static void no_mapping_for_a_guard_is_an_error(void **state)
{
	struct fixture *fixture = *state;

	init(fixture, false);
	refuse_one(fixture, &(struct test_fault){ .call = TEST_FORBID,
						  .error = -ENOMEM });
	assert_int_equal(fixture->stacks.forbidden, 1);
}

static void a_kernel_without_huge_pages_is_no_error(void **state)
{
	struct fixture *fixture = *state;

	test_kernel_fail(&fixture->kernel,
			 &(struct test_fault){ .call = TEST_ADVISE,
					       .detail = MADV_NOHUGEPAGE,
					       .error = -EINVAL });
	check_guard(fixture, take(fixture));
}

static void guards_by_protection_have_a_bound(void **state)
{
	struct fixture *fixture = *state;

	if (RI_SANITIZED)
		test_skip("30,000 stacks are too many for a sanitizer");
	init(fixture, false);
	for (unsigned i = 0; i < FORBIDDEN_MAX; i++)
		if (ri_stacks_reserve(&fixture->stacks, 0))
			fail_msg("stack %u cannot be had", i);
	assert_int_equal(fixture->said.lines, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(ri_stacks_reserve(&fixture->stacks, 0),
				 -EAGAIN);
	assert_int_equal(fixture->said.lines, 1);
	assert_true(test_log_has(&fixture->said, "30000 guard pages"));
}

static void a_guard_is_told_from_other_addresses(void **state)
{
	struct fixture *fixture = *state;
	const struct ri_stacks *stacks = &fixture->stacks;
	const struct ri_stack *first = take(fixture);
	const struct ri_stack *second = take(fixture);
	int here;

	assert_ptr_equal(ri_stacks_guarding(stacks, first->low - 1), first);
	assert_ptr_equal(ri_stacks_guarding(stacks, second->low - 1), second);
	assert_ptr_equal(ri_stacks_guarding(stacks,
					    second->low - RI_STACK_GUARD_BYTES),
			 second);
	assert_null(ri_stacks_guarding(stacks, first->low));
	assert_null(ri_stacks_guarding(stacks, first->top - 1));
	assert_null(ri_stacks_guarding(stacks, first));
	assert_null(ri_stacks_guarding(stacks, &here));
	assert_null(ri_stacks_guarding(stacks, NULL));
	/* the slot of a stack that is not made yet */
	assert_null(ri_stacks_guarding(
		stacks, second->low + (second->low - first->low) - 1));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(sizes_are_rounded_up_to_powers_of_two),
		CASE(each_stack_has_a_guard_below),
		CASE(guards_by_protection_hold_as_well),
		CASE(a_kernel_without_guards_gets_them_by_protection),
		CASE(a_stack_is_of_the_size_of_its_class),
		CASE(guards_and_stacks_are_whole_pages),
		CASE(tops_have_32_colours),
		CASE(the_stack_given_back_last_is_taken_first),
		CASE(one_that_was_used_is_taken_before_one_that_was_not),
		CASE(under_asan_a_stack_is_left_alone_as_long_as_can_be),
		CASE(a_stack_is_made_for_each_promise_and_kept),
		CASE(many_stacks_are_few_mappings),
		CASE(taking_more_than_was_promised_aborts),
		CASE(ending_with_a_stack_in_use_aborts),
		CASE(no_memory_for_a_slab_is_an_error),
		CASE(no_memory_for_its_advice_is_an_error),
		CASE(no_memory_for_a_guard_is_an_error),
		CASE(no_mapping_for_a_guard_is_an_error),
		CASE(a_kernel_without_huge_pages_is_no_error),
		CASE(guards_by_protection_have_a_bound),
		CASE(a_guard_is_told_from_other_addresses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
