/* SPDX-License-Identifier: MIT */
/*
 * An output (rota/output.h) of 16 bytes to a peer that takes what there is when
 * a test says so, under a clock of the test's.
 *
 *	int error = slow_open_full(slow, ROTA_SECOND);
 *	...
 *	slow_take(slow);
 *	error |= slow_close(slow);
 *	return error | slow_end(slow);
 */
#ifndef TEST_SUPPORT_SLOW_H
#define TEST_SUPPORT_SLOW_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/trail.h"

#define SLOW_BYTES 16

struct slow {
	struct test_kernel kernel;
	struct rota_group_options options; /* of the group: keeps going */
	struct rota_group group;   /* of the sender, and of all who write */
	struct rota_output output; /* in it */
	unsigned char memory[SLOW_BYTES];
	unsigned char guard[SLOW_BYTES]; /* behind it: nobody writes here */
	int fd, peer;
	size_t junk_count; /* bytes before the output's, to be taken first */
	char junk[4096];   /* what they are */
	char got[256];     /* what the peer took of the output's, ... */
	size_t got_count;  /* ... terminated; and how much */
	unsigned sends;    /* that have completed */
	unsigned split;    /* ... of two pieces */
	int codes[16];     /* what a test saw */
	int outcome;       /* of the group */
	struct test_trail trail;
};

/* In an engine of its own with this configuration (or NULL), whose first task
 * it is. Asserts that it returns 0, and that nothing is left. */
void slow_run_with(struct slow *slow, const struct rota_config *config,
		   int (*fn)(void *));
void slow_run(struct slow *slow, int (*fn)(void *));

/* Opens the group and the output. The second one: to a socket that has no room
 * for even a byte. 0 or -errno. */
int slow_open(struct slow *slow, int64_t write_ns);
int slow_open_full(struct slow *slow, int64_t write_ns);

/* The peer takes all that is there. */
void slow_take(struct slow *slow);

/* Some whole turns of the loop. */
int slow_settle(void);

/* Closes the output: what that returns. */
int slow_close(struct slow *slow);

/* Waits for the group, whose outcome is noted, and closes the sockets. */
int slow_end(struct slow *slow);

/* Notes a name and what a call came to, as stories do: "name! " if cancelled,
 * "name~ " if late, "name? " if it failed otherwise. */
void slow_note(struct slow *slow, const char *name, int code);

/* A member that writes a text, in a deadline, and notes how that went. */
int slow_go(struct slow *slow, const char *text, int64_t wait_ns);

/* Fills the memory with "0123456789"; one waits for room for "abcdefghij",
 * another, "flush", until it is sent. */
int slow_wait_in_both_lines(struct slow *slow);

/* test_hold_fn, with the slow: count sends; hold those after the first. */
bool slow_count(void *context, const struct test_arrival *arrival);
bool slow_hold_second(void *context, const struct test_arrival *arrival);

/* Asserts what the peer took. */
void slow_expect(const struct slow *slow, const char *text);

#endif
