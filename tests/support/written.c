/* SPDX-License-Identifier: MIT */
#include "support/written.h"

#include "support/pair.h"
#include "support/timed.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

void written_note(struct written *written, int error)
{
	test_trail_add(&written->trail, error < 0   ? strerrorname_np(-error)
					: error > 0 ? "?"
						    : ".");
}

void written_put(struct written *written, const char *text)
{
	written_note(written,
		     rota_writer_write(&written->writer, text, strlen(text)));
}

void written_flush(struct written *written)
{
	written_note(written, rota_writer_flush(&written->writer));
}

static void note_span(struct written *written, const char *brackets,
		      struct rota_span span)
{
	char text[128];

	snprintf(text, sizeof(text), "%c%.*s%c", brackets[0], (int)span.bytes,
		 span.data, brackets[1]);
	test_trail_add(&written->trail, text);
}

void written_unsent(struct written *written)
{
	note_span(written, "()", rota_writer_unsent(&written->writer));
}

void written_got(struct written *written)
{
	char text[100];
	struct rota_span span = { text, 0 };
	ssize_t n;

	fcntl(written->pair[1], F_SETFL, O_NONBLOCK);
	n = read(written->pair[1], text, sizeof(text));
	if (n > 0)
		span.bytes = (size_t)n;
	note_span(written, "[]", span);
}

void written_init(struct written *written)
{
	rota_writer_init(&written->writer, written->pair[0], written->memory,
			 WRITTEN_BYTES);
}

static int play(void *arg)
{
	struct written *written = arg;
	int error;

	written_init(written);
	error = written->body(written);
	return error | test_pair_close(written->pair);
}

void written_run(int (*body)(struct written *), const char *expected)
{
	static struct written written;

	memset(&written, 0, sizeof(written));
	written.body = body;
	assert_int_equal(test_pair_open(written.pair), 0);
	assert_int_equal(
		test_run_timed_with(NULL, &written.kernel, play, &written), 0);
	assert_string_equal(written.trail.text, expected);
}
