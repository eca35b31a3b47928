/* SPDX-License-Identifier: MIT */
/*
 * From one stack to another. What the ABI says a callee preserves is saved on
 * the stack that is left; the saved context is that stack's pointer.
 *
 *	x86-64    six registers, MXCSR's and the x87 control word
 *	AArch64   twelve registers, the lower halves of eight vectors, FPCR
 *
 * Both functions come back when somebody switches to what they saved. They
 * end in `ret`, which the processor predicts; only the first entry on a fresh
 * stack is a call.
 *
 * Indirect branch tracking (CET's, BTI) is kept to, and return addresses are
 * signed (PAC) where the compiler is asked to. Shadow stacks (CET's, GCS) are
 * not: a `ret` to another stack is just what they forbid, and switching them
 * too would need one mapping of the kernel's kind for each task. The objects
 * are not marked for them, so the loader leaves them off; rota_run refuses if
 * they are on.
 */
#ifndef RI_STACK_SWITCH_H
#define RI_STACK_SWITCH_H

#include <stdbool.h>
#include <stdint.h>

/* Saves this context to *save and resumes `to`. */
void ri_switch(void **save, void *to);

/* Saves this context to *save and calls entry(argument) on the fresh stack
 * that ends at `top` (16-aligned), with the given control words. The entry
 * never returns. */
void ri_switch_start(void **save, void *top, void (*entry)(void *),
		     void *argument, const uint64_t *control);

/* The control words of this thread, as ri_switch_start wants them, without the
 * flags of exceptions that were raised. */
uint64_t ri_switch_control(void);

/* Puts them back if they were changed. */
void ri_switch_control_restore(const uint64_t *control);

/* The stack pointer: what is below it on this stack is dead. Unlike the frame
 * address it does not make the function keep a frame. */
static inline __attribute__((always_inline)) uintptr_t ri_switch_here(void)
{
	uintptr_t here;

#if defined(__x86_64__)
	__asm__ volatile("movq %%rsp, %0" : "=r"(here));
#elif defined(__aarch64__)
	__asm__ volatile("mov %0, sp" : "=r"(here));
#else
#error "rota's context switch is written for x86-64 and AArch64"
#endif
	return here;
}

/* Is this thread under a shadow stack? */
bool ri_switch_shadowed(void);

/* What switches it off, where it is on: in GLIBC_TUNABLES. */
#if defined(__x86_64__)
#define RI_SWITCH_TUNABLE "glibc.cpu.x86_shstk=off"
#else
#define RI_SWITCH_TUNABLE "glibc.cpu.aarch64_gcs=0"
#endif

#endif
