/* SPDX-License-Identifier: MIT */
/*
 * A verb that waits, and each way in which the wait can end. In addition to
 * support/race.h, which it runs on.
 */
#ifndef TEST_SUPPORT_BLOCKED_H
#define TEST_SUPPORT_BLOCKED_H

#include "support/race.h"

/* Runs the verb until it waits, then
 *
 *	completes it       it returns what is `right`
 *	cancels it         -ECANCELED
 *	lets it be late    -ETIME
 *	closes race->fd    -EBADF, if `closes`
 *
 * each in an engine of its own, and asserts that it did. After a cancel and
 * after a deadline it gives the verb what it waited for, which then has to
 * remain (unless verb->remains is NULL). */
void test_blocked(const struct race_verb *verb, int right, bool closes);

/* The verb's completion is held while it is cancelled, is late or closed: what
 * was done is told. Only for a verb that does not wait. */
void test_told(const struct race_verb *verb, int right);

/* For verbs of a test's own, beside those of support/race.h: a connected pair
 * that has no room for more; takes all that came to the peer, and adds to
 * race->held how many bytes; takes the byte, if it is there. */
int race_open_full_pair(struct race *race);
int race_empty_pair(struct race *race);
bool race_byte_remains(struct race *race);

#endif
