/* SPDX-License-Identifier: MIT */
/*
 * A rate limit: five tasks call a service that takes one call each 2 ms from
 * all of them together, and up to ten at once after a pause. Tokens come on a
 * schedule that does not move, as a ticker's: who is late does not make the
 * others late. Who waits is served in order, and a cancel or a deadline ends
 * the wait. Who would rather give up than wait has rota_rate_try.
 *
 * The wrong way: a sleep between the calls of each task. Five tasks then make
 * five times the calls, and each is slower than it might be by the time that
 * its calls take. Or to give out what has come since the last time, without a
 * bound: after a quiet hour the service gets an hour's calls at once.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>

#define CALLERS 5
#define CALLS 12 /* of each of them */
#define INTERVAL (2 * ROTA_MILLISECOND)
#define BURST 10

struct service {
	struct rota_rate rate;
	unsigned calls, at_once;
};

static int call_often(void *value)
{
	struct service *service = *(struct service **)value;
	int error = 0;

	for (int i = 0; i < CALLS && !error; i++) {
		error = rota_rate_wait(&service->rate, 1);
		service->calls += !error;
	}
	return error;
}

/* After a pause: how many calls are taken without a wait. */
static int call_at_once(struct service *service)
{
	int error = rota_sleep(5 * BURST * INTERVAL);

	while (!error && !(error = rota_rate_try(&service->rate, 1)))
		service->at_once++;
	return error == -EAGAIN ? 0 : error;
}

static int run(void *arg)
{
	const struct rota_rate_options options = { .interval_ns = INTERVAL,
						   .burst = BURST };
	struct service service = { .calls = 0 };
	const int64_t start_ns = rota_now_ns();
	struct rota_group group;
	int64_t took_ns;
	int error, result;

	(void)arg;
	error = rota_rate_init(&service.rate, &options);
	if (error)
		return error;
	rota_group_open(&group, NULL);
	for (int i = 0; i < CALLERS && !error; i++)
		error = rota_go(&group, call_often, &service);
	result = rota_group_wait(&group);
	took_ns = rota_now_ns() - start_ns;
	printf("%u calls took %lld ms\n", service.calls,
	       (long long)(took_ns / ROTA_MILLISECOND));
	if (!error && !result)
		result = call_at_once(&service);
	printf("after a pause %u went at once\n", service.at_once);
	rota_rate_fini(&service.rate);
	if (error || result)
		return error ? error : result;
	/* A call may come late, but not early. */
	if (took_ns < (CALLERS * CALLS - BURST) * INTERVAL)
		return -EPROTO;
	return service.at_once < 2 * BURST ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
