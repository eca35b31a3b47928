/* SPDX-License-Identifier: MIT */
/*
 * The end of a drain's grace.
 */
#ifndef RI_TASK_DRAIN_H
#define RI_TASK_DRAIN_H

#include "task/scope.h"

/* Names in the log who is left in a group, and in groups inside: here who is on
 * this loop, and on the others who is there. */
void ri_drain_tell(struct ri_tasks *tasks, struct rota_group *group);

#endif
