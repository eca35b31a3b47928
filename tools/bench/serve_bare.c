// SPDX-License-Identifier: MIT
/*
 * rota-bench serve-bare: an echo server on bare liburing or bare epoll. This
 * file parses, listens and says where; serve_uring.c and serve_epoll.c are
 * the servers.
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

static const char who[] = "rota-bench serve-bare";

static const char usage[] =
	"usage: rota-bench serve-bare --engine uring|epoll --port N"
	" [OPTION...]\n"
	"\n"
	"An echo server on bare liburing (one-shot receive and send, each\n"
	"connection its own buffer) or on bare epoll (level-triggered, one\n"
	"buffer). It says where it listens, and ends by SIGTERM or SIGINT.\n"
	"\n"
	"  --engine uring|epoll  which of the two\n"
	"  --port N              0 takes a free one\n"
	"  --address A           literal IPv4 or IPv6 address (127.0.0.1)\n"
	"  --size BYTES          of a receive buffer (16384)\n"
	"  --help                this text\n";

static const struct option long_options[] = {
	{ "engine", required_argument, NULL, 'e' },
	{ "port", required_argument, NULL, 'p' },
	{ "address", required_argument, NULL, 'a' },
	{ "size", required_argument, NULL, 's' },
	{ "help", no_argument, NULL, 'h' },
	{ 0 },
};

static const struct option_range port_range = { "--port", 0, 65535 };
static const struct option_range size_range = { "--size", 1, SIZE_MAX_BYTES };

struct settings {
	int (*serve)(const struct serve_options *options);
	const char *host;
	uint64_t port; /* UINT64_MAX: not given */
	uint64_t size;
	bool help;
};

static int set_engine(struct settings *settings, const char *name)
{
	if (strcmp(name, "uring") == 0)
		settings->serve = serve_uring;
	else if (strcmp(name, "epoll") == 0)
		settings->serve = serve_epoll;
	else
		complain(who, "--engine: '%s' is neither uring nor epoll",
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
	case 'h':
		settings->help = true;
		return 0;
	default: /* getopt_long has complained */
		return -1;
	}
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
	if (settings->serve == NULL) {
		complain(who, "--engine uring or --engine epoll is needed");
		return -1;
	}
	if (settings->port == UINT64_MAX) {
		complain(who, "--port is needed; 0 takes a free one");
		return -1;
	}
	return 0;
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

static int serve(const struct settings *settings, int listener)
{
	const struct serve_options options = {
		.listener = listener,
		.signals = open_signals(),
		.buffer_bytes = settings->size,
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
		.port = UINT64_MAX,
		.size = SIZE_DEFAULT,
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
