/* SPDX-License-Identifier: MIT */
/*
 * The control words of the floating point unit, as ri_switch_control gives
 * them, for tests that change the rounding.
 */
#ifndef TEST_STACK_CONTROL_H
#define TEST_STACK_CONTROL_H

#include <stdint.h>

#if defined(__x86_64__)
enum rounding {
	NEAREST = 0,
	DOWN = 1,
	UP = 2,
	TO_ZERO = 3
};

/* MXCSR has it in bits 13 and 14, the x87 control word in 10 and 11. */
static inline uint64_t rounding(enum rounding mode)
{
	const uint64_t mxcsr = 0x1f80 | (uint64_t)mode << 13;
	const uint64_t x87 = 0x037f | (uint64_t)mode << 10;

	return mxcsr | x87 << 32;
}

static inline void set_control(uint64_t words)
{
	const uint32_t mxcsr = (uint32_t)words;
	const uint16_t x87 = (uint16_t)(words >> 32);

	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(x87));
}
#else
enum rounding {
	NEAREST = 0,
	UP = 1,
	DOWN = 2,
	TO_ZERO = 3
};

/* FPCR has it in bits 22 and 23. */
static inline uint64_t rounding(enum rounding mode)
{
	return (uint64_t)mode << 22;
}

static inline void set_control(uint64_t words)
{
	__asm__ volatile("msr fpcr, %0" : : "r"(words));
}
#endif

#endif
