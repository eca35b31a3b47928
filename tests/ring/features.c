/* SPDX-License-Identifier: MIT */
#include "ring/features.h"

#include "ring/linux.h"
#include "ring/ring.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/mask.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void masks(const char *words, unsigned expected)
{
	const struct ri_log log = { 0 };
	unsigned mask = 99;

	setenv("ROTA_MASK", words, 1);
	assert_int_equal(ri_features_masked(&log, &mask), 0);
	assert_int_equal(mask, expected);
}

static void each_word_masks_one_feature(void **state)
{
	(void)state;
	masks("", 0);
	masks("abs_timer", RI_FEATURE_ABS_TIMER);
	masks("no_iowait", RI_FEATURE_NO_IOWAIT);
	masks("guard", RI_FEATURE_GUARD);
	masks("guard,abs_timer", RI_FEATURE_GUARD | RI_FEATURE_ABS_TIMER);
	masks("futex", RI_FEATURE_FUTEX);
	masks("waitid", RI_FEATURE_WAITID);
	masks("ftruncate", RI_FEATURE_FTRUNCATE);
	masks("send_zc", RI_FEATURE_SEND_ZC);
	masks("zc_usage", RI_FEATURE_ZC_USAGE);
	masks("ring_message", RI_FEATURE_RING_MESSAGE);
	masks("abs_timer,no_iowait,guard,futex,waitid,ftruncate,send_zc,"
	      "zc_usage,ring_message",
	      511);
}

static void without_the_variable_nothing_is_masked(void **state)
{
	const struct ri_log log = { 0 };
	unsigned mask = 99;

	(void)state;
	unsetenv("ROTA_MASK");
	assert_int_equal(ri_features_masked(&log, &mask), 0);
	assert_int_equal(mask, 0);
}

static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void an_unknown_word_is_an_error_that_lists_the_words(void **state)
{
	static const char *const unknown[] = {
		"turbo", "guards", "guar", "guard,turbo", "guard abs_timer", ","
	};
	const char words[] =
		"is unknown; the words are abs_timer, no_iowait, "
		"guard, futex, waitid, ftruncate, send_zc, zc_usage, "
		"ring_message\n";

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		struct test_log log = { 0 };
		const struct rota_config config = { .log = test_log_write,
						    .context = &log };

		setenv("ROTA_MASK", unknown[i], 1);
		assert_int_equal(test_run_with(&config, NULL, nothing, NULL),
				 -EINVAL);
		assert_int_equal(log.lines, 1);
		assert_memory_equal(log.text, "ROTA_MASK: '", 12);
		assert_string_equal(log.text + strlen(log.text) - strlen(words),
				    words);
	}
}

static unsigned features_of(const struct ri_kernel *kernel, unsigned masked)
{
	const struct ri_ring_options options = { .masked = masked };
	const struct ri_log log = { 0 };
	struct ri_ring ring;
	unsigned features;

	assert_int_equal(ri_ring_open(&ring, kernel, &log, &options), 0);
	features = ring.features;
	ri_ring_close(&ring);
	return features;
}

static void a_masked_feature_is_not_used(void **state)
{
	const unsigned all = features_of(&ri_kernel_linux, 0);

	(void)state;
	for (unsigned masked = 0; masked < 256; masked++)
		assert_int_equal(features_of(&ri_kernel_linux, masked),
				 all & ~masked);
	if (!all)
		test_skip("this kernel has nothing that could be masked");
}

/* On a kernel that does not know the flag of absolute waits. */
static void a_flag_that_the_kernel_refuses_is_not_used(void **state)
{
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_fail(&kernel, &(struct test_fault){ .call = TEST_ENTER,
							.error = -EINVAL });
	assert_int_equal(features_of(&kernel.table, 0) & RI_FEATURE_ABS_TIMER,
			 0);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

/* A kernel without the probe has none of what it tells of. */
static void without_a_probe_no_operation_is_used(void **state)
{
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_fail(&kernel,
			 &(struct test_fault){ .call = TEST_ENROLL,
					       .detail = IORING_REGISTER_PROBE,
					       .error = -EINVAL });
	assert_int_equal(features_of(&kernel.table, 0) &
				 (RI_FEATURE_FUTEX | RI_FEATURE_WAITID |
				  RI_FEATURE_FTRUNCATE),
			 0);
}

/* A kernel that lacks one operation. */
static int lacking;

static int enroll_lacking(const struct ri_kernel *table, int fd,
			  unsigned opcode, void *argument, unsigned count)
{
	struct io_uring_probe *probe = argument;
	const int result = ri_kernel_linux.enroll(&ri_kernel_linux, fd, opcode,
						  argument, count);

	(void)table;
	if (opcode == IORING_REGISTER_PROBE)
		probe->ops[lacking].flags = 0;
	return result;
}

static void an_operation_that_lacks_is_the_one_not_used(void **state)
{
	static const struct {
		int opcode;
		unsigned feature;
	} lacks[] = {
		{ RI_OP_WAITID, RI_FEATURE_WAITID },
		{ RI_OP_FUTEX_WAIT, RI_FEATURE_FUTEX },
		{ RI_OP_FTRUNCATE, RI_FEATURE_FTRUNCATE },
	};
	const unsigned all = features_of(&ri_kernel_linux, 0);
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	kernel.table.enroll = enroll_lacking;
	for (int i = 0; i < 3; i++) {
		lacking = lacks[i].opcode;
		assert_int_equal(features_of(&kernel.table, 0),
				 all & ~lacks[i].feature);
	}
}

/* How long a wait of 20 ms takes, and a wait whose deadline is past. */
static void wait_really(unsigned masked)
{
	const struct ri_ring_options options = { .masked = masked };
	const struct ri_log log = { 0 };
	const int64_t wait_ns = 20 * ROTA_MILLISECOND;
	struct ri_ring ring;
	int64_t begun_ns;

	assert_int_equal(ri_ring_open(&ring, &ri_kernel_linux, &log, &options),
			 0);
	begun_ns = rota_now_ns();
	assert_int_equal(ri_ring_enter(&ring, true, begun_ns + wait_ns), 0);
	assert_true(rota_now_ns() - begun_ns >= wait_ns);
	assert_true(rota_now_ns() - begun_ns < 100 * wait_ns);
	begun_ns = rota_now_ns();
	assert_int_equal(ri_ring_enter(&ring, true, begun_ns - ROTA_SECOND), 0);
	assert_int_equal(ri_ring_enter(&ring, true, 0), 0);
	assert_true(rota_now_ns() - begun_ns < 100 * wait_ns);
	ri_ring_close(&ring);
}

static void waits_end_in_time_by_every_mask(void **state)
{
	(void)state;
	for (unsigned masked = 0; masked < 4; masked++)
		wait_really(masked);
}

#define CASE(name) \
	cmocka_unit_test_setup_teardown(name, test_mask_keep, test_mask_restore)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_word_masks_one_feature),
		CASE(without_the_variable_nothing_is_masked),
		CASE(an_unknown_word_is_an_error_that_lists_the_words),
		CASE(a_masked_feature_is_not_used),
		CASE(a_flag_that_the_kernel_refuses_is_not_used),
		CASE(without_a_probe_no_operation_is_used),
		CASE(an_operation_that_lacks_is_the_one_not_used),
		CASE(waits_end_in_time_by_every_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
