/* SPDX-License-Identifier: MIT */
/*
 * The seam: everything that rota asks of the kernel by itself, as one table of
 * functions. The operations of user code go through the ring, and the ring is
 * reached through here.
 *
 * Tests put another table in: the Nth call fails, completions are held back or
 * delivered by hand, time stands still. A table has a state (the table is the
 * first argument of each function), so several can live in one process; a copy
 * of it, with other memory say, has the same one. `ri_kernel_linux`
 * (ring/linux.c) is the real one.
 *
 * Every function returns >= 0 or -errno and is called on the loop's thread,
 * but for those that say otherwise.
 */
#ifndef RI_BASE_KERNEL_H
#define RI_BASE_KERNEL_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct addrinfo;
struct io_uring;
struct io_uring_params;

/* What an enter is to do: io_uring_enter(2). */
struct ri_enter {
	int fd;          /* the ring, or its registered index */
	unsigned submit; /* entries to hand over */
	unsigned wait;   /* completions to wait for */
	unsigned flags;  /* IORING_ENTER_ ... */
	void *argument;  /* struct io_uring_getevents_arg, or NULL */
	size_t bytes;    /* size of *argument */
};

/* An option of a socket: setsockopt(2), getsockopt(2). */
struct ri_option {
	int fd;         /* the socket */
	int level;      /* SOL_SOCKET, IPPROTO_TCP, ... */
	int name;       /* which one of that level */
	unsigned bytes; /* of *value; a get writes how many there are */
	void *value;    /* only read by a set */
};

/* What waitid(2) is asked. */
struct ri_child {
	int type;     /* idtype_t */
	unsigned id;  /* a process, a group or a descriptor */
	int options;  /* WEXITED, WNOHANG, ... */
	void *report; /* siginfo_t; its si_pid is 0 if there is nothing */
};

/* A thread of the engine. */
struct ri_thread {
	void *(*main)(void *argument); /* what it runs */
	void *argument;                /* with this */
	pthread_t id;                  /* set by who starts it */
};

/* A signal that was taken: what signalfd(2) tells of it. */
struct ri_signal {
	int number;     /* which */
	int code;       /* how it came: SI_USER, ... */
	int process;    /* who sent it, or which child it is about */
	unsigned user;  /* ... as whom */
	int status;     /* of a child */
	uint64_t value; /* that was sent with it */
};

/* The most that are taken out of a set of descriptors at once. */
#define RI_WATCHED_MAX 64

/* A descriptor in such a set, or out of it. */
struct ri_watched {
	int fd;          /* which one; not told of one that is ready */
	unsigned events; /* for which it is watched; or which came */
	void *data;      /* that was given with it */
};

/* A name that is looked up: getaddrinfo(3). */
struct ri_lookup {
	const char *host;       /* which one */
	int family;             /* AF_UNSPEC, AF_INET or AF_INET6 */
	struct addrinfo *found; /* its addresses, for stream sockets */
	int error;              /* with EAI_SYSTEM: -errno */
};

struct ri_kernel {
	void *state; /* what its functions need beside; NULL: nothing */
	/* io_uring_setup(2) and its mappings; io_uring_queue_init_params(3) */
	int (*ring_open)(const struct ri_kernel *kernel, unsigned entries,
			 struct io_uring *ring, struct io_uring_params *params);
	void (*ring_close)(const struct ri_kernel *kernel,
			   struct io_uring *ring);
	/* io_uring_enter(2): entries consumed */
	int (*enter)(const struct ri_kernel *kernel,
		     const struct ri_enter *call);
	/* io_uring_register(2); any thread, for a message to a ring */
	int (*enroll)(const struct ri_kernel *kernel, int fd, unsigned opcode,
		      void *argument, unsigned count);
	/* mmap(2): private memory, not reserved, zero; NULL-terminated story:
	 * *out is set on 0 only */
	int (*map)(const struct ri_kernel *kernel, size_t bytes, void **out);
	/* munmap(2) */
	int (*unmap)(const struct ri_kernel *kernel, void *start, size_t bytes);
	/* madvise(2) */
	int (*advise)(const struct ri_kernel *kernel, void *start, size_t bytes,
		      int advice);
	/* mprotect(2) with PROT_NONE */
	int (*forbid)(const struct ri_kernel *kernel, void *start,
		      size_t bytes);
	/* clock_gettime(2), CLOCK_MONOTONIC: ns since some point in the past */
	int64_t (*now_ns)(const struct ri_kernel *kernel);
	/* How much later a loop may be woken for a timer, if that is soon after
	 * others fired: a wake costs more than a timer. 0: it costs nothing */
	int64_t slack_ns;
	/* open, read, close of a small text file under /proc: bytes read, the
	 * text is terminated */
	int (*read_text)(const struct ri_kernel *kernel, const char *path,
			 char *text, size_t bytes);
	/* poll(2) of one descriptor, without a wait: the events, 0 if there is
	 * none */
	int (*poll_now)(const struct ri_kernel *kernel, int fd,
			unsigned events);
	/* bind(2), listen(2), setsockopt(2), getsockopt(2), getsockname(2),
	 * getpeername(2): what the ring of Linux 6.1 has no operations for,
	 * and what does not block */
	int (*bind)(const struct ri_kernel *kernel, int fd, const void *address,
		    unsigned bytes);
	int (*listen)(const struct ri_kernel *kernel, int fd, int backlog);
	int (*set_option)(const struct ri_kernel *kernel,
			  const struct ri_option *option);
	int (*get_option)(const struct ri_kernel *kernel,
			  struct ri_option *option);
	int (*local_address)(const struct ri_kernel *kernel, int fd,
			     void *address, unsigned *bytes);
	int (*peer_address)(const struct ri_kernel *kernel, int fd,
			    void *address, unsigned *bytes);
	/* ioctl(2), FIONREAD: bytes that a socket has for its reader */
	int (*unread)(const struct ri_kernel *kernel, int fd);
	/* ftruncate(2), for rings without that operation */
	int (*truncate)(const struct ri_kernel *kernel, int fd, int64_t bytes);
	/* futex(2), FUTEX_WAKE: how many were woken. Does not block. */
	int (*futex_wake)(const struct ri_kernel *kernel, const uint32_t *word,
			  int count, bool shared);
	/* futex(2), FUTEX_WAIT_BITSET: blocks a foreign thread while the word
	 * has this value, until deadline_ns (INT64_MAX: never) at the latest:
	 * -ETIMEDOUT */
	int (*futex_wait)(const struct ri_kernel *kernel, const uint32_t *word,
			  uint32_t value, int64_t deadline_ns);
	/* pidfd_open(2): a descriptor */
	int (*process_open)(const struct ri_kernel *kernel, int process);
	/* waitid(2), always with WNOHANG */
	int (*process_wait)(const struct ri_kernel *kernel,
			    const struct ri_child *child);
	/* eventfd(2), not blocking: a descriptor */
	int (*event_open)(const struct ri_kernel *kernel);
	/* Adds one to it; any thread. */
	int (*event_signal)(const struct ri_kernel *kernel, int fd);
	/* Reads it: how much was added. -EAGAIN: nothing. */
	int (*event_clear)(const struct ri_kernel *kernel, int fd);
	int (*event_close)(const struct ri_kernel *kernel, int fd);
	/* sched_getaffinity(2), sched_setaffinity(2) of this thread, with a bit
	 * for each processor; any thread */
	int (*affinity_get)(const struct ri_kernel *kernel, unsigned long *mask,
			    size_t bytes);
	int (*affinity_set)(const struct ri_kernel *kernel,
			    const unsigned long *mask, size_t bytes);
	/* pthread_create(3), pthread_join(3), pthread_detach(3); any thread */
	int (*thread_start)(const struct ri_kernel *kernel,
			    struct ri_thread *thread);
	void (*thread_join)(const struct ri_kernel *kernel,
			    const struct ri_thread *thread);
	/* signalfd4(2): a descriptor that does not block, for signals as bits;
	 * fd >= 0: that one's set is changed, which cannot fail */
	int (*signals_open)(const struct ri_kernel *kernel, int fd,
			    uint64_t set);
	/* read(2) from it: 0, or -EAGAIN if there is none */
	int (*signals_take)(const struct ri_kernel *kernel, int fd,
			    struct ri_signal *taken);
	/* pthread_sigmask(3), SIG_BLOCK or SIG_UNBLOCK: cannot fail. `before`
	 * gets what was blocked; or NULL */
	void (*signals_mask)(const struct ri_kernel *kernel, int how,
			     uint64_t set, uint64_t *before);
	/* epoll_create1(2): a descriptor for a set of them */
	int (*watch_open)(const struct ri_kernel *kernel);
	/* epoll_ctl(2), level-triggered: adds it or changes what is in; events
	 * 0: takes it out, if it is in */
	int (*watch_set)(const struct ri_kernel *kernel, int fd,
			 const struct ri_watched *watched);
	/* epoll_wait(2), without a wait: how many are ready, at most `count`,
	 * RI_WATCHED_MAX at most */
	int (*watch_take)(const struct ri_kernel *kernel, int fd,
			  struct ri_watched *found, unsigned count);
	/* getaddrinfo(3): 0, or what it says (EAI_...), which is no -errno; on
	 * threads that may block. And freeaddrinfo(3). */
	int (*resolve)(const struct ri_kernel *kernel,
		       struct ri_lookup *lookup);
	void (*resolve_free)(const struct ri_kernel *kernel,
			     struct addrinfo *found);
	void (*thread_detach)(const struct ri_kernel *kernel,
			      const struct ri_thread *thread);
};

#endif
