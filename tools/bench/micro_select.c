// SPDX-License-Identifier: MIT
/*
 * What does a select cost that has four receivers to choose from, of which one
 * has an item? The item's send is in it.
 */
#include <rota/rota.h>

#include "host.h"
#include "micro.h"

#define ARMS 4u

struct choice {
	const struct micro_work *work;
	struct micro_sample *sample;
	struct rota_sender senders[ARMS];
	struct rota_receiver receivers[ARMS];
	struct rota_arm arms[ARMS];
	uint64_t item;
	uint64_t sum; /* of what was received, and of the arms */
};

static int choose(struct choice *choice, uint64_t ops)
{
	for (uint64_t number = 0; number < ops; number++) {
		const int error = rota_channel_send(
			&choice->senders[number * 7 / 4 % ARMS], &number);
		const int arm = rota_select(choice->arms, ARMS);

		if (error < 0 || arm < 0)
			return error < 0 ? error : arm;
		choice->sum += choice->item + (unsigned)arm;
	}
	return 0;
}

static int open_all(struct choice *choice)
{
	const struct rota_channel_options options = { .item_bytes =
							      sizeof(uint64_t),
						      .capacity = 1 };
	int error = 0;

	for (unsigned i = 0; i < ARMS && !error; i++) {
		error = rota_channel_open(&options, &choice->senders[i],
					  &choice->receivers[i]);
		choice->arms[i] =
			rota_arm_receive(&choice->receivers[i], &choice->item);
	}
	return error;
}

static int run(void *arg)
{
	struct choice *choice = arg;
	const uint64_t ops = choice->work->ops;
	int error = open_all(choice);

	if (error == 0)
		error = choose(choice, ops / 10);
	const uint64_t start_ns = host_now_ns();

	if (error == 0)
		error = choose(choice, ops);
	*choice->sample =
		micro_per_op(start_ns, host_now_ns(), ops, choice->sum);
	for (unsigned i = 0; i < ARMS && !error; i++) {
		rota_sender_close(&choice->senders[i]);
		rota_receiver_close(&choice->receivers[i]);
	}
	return error;
}

int micro_select_own(const struct micro_work *work, struct micro_sample *sample)
{
	struct choice choice = { .work = work, .sample = sample };

	return rota_run(NULL, run, &choice);
}
