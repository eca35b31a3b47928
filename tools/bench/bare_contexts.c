// SPDX-License-Identifier: MIT
/* Contexts by the bare switch, see bare_contexts.h. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bare_contexts.h"

/* From one stack's top to the next: 64 KiB, and 16 KiB for what would be a
 * guard. 32 colours of a cache line each. */
#define SLOT_BYTES ((size_t)80 << 10)
#define COLOURS 32
#define COLOUR_BYTES 64

struct bare_turn *bare_current;

static struct bare_turn *turns;          /* of all contexts */
static struct bare_turn caller;          /* who waits for them */
static void (*function)(unsigned index); /* what they run */

static void enter(void)
{
	struct bare_turn *self = bare_current;

	function((unsigned)(self - turns));
	self->prev->next = self->next;
	self->next->prev = self->prev;
	bare_current = self->next != self ? self->next : &caller;
	bare_switch(&self->sp, bare_current->sp);
	abort();
}

static void lay_out(unsigned count, char *stacks)
{
	for (unsigned index = 0; index < count; index++) {
		const size_t colour = index % COLOURS * COLOUR_BYTES;
		char *top = stacks + (index + 1) * SLOT_BYTES - colour;

		turns[index].sp = bare_context(top, enter);
		turns[index].next = &turns[(index + 1) % count];
		turns[index].prev = &turns[(index + count - 1) % count];
	}
}

int bare_contexts_run(unsigned count, void (*fn)(unsigned index))
{
	const size_t bytes = count * SLOT_BYTES;

	turns = calloc(count, sizeof(*turns));
	if (turns == NULL)
		return -ENOMEM;
	char *stacks =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK,
		     -1, 0);

	if (stacks == MAP_FAILED) {
		free(turns);
		return -ENOMEM;
	}
	madvise(stacks, bytes, MADV_NOHUGEPAGE);
	lay_out(count, stacks);
	function = fn;
	bare_current = &turns[0];
	bare_switch(&caller.sp, bare_current->sp);
	munmap(stacks, bytes);
	free(turns);
	return 0;
}
