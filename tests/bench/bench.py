#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-bench run tiny: every row is there and adds up, every refusal is a line.

No figure is judged here; the programs are looked for in $ROTA_BIN.
"""
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
import unittest

BIN = os.environ.get("ROTA_BIN", "build/release/bin")
BENCH = os.path.join(BIN, "rota-bench")
ROWS = {"await_nop_1", "await_nop_64", "spawn", "spawn_group", "yield_2",
        "yield_1000", "yield_mixed", "deadline", "sleep_cancel", "shield",
        "cancel_blocked_1000", "cancel_blocked_10000", "cancel_members_10000",
        "cancel_members_100000", "cancel_nested_1000", "cancel_nested_10000",
        "cancel_stacked_1000", "cancel_stacked_10000", "deadlines_10000",
        "close_waiting_1000", "drain_idle_1000", "parked_memory", "file_read",
        "timers_0", "timers_1000", "timers_100000", "timers_1000000",
        "deadline_move", "sleepers", "sleepers_cold", "ticker_cpu",
        "ticker_phase_idle", "ticker_phase_busy", "reader_lines", "stream",
        "stream_serve", "message_awake", "message_asleep", "spawn_remote",
        "spread", "offload", "channel_rendezvous", "channel_buffered",
        "channel_across", "select_4", "limit", "limit_shared", "pool",
        "pipeline", "mutex", "mutex_shared"}
FIELDS = {"bench", "unit", "median", "min", "max", "rounds", "ops", "checksum",
          "kernel", "cpu"}
WITH_BASE = {"await_nop_1", "await_nop_64", "yield_2", "yield_1000",
             "yield_mixed", "cancel_blocked_1000", "cancel_blocked_10000",
             "deadlines_10000", "close_waiting_1000", "drain_idle_1000",
             "file_read", "reader_lines", "ticker_cpu", "stream",
             "message_asleep", "spread", "offload",
             "stream_serve"}
# Their checksum is a count of what was to be told, and nobody is left out.
COUNTING = {name for name in ROWS if name.startswith(
    ("deadline", "sleep", "shield", "cancel_", "close_", "drain_", "timers_",
     "ticker_cpu"))}


def run(*arguments):
    return subprocess.run([BENCH, *arguments], capture_output=True, text=True,
                          timeout=100)


def rows(*arguments):
    done = run(*arguments, "--json")
    if done.returncode:
        raise AssertionError(f"{arguments}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


class Micro(unittest.TestCase):
    def test_each_row_has_its_fields_and_did_its_work(self):
        seen = {row["bench"]: row for row in rows("micro", "--quick")}
        self.assertEqual(set(seen), ROWS)
        for name, row in seen.items():
            with self.subTest(row=name):
                self.assertLessEqual(FIELDS, set(row))
                self.assertGreater(row["ops"], 0)
                self.assertGreater(row["checksum"], 0)
                self.assertLessEqual(row["min"], row["median"])
                self.assertLessEqual(row["median"], row["max"])
                if name in COUNTING:
                    self.assertEqual(row["checksum"], row["ops"])
                if name in WITH_BASE:
                    self.assertLessEqual({"base_median", "over_base", "ratio"},
                                         set(row))

    def test_an_exact_name_is_one_row_a_prefix_several(self):
        self.assertEqual([row["bench"] for row in
                          rows("micro", "spawn", "--quick")], ["spawn"])
        self.assertEqual({row["bench"] for row in
                          rows("micro", "yield", "--quick")},
                         {"yield_2", "yield_1000", "yield_mixed"})

    def test_both_loops_of_a_phase_count_every_period(self):
        for row in rows("micro", "ticker_phase", "--seconds", "0.03"):
            with self.subTest(row=row["bench"], loop=row["loop"]):
                self.assertIn(row["loop"], ("rota", "bare"))
                self.assertEqual(row["checksum"], row["ops"] + row["missed"])
                self.assertGreaterEqual(row["checksum"], 2 * 30)
                for field in ("p99", "last", "jitter", "jitter_p99",
                              "trend_ppm"):
                    self.assertIn(field, row)

    def test_the_list_names_every_row(self):
        self.assertLessEqual(ROWS, set(run("micro", "--list").stdout.split()))


class Echo(unittest.TestCase):
    TINY = ("--seconds", "0.2", "--warmup", "0.05", "--connections", "3")

    def servers(self):
        return [f"{BIN}/rota-echo --port 0",
                f"{BENCH} serve-bare --engine uring --port 0",
                f"{BENCH} serve-bare --engine epoll --port 0",
                f"{BENCH} serve-bare --engine multishot --port 0",
                f"{BIN}/rota-echo --port 0 --stream",
                f"{BIN}/rota-echo --port 0 --serve"]

    def test_each_server_echoes_without_errors(self):
        for server in self.servers():
            with self.subTest(server=server):
                row, = rows("echo", "--server", server, *self.TINY)
                self.assertEqual(row["errors"], 0)
                self.assertGreater(row["requests_per_s"], 0)
                for field in ("p50_us", "p90_us", "p99_us", "p999_us", "max_us",
                              "server_cpu_ns_per_request", "server_rss_bytes",
                              "bytes_per_connection"):
                    self.assertIn(field, row)

    def test_two_servers_give_a_ratio(self):
        own, bare = self.servers()[:2]
        found = rows("echo", "--server", own, "--against", bare, *self.TINY)
        self.assertEqual([row["row"] for row in found],
                         ["server", "against", "ratio"])
        self.assertGreater(found[2]["cpu_ratio"], 0)

    def test_a_schedule_is_kept_over_all_connections(self):
        for server in self.servers():
            with self.subTest(server=server):
                row, = rows("echo", "--server", server, *self.TINY,
                            "--open-loop", "--rate", "2000")
                self.assertEqual((row["requests"], row["errors"]), (400, 0))
                self.assertLessEqual(row["sent_late"], 400)
                self.assertLessEqual(row["p50_us"], row["p999_us"])

    def test_a_schedule_in_turns_gives_a_ratio(self):
        own, bare = self.servers()[:2]
        found = rows("echo", "--server", own, "--against", bare, *self.TINY,
                     "--open-loop", "--rate", "1000")
        self.assertEqual([row["row"] for row in found],
                         ["server", "against", "ratio"])
        self.assertEqual(found[0]["requests"], found[1]["requests"])

    def test_a_firehose_stops_no_neighbour(self):
        for server in (*self.servers(), self.servers()[3] + " --buffers 8"):
            with self.subTest(server=server):
                row, = rows("echo", "--server", server, "--firehose",
                            "--connections", "40", *self.TINY[:4])
                self.assertEqual(row["errors"], 0)
                self.assertGreaterEqual(row["requests"], 39)
                self.assertGreater(row["firehose_mb_per_s"], 0)
                self.assertGreater(row["neighbour_p50_us"], 0)
                self.assertGreaterEqual(row["slowest_ratio"], 1)
                self.assertGreaterEqual(row["slowest_p99_us"],
                                        row["slowest_p50_us"])

    def test_firehoses_in_turns_give_a_ratio(self):
        own, bare = self.servers()[:2]
        found = rows("echo", "--server", own, "--against", bare, *self.TINY,
                     "--firehose", "--sleep")
        self.assertEqual([row["row"] for row in found],
                         ["server", "against", "ratio"])

    def test_idle_connections_are_weighed(self):
        for server in self.servers():
            with self.subTest(server=server):
                row, = rows("echo", "--server", server, "--idle", "300")
                self.assertEqual((row["connections"], row["errors"]), (300, 0))
                self.assertGreaterEqual(row["server_rss_bytes"],
                                        row["server_rss_before"])
                self.assertGreaterEqual(row["bytes_per_connection"], 0)

    def test_idle_servers_give_a_ratio(self):
        own, bare = self.servers()[:2]
        found = rows("echo", "--server", own, "--against", bare, "--idle", "90")
        self.assertEqual([row["row"] for row in found],
                         ["server", "against", "ratio"])
        self.assertGreater(found[2]["bytes_ratio"], 0)

    def test_more_connections_than_one_address_has_ports_for(self):
        count = 10100
        if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < count + 100:
            self.skipTest("too few descriptors")
        row, = rows("echo", "--server", self.servers()[2], "--idle",
                    str(count))
        self.assertEqual((row["connections"], row["errors"]), (count, 0))

    def test_connections_that_do_not_stay_fail_the_measurement(self):
        done = run("echo", "--idle", "5", "--server",
                   f"{BIN}/rota-echo --port 0 --idle-timeout-ms 30")
        self.assertEqual(done.returncode, 1)
        self.assertIn("lost", done.stderr)


class Counter:
    """An echo server that counts what it is asked, here."""

    def __init__(self):
        self.bytes = []  # of each connection that has ended
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.name = "%s:%d" % self.listener.getsockname()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.echo, args=(peer,),
                             daemon=True).start()

    def echo(self, peer):
        count = 0
        with peer:
            while data := peer.recv(65536):
                count += len(data)
                peer.sendall(data)
        self.bytes.append(count)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Dealt(unittest.TestCase):
    """What several threads, or a connection for each message, come to."""
    # Of each connection one before each turn and one in a warm-up of no time.
    EXTRA = 3

    def echo(self, server, *arguments):
        row, = rows("echo", "--connect", server.name, "--warmup", "0",
                    "--size", "100", *arguments)
        return row

    def settled(self, server, connections):
        """The bytes of each connection, once all are told."""
        for _ in range(1000):
            if len(server.bytes) == connections:
                break
            time.sleep(0.01)
        return server.bytes

    def test_threads_share_connections_and_requests(self):
        for threads in (1, 2, 3):
            with self.subTest(threads=threads), Counter() as server:
                row = self.echo(server, "--connections", "5", "--requests",
                                "101", "--threads", str(threads))
                self.assertEqual((row["threads"], row["short"],
                                  row["requests"], row["errors"]),
                                 (threads, 0, 101, 0))
                self.assertEqual(sum(self.settled(server, 5)),
                                 100 * (101 + self.EXTRA * 5))
                self.assertGreater(row["p50_us"], 0)
                self.assertLessEqual(row["p999_us"], row["max_us"])

    def test_short_is_a_connection_for_each_request(self):
        for threads in (1, 2):
            with self.subTest(threads=threads), Counter() as server:
                row = self.echo(server, "--connections", "4", "--requests",
                                "201", "--threads", str(threads), "--short")
                self.assertEqual((row["threads"], row["short"],
                                  row["requests"], row["errors"]),
                                 (threads, 1, 201, 0))
                self.assertIsNone(row["bytes_per_connection"])
                made = 201 + self.EXTRA * 4
                self.assertEqual(self.settled(server, made), [100] * made)

    def test_fewer_requests_than_connections_are_no_more(self):
        for kind in ((), ("--short",)):
            with self.subTest(kind=kind), Counter() as server:
                row = self.echo(server, "--connections", "7", "--requests",
                                "3", *kind)
                self.assertEqual(row["requests"], 3)

    def test_threads_keep_a_schedule_together(self):
        with Counter() as server:
            row = self.echo(server, "--connections", "5", "--threads", "2",
                            "--open-loop", "--rate", "500", "--seconds", "0.4")
            self.assertEqual((row["requests"], row["errors"]), (200, 0))

    def test_short_connections_to_each_server(self):
        for server in Echo.servers(self):
            with self.subTest(server=server):
                row, = rows("echo", "--server", server, "--short", "--threads",
                            "2", "--connections", "8", "--requests", "300")
                self.assertEqual((row["requests"], row["errors"]), (300, 0))
                self.assertGreater(row["server_cpu_ns_per_request"], 0)

    def test_short_connections_in_turns_give_a_ratio(self):
        own, bare = Echo.servers(self)[:2]
        found = rows("echo", "--server", own, "--against", bare, *Echo.TINY,
                     "--short")
        self.assertEqual([row["row"] for row in found],
                         ["server", "against", "ratio"])

    def test_short_connections_that_are_refused_fail(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            done = run("echo", "--connect", "%s:%d" % nobody.getsockname(),
                       "--short", "--requests", "5")
        self.assertEqual(done.returncode, 1)
        self.assertIn("refused", done.stderr)


class Refusals(unittest.TestCase):
    def test_bad_arguments_are_one_clear_line_and_exit_2(self):
        for arguments in ((), ("nonsense",), ("micro", "nonsense"),
                          ("micro", "--rounds", "0"), ("echo",),
                          ("serve-bare", "--engine", "x", "--port", "0"),
                          ("serve-bare", "--engine", "uring", "--port", "0",
                           "--buffers", "8"),
                          ("serve-bare", "--engine", "multishot", "--port",
                           "0", "--buffers", "3"),
                          ("serve-bare", "--engine", "multishot", "--port",
                           "0", "--size", "64"),
                          ("echo", "--server", "true", "--size", "0"),
                          ("echo", "--server", "true", "--rate", "5"),
                          ("echo", "--server", "true", "--open-loop"),
                          ("echo", "--server", "true", "--open-loop",
                           "--rate", "0"),
                          ("echo", "--server", "true", "--open-loop",
                           "--rate", "5", "--idle", "5"),
                          ("echo", "--server", "true", "--firehose",
                           "--connections", "1"),
                          ("echo", "--server", "true", "--firehose",
                           "--connections", "10001"),
                          ("echo", "--server", "true", "--firehose",
                           "--open-loop", "--rate", "5"),
                          ("echo", "--server", "true", "--idle", "0"),
                          ("echo", "--server", "true", "--idle", "5",
                           "--seconds", "1"),
                          ("echo", "--server", "true", "--idle", "5",
                           "--connections", "5"),
                          ("echo", "--connect", "[::1]:1", "--idle", "5"),
                          ("echo", "--server", "true", "--threads", "0"),
                          ("echo", "--server", "true", "--threads", "51"),
                          ("echo", "--server", "true", "--threads", "3",
                           "--connections", "2"),
                          ("echo", "--server", "true", "--threads", "3",
                           "--requests", "2"),
                          ("echo", "--server", "true", "--threads", "3",
                           "--open-loop", "--rate", "2"),
                          ("echo", "--server", "true", "--threads", "2",
                           "--firehose"),
                          ("echo", "--server", "true", "--threads", "2",
                           "--idle", "5"),
                          ("echo", "--server", "true", "--short", "--idle",
                           "5"),
                          ("echo", "--server", "true", "--short",
                           "--open-loop", "--rate", "5"),
                          ("echo", "--server", "true", "--requests", "5",
                           "--seconds", "1"),
                          ("echo", "--server", "true", "--requests", "5",
                           "--against", "true")):
            with self.subTest(arguments=arguments):
                done = run(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("rota-bench", done.stderr)
                if arguments and arguments[0] != "nonsense":
                    self.assertEqual(done.stderr.count("\n"), 1)

    def test_a_server_that_does_not_start_is_a_failure(self):
        done = run("echo", "--server", "false", "--seconds", "0.1")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr.count("\n"), 1)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v"])
