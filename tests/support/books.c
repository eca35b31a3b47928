/* SPDX-License-Identifier: MIT */
#include "support/books.h"

#include "task/task.h"

#include <stdio.h>

/* What is found by looking at each block and each stream. */
struct found {
	unsigned spare;   /* on the pile */
	unsigned kept;    /* by anybody */
	unsigned orphans; /* kept ones that count against nobody */
	unsigned held;    /* by all streams */
	unsigned excess;  /* of it, beyond what each is allowed */
};

static char words[128];

/* False, with words, if these differ. */
static bool agree(const char *what, unsigned seen, unsigned right)
{
	if (seen == right)
		return true;
	snprintf(words, sizeof(words), "books: %s is %u, not %u", what, seen,
		 right);
	return false;
}

static unsigned length(const struct ri_buffers *buffers, uint16_t id)
{
	unsigned count = 0;

	for (; id != RI_BUFFER_NONE && count <= buffers->max;
	     id = buffers->table[id].next)
		count++;
	return count;
}

static void find_kept(const struct ri_buffers *buffers, struct found *found)
{
	for (unsigned i = 0; i < buffers->made; i++) {
		const struct ri_buffer *buffer = &buffers->table[i];

		found->kept += buffer->keeper != NULL;
		found->orphans += buffer->keeper && !buffer->holder;
	}
}

static unsigned kept_of(const struct ri_buffers *buffers,
			const struct ri_shot *shot)
{
	unsigned count = 0;

	for (unsigned i = 0; i < buffers->made; i++)
		count += buffers->table[i].keeper &&
			 buffers->table[i].holder == shot;
	return count;
}

static bool add_stream(const struct ri_buffers *buffers,
		       const struct rota_stream *stream, struct found *found)
{
	const struct ri_shot_buffers *own = &stream->shot->buffers;
	const unsigned held = length(buffers, own->first) +
			      kept_of(buffers, stream->shot) +
			      (stream->lent != RI_BUFFER_NONE);

	found->held += held;
	if (held > own->allowed)
		found->excess += held - own->allowed;
	return agree("what a stream holds", own->held, held);
}

const char *books_wrong(const struct rota_stream *const *streams,
			unsigned count)
{
	const struct ri_shots *shots = &ri_tasks_here()->shots;
	const struct ri_buffers *buffers = &shots->buffers;
	struct found found = { 0 };
	unsigned circulating;

	if (!buffers->ring)
		return agree("streams", count, 0) ? NULL : words;
	found.spare = length(buffers, buffers->spare);
	find_kept(buffers, &found);
	for (unsigned i = 0; i < count; i++)
		if (!add_stream(buffers, streams[i], &found))
			return words;
	circulating = buffers->wanted < buffers->max ? buffers->wanted
						     : buffers->max;
	if (agree("streams", shots->open, count) &&
	    agree("out", buffers->out, found.held + found.orphans) &&
	    agree("kept", shots->kept, found.kept) &&
	    agree("made", buffers->made,
		  buffers->in_ring + buffers->out + found.spare) &&
	    agree("wanted", buffers->wanted,
		  buffers->due + found.excess + found.orphans) &&
	    agree("in circulation", buffers->in_ring + buffers->out,
		  circulating))
		return NULL;
	return words;
}
