/* SPDX-License-Identifier: MIT */
/*
 * The mail of a loop: what its turn asks for.
 */
#ifndef RI_LOOP_MAIL_H
#define RI_LOOP_MAIL_H

#include "loop/loop.h"

/* Delivers everything that has come, in the order in which it came. */
void ri_mail_deliver(struct ri_loop *loop);

/* The loop has nothing to do. May it wait? From here on whoever has something
 * for it wakes it. */
bool ri_mail_sleep(struct ri_loop *loop);

#endif
