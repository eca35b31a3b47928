/* SPDX-License-Identifier: MIT */
/*
 * What an engine says about itself.
 */
#ifndef ROTA_OBSERVE_H
#define ROTA_OBSERVE_H

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Writes one line for each task of this thread's loop to a descriptor: its
 * name, where it was spawned, what it waits for and since when. Blocks the
 * thread for the time of the writes. Returns the number of tasks, or -errno of
 * write(2). Never suspends; for tasks, and for signal handlers on the loop's
 * thread. */
int rota_dump(int fd);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
