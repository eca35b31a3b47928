/* SPDX-License-Identifier: MIT */
/*
 * What the engine has to say, kept for the test to read.
 */
#ifndef TEST_SUPPORT_LOG_H
#define TEST_SUPPORT_LOG_H

#include <stdbool.h>

struct test_log {
	unsigned lines; /* how many came */
	char text[8192]; /* all of them, each with a newline; cut off when full */
};

/* For the `write` of a struct ri_log and the `log` of a struct rota_config,
 * whose context is the struct test_log. Any thread; it is read when those who
 * write have ended. */
void test_log_write(void *context, const char *line);

/* For the same: drains tell who is left, and nobody wants to know. */
void test_log_nothing(void *context, const char *line);

/* Is this in what was said? */
bool test_log_has(const struct test_log *log, const char *words);

#endif
