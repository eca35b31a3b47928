/* SPDX-License-Identifier: MIT */
/*
 * The first connection wins: the addresses of a service are dialled two by
 * two, a pair every 20 ms, until one of them answers. That cancels the others,
 * and the owner's sleep with them, so what is left of the list is not tried.
 * A connection that is made too late to win goes to the discard function.
 *
 * The wrong way: take the first result and forget the rest. A dial that was
 * done just before the cancel came has made a descriptor, which then belongs
 * to nobody: a leak under load only, where two of them answer at once.
 */
#include <rota/rota.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const addresses[] = {
	"unix:gone",                /* nobody listens there any more: refused */
	"unix:full",                /* its backlog is full: no answer */
	"unix:first",               /* both of these answer at once */
	"unix:second", "unix:last", /* need not be tried */
};

#define ADDRESSES (sizeof(addresses) / sizeof(*addresses))

struct attempt {
	const char *address;
	unsigned *late; /* connections that were made for nothing */
};

static int dial(void *value)
{
	const struct attempt *attempt = value;

	return rota_dial(attempt->address, 0);
}

/* Runs in the member that was too late. Release verbs work there. */
static void hang_up(int fd, void *value)
{
	const struct attempt *attempt = value;

	++*attempt->late;
	rota_close(fd);
}

/* A connected socket, or why the first address would not have us. */
static int dial_first(unsigned *late)
{
	struct attempt attempt = { .late = late };
	struct rota_group race;
	int error = 0;

	rota_group_open(&race, &(struct rota_group_options){
				       .mode = ROTA_GROUP_FIRST_SUCCESS,
				       .discard = hang_up,
			       });
	for (size_t i = 0; i < ADDRESSES && !error; i++) {
		attempt.address = addresses[i];
		error = rota_go(&race, dial, attempt);
		if (!error && i % 2)
			error = rota_sleep(20 * ROTA_MILLISECOND);
	}
	return rota_group_wait(&race);
}

static unsigned count_descriptors(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static int run(void *arg)
{
	const struct rota_listen_options options = { .backlog = 1 };
	int listeners[ADDRESSES], crowd[2], fd;
	unsigned before, leaked, late = 0;

	(void)arg;
	for (size_t i = 0; i < ADDRESSES; i++)
		listeners[i] = rota_listen(addresses[i], 0, &options);
	rota_close(listeners[0]);
	/* A backlog of 1 holds two that nobody accepts. */
	crowd[0] = rota_dial(addresses[1], 0);
	crowd[1] = rota_dial(addresses[1], 0);

	before = count_descriptors();
	fd = dial_first(&late);
	printf("connected: %s\n", fd < 0 ? strerror(-fd) : "yes");
	rota_close(fd);
	leaked = count_descriptors() - before;
	printf("late connections closed: %u, descriptors leaked: %u\n", late,
	       leaked);
	rota_close(crowd[0]);
	rota_close(crowd[1]);
	for (size_t i = 1; i < ADDRESSES; i++)
		rota_close(listeners[i]);
	return fd >= 0 && late == 1 && !leaked ? 0 : -EPROTO;
}

int main(void)
{
	char directory[] = "/tmp/rota-XXXXXX";
	int error;

	if (!mkdtemp(directory) || chdir(directory) < 0)
		return 1;
	error = rota_run(NULL, run, NULL);
	for (size_t i = 0; i < ADDRESSES; i++)
		unlink(addresses[i] + strlen("unix:"));
	return rmdir(directory) < 0 || error < 0;
}
