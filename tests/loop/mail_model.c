/* SPDX-License-Identifier: MIT */
/*
 * The proof that no loop sleeps while there is something for it: every order
 * of the steps of a loop and of those who have something for it, on machines
 * on which stores become visible late (support/weave.h).
 *
 * The loop's turn, its mail, the mailbox and the queue of work that any loop
 * may do are the engine's own code, compiled here a second time with its atomic
 * accesses as steps. Beside the loop are
 *
 *	senders  post mail                               ri_loop_post
 *	putters  put work where any loop may take it     ri_spread_put
 *	         and rouse the loop if it sleeps         ri_loop_rouse
 *	rousers  only that
 *
 * and the kernel, which counts messages to the ring, and ends a wait when there
 * is one, or (a few times) by itself, as a completion or a timer would.
 *
 * In the end, when nothing can go on, the loop has to wait, with nothing left
 * for it; each sender's mail was delivered once, in its order; and it was sent
 * as many wake-ups as others ended its sleep.
 */
#include "support/weave_atomics.h"

#include <pthread.h>

/* A mutex of the engine is one of the weaver's. */
#define pthread_mutex_lock(mutex) weave_lock((uint32_t *)(void *)(mutex))
#define pthread_mutex_unlock(mutex) weave_unlock((uint32_t *)(void *)(mutex))

#include "base/mailbox.c"
#include "loop/loop.c"
#include "loop/mail.c"
#include "task/spread.c"

#include "base/list.h"
#include "support/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define SENDERS_MAX 2
#define LETTERS_MAX 2
#define PUTTERS_MAX 2

struct letter {
	struct rota_mail mail;
	unsigned sender, number;
};

/* What a case consists of. */
struct plan {
	enum weave_machine machine;
	unsigned senders, letters; /* of each, in one chain if `chain` */
	unsigned putters, rousers;
	unsigned surprises;
	bool chain;
	bool event;       /* woken by an eventfd */
	bool deaf_loop;   /* without its fence */
	bool deaf_putter; /* without theirs */
};

static struct {
	const struct plan *plan;
	struct ri_loop loop;
	struct ri_kernel kernel;
	unsigned head, tail, sq, none; /* of the queues */
	uint32_t signals;              /* to come; a word */
	struct ri_spread spread;
	struct rota_mail work[PUTTERS_MAX];
	struct letter letters[SENDERS_MAX][LETTERS_MAX];
	unsigned got[SENDERS_MAX]; /* of their mail */
	unsigned senders;          /* that have begun */
	unsigned putters;          /* that have begun */
	unsigned taken;            /* of their work */
	unsigned ended;            /* sleeps, by others */
	unsigned wakes;            /* that were sent */
} world;

/* The completion that ended a wait. */
static struct io_uring_cqe model_cqe;

static int64_t model_now_ns(const struct ri_kernel *kernel)
{
	(void)kernel;
	return 1;
}

static void count_wake(void)
{
	weave_signal(&world.signals);
	if (++world.wakes > world.ended)
		weave_fail("one sleep is ended by two wake-ups");
}

static int model_enroll(const struct ri_kernel *kernel, int fd, unsigned opcode,
			void *argument, unsigned count)
{
	(void)kernel;
	(void)opcode;
	(void)count;
	model_cqe.user_data = ((struct io_uring_sqe *)argument)->off;
	if (fd == -1)
		count_wake();
	return 0;
}

static int model_event_signal(const struct ri_kernel *kernel, int fd)
{
	(void)kernel;
	model_cqe.user_data = wake_name(&world.loop);
	if (fd == world.loop.event_fd)
		count_wake();
	return 0;
}

static int model_enter(const struct ri_kernel *kernel,
		       const struct ri_enter *call)
{
	(void)kernel;
	if (!call->wait)
		weave_fail("enters for nothing");
	else if (weave_wait(&world.signals))
		world.tail++;
	return 0;
}

static void model_complete(struct ri_loop *loop, const struct io_uring_cqe *cqe)
{
	if (cqe->user_data != wake_name(loop))
		weave_fail("a wake-up has another name");
	ri_loop_woken(loop, cqe);
}

static bool model_submit(struct ri_loop *loop)
{
	uint64_t done = world.taken;

	if (weave_over())
		loop->kept = false;
	for (unsigned i = 0; i < SENDERS_MAX; i++)
		done = done * 8 + world.got[i];
	weave_forget(done);
	return false;
}

/* As the loops of an engine do. */
static bool model_exchange(struct ri_loop *loop, bool idle)
{
	/* It does not look a hundred times before it lies down: those are
	 * looks only. */
	loop->heard = false;
	if (!idle || !world.plan->putters || !ri_spread_take(&world.spread, 1))
		return false;
	world.taken++;
	return true;
}

static void be_loop(void *arg)
{
	(void)arg;
	ri_loop_here = &world.loop;
	ri_loop_run(&world.loop);
}

static void letter_arrived(void *place, struct rota_mail *mail)
{
	struct letter *letter = ri_container(mail, struct letter, mail);

	if (place != &world.loop)
		weave_fail("mail is delivered elsewhere");
	if (letter->number != world.got[letter->sender]++)
		weave_fail("mail comes twice, or in another order");
}

static void be_sender(void *arg)
{
	const struct plan *plan = world.plan;
	const unsigned sender = world.senders++;
	struct letter *letters = world.letters[sender];

	(void)arg;
	for (unsigned i = 0; i < plan->letters; i++) {
		weave_forget(i);
		letters[i] =
			(struct letter){ { NULL, letter_arrived }, sender, i };
		if (plan->chain && i)
			letters[i].mail.next = &letters[i - 1].mail;
		else if (!plan->chain)
			ri_loop_post(&world.loop, &letters[i].mail);
	}
	if (plan->chain &&
	    ri_mailbox_post_chain(&world.loop.mailbox,
				  &letters[plan->letters - 1].mail,
				  &letters[0].mail))
		wake(&world.loop);
}

/* As a task that spreads. */
static void be_putter(void *arg)
{
	(void)arg;
	ri_spread_put(&world.spread, &world.work[world.putters++]);
	ri_loop_rouse(&world.loop);
}

static void be_rouser(void *arg)
{
	(void)arg;
	ri_loop_rouse(&world.loop);
}

/* A sleep ends when the word changes from ri_asleep. */
static void note_change(void *arg, unsigned thread,
			const struct weave_word *before)
{
	(void)arg;
	if (thread && before->address == &world.loop.mailbox.top &&
	    before->value == (uintptr_t)&ri_asleep)
		world.ended++;
}

static void begin_loop(struct ri_loop *loop)
{
	static const struct ri_loop_hooks hooks = {
		.complete = model_complete,
		.submit = model_submit,
		.exchange = model_exchange,
	};

	loop->hooks = &hooks;
	loop->kernel = &world.kernel;
	loop->ring.kernel = &world.kernel;
	loop->ring.uring.sq.khead = &world.none;
	loop->ring.uring.sq.ktail = &world.sq;
	loop->ring.uring.sq.kflags = &world.none;
	loop->ring.uring.cq.khead = &world.head;
	loop->ring.uring.cq.ktail = &world.tail;
	loop->ring.uring.cq.cqes = &model_cqe;
	loop->ring.uring.cq.ring_entries = 1;
	ri_fifo_init(&loop->ready);
	ri_wheel_init(&loop->wheel, 1);
	ri_mailbox_init(&loop->mailbox);
	loop->event_fd = world.plan->event ? 0 : -1;
	loop->event_armed = true;
	loop->listening = true;
	loop->current = &loop->thread;
	loop->fresh_ns = INT64_MAX;
	loop->kept = true;
	loop->outside = 1;
}

static void begin(void *arg)
{
	const struct plan *plan = world.plan;

	(void)arg;
	memset(&world, 0, sizeof(world));
	world.plan = plan;
	world.kernel.now_ns = model_now_ns;
	world.kernel.enroll = model_enroll;
	world.kernel.event_signal = model_event_signal;
	world.kernel.enter = model_enter;
	model_cqe.flags = IORING_CQE_F_MORE;
	ri_spread_init(&world.spread);
	begin_loop(&world.loop);
}

/* Thread 0 is the loop. */
static const char *end(void *arg)
{
	const struct plan *plan = world.plan;

	(void)arg;
	for (unsigned i = 0; i < plan->senders; i++)
		if (world.got[i] != plan->letters)
			return "it sleeps while there is mail";
	if (world.taken != plan->putters || world.spread.count)
		return "it sleeps while there is work";
	if (!weave_waits(0, &world.signals))
		return "it does not sleep";
	if (world.loop.mailbox.top != &ri_asleep)
		return "it waits without having lain down";
	if (world.wakes != world.ended)
		return "a sleep was ended without a wake-up";
	return NULL;
}

static void add_thread(struct weave *weave, void (*fn)(void *), bool deaf)
{
	weave->threads[weave->thread_count].run = fn;
	weave->threads[weave->thread_count++].deaf = deaf;
}

#define MUTEX (*(uint32_t *)(void *)&world.spread.mutex)

#define WORD(lvalue) \
	((struct weave_word){ .address = &(lvalue), .bytes = sizeof(lvalue) })

/* What is wrong in the first order that is; NULL: nothing in any. */
static const char *try(const struct plan *plan)
{
	static struct weave weave;

	weave = (struct weave){
		.begin = begin,
		.end = end,
		.changed = note_change,
		.words = { WORD(world.loop.mailbox.top), WORD(world.signals),
			   WORD(world.spread.count), WORD(MUTEX) },
		.word_count = 4,
		.machine = plan->machine,
		.surprises = plan->surprises,
	};
	world.plan = plan;
	add_thread(&weave, be_loop, plan->deaf_loop);
	for (unsigned i = 0; i < plan->senders; i++)
		add_thread(&weave, be_sender, false);
	for (unsigned i = 0; i < plan->putters; i++)
		add_thread(&weave, be_putter, plan->deaf_putter);
	for (unsigned i = 0; i < plan->rousers; i++)
		add_thread(&weave, be_rouser, false);
	weave_all(&weave);
	printf("%u states, %u runs%s%s\n", weave.states, weave.runs,
	       weave.wrong ? ": " : "", weave.wrong ? weave.wrong : "");
	return weave.wrong;
}

/* Slow builds try fewer threads. */
static bool whole(void)
{
	return test_rounds(2) > 1;
}

static void try_machines(struct plan plan)
{
	for (int i = WEAVE_STRONG; i <= WEAVE_WEAK; i++) {
		plan.machine = (enum weave_machine)i;
		assert_null(try(&plan));
	}
}

static void mail_is_never_slept_over(void **state)
{
	(void)state;
	try_machines((struct plan){ .senders = 1 + whole(),
				    .letters = 2,
				    .surprises = 1 });
	try_machines((struct plan){ .senders = 2, .letters = 1 });
}

static void a_chain_is_never_slept_over(void **state)
{
	(void)state;
	try_machines((struct plan){ .senders = 2,
				    .letters = 2,
				    .surprises = whole(),
				    .chain = true });
}

static void who_only_rouses_does_no_harm(void **state)
{
	(void)state;
	try_machines((struct plan){ .senders = 1 + whole(),
				    .letters = 1,
				    .rousers = 1,
				    .surprises = 1 });
}

static void an_eventfd_wakes_as_a_message_does(void **state)
{
	(void)state;
	try_machines((struct plan){ .senders = 1,
				    .letters = 1 + whole(),
				    .putters = 1,
				    .surprises = 1,
				    .event = true });
}

static void work_is_never_slept_over(void **state)
{
	(void)state;
	try_machines((struct plan){ .putters = 1 + whole(), .surprises = 1 });
	try_machines((struct plan){ .putters = 1 + whole(),
				    .senders = 1,
				    .letters = 1 });
}

static void a_putter_without_a_fence_is_found_out(void **state)
{
	struct plan plan = { .putters = 1, .deaf_putter = true };

	(void)state;
	assert_null(try(&plan));
	plan.machine = WEAVE_TSO;
	assert_string_equal(try(&plan), "it sleeps while there is work");
	plan.machine = WEAVE_WEAK;
	assert_string_equal(try(&plan), "it sleeps while there is work");
}

/* Not on x86-64, where an exchange is a fence. */
static void a_loop_that_looks_without_order_is_found_out(void **state)
{
	struct plan plan = { .putters = 1, .deaf_loop = true };

	(void)state;
	plan.machine = WEAVE_TSO;
	assert_null(try(&plan));
	plan.machine = WEAVE_WEAK;
	assert_string_equal(try(&plan), "it sleeps while there is work");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mail_is_never_slept_over),
		cmocka_unit_test(a_chain_is_never_slept_over),
		cmocka_unit_test(who_only_rouses_does_no_harm),
		cmocka_unit_test(an_eventfd_wakes_as_a_message_does),
		cmocka_unit_test(work_is_never_slept_over),
		cmocka_unit_test(a_putter_without_a_fence_is_found_out),
		cmocka_unit_test(a_loop_that_looks_without_order_is_found_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
