/* SPDX-License-Identifier: MIT */
/*
 * What a callee preserves survives a switch, for each context by itself.
 */
#include "stack/switch.h"

#include "ring/linux.h"
#include "stack/control.h"
#include "stack/fiber.h"
#include "support/child.h"
#include "support/run.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

#define ROUNDS 3
#define FRAMES 32

/* What the assembly below names. */
uintptr_t entry_sp; /* the stack pointer at the entry of a fresh stack */
void note_frame(void *argument);

#if defined(__x86_64__)
#include "stack/registers_x86_64.h"
#else
#include "stack/registers_aarch64.h"
#endif

struct fixture {
	struct ri_stacks stacks;
	struct ri_stack *stack;
	struct ri_fiber thread, fiber;
	uint64_t out[ROUNDS][REGISTERS]; /* what the fiber saw */
	uint64_t control[4];             /* its control words, by and by */
	double quotients[2];             /* what it divided, by and by */
	void *argument;                  /* what its entry was called with */
	uintptr_t frames[FRAMES];        /* its call chain, innermost first */
	unsigned depth;                  /* frames of it */
};

static int setup(void **state)
{
	static struct fixture fixture;
	const struct ri_log log = { 0 };

	memset(&fixture, 0, sizeof(fixture));
	ri_stacks_init(&fixture.stacks, &ri_kernel_linux, &log, false);
	if (ri_stacks_reserve(&fixture.stacks, 2))
		return -1;
	fixture.stack = ri_stacks_take(&fixture.stacks, 2);
	ri_fiber_init_thread(&fixture.thread);
	ri_fiber_mount(&fixture.fiber, fixture.stack);
	*state = &fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	ri_stacks_give(&fixture->stacks, 2, fixture->stack);
	ri_stacks_unreserve(&fixture->stacks, 2);
	ri_stacks_fini(&fixture->stacks);
	return 0;
}

static void start(struct fixture *fixture, void (*entry)(void *),
		  const uint64_t *control)
{
	ri_fiber_start(&fixture->thread, &fixture->fiber, entry, fixture,
		       control, false);
}

static void resume(struct fixture *fixture)
{
	ri_fiber_switch(&fixture->thread, &fixture->fiber, false);
}

static void back(struct fixture *fixture, bool ends)
{
	ri_fiber_switch(&fixture->fiber, &fixture->thread, ends);
}

static __attribute__((always_inline)) inline void
switch_and_keep(struct ri_fiber *from, struct ri_fiber *to, uint64_t first,
		uint64_t out[REGISTERS])
{
	uint64_t in[REGISTERS];

	for (unsigned i = 0; i < REGISTERS; i++)
		in[i] = first + i;
	ri_fiber_leave(from, to, false);
	switch_with(&from->sp, to->sp, in, out);
	ri_fiber_land(from);
}

static void keep_registers(void *argument)
{
	struct fixture *fixture = argument;

	ri_fiber_land(&fixture->fiber);
	for (unsigned round = 0; round < ROUNDS; round++)
		switch_and_keep(&fixture->fiber, &fixture->thread,
				2000 + 100 * round, fixture->out[round]);
	back(fixture, true);
}

static void registers_of_a_callee_survive_in_both_contexts(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t control = ri_switch_control();
	uint64_t out[REGISTERS];

	start(fixture, keep_registers, &control);
	for (unsigned round = 0; round < ROUNDS; round++) {
		switch_and_keep(&fixture->thread, &fixture->fiber,
				1000 + 100 * round, out);
		for (unsigned i = 0; i < REGISTERS; i++) {
			assert_int_equal(out[i], 1000 + 100 * round + i);
			assert_int_equal(fixture->out[round][i],
					 2000 + 100 * round + i);
		}
	}
}

static void change_control(void *argument)
{
	struct fixture *fixture = argument;

	ri_fiber_land(&fixture->fiber);
	fixture->control[0] = ri_switch_control();
	set_control(rounding(2));
	back(fixture, false);
	fixture->control[1] = ri_switch_control();
	back(fixture, true);
}

static void control_words_belong_to_each_context(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t before = ri_switch_control();
	const uint64_t given = rounding(3);
	uint64_t seen[2];

	set_control(rounding(1));
	start(fixture, change_control, &given);
	seen[0] = ri_switch_control();
	set_control(rounding(0));
	resume(fixture);
	seen[1] = ri_switch_control();
	set_control(before);
	assert_true(fixture->control[0] == rounding(3));
	assert_true(fixture->control[1] == rounding(2));
	assert_true(seen[0] == rounding(1));
	assert_true(seen[1] == rounding(0));
}

/* One third, in the rounding of the moment. */
static double third(void)
{
	volatile double one = 1, three = 3;

	return one / three;
}

static void divide(void *argument)
{
	struct fixture *fixture = argument;

	ri_fiber_land(&fixture->fiber);
	fixture->quotients[0] = third();
	back(fixture, false);
	fixture->quotients[1] = third();
	back(fixture, true);
}

static void each_context_rounds_its_own_way(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t before = ri_switch_control();
	const uint64_t given = rounding(UP);
	double quotients[2];

	set_control(rounding(DOWN));
	start(fixture, divide, &given);
	quotients[0] = third();
	resume(fixture);
	quotients[1] = third();
	set_control(before);
	assert_true(fixture->quotients[0] > 1 / 3.0);
	assert_true(fixture->quotients[1] == fixture->quotients[0]);
	assert_true(quotients[0] < fixture->quotients[0]);
	assert_true(quotients[1] == quotients[0]);
}

static void control_words_that_were_changed_are_put_back(void **state)
{
	const uint64_t before = ri_switch_control();
	uint64_t seen[2];

	(void)state;
	set_control(rounding(TO_ZERO));
	ri_switch_control_restore(&before);
	seen[0] = ri_switch_control();
	ri_switch_control_restore(&before);
	seen[1] = ri_switch_control();
	set_control(before);
	assert_true(seen[0] == before);
	assert_true(seen[1] == before);
}

void note_frame(void *argument)
{
	struct fixture *fixture = argument;

	ri_fiber_land(&fixture->fiber);
	fixture->argument = argument;
	back(fixture, true);
}

static void a_fresh_stack_begins_at_its_top_and_is_aligned(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t control = ri_switch_control();
	const uintptr_t top = (uintptr_t)fixture->stack->top;

	start(fixture, enter_and_note, &control);
	assert_int_equal(entry_sp, top - CALL_BYTES);
	assert_int_equal(top % 16, 0);
	assert_ptr_equal(fixture->argument, fixture);
}

static _Unwind_Reason_Code note_caller(struct _Unwind_Context *context,
				       void *argument)
{
	struct fixture *fixture = argument;

	const uintptr_t address = (uintptr_t)_Unwind_GetIP(context);

	if (fixture->depth == FRAMES)
		return _URC_NORMAL_STOP;
	if (address) /* the end of the chain is told, too */
		fixture->frames[fixture->depth++] = address;
	return _URC_NO_REASON;
}

static __attribute__((noinline)) void unwind(struct fixture *fixture)
{
	_Unwind_Backtrace(note_caller, fixture);
	__asm__ volatile("");
}

static void unwind_twice(void *argument)
{
	struct fixture *fixture = argument;

	ri_fiber_land(&fixture->fiber);
	unwind(fixture);
	back(fixture, false);
	fixture->depth = 0;
	unwind(fixture);
	back(fixture, true);
}

/* unwind, unwind_twice, and the function that called that. */
static void check_chain(const struct fixture *fixture)
{
	const uintptr_t start = (uintptr_t)ri_switch_start;

	assert_int_equal(fixture->depth, 3);
	assert_in_range(fixture->frames[2], start + 1, start + 256);
}

/* Above its top is what looks like more callers. */
static void a_backtrace_ends_with_the_entry(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t control = ri_switch_control();
	void (*const caller)(void **) = a_backtrace_ends_with_the_entry;
	char *const top = fixture->stack->top;

	fixture->stack->top -= 512;
	for (char *at = fixture->stack->top; at < top; at += sizeof(caller))
		memcpy(at, &caller, sizeof(caller));
	start(fixture, unwind_twice, &control);
	check_chain(fixture);
	resume(fixture);
	check_chain(fixture);
	fixture->stack->top = top;
}

static void be_misled(void)
{
	_exit(7);
}

/* Somebody overwrites the address that a suspended context returns to. */
static int mislead(void *argument)
{
	struct fixture *fixture = argument;
	const uint64_t control = ri_switch_control();
	void (*where)(void) = be_misled;
	char *saved;

	start(fixture, keep_registers, &control);
	saved = (char *)fixture->fiber.sp + RETURN_OFFSET;
	memcpy(saved, &where, sizeof(where));
	resume(fixture);
	return 0;
}

static void a_return_address_is_signed_where_others_are(void **state)
{
	struct test_child child;

	if (!returns_are_signed())
		test_skip("return addresses are not signed here");
	test_child_run(&child, mislead, *state);
	assert_int_equal(child.status, -1);
	assert_in_range(child.signal, 1, SIGRTMAX);
}

static void there_is_no_shadow_stack_here(void **state)
{
	(void)state;
	assert_false(ri_switch_shadowed());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(registers_of_a_callee_survive_in_both_contexts),
		CASE(control_words_belong_to_each_context),
		CASE(each_context_rounds_its_own_way),
		cmocka_unit_test(control_words_that_were_changed_are_put_back),
		CASE(a_fresh_stack_begins_at_its_top_and_is_aligned),
		CASE(a_backtrace_ends_with_the_entry),
		CASE(a_return_address_is_signed_where_others_are),
		cmocka_unit_test(there_is_no_shadow_stack_here),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
