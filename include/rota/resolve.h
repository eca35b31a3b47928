/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses, as getaddrinfo(3) finds them: by /etc/hosts, by name
 * servers, by whatever nsswitch.conf(5) says. That blocks, so it is done on one
 * of the threads of offload.h; half of them at most, so that names that take
 * long leave the others to calls.
 */
#ifndef ROTA_RESOLVE_H
#define ROTA_RESOLVE_H

#include "rota/address.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* Which addresses are wanted, and in which order. */
struct rota_resolve_options {
	uint16_t port;  /* of the addresses */
	int family;     /* AF_INET or AF_INET6: only those; 0: both */
	bool alternate; /* the families take turns, the one that getaddrinfo(3)
	                   has first goes first; else all in its order, which
	                   is that of RFC 6724 and gai.conf(5) */
};

/* Looks up a host. Returns how many addresses it has, 1 or more: the first
 * `max` of them are in the list, and if there are more that is told by the
 * number. (A `max` of 0 only counts; the list may be NULL then.) `options` may
 * be NULL: port 0, both families.
 *
 * A literal address as in rota_address_parse is one address, at once. Names
 * have letters, digits, `-`, `_` and dots, 253 at most; their last part is no
 * number ("127.1" is a slip).
 *
 *	-EINVAL     neither a literal nor a name
 *	-ENODEV     no such interface, in a literal
 *	-ENOENT     no such name (EAI_NONAME)
 *	-ENODATA    it has no address, or none of that family (EAI_NODATA,
 *	            EAI_ADDRFAMILY)
 *	-ECOMM      no name server answers just now (EAI_AGAIN)
 *	-EREMOTEIO  a name server failed, and would again (EAI_FAIL)
 *	-EAFNOSUPPORT  the family is neither of the two (EAI_FAMILY)
 *	-ENOMEM     no memory (EAI_MEMORY)
 *	-EOVERFLOW  what was answered is too long (EAI_OVERFLOW)
 *	-EIO        anything else; of EAI_SYSTEM the -errno: -EMFILE
 *	-EAGAIN, -EMFILE, -ENFILE  no thread, as rota_offload says
 *
 * Suspends, but for literals; tasks only. Waits for a thread as rota_offload
 * does. A cancel ends it at once, with the task's code, also while the look-up
 * runs: that goes on without the task, in memory of its own, and keeps its
 * thread until it is done. The end of the engine waits for it, with a line in
 * the log that says for which name. */
int rota_resolve(const char *host, const struct rota_resolve_options *options,
		 struct rota_address *list, unsigned max)
	__attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
