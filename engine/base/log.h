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

/* The most that a line has, with its end. */
#define RI_LINE_BYTES 1024

/* Writes a line and a newline to stderr in one call, with little stack:
 * fprintf(3) to stderr takes 8 KiB, half of what a task may have. Takes the
 * place of the line's end for the newline. */
void ri_tell(char line[RI_LINE_BYTES + 1]);

/* Builds a line of at most 1017 bytes and hands it on. */
__attribute__((cold, format(printf, 2, 3))) void
ri_log(const struct ri_log *log, const char *format, ...);

#endif
