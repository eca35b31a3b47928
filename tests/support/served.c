/* SPDX-License-Identifier: MIT */
#include "support/served.h"

#include "task/task.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

int test_served_open(struct test_served *served)
{
	const struct rota_stream_options options = { .idle_ns =
							     served->idle_ns };
	int pair[2], error;

	served->fd = served->peer = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	served->fd = pair[0];
	served->peer = pair[1];
	error = rota_receive_stream_open(&served->stream, served->fd, &options);
	if (error) {
		close(pair[0]);
		close(pair[1]);
	}
	return error;
}

int test_served_go(struct rota_group *group, struct test_served *served)
{
	int error = test_served_open(served);

	if (error)
		return error;
	error = rota_stream_serve(group, &served->stream, test_served_take,
				  served);
	if (error)
		test_served_close(served);
	return error;
}

void test_served_close(struct test_served *served)
{
	rota_stream_close(&served->stream);
	if (served->fd >= 0)
		rota_close(served->fd);
	if (served->peer >= 0)
		rota_close(served->peer);
	served->fd = served->peer = -1;
}

int test_served_hang_up(struct test_served *served)
{
	const int error = rota_close(served->peer);

	served->peer = -1;
	return error;
}

/* Is it only its sleep that is over? */
static bool is_of_sleep(int code)
{
	return !rota_cancelled() && (code == -ETIME || code == -ESHUTDOWN);
}

/* What it is told. True: it goes on. */
static bool hear(struct test_served *served, int code)
{
	const unsigned i = served->told++;

	if (i < TEST_TOLD_MAX) {
		served->codes[i] = code;
		served->times_ns[i] = rota_now_ns();
		served->bytes_before[i] = served->bytes;
	}
	return i < served->stays && is_of_sleep(code);
}

int test_served_take(struct rota_stream *stream, void *arg)
{
	struct test_served *served = arg;
	struct rota_view view;
	int n;

	served->calls++;
	if (served->work_ns)
		served->work_code = rota_sleep(served->work_ns);
	do {
		n = rota_stream_view(stream, &view);
		served->bytes += n > 0 ? (unsigned)n : 0;
	} while (n > 0 && rota_stream_ready(stream));
	if (n > 0 || hear(served, n))
		return 0;
	test_served_close(served);
	if (served->served)
		++*served->served;
	return served->result;
}

int test_served_give(const struct test_served *served, unsigned bytes)
{
	static const char zeros[4096];
	const ssize_t n =
		send(served->peer, zeros, bytes, MSG_DONTWAIT | MSG_NOSIGNAL);

	return n < 0 ? -errno : 0;
}

static unsigned count(const struct ri_stack *stack)
{
	unsigned found = 0;

	for (; stack; stack = stack->next)
		found++;
	return found;
}

static const struct ri_stack_class *stacks(void)
{
	const struct ri_tasks *tasks = ri_tasks_here();

	return &tasks->loop.stacks.classes[tasks->stack_class];
}

unsigned test_stacks_in_use(void)
{
	const struct ri_stack_class *class = stacks();

	return class->made - count(class->free) - count(class->fresh);
}

unsigned test_stacks_used(void)
{
	const struct ri_stack_class *class = stacks();

	return class->made - count(class->fresh);
}
