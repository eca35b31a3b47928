/* SPDX-License-Identifier: MIT */
#include "support/slow.h"

#include "support/process.h"
#include "support/story.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

bool slow_count(void *context, const struct test_arrival *arrival)
{
	struct slow *slow = context;

	slow->sends += arrival->opcode == IORING_OP_SEND ||
		       arrival->opcode == IORING_OP_SENDMSG;
	slow->split += arrival->opcode == IORING_OP_SENDMSG;
	return false;
}

bool slow_hold_second(void *context, const struct test_arrival *arrival)
{
	const struct slow *slow = context;
	const unsigned before = slow->sends;

	slow_count(context, arrival);
	return slow->sends > before && slow->sends > 1;
}

static int open_pair(struct slow *slow)
{
	const int least = 1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	slow->fd = pair[0];
	slow->peer = pair[1];
	/* The kernel's least: soon full. */
	return setsockopt(slow->fd, SOL_SOCKET, SO_SNDBUF, &least,
			  sizeof(least));
}

static int open_output(struct slow *slow, int64_t write_ns)
{
	test_kernel_hold(&slow->kernel, slow_count, slow);
	if (!slow->options.limit && !slow->options.deadline_ns)
		slow->options.mode = ROTA_GROUP_KEEP_GOING;
	rota_group_open(&slow->group, &slow->options);
	return rota_output_open(
		&slow->output, slow->fd,
		&(struct rota_output_options){ .group = &slow->group,
					       .memory = slow->memory,
					       .bytes = sizeof(slow->memory),
					       .write_ns = write_ns });
}

int slow_open(struct slow *slow, int64_t write_ns)
{
	return open_pair(slow) | open_output(slow, write_ns);
}

int slow_open_full(struct slow *slow, int64_t write_ns)
{
	const int error = open_pair(slow);
	ssize_t n;

	while ((n = send(slow->fd, slow->junk, sizeof(slow->junk),
			 MSG_DONTWAIT)) > 0)
		slow->junk_count += (size_t)n;
	return error | open_output(slow, write_ns) | slow_settle();
}

void slow_take(struct slow *slow)
{
	char bytes[4096];
	ssize_t n;

	while ((n = recv(slow->peer, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0)
		for (ssize_t i = 0; i < n; i++) {
			if (slow->junk_count)
				slow->junk_count--;
			else if (slow->got_count < sizeof(slow->got) - 1)
				slow->got[slow->got_count++] = bytes[i];
		}
}

int slow_settle(void)
{
	return rota_sleep(1) | rota_sleep(1) | rota_sleep(1);
}

int slow_close(struct slow *slow)
{
	return rota_output_close(&slow->output);
}

int slow_end(struct slow *slow)
{
	slow->outcome = rota_group_wait(&slow->group);
	if (slow->fd >= 0)
		close(slow->fd);
	if (slow->peer >= 0)
		close(slow->peer);
	return 0;
}

void slow_note(struct slow *slow, const char *name, int code)
{
	story_note(&slow->trail, name, code);
}

struct writing {
	struct slow *slow;
	const char *text;
	int64_t deadline_ns;
};

static int write_text(void *value)
{
	const struct writing *writing = value;
	struct slow *slow = writing->slow;
	struct rota_deadline deadline;
	int code;

	rota_deadline_begin(&deadline, writing->deadline_ns);
	code = rota_output_write(&slow->output, writing->text,
				 strlen(writing->text));
	rota_deadline_end(&deadline);
	slow_note(slow, writing->text, code);
	return 0;
}

int slow_go(struct slow *slow, const char *text, int64_t wait_ns)
{
	const struct writing writing = { slow, text,
					 wait_ns ? rota_after_ns(wait_ns)
						 : ROTA_NEVER };

	return rota_go(&slow->group, write_text, writing) | slow_settle();
}

static int flush_it(void *value)
{
	struct slow *slow = *(struct slow **)value;

	slow_note(slow, "flush", rota_output_flush(&slow->output));
	return 0;
}

int slow_wait_in_both_lines(struct slow *slow)
{
	int error = slow_go(slow, "0123456789", 0);

	error |= slow_go(slow, "abcdefghij", 0);
	error |= rota_go(&slow->group, flush_it, slow);
	return error | slow_settle();
}

void slow_run_with(struct slow *slow, const struct rota_config *config,
		   int (*fn)(void *))
{
	static const unsigned char untouched[SLOW_BYTES];
	const unsigned descriptors = test_process_descriptors();

	assert_int_equal(test_run_timed_with(config, &slow->kernel, fn, slow),
			 0);
	assert_memory_equal(slow->guard, untouched, sizeof(untouched));
	assert_int_equal(test_process_descriptors(), descriptors);
}

void slow_run(struct slow *slow, int (*fn)(void *))
{
	slow_run_with(slow, NULL, fn);
}

void slow_expect(const struct slow *slow, const char *text)
{
	assert_string_equal(slow->got, text);
	assert_int_equal(slow->junk_count, 0);
}
