/* SPDX-License-Identifier: MIT */
/*
 * Accepting: what is said about one connection must not end a server.
 */
#include "io/accept.h"

#include "io/starved.h"
#include "rota/socket.h"
#include "task/operation.h"

#include <errno.h>

static int accept_one(int listener, struct rota_address *from)
{
	struct io_uring_sqe *entry;
	const int error = ri_verb_begin(&entry, "rota_accept", 0);

	if (error)
		return error;
	if (from)
		from->bytes = sizeof(from->storage);
	io_uring_prep_accept(entry, listener, from ? &from->any : NULL,
			     from ? &from->bytes : NULL, SOCK_CLOEXEC);
	return ri_verb_await(entry, "rota_accept", listener);
}

bool ri_accept_passes(int error)
{
	switch (error) {
	case -ECONNABORTED:
	case -ENETDOWN:
	case -EPROTO:
	case -ENOPROTOOPT:
	case -EHOSTDOWN:
	case -ENONET:
	case -EHOSTUNREACH:
	case -ENETUNREACH:
		return true;
	default:
		return false;
	}
}

int rota_accept_from(int listener, struct rota_address *from)
{
	for (;;) {
		const int fd = accept_one(listener, from);
		const bool starved = ri_starved_by(fd);
		int error;

		if (fd < 0 && from)
			from->bytes = 0;
		if (fd >= 0 || (!starved && !ri_accept_passes(fd)))
			return fd;
		error = ri_verb_again("rota_accept");
		if (!error && starved)
			error = ri_starved_wait(ri_tasks_here(), listener, fd);
		if (error)
			return error;
	}
}

int rota_accept(int listener)
{
	return rota_accept_from(listener, NULL);
}
