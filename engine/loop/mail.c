/* SPDX-License-Identifier: MIT */
#include "loop/mail.h"

#include "base/check.h"
#include "base/rest.h"
#include "ring/features.h"

#include <errno.h>
#include <poll.h>

/* How often a loop that has just had mail looks for more before it sleeps: 2 us
 * or so. A thousand tasks that were sent one by one cost 360 ns each without,
 * 120 with. */
#define LOOKS 100

static uint64_t wake_name(const struct ri_loop *loop)
{
	return (uint64_t)(uintptr_t)&loop->none | RI_LOOP_WOKEN;
}

/* Opens the eventfd that wakes it. */
static int open_event(struct ri_loop *loop)
{
	const struct ri_kernel *kernel = loop->kernel;
	int fd = kernel->event_open(kernel);
	int error = 0;

	if (fd < 0)
		return fd;
	/* Who steps it polls that, and the ring writes to it. */
	if (loop->stepped)
		error = kernel->enroll(kernel, loop->ring.uring.ring_fd,
				       IORING_REGISTER_EVENTFD, &fd, 1);
	if (error < 0) {
		kernel->event_close(kernel, fd);
		return error;
	}
	loop->event_fd = fd;
	loop->event_armed = loop->stepped;
	return 0;
}

int ri_loop_listen(struct ri_loop *loop)
{
	int error = 0;

	if (loop->listening)
		return 0;
	if (loop->stepped || !(loop->ring.features & RI_FEATURE_RING_MESSAGE))
		error = open_event(loop);
	loop->listening = !error;
	loop->deaf = error;
	return error;
}

/* Wakes it: it sleeps, or is about to, and nobody else does. */
static void wake(struct ri_loop *loop)
{
	if (loop->event_fd >= 0)
		loop->kernel->event_signal(loop->kernel, loop->event_fd);
	else
		ri_ring_message(&loop->ring, wake_name(loop));
}

void ri_loop_post(struct ri_loop *loop, struct rota_mail *mail)
{
	if (ri_mailbox_post(&loop->mailbox, mail))
		wake(loop);
}

void ri_loop_post_from_outside(struct ri_loop *loop, struct rota_mail *mail)
{
	/* relaxed: the post below releases it to who takes the mail, and the
	 * loop does not end before that */
	__atomic_fetch_add(&loop->strangers, 1, __ATOMIC_RELAXED);
	ri_loop_post(loop, mail);
	/* pairs with the acquire in ri_loop_fini; the last look at the loop */
	__atomic_fetch_sub(&loop->strangers, 1, __ATOMIC_RELEASE);
}

bool ri_loop_rouse(struct ri_loop *loop)
{
	const bool slept = ri_mailbox_rouse(&loop->mailbox);

	if (slept)
		wake(loop);
	return slept;
}

void ri_loop_woken(struct ri_loop *loop, const struct io_uring_cqe *cqe)
{
	if (loop->event_fd >= 0 && !(cqe->flags & IORING_CQE_F_MORE))
		loop->event_armed = false;
}

static bool deliver(struct ri_loop *loop)
{
	struct rota_mail *mail = ri_mailbox_take(&loop->mailbox);
	const bool some = mail != NULL;

	while (mail) {
		struct rota_mail *next = mail->next;

		/* What is around it, mostly in the next two lines. */
		if (next)
			__builtin_prefetch((char *)next + 64, 1);
		loop->mail++;
		mail->deliver(loop, mail);
		mail = next;
	}
	return some;
}

bool ri_mail_look(struct ri_loop *loop)
{
	const bool some = ri_mailbox_has(&loop->mailbox) && deliver(loop);
	const bool idle = !some && ri_fifo_empty(&loop->ready);

	loop->heard |= some;
	__atomic_store_n(&loop->load, loop->live, __ATOMIC_RELAXED);
	return loop->hooks->exchange(loop, idle) || some;
}

/* False: the kernel has no entry for it just now. */
static bool arm_event(struct ri_loop *loop)
{
	struct io_uring_sqe *entry = ri_ring_entry(&loop->ring);

	if (!entry)
		return false;
	/* Each write to it is a completion, so it need not be read; but a poll
	 * that was ended would find what ended it again, and if it can only
	 * end, the loop would go round. The mailbox is looked at after this. */
	loop->kernel->event_clear(loop->kernel, loop->event_fd);
	io_uring_prep_poll_multishot(entry, loop->event_fd, POLLIN);
	entry->user_data = wake_name(loop);
	loop->event_armed = true;
	return true;
}

/* Whoever has just written mostly writes again: a wake costs them, and this
 * loop, more than it takes to look for a moment. */
static bool more_comes(const struct ri_loop *loop)
{
	for (unsigned i = 0; i < LOOKS; i++) {
		if (ri_mailbox_has(&loop->mailbox) ||
		    ri_ring_ready(&loop->ring))
			return true;
		ri_rest();
	}
	return false;
}

bool ri_mail_sleep(struct ri_loop *loop)
{
	if (loop->heard && more_comes(loop))
		return false;
	loop->heard = false;
	if (loop->event_fd >= 0 && !loop->event_armed && !arm_event(loop))
		return false;
	if (!ri_mailbox_sleep(&loop->mailbox))
		return false;
	/* What any loop may do is not in the mailbox: who puts it there looks
	 * for sleepers afterwards, so it is looked for after having lain down.
	 * (ri_spread_put has the other half.) */
	if (loop->hooks->exchange(loop, true)) {
		ri_mailbox_rouse(&loop->mailbox);
		return false;
	}
	return true;
}

void ri_mail_wake(struct ri_loop *loop)
{
	loop->sleeps++;
	ri_mailbox_rouse(&loop->mailbox);
}
