/* SPDX-License-Identifier: MIT */
/*
 * A server of a protocol with heads and bodies, as HTTP/1.1 has them: a head is
 * taken whole and in place, a body by its length or in chunks, one request
 * after the other from one connection, in whatever pieces they come.
 *
 * The answer to a request is its method, its path and the sum of its body.
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/random.h"
#include "support/timed.h"

#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define HEAD_BYTES 128
#define BODY_BYTES 64
#define PAGE_BYTES 5000

struct request {
	char *method,
		*path; /* in the reader's memory, until the body is read */
	size_t bytes;  /* of the body */
	bool chunked;  /* it comes in chunks */
	bool closes;   /* it is the last one */
	unsigned sum;  /* of the body's bytes */
};

/* Cuts a line off the head, which has an empty one as its last. */
static char *cut_line(char **rest)
{
	char *line = *rest, *end = strstr(line, "\r\n");

	*end = '\0';
	*rest = end + 2;
	return line;
}

static int parse_field(struct request *request, char *line)
{
	char *value = strchr(line, ':');

	if (!value)
		return -EBADMSG;
	*value++ = '\0';
	value += strspn(value, " \t");
	if (!strcasecmp(line, "Content-Length"))
		request->bytes = strtoul(value, NULL, 10);
	else if (!strcasecmp(line, "Transfer-Encoding"))
		request->chunked = !strcasecmp(value, "chunked");
	else if (!strcasecmp(line, "Connection"))
		request->closes = !strcasecmp(value, "close");
	return 0;
}

static int parse_head(struct request *request, struct rota_span head)
{
	char *rest = head.data, *line, *version;
	int error = 0;

	if (memchr(head.data, '\0', head.bytes))
		return -EBADMSG;
	line = cut_line(&rest);
	request->method = strtok_r(line, " ", &version);
	request->path = strtok_r(NULL, " ", &version);
	if (!request->path || strcmp(version, "HTTP/1.1"))
		return -EBADMSG;
	while (!error && *(line = cut_line(&rest)))
		error = parse_field(request, line);
	return error;
}

static void add(struct request *request, const char *data, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		request->sum += (unsigned char)data[i];
}

static int read_sized(struct request *request, struct rota_reader *reader)
{
	char piece[BODY_BYTES];
	int error = 0;

	while (!error && request->bytes) {
		const size_t bytes = request->bytes < BODY_BYTES
					     ? request->bytes
					     : BODY_BYTES;

		error = rota_reader_exactly(reader, piece, bytes, NULL);
		if (!error)
			add(request, piece, bytes);
		request->bytes -= bytes;
	}
	return error;
}

static int read_chunks(struct request *request, struct rota_reader *reader)
{
	struct rota_span line;
	int n;

	do {
		n = rota_reader_line(reader, &line);
		if (n <= 0)
			return n ? n : -ENODATA;
		request->bytes = strtoul(line.data, NULL, 16);
		if (!request->bytes) /* fields may follow, as in a head */
			break;
		n = read_sized(request, reader);
		if (!n)
			n = rota_reader_skip(reader, strlen("\r\n"), NULL);
	} while (!n);
	while (n >= 0) {
		n = rota_reader_line(reader, &line);
		if (n > 0 && !line.bytes)
			return 0;
		n = n ? n : -ENODATA;
	}
	return n;
}

static char page[PAGE_BYTES];

/* What was in the head is gone once the body is read. */
static int answer(struct request *request, struct rota_reader *reader,
		  struct rota_writer *writer)
{
	char name[32];
	int error;

	snprintf(name, sizeof(name), "%s %s", request->method, request->path);
	error = request->chunked ? read_chunks(request, reader)
				 : read_sized(request, reader);
	if (error)
		return error;
	if (!strcmp(name, "GET /page")) {
		rota_writer_print(writer, "200 %d\r\n\r\n", PAGE_BYTES);
		return rota_writer_write(writer, page, PAGE_BYTES);
	}
	return rota_writer_print(writer, "200 %s %u\r\n\r\n", name,
				 request->sum);
}

static int converse(struct rota_reader *reader, struct rota_writer *writer)
{
	struct request request = { .closes = false };
	struct rota_span head;
	int n = 0;

	while (!n && !request.closes) {
		request = (struct request){ .closes = false };
		if (!rota_reader_has(reader, "\r\n\r\n"))
			n = rota_writer_flush(writer);
		if (!n)
			n = rota_reader_until(reader, "\r\n\r\n", &head);
		if (n <= 0)
			return n;
		n = parse_head(&request, head);
		if (!n)
			n = answer(&request, reader, writer);
	}
	return n;
}

struct story {
	int pair[2]; /* the server's end, and the client's */
	struct test_random random;
	const char *text;  /* what the client says */
	size_t bytes;      /* of it */
	size_t piece_max;  /* how much at once */
	char heard[16384]; /* what the server says */
	int end;           /* what it ended with */
};

static int serve(void *value)
{
	struct story *story = *(struct story **)value;
	char in[HEAD_BYTES], out[HEAD_BYTES];
	struct rota_reader reader;
	struct rota_writer writer;
	int error;

	rota_reader_init(&reader, story->pair[0], in, sizeof(in));
	rota_writer_init(&writer, story->pair[0], out, sizeof(out));
	story->end = converse(&reader, &writer);
	if (story->end == -EMSGSIZE)
		rota_writer_print(&writer, "431\r\n\r\n");
	if (story->end == -EBADMSG)
		rota_writer_print(&writer, "400\r\n\r\n");
	error = rota_writer_flush(&writer);
	/* By a reset, what was not read would take the answer with it. */
	error |= rota_shutdown(story->pair[0], SHUT_WR);
	while (rota_recv(story->pair[0], in, sizeof(in), 0) > 0)
		;
	return error | rota_close(story->pair[0]);
}

static int speak(void *value)
{
	struct story *story = *(struct story **)value;
	size_t sent = 0;
	int n = 0;

	while (n >= 0 && sent < story->bytes) {
		const size_t left = story->bytes - sent;
		size_t piece = 1 + (size_t)test_random_below(&story->random,
							     story->piece_max);

		n = rota_sleep(1);
		if (!n)
			n = rota_send(story->pair[1], story->text + sent,
				      piece < left ? piece : left, 0);
		sent += n > 0 ? (size_t)n : 0;
	}
	return n < 0 ? n : rota_shutdown(story->pair[1], SHUT_WR);
}

static int play(void *arg)
{
	struct story *story = arg;
	struct rota_group group;
	size_t heard = 0;
	int n = 1, error = test_pair_open(story->pair);

	rota_group_open(&group, NULL);
	error |= rota_go(&group, serve, story) | rota_go(&group, speak, story);
	while (n > 0) {
		n = rota_recv(story->pair[1], story->heard + heard,
			      sizeof(story->heard) - 1 - heard, 0);
		heard += n > 0 ? (size_t)n : 0;
	}
	story->heard[heard] = '\0';
	error |= rota_group_wait(&group);
	return error | n | rota_close(story->pair[1]);
}

/* What the server said to this, sent in random pieces. */
static struct story *tell(const char *text, uint64_t seed)
{
	static const size_t pieces[] = { 1, 7, 60, 1000 };
	static struct story story;

	memset(&story, 0, sizeof(story));
	test_random_seed(&story.random, seed);
	story.text = text;
	story.bytes = strlen(text);
	story.piece_max = pieces[test_random_below(&story.random, 4)];
	assert_int_equal(test_run_timed(play, &story), 0);
	return &story;
}

static const char three[] =
	"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
	"POST /b HTTP/1.1\r\ncontent-length: 80\r\n"
	"Host:\tx\r\n\r\n"
	"0123456789012345678901234567890123456789"
	"\r\n\r\nGET /no HTTP/1.1\r\n\r\n34567\r\n\r\n3456789"
	"PUT /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
	"\r\n5\r\nab\r\nc\r\n1;x=y\r\nd\r\n0\r\nX: y\r\n\r\n"
	"GET /d HTTP/1.1\r\nConnection: close\r\n\r\n"
	"GET /e HTTP/1.1\r\n\r\n";

static void requests_in_any_pieces_are_answered_in_order(void **state)
{
	struct test_random random;

	(void)state;
	test_random_init(&random);
	for (unsigned i = test_rounds(200); i; i--) {
		const uint64_t seed = test_random_next(&random);
		const struct story *story = tell(three, seed);

		if (strcmp(story->heard, "200 GET /a 0\r\n\r\n"
					 "200 POST /b 3948\r\n\r\n"
					 "200 PUT /c 417\r\n\r\n"
					 "200 GET /d 0\r\n\r\n") != 0)
			fail_msg("\"%s\", round %#" PRIx64, story->heard, seed);
		assert_int_equal(story->end, 0);
	}
}

static void a_head_too_long_is_answered_and_ends_the_connection(void **state)
{
	char text[2 * HEAD_BYTES] =
		"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n";

	(void)state;
	while (strlen(text) < sizeof(text) - 10)
		strcat(text, "A: b\r\n");
	strcat(text, "\r\n");
	assert_string_equal(tell(text, 1)->heard, "200 GET /a 0\r\n\r\n"
						  "431\r\n\r\n");
}

static void a_body_that_ends_early_is_no_request(void **state)
{
	const struct story *story;

	(void)state;
	story = tell("POST /a HTTP/1.1\r\nContent-Length: 100\r\n\r\nabc", 1);
	assert_string_equal(story->heard, "");
	assert_int_equal(story->end, -ENODATA);
	story = tell("POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "3\r\nabc\r\n",
		     1);
	assert_string_equal(story->heard, "");
	assert_int_equal(story->end, -ENODATA);
}

static void what_is_no_request_is_answered_so(void **state)
{
	(void)state;
	assert_string_equal(tell("GET\r\n\r\n", 1)->heard, "400\r\n\r\n");
	assert_string_equal(tell("GET /a HTTP/1.1\r\nHost\r\n\r\n", 1)->heard,
			    "400\r\n\r\n");
	assert_string_equal(tell("GET /a HTTP/1.1\n\n", 1)->heard, "");
}

static void a_page_larger_than_all_memory_goes_out_uncopied(void **state)
{
	const struct story *story;

	(void)state;
	memset(page, 'p', PAGE_BYTES);
	story = tell("GET /page HTTP/1.1\r\n\r\nGET /a HTTP/1.1\r\n\r\n", 1);
	assert_memory_equal(story->heard, "200 5000\r\n\r\n", 12);
	assert_memory_equal(story->heard + 12, page, PAGE_BYTES);
	assert_string_equal(story->heard + 12 + PAGE_BYTES,
			    "200 GET /a 0\r\n\r\n");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_in_any_pieces_are_answered_in_order),
		cmocka_unit_test(
			a_head_too_long_is_answered_and_ends_the_connection),
		cmocka_unit_test(a_body_that_ends_early_is_no_request),
		cmocka_unit_test(what_is_no_request_is_answered_so),
		cmocka_unit_test(
			a_page_larger_than_all_memory_goes_out_uncopied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
