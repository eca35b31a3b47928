/* SPDX-License-Identifier: MIT */
#include "ring/ring.h"

#include "base/check.h"
#include "ring/features.h"
#include "ring/refusal.h"

#include <errno.h>
#include <string.h>

/* Constants that liburing 2.3's headers lack. Most are enumerators in newer
 * ones, so #ifndef cannot see them: hence names of our own. */
#define ENTER_ABS_TIMER (1u << 5)     /* Linux 6.12 */
#define ENTER_NO_IOWAIT (1u << 7)     /* Linux 6.15 */
#define FEATURE_NO_IOWAIT (1u << 17)  /* Linux 6.15 */
#define FEATURE_REGISTERED (1u << 13) /* Linux 6.3 */
#define SETUP_NO_SQARRAY (1u << 16)   /* Linux 6.6 */
#define REGISTER_SEND_MSG_RING 31     /* Linux 6.13 */

/* Threads of the kernel for operations that block, but for those that work on
 * files. Unbounded by default (RLIMIT_NPROC). */
#define WORKERS_UNBOUNDED_MAX 16

/* All of them are in Linux 6.1. */
#define SETUP_FLAGS                                                \
	(IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | \
	 IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_SUBMIT_ALL |     \
	 IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP)

/* Locked memory of a ring that was closed comes back a moment later, and a
 * user may have little of it: fewer completions are tried. */
static int open_sized(struct ri_ring *ring,
		      const struct ri_ring_options *options)
{
	unsigned completions = options->completions ? options->completions
						    : RI_RING_COMPLETIONS;
	const unsigned entries = options->entries ? options->entries
						  : RI_RING_ENTRIES;
	const unsigned least = entries > RI_RING_COMPLETIONS_MIN
				       ? entries
				       : RI_RING_COMPLETIONS_MIN;
	int error;

	/* The kernel wants no fewer of them than entries, clamped or not. */
	if (completions < entries)
		completions = entries;
	for (;;) {
		struct io_uring_params params = { .flags = SETUP_FLAGS,
						  .cq_entries = completions };

		error = ring->kernel->ring_open(ring->kernel, entries,
						&ring->uring, &params);
		if (error != -ENOMEM || completions <= least)
			return error;
		completions /= 2;
		if (completions < least)
			completions = least;
	}
}

/* Entry i of the queue is always slot i: set once here, never again. */
static void fill_index_array(struct io_uring *uring)
{
	if (uring->flags & SETUP_NO_SQARRAY || !uring->sq.array)
		return;
	for (unsigned i = 0; i < uring->sq.ring_entries; i++)
		uring->sq.array[i] = i;
}

/* An index of this thread's instead of the fd saves 20 to 25 ns an enter.
 * Not having one is no error. */
static void enroll_fd(struct ri_ring *ring)
{
	struct io_uring_rsrc_update slot = {
		.offset = UINT32_MAX,
		.data = (unsigned)ring->uring.ring_fd
	};

	ring->enter_fd = ring->uring.ring_fd;
	ring->enter_flags = 0;
	if (ring->kernel->enroll(ring->kernel, ring->uring.ring_fd,
				 IORING_REGISTER_RING_FDS, &slot, 1) != 1)
		return;
	ring->enter_fd = (int)slot.offset;
	ring->enter_flags = IORING_ENTER_REGISTERED_RING;
}

static void withdraw_fd(struct ri_ring *ring)
{
	struct io_uring_rsrc_update slot = { .offset =
						     (unsigned)ring->enter_fd };

	if (ring->enter_flags & IORING_ENTER_REGISTERED_RING)
		ring->kernel->enroll(ring->kernel, ring->uring.ring_fd,
				     IORING_UNREGISTER_RING_FDS, &slot, 1);
}

/* Does an enter take this flag? One with nothing to submit and a wait that is
 * over already is asked. */
static bool enter_takes(const struct ri_ring *ring, unsigned flag)
{
	struct __kernel_timespec past = { .tv_nsec = 1 };
	struct io_uring_getevents_arg argument = { .ts = (uintptr_t)&past };
	const struct ri_enter probe = {
		.fd = ring->enter_fd,
		.wait = 1,
		.flags = ring->enter_flags | IORING_ENTER_GETEVENTS |
			 IORING_ENTER_EXT_ARG | flag,
		.argument = &argument,
		.bytes = sizeof(argument),
	};

	return ring->kernel->enter(ring->kernel, &probe) != -EINVAL;
}

/* A message to the ring with this descriptor, without a ring of the sender's:
 * io_uring_register(2). */
static int send_message(const struct ri_kernel *kernel, int fd,
			uint64_t user_data)
{
	struct io_uring_sqe message = { 0 };

	io_uring_prep_msg_ring(&message, fd, 0, user_data, 0);
	return kernel->enroll(kernel, -1, REGISTER_SEND_MSG_RING, &message, 1);
}

static void probe_features(struct ri_ring *ring, unsigned masked)
{
	ring->features = 0;
	ring->wait_flags = 0;
	if (!(masked & RI_FEATURE_ABS_TIMER) &&
	    enter_takes(ring, ENTER_ABS_TIMER))
		ring->features |= RI_FEATURE_ABS_TIMER;
	if (!(masked & RI_FEATURE_NO_IOWAIT) &&
	    ring->uring.features & FEATURE_NO_IOWAIT) {
		ring->features |= RI_FEATURE_NO_IOWAIT;
		ring->wait_flags |= ENTER_NO_IOWAIT;
	}
	/* Has no bit of its own: this is that of the next release. */
	if (!(masked & RI_FEATURE_ZC_USAGE) &&
	    ring->uring.features & FEATURE_REGISTERED)
		ring->features |= RI_FEATURE_ZC_USAGE;
	/* Who knows the call misses the ring to send it to. */
	if (!(masked & RI_FEATURE_RING_MESSAGE) &&
	    send_message(ring->kernel, -1, 0) == -EBADF)
		ring->features |= RI_FEATURE_RING_MESSAGE;
	ring->features |=
		ri_features_of_opcodes(ring->kernel, ring->uring.ring_fd) &
		~masked;
}

/* A filter may allow the set-up and not the rest. 0, or why not, told. */
static int try_out(struct ri_ring *ring, unsigned files)
{
	unsigned workers[2] = { files, WORKERS_UNBOUNDED_MAX };
	const struct ri_enter nothing = {
		.fd = ring->enter_fd,
		.flags = ring->enter_flags | IORING_ENTER_GETEVENTS,
	};
	int error = ring->kernel->enter(ring->kernel, &nothing);

	if (error == -EPERM || error == -EACCES || error == -ENOSYS) {
		ri_ring_refused(ring->kernel, &ring->log, error);
		return error;
	}
	error = ring->kernel->enroll(ring->kernel, ring->uring.ring_fd,
				     IORING_REGISTER_IOWQ_MAX_WORKERS, workers,
				     2);
	if (error == -EPERM || error == -EACCES || error == -ENOSYS)
		ri_ring_refused(ring->kernel, &ring->log, error);
	else if (error < 0)
		ri_log(&ring->log,
		       "io_uring's worker threads cannot be bounded: %s",
		       strerror(-error));
	return error < 0 ? error : 0;
}

int ri_ring_open(struct ri_ring *ring, const struct ri_kernel *kernel,
		 const struct ri_log *log,
		 const struct ri_ring_options *options)
{
	int error;

	memset(ring, 0, sizeof(*ring));
	ring->kernel = kernel;
	ring->log = *log;
	error = open_sized(ring, options);
	if (error < 0) {
		ri_ring_refused(kernel, log, error);
		return error;
	}
	fill_index_array(&ring->uring);
	enroll_fd(ring);
	probe_features(ring, options->masked);
	error = try_out(ring,
			options->workers ? options->workers : RI_RING_WORKERS);
	if (error)
		ri_ring_close(ring);
	return error;
}

void ri_ring_close(struct ri_ring *ring)
{
	withdraw_fd(ring);
	ring->kernel->ring_close(ring->kernel, &ring->uring);
}

/* What the kernel said to an enter, mapped. */
static int enter_result(int result)
{
	switch (result) {
	case -ETIME: /* the deadline of the wait has come */
	case -EINTR: /* a signal: the caller looks at everything anyway */
		return 0;
	case -EBUSY:  /* completions first; 6.1 says so when they overflow */
	case -ENOMEM: /* no memory for a request */
	case -EAGAIN:
		return -EAGAIN;
	default:
		ri_check(result >= 0,
			 "io_uring_enter: %s (after a fork the ring is the "
			 "parent's)",
			 strerror(-result));
		return 0;
	}
}

/* Hands the entries that are filled in to the kernel's side of the queue. */
static unsigned publish(struct ri_ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	sq->sqe_head = sq->sqe_tail;
	/* the kernel reads it in the enter that follows, on this thread */
	__atomic_store_n(sq->ktail, sq->sqe_tail, __ATOMIC_RELEASE);
	return sq->sqe_tail - *sq->khead;
}

static int enter(struct ri_ring *ring, const struct ri_enter *call)
{
	const int result = ring->kernel->enter(ring->kernel, call);

	ring->enters++;
	if (result > 0)
		ring->submitted += (unsigned)result;
	return enter_result(result);
}

/* Waits for `wait` completions, no longer than `until` says. */
static int enter_timed(struct ri_ring *ring, unsigned submit, unsigned wait,
		       unsigned flags, struct __kernel_timespec *until)
{
	struct io_uring_getevents_arg argument = { .ts = (uintptr_t)until };
	const struct ri_enter call = {
		.fd = ring->enter_fd,
		.submit = submit,
		.wait = wait,
		.flags = ring->enter_flags | ring->wait_flags | flags |
			 IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
		.argument = &argument,
		.bytes = sizeof(argument),
	};

	return enter(ring, &call);
}

static int enter_until(struct ri_ring *ring, unsigned submit,
		       int64_t deadline_ns)
{
	const bool absolute = ring->features & RI_FEATURE_ABS_TIMER;
	struct __kernel_timespec until;

	if (!absolute)
		deadline_ns -= ring->kernel->now_ns(ring->kernel);
	if (deadline_ns < 0)
		deadline_ns = 0;
	until.tv_sec = deadline_ns / 1000000000;
	until.tv_nsec = deadline_ns % 1000000000;
	return enter_timed(ring, submit, 1, absolute ? ENTER_ABS_TIMER : 0,
			   &until);
}

int ri_ring_enter(struct ri_ring *ring, bool wait, int64_t deadline_ns)
{
	const struct ri_enter call = {
		.fd = ring->enter_fd,
		.submit = publish(ring),
		.wait = wait,
		.flags = ring->enter_flags | IORING_ENTER_GETEVENTS |
			 (wait ? ring->wait_flags : 0),
	};

	if (wait && deadline_ns != INT64_MAX)
		return enter_until(ring, call.submit, deadline_ns);
	return enter(ring, &call);
}

int ri_ring_harvest(struct ri_ring *ring, unsigned count)
{
	struct __kernel_timespec none = { 0 };

	return enter_timed(ring, publish(ring), count, 0, &none);
}

void ri_ring_rest(struct ri_ring *ring, int64_t deadline_ns)
{
	enter_until(ring, 0, deadline_ns);
}

struct io_uring_sqe *ri_ring_entry_slow(struct ri_ring *ring)
{
	const struct ri_enter call = {
		.fd = ring->enter_fd,
		.submit = publish(ring),
		.flags = ring->enter_flags,
	};

	enter(ring, &call);
	return io_uring_get_sqe(&ring->uring);
}

/* There is memory to be had sooner or later, and nothing else can fail: the
 * ring lives. */
void ri_ring_message(const struct ri_ring *ring, uint64_t user_data)
{
	int error;

	do
		error = send_message(ring->kernel, ring->uring.ring_fd,
				     user_data);
	while (error == -ENOMEM || error == -EAGAIN || error == -EINTR);
	ri_check(error >= 0, "a message to a ring: %s", strerror(-error));
}
