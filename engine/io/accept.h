/* SPDX-License-Identifier: MIT */
/*
 * What accepting by a verb and by a stream have in common.
 */
#ifndef RI_IO_ACCEPT_H
#define RI_IO_ACCEPT_H

#include <stdbool.h>

/* Does this concern the connection that was next, and not the listener? It
 * went away, or the network had an error for it: accept(2). */
bool ri_accept_passes(int error);

#endif
