/* SPDX-License-Identifier: MIT */
/*
 * What becomes of one URL, told straight on: one task, from the name of the
 * file to the line that reports it.
 */
#include "fetch_url.h"

#include "fetch_report.h"
#include "fetch_sum.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of libcurl, in bytes: what it receives at once. */
#define RECEIVE_BYTES (64L << 10)

#define REDIRECTS_MAX 20L

/* Before the second try; twice that before the third, and so on, to the most. */
#define BACKOFF_NS (ROTA_SECOND / 2)
#define BACKOFF_MAX_NS (60 * ROTA_SECOND)

/* A server that wants to be left alone for longer is not waited for. */
#define RETRY_AFTER_MAX_NS (600 * ROTA_SECOND)

/* Why it fails, the first time that this is told. */
static void fail(struct job *job, const char *cause)
{
	if (!*job->cause)
		snprintf(job->cause, sizeof(job->cause), "%s", cause);
}

static void fail_by(struct job *job, const char *what, int error)
{
	char cause[CURL_ERROR_SIZE];

	if (error == -ECANCELED || error == -ESHUTDOWN)
		fail(job, "cancelled");
	snprintf(cause, sizeof(cause), "%s: %s", what, strerror(-error));
	fail(job, cause);
}

static void set_up_tls(const struct options *options, CURL *easy)
{
	if (options->insecure) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (options->authorities)
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->authorities);
}

static void set_up(const struct job *job, CURL *easy)
{
	const struct options *options = &job->fetcher->options;

	curl_easy_setopt(easy, CURLOPT_URL, job->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(easy, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	/* A thread that resolves a name is left behind, not waited for. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, RECEIVE_BYTES);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "rota-fetch");
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
			 (long)(options->connect_ns / ROTA_MILLISECOND));
	/* With HTTP/2 all transfers from one host share a connection. */
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT,
			 strncasecmp(job->url, "https:", 6) ? 0L : 1L);
	set_up_tls(options, easy);
}

static int add_header(struct job *job, const char *line)
{
	struct curl_slist *longer = curl_slist_append(job->headers, line);

	if (!longer)
		return -ENOMEM;
	job->headers = longer;
	return 0;
}

/* Asks for what is missing, if it is still the same version. */
static int set_up_rest(struct job *job, const char *version)
{
	CURL *const easy = job->transfer->easy;
	char range[32], line[VERSION_BYTES + 16];
	int error = 0;

	snprintf(range, sizeof(range), "%lld-", (long long)job->offset);
	snprintf(line, sizeof(line), "If-Range: %s", version);
	for (struct curl_slist *header = job->fetcher->options.headers;
	     header && !error; header = header->next)
		error = add_header(job, header->data);
	if (!error)
		error = add_header(job, line);
	curl_easy_setopt(easy, CURLOPT_RANGE, range);
	return error;
}

/* What an earlier try has left, if it is known what it is a part of. */
static int prepare(struct job *job)
{
	const struct options *options = &job->fetcher->options;
	CURL *const easy = job->transfer->easy;
	char version[VERSION_BYTES] = "";
	int error = options->resume ? file_reopen(&job->file, version)
				    : -ENOENT;

	if (error && error != -ENOENT)
		return error;
	job->offset = error || job->anew || !*version ? 0 : job->file.bytes;
	error = job->offset ? set_up_rest(job, version) : 0;
	if (!options->resume) /* of what is encoded there are no ranges */
		curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER,
			 job->headers ? job->headers : options->headers);
	return error;
}

static const char *header(const struct job *job, const char *name)
{
	struct curl_header *found;

	return curl_easy_header(job->transfer->easy, name, 0, CURLH_HEADER, -1,
				&found)
		       ? NULL
		       : found->value;
}

/* The rest is what comes, and not all of it once more. */
static bool is_rest(const struct job *job)
{
	const char *range = header(job, "Content-Range");
	char begin[40];

	snprintf(begin, sizeof(begin), "bytes %lld-", (long long)job->offset);
	return job->offset && job->status == 206 && range &&
	       !strncasecmp(range, begin, strlen(begin));
}

/* What tells one version from another: strong, as of bytes. */
static void mark(struct job *job)
{
	const char *version = header(job, "ETag");

	if (header(job, "Content-Encoding"))
		return;
	if (!version || *version != '"')
		version = header(job, "Last-Modified");
	if (version && strlen(version) < VERSION_BYTES)
		file_mark(&job->file, version);
}

/* It might be asked for all of it, but not if that was so already. */
static int refuse_part(struct job *job)
{
	fail(job, "the server sends a part that was not asked for");
	job->may_pass = job->offset != 0;
	job->anew = true;
	return -EPROTO;
}

/* The first bytes have come. */
static int open_file(struct job *job)
{
	const struct transfer *transfer = job->transfer;
	int error = 0;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &job->status);
	if (is_rest(job))
		return 0;
	if (job->status == 206)
		return refuse_part(job);
	job->offset = 0;
	if (job->file.fd < 0)
		error = file_create(&job->file);
	else if (job->file.bytes)
		error = file_truncate(&job->file);
	if (!error && (!transfer->ended || transfer->code != CURLE_OK))
		mark(job); /* it may be cut off */
	return error;
}

/* Waits until these bytes may come, some at a time. */
static int wait_for_rate(struct fetcher *fetcher, size_t bytes)
{
	int error = 0;

	while (fetcher->options.rate && bytes && !error) {
		const uint64_t some = bytes < fetcher->burst ? bytes
							     : fetcher->burst;

		error = rota_rate_wait(&fetcher->rate, (some + fetcher->unit -
							1) / fetcher->unit);
		bytes -= some;
	}
	return error;
}

static int write_piece(struct job *job, const char *data, size_t bytes)
{
	int error = wait_for_rate(job->fetcher, bytes);

	if (!error && (error = file_write(&job->file, data, bytes)) &&
	    error != -ETIME)
		fail_by(job, "cannot write", error);
	if (error)
		return error;
	job->fetcher->bytes += bytes;
	transfer_taken(job->transfer, bytes);
	return 0;
}

/* Until all has come and is written. */
static int receive_all(struct job *job)
{
	bool opened = false;
	const char *data;
	int bytes, error;

	while ((bytes = transfer_wait(job->transfer, &data)) > 0) {
		error = opened ? 0 : open_file(job);
		opened = true;
		if (error && error != -ETIME)
			fail_by(job, "cannot create", error);
		if (!error)
			error = write_piece(job, data, (size_t)bytes);
		if (error)
			return error;
	}
	/* Of an empty file nothing ever comes. */
	if (!bytes && !opened && job->transfer->code == CURLE_OK &&
	    (error = open_file(job))) {
		fail_by(job, "cannot create", error);
		return error;
	}
	return bytes;
}

static bool code_may_pass(CURLcode code)
{
	switch (code) {
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_PARTIAL_FILE:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return true;
	default:
		return false;
	}
}

static bool status_may_pass(long status)
{
	return status == 408 || status == 429 || status == 500 ||
	       (status >= 502 && status <= 504);
}

/* The server answered, but not with what was asked for. */
static void judge_answer(struct job *job)
{
	const struct transfer *transfer = job->transfer;
	curl_off_t seconds = 0;
	char cause[CURL_ERROR_SIZE];

	curl_easy_getinfo(transfer->easy, CURLINFO_RETRY_AFTER, &seconds);
	job->retry_after_ns = seconds < RETRY_AFTER_MAX_NS / ROTA_SECOND + 1
				      ? seconds * ROTA_SECOND
				      : RETRY_AFTER_MAX_NS + 1;
	/* What was left is complete, or more than there is now. */
	job->may_pass = status_may_pass(job->status) ||
			(job->status == 416 && job->offset);
	job->anew = job->status == 416;
	snprintf(cause, sizeof(cause), "the server says %ld", job->status);
	fail(job, cause);
}

/* What the server, or libcurl, has against it. */
static void judge(struct job *job)
{
	const struct transfer *transfer = job->transfer;
	const CURLcode code = transfer->code;

	curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &job->status);
	if (code == CURLE_HTTP_RETURNED_ERROR) {
		judge_answer(job);
	} else if (code != CURLE_OK) {
		job->may_pass |= code_may_pass(code);
		fail(job, *transfer->cause ? transfer->cause
					   : curl_easy_strerror(code));
	}
}

/* One try, under its deadline. */
static int transfer_all(struct job *job)
{
	const int64_t timeout_ns = job->fetcher->options.timeout_ns;
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, timeout_ns ? rota_after_ns(timeout_ns)
						  : ROTA_NEVER);
	error = prepare(job);
	if (error && error != -ETIME)
		fail_by(job, "cannot go on", error);
	if (!error) {
		transfer_begin(job->transfer);
		error = receive_all(job);
		if (error)
			fail_by(job, "stopped", error);
		transfer_end(job->transfer);
		judge(job);
	}
	if (rota_deadline_end(&deadline)) {
		*job->cause = 0;
		fail(job, "it took longer than --timeout");
		job->may_pass = true;
	}
	return error;
}

/* One try: 0, or `cause` tells why not. */
static void try_once(struct job *job)
{
	*job->cause = 0;
	job->may_pass = false;
	job->retry_after_ns = 0;
	job->status = 0;
	job->transfer = driver_lend(&job->fetcher->driver);
	if (!job->transfer) {
		fail(job, "no memory");
		return;
	}
	set_up(job, job->transfer->easy);
	transfer_all(job);
	driver_take_back(job->transfer);
	job->transfer = NULL;
	curl_slist_free_all(job->headers);
	job->headers = NULL;
	if (*job->cause)
		file_abandon(&job->file, job->fetcher->options.resume);
}

/* The same, as one of so many of its host. */
static void try_in_turn(struct job *job)
{
	const int error = job->host ? rota_limit_acquire(&job->host->limit, 1)
				    : 0;

	if (error) {
		fail_by(job, "stopped", error);
		return;
	}
	try_once(job);
	if (job->host)
		rota_limit_release(&job->host->limit, 1);
}

/* Longer each time, and for no two the same, so that those who failed together
 * do not come back together; not before the server wants it. */
static int64_t backoff_ns(const struct job *job)
{
	int64_t wait_ns = BACKOFF_NS;

	for (unsigned i = 0; i < job->retries && wait_ns < BACKOFF_MAX_NS; i++)
		wait_ns *= 2;
	wait_ns = wait_ns / 2 + wait_ns / 2 * (random() & 1023) / 1023;
	return wait_ns > job->retry_after_ns ? wait_ns : job->retry_after_ns;
}

static bool will_retry(struct job *job)
{
	int64_t wait_ns;

	if (!*job->cause || !job->may_pass ||
	    job->retry_after_ns > RETRY_AFTER_MAX_NS ||
	    job->retries == job->fetcher->options.retries)
		return false;
	wait_ns = backoff_ns(job);
	job->retries++;
	return !rota_sleep(wait_ns); /* cancelled: what failed is told */
}

/* An earlier run completed it. */
static bool is_there(struct job *job)
{
	int64_t bytes;

	if (!job->fetcher->options.resume || job->fetcher->options.checked)
		return false;
	bytes = file_size(&job->file);
	job->kept = bytes >= 0;
	if (job->kept)
		job->file.bytes = bytes;
	return job->kept;
}

static int check_sum(const struct job *job)
{
	const struct options *options = &job->fetcher->options;

	return options->checked ? sum_check(job->file.fd, options->checksum)
				: 0;
}

/* A rename would take it away: a device, a pipe. Only who names the file is
 * asked, as a look takes a thread of the kernel's. */
static bool is_in_the_way(const struct job *job)
{
	return job->fetcher->options.output && file_size(&job->file) == -EEXIST;
}

static void fetch(struct job *job)
{
	const struct options *options = &job->fetcher->options;
	int error;

	if (is_there(job))
		return;
	if (is_in_the_way(job)) {
		fail(job, "what has that name is no file");
		return;
	}
	do {
		try_in_turn(job);
	} while (will_retry(job));
	if (*job->cause)
		return;
	error = check_sum(job);
	if (error == -EBADMSG)
		fail(job, "the checksum is another one");
	else if (error)
		fail_by(job, "cannot check its sum", error);
	if (!error && (error = file_commit(&job->file, options->fsync)))
		fail_by(job, "cannot rename", error);
	/* What is complete but wrong is nothing to go on with. */
	if (error)
		file_abandon(&job->file, options->resume && error != -EBADMSG);
}

static void enlist(struct job *job)
{
	struct fetcher *fetcher = job->fetcher;

	job->began_ns = rota_now_ns();
	job->link = fetcher->newest;
	*job->link = job;
	fetcher->newest = &job->next;
	fetcher->active++;
}

static void delist(struct job *job)
{
	struct fetcher *fetcher = job->fetcher;

	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
	else
		fetcher->newest = job->link;
	fetcher->active--;
}

static void tell_and_destroy(struct job *job)
{
	if (*job->cause)
		job->fetcher->failed++;
	else
		job->fetcher->done++;
	report_job(job);
	free(job->url);
	free(job);
}

int job_run(void *value)
{
	struct job *job = *(struct job **)value;
	int result;

	enlist(job);
	fetch(job);
	delist(job);
	result = *job->cause ? -EIO : 0;
	tell_and_destroy(job);
	return result;
}

struct job *job_create(struct fetcher *fetcher, const char *url)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return NULL;
	job->fetcher = fetcher;
	job->url = strdup(url);
	if (job->url)
		return job;
	free(job);
	return NULL;
}

void job_refuse(struct job *job, const char *cause)
{
	fail(job, cause);
	tell_and_destroy(job);
}
