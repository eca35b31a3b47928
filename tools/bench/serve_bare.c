// SPDX-License-Identifier: MIT
/*
 * rota-bench serve-bare: an echo server on bare liburing or bare epoll. This
 * file parses, listens and says where; serve_uring.c, serve_multishot.c and
 * serve_epoll.c are the servers.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "address.h"
#include "command.h"
#include "host.h"
#include "options.h"
#include "serve_bare.h"

#define SIZE_DEFAULT 16384
#define SIZE_MAX_BYTES (1u << 30)

/* 256 of 4 KiB: with 1000 connections a ring of 64 cost 1.7 times as much. */
#define BUFFERS_DEFAULT 256
#define BUFFER_BYTES_DEFAULT 4096
#define BUFFER_BYTES_MAX 65536

/* What the kernel takes. */
#define BUFFERS_MAX 32768

#define NOT_GIVEN UINT64_MAX

static const char who[] = "rota-bench serve-bare";

static const char usage[] =
	"usage: rota-bench serve-bare --engine ENGINE --port N [OPTION...]\n"
	"\n"
	"An echo server without rota. It says where it listens, and ends by\n"
	"SIGTERM or SIGINT. The engines:\n"
	"\n"
	"  uring                 liburing, one-shot receive and send, each\n"
	"                        connection its own buffer\n"
	"  multishot             liburing, multishot receive into a ring of\n"
	"                        buffers that all connections share\n"
	"  epoll                 level-triggered, one buffer\n"
	"\n"
	"  --engine ENGINE       which of them\n"
	"  --port N              0 takes a free one\n"
	"  --address A           literal IPv4 or IPv6 address (127.0.0.1)\n"
	"  --size BYTES          of a receive buffer, uring and epoll (16384)\n"
	"  --buffers N           that are shared, multishot; a power of two\n"
	"                        (256)\n"
	"  --buffer-bytes BYTES  of each of them (4096)\n"
	"  --help                this text\n";

static const struct option long_options[] = {
	{ "engine", required_argument, NULL, 'e' },
	{ "port", required_argument, NULL, 'p' },
	{ "address", required_argument, NULL, 'a' },
	{ "size", required_argument, NULL, 's' },
	{ "buffers", required_argument, NULL, 'n' },
	{ "buffer-bytes", required_argument, NULL, 'b' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const struct option_range port_range = { "--port", 0, 65535 };
static const struct option_range size_range = { "--size", 1, SIZE_MAX_BYTES };
static const struct option_range buffers_range = { "--buffers", 1,
						   BUFFERS_MAX };
static const struct option_range buffer_bytes_range = { "--buffer-bytes", 1,
							BUFFER_BYTES_MAX };

struct settings {
	int (*serve)(const struct serve_options *options);
	const char *host;
	uint64_t port;
	uint64_t size;         /* of a receive buffer, if each has its own */
	uint64_t buffers;      /* that are shared */
	uint64_t buffer_bytes; /* of each of those */
	bool help;
};

static int set_engine(struct settings *settings, const char *name)
{
	if (strcmp(name, "uring") == 0)
		settings->serve = serve_uring;
	else if (strcmp(name, "multishot") == 0)
		settings->serve = serve_multishot;
	else if (strcmp(name, "epoll") == 0)
		settings->serve = serve_epoll;
	else
		complain(who, "--engine: '%s' is not uring, multishot or epoll",
			 name);
	return settings->serve == NULL ? -1 : 0;
}

static int set_option(struct settings *settings, int option)
{
	switch (option) {
	case 'e':
		return set_engine(settings, optarg);
	case 'p':
		return option_count(who, &port_range, optarg, &settings->port);
	case 'a':
		settings->host = optarg;
		return 0;
	case 's':
		return option_count(who, &size_range, optarg, &settings->size);
	case 'n':
		return option_count(who, &buffers_range, optarg,
				    &settings->buffers);
	case 'b':
		return option_count(who, &buffer_bytes_range, optarg,
				    &settings->buffer_bytes);
	case 'h':
		settings->help = true;
		return 0;
	default: /* getopt_long has complained */
		return -1;
	}
}

/* What is missing or at odds with itself: 0, or -1 once it has complained. */
static int check(const struct settings *settings)
{
	const bool shares = settings->serve == serve_multishot;
	const bool sized = settings->buffers != NOT_GIVEN ||
			   settings->buffer_bytes != NOT_GIVEN;

	if (settings->serve == NULL)
		complain(who, "--engine uring, multishot or epoll is needed");
	else if (settings->port == NOT_GIVEN)
		complain(who, "--port is needed; 0 takes a free one");
	else if (shares && settings->size != NOT_GIVEN)
		complain(who, "--size is not for --engine multishot;"
			      " --buffer-bytes is");
	else if (!shares && sized)
		complain(who, "--buffers and --buffer-bytes are for"
			      " --engine multishot");
	else if (settings->buffers != NOT_GIVEN &&
		 (settings->buffers & (settings->buffers - 1)) != 0)
		complain(who, "--buffers: %ju is no power of two",
			 (uintmax_t)settings->buffers);
	else
		return 0;
	return -1;
}

static int parse(struct settings *settings, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "h", long_options, NULL)) >= 0)
		if (set_option(settings, option) < 0)
			return -1;
	if (settings->help)
		return 0;
	if (options_no_more(who, argc, argv, optind) < 0)
		return -1;
	return check(settings);
}

/* Binds and listens: the socket, or -errno. */
static int open_listener(const struct address *address)
{
	const int one = 1;
	const int fd = socket(address->storage.ss_family,
			      SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) < 0 ||
	    bind(fd, (const struct sockaddr *)&address->storage,
		 address->bytes) < 0 ||
	    listen(fd, SOMAXCONN) < 0) {
		const int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static int listen_on(const struct address *address)
{
	char text[ADDRESS_TEXT_BYTES];
	const int fd = open_listener(address);

	address_format(address, text);
	if (fd < 0)
		complain(who, "cannot listen on %s: %s", text, strerror(-fd));
	return fd;
}

/* Tells whoever waits for it that connections are taken, and where. */
static void announce(int listener)
{
	struct address address = { .bytes = sizeof(address.storage) };
	char text[ADDRESS_TEXT_BYTES];

	getsockname(listener, (struct sockaddr *)&address.storage,
		    &address.bytes);
	address_format(&address, text);
	printf("serve-bare: listening on %s\n", text);
	fflush(stdout);
}

/* The descriptor that SIGTERM and SIGINT are read from, or -1. */
static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static uint64_t given(uint64_t value, uint64_t otherwise)
{
	return value == NOT_GIVEN ? otherwise : value;
}

static int serve(const struct settings *settings, int listener)
{
	const bool shares = settings->serve == serve_multishot;
	const struct serve_options options = {
		.listener = listener,
		.signals = open_signals(),
		.buffer_bytes = shares ? given(settings->buffer_bytes,
					       BUFFER_BYTES_DEFAULT)
				       : given(settings->size, SIZE_DEFAULT),
		.buffers = (uint32_t)given(settings->buffers, BUFFERS_DEFAULT),
		.announce = announce,
	};

	if (options.signals < 0) {
		complain(who, "no signalfd: %s", strerror(errno));
		return BENCH_FAILED;
	}
	const int result = settings->serve(&options);

	if (result < 0)
		complain(who, "cannot serve: %s", strerror(-result));
	close(options.signals);
	return result < 0 ? BENCH_FAILED : BENCH_OK;
}

int bench_serve_bare(int argc, char **argv)
{
	struct settings settings = {
		.host = "127.0.0.1",
		.port = NOT_GIVEN,
		.size = NOT_GIVEN,
		.buffers = NOT_GIVEN,
		.buffer_bytes = NOT_GIVEN,
	};
	struct address address;

	if (parse(&settings, argc, argv) < 0)
		return BENCH_USAGE;
	if (settings.help) {
		fputs(usage, stdout);
		return BENCH_OK;
	}
	if (!address_parse_host(settings.host, (uint16_t)settings.port,
				&address)) {
		complain(who,
			 "--address: '%s' is no literal IPv4 or IPv6"
			 " address",
			 settings.host);
		return BENCH_USAGE;
	}
	host_raise_descriptors();
	const int listener = listen_on(&address);

	if (listener < 0)
		return BENCH_FAILED;
	const int code = serve(&settings, listener);

	close(listener);
	return code;
}
