// SPDX-License-Identifier: MIT
/*
 * Does a ticker of 1 ms keep its phase? One thread runs an engine with a
 * ticker, another one, on another processor at the same time, a bare loop with
 * an absolute timeout for each tick: both meet the same mood of the machine.
 * Then once more, on each other's processors. In the busy case both compute for
 * a while after each tick.
 *
 * Told is, of each loop, how late its ticks were seen, after start + n *
 * period: median, 99 of 100, least, most, and of the last one; how much later
 * or earlier than the one before (jitter); whether that grows with time
 * (trend); and how many periods passed without a tick of their own. The trend
 * is the slope by least squares through the medians of the parts of a run: a
 * moment in which the machine stood still does not tilt it. Told is the steeper
 * of the two runs.
 */
#include <math.h>
#include <pthread.h>
#include <rota/rota.h>
#include <sched.h>
#include <string.h>

#include "bare_ring.h"
#include "bare_timer.h"
#include "histogram.h"
#include "host.h"
#include "micro.h"
#include "options.h"
#include "report.h"

#define PERIOD_NS 1000000u
#define BUSY_NS 300000u
#define RUNS 2
#define PARTS 20
#define NS_PER_US 1e3

/* What is seen of one loop, in all runs. */
struct track {
	struct histogram late;
	struct histogram jitter;
	struct histogram part; /* late, since the last part ended */
	uint64_t least_ns;
	uint64_t last_ns; /* how late the last tick was */
	uint64_t ticks;
	uint64_t missed;
	double trend_ppm;
};

/* One loop in one run. */
struct run {
	struct track *track;
	pthread_barrier_t *begin; /* both are ready */
	int cpu;                  /* to stay on; -1: any */
	int error;
	uint64_t busy_ns;   /* a tick */
	uint64_t periods;   /* to pass until it ends */
	uint64_t start_ns;  /* the first tick is due one period later; 0: it
			       has not begun */
	uint64_t passed;    /* periods until the last tick */
	uint64_t before_ns; /* how late the tick before was */
	uint64_t parts;     /* that have ended */
	/* For the slope: seconds since the start, and nanoseconds late. */
	double count, x, y, xx, xy;
};

/* Not twice: who fails before it comes here later, so that the other one does
 * not wait. */
static void begin(struct run *run)
{
	if (run->start_ns != 0)
		return;
	pthread_barrier_wait(run->begin);
	run->start_ns = host_now_ns();
}

static void compute(uint64_t until_ns)
{
	while (host_now_ns() < until_ns)
		;
}

static void add_point(struct run *run, double x, double y)
{
	run->count++;
	run->x += x;
	run->y += y;
	run->xx += x * x;
	run->xy += x * y;
}

/* All ticks of a part count as one in its middle. */
static void end_part(struct run *run)
{
	struct histogram *part = &run->track->part;
	const double length = (double)run->periods / PARTS * PERIOD_NS / 1e9;

	add_point(run, ((double)run->parts + 0.5) * length,
		  histogram_quantile(part, 0.5));
	histogram_clear(part);
}

static void record(struct run *run, uint64_t late_ns)
{
	struct track *track = run->track;
	const uint64_t before_ns = run->before_ns;

	for (; run->parts < run->passed * PARTS / run->periods; run->parts++)
		if (track->part.count > 0)
			end_part(run);
	histogram_record(&track->part, late_ns);
	histogram_record(&track->late, late_ns);
	if (track->ticks > 0)
		histogram_record(&track->jitter, late_ns > before_ns
							 ? late_ns - before_ns
							 : before_ns - late_ns);
	if (late_ns < track->least_ns)
		track->least_ns = late_ns;
	run->before_ns = late_ns;
}

/* A tick came, after some that did not. */
static void see(struct run *run, uint64_t missed)
{
	const uint64_t now_ns = host_now_ns();

	run->passed += 1 + missed;
	const uint64_t due_ns = run->start_ns + run->passed * PERIOD_NS;

	record(run, now_ns > due_ns ? now_ns - due_ns : 0);
	run->track->ticks++;
	run->track->missed += missed;
	compute(now_ns + run->busy_ns);
}

static void conclude(struct run *run)
{
	struct track *track = run->track;
	const double wide = run->count * run->xx - run->x * run->x;
	const double slope = /* nanoseconds a second */
		(run->count * run->xy - run->x * run->y) / wide;

	track->last_ns = run->before_ns;
	if (!(fabs(slope / 1e3) <= fabs(track->trend_ppm)))
		track->trend_ppm = slope / 1e3;
}

static int tick(void *arg)
{
	struct run *run = arg;
	struct rota_ticker ticker;
	uint64_t missed;
	int error;

	begin(run);
	error = rota_ticker_open(&ticker, PERIOD_NS);
	if (error < 0)
		return error;
	while (error == 0 && run->passed < run->periods) {
		error = rota_ticker_wait(&ticker, &missed);
		if (error == 0)
			see(run, missed);
	}
	rota_ticker_close(&ticker);
	return error;
}

static void run_own(struct run *run)
{
	if (run->cpu >= 0)
		host_pin(run->cpu);
	run->error = rota_run(NULL, tick, run);
	begin(run);
}

static int tick_bare(struct run *run, struct io_uring *ring)
{
	uint64_t next_ns = run->start_ns + PERIOD_NS;
	int error = 0;

	while (error == 0 && run->passed < run->periods) {
		error = bare_timer_wait(ring, next_ns);
		if (error < 0)
			break;
		const uint64_t missed = (host_now_ns() - next_ns) / PERIOD_NS;

		next_ns += (missed + 1) * PERIOD_NS;
		see(run, missed);
	}
	return error;
}

static void *run_bare(void *arg)
{
	struct run *run = arg;
	struct io_uring ring;

	if (run->cpu >= 0)
		host_pin(run->cpu);
	run->error = bare_ring_open(&ring);
	begin(run);
	if (run->error < 0)
		return NULL;
	run->error = tick_bare(run, &ring);
	io_uring_queue_exit(&ring);
	return NULL;
}

/* Both at the same time, the engine on this thread: 0 or -errno. */
static int run_both(struct run *own, struct run *bare)
{
	pthread_barrier_t begin;
	pthread_t thread;

	pthread_barrier_init(&begin, NULL, 2);
	own->begin = bare->begin = &begin;
	int error = -pthread_create(&thread, NULL, run_bare, bare);

	if (error == 0) {
		run_own(own);
		pthread_join(thread, NULL);
		error = own->error < 0 ? own->error : bare->error;
	}
	pthread_barrier_destroy(&begin);
	return error;
}

/* How long a run is, and how busy. */
struct phase {
	uint64_t periods;
	uint64_t busy_ns;
};

static struct track tracks[2]; /* the engine's, the bare loop's */

static int run_all(const struct phase *phase)
{
	const int cpus[RUNS] = { host_usable_cpu(0), host_usable_cpu(1) };
	int error = 0;

	for (int loop = 0; loop < 2; loop++) {
		tracks[loop] = (struct track){ .least_ns = UINT64_MAX };
	}
	for (int index = 0; index < RUNS && error == 0; index++) {
		struct run runs[2];

		for (int loop = 0; loop < 2; loop++)
			runs[loop] = (struct run){
				.track = &tracks[loop],
				.cpu = cpus[1] < 0 ? -1 : cpus[index ^ loop],
				.busy_ns = phase->busy_ns,
				.periods = phase->periods,
			};
		error = run_both(&runs[0], &runs[1]);
		conclude(&runs[0]);
		conclude(&runs[1]);
		histogram_clear(&tracks[0].part);
		histogram_clear(&tracks[1].part);
	}
	return error;
}

static void print(const struct micro_row *micro, const struct track *track,
		  struct report *report)
{
	struct report_row row = { 0 };

	report_text(&row, "bench", micro->name);
	report_text(&row, "loop", track == tracks ? "rota" : "bare");
	report_text(&row, "unit", micro->unit);
	report_number(&row, "median",
		      histogram_quantile(&track->late, 0.5) / NS_PER_US, 2);
	report_number(&row, "p99",
		      histogram_quantile(&track->late, 0.99) / NS_PER_US, 2);
	report_number(&row, "min", (double)track->least_ns / NS_PER_US, 2);
	report_number(&row, "max", (double)track->late.max / NS_PER_US, 2);
	report_number(&row, "last", (double)track->last_ns / NS_PER_US, 2);
	report_number(&row, "jitter",
		      histogram_quantile(&track->jitter, 0.5) / NS_PER_US, 2);
	report_number(&row, "jitter_p99",
		      histogram_quantile(&track->jitter, 0.99) / NS_PER_US, 2);
	report_number(&row, "trend_ppm", track->trend_ppm, 3);
	report_count(&row, "missed", track->missed);
	report_count(&row, "rounds", RUNS);
	report_count(&row, "ops", track->ticks);
	report_count(&row, "checksum", track->ticks + track->missed);
	report_host(&row);
	report_print(report, &row);
}

static int measure(const struct micro_row *row, const struct phase *phase,
		   struct report *report)
{
	cpu_set_t usable;

	sched_getaffinity(0, sizeof(usable), &usable);
	const int error = run_all(phase);

	sched_setaffinity(0, sizeof(usable), &usable);
	if (error < 0) {
		complain("rota-bench micro", "%s: %s", row->name,
			 strerror(-error));
		return -1;
	}
	print(row, &tracks[0], report);
	print(row, &tracks[1], report);
	return 0;
}

static uint64_t periods_of(const struct micro_row *row,
			   const struct micro_settings *settings)
{
	if (settings->duration_ns > 0)
		return settings->duration_ns / PERIOD_NS + 1;
	if (settings->ops > 0)
		return settings->ops;
	return settings->quick ? row->quick.ops : row->work.ops;
}

int micro_phase_idle(const struct micro_row *row,
		     const struct micro_settings *settings,
		     struct report *report)
{
	return measure(row, &(struct phase){ periods_of(row, settings), 0 },
		       report);
}

int micro_phase_busy(const struct micro_row *row,
		     const struct micro_settings *settings,
		     struct report *report)
{
	return measure(row,
		       &(struct phase){ periods_of(row, settings), BUSY_NS },
		       report);
}
