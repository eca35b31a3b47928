/* SPDX-License-Identifier: MIT */
#include "support/captive.h"

#include "base/check.h"
#include "rota/rota.h"
#include "support/run.h"
#include "task/park.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct ri_kernel kernel;

static int resolve(const struct ri_kernel *table, struct ri_lookup *lookup)
{
	struct captive *captive = NULL;

	(void)table;
	if (sscanf(lookup->host, "captive-%p", (void **)&captive) == 1)
		test_valve_pass(&captive->valve);
	return EAI_NONAME;
}

static void make_kernel(void)
{
	kernel = *test_linux();
	kernel.resolve = resolve;
}

const struct ri_kernel *captive_kernel(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, make_kernel);
	return &kernel;
}

void captive_name(struct captive *captive, char name[CAPTIVE_NAME_BYTES])
{
	snprintf(name, CAPTIVE_NAME_BYTES, "captive-%p", (void *)captive);
}

static void add(struct captives *row, const struct captive_class *class,
		const struct captive *like)
{
	struct captive *captive = &row->list[row->count];
	int error = 0;

	ri_check(row->count < CAPTIVES_MAX, "too many captives");
	*captive = *like;
	captive->class = class;
	captive->loop = row->count % like->loops;
	captive->fd = captive->peer = captive->out = captive->sink = -1;
	if (class->set_up)
		error = class->set_up(captive);
	ri_check(!error || error == -ENOSYS, "%s: %s", class->name,
		 strerror(-error));
	row->count += !error;
}

void captives_set_up(struct captives *row, unsigned loops, bool idle)
{
	const struct captive like = { .loops = loops, .idle = idle };

	row->count = 0;
	for (unsigned i = 0; i < captive_verbs_count; i++)
		add(row, &captive_verbs[i], &like);
	for (unsigned i = 0; i < captive_tasks_count; i++)
		add(row, &captive_tasks[i], &like);
}

static void free_captive(struct captive *captive)
{
	const int fds[] = { captive->fd, captive->peer, captive->out,
			    captive->sink };

	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (captive->path[0])
		remove(captive->path);
	if (captive->child) {
		kill(captive->child, SIGKILL);
		waitpid(captive->child, NULL, 0);
	}
}

void captives_tear_down(struct captives *row)
{
	for (unsigned i = 0; i < row->count; i++)
		free_captive(&row->list[i]);
}

static int call(struct captive *captive)
{
	struct rota_idle idle;
	int result;

	if (!captive->idle)
		return captive->class->call(captive);
	rota_idle_begin(&idle);
	result = captive->class->call(captive);
	rota_idle_end(&idle);
	return result;
}

int captive_main(void *value)
{
	struct captive *captive = *(struct captive **)value;

	atomic_store(&captive->task, ri_task_self(__func__));
	captive->result = call(captive);
	atomic_store(&captive->returned, true);
	return captive->result;
}

static bool waits(struct captive *captive)
{
	const struct rota_task *task = atomic_load(&captive->task);
	const char *what = captive->class->what;

	if (!task || !what || !task->wait)
		return task && !what;
	return strcmp(task->wait->what, what) == 0;
}

int captives_look(void *value)
{
	struct captives *row = *(struct captives **)value;
	int error = 0;

	for (unsigned i = 0; i < row->count; i++) {
		struct captive *captive = &row->list[i];

		if (captive->loop != rota_loop())
			continue;
		while (!error && !waits(captive) &&
		       !atomic_load(&captive->returned))
			error = rota_sleep(ROTA_MICROSECOND);
		if (atomic_load(&captive->returned))
			return -EPROTO;
	}
	return error;
}

/* A call that had begun is waited for; it returns 7. */
static int expected(const struct captive *captive, int code)
{
	if (captive->sleeps && captive->result == -ESHUTDOWN)
		return -ESHUTDOWN;
	return atomic_load(&captive->called) ? 7 : code;
}

void captives_check(const struct captives *row, int code)
{
	for (unsigned i = 0; i < row->count; i++) {
		const struct captive *captive = &row->list[i];
		const int right = expected(captive, code);

		if (!atomic_load(&captive->returned))
			fail_msg("%s has not returned", captive->class->name);
		if (captive->result != right)
			fail_msg("%s returned %d, not %d", captive->class->name,
				 captive->result, right);
	}
}
