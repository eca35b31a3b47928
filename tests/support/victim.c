/* SPDX-License-Identifier: MIT */
#include "support/victim.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

int victim_set_up(struct victim *victim, const struct victim_class *class,
		  struct referee *referee)
{
	int error = 0;

	memset(victim, 0, sizeof(*victim));
	victim->class = class;
	victim->referee = referee;
	victim->fd = victim->keeper = victim->peer = victim->aside = -1;
	victim->out = victim->sink = -1;
	victim->buffer = malloc(VICTIM_BYTES);
	ri_check(victim->buffer != NULL, "no memory for the test");
	if (class->set_up)
		error = class->set_up(victim);
	return error ? error : victim_restore(victim);
}

int victim_restore(struct victim *victim)
{
	if (victim->fd >= 0 || victim->keeper < 0)
		return 0;
	victim->fd = fcntl(victim->keeper, F_DUPFD_CLOEXEC, 0);
	return victim->fd < 0 ? -errno : 0;
}

static void close_open(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void victim_tear_down(struct victim *victim)
{
	close_open(&victim->fd);
	close_open(&victim->keeper);
	close_open(&victim->peer);
	close_open(&victim->aside);
	close_open(&victim->out);
	close_open(&victim->sink);
	if (victim->path[0])
		remove(victim->path);
	if (victim->child) {
		kill(victim->child, SIGKILL);
		waitpid(victim->child, NULL, 0);
	}
	free(victim->buffer);
}

void victim_forget(struct victim *victim)
{
	struct victim *twin = victim->twin;

	victim->fd = -1;
	victim->closing = true;
	if (!twin)
		return;
	twin->fd = -1;
	twin->closing = true;
}

int victim_prepare(struct victim *victim)
{
	victim->called = false;
	victim->returned = false;
	victim->closing = false;
	victim->twin = NULL;
	victim->completions = 0;
	victim->fed_turn = 0;
	victim->result = 0;
	victim->flags = 0;
	victim->bytes = 0;
	victim->done = 0;
	victim->torn = false;
	victim->record = NULL;
	return victim->class->prepare ? victim->class->prepare(victim) : 0;
}

int victim_expected(const struct victim *victim, const struct verdict *verdict)
{
	(void)victim;
	return verdict->said ? verdict->last : verdict->before;
}

int victim_expected_of_steps(const struct victim *victim,
			     const struct verdict *verdict)
{
	if (victim->done == victim->bytes)
		return 0;
	if (verdict->said && verdict->last < 0)
		return verdict->last;
	return victim->closing && victim->result == -EBADF ? -EBADF
							   : verdict->code;
}

void victim_fill(const struct victim *victim, unsigned char *bytes,
		 size_t count)
{
	for (size_t i = 0; i < count; i++)
		bytes[i] = (unsigned char)(victim->given + i);
}

void victim_take(struct victim *victim, const unsigned char *bytes,
		 size_t count)
{
	for (size_t i = 0; i < count; i++)
		victim->torn |= bytes[i] != (unsigned char)(victim->taken + i);
	victim->taken += count;
}

void victim_drain(struct victim *victim, int fd)
{
	unsigned char bytes[4096];
	ssize_t n;

	do {
		n = victim->socket
			    ? recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)
			    : read(fd, bytes, sizeof(bytes));
		if (n > 0)
			victim_take(victim, bytes, (size_t)n);
	} while (n == (ssize_t)sizeof(bytes));
}

bool victim_give(struct victim *victim, int fd, size_t count)
{
	unsigned char bytes[4096];
	ssize_t n;

	if (count > sizeof(bytes))
		count = sizeof(bytes);
	victim_fill(victim, bytes, count);
	n = victim->socket ? send(fd, bytes, count, MSG_DONTWAIT | MSG_NOSIGNAL)
			   : write(fd, bytes, count);
	if (n > 0)
		victim->given += (size_t)n;
	return n > 0;
}

bool victim_has_operation(int opcode, const char *masked)
{
	const char *mask = getenv("ROTA_MASK");
	struct io_uring_probe *probe = io_uring_get_probe();
	bool found;

	if (!probe)
		return false;
	found = io_uring_opcode_supported(probe, opcode);
	io_uring_free_probe(probe);
	return found && !(mask && strstr(mask, masked));
}

/* The next class of all tables: past the end of one the next begins. */
const struct victim_class *victim_class_at(unsigned index)
{
	const struct {
		const struct victim_class *table;
		unsigned count;
	} tables[] = {
		{ victim_streams, victim_streams_count },
		{ victim_messages, victim_messages_count },
		{ victim_sockets, victim_sockets_count },
		{ victim_files, victim_files_count },
		{ victim_names, victim_names_count },
		{ victim_foreign, victim_foreign_count },
		{ victim_waits, victim_waits_count },
		{ victim_shots, victim_shots_count },
	};

	for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		if (index < tables[i].count)
			return &tables[i].table[index];
		index -= tables[i].count;
	}
	return NULL;
}

const struct victim_class *victim_class_named(const char *name)
{
	const struct victim_class *class;

	for (unsigned i = 0; (class = victim_class_at(i)); i++)
		if (strcmp(class->name, name) == 0)
			break;
	return class;
}

int victim_set_up_pair(struct victim *victim, int type)
{
	const int least = 1;
	int pair[2];

	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair))
		return -errno;
	victim->socket = true;
	victim->keeper = pair[0];
	victim->peer = pair[1];
	/* The kernel's least: soon full. */
	setsockopt(victim->keeper, SOL_SOCKET, SO_SNDBUF, &least,
		   sizeof(least));
	return 0;
}

int victim_set_up_stream(struct victim *victim)
{
	return victim_set_up_pair(victim, SOCK_STREAM);
}
