// SPDX-License-Identifier: MIT
/*
 * One row, round by round. Who is first, own or base, changes with each
 * round: what one leaves behind in the caches meets both as often.
 */
#include <errno.h>
#include <math.h>
#include <rota/rota.h>
#include <stdlib.h>
#include <string.h>

#include "micro.h"
#include "options.h"
#include "report.h"
#include "stats.h"

#define ROUNDS 21
#define ROUNDS_QUICK 2
#define NS_PER_MS 1e6

static const char who[] = "rota-bench micro";

/* One row being measured. */
struct rounds {
	const struct micro_row *row;
	struct micro_work work;
	uint64_t count;    /* rounds */
	double *own;       /* of each round; so are these: */
	double *base;      /* NaN where there is none */
	double *over;      /* own minus base */
	double *ratio;     /* own by base */
	uint64_t checksum; /* of the first sample; all have to match it */
	uint64_t mappings; /* the most that was seen */
	bool checked;      /* there is a checksum */
};

struct micro_sample micro_per_op(uint64_t start_ns, uint64_t end_ns,
				 uint64_t ops, uint64_t checksum)
{
	return (struct micro_sample){
		.value = (double)(end_ns - start_ns) / (double)ops,
		.checksum = checksum,
	};
}

struct micro_sample micro_ms(uint64_t elapsed_ns, uint64_t checksum)
{
	return (struct micro_sample){
		.value = (double)elapsed_ns / NS_PER_MS,
		.checksum = checksum,
	};
}

struct twice {
	int (*fn)(void *);
	void *arg;
};

static int call_twice(void *arg)
{
	const struct twice *twice = arg;
	const int error = twice->fn(twice->arg);

	return error < 0 ? error : twice->fn(twice->arg);
}

int micro_run_twice(const struct rota_config *config, int (*fn)(void *),
		    void *arg)
{
	return rota_run(config, call_twice, &(struct twice){ fn, arg });
}

static void plan(struct rounds *rounds, const struct micro_row *row,
		 const struct micro_settings *settings)
{
	*rounds = (struct rounds){
		.row = row,
		.work = settings->quick ? row->quick : row->work,
		.count = row->rounds > 0 ? row->rounds : ROUNDS,
	};
	if (settings->quick)
		rounds->count = ROUNDS_QUICK;
	if (settings->rounds > 0)
		rounds->count = settings->rounds;
	if (settings->ops > 0)
		rounds->work.ops = settings->ops;
}

static int sample(struct rounds *rounds, micro_fn *fn, double *value)
{
	struct micro_sample found = { 0 };
	const int error = fn(&rounds->work, &found);

	if (error < 0) {
		complain(who, "%s: %s", rounds->row->name, strerror(-error));
		return -1;
	}
	if (!rounds->checked)
		rounds->checksum = found.checksum;
	rounds->checked = true;
	if (found.checksum != rounds->checksum) {
		complain(who, "%s: not the same work: checksum %ju, not %ju",
			 rounds->row->name, (uintmax_t)found.checksum,
			 (uintmax_t)rounds->checksum);
		return -1;
	}
	if (found.mappings > rounds->mappings)
		rounds->mappings = found.mappings;
	*value = found.value;
	return 0;
}

static int round_of(struct rounds *rounds, uint64_t index)
{
	const struct micro_row *row = rounds->row;
	const bool base_first = index % 2 == 1;
	double base = NAN;
	double own;

	if (row->base != NULL && base_first &&
	    sample(rounds, row->base, &base) < 0)
		return -1;
	if (sample(rounds, row->own, &own) < 0)
		return -1;
	if (row->base != NULL && !base_first &&
	    sample(rounds, row->base, &base) < 0)
		return -1;
	rounds->own[index] = own;
	rounds->base[index] = base;
	rounds->over[index] = own - base;
	rounds->ratio[index] = own / base;
	return 0;
}

static void print(struct rounds *rounds, struct report *report)
{
	const struct micro_row *micro = rounds->row;
	const size_t count = (size_t)rounds->count;
	const struct stats_summary own = stats_summarize(rounds->own, count);
	struct report_row row = { 0 };

	report_text(&row, "bench", micro->name);
	report_text(&row, "unit", micro->unit);
	report_number(&row, "median", own.median, 2);
	report_number(&row, "min", own.min, 2);
	report_number(&row, "max", own.max, 2);
	report_count(&row, "rounds", rounds->count);
	report_count(&row, "ops", rounds->work.ops);
	report_count(&row, "checksum", rounds->checksum);
	if (micro->base != NULL) {
		report_number(&row, "base_median",
			      stats_summarize(rounds->base, count).median, 2);
		report_number(&row, "over_base",
			      stats_summarize(rounds->over, count).median, 2);
		report_number(&row, "ratio",
			      stats_summarize(rounds->ratio, count).median, 3);
	} else {
		report_none(&row, "base_median");
		report_none(&row, "over_base");
		report_none(&row, "ratio");
	}
	if (micro->maps)
		report_count(&row, "mappings", rounds->mappings);
	report_host(&row);
	report_print(report, &row);
}

/* Four arrays, one after the other. */
static double *allocate(struct rounds *rounds)
{
	const size_t count = (size_t)rounds->count;
	double *values = calloc(4 * count, sizeof(*values));

	if (values == NULL)
		return NULL;
	rounds->own = values;
	rounds->base = values + count;
	rounds->over = values + 2 * count;
	rounds->ratio = values + 3 * count;
	return values;
}

int micro_measure(const struct micro_row *row,
		  const struct micro_settings *settings, struct report *report)
{
	struct rounds rounds;
	int error = 0;

	if (row->measure != NULL)
		return row->measure(row, settings, report);
	plan(&rounds, row, settings);
	double *values = allocate(&rounds);

	if (values == NULL) {
		complain(who, "%s: %s", row->name, strerror(ENOMEM));
		return -1;
	}
	for (uint64_t index = 0; index < rounds.count && error == 0; index++)
		error = round_of(&rounds, index);
	if (error == 0)
		print(&rounds, report);
	free(values);
	return error;
}
