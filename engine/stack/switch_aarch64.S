/* SPDX-License-Identifier: MIT */
/*
 * The context switch for AArch64, AAPCS64. See switch.h.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *	+0    x29, x30 (signed, where return addresses are)
 *	+16   x19 to x28
 *	+96   d8 to d15
 *	+160  FPCR, and 8 bytes of nothing
 *
 * FPCR is read each time and written only if it differs: a write holds the
 * processor up until all before it is done.
 *
 * The call frame information holds on both sides of the change of sp: both
 * stacks have the same layout there, so a debugger unwinds through it at each
 * instruction.
 *
 * Branch protection is the compiler's choice (-mbranch-protection), ours goes
 * with it. A return address is signed with the stack pointer that it will be
 * used with, so one context's is worth nothing on another's stack. Signing is
 * a landing pad, too. Both are hints: older processors pass over them, and
 * older assemblers know them by number only.
 */
#ifdef __ARM_FEATURE_BTI_DEFAULT
#define BTI 1
#else
#define BTI 0
#endif
#ifdef __ARM_FEATURE_PAC_DEFAULT
#define PAC 2
#else
#define PAC 0
#endif

#define FRAME 176

	.text

	.macro land
#if BTI
	hint	#34		/* bti c */
#endif
	.endm

	.macro land_and_sign
#if PAC
	hint	#25		/* paciasp */
	.cfi_negate_ra_state
#else
	land
#endif
	.endm

	.macro authenticate
#if PAC
	hint	#29		/* autiasp */
	.cfi_negate_ra_state
#endif
	.endm

	.macro save_pair one, other, offset
	stp	\one, \other, [sp, #\offset]
	.cfi_rel_offset \one, \offset
	.cfi_rel_offset \other, \offset + 8
	.endm

	.macro restore_pair one, other, offset
	ldp	\one, \other, [sp, #\offset]
	.cfi_restore \one
	.cfi_restore \other
	.endm

	/* Leaves FPCR in x9. */
	.macro save_context
	land_and_sign
	sub	sp, sp, #FRAME
	.cfi_adjust_cfa_offset FRAME
	save_pair x29, x30, 0
	save_pair x19, x20, 16
	save_pair x21, x22, 32
	save_pair x23, x24, 48
	save_pair x25, x26, 64
	save_pair x27, x28, 80
	save_pair d8, d9, 96
	save_pair d10, d11, 112
	save_pair d12, d13, 128
	save_pair d14, d15, 144
	mrs	x9, fpcr
	str	x9, [sp, #160]
	mov	x10, sp
	str	x10, [x0]
	.endm

	/* To what is at [\from], while it is what x9 says. */
	.macro set_control from
	ldr	x10, [\from]
	cmp	x9, x10
	b.eq	1f
	msr	fpcr, x10
1:
	.endm

	.globl	ri_switch
	.hidden	ri_switch
	.type	ri_switch, %function
	.p2align 4
ri_switch:
	.cfi_startproc
	save_context
	mov	sp, x1
	set_control "sp, #160"
	restore_pair x19, x20, 16
	restore_pair x21, x22, 32
	restore_pair x23, x24, 48
	restore_pair x25, x26, 64
	restore_pair x27, x28, 80
	restore_pair d8, d9, 96
	restore_pair d10, d11, 112
	restore_pair d12, d13, 128
	restore_pair d14, d15, 144
	restore_pair x29, x30, 0
	add	sp, sp, #FRAME
	.cfi_adjust_cfa_offset -FRAME
	authenticate
	ret
	.cfi_endproc
	.size	ri_switch, .-ri_switch

	.globl	ri_switch_start
	.hidden	ri_switch_start
	.type	ri_switch_start, %function
	.p2align 4
ri_switch_start:
	.cfi_startproc
	save_context
	set_control "x4"
	mov	sp, x1
	/* The outermost frame of a task: nothing is above it. */
	.cfi_undefined x30
	.cfi_undefined x29
	mov	x29, xzr
	mov	x0, x3
	blr	x2
	brk	#1
	.cfi_endproc
	.size	ri_switch_start, .-ri_switch_start

	/* FPCR only: the flags of exceptions are in another register. */
	.globl	ri_switch_control
	.hidden	ri_switch_control
	.type	ri_switch_control, %function
	.p2align 4
ri_switch_control:
	.cfi_startproc
	land
	mrs	x0, fpcr
	ret
	.cfi_endproc
	.size	ri_switch_control, .-ri_switch_control

	.globl	ri_switch_control_restore
	.hidden	ri_switch_control_restore
	.type	ri_switch_control_restore, %function
	.p2align 4
ri_switch_control_restore:
	.cfi_startproc
	land
	mrs	x9, fpcr
	set_control "x0"
	ret
	.cfi_endproc
	.size	ri_switch_control_restore, .-ri_switch_control_restore

	/* Guarded control stacks (GCS), which `chkfeat` tells of: it clears the
	 * bit of a feature that is on, and where it is unknown it is a hint. */
	.globl	ri_switch_shadowed
	.hidden	ri_switch_shadowed
	.type	ri_switch_shadowed, %function
	.p2align 4
ri_switch_shadowed:
	.cfi_startproc
	land
	mov	x16, #1
	hint	#40		/* chkfeat x16 */
	eor	w0, w16, #1
	ret
	.cfi_endproc
	.size	ri_switch_shadowed, .-ri_switch_shadowed

	.section .note.GNU-stack, "", %progbits

#if BTI || PAC
	/* Fit for what the compiler was asked for; never for GCS (4). */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000000, 4, BTI | PAC, 0
#endif
