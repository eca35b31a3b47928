/* SPDX-License-Identifier: MIT */
/*
 * Futexes: tasks that wait for threads, and the other way round.
 */
#include "rota/rota.h"
#include "ring/features.h"
#include "support/blocked.h"
#include "support/mask.h"
#include "support/random.h"
#include "support/run.h"
#include "task/task.h"

#include <linux/futex.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int look(void *arg)
{
	(void)arg;
	return ri_tasks_here()->loop.ring.features & RI_FEATURE_FUTEX ? 1 : 0;
}

static void need_futex(void)
{
	if (!test_run(look, NULL))
		test_skip("no operations for futexes here");
}

static uint32_t word;

static int make_word(struct race *race)
{
	word = 1;
	race->fd = -1;
	race->peer = -1;
	return 0;
}

static int call_wait(struct race *race)
{
	(void)race;
	return rota_futex_wait(&word, 1, 0);
}

static int wake_one(struct race *race)
{
	const int woken = rota_futex_wake(&word, 1, 0);

	race->held = (unsigned)woken;
	return woken < 0 ? woken : 0;
}

/* Nobody has taken the wake, so nobody was there. */
static bool nobody_waits(struct race *race)
{
	return race->held == 0;
}

static const struct race_verb wait_verb = { "futex_wait",     make_word,
					    call_wait,        wake_one,
					    nobody_waits,     false,
					    RI_OP_FUTEX_WAIT, 0 };

static void a_wait_ends_by_a_wake_and_by_each_cancel(void **state)
{
	(void)state;
	need_futex();
	test_blocked(&wait_verb, 0, false);
}

/* It is woken, and cancelled before that is known. */
static int wake_then_cancel(struct race *race)
{
	int error = race_settle() | wake_one(race);

	error |= race_interrupt(race);
	return error | race_settle();
}

static void a_wake_that_came_before_the_cancel_is_not_lost(void **state)
{
	struct race race;

	(void)state;
	need_futex();
	race_run(&race, &wait_verb, RACE_CANCEL, wake_then_cancel);
	assert_int_equal(race.held, 1);
	assert_int_equal(race.result, 0);
}

static int refuse(void *arg)
{
	static const uint32_t words[2] = { 1, 1 };
	const uint32_t *odd = (const uint32_t *)((const char *)words + 1);
	struct rota_deadline deadline;
	int *codes = arg;

	codes[0] = rota_futex_wait(words, 2, 0);
	codes[1] = rota_futex_wait(NULL, 1, 0);
	codes[2] = rota_futex_wait(odd, 1, 0);
	codes[3] = rota_futex_wait(words, 1, 2);
	codes[4] = rota_futex_wake(words, 1, 2);
	codes[5] = rota_futex_wake(words, UINT32_MAX, 0);
	codes[6] = rota_futex_wake(words, 0, 0);
	codes[7] = rota_futex_wake(NULL, 1, ROTA_FUTEX_SHARED);
	rota_deadline_begin(&deadline, 0);
	codes[8] = rota_futex_wait(words, 1, 0);
	codes[9] = rota_futex_wake(words, 1, 0);
	rota_deadline_end(&deadline);
	return 0;
}

static void what_cannot_be_meant_is_refused(void **state)
{
	static const int expected[] = { -EAGAIN, -EFAULT, -EINVAL, -EINVAL,
					-EINVAL, -EINVAL, 0,       -EFAULT,
					-ETIME,  0 };
	int codes[10] = { 0 };

	(void)state;
	need_futex();
	assert_int_equal(test_run(refuse, codes), 0);
	for (int i = 0; i < 10; i++)
		assert_int_equal(codes[i], expected[i]);
}

static int wait_and_count(void *value)
{
	unsigned *woken = *(unsigned **)value;
	const int error = rota_futex_wait(&word, 1, 0);

	*woken += !error;
	return error;
}

static int wake_some(void *arg)
{
	unsigned *seen = arg, woken = 0;
	struct rota_group group;
	int error = 0;

	word = 1;
	rota_group_open(&group, NULL);
	for (int i = 0; i < 5; i++)
		error |= rota_go(&group, wait_and_count, &woken);
	error |= rota_sleep(ROTA_MILLISECOND);
	/* A wake of the other kind finds nobody, nor does one of none. */
	error |= rota_futex_wake(&word, 9, ROTA_FUTEX_SHARED);
	error |= rota_futex_wake(&word, 0, 0);
	seen[0] = (unsigned)rota_futex_wake(&word, 2, 0);
	while (woken < 2)
		rota_yield();
	error |= rota_sleep(ROTA_MILLISECOND);
	seen[1] = woken;
	seen[2] = (unsigned)rota_futex_wake(&word, 9, 0);
	error |= rota_group_wait(&group);
	seen[3] = woken;
	return error;
}

static void as_many_are_woken_as_is_said(void **state)
{
	static const unsigned expected[] = { 2, 2, 3, 5 };
	unsigned seen[4] = { 0 };

	(void)state;
	need_futex();
	assert_int_equal(test_run(wake_some, seen), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(seen[i], expected[i]);
}

/* The word is handed to and fro between a task and a thread. */
struct rally {
	_Atomic uint32_t word; /* odd: the task's turn */
	unsigned rounds;
};

static void *play(void *arg)
{
	struct rally *rally = arg;

	for (unsigned i = 0; i < rally->rounds; i++) {
		uint32_t now;

		while ((now = atomic_load(&rally->word)) % 2)
			syscall(SYS_futex, &rally->word, FUTEX_WAIT_PRIVATE,
				now, NULL, NULL, 0);
		atomic_store(&rally->word, now + 1);
		syscall(SYS_futex, &rally->word, FUTEX_WAKE_PRIVATE, 1, NULL,
			NULL, 0);
	}
	return NULL;
}

static int play_back(void *arg)
{
	struct rally *rally = arg;
	const uint32_t *plain = (const uint32_t *)(const void *)&rally->word;

	for (unsigned i = 0; i < rally->rounds; i++) {
		uint32_t now;

		while (!((now = atomic_load(&rally->word)) % 2)) {
			const int error = rota_futex_wait(plain, now, 0);

			if (error && error != -EAGAIN)
				return error;
		}
		atomic_store(&rally->word, now + 1);
		if (rota_futex_wake(plain, 1, 0) < 0)
			return -EIO;
	}
	return 0;
}

static void a_task_and_a_thread_wake_each_other(void **state)
{
	struct rally rally = { .rounds = test_rounds(2000) };
	pthread_t thread;

	(void)state;
	need_futex();
	assert_int_equal(pthread_create(&thread, NULL, play, &rally), 0);
	assert_int_equal(test_run(play_back, &rally), 0);
	pthread_join(thread, NULL);
	assert_int_equal(rally.word, 2 * rally.rounds);
}

static int wait_for_process(void *arg)
{
	uint32_t *shared = arg;
	int error = 0;

	while (!error && __atomic_load_n(shared, __ATOMIC_SEQ_CST) == 1)
		error = rota_futex_wait(shared, 1, ROTA_FUTEX_SHARED);
	return error == -EAGAIN ? 0 : error;
}

static void a_shared_word_is_woken_by_another_process(void **state)
{
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t child;
	int status;

	(void)state;
	need_futex();
	assert_true(shared != MAP_FAILED);
	*shared = 1;
	child = fork();
	if (!child) {
		usleep(2000);
		__atomic_store_n(shared, 2, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0);
		_exit(0);
	}
	assert_int_equal(test_run(wait_for_process, shared), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	munmap(shared, 4096);
}

static int wait_in_vain(void *arg)
{
	uint32_t here = 1;

	(void)arg;
	/* Wakes need no operation. */
	return rota_futex_wake(&here, 1, 0) ? 1 : rota_futex_wait(&here, 1, 0);
}

static void without_the_operation_it_is_enosys(void **state)
{
	(void)state;
	setenv("ROTA_MASK", "futex", 1);
	assert_int_equal(test_run(wait_in_vain, NULL), -ENOSYS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wait_ends_by_a_wake_and_by_each_cancel),
		cmocka_unit_test(
			a_wake_that_came_before_the_cancel_is_not_lost),
		cmocka_unit_test(what_cannot_be_meant_is_refused),
		cmocka_unit_test(as_many_are_woken_as_is_said),
		cmocka_unit_test(a_task_and_a_thread_wake_each_other),
		cmocka_unit_test(a_shared_word_is_woken_by_another_process),
		cmocka_unit_test_setup_teardown(
			without_the_operation_it_is_enosys, test_mask_keep,
			test_mask_restore),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
