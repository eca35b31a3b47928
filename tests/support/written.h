/* SPDX-License-Identifier: MIT */
/*
 * A writer whose peer is looked at: a body writes to one of a pair, and notes
 *
 *	"."         a success
 *	"EAGAIN"    an error
 *	"[text]"    what the peer has got since it was looked at last
 *	"(text)"    what was written and is unsent
 */
#ifndef TEST_SUPPORT_WRITTEN_H
#define TEST_SUPPORT_WRITTEN_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/trail.h"

#define WRITTEN_BYTES 16

struct written {
	char memory[WRITTEN_BYTES]; /* the writer's */
	struct rota_writer writer;
	struct test_kernel kernel; /* under it */
	struct test_trail trail;
	int pair[2];  /* the writer's end, and the peer's */
	unsigned ops; /* for tests that count them */
	int (*body)(struct written *written);
};

/* Notes a result. */
void written_note(struct written *written, int error);

/* The verbs, noted. */
void written_put(struct written *written, const char *text);
void written_flush(struct written *written);

/* Notes what is unsent, and what the peer got. */
void written_unsent(struct written *written);
void written_got(struct written *written);

/* Makes a writer of pair[0], afresh. */
void written_init(struct written *written);

/* Runs a body, which returns 0 if all else was right, and asserts that this was
 * noted. Both ends are closed by rota_close then. */
void written_run(int (*body)(struct written *written), const char *expected);

#endif
