/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses: what is found, in which order, and what is told where
 * nothing is.
 */
#include "cores/offload.h"
#include "rota/rota.h"
#include "support/hosts.h"
#include "support/log.h"
#include "support/run.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ADDRESSES 6
#define HUNDREDS 300

struct seen {
	struct test_hosts hosts;
	struct test_log log;
	const char *name;
	struct rota_resolve_options options;
	struct rota_address list[ADDRESSES];
	unsigned max;
	int result;
	char text[512];   /* the addresses, as text */
	unsigned threads; /* started for it */
};

static struct seen *new_seen(const char *addresses)
{
	static struct seen seen;

	memset(&seen, 0, sizeof(seen));
	test_hosts_init(&seen.hosts);
	seen.name = "a.test";
	seen.max = ADDRESSES;
	if (addresses)
		test_hosts_add(&seen.hosts, "a.test", addresses);
	return &seen;
}

static int ask(void *arg)
{
	struct seen *seen = arg;

	seen->result =
		rota_resolve(seen->name, &seen->options, seen->list, seen->max);
	seen->threads = ri_tasks_here()->offload->threads;
	return 0;
}

static int run(struct seen *seen, int (*fn)(void *))
{
	return test_hosts_run(&seen->hosts, &seen->log, fn, seen);
}

/* What rota_resolve returned. */
static int resolve(struct seen *seen)
{
	unsigned count;

	assert_int_equal(run(seen, ask), 0);
	count = seen->result < 0 ? 0 : (unsigned)seen->result;
	for (unsigned i = 0; i < count && i < seen->max; i++) {
		const size_t length = strlen(seen->text);

		assert_true(
			rota_address_print(&seen->list[i], seen->text + length,
					   sizeof(seen->text) - length) > 0);
		strcat(seen->text, " ");
	}
	return seen->result;
}

static void every_address_of_a_name_is_told_with_the_port(void **state)
{
	struct seen *seen = new_seen("2001:db8::1 2001:db8::2 192.0.2.1");

	(void)state;
	seen->options.port = 80;
	assert_int_equal(resolve(seen), 3);
	assert_string_equal(seen->text, "[2001:db8::1]:80 [2001:db8::2]:80 "
					"192.0.2.1:80 ");
	assert_int_equal(seen->threads, 1);
	assert_int_equal(atomic_load(&seen->hosts.family), AF_UNSPEC);
}

static void families_take_turns_if_they_are_to(void **state)
{
	struct seen *seen = new_seen("::1 ::2 ::3 1.1.1.1 2.2.2.2");

	(void)state;
	seen->options.alternate = true;
	assert_int_equal(resolve(seen), 5);
	assert_string_equal(seen->text, "[::1]:0 1.1.1.1:0 [::2]:0 2.2.2.2:0 "
					"[::3]:0 ");
}

static void the_family_that_comes_first_stays_first(void **state)
{
	struct seen *seen = new_seen("1.1.1.1 ::1 2.2.2.2 3.3.3.3");

	(void)state;
	seen->options.alternate = true;
	assert_int_equal(resolve(seen), 4);
	assert_string_equal(seen->text,
			    "1.1.1.1:0 [::1]:0 2.2.2.2:0 3.3.3.3:0 ");
}

static void one_family_may_be_asked_for(void **state)
{
	struct seen *seen = new_seen("::1 1.1.1.1");

	(void)state;
	seen->options.family = AF_INET;
	assert_int_equal(resolve(seen), 1);
	assert_string_equal(seen->text, "1.1.1.1:0 ");
	assert_int_equal(atomic_load(&seen->hosts.family), AF_INET);
}

/* "10.0.0.1 10.0.0.2 ... 10.0.1.44", then one of the other family. */
static const char *hundreds(void)
{
	static char text[HUNDREDS * 12 + 4];
	size_t length = 0;

	for (unsigned i = 1; i < HUNDREDS; i++)
		length += (size_t)snprintf(text + length, sizeof(text) - length,
					   "10.0.%u.%u ", i / 256, i % 256);
	snprintf(text + length, sizeof(text) - length, "::1");
	return text;
}

static void more_than_there_is_room_for_are_counted(void **state)
{
	struct seen *seen = new_seen(hundreds());

	(void)state;
	seen->max = 2;
	memset(&seen->list[2], 0x5a, sizeof(seen->list[2]));
	assert_int_equal(resolve(seen), HUNDREDS);
	assert_string_equal(seen->text, "10.0.0.1:0 10.0.0.2:0 ");
	assert_int_equal(seen->list[2].bytes, 0x5a5a5a5a);
}

static void without_room_they_are_only_counted(void **state)
{
	struct seen *seen = new_seen(hundreds());

	(void)state;
	seen->max = 0;
	assert_int_equal(resolve(seen), HUNDREDS);
}

static void both_families_are_among_those_that_there_is_room_for(void **state)
{
	struct seen *seen = new_seen(hundreds());

	(void)state;
	seen->options.alternate = true;
	seen->max = 3;
	assert_int_equal(resolve(seen), HUNDREDS);
	assert_string_equal(seen->text, "10.0.0.1:0 [::1]:0 10.0.0.2:0 ");
}

static void each_way_to_fail_is_an_error_of_its_own(void **state)
{
	static const int table[][3] = {
		{ EAI_NONAME, 0, -ENOENT },
		{ EAI_NODATA, 0, -ENODATA },
		{ EAI_ADDRFAMILY, 0, -ENODATA },
		{ EAI_AGAIN, 0, -ECOMM },
		{ EAI_FAIL, 0, -EREMOTEIO },
		{ EAI_FAMILY, 0, -EAFNOSUPPORT },
		{ EAI_MEMORY, 0, -ENOMEM },
		{ EAI_OVERFLOW, 0, -EOVERFLOW },
		{ EAI_SYSTEM, -EMFILE, -EMFILE },
		{ EAI_SYSTEM, 0, -EIO },
		{ EAI_BADFLAGS, -EMFILE, -EIO },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct seen *seen = new_seen("::1");

		seen->hosts.list[0].result = table[i][0];
		seen->hosts.list[0].error = table[i][1];
		assert_int_equal(resolve(seen), table[i][2]);
	}
	assert_int_equal(resolve(new_seen(NULL)), -ENOENT);
}

static void an_answer_without_addresses_is_no_data(void **state)
{
	struct seen *seen = new_seen("::1");

	(void)state;
	seen->options.family = AF_INET;
	assert_int_equal(resolve(seen), -ENODATA);
}

static void a_literal_takes_no_thread(void **state)
{
	static const char *const literals[][2] = {
		{ "127.0.0.1", "127.0.0.1:7 " },
		{ "[::1]", "[::1]:7 " },
		{ "unix:@rota", "unix:@rota " },
	};

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct seen *seen = new_seen(NULL);

		seen->name = literals[i][0];
		seen->options.port = 7;
		assert_int_equal(resolve(seen), 1);
		assert_string_equal(seen->text, literals[i][1]);
		assert_int_equal(seen->threads, 0);
		assert_int_equal(atomic_load(&seen->hosts.asked), 0);
	}
}

static void a_literal_of_another_family_is_no_data(void **state)
{
	struct seen *seen = new_seen(NULL);

	(void)state;
	seen->name = "::1";
	seen->options.family = AF_INET;
	assert_int_equal(resolve(seen), -ENODATA);
	seen->options.family = AF_UNIX;
	assert_int_equal(resolve(seen), -EAFNOSUPPORT);
	assert_int_equal(atomic_load(&seen->hosts.asked), 0);
}

static const char *const no_names[] = {
	"",           ".",         "a..b",      ".a",
	"a b",        "a/b",       "a:1",       "127.1",
	"0x7f.0x1",   "a.12.",     "1.2.3.4.5", "b\xc3\xa4r",
	"2130706433", "256.0.0.1", "::g",       "fe80::1%",
};

static void what_is_no_name_is_not_looked_up(void **state)
{
	struct seen *seen = new_seen(NULL);
	char text[255];

	(void)state;
	for (size_t i = 0; i < sizeof(no_names) / sizeof(no_names[0]); i++) {
		seen->name = no_names[i];
		assert_int_equal(resolve(seen), -EINVAL);
	}
	seen->name = NULL;
	assert_int_equal(resolve(seen), -EINVAL);
	memset(text, 'a', sizeof(text));
	text[254] = '\0';
	seen->name = text;
	assert_int_equal(resolve(seen), -EINVAL);
	seen->name = "::1%nowhere";
	assert_int_equal(resolve(seen), -ENODEV);
	assert_int_equal(atomic_load(&seen->hosts.asked), 0);
}

static void a_name_has_253_bytes_at_most(void **state)
{
	struct seen *seen = new_seen(NULL);
	char text[254];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[253] = '\0';
	seen->name = text;
	test_hosts_add(&seen->hosts, text, "::1");
	assert_int_equal(resolve(seen), 1);
	seen->name = "a.3com.x-1_y.";
	assert_int_equal(resolve(seen), -ENOENT);
}

/* By the real getaddrinfo, without a network. */
static int ask_localhost(void *arg)
{
	struct seen *seen = arg;

	seen->options.port = 9;
	seen->options.family = AF_INET;
	seen->name = "localhost";
	return ask(arg);
}

static void localhost_is_this_machine(void **state)
{
	struct seen *seen = new_seen(NULL);

	(void)state;
	assert_int_equal(test_run(ask_localhost, seen), 0);
	assert_true(seen->result >= 1);
	assert_int_equal(seen->list[0].v4.sin_addr.s_addr,
			 htonl(INADDR_LOOPBACK));
	assert_int_equal(seen->list[0].v4.sin_port, htons(9));
	assert_int_equal(seen->list[0].bytes, sizeof(seen->list[0].v4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_address_of_a_name_is_told_with_the_port),
		cmocka_unit_test(families_take_turns_if_they_are_to),
		cmocka_unit_test(the_family_that_comes_first_stays_first),
		cmocka_unit_test(one_family_may_be_asked_for),
		cmocka_unit_test(more_than_there_is_room_for_are_counted),
		cmocka_unit_test(without_room_they_are_only_counted),
		cmocka_unit_test(
			both_families_are_among_those_that_there_is_room_for),
		cmocka_unit_test(each_way_to_fail_is_an_error_of_its_own),
		cmocka_unit_test(an_answer_without_addresses_is_no_data),
		cmocka_unit_test(a_literal_takes_no_thread),
		cmocka_unit_test(a_literal_of_another_family_is_no_data),
		cmocka_unit_test(what_is_no_name_is_not_looked_up),
		cmocka_unit_test(a_name_has_253_bytes_at_most),
		cmocka_unit_test(localhost_is_this_machine),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
