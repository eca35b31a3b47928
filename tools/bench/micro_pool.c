// SPDX-License-Identifier: MIT
/*
 * What does an item cost that is worked on by others? By a pool of 4 workers of
 * the same loop, and by the last of three stages of a pipeline; of each item,
 * all the way.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

#define CAPACITY 1024

struct load {
	const struct micro_work *work;
	struct micro_sample *sample;
	uint64_t next; /* number to be sent */
	uint64_t sum;  /* of those that came to the end */
};

static int add(void *item, void *arg)
{
	struct load *load = arg;

	load->sum += *(uint64_t *)item;
	return 0;
}

static int submit_all(void *arg)
{
	struct load *load = arg;
	const struct rota_pool_options options = {
		.workers = load->work->tasks,
		.capacity = CAPACITY,
		.item_bytes = sizeof(uint64_t),
		.fn = add,
		.arg = load,
	};
	struct rota_pool pool;
	int error = rota_pool_open(&pool, &options);

	if (error < 0)
		return error;
	const uint64_t start_ns = host_now_ns();

	for (; load->next < load->work->ops && error == 0; load->next++)
		error = rota_pool_submit(&pool, &load->next);
	const int result = rota_pool_close(&pool);

	*load->sample = micro_per_op(start_ns, host_now_ns(), load->work->ops,
				     load->sum);
	return error < 0 ? error : result;
}

int micro_pool_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct load load = { .work = work, .sample = sample };

	return rota_run(NULL, submit_all, &load);
}

static int count_up(void *in, void *out, void *arg)
{
	struct load *load = arg;

	(void)in;
	*(uint64_t *)out = load->next;
	return load->next++ < load->work->ops;
}

static int hand_on(void *in, void *out, void *arg)
{
	(void)arg;
	*(uint64_t *)out = *(uint64_t *)in;
	return 1;
}

static int add_up(void *in, void *out, void *arg)
{
	(void)out;
	return add(in, arg);
}

static int run_stages(void *arg)
{
	struct load *load = arg;
	const struct rota_pipeline_stage stages[] = {
		{ .fn = count_up,
		  .out_bytes = sizeof(uint64_t),
		  .capacity = CAPACITY,
		  .arg = load },
		{ .fn = hand_on,
		  .out_bytes = sizeof(uint64_t),
		  .capacity = CAPACITY },
		{ .fn = add_up, .arg = load },
	};
	const uint64_t start_ns = host_now_ns();
	struct rota_group group;

	rota_group_open(&group, NULL);

	const int error = rota_go_pipeline(&group, stages, 3);
	const int result = rota_group_wait(&group);

	*load->sample = micro_per_op(start_ns, host_now_ns(), load->work->ops,
				     load->sum);
	return error < 0 ? error : result;
}

int micro_pipeline_own(const struct micro_work *work,
		       struct micro_sample *sample)
{
	struct load load = { .work = work, .sample = sample };

	return rota_run(NULL, run_stages, &load);
}
