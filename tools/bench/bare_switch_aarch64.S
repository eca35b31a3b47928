/* SPDX-License-Identifier: MIT */
/*
 * The bare switch for AArch64, see bare_switch.h.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *	+0    x29, x30
 *	+16   x19 to x28
 *	+96   d8 to d15
 *	+160  FPCR, which is written only if it differs
 */
	.text

	.globl	bare_switch
	.type	bare_switch, %function
	.p2align 4
bare_switch:
	hint	#34		/* bti c */
	stp	x29, x30, [sp, #-176]!
	stp	x19, x20, [sp, #16]
	stp	x21, x22, [sp, #32]
	stp	x23, x24, [sp, #48]
	stp	x25, x26, [sp, #64]
	stp	x27, x28, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	mov	sp, x1
	ldr	x10, [sp, #160]
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldp	x29, x30, [sp], #176
	ret
	.size	bare_switch, .-bare_switch

	/* The entry stands where a return address would. */
	.globl	bare_context
	.type	bare_context, %function
	.p2align 4
bare_context:
	hint	#34		/* bti c */
	sub	x0, x0, #176
	mrs	x9, fpcr
	stp	xzr, x1, [x0]
	str	x9, [x0, #160]
	ret
	.size	bare_context, .-bare_context

	.section .note.GNU-stack, "", %progbits

#ifdef __ARM_FEATURE_BTI_DEFAULT
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, 1, 0
#endif
