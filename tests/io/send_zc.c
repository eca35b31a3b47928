/* SPDX-License-Identifier: MIT */
/*
 * Sends out of the caller's memory: it is the kernel's until the second
 * completion, whatever comes between the two; and where that is of no use or
 * cannot be done they are plain sends.
 */
#include "rota/rota.h"
#include "support/blocked.h"
#include "support/child.h"
#include "support/kernel.h"
#include "support/mask.h"
#include "support/pair.h"
#include "support/run.h"
#include "task/operation.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define TRIES 4 /* copied ones before it is not tried any more */
#define LARGE ((size_t)4 << 20)
#define COPIED INT32_MIN

static char text[LARGE];

/* What operations the kernel completed, and what is made of that. */
struct watch {
	struct test_kernel kernel;
	unsigned lent, plain; /* first completions of each kind */
	unsigned reports;     /* second ones */
	uint32_t report;      /* what the last of those said */
	int refusal;          /* what the lent ones say instead; or 0 */
	unsigned honest;      /* which report says that nothing was copied,
				  counted from 1; 0: none does */
	int pair[2];
	int codes[12];
	char bytes[64];
};

static bool is_second(const struct test_arrival *arrival)
{
	return arrival->flags & IORING_CQE_F_NOTIF;
}

/* Holds those whose words are changed. */
static bool watch_sends(void *context, const struct test_arrival *arrival)
{
	struct watch *watch = context;

	if (arrival->opcode == IORING_OP_SEND)
		watch->plain++;
	if (arrival->opcode != IORING_OP_SEND_ZC)
		return false;
	if (is_second(arrival)) {
		watch->report = (uint32_t)arrival->res;
		return ++watch->reports == watch->honest || watch->refusal;
	}
	watch->lent++;
	return watch->refusal;
}

/* The first of the two completions comes first. */
static void change_words(struct test_kernel *kernel, void *context)
{
	const struct watch *watch = context;

	while (test_kernel_held(kernel)) {
		struct test_arrival *held = test_kernel_held_at(kernel, 0);

		held->res = is_second(held) ? 0 : watch->refusal;
		test_kernel_release(kernel, 0);
	}
}

static void watch_run(struct watch *watch, int (*fn)(void *))
{
	memset(&watch->kernel, 0, sizeof(watch->kernel));
	test_kernel_init(&watch->kernel);
	watch->kernel.on_idle = change_words;
	watch->kernel.idle_context = watch;
	test_kernel_hold(&watch->kernel, watch_sends, watch);
	assert_int_equal(test_run_with(NULL, &watch->kernel.table, fn, watch),
			 0);
}

static void skip_if_masked(void)
{
	const char *mask = getenv("ROTA_MASK");

	if (mask && strstr(mask, "send_zc"))
		test_skip("ROTA_MASK: sends are never without a copy");
}

/* Sends a word and takes it from the other end. */
static int pass_word(struct watch *watch)
{
	const int sent = rota_send_zc(watch->pair[1], "word", 4, 0);

	if (sent != 4)
		return sent < 0 ? sent : -EIO;
	memset(watch->bytes, 0, 4);
	if (rota_recv(watch->pair[0], watch->bytes, 4, MSG_WAITALL) != 4)
		return -EIO;
	return memcmp(watch->bytes, "word", 4) ? -EBADMSG : 0;
}

static int pass_words(struct watch *watch, unsigned count)
{
	int error = 0;

	while (count-- && !error)
		error = pass_word(watch);
	return error;
}

/* Twice as many as it takes to find out, on one connection and, with the same
 * numbers, on the next. */
static int pass_on_two(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	watch->codes[0] = watch->pair[1];
	error |= pass_words(watch, 2 * TRIES);
	watch->codes[1] = (int)watch->lent;
	error |= test_pair_close(watch->pair);
	error |= test_pair_open_tcp(watch->pair, 0);
	watch->codes[2] = watch->pair[1];
	error |= pass_words(watch, 1);
	watch->codes[3] = (int)watch->lent;
	return error | test_pair_close(watch->pair);
}

static void what_is_copied_four_times_is_sent_plainly_until_closed(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_on_two);
	if (watch.report != 1u << 31)
		test_skip("this kernel does not tell what it copied");
	assert_int_equal(watch.codes[1], TRIES);
	assert_int_equal(watch.plain, TRIES);
	assert_int_equal(watch.codes[0], watch.codes[2]);
	assert_int_equal(watch.codes[3], TRIES + 1);
}

static int pass_many(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	error |= pass_words(watch, 4 * TRIES);
	return error | test_pair_close(watch->pair);
}

static void one_that_was_not_copied_begins_the_count_anew(void **state)
{
	struct watch watch = { .honest = TRIES - 1 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_many);
	if (watch.report != 1u << 31)
		test_skip("this kernel does not tell what it copied");
	assert_int_equal(watch.lent, 2 * TRIES - 1);
	assert_int_equal(watch.plain, 2 * TRIES + 1);
}

static void without_reports_it_is_never_given_up(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	setenv("ROTA_MASK", "zc_usage", 1);
	watch_run(&watch, pass_many);
	assert_int_equal(watch.lent, 4 * TRIES);
	assert_int_equal(watch.reports, 4 * TRIES);
	assert_int_equal(watch.plain, 0);
	assert_int_equal(watch.report, 0);
}

static void masked_they_are_plain_sends(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	setenv("ROTA_MASK", "send_zc", 1);
	watch_run(&watch, pass_many);
	assert_int_equal(watch.lent, 0);
	assert_int_equal(watch.plain, 4 * TRIES);
}

static int pass_by_unix(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open(watch->pair);

	error |= pass_words(watch, 3);
	return error | test_pair_close(watch->pair);
}

static void a_socket_that_has_no_such_thing_is_tried_once(void **state)
{
	struct watch watch = { .lent = 0 };

	(void)state;
	skip_if_masked();
	watch_run(&watch, pass_by_unix);
	assert_int_equal(watch.lent, 1);
	assert_int_equal(watch.plain, 3);
}

/* The words that the kernel has sent all the same come first. */
static int send_without_memory(void *arg)
{
	struct watch *watch = arg;
	int error = test_pair_open_tcp(watch->pair, 0);

	for (int i = 0; i < 2 * TRIES; i++)
		error |= rota_send_zc(watch->pair[1], "word", 4, 0) != 4;
	return error | test_pair_close(watch->pair);
}

static void without_memory_to_lock_it_is_sent_plainly_at_once(void **state)
{
	struct watch watch = { .refusal = -ENOMEM };

	(void)state;
	skip_if_masked();
	watch_run(&watch, send_without_memory);
	assert_int_equal(watch.lent, TRIES);
	assert_int_equal(watch.plain, 2 * TRIES);
}

static int lower_limit(void *arg)
{
	struct watch *watch = arg;
	const struct rlimit none = { 0 };
	int error = test_pair_open_tcp(watch->pair, 0);

	error |= setrlimit(RLIMIT_MEMLOCK, &none);
	error |= pass_words(watch, 2 * TRIES);
	return error | test_pair_close(watch->pair);
}

/* 0: it was as it should; 1: it was not; 2: it cannot be tried. */
static int be_poor(void *arg)
{
	struct watch *watch = arg;

	if (!geteuid() && setuid(65534))
		return 2;
	test_kernel_init(&watch->kernel);
	test_kernel_hold(&watch->kernel, watch_sends, watch);
	if (test_run_with(NULL, &watch->kernel.table, lower_limit, watch))
		return 1;
	if (watch->reports && watch->plain < TRIES)
		return 2; /* it may lock all the same */
	return watch->plain == 2 * TRIES && watch->lent == TRIES ? 0 : 1;
}

static void a_real_lack_of_memory_to_lock_is_not_noticed(void **state)
{
	struct watch watch = { .lent = 0 };
	struct test_child child;

	(void)state;
	skip_if_masked();
	test_child_run(&child, be_poor, &watch);
	if (child.status == 2)
		test_skip("memory can be locked without a limit here");
	assert_int_equal(child.status, 0);
}

static int refuse(void *arg)
{
	struct watch *watch = arg;
	struct rota_deadline deadline;
	int error = test_pair_open_tcp(watch->pair, 0), *codes = watch->codes;
	const int fd = watch->pair[1];

	codes[0] = rota_send_zc(fd, text, (size_t)INT_MAX + 1, 0);
	codes[1] = rota_send_zc(-1, text, 1, 0);
	codes[2] = rota_send_zc(fd, NULL, 1, 0);
	rota_deadline_begin(&deadline, 0);
	codes[3] = rota_send_zc(fd, text, 1, 0);
	rota_deadline_end(&deadline);
	codes[4] = rota_send_zc(fd, text, 0, 0);
	error |= test_pair_close(watch->pair);
	codes[5] = rota_send_zc(fd, text, 1, 0);
	return error;
}

static void what_cannot_be_sent_is_refused_as_by_a_plain_send(void **state)
{
	static const int expected[] = { -EINVAL, -EBADF, -EFAULT,
					-ETIME,  0,      -EBADF };
	struct watch watch = { .lent = 0 };

	(void)state;
	watch_run(&watch, refuse);
	for (int i = 0; i < 6; i++)
		assert_int_equal(watch.codes[i], expected[i]);
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

#define MASKING(test) \
	cmocka_unit_test_setup_teardown(test, test_mask_keep, test_mask_restore)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_is_copied_four_times_is_sent_plainly_until_closed),
		cmocka_unit_test(one_that_was_not_copied_begins_the_count_anew),
		MASKING(without_reports_it_is_never_given_up),
		MASKING(masked_they_are_plain_sends),
		cmocka_unit_test(a_socket_that_has_no_such_thing_is_tried_once),
		cmocka_unit_test(
			without_memory_to_lock_it_is_sent_plainly_at_once),
		cmocka_unit_test(a_real_lack_of_memory_to_lock_is_not_noticed),
		cmocka_unit_test(
			what_cannot_be_sent_is_refused_as_by_a_plain_send),
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
