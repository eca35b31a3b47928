/* SPDX-License-Identifier: MIT */
/*
 * Memory of the user's: all of it is taken by their functions and given back,
 * and where there is none the engine says so.
 */
#include "rota/guest.h"
#include "rota/job.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "support/faulty.h"
#include "support/guest.h"
#include "support/log.h"
#include "support/run.h"
#include "support/started.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define BLOCKS_MAX 256

/* The user's memory, and what is wrong about how it is used. */
static struct {
	pthread_mutex_t mutex;
	struct {
		void *start;
		size_t bytes;
	} blocks[BLOCKS_MAX];
	unsigned taken;   /* blocks, so far */
	unsigned refused; /* the one, from 1 on, that there is not; 0: none */
	unsigned left;    /* blocks that were not given back */
	unsigned unknown; /* given back, and never taken so */
	pthread_t caller; /* who starts and stops */
	unsigned by_caller, by_others;
} user;

static struct test_faulty kernel;

static void *take(size_t bytes)
{
	unsigned i = 0;

	while (user.blocks[i].start)
		i++;
	if (i == BLOCKS_MAX ||
	    ri_kernel_linux.map(&ri_kernel_linux, bytes, &user.blocks[i].start))
		return NULL;
	user.blocks[i].bytes = bytes;
	user.left++;
	return user.blocks[i].start;
}

static void *allocate(void *context, size_t bytes)
{
	void *start = NULL;

	pthread_mutex_lock(&user.mutex);
	user.unknown += context != &user.left;
	if (pthread_equal(pthread_self(), user.caller))
		user.by_caller++;
	else
		user.by_others++;
	if (++user.taken != user.refused)
		start = take(bytes);
	pthread_mutex_unlock(&user.mutex);
	return start;
}

static void give_back(void *context, void *start, size_t bytes)
{
	unsigned i = 0;

	pthread_mutex_lock(&user.mutex);
	while (i < BLOCKS_MAX &&
	       (user.blocks[i].start != start || user.blocks[i].bytes != bytes))
		i++;
	if (i == BLOCKS_MAX || context != &user.left) {
		user.unknown++;
	} else {
		ri_kernel_linux.unmap(&ri_kernel_linux, start, bytes);
		user.blocks[i].start = NULL;
		user.left--;
	}
	pthread_mutex_unlock(&user.mutex);
}

static const struct rota_config base = {
	.log = test_log_nothing,
	.tasks_max = 1000,
	.allocate = allocate,
	.release = give_back,
	.context = &user.left,
};

static struct rota_config prepare(unsigned loops)
{
	struct rota_config config = base;

	memset(&user, 0, sizeof(user));
	pthread_mutex_init(&user.mutex, NULL);
	user.caller = pthread_self();
	test_faulty_init(&kernel);
	test_faulty_set(&kernel, TEST_MAP, 0, 0);
	config.loops = loops;
	return config;
}

/* It was the user's memory alone, and it is back. */
static void balance(void)
{
	assert_int_equal(atomic_load(&kernel.calls), 0);
	assert_int_equal(test_faulty_left(&kernel), 0);
	assert_int_equal(user.left, 0);
	assert_int_equal(user.unknown, 0);
	assert_true(user.taken > 0);
}

static int view_a_byte(void)
{
	struct rota_stream stream;
	struct rota_view view;
	int pair[2], error, n = -EIO;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -errno;
	error = rota_receive_stream_open(&stream, pair[0], NULL);
	if (!error && write(pair[1], "x", 1) == 1)
		n = rota_stream_view(&stream, &view);
	if (!error)
		rota_stream_close(&stream);
	close(pair[0]);
	close(pair[1]);
	return error ? error : n;
}

static int nap(void *value)
{
	(void)value;
	return rota_sleep(1);
}

/* Some of everything that takes memory later: stacks of other sizes, streams
 * and their buffers, names of groups. 0, or the first error. */
static int use_all(void *arg)
{
	struct rota_group group;
	int error, n;

	(void)arg;
	rota_group_open(&group, &(struct rota_group_options){
					.stack_bytes = 256 << 10 });
	error = rota_go(&group, nap, 0);
	if (!error && !rota_group_share(&group))
		error = -ENOMEM;
	rota_group_wait(&group);
	if (error)
		return error;
	n = view_a_byte();
	return n < 0 ? n : 0;
}

static int use_on_each(void *arg)
{
	struct rota_group group;
	int error = 0, result;

	rota_group_open(&group, NULL);
	for (unsigned i = 0; i < rota_loops() && !error; i++)
		error = rota_go_on(&group, i, use_all, arg);
	result = rota_group_wait(&group);
	return error ? error : result;
}

static int run(const struct rota_config *config)
{
	return test_run_with(config, &kernel.table, use_on_each, NULL);
}

static int start(const struct rota_config *config)
{
	struct test_started started;
	struct rota_job job;
	int error = test_start(&started, config, &kernel.table);

	if (error)
		return error;
	assert_int_equal(test_submit(&started, &job, use_on_each, NULL), 0);
	error = rota_job_wait(&job);
	assert_int_equal(test_stop(&started, ROTA_NEVER), 0);
	return error;
}

static int embed(const struct rota_config *config)
{
	struct test_guest guest;
	struct rota_job job;
	int error = test_guest_make(&guest, config, &kernel.table);

	if (error)
		return error;
	job = (struct rota_job){ .engine = guest.engine };
	assert_int_equal(rota_submit(&job, use_on_each, NULL), 0);
	test_guest_until(&guest, &job);
	error = rota_job_wait(&job);
	assert_int_equal(test_guest_end(&guest), 0);
	return error;
}

static void all_memory_is_the_users_and_comes_back(void **state)
{
	struct rota_config config = prepare(1);

	(void)state;
	assert_int_equal(run(&config), 0);
	balance();
	config = prepare(2);
	assert_int_equal(run(&config), 0);
	balance();
	config = prepare(2);
	assert_int_equal(start(&config), 0);
	balance();
	config = prepare(1);
	assert_int_equal(embed(&config), 0);
	balance();
}

/* Each block in turn is not to be had, the first time it is asked for. */
static void refuse_each(int (*use)(const struct rota_config *), unsigned loops)
{
	unsigned refused = 0;
	bool reached;

	do {
		const struct rota_config config = prepare(loops);
		int error;

		user.refused = ++refused;
		error = use(&config);
		reached = user.taken >= refused;
		if (error != 0 && error != -ENOMEM)
			fail_msg("without block %u: %d", refused, error);
		if (!reached)
			assert_int_equal(error, 0);
		balance();
	} while (reached);
	assert_true(refused > 5);
}

static void whatever_block_is_not_to_be_had_it_ends_cleanly(void **state)
{
	(void)state;
	refuse_each(run, 1);
	refuse_each(run, 2);
	refuse_each(start, 2);
	refuse_each(embed, 1);
}

static void it_is_asked_for_on_the_threads_that_use_it(void **state)
{
	struct rota_config config = prepare(1);

	(void)state;
	assert_int_equal(run(&config), 0);
	assert_int_equal(user.by_others, 0);
	config = prepare(2);
	assert_int_equal(start(&config), 0);
	/* the engine itself */
	assert_int_equal(user.by_caller, 1);
	config = prepare(1);
	assert_int_equal(embed(&config), 0);
	assert_int_equal(user.by_others, 0);
}

static void one_of_the_two_functions_alone_is_refused(void **state)
{
	struct rota_config config = prepare(1);

	(void)state;
	config.release = NULL;
	assert_int_equal(run(&config), -EINVAL);
	config = prepare(1);
	config.allocate = NULL;
	assert_int_equal(run(&config), -EINVAL);
	assert_int_equal(start(&config), -EINVAL);
	assert_int_equal(embed(&config), -EINVAL);
	assert_int_equal(user.taken, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_memory_is_the_users_and_comes_back),
		cmocka_unit_test(
			whatever_block_is_not_to_be_had_it_ends_cleanly),
		cmocka_unit_test(it_is_asked_for_on_the_threads_that_use_it),
		cmocka_unit_test(one_of_the_two_functions_alone_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
