// SPDX-License-Identifier: MIT
/*
 * What does an item cost that goes through a channel? Two tasks of one loop
 * that hand a number to and fro (capacity 0; of each round trip); one that
 * sends to another one on its loop, and on another loop (capacity 1024; of each
 * item, send and receive together).
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

struct passing {
	const struct micro_work *work;
	struct micro_sample *sample;
	size_t capacity;
	unsigned receiver_loop;
};

struct ends {
	struct rota_sender sender;
	struct rota_receiver receiver;
	uint64_t *sum;
};

static int answer(void *value)
{
	struct ends *ends = value;
	uint64_t number;

	while (rota_channel_receive(&ends->receiver, &number) > 0) {
		number++;
		if (rota_channel_send(&ends->sender, &number) < 0)
			break;
	}
	rota_receiver_close(&ends->receiver);
	rota_sender_close(&ends->sender);
	return 0;
}

static int ask(struct ends *ends, uint64_t rounds)
{
	uint64_t number = 0;
	int error = 0;

	for (uint64_t round = 0; round < rounds && error >= 0; round++) {
		error = rota_channel_send(&ends->sender, &number);
		if (error == 0)
			error = rota_channel_receive(&ends->receiver, &number);
	}
	*ends->sum += number;
	return error < 0 ? error : 0;
}

static int play(void *arg)
{
	const struct passing *passing = arg;
	const uint64_t ops = passing->work->ops;
	const struct rota_channel_options options = { .item_bytes = sizeof(
							      uint64_t) };
	struct ends here, there;
	uint64_t sum = 0;
	struct rota_group group;
	int error = rota_channel_open(&options, &here.sender, &there.receiver);

	if (error == 0)
		error = rota_channel_open(&options, &there.sender,
					  &here.receiver);
	if (error < 0)
		return error;
	here.sum = &sum;
	rota_group_open(&group, NULL);
	error = rota_go(&group, answer, there);
	if (error == 0)
		error = ask(&here, ops / 10);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = ask(&here, ops);
	*passing->sample = micro_per_op(start_ns, host_now_ns(), ops, sum);
	rota_sender_close(&here.sender);
	rota_receiver_close(&here.receiver);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

int micro_channel_rendezvous_own(const struct micro_work *work,
				 struct micro_sample *sample)
{
	struct passing passing = { work, sample, 0, 0 };

	return rota_run(NULL, play, &passing);
}

static int add_up(void *value)
{
	struct ends *ends = value;
	uint64_t number, sum = 0;

	while (rota_channel_receive(&ends->receiver, &number) > 0)
		sum += number;
	rota_receiver_close(&ends->receiver);
	*ends->sum = sum;
	return 0;
}

static int send_all(void *arg)
{
	const struct passing *passing = arg;
	const uint64_t ops = passing->work->ops;
	const struct rota_channel_options options = {
		.item_bytes = sizeof(uint64_t),
		.capacity = passing->capacity
	};
	struct ends ends;
	uint64_t sum = 0;
	struct rota_group group;
	int error = rota_channel_open(&options, &ends.sender, &ends.receiver);

	if (error < 0)
		return error;
	ends.sum = &sum;
	rota_group_open(&group, NULL);
	error = rota_go_on(&group, passing->receiver_loop, add_up, ends);
	const uint64_t start_ns = host_now_ns();

	for (uint64_t number = 0; number < ops && error == 0; number++)
		error = rota_channel_send(&ends.sender, &number);
	rota_sender_close(&ends.sender);
	const int result = rota_group_wait(&group);

	*passing->sample = micro_per_op(start_ns, host_now_ns(), ops, sum);
	return error < 0 ? error : result;
}

int micro_channel_buffered_own(const struct micro_work *work,
			       struct micro_sample *sample)
{
	struct passing passing = { work, sample, 1024, 0 };

	return rota_run(NULL, send_all, &passing);
}

int micro_channel_across_own(const struct micro_work *work,
			     struct micro_sample *sample)
{
	const struct rota_config config = { .loops = 2,
					    .pin = ROTA_PIN_ALWAYS };
	struct passing passing = { work, sample, 1024, 1 };

	return rota_run(&config, send_all, &passing);
}
