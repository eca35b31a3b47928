/* SPDX-License-Identifier: MIT */
#include "support/accepts.h"

#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

void accepts_run(int (*fn)(void *), struct accepts *accepts)
{
	const struct rota_config config = { .log = test_log_write,
					    .context = &accepts->log };

	test_run_timed_clean(&config, &accepts->kernel, fn, accepts);
}

int accepts_open(struct accepts *accepts)
{
	const int error = callers_open(&accepts->callers);

	return error ? error
		     : rota_accept_stream_open(&accepts->stream,
					       accepts->callers.listener, NULL);
}

int accepts_close(struct accepts *accepts)
{
	rota_stream_close(&accepts->stream);
	callers_close(&accepts->callers);
	return 0;
}

int accepts_close_listener(struct accepts *accepts)
{
	const int fd = accepts->callers.listener;

	accepts->callers.listener = -1;
	return rota_close(fd);
}

int accepts_take(struct accepts *accepts)
{
	return callers_take(&accepts->callers,
			    rota_stream_accept(&accepts->stream));
}

int accepts_until_told(void *value)
{
	struct accepts *accepts = *(struct accepts **)value;
	int error = rota_accept_stream_open(&accepts->stream,
					    accepts->callers.listener, NULL);

	if (error)
		return error;
	do {
		accepts->codes[0] = accepts_take(accepts);
	} while (!accepts->codes[0]);
	accepts->times_ns[0] = test_now_ns();
	accepts->codes[1] = accepts_take(accepts);
	accepts->done = true;
	rota_stream_close(&accepts->stream);
	return 0;
}

void accepts_hold(struct accepts *accepts)
{
	static int opcode = IORING_OP_ACCEPT;

	test_kernel_hold(&accepts->kernel, test_hold_opcode, &opcode);
}

void accepts_refuse_held(struct test_kernel *kernel, void *context)
{
	struct accepts *accepts = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *arrival = test_kernel_held_at(kernel, 0);

		if (accepts->refusals && arrival->res >= 0) {
			accepts->refusals--;
			close(arrival->res);
			arrival->res = accepts->refusal;
		}
		test_kernel_release(kernel, 0);
	}
}
