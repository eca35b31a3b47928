/* SPDX-License-Identifier: MIT */
#include "support/fed.h"

#include "support/pair.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void note_span(struct fed *fed, int n, struct rota_span span)
{
	char text[64] = "end ";

	if (n < 0)
		snprintf(text, sizeof(text), "%s ", strerrorname_np(-n));
	else if (n > 0)
		snprintf(text, sizeof(text), "[%.*s] ", (int)span.bytes,
			 span.data);
	test_trail_add(&fed->trail, text);
	if (span.bytes && n <= 0)
		test_trail_add(&fed->trail, "(and not empty) ");
}

void fed_until(struct fed *fed, const char *delimiter)
{
	struct rota_span span = { fed->buffer, 1 };
	const int n = rota_reader_until(&fed->reader, delimiter, &span);

	note_span(fed, n, span);
	if (n > 0 && (size_t)n != span.bytes)
		test_trail_add(&fed->trail, "(another length) ");
}

void fed_line(struct fed *fed)
{
	struct rota_span span = { fed->buffer, 1 };
	const int n = rota_reader_line(&fed->reader, &span);

	note_span(fed, n, span);
	if (n > 0 && span.data[span.bytes])
		test_trail_add(&fed->trail, "(and no string) ");
}

void fed_peek(struct fed *fed, size_t bytes)
{
	struct rota_span span = { fed->buffer, 1 };
	const int n = rota_reader_peek(&fed->reader, bytes, &span);

	note_span(fed, n, span);
}

/* What is there and was not taken. */
void fed_ready(struct fed *fed)
{
	const struct rota_span span = rota_reader_ready(&fed->reader);
	char text[64];

	snprintf(text, sizeof(text), "(%.*s) ", (int)span.bytes, span.data);
	test_trail_add(&fed->trail, text);
}

/* What is taken into the buffer: "[text] ", then the error if there is one. */
static void note_taken(struct fed *fed, int error)
{
	char text[80];

	snprintf(text, sizeof(text), "[%.*s] ", (int)fed->done, fed->buffer);
	test_trail_add(&fed->trail, text);
	if (error)
		note_span(fed, error, (struct rota_span){ NULL, 0 });
}

void fed_exactly(struct fed *fed, size_t bytes)
{
	fed->done = 99;
	note_taken(fed, rota_reader_exactly(&fed->reader, fed->buffer, bytes,
					    &fed->done));
}

void fed_read(struct fed *fed, size_t bytes)
{
	const int n = rota_reader_read(&fed->reader, fed->buffer, bytes);

	note_span(fed, n,
		  n > 0 ? (struct rota_span){ fed->buffer, (size_t)n }
			: (struct rota_span){ NULL, 0 });
}

/* What is thrown away: how many, then the error if there is one. */
static void note_skipped(struct fed *fed, int error)
{
	char text[32];

	snprintf(text, sizeof(text), "%zu ", fed->done);
	test_trail_add(&fed->trail, text);
	if (error)
		note_span(fed, error, (struct rota_span){ NULL, 0 });
}

void fed_skip(struct fed *fed, size_t bytes)
{
	fed->done = 99;
	note_skipped(fed, rota_reader_skip(&fed->reader, bytes, &fed->done));
}

void fed_skip_until(struct fed *fed, const char *delimiter)
{
	fed->done = 99;
	note_skipped(fed, rota_reader_skip_until(&fed->reader, delimiter,
						 &fed->done));
}

int fed_feed(void *value)
{
	struct fed *fed = *(struct fed **)value;
	int error = 0;

	for (int i = 0; !error && fed->pieces[i]; i++) {
		const size_t bytes = strlen(fed->pieces[i]);

		error = rota_sleep(1);
		if (!error && rota_write(fed->pair[1], fed->pieces[i], bytes) !=
				      (int)bytes)
			error = -EPROTO;
	}
	if (!error)
		error = rota_sleep(1);
	return error | rota_close(fed->pair[1]);
}

void fed_init(struct fed *fed)
{
	rota_reader_init(&fed->reader, fed->pair[0], fed->memory, FED_BYTES);
}

int fed_play(void *arg)
{
	struct fed *fed = arg;
	struct rota_group group;
	int error;

	fed_init(fed);
	rota_group_open(&group, NULL);
	error = rota_go(&group, fed_feed, fed);
	fed->body(fed);
	error |= rota_group_wait(&group);
	return error | rota_close(fed->pair[0]);
}

/* Runs a body with what it is fed, and compares what it noted. */
void fed_run(void (*body)(struct fed *), const char *const *pieces,
	     const char *expected)
{
	/* Not on a stack: what is said to be longer than it is must not seem to
	 * reach beyond the address space. */
	static struct fed fed;

	fed = (struct fed){ .pieces = pieces, .body = body };
	memset(fed.before, '\n', sizeof(fed.before));
	memset(fed.after, '\n', sizeof(fed.after));
	assert_int_equal(test_pair_open(fed.pair), 0);
	assert_int_equal(test_run_timed(fed_play, &fed), 0);
	assert_string_equal(fed.trail.text, expected);
}
