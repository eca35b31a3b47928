/* SPDX-License-Identifier: MIT */
/*
 * The smallest program: one task, two verbs.
 *
 * rota_run starts an engine on this thread, runs the function as its first
 * task, and returns what it returned. Inside, code reads as if it blocked;
 * only the task does.
 */
#include <rota/rota.h>

#include <stdio.h>

static int hello(void *arg)
{
	const char *name = arg;
	int error;

	printf("hello, %s\n", name);
	error = rota_sleep(20 * ROTA_MILLISECOND);
	if (error)
		return error;
	printf("good night\n");
	return 0;
}

int main(void)
{
	return rota_run(NULL, hello, "wheel") < 0;
}
