/* SPDX-License-Identifier: MIT */
/*
 * Outputs beside a small model, in random rounds: several tasks write messages
 * of random lengths, wait or do not, give up, flush; the peer reads slowly, or
 * stops, or goes away; somebody closes the descriptor, cancels, closes the
 * output in time or not; completions arrive late and in another order.
 *
 * The model: messages have tickets, in the order in which they were handed
 * over. What the peer gets is all that were accepted, in this order, from the
 * first byte on, as much as the output says was sent; at its end there may be
 * some of a long one that was not accepted. A close that returns 0 has sent
 * everything.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/random.h"
#include "support/timed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ROUNDS 4000
#define MEMORY_MAX 200
#define MESSAGES_MAX 256
#define WRITERS_MAX 5

/* What the peer does. */
enum peer {
	PEER_READS,
	PEER_STOPS,   /* reading, at some point */
	PEER_LEAVES,  /* closes its end */
	PEER_REMAINS, /* but this end is closed */
	PEERS
};

enum ending {
	END_IN_TIME,
	END_LATE,      /* in a deadline */
	END_CANCELLED, /* the group is */
	END_SHIELDED,  /* the group is, the close in a shield */
	ENDINGS
};

struct message {
	size_t bytes;
	bool accepted;
};

struct play {
	struct test_kernel kernel;
	struct test_random random;
	struct rota_group group;
	struct rota_output output;
	unsigned char memory[MEMORY_MAX + 8];
	size_t memory_bytes;
	int64_t write_ns;
	enum peer peer_does;
	enum ending ending;
	int fd, peer;
	bool closing, closed;
	int error;     /* what ended the output, as the first was told */
	int outcome;   /* of the close */
	size_t left;   /* pending after it */
	uint64_t sent; /* as the output says */
	struct message messages[MESSAGES_MAX];
	unsigned count;     /* of tickets */
	size_t accepted;    /* bytes of messages whose call has returned */
	size_t until;       /* the peer does what it does after so many */
	unsigned char *got; /* what the peer has got */
	size_t got_count;
	const char *broken; /* the first law that was, or NULL */
	int seen;           /* with this value */
};

#define GOT_MAX (MESSAGES_MAX * 3 * MEMORY_MAX)

static void expect(struct play *play, bool kept, const char *law, int seen)
{
	if (kept || play->broken)
		return;
	play->broken = law;
	play->seen = seen;
}

static unsigned dice(struct play *play, unsigned end)
{
	return (unsigned)test_random_below(&play->random, end);
}

static unsigned char byte_of(unsigned ticket, size_t index)
{
	return (unsigned char)(ticket * 37 + index * (ticket | 1) + 11);
}

/* Mostly short, at times nothing, at times longer than all memory. */
static size_t any_length(struct play *play)
{
	const size_t all = play->memory_bytes;

	switch (dice(play, 8)) {
	case 0:
		return 0;
	case 1:
		return all + 1 + dice(play, (unsigned)all * 2);
	case 2:
		return all;
	default:
		return 1 + dice(play, (unsigned)all);
	}
}

/* May this be what a call was told, that was not accepted? `own` is the code of
 * its task by now: it may have been another one when it was told. */
static void judge_refusal(struct play *play, int code, int own)
{
	if (code == -EAGAIN || code == -EMSGSIZE)
		return;
	if (own && (code == -ETIME || code == -ECANCELED))
		return;
	if (code == -EPIPE && play->closing)
		return;
	if (!play->error)
		play->error = code;
	expect(play, code == play->error, "all are told the same", code);
	switch (code) {
	case -ETIMEDOUT:
		expect(play, play->write_ns != 0, "a deadline that was not",
		       code);
		break;
	case -EPIPE:
	case -ECONNRESET:
		expect(play, play->peer_does == PEER_LEAVES, "who left", code);
		break;
	case -EBADF:
		expect(play, play->peer_does == PEER_REMAINS, "who closed",
		       code);
		break;
	default:
		expect(play, code == -ECONNABORTED, "an error of its own",
		       code);
	}
}

static void write_one(struct play *play)
{
	unsigned char bytes[3 * MEMORY_MAX + 1];
	const unsigned ticket = play->count++;
	struct message *message = &play->messages[ticket];
	const bool hurried = !dice(play, 4), tried = !dice(play, 4);
	struct rota_deadline deadline;
	int code, own;

	message->bytes = any_length(play);
	for (size_t i = 0; i < message->bytes; i++)
		bytes[i] = byte_of(ticket, i);
	rota_deadline_begin(&deadline, hurried ? rota_after_ns(dice(play, 40))
					       : ROTA_NEVER);
	code = tried ? rota_output_try_write(&play->output, bytes,
					     message->bytes)
		     : rota_output_write(&play->output, bytes, message->bytes);
	own = rota_cancelled();
	rota_deadline_end(&deadline);
	memset(bytes, 0xa5, sizeof(bytes));
	message->accepted = !code;
	if (code)
		judge_refusal(play, code, own);
	else
		play->accepted += message->bytes;
}

static void flush(struct play *play)
{
	const size_t accepted = play->accepted;
	const int code = rota_output_flush(&play->output);

	if (code)
		judge_refusal(play, code, rota_cancelled());
	else
		expect(play, play->output.sent >= accepted,
		       "a flush that was over too soon",
		       (int)play->output.sent);
}

static int write_many(void *value)
{
	struct play *play = *(struct play **)value;

	for (unsigned left = dice(play, 40); left; left--) {
		if (play->closed || play->count == MESSAGES_MAX)
			break;
		if (dice(play, 8))
			write_one(play);
		else
			flush(play);
		/* From here on it may be gone. */
		if (play->closed)
			break;
		expect(play,
		       rota_output_pending(&play->output) <= play->memory_bytes,
		       "more is pending than fits",
		       (int)rota_output_pending(&play->output));
		if (rota_sleep(dice(play, 3) ? 0 : dice(play, 30)))
			break;
	}
	return 0;
}

static void receive(struct play *play, size_t most)
{
	const ssize_t n = recv(play->peer, play->got + play->got_count, most,
			       MSG_DONTWAIT);

	if (n > 0)
		play->got_count += (size_t)n;
}

/* Is the same in a cancelled group: the peer is somewhere else. */
static int be_peer(void *value)
{
	struct play *play = *(struct play **)value;
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	while (!play->closed) {
		if (play->peer_does == PEER_READS ||
		    play->got_count < play->until)
			receive(play, 1 + dice(play, 3 * MEMORY_MAX));
		else if (play->peer_does == PEER_LEAVES && play->peer >= 0) {
			close(play->peer);
			play->peer = -1;
		} else if (play->peer_does == PEER_REMAINS && play->fd >= 0) {
			const int fd = play->fd;

			play->fd = -1;
			expect(play, !rota_close(fd), "a close", 0);
		}
		expect(play, !rota_sleep(1 + dice(play, 20)),
		       "the peer's sleep", 0);
	}
	rota_shield_end(&shield);
	return 0;
}

static void close_output(struct play *play)
{
	struct rota_deadline deadline;
	struct rota_shield shield;

	if (play->ending >= END_CANCELLED)
		rota_group_cancel(&play->group,
				  (struct rota_cancellation){ 0 });
	if (play->ending == END_SHIELDED)
		rota_shield_begin(&shield, ROTA_NEVER);
	rota_deadline_begin(&deadline, play->ending == END_LATE
					       ? rota_after_ns(dice(play, 100))
					       : ROTA_NEVER);
	play->closing = true;
	play->outcome = rota_output_close(&play->output);
	play->closed = true;
	play->left = rota_output_pending(&play->output);
	play->sent = play->output.sent;
	memset(play->memory, 0xa5, play->memory_bytes);
	if (play->left && play->outcome == rota_cancelled())
		expect(play, play->outcome != 0, "dropped without a word", 0);
	else if (play->outcome)
		judge_refusal(play, play->outcome, 0);
	rota_deadline_end(&deadline);
	if (play->ending == END_SHIELDED)
		rota_shield_end(&shield);
}

static int direct(void *arg)
{
	struct play *play = arg;
	const struct rota_output_options options = {
		.group = &play->group,
		.memory = play->memory,
		.bytes = play->memory_bytes,
		.write_ns = play->write_ns
	};
	int error;

	if (dice(play, 2))
		test_kernel_shuffle(&play->kernel,
				    test_random_next(&play->random));
	rota_group_open(&play->group, &(struct rota_group_options){
					      .mode = ROTA_GROUP_KEEP_GOING });
	error = rota_output_open(&play->output, play->fd, &options);
	for (unsigned i = dice(play, WRITERS_MAX + 1); i; i--)
		error |= rota_go(&play->group, write_many, play);
	error |= rota_go(&play->group, be_peer, play);
	error |= rota_sleep(dice(play, 2) ? dice(play, 100) : dice(play, 3000));
	close_output(play);
	rota_group_wait(&play->group);
	return error;
}

/* Something always ends it. */
static void write_play(struct play *play)
{
	play->memory_bytes = 1 + dice(play, MEMORY_MAX);
	memset(play->memory, 0x5a, sizeof(play->memory));
	play->peer_does = dice(play, 2) ? PEER_READS
					: (enum peer)dice(play, PEERS);
	play->ending = (enum ending)dice(play, ENDINGS);
	play->until = dice(play, 2000);
	play->write_ns = dice(play, 2) ? 0 : 10 + dice(play, 200);
	if (play->peer_does == PEER_STOPS && !play->write_ns)
		play->ending = dice(play, 2) ? END_LATE : END_CANCELLED;
}

static int open_pair(struct play *play)
{
	const int least = 1;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	play->fd = pair[0];
	play->peer = pair[1];
	return setsockopt(play->fd, SOL_SOCKET, SO_SNDBUF, &least,
			  sizeof(least));
}

/* All of what was sent and not read. */
static void drain(struct play *play)
{
	size_t before;

	do {
		before = play->got_count;
		receive(play, GOT_MAX - play->got_count);
	} while (play->got_count > before);
}

/* What the peer got are messages that were accepted, whole and in order, and at
 * last perhaps some of one that was longer than the memory. */
static void judge_bytes(struct play *play)
{
	size_t at = 0;

	for (unsigned ticket = 0; ticket < play->count; ticket++) {
		const struct message *message = &play->messages[ticket];
		size_t same = 0;

		while (same < message->bytes && at + same < play->got_count &&
		       play->got[at + same] == byte_of(ticket, same))
			same++;
		if (message->accepted || (message->bytes > play->memory_bytes &&
					  at + same == play->got_count))
			at += same;
		if (message->accepted && same < message->bytes)
			break;
	}
	expect(play, at == play->got_count, "bytes that are not the next ones",
	       (int)at);
}

static void judge(struct play *play)
{
	if (play->peer >= 0)
		drain(play);
	judge_bytes(play);
	expect(play, play->peer < 0 || play->got_count == play->sent,
	       "what was sent is there", (int)play->got_count);
	expect(play, play->outcome || play->left == 0, "all is sent",
	       (int)play->left);
	expect(play, play->outcome || play->sent == play->accepted,
	       "nothing else is", (int)play->sent);
	expect(play, play->accepted <= play->sent + play->left,
	       "what was accepted is sent or left", (int)play->accepted);
	for (size_t i = 0; i < sizeof(play->memory); i++)
		expect(play,
		       play->memory[i] ==
			       (i < play->memory_bytes ? 0xa5 : 0x5a),
		       "the memory is the caller's", (int)i);
}

static void run_play(struct play *play, unsigned char *got)
{
	const struct test_random random = play->random;

	memset(play, 0, sizeof(*play));
	play->random = random;
	play->got = got;
	write_play(play);
	assert_int_equal(open_pair(play), 0);
	assert_int_equal(test_run_timed_with(NULL, &play->kernel, direct, play),
			 0);
	judge(play);
	if (play->fd >= 0)
		close(play->fd);
	if (play->peer >= 0)
		close(play->peer);
}

static void random_writers_readers_and_ends_keep_the_model(void **state)
{
	static struct play play;
	unsigned char *got = malloc(GOT_MAX);

	(void)state;
	test_random_init(&play.random);
	for (unsigned round = 0; round < test_rounds(ROUNDS); round++) {
		const uint64_t seed = play.random.state;

		run_play(&play, got);
		if (play.broken)
			print_error("round %u (SEED=%llu): %s: %d; peer %d, "
				    "ending %d, write_ns %lld, outcome %d, "
				    "left %zu, sent %zu, accepted %zu\n",
				    round, (unsigned long long)seed,
				    play.broken, play.seen, play.peer_does,
				    play.ending, (long long)play.write_ns,
				    play.outcome, play.left, (size_t)play.sent,
				    play.accepted);
		assert_null(play.broken);
	}
	free(got);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			random_writers_readers_and_ends_keep_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
