/* SPDX-License-Identifier: MIT */
/*
 * Accepting, and all that can come instead of a connection. The refusals that
 * are hard to get are put into the completions, under a clock of the test's.
 */
#include "rota/rota.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define START_NS (1000 * ROTA_SECOND)

struct stage {
	struct test_kernel kernel;
	struct test_log log;
	struct rota_group group;
	struct sockaddr_un address; /* an abstract one, of the kernel's choice */
	socklen_t bytes;
	int listener;
	int client;
	int accepted;
	int refusal;       /* what accepts say in place of their result */
	unsigned refusals; /* how many do */
	unsigned accepts;  /* completions of them */
	int64_t woken_ns;  /* the clock when the connection was there */
	struct rota_address from;
	int codes[4];
};

static int open_listener(struct stage *stage)
{
	stage->address.sun_family = AF_UNIX;
	stage->bytes = sizeof(stage->address);
	stage->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	stage->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(stage->listener, (struct sockaddr *)&stage->address,
		 sizeof(sa_family_t)) ||
	    listen(stage->listener, 5) ||
	    getsockname(stage->listener, (struct sockaddr *)&stage->address,
			&stage->bytes))
		return -errno;
	return 0;
}

static int connect_client(struct stage *stage)
{
	return connect(stage->client, (struct sockaddr *)&stage->address,
		       stage->bytes)
		       ? -errno
		       : 0;
}

static int close_all(struct stage *stage)
{
	int error = rota_close(stage->client);

	if (stage->listener >= 0)
		error |= rota_close(stage->listener);
	if (stage->accepted >= 0)
		error |= rota_close(stage->accepted);
	return error;
}

/* Puts the refusal in the place of a connection, which is gone then: the
 * client has to come again. */
static bool refuse_accepts(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode == IORING_OP_ACCEPT;
}

static void release_accepts(struct test_kernel *kernel, void *context)
{
	struct stage *stage = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *arrival = test_kernel_held_at(kernel, 0);

		stage->accepts++;
		if (stage->refusals && arrival->res >= 0) {
			stage->refusals--;
			close(arrival->res);
			arrival->res = stage->refusal;
			close(stage->client);
			stage->client =
				socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
			connect_client(stage);
		}
		test_kernel_release(kernel, 0);
	}
}

static int run_refusing(struct stage *stage, int (*fn)(void *))
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &stage->log };
	const unsigned before = test_process_descriptors();
	int result;

	stage->accepted = -1;
	test_kernel_init(&stage->kernel);
	test_kernel_clock(&stage->kernel, START_NS);
	test_kernel_hold(&stage->kernel, refuse_accepts, NULL);
	stage->kernel.on_idle = release_accepts;
	stage->kernel.idle_context = stage;
	result = test_run_with(&config, &stage->kernel.table, fn, stage);
	assert_int_equal(test_process_descriptors(), before);
	return result;
}

static int accept_client(void *arg)
{
	struct stage *stage = arg;
	int error = open_listener(stage);

	error |= connect_client(stage);
	stage->accepted = rota_accept(stage->listener);
	stage->woken_ns = rota_now_ns();
	stage->codes[0] = fcntl(stage->accepted, F_GETFD);
	return error | close_all(stage);
}

static void a_connection_is_accepted_close_on_exec(void **state)
{
	struct stage stage = { .refusals = 0 };

	(void)state;
	assert_int_equal(run_refusing(&stage, accept_client), 0);
	assert_true(stage.accepted >= 0);
	assert_int_equal(stage.codes[0], FD_CLOEXEC);
}

static void connections_that_failed_are_passed_over(void **state)
{
	static const int refusals[] = { -ECONNABORTED, -ENETDOWN,   -EPROTO,
					-ENOPROTOOPT,  -EHOSTDOWN,  -ENONET,
					-EHOSTUNREACH, -ENETUNREACH };

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct stage stage = { .refusal = refusals[i], .refusals = 3 };

		assert_int_equal(run_refusing(&stage, accept_client), 0);
		assert_true(stage.accepted >= 0);
		assert_int_equal(stage.accepts, 4);
		assert_int_equal(stage.woken_ns, START_NS);
		assert_int_equal(stage.log.lines, 0);
	}
}

static void what_will_not_get_better_is_told(void **state)
{
	static const int refusals[] = { -EOPNOTSUPP, -EINVAL, -EPERM, -ENOTSOCK,
					-ETIMEDOUT,  -EAGAIN, -EINTR, -EBADF };

	(void)state;
	for (int i = 0; i < 8; i++) {
		struct stage stage = { .refusal = refusals[i], .refusals = 1 };

		assert_int_equal(run_refusing(&stage, accept_client), 0);
		assert_int_equal(stage.accepted, refusals[i]);
		assert_int_equal(stage.accepts, 1);
		assert_int_equal(stage.log.lines, 0);
	}
}

static void
without_a_descriptor_or_memory_it_looks_again_every_10_ms(void **state)
{
	static const int refusals[] = { -EMFILE, -ENFILE, -ENOMEM, -ENOBUFS };
	static const char *const names[] = { "(EMFILE", "(ENFILE", "(ENOMEM",
					     "(ENOBUFS" };

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct stage stage = { .refusal = refusals[i], .refusals = 3 };

		assert_int_equal(run_refusing(&stage, accept_client), 0);
		assert_true(stage.accepted >= 0);
		assert_int_equal(stage.accepts, 4);
		assert_int_equal(stage.woken_ns,
				 START_NS + 30 * ROTA_MILLISECOND);
		assert_int_equal(stage.log.lines, 1);
		assert_true(test_log_has(&stage.log, names[i]));
		assert_int_equal(test_log_has(&stage.log, "RLIMIT_NOFILE"),
				 i < 2);
		assert_int_equal(test_log_has(&stage.log, "no memory"), i >= 2);
	}
}

static void it_tells_so_once_a_second(void **state)
{
	static const int refusals[] = { -EMFILE, -ENOMEM };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct stage stage = { .refusal = refusals[i],
				       .refusals = 250 };

		assert_int_equal(run_refusing(&stage, accept_client), 0);
		assert_int_equal(stage.accepts, 251);
		assert_int_equal(stage.log.lines, 3);
	}
}

static int accept_named(void *arg)
{
	static const char name[] = "rota-accept";
	struct sockaddr_un here = { .sun_family = AF_UNIX };
	struct stage *stage = arg;
	int error = open_listener(stage);

	/* An abstract name for the client, with this process's number. */
	snprintf(here.sun_path + 1, sizeof(here.sun_path) - 1, "%s-%d", name,
		 (int)getpid());
	stage->codes[0] =
		bind(stage->client, (struct sockaddr *)&here, sizeof(here));
	error |= connect_client(stage);
	stage->accepted = rota_accept_from(stage->listener, &stage->from);
	stage->codes[1] = stage->from.bytes == sizeof(here) &&
			  !memcmp(&stage->from.any, &here, sizeof(here));
	return error | close_all(stage);
}

static void an_accept_tells_who_came(void **state)
{
	struct stage stage = { .codes = { 1 } };

	(void)state;
	assert_int_equal(run_refusing(&stage, accept_named), 0);
	assert_int_equal(stage.codes[0], 0);
	assert_int_equal(stage.codes[1], 1);
	/* The client that comes again has no name: what was told before it
	 * is not told of it. */
	stage = (struct stage){ .refusal = -EPROTO, .refusals = 1 };
	assert_int_equal(run_refusing(&stage, accept_named), 0);
	assert_int_equal(stage.accepts, 2);
	assert_int_equal(stage.from.bytes, sizeof(sa_family_t));
}

static int accept_it(void *value)
{
	struct stage *stage = *(struct stage **)value;

	stage->accepted = rota_accept(stage->listener);
	stage->woken_ns = rota_now_ns();
	return 0;
}

static int close_one(void *arg)
{
	struct stage *stage = arg;
	int error = open_listener(stage) | connect_client(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, accept_it, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	stage->codes[0] = stage->accepted;
	error |= rota_close(dup(stage->client));
	error |= rota_group_wait(&stage->group);
	return error | close_all(stage);
}

static void the_loop_closing_a_descriptor_wakes_it_at_once(void **state)
{
	struct stage stage = { .refusal = -EMFILE, .refusals = 1 };

	(void)state;
	assert_int_equal(run_refusing(&stage, close_one), 0);
	assert_int_equal(stage.codes[0], -1);
	assert_true(stage.accepted >= 0);
	assert_int_equal(stage.woken_ns, START_NS + ROTA_MILLISECOND);
}

static int cancel_starved(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_listener(stage) | connect_client(stage);

	rota_deadline_begin(&deadline, rota_after_ns(15 * ROTA_MILLISECOND));
	stage->codes[0] = rota_accept(stage->listener);
	stage->woken_ns = rota_now_ns();
	stage->codes[1] = rota_deadline_end(&deadline);
	stage->refusals = 0;
	return error | close_all(stage);
}

static void waiting_for_a_descriptor_can_be_cancelled(void **state)
{
	struct stage stage = { .refusal = -EMFILE, .refusals = 1000 };

	(void)state;
	assert_int_equal(run_refusing(&stage, cancel_starved), 0);
	assert_int_equal(stage.codes[0], -ETIME);
	assert_int_equal(stage.codes[1], true);
	assert_int_equal(stage.woken_ns, START_NS + 15 * ROTA_MILLISECOND);
}

static int close_the_listener(void *arg)
{
	struct stage *stage = arg;
	int error = open_listener(stage) | connect_client(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, accept_it, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_close(stage->listener);
	/* Its number goes to something else at once. */
	stage->codes[0] =
		fcntl(stage->client, F_DUPFD_CLOEXEC, stage->listener);
	error |= stage->codes[0] != stage->listener;
	error |= rota_group_wait(&stage->group);
	return error | close_all(stage);
}

static void a_listener_closed_meanwhile_is_ebadf(void **state)
{
	struct stage stage = { .refusal = -EMFILE, .refusals = 1000 };

	(void)state;
	assert_int_equal(run_refusing(&stage, close_the_listener), 0);
	assert_int_equal(stage.accepted, -EBADF);
}

static int accept_wrongly(void *arg)
{
	struct stage *stage = arg;
	struct rota_deadline deadline;
	int error = open_listener(stage);

	stage->codes[0] = rota_accept(-1);
	stage->codes[1] = rota_accept(STDIN_FILENO);
	stage->codes[2] = rota_accept(stage->client);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	stage->codes[3] = rota_accept(stage->listener);
	rota_deadline_end(&deadline);
	return error | close_all(stage);
}

static void what_is_no_listener_is_told_and_nobody_is_etime(void **state)
{
	static const int expected[] = { -EBADF, -ENOTSOCK, -EINVAL, -ETIME };
	struct stage stage = { .refusals = 0 };

	(void)state;
	assert_int_equal(run_refusing(&stage, accept_wrongly), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(stage.codes[i], expected[i]);
}

static int shut_listener_down(void *arg)
{
	struct stage *stage = arg;
	int error = open_listener(stage);

	rota_group_open(&stage->group, NULL);
	error |= rota_go(&stage->group, accept_it, stage);
	error |= rota_sleep(ROTA_MILLISECOND);
	error |= rota_shutdown(stage->listener, SHUT_RDWR);
	error |= rota_group_wait(&stage->group);
	stage->codes[0] = stage->accepted;
	return error | close_all(stage);
}

static void a_listener_that_is_shut_down_is_einval(void **state)
{
	struct stage stage = { .refusals = 0 };

	(void)state;
	assert_int_equal(run_refusing(&stage, shut_listener_down), 0);
	assert_int_equal(stage.codes[0], -EINVAL);
}

/* For real: a process that may have few descriptors, and uses them up. */
static int accept_in_poverty(void *arg)
{
	struct stage *stage = arg;
	struct rota_group group;
	int spare, last = -1,
		   error = open_listener(stage) | connect_client(stage);

	while ((spare = dup(stage->client)) >= 0)
		last = spare;
	rota_group_open(&group, NULL);
	error |= rota_go(&group, accept_it, stage);
	error |= rota_sleep(3 * ROTA_MILLISECOND);
	error |= stage->accepted != -1;
	error |= rota_close(last);
	error |= rota_group_wait(&group);
	return error ? error : stage->accepted;
}

static int live_in_poverty(void *arg)
{
	const struct rlimit limit = { 40, 40 };
	struct stage *stage = arg;

	stage->accepted = -1;
	setrlimit(RLIMIT_NOFILE, &limit);
	return rota_run(NULL, accept_in_poverty, stage) > 0 ? 0 : 1;
}

static void at_the_limit_of_descriptors_it_waits_and_says_so_once(void **state)
{
	struct stage stage = { .refusals = 0 };
	struct test_child child;
	const char *line;

	(void)state;
	test_child_run(&child, live_in_poverty, &stage);
	assert_int_equal(child.status, 0);
	line = strstr(child.errors, "rota: no descriptor left (EMFILE, "
				    "RLIMIT_NOFILE is 40)");
	assert_non_null(line);
	assert_null(strstr(line + 10, "no descriptor left"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_connection_is_accepted_close_on_exec),
		cmocka_unit_test(connections_that_failed_are_passed_over),
		cmocka_unit_test(what_will_not_get_better_is_told),
		cmocka_unit_test(an_accept_tells_who_came),
		cmocka_unit_test(
			without_a_descriptor_or_memory_it_looks_again_every_10_ms),
		cmocka_unit_test(it_tells_so_once_a_second),
		cmocka_unit_test(
			the_loop_closing_a_descriptor_wakes_it_at_once),
		cmocka_unit_test(waiting_for_a_descriptor_can_be_cancelled),
		cmocka_unit_test(a_listener_closed_meanwhile_is_ebadf),
		cmocka_unit_test(
			what_is_no_listener_is_told_and_nobody_is_etime),
		cmocka_unit_test(a_listener_that_is_shut_down_is_einval),
		cmocka_unit_test(
			at_the_limit_of_descriptors_it_waits_and_says_so_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
