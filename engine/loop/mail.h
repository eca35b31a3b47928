/* SPDX-License-Identifier: MIT */
/*
 * The mail of a loop: what its turn asks for.
 */
#ifndef RI_LOOP_MAIL_H
#define RI_LOOP_MAIL_H

#include "loop/loop.h"

/* Once a turn of a loop that listens: delivers everything that has come, in the
 * order in which it came. True: there was something, or work that any loop may
 * do. */
bool ri_mail_look(struct ri_loop *loop);

/* The loop has nothing to do. May it wait? From here on whoever has something
 * for it wakes it. */
bool ri_mail_sleep(struct ri_loop *loop);

/* It has waited: from here on nobody has to wake it. */
void ri_mail_wake(struct ri_loop *loop);

#endif
