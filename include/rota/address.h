/* SPDX-License-Identifier: MIT */
/*
 * Addresses of sockets, as text and as the system calls want them. Nothing
 * here suspends; any thread may call it.
 */
#ifndef ROTA_ADDRESS_H
#define ROTA_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* One of any family: any.sa_family tells which. */
struct rota_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
		struct sockaddr_storage storage;
	};
	socklen_t bytes; /* how much of it counts; 0: there is none */
};

/* Reads a literal address; names are not looked up.
 *
 *	"127.0.0.1"                  IPv4, with this port
 *	"::1", "[::1]"               IPv6, with this port
 *	"fe80::1%eth0", "fe80::1%2"  ... in the scope of an interface
 *	"unix:PATH"                  a Unix socket; the port is ignored
 *	"unix:@NAME"                 ... in the abstract namespace: no file
 *
 * 0; -EINVAL: it is none of these, or a path or name is empty or over 107
 * bytes; -ENODEV: there is no such interface. */
int rota_address_parse(struct rota_address *address, const char *text,
		       uint16_t port) __attribute__((warn_unused_result));

/* Writes it as text, with the port: "127.0.0.1:7777", "[::1]:7777",
 * "[fe80::1%2]:7777", "unix:PATH", "unix:@NAME", and "unix:" for a socket
 * without a name. Returns its length; -ENOSPC if it does not fit into `bytes`
 * with its end, -EAFNOSUPPORT for other families and for none. */
int rota_address_print(const struct rota_address *address, char *text,
		       size_t bytes) __attribute__((warn_unused_result));

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
