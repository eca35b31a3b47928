/* SPDX-License-Identifier: MIT */
#include "support/broken.h"

#include "rota/rota.h"
#include "support/child.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct broken {
	int (*fn)(void *);
	bool outside; /* of any task */
};

static int run_broken(void *arg)
{
	const struct broken *broken = arg;

	if (broken->outside)
		return broken->fn(NULL);
	return rota_run(NULL, broken->fn, NULL) ? 2 : 3;
}

/* Is the place that was announced, between < and >, named after it? */
static bool names_place(char *errors)
{
	char *start = strchr(errors, '<');
	char *end = start ? strchr(start, '>') : NULL;

	if (!end)
		return true;
	*end = '\0';
	return strstr(end + 1, start + 1) != NULL;
}

static void expect(const struct broken *broken, const char *words)
{
	struct test_child child;

	test_child_run(&child, run_broken, (void *)(uintptr_t)broken);
	if (child.signal != SIGABRT || !strstr(child.errors, words))
		print_error("status %d, signal %d: %s\n", child.status,
			    child.signal, child.errors);
	assert_int_equal(child.signal, SIGABRT);
	assert_non_null(strstr(child.errors, words));
	if (!names_place(child.errors))
		fail_msg("%s is not what was named: %s", child.errors,
			 child.errors + strlen(child.errors) + 1);
}

void test_expect_abort(int (*fn)(void *), const char *words)
{
	expect(&(struct broken){ .fn = fn }, words);
}

void test_expect_abort_outside(int (*fn)(void *), const char *words)
{
	expect(&(struct broken){ .fn = fn, .outside = true }, words);
}
