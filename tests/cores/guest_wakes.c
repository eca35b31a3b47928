/* SPDX-License-Identifier: MIT */
/*
 * No wake of a guest is lost: something comes at each point of a step, and the
 * descriptor is readable afterwards, or it has been dealt with. And none comes
 * for nothing.
 */
#include "rota/guest.h"
#include "rota/job.h"

#include "support/door.h"
#include "support/guest.h"
#include "support/random.h"
#include "support/run.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

/* A kernel in which something happens just before or after its nth call. */
static struct {
	struct ri_kernel table;
	const struct ri_kernel *below;
	bool armed;
	unsigned left; /* points until it happens */
	void (*happen)(void);
} seam;

static void point(void)
{
	if (!seam.armed || seam.left--)
		return;
	seam.armed = false;
	seam.happen();
}

static int ring_enter(const struct ri_kernel *kernel,
		      const struct ri_enter *call)
{
	int result;

	(void)kernel;
	point();
	result = seam.below->enter(seam.below, call);
	point();
	return result;
}

static int event_clear(const struct ri_kernel *kernel, int fd)
{
	int result;

	(void)kernel;
	point();
	result = seam.below->event_clear(seam.below, fd);
	point();
	return result;
}

static int event_signal(const struct ri_kernel *kernel, int fd)
{
	int result;

	(void)kernel;
	point();
	result = seam.below->event_signal(seam.below, fd);
	point();
	return result;
}

static int64_t now_ns(const struct ri_kernel *kernel)
{
	(void)kernel;
	point();
	return seam.below->now_ns(seam.below);
}

static void seam_init(void (*happen)(void))
{
	memset(&seam, 0, sizeof(seam));
	seam.below = test_linux();
	seam.table = *seam.below;
	seam.table.enter = ring_enter;
	seam.table.event_clear = event_clear;
	seam.table.event_signal = event_signal;
	seam.table.now_ns = now_ns;
	seam.happen = happen;
}

/* What is in the guest. */
static struct {
	struct test_guest guest;
	struct rota_job job, late;
	struct door door;
} stage;

#define submit(job, fn, pointer)                                     \
	(*(job) = (struct rota_job){ .engine = stage.guest.engine }, \
	 rota_submit((job), fn, pointer))

/* A completion: what a task waits for. */
static void let_through(void)
{
	door_let(&stage.door, 1);
}

static int be_quick(void *value)
{
	(void)value;
	return 3;
}

static void *submit_late(void *argument)
{
	return submit(&stage.late, be_quick, NULL) ? argument : NULL;
}

/* Mail, of another thread, as it might come at that moment. */
static void have_mail_sent(void)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, submit_late, &stage) == 0)
		pthread_join(thread, NULL);
}

static void cancel(void)
{
	rota_job_cancel(&stage.job, (struct rota_cancellation){ 0 });
}

/* Steps once with something at this point. False: the step has not so many. */
static bool happens_at(unsigned index, const struct rota_job *job)
{
	seam.left = index;
	seam.armed = true;
	assert_int_equal(rota_engine_step(stage.guest.engine) >= 0, 1);
	if (seam.armed)
		return false;
	/* from here on as a loop around it does: a lost wake is a long wait */
	test_guest_until(&stage.guest, job);
	if (stage.guest.lost)
		fail_msg("nothing came of what happened at point %u", index);
	return true;
}

static void prepare(void (*happen)(void))
{
	seam_init(happen);
	door_make(&stage.door);
	assert_int_equal(test_guest_make(&stage.guest, NULL, &seam.table), 0);
	assert_int_equal(submit(&stage.job, door_pass, &stage.door), 0);
}

static void clear_away(void)
{
	seam.armed = false;
	if (!rota_job_ended(&stage.job))
		cancel();
	test_guest_until(&stage.guest, &stage.job);
	assert_int_equal(test_guest_end(&stage.guest), 0);
	door_remove(&stage.door);
}

/* At each point of the first step, in which the job starts, and of one in which
 * nothing else is to do. */
static void at_each_point(void (*happen)(void), const struct rota_job *job)
{
	for (int quiet = 0; quiet < 2; quiet++) {
		unsigned index = 0;
		bool more;

		do {
			prepare(happen);
			if (quiet)
				assert_int_equal(
					rota_engine_step(stage.guest.engine),
					1);
			more = happens_at(index++, job);
			clear_away();
		} while (more);
		assert_true(index > 4);
	}
}

static void a_completion_is_seen_at_whichever_point_it_comes(void **state)
{
	(void)state;
	at_each_point(let_through, &stage.job);
}

static void mail_is_seen_at_whichever_point_it_comes(void **state)
{
	(void)state;
	at_each_point(have_mail_sent, &stage.late);
}

static void a_cancel_is_seen_at_whichever_point_it_comes(void **state)
{
	(void)state;
	at_each_point(cancel, &stage.job);
}

/* The same at random moments, from other threads. */
struct storm {
	pthread_t thread;
	uint64_t seed;
	unsigned rounds;
	unsigned wrong;
	struct door door;
};

static void pause_a_little(struct test_random *random)
{
	const struct timespec pause = { .tv_nsec = (long)test_random_below(
						random, 60000) };

	if (test_random_below(random, 2))
		nanosleep(&pause, NULL);
}

static void *make_storm(void *argument)
{
	struct storm *storm = argument;
	struct test_random random;

	test_random_seed(&random, storm->seed);
	for (unsigned i = 0; i < storm->rounds; i++) {
		struct rota_job job;
		bool cancels = test_random_below(&random, 4) == 0;
		int result;

		storm->wrong += submit(&job, door_pass, &storm->door) != 0;
		pause_a_little(&random);
		if (cancels)
			rota_job_cancel(&job, (struct rota_cancellation){ 0 });
		else
			door_let(&storm->door, 1);
		result = rota_job_wait(&job);
		storm->wrong += result != (cancels ? -ECANCELED : 1);
	}
	return NULL;
}

static void step_until_joined(pthread_t thread)
{
	const struct timespec moment = { .tv_nsec = 100000 };
	unsigned empty = 0;

	while (pthread_tryjoin_np(thread, NULL)) {
		if (test_guest_readable(&stage.guest)) {
			empty = 0;
			if (rota_engine_step(stage.guest.engine) < 0)
				return;
		} else if (++empty > test_seconds() * 10000) {
			fail_msg("nothing came any more");
		} else {
			nanosleep(&moment, NULL);
		}
	}
}

static void nothing_is_lost_in_a_storm(void **state)
{
	struct storm storms[2];
	struct test_random random;

	(void)state;
	test_random_init(&random);
	assert_int_equal(test_guest_make(&stage.guest, NULL, NULL), 0);
	for (int i = 0; i < 2; i++) {
		storms[i] = (struct storm){ .seed = test_random_next(&random),
					    .rounds = test_rounds(10000) };
		door_make(&storms[i].door);
		assert_int_equal(pthread_create(&storms[i].thread, NULL,
						make_storm, &storms[i]),
				 0);
	}
	for (int i = 0; i < 2; i++)
		step_until_joined(storms[i].thread);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(storms[i].wrong, 0);
		door_remove(&storms[i].door);
	}
	assert_int_equal(test_guest_end(&stage.guest), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_completion_is_seen_at_whichever_point_it_comes),
		cmocka_unit_test(mail_is_seen_at_whichever_point_it_comes),
		cmocka_unit_test(a_cancel_is_seen_at_whichever_point_it_comes),
		cmocka_unit_test(nothing_is_lost_in_a_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
