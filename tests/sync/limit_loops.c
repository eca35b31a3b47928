/* SPDX-License-Identifier: MIT */
/*
 * A limit that several loops share: the order of the line holds over all of
 * them, and no permit is made or lost, whoever is cancelled when.
 */
#include "support/broken.h"
#include "support/loops.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ASKERS 12
#define SIZE 5
#define TASKS 24
#define TIMES 4000

struct stage {
	struct rota_limit limit;
	unsigned order[ASKERS]; /* who was served, by number */
	unsigned served;        /* how many: guarded by the limit */
	atomic_uint held;       /* permits, by what the tasks count */
	atomic_uint most;       /* ... at most */
	atomic_uint acquired;   /* so often it went well */
	atomic_uint given_up;   /* ... it was cancelled */
	atomic_uint wrong;      /* ... it was anything else */
	unsigned times;         /* that each tries */
	uint64_t seed;          /* of all of it */
	struct rota_limit_state end;
};

struct member {
	struct stage *stage;
	unsigned number;
};

static int ask_and_note(void *value)
{
	const struct member *member = value;
	struct stage *stage = member->stage;
	const int error = rota_limit_acquire(&stage->limit, 1);

	if (error)
		return error;
	stage->order[stage->served++] = member->number;
	rota_limit_release(&stage->limit, 1);
	return 0;
}

/* One after the other: who is on which loop says nothing of the order. */
static int queue_up(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error;

	rota_limit_init(&stage->limit, 1, NULL);
	error = rota_limit_acquire(&stage->limit, 1);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < ASKERS && !error; i++) {
		error = rota_go_on(&group, (i * 7 / 2) % TEST_LOOPS,
				   ask_and_note, ((struct member){ stage, i }));
		while (!error && rota_limit_inspect(&stage->limit).waiting <= i)
			error = rota_yield();
	}
	rota_limit_release(&stage->limit, 1);
	error |= rota_group_wait(&group);
	stage->end = rota_limit_inspect(&stage->limit);
	rota_limit_fini(&stage->limit);
	return error;
}

static void the_line_is_one_over_all_loops(void **state)
{
	struct stage stage = { .served = 0 };

	(void)state;
	assert_int_equal(test_run_loops(queue_up, &stage), 0);
	assert_int_equal(stage.served, ASKERS);
	for (unsigned i = 0; i < ASKERS; i++)
		assert_int_equal(stage.order[i], i);
	assert_int_equal(stage.end.used, 0);
}

static void hold(struct stage *stage, struct test_random *random,
		 unsigned count)
{
	const unsigned held = atomic_fetch_add(&stage->held, count) + count;
	unsigned most = atomic_load(&stage->most);

	while (held > most &&
	       !atomic_compare_exchange_weak(&stage->most, &most, held))
		;
	if (test_random_below(random, 4) == 0 && rota_yield())
		sched_yield();
	atomic_fetch_sub(&stage->held, count);
	rota_limit_release(&stage->limit, count);
}

/* With a deadline that is past, far away, or in between. */
static void ask_once(struct stage *stage, struct test_random *random)
{
	const unsigned count = (unsigned)test_random_below(random, SIZE + 1);
	const uint64_t kind = test_random_below(random, 8);
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline,
			    kind > 2 ? ROTA_NEVER
				     : rota_after_ns((int64_t)test_random_below(
					       random, 20000)));
	error = kind == 7 ? rota_limit_try_acquire(&stage->limit, count)
			  : rota_limit_acquire(&stage->limit, count);
	if (!error)
		hold(stage, random, count);
	rota_deadline_end(&deadline);
	atomic_fetch_add(!error ? &stage->acquired
			 : error == -ETIME || (kind == 7 && error == -EAGAIN)
				 ? &stage->given_up
				 : &stage->wrong,
			 1);
}

static int ask_often(void *value)
{
	const struct member *member = value;
	struct test_random random;

	test_random_seed(&random, member->stage->seed + member->number);
	for (unsigned i = 0; i < member->stage->times; i++)
		ask_once(member->stage, &random);
	return 0;
}

static int ask_everywhere(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = 0;

	rota_limit_init(&stage->limit, SIZE, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < TASKS && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), ask_often,
				   ((struct member){ stage, i }));
	error |= rota_group_wait(&group);
	stage->end = rota_limit_inspect(&stage->limit);
	rota_limit_fini(&stage->limit);
	return error;
}

static void ask_on(unsigned loops)
{
	const struct rota_config config = { .loops = loops };
	struct stage stage = { .times = test_rounds(TIMES) };
	struct test_random random;

	test_random_init(&random);
	stage.seed = test_random_next(&random);
	assert_int_equal(test_run_with(&config, NULL, ask_everywhere, &stage),
			 0);
	assert_in_range(atomic_load(&stage.most), 1, SIZE);
	assert_int_equal(atomic_load(&stage.wrong), 0);
	assert_int_equal(stage.acquired + stage.given_up, TASKS * stage.times);
	assert_int_equal(stage.end.used, 0);
	assert_int_equal(stage.end.waiting, 0);
}

static void on_two_loops_no_permit_is_made_or_lost(void **state)
{
	(void)state;
	ask_on(2);
}

static void on_three_loops_no_permit_is_made_or_lost(void **state)
{
	(void)state;
	ask_on(3);
}

/* One that was served by another loop, and is cancelled before it hears. */
struct late {
	struct stage stage;
	struct hold hold;
	struct rota_group asking;
	atomic_int code;
};

static int ask_there(void *value)
{
	struct late *late = *(struct late **)value;

	atomic_store(&late->code, rota_limit_acquire(&late->stage.limit, 1));
	return 0;
}

static int cancel_before_it_hears(void *arg)
{
	struct late *late = arg;
	struct rota_limit *limit = &late->stage.limit;
	int error;

	rota_limit_init(limit, 1, NULL);
	error = rota_limit_acquire(limit, 1);
	rota_group_open(&late->asking, NULL);
	error |= rota_go_on(&late->asking, 1, ask_there, late);
	while (!error && !rota_limit_inspect(limit).waiting)
		error = rota_yield();
	hold_begin(&late->hold, 1);
	rota_group_cancel(&late->asking, (struct rota_cancellation){ 0, NULL });
	rota_limit_release(limit, 1);
	late->stage.acquired = (unsigned)rota_limit_inspect(limit).used;
	hold_end(&late->hold);
	rota_group_wait(&late->asking);
	late->stage.end = rota_limit_inspect(limit);
	rota_limit_fini(limit);
	return error;
}

static void what_was_given_to_a_cancelled_one_elsewhere_comes_back(void **state)
{
	struct late late = { .code = 1 };

	(void)state;
	assert_int_equal(test_run_loops(cancel_before_it_hears, &late), 0);
	assert_int_equal(late.stage.acquired, 1);
	assert_int_equal(atomic_load(&late.code), -ECANCELED);
	assert_int_equal(late.stage.end.used, 0);
}

static int use_elsewhere(void *value)
{
	return rota_limit_acquire(*(struct rota_limit **)value, 1);
}

static int use_a_local_one(void *arg)
{
	static struct rota_limit limit;
	struct rota_group group;
	int error;

	(void)arg;
	rota_limit_init(&limit, 1,
			&(struct rota_sync_options){ .local = true });
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, use_elsewhere, &limit);
	return error | rota_group_wait(&group);
}

static int run_with_loops(void *arg)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, use_a_local_one, arg);
}

static void a_local_one_is_found_on_another_loop(void **state)
{
	(void)state;
	test_expect_abort_outside(run_with_loops, "is called on loop 1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_line_is_one_over_all_loops),
		cmocka_unit_test(on_two_loops_no_permit_is_made_or_lost),
		cmocka_unit_test(on_three_loops_no_permit_is_made_or_lost),
		cmocka_unit_test(
			what_was_given_to_a_cancelled_one_elsewhere_comes_back),
		cmocka_unit_test(a_local_one_is_found_on_another_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
