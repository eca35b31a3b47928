/* SPDX-License-Identifier: MIT */
/*
 * Where the engine's own lines go: refusals, notices, the list of stragglers.
 * Each line is whole and has no newline. Never called on a hot path.
 */
#ifndef RI_BASE_LOG_H
#define RI_BASE_LOG_H

struct ri_log {
	void (*write)(void *context, const char *line); /* NULL: stderr */
	void *context; /* the first argument of write */
};

/* Builds a line of at most 1023 bytes and hands it on. */
__attribute__((cold, format(printf, 2, 3))) void
ri_log(const struct ri_log *log, const char *format, ...);

#endif
