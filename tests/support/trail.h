/* SPDX-License-Identifier: MIT */
/*
 * What tasks did, in order, as text: they append words while they run, and the
 * test compares the whole afterwards.
 */
#ifndef TEST_SUPPORT_TRAIL_H
#define TEST_SUPPORT_TRAIL_H

#include <stdio.h>
#include <string.h>

struct test_trail {
	char text[256]; /* all of it, cut off when full */
};

static inline void test_trail_add(struct test_trail *trail, const char *word)
{
	const size_t length = strlen(trail->text);

	snprintf(trail->text + length, sizeof(trail->text) - length, "%s",
		 word);
}

#endif
