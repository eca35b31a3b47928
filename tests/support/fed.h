/* SPDX-License-Identifier: MIT */
/*
 * A reader that is fed: a body reads what a feeder sends, a piece whenever all
 * others wait, and notes what it got. In its trail is
 *
 *	"[text] "   bytes that were handed out or taken
 *	"(text) "   bytes that are there and were not taken
 *	"12 "       how many were skipped
 *	"EAGAIN "   an error
 *	"end "      0
 *
 * and a remark in brackets if something else was not as it has to be. The clock
 * stands when the body begins, and is a nanosecond later with each piece.
 */
#ifndef TEST_SUPPORT_FED_H
#define TEST_SUPPORT_FED_H

#include "rota/rota.h"
#include "support/timed.h"
#include "support/trail.h"

#define FED_BYTES 16

struct fed {
	char before[FED_BYTES]; /* just before the reader's memory */
	char memory[FED_BYTES]; /* the reader's */
	char after[FED_BYTES];  /* just behind it */
	struct rota_reader reader;
	const char *const *pieces; /* what is sent, and NULL */
	void (*body)(struct fed *fed);
	int pair[2]; /* the reader's end, and the feeder's */
	struct test_trail trail;
	size_t done;     /* what a verb told of last */
	char buffer[64]; /* what it took */
};

/* The verbs, noted. */
void fed_until(struct fed *fed, const char *delimiter);
void fed_line(struct fed *fed);
void fed_peek(struct fed *fed, size_t bytes);
void fed_exactly(struct fed *fed, size_t bytes);
void fed_read(struct fed *fed, size_t bytes);
void fed_skip(struct fed *fed, size_t bytes);
void fed_skip_until(struct fed *fed, const char *delimiter);

/* Notes what is ready. */
void fed_ready(struct fed *fed);

/* Makes a reader of pair[0], afresh. */
void fed_init(struct fed *fed);

/* For rota_go with a struct fed *: sends piece after piece, whenever all others
 * wait, and closes pair[1]. */
int fed_feed(void *value);

/* Feeds the body from pair[1], which is closed at the end, as pair[0] is after
 * the body. For test_run_timed, with a struct fed. */
int fed_play(void *arg);

/* All of that with a pair of sockets, and asserts that this was noted. */
void fed_run(void (*body)(struct fed *), const char *const *pieces,
	     const char *expected);

#define FED(body, expected, ...) \
	fed_run(body, (const char *const[]){ __VA_ARGS__, NULL }, expected)

#endif
