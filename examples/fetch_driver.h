/* SPDX-License-Identifier: MIT */
/*
 * The driver: the one task that calls libcurl, and what the tasks of URLs ask
 * of it.
 *
 *	transfer_begin    "start it"                   asks, does not wait
 *	transfer_wait     something to write has come, or the end
 *	transfer_taken    "that is written"            asks to go on, if paused
 *	transfer_end      "let go of it"               waits until it has
 *
 * Between the two is a buffer of fixed size for each transfer: libcurl's
 * callback fills it, the URL's task writes it to the disk. When it is full the
 * callback pauses the transfer, which in the end lets the sender wait: however
 * slow the disk is, it takes no more memory.
 */
#ifndef FETCH_DRIVER_H
#define FETCH_DRIVER_H

#include <rota/rota.h>

#include <curl/curl.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a transfer holds at most, and from when on it is worth a write. */
#define BUFFER_BYTES (512 << 10)
#define PIECE_BYTES (128 << 10)

struct transfer;

struct driver {
	CURLM *multi;             /* libcurl's side */
	struct rota_watch *watch; /* the sockets that it wants watched */
	struct rota_event asked;  /* some transfer asks for something */
	struct transfer *first;   /* of those that ask */
	struct transfer **last;   /* where the next one goes */
	struct transfer *spare;   /* those that nobody uses */
	int64_t timer_ns;         /* when libcurl wants to be called */
};

struct transfer {
	CURL *easy;                  /* libcurl's side */
	struct driver *driver;       /* who drives it */
	struct transfer *next;       /* that asks too, or is spare */
	struct rota_event changed;   /* there is a piece, or it has ended */
	char *buffer;                /* a ring of BUFFER_BYTES */
	uint64_t received;           /* bytes that came into it, ever */
	uint64_t taken;              /* ... and went out of it */
	int64_t expected;            /* all that will come; -1: not known */
	unsigned asks;               /* what it asks for */
	bool listed;                 /* it is in the driver's list */
	bool added;                  /* libcurl has it */
	bool paused;                 /* the buffer is full */
	bool ended;                  /* libcurl has it no longer */
	CURLcode code;               /* how it ended */
	char cause[CURL_ERROR_SIZE]; /* in words */
};

/* 0 or -errno; with `watch` open in the frame of who calls it. Keeps as many
 * connections as there are jobs at once. */
int driver_init(struct driver *driver, struct rota_watch *watch, unsigned jobs);

/* When all transfers are back. */
void driver_fini(struct driver *driver);

/* A task (of a struct driver *) that drives until it is cancelled. Wants the
 * stack of a TLS library. */
int driver_run(void *value);

/* A transfer with a fresh handle, to be set up and begun; NULL: no memory. */
struct transfer *driver_lend(struct driver *driver);

/* It is not needed any more; libcurl does not have it. */
void driver_take_back(struct transfer *transfer);

/* Starts it: once. */
void transfer_begin(struct transfer *transfer);

/* Waits for something to be written: how many bytes, from *data on; 0: all has
 * come, and was taken, and `code` tells how it ended; or -errno: cancelled. */
int transfer_wait(struct transfer *transfer, const char **data);

/* Some of it was written. */
void transfer_taken(struct transfer *transfer, size_t bytes);

/* Waits until libcurl does not have it any more, cancelled or not. */
void transfer_end(struct transfer *transfer);

#endif
