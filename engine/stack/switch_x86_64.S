/* SPDX-License-Identifier: MIT */
/*
 * The context switch for x86-64, System V ABI. See switch.h.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *	+0   MXCSR (4 bytes), x87 control word (2 bytes)
 *	+8   r15, r14, r13, r12, rbp, rbx
 *	+56  return address
 *
 * The call frame information holds on both sides of the change of %rsp: both
 * stacks have the same layout there, so a debugger unwinds through it at each
 * instruction.
 */
	.text

	.macro save_context
	endbr64
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbp, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r14, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	.endm

	.globl	ri_switch
	.hidden	ri_switch
	.type	ri_switch, @function
	.p2align 4
ri_switch:
	.cfi_startproc
	save_context
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	.cfi_adjust_cfa_offset -8
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r14
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r14
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbp
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbp
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
	ret
	.cfi_endproc
	.size	ri_switch, .-ri_switch

	.globl	ri_switch_start
	.hidden	ri_switch_start
	.type	ri_switch_start, @function
	.p2align 4
ri_switch_start:
	.cfi_startproc
	save_context
	ldmxcsr	(%r8)
	fldcw	4(%r8)
	movq	%rsi, %rsp
	/* The outermost frame of a task: nothing is above it. */
	.cfi_undefined %rip
	.cfi_undefined %rbp
	xorl	%ebp, %ebp
	movq	%rcx, %rdi
	call	*%rdx
	ud2
	.cfi_endproc
	.size	ri_switch_start, .-ri_switch_start

	.globl	ri_switch_control
	.hidden	ri_switch_control
	.type	ri_switch_control, @function
	.p2align 4
ri_switch_control:
	.cfi_startproc
	endbr64
	movq	$0, -8(%rsp)
	stmxcsr	-8(%rsp)
	fnstcw	-4(%rsp)
	andl	$~0x3f, -8(%rsp)	/* MXCSR's sticky flags */
	movq	-8(%rsp), %rax
	ret
	.cfi_endproc
	.size	ri_switch_control, .-ri_switch_control

	/* What is stored is loaded in the same size: a wider load would wait
	 * until the stores are done (8 ns). Loading the words costs as much, and
	 * they are hardly ever changed. */
	.globl	ri_switch_control_restore
	.hidden	ri_switch_control_restore
	.type	ri_switch_control_restore, @function
	.p2align 4
ri_switch_control_restore:
	.cfi_startproc
	endbr64
	stmxcsr	-8(%rsp)
	fnstcw	-4(%rsp)
	movl	-8(%rsp), %eax
	andl	$~0x3f, %eax
	cmpl	(%rdi), %eax
	jne	1f
	movzwl	-4(%rsp), %eax
	cmpw	4(%rdi), %ax
	jne	1f
	ret
1:	ldmxcsr	(%rdi)
	fldcw	4(%rdi)
	ret
	.cfi_endproc
	.size	ri_switch_control_restore, .-ri_switch_control_restore

	.globl	ri_switch_shadowed
	.hidden	ri_switch_shadowed
	.type	ri_switch_shadowed, @function
	.p2align 4
ri_switch_shadowed:
	.cfi_startproc
	endbr64
	xorl	%eax, %eax
	rdsspq	%rax	/* leaves %rax as it is where there is none */
	testq	%rax, %rax
	setne	%al
	movzbl	%al, %eax
	ret
	.cfi_endproc
	.size	ri_switch_shadowed, .-ri_switch_shadowed

	.section .note.GNU-stack, "", @progbits

	/* Fit for indirect branch tracking (bit 0), not for shadow stacks. */
	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0
