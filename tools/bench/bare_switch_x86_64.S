/* SPDX-License-Identifier: MIT */
/*
 * The bare switch for x86-64, see bare_switch.h.
 *
 * A suspended stack, from its saved pointer upwards:
 *
 *	+0   MXCSR (4 bytes), x87 control word (2 bytes)
 *	+8   r15, r14, r13, r12, rbp, rbx
 *	+56  return address
 */
	.text

	.globl	bare_switch
	.type	bare_switch, @function
	.p2align 4
bare_switch:
	endbr64
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	subq	$8, %rsp
	stmxcsr	(%rsp)
	fnstcw	4(%rsp)
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	ldmxcsr	(%rsp)
	fldcw	4(%rsp)
	addq	$8, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
	ret
	.size	bare_switch, .-bare_switch

	/* The entry stands where a return address would, and is come to as if
	 * it had been called: with the stack 8 off 16, above it a zero. */
	.globl	bare_context
	.type	bare_context, @function
	.p2align 4
bare_context:
	endbr64
	movq	$0, -8(%rdi)
	movq	%rsi, -16(%rdi)
	movq	$0, -24(%rdi)
	movq	$0, -32(%rdi)
	leaq	-72(%rdi), %rax
	stmxcsr	(%rax)
	fnstcw	4(%rax)
	ret
	.size	bare_context, .-bare_context

	.section .note.GNU-stack, "", @progbits

	.section .note.gnu.property, "a"
	.p2align 3
	.long	4, 16, 5
	.asciz	"GNU"
	.long	0xc0000002, 4, 1, 0
