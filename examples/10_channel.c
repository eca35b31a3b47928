/* SPDX-License-Identifier: MIT */
/*
 * Fan-out and fan-in: four tasks search, each a part of the numbers, and send
 * what they find to one channel. Each has a sender of its own and closes it
 * when it is through; the last one out ends the channel, and the receiver is
 * told once it has had everything. Nobody needs to know how many still search.
 * A receiver that has enough closes its own end: who sends then is told -EPIPE.
 *
 * The wrong way: the receiver closes the channel, or the first sender that is
 * through does, and the others send into a closed one: in Go that ends the
 * program. Here only a sender ends a channel, and only the last one. What stays
 * wrong is a sender that nobody closes: the end never comes, and rota names who
 * waits for it.
 */
#include <rota/rota.h>

#include <stdio.h>

#define SEARCHERS 4
#define PART 1000

struct search {
	struct rota_sender found; /* this task's own */
	int from;
};

static bool is_prime(int number)
{
	for (int divisor = 2; divisor * divisor <= number; divisor++)
		if (number % divisor == 0)
			return false;
	return number > 1;
}

static int search_part(void *value)
{
	struct search *search = value;
	const int end = search->from + PART;
	int error = 0;

	for (int i = search->from; i < end && !error; i++)
		if (is_prime(i))
			error = rota_channel_send(&search->found, &i);
	rota_sender_close(&search->found);
	return error == -EPIPE ? 0 : error; /* that was enough */
}

/* Each gets a sender; the one that they are made of is of no use any more. */
static int start(struct rota_group *searchers, struct rota_sender *sender)
{
	int error = 0;

	for (int i = 0; i < SEARCHERS && !error; i++) {
		struct search search = { rota_sender_share(sender), i * PART };

		error = rota_go(searchers, search_part, search);
		if (error) /* it is ours still */
			rota_sender_close(&search.found);
	}
	rota_sender_close(sender);
	return error;
}

/* How many there are, up to so many, or -errno. */
static int find(int wanted)
{
	struct rota_group searchers;
	struct rota_sender sender;
	struct rota_receiver receiver;
	int number, count = 0, n = 1, result;
	int error = rota_channel_open(
		&(struct rota_channel_options){ .item_bytes = sizeof(int) },
		&sender, &receiver);

	if (error)
		return error;
	rota_group_open(&searchers, NULL);
	error = start(&searchers, &sender);
	while (count < wanted &&
	       (n = rota_channel_receive(&receiver, &number)) > 0)
		count++;
	rota_receiver_close(&receiver);
	result = rota_group_wait(&searchers);
	printf("%d found, %s\n", count, n ? "enough" : "and no more");
	return error ? error : result ? result : n < 0 ? n : count;
}

static int run(void *arg)
{
	(void)arg;
	return find(1000) == 550 && find(5) == 5 ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
