/* SPDX-License-Identifier: MIT */
/*
 * A pipeline that cannot be spawned gives back each block that it has taken.
 * (This program defines malloc itself.)
 */
#include "stack/sanitizer.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* A channel and two blocks of workers. */
#define BLOCKS 3u

static unsigned allocations;
static unsigned releases;
static unsigned budget; /* allocations that succeed; 0: all of them */

#if !RI_SANITIZED
/* glibc's own, which are there for just this. */
extern void *__libc_malloc(size_t bytes);
extern void __libc_free(void *block);

void *malloc(size_t bytes)
{
	if (budget && --budget == 0)
		return NULL;
	allocations++;
	return __libc_malloc(bytes);
}

void free(void *block)
{
	releases += block != NULL;
	__libc_free(block);
}
#endif

struct attempt {
	unsigned fails_at;   /* the nth allocation; 0: none */
	unsigned limit;      /* of the group */
	int made;            /* by the source */
	int spawned;         /* what the spawn has returned */
	int result;          /* of the group */
	unsigned allocated;  /* blocks, from the spawn to the join */
	unsigned given_back; /* ... of these */
};

static int produce(void *in, void *out, void *arg)
{
	struct attempt *attempt = arg;

	(void)in;
	*(int *)out = attempt->made++;
	return attempt->made <= 10;
}

static int consume(void *in, void *out, void *arg)
{
	(void)in;
	(void)out;
	(void)arg;
	return 0;
}

static int play(void *arg)
{
	struct attempt *attempt = arg;
	const struct rota_pipeline_stage stages[] = {
		{ .fn = produce, .out_bytes = sizeof(int), .arg = attempt },
		{ .fn = consume },
	};
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){
					.limit = attempt->limit });
	const unsigned allocated = allocations, given_back = releases;

	budget = attempt->fails_at;
	attempt->spawned = rota_go_pipeline(&group, stages, 2);
	budget = 0;
	attempt->result = rota_group_wait(&group);
	attempt->allocated = allocations - allocated;
	attempt->given_back = releases - given_back;
	return 0;
}

static void without_memory_nothing_is_begun_and_nothing_kept(void **state)
{
	(void)state;
	if (RI_SANITIZED)
		test_skip("the sanitizer's malloc does not refuse");
	for (unsigned i = 0; i < BLOCKS; i++) {
		struct attempt attempt = { .fails_at = i + 1 };

		assert_int_equal(test_run(play, &attempt), 0);
		assert_int_equal(attempt.spawned, -ENOMEM);
		assert_int_equal(attempt.result, 0);
		assert_int_equal(attempt.made, 0);
		assert_int_equal(attempt.allocated, i);
		assert_int_equal(attempt.given_back, i);
	}
}

/* The source finds no slot, when all the rest is there. */
static void at_the_limit_nothing_is_kept(void **state)
{
	struct attempt attempt = { .limit = 1 };

	(void)state;
	assert_int_equal(test_run(play, &attempt), 0);
	assert_int_equal(attempt.spawned, -EAGAIN);
	assert_int_equal(attempt.made, 0);
	assert_int_equal(attempt.given_back, attempt.allocated);
}

static void one_that_runs_takes_a_block_for_each_stage_and_channel(void **state)
{
	struct attempt attempt = { 0 };

	(void)state;
	if (RI_SANITIZED)
		test_skip("the sanitizer's malloc is not ours to count");
	assert_int_equal(test_run(play, &attempt), 0);
	assert_int_equal(attempt.spawned, 0);
	assert_int_equal(attempt.made, 11);
	assert_int_equal(attempt.allocated, BLOCKS);
	assert_int_equal(attempt.given_back, BLOCKS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			without_memory_nothing_is_begun_and_nothing_kept),
		cmocka_unit_test(at_the_limit_nothing_is_kept),
		cmocka_unit_test(
			one_that_runs_takes_a_block_for_each_stage_and_channel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
