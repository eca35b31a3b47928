/* SPDX-License-Identifier: MIT */
/*
 * The buffered reader against a model that has the whole text before it: random
 * text in random pieces, read from sockets, streams and pipes by random verbs
 * with memory of any size and deadlines anywhere, up to the end or a reset.
 */
#include "rota/rota.h"
#include "support/pair.h"
#include "support/random.h"
#include "support/timed.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_MAX 400
#define MEMORY_MAX 40

/* The first three hand out a span. */
enum verb {
	UNTIL,
	LINE,
	PEEK,
	EXACTLY,
	READ,
	SKIP,
	SKIP_UNTIL,
	VERBS
};

struct round {
	struct test_random random;  /* of what is read */
	struct test_random feeding; /* of what is sent */
	char text[TEXT_MAX + 1];    /* all that is sent */
	size_t bytes;               /* of it */
	size_t at;                  /* where that begins which was not taken */
	size_t room;                /* of the reader's memory */
	size_t piece_max;           /* bytes that come at once */
	bool streams;               /* it is read by way of a stream */
	bool resets;                /* the end is an error (once, without) */
	int pair[2];                /* the reader's end, and the feeder's */
	char memory[MEMORY_MAX];
	char buffer[TEXT_MAX + 64];
	struct rota_reader reader;
	const char *wrong; /* the first law that was broken */
	int verb, seen;    /* by what, and what it returned */
};

/* One verb, and what it did. */
struct step {
	enum verb verb;
	size_t bytes;          /* that are asked for */
	const char *delimiter; /* that is looked for */
	bool late;             /* the deadline was over at the start */
	int result;            /* what it returned */
	size_t done;           /* what it told */
	struct rota_span span; /* what it handed out */
};

static const char *const delimiters[] = { "\n", "\r\n", "\r\n\r\n", "a",
					  "ab", "aab",  "\n\n",     "aa" };

#define DELIMITERS (sizeof(delimiters) / sizeof(*delimiters))

static size_t below(struct test_random *random, size_t end)
{
	return (size_t)test_random_below(random, end);
}

static void law(struct round *round, const struct step *step, bool kept,
		const char *words)
{
	if (kept || round->wrong)
		return;
	round->wrong = words;
	round->verb = (int)step->verb;
	round->seen = step->result;
}

static int feed(void *value)
{
	struct round *round = *(struct round **)value;
	size_t sent = 0;
	int n = 0;

	while (n >= 0 && sent < round->bytes) {
		size_t piece = 1 + below(&round->feeding, round->piece_max);

		if (piece > round->bytes - sent)
			piece = round->bytes - sent;
		n = rota_sleep((int64_t)below(&round->feeding, 3));
		if (!n)
			n = rota_write(round->pair[1], round->text + sent,
				       piece);
		if (n > 0)
			sent += (size_t)n;
	}
	return (n < 0 ? n : 0) | rota_close(round->pair[1]);
}

static void call(struct round *round, struct step *step)
{
	struct rota_reader *reader = &round->reader;

	switch (step->verb) {
	case UNTIL:
		step->result =
			rota_reader_until(reader, step->delimiter, &step->span);
		break;
	case LINE:
		step->result = rota_reader_line(reader, &step->span);
		break;
	case PEEK:
		step->result =
			rota_reader_peek(reader, step->bytes, &step->span);
		break;
	case EXACTLY:
		step->result = rota_reader_exactly(reader, round->buffer,
						   step->bytes, &step->done);
		break;
	case READ:
		step->result =
			rota_reader_read(reader, round->buffer, step->bytes);
		break;
	case SKIP:
		step->result =
			rota_reader_skip(reader, step->bytes, &step->done);
		break;
	default:
		step->result = rota_reader_skip_until(reader, step->delimiter,
						      &step->done);
	}
}

/* The model: bytes up to and with the delimiter, 0 if there is none. */
static size_t find(const struct round *round, const char *delimiter)
{
	const char *start = round->text + round->at;
	const char *found = strstr(start, delimiter);

	return found ? (size_t)(found - start) + strlen(delimiter) : 0;
}

/* The model: what is said where the text ends. */
static int end_code(const struct round *round, bool nothing_left)
{
	if (round->resets)
		return -ECONNRESET;
	return nothing_left ? 0 : -ENODATA;
}

/* The model: what is returned by who waits for ever; of those that hand out or
 * take some, 1 for any number. */
static int expect(const struct round *round, const struct step *step)
{
	const size_t left = round->bytes - round->at;
	const bool fits = strlen(step->delimiter) <= round->room;
	size_t found;

	switch (step->verb) {
	case UNTIL:
	case LINE:
		found = find(round, step->delimiter);
		if (found && found <= round->room)
			return (int)found;
		return left >= round->room || !fits ? -EMSGSIZE
						    : end_code(round, !left);
	case PEEK:
		if (step->bytes > round->room)
			return -EMSGSIZE;
		return left >= step->bytes ? 1 : end_code(round, !left);
	case READ:
		return left ? 1 : end_code(round, true);
	case SKIP_UNTIL:
		if (!fits)
			return -EMSGSIZE;
		return find(round, step->delimiter) ? 0
						    : end_code(round, false);
	default:
		return left >= step->bytes ? 0 : end_code(round, false);
	}
}

/* The model: the most that the verb may have taken. */
static size_t expect_done(const struct round *round, const struct step *step)
{
	const size_t left = round->bytes - round->at;
	const size_t found = step->verb == SKIP_UNTIL
				     ? find(round, step->delimiter)
				     : step->bytes;

	return found && found < left ? found : left;
}

static void check_result(struct round *round, const struct step *step)
{
	const int expected = expect(round, step), seen = step->result;
	const bool some = step->verb == PEEK || step->verb == READ;

	if (step->late)
		law(round, step, seen == -ETIME, "who is late is refused");
	else if (seen != -ETIME && some && expected == 1)
		law(round, step, seen > 0, "some are there");
	else if (seen != -ETIME)
		law(round, step, seen == expected, "another result");
	if (seen == -ECONNRESET && !round->streams)
		round->resets = false; /* the next one finds the end */
}

static void check_span(struct round *round, const struct step *step)
{
	const struct rota_span span = step->span;
	const char *text = round->text + round->at;
	size_t bytes = step->result > 0 ? (size_t)step->result : 0;

	if (step->verb == PEEK)
		law(round, step, step->result <= 0 || bytes >= step->bytes,
		    "too few are handed out");
	if (step->verb == LINE && bytes) {
		law(round, step, !span.data[span.bytes], "no string");
		bytes -= bytes > 1 && text[bytes - 2] == '\r' ? 2 : 1;
	}
	law(round, step, span.bytes == bytes, "another length is handed out");
	law(round, step, !span.bytes || !memcmp(span.data, text, span.bytes),
	    "other bytes are handed out");
}

/* What was taken is gone on from. */
static void check_taken(struct round *round, const struct step *step)
{
	const size_t most = expect_done(round, step);
	size_t taken = 0;

	if (step->verb == UNTIL || step->verb == LINE || step->verb == READ)
		taken = step->result > 0 ? (size_t)step->result : 0;
	else if (step->verb != PEEK)
		taken = step->done;
	if (step->verb == READ)
		law(round, step, taken <= step->bytes, "more than asked for");
	if (step->verb == EXACTLY || step->verb == SKIP ||
	    step->verb == SKIP_UNTIL) {
		law(round, step, taken <= most, "too many are taken");
		law(round, step, taken == 0 || step->result != -EMSGSIZE,
		    "taken, though refused");
		law(round, step, step->result || taken == most,
		    "not all are taken");
		law(round, step, step->result != -ENODATA || taken == most,
		    "not all are taken up to the end");
	}
	if (step->verb == EXACTLY || step->verb == READ)
		law(round, step,
		    !memcmp(round->buffer, round->text + round->at, taken),
		    "other bytes are taken");
	round->at += taken;
}

static void check_ready(struct round *round, const struct step *step)
{
	const struct rota_span ready = rota_reader_ready(&round->reader);

	law(round, step, ready.bytes <= round->bytes - round->at,
	    "more is ready than was sent");
	law(round, step, ready.bytes <= round->room, "more than there is room");
	law(round, step,
	    !memcmp(ready.data, round->text + round->at, ready.bytes),
	    "other bytes are ready");
}

/* True at the end. */
static bool take_step(struct round *round)
{
	struct test_random *random = &round->random;
	struct step step = { .verb = (enum verb)below(random, VERBS) };
	struct rota_deadline deadline;
	const size_t patience = below(random, 12);

	step.delimiter = delimiters[below(random, DELIMITERS)];
	if (step.verb == LINE)
		step.delimiter = "\n";
	step.bytes = 1 + below(random, below(random, 4) ? 8 : TEXT_MAX);
	step.late = !patience;
	rota_deadline_begin(&deadline,
			    patience > 6 ? ROTA_NEVER
			    : patience   ? rota_after_ns((int64_t)patience)
					 : 0);
	call(round, &step);
	rota_deadline_end(&deadline);
	check_result(round, &step);
	if (!round->wrong && step.verb <= PEEK)
		check_span(round, &step);
	if (!round->wrong)
		check_taken(round, &step);
	if (!round->wrong)
		check_ready(round, &step);
	if (round->wrong)
		return true;
	if (round->at < round->bytes || step.late || step.result == -ETIME)
		return false;
	return !round->resets || step.result == -ECONNRESET;
}

static int init_reader(struct round *round, struct rota_stream *stream)
{
	int error;

	if (!round->streams) {
		rota_reader_init(&round->reader, round->pair[0], round->memory,
				 round->room);
		return 0;
	}
	error = rota_receive_stream_open(stream, round->pair[0], NULL);
	rota_reader_init_stream(&round->reader, stream, round->memory,
				round->room);
	return error;
}

static int play_round(struct round *round)
{
	struct rota_stream stream;
	struct rota_group group;
	int error;

	/* Who closes a socket without having read all of it, resets it. */
	if (round->resets && rota_write(round->pair[0], "x", 1) != 1)
		return -EPROTO;
	error = init_reader(round, &stream);
	if (error)
		return error;
	rota_group_open(&group, NULL);
	error = rota_go(&group, feed, round);
	while (!take_step(round))
		;
	error |= rota_group_wait(&group);
	if (round->streams)
		rota_stream_close(&stream);
	return error | rota_close(round->pair[0]);
}

static int deal(struct round *round, uint64_t seed)
{
	static const size_t pieces[] = { 1, 3, 20, TEXT_MAX };
	struct test_random *random = &round->random;

	memset(round, 0, sizeof(*round));
	test_random_seed(random, seed);
	test_random_seed(&round->feeding, ~seed);
	round->bytes = below(random, below(random, 4) ? TEXT_MAX + 1 : 8);
	for (size_t i = 0; i < round->bytes; i++)
		round->text[i] = "aaab\r\n\r\n"[below(random, 8)];
	round->room = 1 + below(random, MEMORY_MAX);
	round->piece_max = pieces[below(random, 4)];
	if (!below(random, 4))
		return pipe2(round->pair, O_CLOEXEC) ? -errno : 0;
	round->streams = !below(random, 3);
	round->resets = !below(random, 3);
	return test_pair_open(round->pair);
}

struct game {
	struct test_random random;
	uint64_t seed; /* of the round that is played */
	struct round round;
};

static int play(void *arg)
{
	struct game *game = arg;
	int error = 0;

	for (unsigned i = test_rounds(5000); i && !error; i--) {
		game->seed = test_random_next(&game->random);
		error = deal(&game->round, game->seed);
		if (!error)
			error = play_round(&game->round);
		if (game->round.wrong)
			error = -EPROTO;
	}
	return error;
}

static void any_verbs_read_any_pieces_as_the_model_does(void **state)
{
	static struct game game;
	const struct round *round = &game.round;
	int error;

	(void)state;
	test_random_init(&game.random);
	error = test_run_timed(play, &game);
	if (round->wrong)
		fail_msg("%s: verb %d returned %d, at %zu of %zu, "
			 "memory %zu, round %#" PRIx64,
			 round->wrong, round->verb, round->seen, round->at,
			 round->bytes, round->room, game.seed);
	assert_int_equal(error, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_verbs_read_any_pieces_as_the_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
