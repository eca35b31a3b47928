/* SPDX-License-Identifier: MIT */
/*
 * GET over HTTP, and no library: ask, then read the status, the headers and the
 * body, as they come. The reader hands out whole lines and exact counts, however
 * they were cut, from memory of fixed size: a header too long is an error.
 *
 * The wrong way: a buffer that grows until the blank line comes, which some
 * server never sends; or to take what came for the body, though more was said.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
#define BY_LENGTH "HTTP/1.1 200 OK\r\nContent-Length: "
#define BY_CHUNKS "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
#define ANSWERS 4

static const char *const answers[ANSWERS] = {
	BY_LENGTH "5\r\n\r\nhello",
	BY_CHUNKS "3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n",
	BY_LENGTH "5\r\nCookie: 1234567890123456789012345678901234567890",
	BY_LENGTH "5\r\n\r\nhel"
};
static const int results[ANSWERS] = { 200, 200, -EMSGSIZE, -ENODATA };

/* An end in the middle is an error here. */
static int get_line(struct rota_reader *reader, struct rota_span *line)
{
	const int n = rota_reader_line(reader, line);

	return n > 0 ? 0 : n ? n : -ENODATA;
}

/* The status, and a body of less than so many bytes; or -errno. */
static int get(int fd, char *body, size_t bytes)
{
	bool chunked = false;
	char memory[40];
	struct rota_reader in;
	struct rota_span line;
	size_t length = 0;
	int status, error = rota_send_all(fd, ASK, strlen(ASK), NULL);

	rota_reader_init(&in, fd, memory, sizeof(memory));
	error = error ? error : get_line(&in, &line);
	if (!error && sscanf(line.data, "HTTP/1.%*d %d", &status) != 1)
		error = -EPROTO;
	while (!error && !(error = get_line(&in, &line)) && line.bytes)
		if (!strncasecmp(line.data, "Content-Length:", 15))
			length = strtoul(line.data + 15, NULL, 10);
		else if (!strncasecmp(line.data, "Transfer-Encoding:", 18))
			chunked = true;
	do {
		if (!error && chunked && !(error = get_line(&in, &line)))
			length = strtoul(line.data, NULL, 16);
		if (!error && length >= bytes)
			error = -EFBIG;
		if (!error)
			error = rota_reader_exactly(&in, body, length, NULL);
		if (!error && chunked)
			error = get_line(&in, &line);
		body += error ? 0 : length;
		bytes -= error ? 0 : length;
	} while (!error && chunked && length);
	*body = 0; /* as bytes is not 0 */
	return error ? error : status;
}

/* The server is one that says its answer whatever it is asked. */
static int run(void *arg)
{
	int pair[2], n;
	char body[16];

	(void)arg;
	for (int i = 0; i < ANSWERS; i++) {
		const char *text = answers[i];

		if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
			return -errno;
		n = rota_send_all(pair[1], text, strlen(text), NULL);
		rota_shutdown(pair[1], SHUT_WR);
		n = n ? n : get(pair[0], body, sizeof(body));
		rota_close(pair[0]);
		rota_close(pair[1]);
		printf("%d: %s\n", n, n < 0 ? strerror(-n) : body);
		if (n != results[i] || (n > 0 && strcmp(body, "hello")))
			return -EPROTO;
	}
	return 0;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
