/* SPDX-License-Identifier: MIT */
/*
 * The commands of rota-bench. Each takes the arguments from its own name on
 * (argv[0] is "rota-bench NAME", so that messages of getopt name it), prints
 * results on standard output and complaints on standard error, and returns
 * the exit code of the program.
 */
#ifndef BENCH_COMMAND_H
#define BENCH_COMMAND_H

enum bench_exit {
	BENCH_OK = 0,     /* measured, nothing went wrong */
	BENCH_FAILED = 1, /* could not measure, or the measured thing erred */
	BENCH_USAGE = 2,  /* an argument was wrong; nothing was started */
};

int bench_micro(int argc, char **argv);
int bench_serve_bare(int argc, char **argv);
int bench_echo(int argc, char **argv);

#endif
