/* SPDX-License-Identifier: MIT */
/*
 * A context that can be left and come back to: a task's, or the one that the
 * thread itself has. All switching goes through the two functions below, which
 * tell the sanitizers what the processor does.
 *
 * ASan wants to know where the new stack is just before the switch, and to be
 * told after landing. TSan wants its call in the frame that switches: in an
 * instrumented helper of its own it would pop the new fiber's shadow stack
 * once too often, hence always_inline.
 */
#ifndef RI_STACK_FIBER_H
#define RI_STACK_FIBER_H

#include "base/fifo.h"
#include "stack/sanitizer.h"
#include "stack/stacks.h"
#include "stack/switch.h"

struct ri_fiber {
	struct ri_fifo_node ready; /* its link in the ready queue */
	void *sp;                  /* where it was left; NULL: not started */
	struct ri_stack *stack;    /* what it runs on; NULL: none yet */
	uint8_t stack_class;       /* the size of it */
	uint8_t flags;             /* of who embeds this; so are these: */
	uint16_t generation;       /* it names the operation in flight */
	uint32_t id;               /* it names the task in a dump */
#if RI_ASAN
	void *fake;         /* ASan's fake stack, while it is left */
	const void *bottom; /* lowest address of its stack */
	size_t bytes;       /* size of its stack */
#endif
#if RI_TSAN
	void *tsan; /* TSan's name for its stack */
#endif
};

/* Just before a switch. `ends`: nobody will come back to `from`. */
static inline __attribute__((always_inline)) void
ri_fiber_leave(struct ri_fiber *from, struct ri_fiber *to, bool ends)
{
	(void)from;
	(void)to;
	(void)ends;
#if RI_ASAN
	__sanitizer_start_switch_fiber(ends ? NULL : &from->fake, to->bottom,
				       to->bytes);
#endif
#if RI_TSAN
	__tsan_switch_to_fiber(to->tsan, 0);
#endif
}

/* First thing after landing on `here`, new or come back to. */
static inline __attribute__((always_inline)) void
ri_fiber_land(struct ri_fiber *here)
{
	(void)here;
#if RI_ASAN
	__sanitizer_finish_switch_fiber(here->fake, NULL, NULL);
	here->fake = NULL;
#endif
}

/* Gives an unstarted fiber its stack. */
static inline void ri_fiber_mount(struct ri_fiber *fiber,
				  struct ri_stack *stack)
{
	fiber->stack = stack;
#if RI_ASAN
	fiber->fake = NULL;
	fiber->bottom = stack->low;
	fiber->bytes = (size_t)(stack->top - stack->low);
#endif
#if RI_TSAN
	fiber->tsan = stack->tsan;
#endif
}

/* From `from` to a fiber that was left before. Returns when somebody switches
 * back; never if `ends`. */
static inline __attribute__((always_inline)) void
ri_fiber_switch(struct ri_fiber *from, struct ri_fiber *to, bool ends)
{
	ri_fiber_leave(from, to, ends);
	ri_switch(&from->sp, to->sp);
	ri_fiber_land(from);
}

/* The same to a fiber that was only mounted: calls entry(argument) there. */
static inline __attribute__((always_inline)) void
ri_fiber_start(struct ri_fiber *from, struct ri_fiber *to,
	       void (*entry)(void *), void *argument, const uint64_t *control,
	       bool ends)
{
	ri_fiber_leave(from, to, ends);
	ri_switch_start(&from->sp, to->stack->top, entry, argument, control);
	ri_fiber_land(from);
}

/* The context that this thread has by itself. */
void ri_fiber_init_thread(struct ri_fiber *fiber);

#endif
