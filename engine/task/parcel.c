/* SPDX-License-Identifier: MIT */
#include "task/parcel.h"

#include <string.h>

static size_t slab_bytes(const struct ri_tasks *tasks)
{
	return tasks->max * sizeof(struct ri_parcel);
}

int ri_parcels_init(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;
	void *start;
	const int error = kernel->map(kernel, slab_bytes(tasks), &start);

	if (!error)
		tasks->parcels.slab = start;
	return error;
}

/* Puts a chain on the pile. */
static void pile(struct ri_parcels *parcels, struct rota_mail *newest,
		 struct rota_mail *oldest)
{
	oldest->next = parcels->free;
	parcels->free = newest;
}

void ri_parcels_fini(struct ri_tasks *tasks)
{
	const struct ri_kernel *kernel = tasks->loop.kernel;

	if (tasks->parcels.slab)
		kernel->unmap(kernel, tasks->parcels.slab, slab_bytes(tasks));
}

struct ri_parcel *ri_parcel_take(struct ri_tasks *tasks)
{
	struct ri_parcels *parcels = &tasks->parcels;
	struct rota_mail *mail = parcels->free;

	if (!mail)
		mail = ri_mailbox_take(&parcels->returned);
	if (mail) {
		parcels->free = mail->next;
		return ri_container(mail, struct ri_parcel, mail);
	}
	if (parcels->made == tasks->max)
		return NULL;
	parcels->slab[parcels->made].home = tasks;
	return &parcels->slab[parcels->made++];
}

void ri_parcel_fill(struct ri_parcel *parcel, const struct rota_task *self,
		    const void *value, const struct rota_site *site)
{
	ri_check(site->value_bytes <= ROTA_VALUE_BYTES,
		 "a value of %u bytes, spawned at %s:%d", site->value_bytes,
		 site->file, site->line);
	parcel->site = site;
	parcel->inherited = self->inherited;
	memcpy(parcel->value, value, site->value_bytes);
}

void ri_parcels_flush(struct ri_tasks *tasks)
{
	struct ri_parcels *parcels = &tasks->parcels;

	if (!parcels->newest)
		return;
	ri_mailbox_post_chain(&parcels->home->parcels.returned, parcels->newest,
			      parcels->oldest);
	parcels->newest = NULL;
}

void ri_parcel_give(struct ri_tasks *tasks, struct ri_parcel *parcel)
{
	struct ri_parcels *parcels = &tasks->parcels;

	if (parcel->home == tasks) {
		pile(parcels, &parcel->mail, &parcel->mail);
		return;
	}
	if (parcels->newest && parcels->home != parcel->home)
		ri_parcels_flush(tasks);
	if (!parcels->newest) {
		parcels->home = parcel->home;
		parcels->oldest = &parcel->mail;
	}
	parcel->mail.next = parcels->newest;
	parcels->newest = &parcel->mail;
}
