/* SPDX-License-Identifier: MIT */
#ifndef ECHO_OPTIONS_H
#define ECHO_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* How a connection is served. */
enum style {
	STYLE_PLAIN,  /* a task that receives into a buffer of its own */
	STYLE_STREAM, /* ... or what landed in the loop's shared buffers */
	STYLE_SERVE,  /* the same by a member without a stack */
};

/* How connections come to the loops. */
enum accept {
	ACCEPT_LEAST, /* one listener; each goes to the loop with the fewest */
	ACCEPT_EACH,  /* a listener on each loop; the kernel deals them out */
};

struct options {
	enum style style;
	enum accept accept;
	unsigned loops; /* 0: one for each processor */
	const char *address;
	uint16_t port;
	const char *path; /* of a Unix socket, or NULL */
	int64_t idle_ns;  /* 0: none */
	unsigned connections_max;
	unsigned buffers; /* that streams share; 0: rota's default */
	int64_t grace_ns;
	bool quiet;
	bool counters; /* print what each loop did, at the end */
};

/* Fills them in from the command line, or says what is wrong with that and
 * ends the program. */
void options_parse(struct options *options, int argc, char **argv);

#endif
