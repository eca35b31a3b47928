/* SPDX-License-Identifier: MIT */
/*
 * A worker pool: four tasks work off letters that come one after the other, in
 * a queue that holds eight. The first error ends it: whoever waits to submit
 * goes on, no more letters are worked on, and those in the queue are given to
 * the discard function. Each is worked on, or discarded, or still its sender's:
 * one of these, and once. (.spread = true: by workers on every loop.)
 *
 * The wrong way: some workers on a channel, each of which ends with its error.
 * The last one that dies leaves the feeder in a send for ever, and in the queue
 * letters that nobody will free.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct office {
	const char *unreadable; /* the letter that ends it all; or NULL */
	int written, worked, discarded, refused;
};

static int work_on(void *item, void *arg)
{
	char *letter = *(char **)item;
	struct office *office = arg;
	int error = rota_sleep(ROTA_MILLISECOND);

	office->worked++;
	if (office->unreadable && strcmp(letter, office->unreadable) == 0)
		error = -EBADMSG;
	free(letter);
	return error;
}

/* Nobody will work on it any more. */
static void discard(void *item, void *arg)
{
	struct office *office = arg;

	office->discarded++;
	free(*(char **)item);
}

static int submit_all(struct rota_pool *pool, struct office *office)
{
	char *letter;
	int error = 0;

	while (office->written < 100 && !error) {
		if (asprintf(&letter, "letter %d", ++office->written) < 0)
			return -ENOMEM;
		error = rota_pool_submit(pool, &letter);
		if (error) { /* it is ours still */
			office->refused++;
			free(letter);
		}
	}
	return error;
}

static int work_off(struct office *office)
{
	const struct rota_pool_options options = {
		.workers = 4,
		.capacity = 8,
		.item_bytes = sizeof(char *),
		.fn = work_on,
		.discard = discard,
		.arg = office,
	};
	struct rota_pool pool;
	int error = rota_pool_open(&pool, &options), refused;

	if (error)
		return error;
	refused = submit_all(&pool, office);
	error = rota_pool_close(&pool);
	printf("worked on %d, discarded %d, refused %d: %s\n", office->worked,
	       office->discarded, office->refused, strerror(-error));
	return error ? error : refused;
}

static int run(void *arg)
{
	struct office good = { 0 }, bad = { .unreadable = "letter 20" };

	(void)arg;
	if (work_off(&good) || good.worked != 100 || work_off(&bad) != -EBADMSG)
		return -EPROTO;
	return bad.written - bad.worked - bad.discarded - bad.refused;
}

int main(void)
{
	return rota_run(NULL, run, NULL) != 0;
}
