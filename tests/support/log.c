/* SPDX-License-Identifier: MIT */
#include "support/log.h"

#include <stdio.h>
#include <string.h>

void test_log_write(void *context, const char *line)
{
	struct test_log *log = context;
	const size_t length = strlen(log->text);

	log->lines++;
	snprintf(log->text + length, sizeof(log->text) - length, "%s\n", line);
}

bool test_log_has(const struct test_log *log, const char *words)
{
	return strstr(log->text, words) != NULL;
}

void test_log_nothing(void *context, const char *line)
{
	(void)context;
	(void)line;
}
