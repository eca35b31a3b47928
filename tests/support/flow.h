/* SPDX-License-Identifier: MIT */
/*
 * A stage for receive streams: an engine, pairs of sockets with a stream on
 * one end of each, what was seen, and the books of the buffers.
 *
 *	static int script(void *arg)
 *	{
 *		struct flow *flow = arg;
 *
 *		flow_open(flow, 0, NULL);
 *		flow_say(flow, 0, "hello");
 *		flow_note(flow, flow_view(flow, 0));
 *		flow_close(flow, 0);
 *		return 0;
 *	}
 *
 *	flow_init(flow);
 *	flow_run(flow, script);
 *	assert_string_equal(flow->text[0], "hello");
 *
 * Functions that are for tasks record what went wrong, flow_run asserts that
 * nothing did.
 */
#ifndef TEST_SUPPORT_FLOW_H
#define TEST_SUPPORT_FLOW_H

#include "rota/rota.h"
#include "support/kernel.h"
#include "support/log.h"

#define FLOW_STREAMS 8
#define FLOW_CODES 16
#define FLOW_TEXT 512

struct flow {
	struct test_kernel kernel;
	struct test_log said; /* what the engine has */
	struct rota_config config;
	struct rota_group group; /* of the script's tasks; the script opens it */
	struct rota_stream streams[FLOW_STREAMS];
	int pairs[FLOW_STREAMS][2];         /* the stream receives from 0 */
	bool open[FLOW_STREAMS];            /* the stream is */
	struct rota_view view;              /* the last one */
	char text[FLOW_STREAMS][FLOW_TEXT]; /* heard by each, in order */
	unsigned heard[FLOW_STREAMS];       /* how many bytes that was */
	int codes[FLOW_CODES];              /* what was noted, in order */
	unsigned noted;
	const char *wrong; /* the first thing that was; NULL: nothing */
};

/* On the test's own stack. */
void flow_init(struct flow *flow);

/* The same, with so many buffers of so many bytes. */
void flow_init_buffers(struct flow *flow, unsigned buffers, unsigned bytes);

/* Runs the engine. Asserts that nothing was wrong, that fn returned 0, and that
 * the kernel was given everything back. */
void flow_run(struct flow *flow, int (*fn)(void *));

/* In tasks. A pair of Unix sockets, or of TCP, and a stream on its first end. */
int flow_open(struct flow *flow, unsigned i,
	      const struct rota_stream_options *options);
int flow_open_tcp(struct flow *flow, unsigned i,
		  const struct rota_stream_options *options);

/* A connected pair of TCP sockets: 0 or -errno. Anywhere. */
int flow_tcp(int pair[2]);

/* Closes the stream, if it is open, and the sockets that are. */
void flow_close(struct flow *flow, unsigned i);

/* The peer sends this, at once and whole. */
void flow_say(struct flow *flow, unsigned i, const char *text);

/* The peer sends as many times one byte: 'a', 'b', ... 'z', 'a'. */
void flow_drip(struct flow *flow, unsigned i, unsigned count);

/* The peer closes its end. */
void flow_hang_up(struct flow *flow, unsigned i);

/* rota_stream_view and rota_stream_recv; what is heard is added to `text`. */
int flow_view(struct flow *flow, unsigned i);
int flow_copy(struct flow *flow, unsigned i, size_t bytes);

/* Views until that many bytes have been heard in all, or no more are. */
void flow_hear(struct flow *flow, unsigned i, unsigned bytes);

/* Adds to the codes. */
void flow_note(struct flow *flow, int code);

/* Some whole turns of the loop: what is under way arrives. */
void flow_settle(void);

/* Buffers that a stream holds: landed, lent and kept. */
unsigned flow_held(const struct flow *flow, unsigned i);

/* The kernel has an operation of this stream; it waits for a buffer. */
bool flow_in_flight(const struct flow *flow, unsigned i);
bool flow_hungry(const struct flow *flow, unsigned i);

/* Looks whether the books balance, for all streams that there are. */
void flow_audit(struct flow *flow);

/* Something is wrong, if this is false. */
void flow_expect(struct flow *flow, bool right, const char *what);

#endif
