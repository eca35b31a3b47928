/* SPDX-License-Identifier: MIT */
/*
 * A select that polls beside other arms: it is served, timed out, cancelled,
 * and its poll completes, in every order. Completions are held back, so that
 * the order is the test's. One arm is done or none, and it is the one that the
 * order says.
 *
 *	s  somebody sends to its channel      t  its deadline comes
 *	e  its event is set                   w  the descriptor gets ready
 *	c  its group is cancelled             r  what is held back is let go
 */
#include "base/list.h"
#include "rota/rota.h"
#include "support/timed.h"
#include "task/task.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LETTERS 6
#define NOTHING 1000
#define FAR_NS (1000 * ROTA_SECOND)

/* What is done between two letters. */
enum pace {
	SETTLE, /* turns of the loop, until nothing moves */
	RUSH,   /* nothing, if it can be */
	MEET,   /* nothing, and after r only until the poll has completed, when
	           its task has not gone on yet */
	PACES,
};

enum arm {
	SENT,
	SET,
	DUE,
	POLLED,
	ARMS
};

/* What is to become of the select. */
struct model {
	bool waits;     /* it has not gone on */
	int won;        /* an arm, or NOTHING */
	bool cancelled; /* its group */
	bool due;       /* its time has come, its timer may not have fired */
	bool held;      /* the poll has ended, it does not know */
	bool ended;     /* it will as soon as it runs */
	int polled;     /* what came of the poll */
	bool ready;     /* the descriptor */
};

struct play {
	struct test_kernel kernel;
	struct model model;
	enum pace pace;
	char letters[LETTERS + 1];
	struct rota_sender sender;
	struct rota_receiver receiver;
	struct rota_event event;
	struct rota_group group;
	struct rota_task *task; /* that selects */
	struct rota_arm arms[ARMS];
	int fds[2];        /* of a pipe */
	int item;          /* received */
	int chosen;        /* by the select */
	int64_t due_ns;    /* of its arm */
	const char *wrong; /* the first thing that was */
	unsigned played;   /* so many orders */
};

static void expect(struct play *play, const char *what, bool holds)
{
	if (!holds && !play->wrong)
		play->wrong = what;
}

static int select_there(void *value)
{
	struct play *play = *(struct play **)value;

	play->task = ri_task_self(__func__);
	play->chosen = rota_select(play->arms, ARMS);
	return 0;
}

static int open_play(struct play *play)
{
	play->model = (struct model){ .waits = true, .won = NOTHING };
	play->chosen = NOTHING;
	play->item = 0;
	play->due_ns = rota_after_ns(FAR_NS);
	if (pipe(play->fds) < 0)
		return -errno;
	rota_event_init(&play->event, NULL);
	rota_group_open(&play->group, NULL);
	return rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(int) }),
		&play->sender, &play->receiver);
}

static void close_play(struct play *play)
{
	(void)rota_group_wait(&play->group);
	rota_sender_close(&play->sender);
	rota_receiver_close(&play->receiver);
	rota_event_fini(&play->event);
	close(play->fds[0]);
	close(play->fds[1]);
}

static void make_arms(struct play *play)
{
	play->arms[SENT] = rota_arm_receive(&play->receiver, &play->item);
	play->arms[SET] = rota_arm_event(&play->event);
	play->arms[DUE] = rota_arm_deadline(play->due_ns);
	play->arms[POLLED] = rota_arm_poll(play->fds[0], POLLIN);
	for (int i = 0; i < ARMS; i++)
		play->arms[i].result = NOTHING;
}

/* The loop has turned until nothing moves: what did the model miss? */
static void catch_up(struct model *model)
{
	if (model->ended)
		model->waits = false;
	if (!model->waits)
		return;
	if (model->due && model->won == NOTHING)
		model->won = DUE;
	if (model->held)
		return;
	if (model->ready)
		model->polled = POLLIN;
	else if (model->won != NOTHING || model->cancelled)
		model->polled = -ECANCELED;
	model->held = model->polled != 0;
}

static void settle(struct play *play)
{
	expect(play, "a sleep failed", !test_settle());
	catch_up(&play->model);
	expect(play, "another number is held",
	       test_kernel_held(&play->kernel) ==
		       (unsigned)(play->model.waits && play->model.held));
}

static void win(struct model *model, int arm)
{
	if (model->waits && model->won == NOTHING)
		model->won = arm;
}

static void send_item(struct play *play)
{
	const bool taken = play->model.waits && play->model.won == NOTHING;
	const int item = 7;

	expect(play, "try_send said something else",
	       rota_channel_try_send(&play->sender, &item) ==
		       (taken ? 0 : -EAGAIN));
	win(&play->model, SENT);
}

static void get_ready(struct play *play)
{
	settle(play);
	expect(play, "write", write(play->fds[1], "x", 1) == 1);
	play->model.ready = true;
	settle(play);
}

static void let_go(struct play *play)
{
	unsigned patience = 10000;

	if (!test_kernel_held(&play->kernel))
		return;
	test_kernel_release_all(&play->kernel);
	play->model.ended = true;
	if (play->pace != MEET)
		return;
	while (play->task->wait && --patience)
		expect(play, "a yield failed", !rota_yield());
	expect(play, "the poll does not complete", patience > 0);
	expect(play, "it went on already", play->chosen == NOTHING);
}

static void do_letter(struct play *play, char letter)
{
	switch (letter) {
	case 's':
		send_item(play);
		break;
	case 'e':
		rota_event_set(&play->event);
		win(&play->model, SET);
		break;
	case 'c':
		rota_group_cancel(&play->group,
				  (struct rota_cancellation){ 0, NULL });
		play->model.cancelled = true;
		break;
	case 't':
		if (play->kernel.clock_ns < play->due_ns)
			play->kernel.clock_ns = play->due_ns;
		play->model.due = true;
		break;
	case 'w':
		get_ready(play);
		break;
	default:
		let_go(play);
		break;
	}
	if (play->pace == SETTLE)
		settle(play);
}

/* Did the right arm do the right thing, and no other one anything? */
static void judge(struct play *play)
{
	const struct model *model = &play->model;
	const int results[ARMS] = { 1, 0, 0, POLLIN };
	int wanted = model->won;

	if (wanted == NOTHING)
		wanted = model->polled == POLLIN ? POLLED : -ECANCELED;
	expect(play, "it still waits", !model->waits);
	expect(play, "another arm was chosen", play->chosen == wanted);
	for (int i = 0; i < ARMS; i++)
		expect(play, "another result",
		       play->arms[i].result ==
			       (i == wanted ? results[i] : NOTHING));
	expect(play, "another item", play->item == (wanted == SENT ? 7 : 0));
}

static void play_letters(struct play *play)
{
	settle(play);
	for (const char *letter = play->letters; *letter; letter++)
		do_letter(play, *letter);
	settle(play);
	test_kernel_release_all(&play->kernel);
	play->model.ended = play->model.held;
	settle(play);
	judge(play);
}

static int play_one(struct play *play)
{
	struct rota_shield shield;
	int error = open_play(play);

	if (error)
		return error;
	make_arms(play);
	/* The cancel is for who selects only. */
	rota_shield_begin(&shield, ROTA_NEVER);
	error = rota_go(&play->group, select_there, play);
	test_kernel_hold(&play->kernel, test_hold_all, NULL);
	if (!error)
		play_letters(play);
	test_kernel_hold(&play->kernel, NULL, NULL);
	rota_shield_end(&shield);
	close_play(play);
	play->played++;
	return error;
}

/* All orders of all subsets of the letters that end it. */
static int play_rest(struct play *play, unsigned length)
{
	const char *all = "secwtr";
	int error = 0;

	play->letters[length] = '\0';
	if (strpbrk(play->letters, "sectw")) {
		error = play_one(play);
		if (error || play->wrong)
			return error ? error : -EPROTO;
	}
	for (const char *next = all; *next && !error; next++) {
		if (memchr(play->letters, *next, length))
			continue;
		play->letters[length] = *next;
		error = play_rest(play, length + 1);
		play->letters[length] = '\0';
	}
	return error;
}

static int play_all(void *arg)
{
	return play_rest(arg, 0);
}

static void one_arm_is_done_in_whatever_order(void **state)
{
	(void)state;
	for (enum pace pace = SETTLE; pace < PACES; pace++) {
		struct play play = { .pace = pace };
		int error;

		error = test_run_timed_with(NULL, &play.kernel, play_all,
					    &play);
		if (play.wrong)
			fprintf(stderr, "%s: %s, pace %d, chosen %d\n",
				play.letters, play.wrong, pace, play.chosen);
		assert_int_equal(error, 0);
		assert_int_equal(play.played, 1956 - 1);
	}
}

/* A batch is full and is refused: nothing is done, nobody stands anywhere, no
 * timer is left, and it is said at once. */
#define BATCH 4

static int poll_there(void *value)
{
	struct play *play = *(struct play **)value;
	struct rota_arm arm = rota_arm_poll(play->fds[0], POLLIN);

	return rota_select(&arm, 1);
}

static int find_no_entry(void *arg)
{
	struct play *play = arg;
	const int item = 7;
	struct rota_shield shield;
	int error = open_play(play);

	make_arms(play);
	rota_shield_begin(&shield, ROTA_NEVER);
	for (int i = 0; i < BATCH; i++)
		error |= rota_go(&play->group, poll_there, play);
	error |= rota_yield();
	play->kernel.submit_error = -EAGAIN;
	play->chosen = rota_select(play->arms, ARMS);
	play->kernel.submit_error = 0;
	play->item = rota_channel_try_send(&play->sender, &item);
	error |= rota_sleep(2 * FAR_NS);
	rota_group_cancel(&play->group, (struct rota_cancellation){ 0, NULL });
	rota_shield_end(&shield);
	close_play(play);
	return error;
}

static void without_an_entry_nothing_is_done_and_nobody_stands(void **state)
{
	const struct rota_config config = { .entries = BATCH };
	struct play play = { .played = 0 };

	(void)state;
	assert_int_equal(test_run_timed_with(&config, &play.kernel,
					     find_no_entry, &play),
			 0);
	assert_int_equal(play.chosen, -EAGAIN);
	for (int i = 0; i < ARMS; i++)
		assert_int_equal(play.arms[i].result, NOTHING);
	assert_int_equal(play.item, -EAGAIN); /* what try_send said */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_arm_is_done_in_whatever_order),
		cmocka_unit_test(
			without_an_entry_nothing_is_done_and_nobody_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
