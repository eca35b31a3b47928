/* SPDX-License-Identifier: MIT */
/*
 * Groups inside groups: a connection has a group of requests, and a request
 * has a group of the parts that it is made of, read at the same time. A part
 * that fails is the error of its request, which tells the client; the requests
 * beside it never hear of it. Then the client hangs up: the connection cancels
 * its group, and once rota_group_wait returns, everything inside is gone.
 *
 * The wrong way: one group for the parts of all requests, where the first file
 * that is missing ends the whole connection. Or tasks that nobody waits for:
 * they read on for a client that has gone, into memory that has gone with it.
 */
#include <rota/rota.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct request {
	int client;
	char path[32];
};

static int read_part(void *value)
{
	const int fd = rota_open(*(const char **)value, O_RDONLY, 0);
	char text[512];
	int n;

	if (fd < 0)
		return fd;
	n = rota_read(fd, text, sizeof(text));
	rota_close(fd);
	return n;
}

/* Reads what was asked for between a head and a foot; tells the client how
 * that went. A file that cannot be read is an answer, not an error in here. */
static int answer(void *value)
{
	const struct request *request = value;
	const char *const paths[] = { "/proc/self/stat", request->path,
				      "/proc/self/statm" };
	struct rota_group parts;
	int refused = 0, error;

	rota_group_open(&parts, NULL);
	for (int i = 0; i < 3 && !refused; i++)
		refused = rota_go(&parts, read_part, paths[i]);
	error = rota_group_wait(&parts);
	if (!error)
		error = refused;
	if (rota_cause().reason)
		printf("a request was stopped: %s\n", rota_cause().reason);
	return rota_send_all(request->client, &error, sizeof(error), NULL);
}

static int serve(int client)
{
	struct request request = { .client = client };
	struct rota_group requests;
	int error = 0, n;

	rota_group_open(&requests, NULL);
	do {
		memset(request.path, 0, sizeof(request.path));
		n = rota_recv(client, request.path, sizeof(request.path) - 1,
			      0);
		if (n > 0)
			error = rota_go(&requests, answer, request);
	} while (n > 0 && !error);
	rota_group_cancel(&requests, (struct rota_cancellation){
					     0, "the client hung up" });
	rota_group_wait(&requests);
	rota_close(client);
	return n < 0 ? n : error; /* 0: it hung up */
}

/* What became of a request, as the server tells it. */
static int ask(int fd, const char *path)
{
	int result = 0, n = rota_send_all(fd, path, strlen(path), NULL);

	if (!n)
		n = rota_recv(fd, &result, sizeof(result), 0);
	printf("%s: %s\n", path, strerror(-result));
	return n == sizeof(result) ? result : -EPROTO;
}

/* The client. Asks for a pipe into which nobody writes, goes on, and hangs up:
 * the server closes the connection once everything for it is gone. */
static int talk(void *value)
{
	const int fd = *(int *)value;
	int quiet[2] = { -1, -1 }, error, good, bad, rest;
	char path[32];

	error = pipe2(quiet, O_CLOEXEC) < 0 ? -errno : 0;
	snprintf(path, sizeof(path), "/dev/fd/%d", quiet[0]);
	if (!error)
		error = rota_send_all(fd, path, strlen(path), NULL);
	good = ask(fd, "/proc/self/status");
	bad = ask(fd, "/proc/self/missing");
	rota_shutdown(fd, SHUT_WR);
	if (!error)
		error = rota_recv(fd, &rest, sizeof(rest), 0);
	rota_close(fd);
	rota_close(quiet[0]);
	rota_close(quiet[1]);
	return error || good || bad != -ENOENT ? -EPROTO : 0;
}

static int run(void *arg)
{
	struct rota_group clients;
	int pair[2], error, served, result;

	(void)arg;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	rota_group_open(&clients, NULL);
	error = rota_go(&clients, talk, pair[0]);
	if (error)
		rota_close(pair[0]);
	served = serve(pair[1]);
	result = rota_group_wait(&clients);
	return error ? error : served ? served : result;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
