/* SPDX-License-Identifier: MIT */
/*
 * Redis by hiredis, as if it blocked: its context that does not block, and the
 * task waits for the socket. A command, three in one round trip (a pipeline),
 * and one that takes too long: its deadline ends the wait. Redis has no cancel,
 * so that connection is given up, and the next one is in step.
 *
 *	27_redis [ADDRESS PORT [COMMAND...]]    exits 77: no server
 *
 * The wrong way: redisConnect and redisCommand in a task. They wait in read(2),
 * and every other task of the loop with them. Or, after a deadline, to send the
 * next command over the same connection: the late answer to the first one is
 * taken for its own, and from then on each answer is that of the one before.
 */
#include <rota/rota.h>

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* By number: a name is looked up while all others wait. */
static int connect_to(char **arguments, redisContext **redis)
{
	const char *address = arguments[1] ? arguments[1] : "127.0.0.1";
	const int port = arguments[1] && arguments[2] ? atoi(arguments[2])
						      : 6379;
	int n, error = 0;
	socklen_t bytes = sizeof(error);

	*redis = redisConnectNonBlock(address, port);
	if (!*redis || (*redis)->err)
		return -ECONNREFUSED;
	n = rota_poll((*redis)->fd, POLLOUT);
	if (n >= 0)
		n = rota_getsockopt((*redis)->fd, SOL_SOCKET, SO_ERROR, &error,
				    &bytes);
	return n < 0 ? n : -error;
}

/* The next reply, as redisGetReply has it, which would block. */
static int get_reply(redisContext *redis, redisReply **reply)
{
	void *found = NULL;
	int n = 0, sent = 0;

	for (;;) {
		if (redisGetReplyFromReader(redis, &found))
			return -EPROTO;
		*reply = found;
		if (found)
			return 0;
		if (!sent && redisBufferWrite(redis, &sent))
			return -ECONNRESET;
		n = rota_poll(redis->fd, sent ? POLLIN : POLLIN | POLLOUT);
		if (n < 0 || (n & ~POLLOUT && redisBufferRead(redis)))
			return n < 0 ? n : -ECONNRESET;
	}
}

/* So many of them. */
static int print_replies(redisContext *redis, int count)
{
	redisReply *reply;
	int error = 0;

	while (count-- && !(error = get_reply(redis, &reply))) {
		if (reply->type == REDIS_REPLY_INTEGER)
			printf("%lld\n", reply->integer);
		else
			printf("%s\n", reply->str ? reply->str : "(nothing)");
		freeReplyObject(reply);
	}
	return error;
}

static int run_command(redisContext *redis, char **words)
{
	int count = 0;

	while (words[count])
		count++;
	redisAppendCommandArgv(redis, count, (const char **)words, NULL);
	return print_replies(redis, 1);
}

static int run_three(redisContext *redis, char **words)
{
	(void)words;
	redisAppendCommand(redis, "SET rota-example 41");
	redisAppendCommand(redis, "INCR rota-example");
	redisAppendCommand(redis, "DEL rota-example");
	return print_replies(redis, 3);
}

/* Nobody adds to that list. */
static int run_in_time(redisContext *redis, char **words)
{
	struct rota_deadline deadline;
	int error;

	(void)words;
	rota_deadline_begin(&deadline, rota_after_ns(100 * ROTA_MILLISECOND));
	redisAppendCommand(redis, "BLPOP rota-example-list 60");
	error = print_replies(redis, 1);
	return rota_deadline_end(&deadline) && error == -ETIME ? 0 : error;
}

/* Over a connection of its own, whatever comes of it. */
static int work(char **arguments, int (*fn)(redisContext *redis, char **words),
		char **words)
{
	redisContext *redis;
	int error = connect_to(arguments, &redis);

	if (!error)
		error = fn(redis, words);
	if (redis)
		redisFree(redis);
	return error;
}

static int run(void *arg)
{
	static char *echo[] = { "ECHO", "in step", NULL };
	char **arguments = arg;
	int error;

	if (arguments[1] && arguments[2] && arguments[3]) {
		error = work(arguments, run_command, arguments + 3);
	} else {
		error = work(arguments, run_three, NULL);
		error = error ? error : work(arguments, run_in_time, NULL);
		error = error ? error : work(arguments, run_command, echo);
	}
	if (error)
		printf("%s\n", strerror(-error));
	return error;
}

int main(int argc, char **argv)
{
	const int error = rota_run(NULL, run, argv);

	(void)argc;
	return error == -ECONNREFUSED ? 77 : error != 0;
}
