/* SPDX-License-Identifier: MIT */
/*
 * The engine: N loops, one thread each, started and stopped as a whole.
 *
 *	rota_run            on this thread: a first task, and all that comes of
 *	                    it; the other loops have threads of their own
 *	rota_engine_start   beside a program that keeps its own main thread,
 *	rota_engine_stop    which submits work (job.h)
 *
 * A task stays on the loop where it started. Work gets to other loops by
 * rota_go_on and rota_go_spread (group.h): in an engine of one loop they are
 * rota_go, so a program that uses them runs on one loop or on all by a number
 * in its configuration.
 */
#ifndef ROTA_ENGINE_H
#define ROTA_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* For rota_config.loops: one for each processor that the process may use, by
 * its affinity (sched_getaffinity(2)) and by the quota of its control groups
 * (cpu.max, or cpu.cfs_quota_us), rounded up. */
#define ROTA_LOOPS_ALL 0xffffffffu

/* The most loops an engine has. */
#define ROTA_LOOPS_MAX 256u

/* Which loops stay on one processor each. */
enum rota_pin {
	ROTA_PIN_AUTO = 0, /* if there are several, one for each processor that
	                      the process may use */
	ROTA_PIN_NEVER = 1,
	ROTA_PIN_ALWAYS = 2, /* one loop too; several may share a processor */
};

/* Zero means the default for each field. Bounds are for each loop. */
struct rota_config {
	unsigned loops;       /* default 1; ROTA_LOOPS_ALL */
	enum rota_pin pin;    /* keep each loop's thread on one processor */
	unsigned tasks_max;   /* tasks at a time; default 1,048,576. More make
	                         rota_go return -EAGAIN */
	unsigned jobs_max;    /* of foreign threads at a time, for all loops;
	                         default 65,536, at most 2^31 - 1. More are
	                         refused with -EAGAIN */
	size_t stack_bytes;   /* usable, for each task; default 64 KiB, at most
	                         256 MiB, rounded up to a power of two of at
	                         least 16 KiB */
	unsigned entries;     /* of the ring, of one batch; default 256 */
	unsigned completions; /* of the ring; default 8192, at least as many as
	                         entries. Fewer are tried when memory is
	                         refused */
	unsigned workers;     /* threads of the kernel that work on files and
	                         names at a time; default 4. With 1 they take
	                         turns: many small files in one folder cost
	                         less, as threads spin for a folder's lock */
	unsigned streams_max; /* streams at a time; default 1,048,576. More are
	                         refused with -EAGAIN */
	unsigned stream_buffers; /* that receive streams share; default 256, at
	                         most 8192. Made with the first stream; more are
	                         used for a while in place of those that one
	                         connection has beyond its due */
	unsigned stream_buffer_bytes; /* of each; default 4096, at most 1 MiB */
	unsigned offload_threads; /* calls of rota_offload that run at a time,
	                         and, by half of them, names that are looked up;
	                         default 16, at most 4096. More wait */
	uint64_t seed;           /* of what is left to chance (rota_select): the
	                             same one, the same choices; 0: by the clock */
	bool no_overflow_report; /* leave SIGSEGV alone: a task's overflow then
	                            dies without being named */
	/* Gets each line that the engine has to say, without a newline; NULL:
	 * stderr, with "rota: " before it. Must not suspend, may run on a
	 * task's stack, and on several threads at a time if there are several
	 * loops. */
	void (*log)(void *context, const char *line);
	/* Gets the line of a broken promise, just before abort(3); NULL:
	 * stderr. */
	void (*on_abort)(void *context, const char *line);
	/* Memory for what the engine takes when it starts, and for more stacks
	 * and buffers later: `bytes` that are zero, aligned to 4096, or NULL.
	 * Most of it is never touched, so it should be reserved only. Parts are
	 * made guards, which nothing may read. Called on the loops' threads, on
	 * several at a time if there are several, and for the engine itself
	 * where it is started and stopped. NULL: mmap(2) and munmap(2). Both or
	 * none. */
	void *(*allocate)(void *context, size_t bytes);
	/* Gets back what allocate gave. */
	void (*release)(void *context, void *start, size_t bytes);
	void *context; /* the first argument of all of these */
};

/* Runs an engine on this thread: fn(arg) is its first task, on loop 0, which is
 * this thread; the other loops have threads of their own. Returns what fn
 * returned, once every task has ended; or why the engine could not start,
 * after one line in the log that names the cause and the mend, and with several
 * loops one that names the first that could not (whatever had started is undone):
 *
 *	-EINVAL   too many loops, jobs or offload threads, a stack size or
 *	          stream buffers out of range, one of allocate and release, an
 *	          unknown word in ROTA_MASK, a kernel before 6.1
 *	-EPERM, -EACCES, -ENOSYS  io_uring is not allowed or not there
 *	-ENOMEM, -EMFILE, -ENFILE, -EAGAIN  no memory, descriptor or thread
 *	-ENOTSUP  this thread has a shadow stack (CET), on which no other
 *	          stack can be run
 *	-EBUSY    an engine runs on this thread already
 *
 * While it runs, SIGPIPE and every signal that had a handler when it started
 * are blocked on this thread: handlers would run on a task's small stack.
 * Await them (signal.h), or take them on another thread. Signals without a
 * handler do as they always do, but for those that a task has opened. Threads
 * of other loops block every signal but those that their own instructions
 * raise. A program that a task executes inherits the blocked ones (execve(2)).
 * In a child of fork(2) a task may only execute a program or _exit(2): the ring
 * is the parent's; whatever else it does with that engine, returning too,
 * aborts the child. `config` may be NULL.
 *
 * A loop on which nothing can ever happen again while tasks wait aborts the
 * program with a list of them, unless another loop or a foreign thread might
 * still have something for it. */
int rota_run(const struct rota_config *config, int (*fn)(void *arg), void *arg)
	__attribute__((warn_unused_result));

struct rota_engine;

/* Starts an engine whose loops all have threads of their own, and returns when
 * they run: 0 and *out, or as rota_run does, without -EBUSY. Any thread. */
int rota_engine_start(struct rota_engine **out,
		      const struct rota_config *config)
	__attribute__((warn_unused_result));

/* Stops an engine that was started, and frees it. No more jobs are taken; those
 * that there are drain, as rota_group_drain has it: what is idle ends, all else
 * has grace_ns (0 or less: none, ROTA_NEVER: no end), then it is cancelled,
 * after a line in the log for each of the first 16 tasks of a loop.
 *
 * Returns 0 when all have ended. -EBUSY if one has not, a second after the
 * cancel: an operation that the kernel does not end, or a function that does
 * not return. They are named by lines in the log (the first 16 of a loop; of a
 * loop that does not answer, who has it), and the engine goes on, but takes no
 * jobs: stop it again, from which on grace_ns can only be shortened, or abandon
 * it. Blocks the thread, which must not be one of the engine's loops
 * (-EDEADLK); one thread at a time. -EOWNERDEAD in a child of fork(2). */
int rota_engine_stop(struct rota_engine *engine, int64_t grace_ns)
	__attribute__((warn_unused_result));

/* Gives an engine up that could not be stopped: its threads and all of its
 * memory are left for ever, because the kernel may still write to it. The
 * process can exit. What jobs there are may still end, and be waited for. In a
 * child of fork(2) too, where it only forgets the engine. Never blocks. Any
 * thread but those of the engine; the engine is not to be used again. */
void rota_engine_abandon(struct rota_engine *engine);

/* The engine that runs this task, for other threads to submit jobs to while a
 * task of it is alive. An engine of rota_run takes jobs until its first task
 * has ended, and runs those that it has taken to their end. Tasks only, never
 * suspends. NULL if the loop can get no mail (no descriptor for an eventfd(2),
 * before Linux 6.13). */
struct rota_engine *rota_engine_here(void) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
