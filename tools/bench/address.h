/* SPDX-License-Identifier: MIT */
/*
 * Socket addresses as servers print them: "127.0.0.1:7777", "[::1]:7777",
 * "unix:PATH". Literal ones only; nothing here asks a name server.
 */
#ifndef BENCH_ADDRESS_H
#define BENCH_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDRESS_TEXT_BYTES 128

struct address {
	struct sockaddr_storage storage;
	socklen_t bytes; /* of the storage that are in use */
};

/* Any of the three forms; false if the text is none of them. */
bool address_parse(const char *text, struct address *out);

/* A literal IPv4 or IPv6 address without a port; false if it is neither. */
bool address_parse_host(const char *host, uint16_t port, struct address *out);

void address_format(const struct address *address,
		    char text[static ADDRESS_TEXT_BYTES]);

#endif
