/* SPDX-License-Identifier: MIT */
/*
 * The stacks of one loop.
 *
 * A stack is a slot of a slab, a slab is one mapping (not reserved, no huge
 * pages), so a million of them need a few hundred mappings:
 *
 *	slab   | table | slot 0            | slot 1            | ...
 *	slot           | guard | usable | own frames, top, colour |
 *
 * - The guard is 16 KiB at the low end (a page, where pages are larger), put
 *   there before the first touch. 4 KiB would be jumped by a frame of 20 KB.
 * - Tops are spread over 32 cache-line colours: stacks at the same offset of
 *   aligned blocks fall into the same cache sets, and switching round 1000 of
 *   them cost 53 ns without colours, 13 ns with.
 * - Sizes are powers of two, one class each; free stacks of a class wait in a
 *   stack of their own (last in, first out: warm), and keep their pages. New
 *   ones come after them: a task that reserves its stack long before it needs
 *   one (or again and again needs one for a moment) makes no page resident.
 * - ri_stacks_reserve is what can fail, when a task is accepted. Taking a
 *   reserved stack later cannot.
 *
 * One thread: the loop's.
 */
#ifndef RI_STACK_STACKS_H
#define RI_STACK_STACKS_H

#include "base/kernel.h"
#include "base/log.h"
#include "stack/sanitizer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RI_STACK_BYTES_MIN ((size_t)16 << 10)
#define RI_STACK_BYTES_MAX ((size_t)256 << 20)
#define RI_STACK_BYTES_DEFAULT ((size_t)64 << 10)
#define RI_STACK_GUARD_BYTES ((size_t)16 << 10)
#define RI_STACK_CLASSES 15

struct ri_stack {
	char *low;             /* lowest usable address, just above the guard */
	char *top;             /* highest address, coloured, 16-aligned */
	struct ri_stack *next; /* the one below on the pile of free ones */
#if RI_TSAN
	void *tsan; /* TSan's fiber, one for the life of the stack */
#endif
#if RI_VALGRIND
	unsigned valgrind; /* Valgrind's name for it */
#endif
};

/* One mapping; its table of stacks is at its start. */
struct ri_slab {
	struct ri_slab *next;     /* the slab of this class made before it */
	size_t bytes;             /* of the whole mapping */
	char *slots;              /* the first slot */
	unsigned count;           /* slots */
	unsigned made;            /* how many are guarded and in use or free */
	struct ri_stack stacks[]; /* the table */
};

/* All stacks of one size. */
struct ri_stack_class {
	size_t usable_bytes;    /* a power of two */
	struct ri_stack *free;  /* pile of used ones, the warmest on top */
	struct ri_stack *fresh; /* pile of those that were never used */
#if RI_ASAN
	struct ri_stack **last; /* the link at its far end */
#endif
	struct ri_slab *slabs; /* the newest first */
	unsigned made;         /* stacks that exist */
	unsigned reserved;     /* stacks that are promised or in use */
};

struct ri_stacks {
	const struct ri_kernel *kernel; /* maps and guards */
	struct ri_log log;              /* where a refusal is told */
	bool guard_install;             /* MADV_GUARD_INSTALL works */
	bool told;                      /* the bound was reported once */
	unsigned forbidden;             /* guards made by mprotect */
	size_t page_bytes;              /* 4 KiB; on AArch64 also 16 or 64 */
	struct ri_stack_class classes[RI_STACK_CLASSES];
};

/* `guard_install` false: guards by mprotect only. Cannot fail: the first slab
 * is mapped when the first stack is reserved. */
void ri_stacks_init(struct ri_stacks *stacks, const struct ri_kernel *kernel,
		    const struct ri_log *log, bool guard_install);

/* Gives every mapping back. No stack may be reserved. */
void ri_stacks_fini(struct ri_stacks *stacks);

/* The class for stacks of at least this size: -EINVAL if there is none. */
int ri_stacks_class(size_t bytes);

/* Makes the next stack of a class. The slow path of reserve. */
int ri_stacks_make(struct ri_stacks *stacks, unsigned index);

/* Promises one stack of a class. -ENOMEM: no memory or no mappings for it,
 * -EAGAIN: the bound of guards by mprotect is reached. */
static inline int ri_stacks_reserve(struct ri_stacks *stacks, unsigned index)
{
	struct ri_stack_class *class = &stacks->classes[index];

	if (__builtin_expect(class->reserved == class->made, 0)) {
		const int error = ri_stacks_make(stacks, index);

		if (error)
			return error;
	}
	class->reserved++;
	return 0;
}

/* Takes back a promise, once its stack was given back (or never taken). */
static inline void ri_stacks_unreserve(struct ri_stacks *stacks, unsigned index)
{
	stacks->classes[index].reserved--;
}

/* Takes a promised stack: the one that was given back last. */
struct ri_stack *ri_stacks_take(struct ri_stacks *stacks, unsigned index);

/* Gives a stack back. It may still be stood on until the next switch, but not
 * under ASan, which no longer lets it be touched. */
void ri_stacks_give(struct ri_stacks *stacks, unsigned index,
		    struct ri_stack *stack);

/* The stack whose guard holds this address, NULL if none. For the fault
 * handler: reads only. */
const struct ri_stack *ri_stacks_guarding(const struct ri_stacks *stacks,
					  const void *address);

#endif
