/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdint.h>
/*
 * For switch.c: what a callee preserves on x86-64.
 */
#define REGISTERS 6 /* rbx, rbp, r12 to r15 */

/* What a call puts on the stack. */
#define CALL_BYTES 8

/* Where a suspended stack has its return address. */
#define RETURN_OFFSET 56

/* ri_switch with these registers; what they are when it has come back. */
void switch_with(void **save, void *to, const uint64_t in[REGISTERS],
		 uint64_t out[REGISTERS]);

/* Notes the stack pointer and goes on at note_frame. */
void enter_and_note(void *argument);

__asm__(".text\n"
	"	.globl	switch_with, enter_and_note\n"
	"	.type	switch_with, @function\n"
	"	.type	enter_and_note, @function\n"
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
	"	ret\n"
	"enter_and_note:\n"
	"	endbr64\n"
	"	movq	%rsp, entry_sp(%rip)\n"
	"	jmp	note_frame\n");

/* Are return addresses signed here? */
static bool returns_are_signed(void)
{
	return false;
}
