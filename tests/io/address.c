/* SPDX-License-Identifier: MIT */
#include "rota/address.h"

#include "rota/rota.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Read and written again: the same, or what `written` says. */
static void expect(const char *text, const char *written)
{
	struct rota_address address;
	char again[160];

	assert_int_equal(rota_address_parse(&address, text, 80), 0);
	assert_int_equal(rota_address_print(&address, again, sizeof(again)),
			 strlen(written));
	assert_string_equal(again, written);
	/* It fits in just its length and an end. */
	assert_int_equal(rota_address_print(&address, again, strlen(written)),
			 -ENOSPC);
	assert_int_equal(rota_address_print(&address, again,
					    strlen(written) + 1),
			 strlen(written));
	assert_int_equal(rota_address_print(&address, NULL, 0), -ENOSPC);
}

static void what_is_read_is_written(void **state)
{
	char scoped[64], name[IF_NAMESIZE];

	(void)state;
	expect("127.0.0.1", "127.0.0.1:80");
	expect("::1", "[::1]:80");
	expect("[2001:DB8::1]", "[2001:db8::1]:80");
	expect("::ffff:1.2.3.4", "[::ffff:1.2.3.4]:80");
	expect("fe80::1%7", "[fe80::1%7]:80");
	expect("[fe80::1%2147483647]", "[fe80::1%2147483647]:80");
	expect("unix:/tmp/x", "unix:/tmp/x");
	expect("unix:@name", "unix:@name");
	expect("unix:./@name", "unix:./@name");
	if (!if_indextoname(1, name))
		return;
	snprintf(scoped, sizeof(scoped), "fe80::1%%%s", name);
	expect(scoped, "[fe80::1%1]:80");
}

static void what_is_no_address_is_refused(void **state)
{
	static const struct {
		const char *text;
		int error;
	} wrong[] = {
		{ "", -EINVAL },
		{ "localhost", -EINVAL },
		{ "127.0.0.1%1", -EINVAL },
		{ "fe80::1%", -EINVAL },
		{ "fe80::1%0", -EINVAL },
		{ "fe80::1%1x", -EINVAL },
		{ "fe80::1%99999999999999999999", -EINVAL },
		{ "fe80::1%2147483648", -EINVAL },
		{ "fe80::1%-1", -ENODEV },
		{ "fe80::1%no-such-thing", -ENODEV },
		{ "fe80::1%a-name-that-is-too-long-for-one", -ENODEV },
		{ "%lo", -EINVAL },
		{ "unix:", -EINVAL },
		{ "unix:@", -EINVAL },
	};
	struct rota_address address;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		if (rota_address_parse(&address, wrong[i].text, 1) !=
		    wrong[i].error)
			fail_msg("'%s'", wrong[i].text);
	assert_int_equal(rota_address_parse(&address, NULL, 1), -EINVAL);
}

static void paths_and_names_have_107_bytes_at_most(void **state)
{
	struct rota_address address;
	char text[128] = "unix:";

	(void)state;
	for (int i = 0; i < 2; i++) {
		memset(text + 5, 'x', 108);
		text[5] = i ? '@' : '/';
		text[5 + 107] = '\0';
		expect(text, text);
		memset(text + 5 + 107, 'x', 2);
		text[5 + 108] = '\0';
		assert_int_equal(rota_address_parse(&address, text, 0),
				 -EINVAL);
	}
}

static void only_as_much_as_counts_is_written(void **state)
{
	struct rota_address address = { .local = { .sun_family = AF_UNIX } };
	char text[160];

	(void)state;
	memset(address.local.sun_path, 'x', sizeof(address.local.sun_path));
	address.bytes = sizeof(sa_family_t);
	assert_int_equal(rota_address_print(&address, text, sizeof(text)), 5);
	assert_string_equal(text, "unix:");
	address.bytes = sizeof(sa_family_t) + 3;
	assert_int_equal(rota_address_print(&address, text, sizeof(text)), 8);
	assert_string_equal(text, "unix:xxx");
	address.local.sun_path[0] = '\0';
	assert_int_equal(rota_address_print(&address, text, sizeof(text)), 8);
	assert_string_equal(text, "unix:@xx");
	address.local.sun_path[0] = 'x';
	/* As long as the kernel makes them: without an end. */
	address.bytes = sizeof(address.local) + 1;
	assert_int_equal(rota_address_print(&address, text, sizeof(text)),
			 5 + 108);
	address.bytes = 0;
	assert_int_equal(rota_address_print(&address, text, sizeof(text)),
			 -EAFNOSUPPORT);
	address.any.sa_family = AF_NETLINK;
	address.bytes = 12;
	assert_int_equal(rota_address_print(&address, text, sizeof(text)),
			 -EAFNOSUPPORT);
}

static void the_port_and_the_length_are_right(void **state)
{
	struct rota_address address;

	(void)state;
	assert_int_equal(rota_address_parse(&address, "10.0.0.1", 65535), 0);
	assert_int_equal(ntohs(address.v4.sin_port), 65535);
	assert_int_equal(address.bytes, sizeof(struct sockaddr_in));
	assert_int_equal(rota_address_parse(&address, "::", 0), 0);
	assert_int_equal(address.v6.sin6_port, 0);
	assert_int_equal(address.bytes, sizeof(struct sockaddr_in6));
	assert_int_equal(address.v6.sin6_scope_id, 0);
	/* A path counts with its end, an abstract name without. */
	assert_int_equal(rota_address_parse(&address, "unix:path", 0), 0);
	assert_int_equal(address.bytes, sizeof(sa_family_t) + 5);
	assert_int_equal(rota_address_parse(&address, "unix:@name", 0), 0);
	assert_int_equal(address.bytes, sizeof(sa_family_t) + 5);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_read_is_written),
		cmocka_unit_test(what_is_no_address_is_refused),
		cmocka_unit_test(paths_and_names_have_107_bytes_at_most),
		cmocka_unit_test(only_as_much_as_counts_is_written),
		cmocka_unit_test(the_port_and_the_length_are_right),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
