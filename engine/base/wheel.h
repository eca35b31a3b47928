/* SPDX-License-Identifier: MIT */
/*
 * The timer structure: a hierarchical wheel over nanoseconds.
 *
 * A point in time is read as eleven digits of six bits. A timer is kept at the
 * level of the highest digit in which it differs from the wheel's own time,
 * in the slot that this digit names:
 *
 *   time   ..|......|010110|000001|......      level n: 64 slots, a bitmap
 *   timer  ..|......|010110|001010|......  ->  level 1, slot 10
 *
 * Invariants:
 *   1. a timer at level L agrees with `time_ns` in every digit above L, and
 *      its digit L is the greater one (at level 0 it may be equal, while what
 *      is due at this very moment is being taken off);
 *   2. the earliest timer is in the lowest slot in use of the lowest level in
 *      use;
 *   3. a bit of `used` is set if, and only if, its slot has timers.
 *
 * Adding and removing are O(1) and allocate nothing: the node lives with who
 * waits. When time enters a slot, its timers move to lower levels, each at
 * most ten times in its life, and most are removed long before. No timer is
 * ever rounded.
 *
 * Beside heaps, in turn, timers at random points of 69 s (ns, medians of 7 on a
 * busy machine):
 *
 *	pending                              0   1,000  100,000  1,000,000
 *	add one, remove it     this wheel    7       5        5          6
 *	                       4-ary heap    3       7        8          6
 *	                       pairing heap  4       5        5          5
 *	take the earliest,     this wheel   22      43      389        784
 *	add another            4-ary heap    4      88      175        713
 *	                       pairing heap  4     129     1258       4086
 *
 * Nearly all timers are deadlines that never come: those are added and removed.
 * With 100,000 the 4-ary heap takes them off in half the time, 0.2 us of some
 * 2 us that a task's wake takes then; but it is an array that has to grow when
 * somebody sleeps, which can fail, and the wheel cannot.
 *
 * One thread, no locks. The caller brings the time.
 */
#ifndef RI_BASE_WHEEL_H
#define RI_BASE_WHEEL_H

#include "base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define RI_WHEEL_LEVELS 11
#define RI_WHEEL_SLOTS 64

struct ri_wheel {
	int64_t time_ns;                /* what the digits are read against */
	unsigned levels;                /* bit L: level L has timers */
	uint64_t used[RI_WHEEL_LEVELS]; /* bit S: slot S has timers */
	struct rota_node slots[RI_WHEEL_LEVELS][RI_WHEEL_SLOTS];
};

void ri_wheel_init(struct ri_wheel *wheel, int64_t now_ns);

/* Puts an idle timer on the wheel. False if it is due already (its deadline
 * is not later than the wheel's time): then it is not on the wheel. */
bool ri_wheel_add(struct ri_wheel *wheel, struct rota_timer *timer);

/* Takes a timer off that is on the wheel. */
void ri_wheel_remove(struct ri_wheel *wheel, struct rota_timer *timer);

static inline bool ri_timer_armed(const struct rota_timer *timer)
{
	return ri_list_linked(&timer->link);
}

static inline bool ri_wheel_empty(const struct ri_wheel *wheel)
{
	return wheel->levels == 0;
}

/* A time at which the wheel wants to be looked at, INT64_MAX when empty. Exact
 * if few timers share the first slot, otherwise the start of that slot: never
 * later than the earliest deadline. */
int64_t ri_wheel_next_ns(const struct ri_wheel *wheel);

/* Moves the wheel's time on (never back) and takes off the earliest timer that
 * is due by then; NULL when there is none. In the order of their deadlines,
 * those of one deadline in the order in which they were added. */
struct rota_timer *ri_wheel_expire(struct ri_wheel *wheel, int64_t now_ns);

#endif
