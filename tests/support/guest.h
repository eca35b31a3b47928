/* SPDX-License-Identifier: MIT */
/*
 * A guest, and the loop around it: poll(2), with a limit to what it waits, so
 * that a wake that is lost is a failure and no hang.
 */
#ifndef TEST_SUPPORT_GUEST_H
#define TEST_SUPPORT_GUEST_H

#include "base/kernel.h"
#include "rota/rota.h"

#include <stdbool.h>

struct test_guest {
	struct rota_engine *engine;
	unsigned steps; /* so far */
	bool lost;      /* nothing came for a long time */
};

/* Config and kernel may be NULL; the kernel is then test_linux(). */
int test_guest_make(struct test_guest *guest, const struct rota_config *config,
		    const struct ri_kernel *kernel);

/* Is it readable just now? */
bool test_guest_readable(const struct test_guest *guest);

/* Waits as a loop around it does, and steps it. False: nothing came for a long
 * time. By Linux' clock. */
bool test_guest_turn(struct test_guest *guest);

/* Does so until the job has ended. */
void test_guest_until(struct test_guest *guest, const struct rota_job *job);

/* Drains it without a grace, turns until no job is left, and destroys it. */
int test_guest_end(struct test_guest *guest);

#endif
