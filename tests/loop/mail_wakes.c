/* SPDX-License-Identifier: MIT */
/*
 * What wakes a loop for its mail, when things go badly: the poll of its eventfd
 * ends, the kernel takes no entries, mail comes without an end; and that a loop
 * that woke by itself is awake.
 */
#include "base/list.h"
#include "support/kernel.h"
#include "support/run.h"
#include "task/park.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define LETTERS 50u
#define TURNS 20u

/* A loop, and a thread that has something for it. */
struct scene {
	struct test_kernel kernel;
	struct ri_loop *loop;
	struct rota_task *task;        /* parked until the last letter */
	void (*write)(struct scene *); /* what the thread does */
	struct letter {
		struct rota_mail mail;
		struct scene *scene;
	} letters[LETTERS];
	unsigned last;      /* letters that are awaited */
	unsigned got;       /* that came */
	unsigned enters;    /* of the loop while it was parked */
	unsigned cancelled; /* polls, by hand */
	bool quiet;         /* a letter is to post itself no more */
	bool roused;        /* who had woken by itself */
};

static void letter_arrived(void *place, struct rota_mail *mail)
{
	struct scene *scene = ri_container(mail, struct letter, mail)->scene;

	(void)place;
	scene->kernel.submit_error = 0;
	if (++scene->got == scene->last)
		ri_wake(ri_tasks_here(), scene->task, 0);
}

static void post(struct scene *scene, unsigned index)
{
	struct letter *letter = &scene->letters[index];

	letter->scene = scene;
	letter->mail.deliver = letter_arrived;
	ri_loop_post(scene->loop, &letter->mail);
}

static void pause_somewhat(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	nanosleep(&pause, NULL);
}

static void *write_main(void *arg)
{
	struct scene *scene = arg;

	scene->write(scene);
	return NULL;
}

/* Listens to the thread until the last letter. */
static int listen_to(void *arg)
{
	struct scene *scene = arg;
	struct ri_wait wait = { .what = "mail" };
	const unsigned before = scene->kernel.calls[TEST_ENTER];
	pthread_t writer;

	scene->loop = ri_loop_here;
	scene->task = ri_task_self(__func__);
	if (ri_loop_listen(scene->loop) ||
	    pthread_create(&writer, NULL, write_main, scene))
		return -1;
	scene->loop->outside++;
	ri_park(ri_tasks_here(), scene->task, &wait);
	scene->loop->outside--;
	scene->enters = scene->kernel.calls[TEST_ENTER] - before;
	pthread_join(writer, NULL);
	return 0;
}

static int setup(void **state)
{
	static struct scene scene;

	memset(&scene, 0, sizeof(scene));
	test_kernel_init(&scene.kernel);
	*state = &scene;
	return 0;
}

static int setup_event(void **state)
{
	setenv("ROTA_MASK", "ring_message", 1);
	return setup(state);
}

static int teardown(void **state)
{
	struct scene *scene = *state;

	return (int)test_kernel_left(&scene->kernel);
}

static int teardown_event(void **state)
{
	unsetenv("ROTA_MASK");
	return teardown(state);
}

static void run(struct scene *scene, int (*fn)(void *))
{
	assert_int_equal(test_run_with(NULL, &scene->kernel.table, fn, scene),
			 0);
	assert_int_equal(scene->got, scene->last);
}

static void write_slowly(struct scene *scene)
{
	for (unsigned i = 0; i < scene->last; i++) {
		pause_somewhat();
		post(scene, i);
	}
}

/* What is released of a poll is its last completion. */
static void end_polls(struct test_kernel *kernel, void *context)
{
	(void)context;
	while (test_kernel_held(kernel)) {
		test_kernel_held_at(kernel, 0)->flags &= ~IORING_CQE_F_MORE;
		test_kernel_release(kernel, 0);
	}
}

static void
a_poll_that_ends_is_armed_again_and_the_loop_still_sleeps(void **state)
{
	static const int poll = IORING_OP_POLL_ADD;
	struct scene *scene = *state;

	scene->write = write_slowly;
	scene->last = LETTERS;
	test_kernel_hold(&scene->kernel, test_hold_opcode,
			 (void *)(uintptr_t)&poll);
	scene->kernel.on_idle = end_polls;
	run(scene, listen_to);
	assert_in_range(scene->enters, LETTERS, 20 * LETTERS);
}

/* The kernel itself ends the poll, a few times. */
static void cancel_poll(struct test_kernel *kernel, void *context)
{
	struct io_uring_sync_cancel_reg cancel = {
		.fd = ri_loop_here->event_fd,
		.flags = IORING_ASYNC_CANCEL_FD | IORING_ASYNC_CANCEL_ALL,
		.timeout = { .tv_sec = -1, .tv_nsec = -1 },
	};
	struct scene *scene = context;

	if (scene->cancelled < LETTERS / 2 &&
	    io_uring_register_sync_cancel(kernel->arrivals.ring, &cancel) >= 0)
		scene->cancelled++;
}

static void a_poll_that_was_cancelled_is_armed_again(void **state)
{
	struct scene *scene = *state;

	scene->write = write_slowly;
	scene->last = LETTERS;
	scene->kernel.on_idle = cancel_poll;
	scene->kernel.idle_context = scene;
	run(scene, listen_to);
	assert_int_equal(scene->cancelled, LETTERS / 2);
}

static void mail_comes_while_the_kernel_takes_no_entries(void **state)
{
	struct scene *scene = *state;

	scene->write = write_slowly;
	scene->last = 1;
	scene->kernel.submit_error = -ENOMEM;
	run(scene, listen_to);
}

/* Each time that it sleeps again. */
static void rouse_often(struct scene *scene)
{
	for (unsigned i = 0; i < LETTERS; i++)
		while (!ri_loop_rouse(scene->loop))
			sched_yield();
	post(scene, 0);
}

static void who_is_roused_turns_and_sleeps_again(void **state)
{
	struct scene *scene = *state;

	scene->write = rouse_often;
	scene->last = 1;
	run(scene, listen_to);
	assert_in_range(scene->enters, LETTERS, UINT32_MAX);
}

static int wake_by_timer(void *arg)
{
	struct scene *scene = arg;
	int error = ri_loop_listen(ri_loop_here);

	for (unsigned i = 0; i < TURNS && !error; i++) {
		error = rota_sleep(ROTA_SECOND);
		scene->roused |= ri_loop_rouse(ri_loop_here);
	}
	return error;
}

static void who_woke_by_itself_is_awake(void **state)
{
	struct scene *scene = *state;

	test_kernel_clock(&scene->kernel, ROTA_SECOND);
	run(scene, wake_by_timer);
	assert_false(scene->roused);
}

/* Mail that is posted again as soon as it comes, for ever. */
static void again_arrived(void *place, struct rota_mail *mail)
{
	struct scene *scene = ri_container(mail, struct letter, mail)->scene;

	if (!scene->quiet)
		ri_loop_post(place, mail);
}

static int yield_beside_mail(void *arg)
{
	struct scene *scene = arg;
	struct letter *letter = &scene->letters[0];
	int error = ri_loop_listen(ri_loop_here);

	*letter = (struct letter){ { NULL, again_arrived }, scene };
	ri_loop_post(ri_loop_here, &letter->mail);
	for (unsigned i = 0; i < TURNS && !error; i++)
		error = rota_sleep(i);
	scene->quiet = true;
	/* It comes once more. */
	return error ? error : rota_sleep(1);
}

static void mail_without_an_end_lets_tasks_and_timers_go_on(void **state)
{
	run(*state, yield_beside_mail);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define EVENT_CASE(name) \
	cmocka_unit_test_setup_teardown(name, setup_event, teardown_event)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EVENT_CASE(
			a_poll_that_ends_is_armed_again_and_the_loop_still_sleeps),
		EVENT_CASE(a_poll_that_was_cancelled_is_armed_again),
		EVENT_CASE(mail_comes_while_the_kernel_takes_no_entries),
		CASE(who_is_roused_turns_and_sleeps_again),
		EVENT_CASE(who_is_roused_turns_and_sleeps_again),
		CASE(who_woke_by_itself_is_awake),
		CASE(mail_without_an_end_lets_tasks_and_timers_go_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
