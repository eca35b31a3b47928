/* SPDX-License-Identifier: MIT */
/*
 * The buffers that streams share, against a small model of them.
 */
#include "support/buffers.h"
#include "support/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BYTES 100u

/* What is known without the kernel: which are in the ring, in which order, and
 * which are out, with what in them. */
#define MODEL_MAX 256u

struct model {
	uint16_t ring[MODEL_MAX]; /* the next one first */
	unsigned in_ring;
	uint16_t out[MODEL_MAX];
	unsigned char bytes[MODEL_MAX]; /* of those that are out */
	unsigned outs;
	uint16_t spare[MODEL_MAX]; /* the top one last */
	unsigned spares;
	unsigned made, max;
	unsigned count, due; /* to be there at most, and so far */
	unsigned lent;
};

static void model_fill(struct model *model)
{
	while (model->in_ring + model->outs < model->due + model->lent) {
		uint16_t id;

		if (model->spares)
			id = model->spare[--model->spares];
		else if (model->made < model->max)
			id = (uint16_t)model->made++;
		else
			return;
		model->ring[model->in_ring++] = id;
	}
}

static void model_init(struct model *model, const struct ri_buffers *buffers)
{
	memset(model, 0, sizeof(*model));
	model->max = buffers->max;
	model->count = buffers->count;
	model->due = model->count < 32 ? model->count : 32;
	model_fill(model);
}

static void model_grow(struct model *model)
{
	if (model->in_ring >= model->due / 4)
		return;
	model->due *= 2;
	if (model->due > model->count)
		model->due = model->count;
	model_fill(model);
}

static void play_land(struct test_buffers *test, struct model *model,
		      struct test_random *random)
{
	const unsigned char byte = (unsigned char)test_random_next(random);
	const int id = test_buffers_land(test, &byte, 1);
	const unsigned i = model->outs;
	char rest;

	if (!model->in_ring) {
		assert_int_equal(id, -ENOBUFS);
		assert_int_equal(read(test->pair[0], &rest, 1), 1);
		return;
	}
	assert_int_equal(id, model->ring[0]);
	memmove(model->ring, model->ring + 1,
		--model->in_ring * sizeof(model->ring[0]));
	model->out[i] = (uint16_t)id;
	model->bytes[i] = byte;
	model->outs++;
	model_grow(model);
}

static void play_give(struct test_buffers *test, struct model *model,
		      struct test_random *random)
{
	unsigned i;
	uint16_t id;

	if (!model->outs)
		return;
	i = (unsigned)test_random_below(random, model->outs);
	id = model->out[i];
	assert_int_equal(*(unsigned char *)ri_buffers_at(&test->buffers, id),
			 model->bytes[i]);
	ri_buffers_give(&test->buffers, id);
	model->outs--;
	model->out[i] = model->out[model->outs];
	model->bytes[i] = model->bytes[model->outs];
	if (model->in_ring + model->outs < model->due + model->lent)
		model->ring[model->in_ring++] = id;
	else
		model->spare[model->spares++] = id;
}

static void play_lend(struct test_buffers *test, struct model *model,
		      struct test_random *random)
{
	unsigned count = 1 + (unsigned)test_random_below(random, 9);

	for (; count && model->lent < model->max; count--) {
		ri_buffers_lend(&test->buffers);
		model->lent++;
		model_fill(model);
	}
}

static void play_settle(struct test_buffers *test, struct model *model,
			struct test_random *random)
{
	unsigned count = 1 + (unsigned)test_random_below(random, 9);

	for (; count && model->lent; count--) {
		ri_buffers_settle(&test->buffers);
		model->lent--;
	}
}

typedef void play_fn(struct test_buffers *test, struct model *model,
		     struct test_random *random);

static void whatever_is_done_agrees_with_a_model(void **state)
{
	static play_fn *const plays[] = { play_land,  play_land, play_land,
					  play_give,  play_give, play_lend,
					  play_settle };
	struct test_buffers *test = *state;
	struct ri_buffers *buffers = &test->buffers;
	struct test_random random;
	struct model model;

	test_random_init(&random);
	for (unsigned round = test_rounds(40); round; round--) {
		const unsigned bias = (unsigned)test_random_below(&random, 7);

		assert_int_equal(
			test_buffers_open(
				test,
				1 + (unsigned)test_random_below(&random, 64),
				BYTES),
			0);
		model_init(&model, buffers);
		for (unsigned step = 0; step < 1000; step++) {
			const unsigned dice =
				(unsigned)test_random_below(&random, 10);

			plays[dice < 7 ? dice : bias](test, &model, &random);
			assert_int_equal(buffers->wanted,
					 model.due + model.lent);
			test_buffers_expect(buffers, model.in_ring, model.outs,
					    model.spares);
		}
		while (model.outs)
			play_give(test, &model, &random);
		ri_buffers_close(buffers, &test->ring);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_BUFFERS(whatever_is_done_agrees_with_a_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
