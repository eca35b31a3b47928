/* SPDX-License-Identifier: MIT */
/*
 * Stacks that overflow, and faults that are none of ours. Each in a child: the
 * program dies of it.
 */
#include "stack/overflow.h"

#include "support/child.h"
#include "support/run.h"
#include "task/task.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* What handlers of the program around end with. */
#define SEEN_BY_PLAIN 3
#define SEEN_BY_INFO 4

static volatile int never; /* keeps the compiler from seeing through it */

static __attribute__((noinline)) int recurse(int depth)
{
	volatile char frame[512];

	frame[0] = (char)depth;
	return never ? 0 : recurse(depth + 1) + frame[0];
}

static int overflow(void *arg)
{
	(void)arg;
	rota_task_set_name("digger");
	return recurse(0);
}

static int dig(void *value)
{
	(void)value;
	return recurse(0);
}

static int spawn_digger(void *arg)
{
	const size_t stack_bytes = *(size_t *)arg;
	struct rota_group group;

	rota_group_open(&group, &(struct rota_group_options){
					.stack_bytes = stack_bytes });
	if (rota_go(&group, dig, 0))
		return 1;
	return rota_group_wait(&group);
}

static int run_digger(void *arg)
{
	return test_run(spawn_digger, arg);
}

static void an_overflow_is_told_with_name_size_and_site(void **state)
{
	size_t stack_bytes = 0;
	struct test_child child;
	char line[512], *site;
	int length = 0;

	(void)state;
	test_child_run(&child, run_digger, &stack_bytes);
	assert_int_equal(child.signal, SIGSEGV);
	site = strstr(child.errors, __FILE__ ":");
	assert_non_null(site);
	assert_in_range(atoi(site + strlen(__FILE__ ":")), 50, 70);
	length = snprintf(line, sizeof(line),
			  "rota: stack overflow: task dig (spawned at "
			  "%s:%d) has used its %zu bytes; "
			  "rota_group_options.stack_bytes gives it more\n",
			  __FILE__, atoi(site + strlen(__FILE__ ":")),
			  RI_STACK_BYTES_DEFAULT * RI_STACK_SCALE);
	assert_in_range(length, 1, sizeof(line) - 1);
	assert_string_equal(child.errors, line);
}

static void the_size_is_that_of_the_group(void **state)
{
	size_t stack_bytes = 20000; /* rounded up */
	struct test_child child;
	char words[64];

	(void)state;
	test_child_run(&child, run_digger, &stack_bytes);
	assert_int_equal(child.signal, SIGSEGV);
	snprintf(words, sizeof(words), "has used its %d bytes;",
		 32768 * RI_STACK_SCALE);
	assert_non_null(strstr(child.errors, words));
}

static int run_first_task(void *arg)
{
	return test_run(overflow, arg);
}

static void the_first_task_is_told_by_its_name(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_first_task, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "task digger (spawned at "
					     "rota_run:0)"));
}

static int run_masked(void *arg)
{
	setenv("ROTA_MASK", "guard", 1);
	return test_run(overflow, arg);
}

static void an_overflow_into_a_protected_page_is_told_too(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_masked, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task digger"));
}

/* The frame spans the guard and the whole stack below. */
static __attribute__((noinline)) int huge_frame(void)
{
	volatile char frame[1 << 20];

	frame[0] = 1;
	return frame[never];
}

static int enter_huge_frame(void *arg)
{
	(void)arg;
	rota_task_set_name("giant");
	return huge_frame();
}

static int run_huge_frame(void *arg)
{
	return test_run(enter_huge_frame, arg);
}

static void a_frame_larger_than_the_guard_does_not_jump_it(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_huge_frame, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task giant"));
}

static int run_without_report(void *arg)
{
	const struct rota_config config = { .no_overflow_report = true };

	return test_run_with(&config, NULL, overflow, arg);
}

static void the_report_can_be_switched_off(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_without_report, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_string_equal(child.errors, "");
}

/* Faults elsewhere. */
static int fault(void *arg)
{
	(void)arg;
	*(volatile int *)(uintptr_t)(never + 16) = 1;
	return 0;
}

static int run_fault(void *arg)
{
	return test_run(fault, arg);
}

static void a_fault_elsewhere_dies_as_always(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_fault, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_string_equal(child.errors, "");
}

static int send_fault(void *arg)
{
	(void)arg;
	raise(SIGSEGV);
	return 0;
}

static int run_send_fault(void *arg)
{
	return test_run(send_fault, arg);
}

static void a_fault_that_is_sent_kills_as_always(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_send_fault, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_string_equal(child.errors, "");
}

static void plain(int number)
{
	_exit(number == SIGSEGV ? SEEN_BY_PLAIN : 99);
}

static int run_fault_with_plain(void *arg)
{
	signal(SIGSEGV, plain);
	return test_run(fault, arg);
}

static void a_fault_elsewhere_goes_to_the_handler_before_us(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_fault_with_plain, NULL);
	assert_int_equal(child.status, SEEN_BY_PLAIN);
	assert_string_equal(child.errors, "");
}

static void with_info(int number, siginfo_t *info, void *context)
{
	const bool right = number == SIGSEGV && context &&
			   info->si_addr == (void *)16;

	_exit(right ? SEEN_BY_INFO : 99);
}

static int run_fault_with_info(void *arg)
{
	const struct sigaction action = { .sa_sigaction = with_info,
					  .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &action, NULL);
	return test_run(fault, arg);
}

static void a_handler_with_information_gets_all_of_it(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_fault_with_info, NULL);
	assert_int_equal(child.status, SEEN_BY_INFO);
}

static int run_overflow_with_plain(void *arg)
{
	signal(SIGSEGV, plain);
	return test_run(overflow, arg);
}

static void an_overflow_is_ours_also_with_a_handler_before_us(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_overflow_with_plain, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task digger"));
}

static int run_fault_ignored(void *arg)
{
	signal(SIGSEGV, SIG_IGN);
	return test_run(fault, arg);
}

static void a_fault_that_is_ignored_kills_as_always(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_fault_ignored, NULL);
	assert_int_equal(child.signal, SIGSEGV);
}

static int raise_it(void *arg)
{
	(void)arg;
	return raise(SIGSEGV);
}

static int run_raise_with_plain(void *arg)
{
	signal(SIGSEGV, plain);
	return test_run(raise_it, arg);
}

static void a_signal_that_somebody_sent_is_no_overflow(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_raise_with_plain, NULL);
	assert_int_equal(child.status, SEEN_BY_PLAIN);
}

/* One that was queued may name any address. */
static int queue_with_guard_address(void *arg)
{
	const struct rota_task *self = ri_task_self("test");
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_QUEUE };

	(void)arg;
	info.si_addr = self->fiber.stack->low - 8;
	return (int)syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV,
			    &info);
}

static int run_queue_with_plain(void *arg)
{
	signal(SIGSEGV, plain);
	return test_run(queue_with_guard_address, arg);
}

static void a_signal_with_the_address_of_a_guard_is_none_either(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_queue_with_plain, NULL);
	assert_int_equal(child.status, SEEN_BY_PLAIN);
	assert_string_equal(child.errors, "");
}

/* The program outside of the run. */
static int nothing(void *arg)
{
	(void)arg;
	return 0;
}

static void after_a_run_the_handler_is_the_one_before(void **state)
{
	struct sigaction before, after;

	(void)state;
	sigaction(SIGSEGV, NULL, &before);
	assert_int_equal(test_run(nothing, NULL), 0);
	sigaction(SIGSEGV, NULL, &after);
	assert_ptr_equal(after.sa_handler, before.sa_handler);
	assert_int_equal(after.sa_flags, before.sa_flags);
}

static int install_plain(void *arg)
{
	(void)arg;
	signal(SIGSEGV, plain);
	return 0;
}

static int install_over_ours(void *arg)
{
	if (test_run(install_plain, arg))
		return 1;
	return fault(arg);
}

static void a_handler_that_was_put_over_ours_stays(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, install_over_ours, NULL);
	assert_int_equal(child.status, SEEN_BY_PLAIN);
}

static struct sigaction below;

static void pass_down(int number, siginfo_t *info, void *context)
{
	if (write(STDERR_FILENO, "above\n", 6) != 6)
		_exit(99);
	below.sa_sigaction(number, info, context);
}

static int install_chain(void *arg)
{
	const struct sigaction action = { .sa_sigaction = pass_down,
					  .sa_flags = SA_SIGINFO };

	(void)arg;
	return sigaction(SIGSEGV, &action, &below);
}

/* It hands on to ours, which is asked after its engine has gone. */
static int fault_after_the_run(void *arg)
{
	signal(SIGSEGV, plain);
	if (test_run(install_chain, arg))
		return 1;
	return fault(arg);
}

static void a_handler_over_ours_may_hand_on_after_the_run(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, fault_after_the_run, NULL);
	assert_int_equal(child.status, SEEN_BY_PLAIN);
	assert_string_equal(child.errors, "above\n");
}

static int overflow_in_the_second_run(void *arg)
{
	if (test_run(nothing, NULL))
		return 1;
	return test_run(overflow, arg);
}

static void a_second_run_watches_as_the_first_did(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, overflow_in_the_second_run, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task digger"));
}

/* In the first run somebody replaced ours, then put the default back. */
static int overflow_after_a_reset(void *arg)
{
	if (test_run(install_plain, arg))
		return 1;
	signal(SIGSEGV, SIG_DFL);
	return test_run(overflow, arg);
}

static void a_handler_that_was_taken_out_is_put_back(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, overflow_after_a_reset, NULL);
	assert_int_equal(child.signal, SIGSEGV);
	assert_non_null(strstr(child.errors, "stack overflow: task digger"));
}

static int see_alternate(void *arg)
{
	return sigaltstack(NULL, arg);
}

static void the_alternate_stack_is_ours_for_the_run_only(void **state)
{
	stack_t before, during, after;

	(void)state;
	sigaltstack(NULL, &before);
	assert_int_equal(test_run(see_alternate, &during), 0);
	sigaltstack(NULL, &after);
	assert_int_equal(during.ss_flags & SS_DISABLE, 0);
	assert_int_equal(after.ss_flags, before.ss_flags);
	if (!(before.ss_flags & SS_DISABLE))
		assert_ptr_equal(after.ss_sp, before.ss_sp);
}

static int run_with_own_alternate(void *arg)
{
	static char memory[1 << 16];
	const stack_t mine = { .ss_sp = memory, .ss_size = sizeof(memory) };
	stack_t during, after;

	(void)arg;
	if (sigaltstack(&mine, NULL) || test_run(see_alternate, &during) ||
	    sigaltstack(NULL, &after))
		return 1;
	return during.ss_sp == memory && after.ss_sp == memory ? 0 : 2;
}

static void an_alternate_stack_of_the_program_is_used(void **state)
{
	struct test_child child;

	(void)state;
	test_child_run(&child, run_with_own_alternate, NULL);
	assert_int_equal(child.status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* first: later ones would inherit what it left */
		cmocka_unit_test(the_alternate_stack_is_ours_for_the_run_only),
		cmocka_unit_test(an_overflow_is_told_with_name_size_and_site),
		cmocka_unit_test(the_size_is_that_of_the_group),
		cmocka_unit_test(the_first_task_is_told_by_its_name),
		cmocka_unit_test(an_overflow_into_a_protected_page_is_told_too),
		cmocka_unit_test(
			a_frame_larger_than_the_guard_does_not_jump_it),
		cmocka_unit_test(the_report_can_be_switched_off),
		cmocka_unit_test(a_fault_elsewhere_dies_as_always),
		cmocka_unit_test(a_fault_that_is_sent_kills_as_always),
		cmocka_unit_test(
			a_fault_elsewhere_goes_to_the_handler_before_us),
		cmocka_unit_test(a_handler_with_information_gets_all_of_it),
		cmocka_unit_test(
			an_overflow_is_ours_also_with_a_handler_before_us),
		cmocka_unit_test(a_fault_that_is_ignored_kills_as_always),
		cmocka_unit_test(a_signal_that_somebody_sent_is_no_overflow),
		cmocka_unit_test(
			a_signal_with_the_address_of_a_guard_is_none_either),
		cmocka_unit_test(after_a_run_the_handler_is_the_one_before),
		cmocka_unit_test(a_handler_that_was_put_over_ours_stays),
		cmocka_unit_test(a_handler_over_ours_may_hand_on_after_the_run),
		cmocka_unit_test(a_second_run_watches_as_the_first_did),
		cmocka_unit_test(a_handler_that_was_taken_out_is_put_back),
		cmocka_unit_test(an_alternate_stack_of_the_program_is_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
