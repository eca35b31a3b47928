/* SPDX-License-Identifier: MIT */
/*
 * All of it: how far it came, whatever ended it. (How send_all goes on after
 * short sends is in socket.c.)
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/pair.h"
#include "support/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)8 << 20)
#define SOME 5

static char text[LARGE];

/* Of the race that runs. */
static size_t done;

/* Wants more than the peer sends before the end. */
static int call_recv_full(struct race *race)
{
	done = 99;
	return rota_recv_full(race->fd, text, 2 * SOME, &done);
}

static int call_send_all(struct race *race)
{
	done = 99;
	return rota_send_all(race->fd, text, LARGE, &done);
}

static int send_some(struct race *race)
{
	return send(race->peer, "hello", SOME, 0) == SOME ? 0 : -errno;
}

static const struct race_verb recv_full_verb = { "recv_full",    race_open_pair,
						 call_recv_full, send_some,
						 NULL,           false,
						 IORING_OP_RECV, 0 };

static const struct race_verb send_all_verb = { "send_all",     race_open_pair,
						call_send_all,  NULL,
						NULL,           false,
						IORING_OP_SEND, 0 };

static const int codes[] = { -ECANCELED, -ETIME, -EBADF };

static int interrupt_half_way(struct race *race)
{
	int error = race_settle() | race->verb->complete(race) | race_settle();

	race->early = race->returned;
	error |= race_interrupt(race);
	return error | race_settle();
}

static void receiving_all_that_is_stopped_tells_how_far_it_came(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		memset(text, 0, sizeof(text));
		race_run(&race, &recv_full_verb, (enum race_interruption)by,
			 interrupt_half_way);
		assert_false(race.early);
		assert_int_equal(race.result, codes[by]);
		assert_int_equal(done, SOME);
		assert_memory_equal(text, "hello", SOME);
	}
}

static int interrupt_at_once(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	error |= race_interrupt(race);
	return error | race_settle();
}

static int interrupt_and_count(struct race *race)
{
	const int error = interrupt_at_once(race);

	return error | race_empty_pair(race);
}

static void sending_all_that_is_stopped_tells_how_far_it_came(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &send_all_verb, (enum race_interruption)by,
			 interrupt_and_count);
		assert_false(race.early);
		assert_int_equal(race.result, codes[by]);
		assert_in_range(done, 1, LARGE - 1);
		assert_int_equal(race.held, done);
	}
}

static void receiving_all_that_got_nothing_took_nothing(void **state)
{
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &recv_full_verb, (enum race_interruption)by,
			 interrupt_at_once);
		assert_int_equal(race.result, codes[by]);
		assert_int_equal(done, 0);
	}
}

struct stage {
	int pair[2];
	int codes[8];
	size_t done[8];
	char bytes[16];
};

static int receive_pieces(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->codes[0] = rota_recv_full(stage->pair[0], stage->bytes, 10,
					 &stage->done[0]);
	stage->codes[1] = rota_recv_full(stage->pair[0], stage->bytes + 10, 6,
					 &stage->done[1]);
	return 0;
}

static int send_pieces(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int error = test_pair_open(stage->pair);

	rota_group_open(&group, NULL);
	error |= rota_go(&group, receive_pieces, stage);
	for (int i = 0; i < 3; i++) {
		error |= rota_sleep(ROTA_MILLISECOND);
		error |= rota_send_all(stage->pair[1], "abcd", 4, NULL);
	}
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_shutdown(stage->pair[1], SHUT_WR);
	error |= rota_group_wait(&group);
	return error | test_pair_close(stage->pair);
}

static void all_of_it_comes_in_pieces_and_an_end_before_is_enodata(void **state)
{
	struct stage stage = { .codes = { 1, 1 } };

	(void)state;
	assert_int_equal(test_run(send_pieces, &stage), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.done[0], 10);
	assert_int_equal(stage.codes[1], -ENODATA);
	assert_int_equal(stage.done[1], 2);
	assert_memory_equal(stage.bytes, "abcdabcdabcd", 12);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = test_pair_open(stage->pair), *results = stage->codes;
	const int fd = stage->pair[0];

	for (int i = 0; i < 8; i++)
		stage->done[i] = 99;
	results[0] = rota_recv_full(fd, text, 0, &stage->done[0]);
	results[1] = rota_recv_full(fd, NULL, 0, NULL);
	error |= rota_send_all(stage->pair[1], "x", 1, NULL);
	results[2] = rota_recv_full(fd, NULL, 1, &stage->done[2]);
	rota_deadline_begin(&deadline, 0);
	results[3] = rota_recv_full(fd, text, 1, &stage->done[3]);
	results[4] = rota_recv_full(fd, text, 0, &stage->done[4]);
	rota_deadline_end(&deadline);
	error |= rota_close(stage->pair[1]) | rota_close(fd);
	results[5] = rota_recv_full(fd, text, 1, &stage->done[5]);
	results[6] = rota_recv_full(-1, text, 1, &stage->done[6]);
	results[7] = rota_send_all(fd, NULL, 1, &stage->done[7]);
	return error;
}

static void what_cannot_be_received_is_told_with_nothing_done(void **state)
{
	static const int expected[] = { 0,      0,      -EFAULT, -ETIME,
					-ETIME, -EBADF, -EBADF,  -EBADF };
	struct stage stage;

	(void)state;
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 8; i++) {
		assert_int_equal(stage.codes[i], expected[i]);
		assert_int_equal(stage.done[i], i == 1 ? 99 : 0);
	}
}

/* The kernel seems to have received less than was asked for, each time. */
struct short_ones {
	struct stage stage;
	struct test_kernel kernel;
	unsigned receives;
};

static bool hold_receives(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_RECV;
}

static void shorten(struct test_kernel *kernel, void *context)
{
	struct short_ones *ones = context;

	while (test_kernel_held(kernel)) {
		ones->receives++;
		test_kernel_held_at(kernel, 0)->res = 1;
		test_kernel_release(kernel, 0);
	}
}

static int receive_shortened(void *arg)
{
	struct short_ones *ones = arg;
	struct stage *stage = &ones->stage;
	int error = test_pair_open(stage->pair);

	error |= rota_send_all(stage->pair[1], "abcdef", 6, NULL);
	stage->codes[0] =
		rota_recv_full(stage->pair[0], stage->bytes, 3, stage->done);
	return error | test_pair_close(stage->pair);
}

static void receives_that_are_short_are_gone_on_with(void **state)
{
	struct short_ones ones = { .receives = 0 };

	(void)state;
	test_kernel_init(&ones.kernel);
	test_kernel_hold(&ones.kernel, hold_receives, NULL);
	ones.kernel.on_idle = shorten;
	ones.kernel.idle_context = &ones;
	assert_int_equal(test_run_with(NULL, &ones.kernel.table,
				       receive_shortened, &ones),
			 0);
	assert_int_equal(ones.stage.codes[0], 0);
	assert_int_equal(ones.stage.done[0], 3);
	/* "abc" is read by the first, "de" by the second, "f" by the third. */
	assert_int_equal(ones.receives, 3);
	assert_memory_equal(ones.stage.bytes, "adf", 3);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			receiving_all_that_is_stopped_tells_how_far_it_came),
		cmocka_unit_test(
			sending_all_that_is_stopped_tells_how_far_it_came),
		cmocka_unit_test(receiving_all_that_got_nothing_took_nothing),
		cmocka_unit_test(
			all_of_it_comes_in_pieces_and_an_end_before_is_enodata),
		cmocka_unit_test(
			what_cannot_be_received_is_told_with_nothing_done),
		cmocka_unit_test(receives_that_are_short_are_gone_on_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
