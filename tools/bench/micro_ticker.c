// SPDX-License-Identifier: MIT
/*
 * What does a tick cost of a loop that sleeps in between? Told is the processor
 * time of the thread a tick of 1 ms. Base: an absolute timeout on bare
 * liburing, which reads the clock after each, too.
 */
#include <rota/rota.h>
#include <time.h>

#include "bare_ring.h"
#include "bare_timer.h"
#include "host.h"
#include "micro.h"

#define PERIOD_NS ROTA_MILLISECOND
#define WARM_TICKS 20

static uint64_t processor_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* How many ticks came. */
static uint64_t tick(struct rota_ticker *ticker, uint64_t ops)
{
	uint64_t came = 0;

	for (uint64_t index = 0; index < ops; index++)
		came += rota_ticker_wait(ticker, NULL) == 0;
	return came;
}

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
};

static int run_own(void *arg)
{
	const struct own *own = arg;
	const uint64_t ops = own->work->ops;
	struct rota_ticker ticker;
	const int error = rota_ticker_open(&ticker, PERIOD_NS);

	if (error < 0)
		return error;
	tick(&ticker, WARM_TICKS);
	const uint64_t start_ns = processor_ns();
	const uint64_t came = tick(&ticker, ops);

	*own->sample = micro_per_op(start_ns, processor_ns(), ops, came);
	rota_ticker_close(&ticker);
	return 0;
}

int micro_ticker_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct own own = { work, sample };

	return rota_run(NULL, run_own, &own);
}

struct base {
	struct io_uring ring;
	uint64_t next_ns;
};

static uint64_t tick_bare(struct base *base, uint64_t ops)
{
	uint64_t came = 0;

	for (uint64_t index = 0; index < ops; index++) {
		came += bare_timer_wait(&base->ring, base->next_ns) == 0;
		const uint64_t now_ns = host_now_ns();

		while (base->next_ns <= now_ns)
			base->next_ns += PERIOD_NS;
	}
	return came;
}

int micro_ticker_base(const struct micro_work *work,
		      struct micro_sample *sample)
{
	struct base base = { .next_ns = host_now_ns() + PERIOD_NS };
	const int error = bare_ring_open(&base.ring);

	if (error < 0)
		return error;
	tick_bare(&base, WARM_TICKS);
	const uint64_t start_ns = processor_ns();
	const uint64_t came = tick_bare(&base, work->ops);

	*sample = micro_per_op(start_ns, processor_ns(), work->ops, came);
	io_uring_queue_exit(&base.ring);
	return 0;
}
