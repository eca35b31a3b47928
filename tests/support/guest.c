/* SPDX-License-Identifier: MIT */
#include "support/guest.h"

#include "cores/engine.h"
#include "support/run.h"

#include <poll.h>
#include <string.h>

int test_guest_make(struct test_guest *guest, const struct rota_config *config,
		    const struct ri_kernel *kernel)
{
	*guest = (struct test_guest){ 0 };
	return ri_guest_create(&guest->engine, config,
			       kernel ? kernel : test_linux());
}

static int wait_for(const struct test_guest *guest, int timeout_ms)
{
	struct pollfd readable = { .fd = rota_engine_fd(guest->engine),
				   .events = POLLIN };

	return poll(&readable, 1, timeout_ms);
}

bool test_guest_readable(const struct test_guest *guest)
{
	return wait_for(guest, 0) == 1;
}

bool test_guest_turn(struct test_guest *guest)
{
	const int64_t deadline_ns = rota_engine_deadline_ns(guest->engine);
	const int64_t longest_ns = test_seconds() * ROTA_SECOND;
	int64_t wait_ns = longest_ns;

	if (deadline_ns != ROTA_NEVER)
		wait_ns = deadline_ns - rota_now_ns();
	if (wait_ns < 0)
		wait_ns = 0;
	if (wait_ns > longest_ns)
		wait_ns = longest_ns;
	if (wait_for(guest, (int)((wait_ns + 999999) / 1000000)) == 0 &&
	    wait_ns == longest_ns)
		guest->lost = true;
	guest->steps++;
	return rota_engine_step(guest->engine) >= 0 && !guest->lost;
}

void test_guest_until(struct test_guest *guest, const struct rota_job *job)
{
	while (!rota_job_ended(job) && test_guest_turn(guest))
		;
}

int test_guest_end(struct test_guest *guest)
{
	int error = rota_engine_drain(guest->engine, 0);

	while (!error && rota_engine_step(guest->engine) > 0)
		if (!test_guest_turn(guest))
			return -ETIMEDOUT;
	return error ? error : rota_engine_destroy(guest->engine);
}
