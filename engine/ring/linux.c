/* SPDX-License-Identifier: MIT */
/*
 * The real kernel behind the seam of base/kernel.h. Each function is one call;
 * what is to be decided is decided above.
 */
#include "ring/linux.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <liburing.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Linux lets a thread's own waits be late by 50 us, and poll(2) by more if it
 * waits for long; others round to whole milliseconds. With 100,000 sleepers
 * that end within a second a wake for each cost 450 ms of processor time (on a
 * busy machine: some 5 us each, mostly for the timer's interrupt), one every
 * 100 us 185, 200 us 145, 500 us 117. */
#define SLACK_NS 500000

static int or_errno(int result)
{
	return result < 0 ? -errno : result;
}

static int ring_open(const struct ri_kernel *kernel, unsigned entries,
		     struct io_uring *ring, struct io_uring_params *params)
{
	(void)kernel;
	return io_uring_queue_init_params(entries, ring, params);
}

static void ring_close(const struct ri_kernel *kernel, struct io_uring *ring)
{
	(void)kernel;
	io_uring_queue_exit(ring);
}

static int ring_enter(const struct ri_kernel *kernel,
		      const struct ri_enter *call)
{
	(void)kernel;
	return io_uring_enter2((unsigned)call->fd, call->submit, call->wait,
			       call->flags, call->argument, call->bytes);
}

static int ring_enroll(const struct ri_kernel *kernel, int fd, unsigned opcode,
		       void *argument, unsigned count)
{
	(void)kernel;
	return io_uring_register((unsigned)fd, opcode, argument, count);
}

static int map(const struct ri_kernel *kernel, size_t bytes, void **out)
{
	void *start =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
		     -1, 0);

	(void)kernel;
	if (start == MAP_FAILED)
		return -errno;
	*out = start;
	return 0;
}

static int unmap(const struct ri_kernel *kernel, void *start, size_t bytes)
{
	(void)kernel;
	return or_errno(munmap(start, bytes));
}

static int advise(const struct ri_kernel *kernel, void *start, size_t bytes,
		  int advice)
{
	(void)kernel;
	return or_errno(madvise(start, bytes, advice));
}

static int forbid(const struct ri_kernel *kernel, void *start, size_t bytes)
{
	(void)kernel;
	return or_errno(mprotect(start, bytes, PROT_NONE));
}

static int64_t now_ns(const struct ri_kernel *kernel)
{
	struct timespec now;

	(void)kernel;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * (int64_t)1000000000 + now.tv_nsec;
}

static int read_text(const struct ri_kernel *kernel, const char *path,
		     char *text, size_t bytes)
{
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	(void)kernel;
	if (fd < 0)
		return -errno;
	got = read(fd, text, bytes - 1);
	if (got >= 0)
		text[got] = '\0';
	else
		got = -errno;
	close(fd);
	return (int)got;
}

static int socket_bind(const struct ri_kernel *kernel, int fd,
		       const void *address, unsigned bytes)
{
	(void)kernel;
	return or_errno(bind(fd, address, bytes));
}

static int socket_listen(const struct ri_kernel *kernel, int fd, int backlog)
{
	(void)kernel;
	return or_errno(listen(fd, backlog));
}

static int poll_now(const struct ri_kernel *kernel, int fd, unsigned events)
{
	struct pollfd one = { .fd = fd, .events = (short)events };
	int count;

	(void)kernel;
	if (fd < 0)
		return -EBADF; /* poll(2) passes it by */
	count = poll(&one, 1, 0);
	if (count < 0)
		return -errno;
	if (one.revents & POLLNVAL)
		return -EBADF;
	return count ? one.revents : 0;
}

static int set_option(const struct ri_kernel *kernel,
		      const struct ri_option *option)
{
	(void)kernel;
	return or_errno(setsockopt(option->fd, option->level, option->name,
				   option->value, option->bytes));
}

static int get_option(const struct ri_kernel *kernel, struct ri_option *option)
{
	(void)kernel;
	return or_errno(getsockopt(option->fd, option->level, option->name,
				   option->value, &option->bytes));
}

static int local_address(const struct ri_kernel *kernel, int fd, void *address,
			 unsigned *bytes)
{
	(void)kernel;
	return or_errno(getsockname(fd, address, bytes));
}

static int peer_address(const struct ri_kernel *kernel, int fd, void *address,
			unsigned *bytes)
{
	(void)kernel;
	return or_errno(getpeername(fd, address, bytes));
}

static int unread(const struct ri_kernel *kernel, int fd)
{
	int bytes = 0;
	const int error = or_errno(ioctl(fd, FIONREAD, &bytes));

	(void)kernel;
	return error ? error : bytes;
}

static int truncate_file(const struct ri_kernel *kernel, int fd, int64_t bytes)
{
	(void)kernel;
	return or_errno(ftruncate(fd, bytes));
}

static int futex_wake(const struct ri_kernel *kernel, const uint32_t *word,
		      int count, bool shared)
{
	(void)kernel;
	return or_errno((int)syscall(SYS_futex, word,
				     shared ? FUTEX_WAKE : FUTEX_WAKE_PRIVATE,
				     count, NULL, NULL, 0));
}

static int futex_wait(const struct ri_kernel *kernel, const uint32_t *word,
		      uint32_t value, int64_t deadline_ns)
{
	const struct timespec until = { .tv_sec = deadline_ns / 1000000000,
					.tv_nsec = deadline_ns % 1000000000 };

	(void)kernel;
	return or_errno((int)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE,
				     value,
				     deadline_ns == INT64_MAX ? NULL : &until,
				     NULL, FUTEX_BITSET_MATCH_ANY));
}

static int process_open(const struct ri_kernel *kernel, int process)
{
	(void)kernel;
	return or_errno((int)syscall(SYS_pidfd_open, process, 0));
}

static int process_wait(const struct ri_kernel *kernel,
			const struct ri_child *child)
{
	(void)kernel;
	return or_errno(waitid((idtype_t)child->type, child->id, child->report,
			       child->options | WNOHANG));
}

static int event_open(const struct ri_kernel *kernel)
{
	(void)kernel;
	return or_errno(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
}

static int event_signal(const struct ri_kernel *kernel, int fd)
{
	(void)kernel;
	return or_errno(eventfd_write(fd, 1));
}

static int event_clear(const struct ri_kernel *kernel, int fd)
{
	eventfd_t count;

	(void)kernel;
	return or_errno(eventfd_read(fd, &count));
}

static int event_close(const struct ri_kernel *kernel, int fd)
{
	(void)kernel;
	return or_errno(close(fd));
}

static int affinity_get(const struct ri_kernel *kernel, unsigned long *mask,
			size_t bytes)
{
	(void)kernel;
	return or_errno((int)syscall(SYS_sched_getaffinity, 0, bytes, mask));
}

static int affinity_set(const struct ri_kernel *kernel,
			const unsigned long *mask, size_t bytes)
{
	(void)kernel;
	return or_errno((int)syscall(SYS_sched_setaffinity, 0, bytes, mask));
}

static int thread_start(const struct ri_kernel *kernel,
			struct ri_thread *thread)
{
	(void)kernel;
	return -pthread_create(&thread->id, NULL, thread->main,
			       thread->argument);
}

static void thread_join(const struct ri_kernel *kernel,
			const struct ri_thread *thread)
{
	(void)kernel;
	pthread_join(thread->id, NULL);
}

static sigset_t set_of_bits(uint64_t bits)
{
	sigset_t set;

	sigemptyset(&set);
	for (int number = 1; number <= 64; number++)
		if (bits >> (number - 1) & 1)
			sigaddset(&set, number);
	return set;
}

static uint64_t bits_of_set(const sigset_t *set)
{
	uint64_t bits = 0;

	for (int number = 1; number <= 64; number++)
		if (sigismember(set, number) == 1)
			bits |= (uint64_t)1 << (number - 1);
	return bits;
}

static int signals_open(const struct ri_kernel *kernel, int fd, uint64_t set)
{
	const sigset_t signals = set_of_bits(set);

	(void)kernel;
	return or_errno(signalfd(fd, &signals, SFD_CLOEXEC | SFD_NONBLOCK));
}

static int signals_take(const struct ri_kernel *kernel, int fd,
			struct ri_signal *taken)
{
	struct signalfd_siginfo info;

	(void)kernel;
	if (read(fd, &info, sizeof(info)) < 0)
		return -errno;
	*taken = (struct ri_signal){ .number = (int)info.ssi_signo,
				     .code = info.ssi_code,
				     .process = (int)info.ssi_pid,
				     .user = info.ssi_uid,
				     .status = info.ssi_status,
				     .value = info.ssi_ptr };
	return 0;
}

static void signals_mask(const struct ri_kernel *kernel, int how, uint64_t set,
			 uint64_t *before)
{
	const sigset_t signals = set_of_bits(set);
	sigset_t blocked;

	(void)kernel;
	pthread_sigmask(how, &signals, &blocked);
	if (before)
		*before = bits_of_set(&blocked);
}

static int watch_open(const struct ri_kernel *kernel)
{
	(void)kernel;
	return or_errno(epoll_create1(EPOLL_CLOEXEC));
}

/* One that was closed is out already, also if its number is another's. */
static int unwatch(int fd, int watched)
{
	if (!epoll_ctl(fd, EPOLL_CTL_DEL, watched, NULL))
		return 0;
	return errno == ENOENT || errno == EBADF || errno == EPERM ? 0 : -errno;
}

static int watch_set(const struct ri_kernel *kernel, int fd,
		     const struct ri_watched *watched)
{
	struct epoll_event event = { .events = watched->events,
				     .data.ptr = watched->data };

	(void)kernel;
	if (!watched->events)
		return unwatch(fd, watched->fd);
	if (!epoll_ctl(fd, EPOLL_CTL_MOD, watched->fd, &event))
		return 0;
	if (errno != ENOENT)
		return -errno;
	return or_errno(epoll_ctl(fd, EPOLL_CTL_ADD, watched->fd, &event));
}

static int watch_take(const struct ri_kernel *kernel, int fd,
		      struct ri_watched *found, unsigned count)
{
	struct epoll_event events[RI_WATCHED_MAX];
	const int taken = epoll_wait(fd, events, (int)count, 0);

	(void)kernel;
	for (int i = 0; i < taken; i++)
		found[i] = (struct ri_watched){ .fd = -1,
						.events = events[i].events,
						.data = events[i].data.ptr };
	return or_errno(taken);
}

static int resolve(const struct ri_kernel *kernel, struct ri_lookup *lookup)
{
	const struct addrinfo wanted = { .ai_family = lookup->family,
					 .ai_socktype = SOCK_STREAM };
	int result;

	(void)kernel;
	errno = 0;
	result = getaddrinfo(lookup->host, NULL, &wanted, &lookup->found);
	lookup->error = -errno;
	return result;
}

static void resolve_free(const struct ri_kernel *kernel, struct addrinfo *found)
{
	(void)kernel;
	freeaddrinfo(found);
}

static void thread_detach(const struct ri_kernel *kernel,
			  const struct ri_thread *thread)
{
	(void)kernel;
	pthread_detach(thread->id);
}

const struct ri_kernel ri_kernel_linux = {
	.ring_open = ring_open,
	.ring_close = ring_close,
	.enter = ring_enter,
	.enroll = ring_enroll,
	.map = map,
	.unmap = unmap,
	.advise = advise,
	.forbid = forbid,
	.now_ns = now_ns,
	.slack_ns = SLACK_NS,
	.read_text = read_text,
	.bind = socket_bind,
	.listen = socket_listen,
	.poll_now = poll_now,
	.set_option = set_option,
	.get_option = get_option,
	.local_address = local_address,
	.peer_address = peer_address,
	.unread = unread,
	.truncate = truncate_file,
	.futex_wake = futex_wake,
	.futex_wait = futex_wait,
	.process_open = process_open,
	.process_wait = process_wait,
	.event_open = event_open,
	.event_signal = event_signal,
	.event_clear = event_clear,
	.event_close = event_close,
	.affinity_get = affinity_get,
	.affinity_set = affinity_set,
	.thread_start = thread_start,
	.thread_join = thread_join,
	.signals_open = signals_open,
	.signals_take = signals_take,
	.signals_mask = signals_mask,
	.watch_open = watch_open,
	.watch_set = watch_set,
	.watch_take = watch_take,
	.resolve = resolve,
	.resolve_free = resolve_free,
	.thread_detach = thread_detach,
};
