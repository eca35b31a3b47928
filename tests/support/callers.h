/* SPDX-License-Identifier: MIT */
/*
 * A listener, and clients that come to it: each one says its number, so that
 * the order in which they are accepted is seen.
 */
#ifndef TEST_SUPPORT_CALLERS_H
#define TEST_SUPPORT_CALLERS_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#define CALLERS_MAX 64

struct callers {
	struct sockaddr_un address; /* an abstract one, of the kernel's choice */
	socklen_t bytes;            /* ... as long as this */
	int listener;               /* -1: closed */
	int clients[CALLERS_MAX];   /* those that came */
	unsigned came;              /* how many */
	unsigned taken;             /* how many were accepted */
	char order[CALLERS_MAX + 1]; /* their numbers, as letters: a, b, ... */
};

/* Opens the listener. 0 or -errno. */
int callers_open(struct callers *callers);

/* So many come. 0 or -errno. */
int callers_come(struct callers *callers, unsigned count);

/* Notes who was accepted, and closes that. Below 0: returns it. Else 0. */
int callers_take(struct callers *callers, int fd);

/* How many clients see that their connection is closed. */
unsigned callers_closed(const struct callers *callers);

/* Closes what is open. */
void callers_close(struct callers *callers);

#endif
