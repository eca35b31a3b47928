/* SPDX-License-Identifier: MIT */
/*
 * Stories of workers and pipelines as programs are built of them, and of how
 * such programs hang: a feeder that nobody takes anything from any more, a
 * worker that waits for itself, an asker that has gone.
 */
#include "rota/rota.h"
#include "support/kernel.h"
#include "support/run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* A table of files is scanned: one task lists them, four read them. All readers
 * find the disk broken at once, while the lister has more to hand out than the
 * queue holds. With plain channels it waits for a receiver for ever. */
struct scan {
	struct rota_pool readers;
	int listed;   /* files that were handed out */
	int read;     /* files that a reader began with */
	int released; /* names that were given back */
	int result;
	int lister; /* what the lister was told */
};

#define FILES 100

static char *make_name(struct scan *scan)
{
	char *name = malloc(16);

	scan->listed += name != NULL;
	return name;
}

static void release_name(void *item, void *arg)
{
	struct scan *scan = arg;

	free(*(char **)item);
	scan->released++;
}

static int read_file(void *item, void *arg)
{
	struct scan *scan = arg;
	int error;

	scan->read++;
	error = rota_sleep(ROTA_MILLISECOND);
	release_name(item, scan);
	return error ? error : -EIO;
}

static int list_files(void *value)
{
	struct scan *scan = *(struct scan **)value;

	for (int i = 0; i < FILES && !scan->lister; i++) {
		char *name = make_name(scan);

		if (!name)
			return -ENOMEM;
		scan->lister = rota_pool_submit(&scan->readers, &name);
		if (scan->lister)
			release_name(&name, scan);
	}
	return scan->lister;
}

static int open_readers(struct scan *scan)
{
	return rota_pool_open(
		&scan->readers,
		&(struct rota_pool_options){ .workers = 4,
					     .capacity = 8,
					     .item_bytes = sizeof(char *),
					     .fn = read_file,
					     .arg = scan,
					     .discard = release_name });
}

static int scan_table(void *arg)
{
	struct scan *scan = arg;
	int error = open_readers(scan);

	if (error)
		return error;
	error = list_files(&scan);
	scan->result = rota_pool_close(&scan->readers);
	return 0;
}

/* The lister is a task of its own, in the group around. */
static int scan_by_two(void *arg)
{
	struct scan *scan = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = open_readers(scan);
	if (!error) {
		error = rota_go(&group, list_files, scan);
		while (rota_sleep(ROTA_SECOND) == 0)
			;
		scan->result = rota_pool_close(&scan->readers);
	}
	return error | (rota_group_wait(&group) != -EPIPE);
}

static void assert_scanned(struct scan *scan)
{
	assert_int_equal(scan->result, -EIO);
	assert_int_equal(scan->read, 4);
	assert_in_range(scan->listed, 12, 13);
	assert_int_equal(scan->released, scan->listed);
}

static void a_lister_whose_readers_have_all_died_does_not_hang(void **state)
{
	struct scan scan = { .listed = 0 };

	(void)state;
	assert_int_equal(test_run(scan_table, &scan), 0);
	assert_int_equal(scan.lister, -ECANCELED);
	assert_scanned(&scan);
	scan = (struct scan){ .listed = 0 };
	assert_int_equal(test_run(scan_by_two, &scan), 0);
	assert_int_equal(scan.lister, -EPIPE);
	assert_scanned(&scan);
}

/* Pages are crawled: each leads to two more. All who crawl are about to hand on
 * what they found, and nobody is left to take it. */
struct crawl {
	struct rota_pool pool;
	int pages;
	int kept; /* links that had to be kept for later */
};

static int crawl_page(void *item, void *arg)
{
	struct crawl *crawl = arg;
	const int depth = *(int *)item - 1;

	crawl->pages++;
	if (rota_sleep(ROTA_MILLISECOND) < 0)
		return -ECANCELED;
	for (int i = 0; i < 2 && depth; i++) {
		const int error = rota_pool_submit(&crawl->pool, &depth);

		if (error == -EDEADLK)
			crawl->kept++;
		else if (error)
			return error;
	}
	return 0;
}

static int crawl_site(void *arg)
{
	struct crawl *crawl = arg;
	const int depth = 8;
	int error = rota_pool_open(
		&crawl->pool,
		&(struct rota_pool_options){ .workers = 3,
					     .capacity = 4,
					     .item_bytes = sizeof(depth),
					     .fn = crawl_page,
					     .arg = crawl });

	if (error)
		return error;
	error = rota_pool_submit(&crawl->pool, &depth);
	if (!error)
		error = rota_sleep(ROTA_SECOND);
	return error | rota_pool_close(&crawl->pool);
}

static void workers_that_feed_themselves_are_told_instead_of_hanging(void **s)
{
	struct crawl crawl = { .pages = 0 };
	struct test_kernel kernel;

	(void)s;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(test_run_with(NULL, &kernel.table, crawl_site, &crawl),
			 0);
	assert_true(crawl.kept > 0);
	assert_true(crawl.pages > 8);
}

/* An account is owned by one task. Who asks has little patience, the bank is
 * slow: its answers to those who have left are lost, and it goes on. */
struct bank {
	struct rota_requests requests;
	int64_t balance;
	int served;
	int patient; /* askers that had their answer */
	int gone;    /* askers that had left */
};

static int keep_account(void *value)
{
	struct bank *bank = *(struct bank **)value;
	struct rota_ticket ticket;

	while (rota_requests_take(&bank->requests, &ticket) == 0) {
		const int error = rota_sleep(ROTA_MILLISECOND);

		bank->balance += *(int64_t *)ticket.request;
		bank->served++;
		rota_requests_answer(&ticket, &bank->balance);
		if (error)
			break;
	}
	rota_requests_close(&bank->requests);
	return 0;
}

struct deposit {
	struct bank *bank;
	int64_t amount;
	int64_t patience_ns;
};

static int pay_in(void *value)
{
	const struct deposit *deposit = value;
	struct rota_deadline deadline;
	int64_t balance = -1;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(deposit->patience_ns));
	error = rota_request(&deposit->bank->requests, &deposit->amount,
			     &balance);
	rota_deadline_end(&deadline);
	deposit->bank->patient += !error && balance > 0;
	deposit->bank->gone += error == -ETIME && balance == -1;
	return 0;
}

/* Every other one has little of it. */
static int64_t patience_of(int asker)
{
	return asker % 2 ? asker * ROTA_MILLISECOND / 4 : ROTA_SECOND;
}

static int run_bank(void *arg)
{
	struct bank *bank = arg;
	struct rota_group owner, askers;
	int error = rota_requests_open(
		&bank->requests,
		&(struct rota_requests_options){ .request_bytes = 8,
						 .reply_bytes = 8,
						 .capacity = 2 });

	if (error)
		return error;
	rota_group_open(&owner, NULL);
	error = rota_go(&owner, keep_account, bank);
	rota_group_open(&askers, NULL);
	for (int i = 0; i < 10 && !error; i++)
		error = rota_go(&askers, pay_in,
				((struct deposit){ bank, 1, patience_of(i) }));
	error |= rota_group_wait(&askers);
	if (!error)
		error = rota_sleep(ROTA_SECOND);
	rota_group_cancel(&owner, (struct rota_cancellation){ 0, NULL });
	rota_group_wait(&owner);
	return error;
}

static void an_owner_outlives_those_who_ask_it_and_leave(void **state)
{
	struct bank bank = { .balance = 0 };
	struct test_kernel kernel;

	(void)state;
	test_kernel_init(&kernel);
	test_kernel_clock(&kernel, ROTA_SECOND);
	assert_int_equal(test_run_with(NULL, &kernel.table, run_bank, &bank),
			 0);
	assert_int_equal(bank.patient + bank.gone, 10);
	assert_in_range(bank.patient, 5, 9);
	assert_in_range(bank.served, bank.patient, 9);
	assert_int_equal(bank.balance, bank.served);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_lister_whose_readers_have_all_died_does_not_hang),
		cmocka_unit_test(
			workers_that_feed_themselves_are_told_instead_of_hanging),
		cmocka_unit_test(an_owner_outlives_those_who_ask_it_and_leave),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
