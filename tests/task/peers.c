/* SPDX-License-Identifier: MIT */
/*
 * The loops of an engine as its tasks see them, and messages between them.
 */
#include "support/broken.h"
#include "support/loops.h"
#include "task/task.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define MESSAGES 1000u

/* Messages and what became of them. */
struct post {
	struct rota_message message; /* each of them in turn */
	struct {
		struct rota_message message;
		struct post *post;
		unsigned number;
	} letters[MESSAGES];
	atomic_uint arrived; /* how many have */
	unsigned disordered; /* not the next one */
	unsigned elsewhere;  /* not on the loop it was sent to */
	unsigned to;         /* that loop */
	unsigned loops;      /* of the engine */
	unsigned again;      /* how often the message sends itself on */
};

static void letter_arrived(struct rota_message *message)
{
	struct post *post =
		*(struct post **)(void *)((char *)message + sizeof(*message));
	const unsigned next = atomic_load(&post->arrived);

	post->disordered += message != &post->letters[next].message;
	post->elsewhere += rota_loop() != post->to;
	atomic_store(&post->arrived, next + 1);
}

static int send_letters(void *arg)
{
	struct post *post = arg;

	if (rota_loops() != post->loops)
		return -EBADMSG;
	for (unsigned i = 0; i < MESSAGES; i++) {
		post->letters[i].message.fn = letter_arrived;
		post->letters[i].post = post;
		rota_message_send(post->to, &post->letters[i].message);
		if (i % 64 == 0)
			rota_yield();
	}
	while (atomic_load(&post->arrived) < MESSAGES)
		pass(1000);
	return 0;
}

static void send_to(unsigned loops, unsigned to)
{
	const struct rota_config config = { .loops = loops };
	static struct post post;

	memset(&post, 0, sizeof(post));
	post.to = to;
	post.loops = loops;
	assert_int_equal(test_run_with(&config, NULL, send_letters, &post), 0);
	assert_int_equal(atomic_load(&post.arrived), MESSAGES);
	assert_int_equal(post.disordered, 0);
	assert_int_equal(post.elsewhere, 0);
}

static void messages_arrive_in_the_order_in_which_they_are_sent(void **state)
{
	(void)state;
	send_to(TEST_LOOPS, 1);
	send_to(TEST_LOOPS, 2);
}

static void a_loop_sends_itself_messages(void **state)
{
	(void)state;
	send_to(TEST_LOOPS, 0);
}

static void the_only_loop_sends_itself_messages(void **state)
{
	(void)state;
	send_to(1, 0);
}

static void go_round(struct rota_message *message)
{
	struct post *post = (struct post *)(void *)message;

	if (rota_loop() != post->to)
		post->elsewhere++;
	post->to = (post->to + 1) % TEST_LOOPS;
	if (--post->again)
		rota_message_send(post->to, message);
	else
		atomic_store(&post->arrived, 1);
}

static int send_round(void *arg)
{
	struct post *post = arg;

	post->message.fn = go_round;
	post->again = 3000;
	rota_message_send(post->to, &post->message);
	while (!atomic_load(&post->arrived))
		pass(1000);
	return 0;
}

static void a_message_is_sent_on_by_who_gets_it(void **state)
{
	static struct post post = { .to = 1 };

	(void)state;
	assert_int_equal(test_run_loops(send_round, &post), 0);
	assert_int_equal(post.elsewhere, 0);
	assert_int_equal(post.again, 0);
}

static int send_nowhere(void *arg)
{
	struct rota_message message = { .fn = letter_arrived };

	(void)arg;
	rota_message_send(1, &message);
	return 0;
}

static void a_message_to_no_loop_aborts(void **state)
{
	(void)state;
	test_expect_abort(send_nowhere, "loop 1 of 1");
}

/* What is asked of the loops. */
struct census {
	struct rota_loop_stats first, then; /* of loop 2 */
	int missing, cancelled, no_loop;
	unsigned places[2 * TEST_LOOPS]; /* of what went to the least */
	unsigned here;
};

static int sleep_on(void *value)
{
	(void)value;
	return rota_sleep(100 * ROTA_SECOND);
}

static int count_tasks(struct census *census)
{
	struct rota_group group;
	int error = rota_loop_inspect(2, &census->first);

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 5 && !error; i++)
		error = rota_go_on(&group, 2, sleep_on, 0);
	if (!error)
		error = rota_loop_inspect(2, &census->then);
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	census->cancelled = rota_loop_inspect(2, &census->first);
	rota_group_wait(&group);
	return error;
}

static int ask_for_stats(void *arg)
{
	struct census *census = arg;
	struct rota_loop_stats stats;
	int error = rota_loop_inspect(0, &stats);

	if (!error && stats.live != 1)
		error = -EBADMSG;
	census->missing = rota_loop_inspect(TEST_LOOPS, &stats);
	return error ? error : count_tasks(census);
}

static void a_loop_tells_what_it_has_done(void **state)
{
	struct census census = { .missing = 0 };

	(void)state;
	assert_int_equal(test_run_loops(ask_for_stats, &census), 0);
	assert_int_equal(census.missing, -EINVAL);
	assert_int_equal(census.cancelled, -ECANCELED);
	assert_int_equal(census.first.live, 0);
	assert_int_equal(census.then.live, 5);
	assert_int_equal(census.then.tasks - census.first.tasks, 5);
	assert_int_equal(census.then.arrived - census.first.arrived, 5);
	assert_true(census.then.mail >= census.first.mail + 5);
}

static int go_to_the_least(void *arg)
{
	struct census *census = arg;
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	census->no_loop = rota_go_on(&group, TEST_LOOPS, sleep_on, 0);
	/* More here and there than on the last, and than count as equal. */
	for (unsigned i = 0; i < 10 && !error; i++)
		error = rota_go_on(&group, 0, sleep_on, 0);
	for (unsigned i = 0; i < 5 && !error; i++)
		error = rota_go_on(&group, 1, sleep_on, 0);
	if (!error)
		error = let_them_tell();
	census->here = rota_loop_least();
	if (!error)
		error = rota_go_on(&group, ROTA_LOOP_LEAST, sleep_on, 0);
	if (!error)
		error = rota_loop_inspect(2, &census->then);
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	rota_group_wait(&group);
	return error;
}

static void the_least_loaded_loop_is_chosen(void **state)
{
	struct census census = { .no_loop = 0 };

	(void)state;
	assert_int_equal(test_run_loops(go_to_the_least, &census), 0);
	assert_int_equal(census.no_loop, -EINVAL);
	assert_int_equal(census.here, 2);
	assert_int_equal(census.then.live, 1);
}

/* As a server's own tasks do not send all that is short-lived elsewhere. */
static int note_places(void *arg)
{
	struct census *census = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, sleep_on, 0);
	for (unsigned i = 0; i < 4 && !error; i++)
		error = rota_go_on(&group, 2, sleep_on, 0);
	if (!error)
		error = let_them_tell();
	for (unsigned i = 0; i < 2 * TEST_LOOPS; i++)
		census->places[i] = rota_loop_least();
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	rota_group_wait(&group);
	return error;
}

static void about_equally_loaded_loops_take_turns(void **state)
{
	struct census census = { .no_loop = 0 };
	unsigned on[TEST_LOOPS] = { 0 };

	(void)state;
	assert_int_equal(test_run_loops(note_places, &census), 0);
	for (unsigned i = 0; i < 2 * TEST_LOOPS; i++)
		on[census.places[i]]++;
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		assert_int_equal(on[i], 2);
}

/* One after the other, faster than the loops tell how many they have. */
static int send_many(void *arg)
{
	struct census *census = arg;
	struct rota_loop_stats stats = { 0 };
	struct rota_group group;
	int error = 0;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < 300 && !error; i++)
		error = rota_go_on(&group, ROTA_LOOP_LEAST, sleep_on, 0);
	for (unsigned i = 0; i < TEST_LOOPS && !error; i++) {
		error = rota_loop_inspect(i, &stats);
		census->places[i] = stats.live;
	}
	rota_group_cancel(&group, (struct rota_cancellation){ 0 });
	rota_group_wait(&group);
	return error;
}

static void those_on_their_way_count_too(void **state)
{
	struct census census = { .no_loop = 0 };

	(void)state;
	assert_int_equal(test_run_loops(send_many, &census), 0);
	for (unsigned i = 0; i < TEST_LOOPS; i++)
		assert_in_range(census.places[i], 90, 111);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			messages_arrive_in_the_order_in_which_they_are_sent),
		cmocka_unit_test(a_loop_sends_itself_messages),
		cmocka_unit_test(the_only_loop_sends_itself_messages),
		cmocka_unit_test(a_message_is_sent_on_by_who_gets_it),
		cmocka_unit_test(a_message_to_no_loop_aborts),
		cmocka_unit_test(a_loop_tells_what_it_has_done),
		cmocka_unit_test(the_least_loaded_loop_is_chosen),
		cmocka_unit_test(about_equally_loaded_loops_take_turns),
		cmocka_unit_test(those_on_their_way_count_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
