/* SPDX-License-Identifier: MIT */
/*
 * A queue of intrusive nodes, one pointer a node: first in, first out, no
 * removal from the middle. The ready queue of a loop is one.
 *
 * `tail` points to the link that the next node is written to, so appending
 * has no branch.
 */
#ifndef RI_BASE_FIFO_H
#define RI_BASE_FIFO_H

#include <stdbool.h>
#include <stddef.h>

struct ri_fifo_node {
	struct ri_fifo_node *next; /* the one behind, NULL at the end */
};

struct ri_fifo {
	struct ri_fifo_node *head;  /* the first, NULL when empty */
	struct ri_fifo_node **tail; /* where the next one is linked */
};

static inline void ri_fifo_init(struct ri_fifo *fifo)
{
	fifo->head = NULL;
	fifo->tail = &fifo->head;
}

static inline bool ri_fifo_empty(const struct ri_fifo *fifo)
{
	return fifo->head == NULL;
}

static inline void ri_fifo_push(struct ri_fifo *fifo, struct ri_fifo_node *node)
{
	node->next = NULL;
	*fifo->tail = node;
	fifo->tail = &node->next;
}

/* Takes the first node off; NULL from an empty queue. */
static inline struct ri_fifo_node *ri_fifo_take(struct ri_fifo *fifo)
{
	struct ri_fifo_node *node = fifo->head;

	if (!node)
		return NULL;
	fifo->head = node->next;
	if (!fifo->head)
		fifo->tail = &fifo->head;
	return node;
}

#endif
