/* SPDX-License-Identifier: MIT */
/*
 * A deadline of real time for something that may hang: 30 s, or what
 * ROTA_TEST_SECONDS says. When it comes, the tasks of the engine are listed on
 * stderr, loop by loop, and the program aborts.
 */
#ifndef TEST_SUPPORT_WATCH_H
#define TEST_SUPPORT_WATCH_H

#include "task/peers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct test_watch {
	_Atomic(const struct ri_peers *) peers; /* NULL: nothing runs */
	pthread_t thread;
	pthread_mutex_t mutex; /* of `over` */
	pthread_cond_t ended;
	bool over;
};

/* Zero but for `peers`, which may be set later too. */
void test_watch_start(struct test_watch *watch);
void test_watch_stop(struct test_watch *watch);

/* What ROTA_TEST_SECONDS says, else 30. */
unsigned test_seconds(void);

#endif
