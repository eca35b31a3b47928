/* SPDX-License-Identifier: MIT */
/*
 * GET over HTTP, and no library: ask, then read the status, the headers and the
 * body as they come. The reader hands out whole lines and exact counts, however
 * they were cut, and has memory of fixed size: a header too long is an error.
 *
 * The wrong way: a buffer that grows until the blank line comes, which some
 * server never sends; or to take what came before the end for the body, though
 * more was promised. (Real servers say more than is understood here.)
 */
#include <rota/rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK "HTTP/1.1 200 OK\r\n"

struct page {
	int status;
	bool chunked;         /* else it has so many bytes: */
	size_t length, bytes; /* of this chunk, and of all that came */
	char body[32];
};

/* What the server says, what is in it. */
static const struct answer {
	const char *text, *body;
	int result;
} answers[] = {
	{ OK "Content-Length: 5\r\n\r\nhello", "hello", 200 },
	{ OK "Transfer-Encoding: chunked\r\n\r\n"
	     "5\r\nin pi\r\n4\r\neces\r\n0\r\n\r\n",
	  "in pieces", 200 },
	{ "HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno", "no", 404 },
	{ OK "Cookie: 12345678901234567890123456789012345678", "", -EMSGSIZE },
	{ OK "Content-Length: 50\r\n\r\n", "", -EFBIG },
	{ OK "Content-Length: 5\r\n\r\nhel", "hel", -ENODATA },
};
#define ANSWERS (sizeof(answers) / sizeof(*answers))

static int get_head(struct rota_reader *reader, struct page *page)
{
	struct rota_span line;
	int n = rota_reader_line(reader, &line);

	if (n > 0 && sscanf(line.data, "HTTP/1.%*d %d", &page->status) != 1)
		return -EPROTO;
	while (n > 0 && (n = rota_reader_line(reader, &line)) > 0 && line.bytes)
		if (!strncasecmp(line.data, "Content-Length:", 15))
			page->length = strtoul(line.data + 15, NULL, 10);
		else if (!strncasecmp(line.data, "Transfer-Encoding:", 18))
			page->chunked = true;
	return n ? n : -ENODATA;
}

/* Before each chunk its length is told, the last one has none. */
static int get_body(struct rota_reader *reader, struct page *page)
{
	struct rota_span line;
	int n = 1;

	do {
		if (page->chunked && (n = rota_reader_line(reader, &line)) > 0)
			page->length = strtoul(line.data, NULL, 16);
		if (n <= 0)
			return n ? n : -ENODATA;
		if (page->length >= sizeof(page->body) - page->bytes)
			return -EFBIG;
		n = rota_reader_exactly(reader, page->body + page->bytes,
					page->length, NULL);
		page->bytes += page->length;
		if (!n && page->chunked)
			n = rota_reader_line(reader, &line);
	} while (n >= 0 && page->chunked && page->length);
	return n;
}

/* The status, or -errno. */
static int get(uint16_t port, struct page *page)
{
	const char request[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
	const int fd = rota_dial("localhost", port);
	struct rota_reader reader;
	char memory[40];
	int n = fd;

	rota_reader_init(&reader, fd, memory, sizeof(memory));
	n = n < 0 ? n : rota_send_all(fd, request, strlen(request), NULL);
	n = n < 0 ? n : get_head(&reader, page);
	n = n < 0 ? n : get_body(&reader, page);
	if (fd >= 0)
		rota_close(fd);
	return n < 0 ? n : page->status;
}

/* Gives each who comes the next answer. */
static int serve(void *value)
{
	struct rota_reader reader;
	char memory[64];
	int fd, n = 0;

	for (size_t i = 0; !n && i < ANSWERS; i++) {
		fd = rota_accept(*(int *)value);
		if (fd < 0)
			return fd;
		rota_reader_init(&reader, fd, memory, sizeof(memory));
		n = rota_reader_skip_until(&reader, "\r\n\r\n", NULL);
		n = n ? n
		      : rota_send_all(fd, answers[i].text,
				      strlen(answers[i].text), NULL);
		rota_close(fd);
	}
	return n;
}

static int run(void *arg)
{
	const int listener = rota_listen("127.0.0.1", 0, NULL);
	struct rota_address here;
	struct rota_group server;
	int error;

	(void)arg;
	if (listener < 0 || rota_local_address(listener, &here))
		return -EPROTO;
	rota_group_open(&server, NULL);
	error = rota_go_background(&server, serve, listener);
	for (size_t i = 0; !error && i < ANSWERS; i++) {
		struct page page = { 0 };
		const int n = get(ntohs(here.v4.sin_port), &page);

		printf("%d: %s\n", n, n < 0 ? strerror(-n) : page.body);
		if (n != answers[i].result ||
		    strcmp(page.body, answers[i].body))
			error = -EPROTO;
	}
	rota_group_wait(&server);
	rota_close(listener);
	return error;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
