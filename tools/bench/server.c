// SPDX-License-Identifier: MIT
/* A server under test, see server.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host.h"
#include "interrupt.h"
#include "options.h"
#include "server.h"

#define NS_PER_MS 1000000u

/* A server that sets up slowly, under a sanitizer say, needs a second. */
#define READY_MS 10000

/* More than the grace period that servers commonly have. */
#define STOP_MS 10000
#define STOP_POLL_MS 5

/* Between two looks at the processor time, and how many at most. */
#define SETTLE_NS 200000
#define SETTLE_TRIES 50

static const char who[] = "rota-bench echo";
static const char ready_mark[] = ": listening on ";

static void sleep_ns(long ns)
{
	const struct timespec span = { .tv_nsec = ns };

	nanosleep(&span, NULL);
}

/* In the child: becomes the server or ends with the shell's code for that. */
static void run_command(const struct server *server, int output, pid_t parent,
			int cpu)
{
	char *line;

	/* Dies with its parent, also if that died before this line. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	/* Of its own group: a Ctrl-C is for us, who end it in good order. */
	setpgid(0, 0);
	if ((cpu >= 0 && host_pin(cpu) < 0) ||
	    dup2(output, STDOUT_FILENO) < 0 ||
	    asprintf(&line, "exec %s", server->command) < 0)
		_exit(127);
	execl("/bin/sh", "sh", "-c", line, (char *)NULL);
	_exit(127);
}

/* Starts the child; its output is then read from server->output. */
static int spawn(struct server *server, int cpu)
{
	const pid_t parent = getpid();
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	fflush(stdout);
	server->pid = fork();
	if (server->pid == 0)
		run_command(server, ends[1], parent, cpu);
	const int error = server->pid < 0 ? errno : 0;

	close(ends[1]);
	server->output = ends[0];
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	return -error;
}

/* Waits until there is output or its end; false if time or we are over. */
static bool await_output(const struct server *server, uint64_t deadline_ns)
{
	struct pollfd wait = { .fd = server->output, .events = POLLIN };

	while (!interrupt_pending() && host_now_ns() < deadline_ns)
		if (poll(&wait, 1, 100) > 0)
			return true;
	return false;
}

/* The address in one whole line of output, if it is the ready line. */
static bool line_is_ready(struct server *server, const char *line)
{
	const char *mark = strstr(line, ready_mark);

	return mark != NULL &&
	       address_parse(mark + sizeof(ready_mark) - 1, &server->address);
}

/* Reads output line by line: 0 once ready, -1 if it ended or time is over. */
static int await_ready(struct server *server)
{
	const uint64_t deadline_ns =
		host_now_ns() + (uint64_t)READY_MS * NS_PER_MS;
	char line[512];
	size_t length = 0;

	while (await_output(server, deadline_ns)) {
		const ssize_t got = read(server->output, line + length, 1);

		if (got == 0)
			return -1;
		if (got < 0)
			continue;
		if (line[length] != '\n') {
			length += length < sizeof(line) - 1;
			continue;
		}
		line[length] = '\0';
		length = 0;
		if (line_is_ready(server, line))
			return 0;
	}
	return -1;
}

static void complain_of_end(const struct server *server, int status)
{
	if (WIFSIGNALED(status))
		complain(who, "server '%s' was killed by signal %d (%s)",
			 server->command, WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		complain(who, "server '%s' ended with exit code %d",
			 server->command, WEXITSTATUS(status));
}

/* No longer a child of ours, its status is taken. */
static void forget(struct server *server)
{
	server->pid = 0;
	if (server->output >= 0)
		close(server->output);
	server->output = -1;
}

static void drain_output(struct server *server)
{
	char scrap[4096];
	ssize_t got = 1;

	while (server->output >= 0 && got > 0)
		got = read(server->output, scrap, sizeof(scrap));
}

bool server_runs(struct server *server)
{
	int status;

	if (server->pid == 0)
		return true;
	drain_output(server);
	if (waitpid(server->pid, &status, WNOHANG) != server->pid)
		return true;
	complain_of_end(server, status);
	forget(server);
	return false;
}

/* Waits for the end: its status, or -1 when time is over. */
static int await_end(struct server *server)
{
	int status;

	for (int waited = 0; waited < STOP_MS; waited += STOP_POLL_MS) {
		drain_output(server);
		if (waitpid(server->pid, &status, WNOHANG) == server->pid)
			return status;
		sleep_ns(STOP_POLL_MS * NS_PER_MS);
	}
	return -1;
}

int server_stop(struct server *server)
{
	if (server->pid == 0)
		return 0;
	kill(server->pid, SIGTERM);
	const int status = await_end(server);
	/* One that does not catch the signal has done what it was asked. */
	const bool ended_well = status == 0 || (WIFSIGNALED(status) &&
						WTERMSIG(status) == SIGTERM);

	if (status < 0) {
		complain(who, "server '%s' did not end by SIGTERM in %d s",
			 server->command, STOP_MS / 1000);
		kill(server->pid, SIGKILL);
		while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
			;
	} else if (!ended_well) {
		complain_of_end(server, status);
	}
	forget(server);
	return ended_well ? 0 : -1;
}

/* Said before it is stopped: it has ended, or it says nothing. */
static void give_up(struct server *server)
{
	int status = 0;

	/* The end of its output comes a moment before that of the process. */
	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		if (waitpid(server->pid, &status, WNOHANG) == server->pid) {
			complain_of_end(server, status);
			forget(server);
			return;
		}
		sleep_ns(SETTLE_NS);
	}
	if (!interrupt_pending())
		complain(who, "server '%s' printed no '...%sADDR:PORT' line",
			 server->command, ready_mark);
	kill(server->pid, SIGKILL);
	while (waitpid(server->pid, NULL, 0) < 0 && errno == EINTR)
		;
	forget(server);
}

int server_start(struct server *server, const char *command, int cpu)
{
	*server = (struct server){ .command = command, .output = -1 };
	const int result = spawn(server, cpu);

	if (result < 0) {
		complain(who, "cannot start '%s': %s", command,
			 strerror(-result));
		server->pid = 0;
		forget(server);
		return -1;
	}
	if (await_ready(server) < 0 ||
	    clock_getcpuclockid(server->pid, &server->cpu_clock) != 0) {
		give_up(server);
		return -1;
	}
	return 0;
}

static uint64_t read_cpu_ns(const struct server *server)
{
	struct timespec used = { 0 };

	clock_gettime(server->cpu_clock, &used);
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

uint64_t server_cpu_ns(const struct server *server)
{
	uint64_t before = read_cpu_ns(server);

	for (int tries = 0; tries < SETTLE_TRIES; tries++) {
		sleep_ns(SETTLE_NS);
		const uint64_t now = read_cpu_ns(server);

		if (now == before)
			break;
		before = now;
	}
	return before;
}

uint64_t server_rss_bytes(const struct server *server)
{
	char path[64];
	char line[256];
	uintmax_t kib = 0;

	/* Counted page by page; VmRSS lags behind by some pages. */
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", server->pid);
	FILE *file = fopen(path, "re");

	if (file == NULL)
		return 0;
	while (fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "Rss: %ju kB", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024;
}
