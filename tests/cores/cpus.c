/* SPDX-License-Identifier: MIT */
/*
 * How many loops "all" is, and where their threads are kept.
 */
#include "cores/cpus.h"

#include "cores/engine.h"
#include "ring/linux.h"
#include "support/log.h"
#include "support/run.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILES_MAX 8
#define SETS_MAX 64

/* A machine: files, processors, and where threads were put. */
static struct {
	struct ri_kernel table;
	struct {
		const char *path, *text;
	} files[FILES_MAX];
	unsigned long mask; /* the processors */
	int error;          /* of putting threads anywhere */
	pthread_mutex_t mutex;
	unsigned long sets[SETS_MAX]; /* where they were put, in order */
	pthread_t who[SETS_MAX];
	unsigned set_count;
} machine;

static int read_text(const struct ri_kernel *kernel, const char *path,
		     char *text, size_t bytes)
{
	(void)kernel;
	for (unsigned i = 0; i < FILES_MAX && machine.files[i].path; i++)
		if (strcmp(machine.files[i].path, path) == 0)
			return snprintf(text, bytes, "%s",
					machine.files[i].text);
	return -ENOENT;
}

static int affinity_get(const struct ri_kernel *kernel, unsigned long *mask,
			size_t bytes)
{
	(void)kernel;
	(void)bytes;
	if (!machine.mask)
		return -EPERM;
	mask[0] = machine.mask;
	return sizeof(mask[0]);
}

static int affinity_set(const struct ri_kernel *kernel,
			const unsigned long *mask, size_t bytes)
{
	(void)kernel;
	(void)bytes;
	if (machine.error)
		return machine.error;
	pthread_mutex_lock(&machine.mutex);
	machine.who[machine.set_count] = pthread_self();
	machine.sets[machine.set_count++] = mask[0];
	pthread_mutex_unlock(&machine.mutex);
	return 0;
}

static void make_machine(unsigned long mask)
{
	memset(&machine, 0, sizeof(machine));
	pthread_mutex_init(&machine.mutex, NULL);
	machine.mask = mask;
	machine.table = *test_linux();
	machine.table.read_text = read_text;
	machine.table.affinity_get = affinity_get;
	machine.table.affinity_set = affinity_set;
}

static void add_file(const char *path, const char *text)
{
	unsigned i = 0;

	while (machine.files[i].path)
		i++;
	machine.files[i].path = path;
	machine.files[i].text = text;
}

static unsigned usable(void)
{
	struct ri_cpus cpus;

	assert_int_equal(ri_cpus_get(&cpus, &machine.table), 0);
	return ri_cpus_usable(&cpus, &machine.table);
}

static void without_a_quota_it_is_the_affinity(void **state)
{
	(void)state;
	make_machine(0xb5);
	assert_int_equal(usable(), 5);
	add_file("/proc/self/cgroup", "0::/\n");
	assert_int_equal(usable(), 5);
	add_file("/sys/fs/cgroup/cpu.max", "max 100000\n");
	assert_int_equal(usable(), 5);
}

static unsigned with_max(const char *text)
{
	make_machine(0xff);
	add_file("/proc/self/cgroup", "0::/shop/till\n");
	add_file("/sys/fs/cgroup/shop/till/cpu.max", text);
	return usable();
}

static void a_quota_is_rounded_up(void **state)
{
	(void)state;
	assert_int_equal(with_max("50000 100000\n"), 1);
	assert_int_equal(with_max("100000 100000\n"), 1);
	assert_int_equal(with_max("100001 100000\n"), 2);
	assert_int_equal(with_max("250000 100000\n"), 3);
	assert_int_equal(with_max("1000 100000\n"), 1);
	assert_int_equal(with_max("900000 100000\n"), 8);
}

static void what_is_no_quota_is_none(void **state)
{
	(void)state;
	assert_int_equal(with_max("max 100000\n"), 8);
	assert_int_equal(with_max(""), 8);
	assert_int_equal(with_max("50000\n"), 8);
	assert_int_equal(with_max("0 100000\n"), 8);
	assert_int_equal(with_max("-1 100000\n"), 8);
	assert_int_equal(with_max("50000 0\n"), 8);
	assert_int_equal(with_max("9223372036854775807 1\n"), 8);
	assert_int_equal(with_max("9223372036854775807 100000\n"), 8);
}

static void the_quota_of_a_group_around_counts_too(void **state)
{
	(void)state;
	assert_int_equal(with_max("400000 100000\n"), 4);
	add_file("/sys/fs/cgroup/shop/cpu.max", "200000 100000\n");
	assert_int_equal(usable(), 2);
	add_file("/sys/fs/cgroup/cpu.max", "100000 100000\n");
	assert_int_equal(usable(), 1);
}

static void in_a_container_the_root_counts(void **state)
{
	(void)state;
	make_machine(0xff);
	add_file("/proc/self/cgroup", "0::/../../host/scope\n");
	add_file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
	assert_int_equal(usable(), 3);
}

/* A line of version 1, with the quota of its group. */
static unsigned with_cfs(const char *line, const char *quota)
{
	make_machine(0xff);
	add_file("/proc/self/cgroup", line);
	add_file("/sys/fs/cgroup/cpu/shop/cpu.cfs_quota_us", quota);
	add_file("/sys/fs/cgroup/cpu/shop/cpu.cfs_period_us", "100000\n");
	return usable();
}

static void so_does_the_quota_of_the_first_version(void **state)
{
	(void)state;
	assert_int_equal(with_cfs("4:cpu,cpuacct:/shop\n", "50000\n"), 1);
	assert_int_equal(with_cfs("4:cpuacct,cpu:/shop\n", "150000\n"), 2);
	assert_int_equal(with_cfs("9:memory:/x\n4:cpu:/shop\n", "250000\n"), 3);
	assert_int_equal(with_cfs("4:cpuset,cpu,cpuacct:/shop\n", "350000\n"),
			 4);
	assert_int_equal(with_cfs("4:cpuset,cpu:/shop\n", "350000\n"), 4);
	assert_int_equal(with_cfs("4:cpu:/shop\n", "-1\n"), 8);
	/* other controllers */
	assert_int_equal(with_cfs("4:cpuset:/shop\n", "50000\n"), 8);
	assert_int_equal(with_cfs("4:cpuacct,cpuset:/shop\n", "50000\n"), 8);
	assert_int_equal(with_cfs("4:memory:/shop\nnonsense\n", "50000\n"), 8);
}

static int count_loops(void *arg)
{
	(void)arg;
	return (int)rota_loops();
}

static int run_all(enum rota_pin pin)
{
	const struct rota_config config = { .loops = ROTA_LOOPS_ALL,
					    .pin = pin };

	return test_run_with(&config, &machine.table, count_loops, NULL);
}

static void half_a_core_is_one_loop(void **state)
{
	(void)state;
	assert_int_equal(with_max("50000 100000\n"), 1);
	assert_int_equal(run_all(ROTA_PIN_AUTO), 1);
	assert_int_equal(with_max("150000 100000\n"), 2);
	assert_int_equal(run_all(ROTA_PIN_AUTO), 2);
	make_machine(0x70);
	assert_int_equal(run_all(ROTA_PIN_AUTO), 3);
}

static void where_the_affinity_is_not_told_it_is_one_loop(void **state)
{
	(void)state;
	make_machine(0);
	assert_int_equal(run_all(ROTA_PIN_ALWAYS), 1);
	assert_int_equal(machine.set_count, 0);
}

static int run_on(unsigned loops, enum rota_pin pin)
{
	const struct rota_config config = { .loops = loops, .pin = pin };

	return test_run_with(&config, &machine.table, count_loops, NULL);
}

/* The processors that threads were put on, one each, and that they were put
 * back. */
static unsigned long pinned_to(void)
{
	unsigned long all = 0;

	for (unsigned i = 0; i < machine.set_count; i++) {
		unsigned others = 0;

		if (machine.sets[i] == machine.mask)
			continue;
		assert_int_equal(__builtin_popcountl(machine.sets[i]), 1);
		all |= machine.sets[i];
		for (unsigned j = i + 1; j < machine.set_count; j++)
			if (pthread_equal(machine.who[i], machine.who[j])) {
				assert_int_equal(machine.sets[j], machine.mask);
				others++;
			}
		assert_int_equal(others, 1);
	}
	return all;
}

static void several_loops_have_a_processor_each(void **state)
{
	(void)state;
	make_machine(0x70);
	assert_int_equal(run_on(3, ROTA_PIN_AUTO), 3);
	assert_int_equal(pinned_to(), 0x70);
	assert_int_equal(machine.set_count, 6);
}

static void loops_without_a_processor_each_are_left_alone(void **state)
{
	(void)state;
	make_machine(0x30);
	assert_int_equal(run_on(3, ROTA_PIN_AUTO), 3);
	assert_int_equal(run_on(1, ROTA_PIN_AUTO), 1);
	assert_int_equal(run_on(2, ROTA_PIN_NEVER), 2);
	assert_int_equal(machine.set_count, 0);
}

/* Who knows which of them others use. */
static void so_are_fewer_loops_than_processors(void **state)
{
	(void)state;
	make_machine(0x70);
	assert_int_equal(run_on(2, ROTA_PIN_AUTO), 2);
	assert_int_equal(machine.set_count, 0);
}

static void loops_may_share_a_processor_if_that_is_wanted(void **state)
{
	(void)state;
	make_machine(0x30);
	assert_int_equal(run_on(3, ROTA_PIN_ALWAYS), 3);
	assert_int_equal(pinned_to(), 0x30);
	assert_int_equal(machine.set_count, 6);
	machine.set_count = 0;
	assert_int_equal(run_on(1, ROTA_PIN_ALWAYS), 1);
	assert_int_equal(machine.set_count, 2);
}

static void engines_of_one_process_take_turns_with_processors(void **state)
{
	unsigned long first, second;

	(void)state;
	make_machine(0xff0);
	assert_int_equal(run_on(4, ROTA_PIN_ALWAYS), 4);
	first = pinned_to();
	machine.set_count = 0;
	assert_int_equal(run_on(4, ROTA_PIN_ALWAYS), 4);
	second = pinned_to();
	assert_int_equal(first | second, 0xff0);
}

static void where_pinning_is_refused_loops_run_all_the_same(void **state)
{
	(void)state;
	make_machine(0x30);
	machine.error = -EPERM;
	assert_int_equal(run_on(2, ROTA_PIN_ALWAYS), 2);
}

static int refuse_ring(const struct ri_kernel *kernel, unsigned entries,
		       struct io_uring *ring, struct io_uring_params *params)
{
	(void)kernel;
	(void)entries;
	(void)ring;
	(void)params;
	return -EMFILE;
}

static void a_start_that_fails_puts_its_thread_back(void **state)
{
	const struct rota_config config = { .loops = 2,
					    .log = test_log_nothing };

	(void)state;
	make_machine(0x30);
	machine.table.ring_open = refuse_ring;
	assert_int_equal(test_run_with(&config, &machine.table, count_loops,
				       NULL),
			 -EMFILE);
	/* The other one has not tried. */
	assert_int_equal(__builtin_popcountl(pinned_to()), 1);
	assert_int_equal(machine.set_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_quota_it_is_the_affinity),
		cmocka_unit_test(a_quota_is_rounded_up),
		cmocka_unit_test(what_is_no_quota_is_none),
		cmocka_unit_test(the_quota_of_a_group_around_counts_too),
		cmocka_unit_test(in_a_container_the_root_counts),
		cmocka_unit_test(so_does_the_quota_of_the_first_version),
		cmocka_unit_test(half_a_core_is_one_loop),
		cmocka_unit_test(where_the_affinity_is_not_told_it_is_one_loop),
		cmocka_unit_test(several_loops_have_a_processor_each),
		cmocka_unit_test(loops_without_a_processor_each_are_left_alone),
		cmocka_unit_test(so_are_fewer_loops_than_processors),
		cmocka_unit_test(loops_may_share_a_processor_if_that_is_wanted),
		cmocka_unit_test(
			engines_of_one_process_take_turns_with_processors),
		cmocka_unit_test(
			where_pinning_is_refused_loops_run_all_the_same),
		cmocka_unit_test(a_start_that_fails_puts_its_thread_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
