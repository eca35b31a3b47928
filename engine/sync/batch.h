/* SPDX-License-Identifier: MIT */
/*
 * Several waiters that are served at one go. They are taken off their line
 * under the guard, and served outside of it: once the last one is, what they
 * waited for may be gone.
 *
 * They are chained by what links them backwards in the line: forwards, NULL
 * says that they have left it.
 */
#ifndef RI_SYNC_BATCH_H
#define RI_SYNC_BATCH_H

#include "sync/waiter.h"

struct ri_batch {
	struct rota_node *first; /* NULL: nobody */
	struct rota_node *last;  /* undefined without a first one */
};

/* Under the guard: adds one that was taken off. */
static inline void ri_batch_add(struct ri_batch *batch,
				struct rota_place *place)
{
	struct rota_node *node = &place->link;

	if (batch->first)
		batch->last->prev = node;
	else
		batch->first = node;
	batch->last = node;
	node->prev = NULL;
}

/* Under the guard: everybody who stands in line. */
static inline struct ri_batch ri_batch_take(struct rota_line *line)
{
	struct ri_batch batch = { NULL, NULL };
	struct rota_place *place;

	while ((place = ri_line_take(line)))
		ri_batch_add(&batch, place);
	return batch;
}

/* Outside of the guard: serves them, in the order in which they were added. */
static inline void ri_batch_serve(const struct ri_batch *batch, int result)
{
	struct rota_node *node = batch->first;

	while (node) {
		struct rota_node *next = node->prev;

		ri_waiter_serve(
			ri_container(node, struct rota_place, link)->waiter,
			result);
		node = next;
	}
}

/* Serves everybody who stands in line; called with the guard entered, which it
 * leaves. */
static inline void ri_line_serve_all(struct rota_guard *guard,
				     struct rota_line *line, int result)
{
	const struct ri_batch batch = ri_batch_take(line);

	ri_guard_leave(guard);
	ri_batch_serve(&batch, result);
}

#endif
