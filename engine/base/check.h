/* SPDX-License-Identifier: MIT */
/*
 * Broken promises.
 *
 * Errors of the world are returned as -errno; errors of a programmer end the
 * program here, with file, line and the values that were seen. Two levels:
 *
 *   ri_check   always compiled. Cheap, O(1): memory safety, thread ownership,
 *              promises of the caller.
 *   ri_assert  compiled without NDEBUG only: laws that rota owes itself.
 *
 * ri_abort may be called from any thread. It prints one line to stderr, or to
 * the hook that the engine's user gave, then calls abort(3).
 */
#ifndef RI_BASE_CHECK_H
#define RI_BASE_CHECK_H

/* Prints "rota: FILE:LINE: message" and aborts. Never returns. */
__attribute__((cold, noreturn, format(printf, 3, 4))) void
ri_abort(const char *file, int line, const char *format, ...);

/* Who gets the line before the program ends, instead of stderr. */
typedef void ri_abort_hook(void *context, const char *text);

/* Sets the hook of this thread; NULL goes back to stderr. */
void ri_abort_hook_set(ri_abort_hook *hook, void *context);

#define ri_check(condition, ...)                                   \
	do {                                                       \
		if (__builtin_expect(!(condition), 0))             \
			ri_abort(__FILE__, __LINE__, __VA_ARGS__); \
	} while (0)

#ifdef NDEBUG
#define ri_assert(condition, ...)                            \
	do {                                                 \
		if (0) /* compiled, so that it stays true */ \
			ri_check(condition, __VA_ARGS__);    \
	} while (0)
#else
#define ri_assert(condition, ...) ri_check(condition, __VA_ARGS__)
#endif

#endif
