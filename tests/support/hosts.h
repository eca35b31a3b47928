/* SPDX-License-Identifier: MIT */
/*
 * A name server of the test's: what getaddrinfo(3) is behind the seam. Under a
 * struct test_kernel, so faults and the clock are there too.
 *
 *	test_hosts_init(&hosts);
 *	test_hosts_add(&hosts, "two.test", "::1 127.0.0.1");
 *	test_run_with(NULL, &hosts.kernel.table, fn, arg);
 *
 * Names are added before the run. A name that was not is EAI_NONAME.
 */
#ifndef TEST_SUPPORT_HOSTS_H
#define TEST_SUPPORT_HOSTS_H

#include "support/kernel.h"
#include "support/log.h"
#include "support/valve.h"

#include <stdatomic.h>

#define TEST_HOSTS_MAX 8

struct test_host {
	const char *name;
	const char *addresses; /* literals, with blanks between them */
	int result;            /* 0, or EAI_... */
	int error;             /* with EAI_SYSTEM: -errno */
	bool slow;             /* the look-up passes the valve */
};

struct test_hosts {
	struct test_kernel kernel; /* first: what the engine is given */
	struct test_host list[TEST_HOSTS_MAX];
	unsigned count;
	struct test_valve valve; /* of look-ups that are slow */
	atomic_uint asked;       /* look-ups begun */
	atomic_uint answers;     /* not yet given back */
	atomic_int family;       /* that the last look-up wanted */
};

void test_hosts_init(struct test_hosts *hosts);

/* Adds a name; the result may be changed. */
struct test_host *test_hosts_add(struct test_hosts *hosts, const char *name,
				 const char *addresses);

/* Runs fn(arg) on an engine of three threads for blocking calls, in this world;
 * its lines go to the log. Afterwards nothing is left of what was answered. */
int test_hosts_run(struct test_hosts *hosts, struct test_log *log,
		   int (*fn)(void *), void *arg);

#endif
