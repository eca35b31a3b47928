/* SPDX-License-Identifier: MIT */
#include "support/weave.h"

#include "base/check.h"
#include "ring/linux.h"
#include "support/met.h"

#include <string.h>

enum act {
	ACT_STEP,
	ACT_SURPRISE,
	ACT_SHOW
};

/* One thing that can happen next. */
struct action {
	uint8_t thread;
	uint8_t act;   /* enum act */
	uint8_t index; /* of a held store to show */
};

#define ACTIONS_MAX (WEAVE_THREADS_MAX * (2 + WEAVE_HELD_MAX))

/* A choice that was made. */
struct node {
	struct action action; /* this one */
	uint8_t taken;        /* the so manyth */
	uint8_t count;        /* of so many */
	bool listed;          /* `action` is it; else it is to be listed */
};

/* What is of one weave_all() only. */
static struct {
	struct weave *weave;      /* NULL: none */
	struct weave_thread *now; /* whose step it is; NULL: the weaver */
	struct ri_fiber weaver;   /* goes through the orders */
	struct ri_stacks stacks;  /* of the threads */
	unsigned class;           /* of them */
	uint64_t control;         /* words that they start with */
	bool over;                /* the run is: threads only end */
	unsigned surprises;       /* left in this run */
	unsigned known;           /* choices of the path */
	struct node path[WEAVE_STEPS_MAX];
	struct test_met met; /* the states */
} all;

static uint64_t peek(const struct weave_word *word)
{
	switch (word->bytes) {
	case 1:
		return *(const volatile uint8_t *)word->address;
	case 4:
		return *(const volatile uint32_t *)word->address;
	default:
		return *(const volatile uint64_t *)word->address;
	}
}

static void poke(const struct weave_word *word, uint64_t value)
{
	switch (word->bytes) {
	case 1:
		*(volatile uint8_t *)word->address = (uint8_t)value;
		break;
	case 4:
		*(volatile uint32_t *)word->address = (uint32_t)value;
		break;
	default:
		*(volatile uint64_t *)word->address = value;
		break;
	}
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	hash = (hash + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
	hash = ((hash ^ hash >> 30) + value) * 0x94d049bb133111eb;
	return hash ^ hash >> 27;
}

/* Which word it is; word_count: none that is shared. */
static unsigned find_word(const void *address)
{
	const struct weave *weave = all.weave;
	unsigned i = 0;

	while (i < weave->word_count && weave->words[i].address != address)
		i++;
	return i;
}

/* The word of an access by a thread that is woven; NULL: it is no step. */
static const struct weave_word *shared(const void *address)
{
	unsigned word;

	if (!all.weave || !all.now || all.over)
		return NULL;
	word = find_word(address);
	return word < all.weave->word_count ? &all.weave->words[word] : NULL;
}

/* A store becomes visible. */
static void show(const struct weave_thread *thread,
		 const struct weave_word *word, uint64_t value)
{
	const struct weave *weave = all.weave;
	struct weave_word before = *word;

	before.value = peek(word);
	poke(word, value);
	if (weave->changed && !all.over)
		weave->changed(weave->world,
			       (unsigned)(thread - weave->threads), &before);
}

/* The thread that runs leaves the step before this one, and comes back when
 * this one is chosen. */
static struct weave_thread *step(enum weave_need need, const void *address)
{
	struct weave_thread *thread = all.now;

	thread->need = need;
	thread->word = address ? find_word(address) : 0;
	ri_fiber_switch(&thread->fiber, &all.weaver, false);
	return thread;
}

static void remember(struct weave_thread *thread, uint64_t value)
{
	thread->memory = mix(thread->memory, value);
}

static bool is_release(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_ACQ_REL ||
	       order == __ATOMIC_SEQ_CST;
}

/* The newest of its own stores to this word; NULL: none. */
static const struct weave_held *own(const struct weave_thread *thread,
				    unsigned word)
{
	for (unsigned i = thread->held_count; i-- > 0;)
		if (thread->held[i].word == word)
			return &thread->held[i];
	return NULL;
}

static void hold(struct weave_thread *thread, const struct weave_word *access,
		 bool exclusive)
{
	ri_check(thread->held_count < WEAVE_HELD_MAX, "too many stores");
	thread->held[thread->held_count++] = (struct weave_held){
		.word = find_word(access->address),
		.release = is_release(access->order),
		.exclusive = exclusive,
		.value = access->value,
	};
}

uint64_t weave_load(const struct weave_word *access)
{
	const struct weave_word *word = shared(access->address);
	const struct weave_held *held;
	struct weave_thread *thread;
	uint64_t value;

	if (!word)
		return peek(access);
	thread = step(access->order == __ATOMIC_SEQ_CST && !all.now->deaf
			      ? WEAVE_DRAINED
			      : WEAVE_NOTHING,
		      access->address);
	held = own(thread, thread->word);
	value = held ? held->value : peek(word);
	remember(thread, value);
	return value;
}

void weave_store(const struct weave_word *access)
{
	const struct weave_word *word = shared(access->address);
	struct weave_thread *thread;

	if (!word) {
		poke(access, access->value);
		return;
	}
	thread = step(WEAVE_NOTHING, access->address);
	if (all.over || all.weave->machine == WEAVE_STRONG)
		show(thread, word, access->value);
	else
		hold(thread, access, false);
	remember(thread, access->value);
}

/* Reads and writes in one, if it is what is expected or that is NULL. */
static bool modify(const struct weave_word *access, const uint64_t *expected,
		   uint64_t *found)
{
	const struct weave_word *word = shared(access->address);
	struct weave_thread *thread = NULL;
	bool done;

	if (word)
		thread = step(WEAVE_WRITABLE, access->address);
	*found = peek(access);
	done = !expected || *found == *expected;
	if (thread && !done)
		thread->memory = mix(mix(thread->base, access->value), *found);
	else if (thread)
		remember(thread, *found);
	if (!done)
		return false;
	if (!word)
		poke(access, access->value);
	else if (!all.over && all.weave->machine == WEAVE_WEAK)
		hold(thread, access, true);
	else
		show(thread, word, access->value);
	return true;
}

uint64_t weave_exchange(const struct weave_word *access)
{
	uint64_t found;

	modify(access, NULL, &found);
	return found;
}

bool weave_compare(const struct weave_word *access, uint64_t *expected)
{
	const uint64_t wanted = *expected;

	return modify(access, &wanted, expected);
}

void weave_fence(int order)
{
	if (!all.weave || !all.now || all.over || all.now->deaf)
		return;
	ri_check(order == __ATOMIC_SEQ_CST, "only that is woven");
	remember(step(WEAVE_DRAINED, NULL), 0);
}

void weave_signal(uint32_t *signals)
{
	const struct weave_word *word = shared(signals);
	struct weave_thread *thread;

	if (!word)
		return;
	thread = step(WEAVE_DRAINED, signals);
	remember(thread, 0);
	show(thread, word, peek(word) + 1);
}

bool weave_wait(uint32_t *signals)
{
	const struct weave_word *word = shared(signals);
	struct weave_thread *thread;

	if (!word)
		return false;
	all.now->surprised = false;
	thread = step(WEAVE_NOT_ZERO, signals);
	remember(thread, thread->surprised);
	if (!thread->surprised)
		show(thread, word, 0);
	return !thread->surprised;
}

void weave_lock(uint32_t *lock)
{
	const struct weave_word *word = shared(lock);
	struct weave_thread *thread;

	if (!word)
		return;
	thread = step(WEAVE_ZERO, lock);
	remember(thread, 0);
	show(thread, word, 1);
}

void weave_unlock(uint32_t *lock)
{
	weave_store(&(struct weave_word){ .address = lock,
					  .bytes = sizeof(*lock),
					  .order = __ATOMIC_RELEASE });
}

void weave_fail(const char *wrong)
{
	if (all.weave && !all.weave->wrong && !all.over)
		all.weave->wrong = wrong;
}

bool weave_over(void)
{
	return all.over;
}

void weave_forget(uint64_t but)
{
	if (all.now)
		all.now->memory = all.now->base = mix(1, but);
}

bool weave_waits(unsigned thread, const void *address)
{
	const struct weave_thread *asked = &all.weave->threads[thread];

	return !asked->ended && asked->need == WEAVE_NOT_ZERO &&
	       asked->word == find_word(address);
}

/* Does somebody else keep this word to himself? */
static bool excluded(const struct weave_thread *thread, unsigned word)
{
	for (unsigned i = 0; i < all.weave->thread_count; i++) {
		const struct weave_thread *other = &all.weave->threads[i];

		for (unsigned n = 0; n < other->held_count; n++)
			if (other != thread && other->held[n].exclusive &&
			    other->held[n].word == word)
				return true;
	}
	return false;
}

static bool may_step(const struct weave_thread *thread)
{
	const struct weave_word *word = &all.weave->words[thread->word];

	switch (thread->need) {
	case WEAVE_DRAINED:
		return !thread->held_count;
	case WEAVE_WRITABLE:
		return all.weave->machine == WEAVE_WEAK
			       ? !own(thread, thread->word) &&
					 !excluded(thread, thread->word)
			       : !thread->held_count;
	case WEAVE_ZERO:
		return !own(thread, thread->word) && !peek(word);
	case WEAVE_NOT_ZERO:
		return peek(word);
	default:
		return true;
	}
}

static bool may_show(const struct weave_thread *thread, unsigned index)
{
	const struct weave_held *held = &thread->held[index];

	if (index && (held->release || all.weave->machine != WEAVE_WEAK))
		return false;
	for (unsigned i = 0; i < index; i++)
		if (thread->held[i].word == held->word)
			return false;
	return !excluded(thread, held->word);
}

/* Everything that can happen next. */
static unsigned list_actions(struct action *actions)
{
	unsigned count = 0;

	for (uint8_t i = 0; i < all.weave->thread_count; i++) {
		const struct weave_thread *thread = &all.weave->threads[i];

		if (!thread->ended && may_step(thread))
			actions[count++] = (struct action){ i, ACT_STEP, 0 };
		if (!thread->ended && thread->need == WEAVE_NOT_ZERO &&
		    all.surprises)
			actions[count++] =
				(struct action){ i, ACT_SURPRISE, 0 };
		for (uint8_t n = 0; n < thread->held_count; n++)
			if (may_show(thread, n))
				actions[count++] =
					(struct action){ i, ACT_SHOW, n };
	}
	return count;
}

static void show_held(struct weave_thread *thread, unsigned index)
{
	const struct weave_held held = thread->held[index];

	thread->held_count--;
	memmove(&thread->held[index], &thread->held[index + 1],
		(thread->held_count - index) * sizeof(held));
	show(thread, &all.weave->words[held.word], held.value);
}

static void resume(struct weave_thread *thread)
{
	all.now = thread;
	ri_fiber_switch(&all.weaver, &thread->fiber, false);
	all.now = NULL;
}

static void act(struct action action)
{
	struct weave_thread *thread = &all.weave->threads[action.thread];

	if (action.act == ACT_SHOW) {
		show_held(thread, action.index);
		return;
	}
	if (action.act == ACT_SURPRISE) {
		thread->surprised = true;
		all.surprises--;
	}
	resume(thread);
}

static void thread_main(void *argument)
{
	struct weave_thread *thread = argument;

	ri_fiber_land(&thread->fiber);
	thread->run(all.weave->world);
	thread->ended = true;
	ri_fiber_switch(&thread->fiber, &all.weaver, true);
}

/* Up to its first step. */
static void start(struct weave_thread *thread)
{
	thread->held_count = 0;
	thread->ended = false;
	thread->memory = thread->base = 0;
	memset(&thread->fiber, 0, sizeof(thread->fiber));
	ri_fiber_mount(&thread->fiber, ri_stacks_take(&all.stacks, all.class));
	all.now = thread;
	ri_fiber_start(&all.weaver, &thread->fiber, thread_main, thread,
		       &all.control, false);
	all.now = NULL;
}

/* Lets all of them end. */
static void finish(void)
{
	struct weave *weave = all.weave;

	all.over = true;
	for (unsigned i = 0; i < weave->thread_count; i++)
		while (weave->threads[i].held_count)
			show_held(&weave->threads[i], 0);
	for (unsigned i = 0; i < weave->thread_count; i++) {
		struct weave_thread *thread = &weave->threads[i];

		thread->surprised = true;
		while (!thread->ended)
			resume(thread);
		ri_stacks_give(&all.stacks, all.class, thread->fiber.stack);
	}
	all.over = false;
}

static uint64_t hash_state(void)
{
	const struct weave *weave = all.weave;
	uint64_t hash = all.surprises;

	for (unsigned i = 0; i < weave->word_count; i++)
		hash = mix(hash, peek(&weave->words[i]));
	for (unsigned i = 0; i < weave->thread_count; i++) {
		const struct weave_thread *thread = &weave->threads[i];

		hash = mix(hash, thread->memory);
		hash = mix(hash, thread->held_count);
		for (unsigned n = 0; n < thread->held_count; n++) {
			hash = mix(hash, thread->held[n].word);
			hash = mix(hash, thread->held[n].value);
		}
	}
	return hash ? hash : 1;
}

/* What is done at this depth; false: nothing, here the run ends. */
static bool choose(unsigned depth)
{
	struct node *node = &all.path[depth];
	struct action actions[ACTIONS_MAX];
	unsigned count;

	if (depth < all.known && node->listed)
		return true;
	count = list_actions(actions);
	if (depth == all.known) {
		if (!count)
			all.weave->wrong = all.weave->end(all.weave->world);
		if (!count || !test_met_add(&all.met, hash_state()))
			return false;
		*node = (struct node){ .count = (uint8_t)count };
		all.known++;
	}
	node->action = actions[node->taken];
	node->listed = true;
	return true;
}

/* One run: by the path, then on to the end or to a state that was met. */
static void run(void)
{
	for (unsigned depth = 0; !all.weave->wrong; depth++) {
		if (depth == WEAVE_STEPS_MAX)
			weave_fail("goes round without an end");
		else if (!choose(depth))
			return;
		else
			act(all.path[depth].action);
	}
}

/* The next path that was not tried; false: there is none. */
static bool next_path(void)
{
	while (all.known) {
		struct node *last = &all.path[all.known - 1];

		last->listed = false;
		if (++last->taken < last->count)
			return true;
		all.known--;
	}
	return false;
}

static void open_all(struct weave *weave)
{
	const struct ri_log log = { 0 };

	ri_check(!all.weave, "one at a time");
	all.weave = weave;
	all.known = 0;
	all.control = ri_switch_control();
	all.class = (unsigned)ri_stacks_class(RI_STACK_BYTES_DEFAULT);
	ri_stacks_init(&all.stacks, &ri_kernel_linux, &log, false);
	for (unsigned i = 0; i < weave->thread_count; i++)
		ri_check(!ri_stacks_reserve(&all.stacks, all.class), "memory");
	ri_fiber_init_thread(&all.weaver);
	test_met_init(&all.met);
}

static void close_all(void)
{
	for (unsigned i = 0; i < all.weave->thread_count; i++)
		ri_stacks_unreserve(&all.stacks, all.class);
	ri_stacks_fini(&all.stacks);
	all.weave->states = (unsigned)all.met.count;
	test_met_fini(&all.met);
	all.weave = NULL;
}

bool weave_all(struct weave *weave)
{
	weave->wrong = NULL;
	weave->runs = 0;
	open_all(weave);
	do {
		all.surprises = weave->surprises;
		weave->begin(weave->world);
		for (unsigned i = 0; i < weave->thread_count; i++)
			start(&weave->threads[i]);
		run();
		finish();
		weave->runs++;
	} while (!weave->wrong && next_path());
	close_all();
	return !weave->wrong;
}
