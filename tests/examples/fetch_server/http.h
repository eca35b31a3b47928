/* SPDX-License-Identifier: MIT */
/*
 * As much of HTTP/1.1 as the test's server speaks: requests without a body in,
 * a head and bytes of a known pattern out. Errors of what is written stay in
 * the writer; who sends a head or a body need not look.
 */
#ifndef FETCH_SERVER_HTTP_H
#define FETCH_SERVER_HTTP_H

#include <rota/rota.h>

#include <stdbool.h>
#include <stdint.h>

struct request {
	char *head;     /* all of it, as text, in the reader's memory */
	char method[8]; /* "GET", "HEAD", ... */
	char *path;     /* in the head's copy, below */
	uint64_t from;  /* where the range begins that was asked for */
	uint64_t until; /* ... and ends, itself not in it; UINT64_MAX: open */
	bool ranged;    /* one was */
	char copy[4096];
};

/* A connection, and what is asked on it. */
struct exchange {
	struct rota_reader reader;
	struct rota_writer writer;
	struct request request;
	struct server *server; /* whose it is */
	int fd;
};

/* Waits for the next request: 1, or 0 or -errno when there is none. */
int http_hear(struct exchange *exchange);

/* A head with a Content-Length and more headers, each ending in "\r\n". */
void http_head(struct exchange *exchange, int status, uint64_t length,
	       const char *headers);

/* What can be sent, whole or in part: byte i of it is (i + key) % 251. */
struct body {
	uint64_t bytes; /* how many there are */
	uint64_t key;   /* most have their length for one */
	bool named;     /* has an ETag: the key */
};

/* The bytes from..until-1 of the body with this key. Nothing in answer to
 * HEAD. */
void http_body(struct exchange *exchange, uint64_t key, uint64_t from,
	       uint64_t until);

/* A head, and of the body what was asked for: the range, unless that was to be
 * of another version. */
void http_send(struct exchange *exchange, struct body body,
	       const char *headers);

#endif
