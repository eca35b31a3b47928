/* SPDX-License-Identifier: MIT */
#include "support/child.h"

#include "support/run.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static _Noreturn void be_child(int errors, int (*fn)(void *), void *arg)
{
	const struct rlimit none = { 0 };

	for (int number = 1; number <= SIGRTMAX; number++)
		signal(number, SIG_DFL);
	setrlimit(RLIMIT_CORE, &none);
	dup2(errors, STDERR_FILENO);
	close(errors);
	_exit(fn(arg));
}

/* Reads what comes until the end of it or of the time. */
static void read_errors(struct test_child *child, int fd, int64_t deadline_ns)
{
	struct pollfd readable = { .fd = fd, .events = POLLIN };
	size_t length = 0;

	while (length < sizeof(child->errors) - 1) {
		const int64_t left_ns = deadline_ns - rota_now_ns();
		ssize_t n;

		if (left_ns <= 0 ||
		    poll(&readable, 1, (int)(left_ns / 1000000) + 1) <= 0)
			break;
		n = read(fd, child->errors + length,
			 sizeof(child->errors) - 1 - length);
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	child->errors[length] = '\0';
}

/* An emulator of user programs has a last word on a signal. */
static void forget_emulator(char *errors)
{
	char *word = strstr(errors, "qemu: uncaught target signal");

	if (word)
		*word = '\0';
}

/* The end of its stderr is not always its own end. */
static int wait_for(pid_t pid, int64_t deadline_ns)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int status;

	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (rota_now_ns() > deadline_ns)
			kill(pid, SIGKILL);
		nanosleep(&moment, NULL);
	}
	return status;
}

void test_child_run(struct test_child *child, int (*fn)(void *), void *arg)
{
	const int64_t deadline_ns = rota_after_ns(test_seconds() * ROTA_SECOND);
	int errors[2], status;
	pid_t pid;

	if (pipe(errors))
		abort();
	pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		close(errors[0]);
		be_child(errors[1], fn, arg);
	}
	close(errors[1]);
	read_errors(child, errors[0], deadline_ns);
	close(errors[0]);
	forget_emulator(child->errors);
	status = wait_for(pid, deadline_ns);
	child->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	child->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
