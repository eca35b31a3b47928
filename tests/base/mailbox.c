/* SPDX-License-Identifier: MIT */
/*
 * A mailbox in the hands of one thread: what each step answers, and what it
 * leaves. What happens between threads is in tests/loop/mail_model.c (every
 * order of steps) and tests/races/mailbox.c (real ones).
 */
#include "base/mailbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT 3

struct fixture {
	struct ri_mailbox box;
	struct rota_mail mail[COUNT];
};

static int setup(void **state)
{
	static struct fixture fixture;

	fixture = (struct fixture){ 0 };
	ri_mailbox_init(&fixture.box);
	*state = &fixture;
	return 0;
}

/* Takes all: it must be the first `count` of the mail, in their order. */
static void assert_taken(struct fixture *fixture, unsigned count)
{
	struct rota_mail *mail = ri_mailbox_take(&fixture->box);

	for (unsigned i = 0; i < count; i++) {
		assert_ptr_equal(mail, &fixture->mail[i]);
		mail = mail->next;
	}
	assert_null(mail);
}

static void an_empty_mailbox_gives_nothing(void **state)
{
	struct fixture *fixture = *state;

	assert_false(ri_mailbox_has(&fixture->box));
	assert_taken(fixture, 0);
	assert_taken(fixture, 0);
	assert_false(ri_mailbox_has(&fixture->box));
}

static void mail_is_taken_in_the_order_in_which_it_was_posted(void **state)
{
	struct fixture *fixture = *state;

	for (unsigned i = 0; i < COUNT; i++)
		ri_mailbox_post(&fixture->box, &fixture->mail[i]);
	assert_true(ri_mailbox_has(&fixture->box));
	assert_taken(fixture, COUNT);
	assert_false(ri_mailbox_has(&fixture->box));
}

static void a_chain_is_taken_behind_what_was_posted_before(void **state)
{
	struct fixture *fixture = *state;
	struct rota_mail *mail = fixture->mail;

	ri_mailbox_post(&fixture->box, &mail[0]);
	mail[2].next = &mail[1];
	assert_false(ri_mailbox_post_chain(&fixture->box, &mail[2], &mail[1]));
	assert_taken(fixture, 3);
}

static void a_chain_to_a_sleeper_ends_with_its_oldest(void **state)
{
	struct fixture *fixture = *state;
	struct rota_mail *mail = fixture->mail;

	assert_true(ri_mailbox_sleep(&fixture->box));
	mail[1].next = &mail[0];
	assert_true(ri_mailbox_post_chain(&fixture->box, &mail[1], &mail[0]));
	assert_taken(fixture, 2);
}

static void mail_that_was_taken_may_be_posted_at_once(void **state)
{
	struct fixture *fixture = *state;
	struct rota_mail *mail = fixture->mail;

	ri_mailbox_post(&fixture->box, &mail[0]);
	ri_mailbox_post(&fixture->box, &mail[1]);
	assert_ptr_equal(ri_mailbox_take(&fixture->box), &mail[0]);
	ri_mailbox_post(&fixture->box, &mail[0]);
	assert_taken(fixture, 1);
}

static void who_is_awake_is_not_woken_by_mail(void **state)
{
	struct fixture *fixture = *state;

	assert_false(ri_mailbox_post(&fixture->box, &fixture->mail[0]));
	assert_false(ri_mailbox_post(&fixture->box, &fixture->mail[1]));
	assert_taken(fixture, 2);
}

static void the_first_mail_to_a_sleeper_wakes_it_and_no_other(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ri_mailbox_sleep(&fixture->box));
	assert_true(ri_mailbox_post(&fixture->box, &fixture->mail[0]));
	assert_false(ri_mailbox_post(&fixture->box, &fixture->mail[1]));
	assert_false(ri_mailbox_rouse(&fixture->box));
	assert_taken(fixture, 2);
}

static void who_has_mail_may_not_sleep(void **state)
{
	struct fixture *fixture = *state;

	ri_mailbox_post(&fixture->box, &fixture->mail[0]);
	assert_false(ri_mailbox_sleep(&fixture->box));
	assert_taken(fixture, 1);
	assert_true(ri_mailbox_sleep(&fixture->box));
}

static void a_sleeper_is_roused_once(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ri_mailbox_sleep(&fixture->box));
	assert_true(ri_mailbox_rouse(&fixture->box));
	assert_false(ri_mailbox_rouse(&fixture->box));
	assert_false(ri_mailbox_post(&fixture->box, &fixture->mail[0]));
	assert_taken(fixture, 1);
	assert_true(ri_mailbox_sleep(&fixture->box));
	assert_true(ri_mailbox_rouse(&fixture->box));
}

static void rousing_who_is_awake_leaves_the_mail(void **state)
{
	struct fixture *fixture = *state;

	assert_false(ri_mailbox_rouse(&fixture->box));
	ri_mailbox_post(&fixture->box, &fixture->mail[0]);
	assert_false(ri_mailbox_rouse(&fixture->box));
	assert_taken(fixture, 1);
}

static void a_sleeper_that_takes_is_awake(void **state)
{
	struct fixture *fixture = *state;

	assert_true(ri_mailbox_sleep(&fixture->box));
	assert_taken(fixture, 0);
	assert_false(ri_mailbox_has(&fixture->box));
	assert_false(ri_mailbox_rouse(&fixture->box));
	assert_false(ri_mailbox_post(&fixture->box, &fixture->mail[0]));
	assert_taken(fixture, 1);
}

#define CASE(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_empty_mailbox_gives_nothing),
		CASE(mail_is_taken_in_the_order_in_which_it_was_posted),
		CASE(a_chain_is_taken_behind_what_was_posted_before),
		CASE(a_chain_to_a_sleeper_ends_with_its_oldest),
		CASE(mail_that_was_taken_may_be_posted_at_once),
		CASE(who_is_awake_is_not_woken_by_mail),
		CASE(the_first_mail_to_a_sleeper_wakes_it_and_no_other),
		CASE(who_has_mail_may_not_sleep),
		CASE(a_sleeper_is_roused_once),
		CASE(rousing_who_is_awake_leaves_the_mail),
		CASE(a_sleeper_that_takes_is_awake),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
