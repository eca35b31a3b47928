/* SPDX-License-Identifier: MIT */
#include "support/hosts.h"

#include "base/list.h"
#include "rota/address.h"
#include "support/run.h"

#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct test_hosts *hosts_of(const struct ri_kernel *table)
{
	return ri_container(table, struct test_hosts, kernel.table);
}

static const struct test_host *find(const struct test_hosts *hosts,
				    const char *name)
{
	for (unsigned i = 0; i < hosts->count; i++)
		if (strcmp(hosts->list[i].name, name) == 0)
			return &hosts->list[i];
	return NULL;
}

/* One address, in one piece of memory. */
static struct addrinfo *make(const char *text)
{
	struct {
		struct addrinfo info;
		struct rota_address address;
	} *made = calloc(1, sizeof(*made));

	if (!made || rota_address_parse(&made->address, text, 0))
		abort();
	made->info.ai_family = made->address.any.sa_family;
	made->info.ai_addr = &made->address.any;
	made->info.ai_addrlen = made->address.bytes;
	return &made->info;
}

static struct addrinfo *make_all(const char *addresses, int family)
{
	struct addrinfo *first = NULL, **last = &first;
	char *text = strdup(addresses), *rest = text, *word;

	while ((word = strsep(&rest, " "))) {
		*last = make(word);
		if (!family || (*last)->ai_family == family) {
			last = &(*last)->ai_next;
			continue;
		}
		free(*last);
		*last = NULL;
	}
	free(text);
	return first;
}

static int resolve(const struct ri_kernel *table, struct ri_lookup *lookup)
{
	struct test_hosts *hosts = hosts_of(table);
	const struct test_host *host = find(hosts, lookup->host);

	atomic_store(&hosts->family, lookup->family);
	atomic_fetch_add(&hosts->asked, 1);
	if (!host)
		return EAI_NONAME;
	if (host->slow) {
		test_valve_pass(&hosts->valve);
		/* Who asked may be gone; what was asked must not be. */
		host = find(hosts, lookup->host);
	}
	lookup->error = host->error;
	if (host->result)
		return host->result;
	lookup->found = make_all(host->addresses, lookup->family);
	atomic_fetch_add(&hosts->answers, 1);
	return 0;
}

static void resolve_free(const struct ri_kernel *table, struct addrinfo *found)
{
	atomic_fetch_sub(&hosts_of(table)->answers, 1);
	while (found) {
		struct addrinfo *next = found->ai_next;

		free(found);
		found = next;
	}
}

void test_hosts_init(struct test_hosts *hosts)
{
	memset(hosts, 0, sizeof(*hosts));
	test_kernel_init(&hosts->kernel);
	hosts->kernel.table.resolve = resolve;
	hosts->kernel.table.resolve_free = resolve_free;
}

struct test_host *test_hosts_add(struct test_hosts *hosts, const char *name,
				 const char *addresses)
{
	struct test_host *host = &hosts->list[hosts->count++];

	if (hosts->count > TEST_HOSTS_MAX)
		abort();
	host->name = name;
	host->addresses = addresses;
	return host;
}

int test_hosts_run(struct test_hosts *hosts, struct test_log *log,
		   int (*fn)(void *), void *arg)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = log,
					    .offload_threads = 3 };
	const int result =
		test_run_with(&config, &hosts->kernel.table, fn, arg);

	assert_int_equal(test_kernel_left(&hosts->kernel), 0);
	assert_int_equal(atomic_load(&hosts->answers), 0);
	return result;
}
