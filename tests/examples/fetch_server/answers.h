/* SPDX-License-Identifier: MIT */
/*
 * What each path answers. The first part of a path says how, the next ones how
 * much; what comes behind is for the name:
 *
 *	/ok/N           N bytes, or the range of them that is asked for
 *	/whole/N        the same, and ranges are ignored
 *	/nameless/N     the same as /ok/N, without an ETag
 *	/chunked/N      in chunks
 *	/slow/N         in 100 pieces, with 20 ms before each
 *	/truncate/N     half of N bytes, then the end
 *	/stall/N        half of N bytes, then nothing
 *	/silent         nothing at all
 *	/gone           the end at once
 *	/garbage        no HTTP
 *	/reset          a reset in the middle of a header
 *	/loop           a redirect to itself
 *	/go/PATH        a redirect to /PATH
 *	/busy/K/N       429 with Retry-After: 1 for the first K, then N bytes
 *	/flaky/K/N      cut off in the middle for the first K, then N bytes
 *	/changing/N     another N bytes each time; the first time half of them
 *	/shifted/N      the same as /ok/N, but of a range the first byte is
 *	                left out
 *	/part/N         the first half as a range, though nobody asked for one
 *	/wrong/more/N   N bytes, and 10 more are promised
 *	/wrong/less/N   N bytes, and half of them are promised
 *	/status/CODE    that status
 *	/name/...       1000 bytes, with a file name that is hostile
 *	/echo           the request
 *	/most           how many requests were in flight at most since the
 *	                last time that this was asked
 */
#ifndef FETCH_SERVER_ANSWERS_H
#define FETCH_SERVER_ANSWERS_H

#include "http.h"

#define VISITS_MAX 4096

/* What the answers remember; there is one loop, so it is plain data. */
struct server {
	struct rota_group everything;  /* accepts, stops, serves */
	struct rota_group connections; /* those that are served */
	struct rota_signals stop;      /* what stops it */
	int listener;
	unsigned active; /* requests that are being answered */
	unsigned most;   /* the highest that has been */
	unsigned count;  /* of the visits */
	struct visit {
		uint64_t path; /* a hash of it */
		unsigned times;
	} visits[VISITS_MAX]; /* to /busy, /flaky and /changing */
};

/* Answers what was heard: 0, or -errno when the connection is to end. */
int answer(struct exchange *exchange);

#endif
