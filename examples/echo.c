/* SPDX-License-Identifier: MIT */
/*
 * rota-echo: sends back what it receives, one task a connection.
 *
 *	keeper (group)                 the grace period, once stopping
 *	  connections (group, limited) serve() for each connection
 *	    accepting (group)          accept_all()
 *
 * The first task waits for SIGINT or SIGTERM. Then the innermost group is
 * cancelled, so nothing more is accepted; every connection is shut down for
 * reading, so an idle one ends at once and a busy one sends back what it has
 * received; what is left after the grace period is cancelled.
 */
#include <rota/rota.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Descriptors that are not connections: standard ones, ring, listener, signal,
 * and some that the program around may have open. */
#define OTHER_DESCRIPTORS 32

/* What one receive takes at most. Short messages are received into the small
 * buffer, which shares its page with the frames of the task: 1000 connections
 * that speak in short messages are 4 MB, and few cache misses. */
#define SMALL_BYTES 1280
#define LARGE_BYTES 16384

/* How a connection is served. */
enum style {
	STYLE_PLAIN,  /* a task that receives into a buffer of its own */
	STYLE_STREAM, /* ... or what landed in the loop's shared buffers */
	STYLE_SERVE,  /* the same by a member without a stack */
};

struct options {
	enum style style;
	const char *address;
	uint16_t port;
	const char *path; /* of a Unix socket, or NULL */
	int64_t idle_ns;  /* 0: none */
	unsigned connections_max;
	unsigned buffers; /* that streams share; 0: rota's default */
	int64_t grace_ns;
	bool quiet;
};

struct server;

struct connection {
	LIST_ENTRY(connection) link; /* among those that are open */
	struct server *server;
	int fd;
};

/* One that no stack remembers. */
struct record {
	struct connection connection;
	struct rota_stream stream;
};

struct server {
	struct options options;
	int signals; /* a signalfd(2) */
	int listener;
	struct rota_group connections;
	LIST_HEAD(, connection) open;
	bool drained; /* all connections have ended */
};

/* Receives under the idle timeout, if there is one. */
static int receive(const struct connection *connection, char *buffer,
		   size_t bytes)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline idle;
	int n;

	if (!idle_ns)
		return rota_recv(connection->fd, buffer, bytes, 0);
	rota_deadline_begin(&idle, rota_after_ns(idle_ns));
	n = rota_recv(connection->fd, buffer, bytes, 0);
	rota_deadline_end(&idle);
	return n;
}

/* Sends all of it back. Under the idle timeout the peer has to take something
 * each time: one that never reads is silent too. */
static int reply(const struct connection *connection, const char *buffer,
		 size_t bytes)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline idle;
	bool expired;
	size_t done;
	int error;

	if (!idle_ns)
		return rota_send_all(connection->fd, buffer, bytes, NULL);
	do {
		rota_deadline_begin(&idle, rota_after_ns(idle_ns));
		error = rota_send_all(connection->fd, buffer, bytes, &done);
		expired = rota_deadline_end(&idle);
		buffer += done;
		bytes -= done;
	} while (error && expired && done);
	return error;
}

/* Receives once and sends it back. Returns how much; 0 at the end, or -errno. */
static int echo(const struct connection *connection, char *buffer, size_t bytes)
{
	const int n = receive(connection, buffer, bytes);
	const int error = n <= 0 ? n : reply(connection, buffer, (size_t)n);

	return error ? error : n;
}

/* Two frames of their own, so that one that is not in use takes no page. */
static __attribute__((noinline)) int
echo_small(const struct connection *connection)
{
	char buffer[SMALL_BYTES];
	int n;

	do {
		n = echo(connection, buffer, sizeof(buffer));
	} while (n > 0 && n < SMALL_BYTES);
	return n;
}

static __attribute__((noinline)) int
echo_large(const struct connection *connection)
{
	char buffer[LARGE_BYTES];
	int n;

	do {
		n = echo(connection, buffer, sizeof(buffer));
	} while (n > SMALL_BYTES);
	return n;
}

static int serve(void *value)
{
	struct connection connection = *(struct connection *)value;
	int n;

	LIST_INSERT_HEAD(&connection.server->open, &connection, link);
	do {
		n = echo_small(&connection);
		if (n > 0) /* it filled the buffer: there is more */
			n = echo_large(&connection);
	} while (n > 0);
	LIST_REMOVE(&connection, link);
	rota_close(connection.fd);
	return n;
}

/* Waits for something to land, under the idle timeout, if there is one. */
static int view(const struct connection *connection, struct rota_stream *stream,
		struct rota_view *view)
{
	const int64_t idle_ns = connection->server->options.idle_ns;
	struct rota_deadline idle;
	int n;

	if (!idle_ns)
		return rota_stream_view(stream, view);
	rota_deadline_begin(&idle, rota_after_ns(idle_ns));
	n = rota_stream_view(stream, view);
	rota_deadline_end(&idle);
	return n;
}

static int serve_stream(void *value)
{
	struct connection connection = *(struct connection *)value;
	struct rota_stream stream;
	struct rota_view landed;
	int n = rota_receive_stream_open(&stream, connection.fd, NULL);

	if (n < 0) {
		rota_close(connection.fd);
		return n;
	}
	LIST_INSERT_HEAD(&connection.server->open, &connection, link);
	while ((n = view(&connection, &stream, &landed)) > 0)
		if ((n = reply(&connection, landed.data, landed.bytes)))
			break;
	LIST_REMOVE(&connection, link);
	rota_stream_close(&stream);
	rota_close(connection.fd);
	return n;
}

static int end(struct record *record, int result)
{
	LIST_REMOVE(&record->connection, link);
	rota_stream_close(&record->stream);
	rota_close(record->connection.fd);
	free(record);
	return result;
}

/* Something has landed, or the record's sleep is over. */
static int serve_landed(struct rota_stream *stream, void *arg)
{
	struct record *record = arg;
	struct rota_view landed;
	int n = rota_stream_view(stream, &landed);

	if (n > 0)
		n = reply(&record->connection, landed.data, landed.bytes);
	else
		return end(record, n);
	return n ? end(record, n) : 0;
}

static int serve_record(struct server *server, struct connection connection)
{
	const struct rota_stream_options options = {
		.idle_ns = server->options.idle_ns
	};
	struct record *record = malloc(sizeof(*record));
	int error;

	if (!record)
		return -ENOMEM;
	record->connection = connection;
	error = rota_receive_stream_open(&record->stream, connection.fd,
					 &options);
	if (error) {
		free(record);
		return error;
	}
	error = rota_stream_serve(&server->connections, &record->stream,
				  serve_landed, record);
	if (error) {
		rota_stream_close(&record->stream);
		free(record);
		return error;
	}
	LIST_INSERT_HEAD(&server->open, &record->connection, link);
	return 0;
}

/* At the limit it waits: the backlog holds the others. */
static int hand_over(struct server *server, struct connection connection)
{
	switch (server->options.style) {
	case STYLE_STREAM:
		return rota_go(&server->connections, serve_stream, connection);
	case STYLE_SERVE:
		return serve_record(server, connection);
	default:
		return rota_go(&server->connections, serve, connection);
	}
}

static int accept_next(const struct server *server, struct rota_stream *stream)
{
	return server->options.style == STYLE_PLAIN
		       ? rota_accept(server->listener)
		       : rota_stream_accept(stream);
}

static int accept_from(struct server *server, struct rota_stream *stream)
{
	struct connection connection = { .server = server };
	int error;

	for (;;) {
		connection.fd = accept_next(server, stream);
		if (connection.fd < 0)
			return connection.fd;
		error = hand_over(server, connection);
		if (error) {
			rota_close(connection.fd);
			if (error != -EAGAIN && error != -ENOMEM)
				return error;
		}
	}
}

static int accept_all(void *value)
{
	struct server *server = *(struct server **)value;
	struct rota_stream stream;
	int error;

	if (server->options.style == STYLE_PLAIN)
		return accept_from(server, NULL);
	error = rota_accept_stream_open(&stream, server->listener, NULL);
	if (error)
		return error;
	error = accept_from(server, &stream);
	rota_stream_close(&stream);
	return error;
}

static int wait_for_signal(const struct server *server)
{
	struct signalfd_siginfo info;
	const int n = rota_read(server->signals, &info, sizeof(info));

	return n < 0 ? n : 0;
}

static int keep_grace(void *value)
{
	struct server *server = *(struct server **)value;
	const int error = rota_sleep(server->options.grace_ns);

	if (!error && !server->drained)
		rota_group_cancel(
			&server->connections,
			(struct rota_cancellation){ 0, "grace is over" });
	return error;
}

/* Ends connections: the idle ones now, the busy ones within the grace. */
static void drain(struct server *server, struct rota_group *keeper)
{
	struct connection *connection;
	const int error = rota_go(keeper, keep_grace, server);

	LIST_FOREACH(connection, &server->open, link)
	shutdown(connection->fd, SHUT_RD);
	if (error)
		rota_group_cancel(&server->connections,
				  (struct rota_cancellation){ error,
							      "no keeper" });
	rota_group_wait(&server->connections);
	server->drained = true;
}

static int serve_until_signal(struct server *server)
{
	const struct rota_group_options options = {
		.name = "connections",
		.limit = server->options.connections_max,
		.mode = ROTA_GROUP_KEEP_GOING,
	};
	struct rota_group keeper, accepting;
	int error;

	rota_group_open(&keeper, NULL);
	rota_group_open(&server->connections, &options);
	rota_group_open(&accepting, NULL);
	error = rota_go(&accepting, accept_all, server);
	if (!error)
		wait_for_signal(server); /* also ends when accepting fails */
	rota_group_cancel(&accepting,
			  (struct rota_cancellation){ 0, "stopping" });
	error = rota_group_wait(&accepting);
	drain(server, &keeper);
	rota_group_cancel(&keeper, (struct rota_cancellation){ 0, "drained" });
	rota_group_wait(&keeper);
	return error == -ECANCELED ? 0 : error;
}

static int listen_on(const struct options *options, char *name, size_t bytes)
{
	char path[128];

	snprintf(name, bytes, "%s:%u", options->address, options->port);
	if (!options->path)
		return rota_listen(options->address, options->port, NULL);
	snprintf(name, bytes, "unix:%s", options->path);
	/* One that is too long stays too long: rota_listen says so. */
	snprintf(path, sizeof(path), "unix:%s", options->path);
	return rota_listen(path, 0, NULL);
}

static int run(void *arg)
{
	struct server *server = arg;
	char name[160];
	struct rota_address address;
	int error;

	server->listener = listen_on(&server->options, name, sizeof(name));
	if (server->listener < 0) {
		fprintf(stderr, "rota-echo: cannot listen on %s: %s\n", name,
			strerror(-server->listener));
		return server->listener;
	}
	error = rota_local_address(server->listener, &address);
	if (!error)
		error = rota_address_print(&address, name, sizeof(name));
	if (error >= 0 && !server->options.quiet) {
		printf("rota-echo: listening on %s\n", name);
		fflush(stdout);
	}
	error = serve_until_signal(server);
	if (error)
		fprintf(stderr, "rota-echo: cannot accept: %s\n",
			strerror(-error));
	rota_close(server->listener);
	if (server->options.path)
		unlink(server->options.path);
	return error;
}

/* The soft limit goes up to the hard one; what is left for connections. */
static unsigned raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 1;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur <= 2 * OTHER_DESCRIPTORS)
		return 1;
	if (limit.rlim_cur > 1u << 20)
		return 1u << 20;
	return (unsigned)limit.rlim_cur - OTHER_DESCRIPTORS;
}

static const char usage[] =
	"usage: rota-echo [OPTION...]\n"
	"Sends back what it receives, until SIGINT or SIGTERM.\n"
	"\n"
	"  --address ADDRESS      to listen on (127.0.0.1)\n"
	"  --port PORT            0 takes a free one (7777)\n"
	"  --unix PATH            listen on a Unix socket instead\n"
	"  --stream               receive into buffers that all share\n"
	"  --serve                the same, and no stack while idle\n"
	"  --buffers N            that they share (256)\n"
	"  --idle-timeout-ms MS   ends connections that say nothing (none)\n"
	"  --max-connections N    more wait in the backlog (the descriptor "
	"limit)\n"
	"  --grace-ms MS          to finish in when stopped (5000)\n"
	"  --quiet                do not print the address\n"
	"  --help                 this\n";

__attribute__((noreturn)) static void refuse(const char *what)
{
	fprintf(stderr, "rota-echo: %s (--help lists the options)\n", what);
	exit(2);
}

static long long number(const char *option, const char *text, long long most)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (errno || end == text || *end || value < 0 || value > most) {
		fprintf(stderr, "rota-echo: --%s wants 0 to %lld, not '%s'\n",
			option, most, text);
		exit(2);
	}
	return value;
}

static const struct option long_options[] = {
	{ "address", required_argument, NULL, 'a' },
	{ "port", required_argument, NULL, 'p' },
	{ "unix", required_argument, NULL, 'u' },
	{ "idle-timeout-ms", required_argument, NULL, 'i' },
	{ "max-connections", required_argument, NULL, 'm' },
	{ "grace-ms", required_argument, NULL, 'g' },
	{ "stream", no_argument, NULL, 'r' },
	{ "serve", no_argument, NULL, 's' },
	{ "buffers", required_argument, NULL, 'b' },
	{ "quiet", no_argument, NULL, 'q' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static void take_option(struct options *options, int option)
{
	const long long longest_ms = INT64_MAX / ROTA_MILLISECOND;

	switch (option) {
	case 'a':
		options->address = optarg;
		break;
	case 'p':
		options->port = (uint16_t)number("port", optarg, 65535);
		break;
	case 'u':
		options->path = optarg;
		break;
	case 'i':
		options->idle_ns =
			number("idle-timeout-ms", optarg, longest_ms) *
			ROTA_MILLISECOND;
		break;
	case 'm':
		options->connections_max =
			(unsigned)number("max-connections", optarg, 1 << 20);
		break;
	case 'g':
		options->grace_ns = number("grace-ms", optarg, longest_ms) *
				    ROTA_MILLISECOND;
		break;
	case 'r':
		options->style = STYLE_STREAM;
		break;
	case 's':
		options->style = STYLE_SERVE;
		break;
	case 'b':
		options->buffers = (unsigned)number("buffers", optarg, 8192);
		break;
	case 'q':
		options->quiet = true;
		break;
	case 'h':
		fputs(usage, stdout);
		exit(0);
	default:
		fprintf(stderr, "rota-echo: --help lists the options\n");
		exit(2);
	}
}

static void parse(struct options *options, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		take_option(options, option);
	if (optind < argc)
		refuse("it takes options only");
	if (options->path && options->address)
		refuse("--unix and --address exclude each other");
	if (!options->address)
		options->address = "127.0.0.1";
	if (!options->connections_max)
		refuse("--max-connections 0 would accept nobody");
}

int main(int argc, char **argv)
{
	struct server server = {
		.options = { .port = 7777,
			     .grace_ns = 5 * ROTA_SECOND,
			     .connections_max = raise_limit() },
	};
	struct rota_config config = { 0 };
	sigset_t stop;

	parse(&server.options, argc, argv);
	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	server.signals = signalfd(-1, &stop, SFD_CLOEXEC);
	if (server.signals < 0) {
		perror("rota-echo: signalfd");
		return 1;
	}
	config.stream_buffers = server.options.buffers;
	return rota_run(&config, run, &server) < 0;
}
