/* SPDX-License-Identifier: MIT */
#include "support/flow.h"

#include "support/books.h"
#include "support/pair.h"
#include "support/run.h"
#include "task/task.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* What happens in another part of the kernel takes more than one turn. */
#define SETTLE_TURNS 5

void flow_init(struct flow *flow)
{
	memset(flow, 0, sizeof(*flow));
	memset(flow->pairs, 0xff, sizeof(flow->pairs));
	test_kernel_init(&flow->kernel);
	flow->config.log = test_log_write;
	flow->config.context = &flow->said;
}

void flow_init_buffers(struct flow *flow, unsigned buffers, unsigned bytes)
{
	flow_init(flow);
	flow->config.stream_buffers = buffers;
	flow->config.stream_buffer_bytes = bytes;
}

void flow_run(struct flow *flow, int (*fn)(void *))
{
	const int result =
		test_run_with(&flow->config, &flow->kernel.table, fn, flow);

	if (flow->wrong)
		fail_msg("%s", flow->wrong);
	assert_int_equal(result, 0);
	assert_int_equal(test_kernel_left(&flow->kernel), 0);
}

static int open_stream(struct flow *flow, unsigned i,
		       const struct rota_stream_options *options)
{
	const int error = rota_receive_stream_open(&flow->streams[i],
						   flow->pairs[i][0], options);

	flow->open[i] = !error;
	return error;
}

int flow_open(struct flow *flow, unsigned i,
	      const struct rota_stream_options *options)
{
	const int error = test_pair_open(flow->pairs[i]);

	return error ? error : open_stream(flow, i, options);
}

int flow_tcp(int pair[2])
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr =
					       htonl(INADDR_LOOPBACK) };
	socklen_t bytes = sizeof(address);
	const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error = 0;

	pair[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(listener, (struct sockaddr *)&address, bytes) ||
	    listen(listener, 1) ||
	    getsockname(listener, (struct sockaddr *)&address, &bytes) ||
	    connect(pair[1], (struct sockaddr *)&address, bytes))
		error = -errno;
	else
		pair[0] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return error;
}

int flow_open_tcp(struct flow *flow, unsigned i,
		  const struct rota_stream_options *options)
{
	const int error = flow_tcp(flow->pairs[i]);

	return error ? error : open_stream(flow, i, options);
}

void flow_close(struct flow *flow, unsigned i)
{
	if (flow->open[i])
		rota_stream_close(&flow->streams[i]);
	flow->open[i] = false;
	for (unsigned end = 0; end < 2; end++) {
		if (flow->pairs[i][end] >= 0)
			rota_close(flow->pairs[i][end]);
		flow->pairs[i][end] = -1;
	}
}

void flow_say(struct flow *flow, unsigned i, const char *text)
{
	const ssize_t bytes = (ssize_t)strlen(text);

	flow_expect(flow,
		    send(flow->pairs[i][1], text, (size_t)bytes,
			 MSG_DONTWAIT) == bytes,
		    "the peer cannot send");
}

void flow_drip(struct flow *flow, unsigned i, unsigned count)
{
	for (unsigned n = 0; n < count; n++) {
		const char text[2] = { (char)('a' + n % 26), 0 };

		flow_say(flow, i, text);
	}
}

void flow_hang_up(struct flow *flow, unsigned i)
{
	rota_close(flow->pairs[i][1]);
	flow->pairs[i][1] = -1;
}

static void hear(struct flow *flow, unsigned i, const char *data, int n)
{
	const unsigned heard = flow->heard[i];
	const unsigned count = n > 0 ? (unsigned)n : 0;

	flow_expect(flow, heard + count < FLOW_TEXT, "too much is heard");
	if (!count || heard + count >= FLOW_TEXT)
		return;
	if (count)
		memcpy(flow->text[i] + heard, data, count);
	flow->text[i][heard + count] = 0;
	flow->heard[i] = heard + count;
}

int flow_view(struct flow *flow, unsigned i)
{
	const int n = rota_stream_view(&flow->streams[i], &flow->view);

	flow_expect(flow, n <= 0 || (size_t)n == flow->view.bytes,
		    "a view of another length");
	hear(flow, i, flow->view.data, n);
	return n;
}

int flow_copy(struct flow *flow, unsigned i, size_t bytes)
{
	char data[FLOW_TEXT];
	const int n =
		rota_stream_recv(&flow->streams[i], data,
				 bytes < sizeof(data) ? bytes : sizeof(data));

	hear(flow, i, data, n);
	return n;
}

void flow_hear(struct flow *flow, unsigned i, unsigned bytes)
{
	while (flow->heard[i] < bytes)
		if (flow_view(flow, i) <= 0)
			return;
}

void flow_note(struct flow *flow, int code)
{
	flow_expect(flow, flow->noted < FLOW_CODES, "too much is noted");
	if (flow->noted < FLOW_CODES)
		flow->codes[flow->noted++] = code;
}

void flow_settle(void)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	for (int i = 0; i < SETTLE_TURNS; i++)
		(void)!rota_sleep(1);
	rota_shield_end(&shield);
}

unsigned flow_held(const struct flow *flow, unsigned i)
{
	return flow->streams[i].shot->buffers.held;
}

bool flow_in_flight(const struct flow *flow, unsigned i)
{
	return flow->streams[i].shot->flags & RI_SHOT_IN_FLIGHT;
}

bool flow_hungry(const struct flow *flow, unsigned i)
{
	return flow->streams[i].shot->flags & RI_SHOT_HUNGRY;
}

void flow_audit(struct flow *flow)
{
	const struct rota_stream *open[FLOW_STREAMS];
	unsigned count = 0;
	const char *wrong;

	for (unsigned i = 0; i < FLOW_STREAMS; i++)
		if (flow->open[i])
			open[count++] = &flow->streams[i];
	wrong = books_wrong(open, count);
	flow_expect(flow, !wrong, wrong);
}

void flow_expect(struct flow *flow, bool right, const char *what)
{
	if (!right && !flow->wrong)
		flow->wrong = what;
}
