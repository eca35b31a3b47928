/* SPDX-License-Identifier: MIT */
/*
 * What a callee preserves survives a switch, for each context by itself.
 */
#include "stack/switch.h"

#include "ring/linux.h"
#include "stack/fiber.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define REGISTERS 6 /* rbx, rbp, r12 to r15 */
#define ROUNDS 3

/* ri_switch with these registers; what they are when it has come back. */
void switch_with(void **save, void *to, const uint64_t in[REGISTERS],
		 uint64_t out[REGISTERS]);

__asm__(".text\n"
	"switch_with:\n"
	"	endbr64\n"
	"	pushq	%rbx\n"
	"	pushq	%rbp\n"
	"	pushq	%r12\n"
	"	pushq	%r13\n"
	"	pushq	%r14\n"
	"	pushq	%r15\n"
	"	pushq	%rcx\n"
	"	movq	0(%rdx), %rbx\n"
	"	movq	8(%rdx), %rbp\n"
	"	movq	16(%rdx), %r12\n"
	"	movq	24(%rdx), %r13\n"
	"	movq	32(%rdx), %r14\n"
	"	movq	40(%rdx), %r15\n"
	"	call	ri_switch\n"
	"	popq	%rcx\n"
	"	movq	%rbx, 0(%rcx)\n"
	"	movq	%rbp, 8(%rcx)\n"
	"	movq	%r12, 16(%rcx)\n"
	"	movq	%r13, 24(%rcx)\n"
	"	movq	%r14, 32(%rcx)\n"
	"	movq	%r15, 40(%rcx)\n"
	"	popq	%r15\n"
	"	popq	%r14\n"
	"	popq	%r13\n"
	"	popq	%r12\n"
	"	popq	%rbp\n"
	"	popq	%rbx\n"
	"	ret\n");

struct fixture {
	struct ri_stacks stacks;
	struct ri_stack *stack;
	struct ri_fiber thread, fiber;
	uint64_t out[ROUNDS][REGISTERS]; /* what the fiber saw */
	uint64_t entry_frame;            /* the stack pointer at its start */
	uint64_t control[4];             /* its control words, by and by */
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

/* MXCSR (rounding in bits 13, 14) and the x87 control word (bits 10, 11), as
 * ri_switch_control gives them. */
static void set_control(uint64_t words)
{
	const uint32_t mxcsr = (uint32_t)words;
	const uint16_t x87 = (uint16_t)(words >> 32);

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(x87));
}

static uint64_t rounding(unsigned mode)
{
	const uint64_t mxcsr = 0x1f80 | mode << 13;
	const uint64_t x87 = 0x037f | mode << 10;

	return mxcsr | x87 << 32;
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

static void note_frame(void *argument)
{
	struct fixture *fixture = argument;

	fixture->entry_frame = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	ri_fiber_land(&fixture->fiber);
	back(fixture, true);
}

static void a_fresh_stack_begins_at_its_top_and_is_aligned(void **state)
{
	struct fixture *fixture = *state;
	const uint64_t control = ri_switch_control();
	const uint64_t top = (uint64_t)(uintptr_t)fixture->stack->top;

	start(fixture, note_frame, &control);
	/* The frame address is that of the saved %rbp: 16 below the caller's
	 * aligned stack pointer. */
	assert_int_equal(fixture->entry_frame, top - 16);
	assert_int_equal(top % 16, 0);
}

static void there_is_no_shadow_stack_here(void **state)
{
	(void)state;
	assert_false(ri_switch_shadowed());
}

/* The same for tasks. */
struct words {
	uint64_t first[2], after[2], spawner;
};

struct rounder {
	struct words *words;
	unsigned index;
};

static int round_my_way(void *value)
{
	const struct rounder *me = value;

	me->words->first[me->index] = ri_switch_control();
	set_control(rounding(me->index + 1));
	rota_yield();
	rota_yield();
	me->words->after[me->index] = ri_switch_control();
	return 0;
}

static int round_three_ways(void *arg)
{
	struct words *words = arg;
	const uint64_t before = ri_switch_control();
	struct rota_group group;

	set_control(rounding(3));
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 2; i++) {
		const struct rounder rounder = { words, i };

		if (rota_go(&group, round_my_way, rounder))
			return -1;
	}
	rota_group_wait(&group);
	words->spawner = ri_switch_control();
	set_control(before);
	return 0;
}

static void tasks_start_with_the_control_words_of_the_thread(void **state)
{
	struct words words = { 0 };

	(void)state;
	assert_int_equal(test_run(round_three_ways, &words), 0);
	assert_true(words.spawner == rounding(3));
	for (unsigned i = 0; i < 2; i++) {
		assert_true(words.first[i] == ri_switch_control());
		assert_true(words.after[i] == rounding(i + 1));
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(registers_of_a_callee_survive_in_both_contexts),
		CASE(control_words_belong_to_each_context),
		CASE(a_fresh_stack_begins_at_its_top_and_is_aligned),
		cmocka_unit_test(there_is_no_shadow_stack_here),
		cmocka_unit_test(
			tasks_start_with_the_control_words_of_the_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
