/* SPDX-License-Identifier: MIT */
#include "stack/stacks.h"

#include "base/check.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A slab's size: large enough that a million stacks need few mappings, small
 * enough to be charged whole under vm.overcommit_memory=2. */
#define SLAB_BYTES ((size_t)64 << 20)
#define SLAB_STACKS_MIN 16

/* Tops are spread over this many cache lines. */
#define COLOURS 32
#define COLOUR_BYTES 64

/* What the colour and rota's own frames take, so that what is called usable
 * is. */
#define OWN_BYTES ((size_t)4096)

#define ADVICE_GUARD_INSTALL 102 /* MADV_GUARD_INSTALL, Linux 6.13 */

/* Each mprotect splits a mapping in two, and vm.max_map_count is 65,530 by
 * default: 32,753 guards were the end of it. The rest is left to the program. */
#define FORBIDDEN_MAX 30000

int ri_stacks_class(size_t bytes)
{
	int index = 0;

	if (bytes > RI_STACK_BYTES_MAX)
		return -EINVAL;
	while (RI_STACK_BYTES_MIN << index < bytes)
		index++;
	return index;
}

void ri_stacks_init(struct ri_stacks *stacks, const struct ri_kernel *kernel,
		    const struct ri_log *log, bool guard_install)
{
	memset(stacks, 0, sizeof(*stacks));
	stacks->kernel = kernel;
	stacks->log = *log;
	stacks->guard_install = guard_install;
	stacks->page_bytes = (size_t)sysconf(_SC_PAGESIZE);
	for (unsigned i = 0; i < RI_STACK_CLASSES; i++) {
		struct ri_stack_class *class = &stacks->classes[i];

		class->usable_bytes =
			(RI_STACK_BYTES_MIN << i) * RI_STACK_SCALE;
#if RI_ASAN
		class->last = &class->free;
#endif
	}
}

static void forget(const struct ri_slab *slab)
{
	(void)slab;
#if RI_TSAN || RI_VALGRIND
	for (unsigned i = 0; i < slab->made; i++) {
#if RI_TSAN
		__tsan_destroy_fiber(slab->stacks[i].tsan);
#endif
#if RI_VALGRIND
		VALGRIND_STACK_DEREGISTER(slab->stacks[i].valgrind);
#endif
	}
#endif
#if RI_ASAN
	__asan_unpoison_memory_region(
		slab->slots,
		slab->bytes - (size_t)(slab->slots - (char *)slab));
#endif
}

void ri_stacks_fini(struct ri_stacks *stacks)
{
	for (unsigned i = 0; i < RI_STACK_CLASSES; i++) {
		struct ri_stack_class *class = &stacks->classes[i];
		struct ri_slab *slab;

		ri_check(class->reserved == 0, "%u stacks of %zu bytes in use",
			 class->reserved, class->usable_bytes);
		while ((slab = class->slabs)) {
			class->slabs = slab->next;
			forget(slab);
			stacks->kernel->unmap(stacks->kernel, slab,
					      slab->bytes);
		}
	}
}

static size_t pages(const struct ri_stacks *stacks, size_t bytes)
{
	return (bytes + stacks->page_bytes - 1) / stacks->page_bytes *
	       stacks->page_bytes;
}

static size_t guard_bytes(const struct ri_stacks *stacks)
{
	return pages(stacks, RI_STACK_GUARD_BYTES);
}

static size_t slot_bytes(const struct ri_stacks *stacks,
			 const struct ri_stack_class *class)
{
	return guard_bytes(stacks) +
	       pages(stacks, class->usable_bytes + OWN_BYTES);
}

static int map_slab(struct ri_stacks *stacks, struct ri_stack_class *class)
{
	const size_t slot = slot_bytes(stacks, class);
	const size_t fitting = SLAB_BYTES / slot;
	const size_t count = fitting < SLAB_STACKS_MIN ? SLAB_STACKS_MIN
						       : fitting;
	const size_t table =
		pages(stacks,
		      sizeof(struct ri_slab) + count * sizeof(struct ri_stack));
	const size_t bytes = table + count * slot;
	struct ri_slab *slab;
	void *start;
	int error = stacks->kernel->map(stacks->kernel, bytes, &start);

	if (error < 0)
		return error;
	/* -EINVAL: a kernel without huge pages, so there is nothing to forbid */
	error = stacks->kernel->advise(stacks->kernel, start, bytes,
				       MADV_NOHUGEPAGE);
	if (error < 0 && error != -EINVAL) {
		stacks->kernel->unmap(stacks->kernel, start, bytes);
		return error;
	}
	slab = start;
	slab->next = class->slabs;
	slab->bytes = bytes;
	slab->slots = (char *)start + table;
	slab->count = (unsigned)count;
	slab->made = 0;
	class->slabs = slab;
	return 0;
}

/* A guard that needs a mapping of its own: for kernels before 6.13. */
static int forbid(struct ri_stacks *stacks, char *start)
{
	int error;

	if (stacks->forbidden >= FORBIDDEN_MAX) {
		if (!stacks->told)
			ri_log(&stacks->log,
			       "no more stacks: %u guard pages are the bound on "
			       "kernels before 6.13 (vm.max_map_count)",
			       stacks->forbidden);
		stacks->told = true;
		return -EAGAIN;
	}
	error = stacks->kernel->forbid(stacks->kernel, start,
				       guard_bytes(stacks));
	if (!error)
		stacks->forbidden++;
	return error;
}

static int guard(struct ri_stacks *stacks, char *start)
{
	if (stacks->guard_install) {
		const int error = stacks->kernel->advise(stacks->kernel, start,
							 guard_bytes(stacks),
							 ADVICE_GUARD_INSTALL);

		/* an older kernel, or locked memory (mlockall) */
		if (error != -EINVAL)
			return error;
		stacks->guard_install = false;
	}
	return forbid(stacks, start);
}

/* Carves the next slot of a slab. */
static int carve(struct ri_stacks *stacks, struct ri_stack_class *class)
{
	struct ri_slab *slab = class->slabs;
	struct ri_stack *stack = &slab->stacks[slab->made];
	char *slot = slab->slots + slab->made * slot_bytes(stacks, class);
	const size_t colour = (slab->made % COLOURS) * COLOUR_BYTES;
	const int error = guard(stacks, slot);

	if (error < 0)
		return error;
	stack->low = slot + guard_bytes(stacks);
	stack->top = slot + slot_bytes(stacks, class) - colour;
#if RI_TSAN
	stack->tsan = __tsan_create_fiber(0);
#endif
#if RI_VALGRIND
	stack->valgrind = VALGRIND_STACK_REGISTER(stack->low, stack->top);
#endif
	slab->made++;
	class->made++;
	stack->next = class->fresh;
	class->fresh = stack;
	return 0;
}

int ri_stacks_make(struct ri_stacks *stacks, unsigned index)
{
	struct ri_stack_class *class = &stacks->classes[index];

	if (!class->slabs || class->slabs->made == class->slabs->count) {
		const int error = map_slab(stacks, class);

		if (error < 0)
			return error;
	}
	return carve(stacks, class);
}

static __attribute__((noinline)) struct ri_stack *
take_fresh(struct ri_stack_class *class)
{
	struct ri_stack *stack = class->fresh;

	ri_check(stack != NULL,
		 "no free stack of %zu bytes, %u made, %u "
		 "reserved",
		 class->usable_bytes, class->made, class->reserved);
	class->fresh = stack->next;
	return stack;
}

struct ri_stack *ri_stacks_take(struct ri_stacks *stacks, unsigned index)
{
	struct ri_stack_class *class = &stacks->classes[index];
	struct ri_stack *stack = class->free;

	if (__builtin_expect(!stack, 0))
		return take_fresh(class);
	class->free = stack->next;
#if RI_ASAN
	if (!class->free)
		class->last = &class->free;
	__asan_unpoison_memory_region(stack->low,
				      (size_t)(stack->top - stack->low));
#endif
	return stack;
}

void ri_stacks_give(struct ri_stacks *stacks, unsigned index,
		    struct ri_stack *stack)
{
	struct ri_stack_class *class = &stacks->classes[index];

#if RI_ASAN
	/* The longer a dead frame is left alone, the more use of it is seen:
	 * under the pile instead of on top, and not to be touched. */
	__asan_poison_memory_region(stack->low,
				    (size_t)(stack->top - stack->low));
	stack->next = NULL;
	*class->last = stack;
	class->last = &stack->next;
#else
	stack->next = class->free;
	class->free = stack;
#endif
}

const struct ri_stack *ri_stacks_guarding(const struct ri_stacks *stacks,
					  const void *address)
{
	for (unsigned i = 0; i < RI_STACK_CLASSES; i++) {
		const struct ri_stack_class *class = &stacks->classes[i];
		const struct ri_slab *slab;

		for (slab = class->slabs; slab; slab = slab->next) {
			const size_t offset =
				(size_t)((const char *)address - slab->slots);
			const size_t index = offset / slot_bytes(stacks, class);

			if ((const char *)address >= slab->slots &&
			    index < slab->made &&
			    offset % slot_bytes(stacks, class) <
				    guard_bytes(stacks))
				return &slab->stacks[index];
		}
	}
	return NULL;
}
