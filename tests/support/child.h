/* SPDX-License-Identifier: MIT */
/*
 * A function in a process of its own: for what ends one, and for what must not
 * stay (limits, filters, another user).
 */
#ifndef TEST_SUPPORT_CHILD_H
#define TEST_SUPPORT_CHILD_H

/* How it ended. */
struct test_child {
	int status;        /* what it returned; -1 if a signal ended it */
	int signal;        /* the signal that ended it, or 0 */
	char errors[8192]; /* what it wrote to stderr, terminated */
};

/* Runs fn(arg) in a forked child and fills in *child. The child has the
 * default action for every signal, leaves no core, and is killed (SIGKILL)
 * when the time of a test is over. It inherits memory as it is; what it writes
 * there is lost. No thread may be running.
 *
 * The function returns 0 to 127 and must not assert: a failed assert would
 * run the rest of the tests in the child. */
void test_child_run(struct test_child *child, int (*fn)(void *), void *arg);

#endif
