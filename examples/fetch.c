/* SPDX-License-Identifier: MIT */
/*
 * rota-fetch: fetches many URLs at once, one task a URL.
 *
 *	helpers (group)          as long as anybody needs them
 *	  driver_run()           the one task that calls libcurl
 *	  stop_on_signals()
 *	  display_run()          on a terminal
 *	feed()                   reads URLs and starts
 *	  transfers (group,      job_run() for each: asks the driver to transfer,
 *	    limited)             writes what comes, tries again, renames, reports
 *
 * At the first SIGINT or SIGTERM the transfers drain: no URL begins, those that
 * have begun are finished. At the second they are cancelled.
 */
#include "fetch_display.h"
#include "fetch_report.h"
#include "fetch_url.h"

#include <rota/rota.h>

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* What libcurl and its TLS library want. */
#define DRIVER_STACK_BYTES (256 << 10)

/* The longest line of a list. */
#define LINE_BYTES 16384

/* One token of --rate is at least that long in coming, and what is waited for
 * at once about so long. */
#define TOKEN_NS (10 * ROTA_MICROSECOND)
#define BURSTS_A_SECOND 20

struct program {
	struct fetcher fetcher;
	struct rota_watch watch;     /* the driver's */
	struct rota_signals stop;    /* SIGINT, SIGTERM */
	struct rota_group helpers;   /* driver, signals */
	struct rota_group transfers; /* the tasks of URLs */
	bool feeding;                /* `transfers` is open */
};

static int complain(const char *what, const char *name, int error)
{
	fprintf(stderr, "rota-fetch: %s%s: %s\n", what, name, strerror(-error));
	return error;
}

/* The second one leaves no time. */
static int stop_on_signals(void *value)
{
	struct program *program = *(struct program **)value;
	int64_t grace_ns = ROTA_NEVER;
	int number;

	while ((number = rota_signals_wait(&program->stop, NULL)) > 0) {
		if (!program->feeding)
			continue;
		if (grace_ns)
			rota_group_drain(&program->transfers, grace_ns);
		else
			rota_group_cancel(&program->transfers,
					  (struct rota_cancellation){
						  .error = -ECANCELED });
		grace_ns = 0;
	}
	return number;
}

static struct host *find_host(struct fetcher *fetcher, const char *url)
{
	char name[NAME_MAX + 1];
	struct host *host;

	name_host(url, name);
	for (host = fetcher->hosts; host; host = host->next)
		if (!strcmp(host->name, name))
			return host;
	host = calloc(1, sizeof(*host));
	if (!host)
		return NULL;
	strcpy(host->name, name);
	rota_limit_init(&host->limit, fetcher->options.per_host, NULL);
	host->next = fetcher->hosts;
	fetcher->hosts = host;
	return host;
}

/* Its name, its host: NULL, or what is wrong. */
static const char *prepare_job(struct job *job)
{
	struct fetcher *fetcher = job->fetcher;
	const char *output = fetcher->options.output;
	int error = 0;

	if (output)
		output = strrchr(output, '/') ? strrchr(output, '/') + 1
					      : output;
	if (output && strlen(output) <= NAME_MAX)
		strcpy(job->name, output);
	else
		error = output ? -ENAMETOOLONG : name_of(job->url, job->name);
	if (error)
		return "the file name is too long";
	error = names_claim(&fetcher->names, job->name);
	if (error == -EEXIST)
		return "an earlier URL has the same file name";
	file_init(&job->file, fetcher->folder, job->name);
	if (!error && fetcher->options.per_host)
		job->host = find_host(fetcher, job->url);
	return error || (fetcher->options.per_host && !job->host) ? "no memory"
								  : NULL;
}

/* Begins it, when it is its turn. Told of in any case. Returns 0, or what ends
 * the whole. */
static int feed_url(struct program *program, const char *url)
{
	struct job *job = job_create(&program->fetcher, url);
	const char *cause = job ? prepare_job(job) : NULL;
	int error;

	if (!job)
		return complain("no memory for ", url, -ENOMEM);
	if (cause) {
		job_refuse(job, cause);
		if (program->fetcher.options.fail_fast)
			rota_group_cancel(
				&program->transfers,
				(struct rota_cancellation){ .error = -EEXIST });
		return 0;
	}
	error = rota_go(&program->transfers, job_run, job);
	if (error)
		job_refuse(job, "it never began: the program was to end");
	return error == -EAGAIN || error == -ENOMEM ? 0 : error;
}

/* From a file all is read, so that each URL is told of, whatever happens. Who
 * types, or a program that goes on for ever, is not waited for. */
static int read_line(struct rota_reader *reader, struct rota_span *line,
		     bool is_file)
{
	struct rota_shield shield;
	struct rota_idle idle;
	int n;

	if (is_file) {
		rota_shield_begin(&shield, ROTA_NEVER);
		n = rota_reader_line(reader, line);
		rota_shield_end(&shield);
		return n;
	}
	rota_idle_begin(&idle);
	n = rota_reader_line(reader, line);
	rota_idle_end(&idle);
	return n;
}

/* The next line, without blanks around it: 1, 0 at the end, or -errno. */
static int next_url(struct rota_reader *reader, char **url, bool is_file)
{
	struct rota_span line;
	int n = read_line(reader, &line, is_file);

	if (n == -ENODATA) { /* the last one, without an ending */
		line = rota_reader_ready(reader);
		line.data[line.bytes] = 0;
		n = rota_reader_skip(reader, line.bytes, NULL);
		n = n ? n : 1;
	}
	if (n <= 0)
		return n;
	*url = line.data + strspn(line.data, " \t");
	for (char *end = *url + strlen(*url);
	     end > *url && strchr(" \t\r", end[-1]); end--)
		end[-1] = 0;
	return 1;
}

static int feed_lines(struct program *program, int fd)
{
	char memory[LINE_BYTES], *url;
	struct rota_reader reader;
	struct stat status;
	const bool is_file = !fstat(fd, &status) && S_ISREG(status.st_mode);
	int n;

	rota_reader_init(&reader, fd, memory, sizeof(memory));
	while ((n = next_url(&reader, &url, is_file)) > 0)
		if (*url && *url != '#' && (n = feed_url(program, url)) &&
		    !is_file)
			break;
	return n == -ECANCELED || n == -ESHUTDOWN ? 0 : n;
}

static int feed_list(struct program *program, const char *name)
{
	const bool is_input = !strcmp(name, "-");
	const int fd = is_input ? STDIN_FILENO : rota_open(name, O_RDONLY, 0);
	int error;

	if (fd < 0)
		return fd == -ECANCELED ? 0
					: complain("cannot open ", name, fd);
	error = feed_lines(program, fd);
	if (error)
		complain("cannot read ", name, error);
	if (!is_input)
		rota_close(fd);
	return error;
}

/* All of them, and waits until they are done. */
static int feed(struct program *program)
{
	const struct options *options = &program->fetcher.options;
	const struct rota_group_options how = {
		.name = "transfers",
		.limit = options->jobs,
		.mode = options->fail_fast ? ROTA_GROUP_FIRST_ERROR
					   : ROTA_GROUP_KEEP_GOING,
	};
	int error;

	rota_group_open(&program->transfers, &how);
	program->feeding = true;
	error = rota_go_background(&program->helpers, stop_on_signals, program);
	for (unsigned i = 0; i < options->url_count; i++) {
		program->fetcher.waiting = options->url_count - i;
		(void)!feed_url(program, options->urls[i]);
	}
	program->fetcher.waiting = 0;
	if (options->list && feed_list(program, options->list))
		error = -EIO;
	rota_group_wait(&program->transfers);
	program->feeding = false;
	return error;
}

/* The driver has to be there as long as any of them. */
static int feed_and_drive(struct program *program)
{
	struct fetcher *fetcher = &program->fetcher;
	const struct rota_group_options how = {
		.name = "helpers",
		.mode = ROTA_GROUP_KEEP_GOING,
		.stack_bytes = DRIVER_STACK_BYTES,
	};
	int error;

	rota_group_open(&program->helpers, &how);
	error = rota_go_background(&program->helpers, driver_run,
				   &fetcher->driver);
	if (!error)
		error = rota_go_background(&program->helpers, display_run,
					   fetcher);
	if (!error)
		error = feed(program);
	rota_group_wait(&program->helpers);
	return error;
}

static int init_rate(struct fetcher *fetcher)
{
	const uint64_t rate = fetcher->options.rate;
	struct rota_rate_options how = { 0 };

	if (!rate)
		return 0;
	fetcher->unit = (rate * TOKEN_NS + ROTA_SECOND - 1) / ROTA_SECOND;
	how.interval_ns = (int64_t)(fetcher->unit * ROTA_SECOND / rate);
	how.burst = rate / BURSTS_A_SECOND / fetcher->unit + 1;
	fetcher->burst = how.burst * fetcher->unit;
	return rota_rate_init(&fetcher->rate, &how);
}

/* Where the files go; a folder that is not there is made. */
static int open_folder(struct fetcher *fetcher)
{
	const struct options *options = &fetcher->options;
	char *copy = options->output ? strdup(options->output) : NULL;
	const char *name = copy              ? dirname(copy)
			   : options->folder ? options->folder
					     : ".";
	int error = options->folder ? rota_mkdir(name, 0777) : 0;

	fetcher->folder = -1;
	if (!error || error == -EEXIST)
		error = rota_open(name, O_RDONLY | O_DIRECTORY, 0);
	if (error < 0)
		complain("cannot use the folder ", name, error);
	else
		fetcher->folder = error;
	free(copy);
	return error < 0 ? error : 0;
}

static void free_hosts(struct fetcher *fetcher)
{
	struct host *host;

	while ((host = fetcher->hosts)) {
		fetcher->hosts = host->next;
		rota_limit_fini(&host->limit);
		free(host);
	}
}

static int fetch_all(struct program *program)
{
	struct fetcher *fetcher = &program->fetcher;
	int error;

	fetcher->newest = &fetcher->running;
	fetcher->began_ns = rota_now_ns();
	error = init_rate(fetcher);
	if (error)
		return complain("cannot keep to this", " rate", error);
	error = driver_init(&fetcher->driver, &program->watch,
			    fetcher->options.jobs);
	if (!error) {
		error = feed_and_drive(program);
		driver_fini(&fetcher->driver);
	}
	if (fetcher->options.rate)
		rota_rate_fini(&fetcher->rate);
	if (!fetcher->options.quiet && !fetcher->options.json)
		report_all(fetcher);
	free_hosts(fetcher);
	names_fini(&fetcher->names);
	return error;
}

static int watch_and_fetch(struct program *program)
{
	int error = rota_watch_open(&program->watch);

	if (error)
		return complain("cannot watch", " sockets", error);
	error = fetch_all(program);
	rota_watch_close(&program->watch);
	return error;
}

static int run(void *arg)
{
	struct program *program = arg;
	int error = open_folder(&program->fetcher);

	if (error)
		return error;
	error = rota_signals_open(&program->stop, SIGINT, SIGTERM);
	if (error) {
		complain("cannot wait for", " signals", error);
	} else {
		error = watch_and_fetch(program);
		rota_signals_close(&program->stop);
	}
	rota_close(program->fetcher.folder);
	return error ? error : program->fetcher.failed ? -EIO : 0;
}

/* A socket and a file for each. */
static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int main(int argc, char **argv)
{
	static struct program program;
	struct rota_config config = { 0 };
	int error;

	options_parse(&program.fetcher.options, argc, argv);
	/* Names change one at a time in a folder; but syncs are better made
	 * together. */
	config.workers = program.fetcher.options.fsync ? 0 : 1;
	raise_limit();
	setvbuf(stdout, NULL, _IOLBF, 0);
	srandom((unsigned)getpid() ^ (unsigned)rota_now_ns());
	if (curl_global_init(CURL_GLOBAL_DEFAULT)) {
		fprintf(stderr, "rota-fetch: libcurl cannot be used\n");
		return 1;
	}
	error = rota_run(&config, run, &program);
	curl_slist_free_all(program.fetcher.options.headers);
	curl_global_cleanup();
	return error < 0;
}
