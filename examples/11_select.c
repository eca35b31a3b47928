/* SPDX-License-Identifier: MIT */
/*
 * Several things to wait for: numbers are gathered, and go on together when the
 * oldest has waited long enough, or when somebody wants them now. One arm of a
 * select is done; the others have taken nothing, so no number is lost. A cancel
 * ends every select: it needs no arm.
 *
 * The wrong ways: to try one after the other with a sleep in between, which is
 * late for each and never lets the processor rest. Or, as many a loop in Go has
 * it, a new timer in each round: while numbers keep coming none ever ends, and
 * the oldest waits for ever. Here the point in time belongs to the batch.
 */
#include <rota/rota.h>

#include <stdio.h>

struct talk {
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_event wanted; /* nothing is to wait any longer */
};

enum {
	NUMBER,
	DUE,
	WANTED,
	END
};

/* Gathers numbers. Returns what lets them go on, or -errno. */
static int gather(struct talk *talk, int *count)
{
	int64_t due_ns = ROTA_NEVER; /* as long as there is none */
	int number;

	for (*count = 0;; ++*count) {
		struct rota_arm arms[] = {
			[NUMBER] = rota_arm_receive(&talk->receiver, &number),
			[DUE] = rota_arm_deadline(due_ns),
			[WANTED] = rota_arm_event(&talk->wanted),
		};
		const int chosen = rota_select(arms, 3);

		if (chosen != NUMBER || arms[NUMBER].result == 0)
			return chosen == NUMBER ? END : chosen;
		if (*count == 0)
			due_ns = rota_after_ns(20 * ROTA_MILLISECOND);
	}
}

/* Two that nobody is in a hurry for, and one that is wanted. */
static int send_numbers(void *value)
{
	struct talk *talk = *(struct talk **)value;
	int error = 0;

	for (int i = 1; i <= 3 && !error; i++) {
		error = rota_channel_send(&talk->sender, &i);
		if (!error && i == 2)
			error = rota_sleep(60 * ROTA_MILLISECOND);
	}
	rota_event_set(&talk->wanted);
	rota_yield(); /* or the end is there with it, and may be chosen */
	rota_sender_close(&talk->sender);
	return error;
}

static int run(void *arg)
{
	struct rota_channel_options options = { .item_bytes = sizeof(int) };
	int counts[END] = { 0 }, count, why, error;
	struct rota_group group;
	struct talk talk;

	(void)arg;
	error = rota_channel_open(&options, &talk.sender, &talk.receiver);
	if (error)
		return error;
	rota_event_init(&talk.wanted, NULL);
	rota_group_open(&group, NULL);
	error = rota_go(&group, send_numbers, &talk);
	if (error)
		rota_sender_close(&talk.sender);
	while ((why = gather(&talk, &count)) == DUE || why == WANTED) {
		printf("%d %s\n", count, why == DUE ? "waited" : "wanted");
		counts[why] += count;
		rota_event_reset(&talk.wanted);
	}
	rota_receiver_close(&talk.receiver);
	error |= rota_group_wait(&group);
	rota_event_fini(&talk.wanted);
	return error || counts[DUE] != 2 || counts[WANTED] != 1 ? -EPROTO : 0;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
