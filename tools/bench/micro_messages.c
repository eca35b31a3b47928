// SPDX-License-Identifier: MIT
/*
 * What does a message from one loop to another cost? Awake: the processor time
 * of both together, bursts of 32 to a loop that has other work. Asleep: the
 * time from the send to a loop that waits in the kernel until that loop runs
 * the message, beside a bare eventfd(2) that a thread blocks on.
 */
#include <errno.h>
#include <rota/rota.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "bare_threads.h"
#include "host.h"
#include "micro.h"
#include "stats.h"

#define BURST 32u
#define POOL (32u * BURST)

/* How long the receiver is left alone, to fall asleep. */
#define PAUSE_NS (300 * ROTA_MICROSECOND)

struct letter {
	struct rota_message message; /* first */
	struct awake *awake;
	uint64_t number;
};

struct awake {
	const struct micro_work *work;
	struct micro_sample *sample;
	struct letter letters[POOL];
	atomic_uint_fast64_t handled; /* by the receiver */
	atomic_bool over;             /* the other work may end */
	uint64_t checksum;            /* the receiver's */
};

static uint64_t processor_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void handle(struct rota_message *message)
{
	const struct letter *letter = (struct letter *)(void *)message;
	struct awake *awake = letter->awake;

	awake->checksum += letter->number;
	atomic_store_explicit(&awake->handled, letter->number + 1,
			      memory_order_release);
}

/* Other work of the receiver's loop. */
static int look_busy(void *value)
{
	struct awake *awake = *(struct awake **)value;
	int error = 0;

	while (!error &&
	       !atomic_load_explicit(&awake->over, memory_order_relaxed))
		error = rota_yield();
	return error;
}

/* A letter is sent again once it was handled. */
static int send_bursts(struct awake *awake, uint64_t from, uint64_t until)
{
	int error = 0;

	for (uint64_t sent = from; sent < until && !error; sent += BURST) {
		while (atomic_load_explicit(&awake->handled,
					    memory_order_acquire) +
			       POOL <
		       sent + BURST)
			;
		for (unsigned i = 0; i < BURST; i++) {
			struct letter *letter =
				&awake->letters[(sent + i) % POOL];

			letter->message.fn = handle;
			letter->awake = awake;
			letter->number = sent + i;
			rota_message_send(1, &letter->message);
		}
		error = rota_yield();
	}
	while (atomic_load_explicit(&awake->handled, memory_order_acquire) <
	       until)
		;
	return error;
}

static int run_awake(void *arg)
{
	struct awake *awake = arg;
	const uint64_t ops = awake->work->ops / BURST * BURST;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go_on(&group, 1, look_busy, awake);
	if (error == 0)
		error = send_bursts(awake, 0, POOL);
	const uint64_t start_ns = processor_ns();

	if (error == 0)
		error = send_bursts(awake, POOL, POOL + ops);
	*awake->sample =
		micro_per_op(start_ns, processor_ns(), ops, awake->checksum);
	atomic_store(&awake->over, true);
	const int result = rota_group_wait(&group);

	return error < 0 ? error : result;
}

int micro_message_awake_own(const struct micro_work *work,
			    struct micro_sample *sample)
{
	const struct rota_config config = { .loops = 2,
					    .pin = ROTA_PIN_ALWAYS };
	struct awake *awake = calloc(1, sizeof(*awake));
	int error = -ENOMEM;

	if (awake) {
		awake->work = work;
		awake->sample = sample;
		error = rota_run(&config, run_awake, awake);
	}
	free(awake);
	return error;
}

/* One message at a time, and when it was sent and run. */
struct asleep {
	struct rota_message message; /* first */
	const struct micro_work *work;
	double *took_ns;             /* of each */
	uint64_t sent_ns;            /* the last one */
	atomic_uint_fast64_t ran_ns; /* ... was run then; 0: not yet */
	int fd;                      /* the base's */
};

static void note_ran(struct rota_message *message)
{
	struct asleep *asleep = (struct asleep *)(void *)message;

	atomic_store(&asleep->ran_ns, host_now_ns());
}

static void await_ran(struct asleep *asleep, uint64_t index)
{
	uint64_t ran_ns;

	while ((ran_ns = atomic_exchange(&asleep->ran_ns, 0)) == 0)
		;
	asleep->took_ns[index] = (double)(ran_ns - asleep->sent_ns);
}

static void pause_thread(void)
{
	const struct timespec pause = { .tv_nsec = PAUSE_NS };

	nanosleep(&pause, NULL);
}

static int run_asleep(void *arg)
{
	struct asleep *asleep = arg;

	for (uint64_t index = 0; index < asleep->work->ops; index++) {
		pause_thread();
		asleep->message.fn = note_ran;
		asleep->sent_ns = host_now_ns();
		rota_message_send(1, &asleep->message);
		await_ran(asleep, index);
	}
	return 0;
}

static int measure_asleep(const struct micro_work *work,
			  struct micro_sample *sample,
			  int (*run)(struct asleep *))
{
	struct asleep asleep = { .work = work };
	int error = -ENOMEM;

	asleep.took_ns = calloc(work->ops, sizeof(double));
	if (asleep.took_ns)
		error = run(&asleep);
	if (error == 0) {
		sample->value =
			stats_summarize(asleep.took_ns, work->ops).median;
		sample->checksum = work->ops;
	}
	free(asleep.took_ns);
	return error;
}

static int asleep_own(struct asleep *asleep)
{
	const struct rota_config config = { .loops = 2,
					    .pin = ROTA_PIN_ALWAYS };

	return rota_run(&config, run_asleep, asleep);
}

int micro_message_asleep_own(const struct micro_work *work,
			     struct micro_sample *sample)
{
	return measure_asleep(work, sample, asleep_own);
}

static void read_events(void *arg)
{
	struct asleep *asleep = arg;
	eventfd_t count;

	for (uint64_t index = 0; index < asleep->work->ops; index++) {
		if (eventfd_read(asleep->fd, &count) < 0)
			abort();
		atomic_store(&asleep->ran_ns, host_now_ns());
	}
}

static void write_events(void *arg)
{
	struct asleep *asleep = arg;

	for (uint64_t index = 0; index < asleep->work->ops; index++) {
		pause_thread();
		asleep->sent_ns = host_now_ns();
		if (eventfd_write(asleep->fd, 1) < 0)
			abort();
		await_ran(asleep, index);
	}
}

static int asleep_base(struct asleep *asleep)
{
	int error;

	asleep->fd = eventfd(0, EFD_CLOEXEC);
	if (asleep->fd < 0)
		return -errno;
	error = bare_threads_run(write_events, read_events, asleep);
	close(asleep->fd);
	return error;
}

int micro_message_asleep_base(const struct micro_work *work,
			      struct micro_sample *sample)
{
	return measure_asleep(work, sample, asleep_base);
}
