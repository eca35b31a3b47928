/* SPDX-License-Identifier: MIT */
/*
 * libcurl's multi interface on one task. It tells by callbacks which sockets it
 * wants watched and when it wants to be called; the task waits for all of
 * that, and for what transfers ask, in one select.
 *
 * No other task calls what may call back: libcurl is not to be entered twice,
 * and TLS wants a larger stack than the tasks of URLs have.
 */
#include "fetch_driver.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* Sockets that are looked at in one turn. */
#define READY_MAX 64

/* What trickles in is written after that long, so that a later run can go on
 * with it. */
#define PATIENCE_NS ROTA_SECOND

enum ask {
	ASK_START = 1,    /* add it */
	ASK_CONTINUE = 2, /* there is room again */
	ASK_STOP = 4,     /* remove it */
};

static void ask(struct transfer *transfer, enum ask what)
{
	struct driver *driver = transfer->driver;

	transfer->asks |= what;
	if (transfer->listed)
		return;
	transfer->listed = true;
	transfer->next = NULL;
	*driver->last = transfer;
	driver->last = &transfer->next;
	rota_event_set(&driver->asked);
}

static struct transfer *next_asking(struct driver *driver)
{
	struct transfer *transfer = driver->first;

	if (!transfer)
		return NULL;
	driver->first = transfer->next;
	if (!driver->first)
		driver->last = &driver->first;
	transfer->listed = false;
	return transfer;
}

static void end(struct transfer *transfer, CURLcode code)
{
	if (transfer->added)
		curl_multi_remove_handle(transfer->driver->multi,
					 transfer->easy);
	transfer->added = false;
	transfer->code = code;
	transfer->ended = true;
	rota_event_set(&transfer->changed);
}

static void start(struct transfer *transfer)
{
	transfer->added =
		!curl_multi_add_handle(transfer->driver->multi, transfer->easy);
	if (!transfer->added)
		end(transfer, CURLE_FAILED_INIT);
}

static void obey(struct transfer *transfer)
{
	const unsigned asks = transfer->asks;

	transfer->asks = 0;
	if (transfer->ended)
		return;
	if (asks & ASK_STOP) {
		end(transfer, CURLE_ABORTED_BY_CALLBACK);
		return;
	}
	if (asks & ASK_START)
		start(transfer);
	if (transfer->added && asks & ASK_CONTINUE)
		curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
}

static void obey_all(struct driver *driver)
{
	struct transfer *transfer;

	rota_event_reset(&driver->asked);
	while ((transfer = next_asking(driver)))
		obey(transfer);
}

/* What came is copied into the buffer, or all of it stays with libcurl. */
static size_t receive(char *data, size_t size, size_t count, void *context)
{
	struct transfer *transfer = context;
	const size_t bytes = size * count;
	const size_t used = (size_t)(transfer->received - transfer->taken);
	const size_t at = transfer->received % BUFFER_BYTES;
	const size_t first = bytes < BUFFER_BYTES - at ? bytes
						       : BUFFER_BYTES - at;

	if (transfer->expected < 0)
		curl_easy_getinfo(transfer->easy,
				  CURLINFO_CONTENT_LENGTH_DOWNLOAD_T,
				  &transfer->expected);
	if (bytes > BUFFER_BYTES - used) {
		transfer->paused = true;
		rota_event_set(&transfer->changed);
		return CURL_WRITEFUNC_PAUSE;
	}
	memcpy(transfer->buffer + at, data, first);
	memcpy(transfer->buffer, data + first, bytes - first);
	transfer->received += bytes;
	if (used + bytes >= PIECE_BYTES)
		rota_event_set(&transfer->changed);
	return bytes;
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *context,
			void *data)
{
	struct driver *driver = context;
	unsigned events = 0;

	(void)easy;
	(void)data;
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		events |= POLLIN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		events |= POLLOUT;
	return rota_watch_set(driver->watch, fd, events, (void *)(intptr_t)fd)
		       ? -1
		       : 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *context)
{
	struct driver *driver = context;

	(void)multi;
	driver->timer_ns =
		timeout_ms < 0 ? ROTA_NEVER
			       : rota_after_ns(timeout_ms * ROTA_MILLISECOND);
	return 0;
}

static int to_curl(unsigned events)
{
	int mask = 0;

	if (events & (POLLIN | POLLHUP | POLLRDHUP))
		mask |= CURL_CSELECT_IN;
	if (events & POLLOUT)
		mask |= CURL_CSELECT_OUT;
	if (events & POLLERR)
		mask |= CURL_CSELECT_ERR;
	return mask;
}

static void serve_sockets(struct driver *driver)
{
	struct rota_ready ready[READY_MAX];
	const int count = rota_watch_take(driver->watch, ready, READY_MAX);
	int running;

	for (int i = 0; i < count; i++)
		curl_multi_socket_action(driver->multi,
					 (int)(intptr_t)ready[i].data,
					 to_curl(ready[i].events), &running);
}

/* Once for each time that was asked for: libcurl sets the next. */
static void serve_timer(struct driver *driver)
{
	int running;

	if (rota_now_ns() < driver->timer_ns)
		return;
	driver->timer_ns = ROTA_NEVER;
	curl_multi_socket_action(driver->multi, CURL_SOCKET_TIMEOUT, 0,
				 &running);
}

static void collect(struct driver *driver)
{
	struct transfer *transfer;
	CURLMsg *message;
	CURLcode code;
	int left;

	while ((message = curl_multi_info_read(driver->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		code = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE,
				  &transfer);
		end(transfer, code);
	}
}

int driver_run(void *value)
{
	struct driver *driver = *(struct driver **)value;
	int done;

	for (;;) {
		struct rota_arm arms[] = {
			rota_arm_event(&driver->asked),
			rota_arm_poll(rota_watch_fd(driver->watch), POLLIN),
			rota_arm_deadline(driver->timer_ns),
		};

		done = rota_select(arms, 3);
		/* The ring is full: others have to go on first. */
		if (done < 0 && (done != -EAGAIN || rota_yield()))
			return done;
		obey_all(driver);
		if (done == 1)
			serve_sockets(driver);
		serve_timer(driver);
		collect(driver);
	}
}

int driver_init(struct driver *driver, struct rota_watch *watch, unsigned jobs)
{
	*driver = (struct driver){ .watch = watch, .timer_ns = ROTA_NEVER };
	driver->last = &driver->first;
	rota_event_init(&driver->asked, NULL);
	driver->multi = curl_multi_init();
	if (!driver->multi) {
		rota_event_fini(&driver->asked);
		return -ENOMEM;
	}
	curl_multi_setopt(driver->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(driver->multi, CURLMOPT_SOCKETDATA, driver);
	curl_multi_setopt(driver->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(driver->multi, CURLMOPT_TIMERDATA, driver);
	/* Also while none of them transfers, as all write their files. */
	curl_multi_setopt(driver->multi, CURLMOPT_MAXCONNECTS, (long)jobs);
	return 0;
}

static void destroy(struct transfer *transfer)
{
	curl_easy_cleanup(transfer->easy);
	rota_event_fini(&transfer->changed);
	free(transfer->buffer);
	free(transfer);
}

void driver_fini(struct driver *driver)
{
	struct transfer *transfer;

	while ((transfer = driver->spare)) {
		driver->spare = transfer->next;
		destroy(transfer);
	}
	curl_multi_cleanup(driver->multi);
	rota_event_fini(&driver->asked);
}

static struct transfer *create(struct driver *driver)
{
	struct transfer *transfer = calloc(1, sizeof(*transfer));

	if (!transfer)
		return NULL;
	transfer->driver = driver;
	rota_event_init(&transfer->changed, NULL);
	transfer->buffer = malloc(BUFFER_BYTES);
	transfer->easy = curl_easy_init();
	if (transfer->buffer && transfer->easy)
		return transfer;
	destroy(transfer);
	return NULL;
}

/* The one that was given back last: its memory is in the caches. */
static struct transfer *spare(struct driver *driver)
{
	struct transfer *transfer = driver->spare;

	if (!transfer)
		return create(driver);
	driver->spare = transfer->next;
	curl_easy_reset(transfer->easy);
	return transfer;
}

struct transfer *driver_lend(struct driver *driver)
{
	struct transfer *transfer = spare(driver);

	if (!transfer)
		return NULL;
	transfer->received = transfer->taken = 0;
	transfer->expected = -1;
	transfer->asks = 0;
	transfer->paused = transfer->ended = false;
	transfer->cause[0] = 0;
	rota_event_reset(&transfer->changed);
	curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
	curl_easy_setopt(transfer->easy, CURLOPT_ERRORBUFFER, transfer->cause);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(transfer->easy, CURLOPT_WRITEDATA, transfer);
	return transfer;
}

void driver_take_back(struct transfer *transfer)
{
	transfer->next = transfer->driver->spare;
	transfer->driver->spare = transfer;
}

void transfer_begin(struct transfer *transfer)
{
	ask(transfer, ASK_START);
}

/* What can be written at once: as far as the ring's end. */
static size_t piece(const struct transfer *transfer)
{
	const size_t at = transfer->taken % BUFFER_BYTES;
	const size_t used = (size_t)(transfer->received - transfer->taken);

	return used < BUFFER_BYTES - at ? used : BUFFER_BYTES - at;
}

/* Small writes are put together while more comes. */
static bool is_worth_it(const struct transfer *transfer)
{
	return transfer->ended || transfer->paused ||
	       transfer->received - transfer->taken >= PIECE_BYTES;
}

/* Waits for more. 1: for as long as what is there should wait. */
static int wait_for_more(struct transfer *transfer)
{
	struct rota_deadline patience;
	int error;

	rota_event_reset(&transfer->changed);
	rota_deadline_begin(&patience, rota_after_ns(PATIENCE_NS));
	error = rota_event_wait(&transfer->changed);
	return rota_deadline_end(&patience) ? 1 : error;
}

int transfer_wait(struct transfer *transfer, const char **data)
{
	int error = 0;

	while (error >= 0 && !is_worth_it(transfer)) {
		error = wait_for_more(transfer);
		if (error > 0 && transfer->received != transfer->taken)
			break;
	}
	*data = transfer->buffer + transfer->taken % BUFFER_BYTES;
	return error < 0 ? error : (int)piece(transfer);
}

void transfer_taken(struct transfer *transfer, size_t bytes)
{
	transfer->taken += bytes;
	if (!transfer->paused || transfer->ended ||
	    transfer->received - transfer->taken > BUFFER_BYTES / 2)
		return;
	transfer->paused = false;
	ask(transfer, ASK_CONTINUE);
}

void transfer_end(struct transfer *transfer)
{
	struct rota_shield shield;

	if (!transfer->ended)
		ask(transfer, ASK_STOP);
	rota_shield_begin(&shield, ROTA_NEVER);
	while (!transfer->ended) {
		rota_event_reset(&transfer->changed);
		/* Nothing cancels it in here. */
		(void)!rota_event_wait(&transfer->changed);
	}
	rota_shield_end(&shield);
}
