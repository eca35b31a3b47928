/* SPDX-License-Identifier: MIT */
#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct node {
	struct rota_node link;
	struct rota_chain chain;
};

static void an_empty_list_gives_nothing(void **state)
{
	struct rota_node head;

	(void)state;
	ri_list_init(&head);
	assert_true(ri_list_empty(&head));
	assert_null(ri_list_take(&head));
}

static void what_is_appended_is_taken_in_that_order(void **state)
{
	struct rota_node head, nodes[3];

	(void)state;
	ri_list_init(&head);
	for (int i = 0; i < 3; i++)
		ri_list_append(&head, &nodes[i]);
	assert_false(ri_list_empty(&head));
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(ri_list_take(&head), &nodes[i]);
	assert_true(ri_list_empty(&head));
}

static void a_node_is_linked_until_it_is_removed(void **state)
{
	struct rota_node head, node = { 0 };

	(void)state;
	ri_list_init(&head);
	assert_false(ri_list_linked(&node));
	ri_list_append(&head, &node);
	assert_true(ri_list_linked(&node));
	ri_list_remove(&node);
	assert_false(ri_list_linked(&node));
	assert_true(ri_list_empty(&head));
}

/* Removes each of three in turn and sees the other two. */
static void a_node_is_removed_from_anywhere(void **state)
{
	(void)state;
	for (int removed = 0; removed < 3; removed++) {
		struct rota_node head, nodes[3];

		ri_list_init(&head);
		for (int i = 0; i < 3; i++)
			ri_list_append(&head, &nodes[i]);
		ri_list_remove(&nodes[removed]);
		for (int i = 0; i < 3; i++)
			if (i != removed)
				assert_ptr_equal(ri_list_take(&head),
						 &nodes[i]);
		assert_null(ri_list_take(&head));
	}
}

static void a_container_is_found_from_its_link(void **state)
{
	struct node node;

	(void)state;
	assert_ptr_equal(ri_container(&node.chain, struct node, chain), &node);
}

static void a_chain_is_walked_from_the_last_push(void **state)
{
	struct rota_chain *head = NULL, nodes[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		ri_chain_push(&head, &nodes[i]);
	assert_ptr_equal(head, &nodes[2]);
	assert_ptr_equal(head->next, &nodes[1]);
	assert_ptr_equal(head->next->next, &nodes[0]);
	assert_null(nodes[0].next);
}

static void a_node_is_removed_from_anywhere_in_a_chain(void **state)
{
	(void)state;
	for (int removed = 0; removed < 3; removed++) {
		struct rota_chain *head = NULL, nodes[3], *node;

		for (int i = 0; i < 3; i++)
			ri_chain_push(&head, &nodes[i]);
		ri_chain_remove(&nodes[removed]);
		assert_null(nodes[removed].back);
		node = head;
		for (int i = 2; i >= 0; i--) {
			if (i == removed)
				continue;
			assert_ptr_equal(node, &nodes[i]);
			assert_ptr_equal(*node->back, node);
			node = node->next;
		}
		assert_null(node);
	}
}

static void the_last_node_leaves_an_empty_chain(void **state)
{
	struct rota_chain *head = NULL, node;

	(void)state;
	ri_chain_push(&head, &node);
	ri_chain_remove(&node);
	assert_null(head);
}

static void nodes_are_removed_one_after_the_other(void **state)
{
	struct rota_chain *head = NULL, nodes[3];

	(void)state;
	for (int i = 0; i < 3; i++)
		ri_chain_push(&head, &nodes[i]);
	ri_chain_remove(&nodes[1]);
	ri_chain_remove(&nodes[0]);
	assert_ptr_equal(head, &nodes[2]);
	assert_null(head->next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_list_gives_nothing),
		cmocka_unit_test(what_is_appended_is_taken_in_that_order),
		cmocka_unit_test(a_node_is_linked_until_it_is_removed),
		cmocka_unit_test(a_node_is_removed_from_anywhere),
		cmocka_unit_test(a_container_is_found_from_its_link),
		cmocka_unit_test(a_chain_is_walked_from_the_last_push),
		cmocka_unit_test(a_node_is_removed_from_anywhere_in_a_chain),
		cmocka_unit_test(the_last_node_leaves_an_empty_chain),
		cmocka_unit_test(nodes_are_removed_one_after_the_other),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
