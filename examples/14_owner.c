/* SPDX-License-Identifier: MIT */
/*
 * A task that owns something: it alone touches the stock, so there is no lock,
 * also while it waits half-way through an order. Others, on every loop, ask and
 * wait for its answer. One has no patience, and goes while the owner has its
 * order in hand: that answer is dropped. The owner never waits to answer.
 *
 * The wrong way: a reply channel in each request. Once the asker has gone
 * nobody receives from it, and the owner waits in its send for ever. Or a
 * pointer to where the answer goes: into a frame that has gone with the asker.
 */
#include <rota/rota.h>

#include <stdio.h>

#define BUYERS 20
#define PIECES 3 /* that each of them wants */

struct order {
	int pieces;
	int64_t takes_ns; /* to see to it */
};

struct shop {
	struct rota_requests orders;
	int stock; /* its keeper's own */
};

/* Until all buyers have gone: the group cancels it then. */
static int keep_shop(void *value)
{
	struct shop *shop = *(struct shop **)value;
	struct rota_ticket ticket;

	while (!rota_requests_take(&shop->orders, &ticket)) {
		const struct order *order = ticket.request;
		int sold = order->pieces <= shop->stock ? order->pieces : 0;

		if (rota_sleep(order->takes_ns))
			sold = 0;
		shop->stock -= sold;
		rota_requests_answer(&ticket, &sold);
	}
	return 0;
}

static int buy(void *value)
{
	struct shop *shop = *(struct shop **)value;
	const struct order order = { .pieces = PIECES };
	int sold, error = rota_request(&shop->orders, &order, &sold);

	return error ? error : sold == PIECES ? 0 : -ENODATA;
}

static int buy_in_a_hurry(struct shop *shop)
{
	const struct order order = { PIECES, 60 * ROTA_MILLISECOND };
	struct rota_deadline patience;
	int sold, error;

	rota_deadline_begin(&patience, rota_after_ns(20 * ROTA_MILLISECOND));
	error = rota_request(&shop->orders, &order, &sold);
	rota_deadline_end(&patience);
	printf("in a hurry: %s\n", error == -ETIME ? "gone" : "stayed");
	return error == -ETIME ? 0 : -EPROTO;
}

static int run(void *arg)
{
	const struct rota_requests_options options = { sizeof(struct order),
						       sizeof(int),
						       .capacity = 4 };
	struct shop shop = { .stock = (BUYERS + 1) * PIECES };
	struct rota_group group;
	int error = rota_requests_open(&shop.orders, &options), result;

	(void)arg;
	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go_background(&group, keep_shop, &shop);
	if (!error)
		error = buy_in_a_hurry(&shop);
	for (unsigned i = 0; i < BUYERS && !error; i++)
		error = rota_go_on(&group, i % rota_loops(), buy, &shop);
	result = rota_group_wait(&group);
	const unsigned unanswered = rota_requests_inspect(&shop.orders).taken;
	rota_requests_close(&shop.orders);
	printf("the stock after %d buyers: %d\n", BUYERS + 1, shop.stock);
	return error || result || shop.stock || unanswered ? -EPROTO : 0;
}

int main(void)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, run, NULL) < 0;
}
