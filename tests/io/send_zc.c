/* SPDX-License-Identifier: MIT */
/*
 * Sends out of the caller's memory; where that is of no use or cannot be done
 * they are plain sends. (How they end is in send_zc_ends.c.)
 */
#include "rota/rota.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/mask.h"
#include "support/pair.h"
#include "support/run.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TRIES 4 /* copied ones before it is not tried any more */

static char text[8];

/* What operations the kernel completed, and what is made of that. */
struct watch {
	struct test_kernel kernel;
	unsigned lent, plain; /* first completions of each kind */
	unsigned reports;     /* second ones */
	uint32_t report;      /* what the last of those said */
	int refusal;          /* what the lent ones say instead; or 0 */
	unsigned honest;      /* which report says that nothing was copied,
				  counted from 1; 0: none does */
	int pair[2];
	int codes[12];
	char bytes[64];
};

static bool is_second(const struct test_arrival *arrival)
{
	return arrival->flags & IORING_CQE_F_NOTIF;
}

/* Holds those whose words are changed. */
static bool watch_sends(void *context, const struct test_arrival *arrival)
{
	struct watch *watch = context;

	if (arrival->opcode == IORING_OP_SEND)
		watch->plain++;
	if (arrival->opcode != IORING_OP_SEND_ZC)
		return false;
	if (is_second(arrival)) {
		watch->report = (uint32_t)arrival->res;
		return ++watch->reports == watch->honest || watch->refusal;
	}
	watch->lent++;
	return watch->refusal;
}

/* The first of the two completions comes first. */
static void change_words(struct test_kernel *kernel, void *context)
{
	const struct watch *watch = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *held = test_kernel_held_at(kernel, 0);

		held->res = is_second(held) ? 0 : watch->refusal;
		test_kernel_release(kernel, 0);
	}
}

static void watch_run(struct watch *watch, int (*fn)(void *))
{
	memset(&watch->kernel, 0, sizeof(watch->kernel));
	test_kernel_init(&watch->kernel);
	watch->kernel.on_idle = change_words;
	watch->kernel.idle_context = watch;
	test_kernel_hold(&watch->kernel, watch_sends, watch);
	assert_int_equal(test_run_with(NULL, &watch->kernel.table, fn, watch),
			 0);
}

static void skip_if_masked(void)
{
	const char *mask = getenv("ROTA_MASK");

	if (mask && strstr(mask, "send_zc"))
		test_skip("ROTA_MASK: sends are never without a copy");
}

/* Sends a word and takes it from the other end. */
static int pass_word(struct watch *watch)
{
	const int sent = rota_send_zc(watch->pair[1], "word", 4, 0);

	if (sent != 4)
		return sent < 0 ? sent : -EIO;
	memset(watch->bytes, 0, 4);
	if (rota_recv(watch->pair[0], watch->bytes, 4, MSG_WAITALL) != 4)
		return -EIO;
	return memcmp(watch->bytes, "word", 4) ? -EBADMSG : 0;
}

static int pass_words(struct watch *watch, unsigned count)
{
	int error = 0;

	while (count-- && !error)
		error = pass_word(watch);
	return error;
}

/* Twice as many as it takes to find out, on one connection and, with the same
 * numbers, on the next. */
static int pass_on_two(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	watch->codes[0] = watch->pair[1];
	error |= pass_words(watch, 2 * TRIES);
	watch->codes[1] = (int)watch->lent;
	error |= test_pair_close(watch->pair);
	error |= test_pair_open_tcp(watch->pair, 0);
	watch->codes[2] = watch->pair[1];
	error |= pass_words(watch, 1);
	watch->codes[3] = (int)watch->lent;
	return error | test_pair_close(watch->pair);
}

static void what_is_copied_four_times_is_sent_plainly_until_closed(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_on_two);
	if (watch.report != 1u << 31)
		test_skip("this kernel does not tell what it copied");
	assert_int_equal(watch.codes[1], TRIES);
	assert_int_equal(watch.plain, TRIES);
	assert_int_equal(watch.codes[0], watch.codes[2]);
	assert_int_equal(watch.codes[3], TRIES + 1);
}

static int pass_many(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	error |= pass_words(watch, 4 * TRIES);
	return error | test_pair_close(watch->pair);
}

static void one_that_was_not_copied_begins_the_count_anew(void **state)
{
	struct watch watch = { .honest = TRIES - 1 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_many);
	if (watch.report != 1u << 31)
		test_skip("this kernel does not tell what it copied");
	assert_int_equal(watch.lent, 2 * TRIES - 1);
	assert_int_equal(watch.plain, 2 * TRIES + 1);
}

static void without_reports_it_is_never_given_up(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	setenv("ROTA_MASK", "zc_usage", 1);
	watch_run(&watch, pass_many);
	assert_int_equal(watch.lent, 4 * TRIES);
	assert_int_equal(watch.reports, 4 * TRIES);
	assert_int_equal(watch.plain, 0);
	assert_int_equal(watch.report, 0);
}

static void masked_they_are_plain_sends(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	setenv("ROTA_MASK", "send_zc", 1);
	watch_run(&watch, pass_many);
	assert_int_equal(watch.lent, 0);
	assert_int_equal(watch.plain, 4 * TRIES);
}

static int pass_by_unix(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open(watch->pair);

	error |= pass_words(watch, 3);
	return error | test_pair_close(watch->pair);
}

static void a_socket_that_has_no_such_thing_is_tried_once(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_by_unix);
	assert_int_equal(watch.lent, 1);
	assert_int_equal(watch.plain, 3);
}

/* The words that the kernel has sent all the same come first. */
static int send_without_memory(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	for (int i = 0; i < 2 * TRIES; i++)
		error |= rota_send_zc(watch->pair[1], "word", 4, 0) != 4;
	return error | test_pair_close(watch->pair);
}

static void without_memory_to_lock_it_is_sent_plainly_at_once(void **state)
{
	struct watch watch = { .refusal = -ENOMEM };

	(void)state;
	skip_if_masked();
	watch_run(&watch, send_without_memory);
	assert_int_equal(watch.lent, TRIES);
	assert_int_equal(watch.plain, 2 * TRIES);
}

static int lower_limit(void *arg)
{
	struct watch *watch = arg;
	const struct rlimit none = { 0 };
	int error = test_pair_open_tcp(watch->pair, 0);

	error |= setrlimit(RLIMIT_MEMLOCK, &none);
	error |= pass_words(watch, 2 * TRIES);
	return error | test_pair_close(watch->pair);
}

/* 0: it was as it should; 1: it was not; 2: it cannot be tried. */
static int be_poor(void *arg)
{
	struct watch *watch = arg;

	if (!geteuid() && setuid(65534))
		return 2;
	test_kernel_init(&watch->kernel);
	test_kernel_hold(&watch->kernel, watch_sends, watch);
	if (test_run_with(NULL, &watch->kernel.table, lower_limit, watch))
		return 1;
	if (watch->reports && watch->plain < TRIES)
		return 2; /* it may lock all the same */
	return watch->plain == 2 * TRIES && watch->lent == TRIES ? 0 : 1;
}

static void a_real_lack_of_memory_to_lock_is_not_noticed(void **state)
{
	struct watch watch = { .lent = 0 };
	struct test_child child;

	(void)state;
	skip_if_masked();
	test_child_run(&child, be_poor, &watch);
	if (child.status == 2)
		test_skip("memory can be locked without a limit here");
	assert_int_equal(child.status, 0);
}

static int refuse(void *arg)
{
	struct watch *watch = arg;
	struct rota_deadline deadline;
	int error = test_pair_open_tcp(watch->pair, 0), *codes = watch->codes;
	const int fd = watch->pair[1];

	codes[0] = rota_send_zc(fd, text, (size_t)INT_MAX + 1, 0);
	codes[1] = rota_send_zc(-1, text, 1, 0);
	codes[2] = rota_send_zc(fd, NULL, 1, 0);
	rota_deadline_begin(&deadline, 0);
	codes[3] = rota_send_zc(fd, text, 1, 0);
	rota_deadline_end(&deadline);
	codes[4] = rota_send_zc(fd, text, 0, 0);
	error |= test_pair_close(watch->pair);
	codes[5] = rota_send_zc(fd, text, 1, 0);
	return error;
}

static void what_cannot_be_sent_is_refused_as_by_a_plain_send(void **state)
{
	static const int expected[] = { -EINVAL, -EBADF, -EFAULT,
					-ETIME,  0,      -EBADF };
	struct watch watch = { .lent = 0 };

	(void)state;
	watch_run(&watch, refuse);
	for (int i = 0; i < 6; i++)
		assert_int_equal(watch.codes[i], expected[i]);
}

#define MASKING(test) \
	cmocka_unit_test_setup_teardown(test, test_mask_keep, test_mask_restore)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_copied_four_times_is_sent_plainly_until_closed),
		cmocka_unit_test(one_that_was_not_copied_begins_the_count_anew),
		MASKING(without_reports_it_is_never_given_up),
		MASKING(masked_they_are_plain_sends),
		cmocka_unit_test(a_socket_that_has_no_such_thing_is_tried_once),
		cmocka_unit_test(
			without_memory_to_lock_it_is_sent_plainly_at_once),
		cmocka_unit_test(a_real_lack_of_memory_to_lock_is_not_noticed),
		cmocka_unit_test(
			what_cannot_be_sent_is_refused_as_by_a_plain_send),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
