/* SPDX-License-Identifier: MIT */
/*
 * Selects between loops: those that could serve each other do, an arm that was
 * claimed on another loop is done whatever happens here meanwhile, and no item
 * is lost or doubled in a storm.
 */
#include "support/loops.h"
#include "support/random.h"
#include "task/task.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MEETINGS 15000u
#define PAIRS 24u
#define STORMS 40000u
#define STORMERS 9u
#define CHANNELS 3u
#define NOTHING 1000

struct end {
	struct rota_sender sender;
	struct rota_receiver receiver;
};

struct seen {
	struct end ends[CHANNELS];
	struct end pairs[PAIRS][2]; /* of those who meet on two channels */
	struct rota_event over;     /* nobody is left to meet */
	struct rota_event flicker;  /* set and reset all the time */
	unsigned rounds;            /* each task plays */
	atomic_uint live;           /* tasks that have rounds left */
	atomic_ulong sent;          /* items, */
	atomic_ulong sent_sum;      /* ... added up */
	atomic_ulong received;
	atomic_ulong received_sum;
	atomic_ulong discarded;
	atomic_ulong discarded_sum;
	atomic_uint wrong; /* results that may not be */
	atomic_uint next;  /* the number of the next task */
	uint64_t seed;
	unsigned loops; /* on which they run */
};

static void note_discarded(void *item, void *context)
{
	struct seen *seen = context;

	atomic_fetch_add(&seen->discarded, 1);
	atomic_fetch_add(&seen->discarded_sum, *(unsigned long *)item);
}

static int open_end(struct seen *seen, struct end *end, size_t capacity)
{
	return rota_channel_open((&(struct rota_channel_options){
					 .item_bytes = sizeof(unsigned long),
					 .capacity = capacity,
					 .discard = note_discarded,
					 .context = seen }),
				 &end->sender, &end->receiver);
}

static int open_ends(struct seen *seen, const size_t *capacities)
{
	int error = 0;

	rota_event_init(&seen->over, NULL);
	rota_event_init(&seen->flicker, NULL);
	for (unsigned i = 0; i < CHANNELS && !error; i++)
		error = open_end(seen, &seen->ends[i], capacities[i]);
	return error;
}

static void close_end(struct end *end)
{
	rota_sender_close(&end->sender);
	rota_receiver_close(&end->receiver);
}

static void close_ends(struct seen *seen)
{
	for (unsigned i = 0; i < CHANNELS; i++)
		close_end(&seen->ends[i]);
	rota_event_fini(&seen->over);
	rota_event_fini(&seen->flicker);
}

static void note_sent(struct seen *seen, unsigned long item)
{
	atomic_fetch_add(&seen->sent, 1);
	atomic_fetch_add(&seen->sent_sum, item);
}

static void note_received(struct seen *seen, unsigned long item)
{
	atomic_fetch_add(&seen->received, 1);
	atomic_fetch_add(&seen->received_sum, item);
}

static void assert_nothing_lost(struct seen *seen)
{
	assert_int_equal(atomic_load(&seen->wrong), 0);
	assert_int_equal(atomic_load(&seen->sent),
			 atomic_load(&seen->received) +
				 atomic_load(&seen->discarded));
	assert_int_equal(atomic_load(&seen->sent_sum),
			 atomic_load(&seen->received_sum) +
				 atomic_load(&seen->discarded_sum));
}

/* One round of two tasks that meet, on two channels by turns or on one. */
static int meet_once(struct seen *seen, const struct end *out,
		     const struct end *in, unsigned long item)
{
	unsigned long got = 0;
	struct rota_arm arms[] = {
		rota_arm_send(&out->sender, &item),
		rota_arm_receive(&in->receiver, &got),
		rota_arm_event(&seen->over),
	};
	const int chosen = rota_select(arms, 3);

	if (chosen == 0) {
		note_sent(seen, item);
		atomic_fetch_add(&seen->wrong, arms[0].result != 0 || got);
	} else if (chosen == 1) {
		note_received(seen, got);
		atomic_fetch_add(&seen->wrong, arms[1].result != 1);
	}
	return chosen;
}

/* The last one has nobody to meet. */
static void leave_meeting(struct seen *seen)
{
	if (atomic_fetch_sub(&seen->live, 1) == 2)
		rota_event_set(&seen->over);
}

/* Nobody but the two uses their channels: if they miss each other they wait for
 * ever. */
struct partner {
	struct seen *seen;
	unsigned number;
};

static int meet_on_two(void *value)
{
	const struct partner *partner = value;
	struct seen *seen = partner->seen;
	const struct end *ends = seen->pairs[partner->number / 2];
	const bool other = partner->number % 2;
	unsigned long item = (unsigned long)partner->number << 32;

	for (unsigned i = 0; i < seen->rounds; i++)
		if (meet_once(seen, &ends[other], &ends[!other], ++item) > 1)
			atomic_fetch_add(&seen->wrong, 1);
	return 0;
}

static int meet_on_one(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned number = atomic_fetch_add(&seen->next, 1);
	unsigned long item = (unsigned long)number << 32;
	int chosen = 0;

	for (unsigned i = 0; i < seen->rounds && chosen < 2; i++)
		chosen =
			meet_once(seen, &seen->ends[0], &seen->ends[0], ++item);
	leave_meeting(seen);
	return chosen < 0 ? chosen : 0;
}

static int start_all(struct seen *seen, rota_task_fn *fn, unsigned count)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < count && !error; i++)
		error = rota_go_on(&group, i % seen->loops, fn, seen);
	return rota_group_wait(&group) | error;
}

static const size_t none[CHANNELS] = { 0, 0, 0 };

static int start_pairs(struct seen *seen)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 2 * PAIRS && !error; i++) {
		const struct partner partner = { seen, i };

		error = rota_go_on(&group, i % seen->loops, meet_on_two,
				   partner);
	}
	return rota_group_wait(&group) | error;
}

static int play_two(void *arg)
{
	struct seen *seen = arg;
	int error = open_ends(seen, none);

	for (unsigned i = 0; i < 2 * PAIRS; i++)
		error |= open_end(seen, &seen->pairs[i / 2][i % 2], 0);
	if (!error)
		error = start_pairs(seen);
	for (unsigned i = 0; i < 2 * PAIRS; i++)
		close_end(&seen->pairs[i / 2][i % 2]);
	close_ends(seen);
	return error;
}

static int play_one(void *arg)
{
	struct seen *seen = arg;
	int error = open_ends(seen, none);

	atomic_store(&seen->live, 2 * PAIRS);
	if (!error)
		error = start_all(seen, meet_on_one, 2 * PAIRS);
	close_ends(seen);
	return error;
}

static void run_on(unsigned loops, int (*fn)(void *), struct seen *seen)
{
	const struct rota_config config = { .loops = loops };

	seen->loops = loops;
	assert_int_equal(test_run_with(&config, NULL, fn, seen), 0);
}

static void selects_that_could_meet_on_two_channels_do(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= TEST_LOOPS; loops++) {
		static struct seen seen;

		memset(&seen, 0, sizeof(seen));
		seen.rounds = test_rounds(MEETINGS);
		run_on(loops, play_two, &seen);
		assert_nothing_lost(&seen);
		assert_int_equal(atomic_load(&seen.sent), PAIRS * seen.rounds);
	}
}

static void selects_that_could_meet_on_one_channel_do(void **state)
{
	(void)state;
	for (unsigned loops = 1; loops <= TEST_LOOPS; loops++) {
		static struct seen seen;

		memset(&seen, 0, sizeof(seen));
		seen.rounds = test_rounds(MEETINGS);
		run_on(loops, play_one, &seen);
		assert_nothing_lost(&seen);
		assert_in_range(atomic_load(&seen.sent),
				PAIRS * seen.rounds - seen.rounds,
				PAIRS * seen.rounds);
	}
}

/* A task of loop 1 whose poll has completed, and which has not gone on yet:
 * somebody before it keeps the loop. What comes then is claimed on loop 0, and
 * the news of it are on their way when the task looks. */
struct late {
	struct end end;
	struct rota_event event;
	struct rota_group group;
	struct rota_task *task; /* that selects */
	atomic_bool waits;      /* it is about to */
	atomic_bool ready;      /* the poll has completed */
	atomic_bool done;       /* somebody has served it, or not */
	unsigned long item;     /* received */
	struct rota_arm arms[3];
	int fds[2]; /* of a pipe */
	int chosen;
	int served;       /* what who served it was told */
	const char *what; /* happens meanwhile: s(erve), e(vent), c(ancel) */
};

static int select_late(void *value)
{
	struct late *late = *(struct late **)value;

	late->arms[0] = rota_arm_receive(&late->end.receiver, &late->item);
	late->arms[1] = rota_arm_poll(late->fds[0], POLLIN);
	late->arms[1].result = NOTHING;
	late->arms[2] = rota_arm_event(&late->event);
	late->task = ri_task_self(__func__);
	atomic_store(&late->waits, true);
	late->chosen = rota_select(late->arms, 3);
	return 0;
}

/* Is ready all the time, so before who is made ready. */
static int keep_loop(void *value)
{
	struct late *late = *(struct late **)value;

	while (!atomic_load(&late->waits) || !late->task->wait)
		if (rota_yield())
			return 0;
	if (write(late->fds[1], "x", 1) != 1)
		return -EIO;
	while (late->task->wait)
		if (rota_yield())
			return 0;
	atomic_store(&late->ready, true);
	spin(&late->done);
	return 0;
}

static void do_what(struct late *late)
{
	const unsigned long item = 7;

	for (const char *what = late->what; *what; what++)
		if (*what == 's')
			late->served =
				rota_channel_try_send(&late->end.sender, &item);
		else if (*what == 'e')
			rota_event_set(&late->event);
		else
			rota_group_cancel(&late->group,
					  (struct rota_cancellation){ 0,
								      NULL });
}

static int be_late(void *arg)
{
	struct late *late = arg;
	struct rota_shield shield;
	int error = rota_channel_open(
		(&(struct rota_channel_options){ .item_bytes = sizeof(long) }),
		&late->end.sender, &late->end.receiver);

	if (pipe(late->fds) < 0)
		return -errno;
	rota_event_init(&late->event, NULL);
	rota_group_open(&late->group, NULL);
	rota_shield_begin(&shield, ROTA_NEVER);
	error |= rota_go_on(&late->group, 1, select_late, late);
	error |= rota_go_on(&late->group, 1, keep_loop, late);
	await(&late->ready);
	do_what(late);
	atomic_store(&late->done, true);
	rota_shield_end(&shield);
	(void)rota_group_wait(&late->group);
	rota_event_fini(&late->event);
	rota_sender_close(&late->end.sender);
	rota_receiver_close(&late->end.receiver);
	close(late->fds[0]);
	close(late->fds[1]);
	return error;
}

static void what_was_claimed_elsewhere_is_done_though_the_poll_is(void **state)
{
	static const struct {
		const char *what;
		int chosen, served;
	} cases[] = {
		{ "", 1, NOTHING },  { "s", 0, 0 },
		{ "sc", 0, 0 },      { "cs", 0, 0 },
		{ "e", 2, NOTHING }, { "es", 2, -EAGAIN },
		{ "se", 0, 0 },      { "c", 1, NOTHING },
		{ "sec", 0, 0 },     { "ces", 2, -EAGAIN },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct late late = { .what = cases[i].what,
				     .chosen = NOTHING,
				     .served = NOTHING };

		assert_int_equal(test_run_loops(be_late, &late), 0);
		assert_int_equal(late.chosen, cases[i].chosen);
		assert_int_equal(late.served, cases[i].served);
		assert_int_equal(late.item, cases[i].chosen == 0 ? 7 : 0);
		assert_int_equal(late.arms[1].result,
				 cases[i].chosen == 1 ? POLLIN : NOTHING);
	}
}

/* The storm: everybody selects all kinds of arms, and some are cancelled. */
struct stormer {
	struct seen *seen;
	struct test_random random;
	unsigned long items[CHANNELS]; /* to be sent */
	unsigned long got[CHANNELS];   /* received */
	struct rota_arm arms[2 * CHANNELS + 3];
	int channels[2 * CHANNELS]; /* of the arms before those */
	unsigned count;             /* of arms */
	unsigned long last;         /* item */
	int fds[2];                 /* of a pipe with a byte in it */
};

static unsigned dice(struct stormer *stormer, unsigned end)
{
	return (unsigned)test_random_below(&stormer->random, end);
}

static void draw_arms(struct stormer *stormer)
{
	struct seen *seen = stormer->seen;
	const unsigned channels = dice(stormer, 5);

	for (stormer->count = 0; stormer->count < channels; stormer->count++) {
		const unsigned i = dice(stormer, CHANNELS);

		stormer->channels[stormer->count] = (int)i;
		stormer->items[i] = ++stormer->last;
		stormer->got[i] = 0;
		stormer->arms[stormer->count] =
			dice(stormer, 2)
				? rota_arm_send(&seen->ends[i].sender,
						&stormer->items[i])
				: rota_arm_receive(&seen->ends[i].receiver,
						   &stormer->got[i]);
	}
	if (dice(stormer, 3) == 0)
		stormer->arms[stormer->count++] =
			rota_arm_event(&seen->flicker);
	if (dice(stormer, 3) == 0)
		stormer->arms[stormer->count++] =
			rota_arm_poll(stormer->fds[dice(stormer, 4) == 0],
				      dice(stormer, 2) ? POLLIN : POLLOUT);
	stormer->arms[stormer->count++] = rota_arm_deadline(
		rota_after_ns((int64_t)dice(stormer, 60) * 1000));
}

static void note_arm(struct stormer *stormer, int chosen)
{
	const struct rota_arm *arm = &stormer->arms[chosen];
	struct seen *seen = stormer->seen;

	if (arm->kind == ROTA_ARM_SEND) {
		note_sent(seen, stormer->items[stormer->channels[chosen]]);
		atomic_fetch_add(&seen->wrong, arm->result != 0);
	} else if (arm->kind == ROTA_ARM_RECEIVE) {
		note_received(seen, stormer->got[stormer->channels[chosen]]);
		atomic_fetch_add(&seen->wrong, arm->result != 1);
	} else if (arm->kind == ROTA_ARM_POLL) {
		atomic_fetch_add(&seen->wrong, arm->result <= 0);
	} else {
		atomic_fetch_add(&seen->wrong, arm->result != 0);
	}
}

static void act(struct stormer *stormer)
{
	struct seen *seen = stormer->seen;
	struct rota_deadline deadline;
	bool wants_code = false;
	int chosen;

	draw_arms(stormer);
	rota_deadline_begin(&deadline,
			    dice(stormer, 2)
				    ? ROTA_NEVER
				    : rota_after_ns(dice(stormer, 40) * 1000));
	if (dice(stormer, 4)) {
		chosen = rota_select(stormer->arms, stormer->count);
		wants_code = chosen < 0 && chosen != -ETIME;
	} else {
		chosen = rota_try_select(stormer->arms, stormer->count);
		wants_code = chosen < 0 && chosen != -EAGAIN;
	}
	rota_deadline_end(&deadline);
	if (chosen >= 0)
		note_arm(stormer, chosen);
	else
		atomic_fetch_add(&seen->wrong, wants_code);
	if (dice(stormer, 4) == 0)
		rota_event_set(&seen->flicker);
	else
		rota_event_reset(&seen->flicker);
}

static int storm(void *value)
{
	struct seen *seen = *(struct seen **)value;
	const unsigned number = atomic_fetch_add(&seen->next, 1);
	static struct stormer stormers[STORMERS];
	struct stormer *stormer = &stormers[number];

	memset(stormer, 0, sizeof(*stormer));
	stormer->seen = seen;
	stormer->last = (unsigned long)number << 32;
	test_random_seed(&stormer->random, seen->seed + number);
	if (pipe(stormer->fds) < 0)
		return -errno;
	for (unsigned i = 0; i < seen->rounds; i++)
		act(stormer);
	close(stormer->fds[0]);
	close(stormer->fds[1]);
	return 0;
}

static int play_storm(void *arg)
{
	struct seen *seen = arg;
	const size_t capacities[CHANNELS] = { 0, 1, 5 };
	int error = open_ends(seen, capacities);

	if (!error)
		error = start_all(seen, storm, STORMERS);
	close_ends(seen);
	return error;
}

static void no_item_is_lost_or_doubled_in_a_storm(void **state)
{
	struct test_random seeds;

	(void)state;
	test_random_init(&seeds);
	for (unsigned loops = 1; loops <= TEST_LOOPS; loops++) {
		static struct seen seen;

		memset(&seen, 0, sizeof(seen));
		seen.rounds = test_rounds(STORMS);
		seen.seed = test_random_next(&seeds);
		run_on(loops, play_storm, &seen);
		assert_nothing_lost(&seen);
		assert_true(atomic_load(&seen.received) > 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(selects_that_could_meet_on_two_channels_do),
		cmocka_unit_test(selects_that_could_meet_on_one_channel_do),
		cmocka_unit_test(
			what_was_claimed_elsewhere_is_done_though_the_poll_is),
		cmocka_unit_test(no_item_is_lost_or_doubled_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
