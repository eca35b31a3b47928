/* SPDX-License-Identifier: MIT */
/*
 * Which of ASan, TSan and Valgrind this is built for, and their headers. What
 * they are told about a switch is in stack/fiber.h, about a stack's life in
 * stack/stacks.c.
 */
#ifndef RI_STACK_SANITIZER_H
#define RI_STACK_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define RI_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RI_ASAN 1
#endif
#endif
#ifndef RI_ASAN
#define RI_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__)
#define RI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RI_TSAN 1
#endif
#endif
#ifndef RI_TSAN
#define RI_TSAN 0
#endif

#if RI_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#if RI_TSAN
#include <sanitizer/tsan_interface.h>
/* <sanitizer/linux_syscall_hooks.h>, which gcc does not bring along. */
void __sanitizer_syscall_pre_impl_close(long fd);
#endif

#if defined(__has_include)
#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>
#define RI_VALGRIND 1
#endif
#endif
#ifndef RI_VALGRIND
#define RI_VALGRIND 0
#endif

#define RI_SANITIZED (RI_ASAN || RI_TSAN)

/* Instrumented frames are several times as large. */
#define RI_STACK_SCALE (RI_SANITIZED ? 4 : 1)

/* A descriptor is about to be closed, and not by close(2), which is all that
 * TSan sees. It takes each use of a descriptor for one of memory: so the next
 * one of this number, opened on another thread, would be found to race. */
static inline void ri_sanitizer_closes(int fd)
{
#if RI_TSAN
	__sanitizer_syscall_pre_impl_close(fd);
#else
	(void)fd;
#endif
}

/* Valgrind runs us: stacks are not handed on, so that use of a dead task's
 * frame shows. */
static inline bool ri_sanitizer_on_valgrind(void)
{
#if RI_VALGRIND
	return RUNNING_ON_VALGRIND;
#else
	return false;
#endif
}

#endif
