/* SPDX-License-Identifier: MIT */
/*
 * Stories of scopes in scopes that chance makes: many layers in one task, many
 * groups in a tree, cancelled in any order. What should hold is told by models
 * of a few lines. The scenarios are from the tests of Go's context.
 */
#include "rota/rota.h"
#include "support/random.h"
#include "support/story.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LAYERS 32

enum layer_kind {
	GROUP,
	DEADLINE,
	SHIELD,
	IDLE,
	CALLBACK,
	LAYER_KINDS
};

struct layers {
	struct test_random random;
	uint8_t kinds[LAYERS];
	int64_t times_ns[LAYERS];          /* of those that are deadlines */
	struct rota_group *groups[LAYERS]; /* of those that are groups */
	int hit;               /* which is cancelled; -1: time passes */
	int codes[LAYERS + 1]; /* in each, and around them all */
	bool came[LAYERS];     /* the deadline did */
	bool called[LAYERS];   /* the callback was */
	bool kept[LAYERS + 1]; /* what is inherited was still there */
};

static void set_flag(void *arg)
{
	*(bool *)arg = true;
}

static void add_layer(struct layers *layers, int at);

/* What is known in layer `at` of how things went. */
static void look(struct layers *layers, int at)
{
	layers->codes[at] = rota_cancelled();
	layers->kept[at] = rota_task_inherited() == layers;
}

static void add_group(struct layers *layers, int at)
{
	struct rota_group group;

	rota_group_open(&group, NULL);
	layers->groups[at] = &group;
	add_layer(layers, at + 1);
	look(layers, at);
	(void)rota_group_wait(&group);
}

static void add_deadline(struct layers *layers, int at)
{
	struct rota_deadline deadline;

	rota_deadline_begin(&deadline, TEST_START_NS + layers->times_ns[at]);
	add_layer(layers, at + 1);
	look(layers, at);
	layers->came[at] = rota_deadline_end(&deadline);
}

static void add_shield(struct layers *layers, int at)
{
	struct rota_shield shield;

	rota_shield_begin(&shield, ROTA_NEVER);
	add_layer(layers, at + 1);
	look(layers, at);
	layers->came[at] = rota_shield_end(&shield);
}

static void add_idle(struct layers *layers, int at)
{
	struct rota_idle idle;

	rota_idle_begin(&idle);
	add_layer(layers, at + 1);
	look(layers, at);
	layers->came[at] = rota_idle_end(&idle);
}

static void add_callback(struct layers *layers, int at)
{
	struct rota_callback callback;

	rota_callback_begin(&callback, set_flag, &layers->called[at]);
	add_layer(layers, at + 1);
	look(layers, at);
	layers->came[at] = rota_callback_end(&callback);
}

/* The innermost: what happens, and time for it. */
static void happen(struct layers *layers)
{
	struct rota_shield shield;
	int code;

	if (layers->hit >= 0)
		rota_group_cancel(layers->groups[layers->hit],
				  (struct rota_cancellation){ -EPIPE, NULL });
	rota_shield_begin(&shield, ROTA_NEVER);
	code = rota_sleep(layers->hit >= 0 ? 1 : 10000);
	if (code)
		layers->codes[LAYERS] = code;
	rota_shield_end(&shield);
}

static void add_layer(struct layers *layers, int at)
{
	static void (*const add[])(struct layers *, int) = {
		add_group, add_deadline, add_shield, add_idle, add_callback,
	};

	if (at == LAYERS)
		happen(layers);
	else
		add[layers->kinds[at]](layers, at);
}

static int stack_layers(void *arg)
{
	struct layers *layers = arg;

	rota_task_set_inherited(layers);
	add_layer(layers, 0);
	layers->codes[LAYERS] |= rota_cancelled();
	layers->kept[LAYERS] = rota_task_inherited() == layers;
	return 0;
}

/* Deadlines at points in time that differ. */
static void choose_layers(struct layers *layers, bool by_time)
{
	for (int i = 0; i < LAYERS; i++) {
		layers->kinds[i] = (uint8_t)test_random_below(&layers->random,
							      LAYER_KINDS);
		layers->times_ns[i] = LAYERS * (int64_t)test_random_below(
						       &layers->random, 200) +
				      i + 100;
	}
	layers->hit = -1;
	if (by_time)
		return;
	layers->hit = (int)test_random_below(&layers->random, LAYERS);
	layers->kinds[layers->hit] = GROUP;
}

/* The model: the layer whose end is felt first in layer `at`; -1: none. */
static int felt_from(const struct layers *layers, int at)
{
	int first = -1;

	for (int i = at; i >= 0; i--) {
		const bool timed = layers->hit < 0 &&
				   layers->kinds[i] == DEADLINE;

		if (i == layers->hit)
			first = i;
		if (timed && (first < 0 ||
			      layers->times_ns[i] < layers->times_ns[first]))
			first = i;
		if (layers->kinds[i] == SHIELD)
			break;
	}
	return first;
}

static void check_layer(const struct layers *layers, int at)
{
	const int from = felt_from(layers, at);
	const int code = layers->hit >= 0 ? -ECANCELED : -ETIME;
	const enum layer_kind kind = layers->kinds[at];

	assert_int_equal(layers->codes[at], from < 0 ? 0 : code);
	assert_true(layers->kept[at]);
	if (kind == DEADLINE)
		assert_int_equal(layers->came[at],
				 from == at && layers->hit < 0);
	else if (kind == CALLBACK)
		assert_int_equal(layers->came[at], from < 0);
	else
		assert_false(layers->came[at]);
	assert_int_equal(layers->called[at], kind == CALLBACK && from >= 0);
}

static void run_layers(bool by_time)
{
	struct test_random random;

	test_random_init(&random);
	for (unsigned round = test_rounds(300); round; round--) {
		struct layers layers = { .hit = -1 };

		test_random_seed(&layers.random, test_random_next(&random));
		choose_layers(&layers, by_time);
		assert_int_equal(test_run_timed(stack_layers, &layers), 0);
		for (int at = 0; at < LAYERS; at++)
			check_layer(&layers, at);
		assert_int_equal(layers.codes[LAYERS], 0);
		assert_true(layers.kept[LAYERS]);
	}
}

static void
of_any_layers_a_cancel_ends_those_inside_up_to_a_shield(void **state)
{
	(void)state;
	run_layers(false);
}

static void of_any_layers_time_ends_those_inside_up_to_a_shield(void **state)
{
	(void)state;
	run_layers(true);
}

/* A tree of groups: each node is a task with a group for the nodes below it and
 * for one leaf. */
#define BRANCHES 4
#define NODES (1 + 4 + 16 + 64)

struct node {
	struct tree *tree;
	struct rota_group group;
	int order;   /* when its group is cancelled */
	int seen;    /* the cause in its leaf */
	int code;    /* what its leaf's verb said */
	int outcome; /* of its group */
};

struct tree {
	struct node nodes[NODES]; /* the children of i are at 4 i + 1 */
	unsigned open;            /* nodes that have all below them */
	struct test_random random;
};

static int hang_on(void *value)
{
	struct node *node = *(struct node **)value;

	node->code = rota_sleep_until(ROTA_NEVER);
	node->seen = rota_cause().error;
	return node->code;
}

static int grow(void *value)
{
	struct node *node = *(struct node **)value;
	struct tree *tree = node->tree;
	const unsigned at = (unsigned)(node - tree->nodes);
	int error;

	rota_group_open(&node->group, NULL);
	error = rota_go(&node->group, hang_on, node);
	for (unsigned i = 1; i <= BRANCHES; i++)
		if (BRANCHES * at + i < NODES)
			error |= rota_go(&node->group, grow,
					 &tree->nodes[BRANCHES * at + i]);
	tree->open++;
	node->outcome = rota_group_wait(&node->group);
	return error;
}

/* Errors tell the order: -1 is the first. */
static int cancel_in_any_order(void *arg)
{
	struct tree *tree = arg;
	struct rota_group group;
	int error;

	rota_group_open(&group, NULL);
	error = rota_go(&group, grow, &tree->nodes[0]);
	error |= rota_sleep(1);
	for (int order = 1; order <= NODES; order++) {
		struct node *node;

		do
			node = &tree->nodes[test_random_below(&tree->random,
							      NODES)];
		while (node->order);
		node->order = order;
		rota_group_cancel(&node->group,
				  (struct rota_cancellation){ -order, NULL });
	}
	return rota_group_wait(&group) | error;
}

/* The model: the first cancel of the node or of one above it. */
static int first_cancel(const struct tree *tree, int at)
{
	int first = tree->nodes[at].order;

	while (at) {
		at = (at - 1) / BRANCHES;
		if (tree->nodes[at].order < first)
			first = tree->nodes[at].order;
	}
	return -first;
}

static void of_cancels_all_over_a_tree_each_leaf_sees_its_first(void **state)
{
	static struct tree tree;
	struct test_random random;

	(void)state;
	test_random_init(&random);
	for (unsigned round = test_rounds(20); round; round--) {
		memset(&tree, 0, sizeof(tree));
		test_random_seed(&tree.random, test_random_next(&random));
		for (int i = 0; i < NODES; i++)
			tree.nodes[i].tree = &tree;
		assert_int_equal(test_run_timed(cancel_in_any_order, &tree), 0);
		assert_int_equal(tree.open, NODES);
		for (int i = 0; i < NODES; i++) {
			const int cause = first_cancel(&tree, i);

			assert_int_equal(tree.nodes[i].code, -ECANCELED);
			assert_int_equal(tree.nodes[i].seen, cause);
			assert_int_equal(tree.nodes[i].outcome, cause);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			of_any_layers_a_cancel_ends_those_inside_up_to_a_shield),
		cmocka_unit_test(
			of_any_layers_time_ends_those_inside_up_to_a_shield),
		cmocka_unit_test(
			of_cancels_all_over_a_tree_each_leaf_sees_its_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
