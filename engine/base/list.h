/* SPDX-License-Identifier: MIT */
/*
 * Intrusive links. Nothing here allocates, so nothing here fails.
 *
 *   ri_list   a ring of rota_node round a head: O(1) removal from anywhere
 *   ri_chain  a chain of rota_chain under a plain pointer: half the head, O(1)
 *             removal from anywhere, no walk backwards
 *
 * A node that is on no list has next == NULL (back == NULL on no chain): that
 * is how "is it linked?" is answered without a flag of its own.
 */
#ifndef RI_BASE_LIST_H
#define RI_BASE_LIST_H

#include "rota/link.h"

#include <stdbool.h>
#include <stddef.h>

#define ri_container(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline void ri_list_init(struct rota_node *head)
{
	head->next = head;
	head->prev = head;
}

static inline bool ri_list_empty(const struct rota_node *head)
{
	return head->next == head;
}

static inline bool ri_list_linked(const struct rota_node *node)
{
	return node->next != NULL;
}

static inline void ri_list_append(struct rota_node *head,
				  struct rota_node *node)
{
	struct rota_node *last = head->prev;

	node->next = head;
	node->prev = last;
	last->next = node;
	head->prev = node;
}

static inline void ri_list_remove(struct rota_node *node)
{
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = NULL;
}

/* Takes the first node off; NULL from an empty list. */
static inline struct rota_node *ri_list_take(struct rota_node *head)
{
	struct rota_node *node = head->next;

	if (node == head)
		return NULL;
	ri_list_remove(node);
	return node;
}

static inline void ri_chain_push(struct rota_chain **head,
				 struct rota_chain *node)
{
	struct rota_chain *first = *head;

	node->next = first;
	node->back = head;
	if (first)
		first->back = &node->next;
	*head = node;
}

static inline void ri_chain_remove(struct rota_chain *node)
{
	struct rota_chain *next = node->next;

	*node->back = next;
	if (next)
		next->back = node->back;
	node->back = NULL;
}

#endif
