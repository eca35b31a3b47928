/* SPDX-License-Identifier: MIT */
/*
 * Mail to a loop, from another thread: delivered in order, also to a loop that
 * sleeps; and one that nobody writes to is not woken.
 */
#include "support/kernel.h"
#include "support/run.h"
#include "task/park.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define LETTERS 1000u

struct letter {
	struct rota_mail mail;
	struct post *post;
	unsigned number;
};

/* One loop that is written to by one thread. */
struct post {
	struct letter letters[LETTERS];
	struct ri_loop *loop;
	struct rota_task *reader; /* parked until all have come */
	unsigned got;             /* how many have */
	unsigned misplaced;       /* ... not in their order */
	unsigned last;            /* the number of the last of them */
	unsigned pause_every;     /* the writer lets the loop fall asleep */
};

static void deliver(void *place, struct rota_mail *mail)
{
	struct letter *letter = (struct letter *)(void *)mail;
	struct post *post = letter->post;

	post->misplaced += letter->number != post->got || place != post->loop;
	if (++post->got == post->last)
		ri_wake(ri_tasks_here(), post->reader, 0);
}

static void *write_letters(void *arg)
{
	const struct timespec pause = { .tv_nsec = 200000 };
	struct post *post = arg;

	for (unsigned i = 0; i < post->last; i++) {
		struct letter *letter = &post->letters[i];

		*letter = (struct letter){ { NULL, deliver }, post, i };
		if (post->pause_every && i % post->pause_every == 0)
			nanosleep(&pause, NULL);
		ri_loop_post(post->loop, &letter->mail);
	}
	return NULL;
}

static int read_letters(void *arg)
{
	struct post *post = arg;
	struct ri_wait wait = { .what = "mail" };
	pthread_t writer;
	int error;

	post->loop = ri_loop_here;
	post->reader = ri_task_self(__func__);
	error = ri_loop_listen(post->loop);
	if (error || pthread_create(&writer, NULL, write_letters, post))
		return -1;
	post->loop->outside++;
	ri_park(ri_tasks_here(), post->reader, &wait);
	post->loop->outside--;
	pthread_join(writer, NULL);
	return 0;
}

static void check_letters(struct post *post)
{
	assert_int_equal(test_run(read_letters, post), 0);
	assert_int_equal(post->got, post->last);
	assert_int_equal(post->misplaced, 0);
	free(post);
}

static struct post *new_post(unsigned count, unsigned pause_every)
{
	struct post *post = calloc(1, sizeof(*post));

	assert_non_null(post);
	post->last = count;
	post->pause_every = pause_every;
	return post;
}

static void mail_comes_in_the_order_in_which_it_was_posted(void **state)
{
	(void)state;
	check_letters(new_post(LETTERS, 0));
}

static void a_loop_that_sleeps_is_woken_for_each(void **state)
{
	(void)state;
	check_letters(new_post(100, 1));
}

static void a_loop_that_sleeps_is_woken_by_an_eventfd_too(void **state)
{
	(void)state;
	setenv("ROTA_MASK", "ring_message", 1);
	check_letters(new_post(100, 1));
	unsetenv("ROTA_MASK");
}

/* A loop that listens and gets none sleeps once, not in slices. */
static int sleep_alone(void *arg)
{
	struct test_kernel *kernel = arg;
	unsigned before;
	int error = ri_loop_listen(ri_loop_here);

	rota_yield();
	before = kernel->calls[TEST_ENTER];
	if (!error)
		error = rota_sleep(ROTA_SECOND);
	return error ? error : (int)(kernel->calls[TEST_ENTER] - before);
}

static void a_loop_without_mail_is_not_woken(void **state)
{
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(
		test_run_with(NULL, &kernel.table, sleep_alone, &kernel), 1);
	assert_int_equal(test_kernel_left(&kernel), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			mail_comes_in_the_order_in_which_it_was_posted),
		cmocka_unit_test(a_loop_that_sleeps_is_woken_for_each),
		cmocka_unit_test(a_loop_that_sleeps_is_woken_by_an_eventfd_too),
		cmocka_unit_test(a_loop_without_mail_is_not_woken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
