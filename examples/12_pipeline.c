/* SPDX-License-Identifier: MIT */
/*
 * A pipeline: one task lists numbers, three on any loop count their divisors
 * (fan-out), and one adds up what they send (fan-in). When a stage has come to
 * its end, who is behind works off what is left, and ends too. The first error
 * cancels them all.
 *
 * The wrong way: stages that watch nothing but their channels. When the last
 * one fails and stops to receive, all before it wait in a send for ever. Here
 * the cancel ends that wait, and so does a receiver that is closed.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

struct sum {
	int last;     /* number that was listed */
	int divisors; /* of all that came through */
	int most;     /* that there is room for */
};

/* The source: nothing comes in. > 0: `out` is sent; 0: that was all. */
static int list(void *in, void *out, void *arg)
{
	struct sum *sum = arg;

	(void)in;
	*(int *)out = ++sum->last;
	return sum->last <= 1000;
}

static int count(void *in, void *out, void *arg)
{
	const int number = *(int *)in;
	int *divisors = out;

	(void)arg;
	*divisors = 0;
	for (int i = 1; i <= number; i++)
		*divisors += number % i == 0;
	return 1;
}

/* The sink: nothing goes out. */
static int add(void *in, void *out, void *arg)
{
	struct sum *sum = arg;

	(void)out;
	sum->divisors += *(int *)in;
	return sum->divisors > sum->most ? -ENOSPC : 0;
}

static int add_all(struct sum *sum)
{
	const struct rota_pipeline_stage stages[] = {
		{ .fn = list, .out_bytes = sizeof(int), .arg = sum },
		{ .fn = count,
		  .workers = 3,
		  .spread = true,
		  .out_bytes = sizeof(int) },
		{ .fn = add, .arg = sum },
	};
	struct rota_group group;
	int error, refused;

	rota_group_open(&group, NULL);
	refused = rota_go_pipeline(&group, stages, 3);
	error = rota_group_wait(&group);
	return error ? error : refused;
}

static int run(void *arg)
{
	struct sum good = { .most = 10000 }, bad = { .most = 1000 };
	const int first = add_all(&good), second = add_all(&bad);

	(void)arg;
	printf("%d divisors: %s\n", good.divisors, strerror(-first));
	printf("too many for so little room: %s\n", strerror(-second));
	return good.divisors == 7069 && second == -ENOSPC ? first : -EPROTO;
}

int main(void)
{
	const struct rota_config config = { .loops = 2 };

	return rota_run(&config, run, NULL) < 0;
}
