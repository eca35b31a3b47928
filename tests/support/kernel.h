/* SPDX-License-Identifier: MIT */
/*
 * A kernel behind the seam of engine/base/kernel.h that does what a test says.
 * As it is made it only forwards to Linux, and counts. On top of that
 *
 *   faults       the Nth call of a kind returns an error and does nothing
 *   clock        time is a number of the test's; a wait that finds nothing
 *                moves it to the wait's deadline instead of sleeping
 *   completions  are held back, changed and released by hand, or arrive in an
 *                order that a seed decides on
 *
 *	struct test_kernel kernel;
 *
 *	test_kernel_init(&kernel);
 *	test_kernel_clock(&kernel, ROTA_SECOND);
 *	result = test_run_with(NULL, &kernel.table, fn, arg);
 *	assert_int_equal(test_kernel_left(&kernel), 0);
 *
 * One test kernel serves one engine at a time. The functions below may be
 * called before the run and by its tasks, which find the kernel through their
 * argument. Not by other threads.
 */
#ifndef TEST_SUPPORT_KERNEL_H
#define TEST_SUPPORT_KERNEL_H

#include "base/kernel.h"
#include "support/arrivals.h"

#include <stdbool.h>
#include <stdint.h>

/* The calls that are counted and can fail. In brackets: what `detail` is. */
enum test_call {
	TEST_RING_OPEN, /* (completions asked for) */
	TEST_ENTER,     /* (completions waited for) */
	TEST_ENROLL,    /* (opcode) */
	TEST_MAP,       /* (bytes) */
	TEST_ADVISE,    /* (advice) */
	TEST_FORBID,    /* (bytes) */
	TEST_READ_TEXT, /* (0) */
	TEST_BIND,      /* (descriptor, also of those below) */
	TEST_LISTEN,
	TEST_POLL_NOW,
	TEST_SET_OPTION, /* (option) */
	TEST_GET_OPTION, /* (option) */
	TEST_LOCAL_ADDRESS,
	TEST_PEER_ADDRESS,
	TEST_UNREAD,
	TEST_TRUNCATE,
	TEST_FUTEX_WAKE,   /* (count) */
	TEST_PROCESS_OPEN, /* (process) */
	TEST_PROCESS_WAIT, /* (options) */
	TEST_EVENT_OPEN,   /* (0) */
	TEST_THREAD_START, /* (0) */
	TEST_SIGNALS_OPEN, /* (descriptor, -1: a new one) */
	TEST_SIGNALS_TAKE, /* (descriptor) */
	TEST_WATCH_OPEN,   /* (0) */
	TEST_WATCH_SET,    /* (descriptor) */
	TEST_ANY_CALL,     /* each of them */
	TEST_CALLS,
};

/* Which calls fail. */
struct test_fault {
	enum test_call call;
	long detail;  /* only calls with this detail; 0: all of them */
	unsigned nth; /* the first that fails, counted from now; 0: the next */
	unsigned times; /* how many do; 0: one */
	int error;      /* what they return: -errno */
};

#define TEST_FOREVER UINT32_MAX
#define TEST_FAULTS_MAX 8
#define TEST_TEXTS_MAX 4

struct test_kernel {
	struct ri_kernel table;        /* first: what the engine is given */
	const struct ri_kernel *below; /* opens the rings: test_linux() */
	unsigned calls[TEST_CALLS];    /* made, whether they failed or not */
	long details[TEST_CALLS];      /* of the last call of each kind */
	unsigned rings;                /* open now */
	unsigned mappings;             /* mapped now */
	size_t mapped_bytes;           /* in them */
	int submit_error;    /* what enters with entries say; 0: nothing */
	unsigned submit_max; /* entries that one enter takes; 0: all */
	unsigned spoil;      /* cancels to come that name nothing and so miss */
	bool by_hand;        /* the clock is the test's */
	int64_t clock_ns;    /* what it shows then */
	int64_t patience_ns; /* how long (in real time) a wait looks for
				     completions before it moves the clock: for
				     work of other threads. Default 0 */
	/* Called when the loop is about to wait and nothing has arrived: the
	 * place to release what is held. May be NULL. */
	void (*on_idle)(struct test_kernel *kernel, void *context);
	void *idle_context; /* its last argument */
	struct test_arrivals arrivals;
	struct test_fault faults[TEST_FAULTS_MAX];
	unsigned fault_count;
	struct {
		const char *path, *text;
	} texts[TEST_TEXTS_MAX]; /* replaced files under /proc */
	unsigned text_count;
};

void test_kernel_init(struct test_kernel *kernel);

/* How many rings and mappings the engine has not given back. */
unsigned test_kernel_left(const struct test_kernel *kernel);

/* Faults: several may be set, each counts by itself. */
void test_kernel_fail(struct test_kernel *kernel,
		      const struct test_fault *fault);

/* No call fails any more. */
void test_kernel_mend(struct test_kernel *kernel);

/* A file that the engine reads has this text (which outlives the kernel);
 * NULL: it does not exist. */
void test_kernel_text(struct test_kernel *kernel, const char *path,
		      const char *text);

/* From here on the clock stands, at now_ns, until a wait of the engine finds
 * nothing, or the test adds to clock_ns. A wait without a deadline still waits
 * for the kernel. */
void test_kernel_clock(struct test_kernel *kernel, int64_t now_ns);

/* Completions for which hold(context, arrival) is true are held back, in the
 * order in which they come; NULL: none are from now on. */
void test_kernel_hold(struct test_kernel *kernel, test_hold_fn *hold,
		      void *context);

/* A test_hold_fn: every one. */
bool test_hold_every(void *context, const struct test_arrival *arrival);

/* A test_hold_fn: all but those of the engine's own cancels. */
bool test_hold_all(void *context, const struct test_arrival *arrival);

/* A test_hold_fn: those of one opcode; context points to an int. */
bool test_hold_opcode(void *context, const struct test_arrival *arrival);

/* How many are held. */
unsigned test_kernel_held(const struct test_kernel *kernel);

/* One of them, the oldest is 0. What the test changes in it (its result, say) is
 * what the engine will see. Stands until the next call of any kind. */
struct test_arrival *test_kernel_held_at(struct test_kernel *kernel,
					 unsigned index);

/* Lets one of them arrive: the loop sees it at its next look. */
void test_kernel_release(struct test_kernel *kernel, unsigned index);

/* Lets all of them arrive, the oldest first. */
void test_kernel_release_all(struct test_kernel *kernel);

/* Every completion is held for a random while, and they arrive in a random
 * order (those of one operation in theirs). None is held while the loop has
 * nothing else to wait for. */
void test_kernel_shuffle(struct test_kernel *kernel, uint64_t seed);

#endif
