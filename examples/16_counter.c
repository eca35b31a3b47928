/* SPDX-License-Identifier: MIT */
/*
 * Counting from every loop, in four ways. What one loop alone counts is a plain
 * variable. What is counted often and read seldom is a rota_counter: each loop
 * adds to a line of its own, and who wants to know adds them up. A number that
 * decides something, as who gets the last ticket, is an atomic variable: what
 * it was and what it is now are one step. And numbers that belong together are
 * changed under a mutex.
 *
 * The wrong ways: a plain variable for two loops, which loses some. A mutex for
 * statistics: all loops wait for each other, over a number that nobody reads.
 * One atomic for statistics: its cache line goes to and fro at each step. A
 * rota_counter to decide something: between the sum and the add others add.
 */
#include <rota/rota.h>

#include <stdatomic.h>
#include <stdio.h>

#define CLIENTS 8
#define CALLS 1000
#define TICKETS 500

struct box {
	struct rota_counter calls; /* statistics */
	atomic_int tickets;        /* that are left: decides */
	struct rota_mutex mutex;   /* of the two that belong together */
	int sold, income;
};

/* One more of two numbers that have to fit. */
static int sell(struct box *box)
{
	const int error = rota_mutex_lock(&box->mutex);

	if (error)
		return error;
	box->sold++;
	box->income += 20;
	rota_mutex_unlock(&box->mutex);
	return 0;
}

static int call_often(void *value)
{
	struct box *box = *(struct box **)value;
	int error = 0;

	for (int i = 0; i < CALLS && !error; i++) {
		rota_counter_add(&box->calls, 1);
		if (atomic_fetch_sub(&box->tickets, 1) > 0)
			error = sell(box);
		rota_yield();
	}
	return error;
}

static int run(void *arg)
{
	struct box box = { .tickets = TICKETS };
	struct rota_group group;
	int started = 0, error = 0, result; /* one loop's: plain data */

	(void)arg;
	rota_counter_init(&box.calls);
	rota_mutex_init(&box.mutex, NULL);
	rota_group_open(&group, NULL);
	while (started < CLIENTS && !error) {
		error = rota_go_on(&group, (unsigned)started % rota_loops(),
				   call_often, &box);
		started += !error;
	}
	result = rota_group_wait(&group);
	rota_mutex_fini(&box.mutex);
	printf("%d clients, %lld calls, %d sold, %d earned\n", started,
	       (long long)rota_counter_sum(&box.calls), box.sold, box.income);
	if (error || result)
		return error ? error : result;
	if (rota_counter_sum(&box.calls) != CLIENTS * CALLS)
		return -EPROTO;
	return box.sold == TICKETS && box.income == 20 * TICKETS ? 0 : -EPROTO;
}

int main(void)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, run, NULL) < 0;
}
