/* SPDX-License-Identifier: MIT */
/*
 * Sending from several pieces.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/pair.h"
#include "support/random.h"
#include "support/run.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1024
#define LARGE ((size_t)8 << 20)
#define ROUNDS 200

static char text[LARGE];

struct stage {
	int pair[2];
	int codes[12];
	size_t done[12];
	char bytes[64];
};

static int send_pieces(void *arg)
{
	struct stage *stage = arg;
	const struct iovec pieces[] = { { "", 0 },
					{ "hello", 5 },
					{ NULL, 0 },
					{ " world", 6 },
					{ "", 0 } };
	int error = test_pair_open(stage->pair);

	stage->codes[0] = rota_sendv(stage->pair[1], pieces, 5, 0);
	stage->codes[1] =
		rota_sendv_all(stage->pair[1], pieces, 5, &stage->done[1]);
	stage->codes[2] = rota_sendv_all(stage->pair[1], pieces + 1, 1, NULL);
	stage->codes[3] = rota_recv(stage->pair[0], stage->bytes, 64, 0);
	return error | test_pair_close(stage->pair);
}

static void pieces_are_received_in_their_order(void **state)
{
	struct stage stage = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run(send_pieces, &stage), 0);
	assert_int_equal(stage.codes[0], 11);
	assert_int_equal(stage.codes[1], 0);
	assert_int_equal(stage.done[1], 11);
	assert_int_equal(stage.codes[2], 0);
	assert_int_equal(stage.codes[3], 27);
	assert_memory_equal(stage.bytes, "hello worldhello worldhello", 27);
}

static int refuse(void *arg)
{
	struct stage *stage = arg;
	const struct iovec piece = { stage->bytes, 1 }, nowhere = { NULL, 1 };
	struct rota_deadline deadline;
	int error = test_pair_open(stage->pair), *codes = stage->codes;
	const int fd = stage->pair[1];

	for (int i = 0; i < 12; i++)
		stage->done[i] = 99;
	codes[0] = rota_sendv(fd, &piece, -1, 0);
	codes[1] = rota_sendv_all(fd, &piece, INT_MIN, &stage->done[1]);
	codes[2] = rota_sendv(fd, NULL, 1, 0);
	codes[3] = rota_sendv_all(fd, NULL, 1, &stage->done[3]);
	codes[4] = rota_sendv(fd, &nowhere, 1, 0);
	codes[5] = rota_sendv_all(fd, &nowhere, 1, &stage->done[5]);
	rota_deadline_begin(&deadline, 0);
	codes[6] = rota_sendv(fd, &piece, 1, 0);
	codes[7] = rota_sendv_all(fd, &piece, 1, &stage->done[7]);
	codes[8] = rota_sendv_all(fd, &piece, 0, &stage->done[8]);
	rota_deadline_end(&deadline);
	error |= test_pair_close(stage->pair);
	codes[9] = rota_sendv(fd, &piece, 1, 0);
	codes[10] = rota_sendv_all(fd, &piece, 1, &stage->done[10]);
	codes[11] = rota_sendv_all(-1, &piece, 1, &stage->done[11]);
	return error;
}

static void pieces_that_cannot_be_sent_are_told_with_nothing_done(void **state)
{
	static const int expected[] = { -EINVAL, -EINVAL, -EFAULT, -EFAULT,
					-EFAULT, -EFAULT, -ETIME,  -ETIME,
					-ETIME,  -EBADF,  -EBADF,  -EBADF };
	struct stage stage;

	(void)state;
	assert_int_equal(test_run(refuse, &stage), 0);
	for (int i = 0; i < 12; i++) {
		assert_int_equal(stage.codes[i], expected[i]);
		/* rota_sendv has none. */
		assert_int_equal(stage.done[i],
				 i == 0 || i == 2 || i == 4 || i == 6 || i == 9
					 ? 99
					 : 0);
	}
}

static int send_none_and_many(void *arg)
{
	struct stage *stage = arg;
	static struct iovec pieces[4 * MANY + 1];
	int error = test_pair_open(stage->pair), *codes = stage->codes;
	const int fd = stage->pair[1];

	for (int i = 0; i < 4 * MANY + 1; i++)
		pieces[i] = (struct iovec){ "x", 1 };
	codes[0] = rota_sendv(fd, NULL, 0, 0);
	codes[1] = rota_sendv_all(fd, NULL, 0, &stage->done[1]);
	codes[2] = rota_sendv(fd, pieces, MANY, 0);
	codes[3] = rota_sendv(fd, pieces, MANY + 1, 0);
	codes[4] = rota_sendv_all(fd, pieces, 4 * MANY + 1, &stage->done[4]);
	codes[5] = rota_recv(stage->pair[0], text, sizeof(text), 0);
	return error | test_pair_close(stage->pair);
}

static void no_piece_is_no_byte_and_any_number_is_sent_in_all(void **state)
{
	static const int expected[] = { 0, 0, MANY, -EMSGSIZE, 0, 5 * MANY + 1 };
	struct stage stage = { .codes = { 0 } };

	(void)state;
	assert_int_equal(test_run(send_none_and_many, &stage), 0);
	for (int i = 0; i < 6; i++)
		assert_int_equal(stage.codes[i], expected[i]);
	assert_int_equal(stage.done[1], 0);
	assert_int_equal(stage.done[4], 4 * MANY + 1);
}

/* Of the race that runs. */
static size_t done;

static int call_sendv(struct race *race)
{
	const struct iovec pieces[] = { { text, 5 }, { text, 5 } };

	return rota_sendv(race->fd, pieces, 2, 0);
}

static int take_all(struct race *race)
{
	return race_empty_pair(race);
}

static void a_send_of_pieces_that_waits_can_be_ended_each_way(void **state)
{
	static const struct race_verb verb = {
		"sendv", race_open_full_pair, call_sendv, take_all, NULL,
		false,   IORING_OP_SENDMSG,   0
	};

	(void)state;
	test_blocked(&verb, 10, true);
}

static int call_sendv_all(struct race *race)
{
	const struct iovec pieces[] = { { text, LARGE / 2 },
					{ text, LARGE / 2 } };

	done = 99;
	return rota_sendv_all(race->fd, pieces, 2, &done);
}

static int interrupt_and_count(struct race *race)
{
	int error = race_settle();

	race->early = race->returned;
	error |= race_interrupt(race);
	return error | race_settle() | race_empty_pair(race);
}

static void
sending_all_pieces_that_is_stopped_tells_how_far_it_came(void **state)
{
	static const int codes[] = { -ECANCELED, -ETIME, -EBADF };
	static const struct race_verb verb = {
		"sendv_all", race_open_pair, call_sendv_all,    NULL,
		NULL,        false,          IORING_OP_SENDMSG, 0
	};
	struct race race;

	(void)state;
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &verb, (enum race_interruption)by,
			 interrupt_and_count);
		assert_false(race.early);
		assert_int_equal(race.result, codes[by]);
		assert_in_range(done, 1, LARGE - 1);
		assert_int_equal(race.held, done);
	}
}

/* Pieces of random lengths, some empty, of bytes that count up. */
#define PIECES_MAX 3000
#define PIECE_MAX 5000

struct random_stage {
	struct test_random random;
	int pair[2];
	struct iovec pieces[PIECES_MAX], before[PIECES_MAX];
	int count;
	size_t bytes, done, got;
	int code, torn;
};

static void make_pieces(struct random_stage *stage)
{
	struct test_random *random = &stage->random;
	const uint64_t longest = 1 + test_random_below(random, PIECE_MAX);

	stage->count = (int)test_random_below(
		random, test_random_below(random, 8) ? 40 : PIECES_MAX);
	stage->bytes = 0;
	for (int i = 0; i < stage->count; i++) {
		size_t length = test_random_below(random, longest);

		if (!test_random_below(random, 4) ||
		    stage->bytes + length > LARGE)
			length = 0;
		stage->pieces[i] =
			(struct iovec){ text + stage->bytes, length };
		stage->bytes += length;
	}
	memcpy(stage->before, stage->pieces, sizeof(stage->pieces));
}

static int receive_slowly(void *value)
{
	struct random_stage *stage = *(struct random_stage **)value;
	static char bytes[20000];
	int n;

	do {
		n = rota_recv(stage->pair[0], bytes,
			      1 + test_random_below(&stage->random,
						    sizeof(bytes)),
			      0);
		for (int i = 0; i < n; i++)
			stage->torn += bytes[i] != text[stage->got++];
	} while (n > 0);
	return n;
}

static int send_random_pieces(void *arg)
{
	struct random_stage *stage = arg;
	const int least = 1;
	struct rota_group group;
	int error = test_pair_open(stage->pair);

	error |= rota_setsockopt(stage->pair[1], SOL_SOCKET, SO_SNDBUF, &least,
				 sizeof(least));
	make_pieces(stage);
	stage->got = 0;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, receive_slowly, stage);
	stage->code = rota_sendv_all(stage->pair[1], stage->pieces,
				     stage->count, &stage->done);
	error |= rota_shutdown(stage->pair[1], SHUT_WR);
	error |= rota_group_wait(&group);
	return error | test_pair_close(stage->pair);
}

static void random_pieces_arrive_whole_through_tiny_buffers(void **state)
{
	static struct random_stage stage;

	(void)state;
	test_random_init(&stage.random);
	for (unsigned i = test_rounds(ROUNDS); i; i--) {
		assert_int_equal(test_run(send_random_pieces, &stage), 0);
		assert_int_equal(stage.code, 0);
		assert_int_equal(stage.done, stage.bytes);
		assert_int_equal(stage.got, stage.bytes);
		assert_int_equal(stage.torn, 0);
		assert_memory_equal(stage.pieces, stage.before,
				    sizeof(stage.pieces));
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_are_received_in_their_order),
		cmocka_unit_test(
			pieces_that_cannot_be_sent_are_told_with_nothing_done),
		cmocka_unit_test(
			no_piece_is_no_byte_and_any_number_is_sent_in_all),
		cmocka_unit_test(
			a_send_of_pieces_that_waits_can_be_ended_each_way),
		cmocka_unit_test(
			sending_all_pieces_that_is_stopped_tells_how_far_it_came),
		cmocka_unit_test(
			random_pieces_arrive_whole_through_tiny_buffers),
	};

	for (size_t i = 0; i < LARGE; i++)
		text[i] = (char)(i % 251);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
