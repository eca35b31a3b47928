/* SPDX-License-Identifier: MIT */
/*
 * Tickers and deadlines by chance, beside a small model: one task opens, waits,
 * resets and closes, begins, moves and ends, while time passes. What each verb
 * returns, what the clock shows then and how many ticks were missed is what the
 * model says.
 *
 * Ticks are due at even points in time and deadlines at odd ones, each at its
 * own: which one comes first is never left to the order of the wheel.
 */
#include "rota/rota.h"
#include "support/random.h"
#include "support/timed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 400u
#define STEPS 1000
#define TICKERS 4
#define DEADLINES 4

struct model_ticker {
	bool open;
	int64_t start_ns;
	int64_t period_ns;
	int64_t due; /* the number of the next tick; the first is 1 */
};

struct model_deadline {
	int64_t point_ns;
	bool came;
};

/* What is open, outermost first: a deadline of that number, or a ticker. */
struct place {
	bool is_ticker;
	unsigned index;
};

struct world {
	struct test_kernel kernel;
	struct test_random random;
	struct rota_ticker tickers[TICKERS];
	struct rota_deadline deadlines[DEADLINES];
	struct model_ticker model_tickers[TICKERS];
	struct model_deadline model_deadlines[DEADLINES];
	unsigned deadline_count; /* of those begun; the innermost is last */
	struct place places[TICKERS + DEADLINES];
	unsigned place_count;
	unsigned step;
	const char *wrong; /* the first thing that was not as in the model */
	unsigned wrong_step;
	long long seen, wanted; /* then */
	unsigned ticks, ended;  /* so that it is known to do something */
};

static void expect(struct world *world, const char *what, int64_t seen,
		   int64_t wanted)
{
	if (seen == wanted || world->wrong)
		return;
	world->wrong = what;
	world->wrong_step = world->step;
	world->seen = seen;
	world->wanted = wanted;
}

static int64_t now_of(const struct world *world)
{
	return world->kernel.clock_ns;
}

/* Of any size, mostly small. */
static int64_t some_time(struct world *world)
{
	const unsigned bits =
		(unsigned)test_random_below(&world->random, 30) + 1;

	return (int64_t)test_random_below(&world->random, UINT64_C(1) << bits);
}

static int code_of(const struct world *world)
{
	for (unsigned i = 0; i < world->deadline_count; i++)
		if (world->model_deadlines[i].came)
			return -ETIME;
	return 0;
}

/* The earliest one that can still come; NULL: none. */
static struct model_deadline *earliest(struct world *world)
{
	struct model_deadline *first = NULL;

	for (unsigned i = 0; i < world->deadline_count; i++) {
		struct model_deadline *deadline = &world->model_deadlines[i];

		if (deadline->came)
			break; /* and what is inside is over */
		if (!first || deadline->point_ns < first->point_ns)
			first = deadline;
	}
	return first;
}

/* A turn of the loop: what is due by now comes, in order. */
static void turn(struct world *world)
{
	struct model_deadline *first;

	expect(world, "close", rota_close(-1), -EBADF);
	while ((first = earliest(world)) && first->point_ns <= now_of(world)) {
		first->came = true;
		world->ended++;
	}
}

static void pass_time(struct world *world, int64_t duration_ns)
{
	world->kernel.clock_ns += duration_ns;
	rota_now_ns();
}

static void start_ticker(struct world *world, struct model_ticker *ticker,
			 int64_t period_ns)
{
	ticker->start_ns = now_of(world);
	ticker->period_ns = period_ns;
	ticker->due = 1;
}

/* Opens one that is not, else resets it. */
static void open_ticker(struct world *world)
{
	const unsigned index =
		(unsigned)test_random_below(&world->random, TICKERS);
	struct model_ticker *ticker = &world->model_tickers[index];
	const int64_t period_ns = 2 * (some_time(world) + 1);

	pass_time(world, now_of(world) % 2);
	if (ticker->open) {
		expect(world, "reset",
		       rota_ticker_reset(&world->tickers[index], period_ns), 0);
	} else {
		expect(world, "open",
		       rota_ticker_open(&world->tickers[index], period_ns), 0);
		world->places[world->place_count++] =
			(struct place){ true, index };
	}
	ticker->open = true;
	start_ticker(world, ticker, period_ns);
}

static void close_ticker(struct world *world)
{
	const unsigned index =
		(unsigned)test_random_below(&world->random, TICKERS);
	unsigned at = 0;

	if (!world->model_tickers[index].open)
		return;
	while (!world->places[at].is_ticker || world->places[at].index != index)
		at++;
	memmove(&world->places[at], &world->places[at + 1],
		(world->place_count - at - 1) * sizeof(world->places[0]));
	world->place_count--;
	world->model_tickers[index].open = false;
	rota_ticker_close(&world->tickers[index]);
}

static void take_tick(struct world *world, struct model_ticker *ticker,
		      uint64_t missed)
{
	const int64_t last =
		(now_of(world) - ticker->start_ns) / ticker->period_ns;

	expect(world, "missed", (int64_t)missed, last - ticker->due);
	ticker->due = last + 1;
	world->ticks++;
}

static void wait_for_tick(struct world *world)
{
	const unsigned index =
		(unsigned)test_random_below(&world->random, TICKERS);
	struct model_ticker *ticker = &world->model_tickers[index];
	struct model_deadline *first;
	int64_t until_ns, tick_ns;
	uint64_t missed = 0;
	int code;

	if (!ticker->open)
		return;
	turn(world);
	code = code_of(world);
	first = code ? NULL : earliest(world);
	until_ns = now_of(world);
	tick_ns = ticker->start_ns + ticker->due * ticker->period_ns;
	if (!code && tick_ns > until_ns)
		until_ns = tick_ns;
	if (first && first->point_ns < until_ns) {
		until_ns = first->point_ns;
		first->came = true;
		code = -ETIME;
		world->ended++;
	}
	expect(world, "wait", rota_ticker_wait(&world->tickers[index], &missed),
	       code);
	expect(world, "clock", now_of(world), until_ns);
	if (!code)
		take_tick(world, ticker, missed);
}

/* An odd point that no deadline has: now and then a past one, or never. */
static int64_t some_point(struct world *world, unsigned index)
{
	const uint64_t kind = test_random_below(&world->random, 16);
	int64_t point_ns = now_of(world) - 64;

	if (kind == 0)
		return ROTA_NEVER;
	if (kind > 2)
		point_ns = now_of(world) + 4 * some_time(world);
	return (point_ns & ~(int64_t)7) + 2 * index + 1;
}

static void begin_deadline(struct world *world)
{
	const unsigned index = world->deadline_count;
	int64_t point_ns;

	if (index == DEADLINES)
		return;
	point_ns = some_point(world, index);
	rota_deadline_begin(&world->deadlines[index], point_ns);
	world->model_deadlines[index] = (struct model_deadline){
		point_ns, !code_of(world) && point_ns <= now_of(world)
	};
	world->places[world->place_count++] = (struct place){ false, index };
	world->deadline_count++;
}

static void move_deadline(struct world *world)
{
	struct model_deadline *deadline;
	unsigned index;
	int64_t point_ns;
	bool over = false;

	if (!world->deadline_count)
		return;
	index = (unsigned)test_random_below(&world->random,
					    world->deadline_count);
	deadline = &world->model_deadlines[index];
	point_ns = some_point(world, index);
	expect(world, "move",
	       rota_deadline_move(&world->deadlines[index], point_ns),
	       !deadline->came);
	for (unsigned i = 0; i <= index; i++)
		over |= world->model_deadlines[i].came;
	if (over)
		return;
	deadline->point_ns = point_ns;
	deadline->came = point_ns <= now_of(world);
}

/* The innermost one, if no ticker was opened in it. */
static void end_deadline(struct world *world)
{
	const struct place *last;

	if (!world->place_count)
		return;
	last = &world->places[world->place_count - 1];
	if (last->is_ticker)
		return;
	world->place_count--;
	world->deadline_count--;
	expect(world, "end", rota_deadline_end(&world->deadlines[last->index]),
	       world->model_deadlines[last->index].came);
}

static void step(struct world *world)
{
	switch (test_random_below(&world->random, 12)) {
	case 0:
	case 1:
		open_ticker(world);
		break;
	case 2:
		close_ticker(world);
		break;
	case 3:
		begin_deadline(world);
		break;
	case 4:
	case 5:
		move_deadline(world);
		break;
	case 6:
	case 7:
		end_deadline(world);
		break;
	case 8:
		pass_time(world, some_time(world));
		break;
	case 9:
		turn(world);
		break;
	default:
		wait_for_tick(world);
	}
	expect(world, "cancelled", rota_cancelled(), code_of(world));
}

static int run_world(void *arg)
{
	struct world *world = arg;

	for (world->step = 0; world->step < STEPS; world->step++)
		step(world);
	for (unsigned i = 0; i < TICKERS; i++)
		if (world->model_tickers[i].open)
			rota_ticker_close(&world->tickers[i]);
	while (world->deadline_count)
		rota_deadline_end(&world->deadlines[--world->deadline_count]);
	return rota_yield();
}

static void tickers_and_deadlines_do_what_the_model_says(void **state)
{
	static struct world world;
	struct test_random random;
	unsigned ticks = 0, ended = 0;

	(void)state;
	test_random_init(&random);
	for (unsigned round = test_rounds(ROUNDS); round > 0; round--) {
		memset(&world, 0, sizeof(world));
		test_random_seed(&world.random, test_random_next(&random));
		assert_int_equal(test_run_timed_with(NULL, &world.kernel,
						     run_world, &world),
				 0);
		if (world.wrong)
			fail_msg("step %u: %s is %lld, not %lld",
				 world.wrong_step, world.wrong, world.seen,
				 world.wanted);
		ticks += world.ticks;
		ended += world.ended;
	}
	assert_true(ticks > 10);
	assert_true(ended > 10);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tickers_and_deadlines_do_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
