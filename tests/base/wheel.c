/* SPDX-License-Identifier: MIT */
/*
 * The wheel of timers: cases by hand, then random operations beside a model
 * that cannot be wrong, an array in the order of deadlines.
 */
#include "base/wheel.h"

#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LAST (INT64_MAX - 1)

static void add(struct ri_wheel *wheel, struct rota_timer *timer,
		int64_t deadline_ns)
{
	memset(timer, 0, sizeof(*timer));
	timer->deadline_ns = deadline_ns;
	assert_true(ri_wheel_add(wheel, timer));
	assert_true(ri_timer_armed(timer));
}

static void an_empty_wheel_has_nothing_due(void **state)
{
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 1000);
	assert_true(ri_wheel_empty(&wheel));
	assert_true(ri_wheel_next_ns(&wheel) == INT64_MAX);
	assert_null(ri_wheel_expire(&wheel, INT64_MAX));
}

static void a_past_or_present_deadline_is_not_put_on(void **state)
{
	const int64_t due[] = { 1000, 999, 0, -1, INT64_MIN };
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 1000);
	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		struct rota_timer timer = { .deadline_ns = due[i] };

		assert_false(ri_wheel_add(&wheel, &timer));
		assert_false(ri_timer_armed(&timer));
	}
	assert_true(ri_wheel_empty(&wheel));
}

/* Deadlines at and round each border of digits, from several times. */
static void a_timer_is_due_at_its_deadline_and_not_before(void **state)
{
	const int64_t times[] = { 0, 1, 63, 64, 4095, 1234567890123456789 };

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		for (unsigned shift = 0; shift < 62; shift++)
			for (int64_t d = -1; d <= 1; d++) {
				const int64_t deadline_ns =
					times[i] + ((int64_t)1 << shift) + d;
				struct rota_timer timer;
				struct ri_wheel wheel;

				if (deadline_ns <= times[i])
					continue;
				ri_wheel_init(&wheel, times[i]);
				add(&wheel, &timer, deadline_ns);
				assert_null(ri_wheel_expire(&wheel,
							    deadline_ns - 1));
				assert_ptr_equal(ri_wheel_expire(&wheel,
								 deadline_ns),
						 &timer);
				assert_false(ri_timer_armed(&timer));
				assert_true(ri_wheel_empty(&wheel));
			}
}

static void the_last_moment_of_time_is_kept(void **state)
{
	struct ri_wheel wheel;
	struct rota_timer timer;

	(void)state;
	ri_wheel_init(&wheel, 0);
	add(&wheel, &timer, LAST);
	assert_true(ri_wheel_next_ns(&wheel) == LAST);
	assert_null(ri_wheel_expire(&wheel, LAST - 1));
	assert_ptr_equal(ri_wheel_expire(&wheel, LAST), &timer);
}

static void timers_come_off_in_the_order_of_their_deadlines(void **state)
{
	const int64_t deadlines[] = { 70000, 5, 64, 63, LAST, 300, 4096 };
	const int expected[] = { 1, 3, 2, 5, 6, 0, 4 };
	struct rota_timer timers[7];
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	for (int i = 0; i < 7; i++)
		add(&wheel, &timers[i], deadlines[i]);
	for (int i = 0; i < 7; i++)
		assert_ptr_equal(ri_wheel_expire(&wheel, LAST),
				 &timers[expected[i]]);
	assert_null(ri_wheel_expire(&wheel, LAST));
}

/* One of them is added while the deadline is far, one when it is near: they
 * start on different levels. */
static void ties_come_off_in_the_order_in_which_they_were_added(void **state)
{
	struct rota_timer timers[20];
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	for (int i = 0; i < 20; i++) {
		assert_null(ri_wheel_expire(&wheel, i * 5000));
		add(&wheel, &timers[i], 100000);
	}
	for (int i = 0; i < 20; i++)
		assert_ptr_equal(ri_wheel_expire(&wheel, 100000), &timers[i]);
	assert_null(ri_wheel_expire(&wheel, 100000));
}

static void a_timer_that_is_removed_does_not_come(void **state)
{
	struct rota_timer kept, removed;
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	add(&wheel, &removed, 1000);
	add(&wheel, &kept, 1000);
	ri_wheel_remove(&wheel, &removed);
	assert_false(ri_timer_armed(&removed));
	assert_ptr_equal(ri_wheel_expire(&wheel, 1000), &kept);
	assert_null(ri_wheel_expire(&wheel, LAST));
	assert_true(ri_wheel_empty(&wheel));
}

static void the_time_of_the_wheel_never_goes_back(void **state)
{
	struct rota_timer timer = { .deadline_ns = 500 };
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	assert_null(ri_wheel_expire(&wheel, 1000));
	assert_null(ri_wheel_expire(&wheel, 100));
	assert_false(ri_wheel_add(&wheel, &timer));
}

/* A handler of one timer may add others that are due by now, too. */
static void what_is_added_while_timers_come_off_comes_off_too(void **state)
{
	struct rota_timer first, second, late;
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	add(&wheel, &first, 10);
	add(&wheel, &late, 5000);
	assert_ptr_equal(ri_wheel_expire(&wheel, 100), &first);
	add(&wheel, &second, 50);
	assert_ptr_equal(ri_wheel_expire(&wheel, 100), &second);
	assert_null(ri_wheel_expire(&wheel, 100));
	assert_ptr_equal(ri_wheel_expire(&wheel, 5000), &late);
}

static void next_is_exact_for_a_few_and_never_late_for_many(void **state)
{
	struct rota_timer timers[40];
	struct ri_wheel wheel;

	(void)state;
	ri_wheel_init(&wheel, 0);
	for (int i = 0; i < 40; i++) {
		add(&wheel, &timers[i], 70000 - i);
		if (i < 8)
			assert_true(ri_wheel_next_ns(&wheel) == 70000 - i);
		assert_true(ri_wheel_next_ns(&wheel) <= 70000 - i);
		assert_true(ri_wheel_next_ns(&wheel) > 0);
	}
}

/* The model: timers in the order in which they have to come off. */
#define MODEL_MAX 300

struct model {
	struct rota_timer timers[MODEL_MAX];  /* in use while armed */
	struct rota_timer *sorted[MODEL_MAX]; /* the earliest first */
	unsigned count;                       /* of sorted */
	struct ri_wheel wheel;
	struct test_random random;
	int64_t now_ns;
};

static int64_t random_deadline(struct model *model)
{
	const unsigned shift = (unsigned)test_random_below(&model->random, 62);
	const uint64_t span = (uint64_t)1 << shift;
	const int64_t ahead =
		(int64_t)test_random_below(&model->random, span) - 2;
	int64_t deadline_ns;

	if (test_random_below(&model->random, 50) == 0)
		return LAST;
	/* Ties are worth having. */
	if (model->count && test_random_below(&model->random, 4) == 0)
		return model
			->sorted[test_random_below(&model->random, model->count)]
			->deadline_ns;
	if (__builtin_add_overflow(model->now_ns, ahead, &deadline_ns))
		return LAST;
	return deadline_ns;
}

static void model_add(struct model *model)
{
	struct rota_timer *timer = model->timers;
	const int64_t deadline_ns = random_deadline(model);
	unsigned at = model->count;

	if (model->count == MODEL_MAX)
		return;
	while (ri_timer_armed(timer))
		timer++;
	timer->deadline_ns = deadline_ns;
	assert_int_equal(ri_wheel_add(&model->wheel, timer),
			 deadline_ns > model->now_ns);
	if (deadline_ns <= model->now_ns)
		return;
	for (; at && model->sorted[at - 1]->deadline_ns > deadline_ns; at--)
		model->sorted[at] = model->sorted[at - 1];
	model->sorted[at] = timer;
	model->count++;
}

static void model_drop(struct model *model, unsigned at)
{
	model->count--;
	memmove(&model->sorted[at], &model->sorted[at + 1],
		(model->count - at) * sizeof(model->sorted[0]));
}

static void model_remove(struct model *model)
{
	unsigned at;

	if (!model->count)
		return;
	at = (unsigned)test_random_below(&model->random, model->count);
	ri_wheel_remove(&model->wheel, model->sorted[at]);
	model_drop(model, at);
}

static void model_next(struct model *model)
{
	const int64_t next_ns = ri_wheel_next_ns(&model->wheel);

	if (!model->count) {
		assert_true(next_ns == INT64_MAX);
		return;
	}
	assert_true(next_ns <= model->sorted[0]->deadline_ns);
	assert_true(next_ns > model->now_ns);
}

/* As the loop does it: to the time that the wheel wants, or some other. */
static void model_expire(struct model *model)
{
	const unsigned shift = (unsigned)test_random_below(&model->random, 40);
	const int64_t step = (int64_t)test_random_below(&model->random,
							(uint64_t)1 << shift);
	int64_t now_ns = model->now_ns + step;

	if (model->count && test_random_below(&model->random, 2))
		now_ns = ri_wheel_next_ns(&model->wheel);
	if (now_ns > INT64_MAX / 2)
		return;
	model->now_ns = now_ns;
	while (model->count && model->sorted[0]->deadline_ns <= now_ns) {
		assert_ptr_equal(ri_wheel_expire(&model->wheel, now_ns),
				 model->sorted[0]);
		model_drop(model, 0);
	}
	assert_null(ri_wheel_expire(&model->wheel, now_ns));
}

static void model_run(struct model *model, unsigned steps)
{
	model->count = 0;
	memset(model->timers, 0, sizeof(model->timers));
	model->now_ns = (int64_t)(test_random_next(&model->random) >> 8);
	ri_wheel_init(&model->wheel, model->now_ns);
	while (steps--) {
		switch (test_random_below(&model->random, 4)) {
		case 0:
		case 1:
			model_add(model);
			break;
		case 2:
			model_remove(model);
			break;
		default:
			model_expire(model);
		}
		model_next(model);
		assert_int_equal(ri_wheel_empty(&model->wheel), !model->count);
	}
}

static void random_operations_do_as_a_sorted_array_does(void **state)
{
	static struct model model;

	(void)state;
	test_random_init(&model.random);
	for (unsigned round = 0; round < test_rounds(200); round++)
		model_run(&model, 2000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_wheel_has_nothing_due),
		cmocka_unit_test(a_past_or_present_deadline_is_not_put_on),
		cmocka_unit_test(a_timer_is_due_at_its_deadline_and_not_before),
		cmocka_unit_test(the_last_moment_of_time_is_kept),
		cmocka_unit_test(
			timers_come_off_in_the_order_of_their_deadlines),
		cmocka_unit_test(
			ties_come_off_in_the_order_in_which_they_were_added),
		cmocka_unit_test(a_timer_that_is_removed_does_not_come),
		cmocka_unit_test(the_time_of_the_wheel_never_goes_back),
		cmocka_unit_test(
			what_is_added_while_timers_come_off_comes_off_too),
		cmocka_unit_test(
			next_is_exact_for_a_few_and_never_late_for_many),
		cmocka_unit_test(random_operations_do_as_a_sorted_array_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
