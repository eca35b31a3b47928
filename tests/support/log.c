/* SPDX-License-Identifier: MIT */
#include "support/log.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

void test_log_write(void *context, const char *line)
{
	static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	struct test_log *log = context;
	size_t length;

	pthread_mutex_lock(&mutex);
	length = strlen(log->text);
	log->lines++;
	snprintf(log->text + length, sizeof(log->text) - length, "%s\n", line);
	pthread_mutex_unlock(&mutex);
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
