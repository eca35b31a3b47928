/* SPDX-License-Identifier: MIT */
#include "support/faulty.h"

#include "ring/linux.h"
#include "support/run.h"

static struct test_faulty *faulty_of(const struct ri_kernel *table)
{
	return table->state;
}

/* Counts a call. Below 0: it is the one that fails. */
static int note(const struct ri_kernel *table, enum test_call call)
{
	struct test_faulty *faulty = faulty_of(table);

	if (faulty->call != call && faulty->call != TEST_ANY_CALL)
		return 0;
	return atomic_fetch_add(&faulty->calls, 1) + 1 == faulty->nth
		       ? faulty->error
		       : 0;
}

static int counted(int result, atomic_int *open)
{
	if (result >= 0)
		atomic_fetch_add(open, 1);
	return result;
}

static int ring_open(const struct ri_kernel *table, unsigned entries,
		     struct io_uring *ring, struct io_uring_params *params)
{
	const struct ri_kernel *below = test_linux();
	int result = note(table, TEST_RING_OPEN);

	if (!result)
		result = below->ring_open(below, entries, ring, params);
	return counted(result, &faulty_of(table)->rings);
}

static void ring_close(const struct ri_kernel *table, struct io_uring *ring)
{
	atomic_fetch_sub(&faulty_of(table)->rings, 1);
	ri_kernel_linux.ring_close(&ri_kernel_linux, ring);
}

static int ring_enroll(const struct ri_kernel *table, int fd, unsigned opcode,
		       void *argument, unsigned count)
{
	/* Messages to rings do not fail. */
	const int error = fd < 0 ? 0 : note(table, TEST_ENROLL);

	return error ? error
		     : ri_kernel_linux.enroll(&ri_kernel_linux, fd, opcode,
					      argument, count);
}

static int map(const struct ri_kernel *table, size_t bytes, void **out)
{
	int result = note(table, TEST_MAP);

	if (!result)
		result = ri_kernel_linux.map(&ri_kernel_linux, bytes, out);
	return counted(result, &faulty_of(table)->mappings);
}

static int unmap(const struct ri_kernel *table, void *start, size_t bytes)
{
	atomic_fetch_sub(&faulty_of(table)->mappings, 1);
	return ri_kernel_linux.unmap(&ri_kernel_linux, start, bytes);
}

static int advise(const struct ri_kernel *table, void *start, size_t bytes,
		  int advice)
{
	const int error = note(table, TEST_ADVISE);

	return error ? error
		     : ri_kernel_linux.advise(&ri_kernel_linux, start, bytes,
					      advice);
}

static int event_open(const struct ri_kernel *table)
{
	int result = note(table, TEST_EVENT_OPEN);

	if (!result)
		result = ri_kernel_linux.event_open(&ri_kernel_linux);
	return counted(result, &faulty_of(table)->events);
}

static int event_close(const struct ri_kernel *table, int fd)
{
	atomic_fetch_sub(&faulty_of(table)->events, 1);
	return ri_kernel_linux.event_close(&ri_kernel_linux, fd);
}

static int thread_start(const struct ri_kernel *table, struct ri_thread *thread)
{
	int result = note(table, TEST_THREAD_START);

	if (!result)
		result = ri_kernel_linux.thread_start(&ri_kernel_linux, thread);
	return counted(result, &faulty_of(table)->threads);
}

static void thread_join(const struct ri_kernel *table,
			const struct ri_thread *thread)
{
	ri_kernel_linux.thread_join(&ri_kernel_linux, thread);
	atomic_fetch_sub(&faulty_of(table)->threads, 1);
}

void test_faulty_init(struct test_faulty *faulty)
{
	*faulty = (struct test_faulty){ .table = ri_kernel_linux };
	faulty->table.state = faulty;
	faulty->table.ring_open = ring_open;
	faulty->table.ring_close = ring_close;
	faulty->table.enroll = ring_enroll;
	faulty->table.map = map;
	faulty->table.unmap = unmap;
	faulty->table.advise = advise;
	faulty->table.event_open = event_open;
	faulty->table.event_close = event_close;
	faulty->table.thread_start = thread_start;
	faulty->table.thread_join = thread_join;
}

void test_faulty_set(struct test_faulty *faulty, enum test_call call,
		     unsigned nth, int error)
{
	faulty->call = call;
	faulty->nth = nth;
	faulty->error = error;
	atomic_store(&faulty->calls, 0);
}

bool test_faulty_failed(const struct test_faulty *faulty)
{
	return faulty->nth && atomic_load(&faulty->calls) >= faulty->nth;
}

int test_faulty_left(const struct test_faulty *faulty)
{
	return atomic_load(&faulty->rings) + atomic_load(&faulty->mappings) +
	       atomic_load(&faulty->events) + atomic_load(&faulty->threads);
}
