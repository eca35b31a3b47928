/* SPDX-License-Identifier: MIT */
/*
 * What jobs wait at until the test's own thread lets them through: a pipe.
 */
#ifndef TEST_SUPPORT_DOOR_H
#define TEST_SUPPORT_DOOR_H

#include <stdatomic.h>

struct door {
	int ends[2];
	atomic_uint came;   /* how many have come to it */
	atomic_uint passed; /* ... and were let through */
};

/* Without a descriptor the test aborts. */
void door_make(struct door *door);
void door_remove(struct door *door);

/* Lets so many through. Any thread. */
void door_let(struct door *door, unsigned count);

/* Waits until so many have come. Not for tasks. */
void door_await(struct door *door, unsigned count);

/* A task whose value is a pointer to the door: 1, or why it did not pass. */
int door_pass(void *value);

/* The same, but it keeps the whole loop waiting. */
int door_block(void *value);

#endif
