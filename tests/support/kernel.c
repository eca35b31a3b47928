/* SPDX-License-Identifier: MIT */
#include "support/kernel.h"

#include "base/check.h"
#include "base/list.h"
#include "ring/linux.h"
#include "support/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ENTER_ABS_TIMER (1u << 5) /* liburing 2.3 does not have it */

static struct test_kernel *kernel_of(const struct ri_kernel *table)
{
	return table->state;
}

/* Counts a call. Below 0: it is one that fails. */
static int note(struct test_kernel *kernel, enum test_call call, long detail)
{
	int error = 0;

	kernel->calls[call]++;
	kernel->calls[TEST_ANY_CALL]++;
	kernel->details[call] = detail;
	for (unsigned i = 0; i < kernel->fault_count; i++) {
		struct test_fault *fault = &kernel->faults[i];

		if (fault->call != call && fault->call != TEST_ANY_CALL)
			continue;
		if (fault->detail && fault->detail != detail)
			continue;
		if (fault->nth > 1) {
			fault->nth--;
		} else if (fault->times) {
			fault->times -= fault->times != TEST_FOREVER;
			error = fault->error;
		}
	}
	return error;
}

static int ring_open(const struct ri_kernel *table, unsigned entries,
		     struct io_uring *ring, struct io_uring_params *params)
{
	struct test_kernel *kernel = kernel_of(table);
	int error = note(kernel, TEST_RING_OPEN, params->cq_entries);

	if (!error)
		error = kernel->below->ring_open(kernel->below, entries, ring,
						 params);
	if (error < 0)
		return error;
	kernel->rings++;
	test_arrivals_attach(&kernel->arrivals, ring);
	return error;
}

static void ring_close(const struct ri_kernel *table, struct io_uring *ring)
{
	struct test_kernel *kernel = kernel_of(table);

	kernel->rings--;
	test_arrivals_detach(&kernel->arrivals);
	ri_kernel_linux.ring_close(&ri_kernel_linux, ring);
}

/* Entries that are about to be submitted: spoils cancels. */
static void spoil(struct test_kernel *kernel, unsigned count)
{
	const struct io_uring_sq *sq = &kernel->arrivals.ring->sq;
	const unsigned head = *sq->khead;

	for (unsigned i = 0; i < count && kernel->spoil; i++) {
		struct io_uring_sqe *entry =
			&sq->sqes[(head + i) & (sq->ring_entries - 1)];

		if (entry->opcode == IORING_OP_ASYNC_CANCEL) {
			entry->addr = 1;
			kernel->spoil--;
		}
	}
}

/* The call itself, and what it brings. */
static int forward(struct test_kernel *kernel, const struct ri_enter *call)
{
	struct test_arrivals *arrivals = &kernel->arrivals;
	struct ri_enter less = *call;
	unsigned head;
	int result;

	if (kernel->submit_max && less.submit > kernel->submit_max)
		less.submit = kernel->submit_max;
	head = *arrivals->ring->sq.khead;
	spoil(kernel, less.submit);
	result = ri_kernel_linux.enter(&ri_kernel_linux, &less);
	if (result > 0)
		test_arrivals_submitted(arrivals, head, (unsigned)result);
	test_arrivals_collect(arrivals);
	return result;
}

static int64_t now_ns(const struct ri_kernel *table)
{
	const struct test_kernel *kernel = kernel_of(table);

	return kernel->by_hand ? kernel->clock_ns
			       : ri_kernel_linux.now_ns(&ri_kernel_linux);
}

/* When the wait is over at the latest, by the kernel's clock. */
static int64_t deadline_of(const struct test_kernel *kernel,
			   const struct ri_enter *call)
{
	const struct io_uring_getevents_arg *argument = call->argument;
	const struct __kernel_timespec *time;
	int64_t time_ns;

	if (!(call->flags & IORING_ENTER_EXT_ARG) || !argument->ts)
		return INT64_MAX;
	time = (const struct __kernel_timespec *)(uintptr_t)argument->ts;
	time_ns = time->tv_sec * 1000000000 + time->tv_nsec;
	return call->flags & ENTER_ABS_TIMER ? time_ns
					     : now_ns(&kernel->table) + time_ns;
}

/* Submits and fetches, without waiting. */
static int look(struct test_kernel *kernel, const struct ri_enter *call)
{
	struct ri_enter now = *call;

	now.wait = 0;
	now.flags &= ~(IORING_ENTER_EXT_ARG | ENTER_ABS_TIMER);
	now.argument = NULL;
	now.bytes = 0;
	return forward(kernel, &now);
}

/* The same with a wait in the kernel for at most this long. */
static int wait_for(struct test_kernel *kernel, const struct ri_enter *call,
		    int64_t wait_ns)
{
	struct __kernel_timespec time = { .tv_sec = wait_ns / 1000000000,
					  .tv_nsec = wait_ns % 1000000000 };
	struct io_uring_getevents_arg argument = { .ts = (uintptr_t)&time };
	struct ri_enter wait = *call;

	wait.flags &= ~ENTER_ABS_TIMER;
	wait.flags |= IORING_ENTER_EXT_ARG;
	wait.argument = &argument;
	wait.bytes = sizeof(argument);
	return forward(kernel, &wait);
}

/* Nothing has arrived and the loop would wait. */
static int wait_idle(struct test_kernel *kernel, const struct ri_enter *call)
{
	const int64_t deadline_ns = deadline_of(kernel, call);
	struct ri_enter wait = *call;

	if (kernel->on_idle)
		kernel->on_idle(kernel, kernel->idle_context);
	else if (kernel->arrivals.shuffled)
		test_arrivals_release_any(&kernel->arrivals);
	if (test_arrivals_visible(&kernel->arrivals))
		return 0;
	wait.submit = 0;
	if (!kernel->by_hand || deadline_ns == INT64_MAX)
		return forward(kernel, &wait);
	if (kernel->patience_ns)
		wait_for(kernel, &wait, kernel->patience_ns);
	if (test_arrivals_visible(&kernel->arrivals))
		return 0;
	if (kernel->clock_ns < deadline_ns)
		kernel->clock_ns = deadline_ns;
	return -ETIME;
}

/* Nothing is to be done that Linux does not do. */
static bool plain(const struct test_kernel *kernel)
{
	const struct test_arrivals *arrivals = &kernel->arrivals;

	return !kernel->by_hand && !kernel->on_idle && !kernel->submit_max &&
	       !arrivals->hold && !arrivals->shuffled &&
	       !arrivals->held_count && !test_arrivals_visible(arrivals);
}

static int ring_enter(const struct ri_kernel *table,
		      const struct ri_enter *call)
{
	struct test_kernel *kernel = kernel_of(table);
	int waited, result = note(kernel, TEST_ENTER, call->wait);

	if (result < 0)
		return result;
	if (call->submit && kernel->submit_error)
		return kernel->submit_error;
	if (plain(kernel))
		return forward(kernel, call);
	/* A wait that is over is only a way to fetch more at a time. */
	if (call->wait && deadline_of(kernel, call) <= now_ns(table))
		return wait_for(kernel, call, 0);
	result = look(kernel, call);
	if (result < 0 || !call->wait)
		return result;
	if ((unsigned)result < call->submit)
		return result;
	if (test_arrivals_visible(&kernel->arrivals))
		return result;
	waited = wait_idle(kernel, call);
	return result ? result : waited;
}

static int ring_enroll(const struct ri_kernel *table, int fd, unsigned opcode,
		       void *argument, unsigned count)
{
	/* Messages to rings are sent by any thread. */
	const int error = fd < 0 ? 0
				 : note(kernel_of(table), TEST_ENROLL, opcode);

	return error ? error
		     : ri_kernel_linux.enroll(&ri_kernel_linux, fd, opcode,
					      argument, count);
}

static int map(const struct ri_kernel *table, size_t bytes, void **out)
{
	struct test_kernel *kernel = kernel_of(table);
	int error = note(kernel, TEST_MAP, (long)bytes);

	if (!error)
		error = ri_kernel_linux.map(&ri_kernel_linux, bytes, out);
	if (error < 0)
		return error;
	kernel->mappings++;
	kernel->mapped_bytes += bytes;
	return 0;
}

/* Giving back cannot fail, so it has no faults. */
static int unmap(const struct ri_kernel *table, void *start, size_t bytes)
{
	struct test_kernel *kernel = kernel_of(table);

	kernel->mappings--;
	kernel->mapped_bytes -= bytes;
	return ri_kernel_linux.unmap(&ri_kernel_linux, start, bytes);
}

static int advise(const struct ri_kernel *table, void *start, size_t bytes,
		  int advice)
{
	const int error = note(kernel_of(table), TEST_ADVISE, advice);

	return error ? error
		     : ri_kernel_linux.advise(&ri_kernel_linux, start, bytes,
					      advice);
}

static int forbid(const struct ri_kernel *table, void *start, size_t bytes)
{
	const int error = note(kernel_of(table), TEST_FORBID, (long)bytes);

	return error ? error
		     : ri_kernel_linux.forbid(&ri_kernel_linux, start, bytes);
}

static int read_text(const struct ri_kernel *table, const char *path,
		     char *text, size_t bytes)
{
	struct test_kernel *kernel = kernel_of(table);
	const int error = note(kernel, TEST_READ_TEXT, 0);

	if (error)
		return error;
	for (unsigned i = 0; i < kernel->text_count; i++) {
		if (strcmp(kernel->texts[i].path, path) != 0)
			continue;
		if (!kernel->texts[i].text)
			return -ENOENT;
		snprintf(text, bytes, "%s", kernel->texts[i].text);
		return (int)strlen(text);
	}
	return ri_kernel_linux.read_text(&ri_kernel_linux, path, text, bytes);
}

static int socket_bind(const struct ri_kernel *table, int fd,
		       const void *address, unsigned bytes)
{
	const int error = note(kernel_of(table), TEST_BIND, fd);

	return error ? error
		     : ri_kernel_linux.bind(&ri_kernel_linux, fd, address,
					    bytes);
}

static int socket_listen(const struct ri_kernel *table, int fd, int backlog)
{
	const int error = note(kernel_of(table), TEST_LISTEN, fd);

	return error ? error
		     : ri_kernel_linux.listen(&ri_kernel_linux, fd, backlog);
}

static int poll_now(const struct ri_kernel *table, int fd, unsigned events)
{
	const int error = note(kernel_of(table), TEST_POLL_NOW, fd);

	return error ? error
		     : ri_kernel_linux.poll_now(&ri_kernel_linux, fd, events);
}

static int set_option(const struct ri_kernel *table,
		      const struct ri_option *option)
{
	const int error = note(kernel_of(table), TEST_SET_OPTION, option->name);

	return error ? error
		     : ri_kernel_linux.set_option(&ri_kernel_linux, option);
}

static int get_option(const struct ri_kernel *table, struct ri_option *option)
{
	const int error = note(kernel_of(table), TEST_GET_OPTION, option->name);

	return error ? error
		     : ri_kernel_linux.get_option(&ri_kernel_linux, option);
}

static int local_address(const struct ri_kernel *table, int fd, void *address,
			 unsigned *bytes)
{
	const int error = note(kernel_of(table), TEST_LOCAL_ADDRESS, fd);

	return error ? error
		     : ri_kernel_linux.local_address(&ri_kernel_linux, fd,
						     address, bytes);
}

static int peer_address(const struct ri_kernel *table, int fd, void *address,
			unsigned *bytes)
{
	const int error = note(kernel_of(table), TEST_PEER_ADDRESS, fd);

	return error ? error
		     : ri_kernel_linux.peer_address(&ri_kernel_linux, fd,
						    address, bytes);
}

static int unread(const struct ri_kernel *table, int fd)
{
	const int error = note(kernel_of(table), TEST_UNREAD, fd);

	return error ? error : ri_kernel_linux.unread(&ri_kernel_linux, fd);
}

static int truncate_file(const struct ri_kernel *table, int fd, int64_t bytes)
{
	const int error = note(kernel_of(table), TEST_TRUNCATE, fd);

	return error ? error
		     : ri_kernel_linux.truncate(&ri_kernel_linux, fd, bytes);
}

static int futex_wake(const struct ri_kernel *table, const uint32_t *word,
		      int count, bool shared)
{
	const int error = note(kernel_of(table), TEST_FUTEX_WAKE, count);

	return error ? error
		     : ri_kernel_linux.futex_wake(&ri_kernel_linux, word, count,
						  shared);
}

static int process_open(const struct ri_kernel *table, int process)
{
	const int error = note(kernel_of(table), TEST_PROCESS_OPEN, process);

	return error ? error
		     : ri_kernel_linux.process_open(&ri_kernel_linux, process);
}

static int process_wait(const struct ri_kernel *table,
			const struct ri_child *child)
{
	const int error =
		note(kernel_of(table), TEST_PROCESS_WAIT, child->options);

	return error ? error
		     : ri_kernel_linux.process_wait(&ri_kernel_linux, child);
}

static int event_open(const struct ri_kernel *table)
{
	const int error = note(kernel_of(table), TEST_EVENT_OPEN, 0);

	return error ? error : ri_kernel_linux.event_open(&ri_kernel_linux);
}

static int thread_start(const struct ri_kernel *table, struct ri_thread *thread)
{
	const int error = note(kernel_of(table), TEST_THREAD_START, 0);

	return error ? error
		     : ri_kernel_linux.thread_start(&ri_kernel_linux, thread);
}

/* To change what is open cannot fail. */
static int signals_open(const struct ri_kernel *table, int fd, uint64_t set)
{
	const int error = note(kernel_of(table), TEST_SIGNALS_OPEN, fd);

	return error && fd < 0 ? error
			       : ri_kernel_linux.signals_open(&ri_kernel_linux,
							      fd, set);
}

static int signals_take(const struct ri_kernel *table, int fd,
			struct ri_signal *taken)
{
	const int error = note(kernel_of(table), TEST_SIGNALS_TAKE, fd);

	return error ? error
		     : ri_kernel_linux.signals_take(&ri_kernel_linux, fd,
						    taken);
}

static void signals_mask(const struct ri_kernel *table, int how, uint64_t set,
			 uint64_t *before)
{
	(void)table;
	ri_kernel_linux.signals_mask(&ri_kernel_linux, how, set, before);
}

static int watch_open(const struct ri_kernel *table)
{
	const int error = note(kernel_of(table), TEST_WATCH_OPEN, 0);

	return error ? error : ri_kernel_linux.watch_open(&ri_kernel_linux);
}

static int watch_set(const struct ri_kernel *table, int fd,
		     const struct ri_watched *watched)
{
	const int error = note(kernel_of(table), TEST_WATCH_SET, watched->fd);

	return error ? error
		     : ri_kernel_linux.watch_set(&ri_kernel_linux, fd, watched);
}

void test_kernel_init(struct test_kernel *kernel)
{
	memset(kernel, 0, sizeof(*kernel));
	kernel->below = test_linux();
	kernel->table = (struct ri_kernel){
		.state = kernel,
		.ring_open = ring_open,
		.ring_close = ring_close,
		.enter = ring_enter,
		.enroll = ring_enroll,
		.map = map,
		.unmap = unmap,
		.advise = advise,
		.forbid = forbid,
		.now_ns = now_ns,
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
		.futex_wait = ri_kernel_linux.futex_wait,
		.process_open = process_open,
		.process_wait = process_wait,
		.event_open = event_open,
		.event_signal = ri_kernel_linux.event_signal,
		.event_clear = ri_kernel_linux.event_clear,
		.event_close = ri_kernel_linux.event_close,
		.affinity_get = ri_kernel_linux.affinity_get,
		.affinity_set = ri_kernel_linux.affinity_set,
		.thread_start = thread_start,
		.thread_join = ri_kernel_linux.thread_join,
		.signals_open = signals_open,
		.signals_take = signals_take,
		.signals_mask = signals_mask,
		.watch_open = watch_open,
		.watch_set = watch_set,
		.watch_take = ri_kernel_linux.watch_take,
		.resolve = ri_kernel_linux.resolve,
		.resolve_free = ri_kernel_linux.resolve_free,
		.thread_detach = ri_kernel_linux.thread_detach,
	};
}

unsigned test_kernel_left(const struct test_kernel *kernel)
{
	return kernel->rings + kernel->mappings;
}

void test_kernel_fail(struct test_kernel *kernel,
		      const struct test_fault *fault)
{
	struct test_fault *kept = &kernel->faults[kernel->fault_count++];

	ri_check(kernel->fault_count <= TEST_FAULTS_MAX, "too many faults");
	*kept = *fault;
	if (!kept->times)
		kept->times = 1;
}

void test_kernel_mend(struct test_kernel *kernel)
{
	kernel->fault_count = 0;
}

void test_kernel_text(struct test_kernel *kernel, const char *path,
		      const char *text)
{
	ri_check(kernel->text_count < TEST_TEXTS_MAX, "too many texts");
	kernel->texts[kernel->text_count].path = path;
	kernel->texts[kernel->text_count++].text = text;
}

void test_kernel_clock(struct test_kernel *kernel, int64_t clock_ns)
{
	kernel->by_hand = true;
	kernel->clock_ns = clock_ns;
}

void test_kernel_hold(struct test_kernel *kernel, test_hold_fn *hold,
		      void *context)
{
	kernel->arrivals.hold = hold;
	kernel->arrivals.context = context;
}

bool test_hold_every(void *context, const struct test_arrival *arrival)
{
	(void)context;
	(void)arrival;
	return true;
}

bool test_hold_all(void *context, const struct test_arrival *arrival)
{
	(void)context;
	return arrival->opcode != IORING_OP_ASYNC_CANCEL;
}

bool test_hold_opcode(void *context, const struct test_arrival *arrival)
{
	return arrival->opcode == *(const int *)context;
}

unsigned test_kernel_held(const struct test_kernel *kernel)
{
	return kernel->arrivals.held_count;
}

struct test_arrival *test_kernel_held_at(struct test_kernel *kernel,
					 unsigned index)
{
	ri_check(index < test_kernel_held(kernel), "%u are held",
		 test_kernel_held(kernel));
	return &kernel->arrivals.held[index];
}

void test_kernel_release(struct test_kernel *kernel, unsigned index)
{
	test_arrivals_release(&kernel->arrivals, index);
}

void test_kernel_release_all(struct test_kernel *kernel)
{
	while (test_kernel_held(kernel))
		test_kernel_release(kernel, 0);
}

void test_kernel_shuffle(struct test_kernel *kernel, uint64_t seed)
{
	kernel->arrivals.shuffled = true;
	test_random_seed(&kernel->arrivals.random, seed);
}
