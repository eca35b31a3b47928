/* SPDX-License-Identifier: MIT */
/*
 * Transfers by libcurl's multi interface, each in straight-line code: start it,
 * wait, look at what came. libcurl calls back to say which sockets it wants
 * watched, and when it wants to be called at the latest. One task, the driver,
 * does that for all of them, and lets each go on when it is done.
 *
 *	28_curl URL...    each within a second; exits 77 without any
 *
 * The wrong way: curl_easy_perform in a task. It waits in poll(2), and every
 * other task of the loop with it; so does curl_multi_poll. Nor may a callback
 * suspend: others would call libcurl while it calls.
 */
#include <rota/rota.h>

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static CURLM *multi;
static struct rota_watch watch;  /* the sockets */
static int64_t due_ns;           /* when libcurl wants to be called */
static struct rota_event sooner; /* that has changed */

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
		     void *data)
{
	const unsigned in = what & CURL_POLL_IN ? POLLIN : 0;
	const unsigned out = what & CURL_POLL_OUT ? POLLOUT : 0;

	(void)easy, (void)arg, (void)data;
	return rota_watch_set(&watch, fd, in | out, (void *)(intptr_t)fd);
}

static int on_timer(CURLM *of, long wait_ms, void *arg)
{
	(void)of, (void)arg;
	due_ns = wait_ms < 0 ? ROTA_NEVER
			     : rota_after_ns(wait_ms * ROTA_MILLISECOND);
	rota_event_set(&sooner);
	return 0;
}

struct transfer {
	struct rota_event done;
	CURLcode code; /* how it went */
};

/* Calls libcurl for a socket, or for its time. Those that are done go on. */
static void act(curl_socket_t fd)
{
	struct transfer *transfer;
	CURLMsg *message;
	int count;

	curl_multi_socket_action(multi, fd, 0, &count);
	while ((message = curl_multi_info_read(multi, &count))) {
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
				  &transfer);
		transfer->code = message->data.result;
		rota_event_set(&transfer->done);
	}
}

static int drive(void *value)
{
	struct rota_ready ready[16];
	int n, chosen;

	(void)value;
	for (;;) {
		struct rota_arm arms[] = {
			rota_arm_event(&sooner),
			rota_arm_poll(rota_watch_fd(&watch), POLLIN),
			rota_arm_deadline(due_ns),
		};

		chosen = rota_select(arms, 3);
		if (chosen < 0)
			return chosen;
		rota_event_reset(&sooner);
		n = rota_watch_take(&watch, ready, 16);
		for (int i = 0; i < n; i++)
			act((int)(intptr_t)ready[i].data);
		if (chosen != 2)
			continue;
		due_ns = ROTA_NEVER; /* until it says something else */
		act(CURL_SOCKET_TIMEOUT);
	}
}

/* What comes is printed by libcurl itself. */
static int fetch(void *value)
{
	struct transfer transfer = { .code = CURLE_OK };
	struct rota_deadline deadline;
	CURL *easy = curl_easy_init();
	const char *url = *(char **)value;
	int error;

	rota_event_init(&transfer.done, NULL);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
	rota_deadline_begin(&deadline, rota_after_ns(ROTA_SECOND));
	curl_multi_add_handle(multi, easy);
	error = rota_event_wait(&transfer.done);
	rota_deadline_end(&deadline);
	curl_multi_remove_handle(multi, easy); /* waits for nothing */
	printf("%s: %s\n", url,
	       error ? strerror(-error) : curl_easy_strerror(transfer.code));
	curl_easy_cleanup(easy);
	rota_event_fini(&transfer.done);
	return error || transfer.code ? -EIO : 0;
}

/* libcurl looks names up on threads of its own. TLS needs the larger stack. */
static int fetch_all(void *arg)
{
	struct rota_group_options options = { .mode = ROTA_GROUP_KEEP_GOING,
					      .stack_bytes = 256 * 1024 };
	struct rota_group group;
	int error = rota_watch_open(&watch);

	if (error)
		return error;
	rota_event_init(&sooner, NULL);
	rota_group_open(&group, &options);
	error = rota_go_background(&group, drive, NULL);
	for (char **urls = arg; *urls && !error; urls++)
		error = rota_go(&group, fetch, *urls);
	error |= rota_group_wait(&group);
	curl_multi_cleanup(multi);
	rota_event_fini(&sooner);
	rota_watch_close(&watch);
	return error;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return printf("28_curl: no URLs\n") > 0 ? 77 : 1;
	multi = curl_multi_init();
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
	due_ns = ROTA_NEVER;
	return rota_run(NULL, fetch_all, argv + 1) != 0;
}
