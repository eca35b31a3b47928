/* SPDX-License-Identifier: MIT */
/*
 * A lock that is held for some instructions: nobody switches, calls the kernel
 * or a user's function under it. One word; 0: it is free.
 *
 * Who finds it held looks for a while, then sleeps for moments: its holder may
 * have lost its processor, and giving one's own away (sched_yield) would not
 * help who runs at another priority. A lock with a queue in the kernel (futex)
 * would pay a second atomic step each time it is given back.
 */
#ifndef RI_BASE_LOCK_H
#define RI_BASE_LOCK_H

/* It is held: comes back when it was taken. */
void ri_lock_wait(unsigned *lock);

static inline void ri_lock_take(unsigned *lock)
{
	/* acquire: pairs with the release in ri_lock_give */
	if (__builtin_expect(__atomic_exchange_n(lock, 1, __ATOMIC_ACQUIRE), 0))
		ri_lock_wait(lock);
}

static inline void ri_lock_give(unsigned *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
