/* SPDX-License-Identifier: MIT */
/*
 * A cache that is empty, and everybody at once: a thousand tasks ask for one of
 * two pages, which take a while to make. One task makes each, the others wait
 * and get a copy of it, or the error. If the one that makes it is cancelled,
 * only that one is told so; the next one makes it.
 *
 * The wrong way: look into the cache, and make what is not there. While one
 * makes it the others find nothing either, and a thousand make the same page:
 * the moment when a busy entry runs out is the moment when the database goes
 * down. Or one lock around all of it: then each page waits for the slowest one.
 */
#include <rota/rota.h>

#include <stdio.h>

#define ASKERS 1000u

struct site {
	struct rota_flights flights;
	unsigned cache[2]; /* the words of each page; 0: not made yet */
	unsigned made;
};

struct question {
	struct site *site;
	unsigned number; /* of the page */
};

/* For one of those who ask, and all who wait. */
static int make(void *arg, void *value)
{
	const struct question *question = arg;
	unsigned *words = value;
	const int error = rota_sleep(5 * ROTA_MILLISECOND);

	if (error)
		return error;
	question->site->made++;
	*words = 100 + question->number;
	question->site->cache[question->number] = *words;
	return 0;
}

static int look_up(struct question *question, unsigned *words)
{
	struct rota_flight flight = {
		.key = &question->number,
		.key_bytes = sizeof(question->number),
		.fn = make,
		.arg = question,
		.value = words,
		.value_bytes = sizeof(*words),
	};

	*words = question->site->cache[question->number];
	if (*words) /* on one loop nothing comes between this and that */
		return 0;
	return rota_flight_run(&question->site->flights, &flight);
}

static int ask(void *value)
{
	struct question *question = value;
	unsigned words;
	const int error = look_up(question, &words);

	if (error)
		return error;
	return words == 100 + question->number ? 0 : -EPROTO;
}

static int run(void *arg)
{
	struct site site = { .made = 0 };
	struct rota_group group;
	int error = 0, result;

	(void)arg;
	rota_flights_init(&site.flights, NULL);
	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < ASKERS && !error; i++) {
		struct question question = { &site, i % 2 };

		error = rota_go(&group, ask, question);
	}
	result = rota_group_wait(&group);
	rota_flights_fini(&site.flights);
	printf("%u asked, %u pages were made\n", ASKERS, site.made);
	if (error || result)
		return error ? error : result;
	return site.made == 2 ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
