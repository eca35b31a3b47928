/* SPDX-License-Identifier: MIT */
/*
 * Promises about stages that are broken.
 */
#include "rota/rota.h"
#include "support/broken.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int add_one(void *in, void *out, void *arg)
{
	(void)arg;
	*(int *)out = *(int *)in + 1;
	return 1;
}

static int open_both(struct rota_sender senders[2],
		     struct rota_receiver receivers[2])
{
	static const struct rota_channel_options options = {
		.item_bytes = sizeof(int),
		.capacity = 1
	};
	int error = rota_channel_open(&options, &senders[0], &receivers[0]);

	if (!error)
		error = rota_channel_open(&options, &senders[1], &receivers[1]);
	return error;
}

static int spawn_without(bool from)
{
	struct rota_sender senders[2];
	struct rota_receiver receivers[2];
	struct rota_stage stage = { .from = &receivers[0],
				    .to = &senders[1],
				    .fn = add_one };
	struct rota_group group;
	int error = open_both(senders, receivers);

	if (error)
		return error;
	if (from)
		rota_receiver_close(&receivers[0]);
	else
		rota_sender_close(&senders[1]);
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &stage);
	rota_sender_close(&senders[0]);
	rota_receiver_close(&receivers[1]);
	return error | rota_group_wait(&group);
}

static int spawn_without_from(void *arg)
{
	(void)arg;
	return spawn_without(true);
}

static int spawn_without_to(void *arg)
{
	(void)arg;
	return spawn_without(false);
}

static void a_stage_with_a_closed_end_does_not_run_without_it(void **state)
{
	(void)state;
	test_expect_abort(spawn_without_from, "rota_go_stage for an end of");
	test_expect_abort(spawn_without_to, "rota_go_stage for an end of");
}

/* The one that was handed over; the others are still open. */
static int use_end_of_stage(void *arg)
{
	struct rota_sender senders[2];
	struct rota_receiver receivers[2];
	struct rota_stage stage = { .from = &receivers[0],
				    .to = &senders[1],
				    .fn = add_one };
	struct rota_group group;
	int error = open_both(senders, receivers);

	(void)arg;
	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_stage(&group, &stage);
	error |= rota_sender_inspect(&senders[1]).senders != 1;
	rota_sender_close(&senders[0]);
	rota_receiver_close(&receivers[1]);
	return error | rota_group_wait(&group);
}

static void the_ends_of_a_stage_are_its_own(void **state)
{
	(void)state;
	test_expect_abort(use_end_of_stage,
			  "rota_sender_inspect for an end of");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_stage_with_a_closed_end_does_not_run_without_it),
		cmocka_unit_test(the_ends_of_a_stage_are_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
