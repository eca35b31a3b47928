/* SPDX-License-Identifier: MIT */
/*
 * Broken promises: what ends the program, and names the line to mend.
 *
 *	static int leave_group(void *arg)
 *	{
 *		struct rota_group group;
 *
 *		TEST_NEXT_LINE();
 *		rota_group_open(&group, NULL);
 *		return 0;
 *	}
 *
 *	test_expect_abort(leave_group, "is still open");
 */
#ifndef TEST_SUPPORT_BROKEN_H
#define TEST_SUPPORT_BROKEN_H

#include <stdio.h>
#include <unistd.h>

/* The line that follows is the one to be named. */
#define TEST_NEXT_LINE() \
	dprintf(STDERR_FILENO, "<%s:%d: >\n", __FILE__, __LINE__ + 1)

/* Runs fn(NULL) as the first task of an engine, in a child, which must abort in
 * these words, and name the line that it announced, if it did. */
void test_expect_abort(int (*fn)(void *), const char *words);

/* The same outside of any task. */
void test_expect_abort_outside(int (*fn)(void *), const char *words);

#endif
