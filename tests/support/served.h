/* SPDX-License-Identifier: MIT */
/*
 * A connection that a member of a group serves without a stack: who serves,
 * and what it saw. The bytes that come are only counted.
 */
#ifndef TEST_SUPPORT_SERVED_H
#define TEST_SUPPORT_SERVED_H

#include "rota/rota.h"

#include <stdbool.h>
#include <stdint.h>

#define TEST_TOLD_MAX 8

struct test_served {
	struct rota_stream stream; /* of `fd` */
	int fd;                    /* what is served; -1: closed */
	int peer;                  /* the other end; -1: closed */
	int64_t idle_ns;           /* an option of the stream */
	unsigned calls;            /* of who serves */
	unsigned bytes;            /* taken so far */
	unsigned told;             /* how often a verb said that it is over */
	int codes[TEST_TOLD_MAX];  /* ... and what: 0, or -errno */
	int64_t times_ns[TEST_TOLD_MAX];      /* when, by the clock */
	unsigned bytes_before[TEST_TOLD_MAX]; /* bytes taken by then */
	unsigned stays;   /* so often it goes on when it is told */
	int64_t work_ns;  /* it sleeps so long before it reads */
	int work_code;    /* ... what that returned last */
	int result;       /* what it returns at its end */
	unsigned *served; /* counts those that have ended; or NULL */
};

/* Opens a connected pair and the receive stream, in a task. 0 or -errno. */
int test_served_open(struct test_served *served);

/* The same, and spawns the member: who serves is test_served_take. */
int test_served_go(struct rota_group *group, struct test_served *served);

/* A rota_serve_fn; `arg` is the struct test_served. Takes all that has landed.
 * When it is told that it is over it closes all. */
int test_served_take(struct rota_stream *stream, void *arg);

/* Bytes from the peer. 0 or -errno. */
int test_served_give(const struct test_served *served, unsigned bytes);

/* The peer closes: who serves it ends. 0 or -errno. */
int test_served_hang_up(struct test_served *served);

/* Closes what is open of it, in a task, whose the stream is. */
void test_served_close(struct test_served *served);

/* Stacks that tasks stand on, and those that ever were stood on. In a task. */
unsigned test_stacks_in_use(void);
unsigned test_stacks_used(void);

#endif
