// SPDX-License-Identifier: MIT
/*
 * Work over two loops. spawn_remote: empty tasks that are sent to the other
 * loop, a thousand at a time, and joined. spread: pieces of some 20 us of
 * arithmetic, each a task, on whichever loop is free; beside it two bare
 * threads that take the numbers of pieces from an atomic counter, which is as
 * near to half of the time as it gets.
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bare_threads.h"
#include "host.h"
#include "micro.h"

/* Some 20 us on the machines of today. */
#define PIECE_STEPS 13000u

#define BATCH 1000u

struct own {
	const struct micro_work *work;
	struct micro_sample *sample;
	uint64_t checksum; /* the other loop's */
	uint64_t *results; /* of each piece */
	atomic_uint next;  /* the base's: which piece */
};

static int count_one(void *value)
{
	uint64_t *count = *(uint64_t **)value;

	*count += 1;
	return 0;
}

static int send_batch(struct own *own)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < BATCH && error == 0; i++)
		error = rota_go_on(&group, 1, count_one, &own->checksum);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

static int send_batches(void *arg)
{
	struct own *own = arg;
	int error = send_batch(own);
	const uint64_t start_ns = host_now_ns();
	uint64_t done;

	for (done = 0; done < own->work->ops && error == 0; done += BATCH)
		error = send_batch(own);
	*own->sample =
		micro_per_op(start_ns, host_now_ns(), done, own->checksum);
	return error;
}

int micro_spawn_remote_own(const struct micro_work *work,
			   struct micro_sample *sample)
{
	const struct rota_config config = { .loops = 2,
					    .pin = ROTA_PIN_ALWAYS };
	struct own own = { .work = work, .sample = sample };

	return rota_run(&config, send_batches, &own);
}

static uint64_t compute(uint64_t state)
{
	for (unsigned step = 0; step < PIECE_STEPS; step++)
		state = state * 6364136223846793005u + 1442695040888963407u;
	return state;
}

static int run_piece(void *value)
{
	uint64_t *result = *(uint64_t **)value;

	*result = compute(*result);
	return 0;
}

static void number(struct own *own)
{
	for (uint64_t i = 0; i < own->work->ops; i++)
		own->results[i] = i;
}

static void tell(struct own *own, uint64_t elapsed_ns)
{
	uint64_t checksum = 0;

	for (uint64_t i = 0; i < own->work->ops; i++)
		checksum += own->results[i];
	*own->sample = micro_ms(elapsed_ns, checksum);
}

static int spread(void *arg)
{
	struct own *own = arg;
	const uint64_t start_ns = host_now_ns();
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (uint64_t i = 0; i < own->work->ops && error == 0; i++)
		error = rota_go_spread(&group, run_piece, &own->results[i]);
	const int result = rota_group_wait(&group);

	tell(own, host_now_ns() - start_ns);
	return error < 0 ? error : result;
}

static int measure(const struct micro_work *work, struct micro_sample *sample,
		   int (*run)(struct own *own))
{
	struct own own = { .work = work, .sample = sample };
	int error = -ENOMEM;

	own.results = calloc(work->ops, sizeof(uint64_t));
	if (own.results) {
		number(&own);
		error = run(&own);
	}
	free(own.results);
	return error;
}

static int spread_own(struct own *own)
{
	const struct rota_config config = { .loops = 2,
					    .pin = ROTA_PIN_ALWAYS };

	return rota_run(&config, spread, own);
}

int micro_spread_own(const struct micro_work *work, struct micro_sample *sample)
{
	return measure(work, sample, spread_own);
}

static void take_pieces(void *arg)
{
	struct own *own = arg;
	unsigned i;

	while ((i = atomic_fetch_add(&own->next, 1)) < own->work->ops)
		own->results[i] = compute(own->results[i]);
}

static int spread_base(struct own *own)
{
	const uint64_t start_ns = host_now_ns();
	const int error = bare_threads_run(take_pieces, take_pieces, own);

	tell(own, host_now_ns() - start_ns);
	return error;
}

int micro_spread_base(const struct micro_work *work,
		      struct micro_sample *sample)
{
	return measure(work, sample, spread_base);
}
