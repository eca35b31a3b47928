// SPDX-License-Identifier: MIT
/*
 * rota-bench: the instrument. It knows nothing of the engine's inside: what
 * it measures it reaches through the public headers, or over a socket like
 * any other client. This file only finds the command; every command parses
 * its own options.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "options.h"

struct command {
	const char *name;                  /* what the user types */
	char *title;                       /* argv[0] of the command */
	int (*run)(int argc, char **argv); /* the whole of it */
};

static char title_micro[] = "rota-bench micro";
static char title_serve_bare[] = "rota-bench serve-bare";
static char title_echo[] = "rota-bench echo";

static const struct command commands[] = {
	{ "micro", title_micro, bench_micro },
	{ "serve-bare", title_serve_bare, bench_serve_bare },
	{ "echo", title_echo, bench_echo },
};

static const char usage[] =
	"usage: rota-bench COMMAND [OPTION...]\n"
	"\n"
	"  micro       time the engine's own steps\n"
	"  serve-bare  run an echo server on bare liburing or bare epoll\n"
	"  echo        load one echo server, or two of them in turns\n"
	"\n"
	"rota-bench COMMAND --help tells more about one of them.\n";

static const struct command *find_command(const char *name)
{
	const size_t count = sizeof(commands) / sizeof(commands[0]);

	for (size_t index = 0; index < count; index++)
		if (strcmp(commands[index].name, name) == 0)
			return &commands[index];
	return NULL;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fputs(usage, stderr);
		return BENCH_USAGE;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		fputs(usage, stdout);
		return BENCH_OK;
	}
	const struct command *command = find_command(argv[1]);

	if (command == NULL) {
		complain("rota-bench",
			 "'%s' is no command: micro, serve-bare or echo",
			 argv[1]);
		return BENCH_USAGE;
	}
	argv[1] = command->title;
	return command->run(argc - 1, argv + 1);
}
