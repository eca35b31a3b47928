/* SPDX-License-Identifier: MIT */
/*
 * No memory for a pool, a stage, a channel or requests: each allocation that
 * they make fails in turn, and nothing is left of what there was. Once open,
 * none of them allocates. (This program defines malloc itself.)
 */
#include "rota/rota.h"
#include "stack/sanitizer.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ITEMS 1000

static unsigned allocations; /* made so far, while they are counted */
static unsigned failing;     /* which of them fails, from 1 on; 0: none */
static int held;             /* made, and not given back */
static bool counts;          /* they are counted */

#if !RI_SANITIZED
/* glibc's own, which are there for just this. */
extern void *__libc_malloc(size_t bytes);
extern void __libc_free(void *memory);

void *malloc(size_t bytes)
{
	if (counts && ++allocations == failing)
		return NULL;
	held += counts;
	return __libc_malloc(bytes);
}

void free(void *memory)
{
	held -= counts && memory;
	__libc_free(memory);
}
#endif

/* From here on the nth allocation fails. */
static void count_from_here(unsigned nth)
{
	allocations = 0;
	failing = nth;
	held = 0;
	counts = true;
}

static int work(void *item, void *arg)
{
	*(int *)arg += *(int *)item;
	return 0;
}

static int play_pool(int *sum)
{
	struct rota_pool pool;
	int one = 1;
	int error = rota_pool_open(
		&pool, &(struct rota_pool_options){ .workers = 3,
						    .capacity = 2,
						    .item_bytes = sizeof(one),
						    .fn = work,
						    .arg = sum });

	if (error)
		return error;
	for (int i = 0; i < ITEMS && !error; i++)
		error = rota_pool_submit(&pool, &one);
	return error | rota_pool_close(&pool);
}

static int produce(void *in, void *out, void *arg)
{
	(void)in;
	*(int *)out = 1;
	return ++*(int *)arg <= ITEMS;
}

static int consume(void *in, void *out, void *arg)
{
	(void)out;
	return work(in, arg);
}

static int play_stages(int *sum)
{
	const struct rota_channel_options options = { .item_bytes = sizeof(int),
						      .capacity = 2 };
	int made = 0;
	struct rota_sender to;
	struct rota_receiver from;
	const struct rota_stage source = { .to = &to,
					   .fn = produce,
					   .arg = &made };
	const struct rota_stage sink = { .from = &from,
					 .fn = consume,
					 .arg = sum };
	struct rota_group group;
	int error = rota_channel_open(&options, &to, &from);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &source);
	if (error)
		rota_receiver_close(&from);
	else
		error = rota_go_stage(&group, &sink);
	return rota_group_wait(&group) | error;
}

static int own(void *value)
{
	struct rota_requests *requests = *(struct rota_requests **)value;
	struct rota_ticket ticket;
	int error;

	while ((error = rota_requests_take(requests, &ticket)) == 0)
		rota_requests_answer(&ticket, ticket.request);
	return error == -EPIPE ? 0 : error;
}

static int play_requests(int *sum)
{
	const struct rota_requests_options options = {
		.request_bytes = sizeof(int),
		.reply_bytes = sizeof(int),
		.capacity = 2
	};
	struct rota_requests requests;
	struct rota_group group;
	int one = 1, reply;
	int error = rota_requests_open(&requests, &options);

	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, own, &requests);
	for (int i = 0; i < ITEMS && !error; i++) {
		error = rota_request(&requests, &one, &reply);
		*sum += reply;
	}
	rota_requests_close(&requests);
	return error | rota_group_wait(&group);
}

struct play {
	int (*fn)(int *sum);
	unsigned failing;
	unsigned allocations; /* that it made */
	int held;             /* of those, not given back */
	int sum;              /* of what came through */
};

static int play(void *arg)
{
	struct play *play = arg;
	int result;

	count_from_here(play->failing);
	result = play->fn(&play->sum);
	counts = false;
	play->allocations = allocations;
	play->held = held;
	return result;
}

static void each_allocation_may_fail_and_none_is_made_later(void **state)
{
	static const struct {
		int (*fn)(int *sum);
		unsigned allocations;
	} plays[] = {
		{ play_pool, 2 },
		{ play_stages, 3 },
		{ play_requests, 1 },
	};

	(void)state;
	if (RI_SANITIZED)
		test_skip("sanitizers have a malloc of their own");
	for (unsigned i = 0; i < sizeof(plays) / sizeof(plays[0]); i++) {
		struct play all = { .fn = plays[i].fn };

		assert_int_equal(test_run(play, &all), 0);
		assert_int_equal(all.sum, ITEMS);
		assert_int_equal(all.allocations, plays[i].allocations);
		assert_int_equal(all.held, 0);
		for (unsigned nth = 1; nth <= all.allocations; nth++) {
			struct play one = { .fn = plays[i].fn, .failing = nth };

			assert_int_equal(test_run(play, &one), -ENOMEM);
			assert_int_equal(one.held, 0);
		}
	}
}

static void what_finds_too_few_tasks_gives_its_memory_back(void **state)
{
	const struct rota_config config = { .tasks_max = 2 };
	int (*const plays[])(int *sum) = { play_pool, play_stages };

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		struct play one = { .fn = plays[i] };

		assert_int_equal(test_run_with(&config, NULL, play, &one),
				 -EAGAIN);
		assert_int_equal(one.held, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			each_allocation_may_fail_and_none_is_made_later),
		cmocka_unit_test(
			what_finds_too_few_tasks_gives_its_memory_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
