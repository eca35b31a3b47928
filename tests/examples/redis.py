#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""27_redis against a Redis of its own: commands, a pipeline, a deadline, a
server that is stopped in the middle of a command."""
import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../support"))
from loopback import (Place, Server, end_client, free_port, need, need_user,
                      start_client, wait_until)

WHY = "tools/setup check installs it"
EXAMPLE = need("27_redis", "it was built without hiredis, " + WHY)
REDIS = need("redis-server", WHY)
USER = need_user("nobody")


class Redis(Server):
    def __init__(self, place):
        port = free_port()
        super().__init__(place, port, REDIS, "--port", str(port), "--bind",
                         "127.0.0.1", "--save", "", "--dir", place.path)

    def start(self, *words):
        return start_client(EXAMPLE, "127.0.0.1", self.port, *words)

    def run(self, *words):
        return end_client(self.start(*words))

    def clients(self, state):
        """How many are connected, or blocked; not who asks."""
        _, output = self.run("INFO", "clients")
        found = dict(line.split(":") for line in output.split()
                     if ":" in line)
        return int(found[state + "_clients"]) - (state == "connected")


class Commands(unittest.TestCase):
    def setUp(self):
        place = Place(USER)
        self.addCleanup(place.remove)
        self.server = Redis(place)
        self.addCleanup(self.server.stop)

    def start_blocked(self):
        client = self.server.start("BLPOP", "nothing", "1000")
        self.addCleanup(client.kill)
        wait_until(lambda: self.server.clients("blocked") == 1)
        return client

    def test_all_that_it_does_is_answered_in_order(self):
        self.assertEqual(self.server.run(), (0, "OK\n42\n1\nin step\n"))

    def test_a_command_that_was_given_up_takes_nothing(self):
        self.assertEqual(self.server.run()[0], 0)
        wait_until(lambda: self.server.clients("connected") == 0)
        self.assertEqual(self.server.clients("blocked"), 0)
        self.assertEqual(self.server.run("RPUSH", "rota-example-list", "item"),
                         (0, "1\n"))
        self.assertEqual(self.server.run("LLEN", "rota-example-list"),
                         (0, "1\n"))

    def test_a_reply_in_many_pieces_is_whole(self):
        size = 8 << 20
        self.assertEqual(
            self.server.run("EVAL", f"return string.rep('z', {size})", "0"),
            (0, "z" * size + "\n"))

    def test_a_server_stopped_in_the_middle_is_told(self):
        client = self.start_blocked()
        self.server.stop()
        self.assertEqual(end_client(client), (1, "Connection reset by peer\n"))

    def test_a_client_ended_by_the_server_is_told(self):
        client = self.start_blocked()
        self.server.run("CLIENT", "KILL", "TYPE", "normal")
        self.assertEqual(end_client(client), (1, "Connection reset by peer\n"))

    def test_without_a_server_it_says_so_in_one_line(self):
        self.server.stop()
        self.assertEqual(self.server.run(), (77, "Connection refused\n"))


if __name__ == "__main__":
    unittest.main()
