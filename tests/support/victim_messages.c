/* SPDX-License-Identifier: MIT */
/*
 * Victims that move messages: with a descriptor in them, as datagrams, or as
 * bytes that are spliced from one pipe to another.
 */
#include "rota/rota.h"
#include "support/victim.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MESSAGE_BYTES 512
#define PIPE_BYTES 4096

static int set_up_datagram(struct victim *victim)
{
	return victim_set_up_pair(victim, SOCK_DGRAM);
}

/* A message with room for one descriptor. */
struct message {
	struct msghdr header;
	struct iovec piece;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
};

static void fill_message(struct message *message, void *buffer, size_t bytes)
{
	memset(message, 0, sizeof(*message));
	message->piece = (struct iovec){ buffer, bytes };
	message->header.msg_iov = &message->piece;
	message->header.msg_iovlen = 1;
	message->header.msg_control = message->control;
	message->header.msg_controllen = sizeof(message->control);
}

static void attach(struct message *message, int fd)
{
	struct cmsghdr *control = CMSG_FIRSTHDR(&message->header);

	control->cmsg_level = SOL_SOCKET;
	control->cmsg_type = SCM_RIGHTS;
	control->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(control), &fd, sizeof(fd));
}

/* Counts and closes the descriptor that came with it, if one did. */
static void detach(struct victim *victim, struct message *message)
{
	const struct cmsghdr *control = CMSG_FIRSTHDR(&message->header);
	int fd;

	if (!control || control->cmsg_type != SCM_RIGHTS)
		return;
	memcpy(&fd, CMSG_DATA(control), sizeof(fd));
	victim->got++;
	close(fd);
}

static void pass_one(struct victim *victim)
{
	unsigned char bytes[MESSAGE_BYTES];
	struct message message;
	ssize_t n;

	fill_message(&message, bytes, victim->portion);
	attach(&message, victim->peer);
	victim_fill(victim, bytes, victim->portion);
	n = sendmsg(victim->peer, &message.header, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n <= 0)
		return;
	victim->given += (size_t)n;
	victim->passed++;
}

static int prepare_recvmsg(struct victim *victim)
{
	victim->bytes = 1 + victim_dice(victim, MESSAGE_BYTES);
	victim->portion = 1 + victim_dice(victim, MESSAGE_BYTES);
	if (!victim_dice(victim, 5))
		pass_one(victim);
	return 0;
}

static int call_recvmsg(struct victim *victim)
{
	struct message message;
	int n;

	fill_message(&message, victim->buffer, victim->bytes);
	n = rota_recvmsg(victim->fd, &message.header, 0);
	if (n > 0) {
		victim_take(victim, victim->buffer, (size_t)n);
		detach(victim, &message);
	}
	return n;
}

static void check_recvmsg(struct victim *victim)
{
	unsigned char bytes[MESSAGE_BYTES];
	struct message message;
	ssize_t n;

	do {
		fill_message(&message, bytes, sizeof(bytes));
		n = recvmsg(victim->keeper, &message.header,
			    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0) {
			victim_take(victim, bytes, (size_t)n);
			detach(victim, &message);
		}
	} while (n > 0);
	referee_expect(victim->referee, "bytes taken of those given",
		       (int64_t)victim->taken, (int64_t)victim->given);
	referee_expect(victim->referee, "descriptors taken of those passed",
		       (int64_t)victim->got, (int64_t)victim->passed);
}

/* Fills the victim's own direction, in most rounds. */
static int prepare_send(struct victim *victim)
{
	victim->bytes = 1 + victim_dice(victim, MESSAGE_BYTES);
	if (victim_dice(victim, 4))
		while (victim_give(victim, victim->keeper, MESSAGE_BYTES))
			;
	return 0;
}

static int gave(struct victim *victim, int result)
{
	if (result > 0)
		victim->given += (unsigned)result;
	return result;
}

static int call_sendmsg(struct victim *victim)
{
	struct message message;
	int n;

	fill_message(&message, victim->buffer, victim->bytes);
	attach(&message, victim->peer);
	victim_fill(victim, victim->buffer, victim->bytes);
	n = gave(victim, rota_sendmsg(victim->fd, &message.header, 0));
	victim->passed += n > 0;
	return n;
}

static int call_sendto(struct victim *victim)
{
	victim_fill(victim, victim->buffer, victim->bytes);
	return gave(victim, rota_sendto(victim->fd, victim->buffer,
					victim->bytes, 0, NULL));
}

/* Takes all that the victim has sent. */
static void take_messages(struct victim *victim)
{
	unsigned char bytes[MESSAGE_BYTES];
	struct message message;
	ssize_t n;

	do {
		fill_message(&message, bytes, sizeof(bytes));
		n = recvmsg(victim->peer, &message.header,
			    MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (n > 0) {
			victim_take(victim, bytes, (size_t)n);
			detach(victim, &message);
		}
	} while (n > 0);
}

static void check_send(struct victim *victim)
{
	take_messages(victim);
	referee_expect(victim->referee, "bytes sent of those reported",
		       (int64_t)victim->taken, (int64_t)victim->given);
	referee_expect(victim->referee, "descriptors passed",
		       (int64_t)victim->got, (int64_t)victim->passed);
}

static void send_datagram(struct victim *victim)
{
	victim_give(victim, victim->peer, victim->portion);
}

static int prepare_recvfrom(struct victim *victim)
{
	victim->bytes = MESSAGE_BYTES;
	victim->portion = 1 + victim_dice(victim, MESSAGE_BYTES);
	if (!victim_dice(victim, 5))
		send_datagram(victim);
	return 0;
}

static int call_recvfrom(struct victim *victim)
{
	struct rota_address from;
	const int n = rota_recvfrom(victim->fd, victim->buffer, victim->bytes,
				    0, &from);

	if (n > 0)
		victim_take(victim, victim->buffer, (size_t)n);
	return n;
}

/* A pipe whose ends do not block, but for the victim's. */
static int open_pipe(int ends[2], int own)
{
	char path[32];
	int again;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES);
	fcntl(ends[!own], F_SETFL, O_NONBLOCK);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[own]);
	again = open(path,
		     (own ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC);
	return again < 0 ? -errno : again;
}

/* From `keeper`, which is filled by `peer`, to `out`, which `sink` empties. */
static int set_up_splice(struct victim *victim)
{
	int in[2], out[2];

	victim->aside = open_pipe(in, 0);
	victim->out = open_pipe(out, 1);
	if (victim->aside < 0 || victim->out < 0)
		return -EMFILE;
	victim->keeper = in[0];
	victim->peer = in[1];
	victim->sink = out[0];
	close(victim->out);
	victim->out = out[1];
	return 0;
}

static int prepare_splice(struct victim *victim)
{
	victim->bytes = 1 + victim_dice(victim, PIPE_BYTES);
	victim->portion = 1 + victim_dice(victim, PIPE_BYTES);
	if (victim_dice(victim, 2))
		send_datagram(victim);
	victim->junk = 0;
	return 0;
}

/* The pipe that is written to is full of what is not counted. */
static int prepare_splice_full(struct victim *victim)
{
	static const unsigned char junk[PIPE_BYTES];

	prepare_splice(victim);
	victim->junk = PIPE_BYTES;
	return write(victim->out, junk, PIPE_BYTES) == PIPE_BYTES ? 0 : -errno;
}

static int call_splice(struct victim *victim)
{
	const int n =
		rota_splice(victim->fd, -1, victim->out, -1, victim->bytes, 0);

	/* Nothing is written to memory. */
	victim->done = n > 0 ? (size_t)n : 0;
	victim->bytes = 0;
	return n;
}

static int expected_splice(const struct victim *victim,
			   const struct verdict *verdict)
{
	const bool moved = verdict->said % 3 == 0;

	/* Two polls and a move, and again if others were faster. */
	if (moved ? verdict->last != -EAGAIN : verdict->last < 0)
		return verdict->last;
	/* Stopped between them. */
	return victim->closing && victim->result == -EBADF ? -EBADF
							   : verdict->code;
}

static void take_junk(struct victim *victim)
{
	unsigned char bytes[PIPE_BYTES];

	if (victim->junk &&
	    read(victim->sink, bytes, victim->junk) == (ssize_t)victim->junk)
		victim->junk = 0;
}

static void feed_splice(struct victim *victim)
{
	take_junk(victim);
	send_datagram(victim);
}

static void check_splice(struct victim *victim)
{
	const uint64_t before = victim->taken;

	take_junk(victim);
	victim_drain(victim, victim->sink);
	referee_expect(victim->referee, "bytes moved of those reported",
		       (int64_t)(victim->taken - before),
		       (int64_t)victim->done);
	victim_drain(victim, victim->aside);
	referee_expect(victim->referee, "bytes there of those given",
		       (int64_t)victim->taken, (int64_t)victim->given);
}

const struct victim_class victim_messages[] = {
	{ "recvmsg", .set_up = victim_set_up_stream, .prepare = prepare_recvmsg,
	  .call = call_recvmsg, .complete = pass_one, .check = check_recvmsg },
	{ "sendmsg", .set_up = victim_set_up_stream, .prepare = prepare_send,
	  .call = call_sendmsg, .complete = take_messages,
	  .check = check_send },
	{ "recvfrom", .set_up = set_up_datagram, .prepare = prepare_recvfrom,
	  .call = call_recvfrom, .complete = send_datagram,
	  .check = check_recvmsg },
	{ "sendto", .set_up = set_up_datagram, .prepare = prepare_send,
	  .call = call_sendto, .complete = take_messages, .check = check_send },
	{ "splice", VICTIM_MANY | VICTIM_SLOW | VICTIM_STRAYS,
	  .set_up = set_up_splice, .prepare = prepare_splice,
	  .call = call_splice, .complete = feed_splice, .check = check_splice,
	  .expected = expected_splice },
	{ "splice_full", VICTIM_MANY | VICTIM_SLOW | VICTIM_STRAYS,
	  .set_up = set_up_splice, .prepare = prepare_splice_full,
	  .call = call_splice, .complete = feed_splice, .check = check_splice,
	  .expected = expected_splice },
};
const unsigned victim_messages_count =
	sizeof(victim_messages) / sizeof(victim_messages[0]);
