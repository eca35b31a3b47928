/* SPDX-License-Identifier: MIT */
/*
 * PostgreSQL by libpq, as if it blocked: where libpq would wait for its socket
 * the task does, and other tasks go on. A query, three in one round trip (a
 * pipeline), and one that takes too long: its deadline ends the wait, the
 * server is told, and the connection is as good as before.
 *
 *	26_postgres [CONNECTION [QUERY]]    as of psql; exits 77: no server
 *
 * The wrong way: PQexec or PQconnectdb in a task. They wait in poll(2), and
 * every other task of the loop with them, for as long as the query takes. Or,
 * after a deadline, to go on with the next query: what the server still says to
 * the first one is taken for its answer.
 */
#include <rota/rota.h>

#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/* By number (hostaddr): a name is looked up while all others wait. */
static int connect_to(PGconn *db)
{
	PostgresPollingStatusType next = PGRES_POLLING_WRITING;
	int n = PQstatus(db) == CONNECTION_BAD ? -ECONNREFUSED : 0;

	while (n >= 0 && next != PGRES_POLLING_OK) {
		n = rota_poll(PQsocket(db),
			      next == PGRES_POLLING_READING ? POLLIN : POLLOUT);
		if (n >= 0)
			next = PQconnectPoll(db);
		if (next == PGRES_POLLING_FAILED)
			return -ECONNREFUSED;
	}
	return n < 0 ? n : PQsetnonblocking(db, 1);
}

/* PQgetResult blocks only while PQisBusy; meanwhile what is unsent goes out. */
static int get_result(PGconn *db, PGresult **result)
{
	while (PQisBusy(db)) {
		const unsigned events = PQflush(db) ? POLLIN | POLLOUT : POLLIN;
		const int n = rota_poll(PQsocket(db), events);

		if (n < 0 || !PQconsumeInput(db))
			return n < 0 ? n : -ECONNRESET;
	}
	*result = PQgetResult(db);
	return 0;
}

/* All that one query has. */
static int print_results(PGconn *db)
{
	PGresult *result;
	int error;

	while (!(error = get_result(db, &result)) && result) {
		if (PQresultStatus(result) == PGRES_FATAL_ERROR)
			printf("%s", PQresultErrorMessage(result));
		for (int row = 0; row < PQntuples(result); row++)
			printf("%s\n", PQgetvalue(result, row, 0));
		PQclear(result);
	}
	return error;
}

/* Over a connection of its own, for which it waits: so on a thread. */
static int cancel(void *arg)
{
	PGcancel *request = PQgetCancel(arg);
	char why[256];
	const int done = PQcancel(request, why, sizeof(why));

	PQfreeCancel(request);
	return done ? 0 : -EIO;
}

/* Also of a task that is cancelled the server hears, and is heard. */
static int query(PGconn *db, const char *text)
{
	int error = PQsendQuery(db, text) ? print_results(db) : -ECONNRESET;
	struct rota_shield shield;

	if (error != -ECANCELED && error != -ETIME)
		return error;
	rota_shield_begin(&shield, 5 * ROTA_SECOND);
	if (rota_offload(cancel, db) || print_results(db))
		error = -ECONNRESET;
	rota_shield_end(&shield);
	return error;
}

static int query_in_time(PGconn *db, const char *text)
{
	struct rota_deadline deadline;
	int error;

	rota_deadline_begin(&deadline, rota_after_ns(100 * ROTA_MILLISECOND));
	error = query(db, text);
	return rota_deadline_end(&deadline) && error == -ETIME ? 0 : error;
}

/* Each has its results, and so has the mark at the end. */
static int query_three(PGconn *db)
{
	static const char *const values[] = { "7", "8", "9" };
	int sent = PQenterPipelineMode(db), error = 0;

	for (int i = 0; i < 3 && sent; i++)
		sent = PQsendQueryParams(db, "select $1::int * $1::int", 1,
					 NULL, &values[i], NULL, NULL, 0);
	sent = sent && PQpipelineSync(db);
	for (int i = 0; i < 4 && sent && !error; i++)
		error = print_results(db);
	return sent && PQexitPipelineMode(db) ? error : -ECONNRESET;
}

static int run(void *arg)
{
	char **arguments = arg;
	PGconn *db = PQconnectStart(arguments[1] ? arguments[1] : "");
	int error = connect_to(db);

	if (!error && arguments[1] && arguments[2]) {
		error = query(db, arguments[2]);
	} else if (!error) {
		error = query(db, "select sum(n) from generate_series(1, 9) n");
		error = error ? error : query_three(db);
		error = error ? error
			      : query_in_time(db, "select pg_sleep(60)");
		error = error ? error : query(db, "select 'as good as before'");
	}
	if (error)
		printf("%s: %.*s\n", strerror(-error),
		       (int)strcspn(PQerrorMessage(db), "\n"),
		       PQerrorMessage(db));
	PQfinish(db);
	return error;
}

int main(int argc, char **argv)
{
	const int error = rota_run(NULL, run, argv);

	(void)argc;
	return error == -ECONNREFUSED ? 77 : error != 0;
}
