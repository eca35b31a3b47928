/* SPDX-License-Identifier: MIT */
/*
 * The first connection wins: the addresses of a service are dialled two by two,
 * a pair every 20 ms, until one answers. That cancels the others and the
 * owner's sleep, so the rest of the list is not tried. A connection that is
 * made too late to win goes to the discard function.
 *
 * The wrong way: take the first result and forget the rest. A dial that was
 * done just before the cancel came has made a descriptor that nobody has: a leak
 * under load only, when two of them answer at once.
 */
#include <rota/rota.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
	"gone",            /* nobody listens there any more: refused */
	"full",            /* its backlog is full: no answer */
	"first", "second", /* both of these answer at once */
	"last",            /* need not be tried */
};

#define ADDRESSES (sizeof(names) / sizeof(*names))
static char addresses[ADDRESSES][32];
static unsigned late; /* connections that were made for nothing */

static int dial(void *value)
{
	return rota_dial(*(const char **)value, 0);
}

/* Runs in the member that was too late. Release verbs work there. */
static void hang_up(int fd, void *value)
{
	(void)value;
	late++;
	rota_close(fd);
}

/* A connected socket, or why the first address would not have us. */
static int dial_first(void)
{
	struct rota_group race;
	int error = 0;

	rota_group_open(&race, &(struct rota_group_options){
				       .mode = ROTA_GROUP_FIRST_SUCCESS,
				       .discard = hang_up });
	for (size_t i = 0; i < ADDRESSES && !error; i++) {
		error = rota_go(&race, dial, addresses[i]);
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
	int sockets[ADDRESSES + 2], fd;
	unsigned before, after;

	(void)arg;
	for (size_t i = 0; i < ADDRESSES; i++) {
		snprintf(addresses[i], sizeof(addresses[i]), "unix:@%d-%s",
			 getpid(), names[i]);
		sockets[i] = rota_listen(addresses[i], 0, &options);
	}
	rota_close(sockets[0]);
	/* A backlog of 1 holds two that nobody accepts. */
	sockets[ADDRESSES] = rota_dial(addresses[1], 0);
	sockets[ADDRESSES + 1] = rota_dial(addresses[1], 0);
	before = count_descriptors();
	fd = dial_first();
	printf("%s, too late: %u\n", fd < 0 ? strerror(-fd) : "one won", late);
	rota_close(fd);
	after = count_descriptors();
	for (size_t i = 1; i < ADDRESSES + 2; i++)
		rota_close(sockets[i]);
	return fd >= 0 && late == 1 && before == after ? 0 : -EPROTO;
}

int main(void)
{
	return rota_run(NULL, run, NULL) < 0;
}
