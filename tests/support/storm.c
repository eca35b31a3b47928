/* SPDX-License-Identifier: MIT */
#include "support/storm.h"

#include "support/clean.h"
#include "support/log.h"
#include "support/process.h"
#include "support/run.h"
#include "support/storm_act.h"
#include "support/storm_check.h"
#include "support/storm_report.h"
#include "task/task.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Between the starts of two rounds, by the clock. */
#define ROUND_NS (100 * ROTA_SECOND)
/* Rounds of one engine. */
#define ROUNDS_A_RUN 5000
/* Turns in which who has been told to end must have ended. */
#define PROMPT_TURNS 8
/* For how many turns, and how often, those who were not are given what they
 * wait for. */
#define FEEDING_TURNS 64
#define FEEDING_STEP 2
/* ... of those for which something is done elsewhere, or asked for again. */
#define SLOW_TURNS 50000
/* How long a slow one is waited for in each of those, in real time. */
#define PATIENCE_NS (200 * ROTA_MICROSECOND)
/* After this much of the clock a cancel that missed was tried again. */
#define RETRY_NS (20 * ROTA_MILLISECOND)

static int64_t (*forward_now)(const struct ri_kernel *table);

/* When the loop itself has read the clock, what is due fires before any task
 * runs. */
static int64_t watch_now(const struct ri_kernel *table)
{
	struct storm *storm = ri_container(table, struct storm, kernel.table);
	const int64_t now_ns = forward_now(table);

	if (!ri_loop_here || ri_loop_in_fiber(ri_loop_here))
		return now_ns;
	storm->referee.fired_ns = now_ns;
	for (unsigned i = 0; i < storm->script.lanes; i++)
		lane_fired(&storm->lanes[i]);
	return now_ns;
}

static void pass_turn(struct storm *storm)
{
	storm->referee.turn++;
	referee_expect(&storm->referee, "the director's sleep", rota_sleep(1),
		       0);
}

static void pass(struct storm *storm, enum storm_gap gap)
{
	if (gap == STORM_YIELD)
		rota_yield();
	for (unsigned i = STORM_TURN; i <= gap; i++)
		pass_turn(storm);
}

static void play_script(struct storm *storm)
{
	const struct storm_script *script = &storm->script;

	storm->hold = script->hold;
	storm->kernel.arrivals.shuffled = script->shuffled;
	for (storm->steps_done = 0; storm->steps_done < script->count;
	     storm->steps_done++) {
		const struct storm_step *step =
			&script->steps[storm->steps_done];

		pass(storm, (enum storm_gap)step->gap);
		storm_act(storm, step);
	}
}

/* Something was done that ends its verb, or it ends by itself. */
static bool is_told(const struct lane *lane)
{
	const struct victim_class *class = lane->victim.class;

	return lane_code(lane) || lane->victim.closing ||
	       (!class->complete && !(class->traits & VICTIM_STUCK));
}

/* The verb has not returned after so many turns: gives it what it waits for,
 * or stops it. One that was told to end must have. */
static void hurry(struct storm *storm, struct lane *lane, unsigned turn)
{
	const bool slow = storm->spoiled ||
			  lane->victim.class->traits & VICTIM_SLOW;
	const unsigned turns = slow ? SLOW_TURNS : PROMPT_TURNS;

	if (is_told(lane)) {
		if (lane->victim.class->traits & VICTIM_LENT)
			storm_complete(lane);
		if (turn > lane->victim.fed_turn + turns)
			storm_hang(storm, lane);
		return;
	}
	if (turn % FEEDING_STEP)
		return;
	if (turn > 2 * FEEDING_TURNS + SLOW_TURNS)
		storm_hang(storm, lane);
	lane->victim.fed_turn = turn;
	if (lane->victim.portion < lane->victim.bytes)
		lane->victim.portion = lane->victim.bytes;
	if ((turn < FEEDING_TURNS) == storm->script.fed) {
		storm_complete(lane);
		return;
	}
	/* From within a shield, that needs time. */
	lane_cancel(lane, LANE_OUTER_GROUP);
	storm_advance(storm, lane, true);
}

/* A look at all of them, and a turn: returns how many were out. */
static unsigned look_after(struct storm *storm, unsigned turn)
{
	bool slow = false;
	unsigned out = 0;

	for (unsigned i = 0; i < storm->script.lanes; i++) {
		struct lane *lane = &storm->lanes[i];

		if (lane->victim.returned)
			continue;
		out++;
		slow |= lane->victim.class->traits & VICTIM_SLOW;
		if (turn)
			hurry(storm, lane, turn);
	}
	slow &= turn > FEEDING_STEP;
	storm->kernel.patience_ns = slow ? PATIENCE_NS : 0;
	storm->referee.turn++;
	if (out && rota_sleep(slow || turn > PROMPT_TURNS ? RETRY_NS : 1))
		storm_hang(storm, NULL);
	return out;
}

/* Brings all of them home. */
static void settle(struct storm *storm)
{
	storm->kernel.submit_error = 0;
	storm_release_all(storm);
	for (unsigned turn = 0; look_after(storm, turn); turn++)
		;
	storm->kernel.patience_ns = 0;
}

/* The last lane is there if the script says so, for the first one's sake. */
static void prepare_twin(struct storm *storm)
{
	struct victim *first = &storm->lanes[0].victim,
		      *twin = &storm->lanes[STORM_TWIN].victim;

	if (storm->script.lanes <= STORM_TWIN)
		return;
	first->twin = twin;
	twin->fd = first->fd;
}

static void prepare_lanes(struct storm *storm)
{
	const struct storm_script *script = &storm->script;

	for (unsigned i = 0; i < script->lanes; i++)
		referee_expect(
			&storm->referee, "preparing a victim",
			lane_prepare(&storm->lanes[i], &script->shapes[i]), 0);
	prepare_twin(storm);
}

static void prepare_round(struct storm *storm)
{
	struct storm_script *script = &storm->script;
	struct referee *referee = &storm->referee;

	test_random_seed(&referee->random, rounds_seed(&storm->rounds));
	referee->turn = 1;
	memset(script, 0, sizeof(*script));
	script->interruption = -ECANCELED;
	script->lanes = 1;
	storm->start_ns = (storm->rounds.round + 1) * (int64_t)ROUND_NS;
	storm->write(storm, script);
	storm->kernel.clock_ns = storm->start_ns;
	storm->kernel.spoil = 0;
	storm->spoiled = 0;
	test_random_seed(&storm->kernel.arrivals.random,
			 test_random_next(&referee->random));
	prepare_lanes(storm);
}

/* Owns the group of all lanes. */
static int own_all(void *value)
{
	struct storm *storm = *(struct storm **)value;
	struct rota_group all;
	int error = 0;

	rota_group_open(&all, &(struct rota_group_options){
				      .mode = ROTA_GROUP_KEEP_GOING });
	storm->all = &all;
	for (unsigned i = 0; i < storm->script.lanes; i++)
		error |= lane_go(&storm->lanes[i], &all);
	referee_expect(&storm->referee, "spawning the lanes", error, 0);
	error = rota_group_wait(&all);
	storm->all = NULL;
	return error == -ECANCELED ? 0 : error;
}

static void play_round(struct storm *storm)
{
	prepare_round(storm);
	rota_group_open(&storm->home, &(struct rota_group_options){
					      .mode = ROTA_GROUP_KEEP_GOING });
	referee_expect(&storm->referee, "spawning the owner of all",
		       rota_go(&storm->home, own_all, storm), 0);
	play_script(storm);
	settle(storm);
	referee_expect(&storm->referee, "what all came to",
		       rota_group_wait(&storm->home), 0);
	pass_turn(storm);
	storm_check_loop(storm);
	for (unsigned i = 0; i < storm->script.lanes; i++)
		lane_check(&storm->lanes[i]);
	storm_check_descriptors(storm);
}

/* The director. */
static int direct(void *arg)
{
	struct storm *storm = arg;
	const unsigned end =
		storm->rounds.end - storm->rounds.round > ROUNDS_A_RUN
			? storm->rounds.round + ROUNDS_A_RUN
			: storm->rounds.end;

	storm->lowest = clean_lowest_descriptor();
	while (storm->rounds.round < end) {
		play_round(storm);
		if (storm->referee.broken)
			return 0;
		storm->rounds.round++;
	}
	referee_expect(&storm->referee, "descriptors waited for at the end",
		       clean_descriptors_waited_for(RI_DESCRIPTOR_BUCKETS), 0);
	return 0;
}

static void run_engine(struct storm *storm)
{
	const struct rota_config config = { .tasks_max = 256,
					    .log = test_log_nothing };
	const unsigned descriptors = test_process_descriptors();

	test_kernel_init(&storm->kernel);
	test_kernel_clock(&storm->kernel,
			  storm->rounds.round * (int64_t)ROUND_NS +
				  ROTA_SECOND);
	test_kernel_hold(&storm->kernel, storm_watch, storm);
	forward_now = storm->kernel.table.now_ns;
	storm->kernel.table.now_ns = watch_now;
	storm->referee.clock_ns = &storm->kernel.clock_ns;
	storm->referee.fired_ns = 0;
	assert_int_equal(
		test_run_with(&config, &storm->kernel.table, direct, storm), 0);
	if (storm->referee.broken)
		return;
	referee_expect(&storm->referee, "rings and mappings left",
		       test_kernel_left(&storm->kernel), 0);
	referee_expect(&storm->referee, "descriptors left",
		       test_process_descriptors(), descriptors);
}

/* Those beside the victim: quick ones, of another kind each time. */
static const struct victim_class *companion(unsigned class, unsigned lane)
{
	for (unsigned i = class + 3 * lane;; i++) {
		const struct victim_class *found = victim_class_at(i);

		if (!found)
			i = UINT32_MAX;
		else if (!(found->traits & VICTIM_SLOW))
			return found;
	}
}

static int set_up_lane(struct storm *storm, const struct victim_class *class,
		       unsigned index)
{
	struct lane *lane = &storm->lanes[index];

	lane->referee = &storm->referee;
	lane->kernel = &storm->kernel;
	return victim_set_up(&lane->victim, class, &storm->referee);
}

/* Those beside the victim that the kernel does not have are passed over. */
static void set_up_companions(struct storm *storm, unsigned class)
{
	for (unsigned i = 1; i < STORM_TWIN; i++)
		while (set_up_lane(storm, companion(class, i), i)) {
			victim_tear_down(&storm->lanes[i].victim);
			class ++;
		}
	assert_int_equal(set_up_lane(storm, &victim_twin, STORM_TWIN), 0);
}

/* All rounds of one class. */
static void play_class(struct storm *storm, unsigned class)
{
	const struct victim_class *kind = victim_class_at(class);
	const int error = set_up_lane(storm, kind, 0);
	int quiet[2];

	if (error == -ENOSYS) {
		print_message("%s: the kernel does not have it\n", kind->name);
		victim_tear_down(&storm->lanes[0].victim);
		return;
	}
	assert_int_equal(error, 0);
	set_up_companions(storm, class);
	assert_int_equal(pipe2(quiet, O_CLOEXEC), 0);
	storm->quiet = quiet[0];
	while (storm->rounds.round < storm->rounds.end &&
	       !storm->referee.broken)
		run_engine(storm);
	if (storm->referee.broken)
		storm_report(storm);
	for (unsigned i = 0; i < STORM_LANES; i++)
		victim_tear_down(&storm->lanes[i].victim);
	close(quiet[0]);
	close(quiet[1]);
	assert_null(storm->referee.broken);
}

void storm_play(const struct storm_play *play)
{
	static struct storm storm;
	const struct victim_class *class;
	struct test_random seeds;

	test_random_init(&seeds);
	for (unsigned i = 0; (class = victim_class_at(i)); i++) {
		memset(&storm, 0, sizeof(storm));
		storm.write = play->write;
		if (play->quick && class->traits & VICTIM_SLOW)
			continue;
		if (!rounds_begin(&storm.rounds, class->name, seeds.state,
				  play->rounds))
			continue;
		rounds_on_abort(storm_report, &storm);
		play_class(&storm, i);
	}
}
