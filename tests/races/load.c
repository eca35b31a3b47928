/* SPDX-License-Identifier: MIT */
/*
 * Races against the real kernel, by load: no seam and no clock of the test's.
 * Many victims at once (support/victim.h) wait on a ring that is far too small
 * for them; another thread gives most of them what they wait for, in any order,
 * while they are cancelled, late, drained and closed. Some get nothing: that
 * must end them. When it happens is the machine's to say: a seed gives the same
 * script, not the same round.
 *
 *	a squad, some of them: outer deadline
 *	  group, with a limit at times
 *	    victims, each in a scope of its own
 *	    a background member, who makes trouble
 *
 * Every victim that was accepted returns once, with a reason; bytes,
 * connections and descriptors are conserved; nothing is left of the loop.
 */
#include "rota/rota.h"
#include "support/clean.h"
#include "support/log.h"
#include "support/process.h"
#include "support/rounds.h"
#include "support/run.h"
#include "support/victim.h"
#include "task/task.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

/* Of a round of all victims. */
#define ROUNDS 120
/* Rounds of one engine. */
#define ROUNDS_A_RUN 10
#define VICTIMS_MAX 1000
#define VICTIMS_MIN 64
/* That one victim may have open, with what it makes. */
#define DESCRIPTORS_OF_ONE 10
/* Mostly; at times it is all of them, more than one turn tells of a cancel. */
#define SQUAD_MAX 40
#define POISON 0xa5 /* memory that nobody may write to any more */

/* Who waits, in classes of which there may be hundreds. */
static const char *const names[] = {
	"read",          "readv",       "recv",        "recv_waitall",
	"recv_full",     "recv_tcp",    "await_recv",  "poll",
	"write",         "writev",      "send",        "send_all",
	"recvmsg",       "sendmsg",     "recvfrom",    "sendto",
	"accept",        "accept_tcp",  "accept_from", "connect_tcp",
	"splice",        "splice_full", "futex",       "sleep",
	"yield",         "dial",        "stream_view", "stream_recv",
	"stream_accept", "stream_poll", "served_recv", "served_accept",
	"signal",
};
#define NAMES (sizeof(names) / sizeof(names[0]))

/* The scope around a verb. */
enum shelter {
	NONE,
	DEADLINE,
	SHIELD,
	IDLE,
	CALLBACK,
	SHELTERS
};

/* What befalls a squad, and so ends those of it who get nothing. */
enum trouble {
	ANY_TROUBLE, /* cancelled in the end */
	CLOSES,      /* all of them are closed */
	DRAIN,       /* once, with a grace that does not end */
	CANCEL,
	TROUBLES
};

struct load;

struct soldier {
	struct load *load;
	struct victim victim;
	enum shelter shelter;
	int64_t time_ns;   /* a deadline from now, or a grace */
	bool starved;      /* it gets nothing of what it waits for */
	unsigned calls;    /* of its callback */
	bool accepted;     /* it will be called */
	unsigned returned; /* how often the verb has */
};

struct squad {
	struct load *load;
	unsigned first, end; /* its soldiers */
	enum trouble trouble;
	unsigned limit;      /* of the group; 0: none */
	int64_t deadline_ns; /* from now; ROTA_NEVER: none */
	struct rota_group group;
};

struct load {
	struct referee referee;
	struct rounds rounds;
	struct soldier *soldiers;
	unsigned count;  /* of soldiers, those that are set up */
	unsigned active; /* ... those of this round */
	struct squad squads[VICTIMS_MAX];
	unsigned squad_count;
	uint64_t peer_seed;
	atomic_bool over; /* for the peer: all have returned */
	int lowest;       /* the lowest descriptor that is free */
};

static unsigned dice(struct load *load, unsigned end)
{
	return referee_dice(&load->referee, end);
}

/* Mostly short, against what a round takes. */
static int64_t any_ns(struct load *load)
{
	static const unsigned ends[] = { 1, 50000, 500000, 5000000 };

	return (int64_t)dice(load, ends[dice(load, 4)]);
}

static void expect(struct soldier *soldier, const char *law, int64_t seen,
		   int64_t wanted)
{
	struct referee *referee = &soldier->load->referee;

	if (seen == wanted || referee->broken)
		return;
	referee_expect(referee, law, seen, wanted);
	referee->whose = soldier->victim.class->name;
}

static bool is_code(int result)
{
	return result == -ECANCELED || result == -ETIME || result == -ESHUTDOWN;
}

/* An error needs a reason. */
static void judge(struct soldier *soldier, int before)
{
	const struct victim *victim = &soldier->victim;
	const unsigned traits = victim->class->traits;
	const int result = victim->result;

	if (before)
		expect(soldier, "what who is cancelled is told", result,
		       before);
	else if (is_code(result))
		expect(soldier, "whether it was told to end",
		       rota_cancelled() || traits & VICTIM_SLEEPS, true);
	else if (result == -EAGAIN)
		expect(soldier, "whether it was a futex that changed",
		       strcmp(victim->class->name, "futex"), 0);
	else if (result == -EBADF || (result < 0 && traits & VICTIM_STRAYS))
		expect(soldier, "whether it was closed", victim->closing, true);
	else
		expect(soldier, "an error", result < 0 ? result : 0, 0);
}

static void call_verb(struct soldier *soldier)
{
	struct victim *victim = &soldier->victim;
	const int before = rota_cancelled();

	victim->called = true;
	victim->result = victim->class->call(victim);
	judge(soldier, before);
	memset(victim->buffer, POISON, victim->bytes);
	soldier->returned++;
}

static void call_in_deadline(struct soldier *soldier)
{
	const int64_t deadline_ns = rota_after_ns(soldier->time_ns);
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, deadline_ns);
	call_verb(soldier);
	if (rota_deadline_end(&deadline))
		expect(soldier, "a deadline that came too early",
		       rota_now_ns() < deadline_ns, false);
}

static void call_in_shield(struct soldier *soldier)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, soldier->time_ns);
	call_verb(soldier);
	rota_shield_end(&shield);
}

static void call_in_idle(struct soldier *soldier)
{
	struct rota_idle idle;

	rota_idle_begin(&idle);
	call_verb(soldier);
	rota_idle_end(&idle);
}

static void call_back(void *arg)
{
	struct soldier *soldier = arg;

	soldier->calls++;
}

static void call_in_callback(struct soldier *soldier)
{
	struct rota_callback callback;
	bool missed;

	rota_callback_begin(&callback, call_back, soldier);
	call_verb(soldier);
	missed = rota_callback_end(&callback);
	expect(soldier, "calls of the callback", soldier->calls, !missed);
}

static int serve(void *value)
{
	static void (*const call_in[])(struct soldier *) = {
		[NONE] = call_verb,
		[DEADLINE] = call_in_deadline,
		[SHIELD] = call_in_shield,
		[IDLE] = call_in_idle,
		[CALLBACK] = call_in_callback,
	};
	struct soldier *soldier = *(struct soldier **)value;

	call_in[soldier->shelter](soldier);
	/* At times as a failure: that of another member is a cancel. */
	return soldier->victim.result < 0 ? soldier->victim.result : 0;
}

static void close_one(struct soldier *soldier)
{
	const int fd = soldier->victim.fd;

	if (fd < 0 || soldier->victim.class->traits & VICTIM_OPEN)
		return;
	victim_forget(&soldier->victim);
	expect(soldier, "a close", rota_close(fd), 0);
}

static void close_all(struct squad *squad)
{
	for (unsigned i = squad->first; i < squad->end; i++)
		close_one(&squad->load->soldiers[i]);
}

static void cancel(struct squad *squad)
{
	rota_group_cancel(&squad->group, (struct rota_cancellation){ 0 });
}

/* Does something to the squad, or to one of it, every once in a while. */
static int make_any_trouble(struct squad *squad)
{
	struct load *load = squad->load;
	const unsigned size = squad->end - squad->first;

	while (!rota_sleep(any_ns(load))) {
		switch (dice(load, 8)) {
		case 0:
			cancel(squad);
			break;
		case 1:
			rota_group_drain(&squad->group, any_ns(load));
			break;
		case 2:
			/* Where that ends nobody, it goes on. */
			if (squad->group.mode == ROTA_GROUP_FIRST_ERROR)
				return -EIO;
			break;
		default:
			close_one(&load->soldiers[squad->first +
						  dice(load, size)]);
			break;
		}
	}
	return 0;
}

static int make_trouble(void *value)
{
	struct squad *squad = *(struct squad **)value;

	if (squad->trouble == ANY_TROUBLE)
		return make_any_trouble(squad);
	if (rota_sleep(any_ns(squad->load)))
		return 0;
	if (squad->trouble == CLOSES)
		close_all(squad);
	else if (squad->trouble == DRAIN)
		rota_group_drain(&squad->group, ROTA_NEVER);
	else
		cancel(squad);
	return 0;
}

static void spawn_all(struct squad *squad)
{
	struct load *load = squad->load;

	if (rota_go_background(&squad->group, make_trouble, squad))
		return;
	for (unsigned i = squad->first; i < squad->end; i++) {
		struct soldier *soldier = &load->soldiers[i];
		const int error = rota_go(&squad->group, serve, soldier);

		soldier->accepted = !error;
		expect(soldier, "whether its refusal has a reason",
		       error && !rota_cancelled() && error != -ESHUTDOWN,
		       false);
	}
}

static int lead(void *value)
{
	struct squad *squad = *(struct squad **)value;
	struct load *load = squad->load;
	const struct rota_group_options options = {
		.limit = squad->limit,
		.mode = dice(load, 2) ? ROTA_GROUP_KEEP_GOING
				      : ROTA_GROUP_FIRST_ERROR,
	};
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, rota_after_ns(squad->deadline_ns));
	rota_group_open(&squad->group, &options);
	spawn_all(squad);
	(void)rota_group_wait(&squad->group);
	memset(&squad->group, POISON, sizeof(squad->group));
	rota_deadline_end(&deadline);
	for (unsigned i = squad->first; i < squad->end; i++)
		expect(&load->soldiers[i], "how often it returned",
		       load->soldiers[i].returned, load->soldiers[i].accepted);
	return 0;
}

/* The thread that gives all of them what they wait for, until none waits. */
static void *give(void *argument)
{
	struct load *load = argument;
	struct test_random random = { .state = load->peer_seed };

	while (!atomic_load(&load->over)) {
		const unsigned index =
			(unsigned)test_random_below(&random, load->active);
		struct soldier *soldier = &load->soldiers[index];

		if (!soldier->starved && soldier->victim.class->complete)
			soldier->victim.class->complete(&soldier->victim);
	}
	return NULL;
}

static void prepare_soldier(struct load *load, unsigned index)
{
	const int64_t graces_ns[] = { INT64_MIN, 100000, 1000000, ROTA_NEVER };
	struct soldier *soldier = &load->soldiers[index];

	soldier->shelter = (enum shelter)dice(load, SHELTERS);
	soldier->time_ns = soldier->shelter == SHIELD ? graces_ns[dice(load, 4)]
						      : any_ns(load);
	soldier->calls = 0;
	soldier->accepted = false;
	soldier->returned = 0;
	expect(soldier, "preparing it", victim_prepare(&soldier->victim), 0);
	/* One of a thousand gets something seldom. */
	if (soldier->victim.portion < soldier->victim.bytes / 4)
		soldier->victim.portion = soldier->victim.bytes / 4;
}

/* Will what befalls the squad end it? */
static bool may_starve(const struct soldier *soldier, enum trouble trouble)
{
	if (soldier->shelter == SHIELD && soldier->time_ns == ROTA_NEVER)
		return false;
	if (trouble == CLOSES)
		return soldier->victim.keeper >= 0;
	return trouble != DRAIN || soldier->shelter == IDLE;
}

static void starve(struct squad *squad)
{
	struct load *load = squad->load;

	for (unsigned i = squad->first; i < squad->end; i++)
		load->soldiers[i].starved =
			!dice(load, 3) &&
			may_starve(&load->soldiers[i], squad->trouble);
}

static void prepare_squads(struct load *load)
{
	unsigned first = 0;

	load->squad_count = 0;
	while (first < load->active) {
		struct squad *squad = &load->squads[load->squad_count++];
		const unsigned most = dice(load, 16) ? SQUAD_MAX : VICTIMS_MAX;
		unsigned end = first + 1 + dice(load, most);

		if (end > load->active)
			end = load->active;
		squad->load = load;
		squad->first = first;
		squad->end = end;
		squad->trouble = (enum trouble)dice(load, TROUBLES);
		squad->limit = dice(load, 2) ? 0 : 1 + dice(load, 8);
		squad->deadline_ns = dice(load, 3) ? ROTA_NEVER : any_ns(load);
		starve(squad);
		first = end;
	}
}

static void prepare_round(struct load *load)
{
	test_random_seed(&load->referee.random, rounds_seed(&load->rounds));
	load->active = VICTIMS_MIN + dice(load, load->count - VICTIMS_MIN + 1);
	for (unsigned i = 0; i < load->active; i++)
		prepare_soldier(load, i);
	prepare_squads(load);
	load->peer_seed = test_random_next(&load->referee.random);
	atomic_store(&load->over, false);
}

static void check_soldier(struct soldier *soldier)
{
	struct victim *victim = &soldier->victim;
	size_t poisoned = 0;

	while (poisoned < victim->bytes && victim->buffer[poisoned] == POISON)
		poisoned++;
	if (victim->called)
		expect(soldier, "bytes of the buffer that stay",
		       (int64_t)poisoned, (int64_t)victim->bytes);
	if (victim->class->check)
		victim->class->check(victim);
	if (soldier->load->referee.broken && !soldier->load->referee.whose)
		soldier->load->referee.whose = victim->class->name;
	expect(soldier, "bytes out of order", victim->torn, false);
}

static void check_round(struct load *load)
{
	struct referee *referee = &load->referee;

	clean_expect(referee);
	referee_expect(referee, "descriptors waited for at the end",
		       clean_descriptors_waited_for(RI_DESCRIPTOR_BUCKETS), 0);
	for (unsigned i = 0; i < load->active; i++)
		check_soldier(&load->soldiers[i]);
	for (unsigned i = 0; i < load->active; i++)
		expect(&load->soldiers[i], "opening what was closed",
		       victim_restore(&load->soldiers[i].victim), 0);
	referee_expect(referee, "the lowest descriptor that is free",
		       clean_lowest_descriptor(), load->lowest);
}

static void play_round(struct load *load)
{
	struct rota_group home;
	pthread_t peer;
	int error = 0;

	prepare_round(load);
	rota_group_open(&home, NULL);
	error |= pthread_create(&peer, NULL, give, load);
	for (unsigned i = 0; i < load->squad_count; i++)
		error |= rota_go(&home, lead, &load->squads[i]);
	error |= rota_group_wait(&home);
	atomic_store(&load->over, true);
	pthread_join(peer, NULL);
	/* Late answers to cancels. */
	do
		error |= rota_sleep(1);
	while (ri_tasks_here()->loop.in_flight);
	referee_expect(&load->referee, "what all came to", error, 0);
	check_round(load);
}

/* The director. */
static int direct(void *arg)
{
	struct load *load = arg;
	struct rounds *rounds = &load->rounds;

	load->lowest = clean_lowest_descriptor();
	for (unsigned i = 0; i < ROUNDS_A_RUN; i++) {
		if (rounds->round == rounds->end || load->referee.broken)
			return 0;
		play_round(load);
		rounds->round += !load->referee.broken;
	}
	return 0;
}

static void report(const void *context)
{
	const struct load *load = context;

	rounds_print_law(&load->referee);
	fprintf(stderr, "  %u victims in %u squads\n", load->active,
		load->squad_count);
	rounds_print(&load->rounds);
}

static void run_engine(struct load *load)
{
	const struct rota_config config = {
		.tasks_max = 4 * VICTIMS_MAX,
		.entries = 8u << load->rounds.round / ROUNDS_A_RUN % 4,
		.log = test_log_nothing,
	};

	assert_int_equal(test_run_with(&config, NULL, direct, load), 0);
}

/* As many victims as there may be descriptors. */
static unsigned count_victims(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_cur / DESCRIPTORS_OF_ONE < VICTIMS_MAX
		       ? (unsigned)limit.rlim_cur / DESCRIPTORS_OF_ONE
		       : VICTIMS_MAX;
}

/* Those that the kernel does not have are passed over. */
static void set_up(struct load *load)
{
	const unsigned wanted = count_victims();

	load->soldiers = calloc(VICTIMS_MAX, sizeof(*load->soldiers));
	assert_non_null(load->soldiers);
	for (unsigned i = 0; load->count < wanted; i++) {
		struct soldier *soldier = &load->soldiers[load->count];
		const struct victim_class *class =
			victim_class_named(names[i % NAMES]);
		const int error =
			victim_set_up(&soldier->victim, class, &load->referee);

		soldier->load = load;
		if (error)
			victim_tear_down(&soldier->victim);
		else
			load->count++;
		assert_true(!error || error == -ENOSYS);
	}
}

static void many_victims_at_once_lose_nothing(void **state)
{
	static struct load load;
	const unsigned descriptors = test_process_descriptors();
	struct test_random seeds;

	(void)state;
	test_random_init(&seeds);
	if (!rounds_begin(&load.rounds, "load", seeds.state, ROUNDS))
		return;
	if (count_victims() < VICTIMS_MIN)
		test_skip("too few descriptors are allowed");
	set_up(&load);
	rounds_on_abort(report, &load);
	while (load.rounds.round < load.rounds.end && !load.referee.broken)
		run_engine(&load);
	if (load.referee.broken)
		report(&load);
	for (unsigned i = 0; i < load.count; i++)
		victim_tear_down(&load.soldiers[i].victim);
	free(load.soldiers);
	assert_null(load.referee.broken);
	assert_int_equal(test_process_descriptors(), descriptors);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_victims_at_once_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
