/* SPDX-License-Identifier: MIT */
#include "base/fifo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void an_empty_queue_gives_nothing(void **state)
{
	struct ri_fifo fifo;

	(void)state;
	ri_fifo_init(&fifo);
	assert_true(ri_fifo_empty(&fifo));
	assert_null(ri_fifo_take(&fifo));
	assert_null(ri_fifo_take(&fifo));
}

static void the_first_in_is_the_first_out(void **state)
{
	struct ri_fifo_node nodes[3];
	struct ri_fifo fifo;

	(void)state;
	ri_fifo_init(&fifo);
	for (int i = 0; i < 3; i++)
		ri_fifo_push(&fifo, &nodes[i]);
	assert_false(ri_fifo_empty(&fifo));
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(ri_fifo_take(&fifo), &nodes[i]);
	assert_true(ri_fifo_empty(&fifo));
}

static void a_queue_that_was_emptied_takes_more(void **state)
{
	struct ri_fifo_node nodes[2];
	struct ri_fifo fifo;

	(void)state;
	ri_fifo_init(&fifo);
	ri_fifo_push(&fifo, &nodes[0]);
	assert_ptr_equal(ri_fifo_take(&fifo), &nodes[0]);
	ri_fifo_push(&fifo, &nodes[1]);
	ri_fifo_push(&fifo, &nodes[0]);
	assert_ptr_equal(ri_fifo_take(&fifo), &nodes[1]);
	assert_ptr_equal(ri_fifo_take(&fifo), &nodes[0]);
	assert_null(ri_fifo_take(&fifo));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_queue_gives_nothing),
		cmocka_unit_test(the_first_in_is_the_first_out),
		cmocka_unit_test(a_queue_that_was_emptied_takes_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
