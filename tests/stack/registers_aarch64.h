/* SPDX-License-Identifier: MIT */
/*
 * For switch.c: what a callee preserves on AArch64.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>

#define REGISTERS 19 /* x19 to x28, d8 to d15, x29 */

/* What a call puts on the stack. */
#define CALL_BYTES 0

/* Where a suspended stack has its return address. */
#define RETURN_OFFSET 8

/* ri_switch with these registers; what they are when it has come back. */
void switch_with(void **save, void *to, const uint64_t in[REGISTERS],
		 uint64_t out[REGISTERS]);

/* Notes the stack pointer and goes on at note_frame. */
void enter_and_note(void *argument);

__asm__(".text\n"
	"	.globl	switch_with, enter_and_note\n"
	"	.type	switch_with, %function\n"
	"	.type	enter_and_note, %function\n"
	"switch_with:\n"
	"	sub	sp, sp, #176\n"
	"	stp	x29, x30, [sp, #0]\n"
	"	stp	x19, x20, [sp, #16]\n"
	"	stp	x21, x22, [sp, #32]\n"
	"	stp	x23, x24, [sp, #48]\n"
	"	stp	x25, x26, [sp, #64]\n"
	"	stp	x27, x28, [sp, #80]\n"
	"	stp	d8, d9, [sp, #96]\n"
	"	stp	d10, d11, [sp, #112]\n"
	"	stp	d12, d13, [sp, #128]\n"
	"	stp	d14, d15, [sp, #144]\n"
	"	str	x3, [sp, #160]\n"
	"	ldp	x19, x20, [x2, #0]\n"
	"	ldp	x21, x22, [x2, #16]\n"
	"	ldp	x23, x24, [x2, #32]\n"
	"	ldp	x25, x26, [x2, #48]\n"
	"	ldp	x27, x28, [x2, #64]\n"
	"	ldp	d8, d9, [x2, #80]\n"
	"	ldp	d10, d11, [x2, #96]\n"
	"	ldp	d12, d13, [x2, #112]\n"
	"	ldp	d14, d15, [x2, #128]\n"
	"	ldr	x29, [x2, #144]\n"
	"	bl	ri_switch\n"
	"	ldr	x3, [sp, #160]\n"
	"	stp	x19, x20, [x3, #0]\n"
	"	stp	x21, x22, [x3, #16]\n"
	"	stp	x23, x24, [x3, #32]\n"
	"	stp	x25, x26, [x3, #48]\n"
	"	stp	x27, x28, [x3, #64]\n"
	"	stp	d8, d9, [x3, #80]\n"
	"	stp	d10, d11, [x3, #96]\n"
	"	stp	d12, d13, [x3, #112]\n"
	"	stp	d14, d15, [x3, #128]\n"
	"	str	x29, [x3, #144]\n"
	"	ldp	x29, x30, [sp, #0]\n"
	"	ldp	x19, x20, [sp, #16]\n"
	"	ldp	x21, x22, [sp, #32]\n"
	"	ldp	x23, x24, [sp, #48]\n"
	"	ldp	x25, x26, [sp, #64]\n"
	"	ldp	x27, x28, [sp, #80]\n"
	"	ldp	d8, d9, [sp, #96]\n"
	"	ldp	d10, d11, [sp, #112]\n"
	"	ldp	d12, d13, [sp, #128]\n"
	"	ldp	d14, d15, [sp, #144]\n"
	"	add	sp, sp, #176\n"
	"	ret\n"
	"enter_and_note:\n"
	"	hint	#34\n"
	"	mov	x9, sp\n"
	"	adrp	x10, entry_sp\n"
	"	str	x9, [x10, #:lo12:entry_sp]\n"
	"	b	note_frame\n");

/* Are return addresses signed here? */
static bool returns_are_signed(void)
{
#ifdef __ARM_FEATURE_PAC_DEFAULT
	return getauxval(AT_HWCAP) & HWCAP_PACA;
#else
	return false;
#endif
}
