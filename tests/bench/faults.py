#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""rota-bench echo against servers that go wrong: this file, given a fault."""
import json
import os
import socket
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True  # tests leave nothing in the tree
from bench import run


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
             ("--connections", "2", "--firehose"),
             ("--connections", "4", "--threads", "2"))

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

    def test_a_short_connection_is_compared_too(self):
        done = self.echo("swap", "--short", "--size", "8192", "--connections",
                         "2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("not what was sent", done.stderr)

    def test_the_slowest_neighbour_of_a_firehose_is_found(self):
        row = json.loads(self.echo("slow", "--firehose", "--connections",
                                   "6").stdout)
        self.assertGreaterEqual(row["slowest_p50_us"], 20000)
        self.assertGreaterEqual(row["slowest_p50_us"], row["neighbour_p50_us"])

    def test_the_slow_one_of_several_threads_counts(self):
        row = json.loads(run(
            "echo", "--server", f"{sys.executable} "
            f"{os.path.abspath(__file__)} slow", "--connections", "3",
            "--threads", "3", "--requests", "30", "--warmup", "0",
            "--json").stdout)
        self.assertGreaterEqual(row["p90_us"], 20000)
        self.assertGreater(row["p90_us"], 1.5 * row["p50_us"])

    def test_a_stall_counts_for_all_that_was_to_be_sent_meanwhile(self):
        closed = json.loads(self.echo("stall", *self.KINDS[0]).stdout)
        paced = json.loads(self.echo("stall", *self.KINDS[1]).stdout)
        self.assertGreater(closed["max_us"], 400000)
        self.assertGreater(paced["p90_us"], 200000)
        self.assertEqual(paced["requests"], 1000)


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(serve_badly(sys.argv[1]))
    unittest.main(argv=[sys.argv[0], "-v"])
