#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-bench run tiny: every row is there and adds up, every refusal is a line.

No figure is judged here; the programs are looked for in $ROTA_BIN.
"""
import contextlib
import json
import os
import re
import resource
import signal
import socket
import struct
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
        "stream_serve"}
FIELDS = {"bench", "unit", "median", "min", "max", "rounds", "ops", "checksum",
          "kernel", "cpu"}
WITH_BASE = {"await_nop_1", "await_nop_64", "yield_2", "yield_1000",
             "yield_mixed", "cancel_blocked_1000", "cancel_blocked_10000",
             "deadlines_10000", "close_waiting_1000", "drain_idle_1000",
             "file_read", "reader_lines", "ticker_cpu", "stream",
             "stream_serve"}
# Their checksum is a count of what was to be told, and nobody is left out.
COUNTING = {name for name in ROWS if name.startswith(
    ("deadline", "sleep", "shield", "cancel_", "close_", "drain_", "timers_",
     "ticker_cpu"))}


PATIENCE = 60  # seconds, for anything that should be quick


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
                f"{BENCH} serve-bare --engine multishot --port 0"]

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


class Server:
    """A bare server that runs; `with` ends it and checks that it ends well."""

    def __init__(self, engine):
        self.process = subprocess.Popen(
            [BENCH, "serve-bare", "--port", "0", "--engine", *engine],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+)$", line)[1])

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port),
                                        timeout=PATIENCE)

    @contextlib.contextmanager
    def held_up(self):
        """All that is sent meanwhile, it finds at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        with self.process as process:
            process.send_signal(signal.SIGTERM)
            try:
                code = process.wait(PATIENCE)
            finally:
                process.kill()
        if kind is None and code != 0:
            raise AssertionError(f"exit {code}")


def send_all(peer, data):
    peer.sendall(data)
    peer.shutdown(socket.SHUT_WR)


def receive(peer, count=1 << 62):
    """So many bytes, or what comes until the end."""
    parts = []
    while count > 0 and (part := peer.recv(min(count, 1 << 20))):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def fill(peer):
    """Sends until nothing more is taken; what was."""
    sent = []
    peer.settimeout(0.1)
    with contextlib.suppress(TimeoutError):
        while True:
            data = os.urandom(16384)
            sent.append(data[:peer.send(data)])
    peer.settimeout(PATIENCE)
    return b"".join(sent)


def with_each_engine(test):
    """The test, once with a server of each kind, some of them cramped."""
    def run_all(self):
        for engine in (("uring", "--size", "64"), ("epoll", "--size", "64"),
                       ("multishot", "--buffers", "32768"),
                       ("multishot", "--buffers", "1"),
                       ("multishot", "--buffers", "2", "--buffer-bytes", "64"),
                       ("multishot", "--buffers", "128", "--buffer-bytes",
                        "64")):
            with self.subTest(engine=engine), Server(engine) as server:
                test(self, server)
    return run_all


def serve_badly(fault):
    """An echo server that goes wrong after 4,096 bytes of a connection, or
    (slow) always with the third one."""
    def serve(peer, number):
        count = 0
        while data := peer.recv(65536):
            if fault == "slow" and number == 2:
                time.sleep(0.02)
            if count < 4096 <= count + len(data):
                if fault == "stall":
                    time.sleep(0.5)
                elif fault == "swap":
                    data = data[::-1]
                elif fault == "add":
                    data += data[:1]
            count += len(data)
            peer.sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        print("bad: listening on %s:%d" % listener.getsockname(), flush=True)
        for number in range(100):
            threading.Thread(target=serve, args=(listener.accept()[0], number),
                             daemon=True).start()


class Faults(unittest.TestCase):
    """What a bad server does is noticed, by each kind of load."""
    KINDS = (("--connections", "1"),
             ("--connections", "1", "--open-loop", "--rate", "1000"),
             ("--connections", "2", "--firehose"))

    def echo(self, fault, *arguments):
        return run("echo", "--server",
                   f"{sys.executable} {os.path.abspath(__file__)} {fault}",
                   "--seconds", "1", "--warmup", "0", "--json", *arguments)

    def test_other_bytes_than_were_sent_are_an_error(self):
        for fault in ("swap", "add"):
            for kind in self.KINDS:
                with self.subTest(fault=fault, kind=kind):
                    done = self.echo(fault, *kind)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("not what was sent", done.stderr)

    def test_the_slowest_neighbour_of_a_firehose_is_found(self):
        row = json.loads(self.echo("slow", "--firehose", "--connections",
                                   "6").stdout)
        self.assertGreaterEqual(row["slowest_p50_us"], 20000)
        self.assertGreaterEqual(row["slowest_p50_us"], row["neighbour_p50_us"])

    def test_a_stall_counts_for_all_that_was_to_be_sent_meanwhile(self):
        closed = json.loads(self.echo("stall", *self.KINDS[0]).stdout)
        paced = json.loads(self.echo("stall", *self.KINDS[1]).stdout)
        self.assertGreater(closed["max_us"], 400000)
        self.assertGreater(paced["p90_us"], 200000)
        self.assertEqual(paced["requests"], 1000)


class Bare(unittest.TestCase):
    """The bare servers keep what serve_bare.h promises."""

    def echo(self, peer, data):
        """Sends it, closes that half, reads to the end."""
        sender = threading.Thread(target=send_all, args=(peer, data))
        sender.start()
        back = receive(peer)
        sender.join()
        self.assertTrue(back == data, "other bytes came back")

    @with_each_engine
    def test_all_bytes_come_back_after_the_sending_half_is_closed(self, server):
        for size in (0, 1, 100000):
            with server.connect() as peer:
                self.echo(peer, os.urandom(size))

    @with_each_engine
    def test_one_that_never_reads_is_not_read_from_and_stops_nobody(self,
                                                                    server):
        with contextlib.ExitStack() as stack:
            stuck = [stack.enter_context(server.connect()) for _ in range(3)]
            taken = [fill(peer) for peer in stuck]
            self.assertLess(max(map(len, taken)), 100 << 20)
            with server.connect() as peer:
                self.echo(peer, os.urandom(20000))
            for peer, data in zip(stuck, taken):
                self.assertTrue(receive(peer, len(data)) == data)
                peer.sendall(b"again")
                self.assertEqual(receive(peer, 5), b"again")

    @with_each_engine
    def test_more_connections_than_buffers_all_get_their_bytes(self, server):
        with contextlib.ExitStack() as stack:
            peers = [stack.enter_context(server.connect()) for _ in range(40)]
            data = [os.urandom(3000) for _ in peers]
            with server.held_up():
                for peer, sent in zip(peers, data):
                    send_all(peer, sent)
            for peer, sent in zip(peers, data):
                self.assertTrue(receive(peer) == sent)

    @with_each_engine
    def test_a_reset_connection_disturbs_nobody(self, server):
        def reset(peer):
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
            peer.close()

        for _ in range(3):
            peer = server.connect()
            fill(peer)
            reset(peer)
        for _ in range(20):
            peer = server.connect()
            with server.held_up():
                peer.sendall(b"x" * 200)
                reset(peer)
        with server.connect() as peer:
            self.echo(peer, os.urandom(5000))

    @with_each_engine
    def test_a_signal_ends_it_with_connections_in_every_state(self, server):
        for _ in range(2):
            self.addCleanup(server.connect().close)
            peer = server.connect()
            self.addCleanup(peer.close)
            fill(peer)


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
                          ("echo", "--connect", "[::1]:1", "--idle", "5")):
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
    if sys.argv[1:]:
        sys.exit(serve_badly(sys.argv[1]))
    unittest.main(argv=[sys.argv[0], "-v"])
