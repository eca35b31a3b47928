/* SPDX-License-Identifier: MIT */
#include "http.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pieces of the pattern are sent from here: longer than the writer's memory,
 * they go out without a copy. */
#define PERIOD 251
static char pattern[PERIOD * 128];

static __attribute__((constructor)) void fill_pattern(void)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (char)(i % PERIOD);
}

/* Only the first range counts, and only those that tell where they begin. */
static void parse_range(struct request *request)
{
	const char *range = strcasestr(request->head, "\nrange: bytes=");
	char *end;

	request->from = 0;
	request->until = UINT64_MAX;
	request->ranged = range;
	if (!range)
		return;
	request->from = strtoull(range + strlen("\nrange: bytes="), &end, 10);
	if (end[0] == '-' && end[1] >= '0' && end[1] <= '9')
		request->until = strtoull(end + 1, NULL, 10) + 1;
}

static int parse(struct request *request)
{
	if (sscanf(request->head, "%7s %4095s", request->method,
		   request->copy) != 2)
		return -EPROTO;
	request->path = request->copy;
	parse_range(request);
	return 1;
}

/* Who asks nothing has nothing to lose. */
int http_hear(struct exchange *exchange)
{
	struct rota_idle idle;
	struct rota_span head;
	int n;

	rota_idle_begin(&idle);
	n = rota_reader_until(&exchange->reader, "\r\n\r\n", &head);
	rota_idle_end(&idle);
	if (n <= 0)
		return n;
	head.data[head.bytes - 1] = 0;
	exchange->request.head = head.data;
	return parse(&exchange->request);
}

void http_head(struct exchange *exchange, int status, uint64_t length,
	       const char *headers)
{
	rota_writer_print(&exchange->writer,
			  "HTTP/1.1 %d %s\r\nServer: fetch_server\r\n"
			  "Content-Length: %" PRIu64 "\r\n%s\r\n",
			  status, status < 400 ? "Fine" : "Not So", length,
			  headers);
}

void http_body(struct exchange *exchange, uint64_t key, uint64_t from,
	       uint64_t until)
{
	int error = strcmp(exchange->request.method, "HEAD") ? 0 : 1;

	while (!error && from < until) {
		const uint64_t start = (from + key) % PERIOD;
		uint64_t bytes = sizeof(pattern) - start;

		if (bytes > until - from)
			bytes = until - from;
		error = rota_writer_write(&exchange->writer, pattern + start,
					  bytes);
		from += bytes;
	}
}

/* Without an If-Range every version will do. */
static bool is_wanted(const struct request *request, const char *etag)
{
	const char *wanted = strcasestr(request->head, "\nif-range: ");

	if (!wanted)
		return true;
	wanted += strlen("\nif-range: ");
	return *etag && !strncmp(wanted, etag, strlen(etag));
}

void http_send(struct exchange *exchange, struct body body, const char *headers)
{
	const struct request *request = &exchange->request;
	const uint64_t end = request->until < body.bytes ? request->until
							 : body.bytes;
	char etag[32] = "", more[512];
	int n = 0;

	if (body.named) {
		snprintf(etag, sizeof(etag), "\"%" PRIu64 "\"", body.key);
		n = snprintf(more, sizeof(more), "ETag: %s\r\n", etag);
	}
	n += snprintf(more + n, sizeof(more) - (size_t)n, "%s", headers);
	if (!request->ranged || !is_wanted(request, etag)) {
		http_head(exchange, 200, body.bytes, more);
		http_body(exchange, body.key, 0, body.bytes);
	} else if (request->from >= end) {
		snprintf(more + n, sizeof(more) - (size_t)n,
			 "Content-Range: bytes */%" PRIu64 "\r\n", body.bytes);
		http_head(exchange, 416, 0, more);
	} else {
		snprintf(more + n, sizeof(more) - (size_t)n,
			 "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64
			 "\r\n",
			 request->from, end - 1, body.bytes);
		http_head(exchange, 206, end - request->from, more);
		http_body(exchange, body.key, request->from, end);
	}
}
