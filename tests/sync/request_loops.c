/* SPDX-License-Identifier: MIT */
/*
 * Request and reply between loops, in random programs: askers on all of them,
 * of whom some are cancelled at any point, two owners, and a close in between.
 * Whoever is answered has the answer to what it asked, nobody waits for ever,
 * and no request is taken after its asker was told that it is withdrawn.
 */
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ROUNDS 300
#define ASKERS 12
#define ASKED 20 /* by each, one after the other */

/* Of the slots: owners may read a request that they have taken when it is
 * closed already, by another task. */
_Alignas(16) static char memory[4096];

struct seen {
	struct rota_requests requests;
	struct test_random random;
	uint64_t seed; /* of this round */
	unsigned capacity;
	atomic_uint answered;  /* replies that came */
	atomic_uint wrong;     /* ... to something else */
	atomic_uint cancelled; /* askers that were cancelled */
	atomic_uint refused;   /* requests that came to -EPIPE */
	atomic_uint others;    /* ... to anything else */
	atomic_uint taken;     /* requests that an owner answered */
	unsigned long all;     /* replies in all rounds */
};

struct asker {
	struct seen *seen;
	unsigned number;
	bool patient; /* has no deadline */
};

/* Two words, so that half of an answer would be found. */
struct words {
	uint64_t first, second;
};

static void note(struct seen *seen, int result, uint64_t asked,
		 const struct words *reply)
{
	const bool right = reply->first == ~asked && reply->second == asked + 1;

	if (result == 0) {
		atomic_fetch_add(&seen->answered, 1);
		atomic_fetch_add(&seen->wrong, !right);
	} else if (result == -EPIPE) {
		atomic_fetch_add(&seen->refused, 1);
	} else if (result == -ETIME || result == -ECANCELED) {
		atomic_fetch_add(&seen->cancelled, 1);
		atomic_fetch_add(&seen->wrong, reply->first != 0);
	} else {
		atomic_fetch_add(&seen->others, 1);
	}
}

static void ask_once(struct seen *seen, uint64_t asked, int64_t patience_ns)
{
	struct words reply = { 0, 0 };
	struct rota_deadline deadline;
	int result;

	rota_deadline_begin(&deadline, patience_ns ? rota_after_ns(patience_ns)
						   : ROTA_NEVER);
	result = rota_request(&seen->requests, &asked, &reply);
	rota_deadline_end(&deadline);
	note(seen, result, asked, &reply);
}

static int ask(void *value)
{
	const struct asker *asker = value;
	struct test_random random;

	test_random_seed(&random, asker->seen->seed + asker->number);
	for (unsigned i = 0; i < ASKED; i++) {
		const uint64_t patience = test_random_below(&random, 50);

		ask_once(asker->seen, test_random_next(&random) | 1,
			 asker->patient ? 0 : (int64_t)patience * 500 + 1);
	}
	return 0;
}

static void answer(struct seen *seen, struct rota_ticket *ticket)
{
	const uint64_t asked = *(uint64_t *)ticket->request;
	const struct words reply = { ~asked, asked + 1 };

	atomic_fetch_add(&seen->taken, 1);
	rota_requests_answer(ticket, &reply);
}

/* Keeps up to two tickets for a while, and answers the later one first. */
static int own(void *value)
{
	const struct asker *owner = value;
	struct rota_ticket first, second;
	struct test_random random;

	test_random_seed(&random, owner->seen->seed + owner->number);
	while (rota_requests_take(&owner->seen->requests, &first) == 0) {
		const bool more = test_random_below(&random, 3) == 0 &&
				  rota_requests_try_take(&owner->seen->requests,
							 &second) == 0;

		if (test_random_below(&random, 4) == 0)
			rota_yield();
		if (test_random_below(&random, 16) == 0)
			pass(10 * ROTA_MICROSECOND);
		if (more)
			answer(owner->seen, &second);
		answer(owner->seen, &first);
	}
	return 0;
}

static int spawn_all(struct seen *seen, struct rota_group *askers,
		     struct rota_group *owners)
{
	int error = 0;

	for (unsigned i = 0; i < 2 && !error; i++)
		error = rota_go_on(owners, i % rota_loops(), own,
				   ((struct asker){ seen, 1000 + i, false }));
	for (unsigned i = 0; i < ASKERS && !error; i++)
		error = rota_go_on(askers, i % rota_loops(), ask,
				   ((struct asker){ seen, i, i % 3 == 0 }));
	return error;
}

static int play_round(struct seen *seen)
{
	const struct rota_requests_options options = {
		.request_bytes = sizeof(uint64_t),
		.reply_bytes = sizeof(struct words),
		.capacity = seen->capacity,
		.memory = memory,
	};
	const bool early = test_random_below(&seen->random, 4) == 0;
	struct rota_group askers, owners;
	int error = rota_requests_open(&seen->requests, &options);

	if (error)
		return error;
	rota_group_open(&owners, NULL);
	rota_group_open(&askers, NULL);
	error = spawn_all(seen, &askers, &owners);
	if (early) {
		pass((int64_t)test_random_below(&seen->random, 200) * 1000);
		rota_requests_close(&seen->requests);
	}
	error |= rota_group_wait(&askers);
	if (!early)
		rota_requests_close(&seen->requests);
	error |= rota_group_wait(&owners);
	if (!early && seen->refused)
		error = -EPROTO;
	return error;
}

static int play(void *arg)
{
	struct seen *seen = arg;
	const unsigned rounds = test_rounds(ROUNDS);
	int error = 0;

	for (unsigned i = 0; i < rounds && !error; i++) {
		seen->seed = test_random_next(&seen->random);
		seen->capacity =
			1 + (unsigned)test_random_below(&seen->random, 5);
		atomic_store(&seen->refused, 0);
		atomic_store(&seen->answered, 0);
		atomic_store(&seen->cancelled, 0);
		error = play_round(seen);
		if (!error &&
		    seen->refused + seen->answered + seen->cancelled !=
			    ASKERS * ASKED)
			error = -EBADMSG;
		seen->all += seen->answered;
	}
	return error;
}

static void each_request_is_answered_withdrawn_or_refused(void **state)
{
	static struct seen seen;

	(void)state;
	test_random_init(&seen.random);
	for (unsigned loops = 1; loops <= TEST_LOOPS; loops++) {
		const struct rota_config config = { .loops = loops };

		assert_int_equal(test_run_with(&config, NULL, play, &seen), 0);
		assert_int_equal(seen.wrong, 0);
		assert_int_equal(seen.others, 0);
	}
	assert_true(seen.all > 0);
	assert_true(seen.taken >= seen.all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_request_is_answered_withdrawn_or_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
