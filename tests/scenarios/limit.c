/* SPDX-License-Identifier: MIT */
/*
 * Stories of groups at their limit: who waits, who is told no, who goes on by
 * itself. The scenarios are those that Go's errgroup is tested with.
 */
#include "rota/rota.h"
#include "support/story.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define SLOTS 37

struct door {
	int pair[2]; /* each byte lets one member out */
	int codes[8];
	unsigned let_in;
};

static int wait_at_door(void *value)
{
	const int fd = *(int *)value;
	char byte;
	const int code = rota_read(fd, &byte, 1);

	return code < 0 ? code : 0;
}

static int open_door(const struct door *door, unsigned times)
{
	char bytes[SLOTS] = { 0 };
	const int code = rota_write(door->pair[1], bytes, times);

	return code == (int)times ? rota_sleep(1) : -EPROTO;
}

static int try_at_the_limit(void *arg)
{
	struct door *door = arg;
	struct rota_group group;
	int error, fd;

	if (pipe2(door->pair, O_CLOEXEC))
		return -EPROTO;
	fd = door->pair[0];
	rota_group_open(&group, &(struct rota_group_options){ .limit = SLOTS });
	for (int i = 0; i < SLOTS; i++)
		door->let_in += !rota_try_go(&group, wait_at_door, fd);
	door->codes[0] = rota_try_go(&group, wait_at_door, fd);
	error = open_door(door, 1);
	door->codes[1] = rota_try_go(&group, wait_at_door, fd);
	door->codes[2] = rota_try_go(&group, wait_at_door, fd);
	error |= open_door(door, SLOTS);
	for (int i = 0; i < SLOTS; i++)
		door->let_in += !rota_try_go(&group, wait_at_door, fd);
	door->codes[3] = rota_try_go(&group, wait_at_door, fd);
	error |= open_door(door, SLOTS);
	door->codes[4] = rota_group_wait(&group);
	rota_close(door->pair[0]);
	rota_close(door->pair[1]);
	return error;
}

static void who_asks_at_the_limit_gets_no_and_a_yes_once_one_ended(void **state)
{
	struct door door = { .let_in = 0 };

	(void)state;
	assert_int_equal(test_run_timed(try_at_the_limit, &door), 0);
	assert_int_equal(door.let_in, 2 * SLOTS);
	assert_int_equal(door.codes[0], -EAGAIN);
	assert_int_equal(door.codes[1], 0);
	assert_int_equal(door.codes[2], -EAGAIN);
	assert_int_equal(door.codes[3], -EAGAIN);
	assert_int_equal(door.codes[4], 0);
}

/* A limit of 0 is no limit but the engine's: who is to take nobody drains. */
static int drain_and_ask(void *arg)
{
	unsigned *refused = arg;
	struct test_trail trail = { "" };
	const struct actor actor = { &trail, "a", 1, 0, 0 };
	struct rota_group group;

	rota_group_open(&group, NULL);
	if (rota_go(&group, act, actor))
		return -EPROTO;
	rota_group_drain(&group, ROTA_NEVER);
	for (int i = 0; i < 1000; i++) {
		*refused += rota_try_go(&group, act, actor) == -ESHUTDOWN;
		*refused += rota_go(&group, act, actor) == -ESHUTDOWN;
	}
	return rota_group_wait(&group) ? -EPROTO : (int)strlen(trail.text);
}

static void a_group_that_drains_takes_nobody_and_loses_nobody(void **state)
{
	unsigned refused = 0;

	(void)state;
	assert_int_equal(test_run_timed(drain_and_ask, &refused), strlen("a "));
	assert_int_equal(refused, 2 * 1000);
}

#define BUSY_MAX 9

struct crowd {
	unsigned busy, busiest, served;
};

static int be_busy(void *value)
{
	struct crowd *crowd = *(struct crowd **)value;
	int code;

	if (++crowd->busy > crowd->busiest)
		crowd->busiest = crowd->busy;
	code = rota_sleep(ROTA_MICROSECOND);
	crowd->busy--;
	crowd->served++;
	return code;
}

static int serve_crowd(void *arg)
{
	struct rota_group group;
	int error = 0;

	rota_group_open(&group,
			&(struct rota_group_options){ .limit = BUSY_MAX });
	for (int i = 0; i < 1000 && !error; i++)
		error = rota_go(&group, be_busy, arg);
	return rota_group_wait(&group) | error;
}

static void of_1000_members_never_more_than_9_are_at_work(void **state)
{
	struct crowd crowd = { 0 };

	(void)state;
	assert_int_equal(test_run_timed(serve_crowd, &crowd), 0);
	assert_int_equal(crowd.busiest, BUSY_MAX);
	assert_int_equal(crowd.served, 1000);
}

/* A feeder with descriptors in its hand: what is accepted closes its own. */
struct feed {
	unsigned accepted, ran, kept;
	int refusal;
	int64_t ended_ns;
};

struct parcel {
	struct feed *feed;
	int number;
	int fd;
};

static int deliver(void *value)
{
	const struct parcel *parcel = value;
	const int code = rota_sleep(parcel->number == 5 ? 5 : ROTA_SECOND);

	parcel->feed->ran++;
	rota_close(parcel->fd);
	if (code)
		return code;
	return parcel->number == 5 ? -EADDRNOTAVAIL : 0;
}

static int feed_100(void *arg)
{
	struct feed *feed = arg;
	struct rota_group group;
	int outcome;

	rota_group_open(&group, &(struct rota_group_options){ .limit = 4 });
	for (int i = 0; i < 100; i++) {
		struct parcel parcel = { feed, i, dup(STDERR_FILENO) };
		const int error = rota_go(&group, deliver, parcel);

		feed->accepted += !error;
		if (!error)
			continue;
		feed->refusal = error;
		feed->kept++;
		rota_close(parcel.fd);
		break;
	}
	outcome = rota_group_wait(&group);
	feed->ended_ns = test_now_ns();
	return outcome;
}

static void a_feeder_at_the_limit_is_freed_by_the_first_error(void **state)
{
	struct feed feed = { 0 };
	const int before = dup(STDERR_FILENO);
	int after;

	(void)state;
	assert_int_equal(test_run_timed(feed_100, &feed), -EADDRNOTAVAIL);
	assert_int_equal(feed.refusal, -ECANCELED);
	assert_int_equal(feed.accepted, feed.ran);
	assert_int_equal(feed.accepted, 8);
	assert_int_equal(feed.kept, 1);
	assert_int_equal(feed.ended_ns, ROTA_SECOND + 5);
	after = dup(STDERR_FILENO);
	assert_int_equal(after, before + 1);
	close(before);
	close(after);
}

/* A tree that is walked by members that spawn members. */
struct walk {
	struct rota_group group;
	unsigned visited, inlined, live, most;
};

struct place {
	struct walk *walk;
	int depth;
};

static void visit(struct walk *walk, int depth);

static int visit_place(void *value)
{
	const struct place *place = value;
	struct walk *walk = place->walk;

	if (++walk->live > walk->most)
		walk->most = walk->live;
	visit(walk, place->depth);
	walk->live--;
	return 0;
}

static void visit(struct walk *walk, int depth)
{
	walk->visited++;
	rota_yield();
	for (int i = 0; i < 3 && depth; i++) {
		const struct place place = { walk, depth - 1 };

		if (!rota_try_go(&walk->group, visit_place, place))
			continue;
		walk->inlined++;
		visit(walk, depth - 1);
	}
}

static int walk_tree(void *arg)
{
	struct walk *walk = arg;

	rota_group_open(&walk->group,
			&(struct rota_group_options){ .limit = 4 });
	visit(walk, 6);
	return rota_group_wait(&walk->group);
}

static void a_walk_that_finds_no_slot_goes_on_by_itself(void **state)
{
	struct walk walk = { .visited = 0 };

	(void)state;
	assert_int_equal(test_run_timed(walk_tree, &walk), 0);
	assert_int_equal(walk.visited, 1 + 3 + 9 + 27 + 81 + 243 + 729);
	assert_int_equal(walk.most, 4);
	assert_true(walk.inlined > 0);
}

/* A second walk that waits for the slots that only waiters hold. */
static int descend(void *value)
{
	const struct place *place = value;
	struct walk *walk = place->walk;
	const struct place below = { walk, place->depth - 1 };
	int error;

	walk->visited++;
	if (!place->depth)
		return 0;
	error = rota_go(&walk->group, descend, below);
	if (error != -EDEADLK)
		return error;
	walk->inlined++;
	return descend((void *)(uintptr_t)&below);
}

static int descend_tree(void *arg)
{
	struct walk *walk = arg;
	int error;

	rota_group_open(&walk->group,
			&(struct rota_group_options){ .limit = 1 });
	error = rota_go(&walk->group, descend, ((struct place){ walk, 20 }));
	return rota_group_wait(&walk->group) | error;
}

static void a_spawn_that_waits_for_its_own_slot_is_refused(void **state)
{
	struct walk walk = { .visited = 0 };

	(void)state;
	assert_int_equal(test_run_timed(descend_tree, &walk), 0);
	assert_int_equal(walk.visited, 21);
	assert_int_equal(walk.inlined, 20);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_asks_at_the_limit_gets_no_and_a_yes_once_one_ended),
		cmocka_unit_test(
			a_group_that_drains_takes_nobody_and_loses_nobody),
		cmocka_unit_test(of_1000_members_never_more_than_9_are_at_work),
		cmocka_unit_test(
			a_feeder_at_the_limit_is_freed_by_the_first_error),
		cmocka_unit_test(a_walk_that_finds_no_slot_goes_on_by_itself),
		cmocka_unit_test(
			a_spawn_that_waits_for_its_own_slot_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
