/* SPDX-License-Identifier: MIT */
/*
 * Arguments and complaints: numbers are taken whole or not at all, and a
 * complaint is one line, "WHO: what is wrong".
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdint.h>

struct option_range {
	const char *name; /* as the user types it: "--size" */
	uint64_t least;   /* inclusive */
	uint64_t most;    /* inclusive */
};

/* Prints one line on standard error: "WHO: ...", with a newline. */
void complain(const char *who, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A whole decimal number in the range; 0, or -1 once it has complained. */
int option_count(const char *who, const struct option_range *range,
		 const char *text, uint64_t *out);

/* Seconds with a fraction ("0.5"), the range too; out in nanoseconds. */
int option_seconds(const char *who, const struct option_range *range,
		   const char *text, uint64_t *out_ns);

/* Complains of an argument that no option took; 0 if there is none. */
int options_no_more(const char *who, int argc, char **argv, int next);

#endif
