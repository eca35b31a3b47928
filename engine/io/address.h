/* SPDX-License-Identifier: MIT */
#ifndef RI_IO_ADDRESS_H
#define RI_IO_ADDRESS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ri_address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_un local;
	};
	socklen_t bytes; /* how much of it counts */
};

/* Reads a literal IPv4 or IPv6 address or "unix:PATH". 0 or -EINVAL. */
int ri_address_parse(struct ri_address *address, const char *text,
		     uint16_t port);

/* Writes it as text with the port. The length, or -ENOSPC, -EAFNOSUPPORT. */
int ri_address_print(const struct ri_address *address, char *text,
		     size_t bytes);

#endif
