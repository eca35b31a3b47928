/* SPDX-License-Identifier: MIT */
/*
 * Sends out of the caller's memory: it is the kernel's until the second
 * completion, whatever comes before or between the two.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/kernel.h"
#include "support/pair.h"
#include "support/run.h"
#include "task/operation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)4 << 20)
#define COPIED INT32_MIN /* what a second completion says if it did */

static char text[LARGE];

static void skip_if_masked(void)
{
	const char *mask = getenv("ROTA_MASK");

	if (mask && strstr(mask, "send_zc"))
		test_skip("ROTA_MASK: sends are never without a copy");
}

static bool is_second(const struct test_arrival *arrival)
{
	return arrival->flags & IORING_CQE_F_NOTIF;
}

/* Over TCP. With small buffers it is soon full; with those that the kernel likes
 * there is room for more than the peer takes without reading. */
static int open_tcp_of(struct race *race, int buffer_bytes)
{
	int pair[2];
	const int error = test_pair_open_tcp(pair, buffer_bytes);

	race->fd = pair[1];
	race->peer = pair[0];
	return error;
}

static int open_tcp(struct race *race)
{
	return open_tcp_of(race, 0);
}

static int open_full_tcp(struct race *race)
{
	static const char block[4096];
	const int error = open_tcp_of(race, 4096);

	/* What is on its way makes room once more. */
	for (int i = 0; i < 3; i++) {
		while (send(race->fd, block, sizeof(block), MSG_DONTWAIT) > 0)
			;
		usleep(1000);
	}
	return error;
}

static int call_send_zc(struct race *race)
{
	return rota_send_zc(race->fd, text, 5, 0);
}

static int call_send_much(struct race *race)
{
	return rota_send_zc(race->fd, text, LARGE, 0);
}

static const struct race_verb small = {
	"send_zc", open_tcp, call_send_zc,      race_empty_pair,
	NULL,      false,    IORING_OP_SEND_ZC, 0
};
static const struct race_verb much = { "send_zc of much",
				       open_tcp,
				       call_send_much,
				       race_empty_pair,
				       NULL,
				       false,
				       IORING_OP_SEND_ZC,
				       ROTA_MILLISECOND };
static const struct race_verb blocked = { "send_zc that waits",
					  open_full_tcp,
					  call_send_zc,
					  race_empty_pair,
					  NULL,
					  false,
					  IORING_OP_SEND_ZC,
					  ROTA_MILLISECOND };

static void one_that_waits_for_room_can_be_ended_each_way(void **state)
{
	(void)state;
	skip_if_masked();
	test_blocked(&blocked, 5, true);
}

/* Both completions have come, and neither has arrived. */
static int hold_both(struct race *race)
{
	int error = 0;

	test_kernel_hold(&race->kernel, race_hold_victim, race);
	while (test_kernel_held(&race->kernel) < 2)
		error |= race_settle();
	return error;
}

static bool waits_for_its_memory(void)
{
	const struct ri_tasks *tasks = ri_tasks_here();
	char line[RI_TASK_LINE_BYTES];
	bool found = false;

	for (unsigned i = 0; i < tasks->made; i++)
		found |= ri_task_describe(tasks, &tasks->slab[i], line) &&
			 strstr(line, "sent, not acknowledged");
	return found;
}

static int interrupt_between(struct race *race)
{
	int error = hold_both(race);

	test_kernel_release(&race->kernel, 0);
	error |= race_settle();
	race->remained = waits_for_its_memory();
	error |= race_interrupt(race) | race_settle();
	/* Long after a cancel that missed would have been tried again. */
	for (int i = 0; i < 10; i++)
		error |= rota_sleep(ROTA_SECOND);
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void between_its_two_completions_nothing_ends_it(void **state)
{
	struct race race;

	(void)state;
	skip_if_masked();
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &small, (enum race_interruption)by,
			 interrupt_between);
		assert_true(race.remained);
		assert_false(race.early);
		assert_int_equal(race.result, 5);
		/* Asked once and no more. */
		assert_int_equal(race.cancels, 1);
	}
}

static int interrupt_before(struct race *race)
{
	int error = hold_both(race);

	error |= race_interrupt(race) | race_settle();
	test_kernel_release(&race->kernel, 0);
	error |= race_settle();
	race->early = race->returned;
	test_kernel_release_all(&race->kernel);
	return error | race_settle();
}

static void ended_before_its_first_completion_it_waits_for_both(void **state)
{
	struct race race;

	(void)state;
	skip_if_masked();
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &small, (enum race_interruption)by,
			 interrupt_before);
		assert_false(race.early);
		assert_int_equal(race.result, 5);
	}
}

/* No completion is held: it is the peer, who does not read. */
static int interrupt_unread(struct race *race)
{
	int error = 0;

	while (!waits_for_its_memory())
		error |= race_settle();
	error |= race_interrupt(race);
	for (int i = 0; i < 50; i++)
		error |= race_settle();
	race->early = race->returned;
	while (!race->returned)
		error |= race_empty_pair(race) | race_settle();
	return error | race_empty_pair(race);
}

static void memory_that_the_peer_has_not_taken_stays_the_kernels(void **state)
{
	struct race race;

	(void)state;
	skip_if_masked();
	for (int by = RACE_CANCEL; by <= RACE_CLOSE; by++) {
		race_run(&race, &much, (enum race_interruption)by,
			 interrupt_unread);
		assert_false(race.early);
		assert_in_range(race.result, 1, LARGE - 1);
	}
}

static int reset_unread(struct race *race)
{
	const struct linger none = { .l_onoff = 1 };
	int error = 0;

	while (!waits_for_its_memory())
		error |= race_settle();
	error |= rota_setsockopt(race->fd, SOL_SOCKET, SO_LINGER, &none,
				 sizeof(none));
	error |= race_interrupt(race);
	while (!race->returned)
		error |= race_settle();
	return error;
}

static void a_close_without_linger_gives_it_back_at_once(void **state)
{
	struct race race;

	(void)state;
	skip_if_masked();
	race_run(&race, &much, RACE_CLOSE, reset_unread);
	assert_in_range(race.result, 1, LARGE - 1);
}

/* The number is closed, and somebody else's, while the kernel has its memory
 * still: then it says that it copied. */
static int report_late(struct race *race)
{
	const int number = race->fd;
	int error = hold_both(race);

	test_kernel_release(&race->kernel, 0);
	error |= race_settle() | race_interrupt(race);
	test_kernel_held_at(&race->kernel, 0)->res = COPIED;
	test_kernel_release_all(&race->kernel);
	error |= race_settle();
	race->held = *ri_operation_copied(ri_tasks_here(), number);
	return error;
}

static void
what_a_closed_descriptor_did_is_not_held_against_the_next(void **state)
{
	struct race race;

	(void)state;
	skip_if_masked();
	race_run(&race, &small, RACE_CLOSE, report_late);
	assert_int_equal(race.held, 0);
	/* Whereas one that is open: */
	race_run(&race, &small, RACE_CANCEL, report_late);
	assert_int_equal(race.held, 1);
}

/* One task sends, another closes, a third opens the next with that number:
 * all complete in one turn, the send without memory. */
struct succession {
	struct test_kernel kernel;
	int pair[2];
	int (*send)(struct succession *story);
	int opcode, doctored; /* of which operation, and what it says */
	int result, opened, closed;
	size_t done;
	bool released;
};

static int send_it(void *value)
{
	struct succession *story = *(struct succession **)value;

	story->result = story->send(story);
	return 0;
}

static int close_in_time(void *value)
{
	struct succession *story = *(struct succession **)value;

	story->closed = rota_close(story->pair[1]);
	return 0;
}

static int open_next(void *value)
{
	struct succession *story = *(struct succession **)value;

	story->opened = rota_socket(AF_UNIX, SOCK_STREAM, 0);
	return 0;
}

static void release_in_order(struct test_kernel *kernel, void *context)
{
	struct succession *story = context;

	if (story->released || test_kernel_held(kernel) < 3)
		return;
	story->released = true;
	for (unsigned i = 0; i < test_kernel_held(kernel); i++) {
		struct test_arrival *held = test_kernel_held_at(kernel, i);

		if (held->opcode == story->opcode && !is_second(held))
			held->res = story->doctored;
	}
	test_kernel_hold(kernel, NULL, NULL);
	test_kernel_release_all(kernel);
}

static int succeed_each_other(void *arg)
{
	struct succession *story = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, send_it, story);
	error |= rota_go(&group, close_in_time, story);
	error |= rota_go(&group, open_next, story);
	return error | rota_group_wait(&group);
}

static void play_succession(struct succession *story)
{
	test_kernel_init(&story->kernel);
	story->kernel.on_idle = release_in_order;
	story->kernel.idle_context = story;
	story->released = false;
	test_kernel_hold(&story->kernel, test_hold_all, NULL);
	assert_int_equal(test_pair_open_tcp(story->pair, 0), 0);
	assert_int_equal(test_run_with(NULL, &story->kernel.table,
				       succeed_each_other, story),
			 0);
	assert_int_equal(story->closed, 0);
	assert_int_equal(story->opened, story->pair[1]);
	close(story->opened);
	close(story->pair[0]);
}

static int send_lent(struct succession *story)
{
	return rota_send_zc(story->pair[1], text, 5, 0);
}

static int send_in_pieces(struct succession *story)
{
	const struct iovec pieces[] = { { text, 5 }, { text, 5 } };

	return rota_sendv_all(story->pair[1], pieces, 2, &story->done);
}

static void
a_send_in_two_steps_does_not_go_on_with_a_closed_number(void **state)
{
	static struct succession story = { .send = send_in_pieces,
					   .opcode = IORING_OP_SENDMSG,
					   .doctored = 2 };

	(void)state;
	play_succession(&story);
	assert_int_equal(story.result, -EBADF);
	assert_int_equal(story.done, 2);
	skip_if_masked();
	story.send = send_lent;
	story.opcode = IORING_OP_SEND_ZC;
	story.doctored = -ENOMEM;
	play_succession(&story);
	assert_int_equal(story.result, -EBADF);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_waits_for_room_can_be_ended_each_way),
		cmocka_unit_test(between_its_two_completions_nothing_ends_it),
		cmocka_unit_test(
			ended_before_its_first_completion_it_waits_for_both),
		cmocka_unit_test(
			memory_that_the_peer_has_not_taken_stays_the_kernels),
		cmocka_unit_test(a_close_without_linger_gives_it_back_at_once),
		cmocka_unit_test(
			what_a_closed_descriptor_did_is_not_held_against_the_next),
		cmocka_unit_test(
			a_send_in_two_steps_does_not_go_on_with_a_closed_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
