/* SPDX-License-Identifier: MIT */
/*
 * What a thread that may block waits for, until the test opens it: so that the
 * test alone decides when a blocking call returns.
 */
#ifndef TEST_SUPPORT_VALVE_H
#define TEST_SUPPORT_VALVE_H

#include <stdbool.h>

/* Zero: closed, and nobody waits. */
struct test_valve {
	unsigned entered; /* how many came, whether they wait or went on */
	unsigned passed;  /* how many went on */
	bool open;        /* who comes goes on */
};

/* Blocks the thread until it is open. */
void test_valve_pass(struct test_valve *valve);

/* The same for a task: as a call of rota_offload, whose argument is the valve.
 * Returns how many had come before. */
int test_valve_call(void *valve);

/* Opens it for good; any thread. */
void test_valve_open(struct test_valve *valve);

/* Blocks the thread, a loop's too, until so many have come. */
void test_valve_await(struct test_valve *valve, unsigned entered);

/* How many have gone on. */
unsigned test_valve_passed(struct test_valve *valve);

#endif
