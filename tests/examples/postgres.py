#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""26_postgres against a PostgreSQL of its own: queries, a pipeline, a cancel by
deadline, a server that is stopped in the middle of a query."""
import glob
import os
import signal
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from loopback import (Place, Server, end_client, free_port, need, need_user,
                      run_client, start_client, wait_until)

WHY = "tools/setup check installs it"
EXAMPLE = need("26_postgres", "it was built without libpq, " + WHY)
TOOLS = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
INITDB, POSTGRES = (need(os.path.join(TOOLS[-1], name) if TOOLS else name, WHY)
                    for name in ("initdb", "postgres"))
USER = need_user("postgres")
ASLEEP = """select count(*) from pg_stat_activity
            where state = 'active' and query like 'select pg_sleep%'"""


def connection(port):
    return f"hostaddr=127.0.0.1 port={port} dbname=postgres user=postgres"


class Postgres(Server):
    def __init__(self, place):
        port = free_port()
        super().__init__(
            place, port, POSTGRES, "-D", os.path.join(place.path, "data"),
            "-p", str(port), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", "fsync=off",
            "-c", "shared_buffers=1MB", "-c", "max_connections=10")
        wait_until(lambda: self.query("select 1")[0] == 0)

    def query(self, text):
        return run_client(EXAMPLE, connection(self.port), text)

    def end(self):
        if self.process.poll() is None:
            self.stop(signal.SIGQUIT)  # at once, and its children with it


class Queries(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.place = Place(USER)
        cls.addClassCleanup(cls.place.remove)
        cls.place.run(INITDB, "-D", os.path.join(cls.place.path, "data"),
                      "-A", "trust", "-U", "postgres", "-N", "-E", "UTF8")

    def setUp(self):
        self.server = Postgres(self.place)
        self.addCleanup(self.server.end)

    def expect_asleep(self, count):
        wait_until(lambda: self.server.query(ASLEEP) == (0, f"{count}\n"))

    def start_sleep(self):
        client = start_client(EXAMPLE, connection(self.server.port),
                              "select pg_sleep(1000)")
        self.addCleanup(client.kill)
        self.expect_asleep(1)
        return client

    def test_all_that_it_does_is_answered_in_order(self):
        status, output = run_client(EXAMPLE, connection(self.server.port))
        self.assertEqual(output.splitlines(), [
            "45", "49", "64", "81",
            "ERROR:  canceling statement due to user request",
            "as good as before"])
        self.assertEqual(status, 0)

    def test_a_cancelled_query_ends_at_the_server(self):
        self.assertEqual(run_client(EXAMPLE, connection(self.server.port))[0],
                         0)
        self.assertEqual(self.server.query(ASLEEP), (0, "0\n"))

    def test_a_result_in_many_pieces_is_whole(self):
        status, output = self.server.query(
            "select repeat(n::text, 1000000) from generate_series(1, 8) n")
        self.assertEqual(status, 0)
        self.assertEqual(output, "".join(f"{n}" * 1000000 + "\n"
                                         for n in range(1, 9)))

    def test_an_error_of_the_server_is_told(self):
        status, output = self.server.query("select none")
        self.assertEqual(status, 0)
        self.assertIn('column "none" does not exist', output)

    def test_a_server_stopped_in_the_middle_is_told(self):
        client = self.start_sleep()
        self.server.stop(signal.SIGQUIT)
        status, output = end_client(client)
        self.assertEqual(status, 1)
        self.assertIn("Connection reset by peer: ", output)

    def test_a_session_ended_in_the_middle_is_told(self):
        client = self.start_sleep()
        self.server.query("""select pg_terminate_backend(pid)
            from pg_stat_activity where query = 'select pg_sleep(1000)'""")
        status, output = end_client(client)
        self.assertEqual(status, 1)
        self.assertIn("terminating connection due to administrator", output)

    def test_a_client_that_is_gone_leaves_the_server_as_it_was(self):
        client = self.start_sleep()
        client.kill()
        end_client(client)
        self.assertEqual(self.server.query("select 1"), (0, "1\n"))

    def test_without_a_server_it_says_so_in_one_line(self):
        self.server.end()
        status, output = run_client(EXAMPLE, connection(self.server.port))
        self.assertEqual(status, 77)
        self.assertEqual(len(output.splitlines()), 1)
        self.assertIn("Connection refused", output)


if __name__ == "__main__":
    unittest.main()
