/* SPDX-License-Identifier: MIT */
/*
 * The buffered writer against a model that keeps all that was written: random
 * pieces through memory of any size, to sockets and pipes with little room,
 * whose reader is slow or goes away, with deadlines anywhere. What comes out is
 * what was written, up to some byte, which the writer knows.
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

#define TEXT_MAX 65536
#define PIECE_MAX 12000
#define MEMORY_MAX 40
#define STEPS_MAX 60

enum verb {
	WRITE,
	PRINT,
	FLUSH,
	VERBS
};

struct round {
	struct test_random random;  /* of what is written */
	struct test_random sinking; /* of what is read */
	char text[TEXT_MAX + 1];    /* all that was written, or was tried to */
	size_t bytes;               /* of it that the writer has accepted */
	char out[TEXT_MAX];         /* what came out */
	size_t came;                /* how much */
	size_t room;                /* of the writer's memory */
	bool leaves;                /* the reader may go away */
	bool left;                  /* ... and did */
	bool dry;                   /* all was flushed */
	int error;                  /* the first one that the writer told */
	int pair[2];                /* the writer's end, and the reader's */
	char memory[MEMORY_MAX];
	struct rota_writer writer;
	const char *wrong; /* the first law that was broken */
	int verb, seen;    /* by what, and what it returned */
};

struct step {
	enum verb verb;
	size_t bytes; /* that are written */
	bool late;    /* the deadline was over at the start */
	bool hurries; /* there is one */
	int result;   /* what was returned */
};

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

static int sink(void *value)
{
	struct round *round = *(struct round **)value;
	int n;

	do {
		const size_t most = 1 + below(&round->sinking, 6000);
		const size_t room = TEXT_MAX - round->came;

		n = rota_sleep((int64_t)below(&round->sinking, 3));
		if (!n)
			n = rota_read(round->pair[1], round->out + round->came,
				      most < room ? most : room);
		if (n > 0)
			round->came += (size_t)n;
		round->left = round->leaves && !below(&round->sinking, 8);
	} while (n > 0 && !round->left);
	rota_close(round->pair[1]);
	return n < 0 ? n : 0;
}

static void call(struct round *round, struct step *step)
{
	struct rota_writer *writer = &round->writer;
	const char *piece = round->text + round->bytes;

	switch (step->verb) {
	case WRITE:
		step->result = rota_writer_write(writer, piece, step->bytes);
		break;
	case PRINT:
		step->result = rota_writer_print(writer, "%.*s",
						 (int)step->bytes, piece);
		break;
	default:
		step->result = rota_writer_flush(writer);
	}
}

static void check_result(struct round *round, const struct step *step)
{
	const int seen = step->result;
	const bool fits = step->verb != PRINT || step->bytes < round->room;

	if (round->error)
		law(round, step, seen == round->error, "the first error stays");
	else if (step->late)
		law(round, step, seen == -ETIME, "who is late is refused");
	else if (seen == -ETIME)
		law(round, step, step->hurries, "late without a deadline");
	else if (seen == -EPIPE || seen == -ECONNRESET)
		law(round, step, round->left, "nobody has left");
	else
		law(round, step, seen == (fits ? 0 : -EMSGSIZE),
		    "another result");
}

/* What is sent, and what is there behind it. */
static void check_writer(struct round *round, const struct step *step)
{
	const struct rota_span unsent = rota_writer_unsent(&round->writer);
	const uint64_t sent = rota_writer_sent(&round->writer);
	const size_t there = sent < round->bytes ? round->bytes - (size_t)sent
						 : 0;
	const size_t more = step->result && step->verb == WRITE ? step->bytes
								: 0;

	law(round, step, sent <= round->bytes + more, "more is sent than was");
	law(round, step, unsent.bytes == there, "another number is unsent");
	law(round, step, unsent.bytes <= round->room,
	    "more than there is room");
	law(round, step,
	    round->wrong || !memcmp(unsent.data, round->text + sent, there),
	    "other bytes are unsent");
	if (step->verb == FLUSH && !step->result)
		law(round, step, !there, "something is left after a flush");
}

static void take_step(struct round *round)
{
	struct test_random *random = &round->random;
	struct step step = { .verb = (enum verb)below(random, VERBS) };
	struct rota_deadline deadline;
	const size_t patience = below(random, 200);
	const bool rare = !below(random, 6);

	if (step.verb == WRITE)
		step.bytes = below(random, rare ? PIECE_MAX : MEMORY_MAX);
	if (step.verb == PRINT) /* one too long would be the end */
		step.bytes = below(random, round->room + (rare ? 2 : 0));
	if (round->bytes + step.bytes > TEXT_MAX)
		return;
	for (size_t i = 0; i < step.bytes && !round->error; i++)
		round->text[round->bytes + i] = (char)('a' + below(random, 26));
	step.late = !patience;
	step.hurries = patience < 10;
	rota_deadline_begin(&deadline,
			    patience >= 10 ? ROTA_NEVER
			    : patience     ? rota_after_ns((int64_t)patience)
					   : 0);
	call(round, &step);
	rota_deadline_end(&deadline);
	check_result(round, &step);
	if (!step.result && step.verb != FLUSH)
		round->bytes += step.bytes;
	if (!round->error)
		check_writer(round, &step);
	round->dry = step.verb == FLUSH && !step.result;
	if (step.result)
		round->error = step.result;
}

static void check_round(struct round *round)
{
	const struct step end = { .verb = VERBS };
	const uint64_t sent = rota_writer_sent(&round->writer);

	law(round, &end, round->left || round->came == sent,
	    "what was sent has come");
	law(round, &end, !round->dry || round->left || sent == round->bytes,
	    "what was flushed has come");
	law(round, &end, !memcmp(round->out, round->text, round->came),
	    "other bytes have come");
}

static int play_round(struct round *round)
{
	struct rota_group group;
	int error;

	rota_writer_init(&round->writer, round->pair[0], round->memory,
			 round->room);
	rota_group_open(&group, NULL);
	error = rota_go(&group, sink, round);
	for (size_t i = below(&round->random, STEPS_MAX); i; i--)
		take_step(round);
	error |= rota_close(round->pair[0]);
	error |= rota_group_wait(&group);
	check_round(round);
	return error;
}

static int deal(struct round *round, uint64_t seed)
{
	const int little = 1;
	int error;

	memset(round, 0, sizeof(*round));
	test_random_seed(&round->random, seed);
	test_random_seed(&round->sinking, ~seed);
	round->room = 1 + below(&round->random, MEMORY_MAX);
	round->leaves = !below(&round->random, 4);
	if (!below(&round->random, 3)) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC))
			return -errno;
		round->pair[0] = ends[1];
		round->pair[1] = ends[0];
		return fcntl(ends[1], F_SETPIPE_SZ, 4096) < 0 ? -errno : 0;
	}
	error = test_pair_open(round->pair);
	return error ? error
		     : setsockopt(round->pair[0], SOL_SOCKET, SO_SNDBUF,
				  &little, sizeof(little));
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

	for (unsigned i = test_rounds(2000); i && !error; i--) {
		game->seed = test_random_next(&game->random);
		error = deal(&game->round, game->seed);
		if (!error)
			error = play_round(&game->round);
		if (game->round.wrong)
			error = -EPROTO;
	}
	return error;
}

static void
any_pieces_come_out_as_they_were_written_up_to_an_error(void **state)
{
	static struct game game;
	const struct round *round = &game.round;
	int error;

	(void)state;
	test_random_init(&game.random);
	error = test_run_timed(play, &game);
	if (round->wrong)
		fail_msg("%s: verb %d returned %d, %zu written, %zu came, "
			 "memory %zu, round %#" PRIx64,
			 round->wrong, round->verb, round->seen, round->bytes,
			 round->came, round->room, game.seed);
	assert_int_equal(error, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			any_pieces_come_out_as_they_were_written_up_to_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
