/* SPDX-License-Identifier: MIT */
/*
 * The idle time of a member that sleeps while there is no buffer for what its
 * peer sends: the loop has two, and both are kept. Under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/log.h"
#include "support/served.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define IDLE_NS (10 * ROTA_MILLISECOND)
#define BUFFERS 2

struct seen {
	struct rota_group group;
	struct test_served served;
	struct test_served other; /* whose views are kept */
	unsigned sent;            /* bytes to who sleeps, meanwhile */
	int64_t kept_ns;          /* how long the views are kept; 0: until the
				     group has ended */
	int64_t told_ns; /* when it was told something, from the start */
};

/* Copies, when it is woken: there is no buffer for it. */
static int take_copy(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	char bytes[16];
	const int n = rota_stream_recv(stream, bytes, sizeof(bytes));

	served->calls++;
	if (n > 0) {
		served->bytes += (unsigned)n;
		return 0;
	}
	served->codes[served->told] = n;
	served->times_ns[served->told++] = rota_now_ns();
	test_served_close(served);
	return 0;
}

/* Takes all buffers. */
static int keep(struct test_served *other, struct rota_view views[BUFFERS])
{
	int error = test_served_open(other);

	for (int i = 0; i < BUFFERS; i++) {
		error |= test_served_give(other, 4096);
		error |= rota_stream_view(&other->stream, &views[i]) <= 0;
		rota_view_keep(&other->stream, &views[i]);
	}
	return error;
}

static int release(struct test_served *other, struct rota_view views[BUFFERS])
{
	for (int i = 0; i < BUFFERS; i++)
		rota_view_release(&views[i]);
	test_served_close(other);
	return 0;
}

static int hunger(void *arg)
{
	struct seen *seen = arg;
	struct rota_view views[BUFFERS];
	int error = keep(&seen->other, views);

	rota_group_open(&seen->group, NULL);
	error |= test_served_open(&seen->served);
	error |= rota_stream_serve(&seen->group, &seen->served.stream,
				   take_copy, &seen->served);
	error |= test_settle();
	error |= test_served_give(&seen->served, seen->sent);
	if (seen->kept_ns) {
		error |= rota_sleep(seen->kept_ns);
		error |= release(&seen->other, views);
	}
	error |= rota_group_wait(&seen->group);
	if (!seen->kept_ns)
		error |= release(&seen->other, views);
	seen->told_ns = seen->served.times_ns[0] - TEST_START_NS;
	return error;
}

static void run(struct seen *seen)
{
	const struct rota_config config = { .log = test_log_nothing,
					    .stream_buffers = BUFFERS };

	assert_int_equal(test_run_timed_with(&config, NULL, hunger, seen), 0);
	assert_int_equal(seen->served.told, 1);
	assert_int_equal(seen->served.codes[0], -ETIME);
}

static void whose_peer_is_silent_is_told(void **state)
{
	/* Before it is told that streams wait for buffers, and after. */
	static const int64_t idle_ns[] = { IDLE_NS, 3 * ROTA_SECOND };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct seen seen = { .served = { .idle_ns = idle_ns[i] } };

		run(&seen);
		assert_int_equal(seen.told_ns, idle_ns[i]);
	}
}

static void who_is_short_of_a_buffer_for_what_came_is_not_idle(void **state)
{
	struct seen seen = { .served = { .idle_ns = IDLE_NS },
			     .sent = 5,
			     .kept_ns = 3 * IDLE_NS };

	(void)state;
	run(&seen);
	assert_int_equal(seen.served.bytes, 5);
	assert_true(seen.told_ns > seen.kept_ns + IDLE_NS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(whose_peer_is_silent_is_told),
		cmocka_unit_test(
			who_is_short_of_a_buffer_for_what_came_is_not_idle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
