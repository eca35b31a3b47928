/* SPDX-License-Identifier: MIT */
#include "answers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The connection ends, and that is what was wanted. */
#define HANG_UP (-ECONNABORTED)

/* How often this path was asked for before. What finds no room was so often
 * that it is served. */
static unsigned visit(struct server *server, const char *path)
{
	uint64_t hash = 14695981039346656037U; /* FNV-1a, 64 bits */

	while (*path)
		hash = (hash ^ (unsigned char)*path++) * 1099511628211U;
	for (unsigned i = 0; i < server->count; i++)
		if (server->visits[i].path == hash)
			return server->visits[i].times++;
	if (server->count == VISITS_MAX)
		return UINT32_MAX;
	server->visits[server->count++] = (struct visit){ hash, 1 };
	return 0;
}

static int send_bytes(struct exchange *exchange, const char *rest, bool named)
{
	struct body body = { .bytes = strtoull(rest, NULL, 10),
			     .named = named };

	body.key = body.bytes;
	http_send(exchange, body, "Accept-Ranges: bytes\r\n");
	return 0;
}

static int answer_ok(struct exchange *exchange, const char *rest)
{
	return send_bytes(exchange, rest, true);
}

static int answer_nameless(struct exchange *exchange, const char *rest)
{
	return send_bytes(exchange, rest, false);
}

static int answer_whole(struct exchange *exchange, const char *rest)
{
	exchange->request.ranged = false;
	return send_bytes(exchange, rest, true);
}

static int answer_chunked(struct exchange *exchange, const char *rest)
{
	const uint64_t length = strtoull(rest, NULL, 10);
	uint64_t bytes, done;

	rota_writer_print(&exchange->writer,
			  "HTTP/1.1 200 Fine\r\n"
			  "Transfer-Encoding: chunked\r\n\r\n");
	for (done = 0; done < length; done += bytes) {
		bytes = done + 1 < length - done ? done + 1 : length - done;
		rota_writer_print(&exchange->writer, "%llx\r\n",
				  (unsigned long long)bytes);
		http_body(exchange, length, done, done + bytes);
		rota_writer_print(&exchange->writer, "\r\n");
	}
	rota_writer_print(&exchange->writer, "0\r\n\r\n");
	return 0;
}

/* Who waits like this may be sent home at any time. */
static int sleep_idly(int64_t span_ns)
{
	struct rota_idle idle;
	int error;

	rota_idle_begin(&idle);
	error = rota_sleep(span_ns);
	rota_idle_end(&idle);
	return error;
}

/* Until the peer has enough of it. */
static int wait_for_end(struct exchange *exchange)
{
	struct rota_idle idle;
	int events = rota_writer_flush(&exchange->writer);

	rota_idle_begin(&idle);
	if (!events)
		events = rota_poll(exchange->fd, POLLRDHUP);
	rota_idle_end(&idle);
	return events < 0 ? events : HANG_UP;
}

static int answer_slow(struct exchange *exchange, const char *rest)
{
	const uint64_t length = strtoull(rest, NULL, 10);
	int error = 0;

	http_head(exchange, 200, length, "");
	for (uint64_t i = 0; i < 100 && !error; i++) {
		error = rota_writer_flush(&exchange->writer);
		if (!error)
			error = sleep_idly(20 * ROTA_MILLISECOND);
		http_body(exchange, length, length * i / 100,
			  length * (i + 1) / 100);
	}
	return error;
}

static int answer_truncated(struct exchange *exchange, const char *rest)
{
	const uint64_t length = strtoull(rest, NULL, 10);

	http_head(exchange, 200, length, "");
	http_body(exchange, length, 0, length / 2);
	return HANG_UP;
}

static int answer_stalled(struct exchange *exchange, const char *rest)
{
	answer_truncated(exchange, rest);
	return wait_for_end(exchange);
}

static int answer_silently(struct exchange *exchange, const char *rest)
{
	(void)rest;
	return wait_for_end(exchange);
}

static int answer_gone(struct exchange *exchange, const char *rest)
{
	(void)exchange;
	(void)rest;
	return HANG_UP;
}

static int answer_garbage(struct exchange *exchange, const char *rest)
{
	(void)rest;
	rota_writer_print(&exchange->writer, "good day to you\r\n\r\n");
	return HANG_UP;
}

/* A close that lingers for no time is a reset. */
static int answer_reset(struct exchange *exchange, const char *rest)
{
	const struct linger linger = { .l_onoff = 1 };
	int error;

	(void)rest;
	rota_writer_print(&exchange->writer,
			  "HTTP/1.1 200 Fine\r\nContent-Len");
	error = rota_writer_flush(&exchange->writer);
	if (!error)
		error = rota_setsockopt(exchange->fd, SOL_SOCKET, SO_LINGER,
					&linger, sizeof(linger));
	return error ? error : HANG_UP;
}

static int redirect(struct exchange *exchange, const char *to)
{
	char header[4200];

	snprintf(header, sizeof(header), "Location: %s\r\n", to);
	http_head(exchange, 302, 0, header);
	return 0;
}

static int answer_loop(struct exchange *exchange, const char *rest)
{
	(void)rest;
	return redirect(exchange, exchange->request.path);
}

static int answer_go(struct exchange *exchange, const char *rest)
{
	return redirect(exchange, rest - 1);
}

/* "K/N": is this one of the first K? */
static bool is_early(struct exchange *exchange, const char *rest, char **length)
{
	const unsigned long times = strtoul(rest, length, 10);

	*length += **length == '/';
	return visit(exchange->server, exchange->request.path) < times;
}

static int answer_busy(struct exchange *exchange, const char *rest)
{
	char *length;

	if (!is_early(exchange, rest, &length))
		return answer_ok(exchange, length);
	http_head(exchange, 429, 0, "Retry-After: 1\r\n");
	return 0;
}

/* Its head is that of the whole. */
static int answer_half(struct exchange *exchange, struct body body)
{
	char etag[48];

	snprintf(etag, sizeof(etag), "ETag: \"%llu\"\r\n",
		 (unsigned long long)body.key);
	http_head(exchange, 200, body.bytes, etag);
	http_body(exchange, body.key, 0, body.bytes / 2);
	return HANG_UP;
}

static int answer_flaky(struct exchange *exchange, const char *rest)
{
	char *length;

	if (!is_early(exchange, rest, &length))
		return answer_ok(exchange, length);
	return answer_half(exchange,
			   (struct body){ .bytes = strtoull(length, NULL, 10),
					  .key = strtoull(length, NULL, 10) });
}

static int answer_changing(struct exchange *exchange, const char *rest)
{
	const unsigned times = visit(exchange->server, exchange->request.path);
	struct body body = { .bytes = strtoull(rest, NULL, 10), .named = true };

	body.key = body.bytes + times;
	if (!times)
		return answer_half(exchange, body);
	http_send(exchange, body, "");
	return 0;
}

static int answer_shifted(struct exchange *exchange, const char *rest)
{
	exchange->request.from += exchange->request.ranged;
	return send_bytes(exchange, rest, true);
}

static int answer_part(struct exchange *exchange, const char *rest)
{
	exchange->request.ranged = true;
	exchange->request.from = 0;
	exchange->request.until = strtoull(rest, NULL, 10) / 2;
	return send_bytes(exchange, rest, false);
}

static int answer_more(struct exchange *exchange, const char *rest)
{
	const uint64_t length = strtoull(rest, NULL, 10);

	http_head(exchange, 200, length + 10, "");
	http_body(exchange, length, 0, length);
	return HANG_UP;
}

/* The rest lies in the way of the next answer, so there is none. */
static int answer_less(struct exchange *exchange, const char *rest)
{
	const uint64_t length = strtoull(rest, NULL, 10);

	http_head(exchange, 200, length / 2, "");
	http_body(exchange, length, 0, length);
	return HANG_UP;
}

static int answer_status(struct exchange *exchange, const char *rest)
{
	http_head(exchange, atoi(rest), 0, "");
	return 0;
}

static int answer_name(struct exchange *exchange, const char *rest)
{
	(void)rest;
	http_send(exchange, (struct body){ .bytes = 1000, .key = 1000 },
		  "Content-Disposition: attachment; "
		  "filename=\"../../hostile\"\r\n");
	return 0;
}

static int say(struct exchange *exchange, const char *text)
{
	const size_t bytes = strlen(text);

	http_head(exchange, 200, bytes, "");
	rota_writer_write(&exchange->writer, text, bytes);
	return 0;
}

static int answer_echo(struct exchange *exchange, const char *rest)
{
	(void)rest;
	return say(exchange, exchange->request.head);
}

static int answer_most(struct exchange *exchange, const char *rest)
{
	char text[16];

	(void)rest;
	snprintf(text, sizeof(text), "%u", exchange->server->most);
	exchange->server->most = 0;
	return say(exchange, text);
}

static const struct {
	const char *begin;
	int (*answer)(struct exchange *exchange, const char *rest);
} paths[] = {
	{ "/ok/", answer_ok },
	{ "/whole/", answer_whole },
	{ "/nameless/", answer_nameless },
	{ "/chunked/", answer_chunked },
	{ "/slow/", answer_slow },
	{ "/truncate/", answer_truncated },
	{ "/stall/", answer_stalled },
	{ "/silent", answer_silently },
	{ "/gone", answer_gone },
	{ "/garbage", answer_garbage },
	{ "/reset", answer_reset },
	{ "/loop", answer_loop },
	{ "/go/", answer_go },
	{ "/busy/", answer_busy },
	{ "/flaky/", answer_flaky },
	{ "/changing/", answer_changing },
	{ "/shifted/", answer_shifted },
	{ "/part/", answer_part },
	{ "/wrong/more/", answer_more },
	{ "/wrong/less/", answer_less },
	{ "/status/", answer_status },
	{ "/name/", answer_name },
	{ "/echo", answer_echo },
	{ "/most", answer_most },
};

static int answer_path(struct exchange *exchange)
{
	const char *path = exchange->request.path;

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		const size_t bytes = strlen(paths[i].begin);

		if (!strncmp(path, paths[i].begin, bytes))
			return paths[i].answer(exchange, path + bytes);
	}
	return answer_status(exchange, "404");
}

int answer(struct exchange *exchange)
{
	struct server *server = exchange->server;
	int error, unsent;

	if (++server->active > server->most)
		server->most = server->active;
	error = answer_path(exchange);
	unsent = rota_writer_flush(&exchange->writer);
	server->active--;
	return error ? error : unsent;
}
