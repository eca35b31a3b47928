/* SPDX-License-Identifier: MIT */
/*
 * Micro benchmarks: what one step of the engine costs, as its users get it:
 * public headers, the ordinary build. Each question is a file of its own,
 * micro_NAME.c; micro.c lists them all as rows, micro_rounds.c asks them.
 *
 * A row is asked in rounds. In each one its `own` and its `base` (the same
 * work without the engine, where there is such a thing) run in turn, each with
 * an engine or a ring of its own, warmed up before its clock starts. What is
 * told are medians over the rounds, and of own and base the medians of the
 * differences and ratios round by round: so the machine's moods cancel out.
 */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include <stdbool.h>
#include <stdint.h>

/* How much is to be done in one round. */
struct micro_work {
	uint64_t ops;   /* operations under the clock */
	unsigned tasks; /* that do them, or look on: see the row */
};

/* What one round of own or base has found. */
struct micro_sample {
	double value;      /* in the row's unit */
	uint64_t checksum; /* proves the work: the same in all samples */
	uint64_t mappings; /* by which the process grew, where it is asked */
};

/* 0, or -errno: it could not be measured. */
typedef int micro_fn(const struct micro_work *work,
		     struct micro_sample *sample);

struct micro_row;
struct micro_settings;
struct report;

/* For a row that is not asked in rounds: measures and prints it. 0, or -1 once
 * it has complained. */
typedef int micro_measure_fn(const struct micro_row *row,
			     const struct micro_settings *settings,
			     struct report *report);

struct micro_row {
	const char *name;
	const char *what;        /* for --list */
	const char *unit;        /* of the values: ns, ms or bytes */
	struct micro_work work;  /* of a round */
	struct micro_work quick; /* the same with --quick: milliseconds */
	unsigned rounds;         /* 0: as many as most have */
	bool maps;               /* tell how many mappings there are, too */
	micro_fn *own;
	micro_fn *base;            /* NULL: there is no such thing */
	micro_measure_fn *measure; /* instead of own and base, or NULL */
};

/* All of them (micro_rows.c). */
#define MICRO_ROWS_MAX 96
extern const struct micro_row micro_rows[];
extern const unsigned micro_rows_count;

struct micro_settings {
	uint64_t rounds;      /* 0: as the row has it */
	uint64_t ops;         /* 0: as the row has it */
	uint64_t duration_ns; /* of a run of ticks; 0: as the row has it */
	bool quick;           /* only that it works */
};

/* Measures one row and prints it: 0, or -1 once it has complained. */
micro_measure_fn micro_measure;

/* What a sample of nanoseconds an operation holds. */
struct micro_sample micro_per_op(uint64_t start_ns, uint64_t end_ns,
				 uint64_t ops, uint64_t checksum);

/* What a sample of milliseconds holds. */
struct micro_sample micro_ms(uint64_t elapsed_ns, uint64_t checksum);

struct rota_config;

/* Runs fn(arg) twice in a row as the first task of an engine: the first time,
 * stacks are new, which is no part of the question. What the second call
 * returned, or an error of the first. */
int micro_run_twice(const struct rota_config *config, int (*fn)(void *),
		    void *arg);

/* The questions. */
micro_fn micro_await_own;
micro_fn micro_await_base;
micro_fn micro_spawn_own;
micro_fn micro_yield_own;
micro_fn micro_yield_base;
micro_fn micro_yield_mixed_own;
micro_fn micro_yield_mixed_base;
micro_fn micro_sleep_own;
micro_fn micro_timers_own;
micro_fn micro_move_own;
micro_fn micro_sleepers_own;
micro_fn micro_sleepers_cold_own;
micro_fn micro_ticker_own;
micro_fn micro_ticker_base;
micro_measure_fn micro_phase_idle;
micro_measure_fn micro_phase_busy;
micro_fn micro_cancel_own;
micro_fn micro_cancel_base;
micro_fn micro_cancel_members_own;
micro_fn micro_cancel_nested_own;
micro_fn micro_drain_own;
micro_fn micro_shield_own;
micro_fn micro_deadlines_own;
micro_fn micro_deadlines_base;
micro_fn micro_close_own;
micro_fn micro_close_base;
micro_fn micro_memory_own;
micro_fn micro_file_own;
micro_fn micro_file_base;
micro_fn micro_stream_own;
micro_fn micro_stream_serve_own;
micro_fn micro_stream_base;
micro_fn micro_message_awake_own;
micro_fn micro_message_asleep_own;
micro_fn micro_message_asleep_base;
micro_fn micro_spawn_remote_own;
micro_fn micro_spread_own;
micro_fn micro_spread_base;
micro_fn micro_channel_rendezvous_own;
micro_fn micro_channel_buffered_own;
micro_fn micro_channel_across_own;
micro_fn micro_select_own;
micro_fn micro_limit_own;
micro_fn micro_limit_shared_own;
micro_fn micro_pool_own;
micro_fn micro_pipeline_own;
micro_fn micro_mutex_own;
micro_fn micro_mutex_shared_own;
micro_fn micro_lines_own;
micro_fn micro_lines_base;
micro_fn micro_offload_own;
micro_fn micro_offload_base;

#endif
