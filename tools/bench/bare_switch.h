/* SPDX-License-Identifier: MIT */
/*
 * The least that a switch of contexts can be, for the baselines: it saves
 * what the ABI asks a callee to preserve (registers, and the control words of
 * the floating point unit) on the stack that is left, and ends in `ret`.
 * No queue, no checks, no unwinding: nobody is meant to use it for more.
 */
#ifndef BENCH_BARE_SWITCH_H
#define BENCH_BARE_SWITCH_H

/* Saves this context to *save and resumes `to`. */
void bare_switch(void **save, void *to);

/* The context of a fresh stack that ends at `top` (16-aligned): the first
 * switch to it calls entry(), which never returns. */
void *bare_context(void *top, void (*entry)(void));

#endif
