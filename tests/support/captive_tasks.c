/* SPDX-License-Identifier: MIT */
/*
 * Captives of the engine: they wait for time, for other tasks, for threads.
 */
#include "rota/rota.h"
#include "support/captive.h"

#include <errno.h>
#include <sys/socket.h>

/* More than any test takes. */
#define LONG_NS (3600 * ROTA_SECOND)

static int call_yield(struct captive *captive)
{
	int code = 0;

	(void)captive;
	while (!code)
		code = rota_yield();
	return code;
}

static int call_sleep(struct captive *captive)
{
	(void)captive;
	return rota_sleep(ROTA_NEVER);
}

static int call_sleep_in_scopes(struct captive *captive)
{
	struct rota_deadline near, far;
	int result;

	(void)captive;
	rota_deadline_begin(&far, rota_after_ns(2 * LONG_NS));
	rota_deadline_begin(&near, rota_after_ns(LONG_NS));
	result = rota_sleep(3 * LONG_NS);
	rota_deadline_end(&near);
	rota_deadline_end(&far);
	return result;
}

static int call_ticker(struct captive *captive)
{
	struct rota_ticker ticker;
	int result = rota_ticker_open(&ticker, LONG_NS);

	(void)captive;
	if (result)
		return result;
	result = rota_ticker_wait(&ticker, NULL);
	rota_ticker_close(&ticker);
	return result;
}

static int sleep_for_ever(void *value)
{
	(void)value;
	return rota_sleep(ROTA_NEVER);
}

/* The wait tells what cancelled the group: that it drains. */
static int join(struct rota_group *group)
{
	const int result = rota_group_wait(group);

	return result == -ESHUTDOWN ? rota_cancelled() : result;
}

static int call_join(struct captive *captive)
{
	struct rota_group group;
	int error;

	(void)captive;
	rota_group_open(&group, NULL);
	error = rota_go(&group, sleep_for_ever, 0);
	return join(&group) | error;
}

/* One member on each loop, one wherever, one in the background. */
static int call_join_all(struct captive *captive)
{
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_background(&group, sleep_for_ever, 0);
	for (unsigned i = 0; i < captive->loops; i++)
		error |= rota_go_on(&group, i, sleep_for_ever, 0);
	error |= rota_go_spread(&group, sleep_for_ever, 0);
	return join(&group) | error;
}

static int call_slot(struct captive *captive)
{
	struct rota_group group;
	int result;

	(void)captive;
	rota_group_open(&group, &(struct rota_group_options){ .limit = 1 });
	result = rota_go(&group, sleep_for_ever, 0);
	if (!result)
		result = rota_go(&group, sleep_for_ever, 0);
	rota_group_wait(&group);
	return result;
}

struct asker {
	struct rota_group *group;
	struct captive *captive;
	int *result;
};

static int ask_for_slot(void *value)
{
	const struct asker *asker = value;

	*asker->result = rota_go(asker->group, sleep_for_ever, 0);
	return 0;
}

/* Waits for a slot of a group of another loop. */
static int call_slot_elsewhere(struct captive *captive)
{
	const unsigned loop = (captive->loop + 1) % captive->loops;
	struct rota_group group;
	int result = -EPROTO, error;
	const struct asker asker = { &group, captive, &result };

	rota_group_open(&group, &(struct rota_group_options){
					.limit = 2,
					.mode = ROTA_GROUP_KEEP_GOING });
	error = rota_go_on(&group, loop, sleep_for_ever, 0);
	error |= rota_go_on(&group, loop, ask_for_slot, asker);
	rota_group_wait(&group);
	return error ? error : result;
}

static void open_valve(void *arg)
{
	test_valve_open(arg);
}

static int pass_valve(void *arg)
{
	struct captive *captive = arg;

	atomic_store(&captive->called, true);
	test_valve_pass(&captive->valve);
	return 7;
}

/* What computes hurries when it is told to; the call is waited for. */
static int call_offload(struct captive *captive)
{
	struct rota_callback callback;
	int result;

	rota_callback_begin(&callback, open_valve, &captive->valve);
	result = rota_offload(pass_valve, captive);
	rota_callback_end(&callback);
	return result;
}

/* The look-up goes on without the task, until the valve is open. */
static int call_resolve(struct captive *captive)
{
	char name[CAPTIVE_NAME_BYTES];
	int result;

	captive_name(captive, name);
	result = rota_resolve(name, NULL, NULL, 0);
	test_valve_open(&captive->valve);
	return result;
}

static int call_dial_name(struct captive *captive)
{
	char name[CAPTIVE_NAME_BYTES];
	int result;

	captive_name(captive, name);
	result = rota_dial(name, 7);
	test_valve_open(&captive->valve);
	return result;
}

static int set_up_slow_reader(struct captive *captive)
{
	static const char block[4096];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	captive->fd = pair[0];
	captive->peer = pair[1];
	while (send(captive->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
		;
	while (send(captive->fd, block, 1, MSG_DONTWAIT) > 0)
		;
	return 0;
}

/* Without a function it waits in the close. */
static int with_output(struct captive *captive,
		       int (*wait)(struct rota_output *))
{
	struct rota_output output;
	struct rota_group group;
	char memory[16];
	int result, error;

	rota_group_open(&group, &(struct rota_group_options){
					.mode = ROTA_GROUP_KEEP_GOING });
	result = rota_output_open(
		&output, captive->fd,
		&(struct rota_output_options){ .group = &group,
					       .memory = memory,
					       .bytes = sizeof(memory) });
	if (!result)
		result = rota_output_write(&output, "0123456789", 10);
	if (!result && wait)
		result = wait(&output);
	error = rota_output_close(&output);
	rota_group_wait(&group);
	return wait ? result : error;
}

static int write_more(struct rota_output *output)
{
	return rota_output_write(output, "0123456789", 10);
}

static int call_output_write(struct captive *captive)
{
	return with_output(captive, write_more);
}

static int call_output_flush(struct captive *captive)
{
	return with_output(captive, rota_output_flush);
}

static int call_output_close(struct captive *captive)
{
	return with_output(captive, NULL);
}

static int set_up_pair(struct captive *captive)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	captive->fd = pair[0];
	captive->peer = pair[1];
	return 0;
}

static int serve(struct rota_stream *stream, void *arg)
{
	struct rota_view view;

	*(int *)arg = rota_stream_view(stream, &view);
	rota_stream_close(stream);
	return 0;
}

/* Who serves has no stack meanwhile; to sleep is to be idle. */
static int call_serve(struct captive *captive)
{
	struct rota_stream stream;
	struct rota_group group;
	int result, error;

	captive->sleeps = true;
	error = rota_receive_stream_open(&stream, captive->fd, NULL);
	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_stream_serve(&group, &stream, serve, &result);
	rota_group_wait(&group);
	return error ? error : result;
}

const struct captive_class captive_tasks[] = {
	{ "yield", NULL, NULL, call_yield },
	{ "sleep", "sleep", NULL, call_sleep },
	{ "sleep_in_scopes", "sleep", NULL, call_sleep_in_scopes },
	{ "ticker", "rota_ticker_wait", NULL, call_ticker },
	{ "join", "rota_group_wait", NULL, call_join },
	{ "join_all", "rota_group_wait", NULL, call_join_all },
	{ "slot", "rota_go", NULL, call_slot },
	{ "slot_elsewhere", "rota_group_wait", NULL, call_slot_elsewhere },
	{ "offload_1", "rota_offload", NULL, call_offload },
	{ "offload_2", "rota_offload", NULL, call_offload },
	{ "resolve", "rota_resolve", NULL, call_resolve },
	{ "dial_name", "rota_resolve", NULL, call_dial_name },
	{ "offload_3", "rota_offload", NULL, call_offload },
	{ "output_write", "rota_output_write", set_up_slow_reader,
	  call_output_write },
	{ "output_flush", "rota_output_flush", set_up_slow_reader,
	  call_output_flush },
	{ "output_close", "rota_output_close", set_up_slow_reader,
	  call_output_close },
	{ "serve", "rota_group_wait", set_up_pair, call_serve },
};
const unsigned captive_tasks_count =
	sizeof(captive_tasks) / sizeof(captive_tasks[0]);
