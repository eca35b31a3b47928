/* SPDX-License-Identifier: MIT */
/*
 * Random games of selects on one loop, beside a model that knows who goes on
 * with what (support/choice.h).
 *
 *	SEED=7 ROTA_ROUND=12 build/release/bin/test-sync-select_random
 *
 * plays one of them again.
 */
#include "base/list.h"
#include "rota/rota.h"
#include "support/choice.h"
#include "support/rounds.h"
#include "support/timed.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* 10^6 moves or so. */
#define ROUNDS 16000
#define MOVES 60

/* More than goes by in some turns of the loop, less than between two moments. */
#define SOON_NS 20

/* Who selects, and what came of it. */
struct hand {
	struct play *play;
	struct rota_group group; /* of its own, to be cancelled */
	struct rota_arm arms[CHOICE_ARMS];
	unsigned item;    /* received */
	int fds[2];       /* of its pipe */
	bool tries;       /* does not wait */
	bool over;        /* it has gone on */
	bool off_by_some; /* a schedule that is not what it is to be */
	int chosen;       /* what was returned */
};

struct play {
	struct referee referee;
	struct rounds rounds;
	struct test_kernel kernel;
	struct choice choice;
	struct rota_sender senders[CHOICE_CHANNELS];
	struct rota_receiver receivers[CHOICE_CHANNELS];
	struct rota_event events[CHOICE_EVENTS];
	struct rota_group group; /* of all hands */
	struct hand hands[CHOICE_HANDS];
	unsigned last; /* item that was made */
};

static unsigned dice(struct play *play, unsigned end)
{
	return referee_dice(&play->referee, end);
}

static void expect(struct play *play, const char *law, int64_t seen,
		   int64_t wanted)
{
	referee_expect(&play->referee, law, seen, wanted);
}

static struct choice_hand *model_of(struct hand *hand)
{
	return &hand->play->choice.hands[hand - hand->play->hands];
}

static struct rota_arm make_arm(struct hand *hand, struct choice_arm *arm,
				struct rota_ticker *ticker)
{
	struct play *play = hand->play;

	switch (arm->kind) {
	case ROTA_ARM_SEND:
		return rota_arm_send(&play->senders[arm->which], &arm->item);
	case ROTA_ARM_RECEIVE:
		return rota_arm_receive(&play->receivers[arm->which],
					&hand->item);
	case ROTA_ARM_EVENT:
		return rota_arm_event(&play->events[arm->which]);
	case ROTA_ARM_TICK:
		return rota_arm_tick(ticker);
	case ROTA_ARM_DEADLINE:
		return rota_arm_deadline(arm->due_ns);
	case ROTA_ARM_POLL:
		return rota_arm_poll(hand->fds[0], POLLIN);
	case ROTA_ARM_NEVER:
		break;
	}
	return rota_arm_never();
}

/* Is the schedule where it is to be: moved on by a tick that was taken, and by
 * nothing else? */
static bool is_off(const struct hand *hand, const struct choice_arm *arm,
		   const struct rota_ticker *ticker, bool taken)
{
	const int64_t next_ns = arm->due_ns + (taken ? ticker->period_ns : 0);

	return arm->kind == ROTA_ARM_TICK &&
	       (ticker->next_ns != next_ns ||
		(taken && hand->arms[hand->chosen].missed));
}

static void do_select(struct hand *hand, struct choice_hand *model)
{
	struct rota_ticker tickers[CHOICE_ARMS];
	struct rota_deadline deadline;
	const unsigned count = model->count;
	int error = 0;

	for (unsigned i = 0; i < count; i++) {
		struct choice_arm *arm = &model->arms[i];

		if (arm->kind == ROTA_ARM_TICK)
			error |= rota_ticker_open(&tickers[i],
						  arm->due_ns - rota_now_ns());
		hand->arms[i] = make_arm(hand, arm, &tickers[i]);
		hand->arms[i].result = CHOICE_NONE;
	}
	rota_deadline_begin(&deadline, model->deadline_ns);
	hand->chosen = hand->tries ? rota_try_select(hand->arms, count)
				   : rota_select(hand->arms, count);
	rota_deadline_end(&deadline);
	hand->off_by_some = error != 0;
	for (unsigned i = 0; i < count; i++) {
		hand->off_by_some |= is_off(hand, &model->arms[i], &tickers[i],
					    hand->chosen == (int)i);
		if (model->arms[i].kind == ROTA_ARM_TICK)
			rota_ticker_close(&tickers[i]);
	}
}

static int select_there(void *value)
{
	struct hand *hand = *(struct hand **)value;

	do_select(hand, model_of(hand));
	hand->over = true;
	return 0;
}

/* In between, so that the hand can be cancelled alone. */
static int hold_hand(void *value)
{
	struct hand *hand = *(struct hand **)value;
	int error;

	rota_group_open(&hand->group, NULL);
	error = rota_go(&hand->group, select_there, hand);
	(void)rota_group_wait(&hand->group);
	return error;
}

/* What it says is what the model says, and no arm but its own has done
 * anything. */
static void judge(struct hand *hand)
{
	struct play *play = hand->play;
	const struct choice_hand *model = model_of(hand);

	expect(play, "it goes on when it is to", hand->over, !model->waits);
	if (!hand->over || model->waits)
		return;
	expect(play, "what is chosen", hand->chosen, model->chosen);
	expect(play, "the item", hand->item, model->item);
	expect(play, "a schedule is off", hand->off_by_some, false);
	for (int i = 0; i < (int)model->count; i++)
		expect(play, "the result of an arm", hand->arms[i].result,
		       i == model->chosen ? model->result : CHOICE_NONE);
}

static void judge_channel(struct play *play, unsigned i)
{
	const struct choice_channel *model = &play->choice.channels[i];
	struct rota_channel_state state;

	if (!model->sends && !model->receives)
		return;
	state = model->sends ? rota_sender_inspect(&play->senders[i])
			     : rota_receiver_inspect(&play->receivers[i]);
	expect(play, "the depth", (int64_t)state.depth, model->depth);
	expect(play, "who waits to send", state.senders_waiting,
	       model->sending.count);
	expect(play, "who waits to receive", state.receivers_waiting,
	       model->receiving.count);
}

static void pass_time(struct play *play)
{
	const int64_t next_ns = choice_next_ns(&play->choice);

	if (next_ns != INT64_MAX && play->kernel.clock_ns < next_ns)
		play->kernel.clock_ns = next_ns;
}

/* Some turns of the loop, in which a little time goes by: who is due then, or
 * just afterwards, has turns of his own. */
static int turn(struct play *play)
{
	int error = test_settle() | test_settle();

	while (choice_next_ns(&play->choice) <= rota_now_ns() + SOON_NS) {
		pass_time(play);
		error |= test_settle() | test_settle();
		choice_pass(&play->choice, rota_now_ns() - SOON_NS / 2);
	}
	return error;
}

/* Everybody goes on who can; with turns of the loop if it takes some. */
static void settle(struct play *play, bool turns)
{
	int error = 0;

	if (turns)
		error = turn(play);
	else
		for (int i = 0; i < 3; i++)
			error |= rota_yield();
	expect(play, "the director goes on", error, 0);
	for (unsigned i = 0; i < CHOICE_HANDS; i++)
		judge(&play->hands[i]);
	for (unsigned i = 0; i < CHOICE_CHANNELS; i++)
		judge_channel(play, i);
}

static bool draw_arm(struct play *play, struct choice_arm *arm, int64_t now_ns)
{
	const unsigned channel = dice(play, CHOICE_CHANNELS);
	const struct choice_channel *model = &play->choice.channels[channel];

	*arm = (struct choice_arm){ .which = channel };
	switch (dice(play, 9)) {
	case 0:
	case 1:
	case 2:
		arm->kind = ROTA_ARM_SEND;
		arm->item = ++play->last;
		return model->sends;
	case 3:
	case 4:
	case 5:
		arm->kind = ROTA_ARM_RECEIVE;
		return model->receives;
	case 6:
		arm->kind = ROTA_ARM_EVENT;
		arm->which = channel % CHOICE_EVENTS;
		return true;
	case 7:
		arm->kind = dice(play, 2) ? ROTA_ARM_DEADLINE : ROTA_ARM_TICK;
		arm->due_ns = now_ns + 1000 * (1 + dice(play, 50)) +
			      100 * dice(play, 8);
		if (arm->kind == ROTA_ARM_DEADLINE && !dice(play, 8))
			arm->due_ns = now_ns - dice(play, 2);
		return true;
	default:
		arm->kind = dice(play, 3) ? ROTA_ARM_POLL : ROTA_ARM_NEVER;
		return true;
	}
}

static bool polls(const struct choice_hand *model)
{
	for (unsigned i = 0; i < model->count; i++)
		if (model->arms[i].kind == ROTA_ARM_POLL)
			return true;
	return false;
}

/* No two moments of one select are the same, nor close. */
static bool clashes(const struct choice_hand *model,
		    const struct choice_arm *arm)
{
	if (arm->kind == ROTA_ARM_POLL)
		return polls(model);
	for (unsigned i = 0; i < model->count; i++)
		if (arm->due_ns && model->arms[i].due_ns == arm->due_ns)
			return true;
	return false;
}

static void draw_hand(struct play *play, struct hand *hand)
{
	struct choice_hand *model = model_of(hand);
	const unsigned count = dice(play, CHOICE_ARMS + 1);
	const int64_t now_ns = rota_now_ns();

	model->count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct choice_arm *arm = &model->arms[model->count];

		if (draw_arm(play, arm, now_ns) && !clashes(model, arm))
			model->count++;
	}
	model->deadline_ns = dice(play, 4)
				     ? INT64_MAX
				     : now_ns + 50 + 1000 * (1 + dice(play, 9));
	model->waits = false;
	model->chosen = model->result = CHOICE_NONE;
	model->item = hand->item = 0;
	hand->over = false;
	hand->tries = dice(play, 5) == 0;
}

/* Some selects that poll have to have a turn before they hear of it. */
static bool any_polls(const struct play *play)
{
	for (unsigned i = 0; i < CHOICE_HANDS; i++)
		if (!play->hands[i].over && polls(&play->choice.hands[i]))
			return true;
	return false;
}

/* What it may do at once it does, and which of that it says itself. */
static void begin(struct play *play, struct hand *hand)
{
	struct choice *choice = &play->choice;
	const unsigned number = (unsigned)(hand - play->hands);
	const int64_t now_ns = rota_now_ns();
	bool ready, turns;

	draw_hand(play, hand);
	turns = any_polls(play);
	ready = choice_any_ready(choice, number, now_ns);
	expect(play, "rota_go", rota_go(&play->group, hold_hand, hand), 0);
	if (turns)
		(void)test_settle();
	else
		(void)(rota_yield() | rota_yield());
	if (ready && hand->over && hand->chosen >= 0 &&
	    hand->chosen < (int)model_of(hand)->count)
		expect(play, "what is chosen is ready",
		       choice_is_ready(choice, number, (unsigned)hand->chosen,
				       now_ns),
		       true);
	if (ready && hand->over && hand->chosen >= 0)
		choice_do(choice, number, (unsigned)hand->chosen);
	else if (ready)
		expect(play, "one that can be done at once is",
		       hand->over ? hand->chosen : CHOICE_NONE, 0);
	else if (hand->tries)
		choice_end(choice, number, -EAGAIN, CHOICE_NONE);
	else
		choice_wait(choice, number);
	settle(play, turns);
}

static void move_item(struct play *play, bool sends)
{
	const unsigned i = dice(play, CHOICE_CHANNELS);
	const struct choice_channel *model = &play->choice.channels[i];
	unsigned item = ++play->last, wanted = item;

	if (sends && model->sends)
		expect(play, "a send without a wait",
		       rota_channel_try_send(&play->senders[i], &item),
		       choice_send(&play->choice, i, item));
	else if (!sends && model->receives)
		expect(play, "a receive without a wait",
		       rota_channel_try_receive(&play->receivers[i], &item),
		       choice_receive(&play->choice, i, &wanted));
	expect(play, "the item that was received", item, wanted);
}

static void close_end(struct play *play, unsigned i, bool sends)
{
	struct choice *choice = &play->choice;

	if (sends && choice->channels[i].sends &&
	    !choice_wanted(choice, ROTA_ARM_SEND, i)) {
		rota_sender_close(&play->senders[i]);
		choice_close_sender(choice, i);
	} else if (!sends && choice->channels[i].receives &&
		   !choice_wanted(choice, ROTA_ARM_RECEIVE, i)) {
		rota_receiver_close(&play->receivers[i]);
		choice_close_receiver(choice, i);
	}
}

static void make_readable(struct play *play, unsigned i)
{
	struct choice_hand *model = &play->choice.hands[i];
	char byte = 'x';

	if (model->readable && !model->waits) {
		expect(play, "read", read(play->hands[i].fds[0], &byte, 1), 1);
		model->readable = false;
	} else if (!model->readable) {
		expect(play, "write", write(play->hands[i].fds[1], &byte, 1),
		       1);
		model->readable = true;
		for (unsigned arm = 0; model->waits && arm < model->count;
		     arm++)
			if (model->arms[arm].kind == ROTA_ARM_POLL)
				choice_end(&play->choice, i, (int)arm, POLLIN);
	}
}

static void move_event(struct play *play, bool sets)
{
	const unsigned i = dice(play, CHOICE_EVENTS);

	if (sets) {
		rota_event_set(&play->events[i]);
		choice_set(&play->choice, i);
	} else {
		rota_event_reset(&play->events[i]);
		play->choice.set[i] = false;
	}
}

static void cancel(struct play *play, unsigned i)
{
	if (!play->choice.hands[i].waits)
		return;
	rota_group_cancel(&play->hands[i].group,
			  (struct rota_cancellation){ 0, NULL });
	choice_end(&play->choice, i, -ECANCELED, CHOICE_NONE);
}

static void move(struct play *play)
{
	const unsigned i = dice(play, CHOICE_HANDS), kind = dice(play, 40);
	const bool polled = any_polls(play);
	bool turns = false;

	if (kind < 20) {
		if (play->hands[i].over)
			begin(play, &play->hands[i]);
		return;
	}
	if (kind < 28) {
		move_item(play, kind < 24);
	} else if (kind < 32) {
		move_event(play, kind < 29);
	} else if (kind < 34) {
		cancel(play, i);
		turns = true;
	} else if (kind < 36) {
		pass_time(play);
		turns = true;
	} else if (kind < 39) {
		make_readable(play, i);
		turns = true;
	} else if (dice(play, 4) == 0) {
		close_end(play, dice(play, CHOICE_CHANNELS), dice(play, 2));
	}
	settle(play, turns || polled);
}

static int open_play(struct play *play)
{
	int error = 0;

	play->choice = (struct choice){ .set = { false } };
	play->last = 0;
	for (unsigned i = 0; i < CHOICE_CHANNELS; i++) {
		struct choice_channel *model = &play->choice.channels[i];

		model->capacity = dice(play, CHOICE_ITEMS);
		model->sends = model->receives = true;
		error |= rota_channel_open(
			(&(struct rota_channel_options){
				.item_bytes = sizeof(unsigned),
				.capacity = model->capacity }),
			&play->senders[i], &play->receivers[i]);
	}
	for (unsigned i = 0; i < CHOICE_EVENTS; i++)
		rota_event_init(&play->events[i], NULL);
	for (unsigned i = 0; i < CHOICE_HANDS; i++) {
		struct hand *hand = &play->hands[i];

		*hand = (struct hand){ .play = play, .over = true };
		play->choice.hands[i].chosen = CHOICE_NONE;
		hand->chosen = CHOICE_NONE;
		error |= pipe2(hand->fds, O_NONBLOCK) ? -errno : 0;
	}
	return error;
}

static void close_play(struct play *play)
{
	for (unsigned i = 0; i < CHOICE_HANDS; i++)
		cancel(play, i);
	settle(play, true);
	for (unsigned i = 0; i < CHOICE_CHANNELS; i++) {
		close_end(play, i, true);
		close_end(play, i, false);
	}
	for (unsigned i = 0; i < CHOICE_EVENTS; i++)
		rota_event_fini(&play->events[i]);
	for (unsigned i = 0; i < CHOICE_HANDS; i++) {
		close(play->hands[i].fds[0]);
		close(play->hands[i].fds[1]);
	}
}

static int play_one(struct play *play)
{
	const unsigned moves = 20 + dice(play, 2 * MOVES);
	int error = open_play(play);

	if (error)
		return error;
	rota_group_open(&play->group, &(struct rota_group_options){
					      .mode = ROTA_GROUP_KEEP_GOING });
	for (unsigned i = 0; i < moves && !play->referee.broken; i++)
		move(play);
	if (!play->referee.broken)
		close_play(play);
	rota_group_cancel(&play->group, (struct rota_cancellation){ 0, NULL });
	(void)rota_group_wait(&play->group);
	return play->referee.broken ? -EPROTO : 0;
}

static int play_some(void *arg)
{
	struct play *play = arg;
	struct rounds *rounds = &play->rounds;
	int error = 0;

	for (; rounds->round < rounds->end && !error; rounds->round++) {
		test_random_seed(&play->referee.random, rounds_seed(rounds));
		error = play_one(play);
		if (error)
			break;
	}
	return error;
}

static void report(const void *context)
{
	const struct play *play = context;

	rounds_print_law(&play->referee);
	rounds_print(&play->rounds);
}

static void selects_do_what_the_model_says(void **state)
{
	struct rota_config config = { .seed = 0 };
	struct test_random seeds;
	struct play *play = calloc(1, sizeof(*play));

	(void)state;
	assert_non_null(play);
	test_random_init(&seeds);
	config.seed = seeds.state;
	assert_true(rounds_begin(&play->rounds, "select", seeds.state, ROUNDS));
	rounds_on_abort(report, play);
	if (test_run_timed_with(&config, &play->kernel, play_some, play)) {
		report(play);
		fail();
	}
	rounds_on_abort(NULL, NULL);
	free(play);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects_do_what_the_model_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
