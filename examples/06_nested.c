/* SPDX-License-Identifier: MIT */
/*
 * Groups inside groups: a connection has a group of requests, and a request
 * has a group of its parts, read at the same time. A part that fails is the
 * error of its request, which tells the client; those beside it never hear of
 * it. Then the client hangs up: the connection cancels its group, and once
 * rota_group_wait returns, everything inside is gone.
 *
 * The wrong way: one group for all parts, where the first one that is missing
 * ends the whole connection. Or tasks that nobody waits for: they read on for a
 * client that has gone, into memory that has gone with it.
 */
#include <rota/rota.h>

#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#define REQUESTS 3 /* of a connection, at a time */

struct request {
	int client, source; /* descriptors */
	int result;
};

static int read_part(void *value)
{
	uint64_t part;

	return rota_read(*(int *)value, &part, sizeof(part));
}

/* Reads two parts, and tells the client. A part that cannot be read is an
 * answer, not an error in here. */
static int answer(void *value)
{
	struct request *request = *(struct request **)value;
	struct rota_group parts;
	int error = 0;

	rota_group_open(&parts, NULL);
	for (int i = 0; i < 2 && !error; i++)
		error = rota_go(&parts, read_part, request->source);
	request->result = rota_group_wait(&parts);
	const char *reason = rota_cause().reason;
	printf("%s\n", reason ? reason : strerror(-request->result));
	return error ? error : rota_send_all(request->client, "!", 1, NULL);
}

static int serve(void *value)
{
	struct request *list = *(struct request **)value;
	struct rota_group requests;
	int error = 0;
	char byte;

	rota_group_open(&requests, NULL);
	for (int i = 0; i < REQUESTS && !error; i++)
		error = rota_go(&requests, answer, &list[i]);
	if (!error)
		error = rota_recv(list->client, &byte, 1, 0); /* the end */
	rota_group_cancel(&requests, (struct rota_cancellation){
					     0, "the client hung up" });
	rota_group_wait(&requests);
	rota_shutdown(list->client, SHUT_WR);
	return error;
}

static int run(void *arg)
{
	const int sound = eventfd(2, EFD_SEMAPHORE), quiet = eventfd(0, 0);
	struct rota_group server;
	int pair[2], error;
	char answers[2];

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		return -errno;
	struct request list[REQUESTS] = { { pair[1], sound, 0 },
					  { pair[1], -1, 0 },
					  { pair[1], quiet, 0 } };
	rota_group_open(&server, NULL);
	error = rota_go(&server, serve, list);
	if (!error) /* the last one is never answered */
		error = rota_recv_full(pair[0], answers, 2, NULL);
	rota_close(pair[0]);
	error |= rota_group_wait(&server);
	rota_close(pair[1]);
	rota_close(sound);
	rota_close(quiet);
	if (error || list[0].result || list[1].result != -EBADF)
		return -EPROTO;
	return list[2].result == -ECANCELED ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
