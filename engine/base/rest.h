/* SPDX-License-Identifier: MIT */
/*
 * What a processor does between two looks at a word that another one is about
 * to write.
 */
#ifndef RI_BASE_REST_H
#define RI_BASE_REST_H

static inline void ri_rest(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb" ::: "memory");
#endif
}

#endif
