/* SPDX-License-Identifier: MIT */
#include "task/remote.h"

#include "task/drain.h"
#include "task/group.h"
#include "task/slot.h"

#include <errno.h>
#include <string.h>

/* How soon a parcel that found no room is tried again: 100 looks a second are
 * no load. */
#define RETRY_NS ((int64_t)10000000)

/* One block, in whole cache lines. */
static size_t block_bytes(const struct ri_tasks *tasks)
{
	return sizeof(struct ri_remote) +
	       tasks->peers->count * sizeof(struct ri_proxy);
}

static unsigned blocks_max(const struct ri_tasks *tasks)
{
	const size_t most = RI_REMOTES_BYTES / block_bytes(tasks);

	return most < RI_REMOTES_MAX ? (unsigned)most : RI_REMOTES_MAX;
}

int ri_remotes_init(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	void *start;
	const int error = kernel->map(
		kernel, blocks_max(tasks) * block_bytes(tasks), &start);

	if (!error)
		tasks->remotes.slab = start;
	return error;
}

void ri_remotes_fini(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	if (tasks->remotes.slab)
		kernel->unmap(kernel, tasks->remotes.slab,
			      blocks_max(tasks) * block_bytes(tasks));
}

/* The group is about to have members elsewhere. 0, -EAGAIN at the bound. */
static int open_remote(struct ri_tasks *tasks, struct rota_group *group)
{
	struct ri_remotes *remotes = &tasks->remotes;
	struct ri_remote *remote = remotes->free;

	if (remote)
		remotes->free = remote->next;
	else if (remotes->made == blocks_max(tasks))
		return -EAGAIN;
	else
		remote = (void *)(remotes->slab +
				  remotes->made++ * block_bytes(tasks));
	remote->tasks = tasks;
	remote->group = group;
	remote->generation++;
	remote->away = 0;
	remote->orders = 0;
	remote->everywhere = false;
	/* pairs with ri_remote_proxy, on other loops */
	__atomic_store_n(&group->remote, remote, __ATOMIC_RELEASE);
	return 0;
}

void ri_remote_close(struct ri_tasks *tasks, struct rota_group *group)
{
	struct ri_remote *remote = group->remote;

	ri_assert(!remote->away && !remote->orders,
		  "%u members and %u orders are elsewhere", remote->away,
		  remote->orders);
	group->remote = NULL;
	remote->next = tasks->remotes.free;
	tasks->remotes.free = remote;
}

/* A parcel of this loop, filled in. NULL at the bound. */
static struct ri_parcel *pack(struct ri_tasks *tasks, struct rota_group *group,
			      const struct ri_parcel *what)
{
	struct ri_parcel *parcel;

	if (!group->remote && open_remote(tasks, group) < 0)
		return NULL;
	parcel = ri_parcel_take(tasks);
	if (!parcel)
		return NULL;
	parcel->mail.deliver = ri_parcel_arrived;
	parcel->group = group;
	parcel->fn = what->fn;
	parcel->site = what->site;
	parcel->inherited = what->inherited;
	parcel->counted = what->counted;
	memcpy(parcel->value, what->value, what->site->value_bytes);
	group->remote->away++;
	return parcel;
}

static void send_order(struct ri_remote *remote, struct ri_proxy *proxy,
		       bool tell);

/* It is about to get a member. Of a drain that has been here before, the first
 * one has to know. */
static void use(struct ri_remote *remote, struct ri_proxy *proxy)
{
	if (proxy->used == remote->generation)
		return;
	proxy->used = remote->generation;
	if (remote->group->scope.marks & RI_MARK_DRAINED &&
	    proxy != &remote->proxies[remote->tasks->loop.index])
		send_order(remote, proxy, false);
}

/* Any of them may get one. */
static void use_all(struct ri_remote *remote)
{
	if (remote->everywhere)
		return;
	remote->everywhere = true;
	for (unsigned i = 0; i < remote->tasks->peers->count; i++)
		use(remote, &remote->proxies[i]);
}

/* As far as it has told: it does once a turn, before it looks at what is
 * spread. */
static bool is_full(const struct ri_tasks *tasks)
{
	return __atomic_load_n(&tasks->loop.load, __ATOMIC_RELAXED) >=
	       tasks->max;
}

int ri_remote_send(struct ri_tasks *tasks, struct rota_group *group,
		   const struct ri_parcel *what, unsigned loop)
{
	struct ri_tasks *there = tasks->peers->each[loop];
	struct ri_parcel *parcel;

	if (is_full(there))
		return -EAGAIN;
	parcel = pack(tasks, group, what);
	if (!parcel)
		return -EAGAIN;
	use(group->remote, &group->remote->proxies[loop]);
	/* relaxed, as it is an estimate: pairs with count_here */
	if (parcel->counted)
		__atomic_fetch_add(&there->loop.coming, 1, __ATOMIC_RELAXED);
	ri_loop_post(&there->loop, &parcel->mail);
	return 0;
}

/* Another loop that sleeps is to look at what is spread, and at nothing else:
 * one with room for it. */
static void rouse_one(struct ri_tasks *tasks)
{
	const struct ri_peers *peers = tasks->peers;

	for (unsigned i = 1; i < peers->count; i++) {
		struct ri_tasks *other =
			peers->each[(tasks->loop.index + i) % peers->count];

		if (!is_full(other) && ri_loop_rouse(&other->loop))
			return;
	}
}

int ri_remote_spread(struct ri_tasks *tasks, struct rota_group *group,
		     const struct ri_parcel *what)
{
	struct ri_parcel *parcel = pack(tasks, group, what);

	if (!parcel)
		return -EAGAIN;
	use_all(group->remote);
	ri_spread_put(&tasks->peers->spread, &parcel->mail);
	rouse_one(tasks);
	return 0;
}

static void open_proxy(struct ri_proxy *proxy, struct ri_remote *remote)
{
	const struct rota_group *origin = remote->group;
	const struct rota_group_options options = {
		.name = origin->name,
		.mode = (enum rota_group_mode)origin->mode,
		.discard = origin->discard,
	};
	struct rota_group *group = &proxy->group;

	ri_group_init(group, &options, NULL, origin->scope.site);
	group->stack_class = origin->stack_class;
	group->odd = RI_GROUP_ODD;
	group->proxy = true;
	proxy->remote = remote;
	proxy->generation = remote->generation;
}

/* Of this loop; opened if need be. */
static struct ri_proxy *proxy_here(const struct ri_tasks *tasks,
				   struct ri_remote *remote)
{
	struct ri_proxy *proxy = &remote->proxies[tasks->loop.index];

	if (proxy->generation != remote->generation)
		open_proxy(proxy, remote);
	return proxy;
}

struct rota_group *ri_remote_proxy(struct ri_tasks *tasks,
				   struct rota_group *group)
{
	struct ri_remote *remote =
		__atomic_load_n(&group->remote, __ATOMIC_ACQUIRE);
	struct ri_proxy *proxy;

	if (!remote)
		return NULL;
	proxy = &remote->proxies[tasks->loop.index];
	return proxy->generation == remote->generation ? &proxy->group : NULL;
}

/* It has come: from here on it is one of those that live here. */
static void count_here(struct ri_loop *loop)
{
	__atomic_store_n(&loop->load, loop->live, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&loop->coming, 1, __ATOMIC_RELAXED);
}

/* Makes a task of it. False: there is no room for one just now. */
static bool unpack(struct ri_tasks *tasks, struct ri_parcel *parcel)
{
	struct ri_remote *remote = parcel->group->remote;
	const bool home = remote->tasks == tasks;
	struct rota_group *group = home ? parcel->group
					: &proxy_here(tasks, remote)->group;

	if (ri_task_accept(tasks, group, parcel->fn, parcel->value,
			   parcel->site, parcel->inherited))
		return false;
	if (home)
		remote->away--;
	else
		group->live++;
	tasks->arrived++;
	if (parcel->counted)
		count_here(&tasks->loop);
	ri_parcel_give(tasks, parcel);
	return true;
}

static void retry_due(struct rota_timer *timer)
{
	/* It was for the turn that comes: ri_remote_look does it. */
	(void)timer;
}

void ri_parcel_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;
	struct ri_parcel *parcel = ri_container(mail, struct ri_parcel, mail);

	if (!ri_fifo_empty(&tasks->waiting) || !unpack(tasks, parcel))
		ri_fifo_push(&tasks->waiting, &parcel->room);
}

/* Those that found no room before. The last one leaves no timer behind: the
 * engine may end with it. */
static bool look_again(struct ri_tasks *tasks)
{
	struct rota_timer *timer = &tasks->room;
	bool some = false;

	while (!ri_fifo_empty(&tasks->waiting) &&
	       unpack(tasks, ri_container(tasks->waiting.head, struct ri_parcel,
					  room))) {
		ri_fifo_take(&tasks->waiting);
		some = true;
	}
	if (ri_fifo_empty(&tasks->waiting) && ri_timer_armed(timer))
		ri_wheel_remove(&tasks->loop.wheel, timer);
	if (some || ri_timer_armed(timer))
		return some;
	timer->deadline_ns = ri_loop_now(&tasks->loop) + RETRY_NS;
	timer->fire = retry_due;
	ri_loop_arm(&tasks->loop, timer);
	return false;
}

/* Of those that any loop may take. With little room one by one: those that it
 * has none for would wait here while others have. */
static struct rota_mail *take_spread(struct ri_tasks *tasks, bool idle)
{
	struct ri_peers *peers = tasks->peers;
	const unsigned room = tasks->max - tasks->loop.live;
	const bool some = idle && room >= RI_SPREAD_TAKEN_MAX;

	if (room)
		return ri_spread_take(&peers->spread, some ? peers->count : 0);
	/* It may be the only one that was woken for them. */
	if (idle && ri_spread_has(&peers->spread))
		rouse_one(tasks);
	return NULL;
}

bool ri_remote_look(struct ri_tasks *tasks, bool idle)
{
	struct rota_mail *mail;

	if (!ri_fifo_empty(&tasks->waiting))
		return look_again(tasks);
	/* One that is never idle takes one each turn, of RI_TURN_SWITCHES: all
	 * may be so. */
	mail = take_spread(tasks, idle);
	if (!mail)
		return false;
	while (mail) {
		struct rota_mail *next = mail->next;

		ri_parcel_arrived(tasks, mail);
		mail = next;
	}
	return true;
}

static void order_is_back(void *place, struct rota_mail *mail);

/* On the loop of the proxy. */
static void order_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;
	struct ri_order *order = ri_container(mail, struct ri_order, mail);
	struct ri_remote *remote = order->remote;
	struct rota_group *group = &proxy_here(tasks, remote)->group;

	if (order->drain)
		ri_scope_drain(tasks, &group->scope);
	if (order->tell)
		ri_drain_tell(tasks, group);
	if (order->code)
		ri_scope_recode(tasks, &group->scope, order->code,
				&order->cause);
	mail->deliver = order_is_back;
	ri_loop_post(&remote->tasks->loop, mail);
}

/* What the group has come to, to one of its proxies. */
static void send_order(struct ri_remote *remote, struct ri_proxy *proxy,
		       bool tell)
{
	const struct ri_peers *peers = remote->tasks->peers;
	const struct rota_scope *scope = &remote->group->scope;

	proxy->order = (struct ri_order){
		.mail = { .deliver = order_arrived },
		.remote = remote,
		.code = scope->code,
		.cause = scope->cause,
		.drain = scope->marks & RI_MARK_DRAINED,
		.tell = tell,
	};
	proxy->order_away = true;
	remote->orders++;
	ri_loop_post(&peers->each[proxy - remote->proxies]->loop,
		     &proxy->order.mail);
}

/* On the group's loop. */
static void order_is_back(void *place, struct rota_mail *mail)
{
	struct ri_proxy *proxy =
		ri_container(mail, struct ri_proxy, order.mail);
	struct ri_remote *remote = proxy->order.remote;

	proxy->order_away = false;
	remote->orders--;
	if (proxy->order_again) {
		proxy->order_again = false;
		send_order(remote, proxy, proxy->tell_again);
		proxy->tell_again = false;
	} else {
		ri_group_settled(place, remote->group);
	}
}

void ri_remote_order(struct ri_tasks *tasks, struct rota_group *group,
		     bool tell)
{
	struct ri_remote *remote = group->remote;

	/* Nobody is there, and nobody will come. */
	if (!remote->away && (group->scope.code || !group->limit))
		return;
	for (unsigned i = 0; i < tasks->peers->count; i++) {
		struct ri_proxy *proxy = &remote->proxies[i];

		if (i == tasks->loop.index || proxy->used != remote->generation)
			continue;
		if (proxy->order_away) {
			proxy->order_again = true;
			proxy->tell_again |= tell;
		} else {
			send_order(remote, proxy, tell);
		}
	}
}

/* On the group's loop: as many slots come back as members have ended. */
static void report_arrived(void *place, struct rota_mail *mail)
{
	struct ri_tasks *tasks = place;
	struct ri_proxy *proxy = ri_container(mail, struct ri_proxy, report);
	struct ri_remote *remote = proxy->remote;
	unsigned count;

	/* From here on it may be posted again. Acquires what was written by
	 * the last acts of those members; pairs with return_slot. */
	count = __atomic_exchange_n(&proxy->ended, 0, __ATOMIC_ACQ_REL);
	remote->away -= count;
	remote->group->tried = true;
	while (count--)
		ri_slot_release(tasks, remote->group);
}

static void return_slot(struct ri_proxy *proxy)
{
	struct ri_loop *owner = &proxy->remote->tasks->loop;

	/* Unless it is the first, the report is on its way, and once it is
	 * there the block may be another group's. */
	if (__atomic_fetch_add(&proxy->ended, 1, __ATOMIC_ACQ_REL) == 0) {
		proxy->report.deliver = report_arrived;
		ri_loop_post(owner, &proxy->report);
	}
}

void ri_remote_ended(struct rota_group *group)
{
	if (--group->live == 0 && ri_list_linked(&group->scope.sweep))
		ri_list_remove(&group->scope.sweep);
	return_slot(ri_proxy_of(group));
}

/* On the group's loop. */
static void cancel_arrived(void *place, struct rota_mail *mail)
{
	struct rota_group *group =
		ri_container(mail, struct rota_group, cancel);

	ri_scope_cancel(place, &group->scope, -ECANCELED, group->asked_cause);
	__atomic_store_n(&group->asked, RI_ASKED_HERE, __ATOMIC_RELAXED);
	ri_group_settled(place, group);
}

/* Who calls is inside the group, so it is open now, and the join waits for the
 * mail. */
void ri_remote_cancel(struct ri_tasks *tasks, struct rota_group *group,
		      struct rota_cancellation cause)
{
	struct rota_group *proxy = ri_remote_proxy(tasks, group);
	uint8_t not_yet = RI_ASKED_NO;

	if (proxy)
		ri_scope_cancel(tasks, &proxy->scope, -ECANCELED, cause);
	/* relaxed: the mail carries the rest */
	if (!__atomic_compare_exchange_n(&group->asked, &not_yet, RI_ASKED_AWAY,
					 false, __ATOMIC_RELAXED,
					 __ATOMIC_RELAXED))
		return;
	group->asked_cause = cause;
	group->cancel.deliver = cancel_arrived;
	ri_loop_post(group->loop, &group->cancel);
}
